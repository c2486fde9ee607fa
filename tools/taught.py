"""Taught code is library code: the source that a lesson shows of a definition in the package.

A cell with the tag `same-as:course_utils.masks.to_attention_bias` defines what the package also defines.
Nobody types it: `make notebooks` writes it from the package, and a test compares the two. A lesson leaves out
docstrings (its prose says the same, at greater length) and annotations; comments stay, for they say why. A
cell may hold several definitions, one tag each, and begins with what they need: its imports and constants are
the lesson's own.

A cell with the tag `equal-to:course_utils.mlm.mask_tokens` defines a version of its own, plainer than the
package's. A test runs both, on five inputs or for five steps, and asks for the same bits.
"""

import ast
import importlib
import inspect
import subprocess
import sys
import textwrap

from nbformat import NotebookNode

from tools import ROOT

PREFIX = "same-as:"
EQUAL_PREFIX = "equal-to:"


def names_of(cell: NotebookNode, prefix: str = PREFIX) -> list[str]:
    """The full names in the tags of this cell that begin so: by default what it takes from the package."""
    return [tag.removeprefix(prefix) for tag in cell.metadata.get("tags", []) if tag.startswith(prefix)]


def lesson_source(full_name: str) -> str:
    """The definition `full_name` of the package as a lesson shows it.

    Raises ValueError if the package defines no such function or class.
    """
    module_name, _, name = full_name.rpartition(".")
    definition = getattr(importlib.import_module(module_name), name, None)
    if not (inspect.isclass(definition) or inspect.isfunction(inspect.unwrap(definition))):
        raise ValueError(
            f"tag {PREFIX}{full_name}: expected a function or class of {module_name}, got {definition!r}"
        )
    return formatted(without_hints(textwrap.dedent(inspect.getsource(definition))))


def without_hints(source: str) -> str:
    """Source code without docstrings and without the annotations of parameters and results."""
    # Positions in a syntax tree count bytes of UTF-8.
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    text = b"".join(lines)

    def place(line: int, column: int) -> int:
        return starts[line - 1] + column

    def start(node: ast.AST) -> int:
        return place(node.lineno, node.col_offset)

    def end(node: ast.AST) -> int:
        return place(node.end_lineno, node.end_col_offset)

    cuts: list[tuple[int, int]] = []
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    # In the body of a class an annotation makes a field; inside functions it is a hint.
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and id(node) in inside and node.value is not None:
            cuts.append((end(node.target), end(node.annotation)))
        if isinstance(node, ast.arg) and node.annotation is not None:
            cuts.append((start(node) + len(node.arg.encode()), end(node)))
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            arrow = text.rindex(b"->", 0, start(node.returns))
            cuts.append((len(text[:arrow].rstrip()), end(node.returns)))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            if len(node.body) == 1:
                raise ValueError(f"{node.name} holds a docstring and nothing else: nothing to show")
            cuts.append((place(docstring.lineno, 0), start(node.body[1]) - node.body[1].col_offset))
    for first, last in sorted(cuts, reverse=True):
        text = text[:first] + keep_comments(text[first:last]) + text[last:]
    return text.decode()


def keep_comments(removed: bytes) -> bytes:
    """Of what is cut out, the lines that are comments: those between a docstring and the first statement."""
    return b"".join(line for line in removed.splitlines(keepends=True) if line.lstrip().startswith(b"#"))


def formatted(source: str) -> str:
    """Source code laid out anew, in lines of a page's width, without a newline at the end."""
    command = [sys.executable, "-m", "ruff", "format", f"--config={ROOT / 'pyproject.toml'}"]
    # A signature without its hints may fit one line: the comma that held it apart must not.
    command += ["--config=format.skip-magic-trailing-comma=true", "--stdin-filename=cell.py", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True, encoding="utf-8")
    return done.stdout.strip("\n")


def cell_source(source: str, full_names: list[str]) -> str:
    """A tagged cell as it should be: the package's definitions in place of its own, all else as it was."""
    lines = source.splitlines()
    own = {
        node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    spans = {name: line_span(own.get(name.rpartition(".")[2]), len(lines)) for name in full_names}
    for name, (first, last) in sorted(spans.items(), key=lambda item: item[1], reverse=True):
        lines[first:last] = lesson_source(name).splitlines()
    return formatted("\n".join(lines))


def line_span(node: ast.FunctionDef | ast.ClassDef | None, end: int) -> tuple[int, int]:
    """The lines of a definition, decorators included; `end` twice if there is none yet."""
    if node is None:
        return end, end
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1, node.end_lineno


def write_definitions(notebook: NotebookNode) -> None:
    """Bring every tagged cell of a notebook to what the package defines, in place."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and (names := names_of(cell)):
            cell.source = cell_source(cell.source, names)
