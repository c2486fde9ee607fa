"""Exercises of notebook 12: heads that back each other up, fair controls, clouds of vectors, and beliefs.

Conventions: `vectors` is a float tensor (n, size), one row for each occurrence of a word; `labels` is a list
of n labels.
"""

import itertools
import math
import zlib
from random import Random

import numpy as np
import torch

from course_utils.classroom.engine import exercise, stage, wrong


def _groups(check, sizes: list[int], size: int = 3) -> tuple[torch.Tensor, list[str]]:
    """Vectors (n, size) in loose groups, and their labels, in a mixed order."""
    middles = 2.0 * torch.randn(len(sizes), size, generator=check.generator)
    labels = [name for name, count in zip("abcd", sizes, strict=False) for _ in range(count)]
    order = torch.randperm(len(labels), generator=check.generator).tolist()
    labels = [labels[i] for i in order]
    noise = torch.randn(len(labels), size, generator=check.generator)
    return torch.stack([middles["abcd".index(label)] for label in labels]) + noise, labels


def _costs(check, n: int, base: float = 0.0) -> tuple[list[float], list[list[float]]]:
    """Costs of n heads and of all pairs; the diagonal holds what is no cost of a pair."""
    single = (base + 0.5 * check.rng.random(n)).round(3).tolist()
    joint = [[9.0] * n for _ in range(n)]
    for i, j in itertools.combinations(range(n), 2):
        joint[i][j] = joint[j][i] = round(single[i] + single[j] + float(check.rng.normal(0, 0.3)), 3)
    return single, joint


def _surplus(single: list[float], joint: list[list[float]]) -> tuple[int, int]:
    """The pair that costs most beyond the sum, all pairs written down and sorted."""
    table = [(joint[i][j] - (single[i] + single[j]), i, j) for i, j in _pairs(len(single))]
    return max(table)[1:]


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(i, j) for j in range(n) for i in range(j)]


@exercise
class backup:
    """Write `backup(single, joint)`: the two heads that back each other up, as a tuple (i, j) with i < j.

    `single` is a list of n costs, n at least 2: entry i is the rise of the loss with head i silenced.
    `joint` holds n lists of n costs: `joint[i][j]` is the rise with heads i and j both silenced, the same as
    `joint[j][i]`; `joint[i][i]` says nothing. Return the pair whose joint cost exceeds the sum of its two
    single costs by most. Heads are counted from 0; costs may be negative; no two pairs are tied.
    """

    hints = (
        "If two heads do different things, the costs add up. What is left over when you subtract the sum?",
        "`itertools.combinations(range(n), 2)` or two loops give every pair i < j once.",
        "`max(pairs, key=lambda pair: ...)` keeps the pair with the largest surplus.",
    )

    def solution(single, joint):
        pairs = [(i, j) for i in range(len(single)) for j in range(i + 1, len(single))]
        return max(pairs, key=lambda pair: joint[pair[0]][pair[1]] - single[pair[0]] - single[pair[1]])

    @stage("a pair (i, j) with i < j")
    def form(check):
        check.equal(check.call([0.1, 0.2], [[9.0, 0.5], [0.5, 9.0]]), (0, 1))
        for n in range(2, 7):
            single, joint = _costs(check, n)
            got = check.call(single, joint)
            both = len(got) == 2 and 0 <= got[0] < got[1] < n
            check.expect(both, f"A pair (i, j) with 0 <= i < j < {n} is wanted.")

    @stage("the largest surplus over the sum of the two")
    def values(check):
        # Two idle heads that stand in for each other, beside one that is costly on its own.
        single = [0.0, 0.5, 0.01, 0.02]
        joint = [[9.0, 0.5, 0.0, 0.02], [0.5, 9.0, 0.52, 0.55], [0.0, 0.52, 9.0, 0.3], [0.02, 0.55, 0.3, 9.0]]
        check.equal(check.call(single, joint), (2, 3))
        for n in range(3, 9):
            single, joint = _costs(check, n)
            check.equal(check.call(single, joint), _surplus(single, joint))

    @stage("also where silencing helps, and where no pair costs more than its sum")
    def negative(check):
        for n in range(3, 9):
            single, joint = _costs(check, n, base=-0.4)
            joint = [
                [cost - 3.0 if i != j else 9.0 for j, cost in enumerate(row)] for i, row in enumerate(joint)
            ]
            check.equal(check.call(single, joint), _surplus(single, joint))
        check.equal(check.call([0.0] * 3, [[9.0, -3.0, -2.0], [-3.0, 9.0, -1.0], [-2.0, -1.0, 9.0]]), (1, 2))

    most_costly = wrong(
        "This is the costliest pair; a pair of two costly heads need not back each other up.",
        "joint[pair[0]][pair[1]] - single[pair[0]] - single[pair[1]]",
        "joint[pair[0]][pair[1]]",
    )

    one_only = wrong(
        "Only one of the two single costs is subtracted: if the heads do different things, both add up.",
        " - single[pair[1]]",
        "",
    )

    itself = wrong(
        "A head is paired with itself: joint[i][i] says nothing.",
        "range(i + 1, len(single))",
        "range(i, len(single))",
    )

    @wrong("The two are the wrong way round: i < j.")
    def larger_first(single, joint):
        i, j = _surplus(single, joint)
        return j, i

    from_one = wrong(
        "These heads are counted from 1.",
        "return max(pairs, key=lambda pair: joint[pair[0]][pair[1]] - single[pair[0]] - single[pair[1]])",
        "best = max(pairs, key=lambda pair: joint[pair[0]][pair[1]] - single[pair[0]] - single[pair[1]])\n"
        "    return best[0] + 1, best[1] + 1",
    )

    least = wrong("This is the pair with the smallest surplus.", "return max(", "return min(")

    @wrong("The search begins at a surplus of 0, and every pair may be below it.")
    def from_zero(single, joint):
        best, most = (0, 1), 0.0
        for i, j in _pairs(len(single)):
            if (surplus := joint[i][j] - single[i] - single[j]) > most:
                best, most = (i, j), surplus
        return best

    @wrong("The surplus is a difference, not a factor: idle heads make any factor large.")
    def ratio(single, joint):
        return max(
            _pairs(len(single)), key=lambda p: joint[p[0]][p[1]] / (single[p[0]] + single[p[1]] + 1e-9)
        )


