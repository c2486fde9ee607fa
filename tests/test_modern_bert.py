"""The modern encoder against the library's ModernBERT at one end, our BERT at the other, and closed forms."""

import dataclasses
import json
import math

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_utils import bert, masks, modern_bert
from course_utils.modern_bert import ModernBertConfig, ModernBertForMaskedLM, ModernBertModel

SMALL = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "local_attention": 6,
}
SPECIAL = {name: 1 for name in ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")}
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def shaken(model, seed=0):
    """No weight is 0 or 1 any more, so that each one matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def library_and_ours(name="ModernBertModel", seed=0, **values):
    """The library's model and ours with the same weights, and the settings as a config.json has them."""
    theirs = transformers.ModernBertConfig(**values, **SPECIAL, attn_implementation="sdpa")
    library = shaken(getattr(transformers, name)(theirs), seed)
    stored = json.loads(theirs.to_json_string(use_diff=False))
    ours = getattr(modern_bert, {"ModernBertModel": name}.get(name, "ModernBertForMaskedLM"))
    ours = ours(ModernBertConfig.from_dict(stored)).eval()
    ours.load_state_dict(library.state_dict())
    return library, ours


def batch_of(vocab_size, batch, seq_len, seed=0):
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(0, vocab_size, (batch, seq_len), generator=generator)
    lengths = torch.randint(0, seq_len, (batch,), generator=generator).sort(descending=True).values + 1
    return input_ids, masks.padding_mask(lengths, seq_len)


@st.composite
def configurations(draw):
    heads = draw(st.integers(1, 4))
    biases = draw(st.booleans())
    return {
        "vocab_size": draw(st.integers(2, 100)),
        "hidden_size": heads * 2 * draw(st.integers(1, 6)),
        "intermediate_size": draw(st.integers(1, 40)),
        "num_hidden_layers": draw(st.integers(1, 5)),
        "num_attention_heads": heads,
        "max_position_embeddings": 64,
        "pad_token_id": draw(st.integers(0, 1)),
        "local_attention": draw(st.integers(1, 20)),
        "global_attn_every_n_layers": draw(st.integers(1, 4)),
        "global_rope_theta": draw(st.sampled_from([160_000.0, 500.0])),
        "local_rope_theta": draw(st.sampled_from([10_000.0, 50.0])),
        **dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), biases),
    }


@SLOW
@given(configurations(), st.integers(1, 4), st.integers(1, 40), st.integers(0, 99))
def test_hidden_states_equal_the_library(values, batch, seq_len, seed):
    library, ours = library_and_ours(seed=seed, **values)
    input_ids, mask = batch_of(values["vocab_size"], batch, seq_len, seed)
    with torch.no_grad():
        expected = library(input_ids, attention_mask=mask.long()).last_hidden_state[mask]
        padded = ours(input_ids, mask)[mask]
        packed = ours.forward_packed(*modern_bert.pack(input_ids, mask))
    assert (padded - expected).abs().max() <= 1e-5
    assert (packed - expected).abs().max() <= 1e-5


def test_scores_and_gradients_equal_the_library():
    library, ours = library_and_ours("ModernBertForMaskedLM", **SMALL)
    input_ids, mask = batch_of(61, 5, 21)
    labels = torch.where(mask & (torch.rand(5, 21) < 0.4), input_ids, -100)
    labels[0, 0] = 7
    theirs = library(input_ids, attention_mask=mask.long(), labels=labels)
    loss = ours.loss(input_ids, mask, labels)
    assert (theirs.logits - ours(input_ids, mask))[mask].abs().max() <= 1e-5
    assert abs(theirs.loss - loss) <= 1e-5
    theirs.loss.backward()
    loss.backward()
    expected = {name: parameter.grad for name, parameter in library.named_parameters()}
    for name, parameter in ours.named_parameters():
        assert (expected[name] - parameter.grad).abs().max() <= 1e-4, name


