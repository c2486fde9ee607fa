"""The keys of the quiz on many machines, worked out: each function has the id of its question and returns the
text of the key.
"""

import torch
from torch.utils.flop_counter import FlopCounterMode


def six() -> str:
    layer = torch.nn.Linear(40, 25)
    x = torch.randn(50, 40, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        layer(x).sum().backward()
    return f"{counter.get_total_flops():,}"


def shares() -> str:
    x = torch.zeros(1, requires_grad=True)
    slopes = torch.tensor([10.0] + [0.0] * 9)
    (slopes * x).mean().backward()
    return f"{x.grad.item():g}"


def ring() -> str:
    """Eight processes pass pieces of 50 MB round by round until each holds the sum of all."""
    held = [[{p} for _ in range(8)] for p in range(8)]  # whose numbers are in each piece
    sent = [0] * 8
    for turn in range(7):
        moves = [(p, (p - turn) % 8) for p in range(8)]
        for p, piece, what in [(p, piece, set(held[p][piece])) for p, piece in moves]:
            held[(p + 1) % 8][piece] |= what
            sent[p] += 50
    for turn in range(7):
        moves = [(p, (p + 1 - turn) % 8) for p in range(8)]
        for p, piece, what in [(p, piece, set(held[p][piece])) for p, piece in moves]:
            held[(p + 1) % 8][piece] |= what
            sent[p] += 50
    assert all(len(piece) == 8 for row in held for piece in row)
    return f"{sent[0]} MB"


def limit() -> str:
    gains = [24 / (24 / cards + 2) for cards in (2, 12, 100, 10**4, 10**6)]
    assert gains == sorted(gains) and gains[1] == 6 and gains[-1] < 12
    return f"Just under {round(gains[-1])} times"
