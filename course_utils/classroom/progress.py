"""Which exercises you have passed, kept from one day to the next in one small file on your own machine.

    from course_utils import progress
    progress.show()      a table: for each notebook, what is passed and what is open
    progress.forget()    delete the file

The file is `.bert-course/progress.json` in your home folder; `classroom.record` writes and reads it.
"""

from importlib import import_module
from types import ModuleType

from course_utils.classroom import LESSONS
from course_utils.classroom.record import forget, passed

__all__ = ["exercises", "forget", "number", "passed", "show", "to_html"]


def exercises() -> dict[str, list[str]]:
    """The names of all exercises, lesson by lesson, in the order of the notebooks."""
    return {name: _names_in(import_module(f"course_utils.lessons.{name}.exercises")) for name in LESSONS}


def to_html() -> str:
    """The table that `show` displays."""
    from course_utils.classroom.controls import table

    known, everything, rows, reached = passed(), exercises(), [], 0
    for lesson, names in everything.items():
        still_open = [name for name in names if name not in known.get(lesson, {})]
        done = len(names) - len(still_open)
        reached += done
        title = f"{number(lesson)} {lesson.replace('_', ' ')}"
        rows.append([title, f"{done} of {len(names)}", ", ".join(still_open) or "none"])
    total = sum(map(len, everything.values()))
    return table(["notebook", "passed", "still open"], rows, f"Exercises: {reached} of {total} passed")


def show() -> None:
    """Display what is passed and what is open, notebook by notebook."""
    from IPython.display import HTML, display

    display(HTML(to_html()))


def _names_in(module: ModuleType) -> list[str]:
    from course_utils.classroom.engine import Exercise

    return [name for name, part in vars(module).items() if isinstance(part, Exercise)]


def number(lesson: str) -> str:
    """The number of a lesson's notebook."""
    return f"{LESSONS.index(lesson):02d}"
