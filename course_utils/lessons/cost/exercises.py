"""Exercises of notebook 13: count parameters, operations and bytes, and find what a published number counts.

The names are those of the configuration: `hidden` for hidden_size, `wide` for intermediate_size, `layers` for
num_hidden_layers. Every count is a whole number.
"""

import functools
import math
from fractions import Fraction

import torch

from course_utils.bert import BertConfig
from course_utils.classroom.engine import exercise, stage, wrong
from course_utils.profiler import profile


def _sizes(check) -> dict[str, int]:
    """Small sizes, all different, so that no two can be mixed up unnoticed."""
    heads, layers = int(check.rng.integers(1, 4)), int(check.rng.integers(1, 4))
    hidden = 2 * heads * int(check.rng.integers(2, 5))
    return {"layers": layers, "hidden": hidden, "wide": 3 * hidden + 1, "heads": heads}


def _config(layers: int, hidden: int, wide: int, heads: int) -> BertConfig:
    return BertConfig(
        vocab_size=50,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=wide,
        max_position_embeddings=64,
    )


@functools.cache
def _flops_of_profile(seq_len: int, **sizes: int) -> int:
    return profile(_config(**sizes), 1, seq_len, "linear").totals.flops


UNKNOWN = ("unknown", "unknown")
COUNTS = ("MACs", "FLOPs"), ("Linear layers", "all products")


@exercise
class which_count:
    """Write `which_count(printed, linear_macs, attention_macs)`: what a printed number counts, as a pair of
    texts.

    `linear_macs` are the MACs of a model's Linear layers, `attention_macs` those of attention's two products
    in all its layers, fewer than the first. Return ("MACs", "Linear layers"), ("FLOPs", "Linear layers"),
    ("MACs", "all products") or ("FLOPs", "all products"), whichever gives `printed` to the unit, and
    ("unknown", "unknown") if none does. All numbers are whole.
    """

    hints = (
        "There are four candidates: once or twice the Linear layers, once or twice all products.",
        "A MAC is two FLOPs. Compare with `==`: an auditor accepts no number that is nearly right.",
    )

    def solution(printed, linear_macs, attention_macs):
        for products, macs in (
            ("Linear layers", linear_macs),
            ("all products", linear_macs + attention_macs),
        ):
            for unit, count in (("MACs", macs), ("FLOPs", 2 * macs)):
                if count == printed:
                    return unit, products
        return "unknown", "unknown"

    @stage("the Linear layers, once and twice")
    def linear(check):
        check.equal(check.call(10_872_225_792, 10_872_225_792, 301_989_888), ("MACs", "Linear layers"))
        for linear, attention in _macs(check, 6):
            check.equal(check.call(linear, linear, attention), ("MACs", "Linear layers"))
            check.equal(check.call(2 * linear, linear, attention), ("FLOPs", "Linear layers"))

    @stage("all products, once and twice")
    def everything(check):
        check.equal(check.call(291_648_307_200, 126_496_800_768, 19_327_352_832), ("FLOPs", "all products"))
        for linear, attention in _macs(check, 6):
            check.equal(check.call(linear + attention, linear, attention), ("MACs", "all products"))
            check.equal(check.call(2 * (linear + attention), linear, attention), ("FLOPs", "all products"))

    @stage("none of them: unknown")
    def nothing(check):
        for printed in (21_746_925_568, 22_348_431_361, 10_872_225_791):  # the first one with adds
            check.equal(check.call(printed, 10_872_225_792, 301_989_888), UNKNOWN)
        for linear, attention in _macs(check, 4):
            for printed in (linear + 1, 2 * linear - 1, attention, 2 * linear + attention, 0):
                check.equal(check.call(printed, linear, attention), UNKNOWN)

    @wrong("The nearest count is returned although it is another number: an auditor compares to the unit.")
    def nearest(printed, linear_macs, attention_macs):
        counts = _counts(linear_macs, attention_macs)
        return min(counts, key=lambda name: abs(counts[name] - printed))

    once = wrong("A MAC is two FLOPs.", "2 * macs", "macs + 0 * linear_macs")

    @wrong("The unit and the products have changed places.")
    def turned(printed, linear_macs, attention_macs):
        return which_count.model_answer(printed, linear_macs, attention_macs)[::-1]

    without_linear = wrong(
        "All products are those of the Linear layers and of attention together.",
        "linear_macs + attention_macs",
        "attention_macs",
    )

    @wrong("A number that none of the four gives is unknown.")
    def by_size(printed, linear_macs, attention_macs):
        found = which_count.model_answer(printed, linear_macs, attention_macs)
        return ("FLOPs", "all products") if found == UNKNOWN else found


