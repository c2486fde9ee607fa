"""The truth ledger: every row has its cell, every link leads somewhere, and the page is the one that is
committed.
"""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent

from tools import ledger
from tools.notebook_rules import HEADING, anchor

ROWS = ledger.rows()
EXPECTED = {"A": 7, "B": 10, "C": 12, "D": 13, "E": 8}


def test_ids_are_those_of_the_five_parts_without_a_gap():
    wanted = [f"{part}{n}" for part, count in EXPECTED.items() for n in range(1, count + 1)]
    assert [row["id"] for row in ROWS] == wanted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_row_says_everything_and_is_shown(row):
    assert set(row) == {"id", "claim", "truth", "source", "shown"}
    assert all(row[name].strip() for name in ("claim", "truth", "source"))
    assert row["shown"], "a row without a cell is only an opinion"
    for proof in row["shown"]:
        ledger.find(**proof)


def test_committed_page_is_the_one_that_the_table_makes():
    assert ledger.PAGE.read_text(encoding="utf-8") == ledger.page(), "run `make pages`"


def test_every_link_of_the_page_leads_to_a_heading():
    links = re.findall(r"\]\((notebooks/[^)#]+)#([^)]+)\)", ledger.PAGE.read_text(encoding="utf-8"))
    assert len(links) >= len(ROWS)
    for file, target in links:
        cells = nbformat.read(ROOT / file, as_version=4).cells
        headings = [
            text for cell in cells if cell.cell_type == "markdown" for _, text in HEADING.findall(cell.source)
        ]
        assert target in {anchor(text) for text in headings}


def test_a_missing_a_doubled_and_an_empty_proof_are_refused():
    with pytest.raises(ValueError, match="no notebook"):
        ledger.find("99_nothing", "assert True")
    with pytest.raises(ValueError, match="0 cells hold"):
        ledger.find("05_masks", "no such code in this notebook")
    with pytest.raises(ValueError, match="cells hold"):
        ledger.find("05_masks", "assert")
    with pytest.raises(ValueError, match="proves nothing"):
        ledger.find("05_masks", 'words = ["the", "bank", "was", "robbed", "yesterday"]')
