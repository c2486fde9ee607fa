"""A notebook copied alone into an empty folder: it shows its diagrams, and its links lead somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SITE = "https://bert-course.github.io/bert-course"
DIAGRAM = re.compile(r"""^show\.diagram\("(\w+)"\)$""", re.MULTILINE)
SHOW = """
import sys
import IPython.display
from course_utils.classroom import show
IPython.display.display = lambda page: print(page.data)
for name in sys.argv[1:]:
    show.diagram(name)
"""


def cells(path: Path, kind: str) -> list[dict]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_picture_is_read_from_beside_the_notebook(path):
    for cell in cells(path, "markdown"):
        assert not re.search(r"!\[[^\]]*\]\((?!attachment:|data:|#)", "".join(cell["source"]))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_knows_its_own_page_on_the_reading_site(path):
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    assert f"]({SITE}/notebooks/{path.stem}.html)" in text


def test_diagrams_are_drawn_in_an_empty_folder_as_they_are_stored(tmp_path):
    stored = {}
    for path in NOTEBOOKS:
        for cell in cells(path, "code"):
            names = DIAGRAM.findall("".join(cell["source"]))
            data = [output["data"] for output in cell["outputs"] if "data" in output]
            stored |= {name: "".join(shown["text/html"]) for name, shown in zip(names, data, strict=False)}
    assert len(stored) >= 14
    command = [sys.executable, "-c", SHOW, *stored]
    drawn = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert drawn.stdout.decode().splitlines() == list(stored.values())
