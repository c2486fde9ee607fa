"""The notebooks in a folder: whose they are, of which lesson, and what stands in them.

A notebook in a folder of its own belongs to whom the folder is named after (nbgrader, Moodle); one that lies
in the top folder, to whom its file is named after (Canvas). Only the text of the code cells is looked at.
"""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

from course_utils.classroom import BY_NUMBER, LESSONS, parsing
from course_utils.classroom.engine import Exercise

IMPORT = re.compile(r"course_utils\.(?:exercises\s+import\s+|exercises\.|lessons\.)(\w+)")


@dataclass(frozen=True)
class HandIn:
    """One notebook that came back.

    trouble: why it cannot be run; empty if it can.
    """

    student: str
    path: Path
    lesson: str = ""
    cells: tuple[str, ...] = ()
    trouble: str = ""


def find(folder: Path, lesson: str = "") -> list[HandIn]:
    """All hand-ins of a folder, read before any of them runs.

    lesson: what they are of; empty to find it in each.
    """
    paths = [
        path
        for path in sorted(folder.rglob("*.ipynb"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return [read(path, student_of(path.relative_to(folder)), lesson) for path in paths]


def student_of(path: Path) -> str:
    return path.parts[0] if len(path.parts) > 1 else path.stem


def read(path: Path, student: str, lesson: str = "") -> HandIn:
    """The code cells of one notebook."""
    try:
        cells = tuple(code_cells(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return HandIn(student, path, lesson, trouble="this is no notebook that can be read")
    found = lesson or lesson_of(cells, path.name)
    trouble = "" if found else "it names no exercises of the course: say --lesson NAME"
    return HandIn(student, path, found, cells, trouble)


def code_cells(notebook: dict) -> list[str]:
    sources = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return ["".join(source) if isinstance(source, list) else str(source) for source in sources]


def lesson_of(cells: tuple[str, ...], name: str) -> str:
    """The lesson whose exercises a notebook imports; where that cell is gone, by its file's name."""
    for cell in cells:
        for found in IMPORT.findall(cell):
            if found in LESSONS:
                return found
    if number := re.search(r"(?<!\d)(\d\d)_[a-z]", name):
        return BY_NUMBER.get(number[1], "")
    return ""


def pasted(cells: tuple[str, ...], exercise: Exercise) -> bool:
    """Whether the solution stands in a cell word for word, comments and spaces apart.

    A solution of one line proves nothing, and counts as none.
    """
    solution = _shape(exercise.solution_source())
    if not solution or len(getattr(solution[0], "body", ())) < 2:
        return False
    wanted = ast.dump(solution[0])
    return any(ast.dump(node) == wanted for cell in cells for node in _shape(cell))


def _shape(source: str) -> list[ast.stmt]:
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    try:
        return parsing.parse(plain).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
