"""Masked language modelling: which tokens are hidden, what stands in their place, where the loss is taken.

Of all ordinary tokens a share `rate` is *selected*. Of the selected ones 80 % become [MASK], 10 % become a
random piece and 10 % stay as they are; the model must name the original at every one of them (Devlin et al.
2018, section 3.1).

`corrupt` says it as plainly as it can be said. Below the line, `mask_tokens` draws from the same distribution
three to eight times as fast: training uses it.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from course_utils.checks import IGNORE_INDEX, refusal
from course_utils.hints import Count, Ids, Labels, Natural, Share, hold_to_hints
from course_utils.wordpiece import WordPieceTokenizer

MASKED, RANDOM = 8, 1  # of 10 selected tokens; the rest is kept


def corrupt(
    input_ids: Ids,
    tokenizer: WordPieceTokenizer,
    rate: Share = 0.15,
    mask_share: Share = 0.8,
    random_share: Share = 0.1,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Select and corrupt tokens by any shares; one uniform draw a token settles its fate.

    Args:
        input_ids: (batch, seq_len) integers; left as they are.
        rate: chance of each ordinary token to be selected.
        mask_share, random_share: of the selected tokens, how many show [MASK] and how many a random piece.

    Returns:
        masked_ids (batch, seq_len) and labels (batch, seq_len), as `mask_tokens` gives them.
    """
    special = torch.tensor(sorted(tokenizer.special_ids))
    ids, shape = range(len(tokenizer)), input_ids.shape
    ordinary = torch.tensor([i for i in ids if i not in tokenizer.special_ids])
    u = torch.rand(shape, generator=generator)
    u = u.masked_fill(torch.isin(input_ids, special), 1.0)  # never selected
    pieces = ordinary[torch.randint(len(ordinary), shape, generator=generator)]
    masked_ids = torch.where(u < rate * (mask_share + random_share), pieces, input_ids)
    masked_ids = torch.where(u < rate * mask_share, tokenizer.mask_token_id, masked_ids)
    labels = input_ids.masked_fill(u >= rate, IGNORE_INDEX)
    return masked_ids, labels


# ---- The same, fast: only the selected tokens cost draws -----------------------------------------------


def mask_tokens(
    input_ids: Labels,
    tokenizer: WordPieceTokenizer,
    rate: Share = 0.15,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
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
    check_ids(input_ids, len(tokenizer))
    ordinary, is_special = ordinary_pieces(len(tokenizer), tokenizer.special_ids)
    masked_ids = input_ids.flatten().clone()
    labels = torch.full_like(masked_ids, IGNORE_INDEX)
    selected = select_positions(len(masked_ids), rate, generator)
    draw = torch.randint(10 * len(ordinary), selected.shape, generator=generator)
    # index_select and index_copy_ are what square brackets mean here, without their overhead.
    original = masked_ids.index_select(0, selected).long()
    skipped = is_special.index_select(0, original)
    shown = shown_for(draw, original, ordinary, tokenizer.mask_token_id)
    masked_ids.index_copy_(0, selected, torch.where(skipped, original, shown).to(masked_ids.dtype))
    labels.index_copy_(0, selected, original.masked_fill(skipped, IGNORE_INDEX).to(labels.dtype))
    return masked_ids.view_as(input_ids), labels.view_as(input_ids)


def select_positions(n: Natural, rate: Share, generator: torch.Generator | None = None) -> Tensor:
    """Which of n positions are selected, each with chance `rate` on its own: ascending, about (rate * n,).

    Few are selected, so it is quicker to draw how far apart they lie than to draw a number for every token.
    The number of tokens passed over before the next selected one is geometric, P(gap >= k) = (1 - rate)^k,
    and log(u) / log(1 - rate), rounded down, has just this distribution for a uniform u.
    """
    if rate in (0, 1):
        return torch.arange(n if rate else 0)
    # Eight standard deviations more than expected: with fewer gaps than needed, once in 10^15 batches, the
    # last tokens would go unselected.
    enough = int(n * rate + 8 * math.sqrt(n * rate)) + 10
    u = torch.rand(enough, dtype=torch.float64, generator=generator)
    gaps = (-u).log1p_() / math.log1p(-rate)  # log(1 - u), for u may be 0 but never 1
    positions = (gaps.clamp_(max=n).long() + 1).cumsum(0) - 1
    return positions[: int(torch.searchsorted(positions, n))]


def shown_for(draw: Ids, original: Labels, ordinary: Labels, mask_token_id: Natural) -> Tensor:
    """What a selected token shows: one whole number settles 80/10/10, the random piece included.

    Args:
        draw: (selected,), uniform from 0 to 10 * pieces - 1. Each tenth of these numbers is as many as
            there are pieces: 8 tenths say [MASK], in 1 each number stands for one piece, and 1 says: keep.
        original: (selected,) ids.
        ordinary: (pieces,) ids of all pieces that are not special.
    """
    tenth, which = draw // len(ordinary), draw % len(ordinary)
    shown = torch.where(tenth < MASKED + RANDOM, ordinary[which], original)
    return torch.where(tenth < MASKED, mask_token_id, shown)


@lru_cache(maxsize=8)
def ordinary_pieces(vocab_size: int, special_ids: frozenset[int]) -> tuple[Tensor, Tensor]:
    """The ids that are not special, (pieces,), and for each id whether it is, (vocab_size,)."""
    is_special = torch.zeros(vocab_size, dtype=torch.bool)
    is_special[sorted(special_ids)] = True
    return (~is_special).nonzero().squeeze(1), is_special


def check_ids(input_ids: Labels, vocab_size: Count) -> None:
    """Ids lie in the vocabulary."""
    low, high = (int(value) for value in input_ids.aminmax()) if input_ids.numel() else (0, 0)
    if low < 0 or high >= vocab_size:
        raise refusal("input_ids", f"0 to {vocab_size - 1}", low if low < 0 else high)


hold_to_hints(globals())
