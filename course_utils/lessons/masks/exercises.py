"""Exercises of notebook 05: design masks, find one by experiment, and see how far a layer reaches.

One convention, as everywhere in the course: True means "may attend", rows are queries (the tokens that
attend), columns are keys (the tokens attended to).
"""

import torch

from course_utils.classroom.engine import exercise, stage, wrong


def _any_mask(check, seq_len: int, share: float = 0.4) -> torch.Tensor:
    """(seq_len, seq_len) bool, drawn at random; rows may be empty, and the diagonal is not special."""
    return torch.rand(seq_len, seq_len, generator=check.generator) < share


def _full_rows(mask: torch.Tensor) -> torch.Tensor:
    """The same mask; a row that is empty may attend to the next token (round the end)."""
    size = len(mask)
    empty = ~mask.any(dim=1)
    return mask | (empty[:, None] & torch.eye(size, dtype=torch.bool).roll(1, dims=1))


def _reached(mask: torch.Tensor, layers: int) -> torch.Tensor:
    """The truth to compare with: what each token knows, as a set, layer by layer."""
    knows = [{i} for i in range(len(mask))]
    for _ in range(layers):
        knows = [
            knows[i].union(*(knows[k] for k in range(len(mask)) if mask[i, k])) for i in range(len(mask))
        ]
    return torch.tensor([[j in known for j in range(len(mask))] for known in knows])


class HiddenMask:
    """Attention under a mask that nobody sees: call it with query, key and value."""

    def __init__(self, mask: torch.Tensor):
        self._mask = mask

    def __repr__(self) -> str:
        return f"<attention under a hidden mask of {len(self._mask)} tokens>"

    def __call__(self, query, key, value) -> torch.Tensor:
        scores = query @ key.T / query.shape[-1] ** 0.5
        return scores.masked_fill(~self._mask, float("-inf")).softmax(dim=-1) @ value


