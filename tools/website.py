"""Make the reading site from the executed notebooks, in build/site: open build/site/index.html, with no
server at all.

    python -m tools.website                make the site; a warning of Sphinx fails
    python -m tools.website --check        make it, then follow every link and look at every page in Chromium
                                           (tests/pages)

The look covers the light and the dark theme: nothing may come from the network, the console stays empty, and
axe-core must find no serious or critical fault. Panels that answer without a kernel (live_panels.py) must
compute what the Python model computes.
"""

import argparse
import base64
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

import nbformat
from nbformat import NotebookNode

from course_utils import commands, tables
from tools import ROOT, assets, browser, live_panels, site_pages
from tools.lock import read_project
from tools.notebooks import FOLDER as NOTEBOOKS

SOURCE = ROOT / "build" / "site-source"
SITE = ROOT / "build" / "site"
SERIOUS = {"serious", "critical"}
TESTS = [f"tests/pages/test_{name}.py" for name in ("site", "panels", "reading")]
NOT_ATTEMPTED = ": not attempted yet."
NOT_PUBLIC = ("exam_keys.md",)  # pages of docs/ that stay in the repository, with those who teach
DRAWING = re.compile(
    r'<img (?P<words>alt="[^"]*") src="data:image/svg\+xml;base64,(?P<data>[^"]*)" style="max-width:100%">'
)
THEMES = ("light", "dark")
RULES_OF_COLOUR = ["color-contrast", "link-in-text-block"]  # of axe-core, within TAGS
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
# A notebook's page holds up to 10,000 coloured words of code, and axe-core looks at each of them under every
# rule. Which colours a word has follows from its own class and those around it, so the first of each kind
# stays, and the others become the text that they hold. It takes a fifth of the time, and the same is found.
ONE_OF_EACH_COLOUR = """() => {
    const seen = new Set();
    const kind = e => e ? `${kind(e.parentElement)}>${e.tagName}.${e.className}[${e.style.cssText}]` : '';
    for (const word of document.querySelectorAll('.highlight pre span:not(:has(*))')) {
        const found = kind(word);
        if (seen.has(found) && word.attributes.length < 2) word.replaceWith(word.textContent);
        seen.add(found);
    }
    document.querySelectorAll('.highlight pre').forEach(code => code.normalize()); }"""


# --- Gathering the pages


def ways_to_run(name: str) -> str:
    """Links that open one notebook on Binder and on Colab, in Markdown."""
    address = read_project()["urls"]["Repository"]
    slug = address.removeprefix("https://github.com/")
    path = quote(f"notebooks/{name}")
    binder = f"https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/{path}"
    colab = f"https://colab.research.google.com/github/{slug}/blob/main/{path}"
    return f"[Open in Binder]({binder}) · [Open in Colab]({colab}) · [The file]({address}/blob/main/{path})"


def for_reading(notebook: NotebookNode, name: str) -> NotebookNode:
    """The notebook with a line of links under its title, with its drawings in frames, and without the words
    that a check has for a stub: to be told to run a cell helps nobody who reads.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if NOT_ATTEMPTED not in output.get("text", "")]
            for output in cell.outputs:
                if "text/html" in output.get("data", {}):
                    output.data["text/html"] = DRAWING.sub(framed, output.data["text/html"])
    title, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n{ways_to_run(name)}\n{rest}"
    return notebook


def framed(drawing: re.Match) -> str:
    """A drawing in a box of its own. It is never smaller than it was drawn, so that its letters can be read;
    where the window is narrower, the box scrolls.
    """
    root = ElementTree.fromstring(base64.b64decode(drawing["data"]))
    width, height = root.get("width"), root.get("height")
    source = f'src="data:image/svg+xml;base64,{drawing["data"]}"'
    image = f'<img {drawing["words"]} {source} width="{width}" height="{height}">'
    return f'<div class="diagram" style="--drawn: {width}px">{image}</div>'


def exercise_index() -> str:
    """A page with every exercise, notebook by notebook, in Markdown."""
    from importlib import import_module

    from course_utils.classroom import progress

    parts = [
        "# Exercises",
        "Every exercise of the course. Open a notebook to solve them: each check names the slip it finds.",
    ]
    for module, names in progress.exercises().items():
        part = import_module(f"course_utils.exercises.{module}")
        number = progress.number(module)
        page = next(NOTEBOOKS.glob(f"{number}_*.ipynb"), None)
        heading = (
            f"[{number} {module.replace('_', ' ')}](notebooks/{page.name})" if page else f"{number} {module}"
        )
        rows = [[f"`{name}`", task_line(getattr(part, name).task)] for name in names]
        table = tables.markdown([["exercise", "what is asked"], *rows], words=2)
        parts.append(f"## {heading}\n\n" + "\n".join(table))
    return "\n\n".join(parts) + "\n"


def task_line(task: str) -> str:
    """The first sentence of a task, fit for a cell of a table."""
    text = " ".join(task.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`])", text)[0].replace("|", "\\|")


def gather(folder: Path = SOURCE) -> None:
    """Put everything that becomes a page into one folder, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns(*NOT_PUBLIC))
    for page in [ROOT / "GLOSSARY.md", *ROOT.glob("LEDGER*.md")]:
        shutil.copy(page, folder)
    shutil.copytree(ROOT / "img", folder / "img", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    picture = folder / "img" / "first_picture.svg"  # the site has a switch of its own for the night
    picture.write_text(
        re.sub(r"<style>.*?</style>", "", picture.read_text(encoding="utf-8")), encoding="utf-8"
    )
    (folder / "exercises.md").write_text(exercise_index(), encoding="utf-8")
    site_pages.add_all(folder)
    index = folder / "index.md"
    others = sorted(page.stem for page in folder.glob("*.md") if page != index)
    text = index.read_text(encoding="utf-8").replace("OTHER_PAGES", "\n".join(others))
    index.write_text(text.replace("REPOSITORY", read_project()["urls"]["Repository"]), encoding="utf-8")
    (folder / "notebooks").mkdir()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = for_reading(nbformat.read(path, as_version=4), path.name)
        nbformat.write(notebook, folder / "notebooks" / path.name)
    shutil.copy(assets.fetch("mathjax") / "es5" / "tex-svg.js", folder / "_static")


def build() -> int:
    """Run Sphinx; its exit code."""
    from sphinx.cmd.build import build_main

    shutil.rmtree(SITE, ignore_errors=True)
    doctrees = SOURCE.with_name("site-doctrees")
    return build_main(
        ["-q", "-W", "--keep-going", "-E", "-d", str(doctrees), "-b", "html", str(SOURCE), str(SITE)]
    )


def mend_headings() -> None:
    """Give the theme's captions, headings in name only, a level that screen readers can announce."""
    for path in SITE.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(' role="heading">', ' role="heading" aria-level="2">'), encoding="utf-8")


