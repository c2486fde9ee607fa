"""The benchmarks: the protocol against closed forms, the equal results that come first, and the page of
results.

Nothing here asserts a time.
"""

import json
import math
import mmap
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as bench
from benchmarks import (
    finetuning,
    history,
    masking,
    protocol,
    report,
    training_step,
    waiting,
    wall_time,
    word2vec,
)
from course_utils import pretraining
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.mlm import IGNORE_INDEX
from course_utils.toy.language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer
from tools import setting_up

TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)


class Clock:
    """A clock that only calls move on: makes timings exact."""

    def __init__(self):
        self.now, self.calls = 0.0, ""

    def side(self, name: str, cost: float):
        def call():
            self.now += cost
            self.calls += name

        return call


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(protocol.time, "perf_counter", lambda: clock.now)
    return clock


# --- Timing


def test_blocks_are_abba_and_long_enough(clock):
    times = protocol.abba(clock.side("A", 0.25), clock.side("B", 0.5), blocks=3, warm_up=1, shortest=1.0)
    assert clock.calls.endswith(3 * "AABBBBAA")  # two calls a turn: A spends a second in each block
    assert times.tolist() == 3 * [[0.25, 0.5]]


def test_a_slow_drift_cancels_in_a_block(clock):
    """Everything slows down by a tenth from turn to turn, yet both sides are equal, and measured so."""
    cost = [1.0]

    def call():
        clock.now += cost[0]
        cost[0] += 0.1

    times = protocol.abba(call, call, blocks=4, warm_up=0, shortest=1.0)
    assert times[:, 0] == pytest.approx(times[:, 1])


def test_repeat_gives_seconds_a_call(clock):
    assert protocol.repeat(clock.side("A", 0.0625), blocks=2) == pytest.approx([0.0625, 0.0625])
    assert clock.calls == "A" * (protocol.WARM_UP + 1 + 2 + 4 + 8 + 2 * 8)


# --- Results


@given(value=st.floats(-1e6, 1e6), n=st.integers(1, 40))
def test_interval_of_a_constant_is_the_constant(value, n):
    assert protocol.median_interval(np.full(n, value)) == {"median": value, "low": value, "high": value}


def test_interval_of_one_sample_is_that_of_the_binomial():
    """The bootstrap median of 0 and 1 (n odd) is 1 as often as more than half of n fair draws are."""
    interval = protocol.median_interval(np.repeat([0.0, 1.0], [40, 61]))
    assert interval["median"] == 1.0  # P(median = 0) = P(Binomial(101, 40/101) > 50) = 0.014
    assert (interval["low"], interval["high"]) == (1.0, 1.0)
    wider = protocol.median_interval(np.repeat([0.0, 1.0], [45, 56]))  # here 0.14
    assert (wider["low"], wider["high"]) == (0.0, 1.0)


def test_interval_covers_the_true_median_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        interval = protocol.median_interval(rng.lognormal(size=20), draws=500)
        inside += interval["low"] <= 1.0 <= interval["high"]
    assert 180 <= inside <= 199


@pytest.mark.parametrize(
    ("low", "high", "at_most", "met"),
    [(3.0, 4.0, False, True), (2.9, 4.0, False, False), (2.0, 3.0, True, True), (2.0, 3.1, True, False)],
)
def test_the_less_favourable_end_decides(low, high, at_most, met):
    row = protocol.row("what", 3.0, {"median": 3.0, "low": low, "high": high}, "x", at_most)
    assert row["met"] is met


def test_ratio_is_the_peer_s_time_over_ours():
    row = protocol.ratio_row("what", 3.0, np.array([[1.0, 4.0], [2.0, 8.0]]))
    assert (row["median"], row["low"], row["high"], row["met"]) == (4.0, 4.0, 4.0, True)


# --- FLOPs


