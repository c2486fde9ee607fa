"""Exercises of notebook 09: the parts of one training step, each small enough to check by hand.

The loss of both tasks, the clip of the gradient, one update of AdamW, the learning rate of a step, and the
gradient that two processes make together.
"""

import math

import torch
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong


def _losses(check, rows: int, seq_len: int, vocab_size: int = 7):
    """Random logits and labels of both tasks; about half of the positions, and never all, are selected."""
    logits = torch.randn(rows, seq_len, vocab_size, generator=check.generator)
    labels = torch.randint(vocab_size, (rows, seq_len), generator=check.generator)
    labels[torch.rand(rows, seq_len, generator=check.generator) < 0.5] = -100
    labels[0, 0], labels[0, 1] = -100, 3
    pair_logits = torch.randn(rows, 2, generator=check.generator)
    pair_label = torch.randint(2, (rows,), generator=check.generator)
    pair_label[0], pair_label[-1] = 0, 1
    return logits, labels, pair_logits, pair_label


def _nats(logits: torch.Tensor, label: int) -> float:
    """Minus the log of the probability of the right answer, from the definition."""
    powers = [math.exp(value) for value in logits.tolist()]
    return -math.log(powers[label] / sum(powers))


@exercise
class joint_loss:
    """Write `joint_loss(logits, labels, pair_logits, pair_label)`: the pretraining loss, a tensor of shape
    ().

    `logits` is (batch, seq_len, vocab_size); `labels` (batch, seq_len) holds the original id at selected
    positions and -100 elsewhere; `pair_logits` is (batch, 2); `pair_label` (batch,) is 0 (IsNext) or 1
    (NotNext). The loss is the mean cross-entropy over the selected positions of the whole batch, plus the
    mean cross-entropy over the pairs.
    """

    hints = (
        "Two calls of `torch.nn.functional.cross_entropy`, and a plus. Both take their mean by themselves.",
        (
            "`cross_entropy(logits.flatten(0, 1), labels.flatten())` passes over labels of -100: that is"
            " its default."
        ),
    )

    def solution(logits, labels, pair_logits, pair_label):
        cross_entropy = torch.nn.functional.cross_entropy
        mlm_loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        nsp_loss = cross_entropy(pair_logits, pair_label)
        return mlm_loss + nsp_loss

    @stage("one number, from selected positions alone when the pairs are certain")
    def masked_part(check):
        for seq_len in range(3, 9):
            logits, labels, _, pair_label = _losses(check, 2, seq_len)
            # A margin of 60 makes the loss of the pairs zero.
            pair_logits = 60.0 * F.one_hot(pair_label, 2)
            nats = [
                _nats(logits[i, j], int(labels[i, j]))
                for i in range(2)
                for j in range(seq_len)
                if labels[i, j] >= 0
            ]
            got = check.call(logits, labels, pair_logits, pair_label)
            check.equal(got, torch.tensor(sum(nats) / len(nats)), tolerance=1e-4)

    @stage("plus the loss of the pairs, both classes")
    def pair_part(check):
        for rows in range(2, 8):
            logits, labels, pair_logits, pair_label = _losses(check, rows, 5)
            masked = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
            nats = [_nats(row, int(label)) for row, label in zip(pair_logits, pair_label, strict=True)]
            got = check.call(logits, labels, pair_logits, pair_label)
            check.equal(got, masked + sum(nats) / rows, tolerance=1e-4)

    summed = wrong(
        "This is the sum over the selected positions; take their mean.",
        "ignore_index=-100",
        'reduction="sum"',
    )

    over_all_positions = wrong(
        "You divide by the number of all positions; only the selected ones count.",
        "labels.flatten(), ignore_index=-100)",
        'labels.flatten(), reduction="none").mean()',
    )

    hides_a_class = wrong(
        "The pairs with label 0 are left out: 0 means IsNext, it is no sign to ignore.",
        "(pair_logits, pair_label)",
        "(pair_logits, pair_label, ignore_index=0)",
    )

    @wrong("The loss of the pairs is missing.")
    def words_only(logits, labels, pair_logits, pair_label):
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())

    @wrong(
        "You take a mean for each row and then the mean of these; every selected position counts the same."
    )
    def mean_of_rows(logits, labels, pair_logits, pair_label):
        nats = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
        rows = nats.sum(1) / (labels != -100).sum(1).clamp(min=1)
        return rows.mean() + F.cross_entropy(pair_logits, pair_label)

    @wrong("This is half the sum; the paper adds the two losses.")
    def half(logits, labels, pair_logits, pair_label):
        return joint_loss.model_answer(logits, labels, pair_logits, pair_label) / 2