def _macs(check, n: int) -> list[tuple[int, int]]:
    """Pairs of Linear and attention MACs, the second the smaller one."""
    return [(int(a) + 1_000, int(b)) for a, b in check.rng.integers([1_000, 10], [9_000, 900], size=(n, 2))]


def _counts(linear_macs: int, attention_macs: int) -> dict[tuple[str, str], int]:
    macs = linear_macs, linear_macs + attention_macs
    return {
        (unit, products): (1 + i) * macs[j]
        for i, unit in enumerate(COUNTS[0])
        for j, products in enumerate(COUNTS[1])
    }


@exercise
class published_flops:
    """Write `published_flops(layers, hidden, wide, seq_len)`: what the published profile calls FLOPs, for one
    row.

    It counts 2 for each MAC of the Linear layers: those of all layers, for every token, and the pooler, for
    one. It adds 1 for each element of the two residual adds of every layer, of ONE of the two embedding adds,
    and of a mask of seq_len times seq_len.
    """

    hints = (
        "The Linear layers of one layer: seq_len * (4 * hidden * hidden + 2 * hidden * wide) MACs.",
        "The pooler reads one token: hidden * hidden MACs.",
        "There are 2 * layers + 1 adds of seq_len * hidden elements. At base size: 25 of 98,304.",
    )

    def solution(layers, hidden, wide, seq_len):
        macs = layers * seq_len * (4 * hidden * hidden + 2 * hidden * wide) + hidden * hidden
        adds = (2 * layers + 1) * seq_len * hidden
        return 2 * macs + adds + seq_len * seq_len

    @stage("the count of the profile, to the unit")
    def count(check):
        for seq_len in range(7, 14):
            sizes = _sizes(check)
            layers, hidden = sizes["layers"], sizes["hidden"]
            got = check.call(layers, hidden, sizes["wide"], seq_len)
            check.equal(got, _flops_of_profile(seq_len, **sizes))

    macs_only = wrong("These are the MACs plus the adds: a MAC counts as two.", "2 * macs", "macs")

    @wrong("This counts both embedding adds. The profile saw one.")
    def both_adds(layers, hidden, wide, seq_len):
        return published_flops.model_answer(layers, hidden, wide, seq_len) + seq_len * hidden

    @wrong("The pooler reads one token, not all.")
    def pooler_on_all(layers, hidden, wide, seq_len):
        return published_flops.model_answer(layers, hidden, wide, seq_len) + 2 * (seq_len - 1) * hidden**2

    @wrong("This counts attention's two products. The profile did not see them.")
    def with_attention(layers, hidden, wide, seq_len):
        return published_flops.model_answer(layers, hidden, wide, seq_len) + 4 * layers * seq_len**2 * hidden

    @wrong("The adds and the mask are missing.")
    def linear_only(layers, hidden, wide, seq_len):
        return 2 * (layers * seq_len * (4 * hidden * hidden + 2 * hidden * wide) + hidden * hidden)

    @wrong("The mask is missing: seq_len * seq_len elements.")
    def no_mask(layers, hidden, wide, seq_len):
        return published_flops.model_answer(layers, hidden, wide, seq_len) - seq_len * seq_len

    @wrong("The pooler is missing.")
    def no_pooler(layers, hidden, wide, seq_len):
        return published_flops.model_answer(layers, hidden, wide, seq_len) - 2 * hidden * hidden


def _intensity(n: int, inputs: int, outputs: int, width: int) -> Fraction:
    """FLOPs for each byte that a Linear layer moves for n tokens, exactly."""
    moved = width * (inputs * outputs + outputs + n * (inputs + outputs))
    return Fraction(2 * n * inputs * outputs, moved)


def _least_tokens(inputs: int, outputs: int, ridge: float, width: int) -> int:
    """By trying: intensity rises with n towards a limit, and no test needs more than 20,000 tokens."""
    return next((n for n in range(1, 20_001) if _intensity(n, inputs, outputs, width) >= Fraction(ridge)), 0)


