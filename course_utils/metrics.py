"""Scores, written out: whole entities, and answers as SQuAD compares them.

A score is a number from 0 to 1; sources stand at each. Accuracy and the F1 of classes come from scikit-learn.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

from course_utils.checks import refusal
from course_utils.hints import hold_to_hints

ENTITY_TAG = re.compile(r"O|[BIESLU]-.+")
MISSPELT_TAG = re.compile(r"[BIESLU][-_].+|.+[-_][BIESLU]", re.IGNORECASE)  # b-per, PER-B, B_PER


def spell_entities(labels: Sequence[str]) -> bool:
    """Whether tags mark entities: B-X, I-X and O, with E-X and S-X (BIOES) or L-X and U-X (BILOU) or without.

    Raises:
        ValueError: for a mixture with other tags, and for the same marks in another spelling, as "PER-B".
    """
    others = [label for label in labels if not ENTITY_TAG.fullmatch(label)]
    marked = [label for label in labels if label not in ("O", *others)]
    if others and (marked or all(MISSPELT_TAG.fullmatch(label) or label == "o" for label in others)):
        raise refusal("labels", "tags of entities such as B-PER, I-PER and O, or none", repr(others[0]))
    return bool(marked)


def entities_of(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """The entities that BIO, BIOES or BILOU tags spell: (type, first word, one past the last word).

    I-X goes on an entity of type X; where there is none, it begins one, as the CoNLL evaluation has it. E-X
    and L-X are the last words of an entity, S-X and U-X the only ones. "" (no tag) is read as O.

    Raises:
        ValueError: for a tag that is none of these.
    """
    found: set[tuple[str, int, int]] = set()
    kind, begin = None, 0
    for place, tag in enumerate([*tags, "O"]):
        if tag and not ENTITY_TAG.fullmatch(tag):
            raise refusal(f"tag {place}", "O, or the mark and the type of an entity, as B-PER", repr(tag))
        prefix, _, name = tag.partition("-")
        if kind is not None and not (prefix in "IEL" and name == kind):
            found.add((kind, begin, place))
            kind = None
        if name and kind is None:
            kind, begin = name, place
        if kind is not None and prefix in "ESLU":
            found.add((kind, begin, place + 1))
            kind = None
    return found


def entity_scores(truth: Sequence[Sequence[str]], guess: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 over whole entities: right is one whose type, beginning and end are right.

    Without an entity in truth or guess nothing was found: 0, as in the CoNLL evaluation. Source: Tjong Kim
    Sang and De Meulder 2003 (CoNLL-2003), section 2.4.

    Raises:
        ValueError: for sentences without one tag a word on either side.
    """
    if len(truth) != len(guess):
        raise refusal("guess", f"{len(truth)} sentences, as in truth", len(guess))
    for number, (tags, guessed) in enumerate(zip(truth, guess, strict=True)):
        if len(tags) != len(guessed):
            raise refusal(f"guess of sentence {number}", f"{len(tags)} tags, as in truth", len(guessed))
    pairs = [(entities_of(t), entities_of(g)) for t, g in zip(truth, guess, strict=True)]
    right = sum(len(t & g) for t, g in pairs)
    given, wanted = sum(len(g) for _, g in pairs), sum(len(t) for t, _ in pairs)
    return {
        "entity_f1": 2 * right / (given + wanted) if given + wanted else 0.0,
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
