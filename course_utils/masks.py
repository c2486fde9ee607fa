"""Attention masks: which token may attend to which.

One convention holds everywhere in this course:

    `True` means "may attend". Rows are queries, columns are keys.

So `mask[i, j]` answers "may token i attend to token j?". The same weights under three masks behave as three
different models: a bidirectional mask gives BERT, a causal mask gives a left-to-right model, and a padding
mask keeps either of them from reading the filler at the end of a short row.
"""

import torch
from torch import Tensor

from course_utils.checks import refusal
from course_utils.hints import Count, Mask, hold_to_hints

WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def bidirectional_mask(seq_len: Count) -> Tensor:
    """Every token may attend to every token, itself included: all `True`, bool `(seq_len, seq_len)`.

    Source: Devlin et al. 2018 (arXiv 1810.04805), section 3 and figure 3.
    """
    return torch.ones(seq_len, seq_len, dtype=torch.bool)


def causal_mask(seq_len: Count) -> Tensor:
    """Token i may attend to tokens 0..i: a lower triangle of `True`, bool `(seq_len, seq_len)`.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2.3.
    """
    return bidirectional_mask(seq_len).tril()


def padding_mask(lengths: Tensor | list[int], seq_len: Count) -> Tensor:
    """`True` at the real tokens of each row, `False` at the padding behind them.

    Args:
        lengths: number of real tokens of each row, `(batch,)`, each from 1 to `seq_len`.
        seq_len: width of the padded batch.

    Returns:
        bool `(batch, seq_len)`: the `attention_mask` that a tokenizer delivers.
    """
    lengths = torch.as_tensor(lengths)
    if lengths.dim() != 1 or lengths.numel() == 0 or lengths.dtype not in WHOLE:
        got = f"the shape {tuple(lengths.shape)} and {lengths.dtype}"
        raise refusal("lengths", "whole numbers of shape (batch,)", got)
    wrong = (lengths < 1) | (lengths > seq_len)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise refusal(f"lengths[{row}]", f"1 to seq_len={seq_len}", int(lengths[row]))
    return torch.arange(seq_len, device=lengths.device) < lengths[:, None]


def combine(mask: Tensor, padding: Tensor) -> Tensor:
    """Allow attention only where both masks do: the rule of `mask`, and never to padding.

    The rows of padding tokens stay in the result (what they compute is never used), so they too need
    something to attend to. Under a causal mask, padding on the right leaves them the first token; padding on
    the left leaves them nothing and is refused.

    Args:
        mask: `(query_len, key_len)` or `(batch, query_len, key_len)`, as from `causal_mask`.
        padding: `(batch, key_len)`, as from `padding_mask`.

    Returns:
        bool `(batch, query_len, key_len)`.

    Raises:
        ValueError: on shapes that do not fit, or when a query would be left without any key.
    """
    if padding.dim() != 2:
        raise refusal("padding", "a shape (batch, key_len)", tuple(padding.shape))
    batch, key_len = padding.shape
    if mask.dim() not in (2, 3) or mask.shape[-1] != key_len or (mask.dim() == 3 and mask.shape[0] != batch):
        shapes = f"(query_len, {key_len}) or ({batch}, query_len, {key_len}), as padding has it"
        raise refusal("mask", shapes, tuple(mask.shape))
    both = _as_bool("mask", mask) & _as_bool("padding", padding)[:, None, :]
    refuse_empty_rows("mask combined with padding", both)
    return both


def check_mask(attention_mask: Tensor, batch: Count, seq_len: Count) -> Tensor:
    """Read the `attention_mask` of a model call and refuse what would end in nonsense or NaN.

    Args:
        attention_mask: bool or 0/1 integers; either `(batch, seq_len)`: the same keys for every query, or
            `(batch, seq_len, seq_len)`: one row of keys for each query.
        batch, seq_len: the shape of the `input_ids` that it goes with.

    Two axes always mean `(batch, seq_len)`. One causal mask for a whole batch needs its third axis:
    `causal_mask(seq_len).expand(batch, seq_len, seq_len)`. Where `batch` is `seq_len` its two axes
    would pass for padding, so there a triangle is refused.

    Returns:
        bool `(batch, 1, seq_len)` or `(batch, seq_len, seq_len)`: the middle axis goes over queries.

    Raises:
        ValueError: on a wrong shape, dtype or value, or a query with no key to attend to (named by row).
    """
    if attention_mask.shape not in ((batch, seq_len), (batch, seq_len, seq_len)):
        shapes = f"the shape {(batch, seq_len)} or {(batch, seq_len, seq_len)} to go with input_ids"
        raise refusal("attention_mask", shapes, tuple(attention_mask.shape))
    mask = _as_bool("attention_mask", attention_mask)
    if mask.dim() == 2:
        if batch == seq_len > 1 and not mask.is_meta and mask.equal(mask.new_ones(mask.shape).tril()):
            shape = f"the shape {(batch, seq_len, seq_len)} for a causal mask"
            raise refusal("attention_mask", shape, (batch, seq_len), "expand it: two axes mean padding")
        mask = mask[:, None, :]
    refuse_empty_rows("attention_mask", mask)
    return mask


def to_attention_bias(mask: Mask, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn "may attend" into a number to add to the attention scores: 0 where allowed, -inf where not.

    After the softmax a score of -inf is a weight of exactly 0, since exp(-inf) = 0. A row of nothing but
    -inf would be 0/0, so an empty row is refused here rather than found later as NaN.

    Args:
        mask: bool, any shape `(..., query_len, key_len)`.
        dtype: floating dtype of the scores.

    Returns:
        `dtype` tensor of the same shape.
    """
    check_floating(dtype)
    refuse_empty_rows("mask", mask)
    bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return bias.masked_fill(~mask, float("-inf"))


def check_floating(dtype: torch.dtype) -> None:
    """Scores need a dtype that has an infinity."""
    if not dtype.is_floating_point:
        raise refusal("dtype", "a floating dtype", dtype, "-inf is no integer")


def refuse_empty_rows(name: str, mask: Mask) -> None:
    """Raise `ValueError` naming the first row of `(..., query_len, key_len)` that is all `False`."""
    if mask.is_meta:  # shapes without values: nothing to look at
        return
    empty = ~mask.any(dim=-1)
    if empty.any():
        *batch, row = empty.nonzero()[0].tolist() or [0]
        where = f"batch {batch[0]}, row {row}" if batch else f"row {row}"
        raise refusal(f"{name}, {where}", "at least one key to attend to", "none")


def _as_bool(name: str, mask: Tensor) -> Tensor:
    """Accept bool, or integers that are all 0 or 1."""
    if mask.dtype == torch.bool:
        return mask
    if mask.is_floating_point() or mask.is_complex():
        raise refusal(name, "bool, or integers 0 and 1 (1 = may be attended to)", mask.dtype)
    if not mask.is_meta and mask.numel():
        low, high = (int(value) for value in mask.aminmax())
        if low < 0 or high > 1:
            raise refusal(name, "0 or 1", low if low < 0 else high)
    return mask.bool()


hold_to_hints(globals())
