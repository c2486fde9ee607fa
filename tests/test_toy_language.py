"""The toy language: its samples, and its exact probabilities against plain enumeration of a tiny one."""

import hashlib
import itertools
import math
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import nsp, pretraining
from course_utils.commands import pretraining as command
from course_utils.mlm import mask_tokens
from course_utils.toy import grammar as toy_grammar
from course_utils.toy.language import RUNGS, SPECIAL_TOKENS, VOCAB_FILE, ToyLanguage
from course_utils.wordpiece import WordPieceTokenizer

CAST = (
    "the bank was robbed yesterday",
    "i went to the bank to deposit money",
    "the river bank was very scenic",
    "the cat sat on the mat",
    "it was happy",
    "great movie !",
)

TINY = SimpleNamespace(
    TOPICS=("sea", "land"),
    PERSONS=("ann", "bob"),
    FEMALE=frozenset({"ann"}),
    SENSES={"bank": {"sea": "reef", "land": "money"}},
    CLASSES={"this#": "this/these", "was#": "was/were", "good~": "good/bad fine/poor", "size": "big red"},
    TOPIC_CLASSES={"thing#": {"sea": "boat/boats bank/banks", "land": "car/cars boat/boats bank/banks"}},
    PERSON_CLASSES={"name": {"ann": "ann", "bob": "bob"}, "he": {"ann": "she", "bob": "he"}},
    STAGES=("scene", "remark"),
    STAGE_TRANSITIONS=((0.3, 0.7), (0.8, 0.2)),
    COMMON_FRAMES={
        "scene": ("{name} saw {this#} {thing#}", "{this#} {thing#} {was#} {size}"),
        "remark": ("it was {good~} but {good^}", "{he} left"),
    },
    TOPIC_FRAMES={
        "sea": {"scene": ("the bank was {size}",)},
        "land": {"remark": ("{he} was {good~}", "the {thing#} {was#} {good^}")},
    },
)


@pytest.fixture(scope="module")
def language() -> ToyLanguage:
    return ToyLanguage(seed=11)


@pytest.fixture(scope="module")
def documents(language):
    return language.documents(4000)


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer.from_file(VOCAB_FILE)


# ------------------------------------------------------------------ the oracle: everything written out


def zipf(words: list[str]) -> dict[str, float]:
    total = sum(1 / k for k in range(1, len(words) + 1))
    return {word: 1 / k / total for k, word in enumerate(words, start=1)}


def sentences_of_template(template: str, topic: str, person: str) -> dict[tuple[str, ...], float]:
    """Every sentence that a frame can become in one hidden state, with its probability."""
    result = defaultdict(float)
    numbers = (0, 1) if "#}" in template else (0,)
    polarities = (0, 1) if re.search("[~^]}", template) else (0,)
    for number, polarity in itertools.product(numbers, polarities):
        options = []
        for token in template.split():
            if not token.startswith("{"):
                options.append({token: 1.0})
                continue
            name = token[1:-1]
            mark = name[-1]
            name = name.replace("^", "~")
            words = (
                TINY.CLASSES.get(name)
                or TINY.TOPIC_CLASSES.get(name, {}).get(topic)
                or TINY.PERSON_CLASSES[name][person]
            ).split()
            if mark == "#":
                words = [pair.split("/")[number] for pair in words]
            elif mark in "~^":
                words = [pair.split("/")[polarity if mark == "~" else 1 - polarity] for pair in words]
            options.append(zipf(words))
        for choice in itertools.product(*(option.items() for option in options)):
            share = math.prod(p for _, p in choice) / len(numbers) / len(polarities)
            result[tuple(word for word, _ in choice)] += share
    return result


