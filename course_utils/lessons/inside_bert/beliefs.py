"""What notebook 12 asks the toy language for: how probable each of its hidden states is, given a sentence."""

from functools import cache

import numpy as np

from course_utils.toy.language import ToyLanguage

TOPICS, PERSONS = 8, 8  # a hidden state is a pair of a topic and a person, the topic first


def belief(language: ToyLanguage, words, hidden: int | None = None) -> np.ndarray:
    """The probabilities of stage and hidden state, given the words: (3, 64), summing to 1.

    By Bayes' rule, over all frames of that length: given frame and state, the words are independent.

    Args:
        words: the words of one sentence.
        hidden: the place of a word that nobody has seen, counted from 0; it then tells nothing.
    """
    chosen = np.flatnonzero(language.pattern_length == len(words))
    likelihood = np.ones(len(chosen))
    for place, word in enumerate(words):
        if place != hidden:
            rows = language.pattern_rows[chosen, place]
            likelihood *= language.piece_emissions[rows, language.piece_id[word]]
    joint = before_reading(language)[:, :, chosen] @ likelihood
    return joint / joint.sum()


@cache
def before_reading(language: ToyLanguage) -> np.ndarray:
    """How probable stage, state and frame are together, before any word is read: (3, 64, frames)."""
    return np.einsum("s,z,szd->szd", language.stage_prior, language.state_prior, language.pattern_prior)


def topics(joint: np.ndarray) -> np.ndarray:
    """The probabilities of the 8 topics, from what `belief` returns."""
    return joint.sum(axis=0).reshape(TOPICS, PERSONS).sum(axis=1)


def persons(joint: np.ndarray) -> np.ndarray:
    """The probabilities of the 8 persons, from what `belief` returns."""
    return joint.sum(axis=0).reshape(TOPICS, PERSONS).sum(axis=0)


def is_possible(language: ToyLanguage, ids) -> bool:
    """Whether the language can write these pieces as a sentence."""
    chosen = language.pattern_length == len(ids)
    emissions = [language.piece_emissions[language.pattern_rows[chosen, j], i] for j, i in enumerate(ids)]
    return bool(np.prod(emissions, axis=0).sum() > 0)


def frame_of(language: ToyLanguage, words) -> str:
    """The frame, with its gaps, that has most probably written a sentence of these words."""
    chosen = np.flatnonzero(language.length == len(words))
    weight = language.frame_prior[chosen]  # (frames of this length, hidden states)
    for place, word in enumerate(words):
        weight = weight * language.piece_emissions[language.row_of[chosen, place], language.piece_id[word]]
    total = {}  # a frame stands there once for each number and polarity
    for frame, share in zip(chosen, weight.sum(axis=1), strict=True):
        total[language.templates[frame]] = total.get(language.templates[frame], 0.0) + share
    return max(total, key=total.get)
