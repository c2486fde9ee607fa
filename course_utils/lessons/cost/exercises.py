"""Exercises of notebook 13: count parameters, operations and bytes, and find what a published number counts.

The names are those of the configuration: `hidden` for hidden_size, `wide` for intermediate_size, `layers` for
num_hidden_layers. Every count is a whole number.
"""

import functools

import torch

from course_utils.bert import BertConfig
from course_utils.classroom.engine import exercise, stage, wrong
from course_utils.profiler import on_meta, profile


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


@exercise
class layer_parameters:
    """Write `layer_parameters(hidden, wide)`: the number of parameters of one layer of BERT.

    Query, key, value and the output of attention are Linear layers from hidden to hidden; then come one from
    hidden to wide and one from wide to hidden. Each has a bias. There are two LayerNorms, each with a weight
    and a bias of length hidden.
    """

    hints = (
        "A Linear layer from a to b has a * b weights and b biases.",
        "The four Linear layers of attention: 4 * (hidden * hidden + hidden).",
        "The two wide ones: 2 * hidden * wide weights, and wide + hidden biases. LayerNorms: 2 * 2 * hidden.",
    )

    def solution(hidden, wide):
        attention = 4 * (hidden * hidden + hidden)
        feed_forward = 2 * hidden * wide + wide + hidden
        return attention + feed_forward + 4 * hidden

    @stage("as many as PyTorch finds in a layer")
    def count(check):
        for hidden in range(4, 11):
            wide = 3 * hidden + 2
            layer = on_meta(_config(1, hidden, wide, 1)).encoder
            expected = sum(parameter.numel() for parameter in layer.parameters())
            check.equal(check.call(hidden, wide), expected)

    @wrong("The biases of the Linear layers are missing.")
    def no_biases(hidden, wide):
        return 4 * hidden * hidden + 2 * hidden * wide + 4 * hidden

    @wrong("The LayerNorms are missing.")
    def no_norms(hidden, wide):
        return 4 * (hidden * hidden + hidden) + 2 * hidden * wide + wide + hidden

    @wrong("A LayerNorm has a weight and a bias.")
    def half_norms(hidden, wide):
        return 4 * (hidden * hidden + hidden) + 2 * hidden * wide + wide + hidden + 2 * hidden

    @wrong("Attention has four Linear layers: its output is one too.")
    def three_projections(hidden, wide):
        return 3 * (hidden * hidden + hidden) + 2 * hidden * wide + wide + hidden + 4 * hidden

    @wrong("Both wide layers have a bias: one of length wide, one of length hidden.")
    def one_wide_bias(hidden, wide):
        return 4 * (hidden * hidden + hidden) + 2 * hidden * wide + wide + 4 * hidden


@functools.cache  # a profile takes long, and the check comes back to the same sizes
def _attention_macs_of_profile(batch: int, heads: int, seq_len: int, head_size: int) -> int:
    found = profile(_config(1, heads * head_size, 4, heads), batch, seq_len)
    return sum(operation.macs for operation in found.operations if operation.kind == "matmul")


@functools.cache
def _flops_of_profile(seq_len: int, **sizes: int) -> int:
    return profile(_config(**sizes), 1, seq_len, "linear").totals.flops


@exercise
class attention_macs:
    """Write `attention_macs(batch, heads, seq_len, head_size)`: the MACs of attention's two products, in one
    layer.

    They are Q K^T and weights times V, for every head of every row. The Linear layers do not belong here.
    """

    hints = (
        "Q K^T of one head: for each pair of tokens one dot product of head_size numbers.",
        "weights times V: for each token and each of head_size components one sum over seq_len tokens.",
        "Both are seq_len * seq_len * head_size, for each of batch * heads heads.",
    )

    def solution(batch, heads, seq_len, head_size):
        return 2 * batch * heads * seq_len * seq_len * head_size

    @stage("two products in every head of every row")
    def count(check):
        for seq_len in range(8, 14):  # so large that no slip looks like another
            batch, heads, head_size = 3 + seq_len % 2, 5 + seq_len % 2, seq_len + 1
            got = check.call(batch, heads, seq_len, head_size)
            check.equal(got, _attention_macs_of_profile(batch, heads, seq_len, head_size))

    @wrong("That is one of the two products.")
    def scores_only(batch, heads, seq_len, head_size):
        return batch * heads * seq_len * seq_len * head_size

    one_row = wrong("Every row of the batch has its own scores.", "batch *", "")

    @wrong("These are FLOPs: a MAC is one multiplication and one addition together.")
    def flops(batch, heads, seq_len, head_size):
        return 4 * batch * heads * seq_len * seq_len * head_size

    linear_in_length = wrong(
        "Each token meets each token: seq_len counts twice.", "seq_len * head_size", "head_size"
    )

    one_head = wrong("Every head has its own scores.", "heads *", "")


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


