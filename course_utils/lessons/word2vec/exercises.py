"""Exercises of notebook 01: pairs, what a score says, three models with a slip, a text of twins, analogy."""

import math

import torch
import torch.nn.functional as F

from course_utils import word2vec as w2v
from course_utils.classroom.engine import exercise, stage, wrong

WORDS = ["the", "bank", "was", "robbed", "yesterday", "again", "and", "nobody", "saw", "it"]


def _listed_pairs(words: list[str], window: int) -> list[tuple[str, str]]:
    """The truth for `skipgram_pairs`, by asking of every two positions whether they are near."""
    return [(words[i], words[j]) for i, j in _near_places(words, window)]


def _near_places(words: list[str], window: int) -> list[tuple[int, int]]:
    places = range(len(words))
    return [(i, j) for i in places for j in places if 0 < abs(i - j) <= window]


def _vectors(check, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=check.generator, dtype=torch.float64)


@exercise
class skipgram_pairs:
    """Write `skipgram_pairs(words, window)`: the list of all pairs (centre, neighbour).

    `words` is a list of strings. A neighbour stands at most `window` places to the left or to the right of
    the centre, and is not the centre itself. The list follows the text: first all pairs of the first word,
    its neighbours from left to right, then those of the second word, and so on.
    """

    hints = (
        "Two loops: one over the places i of the centre, one over the places j of its neighbours.",
        "The neighbours of place i lie between `max(0, i - window)` and `min(len(words), i + window + 1)`.",
        "Leave out j == i. Compare places, not words: a word may stand twice in a sentence.",
    )

    def solution(words, window):
        pairs = []
        for i, centre in enumerate(words):
            for j in range(max(0, i - window), min(len(words), i + window + 1)):
                if j != i:
                    pairs.append((centre, words[j]))
        return pairs

    @stage("the neighbours at distance 1, on both sides")
    def nearest(check):
        for length in range(2, 9):
            words = WORDS[:length]
            check.equal(check.call(words, 1), _listed_pairs(words, 1))

    @stage("a wider window")
    def wider(check):
        for window in range(2, 6):
            for length in range(3, 8):
                words = WORDS[:length]
                check.equal(check.call(words, window), _listed_pairs(words, window))
        for words, window in (([], 1), (["bank"], 2), (["the", "bank"], 0)):
            check.equal(check.call(words, window), [], "Without neighbours there are no pairs.")

    @stage("a word that stands twice in the sentence")
    def repeated(check):
        sentences = [
            "the cat sat on the mat",
            "the the",
            "to be or not to be",
            "a a a",
            "the dog saw the dog",
        ]
        for sentence in sentences:
            words = sentence.split()
            for window in (1, 3, 4):
                expected = _listed_pairs(words, window)
                check.equal(check.call(words, window), expected)

    @wrong("A word is no neighbour of itself.")
    def with_itself(words, window):
        places = range(len(words))
        return [(words[i], words[j]) for i in places for j in places if abs(i - j) <= window]

    @wrong("Only the right-hand neighbours are here; those to the left count too.")
    def to_the_right(words, window):
        places = range(len(words))
        return [(words[i], words[j]) for i in places for j in places if 0 < j - i <= window]

    @wrong("Each pair is turned round: the centre comes first.")
    def turned_round(words, window):
        return [(neighbour, centre) for centre, neighbour in _listed_pairs(words, window)]

    @wrong("In Python a negative place counts from the end: no neighbour stands before place 0.")
    def round_the_corner(words, window):
        places = range(len(words))
        near = [(i, j) for i in places for j in range(i - window, i + window + 1) if j != i]
        return [(words[i], words[j]) for i, j in near if j < len(words)]

    @wrong("The pairs are right, their order is not: the neighbours to the left come first.")
    def right_before_left(words, window):
        order = sorted(_near_places(words, window), key=lambda pair: (pair[0], pair[1] < pair[0], pair[1]))
        return [(words[i], words[j]) for i, j in order]

    @wrong("The pairs are right, but sorted by distance: list each word's neighbours from left to right.")
    def nearest_first(words, window):
        order = sorted(_near_places(words, window), key=lambda pair: (pair[0], abs(pair[0] - pair[1])))
        return [(words[i], words[j]) for i, j in order]

    @wrong("A slice that begins at a negative place is empty here: begin at `max(0, i - window)`.")
    def from_a_negative_place(words, window):
        slices = [words[i - window : i] + words[i + 1 : i + 1 + window] for i in range(len(words))]
        return [(centre, other) for centre, near in zip(words, slices, strict=True) for other in near]

    @wrong("This window ends one place too early: a neighbour at distance `window` counts.")
    def too_narrow(words, window):
        return _listed_pairs(words, max(1, window - 1))

    @wrong("A list of pairs of two strings is asked for: the centre again for each of its neighbours.")
    def grouped(words, window):
        near = _near_places(words, window)
        return [(word, [words[j] for k, j in near if k == i]) for i, word in enumerate(words)]

    @wrong("Pairs of two equal words are missing: compare the places, not the words.")
    def by_word(words, window):
        return [pair for pair in _listed_pairs(words, window) if pair[0] != pair[1]]


