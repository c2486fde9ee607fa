"""Exercises of notebook 03: LayerNorm, dropout, unread rows, tokens without positions, and a black box.

Shapes are those of the model: ids are (batch, seq_len), a table is (rows, hidden_size), an input of the
encoder is (batch, seq_len, hidden_size).
"""

from collections import Counter
from math import prod

import torch
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong

FAULTS = ("dropout", "over tokens", "no positions", "no segments", "fine")


class Block:
    """An embedding block with one fault of `FAULTS`: three tables of its own, their sum, LayerNorm."""

    def __init__(self, fault: str, generator: torch.Generator, pieces: int, places: int, size: int):
        self.fault, self.generator = fault, generator
        self.words, self.segments, self.positions = (
            torch.randn(rows, size, generator=generator) for rows in (pieces, 2, places)
        )
        self.segments[1] = self.segments[0] + 0.1 * self.segments[1]  # the segments differ by little

    def __repr__(self) -> str:
        return f"<a block with {len(self.words)} pieces and {len(self.positions)} positions>"

    def __call__(self, input_ids, token_type_ids) -> torch.Tensor:
        x = self.words[input_ids]
        if self.fault != "no segments":
            x = x + self.segments[token_type_ids]
        if self.fault != "no positions":
            x = x + self.positions[: x.shape[1]]
        axis = 1 if self.fault == "over tokens" else -1
        x = (x - x.mean(axis, keepdim=True)) / (x.var(axis, correction=0, keepdim=True) + 1e-12).sqrt()
        if self.fault == "dropout":
            keep = torch.rand(x.shape, generator=self.generator) >= 0.5
            x = x * keep / 0.5
        return x


