"""Exercises of notebook 14: one idea of a relative of BERT each, and the fair comparison of two models."""

import math
from statistics import median

import torch
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong

UNDECIDED = "try more rates"


def _table(check, names: list[str], inner: bool = True) -> dict[str, dict[float, list[float]]]:
    """Losses by model, rate and seed; the best rate of each is an inner one, or for the last an outer one."""
    found = {}
    for name in names:
        n = int(check.rng.integers(3, 6))
        best = int(check.rng.integers(1, n - 1))
        if not inner and name == names[-1]:
            best = int(check.rng.choice([0, n - 1]))
        level = float(check.rng.uniform(1, 2))
        rates = [0.001 * 2.0**i for i in range(n)]
        places = check.rng.permutation(n).tolist()  # nobody said that the rates come in order
        seeds = int(check.rng.integers(1, 4))
        found[name] = {
            rates[i]: [
                round(level + 0.3 * abs(i - best) + 0.02 * float(check.rng.random()), 4) for _ in range(seeds)
            ]
            for i in places
        }
    return found


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


@exercise
class fair_winner:
    """Write `fair_winner(losses)`: the name of the best model, each at its own best learning rate.

    `losses` is a dict: for each name a dict from learning rates, three or more, to a list of losses, one for
    each seed. A model's best rate has the lowest mean loss. Return the name of the model whose loss at its
    best rate is lowest, as a mean over the seeds. But if the best rate of any model is the smallest or the
    largest that was tried with it, a better one may lie beyond: return the text "try more rates". No two
    means are tied.
    """

    hints = (
        "First find the best rate of each model alone: `min(rates, key=...)` with the mean as key.",
        "Is it `min(rates)` or `max(rates)`? Then nothing is decided, whatever the losses say.",
    )

    def solution(losses):
        best = {}
        for name, by_rate in losses.items():
            means = {rate: sum(values) / len(values) for rate, values in by_rate.items()}
            rate = min(means, key=means.get)
            if rate in (min(means), max(means)):
                return "try more rates"
            best[name] = means[rate]
        return min(best, key=best.get)

    @stage("each model at its own best rate")
    def winner(check):
        losses = {
            "A": {1.0: [3.0], 2.0: [2.0], 4.0: [2.5]},
            "B": {1.0: [2.9], 2.0: [2.4], 4.0: [1.5], 8.0: [4.0]},
        }
        check.equal(check.call(losses), "B")
        for n in range(2, 7):
            table = _table(check, [f"model {i}" for i in range(n)])
            check.equal(check.call(table), min(table, key=lambda name: min(map(_mean, table[name].values()))))

    @stage("the mean over seeds, not the luckiest one")
    def seeds(check):
        lucky = {1.0: [3.0, 3.0, 3.0], 2.0: [0.1, 3.0, 2.9], 4.0: [3.0, 3.2, 3.1]}
        steady = {1.0: [1.3, 2.1, 1.9], 2.0: [1.5, 1.4, 1.6], 4.0: [2.0, 2.2, 2.1]}
        for first, second in (("A", "B"), ("B", "A"), ("x", "y"), ("lucky", "steady"), ("1", "2")):
            check.equal(check.call({first: lucky, second: steady}), second)
        uneven = {1.0: [9.0], 2.0: [1.0, 1.0, 4.0], 4.0: [9.0]}  # mean 2, median 1
        even = {1.0: [9.0], 2.0: [1.5, 1.5, 1.5], 4.0: [9.0]}
        check.equal(check.call({"A": uneven, "B": even}), "B", "A has a mean of 2.0 and B of 1.5.")
        more = {1.0: [9.0], 2.0: [1.0, 1.0, 1.0], 4.0: [2.5]}  # the larger sum, and the lower mean
        fewer = {1.0: [9.0], 2.0: [2.0], 4.0: [9.0]}
        check.equal(check.call({"A": more, "B": fewer}), "A", "More seeds are no larger loss.")

    @stage("nothing is decided while a best rate is an outermost one")
    def edge(check):
        for n in range(1, 7):
            table = _table(check, [f"model {i}" for i in range(n)], inner=False)
            check.equal(check.call(table), UNDECIDED)
        low = {"A": {1.0: [3.0], 2.0: [2.0], 4.0: [2.5]}, "B": {1.0: [9.0], 2.0: [8.5], 4.0: [8.0]}}
        check.equal(
            check.call(low), UNDECIDED, "B loses so far, but its best rate is the largest it has tried."
        )
        a = {1.0: [3.0], 2.0: [2.0], 4.0: [2.5], 8.0: [4.0]}
        shorter = {1.0: [3.0], 2.0: [2.6], 4.0: [2.2]}
        message = "A has tried a larger rate, and B has not: B's best rate is the largest of its own."
        check.equal(check.call({"A": a, "B": shorter}), UNDECIDED, message)
        longer = {0.5: [4.0], **a, 16.0: [5.0]}
        inner = {2.0: [3.0], 4.0: [2.6], 8.0: [2.8]}
        check.equal(check.call({"A": longer, "B": inner}), "A")

    @wrong("All models are compared at one rate; what suits one may ruin another.")
    def one_rate(losses):
        rate = sorted(next(iter(losses.values())))[1]
        return min(losses, key=lambda name: _mean(losses[name].get(rate, [9e9])))

    @wrong("This is the mean over all rates: a model is not to blame for the rates that do not suit it.")
    def over_all_rates(losses):
        return min(losses, key=lambda name: _mean([_mean(values) for values in losses[name].values()]))

    @wrong("This takes the luckiest seed.")
    def luckiest(losses):
        return min(losses, key=lambda name: min(min(values) for values in losses[name].values()))

    @wrong("A best rate at the edge decides nothing: a better one may lie beyond it.")
    def no_edge(losses):
        return min(losses, key=lambda name: min(map(_mean, losses[name].values())))

    upper_edge_only = wrong(
        "The smallest rate is an edge too.", "rate in (min(means), max(means))", "rate == max(means)"
    )

    lower_edge_only = wrong(
        "The largest rate is an edge too.", "rate in (min(means), max(means))", "rate == min(means)"
    )

    @wrong("An edge is the smallest or largest rate that was tried with this model, not with any model.")
    def edges_of_all(losses):
        rates = [rate for by_rate in losses.values() for rate in by_rate]
        best = {}
        for name, by_rate in losses.items():
            means = {rate: _mean(values) for rate, values in by_rate.items()}
            rate = min(means, key=means.get)
            if rate in (min(rates), max(rates)):
                return UNDECIDED
            best[name] = means[rate]
        return min(best, key=best.get)

    @wrong("This is the median over the seeds; the mean is asked for.")
    def medians(losses):
        best = {}
        for name, by_rate in losses.items():
            means = {rate: median(values) for rate, values in by_rate.items()}
            rate = min(means, key=means.get)
            if rate in (min(means), max(means)):
                return UNDECIDED
            best[name] = means[rate]
        return min(best, key=best.get)

    worst = wrong("This is the model with the largest loss.", "return min(best", "return max(best")