@lru_cache
def enumerated():
    """P(sentence | stage, topic, person); the stationary stages; and how often two sentences meet."""
    given_state = {}
    for stage, topic, person in itertools.product(TINY.STAGES, TINY.TOPICS, TINY.PERSONS):
        frames = TINY.COMMON_FRAMES[stage] + TINY.TOPIC_FRAMES[topic].get(stage, ())
        table = defaultdict(float)
        for frame in frames:
            for words, p in sentences_of_template(frame, topic, person).items():
                table[words] += p / len(frames)
        given_state[stage, topic, person] = table

    (_, to_remark), (to_scene, _) = TINY.STAGE_TRANSITIONS  # two stages: the flows between them balance
    stationary = {"scene": to_scene / (to_scene + to_remark), "remark": to_remark / (to_scene + to_remark)}
    alone, following = defaultdict(float), defaultdict(float)
    for topic, person in itertools.product(TINY.TOPICS, TINY.PERSONS):
        for s, stage in enumerate(TINY.STAGES):
            for a, p in given_state[stage, topic, person].items():
                alone[a] += stationary[stage] * p / 4
                for t, after in enumerate(TINY.STAGES):
                    for b, q in given_state[after, topic, person].items():
                        step = TINY.STAGE_TRANSITIONS[s][t]
                        following[a, b] += stationary[stage] * step * p * q / 4
    apart = {(a, b): p * q for (a, p), (b, q) in itertools.product(alone.items(), repeat=2)}
    return alone, following, apart


TINY_WORDS = sorted({word for sentence in enumerated()[0] for word in sentence})
TINY_VOCAB = [*SPECIAL_TOKENS, *TINY_WORDS, "zebra", "##s"]
ORDINARY = TINY_VOCAB[len(SPECIAL_TOKENS) :]


@lru_cache
def tiny() -> ToyLanguage:
    return ToyLanguage(grammar=TINY, vocab=TINY_VOCAB)


def channel(seen: str, word: str, rate: float) -> float:
    """P(seen | word) at a position of which nobody says whether it was selected."""
    if seen == "[MASK]":
        return 0.8 * rate
    return (1 - rate + 0.1 * rate) * (seen == word) + 0.1 * rate / len(ORDINARY)


def selected_channel(seen: str, word: str) -> float:
    return 0.8 if seen == "[MASK]" else 0.1 * (seen == word) + 0.1 / len(ORDINARY)


def match(seen, words, rate, skip=None) -> float:
    """P(the seen words | the written ones), position `skip` left out; `seen` may be shorter."""
    return math.prod(
        channel(y, x, rate) for j, (y, x) in enumerate(zip(seen, words, strict=False)) if j != skip
    )


def normalised(weights: dict[str, float]) -> np.ndarray:
    answer = np.array([weights.get(piece, 0.0) for piece in TINY_VOCAB])
    return answer / answer.sum()


def oracle(segments, k, column, rate, rung) -> np.ndarray:
    """What the best model says at one position, by adding up all sentences or all pairs of sentences."""
    alone, following, apart = enumerated()
    seen = segments[k]
    weights = defaultdict(float)
    if rung == "unigram":
        for words, p in alone.items():
            for word in words:
                weights[word] += p
    elif rung == "bigram":
        for words, p in alone.items():
            for j, word in enumerate(words):
                if (j == 0) == (column == 0):
                    weights[word] += p * (channel(seen[column - 1], words[j - 1], rate) if j else 1)
    elif len(segments) == 1 or (rung == "left" and k == 0):
        for words, p in alone.items():
            if rung == "left" and len(words) > column:
                weights[words[column]] += p * match(seen[:column], words, rate)
            elif rung == "bidirectional" and len(words) == len(seen):
                weights[words[column]] += p * match(seen, words, rate, skip=column)
    else:
        context = seen[:column] if rung == "left" else seen
        own_fits = {
            words: match(context, words, rate, skip=column)
            for words in alone
            if (len(words) > column if rung == "left" else len(words) == len(seen))
        }
        other = segments[1 - k]
        other_fits = {words: match(other, words, rate) for words in alone if len(words) == len(other)}
        for (x, p), (y, q) in itertools.product(own_fits.items(), other_fits.items()):
            pair = (x, y) if k == 0 else (y, x)
            weights[x[column]] += (apart[pair] + following.get(pair, 0)) / 2 * p * q
    return normalised({word: w * selected_channel(seen[column], word) for word, w in weights.items()})


