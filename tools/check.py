"""Everything that must hold, in one run: what `make test` calls. Prints one summary at the end.

    python -m tools.check              every step
    python -m tools.check lint unit    only the named steps
    python -m tools.check explore      property tests on new random examples; named twice, twice as many

A step that fails does not stop the later ones: the summary is complete, and the exit code is 1 if any step
failed. Before the first step it says which run and about how long, and what this machine lacks; after the
last it says again what is lacking. To add a step, add it to the list in `steps()`, and its seconds to
SECONDS.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from course_utils import commands, tables
from tools import ROOT, assets, browser
from tools.notebooks import CELL_TIMEOUT, KERNEL_ENVIRONMENT, longest_first

OFFLINE = ROOT / "tools" / "offline"
# The oldest instructions that PyTorch and its libraries can be held to; other processors ignore the names.
NARROW = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "MKL_CBWR": "COMPATIBLE",
}
# Training takes 2.3 times as long with them. These notebooks would need more than about a minute of processor
# time that way, so they are compared with all that the processor has, and the others with the oldest.
LONG_TRAINING = ("01", "03", "08", "09", "10", "11", "14", "15", "16", "17")
WORKERS = str(min(os.cpu_count() or 1, 4))
# About how long each step takes on two cores; to bring them up to date, copy them from a summary.
SECONDS = {
    "lint": 1,
    "format": 1,
    "types": 35,
    "structure": 15,
    "unit": 390,
    "mutants": 30,
    "notebooks": 340,
    "narrow": 210,
    "colab": 150,
    "browser": 470,
    "explore": 300,
}
NO_STEP_OF_ALL = ("explore",)  # runs only if it is named
PYTEST_TOTALS = re.compile(r"^(?P<totals>\d+ (passed|failed|error|skipped).*) in [\d.]+s.*$")


@dataclass
class Step:
    """One call of Python: `name`, the arguments, and what it adds to the environment."""

    name: str
    title: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Result:
    """What a step came to; `detail` is its tests' own closing line, if it has one."""

    step: Step
    seconds: float
    passed: bool
    detail: str


def steps() -> list[Step]:
    """All steps, cheap ones first."""
    pytest = ["-m", "pytest", "-q"]
    # One notebook stays on one worker (loadscope), for its cells share a kernel; they come in the order
    # given.
    nbval = [*pytest, "-n", WORKERS, "--dist", "loadscope", "--no-loadscope-reorder"]
    nbval += ["--nbval", "--nbval-current-env"]
    nbval += [f"--nbval-cell-timeout={CELL_TIMEOUT}", "--nbval-sanitize-with=tests/nbval_sanitize.cfg"]
    # Two notebooks side by side, one thread each. Their outputs were stored with two threads, so what is
    # compared strictly is shown not to depend on the order of sums.
    one_thread = {"OMP_NUM_THREADS": "1"}
    closed_network = KERNEL_ENVIRONMENT | one_thread | {"PYTHONPATH": str(OFFLINE)}
    found = [
        Step("lint", "ruff, on modules and notebooks", ["-m", "ruff", "check", "."]),
        Step("format", "layout by ruff, on the same", ["-m", "ruff", "format", "--check", "."]),
        Step("types", "types of what is taught", ["-m", "mypy"]),
        Step("structure", "structure of the notebooks", [*pytest, "tests/test_notebooks.py"]),
        Step(
            "unit",
            "unit tests",
            [
                *pytest,
                "-n",
                WORKERS,
                "--dist",
                "worksteal",
                "--ignore=tests/test_notebooks.py",
                "--ignore=tests/browser",
                "--ignore=tests/pages",  # of what `make slides` and `make site` make
                "tests",
            ],
            one_thread,
        ),
        Step(
            "mutants",
            "a sample of mistakes, each of which must turn a test red",
            ["-m", "tools.mutants", "--sample", "3"],
        ),
    ]
    if paths := longest_first((ROOT / "notebooks").glob("*.ipynb")):
        title = "notebooks, strict, no network"
        names = [path.relative_to(ROOT).as_posix() for path in paths]
        wide = [name for name in names if Path(name).name.startswith(LONG_TRAINING)]
        narrow = [name for name in names if name not in wide]
        if wide:
            found.append(Step("notebooks", title, [*nbval, *wide], closed_network))
        if narrow:
            title += ", oldest instructions"
            found.append(Step("narrow", title, [*nbval, *narrow], closed_network | NARROW))
        title = "some notebooks on the versions of Colab"
        found.append(Step("colab", title, ["-m", "tools.colab"], KERNEL_ENVIRONMENT | one_thread))
        # Two notebooks at once: each worker has a JupyterLab and a Chromium of its own. Without a Chromium
        # every test is skipped, except in CI, where that is an error.
        arguments = [*pytest, "-rP", "-n", str(min(os.cpu_count() or 1, 2)), "tests/browser"]
        title = "notebooks and controls in JupyterLab, in Chromium"
        found.append(Step("browser", title, arguments))
    arguments = [*pytest, "-n", WORKERS, "-m", "hypothesis", "--hypothesis-profile=explore", "tests"]
    found.append(Step("explore", "property tests, new random examples", arguments, one_thread))
    return found


