"""The last hidden states where somebody reads them, and nowhere else.

In every layer but the last, each token's state is read by all others in the next one. The last layer's states
are read by the heads alone: [CLS] by the next sentence head, the selected positions by the MLM head. There a
token that nobody reads must still offer its key and its value, but it need not ask, and its way through the
output projection and the feed-forward sublayer leads nowhere. With 15 % selected that is most of a layer.

`BertModel.forward` remains the plain path; what is found here are the same numbers at fewer places.
"""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.bert.inputs import check_inputs
from course_utils.hints import hold_to_hints

if TYPE_CHECKING:
    from course_utils.bert.model import BertLayer, BertModel


def states_at(
    bert: "BertModel",
    selected: Tensor,
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    token_type_ids: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The last hidden states of the tokens in `selected`, and the pooled [CLS].

    Args:
        bert: the encoder, with its pooler.
        selected: bool `(batch, seq_len)`; all may be False.
        input_ids, attention_mask, token_type_ids: as for `BertModel`.

    Returns:
        `(selected.sum(), hidden_size)`, row after row, and `(batch, hidden_size)`.
    """
    if is_watched(bert):
        output = bert(input_ids, attention_mask, token_type_ids)
        return output.last_hidden_state[selected], output.pooler_output
    mask = check_inputs(bert.config, input_ids, attention_mask, token_type_ids)
    hidden_states = bert.embeddings(input_ids, token_type_ids)
    *layers, last = bert.encoder.layer
    for layer in layers:
        hidden_states, _ = layer(hidden_states, mask)
    first = torch.zeros_like(selected)
    first[:, 0] = True
    read = selected | first
    states = layer_at(cast("BertLayer", last), hidden_states, mask, read)  # (read.sum(), hidden_size)
    assert bert.pooler is not None
    return states[selected[read]], bert.pooler(states[first[read]][:, None])


def is_watched(bert: "BertModel") -> bool:
    """Whether a hook waits for a module that is passed by here: whoever has set it must see every token."""
    passed_by = (bert, bert.encoder, *bert.encoder.layer[-1].modules())
    return any(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks for part in passed_by)


def layer_at(layer: "BertLayer", hidden_states: Tensor, mask: Tensor | None, read: Tensor) -> Tensor:
    """What a layer makes of the tokens where `read` is True: `(places, hidden_size)`.

    Rows differ in how many of their tokens are read. For attention they are brought to one length, that of
    the row with the most; what fills the others up is computed and thrown away.
    """
    counts = read.sum(dim=1)  # (batch,)
    most = int(counts.max())
    asking = (~read).byte().argsort(dim=1, stable=True)[:, :most]  # (batch, most): what is read comes first
    real = torch.arange(most, device=read.device) < counts[:, None]
    states = hidden_states.take_along_dim(asking[..., None], dim=1)  # (batch, most, hidden_size)
    if mask is not None and mask.shape[2] > 1:  # one row of the mask for each query
        mask = mask.take_along_dim(asking[:, None, :, None], dim=2)
    heads = layer.attention.self
    context = F.scaled_dot_product_attention(
        heads.split_heads(heads.query(states)),
        heads.split_heads(heads.key(hidden_states)),
        heads.split_heads(heads.value(hidden_states)),
        attn_mask=mask,
        dropout_p=heads.dropout_p if heads.training else 0.0,
    )
    # From here on every token goes its own way, so the filling can be dropped.
    states = layer.attention.output(context.transpose(1, 2).flatten(2)[real], states[real])
    return layer.output(layer.intermediate(states), states)


hold_to_hints(globals())
