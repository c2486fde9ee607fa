"""Exercises of notebook 15: pooling, ranks, the bound of a cosine, false negatives, how deep to rerank."""

import math
from functools import cache
from itertools import permutations

import torch
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong


@exercise
class max_pool:
    """Write `max_pool(states, attention_mask)`: for each row and hidden number the largest value over the
    real tokens, a tensor (batch, hidden_size).

    `states` is (batch, seq_len, hidden_size), `attention_mask` (batch, seq_len) with 1 for a real token and 0
    for padding; every row has at least one real token. What stands at padded positions must not matter.
    """

    hints = (
        "What must stand at a padded position so that it never is the largest?",
        "`states.masked_fill(attention_mask[:, :, None] == 0, -torch.inf)`, then `.amax(dim=1)`.",
    )

    def solution(states, attention_mask):
        hidden = states.masked_fill(attention_mask[:, :, None] == 0, -torch.inf)
        return hidden.amax(dim=1)

    @stage("without padding: the largest over the tokens, one number for each hidden number")
    def no_padding(check):
        for seq_len in range(1, 7):
            batch, size = int(check.rng.integers(1, 4)), int(check.rng.integers(1, 6))
            states = torch.randn(batch, seq_len, size, generator=check.generator)
            mask = torch.ones(batch, seq_len, dtype=torch.long)
            got = check.tensor(check.call(states, mask), (batch, size), axes="(batch, hidden_size)")
            check.equal(got, _largest(states, mask))
        check.equal(check.call(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.long)), torch.zeros(2, 4))

    @stage("what stands at padded positions does not matter")
    def padding(check):
        for longest in range(2, 8):
            lengths = check.rng.integers(1, longest + 1, size=4).tolist()
            mask = torch.tensor([[int(i < n) for i in range(longest)] for n in lengths])
            states = torch.randn(4, longest, 3, generator=check.generator)
            states[mask == 0] += 1e6
            for turned in ((), (1,)):  # padding on the right, then on the left
                row = (states.flip(turned), mask.flip(turned)) if turned else (states, mask)
                check.equal(check.call(*row), _largest(*row))

    @stage("also where all real values are negative")
    def negative(check):
        for longest in range(2, 8):
            mask = torch.tensor([[1] * longest, [1] + [0] * (longest - 1)])
            states = -1 - torch.rand(2, longest, 3, generator=check.generator)
            check.equal(check.call(states, mask), _largest(states, mask))
            huge = states * 1e12
            check.equal(check.call(huge, mask), _largest(huge, mask))

    @wrong("The mask is not used: padding can be the largest.")
    def unmasked(states, attention_mask):
        return states.amax(dim=1)

    @wrong("Padding becomes 0, which is the largest where all real values are negative.")
    def zeros(states, attention_mask):
        return (states * attention_mask[:, :, None]).amax(dim=1)

    @wrong("Padding can stand on the left as well: ask the mask which tokens are real, not how many.")
    def first_ones(states, attention_mask):
        real = attention_mask.sum(dim=1).tolist()
        return torch.stack([row[:n].amax(dim=0) for row, n in zip(states, real, strict=True)])

    not_low_enough = wrong(
        "A real value can be lower than this number; minus infinity is below all.", "-torch.inf", "-1e4"
    )

    @wrong("`max(dim=1)` gives the values and their places: take its `.values`.")
    def with_places(states, attention_mask):
        return states.masked_fill(attention_mask[:, :, None] == 0, -torch.inf).max(dim=1)

    wrong_axis = wrong("This is the largest over the hidden numbers, one for each token.", "dim=1", "dim=2")

    @wrong("This is the mean over the real tokens.")
    def mean(states, attention_mask):
        weights = attention_mask[:, :, None].float()
        return (states * weights).sum(1) / weights.sum(1)


