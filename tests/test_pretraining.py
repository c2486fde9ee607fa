"""Pretraining: the same run however it is cut, what Ctrl-C and a kill leave behind, and the command line."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.nn import functional as F

from course_utils import checkpoints, nsp, pretraining
from course_utils.commands import pretraining as command
from course_utils.mlm import mask_tokens
from course_utils.pretraining import Batch, BatchOrder, Pretrainer, Settings, learning_rate_at, run
from course_utils.toy.language import VOCAB_FILE, Floors, ToyLanguage
from course_utils.wordpiece import WordPieceTokenizer

TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)
TINY = Settings(
    documents=40,
    steps=6,
    tokens_per_step=256,
    warmup_steps=2,
    single_share=0.3,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=32,
    log_every=2,
)
TINY_OPTIONS = [
    part
    for name, value in asdict(TINY).items()
    if value != getattr(Settings(), name)
    for part in ("--" + name.replace("_", "-"), str(value))
]


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data():
    return pretraining.training_rows(TINY, TOKENIZER)


@pytest.fixture(scope="module")
def held_out():
    return pretraining.held_out(TOKENIZER, documents=20)


def trainer_of(data, **changes) -> Pretrainer:
    return Pretrainer(replace(TINY, **changes), TOKENIZER, data)


def assert_same_run(first: Pretrainer, second: Pretrainer) -> None:
    """Weights, optimiser and log, bit for bit."""
    assert first.next_step == second.next_step
    assert json.dumps(first.log) == json.dumps(second.log)
    for p, q in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(p, q)
        state, other = first.optimizer.state[p], second.optimizer.state[q]
        assert state.keys() == other.keys()
        assert all(torch.equal(state[key], other[key]) for key in state)


@pytest.fixture(scope="module")
def uninterrupted(data):
    trainer = trainer_of(data)
    assert run(trainer, progress=False)
    return trainer


# ------------------------------------------------------------------ data


def test_batches_hold_rows_of_one_length_and_no_padding(data):
    pairs = singles = 0
    for batch in data:
        ends = (batch.input_ids == TOKENIZER.sep_token_id).sum(dim=1)
        assert not (batch.input_ids == TOKENIZER.pad_token_id).any()
        assert (batch.input_ids[:, 0] == TOKENIZER.cls_token_id).all()
        assert batch.token_type_ids.shape == batch.input_ids.shape
        if (batch.next_sentence_label == -100).any():
            assert (batch.next_sentence_label == -100).all()
            assert (ends == 1).all() and not batch.token_type_ids.any()
            singles += len(batch)
        else:
            assert (ends == 2).all()
            first = (batch.input_ids == TOKENIZER.sep_token_id).int().argmax(dim=1)
            assert torch.equal((batch.token_type_ids == 0).sum(dim=1), first + 1)
            pairs += len(batch)
    share, n = singles / (pairs + singles), pairs + singles
    assert abs(share - 0.3) < 4 * math.sqrt(0.3 * 0.7 / n)


def test_rows_are_sentences_of_the_language(data):
    for batch in data:
        ToyLanguage().check_possible(batch.input_ids.numpy())


def test_every_sentence_and_its_follower_make_a_row(data):
    documents = ToyLanguage(seed=TINY.seed).documents(TINY.documents)
    assert sum(map(len, data)) == sum(len(document.sentences) - 1 for document in documents)


def test_every_row_is_used_once_an_epoch(data):
    marked, count = [], 0
    for batch in data:
        ids = torch.arange(count, count + len(batch))[:, None].expand(batch.input_ids.shape)
        marked.append(Batch(ids, batch.token_type_ids, batch.next_sentence_label))
        count += len(batch)
    order = BatchOrder(marked, tokens_per_step=256, seed=4)
    epochs = [[order[epoch * order.per_epoch + i] for i in range(order.per_epoch)] for epoch in range(2)]
    seen = [[row for batch in epoch for row in batch.input_ids[:, 0].tolist()] for epoch in epochs]
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(count))
    assert seen[0] != seen[1]
    assert (
        order[3].input_ids[:, 0].tolist() == epochs[0][3].input_ids[:, 0].tolist()
    )  # going back changes nothing
    assert max(batch.input_ids.numel() for batch in epochs[0]) <= 256


def test_words_of_several_pieces_keep_their_order():
    small = WordPieceTokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz!?"]
        + ["##" + letter for letter in "abcdefghijklmnopqrstuvwxyz"]
    )
    documents = ToyLanguage(seed=1).documents(3)
    for document, ids in zip(documents, pretraining.tokenize_documents(documents, small), strict=True):
        expected = [small.encode(s.text, add_special_tokens=False).input_ids for s in document.sentences]
        assert ids == expected


# ------------------------------------------------------------------ one step


def test_learning_rate_rises_then_falls_to_zero(data):
    settings = Settings(steps=100, warmup_steps=20, learning_rate=0.5)
    rates = [learning_rate_at(step, settings) for step in range(101)]
    assert rates[:20] == pytest.approx([0.5 * (step + 1) / 20 for step in range(20)])
    assert rates[20:] == pytest.approx([0.5 * (100 - step) / 80 for step in range(20, 101)])
    assert max(rates) == 0.5 and rates[100] == 0 and min(rates[:100]) > 0
    trainer = trainer_of(data)
    for step in range(3):
        trainer.step()
        assert {group["lr"] for group in trainer.optimizer.param_groups} == {learning_rate_at(step, TINY)}


@pytest.mark.parametrize("attention", ["bidirectional", "causal"])
def test_the_losses_of_a_step_are_those_of_the_model(data, attention):
    """The first step again by hand: its rows, masks drawn from (seed, step), every position scored."""
    trainer = trainer_of(data, attention=attention, seed=5)
    step = next(i for i in range(100) if trainer.order[i].next_sentence_label[0] != -100)
    trainer.next_step = step
    batch = trainer.order[step]
    generator = torch.Generator().manual_seed((5 << 32) + step)
    masked_ids, labels = mask_tokens(batch.input_ids, TOKENIZER, TINY.rate, generator)
    rows, seq_len = masked_ids.shape
    may_look = torch.ones(rows, seq_len, seq_len, dtype=torch.bool)
    may_look = may_look.tril() if attention == "causal" else may_look
    with torch.no_grad():
        output = trainer.model(masked_ids, may_look, batch.token_type_ids)
    selected = labels != -100
    expected = {
        "mlm_loss": float(F.cross_entropy(output.prediction_logits[selected], labels[selected])),
        "nsp_loss": float(F.cross_entropy(output.seq_relationship_logits, batch.next_sentence_label)),
    }
    assert trainer.step() == pytest.approx(expected, abs=1e-5)


def test_a_causal_model_never_looks_right(data):
    trainer = trainer_of(data, attention="causal")
    batch = data[-1].take(slice(0, 4))
    changed, place = batch.input_ids.clone(), 5
    changed[:, place] = TOKENIZER.vocab["bank"]
    mask = pretraining.attention_mask_for("causal", batch.input_ids)
    with torch.no_grad():
        states, others = (
            trainer.model.bert(ids, mask, batch.token_type_ids).last_hidden_state
            for ids in (batch.input_ids, changed)
        )
    assert torch.equal(states[:, :place], others[:, :place])
    assert not torch.equal(states[:, place:], others[:, place:])
    assert pretraining.attention_mask_for("bidirectional", batch.input_ids) is None


def test_a_short_run_learns(data):
    trainer = trainer_of(data, steps=60, hidden_size=32, learning_rate=5e-3, log_every=10)
    run(trainer, progress=False)
    assert trainer.log[-1]["mlm_loss"] < trainer.log[0]["mlm_loss"] - 1
    assert [entry["step"] for entry in trainer.log] == [10, 20, 30, 40, 50, 60]


def test_the_global_random_state_is_left_alone(data):
    state = torch.get_rng_state()
    trainer_of(data, dropout=0.1).step()
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------------ stopped and resumed


def test_a_killed_run_resumes_bit_for_bit(data, uninterrupted, tmp_path):
    def kill(entry):
        if entry["step"] == 4:
            raise Killed

    with pytest.raises(Killed):
        run(trainer_of(data), kill, tmp_path / "state", progress=False)
    resumed = trainer_of(data)
    resumed.load_state(tmp_path / "state")
    assert resumed.next_step == 2  # the state of the last entry that was written
    assert run(resumed, save_to=tmp_path / "state", progress=False)
    assert_same_run(resumed, uninterrupted)


@pytest.mark.parametrize("stop", [1, 3, 6])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_state_saved_at_any_step_resumes_bit_for_bit(data, tmp_path, stop, dropout):
    whole, first, second = (trainer_of(data, dropout=dropout) for _ in range(3))
    run(whole, progress=False)

    def stop_here(loss=first.step):
        losses = loss()
        if first.next_step == stop:
            signal.raise_signal(signal.SIGINT)
        return losses

    first.step = stop_here
    assert not run(first, save_to=tmp_path / "state", progress=False)
    second.load_state(tmp_path / "state")
    assert second.next_step == stop
    assert run(second, progress=False)
    assert_same_run(second, whole)


def test_ctrl_c_finishes_the_step_and_saves(data, uninterrupted, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    trainer = trainer_of(data)
    assert not run(
        trainer, lambda entry: signal.raise_signal(signal.SIGINT), tmp_path / "state", progress=False
    )
    assert signal.getsignal(signal.SIGINT) is before
    assert trainer.next_step == 2 and len(trainer.log) == 1
    resumed = trainer_of(data)
    resumed.load_state(tmp_path / "state")
    assert run(resumed, progress=False)
    assert_same_run(resumed, uninterrupted)


def test_a_second_ctrl_c_interrupts_at_once(data):
    def press_twice(entry):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(trainer_of(data), press_twice, progress=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_works_outside_the_main_thread(data, uninterrupted):
    trainer = trainer_of(data)
    thread = threading.Thread(target=run, args=(trainer,), kwargs={"progress": False})
    thread.start()
    thread.join()
    assert_same_run(trainer, uninterrupted)


def test_a_state_of_other_settings_is_refused(data, tmp_path):
    trainer_of(data).save_state(tmp_path / "state")
    with pytest.raises(
        ValueError, match="settings: expected those of .*state, got another learning_rate, clip"
    ):
        trainer_of(data, learning_rate=0.1, clip=2.0).load_state(tmp_path / "state")


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_state(data, tmp_path, monkeypatch, broken):
    trainer, path = trainer_of(data), tmp_path / "state"
    trainer.save_state(path)
    old = path.read_bytes()
    trainer.step()

    def fail(*args):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        with pytest.raises(OSError, match="no space"):
            trainer.save_state(path)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["state"]
    trainer.save_state(path)
    assert path.read_bytes() != old
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_a_run_that_diverges_names_its_step_and_keeps_the_last_state(data, tmp_path):
    """The log holds what was finite, and the file the weights of the last entry."""
    trainer, path = trainer_of(data, log_every=1), tmp_path / "state"
    losses = trainer.model.losses

    def spoilt(*args, **kwargs):
        found = losses(*args, **kwargs)
        return found if trainer.next_step < 3 else found._replace(mlm_loss=found.mlm_loss * math.nan)

    trainer.model.losses = spoilt
    with pytest.raises(FloatingPointError, match="^step 4 of 6: loss: expected finite numbers, got .*nan"):
        run(trainer, save_to=path, progress=False)
    assert [entry["step"] for entry in trainer.log] == [1, 2, 3]
    assert all(math.isfinite(entry["mlm_loss"]) for entry in trainer.log)
    saved = trainer_of(data, log_every=1)
    saved.load_state(path)
    assert_same_run(saved, trainer)


# ------------------------------------------------------------------ several processes

PARALLEL = replace(TINY, steps=20, log_every=20, learning_rate=5e-3)


def meet(rank: int, world: int, meeting_place: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting_place, rank=rank, world_size=world)


def part(rank: int, world: int, together) -> None:
    """gloo aborts a process that takes its connections down while the other one closes them: so one after the
    other, and nobody leaves before all are done.
    """
    for turn in range(world):
        together.wait()
        if turn == rank:
            dist.destroy_process_group()
    together.wait()


def in_two_processes(work, tmp_path: Path) -> list:
    """What `work(rank, world, meeting_place, result, together)` writes to the file `result + rank`."""
    meeting_place, result = (tmp_path / "meeting").as_uri(), str(tmp_path / "result")
    together = torch.multiprocessing.get_context("spawn").Barrier(2, timeout=300)
    torch.multiprocessing.spawn(work, (2, meeting_place, result, together), nprocs=2)
    return [json.loads(Path(f"{result}{rank}").read_text(encoding="utf-8")) for rank in range(2)]


def losses_of_a_process(rank: int, world: int, meeting_place: str, result: str, together) -> None:
    meet(rank, world, meeting_place)
    trainer = Pretrainer(PARALLEL, TOKENIZER)
    losses = [trainer.step() for _ in range(PARALLEL.steps)]
    Path(f"{result}{rank}").write_text(json.dumps(losses), encoding="utf-8")
    part(rank, world, together)


def test_two_processes_give_the_curve_of_one(tmp_path):
    first, second = in_two_processes(losses_of_a_process, tmp_path)
    trainer = Pretrainer(PARALLEL, TOKENIZER)
    alone = [trainer.step() for _ in range(PARALLEL.steps)]
    assert any(math.isnan(losses["nsp_loss"]) for losses in alone)  # single segments are among the steps
    for key in pretraining.LOSSES:
        curve = [losses[key] for losses in alone]
        for other in (first, second):
            np.testing.assert_allclose([losses[key] for losses in other], curve, rtol=0, atol=1e-4)


def interrupted_process(rank: int, world: int, meeting_place: str, result: str, together) -> None:
    """Ctrl-C reaches one process, the one that saves nothing, and not the other."""
    meet(rank, world, meeting_place)
    trainer = Pretrainer(PARALLEL, TOKENIZER)
    step = trainer.step

    def pressed_in_step_five():
        if rank == 1 and trainer.next_step == 4:
            signal.raise_signal(signal.SIGINT)
        return step()

    trainer.step = pressed_in_step_five
    finished = run(trainer, save_to=None if rank else Path(f"{result}-state"), progress=False)
    Path(f"{result}{rank}").write_text(json.dumps([finished, trainer.next_step]), encoding="utf-8")
    part(rank, world, together)


def test_two_processes_stop_after_the_same_step_and_save_it(tmp_path):
    assert in_two_processes(interrupted_process, tmp_path) == [[False, 5], [False, 5]]
    trainer = Pretrainer(PARALLEL, TOKENIZER)
    trainer.load_state(tmp_path / "result-state")
    assert trainer.next_step == 5


# ------------------------------------------------------------------ evaluation


def test_evaluation_ignores_dropout_and_keeps_the_mode(data, held_out):
    trainer = trainer_of(data, dropout=0.4)
    results = []
    for training in (True, True, False):
        trainer.model.train(training)
        results.append(pretraining.evaluate(trainer.model, held_out))
        assert trainer.model.training == training
    for other in results[1:]:
        assert np.array_equal(results[0].nats, other.nats)
        assert results[0].next_sentence_loss == other.next_sentence_loss


@pytest.mark.parametrize("attention", ["bidirectional", "causal"])
def test_evaluation_goes_position_by_position_with_the_floors(data, held_out, attention):
    model = trainer_of(data).model.eval()
    nats, next_nats = [], []
    for batch, masked_ids, labels in held_out.batches:
        for row, types, label, truth in zip(
            masked_ids, batch.token_type_ids, batch.next_sentence_label, labels, strict=True
        ):
            mask = torch.ones(1, len(row), len(row)).bool().tril() if attention == "causal" else None
            with torch.no_grad():
                output = model(row[None], mask, types[None])
            log_p = output.prediction_logits[0].log_softmax(dim=1)
            nats += [-float(log_p[i, t]) for i, t in enumerate(truth.tolist()) if t != -100]
            next_nats.append(-float(output.seq_relationship_logits[0].log_softmax(dim=0)[label]))
    result = pretraining.evaluate(model, held_out, attention)
    assert len(nats) == len(held_out.floors.kind)
    np.testing.assert_allclose(result.nats, nats, atol=1e-4)
    assert result.next_sentence_loss == pytest.approx(np.mean(next_nats), abs=1e-5)
    assert result.next_sentence_accuracy == pytest.approx(
        np.mean(np.array(next_nats) < math.log(2)), abs=1e-6
    )


def test_held_out_rows_are_fixed_and_new(data, held_out):
    again = pretraining.held_out(TOKENIZER, documents=20)
    assert np.array_equal(again.floors.bidirectional, held_out.floors.bidirectional)
    trained_on = {tuple(row) for batch in data for row in batch.input_ids.tolist()}
    rows = [tuple(row) for batch, _, _ in held_out.batches for row in batch.input_ids.tolist()]
    assert sum(row in trained_on for row in rows) < 0.05 * len(rows)  # short sentences come again by chance
    assert len(held_out.next_sentence_label) == len(held_out.next_sentence) == len(rows)


def test_compare_equals_direct_arithmetic():
    rng = np.random.default_rng(0)
    kind = np.array(["mask"] * 40 + ["kept"] * 5 + ["random"] * 5)
    unigram, bigram, left, bidirectional, nats = rng.gamma(2.0, size=(5, 50))
    floors = Floors(unigram, bigram, left, bidirectional, kind, position=np.zeros((50, 2), dtype=int))
    ids = torch.zeros(4, 3, dtype=torch.long)
    batch = Batch(ids, ids, torch.tensor([nsp.IS_NEXT, nsp.NOT_NEXT, nsp.NOT_NEXT, nsp.IS_NEXT]))
    data = pretraining.HeldOut([(batch, ids, ids)], floors, next_sentence=np.array([0.9, 0.1, 0.8, 0.6]))
    summary = pretraining.compare(pretraining.Evaluation(nats, 0.5, 0.625), data)
    gap, left_gap = nats[:40] - bidirectional[:40], nats[:40] - left[:40]
    assert summary == pytest.approx(
        {
            "model": np.mean(nats[:40]),
            "unigram": np.mean(unigram[:40]),
            "bigram": np.mean(bigram[:40]),
            "left": np.mean(left[:40]),
            "bidirectional": np.mean(bidirectional[:40]),
            "gap": np.mean(gap),
            "gap_standard_error": np.sqrt(np.sum((gap - gap.mean()) ** 2) / 39 / 40),
            "left_gap": np.mean(left_gap),
            "left_gap_standard_error": np.sqrt(np.sum((left_gap - left_gap.mean()) ** 2) / 39 / 40),
            "next_sentence_accuracy": 0.625,
            "best_next_sentence_accuracy": 0.75,
        }
    )


def test_no_model_is_below_the_floor(data, held_out):
    """A model that knows nothing is far above every rung; the rungs themselves are in order."""
    summary = pretraining.compare(pretraining.evaluate(trainer_of(data).model, held_out), held_out)
    assert summary["model"] == pytest.approx(math.log(len(TOKENIZER)), abs=0.5)
    assert summary["gap"] > 10 * summary["gap_standard_error"]


# ------------------------------------------------------------------ settings and the command line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("documents", 0),
        ("steps", 0),
        ("tokens_per_step", 0),
        ("log_every", 0),
        ("rate", 1.0),
        ("rate", -0.1),
        ("single_share", 1.5),
        ("dropout", 1.0),
        ("warmup_steps", 7),
        ("attention", "sideways"),
    ],
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}: expected .* got '?{value}"):
        replace(TINY, **{name: value})


def fail(capsys, *argv: str) -> str:
    """The one line that a wrong command answers with."""
    with pytest.raises(SystemExit) as stop:
        command.main(list(argv))
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err


def test_wrong_commands_answer_with_one_line(capsys, tmp_path):
    output = ["--output", str(tmp_path)]
    assert "--output is needed" in fail(capsys)
    assert "--sideways" in fail(capsys, *output, "--sideways")
    assert "invalid int value: 'many'" in fail(capsys, *output, "--steps", "many")
    assert "rate: expected 0 <= rate < 1, got 2.0" in fail(capsys, *output, "--rate", "2")
    assert "attention: expected one of bidirectional, causal, got 'sideways'" in fail(
        capsys, *output, "--attention", "sideways"
    )
    assert "hidden_size: expected a multiple of num_attention_heads=4, got 10" in fail(
        capsys, *output, "--hidden-size", "10"
    )
    assert "nowhere.txt" in fail(capsys, *output, "--vocab", "nowhere.txt")
    assert "start without --resume" in fail(capsys, *output, "--resume")
    (tmp_path / pretraining.STATE_FILE).write_bytes(b"half a state")
    assert "no whole safetensors file" in fail(capsys, *output, *TINY_OPTIONS, "--resume")
    assert [path.name for path in tmp_path.iterdir()] == [pretraining.STATE_FILE]


def test_help_names_every_setting():
    call = [sys.executable, "-m", "course_utils.pretraining", "--help"]
    answer = subprocess.run(call, capture_output=True, text=True, check=True)
    assert all("--" + name.replace("_", "-") in answer.stdout for name in asdict(TINY))
    assert answer.stderr == ""


def test_a_whole_run_writes_a_checkpoint(capsys, tmp_path, held_out, monkeypatch):
    monkeypatch.setattr(command, "held_out", lambda tokenizer: held_out)
    argv = ["--output", str(tmp_path / "mine"), *TINY_OPTIONS]
    assert command.main(argv) == 0
    assert "bidirectional floor" in capsys.readouterr().out
    model, tokenizer = checkpoints.load(tmp_path / "mine")
    assert tokenizer.id_to_token == TOKENIZER.id_to_token
    assert not (tmp_path / "mine" / pretraining.STATE_FILE).exists()
    record = json.loads((tmp_path / "mine" / pretraining.LOG_FILE).read_text(encoding="utf-8"))
    assert record["settings"] == asdict(TINY)
    assert [entry["step"] for entry in record["log"]] == [2, 4, 6]
    result = pretraining.compare(pretraining.evaluate(model, held_out), held_out)
    assert result == pytest.approx(record["result"], abs=1e-5)
    card = (tmp_path / "mine" / checkpoints.CARD_FILE).read_text(encoding="utf-8")
    assert "python -m course_utils.pretraining " + " ".join(argv) in card
    assert f"**{result['model']:.3f}**" in card


def test_a_stopped_command_resumes_to_the_same_checkpoint(capsys, tmp_path, held_out, monkeypatch):
    monkeypatch.setattr(command, "held_out", lambda tokenizer: held_out)
    evaluate, presses = pretraining.evaluate, iter([True])

    def evaluate_and_press(*args):
        if next(presses, False):
            signal.raise_signal(signal.SIGINT)
        return evaluate(*args)

    monkeypatch.setattr(command, "evaluate", evaluate_and_press)
    stopped, whole = (["--output", str(tmp_path / name), *TINY_OPTIONS] for name in ("stopped", "whole"))
    assert command.main(stopped) == 130
    assert "stopped after step 2; the same command with --resume" in capsys.readouterr().out
    assert command.main([*stopped, "--resume"]) == 0
    assert command.main(whole) == 0
    weights = [(tmp_path / name / checkpoints.WEIGHTS_FILE).read_bytes() for name in ("stopped", "whole")]
    assert weights[0] == weights[1]


def test_the_vocabulary_command_writes_the_committed_one(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "train_embedded_vocab", lambda: TOKENIZER.id_to_token)
    assert command.main(["--write-vocab", str(tmp_path / "vocab.txt")]) == 0
    assert (tmp_path / "vocab.txt").read_bytes() == VOCAB_FILE.read_bytes()


def test_masks_change_from_epoch_to_epoch():
    """Dynamic masking: the same rows, other masks."""
    pairs = nsp.make_pairs(
        pretraining.tokenize_documents(ToyLanguage(seed=0).documents(2), TOKENIZER),
        generator=torch.Generator().manual_seed(0),
    )
    trainer = trainer_of(pretraining.rows_by_length(pairs, TOKENIZER), learning_rate=0.0, steps=10**6)
    per_epoch = trainer.order.per_epoch
    losses = [Counter(round(trainer.step()["mlm_loss"], 6) for _ in range(per_epoch)) for _ in range(2)]
    assert losses[0] != losses[1]
