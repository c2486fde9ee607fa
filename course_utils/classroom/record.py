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
    if chosen in ("off", os.devnull) or (not chosen and "PYTEST_VERSION" in os.environ):
        return None
    try:
        return Path(chosen).expanduser() if chosen else Path.home() / ".bert-course" / "progress.json"
    except RuntimeError:  # some containers give their user no home
        return None


def passed() -> dict[str, dict[str, str]]:
    """For each lesson the names of those that were passed, each with the day of the first time.

    A record that is damaged is renamed, not overwritten, and begins anew. Whatever else the variable names is
    left alone.
    """
    path = file()
    try:
        return {} if path is None else _read(path)
    except OSError as error:
        _say_once(f"Your progress cannot be read ({error.strerror or error}).")
        return {}


def _read(path: Path) -> dict[str, dict[str, str]]:
    """What the file holds; raises OSError for one that is no record."""
    if not path.exists():
        return {}
    foreign = f"{_short(path)} is no record of progress: let {VARIABLE} name another file"
    if not path.is_file():  # a folder, a device
        raise OSError(foreign)
    content = path.read_bytes()
    try:
        found = json.loads(content.decode("utf-8"))
    except ValueError:
        if content.strip()[:1] not in (b"", b"{"):  # a record begins so, even half a one
            raise OSError(foreign) from None
        _set_aside(path)
        return {}
    if not _is_record(found):
        raise OSError(foreign)
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
            known = _read(path)
            if exercise.name not in known.setdefault(lesson, {}):
                known[lesson][exercise.name] = date.today().isoformat()
                write_text(path, json.dumps(known, indent=1, sort_keys=True) + "\n")
    except OSError as error:  # a full disk, a read-only home, a lock that is never given back
        _say_once(
            f"Your progress is not saved ({error.strerror or error}). The exercise counts all the same."
        )


def forget() -> None:
    """Delete the record; raises OSError for a file that is none."""
    path = file()
    if path is not None and _read(path):
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
