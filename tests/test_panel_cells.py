"""Which cells the browser runs: those that panels depend on, by reading the code."""

import builtins

import nbformat
import pytest

from tools import panel_cells
from tools.notebooks import chosen

SHOW = "from course_utils import widgets\n\nwidgets.fill_blank(model, tokenizer)"


def needed(*sources: str) -> list[int]:
    """The places that the rule finds among cells with these sources."""
    return panel_cells.needed(nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources))))


@pytest.mark.parametrize(
    ("sources", "places"),
    [
        (["model = 1", "other = 2", "tokenizer = 3", SHOW], [0, 2, 3]),
        (["a = 1", "b = a", "model = tokenizer = b", SHOW], [0, 1, 2, 3]),  # through other names
        ([SHOW, "model = 1"], [0]),  # what comes after is not needed
        (["model = 1", "model = 2", SHOW], [1, 2]),  # only what is there at the end
        (["model = 1", "if odd:\n    model = 2", SHOW], [0, 1, 2]),  # or what may be there
        (["model = 1", "if odd:\n    model = 2\nelse:\n    model = 3", SHOW], [1, 2]),
        (["model = 1", "model += 1", SHOW], [0, 1, 2]),
        (["model = []", "for model in range(3):\n    pass", SHOW], [0, 1, 2]),
        (["x = 1", "for x in range(3):\n    model = x", SHOW], [1, 2]),  # a loop brings its own names
        (["row = 1", "model = [row for row in range(3)]", SHOW], [1, 2]),
        (
            ["row = [2]", "model = [row for row in row]", SHOW],
            [0, 1, 2],
        ),  # what it goes through is read outside
        (["row = 1", "model = [[row for row in r] for r in range(3)]", SHOW], [1, 2]),
        (["row = 1", "def model(row):\n    return row", SHOW], [1, 2]),
        (["def model():\n    return depth", "depth = 1", SHOW], [0, 1, 2]),  # looked up when it is called
        (["f = open", "with f() as model:\n    x = model", SHOW], [0, 1, 2]),
        (["import torch", "torch.manual_seed(0)", "model = torch.ones(2)", SHOW], [0, 2, 3]),
        (["model = []", "model.append(1)", SHOW], [0, 1, 2]),  # changed by a method,
        (["model = {}", "model['a'] = 1", SHOW], [0, 1, 2]),  # an element,
        (["model = open", "model.depth = 1", SHOW], [0, 1, 2]),  # an attribute,
        (
            ["model = open", "def train(x):\n    x.clear()", "train(model)", SHOW],
            [0, 1, 2, 3],
        ),  # or a function
        (
            ["finetune = open", "model = tokenizer = 1", "finetune(model, 2)", SHOW],
            [0, 1, 2, 3],
        ),  # the model,
        (
            ["model = tokenizer = 1", "x = 2", "course.finetune(x, tokenizer, y=model)", SHOW],
            [0, 3],
        ),  # no more
        (["model = 1", "print(model)", "show.rows(model)", "assert model", "model.shape", SHOW], [0, 5]),
        (["from ipywidgets import HTML", "text = ''", "%matplotlib inline\nHTML(text)"], [0, 1, 2]),
        (["import ipywidgets", "1", "ipywidgets.HTML('')"], [0, 2]),
        (["from course_utils.widgets import relatives", "1", "relatives()"], [0, 2]),
        (["model = 1", "print(model)"], []),
    ],
)
def test_what_panels_depend_on_is_found(sources, places):
    assert needed(*sources) == places


@pytest.mark.parametrize("path", chosen([]), ids=lambda path: path.stem)
def test_every_notebook_shows_a_panel_and_its_cells_bind_every_name_that_they_read(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [panel_cells.read(notebook.cells[place].source) for place in panel_cells.needed(notebook)]
    assert cells
    bound = set(dir(builtins))
    for cell in cells:
        bound |= cell.binds
        assert cell.reads <= bound
    assert set().union(*(cell.reads_later for cell in cells)) <= bound
