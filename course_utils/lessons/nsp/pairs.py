"""Harder pairs for notebook 08: negative ones that stay in their document."""

from collections.abc import Sequence
from itertools import pairwise

import torch

from course_utils import nsp


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
