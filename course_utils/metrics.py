"""Scores, written out: whole entities, and answers as SQuAD compares them.

A score is a number from 0 to 1; sources stand at each. Accuracy and the F1 of classes come from scikit-learn.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

from course_utils.checks import refusal
from course_utils.hints import hold_to_hints


def entities_of(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """The entities that BIO tags spell: (type, first word, one past the last word).

    I-X goes on an entity of type X; where there is none, it begins one, as the CoNLL evaluation has it.
    """
    found: set[tuple[str, int, int]] = set()
    kind, begin = None, 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind is not None and not (prefix == "I" and name == kind):
            found.add((kind, begin, place))
            kind = None
        if prefix in ("B", "I") and kind is None:
            kind, begin = name, place
    return found


def entity_scores(truth: Sequence[Sequence[str]], guess: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 over whole entities: right is one whose type, beginning and end are right.

    Source: Tjong Kim Sang and De Meulder 2003 (CoNLL-2003), section 2.4.
    """
    if len(truth) != len(guess):
        raise refusal("guess", f"as many lists of tags as truth has, {len(truth)}", len(guess))
    pairs = [(entities_of(t), entities_of(g)) for t, g in zip(truth, guess, strict=True)]
    right = sum(len(t & g) for t, g in pairs)
    given, wanted = sum(len(g) for _, g in pairs), sum(len(t) for t, _ in pairs)
    return {
        "entity_f1": 2 * right / (given + wanted) if given + wanted else 1.0,
        "entity_precision": right / given if given else 0.0,
        "entity_recall": right / wanted if wanted else 0.0,
    }


def normalise_answer(text: str) -> list[str]:
    """The words of an answer without capitals, punctuation and articles, as SQuAD compares them.

    Source: Rajpurkar et al. 2016, section 6.1.
    """
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def exact_match(guess: str, answer: str) -> float:
    """1 if both are the same after `normalise_answer`, else 0."""
    return float(normalise_answer(guess) == normalise_answer(answer))


def span_f1(guess: str, answer: str) -> float:
    """F1 between the words of guess and answer, counted with repetitions; two empty ones agree."""
    guessed, wanted = normalise_answer(guess), normalise_answer(answer)
    if not guessed or not wanted:
        return float(guessed == wanted)
    shared = sum((Counter(guessed) & Counter(wanted)).values())
    return 2 * shared / (len(guessed) + len(wanted))


hold_to_hints(globals())