def to_row(segments) -> list[int]:
    pieces = ["[CLS]"] + [piece for segment in segments for piece in [*segment, "[SEP]"]]
    return [TINY_VOCAB.index(piece) for piece in pieces]


ACTIONS = ("leave", "leave", "leave", "mask", "mask", "keep", "random")


@st.composite
def corrupted_rows(draw):
    """Segments as written, as seen, and which words were selected. A random piece may hit the word itself."""
    sentences = sorted(enumerated()[0])
    written = [draw(st.sampled_from(sentences)) for _ in range(draw(st.integers(1, 2)))]
    seen, selected = [], []
    for words in written:
        actions = [draw(st.sampled_from(ACTIONS)) for _ in words]
        pieces = {"mask": lambda word: "[MASK]", "random": lambda word: draw(st.sampled_from(ORDINARY))}
        seen.append([pieces.get(a, lambda word: word)(word) for a, word in zip(actions, words, strict=True)])
        selected.append([action != "leave" for action in actions])
    return written, seen, selected


@given(corrupted_rows(), st.sampled_from([0.15, 0.4]))
@settings(max_examples=50)
def test_every_rung_equals_enumeration(example, rate):
    written, seen, selected = example
    rows, masked_rows = np.array([to_row(written)]), np.array([to_row(seen)])
    chosen = np.array([[False] + [flag for flags in selected for flag in [*flags, False]]])
    labels = np.where(chosen, rows, -100)
    floors = tiny().floors(rows, masked_rows, labels, rate)
    places = [(k, j) for k, flags in enumerate(selected) for j, flag in enumerate(flags) if flag]
    expected = {
        rung: [oracle(seen, k, j, rate, rung)[TINY_VOCAB.index(written[k][j])] for k, j in places]
        for rung in RUNGS
    }
    for rung in RUNGS:
        np.testing.assert_allclose(getattr(floors, rung), -np.log(expected[rung]), rtol=0, atol=1e-12)
    for left in (False, True):
        posterior = tiny().posteriors(masked_rows, chosen, rate, left=left)
        truth = [oracle(seen, k, j, rate, "left" if left else "bidirectional") for k, j in places]
        np.testing.assert_allclose(posterior, np.reshape(truth, posterior.shape), rtol=0, atol=1e-12)
    expected_kind = [
        "mask" if seen[k][j] == "[MASK]" else "kept" if seen[k][j] == written[k][j] else "random"
        for k, j in places
    ]
    assert floors.kind.tolist() == expected_kind
    assert floors.position.tolist() == np.argwhere(chosen).tolist()


@given(corrupted_rows().filter(lambda example: len(example[0]) == 2), st.sampled_from([0.15, 0.4]))
@settings(max_examples=30)
def test_next_sentence_posterior_equals_enumeration(example, rate):
    written, seen, _ = example
    _, following, apart = enumerated()
    for segments, p in ((seen, rate), (written, 0.0)):
        weights = {
            pair: match(segments[0], pair[0], p) * match(segments[1], pair[1], p)
            for pair in apart
            if [len(words) for words in pair] == [len(words) for words in segments]
        }
        together = sum(following.get(pair, 0) * w for pair, w in weights.items())
        torn = sum(apart[pair] * w for pair, w in weights.items())
        posterior = tiny().next_sentence_posterior(np.array([to_row(segments)]), p)
        assert posterior == pytest.approx([together / (together + torn)], abs=1e-12)


