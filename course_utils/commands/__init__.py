"""The commands of the package, `python -m course_utils....`: their options, and what they print.

A taught module keeps one line for its command; the rest of it is here. However a command ends, it says so in
one line: `run` is the way in for all of them.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

STOPPED = 130  # the exit code of what Ctrl-C has stopped
FAILED = 1


class OneLineParser(argparse.ArgumentParser):
    """Answers a mistake with the one line that says what is wrong; the usage is for --help."""

    def error(self, message: str) -> NoReturn:
        if isinstance(problem := sys.exception(), BrokenPipeError):
            raise problem  # no mistake: nobody reads on, and `run` ends quietly
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def path_of(text: str) -> Path:
    """A path; no text is none."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got ''")
    return Path(text).expanduser()


def end_on_interrupt() -> None:
    """Until `run` begins, while modules are imported, Ctrl-C ends the process: nothing can be lost."""

    def end(signum: int, frame: object) -> NoReturn:
        os.write(2, b"stopped before anything began\n")
        os._exit(STOPPED)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and end the process: after Ctrl-C with one line and 130, quietly where a pipe closes."""
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, signal.default_int_handler):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main() or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = say("stopped; what has been saved is whole", STOPPED)
    except BrokenPipeError:  # `... | head` has seen enough
        code = FAILED
    except OSError as error:  # a full disk, a folder that is no longer there
        code = say(f"{error}; what was saved before is whole", FAILED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # too late to stop anything
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for the flush with which Python ends
    sys.exit(code)


def say(text: str, code: int) -> int:
    """One line for the person at the keyboard; the exit code that goes with it."""
    print(" ".join(text.split()), file=sys.stderr)
    return code


def check_output(
    parser: argparse.ArgumentParser, folder: Path, ours: str, resume: bool, overwrite: bool
) -> None:
    """Before the first step: a folder that can be written, and in which nothing is lost.

    Args:
        ours: the file in it from which a stopped run goes on.
    """
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    there = [name for name in there if not name.startswith(".")]
    if ours in there and not (resume or overwrite):
        advice = "--resume goes on from there, --overwrite starts again"
        parser.error(f"--output: {folder} holds a stopped run; {advice}")
    if there and ours not in there and not overwrite:
        shown = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
        parser.error(f"--output: {folder} is not empty ({shown}); name another folder, or add --overwrite")
    probe = folder / f".{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        parser.error(f"--output: {folder} cannot be written: {error.strerror or error}")
