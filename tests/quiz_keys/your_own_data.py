"""The keys of the quiz on your own data, worked out: each function has the id of its question and returns the
text of the key.
"""

import torch
from scipy.stats import binomtest

from course_utils.lora import LoRALinear


def doubles() -> str:
    right = max(sum(answer == label for label in (0, 1)) for answer in (0, 1))
    return f"{right / 2:g}"


def paired() -> str:
    return "Nothing speaks for either" if binomtest(10, 20).pvalue == 1 else "?"


def lora() -> str:
    layer = LoRALinear(torch.nn.Linear(768, 768), rank=8)
    numbers = sum(p.numel() for p in layer.parameters() if p.requires_grad)
    return f"8 · (768 + 768) = {numbers:,}"


def zero() -> str:
    layer = LoRALinear(torch.nn.Linear(6, 4), rank=2)
    torch.nn.init.zeros_(layer.down)
    layer(torch.randn(3, 6, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    stuck = not layer.down.grad.any() and not layer.up.grad.any()
    return "Nothing: both gradients are 0, and stay so" if stuck else "?"