# --- Following every link


class Page(HTMLParser):
    """The names that a page defines and the addresses that it links to or loads."""

    def __init__(self, text: str):
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.names |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("img", "script", "source", "iframe") and found.get("src"):
            self.loads.append(found["src"])
        if tag == "link" and found.get("href") and found.get("rel") not in ("canonical", "author"):
            self.loads.append(found["href"])


def broken_links(site: Path) -> Iterator[str]:
    """Every link or picture within the site that leads nowhere, and everything loaded from elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        place = path.relative_to(site).as_posix()
        for address in page.loads:
            if urlsplit(address).netloc:
                yield f"{place} loads {address}"
        for address in [*page.links, *page.loads]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{place} links to {address}, which is not there"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                yield f"{place} links to {address}, and that page has no such place"


# --- Looking at every page


def look_at(chromium, path: Path, themes: Sequence[str] = THEMES) -> tuple[list[str], int]:
    """Open a page and show it in each theme. Returns what is wrong, and how many rules of axe-core it passed.

    The structure of a page is the same in all themes: after the first, only what is about colours is asked.
    """
    context = chromium.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=themes[0], offline=True
    )
    page = context.new_page()
    watch = browser.Watch(page)
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise")
    page.add_script_tag(path=assets.fetch("axe-core") / "axe.min.js")
    page.evaluate(ONE_OF_EACH_COLOUR)
    wrong, passed, rules = [], 0, {"type": "tag", "values": TAGS}
    for theme in themes:
        place = f"{path.stem} ({theme})"
        page.emulate_media(color_scheme=theme)
        options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
        found = page.evaluate("options => axe.run(document, options)", options)
        wrong += [
            f"{place}: {fault['impact']}: {fault['help']}: {fault['nodes'][0]['html'][:120]}"
            f" ({len(fault['nodes'])} times)"
            for fault in found["violations"]
            if fault["impact"] in SERIOUS
        ]
        broken = page.evaluate(
            "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        )
        wrong += [f"{place}: no picture at {address[:80]}" for address in broken]
        wrong += [f"{place}: the page is wider than the window"] * page.evaluate(
            "document.documentElement.scrollWidth > innerWidth"
        )
        passed, rules = passed + len(found["passes"]), {"type": "rule", "values": RULES_OF_COLOUR}
    wrong += [f"{path.stem}: {error}" for error in watch.errors]
    wrong += [f"{path.stem}: asks the network for {address}" for address in watch.foreign]
    context.close()
    return wrong, passed


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="follow every link, look at every page in Chromium"
    )
    arguments = parser.parse_args()
    try:
        gather()
    except assets.AssetError as error:
        print(error, file=sys.stderr)
        return 1
    live_panels.add_all(SOURCE)
    warned = build() != 0
    mend_headings()
    if not (SITE / "index.html").exists():
        return 1
    print(f"open {(SITE / 'index.html').relative_to(ROOT)}")
    failed = arguments.check and browser.run_tests(TESTS) != 0
    return 1 if failed or warned else 0


if __name__ == "__main__":
    commands.run(main)
