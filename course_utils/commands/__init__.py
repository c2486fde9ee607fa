"""The commands of the package, `python -m course_utils....`: their options, and what they print.

A taught module keeps one line for its command; the rest of it is here.
"""

import argparse
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """Answers a mistake with the one line that says what is wrong; the usage is for --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")
