"""The long search experiment: its parts, and that the stored result fits the code."""

import math

import pytest
import torch

from course_utils.lessons.sentence_vectors import experiment as search

STORED = search.load()


def test_the_stored_result_is_whole():
    assert STORED["command"] == search.COMMAND and STORED["pairs"] == search.PAIRS
    assert STORED["seeds"] == list(search.SEEDS) and list(STORED["setups"]) == list(search.SETUPS)
    for name, stored in STORED["setups"].items():
        setup = search.SETUPS[name]
        kept = (stored["temperature"], stored["batch_size"], stored["symmetric"], stored["marked"])
        assert kept == (setup.temperature, setup.batch_size, setup.symmetric, setup.marked)
        tried = {float(rate): loss for rate, loss in stored["tried"].items()}
        assert tuple(tried) == search.LEARNING_RATES
        assert stored["learning_rate"] == min(tried, key=tried.get)
        assert len(stored["runs"]) == len(search.SEEDS)
        assert stored["runs"][0]["loss"] == min(tried.values())
        assert search.PAIRS % setup.batch_size == 0


def test_no_search_is_better_than_the_best_possible_one():
    best, first = STORED["best possible"], STORED["together"]["best possible"]
    for stored in STORED["setups"].values():
        for run in stored["runs"]:
            assert run["loss"] > best["loss"]
            assert all(run[m] <= best[m] for m in search.MEASURES if m != "loss")
            for depth in run.get("reranked", {}).values():
                assert all(depth[m] <= first[m] for m in depth)
    for reader in (STORED["together"]["pretrained"], STORED["together"]["trained"]):
        assert reader["loss"] > first["loss"]
        assert all(reader[m] <= first[m] for m in search.MEASURES if m != "loss")


def test_the_rate_of_the_cross_encoder_is_the_better_one_by_other_queries():
    together = STORED["together"]
    tried = {float(rate): loss for rate, loss in together["tried"].items()}
    assert tuple(tried) == search.CROSS_RATES
    assert together["learning_rate"] == min(tried, key=tried.get)


def test_the_stored_best_is_that_of_the_language():
    now = search.measure(search.exact_pmi())
    assert now == pytest.approx(STORED["best possible"], abs=2e-4)


def test_reranking_moves_the_first_ones_alone():
    first = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]])
    second = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]])
    for depth in range(6):
        order = search.reranked(first, second, depth).argsort(dim=1, descending=True)[0].tolist()
        assert order == list(range(depth))[::-1] + list(range(depth, 5))


def test_agreement_sees_offsets_of_queries_and_not_more():
    pmi = search.exact_pmi()
    offset = torch.linspace(-1, 1, len(pmi), dtype=torch.float64)[:, None]
    shifted = torch.where(pmi.isfinite(), pmi + offset, 0.0)
    found = search.agreement(shifted)
    assert math.isclose(found["correlation"], 1, abs_tol=1e-6)
    assert math.isclose(found["of queries"], offset.std().item(), abs_tol=1e-6)


def test_guessing_costs_what_it_must():
    scores = torch.zeros(search.HELD_OUT_DOCUMENTS, search.HELD_OUT_DOCUMENTS)
    found = search.measure(scores)
    assert math.isclose(found["loss"], math.log(search.LOSS_BATCH), abs_tol=1e-5)
    assert math.isclose(found["recall at 100"], 0.1, abs_tol=1e-5)