@exercise
class tokens_to_ridge:
    """Write `tokens_to_ridge(inputs, outputs, ridge, width)`: from how many tokens on a Linear layer is
    compute-bound, an int, or 0 if it never is.

    For n tokens a Linear layer from `inputs` to `outputs` has 2 * n * inputs * outputs FLOPs. It reads its
    weights, its `outputs` biases and n * inputs numbers, and writes n * outputs; each number has `width`
    bytes. It is compute-bound if FLOPs divided by bytes is at least `ridge`. At least one token is read.
    """

    hints = (
        "Write down flops >= ridge * bytes, and solve it for n.",
        "n * (2 * inputs * outputs - ridge * width * (inputs + outputs)) >= ridge * width * (...)",
        "If the bracket is not above 0, no n is enough: 0. If it is, round up: `math.ceil`.",
    )

    def solution(inputs, outputs, ridge, width):
        gained = 2 * inputs * outputs - ridge * width * (inputs + outputs)  # by each token
        if gained <= 0:
            return 0
        return max(1, math.ceil(ridge * width * (inputs * outputs + outputs) / gained))

    @stage("the least number of tokens, rounded up")
    def enough(check):
        wide = (
            (8, 16, 1.0),
            (16, 8, 0.5),
            (64, 32, 2.0),
            (5, 7, 0.25),
            (768, 3072, 11.5),
            (768, 3072, 295.0),
        )
        narrow = ((2, 40, 0.375), (3, 50, 0.625), (2, 9, 0.3125))  # here the biases tell
        for inputs, outputs, ridge in wide + narrow:
            for width in (4, 2):
                got = check.call(inputs, outputs, ridge, width)
                check.equal(got, _least_tokens(inputs, outputs, ridge, width))
        check.equal(check.call(1, 2, 0.5625, 2), 8)

    @stage("one token is enough where the ridge is low")
    def low(check):
        for inputs, outputs in ((4, 4), (6, 3), (768, 768)):
            check.equal(check.call(inputs, outputs, 0.0, 4), 1)
            check.equal(check.call(inputs, outputs, 0.0625, 4), 1)

    @stage("a layer too narrow for the ridge never gets there")
    def never(check):
        for inputs, outputs, ridge in (
            (4, 4, 1.0),
            (8, 8, 2.0),
            (16, 4, 5.0),
            (8, 8, 3.0),
            (768, 768, 300.0),
        ):
            check.equal(check.call(inputs, outputs, ridge, 4), 0)

    @wrong("More tokens also mean more bytes: the layer reads and writes them.")
    def weights_only(inputs, outputs, ridge, width):
        return max(1, math.ceil(ridge * width * (inputs * outputs + outputs) / (2 * inputs * outputs)))

    rounded_down = wrong("This is one token too few: round up.", "math.ceil", "math.floor")

    macs = wrong("A MAC is two FLOPs.", "gained = 2 * inputs", "gained = inputs")

    four_bytes = wrong(
        "A number has `width` bytes, not always 4.",
        "ridge * width * (inputs * outputs + outputs)",
        "ridge * 4 * (inputs * outputs + outputs)",
    )

    no_bias = wrong("The biases are read too.", "(inputs * outputs + outputs)", "(inputs * outputs)")

    nothing_read = wrong("At least one token is read.", "max(1, ", "max(0, ")

    @wrong("Where no number of tokens is enough, the formula gives nonsense: return 0.")
    def negative(inputs, outputs, ridge, width):
        gained = 2 * inputs * outputs - ridge * width * (inputs + outputs)
        return max(1, math.ceil(ridge * width * (inputs * outputs + outputs) / (gained or 1e-9)))


