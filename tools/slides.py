"""Make the lecture from the notebooks: one deck of slides for each, in build/slides, to show without a
network.

    python -m tools.slides                make all decks
    python -m tools.slides 04 05          only those whose names begin so
    python -m tools.slides --check        make them, then look at every slide in Chromium (tests/pages)

Open build/slides/index.html; S opens the speaker's window with notes and clock, F fills the screen.

What stands where is said by the cells themselves. `slideshow.slide_type` is "slide" (a new section),
"subslide" (a new slide below it), "-" or "fragment" (on the same slide), "skip" (not in the lecture) or
"notes". `speaker_notes` holds what to say. Notes of a skipped cell go with the slide before it. A slide that
is too full is set smaller, then continued on a second one: see deck/deck.js.
"""

import argparse
import html
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from urllib.parse import quote

import nbformat
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from course_utils import commands
from tools import ROOT, assets, browser
from tools.lock import read_project
from tools.notebooks import chosen

SOURCE = ROOT / "tools" / "deck"
FOLDER = ROOT / "build" / "slides"

WIDTH, HEIGHT = 1280, 720
SMALLEST_TEXT = 11.0  # pixels of a slide 720 high; a projected slide is three to four times larger

FORMATTER = HtmlFormatter(style="default", nowrap=False)
HEADING = re.compile(r"^#{1,3} ", re.MULTILINE)
LINK = re.compile(r"""(?P<before><a\b[^>]*?\bhref=")(?P<target>[^"#:]+\.[a-z]+)(?P<anchor>#[^"]*)?(?=")""")
IMAGE = re.compile(r"""(?P<before><img\b[^>]*?\bsrc=")(?P<target>(?!data:)[^":]+)(?=")""")


@dataclass
class Slide:
    """What one slide holds: HTML of its cells, and what to say."""

    blocks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_html(self) -> str:
        notes = "".join(f'<aside class="notes">{note}</aside>' for note in self.notes)
        return f'<section><div class="page">{"".join(self.blocks)}</div>{notes}</section>'


# --- From cells to HTML


def text_to_html(source: str) -> str:
    return MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True)).render(source)


def code_to_html(source: str) -> str:
    return f'<div class="source">{highlight(source, PythonLexer(), FORMATTER)}</div>'


def output_to_html(output: NotebookNode) -> str:
    """An output as a slide shows it: markup before pictures, pictures before plain text."""
    data, metadata = output.get("data", {}), output.get("metadata", {})
    if "text/html" in data:
        body = data["text/html"]
    elif "image/svg+xml" in data:
        body = data["image/svg+xml"]
    elif "image/png" in data:
        alt = html.escape(metadata.get("image/png", {}).get("alt", ""))
        body = f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{alt}">'
    elif "text/markdown" in data:
        body = text_to_html(data["text/markdown"])
    else:
        text = output.get("text", data.get("text/plain", ""))
        body = f"<pre>{html.escape(text)}</pre>"
    return f'<div class="output">{body}</div>'


def blocks_of(cell: NotebookNode) -> list[str]:
    """The parts of a cell that may stand on different slides."""
    if cell.cell_type == "markdown":
        return [text_to_html(cell.source)]
    if cell.cell_type == "code":
        return [code_to_html(cell.source), *map(output_to_html, cell.outputs)]
    return []


def split_at_heading(cell: NotebookNode) -> tuple[str, NotebookNode]:
    """The text of a cell above its first heading, which closes what went before, and the rest of it."""
    heading = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
    if heading is None or heading.start() == 0:
        return "", cell
    return cell.source[: heading.start()], NotebookNode(cell, source=cell.source[heading.start() :])


def sections_of(notebook: NotebookNode) -> list[list[Slide]]:
    """The slides of a notebook: a list for each section, the first slide of which opens it.

    A heading always opens a slide, whatever its cell says.
    """
    sections: list[list[Slide]] = []
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if kind not in ("skip", "notes"):
            above, cell = split_at_heading(cell)
            if above and sections:
                sections[-1][-1].blocks.append(text_to_html(above))
            opens = cell.cell_type == "markdown" and HEADING.match(cell.source)
            if kind == "slide" or not sections:
                sections.append([Slide()])
            elif kind == "subslide" or opens:
                sections[-1].append(Slide())
            sections[-1][-1].blocks += blocks_of(cell)
        if not sections:
            continue
        if kind == "notes":
            sections[-1][-1].notes.append(text_to_html(cell.source))
        if notes := cell.metadata.get("speaker_notes"):
            sections[-1][-1].notes.append(text_to_html(notes))
    return sections


# --- From slides to files


