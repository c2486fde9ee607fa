"""Exercises of notebook 08: negative pairs, easy and hard, sick losses, and a piece of exact reasoning.

Label 0 is IsNext, label 1 is NotNext, as in BERT.
"""

import math
from itertools import pairwise

import torch
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong


def _corpus(check, documents: int) -> tuple[list[tuple[str, str]], list[int]]:
    """True pairs of some documents and the document of each; all sentences have different names."""
    pairs, owners = [], []
    for d in range(documents):
        sentences = [f"{chr(97 + d)}{s}" for s in range(int(check.rng.integers(2, 5)))]
        pairs += list(pairwise(sentences))
        owners += [d] * (len(sentences) - 1)
    return pairs, owners


def _with_donors(pairs, negative, donors) -> list[tuple[str, str, int]]:
    """Negative pairs with exactly the donors given."""
    return [
        (first, pairs[donor][1], 1) if is_negative else (first, second, 0)
        for (first, second), is_negative, donor in zip(pairs, negative, donors, strict=True)
    ]


def _next_stranger(owners, i: int, donor: int) -> int:
    """The first pair from `donor` on, counted round, that is of another document than pair i."""
    places = [(donor + step) % len(owners) for step in range(len(owners))]
    return next(place for place in places if owners[place] != owners[i])


@exercise
class make_negative:
    """Write `make_negative(pairs, owners, negative, donors)`: a list of triples (first, second, label), one
    for each pair, in order.

    `pairs` is a list of true pairs (first, second), `owners` the number of the document of each. Where
    `negative[i]` is False the pair stays as it is, with label 0. Where it is True, its second part is
    replaced by the second part of pair number `donors[i]`, and the label is 1. If that donor is of the same
    document, take the next pair (after the last one comes number 0), and so on, until it is of another one.
    """

    hints = (
        (
            "Go through the pairs by number: `for i, (first, second) in enumerate(pairs)`. The label follows"
            " from negative[i]."
        ),
        "The donor of a negative pair starts at donors[i]. While owners[donor] == owners[i], go one further.",
        "`donor = (donor + 1) % len(pairs)` goes one further and comes round at the end.",
    )

    def solution(pairs, owners, negative, donors):
        triples = []
        for i, (first, second) in enumerate(pairs):
            if negative[i]:
                donor = donors[i]
                while owners[donor] == owners[i]:
                    donor = (donor + 1) % len(pairs)
                triples.append((first, pairs[donor][1], 1))
            else:
                triples.append((first, second, 0))
        return triples

    @stage("pairs that are not negative stay as they are, with label 0")
    def untouched(check):
        for documents in range(2, 8):
            pairs, owners = _corpus(check, documents)
            nothing = [False] * len(pairs)
            expected = _with_donors(pairs, nothing, [0] * len(pairs))
            check.equal(check.call(pairs, owners, nothing, [0] * len(pairs)), expected)

    @stage("a negative pair keeps its first part and takes the second part of its donor, with label 1")
    def donors_elsewhere(check):
        for documents in range(2, 8):
            pairs, owners = _corpus(check, documents)
            negative = [True, *(check.rng.random(len(pairs) - 1) < 0.5).tolist()]
            drawn = check.rng.integers(0, len(pairs), len(pairs)).tolist()
            donors = [_next_stranger(owners, i, donor) for i, donor in enumerate(drawn)]
            expected = _with_donors(pairs, negative, donors)
            check.equal(check.call(pairs, owners, negative, donors), expected)

    @stage("a donor is never of the same document")
    def strangers(check):
        for documents in range(2, 10):
            pairs, owners = _corpus(check, documents)
            negative = [True] * len(pairs)
            donors = [owners.index(owner) for owner in owners]  # the first pair of the same document
            expected = _with_donors(
                pairs, negative, [_next_stranger(owners, i, d) for i, d in enumerate(donors)]
            )
            check.equal(check.call(pairs, owners, negative, donors), expected)

    @wrong("IsNext is label 0: these pairs follow one another.")
    def labels_swapped(pairs, owners, negative, donors):
        found = [(i, _next_stranger(owners, i, donor)) for i, donor in enumerate(donors)]
        return [(pairs[i][0], pairs[donor][1], 0) if negative[i] else (*pairs[i], 1) for i, donor in found]

    @wrong("A negative pair is NotNext, label 1.")
    def always_zero(pairs, owners, negative, donors):
        found = [(i, _next_stranger(owners, i, donor)) for i, donor in enumerate(donors)]
        return [(pairs[i][0], pairs[donor if negative[i] else i][1], 0) for i, donor in found]

    @wrong("The first part has been replaced; the second part is the one to replace.")
    def replaces_the_first(pairs, owners, negative, donors):
        found = [(i, _next_stranger(owners, i, donor)) for i, donor in enumerate(donors)]
        return [(pairs[donor if negative[i] else i][0], pairs[i][1], int(negative[i])) for i, donor in found]

    @wrong("The donor is taken as it comes: some of these come from the same document.")
    def any_donor(pairs, owners, negative, donors):
        return [
            (first, pairs[donors[i]][1], 1) if negative[i] else (first, second, 0)
            for i, (first, second) in enumerate(pairs)
        ]

    @wrong("A pair is kept apart from itself only; compare the documents, `owners`.")
    def any_but_itself(pairs, owners, negative, donors):
        triples = []
        for i, (first, second) in enumerate(pairs):
            donor = (donors[i] + 1) % len(pairs) if donors[i] == i else donors[i]
            triples.append((first, pairs[donor][1], 1) if negative[i] else (first, second, 0))
        return triples

    @wrong("The label is missing: a triple for each pair.")
    def no_label(pairs, owners, negative, donors):
        return [
            (first, second)
            for first, second, _ in make_negative.model_answer(pairs, owners, negative, donors)
        ]

    @wrong("This takes the first part of the donor; its second part is wanted.")
    def first_of_the_donor(pairs, owners, negative, donors):
        found = [(i, _next_stranger(owners, i, donor)) for i, donor in enumerate(donors)]
        return [(pairs[i][0], pairs[donor][0], 1) if negative[i] else (*pairs[i], 0) for i, donor in found]


