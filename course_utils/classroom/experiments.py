"""Experiments too long for a notebook: a lesson's `experiment.py` makes one stored result beside it.

What they share is here: the options of their commands, how models are trained side by side so that
nothing is lost when a run is interrupted, how a result is written and read, and the rounding that keeps the
files small.
"""

import argparse
import hashlib
import inspect
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from course_utils.commands import STOPPED, OneLineParser
from course_utils.files import write_text


class Options(OneLineParser):
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
            self.error(f"--processes: expected a whole number from 1, got {options.processes}")
        if options.output.is_dir() or not os.access(options.output.absolute().parent, os.W_OK):
            self.error(f"--output: expected a file that can be written, got {str(options.output)!r}")
        return options


def unfinished(output: Path) -> Path:
    """The file that holds what is done so far, beside the one that will hold the result."""
    return output.with_suffix(".unfinished.json")


def train_all(run_one: Callable, jobs: list[tuple], options: argparse.Namespace) -> dict[tuple, object]:
    """`run_one(*job)` for every job, in `options.processes` processes of one thread each. Returns the results
    by job.

    A result must be something that JSON can hold. Whatever is done stands at once in a file beside
    `options.output`, so an interrupted run goes on where it stopped; `finish` takes that file away.

    Raises:
        SystemExit: if another run is making the same output; each would forget what the other has done.
    """
    from filelock import FileLock, Timeout  # torch brings it

    kept = unfinished(options.output)
    kept.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(kept.with_name(kept.name + ".lock"), timeout=0)
    try:
        with lock:
            return _train_missing(run_one, jobs, options.processes, kept)
    except Timeout:
        raise SystemExit(
            f"another run is making {options.output}: wait for it, or name another --output"
        ) from None


def begin_worker() -> None:
    """One thread each. Ctrl-C reaches every process: the first one speaks of it, the others end."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, lambda *_: os._exit(STOPPED))


def _train_missing(run_one: Callable, jobs: list[tuple], processes: int, kept: Path) -> dict[tuple, object]:
    """The results of all jobs: those that the file `kept` holds are taken from there."""
    from tqdm.auto import tqdm

    source = Path(inspect.getfile(run_one)).read_bytes()
    mark = hashlib.sha256(source).hexdigest()  # the settings of the models stand in the same file
    stored = read(kept) if kept.is_file() else {"mark": mark, "done": []}
    if not isinstance(stored, dict) or stored.get("mark") != mark:
        raise SystemExit(f"{kept} was begun with other settings: finish it with those, or delete it")
    done = {tuple(job): result for job, result in stored["done"]}
    missing = [job for job in jobs if job not in done]
    with ProcessPoolExecutor(processes, initializer=begin_worker) as pool:
        running = {pool.submit(run_one, *job): job for job in missing}
        try:
            for future in tqdm(as_completed(running), total=len(missing), desc="models"):
                done[running[future]] = rounded(future.result())
                write(kept, {"mark": mark, "done": list(done.items())})
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what has not begun is left for the next run
            raise
    return {job: done[job] for job in jobs}


def finish(options: argparse.Namespace, result: dict) -> None:
    """Store the result, and drop what `train_all` kept for an interrupted run."""
    write(options.output, result)
    unfinished(options.output).unlink(missing_ok=True)


def read(path: Path) -> dict:
    """A stored result."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write(path: Path, result: dict | list) -> None:
    """Store a result in one stroke, floats with four decimals."""
    write_text(path, json.dumps(rounded(result), indent=1) + "\n")


def rounded(value):
    """The same structure with floats of four decimals."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, (list, tuple)) else value
