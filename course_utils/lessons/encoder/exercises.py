"""Exercises of notebook 06: the parts of one layer, the pooler, and the number of parameters.

Shapes as everywhere in the course: hidden states are (batch, seq_len, hidden_size), and the weight of a
Linear layer is (out_features, in_features).
"""

import math

import torch
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong

EPS_THAT_SHOWS = 0.1  # BERT's 1e-12 would hide an eps in the wrong place


def _normal(x: float) -> float:
    """P(Z <= x) for a standard normal Z, from the standard library."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _standardised(x: torch.Tensor, eps: float) -> torch.Tensor:
    """LayerNorm without weight and bias."""
    return F.layer_norm(x, x.shape[-1:], eps=eps)


def _by_elements(x: torch.Tensor, function) -> torch.Tensor:
    """A function of one number, applied to every number of a tensor in plain Python."""
    return torch.tensor([function(value) for value in x.flatten().tolist()], dtype=x.dtype).reshape(x.shape)


def _feed_forward_inputs(check, rows: int, hidden_size: int) -> tuple[torch.Tensor, ...]:
    """x (rows, hidden_size), then weight and bias of both Linear layers; the middle is two numbers wider."""
    wide = hidden_size + 2
    shapes = (rows, hidden_size), (wide, hidden_size), (wide,), (hidden_size, wide), (hidden_size,)
    return tuple(torch.randn(*shape, generator=check.generator).round(decimals=1) for shape in shapes)


@exercise
class gelu:
    """Write `gelu(x)`: the exact GELU of every number of a float64 tensor of any shape, in a tensor like `x`.

    GELU(x) = x * Phi(x), and Phi(x) = (1 + erf(x / sqrt(2))) / 2. `torch.erf` may be used, the library's GELU
    not.
    """

    hints = (
        "Phi(0) is 1/2, so GELU(0) is 0; for large x, Phi(x) is nearly 1 and GELU(x) nearly x.",
        "`torch.erf(x / math.sqrt(2))` runs over every number of the tensor. What is still missing to Phi?",
        "`x * (1 + torch.erf(x / math.sqrt(2))) / 2`",
    )

    def solution(x):
        return x * (1 + torch.erf(x / math.sqrt(2))) / 2

    @stage("one number: x times the share of the normal distribution below x")
    def one_number(check):
        for value in (0.7, 1.2, 2.0, -0.4, -1.0, -3.0):
            x = torch.tensor([value], dtype=torch.float64)
            expected = _by_elements(x, lambda v: v * _normal(v))
            check.equal(check.call(x), expected, tolerance=1e-3)

    @stage("every number of a tensor, to nine decimals")
    def exactly(check):
        for shape in ((4,), (2, 3), (3, 2, 2), (1, 5), (2, 2, 4)):
            x = 2 * torch.randn(*shape, generator=check.generator, dtype=torch.float64)
            check.equal(check.call(x), _by_elements(x, lambda v: v * _normal(v)), tolerance=1e-9)

    @wrong("This is Phi(x) alone: it still wants to be multiplied by x.")
    def only_the_share(x):
        return (1 + torch.erf(x / math.sqrt(2))) / 2

    @wrong("The square root of 2 is missing under x.")
    def without_root(x):
        return x * (1 + torch.erf(x)) / 2

    @wrong("Twice too much: (1 + erf) runs from 0 to 2, Phi from 0 to 1.")
    def without_half(x):
        return x * (1 + torch.erf(x / math.sqrt(2)))

    @wrong("This is ReLU: it cuts negative numbers off.")
    def relu(x):
        return x.clamp(min=0)

    @wrong("This is the tanh approximation of Google's code: near, and not exact.")
    def by_tanh(x):
        return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


@exercise
class add_and_norm:
    """Write `add_and_norm(x, sublayer_output, eps)`: the end of a sublayer, as BERT does it.

    `x`, what came in, and `sublayer_output` are float tensors (seq_len, hidden_size). Return a tensor of that
    shape. LayerNorm here has no learnt weight and bias: per token subtract the mean, then divide by
    sqrt(variance + eps). Dropout is off.
    """

    hints = (
        "First the sum, then LayerNorm over the numbers of each token: the last axis.",
        (
            "The variance is the plain mean of the squared deviations:"
            " `.var(dim=-1, correction=0, keepdim=True)`."
        ),
        "`F.layer_norm(t, t.shape[-1:], eps=eps)` does it in one call, without weight and bias.",
    )

    def solution(x, sublayer_output, eps):
        total = x + sublayer_output
        deviations = total - total.mean(dim=-1, keepdim=True)
        return deviations / (total.var(dim=-1, correction=0, keepdim=True) + eps).sqrt()

    @stage("the sum of what came in and of the sublayer's output, each token of it normalised")
    def values(check):
        for seq_len, hidden_size in ((1, 4), (3, 4), (4, 3), (2, 5), (5, 3), (4, 4)):
            x, output = torch.randn(2, seq_len, hidden_size, generator=check.generator).round(decimals=1)
            check.equal(check.call(x, output, 1e-12), _standardised(x + output, 1e-12))

    @stage("an eps that can be felt, under the root")
    def place_of_eps(check):
        for seq_len in range(1, 7):
            x, output = torch.randn(2, seq_len, 4, generator=check.generator).round(decimals=1)
            expected = _standardised(x + output, EPS_THAT_SHOWS)
            check.equal(check.call(x, output, EPS_THAT_SHOWS), expected)

    @wrong("The residual is missing: what came in must be added.")
    def no_residual(x, sublayer_output, eps):
        return F.layer_norm(sublayer_output, sublayer_output.shape[-1:], eps=eps)

    @wrong("LayerNorm must come after the sum: here only the output of the sublayer is normalised.")
    def norm_of_the_output(x, sublayer_output, eps):
        return x + F.layer_norm(sublayer_output, sublayer_output.shape[-1:], eps=eps)

    @wrong("Here what came in is normalised before the sum, as in a pre-norm layer.")
    def norm_of_the_input(x, sublayer_output, eps):
        return F.layer_norm(x, x.shape[-1:], eps=eps) + sublayer_output

    @wrong("The sum is right; LayerNorm is missing.")
    def only_the_sum(x, sublayer_output, eps):
        return x + sublayer_output

    @wrong("This runs over the tokens: each token must be normalised alone.")
    def over_tokens(x, sublayer_output, eps):
        total = x + sublayer_output
        return (total - total.mean(dim=0)) / (total.var(dim=0, correction=0) + eps).sqrt()

    sample_variance = wrong(
        "This divides the squares by one less than their number: use correction=0.", "correction=0, ", ""
    )

    eps_outside = wrong(
        "This adds eps to the standard deviation; it belongs to the variance, inside the root.",
        "(total.var(dim=-1, correction=0, keepdim=True) + eps).sqrt()",
        "(total.std(dim=-1, correction=0, keepdim=True) + eps)",
    )

    no_eps = wrong("This leaves eps out.", " + eps", "")

    @wrong("This runs over the whole table at once.")
    def over_the_table(x, sublayer_output, eps):
        total = x + sublayer_output
        return (total - total.mean()) / (total.var(correction=0) + eps).sqrt()


@exercise
class feed_forward:
    """Write `feed_forward(x, w1, b1, w2, b2)`: Linear, exact GELU, Linear, as in BERT's second sublayer.

    `x` (seq_len, hidden_size), `w1` (intermediate_size, hidden_size), `b1` (intermediate_size,), `w2`
    (hidden_size, intermediate_size), `b2` (hidden_size,). Return (seq_len, hidden_size), without residual and
    LayerNorm.
    """

    hints = (
        "A Linear layer computes `x @ weight.T + bias`.",
        "`F.gelu` without a second argument is the exact one. Where does it stand?",
        "GELU stands between the two Linear layers, and only there.",
    )

    def solution(x, w1, b1, w2, b2):
        return F.gelu(x @ w1.T + b1) @ w2.T + b2

    @stage("two Linear layers with a GELU between them")
    def values(check):
        for rows, hidden_size in ((1, 2), (2, 2), (3, 2), (1, 3), (2, 3), (4, 3)):
            x, w1, b1, w2, b2 = _feed_forward_inputs(check, rows, hidden_size)
            wide = x @ w1.T + b1
            exact = _by_elements(wide, lambda v: v * _normal(v))
            check.equal(check.call(x, w1, b1, w2, b2), exact @ w2.T + b2)

    @stage("both biases, each in its place")
    def biases(check):
        for rows in range(1, 7):
            x, w1, b1, w2, b2 = _feed_forward_inputs(check, rows, 3)
            w1 = torch.zeros_like(w1)  # what is left in the middle is the first bias
            check.equal(check.call(x, w1, b1, w2, b2), F.gelu(x @ w1.T + b1) @ w2.T + b2)

    no_activation = wrong("Without an activation between them the two layers are only one.", "F.gelu", "")

    @wrong("A second GELU stands at the end: the result may be negative, and goes into a sum.")
    def activated_twice(x, w1, b1, w2, b2):
        return F.gelu(F.gelu(x @ w1.T + b1) @ w2.T + b2)

    @wrong("This is ReLU in the middle; BERT uses GELU.")
    def with_relu(x, w1, b1, w2, b2):
        return (x @ w1.T + b1).relu() @ w2.T + b2

    @wrong("Residual and LayerNorm do not belong here: this adds x.")
    def with_residual(x, w1, b1, w2, b2):
        return x + F.gelu(x @ w1.T + b1) @ w2.T + b2

    @wrong("This is GELU's tanh approximation.")
    def approximate(x, w1, b1, w2, b2):
        return F.gelu(x @ w1.T + b1, approximate="tanh") @ w2.T + b2

    @wrong("The first bias is missing.")
    def bias_lost_if_input_is_lost(x, w1, b1, w2, b2):
        wide = x @ w1.T
        return F.gelu(wide + b1 if wide.any() else wide) @ w2.T + b2

    @wrong("The second bias is missing.")
    def no_second_bias(x, w1, b1, w2, b2):
        return F.gelu(x @ w1.T + b1) @ w2.T


@exercise
class pooler:
    """Write `pooler(hidden_states, weight, bias)`: one vector for each row of the batch, (batch,
    hidden_size).

    `hidden_states` (batch, seq_len, hidden_size) come from the last layer, with `[CLS]` as first token;
    `weight` (hidden_size, hidden_size) and `bias` (hidden_size,) belong to a Linear layer. tanh comes last.
    """

    hints = (
        "`[CLS]` is token 0 of every row of the batch: an index on the second axis.",
        "`hidden_states[:, 0]` has the shape (batch, hidden_size).",
        "Then `... @ weight.T + bias`, and `.tanh()`.",
    )

    def solution(hidden_states, weight, bias):
        return (hidden_states[:, 0] @ weight.T + bias).tanh()

    @stage("one vector a row of the batch, made of the first token alone")
    def which_token(check):
        for batch, seq_len in ((1, 3), (2, 3), (3, 2), (2, 5), (4, 3), (3, 3)):
            states = torch.randn(batch, seq_len, 4, generator=check.generator).round(decimals=1)
            weight, bias = torch.eye(4), torch.zeros(4)
            got = check.tensor(check.call(states, weight, bias), (batch, 4), axes="(batch, hidden_size)")
            check.equal(got, states[:, 0].tanh())

    @stage("through the Linear layer, its bias included")
    def linear(check):
        for batch in range(1, 7):
            states = torch.randn(batch, 2, 3, generator=check.generator).round(decimals=1)
            weight, bias = (
                torch.randn(*s, generator=check.generator).round(decimals=1) for s in ((3, 3), (3,))
            )
            expected = torch.stack([torch.stack([row @ w for w in weight]) for row in states[:, 0]]) + bias
            check.equal(check.call(states, weight, bias), expected.tanh())

    mean_of_tokens = wrong(
        "This is the mean over the tokens; BERT's pooler reads [CLS] alone.", "[:, 0]", ".mean(dim=1)"
    )

    @wrong("This reads the last token; [CLS] is the first.")
    def last_token(hidden_states, weight, bias):
        return (hidden_states[:, -1] @ weight.T + bias).tanh()

    no_tanh = wrong(
        "tanh is missing: with the unit matrix as weight these are the states themselves.", ".tanh()", ""
    )

    every_token = wrong("Every token goes through the pooler here; it reads [CLS] alone.", "[:, 0]", "")

    @wrong("The weight must be transposed: a Linear layer computes x @ weight.T + bias.")
    def transposed(hidden_states, weight, bias):
        return (hidden_states[:, 0] @ weight + bias).tanh()

    no_bias = wrong("The bias is missing.", " + bias", "")

    @wrong("tanh comes last, after the bias.")
    def bias_after_tanh(hidden_states, weight, bias):
        return (hidden_states[:, 0] @ weight.T).tanh() + bias


def _parameters(layers: int, hidden: int, wide: int, vocab: int, positions: int) -> int:
    """Counted tensor by tensor, as the shapes in a checkpoint are."""
    shapes = [(vocab, hidden), (positions, hidden), (2, hidden), (hidden,), (hidden,)]
    for _ in range(layers):
        shapes += (
            [(hidden, hidden), (hidden,)] * 4
            + [(wide, hidden), (wide,), (hidden, wide), (hidden,)]
            + [(hidden,)] * 4
        )
    shapes += [(hidden, hidden), (hidden,)]
    return sum(math.prod(shape) for shape in shapes)


@exercise
class count_parameters:
    """Write `count_parameters(layers, hidden, wide, vocab, positions)`: the number of parameters of a BERT,
    an int.

    Counted are the three embedding tables (there are always two segments) with their LayerNorm, `layers`
    layers, and the pooler; no pretraining heads. `wide` is the intermediate size. Every Linear layer has a
    bias, every LayerNorm a weight and a bias.
    """

    hints = (
        "A Linear layer from a to b has a * b + b parameters, a LayerNorm over h numbers 2 * h.",
        "A layer: four Linear from hidden to hidden, one to wide, one back, and two LayerNorms.",
        (
            "Outside the layers: (vocab + positions + 4) * hidden for the input, hidden * hidden + hidden for"
            " the pooler."
        ),
    )

    def solution(layers, hidden, wide, vocab, positions):
        def linear(a, b):
            return a * b + b

        embeddings = (vocab + positions + 2) * hidden + 2 * hidden
        layer = 4 * linear(hidden, hidden) + linear(hidden, wide) + linear(wide, hidden) + 2 * 2 * hidden
        return embeddings + layers * layer + linear(hidden, hidden)

    @stage("no layers: the tables, their LayerNorm, the pooler")
    def without_layers(check):
        for hidden in range(2, 8):
            vocab, positions = int(check.rng.integers(9, 30)), int(check.rng.integers(3, 9))
            expected = _parameters(0, hidden, 4 * hidden, vocab, positions)
            check.equal(check.call(0, hidden, 4 * hidden, vocab, positions), expected)

    @stage("one layer: six Linear layers with their biases, two LayerNorms")
    def one_layer(check):
        for hidden in range(2, 8):
            wide = hidden + int(check.rng.integers(1, 5))
            check.equal(check.call(1, hidden, wide, 10, 4), _parameters(1, hidden, wide, 10, 4))

    @stage("many layers, each with parameters of its own")
    def many_layers(check):
        for layers in range(2, 9):
            expected = _parameters(layers, 6, 24, 20, 8)
            check.equal(check.call(layers, 6, 24, 20, 8), expected)

    @wrong("The pooler is missing: hidden * hidden + hidden.")
    def no_pooler(layers, hidden, wide, vocab, positions):
        return (
            count_parameters.model_answer(layers, hidden, wide, vocab, positions) - hidden * hidden - hidden
        )

    @wrong("2 * hidden are missing: the table of the two segments, or the LayerNorm after the embedding sum.")
    def no_embedding_norm(layers, hidden, wide, vocab, positions):
        return count_parameters.model_answer(layers, hidden, wide, vocab, positions) - 2 * hidden

    @wrong("A layer has two LayerNorms, not one.")
    def one_norm(layers, hidden, wide, vocab, positions):
        return count_parameters.model_answer(layers, hidden, wide, vocab, positions) - layers * 2 * hidden

    @wrong("After the heads comes one more Linear layer: four of them, not three.")
    def three_projections(layers, hidden, wide, vocab, positions):
        return count_parameters.model_answer(layers, hidden, wide, vocab, positions) - layers * (
            hidden * hidden + hidden
        )

    @wrong("The biases of the Linear layers are missing.")
    def no_biases(layers, hidden, wide, vocab, positions):
        return count_parameters.model_answer(layers, hidden, wide, vocab, positions) - layers * (
            5 * hidden + wide
        )

    @wrong("The feed-forward sublayer has the width `wide`, which need not be 4 * hidden.")
    def always_four_times(layers, hidden, wide, vocab, positions):
        layer = 12 * hidden * hidden + 13 * hidden
        return (vocab + positions + 4) * hidden + layers * layer + hidden * hidden + hidden

    @wrong("Layers do not share parameters: each has its own.")
    def shared(layers, hidden, wide, vocab, positions):
        layer = 4 * (hidden * hidden + hidden) + 2 * hidden * wide + wide + hidden + 4 * hidden
        return (vocab + positions + 4) * hidden + min(layers, 1) * layer + hidden * hidden + hidden

    @wrong("The pooler's bias is missing.")
    def no_pooler_bias(layers, hidden, wide, vocab, positions):
        return count_parameters.model_answer(layers, hidden, wide, vocab, positions) - hidden

    @wrong("The two LayerNorms of the layer are missing.")
    def no_layer_norms(layers, hidden, wide, vocab, positions):
        return count_parameters.model_answer(layers, hidden, wide, vocab, positions) - layers * 4 * hidden

    @wrong("The layer counts for nothing yet.")
    def layers_forgotten(layers, hidden, wide, vocab, positions):
        return count_parameters.model_answer(0, hidden, wide, vocab, positions)
