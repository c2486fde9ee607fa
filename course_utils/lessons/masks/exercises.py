"""Exercises of notebook 05: build the masks, apply them, and see how far a look reaches.

One convention, as everywhere in the course: True means "may look", rows are queries (who looks), columns are
keys (who is looked at).
"""

import torch

from course_utils.classroom.engine import exercise, stage, wrong


def _random_mask(check, seq_len: int) -> torch.Tensor:
    """(seq_len, seq_len) bool, with at least one True in each row."""
    mask = torch.rand(seq_len, seq_len, generator=check.generator) < 0.5
    return mask | torch.eye(seq_len, dtype=torch.bool)


def _mixed_mask(check, seq_len: int) -> torch.Tensor:
    """(seq_len, seq_len) bool, with a True and a False in each row and each column, and not its own mirror
    image.
    """
    while True:
        mask = torch.rand(seq_len, seq_len, generator=check.generator) < 0.5
        mixed = all(part.any(axis).all() for part in (mask, ~mask) for axis in (0, 1))
        if mixed and not torch.equal(mask, mask.T):
            return mask


def _softmax_over_allowed(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The truth to compare with: row by row, a softmax of the allowed scores alone."""
    weights = torch.zeros_like(scores)
    for i, row in enumerate(mask):
        weights[i, row] = scores[i, row].softmax(0)
    return weights


@exercise
class causal_mask:
    """Write `causal_mask(seq_len)`: a bool tensor (seq_len, seq_len), True where token i may look at token j.

    Token i may look at itself and at everything before it.
    """

    hints = (
        "For seq_len = 3 the rows are: True False False, then True True False, then True True True.",
        (
            "`torch.ones(seq_len, seq_len, dtype=torch.bool)` allows everything; one method keeps a lower"
            " triangle."
        ),
        "That method is `.tril()`.",
    )

    def solution(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).tril()

    @stage("one row for each query, one column for each key, True or False in each cell")
    def form(check):
        for seq_len in range(1, 8):
            check.tensor(check.call(seq_len), (seq_len, seq_len), torch.bool, axes="(query, key)")

    @stage("True exactly where the key does not come after the query")
    def values(check):
        for seq_len in range(2, 12):
            everything = torch.ones(seq_len, seq_len, dtype=torch.bool)
            check.equal(check.call(seq_len), everything.tril())

    @wrong("Rows and columns are swapped: this lets a token look at itself and everything after it.")
    def transposed(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).triu()

    @wrong("A token may look at itself: the diagonal belongs to the mask.")
    def no_diagonal(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).tril(-1)

    @wrong("This is the forbidden part: True means may look.")
    def inverted(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).triu(1)

    @wrong("This looks one token into the future.")
    def one_too_far(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).tril(1)

    @wrong("Ones and zeros are no mask yet: `dtype=torch.bool` makes True and False of them.")
    def floats(seq_len):
        return torch.ones(seq_len, seq_len).tril()


@exercise
class padding_mask:
    """Write `padding_mask(lengths, seq_len)`: a bool tensor (batch, seq_len), True at real tokens.

    `lengths` is a list: row b of the batch has lengths[b] real tokens, and padding behind them.
    """

    hints = (
        "`torch.arange(seq_len)` numbers the positions. When is position j of row b a real token?",
        (
            "Compare the positions (seq_len,) with the lengths as a column (batch, 1): they broadcast to"
            " (batch, seq_len)."
        ),
        "`torch.tensor(lengths)[:, None]` is that column. Position `length` itself is already padding.",
    )

    def solution(lengths, seq_len):
        return torch.arange(seq_len) < torch.tensor(lengths)[:, None]

    @stage("one row for each sentence, one column for each position")
    def form(check):
        for batch in range(1, 7):
            seq_len = batch + 3
            lengths = check.rng.integers(1, seq_len + 1, size=batch).tolist()
            check.tensor(check.call(lengths, seq_len), (batch, seq_len), torch.bool, axes="(batch, key)")

    @stage("True for the first lengths[b] positions of row b")
    def values(check):
        for batch in range(1, 6):
            for seq_len in range(3, 9):
                lengths = check.rng.integers(1, seq_len + 1, size=batch).tolist()
                lengths[0] = 1
                expected = torch.tensor([[j < length for j in range(seq_len)] for length in lengths])
                check.equal(check.call(lengths, seq_len), expected)

    @wrong("One position too many: with 1 real token only position 0 is real.")
    def off_by_one(lengths, seq_len):
        return torch.arange(seq_len) <= torch.tensor(lengths)[:, None]

    @wrong("This is True at the padding; True means may be looked at.")
    def inverted(lengths, seq_len):
        return torch.arange(seq_len) >= torch.tensor(lengths)[:, None]

    @wrong("The padding stands behind the real tokens, not before them.")
    def left_padding(lengths, seq_len):
        return (torch.arange(seq_len) < torch.tensor(lengths)[:, None]).flip(1)

    one_row = wrong(
        "This is one row for all sentences; each of them has a length of its own.",
        "torch.tensor(lengths)[:, None]",
        "max(lengths)",
    )


@exercise
class masked_weights:
    """Write `masked_weights(scores, mask)`: attention weights (seq_len, seq_len) that respect the mask.

    `scores` is a float tensor (seq_len, seq_len), `mask` a bool tensor of the same shape with at least one
    True in each row. Every row of the result sums to 1 and is 0 where the mask is False.
    """

    hints = (
        (
            "Which number has e to the power of it equal to 0? Put it where the mask is False, before the"
            " softmax."
        ),
        '`scores.masked_fill(~mask, float("-inf"))` leaves the input as it is and returns the changed copy.',
        "The softmax runs along the keys: the last axis, `dim=-1`.",
    )

    def solution(scores, mask):
        return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)

    @stage("the allowed tokens get all the weight, and the forbidden ones exactly 0")
    def who_gets_weight(check):
        for seq_len in range(3, 8):
            for _ in range(4):
                scores = torch.randn(seq_len, seq_len, generator=check.generator).round(decimals=1)
                mask = _mixed_mask(check, seq_len)
                got = check.call(scores, mask)
                if got[~mask].abs().max() > 0:
                    leak = "Where the mask is False there is weight left."
                    check.equal(got, _softmax_over_allowed(scores, mask), leak)

    @stage("rows that still sum to 1, shared out as the allowed scores say")
    def values(check):
        for seq_len in range(2, 7):
            for _ in range(4):
                scores = torch.randn(seq_len, seq_len, generator=check.generator).round(decimals=1)
                mask = _random_mask(check, seq_len)
                check.equal(check.call(scores, mask), _softmax_over_allowed(scores, mask))

    @wrong("The rows no longer sum to 1: you masked after the softmax.")
    def after_softmax(scores, mask):
        return scores.softmax(dim=-1) * mask

    @wrong("This softmax runs down the columns: the keys are the last axis.")
    def wrong_axis(scores, mask):
        return scores.masked_fill(~mask, float("-inf")).softmax(dim=0)

    @wrong("You have forbidden what is allowed: True means may look.")
    def inverted(scores, mask):
        return scores.masked_fill(mask, float("-inf")).softmax(dim=-1)

    transposed = wrong(
        "Rows and columns of the mask are swapped: ROW i says what token i may look at.",
        "~mask",
        "~mask.T",
    )

    @wrong(
        "A score of 0 is a score like any other, and e to the power of 0 is 1: a forbidden token gets weight."
    )
    def zero_scores(scores, mask):
        return (scores * mask).softmax(dim=-1)

    in_place = wrong(
        (
            "The scores that were handed over are overwritten: `masked_fill` without the last underscore"
            " makes a copy."
        ),
        "masked_fill",
        "masked_fill_",
    )

    @wrong("Among the allowed tokens the shares are not those of a softmax.")
    def uniform(scores, mask):
        return mask / mask.sum(-1, keepdim=True)

    inverted_and_transposed = wrong(
        "The mask is swapped and turned round: use `~mask`, without `.T`.", "~mask", "mask.T"
    )


@exercise
class combine:
    """Write `combine(mask, padding)`: one mask (batch, seq_len, seq_len) that obeys both rules.

    `mask` (seq_len, seq_len) says who may look at whom, `padding` (batch, seq_len) is True at real tokens. A
    look is allowed only where both allow it. Padding is about the token that is looked at.
    """

    hints = (
        "Both rules must hold: which operator joins two bool tensors cell by cell?",
        (
            "Padding has one value a key. Give it an axis of length 1 in the place of the queries, so that it"
            " broadcasts."
        ),
        "`padding[:, None, :]` has the shape (batch, 1, seq_len).",
    )

    def solution(mask, padding):
        return mask & padding[:, None, :]

    @stage("one mask for each row of the batch")
    def form(check):
        for batch, seq_len in ((2, 3), (3, 4), (3, 5), (4, 2), (1, 3)):
            mask = torch.ones(seq_len, seq_len, dtype=torch.bool).tril()
            padding = torch.ones(batch, seq_len, dtype=torch.bool)
            shape = (batch, seq_len, seq_len)
            check.tensor(check.call(mask, padding), shape, torch.bool, axes="(batch, query, key)")

    @stage("a look is allowed where both masks allow it")
    def values(check):
        for batch, seq_len in ((2, 3), (3, 5), (5, 4), (1, 3)):
            for _ in range(3):
                mask = _random_mask(check, seq_len)
                lengths = torch.randint(1, seq_len, (batch,), generator=check.generator)
                padding = torch.arange(seq_len) < lengths[:, None]
                check.equal(check.call(mask, padding), mask & padding[:, None, :])

    @wrong("Either rule alone lets a look through here; both must allow it.")
    def either(mask, padding):
        return mask | padding[:, None, :]

    along_queries = wrong(
        "Padding was laid along the queries. It is about who is looked at: the keys.",
        "[:, None, :]",
        "[:, :, None]",
    )

    @wrong("The rule of `mask` is lost; only the padding counts here.")
    def padding_only(mask, padding):
        batch, seq_len = padding.shape
        return padding[:, None, :].expand(batch, seq_len, seq_len)

    one_mask = wrong("The padding of the first row is used for the whole batch.", "[:, None, :]", "[0]")

    @wrong("Padding rows may look too: only the keys that are padding are forbidden.")
    def both_ways(mask, padding):
        return mask & padding[:, None, :] & padding[:, :, None]


@exercise
class reach:
    """Write `reach(mask, layers)`: a bool tensor (seq_len, seq_len), True where token j can influence token i
    after that many layers.

    In every layer token i reads the tokens that `mask` allows, and keeps what it had (the residual
    connection). So after two layers it also holds what those tokens had read. 0 layers: every token knows
    itself alone.
    """

    hints = (
        "Begin with the identity: every token knows itself. What does one layer add?",
        (
            "Token i knows token j after a layer if some token k that i may look at (or i itself) knew j"
            " before it."
        ),
        "That is a matrix product of 0/1 matrices: `(may_look.float() @ knows.float()) > 0`, once a layer.",
    )

    def solution(mask, layers):
        knows = torch.eye(len(mask), dtype=torch.bool)
        may_look = (mask | knows).float()
        for _ in range(layers):
            knows = (may_look @ knows.float()) > 0
        return knows

    @stage("no layer: every token knows itself")
    def no_layer(check):
        for seq_len in range(1, 6):
            mask = _random_mask(check, seq_len)
            identity = torch.eye(seq_len, dtype=torch.bool)
            check.equal(check.call(mask, 0), identity)

    @stage("one layer: whom it may look at, and itself")
    def one_layer(check):
        for seq_len in range(2, 7):
            mask = torch.rand(seq_len, seq_len, generator=check.generator) < 0.4
            mask[0, 0] = False  # the residual keeps what a token had, even if it may not look at itself
            expected = mask | torch.eye(seq_len, dtype=torch.bool)
            check.equal(check.call(mask, 1), expected)

    @stage("many layers: what others had read comes along")
    def many_layers(check):
        for seq_len in range(3, 8):
            band = torch.ones(seq_len, seq_len, dtype=torch.bool).tril().triu(-1)  # itself and the one before
            for layers in range(2, seq_len):
                expected = torch.ones(seq_len, seq_len, dtype=torch.bool).tril().triu(-layers)
                check.equal(check.call(band, layers), expected)

    @wrong("With 0 layers nobody has looked at anybody yet.")
    def mask_itself(mask, layers):
        return mask.clone()

    no_residual = wrong(
        "What a token had is lost: a token keeps what it knew, so add itself.", "(mask | knows)", "mask"
    )

    transposed = wrong(
        "Rows and columns are swapped: token i reads the tokens in ROW i.",
        "(mask | knows)",
        "(mask.T | knows)",
    )

    @wrong("This is what one layer gives: looks do not add up over the layers.")
    def one_layer_only(mask, layers):
        identity = torch.eye(len(mask), dtype=torch.bool)
        return mask | identity if layers else identity
