"""Exercises of notebook 12: measure what vectors hold, switch a head off, and update a belief.

Conventions: `vectors` is a float tensor (n, size), one row for each occurrence of a word; `labels` is a list
of n labels.
"""

import math
import zlib

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


def _nearest(vectors: torch.Tensor, labels: list[str], similarity) -> list[str]:
    """By going through all pairs: the label of each row's nearest other row."""
    rows = vectors.double().tolist()
    found = []
    for i, one in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i]
        found.append(labels[max(others, key=lambda j: similarity(one, rows[j]))])
    return found


def _dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _cosine(a: list[float], b: list[float]) -> float:
    return _dot(a, b) / math.sqrt(_dot(a, a) * _dot(b, b))


def _share(nearest: list[str], labels: list[str]) -> float:
    return sum(a == b for a, b in zip(nearest, labels, strict=True)) / len(labels)


@exercise
class neighbour_agreement:
    """Write `neighbour_agreement(vectors, labels)`: a float, the share of rows whose nearest other row has
    their label.

    `vectors` is a float tensor (n, size), `labels` a list of n strings. Near means: the largest cosine. A row
    is not its own neighbour.
    """

    hints = (
        "Divide each row by its length; then one matrix product gives the cosines of all pairs, (n, n).",
        "A row is nearest to itself: put minus infinity on the diagonal first, with `fill_diagonal_`.",
        (
            "`cosines.argmax(dim=1)` gives n places; compare `labels[place]` with the label of the row, and"
            " take the mean."
        ),
    )

    def solution(vectors, labels):
        unit = vectors / vectors.norm(dim=1, keepdim=True)
        cosines = unit @ unit.T
        cosines.fill_diagonal_(float("-inf"))
        nearest = cosines.argmax(dim=1).tolist()
        return sum(labels[i] == labels[j] for i, j in enumerate(nearest)) / len(labels)

    @stage("a share from 0 to 1, in which no row is its own neighbour")
    def form(check):
        for n in range(2, 8):
            vectors = torch.randn(n, 4, generator=check.generator)
            labels = [f"sense {i}" for i in range(n)]  # all different: no neighbour can agree
            check.equal(check.call(vectors, labels), 0.0)

    @stage("the nearest is the one with the largest cosine")
    def values(check):
        for _ in range(6):
            vectors, labels = _groups(check, [3, 4])
            vectors = vectors * torch.tensor([0.3, 1.0, 5.0, 2.0, 0.6, 8.0, 1.5])[:, None]
            check.equal(check.call(vectors, labels), _share(_nearest(vectors, labels, _cosine), labels))

    finds_itself = wrong(
        "Every row found itself: leave the row itself out of its neighbours.",
        'cosines.fill_diagonal_(float("-inf"))',
        "pass",
    )

    @wrong("These are the neighbours by dot product: divide by the lengths, or long rows win.")
    def dot_product(vectors, labels):
        return _share(_nearest(vectors, labels, _dot), labels)

    @wrong("These are the farthest rows: the largest cosine is wanted.")
    def farthest(vectors, labels):
        return _share(_nearest(vectors, labels, lambda a, b: -_cosine(a, b)), labels)

    @wrong("This is how many rows agree; the share is wanted.")
    def count(vectors, labels):
        return len(labels) * _share(_nearest(vectors, labels, _cosine), labels)


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


def _words(check, kinds: int, n: int) -> list[str]:
    """n words of `kinds` different ones, each at least twice."""
    places = np.concatenate(
        [np.arange(kinds), np.arange(kinds), check.rng.integers(kinds, size=n - 2 * kinds)]
    )
    return [f"w{i}" for i in check.rng.permutation(places).tolist()]


