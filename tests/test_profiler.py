"""The profiler: to the unit against closed forms, PyTorch's own counters, and a published table rebuilt."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from course_utils import profiler
from course_utils.bert import BertConfig, BertForPreTraining, BertModel, count_parameters
from course_utils.commands import profiler as command
from course_utils.lessons.cost import experiment as machine_time
from course_utils.profiler import CONVENTIONS, profile

BASE, LARGE = BertConfig.named("base"), BertConfig.named("large")
EMBEDDED = Path(profiler.__file__).parent / "data" / "embedded"
COLUMNS = [field.name for field in fields(profiler.Row) if field.name not in ("name", "kind", "depth")]

SMALL_CONFIGS = st.builds(
    lambda layers, heads, head_size, feed_forward, vocab, act, dropout: BertConfig(
        vocab_size=vocab,
        hidden_size=heads * head_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        hidden_act=act,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=16,
    ),
    layers=st.integers(1, 3),
    heads=st.integers(1, 3),
    head_size=st.integers(1, 4),
    feed_forward=st.integers(1, 9),
    vocab=st.integers(2, 20),
    act=st.sampled_from(["gelu", "gelu_new", "relu"]),
    dropout=st.sampled_from([0.0, 0.1]),
)


def run(model, batch_size: int, seq_len: int, **options):
    """A forward pass of a real or a meta model over zeros."""
    device = next(model.parameters()).device
    ids, segments = (torch.zeros(batch_size, seq_len, dtype=torch.long, device=device) for _ in range(2))
    return model(ids, token_type_ids=segments, **options)


# --- The published table of BERT-base, one row of 128 tokens, digit by digit


@pytest.fixture(scope="module")
def published():
    """The profile under the convention of the published table."""
    return profile(BASE, 1, 128, "linear")


def linear_layers(found: profiler.Profile) -> list[profiler.Operation]:
    return [operation for operation in found.operations if operation.kind == "Linear"]


def test_published_parameters(published):
    by_kind = {"Embedding": 0, "LayerNorm": 0, "Linear": 0}
    for row in published.rows:
        if row.kind in by_kind:
            by_kind[row.kind] += row.params
    assert by_kind == {"Embedding": 23_835_648, "LayerNorm": 38_400, "Linear": 85_524_480 + 83_712}
    assert published.totals.params == sum(by_kind.values()) == 109_482_240


def test_published_macs_are_those_of_the_linear_layers_alone(published):
    assert published.totals.macs == 10_872_225_792 == 12 * 905_969_664 + 589_824
    assert published.under("matmul")["macs"] - published.totals.macs == 2 * 12 * 12 * 128 * 128 * 64


def test_published_flops_add_twenty_five_adds_and_a_mask(published):
    assert published.totals.flops == 21_746_925_568
    assert published.totals.flops - 2 * published.totals.macs == 25 * 98_304 + 16_384
    assert published.counts()["add"] == 26


def test_all_matrix_products():
    totals = profile(BASE, 1, 128, "matmul").totals
    assert (totals.macs, totals.flops) == (11_174_215_680, 22_348_431_360)


def test_published_weights_leave_out_embeddings_and_layer_norms(published):
    assert sum(operation.weight_reads for operation in linear_layers(published)) == 85_608_192 * 4
    assert round(85_608_192 * 4 / 1e6, 2) == 342.43
    assert published.totals.weight_bytes == 437_928_960


def test_published_total_is_traffic_with_dropout_that_does_nothing(published):
    """Linear weights, and what each counted operation reads and writes; dropout as if it copied."""
    state = 128 * 768 * 4
    total = sum(operation.traffic_bytes for operation in linear_layers(published))
    total += 25 * 3 * state  # adds: two operands, one result
    total += 25 * 2 * state  # LayerNorm, without its weights
    total += 25 * 2 * state  # dropout
    total += 3 * state  # the three embeddings, written
    total += 2 * 128 * 128 * 4  # the mask
    total += 2 * 768 * 4  # tanh
    assert round(total / 1e6, 2) == 497.50
    assert round(published.totals.flops / total, 1) == 43.7


def test_published_count_of_operations(published):
    counts = published.counts()
    seen = {kind: counts[kind] for kind in ("Linear", "LayerNorm", "dropout", "embedding", "tanh")}
    assert seen == {"Linear": 73, "LayerNorm": 25, "dropout": 25, "embedding": 3, "tanh": 1}
    adds, mask_operations = 25, 1
    assert sum(seen.values()) + adds + mask_operations == 153
    unseen = {kind: counts[kind] for kind in ("matmul", "softmax", "GELU")}
    assert unseen == {"matmul": 24, "softmax": 12, "GELU": 12}


def test_the_published_table_row_by_row():
    """Every number that the table prints, to the digits that it prints."""
    rows = profiler.published_rows(BertConfig.named("base"), 1, 128)
    printed = {
        "": 467.88, "embeddings": 2.75, "encoder": 462.75, "encoder.layer.0": 38.56,
        "encoder.layer.0.attention": 14.17, "encoder.layer.0.attention.self.query": 3.15,
        "encoder.layer.11.intermediate": 11.42, "encoder.layer.11.output": 12.98,
    }  # fmt: skip
    found = {row.name: row for row in rows}
    assert {name: round(found[name].memory / 1e6, 2) for name in printed} == printed
    for name in ("word", "position", "token_type"):
        assert found[f"embeddings.{name}_embeddings"].memory == 393_216 + 512
    assert found["embeddings.LayerNorm"].memory == found["embeddings.dropout"].memory == 786_432
    assert found["encoder.layer.3.intermediate"].shape == (1, 128, 3072)
    assert found[""].flops == 21_744_451_584 and found[""].params == 109_482_240
    top = [row for row in rows if row.depth == 0]
    assert [row.name for row in top] == ["", *["add"] * 25, "mask"]
    assert sum(row.input_bytes for row in top) == 81_862_144
    assert sum(row.output_bytes for row in top) == 73_209_856
    assert sum(row.memory for row in top) == 497_504_768
    assert sum(row.flops for row in top) == 21_746_925_568


def test_the_published_table_from_a_terminal(capsys):
    assert command.main(["--published", "--depth", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [
        "model",
        "1",
        "x",
        "768",
        "109,482,240",
        "10,872,225,792",
        "21,744,451,584",
        "467.88",
    ]
    assert any(line.split()[-4:] == ["497,504,768", "B", "497.50", "MB"] for line in lines)


def test_published_mean_intensity(published):
    """A mean of 99 ratios, in which 25 adds weigh as much as 25 Linear layers; 72 are above ten."""
    ratios = [
        operation.published / operation.traffic_bytes if operation.kind == "add" else intensity(operation)
        for operation in published.operations
        if operation.kind == "Linear" or operation.kind == "add" and operation.published
    ]
    ratios.append(128**2 / (2 * 128**2 * 4))  # the mask: read, written
    assert len(ratios) == 99
    assert round(sum(ratios) / 99, 2) == 36.11
    assert sum(ratio > 10 for ratio in ratios) == 72


def intensity(operation: profiler.Operation) -> float:
    return 2 * operation.macs / operation.traffic_bytes


def test_sizes_of_base_and_large():
    counts = [
        profile(config, 1, 8, pretraining_heads=heads).totals.params
        for config in (BASE, LARGE)
        for heads in (False, True)
    ]
    assert counts == [109_482_240, 110_106_428, 335_141_888, 336_226_108]


# --- Against other counters


@pytest.mark.parametrize(("name", "batch", "seq_len"), [("tiny", 1, 128), ("base", 2, 64), ("large", 1, 512)])
def test_torch_counts_the_same_with_attention_written_out(name, batch, seq_len):
    config = BertConfig.named(name)
    with FlopCounterMode(display=False) as counter:
        run(profiler.on_meta(config).eval(), batch, seq_len, output_attentions=True)
    assert counter.get_total_flops() == profile(config, batch, seq_len).totals.flops


def test_torch_misses_fused_attention_on_the_processor_or_has_learned_to_count_it():
    config = BertConfig.named("tiny")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run(BertModel(config).eval(), 2, 32)
    found = profile(config, 2, 32)
    linear_only = 2 * found.under("linear")["macs"]
    assert counter.get_total_flops() in (linear_only, found.totals.flops)


@settings(max_examples=15)
@given(config=SMALL_CONFIGS, batch=st.integers(1, 3), seq_len=st.integers(1, 16), fused=st.booleans())
def test_training_is_what_torch_counts_and_keeps(config, batch, seq_len, fused):
    """Forward and backward pass of a real model with attention as asked: FLOPs, and bytes kept between."""
    model = BertModel(config).train()
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = run(model, batch, seq_len, output_attentions=not fused)
        (output.pooler_output.sum() + output.last_hidden_state.sum()).backward()
    found = profile(config, batch, seq_len, training=True, fused=fused)
    if not fused:  # a fused kernel is not counted, see above
        assert counter.get_total_flops() == found.totals.flops
    kept_bytes = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert found.memory["activations kept"] == kept_bytes


@settings(max_examples=25)
@given(config=SMALL_CONFIGS, batch=st.integers(1, 4), seq_len=st.integers(1, 16), heads=st.booleans())
def test_parameters_and_both_forms_of_attention(config, batch, seq_len, heads):
    model = (BertForPreTraining if heads else BertModel)(config)
    fused, written_out = (
        profile(config, batch, seq_len, "all", pretraining_heads=heads, fused=fused)
        for fused in (True, False)
    )
    assert fused.totals.params == count_parameters(model)
    assert fused.totals.weight_bytes == 4 * count_parameters(model)
    assert (fused.totals.macs, fused.totals.flops) == (written_out.totals.macs, written_out.totals.flops)
    # Written out, the dropout of attention is called even where it does nothing.
    assert written_out.counts() == fused.counts() + Counter(dropout=config.num_hidden_layers)
    assert fused.totals.traffic_bytes < written_out.totals.traffic_bytes


def test_every_operation_by_hand():
    """One layer, h = 4, two heads of 2, f = 8, V = 10, one row of 3 tokens, under "all"."""
    config = BertConfig(
        vocab_size=10,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=8,
    )
    found = profile(config, 1, 3, "all")
    flops = {row.name: row.flops for row in found.rows}
    layer = "encoder.layer.0."
    assert flops["embeddings.(add)"] == 2 * 12
    assert flops["embeddings.LayerNorm"] == 7 * 12
    assert flops[layer + "attention.self.query"] == 2 * 3 * 4 * 4 + 12
    assert flops[layer + "attention.self.(matmul)"] == 2 * (
        2 * 2 * 3 * 3 * 2
    )  # heads, q, k, head size; twice
    assert flops[layer + "attention.self.(scale)"] == 2 * 3 * 3
    assert flops[layer + "attention.self.(softmax)"] == 5 * 2 * 3 * 3
    assert flops[layer + "attention.output.(add)"] == 12
    assert flops[layer + "intermediate.dense"] == 2 * 3 * 4 * 8 + 24
    assert flops[layer + "intermediate.(GELU)"] == 5 * 24
    assert flops["pooler.dense"] == 2 * 4 * 4 + 4
    assert flops["pooler.(tanh)"] == 4
    query = next(row for row in found.rows if row.name == layer + "attention.self.query")
    assert query.activation_bytes == 4 * 12
    assert query.traffic_bytes == 4 * (12 + 16 + 4 + 12)
    assert query.intensity == (2 * 48 + 12) / (4 * 44)


# --- The table


@settings(max_examples=25)
@given(
    config=SMALL_CONFIGS,
    batch=st.integers(1, 3),
    seq_len=st.integers(1, 16),
    convention=st.sampled_from(CONVENTIONS),
    training=st.booleans(),
    heads=st.booleans(),
)
def test_rows_sum_to_their_parents(config, batch, seq_len, convention, training, heads):
    found = profile(config, batch, seq_len, convention, training=training, pretraining_heads=heads)
    parents = 0
    for row in found.rows:
        children = found.children(row)
        parents += bool(children)
        for column in COLUMNS if children else ():
            assert getattr(row, column) == sum(getattr(child, column) for child in children), (
                row.name,
                column,
            )
    assert parents >= 7
    assert len({row.name for row in found.rows}) == len(found.rows)
    assert (found.totals.macs, found.totals.flops) == tuple(found.under(convention).values())


def test_training_does_every_matrix_product_three_times():
    forward, both = profile(BASE, 2, 16), profile(BASE, 2, 16, training=True)
    assert both.totals.macs == 3 * forward.totals.macs
    assert both.memory["gradients"] == both.memory["weights"] == both.memory["Adam's moments"] // 2


def test_a_tied_weight_is_counted_once_and_worked_with_twice():
    found = {row.name: row for row in profile(BASE, 1, 4, pretraining_heads=True).rows}
    decoder = found["cls.predictions.decoder"]
    assert (decoder.params, decoder.macs) == (0, 4 * 768 * 30522)
    assert found["bert.embeddings.word_embeddings"].params == 30522 * 768


def test_the_ridge_divides_the_rows():
    rows = {row.name: row for row in profile(BASE, 1, 128, "all").rows}
    linear, add = rows["encoder.layer.0.output.dense"], rows["encoder.layer.0.output.(add)"]
    assert (linear.bound(10.0), add.bound(10.0)) == ("compute", "memory")
    assert linear.bound(linear.intensity) == "compute"
    assert rows["embeddings.dropout"].bound(10.0) == "-"  # it moves nothing


def test_least_time_is_the_larger_of_arithmetic_and_traffic():
    found = profile(BASE, 1, 128, "all")
    endless = 1e300  # a machine without this limit
    assert sum(found.seconds(1.0, endless).values()) == pytest.approx(found.totals.flops)
    assert sum(found.seconds(endless, 1.0).values()) == pytest.approx(found.totals.traffic_bytes)
    both = sum(found.seconds(1.0, 1.0).values())
    assert both > max(found.totals.flops, found.totals.traffic_bytes)


# --- A counter that misses something is found out


@pytest.mark.parametrize("name", ["linear", "matmul", "scaled_dot_product_attention"])
def test_a_missed_kernel_is_refused(monkeypatch, name):
    rules = {key: rule for key, rule in profiler.Recorder.RULES.items() if key != name}
    monkeypatch.setattr(profiler.Recorder, "RULES", rules)
    with pytest.raises(RuntimeError, match="by formula"):
        profile(BertConfig.named("tiny"), 1, 8, fused=name != "matmul")


def test_a_lost_parameter_is_refused(monkeypatch):
    whole = profiler.closed_form
    monkeypatch.setattr(
        profiler, "closed_form", lambda *args: whole(*args) | {"params": whole(*args)["params"] + 1}
    )
    with pytest.raises(RuntimeError, match="params: expected 4,385,921 by formula, got 4,385,920"):
        profile(BertConfig.named("tiny"))


def test_a_model_that_was_counted_is_as_it_was():
    model = profiler.on_meta(BertConfig.named("tiny")).eval()
    for _ in range(2):
        recorder = profiler.Recorder(model)
        with recorder, torch.no_grad():
            model(torch.empty(1, 4, dtype=torch.long, device="meta"))
        assert recorder.operations and not recorder.stack
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size: expected a whole number from 1, got 0"),
        ({"batch_size": 1.5}, "batch_size: expected a whole number from 1, got 1.5"),
        ({"seq_len": 513}, "seq_len: expected 1 to 512 .*, got 513"),
        ({"convention": "mac"}, "convention: expected one of matmul, linear, all, got 'mac'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        profile(BASE, **arguments)


# --- The machine


def test_best_time_is_that_of_the_quickest_call_after_the_warm_up(monkeypatch):
    now = [0.0]
    durations = iter([0.25, 9.0, 4.0, 3.0, 5.0])
    monkeypatch.setattr(profiler.time, "perf_counter", lambda: now[0])

    def call():
        now[0] += next(durations)

    assert profiler.best_time(call, warm_up=1, times=4) == 3.0


def test_the_peak_is_that_of_the_best_product(monkeypatch):
    """If every product takes 1/8 s, the larger one is 8 times as good."""
    monkeypatch.setattr(profiler, "best_time", lambda call, times: call() is None or 0.125)
    assert profiler.peak_flops((4, 8)) == 2 * 8**3 / 0.125


def test_bandwidth_counts_two_arrays_read_and_one_written(monkeypatch):
    monkeypatch.setattr(profiler, "best_time", lambda call, times: call() is None or 0.5)
    assert profiler.bandwidth(10) == 3 * 4 * 10 / 0.5


def test_the_stored_times_have_the_form_of_measured_ones(monkeypatch):
    monkeypatch.setattr(machine_time, "best_time", lambda call, times: call() is None or 0.5)
    monkeypatch.setattr(machine_time, "peak_flops", lambda sizes, times: 8.0)
    monkeypatch.setattr(machine_time, "bandwidth", lambda times: 2.0)
    threads = torch.get_num_threads()
    measured, stored = machine_time.measure(), machine_time.stored()
    assert torch.get_num_threads() == threads
    assert stored.pop("command") == machine_time.COMMAND
    assert measured.keys() == stored.keys()
    assert measured["operations"].keys() == stored["operations"].keys() == machine_time.work().keys()
    assert len(stored["layer"]) == len(stored["attention"]) == len(stored["lengths"])
    assert len(stored["wide_linear"]) == len(stored["tokens"])


def test_the_work_of_a_layer_s_operations_by_hand():
    state = 4 * 128 * 768
    linear = (2 * 128 * 768 * 3072 + 128 * 3072, state + 4 * state + 4 * (768 * 3072 + 3072))
    work = machine_time.work()
    assert (work["Linear"], work["add"]) == (linear, (128 * 768, 3 * state))
    assert work["GELU"] == (5 * 128 * 3072, 2 * 4 * state)
    assert work["LayerNorm"] == (7 * 128 * 768, 2 * state + 2 * 4 * 768)


# --- The command line


def test_the_table_of_base(capsys):
    assert command.main(["--model", "bert-base-uncased", "--depth", "1", "--ridge", "10"]) == 0
    out = capsys.readouterr().out
    for number in ("109,482,240", "11,174,215,680", "22,348,431,360", "10,872,225,792", "21,746,925,568"):
        assert number in out
    assert "given" in out and "encoder" in out and "layer " not in out.partition("Totals")[0].splitlines()[-4]


def test_json_says_what_the_profile_says(capsys):
    command.main(["--model", "tiny", "--batch", "3", "--seq-len", "5", "--convention", "all", "--training",
                   "--heads", "--format", "json", "--depth", "2", "--ridge", "8"])  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    found = profile(BertConfig.named("tiny"), 3, 5, "all", training=True, pretraining_heads=True)
    assert {key: told["totals"][key] for key in COLUMNS} == {
        key: getattr(found.totals, key) for key in COLUMNS
    }
    assert told["memory"] == found.memory
    assert told["conventions"] == {name: found.under(name) for name in CONVENTIONS}
    assert told["operations"] == dict(found.counts())
    assert [row["name"] for row in told["rows"]] == [row.name for row in found.rows if row.depth <= 2]


def test_markdown_is_a_table(capsys):
    command.main(["--model", "tiny", "--format", "markdown", "--ridge", "8"])
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert set(table[1]) <= set("|-: ")


@pytest.mark.parametrize("path", [EMBEDDED, EMBEDDED / "config.json"])
def test_a_folder_or_a_file_gives_the_sizes(path):
    config = command.find_config(str(path))
    assert (config.num_hidden_layers, config.hidden_size) == (3, 128)


def test_names_of_sizes():
    assert command.find_config("bert-large-uncased") == command.find_config("large") == LARGE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "roberta-base"], "model: expected one of tiny"),
        (["--model", "{folder}"], "config.json: expected a JSON object, got Expecting property name"),
        (["--model", "{folder}/list.json"], "list.json: expected a JSON object, got cannot convert"),
        (["--model", "{folder}/other.json"], "model_type: expected 'bert', got 'gpt2'"),
        (["--model", "{folder}/words.json"], "hidden_size: expected a whole number from 1, got 'wide'"),
        (["--model", "{folder}/mixed.json"], "hidden_dropout_prob: expected a finite number, got 'some'"),
        (["--batch", "0"], "batch_size: expected a whole number from 1, got 0"),
        (["--batch", "many"], "invalid int value: 'many'"),
        (["--seq-len", "1000"], "seq_len: expected 1 to 512 (max_position_embeddings), got 1000"),
        (["--depth", "-1"], "--depth: expected 0 or more, got -1"),
        (["--ridge", "0"], "--ridge: expected a finite number above 0, got 0.0"),
        (["--ridge", "nan"], "--ridge: expected a finite number above 0, got nan"),
        (["--convention", "flops"], "invalid choice: 'flops'"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_errors_take_one_line(tmp_path, capsys, arguments, message):
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    (tmp_path / "list.json").write_text("[1, 2]", encoding="utf-8")
    (tmp_path / "other.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    (tmp_path / "words.json").write_text('{"hidden_size": "wide"}', encoding="utf-8")
    (tmp_path / "mixed.json").write_text('{"hidden_dropout_prob": "some"}', encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        command.main([argument.format(folder=tmp_path) for argument in arguments])
    captured = capsys.readouterr()
    assert stop.value.code == 2 and captured.out == ""
    assert len(captured.err.splitlines()) == 1 and message in captured.err


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize("size", ["base", "large"])
def test_a_profile_takes_little_memory(size):
    """Weights of large would take 1.3 GB; the profile is meant to take under 50 MB."""
    code = f"""
import re, torch
from pathlib import Path
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
from course_utils.profiler import BertConfig, profile
profile(BertConfig.named("{size}"), 1, 128)
print(peak() - before)
"""
    extra = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0 < int(extra) < 100e6


def test_as_a_module():
    """`python -m`, with the ridge of this machine."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "course_utils.profiler",
            "--model",
            "tiny",
            "--depth",
            "0",
            "--format",
            "json",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["ridge"]["measured"] and told["ridge"]["flop_per_byte"] > 0
    assert told["totals"]["params"] == 4_385_920