def test_weights_go_back_to_the_library():
    library, ours = library_and_ours("ModernBertForMaskedLM", **SMALL)
    fresh = transformers.ModernBertForMaskedLM(library.config)
    assert fresh.load_state_dict(shaken(ours, seed=5).state_dict()) == ([], [])
    input_ids, mask = batch_of(61, 3, 12)
    with torch.no_grad():
        theirs = fresh.eval()(input_ids, attention_mask=mask.long()).logits
        assert (theirs - ours(input_ids, mask))[mask].abs().max() <= 1e-5


# -- The other end: BERT -----------------------------------------------------------------------------------


@SLOW
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3), st.integers(0, 99))
def test_without_the_changes_it_is_our_bert(heads, head_size, layers, seed):
    config = bert.BertConfig(
        vocab_size=50,
        hidden_size=heads * head_size,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        intermediate_size=11,
        max_position_embeddings=30,
    )
    old = shaken(bert.BertModel(config), seed)
    new = ModernBertModel(modern_bert.as_bert(config)).eval()
    new.load_state_dict(modern_bert.weights_of_bert(old.state_dict()))
    input_ids, mask = batch_of(50, 4, 17, seed)
    with torch.no_grad():
        expected = old(input_ids, mask).last_hidden_state[mask]
        assert (new(input_ids, mask)[mask] - expected).abs().max() <= 1e-5
        packed = new.forward_packed(*modern_bert.pack(input_ids, mask))
    assert (packed - expected).abs().max() <= 1e-5


CHANGES = {
    "pre_norm": False,
    "rotary": False,
    "gated": False,
    "biases": True,
    "global_every": 1,
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_changes_the_result(name):
    input_ids, _ = batch_of(61, 2, 20)
    states = []
    for values in ({}, {name: CHANGES[name]}):
        model = shaken(ModernBertModel(ModernBertConfig(**SMALL | values)))
        states.append(model(input_ids))
    assert (states[0] - states[1]).abs().max() > 1e-3


# -- Closed forms ------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(0, 30), st.integers(0, 30), st.integers(0, 500))
@settings(deadline=None)
def test_rotated_dot_products_depend_on_the_distance_alone(half, i, j, shift):
    generator = torch.Generator().manual_seed(half)
    query, key = torch.randn(2, 1, 2 * half, generator=generator, dtype=torch.float64)

    def product(at, other):
        turned = modern_bert.rotate(query, torch.tensor([at]), 100.0)
        return float(turned @ modern_bert.rotate(key, torch.tensor([other]), 100.0).T)

    assert product(i, j) == pytest.approx(product(i + shift, j + shift), abs=1e-4 * (1 + shift) / 30)
    turned = modern_bert.rotate(query, torch.tensor([i]), 100.0)
    assert float(turned.norm()) == pytest.approx(float(query.norm()), rel=1e-6)


def test_rotation_by_hand():
    """With two numbers the angle is the position, in radians."""
    turned = modern_bert.rotate(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 2]), 10_000.0)
    expected = torch.tensor([[1.0, 0.0], [math.cos(2), math.sin(2)]])
    assert torch.allclose(turned, expected, atol=1e-6)


def test_a_neighbourhood_is_a_band():
    for seq_len in range(1, 9):
        for width in range(1, 20):
            band = modern_bert.neighbourhood(seq_len, width)
            expected = [[abs(i - j) <= width // 2 for j in range(seq_len)] for i in range(seq_len)]
            assert band.tolist() == expected


@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 3))
@settings(deadline=None)
def test_blocks_give_what_the_band_gives(seq_len, reach, heads):
    generator = torch.Generator().manual_seed(seq_len)
    query, key, value = torch.randn(3, 2, heads, seq_len, 4, generator=generator)
    band = modern_bert.neighbourhood(seq_len, 2 * reach)
    expected, _ = bert.attention(query, key, value, band)
    got = modern_bert.attention_in_blocks(query, key, value, reach)
    assert (got - expected).abs().max() <= 1e-5


