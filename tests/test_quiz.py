"""The quizzes: their form, and their keys worked out by running the thing that is asked about."""

import html
import importlib.util
import re
from pathlib import Path

import pytest

from course_utils.classroom import LESSONS, quiz
from course_utils.classroom.quiz import Option, Question


def faults(questions: tuple[Question, ...]) -> list[str]:
    """What is wrong with a quiz; an empty list if nothing is."""
    found = [] if len(questions) >= 4 else [f"{len(questions)} questions, fewer than 4"]
    if len({question.id for question in questions}) < len(questions):
        found.append("two questions have one id")
    for question in questions:
        texts = [option.text for option in question.options]
        if sum(option.correct for option in question.options) != 1:
            found.append(f"{question.id}: not exactly one right option")
        if len(texts) < 3 or len(set(texts)) < len(texts):
            found.append(f"{question.id}: fewer than three different options")
        found += [
            f"{question.id}: {o.text!r} is not explained" for o in question.options if len(o.because) < 20
        ]
    return found


@pytest.mark.parametrize("name", LESSONS)
def test_quiz_is_well_formed(name):
    assert faults(quiz.load(name)) == []


def test_faults_finds_every_kind_of_fault():
    good, bad = Option("a", True, "because it is so, as shown"), Option("b", False, "no")
    questions = (Question("x", "?", (good, good, bad)), Question("x", "?", (bad, bad)))
    text = " ".join(faults(questions))
    for words in ("fewer than 4", "one id", "exactly one", "three different", "not explained"):
        assert words in text


def test_right_options_do_not_stand_in_one_place():
    places = {
        next(i for i, o in enumerate(q.options) if o.correct) for name in LESSONS for q in quiz.load(name)
    }
    assert len(places) >= 3


def test_html_holds_every_text_escaped_and_loads_nothing():
    questions = (Question("x", "Is `a < b`?", (Option("<b>", True, "so"), Option("&", False, "no"))),)
    page = quiz.to_html(questions)
    assert "<code>a &lt; b</code>" in page and "&lt;b&gt;" in page and "<b>" not in page
    for name in LESSONS:
        page = quiz.to_html(quiz.load(name))
        assert not re.search(r"<(script|link|img|iframe)", page)
        plain = html.unescape(re.sub(r"<[^>]+>", "", page))
        assert all(option.because.replace("`", "") in plain for q in quiz.load(name) for option in q.options)


def test_unknown_quiz_is_refused_by_name():
    with pytest.raises(ValueError, match=r"name: expected one of .*masks.* got 'mask'"):
        quiz.load("mask")


# --- Keys, worked out: one module for each quiz in tests/quiz_keys, one function for each question


def computed_keys() -> list:
    """(quiz, question, function) for every key that is worked out."""
    found = []
    for path in sorted((Path(__file__).parent / "quiz_keys").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"quiz_keys_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for question in quiz.load(path.stem):
            if function := getattr(module, question.id, None):
                found.append(pytest.param(question, function, id=f"{path.stem}-{question.id}"))
    return found


@pytest.mark.parametrize(("question", "work_out"), computed_keys())
def test_key_is_what_comes_out(question, work_out):
    assert work_out() == question.key


@pytest.mark.parametrize("name", LESSONS)
def test_some_key_of_every_quiz_is_worked_out(name):
    assert any(p.id.startswith(f"{name}-") for p in computed_keys())
