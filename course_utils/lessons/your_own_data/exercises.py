"""Exercises of notebook 17: a leak, a baseline that wins, fair comparisons, a threshold, and adapters.

Long, because each exercise stands whole, its wrong answers included.
"""

import math

import torch

from course_utils.classroom.engine import exercise, stage, wrong


@exercise
class find_leak:
    """Write `find_leak(train, test)`: "doubles", "guests", "both" or "none".

    Each part is a list of (guest, text). "doubles": some text of test stands in train too, whoever signed it
    there. "guests": some guest of test has texts in train, and not only ones that are doubles of test texts.
    The same text with other capitals, or with other white space, is a double.
    """

    hints = (
        'Bring every text to one form first: `" ".join(text.lower().split())`.',
        "Take the doubles out of train before you look for guests.",
    )

    def solution(train, test):
        def form(text):
            return " ".join(text.lower().split())

        tested = {form(text) for _, text in test}
        doubles = any(form(text) in tested for _, text in train)
        others = {guest for guest, text in train if form(text) not in tested}
        guests = any(guest in others for guest, _ in test)
        if doubles and guests:
            return "both"
        return "doubles" if doubles else "guests" if guests else "none"

    @stage("one kind of leak at a time")
    def single(check):
        other = [("ben", "a dull film"), ("ben", "it was awful")]
        check.equal(check.call(other, [("anna", "it was lovely"), ("anna", "a great film")]), "none")
        check.equal(check.call(other, [("anna", "it was awful")]), "doubles")
        check.equal(check.call(other, [("anna", "it was lovely"), ("ben", "a great film")]), "guests")
        check.equal(check.call(other, [("anna", "a dull film"), ("ben", "it was lovely")]), "both")
        check.equal(check.call([], [("ben", "it was lovely")]), "none")
        check.equal(check.call(other, []), "none")
        check.equal(check.call(other[:1] * 2, [("anna", "it was lovely")] * 2), "none")
        check.equal(check.call([("ben", "he is nowhere")], [("anna", "he is now here")]), "none")

    @stage("a double that hides")
    def hidden(check):
        for text in ("It was awful", "it  was awful", " it was\tawful "):
            check.equal(check.call([("ben", "it was awful")], [("anna", text)]), "doubles")
            check.equal(
                check.call([("anna", text)], [("clara", "a dull film"), ("ben", "it was awful")]), "doubles"
            )

    @stage("a guest whose only texts in train are doubles")
    def only_doubles(check):
        test = [("anna", "it was lovely"), ("ben", "it was awful")]
        check.equal(check.call([("ben", "it was awful"), ("emma", "a film")], test), "doubles")
        check.equal(check.call([("anna", "it was awful"), ("emma", "a film")], test), "doubles")
        check.equal(check.call([("ben", "IT WAS AWFUL"), ("emma", "a film")], test), "doubles")
        check.equal(check.call([("ben", "it was awful"), ("ben", "a film")], test), "both")
        check.equal(check.call([("ben", "a film"), ("emma", "it was awful")], test), "both")
        check.equal(check.call([("ben", "IT WAS AWFUL"), ("anna", "A film")], test), "both")
        check.equal(check.call([("ben", "it was lovely"), ("anna", "it was awful")], test), "doubles")

    letter_by_letter = wrong(
        "A double with other capitals or spaces slips through.", '" ".join(text.lower().split())', "text"
    )

    only_capitals = wrong(
        "Two spaces instead of one, and the double is not seen.",
        '" ".join(text.lower().split())',
        "text.lower()",
    )

    guests_of_doubles = wrong(
        "A guest whose only texts in train are doubles is no second leak: without them nothing is left.",
        "for guest, text in train if form(text) not in tested",
        "for guest, _ in train",
    )

    no_spaces = wrong(
        'Other white space is no matter, but none at all is: "now here" is not "nowhere".',
        '" ".join(text.lower().split())',
        '"".join(text.lower().split())',
    )

    @wrong("Take the doubles out of train, not out of test: a guest of test stays one who was known.")
    def out_of_test(train, test):
        def form(text):
            return " ".join(text.lower().split())

        learnt = {form(text) for _, text in train}
        doubles = any(form(text) in learnt for _, text in test)
        guests = {guest for guest, _ in train} & {guest for guest, text in test if form(text) not in learnt}
        if doubles and guests:
            return "both"
        return "doubles" if doubles else "guests" if guests else "none"

    @wrong("A double counts whoever signed it: compare the texts, not the pairs.")
    def pairs(train, test):
        def form(text):
            return " ".join(text.lower().split())

        tested = {(guest, form(text)) for guest, text in test}
        doubles = any((guest, form(text)) in tested for guest, text in train)
        others = {guest for guest, text in train if (guest, form(text)) not in tested}
        guests = any(guest in others for guest, _ in test)
        if doubles and guests:
            return "both"
        return "doubles" if doubles else "guests" if guests else "none"