@exercise
class neighbour_probability:
    """Write `neighbour_probability(score, share, negatives)`: P(c | w), read off a trained skip-gram model.

    `score` is w . c of a perfectly trained model, `share` the probability of c in the hat, `negatives` the
    number k of noise words for each true pair. Return the probability that a neighbour of w is c, a float.
    """

    hints = (
        "At the optimum the score is log(P(c | w) / share) - log k. Solve this for P(c | w).",
        "Bring log k to the other side, then take e to the power of both sides.",
        "P(c | w) = share * k * e^score. `math.exp(score)` computes the power.",
    )

    def solution(score, share, negatives):
        return share * negatives * math.exp(score)

    @stage("a pair whose score is 0, with one noise word")
    def at_zero(check):
        for share in (0.5, 0.25, 0.1, 0.04, 0.002):
            check.equal(check.call(0.0, share, 1), share)

    @stage("any score, with one noise word")
    def one_noise_word(check):
        for score in (1.0, -3.0, -1.5, -0.2, 0.7, 2.5, 3.0):
            share = 0.01 + 0.001 * score
            check.equal(check.call(score, share, 1), share * math.e**score)

    @stage("any score, any number of noise words")
    def in_general(check):
        for negatives in (2, 3, 5, 8, 15):
            for score in (-4.0, -0.6, 0.3, 1.2):
                share = 0.001 * negatives
                check.equal(check.call(score, share, negatives), share * negatives * math.e**score)

    @wrong("sigmoid(score) is the probability that the pair is a true one, not that the neighbour is c.")
    def real_or_drawn(score, share, negatives):
        return 1 / (1 + math.exp(-score))

    base_two = wrong(
        "The logarithm is the natural one: take e to the power, not 2.", "math.exp(score)", "2**score"
    )

    base_ten = wrong(
        "The logarithm is the natural one: take e to the power, not 10.", "math.exp(score)", "10**score"
    )

    true_pair_counted = wrong(
        "Only the k noise words make log k: the true pair is not one of them.",
        "share * negatives",
        "share * (negatives + 1)",
    )

    @wrong("sigmoid(score) is p / (p + k q); what is p over k q alone? That is e^score.")
    def sigmoid_for_the_odds(score, share, negatives):
        return share * negatives / (1 + math.exp(-score))

    @wrong("log k belongs into the exponent, with the score: outside of it, it is no factor k.")
    def k_outside(score, share, negatives):
        return share * math.exp(score) + math.log(negatives)

    @wrong("log k belongs into the exponent, and with a plus, for it was subtracted in the score.")
    def k_subtracted_outside(score, share, negatives):
        return share * math.exp(score) - math.log(negatives)

    power_once_more = wrong(
        "`share` is the share in the hat itself: what power made it does not matter.",
        "share * negatives",
        "share**0.75 * negatives",
    )

    @wrong("This is for one noise word: with k of them the score is lower by log k.")
    def without_k(score, share, negatives):
        return share * math.exp(score)

    @wrong("log k is subtracted in the score, so it is added on the way back: multiply by k.")
    def divided_by_k(score, share, negatives):
        return share / negatives * math.exp(score)

    @wrong("This is the ratio of P(c | w) to the share in the hat: multiply by that share.")
    def ratio(score, share, negatives):
        return negatives * math.exp(score)

    @wrong("k is a factor, and log k a summand: e^(score + k) multiplies by e^k.")
    def k_in_the_power(score, share, negatives):
        return share * math.exp(score + negatives)


