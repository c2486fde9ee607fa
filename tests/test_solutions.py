"""Every official solution runs where a reader pastes it: in the notebook's own namespace."""

import ast
import builtins
from pathlib import Path

import nbformat
import pytest

from course_utils.classroom import NUMBER_OF, progress
from course_utils.classroom.grading.judge import exercises_of
from tools.notebook_rules import parse
from tools.notebooks import FOLDER

EXERCISES = [(lesson, name) for lesson, names in progress.exercises().items() for name in names]


def notebook_of(lesson: str) -> Path:
    return next(FOLDER.glob(f"{NUMBER_OF[lesson]}_*.ipynb"))


def bindings(path: Path, name: str) -> dict[str, ast.stmt]:
    """What the cells up to that of an exercise bind at their top level: the first statement for each name."""
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for node in parse(cell.source).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names = [node.name]
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                parts = [part for target in targets for part in ast.walk(target)]
                names = [part.id for part in parts if isinstance(part, ast.Name)]
            else:
                continue
            found = dict.fromkeys(names, node) | found
        if f"ex.{name}.check(" in cell.source:
            return found
    raise AssertionError(f"{path.name} has no cell with ex.{name}.check(...)")


def missing_names(node: ast.AST) -> set[str]:
    """Names that a statement reads and does not bind itself, anywhere in it."""
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    bound = {part.id for part in names if not isinstance(part.ctx, ast.Load)}
    bound |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
    bound |= {part.name for part in ast.walk(node) if isinstance(part, (ast.FunctionDef, ast.ClassDef))}
    bound |= {
        a.asname or a.name for part in ast.walk(node) if isinstance(part, ast.Import) for a in part.names
    }
    return {part.id for part in names} - bound - set(vars(builtins))


def bring(name: str, bound: dict[str, ast.stmt], scope: dict[str, object]) -> None:
    """Run the statement that binds a name, after those that it needs."""
    if name in scope or name not in bound:
        return
    for other in sorted(missing_names(bound[name]) - {name}):
        bring(other, bound, scope)
    exec(compile(ast.Module([bound[name]], []), "cell", "exec"), scope)  # noqa: S102


@pytest.mark.parametrize(("lesson", "name"), EXERCISES, ids=lambda value: value)
def test_a_solution_that_is_pasted_into_its_notebook_runs_there(lesson, name):
    path = notebook_of(lesson)
    exercise, bound = exercises_of(lesson)[name], bindings(path, name)
    source = exercise.solution_source()
    wanted = missing_names(ast.parse(source))
    lacking = sorted(wanted - bound.keys())
    assert not lacking, f"{path.name} does not define {', '.join(lacking)}, which the solution of {name} uses"
    scope: dict[str, object] = {}
    for each in sorted(wanted):
        bring(each, bound, scope)
    exec(source, scope)  # noqa: S102
    assert exercise.judge(scope[name]), name


def test_names_that_a_solution_lacks_are_found():
    source = "def f(x, *, y=z):\n    import math\n    return [g(a) + math.pi for a in x if len(a)] + y"
    assert missing_names(ast.parse(source)) == {"g", "z"}
