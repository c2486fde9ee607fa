"""A training step in one process and in two on this machine, predicted and measured.

    python -m course_utils.lessons.many_machines.experiment

takes about a minute and stores the times beside this file; notebook 18 shows them next to what it measures
live. Times are facts about one machine on one day: read the file for the shape, not for the milliseconds.

The prediction needs the steps of one process, and the time of a bare all-reduce between two. A step takes
about `fixed + each x positions`: what must be paid whatever the batch (each operation is started, the masks
of the whole batch are drawn, all weights are updated), and the rest. Two processes halve the second part, and
add the all-reduce.
"""

import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from course_utils import commands, profiler
from course_utils.classroom.experiments import Options
from course_utils.files import write_text

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.many_machines.experiment"
WORKER = "course_utils.lessons.many_machines.worker"


def in_processes(processes: int, module: str, *arguments: str) -> str:
    """Run `-m module` in so many processes of this machine, started by torchrun; what they print.

    Raises RuntimeError with all that they say on the error output, if one of them fails.
    """
    # Standalone: the processes meet at a port that torchrun holds from the moment it has chosen it.
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = [*launcher, "--nproc-per-node", str(processes), "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module}, processes={processes}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def measure(times: int = 20) -> dict[str, dict]:
    """What the worker finds, in one process and in two."""
    found = {}
    for name, processes in (("one", 1), ("two", 2)):
        printed = in_processes(processes, WORKER, "--times", str(times))
        found[name] = json.loads(printed.strip().splitlines()[-1])
    return found


def predict(found: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Seconds of a step in two processes for each size of the batch, by part: from the steps of one process
    and the time of an all-reduce.

    {"4096": {"fixed": .., "arithmetic": .., "all-reduce": .., "together": ..}, ...}
    """
    times = found["one"]["step"]
    each, fixed = np.polyfit([int(tokens) for tokens in times], list(times.values()), 1)
    predicted = {}
    for tokens in times:
        parts = {"fixed": max(float(fixed), 0.0), "arithmetic": float(each) * int(tokens) / 2}
        parts["all-reduce"] = found["two"]["all-reduce"]
        predicted[tokens] = parts | {"together": sum(parts.values())}
    return predicted


def load() -> dict:
    """The stored result: {"command", "machine", "peak" in FLOP/s, "one", "two"}."""
    return json.loads(RESULT.read_text(encoding="utf-8"))


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    torch.set_num_threads(1)
    record = {"command": COMMAND, "machine": f"{platform.machine()}, two cores, one thread a process"}
    record["peak"] = profiler.peak_flops((512,))
    record |= measure(times=40)
    write_text(options.output, json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    commands.run(main)