def test_step_flops_by_hand():
    """One row of 3 tokens, the last of them selected; h = 4, f = 8, V = 10: every product, written out."""
    config = BertConfig(
        vocab_size=10, hidden_size=4, num_hidden_layers=2, num_attention_heads=1, intermediate_size=8
    )
    first = 4 * 2 * (3 * 4 * 4) + 2 * 2 * (3 * 4 * 3) + 2 * 2 * (3 * 4 * 8)  # projections, attention, wide
    key_and_value = 2 * 2 * (3 * 4 * 4)
    query_and_output = 2 * 2 * (2 * 4 * 4)  # of [CLS] and the selected token
    scores_and_context, feed_forward = 2 * 2 * (2 * 4 * 3), 2 * 2 * (2 * 4 * 8)
    transform, decoder = 2 * (1 * 4 * 4), 2 * (1 * 4 * 10)
    pooler, next_sentence = 2 * (1 * 4 * 4), 2 * (1 * 4 * 2)
    forward = first + key_and_value + query_and_output + scores_and_context + feed_forward
    forward += transform + decoder + pooler + next_sentence
    assert protocol.step_flops(config, torch.tensor([[-100, -100, 7]])) == 3 * forward == 3 * 1744


@pytest.mark.parametrize(("layers", "hidden_size", "heads"), [(1, 8, 1), (2, 12, 3)])
def test_step_flops_are_what_torch_counts(layers, hidden_size, heads):
    config = BertConfig(
        vocab_size=50,
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=20,
        max_position_embeddings=9,
    )
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(50, (3, 9), generator=generator)
    labels = ids.masked_fill(torch.rand(3, 9, generator=generator) > 0.4, IGNORE_INDEX)
    model = BertForPreTraining(config)
    # The written-out attention, for the counter does not see into the fused one.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        losses = model.losses(ids, labels=labels, next_sentence_label=torch.tensor([0, 1, 1]))
        losses.loss.backward()
    assert counter.get_total_flops() == protocol.step_flops(config, labels)


def test_each_product_alone_is_what_the_step_does_with_it():
    config = training_step.make_config(64)
    labels = training_step.make_batch()["labels"][:2]
    for product in protocol.step_products(config, labels):
        with FlopCounterMode(display=False) as counter:
            training_step.product_call(product)()
        assert counter.get_total_flops() == 3 * product.flops, product.name


# --- Equal results come first


def test_unequal_weights_are_refused_before_timing():
    torch.manual_seed(0)
    config = training_step.make_config(64)
    ours, library = training_step.make_pair(config)
    batch = {name: tensor[:2] for name, tensor in training_step.make_batch().items()}
    ours, library = training_step.Trainer(ours, batch), training_step.Trainer(library, batch)
    training_step.assert_equal_results(ours, library)
    with torch.no_grad():
        ours.model.bert.pooler.dense.weight[0, 0] += 0.5
    with pytest.raises(AssertionError, match="differ by"):
        training_step.assert_equal_results(ours, library)


def test_a_step_moves_both_sides_alike():
    config = training_step.make_config(64)
    sides = training_step.make_pair(config)
    batch = {name: tensor[:2] for name, tensor in training_step.make_batch().items()}
    trainers = [training_step.Trainer(model, batch) for model in sides]
    before = trainers[0].model.bert.pooler.dense.weight.detach().clone()
    for trainer in trainers:
        trainer()
    ours, library = (trainer.model.bert.pooler.dense.weight.detach() for trainer in trainers)
    assert not torch.equal(ours, before)
    assert torch.allclose(ours, library, atol=2e-5)  # AdamW's first step has the size of the rate, 1e-5


@pytest.mark.parametrize("change", ["label", "unselected"])
def test_a_wrong_mask_is_refused_before_timing(change):
    ids = masking.make_ids((20, 30), TOKENIZER)
    masked_ids, labels = masking.Ours(ids, TOKENIZER)()
    masking.rates(ids, masked_ids, labels, TOKENIZER.mask_token_id)
    if change == "label":
        labels[labels != IGNORE_INDEX] += 1
    else:
        masked_ids[labels == IGNORE_INDEX] += 1
    with pytest.raises(AssertionError):
        masking.rates(ids, masked_ids, labels, TOKENIZER.mask_token_id)


def test_masking_sides_share_their_rates():
    found = masking.assert_equal_results(TOKENIZER)
    assert found["selected"] > found["masked"] > found["changed"] > 0


