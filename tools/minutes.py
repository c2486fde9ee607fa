"""How long a notebook takes to read, by one rule for all of them, and write it wherever it is named.

    python -m tools.minutes

Prose is read at 160 words a minute, slowly, since it is studied; code at 20 lines a minute; an exercise takes
four minutes. The sum, rounded to five minutes, stands in the head of the notebook, in the map of README.md,
in the table of docs/instructors.md, and, all together, in docs/schedule.md. A test holds the four to it.
"""

import argparse
import re
from pathlib import Path

import nbformat

from tools import ROOT, notebooks

WORDS_A_MINUTE, CODE_LINES_A_MINUTE, MINUTES_AN_EXERCISE = 160, 20, 4
WORD = re.compile(r"[A-Za-z][\w'-]*")
ADDRESS = re.compile(r"\(http[^)]*\)")
HEAD = re.compile(r"\bAbout \d+ minutes\b")
HOURS = re.compile(r"\babout \d+ hours\b")
ROW = {
    "README.md": r"(?m)^(\| {number} \|.*\| )\d+( \|)$",
    "docs/instructors.md": r"(?m)^(\| {number} \| )\d+( \|.*)$",
}


def minutes(notebook) -> int:
    """Minutes of reading and trying, a multiple of five."""
    words = lines = exercises = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            words += len(WORD.findall(ADDRESS.sub("", cell.source)))
        elif "remove-cell" not in cell.metadata.get("tags", []):
            lines += sum(bool(line.strip()) for line in cell.source.splitlines())
            exercises += len(re.findall(r"(?m)^ex\.\w+\.check\(", cell.source))
    exact = words / WORDS_A_MINUTE + lines / CODE_LINES_A_MINUTE + exercises * MINUTES_AN_EXERCISE
    return 5 * round(exact / 5)


def replaced(pattern: str | re.Pattern, replacement: str, text: str, where: str) -> str:
    text, count = re.subn(pattern, replacement, text)
    if count != 1:
        raise SystemExit(f"{where}: expected its minutes in one place, got {count}")
    return text


def pages() -> dict[Path, str | nbformat.NotebookNode]:
    """Every file that names minutes, as it must be."""
    written: dict[Path, str | nbformat.NotebookNode] = {}
    texts = {ROOT / name: (ROOT / name).read_text(encoding="utf-8") for name in ROW}
    total = 0
    for path in sorted(notebooks.FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        number, value = path.name[:2], minutes(notebook)
        total += value
        head = notebook.cells[0]
        head.source = replaced(HEAD, f"About {value} minutes", head.source, path.name)
        written[path] = notebook
        for name, row in ROW.items():
            texts[ROOT / name] = replaced(
                row.format(number=number), rf"\g<1>{value}\g<2>", texts[ROOT / name], f"{name}, {number}"
            )
    schedule = ROOT / "docs" / "schedule.md"
    texts[schedule] = replaced(
        HOURS, f"about {round(total / 60)} hours", schedule.read_text(encoding="utf-8"), schedule.name
    )
    return written | texts


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.minutes", description=__doc__).parse_args()
    for path, page in pages().items():
        if isinstance(page, str):
            path.write_text(page, encoding="utf-8", newline="\n")
        else:
            path.write_bytes(notebooks.to_bytes(page))