@exercise
class hard_negatives:
    """Write `hard_negatives(document, i)`: a list of the sentences that may take the place of the follower of
    sentence `i`, in the order of the document.

    `document` is a list of sentences (strings), and 0 <= i < len(document) - 1. The negative second sentence
    comes from the same document. It must not be the true follower, nor any sentence with the same text as
    the follower; not sentence `i` itself, nor one with its text; and not the first sentence of the document,
    which follows nothing (a later sentence with the same text may). One that occurs twice stands in the list
    twice. The list may be empty.
    """

    hints = (
        "Which sentences are candidates at all? All but the first: `document[1:]`.",
        "Of these leave out what has the text of document[i], or of document[i + 1].",
        "A list comprehension over document[1:] with `not in (document[i], document[i + 1])`.",
    )

    def solution(document, i):
        return [sentence for sentence in document[1:] if sentence not in document[i : i + 2]]

    @stage("a document whose sentences all differ")
    def all_differ(check):
        for length in range(2, 9):
            document = [f"{chr(97 + length)}{k}" for k in range(length)]
            for i in range(length - 1):
                expected = [document[k] for k in range(1, length) if k not in (i, i + 1)]
                check.equal(check.call(document, i), expected)

    @stage("a document that says a thing twice")
    def repeats(check):
        for document in (
            ["a", "b", "c", "b"], ["a", "b", "b", "c", "d"], ["a", "b", "a", "c"], ["a", "a", "b", "c", "b"],
            ["a", "a"], ["a", "b", "a", "b", "a"], ["a", "c", "b", "c", "b", "d"],
        ):  # fmt: skip
            for i in range(len(document) - 1):
                expected = []
                for k in range(1, len(document)):
                    if document[k] != document[i] and document[k] != document[i + 1]:
                        expected.append(document[k])
                check.equal(check.call(document, i), expected)

    @wrong("The first sentence of a document follows nothing: leave it out.")
    def with_the_first(document, i):
        return [sentence for sentence in document if sentence not in document[i : i + 2]]

    @wrong("The true follower is among them: such a pair would be labelled NotNext and follow all the same.")
    def with_the_follower(document, i):
        return [sentence for sentence in document[1:] if sentence != document[i]]

    @wrong("Sentence i itself is among them: a sentence does not follow itself here.")
    def with_itself(document, i):
        return [sentence for sentence in document[1:] if sentence != document[i + 1]]

    @wrong("A later sentence may repeat the first one: it does follow something, so it may serve.")
    def no_copy_of_the_first(document, i):
        return [sentence for sentence in document if sentence not in (document[0], *document[i : i + 2])]

    @wrong("A sentence that occurs twice stands in the list twice.")
    def each_once(document, i):
        return [s for s in dict.fromkeys(document[1:]) if s not in document[i : i + 2]]

    @wrong("This compares places. A later sentence with the text of the follower is no negative either.")
    def by_place(document, i):
        return [sentence for k, sentence in enumerate(document) if k not in (0, i, i + 1)]


