"""Exercises of notebook 07: the numbers in the code, whole words, blanks guessed alone, and slips to find.

`input_ids` are piece ids; a label is the original id at a selected position and -100 elsewhere.
"""

import math

import torch

from course_utils.classroom.engine import exercise, stage, wrong

IGNORE_INDEX = -100


@exercise
class third_threshold:
    """Write `third_threshold(mask_share, random_share)`: with what must the third of the nested draws be
    compared?

    A selected token is masked if its second draw is below `mask_share`. Otherwise it shows a random piece if
    its third draw is below the threshold, and is kept if not. Return the threshold, a float, so that
    `random_share` of all selected tokens are random. If everything is masked, the third draw is never used:
    return 0.
    """

    hints = (
        "Which share of the selected tokens is still there when the third draw is made?",
        "The third draw concerns a share of 1 - mask_share only; which part of it is `random_share`?",
        "`random_share / (1 - mask_share)`, and 0 where nothing is left.",
    )

    def solution(mask_share, random_share):
        rest = 1 - mask_share
        return random_share / rest if rest > 0 else 0.0

    @stage("the shares of BERT and others")
    def shares(check):
        cases = (0.8, 0.1), (0.8, 0.2), (0.5, 0.25), (0.6, 0.1), (0.0, 0.3), (0.9, 0.02), (0.25, 0.5)
        for mask_share, random_share in cases:
            kept = 1 - mask_share - random_share
            check.equal(check.call(mask_share, random_share), random_share / (random_share + kept))

    @stage("everything masked, nothing random, nothing kept")
    def corners(check):
        for mask_share, random_share, expected in (
            (1.0, 0.0, 0.0), (0.8, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (0.5, 0.5, 1.0),
        ):  # fmt: skip
            check.equal(check.call(mask_share, random_share), expected)

    @wrong("The third draw is made for the tokens that are not masked only: this gives 80/2/18.")
    def the_share_itself(mask_share, random_share):
        return random_share

    @wrong("Half is right for 80/10/10 alone.")
    def always_half(mask_share, random_share):
        return 0.5

    @wrong("This is the share of the kept among those that are not masked.")
    def the_kept(mask_share, random_share):
        return (1 - mask_share - random_share) / (1 - mask_share)

    @wrong("If everything is masked, nothing is left to divide by: return 0.")
    def never_zero(mask_share, random_share):
        return random_share / (1 - mask_share) if mask_share < 1 else 1.0


WORDS = ["the", "play", "##er", "de", "##pos", "##it", "##ed", "gold", "un", "##do", "bank", "s", "##he"]


@exercise
class whole_words:
    """Write `whole_words(pieces, draws, rate)`: which pieces are selected if words are selected whole?

    `pieces` is a list of strings without special tokens; a piece that begins with "##" continues the word
    before it, and the first piece never does. `draws` (len(pieces),) is a float tensor of uniform draws. A
    word is selected, with all its pieces, if the draw of its first piece is below `rate`. Return a bool
    tensor (len(pieces),).
    """

    hints = (
        "Go through the pieces from left to right. What decides about a piece that begins with ##?",
        "A piece that continues a word has the fate of the piece before it; its own draw does not matter.",
        "Keep a list: append the last entry again for a ## piece, and `draw < rate` for any other.",
    )

    def solution(pieces, draws, rate):
        selected = []
        for piece, draw in zip(pieces, draws.tolist(), strict=True):
            selected.append(selected[-1] if piece.startswith("##") else draw < rate)
        return torch.tensor(selected, dtype=torch.bool)

    @stage("words of a single piece")
    def single(check):
        for length in (1, 2, 3, 5, 8):
            pieces = [w for w in WORDS if not w.startswith("##")][:length]
            draws = torch.rand(len(pieces), generator=check.generator)
            expected = torch.tensor([d < 0.4 for d in draws.tolist()], dtype=torch.bool)
            check.equal(check.call(pieces, draws, 0.4), expected)

    @stage("words of several pieces")
    def several(check):
        rows = (
            WORDS,
            WORDS[3:7],
            WORDS[1:3],
            WORDS[10:],
            WORDS[3:9],
            ["the", "##the"],
            ["the", "the"],
            ["#", "##ed", "#"],
        )
        for rate in (0.5, 0.15, 0.0, 1.0):
            for row in rows:
                draws = torch.rand(len(row), generator=check.generator)
                check.equal(check.call(row, draws, rate), _by_words(row, draws, rate))
        for row in rows:  # the first piece decides, whatever the others draw
            for first, others in ((0.1, 0.9), (0.9, 0.1), (0.5, 0.1), (0.0, 0.9)):
                draws = torch.tensor([others if piece.startswith("##") else first for piece in row])
                for rate in (0.5, 0.0):
                    check.equal(check.call(row, draws, rate), _by_words(row, draws, rate))

    @wrong("Here each piece is drawn by itself: a word may be half hidden.")
    def each_piece(pieces, draws, rate):
        return draws < rate

    @wrong(
        "This selects a word if the draw of any of its pieces is low: long words would be hidden more often."
    )
    def any_piece(pieces, draws, rate):
        word = torch.tensor([not p.startswith("##") for p in pieces], dtype=torch.long).cumsum(0)
        return torch.isin(word, word[draws < rate])

    @wrong("Pieces that continue a word are never selected here.")
    def first_pieces(pieces, draws, rate):
        return (draws < rate) & torch.tensor([not p.startswith("##") for p in pieces], dtype=torch.bool)

    @wrong("A selected draw lies below the rate, not above it.")
    def above(pieces, draws, rate):
        selected = []
        for piece, draw in zip(pieces, draws.tolist(), strict=True):
            selected.append(selected[-1] if piece.startswith("##") else draw > rate)
        return torch.tensor(selected, dtype=torch.bool)


def _by_words(pieces: list[str], draws: torch.Tensor, rate: float) -> torch.Tensor:
    """The truth: words first, then their pieces."""
    starts = [i for i, piece in enumerate(pieces) if not piece.startswith("##")]
    ends = [*starts[1:], len(pieces)]
    selected = torch.zeros(len(pieces), dtype=torch.bool)
    for start, end in zip(starts, ends, strict=True):
        selected[start:end] = bool(draws[start] < rate)
    return selected


def _joint(check, shape: tuple[int, int], zeros: bool) -> torch.Tensor:
    """A joint distribution in float64, with zeros in it if asked for."""
    table = torch.rand(*shape, generator=check.generator, dtype=torch.float64)
    if zeros:
        table = table * (torch.rand(*shape, generator=check.generator) < 0.6)
        table[0, 0] += 0.1
    return table / table.sum()


def _price(joint: torch.Tensor) -> torch.Tensor:
    """The truth, one pair of pieces after the other."""
    rows, columns, price = joint.sum(dim=1).tolist(), joint.sum(dim=0).tolist(), 0.0
    for i, row in enumerate(joint.tolist()):
        for j, p in enumerate(row):
            if p > 0:
                price += p * (math.log(p) - math.log(rows[i]) - math.log(columns[j]))
    return torch.tensor(price, dtype=joint.dtype)


@exercise
class price_of_guessing_alone:
    """Write `price_of_guessing_alone(joint)`: what it costs, in nats, to guess two blanks one by one.

    `joint` (a, b), float64, is the true probability of each pair of pieces; it sums to 1, and entries may be
    0. A perfect model that answers each blank by itself knows the share of each piece at its own blank, and
    no more. Return its expected loss for the pair, minus the least possible one, a tensor of shape ().
    """

    hints = (
        "What does each blank say by itself? The sums over the rows and over the columns.",
        (
            "Guessed alone, the pair (i, j) costs -log(row[i]) - log(column[j]); the least possible is"
            " -log(joint[i, j]). Weigh the difference with joint[i, j]."
        ),
        "A pair with probability 0 contributes nothing: leave these entries out before you take logarithms.",
    )

    def solution(joint):
        alone = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
        possible = joint > 0
        return (joint[possible] * (joint[possible].log() - alone[possible].log())).sum()

    @stage("pairs that are all possible")
    def possible(check):
        for shape in ((1, 1), (2, 2), (2, 3), (3, 2), (4, 4), (1, 3), (3, 1)):
            joint = _joint(check, shape, zeros=False)
            check.equal(check.call(joint), _price(joint))

    @stage("pairs that are impossible, or that say nothing about each other")
    def impossible(check):
        for size in (2, 3, 4):  # each piece has just one partner: ln(size)
            joint = torch.eye(size, dtype=torch.float64).flip(0) / size
            check.equal(check.call(joint), torch.tensor(math.log(size), dtype=torch.float64))
        for shape in ((2, 3), (3, 3), (4, 2), (3, 5)):
            equal = torch.full(shape, 1 / (shape[0] * shape[1]), dtype=torch.float64)
            check.equal(check.call(equal), torch.tensor(0.0, dtype=torch.float64))
            joint = _joint(check, shape, zeros=True)
            check.equal(check.call(joint), _price(joint))
        rows, columns = _joint(check, (3, 1), zeros=False), _joint(check, (1, 4), zeros=False)
        check.equal(check.call(rows * columns), torch.tensor(0.0, dtype=torch.float64))

    @wrong("This is the whole loss of the two guesses; the least possible loss must be subtracted.")
    def whole_loss(joint):
        rows, columns = joint.sum(dim=1), joint.sum(dim=0)
        return -torch.xlogy(rows, rows).sum() - torch.xlogy(columns, columns).sum()

    @wrong("This is the least possible loss of the pair, not what is paid on top of it.")
    def least(joint):
        return -torch.xlogy(joint, joint).sum()

    @wrong("Each pair counts as often as it occurs: weigh the difference with `joint`.")
    def unweighted(joint):
        alone = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
        possible = joint > 0
        return (joint[possible].log() - alone[possible].log()).mean()

    @wrong(
        "0 times log 0 is not a number in floating point: leave impossible pairs out, without adding to them."
    )
    def with_a_crutch(joint):
        alone = joint.sum(dim=1, keepdim=True) * joint.sum(dim=0, keepdim=True)
        extra = 0.01 * (joint == 0).any()
        return (joint * ((joint + extra).log() - (alone + extra).log())).sum()


VOCABULARY = 60
SLIPS = {  # name: shares of masked and random, and where the labels are
    "right": (0.8, 0.1),
    "labels at [MASK] only": (0.8, 0.1),
    "labels everywhere": (0.8, 0.1),
    "special tokens selected": (0.8, 0.1),
    "80/2/18": (0.8, 0.02),
    "80/20/0": (0.8, 0.2),
}


def _audited(check, slip: str, rate: float, rows: int) -> tuple:
    """Inputs and outputs of a masking function with a slip, or without one."""
    generator = check.generator
    mask = 0 if check.calls % 2 else VOCABULARY - 1  # the first id or the last
    order = torch.randperm(VOCABULARY - 2, generator=generator) + 1  # any other may be special
    (unknown, pad, cls, sep), plain = order[:4].tolist(), order[4:]
    ids = plain[torch.randint(len(plain), (rows, 100), generator=generator)]
    ids[:, 0], ids[:, -1] = cls, sep
    ids[: rows // 4, 60:] = pad
    special = torch.tensor([unknown, pad, cls, sep, mask])
    masked, random = SLIPS[slip]
    ordinary = ~torch.isin(ids, special)
    chosen = torch.rand(ids.shape, generator=generator) < rate
    if slip != "special tokens selected":
        chosen &= ordinary
    fate = torch.rand(ids.shape, generator=generator)
    pieces = plain[torch.randint(len(plain), ids.shape, generator=generator)]
    seen = torch.where(chosen & (fate < masked + random), pieces, ids)
    seen = torch.where(chosen & (fate < masked), mask, seen)
    labelled = {"labels at [MASK] only": seen == mask, "labels everywhere": ordinary}.get(slip, chosen)
    return ids, seen, torch.where(labelled, ids, IGNORE_INDEX), special, mask


@exercise
class audit:
    """Write `audit(input_ids, masked_ids, labels, special, mask_id)`: which slip is in this masking function?

    `input_ids` is what was written, `masked_ids` what the model sees, `labels` the labels; all int64 tensors
    (batch, seq_len) with thousands of tokens. `special` holds the ids of all special tokens,
    `mask_id` that of [MASK]; [MASK] does not occur in `input_ids`. The rate may be any from 15 to 50 %.
    Return one of

    - "right": 80/10/10 of the selected tokens, all of them with labels
    - "labels at [MASK] only"
    - "labels everywhere": at every ordinary token, selected or not
    - "special tokens selected"
    - "80/2/18", "80/20/0": other shares than 80/10/10
    """

    hints = (
        (
            "Among the positions with a label: how many show [MASK], how many something else, how many the"
            " original? Is any of them special?"
        ),
        (
            "If labels are everywhere, most labelled positions show the original: far more than 18 %. If they"
            " are at [MASK] only, all labelled positions show it."
        ),
        (
            "With shares near 0.8, 0.1 and 0.1 it is right. A random piece may be the original by chance:"
            " leave some room, for example 0.05."
        ),
    )

    time_limit = 20

    def solution(input_ids, masked_ids, labels, special, mask_id):
        labelled = labels != -100
        if (labelled & torch.isin(input_ids, special)).any():
            return "special tokens selected"
        kept = (masked_ids == input_ids)[labelled].float().mean()
        masked = (masked_ids == mask_id)[labelled].float().mean()
        if masked == 1:
            return "labels at [MASK] only"
        if kept > 0.3:
            return "labels everywhere"
        return "80/20/0" if kept < 0.05 else "80/2/18" if kept > 0.15 else "right"

    @stage("the shares")
    def shares(check):
        for rate in (0.3, 0.5):
            for slip in ("80/2/18", "right", "80/20/0"):
                check.equal(check.call(*_audited(check, slip, rate, 60)), slip)

    @stage("the places of the labels")
    def where_the_labels_are(check):
        for rate in (0.15, 0.5):
            for slip in list(SLIPS)[:4]:
                check.equal(check.call(*_audited(check, slip, rate, 60)), slip)

    @wrong("This trusts every function: compare `masked_ids` and `labels` with what was written.")
    def trusting(input_ids, masked_ids, labels, special, mask_id):
        return "right"

    @wrong("Labels at every ordinary token look like 80/2/18 here: how many positions have a label?")
    def everywhere_unseen(input_ids, masked_ids, labels, special, mask_id):
        labelled = labels != -100
        if (labelled & torch.isin(input_ids, special)).any():
            return "special tokens selected"
        kept = (masked_ids == input_ids)[labelled].float().mean()
        if (masked_ids == mask_id)[labelled].all():
            return "labels at [MASK] only"
        return "80/20/0" if kept < 0.05 else "80/2/18" if kept > 0.15 else "right"

    @wrong("The shares are those among the selected tokens: divide by the number of labels.")
    def of_all_tokens(input_ids, masked_ids, labels, special, mask_id):
        labelled = labels != -100
        if (labelled & torch.isin(input_ids, special)).any():
            return "special tokens selected"
        if (masked_ids == mask_id)[labelled].all():
            return "labels at [MASK] only"
        if (labels[~torch.isin(input_ids, special)] != -100).all():
            return "labels everywhere"
        kept = ((masked_ids == input_ids) & labelled).float().mean()
        return "80/20/0" if kept < 0.05 else "80/2/18" if kept > 0.15 else "right"


@exercise
class not_told:
    """Write `not_told(prior, shown, pieces, rate)`: what was written, for a reader who is not told what is
    selected?

    A position shows the piece `shown`, an int that is not [MASK]; `prior` (vocab_size,), float64, is what the
    other words say about the original. With probability 1 - rate the position was not selected and shows the
    original. If it was selected: [MASK] in 80 %, a random one of `pieces` ordinary pieces in 10 %, the
    original in 10 %. Return the probability of each original, a tensor like `prior` that sums to 1. `rate`
    may be 0 or 1; at 0 the prior of `shown` is above 0.
    """

    hints = (
        "Bayes' rule: for each possible original, its prior times the probability that it shows `shown`.",
        (
            "If the original is `shown`, it is seen with (1 - rate) + 0.1 * rate + 0.1 * rate / pieces; any"
            " other original shows it with 0.1 * rate / pieces only."
        ),
        "Multiply, then divide by the sum.",
    )

    def solution(prior, shown, pieces, rate):
        likelihood = torch.full_like(prior, 0.1 * rate / pieces)
        likelihood[shown] += 1 - 0.9 * rate
        product = prior * likelihood
        return product / product.sum()

    @stage("every position selected, as the perfect model is told")
    def all_selected(check):
        for size, pieces in ((2, 2), (3, 2), (4, 4), (6, 5), (5, 9)):
            for shown in range(size):
                prior = _joint(check, (1, size), zeros=False)[0]
                check.equal(check.call(prior, shown, pieces, 1.0), _not_told(prior, shown, pieces, 1.0))

    @stage("a rate of 15 %, of 50 %, of 0, and priors that are 0")
    def rates(check):
        for rate in (0.15, 0.5, 0.0, 0.9):
            for size, pieces in ((3, 2), (4, 4), (6, 940), (1, 1)):
                for zeros in (False, True):
                    prior = _joint(check, (1, size), zeros)[0]
                    for shown in range(size if rate else 1):
                        expected = _not_told(prior, shown, pieces, rate)
                        check.equal(check.call(prior, shown, pieces, rate), expected)

    @wrong("This reader knows that the position is selected; with probability 1 - rate it was not.")
    def told(prior, shown, pieces, rate):
        likelihood = torch.full_like(prior, 0.1 / pieces)
        likelihood[shown] += 0.1
        product = prior * likelihood
        return product / product.sum()

    @wrong("What is seen is not always what was written: it may be a random piece.")
    def gullible(prior, shown, pieces, rate):
        return torch.eye(len(prior), dtype=prior.dtype)[shown]

    @wrong("A probability has to sum to 1: divide by the sum.")
    def not_normalised(prior, shown, pieces, rate):
        likelihood = torch.full_like(prior, 0.1 * rate / pieces)
        likelihood[shown] += 1 - 0.9 * rate
        return prior * likelihood

    @wrong("The prior is missing: what the other words say counts too.")
    def no_prior(prior, shown, pieces, rate):
        likelihood = torch.full_like(prior, 0.1 * rate / pieces)
        likelihood[shown] += 1 - 0.9 * rate
        return likelihood / likelihood.sum()

    @wrong("Of the selected ones a tenth is kept as well: 1 - rate alone is too little.")
    def kept_forgotten(prior, shown, pieces, rate):
        likelihood = torch.full_like(prior, 0.1 * rate / pieces)
        likelihood[shown] += 1 - rate
        product = prior * likelihood
        return product / product.sum()


def _not_told(prior: torch.Tensor, shown: int, pieces: int, rate: float) -> torch.Tensor:
    """The truth, by the four fates of a token."""
    weights = []
    for original, p in enumerate(prior.tolist()):
        same = float(original == shown)
        unselected, random, kept = (1 - rate) * same, rate * 0.1 / pieces, rate * 0.1 * same
        weights.append(p * (unselected + random + kept))
    return torch.tensor(weights, dtype=prior.dtype) / sum(weights)