@exercise
class fair_selectivity:
    """Write `fair_selectivity(task, task_floor, control, control_floor)`: a float, the selectivity of a probe
    on one scale.

    `task` and `control` are accuracies from 0 to 1, the floors those of blind guessing, from 0 up to but
    without 1. Put each accuracy on the scale that is 0 for its floor and 1 for perfect, negative below the
    floor; return task minus control.
    """

    hints = (
        "How far is the accuracy above its floor, and how far could it be at most?",
        "On that scale an accuracy is (accuracy - floor) / (1 - floor).",
    )

    def solution(task, task_floor, control, control_floor):
        return (task - task_floor) / (1 - task_floor) - (control - control_floor) / (1 - control_floor)

    @stage("floors of 0: accuracy minus accuracy")
    def no_floor(check):
        for task, control in ((1.0, 0.0), (0.5, 0.5), (0.8, 0.6), (0.25, 0.75), (0.0, 1.0), (0.0, 0.0)):
            check.equal(check.call(task, 0.0, control, 0.0), task - control, tolerance=1e-6)

    @stage("each accuracy on its own scale")
    def values(check):
        check.equal(check.call(0.9, 0.8, 0.7, 0.4), 0.0, tolerance=1e-6)
        for _ in range(12):
            task_floor, control_floor = 0.9 * check.rng.random(2)
            task, control = (float(f + (1 - f) * check.rng.random()) for f in (task_floor, control_floor))
            of_task = 1 - (1 - task) / (1 - float(task_floor))
            of_control = 1 - (1 - control) / (1 - float(control_floor))
            got = check.call(task, float(task_floor), control, float(control_floor))
            check.equal(got, of_task - of_control, tolerance=1e-6)

    @stage("below the floor, and with a perfect probe")
    def edges(check):
        for task_floor, control_floor in ((0.5, 0.4), (0.3, 0.6), (0.8, 0.2)):
            check.equal(
                check.call(0.0, task_floor, 1.0, control_floor),
                -task_floor / (1 - task_floor) - 1,
                tolerance=1e-6,
            )
            check.equal(
                check.call(1.0, task_floor, 0.0, control_floor),
                1 + control_floor / (1 - control_floor),
                tolerance=1e-6,
            )

    @wrong("This is accuracy minus accuracy: the floors are left out.")
    def plain(task, task_floor, control, control_floor):
        return task - control

    @wrong("The floors are subtracted, but the room above them differs too: divide by 1 - floor.")
    def not_scaled(task, task_floor, control, control_floor):
        return (task - task_floor) - (control - control_floor)

    @wrong("This divides by the floor; what counts is the room above it, 1 - floor.")
    def by_floor(task, task_floor, control, control_floor):
        return task / (task_floor or 1.0) - control / (control_floor or 1.0)

    @wrong("Both are put on the scale of the task: the control has a floor of its own.")
    def one_scale(task, task_floor, control, control_floor):
        return (task - control) / (1 - task_floor)

    @wrong("Below its floor an accuracy counts as negative, not as 0.")
    def clipped(task, task_floor, control, control_floor):
        scaled = [max(0.0, (a - f) / (1 - f)) for a, f in ((task, task_floor), (control, control_floor))]
        return scaled[0] - scaled[1]

    @wrong("The sign is turned round: task minus control.")
    def turned_round(task, task_floor, control, control_floor):
        return (control - control_floor) / (1 - control_floor) - (task - task_floor) / (1 - task_floor)


