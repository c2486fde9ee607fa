"""BERT's relatives in small: who sees what, what sharing saves, whether the stored result fits the code."""

import numpy as np
import pytest
import torch

from course_utils.bert import count_parameters
from course_utils.lessons.family import experiment as family
from course_utils.mlm import IGNORE_INDEX

STORED = family.load()
VOCAB = 40
ROW = torch.tensor([[2, 10, 11, 12, 13, 14, 3]])


@torch.no_grad()
def seen_from(name: str, position: int) -> list[int]:
    """The positions whose token changes the scores at `position`, found by changing each in turn."""
    torch.manual_seed(0)
    model = family.READERS[name](VOCAB).eval()
    labels = torch.full_like(ROW, IGNORE_INDEX)
    labels[0, position] = 20

    def scores(ids):
        return family.selected_logits(model, ids, torch.zeros_like(ids), labels)

    before, seen = scores(ROW), []
    for changed in range(ROW.shape[1]):
        ids = ROW.clone()
        ids[0, changed] = 30
        if not torch.allclose(scores(ids), before, atol=1e-7):
            seen.append(changed)
    return seen


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("static vectors", [0, 1, 2, 4, 5, 6]),
        ("one LSTM", [0, 1, 2]),
        ("two LSTMs, joined late", [0, 1, 2, 4, 5, 6]),
        ("causal transformer", [0, 1, 2, 3]),
        ("bidirectional transformer", [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_each_reader_sees_what_its_name_says(name, expected):
    assert seen_from(name, 3) == expected


def test_static_vectors_know_no_order():
    torch.manual_seed(0)
    model = family.StaticVectors(VOCAB)
    turned = ROW[:, [0, 2, 1, 3, 5, 4, 6]]
    assert torch.allclose(model(ROW)[0, 3], model(turned)[0, 3], atol=1e-6)


def test_a_shared_layer_is_counted_once_and_run_four_times():
    own, shared = (family.Transformer(VOCAB, layers=4, shared=shared) for shared in (False, True))
    layer = count_parameters(own.model.bert.encoder.layer[0])
    assert count_parameters(own) - count_parameters(shared) == 3 * layer
    assert len(shared.model.bert.encoder.layer) == 4


def test_the_stored_result_is_whole_and_has_the_sizes_of_these_models():
    assert STORED["command"] == family.COMMAND and STORED["steps"] == family.STEPS
    assert STORED["seeds"] == list(family.SEEDS)
    assert list(STORED["models"]) == list(family.READERS | family.RELATIVES)
    size = len(family.tokenizer_and_rows()[0])
    for name, runs in STORED["models"].items():
        assert sorted(runs) == [str(seed) for seed in family.SEEDS]
        parameters = count_parameters((family.READERS | family.RELATIVES)[name](size))
        assert {run["parameters"] for run in runs.values()} == {parameters}


def test_the_stored_floors_are_those_of_the_held_out_rows():
    floors = family.held_out_rows().floors.mean("mask")
    assert all(np.isclose(STORED["floors"][rung], floor, atol=1e-3) for rung, floor in floors.items())


def test_no_reader_is_stored_below_its_floor():
    floors = STORED["floors"]
    for name in ("one LSTM", "causal transformer"):
        assert all(run["loss"] > floors["left"] for run in STORED["models"][name].values())
    for runs in STORED["models"].values():
        assert all(run["loss"] > floors["bidirectional"] for run in runs.values() if "loss" in run)