@exercise
class clip_gradients:
    """Write `clip_gradients(gradients, max_norm)`: a list of tensors, shortened together.

    `gradients` is a list of float tensors of any shapes. Their norm is that of all their numbers laid end to
    end. If it is larger than `max_norm`, multiply every tensor by the same factor, so that the norm becomes
    `max_norm`; if not, change nothing. Return a new list of tensors in the same order.
    """

    hints = (
        "One norm for everything: the root of the sum of the squares of all numbers in all tensors.",
        "The factor is `max_norm / norm` where the norm is larger than `max_norm`, and 1 elsewhere.",
    )

    def solution(gradients, max_norm):
        norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
        factor = max_norm / norm if norm > max_norm else 1.0  # the norm may be 0
        return [gradient * factor for gradient in gradients]

    @stage("short gradients stay as they are")
    def short(check):
        for size in range(1, 8):
            gradients = [torch.randn(size, 2, generator=check.generator) for _ in range(2)]
            norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
            got = check.call(gradients, 3 * norm)
            check.equal(len(got), 2, "There must be as many tensors as there were.")
            for g, one in zip(gradients, got, strict=True):
                check.equal(one, g)

    @stage("long gradients keep their direction and get the length max_norm")
    def long(check):
        for size in range(2, 8):
            gradients = [scale * torch.randn(size, generator=check.generator) for scale in (5.0, 0.5)]
            norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
            max_norm = 0.8 * float(gradients[1].norm())
            got = check.call(gradients, max_norm)
            for g, one in zip(gradients, got, strict=True):
                check.equal(one, g * max_norm / norm, tolerance=1e-5)

    @wrong("You stretch short gradients; only long ones are changed.")
    def always_scaled(gradients, max_norm):
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        return [g * max_norm / norm for g in gradients]

    @wrong(
        "Each tensor is clipped by its own norm; that changes the direction of the whole. Use one norm for"
        " all."
    )
    def one_by_one(gradients, max_norm):
        return [g * min(1.0, max_norm / float(g.norm())) for g in gradients]

    @wrong("You clip number by number; that changes the direction. Multiply all by one factor.")
    def by_value(gradients, max_norm):
        return [g.clamp(-max_norm, max_norm) for g in gradients]

    @wrong("You have not shortened them.")
    def not_shortened(gradients, max_norm):
        return [g.clone() for g in gradients]


def _adamw(w, g, m, v, t, lr, weight_decay, beta1=0.9, beta2=0.98, eps=1e-8):
    """One update in plain numbers, term by term."""
    m_new = [beta1 * a + (1 - beta1) * b for a, b in zip(m, g, strict=True)]
    v_new = [beta2 * a + (1 - beta2) * b * b for a, b in zip(v, g, strict=True)]
    w_new = []
    for weight, first, second in zip(w, m_new, v_new, strict=True):
        ratio = (first / (1 - beta1**t)) / (math.sqrt(second / (1 - beta2**t)) + eps)
        w_new.append(weight - lr * weight_decay * weight - lr * ratio)
    return w_new, m_new, v_new


