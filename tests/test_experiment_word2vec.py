"""The stored experiment of notebook 01: its code does what it says, and its file belongs to this code."""

import pytest
import torch

from course_utils import word2vec as w2v
from course_utils.lessons.word2vec import experiment
from course_utils.toy import grammar

VOCAB = w2v.encode(experiment.text())[0]


def test_the_stored_file_belongs_to_this_code():
    stored = experiment.load()
    for name in ("command", "documents", "window", "negatives", "draws", "epochs"):
        assert stored[name] == getattr(experiment, name.upper())
    assert stored["seeds"] == list(experiment.SEEDS)
    trained = len(experiment.RATES["skipgram"]) + len(experiment.RATES["cbow"]) + 1
    counted = 2 + len(experiment.DIMS) * len(experiment.EXPONENTS)
    expected = len(experiment.SAMPLES) * (trained + counted) + len(experiment.WINDOWS)
    assert len(stored["setups"]) == expected
    assert all(len(found["topic"]) == len(experiment.SEEDS) for found in stored["setups"].values())


def test_what_only_counts_is_as_stored():
    stored = experiment.load()["setups"]
    ppmi = w2v.pmi(experiment.counts_of(0.0, seed=0)).clamp(min=0)
    for name, vectors in (("PPMI", ppmi), ("SVD 32, 0.5", experiment.truncated_svd(ppmi, 32, 0.5))):
        measured = experiment.measure(vectors, VOCAB)
        for key, value in measured.items():
            assert stored[f"{name} | all words"][key][0] == pytest.approx(value, abs=0.02)


def test_the_labels_are_those_of_the_grammar():
    places, topic, kind = experiment.labels_of(VOCAB)
    names = sorted(grammar.TOPIC_CLASSES)
    for i, t, k in zip(places.tolist(), topic.tolist(), kind.tolist(), strict=True):
        words = grammar.TOPIC_CLASSES[names[k]][grammar.TOPICS[t]].replace("/", " ").split()
        assert VOCAB[i] in words and VOCAB[i] not in grammar.SENSES


def test_the_rival_that_ignores_a_and_b_answers_with_the_neighbour_of_c():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.1], [-1.0, 0.0]])
    asked = torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4]])
    assert experiment.right_answers(vectors, asked, offset=0.0) == 0.5


def test_sub_sampling_takes_more_from_frequent_words():
    kept, every = experiment.counts_of(1e-3, seed=0).sum(1), experiment.counts_of(0.0, seed=0).sum(1)
    ratio = kept / every
    assert ratio[VOCAB.index("the")] < 0.2 < ratio[VOCAB.index("loan")]


def test_the_best_sense_is_found_where_the_sentence_tells():
    language = experiment.ToyLanguage(seed=0)
    told = ["i", "went", "to", "the", "bank", "to", "deposit", "money"]
    assert experiment.best_sense(language, told, told.index("bank")) == "money"