HOW_TO_GET = {
    "Chromium": {
        "linux": "sudo apt-get install chromium (Fedora: sudo dnf install chromium)",
        "darwin": "brew install --cask google-chrome",
        "win32": "winget install Google.Chrome",
    },
    "npm": {
        "linux": "sudo apt-get install npm (Fedora: sudo dnf install npm)",
        "darwin": "brew install node",
        "win32": "winget install OpenJS.NodeJS.LTS",
    },
}
SKIPPED = {
    "Chromium": "all that is tried in a browser, notebooks in JupyterLab, slides and pages,",
    "npm": "what the scripts of pages are needed for, such as the look at slides,",
}


def lacking(system: str = sys.platform) -> list[str]:
    """A line for each program that this machine lacks: what is skipped for it, and how to get it."""
    # What npm has fetched once is there without it.
    there = {"Chromium": browser.find(), "npm": shutil.which("npm") or assets.FOLDER.is_dir()}
    outcome = "fails, as CI is set" if os.environ.get("CI") else "is skipped"
    return [
        f"No {name} here: {SKIPPED[name]} {outcome}. To get it: {ways.get(system, ways['linux'])}"
        for name, ways in HOW_TO_GET.items()
        if not there[name]
    ]


def announcement(chosen: list[Step]) -> str:
    """What runs, and about how long on two cores."""
    total = sum(SECONDS[step.name] for step in chosen)
    length = f"{total} seconds" if total < 100 else f"{total / 60:.0f} minutes"
    lines = [f"{SECONDS[step.name]:5} s  {step.title}" for step in chosen]
    return "\n".join([f"About {length} on two cores:", *lines])


def run(step: Step) -> Result:
    """Run one step, passing its output through as it comes."""
    print(f"\n--- {step.title}", flush=True)
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *step.arguments],
        cwd=ROOT,
        env=os.environ | step.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    detail = ""
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        if totals := PYTEST_TOTALS.match(line.strip()):
            detail = totals["totals"]
    return Result(step, time.monotonic() - started, process.wait() == 0, detail)


def summary(results: list[Result]) -> str:
    """A table of the steps, and a closing line with the number that passed and failed."""
    lines = [["step", "result", "tests", "seconds"]]
    for result in results:
        verdict = "passed" if result.passed else "FAILED"
        lines.append([result.step.title, verdict, result.detail, f"{result.seconds:.1f}"])
    lines = ["", *tables.aligned(lines, words=3)]
    passed = sum(result.passed for result in results)
    lines.append(f"\nsteps: {passed} passed, {len(results) - passed} failed")
    return "\n".join(lines)


def main() -> int:
    available = {step.name: step for step in steps()}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="step", help=f"any of: {', '.join(available)}")
    names = parser.parse_args().names or [name for name in available if name not in NO_STEP_OF_ALL]
    if unknown := [name for name in names if name not in available]:
        parser.error(f"no step {unknown[0]!r}; the steps are {', '.join(available)}")

    # Windows consoles may not know every character that a test prints.
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    chosen = [available[name] for name in names]
    print("\n".join([announcement(chosen), *lacking()]), flush=True)
    results = [run(step) for step in chosen]
    print("\n".join([summary(results), *lacking()]), flush=True)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    commands.run(main)