def test_next_sentence_pmi_and_the_best_search_equal_enumeration():
    """Every pair of a tiny language; and the chance of each candidate, by adding up all ways to draw them."""
    alone, following, _ = enumerated()
    sentences = sorted(alone)
    ids = [[TINY_VOCAB.index(word) for word in words] for words in sentences]
    pmi = tiny().next_sentence_pmi(ids, ids)
    expected = np.array(
        [[following.get((a, b), 0) / alone[a] / alone[b] for b in sentences] for a in sentences]
    )
    np.testing.assert_allclose(np.exp(pmi), expected, rtol=0, atol=1e-9)
    assert (np.isneginf(pmi) == (expected == 0)).all() and np.isneginf(pmi).any()

    query, others = 0, [1, 5, 9, 5]  # a candidate may occur twice
    ways = [
        following.get((sentences[query], sentences[right]), 0)
        * math.prod(alone[sentences[other]] for j, other in enumerate(others) if j != i)
        for i, right in enumerate(others)
    ]
    weights = np.exp(pmi[query, others])
    np.testing.assert_allclose(weights / weights.sum(), np.array(ways) / sum(ways), atol=1e-9)


def test_next_sentence_pmi_is_the_log_odds_of_the_posterior():
    sentences = sorted(enumerated()[0])[:12]
    ids = [[TINY_VOCAB.index(word) for word in words] for words in sentences]
    rows = [to_row([a, b]) for a in sentences for b in sentences]
    width = max(map(len, rows))
    posterior = tiny().next_sentence_posterior(np.array([r + [0] * (width - len(r)) for r in rows]), 0.0)
    pmi = tiny().next_sentence_pmi(ids, ids).ravel()
    np.testing.assert_allclose(1 / (1 + np.exp(-pmi)), posterior, atol=1e-9)


def test_sentences_that_the_language_cannot_write_are_refused():
    with pytest.raises(ValueError, match="sentence 1: expected one that the language can write"):
        tiny().next_sentence_pmi([to_row([("he", "left")])[1:-1], to_row([("left", "he")])[1:-1]], [[1]])
    with pytest.raises(ValueError, match="words of sentence 0: expected one of"):
        tiny().sentence_evidence([[5] * 40])


def test_rows_of_mixed_shape_and_padding_do_not_disturb_each_other():
    a, b, c = ("ann", "saw", "this", "[MASK]"), ("she", "[MASK]"), ("it", "was", "[MASK]", "but", "bad")
    rows = [to_row(segments) for segments in ([a, b], [c], [b], [c, a], [a, b])]
    width = max(map(len, rows))
    padded = np.array([row + [0] * (width - len(row)) for row in rows])
    chosen = padded == TINY_VOCAB.index("[MASK]")
    for left in (False, True):
        together = tiny().posteriors(padded, chosen, left=left)
        one_by_one = [
            tiny().posteriors(np.array([row]), np.array([row]) == TINY_VOCAB.index("[MASK]"), left=left)
            for row in rows
        ]
        np.testing.assert_allclose(together, np.concatenate(one_by_one), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("window", "dynamic"), [(1, True), (2, False), (3, True), (9, True)])
def test_cooccurrence_equals_enumeration(window, dynamic):
    counts = np.zeros((len(TINY_WORDS), len(TINY_WORDS)))
    for words, p in enumerated()[0].items():
        for (i, w), (j, v) in itertools.permutations(enumerate(words), 2):
            if abs(i - j) <= window:
                weight = (window - abs(i - j) + 1) / window if dynamic else 1
                counts[TINY_WORDS.index(w), TINY_WORDS.index(v)] += p * weight
    assert tiny().words == TINY_WORDS
    np.testing.assert_allclose(tiny().cooccurrence(window, dynamic), counts, rtol=0, atol=1e-12)
    joint = counts / counts.sum()
    with np.errstate(divide="ignore"):
        expected = np.log(joint / np.outer(joint.sum(axis=1), joint.sum(axis=0)))
    pmi = tiny().pmi(window, dynamic)
    np.testing.assert_allclose(pmi, expected, atol=1e-12)
    np.testing.assert_array_equal(np.isinf(pmi), counts == 0)


