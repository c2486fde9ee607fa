"""Masked language modelling: which tokens are hidden, what stands in their place, and where the loss is
taken.

Of all ordinary tokens a share `rate` is *selected*. Of the selected ones 80 % become [MASK], 10 % become a
random piece and 10 % stay as they are; the model must name the original at every one of them (Devlin et al.
2018, section 3.1).

One uniform draw a selected token settles all of 80/10/10, the random piece included. It picks a ticket from
an urn:

    0 ----------------------------------------- 0.8 ------------------- 0.9 -------------- 1
      tickets that say [MASK]                       one ticket a piece      tickets that say: keep
"""

import math
from functools import lru_cache

import torch

IGNORE_INDEX = -100  # cross-entropy skips this label: the position was not selected
MASK_SHARE, RANDOM_SHARE = 0.8, 0.1  # of the selected tokens; the rest is kept
KEEP = -1  # the ticket that leaves a token as it is


def select_positions(n: int, rate: float, generator: torch.Generator | None = None) -> torch.Tensor:
    """Which of n positions are selected, each with chance `rate` and on its own: ascending, about (rate *
    n,).

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


@lru_cache(maxsize=8)
def tables(
    vocab_size: int, special_ids: frozenset[int], mask_token_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a selected token may show, and what its label is.

    Returns:
        tickets (10 * ordinary pieces,): an urn in which 8 of 10 tickets say [MASK], 1 of 10 names an ordinary
            piece, each piece once, and 1 of 10 says `KEEP`.
        label_of (vocab_size,): the id itself, and -100 for special tokens, which are never selected.
    """
    label_of = torch.arange(vocab_size)
    label_of[list(special_ids)] = IGNORE_INDEX
    ordinary = label_of[label_of != IGNORE_INDEX]
    tickets = torch.full((round(len(ordinary) / RANDOM_SHARE),), KEEP)
    masks = round(len(tickets) * MASK_SHARE)
    tickets[:masks] = mask_token_id
    tickets[masks : masks + len(ordinary)] = ordinary
    return tickets, label_of


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
    tickets, label_of = tables(len(tokenizer), tokenizer.special_ids, tokenizer.mask_token_id)
    masked_ids = input_ids.flatten().clone()
    labels = torch.full_like(masked_ids, IGNORE_INDEX)
    selected = select_positions(len(masked_ids), rate, generator)
    # index_select and index_copy_ are what square brackets mean here, without their overhead.
    current = masked_ids.index_select(0, selected).long()
    original = label_of.index_select(0, current)
    labels.index_copy_(0, selected, original.to(labels.dtype))
    shown = tickets.index_select(0, torch.randint(len(tickets), selected.shape, generator=generator))
    shown = torch.where((shown == KEEP) | (original == IGNORE_INDEX), current, shown)
    masked_ids.index_copy_(0, selected, shown.to(masked_ids.dtype))
    return masked_ids.view_as(input_ids), labels.view_as(input_ids)