def _largest(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Row by row, over the real tokens alone."""
    return torch.stack([row[real.bool()].max(dim=0).values for row, real in zip(states, mask, strict=True)])


@exercise
class reciprocal_rank:
    """Write `reciprocal_rank(scores, right)`: the expected 1 / rank of the candidate number `right`, a float.

    `scores` is a list of numbers, one for each candidate; a higher score stands further in front. Candidates
    with equal scores stand in a random order, every order as likely as any other.
    """

    hints = (
        "How many have a higher score, how many the same (itself included)?",
        "With h higher and e equal ones its rank is h + 1, h + 2, ..., h + e, each as likely.",
    )

    def solution(scores, right):
        higher = sum(score > scores[right] for score in scores)
        equal = sum(score == scores[right] for score in scores)
        return sum(1 / (higher + i) for i in range(1, equal + 1)) / equal

    @stage("without ties")
    def plain(check):
        check.equal(check.call([0.5, 0.9, 0.1], 0), 0.5)
        for n in range(1, 8):
            scores = check.rng.permutation(n).astype(float).tolist()
            right = int(check.rng.integers(n))
            check.equal(check.call(scores, right), 1 / (n - scores[right]))
            lower = [score - n for score in scores]  # below 0
            check.equal(check.call(lower, right), 1 / (n - scores[right]))

    @stage("equal scores in a random order")
    def ties(check):
        check.equal(check.call([0.9, 0.5, 0.5, 0.1], 2), (1 / 2 + 1 / 3) / 2)
        for n in range(2, 6):
            scores = check.rng.integers(0, 2, size=n).astype(float).tolist()
            right = int(check.rng.integers(n))
            check.equal(check.call(scores, right), _over_all_orders(scores, right))
        for n in range(2, 8):
            check.equal(check.call([0.0] * n, n - 1), sum(1 / i for i in range(1, n + 1)) / n)

    @wrong("This counts only higher scores: a model that says the same of everything would be perfect.")
    def kind(scores, right):
        return 1 / (1 + sum(score > scores[right] for score in scores))

    @wrong("This puts the right one behind all that are equal to it.")
    def strict(scores, right):
        return 1 / sum(score >= scores[right] for score in scores)

    @wrong("This is 1 / the expected rank; the mean of 1 / rank is larger.")
    def of_mean_rank(scores, right):
        higher = sum(score > scores[right] for score in scores)
        equal = sum(score == scores[right] for score in scores)
        return 1 / (higher + (equal + 1) / 2)

    @wrong("The ranks between the best and the worst of the equals are possible too.")
    def of_both_ends(scores, right):
        higher = sum(score > scores[right] for score in scores)
        equal = sum(score == scores[right] for score in scores)
        return (1 / (higher + 1) + 1 / (higher + equal)) / 2

    undivided = wrong("The ranks are added up here: a mean is asked for.", " / equal", "")

    @wrong("Among equals the first in the list is put in front; their order should be random.")
    def by_place(scores, right):
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        return 1 / (1 + order.index(right))

    @wrong("Higher scores stand in front, not lower ones.")
    def upside_down(scores, right):
        lower = sum(score < scores[right] for score in scores)
        equal = sum(score == scores[right] for score in scores)
        return sum(1 / (lower + i) for i in range(1, equal + 1)) / equal


def _over_all_orders(scores: list[float], right: int) -> float:
    """Every order of the candidates as likely, then sorted by score, equals left as they are."""
    found = []
    for order in permutations(range(len(scores))):
        ranked = sorted(order, key=lambda i: -scores[i])
        found.append(1 / (1 + ranked.index(right)))
    return sum(found) / len(found)


@exercise
class arrange:
    """Write `arrange(n)`: vectors of n queries and of n candidates whose InfoNCE is as low as cosines allow.

    Return two tensors, both (n, size); `size` is yours to choose. Candidate i is the right one of query i.
    The score of a query and a candidate is the cosine of their vectors, divided by a temperature, and the
    loss is the mean over all queries. No other vectors may have a lower loss, at any temperature; n is at
    least 2.
    """

    hints = (
        "Begin with `torch.eye(n)` for both: right pairs have the cosine 1, all others 0. Is 0 the lowest?",
        "All vectors should point away from each other. What do those of `torch.eye(n)` have in common?",
        "Their mean: every vector of `torch.eye(n)` less 1 / n. This is centring.",
    )

    def solution(n):
        # The cosine of a wrong pair is -1 / (n - 1). With n = 64 and a temperature of 1 that gives 3.17 nats.
        vectors = torch.eye(n) - 1 / n
        return vectors, vectors

    @stage("two tensors, a row for each of n texts, and none without a direction")
    def form(check):
        for n in range(2, 8):
            _vectors(check, n)

    @stage("two pairs: the wrong ones in opposite directions")
    def two(check):
        for temperature in (0.05, 0.2, 0.5, 1.0, 5.0):
            _hold_to_the_lowest(check, 2, temperature)

    @stage("three pairs and more: the lowest loss that cosines allow")
    def more(check):
        for n in (3, 4, 5, 8, 16, 64):
            for temperature in (0.2, 1.0, 5.0):
                _hold_to_the_lowest(check, n, temperature)

    @wrong("At a right angle to each other: the cosine of wrong pairs is 0 here, and it can be negative.")
    def right_angles(n):
        return torch.eye(n), torch.eye(n)

    @wrong("Query i and candidate i point in opposite directions: the right pair should have the cosine 1.")
    def opposed(n):
        vectors = torch.eye(n) - 1 / n
        return vectors, -vectors

    @wrong("With only two directions the third pair lies on the first: a wrong candidate with the cosine 1.")
    def two_directions(n):
        signs = torch.tensor([[(-1.0) ** i] for i in range(n)])
        return signs, signs

    @wrong("On a circle neighbours come close where there are more than three: use more than two numbers.")
    def circle(n):
        angles = torch.arange(n) * (2 * math.pi / n)
        vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
        return vectors, vectors

    @wrong("All vectors are the same here: that is the loss of guessing.")
    def one_place(n):
        return torch.ones(n, 3), torch.ones(n, 3)

    @wrong("The queries are centred and the candidates are not: the cosines of wrong pairs can be lower.")
    def half_centred(n):
        return torch.eye(n) - 1 / n, torch.eye(n)

    @wrong("The first vector is all zeros, and zeros point nowhere.")
    def from_zero(n):
        vectors = torch.arange(n)[:, None].float()
        return vectors, vectors


def _vectors(check, n: int) -> list[torch.Tensor]:
    """What `arrange(n)` returns, as two tables of n rows, scaled to length 1."""
    returned = check.call(n)
    check.expect(
        isinstance(returned, tuple | list) and len(returned) == 2,
        "Two tensors are asked for, the queries and the candidates.",
    )
    tables = [torch.as_tensor(table, dtype=torch.float64) for table in returned]
    check.expect(
        all(table.dim() == 2 and len(table) == n for table in tables)
        and tables[0].shape == tables[1].shape
        and tables[0].shape[1] > 0,
        f"Both have {n} rows for n = {n}, and as many columns as each other.",
    )
    check.expect(
        all(bool(table.isfinite().all()) and bool((table.norm(dim=1) > 1e-6).all()) for table in tables),
        "A row of zeros has no direction, and no cosine.",
    )
    return [F.normalize(table, dim=1) for table in tables]


def _hold_to_the_lowest(check, n: int, temperature: float) -> None:
    queries, candidates = _vectors(check, n)
    loss = F.cross_entropy(queries @ candidates.T / temperature, torch.arange(n)).item()
    # By Jensen's inequality no loss is below that of the mean difference of cosines, right less wrong, and
    # for vectors of length 1 that mean is n / (n - 1) at most.
    lowest = math.log1p((n - 1) * math.exp(-n / (n - 1) / temperature))
    words = (
        f"At a temperature of {temperature:g} your loss is {loss:.4f} nats, and {lowest:.4f} can be reached."
    )
    check.expect(loss - lowest <= 1e-5 * max(1.0, lowest), words)


@cache
def _stored() -> dict:
    """The setups of the stored experiment, by name."""
    from course_utils.lessons.sentence_vectors import experiment  # not before it is asked for

    return experiment.load()["setups"]


def _mean(values) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


TEMPERATURES = (0.001, 0.01, 0.05, 1)


@exercise
class cosines_apart:
    """Predict `cosines_apart`: how far apart training leaves the cosines of a query's possible candidates.

    A list of four numbers, for encoders that were trained with the temperatures 0.001, 0.01, 0.05 and 1: the
    highest cosine less the lowest, on average over the queries. The exact PMI of these candidates is 3.4 nats
    apart, on average. A prediction within a factor of 2 of what was measured passes.
    """

    hints = (
        "What is compared with the PMI is the score, and the score is the cosine divided by the temperature.",
        "Training wants scores about 3.4 nats apart, at every temperature. Which cosines give these?",
        "3.4 times the temperature. At 1 that would be 3.4: how far apart can two cosines be?",
    )

    solution = [0.0034, 0.034, 0.17, 2.0]  # noqa: RUF012 (a value, not a default)

    @stage("four distances that cosines can have")
    def form(check):
        check.expect(
            isinstance(check.answer, tuple | list)
            and len(check.answer) == len(TEMPERATURES)
            and all(isinstance(each, int | float) for each in check.answer),
            "Four numbers are asked for, one for each temperature.",
        )
        check.expect(all(0 < each <= 2 for each in check.answer), "A cosine lies from -1 to 1.")

    @stage("a temperature of 0.05 and below")
    def small(check):
        for place in (2, 1, 0):
            _hold_to_the_measured(check, place)

    @stage("a temperature of 1")
    def one(check):
        _hold_to_the_measured(check, 3)

    unbounded = wrong("3.4 is wanted at a temperature of 1 too, but two cosines cannot be that far apart.")(
        [0.0034, 0.034, 0.17, 3.4]
    )
    the_same = wrong("The scores, not the cosines, come to the same distance at every temperature.")(
        [0.5, 0.5, 0.5, 0.5]
    )
    collapsed = wrong("At 1 the cosines spread as far as they can, since the scores have no other way.")(
        [0.0034, 0.034, 0.17, 0.1]
    )
    in_nats = wrong("These are the distances of the scores; a cosine is the score times the temperature.")(
        [2.0, 2.0, 2.0, 2.0]
    )


def _hold_to_the_measured(check, place: int) -> None:
    temperature = TEMPERATURES[place]
    runs = _stored()[f"cosine / {temperature:g}"]["runs"]
    measured = _mean(run["cosines"]["of possible"] for run in runs)
    check.expect(
        measured / 2 <= check.answer[place] <= measured * 2,
        f"At a temperature of {temperature:g} {check.answer[place]:g} is far from what was measured.",
    )


@exercise
class best_scores:
    """Write `best_scores(joint, negatives)`: the scores to which InfoNCE converges with chosen negatives.

    `joint` is (queries, candidates), P(a, b) of the true pairs. Each negative of query a is drawn from row a
    of `negatives`, which has the same shape and rows that sum to 1. No number in either is 0. Return a tensor
    of that shape, with the mean of each row taken away.
    """

    hints = (
        "Drawn from P(b), the scores converge to log P(b | a) / P(b). Where does P(b) come from?",
        "From Bayes' rule, where it is the chance to draw b as a negative. Put the new chance in its place.",
        "The logarithm of `joint / negatives`, less the mean of its row. (P(a) is a constant of the row.)",
    )

    def solution(joint, negatives):
        scores = (joint / negatives).log()
        return scores - scores.mean(dim=1, keepdim=True)

    @stage("drawn from P(b), as in a batch: the PMI, less the mean of each row")
    def in_batch(check):
        for queries in range(2, 8):
            joint = _joint(check, queries, int(check.rng.integers(2, 6)))
            overall = joint.sum(dim=0).expand(joint.shape).clone()
            got = check.tensor(check.call(joint, overall), tuple(joint.shape), axes="(queries, candidates)")
            check.equal(got, _centred(joint.log() - overall.log()))
        check.equal(check.call(torch.full((2, 3), 1 / 6), torch.full((2, 3), 1 / 3)), torch.zeros(2, 3))

    @stage("drawn from any other table; from P(b | a), which leaves nothing to learn")
    def any_table(check):
        for queries in range(2, 8):
            joint = _joint(check, queries, int(check.rng.integers(2, 6)))
            check.equal(check.call(joint, joint / joint.sum(dim=1, keepdim=True)), torch.zeros_like(joint))
            other = _joint(check, *joint.shape)
            other = other / other.sum(dim=1, keepdim=True)
            check.equal(check.call(joint, other), _centred(joint.log() - other.log()))
            chosen = joint**2 / (joint**2).sum(dim=1, keepdim=True)
            check.equal(check.call(joint, chosen), _centred(-joint.log()))

    @wrong("That is the PMI, whatever the negatives are; but the loss compares with those that it sees.")
    def always_pmi(joint, negatives):
        scores = (joint / joint.sum(dim=0)).log()
        return scores - scores.mean(dim=1, keepdim=True)

    @wrong("These are the chances; the scores are their logarithms.")
    def ratios(joint, negatives):
        scores = joint / negatives
        return scores - scores.mean(dim=1, keepdim=True)

    turned = wrong(
        "Turned over: what is often drawn as a negative should score lower.",
        "joint / negatives",
        "negatives / joint",
    )

    @wrong("The negatives have no part in this: these are the scores of true pairs alone.")
    def true_pairs(joint, negatives):
        scores = joint.log()
        return scores - scores.mean(dim=1, keepdim=True)

    @wrong("The mean of each row is to be taken away, not that of each column.")
    def by_column(joint, negatives):
        scores = (joint / negatives).log()
        return scores - scores.mean(dim=0, keepdim=True)

    @wrong("The mean of each row is still in it.")
    def with_mean(joint, negatives):
        return (joint / joint.sum(dim=1, keepdim=True) / negatives).log()

    @wrong("The PMI is counted twice: the negatives take the place of P(b).")
    def twice(joint, negatives):
        scores = (joint / joint.sum(dim=0) / negatives).log()
        return scores - scores.mean(dim=1, keepdim=True)


def _joint(check, queries: int, candidates: int) -> torch.Tensor:
    """Probabilities of pairs, none of them 0."""
    table = 0.1 + torch.rand(queries, candidates, generator=check.generator)
    return table / table.sum()


def _centred(table: torch.Tensor) -> torch.Tensor:
    return table - table.mean(dim=1, keepdim=True)


BUDGETS = (1, 3, 30)  # GFLOP a query
DEPTHS = (0, 10, 30, 100, 300, 1000)
ONE_ROW, PRODUCT, PAIR_ROW = 10.8e6, 256, 20.5e6  # FLOP, as the notebook counts them with the profiler


def _cost(depth: int) -> float:
    """GFLOP to search among 1,000 candidates and rerank the first `depth`."""
    return (ONE_ROW + 1000 * PRODUCT + depth * PAIR_ROW) / 1e9


def _recall(depth: int) -> float:
    runs = _stored()["cosine / 0.05"]["runs"]
    return _mean(run["reranked"][str(depth)]["recall at 10"] for run in runs)


@exercise
class plan:
    """Give `plan`, three depths: how many candidates to rerank if a query may cost 1, 3 or 30 GFLOP.

    Choose among the depths of the stored experiment, 0, 10, 30, 100, 300 and 1000: the one with the highest
    recall at 10, as a mean over the three seeds, that the budget pays. A query costs one pass over a
    sentence, 1,000 products, and one pass over a pair for each candidate that is reranked.
    """

    hints = (
        "What does a depth cost? `one_row + 1000 * product + depth * pair_row`, in FLOP.",
        'For each of `stored["setups"]["cosine / 0.05"]["runs"]`: `run["reranked"]["30"]["recall at 10"]`.',
        "30 GFLOP pay for all 1,000 candidates. Is the recall highest there?",
    )

    solution = [30, 30, 30]  # noqa: RUF012 (a value, not a default)

    @stage("three depths of the experiment")
    def form(check):
        check.expect(
            isinstance(check.answer, tuple | list)
            and len(check.answer) == 3
            and all(depth in DEPTHS for depth in check.answer),
            "Three of the depths 0, 10, 30, 100, 300 and 1000 are asked for, one for each budget.",
        )

    @stage("each can be paid")
    def paid(check):
        for depth, budget in zip(check.answer, BUDGETS, strict=True):
            cost = _cost(depth)
            check.expect(
                cost <= budget, f"To rerank {depth} costs {cost:.1f} GFLOP, and {budget} may be spent."
            )

    @stage("none that can be paid finds more")
    def best(check):
        for depth, budget in zip(check.answer, BUDGETS, strict=True):
            paid = [each for each in DEPTHS if _cost(each) <= budget]
            best = max(map(_recall, paid))
            check.expect(
                _recall(depth) == best, f"With {budget} GFLOP there is a depth that finds more than {depth}."
            )

    deepest = wrong(
        "The deepest that can be paid is not the best: deeper ends at what the cross-encoder finds."
    )([30, 100, 1000])
    shallow = wrong("Reordering the first ten cannot change the recall at 10.")([10, 10, 10])
    unpaid = wrong("1 GFLOP does not pay for so many passes over pairs.")([100, 100, 1000])
    one_number = wrong("Three budgets, three depths: a list.")(30)
