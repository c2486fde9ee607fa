"""Grading: what a hand-in defines counts, and nothing that it prints, changes or sends."""

import csv
import gc
import os
import pickle
import re
import socket
import sys
import threading
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from course_utils.classroom import LESSONS
from course_utils.classroom.grading import command, hand_ins, judge, report, wire
from course_utils.classroom.grading.judge import Limits, Session, Verdict
from course_utils.lessons.masks import exercises as masks
from course_utils.lessons.start_here import exercises as start

IMPORT = "import torch\nfrom course_utils.exercises import masks as ex"
HEAD = "def causal_mask(seq_len):\n    "
ONES = "torch.ones(seq_len, seq_len, dtype=torch.bool)"
RIGHT = f"{HEAD}return {ONES}.tril()"
WRONG = f"{HEAD}return {ONES}.triu()"
CHECK = "\nex.causal_mask.check(causal_mask)"
SAID = "causal_mask: passed (2 stages, 17 calls)."
LIMITS = ["--stage-seconds=3", "--cell-seconds=2", "--seconds=30", "--jobs=2"]

PATCHES = {
    "check": f"ex.causal_mask.check = lambda answer: print({SAID!r})",
    "engine": (
        "from course_utils.classroom import engine, explain\n"
        "yes = lambda *args, **kwargs: engine.Result(True, 'passed')\n"
        "for name in ('check', 'judge', '_run', '_run_stage'):\n    setattr(engine.Exercise, name, yes)\n"
        "engine.Check.equal = engine.Check.expect = explain.difference = lambda *args, **kwargs: None"
    ),
    "judge": (
        "from course_utils.classroom.grading import judge, wire\n"
        "judge.judged = lambda *args: judge.Verdict('causal_mask', True)\nwire.from_bytes = lambda data: True"
    ),
}
FORGERY = f"""
import gc, multiprocessing.connection as mc, os, pickle
class Bomb:
    def __reduce__(self):
        return (os.system, ("touch MARKER",))
for pipe in [each for each in gc.get_objects() if isinstance(each, mc.Connection)]:
    pipe.send_bytes(pickle.dumps(Bomb()))
{WRONG}"""
MEMORY = "big = bytearray(2**34)"

LOOP = "while True: pass"
STUBBORN = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
YES = "class Yes(torch.Tensor):\n    def __eq__(self, other): return True\n"
STUB = "def causal_mask(seq_len): ..." + CHECK