FOUR_SENTENCES = (
    "the bank was robbed yesterday",
    "i went to the bank to deposit money",
    "the river bank was very scenic",
    "the cat sat on the mat",
)
SLIPS = ("mean", "uniform", "swapped")


def suspects() -> dict[str, list[float]]:
    """The best scores of "bank" with four words: of a healthy model, and of three with a slip each."""
    sentences = [sentence.split() for sentence in FOUR_SENTENCES]
    vocab = sorted({word for sentence in sentences for word in sentence})
    counts = w2v.cooccurrence(sentences, vocab, window=2)
    bank = counts[vocab.index("bank")]
    given_bank, overall, k = bank / bank.sum(), counts.sum(0) / counts.sum(), 2
    best = (given_bank / overall).log() - math.log(k)
    models = {
        "healthy": best,
        "A": (given_bank * len(vocab)).log() - math.log(k),
        "B": -best,
        "C": best + math.log(k),
    }
    ids = [vocab.index(word) for word in ("the", "was", "river", "deposit")]
    return {name: scores[ids].tolist() for name, scores in models.items()}


@exercise
class slip_of:
    """Find `slip_of`, a tuple: for each of the models A, B and C of the notebook its slip.

    A slip is "mean" (the noise words' losses are averaged, not summed), "uniform" (every word is in the hat
    equally often), or "swapped" (true pairs are labelled 0 and noise 1).
    """

    hints = (
        "Subtract the healthy scores from those of each model. Which difference is the same for all pairs?",
        "With the mean in place of the sum, noise weighs as much as one noise word: log 1 in place of log k.",
        (
            "If the hat holds all words equally often, a frequent word is no longer expected to turn up as"
            " noise: its score rises. Swapped labels turn every score into its negative."
        ),
    )

    solution = ("uniform", "swapped", "mean")

    @stage("three slips, each of them once")
    def form(check):
        check.expect(
            isinstance(check.answer, tuple | list)
            and list(map(type, check.answer)) == [str] * 3
            and set(check.answer) == set(SLIPS),
            'Three strings are asked for, "mean", "uniform" and "swapped", in the order of the models.',
        )

    @stage("the model that has every sign wrong")
    def signs(check):
        check.expect(
            check.answer[1] == "swapped",
            "The scores of B are the healthy ones times -1: what was true is taken for noise.",
        )

    @stage("the other two models")
    def others(check):
        check.expect(
            check.answer[0] == "uniform",
            "A and C have changed places: C is higher than the healthy model by log 2 everywhere, A is not.",
        )

    shift_elsewhere = wrong("A constant shift is what the number of noise words does: log k.")(
        ("mean", "swapped", "uniform")
    )
    sign_elsewhere = wrong(
        "Only swapped labels can turn a positive score into a negative one of equal size."
    )(("swapped", "uniform", "mean"))
    sign_of_c = wrong("C has the order of the healthy model: nothing is turned round there.")(
        ("uniform", "mean", "swapped")
    )
    one_twice = wrong("Three models, three slips: each has one of them.")(("uniform", "swapped", "uniform"))


def _cosine_of_company(sentences: list[list[str]], first: str, second: str) -> float:
    """Cosine of the PPMI rows of two words, window 2; -1 if a row is empty."""
    vocab = sorted({word for words in sentences for word in words})
    rows = w2v.pmi(w2v.cooccurrence(sentences, vocab, window=2)).clamp(min=0)
    one, other = rows[vocab.index(first)], rows[vocab.index(second)]
    return F.cosine_similarity(one, other, dim=0).item() if one.any() and other.any() else -1.0


