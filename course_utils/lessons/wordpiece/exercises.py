"""Exercises of notebook 02: split words into pieces, join them again, fool the longest match, tell three
training rules apart, offsets and ids.

Pieces inside a word carry `##`. A vocabulary is a dict from piece to id.

Long, because the six exercises share the words, vocabularies and truths that they are checked with.
"""

from course_utils.classroom.engine import exercise, stage, wrong

CAST = (
    "the bank was robbed yesterday",
    "i went to the bank to deposit money",
    "the river bank was very scenic",
    "the cat sat on the mat",
    "it was happy",
    "great movie !",
)
UNKNOWN = ["[UNK]"]


def _numbered(pieces) -> dict[str, int]:
    """The pieces as a vocabulary, `[UNK]` first."""
    return {piece: index for index, piece in enumerate(["[UNK]", *pieces])}


def _letters(alphabet: str) -> list[str]:
    """Every letter, alone and inside a word: with these no word of `alphabet` is unknown."""
    return [*alphabet, *("##" + letter for letter in alphabet)]


def _random_word(check, alphabet: str, shortest: int, longest: int) -> str:
    length = int(check.rng.integers(shortest, longest + 1))
    return "".join(check.rng.choice(list(alphabet), size=length).tolist())


def _pieces_of_library(word: str, vocab: dict[str, int]) -> list[str]:
    """The truth to compare with: the model of the `tokenizers` library."""
    from tokenizers.models import WordPiece

    return [token.value for token in WordPiece(vocab, unk_token="[UNK]").tokenize(word)]


def _cut(
    word: str, vocab: dict[str, int], shortest: bool = False, mark: str = "##", give_up: bool = True
) -> list[str]:
    """Greedy match from the left. Each option makes a slip of it: the shortest piece that fits, no mark, or
    `[UNK]` for single letters that have no piece.
    """
    pieces, start = [], 0
    while start < len(word):
        ends = range(len(word), start, -1)
        for end in reversed(ends) if shortest else ends:
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab:
                pieces.append((mark if start else "") + word[start:end])
                start = end
                break
        else:
            if give_up:
                return UNKNOWN
            pieces.append("[UNK]")
            start += 1
    return pieces


def _any_cover(word: str, vocab: dict[str, int], start: int = 0) -> list[str] | None:
    """A slip: go back and try a shorter piece where the longest one leads nowhere; None if nothing covers."""
    if start == len(word):
        return []
    for end in range(len(word), start, -1):
        piece = ("##" if start else "") + word[start:end]
        if piece in vocab and (rest := _any_cover(word, vocab, end)) is not None:
            return [piece, *rest]
    return None


