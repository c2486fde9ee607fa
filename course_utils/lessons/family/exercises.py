"""Exercises of notebook 14: one idea of a relative of BERT each, small enough for a few lines."""

import math

import torch

from course_utils.classroom.engine import exercise, stage, wrong


@exercise
class date_of:
    """Write `date_of(arxiv_id)`: the year and month in which a paper came to arXiv, as a tuple of two
    integers.

    `arxiv_id` is text such as "1810.04805": the first two digits are the year within its century (all of ours
    are after 2000), the next two the month. "1810.04805" gives (2018, 10).
    """

    hints = (
        "The first four characters hold both: `arxiv_id[:2]` and `arxiv_id[2:4]`.",
        "`2000 + int(...)` for the year, `int(...)` for the month.",
    )

    def solution(arxiv_id):
        return 2000 + int(arxiv_id[:2]), int(arxiv_id[2:4])

    @stage("two integers, year first")
    def form(check):
        for year, month in ((13, 1), (17, 6), (18, 2), (18, 10), (24, 12)):
            got = check.call(f"{year}{month:02d}.{check.rng.integers(10_000, 99_999)}")
            is_pair = isinstance(got, tuple) and len(got) == 2 and all(isinstance(n, int) for n in got)
            check.expect(is_pair, "A tuple of two integers is wanted.")
            check.expect(got[0] > 2000, "No paper here is that old.")

    @stage("the right year and month")
    def values(check):
        for _ in range(20):
            year, month = int(check.rng.integers(10, 27)), int(check.rng.integers(1, 13))
            check.equal(check.call(f"{year}{month:02d}.12345"), (2000 + year, month))

    @wrong("These are two texts still: `int(...)` makes a number of each.")
    def texts(arxiv_id):
        return arxiv_id[:2], arxiv_id[2:4]

    two_digits = wrong("The year has four digits: 2018, not 18.", "2000 +", "")

    @wrong("These are year and month the other way round.")
    def month_first(arxiv_id):
        return 2000 + int(arxiv_id[2:4]), int(arxiv_id[:2])


def _stack(hidden_size: int, layers: int, shared: bool) -> int:
    """The truth to compare with: PyTorch's own modules, counted."""
    from torch import nn

    h = hidden_size
    with torch.device("meta"):
        parts = [nn.Linear(h, h) for _ in range(4)] + [nn.Linear(h, 4 * h), nn.Linear(4 * h, h)]
        parts += [nn.LayerNorm(h) for _ in range(2)]
    one = sum(p.numel() for part in parts for p in part.parameters())
    return one if shared else one * layers


@exercise
class layer_parameters:
    """Write `layer_parameters(hidden_size, layers, shared)`: how many numbers the encoder layers learn, an
    integer.

    A layer has four Linear maps of hidden_size to hidden_size (queries, keys, values, output), one to 4 *
    hidden_size and one back, each with a bias, and two LayerNorms with a weight and a bias of hidden_size. If
    `shared` is True, one layer is used `layers` times (ALBERT); if False, each has its own numbers.
    """

    hints = (
        "Matrices: 4 h² + 4 h² + 4 h². Biases: 4 h + 4 h + h. LayerNorms: 2 x 2 h.",
        "One layer has 12 h² + 13 h numbers. What does sharing change?",
    )

    def solution(hidden_size, layers, shared):
        one = 12 * hidden_size**2 + 13 * hidden_size
        return one if shared else layers * one

    @stage("one layer, to the unit")
    def one_layer(check):
        for hidden_size in (4, 8, 64, 128, 768):
            h = hidden_size
            check.equal(check.call(h, 1, False), _stack(h, 1, False))

    @stage("several layers, own or shared")
    def several(check):
        for layers in range(2, 8):
            check.equal(check.call(16, layers, True), _stack(16, layers, True))
            check.equal(
                check.call(16, layers, False), _stack(16, layers, False), "Not shared: each layer counts."
            )

    @wrong("The biases of the Linear maps are missing.")
    def without_biases(hidden_size, layers, shared):
        return (12 * hidden_size**2 + 4 * hidden_size) * (1 if shared else layers)

    @wrong("The two LayerNorms are missing.")
    def without_norms(hidden_size, layers, shared):
        return (12 * hidden_size**2 + 9 * hidden_size) * (1 if shared else layers)

    @wrong("Shared layers learn one set of numbers, however often they are used.")
    def always_times(hidden_size, layers, shared):
        return layers * (12 * hidden_size**2 + 13 * hidden_size)

    @wrong("The feed-forward part has two matrices: up and down again.")
    def one_way(hidden_size, layers, shared):
        return (8 * hidden_size**2 + 13 * hidden_size) * (1 if shared else layers)


@exercise
class window_mask:
    """Write `window_mask(seq_len, width)`: a bool tensor (seq_len, seq_len), True where |query - key| <=
    width.

    Rows are queries, columns keys, as in notebook 05. Each token sees `width` neighbours on each side, and
    itself.
    """

    hints = (
        "The distance of every pair: `torch.arange(seq_len)[:, None] - torch.arange(seq_len)`.",
        "Its absolute value, compared with width.",
    )

    def solution(seq_len, width):
        place = torch.arange(seq_len)
        return (place[:, None] - place).abs() <= width

    @stage("a square of True and False")
    def form(check):
        for seq_len in range(1, 8):
            check.tensor(check.call(seq_len, 1), (seq_len, seq_len), torch.bool, axes="(query, key)")

    @stage("True up to the distance width, on both sides")
    def values(check):
        for seq_len in range(4, 11):
            width = seq_len // 3
            rows = [[abs(i - j) <= width for j in range(seq_len)] for i in range(seq_len)]
            expected = torch.tensor(rows)
            check.equal(check.call(seq_len, width), expected)

    numbers = wrong(
        "A mask holds True and False: the comparison is the answer, without `.float()`.",
        "(place[:, None] - place).abs() <= width",
        "((place[:, None] - place).abs() <= width).float()",
    )

    @wrong("Only the left neighbours are seen; the window has two sides.")
    def one_sided(seq_len, width):
        distance = torch.arange(seq_len)[:, None] - torch.arange(seq_len)
        return (distance >= 0) & (distance <= width)

    too_narrow = wrong("The neighbour at distance width is seen too: <=, not <.", "<= width", "< width")


