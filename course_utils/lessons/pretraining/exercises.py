"""Exercises of notebook 09: parts of a training step, and the reading of a run.

How far a weight can come, the clip of the gradient, one update of AdamW, the learning rate of a step, and
what is the matter with a run.
"""

import math

import torch

from course_utils.classroom.engine import exercise, stage, wrong


def _rates(steps: int, warmup_steps: int, peak: float) -> list[float]:
    """The learning rate of each step, by adding equal amounts and taking them away."""
    up = [peak * (i + 1) / warmup_steps for i in range(warmup_steps)]
    falling = steps - warmup_steps
    return up + [peak - peak * i / falling for i in range(falling)]


@exercise
class travelled:
    """Write `travelled(k, steps, warmup_steps, peak)`: how far AdamW moves a weight whose gradient never
    changes.

    No weight decay; eps may be left out. With such a gradient each step moves the weight by the learning
    rate of that step. The rate rises by equal amounts, from peak / warmup_steps in step 0 to `peak` in step
    `warmup_steps - 1` (`warmup_steps` is at least 1); step `warmup_steps` has `peak` too, and from there it
    falls by equal amounts and would be 0 in step number `steps`. Return the distance after the first `k`
    steps, 0 to `steps`.
    """

    hints = (
        "Mean over root mean square of a gradient that is always the same: 1 or -1, in every step.",
        "So it is the sum of the first k learning rates.",
    )

    def solution(k, steps, warmup_steps, peak):
        total = 0.0
        for step in range(k):
            if step < warmup_steps:
                total += peak * (step + 1) / warmup_steps
            else:
                total += peak * (steps - step) / (steps - warmup_steps)
        return total

    @stage("within the warm-up, and no step at all")
    def rising(check):
        for warmup_steps in range(1, 7):
            for peak in (0.004, 0.5):
                for k in range(warmup_steps + 1):
                    expected = sum(_rates(20, warmup_steps, peak)[:k])
                    check.equal(check.call(k, 20, warmup_steps, peak), expected, tolerance=1e-6)

    @stage("and in the fall")
    def falling(check):
        for steps, warmup_steps, peak in (
            (10, 1, 1.0),
            (10, 5, 0.1),
            (30, 7, 0.002),
            (12, 3, 2.0),
            (6, 5, 1.0),
        ):
            for k in range(warmup_steps, steps + 1):
                expected = sum(_rates(steps, warmup_steps, peak)[:k])
                check.equal(check.call(k, steps, warmup_steps, peak), expected, tolerance=1e-6)

    @wrong("The rate is not at its peak from the start: in the warm-up the steps are shorter.")
    def always_peak(k, steps, warmup_steps, peak):
        return k * peak

    @wrong("This stays at the peak after the warm-up; the rate falls.")
    def no_fall(k, steps, warmup_steps, peak):
        return sum(peak * min(1.0, (step + 1) / warmup_steps) for step in range(k))

    @wrong("This is the rate of the last step; add up the rates of all k steps.")
    def last_rate(k, steps, warmup_steps, peak):
        return _rates(steps, warmup_steps, peak)[k - 1] if k else 0.0

    @wrong("Step 0 moves the weight too: its rate is peak / warmup_steps, not 0.")
    def one_late(k, steps, warmup_steps, peak):
        return sum([0.0, *_rates(steps, warmup_steps, peak)][:k])


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
        for one in check.call([torch.zeros(3), torch.zeros(3)], 1.0):
            check.equal(one, torch.zeros(3))

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

    @wrong("Where all gradients are 0 you divide by 0.")
    def nan_at_zero(gradients, max_norm):
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        return [gradient / norm * norm.clamp(max=max_norm) for gradient in gradients]

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

    @stage("1e-8 is added after the root: a gradient of 0 moves nothing, a tiny one by less than lr")
    def tiny(check):
        zero = torch.zeros(3)
        for g in (
            zero,
            torch.tensor([0.0, 1e-8, 1.0]),
            torch.tensor([1e-7, -1e-8, 0.0]),
            torch.full((3,), -3e-8),
            torch.tensor([2.0, 0.0, -5e-8]),
        ):
            expected, _, _ = _adamw([1.0] * 3, g.tolist(), [0.0] * 3, [0.0] * 3, 1, 0.1, 0.0)
            check.equal(
                check.call(torch.ones(3), g, zero, zero, 1, 0.1, 0.0)[0],
                torch.tensor(expected),
                tolerance=1e-4,
            )

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

    without_eps = wrong(
        "Without the 1e-8 a gradient of 0 in the first step gives 0 / 0.",
        "(v_hat.sqrt() + 1e-8)",
        "v_hat.sqrt().clamp(min=1e-30)",
    )

    large_eps = wrong("eps is 1e-8 here; 1e-6 holds small gradients back.", "1e-8", "1e-6")

    eps_in_the_root = wrong(
        "eps is added after the root, not under it.", "(v_hat.sqrt() + 1e-8)", "(v_hat + 1e-8).sqrt()"
    )

    @wrong(
        "This is Adam with L2: the decay joins the gradient and is divided away by the root. Keep it apart."
    )
    def decay_through_the_gradient(w, g, m, v, t, lr, weight_decay):
        w_new, m, v = adamw_step.model_answer(w, g + weight_decay * w, m, v, t, lr, 0.0)
        return w_new, m, v

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