# ------------------------------------------------------------------ samples


def standard_scores(difference: np.ndarray) -> np.ndarray:
    """Means of (documents, anything) in standard errors: documents are independent, their words are not."""
    return np.abs(difference.mean(axis=0)) / (difference.std(axis=0, ddof=1) / math.sqrt(len(difference)))


def test_word_frequencies_agree_with_the_unigram(language, documents):
    index = {word: w for w, word in enumerate(language.words)}
    probability = language.unigram[[language.piece_id[word] for word in language.words]]
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    counts = np.zeros((len(documents), len(index)))
    for d, document in enumerate(documents):
        for word in document.text.split():
            counts[d, index[word]] += 1
    assert counts.sum(axis=0).min() > 0  # every word of the language occurs
    assert standard_scores(counts - probability * counts.sum(axis=1, keepdims=True)).max() < 4.5


def test_neighbours_agree_with_the_cooccurrence(language, documents):
    index = {word: w for w, word in enumerate(language.words)}
    window, expected = 2, language.cooccurrence(2)
    frequent = np.argwhere(expected * sum(len(d.sentences) for d in documents) > 100)
    column = {(i, j): n for n, (i, j) in enumerate(frequent.tolist())}
    counts = np.zeros((len(documents), len(frequent)))
    for d, document in enumerate(documents):
        for sentence in document.sentences:
            words = [index[word] for word in sentence.words]
            for i, j in itertools.permutations(range(len(words)), 2):
                if abs(i - j) <= window and (words[i], words[j]) in column:
                    counts[d, column[words[i], words[j]]] += (window - abs(i - j) + 1) / window
    sentences = np.array([[len(document.sentences)] for document in documents])
    assert len(frequent) > 300
    assert standard_scores(counts - expected[tuple(frequent.T)] * sentences).max() < 4.5


def test_stages_follow_their_markov_chain(language, documents):
    stages = [[language.grammar.STAGES.index(s.stage) for s in document.sentences] for document in documents]
    first = np.bincount([chain[0] for chain in stages], minlength=3)
    prior = np.array([1.0, 0, 0]) @ np.linalg.matrix_power(np.array(toy_grammar.STAGE_TRANSITIONS), 200)
    np.testing.assert_allclose(language.stage_prior, prior, atol=1e-12)
    assert (np.abs(first - len(stages) * prior) < 4 * np.sqrt(len(stages) * prior * (1 - prior))).all()
    steps = np.zeros((3, 3))
    for chain in stages:
        np.add.at(steps, (chain[:-1], chain[1:]), 1)
    p, n = np.array(toy_grammar.STAGE_TRANSITIONS), steps.sum(axis=1, keepdims=True)
    assert (np.abs(steps - n * p) < 4 * np.sqrt(n * p * (1 - p))).all()


def test_topics_persons_and_lengths_are_even(documents):
    lengths = Counter(len(document.sentences) for document in documents)
    assert set(lengths) == {4, 5, 6, 7, 8}
    for counts in (lengths, Counter(d.topic for d in documents), Counter(d.person for d in documents)):
        p = 1 / len(counts)
        limit = 4 * math.sqrt(len(documents) * p * (1 - p))
        assert max(abs(count - len(documents) * p) for count in counts.values()) < limit


def test_more_documents_begin_with_the_same_ones():
    assert ToyLanguage(seed=3).documents(10) == ToyLanguage(seed=3).documents(1000)[:10]
    assert len(ToyLanguage().documents(501)) == 501
    assert ToyLanguage().documents(0) == []
    assert ToyLanguage(seed=0).documents(5) != ToyLanguage(seed=1).documents(5)


