"""The record of what was passed: it survives, it is never in the way, and it never loses a result."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_utils.classroom import engine, progress, quiz, record
from course_utils.lessons.masks import exercises as ex

ROOT = Path(__file__).resolve().parent.parent
WRONG = next(iter(ex.causal_mask.wrong_answers))


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / "folder" / "progress.json"))
    monkeypatch.setattr(record, "_said", set())
    return tmp_path / "folder" / "progress.json"


def passing(name: str, module: str = "course_utils.lessons.masks.exercises"):
    return SimpleNamespace(name=name, module=module), engine.Result(True, "")


def test_a_check_that_passes_is_written_down_and_one_that_does_not_is_not(path):
    ex.causal_mask.check(ex.causal_mask.wrong_answers[WRONG])
    assert not path.exists()
    ex.causal_mask.check(ex.causal_mask.model_answer)
    (day,) = json.loads(path.read_text(encoding="utf-8"))["masks"].values()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)


def test_what_was_passed_once_stays_passed_with_its_first_day(path):
    path.parent.mkdir()
    path.write_text('{"masks": {"causal_mask": "2001-02-03"}}', encoding="utf-8")
    ex.causal_mask.check(ex.causal_mask.model_answer)
    ex.causal_mask.check(ex.causal_mask.wrong_answers[WRONG])
    assert record.passed() == {"masks": {"causal_mask": "2001-02-03"}}


def test_the_record_is_off_in_tests_and_when_switched_off(monkeypatch):
    monkeypatch.delenv(record.VARIABLE, raising=False)
    assert record.file() is None
    monkeypatch.delenv("PYTEST_VERSION")
    assert record.file() == Path.home() / ".bert-course" / "progress.json"
    monkeypatch.setenv(record.VARIABLE, "off")
    assert record.file() is None
    record.record(*passing("causal_mask"))
    assert record.passed() == {}


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"notes", b"[]", b'{"masks": ["a"]}', b'{"masks": {"a": 1}}']
)
def test_a_file_of_another_kind_is_left_alone(path, content, capsys):
    """JSON of something else, or no JSON at all: it is not renamed, not overwritten, not deleted."""
    path.parent.mkdir()
    path.write_bytes(content)
    for _ in range(2):
        record.record(*passing("causal_mask"))
        assert record.passed() == {}
    with pytest.raises(OSError, match="is no record of progress: let BERT_COURSE_PROGRESS name another file"):
        record.forget()
    assert [each.name for each in path.parent.glob("*.json")] == [path.name] and path.read_bytes() == content
    assert capsys.readouterr().out.count("Your progress is not saved") == 1


def test_what_is_no_file_is_left_alone(path, monkeypatch, capsys):
    monkeypatch.setenv(record.VARIABLE, os.devnull)
    assert record.file() is None
    monkeypatch.setenv(record.VARIABLE, "~/mine.json")
    assert record.file() == Path.home() / "mine.json"
    path.mkdir(parents=True)
    monkeypatch.setenv(record.VARIABLE, str(path))
    record.record(*passing("causal_mask"))
    assert record.passed() == {} and path.is_dir()
    assert "is no record of progress" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"{", b'{"masks": {"causal'])
def test_a_damaged_file_is_renamed_and_said_once(path, content, capsys):
    path.parent.mkdir()
    path.write_bytes(content)
    record.record(*passing("causal_mask"))
    assert list(record.passed()["masks"]) == ["causal_mask"]
    assert path.with_name("progress.damaged-1.json").read_bytes() == content
    assert capsys.readouterr().out.count("was damaged") == 1
    path.write_bytes(content)
    assert record.passed() == {}
    assert path.with_name("progress.damaged-2.json").read_bytes() == content


def test_a_file_that_cannot_be_written_is_said_once_and_no_error(path, capsys):
    path.parent.write_text("a file where the folder should be", encoding="utf-8")
    for _ in range(2):
        assert ex.causal_mask.check(ex.causal_mask.model_answer)
    assert capsys.readouterr().out.count("Your progress is not saved") == 1


def test_a_lock_that_is_never_given_back_is_no_error(path, capsys, monkeypatch):
    monkeypatch.setattr(record, "LOCK_SECONDS", 0.05)
    with record._lock(path):
        record.record(*passing("causal_mask"))
    assert "Your progress is not saved" in capsys.readouterr().out
    record.record(*passing("causal_mask"))
    assert "masks" in record.passed()


WRITER = """
import sys
from types import SimpleNamespace
from course_utils.classroom import record
for i in range(20):
    record.record(SimpleNamespace(name=f"{sys.argv[1]}{i}", module="m.masks"), SimpleNamespace(passed=True))
