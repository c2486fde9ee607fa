"""Pages and parts of the reading site that are gathered from what the course holds: the map as cards and as
navigation, what is measured, all pictures with their words, all long experiments with what they found.

Nothing is listed by hand: notebooks come from the map in README.md, pictures and findings from the notebooks.
"""

import ast
import base64
import html
import io
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image

from course_utils.classroom import NUMBER_OF
from tools import ROOT
from tools.notebook_rules import anchor
from tools.notebooks import FOLDER as NOTEBOOKS

MAP_ROW = re.compile(
    r"(?m)^\| (?P<number>\d\d) \| \[(?P<title>[^]]+)\]\(notebooks/(?P<stem>\S+)\.ipynb\)"
    r" \| (?P<question>.+?) \| (?P<minutes>\d+) \|$"
)
ABOUT_EXPERIMENTS = """What takes too long for a notebook was run once, and its result is stored with its
settings. Each notebook reads the result and repeats a part. The commands make the results anew."""
CARD_WIDTH = 480  # pixels: 240 on the page, sharp on a fine screen
BERT_WHOLE, FULL_RUN = "The whole of BERT", "The full run"  # sections of 06 and 09 that show what is measured
TOP_OF_CARDS = ROOT / "docs" / "cards.toml"


@dataclass(frozen=True)
class Row:
    """A notebook in the map of README.md."""

    number: str
    title: str
    stem: str
    question: str
    minutes: str


@dataclass(frozen=True)
class Picture:
    """A figure of a notebook: where it stands, its bytes, and its words."""

    cell: int
    section: str  # the heading above it
    png: bytes
    words: str


def course_map() -> list[Row]:
    """The notebooks, in reading order, as README.md lists them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [Row(**match.groupdict()) for match in MAP_ROW.finditer(text)]


@cache
def read(stem: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)


def headings(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """(cell, heading) of every section."""
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for match in re.finditer(r"(?m)^#{1,3} (.+)$", cell.source):
                yield place, match[1]


def section_of(notebook: NotebookNode, cell: int) -> str:
    """The heading under which a cell stands."""
    return [heading for place, heading in headings(notebook) if place <= cell][-1]


def pictures(stem: str) -> list[Picture]:
    """The figures of a notebook that carry words, in their order."""
    notebook, found = read(stem), []
    for place, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            words = output.get("metadata", {}).get("image/png", {}).get("alt")
            if words:
                png = base64.b64decode(output["data"]["image/png"])
                found.append(Picture(place, section_of(notebook, place), png, words))
    return found


def fragment(section: str) -> str:
    """The end of an address that leads to a section; Sphinx makes no place of a name with quotation marks."""
    return "" if '"' in section else f"#{anchor(section)}"


def link(row: Row, section: str) -> str:
    return f"notebooks/{row.stem}.html{html.escape(fragment(section))}"


# --- The map


def best_picture(row: Row) -> Picture | None:
    """The one that `docs/cards.toml` names by words of its description; else the first, if there is one."""
    wanted, found = wanted_pictures().get(row.number), pictures(row.stem)
    chosen = [picture for picture in found if wanted and wanted in picture.words]
    return next(iter(chosen or found), None)


def wanted_pictures() -> dict[str, str]:
    """For numbers of notebooks, words of the picture that their cards show."""
    return tomllib.loads(TOP_OF_CARDS.read_text(encoding="utf-8"))


def cards(folder: Path) -> str:
    """The map as HTML, a card for each notebook; its picture goes into `folder`, the site's static files."""
    (folder / "cards").mkdir(parents=True, exist_ok=True)
    lines = ['<ol class="cards">']
    for row in course_map():
        picture, shown = best_picture(row), ""
        if picture is not None:
            image = Image.open(io.BytesIO(picture.png)).convert("RGB")
            image.thumbnail((CARD_WIDTH, CARD_WIDTH))
            image.save(folder / "cards" / f"{row.number}.png", optimize=True)
            size = f'width="{image.width // 2}" height="{image.height // 2}"'
            shown = f'<img class="figure" src="_static/cards/{row.number}.png" alt="" loading="lazy" {size}>'
        lines.append(
            f'<li><a href="notebooks/{row.stem}.html"><span class="card-picture">{shown}</span>'
            f'<span class="card-title">{row.number} {html.escape(row.title)}</span>'
            f'<span class="card-question">{html.escape(row.question)}</span>'
            f'<span class="card-minutes">{row.minutes} minutes</span></a></li>'
        )
    return "\n".join([*lines, "</ol>"])


def navigation() -> str:
    """The entries of the table of contents: number, title and minutes of each notebook."""
    return "\n".join(
        f"{row.number} {row.title} · {row.minutes} min <notebooks/{row.stem}>" for row in course_map()
    )


# --- What is measured