@exercise
class hand_over:
    """Write `hand_over(baseline, network)`: "network" or "baseline"?

    Both are lists of accuracies, one for each seed; seed by seed the two have learnt from the same texts. The
    network is dearer to run, so it has to win by more than luck. If both were equally good, each seed on
    which they differ would be a fair coin. Return "network" if that many coins show as many wins of the
    network, or more, with a probability of at most `1 / 20`; otherwise "baseline".
    """

    hints = (
        "Compare seed by seed: on how many is the network ahead, on how many do the two differ at all?",
        "n coins, k or more wins: the sum of `math.comb(n, i)` for i = k to n, over 2 ** n.",
    )

    def solution(baseline, network):
        wins = sum(b > a for a, b in zip(baseline, network, strict=True))
        n = sum(b != a for a, b in zip(baseline, network, strict=True))
        luck = sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n
        return "network" if luck <= 1 / 20 else "baseline"

    @stage("a mean that one seed has raised")
    def one_lucky(check):
        check.equal(check.call([0.6] * 6, [0.59, 0.58, 0.59, 0.59, 0.58, 0.99]), "baseline")
        check.equal(check.call([0.5, 0.6, 0.7, 0.8, 0.9], [0.6, 0.7, 0.8, 0.9, 0.5]), "baseline")
        check.equal(check.call([0.6] * 5 + [0.99] * 3, [0.7] * 8), "baseline")
        check.equal(check.call([0.6] * 4, [0.59, 0.59, 0.59, 0.95]), "baseline")
        check.equal(check.call([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], [0.6, 0.7, 0.8, 0.9, 0.55, 0.5]), "baseline")

    @stage("ahead on most seeds")
    def most_seeds(check):
        for wins, losses in ((9, 1), (15, 5), (14, 6), (8, 2), (6, 1), (2, 8), (12, 8)):
            baseline = [0.5 + 0.01 * k for k in range(wins + losses)]
            network = [a + (0.005 if k < wins else -0.005) for k, a in enumerate(baseline)]
            check.equal(check.call(baseline, network), _judged(wins, losses))
            if wins == 9:
                check.equal(check.call([0.9, *[0.6] * 8], [0.2, *[0.61] * 8]), "network")

    @stage("ahead on every seed, or on none")
    def every_seed(check):
        for n in (5, 6, 4, 3, 2, 1, 8):
            check.equal(check.call([0.6] * n, [0.8] * n), _judged(n, 0))
            check.equal(check.call([0.8] * n, [0.6] * n), "baseline")
        check.equal(check.call([0.9, 0.5, 0.7, 0.6, 0.8], [0.91, 0.51, 0.71, 0.61, 0.81]), "network")
        check.equal(check.call([0.0] * 5, [0.5] * 5), "network")
        check.equal(check.call([0.5] * 5, [0.0] * 5), "baseline")
        check.equal(check.call([0.5] * 5, [0.6, 0.7, 0.0, 0.8, 0.9]), "baseline")
        check.equal(check.call([0.5, 0.5, 0.0, 0.5, 0.5], [0.6, 0.7, 0.1, 0.8, 0.9]), "network")
        for wins, losses in ((13, 5), (29, 17)):  # just within one in twenty, and just outside
            check.equal(
                check.call([0.6] * (wins + losses), [0.7] * wins + [0.5] * losses), _judged(wins, losses)
            )

    @stage("seeds on which both are as good")
    def ties(check):
        check.equal(check.call([0.7] * 9, [0.8] * 5 + [0.7] * 4), "network")
        check.equal(check.call([0.7] * 9, [0.8] * 4 + [0.7] * 5), "baseline")
        check.equal(check.call([0.7] * 9, [0.7] * 9), "baseline")
        check.equal(check.call([0.7] * 9, [0.8] * 7 + [0.6] + [0.7]), "network")
        check.equal(check.call([], []), "baseline")

    @wrong("A higher mean can come from one lucky seed: compare the two seed by seed.")
    def by_mean(baseline, network):
        return "network" if sum(network) > sum(baseline) else "baseline"

    @wrong("More seeds won than lost is what luck gives in half of all cases.")
    def more_wins(baseline, network):
        wins = sum(b > a for a, b in zip(baseline, network, strict=True))
        losses = sum(b < a for a, b in zip(baseline, network, strict=True))
        return "network" if wins > losses else "baseline"

    @wrong("Ahead on every seed is not asked for; and on few seeds luck alone does that.")
    def all_seeds(baseline, network):
        return "network" if all(b > a for a, b in zip(baseline, network, strict=True)) else "baseline"

    @wrong("Keep the pairs: a seed has drawn the same texts for both, and sorting tears them apart.")
    def sorted_apart(baseline, network):
        pairs = list(zip(sorted(baseline), sorted(network), strict=True))
        wins, n = sum(b > a for a, b in pairs), sum(b != a for a, b in pairs)
        luck = sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n
        return "network" if luck <= 1 / 20 else "baseline"

    exactly = wrong(
        "As many wins *or more*: the larger numbers count too.", "range(wins, n + 1)", "range(wins, wins + 1)"
    )

    two_sides = wrong(
        "One side only: where the baseline wins, it is handed over anyway.",
        "luck <= 1 / 20",
        "2 * luck <= 1 / 20",
    )

    with_ties = wrong("A seed on which both are as good is no coin: leave it out.", "b != a for", "True for")

    ties_won = wrong("A tie is no win.", "b > a for", "b >= a for")


