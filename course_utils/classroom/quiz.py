"""Quizzes: a question, its options, and for each option why it is right or wrong.

    from course_utils.classroom import quiz
    quiz.show("masks")    to read
    quiz.ask("masks")     to answer: your first answer to each question is written down on this machine
    quiz.again()          ten of those that you answered wrong, once more

Open an option to read what is said about it. The page uses nothing but the browser's own disclosure boxes
(HTML `details`): it works with the keyboard, without a kernel, without a network and with any theme. The
questions stand in `course_utils/lessons/<name>/quiz.json`.
"""

import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.checks import check_count, refusal
from course_utils.classroom import LESSONS, record

if TYPE_CHECKING:
    import ipywidgets

FOLDER = Path(__file__).parents[1] / "lessons"


@dataclass(frozen=True)
class Option:
    """One answer to choose, whether it is right, and why."""

    text: str
    correct: bool
    because: str


@dataclass(frozen=True)
class Question:
    """One question with its options; `id` names it in tests and on the page of keys."""

    id: str
    question: str
    options: tuple[Option, ...]

    @property
    def key(self) -> str:
        """The text of the right option."""
        return next(option.text for option in self.options if option.correct)


@lru_cache
def load(name: str) -> tuple[Question, ...]:
    """The questions of one quiz.

    Raises:
        ValueError: if there is no quiz of that name.
    """
    if name not in LESSONS:
        raise refusal("name", f"one of {', '.join(LESSONS)}", repr(name))
    entries = json.loads((FOLDER / name / "quiz.json").read_text(encoding="utf-8"))
    return tuple(
        Question(entry["id"], entry["question"], tuple(Option(**option) for option in entry["options"]))
        for entry in entries
    )


def to_html(questions: tuple[Question, ...]) -> str:
    """The questions as HTML; the texts may hold `code` between backticks and nothing else."""
    blocks = []
    for number, question in enumerate(questions, start=1):
        lines = [f"<p><strong>{number}. {inline(question.question)}</strong></p>"]
        for letter, option in zip("ABCDEFGH", question.options, strict=False):
            verdict = "Right." if option.correct else "No."
            lines.append(
                f"<details><summary>{letter}. {inline(option.text)}</summary>"
                f"<p><em>{verdict}</em> {inline(option.because)}</p></details>"
            )
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def inline(text: str) -> str:
    parts = html.escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def show(name: str) -> None:
    """Display a quiz in a notebook."""
    from IPython.display import HTML, display

    display(HTML(to_html(load(name))))


def ask(name: str) -> "ipywidgets.VBox":
    """A quiz to answer. The first answer to each question is written down (`classroom.record`).

    Raises:
        ValueError: if there is no quiz of that name.
    """
    return _form([(name, question) for question in load(name)])


def again(count: int = 10) -> "ipywidgets.VBox":
    """Up to `count` questions whose last answer was wrong, those of longest ago first.

    One that is answered right now is not asked again.
    """
    check_count("count", count)
    questions = {f"{name}.{each.id}": (name, each) for name in LESSONS for each in load(name)}
    wrong = [questions[key] for key in record.answered_wrong() if key in questions]
    return _form(wrong[:count])


def _form(questions: list[tuple[str, Question]]) -> "ipywidgets.VBox":
    import ipywidgets

    from course_utils.classroom.controls import manners

    if not questions:
        words = "No question waits: none that you answered with quiz.ask was wrong the last time."
        return ipywidgets.VBox([ipywidgets.HTML(f"<p>{words}</p>")])
    boxes = []
    for number, (name, question) in enumerate(questions, start=1):
        asked = ipywidgets.HTML(f"<p><strong>{number}. {inline(question.question)}</strong></p>")
        choices = [(option.text.replace("`", ""), place) for place, option in enumerate(question.options)]
        choice = ipywidgets.RadioButtons(
            options=choices,
            value=None,
            description=f"Answer {number}:",  # what a screen reader calls it
            layout={"width": "auto"},
            style={"description_width": "initial"},
        )
        verdict = ipywidgets.HTML()
        choice.observe(_answer(name, question, verdict), names="value")
        boxes += [asked, choice, verdict]
    form = ipywidgets.VBox([*boxes, manners()])
    form.add_class("course-panel")
    return form


def _answer(name: str, question: Question, verdict: "ipywidgets.HTML") -> Callable[[dict], None]:
    """What a choice does: it shows the reason, and the first one is written down."""
    first = [True]

    def choose(change: dict) -> None:
        if change["new"] is None:
            return
        option = question.options[change["new"]]
        if first and first.pop():
            record.answered(name, question.id, option.correct)
        words = "Right." if option.correct else "No."
        verdict.value = f'<p class="course-message"><em>{words}</em> {inline(option.because)}</p>'

    return choose