@exercise
class twins:
    """Find `twins`, a list of sentences in which "cat" and "dog" never meet, and yet are the same to a count.

    "cat" and "dog" must occur, never in the same sentence, and the cosine of their rows of PPMI (window 2)
    must be 0.99 or more. "sun" must occur too, and be different: cosine with "cat" 0.2 or less.
    """

    hints = (
        "Which words can stand around both? Write the same sentence twice and exchange one word.",
        "Their company must not be everybody's: PPMI is 0 where a pair meets no more than by chance.",
        "Give 'sun' a company of its own, in sentences that share no word with those of 'cat' and 'dog'.",
    )

    solution = ("the cat sleeps", "the dog sleeps", "a sun shines")

    @stage("sentences of two words or more, with all three words in them")
    def form(check):
        check.expect(
            isinstance(check.answer, tuple | list) and all(isinstance(each, str) for each in check.answer),
            "A list of sentences is asked for, each of them a string.",
        )
        words = [sentence.split() for sentence in check.answer]
        check.expect(
            all(len(set(each)) > 1 for each in words),
            "A word alone keeps no company: two different words or more.",
        )
        missing = {"cat", "dog", "sun"} - {word for each in words for word in each}
        check.expect(
            not missing, f"Not there: {', '.join(sorted(missing))}. Write in lower case, without marks."
        )

    @stage("cat and dog never meet")
    def apart(check):
        check.expect(
            not any({"cat", "dog"} <= set(sentence.split()) for sentence in check.answer),
            "Here cat and dog are in the same sentence.",
        )

    @stage("and keep the same company")
    def alike(check):
        found = _cosine_of_company([sentence.split() for sentence in check.answer], "cat", "dog")
        check.expect(
            found >= 0.99,
            f"The cosine of their rows is {found:.2f}."
            if found >= 0
            else "A row is empty: PPMI keeps only company that is met more often than by chance.",
        )

    @stage("and sun is different")
    def different(check):
        found = _cosine_of_company([sentence.split() for sentence in check.answer], "cat", "sun")
        check.expect(
            found <= 0.2, f"The cosine of cat and sun is {found:.2f}: give sun a company of its own."
        )

    together = wrong("They meet: the first sentence has both.")(("the cat and the dog sleep", "a sun shines"))
    other_company = wrong("Each of them has a company of its own.")(
        ("the cat sleeps", "a dog barks", "one sun shines")
    )
    no_surprise = wrong("Everybody keeps the same company here, so nobody's says anything.")(
        ("the cat", "the dog", "the sun")
    )
    same_sun = wrong("The sun keeps the same company as the cat.")(
        ("the cat sleeps", "the dog sleeps", "the sun sleeps", "a tree grows")
    )
    without_sun = wrong("There is no sun in these sentences.")(
        ("the cat sleeps", "the dog sleeps", "a tree grows")
    )


def _analogy(vectors: torch.Tensor, a: int, b: int, c: int, left_out: set[int], scale: bool = True) -> int:
    """The truth for `analogy`, with two switches for what can go wrong."""
    unit = vectors / vectors.norm(dim=1, keepdim=True) if scale else vectors
    cosines = F.cosine_similarity(unit[b] - unit[a] + unit[c], vectors).tolist()
    return max((i for i in range(len(vectors)) if i not in left_out), key=cosines.__getitem__)


def _question(check, words: int, wanted) -> tuple[torch.Tensor, int, int, int]:
    """Random vectors (words, 3) of different lengths and three ids for which `wanted(vectors, a, b, c)`
    holds.
    """
    while True:
        lengths = 0.2 + 4 * torch.rand(words, 1, generator=check.generator, dtype=torch.float64)
        vectors = F.normalize(_vectors(check, words, 3), dim=1) * lengths
        a, b, c = torch.randperm(words, generator=check.generator)[:3].tolist()
        if wanted(vectors, a, b, c):
            return vectors, a, b, c


def _nearest_is_one_of_the_three(vectors, a, b, c) -> bool:
    return _analogy(vectors, a, b, c, set()) in (a, b, c)


def _a_would_win(vectors, a, b, c) -> bool:
    """Of all words but b and c the nearest is a."""
    return _analogy(vectors, a, b, c, {b, c}) == a


def _only_length_matters(vectors, a, b, c) -> bool:
    """Long vectors change the answer, and the nearest word is none of the three."""
    return not _nearest_is_one_of_the_three(vectors, a, b, c) and _length_matters(vectors, a, b, c)


def _length_matters(vectors, a, b, c) -> bool:
    return _analogy(vectors, a, b, c, {a, b, c}) != _analogy(vectors, a, b, c, {a, b, c}, scale=False)


def _nothing_else_is_near(vectors, a, b, c) -> bool:
    """All other words have cosines below 0, and no vector has length 0."""
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    others = [i for i in range(len(vectors)) if i not in (a, b, c)]
    return bool((unit[others] @ (unit[b] - unit[a] + unit[c]) < -0.05).all())