def _judged(wins: int, losses: int) -> str:
    """The truth, coin by coin: in how many ways each number of wins can come about."""
    ways = [1]
    for _ in range(wins + losses):
        ways = [a + b for a, b in zip([0, *ways], [*ways, 0], strict=True)]
    return "network" if 20 * sum(ways[wins:]) <= sum(ways) else "baseline"


@exercise
class by_luck:
    """Write `by_luck(first, second)`: how probable is a difference as large as this, if both are as good?

    Both are lists of True (right) and False (wrong) on the same texts. Only texts on which exactly one of
    the two is right tell them apart; if both are as good, each such text is a fair coin. Return the
    probability, a float, that the coins fall as unevenly as here or more so, to either side; 1.0 if there is
    no such text.
    """

    hints = (
        "Count: on how many texts is only the first right, on how many only the second?",
        "n coins, k of them on the rarer side: the sum of `math.comb(n, i)` for i = 0 to k, over 2 ** n.",
        "Both sides: twice that, but never more than 1.",
    )

    def solution(first, second):
        only_first = sum(a and not b for a, b in zip(first, second, strict=True))
        only_second = sum(b and not a for a, b in zip(first, second, strict=True))
        n, rarer = only_first + only_second, min(only_first, only_second)
        return min(1.0, 2 * sum(math.comb(n, i) for i in range(rarer + 1)) / 2**n)

    @stage("five coins on one side")
    def example(check):
        check.equal(check.call([True] * 5, [False] * 5), 2 / 32)
        check.equal(check.call([False] * 6 + [True], [True] * 7), 2 / 64)
        check.equal(check.call([True, True], [True, False]), 1.0)
        check.equal(check.call([True] * 9, [False] * 8 + [True]), 2 / 256)
        check.equal(check.call([False] * 4, [True] * 4), 2 / 16)

    @stage("texts on which both are right, or both wrong, count for nothing")
    def ties(check):
        for n in range(1, 8):
            first = [True] * n + [False, True] * 4
            second = [False] * n + [False, True] * 4
            check.equal(check.call(first, second), 2 / 2**n)
        check.equal(check.call([True, False], [True, False]), 1.0)
        check.equal(check.call([], []), 1.0)

    @stage("coins on both sides")
    def both_sides(check):
        for only_first, only_second in ((1, 4), (4, 1), (3, 3), (2, 9), (30, 18), (1, 1), (40, 75)):
            first = [True] * only_first + [False] * only_second + [True, False]
            second = [False] * only_first + [True] * only_second + [True, False]
            check.equal(check.call(first, second), _by_coins(only_first, only_second))

    one_side = wrong(
        "This is one side only: the other might as well have won.", "min(1.0, 2 * sum(", "min(1.0, sum("
    )

    exactly = wrong(
        "As unevenly *or more so*: the rarer sides from 0 up count too.", "range(rarer + 1)", "[rarer]"
    )

    @wrong("This is the approximation by chi-square, for many coins. Here the coins are counted.")
    def approximated(first, second):
        one = sum(a and not b for a, b in zip(first, second, strict=True))
        other = sum(b and not a for a, b in zip(first, second, strict=True))
        if not one + other:
            return 1.0
        return math.erfc(abs(one - other) / math.sqrt(2 * (one + other)))

    @wrong("Without any text that tells them apart nothing speaks against luck: 1.0.")
    def none_is_zero(first, second):
        only_first = sum(a and not b for a, b in zip(first, second, strict=True))
        only_second = sum(b and not a for a, b in zip(first, second, strict=True))
        n, rarer = only_first + only_second, min(only_first, only_second)
        return min(1.0, 2 * sum(math.comb(n, i) for i in range(rarer + 1)) / 2**n) if n else 0.0

    above_one = wrong("With as many coins on each side this is more than 1.", "min(1.0, 2", "(2")

    @wrong("Texts on which both are right or both wrong are no coins: leave them out.")
    def all_texts(first, second):
        n = len(first)
        rarer = min(
            sum(a and not b for a, b in zip(first, second, strict=True)),
            sum(b and not a for a, b in zip(first, second, strict=True)),
        )
        return min(1.0, 2 * sum(math.comb(n, i) for i in range(rarer + 1)) / 2**n)


