"""Exercises of notebook 00: how exercises work, on two things that every language model does, and a hunt.

A model gives each token of its vocabulary a score, its logit. `softmax` turns scores into probabilities;
`best_ids` names the tokens with the highest ones; `one_word` shows how much a single word decides.
"""

import math
from functools import cache
from numbers import Integral

import numpy as np
import torch

from course_utils.classroom.engine import exercise, stage, wrong
from course_utils.toy.language import ToyLanguage


def _softmax(scores: list[float]) -> list[float]:
    """The truth to compare with: PyTorch, in double precision."""
    return torch.tensor(scores, dtype=torch.float64).softmax(0).tolist()


def _scores_without_ties(check, size: int) -> torch.Tensor:
    """(size,) scores, all different, so that there is one right order."""
    return torch.randperm(size, generator=check.generator).float() / 2 - 1


@exercise
class softmax:
    """Write `softmax(scores)`: a list of scores becomes a list of probabilities.

    Each score becomes e to the power of the score, divided by the sum of all these powers. Scores may be
    large (1000), where `math.exp` gives up: subtracting the same number from every score changes no
    probability.
    """

    hints = (
        (
            "First make the list of powers: `[math.exp(score) for score in scores]`. Then divide each by the "
            "sum of that list."
        ),
        (
            "For large scores: e^1000 is too large for a float, but e^(1000 - 1000) is 1. Which number is "
            "safe to subtract from all?"
        ),
        (
            "Begin with `highest = max(scores)` and use `math.exp(score - highest)` both above and below the "
            "fraction line."
        ),
    )

    def solution(scores):
        highest = max(scores)
        powers = [math.exp(score - highest) for score in scores]
        total = sum(powers)
        return [power / total for power in powers]

    @stage("one number for each score, and together they make 1")
    def sums_to_one(check):
        for size in range(2, 9):
            for _ in range(5):
                scores = check.rng.normal(size=size).round(2).tolist()
                got = check.call(scores)
                check.expect(not isinstance(got, torch.Tensor), "A list is asked for, and this is a tensor.")
                check.equal(len(got), size, "The number of probabilities is not that of the scores.")
                check.equal(sum(got), 1.0, "Probabilities sum to 1.")

    @stage("each probability is its power of e, divided by the sum")
    def values(check):
        for size in range(2, 9):
            for _ in range(5):
                scores = check.rng.normal(size=size).round(2).tolist()
                check.equal(check.call(scores), _softmax(scores))
            check.equal(check.call([0.0] * size), [1 / size] * size)

    @stage("scores of any size")
    def large_scores(check):
        for shift in (1000.0, -1000.0):
            for size in (2, 3, 4, 5, 1):  # with one score all powers come to the same
                scores = (check.rng.normal(size=size).round(2) + shift).tolist()
                check.equal(check.call(scores), _softmax(scores))
                for place, step in ((-1, -1200.0), (0, -1200.0), (0, 1200.0)):  # one far from the others
                    apart = list(scores)
                    apart[place] += step
                    check.equal(check.call(apart), _softmax(apart))

    @wrong("They do not sum to 1. Divide each power by the sum of the powers.")
    def not_normalised(scores):
        return [math.exp(score) for score in scores]

    @wrong("You divide the scores themselves: take `math.exp` of each score first.")
    def no_exponential(scores):
        return [score / sum(scores) for score in scores]

    @wrong("The powers are of 2; softmax takes powers of e: `math.exp`.")
    def powers_of_two(scores):
        return [2**score / sum(2**s for s in scores) for score in scores]

    @wrong("The lowest score gets the most: is there a minus sign too many?")
    def minus_sign(scores):
        return [math.exp(-score) / sum(math.exp(-s) for s in scores) for score in scores]

    @wrong(
        "The power of a large score is too large for a float: subtract the highest score from all of them"
        " first."
    )
    def overflows(scores):
        return [math.exp(score) / sum(math.exp(s) for s in scores) for score in scores]

    @wrong("Subtract it above and below the fraction line: only then does its factor cancel.")
    def above_only(scores):
        total = sum(math.exp(score) for score in scores)
        return [math.exp(score - max(scores)) / total for score in scores]

    lowest = wrong(
        "What you subtract lies far below another score here, whose power overflows: subtract the highest.",
        "max(scores)",
        "min(scores)",
    )
    first = wrong(
        "The first score need not be the highest one, and that is what must be subtracted.",
        "max(scores)",
        "scores[0]",
    )
    mean = wrong(
        "One score here lies far above the number that you subtract: take the highest score, no average.",
        "max(scores)",
        "sum(scores) / len(scores)",
    )

    @wrong("The probabilities are right, but still in a tensor: `.tolist()` makes a list of it.")
    def a_tensor(scores):
        return torch.tensor(scores, dtype=torch.float64).softmax(0)


