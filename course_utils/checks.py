"""What the course refuses, and in which words: "name: expected ..., got ...".

Every refusal names the argument, says what would be right and shows what came instead, in one line. The
module imports nothing of the course, and torch neither: what it checks are plain Python values.
"""

import math
from collections.abc import Iterable
from typing import TypeVar

IGNORE_INDEX = -100  # the label of a position that the loss skips

Refusal = TypeVar("Refusal", bound=Exception)


def refusal(
    name: str,
    expected: str,
    got: object,
    why: str = "",
    kind: type[Refusal] = ValueError,  # type: ignore[assignment]  # a default for a type variable
) -> Refusal:
    """The exception to raise. `got` is shown as it is: a string value comes in as its `repr`."""
    return kind(f"{name}: expected {expected}, got {got}" + (f"; {why}" if why else ""))


def check_at_least(name: str, value: float, least: float) -> None:
    """`value` is `least` or more."""
    if not value >= least:
        raise refusal(name, f"{least} or more", value)


def check_count(name: str, value: object) -> None:
    """`value` is a whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise refusal(name, "a whole number from 1", repr(value))


def check_share(name: str, value: float, closed: bool = False) -> None:
    """0 <= `value` < 1, and with `closed` also 1."""
    if not (0 <= value < 1 or closed and value == 1):
        raise refusal(name, f"0 <= {name} {'<=' if closed else '<'} 1", value)


def check_positive(name: str, value: float) -> None:
    """`value` is a finite number above 0."""
    if not 0 < value < math.inf:
        raise refusal(name, "a finite number above 0", value)


def check_one_of(name: str, value: object, allowed: Iterable[object]) -> None:
    """`value` is one of those `allowed`."""
    if value not in (names := list(allowed)):
        raise refusal(name, "one of " + ", ".join(map(str, names)), repr(value))


def check_seed(name: str, value: int) -> None:
    """Seeds leave room for the number of a step, 32 bits further down."""
    if not 0 <= value < 2**31:
        raise refusal(name, f"0 to {2**31 - 1}", value)