def test_fine_tuning_begins_with_equal_logits_and_names_its_columns_as_the_library_does():
    sides = finetuning.Sides(examples=20)
    ours, library = (sides.logits(model) for model in (sides.our_model(), sides.library_model()))
    assert float((ours - library).abs().max()) <= finetuning.LOGIT_TOLERANCE
    loss = sides.library_model()(**sides.collated(sides.rows)).loss
    assert float(loss) == pytest.approx(math.log(2), abs=0.1)


@pytest.mark.parametrize("made", [waiting.fill_blank_answer, waiting.playground_answer])
def test_the_panels_that_are_timed_answer(made):
    made()()


# --- The page


@pytest.fixture(scope="module")
def results():
    return json.loads(report.RESULTS.read_text(encoding="utf-8"))


def test_results_hold_every_goal_and_the_machine(results):
    assert bench.GOALS.keys() <= results.keys()
    assert results["machine"].keys() == report.MACHINE_LINES.keys()
    for key, row in results.items():
        if key == "machine":
            continue
        assert any(key == goal or key.startswith(goal + "_") for goal in bench.GOALS)
        end_meets = row["high"] <= row["goal"] if row["sense"] == "at most" else row["low"] >= row["goal"]
        assert row["met"] <= end_meets, f"{key} is said to be met"
        assert row["low"] <= next(row[name] for name in report.ESTIMATES if name in row) <= row["high"]
    assert results["P5"]["high"] < 1 and results["P5_hidden_256"]["high"] < 1


def test_results_page_is_what_the_json_gives(results):
    assert report.PAGE.read_text(encoding="utf-8") == report.page(results), "run `make bench`"


def test_the_readme_says_in_two_lines_what_is_met_and_what_is_not(results):
    readme = report.README.read_text(encoding="utf-8")
    assert readme == report.with_verdicts(readme, results), "run `make bench`"
    met, missed = report.verdicts(results).splitlines()
    rows = [row for key, row in results.items() if key != "machine"]
    assert f" {sum(row['met'] for row in rows)} of {len(rows)} goals" in met
    assert all((row["what"] in missed) != row["met"] for row in rows)


def test_a_missed_goal_is_printed_as_missed():
    interval = {"median": 2.5, "low": 2.0, "high": 3.5}
    rows = {
        "P1": protocol.row("the step", 3.0, interval, "x"),
        "P2": protocol.row("the mask", 2.0, interval, "x"),
    }
    head, missed, met = report.table(rows).splitlines()
    assert head.split()[0] == "goal"
    assert missed == "P1    the step  at least 3.00x  2.50x [2.00x, 3.50x]   MISSED"
    assert met.endswith("met")


def test_a_missed_goal_has_its_reason_on_the_page_and_a_met_one_none():
    interval = {"median": 2.5, "low": 2.0, "high": 3.5}
    rows = {
        "P1": protocol.row("the step", 3.0, interval, "x", why="it computes more."),
        "P2": protocol.row("the mask", 2.0, interval, "x", why="it computes less."),
    }
    assert report.reasons(rows)[1:] == ["- **P1**: it computes more."]
    assert report.reasons({"P2": rows["P2"]}) == []


def test_skip_gram_computes_the_whole_table_of_a_block_for_its_true_pairs(monkeypatch):
    monkeypatch.setitem(word2vec.SETTINGS, "sample", 0)
    found = word2vec.products_a_true_pair([["a", "b"]] * 200)  # 400 centres, 7 blocks
    assert found == {"ours": 7 * 64 * (64 + 2 * 5 + 128) / 400, "gensim": 1 + 5}


def test_results_name_no_place(results):
    text = json.dumps(results) + report.PAGE.read_text(encoding="utf-8")
    assert str(report.FOLDER.parent) not in text and "/home" not in text and "/root" not in text


# --- Fresh memory


def fresh_bytes() -> np.ndarray:
    """64 MB that the system has not handed out yet. A new array may get what another one has freed."""
    return np.frombuffer(mmap.mmap(-1, 64 * 2**20), dtype=np.uint8)


