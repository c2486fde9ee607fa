"""Does this machine do? Versions, cores, memory and widgets, checked against what the course needs.

    from course_utils import machine
    machine.check()

On a shared server, such as Binder, the variables CPU_LIMIT and MEM_LIMIT say what one reader may use, while
the machine itself shows all its cores and memory. There `settle`, which runs when the package is imported,
holds torch to the cores, and says so when memory is nearly used up: a kernel that takes more is ended by the
server without a word.

In every other notebook `settle` lets torch have as many threads as the machine has cores free, looked at
again before each cell. Two kernels with two threads each on two cores are in each other's way: every step
waits for a thread that waits for its core.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from course_utils import __version__
from course_utils.hints import hold_to_hints

LOWEST_PYTHON = (3, 11)
# What of each package is imported to see that it works: the part that brings in what is compiled.
PACKAGES = {
    "torch": "torch",
    "transformers": "transformers",
    "tokenizers": "tokenizers",
    "safetensors": "safetensors.torch",
    "matplotlib": "matplotlib.backends.backend_agg",
    "ipywidgets": "ipywidgets",
}
SET_UP = "run `make lab` (on Windows `python tools/bootstrap.py lab`)"
MEMORY_WARNING = 0.85  # the share of the memory from which on `warn_if_full` speaks
MEMORY_NEEDED = 1.5e9  # bytes: a notebook may take 1 GB, the server and the browser's share come on top


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its value, and what to do if it is not good enough (empty if it is)."""

    name: str
    value: str
    advice: str = ""


def cores() -> int:
    """Cores this process may use: the limit of a container, a shared server or the machine, whichever is
    lowest.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("CPU_LIMIT", "")  # set by Binder and JupyterHub
    try:
        return max(1, int(min(allowed, float(limit)))) if limit else allowed
    except ValueError:  # no number, or the number that is none
        return allowed


def memory() -> int:
    """Bytes this process may use: the limit of a container or a shared server, or what the machine has."""
    import psutil

    limit = os.environ.get("MEM_LIMIT", "")
    total = psutil.virtual_memory().total
    return min(total, int(float(limit))) if limit.replace(".", "", 1).isdigit() else total


def memory_in_use() -> int:
    """Bytes in use within the limit that `memory` tells: by this server and all its kernels.

    A container counts for itself; where it does not, what this user's processes have in memory is added up.
    """
    for name in ("memory.current", "memory/memory.usage_in_bytes"):
        folder = Path("/sys/fs/cgroup")
        if os.environ.get("MEM_LIMIT") and (folder / name).is_file():
            # Pages of files are counted too, though the system takes them back when memory is short.
            statistics = (folder / name).with_name("memory.stat").read_text(encoding="ascii").splitlines()
            files = next(
                (int(line.split()[1]) for line in statistics if line.startswith("inactive_file ")), 0
            )
            return int((folder / name).read_text(encoding="ascii")) - files
    import psutil

    user = psutil.Process().username()
    processes = psutil.process_iter(["username", "memory_info"])
    return sum(
        p.info["memory_info"].rss for p in processes if p.info["username"] == user and p.info["memory_info"]
    )


def settle() -> None:
    """Keep to the limits of a shared server, and in a notebook to the cores that are free.

    A number of threads that somebody has chosen stays: in OMP_NUM_THREADS, or in a cell.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and not os.environ.get("CPU_LIMIT") and "OMP_NUM_THREADS" not in os.environ:
        shell.events.register("pre_run_cell", FreeCores().take)
    if os.environ.get("CPU_LIMIT") and "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(cores())  # torch reads it when it is loaded
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(cores())
    if os.environ.get("MEM_LIMIT") and shell is not None:
        shell.events.register("post_run_cell", warn_if_full)


