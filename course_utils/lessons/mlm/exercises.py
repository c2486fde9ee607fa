"""Exercises of notebook 07: which token is selected, what becomes of it, where the loss is taken, and the
best answer.

`input_ids` are piece ids; a label is the original id at a selected position and -100 elsewhere.
"""

import torch

from course_utils.classroom.engine import exercise, stage, wrong

IGNORE_INDEX = -100


def _draws(check, shape: tuple[int, ...], rate: float) -> torch.Tensor:
    """Uniform draws of which about half lie below the rate, none of them on a boundary."""
    u = torch.rand(shape, generator=check.generator)
    small = torch.rand(shape, generator=check.generator) < 0.5
    u = torch.where(small, u * rate, u)
    for boundary in (0.8 * rate, 0.9 * rate, rate, 0.8, 0.9):
        u = torch.where((u - boundary).abs() < 1e-4, u * 0.5 + 0.001, u)
    return u


def _fates_by_hand(u: torch.Tensor, special: torch.Tensor, rate: float) -> torch.Tensor:
    """One number after the other, by the words of the task."""

    def fate(draw: float, is_special: bool) -> int:
        if is_special or draw >= rate:
            return 0
        share = draw / rate
        return 1 if share < 0.8 else 2 if share < 0.9 else 3

    pairs = zip(u.flatten().tolist(), special.flatten().tolist(), strict=True)
    return torch.tensor([fate(*pair) for pair in pairs]).view(u.shape)


@exercise
class fates:
    """Write `fates(u, special, rate)`: an int64 tensor (batch, seq_len) that says what becomes of each token.

    0: not selected, 1: shows [MASK], 2: shows a random piece, 3: selected and kept.

    `u` (batch, seq_len) holds one uniform draw from 0 to 1 a token, `special` (same shape, bool) is True at
    special tokens, which are never selected, and `rate` is the chance to be selected. Of the selected tokens
    80 % show [MASK], 10 % a random piece, 10 % are kept, in this order along u: the smallest draws are the
    [MASK] ones.
    """

    hints = (
        (
            "A token is selected if its draw lies below `rate`. Which part of the stretch from 0 to rate"
            " belongs to [MASK]?"
        ),
        "The boundaries are 0.8 * rate, 0.9 * rate and rate.",
        (
            "Begin with `torch.full(u.shape, 3)`. Set what lies below 0.9 * rate to 2, then below 0.8 * rate"
            " to 1, then the rest to 0."
        ),
    )

    def solution(u, special, rate):
        result = torch.full(u.shape, 3)
        result = torch.where(u < 0.9 * rate, 2, result)
        result = torch.where(u < 0.8 * rate, 1, result)
        return result.masked_fill((u >= rate) | special, 0)

    @stage("one whole number for each token")
    def form(check):
        for rows, seq_len in ((1, 2), (2, 3), (3, 2), (2, 5), (4, 4)):
            u = _draws(check, (rows, seq_len), 0.3)
            got = check.call(u, torch.zeros(rows, seq_len, dtype=torch.bool), 0.3)
            check.tensor(got, (rows, seq_len), torch.int64, axes="(batch, seq_len)")

    @stage("the right fate at every ordinary token")
    def values(check):
        for rate in (0.5, 0.15, 0.3, 0.6, 0.05):
            for shape in ((1, 4), (2, 8), (3, 20)):
                u, special = _draws(check, shape, rate), torch.zeros(shape, dtype=torch.bool)
                expected = _fates_by_hand(u, special, rate)
                check.equal(check.call(u, special, rate), expected)

    @stage("0 at special tokens, whatever their draw")
    def specials(check):
        for seq_len in range(3, 9):
            u = _draws(check, (2, seq_len), 0.3) * 0.29
            special = torch.zeros(2, seq_len, dtype=torch.bool)
            special[:, 0] = special[:, -1] = True
            check.equal(check.call(u, special, 0.3), _fates_by_hand(u, special, 0.3))

    floats = wrong(
        "Fates are whole numbers: begin with `torch.full(u.shape, 3)`, not with 3.0.",
        "torch.full(u.shape, 3)",
        "torch.full(u.shape, 3.0)",
    )

    @wrong("Your boundaries are 0.8 and 0.9 of all tokens; they are shares of the selected ones.")
    def of_all_tokens(u, special, rate):
        result = torch.where(u < 0.8, 1, torch.where(u < 0.9, 2, 3))
        return result.masked_fill((u >= rate) | special, 0)

    @wrong("Random and kept are exchanged: after [MASK] comes the random piece.")
    def exchanged(u, special, rate):
        result = torch.where(u < 0.8 * rate, 1, torch.where(u < 0.9 * rate, 3, 2))
        return result.masked_fill((u >= rate) | special, 0)

    half = wrong(
        (
            "The stretch of random pieces is half of the selected tokens, not a tenth: 0.5 belongs to a"
            " second draw, among the rest."
        ),
        "0.9 * rate",
        "(0.8 + 0.5) * rate",
    )

    specials_too = wrong("A special token has been selected.", "(u >= rate) | special", "u >= rate")


