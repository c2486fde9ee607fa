"""Words for figures: lists, names of tokens, and what masks and tables of weights say."""

from collections.abc import Sequence

import numpy as np

MOST_WITH_NUMBERS = 8


def numbered(tokens: Sequence[str]) -> list[str]:
    """Token names in quotation marks; those that occur more than once with their position, counted from 0."""
    return [
        f"'{token}' (position {i})" if tokens.count(token) > 1 else f"'{token}'"
        for i, token in enumerate(tokens)
    ]


def listed(items: Sequence[str]) -> str:
    return ", ".join(items) if items else "none"


def short_number(amount: float) -> str:
    """Two decimals, or one digit that counts where two decimals would be 0.00."""
    return f"{amount:.2f}" if amount >= 0.005 else f"{amount:.1g}"


def describe_mask(title: str | None, mask: np.ndarray, tokens: Sequence[str]) -> str:
    """What a mask allows; tokens that may attend to the same are named together."""
    start = f"{title or 'Mask'}: {int(mask.sum())} of {mask.size} pairs allowed"
    if len(tokens) > MOST_WITH_NUMBERS:
        return f"{start}; row by row {listed([str(count) for count in mask.sum(axis=1)])}."
    names = numbered(tokens)
    rows: dict[str, list[str]] = {}
    for name, row in zip(names, mask, strict=True):
        seen = [other for other, allowed in zip(names, row, strict=True) if allowed]
        unseen = [other for other, allowed in zip(names, row, strict=True) if not allowed]
        text = listed(seen) if len(seen) <= len(unseen) else f"all but {listed(unseen)}" if unseen else "all"
        rows.setdefault(text, []).append(name)
    pairs = [f"{listed(group) if len(rows) > 1 else 'each token'} to {text}" for text, group in rows.items()]
    return f"{start}: {'; '.join(pairs)}."


def describe_weights(title: str | None, weights: np.ndarray, tokens: Sequence[str], every_row: bool) -> str:
    """What each token attends to most, or only the three largest weights.

    Of weights that two decimals cannot tell apart the first one counts: the words stay the same on every
    machine.
    """
    names, rounded = numbered(tokens), weights.round(2)
    best = rounded.argmax(axis=1)
    rows = range(len(tokens)) if every_row else np.argsort(-rounded.max(axis=1), kind="stable")[:3]
    alike = rounded.max(axis=1) == rounded.min(axis=1)
    pairs = [
        f"{names[row]} to {'all alike' if alike[row] and len(tokens) > 1 else names[best[row]]}"
        f" ({rounded[row, best[row]]:.2f})"
        for row in rows
    ]
    start = "most weight goes from" if every_row else "strongest from"
    return f"{title or 'Attention'}: {start} {listed(pairs)}."
