"""The commands of the package, `python -m course_utils....`: their options, and what they print.

A taught module keeps one line for its command; the rest of it is here.
"""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """Answers a mistake with the one line that says what is wrong; the usage is for --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command to its exit code. A reader who has seen enough, as `| head`, ends it without a word."""
    try:
        try:
            code = main()
        finally:  # also after --help
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        code = 1
    sys.exit(code)
