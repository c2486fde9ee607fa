"""The quizzes: their form, and their keys worked out by running the thing that is asked about."""

import html
import re

import pytest
import torch

from course_utils import masks, quiz
from course_utils.quiz import FOLDER, Option, Question

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


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
        found += [f"{question.id}: {o.text!r} is not explained" for o in question.options if len(o.because) < 20]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_quiz_is_well_formed(name):
    assert faults(quiz.load(name)) == []


def test_faults_finds_every_kind_of_fault():
    good, bad = Option("a", True, "because it is so, as shown"), Option("b", False, "no")
    questions = (Question("x", "?", (good, good, bad)), Question("x", "?", (bad, bad)))
    text = " ".join(faults(questions))
    for words in ("fewer than 4", "one id", "exactly one", "three different", "not explained"):
        assert words in text


def test_right_options_do_not_stand_in_one_place():
    places = {next(i for i, o in enumerate(q.options) if o.correct) for name in NAMES for q in quiz.load(name)}
    assert len(places) >= 3


def test_html_holds_every_text_escaped_and_loads_nothing():
    questions = (Question("x", "Is `a < b`?", (Option("<b>", True, "so"), Option("&", False, "no"))),)
    page = quiz.to_html(questions)
    assert "<code>a &lt; b</code>" in page and "&lt;b&gt;" in page and "<b>" not in page
    for name in NAMES:
        page = quiz.to_html(quiz.load(name))
        assert not re.search(r"<(script|link|img|iframe)", page)
        plain = html.unescape(re.sub(r"<[^>]+>", "", page))
        assert all(option.because.replace("`", "") in plain for q in quiz.load(name) for option in q.options)


def test_unknown_quiz_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'mask'; the quizzes are .*masks"):
        quiz.load("mask")


# --- Keys, worked out


def first_row() -> str:
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    return f"{(scores + masks.to_attention_bias(masks.causal_mask(5))).softmax(-1)[0, 0]:g}"


def combined_count() -> str:
    return str(int(masks.combine(masks.causal_mask(5), masks.padding_mask([3], 5)).sum()))


def moved() -> str:
    from course_utils.bert import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
    model = BertModel(config).eval()
    ids = torch.arange(1, 7)[None]
    other = ids.clone()
    other[0, 3] = 15
    with torch.no_grad():
        before, after = (model(x, masks.causal_mask(6)[None]).last_hidden_state[0] for x in (ids, other))
    changed = [i for i in range(6) if not torch.equal(before[i], after[i])]
    return {(3, 4, 5): "Those of tokens 3, 4 and 5, and no bit of the others"}.get(tuple(changed), str(changed))


def after_softmax() -> str:
    mask, first = masks.causal_mask(4), torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    second = first.clone()
    second[0, 3] += 1  # a score that token 0 must not see
    cut, cut_again = first.softmax(-1) * mask, second.softmax(-1) * mask
    shrinks = bool((cut.sum(-1)[:-1] < 1).all())
    leaks = not torch.equal(cut[0], cut_again[0])
    if shrinks and leaks:
        return "Rows no longer sum to 1, and what is left still depends on later tokens"
    return "Nothing: it is the same"


COMPUTED = {"masks": {"first_row": first_row, "combined_count": combined_count, "moved": moved, "after_softmax": after_softmax}}


@pytest.mark.parametrize(("name", "question"), [(n, q) for n, keys in COMPUTED.items() for q in keys])
def test_key_is_what_comes_out(name, question):
    key = next(q.key for q in quiz.load(name) if q.id == question)
    assert COMPUTED[name][question]() == key
