"""The results as a table on the terminal, as JSON, and as the page RESULTS.md, which is written from the
JSON.
"""

import json
from pathlib import Path

from benchmarks import wall_time
from course_utils import tables

FOLDER = Path(__file__).parent
RESULTS, PAGE, README = FOLDER / "results.json", FOLDER / "RESULTS.md", FOLDER.parent / "README.md"
MARKS = ("<!-- written by make bench -->", "<!-- end -->")
DIGITS = 6  # significant digits that are kept

VERDICTS = {True: "met", False: "MISSED", None: "not judged: the machine is busy"}
ESTIMATES = ("median", "mean", "count")  # the names under which a row may hold what was found
MACHINE_LINES = {
    "processor": "Processor",
    "cores": "Cores",
    "threads": "Threads",
    "system": "System",
    "python": "Python",
    "torch": "torch",
    "transformers": "transformers",
    "gensim": "gensim",
    "peak_gflops": "Best fp32 matrix product, GFLOP/s",
    "bandwidth_gb_per_second": "Memory bandwidth, GB/s",
    "ridge_flops_per_byte": "Ridge of the roofline, FLOP/byte",
}
INTRODUCTION = """\
# Benchmark results

Written by `make bench` from `results.json`; the goals are ratios measured side by side in one run, or exact
counts. Times depend on the machine below; ratios much less so.

Both sides run in one process on the same threads, tensors and initial weights, and are first shown to give
equal results. After a warm-up they are timed in blocks A B B A. Each block gives one ratio; the table shows
the median over blocks and its bootstrap 95 % interval. A goal is met only if the less favourable end of the
interval meets it. Exact counts have no interval. Nothing is judged while other programs take more than a
tenth of the cores. What the ratios were at earlier commits, machine by machine, stands in `history.json`:
![The ratios at each commit, with their intervals](history.svg)
"""


def shown(value: float, unit: str) -> str:
    """A value with its unit, as a reader wants it."""
    if unit == "x":
        return f"{value:.2f}x"
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "standard errors":
        return f"{value:.1f} {unit}"
    return f"{value:.3g} {unit}"


def estimate(row: dict) -> str:
    """What was found: the estimate and, where there is one, its interval."""
    unit = row["unit"]
    value = shown(next(row[name] for name in ESTIMATES if name in row), unit)
    if "count" in row:
        return value
    return f"{value} [{shown(row['low'], unit)}, {shown(row['high'], unit)}]"


def lines(results: dict) -> list[list[str]]:
    """The cells of the table: goal, what, wanted, found, verdict."""
    return [
        [
            key,
            row["what"],
            f"{row['sense']} {shown(row['goal'], row['unit'])}",
            estimate(row),
            VERDICTS[row["met"]],
        ]
        for key, row in results.items()
        if key != "machine"
    ]


HEADS = ["goal", "what", "wanted", "found [95 % interval]", "verdict"]


def table(results: dict) -> str:
    """The table for a terminal, columns aligned."""
    return "\n".join(tables.aligned([HEADS, *lines(results)], words=len(HEADS)))


def detail(name: str, value) -> str:
    """One detail in words: numbers short, groups in brackets."""
    words = name.replace("_", " ")
    if isinstance(value, dict):
        return f"{words} ({', '.join(detail(key, part) for key, part in value.items())})"
    return f"{words} {value:.4g}" if abs(value) < 1000 else f"{words} {value:,.0f}"


def machine_value(value) -> str:
    """One fact about the machine; measured ones with a digit after the point."""
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def reasons(results: dict) -> list[str]:
    """A section on what the numbers say of each missed goal; nothing where none is missed."""
    rows = {
        key: row for key, row in results.items() if key != "machine" and not row["met"] and row.get("why")
    }
    if not rows:
        return []
    return ["\n## What is missed, and why\n", *(f"- **{key}**: {row['why']}" for key, row in rows.items())]


def page(results: dict) -> str:
    """The text of RESULTS.md."""
    machine = [[title, machine_value(results["machine"][key])] for key, title in MACHINE_LINES.items()]
    details = "\n".join(
        f"- **{key}**: {'; '.join(detail(name, value) for name, value in row['details'].items())}."
        for key, row in results.items()
        if key != "machine"
    )
    return "\n".join(
        [
            INTRODUCTION,
            "## Goals\n",
            *tables.markdown([HEADS, *lines(results)], words=len(HEADS)),
            *reasons(results),
            *wall_time.section(wall_time.read()),
            "\n## The machine\n",
            *tables.markdown([["", ""], *machine], words=2),
            "\n## Details\n",
            details,
            "",
        ]
    )


def verdicts(results: dict) -> str:
    """Two lines for the README: how many goals are met, and each one that is not."""
    rows = [row for key, row in results.items() if key != "machine"]
    missed = [row for row in rows if not row["met"]]
    listed = "; ".join(
        f"{row['what']} (found {estimate(row)}, wanted {row['sense']} {shown(row['goal'], row['unit'])})"
        for row in missed
    )
    met = f"{len(rows) - len(missed)} of {len(rows)} goals of speed and quality are met"
    return f"By [the benchmarks](benchmarks/RESULTS.md) {met}.\nMissed: {listed or 'none'}.\n"


def with_verdicts(readme: str, results: dict) -> str:
    """The README with the two lines of `verdicts` between its marks."""
    before, rest = readme.split(MARKS[0] + "\n")
    _, after = rest.split(MARKS[1])
    return before + MARKS[0] + "\n" + verdicts(results) + MARKS[1] + after


def all_judged(results: dict) -> bool:
    """Whether the machine was quiet enough for every row."""
    return all(row["met"] is not None for key, row in results.items() if key != "machine")


def rounded(value):
    """The same results with floats cut to a few significant digits."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def write(results: dict) -> None:
    """Write results.json, RESULTS.md, and the two lines in the README."""
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8", newline="\n")
    PAGE.write_text(page(results), encoding="utf-8", newline="\n")
    README.write_text(
        with_verdicts(README.read_text(encoding="utf-8"), results), encoding="utf-8", newline="\n"
    )
