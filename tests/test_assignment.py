"""Assignments for nbgrader and otter: what students get, and what counts."""

import ast

import pytest

from course_utils.classroom import BY_NUMBER
from course_utils.classroom.grading.judge import exercises_of
from tools import assignment
from tools.notebooks import FOLDER

PATHS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_nbgrader_takes_out_the_solution_and_counts_an_assertion(path):
    notebook = assignment.make("nbgrader", path)
    exercises = exercises_of(BY_NUMBER[path.name[:2]])
    marked = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    names = [cell.metadata.nbgrader.grade_id for cell in marked]
    assert names == [name for each in exercises for name in (each, f"{each}-check")]
    for cell in marked:
        ast.parse(cell.source)
        marks = cell.metadata.nbgrader
        if marks.grade:
            name = marks.grade_id.removesuffix("-check")
            assert cell.source == f"assert ex.{name}.check({name})" and marks.points == 1 and marks.locked
        else:
            begin, end = cell.source.index("### BEGIN SOLUTION"), cell.source.index("### END SOLUTION")
            kept = cell.source[:begin].strip()
            if callable(exercises[marks.grade_id].model_answer):
                assert kept.startswith(f"def {marks.grade_id}(") and kept.endswith(":") and begin < end
            else:  # a value goes as a whole
                assert kept == "" and begin < end
            inside = [line.strip() for line in cell.source[begin:end].splitlines()[1:] if line.strip()]
            solution = exercises[marks.grade_id].solution_source()
            assert [line.strip() for line in solution.splitlines() if line.strip()][-len(inside) :] == inside


@pytest.mark.parametrize("path", PATHS[5:6], ids=lambda path: path.stem)
def test_otter_gets_a_question_with_a_test_for_each_exercise(path):
    sources = [cell.source for cell in assignment.make("otter", path).cells]
    assert "ok_format: false" in sources[0]  # as a doctest, what a check prints would fail it
    for name in exercises_of("masks"):
        place = sources.index(f"# BEGIN QUESTION\nname: {name}\npoints: 1")
        assert sources[place + 2] == "# BEGIN SOLUTION" and f"def {name}(" in sources[place + 3]
        assert sources[place + 6] == f"def test_{name}(ex, {name}):\n    assert ex.{name}.check({name})"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_first_cell_imports_what_the_notebook_does(path):
    cells = [cell for cell in assignment.make("nbgrader", path).cells if cell.cell_type == "code"]
    lines = cells[0].source.splitlines()
    assert lines[-1] == f"from course_utils.exercises import {BY_NUMBER[path.name[:2]]} as ex"
    assert len(set(lines)) == len(lines)
    exec(compile(cells[0].source, "imports", "exec"), {})  # noqa: S102
