"""Which exercises you have passed, kept from one day to the next in one small file on your own machine.

    from course_utils import progress
    progress.show()                a table: for each notebook, what is passed and what is open; and what has
                                   changed in the course since
    progress.seen()                put away what has changed
    progress.export("mine.json")   a copy of the record, to carry to another machine
    progress.merge("mine.json")    take in a copy from another machine
    progress.forget()              delete the file

The file is `.bert-course/progress.json` in your home folder; `classroom.record` writes and reads it.
"""

import html
import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

from course_utils import __version__
from course_utils.classroom import LESSONS, NUMBER_OF, record
from course_utils.classroom.record import forget, passed
from course_utils.files import write_text

__all__ = ["exercises", "export", "forget", "merge", "news", "number", "passed", "seen", "show", "to_html"]

CHANGES = Path(__file__).resolve().parents[2] / "CHANGELOG.md"  # in a clone


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
    page = table(["notebook", "passed", "still open"], rows, f"Exercises: {reached} of {total} passed")
    page += "".join(f"<p>{html.escape(line)}</p>" for line in news())
    if wrong := len(record.answered_wrong()):
        page += (
            f"<p>Quiz questions whose last answer was wrong: {wrong}. <code>quiz.again()</code> asks up to "
        )
        page += "ten of them (<code>from course_utils.classroom import quiz</code>).</p>"
    return page


def news() -> list[str]:
    """What has changed in the course since this record began, or since `seen`; empty if nothing has."""
    held = record.everything()
    before = held.get(record.COURSE, {}).get("version", __version__)
    changed, gone, new = [], [], []
    for lesson in LESSONS:
        known = {
            name.partition(".")[2]: asked
            for name, asked in held.get(record.KNOWN, {}).items()
            if name.startswith(f"{lesson}.")
        }
        if not known and not held.get(lesson):
            continue
        module = import_module(f"course_utils.lessons.{lesson}.exercises")
        now = {name: record.fingerprint(vars(module)[name]) for name in _names_in(module)}
        place = number(lesson)
        done = held.get(lesson, {})
        changed += [f"{place} {name}" for name in done if known.get(name, now.get(name)) != now.get(name)]
        gone += [f"{place} {name}" for name in done if name not in now]
        new += [f"{place} {name}" for name in now if known and name not in {*known, *done}]
    changed = [name for name in changed if name not in gone]
    lines = []
    if before != __version__:
        lines.append(f"Your record is of version {before} of the course; this is {__version__}.")
        lines += [f"New: {line}" for line in changes_since(before)]
    for words, names in (
        ("They ask for something else since you passed them", changed),
        ("New beside those that you know", new),
        ("Passed, and no longer there", gone),
    ):
        if names:
            lines.append(f"{words}: {', '.join(names)}.")
    return [*lines, "progress.seen() puts this list away."] if lines else []


def changes_since(version: str) -> list[str]:
    """What the list of changes says to readers of every version after this one."""
    if not CHANGES.is_file():
        return []
    lines = []
    for part in re.split(r"^## ", CHANGES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        if _parts(part) <= _parts(version):
            break
        readers = part.partition("For readers")[2].partition("For those who")[0]
        entries = re.findall(r"^- ((?:.+\n?)(?:^  .+\n?)*)", readers, flags=re.MULTILINE)
        lines += [" ".join(entry.split()) for entry in entries]
    return lines


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.split(",")[0])[:3]))


def seen() -> None:
    """Put away what has changed: from now on this version of the course counts as known."""

    def note(held: dict[str, dict[str, str]]) -> None:
        held[record.COURSE] = {"version": __version__}
        known = held.setdefault(record.KNOWN, {})
        for lesson in LESSONS:
            if held.get(lesson) or any(name.startswith(f"{lesson}.") for name in known):
                module = import_module(f"course_utils.lessons.{lesson}.exercises")
                names = _names_in(module)
                known |= {f"{lesson}.{name}": record.fingerprint(vars(module)[name]) for name in names}
                for name in [name for name in held.get(lesson, {}) if name not in names]:
                    held.setdefault(record.GONE, {})[f"{lesson}.{name}"] = held[lesson].pop(name)

    if (path := record.file()) is not None:
        record.update(path, note)


def export(path: str | Path) -> None:
    """Write a copy of the record to a file, to carry it to another machine; another record is replaced.

    Raises:
        OSError: if the file is something else, or cannot be written.
    """
    path = Path(path).expanduser()
    if path.exists():
        record.read(path)
    write_text(path, json.dumps(record.everything(), indent=1, sort_keys=True) + "\n")


def merge(path: str | Path) -> None:
    """Take in the copy of a record: what was passed on either machine is passed.

    Raises:
        OSError: if the file is no record, or this machine's cannot be written.
    """
    theirs = record.read(Path(path).expanduser())

    def note(held: dict[str, dict[str, str]]) -> None:
        both = record.merged(held, theirs)
        held.clear()
        held.update(both)

    if (mine := record.file()) is None:
        raise OSError(f"nothing is recorded here: {record.VARIABLE} is off")
    record.update(mine, note)


def show() -> None:
    """Display what is passed and what is open, notebook by notebook."""
    from IPython.display import HTML, display

    display(HTML(to_html()))


def _names_in(module: ModuleType) -> list[str]:
    from course_utils.classroom.engine import Exercise

    return [name for name, part in vars(module).items() if isinstance(part, Exercise)]


def number(lesson: str) -> str:
    """The number of a lesson's notebook."""
    return NUMBER_OF[lesson]
