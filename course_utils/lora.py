"""LoRA: a frozen matrix, and beside it two thin ones that learn.

    y = x W^T + b + (alpha / rank) (x A^T) B^T        W: (out, in)   A: (rank, in)   B: (out, rank)

W and b keep the numbers of pretraining. A begins at random and B at 0, so the first step begins from the
pretrained model; afterwards (alpha / rank) B A can be added to W, and the model has its old shape again.

    add(model, rank)    put the two beside some matrices of the encoder, and freeze all else in it
    merge(model)        add the product to the matrix, and leave no trace

Source: Hu et al. 2021 (arXiv 2106.09685), section 4.1; its section 5.1 adapts query and value, its section
7.1 compares places.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from course_utils.bert import TaskModel
from course_utils.checks import refusal
from course_utils.hints import Count, Positive, check_some, hold_to_hints

TARGETS = ("query", "value")


class LoRALinear(nn.Module):
    """A Linear layer that learns by two thin matrices only.

    Args:
        base: the layer; its weight `(out, in)` and bias are frozen.
        rank: columns of B and rows of A.
        alpha: the product counts alpha / rank times; without it, once.
    """

    def __init__(self, base: nn.Linear, rank: Count, alpha: Positive | None = None) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scale = 1.0 if alpha is None else alpha / rank

    def forward(self, states: Tensor) -> Tensor:
        """`(..., in)` to `(..., out)`."""
        return self.base(states) + self.scale * (states @ self.down.T @ self.up.T)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One plain Linear layer that gives the same."""
        self.base.weight += self.scale * self.up @ self.down
        return self.base


def add(
    model: TaskModel,
    rank: Count,
    alpha: Positive | None = None,
    targets: Annotated[Sequence[str], check_some] = TARGETS,
) -> list[str]:
    """Freeze the encoder of `model`, in place, and put a `LoRALinear` around its layers of these names.

    The head goes on learning in full; fine-tune with `Settings(freeze="as given")`.

    Args:
        targets: last parts of the names of layers: "query", "key", "value", or "dense" for all the others.

    Returns:
        the whole names of the layers.

    Raises:
        ValueError: for a name that no Linear layer of the encoder has.
    """
    model.bert.requires_grad_(False)
    found = [
        (name, layer)
        for name, layer in model.bert.named_modules()
        if isinstance(layer, nn.Linear) and name.rsplit(".", 1)[-1] in targets
    ]
    missing = {*targets} - {name.rsplit(".", 1)[-1] for name, _ in found}
    if missing:
        raise refusal("targets", "names of Linear layers of the encoder", ", ".join(sorted(missing)))
    for name, layer in found:
        place, _, last = name.rpartition(".")
        setattr(model.bert.get_submodule(place), last, LoRALinear(layer, rank, alpha))
    return [name for name, _ in found]


def merge(model: TaskModel) -> TaskModel:
    """Put the merged layer in the place of each `LoRALinear` of the encoder, in place; returns the model."""
    for name, layer in list(model.bert.named_modules()):
        if isinstance(layer, LoRALinear):
            place, _, last = name.rpartition(".")
            setattr(model.bert.get_submodule(place), last, layer.merged())
    return model


hold_to_hints(globals())
