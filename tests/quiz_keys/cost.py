"""The keys of the quiz on cost, worked out: each function has the id of its question and returns the text of
the key.
"""

from fractions import Fraction

import torch
from torch import nn

from course_utils.bert import BertConfig
from course_utils.profiler import on_meta, profile

BASE = BertConfig.named("base")


def puzzle() -> str:
    """Hooks on the Linear modules of the model itself, against all products of the profile."""
    model, macs = on_meta(BASE).eval(), []
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda layer, _, out: macs.append(out.numel() * layer.in_features))
    model(torch.empty(1, 512, dtype=torch.long, device="meta"))
    return f"{1 - sum(macs) / profile(BASE, 1, 512).totals.macs:.1%}".replace("%", " %")


def tied() -> str:
    model = on_meta(BASE, pretraining_heads=True)
    return f"{sum(parameter.numel() for parameter in set(model.parameters())):,}"


def residual_adds() -> str:
    found = profile(BASE, 1, 8).operations
    return str(sum(operation.kind == "add" and operation.module.startswith("encoder") for operation in found))


def add_intensity() -> str:
    a, b = torch.zeros(7, 5), torch.zeros(7, 5)
    moved = sum(tensor.numel() * tensor.element_size() for tensor in (a, b, a + b))
    return str(Fraction(a.numel(), moved))


def adam() -> str:
    """What PyTorch's own optimiser holds after a step, beside weight and gradient."""
    weight = nn.Parameter(torch.ones(1000))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    moments = [value for value in optimizer.state[weight].values() if value.shape == weight.shape]
    held = sum(tensor.numel() * tensor.element_size() for tensor in (weight, weight.grad, *moments))
    return str(held // weight.numel())


def one_token() -> str:
    def intensity(tokens: int) -> float:
        macs, weights = tokens * 768 * 3072, 768 * 3072 + 3072
        return 2 * macs / (4 * (weights + tokens * (768 + 3072)))

    return f"It falls from {intensity(128):.0f} to {intensity(1):.1f} FLOP/byte"
