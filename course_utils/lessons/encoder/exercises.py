"""Exercises of notebook 06: why layers need a bend and a bypass, and which slip is in this one.

Shapes as everywhere in the course: hidden states are (batch, seq_len, hidden_size), and the weight of a
Linear layer is (out_features, in_features).
"""

import math

import torch
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong

EPS_THAT_SHOWS = 0.1  # BERT's 1e-12 would hide an eps in the wrong place
CORNERS = torch.zeros_like, torch.ones_like, lambda t: -t.abs() - 1


def _normalised(x: torch.Tensor, eps: float = 1e-12) -> torch.Tensor:
    """LayerNorm without weight and bias."""
    return F.layer_norm(x, x.shape[-1:], eps=eps)


def _two_layers(check):
    """w1, b1, w2, b2 of two Linear layers in a row: of several sizes, and with a part that is zero, all alike
    or negative.
    """
    for start, wide, end in ((1, 1, 1), (2, 3, 2), (2, 2, 2), (3, 5, 2), (2, 4, 3), (4, 2, 3), (3, 3, 3)):
        shapes = (wide, start), (wide,), (end, wide), (end,)
        yield [torch.randn(*shape, generator=check.generator).round(decimals=1) for shape in shapes]
    for change in CORNERS:
        for place in range(4):
            shapes = (4, 3), (4,), (2, 4), (2,)
            parts = [torch.randn(*shape, generator=check.generator).round(decimals=1) for shape in shapes]
            parts[place] = change(parts[place])
            yield parts


@exercise
class one_linear:
    """Write `one_linear(w1, b1, w2, b2)`: the one Linear layer that does what two in a row do, as (weight,
    bias).

    `w1` (wide, start) and `b1` (wide,) come first, `w2` (end, wide) and `b2` (end,) second, and nothing
    stands between them. `weight` is (end, start), as `nn.Linear` keeps it, and `bias` (end,).
    """

    hints = (
        "Write it out for one vector: w2 (w1 x + b1) + b2. Which part is multiplied by x, and what is left?",
        "The weight is `w2 @ w1`: what comes first stands next to x.",
        "b1 passes through the second layer as well: `w2 @ b1 + b2`.",
    )

    def solution(w1, b1, w2, b2):
        return w2 @ w1, w2 @ b1 + b2

    @stage("the weight")
    def weight(check):
        for w1, b1, w2, b2 in _two_layers(check):
            got, _ = check.call(w1, b1, w2, b2)
            check.equal(got, torch.stack([(row[:, None] * w1).sum(dim=0) for row in w2]))

    @stage("the bias")
    def bias(check):
        for w1, b1, w2, b2 in _two_layers(check):
            _, got = check.call(w1, b1, w2, b2)
            check.equal(got, torch.stack([(row * b1).sum() for row in w2]) + b2)

    turned = wrong(
        "This is the weight for row vectors: `nn.Linear` keeps it as (end, start), which is w2 @ w1.",
        "w2 @ w1",
        "w1.T @ w2.T",
    )

    @wrong("The first bias goes through the second layer too: w2 @ b1 + b2.")
    def bias_of_the_second(w1, b1, w2, b2):
        return w2 @ w1, b2

    lost_bias = wrong("The second bias is missing.", " + b2", "")