@exercise
class opinion:
    """Write `opinion(loss)`: which constant answer costs this much?

    Half of the pairs are negative, and a model says the same P(IsNext) = P for every pair. Its mean loss is
    `loss` nats, a float: at least ln 2, but for rounding. Return P, a float; of the two that cost the same,
    the one that is not below one half.
    """

    hints = (
        "The mean loss is -(ln P + ln(1 - P)) / 2. What is P (1 - P), then?",
        "P (1 - P) = exp(-2 * loss) is a quadratic equation in P.",
        "P = 1/2 + sqrt(1/4 - exp(-2 * loss)). At ln 2 the root is 0, give or take rounding: `max(0, ...)`.",
    )

    def solution(loss):
        return 0.5 + math.sqrt(max(0.0, 0.25 - math.exp(-2 * loss)))

    @stage("answers with an opinion")
    def opinions(check):
        for p in (0.68, 0.75, 0.6, 0.9, 0.99, 0.55, 0.999):
            check.equal(check.call(-(math.log(p) + math.log(1 - p)) / 2), p)

    @stage("the coin, and a hair above it")
    def coin(check):
        # Around ln 2 the answer hangs on rounding: what is near enough to a half counts.
        ln2 = math.log(2)
        for loss in (ln2, math.nextafter(ln2, 0), math.nextafter(ln2, 1), 0.69314718055, ln2 + 1e-15):
            check.equal(check.call(loss), 0.5, tolerance=1e-4)

    @wrong("This is the P whose own logarithm costs that much; half of the pairs pay for 1 - P.")
    def one_side(loss):
        return math.exp(-loss)

    @wrong("This is the other solution, below one half.")
    def below(loss):
        return 0.5 - math.sqrt(max(0.0, 0.25 - math.exp(-2 * loss)))

    @wrong("The mean of the two logarithms halves them: the product P (1 - P) is exp(-2 * loss).")
    def without_the_two(loss):
        return 0.5 + math.sqrt(max(0.0, 0.25 - math.exp(-loss)))

    @wrong("At ln 2 the root is 0, and a hair below it, by rounding, as well: the coin says one half.")
    def lost_coin(loss):
        root = 0.25 - math.exp(-2 * loss)
        return 0.5 + math.sqrt(root) if root > 0 else 0.0


def _gradients(check, labels: torch.Tensor, ignored: int) -> torch.Tensor:
    """Gradient of the mean cross-entropy at random logits, (rows, 2), one class left out (or none: -100)."""
    counted = (labels != ignored)[:, None]
    gradients = torch.randn(len(labels), 2, generator=check.generator).softmax(dim=-1)
    gradients -= F.one_hot(labels, 2)
    return torch.where(counted, gradients / max(1, int(counted.sum())), 0.0)