def test_documents_are_the_same_in_every_process():
    code = "from course_utils.toy.language import ToyLanguage\n"
    code += "print(*(document.text for document in ToyLanguage(5).documents(50)), sep='|')"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    here = "|".join(document.text for document in ToyLanguage(5).documents(50))
    digests = {hashlib.sha256(text.replace(b"\r", b"")).hexdigest() for text in texts}
    assert digests == {hashlib.sha256(here.encode()).hexdigest()}


# ------------------------------------------------------------------ the English


def test_every_word_is_one_piece_of_the_committed_vocabulary(language, tokenizer):
    assert 300 <= len(language.words) <= 800
    assert [tokenizer.tokenize(word) for word in language.words] == [[word] for word in language.words]
    assert command.train_embedded_vocab() == tokenizer.id_to_token


def to_ids(tokenizer, text: str, pair: str | None = None) -> np.ndarray:
    return np.array([tokenizer.encode(text, pair).input_ids])


@pytest.mark.parametrize("text", CAST)
def test_the_cast_is_possible(language, tokenizer, text):
    language.check_possible(to_ids(tokenizer, text))


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("the [MASK] was robbed yesterday", {"bank"}),
        ("i went to the bank to [MASK] money", {"deposit", "borrow", "save", "withdraw"}),
        ("the river [MASK] was very scenic", {"bank"}),
        ("the cat sat on the [MASK]", {"mat"}),
        ("it was [MASK]", {"happy", "sad"}),
        ("great [MASK] !", {"movie"}),
    ],
)
def test_the_perfect_model_fills_the_cast_sensibly(language, tokenizer, text, answers):
    ids = to_ids(tokenizer, text)
    (posterior,) = language.posteriors(ids, ids == tokenizer.mask_token_id)
    best = np.argsort(posterior)[::-1][: len(answers)]
    assert {language.vocab[i] for i in best} == answers


class SenseReader:
    """P(sense of a word | some words), by adding up all frames in all hidden states."""

    def __init__(self, language: ToyLanguage):
        self.language = language
        self.index = {word: w for w, word in enumerate(language.words)}

    def likelihood(self, words, use, whole: bool) -> np.ndarray:
        """P(the words at the places `use` | stage, state): (S, Z). `whole`: the length is known too."""
        language = self.language
        fits = language.length == len(words) if whole else language.length > max(use)
        weight = language.frame_prior * fits[:, None]
        for j in use:
            rows = language.row_of[:, j]
            weight = weight * np.where(rows >= 0, language.emissions[rows, self.index[words[j]]], 0)
        return np.array(
            [weight[language.stage_of == s].sum(axis=0) for s in range(len(language.stage_prior))]
        )

    def certainty(self, word: str, by_state: np.ndarray) -> float:
        """Probability of the likeliest sense of `word`, from weights (Z,)."""
        senses = defaultdict(float)
        for (topic, _), weight in zip(self.language.states, by_state, strict=True):
            if weight > 0:
                senses[toy_grammar.SENSES[word][topic]] += weight
        return max(senses.values()) / sum(senses.values())

    def what_settles(self, words, place, neighbour) -> str:
        """Which context makes the sense of one word at least 95 % sure."""
        prior, word = self.language.stage_prior, words[place]
        own = self.likelihood(words, range(len(words)), whole=True)
        left = self.likelihood(words, range(place + 1), whole=False)
        right = self.likelihood(words, range(place, len(words)), whole=True)
        before = self.likelihood(neighbour, range(len(neighbour)), whole=True)
        together = np.einsum("s,sz,st,tz->z", prior, before, self.language.transitions, own)
        left_is_enough, right_is_enough, own_is_enough, together_is_enough = (
            self.certainty(word, weight) >= 0.95
            for weight in (prior @ left, prior @ right, prior @ own, together)
        )
        if left_is_enough or right_is_enough:
            return (
                "either side" if left_is_enough and right_is_enough else "left" if left_is_enough else "right"
            )
        return "both sides" if own_is_enough else "neighbour" if together_is_enough else "nothing"


