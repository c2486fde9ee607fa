"""What each change is worth: equal FLOPs, one change at a time, and the stored result fits the code."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_utils.lessons.embeddings.experiment import waves
from course_utils.lessons.modern import experiment as modern
from course_utils.modern_bert import ModernBertModel

STORED = modern.load()


@pytest.mark.parametrize("name", modern.CHANGES)
def test_all_do_the_same_products_by_the_counter_of_torch(name):
    """A local layer's products beyond the window are counted by torch, but not by the rule of the task."""
    config = modern.config_of(modern.CHANGES[name])
    everywhere = modern.config_of(modern.CHANGES["BERT"])
    counts = []
    for each in (config, everywhere):
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            ModernBertModel(each)(torch.ones(1, modern.ROW, dtype=torch.long))
        counts.append(counter.get_total_flops())
    outside = sum(abs(i - j) > 4 for i in range(modern.ROW) for j in range(modern.ROW))
    local = sum(not config.is_global(layer) for layer in range(config.num_hidden_layers))
    assert abs((counts[0] - 4 * 64 * outside * local) / counts[1] - 1) < 0.002


def test_each_differs_from_bert_in_one_setting_and_in_width():
    base = asdict(modern.config_of({}))
    for name, changes in modern.CHANGES.items():
        other = asdict(modern.config_of(changes))
        changed = {key for key in base if base[key] != other[key]} - {"intermediate_size"}
        assert changed == set(changes), name
        assert len(changed) == {"BERT": 0, "all together": 5}.get(name, 1)


@torch.no_grad()
def test_sine_positions_are_waves_of_one_learnt_size():
    model = modern.build("lengths", "sine", 0)
    positions = model.model.embeddings.position_embeddings
    assert [p.shape for p in positions.parameters()] == [torch.Size([])]
    assert torch.allclose(positions(torch.arange(9)), positions.size * waves(40, 64)[:9])
    assert float(positions(torch.arange(9)).square().mean().sqrt()) == pytest.approx(0.02, rel=0.05)


def test_rows_of_lengths_are_short_and_those_measured_are_not():
    assert max(batch.input_ids.shape[1] for batch in modern.rows_of("lengths", "rotary")) == modern.LONGEST
    assert len(modern.rows_of("lengths", modern.CONTROL)) == len(modern.rows_of("changes", "rotary"))
    lengths = {ids.shape[1] for _, ids, _ in modern.held_out_rows().batches}
    assert max(lengths) == max(high for _, high in modern.BINS.values())
    assert all(any(low <= n <= high for low, high in modern.BINS.values()) for n in lengths)


def test_the_gap_is_the_loss_less_the_floor():
    model = modern.build("changes", "BERT", 0)
    nats, floor, lengths = modern.losses_at_masks(model)
    expected = modern.held_out_rows().floors.mean("mask")["bidirectional"]
    assert len(nats) == len(lengths) and floor.mean() == pytest.approx(expected, abs=1e-6)
    assert modern.gap(model) == pytest.approx(np.log(945) - expected, abs=0.15)  # a fresh model knows nothing
    parts = modern.gaps_by_length(model)
    shares = [((lengths >= low) & (lengths <= high)).mean() for low, high in modern.BINS.values()]
    assert np.dot(list(parts.values()), shares) == pytest.approx(modern.gap(model), abs=1e-5)


def test_the_stored_result_has_the_settings_of_the_command():
    for name in ("command", "steps", "short_steps"):
        assert STORED[name] == getattr(modern, name.upper())
    assert STORED["seeds"] == list(modern.SEEDS) and STORED["tuning_seeds"] == list(modern.TUNING_SEEDS)
    assert not set(modern.SEEDS) & set(modern.TUNING_SEEDS)
    assert STORED["sizes"] == modern.sizes()
    assert list(STORED["changes"]) == list(modern.CHANGES) and tuple(STORED["lengths"]) == modern.POSITIONS
    assert all(np.isclose(STORED["floors"][k], v, atol=1e-3) for k, v in modern.floors().items())


def test_each_has_its_best_rate_and_all_its_seeds():
    for part, seeds, tuning in (("changes", modern.SEEDS, 2), ("lengths", modern.LENGTHS_SEEDS, 1)):
        for found in STORED[part].values():
            tried = {float(rate): gaps for rate, gaps in found["tried"].items()}
            assert set(tried) >= set(modern.LEARNING_RATES) and {len(g) for g in tried.values()} == {tuning}
            again = {float(rate): gaps for rate, gaps in found["tried_again"].items()}
            assert found["learning_rate"] == modern.tuned(again or tried)
            assert len(found["gaps"]) == len(seeds)
            assert ("gaps_at_short_rate" in found) == (found["learning_rate"] != modern.tuned(tried))
    higher = {name for name, found in STORED["changes"].items() if found["tried_again"]} - {"BERT"}
    assert higher == {"GeGLU"}


def test_a_higher_rate_than_that_of_bert_is_tried_again_at_the_full_length(monkeypatch):
    monkeypatch.setattr(modern, "train_all", lambda run_one, jobs, options: dict.fromkeys(jobs, 1.0))
    tried = {"BERT": {1.0: [1, 1], 2.0: [2, 2]}, "same": {1.0: [1, 1]}, "higher": {1.0: [2, 2], 2.0: [1, 1]}}
    assert {name: set(found) for name, found in modern.tune_again(tried, None).items()} == {
        "higher": {1.0, 2.0},
        "BERT": {1.0, 2.0},
    }
    assert modern.tune_again({"BERT": {1.0: [1]}, "lower": {0.5: [1]}}, None) == {}


def test_near_hides_what_no_short_row_holds():
    model = modern.build("lengths", "rotary", 0)
    seen, hidden = (modern.gaps_by_length(model, near=near) for near in (False, True))
    assert seen["up to 14"] == pytest.approx(hidden["up to 14"], abs=1e-5)
    assert seen["18 to 23"] != hidden["18 to 23"]


def test_word_counts_alone_fit_the_floors():
    _, _, lengths = modern.losses_at_masks(modern.build("changes", "BERT", 0))
    shares = [((lengths >= low) & (lengths <= high)).mean() for low, high in modern.BINS.values()]
    found = list(modern.word_counts_by_length().values())
    floors = STORED["floors"]
    assert np.dot(found, shares) == pytest.approx(floors["unigram"] - floors["bidirectional"], abs=1e-3)
    assert np.allclose(found, list(STORED["word_counts_by_length"].values()), atol=1e-3)


def test_a_best_rate_at_the_edge_widens_the_search(monkeypatch):
    def trained(run_one, jobs, options):
        return {
            job: abs(np.log(job[2] / {"low": 1e-3, "middle": 4e-3, "high": 16e-3}[job[1]])) for job in jobs
        }

    monkeypatch.setattr(modern, "train_all", trained)
    tried = modern.tune("changes", ("low", "middle", "high"), (1,), None)
    assert {name: sorted(found) for name, found in tried.items()} == {
        "low": [1e-3, 2e-3, 4e-3, 8e-3],
        "middle": [2e-3, 4e-3, 8e-3],
        "high": [2e-3, 4e-3, 8e-3, 16e-3],
    }


def test_nothing_is_stored_below_the_floor():
    gaps = [gap for found in STORED["changes"].values() for gap in found["gaps"]]
    runs = [*STORED["lengths_tested"].values(), *(found["gaps"] for found in STORED["lengths"].values())]
    gaps += [gap for each in runs for run in each for gap in run.values()]
    assert min(gaps) > 0
