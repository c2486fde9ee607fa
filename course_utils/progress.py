"""Which exercises you have passed, kept from one day to the next in one small file on your own machine.

    from course_utils import progress
    progress.show()      a table: for each notebook, what is passed and what is open
    progress.forget()    delete the file

Every `ex.name.check(...)` that passes is written down; nothing else is, and nothing leaves the machine. The
file is `.bert-course/progress.json` in your home folder: JSON, a few lines, yours to read, to copy or to
delete. The environment variable BERT_COURSE_PROGRESS names another file, or switches the record off with the
value `off`. Tests record nothing.
"""

import json
import os
import pkgutil
from datetime import date
from importlib import import_module
from pathlib import Path

from course_utils import checkpoints

VARIABLE = "BERT_COURSE_PROGRESS"
LOCK_SECONDS = 2.0  # how long one kernel waits for another one to finish its few milliseconds of writing

_said: set[str] = set()  # complaints are made once, not after every exercise


def file() -> Path | None:
    """Where progress is kept; None where nothing is recorded (switched off, or a run of tests)."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen == "off" or (not chosen and "PYTEST_VERSION" in os.environ):
        return None
    try:
        return Path(chosen) if chosen else Path.home() / ".bert-course" / "progress.json"
    except RuntimeError:  # some containers give their user no home
        return None


def passed() -> dict[str, dict[str, str]]:
    """For each module of exercises the names of those that were passed, each with the day of the first time.

    A file that cannot be understood is renamed, not overwritten, and the record begins anew.
    """
    path = file()
    if path is None:
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not _is_record(record):
            raise ValueError("it is no record of exercises")
    except FileNotFoundError:
        return {}
    except ValueError:  # no JSON, no UTF-8, or JSON of another kind
        _set_aside(path)
        return {}
    return record


def record(exercise, result) -> None:
    """Write down an exercise that was passed: the engine calls this after every check.

    A record that cannot be written is said once and is never an error: the exercise matters, not the file.
    """
    path = file()
    if path is None or not result.passed:
        return
    module = exercise.module.rpartition(".")[2]
    try:
        with _lock(path):  # read inside: another kernel may have written a moment ago
            known = passed()
            if exercise.name not in known.setdefault(module, {}):
                known[module][exercise.name] = date.today().isoformat()
                checkpoints.write_text(path, json.dumps(known, indent=1, sort_keys=True) + "\n")
    except OSError as error:  # a full disk, a read-only home, a lock that is never given back
        _say_once(
            f"Your progress is not saved ({error.strerror or error}). The exercise counts all the same."
        )


def forget() -> None:
    """Delete the record."""
    path = file()
    if path is not None:
        path.unlink(missing_ok=True)


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


def _names_in(module) -> list[str]:
    from course_utils.exercises.engine import Exercise

    return [name for name, part in vars(module).items() if isinstance(part, Exercise)]


def number(module: str) -> str:
    """The number of the notebook: the first line of a module of exercises says `Exercises of notebook 05:
    ...`.
    """
    first_line = (import_module(f"course_utils.exercises.{module}").__doc__ or "").partition("\n")[0]
    digits = first_line.partition("notebook ")[2][:2]
    return digits if digits.isdigit() else "--"


def _is_record(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(days, dict) and all(isinstance(day, str) for day in days.values())
        for days in value.values()
    )


def _lock(path: Path):
    """Held by one kernel at a time; released by the system if the kernel dies."""
    from filelock import FileLock  # torch brings it

    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(path.name + ".lock"), timeout=LOCK_SECONDS)


def _set_aside(path: Path) -> None:
    number = 1
    while (damaged := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    try:
        path.replace(damaged)
    except FileNotFoundError:  # another kernel has just renamed it
        return
    except OSError:
        _say_once(
            f"Your record of progress, {_short(path)}, is damaged and cannot be renamed: please delete it."
        )
    else:
        _say_once(f"Your record of progress was damaged. It is now {_short(damaged)}, and a new one begins.")


def _short(path: Path) -> str:
    return "~/" + path.relative_to(Path.home()).as_posix() if path.is_relative_to(Path.home()) else str(path)


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        print(text)
