"""Sentence pairs: labels, negative pairs, packing, rows, and two baselines below the perfect model."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import nsp
from course_utils.nsp import IS_NEXT, NOT_NEXT, Pair
from course_utils.toy.language import VOCAB_FILE, ToyLanguage
from course_utils.wordpiece import WordPieceTokenizer, truncated_lengths

TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def traceable(lengths) -> list[list[list[tuple[int, int, int]]]]:
    """Documents whose tokens say where they stand: (document, sentence, place)."""
    return [
        [[(d, s, j) for j in range(length)] for s, length in enumerate(document)]
        for d, document in enumerate(lengths)
    ]


documents_of_lengths = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=9), min_size=2, max_size=8)
documents_with_pairs = documents_of_lengths.filter(lambda d: sum(len(sentences) > 1 for sentences in d) > 1)


@given(documents_with_pairs, st.one_of(st.none(), st.integers(2, 20)), st.integers(0, 2**31))
def test_next_follows_and_a_negative_comes_from_another_document(lengths, max_tokens, seed):
    documents = traceable(lengths)
    flat = [[token for sentence in document for token in sentence] for document in documents]
    for first, second, label in nsp.make_pairs(documents, max_tokens, seeded(seed)):
        d, e = first[0][0], second[0][0]
        start = flat[e].index(second[0])
        assert flat[e][start : start + len(second)] == second  # whole and in order
        assert second[0][1] > 0  # a follower: never the first sentence of its document
        assert second[0][2] == 0
        if label == IS_NEXT:
            assert d == e
            assert flat[d].index(first[-1]) + 1 == start
        else:
            assert label == NOT_NEXT
            assert d != e


@pytest.mark.parametrize("at", range(3))
def test_a_long_document_beside_short_ones_takes_no_longer(at, monkeypatch):
    """Few draws a pair, also where almost every draw falls on the same document; each other pair as often."""
    lengths = [[1, 1], [1, 1]]
    lengths.insert(at, [1] * 2001)
    drawn, randint = [], torch.randint
    monkeypatch.setattr(torch, "randint", lambda *a, **k: drawn.append(1) or randint(*a, **k))
    pairs = nsp.make_pairs(traceable(lengths), generator=seeded(0))
    assert len(drawn) <= 1.2 * len(pairs)
    sources = [second[0][0] for first, second, label in pairs if label == NOT_NEXT and first[0][0] == at]
    assert set(sources) == {0, 1, 2} - {at}
    assert abs(sources.count(sources[0]) - len(sources) / 2) < 3 * (len(sources) / 4) ** 0.5


def test_labels_are_half_and_half():
    pairs = nsp.make_pairs(traceable([[3] * 11] * 1000), generator=seeded(0))
    assert len(pairs) == 10_000
    assert abs(sum(pair.label for pair in pairs) - 5000) < 3 * 50


def test_every_sentence_and_its_follower_are_a_pair():
    documents = traceable([[2, 3, 1], [4, 1], [5]])
    pairs = nsp.make_pairs(documents, generator=seeded(0))
    assert [pair.first for pair in pairs] == [documents[0][0], documents[0][1], documents[1][0]]


@given(documents_with_pairs, st.integers(2, 20), st.integers(0, 2**31))
def test_packing_keeps_order_and_loses_nothing(lengths, max_tokens, seed):
    """True segments, end to end, are the document; only a last sentence without companion may be missing."""
    for sentences in traceable(lengths):
        segments = [segment for pair in nsp._cuts(sentences, max_tokens, seeded(seed)) for segment in pair]
        packed = [token for segment in segments for token in segment]
        document = [token for sentence in sentences for token in sentence]
        assert packed in (document, document[: -len(sentences[-1])])
        assert all(segments)
        assert bool(segments) == (len(sentences) > 1)


@given(documents_with_pairs, st.integers(2, 20), st.integers(0, 2**31))
def test_packed_pairs_are_as_full_as_whole_sentences_allow(lengths, max_tokens, seed):
    for sentences in traceable(lengths):
        pairs = list(nsp._cuts(sentences, max_tokens, seeded(seed)))
        for i, (first, second) in enumerate(pairs):
            tokens = len(first) + len(second)
            assert tokens <= max_tokens or first[0][1] + 1 == second[-1][1]  # two sentences always go
            if i + 2 < len(pairs):  # the pair before the last may have left the last one a companion
                following = len(sentences[pairs[i + 1][0][0][1]])
                assert tokens + following > max_tokens


def test_pairs_follow_the_seed():
    documents = traceable([[3, 2, 4, 1, 5]] * 50)
    first, again, other = (nsp.make_pairs(documents, 8, seeded(seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("lengths", [[], [[3, 2]], [[3, 2], [4]], [[3], [4]]])
def test_too_few_documents_are_refused(lengths):
    with pytest.raises(ValueError, match="at least two documents of two sentences"):
        nsp.make_pairs(traceable(lengths))


@pytest.mark.parametrize("max_tokens", [-1, 0, 1])
def test_too_few_tokens_are_refused(max_tokens):
    with pytest.raises(ValueError, match=f"max_tokens: expected 2 or more, got {max_tokens}"):
        nsp.make_pairs(traceable([[3, 2], [4, 1]]), max_tokens)


# ------------------------------------------------------------------ rows


def test_a_row_of_two_segments():
    first, second = (
        [TOKENIZER.vocab[word] for word in text.split()] for text in ("the cat sat", "it was happy")
    )
    input_ids, token_type_ids = nsp.build_row(first, second, TOKENIZER)
    assert TOKENIZER.convert_ids_to_tokens(input_ids) == [
        *("[CLS]", "the", "cat", "sat", "[SEP]"),
        *("it", "was", "happy", "[SEP]"),
    ]
    assert token_type_ids == [0, 0, 0, 0, 0, 1, 1, 1, 1]


texts = st.lists(st.sampled_from(["the", "cat", "zebra", "sat", "!"]), min_size=1, max_size=8).map(" ".join)


@given(texts, st.one_of(st.none(), texts), st.one_of(st.none(), st.integers(4, 25)))
def test_rows_equal_those_of_the_tokenizer(first, second, max_length):
    segments = [
        None if t is None else TOKENIZER.convert_tokens_to_ids(TOKENIZER.tokenize(t)) for t in (first, second)
    ]
    expected = TOKENIZER.encode(first, second, max_length)
    assert nsp.build_row(*segments, TOKENIZER, max_length) == (expected.input_ids, expected.token_type_ids)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(4, 40))
def test_the_longer_segment_gives_way(first_length, second_length, max_length):
    first, second = list(range(100, 100 + first_length)), list(range(200, 200 + second_length))
    input_ids, token_type_ids = nsp.build_row(first, second, TOKENIZER, max_length)
    kept_first = [i for i in input_ids if 100 <= i < 200]
    kept_second = [i for i in input_ids if i >= 200]
    room = max_length - 3
    assert len(input_ids) == len(token_type_ids) == min(max_length, first_length + second_length + 3)
    assert kept_first == first[: len(kept_first)] and kept_second == second[: len(kept_second)]
    assert (len(kept_first), len(kept_second)) == truncated_lengths(first_length, second_length, room)
    if 1 < room < first_length + second_length:
        assert min(len(kept_first), len(kept_second)) >= min(first_length, second_length, room // 2)


@pytest.mark.parametrize(("second", "max_length"), [(None, 2), (None, 0), ([7], 3)])
def test_rows_without_room_are_refused(second, max_length):
    with pytest.raises(
        ValueError, match=f"max_length: expected more than the . special tokens, got {max_length}"
    ):
        nsp.build_row([6], second, TOKENIZER, max_length)


# ------------------------------------------------------------------ baselines


def test_overlap_counts_shared_words():
    pairs = [
        Pair([1, 2, 3], [3, 4, 1], IS_NEXT),  # two shared
        Pair([1, 2], [3, 4], NOT_NEXT),  # none
        Pair([1, 2], [2, 2], IS_NEXT),  # one
        Pair([5, 6], [7, 8], IS_NEXT),  # none: guessed wrong
    ]
    assert nsp.overlap_accuracy(pairs) == 0.75


def test_the_topic_beats_chance_and_the_perfect_model_beats_the_topic():
    """Shared words alone say next to nothing here: a scene, an event and a remark are worded differently."""
    language = ToyLanguage(seed=21)
    documents = language.documents(1600)
    words = [[list(sentence.words) for sentence in document.sentences] for document in documents]
    train, held_out = words[:800], words[800:]
    topics = [document.topic for document in documents[:800]]
    pairs = nsp.make_pairs(held_out, generator=seeded(0))
    rows = [
        [language.piece_id[piece] for piece in ["[CLS]", *pair.first, "[SEP]", *pair.second, "[SEP]"]]
        for pair in pairs
    ]
    width = max(map(len, rows))
    padded = np.array([row + [language.piece_id["[PAD]"]] * (width - len(row)) for row in rows])
    guess = np.where(language.next_sentence_posterior(padded, rate=0.0) > 0.5, IS_NEXT, NOT_NEXT)
    best = float((guess == [pair.label for pair in pairs]).mean())
    noise = 0.5 / len(pairs) ** 0.5
    overlap, topic = nsp.overlap_accuracy(pairs), nsp.topic_accuracy(train, topics, pairs)
    assert 0.5 - 4 * noise < overlap < 0.5 + 8 * noise
    assert 0.5 + 8 * noise < topic < best - 4 * noise
