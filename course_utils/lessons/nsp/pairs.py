"""Harder pairs for notebook 08: negative ones that stay in their document, or change only the person."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import torch

from course_utils import nsp
from course_utils.toy.generator import Document
from course_utils.toy.grammar import FEMALE, PERSON_CLASSES

#: Names and pronouns: the words that tell the person of a document.
PERSON_WORDS = sorted({word for words in PERSON_CLASSES.values() for word in words.values()})


def pairs_within(documents: Sequence[Sequence[list]], generator: torch.Generator) -> list[nsp.Pair]:
    """Pairs of neighbours; in half of them the second is another sentence of the same document.

    Not the first sentence of the document, which follows nothing, and not the first of the pair itself. Where
    no sentence is left, the pair stays a true one.
    """
    pairs = []
    for sentences in documents:
        negative = torch.rand(len(sentences) - 1, generator=generator) < 0.5
        for i, (first, second) in enumerate(pairwise(sentences)):
            others = [sentences[j] for j in range(1, len(sentences)) if j not in (i, i + 1)]
            if negative[i] and others:
                draw = int(torch.randint(len(others), (), generator=generator))
                pairs.append(nsp.Pair(first, others[draw], nsp.NOT_NEXT))
            else:
                pairs.append(nsp.Pair(first, second, nsp.IS_NEXT))
    return pairs


def person_pairs(documents: Sequence[Document], generator: torch.Generator) -> list[tuple[str, str, int]]:
    """Pairs (first, second, label) of texts in which only the person tells whether the second follows.

    Both sentences mention a person. In half of the pairs the second comes from another document of the same
    topic, is of the same stage, and is about a person who takes the other pronouns: "anna" and "he".
    """

    def mentions(sentence) -> bool:
        return not set(PERSON_WORDS).isdisjoint(sentence.words)

    followers = defaultdict(list)  # by all that they must share, and by the pronouns of the person
    found = []
    for document in documents:
        for first, second in pairwise(document.sentences):
            if mentions(first) and mentions(second):
                kind = document.topic, second.stage, document.person in FEMALE
                followers[kind].append(second)
                found.append((first, second, kind))
    pairs = []
    for first, second, (topic, stage, female) in found:
        strangers = followers[topic, stage, not female]
        negative = bool(strangers) and torch.rand((), generator=generator).item() < 0.5
        if negative:
            second = strangers[int(torch.randint(len(strangers), (), generator=generator))]
        pairs.append((first.text, second.text, nsp.NOT_NEXT if negative else nsp.IS_NEXT))
    return pairs