def test_senses_are_settled_by_different_contexts(language, documents):
    reader, senses, settled_by = SenseReader(language), defaultdict(set), defaultdict(Counter)
    for document in documents[:400]:
        for before, sentence in itertools.pairwise(document.sentences):
            for place, sense in sentence.senses.items():
                word = sentence.words[place]
                assert sense == toy_grammar.SENSES[word][document.topic]
                senses[word].add(sense)
                settled_by[word][reader.what_settles(sentence.words, place, before.words)] += 1
    assert senses.keys() == toy_grammar.SENSES.keys()
    assert min(len(found) for found in senses.values()) >= 2
    total = sum(settled_by.values(), Counter())
    assert min(total[context] for context in ("left", "right", "either side", "neighbour")) >= 10
    assert settled_by["bank"]["left"] and settled_by["bank"]["right"] and settled_by["bank"]["neighbour"]


def test_every_ambiguous_word_is_annotated(documents):
    for document in documents[:200]:
        for sentence in document.sentences:
            places = {i for i, word in enumerate(sentence.words) if word in toy_grammar.SENSES}
            assert sentence.senses.keys() == places
            assert sentence.text.split() == list(sentence.words)


# ------------------------------------------------------------------ the floors of the real language


@pytest.fixture(scope="module")
def held_out(tokenizer):
    return pretraining.held_out(tokenizer, documents=150)


def test_the_ladder_descends(held_out):
    floors = held_out.floors.mean("mask")
    assert floors["unigram"] > floors["bigram"] > floors["left"] > floors["bidirectional"]
    assert floors["left"] - floors["bidirectional"] >= 0.3


@pytest.mark.parametrize("left", [False, True])
def test_posteriors_are_calibrated(language, tokenizer, held_out, left):
    """Who knows the true probabilities is surprised, on the mean, by exactly the entropy of what she says."""
    surprise = []
    for batch, masked_rows, labels in held_out.batches:
        selected = (labels != -100).numpy()
        posterior = language.posteriors(masked_rows, selected, left=left)
        np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-12)
        entropy = -(posterior * np.log(np.maximum(posterior, 1e-300))).sum(axis=1)
        nats = -np.log(posterior[np.arange(len(posterior)), batch.input_ids.numpy()[selected]])
        surprise.append(nats - entropy)
    assert standard_scores(np.concatenate(surprise)[:, None]).max() < 4


def test_next_sentence_posteriors_are_calibrated(held_out):
    p = held_out.next_sentence
    right = np.where(held_out.next_sentence_label == nsp.IS_NEXT, p, 1 - p)
    entropy = -(p * np.log(np.maximum(p, 1e-300)) + (1 - p) * np.log(np.maximum(1 - p, 1e-300)))
    assert standard_scores((-np.log(right) - entropy)[:, None]).max() < 4
    assert np.maximum(p, 1 - p).mean() > 0.75  # there is something to know


def test_the_channel_is_that_of_mask_tokens(language, tokenizer):
    """The share of each visible piece at a place, drawn by `mask_tokens`, is what the floors assume."""
    word, rate = tokenizer.vocab["bank"], 0.3
    seen, _ = mask_tokens(torch.full((1000, 1000), word), tokenizer, rate, torch.Generator().manual_seed(1))
    counts = np.bincount(seen.flatten().numpy(), minlength=len(tokenizer))
    row = int(
        np.flatnonzero(language.piece_emissions[:, word] == 1)[0]
    )  # a distribution that is this word alone
    probability = language._channel(np.arange(len(tokenizer)), rate)[:, row]
    special = [tokenizer.vocab[token] for token in SPECIAL_TOKENS if token != "[MASK]"]
    probability[special] = 0
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    assert counts[special].sum() == 0
    limit = 4.5 * np.sqrt(1e6 * probability * (1 - probability))
    assert (np.abs(counts - 1e6 * probability) <= limit).all()


# ------------------------------------------------------------------ what is refused


