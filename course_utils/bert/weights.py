"""Weights in and out: the dialects in which BERT checkpoints are written."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_utils.checks import refusal
from course_utils.hints import hold_to_hints

HEADS = ("pooler.", "cls.", "classifier.", "qa_outputs.")
TIED = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
OLD_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # constants, nothing learned


class LoadReport(NamedTuple):
    """What `load_weights` did not move: names without the `bert.` prefix."""

    missing_heads: list[str]  # in the model, not in the checkpoint: these keep the values that they had
    unused_heads: list[str]  # in the checkpoint, not in the model


def load_weights(
    model: nn.Module, state_dict: Mapping[str, Tensor], *, allow_missing_heads: bool = False
) -> LoadReport:
    """Copy a BERT checkpoint into `model`, whichever of the usual dialects it is written in.

    Understood: names with or without `bert.` in front, `LayerNorm.gamma`/`beta` for
    `weight`/`bias`, tied tensors given once or twice, and the constant buffers of old files. Embeddings
    and encoder must match one to one. Heads (pooler, pretraining heads, classifiers) may be left over in
    the checkpoint; heads that only the model has are an error unless `allow_missing_heads`. Nothing is
    copied unless everything fits.

    Raises:
        ValueError: listing every missing name, unknown name, wrong shape or dtype, broken tie and NaN.
    """
    if not all(isinstance(tensor, Tensor) for tensor in state_dict.values()):
        raise refusal("state_dict", "named tensors", "something else among them")
    given: dict[str, Tensor] = {}
    problems: list[str] = []
    for name, tensor in state_dict.items():
        plain = plain_name(name)
        if plain in given:
            problems.append(f"given twice: {plain}")
        given[plain] = tensor
    for buffer in OLD_BUFFERS:
        given.pop(buffer, None)
    problems += fold_ties(given)
    wanted = {plain_name(name): tensor for name, tensor in model.state_dict().items()}
    fold_ties(wanted)

    report = LoadReport(missing_heads=[], unused_heads=[])
    for name in sorted(wanted.keys() | given.keys()):
        is_head = name.startswith(HEADS)
        if name not in given:
            if is_head:
                report.missing_heads.append(name)
            if not (is_head and allow_missing_heads):
                problems.append(f"missing: {name}")
        elif name not in wanted:
            if is_head:
                report.unused_heads.append(name)
            else:
                problems.append(f"unknown: {name}")
        elif (shape := tuple(given[name].shape)) != (expected := tuple(wanted[name].shape)):
            problems.append(f"shape of {name}: expected {expected}, got {shape}")
        elif not given[name].is_floating_point():
            problems.append(f"dtype of {name}: expected floating-point numbers, got {given[name].dtype}")
        elif not given[name].isfinite().all():
            problems.append(f"not finite: {name}")
    if problems:
        found = f"{len(problems)} misfits: {'; '.join(problems)}"
        raise refusal("state_dict", "the weights of this model", found)

    with torch.no_grad():
        for name in wanted.keys() & given.keys():
            wanted[name].copy_(given[name])
    return report


def plain_name(name: str) -> str:
    """One spelling for each weight: no `bert.` in front, `weight` for gamma and `bias` for beta."""
    name = name.removeprefix("bert.")
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def fold_ties(tensors: dict[str, Tensor]) -> list[str]:
    """Leave one name for each tied pair in `tensors`, in place; returns the pairs that differ."""
    problems = []
    for alias, name in TIED.items():
        if alias in tensors:
            tensor = tensors.pop(alias)
            if not torch.equal(tensors.setdefault(name, tensor), tensor):
                problems.append(f"broken tie: {alias} differs from {name}, and is one tensor here")
    return problems


def count_parameters(model: nn.Module) -> int:
    """Number of learned numbers; a tensor that is used in two places, as the tied decoder is, counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


hold_to_hints(globals())