def _by_coins(one: int, other: int) -> float:
    """The truth, coin by coin: how probable each number of heads is, and the sum of those as uneven."""
    chances = [1.0]
    for _ in range(one + other):
        chances = [(a + b) / 2 for a, b in zip([0.0, *chances], [*chances, 0.0], strict=True)]
    return sum(p for heads, p in enumerate(chances) if abs(2 * heads - one - other) >= abs(one - other))


@exercise
class threshold_for:
    """Write `threshold_for(confidence, right, wanted)`: the lowest one that will do.

    `confidence` has a number for each text of dev, `right` True or False. The model answers where its
    confidence is at least the threshold. Return the lowest of the confidences, a float, at which the
    share of right answers is `wanted` or more; `math.inf` if there is
    none: then it answers nothing.
    """

    hints = (
        "Try each of the confidences as threshold. Which of those that are good enough answers the most?",
        "Texts of equal confidence are answered together or not at all.",
    )

    def solution(confidence, right, wanted):
        for threshold in sorted(set(confidence)):
            answered = [r for c, r in zip(confidence, right, strict=True) if c >= threshold]
            if sum(answered) >= wanted * len(answered):
                return threshold
        return math.inf

    @stage("the surer, the better")
    def rising(check):
        confidence = [0.6, 0.7, 0.8, 0.9]
        check.equal(check.call(confidence, [False, True, True, True], 0.9), 0.7)
        check.equal(check.call(confidence, [False, False, True, True], 0.6), 0.7)
        check.equal(check.call(confidence[::-1], [True, True, False, False], 0.9), 0.8)
        check.equal(check.call(confidence, [True] * 4, 1.0), 0.6)
        check.equal(check.call(confidence, [False, False, False, True], 0.8), 0.9)
        check.equal(check.call(confidence, [False, False, True, True], 0.0), 0.6)
        check.equal(check.call([-1.5, -0.5, 0.0, 2.0], [False, True, True, True], 0.9), -0.5)
        check.equal(check.call([-1.0, 0.0, 0.0], [False, True, True], 0.9), 0.0)
        check.equal(check.call([-3.0, -1.0], [False, True], 0.9), -1.0)
        check.equal(check.call([0.0], [True], 0.9), 0.0)

    @stage("an error among the surest")
    def sure_error(check):
        confidence = [0.6, 0.7, 0.8, 0.9]
        check.equal(check.call(confidence, [False, True, True, False], 0.66), 0.7)
        check.equal(check.call(confidence, [True, True, True, False], 0.75), 0.6)
        check.equal(check.call(confidence, [False, True, True, False], 0.5), 0.6)
        check.equal(check.call(confidence, [False, False, True, False], 0.5), 0.8)
        check.equal(check.call(confidence, [True, False, True, False], 0.5), 0.6)

    @stage("equal confidences")
    def ties(check):
        check.equal(check.call([0.9, 0.9, 0.9, 0.6], [False, True, True, False], 0.66), 0.9)
        check.equal(check.call([0.9, 0.8, 0.8, 0.6], [True, False, True, False], 0.7), 0.9)
        check.equal(check.call([0.8, 0.6, 0.8, 0.6], [True, False, True, False], 0.7), 0.8)
        check.equal(check.call([0.7] * 3, [True, False, True], 0.6), 0.7)
        check.equal(check.call([0.9, 0.7, 0.7, 0.7], [True, True, True, False], 0.75), 0.7)

    @stage("nothing will do")
    def none(check):
        for confidence, right, wanted in (
            ([0.6, 0.9], [True, False], 0.9),
            ([0.5], [False], 0.1),
            ([], [], 0.9),
            ([0.9, 0.8, 0.7], [False, True, True], 0.7),
            ([0.8, 0.8], [True, False], 0.6),
        ):
            check.equal(check.call(confidence, right, wanted), math.inf)

    @wrong("This is the highest threshold that will do; a lower one answers more texts.")
    def highest(confidence, right, wanted):
        for threshold in sorted(set(confidence), reverse=True):
            answered = [r for c, r in zip(confidence, right, strict=True) if c >= threshold]
            if sum(answered) >= wanted * len(answered):
                return threshold
        return math.inf

    above = wrong(
        "At this threshold the share is below `wanted`: a text with just this confidence is answered too.",
        "c >= threshold",
        "c > threshold",
    )

    more = wrong("`wanted` or more: exactly `wanted` will do.", ">= wanted", "> wanted")

    @wrong("A threshold of 1.0 still answers a text of confidence 1.0; infinity answers nothing.")
    def one(confidence, right, wanted):
        for threshold in sorted(set(confidence)):
            answered = [r for c, r in zip(confidence, right, strict=True) if c >= threshold]
            if sum(answered) >= wanted * len(answered):
                return threshold
        return 1.0

    @wrong("The wanted share is no confidence: look for the confidence from which on that share is right.")
    def wanted_itself(confidence, right, wanted):
        return wanted

    @wrong(
        "Going down from the surest and stopping at the first failure misses lower thresholds that will do."
    )
    def first_failure(confidence, right, wanted):
        found = math.inf
        for threshold in sorted(set(confidence), reverse=True):
            answered = [r for c, r in zip(confidence, right, strict=True) if c >= threshold]
            if sum(answered) < wanted * len(answered):
                return found
            found = threshold
        return found

    @wrong("Where none will do, nothing is answered: the threshold is infinity, not the surest text.")
    def surest(confidence, right, wanted):
        for threshold in sorted(set(confidence)):
            answered = [r for c, r in zip(confidence, right, strict=True) if c >= threshold]
            if sum(answered) >= wanted * len(answered):
                return threshold
        return max(confidence, default=math.inf)

    @wrong("Texts of the same confidence are answered together: cutting between them is luck.")
    def between_ties(confidence, right, wanted):
        order = sorted(range(len(confidence)), key=lambda i: (confidence[i], right[i]))
        for start in range(len(order)):
            answered = [right[i] for i in order[start:]]
            if sum(answered) >= wanted * len(answered):
                return confidence[order[start]]
        return math.inf

    @wrong("The confidence is what the model says of itself; what counts is how often it was right.")
    def believed(confidence, right, wanted):
        return next((c for c in sorted(confidence) if c >= wanted), math.inf)

    of_all = wrong(
        "The share of right answers is taken of those that are answered, not of all texts.",
        "wanted * len(answered)",
        "wanted * len(confidence)",
    )