@exercise
class layer_norm:
    """Write `layer_norm(x, weight, bias, eps)`: every token's vector with mean 0 and spread 1, then times
    weight, plus bias.

    `x` is (batch, seq_len, hidden_size), `weight` and `bias` are (hidden_size,). Take the mean and the
    variance of each token's hidden_size numbers, where the variance is the mean of the squared deviations,
    and divide the deviations by the square root of (variance + eps).
    """

    hints = (
        (
            "`x.mean(dim=-1, keepdim=True)` is one mean for each token, in a shape that can be subtracted"
            " from x."
        ),
        (
            "The variance is the mean of `(x - mean) ** 2`. `x.var(-1)` divides by hidden_size - 1 unless"
            " told otherwise."
        ),
        "eps stands inside the root: `(x - mean) / (variance + eps).sqrt()`. Weight and bias come last.",
    )

    def solution(x, weight, bias, eps):
        deviations = x - x.mean(dim=-1, keepdim=True)
        variance = (deviations**2).mean(dim=-1, keepdim=True)
        return deviations / (variance + eps).sqrt() * weight + bias

    @stage("one token, tiny eps: mean 0 and spread 1")
    def one_token(check):
        for size in (2, 3, 4, 5, 8, 16):
            x = torch.arange(size).float()[torch.randperm(size, generator=check.generator)].view(1, 1, size)
            expected = F.layer_norm(x, (size,), eps=1e-12)
            got = check.call(x, torch.ones(size), torch.zeros(size), 1e-12)
            check.equal(got, expected, tolerance=1e-4)

    @stage("many tokens: each by its own mean and variance")
    def many_tokens(check):
        for batch, seq_len, size in ((1, 2, 4), (2, 3, 4), (3, 2, 5), (2, 4, 4), (4, 4, 6)):
            x = torch.randn(batch, seq_len, size, generator=check.generator) * 3 + 1
            one, zero = torch.ones(size), torch.zeros(size)
            check.equal(
                check.call(x, one, zero, 1e-12),
                F.layer_norm(x, (size,), eps=1e-12),
                tolerance=1e-4,
            )

    @stage("eps inside the root")
    def large_eps(check):
        for size in (2, 4, 5, 6, 8):
            x = torch.randn(2, 3, size, generator=check.generator).round(decimals=1)
            got = check.call(x, torch.ones(size), torch.zeros(size), 0.1)
            check.equal(got, F.layer_norm(x, (size,), eps=0.1), tolerance=1e-4)

    @stage("weight and bias last")
    def weight_and_bias(check):
        for size in (2, 3, 4, 6, 8):
            x = torch.randn(2, 3, size, generator=check.generator).round(decimals=1)
            weight, bias = (
                torch.rand(size, generator=check.generator) + 0.5,
                torch.rand(size, generator=check.generator),
            )
            plain = F.layer_norm(x, (size,), eps=0.1)
            check.equal(check.call(x, weight, bias, 0.1), plain * weight + bias, tolerance=1e-4)

    @stage("tokens of every kind: all zero, all alike, all negative; weights below 0")
    def odd_tokens(check):
        for size in (2, 3, 4, 5, 6):
            x = torch.randn(3, 4, size, generator=check.generator).round(decimals=1)
            x[0, 0], x[0, 1], x[1, 2] = 0.0, -2.0, -x[1, 2].abs() - 1
            x[2] = x[1]
            weight, bias = torch.linspace(-1, 1, size), torch.linspace(-3, -1, size)
            for each, scale in (
                (x, weight),
                (torch.zeros_like(x), weight),
                (-x.abs() - 1, weight.abs() - 2),
                (x, torch.zeros(size)),
            ):
                expected = F.layer_norm(each, (size,), eps=0.01) * scale + bias
                check.equal(check.call(each, scale, bias, 0.01), expected, tolerance=1e-4)

    @wrong(
        "The variance divides by hidden_size, not by hidden_size - 1: look for `correction` or `unbiased`."
    )
    def unbiased(x, weight, bias, eps):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt() * weight + bias

    @wrong("You divide by the variance; divide by its square root.")
    def by_variance(x, weight, bias, eps):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + eps) * weight + bias

    @wrong(
        "Mean and variance run over the tokens; each token is normalised over its own numbers, the last axis."
    )
    def over_tokens(x, weight, bias, eps):
        axis = 1 if x.shape[1] > 1 else -1
        return (x - x.mean(axis, keepdim=True)) / (
            x.var(axis, correction=0, keepdim=True) + eps
        ).sqrt() * weight + bias

    @wrong("One mean and one variance for everything: each token has its own.")
    def over_all(x, weight, bias, eps):
        return (x - x.mean()) / (x.var(correction=0) + eps).sqrt() * weight + bias

    @wrong("eps is added to the root; it belongs inside, to the variance.")
    def eps_outside(x, weight, bias, eps):
        return (x - x.mean(-1, keepdim=True)) / (x.std(-1, correction=0, keepdim=True) + eps) * weight + bias

    @wrong("weight and bias have no effect.")
    def no_weight(x, weight, bias, eps):
        return F.layer_norm(x, weight.shape, eps=eps)

    @wrong("The bias is multiplied by the weight: first times weight, then plus bias.")
    def bias_first(x, weight, bias, eps):
        return (F.layer_norm(x, weight.shape, eps=eps) + bias) * weight

    @wrong("The mean is not taken away.")
    def not_centred(x, weight, bias, eps):
        return x / (x.var(-1, correction=0, keepdim=True) + eps).sqrt() * weight + bias

    @wrong("This is only centred: divide by the root of the variance.")
    def only_centred(x, weight, bias, eps):
        return (x - x.mean(-1, keepdim=True)) * weight + bias

    no_sign = wrong(
        "A weight may be below 0 and then turns the sign; yours never does.", "* weight", "* weight.abs()"
    )

    @wrong("eps has no effect.")
    def no_eps(x, weight, bias, eps):
        return F.layer_norm(x, weight.shape, weight, bias, eps=1e-12)


@exercise
class spread_after_dropout:
    """Write `spread_after_dropout(p)`: a float.

    Many numbers have mean 0 and standard deviation 1, as LayerNorm leaves them. Dropout sets each of them to
    0 with probability `p` (at least 0, less than 1) and divides the others by 1 - p. What is the standard
    deviation now? (The mean is still 0, so it is the root of the mean square.)
    """

    hints = (
        "The mean of the squares was 1. Which share is left, and by what has each square been multiplied?",
        "A share of 1 - p is left, and each square has been divided by (1 - p) squared.",
        "`(1 / (1 - p)) ** 0.5`",
    )

    def solution(p):
        return (1 / (1 - p)) ** 0.5

    @stage("the root of the mean square, counted in a row of numbers of which some are dropped")
    def by_hand(check):
        for p, spread in ((0.0, 1.0), (0.75, 2.0), (0.5, 2**0.5), (0.36, 1.25), (0.96, 5.0)):
            check.equal(check.call(p), spread)
        for tenths in (1, 2, 3, 4, 6, 7, 8, 9):
            x = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(10)
            x[: 2 * tenths] = 0
            check.equal(check.call(tenths / 10), (x / (1 - tenths / 10)).pow(2).mean().sqrt().item())

    @wrong("It is the mean that stays: a few large numbers and many zeros spread more widely.")
    def the_same(p):
        return 1.0

    @wrong("This is the factor of the numbers that are left; the others are 0, and count too.")
    def factor(p):
        return 1 / (1 - p)

    @wrong("Dropout widens the spread: the numbers that are left grow by more than the zeros take away.")
    def narrower(p):
        return (1 - p) ** 0.5

    @wrong("This forgets that the numbers that are left are divided by 1 - p, so it gets smaller than 1.")
    def share(p):
        return 1 - p


