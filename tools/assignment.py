"""Make an assignment for nbgrader or otter from a notebook's exercises.

    python -m tools.assignment nbgrader 05 source/masks
    python -m tools.assignment otter 05 masks

The assignment holds what the notebook imports and its exercises, so it runs in seconds. Each exercise becomes
a cell with the solution, marked so that the platform takes it out, and a cell that counts: it asserts that
the check passes, for a check that only prints would give everybody all points.
"""

import argparse
import ast
import re
import sys
import textwrap
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from course_utils import commands
from course_utils.classroom import LESSONS
from course_utils.classroom.engine import Exercise
from course_utils.classroom.grading.judge import exercises_of
from tools.notebook_rules import parse
from tools.notebooks import FOLDER


def imports_of(notebook: NotebookNode, lesson: str) -> str:
    """All that the notebook imports at the top level of its cells, once, and the exercises last."""
    found = {
        ast.unparse(node): None
        for cell in notebook.cells
        if cell.cell_type == "code"
        for node in parse(cell.source).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and "course_utils.exercises" not in ast.unparse(node)
    }
    return "\n".join([*found, f"from course_utils.exercises import {lesson} as ex"])


def task_of(notebook: NotebookNode, exercise: Exercise) -> str:
    """The text above the cell of an exercise, or the task as the exercise itself states it."""
    for above, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if above.cell_type == "markdown" and f"ex.{exercise.name}.check(" in cell.source:
            return above.source
    return exercise.task


def marked(exercise: Exercise, begin: str, end: str) -> str:
    """The solution with marks around what students write."""
    source = exercise.solution_source()
    node = ast.parse(source).body[0]
    if not isinstance(node, ast.FunctionDef):
        return f"{begin}\n{source}\n{end}"
    lines = source.splitlines()
    first = node.body[0].lineno - 1
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    inner = textwrap.indent("\n".join([begin, textwrap.dedent("\n".join(lines[first:])), end]), "    ")
    return "\n".join([*lines[:first], inner])


def nbgrader_cells(exercise: Exercise) -> list[NotebookNode]:
    def cell(source: str, name: str, **settings: object) -> NotebookNode:
        marks = {"schema_version": 3, "grade_id": name, "task": False, **settings}
        return new_code_cell(source, metadata={"nbgrader": marks})

    solution = marked(exercise, "### BEGIN SOLUTION", "### END SOLUTION")
    counts = f"assert ex.{exercise.name}.check({exercise.name})"
    return [
        cell(solution, exercise.name, solution=True, grade=False, locked=False),
        cell(counts, f"{exercise.name}-check", solution=False, grade=True, locked=True, points=1),
    ]


def otter_cells(exercise: Exercise) -> list[NotebookNode]:
    name = exercise.name
    counts = f"def test_{name}(ex, {name}):\n    assert ex.{name}.check({name})"
    return [
        new_raw_cell(f"# BEGIN QUESTION\nname: {name}\npoints: 1"),
        new_raw_cell("# BEGIN SOLUTION"),
        new_code_cell(marked(exercise, "# BEGIN SOLUTION", "# END SOLUTION")),
        new_raw_cell("# END SOLUTION"),
        new_raw_cell("# BEGIN TESTS"),
        new_code_cell(counts),
        new_raw_cell("# END TESTS"),
        new_raw_cell("# END QUESTION"),
    ]


OTTER = """# ASSIGNMENT CONFIG
init_cell: false
export_cell: false
check_all_cell: false
tests:
  ok_format: false"""


def make(platform: str, path: Path) -> NotebookNode:
    """The assignment as a notebook."""
    notebook = nbformat.read(path, as_version=4)
    lesson = LESSONS[int(path.name[:2])]
    cells = [new_raw_cell(OTTER)] if platform == "otter" else []
    cells += [new_markdown_cell(f"{notebook.cells[0].source.splitlines()[0]}: exercises")]
    cells += [new_code_cell(imports_of(notebook, lesson))]
    for exercise in exercises_of(lesson).values():
        task = new_markdown_cell(task_of(notebook, exercise))
        own = nbgrader_cells(exercise) if platform == "nbgrader" else otter_cells(exercise)
        cells += [own[0], task, *own[1:]] if platform == "otter" else [task, *own]
    for i, cell in enumerate(cells):
        cell.id = f"{re.sub('[^a-z]', '-', lesson)}-{i:02d}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("platform", choices=("nbgrader", "otter"))
    parser.add_argument("number", help="of the notebook, as in 05")
    parser.add_argument("folder", type=Path, help="for the assignment")
    options = parser.parse_args()
    path = next(FOLDER.glob(f"{options.number}_*.ipynb"), None)
    if path is None:
        print(f"number: expected that of a notebook, got {options.number!r}", file=sys.stderr)
        return 2
    options.folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(make(options.platform, path), options.folder / path.name)
    print(options.folder / path.name)
    return 0


if __name__ == "__main__":
    commands.run(main)
