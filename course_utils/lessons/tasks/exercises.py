"""Exercises of notebook 11: labels for pieces, entities and their F1, tags that may follow each other, when
to say nothing, and windows.
"""

import re

import numpy as np

from course_utils.classroom.engine import exercise, stage, wrong


def _pieces(check, words: int) -> list[int]:
    """For each piece of a row the number of its word, -1 for [CLS] and [SEP]; one word has three pieces."""
    counts = check.rng.integers(1, 4, size=words)
    counts[check.rng.integers(words)] = 3
    return [-1, *np.repeat(np.arange(words), counts).tolist(), -1]


@exercise
class first_piece_labels:
    """Write `first_piece_labels(word_of_piece, word_labels)`: a list of ints, one label for each piece.

    `word_of_piece` says for each piece of a row the number of the word it belongs to, and -1 for `[CLS]` and
    `[SEP]`; the pieces of a word stand side by side. `word_labels` holds one whole number for each word. The
    first piece of a word gets the label of the word; every other piece, and each special token, gets -100.
    """

    hints = (
        "Go through the pieces and remember the word of the piece before. When does a new word begin?",
        "A piece is the first one of its word if its number differs from the one before, and is not -1.",
        (
            "`previous = -1`, then `for word in word_of_piece:` append `word_labels[word]` or -100, and set"
            " `previous = word`."
        ),
    )

    def solution(word_of_piece, word_labels):
        labels, previous = [], -1
        for word in word_of_piece:
            labels.append(word_labels[word] if word not in (-1, previous) else -100)
            previous = word
        return labels

    @stage("a list with one label for each piece, and no label for special tokens")
    def form(check):
        for words in range(1, 7):
            row = [-1, *range(words), -1]
            labels = check.rng.integers(0, 9, size=words).tolist()
            got = check.call(row, labels)
            check.expect(isinstance(got, list), "A list is wanted.")
            check.equal(len(got), len(row), "The number of labels is not that of the pieces.")
            check.expect(not any(isinstance(label, float) for label in got), "Labels are whole numbers.")
            check.equal(got, [-100, *labels, -100])

    @stage("only the first piece of a word carries its label")
    def values(check):
        for words in range(2, 9):
            row = _pieces(check, words)
            # Two neighbours with the same label: comparing labels instead of words fails here. And 0, the
            # number of the tag O, is a label.
            labels = check.rng.integers(0, 9, size=words).tolist()
            labels[1] = labels[0]
            labels[words // 2] = 0
            first = [word >= 0 and row[i - 1] != word for i, word in enumerate(row)]
            expected = [labels[word] if begins else -100 for word, begins in zip(row, first, strict=True)]
            check.equal(check.call(row, labels), expected)

    @wrong("Every piece has a label here: a word of three pieces would count three times.")
    def every_piece(word_of_piece, word_labels):
        return [word_labels[word] if word >= 0 else -100 for word in word_of_piece]

    @wrong("The label stands at the last piece of a word; the first one carries it.")
    def last_piece(word_of_piece, word_labels):
        after = [*word_of_piece[1:], -1]
        return [
            word_labels[word] if word not in (-1, follows) else -100
            for word, follows in zip(word_of_piece, after, strict=True)
        ]

    specials_are_outside = wrong(
        "[CLS] and [SEP] belong to no word: their label is -100, not 0.",
        "word_labels[word] if word not in (-1, previous) else -100",
        "0 if word == -1 else word_labels[word] if word != previous else -100",
    )

    @wrong("This is one label for each word: further pieces and special tokens need an entry too.")
    def words_only(word_of_piece, word_labels):
        return list(word_labels)

    no_zero = wrong(
        "The label 0 is lost: `0 or -100` is -100.",
        "word_labels[word] if word not in (-1, previous) else -100",
        "word not in (-1, previous) and word_labels[word] or -100",
    )

    rest_is_outside = wrong(
        "The other pieces got 0, which is the number of a tag; -100 means no label.",
        "word_labels[word] if word not in (-1, previous) else -100",
        "-100 if word == -1 else word_labels[word] if word != previous else 0",
    )


KINDS = ("PER", "LOC", "ORG")


def _entities(tags) -> set:
    """The truth to compare with: in well-formed tags, every B with the I behind it."""
    spans = [each.span() for each in re.finditer("BI*", "".join(tag[0] for tag in tags))]
    return {(tags[begin][2:], begin, end) for begin, end in spans}


def _sentence(check, entities: int) -> list[str]:
    """Tags of some entities, the second of them right behind the first and of its type."""
    tags: list[str] = ["O"] * int(check.rng.integers(0, 3))
    kind = str(check.rng.choice(KINDS))
    for number in range(entities):
        if number > 1:
            tags += ["O"] * int(check.rng.integers(0, 3))
            kind = str(check.rng.choice(KINDS))
        tags += [f"B-{kind}"] + [f"I-{kind}"] * int(check.rng.integers(0, 3))
    return tags + ["O"] * int(check.rng.integers(0, 2))


@exercise
class entities:
    """Write `entities(tags)`: the set of entities in a list of BIO tags, each a tuple (type, begin, end).

    `type` is the text behind the hyphen ("PER"), `begin` the number of the first word, and `end` one past the
    last word, as in a slice. The tags are well-formed: an entity begins with B-, and I- only follows B- or I-
    of its type.
    """

    hints = (
        "An entity begins at each tag that starts with B-. How far does it go?",
        "From `begin + 1` on, as long as the tag is I- with the same type. The end of the list ends it too.",
        '`kind = tag[2:]`; `while end < len(tags) and tags[end] == f"I-{kind}": end += 1`.',
    )

    def solution(tags):
        found = set()
        for begin, tag in enumerate(tags):
            if tag.startswith("B-"):
                kind, end = tag[2:], begin + 1
                while end < len(tags) and tags[end] == f"I-{kind}":
                    end += 1
                found.add((kind, begin, end))
        return found

    @stage("one entity: its type, its first word, and one past its last word")
    def one(check):
        for words in range(2, 8):
            tags = ["O", "B-LOC", *["I-LOC"] * words, "O"]
            check.equal(check.call(tags), {("LOC", 1, 2 + words)})

    @stage("several, some side by side, some at the end")
    def many(check):
        for count in range(2, 9):
            tags = _sentence(check, count)
            check.equal(check.call(tags), _entities(tags))
            check.equal(check.call([*tags, "B-ORG"]), _entities([*tags, "B-ORG"]))
            check.equal(check.call(["B-PER", "O", *tags]), _entities(["B-PER", "O", *tags]))

    @wrong("`end` is one past the last word, as in a slice.")
    def last_word(tags):
        return {(kind, begin, end - 1) for kind, begin, end in _entities(tags)}

    @wrong("The type is what stands behind the hyphen.")
    def whole_tag(tags):
        return {(f"B-{kind}", begin, end) for kind, begin, end in _entities(tags)}

    @wrong("Only B- was read: I- goes on.")
    def first_words(tags):
        return {(tag[2:], i, i + 1) for i, tag in enumerate(tags) if tag[0] == "B"}

    @wrong("Two entities of a type stand side by side here: B- ends the one before.")
    def runs_of_a_type(tags):
        found, begin = set(), 0
        for i in range(1, len(tags) + 1):
            if i == len(tags) or tags[i][2:] != tags[begin][2:]:
                if tags[begin] != "O":
                    found.add((tags[begin][2:], begin, i))
                begin = i
        return found

    @wrong("The name of one word at the beginning of the sentence is missing.")
    def not_the_first_word(tags):
        return {each for each in _entities(tags) if each[1:] != (0, 1)}

    @wrong("The entity that ends with the sentence is missing.")
    def needs_an_end(tags):
        return {each for each in _entities(tags) if each[2] < len(tags)}


def _f1(truth: set, guess: set) -> float:
    """F1 of two sets, of which at least one holds something."""
    return 2 * len(truth & guess) / (len(truth) + len(guess))


@exercise
class entity_f1:
    """Write `entity_f1(truth, guess)`: the F1, a float, of two lists of sets of entities.

    `truth[k]` and `guess[k]` are the sets of entities (type, begin, end) of sentence k. An entity that was
    found is right if exactly the same tuple stands in the truth *of its sentence*. With all sentences taken
    together, precision is right / found, recall is right / true ones, and F1 = 2 * right / (found + true
    ones). Where there is nothing to find and nothing was found, F1 is 1.0.
    """

    hints = (
        "Three counts over all sentences: right, found, true ones. Only then divide.",
        "`len(t & g)` counts what two sets share; `zip(truth, guess)` goes through the sentences.",
        "If found + true ones is 0, return 1.0.",
    )

    def solution(truth, guess):
        right = sum(len(t & g) for t, g in zip(truth, guess, strict=True))
        total = sum(map(len, truth)) + sum(map(len, guess))
        return 2 * right / total if total else 1.0

    @stage("one sentence")
    def one(check):
        for right in range(1, 6):
            common = {("PER", 3 * k, 3 * k + 1) for k in range(right)}
            truth = common | {("LOC", 30, 32)}
            guess = common | {("LOC", 30, 31), ("ORG", 40, 41), ("ORG", 44, 45)}
            check.equal(check.call([truth], [guess]), _f1(truth, guess))

    @stage("several sentences, counted together, each with its own truth")
    def several(check):
        for extra in range(1, 6):
            here, there = ("PER", 0, 1), ("LOC", 2, 3)
            many = {("PER", 5 * k, 5 * k + 2) for k in range(1, extra + 2)}
            truth, guess = [{here} | many, {there}], [{there} | many, {here, there}]
            right = len(many) + 1
            total = len(truth[0]) + len(truth[1]) + len(guess[0]) + len(guess[1])
            check.equal(check.call(truth, guess), 2 * right / total)

    @stage("nothing right: 0.0, also where nothing was found")
    def nothing_right(check):
        for k in range(1, 4):
            names = {("PER", 3 * i, 3 * i + 1) for i in range(k)}
            places = {("LOC", 3 * i, 3 * i + 1) for i in range(k)}
            for truth, guess in ((names, set()), (set(), names), (names, places)):
                check.equal(check.call([truth, set()], [guess, set()]), 0.0)

    @stage("nothing to find, nothing found: 1.0")
    def empty(check):
        for sentences in range(1, 6):
            check.equal(
                check.call([set()] * sentences, [set()] * sentences), 1.0, "There was nothing to miss."
            )

    @wrong("This is the precision: it forgets what was not found.")
    def precision(truth, guess):
        return sum(len(t & g) for t, g in zip(truth, guess, strict=True)) / sum(map(len, guess))

    @wrong("This is the recall: it forgets what was found wrongly.")
    def recall(truth, guess):
        return sum(len(t & g) for t, g in zip(truth, guess, strict=True)) / sum(map(len, truth))

    @wrong("This is the mean of the F1 of each sentence: count first, divide last.")
    def mean_of_sentences(truth, guess):
        return sum(_f1(t, g) if t or g else 1.0 for t, g in zip(truth, guess, strict=True)) / len(truth)

    @wrong("An entity of one sentence was found in the other: all were thrown into one set.")
    def one_set(truth, guess):
        return _f1(set().union(*truth), set().union(*guess))

    @wrong("Finding nothing scores 1.0 here, even where there was something to find.")
    def silence_is_perfect(truth, guess):
        found = sum(map(len, guess))
        return entity_f1.model_answer(truth, guess) if found else 1.0

    nothing_at_all = wrong(
        "Nothing to find and nothing found makes 0 / 0: that case has an answer of its own, 1.0.",
        " if total else 1.0",
        "",
    )

    @wrong("An entity with the wrong end counts as right here; the whole tuple must agree.")
    def begins_alike(truth, guess):
        return entity_f1.model_answer(
            *([{each[:2] for each in one} for one in side] for side in (truth, guess))
        )

    half = wrong("Not half of it: F1 is 2 * right / (found + true ones).", "2 * right", "right")


TYPES = ("PER", "PET", "WORK-OF-ART", "WORK", "ART")  # two that begin or end like another
TAGS = ["O", *(f"{prefix}-{kind}" for kind in TYPES for prefix in "BI")]


def _in_order(before: str | None, after: str) -> bool:
    """The truth to compare with: the list of all pairs that are spelt well."""
    goes_on = {(f"{prefix}-{kind}", f"I-{kind}") for kind in TYPES for prefix in "BI"}
    return after[0] in "OB" or (before, after) in goes_on


@exercise
class may_follow:
    """Write `may_follow(before, after)`: whether the BIO tag `after` may come directly behind `before`.

    True or False. `before` is None at the beginning of a sentence. O and every B- tag may stand anywhere; I-X
    only goes on an entity of type X. A type may hold a hyphen of its own, as in "B-WORK-OF-ART".
    """

    hints = (
        "Only tags with I- are restricted. What must stand before them?",
        "I-X may follow B-X or I-X: what do these have in common behind the first letter?",
        "`before is not None and before[1:] == after[1:]`: for O the rest is empty.",
    )

    def solution(before, after):
        if not after.startswith("I-"):
            return True
        return before is not None and before[1:] == after[1:]

    @stage("O and B- stand anywhere")
    def free(check):
        for before in (None, *TAGS):
            for after in ("O", "B-PER", "B-WORK-OF-ART"):
                check.equal(check.call(before, after), True)

    @stage("I- goes on an entity of its own type")
    def inside(check):
        for kind in TYPES:
            for prefix in "BI":
                check.equal(check.call(f"{prefix}-{kind}", f"I-{kind}"), True)

    @stage("I- goes on nothing else")
    def forbidden(check):
        for after in (f"I-{kind}" for kind in TYPES):
            for before in (None, *TAGS):
                if not _in_order(before, after):
                    check.equal(check.call(before, after), False)

    @wrong("I- after O begins an entity in the middle.")
    def after_outside(before, after):
        return _in_order(before, after) or before == "O"

    @wrong("No entity goes on at the beginning of a sentence.")
    def at_the_start(before, after):
        return before is None or _in_order(before, after)

    @wrong("An entity may have three words or more: I- follows I-, too.")
    def only_after_b(before, after):
        return after[0] in "OB" or before == f"B{after[1:]}"

    @wrong("Two entities may stand side by side: B- needs no O before it.")
    def b_needs_o(before, after):
        return _in_order(before, after) and (after[0] != "B" or before in (None, "O"))

    @wrong("The types must agree: I-PET does not go on a PER.")
    def any_type(before, after):
        return after[0] in "OB" or before not in (None, "O")

    @wrong("The type is all that stands behind the first hyphen: WORK-OF-ART is not ART.")
    def behind_the_last_hyphen(before, after):
        return after[0] in "OB" or before is not None and before.split("-")[-1] == after.split("-")[-1]

    @wrong("The type is all that stands behind the first hyphen: WORK-OF-ART is not WORK.")
    def between_hyphens(before, after):
        return after[0] in "OB" or before is not None and before.split("-")[1:2] == after.split("-")[1:2]

    @wrong("PER and PET begin alike, but they are two types.")
    def first_letters(before, after):
        return after[0] in "OB" or before not in (None, "O") and before[2:4] == after[2:4]


def _right(threshold: float, leads, right, empty) -> int:
    """How many questions are settled rightly at a threshold."""
    return sum(
        (good and not nothing) if lead > threshold else nothing
        for lead, good, nothing in zip(leads, right, empty, strict=True)
    )


def _hold_threshold(check, leads, right, empty) -> None:
    got = check.call(leads, right, empty)
    best = max(_right(t, leads, right, empty) for t in (min(leads) - 1, *leads))
    check.expect(
        _right(float(got), leads, right, empty) == best,
        f"{best} of {len(leads)} questions can be right with one threshold.",
    )


@exercise
class best_threshold:
    """Write `best_threshold(leads, right, empty)`: the threshold, a float, that gets most questions right.

    Three lists, one entry for each dev question: `leads[k]` is the score of its best span minus that of
    [CLS]; `right[k]` says whether that span is the answer, `empty[k]` whether the question has none. A model
    answers where the lead is *above* the threshold, and is silent elsewhere; silence is right where `empty`
    says so. Of thresholds that are equally good any one will do.
    """

    hints = (
        "The count changes only where the threshold passes a lead. Which thresholds need to be tried?",
        "Each of the leads, and one below all of them: with that one everything is answered.",
        "Write a function that counts for one threshold, then `max(candidates, key=count)`.",
    )

    def solution(leads, right, empty):
        def count(threshold):
            settled = 0
            for lead, good, nothing in zip(leads, right, empty, strict=True):
                settled += good if lead > threshold else nothing
            return settled

        return max([min(leads) - 1, *leads], key=count)

    @stage("every question has an answer, and it was found: answer all")
    def answer_all(check):
        for n in range(1, 7):
            leads = (check.rng.normal(size=n) - 2).round(1).tolist()
            _hold_threshold(check, leads, [True] * n, [False] * n)

    @stage("no question has an answer: be silent")
    def silent(check):
        for n in range(1, 7):
            leads = (check.rng.normal(size=n) + 2).round(1).tolist()
            _hold_threshold(check, leads, [False] * n, [True] * n)

    @stage("some of each, some leads alike")
    def mixed(check):
        for n in range(4, 24):
            empty = (check.rng.random(n) < 0.4).tolist()
            right = [not nothing and check.rng.random() < 0.7 for nothing in empty]
            leads = [
                round(float(check.rng.normal()) + 2 * good - nothing, 1)
                for good, nothing in zip(right, empty, strict=True)
            ]
            leads[1] = leads[0]
            _hold_threshold(check, leads, right, empty)
        _hold_threshold(check, [0.0] * 4, [True, True, True, False], [False, False, False, True])

    @wrong("0 is where [CLS] and the span are equal; another threshold may be right more often.")
    def zero(leads, right, empty):
        return 0.0

    @wrong("A threshold below all leads is missing among those that you try.")
    def never_all(leads, right, empty):
        return max(leads, key=lambda t: _right(t, leads, right, empty))

    @wrong("Only answers were counted; silence can be right, too.")
    def answers_only(leads, right, empty):
        return max(
            [min(leads) - 1, *leads],
            key=lambda t: sum(g for lead, g in zip(leads, right, strict=True) if lead > t),
        )

    @wrong("This is always silent; it is right only where there is no answer.")
    def always_silent(leads, right, empty):
        return max(leads)

    @wrong("The middle between the mean leads of the two groups does not count what is right.")
    def middle(leads, right, empty):
        groups = [
            [lead for lead, e in zip(leads, empty, strict=True) if e == which] for which in (True, False)
        ]
        if not all(groups):
            return min(leads) - 1 if groups[1] else max(leads)
        return sum(sum(group) / len(group) for group in groups) / 2


def _starts(length: int, room: int, stride: int) -> list[int]:
    """The truth to compare with: the last window is the first that reaches the end."""
    return list(range(0, max(length - room, 0) + stride, stride))


@exercise
class window_starts:
    """Write `window_starts(length, room, stride)`: a list of ints, the first piece of each window.

    The context has `length` pieces, a window holds up to `room` of them, and each window begins `stride`
    pieces after the one before (1 <= stride <= room). The first begins at 0. Stop as soon as a window reaches
    the end of the context: no window without need.
    """

    hints = (
        "A window that begins at s holds the pieces s to s + room - 1. When does it reach the end?",
        "It reaches the end if s + room >= length. Until then, append s + stride.",
    )

    def solution(length, room, stride):
        starts = [0]
        while starts[-1] + room < length:
            starts.append(starts[-1] + stride)
        return starts

    @stage("a context that fits needs one window")
    def fits(check):
        for room in range(4, 11):
            length = room if room % 2 else room - 2
            got = check.call(length, room, room // 2)
            check.expect(isinstance(got, list), "A list is wanted.")
            check.equal(got, [0], "It fits as a whole.")

    @stage("every piece in some window, and no window too many")
    def covers(check):
        for _ in range(20):
            room = int(check.rng.integers(4, 12))
            stride = int(check.rng.integers(1, room + 1))
            length = room + int(check.rng.integers(1, 30))
            starts = _starts(length, room, stride)
            check.equal(check.call(length, room, stride), starts)
        check.equal(check.call(9, 4, 4), [0, 4, 8])

    @wrong("The windows do not overlap: the next one begins `stride` pieces on, not `room`.")
    def no_overlap(length, room, stride):
        return _starts(length, room, room)

    @wrong("The stride is the step, not what two windows share.")
    def overlap_for_step(length, room, stride):
        return _starts(length, room, max(1, room - stride))

    @wrong("A stride as long as the room is allowed: the windows then stand side by side.")
    def never_side_by_side(length, room, stride):
        return [0] if stride == room else _starts(length, room, stride)

    @wrong("The last pieces are in no window.")
    def no_rest(length, room, stride):
        return list(range(0, max(1, length - room), stride)) if length > room else [0]

    @wrong("The windows go on after one has reached the end.")
    def to_the_end(length, room, stride):
        return [0] if length <= room else list(range(0, length, stride))

    @wrong("The first window reaches the end already.")
    def always_on(length, room, stride):
        return list(range(0, length, stride))

    @wrong("One window too many: the one before ends exactly at the end.")
    def one_more(length, room, stride):
        starts = _starts(length, room, stride)
        return [*starts, starts[-1] + stride] if length > room else starts
