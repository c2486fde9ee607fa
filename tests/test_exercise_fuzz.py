"""Hundreds of answers to every exercise: what passes although it is wrong stands in a reviewed list.

`exercise_fuzz` makes the answers and tries them, here in two processes that order sets and hash words
differently. `exercise_fuzz.toml` is the list. It can only shrink: an answer that passes unlisted fails this
test, and so does a line of the list that no longer holds.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import exercise_fuzz as fuzz
import numpy as np
import pytest

from course_utils.classroom.engine import exercise, stage

ENTRIES = fuzz.reviewed()
SUBJECTS = fuzz.exercises()


def tables_of_two_processes() -> list[dict]:
    """The verdicts of two processes with other hash seeds, side by side."""
    running = [_start(seed) for seed in ("1", "2")]
    return [_finish(process) for process in running]


def _start(hash_seed: str) -> subprocess.Popen:
    root = Path(__file__).resolve().parent.parent
    settings = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root), "BERT_COURSE_PROGRESS": "off"}
    command = [sys.executable, fuzz.__file__]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **settings}, cwd=root
    )


def _finish(process: subprocess.Popen) -> dict:
    out, errors = process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    return json.loads(out)


def faults(table: dict[str, object], listed: set[str], refused: set[str]) -> list[str]:
    """Where the verdicts on the answers to one exercise and the list disagree."""
    found = []
    for answer, passes in table.items():
        kind, _, name = answer.partition(": ")
        if kind == "inputs":
            continue
        is_right = kind in ("form", "signature")
        if is_right and not passes and name not in refused:
            found.append(f"right, and refused: {answer}")
        if not is_right and passes and answer not in listed:
            found.append(f"wrong, and passes: {answer}")
    found += [f"listed, and no longer passes: {answer}" for answer in sorted(listed) if not table.get(answer)]
    holds = {form for form in refused if table.get(f"form: {form}") is False}
    found += [f"listed, and no longer refused: {form}" for form in sorted(refused - holds)]
    return found


def test_what_passes_and_what_is_refused_is_in_the_reviewed_list_in_every_process():
    one, other = tables_of_two_processes()
    assert list(one) == list(other) == list(SUBJECTS)
    found = {name: faults(table, *fuzz.expected(ENTRIES, name)) for name, table in one.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}
    differ = {n: sorted(a for a in one[n] if one[n][a] != other[n].get(a)) for n in one if one[n] != other[n]}
    known = {name: ["inputs"] for name in SUBJECTS if "inputs" in fuzz.expected(ENTRIES, name)[0]}
    assert differ == known, "other verdicts, or other inputs, where words hash otherwise"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.reason[:50])
def test_an_entry_of_the_list_has_a_reason_that_holds(entry):
    assert set(entry.exercises) <= set(SUBJECTS)
    assert entry.answers or entry.forms
    if entry.forms:
        assert entry.task or entry.reason.startswith("open: ")
        for name in entry.exercises:
            assert entry.task in " ".join(SUBJECTS[name].task.split())
    else:
        assert entry.reason.startswith(("equivalent: ", "open: "))


# ----------------------------------------------------------------------------------------------------------
# The fuzz itself: it finds what it is for


def test_a_hole_a_stale_line_and_a_refused_form_are_all_found():
    table = {"form: float64": False, "form: tuple for list": False, "mutant: a -> b": True, "inputs": 5}
    assert faults(table, {"mutant: c -> d"}, {"tuple for list", "int32"}) == [
        "right, and refused: form: float64",
        "wrong, and passes: mutant: a -> b",
        "listed, and no longer passes: mutant: c -> d",
        "listed, and no longer refused: int32",
    ]


SOURCE = (
    "def f(x, y):\n    if not x < y and x:\n        return x[:3] - y.sum(dim=-1)\n    return max(x, True)\n"
)


@pytest.mark.parametrize(
    "change",
    [
        "x < y -> x <= y",
        "x < y -> y < y",
        "if not x < y and x: ... -> if True: ...",
        "not x < y -> x < y",
        "not x < y and x -> not x < y or x",
        "x[:3] -> x[:4]",
        "x[:3] -> x[:]",
        "x[:3] - y.sum(dim=-1) -> x[:3] + y.sum(dim=-1)",
        "x[:3] - y.sum(dim=-1) -> y.sum(dim=-1) - x[:3]",
        "y.sum(dim=-1) -> y.sum(dim=0)",
        "y.sum(dim=-1) -> y.sum()",
        "y.sum(dim=-1) -> y.mean(dim=-1)",
        "max(x, True) -> max(True, x)",
        "max(x, True) -> max(x, False)",
        "max(x, True) -> min(x, True)",
        "without: if not x < y and x: ...",
    ],
)
def test_one_change_is_made_in_the_source(change):
    assert change in fuzz.changed_sources(SOURCE)


def test_a_change_leaves_the_rest_of_the_source():
    changed = fuzz.changed_sources("def f(x, n):\n    return [x[i] + 1 for i in range(n)]\n")
    assert len(changed) == len(set(changed.values()))
    assert changed["x[i] + 1 -> x[i] - 1"] == "def f(x, n):\n    return [x[i] - 1 for i in range(n)]"


@exercise
class row_means:
    """Write `row_means(rows, size)`: the mean of each of the rows, a list; `size` is the length of a row."""

    hints = ("Add up each row.", "Divide by size.")

    def stub(rows, size): ...

    def solution(rows, size):
        return [sum(row) / size for row in rows]

    @stage("rows of two numbers")
    def pairs(check):
        for n in range(1, 6):
            rows = check.rng.normal(size=(n, 2)).tolist()
            check.equal(check.call(rows, 2), np.mean(rows, axis=1).tolist())


def test_the_fuzz_finds_the_holes_of_a_check():
    table = fuzz.verdicts(row_means, set(), set())
    holes = {answer for answer, passes in table.items() if passes is True and "form" not in answer}
    assert "first value: size" in holes  # the size is 2 in every call
    assert "fails: tied rows" in holes and "fails: empty rows" in holes
    assert not table["mutant: sum(row) / size -> sum(row) * size"]
    assert not table["first value: rows"] and not table["row 0: rows, axis 0"]
    assert table["form: tuple for list"] and table["form: NumPy scalars"]


def test_an_endless_loop_is_refused_at_once():
    source = "def row_means(rows, size):\n    while rows:\n        pass\n"
    answer = fuzz.compiled(row_means, source)
    with pytest.raises(RecursionError, match="without end"):
        answer([[1.0]], 1)


def test_inputs_print_alike_in_every_process():
    given = {"words": {"b", "a"}, "of": [tables_of_two_processes, (1, {2})]}
    assert fuzz.printable(given) == {"words": ["a", "b"], "of": ["tables_of_two_processes", [1, [2]]]}
