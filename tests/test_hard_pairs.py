"""The pairs of notebook 08 whose negative ones stay in their document."""

import torch

from course_utils import nsp
from course_utils.lessons.nsp.pairs import pairs_within

DOCUMENTS = [[[10 * d + s] for s in range(6)] for d in range(1, 40)]  # a sentence tells where it comes from


def test_hard_negatives_stay_in_the_document_and_never_follow():
    negative = 0
    for seed in range(5):
        for pair in pairs_within(DOCUMENTS, torch.Generator().manual_seed(seed)):
            (first,), (second,) = pair.first, pair.second
            assert first // 10 == second // 10 and second % 10 != 0 and first != second
            assert (second == first + 1) == (pair.label == nsp.IS_NEXT)
            negative += pair.label == nsp.NOT_NEXT
    assert 0.4 < negative / (5 * 5 * len(DOCUMENTS)) < 0.6


def test_a_document_too_short_for_a_hard_negative_keeps_its_pair():
    pairs = pairs_within([[[1], [2]]] * 20, torch.Generator().manual_seed(0))
    assert {pair.label for pair in pairs} == {nsp.IS_NEXT}
