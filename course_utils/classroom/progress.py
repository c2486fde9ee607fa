"""Which exercises you have passed, kept from one day to the next in one small file on your own machine.

    from course_utils import progress
    progress.show()      a table: for each notebook, what is passed and what is open
    progress.forget()    delete the file

The file is `.bert-course/progress.json` in your home folder; `course_utils.record` writes and reads it.
"""

import pkgutil
from importlib import import_module
from types import ModuleType

from course_utils.record import forget, passed

__all__ = ["exercises", "forget", "number", "passed", "show", "to_html"]


def exercises() -> dict[str, list[str]]:
    """The names of all exercises, for each module that holds some, in the order of the notebooks."""
    package = import_module("course_utils.exercises")
    found = {}
    for name in (module.name for module in pkgutil.iter_modules(package.__path__)):
        if name != "engine" and not name.startswith("_"):
            found[name] = _names_in(import_module(f"{package.__name__}.{name}"))
    return dict(sorted(found.items(), key=lambda item: number(item[0])))


def to_html() -> str:
    """The table that `show` displays."""
    from course_utils.widgets import table

    known, everything, rows, reached = passed(), exercises(), [], 0
    for module, names in everything.items():
        still_open = [name for name in names if name not in known.get(module, {})]
        done = len(names) - len(still_open)
        reached += done
        title = f"{number(module)} {module.replace('_', ' ')}"
        rows.append([title, f"{done} of {len(names)}", ", ".join(still_open) or "none"])
    total = sum(map(len, everything.values()))
    return table(["notebook", "passed", "still open"], rows, f"Exercises: {reached} of {total} passed")


def show() -> None:
    """Display what is passed and what is open, notebook by notebook."""
    from IPython.display import HTML, display

    display(HTML(to_html()))


def _names_in(module: ModuleType) -> list[str]:
    from course_utils.exercises.engine import Exercise

    return [name for name, part in vars(module).items() if isinstance(part, Exercise)]


def number(module: str) -> str:
    """The number of the notebook: a module of exercises begins with `Exercises of notebook 05: ...`."""
    first_line = (import_module(f"course_utils.exercises.{module}").__doc__ or "").partition("\n")[0]
    digits = first_line.partition("notebook ")[2][:2]
    return digits if digits.isdigit() else "--"
