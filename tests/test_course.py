"""What holds the course together: taught code is library code, and the glossary follows the notebooks."""

from pathlib import Path

import nbformat
import pytest

from tools import glossary, taught

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def tagged_cells() -> list:
    """(cell, names) of every cell that says it defines what the package defines."""
    found = []
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            if names := taught.names_of(cell):
                found.append(pytest.param(cell, names, id=f"{cell.id}-{names[0]}"))
    return found


@pytest.mark.parametrize(("cell", "names"), tagged_cells())
def test_taught_code_is_library_code(cell, names):
    assert cell.source == taught.cell_source(cell.source, names), "run `make notebooks`"


def test_drift_of_one_sign_is_written_back():
    name = "course_utils.masks.to_attention_bias"
    source = taught.lesson_source(name)
    drifted = source.replace("~mask", "mask")
    assert drifted != source
    assert taught.cell_source(drifted, [name]) == source


def test_a_cell_keeps_what_stands_around_its_definitions():
    name = "course_utils.masks.to_attention_bias"
    cell = f"import torch\n\n\n{taught.lesson_source(name)}\n\n\nprint(torch.ones(2))"
    assert taught.cell_source(cell, [name]) == cell
    empty = "import torch"
    assert taught.cell_source(empty, [name]).startswith("import torch\n\n\ndef to_attention_bias(")


def test_a_lesson_leaves_out_docstrings_and_annotations_and_keeps_comments():
    source = '''
def double(x: "é", *, times: int = 2) -> dict[str, int]:
    """Two lines

    of text."""
    # Why: said here.
    def inner(y: int) -> int:
        z: int = y
        return y * times  # the product

    return inner(x)
'''
    expected = """
def double(x, *, times = 2):
    # Why: said here.
    def inner(y):
        z = y
        return y * times  # the product

    return inner(x)
"""
    assert taught.without_hints(source) == expected


@pytest.mark.parametrize("name", ["course_utils.masks.nothing", "course_utils.mlm.MASK_SHARE"])
def test_a_tag_that_names_no_definition_is_refused(name):
    with pytest.raises(ValueError, match="expected a function or class"):
        taught.lesson_source(name)


def test_glossary_is_what_the_notebooks_say():
    assert glossary.PAGE.read_text(encoding="utf-8") == glossary.page(), "run `make pages`"


def test_a_term_without_an_introduction_is_found():
    cell = nbformat.v4.new_markdown_cell(
        "A **mask** is a table. It says more.\n\n**New terms**: **mask**, **query**."
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert glossary.terms_of(notebook) == ["mask", "query"]
    assert glossary.introduction(notebook, "mask") == "A mask is a table."
    assert glossary.introduction(notebook, "query") is None
