"""The keys of the quiz on the modern encoder, worked out: each function has the id of its question, and
returns the text of the key.
"""

from dataclasses import replace

import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_utils.bert import attention
from course_utils.modern_bert import ModernBertConfig, ModernBertModel, matmul_flops, neighbourhood, rotate


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def idle_bias() -> str:
    states = _random(3, 1, 1, 5, 8)
    before, _ = attention(*states)
    idle = []
    for i, name in enumerate(("queries", "keys", "values")):
        shifted = states.clone()
        shifted[i] += torch.linspace(-2, 2, 8)
        if torch.allclose(attention(*shifted)[0], before, atol=1e-5):
            idle.append(name)
    return f"That of the {' and '.join(idle)}" if idle else "None"


def distance() -> str:
    query, key = _random(2, 1, 8)

    def score(i: int, j: int) -> float:
        turned = [rotate(x, torch.tensor([at]), 10_000.0) for x, at in ((query, i), (key, j))]
        return float(turned[0] @ turned[1].T)

    pairs = {"4 and 7": (4, 7), "14 and 8": (14, 8), "103 and 100": (103, 100)}
    return ", ".join(text for text, at in pairs.items() if abs(score(*at) - score(7, 4)) < 1e-3)


def width() -> str:
    def weights(wide: int, gated: bool) -> int:
        config = ModernBertConfig(
            hidden_size=768, intermediate_size=wide, num_hidden_layers=1, gated=gated, vocab_size=3,
            pad_token_id=0,
        )  # fmt: skip
        with torch.device("meta"):
            return sum(p.numel() for p in ModernBertModel(config).layers[0].mlp.parameters())

    wanted = weights(3072, gated=False)
    return next(f"{wide:,}" for wide in (1536, 2048, 3072, 4608) if weights(wide, gated=True) == wanted)


def mask_cost() -> str:
    counts = []
    for mask in (None, neighbourhood(1024, 128)):
        states = _random(3, 1, 1, 1024, 4)
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            F.scaled_dot_product_attention(*states, attn_mask=mask)
        counts.append(counter.get_total_flops())
    return "None" if counts[0] == counts[1] > 0 else "?"


def running() -> str:
    lengths = [3, 4, 2]
    number = torch.arange(3).repeat_interleave(torch.tensor(lengths))
    config = ModernBertConfig(
        vocab_size=20, hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=9, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    ids, moved = torch.arange(1, 10), {}
    for rotary in (True, False):
        torch.manual_seed(0)
        model = ModernBertModel(replace(config, rotary=rotary)).eval()
        with torch.no_grad():
            counted_on = model(ids[None], (number[:, None] == number)[None])[0]
            moved[rotary] = not torch.allclose(counted_on, model.forward_packed(ids, lengths), atol=1e-4)
    if moved == {True: False, False: True}:
        return "With a table of positions the states change, with rotary positions they do not"
    return "?"


def saved() -> str:
    config, lengths = ModernBertConfig(), [128] * 8
    padded = [max(lengths)] * len(lengths)
    return "Nothing" if matmul_flops(config, padded) == matmul_flops(config, lengths) else "?"