def test_no_token_sees_another_sequence_of_the_pack():
    model = shaken(ModernBertModel(ModernBertConfig(**SMALL)))
    input_ids, lengths = torch.arange(1, 19), [5, 1, 12]
    changed = input_ids.clone()
    changed[5] = 40
    one, other = model.forward_packed(input_ids, lengths), model.forward_packed(changed, lengths)
    different = (one != other).any(dim=1)
    assert different.tolist() == [i == 5 for i in range(18)]


# -- What is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model_type": "bert"}, "model_type"),
        ({"hidden_activation": "relu"}, "hidden_activation"),
        ({"mlp_dropout": 0.1}, "mlp_dropout"),
        ({"attention_bias": True}, "mlp_bias"),
        ({"decoder_bias": False}, "decoder_bias"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "layer_types"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "rope_parameters"),
    ],
)
def test_another_network_is_refused(values, words):
    stored = json.loads(transformers.ModernBertConfig(**SMALL, **SPECIAL).to_json_string(use_diff=False))
    with pytest.raises(ValueError, match=words):
        ModernBertConfig.from_dict(stored | values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda model, ids: model(ids[0]), "input_ids"),
        (lambda model, ids: model(ids + 61), "input_ids"),
        (lambda model, ids: model.forward_packed(ids, [9]), "input_ids"),
        (lambda model, ids: model.forward_packed(ids[0], [4, 4]), "lengths"),
        (lambda model, ids: model.forward_packed(ids[0], [9, 0]), "lengths"),
        (lambda model, ids: modern_bert.pack(ids, (ids > -1).flip(0).triu()), "attention_mask"),
        (lambda model, ids: modern_bert.pack(ids, ids < 0), "attention_mask"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    model = ModernBertModel(ModernBertConfig(**SMALL))
    with pytest.raises(ValueError, match=f"^{words}"):
        change(model, batch_of(61, 2, 9)[0])


def test_a_table_of_positions_ends_and_rotary_positions_do_not():
    input_ids = torch.ones(1, 41, dtype=torch.long)
    ModernBertModel(ModernBertConfig(**SMALL))(input_ids)
    with pytest.raises(ValueError, match="1 to 40 positions"):
        ModernBertModel(ModernBertConfig(**SMALL, rotary=False))(input_ids)


def test_odd_heads_cannot_be_rotated():
    with pytest.raises(ValueError, match="an even number for each head, got 5"):
        ModernBertConfig(hidden_size=15, num_attention_heads=3)
    ModernBertConfig(hidden_size=15, num_attention_heads=3, rotary=False)


@given(st.booleans(), st.integers(1, 3), st.integers(1, 12), st.lists(st.integers(1, 12), min_size=1))
@settings(deadline=None, max_examples=30)
def test_flops_are_what_torch_counts_and_the_band_allows(gated, layers, window, lengths):
    sizes = SMALL | {"num_hidden_layers": layers, "gated": gated, "local_attention": window}
    everywhere = ModernBertConfig(**sizes, global_every=1)
    input_ids = torch.ones(sum(lengths), dtype=torch.long)
    # The fused kernel hides its products from the counter; written out they are seen.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        ModernBertModel(everywhere).forward_packed(input_ids, lengths)
    assert modern_bert.matmul_flops(everywhere, lengths) == counter.get_total_flops()
    local = dataclasses.replace(everywhere, global_every=2)
    missing = sum(n * n - int(modern_bert.neighbourhood(n, window).sum()) for n in lengths)
    saved = 4 * local.hidden_size * missing * (layers // 2)
    assert modern_bert.matmul_flops(local, lengths) == counter.get_total_flops() - saved


def test_base_has_as_many_parameters_as_the_library_gives_it():
    with torch.device("meta"):
        ours = ModernBertForMaskedLM(ModernBertConfig())
        library = transformers.ModernBertForMaskedLM(transformers.ModernBertConfig())
    assert bert.count_parameters(ours) == sum(p.numel() for p in library.parameters())