@exercise
class add_and_norm:
    """Repair `add_and_norm(x, sublayer_output, eps)`, the end of a sublayer, so that it does what BERT does.

    `x`, what came in, and `sublayer_output` are float tensors (seq_len, hidden_size). Return a tensor of that
    shape. LayerNorm here has no learnt weight and bias. The lines given hold three slips.
    """

    hints = (
        "First the sum, then LayerNorm: what is normalised here?",
        "LayerNorm looks at the numbers of one token: which axis is that?",
        (
            "eps belongs to the variance, inside the root. `.var(dim=-1, correction=0, keepdim=True)` is the"
            " plain mean of the squared deviations."
        ),
    )

    def stub(x, sublayer_output, eps):
        deviations = sublayer_output - sublayer_output.mean(dim=0, keepdim=True)
        spread = sublayer_output.std(dim=0, correction=0, keepdim=True) + eps
        return x + deviations / spread

    def solution(x, sublayer_output, eps):
        total = x + sublayer_output
        deviations = total - total.mean(dim=-1, keepdim=True)
        return deviations / (total.var(dim=-1, correction=0, keepdim=True) + eps).sqrt()

    @stage("the sum of what came in and of the sublayer's output, each token of it normalised")
    def values(check):
        for seq_len, hidden_size in ((1, 4), (3, 4), (4, 3), (2, 5), (5, 3), (4, 4)):
            x, output = torch.randn(2, seq_len, hidden_size, generator=check.generator).round(decimals=1)
            check.equal(check.call(x, output, 1e-12), _normalised(x + output))
            check.equal(check.call(x, output, 0.0), _normalised(x + output))

    @stage("an eps that can be felt, under the root")
    def place_of_eps(check):
        for seq_len in range(1, 7):
            x, output = torch.randn(2, seq_len, 4, generator=check.generator).round(decimals=1)
            expected = _normalised(x + output, EPS_THAT_SHOWS)
            check.equal(check.call(x, output, EPS_THAT_SHOWS), expected)
        for change in CORNERS:
            for pair in ((change(x), output), (x, change(output)), (change(x), change(output))):
                check.equal(check.call(*pair, EPS_THAT_SHOWS), _normalised(sum(pair), EPS_THAT_SHOWS))

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

    no_root = wrong("This divides by the variance: take its root.", ".sqrt()", "")

    @wrong("This runs over the whole table at once.")
    def over_the_table(x, sublayer_output, eps):
        total = x + sublayer_output
        return (total - total.mean()) / (total.var(correction=0) + eps).sqrt()


def _attention(check, seq_len: int) -> torch.Tensor:
    """Weights (seq_len, seq_len) in float64, each row a distribution, no two rows alike."""
    scores = torch.randn(seq_len, seq_len, generator=check.generator, dtype=torch.float64)
    return scores.softmax(dim=-1)


def _address(weights: torch.Tensor, keep: float, layers: int) -> torch.Tensor:
    """The truth, one token after the other: its gradient sent back layer by layer."""
    shares = []
    for i in range(len(weights)):
        gradient = torch.eye(len(weights), dtype=weights.dtype)[i]
        for _ in range(layers):
            gradient = keep * gradient + gradient @ weights
        shares.append(gradient[i] ** 2 / (gradient**2).sum())
    return torch.stack(shares)


