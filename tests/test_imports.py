"""Who imports whom: the taught files stand below the classroom, and no two modules stand on each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TAUGHT = (
    "checks", "files", "wordpiece", "masks", "mlm", "nsp", "word2vec", "bert", "bert.inputs", "bert.losses",
    "bert.model", "bert.heads", "bert.weights", "training", "metrics", "tasks", "pretraining", "finetuning",
)  # fmt: skip
# Below them all stands the toy language; `finetuning` reads and writes folders, which `checkpoints` knows.
BELOW = {"toy_language", "toy_grammar", "toy_tasks", "checkpoints"}
COMMANDS = {"pretraining": {"commands.pretraining"}}  # the one line by which `python -m` finds its command


def modules() -> dict[str, Path]:
    """Every module of the package by its name below `course_utils`."""
    found = {}
    for path in (ROOT / "course_utils").rglob("*.py"):
        parts = path.relative_to(ROOT / "course_utils").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def imports_of(source: str, known: set[str], lazy: bool) -> set[str]:
    """The modules of the package that a source imports; with `lazy` also inside functions."""
    tree = ast.parse(source)
    nodes = ast.walk(tree) if lazy else tree.body
    found = set()
    for node in nodes:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module or ""]
        for name in names:
            below = name.removeprefix("course_utils.")
            if name.startswith("course_utils.") and below in known:
                found.add(below)
    return found


MODULES = modules()


@pytest.mark.parametrize("name", TAUGHT)
def test_a_taught_file_imports_what_is_taught(name):
    source = MODULES[name].read_text(encoding="utf-8")
    allowed = set(TAUGHT) | BELOW | COMMANDS.get(name, set())
    assert imports_of(source, set(MODULES), lazy=True) <= allowed


def test_no_circle_when_the_package_is_imported():
    graph = {
        name: imports_of(path.read_text(encoding="utf-8"), set(MODULES), lazy=False) - {name}
        for name, path in MODULES.items()
    }
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    for (
        name,
        imported,
    ) in graph.items():  # a package gathers its own modules, and they are imported through it
        graph[name] = {m for m in imported if not (m in packages and name.startswith(m + "."))}
    while graph:
        free = [name for name, imported in graph.items() if not imported & graph.keys()]
        assert free, f"a circle among {sorted(graph)}"
        for name in free:
            del graph[name]


def test_the_reader_of_imports_sees_lazy_ones():
    source = (
        "import os\nfrom course_utils import plots\n\ndef f():\n    from course_utils.bert import model\n"
    )
    known = {"plots", "bert", "bert.model"}
    assert imports_of(source, known, lazy=False) == {"plots"}
    assert imports_of(source, known, lazy=True) == {"plots", "bert", "bert.model"}