@exercise
class hidden_class:
    """Write `hidden_class(labels, gradients)`: which class does this loss leave out?

    `labels` (rows,), int64, are the labels of a batch of pairs, 0 or 1; `gradients` (rows, 2) is the gradient
    of the loss at the logits. A class is hidden if the batch holds pairs of it and the gradient of each of
    them is exactly 0. Return its number, 0 or 1, and -1 if none is hidden. (Never both: there is always a
    pair that teaches something.)
    """

    hints = (
        "A pair that teaches something has a gradient that is not 0. Which labels do these pairs have?",
        "For each class: are there pairs with this label, and is the gradient of all of them exactly 0?",
        "`mine = labels == c`, then `mine.any() and not gradients[mine].any()`.",
    )
    time_limit = 20

    def solution(labels, gradients):
        for c in (0, 1):
            mine = labels == c
            if mine.any() and not gradients[mine].any():
                return c
        return -1

    @stage("batches of both classes")
    def both(check):
        for rows in (2, 3, 5, 8, 16):
            for ignored in (0, 1, -100):
                labels = torch.arange(rows).roll(rows // 2) % 2
                expected = ignored if ignored >= 0 else -1
                check.equal(check.call(labels, _gradients(check, labels, ignored)), expected)

    @stage("batches of one class only, and unequal ones")
    def uneven(check):
        for rows in (1, 2, 6):
            for only in (0, 1):
                labels = torch.full((rows,), only)
                check.equal(check.call(labels, _gradients(check, labels, -100)), -1)
        for rows in (4, 7):
            for rare in (0, 1):
                labels = torch.full((rows,), 1 - rare)
                labels[1] = rare
                for ignored in (0, 1, -100):
                    expected = ignored if ignored >= 0 else -1
                    check.equal(check.call(labels, _gradients(check, labels, ignored)), expected)

    @stage("a class of which one pair has no gradient and another has one")
    def sure_of_one(check):
        for rows in (4, 6, 9):
            for place in range(rows):
                labels = torch.arange(rows) % 2
                gradients = _gradients(check, labels, -100)
                gradients[place] = 0.0  # the model is certain of this pair, and right
                check.equal(check.call(labels, gradients), -1)

    @stage("a class of which a trained model is nearly certain")
    def nearly_certain(check):
        for rows in (4, 6, 9):
            for known in (0, 1):
                labels = torch.arange(rows) % 2
                gradients = _gradients(check, labels, -100)
                gradients[labels == known] *= 1e-6
                check.equal(check.call(labels, gradients), -1)

    @wrong("It is not always label 0: look at which pairs have no gradient.")
    def always_zero(labels, gradients):
        return 0

    @wrong("This names the class that is still there.")
    def the_other(labels, gradients):
        found = hidden_class.model_answer(labels, gradients)
        return 1 - found if found >= 0 else -1

    @wrong("A class that does not occur in the batch is not hidden: nothing was to be learnt from it.")
    def absent(labels, gradients):
        for c in (0, 1):
            if not gradients[labels == c].any():
                return c
        return -1

    @wrong("One pair without a gradient hides no class: none of its pairs may have one.")
    def one_is_enough(labels, gradients):
        still = ~gradients.any(dim=1)
        return int(labels[still][0]) if still.any() else -1

    @wrong("A small gradient is one all the same: the model is nearly certain of these pairs.")
    def small_is_none(labels, gradients):
        for c in (0, 1):
            mine = labels == c
            if mine.any() and gradients[mine].abs().max() < 1e-4:
                return c
        return -1

    @wrong("This counts the pairs of each class; the loss hides one by its gradient.")
    def by_count(labels, gradients):
        zeros, ones = int((labels == 0).sum()), int((labels == 1).sum())
        return 0 if zeros < ones else 1 if ones < zeros else -1


@exercise
class topic_posterior:
    """Write `topic_posterior(first, second)`: P(IsNext) from topics alone, as a tensor of shape ().

    `first` (topics,) holds P(topic) of the first sentence, judged by itself, and `second` (topics,) that of
    the second; each sums to 1. All topics are equally likely beforehand. Half of the pairs are negative; a
    true pair has one topic, and the topic of a negative pair's second sentence is drawn at random.
    """

    hints = (
        (
            "With T topics, how much more likely is the pair if both sentences share their topic than if the"
            " second is drawn at random?"
        ),
        (
            "If both topics are certain and equal, T times. If they are uncertain: T times the chance that"
            " they are equal, (first * second).sum()."
        ),
        (
            "That ratio is the odds of IsNext, since both hypotheses are equally likely beforehand. P = odds"
            " / (1 + odds)."
        ),
    )

    def solution(first, second):
        odds = len(first) * (first * second).sum()
        return odds / (1 + odds)

    @stage("two topics that are certain: T / (T + 1) if they are equal, 0 if not")
    def certain(check):
        for topics in range(2, 10):
            a, b = torch.eye(topics)[0], torch.eye(topics)[check.rng.integers(1, topics)]
            check.equal(check.tensor(check.call(a, a), ()), torch.tensor(topics / (topics + 1)))
            check.equal(check.tensor(check.call(a, b), ()), torch.tensor(0.0))

    @stage("a sentence that could be of any topic says nothing: one half")
    def nothing_known(check):
        for topics in range(2, 10):
            anything, certain = (
                torch.full((topics,), 1 / topics),
                torch.eye(topics)[check.rng.integers(topics)],
            )
            check.equal(check.tensor(check.call(anything, certain), ()), torch.tensor(0.5))
            check.equal(check.tensor(check.call(certain, anything), ()), torch.tensor(0.5))

    @stage("everything between: all topics, weighted")
    def mixed(check):
        for topics in range(2, 10):
            first, second = (torch.randn(topics, generator=check.generator).softmax(0) for _ in range(2))
            shared = sum(a * b for a, b in zip(first.tolist(), second.tolist(), strict=True))
            expected = 1 / (1 + (1 / topics) / shared)
            check.equal(check.tensor(check.call(first, second), ()), torch.tensor(expected))

    @wrong("A negative pair may share its topic by chance, once in T times: P is not 1.")
    def same_topic(first, second):
        return (first * second).sum()

    @wrong("These are the odds, T to 1; P is odds / (1 + odds).")
    def odds(first, second):
        return len(first) * (first * second).sum()

    no_count = wrong(
        "The number of topics is left out: the fewer documents share a topic by chance, the more it says.",
        "len(first) * (first",
        "(first",
    )

    @wrong("Only the best guess of each sentence counts here; use all topics with their probabilities.")
    def best_guess(first, second):
        topics = len(first)
        return torch.tensor(topics / (topics + 1) if first.argmax() == second.argmax() else 0.0)

    largest = wrong(
        "This multiplies the two largest numbers, though they belong to different topics.",
        "(first * second).sum()",
        "first.max() * second.max()",
    )

    overlap = wrong(
        "This takes the smaller of two probabilities; both must hold, so multiply them.",
        "(first * second).sum()",
        "torch.minimum(first, second).sum()",
    )
