"""Judges for notebook 08: simple rules, and perfect judges that see less or are asked something else.

A grammar is anything with the attributes of the module `toy.grammar`. So a language whose stages follow one
another in another way is the course's own, with one attribute exchanged.
"""

from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from course_utils import nsp
from course_utils.lessons.nsp.pairs import PERSON_WORDS
from course_utils.pretraining import tokenize_documents
from course_utils.toy import grammar
from course_utils.toy.generator import DOCUMENT_LENGTHS
from course_utils.toy.language import VOCAB_FILE, ToyLanguage
from course_utils.wordpiece import WordPieceTokenizer

TOPIC_SEED, TOPIC_DOCUMENTS = 7, 500  # what the topic rule learns its words from
A_HAIR = 1e-6  # a selection rate so small that every visible word is taken at face value


def language_with(transitions) -> ToyLanguage:
    """The toy language, its stages following one another as in `transitions` (3, 3)."""
    attributes = {name: value for name, value in vars(grammar).items() if not name.startswith("_")}
    return ToyLanguage(grammar=SimpleNamespace(**attributes | {"STAGE_TRANSITIONS": transitions}))


@cache
def language(drift: bool = True) -> ToyLanguage:
    """The toy language; without drift each stage is drawn at random, whatever came before."""
    return ToyLanguage() if drift else language_with([ToyLanguage().stage_prior] * 3)


def drift_within() -> np.ndarray:
    """P(stage of another sentence | stage of this one), (3, 3), as `pairs_within` draws the other one.

    It stands some places after the first sentence of the pair, or before it, but never right after it, and
    never first in the document.
    """
    chain, prior = language().transitions, language().stage_prior
    back = (prior[:, None] * chain).T / prior[:, None]  # P(stage before | stage)
    by_pair = []
    for length in range(DOCUMENT_LENGTHS[0], DOCUMENT_LENGTHS[1] + 1):
        for i in range(length - 1):
            steps = [j - i for j in range(1, length) if j not in (i, i + 1)]
            powers = [np.linalg.matrix_power(chain if step > 0 else back, abs(step)) for step in steps]
            by_pair.append(np.mean(powers, axis=0))
    return np.mean(by_pair, axis=0)


@cache
def _language_within() -> ToyLanguage:
    return language_with(drift_within())


def hide_persons(ids: torch.Tensor) -> torch.Tensor:
    """The rows with `[MASK]` in the place of every name and pronoun."""
    piece_id = language().piece_id
    persons = torch.tensor([piece_id[word] for word in PERSON_WORDS])
    return torch.where(torch.isin(ids, persons), piece_id["[MASK]"], ids)


def perfect(ids: torch.Tensor, drift: bool = True, person: bool = True) -> torch.Tensor:
    """P(IsNext), (rows,), by a judge perfect in what it sees: always the topic, the rest by choice."""
    rows, rate = (ids, 0.0) if person else (hide_persons(ids), A_HAIR)
    return torch.tensor(language(drift).next_sentence_posterior(rows, rate=rate))


def perfect_within(ids: torch.Tensor) -> torch.Tensor:
    """P(IsNext), (rows,), where the wrong sentence is another one of the same document.

    P(B | A, next) / P(B) are the odds against any sentence at all, P(B | A, another) / P(B) those of another
    one of the document. P(B) cancels in their ratio, the odds that are wanted.
    """
    following, other = (
        torch.logit(torch.tensor(spoken.next_sentence_posterior(ids, rate=0.0)), eps=1e-12)
        for spoken in (language(), _language_within())
    )
    return torch.sigmoid(following - other)


@cache
def _topic_words() -> tuple[list, list[str]]:
    documents = ToyLanguage(seed=TOPIC_SEED).documents(TOPIC_DOCUMENTS)
    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    return tokenize_documents(documents, tokenizer), [document.topic for document in documents]


def same_topic_accuracy(pairs: list[nsp.Pair]) -> float:
    """Accuracy of the topic rule (`nsp.topic_accuracy`), its words learnt from 500 documents of their own."""
    return nsp.topic_accuracy(*_topic_words(), pairs)


def accuracy(says: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of the pairs whose P(IsNext) falls on the right side of one half."""
    guess = torch.where(says > 0.5, nsp.IS_NEXT, nsp.NOT_NEXT)
    return (guess == labels).double().mean().item()


def all_accuracies(pairs: list[nsp.Pair], ids: torch.Tensor, model_says: torch.Tensor) -> dict[str, float]:
    """Accuracy of every judge on the same pairs.

    Args:
        ids: the rows of the pairs, (pairs, seq_len).
        model_says: the model's P(IsNext), (pairs,).
    """
    labels = torch.tensor([pair.label for pair in pairs])
    return {
        "always IsNext": (labels == nsp.IS_NEXT).double().mean().item(),
        "shared words": nsp.overlap_accuracy(pairs),
        "same topic": same_topic_accuracy(pairs),
        "perfect: topic": accuracy(perfect(ids, drift=False, person=False), labels),
        "perfect: topic, person": accuracy(perfect(ids, drift=False), labels),
        "the model": accuracy(model_says, labels),
        "perfect: topic, drift": accuracy(perfect(ids, person=False), labels),
        "perfect: topic, drift, person": accuracy(perfect(ids), labels),
    }