def test_the_first_impossible_token_is_named(language, tokenizer):
    good = to_ids(tokenizer, "the cat sat on the mat", "it was happy")
    bad = to_ids(tokenizer, "the cat sat on the mat", "it mat happy")
    with pytest.raises(
        ValueError,
        match="row 1, position 9: expected a word that follows 'it' in some sentence of 3 words, got 'mat'",
    ):
        language.check_possible(np.concatenate([good, bad, bad]))
    with pytest.raises(ValueError, match="position 1: expected .* follows 'the start' .*, got 'zebra'"):
        tiny().check_possible([[TINY_VOCAB.index(piece) for piece in ("[CLS]", "zebra", "left", "[SEP]")]])
    with pytest.raises(ValueError, match="row 0, position 9"):
        language.floors(bad, bad, np.where(np.arange(bad.size) == 9, bad, -100))


def test_words_of_two_topics_do_not_mix(language, tokenizer):
    """Each word is possible at its place; no topic has both."""
    language.check_possible(to_ids(tokenizer, "the soup in the pan tasted good"))
    with pytest.raises(ValueError, match="position 2: expected a word that follows 'the' .*, got 'money'"):
        language.check_possible(to_ids(tokenizer, "the money in the pan tasted good"))


@pytest.mark.parametrize(
    "pieces",
    [
        "the cat [SEP]",
        "[CLS] it was happy",
        "[CLS] it was happy [SEP] [PAD] it was sad [SEP]",
        "[CLS] it [UNK] happy [SEP]",
        "[CLS] great movie ! [SEP] great movie ! [SEP] great movie ! [SEP]",
        "[CLS] it was happy [SEP] it was sad",
        "[PAD] [PAD]",
    ],
)
def test_rows_of_another_form_are_refused(language, pieces):
    row = [language.piece_id[piece] for piece in pieces.split()]
    with pytest.raises(ValueError, match=r"\[CLS\] A \[SEP\] B \[SEP\]|words of a sentence"):
        language.posteriors([row], [[False] * len(row)])


def test_other_mistakes_are_refused(language, tokenizer):
    row = to_ids(tokenizer, "great movie !")
    none = np.zeros_like(row, dtype=bool)
    with pytest.raises(ValueError, match=r"words of a sentence: expected one of \[3, 4.*\], got 2"):
        language.posteriors(to_ids(tokenizer, "great movie"), none[:, :-1])
    for rate in (0, 1, -0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="rate: expected .*0.*, got"):
            language.posteriors(row, none, rate)
        with pytest.raises(ValueError, match="rate: expected .*0.*, got"):
            language.floors(row, row, np.full_like(row, -100), rate)
    with pytest.raises(ValueError, match="rate: expected 0 <= rate < 1, got 1"):
        language.next_sentence_posterior(row, 1)
    with pytest.raises(ValueError, match=r"selected position 4 of row 0: expected .*, got \[SEP\]"):
        language.posteriors(row, np.arange(5)[None] == 4)
    with pytest.raises(ValueError, match="shape"):
        language.posteriors(row, none[:, 1:])
    with pytest.raises(ValueError, match="rows: expected ids from 0 to .*, got 2 to 9999"):
        language.check_possible(np.where(np.arange(5) == 2, 9999, row))
    with pytest.raises(ValueError, match="row 0: expected two segments, got one"):
        language.next_sentence_posterior(row)
    with pytest.raises(ValueError, match="window: expected a whole number from 1, got 0"):
        language.pmi(window=0)
    with pytest.raises(ValueError, match="n: expected 0 or more, got -1"):
        language.documents(-1)
    for seed in (-1, 0.5):
        with pytest.raises(ValueError, match="seed: expected"):
            ToyLanguage(seed=seed)
    with pytest.raises(
        ValueError, match=r"vocab: expected every word of the language .*, got none of \['bank'\]"
    ):
        _ = ToyLanguage(vocab=[piece for piece in language.vocab if piece != "bank"]).unigram
