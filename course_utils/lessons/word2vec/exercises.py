"""Exercises of notebook 01: pairs, PMI, the loss of one pair, its gradient, and an analogy.

Words are ids, but in `skipgram_pairs` strings. Input vectors belong to words in the centre, output vectors to
words as neighbours.
"""

import math

import torch
import torch.nn.functional as F

from course_utils.classroom.engine import exercise, stage, wrong

WORDS = ["the", "bank", "was", "robbed", "yesterday", "again", "and", "nobody", "saw", "it"]


def _listed_pairs(words: list[str], window: int) -> list[tuple[str, str]]:
    """The truth for `skipgram_pairs`, by asking of every two positions whether they are near."""
    places = [(i, j) for i in range(len(words)) for j in range(len(words))]
    return [(words[i], words[j]) for i, j in places if 0 < abs(i - j) <= window]


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

    @wrong("This window ends one place too early: a neighbour at distance `window` counts.")
    def too_narrow(words, window):
        return _listed_pairs(words, max(1, window - 1))

    @wrong("Pairs of two equal words are missing: compare the places, not the words.")
    def by_word(words, window):
        return [pair for pair in _listed_pairs(words, window) if pair[0] != pair[1]]


@exercise
class pmi:
    """Write `pmi(counts)`: log(P(c | w) / P(c)), natural logarithm, for every pair: a tensor (words,
    neighbours).

    `counts` is a float tensor (words, neighbours): how often each pair was counted. The row of w says which
    neighbours it had. P(c | w) is the share of c in that row; P(c) is the share of column c in the whole
    table. A pair that was never counted gets minus infinity.
    """

    hints = (
        "`counts.sum(1, keepdim=True)` is the total of every row, `counts.sum(0)` that of every column.",
        "P(c | w) is `counts / counts.sum(1, keepdim=True)`, and P(c) is `counts.sum(0) / counts.sum()`.",
        "`torch.log` of their quotient is the answer. It makes minus infinity of 0 by itself.",
    )

    def solution(counts):
        given_word = counts / counts.sum(1, keepdim=True)
        overall = counts.sum(0) / counts.sum()
        return (given_word / overall).log()

    @stage("one number for each pair")
    def form(check):
        for words in range(1, 6):
            counts = torch.randint(1, 9, (words, words + 2), generator=check.generator).double()
            check.tensor(check.call(counts), (words, words + 2), axes="(words, neighbours)")

    @stage("the right number, for pairs that were counted")
    def values(check):
        for words in range(2, 8):
            counts = torch.randint(1, 9, (words, words + 1), generator=check.generator).double()
            total, rows, columns = counts.sum(), counts.sum(1, keepdim=True), counts.sum(0)
            expected = counts.log() + total.log() - rows.log() - columns.log()
            check.equal(check.call(counts), expected)

    @stage("minus infinity for pairs that were never counted")
    def never(check):
        for words in range(2, 8):
            counts = torch.randint(1, 9, (words, words), generator=check.generator).double()
            counts.fill_diagonal_(0)
            counts[0, -1] += 1
            found = check.call(counts)
            check.equal(found[counts == 0], torch.full_like(found[counts == 0], -math.inf))

    @wrong("This is one number for each word; every pair of a word and a neighbour has its own.")
    def of_words(counts):
        return (counts.sum(1) / counts.sum()).log()

    @wrong("This is the logarithm to the base 2; the natural one is wanted.")
    def bits(counts):
        return (counts * counts.sum() / counts.sum(1, keepdim=True) / counts.sum(0)).log2()

    @wrong("This is log P(c | w) alone: how frequent c is everywhere has not been taken out.")
    def conditional(counts):
        return (counts / counts.sum(1, keepdim=True)).log()

    @wrong("P(c) is the share of column c in the whole table: divide the column by the total.")
    def no_total(counts):
        return (counts / counts.sum(1, keepdim=True) / counts.sum(0)).log()

    @wrong("This is the quotient itself: take its logarithm.")
    def quotient(counts):
        return counts * counts.sum() / counts.sum(1, keepdim=True) / counts.sum(0)

    @wrong("A pair that was never counted has P(c | w) = 0, and log 0 is minus infinity.")
    def smoothed(counts):
        return (counts * counts.sum() / counts.sum(1, keepdim=True) / counts.sum(0)).clamp(min=1e-9).log()