@exercise
class best_ids:
    """Write `best_ids(logits, k)`: the ids of the k highest logits, the best one first.

    logits is a tensor of shape (vocab_size,); the id of a token is its place in it. The result is a list of
    k whole numbers.
    """

    hints = (
        "PyTorch can sort and say where the values came from: `torch.argsort`, or `logits.topk`.",
        "`torch.argsort(logits, descending=True)` gives all ids, the best first. Keep the first k.",
        "`.tolist()` turns a tensor into a list.",
    )

    def solution(logits, k):
        return logits.topk(k).indices.tolist()

    @stage("k = 1: the id of the highest logit, in a list")
    def the_best(check):
        for vocab_size in range(2, 12):
            for _ in range(3):
                logits = _scores_without_ties(check, vocab_size)
                got = check.call(logits, 1)
                check.equal(got, [int(logits.argmax())])
                check.expect(
                    isinstance(got[0], Integral), "Ids are whole numbers: a float cannot index a list."
                )

    @stage("k ids, the best one first")
    def best_first(check):
        for vocab_size in range(3, 12):
            for k in sorted({2, 3, vocab_size // 2 + 1, vocab_size}):
                logits = _scores_without_ties(check, vocab_size) - 100 * (k % 2)  # also all negative
                best = sorted(range(vocab_size), key=(-logits).tolist().__getitem__)[:k]
                check.equal(check.call(logits, k), best)

    @wrong("This is the logit; what we want is its position, the id.")
    def values_not_ids(logits, k):
        return logits.topk(k).values.tolist()

    @wrong("Ids are whole numbers: a float cannot index a list.")
    def floats(logits, k):
        return [float(i) for i in logits.topk(k).indices]

    @wrong("There are more than three to name: k of them.")
    def three_at_most(logits, k):
        return logits.topk(min(k, 3)).indices.tolist()

    @wrong("`topk` gives two things, the values and their places: the ids are its `.indices`.")
    def both_of_topk(logits, k):
        return logits.topk(k)

    @wrong("The ids are still in a tensor.")
    def a_tensor(logits, k):
        return logits.topk(k).indices

    @wrong("This is the id of the lowest logit: sort in descending order.")
    def lowest(logits, k):
        return logits.argsort()[:k].tolist()

    @wrong("The right ids, but the best one comes last.")
    def best_last(logits, k):
        return logits.argsort()[-k:].tolist()

    @wrong("Each best logit is overwritten to find the next one, and the caller's tensor with it.")
    def edits_logits(logits, k):
        ids = []
        for _ in range(k):
            ids.append(int(logits.argmax()))
            logits[ids[-1]] = -math.inf
        return ids


@cache
def _model():
    """The model and the tokenizer of the notebook."""
    from course_utils import checkpoints

    return checkpoints.load("embedded")


def _best_guess(sentence: str) -> tuple[str, float]:
    """The token that the model puts at the blank, and its probability."""
    model, tokenizer = _model()
    ids = torch.tensor([tokenizer.encode(sentence).input_ids])
    with torch.no_grad():
        logits = model(ids).prediction_logits[ids == tokenizer.mask_token_id][0]
    probability, best = logits.softmax(0).max(0)
    return tokenizer.id_to_token[int(best)], float(probability)


def _is_possible(sentence: str) -> bool:
    """Whether the toy language can produce the sentence, which has no blank."""
    _, tokenizer = _model()
    try:
        ToyLanguage().check_possible(np.array([tokenizer.encode(sentence).input_ids]))
    except ValueError:
        return False
    return True


@exercise
class one_word:
    """Find `one_word = (sentence, other sentence)`: the same but for one word, and the model fills the blank
    differently, each time with a probability of 0.5 or more.

    Both have `[MASK]` once, and with the model's word in its place each is a sentence of the toy language.
    """

    hints = (
        "Begin with 'the [MASK] was robbed yesterday'. What else can happen to a thing in the toy language?",
        (
            "The word that says what happened decides most; the text printed in the notebook has another one."
            " (Or hide a 'she' in a sentence that has 'her' later on.)"
        ),
        "A bank is robbed. What happens to a match, in sport, yesterday?",
    )

    solution = ("the [MASK] was robbed yesterday", "the [MASK] was lost yesterday")

    @stage("two sentences with one blank each, in words of the toy language")
    def form(check):
        check.expect(
            isinstance(check.answer, tuple | list) and list(map(type, check.answer)) == [str, str],
            "Two sentences are asked for, each of them a string.",
        )
        known = {*ToyLanguage().words, "[MASK]"}
        for sentence in check.answer:
            words = sentence.split()
            check.expect(words.count("[MASK]") == 1, f"One [MASK] in each sentence: {sentence!r}.")
            strange = [repr(word) for word in words if word not in known]
            check.expect(
                not strange,
                f"Not in the toy language: {', '.join(strange)}. (It has lower case only, no full stop, and"
                " a space before ! and ?)",
            )

    @stage("the same but for one word, which is not the blank")
    def one_difference(check):
        first, second = (sentence.split() for sentence in check.answer)
        check.expect(len(first) == len(second), "One sentence is longer: exchange a word, do not add one.")
        differing = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]
        check.expect(len(differing) == 1, f"They differ in {len(differing)} places; one is asked for.")
        check.expect("[MASK]" not in differing[0], "They differ in the blank itself.")

    @stage("and the model is sure of another word each time")
    def other_answer(check):
        guesses = [_best_guess(sentence) for sentence in check.answer]
        check.expect(guesses[0][0] != guesses[1][0], f"The model says {guesses[0][0]!r} both times.")
        for (word, probability), sentence in zip(guesses, check.answer, strict=True):
            check.expect(probability >= 0.5, f"{sentence!r}: {word!r} has only {probability:.2f}.")

    @stage("and both are sentences of the toy language, with that word in the blank")
    def possible(check):
        for sentence in check.answer:
            filled = sentence.replace("[MASK]", _best_guess(sentence)[0])
            check.expect(
                _is_possible(filled),
                f"The toy language has no sentence {filled!r}: the model is sure of an answer to a question"
                " that its language never asks.",
            )

    two_words = wrong("Two words were exchanged here; one must decide.")(
        ("the [MASK] was robbed yesterday", "the [MASK] was lost today")
    )
    one_longer = wrong("A word was added here. Exchange one.")(
        ("the [MASK] was robbed yesterday", "the [MASK] was not robbed yesterday")
    )
    same_answer = wrong("Another word, and the same answer: the model did not need it.")(
        ("the cat sat on the [MASK]", "the dog sat on the [MASK]")
    )
    without_blank = wrong("There is no blank to fill in the second sentence.")(
        ("the [MASK] was robbed yesterday", "the bank was robbed yesterday")
    )
    strange_word = wrong("The model has no such word: it reads it in parts.")(
        ("the [MASK] was robbed yesterday", "the [MASK] was flying yesterday")
    )
    no_sentence = wrong("Words of the toy language, in an order that it never has.")(
        ("the [MASK] was robbed yesterday", "the [MASK] was he yesterday")
    )
