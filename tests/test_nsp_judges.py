"""The judges of notebook 08: what each of them sees, and that it is perfect in it."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from course_utils import nsp
from course_utils.lessons.nsp import judges
from course_utils.lessons.nsp.pairs import pairs_within, person_pairs
from course_utils.pretraining import tokenize_documents
from course_utils.toy.grammar import STAGES
from course_utils.toy.language import VOCAB_FILE, ToyLanguage
from course_utils.wordpiece import WordPieceTokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer.from_file(VOCAB_FILE)


def rows_of(texts, tokenizer):
    rows = [
        nsp.build_row(*map(tokenizer.convert_tokens_to_ids, map(str.split, pair)), tokenizer)
        for pair in texts
    ]
    return pad_sequence([torch.tensor(ids) for ids, _ in rows], batch_first=True)


ANNA = "anna went to the bank on friday"
BOTH = [(ANNA, f"{word} signed the cheque at the bank") for word in ("she", "he")]


def test_who_sees_no_person_cannot_tell_she_from_he(tokenizer):
    ids = rows_of(BOTH, tokenizer)
    she, he = judges.perfect(ids).tolist()
    assert she > 0.9 and he == 0
    blind = judges.perfect(ids, person=False)
    assert torch.allclose(blind[0], blind[1]) and blind[0] > 0.8
    assert judges.perfect(ids).tolist() == ToyLanguage().next_sentence_posterior(ids, rate=0.0).tolist()


def test_who_sees_no_drift_cannot_tell_the_order(tokenizer):
    ids, back = (rows_of([pair], tokenizer) for pair in (BOTH[0], BOTH[0][::-1]))
    assert torch.allclose(judges.perfect(ids, drift=False), judges.perfect(back, drift=False))
    assert judges.perfect(ids) > judges.perfect(back) + 0.1


@pytest.fixture(scope="module")
def within(tokenizer):
    """Documents, and pairs of them whose negative ones stay in their document."""
    documents = ToyLanguage(seed=1_000_030).documents(600)
    pairs = pairs_within(tokenize_documents(documents, tokenizer), torch.Generator().manual_seed(0))
    rows = [nsp.build_row(pair.first, pair.second, tokenizer)[0] for pair in pairs]
    return documents, pairs, pad_sequence([torch.tensor(ids) for ids in rows], batch_first=True)


def test_the_drift_within_a_document_is_the_one_of_the_pairs(within, tokenizer):
    documents, pairs, _ = within
    stage_of = {
        tuple(tokenizer.convert_tokens_to_ids(list(sentence.words))): STAGES.index(sentence.stage)
        for document in documents
        for sentence in document.sentences
    }
    counts = np.zeros((3, 3))
    for pair in pairs:
        if pair.label == nsp.NOT_NEXT:
            counts[stage_of[tuple(pair.first)], stage_of[tuple(pair.second)]] += 1
    expected = judges.drift_within()
    assert np.allclose(expected.sum(axis=1), 1)
    prior = ToyLanguage().stage_prior
    assert np.allclose(prior @ expected, prior)
    assert np.abs(counts / counts.sum(axis=1, keepdims=True) - expected).max() < 0.06


def test_the_judge_of_the_new_question_is_right_as_often_as_it_expects(within):
    _, pairs, ids = within
    labels = torch.tensor([pair.label for pair in pairs])
    says, old = judges.perfect_within(ids), judges.perfect(ids)
    observed = judges.accuracy(says, labels)
    assert abs(observed - says.maximum(1 - says).mean().item()) < 0.03
    assert observed > judges.accuracy(old, labels) + 0.1


def test_in_pairs_of_persons_nothing_but_the_person_tells(tokenizer):
    made = person_pairs(ToyLanguage(seed=1_000_031).documents(400), torch.Generator().manual_seed(0))
    ids, labels = (
        rows_of([(first, second) for first, second, _ in made], tokenizer),
        torch.tensor([p[2] for p in made]),
    )
    assert 0.4 < labels.double().mean() < 0.6
    assert ((judges.perfect(ids) > 0) == (labels == nsp.IS_NEXT)).all()
    assert abs(judges.accuracy(judges.perfect(ids, person=False), labels) - 0.5) < 0.1