def test_pages_of_memory_are_counted_at_their_first_touch():
    page = 4096 if sys.platform != "darwin" else 16384
    before = protocol.page_faults()
    kept = fresh_bytes()
    untouched = protocol.page_faults() - before
    kept[::page] = 1
    touched = protocol.page_faults() - before
    assert untouched < 0.1 * len(kept) / page
    assert touched > 0.001 * len(kept) / page  # a large page counts once: 2 MB may stand for 512 of 4 kB


def test_a_call_that_takes_fresh_memory_is_told_from_one_that_does_not():
    def pages(call):
        said = protocol.fresh_memory(call)
        return int(re.search(r"([\d,]+) pages of memory anew", said)[1].replace(",", ""))

    once = fresh_bytes()
    once[::4096] = 1

    def fresh():
        fresh_bytes()[::4096] = 1

    assert pages(fresh) > pages(lambda: once[::4096].sum()) + 10


# --- Other work on the machine


@pytest.mark.parametrize(
    ("busy", "own", "share"), [(8.0, 8.0, 0.0), (11.0, 8.0, 0.15), (20.0, 0.0, 1.0), (7.9, 8.0, 0.0)]
)
def test_other_work_is_what_the_cores_did_and_we_did_not(monkeypatch, busy, own, share):
    """Ten seconds on two cores."""
    moments = iter([(5.0, 100.0, 3.0), (15.0, 100.0 + busy, 3.0 + own)])
    monkeypatch.setattr(protocol.Others, "_now", lambda _: next(moments))
    monkeypatch.setattr(protocol.psutil, "cpu_count", lambda: 2)
    with protocol.Others() as others:
        pass
    assert others.share == pytest.approx(share)


def test_our_own_work_is_no_other_work():
    clock, busy, own = protocol.Others._now()
    end = protocol.time.process_time() + 0.5
    while protocol.time.process_time() < end:
        pass
    later = protocol.Others._now()
    assert later[2] - own >= 0.4
    assert later[1] - busy >= 0.4
    assert later[0] - clock >= 0.4


def test_on_a_busy_machine_no_row_is_judged():
    rows = {"P1": protocol.row("the step", 3.0, {"median": 2.5, "low": 2.0, "high": 3.5}, "x")}
    quiet, busy = protocol.judged(rows, 0.09), protocol.judged(rows, 0.11)
    assert (quiet["P1"]["met"], busy["P1"]["met"]) == (False, None)
    assert report.all_judged(quiet) and not report.all_judged(busy)
    assert "not judged" in report.table(busy) and "MISSED" not in report.table(busy)