@exercise
class unread_row:
    """Write `unread_row(length, rates, decay)`: how long a row of a table is after training, if no text ever
    reads it.

    The row gets no gradient. But at every step the weight decay of AdamW takes a share away from each of its
    numbers: the learning rate of the step times `decay`. `length` is the Euclidean length at the start,
    `rates` a list with the learning rate of every step.
    """

    hints = (
        "What is left of a number after one step? And of the whole row?",
        "After a step with rate 0.1 and decay 0.5 each number is 0.95 of what it was, and so is the length.",
        "Multiply the length by `1 - rate * decay` for every rate.",
    )

    def solution(length, rates, decay):
        for rate in rates:
            length = length * (1 - rate * decay)
        return length

    @stage("one step, or none")
    def one_step(check):
        for length, rates, decay in (
            (2.0, [], 0.5),
            (2.0, [0.5], 0.5),
            (3.0, [0.1], 1.0),
            (0.0, [0.5], 0.5),
            (2.0, [0.5], 0.0),
            (4.0, [1.0], 1.0),
        ):
            check.equal(check.call(length, rates, decay), length * (1 - sum(rates) * decay))

    @stage("many steps, each with its own rate")
    def many_steps(check):
        for steps in (2, 3, 5, 8, 13):
            rates = check.rng.uniform(0.1, 0.9, steps).round(2).tolist()
            check.equal(check.call(5.0, rates, 0.5), 5.0 * prod(1 - 0.5 * rate for rate in rates))
        check.equal(check.call(5.0, [0.4, 0.0, 0.4], 0.5), 5.0 * 0.8 * 0.8)
        check.equal(check.call(5.0, [0.0, 0.0], 0.5), 5.0)
        for decay in (0.01, 0.02, 0.05, 0.1, 0.2):
            rates = torch.linspace(0.02, 0, 2000, dtype=torch.float64)
            left = torch.log1p(-rates * decay).sum().exp().item()
            check.equal(check.call(0.226, rates.tolist(), decay), 0.226 * left)

    @wrong("No gradient does not mean no change: weight decay acts on every number at every step.")
    def untouched(length, rates, decay):
        return length

    @wrong("What is taken away is a share of what is left, so the steps multiply; you add them up.")
    def added(length, rates, decay):
        return length * (1 - sum(rates) * decay)

    @wrong("The decay is multiplied by the learning rate of the step; you take the decay alone.")
    def without_rate(length, rates, decay):
        return length * (1 - decay) ** len(rates)

    @wrong("Every step has a rate of its own; you take the first one for all.")
    def first_rate(length, rates, decay):
        return length * (1 - rates[0] * decay) ** len(rates) if rates else length

    @wrong("Each step takes a share of the number, not a fixed amount.")
    def subtracted(length, rates, decay):
        return length - sum(rate * decay for rate in rates)


@exercise
class twins:
    """Write `twins(first, second)`: True if an encoder without a position table cannot tell the two
    sequences apart, else False.

    Each sequence is a list of pairs (id of the piece, id of the segment), one for each token. The encoder
    cannot tell them apart if they have equally many tokens and the vectors of the second sequence are those
    of the first one in some order.
    """

    hints = (
        "What does a token bring into the encoder when its position is missing?",
        "The order does not count. How often a pair occurs does.",
        "Two lists hold the same things equally often if they are equal once both are sorted.",
    )

    def solution(first, second):
        return sorted(first) == sorted(second)

    @stage("the same tokens in another order")
    def reordered(check):
        for length in (0, 1, 2, 3, 4, 5, 6):
            row = [(int(check.rng.integers(10, 15)), int(k >= 3)) for k in range(length)]
            other = [row[k] for k in check.rng.permutation(length)]
            check.equal(check.call(row, other), True)

    @stage("other pieces, or one piece more often")
    def counted(check):
        a, b, c = (11, 0), (12, 0), (13, 0)
        pairs = [
            ([a], [b]),
            ([a, a, b], [a, b, b]),
            ([b, a, c], [a, c]),
            ([a, b], [a, b, b]),
            ([a, b, a, b], [b, a]),
            ([], [a]),
            ([a, b, c], [c, a, b]),
            ([a, c], [b, b]),
        ]
        for one, other in pairs:
            check.equal(check.call(one, other), Counter(one) == Counter(other))

    @stage("segments tell tokens apart too")
    def with_segments(check):
        rows = [
            ([(11, 0), (12, 1)], [(12, 0), (11, 1)]),
            ([(11, 0), (12, 1)], [(12, 1), (11, 0)]),
            ([(11, 0), (11, 1), (12, 1)], [(11, 1), (12, 1), (11, 0)]),
            ([(11, 0), (11, 1), (12, 1)], [(11, 0), (11, 0), (12, 1)]),
            ([(11, 1), (12, 1)], [(11, 0), (12, 0)]),
        ]
        for one, other in rows:
            check.equal(check.call(one, other), Counter(one) == Counter(other))

    @wrong("The order of the tokens is just what such an encoder does not see.")
    def in_order(first, second):
        return first == second

    @wrong("It does see how often a token occurs: every one of them has a vector.")
    def as_sets(first, second):
        return set(first) == set(second)

    @wrong("The segment is added to the piece, so the same piece in the other segment has another vector.")
    def pieces_only(first, second):
        return sorted(piece for piece, _ in first) == sorted(piece for piece, _ in second)

    @wrong("Equally many tokens are not yet the same tokens.")
    def lengths(first, second):
        return len(first) == len(second)

    @wrong("A sum of ids can be the same for other ids: 11 and 13 are not 12 and 12.")
    def sums(first, second):
        return len(first) == len(second) and sum(p + 100 * s for p, s in first) == sum(
            p + 100 * s for p, s in second
        )


