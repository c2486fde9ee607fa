"""Exercises of notebook 10: the head by hand, its loss, learning rates by layer, and two ways to read
predictions.
"""

import numpy as np
import torch

from course_utils.classroom.engine import exercise, stage, wrong


@exercise
class review_logits:
    """Write `review_logits(cls_state, pooler_weight, pooler_bias, weight, bias)`: the logits (num_labels,) of
    a text.

    `cls_state` (hidden_size,) is the last hidden state of [CLS]. The pooler is a Linear layer with
    `pooler_weight` (hidden_size, hidden_size) and `pooler_bias` (hidden_size,), then tanh; the classifier is
    a Linear layer with `weight` (num_labels, hidden_size) and `bias` (num_labels,). As in PyTorch, row k of a
    weight belongs to output k.
    """

    hints = (
        "Two Linear layers with one tanh between them. A Linear layer is `weight @ x + bias`.",
        "`pooled = (pooler_weight @ cls_state + pooler_bias).tanh()`; the classifier reads `pooled`.",
    )

    def solution(cls_state, pooler_weight, pooler_bias, weight, bias):
        pooled = (pooler_weight @ cls_state + pooler_bias).tanh()
        return weight @ pooled + bias

    @stage("one logit for each label")
    def form(check):
        for num_labels in range(2, 8):
            inputs = _head(check, 4, num_labels)
            check.tensor(check.call(*inputs), (num_labels,), torch.float32, axes="(label)")

    @stage("pooler first, then the classifier")
    def values(check):
        for size in range(2, 8):
            state, pooler_weight, pooler_bias, weight, bias = inputs = _head(check, size, 3)
            linear = torch.nn.functional.linear
            pooled = linear(state, pooler_weight, pooler_bias)
            check.equal(check.call(*inputs), linear(pooled.tanh(), weight, bias))

    @wrong("The [CLS] state went straight to the classifier: the pooler comes first.")
    def no_pooler(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ cls_state + bias

    @wrong("The tanh of the pooler is missing.")
    def no_tanh(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ (pooler_weight @ cls_state + pooler_bias) + bias

    @wrong("The weight of the pooler is the wrong way round: row k belongs to output k.")
    def transposed(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ (pooler_weight.T @ cls_state + pooler_bias).tanh() + bias

    @wrong("A bias was left out.")
    def no_bias(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ (pooler_weight @ cls_state).tanh()

    @wrong("This is what the pooler returns; the classifier comes after it.")
    def only_the_pooler(cls_state, pooler_weight, pooler_bias, weight, bias):
        return (pooler_weight @ cls_state + pooler_bias).tanh()

    @wrong("The tanh belongs to the pooler: logits are not squeezed.")
    def squeezed(cls_state, pooler_weight, pooler_bias, weight, bias):
        return (weight @ (pooler_weight @ cls_state + pooler_bias) + bias).tanh()


def _head(check, size: int, num_labels: int) -> tuple[torch.Tensor, ...]:
    """A [CLS] state and the four parameters of a head, with one decimal each."""

    def draw(*shape):
        return torch.randn(*shape, generator=check.generator).round(decimals=1)

    return draw(size), draw(size, size), draw(size), draw(num_labels, size), draw(num_labels) + 0.3


@exercise
class review_loss:
    """Write `review_loss(logits, labels)`: the mean cross-entropy in nats, a tensor with no axis.

    `logits` is (batch, num_labels), `labels` (batch,) holds whole numbers. A softmax over the labels makes
    probabilities of each row of logits; the loss of a row is minus the natural logarithm of the probability
    of its label.
    """

    hints = (
        "`logits.log_softmax(dim=-1)` holds the logarithms of the probabilities, (batch, num_labels).",
        "Of row b you want column labels[b]: `log_probabilities[torch.arange(len(labels)), labels]`.",
        "Then minus, and the mean over the batch.",
    )

    def solution(logits, labels):
        log_probabilities = logits.log_softmax(dim=-1)
        return -log_probabilities[torch.arange(len(labels)), labels].mean()

    @stage("a text alone: minus log of the probability of its label")
    def single(check):
        for num_labels in range(2, 9):
            logits = torch.randn(1, num_labels, generator=check.generator).round(decimals=1)
            label = torch.randint(num_labels, (1,), generator=check.generator)
            expected = torch.nn.functional.cross_entropy(logits, label)
            check.equal(check.call(logits, label), expected)

    @stage("several texts: the mean")
    def several(check):
        for batch in range(3, 9):
            logits = torch.randn(batch, 4, generator=check.generator).round(decimals=1)
            labels = torch.randint(4, (batch,), generator=check.generator)
            rows = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
            check.equal(check.call(logits, labels), rows.mean())

    @wrong("The sign: a probability below 1 has a negative logarithm, and the loss is positive.")
    def negative(logits, labels):
        return logits.log_softmax(dim=-1)[torch.arange(len(labels)), labels].mean()

    @wrong("This is the probability; the loss is minus its logarithm.")
    def probability(logits, labels):
        return logits.softmax(dim=-1)[torch.arange(len(labels)), labels].mean()

    @wrong("This is a logarithm to base 2, in bits; nats want the natural one.")
    def bits(logits, labels):
        return -logits.softmax(dim=-1)[torch.arange(len(labels)), labels].log2().mean()

    @wrong("This is the sum over the batch.")
    def total(logits, labels):
        return -logits.log_softmax(dim=-1)[torch.arange(len(labels)), labels].sum()

    @wrong("The logarithm comes before the mean: each text has a loss of its own.")
    def log_of_mean(logits, labels):
        return -logits.softmax(dim=-1)[torch.arange(len(labels)), labels].mean().log()

    @wrong("The softmax is missing: this is minus the logit.")
    def no_softmax(logits, labels):
        return -logits[torch.arange(len(labels)), labels].mean()

    @wrong("The softmax runs down the batch: the labels of one text share the probability.")
    def down_the_batch(logits, labels):
        return -logits.log_softmax(dim=0)[torch.arange(len(labels)), labels].mean()


@exercise
class layer_rates:
    """Write `layer_rates(num_layers, top, decay)`: a list of num_layers + 2 learning rates, from bottom to
    top.

    First the embeddings, then layer 1 to layer num_layers, last the head. The head has the rate `top`; every
    part has `decay` times the rate of the part above it.
    """

    hints = (
        "Begin at the top and multiply by `decay` on the way down. Where does the list begin?",
        "With 3 layers the head is 0 steps down, layer 3 one step, the embeddings 4 steps: num_layers + 1.",
        "`top * decay**steps` for steps from num_layers + 1 down to 0.",
    )

    def solution(num_layers, top, decay):
        return [top * decay**steps for steps in range(num_layers + 1, -1, -1)]

    @stage("one rate for the embeddings, each layer, and the head")
    def length(check):
        for num_layers in range(1, 7):
            rates = check.call(num_layers, 0.1, 0.5)
            check.equal(len(rates), num_layers + 2, "The number of rates is not that of the parts.")

    @stage("each part slower than the one above it")
    def values(check):
        for num_layers in range(1, 8):
            decay = round(float(check.rng.uniform(0.4, 0.9)), 1)
            expected = [0.1]
            for _ in range(num_layers + 1):
                expected.insert(0, expected[0] * decay)
            check.equal(check.call(num_layers, 0.1, decay), expected)

    upside_down = wrong(
        "This runs from top to bottom: the embeddings come first.",
        "(num_layers + 1, -1, -1)",
        "(num_layers + 2)",
    )

    one_step_too_many = wrong(
        "The head has the full rate; the decay begins below it.",
        "(num_layers + 1, -1, -1)",
        "(num_layers + 2, 0, -1)",
    )

    @wrong("Count embeddings, layers and head.")
    def forgot_the_embeddings(num_layers, top, decay):
        return [top * decay**steps for steps in range(num_layers, -1, -1)]

    linear = wrong(
        "The rates fall in equal steps; each is `decay` TIMES the one above.",
        "decay**steps",
        "(1 - (1 - decay) * steps)",
    )

    @wrong("The same rate everywhere: the decay is missing.")
    def no_decay(num_layers, top, decay):
        return [top] * (num_layers + 2)


@exercise
class confusion:
    """Write `confusion(truth, guess, num_labels)`: a table of counts, an int64 tensor (num_labels,
    num_labels).

    `truth` and `guess` are int64 tensors (n,). Row t, column g counts the examples whose label is t and whose
    guess is g.
    """

    hints = (
        "Begin with `torch.zeros(num_labels, num_labels, dtype=torch.int64)` and go through the examples.",
        "`for t, g in zip(truth, guess): table[t, g] += 1`",
    )

    def solution(truth, guess, num_labels):
        table = torch.zeros(num_labels, num_labels, dtype=torch.int64)
        for t, g in zip(truth, guess, strict=True):
            table[t, g] += 1
        return table

    @stage("whole numbers, one row and one column for each label")
    def form(check):
        for num_labels in range(2, 8):
            truth, guess = torch.randint(num_labels, (2, 20), generator=check.generator)
            table = check.call(truth, guess, num_labels)
            check.tensor(table, (num_labels, num_labels), torch.int64, axes="(label, guess)")

    @stage("row by label, column by guess")
    def values(check):
        for num_labels in range(2, 7):
            truth, guess = torch.randint(num_labels, (2, 5 * num_labels), generator=check.generator)
            truth[0], guess[0], guess[truth == 1] = 0, 1, 1  # never its own mirror image
            expected = torch.bincount(truth * num_labels + guess, minlength=num_labels**2).view(
                num_labels, -1
            )
            check.equal(check.call(truth, guess, num_labels), expected)

    @wrong("Rows and columns are swapped: the row is the true label.")
    def transposed(truth, guess, num_labels):
        return torch.bincount(guess * num_labels + truth, minlength=num_labels**2).view(
            num_labels, num_labels
        )

    @wrong("Only the right guesses are counted.")
    def diagonal(truth, guess, num_labels):
        return torch.bincount(truth[truth == guess], minlength=num_labels).diag()

    seen = wrong("This counts only whether it occurred.", "+= 1", "= 1")

    @wrong("These are shares of the examples; counts are whole numbers.")
    def shares(truth, guess, num_labels):
        table = torch.bincount(truth * num_labels + guess, minlength=num_labels**2)
        return (table / len(truth)).view(num_labels, num_labels)


@exercise
class calibration_error:
    """Write `calibration_error(confidence, right, bins)`: the expected calibration error, a float.

    `confidence` (n,) is a NumPy array of numbers above 0 and at most 1, the probability of the guess; `right`
    (n,) is a bool array. Cut 0 to 1 into `bins` equal bins; bin k holds the confidences above k / bins and up
    to (k + 1) / bins. In each bin that is not empty take the distance between the mean confidence and the
    share that is right, and return the mean of these distances, each weighted by the share of the n examples
    in its bin.
    """

    hints = (
        "`np.ceil(confidence * bins).astype(int) - 1` is the bin of each example.",
        (
            "For each bin: `abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()`; skip"
            " empty bins."
        ),
        "`inside = bin_of == k` is a bool array; its mean is the share of the examples. Sum over the bins.",
    )

    def solution(confidence, right, bins):
        bin_of = np.ceil(confidence * bins).astype(int) - 1
        error = 0.0
        for k in range(bins):
            inside = bin_of == k
            if inside.any():
                error += abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()
        return float(error)

    @stage("one bin: mean confidence against the share that is right")
    def one_bin(check):
        for n in range(2, 9):
            confidence, right = _guesses(check, n)
            difference = float(confidence.mean() - right.mean())
            check.equal(check.call(confidence, right, 1), abs(difference))

    @stage("several bins, each weighted by its share")
    def several(check):
        for n in range(8, 20):
            confidence, right = _guesses(check, n)
            gaps, shares = [], []
            for k in range(4):
                inside = [i for i in range(n) if k / 4 < confidence[i] <= (k + 1) / 4]
                if inside:
                    gaps.append(sum(confidence[i] for i in inside) / n - sum(right[i] for i in inside) / n)
                    shares.append(len(inside) / n)
            expected = float(sum(abs(gap) for gap in gaps))
            check.equal(check.call(confidence, right, 4), expected)

    @wrong("The distance has no sign.")
    def signed(confidence, right, bins):
        bin_of = np.ceil(confidence * bins).astype(int) - 1
        return float(sum(((right - confidence) * (bin_of == k)).mean() for k in range(bins)))

    @wrong("Each bin counts alike here; weigh it by its share of the examples.")
    def unweighted(confidence, right, bins):
        bin_of = np.ceil(confidence * bins).astype(int) - 1
        gaps = [abs((confidence - right)[bin_of == k].mean()) for k in range(bins) if (bin_of == k).any()]
        return float(np.mean(gaps))

    @wrong("Bins cancel out: take the distance in each bin before you add.")
    def no_bins(confidence, right, bins):
        return float(abs(confidence.mean() - right.mean()))

    @wrong("This is the share that is right; compare it with the confidence.")
    def accuracy(confidence, right, bins):
        return float(right.mean())

    @wrong("This adds the distances of the bins without weights.")
    def sum_of_distances(confidence, right, bins):
        bin_of = np.ceil(confidence * bins).astype(int) - 1
        return float(sum(abs((confidence - right)[bin_of == k].mean()) for k in np.unique(bin_of)))


def _guesses(check, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n confidences with two decimals, and whether each guess was right; the mean confidence is not the share
    right.
    """
    while True:
        confidence = check.rng.uniform(0.02, 0.98, n).round(2)
        right = check.rng.random(n) < 0.5
        if abs(confidence.mean() - right.mean()) > 0.02 and right.any():
            return confidence, right