def _silhouette(vectors: torch.Tensor, labels: list[str]) -> float:
    """Point by point, from the definition, in plain numbers."""
    rows, total = vectors.double().tolist(), 0.0
    for one, label in zip(rows, labels, strict=True):
        distances = {name: [] for name in labels}
        for other, name in zip(rows, labels, strict=True):
            distances[name].append(math.dist(one, other))
        own = distances.pop(label)  # 0 to itself among them
        a, b = sum(own) / (len(own) - 1), min(sum(each) / len(each) for each in distances.values())
        total += (b - a) / max(a, b)
    return total / len(rows)


@exercise
class silhouette:
    """Write `silhouette(vectors, labels)`: a float, the mean over rows of (b - a) / max(a, b).

    `vectors` is a float tensor (n, size), `labels` a list of n strings; every label occurs at least twice,
    and there are two labels or more. For a row, a is its mean Euclidean distance to the other rows of its
    label; b is the mean distance to the rows of another label, of the nearest one if there are several.
    """

    hints = (
        "`torch.cdist(vectors, vectors)` holds the Euclidean distances of all pairs, (n, n).",
        (
            "For a: the sum of the distances to the own group, divided by its size minus 1, since the row"
            " itself adds 0."
        ),
        "For b: one mean for each other label, and then the smallest of these means.",
    )

    def solution(vectors, labels):
        distances = torch.cdist(vectors, vectors)
        total = 0.0
        for i, label in enumerate(labels):
            means = {}
            for name in set(labels):
                members = [j for j, other in enumerate(labels) if other == name and j != i]
                means[name] = distances[i, members].mean().item()
            a = means.pop(label)
            b = min(means.values())
            total += (b - a) / max(a, b)
        return total / len(labels)

    @stage("two labels: (b - a) / max(a, b), where the row itself is not counted in a")
    def two_groups(check):
        for n in range(2, 8):
            vectors, labels = _groups(check, [n, n + 1])
            check.equal(check.call(vectors, labels), _silhouette(vectors, labels), tolerance=1e-4)

    @stage("more labels: b belongs to the nearest of the others")
    def more_groups(check):
        for n in range(2, 8):
            vectors, labels = _groups(check, [n, n + 2, 2])
            check.equal(check.call(vectors, labels), _silhouette(vectors, labels), tolerance=1e-4)

    counts_itself = wrong(
        "The row itself counts in a, with distance 0: divide by the size of the group minus 1.",
        " and j != i",
        "",
    )

    turned = wrong(
        "The sign is turned round: near to one's own and far from the others is positive.",
        "return total",
        "return -total",
    )

    pooled = wrong(
        "All other labels are thrown together for b: take the mean of each, and then the smallest.",
        "min(means.values())",
        "distances[i, [j for j, other in enumerate(labels) if other != label]].mean().item()",
    )

    squared = wrong(
        "These are squared distances: take the root.",
        "torch.cdist(vectors, vectors)",
        "torch.cdist(vectors, vectors) ** 2",
    )

    farthest = wrong(
        "b belongs to the farthest of the other groups; the nearest is wanted.", "min(means", "max(means"
    )

    @wrong("This is one fraction for all rows: divide row by row, and then take the mean.")
    def of_the_means(vectors, labels):
        distances, tops, bottoms = torch.cdist(vectors, vectors), 0.0, 0.0
        for i, label in enumerate(labels):
            means = {}
            for name in set(labels):
                members = [j for j, other in enumerate(labels) if other == name and j != i]
                means[name] = distances[i, members].mean().item()
            a = means.pop(label)
            tops, bottoms = tops + min(means.values()) - a, bottoms + max(a, min(means.values()))
        return tops / bottoms


def _words(check, kinds: int, n: int) -> list[str]:
    """n words of `kinds` different ones, each at least twice."""
    places = np.concatenate(
        [np.arange(kinds), np.arange(kinds), check.rng.integers(kinds, size=n - 2 * kinds)]
    )
    return [f"w{i}" for i in check.rng.permutation(places).tolist()]