def _no_slip_shows(vectors, a, b, c) -> bool:
    """A plain question: neither rule matters, and a - b + c has another answer."""
    answer = _analogy(vectors, a, b, c, {a, b, c})
    other = _analogy(vectors, b, a, c, {a, b, c})
    plain = not _length_matters(vectors, a, b, c) and not _nearest_is_one_of_the_three(vectors, a, b, c)
    return plain and other != answer


@exercise
class analogy:
    """Write `analogy(vectors, a, b, c)`: "a is to b as c is to ...?", the id of the answer, an int.

    `vectors` is a tensor (words, dim); a, b and c are ids of words. Scale every vector to length 1. The
    answer is the word whose vector has the largest cosine with b - a + c; the three words themselves are left
    out.
    """

    hints = (
        "`F.normalize(vectors, dim=1)` scales every row to length 1.",
        (
            "With u for those rows, the query is `u[b] - u[a] + u[c]`, and `u @ query` orders the words by"
            " cosine."
        ),
        "Set the scores of a, b and c to `-torch.inf`, then take `.argmax().item()`.",
    )

    def solution(vectors, a, b, c):
        unit = F.normalize(vectors, dim=1)
        score = unit @ (unit[b] - unit[a] + unit[c])
        score[[a, b, c]] = -torch.inf
        return score.argmax().item()

    @stage("the word nearest to b - a + c")
    def direction(check):
        for words in range(6, 14):
            vectors, a, b, c = _question(check, words, _no_slip_shows)
            expected = _analogy(vectors, a, b, c, {a, b, c})
            check.equal(check.call(vectors, a, b, c), expected)

    @stage("vectors of length 1")
    def scaled(check):
        for words in range(6, 14):
            vectors, a, b, c = _question(check, words, _only_length_matters)
            check.equal(check.call(vectors, a, b, c), _analogy(vectors, a, b, c, {a, b, c}))

    @stage("never one of the three words of the question")
    def left_out(check):
        for words in range(6, 14):
            vectors, a, b, c = _question(check, words, _nearest_is_one_of_the_three)
            check.equal(check.call(vectors, a, b, c), _analogy(vectors, a, b, c, {a, b, c}))
        for words in range(5, 10):
            vectors, a, b, c = _question(check, words, _a_would_win)
            check.equal(check.call(vectors, a, b, c), _analogy(vectors, a, b, c, {a, b, c}))
        vectors = torch.eye(3, dtype=torch.float64).repeat(2, 1)  # each vector twice
        for a, b, c in ((0, 0, 1), (1, 1, 1), (2, 2, 0)):  # b - a + c is c, and its twin answers
            check.equal(check.call(vectors, a, b, c), _analogy(vectors, a, b, c, {a, b, c}))
        for words in range(5, 10):
            vectors = -0.1 - _vectors(check, words, 3).abs()
            check.equal(check.call(vectors, 0, 1, 2), _analogy(vectors, 0, 1, 2, {0, 1, 2}))

    @stage("left out also where every other cosine is negative")
    def far_away(check):
        for words in range(5, 9):
            vectors, a, b, c = _question(check, words, _nothing_else_is_near)
            check.equal(check.call(vectors, a, b, c), _analogy(vectors, a, b, c, {a, b, c}))
        for tilt in (0.5, 1.0):  # b - a + c is three times b, and the others point away from it
            vectors = torch.tensor(
                [[-1, 0, 0], [1, 0, 0], [2, 0, 0], [-4, 0.1, 0], [-4, tilt, 0]], dtype=torch.float64
            )
            check.equal(check.call(vectors, 0, 1, 2), 4)

    @wrong("This is the answer for a - b + c: the step from a to b is b - a.")
    def backwards(vectors, a, b, c):
        return analogy.model_answer(vectors, b, a, c)

    not_scaled = wrong(
        "Long vectors outvote short ones here: scale a, b and c to length 1 first.",
        "(unit[b] - unit[a] + unit[c])",
        "(vectors[b] - vectors[a] + vectors[c])",
    )

    a_may_answer = wrong(
        "a stands in the question too: leave it out, like b and c.", "score[[a, b, c]]", "score[[b, c]]"
    )

    with_the_question = wrong(
        "That word stands in the question: leave a, b and c out.", "score[[a, b, c]] = -torch.inf", "pass"
    )

    zero_for_the_question = wrong(
        "A score of 0 is above every negative one: a, b and c need a score that is below all others.",
        "score[[a, b, c]] = -torch.inf",
        "score[[a, b, c]] = 0",
    )