def test_nothing_is_measured_on_a_busy_machine(monkeypatch):
    monkeypatch.setattr(bench, "measure", lambda names: pytest.fail("measured"))
    moments = iter([(0.0, 0.0, 0.0), (3.0, 3.0, 0.0)])
    monkeypatch.setattr(protocol.Others, "_now", lambda _: next(moments))
    monkeypatch.setattr(protocol.psutil, "cpu_count", lambda: 2)
    monkeypatch.setattr(bench.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    with pytest.raises(SystemExit, match="other work takes 50% of the cores"):
        bench.main()


def test_history_keeps_the_last_run_of_each_commit_machine_by_machine(tmp_path):
    file, picture = tmp_path / "history.json", tmp_path / "history.svg"

    def run(processor, commit, median):
        row = protocol.row("what", 1.0, {"median": median, "low": 0.5, "high": 9.0}, "x")
        count = protocol.row("count", 1.0, {"count": 2.0, "low": 2.0, "high": 2.0}, "s")
        history.add({"P1": row, "P9": count, "machine": {"processor": processor}}, commit, file, picture)

    for processor, commit, median in [("A", "c1", 1.0), ("B", "c1", 2.0), ("A", "c2", 3.0), ("A", "c1", 4.0)]:
        run(processor, commit, median)
    seen = {name: [(r["commit"], r["ratios"]) for r in runs] for name, runs in history.read(file).items()}
    assert seen == {
        "A": [("c2", {"P1": [3.0, 0.5, 9.0]}), ("c1", {"P1": [4.0, 0.5, 9.0]})],
        "B": [("c1", {"P1": [2.0, 0.5, 9.0]})],
    }
    drawn = picture.read_text(encoding="utf-8")
    assert all(f">{word}<" in drawn for word in ("A", "B", "c1", "c2"))


def texts_of(picture) -> list[str]:
    return re.findall(r">([^<>]+)</text>", picture.read_text(encoding="utf-8"))


def test_the_picture_of_the_history_is_what_the_json_gives(tmp_path):
    """Names and commits; where the lines run depends on the version of matplotlib."""
    history.draw(history.read(), tmp_path / "again.svg")
    assert texts_of(history.PICTURE) == texts_of(tmp_path / "again.svg") != []


# --- Half of the time


@pytest.fixture(scope="module")
def small_rows():
    return pretraining.training_rows(SMALL, TOKENIZER)


SMALL = pretraining.Settings(
    documents=60, steps=100, warmup_steps=1, tokens_per_step=256, num_hidden_layers=1
)


def step_of(rows, prepare=None):
    """A trainer, its parameters before and after one step, and the gradients of that step."""
    trainer = pretraining.Pretrainer(SMALL, TOKENIZER, rows)
    if prepare:
        prepare(trainer)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.step()
    return trainer, before, {name: p.detach() for name, p in trainer.model.named_parameters()}


def directions(before, after, name) -> torch.Tensor:
    """How far a step went in each direction of a matrix, in lengths of Muon's step, the furthest first."""
    rate = SMALL.learning_rate
    moved = before[name] * (1 - rate * SMALL.weight_decay) - after[name]
    return torch.linalg.svdvals(moved) / (0.2 * rate * math.sqrt(max(moved.shape)))


def test_muon_moves_a_layers_matrix_alike_in_all_directions_that_matter(small_rows):
    _, before, after = step_of(small_rows, wall_time.with_muon)
    _, _, plain = step_of(small_rows)
    matrices = {name for name, p in before.items() if ".layer." in name and p.dim() == 2}
    assert len(matrices) == 6
    for name in matrices:  # the rows of one step have hardly a gradient in most of 128 directions
        first, *_, last = directions(before, after, name)[:12]
        assert 0.6 < last < first < 1.4, name
        first, *_, last = directions(before, plain, name)[:12]
        assert last < 0.4 * first, name


def test_beside_muon_adamw_does_what_it_did(small_rows):
    _, before, ours = step_of(small_rows)
    _, again, with_muon = step_of(small_rows, wall_time.with_muon)
    assert all(torch.equal(before[name], again[name]) for name in before)
    for name in before:
        alike = torch.equal(ours[name], with_muon[name])
        assert alike != (".layer." in name and before[name].dim() == 2), name


def test_muon_takes_the_rate_of_the_step_and_forgets_its_gradients(small_rows):
    trainer, _, after = step_of(small_rows, wall_time.with_muon)
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    trainer.next_step = SMALL.steps  # at which the rate is 0
    trainer.step()
    assert torch.equal(dict(trainer.model.named_parameters())[name], after[name])
    assert trainer.model.get_parameter(name).grad is None


def test_what_is_stored_belongs_to_the_recipes():
    found = wall_time.read()
    for recipe, (name, row) in zip(wall_time.recipes(), found["recipes"].items(), strict=True):
        assert name == recipe.name
        assert (row["steps"], row["learning_rate"]) == (recipe.settings.steps, recipe.settings.learning_rate)
        seconds, steps, _ = zip(*row["curve"], strict=True)
        assert list(seconds) == sorted(seconds) and seconds[-1] == pytest.approx(row["seconds"])
        assert steps[-1] == row["steps"] and len(steps) == wall_time.TURNS // wall_time.LOOK
    first = next(iter(found["recipes"].values()))
    assert first["steps"] == pretraining.Settings().steps


def recipe_row(seconds: float, high: float) -> dict:
    return {"steps": 10, "seconds": seconds, "gap": [high / 2, 0.0, high], "next_sentence": 0.01}


@pytest.mark.parametrize(
    ("seconds", "high", "verdict"),
    [
        (50.0, 0.019, "met by other."),
        (50.0, 0.021, "MISSED by every recipe"),
        (60.0, 0.019, "MISSED by every recipe"),
    ],
)
def test_half_of_the_time_is_met_by_the_upper_end_in_time(seconds, high, verdict):
    recipes = {"ours": recipe_row(100.0, 0.01), "other": recipe_row(seconds, high)}
    lines = wall_time.section({"processor": "A", "threads": 2, "recipes": recipes})
    assert verdict in "\n".join(lines)
    start = f"| other | 10 | {seconds:.0f} s | {seconds:.0f} % | {seconds / 100:.2f}x | "
    assert any(line.startswith(start) for line in lines)


def test_the_picture_of_wall_time_is_what_the_json_gives(tmp_path):
    wall_time.draw(wall_time.read(), tmp_path / "again.svg")
    assert texts_of(wall_time.PICTURE) == texts_of(tmp_path / "again.svg") != []


# --- The command


def test_some_goals_are_printed_and_nothing_is_written(monkeypatch, capsys):
    row = protocol.row("what", 1.0, {"median": 2.0, "low": 2.0, "high": 2.0}, "x")
    monkeypatch.setattr(bench, "measure", lambda names: {name: row for name in names})
    monkeypatch.setattr(bench.report, "write", lambda results: pytest.fail("written"))
    monkeypatch.setattr(bench, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(protocol, "QUIET", 2.0)  # the tests themselves make the machine busy
    monkeypatch.setattr(sys, "argv", ["benchmarks", "P1", "P5"])
    bench.main()
    lines = capsys.readouterr().out.split("\n")
    assert [line[:2] for line in lines if line.startswith("P")] == ["P1", "P5"]
    monkeypatch.setattr(sys, "argv", ["benchmarks", "P7"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "no goal 'P7'; the goals are P1, P2" in capsys.readouterr().err


def test_a_whole_run_is_noted_down_under_the_commit_that_it_began_with(monkeypatch):
    """What it writes makes the tree a changed one."""
    row = protocol.row("what", 1.0, {"median": 2.0, "low": 2.0, "high": 2.0}, "x")
    tree, noted = ["abc"], []
    monkeypatch.setattr(bench, "measure", lambda names: {name: row for name in names})
    monkeypatch.setattr(bench.report, "write", lambda results: tree.append("+"))
    monkeypatch.setattr(bench.history, "commit", lambda: "".join(tree))
    monkeypatch.setattr(bench.history, "add", lambda results, measured: noted.append(measured))
    monkeypatch.setattr(bench, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(protocol, "QUIET", 2.0)
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    bench.main()
    assert noted == ["abc"]


def test_a_folder_without_git_is_measured_all_the_same(monkeypatch, tmp_path):
    """As it comes in a ZIP file, and where git itself is missing."""
    monkeypatch.setattr(bench.report, "FOLDER", tmp_path)
    assert history.commit() == "no commit"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert history.commit() == "no commit"


def test_bench_installs_its_packages_and_no_test_packages(monkeypatch):
    prepared, called = [], []
    monkeypatch.setattr(setting_up, "prepare", lambda groups, torch: prepared.extend(groups))
    monkeypatch.setattr(
        setting_up, "subprocess", SimpleNamespace(call=lambda command, cwd: called.append(command) or 0)
    )
    assert setting_up.main(["bench", "P2"]) == 0
    assert prepared == ["lab", "bench"]
    assert called[0][1:] == ["-m", "benchmarks", "P2"]


def test_bench_packages_are_pinned_above_their_lower_bounds():
    from tools import lock

    lines = (lock.ROOT / setting_up.EXTRA_REQUIREMENTS["bench"]).read_text(encoding="utf-8").splitlines()
    # A pin begins a line, its digests follow on indented ones.
    listed = [Requirement(line.removesuffix("\\")) for line in lines if line[:1].isalnum()]
    pins = {requirement.name: next(iter(requirement.specifier)).version for requirement in listed}
    for wanted in map(Requirement, lock.read_project()["optional-dependencies"]["bench"]):
        assert wanted.specifier.contains(pins[wanted.name])