class _HashedToday(str):
    """A word with a hash of its own, as strings have in each process."""

    __slots__ = ()

    def __hash__(self):
        return zlib.crc32(self.encode())


class _HashedTomorrow(_HashedToday):
    """The same word in another process."""

    __slots__ = ()

    def __hash__(self):
        return zlib.crc32(b"tomorrow " + self.encode())


@exercise
class control_labels:
    """Write `control_labels(words, num_labels, seed)`: a list of whole numbers, one a word, for a control
    task.

    `words` is a list of n strings in which words repeat. Each *different* word draws one label from 0 to
    num_labels - 1, all equally likely; wherever the word occurs, it has this label. The same `seed` (a whole
    number) gives the same labels, in another run of Python too, and another seed gives others.
    """

    hints = (
        "Draw once for each different word, keep the draws in a dict, then look each word up.",
        (
            "`dice = Random(seed)` draws alike for the same seed, and `dice.randrange(num_labels)` draws one"
            " label."
        ),
        "`dict.fromkeys(words)` gives the different words in the order in which they first occur.",
    )

    def stub(words, num_labels, seed):
        dice = Random(0)
        return [dice.randrange(num_labels) for word in words]

    def solution(words, num_labels, seed):
        dice, drawn = Random(seed), {}
        for word in words:
            if word not in drawn:
                drawn[word] = dice.randrange(num_labels)
        return [drawn[word] for word in words]

    @stage("one whole number from 0 to num_labels - 1 for each word of the list")
    def form(check):
        check.equal(check.call([], 3, 1), [], "Without words there are no labels.")
        check.equal(check.call(["w0", "w1", "w0"], 1, 1), [0, 0, 0], "With one label every word has it.")
        for n in range(10, 16):
            words, num_labels = _words(check, 5, n), n - 8
            got = check.call(words, num_labels, n)
            check.equal(len(got), n, "The number of labels is not that of the words.")
            is_label = [isinstance(label, int) and 0 <= label < num_labels for label in got]
            check.expect(all(is_label), f"Labels are ints from 0 to {num_labels - 1} here.")

    @stage("the same word has the same label everywhere")
    def same(check):
        for n in range(60, 66):
            words = _words(check, 20, n)
            got = check.call(words, 4, n)
            found = {}
            for word, label in zip(words, got, strict=True):
                found.setdefault(word, set()).add(label)
            alike = all(len(labels) == 1 for labels in found.values())
            check.expect(alike, "A word has other labels in other places.")

    @stage("the same labels tomorrow: no order of a set, no hash")
    def tomorrow(check):
        words = [f"w{i % 40}" for i in range(70)]
        for seed in range(5):
            today, tomorrow = (
                check.call([kind(word) for word in words], 5, seed)
                for kind in (_HashedToday, _HashedTomorrow)
            )
            check.expect(
                today == tomorrow,
                "Tomorrow the same seed would give other labels: Python hashes strings anew each time it"
                " starts, and the order of a set changes with it.",
            )

    @stage("labels are drawn at random, and the seed decides the draws")
    def drawn(check):
        for seed in range(5):
            words = [f"w{i}" for i in range(1500)]
            one, again, other = (check.call(words, 3, s) for s in (seed, seed, seed + 100))
            only = "The same seed must give the same labels: draw with a generator of this seed alone."
            check.expect(one == again, only)
            check.expect(one != other, "Another seed must give other labels.")
            counts = [one.count(label) for label in range(3)]
            check.expect(
                400 < min(counts) and max(counts) < 600,
                f"Of 1,500 words the labels have {counts}; about 500 each are wanted.",
            )
            after = [
                list(itertools.pairwise(one)).count(pair) for pair in itertools.product(range(3), repeat=2)
            ]
            check.expect(min(after) > 90, "The label of a word follows from that of the word before it.")

    @wrong("One word has two labels: draw for each different word, not for each place.")
    def each_place(words, num_labels, seed):
        dice = Random(seed)
        return [dice.randrange(num_labels) for _ in words]

    @wrong("Another seed gives the same labels: nothing is drawn with it.")
    def by_checksum(words, num_labels, seed):
        return [zlib.crc32(word.encode()) % num_labels for word in words]

    @wrong("Labels in turn are not drawn: nothing here is random.")
    def in_turn(words, num_labels, seed):
        place = {word: i for i, word in enumerate(dict.fromkeys(words))}
        return [(place[word] + seed) % num_labels for word in words]

    @wrong(
        "The order of a set is another one tomorrow, and with it the labels: go through the words in turn."
    )
    def in_the_order_of_a_set(words, num_labels, seed):
        dice = Random(seed)
        drawn = {word: dice.randrange(num_labels) for word in set(words)}
        return [drawn[word] for word in words]

    @wrong("Python hashes strings anew each time it starts: tomorrow these are other labels.")
    def by_hash(words, num_labels, seed):
        return [hash((seed, word)) % num_labels for word in words]

    mostly_zero = wrong(
        "Label 0 is drawn more often than the others: all are equally likely.",
        "dice.randrange(num_labels)",
        "max(0, dice.randrange(-5, num_labels))",
    )

    from_one = wrong(
        "These labels are counted from 1; the first one is 0.", "= dice.randrange", "= 1 + dice.randrange"
    )

    @wrong("This is one label for each different word: a word that repeats has its label each time.")
    def only_different(words, num_labels, seed):
        dice = Random(seed)
        return [dice.randrange(num_labels) for _ in set(words)]