@exercise
class adapter_size:
    """Write `adapter_size(hidden, intermediate, layers, rank, places)`: how many numbers LoRA learns.

    `places` names what has an adapter in every layer: "query", "key", "value", "output" (the matrix after
    attention), "up" (hidden to intermediate) and "down" (intermediate to hidden).
    """

    hints = (
        "A matrix (out, in) gets one of (rank, in) and one of (out, rank). What are out and in?",
        "rank * (in + out), for each place and layer. Biases get none.",
    )

    def solution(hidden, intermediate, layers, rank, places):
        square, oblong = hidden + hidden, hidden + intermediate
        return sum(layers * rank * (oblong if place in ("up", "down") else square) for place in places)

    @stage("one place")
    def one(check):
        for hidden, rank, layers in ((8, 1, 1), (8, 2, 3), (128, 8, 3), (768, 4, 12)):
            for place in ("query", "output"):
                check.equal(
                    check.call(hidden, 4 * hidden, layers, rank, [place]),
                    _counted(hidden, 4 * hidden, layers, rank, [place]),
                )

    @stage("the two oblong ones, and a width of its own")
    def oblong(check):
        for hidden, intermediate in ((8, 32), (8, 20), (16, 8)):
            for place in ("up", "down"):
                check.equal(
                    check.call(hidden, intermediate, 2, 3, [place]),
                    _counted(hidden, intermediate, 2, 3, [place]),
                )

    @stage("several places, or none")
    def several(check):
        places = ["query", "key", "value", "output", "up", "down"]
        for n in range(7):
            check.equal(check.call(12, 40, 2, 3, places[:n]), _counted(12, 40, 2, 3, places[:n]))

    all_square = wrong(
        "The two oblong matrices have a side of their own.", "oblong if place in", "square if place in"
    )

    one_side = wrong(
        "Each adapter has two matrices, one for each side.",
        "hidden + hidden, hidden + intermediate",
        "hidden, intermediate",
    )

    four = wrong("Intermediate need not be four times hidden.", "hidden + intermediate", "5 * hidden")

    one_layer = wrong("Every layer has its own.", "layers * rank", "rank")

    first_place = wrong(
        "Every place has an adapter of its own.", "for place in places", "for place in places[:1]"
    )

    @wrong("Adapters have no bias, and the bias of the matrix is frozen with it.")
    def with_biases(hidden, intermediate, layers, rank, places):
        total = 0
        for place in places:
            out = intermediate if place == "up" else hidden
            into = intermediate if place == "down" else hidden
            total += layers * (rank * (into + out) + out)
        return total

    @wrong("The two thin matrices have rank * in and out * rank numbers: add them, do not multiply.")
    def product(hidden, intermediate, layers, rank, places):
        sizes = [hidden * (intermediate if place in ("up", "down") else hidden) for place in places]
        return layers * rank * sum(sizes)

    @wrong("This is the whole matrix, which stays as it was.")
    def whole(hidden, intermediate, layers, rank, places):
        sizes = [hidden * (intermediate if place in ("up", "down") else hidden) for place in places]
        return layers * sum(sizes)


