"""Measure all goals in one run, or some of them, and print the table.

python -m benchmarks           every goal; writes results.json, RESULTS.md, two lines of the README, and the
                               history of this machine
python -m benchmarks P1 P5     only these; writes nothing, for a page of several runs would compare nothing

Other programs slow the two sides of a comparison down unequally. So the load is looked at first, and nothing
is measured while other work takes more than a tenth of the cores; a row during which it does is not judged,
and then nothing is written.
"""

import argparse
import sys
import time
from importlib import import_module

import torch

from benchmarks import history, protocol, report
from course_utils import commands

LOOK_SECONDS = 3.0
WRITTEN = (report.RESULTS, report.PAGE, report.README, history.FILE, history.PICTURE)

# goal -> module and function; the function gives one or more rows, the first of them under the goal's own
# name
GOALS = {
    "P1": ("training_step", "speed"),
    "P2": ("masking", "run"),
    "P3": ("word2vec", "run"),
    "P4": ("exact_limit", "run"),
    "P5": ("training_step", "utilisation"),
    "P9": ("waiting", "run"),
    "P10": ("finetuning", "run"),
}


def measure(names: list[str]) -> dict:
    """The rows of the named goals, and the machine they were measured on."""
    torch.set_num_threads(protocol.THREADS)
    results = {"machine": protocol.machine()}
    for name in names:
        module, function = GOALS[name]
        print(f"{name} ...", flush=True)
        with protocol.Others() as others:
            rows = getattr(import_module(f"benchmarks.{module}"), function)()
        results |= protocol.judged(rows, others.share)
    results["machine"] = results.pop("machine")  # the goals first
    return report.rounded(results)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="goal", help=f"any of: {', '.join(GOALS)}")
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in GOALS]:
        parser.error(f"no goal {unknown[0]!r}; the goals are {', '.join(GOALS)}")
    with protocol.Others() as others:
        time.sleep(LOOK_SECONDS)
    if others.share > protocol.QUIET:
        sys.exit(f"other work takes {others.share:.0%} of the cores: end it, then run again")
    measured = history.commit()
    results = measure(names or list(GOALS))
    print("\n" + report.table(results))
    if not report.all_judged(results):
        sys.exit("\nother work took more than a tenth of the cores: nothing is written, run again")
    if not names:
        report.write(results)
        history.add(results, measured)
        print("\nwritten: " + ", ".join(path.name for path in WRITTEN))


if __name__ == "__main__":
    commands.run(main)