@exercise
class address:
    """Write `address(weights, keep, layers)`: how much of each token's gradient arrives at that token itself.

    A stack of bare attention layers: in each one the new vector of token i is `keep` times its own, plus the
    mean of all tokens with the weights `weights[i]`. `weights` is (seq_len, seq_len), float64, the same in
    all `layers` layers; a row sums to 1. A gradient that starts at token i at the top is spread over all
    tokens at the bottom. Return, for each i, the share of its squared length that is found at token i:
    (seq_len,).
    """

    hints = (
        "One layer is a matrix, applied to all tokens at once. Where in it does `keep` belong?",
        "Many layers are a power of that matrix: `torch.linalg.matrix_power(m, layers)`.",
        (
            "Row i of the power says how much token i at the top takes from each token at the bottom, and the"
            " gradient goes back along the same numbers."
        ),
    )

    def solution(weights, keep, layers):
        layer = keep * torch.eye(len(weights), dtype=weights.dtype) + weights
        stack = torch.linalg.matrix_power(layer, layers)
        return stack.diagonal() ** 2 / (stack**2).sum(dim=1)

    @stage("one layer")
    def one_layer(check):
        for seq_len, keep in ((1, 1.0), (2, 1.0), (3, 1.0), (3, 0.5), (4, 2.0), (5, 0.25)):
            weights = _attention(check, seq_len)
            check.equal(check.call(weights, keep, 1), _address(weights, keep, 1))
            equal = torch.full((seq_len, seq_len), 1 / seq_len, dtype=torch.float64)
            check.equal(check.call(equal, keep, 1), _address(equal, keep, 1))
        one_other = torch.eye(3, dtype=torch.float64).roll(1, dims=1)  # each token attends to one other alone
        check.equal(check.call(one_other, 0.0, 1), _address(one_other, 0.0, 1))
        check.equal(check.call(one_other, 1.0, 0), _address(one_other, 1.0, 0))

    @stage("many layers")
    def many_layers(check):
        for seq_len, keep, layers in (
            (2, 1.0, 2), (3, 1.0, 3), (4, 0.5, 6), (5, 1.0, 12), (3, 2.0, 4), (4, 0.0, 3), (3, 1.0, 0)
        ):  # fmt: skip
            weights = _attention(check, seq_len)
            check.equal(check.call(weights, keep, layers), _address(weights, keep, layers))

    @wrong("A squared length is asked for: square the numbers of the gradient before you compare them.")
    def not_squared(weights, keep, layers):
        layer = keep * torch.eye(len(weights), dtype=weights.dtype) + weights
        stack = torch.linalg.matrix_power(layer, layers)
        return stack.diagonal() / stack.sum(dim=1)

    sum_not_squared = wrong(
        "The share is squared and the sum is not: square every number of the row before you add them.",
        "(stack**2).sum",
        "stack.sum",
    )

    @wrong("This sums over the tokens at the top: the gradient of token i is row i.")
    def columns(weights, keep, layers):
        layer = keep * torch.eye(len(weights), dtype=weights.dtype) + weights
        stack = torch.linalg.matrix_power(layer, layers)
        return stack.diagonal() ** 2 / (stack**2).sum(dim=0)

    @wrong("The residual goes round every layer, not once round all of them together.")
    def kept_once(weights, keep, layers):
        stack = torch.linalg.matrix_power(weights, layers)
        if layers:
            stack = stack + keep * torch.eye(len(weights), dtype=weights.dtype)
        return stack.diagonal() ** 2 / (stack**2).sum(dim=1)

    @wrong("Many layers are a power of the matrix, not of each of its numbers.")
    def power_of_numbers(weights, keep, layers):
        layer = keep * torch.eye(len(weights), dtype=weights.dtype) + weights
        stack = layer**layers if layers else torch.eye(len(weights), dtype=weights.dtype)
        return stack.diagonal() ** 2 / (stack**2).sum(dim=1)

    no_residual = wrong("The residual is missing: `keep` stands on the diagonal.", "keep * ", "0 * ")


UNLIKE = "This is another one of the six. Try `end` on numbers with which all six give something else."
NAMES = ("right", "no residual", "norm of the input", "norm of the output", "no norm", "norm over tokens")