@exercise
class control_labels:
    """Write `control_labels(words, num_labels, seed)`: a list of whole numbers, one a word, for a control
    task.

    `words` is a list of n strings in which words repeat. Each *different* word draws one label from 0 to
    num_labels - 1, all equally likely; wherever the word occurs, it has this label. The same `seed` (a whole
    number) gives the same labels, another seed others.
    """

    hints = (
        "Draw once for each different word, keep the draws in a dict, then look each word up.",
        (
            "`generator = torch.Generator().manual_seed(seed)`, then"
            " `torch.randint(num_labels, (1,), generator=generator).item()`."
        ),
        "`dict.fromkeys(words)` gives the different words in the order in which they first occur.",
    )

    def solution(words, num_labels, seed):
        generator, drawn = torch.Generator().manual_seed(seed), {}
        for word in words:
            if word not in drawn:
                drawn[word] = torch.randint(num_labels, (1,), generator=generator).item()
        return [drawn[word] for word in words]

    @stage("one whole number from 0 to num_labels - 1 for each word of the list")
    def form(check):
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

    @stage("labels are drawn at random, and the seed settles them")
    def drawn(check):
        for seed in range(6):
            words = [f"w{i}" for i in range(300)]
            one, again, other = (check.call(words, 3, s) for s in (seed, seed, seed + 100))
            only = "The same seed must give the same labels: draw with a generator of this seed alone."
            check.expect(one == again, only)
            check.expect(one != other, "Another seed must give other labels.")
            counts = [one.count(label) for label in range(3)]
            check.expect(
                min(counts) > 60, f"Of 300 words the labels have {counts}, about 100 each are wanted."
            )

    @wrong("One word has two labels: draw for each different word, not for each place.")
    def each_place(words, num_labels, seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(num_labels, (len(words),), generator=generator).tolist()

    @wrong("Another seed gives the same labels: nothing is drawn with it.")
    def by_checksum(words, num_labels, seed):
        return [zlib.crc32(word.encode()) % num_labels for word in words]

    mostly_zero = wrong(
        "Label 0 is drawn more often than the others: all are equally likely.",
        "torch.randint(num_labels, (1,), generator=generator).item()",
        "max(0, torch.randint(-5, num_labels, (1,), generator=generator).item())",
    )

    from_one = wrong(
        "These labels are counted from 1; the first one is 0.", "= torch.randint", "= 1 + torch.randint"
    )

    @wrong("This is one label for each different word: a word that repeats has its label each time.")
    def only_different(words, num_labels, seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(num_labels, (len(set(words)),), generator=generator).tolist()


@exercise
class ablate_head:
    """Write `ablate_head(context, head, num_heads)`: the same tensor, in which one head says the same at
    every place.

    `context` is a float tensor (batch, seq_len, hidden_size): the outputs of all heads side by side, head 0
    first, each hidden_size / num_heads wide. In the result, every number of head `head` (counted from 0) is
    replaced by its mean over batch and seq_len; the others stay. The input is not edited.
    """

    hints = (
        (
            "Head h has the columns from h * size up to, and without, (h + 1) * size, with size = hidden_size"
            " // num_heads."
        ),
        "Work on a copy: `result = context.clone()`.",
        (
            "`part.mean(dim=(0, 1))` has one number for each column, and fits when it is put back: it"
            " broadcasts."
        ),
    )

    def solution(context, head, num_heads):
        size = context.shape[-1] // num_heads
        columns = slice(head * size, (head + 1) * size)
        result = context.clone()
        result[..., columns] = context[..., columns].mean(dim=(0, 1))
        return result

    @stage("only the columns of this head change")
    def columns(check):
        for num_heads in (2, 3, 4):
            for head in (0, num_heads - 1):
                context = torch.randn(2, 3, num_heads * 2, generator=check.generator)
                got = check.tensor(
                    check.call(context, head, num_heads), context.shape, axes="(batch, seq_len, hidden_size)"
                )
                changed = [c for c in range(num_heads * 2) if not torch.equal(got[..., c], context[..., c])]
                check.equal(
                    changed,
                    [2 * head, 2 * head + 1],
                    "The columns that change are not those of the head.",
                )

    @stage("what replaces it is its mean over batch and positions")
    def values(check):
        for batch in range(2, 8):
            context = 1 + torch.randn(batch, 4, 6, generator=check.generator)
            head, size = batch % 3, 2
            rows = context.double().flatten(0, 1).tolist()
            mean = [sum(row[c] for row in rows) / len(rows) for c in range(6)]
            mine = range(head * size, (head + 1) * size)

            def replaced(by, context=context, mine=mine):
                result = context.clone()
                for c in mine:
                    result[..., c] = by(c)
                return result

            check.equal(check.call(context, head, 3), replaced(lambda c, mean=mean: mean[c]))

    zeros = wrong(
        "The head is set to 0: that is a value it may never have had; its mean is wanted.",
        "context[..., columns].mean(dim=(0, 1))",
        "0",
    )

    mean_of_row = wrong(
        "Each row of the batch has a mean of its own: take one over batch and positions.",
        "dim=(0, 1)",
        "dim=1, keepdim=True",
    )

    interleaved = wrong(
        "Every num_heads-th column is taken: a head's columns stand side by side.",
        "slice(head * size, (head + 1) * size)",
        "slice(head, None, num_heads)",
    )

    @wrong("All columns change: only one head is to be silenced.")
    def everything(context, head, num_heads):
        return context.mean(dim=(0, 1)).expand(context.shape).clone()

    @wrong("The head is overwritten in the context that was handed over: begin with `context.clone()`.")
    def in_place(context, head, num_heads):
        size = context.shape[-1] // num_heads
        part = context[..., head * size : (head + 1) * size]
        part.copy_(part.mean(dim=(0, 1)).expand(part.shape).clone())
        return context


def _bayes(prior: torch.Tensor, likelihood: torch.Tensor) -> torch.Tensor:
    """State by state and word by word, in double precision."""
    belief, found = prior.double().tolist(), []
    for row in likelihood.double().tolist():
        belief = [b * p for b, p in zip(belief, row, strict=True)]
        belief = [b / sum(belief) for b in belief]
        found.append(belief)
    return torch.tensor(found)


@exercise
class beliefs:
    """Write `beliefs(prior, likelihood)`: a float tensor (n, states), what is believed after each of n words.

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

    @wrong("The rows do not sum to 1: divide each by its sum.")
    def not_divided(prior, likelihood):
        return prior * likelihood.cumprod(dim=0)

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