@exercise
class causal_mask:
    """Write `causal_mask(seq_len)`: a bool tensor (seq_len, seq_len), True where token i may attend to
    token j.

    Token i may attend to itself and to everything before it.
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

    @wrong("Rows and columns are swapped: this lets a token attend to itself and everything after it.")
    def transposed(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).triu()

    @wrong("A token may attend to itself: the diagonal belongs to the mask.")
    def no_diagonal(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).tril(-1)

    @wrong("This is the forbidden part: True means may attend.")
    def inverted(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).triu(1)

    @wrong("This lets every token attend to the one after it.")
    def one_too_far(seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).tril(1)

    @wrong("Ones and zeros are no mask yet: `dtype=torch.bool` makes True and False of them.")
    def floats(seq_len):
        return torch.ones(seq_len, seq_len).tril()


@exercise
class find_mask:
    """Write `find_mask(attend, seq_len)`: a bool tensor (seq_len, seq_len), the mask inside `attend`.

    `attend(query, key, value)` is attention under a mask that you cannot see. It takes three float tensors
    (seq_len, any number of columns) and returns the context, (seq_len, columns of value). No row of the mask
    is empty. Choose the inputs so that the context tells you the mask.
    """

    hints = (
        "With queries and keys of zeros all scores are equal. What is a token's context then?",
        "It is the mean of the values that it may attend to. Which values tell you which those were?",
        "Give token j the value that is 1 at j and 0 elsewhere: `torch.eye(seq_len)`.",
    )

    def solution(attend, seq_len):
        zeros = torch.zeros(seq_len, 1)
        return attend(zeros, zeros, torch.eye(seq_len)) > 0

    @stage("one row for each query, one column for each key, True or False in each cell")
    def form(check):
        for seq_len in range(1, 7):
            attend = HiddenMask(torch.ones(seq_len, seq_len, dtype=torch.bool))
            check.tensor(check.call(attend, seq_len), (seq_len, seq_len), torch.bool, axes="(query, key)")

    @stage("masks that you know, and any other")
    def values(check):
        for seq_len in range(2, 7):
            everything = torch.ones(seq_len, seq_len, dtype=torch.bool)
            for mask in (everything, everything.tril(), torch.eye(seq_len, dtype=torch.bool)):
                check.equal(check.call(HiddenMask(mask), seq_len), mask)
        for seq_len in (2, 3, 4, 5, 8, 12, 40):
            for share in (0.1, 0.4, 0.8):
                mask = _full_rows(_any_mask(check, seq_len, share))
                check.equal(check.call(HiddenMask(mask), seq_len), mask)

    @wrong("Rows and columns are swapped: the context of token i is ROW i.")
    def transposed(attend, seq_len):
        return find_mask.model_answer(attend, seq_len).T

    @wrong("You have not asked: this is the triangle, whatever the mask is.")
    def triangle(attend, seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).tril()

    half = wrong(
        "A token that attends to three others gives each a third: everything above 0 is allowed.",
        "> 0",
        "> 0.4",
    )

    inverted = wrong("This is True where attending is forbidden.", "> 0", "== 0")

    floats = wrong("These are the weights; the mask is where they are above 0.", " > 0", "")


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
            "Token i knows token j after a layer if some token k that i may attend to (or i itself) knew j"
            " before it."
        ),
        "That is a matrix product of 0/1 matrices: `(reads.float() @ knows.float()) > 0`, once a layer.",
    )

    def solution(mask, layers):
        knows = torch.eye(len(mask), dtype=torch.bool)
        reads = (mask | knows).float()
        for _ in range(layers):
            knows = (reads @ knows.float()) > 0
        return knows

    @stage("no layer: every token knows itself")
    def no_layer(check):
        for seq_len in range(1, 6):
            mask = _any_mask(check, seq_len)
            identity = torch.eye(seq_len, dtype=torch.bool)
            check.equal(check.call(mask, 0), identity)

    @stage("one layer: what it may attend to, and itself")
    def one_layer(check):
        for seq_len in range(2, 7):
            mask = _any_mask(check, seq_len)
            mask[0, 0] = False  # the residual keeps what a token had, even if it may not attend to itself
            check.equal(check.call(mask, 1), _reached(mask, 1))

    @stage("many layers: what others had read comes along, and nothing is forgotten")
    def many_layers(check):
        for seq_len in range(3, 8):
            band = torch.ones(seq_len, seq_len, dtype=torch.bool).tril().triu(-1)  # itself and the one before
            ring = torch.eye(seq_len, dtype=torch.bool).roll(1, dims=1)  # the next one, and not itself
            sparse = _any_mask(check, seq_len, 1.2 / seq_len)
            for mask in (band, ring, sparse, torch.zeros_like(band)):
                for layers in (2, 3, seq_len):
                    check.equal(check.call(mask, layers), _reached(mask, layers))

    @wrong("With 0 layers no token has attended to another yet.")
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

    @wrong("This is what one layer gives, however many there are: a second layer reaches further.")
    def one_layer_only(mask, layers):
        identity = torch.eye(len(mask), dtype=torch.bool)
        return mask | identity if layers else identity

    @wrong("After the first layer your tokens forget: in every layer a token keeps what it had.")
    def residual_once(mask, layers):
        identity = torch.eye(len(mask), dtype=torch.bool)
        knows = identity if layers == 0 else mask | identity
        for _ in range(layers - 1):
            knows = (mask.float() @ knows.float()) > 0
        return knows


@exercise
class packing_mask:
    """Write `packing_mask(text_of)`: a bool tensor (seq_len, seq_len) for several texts packed into one row.

    `text_of` is a list with the number of the text that each token belongs to, such as [0, 0, 0, 1, 1]. Every
    text is read as if it were alone, from left to right: token i may attend to token j if both belong to the
    same text and j does not come after i.
    """

    hints = (
        "Two rules must hold at once. One of them you know. When do two tokens belong to the same text?",
        "`text = torch.tensor(text_of)`; a column compared with a row, `text[:, None] == text`, is a table.",
        "`(text[:, None] == text)` and the triangle, joined by `&`.",
    )

    def solution(text_of):
        text = torch.tensor(text_of)
        return (text[:, None] == text).tril()

    @stage("one row for each query, one column for each key, True or False in each cell")
    def form(check):
        for seq_len in range(1, 8):
            check.tensor(check.call([0] * seq_len), (seq_len, seq_len), torch.bool, axes="(query, key)")

    @stage("one text alone: the triangle")
    def one_text(check):
        for seq_len in range(2, 8):
            expected = torch.tensor([[j <= i for j in range(seq_len)] for i in range(seq_len)])
            check.equal(check.call([7] * seq_len), expected)

    @stage("several texts: none attends to the others")
    def several_texts(check):
        rows = ([0, 0, 0, 1, 1], [0, 1], [0, 1, 1, 1], [0, 1, 2, 3], [2, 2, 0, 0, 1], [0, 0, 1, 1, 1, 2])
        for text_of in rows:
            places = range(len(text_of))
            expected = [[j <= i and text_of[j] == text_of[i] for j in places] for i in places]
            check.equal(check.call(text_of), torch.tensor(expected))

    both_ways = wrong(
        "Inside a text this reads to the right as well: the triangle is missing.", ".tril()", ""
    )

    @wrong("The second text attends to the first: compare the numbers of the texts.")
    def triangle_only(text_of):
        return torch.ones(len(text_of), len(text_of), dtype=torch.bool).tril()

    upper = wrong("This lets a token attend to what comes after it.", ".tril()", ".triu()")

    no_diagonal = wrong("A token may attend to itself.", ".tril()", ".tril(-1)")

    other_texts = wrong("This allows the other texts and forbids its own.", "==", "!=")

    floats = wrong(
        "Ones and zeros are no mask yet: leave the comparison as it is, True and False.",
        ".tril()",
        ".float().tril()",
    )


@exercise
class prefix_mask:
    """Write `prefix_mask(prefix, seq_len)`: a bool tensor (seq_len, seq_len).

    The first `prefix` tokens are a source that is read both ways: each of them may attend to all of
    them. The tokens after them are written one by one: each may attend to the whole prefix, to what comes
    before it, and to itself. `prefix` lies between 0 and seq_len.
    """

    hints = (
        "Write the table for prefix = 2 and seq_len = 4 on paper. Which cells are added to the triangle?",
        "The columns of the prefix are allowed in every row.",
        "`mask = torch.ones(seq_len, seq_len, dtype=torch.bool).tril()`, then `mask[:, :prefix] = True`.",
    )

    def solution(prefix, seq_len):
        mask = torch.ones(seq_len, seq_len, dtype=torch.bool).tril()
        mask[:, :prefix] = True
        return mask

    @stage("one row for each query, one column for each key, True or False in each cell")
    def form(check):
        for seq_len in range(1, 8):
            mask = check.call(seq_len // 2, seq_len)
            check.tensor(mask, (seq_len, seq_len), torch.bool, axes="(query, key)")

    @stage("the prefix both ways, the rest from left to right")
    def values(check):
        for seq_len in range(1, 7):
            for prefix in range(seq_len + 1):
                places = range(seq_len)
                expected = [[j < prefix or j <= i for j in places] for i in places]
                check.equal(check.call(prefix, seq_len), torch.tensor(expected))

    @wrong("This is the plain triangle: inside the prefix, tokens may attend to the right too.")
    def causal(prefix, seq_len):
        return torch.ones(seq_len, seq_len, dtype=torch.bool).tril()

    rows = wrong(
        "You have opened the rows of the prefix: it would read what is still to be written.",
        "mask[:, :prefix]",
        "mask[:prefix, :]",
    )

    @wrong("Here the prefix attends to itself, but the later tokens cannot attend to it.")
    def two_blocks(prefix, seq_len):
        mask = torch.ones(seq_len, seq_len, dtype=torch.bool).tril()
        mask[:prefix, :prefix] = True
        mask[prefix:, :prefix] = False
        return mask

    one_too_many = wrong(
        "One column too many: with prefix = 2 the prefix is tokens 0 and 1.",
        "[:, :prefix]",
        "[:, : prefix + 1]",
    )

    upper = wrong("After the prefix this reads to the right, not to the left.", ".tril()", ".triu()")

    floats = wrong(
        "Ones and zeros are no mask yet: `dtype=torch.bool` makes True and False of them.",
        "dtype=torch.bool",
        "dtype=torch.float32",
    )