@exercise
class pair_loss:
    """Write `pair_loss(centre, context, noise)`: the negative-sampling loss of one true pair, in nats, a
    tensor ().

    `centre` (dim,) is the input vector of the centre word, `context` (dim,) the output vector of its true
    neighbour, `noise` (k, dim) the output vectors of k noise words. The loss is
    -log sigmoid(centre . context) minus the SUM over the noise words of log sigmoid(-centre . n).
    """

    hints = (
        "The dot product of two vectors is `a @ b`; `noise @ centre` gives all k of them at once: (k,).",
        "`F.logsigmoid(x)` is log sigmoid(x). Noise words get a minus sign inside it.",
        (
            "`-F.logsigmoid(centre @ context)` is the first part. The second sums over k, and has a minus in"
            " front too."
        ),
    )

    def solution(centre, context, noise):
        true_pair = F.logsigmoid(centre @ context)
        noise_pairs = F.logsigmoid(-(noise @ centre)).sum()
        return -(true_pair + noise_pairs)

    @stage("the true pair (one noise word, whose vector is 0 and costs log 2)")
    def true_pair(check):
        for dim in range(1, 8):
            centre, context = _vectors(check, dim), _vectors(check, dim)
            score = float(centre @ context)
            expected = torch.tensor(math.log(1 + math.exp(-score)) + math.log(2), dtype=torch.float64)
            noise = torch.zeros(1, dim, dtype=torch.float64)
            check.equal(check.call(centre, context, noise), expected)

    @stage("one noise word")
    def one_noise_word(check):
        for dim in range(2, 9):
            centre, context, noise = _vectors(check, dim), _vectors(check, dim), _vectors(check, 1, dim)
            score = float(noise[0] @ centre)
            rest = math.log(1 + math.exp(-float(centre @ context)))
            expected = torch.tensor(rest + math.log(1 + math.exp(score)), dtype=torch.float64)
            check.equal(check.call(centre, context, noise), expected)

    @stage("the sum over k noise words")
    def many_noise_words(check):
        for k in range(2, 9):
            centre, context, noise = _vectors(check, 4), _vectors(check, 4), _vectors(check, k, 4)
            true_part = (1 + (-(centre @ context)).exp()).log()
            each = torch.stack([(1 + (n @ centre).exp()).log() for n in noise])
            check.equal(check.call(centre, context, noise), true_part + each.sum())

    @wrong("The sign is turned round: a loss falls as the true pair becomes more probable.")
    def objective(centre, context, noise):
        return F.logsigmoid(centre @ context) + F.logsigmoid(-(noise @ centre)).sum()

    @wrong("Here the true pair is pushed apart: its score enters log sigmoid without a minus.")
    def true_pair_apart(centre, context, noise):
        return -F.logsigmoid(-(centre @ context)) - F.logsigmoid(-(noise @ centre)).sum()

    @wrong("The noise word is pulled closer, like a true one: put a minus before its score.")
    def noise_is_true(centre, context, noise):
        return -F.logsigmoid(centre @ context) - F.logsigmoid(noise @ centre).sum()

    @wrong("This is the mean over the noise words; the sum is wanted.")
    def mean_of_noise(centre, context, noise):
        return -F.logsigmoid(centre @ context) - F.logsigmoid(-(noise @ centre)).mean()


@exercise
class centre_gradient:
    """Write `centre_gradient(centre, context, noise)`: the gradient of the loss of exercise 3 at `centre`:
    (dim,).

    Write it out by hand, without autograd. Inputs as in exercise 3: `centre` (dim,), `context` (dim,),
    `noise` (k, dim). The gradient points UP the loss; gradient descent then goes the other way.
    """

    hints = (
        "The derivative of -log sigmoid(s) is sigmoid(s) - 1, and that of -log sigmoid(-s) is sigmoid(s).",
        "The score s = centre . context changes with centre at the rate `context` (chain rule).",
        (
            "`(sigmoid(s) - 1) * context`, plus `torch.sigmoid(noise @ centre) @ noise`, a sum over the noise"
            " words."
        ),
    )

    def solution(centre, context, noise):
        from_true_pair = (torch.sigmoid(centre @ context) - 1) * context
        from_noise = torch.sigmoid(noise @ centre) @ noise
        return from_true_pair + from_noise

    @stage("one number for each component of centre")
    def form(check):
        for dim in range(2, 8):
            found = check.call(_vectors(check, dim), _vectors(check, dim), _vectors(check, 3, dim))
            check.tensor(found, (dim,), axes="(dim,)")

    @stage("the same as autograd")
    def values(check):
        for k in range(1, 9):
            context, noise = _vectors(check, 5), _vectors(check, k, 5)
            centre = _vectors(check, 5).requires_grad_()
            loss = -F.logsigmoid(centre @ context) - F.logsigmoid(-(noise @ centre)).sum()
            (expected,) = torch.autograd.grad(loss, centre)
            centre = centre.detach()
            check.equal(check.call(centre, context, noise), expected)

    @wrong("This is one row for each noise word: their shares must be added up.")
    def one_row_for_each(centre, context, noise):
        return (
            torch.sigmoid(noise @ centre)[:, None] * noise + (torch.sigmoid(centre @ context) - 1) * context
        )

    @wrong("This points down the loss: it is the step, not the gradient.")
    def downhill(centre, context, noise):
        return (1 - torch.sigmoid(centre @ context)) * context - torch.sigmoid(noise @ centre) @ noise

    @wrong("The true pair counts as a noise word here: its factor is sigmoid(s) - 1.")
    def true_as_noise(centre, context, noise):
        return torch.sigmoid(centre @ context) * context + torch.sigmoid(noise @ centre) @ noise

    @wrong("The noise words are missing.")
    def no_noise(centre, context, noise):
        return (torch.sigmoid(centre @ context) - 1) * context

    @wrong("The noise words have the factor of a true pair: for them it is sigmoid(s).")
    def noise_as_true(centre, context, noise):
        return (torch.sigmoid(centre @ context) - 1) * context + (torch.sigmoid(noise @ centre) - 1) @ noise


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


def _only_length_matters(vectors, a, b, c) -> bool:
    """Long vectors change the answer, and the nearest word is none of the three."""
    return not _nearest_is_one_of_the_three(vectors, a, b, c) and _length_matters(vectors, a, b, c)


def _length_matters(vectors, a, b, c) -> bool:
    return _analogy(vectors, a, b, c, {a, b, c}) != _analogy(vectors, a, b, c, {a, b, c}, scale=False)


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

    @wrong("This is the answer for a - b + c: the step from a to b is b - a.")
    def backwards(vectors, a, b, c):
        return analogy.model_answer(vectors, b, a, c)

    not_scaled = wrong(
        "Long vectors outvote short ones here: scale a, b and c to length 1 first.",
        "(unit[b] - unit[a] + unit[c])",
        "(vectors[b] - vectors[a] + vectors[c])",
    )

    with_the_question = wrong(
        "That word stands in the question: leave a, b and c out.", "score[[a, b, c]] = -torch.inf", "pass"
    )