class _End:
    """The end of a sublayer, with a slip or without: what `diagnose` is given to try."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return "end"

    def __call__(self, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        x, output = torch.as_tensor(x), torch.as_tensor(output)
        return {
            "right": lambda: _normalised(x + output),
            "no residual": lambda: _normalised(output),
            "norm of the input": lambda: _normalised(x) + output,
            "norm of the output": lambda: x + _normalised(output),
            "no norm": lambda: x + output,
            "norm over tokens": lambda: _normalised((x + output).T).T,
        }[self.name]()


@exercise
class diagnose:
    """Write `diagnose(end)`: which slip is in this end of a sublayer?

    `end(x, output)` takes what came into the sublayer and what came out of it, two float tensors (seq_len,
    hidden_size) of your own choice, and returns a tensor of that shape. One of these it computes, with
    LayerNorm over the last axis, without learnt weights:

    - "right": LayerNorm(x + output)
    - "no residual": LayerNorm(output)
    - "norm of the input": LayerNorm(x) + output
    - "norm of the output": x + LayerNorm(output)
    - "no norm": x + output
    - "norm over tokens": x + output, normalised over the first axis

    Return its name.
    """

    hints = (
        "Choose an x and an output on which all six give something else: `torch.randn(3, 4)` twice will do.",
        "Compute what each of the six would give, and see which one `end` gives: `torch.allclose`.",
        "A dictionary from names to results, and a loop over it.",
    )

    def solution(end):
        x, output = torch.randn(3, 4), torch.randn(3, 4)

        def norm(t):
            return F.layer_norm(t, t.shape[-1:], eps=1e-12)

        candidates = {
            "right": norm(x + output),
            "no residual": norm(output),
            "norm of the input": norm(x) + output,
            "norm of the output": x + norm(output),
            "no norm": x + output,
            "norm over tokens": norm((x + output).T).T,
        }
        got = end(x, output)
        return next(name for name, value in candidates.items() if torch.allclose(got, value, atol=1e-4))

    @stage("one without a plus, one without LayerNorm, one without a slip")
    def missing(check):
        for name in ("no residual", "no norm", "right", "no norm", "no residual"):
            check.equal(check.call(_End(name)), name, UNLIKE)

    @stage("LayerNorm in the wrong place or over the wrong axis")
    def misplaced(check):
        for name in (*NAMES, *NAMES[::-1]):
            check.equal(check.call(_End(name)), name, UNLIKE)

    @wrong("This says the same whatever it is given: `end` has to be tried.")
    def always_right(end):
        return "right"

    @wrong("Mean 0 in every token does not prove that it is right: without the residual the mean is 0 too.")
    def by_the_mean(end):
        x, output = torch.randn(3, 4), torch.randn(3, 4)
        return "right" if end(x, output).mean(dim=-1).abs().max() < 1e-4 else "no norm"

    @wrong('With an output of zeros, "norm of the input" looks as if it were right: choose both at random.')
    def with_zeros(end):
        x = torch.randn(3, 4)
        got, zeros = end(x, torch.zeros(3, 4)), torch.zeros(3, 4)
        for name in ("right", "no residual", "no norm", "norm over tokens", "norm of the input"):
            if torch.allclose(got, _End(name)(x, zeros), atol=1e-4):
                return name
        return "norm of the output"


OTHER_SIZE = "What is missing from the count has the size of another part."
PARTS = (
    "pooler",
    "LayerNorms",
    "segment table",
    "position table",
    "attention's output",
    "biases of the layers",
    "nothing",
)


def _parameters(layers: int, hidden: int, wide: int, vocab: int, positions: int, segments: int) -> dict:
    """What each part holds, counted tensor by tensor as the shapes in a checkpoint are."""
    shapes = {
        "word table": [(vocab, hidden)],
        "position table": [(positions, hidden)],
        "segment table": [(segments, hidden)],
        "LayerNorms": [(hidden,), (hidden,)] * (1 + 2 * layers),
        "attention": [(hidden, hidden), (hidden,)] * 3 * layers,
        "attention's output": [(hidden, hidden), (hidden,)] * layers,
        "feed-forward": [(wide, hidden), (wide,), (hidden, wide), (hidden,)] * layers,
        "pooler": [(hidden, hidden), (hidden,)],
    }
    counts = {name: sum(map(math.prod, group)) for name, group in shapes.items()}
    return counts | {"total": sum(counts.values()), "biases of the layers": layers * (5 * hidden + wide)}


def _told(check, part: str, layers: int) -> tuple[int, ...]:
    """The sizes of a model in which no two parts are equally large, and a count that lacks `part`."""
    while True:
        hidden, segments = int(check.rng.integers(5, 12)), int(check.rng.integers(3, 5))
        wide, vocab = int(check.rng.integers(17, 40)), int(check.rng.integers(50, 90))
        positions = int(check.rng.integers(7, 40))
        sizes = (layers, hidden, wide, vocab, positions, segments)
        counts = _parameters(*sizes)
        numbers = [counts[name] for name in PARTS[:-1]] + [2 * hidden, 2 * layers * hidden]
        if len(set(numbers)) == len(numbers):
            return (*sizes, counts["total"] - counts.get(part, 0))


@exercise
class forgotten:
    """Write `forgotten(layers, hidden, wide, vocab, positions, segments, counted)`: what was left out?

    Somebody has counted the parameters of a BERT without heads: three embedding tables and their LayerNorm,
    `layers` layers, the pooler. `wide` is the intermediate size, `segments` the number of rows of the segment
    table. The result is `counted`. Either it is right, or exactly one of these was forgotten. Return which:

    - "pooler"
    - "LayerNorms": all of them, the one of the embeddings included
    - "segment table"
    - "position table"
    - "attention's output": the Linear layer after the heads, in every layer
    - "biases of the layers": those of all six Linear layers of every layer
    - "nothing"
    """

    hints = (
        (
            "How many parameters does each of the parts have? A Linear layer from a to b: a * b + b. A"
            " LayerNorm: 2 * hidden."
        ),
        "The right total minus `counted` is the size of what is missing.",
        "There are 1 + 2 * layers LayerNorms; the biases of a layer are 5 * hidden + wide numbers.",
    )

    time_limit = 20  # the first model on the device "meta" takes seconds

    def solution(layers, hidden, wide, vocab, positions, segments, counted):
        square = hidden * hidden + hidden
        sizes = {
            "pooler": square,
            "LayerNorms": (1 + 2 * layers) * 2 * hidden,
            "segment table": segments * hidden,
            "position table": positions * hidden,
            "attention's output": layers * square,
        }
        rest = vocab * hidden + layers * (3 * square + 2 * hidden * wide + wide + hidden)
        sizes["biases of the layers"] = layers * (5 * hidden + wide)
        sizes["nothing"] = 0
        total = rest + sum(sizes.values()) - sizes["biases of the layers"]
        return next(name for name, size in sizes.items() if size == total - counted)

    @stage("nothing, a table or the pooler forgotten")
    def outside_the_layers(check):
        for part in ("nothing", "pooler", "segment table", "position table"):
            for layers in (2, 3, 6):
                check.equal(check.call(*_told(check, part, layers)), part, OTHER_SIZE)

    @stage("something forgotten in every layer")
    def in_the_layers(check):
        for part in (*PARTS[3:], *PARTS[:3]):
            for layers in (2, 3, 6):
                check.equal(check.call(*_told(check, part, layers)), part, OTHER_SIZE)
            sizes = (12, 768, 3072, 30522, 512, 2)  # BERT-base
            counts = _parameters(*sizes)
            missing = counts["total"] - counts.get(part, 0)
            check.equal(check.call(*sizes, missing), part, OTHER_SIZE)

    @wrong("Not every count is right: compare it with yours.")
    def trusting(layers, hidden, wide, vocab, positions, segments, counted):
        return "nothing"

    @wrong("The number of segments is given, and it need not be two.")
    def two_segments(layers, hidden, wide, vocab, positions, segments, counted):
        counts = _parameters(layers, hidden, wide, vocab, positions, 2)
        missing = counts["total"] - counted
        return next((name for name in PARTS if counts.get(name, 0) == missing), "nothing")

    @wrong("There is one LayerNorm after the embeddings and two in every layer: 1 + 2 * layers.")
    def norms_of_the_layers(layers, hidden, wide, vocab, positions, segments, counted):
        counts = _parameters(layers, hidden, wide, vocab, positions, segments)
        missing = counts["total"] - counted
        counts["LayerNorms"] = 2 * layers * 2 * hidden
        return next((name for name in PARTS if counts.get(name, 0) == missing), "segment table")

    @wrong("Six Linear layers have six biases in every layer: five of `hidden` numbers and one of `wide`.")
    def four_biases(layers, hidden, wide, vocab, positions, segments, counted):
        counts = _parameters(layers, hidden, wide, vocab, positions, segments)
        missing = counts["total"] - counted
        counts["biases of the layers"] = layers * 4 * hidden
        return next((name for name in PARTS if counts.get(name, 0) == missing), "LayerNorms")
