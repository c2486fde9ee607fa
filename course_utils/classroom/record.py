"""The record of what was passed: one small JSON file on your own machine.

Every `ex.name.check(...)` that passes is written down; nothing else is, and nothing leaves the machine. The
file is `.bert-course/progress.json` in your home folder: JSON, a few lines, yours to read, to copy or to
delete. The environment variable BERT_COURSE_PROGRESS names another file, or switches the record off with the
value `off`. Tests record nothing. `classroom.progress` shows what is in it.
"""

import json
import os
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

from course_utils.files import write_text

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
    """For each lesson the names of those that were passed, each with the day of the first time.

    A file that cannot be understood is renamed, not overwritten, and the record begins anew.
    """
    path = file()
    if path is None:
        return {}
    try:
        found: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        if not _is_record(found):
            raise ValueError("it is no record of exercises")
    except FileNotFoundError:
        return {}
    except ValueError:  # no JSON, no UTF-8, or JSON of another kind
        _set_aside(path)
        return {}
    return found


def record(exercise: Any, result: Any) -> None:
    """Write down an exercise that was passed: the engine calls this after every check.

    A record that cannot be written is said once and is never an error: the exercise matters, not the file.
    """
    path = file()
    if path is None or not result.passed:
        return
    lesson = exercise.module.removesuffix(".exercises").rpartition(".")[2]
    try:
        with _lock(path):  # read inside: another kernel may have written a moment ago
            known = passed()
            if exercise.name not in known.setdefault(lesson, {}):
                known[lesson][exercise.name] = date.today().isoformat()
                write_text(path, json.dumps(known, indent=1, sort_keys=True) + "\n")
    except OSError as error:  # a full disk, a read-only home, a lock that is never given back
        _say_once(
            f"Your progress is not saved ({error.strerror or error}). The exercise counts all the same."
        )


def forget() -> None:
    """Delete the record."""
    path = file()
    if path is not None:
        path.unlink(missing_ok=True)


def _is_record(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(days, dict) and all(isinstance(day, str) for day in days.values())
        for days in value.values()
    )


def _lock(path: Path) -> AbstractContextManager[Any]:
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
