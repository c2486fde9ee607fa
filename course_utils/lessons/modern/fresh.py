"""A fresh model before its first step: the gradient at the top, with either place of LayerNorm."""

from dataclasses import replace

import torch
from torch import Tensor

from course_utils.modern_bert import ModernBertConfig, ModernBertForMaskedLM, ModernBertModel


def rows_and_labels(vocab_size: int) -> tuple[Tensor, Tensor]:
    """16 rows of 12 random pieces, and labels at about 30 % of the places."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(10, vocab_size, (16, 12), generator=generator)
    return rows, rows.masked_fill(torch.rand(rows.shape, generator=generator) > 0.3, -100)


def gradient_at_the_top(config: ModernBertConfig, seed: int) -> float:
    """Length of the gradient at the last matrix of the last layer."""
    torch.manual_seed(seed)
    model = ModernBertForMaskedLM(config)
    rows, labels = rows_and_labels(config.vocab_size)
    model.loss(rows, None, labels).backward()
    return model.model.layers[-1].mlp.Wo.weight.grad.norm().item()


@torch.no_grad()
def size_at_the_top(config: ModernBertConfig, seed: int) -> float:
    """Root mean square of what enters the last LayerNorm."""
    torch.manual_seed(seed)
    model, seen = ModernBertModel(config), []
    last = model.final_norm if config.pre_norm else model.layers[-1].mlp_norm
    last.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    model(rows_and_labels(config.vocab_size)[0])
    return seen[0].square().mean().sqrt().item()


def ratios(
    config: ModernBertConfig, layers: int, std: float, seeds: tuple[int, ...] = (0, 1, 2)
) -> tuple[float, float]:
    """The gradient in post-norm over that in pre-norm, and the size in pre-norm over that in post-norm.

    The first is a mean over the seeds; the sizes differ less, and are those of the first seed. std is the
    standard deviation of the first weights.
    """
    post = replace(config, num_hidden_layers=layers, initializer_range=std, pre_norm=False)
    pre = replace(post, pre_norm=True)
    gradients = [gradient_at_the_top(post, seed) / gradient_at_the_top(pre, seed) for seed in seeds]
    return sum(gradients) / len(seeds), size_at_the_top(pre, seeds[0]) / size_at_the_top(post, seeds[0])
