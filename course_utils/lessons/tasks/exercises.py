"""Exercises of notebook 11: labels for pieces, entities, the best span, windows, and how good a found answer
is.
"""

import re

import numpy as np
import torch

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
            labels = check.rng.integers(1, 9, size=words).tolist()
            got = check.call(row, labels)
            check.expect(isinstance(got, list), "A list is wanted.")
            check.equal(len(got), len(row), "The number of labels is not that of the pieces.")
            check.equal(got, [-100, *labels, -100])

    @stage("only the first piece of a word carries its label")
    def values(check):
        for words in range(2, 9):
            row = _pieces(check, words)
            # Two neighbours with the same label: whoever compares labels in place of words stumbles.
            labels = check.rng.integers(1, 9, size=words).tolist()
            labels[1] = labels[0]
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


def _search(start, end, longest: int, strict: bool = False, over: int = 0) -> tuple[int, int]:
    """The truth to compare with: look at every span."""
    spans = [
        (i, j) for i in range(len(start)) for j in range(i + strict, min(i + longest + over, len(start)))
    ]
    return max(spans, key=lambda span: float(start[span[0]] + end[span[1]])) if spans else (0, 0)


@exercise
class best_answer:
    """Write `best_answer(start, end, longest)`: the best span as a tuple of two ints (first, last).

    `start` and `end` are float tensors (seq_len,). Of all spans with first <= last that hold at most
    `longest` tokens, take the one with the largest start[first] + end[last]. No two spans have the same sum
    here.
    """

    hints = (
        "Two loops will do: over `first`, and over the `last` that are allowed for it.",
        "`last` runs from `first` to `first + longest - 1`, but not past the end of the row.",
        "`max(spans, key=...)` over a list of all allowed spans; make sure that you return ints.",
    )

    def solution(start, end, longest):
        seq_len = len(start)
        spans = [
            (first, last) for first in range(seq_len) for last in range(first, min(first + longest, seq_len))
        ]
        return max(spans, key=lambda span: float(start[span[0]] + end[span[1]]))

    @stage("the answer never ends before it starts")
    def in_order(check):
        for seq_len in range(4, 11):
            start, end = torch.randn(2, seq_len, generator=check.generator)
            start[-1], end[0] = 5.0, 5.5  # the best start is the last token, the best end the first
            check.equal(check.call(start, end, seq_len), _search(start, end, seq_len))

    @stage("the best sum, not the best start")
    def best_sum(check):
        for seq_len in range(4, 11):
            start = torch.randn(seq_len, generator=check.generator) / 10
            end = torch.randn(seq_len, generator=check.generator) / 10
            start[2], start[0], end[1] = 2.0, 1.8, 3.0
            check.equal(check.call(start, end, seq_len), _search(start, end, seq_len))

    @stage("at most `longest` tokens")
    def short_enough(check):
        for longest in range(1, 7):
            start, end = torch.randn(2, 12, generator=check.generator) / 10
            start[0], end[11], end[longest] = 4.0, 6.0, 5.0
            check.equal(check.call(start, end, longest), _search(start, end, longest))

    @wrong("The end comes before the start: the two were chosen apart.")
    def apart(start, end, longest):
        return int(start.argmax()), int(end.argmax())

    @wrong("The best start was taken first; the best pair may begin elsewhere.")
    def greedy(start, end, longest):
        # When the best start is the last token this is right by luck.
        first = int(start.argmax())
        if first == len(start) - 1:
            return _search(start, end, longest)
        return first, first + int(end[first : first + longest].argmax())

    @wrong("This span is too long.")
    def any_length(start, end, longest):
        return _search(start, end, len(start))

    @wrong("One token too many: a span from first to last holds last - first + 1.")
    def one_more(start, end, longest):
        return _search(start, end, longest, over=1)

    @wrong("A single word may be the answer: first = last is allowed.")
    def two_words(start, end, longest):
        return _search(start, end, longest, strict=True)


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
            stride = int(check.rng.integers(1, room))
            length = room + int(check.rng.integers(1, 30))
            starts = _starts(length, room, stride)
            check.equal(check.call(length, room, stride), starts)

    @wrong("The windows do not overlap: the next one begins `stride` pieces on, not `room`.")
    def no_overlap(length, room, stride):
        return _starts(length, room, room)

    @wrong("The stride is the step, not what two windows share.")
    def overlap_for_step(length, room, stride):
        return _starts(length, room, max(1, room - stride))

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