def _counted(hidden: int, intermediate: int, layers: int, rank: int, places: list[str]) -> int:
    """The truth: adapters are made, and their numbers counted."""
    from course_utils.lora import LoRALinear

    out = {"up": intermediate}
    into = {"down": intermediate}
    total = 0
    for place in places:
        adapter = LoRALinear(torch.nn.Linear(into.get(place, hidden), out.get(place, hidden)), rank)
        total += layers * sum(p.numel() for p in adapter.parameters() if p.requires_grad)
    return total


@exercise
class where_adapted:
    """Write `where_adapted(before, after)`: where a merged model had its adapters, and of which rank.

    Both are dicts of matrices by name, of the same names and shapes, float32; `after` is `before` with
    (scale times) B A added to some of them, rounded as float32 rounds. Return {name: rank} of those that
    changed. Take for 0 whatever is below a thousandth of the largest singular value of the change, and as
    unchanged what has not changed at all.
    """

    hints = (
        "The change is `after[name] - before[name]`. How many of its singular values are not 0?",
        "`torch.linalg.svdvals(change)`, and a rounding error is not a rank: compare with the largest.",
    )

    def solution(before, after):
        found = {}
        for name in before:
            sizes = torch.linalg.svdvals(after[name] - before[name])
            if sizes[0] > 0:
                found[name] = int((sizes > sizes[0] / 1000).sum())
        return found

    @stage("one adapter")
    def one(check):
        for rank in range(1, 6):
            before, after = _merged(check, {"query": rank})
            check.equal(check.call(before, after), {"query": rank})

    @stage("several, of different ranks")
    def several(check):
        for ranks in (
            {"query": 1, "value": 4},
            {"up": 3, "key": 2, "down": 6},
            {"down": 8, "value": 2},
            {"query": 2, "key": 2},
            {"query": 1, "key": 3, "value": 5, "up": 2, "down": 4},
        ):
            before, after = _merged(check, ranks)
            check.equal(check.call(before, after), ranks)

    @stage("none at all, a small one, and one merged with a large scale")
    def edges(check):
        before, after = _merged(check, {})
        check.equal(check.call(before, after), {})
        before["up"], after["up"] = torch.zeros(30, 12), torch.zeros(30, 12)
        after["up"][3, 4] = 2.0  # of rank 1 to the bit
        check.equal(check.call(before, after), {"up": 1})
        for scale, size in ((0.01, 1.0), (50.0, 1.0), (1e-5, 1e-3), (1e5, 1.0)):
            before, after = _merged(check, {"value": 2, "up": 5}, scale, size)
            check.equal(check.call(before, after), {"value": 2, "up": 5})

    @wrong("Merging rounds, and so every singular value is a little above 0.")
    def rounding(before, after):
        changes = {name: after[name] - before[name] for name in before}
        return {
            name: int((torch.linalg.svdvals(change) > 0).sum())
            for name, change in changes.items()
            if change.any()
        }

    @wrong("`matrix_rank` counts rounding too, unless you tell it from which share on: `rtol=1e-3`.")
    def default_rank(before, after):
        changes = {name: after[name] - before[name] for name in before}
        return {
            name: int(torch.linalg.matrix_rank(change)) for name, change in changes.items() if change.any()
        }

    @wrong("This is the rank of the whole matrix; what was added is the difference.")
    def whole(before, after):
        changed = [name for name in before if not torch.equal(before[name], after[name])]
        return {name: int(torch.linalg.matrix_rank(after[name])) for name in changed}

    @wrong("A threshold that does not grow with the change calls a small adapter none.")
    def fixed(before, after):
        found = {}
        for name in before:
            rank = int((torch.linalg.svdvals(after[name] - before[name]) > 0.5).sum())
            if rank:
                found[name] = rank
        return found

    @wrong("A threshold that does not grow with the change counts the rounding of a large one as rank.")
    def fixed_and_small(before, after):
        found = {}
        for name in before:
            rank = int((torch.linalg.svdvals(after[name] - before[name]) > 1e-6).sum())
            if rank:
                found[name] = rank
        return found

    @wrong("More than one matrix may have been adapted.")
    def largest(before, after):
        name = max(before, key=lambda name: float((after[name] - before[name]).norm()))
        sizes = torch.linalg.svdvals(after[name] - before[name])
        return {name: int((sizes > sizes[0] / 1000).sum())} if sizes[0] > 0 else {}

    unchanged_too = wrong("What has not changed had no adapter.", "sizes[0] > 0", "len(sizes)")