class FreeCores:
    """Lets torch have as many threads as there are cores that no other program uses."""

    ENOUGH = 0.7  # of a core free: a thread for it

    def __init__(self) -> None:
        self.chosen: int | None = None  # by `take`
        self._before = self._seconds()

    def _seconds(self) -> tuple[float, float, float]:
        """So far: of the clock, of all cores at work, and of those that this process had at work."""
        import psutil

        every, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle = every.idle + getattr(every, "iowait", 0.0)
        everything = sum(every) - getattr(every, "guest", 0.0) - getattr(every, "guest_nice", 0.0)
        return time.monotonic(), everything - idle, own.user + own.system

    def count(self) -> int:
        """How many cores were free since the last look, one at least."""
        before, now = self._before, self._seconds()
        if now[0] - before[0] < 0.05:  # too short to say anything
            return self.chosen or cores()
        self._before = now
        clock, busy, own = (b - a for a, b in zip(before, now, strict=True))
        others = max(0.0, busy - own) / clock
        free = (os.cpu_count() or 1) - others
        return max(1, min(cores(), int(free + 1 - self.ENOUGH)))

    def take(self, *_: object) -> None:
        """Set torch's number of threads, unless somebody has set another one since."""
        if (torch := sys.modules.get("torch")) is None or not hasattr(torch, "set_num_threads"):
            return
        if self.chosen is None or torch.get_num_threads() == self.chosen:
            self.chosen = self.count()
            torch.set_num_threads(self.chosen)


def warn_if_full(*_) -> bool:
    """Say so if memory is nearly used up. Returns whether it is."""
    used, limit = memory_in_use(), memory()
    full = used > MEMORY_WARNING * limit
    if full:
        print(
            f"Memory is nearly used up: {used / 1e9:.1f} of {limit / 1e9:.1f} GB. Shut down the kernels of"
            " other notebooks (the square icon at the left lists them), or restart this one."
        )
    return full


# A process of its own: what ends Python while it is loaded must not end the reader's kernel.
IMPORT = """
import importlib, importlib.metadata, json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what a package prints is no answer
sys.modules["rfc3987_syntax"] = None  # two seconds of JupyterLab, which does without it
sys.path[:], parts = json.loads(sys.argv[1])
for package, part in parts:
    answer = {"package": package}
    try:
        answer["version"] = importlib.metadata.version(package)
        importlib.import_module(part)
    except importlib.metadata.PackageNotFoundError:
        answer["missing"] = True
    except BaseException as error:
        answer["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
    print(json.dumps(answer), file=answers, flush=True)
"""


def imported(packages: Iterable[str] = PACKAGES) -> dict[str, dict]:
    """What comes of importing each package in a new process: its "version", and "missing" or an "error".

    That a package is listed as installed does not say that it can be loaded: a file may be damaged, or a
    library of the system be missing.
    """
    left, found = list(packages), {}
    while left:
        question = json.dumps([sys.path, [(package, PACKAGES[package]) for package in left]])
        command = [sys.executable, "-c", IMPORT, question]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        found |= {answer["package"]: answer for answer in answers}
        if len(answers) < len(left):  # it took the process with it
            found[left[len(answers)]] = {"error": f"Python ends with exit code {done.returncode}"}
        left = left[len(answers) + 1 :]
    return found


def judged(package: str, answer: dict) -> Finding:
    """What `imported` found about a package, and what to do about it."""
    if answer.get("missing"):
        return Finding(package, "missing", f"{SET_UP} in the folder of the course")
    if "error" in answer:
        advice = f"`import {PACKAGES[package]}` fails ({answer['error']}): remove .venv, then {SET_UP}"
        return Finding(package, "broken", advice)
    return Finding(package, answer["version"])


def find() -> list[Finding]:
    """Look at everything that the course needs."""
    python = platform.python_version()
    wanted = ".".join(map(str, LOWEST_PYTHON))
    old = tuple(map(int, platform.python_version_tuple()[:2])) < LOWEST_PYTHON
    findings = [Finding("Python", python, f"install Python {wanted} or newer" if old else "")]
    findings.append(Finding("the course", __version__))
    findings += [judged(package, answer) for package, answer in imported().items()]
    findings.append(Finding("cores", str(cores())))
    short = memory() < MEMORY_NEEDED
    advice = "close other programs; notebooks may run out of memory" if short else ""
    return [*findings, Finding("memory", f"{memory() / 1e9:.1f} GB", advice)]


def check() -> bool:
    """Print what was found, with advice where something is missing. Returns True if all is well."""
    findings = find()
    for finding in findings:
        print(
            f"{finding.name:>13}  {finding.value:<12} {'<- ' + finding.advice if finding.advice else 'good'}"
        )
    return not any(finding.advice for finding in findings)


hold_to_hints(globals())