@exercise
class labels_for:
    """Write `labels_for(input_ids, selected)`: an int64 tensor (batch, seq_len) of labels.

    `input_ids` (batch, seq_len) holds the ids as they were written, before anything was hidden, and
    `selected` (same shape, bool) is True at selected positions. A label is the original id where selected and
    -100 elsewhere.
    """

    hints = (
        "At a selected position the label is the id that stands there; at all others it is -100.",
        "`torch.where(condition, this, that)` chooses cell by cell and leaves its inputs as they are.",
        "`input_ids.masked_fill(~selected, -100)` does the same. Mind the `~`.",
    )

    def solution(input_ids, selected):
        return torch.where(selected, input_ids, -100)

    @stage("one label for each token")
    def form(check):
        for rows in range(1, 7):
            ids = torch.randint(5, 900, (rows, rows + 2), generator=check.generator)
            selected = torch.rand(ids.shape, generator=check.generator) < 0.5
            check.tensor(check.call(ids, selected), tuple(ids.shape), torch.int64, axes="(batch, seq_len)")

    @stage("the original id where selected, -100 elsewhere")
    def values(check):
        for rows in range(1, 6):
            for seq_len in (3, 6):
                ids = torch.randint(5, 900, (rows, seq_len), generator=check.generator)
                selected = torch.rand(ids.shape, generator=check.generator) < 0.5
                selected[0, 0], selected[0, 1] = True, False
                expected = torch.tensor(
                    [
                        [i if s else IGNORE_INDEX for i, s in zip(id_row, selected_row, strict=True)]
                        for id_row, selected_row in zip(ids.tolist(), selected.tolist(), strict=True)
                    ]
                )
                check.equal(check.call(ids, selected), expected)

    turned = wrong(
        "This labels the positions that were not selected: the condition is turned round.",
        "input_ids, -100",
        "-100, input_ids",
    )

    @wrong("0 is the id of [PAD], a class like any other: the loss skips -100 and nothing else.")
    def zeros(input_ids, selected):
        return torch.where(selected, input_ids, 0)

    @wrong("Every token has a label here: the loss would be taken over everything.")
    def everything(input_ids, selected):
        return input_ids.clone()

    @wrong(
        "These are the labels of the selected positions alone; every token keeps its place, with -100 at the"
        " others."
    )
    def only_selected(input_ids, selected):
        return input_ids[selected]


