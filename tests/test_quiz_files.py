"""Quizzes for learning platforms: every word arrives, and the right option is the right one."""

import html
import re
from xml.etree import ElementTree

import pytest

from course_utils.classroom import LESSONS, quiz, quiz_files
from course_utils.classroom.quiz import Option, Question

AWKWARD = '1. *a* _b_ $x^2$ `x[0] < y` \\ & "so" it\'s 3--4 ... [MASK](x) <b> {c} ~d~ % e | f'


def from_text2qti(text: str) -> list[tuple[str, list[tuple[str, bool, str]]]]:
    """The questions of a file, read line by line; Markdown is left with nothing but entities and code."""
    questions: list = []
    for line in text.splitlines()[3:]:
        if match := re.match(r"\d+\. (.+)", line):
            questions.append((match[1], []))
        elif match := re.match(r"(\*?)[a-h]\) (.+)", line):
            questions[-1][1].append([match[2], bool(match[1])])
        elif line:
            questions[-1][1][-1].append(line.removeprefix("... "))
    return questions


@pytest.mark.parametrize("lesson", LESSONS)
def test_canvas_gets_every_question(lesson):
    questions = quiz.load(lesson)
    read = from_text2qti(html.unescape(quiz_files.to_text2qti(lesson, questions)))
    assert [(asked, [tuple(option) for option in options]) for asked, options in read] == [
        (q.question, [(o.text, o.correct, o.because) for o in q.options]) for q in questions
    ]


def test_nothing_is_left_that_markdown_would_read():
    text = quiz_files.to_markdown(AWKWARD)
    outside = "".join(text.split("`")[::2])
    assert not re.search(r"[*_$^\[\]{}<>|~\\\"'%-]|\.\.|^1\.", outside) and "`x[0] < y`" in text
    assert html.unescape(text) == AWKWARD


@pytest.mark.parametrize("lesson", LESSONS)
def test_moodle_gets_every_question(lesson):
    questions = quiz.load(lesson)
    category, *nodes = ElementTree.fromstring(quiz_files.to_moodle(lesson, questions))
    assert category.findtext("category/text") == f"$course$/top/Learn BERT/{quiz_files.title(lesson)}"
    assert len({node.findtext("name/text") for node in nodes}) == len(questions) == len(nodes)
    for node, question in zip(nodes, questions, strict=True):
        assert node.get("type") == "multichoice" and node.findtext("single") == "true"
        assert node.findtext("questiontext/text") == quiz.inline(question.question)
        answers = [
            (each.findtext("text"), each.get("fraction"), each.findtext("feedback/text"))
            for each in node.findall("answer")
        ]
        assert answers == [
            (quiz.inline(o.text), "100" if o.correct else "0", quiz.inline(o.because))
            for o in question.options
        ]


def test_moodle_takes_awkward_words_as_html():
    question = Question("x", AWKWARD, (Option(AWKWARD, True, AWKWARD),))
    node = ElementTree.fromstring(quiz_files.to_moodle("masks", (question,)))[1]
    assert node.findtext("answer/text") == quiz.inline(AWKWARD)


def test_the_command_writes_a_file_for_each_quiz(tmp_path, capsys):
    assert quiz_files.main(["canvas", "--output", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(LESSONS) == len(list(tmp_path.iterdir()))
    assert quiz_files.main(["moodle", "masks", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "05_masks.xml").read_text(encoding="utf-8").startswith("<?xml")
    with pytest.raises(SystemExit):
        quiz_files.main(["moodle", "mask"])
    assert "lesson: expected one of" in capsys.readouterr().err