# What is handed in, and what must come of causal_mask: whether it passes, and what its row says else.
SLIP, NO_ATTEMPT, ENDLESS = "misconception", "not attempted", "did not end in time"
HANDED_IN = {
    "right": ([RIGHT + CHECK], True, ""),
    "right by comparison": ([HEAD + "i = torch.arange(seq_len)\n    return i[:, None] >= i"], True, ""),
    "right in NumPy": (["import numpy as np\n" + HEAD + "return np.tri(seq_len, dtype=bool)"], True, ""),
    "right as lists": (
        [HEAD + "return [[j <= i for j in range(seq_len)] for i in range(seq_len)]" + CHECK],
        True,
        "",
    ),
    "right with a warning": (
        [f"import warnings\n{HEAD}warnings.warn('old')\n    return {ONES}.tril()"],
        True,
        "",
    ),
    "right but never checked": ([RIGHT], True, ""),
    "right, named otherwise": ([RIGHT.replace("causal", "my"), "ex.causal_mask.check(my_mask)"], True, ""),
    "wrong, transposed": ([WRONG + CHECK], False, SLIP),
    "wrong, one off": ([f"{HEAD}return {ONES}.tril(-1)" + CHECK], False, SLIP),
    "wrong in its own way": ([f"{HEAD}return {ONES}" + CHECK], False, ""),
    "wrong with an error": ([f"{HEAD}return nowhere" + CHECK], False, "NameError: name 'nowhere'"),
    "wrong number of parameters": ([f"def causal_mask():\n    return {ONES}" + CHECK], False, "parameters"),
    "stub": ([STUB], False, NO_ATTEMPT),
    "stub with pass": ([HEAD + "pass" + CHECK], False, NO_ATTEMPT),
    "stub that raises": ([HEAD + "raise NotImplementedError" + CHECK], False, NO_ATTEMPT),
    "endless": ([HEAD + LOOP], False, ENDLESS),
    "endless and stubborn": ([HEAD + STUBBORN.replace("\n", "\n    ")], False, ENDLESS),
    "asleep": ([HEAD + "import time; time.sleep(1000)"], False, ENDLESS),
    "an endless cell above": ([LOOP, RIGHT + CHECK], True, ""),
    "a failing cell above": (["1 / 0", "undefined", "this is no Python", RIGHT + CHECK], True, ""),
    "an exercise cell deleted": (["x = 3"], False, "not there"),
    "a cell doubled, the copy untouched": ([RIGHT + CHECK, STUB], True, ""),
    "a wrong one shown, the own one untouched": ([WRONG + CHECK, STUB], False, NO_ATTEMPT),
    "a cell doubled, mended in the copy": ([WRONG + CHECK, RIGHT + CHECK], True, ""),
    "printed": ([WRONG + CHECK, f"print({SAID!r})"], False, SLIP),
    "check replaced": ([PATCHES["check"], WRONG + CHECK], False, SLIP),
    "engine replaced": ([PATCHES["engine"], WRONG + CHECK], False, SLIP),
    "grader replaced": ([PATCHES["judge"], WRONG + CHECK], False, SLIP),
    "replaced from inside": (
        [f"{HEAD}exec({PATCHES['engine']!r}, {{'ex': ex}})\n    return {ONES}.triu()"],
        False,
        SLIP,
    ),
    "comparisons replaced": (
        [f"torch.equal = torch.allclose = lambda *args, **kwargs: True\n{WRONG}"],
        False,
        SLIP,
    ),
    "equal to everything": ([f"{YES}{HEAD}return {ONES}.triu().as_subclass(Yes)"], False, SLIP),
    "the model answer": (["causal_mask = ex.causal_mask.model_answer" + CHECK], False, "not there"),
    "the model answer inside": ([HEAD + "return ex.causal_mask.model_answer(seq_len)"], False, ""),
    "the model answer, kept": (
        [f"kept = ex.causal_mask.model_answer\n{HEAD}return kept(seq_len)", "assert kept(2).sum() == 3"],
        False,
        "this is the solution of the course",
    ),
    "the solution pasted": ([masks.causal_mask.solution_source() + CHECK], True, ""),
    "sent down the pipe": ([FORGERY], False, "it sent what no"),
    "at other people's files": (
        [f"import pathlib; pathlib.Path('MARKER').touch()\n{RIGHT}", RIGHT],
        True,
        "",
    ),
    "a process that ends": ([RIGHT, "import os; os._exit(0)"], False, "its process has ended"),
    "too much memory": ([MEMORY, RIGHT], True, ""),
}


def write(path: Path, cells: list[str], printed: str = "") -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    if printed:
        notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def server():
    """A server of this machine, and how often somebody has knocked."""
    knocks = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        done = threading.Event()

        def serve():
            while not done.is_set():
                try:
                    listening.accept()[0].close()
                    knocks.append(1)
                except TimeoutError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], knocks
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def context():
    return judge.processes()


@pytest.fixture(scope="module")
def closed(context) -> bool:
    return judge.walls(context)[0]


@pytest.fixture(scope="module")
def graded(tmp_path_factory, server, closed) -> dict:
    """The command's two files for the whole class, and the rows by student and exercise."""
    folder = tmp_path_factory.mktemp("class")
    for student, (cells, *_) in HANDED_IN.items():
        cells = [cell.replace("MARKER", str(folder / "exploded")) for cell in cells]
        write(folder / "in" / student / "05_masks.ipynb", [IMPORT, *cells], SAID)
    write(folder / "in" / "the import deleted" / "05_masks.ipynb", ["import torch", RIGHT + CHECK])
    knock = f"import socket\nsocket.create_connection(('127.0.0.1', {server[0]}), 2)"
    write(folder / "in" / "=knocking" / "05_masks.ipynb", [IMPORT, knock, RIGHT + CHECK])
    write(folder / "in" / "empty.ipynb", [])
    (folder / "in" / "broken.ipynb").write_text("{", encoding="utf-8")
    options = [str(folder / "in"), f"--output={folder / 'out'}", *LIMITS]
    assert command.main(options + ["--with-network"] * (not closed)) == 0
    text = (folder / "out" / "grades.csv").read_text(encoding="utf-8")
    found = list(csv.DictReader(text.splitlines()))
    return {
        "folder": folder,
        "text": text,
        "page": (folder / "out" / "class.html").read_text(encoding="utf-8"),
        "rows": {(row["student"], row["exercise"]): row for row in found},
    }


