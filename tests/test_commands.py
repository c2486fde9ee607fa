"""However a command ends, it says so in one line: interrupted, with a wrong value, on a full disk."""

import errno
import math
import os
import re
import runpy
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import matplotlib.figure  # noqa: F401  (its first import makes a folder)
import pytest
import torch
from test_pretraining import TINY_OPTIONS

import course_utils
from course_utils import checkpoints, commands, files, pretraining
from course_utils.commands import pretraining as command
from course_utils.toy.language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer

ROOT = Path(course_utils.__file__).resolve().parent.parent
TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)


def commands_of(folder: str) -> list[str]:
    """The files that are run as commands, found by their last lines."""
    found = (path.relative_to(ROOT).as_posix() for path in sorted((ROOT / folder).rglob("*.py")))
    return [name for name in found if "\nif __name__ ==" in (ROOT / name).read_text(encoding="utf-8")]


ALL = [name for folder in ("course_utils", "benchmarks", "tools", "img") for name in commands_of(folder)]


@pytest.fixture
def interrupts():
    """Ctrl-C means afterwards what it meant before."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ALL)
def test_help_only_helps(name, monkeypatch, capsys, interrupts):
    """`--help` ends with 0, prints how to use the command, and writes and starts nothing."""

    def refuse(*args, **kwargs):
        raise AssertionError("--help does something")

    for module, attribute in [
        (files, "write_bytes"),
        (Path, "write_text"),
        (Path, "write_bytes"),
        (Path, "mkdir"),
        (subprocess, "run"),
        (subprocess, "Popen"),
        (os, "replace"),
    ]:
        monkeypatch.setattr(module, attribute, refuse)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.syspath_prepend(str((ROOT / name).parent))
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / name), run_name="__main__")
    captured = capsys.readouterr()
    assert (ended.value.code or 0) == 0
    assert captured.out.startswith("usage: ") and captured.err == ""


# ------------------------------------------------------------------ wrong values


@pytest.mark.parametrize("option", [part for part in TINY_OPTIONS if part.startswith("--")])
@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "-1", "1.5e400", "0x10"])
def test_a_wrong_value_is_one_line(option, value, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--output", str(tmp_path / "new"), f"{option}={value}"])
    captured = capsys.readouterr()
    assert ended.value.code == 2 and captured.out == "" and captured.err.count("\n") == 1
    assert re.fullmatch(r"python -m course_utils.pretraining: .+", captured.err.strip())
    assert not (tmp_path / "new").exists()


def refusal_of(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as ended:
        command.main(list(map(str, arguments)))
    captured = capsys.readouterr()
    assert ended.value.code == 2 and captured.out == "" and captured.err.count("\n") == 1
    return captured.err


def test_nothing_that_is_there_is_replaced_without_a_word(tmp_path, capsys):
    """A stopped run, a finished checkpoint, files of somebody else, and the current folder."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "README.md").write_text("mine", encoding="utf-8")
    assert "is not empty (README.md); name another folder" in refusal_of(capsys, "--output", own)
    (own / checkpoints.WEIGHTS_FILE).touch()
    assert "the run of this folder is finished" in refusal_of(
        capsys, "--output", own, "--resume", *TINY_OPTIONS
    )
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    (stopped / pretraining.STATE_FILE).write_bytes(b"steps")
    assert "holds a stopped run; --resume goes on" in refusal_of(capsys, "--output", stopped, *TINY_OPTIONS)
    assert "expected a path, got ''" in refusal_of(capsys, "--output", "")
    assert "exists; name another" in refusal_of(capsys, "--write-vocab", own / "README.md")
    assert (own / "README.md").read_text(encoding="utf-8") == "mine"
    assert (stopped / pretraining.STATE_FILE).read_bytes() == b"steps"


def test_an_output_that_cannot_be_written_is_found_before_the_first_step(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "Pretrainer", None)  # no run begins
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "cannot be written: Not a directory" in refusal_of(capsys, "--output", tmp_path / "file" / "new")

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "cannot be written: No space left" in refusal_of(capsys, "--output", tmp_path / "new")


def test_two_runs_do_not_share_a_folder(tmp_path, capsys):
    with files.only_run(tmp_path / "new"):
        assert "another run is writing to" in refusal_of(capsys, "--output", tmp_path / "new", *TINY_OPTIONS)