@exercise
class adamw_step:
    """Write `adamw_step(w, g, m, v, t, lr, weight_decay)`: one update of AdamW. Return the tuple `(w, m, v)`,
    new.

    `w`, `g`, `m`, `v` are float tensors of one shape: weights, gradient, running mean of the gradient,
    running mean of its square. `t` counts steps from 1. Use beta1 = 0.9, beta2 = 0.98, eps = 1e-8 (added
    after the root). The decay is `lr * weight_decay * w`, with the old `w`; it does not pass through `m` and
    `v`.
    """

    hints = (
        "First the means: `m = 0.9 * m + 0.1 * g` and `v = 0.98 * v + 0.02 * g**2`.",
        (
            "Both start at 0, so early values are too small: divide them by `1 - 0.9**t` and `1 - 0.98**t`"
            " before use."
        ),
        "`w - lr * weight_decay * w - lr * m_hat / (v_hat.sqrt() + 1e-8)`",
    )

    def solution(w, g, m, v, t, lr, weight_decay):
        m = 0.9 * m + 0.1 * g
        v = 0.98 * v + 0.02 * g**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.98**t)
        return w - lr * weight_decay * w - lr * m_hat / (v_hat.sqrt() + 1e-8), m, v

    @stage("the two running means")
    def means(check):
        for size in range(1, 8):
            w, g, m = (torch.randn(size, generator=check.generator) for _ in range(3))
            v = torch.rand(size, generator=check.generator)
            got = check.call(w, g, m, v, 3, 0.01, 0.0)
            check.expect(isinstance(got, tuple) and len(got) == 3, "Return a tuple of three: w, m and v.")
            check.equal(got[1], 0.9 * m + 0.1 * g)
            check.equal(got[2], 0.98 * v + 0.02 * g**2)

    @stage("the first step has length lr, whatever the gradient")
    def first_step(check):
        for power in range(-3, 4):
            g = 10.0**power * torch.tensor([1.0, -2.0, 3.0])
            w, zero = torch.zeros(3), torch.zeros(3)
            got = check.call(w, g, zero, zero, 1, 0.1, 0.0)[0]
            check.equal(got, -0.1 * g.sign(), tolerance=1e-4)

    @stage("the decay pulls at the weight, not at the gradient")
    def decay(check):
        for t in range(1, 8):
            w, g, m = (torch.randn(4, generator=check.generator) for _ in range(3))
            v = m**2 + torch.rand(4, generator=check.generator)
            expected, _, _ = _adamw(*(x.tolist() for x in (w, g, m, v)), t, 0.05, 0.3)
            got = check.call(w, g, m, v, t, 0.05, 0.3)[0]
            check.equal(got, torch.tensor(expected), tolerance=1e-4)

    swapped = wrong(
        "The two shares are the wrong way round: nine tenths of the old mean stay.",
        "0.9 * m + 0.1 * g",
        "0.1 * m + 0.9 * g",
    )

    uncorrected = wrong(
        "Means that start at 0 are too small at first; divide by 1 - beta^t.",
        "m / (1 - 0.9**t), v / (1 - 0.98**t)",
        "m, v",
    )

    without_decay = wrong("There is no decay.", " - lr * weight_decay * w", "")

    decay_without_rate = wrong(
        "The decay is not multiplied by the learning rate.", "lr * weight_decay * w", "weight_decay * w"
    )

    not_squared = wrong("The second mean is of the square of the gradient.", "g**2", "g")

    same_shares = wrong(
        "The shares of the second mean are 0.98 and 0.02.", "0.98 * v + 0.02", "0.9 * v + 0.1"
    )

    uphill = wrong("You go uphill: the step is against the gradient.", "- lr * m_hat", "+ lr * m_hat")


@exercise
class learning_rate:
    """Write `learning_rate(step, steps, warmup_steps, peak)`: the learning rate of a step, a float.

    `step` counts from 0 to `steps - 1`. In the first `warmup_steps` steps the rate rises by equal amounts and
    reaches `peak` in the last of them, so step 0 already has peak / warmup_steps. Step `warmup_steps` also
    has `peak`; from there it falls by equal amounts and would be 0 at step number `steps`. `warmup_steps` is
    at least 1.
    """

    hints = (
        (
            "Two cases. In the warm-up the rate is a share of peak: which share at step 0, which at step"
            " warmup_steps - 1?"
        ),
        (
            "After the warm-up: the share is the number of steps left, `steps - step`, of those left when the"
            " fall began."
        ),
    )

    def solution(step, steps, warmup_steps, peak):
        if step < warmup_steps:
            return peak * (step + 1) / warmup_steps
        return peak * (steps - step) / (steps - warmup_steps)

    @stage("the warm-up rises to the peak")
    def rising(check):
        for warmup_steps in range(2, 9):
            for step in range(warmup_steps):
                expected = (step + 1) / warmup_steps * 0.004
                check.equal(check.call(step, 50, warmup_steps, 0.004), expected)

    @stage("then it falls in a straight line, to 0 after the last step")
    def falling(check):
        for warmup_steps in range(1, 8):
            for step in (warmup_steps, warmup_steps + 3, 18, 19):
                share = 1 - (step - warmup_steps) / (20 - warmup_steps)
                check.equal(check.call(step, 20, warmup_steps, 0.004), 0.004 * share)

    from_zero = wrong(
        "One step late: step 0 is not without a rate, it has the first share.", "(step + 1)", "step"
    )

    @wrong("It stays at the peak after the warm-up.")
    def constant(step, steps, warmup_steps, peak):
        return peak * min(1.0, (step + 1) / warmup_steps)

    jump = wrong(
        "You divide by the number of all steps: at the end of the warm-up the rate would jump down.",
        "(steps - warmup_steps)",
        "steps",
    )


@exercise
class combine_gradients:
    """Write `combine_gradients(gradients, counts)`: the gradient that one process would have had for the
    whole batch.

    `gradients` is (processes, parameters): row i is the gradient of the mean loss over the `counts[i]`
    selected positions of process i. `counts` is a list of integers >= 0; a process without any selected
    position has a row of zeros. Return a tensor (parameters,): the gradient of the mean over all selected
    positions together.
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
        for processes in range(2, 8):
            gradients = torch.randn(processes, 3, generator=check.generator)
            check.equal(check.call(gradients, [4] * processes), gradients.mean(0), tolerance=1e-5)

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

    @wrong("You count each process that has positions once; count its positions.")
    def mean_of_the_busy(gradients, counts):
        busy = torch.tensor(counts) > 0
        return gradients[busy].mean(dim=0)