def measured() -> str:
    """Three figures with links to the cells that show them: parity, gap, and what every change must pass."""
    rows = {row.number: row for row in course_map()}
    log = ROOT / "course_utils" / "data" / "embedded" / "training.json"
    result = json.loads(log.read_text(encoding="utf-8"))["result"]
    cells = sum(cell.cell_type == "code" for row in rows.values() for cell in read(row.stem).cells)
    gap, error = f"{result['gap']:.3f}", f"{result['gap_standard_error']:.3f}"
    best = f"nats between the small model ({result['model']:.2f}) and the best that any model could reach"
    start = section_of(read(rows["00"].stem), 0)
    figures = [
        ("10<sup>-5</sup>", "parity: our BERT against that of transformers", link(rows["06"], BERT_WHOLE)),
        (gap, f"gap: {best}, ± {error}", link(rows["09"], FULL_RUN)),
        (f"{cells:,}", "cells of code, all run before every change", link(rows["00"], start)),
    ]
    items = [
        f'<li><a href="{address}"><strong>{figure}</strong> <span>{words}</span></a></li>'
        for figure, words, address in figures
    ]
    return "\n".join(['<ul class="measured">', *items, "</ul>"])


# --- All pictures, all experiments


def picture_page(folder: Path) -> str:
    """A page with every figure of the course and its words, in Markdown; the figures go into `folder`."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    parts = [
        "# Pictures",
        "Every figure of the notebooks, each with its words and the section that it belongs to.",
    ]
    for row in course_map():
        parts.append(f"## {row.number} {row.title}")
        for count, picture in enumerate(pictures(row.stem)):
            name = f"{row.number}_{count}.png"
            (folder / "pictures" / name).write_bytes(picture.png)
            width, height = Image.open(io.BytesIO(picture.png)).size
            words = html.escape(" ".join(picture.words.split()))
            parts.append(
                f'<figure class="picture"><img class="figure" loading="lazy" src="_static/pictures/{name}"'
                f' alt="{words}" width="{width * 2 // 3}" height="{height * 2 // 3}">\n'
                f'<figcaption><a href="{link(row, picture.section)}">{html.escape(picture.section)}</a>\n'
                f"<details><summary>In words</summary><p>{words}</p></details></figcaption></figure>"
            )
    return "\n\n".join(parts) + "\n"


def paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.strip().split("\n\n")]


def finding(notebook: NotebookNode, module: str) -> tuple[int, str] | None:
    """The cell that reads a stored experiment, what it prints, and what is said about it."""
    lesson, name = module.split(".")
    load = re.compile(rf"lessons\.{lesson} import (?:\w+, )*{name}(?: as (?P<alias>\w+))?")
    alias = None
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if found := load.search(cell.source):
            alias = found["alias"] or name
        if alias and re.search(rf"\b{alias}\.(load|stored)\(", cell.source):
            printed = "".join(output.get("text", "") for output in cell.outputs).rstrip()
            after = next((c for c in notebook.cells[place + 1 :] if c.cell_type == "markdown"), None)
            said = [part for part in paragraphs(after.source if after else "") if part[0] not in "#|<!-"]
            shown = [f"```text\n{printed}\n```"] if printed else []
            return place, "\n\n".join([*shown, *said[:2]])
    return None


def from_above(text: str, stem: str) -> str:
    """Text of a notebook, its links as a page beside the folder `notebooks` needs them."""
    text = re.sub(r"\]\((?=\d\d_\w+\.ipynb)", "](notebooks/", text)
    text = re.sub(r"\]\((?=#)", f"](notebooks/{stem}.ipynb", text)
    return text.replace("](../", "](")


def experiment_page() -> str:
    """A page with every long experiment: its question, its command, and what the notebook says it found."""
    parts = ["# Experiments", ABOUT_EXPERIMENTS]
    rows = {row.number: row for row in course_map()}
    for lesson, number in NUMBER_OF.items():
        folder = ROOT / "course_utils" / "lessons" / lesson
        for path in sorted(folder.glob("*.py")):
            if number not in rows or not path.with_suffix(".json").exists():
                continue
            words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            question, *rest = paragraphs(words)
            row, shown = rows[number], finding(read(rows[number].stem), f"{lesson}.{path.stem}")
            parts.append(f"## {number} {row.title}: {question.rstrip('.')}")
            parts += [part for part in rest[:1] if not part.startswith("-") and "ake it anew" not in part]
            if shown:
                section = section_of(read(row.stem), shown[0])
                where = f"[{section}](notebooks/{row.stem}.ipynb{fragment(section)})"
                parts.append(f"What it found, in {where}:\n\n{from_above(shown[1], row.stem)}")
            parts.append(f"Made by\n\n```\npython -m course_utils.lessons.{lesson}.{path.stem}\n```")
    return "\n\n".join(parts) + "\n"


def add_all(source: Path) -> None:
    """Write the gathered pages, and put the gathered parts into `index.md` where it asks for them."""
    static = source / "_static"
    (source / "pictures.md").write_text(picture_page(static), encoding="utf-8")
    (source / "experiments.md").write_text(experiment_page(), encoding="utf-8")
    index = source / "index.md"
    text = index.read_text(encoding="utf-8")
    text = text.replace("NOTEBOOKS", navigation())
    for name, part in {"cards": cards(static), "measured": measured()}.items():
        text = text.replace(f"<!-- {name} -->", part)
    index.write_text(text, encoding="utf-8")
