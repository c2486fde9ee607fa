"""Exercises of notebook 16: turn, count, keep apart, fill rows, and find the slip in an attention not yours.

Shapes as everywhere in the course: queries, keys and values of one head are (seq_len, head_size), the weight
of a Linear layer is (out_features, in_features), a mask is True where a query (row) may attend to a key
(column).
"""

import math

import torch
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong


def _rows_to_halves(heads: int, head_size: int) -> list[int]:
    """The truth to compare with, number by number: which old row stands at each new place."""
    order = []
    for head in range(heads):
        firsts = [head * head_size + i for i in range(head_size) if i % 2 == 0]
        seconds = [head * head_size + i for i in range(head_size) if i % 2 == 1]
        order += firsts + seconds
    return order


@exercise
class to_halves:
    """Write `to_halves(weight, heads)`: a checkpoint that pairs neighbours, for code that pairs halves.

    `weight` (hidden_size, in_features) makes the queries, or the keys, of `heads` heads, one head after the
    other. It was trained with rotary positions in which the numbers 2k and 2k + 1 of a head are a pair.
    Return the weight, with its rows in another order, that gives the same attention where the numbers k and
    head_size / 2 + k are a pair. head_size is even.
    """

    hints = (
        "Take one head of six numbers, 0 to 5. The pairs are (0, 1), (2, 3), (4, 5). Where must each go?",
        "The new order is 0, 2, 4, 1, 3, 5: the first of each pair, then the second of each.",
        "`weight.unflatten(0, (heads, -1, 2))` has the axes head, pair, member. Exchange two, flatten.",
    )

    def solution(weight, heads):
        return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)

    @stage("the same shape, and every row still there")
    def form(check):
        for heads, head_size, width in ((1, 2, 3), (2, 2, 4), (1, 6, 6), (2, 4, 5), (3, 6, 7)):
            weight = torch.randn(heads * head_size, width, generator=check.generator)
            got = check.call(weight, heads)
            check.tensor(got, weight.shape, axes="(hidden_size, in_features)")
            check.equal(torch.as_tensor(got).sum(dim=0), weight.sum(dim=0))
        weight = torch.randn(6, 2, generator=check.generator)
        for alike in (torch.zeros_like(weight), torch.ones_like(weight), -weight.abs() - 1):
            check.equal(torch.as_tensor(check.call(alike, 1)).sum(dim=0), alike.sum(dim=0))

    @stage("one head: first the first of each pair, then the second")
    def one_head(check):
        for head_size in (2, 4, 6, 8, 10):
            weight = torch.randn(head_size, 3, generator=check.generator).round(decimals=1)
            check.equal(check.call(weight, 1), weight[_rows_to_halves(1, head_size)])

    @stage("several heads, each by itself")
    def several(check):
        for heads, head_size in ((2, 4), (3, 6), (2, 8), (4, 6), (3, 2)):
            weight = torch.randn(heads * head_size, 5, generator=check.generator).round(decimals=1)
            check.equal(check.call(weight, heads), weight[_rows_to_halves(heads, head_size)])

    as_it_is = wrong(
        "Unchanged, the numbers 2k and 2k + 1 stand beside each other: other code takes other pairs.",
        ".unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)",
        ".clone()",
    )
    backwards = wrong(
        "This is the way back, from halves to neighbours.",
        "(heads, -1, 2)",
        "(heads, 2, -1)",
    )
    second_first = wrong(
        "The second of each pair stands in the first half: then each pair turns the other way round.",
        ".transpose(1, 2).flatten(0, 2)",
        ".flip(2).transpose(1, 2).flatten(0, 2)",
    )
    last_pair_first = wrong(
        "The pairs are in the opposite order: pair 0 must stay pair 0, for it turns fastest.",
        ".transpose(1, 2).flatten(0, 2)",
        ".flip(1).transpose(1, 2).flatten(0, 2)",
    )
    through_heads = wrong(
        "This sorts through all heads at once: each head has pairs of its own.",
        "(heads, -1, 2)",
        "(1, -1, 2)",
    )
    columns = wrong(
        "The columns belong to what comes in. Queries and keys are the rows of the weight.",
        "weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)",
        "torch.cat([weight[:, 0::2], weight[:, 1::2]], dim=1)",
    )


