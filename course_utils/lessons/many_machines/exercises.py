"""Exercises of notebook 18: what a run costs, and what is the same on many machines.

The gradient that several processes make together, the length at which a rule of thumb is right, slips in a
run of two processes, a batch that does not fit, the best number of cards, and a repair.
"""

import math

import torch

from course_utils.bert import BertConfig
from course_utils.classroom.engine import exercise, stage, wrong
from course_utils.lessons.many_machines.estimate import step_flops
from course_utils.profiler import closed_form


@exercise
class combine_gradients:
    """Write `combine_gradients(gradients, counts)`: the gradient that one process would have had for the
    whole batch.

    `gradients` is (processes, parameters): row i is the gradient of the mean loss over the `counts[i]`
    selected positions of process i. `counts` is a list of integers >= 0, not all 0; a process without any
    selected position has a row of zeros. Return a tensor (parameters,): the gradient of the mean over all
    selected positions together.
    """

    hints = (
        "A mean over 2 positions and a mean over 6 positions: what is the mean over all 8?",
        "Each row counts as much as its process has positions: weights `counts[i] / sum(counts)`.",
    )

    def solution(gradients, counts):
        weights = torch.tensor(counts, dtype=gradients.dtype) / sum(counts)
        return weights @ gradients

    @stage("equal shares: the mean of the processes")
    def equal_shares(check):
        for processes in range(1, 8):
            gradients = torch.randn(processes, 3, generator=check.generator)
            check.equal(check.call(gradients, [4] * processes), gradients.mean(0), tolerance=1e-5)
        for gradients in (torch.zeros(2, 3), torch.full((3, 2), -1.5), torch.tensor([[-1.0, -2.0]]).double()):
            check.equal(check.call(gradients, [2] * len(gradients)), gradients.mean(0), tolerance=1e-5)

    @stage("unequal shares: who has more positions counts more")
    def unequal_shares(check):
        for first in range(1, 8):
            counts = [first, 9, 0]
            gradients = torch.randn(3, 4, generator=check.generator)
            gradients[2] = 0
            # The whole batch, position by position.
            each = [gradients[i] for i, n in enumerate(counts) for _ in range(n)]
            check.equal(check.call(gradients, counts), sum(each) / len(each), tolerance=1e-5)

    @wrong("This is the sum: as if the batch were that many times as long.")
    def summed(gradients, counts):
        return gradients.sum(dim=0)

    @wrong("The plain mean of the processes: a process with one position counts as much as one with nine.")
    def plain_mean(gradients, counts):
        return gradients.mean(dim=0)

    @wrong("Divide by the number of all positions, not by that of the processes.")
    def by_processes(gradients, counts):
        return torch.tensor(counts, dtype=gradients.dtype) @ gradients / len(counts)

    @wrong("You count each process that has positions once; count its positions.")
    def mean_of_the_busy(gradients, counts):
        busy = torch.tensor(counts) > 0
        return gradients[busy].mean(dim=0)

    @wrong("These are the sums over the positions: divide by the number of all positions.")
    def undivided(gradients, counts):
        return torch.tensor(counts, dtype=gradients.dtype) @ gradients


def _per_token(config: BertConfig, seq_len: int, rows: int = 1000) -> float:
    """Exact FLOPs of a step for each token, pooler and NSP head left out."""
    full = step_flops(config, rows, seq_len, round(0.15 * rows * seq_len))
    a_row = 6 * (config.hidden_size**2 + 2 * config.hidden_size)
    return full / (rows * seq_len) - a_row / seq_len


def _length(passes: int = 3, head: float = 0.15, products: int = 2) -> float:
    """Tokens a row at which 6N is so many forward passes with the head at a share of the tokens."""
    h, forward = 768, 6 * 110_106_428 / passes
    return (forward - 12 * 24 * h**2 - head * (2 * h**2 + 2 * h * 30_522)) / (12 * 2 * products * h)


LENGTH_SLIPS = {
    "This sets a forward pass equal to 6 N; a step is three forward passes.": _length(passes=1),
    "The masked-word head is missing: it runs at 15 % of the tokens.": _length(head=0),
    "The head runs at the selected positions alone, 15 % of them.": _length(head=1),
    "Attention has two products: the scores, and the weighted mean of the values.": _length(products=1),
}


