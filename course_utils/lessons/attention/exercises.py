"""Exercises of notebook 04: scores, attention, one head cut out of many, the slopes of a softmax, and the
bill.

Rows are the tokens that look (queries), columns the tokens looked at (keys).
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
class scaled_scores:
    """Write `scaled_scores(query, key)`: the scores (query_len, key_len), before any softmax.

    `query` is (query_len, head_size), `key` is (key_len, head_size). Entry (i, j) is the dot product of query
    i and key j, divided by the square root of head_size.
    """

    hints = (
        "All dot products at once are one matrix product. Which of the two must be transposed?",
        "`query @ key.T` has the shape (query_len, key_len). By what is it divided?",
        "head_size is the number of columns: `query.shape[-1]`; `math.sqrt` or `** 0.5` takes its root.",
    )

    def solution(query, key):
        return query @ key.T / query.shape[-1] ** 0.5

    @stage("one row for each query, one column for each key")
    def form(check):
        for query_len in range(1, 7):
            query, key = _normal(check, query_len, 2), _normal(check, query_len + 1, 2)
            check.tensor(check.call(query, key), (query_len, query_len + 1), axes="(query, key)")

    @stage("dot products: with one component there is nothing to divide by")
    def products(check):
        for length in range(2, 8):
            query, key = _normal(check, length, 1), _normal(check, length + 1, 1)
            expected = _scores_by_loops(query, key)
            check.equal(check.call(query, key), expected)

    @stage("divided by the square root of head_size")
    def scale(check):
        for head_size in range(2, 8):
            query, key = _normal(check, 2, head_size), _normal(check, 5, head_size)
            expected = _scores_by_loops(query, key)
            check.equal(check.call(query, key), expected)

    unscaled = wrong(
        "The dot products are right, and the division is missing.", " / query.shape[-1] ** 0.5", ""
    )

    by_head_size = wrong("You divide by head_size; its square root is wanted.", " ** 0.5", "")

    @wrong("You divide by the root of the number of keys. The scores spread with the number of components.")
    def by_key_len(query, key):
        scores = query @ key.T
        return scores / len(key) ** 0.5 if query.shape[-1] > 1 else scores

    transposed = wrong(
        "Rows and columns are swapped: the queries make the rows, the keys the columns.",
        "query @ key",
        "key @ query",
    )

    @wrong("These are already weights: the softmax comes later.")
    def weights(query, key):
        return (query @ key.T / query.shape[-1] ** 0.5).softmax(-1)

    @wrong("You multiply by the square root; divide by it.")
    def multiplied(query, key):
        return query @ key.T * query.shape[-1] ** 0.5


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
        "`key.T` turns all axes round; only the last two shall swap: `key.transpose(-2, -1)`.",
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
        for key_len in range(2, 7):
            query, key, value = _normal(check, 2, 4), _normal(check, key_len, 4), _normal(check, key_len, 4)
            context, weights = check.call(query, key, value)
            expected_context, expected_weights = _attend_by_loops(query, key, value)
            check.equal(weights, expected_weights)
            check.equal(context, expected_context)

    @stage("with batch and heads in front")
    def more_axes(check):
        for batch in range(1, 6):
            shape = (batch, 2)
            query, key, value = (
                _normal(check, *shape, 3, 4),
                _normal(check, *shape, 5, 4),
                _normal(check, *shape, 5, 4),
            )
            context, weights = check.call(query, key, value)
            check.tensor(context, (*shape, 3, 4), axes="(batch, heads, query, head_size)")
            check.tensor(weights, (*shape, 3, 5), axes="(batch, heads, query, key)")
            for b in range(batch):
                for h in range(2):
                    expected = _attend_by_loops(query[b, h], key[b, h], value[b, h])
                    check.equal(context[b, h], expected[0], "In front stand axes that must not mix.")

    @wrong("One of the two is missing: `return context, weights`.")
    def context_only(query, key, value):
        return (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1) @ value

    turned_round = wrong(
        "The order is turned round: first the context, then the weights.",
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


@exercise
class head_context:
    """Write `head_context(x, query_weight, key_weight, value_weight, head, heads)`: the context of one head
    alone.

    `x` is (seq_len, hidden_size). The three matrices are (hidden_size, hidden_size), shaped as in nn.Linear:
    `x @ weight.T` gives the queries (keys, values) of all heads side by side. `head` counts from 0. There is
    no bias. Return (seq_len, head_size) with head_size = hidden_size / heads.
    """

    hints = (
        "Which columns of `x @ query_weight.T` belong to head number `head`? How many are there?",
        (
            "`part = slice(head * head_size, (head + 1) * head_size)`: these columns of the products, that"
            " is, these rows of the matrices."
        ),
        (
            "`query = x @ query_weight[part].T`, the same for keys and values; then attention, divided by the"
            " root of head_size."
        ),
    )

    def solution(x, query_weight, key_weight, value_weight, head, heads):
        head_size = x.shape[-1] // heads
        part = slice(head * head_size, (head + 1) * head_size)
        query, key, value = x @ query_weight[part].T, x @ key_weight[part].T, x @ value_weight[part].T
        weights = (query @ key.T / head_size**0.5).softmax(dim=-1)
        return weights @ value

    @stage("a context of head_size columns")
    def form(check):
        for heads in range(1, 6):
            x = _normal(check, 3, 2 * heads)
            matrices = [_normal(check, 2 * heads, 2 * heads) for _ in range(3)]
            got = check.call(x, *matrices, heads - 1, heads)
            check.tensor(got, (3, 2), axes="(seq_len, head_size)")

    @stage("one token: it looks at itself, so only its value counts")
    def one_token(check):
        for heads in range(2, 7):
            x = _normal(check, 1, 2 * heads)
            query, key, value = (_normal(check, 2 * heads, 2 * heads) for _ in range(3))
            for head in range(heads):
                values = x @ value.T
                expected = values[:, 2 * head : 2 * head + 2]
                check.equal(check.call(x, query, key, value, head, heads), expected)

    @stage("several tokens: weighted means, divided by the root of head_size")
    def several_tokens(check):
        for seq_len in range(2, 7):
            heads, head = 3, seq_len % 3
            x = _normal(check, seq_len, 12)
            matrices = [_normal(check, 12, 12) / 2 for _ in range(3)]
            query, key, value = ((x @ m.T)[:, 4 * head : 4 * head + 4] for m in matrices)
            expected, _ = _attend_by_loops(query, key, value)
            check.equal(check.call(x, *matrices, head, heads), expected, tolerance=1e-4)

    all_heads = wrong(
        "This is the context of all heads together; one of them is wanted.",
        "slice(head * head_size, (head + 1) * head_size)",
        "slice(None)",
    )

    @wrong("You take every heads-th number; the numbers of a head stand side by side.")
    def strided(x, query_weight, key_weight, value_weight, head, heads):
        query, key, value = (x @ w.T[:, head::heads] for w in (query_weight, key_weight, value_weight))
        return (query @ key.T / query.shape[-1] ** 0.5).softmax(-1) @ value

    @wrong("You take columns of the matrix. In the shape of nn.Linear a head is a set of rows.")
    def columns(x, query_weight, key_weight, value_weight, head, heads):
        size = x.shape[-1] // heads
        part = slice(head * size, (head + 1) * size)
        query, key, value = (x @ w[:, part] for w in (query_weight, key_weight, value_weight))
        return (query @ key.T / size**0.5).softmax(-1) @ value

    root_of_hidden_size = wrong(
        "You divide by the root of hidden_size. A score has only head_size products.",
        "head_size**0.5",
        "x.shape[-1] ** 0.5",
    )

    @wrong("These are the values of the head; nobody has looked at anybody.")
    def values_only(x, query_weight, key_weight, value_weight, head, heads):
        size = x.shape[-1] // heads
        return x @ value_weight[head * size : (head + 1) * size].T

    @wrong("This is the next head: count from 0.")
    def next_head(x, query_weight, key_weight, value_weight, head, heads):
        matrices = query_weight, key_weight, value_weight
        return head_context.model_answer(x, *matrices, (head + 1) % heads, heads)

    unscaled = wrong("The scores are not divided by a square root.", " / head_size**0.5", "")


@exercise
class softmax_slopes:
    """Write `softmax_slopes(weights)`: a float tensor (n, n).

    `weights` (n,) is the result of a softmax. Entry (i, j) says how much weight i rises for a small rise of
    score j: w_i (1 - w_i) where i = j, and - w_i w_j elsewhere.
    """

    hints = (
        "Off the diagonal every pair of weights is multiplied: an outer product.",
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
            check.tensor(
                check.call(_normal(check, n).softmax(0)), (n, n), torch.float32, axes="(weight, score)"
            )

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

    weights_themselves = wrong(
        "On the diagonal stands the weight itself; it must be multiplied by what is left, 1 - w.",
        " - torch.outer(weights, weights)",
        "",
    )

    @wrong("The signs are turned round: a rising score makes its own weight rise.")
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
class attention_multiplications:
    """Write `attention_multiplications(seq_len, hidden_size, heads)`: a whole number.

    It counts the multiplications in the scores (query times key) and in the weighted means (weight times
    value) of one layer, all heads together. The Linear layers, the division by the square root and the
    softmax do not count.
    """

    hints = (
        "One head: how many scores are there, and how many multiplications does one score take?",
        (
            "A score takes head_size of them, and the weighted means as many again: 2 * seq_len**2 *"
            " head_size for one head."
        ),
        "All heads: heads * head_size is hidden_size.",
    )

    def solution(seq_len, hidden_size, heads):
        return 2 * seq_len**2 * hidden_size

    @stage("one head")
    def one_head(check):
        for seq_len in range(3, 9):
            scores = sum(1 for _ in range(seq_len) for _ in range(seq_len) for _ in range(5))
            check.equal(check.call(seq_len, 5, 1), 2 * scores)

    @stage("several heads share hidden_size")
    def several_heads(check):
        for heads in range(2, 8):
            for seq_len in (2, 3):
                expected = sum(2 * 5 for _ in range(heads) for _ in range(seq_len) for _ in range(seq_len))
                check.equal(check.call(seq_len, 5 * heads, heads), expected)

    scores_only = wrong(
        "This counts the scores alone; the weighted means of the values cost as much again.",
        "2 * seq_len",
        "seq_len",
    )

    @wrong("This grows with the tokens, not with their square: every token looks at every token.")
    def linear(seq_len, hidden_size, heads):
        return 2 * seq_len * hidden_size

    flops = wrong("These are floating-point operations, two for each multiplication.", "return 2", "return 4")

    heads_too_dear = wrong(
        "More heads are narrower heads: they do not multiply the bill.", "seq_len**", "heads * seq_len**"
    )

    one_of_several = wrong(
        "This is one head of several; count them all.", "* hidden_size", "* hidden_size // heads"
    )
