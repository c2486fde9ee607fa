"""Masked language modelling: which tokens are hidden, what replaces them, and where the loss is taken.

Of all ordinary tokens a share `rate` is *selected*. Of the selected ones 80 % become [MASK], 10 % become a
random piece and 10 % stay as they are; the model must name the original at every one of them (Devlin et al.
2018, section 3.1).

One uniform number a token settles everything. With rate 0.15:

    0 ------------------- 0.12 ------- 0.135 ------- 0.15 ------------------------------------ 1
      becomes [MASK]           random        kept            not selected: no loss here
"""

from functools import lru_cache

import torch

IGNORE_INDEX = -100  # cross-entropy skips this label: the position was not selected
MASK_SHARE, RANDOM_SHARE = 0.8, 0.1  # of the selected tokens; the rest is kept


@lru_cache(maxsize=8)
def ordinary_ids(vocab_size: int, special_ids: frozenset[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids that are no special token, (n,), and a table (vocab_size,) that is True at those ids."""
    is_ordinary = torch.ones(vocab_size, dtype=torch.bool)
    is_ordinary[list(special_ids)] = False
    return is_ordinary.nonzero().squeeze(1), is_ordinary


def mask_tokens(input_ids, tokenizer, rate=0.15, generator=None):
    """Select tokens and corrupt them, 80/10/10.

    Args:
        input_ids: (batch, seq_len) integers; left as they are.
        tokenizer: gives `mask_token_id`, `special_ids` and its length, the size of the vocabulary.
        rate: chance of each ordinary token to be selected, 0 <= rate <= 1. Special tokens never are.
        generator: a seeded `torch.Generator` for draws that can be repeated.

    Returns:
        masked_ids (batch, seq_len): what the model sees. Random replacements are never special tokens.
        labels (batch, seq_len): the original id at selected positions, -100 elsewhere.

    Raises:
        ValueError: if the rate lies outside [0, 1] or an id outside the vocabulary.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate}; it must lie between 0 and 1")
    low, high = (int(value) for value in input_ids.aminmax()) if input_ids.numel() else (0, 0)
    if low < 0 or high >= len(tokenizer):
        raise ValueError(
            f"input_ids holds {low if low < 0 else high}; it must lie between 0 and {len(tokenizer) - 1}"
        )
    ordinary, is_ordinary = ordinary_ids(len(tokenizer), tokenizer.special_ids)
    draw = torch.rand(input_ids.shape, generator=generator).flatten()
    masked_ids = input_ids.flatten().clone()
    # From here on only the selected few are touched, not the whole batch.
    selected = (draw < rate).nonzero().squeeze(1)
    original = masked_ids[selected]
    keep = is_ordinary[original]
    selected, original = selected[keep], original[keep]
    draw = draw[selected]
    labels = torch.full_like(masked_ids, IGNORE_INDEX)
    labels[selected] = original
    masked_ids[selected[draw < MASK_SHARE * rate]] = tokenizer.mask_token_id
    replaced = selected[(draw >= MASK_SHARE * rate) & (draw < (MASK_SHARE + RANDOM_SHARE) * rate)]
    choice = torch.randint(len(ordinary), replaced.shape, generator=generator)
    masked_ids[replaced] = ordinary[choice].to(masked_ids.dtype)
    return masked_ids.view_as(input_ids), labels.view_as(input_ids)
