"""Make the lecture from the notebooks: one deck of slides for each, in build/slides, to show without a
network.

    python -m tools.slides                make all decks
    python -m tools.slides 04 05          only those whose names begin so
    python -m tools.slides --check        make them, then look at every slide in Chromium (tests/pages)

Open build/slides/index.html. The arrow to the right goes from main slide to main slide, Space through all of
them; S opens the speaker's window with notes and clock, C the code of a slide, F fills the screen. Behind the
address, `?minutes=45` or `?minutes=90` leaves out what may be cut, and `?handout` makes a page to print.

What stands where is decided by slide_plan.py from the cells: their headings, their results, and
`slideshow.slide_type`, which is "slide" (a new section), "subslide" (a new slide below it), "-" or "fragment"
(on the same slide), "skip" (of a text: said, not shown; of a code cell: not in the lecture) or "notes".
`speaker_notes` holds what else to say. slide_words.py chooses the words; all others stand in the notes.
"""

import argparse
import html
import os
import re
import shutil
import sys
from pathlib import Path
from string import Template
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from course_utils import commands
from tools import ROOT, assets, browser, slide_plan
from tools.lock import read_project
from tools.notebooks import chosen
from tools.slide_words import MOST_WORDS

SOURCE = ROOT / "tools" / "deck"
FOLDER = ROOT / "build" / "slides"

# What a theme changes are colours, and what a size changes is the layout: no fourth look, large and dark.
LOOKS = (((1280, 720), "light"), ((1280, 720), "dark"), ((1920, 1080), "light"))
SMALLEST_TEXT = 12.0  # pixels of a slide 720 high; a projected slide is three to four times larger
SMALLEST_PICTURE = 180  # pixels high, likewise

LINK = re.compile(r"""(?P<before><a\b[^>]*?\bhref=")(?P<target>[^"#:]+\.[a-z]+)(?P<anchor>#[^"]*)?(?=")""")
IMAGE = re.compile(r"""(?P<before><img\b[^>]*?\bsrc=")(?P<target>(?!data:)[^":]+)(?=")""")


# --- From slides to files


def to_page(notebook: NotebookNode, folder: Path, columns: list[list[slide_plan.Slide]] | None = None) -> str:
    """The whole deck as one page; pictures of the notebook are copied to where the deck is."""
    columns = slide_plan.columns_of(notebook) if columns is None else columns
    title = re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)
    slides = "\n".join(
        f"<section>{''.join(slide.to_html() for slide in column)}</section>" for column in columns
    )
    slides = LINK.sub(
        lambda match: match["before"] + address_of(match["target"], match["anchor"] or ""), slides
    )
    slides = IMAGE.sub(lambda match: match["before"] + copy_picture(match["target"], folder), slides)
    template = Template((SOURCE / "deck.html").read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(title[1] if title else "Slides"), slides=slides)


def address_of(target: str, anchor: str) -> str:
    """Where a link of a notebook leads from a deck: to the deck of another notebook, or to the project's
    pages.
    """
    path = Path(target)
    if path.suffix == ".ipynb":
        return f"{path.stem}.html"
    inside = (ROOT / "notebooks" / target).resolve().relative_to(ROOT).as_posix()
    return f"{read_project()['urls']['Repository']}/blob/main/{quote(inside)}{anchor}"


def copy_picture(target: str, folder: Path) -> str:
    source = (ROOT / "notebooks" / target).resolve()
    (folder / "img").mkdir(exist_ok=True)
    shutil.copy(source, folder / "img" / source.name)
    return f"img/{source.name}"


def copy_assets(folder: Path) -> None:
    """Everything that the decks load, beside them."""
    target = folder / "assets"
    target.mkdir(parents=True, exist_ok=True)
    reveal, mathjax = assets.fetch("reveal.js"), assets.fetch("mathjax")
    for source in [
        reveal / "dist" / "reset.css",
        reveal / "dist" / "reveal.css",
        reveal / "dist" / "reveal.js",
        reveal / "plugin" / "notes" / "notes.js",
        mathjax / "es5" / "tex-svg.js",
        SOURCE / "deck.css",
        SOURCE / "deck.js",
    ]:
        shutil.copy(source, target)
    light, dark = (
        HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("xcode", "github-dark")
    )
    dark = f"@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"
    (target / "highlight.css").write_text(f"{light}\n{dark}\n", encoding="utf-8")


def build(paths: list[Path], folder: Path = FOLDER) -> list[Path]:
    """Write a deck for each notebook, and a page that lists them."""
    copy_assets(folder)
    decks, rows = [], []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        columns = slide_plan.columns_of(notebook)
        deck = folder / f"{path.stem}.html"
        deck.write_text(to_page(notebook, folder, columns), encoding="utf-8")
        decks.append(deck)
        rows.append(row_of(deck.name, notebook.cells[0].source.partition("\n")[0].lstrip("# "), columns))
    template = Template((SOURCE / "contents.html").read_text(encoding="utf-8"))
    (folder / "index.html").write_text(template.substitute(rows="\n".join(rows)), encoding="utf-8")
    return decks