@exercise
class find_fault:
    """Write `find_fault(block)`: a string, what is wrong with an embedding block that you cannot look into.

    `block(input_ids, token_type_ids)` takes two integer tensors (batch, seq_len) and returns a tensor (batch,
    seq_len, hidden_size). It knows at least the pieces 0 to 4, the segments 0 and 1, and 6 positions.
    Return "dropout" if it still drops numbers, "over tokens" if its LayerNorm runs over the tokens of a
    sequence instead of the numbers of a token, "no positions" or "no segments" if it does not add those rows,
    and "fine" if none of these is the case. No block has more than one fault.
    """

    hints = (
        "Make an experiment for each fault: what would have to change, or stay, if the fault were there?",
        (
            "Ask twice the same. Leave tokens out at the end. Put one piece in two places. Change nothing but"
            " the segment ids. Compare with `torch.allclose`."
        ),
        "Test for dropout first: a block that drops numbers gives other results in every experiment.",
    )

    def solution(block):
        ids = torch.tensor([[1, 1, 2, 3]])
        zeros = torch.zeros_like(ids)
        x = block(ids, zeros)
        if not torch.allclose(x, block(ids, zeros), atol=1e-4):
            return "dropout"
        if not torch.allclose(x[:, :3], block(ids[:, :3], zeros[:, :3]), atol=1e-4):
            return "over tokens"
        if torch.allclose(x[0, 0], x[0, 1], atol=1e-4):
            return "no positions"
        if torch.allclose(x, block(ids, zeros + 1), atol=1e-4):
            return "no segments"
        return "fine"

    @stage("a block that is fine, and one without positions")
    def positions(check):
        for size in (4, 8, 16):
            for fault in ("fine", "no positions"):
                check.equal(check.call(Block(fault, check.generator, 5, 6, size)), fault)

    @stage("a block without segments")
    def segments(check):
        for size in (4, 8, 16):
            for fault in ("no segments", "fine"):
                check.equal(check.call(Block(fault, check.generator, 5, 6, size)), fault)

    @stage("a LayerNorm over the tokens")
    def over_tokens(check):
        for size in (4, 5, 8, 12, 16):
            check.equal(check.call(Block("over tokens", check.generator, 5, 6, size)), "over tokens")

    @stage("a block that still drops numbers, and all others once more")
    def all_faults(check):
        for size in (8, 16, 32):
            for fault in FAULTS:
                check.equal(check.call(Block(fault, check.generator, 9, 12, size)), fault)

    @wrong("You never find a fault: make an experiment for each.")
    def always_fine(block):
        return "fine"

    two_exchanged = wrong(
        "The same piece at two places has one vector if the positions are missing, not the segments.",
        'return "no positions"',
        'return "no segments"',
    )

    no_segment_test = wrong(
        "A block without segments passes for a good one: change the segment ids alone, and look.",
        'return "no segments"',
        'return "fine"',
    )

    no_norm_test = wrong(
        "You take a LayerNorm over the tokens for something else: leave tokens out, and see who changes.",
        'return "over tokens"',
        'return "fine"',
    )

    no_dropout_test = wrong(
        "A block that drops numbers gives other results each time: ask the same question twice.",
        'return "dropout"',
        'return "over tokens"',
    )