def _loss_by_hand(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-log softmax at the label, position by position; the mean over those that have one, 0 if none has."""
    nats = []
    for row, label in zip(logits.flatten(0, 1).double(), labels.flatten().tolist(), strict=True):
        if label != IGNORE_INDEX:
            nats.append(torch.logsumexp(row, 0) - row[label])
    return (torch.stack(nats).mean() if nats else torch.tensor(0.0)).float()


def _case(check, rows: int, seq_len: int, chosen: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (rows, seq_len, 6) and labels with `chosen` selected positions."""
    logits = torch.randn(rows, seq_len, 6, generator=check.generator)
    labels = torch.full((rows * seq_len,), IGNORE_INDEX)
    places = torch.randperm(rows * seq_len, generator=check.generator)[:chosen]
    labels[places] = torch.randint(6, (chosen,), generator=check.generator)
    return logits, labels.view(rows, seq_len)


@exercise
class mlm_loss:
    """Write `mlm_loss(logits, labels)`: the loss, a float32 tensor of shape ().

    `logits` (batch, seq_len, vocab_size) are the scores of every piece at every position, `labels` (batch,
    seq_len) holds the original id at selected positions and -100 elsewhere. The loss is the mean of -log
    p(label) over the selected positions, where p is the softmax over the vocabulary. If nothing is selected,
    the loss is 0.
    """

    hints = (
        (
            "`labels != -100` picks the selected positions of both tensors: `logits[...]` has then the shape"
            " (selected, vocab_size)."
        ),
        (
            "`logits.log_softmax(dim=-1)` are the logarithms of the probabilities;"
            " `.gather(1, labels[:, None])` picks one a row."
        ),
        "The mean of nothing is NaN. Ask `if not selected.any()` first and return `logits.sum() * 0`.",
    )

    def solution(logits, labels):
        selected = labels != -100
        if not selected.any():
            return logits.sum() * 0
        log_p = logits[selected].log_softmax(dim=-1)  # (selected, vocab_size)
        return -log_p.gather(1, labels[selected][:, None]).mean()

    @stage("-log of the softmax at the label, where one position is selected in a row of one")
    def one_position(check):
        for _ in range(6):
            logits, labels = _case(check, 1, 1, 1)
            check.equal(check.call(logits, labels), _loss_by_hand(logits, labels))

    @stage("the mean over the selected positions and no others")
    def mean_over_selected(check):
        for rows, seq_len, chosen in ((1, 3, 2), (2, 3, 2), (2, 5, 4), (3, 4, 5), (4, 6, 7)):
            logits, labels = _case(check, rows, seq_len, chosen)
            loss = _loss_by_hand(logits, labels)
            check.equal(check.call(logits, labels), loss)

    @stage("0 where nothing is selected")
    def nothing_selected(check):
        for rows in range(1, 6):
            logits, labels = _case(check, rows, 3, 0)
            check.equal(check.call(logits, labels), torch.tensor(0.0))

    minus_logit = wrong("This is minus the logit: the softmax is missing.", ".log_softmax(dim=-1)", "")

    @wrong("This is p itself; the loss is -log p.")
    def probability(logits, labels):
        selected = labels != -100
        return logits[selected].softmax(-1).gather(1, labels[selected][:, None]).mean()

    over_all = wrong(
        "This is divided by the number of all positions, not of the selected ones.",
        ".mean()",
        ".sum() / labels.numel()",
    )

    summed = wrong("This is the sum over the selected positions; the mean is wanted.", ".mean()", ".sum()")

    @wrong("Positions without a label have entered the loss, as if their label were piece 0.")
    def clamped(logits, labels):
        return -logits.log_softmax(-1).gather(2, labels.clamp(min=0)[..., None]).mean()

    @wrong("Nothing is selected here, and the mean of nothing is 0 / 0.")
    def mean_of_nothing(logits, labels):
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


@exercise
class positions_from_gaps:
    """Write `positions_from_gaps(gaps, n)`: the selected positions, an int64 tensor (selected,), ascending.

    `gaps` (k,) holds whole numbers >= 0: how many tokens are passed over before the first selected one, then
    between each selected one and the next. Positions count from 0, and only those below n exist. With gaps
    [2, 0, 3] and n = 6 the positions are 2 and 3: the third would be 7.
    """

    hints = (
        (
            "A gap of 2 passes over positions 0 and 1: the first selected position is 2. A gap of 0 selects"
            " the very next one."
        ),
        "From one selected position to the next are gap + 1 steps. `cumsum(0)` adds up as it goes.",
        "`(gaps + 1).cumsum(0) - 1` are the positions; keep those below n.",
    )

    def solution(gaps, n):
        positions = (gaps + 1).cumsum(0) - 1
        return positions[positions < n]

    @stage("each gap is passed over, and the token after it is selected")
    def values(check):
        for k in range(2, 10):
            gaps = torch.randint(0, 6, (k,), generator=check.generator)
            gaps[0] = 2
            expected, place = [], -1
            for gap in gaps.tolist():
                place += gap + 1
                expected.append(place)
            check.equal(check.call(gaps, 1000), torch.tensor(expected))

    @stage("nothing at or beyond n")
    def end(check):
        for n in range(3, 12):
            gaps = torch.zeros(12, dtype=torch.int64)  # every position is selected
            check.equal(check.call(gaps, n), torch.arange(n))

    no_step = wrong(
        "The selected token itself takes a place: from one to the next are gap + 1 steps.",
        "(gaps + 1).cumsum(0) - 1",
        "gaps.cumsum(0)",
    )

    from_one = wrong("This counts from 1: a first gap of 0 selects position 0.", " - 1", "")

    @wrong("These are the gaps plus one; add them up as you go.")
    def no_sum(gaps, n):
        return (gaps + 1)[gaps + 1 < n]

    one_too_far = wrong(
        "Position n does not exist: the last one is n - 1.", "positions < n", "positions <= n"
    )

    @wrong("Positions at or beyond n must be left out.")
    def no_end(gaps, n):
        return (gaps + 1).cumsum(0) - 1


@exercise
class posterior:
    """Write `posterior(prior, shown, mask_id, pieces)`: the best possible answer at a selected position,
    (vocab_size,).

    `prior` (vocab_size,) holds the probability of each piece given all *other* tokens, float32, summing to 1.
    `shown` is the id that stands at the position after the corruption. A selected token becomes `mask_id`
    with probability 0.8, each of `pieces` ordinary pieces with probability 0.1 / pieces (itself included),
    and stays as it is with probability 0.1. The result is P(original | shown): the prior times the
    probability that each original would show `shown`, divided by the sum. Special tokens have prior 0, so
    they need no care.
    """

    hints = (
        (
            "If [MASK] is shown, how likely was that for each original? Equally: 0.8. What does that do to"
            " the prior?"
        ),
        (
            "If piece y is shown: an original x other than y shows it with 0.1 / pieces, and y itself with"
            " 0.1 / pieces + 0.1."
        ),
        (
            "`likelihood = torch.full_like(prior, 0.1 / pieces)`, then `likelihood[shown] += 0.1`; multiply"
            " and divide by the sum."
        ),
    )

    def solution(prior, shown, mask_id, pieces):
        if shown == mask_id:
            return prior.clone()
        likelihood = torch.full_like(prior, 0.1 / pieces)
        likelihood[shown] += 0.1
        return prior * likelihood / (prior * likelihood).sum()

    @stage("[MASK] says nothing about the word: the prior stays")
    def masked(check):
        for size in range(6, 12):
            prior = torch.rand(size, generator=check.generator)
            prior[0] = 0
            prior /= prior.sum()
            check.equal(check.call(prior, 0, 0, size - 1), prior)

    @stage("a visible piece: probably kept, perhaps random")
    def visible(check):
        for size in (6, 8, 12, 40, 200):
            prior = torch.rand(size, generator=check.generator) ** 4
            prior[0] = 0
            prior /= prior.sum()
            shown = int(
                prior.argmin() if size > 20 else 1 + torch.randint(size - 1, (), generator=check.generator)
            )
            shown = max(shown, 1)
            pieces = size - 1
            weights = [
                p * (0.1 / pieces + (0.1 if x == shown else 0.0))
                for x, p in enumerate(prior.double().tolist())
            ]
            expected = torch.tensor([weight / sum(weights) for weight in weights], dtype=torch.float32)
            check.equal(check.call(prior, shown, 0, pieces), expected)

    @wrong("[MASK] is shown by every original with 0.8; it has no say of its own.")
    def sure_of_mask(prior, shown, mask_id, pieces):
        return torch.eye(len(prior))[shown]

    @wrong("The piece that is shown has been ignored: this is the prior.")
    def prior_only(prior, shown, mask_id, pieces):
        return prior.clone()

    @wrong("This is sure of the shown piece; it may be a random one.")
    def sure(prior, shown, mask_id, pieces):
        return prior.clone() if shown == mask_id else torch.eye(len(prior))[shown]

    no_sum = wrong("The result does not sum to 1: divide by the sum.", " / (prior * likelihood).sum()", "")

    no_prior = wrong(
        "The prior is missing: a likely word is more likely to have been kept.",
        "prior * likelihood / (prior * likelihood).sum()",
        "likelihood / 0.2",
    )