@exercise
class largest_batch:
    """Write `largest_batch(params, kept_per_row, limit)`: the most rows that fit in training with Adam, an
    int.

    All numbers are float32. Weights, gradients and Adam's two moments are held for each of `params`
    parameters; each row of the batch adds `kept_per_row` bytes of activations. `limit` is the memory in
    bytes, and all of it may be used. If not one row fits, return 0.
    """

    hints = (
        "How many bytes are held for each parameter, before the first row?",
        "16: weight, gradient and two moments, 4 bytes each. What is left is shared by the rows.",
    )

    def solution(params, kept_per_row, limit):
        return max(0, (limit - 16 * params) // kept_per_row)

    @stage("as many rows as fit, up to the last byte")
    def fits(check):
        for rows in range(1, 9):
            params, kept = (int(n) for n in check.rng.integers([50, 200], [200, 900]))
            full = 16 * params + rows * kept
            check.equal(check.call(params, kept, full), rows)
            check.equal(check.call(params, kept, full - 1), rows - 1)
            check.equal(check.call(params, kept, full + kept // 2), rows)
            check.equal(check.call(0, kept, rows * kept), rows)

    @stage("nothing fits: 0")
    def nothing(check):
        for params, kept in ((100, 50), (1_000, 7), (10, 900)):
            for limit in (0, 4 * params, 16 * params - 1, 16 * params, 16 * params + kept - 1):
                check.equal(check.call(params, kept, limit), 0)

    weights_alone = wrong(
        "Only the weights are counted: training holds four numbers for each.", "16 * params", "4 * params"
    )

    no_moments = wrong("Adam keeps two moments for each parameter.", "16 * params", "8 * params")

    one_moment = wrong("Adam keeps two moments, not one.", "16 * params", "12 * params")

    rows_alone = wrong("Weights, gradients and moments take room too.", "limit - 16 * params", "limit")

    below_zero = wrong(
        "Not even the weights fit: that is 0 rows.",
        "max(0, (limit - 16 * params) // kept_per_row)",
        "(limit - 16 * params) // kept_per_row",
    )

    one_too_many = wrong(
        "One row too many: a row fits as a whole or not at all.", "// kept_per_row)", "// kept_per_row + 1)"
    )

    one_too_few = wrong(
        "All of the memory may be used, to the last byte.",
        "(limit - 16 * params) //",
        "(limit - 16 * params - 1) //",
    )


@exercise
class rounded_rows:
    """Write `rounded_rows(matrix)`: a float tensor (rows, n), what is read back after int8 quantisation by
    rows.

    The scale of a row is its largest absolute value, divided by 127. Each value is divided by the scale of
    its row, rounded to the nearest whole number, and multiplied by the scale again. A row of zeros stays as
    it is.
    """

    hints = (
        "What is the largest absolute value of -3, 1, 2? And what does `max` say?",
        "`.to(torch.int8)` cuts the decimals off. What must come before it?",
        "0 / 0 is no number: where the scale is 0, divide by 1 instead, with `masked_fill`.",
    )

    def stub(matrix):
        scale = matrix.max(dim=1, keepdim=True).values / 127
        return (matrix / scale).to(torch.int8) * scale

    def solution(matrix):
        scale = matrix.abs().amax(dim=1, keepdim=True) / 127
        divisor = scale.masked_fill(scale == 0, 1.0)
        return (matrix / divisor).round() * scale

    @stage("nothing is off by more than half a step of its row")
    def close(check):
        for rows in range(1, 7):
            matrix = torch.randn(rows, rows + 3, generator=check.generator) * 10.0 ** (
                torch.arange(rows)[:, None] - 4
            )
            matrix[0, 0] = -matrix[0].abs().max() - 1  # the largest absolute value is a negative one
            got = check.tensor(check.call(matrix), matrix.shape, axes="(rows, n)")
            half = matrix.abs().amax(dim=1, keepdim=True) / 254 * 1.001
            check.expect(bool(((got - matrix).abs() <= half).all()), "An error is larger than half a step.")

    @stage("whole numbers of steps, 127 to the largest value")
    def steps(check):
        for rows in range(2, 8):
            matrix = torch.randn(rows, 6, generator=check.generator) * (1 + torch.arange(rows)[:, None])
            expected = []
            for row in matrix.tolist():
                scale = max(map(abs, row)) / 127
                expected.append([scale * math.floor(value / scale + 0.5) for value in row])
            check.equal(check.call(matrix), torch.tensor(expected), tolerance=1e-5)

    @stage("rows of zeros, of negative numbers, and of one value")
    def edges(check):
        matrix = torch.tensor([[0.0, 0.0, 0.0], [-64.0, -32.0, -127.0], [3e-4, 3e-4, 3e-4]])
        for order in ([1, 2], [0, 1, 2], [2, 0, 1], [0, 0], [1], [1, 1]):
            check.equal(check.call(matrix[order]), matrix[order])

    signed_maximum = wrong(
        "The largest ABSOLUTE value: here a negative one is the largest.",
        "matrix.abs().amax(dim=1, keepdim=True)",
        "matrix.amax(dim=1, keepdim=True)",
    )

    wrong_range = wrong("127, not 128: the largest value is 127 steps.", "/ 127", "/ 128")

    cut_off = wrong("The decimals are cut off, not rounded.", ".round()", ".trunc()")

    not_rounded = wrong("Nothing is rounded: this is the matrix itself.", ".round()", "")

    one_scale = wrong(
        "There is one scale for the whole matrix; each row has its own.",
        "matrix.abs().amax(dim=1, keepdim=True)",
        "matrix.abs().amax().expand(len(matrix), 1)",
    )

    steps_alone = wrong(
        "These are the whole numbers: multiply by the scale again.", ".round() * scale", ".round()"
    )

    zero_by_zero = wrong("A row of zeros is divided by its scale, 0.", "matrix / divisor", "matrix / scale")