def _bayes(prior: torch.Tensor, likelihood: torch.Tensor) -> torch.Tensor:
    """State by state and word by word, in double precision."""
    belief, found = prior.double().tolist(), []
    for row in likelihood.double().tolist():
        belief = [b * p for b, p in zip(belief, row, strict=True)]
        belief = [b / sum(belief) for b in belief]
        found.append(belief)
    return torch.tensor(found)


@exercise
class beliefs_after:
    """Write `beliefs_after(prior, likelihood)`: a float tensor (n, states), the belief after each of n words.

    `prior` is a float tensor (states,) that sums to 1: what is believed before the first word. `likelihood`
    is a float tensor (n, states): entry [j, z] is the probability of word j in state z, the words being
    independent given the state. Row j of the result is the posterior over states after words 0 to j, and sums
    to 1.
    """

    hints = (
        (
            "Bayes: the belief after a word is the belief before it, times the likelihood of the word,"
            " divided by its sum."
        ),
        "The belief after one word is the prior of the next: a loop, or a product that runs along the words.",
        "In the loop: `belief = belief * word`, divided by its sum, for `word` in `likelihood`.",
    )

    def solution(prior, likelihood):
        belief, rows = prior, []
        for word in likelihood:
            belief = belief * word / (belief * word).sum()  # a product over a long text would shrink to 0
            rows.append(belief)
        return torch.stack(rows)

    @stage("one word: prior times likelihood, divided by the sum")
    def one_word(check):
        for states in range(2, 8):
            prior = torch.rand(states, generator=check.generator).softmax(0)
            likelihood = torch.rand(1, states, generator=check.generator)
            got = check.tensor(check.call(prior, likelihood), (1, states), axes="(words, states)")
            check.equal(got, _bayes(prior, likelihood).float())

    @stage("more words: each begins where the last one ended")
    def more_words(check):
        for n in range(2, 8):
            prior = torch.rand(4, generator=check.generator).softmax(0)
            likelihood = 0.05 + torch.rand(n, 4, generator=check.generator)
            wanted = _bayes(prior, likelihood).float()
            check.equal(check.call(prior, likelihood), wanted)
        long = 0.02 + 0.02 * torch.rand(400, 3, generator=check.generator)  # their product is 0 in float32
        prior = torch.full((3,), 1 / 3)
        check.equal(check.call(prior, long), _bayes(prior, long).float(), tolerance=1e-3)

    @wrong("The rows do not sum to 1: divide each by its sum.")
    def not_divided(prior, likelihood):
        return prior * likelihood.cumprod(dim=0)

    @wrong("The columns sum to 1, not the rows: divide by the sum over the states.")
    def over_the_words(prior, likelihood):
        weight = prior * likelihood.cumprod(dim=0)
        return weight / weight.sum(dim=0)

    @wrong("The product over a long text shrinks to 0: divide after every word, or add logarithms.")
    def shrinks(prior, likelihood):
        weight = prior * likelihood.cumprod(dim=0)
        return weight / weight.sum(dim=1, keepdim=True)

    @wrong("The prior is left out.")
    def no_prior(prior, likelihood):
        weight = likelihood.cumprod(dim=0)
        return weight / weight.sum(dim=1, keepdim=True)

    @wrong("Each word begins with the prior again: what the words before have told is lost.")
    def forgets(prior, likelihood):
        weight = prior * likelihood
        return weight / weight.sum(dim=1, keepdim=True)

    @wrong("The rows come one too late: row 0 is the belief AFTER the first word.")
    def too_late(prior, likelihood):
        weight = prior * likelihood.cumprod(dim=0)
        after = weight / weight.sum(dim=1, keepdim=True)
        return after if len(after) == 1 else torch.cat([prior[None], after[:-1]])
