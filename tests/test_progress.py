"""The record of what was passed: it survives, it is never in the way, and it never loses a result."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_utils.classroom import engine, progress, record
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
    assert found["masks"] == ["causal_mask", "packing_mask", "prefix_mask", "find_mask", "reach"]
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
    assert "packing_mask, prefix_mask, find_mask" in row


def test_runs_that_store_outputs_and_the_strict_run_record_nothing(monkeypatch):
    from tools import notebooks

    assert notebooks.KERNEL_ENVIRONMENT[record.VARIABLE] == "off"
