"""Both encoders written out, BERT's and the modern one, in as few lines as they need, and the difference.

The modules of `course_utils.modern_bert` hold the weights; here their forward pass stands in one piece. It
computes what the modules compute: a test and notebook 16 compare the results.
"""

import difflib
import inspect

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.modern_bert import ModernBertModel, ModernLayer, rotate


def bert_encoder(model: ModernBertModel, input_ids: Tensor, mask: Tensor) -> Tensor:
    # Every Linear layer and every LayerNorm has a bias.
    positions = torch.arange(input_ids.shape[-1])
    x = model.embeddings.tok_embeddings(input_ids)
    x = model.embeddings.norm(x + model.embeddings.position_embeddings(positions))
    for layer in model.layers:
        query, key, value = heads(layer, x)
        context = attend(query, key, value, mask)
        x = layer.attn_norm(x + layer.attn.Wo(context))
        wide = F.gelu(layer.mlp.Wi(x))
        x = layer.mlp_norm(x + layer.mlp.Wo(wide))
    return x


def modern_encoder(model: ModernBertModel, input_ids: Tensor, lengths: list[int]) -> Tensor:
    # No Linear layer and no LayerNorm has a bias.
    positions = torch.arange(input_ids.shape[-1])
    mask = same_sequence(lengths)  # texts end to end, no padding
    x = model.embeddings.tok_embeddings(input_ids)
    x = model.embeddings.norm(x)
    for layer in model.layers:
        query, key, value = heads(layer, layer.attn_norm(x))
        query = rotate(query, positions, layer.attn.theta)
        key = rotate(key, positions, layer.attn.theta)
        context = attend(query, key, value, mask & window(layer, positions))
        x = x + layer.attn.Wo(context)
        wide, gate = layer.mlp.Wi(layer.mlp_norm(x)).chunk(2, dim=-1)
        x = x + layer.mlp.Wo(F.gelu(wide) * gate)
    return model.final_norm(x)


def heads(layer: ModernLayer, states: Tensor) -> list[Tensor]:
    """Queries, keys and values, `(..., heads, seq_len, head_size)` each."""
    count = layer.attn.num_attention_heads
    parts = layer.attn.Wqkv(states).chunk(3, dim=-1)
    return [part.unflatten(-1, (count, -1)).transpose(-3, -2) for part in parts]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """The contexts of all heads side by side, `(..., seq_len, hidden_size)`."""
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return context.transpose(-3, -2).flatten(-2)


def same_sequence(lengths: list[int]) -> Tensor:
    """Which of the tokens laid end to end belong together: bool `(total_len, total_len)`."""
    number = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    return number[:, None] == number


def window(layer: ModernLayer, positions: Tensor) -> Tensor:
    """Which positions this layer lets a token attend to: bool `(seq_len, seq_len)`."""
    distances = (positions[:, None] - positions).abs()
    reach = layer.attn.local_attention
    return distances <= (len(positions) if reach is None else reach // 2)


def print_difference() -> None:
    """The two forward passes in one: `-` before a line of BERT's, `+` before one of the modern encoder."""
    sources = [inspect.getsource(each).splitlines() for each in (bert_encoder, modern_encoder)]
    lines = difflib.unified_diff(*(source[1:] for source in sources), n=100, lineterm="")
    print("\n".join(line.replace("    ", "  ") for line in list(lines)[3:]))  # without the names of files
