"""Everything that must hold, in one run: what `make test` calls. Prints one summary at the end.

    python tools/check.py              every step
    python tools/check.py lint unit    only the named steps

A step that fails does not stop the later ones: the summary is complete, and the exit code is 1 if any step
failed. To add a step, add it to the list in `steps()`.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from notebooks import CELL_TIMEOUT, KERNEL_ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = ROOT / "tools" / "offline"
WORKERS = str(min(os.cpu_count() or 1, 4))
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
    # One notebook stays on one worker (loadscope), for its cells share a kernel.
    nbval = [*pytest, "-n", WORKERS, "--dist", "loadscope", "--nbval", "--nbval-current-env"]
    nbval += [f"--nbval-cell-timeout={CELL_TIMEOUT}", "--nbval-sanitize-with=tests/nbval_sanitize.cfg"]
    # Two notebooks side by side, one thread each. Their outputs were stored with two threads, so what is
    # compared strictly is shown not to depend on the order of sums.
    one_thread = {"OMP_NUM_THREADS": "1"}
    closed_network = KERNEL_ENVIRONMENT | one_thread | {"PYTHONPATH": str(OFFLINE)}
    found = [
        Step("lint", "ruff, on modules and notebooks", ["-m", "ruff", "check", "."]),
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
                "tests",
            ],
            one_thread,
        ),
        Step(
            "mutants",
            "a sample of mistakes, each of which must turn a test red",
            ["tools/mutants.py", "--sample", "3"],
        ),
    ]
    if any((ROOT / "notebooks").glob("*.ipynb")):
        found.append(
            Step("notebooks", "notebooks, strict, no network", [*nbval, "notebooks"], closed_network)
        )
        title = "some notebooks on the versions of Colab"
        found.append(Step("colab", title, ["tools/colab.py"], KERNEL_ENVIRONMENT | one_thread))
        # Two notebooks at once: each worker has a JupyterLab and a Chromium of its own. Without a Chromium
        # every test is skipped, except in CI, where that is an error.
        arguments = [*pytest, "-rP", "-n", str(min(os.cpu_count() or 1, 2)), "tests/browser"]
        title = "notebooks and controls in JupyterLab, in Chromium"
        found.append(Step("browser", title, arguments))
    return found


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
    width = max(len(result.step.title) for result in results)
    lines = ["", f"{'step':{width}}  {'seconds':>7}  result"]
    for result in results:
        verdict = "passed" if result.passed else "FAILED"
        lines.append(
            f"{result.step.title:{width}}  {result.seconds:7.1f}  {verdict}  {result.detail}".rstrip()
        )
    passed = sum(result.passed for result in results)
    lines.append(f"\nsteps: {passed} passed, {len(results) - passed} failed")
    return "\n".join(lines)


def main() -> int:
    available = {step.name: step for step in steps()}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="step", help=f"any of: {', '.join(available)}")
    names = parser.parse_args().names or list(available)
    if unknown := [name for name in names if name not in available]:
        parser.error(f"no step {unknown[0]!r}; the steps are {', '.join(available)}")

    # Windows consoles may not know every character that a test prints.
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    results = [run(available[name]) for name in names]
    print(summary(results), flush=True)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
