"""Write LEDGER.md: what readers meet about BERT, what is so, and the cell that shows it.

    python -m tools.ledger

The rows stand in `docs/ledger.toml`. Each names its proof: a notebook, and a piece of code that stands in one
cell of it and nowhere else. The page links the heading above that cell. A proof that is gone, or that stands
in a cell without an assert or without a run, stops the page; `tests/test_ledger.py` follows every link anew.
"""

import argparse
import tomllib
from dataclasses import dataclass

import nbformat

from course_utils import tables
from tools import ROOT
from tools.notebook_rules import HEADING, anchor

TABLE = ROOT / "docs" / "ledger.toml"
PAGE = ROOT / "LEDGER.md"
PARTS = {
    "A": "Input and tokens",
    "B": "Attention and the block",
    "C": "Pretraining",
    "D": "Scores and family",
    "E": "A published profile, audited",
}
INTRODUCTION = """# The truth ledger

Claims about BERT that readers meet in notes, tutorials and talks, and what is so. Every row links the place
in a notebook where a cell shows it. Rows of part E come from one published profile of bert-base-uncased at
one row of 128 tokens. (The cells and this page are held together by a test.)
"""


@dataclass(frozen=True)
class Proof:
    """The cell that shows a row: its notebook (without .ipynb), its number, the heading above it."""

    notebook: str
    cell: int
    heading: str

    @property
    def link(self) -> str:
        return (
            f"[{self.notebook[:2]}, {self.heading}](notebooks/{self.notebook}.ipynb#{anchor(self.heading)})"
        )


def rows() -> list[dict]:
    """The rows of the table, as written."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))["row"]


def find(notebook: str, code: str) -> Proof:
    """The one executed cell with an assert that holds `code`, or ValueError."""
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    if not path.is_file():
        raise ValueError(f"there is no notebook {notebook}")
    content = nbformat.read(path, as_version=4)
    heading, found = "", []
    for number, cell in enumerate(content.cells):
        if cell.cell_type == "markdown":
            heading = ([text for _, text in HEADING.findall(cell.source)] or [heading])[-1]
        elif code in cell.source:
            found.append((Proof(notebook, number, heading), cell))
    if len(found) != 1:
        raise ValueError(f"{notebook}: {len(found)} cells hold {code!r}; the proof must be one cell")
    proof, cell = found[0]
    if "assert" not in cell.source or not cell.execution_count:
        raise ValueError(f"{notebook}, cell {proof.cell}: no assert, or not executed, so it proves nothing")
    return proof


def in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def page() -> str:
    """The ledger as Markdown: one table a part."""
    lines, problems = [INTRODUCTION], []
    for part, title in PARTS.items():
        table = [["", "you may read", "what is so", "source", "shown in"]]
        for row in (row for row in rows() if row["id"].startswith(part)):
            links = []
            for proof in row["shown"]:
                try:
                    links.append(find(**proof).link)
                except ValueError as error:
                    problems.append(f"{row['id']}: {error}")
            texts = [in_a_cell(row[name]) for name in ("id", "claim", "truth", "source")]
            table.append([*texts, "; ".join(links)])
        lines += [f"## {part}. {title}\n", *tables.markdown(table, words=5), ""]
    if problems:
        raise SystemExit("\n".join(problems))
    return "\n".join(lines)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.ledger", description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