@exercise
class smallest_theta:
    """Write `smallest_theta(longest, head_size)`: the theta for which the slowest pair turns once in a text.

    Of the pairs k = 0, 1, ..., head_size / 2 - 1, number k is turned by position * theta ** (-2k / head_size)
    radians. Which theta makes the slowest pair turn exactly once, by 2 pi, from position 0 to position
    `longest`? head_size is even and at least 4, `longest` at least 7; return a float.
    """

    hints = (
        "Which pair is the slowest? Its k is not head_size / 2.",
        "longest * theta ** (-(head_size - 2) / head_size) = 2 pi. Solve it for theta.",
        "theta = (longest / (2 pi)) to the power of head_size / (head_size - 2).",
    )

    def solution(longest, head_size):
        return (longest / (2 * math.pi)) ** (head_size / (head_size - 2))

    @stage("two pairs: the second is the slowest")
    def two_pairs(check):
        for longest in (7, 10, 100, 512, 8192):
            check.equal(check.call(longest, 4), (longest / math.tau) ** 2)

    @stage("the slowest pair of many turns by 2 pi, no less and no more")
    def many_pairs(check):
        for head_size in (6, 8, 16, 64, 128):
            for longest in (7, 25, 512, 8192):
                theta = check.call(longest, head_size)
                check.expect(isinstance(theta, float) and theta > 0, "theta is a number above 0.")
                slowest = min(theta ** (-2 * k / head_size) for k in range(head_size // 2))
                fastest = max(theta ** (-2 * k / head_size) for k in range(head_size // 2))
                slowest = slowest if theta >= 1 else fastest
                check.expect(
                    math.isclose(longest * slowest, math.tau, rel_tol=1e-4),
                    f"With {head_size} numbers a head and this theta the slowest pair turns by"
                    f" {longest * slowest:.4g}, not by 2 pi.",
                )

    last_is_half = wrong(
        "k ends at head_size / 2 - 1, so the exponent of the slowest pair is not -1.",
        "** (head_size / (head_size - 2))",
        "** 1.0",
    )
    forgotten_pi = wrong("One turn is 2 pi radians, not 1.", "(longest / (2 * math.pi))", "longest")
    half_a_turn = wrong("This makes half a turn: once round is 2 pi.", "2 * math.pi", "math.pi")
    degrees = wrong("The angles are radians, not degrees: once round is 2 pi.", "2 * math.pi", "360")
    inverse = wrong(
        "This is below 1, and with a base below 1 the later pairs turn faster, not more slowly.",
        "(longest / (2 * math.pi))",
        "(2 * math.pi / longest)",
    )
    one_less = wrong(
        "From position 0 to position `longest` there are `longest` steps, not one fewer.",
        "(longest / (2 * math.pi))",
        "((longest - 1) / (2 * math.pi))",
    )
    always_square = wrong(
        "The square is right for four numbers a head alone: the exponent depends on head_size.",
        "(head_size / (head_size - 2))",
        "2",
    )
    upside_down = wrong(
        "The exponent is upside down: theta itself is wanted, not its power.",
        "(head_size / (head_size - 2))",
        "((head_size - 2) / head_size)",
    )


@exercise
class block_share:
    """Write `block_share(seq_len, reach)`: how much of full attention's work do blocks do?

    Blocks of `reach` tokens: the text is filled up to a whole number of them, and each query of these blocks
    meets the keys of its own block and of the blocks on either side (at the two ends of the text these are
    filled in as well). Count every pair of query and key that is computed, and return their number as a share
    of the seq_len * seq_len pairs of full attention. In short texts it is above 1.
    """

    hints = (
        "How many blocks are there? A text of 65 tokens has two blocks of 64.",
        "-(-seq_len // reach) blocks, each of `reach` queries. How many keys does each of these meet?",
        "Three blocks of keys: blocks * reach * 3 * reach pairs are computed. Divide by seq_len ** 2.",
    )

    def solution(seq_len, reach):
        blocks = -(-seq_len // reach)
        return blocks * reach * 3 * reach / seq_len**2

    @stage("texts of whole blocks")
    def whole(check):
        for reach in (1, 2, 5, 64):
            for blocks in (1, 2, 3, 10, 40):
                seq_len = blocks * reach
                pairs = sum(3 * reach for _ in range(seq_len))
                check.equal(check.call(seq_len, reach), pairs / seq_len / seq_len)

    @stage("texts of any length: the last block is filled up")
    def any_length(check):
        for reach in (2, 3, 64):
            for seq_len in (1, 2, 5, 7, 65, 100, 129, 1000):
                queries = next(n for n in range(seq_len, seq_len + reach) if n % reach == 0)
                check.equal(check.call(seq_len, reach), queries / seq_len * (3 * reach / seq_len))

    not_filled = wrong(
        "The last block is filled up: its empty places are computed as well.",
        "blocks * reach * 3 * reach",
        "seq_len * 3 * reach",
    )
    rounded_down = wrong(
        "A text of 65 tokens has two blocks of 64, not one: round up.",
        "-(-seq_len // reach)",
        "seq_len // reach",
    )
    allowed = wrong(
        "2 * reach + 1 keys may be seen, but each block meets three whole blocks of keys.",
        "3 * reach",
        "(2 * reach + 1)",
    )
    alone = wrong(
        "A query at the edge of its block needs keys beside it: each block meets three blocks of keys.",
        "* 3 * reach",
        "* reach",
    )
    two_blocks = wrong("An encoder reads both ways: its own block, and one on either side.", "* 3 *", "* 2 *")
    upside_down = wrong(
        "The other way round: the work of the blocks, divided by that of full attention.",
        "blocks * reach * 3 * reach / seq_len**2",
        "seq_len**2 / (blocks * reach * 3 * reach)",
    )

    @wrong("The blocks at the two ends meet three blocks as well: what is missing is filled in and computed.")
    def without_ends(seq_len, reach):
        blocks = -(-seq_len // reach)
        return (3 * blocks - 2) * reach * reach / seq_len**2

    @wrong("In a short text blocks do more work than full attention: the share may be above 1.")
    def at_most_all(seq_len, reach):
        return min(1.0, -(-seq_len // reach) * reach * 3 * reach / seq_len**2)


@exercise
class packed_mask:
    """Repair `packed_mask(lengths, reach)`: who may attend to whom in a local layer of a packed batch.

    Sequences of these lengths, each at least 1, stand end to end. The mask is bool (total_len, total_len):
    True where query and key belong to the same sequence and are at most `reach` apart. In the lines given,
    sequences leak into one another.
    """

    hints = (
        "Print the lines' mask for lengths [2, 2] and reach 0. Which cells are wrong, and why?",
        "Two tokens at the same place of two sequences have the same `place`. What tells them apart?",
        "`torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))` numbers the sequences.",
    )

    def stub(lengths, reach):
        sizes = torch.tensor(lengths)
        begins = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        place = torch.arange(sum(lengths)) - begins  # within its sequence
        return (place[:, None] - place).abs() <= reach

    def solution(lengths, reach):
        place = torch.arange(sum(lengths))
        number = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
        near = (place[:, None] - place).abs() <= reach
        return near & (number[:, None] == number)

    @stage("one sequence alone: a band")
    def alone(check):
        for seq_len in range(1, 8):
            for reach in (0, 1, 3):
                expected = [[abs(i - j) <= reach for j in range(seq_len)] for i in range(seq_len)]
                got = check.call([seq_len], reach)
                check.tensor(got, (seq_len, seq_len), torch.bool, axes="(query, key)")
                check.equal(got, torch.tensor(expected))

    @stage("no token sees another sequence, and the band stays")
    def several(check):
        for lengths in ([1, 1], [2, 2], [2, 3], [3, 1, 2], [1, 4, 1], [5, 2, 4], [3, 3, 3]):
            ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
            places = [(n, i) for n, end in enumerate(ends) for i in range(end - lengths[n], end)]
            for reach in (0, 1, 2, 9):
                expected = [[n == m and abs(i - j) <= reach for m, j in places] for n, i in places]
                check.equal(check.call(lengths, reach), torch.tensor(expected))

    leaking = wrong(
        "This is the band alone: at a border it sees the neighbouring sequence.",
        "near & (number[:, None] == number)",
        "near",
    )
    everywhere = wrong(
        "This keeps the sequences apart, but within one it forgets the window.",
        "near & (number[:, None] == number)",
        "number[:, None] == number",
    )
    off_by_one = wrong(
        "The window is off by one: a key exactly `reach` away is still seen.", "<= reach", "< reach"
    )
    left_only = wrong(
        "An encoder reads both ways: the window lies to the right as well.",
        "near & (number[:, None] == number)",
        "(near & (number[:, None] == number)).tril()",
    )

    @wrong("Two sequences may be equally long: it is their numbers that tell them apart, not their lengths.")
    def by_length(lengths, reach):
        place = torch.arange(sum(lengths))
        length = torch.tensor(lengths).repeat_interleave(torch.tensor(lengths))
        return ((place[:, None] - place).abs() <= reach) & (length[:, None] == length)


@exercise
class fill_rows:
    """Write `fill_rows(lengths, room)`: sequences placed in rows of one size, to train without padding.

    A row has room for `room` tokens. The sequences come in the order given. Each goes into the *first* row
    that has room for all of it; if none has, it begins a new row. No sequence is cut; each has from 1 to
    `room` tokens. Return the rows, in the order in which they were begun, each as the list of its lengths:
    `fill_rows([5, 4, 3, 2], 8)` is `[[5, 3], [4, 2]]`.
    """

    hints = (
        "Keep a list of rows. For each length, look for the first row with enough room.",
        "A row has enough room if `sum(row) + length <= room`. What is to be done if no row has?",
        "`for row in rows:` ... `break`; its `else:` runs if no row was found: `rows.append([length])`.",
    )

    def solution(lengths, room):
        rows = []
        for length in lengths:
            fitting = [row for row in rows if sum(row) + length <= room]
            if fitting:
                fitting[0].append(length)
            else:
                rows.append([length])
        return rows

    @stage("each in the last row or in a new one")
    def simple(check):
        for lengths, expected in (
            ([], []),
            ([3], [[3]]),
            ([8], [[8]]),
            ([3, 3, 2], [[3, 3, 2]]),
            ([8, 8], [[8], [8]]),
            ([5, 4, 4], [[5], [4, 4]]),
            ([5, 3, 1, 7], [[5, 3], [1, 7]]),
        ):
            check.equal(check.call(lengths, 8), expected)

    @stage("the first row with room, however long ago it was begun")
    def earlier_rows(check):
        for lengths, expected in (
            ([5, 4, 3, 2], [[5, 3], [4, 2]]),
            ([4, 7, 4, 1], [[4, 4], [7, 1]]),
            ([4, 6, 2], [[4, 2], [6]]),
            ([6, 5, 2, 3], [[6, 2], [5, 3]]),
            ([7, 6, 5, 1, 1, 1, 1, 3], [[7, 1], [6, 1, 1], [5, 1], [3]]),
        ):
            check.equal(check.call(lengths, 8), expected)
        for room in (10, 30):
            lengths = check.rng.integers(1, room + 1, size=12).tolist()
            rows, left = [], []
            for length in lengths:
                place = next((i for i, free in enumerate(left) if free >= length), len(left))
                if place == len(left):
                    rows.append([])
                    left.append(room)
                rows[place].append(length)
                left[place] -= length
            check.equal(check.call(lengths, room), rows)

    last_row_only = wrong(
        "This looks at the last row alone, and so leaves gaps in the others.",
        "for row in rows if",
        "for row in rows[-1:] if",
    )
    never_full = wrong("A row may be filled to the last token.", "<= room", "< room")
    latest = wrong(
        "The first row with room is wanted, and this takes the last one.", "fitting[0]", "fitting[-1]"
    )
    fullest = wrong(
        "The first row with room is wanted, and this takes the fullest.",
        "fitting[0]",
        "max(fitting, key=sum)",
    )
    emptiest = wrong(
        "The first row with room is wanted, and this takes the emptiest.",
        "fitting[0]",
        "min(fitting, key=sum)",
    )
    sorted_first = wrong(
        "The sequences come in the order given; sorting them gives other rows.",
        "for length in lengths",
        "for length in sorted(lengths, reverse=True)",
    )
    own_row = wrong(
        "Each sequence has a row of its own here: that is a batch with padding.",
        "fitting[0].append(length)",
        "rows.append([length])",
    )

    @wrong("A sequence must not be cut: what does not fit begins a new row.")
    def cut(lengths, room):
        rows = []
        for length in lengths:
            while length:
                if not rows or sum(rows[-1]) == room:
                    rows.append([])
                part = min(length, room - sum(rows[-1]))
                rows[-1].append(part)
                length -= part
        return rows


NAMES = {  # each with a trial that shows it
    "right": "`attend` has none of the seven slips. Which trial made you think so?",
    "window off by one": (
        "With queries of zeros all keys in the window get equal weights. How many get one, far from the ends?"
    ),
    "left side only": (
        "With queries of zeros all keys in the window get equal weights. On which sides do they lie?"
    ),
    "values turned too": (
        "Hand over the same value at all places: a mean of equal vectors is that vector. Is it so at every"
        " place?"
    ),
    "keys not turned": (
        "Hand over the same query and the same key at all places: scores depend on distances alone, so far"
        " from the ends every row of weights should look like the next. Does it?"
    ),
    "neighbours paired": (
        "Let the queries hold a 1 at number 0 alone and the keys at number 1 alone: if these two are no pair,"
        " the weights in the window are equal. Are they?"
    ),
    "another theta": (
        "Let queries and keys hold a 1 in the second pair alone, at all places: its angle from one token to"
        " the next shows in the weights. Which theta does it fit?"
    ),
    "a bias left in": (
        "Hand over keys of zeros: without a bias all scores are 0, and all weights in the window equal. Are"
        " they?"
    ),
}
REACH, THETA, OTHER_THETA = 2, 100.0, 10_000.0


def _turned(x: torch.Tensor, theta: float, neighbours: bool = False) -> torch.Tensor:
    """(seq_len, head_size) turned by positions; complex numbers, so another way than the package's."""
    half = x.shape[-1] // 2
    first, second = (x[:, 0::2], x[:, 1::2]) if neighbours else (x[:, :half], x[:, half:])
    speeds = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(len(x), dtype=torch.float64)[:, None] * speeds
    turned = torch.complex(first.double(), second.double()) * torch.polar(torch.ones_like(angles), angles)
    parts = turned.real, turned.imag
    return (torch.stack(parts, dim=-1).flatten(1) if neighbours else torch.cat(parts, dim=-1)).to(x.dtype)


class _Local:
    """Local attention of one head with a slip, or without: what `diagnosis` is given to try.

    It prints alike in every process, travels to where answers are judged, and does not tell its slip by name.
    """

    def __init__(self, name: str):
        self._number = list(NAMES).index(name)

    def __repr__(self) -> str:
        return "attend"

    def __call__(self, query, key, value) -> torch.Tensor:
        name = list(NAMES)[self._number]
        query, key, value = (torch.as_tensor(x, dtype=torch.float32) for x in (query, key, value))
        theta = OTHER_THETA if name == "another theta" else THETA
        neighbours = name == "neighbours paired"
        query = _turned(query, theta, neighbours)
        if name == "a bias left in":
            key = key + torch.linspace(1.0, 2.0, key.shape[-1])
        if name != "keys not turned":
            key = _turned(key, theta, neighbours)
        if name == "values turned too":
            value = _turned(value, theta)
        place = torch.arange(len(query))
        distance = place[:, None] - place
        near = distance.abs() <= REACH + (name == "window off by one")
        if name == "left side only":
            near &= distance >= 0
        return F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=near)[0]


@exercise
class diagnosis:
    """Write `diagnosis(attend)`: which slip is in this local attention with rotary positions?

    `attend(query, key, value)` takes three float tensors (seq_len, head_size) of your own choice, with an
    even head_size, and returns the context, (seq_len, head_size). It should turn queries and keys by
    `rotate(x, positions, 100.0)` and let each token attend to 2 tokens on either side. One of these it is:

    - "right"
    - "window off by one": it reaches 3 tokens on either side
    - "left side only": it reaches 2 tokens to the left, none to the right
    - "values turned too"
    - "keys not turned"
    - "neighbours paired": numbers 2k and 2k + 1 are a pair, not k and head_size / 2 + k
    - "another theta": 10,000 in place of 100
    - "a bias left in": the same vector, unknown to you, is added to each key before it is turned

    Return its name.
    """

    hints = (
        "The window shows where all keys score alike: with queries of zeros all of them get equal weights.",
        (
            "Values of your choice make the weights visible: with `torch.eye(n)` as values (head_size = n)"
            " the context is the table of weights, unless the values are turned."
        ),
        (
            "Or compute what each of them would give on random numbers, and compare: `torch.allclose`. The"
            " bias is unknown, so it is what remains."
        ),
    )

    def solution(attend):
        size = 8

        def turned(x, theta, order):
            first, second = x[:, order].chunk(2, dim=-1)
            angles = torch.arange(size)[:, None] * theta ** (-torch.arange(size // 2) / (size // 2))
            cos, sin = angles.cos(), angles.sin()
            return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

        def context(q, k, v, mask):
            weights = (q @ k.T / size**0.5).masked_fill(~mask, -math.inf).softmax(dim=-1)
            return weights @ v

        query, key, value = torch.randn(3, size, size)
        distance = torch.arange(size)[:, None] - torch.arange(size)
        near, wider = distance.abs() <= 2, distance.abs() <= 3
        halves, neighbours = list(range(size)), [0, 2, 4, 6, 1, 3, 5, 7]
        q, k, v = (turned(x, 100.0, halves) for x in (query, key, value))
        q_pairs, k_pairs = (turned(x, 100.0, neighbours) for x in (query, key))
        q_other, k_other = (turned(x, 10_000.0, halves) for x in (query, key))
        candidates = {
            "right": context(q, k, value, near),
            "window off by one": context(q, k, value, wider),
            "left side only": context(q, k, value, near & (distance >= 0)),
            "values turned too": context(q, k, v, near),
            "keys not turned": context(q, key, value, near),
            "neighbours paired": context(q_pairs, k_pairs, value, near),
            "another theta": context(q_other, k_other, value, near),
        }
        got = attend(query, key, value)
        fitting = [name for name, each in candidates.items() if torch.allclose(got, each, atol=1e-4)]
        return fitting[0] if fitting else "a bias left in"

    @stage("the window: right, off by one, or one side only")
    def window(check):
        for name in ("window off by one", "left side only", "right", "left side only", "window off by one"):
            check.expect(check.call(_Local(name)) == name, NAMES[name])

    @stage("what is turned, and how")
    def turning(check):
        for name in (*NAMES, *reversed(NAMES)):
            check.expect(check.call(_Local(name)) == name, NAMES[name])

    @wrong("This says the same whatever it is given: `attend` has to be tried.")
    def always_right(attend):
        return "right"

    @wrong("Queries of zeros show the window, but nothing of how queries and keys are turned.")
    def zeros(attend):
        weights = attend(torch.zeros(8, 8), torch.randn(8, 8), torch.eye(8)[:, :8])
        seen = int((weights[3].abs() > 1e-6).sum())
        return {5: "right", 7: "window off by one", 3: "left side only"}.get(seen, "values turned too")

    @wrong("In a text of three tokens no window ends: the text must be longer than it.")
    def short_text(attend):
        query, key, value = torch.randn(3, 3, 8)
        got = attend(query, key, value)
        names = [name for name in NAMES if name not in ("window off by one", "a bias left in")]
        off = {name: (_Local(name)(query, key, value) - got).abs().max().item() for name in names}
        return min(off, key=off.get) if min(off.values()) < 1e-4 else "a bias left in"

    @wrong("A bias is found at keys of zeros alone: with random keys it looks like another slip.")
    def no_bias(attend):
        query, key, value = torch.randn(3, 8, 8)
        got = attend(query, key, value)
        names = [name for name in NAMES if name != "a bias left in"]
        return min(names, key=lambda name: (_Local(name)(query, key, value) - got).abs().max().item())
