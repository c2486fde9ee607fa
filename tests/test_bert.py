"""The model against the `transformers` library, against closed forms, and against bad input."""

import dataclasses
import json
import warnings
from functools import partial

import numpy
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn import functional as F

from course_utils import bert, masks
from course_utils.bert.read import states_at

SMALL = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
PRETRAINING = "BertForPreTraining"


def library_and_ours(class_name=PRETRAINING, implementation="eager", seed=0, **config):
    """The library's model and ours with the same weights, none of them 0 or 1, so that each one matters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        library_config = transformers.BertConfig(**config, attn_implementation=implementation)
        library = getattr(transformers, class_name)(library_config)
        with torch.no_grad():
            for parameter in library.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        ours = getattr(bert, class_name)(bert.BertConfig(**config))
    ours.load_state_dict(library.state_dict())
    return library.eval(), ours.eval()


def make_batch(vocab_size, batch, seq_len, seed=0, segments=2):
    """Random ids and segments, right padding that leaves at least one real token, and pretraining labels."""
    generator = torch.Generator().manual_seed(seed)

    def draw(high, *shape):
        return torch.randint(0, high, shape, generator=generator)

    input_ids = draw(vocab_size, batch, seq_len)
    selected = torch.rand(batch, seq_len, generator=generator) < 0.3
    selected[0, 0] = True
    # From long to short: the other way round as many rows as tokens may form a triangle, which is refused.
    lengths = draw(seq_len, batch).sort(descending=True).values + 1
    return {
        "input_ids": input_ids,
        "attention_mask": masks.padding_mask(lengths, seq_len).long(),
        "token_type_ids": draw(segments, batch, seq_len),
        "labels": torch.where(selected, draw(vocab_size, batch, seq_len), -100),
        "next_sentence_label": draw(2, batch),
    }


def inputs_of(batch):
    return {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}


def largest_difference(one, other):
    assert one.shape == other.shape
    return (one - other).abs().max().item()


def assert_equal_gradients(library, ours, tolerance=1e-4):
    theirs = {name: parameter.grad for name, parameter in library.named_parameters()}
    for name, parameter in ours.named_parameters():
        assert largest_difference(theirs[name], parameter.grad) <= tolerance, name


# -- Parity with the library -------------------------------------------------------------------------------


@st.composite
def configurations(draw):
    heads = draw(st.integers(1, 4))
    vocab_size = draw(st.integers(2, 200))
    return {
        "vocab_size": vocab_size,
        "hidden_size": heads * draw(st.integers(2, 16)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "intermediate_size": draw(st.integers(1, 64)),
        "hidden_act": draw(st.sampled_from(list(bert.ACTIVATIONS))),
        "max_position_embeddings": 512,
        "type_vocab_size": draw(st.integers(1, 3)),
        "layer_norm_eps": draw(st.sampled_from([1e-12, 1e-5, 0.1])),
        "pad_token_id": draw(st.one_of(st.none(), st.integers(0, vocab_size - 1))),
    }


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    config=configurations(),
    implementation=st.sampled_from(["eager", "sdpa"]),
    batch_size=st.integers(1, 3),
    seq_len=st.one_of(st.integers(1, 512), st.sampled_from([1, 2, 511, 512])),
    seed=st.integers(0, 2**31),
)
def test_outputs_equal_the_library_for_any_configuration(config, implementation, batch_size, seq_len, seed):
    library, ours = library_and_ours(implementation=implementation, seed=seed, **config)
    batch = make_batch(config["vocab_size"], batch_size, seq_len, seed, config["type_vocab_size"])
    with torch.no_grad():
        expected = library(**inputs_of(batch), output_hidden_states=True)
        pooled = library.bert(**inputs_of(batch)).pooler_output
        explicit = implementation == "eager"
        output = ours(**inputs_of(batch), output_hidden_states=True, output_attentions=explicit)
        assert largest_difference(pooled, ours.bert(**inputs_of(batch)).pooler_output) <= 1e-5
    assert len(output.hidden_states) == len(expected.hidden_states) == config["num_hidden_layers"] + 1
    for theirs, state in zip(expected.hidden_states, output.hidden_states, strict=True):
        assert largest_difference(theirs, state) <= 1e-5
    assert largest_difference(expected.prediction_logits, output.prediction_logits) <= 1e-5
    assert largest_difference(expected.seq_relationship_logits, output.seq_relationship_logits) <= 1e-5


def test_attention_weights_equal_the_library_and_rows_sum_to_one():
    library, ours = library_and_ours("BertModel", **SMALL)
    batch = inputs_of(make_batch(61, 3, 9))
    with torch.no_grad():
        expected = library(**batch, output_attentions=True).attentions
        output = ours(**batch, output_attentions=True)
    assert len(output.attentions) == SMALL["num_hidden_layers"]
    for theirs, weights in zip(expected, output.attentions, strict=True):
        assert largest_difference(theirs, weights) <= 1e-6
        assert largest_difference(weights.sum(-1), torch.ones(3, 3, 9)) <= 1e-6
        assert (
            weights[:, 0].masked_select(batch["attention_mask"][:, None].expand(-1, 9, -1) == 0).eq(0).all()
        )
    assert output.hidden_states is None and ours(**batch).attentions is None


WAYS = {
    "losses": lambda model: model.losses,
    "forward": lambda model: model,
    "forward, written out": lambda model: partial(model, output_attentions=True),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_losses_and_gradients_equal_the_library(way):
    library, ours = library_and_ours(**SMALL)
    batch = make_batch(61, 5, 17)
    expected = library(**batch)
    output = way(ours)(**batch)
    assert abs(expected.loss - output.loss) <= 1e-5
    assert torch.equal(output.loss, output.mlm_loss + output.nsp_loss)
    expected.loss.backward()
    output.loss.backward()
    assert_equal_gradients(library, ours)


def test_selected_logits_are_the_rows_of_all_logits():
    _, ours = library_and_ours(**SMALL)
    batch = make_batch(61, 4, 11)
    selected = batch["labels"] != -100
    with torch.no_grad():
        everywhere = ours(**batch)
        few, verdicts = ours.score_selected(**inputs_of(batch), labels=batch["labels"])
        losses = ours.losses(**batch)
    assert everywhere.prediction_logits.shape == (4, 11, 61)
    assert few.shape == (int(selected.sum()), 61)
    assert largest_difference(everywhere.prediction_logits[selected], few) <= 1e-6
    assert largest_difference(everywhere.seq_relationship_logits, verdicts) <= 1e-6
    by_hand = F.cross_entropy(few, batch["labels"][selected])
    assert abs(by_hand - losses.mlm_loss) <= 1e-6 and abs(by_hand - everywhere.mlm_loss) <= 1e-6


@given(
    layers=st.integers(1, 3),
    rows=st.integers(1, 4),
    seq_len=st.integers(1, 12),
    kind=st.sampled_from(["none", "padding", "causal"]),
    share=st.sampled_from([0.0, 0.15, 0.5, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_the_last_layer_where_it_is_read_gives_the_states_of_the_plain_path(
    layers, rows, seq_len, kind, share, seed
):
    torch.manual_seed(seed)
    config = bert.BertConfig(**SMALL | {"num_hidden_layers": layers})
    model = bert.BertModel(config).eval()
    input_ids, segments = torch.randint(5, 61, (rows, seq_len)), torch.randint(2, (rows, seq_len))
    selected = torch.rand(rows, seq_len) < share
    lengths = torch.randint(1, seq_len + 1, (rows, 1))
    mask = {"none": None, "padding": torch.arange(seq_len) < lengths, "causal": masks.causal_mask(seq_len)}[
        kind
    ]
    if kind == "causal":
        mask = mask.expand(rows, seq_len, seq_len)
    with torch.no_grad():
        everywhere = model(input_ids, mask, segments)
        states, pooler_output = states_at(model, selected, input_ids, mask, segments)
    torch.testing.assert_close(
        states, everywhere.last_hidden_state[selected], rtol=0, atol=1e-5
    )  # none may be selected
    torch.testing.assert_close(pooler_output, everywhere.pooler_output, rtol=0, atol=1e-5)


def test_nobody_asks_in_the_last_layer_whom_nobody_reads():
    """Seen by an activation that notes down what it is given: with a hook all would be computed."""
    _, ours = library_and_ours(**SMALL)
    batch, seen = make_batch(61, 4, 11), []
    last = ours.bert.encoder.layer[-1].intermediate
    last.activation = lambda states: seen.append(tuple(states.shape)) or F.gelu(states)
    ours.losses(**batch)
    read = batch["labels"] != -100
    read[:, 0] = True  # [CLS]
    assert seen == [(int(read.sum()), SMALL["intermediate_size"])]


def test_logits_have_one_shape_whatever_is_given():
    _, ours = library_and_ours(**SMALL)
    batch = make_batch(61, 4, 11)
    assert torch.equal(ours(**batch).prediction_logits, ours(**inputs_of(batch)).prediction_logits)


def test_the_losses_run_the_mlm_head_on_selected_positions_alone():
    _, ours = library_and_ours(**SMALL)
    batch, seen = make_batch(61, 4, 11), []
    ours.cls.predictions.register_forward_hook(lambda head, states, logits: seen.append(logits.shape))
    ours.losses(**batch)
    assert seen == [(int((batch["labels"] != -100).sum()), 61)]


def test_a_row_without_a_verdict_is_left_out_of_the_nsp_loss():
    _, ours = library_and_ours(**SMALL)
    batch = make_batch(61, 4, 11)
    some = {name: tensor[:3] for name, tensor in batch.items()}
    batch["next_sentence_label"][3] = -100
    assert abs(ours.losses(**batch).nsp_loss - ours.losses(**some).nsp_loss) <= 1e-6
    batch["next_sentence_label"].fill_(-100)
    losses = ours.losses(**batch)
    assert losses.nsp_loss == 0 and torch.equal(losses.loss, losses.mlm_loss)
    losses.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ours.parameters())
    assert not ours.cls.seq_relationship.weight.grad.any()


def test_each_pretraining_loss_stands_alone():
    _, ours = library_and_ours(**SMALL)
    batch = make_batch(61, 4, 11)
    both = ours(**batch)
    only_mlm = ours(**inputs_of(batch), labels=batch["labels"])
    only_nsp = ours(**inputs_of(batch), next_sentence_label=batch["next_sentence_label"])
    neither = ours(**inputs_of(batch))
    assert torch.equal(only_mlm.loss, both.mlm_loss) and only_mlm.nsp_loss is None
    assert torch.equal(only_nsp.loss, both.nsp_loss) and only_nsp.mlm_loss is None
    assert only_nsp.prediction_logits.shape == (4, 11, 61)
    assert neither.loss is None


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_selected_position_gives_zero_and_not_nan(way):
    _, ours = library_and_ours(**SMALL)
    batch = make_batch(61, 2, 7)
    batch["labels"].fill_(-100)
    output = way(ours)(**batch)
    assert output.mlm_loss == 0 and torch.equal(output.loss, output.nsp_loss)
    output.loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in ours.parameters())
    assert ours.cls.seq_relationship.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("class_name", ["BertForSequenceClassification", "BertForTokenClassification"])
def test_classifiers_equal_the_library(class_name):
    library, ours = library_and_ours(class_name, num_labels=4, **SMALL)
    inputs = inputs_of(make_batch(61, 5, 13))
    labels = torch.randint(0, 4, (5, 13), generator=torch.Generator().manual_seed(3))
    if class_name == "BertForSequenceClassification":
        labels = labels[:, 0]
    else:
        labels[:, ::3] = -100
        assert ours.bert.pooler is None
    expected, output = library(**inputs, labels=labels), ours(**inputs, labels=labels)
    assert largest_difference(expected.logits, output.logits) <= 1e-5
    assert abs(expected.loss - output.loss) <= 1e-5
    expected.loss.backward()
    output.loss.backward()
    assert_equal_gradients(library, ours)
    assert ours(**inputs).loss is None


def test_question_answering_equals_the_library():
    library, ours = library_and_ours("BertForQuestionAnswering", **SMALL)
    inputs = inputs_of(make_batch(61, 4, 13))
    # The third answer was cut away whole (past the 13 tokens), the fourth lost its end.
    spans = {"start_positions": torch.tensor([0, 3, 13, 5]), "end_positions": torch.tensor([0, 7, 99, 13])}
    expected, output = library(**inputs, **spans), ours(**inputs, **spans)
    assert largest_difference(expected.start_logits, output.start_logits) <= 1e-5
    assert largest_difference(expected.end_logits, output.end_logits) <= 1e-5
    assert abs(expected.loss - output.loss) <= 1e-5
    expected.loss.backward()
    output.loss.backward()
    assert_equal_gradients(library, ours)


def test_real_weights_give_the_library_s_numbers(real_bert):
    values = json.loads((real_bert / "config.json").read_text(encoding="utf-8"))
    library = transformers.BertModel.from_pretrained(real_bert, attn_implementation="eager").eval()
    ours = bert.BertModel(bert.BertConfig.from_dict(values)).eval()
    report = bert.load_weights(ours, load_file(real_bert / "model.safetensors"))
    assert report == ([], [])
    batch = inputs_of(make_batch(values["vocab_size"], 3, 96))
    with torch.no_grad():
        expected, output = (
            library(**batch, output_hidden_states=True),
            ours(**batch, output_hidden_states=True),
        )
    for theirs, state in zip(expected.hidden_states, output.hidden_states, strict=True):
        assert largest_difference(theirs, state) <= 1e-5
    assert largest_difference(expected.pooler_output, output.pooler_output) <= 1e-5


# -- The pieces, by hand -----------------------------------------------------------------------------------


def test_embeddings_are_summed_then_normalised():
    _, ours = library_and_ours("BertModel", **SMALL)
    part = ours.embeddings
    ids, segments = torch.tensor([[5, 9, 5]]), torch.tensor([[0, 0, 1]])
    rows = [
        part.word_embeddings.weight[piece] + part.token_type_embeddings.weight[segment] + position
        for piece, segment, position in zip(
            [5, 9, 5], [0, 0, 1], part.position_embeddings.weight[:3], strict=True
        )
    ]
    summed = torch.stack(rows)
    centred = summed - summed.mean(-1, keepdim=True)
    normalised = centred / (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
    expected = normalised * part.LayerNorm.weight + part.LayerNorm.bias
    assert largest_difference(part(ids, segments)[0], expected) <= 1e-5
    assert torch.equal(part(ids), part(ids, torch.zeros_like(ids)))


def test_attention_matches_loops_over_queries_and_keys():
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    key, value = torch.randn(2, 2, 3, 6, 5, generator=generator, dtype=torch.float64)
    mask = torch.rand(2, 1, 4, 6, generator=generator) < 0.6
    mask[..., 2] = True
    context, weights = bert.attention(query, key, value, mask)
    for row, head, i in [(row, head, i) for row in range(2) for head in range(3) for i in range(4)]:
        allowed = [j for j in range(6) if mask[row, 0, i, j]]
        scores = [float(query[row, head, i] @ key[row, head, j]) / 5**0.5 for j in allowed]
        exponentials = torch.tensor(scores, dtype=torch.float64).exp()
        shares = exponentials / exponentials.sum()
        assert torch.allclose(weights[row, head, i, allowed], shares)
        mean = sum(share * value[row, head, j] for share, j in zip(shares, allowed, strict=True))
        assert torch.allclose(context[row, head, i], mean)
    assert weights.masked_select(~mask.expand_as(weights)).eq(0).all()
    assert torch.allclose(context, F.scaled_dot_product_attention(query, key, value, attn_mask=mask))


def test_the_layer_is_post_norm_and_not_pre_norm():
    _, ours = library_and_ours("BertModel", **SMALL)
    layer, states = ours.encoder.layer[0], torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(2))
    output = layer(states)[0]
    attended = layer.attention.output.dense(layer.attention.self(states)[0])
    middle = layer.attention.output.LayerNorm(states + attended)
    wide = F.gelu(layer.intermediate.dense(middle))
    assert largest_difference(output, layer.output.LayerNorm(middle + layer.output.dense(wide))) <= 1e-6
    pre_norm = states + layer.attention.output.dense(
        layer.attention.self(layer.attention.output.LayerNorm(states))[0]
    )
    assert largest_difference(middle, pre_norm) > 0.1


def test_pooler_is_linear_and_tanh_of_the_first_token():
    _, ours = library_and_ours("BertModel", **SMALL)
    output = ours(**inputs_of(make_batch(61, 3, 6)))
    weight, bias = ours.pooler.dense.weight, ours.pooler.dense.bias
    expected = torch.tanh(output.last_hidden_state[:, 0] @ weight.T + bias)
    assert largest_difference(output.pooler_output, expected) <= 1e-6


def test_the_two_gelus_are_close_and_not_equal():
    x = torch.linspace(-8, 8, 100_001, dtype=torch.float64)
    exact = 0.5 * x * (1 + torch.erf(x / 2**0.5))
    difference = largest_difference(bert.ACTIVATIONS["gelu"](x), bert.ACTIVATIONS["gelu_new"](x))
    assert largest_difference(bert.ACTIVATIONS["gelu"](x), exact) <= 1e-12
    assert 4e-4 < difference < 5e-4


@pytest.mark.parametrize("name", bert.ACTIVATIONS)
def test_an_activation_is_what_the_library_calls_so(name):
    x = torch.linspace(-8, 8, 10_001, dtype=torch.float64)
    assert largest_difference(bert.ACTIVATIONS[name](x), transformers.activations.ACT2FN[name](x)) <= 1e-8


# -- Masks -------------------------------------------------------------------------------------------------


def test_a_three_axis_mask_equals_the_library_s_four_axis_mask():
    library, ours = library_and_ours("BertModel", **SMALL)
    ids = make_batch(61, 3, 12)["input_ids"]
    mask = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(4)) < 0.5
    mask |= torch.eye(12, dtype=torch.bool)
    added = torch.where(mask, 0.0, torch.finfo(torch.float32).min)[:, None]
    with torch.no_grad():
        expected = library(ids, attention_mask=added).last_hidden_state
        for explicit in (False, True):
            for form in (mask, mask.long()):
                output = ours(ids, form, output_attentions=explicit)
                assert largest_difference(expected, output.last_hidden_state) <= 1e-5


@pytest.mark.parametrize("output_attentions", [False, True], ids=["fused", "explicit"])
def test_under_a_causal_mask_later_tokens_change_no_earlier_bit(output_attentions):
    _, ours = library_and_ours("BertModel", **(SMALL | {"max_position_embeddings": 64}))
    ids = make_batch(61, 2, 40)["input_ids"]
    mask = masks.causal_mask(40).expand(2, 40, 40)
    with torch.no_grad():
        before = ours(ids, mask, output_attentions=output_attentions).last_hidden_state
        for changed in (1, 17, 39):
            other = ids.clone()
            other[:, changed] = (other[:, changed] + 1) % 61
            after = ours(other, mask, output_attentions=output_attentions).last_hidden_state
            assert torch.equal(before[:, :changed], after[:, :changed])
            assert (before[:, changed:] != after[:, changed:]).any(-1).all()


def test_what_stands_in_the_padding_does_not_matter():
    _, ours = library_and_ours("BertModel", **SMALL)
    ids = make_batch(61, 2, 20)["input_ids"]
    mask = masks.padding_mask([13, 20], 20)
    other = ids.clone()
    other[0, 13:] = (other[0, 13:] + 1) % 61
    with torch.no_grad():
        before, after = ours(ids, mask).last_hidden_state, ours(other, mask).last_hidden_state
        alone = ours(ids[:1, :13]).last_hidden_state
    assert torch.equal(before[0, :13], after[0, :13])
    assert largest_difference(before[:1, :13], alone) <= 1e-5


def test_a_mask_that_forbids_nothing_is_no_mask():
    _, ours = library_and_ours("BertModel", **SMALL)
    ids = make_batch(61, 2, 8)["input_ids"]
    plain = ours(ids).last_hidden_state
    for mask in (torch.ones(2, 8).long(), torch.ones(2, 8, 8).bool()):
        assert torch.equal(plain, ours(ids, mask).last_hidden_state)


# -- Sizes, configuration, initial weights -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "encoder_and_pooler", "with_heads"),
    [
        ("tiny", 4_385_920, 4_433_468),
        ("mini", 11_170_560, 11_267_900),
        ("small", 28_763_648, 29_058_876),
        ("medium", 41_373_184, 41_668_412),
        ("base", 109_482_240, 110_106_428),
        ("large", 335_141_888, 336_226_108),
    ],
)
def test_published_sizes_to_the_unit(name, encoder_and_pooler, with_heads):
    config = bert.BertConfig.named(name)
    with torch.device("meta"):
        model = bert.BertForPreTraining(config)
    assert bert.count_parameters(model.bert) == encoder_and_pooler
    assert bert.count_parameters(model) == with_heads


def test_shapes_flow_on_the_meta_device():
    with torch.device("meta"):
        model = bert.BertForPreTraining(bert.BertConfig.named("base"))
        ids = torch.zeros(2, 128, dtype=torch.long)
        output = model(ids, torch.ones_like(ids), ids, next_sentence_label=ids[:, 0])
    assert output.prediction_logits.shape == (2, 128, 30522)
    assert output.seq_relationship_logits.shape == (2, 2) and output.loss.shape == ()


def test_configuration_has_the_library_s_names_and_defaults():
    library = transformers.BertConfig()
    for field in dataclasses.fields(bert.BertConfig):
        assert getattr(library, field.name) == field.default, field.name


def test_configuration_travels_to_the_library_and_back():
    ours = bert.BertConfig(
        **SMALL, hidden_act="gelu_new", num_labels=5, classifier_dropout=0.3, pad_token_id=7
    )
    library = transformers.BertConfig(**ours.to_dict())
    for field in dataclasses.fields(ours):
        assert getattr(library, field.name) == getattr(ours, field.name), field.name
    assert bert.BertConfig.from_dict(json.loads(library.to_json_string(use_diff=False))) == ours
    assert bert.BertConfig.from_dict(ours.to_dict()) == ours


def test_named_sizes_take_overrides():
    config = bert.BertConfig.named("tiny", vocab_size=100, num_attention_heads=4)
    assert (config.vocab_size, config.num_attention_heads, config.hidden_size) == (100, 4, 128)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 25}, "hidden_size: expected a multiple of num_attention_heads=3, got 25"),
        ({"hidden_act": "swish"}, "hidden_act: expected one of gelu, .*gelu_new.* got 'swish'"),
        ({"vocab_size": 0}, "vocab_size: expected a whole number from 1, got 0"),
        ({"num_hidden_layers": 2.0}, "num_hidden_layers: expected a whole number from 1, got 2.0"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob: expected 0 <= hidden_dropout_prob < 1, got 1.5"),
        ({"attention_probs_dropout_prob": -0.1}, "attention_probs_dropout_prob: expected .* got -0.1"),
        ({"classifier_dropout": 2}, "classifier_dropout: expected .* got 2"),
        ({"layer_norm_eps": 0.0}, "layer_norm_eps: expected a finite number above 0, got 0.0"),
        ({"initializer_range": float("nan")}, "initializer_range: expected .* got nan"),
        ({"pad_token_id": 61}, "pad_token_id: expected None or 0 to 60, got 61"),
        ({"is_decoder": True}, "is_decoder: expected False, got True"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings: expected True, got False"),
        (
            {"position_embedding_type": "relative_key"},
            "position_embedding_type: expected 'absolute', got 'relative_key'",
        ),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads: expected {}, got {'0': .1.}"),
        ({"model_type": "roberta"}, "model_type: expected 'bert', got 'roberta'"),
    ],
)
def test_bad_configurations_are_refused_by_name(values, message):
    with pytest.raises(ValueError, match=message):
        bert.BertConfig.from_dict(SMALL | values)


def test_unknown_size_and_single_label_are_refused():
    with pytest.raises(ValueError, match="name: expected one of tiny, mini.* got 'huge'"):
        bert.BertConfig.named("huge")
    with pytest.raises(ValueError, match="num_labels: expected 2 or more, got 1"):
        bert.BertForSequenceClassification(bert.BertConfig(**SMALL, num_labels=1))


def test_initial_weights_and_ties():
    torch.manual_seed(0)
    config = bert.BertConfig(**(SMALL | {"vocab_size": 3000, "hidden_size": 96}), pad_token_id=3)
    model = bert.BertForPreTraining(config)
    words = model.bert.embeddings.word_embeddings.weight
    assert model.cls.predictions.decoder.weight is words
    assert model.cls.predictions.decoder.bias is model.cls.predictions.bias
    assert words[3].eq(0).all() and words[0].ne(0).any()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert parameter.eq(0).all(), name
        elif "LayerNorm" in name:
            assert parameter.eq(1).all(), name
        elif parameter.numel() > 2000:
            assert abs(parameter.std() / 0.02 - 1) < 0.1 and abs(parameter.mean()) < 2e-3, name
    torch.manual_seed(0)
    again = bert.BertForPreTraining(config)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_dropout_follows_the_seed_and_the_mode():
    _, ours = library_and_ours(**(SMALL | {"hidden_dropout_prob": 0.5}))
    batch = make_batch(61, 3, 9)

    def loss_with_seed(seed, **options):
        torch.manual_seed(seed)
        return ours(**batch, **options).loss

    assert loss_with_seed(0) == loss_with_seed(1)
    ours.train()
    assert loss_with_seed(0) == loss_with_seed(0)
    assert loss_with_seed(0) != loss_with_seed(1)


def test_both_attention_paths_drop_weights_in_training_only():
    _, ours = library_and_ours(
        "BertModel", **SMALL, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5
    )
    ids = make_batch(61, 3, 9)["input_ids"]
    for explicit in (False, True):
        still = ours.eval()(ids, output_attentions=explicit).last_hidden_state
        moved = ours.train()(ids, output_attentions=explicit).last_hidden_state
        assert largest_difference(still, moved) > 1e-2
    ones = torch.ones(1, 1, 20_000, 1)
    dropped, weights = bert.attention(ones, ones[:, :, :1], ones[:, :, :1], dropout_p=0.25)
    assert weights.eq(1).all()
    assert abs(dropped.eq(0).float().mean() - 0.25) < 0.02 and abs(dropped.mean() - 1) < 0.02


@pytest.mark.parametrize(
    "class_name", ["BertModel", "BertForSequenceClassification", "BertForTokenClassification"]
)
def test_dropout_stands_where_the_library_has_it(class_name):
    library, ours = library_and_ours(class_name, **SMALL, hidden_dropout_prob=0.3)
    inputs = inputs_of(make_batch(61, 3, 9))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = library.train()(**inputs)[0]
        torch.manual_seed(0)
        output = ours.train()(**inputs, output_attentions=True)
    drawn_alike = output.last_hidden_state if class_name == "BertModel" else output.logits
    assert largest_difference(expected, drawn_alike) <= 1e-5


def test_the_classifier_s_own_dropout_wins():
    config = bert.BertConfig(**SMALL, hidden_dropout_prob=0.2)
    assert bert.BertForSequenceClassification(config).dropout.p == 0.2
    config.classifier_dropout = 0.0
    assert bert.BertForTokenClassification(config).dropout.p == 0.0


def test_a_model_can_learn_one_batch_by_heart():
    torch.manual_seed(0)
    model = bert.BertForPreTraining(bert.BertConfig(**SMALL, **NO_DROPOUT))
    batch = make_batch(61, 4, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
    assert loss < 0.1


# -- Weights in and out ------------------------------------------------------------------------------------


def old_spelling(state_dict):
    """The names of the first checkpoints: gamma and beta, one copy of what is tied, a position buffer."""
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in state_dict.items()
        if not name.startswith("cls.predictions.decoder")
    }
    return old | {"bert.embeddings.position_ids": torch.arange(32)[None]}


def without_prefix(state_dict):
    return {name.removeprefix("bert."): tensor for name, tensor in state_dict.items()}


def fresh(class_name=PRETRAINING, **config):
    return getattr(bert, class_name)(bert.BertConfig(**(SMALL | config)))


@pytest.mark.parametrize(
    "spelling", [dict, old_spelling, without_prefix, lambda s: without_prefix(old_spelling(s))]
)
def test_every_dialect_of_a_checkpoint_loads(spelling):
    library, _ = library_and_ours(**SMALL)
    expected = library.state_dict()
    model = fresh()
    assert bert.load_weights(model, spelling(expected)) == ([], [])
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight


def test_a_bias_under_its_other_name_is_found():
    _, ours = library_and_ours(**SMALL)
    state_dict = ours.state_dict()
    expected = state_dict.pop("cls.predictions.bias").clone()
    model = fresh()
    bert.load_weights(model, state_dict)
    assert torch.equal(model.cls.predictions.bias, expected) and expected.ne(0).all()


@pytest.mark.parametrize(
    "class_name",
    [
        "BertModel",
        PRETRAINING,
        "BertForSequenceClassification",
        "BertForTokenClassification",
        "BertForQuestionAnswering",
    ],
)
def test_state_dicts_load_strictly_in_both_directions(class_name):
    library, ours = library_and_ours(class_name, **SMALL)  # library to ours: strict, in the helper
    assert set(library.state_dict()) == set(ours.state_dict())
    with torch.random.fork_rng():
        torch.manual_seed(9)
        other = getattr(transformers, class_name)(library.config).eval()
    other.load_state_dict(ours.state_dict())
    inputs = inputs_of(make_batch(61, 2, 10))
    with torch.no_grad():
        assert torch.equal(library(**inputs)[0], other(**inputs)[0])


def test_missing_heads_are_an_error_unless_allowed_and_always_reported():
    encoder, _ = library_and_ours("BertModel", **SMALL)
    classifier = fresh("BertForSequenceClassification")
    untouched = classifier.classifier.weight.clone()
    with pytest.raises(ValueError, match="missing: classifier.bias; missing: classifier.weight"):
        bert.load_weights(classifier, encoder.state_dict())
    report = bert.load_weights(classifier, encoder.state_dict(), allow_missing_heads=True)
    assert report == (["classifier.bias", "classifier.weight"], [])
    assert torch.equal(classifier.classifier.weight, untouched)
    assert torch.equal(classifier.bert.pooler.dense.weight, encoder.pooler.dense.weight)


def test_heads_that_the_model_lacks_are_reported():
    library, _ = library_and_ours(**SMALL)
    report = bert.load_weights(fresh("BertModel"), library.state_dict())
    assert report.missing_heads == [] and "cls.seq_relationship.weight" in report.unused_heads
    assert not any("decoder.weight" in name for name in report.unused_heads)  # tied: loaded as the embeddings
    report = bert.load_weights(
        fresh("BertForTokenClassification"), library.state_dict(), allow_missing_heads=True
    )
    assert "pooler.dense.bias" in report.unused_heads and "classifier.bias" in report.missing_heads


def damaged(change):
    state_dict = {name: tensor.clone() for name, tensor in fresh().state_dict().items()}
    change(state_dict)
    return state_dict


QUERY = "bert.encoder.layer.1.attention.self.query.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(QUERY), "missing: encoder.layer.1.attention.self.query.weight"),
        (
            lambda s: s.update({"bert.encoder.layer.2.output.dense.bias": torch.ones(24)}),
            "unknown: encoder.layer.2",
        ),
        (lambda s: s.update({"roberta.x": torch.ones(1)}), "unknown: roberta.x"),
        (lambda s: s.update({QUERY: torch.ones(24, 8)}), r"query.weight: expected \(24, 24\), got \(24, 8\)"),
        (lambda s: s[QUERY].fill_(float("nan")), "not finite: encoder.layer.1.attention.self.query.weight"),
        (lambda s: s["cls.predictions.decoder.weight"].add_(1), "broken tie: cls.predictions.decoder.weight"),
        (lambda s: s.update({QUERY.removeprefix("bert."): s[QUERY]}), "given twice: encoder.layer.1"),
        (lambda s: s.pop("bert.pooler.dense.bias"), "missing: pooler.dense.bias"),
    ],
)
def test_damaged_checkpoints_are_refused_by_name_and_change_nothing(change, message):
    model = fresh()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        bert.load_weights(model, damaged(change))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_all_problems_are_named_at_once():
    def change(state_dict):
        del state_dict[QUERY]
        state_dict["bert.pooler.dense.bias"] = torch.ones(3)

    with pytest.raises(
        ValueError,
        match=r"(?s)missing: .*query.weight.*shape of pooler.dense.bias: expected \(24,\), got \(3,\)",
    ):
        bert.load_weights(fresh(), damaged(change))


PADDED = {
    "right": [[2, 5, 9, 3], [2, 7, 3, 0]],
    "left": [[2, 5, 9, 3], [0, 2, 7, 3]],
    "none": [[2, 5, 9, 3], [2, 0, 7, 3]],
    "only": [[0, 0, 0, 0]],
}


@pytest.mark.parametrize("side", PADDED)
def test_padding_without_a_mask_is_told_once(side):
    _, ours = library_and_ours("BertModel", **SMALL)
    ids = torch.tensor(PADDED[side])
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("default")
        for _ in range(2):
            ours(ids)
        told = [str(note.message) for note in notes]
        ours(ids, masks.padding_mask([4] * len(ids), 4).long())
    assert len(notes) == len(told) == (side in ("left", "right"))
    assert all("input_ids has padding (0) and there is no attention_mask" in text for text in told)


def test_without_a_padding_id_there_is_no_padding(recwarn):
    bert.BertModel(bert.BertConfig(**SMALL | {"pad_token_id": None}))(torch.tensor(PADDED["right"]))
    with torch.device("meta"):
        bert.BertModel(bert.BertConfig(**SMALL))(torch.tensor(PADDED["right"]))
    assert not recwarn.list


# -- Bad input ---------------------------------------------------------------------------------------------

IDS = torch.tensor([[2, 5, 9, 3], [2, 7, 3, 0]])
EMPTY_ROW = masks.bidirectional_mask(4).expand(2, 4, 4).clone()
EMPTY_ROW[1, 2] = False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"input_ids": torch.tensor([[2, 61]])},
            r"input_ids: expected 0 to 60 \(vocab_size - 1\), got 61",
        ),
        ({"input_ids": torch.tensor([[2, -1]])}, "input_ids: expected 0 to 60 .*, got -1"),
        ({"input_ids": torch.zeros(1, 33).long()}, "input_ids: expected 1 to 32 positions .* got 33"),
        ({"input_ids": torch.zeros(2, 0).long()}, r"input_ids: expected a shape .* got \(2, 0\)"),
        (
            {"input_ids": torch.zeros(4).long()},
            r"input_ids: expected a shape \(batch, seq_len\).* got \(4,\)",
        ),
        (
            {"input_ids": IDS.float()},
            "input_ids: expected the dtype torch.int64 or torch.int32, got torch.float32",
        ),
        ({"token_type_ids": IDS.clamp(max=2)}, "token_type_ids: expected 0 to 1 .* got 2"),
        (
            {"token_type_ids": torch.zeros(2, 3).long()},
            r"token_type_ids: expected the shape \(2, 4\) .* got \(2, 3\)",
        ),
        ({"token_type_ids": IDS.bool()}, "token_type_ids: expected the dtype .* got torch.bool"),
        (
            {"attention_mask": torch.ones(2, 5).long()},
            r"attention_mask: expected the shape \(2, 4\) or .* got \(2, 5\)",
        ),
        ({"attention_mask": torch.ones(2, 4)}, "attention_mask: expected bool.* got torch.float32"),
        ({"attention_mask": IDS}, "attention_mask: expected 0 or 1, got 9"),
        ({"attention_mask": EMPTY_ROW}, "attention_mask, batch 1, row 2: expected at least one key"),
        (
            {"attention_mask": torch.tensor([[0] * 4, [1] * 4])},
            "attention_mask, batch 0, row 0: expected at least one",
        ),
        ({"labels": torch.full((2, 4), 61)}, "labels: expected 0 to 60, or -100 for no label, got 61"),
        ({"labels": torch.full((2, 4), -1)}, "labels: expected 0 to 60, or -100 for no label, got -1"),
        ({"labels": torch.zeros(8).long()}, r"labels: expected the shape \(2, 4\) .* got \(8,\)"),
        ({"labels": torch.zeros(2, 4)}, "labels: expected the dtype .* got torch.float32"),
        (
            {"next_sentence_label": torch.tensor([0, 2])},
            "next_sentence_label: expected 0 to 1, or -100 .* got 2",
        ),
        (
            {"next_sentence_label": torch.tensor([0, -1])},
            "next_sentence_label: expected 0 to 1, or -100 .* got -1",
        ),
        (
            {"next_sentence_label": torch.tensor([0])},
            r"next_sentence_label: expected the shape \(2,\) .* got \(1,\)",
        ),
    ],
)
def test_bad_input_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        fresh()(**({"input_ids": IDS} | arguments))


def test_the_513th_position_is_refused():
    with pytest.raises(ValueError, match="input_ids: expected 1 to 512 positions .* got 513"):
        fresh(max_position_embeddings=512)(torch.zeros(1, 513, dtype=torch.long))


@pytest.mark.parametrize(
    ("class_name", "arguments", "message"),
    [
        (
            "BertForSequenceClassification",
            {"labels": torch.tensor([0, 2])},
            "labels: expected 0 to 1, .* got 2",
        ),
        (
            "BertForSequenceClassification",
            {"labels": torch.zeros(2, 4).long()},
            r"labels: expected the shape \(2,\) .* got \(2, 4\)",
        ),
        ("BertForTokenClassification", {"labels": IDS}, "labels: expected 0 to 1, or -100 .* got 9"),
        (
            "BertForTokenClassification",
            {"labels": torch.tensor([0, 1])},
            r"labels: expected the shape \(2, 4\) .* got \(2,\)",
        ),
        (
            "BertForQuestionAnswering",
            {"start_positions": torch.tensor([0, 1])},
            "positions: expected both .* got only start_positions",
        ),
        (
            "BertForQuestionAnswering",
            {"end_positions": torch.tensor([0, 1])},
            "positions: expected both .* got only end_positions",
        ),
        (
            "BertForQuestionAnswering",
            {"start_positions": torch.tensor([0, -1]), "end_positions": torch.tensor([1, 1])},
            "start_positions: expected 0 to 3, or more .* got -1",
        ),
        (
            "BertForQuestionAnswering",
            {"start_positions": torch.tensor([0, 1]), "end_positions": torch.tensor([1])},
            r"end_positions: expected the shape \(2,\) .* got \(1,\)",
        ),
    ],
)
def test_bad_labels_of_the_heads_are_refused_by_name(class_name, arguments, message):
    with pytest.raises(ValueError, match=message):
        fresh(class_name)(IDS, **arguments)


def test_int32_ids_are_as_good_as_int64():
    _, ours = library_and_ours(**SMALL)
    batch = make_batch(61, 2, 6)
    assert torch.equal(
        ours(**batch).loss, ours(**{name: tensor.int() for name, tensor in batch.items()}).loss
    )


# ------------------------------------------------------------------ moves, and weights that are none


@pytest.mark.parametrize("move", ["meta", "assign", "double"])
def test_the_decoder_stays_tied_wherever_the_model_goes(move):
    model = bert.BertForPreTraining(bert.BertConfig(30, 16, 1, 2, 32))
    count = sum(p.numel() for p in model.parameters())
    if move == "meta":
        model = model.to("meta").to_empty(device="cpu")
    elif move == "assign":
        model.load_state_dict({name: t.clone() for name, t in model.state_dict().items()}, assign=True)
    else:
        model = model.double()
    predictions = model.cls.predictions
    assert predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    assert predictions.bias is predictions.decoder.bias
    assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64])
def test_numbers_that_are_no_weights_are_refused(dtype):
    model = bert.BertModel(bert.BertConfig(30, 16, 1, 2, 32))
    weights = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"dtype of .*: expected floating-point numbers, got {dtype}"):
        bert.load_weights(model, weights)
    half = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()}
    bert.load_weights(model, half)


def test_an_answer_that_ends_before_it_begins_is_refused():
    model = bert.BertForQuestionAnswering(bert.BertConfig(30, 16, 1, 2, 32))
    start, end = torch.tensor([1, 3]), torch.tensor([2, 2])
    with pytest.raises(ValueError, match=r"end_positions\[1\]: expected start_positions\[1\]=3 .*, got 2"):
        model(torch.ones(2, 5, dtype=torch.long), start_positions=start, end_positions=end)


def test_lists_are_what_the_courses_own_tokenizer_gives():
    """Lists, NumPy arrays and tensors give the same numbers."""
    model = bert.BertForPreTraining(bert.BertConfig(30, 16, 1, 2, 32)).eval()
    ids, mask = [[1, 2, 3], [4, 5, 0]], [[1, 1, 1], [1, 1, 0]]
    expected = model(torch.tensor(ids), torch.tensor(mask), labels=torch.tensor(ids))
    for kind in (list, numpy.array):
        output = model(kind(ids), attention_mask=kind(mask), labels=kind(ids))
        assert torch.equal(output.prediction_logits, expected.prediction_logits)
        assert torch.equal(output.loss, expected.loss)


@pytest.mark.parametrize("kind", [list, numpy.array])
@pytest.mark.parametrize(
    "name", ["PreTraining", "SequenceClassification", "TokenClassification", "QuestionAnswering"]
)
def test_what_a_model_with_a_head_passes_on_may_be_lists_too(name, kind):
    """By name, through `**options`, as the library's users write it."""
    model = getattr(bert, f"BertFor{name}")(bert.BertConfig(30, 16, 1, 2, 32)).eval()
    inputs = {
        "input_ids": [[1, 2, 3], [4, 5, 0]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
        "token_type_ids": [[0, 0, 1], [0, 1, 1]],
    }
    expected = model(**{key: torch.tensor(value) for key, value in inputs.items()}, output_attentions=True)
    output = model(**{key: kind(value) for key, value in inputs.items()}, output_attentions=True)
    assert expected.attentions is not None
    for left, right in zip(vars(expected).values(), vars(output).values(), strict=True):
        assert left is right is None or all(map(torch.equal, left, right))
    with pytest.raises(ValueError, match="output_attentions: expected .*, got 'yes'"):
        model(inputs["input_ids"], output_attentions="yes")


@pytest.mark.parametrize(
    "place", ["bert", "bert.encoder", "bert.encoder.layer.0", "bert.encoder.layer.0.attention.self"]
)
def test_hooks_see_what_selected_positions_are_scored_from(place):
    """A head that is silenced by a hook in the last layer is silent there too."""
    model = bert.BertForPreTraining(bert.BertConfig(30, 16, 1, 2, 32)).eval()
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    labels = torch.tensor([[-100, 2, -100], [4, -100, -100]])
    seen = []
    handle = model.get_submodule(place).register_forward_hook(lambda *_: seen.append(1))
    scores, pairs = model.score_selected(ids, labels=labels)
    whole = model(ids)
    assert len(seen) == 2
    handle.remove()
    torch.testing.assert_close(scores, whole.prediction_logits[labels != -100])
    torch.testing.assert_close(pairs, whole.seq_relationship_logits)
    model.score_selected(ids, labels=labels)
    assert len(seen) == 2