@exercise
class break_even:
    """Write `break_even(vocab, hidden)`: the largest size of ALBERT's thin table that saves numbers, an int.

    BERT has one table of vocab times hidden numbers. ALBERT has one of vocab times size, and a matrix of size
    times hidden that widens its rows. Return the largest size, a whole number, for which these two together
    have *fewer* numbers than the one table; 0 if even size 1 does not save anything. Both arguments are at
    least 1.
    """

    hints = (
        "Write down: vocab * size + size * hidden < vocab * hidden.",
        "size < vocab * hidden / (vocab + hidden). Which whole number is the largest below that?",
        "Equal is not fewer: subtract 1 before the whole-number division.",
    )

    def solution(vocab, hidden):
        return (vocab * hidden - 1) // (vocab + hidden)

    @stage("the largest size that saves")
    def largest(check):
        check.equal(check.call(30_000, 768), 748)
        for _ in range(8):
            vocab, hidden = (int(n) for n in check.rng.integers([40, 4], [400, 39]))
            check.equal(check.call(vocab, hidden), _by_trying(vocab, hidden))

    @stage("equal is not fewer")
    def equal(check):
        for vocab, hidden in ((6, 3), (4, 4), (12, 6), (20, 5), (30, 6), (12, 4)):  # vocab + hidden divides
            check.equal(check.call(vocab, hidden), _by_trying(vocab, hidden))

    @stage("where nothing saves, 0")
    def tiny(check):
        for vocab, hidden in ((1, 1), (1, 9), (9, 1), (2, 1), (1, 2)):
            check.equal(check.call(vocab, hidden), 0)

    @wrong("With equally many numbers nothing is saved: fewer is wanted.")
    def at_most(vocab, hidden):
        return vocab * hidden // (vocab + hidden)

    @wrong("The matrix that widens the rows has numbers too.")
    def table_alone(vocab, hidden):
        return max(0, hidden - 1)

    @wrong("This is the smallest size that saves nothing; one less is the largest that does.")
    def one_too_many(vocab, hidden):
        return _by_trying(vocab, hidden) + 1

    @wrong("Even size 1 does not save anything here: 0.")
    def at_least_one(vocab, hidden):
        return max(1, (vocab * hidden - 1) // (vocab + hidden))

    @wrong("A size is a whole number.")
    def fraction(vocab, hidden):
        return vocab * hidden / (vocab + hidden) - 1e-3


def _by_trying(vocab: int, hidden: int) -> int:
    return max(
        size for size in range(hidden + 1) if size == 0 or vocab * size + size * hidden < vocab * hidden
    )


@exercise
class soft_loss:
    """Write `soft_loss(student_logits, teacher_logits, temperature)`: distillation with a temperature, a
    tensor of shape ().

    Both logits are (positions, vocab_size). Divide both by the temperature. Then for each position sum over
    the vocabulary - teacher's probability * log of the student's probability; take the mean over positions,
    and multiply by temperature ** 2, so that at high temperatures the gradients keep their size.
    """

    hints = (
        "`(teacher_logits / temperature).softmax(-1)` and `(student_logits / temperature).log_softmax(-1)`.",
        "Minus their product, summed over the last axis; the mean; times temperature squared.",
    )

    def solution(student_logits, teacher_logits, temperature):
        right = (teacher_logits / temperature).softmax(-1)
        nats = -(right * (student_logits / temperature).log_softmax(-1)).sum(-1)
        return temperature**2 * nats.mean()

    @stage("temperature 1 and a sure teacher: the usual cross-entropy")
    def sure_teacher(check):
        for positions in range(1, 7):
            student = torch.randn(positions, 5, generator=check.generator)
            answers = torch.randint(5, (positions,), generator=check.generator)
            teacher = 80.0 * F.one_hot(answers, 5)
            nats = -student.log_softmax(-1)[torch.arange(positions), answers]
            check.equal(check.call(student, teacher, 1.0), nats.mean(), tolerance=1e-4)

    @stage("an unsure teacher: every answer counts by its probability")
    def unsure_teacher(check):
        for positions in range(1, 7):
            student, teacher = (torch.randn(positions, 6, generator=check.generator) for _ in range(2))
            check.equal(check.call(student, teacher, 1.0), _soft(student, teacher, 1.0), tolerance=1e-4)

    @stage("other temperatures, and large logits")
    def temperatures(check):
        for temperature in (0.5, 2.0, 4.0):
            for scale in (1.0, 60.0):
                student, teacher = (scale * torch.randn(3, 6, generator=check.generator) for _ in range(2))
                expected = _soft(student, teacher, temperature)
                check.equal(check.call(student, teacher, temperature), expected, tolerance=1e-3)

    @wrong("Mean over the vocabulary too: it is a sum over the vocabulary.")
    def mean_over_everything(student_logits, teacher_logits, temperature):
        right = (teacher_logits / temperature).softmax(-1)
        return -(temperature**2) * (right * (student_logits / temperature).log_softmax(-1)).mean()

    @wrong("Only the teacher's first choice counts here; use all its probabilities.")
    def hard(student_logits, teacher_logits, temperature):
        return temperature**2 * F.cross_entropy(student_logits / temperature, teacher_logits.argmax(-1))

    summed = wrong("This is the sum over positions; take the mean.", "nats.mean()", "nats.sum()")

    @wrong("Teacher and student have changed places.")
    def exchanged(student_logits, teacher_logits, temperature):
        return soft_loss.model_answer(teacher_logits, student_logits, temperature)

    no_square = wrong("The factor temperature ** 2 is missing.", "temperature**2 * nats", "nats")

    once = wrong(
        "The factor is the square of the temperature.", "temperature**2 * nats", "temperature * nats"
    )

    @wrong("Only the teacher is softened; the student's logits are divided too.")
    def teacher_only(student_logits, teacher_logits, temperature):
        right = (teacher_logits / temperature).softmax(-1)
        return temperature**2 * -(right * student_logits.log_softmax(-1)).sum(-1).mean()

    @wrong("Probabilities that are 0 have no logarithm: take `log_softmax`.")
    def log_of_softmax(student_logits, teacher_logits, temperature):
        right = (teacher_logits / temperature).softmax(-1)
        return temperature**2 * -(right * (student_logits / temperature).softmax(-1).log()).sum(-1).mean()


def _soft(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """In double precision, position by position."""
    total = 0.0
    for own, theirs in zip(student.double() / temperature, teacher.double() / temperature, strict=True):
        log_q = own - own.logsumexp(0)
        p = (theirs - theirs.logsumexp(0)).exp()
        total -= float((p * log_q).sum())
    return torch.tensor(temperature**2 * total / len(student)).float()


def _turned(x: list[float], position: int) -> list[float]:
    """Pair k, (x[2k], x[2k + 1]), as a complex number times e^(i angle)."""
    found = []
    for k in range(len(x) // 2):
        angle = position * 10_000 ** (-2 * k / len(x))
        z = complex(x[2 * k], x[2 * k + 1]) * complex(math.cos(angle), math.sin(angle))
        found += [z.real, z.imag]
    return found


@exercise
class rotate_neighbours:
    """Write `rotate_neighbours(x, position)`: a rotary position embedding as in the paper, a float tensor
    like `x`.

    `x` is (size,), size even. Here pairs are *neighbours*: pair k is (x[2k], x[2k + 1]), k from 0. Turn each
    pair by the angle position * 10000 ** (-2k / size), in radians: a pair (a, b) becomes (a cos - b sin, a
    sin + b cos). Every number stays in its place.
    """

    hints = (
        "`x[0::2]` are the first numbers of all pairs, `x[1::2]` the second ones.",
        "The angles of all pairs: `position * 10_000.0 ** (-torch.arange(0, len(x), 2) / len(x))`.",
        "`torch.stack([first, second], dim=1).flatten()` puts them back as neighbours.",
    )

    def solution(x, position):
        a, b = x[0::2], x[1::2]
        angle = position * 10_000.0 ** (-torch.arange(0, len(x), 2) / len(x))
        turned = [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()]
        return torch.stack(turned, dim=1).flatten()

    @stage("position 0 turns nothing, and no length changes")
    def at_rest(check):
        for half in range(1, 7):
            x = torch.randn(2 * half, generator=check.generator)
            check.equal(check.call(x, 0), x, "At position 0 every angle is 0, so nothing moves.")
            got = check.call(x, 3)
            check.equal(got.norm(), x.norm(), "The length of x has changed.", tolerance=1e-4)
        check.equal(check.call(torch.zeros(6), 4), torch.zeros(6))

    @stage("every pair by its own angle, every number in its place")
    def values(check):
        for half in range(2, 8):
            x = torch.randn(2 * half, generator=check.generator)
            for position in (1, 5):
                check.equal(
                    check.call(x, position), torch.tensor(_turned(x.tolist(), position)), tolerance=1e-4
                )

    both_plus = wrong(
        "Turning changes no length: a cos - b sin and a sin + b cos.", "angle.cos() - b", "angle.cos() + b"
    )

    @wrong("These pairs are halves, as in the cell above; here neighbours belong together.")
    def halves(x, position):
        half = len(x) // 2
        a, b = x[:half], x[half:]
        angle = position * 10_000.0 ** (-torch.arange(half) / half)
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()])

    not_back = wrong(
        "The numbers have changed their places: first and second of each pair stay neighbours.",
        "torch.stack(turned, dim=1).flatten()",
        "torch.cat(turned)",
    )

    same_angle = wrong(
        "All pairs turn by the same angle; pair k is slower.",
        "position * 10_000.0 ** (-torch.arange(0, len(x), 2) / len(x))",
        "torch.tensor(float(position))",
    )

    backwards = wrong("They turn the other way round.", "angle = position", "angle = -position")


@exercise
class sparse_mask:
    """Write `sparse_mask(seq_len, width, everywhere)`: Longformer's mask, a bool tensor (seq_len, seq_len).

    Rows are queries, columns keys. Each token attends to the tokens at a distance of at most `width`, itself
    among them. `everywhere` is a list of places, counted from 0, perhaps empty: these tokens attend to all
    tokens, and all tokens attend to them.
    """

    hints = (
        "The distance of every pair: `torch.arange(seq_len)[:, None] - torch.arange(seq_len)`.",
        "A row and a column: `mask[places] = True` and `mask[:, places] = True`.",
    )

    def solution(seq_len, width, everywhere):
        place = torch.arange(seq_len)
        mask = (place[:, None] - place).abs() <= width
        mask[everywhere] = True
        mask[:, everywhere] = True
        return mask

    @stage("the window alone")
    def window(check):
        for seq_len in range(1, 9):
            for width in (0, 1, seq_len // 2, seq_len):
                got = check.tensor(
                    check.call(seq_len, width, []), (seq_len, seq_len), torch.bool, axes="(query, key)"
                )
                check.equal(got, torch.tensor(_allowed(seq_len, width, [])))

    @stage("and the tokens that attend everywhere, both ways")
    def with_global(check):
        for seq_len in range(4, 10):
            for everywhere in ([0], [seq_len - 1], [1, seq_len - 2]):
                expected = torch.tensor(_allowed(seq_len, 1, everywhere))
                check.equal(check.call(seq_len, 1, everywhere), expected)

    @wrong("Only the left neighbours are seen; the window has two sides.")
    def one_sided(seq_len, width, everywhere):
        distance = torch.arange(seq_len)[:, None] - torch.arange(seq_len)
        return (distance >= 0) & (distance <= width)

    too_narrow = wrong("The neighbour at distance width is seen too: <=, not <.", "<= width", "< width")

    rows_only = wrong(
        "All tokens attend to these as well: their columns too.", "mask[:, everywhere] = True", "pass"
    )

    columns_only = wrong(
        "These tokens attend to all others as well: their rows too.", "mask[everywhere] = True", "pass"
    )

    forgotten = wrong(
        "The tokens that attend everywhere are left out.",
        "mask[everywhere] = True\n    mask[:, everywhere] = True",
        "pass",
    )

    numbers = wrong("A mask holds True and False.", "return mask", "return mask.float()")


def _allowed(seq_len: int, width: int, everywhere: list[int]) -> list[list[bool]]:
    return [
        [abs(i - j) <= width or i in everywhere or j in everywhere for j in range(seq_len)]
        for i in range(seq_len)
    ]
