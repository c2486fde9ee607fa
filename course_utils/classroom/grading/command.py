"""`python -m course_utils.grade`: the options, and what is printed."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from course_utils import machine
from course_utils.classroom import LESSONS
from course_utils.classroom.grading import hand_ins, report
from course_utils.classroom.grading.hand_ins import HandIn
from course_utils.classroom.grading.judge import (
    Limits,
    Verdict,
    exercises_of,
    judge,
    processes,
    walls,
)
from course_utils.classroom.grading.report import Graded
from course_utils.commands import OneLineParser, path_of

NO_WALL = (
    "NOTHING KEEPS THESE NOTEBOOKS FROM THE NETWORK: this system offers no network namespace to this account."
    " They can send away whatever this account can read."
)
FILES = (
    "The notebooks run under your account and can read its files{}: a container or another account is safer."
)


def make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m course_utils.grade",
        description="Run the notebooks of a folder, check what each defines, and write grades.csv and"
        " class.html. What a notebook prints counts for nothing.",
        epilog=FILES.format(", on some systems also change them"),
    )
    parser.add_argument("folder", type=path_of, help="with the notebooks that came back, in any depth")
    parser.add_argument("--output", type=path_of, help="folder for the two files [FOLDER-grades]")
    parser.add_argument("--lesson", choices=LESSONS, help="what they are of [found in each notebook]")
    parser.add_argument("--jobs", type=int, default=machine.cores(), help="notebooks at once [the cores]")
    parser.add_argument("--seconds", type=float, default=600.0, help="for one notebook [600]")
    parser.add_argument("--cell-seconds", type=float, default=180.0, help="for one cell of it [180]")
    parser.add_argument("--megabytes", type=int, default=2000, help="of memory for one notebook [2000]")
    parser.add_argument(
        "--stage-seconds", type=float, help="for one stage of a check [what the exercise allows]"
    )
    parser.add_argument(
        "--with-network", action="store_true", help="run them even where the network cannot be closed"
    )
    return parser


def may_go_on() -> bool:
    """Ask the person at the keyboard; nobody there is a no."""
    print(NO_WALL, file=sys.stderr)
    if not sys.stdin or not sys.stdin.isatty():
        return False
    return input("Run them all the same? Type yes: ").strip().lower() == "yes"


def grade(context, hand_in: HandIn, limits: Limits) -> Graded:
    """Run one hand-in and judge it."""
    if hand_in.trouble:
        return Graded(hand_in, ())
    exercises = exercises_of(hand_in.lesson)
    verdicts, errors = judge(context, list(hand_in.cells), exercises, limits)
    verdicts = [
        Verdict(v.exercise, True, note="word for word the solution that the course shows")
        if v.passed and not v.note and hand_ins.pasted(hand_in.cells, exercises[v.exercise])
        else v
        for v in verdicts
    ]
    return Graded(hand_in, tuple(verdicts), tuple(errors))


def main(argv: list[str] | None = None) -> int:
    parser = make_parser()
    options = parser.parse_args(argv)
    if not options.folder.is_dir():
        parser.error(f"folder: expected a folder, got {options.folder}")
    for name in ("jobs", "seconds", "cell_seconds", "megabytes", "stage_seconds"):
        if (value := getattr(options, name)) is not None and not 0 < value < float("inf"):
            parser.error(f"--{name.replace('_', '-')}: expected a number above 0, got {value}")
    found = hand_ins.find(options.folder, options.lesson or "")
    if not found:
        parser.error(f"folder: expected notebooks (*.ipynb), got none in {options.folder}")
    context = processes()
    closed, files = walls(context)
    if not closed and not options.with_network and not may_go_on():
        parser.error("not run; --with-network runs them all the same")
    if not closed:
        print(NO_WALL, file=sys.stderr)
    print(FILES.format("" if files else " and change them"), file=sys.stderr)
    limits = Limits(options.seconds, options.cell_seconds, options.megabytes, options.stage_seconds, closed)
    graded = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for each in pool.map(lambda hand_in: grade(context, hand_in, limits), found):
            graded.append(each)
            passed = sum(verdict.passed for verdict in each.verdicts)
            said = each.hand_in.trouble or f"{passed} of {len(each.verdicts)} passed"
            print(f"{len(graded)}/{len(found)}  {each.hand_in.student}: {said}", flush=True)
    output = options.output or options.folder.with_name(options.folder.resolve().name + "-grades")
    for path in report.write(graded, output, "" if closed else NO_WALL):
        print(path)
    return 0