@exercise
class equal_at:
    """Give `equal_at`: the tokens a row at which 6ND, with all 110,106,428 parameters of BERT-base, is right.

    Count all matrix products of a training step with 15 % of the positions selected: 12 layers of hidden
    size 768 and feed-forward size 3072, and the masked-word head with its 30,522 pieces. Leave out pooler
    and NSP head. (BERT's table of positions ends at 512; the arithmetic goes on.)
    """

    hints = (
        (
            "For one token, forward: 24 h^2 operations a layer in Linear layers, 4 s h in attention. The"
            " head: 0.15 (2 h^2 + 2 h V)."
        ),
        "Three times that is a step. Set it equal to 6 N, and solve for s: it stands in one term only.",
    )

    solution = round(
        (2 * 110_106_428 - 12 * 24 * 768**2 - 0.15 * (2 * 768**2 + 2 * 768 * 30_522)) / (12 * 4 * 768)
    )

    @stage("the length at which both counts are equal, to ten tokens")
    def value(check):
        answer = float(check.answer)
        check.expect(1 <= answer < 1e6, "A row has at least one token, and not a million.")
        base = BertConfig.named("base")
        rule = 6 * closed_form(base, 1, 1, pretraining_heads=True)["params"]
        nearest = min(range(1, 4000), key=lambda s: abs(_per_token(base, s) - rule))
        for sentence, length in LENGTH_SLIPS.items():
            check.expect(abs(answer - length) > 10, sentence)
        counted = _per_token(base, round(answer))
        said = f"there a token takes {counted / 1e6:.1f} million operations, and by 6N {rule / 1e6:.1f}"
        still = "too short" if answer < nearest else "too long"
        check.expect(abs(answer - nearest) <= 10, f"Your rows are {still}: {said}.")

    forward_only, without_head, head_everywhere, one_product = (
        wrong(sentence)(round(length)) for sentence, length in LENGTH_SLIPS.items()
    )


SLIPS = ("sum", "plain mean", "no exchange", "sums of losses", "none")
SHOWN = (8, 20, 5, 6, 12)  # what the optimiser gets in each run


def _shown(slip: str, blanks: tuple[int, int], gradients: tuple[float, float]) -> float:
    """What the optimiser gets from two processes under a slip."""
    if slip == "sum":
        return gradients[0] + gradients[1]
    if slip == "plain mean":
        return (gradients[0] + gradients[1]) / 2
    if slip == "no exchange":
        return gradients[0]
    together = blanks[0] * gradients[0] + blanks[1] * gradients[1]
    return together / sum(blanks) if slip == "none" else together


@exercise
class slips:
    """Give `slips`: the slip in each of five runs, a list of five texts.

    Process 0 has 1 blank and a gradient (of its mean) of 8, process 1 has 3 blanks and a gradient of 4. The
    optimiser gets 8 in the first run, 20 in the second, then 5, 6 and 12. The names are "sum", "plain mean",
    "no exchange", "sums of losses" and "none".
    """

    hints = (
        "Work each slip out on 8 and 4, with 1 and 3 blanks.",
        "A sum over three blanks has three times the gradient of their mean.",
    )

    solution = ["no exchange", "sums of losses", "none", "plain mean", "sum"]  # noqa: RUF012 (no default)

    @stage("five names, each one of the five")
    def names(check):
        found = list(check.answer)
        check.expect(len(found) == 5, "Give five names, one for each run.")
        for name in found:
            check.expect(str(name).lower() in SLIPS, f"{name!r} is none of the five names.")

    @stage("each slip gives the number of its run")
    def numbers(check):
        for run, (name, got) in enumerate(zip(check.answer, SHOWN, strict=True), start=1):
            gives = _shown(str(name).lower(), (1, 3), (8.0, 4.0))
            check.expect(gives == got, f"Run {run}: {name!r} would give {gives:g}, and the run shows {got}.")

    one_missing = wrong("Give five names: the run without a slip is `none`.")(
        ["no exchange", "sums of losses", "plain mean", "sum"]
    )

    in_the_order_of_the_task = wrong("This is the order in which the task lists the names, not the runs.")(
        list(SLIPS)
    )

    sums = wrong("12 is 8 + 4, the sum of the gradients; 20 is 1 x 8 + 3 x 4. These two are exchanged.")(
        ["no exchange", "sum", "none", "plain mean", "sums of losses"]
    )

    mean_and_alone = wrong("6 is the mean of 8 and 4; 8 is process 0 alone. These two are exchanged.")(
        ["plain mean", "sums of losses", "none", "no exchange", "sum"]
    )

    mean_is_right = wrong("6 is the plain mean. The right gradient weights by blanks: (1 x 8 + 3 x 4) / 4.")(
        ["no exchange", "sums of losses", "plain mean", "none", "sum"]
    )

    described = wrong("Use the names as they stand in the task.")(
        ["not exchanged", "losses summed", "right", "averaged", "added"]
    )