def _merged(check, ranks: dict[str, int], scale: float = 1.0, size: float = 1.0) -> tuple[dict, dict]:
    """Matrices of about this size, before and after adapters of these ranks were added to some of them."""
    shapes = {"query": (12, 12), "key": (12, 12), "value": (12, 12), "up": (30, 12), "down": (12, 30)}

    def draw(*shape):
        return torch.randn(*shape, generator=check.generator)

    before = {name: size * draw(out, 5) @ draw(5, into) for name, (out, into) in shapes.items()}  # of rank 5
    after = {name: matrix.clone() for name, matrix in before.items()}
    for name, rank in ranks.items():
        out, into = shapes[name]
        up, down = (torch.linalg.qr(draw(size, rank)).Q for size in (out, into))
        after[name] += scale * up @ down.T  # rank equal singular values
    return before, after


@exercise
class lora_gradients:
    """Write `lora_gradients(x, gradient, down, up, scale)`: the gradients of the two thin matrices.

    y = scale * (x @ down.T) @ up.T, with x (n, in), down (rank, in) and up (out, rank). `gradient` (n, out)
    is the gradient of the loss with respect to y. Return (gradient of down, gradient of up), without
    autograd. Then put zeros in both: what does such an adapter ever learn?
    """

    hints = (
        "A gradient has the shape of what it belongs to. Which products of the given ones have these shapes?",
        "For z = h @ W.T with gradient g of z: the gradient of W is g.T @ h, that of h is g @ W.",
    )

    def solution(x, gradient, down, up, scale):
        return scale * (gradient @ up).T @ x, scale * gradient.T @ (x @ down.T)

    @stage("shapes")
    def shapes(check):
        for n, rank in ((3, 1), (5, 2), (2, 3), (1, 1), (7, 5)):
            got = check.call(*_adapter(check, n, rank))
            two = isinstance(got, (tuple, list)) and len(got) == 2
            check.expect(two, "Two gradients are wanted: of down, and of up.")
            check.tensor(got[0], (rank, 6), axes="(rank, in)")
            check.tensor(got[1], (4, rank), axes="(out, rank)")

    @stage("every number")
    def values(check):
        for n in range(1, 8):
            _hold_gradients(check, *_adapter(check, n, 1 + n % 3))
        for change in (torch.zeros_like, torch.ones_like, lambda m: -1 - m.abs()):
            for place in range(2 if change is torch.zeros_like else 3):  # x, gradient, down
                inputs = list(_adapter(check, 4, 2))
                inputs[place] = change(inputs[place])
                _hold_gradients(check, *inputs)
        for scale in (0.0, -1.5):
            _hold_gradients(check, *_adapter(check, 3, 2)[:4], scale)

    @stage("the usual start, and bad ones")
    def starts(check):
        for zero in (("up",), ("down",), ("up", "down"), ("up",), ("down",)):
            x, gradient, down, up, scale = _adapter(check, 5, 2)
            up, down = (0 * m if name in zero else m for name, m in (("up", up), ("down", down)))
            _hold_gradients(check, x, gradient, down, up, scale)

    @wrong("The gradient of up comes second.")
    def swapped(x, gradient, down, up, scale):
        return scale * gradient.T @ (x @ down.T), scale * (gradient @ up).T @ x

    @wrong("The scale stands in front of the product, so it stands in front of both gradients.")
    def unscaled(x, gradient, down, up, scale):
        return (gradient @ up).T @ x, gradient.T @ (x @ down.T)

    @wrong("The scale stands once in y, and so once in each gradient.")
    def squared(x, gradient, down, up, scale):
        return scale**2 * (gradient @ up).T @ x, scale**2 * gradient.T @ (x @ down.T)

    @wrong("A mean over the texts is taken, or not, in the loss: here the rows are added up.")
    def mean(x, gradient, down, up, scale):
        return scale * (gradient @ up).T @ x / len(x), scale * gradient.T @ (x @ down.T) / len(x)

    @wrong("With up at 0 down has no gradient, but up has one: that is how the usual start gets away.")
    def stuck(x, gradient, down, up, scale):
        moves = bool(up.any()) and bool(down.any())
        return moves * scale * (gradient @ up).T @ x, moves * scale * gradient.T @ (x @ down.T)

    transposed = wrong(
        "A gradient has the shape of its matrix: this one lies on its side.",
        "(gradient @ up).T @ x",
        "x.T @ (gradient @ up)",
    )


def _hold_gradients(check, *inputs) -> None:
    got = check.call(*inputs)
    for which, truth in enumerate(_summed(*inputs)):
        check.equal(got[which], truth)


def _adapter(check, n: int, rank: int) -> tuple:
    def draw(*shape):
        return torch.randn(*shape, generator=check.generator)

    return draw(n, 6), draw(n, 4), draw(rank, 6), draw(4, rank), 0.5 + rank


def _summed(x, gradient, down, up, scale) -> list[torch.Tensor]:
    """The truth, sum by sum: every path from a number of a thin matrix to the loss."""
    return [
        scale * torch.einsum("no,or,ni->ri", gradient, up, x),
        scale * torch.einsum("no,ni,ri->or", gradient, x, down),
    ]
