"""Exam questions whose numbers may change: the words with places for them, and the key worked out.

With the first number of each place a question and its key are those of the bank, word for word; a test holds
them to it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Numbers:
    """A question with places, the numbers that fit (those of the bank first), and the key.

    Each entry of `numbers` fills all places at once, so that only what comes out well is drawn.
    """

    question: str
    places: tuple[str, ...]
    numbers: tuple[tuple[object, ...], ...]
    key: Callable[..., str]

    def with_numbers(self, number: int) -> tuple[str, str]:
        """The question and its key with one entry of `numbers`."""
        chosen = dict(zip(self.places, self.numbers[number], strict=True))
        return self.question.format(**chosen), self.key(*chosen.values())


WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}


def pmi_of(pair: int, each: int, ratio: int) -> str:
    share = f"{each / 100:g}"
    return f"{math.log(ratio):.2f}: ln({pair / 100:g} / ({share} × {share})) = ln {ratio}."


def merge_scores(a: int, b: int, ab: int, c: int, ac: int) -> str:
    first, second = ab / (a * b), ac / (a * c)

    def fraction(top: int, bottom: int) -> str:
        shared = math.gcd(top, bottom)
        return f"{top // shared}/{bottom // shared}"

    winner = "##gs" if second > first else "##g"
    scores = f"{fraction(ab, a * b)} = {first:.3f} and {fraction(ac, a * c)} = {second:.3f}"
    return f"{scores}: hu {winner} comes first."


def looks(name: str) -> str:
    count = {word: number for number, word in WORDS.items()}[name.lower()]
    return f"{count * (count + 1) // 2}: {' + '.join(map(str, range(1, count + 1)))}."


def moved(name: str, token: int) -> str:
    count = {word: number for number, word in WORDS.items()}[name]
    return f"{count - token}: tokens {token} to {count - 1}."


def norm(a: int, b: int, c: int) -> str:
    length = round(math.hypot(a, b, c))
    return f"{1 / length:.3f}: one over the common norm, which is {length}."


def softmax_of(factor: int) -> str:
    total = 2 + factor
    return f"{1 / total:g}, {1 / total:g}, {factor / total:g}."


def probability(gap: int) -> str:
    share = 1 / (1 + math.exp(-gap))
    return f"{share:.2f}; {math.log1p(math.exp(gap)):.2f}."


def ridge(flops: int, bandwidth: int, at: int) -> str:
    bound = "memory" if at < flops / bandwidth else "compute"
    return f"{flops / bandwidth:g} FLOP/byte; {bound}-bound."


CAN_CHANGE = {
    "01.1": Numbers(
        "A vocabulary has {words} words. A word is a one-hot vector. How far apart (Euclidean distance) are "
        "any two different words?",
        ("words",),
        ((10,), (50,), (1000,)),
        lambda words: "1.41 (the root of 2), whichever two words.",
    ),
    "01.3": Numbers(
        "Two words occur together in {pair} % of all pairs; each of them takes part as centre, and as "
        "context, in {each} %. What is their PMI?",
        ("pair", "each"),
        ((2, 10), (3, 10), (5, 10), (8, 20), (12, 20)),
        lambda pair, each: pmi_of(pair, each, round(100 * pair / each**2)),
    ),
    "01.4": Numbers(
        "Skip-gram with k = {k} negatives for each pair. To which number does w·c tend for a pair with PMI "
        "{pmi}?",
        ("k", "pmi"),
        ((5, 3), (10, 3), (2, 1), (15, 4), (20, 2)),
        lambda k, pmi: f"{pmi - math.log(k):.2f}: {pmi} − ln {k}.".replace("-", "−"),
    ),
    "02.3": Numbers(
        "freq(hu) = {a}, freq(##g) = {b}, freq(hu ##g) = {ab}; freq(##gs) = {c}, freq(hu ##gs) = {ac}. Give "
        "both quotients freq(pair) / (freq(first) × freq(second)). Which pair does that rule merge first?",
        ("a", "b", "ab", "c", "ac"),
        ((15, 15, 10, 5, 5), (20, 12, 10, 4, 4), (12, 10, 8, 8, 4), (25, 10, 10, 16, 5)),
        merge_scores,
    ),
    "03.2": Numbers(
        "LayerNorm (no weight, no bias, eps negligible) of the vector ({low}, {high}, {low}, {high})?",
        ("low", "high"),
        ((1, 3), (2, 8), (0, 10), (5, 7)),
        lambda low, high: f"-1, 1, -1, 1: mean {(low + high) // 2}, standard deviation {(high - low) // 2}.",
    ),
    "03.5": Numbers(
        "Dropout with p = {p} in training. By which factor are the surviving numbers multiplied?",
        ("p",),
        ((0.1,), (0.2,), (0.5,), (0.25,)),
        lambda p: f"{1 / (1 - p):.2f}: 1 / {1 - p:g}, so that the mean stays.",
    ),
    "04.1": Numbers(
        "Scores 0, 0, ln {factor}. The attention weights?",
        ("factor",),
        ((2,), (3,), (6,), (8,)),
        softmax_of,
    ),
    "04.2": Numbers(
        "Query and key have {size} independent components of mean 0 and variance 1. Standard deviation of "
        "their dot product? And after division by the square root of {size}?",
        ("size",),
        ((64,), (16,), (100,), (256,)),
        lambda size: f"{math.sqrt(size):g}, and 1.",
    ),
    "04.4": Numbers(
        "A text becomes {times} times as long. How many times as many scores does a head compute?",
        ("times",),
        (("three",), ("four",), ("five",), ("ten",)),
        lambda times: f"{next(n for n, word in WORDS.items() if word == times) ** 2}.",
    ),
    "05.1": Numbers(
        "{tokens} tokens, causal mask. How many pairs of tokens does it allow?",
        ("tokens",),
        (("Six",), ("Five",), ("Seven",), ("Ten",)),
        looks,
    ),
    "05.3": Numbers(
        "A causal model reads {tokens} tokens; token {token} (counted from 0) is replaced. The output "
        "vectors of how many tokens can change?",
        ("tokens", "token"),
        (("eight", 3), ("ten", 4), ("seven", 2), ("nine", 6)),
        moved,
    ),
    "07.1": Numbers(
        "Of {tokens} tokens, how many are on average selected, shown as `[MASK]`, replaced by a random "
        "piece, left as they were?",
        ("tokens",),
        (("10,000",), ("2,000",), ("40,000",), ("100,000",)),
        lambda tokens: "{} selected; {}, {} and {}.".format(
            *(int(tokens.replace(",", "")) * share // 1000 for share in (150, 120, 15, 15))
        ),
    ),
    "07.4": Numbers(
        "A vocabulary of {size} pieces. Loss of a model that gives each the same probability?",
        ("size",),
        ((945,), (500,), (2000,), (8000,)),
        lambda size: f"{math.log(size):.2f}: ln {size}.",
    ),
    "09.1": Numbers(
        "AdamW, first step, learning rate {rate}, no decay. How far does a weight move whose gradient is "
        "{large}? And one whose gradient is {small}?",
        ("rate", "large", "small"),
        (("0.001", 7, "0.0007"), ("0.002", 3, "0.0003"), ("0.01", 50, "0.02")),
        lambda rate, large, small: f"{rate} both times.",
    ),
    "09.2": Numbers(
        "Peak rate {peak}, {warmup} steps of warm-up, {steps} steps in all. The rate in step {step} (counted "
        "from 0)?",
        ("peak", "warmup", "steps", "step"),
        (("0.002", 60, 600, 330), ("0.004", 50, 450, 250), ("0.001", 100, 1000, 550), ("0.01", 20, 220, 120)),
        lambda peak, warmup, steps, step: (
            f"{float(peak) / 2:g}: half of the fall from step {warmup} to step {steps} is done."
        ),
    ),
    "09.3": Numbers(
        "Gradients of two tensors: ({a}, {b}) and ({c}). Clip at norm 1: by which factor are both "
        "multiplied?",
        ("a", "b", "c"),
        ((3, 4, 12), (6, 8, 24), (2, 3, 6), (4, 4, 7), (1, 2, 2)),
        norm,
    ),
    "10.2": Numbers(
        'Logits ({gap}, 0) for classes (positive, negative). The probability of "positive"? The loss if the '
        "text is negative?",
        ("gap",),
        ((2,), (1,), (3,)),
        probability,
    ),
    "10.3": Numbers(
        "{most} of {all} test texts are positive. Which accuracy must a classifier beat?",
        ("most", "all"),
        ((90, 100), (60, 80), (140, 200), (34, 40)),
        lambda most, all: f'{most / all:g}: always saying "positive".',
    ),
    "13.1": Numbers(
        "MACs of one Linear layer 768 to 3,072 on {tokens} tokens?",
        ("tokens",),
        ((128,), (64,), (256,), (512,)),
        lambda tokens: f"{tokens * 768 * 3072}: {tokens} × 768 × 3,072.",
    ),
    "13.4": Numbers(
        "A machine does {flops} GFLOP/s and moves {bandwidth} GB/s. Its ridge? Is an operation of {at} "
        "FLOP/byte compute- or memory-bound?",
        ("flops", "bandwidth", "at"),
        ((200, 25, 2), (1000, 50, 40), (300, 20, 10), (900, 100, 12)),
        ridge,
    ),
}