ANSWERS = ("leak", "by heart", "at the limit", "plateau", "under way")


@exercise
class diagnose:
    """Write `diagnose(training, held_out, unigram, best)`: what is the matter with a run, a text.

    `training` and `held_out` are losses in nats, `unigram` and `best` the unigram and the bidirectional floor
    of both sides, `best` the lower one. The first that fits counts:

    "leak" if the held-out loss lies more than 0.05 below `best`; "by heart" if the training loss does;
    "at the limit" if the held-out loss is at most 0.05 above `best`; "plateau" if it is at most 0.05 from
    `unigram`, on either side; otherwise "under way".
    """

    hints = (
        "Reading only visible words, nothing goes below `best` on average: where does each side lie?",
        "Four `if`s in the order of the task, each with `return`; the last return needs none.",
    )

    def solution(training, held_out, unigram, best):
        if held_out < best - 0.05:
            return "leak"
        if training < best - 0.05:
            return "by heart"
        if held_out <= best + 0.05:
            return "at the limit"
        if abs(held_out - unigram) <= 0.05:
            return "plateau"
        return "under way"

    @stage("one thing at a time")
    def single(check):
        for training, held_out, expected in (
            (4.80, 4.81, "plateau"),
            (4.90, 4.81, "plateau"),
            (4.80, 4.77, "plateau"),
            (4.88, 4.90, "under way"),
            (4.68, 4.70, "under way"),
            (0.60, 0.61, "at the limit"),
            (0.56, 0.56, "at the limit"),
            (0.70, 0.60, "at the limit"),
            (0.20, 3.10, "by heart"),
            (1.00, 0.30, "leak"),
            (2.00, 2.10, "under way"),
            (6.80, 6.80, "under way"),
        ):
            check.equal(check.call(training, held_out, 4.8, 0.58), expected)

    @stage("the first that fits: a leak before all, by heart before the limit")
    def order(check):
        for training, held_out, unigram, best, expected in (
            (0.10, 0.20, 4.8, 0.58, "leak"),
            (0.10, 0.60, 4.8, 0.58, "by heart"),
            (0.10, 4.80, 4.8, 0.58, "by heart"),
            (1.00, 1.02, 1.03, 1.00, "at the limit"),
            (0.93, 1.08, 1.10, 1.00, "by heart"),
            (1.00, 1.08, 1.10, 1.00, "plateau"),
        ):
            check.equal(check.call(training, held_out, unigram, best), expected)

    @wrong("A run on the plateau may lie a little below the unigram floor as well as above it.")
    def above_only(training, held_out, unigram, best):
        found = diagnose.model_answer(training, held_out, unigram, best)
        return "under way" if found == "plateau" and held_out < unigram else found

    @wrong("A held-out loss below the best possible one is no skill: something hidden has leaked.")
    def no_leak(training, held_out, unigram, best):
        if training < best - 0.05:
            return "by heart"
        if held_out <= best + 0.05:
            return "at the limit"
        return "plateau" if abs(held_out - unigram) <= 0.05 else "under way"

    @wrong("The order counts: rows learnt by heart are found before you look at the held-out loss.")
    def limit_first(training, held_out, unigram, best):
        if held_out < best - 0.05:
            return "leak"
        if held_out <= best + 0.05:
            return "at the limit"
        if abs(held_out - unigram) <= 0.05:
            return "plateau"
        return "by heart" if training < best - 0.05 else "under way"

    @wrong("A run is at the limit by its held-out loss; the training loss may lie higher.")
    def limit_by_both(training, held_out, unigram, best):
        found = diagnose.model_answer(training, held_out, unigram, best)
        return "under way" if found == "at the limit" and training > best + 0.05 else found

    @wrong("You judge by the training loss; only the held-out one can tell skill from memory.")
    def by_training(training, held_out, unigram, best):
        if training < best - 0.05:
            return "by heart"
        if training <= best + 0.05:
            return "at the limit"
        return "plateau" if abs(training - unigram) <= 0.05 else "under way"
