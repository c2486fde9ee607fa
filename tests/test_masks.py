"""Masks against brute force: two nested loops that ask, for each pair, "may i look at j?"."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import masks

LENGTHS = st.integers(1, 12)


@st.composite
def padded_batches(draw):
    seq_len = draw(LENGTHS)
    return draw(st.lists(st.integers(1, seq_len), min_size=1, max_size=4)), seq_len


def table(rows, columns, rule):
    """The mask of a rule, by asking it about every pair."""
    return torch.tensor([[rule(i, j) for j in range(columns)] for i in range(rows)])


@given(LENGTHS)
def test_bidirectional_and_causal_match_their_rules(seq_len):
    assert torch.equal(masks.bidirectional_mask(seq_len), table(seq_len, seq_len, lambda i, j: True))
    assert torch.equal(masks.causal_mask(seq_len), table(seq_len, seq_len, lambda i, j: j <= i))


@given(padded_batches())
def test_padding_mask_marks_the_real_tokens(batch):
    lengths, seq_len = batch
    expected = table(len(lengths), seq_len, lambda row, j: j < lengths[row])
    assert torch.equal(masks.padding_mask(lengths, seq_len), expected)
    assert torch.equal(masks.padding_mask(torch.tensor(lengths), seq_len), expected)


@given(padded_batches(), st.booleans())
def test_combine_allows_what_both_allow(batch, as_integers):
    lengths, seq_len = batch
    padding = masks.padding_mask(lengths, seq_len)
    causal = masks.causal_mask(seq_len)
    rows = causal.expand(len(lengths), seq_len, seq_len)
    expected = torch.stack([table(seq_len, seq_len, lambda i, j, n=n: j <= i and j < n) for n in lengths])
    if as_integers:
        causal, padding = causal.int(), padding.long()
    combined = masks.combine(causal, padding)
    assert combined.dtype == torch.bool
    assert torch.equal(combined, expected)
    assert torch.equal(masks.combine(rows, padding), expected)


def test_bias_is_zero_where_allowed_and_a_weight_of_exactly_zero_elsewhere():
    mask = masks.causal_mask(5)
    bias = masks.to_attention_bias(mask)
    assert bias.dtype == torch.float32
    assert bias[mask].eq(0).all() and bias[~mask].eq(-torch.inf).all()
    weights = (torch.randn(5, 5, generator=torch.Generator().manual_seed(0)) + bias).softmax(-1)
    assert weights[~mask].eq(0).all() and weights[mask].gt(0).all()
    assert masks.to_attention_bias(mask, torch.float64).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64])
def test_check_mask_reads_every_accepted_form(dtype):
    padding = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert torch.equal(masks.check_mask(padding.to(dtype), 2, 3), padding.bool()[:, None, :])
    causal = masks.causal_mask(3).expand(2, 3, 3)
    assert torch.equal(masks.check_mask(causal.to(dtype), 2, 3), causal)


def empty_row():
    mask = torch.ones(2, 3, 3, dtype=torch.bool)
    mask[1, 2] = False
    return mask


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: masks.bidirectional_mask(0), "seq_len: expected a whole number from 1, got 0"),
        (lambda: masks.causal_mask(-3), "seq_len: expected a whole number from 1, got -3"),
        (lambda: masks.padding_mask([2, 5], 4), r"lengths\[1\]: expected 1 to seq_len=4, got 5"),
        (lambda: masks.padding_mask([0, 1], 4), r"lengths\[0\]: expected 1 to seq_len=4, got 0"),
        (lambda: masks.padding_mask([[1]], 4), r"lengths: expected .* got the shape \(1, 1\)"),
        (lambda: masks.padding_mask([1.0], 4), "lengths: expected whole numbers .*torch.float32"),
        (lambda: masks.padding_mask([], 4), r"lengths: expected .* got the shape \(0,\)"),
        (lambda: masks.combine(masks.causal_mask(3), torch.ones(3)), r"padding: expected .* got \(3,\)"),
        (lambda: masks.combine(masks.causal_mask(3), torch.ones(2, 4)), r"mask: expected .* got \(3, 3\)"),
        (lambda: masks.combine(torch.ones(3, 4, 4), torch.ones(2, 4)), r"mask: expected .* got \(3, 4, 4\)"),
        (
            lambda: masks.combine(masks.causal_mask(2), torch.tensor([[1, 1], [0, 1]])),
            "batch 1, row 0: expected at least one key",
        ),
        (
            lambda: masks.check_mask(torch.ones(2, 3), 2, 3),
            "expected bool, or integers .* got torch.float32",
        ),
        (lambda: masks.check_mask(torch.full((2, 3), 2), 2, 3), "attention_mask: expected 0 or 1, got 2"),
        (
            lambda: masks.check_mask(torch.full((2, 3), -1), 2, 3),
            "attention_mask: expected 0 or 1, got -1",
        ),
        (lambda: masks.check_mask(masks.causal_mask(3), 2, 3), r"the shape \(2, 3\) or .* got \(3, 3\)"),
        (
            lambda: masks.check_mask(torch.ones(2, 1, 3).int(), 2, 3),
            r"the shape \(2, 3\) or .* got \(2, 1, 3\)",
        ),
        (
            lambda: masks.check_mask(empty_row(), 2, 3),
            "attention_mask, batch 1, row 2: expected at least one",
        ),
        (
            lambda: masks.check_mask(torch.tensor([[1, 1], [0, 0]]), 2, 2),
            "attention_mask, batch 1, row 0: expected",
        ),
        (lambda: masks.to_attention_bias(empty_row()), "mask, batch 1, row 2: expected at least one key"),
        (
            lambda: masks.to_attention_bias(empty_row()[1]),
            "mask, row 2: expected at least one key to attend to, got none",
        ),
        (
            lambda: masks.to_attention_bias(masks.causal_mask(2), torch.int64),
            "dtype: expected a floating dtype, got torch.int64",
        ),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_one_triangle_for_a_batch_of_as_many_rows_is_refused():
    """Read as padding it would forbid all but the first token to row 0, and nothing to the last."""
    with pytest.raises(ValueError, match=r"attention_mask: expected the shape \(4, 4, 4\) .*, got \(4, 4\)"):
        masks.check_mask(masks.causal_mask(4), 4, 4)
    longer = masks.padding_mask([2, 2, 3, 4], 4)
    assert masks.check_mask(longer, 4, 4).equal(longer[:, None])


def test_a_mask_without_values_is_checked_for_its_shape_alone():
    with torch.device("meta"):
        mask = torch.ones(2, 3, dtype=torch.long)
    assert masks.check_mask(mask, 2, 3).shape == (2, 1, 3)
