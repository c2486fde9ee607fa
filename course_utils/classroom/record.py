"""The record of what was passed: one small JSON file on your own machine.

Every `ex.name.check(...)` that passes is written down, with what it asked, and every question that `quiz.ask`
put to you, with whether your answer was right; nothing else is, and nothing leaves the machine. The file is
`.bert-course/progress.json` in your home folder: JSON, a few lines, yours to read, to copy or to delete. The
environment variable BERT_COURSE_PROGRESS names another file, or switches the record off with the value `off`.
Tests record nothing. `classroom.progress` shows what is in it.
"""

import json
import os
import sys
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from course_utils import __version__
from course_utils.files import write_text

VARIABLE = "BERT_COURSE_PROGRESS"
LOCK_SECONDS = 2.0  # how long one kernel waits for another one to finish its few milliseconds of writing

# Beside the lessons: what each exercise asked when it was passed, those that were passed and are no longer
# there, the last answer to each question, and the version of the course.
KNOWN, GONE, QUIZ, COURSE = "_known", "_gone", "_quiz", "_course"
RIGHT, WRONG = "right", "wrong"

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
    return {lesson: days for lesson, days in everything().items() if not lesson.startswith("_")}


def everything() -> dict[str, dict[str, str]]:
    """The same and what stands beside it: `KNOWN`, `QUIZ` and `COURSE`."""
    path = file()
    try:
        return {} if path is None else _read(path)
    except OSError as error:
        _say_once(f"Your progress cannot be read ({error.strerror or error}).")
        return {}


def fingerprint(exercise: Any) -> str:
    """Of what an exercise asks: its task and the titles of its stages."""
    asked = [getattr(exercise, "task", ""), *(each.title for each in getattr(exercise, "stages", ()))]
    return f"{zlib.crc32(chr(10).join(asked).encode()):08x}"


def answered_wrong() -> list[str]:
    """The questions, as "lesson.id", whose last answer was wrong, the longest ago first."""
    last = everything().get(QUIZ, {})
    return sorted((name for name, said in last.items() if said.endswith(WRONG)), key=last.get)


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
    if not result.passed:
        return
    lesson = exercise.module.removesuffix(".exercises").rpartition(".")[2]

    def note(known: dict[str, dict[str, str]]) -> None:
        known.setdefault(lesson, {}).setdefault(exercise.name, date.today().isoformat())
        asked = known.setdefault(KNOWN, {})
        if not any(name.startswith(f"{lesson}.") for name in asked):  # what there was beside it
            module = vars(sys.modules.get(exercise.module, sys))
            others = [part for part in module.values() if type(part) is type(exercise)]
            asked |= {f"{lesson}.{other.name}": fingerprint(other) for other in others}
        asked[f"{lesson}.{exercise.name}"] = fingerprint(exercise)

    _write(note, "The exercise counts all the same.")


def answered(lesson: str, question: str, right: bool) -> None:
    """Write down the answer to a question of a quiz."""
    said = f"{datetime.now().isoformat(timespec='seconds')} {RIGHT if right else WRONG}"
    _write(lambda known: known.setdefault(QUIZ, {}).update({f"{lesson}.{question}": said}))


def _write(change: Callable[[dict[str, dict[str, str]]], None], comfort: str = "") -> None:
    """Change the record; one that cannot be written is said once, and is no error."""
    path = file()
    if path is None:
        return
    try:
        update(path, change)
    except OSError as error:  # a full disk, a read-only home, a lock that is never given back
        _say_once(f"Your progress is not saved ({error.strerror or error}). {comfort}".strip())


def update(path: Path, change: Callable[[dict[str, dict[str, str]]], None]) -> None:
    """Change the record in one stroke, whoever else writes to it; raises OSError where it cannot be."""
    with _lock(path):  # read inside: another kernel may have written a moment ago
        known = _read(path)
        before = json.dumps(known, sort_keys=True)
        known.setdefault(COURSE, {}).setdefault("version", __version__)
        change(known)
        if json.dumps(known, sort_keys=True) != before:
            write_text(path, json.dumps(known, indent=1, sort_keys=True) + "\n")


def merged(ours: dict[str, dict[str, str]], theirs: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Two records as one: the first day of what was passed, the last answer to each question."""
    both = {lesson: dict(entries) for lesson, entries in ours.items()}
    for lesson, entries in theirs.items():
        mine = both.setdefault(lesson, {})
        for name, said in entries.items():
            if lesson in (COURSE, KNOWN):
                mine.setdefault(name, said)
            else:
                mine[name] = (max if lesson == QUIZ else min)(said, mine.get(name, said))
    for name, asked in theirs.get(KNOWN, {}).items():  # as it was when it was passed there, and only there
        lesson, _, exercise = name.partition(".")
        if exercise in theirs.get(lesson, {}) and exercise not in ours.get(lesson, {}):
            both[KNOWN][name] = asked
    return both


def read(path: Path) -> dict[str, dict[str, str]]:
    """What another record holds, such as one from another machine.

    Raises:
        OSError: if there is none, or it is none.
    """
    if not path.is_file():
        raise OSError(f"{_short(path)}: expected a record of progress, got no file")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not _is_record(found):
        raise OSError(f"{_short(path)}: expected a record of progress, got another file")
    return found


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