def _turned(x: list[float], position: int) -> list[float]:
    """Pair k, (x[k], x[k + half]), as a complex number times e^(i angle)."""
    half = len(x) // 2
    turned = [
        complex(x[k], x[k + half]) * complex(math.cos(a), math.sin(a))
        for k in range(half)
        for a in [position * 10_000 ** (-k / half)]
    ]
    return [z.real for z in turned] + [z.imag for z in turned]


@exercise
class rotate:
    """Write `rotate(x, position)`: a rotary position embedding, a float tensor like `x`.

    `x` is (size,), size even, half = size / 2. Pair k is (x[k], x[k + half]), k from 0 to half - 1. Turn each
    pair by the angle position * 10000 ** (-k / half), in radians: a pair (a, b) becomes (a cos - b sin, a sin
    + b cos). Return the first numbers of all pairs, then the second ones.
    """

    hints = (
        "`a, b = x[:half], x[half:]` and `angle = position * 10000.0 ** (-torch.arange(half) / half)`.",
        "`torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()])`",
    )

    def solution(x, position):
        half = len(x) // 2
        a, b = x[:half], x[half:]
        angle = position * 10_000.0 ** (-torch.arange(half) / half)
        return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()])

    @stage("position 0 turns nothing, and no length changes")
    def at_rest(check):
        for half in range(1, 7):
            x = torch.randn(2 * half, generator=check.generator)
            check.equal(check.call(x, 0), x, "At position 0 every angle is 0, so nothing moves.")
            got = check.call(x, 3)
            check.equal(got.norm(), x.norm(), "The length of x has changed.", tolerance=1e-4)

    @stage("every pair by its own angle")
    def values(check):
        for half in range(2, 8):
            x = torch.randn(2 * half, generator=check.generator)
            for position in (1, 5):
                expected = torch.tensor(_turned(x.tolist(), position))
                check.equal(check.call(x, position), expected, tolerance=1e-4)

    both_plus = wrong(
        "Turning changes no length: a cos - b sin and a sin + b cos.", "angle.cos() - b", "angle.cos() + b"
    )

    same_angle = wrong(
        "All pairs turn by the same angle; pair k is slower: 10000 ** (-k / half).",
        "position * 10_000.0 ** (-torch.arange(half) / half)",
        "torch.tensor(float(position))",
    )

    backwards = wrong("They turn the other way round.", "angle = position", "angle = -position")


@exercise
class distillation_loss:
    """Write `distillation_loss(student_logits, teacher_logits)`: cross-entropy against the teacher, a tensor
    of shape ().

    Both are (positions, vocab_size). The teacher's softmax takes the place of the right answer: for each
    position the sum over the vocabulary of - teacher probability * log of the student's probability; then the
    mean over positions.
    """

    hints = (
        "`teacher_logits.softmax(-1)` and `student_logits.log_softmax(-1)`, both (positions, vocab_size).",
        "Minus their product, summed over the last axis, and the mean of what is left.",
    )

    def solution(student_logits, teacher_logits):
        nats = -(teacher_logits.softmax(-1) * student_logits.log_softmax(-1)).sum(-1)
        return nats.mean()

    @stage("a sure teacher: the usual cross-entropy")
    def sure_teacher(check):
        for positions in range(1, 7):
            student = torch.randn(positions, 5, generator=check.generator)
            answers = torch.randint(5, (positions,), generator=check.generator)
            teacher = 80.0 * torch.nn.functional.one_hot(answers, 5)
            nats = -student.log_softmax(-1)[torch.arange(positions), answers]
            check.equal(check.call(student, teacher), nats.mean(), tolerance=1e-4)

    @stage("an unsure teacher: every answer counts by its probability")
    def unsure_teacher(check):
        for positions in range(1, 7):
            student, teacher = (torch.randn(positions, 6, generator=check.generator) for _ in range(2))
            p, q = teacher.double().softmax(-1), student.double().softmax(-1)
            expected = (-(p * q.log()).sum(-1).mean()).float()
            check.equal(check.call(student, teacher), expected, tolerance=1e-4)

    @wrong("Mean over the vocabulary too: it is a sum over the vocabulary.")
    def mean_over_everything(student_logits, teacher_logits):
        return -(teacher_logits.softmax(-1) * student_logits.log_softmax(-1)).mean()

    @wrong("Only the teacher's first choice counts here; use all its probabilities.")
    def hard(student_logits, teacher_logits):
        return torch.nn.functional.cross_entropy(student_logits, teacher_logits.argmax(-1))

    @wrong("This is the sum over positions; take the mean.")
    def summed(student_logits, teacher_logits):
        return -(teacher_logits.softmax(-1) * student_logits.log_softmax(-1)).sum()

    @wrong("Teacher and student have changed places.")
    def exchanged(student_logits, teacher_logits):
        return -(student_logits.softmax(-1) * teacher_logits.log_softmax(-1)).sum(-1).mean()