@exercise
class micro_batches:
    """Write `micro_batches(rows, fixed, a_row, memory)`: into how many parts a batch must be cut to fit.

    A step needs `fixed` bytes and `a_row` bytes for each row that is held at once. The `rows` rows, at least
    one, are shared as equally as possible; the largest micro-batch must fit into `memory` bytes. Return the
    smallest number of micro-batches, or 0 if not even one row fits. All are whole numbers, `a_row` at least
    1.
    """

    hints = (
        "First: how many rows fit at once? `(memory - fixed) // a_row`, if that is at least 1.",
        "Then rows divided by that number, rounded up: `-(-rows // held)`.",
    )

    def solution(rows, fixed, a_row, memory):
        held = (memory - fixed) // a_row
        if held < 1:
            return 0
        return -(-rows // held)

    @stage("some number of parts is enough")
    def enough(check):
        for rows in range(1, 20):
            fixed, a_row = (int(check.rng.integers(1, 50)) for _ in range(2))
            memory = fixed + a_row * int(check.rng.integers(1, 8)) + int(check.rng.integers(0, a_row))
            parts = next(p for p in range(1, 100) if fixed + math.ceil(rows / p) * a_row <= memory)
            check.equal(check.call(rows, fixed, a_row, memory), parts)
        for rows in range(1, 8):  # exactly full, and one byte too few
            for fixed in (0, 10):
                check.equal(check.call(rows, fixed, 5, fixed + 5 * rows), 1)
                check.equal(check.call(rows + 1, fixed, 5, fixed + 5 * (rows + 1) - 1), 2)

    @stage("not even one row fits: 0")
    def nothing(check):
        for fixed, a_row, memory in (
            (10, 5, 14),
            (10, 5, 10),
            (10, 5, 3),
            (10**9, 1, 10),
            (1, 100, 100),
            (3, 2, 0),
        ):
            check.equal(check.call(64, fixed, a_row, memory), 0)

    @wrong("Where not even one row fits, no number of micro-batches helps: return 0.")
    def always_one_row(rows, fixed, a_row, memory):
        return -(-rows // max(1, (memory - fixed) // a_row))

    @wrong("Round up: a rest of a micro-batch is a micro-batch too.")
    def rounded_down(rows, fixed, a_row, memory):
        held = (memory - fixed) // a_row
        return 0 if held < 1 else max(1, rows // held)

    @wrong("Where the rows come out even, no rest is left: a micro-batch of no rows is none.")
    def always_one_more(rows, fixed, a_row, memory):
        held = (memory - fixed) // a_row
        return 0 if held < 1 else rows // held + 1

    @wrong("A micro-batch holds whole rows: round down how many rows fit.")
    def parts_of_rows(rows, fixed, a_row, memory):
        held = (memory - fixed) / a_row
        return 0 if held < 1 else math.ceil(rows / held)

    @wrong("The weights and their moments take their place first: take `fixed` off the memory.")
    def without_fixed(rows, fixed, a_row, memory):
        held = memory // a_row
        return 0 if held < 1 else -(-rows // held)

    @wrong("This is how many rows fit at once; asked is the number of micro-batches.")
    def rows_that_fit(rows, fixed, a_row, memory):
        return max(0, (memory - fixed) // a_row)

    @wrong("`fixed` is needed once, whatever the number of micro-batches: cut up the rows alone.")
    def shared_fixed(rows, fixed, a_row, memory):
        if memory < fixed + a_row:
            return 0
        return -(-(fixed + rows * a_row) // memory)


def _seconds(cards, arithmetic, message, link, latency):
    """A step on so many cards, term by term."""
    if cards == 1:
        return arithmetic
    sending = 0.0
    for _ in range(2 * (cards - 1)):
        sending += message / cards / link + latency
    return arithmetic / cards + sending


@exercise
class best_cards:
    """Write `best_cards(arithmetic, message, link, latency, most)`: how many cards make the fastest step.

    One card takes `arithmetic` seconds; p cards share that equally. With p > 1 a ring comes on top: 2 (p - 1)
    rounds, in each of which every card sends message / p bytes at `link` bytes a second, after waiting
    `latency` seconds. Return the number from 1 to `most` with the least time, of equals the smallest.
    """

    hints = (
        "Write the time of a step on p cards as a small function first; one card has no ring.",
        "`min(range(1, most + 1), key=...)` takes the first of equals.",
    )

    def solution(arithmetic, message, link, latency, most):
        def seconds(p):
            rounds = 2 * (p - 1)
            return arithmetic / p + rounds * (message / p / link + latency)

        return min(range(1, most + 1), key=seconds)

    @stage("the ring counts: bytes over the link")
    def with_bytes(check):
        for most in range(1, 5):  # a message that costs nothing: the more the better
            check.equal(check.call(2.0, 0.0, 1e9, 0.0, most), most)
        for most in (1, 2, 3, 4, 8, 16, 64):
            for arithmetic, link in ((0.0, 1e9), (0.1, 2e9), (0.4, 1e9), (2.1, 3e8), (5.0, 1e9), (50.0, 4e9)):
                times = {p: _seconds(p, arithmetic, 1e9, link, 0.0) for p in range(1, most + 1)}
                check.equal(check.call(arithmetic, 1e9, link, 0.0, most), min(times, key=times.get))

    @stage("and each round waits: too many cards are slower again")
    def with_latency(check):
        for latency in (0.001, 0.004, 0.011, 0.05, 0.3, 7.0):
            for message in (1e6, 2e8, 7e8):
                times = {p: _seconds(p, 3.0, message, 1e9, latency) for p in range(1, 65)}
                check.equal(check.call(3.0, message, 1e9, latency, 64), min(times, key=times.get))

    @stage("of equals the smallest")
    def ties(check):
        for most in (1, 2, 5):  # nothing takes any time
            check.equal(check.call(0.0, 0.0, 1e9, 0.0, most), 1)
        for scale in (0.25, 1.0, 2.0):  # a second card saves what its messages cost; a third, too
            check.equal(check.call(4 * scale, 2e9 * scale, 1e9, 0.0, 2), 1)
            check.equal(check.call(4 * scale, 0.0, 1e9, scale, 2), 1)
            check.equal(check.call(12 * scale, 0.0, 1e9, scale, 4), 2)

    @wrong("Of equals the smallest number of cards is asked for, and you take the largest.")
    def largest_of_equals(arithmetic, message, link, latency, most):
        def seconds(p):
            return arithmetic / p + 2 * (p - 1) * (message / p / link + latency)

        return min(range(most, 0, -1), key=seconds)

    @wrong("Any number of cards may be the best, and not only powers of two.")
    def powers_of_two(arithmetic, message, link, latency, most):
        def seconds(p):
            return arithmetic / p + 2 * (p - 1) * (message / p / link + latency)

        return min((2**i for i in range(most.bit_length())), key=seconds)

    @wrong("A ring of p cards has 2 (p - 1) rounds, two fewer than 2 p; one card has none.")
    def two_rounds_too_many(arithmetic, message, link, latency, most):
        return min(range(1, most + 1), key=lambda p: arithmetic / p + 2 * p * (message / p / link + latency))

    @wrong("Arithmetic alone always asks for all cards; the ring costs something.")
    def all_of_them(arithmetic, message, link, latency, most):
        return most

    @wrong("In each round a card sends one piece, message / p, and not the whole message.")
    def whole_messages(arithmetic, message, link, latency, most):
        return min(
            range(1, most + 1), key=lambda p: arithmetic / p + 2 * (p - 1) * (message / link + latency)
        )

    @wrong("There are 2 (p - 1) rounds: p - 1 to add, and p - 1 to pass the sums on.")
    def half_the_rounds(arithmetic, message, link, latency, most):
        return min(
            range(1, most + 1), key=lambda p: arithmetic / p + (p - 1) * (message / p / link + latency)
        )

    @wrong("The latency is waited for in each round, and there are 2 (p - 1) of them.")
    def latency_once(arithmetic, message, link, latency, most):
        return min(
            range(1, most + 1),
            key=lambda p: arithmetic / p + 2 * (p - 1) * message / p / link + (latency if p > 1 else 0),
        )


def _squares(batch: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """A loss for each blank of a micro-batch: its gradient is 2 (w - x)."""
    return (w - batch) ** 2


ROOM = 3  # blanks


def _squares_of_few(batch: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The same on a machine that holds few blanks at once."""
    if len(batch) > ROOM:
        raise ValueError(f"expected one micro-batch at a time, of at most {ROOM} blanks, got {len(batch)}")
    return _squares(batch, w)


def _cut(check, sizes: list[int]) -> list[torch.Tensor]:
    return [torch.randn(n, generator=check.generator) for n in sizes]


@exercise
class accumulate:
    """Write `accumulate(losses_of, micro_batches, w)`: the gradient of the mean over all blanks of all
    micro-batches.

    `micro_batches` is a list of tensors, one number for each blank; some may be empty, not all.
    `losses_of(batch, w)` gives a loss for each blank of a micro-batch, a tensor of the same length. `w` is a
    tensor of shape () that requires gradients. Call it for one micro-batch at a time. Return `w.grad`, with
    nothing left in it from before.
    """

    hints = (
        "The mean over all blanks is the sum of all losses, divided by the number of all blanks.",
        "First `n = sum(len(batch) for batch in micro_batches)`, then `(losses.sum() / n).backward()`.",
    )

    def stub(losses_of, micro_batches, w):
        w.grad = None
        for batch in micro_batches:
            loss = losses_of(batch, w).mean()
            (loss / len(micro_batches)).backward()
        return w.grad

    def solution(losses_of, micro_batches, w):
        w.grad = None
        n = sum(len(batch) for batch in micro_batches)
        for batch in micro_batches:
            if len(batch):
                (losses_of(batch, w).sum() / n).backward()
        return w.grad

    @stage("micro-batches of one size")
    def equal_sizes(check):
        for size in range(1, 7):
            batches = _cut(check, [size] * 3)
            w = torch.tensor(0.5, requires_grad=True)
            expected = (2 * (0.5 - torch.cat(batches))).mean()
            check.equal(check.call(_squares, batches, w), expected, tolerance=1e-5)

    @stage("micro-batches of different sizes, some of them empty")
    def unequal_sizes(check):
        for sizes in ([1, 3], [3, 1], [5], [1, 2, 9], [4, 1, 1, 1], [0, 3], [3, 0], [2, 0, 5], [0, 0, 1]):
            batches = _cut(check, sizes)
            w = torch.tensor(-1.0, requires_grad=True)
            expected = (2 * (-1.0 - torch.cat(batches))).mean()
            check.equal(check.call(_squares, batches, w), expected, tolerance=1e-5)

    @stage("nothing is left from the step before")
    def old_gradient(check):
        for start in (1.0, 0.0, -2.0, 3.0, 0.5):
            batches = [*_cut(check, [3, 2]), torch.zeros(1)]
            w = torch.tensor(start, requires_grad=True)
            w.grad = torch.tensor(100.0)
            expected = (2 * (start - torch.cat(batches))).mean()
            check.equal(check.call(_squares, batches, w), expected, tolerance=1e-5)

    @stage("one micro-batch at a time")
    def one_at_a_time(check):
        for sizes in ([2, 3], [3, 2], [1, 1, 3], [3, 2, 2, 1], [0, 3, 2]):
            batches = _cut(check, sizes)
            w = torch.tensor(0.5, requires_grad=True)
            expected = (2 * (0.5 - torch.cat(batches))).mean()
            check.equal(check.call(_squares_of_few, batches, w), expected, tolerance=1e-5)

    @wrong("This asks for the losses of all micro-batches at once, which no machine may hold.")
    def all_at_once(losses_of, micro_batches, w):
        w.grad = None
        losses_of(torch.cat(micro_batches), w).mean().backward()
        return w.grad

    @wrong("The sum over all blanks is not divided by their number.")
    def not_divided(losses_of, micro_batches, w):
        w.grad = None
        for batch in micro_batches:
            losses_of(batch, w).sum().backward()
        return w.grad

    @wrong("Each micro-batch still counts the same; weight it by its blanks.")
    def still_equal(losses_of, micro_batches, w):
        w.grad = None
        filled = [batch for batch in micro_batches if len(batch)]
        for batch in filled:
            (losses_of(batch, w).mean() / len(filled)).backward()
        return w.grad

    @wrong("You clear `w.grad` before each micro-batch: only the last one is left in it.")
    def cleared_each_time(losses_of, micro_batches, w):
        w.grad = None
        n = sum(len(batch) for batch in micro_batches)
        for batch in micro_batches:
            if len(batch):
                w.grad = None
                (losses_of(batch, w).sum() / n).backward()
        return w.grad

    @wrong("You divide the sums by the number of micro-batches; divide by the number of blanks.")
    def by_micro_batches(losses_of, micro_batches, w):
        w.grad = None
        for batch in micro_batches:
            (losses_of(batch, w).sum() / len(micro_batches)).backward()
        return w.grad

    @wrong("The gradient of the step before is still in `w.grad`: `backward()` adds to it.")
    def added_to_the_old(losses_of, micro_batches, w):
        n = sum(len(batch) for batch in micro_batches)
        for batch in micro_batches:
            if len(batch):
                (losses_of(batch, w).sum() / n).backward()
        return w.grad
