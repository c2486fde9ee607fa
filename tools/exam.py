"""Draw an exam from the bank, as two pages to print: `make exam SEED=7`.

    python -m tools.exam --seed 7                  twenty questions
    python -m tools.exam --seed 7 --questions 12   fewer

build/exam then holds exam-7.html, with room to write, and exam-7-key.html. Every notebook of the bank is
asked about before one is asked about twice; where the numbers of a question may change
(`tools/exam_numbers.py`), they are drawn too. The same seed draws the same exam.
"""

import argparse
import html
import random
import re
import sys
from pathlib import Path

from course_utils import commands
from course_utils.classroom.quiz import inline
from course_utils.files import write_text
from tools import ROOT
from tools.exam_numbers import CAN_CHANGE

BANK = ROOT / "docs"
FOLDER = ROOT / "build" / "exam"
ENTRY = re.compile(r"^- \*\*(?P<id>\d\d\.\d)\*\* (?P<text>.+)$", re.MULTILINE)
SECTION = re.compile(r"^## (?P<number>\d\d) (?P<title>.+)$", re.MULTILINE)

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
@page {{ size: A4; margin: 20mm }}
body {{ font: 11pt/1.4 serif; max-width: 170mm; margin: 0 auto; padding: 5mm; color: #000; background: #fff }}
li {{ break-inside: avoid; margin-bottom: 3mm }}
.room {{ height: 22mm }}
.name {{ border-bottom: 1px solid #000; display: inline-block; width: 80mm }}
code {{ font-family: monospace }}
</style></head><body><main>
<h1>{title}</h1>
{head}
<ol>
{entries}
</ol>
</main></body></html>
"""
HEAD = (
    '<p>Name: <span class="name">&nbsp;</span></p>\n'
    "<p>Calculators are allowed; logarithms are natural, losses in nats.</p>"
)


def entries(name: str) -> dict[str, str]:
    """What stands under each number on a page of the bank."""
    return {m["id"]: m["text"] for m in ENTRY.finditer((BANK / name).read_text(encoding="utf-8"))}


def draw(seed: int, count: int) -> list[tuple[str, str, str]]:
    """An exam: (number in the bank, question, key) in the order of the notebooks."""
    questions, keys = entries("exam_questions.md"), entries("exam_keys.md")
    rng = random.Random(f"exam {seed}")
    piles: dict[str, list[str]] = {}
    for number in questions:
        piles.setdefault(number[:2], []).append(number)
    for pile in piles.values():
        rng.shuffle(pile)
    chosen: list[str] = []
    while len(chosen) < count and any(piles.values()):
        round_of = [pile.pop() for pile in piles.values() if pile]
        if len(chosen) + len(round_of) > count:
            round_of = rng.sample(round_of, count - len(chosen))
        chosen += round_of
    found = []
    for number in sorted(chosen):
        question, key = questions[number], keys[number]
        if number in CAN_CHANGE:
            each = CAN_CHANGE[number]
            question, key = each.with_numbers(rng.randrange(len(each.numbers)))
        found.append((number, question, key))
    return found


def to_html(exam: list[tuple[str, str, str]], title: str, with_keys: bool) -> str:
    """A page to print: the questions with room to write, or with their keys."""
    lines = []
    for number, question, key in exam:
        below = (
            f"<p><strong>{inline(key)}</strong> ({number})</p>" if with_keys else '<div class="room"></div>'
        )
        lines.append(f"<li>{inline(question)}{below}</li>")
    return PAGE.format(title=html.escape(title), head="" if with_keys else HEAD, entries="\n".join(lines))


def write(seed: int, count: int, folder: Path = FOLDER) -> tuple[Path, Path]:
    """Write both pages; returns where they are."""
    exam = draw(seed, count)
    paper, key = folder / f"exam-{seed}.html", folder / f"exam-{seed}-key.html"
    write_text(paper, to_html(exam, f"Exam {seed}", with_keys=False))
    write_text(key, to_html(exam, f"Exam {seed}: key", with_keys=True))
    return paper, key


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="another one draws another exam [0]")
    parser.add_argument("--questions", type=int, default=20, help="how many [20]")
    options = parser.parse_args()
    if not 1 <= options.questions <= (most := len(entries("exam_questions.md"))):
        print(f"--questions: expected 1 to {most}, got {options.questions}", file=sys.stderr)
        return 2
    for path in write(options.seed, options.questions):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    commands.run(main)
