"""Exercises of notebook 04: a score, slopes, one head of many, attention, a slip to find, a head to build.

Rows are the tokens that attend (queries), columns the tokens attended to (keys).

Long, because each exercise stands whole, its wrong answers included.
"""

import math

import torch

from course_utils.classroom.engine import exercise, stage, wrong


def _normal(check, *shape: int) -> torch.Tensor:
    """Random numbers with one decimal, short enough to be read in a message."""
    return torch.randn(*shape, generator=check.generator).round(decimals=1)


def _scores_by_loops(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """The truth to compare with: one dot product at a time, divided by the root of the vectors' size."""
    size = query.shape[-1]
    rows = [
        [sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(size) for k in key.tolist()]
        for q in query.tolist()
    ]
    return torch.tensor(rows)


def _attend_by_loops(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Context and weights of two-dimensional tensors, row by row."""
    contexts, rows = [], []
    for scores in _scores_by_loops(query, key).tolist():
        powers = [math.exp(score) for score in scores]
        rows.append([power / sum(powers) for power in powers])
        contexts.append(sum(weight * v for weight, v in zip(rows[-1], value, strict=True)))
    return torch.stack(contexts), torch.tensor(rows)


@exercise
class score_for:
    """Write `score_for(weight, n)`: a number, the score that gives one of `n` tokens the weight `weight`.

    The other n - 1 tokens have the score 0, and n is at least 2. The weight lies between 0 and 1, both
    excluded.
    """

    hints = (
        "The softmax makes e^s / (e^s + n - 1) of these scores. Set this equal to the weight.",
        "e^s is n - 1 times weight / (1 - weight). Which function undoes a power of e?",
        "`math.log`, the natural logarithm, of `weight * (n - 1) / (1 - weight)`.",
    )

    def solution(weight, n):
        return math.log(weight * (n - 1) / (1 - weight))

    @stage("two tokens: half of the weight at 0, more above it, less below")
    def two(check):
        for weight in (0.5, 0.75, 0.9, 0.99, 0.25, 0.1, 0.01):
            check.equal(check.call(weight, 2), math.log(weight) - math.log(1 - weight))

    @stage("more tokens: an equal share at 0, and any other weight")
    def more_tokens(check):
        for n in (4, 3, 5, 8, 10, 20, 50):
            got = check.call(1 / n, n)
            check.equal(got, 0.0, "With all scores 0 each of n tokens has 1 / n.")
        for n in (3, 4, 6, 11, 50, 512, 4096):
            for weight in (0.96, 0.5, 0.99, 0.75, 0.2, 0.05, 0.001):
                odds = math.log(weight) - math.log(1 - weight)
                check.equal(check.call(weight, n), odds + math.log(n - 1))

    all_tokens = wrong(
        "The token itself is one of the n: only n - 1 others share what is left.", "(n - 1)", "n"
    )

    two_alone = wrong("You leave out how many others there are: each adds 1 to the sum.", " * (n - 1)", "")

    fewer = wrong(
        "The more others there are, the higher the score must be: multiply by n - 1.",
        "weight * (n - 1) / (1 - weight)",
        "weight / ((1 - weight) * (n - 1))",
    )

    over_one = wrong(
        "The power of e itself belongs to the sum of the softmax: divide by what is left, 1 - weight.",
        "weight * (n - 1) / (1 - weight)",
        "weight * (n - 1)",
    )

    upside_down = wrong(
        "The sign is the wrong way round: a larger weight needs a higher score.",
        "weight * (n - 1) / (1 - weight)",
        "(1 - weight) / (weight * (n - 1))",
    )

    power_itself = wrong(
        "This is e to the power of the score. The score is its natural logarithm.",
        "math.log(weight * (n - 1) / (1 - weight))",
        "weight * (n - 1) / (1 - weight)",
    )

    other_base = wrong(
        "The softmax takes powers of e, so it is undone by the natural logarithm, `math.log`.",
        "math.log(",
        "math.log2(",
    )


@exercise
class softmax_slopes:
    """Write `softmax_slopes(weights)`: a float tensor (n, n).

    `weights` (n,) is the result of a softmax. Entry (i, j) says how much weight i rises for a small rise of
    score j, in multiples of that rise.
    """

    hints = (
        (
            "A weight is e to the score, divided by a sum. On the diagonal the slope is w_i (1 - w_i); when"
            " score j rises, only the sum changes for weight i, which gives - w_i w_j."
        ),
        (
            "w_i (1 - w_i) = w_i - w_i w_i: so the whole table is the weights on the diagonal minus the outer"
            " product."
        ),
        "`torch.diag(weights)` and `torch.outer(weights, weights)`.",
    )

    def solution(weights):
        return torch.diag(weights) - torch.outer(weights, weights)

    @stage("one row for each weight, one column for each score")
    def form(check):
        for n in range(2, 8):
            check.tensor(check.call(_normal(check, n).softmax(0)), (n, n), axes="(weight, score)")

    @stage("the diagonal: a weight rises with its own score")
    def diagonal(check):
        for n in range(2, 8):
            weights = _normal(check, n).softmax(0)
            got = check.call(weights).diagonal()
            check.equal(got, weights * (1 - weights))

    @stage("the rest: what one weight wins, the others lose")
    def others(check):
        for n in range(2, 8):
            scores = _normal(check, n)
            expected = torch.autograd.functional.jacobian(lambda s: s.softmax(0), scores)
            got = check.call(scores.softmax(0))
            check.equal(got, expected)
        for weights in (
            torch.ones(1),
            torch.full((4,), 0.25),
            torch.tensor([0.0, 1.0, 0.0]),
            torch.tensor([0.5, 0.0, 0.5]),
            torch.tensor([0.3, 0.3, 0.4]),
        ):
            got = check.call(weights)
            size = len(weights)
            expected = [
                [float(weights[i]) * ((i == j) - float(weights[j])) for j in range(size)] for i in range(size)
            ]
            check.equal(got, torch.tensor(expected))

    weights_themselves = wrong(
        "On the diagonal is the weight itself; it must be multiplied by what is left, 1 - w.",
        " - torch.outer(weights, weights)",
        "",
    )

    @wrong("The signs are the wrong way round: a rising score makes its own weight rise.")
    def wrong_sign(weights):
        return torch.outer(weights, weights) - torch.diag(weights)

    outer_only = wrong("The diagonal lacks its own term w_i: this is - w_i w_i.", "torch.diag(weights)", "")

    @wrong("Off the diagonal nothing happens here; the denominator of the softmax ties all weights together.")
    def diagonal_only(weights):
        return torch.diag(weights * (1 - weights))

    @wrong("All weights rise here; but they sum to 1, so the others must lose what one wins.")
    def all_positive(weights):
        return (torch.diag(weights) - torch.outer(weights, weights)).abs()

    @wrong("This is the diagonal alone; every score moves every weight, which makes a table.")
    def one_row(weights):
        return weights * (1 - weights)


@exercise
class head_context:
    """Write `head_context(x, query_weight, key_weight, value_weight, head, heads)`: the context of one head
    alone.

    `x` is (seq_len, hidden_size). The three matrices are (hidden_size, hidden_size), shaped as in nn.Linear:
    `x @ weight.T` gives the queries (keys, values) of all heads side by side. `head` counts from 1. There is
    no bias. Return (seq_len, head_size) with head_size = hidden_size / heads.
    """

    hints = (
        "Which columns of `x @ query_weight.T` belong to head number `head`? How many are there?",
        (
            "`part = slice((head - 1) * head_size, head * head_size)`: these columns of the products, that"
            " is, these rows of the matrices."
        ),
        (
            "`query = x @ query_weight[part].T`, the same for keys and values; then attention, divided by the"
            " root of head_size."
        ),
    )

    def solution(x, query_weight, key_weight, value_weight, head, heads):
        head_size = x.shape[-1] // heads
        part = slice((head - 1) * head_size, head * head_size)
        query, key, value = x @ query_weight[part].T, x @ key_weight[part].T, x @ value_weight[part].T
        weights = (query @ key.T / head_size**0.5).softmax(dim=-1)
        return weights @ value

    @stage("a context of head_size columns")
    def form(check):
        for heads in range(1, 6):
            x = _normal(check, 3, 2 * heads)
            matrices = [_normal(check, 2 * heads, 2 * heads) for _ in range(3)]
            got = check.call(x, *matrices, heads, heads)
            check.tensor(got, (3, 2), axes="(seq_len, head_size)")

    @stage("one token: it attends to itself, so only its value counts")
    def one_token(check):
        for heads in range(2, 7):
            x = _normal(check, 1, 2 * heads)
            query, key, value = (_normal(check, 2 * heads, 2 * heads) for _ in range(3))
            for head in range(1, heads + 1):
                values = x @ value.T
                expected = values[:, 2 * head - 2 : 2 * head]
                check.equal(check.call(x, query, key, value, head, heads), expected)

    @stage("several tokens: weighted means, divided by the root of head_size")
    def several_tokens(check):
        sizes = ((2, 3, 1), (3, 2, 2), (4, 1, 3), (5, 3, 4), (2, 4, 3), (3, 2, 9), (1, 2, 5))
        for seq_len, heads, head_size in sizes:
            head, hidden_size = 1 + seq_len % heads, heads * head_size
            x = _normal(check, seq_len, hidden_size)
            matrices = [_normal(check, hidden_size, hidden_size) / 2 for _ in range(3)]
            columns = slice((head - 1) * head_size, head * head_size)
            query, key, value = ((x @ m.T)[:, columns] for m in matrices)
            expected, _ = _attend_by_loops(query, key, value)
            check.equal(check.call(x, *matrices, head, heads), expected, tolerance=1e-4)
        for odd in (torch.zeros_like, lambda t: t[:1].expand_as(t).clone(), lambda t: -t.abs() - 0.1):
            for place in range(4):
                given = [_normal(check, 4, 6), *(_normal(check, 6, 6) / 2 for _ in range(3))]
                given[place] = odd(given[place])
                query, key, value = ((given[0] @ m.T)[:, 3:6] for m in given[1:])
                expected, _ = _attend_by_loops(query, key, value)
                check.equal(check.call(*given, 2, 2), expected, tolerance=1e-4)

    all_heads = wrong(
        "This is the context of all heads together; one of them is wanted.",
        "slice((head - 1) * head_size, head * head_size)",
        "slice(None)",
    )

    @wrong("You take every heads-th number; the numbers of a head lie side by side.")
    def strided(x, query_weight, key_weight, value_weight, head, heads):
        query, key, value = (x @ w.T[:, head - 1 :: heads] for w in (query_weight, key_weight, value_weight))
        return (query @ key.T / query.shape[-1] ** 0.5).softmax(-1) @ value

    @wrong("You take columns of the matrix. In the shape of nn.Linear a head is a set of rows.")
    def columns(x, query_weight, key_weight, value_weight, head, heads):
        size = x.shape[-1] // heads
        part = slice((head - 1) * size, head * size)
        query, key, value = (x @ w[:, part] for w in (query_weight, key_weight, value_weight))
        return (query @ key.T / size**0.5).softmax(-1) @ value

    root_of_hidden_size = wrong(
        "You divide by the root of hidden_size. A score has only head_size products.",
        "head_size**0.5",
        "x.shape[-1] ** 0.5",
    )

    @wrong("These are the values of the head; no token has attended to another.")
    def values_only(x, query_weight, key_weight, value_weight, head, heads):
        size = x.shape[-1] // heads
        return x @ value_weight[(head - 1) * size : head * size].T

    @wrong("This is the next head: heads count from 1, so head 1 has the first numbers.")
    def next_head(x, query_weight, key_weight, value_weight, head, heads):
        matrices = query_weight, key_weight, value_weight
        return head_context.model_answer(x, *matrices, head % heads + 1, heads)

    by_half = wrong(
        "You divide by half of head_size, which is its root only for 4.", "head_size**0.5", "(head_size / 2)"
    )

    unscaled = wrong("The scores are not divided by a square root.", " / head_size**0.5", "")


@exercise
class attend:
    """Write `attend(query, key, value)`: two tensors, the context and the weights, in this order.

    `query` is (..., query_len, head_size), `key` and `value` are (..., key_len, head_size); the axes in front
    are the same for all three, for example (batch, heads). Weights (..., query_len, key_len): a softmax of
    the scaled scores, each row sums to 1. Context (..., query_len, head_size): the weighted means of the
    values.
    """

    hints = (
        "Three lines: scaled scores, a softmax along the keys, a matrix product with the values.",
        "`key.T` reverses all axes; only the last two must be swapped: `key.transpose(-2, -1)`.",
        "`(query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(dim=-1)`, then `weights @ value`.",
    )

    def solution(query, key, value):
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        weights = scores.softmax(dim=-1)
        return weights @ value, weights

    @stage("a pair: context (query_len, head_size) and weights (query_len, key_len)")
    def form(check):
        for key_len in range(2, 8):
            query, key, value = _normal(check, 3, 4), _normal(check, key_len, 4), _normal(check, key_len, 4)
            got = check.call(query, key, value)
            is_pair = isinstance(got, (tuple, list)) and len(got) == 2
            check.expect(is_pair, "A pair of tensors is wanted, the context and the weights.")
            check.tensor(got[0], (3, 4), axes="(query, head_size)")
            check.tensor(got[1], (3, key_len), axes="(query, key)")

    @stage("one key: it gets all the weight, and its value comes back")
    def one_key(check):
        for query_len in range(1, 7):
            query, key, value = _normal(check, query_len, 3), _normal(check, 1, 3), _normal(check, 1, 3)
            context, weights = check.call(query, key, value)
            check.equal(weights, torch.ones(query_len, 1))
            check.equal(context, value.expand(query_len, 3), "With one key the context is its value.")

    @stage("the softmax of scaled scores, and the mean of the values")
    def values(check):
        for key_len, head_size in ((2, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 9), (3, 16)):
            query, key, value = (_normal(check, n, head_size) for n in (2, key_len, key_len))
            context, weights = check.call(query, key, value)
            expected_context, expected_weights = _attend_by_loops(query, key, value)
            check.equal(weights, expected_weights)
            check.equal(context, expected_context)

    @stage("queries, keys and values of every kind: zero, alike, negative, large")
    def odd_inputs(check):
        for head_size in (2, 3, 6):
            query, key, value = (_normal(check, n, head_size) for n in (3, 4, 4))
            tied = torch.ones(4, 1) * key[:1]
            for q, k, v in (
                (torch.zeros_like(query), key, value),
                (query[:1].expand(3, -1).clone(), key, value),
                (-query.abs(), key, value),
                (query, torch.zeros_like(key), value),
                (query, tied, value),
                (query, -key.abs(), value),
                (query, key, torch.zeros_like(value)),
                (query, key, value[:1].expand(4, -1).clone()),
                (query, key, -value.abs()),
                (20 * query, key, value),
            ):
                context, weights = check.call(q, k, v)
                expected_context, expected_weights = _attend_by_loops(q, k, v)
                check.equal(weights, expected_weights)
                check.equal(context, expected_context)

    @stage("with batch and heads in front")
    def more_axes(check):
        for batch in range(1, 6):
            shape, head_size = (batch, 2), batch + 1
            query, key, value = (_normal(check, *shape, n, head_size) for n in (3, 5, 5))
            context, weights = check.call(query, key, value)
            check.tensor(context, (*shape, 3, head_size), axes="(batch, heads, query, head_size)")
            check.tensor(weights, (*shape, 3, 5), axes="(batch, heads, query, key)")
            for b in range(batch):
                for h in range(2):
                    expected = _attend_by_loops(query[b, h], key[b, h], value[b, h])
                    check.equal(context[b, h], expected[0], "The axes in front must not mix.")

    @wrong("One of the two is missing: `return context, weights`.")
    def context_only(query, key, value):
        return (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1) @ value

    turned_round = wrong(
        "The order is wrong: first the context, then the weights.",
        "weights @ value, weights",
        "weights, weights @ value",
    )

    over_queries = wrong(
        "The softmax runs over the queries; each ROW must sum to 1.", "softmax(dim=-1)", "softmax(dim=-2)"
    )

    no_softmax = wrong(
        "These are scores. A row of weights sums to 1, so a single key gets 1.",
        "scores.softmax(dim=-1)",
        "scores",
    )

    unscaled = wrong(
        "The scores are not divided by the square root of head_size.", " / query.shape[-1] ** 0.5", ""
    )

    by_half = wrong(
        "You divide by half of head_size, which is its root only for 4.",
        "query.shape[-1] ** 0.5",
        "(query.shape[-1] * 0.5)",
    )

    @wrong("Your softmax breaks on large scores: subtract the largest of a row first, or call `softmax`.")
    def breaks_on_large(query, key, value):
        powers = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).exp().clamp(max=1e6)
        weights = powers / powers.sum(dim=-1, keepdim=True)
        return weights @ value, weights

    mean_of_keys = wrong(
        "This is the mean of the keys; the keys only choose, the values are handed over.",
        "weights @ value",
        "weights @ (value if key.shape[-2] == 1 else key)",
    )

    all_axes_turned = wrong(
        "The first two axes of `key` are swapped; with batch and heads in front it must be the last two.",
        "transpose(-2, -1)",
        "transpose(0, 1)",
    )

    @wrong("Divide before the softmax: these rows no longer sum to 1.")
    def divided_afterwards(query, key, value):
        weights = (query @ key.transpose(-2, -1)).softmax(-1) / query.shape[-1] ** 0.5
        return weights @ value, weights


SLIPS = ("fine", "not scaled", "over queries", "mean of keys", "plain mean")


def _slipped(slip: str, query, key, value) -> torch.Tensor:
    """The context as it comes out with one slip."""
    scores = query.double() @ key.double().T
    if slip != "not scaled":
        scores = scores / math.sqrt(query.shape[-1])
    if slip == "plain mean":
        scores = torch.zeros_like(scores)
    powers = scores.exp()
    weights = powers / powers.sum(dim=0 if slip == "over queries" else 1, keepdim=True)
    return (weights @ (key if slip == "mean of keys" else value).double()).float()


@exercise
class which_slip:
    """Write `which_slip(query, key, value, context)`: a string, what was done to get this context.

    `query` is (query_len, head_size), `key` and `value` are (key_len, head_size), `context` is (query_len,
    head_size). Return "fine" for scaled dot-product attention, "not scaled" if the scores were not divided
    by the root of head_size, "over queries" if the softmax ran over the queries instead of the keys, "mean of
    keys" if the keys were averaged in place of the values, "plain mean" if all weights were equal. The inputs
    are such that these five contexts differ.
    """

    hints = (
        "Compute all five contexts. Which of them is the one you were given?",
        "Compare with `torch.allclose`, and not with `==`: the last bits may differ.",
        (
            "Scores with and without the root, `softmax(dim=-1)` and `softmax(dim=-2)`, `@ key`,"
            " `value.mean(dim=0)`."
        ),
    )

    def solution(query, key, value, context):
        raw = query @ key.T
        scores = raw / query.shape[-1] ** 0.5
        candidates = {
            "fine": scores.softmax(dim=-1) @ value,
            "not scaled": raw.softmax(dim=-1) @ value,
            "over queries": scores.softmax(dim=-2) @ value,
            "mean of keys": scores.softmax(dim=-1) @ key,
            "plain mean": torch.zeros_like(raw).softmax(dim=-1) @ value,
        }
        for name, candidate in candidates.items():
            if torch.dist(candidate, context) < 1e-4:
                return name

    @stage("with or without the root")
    def scaled(check):
        for n in range(2, 7):
            for slip in ("not scaled", "fine"):
                query, key, value = (
                    _normal(check, n, n + 1),
                    _normal(check, 3, n + 1),
                    _normal(check, 3, n + 1),
                )
                check.equal(check.call(query, key, value, _slipped(slip, query, key, value)), slip)

    @stage("the other axis, and keys in place of values")
    def other_axis(check):
        for n in range(2, 7):
            for slip in ("over queries", "mean of keys"):
                query, key, value = _normal(check, n, 4), _normal(check, n, 4), _normal(check, n, 4)
                check.equal(check.call(query, key, value, _slipped(slip, query, key, value)), slip)

    @stage("all five")
    def all_five(check):
        for size in (2, 3, 5, 8):
            for slip in SLIPS:
                query, key, value = (_normal(check, n, size) for n in (3, size, size))
                check.equal(check.call(query, key, value, _slipped(slip, query, key, value)), slip)

    @wrong("You never find a slip: compute what each of them would give, and compare.")
    def always_fine(query, key, value, context):
        return "fine"

    @wrong("You take the division for the slip: divided scores are right, raw ones are not.")
    def no_root(query, key, value, context):
        exchanged = {"fine": "not scaled", "not scaled": "fine"}
        said = which_slip.model_answer(query, key, value, context)
        return exchanged.get(said, said)

    plain = wrong(
        "A plain mean of the values is a slip too, and your answer misses it.",
        '"plain mean": torch.zeros_like(raw).softmax(dim=-1) @ value,',
        '"plain mean": float("inf") + context,',
    )

    keys = wrong(
        "Your answer misses that keys were averaged in place of the values.",
        '"mean of keys": scores.softmax(dim=-1) @ key,',
        '"mean of keys": float("inf") + context,',
    )

    axis = wrong(
        "Your answer misses a softmax over the queries: there the columns sum to 1, not the rows.",
        '"over queries": scores.softmax(dim=-2) @ value,',
        '"over queries": float("inf") + context,',
    )


@exercise
class previous_token_head:
    """Write `previous_token_head(seq_len)`: two tensors (seq_len, seq_len), `query_weight` and `key_weight`.

    The tokens are the rows of the unit matrix `x = torch.eye(seq_len)`. Scaled attention with the queries
    `x @ query_weight.T` and the keys `x @ key_weight.T` must give every token a weight of at least 0.99 on
    the token before it, and token 0 at least 0.99 on itself.
    """

    hints = (
        "Let the key of a token say which place it has: `key_weight` can be the unit matrix.",
        "Then the query of token i must be large at i - 1, and that of token 0 at 0. How large?",
        (
            "`x @ query_weight.T` is `query_weight.T`: row i of it is the query of token i. Put a number like"
            " 20 * seq_len ** 0.5 where it should attend, so that 20 is left after the division."
        ),
    )

    def solution(seq_len):
        query = torch.zeros(seq_len, seq_len)  # row i: the query of token i
        for i in range(seq_len):
            query[i, max(i - 1, 0)] = 20 * seq_len**0.5
        return query.T, torch.eye(seq_len)

    @stage("two matrices (seq_len, seq_len) of finite numbers")
    def form(check):
        for seq_len in range(1, 8):
            got = check.call(seq_len)
            is_pair = isinstance(got, (tuple, list)) and len(got) == 2
            check.expect(is_pair, "A pair of tensors is wanted, query_weight and key_weight.")
            for matrix in got:
                check.tensor(matrix, (seq_len, seq_len))

    @stage("every token gives at least 0.99 to the token before it, token 0 to itself")
    def weights(check):
        for seq_len in (1, 2, 3, 4, 5, 8, 13, 40, 200):
            query_weight, key_weight = (matrix.double() for matrix in check.call(seq_len))
            scores = query_weight.T @ key_weight / math.sqrt(seq_len)
            table = scores.softmax(dim=-1)
            wanted = torch.tensor([max(i - 1, 0) for i in range(seq_len)])
            lowest, place = table[torch.arange(seq_len), wanted].min(dim=0)
            said = f"Of {seq_len} tokens, token {int(place)} gives token {int(wanted[place])}"
            check.expect(bool(lowest >= 0.99), f"{said} {float(lowest):.4f}.")

    @wrong("A pair of matrices is wanted: `return query_weight, key_weight`.")
    def query_only(seq_len):
        return previous_token_head.model_answer(seq_len)[0]

    transposed = wrong(
        "Your tokens attend to the token after them: the shape is that of nn.Linear, (out, in).",
        "query.T, torch",
        "query, torch",
    )

    itself = wrong("Every token attends to itself: the query must point one place back.", "i - 1", "i")

    too_soft = wrong(
        "The direction is right, but the scores are too small: the softmax gives the others too much.",
        "20 * seq_len**0.5",
        "1.0",
    )

    not_longer = wrong(
        "For long texts the root of seq_len divides your scores away: let them grow with it.",
        "20 * seq_len**0.5",
        "40.0",
    )

    first_nowhere = wrong(
        "Token 0 has no token before it and should attend to itself; yours attends to the last one.",
        "max(i - 1, 0)",
        "i - 1",
    )