# ------------------------------------------------------------------ interrupts, pipes, disks


def in_a_child(act, stdout: int | None = None) -> tuple[int, str]:
    """Exit code and stderr of `act`, which ends a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)  # torch's other threads are not in the child, and it would wait for them
            os.dup2(write, 2)
            if stdout is not None:
                os.dup2(stdout, 1)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            act()
        except SystemExit as ended:
            sys.stderr.flush()
            os._exit(ended.code or 0)
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(99)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as text:
        said = text.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said


def test_a_child_computes_though_torch_had_two_threads():
    def compute():
        torch.nn.functional.layer_norm(torch.ones(4000, 128), (128,))

    def act():
        signal.alarm(20)  # instead of a wait without end
        compute()
        raise SystemExit

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        compute()
        assert in_a_child(act) == (0, "")
    finally:
        torch.set_num_threads(threads)


def test_a_closed_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    try:
        assert in_a_child(lambda: commands.run(lambda: print("x" * 1_000_000)), write) == (1, "")
        assert in_a_child(lambda: commands.run(lambda: print("short")), write) == (1, "")
    finally:
        os.close(write)


def test_a_pipe_that_closes_where_bad_values_are_looked_for_is_quiet():
    """Output that is not buffered meets the closed pipe at once, and a broken pipe is an OSError."""
    parser = commands.OneLineParser()

    def main():
        try:
            raise BrokenPipeError
        except (OSError, ValueError) as error:
            parser.error(str(error))

    assert in_a_child(lambda: commands.run(main)) == (1, "")


def test_a_full_disk_is_one_line():
    def main():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/mine")

    code, said = in_a_child(lambda: commands.run(main))
    assert code == 1 and said.count("\n") == 1
    assert "No space left on device: 'runs/mine'; what was saved before is whole" in said


MOMENTS = 15


def test_ctrl_c_in_any_moment_of_a_run_is_one_line(tmp_path, monkeypatch):
    """A whole run is counted in calls of Python functions; then it is interrupted at even distances."""
    held_out = pretraining.held_out(TOKENIZER, documents=2)
    monkeypatch.setattr(command, "held_out", lambda tokenizer: held_out)

    options = [*TINY_OPTIONS, "--documents=5", "--steps=3"]
    command.main(["--output", str(tmp_path / "warm"), *options])  # what is imported late is imported now

    def interrupted_at(moment: float, folder: Path):
        calls = 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event == "call"
            if calls == moment:
                calls += 1
                signal.raise_signal(signal.SIGINT)

        def main():
            sys.setprofile(count)
            code = command.main(["--output", str(folder), *options])
            sys.setprofile(None)
            if moment == math.inf:
                print("calls:", calls, file=sys.stderr)
            return code

        return in_a_child(lambda: commands.run(main), os.open(os.devnull, os.O_WRONLY))

    code, said = interrupted_at(math.inf, tmp_path / "whole")
    assert code == 0
    total = int(said.rpartition("calls:")[2])
    for number in range(1, MOMENTS + 1):
        folder = tmp_path / str(number)
        code, said = interrupted_at(int(0.9 * total * number / MOMENTS), folder)
        lines = [line for line in re.split(r"[\r\n]", said) if line.strip() and "pretraining:" not in line]
        assert code == 130 and len(lines) <= 1 and "Traceback" not in said, said
        assert not list(folder.glob("*.partial"))
        state = folder / pretraining.STATE_FILE
        if state.exists():
            files.read_tensors(state)


@pytest.mark.parametrize(
    "module",
    ["course_utils", "numpy", "torch._C", "course_utils.masks", "course_utils.toy.language"],
)
def test_ctrl_c_while_modules_are_imported_is_one_line(module):
    """The moment is that of a line in Python's own record of imports."""
    run = [sys.executable, "-X", "importtime", "-m", "course_utils.pretraining", "--steps", "1"]
    with subprocess.Popen(
        run, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        said = []
        for line in process.stderr:
            if not line.startswith("import time:"):
                said.append(line)
            elif line.split("|")[-1].strip() == module:
                process.send_signal(signal.SIGINT)
    assert (process.returncode, said) == (130, ["stopped before anything began\n"])