def row_of(name: str, heading: str, columns: list[list[slide_plan.Slide]]) -> str:
    """A deck in the list of decks, with the number of slides of each of its lengths."""
    slides = [slide for column in columns for slide in column]
    short = sum(slide.minutes == 45 for slide in slides)
    long = sum(slide.minutes > 0 for slide in slides)
    return (
        f'<tr><th scope="row"><a href="{name}">{html.escape(heading)}</a></th>'
        f'<td><a href="{name}?minutes=45">{short}<span> in 45 minutes</span></a></td>'
        f'<td><a href="{name}?minutes=90">{long}<span> in 90 minutes</span></a></td>'
        f"<td>{len(slides)}</td>"
        f'<td><a href="{name}?handout">hand-out</a></td></tr>'
    )


# --- Looking at every slide

MEASURE = """
() => {
  const slide = Reveal.getCurrentSlide();
  const page = slide.querySelector(".page");
  const shown = (e) => e.checkVisibility({visibilityProperty: true}) && !e.closest("mjx-assistive-mml");
  const found = {out: [], scroll: [], broken: [], contrast: [], smallest: 1e9, raw: "", picture: 1e9};
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  // How a text stands out from the first ground below it that is not clear, as WCAG measures it.
  const contrast = (e, ink) => {
    for (let below = e; below; below = below.parentElement) {
      const paper = getComputedStyle(below).backgroundColor;
      if (numbers(paper)[3] === 0) continue;
      const [one, other] = [light(ink), light(paper)];
      return Math.max(one / other, other / one);
    }
    return 21;
  };
  const scale = Reveal.getScale();
  const zoomed = document.querySelector(".slides").currentCSSZoom ?? 1;
  for (const e of page.querySelectorAll("*")) {
    if (!shown(e) || e.closest("mjx-container svg, .picture svg")) continue;
    const box = e.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const name = `${e.tagName.toLowerCase()} "${e.textContent.trim().slice(0, 40)}"`;
    if (box.left < 0 || box.top < 0 || box.right > innerWidth + 0.5 || box.bottom > innerHeight + 0.5) {
      found.out.push(`${name} reaches to ${Math.round(box.right)}, ${Math.round(box.bottom)}`);
    }
    const style = getComputedStyle(e);
    const clips =
      ["auto", "scroll", "hidden"].includes(style.overflowX) || ["auto", "scroll"].includes(style.overflowY);
    const overfull = e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1;
    if (clips && overfull) found.scroll.push(name);
    const ownText = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const size = parseFloat(style.fontSize) * (e.currentCSSZoom ?? 1) / zoomed;
    if (ownText) found.smallest = Math.min(found.smallest, size);
    if (ownText) found.contrast.push([contrast(e, style.color), name]);
    if (e.matches(".picture")) found.picture = Math.min(found.picture, box.height / scale);
    if (e.tagName === "IMG" && !e.naturalWidth) found.broken.push(`${name} has no picture`);
    if (e.tagName === "IMG" && !e.alt.trim()) found.broken.push(`${name} has no alternative text`);
  }
  if (page.scrollHeight > page.clientHeight + 1) found.out.push("what it shows");
  for (const e of slide.querySelectorAll("mjx-merror, [data-mjx-error]"))
    found.broken.push("mathematics: " + e.textContent);
  const walker = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT);
  let prose = "";
  let block = null;
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent;
    if (page.contains(parent) && !parent.closest("pre, table, svg, mjx-container, script, style")) {
      const around = parent.closest("p, li, h1, h2, h3, h4, div");
      prose += around === block ? text : " " + text;
      block = around;
    }
    const typeset = parent.closest("pre, code, mjx-container, script, style");
    if (!typeset && /\\$[^$]+\\$/.test(text)) found.raw = text.trim().slice(0, 60);
  }
  found.words = prose.split(/\\s+/).filter((word) => /[\\p{L}\\p{N}]/u.test(word)).length;
  found.contrast = found.contrast.filter(([ratio]) => ratio < 4.5).map(([, name]) => name);
  found.empty = page.children.length < 2;
  return found;
}
"""

# What a hand-out must not do: lose a note, or let a line run over the edge of the paper.
HANDOUT = """
() => {
  const found = [];
  const edge = document.documentElement.clientWidth;
  for (const section of document.querySelectorAll("section[data-minutes]")) {
    const name = section.querySelector(".page").textContent.trim().slice(0, 40);
    for (const part of section.querySelectorAll(":scope > .notes, :scope > .fold")) {
      const there = part.checkVisibility() && part.getBoundingClientRect().height;
      if (!there) found.push(`"${name}": its notes are hidden`);
      for (const e of part.querySelectorAll("p, li, pre, td, img, svg, mjx-container")) {
        if (e.closest("mjx-assistive-mml")) continue;
        if (e.getBoundingClientRect().right > edge + 1) found.push(`"${name}": its notes run over the edge`);
      }
    }
  }
  return found;
}
"""
A4_WIDTH = 688  # pixels between the margins of a page


