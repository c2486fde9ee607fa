"""What comes of a class: a table for a program (CSV), and a page for the one who teaches it."""

import base64
import csv
import html
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from course_utils.classroom import LESSONS, NUMBER_OF, plots
from course_utils.classroom.controls import table
from course_utils.classroom.grading.hand_ins import HandIn
from course_utils.classroom.grading.judge import Verdict, exercises_of
from course_utils.files import write_text

COLUMNS = ("student", "notebook", "exercise", "passed", "misconception", "note")
BY_HAND = ("not judged", "did not end", "taken from", "word for word", "this is no notebook", "it names no")
SHOWN = 12  # misconceptions in the picture; the table has all


@dataclass(frozen=True)
class Graded:
    """A hand-in and what came of it."""

    hand_in: HandIn
    verdicts: tuple[Verdict, ...]
    errors: tuple[tuple[int, str], ...] = ()


def notebook_of(lesson: str) -> str:
    return f"{NUMBER_OF[lesson]} {lesson}" if lesson in LESSONS else ""


def rows(graded: list[Graded]) -> list[tuple[str, ...]]:
    """One row for each exercise of each hand-in; a hand-in that could not be run has one without any."""
    found = []
    for each in graded:
        who, what = each.hand_in.student, notebook_of(each.hand_in.lesson)
        if each.hand_in.trouble:
            found.append((who, what, "", "no", "", each.hand_in.trouble))
        for verdict in each.verdicts:
            passed = "yes" if verdict.passed else "no"
            found.append((who, what, verdict.exercise, passed, verdict.misconception, verdict.note))
    return found


def to_csv(graded: list[Graded]) -> str:
    """The table; what a spreadsheet would take for a formula begins with an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows(graded):
        writer.writerow(["'" + cell if cell[:1] in ("=", "+", "-", "@", "\t") else cell for cell in row])
    return file.getvalue()


def misconceptions(graded: list[Graded]) -> list[tuple[int, str, str, str]]:
    """How many hand-ins show each, the most common first: (count, exercise, its name there, the sentence)."""
    counts = Counter(
        (each.hand_in.lesson, verdict.exercise, verdict.misconception)
        for each in graded
        for verdict in each.verdicts
        if verdict.misconception
    )
    found = []
    for (lesson, exercise, sentence), count in counts.items():
        sentences = exercises_of(lesson)[exercise].sentences
        slip = next((name for name, words in sentences.items() if words == sentence), "")
        found.append((count, exercise, slip, sentence))
    return sorted(found, key=lambda each: (-each[0], *each[1:]))


def picture(graded: list[Graded]) -> str:
    """The most common misconceptions as bars, as an HTML image; empty where there is none."""
    common = misconceptions(graded)[:SHOWN]
    if not common:
        return ""
    labels = [f"{exercise}: {slip.replace('_', ' ')}" for _, exercise, slip, _ in common]
    drawn = plots.bars(
        labels, {"hand-ins": [count for count, *_ in common]}, xlabel="hand-ins", number_format=".0f"
    )
    words = "; ".join(f"{label} {count}" for label, (count, *_) in zip(labels, common, strict=True))
    alt = html.escape(f"How many hand-ins show each misconception, the most common first: {words}.")
    data = base64.b64encode(drawn.png()).decode()
    return f'<img alt="{alt}" src="data:image/png;base64,{data}">'


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>The class</title>
<style>
body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }}
td, th {{ text-align: left !important; vertical-align: top }}
img {{ max-width: 100% }}
tr {{ break-inside: avoid }}
</style></head><body><main>
<h1>The class: {count} hand-ins</h1>
{warning}
<h2>Which exercises are passed</h2>
{passed}
<h2>Which misconceptions are common</h2>
{picture}
{sentences}
<h2>What to look at by hand</h2>
{notes}
</main></body></html>
"""


def to_html(graded: list[Graded], warning: str = "") -> str:
    """The page on the class; no student is named but where something wants a look."""
    tried: dict[tuple[str, str], list[bool]] = {}
    for each in graded:
        for verdict in each.verdicts:
            key = (notebook_of(each.hand_in.lesson), verdict.exercise)
            tried.setdefault(key, []).append(verdict.passed)
    passed = [[*key, f"{sum(result)} of {len(result)}"] for key, result in tried.items()]
    common = [
        [count, exercise, sentence.replace("`", "")]
        for count, exercise, _, sentence in misconceptions(graded)
    ]
    alike: dict[tuple[str, str], list[str]] = {}
    for who, what, exercise, _, _, note in rows(graded):
        if note.startswith(BY_HAND):
            alike.setdefault((who, note), []).append(exercise or what)
    notes = [[who, ", ".join(where), note] for (who, note), where in alike.items()]
    notes += [
        [each.hand_in.student, notebook_of(each.hand_in.lesson), f"code cell {number} failed: {text}"]
        for each in graded
        for number, text in each.errors
    ]

    def shown(heads: list[str], rows: list[list[object]], caption: str) -> str:
        return table(heads, rows, caption) if rows else "<p>Nothing.</p>"

    return PAGE.format(
        count=len(graded),
        warning=f"<p><strong>{html.escape(warning)}</strong></p>" if warning else "",
        passed=shown(["notebook", "exercise", "passed"], passed, "hand-ins that pass, of those that tried"),
        picture=picture(graded),
        sentences=shown(["hand-ins", "exercise", "what the check says"], common, "the most common first"),
        notes=shown(["student", "where", "what"], notes, "what no check can decide"),
    )


def write(graded: list[Graded], folder: Path, warning: str = "") -> tuple[Path, Path]:
    """Write both files; returns where they are."""
    csv_path, page_path = folder / "grades.csv", folder / "class.html"
    write_text(csv_path, to_csv(graded))
    write_text(page_path, to_html(graded, warning))
    return csv_path, page_path
