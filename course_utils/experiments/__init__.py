"""Experiments too long for a notebook: each module makes one stored result, a JSON file beside it.

What the modules share is here: the options of their commands, how a result is written and read, and the rounding that keeps
the files small.
"""

import argparse
import json
from pathlib import Path

from course_utils.checkpoints import write_text


class Options(argparse.ArgumentParser):
    """The command of an experiment: where to write, and how many models are trained at the same time.

    Args:
        command: as a reader types it.
        description: what the experiment is; its module's docstring.
        result: the file of the stored result, which `--output` replaces.
    """

    def __init__(self, command: str, description: str, result: Path):
        super().__init__(
            prog=command, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self.add_argument("--output", type=Path, default=result, help="the JSON file to write")
        self.add_argument(
            "--processes", type=int, default=2, help="models trained at the same time (default: 2)"
        )

    def parse_args(self, *args, **kwargs) -> argparse.Namespace:
        options = super().parse_args(*args, **kwargs)
        if options.processes < 1:
            self.error(f"--processes is {options.processes}; it must be 1 or more")
        return options


def read(path: Path) -> dict:
    """A stored result."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write(path: Path, result: dict) -> None:
    """Store a result in one stroke, floats with four decimals."""
    write_text(path, json.dumps(rounded(result), indent=1) + "\n")


def rounded(value):
    """The same structure with floats of four decimals."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, (list, tuple)) else value