# ------------------------------------------------------------------ the class


@pytest.mark.parametrize("student", HANDED_IN)
def test_what_is_defined_counts_and_nothing_else(graded, student):
    _, passed, said = HANDED_IN[student]
    row = graded["rows"][student, "causal_mask"]
    assert row["passed"] == ("yes" if passed else "no"), row
    if said == SLIP:
        assert row["misconception"] in masks.causal_mask.sentences.values()
    else:
        assert row["misconception"] == "" and said in row["note"], row
    assert row["notebook"] == "05 masks"


def test_every_exercise_has_a_row_for_every_student(graded):
    names = list(judge.exercises_of("masks"))
    for student in HANDED_IN:
        assert [name for who, name in graded["rows"] if who == student] == names


def test_nothing_is_lost_with_the_cell_that_imports_the_exercises(graded):
    assert graded["rows"]["the import deleted", "causal_mask"]["passed"] == "yes"


def test_what_cannot_be_run_says_why(graded):
    assert "no notebook that can be read" in graded["rows"]["broken", ""]["note"]
    assert "say --lesson NAME" in graded["rows"]["empty", ""]["note"]


def test_a_name_that_a_spreadsheet_would_compute_is_a_text(graded):
    assert graded["rows"]["'=knocking", "causal_mask"]["passed"] == "yes"


def test_the_network_is_closed(graded, server, closed):
    if not closed:
        pytest.skip("no network namespace for this account")
    assert server[1] == []
    assert "=knocking" in graded["page"] and "Network is unreachable" in graded["page"]


def test_nothing_outside_its_folder_is_changed(graded, context):
    if not judge.walls(context)[1]:
        pytest.skip("no Landlock here")
    assert "code cell 2 failed: PermissionError" in graded["page"]
    assert not (graded["folder"] / "exploded").exists()


def test_nothing_that_is_sent_is_run(graded):
    assert not (graded["folder"] / "exploded").exists()


def test_the_page_counts_the_class_and_shows_its_misconceptions(graded):
    page = graded["page"]
    assert f"{len(HANDED_IN) + 4} hand-ins" in page
    passed = sum(row["passed"] == "yes" for (_, name), row in graded["rows"].items() if name == "causal_mask")
    assert re.search(rf"<td[^>]*>causal_mask</td><td[^>]*>{passed} of {len(HANDED_IN) + 2}</td>", page)
    assert page.count("<img ") == 1 and 'alt="How many hand-ins show each misconception' in page
    assert "causal_mask: transposed" in page and masks.causal_mask.sentences["transposed"] in page
    assert "http" not in page.replace("http-equiv", "")


def test_what_failed_in_a_notebook_is_named_by_its_cell(graded):
    assert "code cell 2 failed: ZeroDivisionError: division by zero" in graded["page"]
    assert "code cell 2 failed: TimeoutError: stopped after 2 seconds" in graded["page"]
    assert "code cell 2 failed: MemoryError" in graded["page"]


# ------------------------------------------------------------------ one by one


def run(context, cells: list[str], exercises, **limits) -> dict[str, Verdict]:
    verdicts, _ = judge.judge(context, cells, exercises, Limits(closed=False, **limits))
    return {verdict.exercise: verdict for verdict in verdicts}


def test_an_answer_is_judged_in_the_room_as_it_is_here(context):
    """Solutions and slips of a lesson, as a student would type them: the same verdict, the same words."""
    exercises = judge.exercises_of("embeddings")
    head = "import math, torch\nfrom torch.nn import functional as F"
    solutions = [exercise.solution_source() for exercise in exercises.values()]
    assert all(verdict.passed for verdict in run(context, [head, *solutions], exercises).values())
    slips = [
        exercises["layer_norm"].solution_source().replace(" * weight + bias", ""),
        "def spread_after_dropout(p):\n    return 1 / (1 - p)",
    ]
    told = run(context, [head, *slips], exercises)
    for name, source in zip(("layer_norm", "spread_after_dropout"), slips, strict=True):
        scope: dict = {}
        exec(f"{head}\n{source}", scope)  # noqa: S102
        here = exercises[name].judge(scope[name])
        assert (told[name].passed, told[name].misconception) == (bool(here), here.misconception)


