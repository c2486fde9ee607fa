"""What the model refuses: sizes that fit no BERT, and tensors that do not go with one another.

Each check is one line where the model begins to compute; everything that it has to say is here. On the meta
device tensors have shapes and no values: there shapes and dtypes are checked, and values are not.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from course_utils import hints
from course_utils.checks import IGNORE_INDEX, refusal
from course_utils.hints import Count, hold_to_hints
from course_utils.masks import check_mask

if TYPE_CHECKING:
    from course_utils.bert.model import BertConfig

# What a library config.json may also say. Any other value means another network than this BERT.
FIXED_SETTINGS = {
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
    "pruned_heads": {},
}


def check_sizes(config: "BertConfig") -> None:
    """The numbers of a configuration that depend on one another; each by itself is held to its hint."""
    if config.hidden_size % config.num_attention_heads:
        heads = f"a multiple of num_attention_heads={config.num_attention_heads}"
        raise refusal("hidden_size", heads, config.hidden_size, "the heads share it equally")
    if config.pad_token_id is not None and not 0 <= config.pad_token_id < config.vocab_size:
        raise refusal("pad_token_id", f"None or 0 to {config.vocab_size - 1}", config.pad_token_id)


def check_network(values: Mapping[str, Any]) -> None:
    """A library's settings describe this BERT: no decoder, relative positions or untied embeddings."""
    for key, expected in FIXED_SETTINGS.items():
        if values.get(key, expected) != expected:
            raise refusal(key, repr(expected), repr(values[key]), "no other BERT is built here")


def check_inputs(
    config: "BertConfig", input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None
) -> Tensor | None:
    """Refuse what `BertModel` cannot read. Returns the mask as the encoder wants it.

    That is bool `(batch, 1, 1 or seq_len, seq_len)`, the same for every head, or None where nothing is
    forbidden: such a mask only costs time.
    """
    if input_ids.dim() != 2 or input_ids.numel() == 0:
        raise refusal("input_ids", "a shape (batch, seq_len), both at least 1", tuple(input_ids.shape))
    batch, seq_len = input_ids.shape
    if seq_len > config.max_position_embeddings:
        allowed = f"1 to {config.max_position_embeddings} positions (max_position_embeddings)"
        raise refusal("input_ids", allowed, seq_len, "no later position has an embedding")
    check_range("input_ids", input_ids, config.vocab_size, " (vocab_size - 1)")
    if token_type_ids is not None:
        check_shape("token_type_ids", token_type_ids, input_ids.shape)
        check_range("token_type_ids", token_type_ids, config.type_vocab_size, " (type_vocab_size - 1)")
    if attention_mask is None:
        warn_of_padding(input_ids, config.pad_token_id)
        return None
    mask = check_mask(attention_mask, batch, seq_len)
    return None if not mask.is_meta and mask.all() else mask[:, None]


def warn_of_padding(input_ids: Tensor, pad_token_id: int | None) -> None:
    """Warn, once, of rows that end or begin with padding that nothing tells from tokens.

    As the library does, only the ends of the rows are looked at; a row of nothing but padding is none that
    somebody wants to read.
    """
    if pad_token_id is None or input_ids.is_meta:
        return
    first, last = input_ids[:, 0] == pad_token_id, input_ids[:, -1] == pad_token_id
    if (first != last).any():
        problem = f"input_ids has padding ({pad_token_id}) and there is no attention_mask"
        warnings.warn(f"{problem}: every token attends to it, which changes the results", stacklevel=1)


def check_shape(name: str, tensor: Tensor, expected: Sequence[int]) -> None:
    """Segment ids and labels go one to one with the tokens, or with the rows, of `input_ids`."""
    if tuple(tensor.shape) != tuple(expected):
        raise refusal(name, f"the shape {tuple(expected)} to go with input_ids", tuple(tensor.shape))


def check_range(name: str, values: Tensor, size: Count, note: str = "") -> None:
    """`values` are integers from 0 to `size - 1`; `note` says where the bound comes from."""
    hints.check_labels(name, values)
    if values.is_meta or not values.numel():
        return
    low, high = (int(value) for value in values.aminmax())
    if low < 0 or high >= size:
        raise refusal(name, f"0 to {size - 1}{note}", low if low < 0 else high)


def check_labels(name: str, labels: Tensor, shape: Sequence[int]) -> None:
    """Labels to go with logits of `shape` `(..., classes)`; -100 leaves a token, or a row, out."""
    *expected, classes = shape
    check_shape(name, labels, expected)
    classed = labels.masked_fill(labels == IGNORE_INDEX, 0)
    check_range(name, classed, classes, f", or {IGNORE_INDEX} for no label")


hold_to_hints(globals())
