"""The package is laid out as its README says: what is taught stands alone, and arrows point downwards."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import course_utils
from course_utils.classroom import LESSONS, NUMBER_OF

PACKAGE = Path(course_utils.__file__).parent
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
TAUGHT = re.findall(r"^\| \[`([\w/.]+)`\]", README.split("## What teaches")[0], flags=re.MULTILINE)
PLACES = re.findall(r"^\| .+ \| `([\w/.]+)`(?:: `([\w.]+)`)? \|$", README, flags=re.MULTILINE)
DOORS = ("plots.py", "widgets.py", "progress.py", "toy_language.py", "grade.py", "quizzes.py", "exercises/")
TEACHES = ("classroom/", "lessons/", *DOORS)  # each may import what stands before it
NETWORK = {"aiohttp", "http", "httpx", "huggingface_hub", "requests", "socket", "ssl", "urllib", "urllib3"}
SHOWS = {"IPython", "ipywidgets", "matplotlib", "sklearn", "transformers"}


def files() -> list[str]:
    """All modules, as paths in the package; the package itself is left out."""
    found = (path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return sorted(name for name in found if name != "__init__.py")


def file_of(module: str) -> str | None:
    """The file of a module of the package, or None: `course_utils.toy.tasks` is `toy/tasks.py`."""
    parts = module.split(".")
    if parts[0] != "course_utils" or len(parts) == 1:
        return None
    path = "/".join(parts[1:])
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if (PACKAGE / name).is_file()), None)


def is_aside(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "__name__ == '__main__'")


@cache
def imported(name: str) -> frozenset[str]:
    """The modules that a file imports when it is imported or used; of the package, the files.

    What stands under `if TYPE_CHECKING` is never run, and `if __name__ == "__main__"` makes it a command.
    """
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and is_aside(node.test))]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: write the full name of what you import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [each for each in inner if file_of(each)]
            if len(modules) < len(inner):  # some of them are names in the module itself
                modules.append(node.module)
        else:
            continue
        found |= {file_of(module) or module for module in modules}
    return frozenset(found)


def entry_of(name: str, entries: tuple[str, ...]) -> str | None:
    """The file or folder of `entries` that holds a file."""
    return next((each for each in entries if name == each or each[-1] == "/" and name.startswith(each)), None)


def test_the_readme_names_every_file_once():
    entries = (*TAUGHT, *TEACHES)
    assert len(set(entries)) == len(entries)
    assert [name for name in files() if entry_of(name, entries) is None] == []
    assert [each for each in entries if not (PACKAGE / each).exists()] == []


@pytest.mark.parametrize("name", files())
def test_arrows_point_downwards(name):
    """The order is that of the README, and after it the classroom, the lessons, and the doors to them."""
    entries = (*TAUGHT, *TEACHES)
    rank = entries.index(entry_of(name, entries))
    others = [each for each in imported(name) if (PACKAGE / each).is_file()]
    assert [each for each in others if entries.index(entry_of(each, entries)) > rank] == []


def test_no_file_imports_itself_by_way_of_others():
    done, path = set(), []

    def visit(name: str) -> None:
        assert name not in path, f"a circle: {' -> '.join([*path, name])}"
        if name not in done:
            path.append(name)
            for other in imported(name):
                if (PACKAGE / other).is_file():
                    visit(other)
            done.add(path.pop())

    for name in files():
        visit(name)


def test_only_the_hub_imports_the_network():
    taught = [name for name in files() if entry_of(name, tuple(TAUGHT))]
    reach_out = {name for name in taught if {each.split(".")[0] for each in imported(name)} & NETWORK}
    assert reach_out == {"hub.py"}


def test_what_is_taught_brings_in_neither_classroom_nor_pictures():
    """In a process of its own, file after file; torch itself may import what it likes before."""
    modules = [
        "course_utils." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in files()
        if entry_of(name, tuple(TAUGHT)) and not name.endswith("__main__.py")
    ]
    code = f"""
import importlib, sys
import torch
before = set(sys.modules)
for module in {modules}:
    importlib.import_module(module)
    print(*(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert len(done.stdout.splitlines()) == len(modules)
    loaded = set(done.stdout.split())
    assert set(modules) <= loaded
    assert not {each.split(".")[0] for each in loaded} & (SHOWS | {"huggingface_hub", "requests", "httpx"})
    doors = {"classroom", "lessons", "exercises", "plots", "widgets", "progress", "grade", "quizzes"}
    assert not {each for each in loaded if each.startswith("course_utils.") and each.split(".")[1] in doors}


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_has_its_files(lesson):
    folder = PACKAGE / "lessons" / lesson
    assert {"__init__.py", "exercises.py", "panel.py", "quiz.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert (folder / "experiment.py").exists() == (folder / "experiment.json").exists()
    notebook = f"notebook {NUMBER_OF[lesson]}"
    for name in ("__init__.py", "exercises.py", "panel.py"):
        assert notebook in (folder / name).read_text(encoding="utf-8").split("\n")[0]


def test_every_folder_of_a_lesson_is_listed():
    found = {path.name for path in (PACKAGE / "lessons").iterdir() if path.is_dir()} - {"__pycache__"}
    assert found == set(LESSONS)


def test_the_exercises_have_the_names_that_notebooks_import():
    """Both ways to import them, in a process in which nothing is loaded yet."""
    code = "import importlib\n"
    for lesson in LESSONS:
        code += f"import course_utils.exercises.{lesson}\n"
        code += f"from course_utils.exercises import {lesson} as ex\n"
        code += f"own = importlib.import_module('course_utils.lessons.{lesson}.exercises')\n"
        code += "from course_utils.classroom.engine import Exercise\n"
        code += "names = [name for name, part in vars(own).items() if isinstance(part, Exercise)]\n"
        code += "assert names and all(getattr(ex, name) is getattr(own, name) for name in names)\n"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_the_readme_says_where_ten_things_are():
    """From attention to the panel of a notebook: what a newcomer looks for first."""
    assert len(PLACES) == 10


@pytest.mark.parametrize(("name", "looked_for"), PLACES)
def test_what_the_readme_promises_is_there(name, looked_for):
    path = PACKAGE / name
    assert path.is_file()
    if looked_for:
        body: list[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
        for part in looked_for.split("."):
            [found] = [node for node in body if getattr(node, "name", None) == part]
            body = found.body


def test_a_long_file_says_why():
    """600 lines can be read in one sitting; what is longer gives its reason at the top."""
    for path in [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "tools").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 600:
            assert "Long, because " in ast.get_docstring(ast.parse(text)), path


def test_every_folder_is_installed():
    """`pyproject.toml` lists the packages one by one, since the diagrams come from another folder."""
    with open(PACKAGE.parent / "pyproject.toml", "rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    kept = {
        path.parent for path in PACKAGE.rglob("*") if path.suffix in (".py", ".json", ".txt", ".safetensors")
    }
    folders = {".".join(folder.relative_to(PACKAGE.parent).parts) for folder in kept}
    assert set(listed) == folders | {"course_utils.img"}
