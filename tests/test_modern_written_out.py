"""What else notebook 16 has in its package: written out, drawn and timed, it is what the models compute."""

from dataclasses import replace

import pytest
import torch

from course_utils import masks
from course_utils.lessons.modern import fresh, pictures, timing, written_out
from course_utils.modern_bert import (
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertModel,
    matmul_flops,
    pack,
)

SMALL = ModernBertConfig(
    vocab_size=61, hidden_size=24, intermediate_size=20, num_hidden_layers=4, num_attention_heads=3,
    max_position_embeddings=40, pad_token_id=0, local_attention=4, initializer_range=0.2,
)  # fmt: skip
OLD = replace(SMALL, pre_norm=False, rotary=False, gated=False, biases=True, global_every=1)


def built(config):
    torch.manual_seed(0)
    model = ModernBertModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return model


@torch.no_grad()
def test_both_encoders_written_out_compute_what_the_modules_compute():
    ids, mask = torch.arange(1, 25).view(3, 8), masks.padding_mask([8, 5, 3], 8)
    old, new = built(OLD), built(SMALL)
    assert torch.allclose(
        written_out.bert_encoder(old, ids, mask[:, None, None].bool()), old(ids, mask), atol=1e-5
    )
    packed = pack(ids, mask)
    assert torch.allclose(written_out.modern_encoder(new, *packed), new.forward_packed(*packed), atol=1e-5)


def test_the_difference_has_all_lines_of_both(capsys):
    written_out.print_difference()
    lines = capsys.readouterr().out.splitlines()
    assert {line[0] for line in lines} == {"-", "+", " "} and max(map(len, lines)) <= 88
    for sign, name in (
        ("-", "position_embeddings"),
        ("+", "rotate"),
        ("+", "window"),
        ("+", "same_sequence"),
    ):
        assert any(line.startswith(sign) and name in line for line in lines)
        assert not any(line.startswith(" ") and name in line for line in lines)


def test_the_ratios_are_those_of_gradients_and_sizes():
    gradient, size = fresh.ratios(SMALL, 3, 0.2, seeds=(5,))
    config = replace(SMALL, num_hidden_layers=3, initializer_range=0.2)
    found = []
    rows, labels = fresh.rows_and_labels(61)
    assert 0.15 < (labels != -100).float().mean() < 0.45
    for pre_norm in (False, True):
        torch.manual_seed(5)
        model = ModernBertForMaskedLM(replace(config, pre_norm=pre_norm))
        model.loss(rows, None, labels).backward()
        found.append(model.model.layers[2].mlp.Wo.weight.grad.norm().item())
    assert gradient == pytest.approx(found[0] / found[1], rel=1e-5)
    assert size > 1


def test_three_ways_of_attention_and_what_the_counter_sees():
    states = timing.random_states(300)
    assert torch.allclose(timing.masked(states), timing.in_blocks(states), atol=1e-5)
    assert not torch.allclose(timing.masked(states), timing.dense(states), atol=1e-3)
    assert (
        timing.counted(timing.dense, states)
        == timing.counted(timing.masked, states)
        == 2 * 2 * 2 * 300**2 * 32
    )
    assert timing.counted(timing.in_blocks, states) == 2 * 2 * 2 * 320 * 192 * 32


def test_the_ways_of_batching_have_the_rows_that_they_say():
    lengths = [3, 9, 1, 1, 1, 1, 1, 1, 8, 2]
    ways = timing.ways(lengths)
    assert ways == {"as they come": [9] * 8 + [8] * 2, "sorted": [3] * 8 + [9] * 2, "unpadded": lengths}
    work = {way: matmul_flops(SMALL, rows) for way, rows in ways.items()}
    assert timing.predicted(SMALL, lengths)["sorted"] == work["sorted"] / work["as they come"]


def test_the_stored_times_are_of_this_code():
    stored = timing.load()
    assert stored["command"] == timing.COMMAND and stored["rounds"] == timing.ROUNDS
    assert list(stored["blocks"]) == [str(n) for n in timing.TOKENS]
    config = ModernBertConfig(**timing.SIZES)
    for kind, lengths in timing.kinds_of_lengths().items():
        assert len(lengths) == 64
        assert stored["padding"][kind]["predicted"] == pytest.approx(
            timing.predicted(config, lengths), abs=1e-4
        )


def test_the_command_measures_in_the_form_that_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "TOKENS", (16, 64))
    monkeypatch.setattr(timing, "kinds_of_lengths", lambda: {"two": [3, 5]})
    monkeypatch.setattr(
        timing, "medians", lambda runs, rounds: {name: run() or 1.0 for name, run in runs.items()}
    )
    monkeypatch.setattr(timing, "dense", lambda states: None)
    monkeypatch.setattr(timing, "masked", lambda states: None)
    monkeypatch.setattr(timing, "in_blocks", lambda states: None)
    assert timing.main(["--output", str(tmp_path / "mine.json")]) == 0
    found = timing.read(tmp_path / "mine.json")
    assert set(found) == set(timing.load()) and set(found["blocks"]) == {"16", "64"}
    assert set(found["padding"]["two"]) == {"milliseconds", "predicted"}


def test_medians_leave_out_the_first_round():
    calls = []
    found = timing.medians({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * 4 and set(found) == {"a", "b"} and min(found.values()) >= 0


def test_pictures_say_what_they_show():
    assert "two at 0.5" in pictures.turned_points(["one", "two"], {"half": 0.5}).alt
    assert "16 of 16 " not in (alt := pictures.products(8, 2).alt)
    assert "34 of 64 products are used; with a mask 64 are computed and with blocks of 2 40" in alt
    picture = pictures.gaps_by_length(["short", "long"], {"table": [[1.0, 3.0], [2.0, 5.0]]}, [4.0, 4.5])
    assert "table: 1.50 at short, 4.00 at long; word counts alone: 4.00 at short, 4.50 at long" in picture.alt