@exercise
class longest_match:
    """Write `longest_match(word, vocab)`: the pieces of one word, as a list of strings.

    Take the longest piece of `vocab` (a dict, piece to id) that the word begins with, then do the same with
    the rest. Pieces inside the word carry `##`, in `vocab` and in your list. If some rest begins with no
    piece at all, the answer is ["[UNK]"], for the whole word. The word has at least one letter; `vocab` may
    lack "[UNK]".
    """

    hints = (
        (
            "Keep `start`, the place of the first letter that is not covered yet. While start < len(word),"
            " look for a piece."
        ),
        (
            "For the longest piece first, let `end` run down from len(word) to start + 1:"
            " `range(len(word), start, -1)`."
        ),
        (
            "The piece to look up is word[start:end], with `##` before it if start > 0. The `else` of a `for`"
            " loop runs if nothing broke it."
        ),
    )

    def solution(word, vocab):
        pieces = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start > 0 else "") + word[start:end]
                if piece in vocab:
                    break
            else:
                return ["[UNK]"]
            pieces.append(piece)
            start = end
        return pieces

    @stage("a word that is in the vocabulary is one piece")
    def whole_words(check):
        for length in range(1, 7):
            for _ in range(2):
                word = _random_word(check, "ab", length, length)
                vocab = _numbered(dict.fromkeys([*_letters("ab"), word]))
                check.equal(check.call(word, vocab), [word])

    @stage("the longest piece first, then the rest, as the library does; also in every cast sentence")
    def longest_first(check):
        words = [_random_word(check, "abc", 2, 2 + i // 4) for i in range(24)]
        cast = sorted({word for sentence in CAST for word in sentence.split()}, key=lambda w: (len(w), w))
        for word in [*words, *cast]:
            alphabet = "abc" if word in words else "".join(sorted(set(word)))
            middle = [word[i : i + 2] for i in range(len(word) - 1)] + [word[:3], word[1:4]]
            more = [piece if check.rng.random() < 0.4 else "##" + piece for piece in middle if piece != word]
            vocab = _numbered(dict.fromkeys([*_letters(alphabet), *more]))
            check.equal(check.call(word, vocab), _pieces_of_library(word, vocab))

    @stage("one [UNK] for the whole word where the way ends")
    def unknown(check):
        for size in range(2, 14):
            word = _random_word(check, "ab", 2, 3 + size // 3)
            vocab = _numbered(dict.fromkeys(["a", "ab", "##ab", "##ba", word[:2], "##" + word[1:]]))
            check.equal(check.call(word, vocab), _pieces_of_library(word, vocab))
            longer = "z" + word
            check.equal(check.call(longer, vocab), UNKNOWN, "The first letter has no piece.")
        for vocab in ({}, {"[UNK]": 0}, {"a": 0, "##b": 1}):
            for word in ("a", "abbbb", "abbbbbbbbbbba"):
                check.equal(check.call(word, vocab), _pieces_of_library(word, vocab | {"[UNK]": len(vocab)}))

    @wrong("Letters are pieces too, but the whole word is a longer one.")
    def shortest_first(word, vocab):
        return _cut(word, vocab, shortest=True)

    @wrong("The pieces inside a word have lost their ##.")
    def no_marks(word, vocab):
        return _cut(word, vocab, mark="")

    @wrong("Some shorter piece was taken where a longer one fits.")
    def letters_unless_whole(word, vocab):
        return [word] if word in vocab else _cut(word, vocab, shortest=True)

    @wrong("[UNK] stands for the whole word: pieces that were found before the dead end are dropped.")
    def unknown_letters(word, vocab):
        return _cut(word, vocab, give_up=False)

    @wrong("A shorter piece would have led to the end, but the rule never goes back.")
    def goes_back(word, vocab):
        cover = _any_cover(word, vocab)
        return ["[UNK]"] if cover is None else cover

    @wrong("The fewest pieces are not asked for: take the longest first piece, then the same with the rest.")
    def fewest_pieces(word, vocab):
        best = {0: []}
        for end in range(1, len(word) + 1):
            covers = [
                [*best[start], piece]
                for start in best
                if (piece := ("##" if start else "") + word[start:end]) in vocab
            ]
            if covers:
                best[end] = min(covers, key=len)
        return best.get(len(word), ["[UNK]"])

    @wrong("These are the longest pieces from the end of the word: begin at its first letter.")
    def from_the_end(word, vocab):
        pieces, end = [], len(word)
        while end > 0:
            for start in range(end):
                piece = ("##" if start else "") + word[start:end]
                if piece in vocab:
                    break
            else:
                return ["[UNK]"]
            pieces.insert(0, piece)
            end = start
        return pieces


def _random_sentence(check, words: int, most_pieces: int) -> tuple[list[str], list[str]]:
    """Words of a to d, and the pieces that they were made of."""
    sentence, pieces = [], []
    for _ in range(words):
        parts = [
            _random_word(check, "abcd", 1, 3) for _ in range(int(check.rng.integers(1, most_pieces + 1)))
        ]
        sentence.append("".join(parts))
        pieces += [parts[0], *("##" + part for part in parts[1:])]
    return sentence, pieces


@exercise
class join_pieces:
    """Write `join_pieces(pieces)`: the text of a list of pieces, as one string.

    One space stands between words and none before a piece that begins with `##`; the mark itself is no part
    of the text. The first piece of the list begins a word. The list holds no special tokens.
    """

    hints = (
        "Go through the pieces with an empty string to begin with. When does a piece need a space before it?",
        'A piece that begins with "##" is glued on without its first two characters: `piece[2:]`.',
        "`piece.removeprefix('##')` takes off the mark and nothing else; `strip('#')` takes off every #.",
    )

    def solution(pieces):
        text = pieces[0]
        for piece in pieces[1:]:
            text += piece[2:] if piece.startswith("##") else " " + piece
        return text

    @stage("words that are one piece: a space between them")
    def whole_words(check):
        for words in range(1, 8):
            sentence, pieces = _random_sentence(check, words, 1)
            check.equal(check.call(pieces), " ".join(sentence))

    @stage("pieces with ## are glued to what stands before them")
    def glued(check):
        for words in range(1, 6):
            for _ in range(3):
                sentence, pieces = _random_sentence(check, words, 3)
                check.equal(check.call(pieces), " ".join(sentence))

    @stage("a # that belongs to the text stays in it")
    def real_signs(check):
        for letters in ("c", "f", "ab", "a", "x"):
            for signs in (1, 2):
                pieces = [letters, *["###"] * signs, "b"]
                check.equal(check.call(pieces), letters + "#" * signs + " b")
                check.equal(check.call([letters, "##" + "#" * signs, "##b"]), letters + "#" * signs + "b")
                loose = [letters, *["#"] * signs, "b"]
                check.equal(
                    check.call(loose), letters + " #" * signs + " b", "A lone # is a word, not a mark."
                )

    @wrong("The words run together: one space stands between them.")
    def no_spaces(pieces):
        return "".join(piece.removeprefix("##") for piece in pieces)

    @wrong("The marks are still in the text.")
    def only_spaces(pieces):
        return " ".join(pieces)

    @wrong("The marks are gone, but the space before them is not.")
    def spaces_left(pieces):
        return " ".join(pieces).replace("##", "")

    strips_every_sign = wrong(
        "'###' is the mark and a real #. Take off the mark only.", "piece[2:]", 'piece.lstrip("#")'
    )

    @wrong("A space too many at the end or the beginning.")
    def trailing_space(pieces):
        return (
            "".join(
                (piece if piece.startswith("##") else " " + piece).removeprefix("##") for piece in pieces
            )[1:]
            + " "
        )


def _fewest(word: str, vocab) -> int | None:
    """The smallest number of pieces of `vocab` that cover `word`; None if nothing covers it."""
    fewest: dict[int, int] = {0: 0}
    for end in range(1, len(word) + 1):
        counts = [
            fewest[start] + 1
            for start in range(end)
            if start in fewest and ("##" if start else "") + word[start:end] in vocab
        ]
        if counts:
            fewest[end] = min(counts)
    return fewest.get(len(word))


@exercise
class fooled:
    """Find `fooled = (word, pieces)`: a word, and a vocabulary (a list of pieces) with which greedy longest
    match covers the word, but with at least twice as many pieces as are needed.
    """

    hints = (
        "The rule looks at the beginning only. Which first piece is long, and leaves a hard rest?",
        (
            "Let two pieces cover the word: a short first one and a long second one. Now add a first piece"
            " that is one letter longer, so that the long second one never gets its turn."
        ),
        "After the tempting piece only single letters may be left to take: four letters, four pieces.",
    )

    solution = ("ababc", ["a", "##babc", "ab", "##a", "##b", "##c"])

    @stage("a word, and a list of pieces")
    def form(check):
        check.expect(
            isinstance(check.answer, tuple | list) and len(check.answer) == 2,
            "Two things are asked for, in this order: a word and a list of pieces.",
        )
        word, pieces = check.answer
        check.expect(isinstance(word, str) and word != "", "The first of the two is the word, a string.")
        check.expect(len(word) <= 100, "A word of more than 100 letters is [UNK] straight away.")
        check.expect(
            isinstance(pieces, list | tuple | set | frozenset | dict)
            and all(isinstance(piece, str) for piece in pieces),
            "The second of the two is a list of pieces, each of them a string.",
        )

    @stage("longest match covers the word, without [UNK]")
    def covered(check):
        word, pieces = check.answer
        check.expect(
            _cut(word, set(pieces)) != UNKNOWN,
            "Longest match runs into a dead end: the word becomes [UNK]. (Pieces inside a word carry ##.)",
        )

    @stage("and half as many pieces would do, or fewer")
    def twice(check):
        word, pieces = check.answer
        taken, fewest = len(_cut(word, set(pieces))), _fewest(word, set(pieces))
        check.expect(
            taken >= 2 * fewest,
            f"Longest match takes {taken} here, and the fewest that cover the word are {fewest}.",
        )

    dead_end = wrong("This word becomes [UNK]: the rule cannot go back.")(("hugs", ["hu", "hug", "##gs"]))
    without_marks = wrong("A piece inside a word needs its ##, in the vocabulary too.")(
        ("hugs", ["h", "hug", "ugs", "s"])
    )
    best_already = wrong("Here longest match does as well as anything can.")(
        ("hugs", ["h", "##u", "##g", "##s", "hug"])
    )
    one_more = wrong("One piece too many is a start; twice as many are asked for.")(
        ("hard", ["h", "##ard", "ha", "##r", "##d"])
    )
    exchanged = wrong("The word comes first, then the pieces.")((["a", "##babc", "ab", "##a"], "ababc"))


MERGES = {
    "quotient": ("ex", "##bb", "exc", "qu"),
    "count": ("##he", "the", "##er", "wa"),
    "likelihood": ("th", "the", "to", "of"),
}


@exercise
class rule_of:
    """Find `rule_of`, a tuple: for each of the lists A, B and C of the notebook the rule that made it.

    A rule is "count", "quotient" or "likelihood".
    """

    hints = (
        "One rule divides by the counts of both pieces. What kind of pair does that favour?",
        "Which letters are neighbours most often in English, in any word? `count` asks nothing else.",
        (
            "The likelihood weighs the count by the PMI: it wants pairs that are frequent and belong"
            " together. `##h ##e` occurs in the and in she; but `t` is followed by `##h` far more often"
            " than by chance."
        ),
    )

    solution = ("quotient", "count", "likelihood")

    @stage("three rules, each of them once")
    def form(check):
        check.expect(
            isinstance(check.answer, tuple | list)
            and list(map(type, check.answer)) == [str] * 3
            and set(check.answer) == set(MERGES),
            'Three strings are asked for, "count", "quotient" and "likelihood", in the order of the lists.',
        )

    @stage("the rule that made list A, with its rare letters")
    def rare(check):
        check.expect(
            check.answer[0] == "quotient",
            "List A joins x, q and doubled letters, which are rare. Which rule divides by the counts?",
        )

    @stage("the rules that made lists B and C")
    def others(check):
        check.expect(
            check.answer[1] == "count",
            "B and C have changed places: `##h ##e` is the most frequent pair, in the and in she.",
        )

    every_frequent = wrong("Rare letters are never the most frequent neighbours.")(
        ("count", "quotient", "likelihood")
    )
    likelihood_of_rare = wrong("The likelihood asks for frequent pairs too: it weighs the PMI by the count.")(
        ("likelihood", "count", "quotient")
    )
    changed_places = wrong("Count `##h ##e` and `t ##h`: the first pair occurs more often.")(
        ("quotient", "likelihood", "count")
    )
    one_rule_twice = wrong("Three lists, three rules: each made one of them.")(("quotient", "count", "count"))


def _lay_out(words: list[list[str]], gaps: list[int]) -> tuple[str, list[str], list[tuple[int, int]]]:
    """Words, each a list of parts, with so many spaces after each: the text, its pieces and their offsets."""
    text, pieces, offsets = "", [], []
    for parts, gap in zip(words, gaps, strict=True):
        for i, part in enumerate(parts):
            pieces.append(("##" if i else "") + part)
            offsets.append((len(text), len(text) + len(part)))
            text += part
        text += " " * gap
    return text.rstrip(), pieces, offsets


def _step_by_step(pieces: list[str], mark: int = 0) -> list[tuple[int, int]]:
    """A slip: one space between words is taken for granted; with `mark=2`, the mark is measured too."""
    offsets, position = [], 0
    for piece in pieces:
        part = piece.removeprefix("##")
        is_inside = part != piece
        start = position + (position > 0 and not is_inside)
        position = start + len(part) + (mark if is_inside else 0)
        offsets.append((start, position))
    return offsets


@exercise
class piece_offsets:
    """Repair `piece_offsets(text, pieces)`: a list of (start, end), one for each piece.

    `text[start:end]` is the piece without its mark. The text is in small letters, words stand apart by one
    space or more, and the pieces cover all its characters from left to right; none is [UNK]. A # may be one
    of these characters.
    """

    hints = (
        "Keep the place where the last piece ended, and look for the next one from there on.",
        "`text.find(part, position)` looks for `part` from `position` on. Take the `##` off first.",
        (
            "The end is start + len(part), where `part` has no mark; it is the place of the first letter that"
            " is no longer in the piece."
        ),
    )

    def stub(text, pieces):
        offsets = []
        for piece in pieces:
            start = text.find(piece)
            offsets.append((start, start + len(piece)))
        return offsets

    def solution(text, pieces):
        offsets = []
        position = 0
        for piece in pieces:
            part = piece.removeprefix("##")
            start = text.find(part, position)
            position = start + len(part)
            offsets.append((start, position))
        return offsets

    @stage("different words, one piece each")
    def different_words(check):
        for count in range(1, 8):
            letters = check.rng.permutation(list("abcdefghij"))[:count].tolist()
            words = [[letter * int(check.rng.integers(1, 4))] for letter in letters]
            text, pieces, offsets = _lay_out(words, [1] * count)
            check.equal(check.call(text, pieces), offsets)
        check.equal(check.call("", []), [], "No pieces, no offsets.")

    @stage("a word that stands in the text twice has two places")
    def repeated_words(check):
        for count in range(2, 9):
            words = [[_random_word(check, "ab", 1, 2)] for _ in range(count)]
            words.append(words[0])
            text, pieces, offsets = _lay_out(words, [1] * len(words))
            check.equal(check.call(text, pieces), offsets)

    @stage("the mark ## takes no place in the text")
    def marked(check):
        for count in range(1, 8):
            words = [
                [_random_word(check, "abc", 1, 3) for _ in range(1 + i % 3)] for i in range(count, 0, -1)
            ]
            words[0] = words[0][:1] + [_random_word(check, "abc", 1, 3)]
            text, pieces, offsets = _lay_out(words, [1] * count)
            check.equal(check.call(text, pieces), offsets)
        for words in ([["c", "#"], ["b"]], [["#"], ["a", "##"]], [["a", "#b", "##"], ["#", "a"]]):
            text, pieces, offsets = _lay_out(words, [1] * len(words))
            check.equal(check.call(text, pieces), offsets, "A # that stands in the text takes its place.")

    @stage("any number of spaces between words")
    def wide_gaps(check):
        for count in range(2, 9):
            words = [[_random_word(check, "abc", 1, 3) for _ in range(1 + i % 2)] for i in range(count)]
            text, pieces, offsets = _lay_out(words, check.rng.integers(2, 5, size=count).tolist())
            check.equal(check.call(text, pieces), offsets)

    @wrong("You found the first place of the word once more: go on from where the last piece ended.")
    def first_place(text, pieces):
        parts = [piece.removeprefix("##") for piece in pieces]
        return [(text.find(part), text.find(part) + len(part)) for part in parts]

    @wrong("Your ends are the places of the last letters; an end is the place after it.")
    def last_letter(text, pieces):
        return [(start, end - 1) for start, end in _step_by_step(pieces)]

    @wrong("This is start and length; wanted is start and end.")
    def lengths(text, pieces):
        return [(start, end - start) for start, end in _step_by_step(pieces)]

    @wrong("The two signs of the mark are counted as letters: take `##` off before you measure.")
    def marks_measured(text, pieces):
        return _step_by_step(pieces, mark=2)

    strips_every_sign = wrong(
        "'###' is the mark and a real #. Take off the mark only.", 'removeprefix("##")', 'strip("#")'
    )

    @wrong("The gaps here are wider than one space: look where the next word really begins.")
    def one_space(text, pieces):
        return _step_by_step(pieces)


def _ids(pieces: list[str], vocab: dict[str, int]) -> list[int]:
    return [vocab.get(piece, vocab["[UNK]"]) for piece in pieces]


@exercise
class to_input_ids:
    """Write `to_input_ids(pieces, vocab, max_length)`: the ids of [CLS], the pieces and [SEP], as a list.

    `vocab` is a dict from piece to id. A piece that is not in it gets the id of [UNK]. The list has at most
    `max_length` ids, [CLS] and [SEP] among them; pieces that do not fit are dropped from the end. max_length
    is at least 2.
    """

    hints = (
        "Two of the max_length places belong to [CLS] and [SEP]. How many are left for pieces?",
        (
            "Cut the list of pieces first, `pieces[: max_length - 2]`, then put [CLS] before it and [SEP]"
            " behind it."
        ),
        '`vocab.get(piece, vocab["[UNK]"])` gives the id, or that of [UNK].',
    )

    def solution(pieces, vocab, max_length):
        kept = ["[CLS]", *pieces[: max_length - 2], "[SEP]"]
        return [vocab.get(piece, vocab["[UNK]"]) for piece in kept]

    @stage("[CLS], the pieces, [SEP], when there is room")
    def with_room(check):
        for count in range(1, 8):
            vocab = _shuffled_vocab(check)
            pieces = check.rng.choice(["a", "b", "##a", "##b"], size=count).tolist()
            framed = ["[CLS]", *pieces, "[SEP]"]
            check.equal(check.call(pieces, vocab, count + 3), _ids(framed, vocab))
        check.equal(
            check.call([], vocab, 4), _ids(["[CLS]", "[SEP]"], vocab), "No pieces: [CLS] and [SEP] are left."
        )

    @stage("the id of [UNK] for a piece that is not in the vocabulary")
    def with_unknown(check):
        for count in range(1, 8):
            vocab = _shuffled_vocab(check)
            pieces = [*check.rng.choice(["a", "##b", "zz", "☃"], size=count).tolist(), "☃"]
            check.equal(check.call(pieces, vocab, count + 3), _ids(["[CLS]", *pieces, "[SEP]"], vocab))

    @stage("never more than max_length ids, and [SEP] still the last of them")
    def cut(check):
        for count in range(3, 9):
            for room in range(count):
                vocab = _shuffled_vocab(check)
                pieces = check.rng.choice(["a", "b", "##a", "##b"], size=count).tolist()
                expected = _ids(["[CLS]", *pieces[:room], "[SEP]"], vocab)
                check.equal(check.call(pieces, vocab, room + 2), expected)

    @wrong("[CLS] and [SEP] are missing.")
    def bare(pieces, vocab, max_length):
        return _ids(pieces, vocab)[:max_length]

    @wrong("[SEP] closes the text and [CLS] opens it; here they have changed places.")
    def exchanged(pieces, vocab, max_length):
        return _ids(["[SEP]", *pieces[: max_length - 2], "[CLS]"], vocab)

    @wrong(
        "A piece that is not in the vocabulary cannot be looked up like the others: it gets the id of [UNK]."
    )
    def no_unknown(pieces, vocab, max_length):
        return [vocab[piece] for piece in ["[CLS]", *pieces[: max_length - 2], "[SEP]"]]

    @wrong("Unknown pieces have vanished; each of them becomes [UNK].")
    def skips_unknown(pieces, vocab, max_length):
        known = [piece for piece in pieces if piece in vocab]
        return _ids(["[CLS]", *known[: max_length - 2], "[SEP]"], vocab)

    @wrong("0 is the id of some other piece here: look the id of [UNK] up in vocab.")
    def always_zero(pieces, vocab, max_length):
        return [vocab.get(piece, 0) for piece in ["[CLS]", *pieces[: max_length - 2], "[SEP]"]]

    @wrong("[SEP] was dropped with the rest: make room for it before you cut.")
    def loses_sep(pieces, vocab, max_length):
        return _ids(["[CLS]", *pieces, "[SEP]"], vocab)[:max_length]

    @wrong("Longer than max_length: [CLS] and [SEP] count too.")
    def two_too_long(pieces, vocab, max_length):
        return _ids(["[CLS]", *pieces[:max_length], "[SEP]"], vocab)

    @wrong("The pieces were dropped from the beginning; the end gives way.")
    def drops_the_beginning(pieces, vocab, max_length):
        return _ids(["[CLS]", *pieces[max(0, len(pieces) - max_length + 2) :], "[SEP]"], vocab)

    @wrong("No padding is asked for: the list may be shorter than max_length.")
    def padded(pieces, vocab, max_length):
        ids = _ids(["[CLS]", *pieces[: max_length - 2], "[SEP]"], vocab)
        return ids + [vocab["[PAD]"]] * (max_length - len(ids))

    @wrong("These are pieces; wanted are their ids.")
    def pieces_themselves(pieces, vocab, max_length):
        return ["[CLS]", *pieces[: max_length - 2], "[SEP]"]

    @wrong("Too long: nothing was dropped.")
    def never_cut(pieces, vocab, max_length):
        return _ids(["[CLS]", *pieces, "[SEP]"], vocab)


def _shuffled_vocab(check) -> dict[str, int]:
    """A small vocabulary with its ids in another order each time."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b"]
    return dict(zip(pieces, check.rng.permutation(len(pieces)).tolist(), strict=True))