def to_page(notebook: NotebookNode, folder: Path) -> str:
    """The whole deck as one page; pictures of the notebook are copied to where the deck is."""
    title = re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)
    slides = "\n".join(
        f"<section>{''.join(slide.to_html() for slide in section)}</section>"
        for section in sections_of(notebook)
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
    (target / "highlight.css").write_text(FORMATTER.get_style_defs(".highlight"), encoding="utf-8")


def build(paths: list[Path], folder: Path = FOLDER) -> list[Path]:
    """Write a deck for each notebook, and a page that lists them."""
    copy_assets(folder)
    decks, links = [], []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        deck = folder / f"{path.stem}.html"
        deck.write_text(to_page(notebook, folder), encoding="utf-8")
        decks.append(deck)
        heading = notebook.cells[0].source.partition("\n")[0].lstrip("# ")
        links.append(f'<li><a href="{deck.name}">{html.escape(heading)}</a></li>')
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Slides</title>'
        '<link rel="stylesheet" href="assets/deck.css"></head><body><main class="contents"><h1>Slides</h1>'
        "<p>S opens the speaker's window, F fills the"
        f" screen.</p><ul>{''.join(links)}</ul></main></body></html>"
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
    return decks


# --- Looking at every slide

MEASURE = """
() => {
  const slide = Reveal.getCurrentSlide();
  const shown = (e) =>
    e.checkVisibility({visibilityProperty: true}) && !e.closest("aside, mjx-assistive-mml");
  const found = {out: [], scroll: [], broken: [], smallest: 1e9, raw: ""};
  const page = slide.querySelector(".page");
  const zoom = parseFloat(page.style.zoom || 1);
  found.zoom = zoom;
  for (const e of page.querySelectorAll("*")) {
    if (!shown(e) || e.closest("mjx-container svg")) continue;
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
    const size = parseFloat(style.fontSize) * (e.currentCSSZoom ?? zoom);
    if (ownText) found.smallest = Math.min(found.smallest, size);
    if (e.tagName === "IMG" && !e.naturalWidth) found.broken.push(`${name} has no picture`);
    if (e.tagName === "IMG" && !e.alt.trim()) found.broken.push(`${name} has no alternative text`);
  }
  for (const e of page.querySelectorAll("mjx-merror, [data-mjx-error]"))
    found.broken.push("mathematics: " + e.textContent);
  const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const typeset = parent.closest("pre, code, mjx-container, script, style");
    if (!typeset && /\\$[^$]+\\$/.test(walker.currentNode.textContent)) {
      found.raw = walker.currentNode.textContent.trim().slice(0, 60);
    }
  }
  found.empty = !page.textContent.trim() && !page.querySelector("img, svg");
  found.place = Reveal.getIndices();
  return found;
}
"""


def look_at(chromium, deck: Path) -> tuple[list[str], str]:
    """Show every slide of a deck at 1280 by 720. Returns what is wrong, and a line of figures.

    With BROWSER_PICTURES set to a folder, every slide is photographed there.
    """
    pictures = os.environ.get("BROWSER_PICTURES")
    context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT}, offline=True)
    page = context.new_page()
    watch = browser.Watch(page)
    page.goto(deck.as_uri())
    page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=60_000)
    wrong, smallest, smallest_zoom, maths, notes = [], 1e9, 1.0, 0, 0
    count = page.evaluate("Reveal.getTotalSlides()")
    for number in range(1, count + 1):
        seen = page.evaluate(MEASURE)
        place = f"{deck.stem}, slide {number} of {count}"
        for kind, words in [
            ("out", "stands out of the slide"),
            ("scroll", "scrolls"),
            ("broken", "is broken"),
        ]:
            wrong += [f"{place}: {what} {words}" for what in seen[kind][:2]]
        if seen["raw"]:
            wrong.append(f"{place}: mathematics is not set: {seen['raw']}")
        if seen["empty"]:
            wrong.append(f"{place}: nothing on it")
        if seen["smallest"] < SMALLEST_TEXT:
            wrong.append(f"{place}: text of {seen['smallest']:.1f} pixels, smaller than {SMALLEST_TEXT:g}")
        smallest, smallest_zoom = min(smallest, seen["smallest"]), min(smallest_zoom, seen["zoom"])
        if pictures:
            page.screenshot(path=Path(pictures) / f"{deck.stem}-{number:02d}.png")
        page.evaluate("Reveal.next()")
    maths = page.evaluate("document.querySelectorAll('mjx-container').length")
    notes = page.evaluate("document.querySelectorAll('aside.notes').length")
    wrong += [f"{deck.stem}: {error}" for error in watch.errors]
    wrong += [f"{deck.stem}: asks the network for {address}" for address in watch.foreign]
    context.close()
    figures = (
        f"{deck.stem}: {count} slides, {maths} formulas, {notes} notes, smallest text {smallest:.1f} pixels,"
        f" smallest zoom {smallest_zoom:.2f}"
    )
    return wrong, figures


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
