"""The keys of the quiz on pretraining, worked out: each function has the id of its question and returns the
text of the key.
"""

import json

import torch

from course_utils import checkpoints


def first_move() -> str:
    weights = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.AdamW([weights], lr=0.1, betas=(0.9, 0.98), weight_decay=0.0)
    weights.grad = torch.tensor([4.0, 0.01])
    optimizer.step()
    return " and ".join(f"{move:.1g}" for move in weights.detach().abs().tolist())


def twins() -> str:
    results = [
        json.loads((folder / "training.json").read_text(encoding="utf-8"))["result"]
        for folder in checkpoints.EMBEDDED.values()
    ]
    between_models = abs(results[0]["model"] - results[1]["model"])
    between_floors = results[0]["left"] - results[0]["bidirectional"]
    assert abs(between_models - between_floors) < 0.05
    return f"{between_floors:.2f}"


def warmup() -> str:
    moved = set()
    for gradient in (7.0, -0.0003):
        weight = torch.nn.Parameter(torch.zeros(1))
        weight.grad = torch.tensor([gradient])
        torch.optim.AdamW([weight], lr=0.005, weight_decay=0.0).step()
        moved.add(f"{abs(weight.item()):.3f}")
    [move] = moved
    return f"By {move}, whatever its gradient"