NAMES = """import course_utils.lessons.{0}.exercises as module
from course_utils.classroom.engine import Exercise
named = [(name, part) for name, part in vars(module).items() if not name.startswith("__")]
globals().update((name, part) for name, part in named if not isinstance(part, Exercise))"""


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_exercise_can_be_judged_through_the_pipe(context, lesson):
    """What its check hands to an answer, and what its solution returns, goes through as plain values."""
    exercises = judge.exercises_of(lesson)
    solutions = [exercise.solution_source() for exercise in exercises.values()]
    told = run(context, [NAMES.format(lesson), *solutions], exercises)
    assert [name for name, verdict in told.items() if not verdict.passed] == []


def test_the_solution_word_for_word_is_said(context):
    cells = ["import math", "# mine\n" + start.softmax.solution_source()]
    assert hand_ins.pasted(tuple(cells), start.softmax)
    assert not hand_ins.pasted(("def softmax(scores): ...", "%magic", "no python"), start.softmax)
    one_line = masks.causal_mask.solution_source()
    assert not hand_ins.pasted((one_line,), masks.causal_mask)  # everybody writes it so


def test_threads_that_read_solutions_do_not_disturb_each_other():
    """Python 3.11 counts the depth of all parsers in one number; what runs in between mixes it up."""
    failures, cells = [], ["import math\n# mine\n" + start.softmax.solution_source()]

    def in_between(phase, info):  # as a finaliser would, and as hypothesis does
        for _ in range(300):
            pass

    def read(depth):
        if depth:
            return read(depth - 1)
        for _ in range(150):
            try:
                assert hand_ins.pasted(cells, start.softmax)
            except SystemError as error:
                failures.append(error)

    gc.callbacks.append(in_between)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=read, args=(depth,)) for depth in (0, 10, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        gc.callbacks.remove(in_between)
    assert failures == []


def test_a_definition_that_the_course_made_is_said(context):
    cells = ["from course_utils.masks import causal_mask"]
    verdict = run(context, cells, {"causal_mask": masks.causal_mask})["causal_mask"]
    assert verdict.passed and verdict.note == "taken from course_utils.masks"


def test_a_notebook_that_does_not_end_is_ended(context):
    import psutil

    session = Session(context, [STUBBORN], {}, Limits(seconds=1.5, cell_seconds=60, closed=False))
    folder = Path(session._folder.name)
    with pytest.raises(judge.Lost, match=r"ran for more than 1\.5 seconds"):
        session.run()
    assert not psutil.pid_exists(session._process.pid) and not folder.exists()


def test_what_a_notebook_starts_ends_with_it(context):
    import psutil

    cells = ["import subprocess, sys", "p = subprocess.Popen(['sleep', '1000']); causal_mask = p.pid"]
    session = Session(context, cells, {"causal_mask": masks.causal_mask}, Limits(closed=False))
    session.run()
    pid = session.found["causal_mask"][-1]["value"]
    assert psutil.pid_exists(pid)
    session.close()
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_more_memory_than_allowed_ends_the_room_where_the_system_sets_no_limit(context, monkeypatch):
    monkeypatch.setattr(judge, "MEGABYTE", 2**10)  # a room has more in memory from the beginning
    session = Session(context, ["import time; time.sleep(60)"], {}, Limits(closed=False))
    with pytest.raises(judge.Lost, match="more than 2000 MB"):
        session.run()


# ------------------------------------------------------------------ plain values


VALUES = [
    None, True, 3, 2.5, 1j, "a", b"a", [1, [2]], (1, "a"), {1, 2}, frozenset({1}), {"a": (1, [2.0])},
    range(1, 9, 2), float("inf"), torch.float32, np.float32(1.5), np.int64(3), np.bool_(True), 2**100,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_values_come_back_as_they_were(value):
    back = wire.from_bytes(wire.to_bytes(value))
    assert back == value and type(back) is type(value)
    assert wire.from_bytes(wire.to_bytes(...)) is ...


@pytest.mark.parametrize("dtype", wire.DTYPES.values(), ids=str)
def test_tensors_come_back_bit_for_bit(dtype):
    for shape in ((), (0, 3), (2, 3)):
        tensor = (3 * torch.randn(shape)).to(dtype)
        back = wire.from_bytes(wire.to_bytes(tensor))
        assert back.dtype == dtype and back.shape == tensor.shape and torch.equal(back, tensor)


def test_views_and_gradients_are_no_matter():
    x = torch.arange(12.0, requires_grad=True).reshape(3, 4).T[::2]
    assert torch.equal(wire.from_bytes(wire.to_bytes(x)), x)
    array = np.arange(12.0).reshape(3, 4).T[::2]
    assert np.array_equal(wire.from_bytes(wire.to_bytes(array)), array)
    assert wire.from_bytes(wire.to_bytes(np.array(["a", "bc"]))).tolist() == ["a", "bc"]


def test_what_is_not_plain_stays_where_it_is():
    kept = []

    def keep(value):
        kept.append(value)
        return len(kept) - 1

    thing = object()
    back = wire.from_bytes(wire.to_bytes([1, thing, np.array([thing])], keep))
    assert back == [1, wire.Elsewhere(0, "object"), wire.Elsewhere(1, "ndarray")] and kept[0] is thing
    endless: list = []
    endless.append(endless)
    assert isinstance(wire.from_bytes(wire.to_bytes(endless)), list)


class Bomb:
    def __reduce__(self):
        return (sys.exit, ("bang",))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        pickle.dumps(Bomb()),
        pickle.dumps(("tensor", "torch.float32", (5,), b"123")),
        pickle.dumps(("array", "|O", (1,), b"12345678")),
        pickle.dumps(("tensor", "torch.nothing", (), b"1234")),
        pickle.dumps(("no tag", 1)),
        pickle.dumps([1, 2]),
        pickle.dumps(np.float64(1)),
    ],
)
def test_bytes_of_another_hand_are_refused(data):
    with pytest.raises(wire.Forged):
        wire.from_bytes(data)