def opened(chromium, deck: Path, size: tuple[int, int] = (1280, 720), query: str = ""):
    """The deck in a window of its own, laid out, and what watches it."""
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, offline=True)
    page = context.new_page()
    watch = browser.Watch(page)
    page.goto(deck.as_uri() + query)
    page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=60_000)
    return page, watch


def faults(seen: dict) -> list[str]:
    """What is wrong with a slide, from what was measured on it."""
    wrong = []
    for kind, words in [
        ("out", "stands out of the slide"),
        ("scroll", "scrolls"),
        ("broken", "is broken"),
        ("contrast", "hardly stands out from its ground"),
    ]:
        wrong += [f"{what} {words}" for what in seen[kind][:2]]
    if seen["raw"]:
        wrong.append(f"mathematics is not set: {seen['raw']}")
    if seen["empty"]:
        wrong.append("nothing on it but a headline")
    if seen["words"] > MOST_WORDS:
        wrong.append(f"{seen['words']} words of prose, more than {MOST_WORDS}")
    if seen["smallest"] < SMALLEST_TEXT:
        wrong.append(f"text of {seen['smallest']:.1f} pixels, smaller than {SMALLEST_TEXT:g}")
    if seen["picture"] < SMALLEST_PICTURE:
        wrong.append(f"a picture {seen['picture']:.0f} pixels high, lower than {SMALLEST_PICTURE}")
    return wrong


def look_at(chromium, deck: Path) -> tuple[list[str], str]:
    """Show every slide of a deck, whole, in two sizes and two themes, and its hand-out. Returns what is
    wrong, and a line of figures.

    With BROWSER_PICTURES set to a folder, every slide is photographed there.
    """
    pictures = os.environ.get("BROWSER_PICTURES")
    wrong, smallest, most_words = [], 1e9, 0
    page, watch = opened(chromium, deck)
    page.evaluate("Reveal.configure({fragments: false})")
    count = page.evaluate("Reveal.getTotalSlides()")
    for size, theme in LOOKS:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=theme)
        page.evaluate("Reveal.slide(0, 0)")
        for number in range(1, count + 1):
            seen = page.evaluate(MEASURE)
            place = f"{deck.stem}, {size[0]} x {size[1]}, {theme}, slide {number} of {count}"
            wrong += [f"{place}: {fault}" for fault in faults(seen)]
            smallest, most_words = min(smallest, seen["smallest"]), max(most_words, seen["words"])
            if pictures:
                page.screenshot(path=Path(pictures) / f"{deck.stem}-{size[1]}-{theme}-{number:02d}.png")
            page.evaluate("Reveal.next()")
    found = page.evaluate(
        "[Reveal.getHorizontalSlides().length, ...['mjx-container', 'aside.notes']"
        ".map((name) => document.querySelectorAll(name).length)]"
    )
    figures = "{}: {} slides, {} of them main ones, {} formulas, {} notes".format(deck.stem, count, *found)
    figures += f", smallest text {smallest:.1f} pixels, most words {most_words}"
    wrong += noticed(deck, watch)
    page.context.close()
    page, watch = opened(chromium, deck, (A4_WIDTH, 1000), query="?handout")
    page.emulate_media(media="print")
    wrong += [f"{deck.stem}, hand-out: {fault}" for fault in page.evaluate(HANDOUT)]
    wrong += noticed(deck, watch)
    if pictures:
        page.pdf(path=Path(pictures) / f"{deck.stem}.pdf", format="A4", prefer_css_page_size=True)
    page.context.close()
    return wrong, figures


def noticed(deck: Path, watch: browser.Watch) -> list[str]:
    """What the browser complained of while it showed the deck."""
    wrong = [f"{deck.stem}: {error}" for error in watch.errors]
    return wrong + [f"{deck.stem}: asks the network for {address}" for address in watch.foreign]


def check(decks: list[Path]) -> int:
    """Look at every slide of these decks in Chromium, by tests/pages; the exit code."""
    tests = [f"tests/pages/test_decks.py::test_every_slide_is_well[{deck.stem}]" for deck in decks]
    return browser.run_tests(tests)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="beginnings of notebook names, as 02")
    parser.add_argument("--check", action="store_true", help="look at every slide in Chromium")
    arguments = parser.parse_args()
    try:
        decks = build(chosen(arguments.names))
    except assets.AssetError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(decks)} decks: open {(FOLDER / 'index.html').relative_to(ROOT)}")
    return check(decks) if arguments.check else 0


if __name__ == "__main__":
    commands.run(main)