"""


def test_two_kernels_at_once_lose_nothing(path):
    environment = os.environ | {record.VARIABLE: str(path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, name], env=environment, cwd=ROOT)
        for name in ("a", "b")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert set(record.passed()["masks"]) == {f"{name}{i}" for name in "ab" for i in range(20)}


def test_the_record_needs_neither_torch_nor_an_exercise():
    code = "import sys, course_utils.classroom.record\n"
    code += "print({'torch', 'course_utils.lessons'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert answer.stdout.strip() == "set()"


def test_forget_deletes_the_file_and_may_be_called_twice(path):
    record.record(*passing("causal_mask"))
    progress.forget()
    progress.forget()
    assert not path.exists()
    assert record.passed() == {}


def test_every_exercise_is_listed_under_the_number_of_a_notebook():
    found = progress.exercises()
    numbers = [progress.number(module) for module in found]
    assert found["masks"] == ["causal_mask", "find_mask", "reach", "packing_mask", "prefix_mask"]
    assert all(found.values())
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) >= {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_the_table_counts_what_is_passed_and_ignores_what_is_no_longer_there(path):
    for name in ("causal_mask", "reach", "an_exercise_that_was_renamed"):
        record.record(*passing(name))
    page = progress.to_html()
    total = sum(map(len, progress.exercises().values()))
    assert f"Exercises: 2 of {total} passed" in page
    row = re.search(r"<tr><th[^>]*>05 masks.*?</tr>", page).group()
    assert "2 of 5" in row
    assert "find_mask, packing_mask, prefix_mask" in row


# --- Coming back


def known(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, **entries: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({f"_{k}" if k in "known quiz course gone" else k: v for k, v in entries.items()})
    )


def test_nothing_is_new_to_whoever_has_just_passed_something(path):
    assert progress.news() == []
    ex.causal_mask.check(ex.causal_mask.model_answer)
    assert progress.news() == []
    assert set(known(path)["_known"]) == {f"masks.{name}" for name in progress.exercises()["masks"]}
    assert known(path)["_course"] == {"version": progress.__version__}
    assert progress.passed().keys() == {"masks"}


def test_what_has_changed_since_is_said_until_it_is_put_away(path):
    ex.causal_mask.check(ex.causal_mask.model_answer)
    held = known(path)
    held["masks"] |= {"reach": "2026-01-02", "an_old_one": "2026-01-03"}
    held["_known"] |= {"masks.causal_mask": "0", "masks.prefix_mask": "0", "masks.an_old_one": "0"}
    del held["_known"]["masks.packing_mask"]
    held["_course"] = {"version": "0.1.0"}
    path.write_text(json.dumps(held), encoding="utf-8")
    first, *rest = progress.news()
    assert first == f"Your record is of version 0.1.0 of the course; this is {progress.__version__}."
    told = [line for line in rest if not line.startswith("New: ")]
    assert len(rest) > len(told)  # what the list of changes says to readers
    assert told == [
        "They ask for something else since you passed them: 05 causal_mask.",  # prefix_mask was never passed
        "New beside those that you know: 05 packing_mask.",
        "Passed, and no longer there: 05 an_old_one.",
        "progress.seen() puts this list away.",
    ]
    assert "05 packing_mask" in progress.to_html()
    ex.causal_mask.check(ex.causal_mask.model_answer)  # passing another one leaves the rest of the list
    assert "05 packing_mask" in " ".join(progress.news()) and "causal_mask" not in " ".join(progress.news())
    progress.seen()
    assert progress.news() == []
    assert progress.passed()["masks"].keys() == {"causal_mask", "reach"}
    assert known(path)["_gone"] == {"masks.an_old_one": "2026-01-03"}


def test_a_record_of_before_says_what_is_no_longer_there(path):
    """The file of version 0.1.0 holds lessons and days, and nothing else."""
    write(path, masks={"causal_mask": "2026-01-02", "an_old_one": "2026-01-03"})
    assert progress.news() == [
        "Passed, and no longer there: 05 an_old_one.",
        "progress.seen() puts this list away.",
    ]


def test_changes_are_those_of_every_later_version(tmp_path, monkeypatch):
    text = "# New\n\n## 0.10.0, 2027\n\nFor readers\n\n- A thing\n  in two lines.\n- Another.\n"
    text += "\nFor those who\n\n- x\n"
    text += "\n## 0.9.0\n\nFor readers\n\n- Older.\n\n## 0.2.0\n\nFor readers\n\n- Oldest.\n"
    monkeypatch.setattr(progress, "CHANGES", tmp_path / "CHANGELOG.md")
    assert progress.changes_since("0.1.0") == []
    (tmp_path / "CHANGELOG.md").write_text(text, encoding="utf-8")
    assert progress.changes_since("0.2.0") == ["A thing in two lines.", "Another.", "Older."]
    assert progress.changes_since("0.10.0") == []


def test_two_machines_become_one(path, tmp_path, monkeypatch):
    ex.causal_mask.check(ex.causal_mask.model_answer)
    record.answered("masks", "moved", right=False)
    here = known(path)
    here["masks"]["causal_mask"] = "2026-05-05"
    path.write_text(json.dumps(here), encoding="utf-8")
    progress.export(tmp_path / "carried.json")
    other = tmp_path / "other" / "progress.json"
    monkeypatch.setenv(record.VARIABLE, str(other))
    write(
        other,
        masks={"causal_mask": "2026-01-01", "reach": "2026-02-02"},
        nsp={"make_negative": "2026-03-03"},
        quiz={"masks.moved": "2027-01-01T00:00:00 right", "nsp.x": "2026-01-01T00:00:00 wrong"},
    )
    progress.merge(tmp_path / "carried.json")
    progress.merge(tmp_path / "carried.json")  # once more changes nothing
    assert progress.passed() == {
        "masks": {"causal_mask": "2026-01-01", "reach": "2026-02-02"},
        "nsp": {"make_negative": "2026-03-03"},
    }
    assert record.answered_wrong() == ["nsp.x"]
    progress.export(tmp_path / "carried.json")  # back again
    monkeypatch.setenv(record.VARIABLE, str(path))
    progress.merge(tmp_path / "carried.json")
    assert progress.passed()["nsp"] == {"make_negative": "2026-03-03"}
    assert record.answered_wrong() == ["nsp.x"]
    assert progress.passed()["masks"]["causal_mask"] == "2026-01-01"


def test_only_records_are_replaced_and_taken_in(path, tmp_path, monkeypatch):
    other = tmp_path / "notes.json"
    with pytest.raises(OSError, match="expected a record of progress, got no file"):
        progress.merge(other)
    other.write_text("[1]", encoding="utf-8")
    for call in (progress.merge, progress.export):
        with pytest.raises(OSError, match="expected a record of progress, got another file"):
            call(other)
    assert other.read_text(encoding="utf-8") == "[1]"
    write(tmp_path / "fine.json", masks={})
    monkeypatch.setenv(record.VARIABLE, "off")
    with pytest.raises(OSError, match="nothing is recorded here"):
        progress.merge(tmp_path / "fine.json")


# --- Quizzes that are answered


def choices_of(form) -> list:
    return [child for child in form.children if type(child).__name__ == "RadioButtons"]


def test_the_first_answer_to_each_question_is_written_down(path):
    questions = quiz.load("masks")
    form = quiz.ask("masks")
    choices = choices_of(form)
    assert len(choices) == len(questions) and not path.exists()
    wrong = next(place for place, option in enumerate(questions[0].options) if not option.correct)
    right = next(place for place, option in enumerate(questions[0].options) if option.correct)
    choices[0].value = wrong
    verdict = form.children[2]
    assert "No." in verdict.value and 'class="course-message"' in verdict.value
    choices[0].value = right  # having read why
    assert "Right." in verdict.value
    choices[1].value = next(place for place, option in enumerate(questions[1].options) if option.correct)
    assert record.answered_wrong() == [f"masks.{questions[0].id}"]
    assert "last answer was wrong: 1" in progress.to_html()


def test_ten_that_were_answered_wrong_are_asked_again_until_they_are_right(path):
    ids = [f"{name}.{each.id}" for name in ("masks", "nsp", "mlm") for each in quiz.load(name)][:12]
    wrong = {name: f"2026-01-{day:02d}T00:00:00 wrong" for day, name in enumerate(ids, start=1)}
    write(path, quiz=wrong | {"masks.no_longer_there": "2025-01-01T00:00:00 wrong"})
    form = quiz.again()
    assert len(choices_of(form)) == 10 and len(choices_of(quiz.again(3))) == 3
    lesson, _, first = ids[0].partition(".")
    question = next(each for each in quiz.load(lesson) if each.id == first)
    assert quiz.inline(question.question) in form.children[0].value
    choices_of(form)[0].value = next(i for i, option in enumerate(question.options) if option.correct)
    assert ids[0] not in record.answered_wrong() and len(choices_of(quiz.again(99))) == 11
    with pytest.raises(ValueError, match="count: expected a whole number from 1, got 0"):
        quiz.again(0)


def test_where_nothing_was_wrong_that_is_said(path):
    form = quiz.again()
    assert choices_of(form) == [] and "No question waits" in form.children[0].value


def test_runs_that_store_outputs_and_the_strict_run_record_nothing(monkeypatch):
    from tools import notebooks

    assert notebooks.KERNEL_ENVIRONMENT[record.VARIABLE] == "off"
