"""Measure all goals in one run, or some of them, and print the table.

python -m benchmarks           every goal; writes results.json and RESULTS.md
python -m benchmarks P1 P5     only these; writes nothing, for a page of several runs would compare nothing
"""

import argparse
from importlib import import_module

import torch

from benchmarks import protocol, report

# goal -> module and function; the function gives one or more rows, the first of them under the goal's own
# name
GOALS = {
    "P1": ("training_step", "speed"),
    "P2": ("masking", "run"),
    "P3": ("word2vec", "run"),
    "P4": ("exact_limit", "run"),
    "P5": ("training_step", "utilisation"),
    "P9": ("waiting", "run"),
}


def measure(names: list[str]) -> dict:
    """The rows of the named goals, and the machine they were measured on."""
    torch.set_num_threads(protocol.THREADS)
    results = {"machine": protocol.machine()}
    for name in names:
        module, function = GOALS[name]
        print(f"{name} ...", flush=True)
        results |= getattr(import_module(f"benchmarks.{module}"), function)()
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
    results = measure(names or list(GOALS))
    print("\n" + report.table(results))
    if not names:
        report.write(results)
        print(f"\nwritten: benchmarks/{report.RESULTS.name}, benchmarks/{report.PAGE.name}")


if __name__ == "__main__":
    main()