def test_errors_are_those_of_python_and_none_that_would_stop_the_grader():
    assert isinstance(wire.error_of("IndexError", "x"), IndexError)
    for name in ("SystemExit", "KeyboardInterrupt", "print", "Nothing", "UnicodeDecodeError"):
        assert type(wire.error_of(name, "x")) is RuntimeError


# ------------------------------------------------------------------ the command


def refusal(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as ended:
        command.main(list(map(str, arguments)))
    captured = capsys.readouterr()
    assert ended.value.code == 2 and captured.out == ""
    return captured.err


def test_wrong_options_are_refused_in_one_line(tmp_path, capsys):
    assert "expected a folder" in refusal(capsys, tmp_path / "none")
    assert "expected notebooks" in refusal(capsys, tmp_path)
    assert "--seconds: expected a number above 0" in refusal(capsys, tmp_path, "--seconds=nan")
    assert "invalid choice" in refusal(capsys, tmp_path, "--lesson=mask")


@pytest.mark.parametrize("answer", ["no", "", None])
def test_where_the_network_cannot_be_closed_it_says_so_and_asks(tmp_path, capsys, monkeypatch, answer):
    write(tmp_path / "a.ipynb", [IMPORT, RIGHT])
    monkeypatch.setattr(command, "walls", lambda context: (False, False))
    monkeypatch.setattr(command, "grade", None)  # none is run
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    if answer is not None:
        monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    said = refusal(capsys, tmp_path)
    assert "NOTHING KEEPS THESE NOTEBOOKS FROM THE NETWORK" in said and "--with-network" in said


def test_students_are_found_by_folder_or_by_file(tmp_path):
    write(tmp_path / "anna" / "ps1" / "05_masks.ipynb", [IMPORT])
    write(tmp_path / "ben_05_masks.ipynb", [RIGHT])
    write(tmp_path / "anna" / ".ipynb_checkpoints" / "05_masks.ipynb", [IMPORT])
    assert [(each.student, each.lesson) for each in hand_ins.find(tmp_path)] == [
        ("anna", "masks"),
        ("ben_05_masks", "masks"),
    ]


def test_an_empty_class_makes_a_page_too():
    assert "Nothing." in report.to_html([]) and report.to_csv([]) == ",".join(report.COLUMNS) + "\n"
