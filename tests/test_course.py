"""What holds the course together: taught code is library code, and the glossary follows the notebooks."""

import ast
import importlib
import inspect
import textwrap
from pathlib import Path

import nbformat
import pytest

import glossary

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PREFIX = "same-as:"


def tagged_cells() -> list:
    """(notebook, tag, source) of every cell that says it defines what the package defines."""
    found = []
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            tags = [
                tag.removeprefix(PREFIX) for tag in cell.metadata.get("tags", []) if tag.startswith(PREFIX)
            ]
            found += [pytest.param(tag, cell.source, id=f"{path.stem}-{tag}") for tag in tags]
    return found


class WithoutAnnotations(ast.NodeTransformer):
    """`x: int = 1` becomes `x = 1`."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return ast.Assign([node.target], node.value) if node.value else node


def shape_of(source: str, name: str) -> str:
    """The syntax tree of a definition, without docstrings and annotations, which a lesson may leave out."""
    tree = next(n for n in ast.parse(source).body if getattr(n, "name", None) == name)
    tree = WithoutAnnotations().visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.dump(tree)


def package_source(full_name: str) -> str:
    module, _, name = full_name.rpartition(".")
    return textwrap.dedent(inspect.getsource(getattr(importlib.import_module(module), name)))


@pytest.mark.parametrize(("full_name", "source"), tagged_cells())
def test_taught_code_is_library_code(full_name, source):
    name = full_name.rpartition(".")[2]
    assert shape_of(source, name) == shape_of(package_source(full_name), name)


def test_drift_of_one_sign_is_found():
    name = "course_utils.masks.to_attention_bias"
    source = package_source(name)
    drifted = source.replace("~mask", "mask")
    assert drifted != source
    assert shape_of(drifted, "to_attention_bias") != shape_of(source, "to_attention_bias")
    without_docstring = ast.unparse(ast.parse(source))
    assert shape_of(without_docstring, "to_attention_bias") == shape_of(source, "to_attention_bias")


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
