"""Printing matrices with words, and showing drawings."""

import base64
import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from course_utils.classroom import show

ROOT = Path(__file__).resolve().parent.parent


def test_rows_align_words_numbers_and_columns(capsys):
    show.rows(["a", "bank"], torch.tensor([[1.0, -0.25], [10.0, 0.0]]), columns=["x", "yy"])
    assert capsys.readouterr().out == "          x     yy\n   a   1.00  -0.25\nbank  10.00   0.00\n"


def test_booleans_strings_and_whole_numbers_print_as_they_are(capsys):
    show.rows(["m", "n"], [[True, False], ["the", 7]])
    assert capsys.readouterr().out == "m  yes  ·\nn  the  7\n"


@pytest.mark.parametrize("kind", [torch.tensor, np.array, np.float32, np.float64])
def test_a_number_in_a_tensor_or_of_numpy_prints_as_a_number(capsys, kind):
    show.rows(["cosine"], [[kind(0.69846), 1.0]])
    assert capsys.readouterr().out == "cosine  0.70  1.00\n"


@pytest.mark.parametrize(
    ("truth", "number"), [(torch.tensor(True), torch.tensor(7)), (np.True_, np.int64(7))]
)
def test_a_boolean_and_a_whole_number_of_torch_or_numpy_too(capsys, truth, number):
    show.rows(["m"], [[truth, number, ~truth]])
    assert capsys.readouterr().out == "m  yes  7  ·\n"


def test_what_rounds_to_zero_has_no_sign(capsys):
    show.rows(["x"], [[-1e-9, -0.004, 0.0, 1e-9, -0.006]])
    assert capsys.readouterr().out == "x  0.00  0.00  0.00  0.00  -0.01\n"


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="words: expected one for each of 2 rows, got 1"):
        show.rows(["a"], [[1], [2]])
    with pytest.raises(ValueError, match="columns: expected one for each of 1 columns, got 2"):
        show.rows(["a"], [[1]], columns=["x", "y"])


# --- Diagrams


def shown(name, capture):
    """The HTML that `diagram` displays."""
    shown = []
    capture.setattr("IPython.display.display", lambda page: shown.append(page.data))
    show.diagram(name)
    return shown[0]


@pytest.mark.parametrize("path", sorted((ROOT / "img").glob("*.svg")), ids=lambda path: path.stem)
def test_a_diagram_is_shown_whole_and_described(path, monkeypatch):
    page = shown(path.stem, monkeypatch)
    source = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', page)[1]
    assert base64.b64decode(source) == path.read_bytes()
    root = ElementTree.fromstring(path.read_bytes())
    words = html.unescape(re.search(r'alt="([^"]+)"', page)[1])
    assert words == f"{root[0].text}. {root[1].text}"


def test_an_unknown_diagram_is_named():
    with pytest.raises(ValueError, match="name: expected one of architecture, attention_matrix"):
        show.diagram("nothing")


def test_the_package_carries_everything_that_lies_in_it(tmp_path):
    """Built as Colab builds it, and read from an empty folder, far from the clone."""
    clone = tmp_path / "clone"
    for name in ("course_utils", "img"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
        shutil.copy(ROOT / name, clone)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--target", str(tmp_path / "site"), str(clone)], check=True, capture_output=True
    )
    lost = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "course_utils").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".unfinished." not in path.name
        if not (tmp_path / "site" / path.relative_to(ROOT)).is_file()
    ]
    assert lost == []
    shutil.rmtree(clone)
    empty = tmp_path / "empty"
    empty.mkdir()
    code = "from course_utils.classroom import show; print(show.__file__); show.diagram('attention_matrix')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    where, displayed = done.stdout.splitlines()
    assert Path(where).is_relative_to(tmp_path / "site") and "HTML" in displayed
