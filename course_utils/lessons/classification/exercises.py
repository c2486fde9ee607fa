"""Exercises of notebook 10: the head by hand, a review that no bag tells apart, long texts, a temperature,
and the F1 of all classes.
"""

import math
import re
from collections import Counter

import torch

from course_utils.classroom.engine import exercise, stage, wrong
from course_utils.toy.tasks import CLAUSES, OPINIONS, SLOTS, reviews


@exercise
class review_logits:
    """Write `review_logits(cls_state, pooler_weight, pooler_bias, weight, bias)`: the logits (num_labels,) of
    a text.

    `cls_state` (hidden_size,) is the last hidden state of [CLS]. The pooler is a Linear layer with
    `pooler_weight` (hidden_size, hidden_size) and `pooler_bias` (hidden_size,), then tanh; the classifier is
    a Linear layer with `weight` (num_labels, hidden_size) and `bias` (num_labels,). As in PyTorch, row k of a
    weight belongs to output k.
    """

    hints = (
        "Two Linear layers with one tanh between them. A Linear layer is `weight @ x + bias`.",
        "`pooled = (pooler_weight @ cls_state + pooler_bias).tanh()`; the classifier reads `pooled`.",
    )

    def solution(cls_state, pooler_weight, pooler_bias, weight, bias):
        pooled = (pooler_weight @ cls_state + pooler_bias).tanh()
        return weight @ pooled + bias

    @stage("one logit for each label")
    def form(check):
        for num_labels in range(2, 8):
            inputs = _head(check, 4, num_labels)
            check.tensor(check.call(*inputs), (num_labels,), axes="(label)")

    @stage("pooler first, then the classifier")
    def values(check):
        for size in range(2, 8):
            state, pooler_weight, pooler_bias, weight, bias = inputs = _head(check, size, 3)
            linear = torch.nn.functional.linear
            pooled = linear(state, pooler_weight, pooler_bias)
            check.equal(check.call(*inputs), linear(pooled.tanh(), weight, bias))

    @wrong("The [CLS] state went straight to the classifier: the pooler comes first.")
    def no_pooler(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ cls_state + bias

    @wrong("The tanh of the pooler is missing.")
    def no_tanh(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ (pooler_weight @ cls_state + pooler_bias) + bias

    @wrong("The weight of the pooler is the wrong way round: row k belongs to output k.")
    def transposed(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ (pooler_weight.T @ cls_state + pooler_bias).tanh() + bias

    @wrong("A bias was left out.")
    def no_bias(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ (pooler_weight @ cls_state).tanh()

    @wrong("This is what the pooler returns; the classifier comes after it.")
    def only_the_pooler(cls_state, pooler_weight, pooler_bias, weight, bias):
        return (pooler_weight @ cls_state + pooler_bias).tanh()

    @wrong("These are probabilities. The logits are what goes into the softmax.")
    def probabilities(cls_state, pooler_weight, pooler_bias, weight, bias):
        return (weight @ (pooler_weight @ cls_state + pooler_bias).tanh() + bias).softmax(dim=0)

    @wrong("The bias of the pooler is part of its Linear layer: it is added before the tanh.")
    def bias_after_tanh(cls_state, pooler_weight, pooler_bias, weight, bias):
        return weight @ ((pooler_weight @ cls_state).tanh() + pooler_bias) + bias

    @wrong("The tanh belongs to the pooler: logits are not squeezed.")
    def squeezed(cls_state, pooler_weight, pooler_bias, weight, bias):
        return (weight @ (pooler_weight @ cls_state + pooler_bias) + bias).tanh()


def _head(check, size: int, num_labels: int) -> tuple[torch.Tensor, ...]:
    """A [CLS] state and the four parameters of a head, with one decimal each."""

    def draw(*shape):
        return torch.randn(*shape, generator=check.generator).round(decimals=1)

    return draw(size), draw(size, size), draw(size), draw(num_labels, size), draw(num_labels) + 0.3


def _clause_patterns() -> list[re.Pattern]:
    """One pattern for each form of a clause; "opinion" is the word that decides, "no" a "not" before it."""

    def one_of(words) -> str:
        return "|".join(sorted(words))

    slots = {name: f"({one_of(SLOTS[name])})" for name in ("one", "many", "film")}
    for name, pairs in OPINIONS.items():
        both = f"(?P<opinion>{one_of(word for pair in pairs for word in pair)})"
        slots[name] = both if name == "liked" else f"(?P<no>not )?{both}"
    slots["a_great"] = slots["great"].replace("(?P<no>not )?", "(?P<no>not )?a ")
    return [re.compile(re.sub(r"\{(\w+)\}", lambda m: slots[m.group(1)], form)) for form in CLAUSES]


PATTERNS = _clause_patterns()
POSITIVE = {pair[0] for pairs in OPINIONS.values() for pair in pairs}


def _opinion(clause: str) -> bool | None:
    """Whether a clause praises; None if it is no clause of a review."""
    found = [match for pattern in PATTERNS if (match := pattern.fullmatch(clause))]
    if not found:
        return None
    negated = bool(found[0].groupdict().get("no"))
    return (found[0]["opinion"] in POSITIVE) != negated


def _label(review: str) -> int | None:
    """The label of a review of two clauses with a "but", by the rule; None if it is not of this form."""
    opinions = [_opinion(clause) for clause in review.split(" but ")]
    if len(opinions) != 2 or None in opinions or opinions[0] == opinions[1]:
        return None
    return int(opinions[1])


@exercise
class bag_twin:
    """Write `bag_twin(review)`: a review with the same bag of words as `review`, and the opposite label.

    `review` is a text of two clauses that disagree, joined by "but". What you return must be such a review
    too: the same words, each as often, in two clauses of the forms that our reviews have, joined by "but".
    """

    hints = (
        'Only the clause behind the "but" counts. Which clause would have to stand there?',
        '`first, last = review.split(" but ")`.',
    )

    def solution(review):
        first, last = review.split(" but ")
        return f"{last} but {first}"

    @stage("the two reviews of this notebook")
    def example(check):
        for pair in OPINIONS["fine"]:
            for first, last in (pair, pair[::-1]):
                _hold_twin(check, f"the story was {first} but the actors were {last}")

    @stage('reviews of all forms, some with a "not"')
    def many(check):
        contrasts = [e.text for e in reviews(200, seed=3) if _label(e.text) is not None]
        for review in contrasts[:30]:
            _hold_twin(check, review)

    @wrong("This is the same review: it has the same label.")
    def unchanged(review):
        return review

    @wrong("The words have the right counts, but in this order they are no review.")
    def backwards(review):
        return " ".join(reversed(review.split()))

    @wrong("This turns the label round with a word more: another bag.")
    def one_not(review):
        return review.replace(" but ", " but not ")

    joined_by_and = wrong('There is no "but" any more: another bag, and no contrast.', " but {", " and {")

    @wrong("Only the last words change places; the opinion may stand elsewhere, or behind a 'not'.")
    def last_words(review):
        first, last = (clause.split() for clause in review.split(" but "))
        first[-1], last[-1] = last[-1], first[-1]
        return " ".join([*first, "but", *last])


def _hold_twin(check, review: str) -> None:
    got = check.call(review)
    check.expect(isinstance(got, str), "A text is wanted, a string.")
    check.expect(Counter(got.split()) == Counter(review.split()), "The two have different bags.")
    check.expect(_label(got) is not None, "What came is no review of two clauses that disagree.")
    check.expect(_label(got) != _label(review), "Both have the same label.")


@exercise
class head_and_tail:
    """Write `head_and_tail(ids, room, head)`: the pieces of a long text that a model of `room` pieces reads.

    `ids` is a list of ints. If it fits, all of it is read. If not: its first `head` pieces and as many of its
    last ones as there is room for, in their order. 0 <= head <= room, and room is 1 or more.
    """

    hints = (
        "Two cases go wrong with `ids[:head] + ids[-(room - head):]`. Try a short text, and head = room.",
        "`ids[-0:]` is the whole list. Count from the front: where does the tail begin?",
        "The tail begins at `len(ids) - (room - head)`, if the text does not fit.",
    )

    def solution(ids, room, head):
        if len(ids) <= room:
            return ids
        return ids[:head] + ids[len(ids) - (room - head) :]

    @stage("a long text: the first pieces and the last ones")
    def long(check):
        for room in range(4, 12):
            ids = check.rng.integers(5, 12, size=2 * room + 3).tolist()
            head = int(check.rng.integers(1, room))
            check.equal(check.call(ids, room, head), _kept(ids, room, head))

    @stage("a text that fits stays as it is, also one of no piece")
    def fits(check):
        for length in range(9):
            ids = check.rng.integers(5, 12, size=length).tolist()
            check.equal(check.call(ids, 8, 5), ids, "It fits: nothing is cut, nothing doubled.")

    @stage("all room for the head, or none")
    def edges(check):
        for room in range(1, 7):
            ids = check.rng.integers(5, 12, size=room + 4).tolist()
            check.equal(check.call(ids, room, room), ids[:room])
            check.equal(check.call(ids, room, 0), ids[4:])

    @wrong("A text that fits comes back with pieces twice.")
    def doubled(ids, room, head):
        return ids[:head] + ids[max(0, len(ids) - (room - head)) :]

    @wrong("A piece that occurs twice in the text is kept twice: no position is doubled, but pieces may be.")
    def no_piece_twice(ids, room, head):
        kept = ids if len(ids) <= room else ids[:head] + ids[len(ids) - (room - head) :]
        return list(dict.fromkeys(kept))

    @wrong("With no room left for the tail, `ids[-0:]` is the whole text.")
    def minus_zero(ids, room, head):
        return ids if len(ids) <= room else ids[:head] + ids[-(room - head) :]

    head_only = wrong(
        "This is the head alone; the tail is missing.",
        "ids[:head] + ids[len(ids) - (room - head) :]",
        "ids[:room]",
    )

    tail_only = wrong(
        "This is the tail alone.", "ids[:head] + ids[len(ids) - (room - head) :]", "ids[len(ids) - room :]"
    )

    too_many = wrong(
        "The tail has as many pieces as the room, so the two together are too long.", "(room - head)", "room"
    )

    @wrong("The tail comes first here; the order of the text is to be kept.")
    def turned(ids, room, head):
        return ids if len(ids) <= room else ids[len(ids) - (room - head) :] + ids[:head]


def _kept(ids: list[int], room: int, head: int) -> list[int]:
    """The truth to compare with: by position."""
    return [piece for i, piece in enumerate(ids) if i < head or i >= len(ids) - room + head]


@exercise
class temperature_for:
    """Write `temperature_for(margin, wanted)`: the temperature, a float, that makes a model say `wanted`.

    There are two labels; the logit of the guess is `margin` above the other, and the logits are divided by
    the temperature before the softmax. margin > 0 and 0.5 < wanted < 1.
    """

    hints = (
        "The softmax of two logits that differ by d gives the larger one 1 / (1 + exp(-d)). What is d here?",
        "d = margin / temperature. Solve wanted = 1 / (1 + exp(-d)) for d first.",
        "d = ln(wanted / (1 - wanted)).",
    )

    def solution(margin, wanted):
        return margin / math.log(wanted / (1 - wanted))

    @stage("0.9 said where 0.7 would be right")
    def example(check):
        margin = math.log(0.9 / 0.1)
        for wanted in (0.7, 0.6, 0.75, 0.8, 0.85):
            check.equal(check.call(margin, wanted), margin / (2 * math.atanh(2 * wanted - 1)))

    @stage("small and large margins, and probabilities near a half and near 1")
    def many(check):
        for margin in (0.01, 0.5, 3.0, 40.0, 2000.0):
            for wanted in (0.501, 0.55, 0.75, 0.999, 0.999999):
                check.equal(check.call(margin, wanted), margin / (2 * math.atanh(2 * wanted - 1)))

    @wrong("Turned over: the logits are divided by the temperature, not multiplied.")
    def inverse(margin, wanted):
        return math.log(wanted / (1 - wanted)) / margin

    @wrong("The probability itself is no difference of logits; its log-odds are.")
    def plain(margin, wanted):
        return margin / wanted

    only_one = wrong(
        "The other label has 1 - wanted: the logarithm of the ratio of both is needed.",
        "wanted / (1 - wanted)",
        "1 / wanted",
    )

    bits = wrong("This is a logarithm to base 2; the softmax has e.", "math.log", "math.log2")

    decimal = wrong("This is a logarithm to base 10; the softmax has e.", "math.log", "math.log10")

    multiplied = wrong(
        "The logits are divided by the temperature: solve for it once more.", "margin /", "margin *"
    )

    against_now = wrong(
        "The temperature does not depend on where the probability stands now, but on the margin.",
        "margin /",
        "1 / (1 + math.exp(-min(margin, 700))) /",
    )

    @wrong("A temperature below 1 makes a model surer; that may be wanted too.")
    def never_surer(margin, wanted):
        return max(1.0, margin / math.log(wanted / (1 - wanted)))


@exercise
class macro_f1:
    """Write `macro_f1(matrix)`: the mean of the F1 of all classes, a float, from a confusion matrix.

    `matrix` is an int64 tensor (num_labels, num_labels): row = label, column = guess. The F1 of a class is
    2 * right / (examples of the class + guesses of the class). A class of which nothing was guessed right has
    F1 0, also one that occurs neither among the labels nor among the guesses.
    """

    hints = (
        "Right guesses stand on the diagonal. What are the sums of row k and of column k?",
        "Class by class: `2 * matrix[k, k] / (matrix[k].sum() + matrix[:, k].sum())`. When is that 0 / 0?",
    )

    def solution(matrix):
        right = matrix.diagonal()
        examples, guesses = matrix.sum(dim=1), matrix.sum(dim=0)
        return float((2 * right / (examples + guesses).clamp(min=1)).mean())

    @stage("every class occurs and is guessed")
    def full(check):
        for num_labels in range(2, 8):
            matrix = torch.randint(1, 30, (num_labels, num_labels), generator=check.generator)
            check.equal(check.call(matrix), _macro_f1(matrix))
            check.equal(check.call(torch.full_like(matrix, 3)), 1 / num_labels)

    @stage("whoever always says the commoner label")
    def constant(check):
        for rare in (1, 5, 20, 50, 300):
            matrix = torch.tensor([[0, rare], [0, 950]])
            check.equal(check.call(matrix), _macro_f1(matrix))

    @stage("a class that occurs nowhere, and nothing right at all")
    def absent(check):
        for num_labels in range(3, 8):
            matrix = torch.randint(1, 30, (num_labels, num_labels), generator=check.generator)
            matrix[1], matrix[:, 1] = 0, 0
            check.equal(check.call(matrix), _macro_f1(matrix))
            matrix.fill_diagonal_(0)
            check.equal(check.call(matrix), 0.0)
            check.equal(check.call(torch.zeros_like(matrix)), 0.0)

    @wrong("This is the accuracy.")
    def accuracy(matrix):
        return float(matrix.diagonal().sum() / matrix.sum())

    recall = wrong(
        "This is the mean recall: it divides by the examples of each class alone.",
        "2 * right / (examples + guesses)",
        "right / examples",
    )

    precision = wrong(
        "This is the mean precision: it divides by the guesses of each class alone.",
        "2 * right / (examples + guesses)",
        "right / guesses",
    )

    @wrong("A class that occurs nowhere has F1 0 here, not 1.")
    def one_for_nothing(matrix):
        total = matrix.sum(dim=1) + matrix.sum(dim=0)
        f1 = 2 * matrix.diagonal() / total.clamp(min=1)
        return float(f1.where(total > 0, 1.0).mean())

    @wrong("The class that was never guessed was left out; that is just the one whose F1 is 0.")
    def guessed_only(matrix):
        total, guesses = matrix.sum(dim=1) + matrix.sum(dim=0), matrix.sum(dim=0)
        return float((2 * matrix.diagonal() / total.clamp(min=1))[guesses > 0].mean())

    @wrong("Classes are weighed by how often they occur; each should count alike.")
    def weighted(matrix):
        examples = matrix.sum(dim=1)
        f1 = 2 * matrix.diagonal() / (examples + matrix.sum(dim=0)).clamp(min=1)
        return float((f1 * examples).sum() / examples.sum())

    @wrong("The absent class was left out of the mean; it counts with 0.")
    def present_only(matrix):
        total = matrix.sum(dim=1) + matrix.sum(dim=0)
        return float((2 * matrix.diagonal() / total.clamp(min=1)).sum() / (total > 0).sum().clamp(min=1))

    @wrong("This is one F1 of the mean precision and the mean recall; each class has an F1 of its own.")
    def of_the_means(matrix):
        precision = (matrix.diagonal() / matrix.sum(dim=0).clamp(min=1)).mean()
        recall = (matrix.diagonal() / matrix.sum(dim=1).clamp(min=1)).mean()
        return float(2 * precision * recall / (precision + recall).clamp(min=1e-9))

    half = wrong("The factor 2 is missing.", "2 * right", "right")


def _macro_f1(matrix: torch.Tensor) -> float:
    """The truth to compare with: precision and recall of one class after the other."""
    found = []
    for k, row in enumerate(matrix.tolist()):
        right, examples, guesses = row[k], sum(row), sum(other[k] for other in matrix.tolist())
        if not right:
            found.append(0.0)
            continue
        precision, recall = right / guesses, right / examples
        found.append(2 * precision * recall / (precision + recall))
    return sum(found) / len(found)
