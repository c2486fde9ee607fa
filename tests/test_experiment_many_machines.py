"""The formulas of notebook 18 against counts and a ring played through, and the stored times of its steps."""

import json

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from course_utils.bert import BertConfig, BertForPreTraining, count_parameters
from course_utils.lessons.many_machines import estimate, experiment, panel, worker

TINY = BertConfig(
    vocab_size=70, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20
)


@pytest.mark.parametrize(("rows", "seq_len"), [(1, 1), (3, 7), (5, 16)])
def test_flops_of_a_step_are_those_that_pytorch_counts(rows, seq_len):
    model = BertForPreTraining(TINY)
    with FlopCounterMode(display=False) as counter:
        output = model(torch.randint(70, (rows, seq_len)), output_attentions=True)
        (output.prediction_logits.sum() + output.seq_relationship_logits.sum()).backward()
    assert estimate.step_flops(TINY, rows, seq_len, rows * seq_len) == counter.get_total_flops()
    head = 6 * (12**2 + 12 * 70)
    assert estimate.step_flops(TINY, rows, seq_len, 0) == counter.get_total_flops() - rows * seq_len * head


def play_ring(numbers: np.ndarray) -> int:
    """Add up the rows of (processes, numbers) piece by piece in a ring, in place; numbers that each sends."""
    processes = len(numbers)
    pieces = np.array_split(np.arange(numbers.shape[1]), processes)
    sent = 0
    for turn in range(2 * (processes - 1)):
        before = numbers.copy()
        for p in range(processes):
            piece = pieces[
                (p - turn) % processes if turn < processes - 1 else (p + 1 - turn + processes - 1) % processes
            ]
            to = (p + 1) % processes
            numbers[to, piece] = before[p, piece] + (before[to, piece] if turn < processes - 1 else 0)
            sent += len(piece) if p == 0 else 0
    return sent


@pytest.mark.parametrize("processes", [2, 3, 4, 8])
def test_a_ring_sends_as_many_bytes_as_the_formula_says(processes):
    numbers = np.random.default_rng(0).normal(size=(processes, 24))
    total = numbers.sum(axis=0)
    sent = play_ring(numbers)
    assert np.allclose(numbers, total)
    assert estimate.ring_bytes(processes, 24 * 4) == sent * 4
    assert estimate.ring_bytes(1, 1e9) == 0


def test_hosts_send_only_their_own_share_over_the_network():
    inside = estimate.all_reduce_seconds(8, 800.0, link=100.0, network=1e-9)
    assert inside == pytest.approx(2 * 7 * 100 / 100)  # one host needs no network
    two_hosts = estimate.all_reduce_seconds(16, 800.0, link=100.0, network=10.0)
    assert two_hosts == pytest.approx(inside + 2 * 1 * 50 / 10)  # each card passes an eighth on, in halves
    assert estimate.all_reduce_seconds(1, 800.0, link=100.0) == 0


def test_arithmetic_is_shared_and_the_message_is_not():
    gpu = estimate.GPUS["A100, 80 GB (2020)"]
    one, eight = (estimate.step_seconds(TINY, 64, 16, 10_000, gpu, n) for n in (1, 8))
    assert one["arithmetic"] == pytest.approx(8 * eight["arithmetic"]) and one["all-reduce"] == 0
    flops = estimate.step_flops(TINY, 64, 16, 154)  # 15 % of 1,024
    assert one["arithmetic"] == pytest.approx(flops / (0.4 * 312e12))


def test_memory_of_the_panel_grows_by_the_row():
    fixed, a_row = panel.memory("BERT-base")
    parameters = count_parameters(BertForPreTraining(TINY))
    assert parameters == sum(p.numel() for p in BertForPreTraining(TINY).parameters())
    found = panel.profile(BertConfig.named("base"), 5, panel.SEQ_LEN, training=True).memory
    assert sum(found.values()) == pytest.approx(fixed + 5 * a_row, rel=1e-3)


def test_the_stored_times_are_whole_and_fit_the_code():
    stored = experiment.load()
    assert (
        list(stored) == ["command", "machine", "peak", "one", "two"]
        and stored["command"] == experiment.COMMAND
    )
    for name in ("one", "two"):
        assert list(stored[name]["step"]) == [str(tokens) for tokens in worker.TOKENS]
        assert min(stored[name]["step"].values()) > 0
    gradient = sum(p.numel() for p in worker.trainer_for(256).model.parameters())
    assert stored["one"]["bytes"] == stored["two"]["bytes"] == 4 * gradient


def test_a_prediction_halves_what_grows_with_the_batch():
    times = {"256": 2.0 + 256, "1024": 2.0 + 1024, "4096": 2.0 + 4096}
    predicted = experiment.predict({"one": {"step": times}, "two": {"all-reduce": 0.5}})
    for tokens, parts in predicted.items():
        assert parts["together"] == pytest.approx(2.0 + int(tokens) / 2 + 0.5, rel=1e-6)


def test_one_process_measures_what_two_would(capsys):
    found = worker.measure(times=1)
    assert found["all-reduce"] == 0 and len(found["step"]) == len(worker.TOKENS)


def test_two_processes_print_what_their_first_one_prints():
    printed = experiment.in_processes(2, experiment.WORKER, "--times", "1")
    assert json.loads(printed)["bytes"] == experiment.load()["two"]["bytes"]


def test_what_a_process_complains_of_is_told():
    with pytest.raises(RuntimeError, match=r"(?s)^course_utils.nowhere, processes=1: .*No module named"):
        experiment.in_processes(1, "course_utils.nowhere")
