"""What the ratios were at earlier commits, machine by machine: history.json, and history.svg drawn from it.

Ratios measured on one machine can be compared over time; those of two machines cannot, for a library may use
the vector units of the one and not of the other.

    python -m benchmarks.history     draw the picture anew
"""

import argparse
import json
import subprocess
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from benchmarks import report

FILE, PICTURE = report.FOLDER / "history.json", report.FOLDER / "history.svg"
COLUMNS = 2
RC = {"svg.hashsalt": "history", "svg.fonttype": "none"}  # the same picture gives the same file


def commit() -> str:
    """The commit that is checked out, with a + if files were changed since; of a folder without git none."""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        found = subprocess.run(command, cwd=report.FOLDER, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return found.stdout.strip()


def read(path: Path = FILE) -> dict[str, list[dict]]:
    """For each processor its runs, oldest first: {"commit": .., "ratios": {goal: [estimate, low, high]}}."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def run_of(results: dict, commit: str) -> dict:
    """What the history keeps of one run: the rows that are ratios."""
    ratios = {
        key: [row["median"], row["low"], row["high"]]
        for key, row in results.items()
        if key != "machine" and row["unit"] == "x"
    }
    return {"commit": commit, "ratios": ratios}


def add(results: dict, measured: str, path: Path = FILE, picture: Path = PICTURE) -> None:
    """Note a run down under its processor; a second run of one commit takes the place of the first.

    `measured` is what `commit` gave before the run: what the run writes is a change too.
    """
    history, run = read(path), run_of(results, measured)
    runs = history.setdefault(results["machine"]["processor"], [])
    runs[:] = [earlier for earlier in runs if earlier["commit"] != run["commit"]] + [run]
    path.write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8", newline="\n")
    draw(history, picture)


def draw(history: dict[str, list[dict]], picture: Path = PICTURE) -> None:
    """One plot for each ratio, with a line for each processor over its commits."""
    goals = sorted({goal for runs in history.values() for run in runs for goal in run["ratios"]})
    rows = -(-len(goals) // COLUMNS)
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(10, 2.6 * rows), layout="constrained")
        for axes, goal in zip(figure.subplots(rows, COLUMNS, squeeze=False).flat, goals, strict=False):
            for marker, (processor, runs) in zip("osD^v", history.items(), strict=False):
                seen = [(run["commit"], *run["ratios"][goal]) for run in runs if goal in run["ratios"]]
                names, middle, low, high = zip(*seen, strict=True) if seen else ((), (), (), ())
                errors = [
                    [m - end for m, end in zip(middle, low, strict=True)],
                    [end - m for m, end in zip(middle, high, strict=True)],
                ]
                axes.errorbar(names, middle, errors, marker=marker, capsize=3, label=processor)
            axes.set_title(f"{goal}: times as fast as the library")
            axes.axhline(1, color="grey", linewidth=0.8)
            axes.set_ylim(0, 1.15 * max(1, axes.get_ylim()[1]))
            axes.legend(fontsize=8)
        for axes in figure.axes[len(goals) :]:
            axes.remove()
        figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__).parse_args()
    draw(read())