@exercise
class least_seconds:
    """Write `least_seconds(flops, bytes_moved, peak, bandwidth)`: the least time of one operation, by the
    roofline.

    `peak` is in FLOPs a second, `bandwidth` in bytes a second. Arithmetic and traffic go on at the same time.
    """

    hints = (
        "The arithmetic alone takes flops / peak seconds. And the traffic?",
        "Both go on at once: the operation is done when the slower one is.",
        "`max(...)` of the two times.",
    )

    def solution(flops, bytes_moved, peak, bandwidth):
        return max(flops / peak, bytes_moved / bandwidth)

    @stage("where the arithmetic takes longer, its time")
    def arithmetic_decides(check):
        for _ in range(6):
            peak, bandwidth = (float(value) for value in check.rng.integers(2, 9, size=2))
            traffic = float(check.rng.integers(3, 9))
            arithmetic = traffic + float(check.rng.integers(1, 9))
            got = check.call(arithmetic * peak, traffic * bandwidth, peak, bandwidth)
            check.equal(got, arithmetic)

    @stage("where the traffic takes longer, its time")
    def traffic_decides(check):
        for _ in range(6):
            peak, bandwidth = (float(value) for value in check.rng.integers(2, 9, size=2))
            arithmetic = float(check.rng.integers(3, 9))
            traffic = arithmetic + float(check.rng.integers(1, 9))
            got = check.call(arithmetic * peak, traffic * bandwidth, peak, bandwidth)
            check.equal(got, traffic)

    @wrong("They go on at the same time: their times do not add up.")
    def total(flops, bytes_moved, peak, bandwidth):
        return flops / peak + bytes_moved / bandwidth

    @wrong("Here the traffic is done sooner, and the operation still waits for its arithmetic.")
    def shorter(flops, bytes_moved, peak, bandwidth):
        return min(flops / peak, bytes_moved / bandwidth)

    @wrong("This looks at the arithmetic only, and here the bytes take longer.")
    def arithmetic_only(flops, bytes_moved, peak, bandwidth):
        return flops / peak


@exercise
class quantise:
    """Write `quantise(row)`: a float tensor (n,) becomes a pair (numbers, scale).

    `scale` is a float: the largest absolute value of the row, divided by 127. `numbers` is a torch.int8
    tensor (n,): each value divided by the scale, rounded to the nearest whole number. So `numbers * scale` is
    close to the row. No row is all zero.
    """

    hints = (
        "`row.abs().max().item() / 127` is the scale.",
        "`.round()` before the change of type: `.to(torch.int8)` alone cuts the decimals off.",
        "`return (row / scale).round().to(torch.int8), scale`",
    )

    def solution(row):
        scale = row.abs().max().item() / 127
        return (row / scale).round().to(torch.int8), scale

    @stage("a pair: int8 numbers of the same length, and a float")
    def form(check):
        for size in range(2, 9):
            got = check.call(torch.randn(size, generator=check.generator))
            check.expect(isinstance(got, tuple) and len(got) == 2, "A pair (numbers, scale) is wanted.")
            check.tensor(got[0], (size,), torch.int8)
            check.expect(
                isinstance(got[1], float), "The scale is wanted as a Python float: `.item()` makes one."
            )

    @stage("the largest value becomes 127 or -127")
    def scale(check):
        for size in range(2, 10):
            row = torch.randn(size, generator=check.generator)
            row[0] = -row.abs().max() - 1  # the largest absolute value is a negative one
            expected = float(row.abs().max()) / 127
            check.equal(check.call(row)[1], expected)

    @stage("each value at the nearest whole number")
    def rounding(check):
        for size in range(4, 12):
            row = torch.randn(size, generator=check.generator)
            scaled = [value / (float(row.abs().max()) / 127) for value in row.tolist()]
            nearest = torch.tensor([int(value + 0.5) if value > 0 else -int(0.5 - value) for value in scaled])
            check.equal(check.call(row)[0], nearest.to(torch.int8), "Not the nearest whole numbers.")

    @wrong("The largest ABSOLUTE value: here a negative one is the largest.")
    def signed_maximum(row):
        scale = row.max().item() / 127
        return (row / scale).round().clamp(-128, 127).to(torch.int8), scale

    @wrong("127, not 128: int8 goes from -128 to 127.")
    def wrong_range(row):
        scale = row.abs().max().item() / 128
        return (row / scale).round().clamp(-128, 127).to(torch.int8), scale

    cut_off = wrong("The decimals are cut off, not rounded.", ".round()", "")

    floats = wrong(
        "The numbers are rounded, but still floating-point ones: `.to(torch.int8)` makes a byte of each.",
        ".to(torch.int8)",
        "",
    )

    @wrong("This is the inverse of the scale.")
    def inverse(row):
        scale = 127 / row.abs().max().item()
        return (row * scale).round().to(torch.int8), scale
