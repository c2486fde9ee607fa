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


def test_the_readers_have_equal_sizes_and_the_larger_ones_too():
    for models in (family.READERS, family.LARGER):
        sizes = [STORED["models"][name]["runs"][0]["parameters"] for name in models]
        assert max(sizes) < 1.02 * min(sizes)


def test_a_student_starts_as_the_first_and_the_last_layer_of_its_teacher():
    teacher, student = family.teacher(), family.Student(len(family.tokenizer_and_rows()[0]), started=True)
    last = teacher.config.num_hidden_layers - 1
    for own, theirs in ((0, 0), (1, last)):
        pairs = zip(
            student.model.bert.encoder.layer[own].parameters(),
            teacher.bert.encoder.layer[theirs].parameters(),
            strict=True,
        )
        assert all(torch.equal(a, b) for a, b in pairs)
    table = student.model.bert.embeddings.word_embeddings.weight
    assert torch.equal(table, teacher.bert.embeddings.word_embeddings.weight) and table.requires_grad


def test_masks_come_back_in_turn():
    drawn, found = {}, []
    batch = family.Batch(ROW, torch.zeros_like(ROW), torch.zeros(1, dtype=torch.long))
    for i in range(7):
        masked_ids, _ = family.reuse(drawn, 3, batch, torch.full_like(ROW, i), ROW)
        found.append(int(masked_ids[0, 0]))
    assert found == [0, 1, 2, 0, 1, 2, 0]


def test_the_filler_is_no_part_of_the_detector():
    behind = [family.Detector(VOCAB, filler) for filler in (0, 16)]
    assert count_parameters(behind[0]) == count_parameters(behind[1])
    assert [len(detector.filler) for detector in behind] == [0, 1]


def test_a_softened_loss_keeps_the_size_of_its_gradient():
    torch.manual_seed(0)
    sizes = []
    for temperature in (1.0, 8.0, 16.0):
        student = torch.randn(5, 9, requires_grad=True)
        family.soft_loss(student, torch.randn(5, 9), temperature).backward()
        sizes.append(float(student.grad.norm()))
    assert 0.3 < sizes[1] / sizes[0] < 3 and 0.3 < sizes[2] / sizes[1] < 3


def test_the_stored_result_is_whole_and_has_the_sizes_of_these_models():
    assert STORED["command"] == family.COMMAND and STORED["steps"] == family.STEPS
    assert STORED["seeds"] == list(family.SEEDS)
    assert list(STORED["models"]) == list(family.MODELS)
    size = len(family.tokenizer_and_rows()[0])
    for name, stored in STORED["models"].items():
        tried = {float(rate): value for rate, value in stored["tried"].items()}
        assert tuple(tried) == family.rates_of(name)
        assert stored["learning_rate"] == min(tried, key=tried.get)
        assert len(stored["runs"]) == len(family.SEEDS)
        assert {run["parameters"] for run in stored["runs"]} == {count_parameters(family.MODELS[name](size))}


def test_the_stored_floors_are_those_of_the_held_out_rows():
    floors = family.held_out_rows().floors.mean("mask")
    assert all(np.isclose(STORED["floors"][rung], floor, atol=1e-3) for rung, floor in floors.items())


def test_no_reader_is_stored_below_its_floor():
    floors = STORED["floors"]
    for name in ("one LSTM", "causal transformer"):
        assert all(run["loss"] > floors["left"] for run in STORED["models"][name]["runs"])
    for stored in STORED["models"].values():
        assert all(run["loss"] > floors["bidirectional"] for run in stored["runs"] if "loss" in run)
