"""Quizzes as files for a learning platform: `python -m course_utils.quizzes canvas` or `moodle`.

Canvas reads QTI, which text2qti makes from a text file of its own form; Moodle reads its XML. Both get every
question with the reason beside each option, and may shuffle the options.
"""

import argparse
import re
from pathlib import Path
from xml.etree import ElementTree as Xml

from course_utils.classroom import LESSONS, NUMBER_OF, quiz
from course_utils.classroom.quiz import Question
from course_utils.commands import OneLineParser, path_of
from course_utils.files import write_text

LETTERS = "abcdefgh"
# What text2qti or Markdown may read as a mark: anywhere, at the beginning, or as the number of a list.
MARKS = re.compile(r"[\\*_{}\[\]<>&\"'^|$~%-]|(?<=\.)\.|^[#+!:=]|(?:(?<=^\d)|(?<=^\d\d))[.)](?=\s|$)")


def title(lesson: str) -> str:
    return f"{NUMBER_OF[lesson]} {lesson.replace('_', ' ')}"


# --- Canvas, by way of text2qti


def to_markdown(text: str) -> str:
    """Text that text2qti takes as it stands; what is between backticks stays code."""
    parts = text.split("`")
    plain = [MARKS.sub(lambda match: f"&#{ord(match[0])};", part) for part in parts[::2]]
    return "".join(f"`{part}`" if i % 2 else plain[i // 2] for i, part in enumerate(parts))


def to_text2qti(lesson: str, questions: tuple[Question, ...]) -> str:
    """One quiz in the form of text2qti 0.8."""
    lines = [f"Quiz title: {title(lesson)}", "shuffle answers: true", ""]
    for number, question in enumerate(questions, start=1):
        lines.append(f"{number}. {to_markdown(question.question)}")
        for letter, option in zip(LETTERS, question.options, strict=False):
            lines.append(f"{'*' if option.correct else ''}{letter}) {to_markdown(option.text)}")
            lines.append(f"... {to_markdown(option.because)}")
        lines.append("")
    return "\n".join(lines)


# --- Moodle


def to_moodle(lesson: str, questions: tuple[Question, ...]) -> str:
    """One quiz as Moodle XML, in a category of its own."""
    root = Xml.Element("quiz")
    category = Xml.SubElement(root, "question", type="category")
    _text(category, "category", f"$course$/top/Learn BERT/{title(lesson)}")
    for question in questions:
        node = Xml.SubElement(root, "question", type="multichoice")
        _text(node, "name", f"{title(lesson)}: {question.id}")
        _text(node, "questiontext", quiz.inline(question.question), format="html")
        for name, value in (("defaultgrade", "1"), ("penalty", "0.3333333"), ("hidden", "0")):
            Xml.SubElement(node, name).text = value
        for name, value in (("single", "true"), ("shuffleanswers", "true"), ("answernumbering", "ABCD")):
            Xml.SubElement(node, name).text = value
        for option in question.options:
            fraction = "100" if option.correct else "0"
            answer = _text(node, "answer", quiz.inline(option.text), format="html", fraction=fraction)
            _text(answer, "feedback", quiz.inline(option.because), format="html")
    Xml.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _text(parent: Xml.Element, name: str, text: str, **attributes: str) -> Xml.Element:
    node = Xml.SubElement(parent, name, attributes)
    Xml.SubElement(node, "text").text = text
    return node


# --- The command

PLATFORMS = {"canvas": (to_text2qti, "txt"), "moodle": (to_moodle, "xml")}


def export(platform: str, folder: Path, lessons: tuple[str, ...] = LESSONS) -> list[Path]:
    """Write the quizzes; returns where they are."""
    convert, ending = PLATFORMS[platform]
    paths = []
    for lesson in lessons:
        paths.append(folder / f"{title(lesson).replace(' ', '_')}.{ending}")
        write_text(paths[-1], convert(lesson, quiz.load(lesson)))
    return paths


def make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m course_utils.quizzes", description="Write the quizzes as files for a platform."
    )
    parser.add_argument("platform", choices=PLATFORMS)
    parser.add_argument("lessons", nargs="*", metavar="lesson", help=f"any of {', '.join(LESSONS)} [all]")
    parser.add_argument("--output", type=path_of, help="folder for the files [quizzes-PLATFORM]")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = make_parser()
    options = parser.parse_args(argv)
    if unknown := [name for name in options.lessons if name not in LESSONS]:
        parser.error(f"lesson: expected one of {', '.join(LESSONS)}, got {unknown[0]!r}")
    folder = options.output or Path(f"quizzes-{options.platform}")
    for path in export(options.platform, folder, tuple(options.lessons) or LESSONS):
        print(path)
    return 0
