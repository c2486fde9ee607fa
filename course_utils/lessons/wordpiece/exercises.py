"""Exercises of notebook 02: cut words into pieces, join them again, find the next merge, offsets and ids.

Pieces inside a word carry `##`. A vocabulary is a dict from piece to id.
"""

from collections import Counter
from itertools import pairwise

from course_utils.classroom.engine import exercise, stage, wrong
from course_utils.wordpiece import pair_scores

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
    piece at all, the answer is ["[UNK]"], for the whole word. The word has at least one letter.
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
        cast = sorted({word for sentence in CAST for word in sentence.split()}, key=len)
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


def _count_pairs(splits: dict[str, list[str]], word_counts: dict[str, int]) -> Counter:
    """Copy after copy of each word, pair after pair: slow, and hard to get wrong."""
    pairs = Counter()
    for word, pieces in splits.items():
        for _ in range(word_counts[word]):
            pairs.update(pairwise(pieces))
    return pairs


def _first_best(scores) -> tuple[str, str]:
    """The pair with the highest score; of equals the first in alphabetical order."""
    return min(pair for pair in scores if scores[pair] == max(scores.values()))


def _random_corpus(check, words: int, highest: int) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Words of two letters or more, all different, in letters, and how often each occurs (1 to `highest`)."""
    found = set()
    while len(found) < words:
        found.add(_random_word(check, "abcn", 2, 6))
    splits = {word: [word[0], *("##" + letter for letter in word[1:])] for word in sorted(found)}
    return splits, {word: int(check.rng.integers(1, highest + 1)) for word in splits}


@exercise
class most_frequent_pair:
    """Write `most_frequent_pair(splits, word_counts)`: the pair of neighbouring pieces that occurs most
    often.

    `splits` is a dict from word to its list of pieces, `word_counts` a dict from word to how often it occurs
    in the text. Return the pair as a tuple (first, second). If several occur equally often, return the one
    that comes first in alphabetical order (Python's order of tuples: `min`).
    """

    hints = (
        "`itertools.pairwise(pieces)`, or `zip(pieces, pieces[1:])`, gives the neighbours within one word.",
        (
            "Add `word_counts[word]` to the count of a pair each time that the pair stands in the word. A"
            " `Counter` begins at 0."
        ),
        (
            "Of all pairs with the highest count take `min`: tuples of strings compare like words in a"
            " dictionary."
        ),
    )

    def solution(splits, word_counts):
        counts = Counter()
        for word, pieces in splits.items():
            for pair in pairwise(pieces):
                counts[pair] += word_counts[word]
        highest = max(counts.values())
        return min(pair for pair in counts if counts[pair] == highest)

    @stage("the pair with the highest count, when every word occurs once")
    def once(check):
        tried = 0
        while tried < 12:
            splits, word_counts = _random_corpus(check, 4 + tried // 3, 1)
            counts = _count_pairs(splits, word_counts)
            if list(counts.values()).count(max(counts.values())) > 1:
                continue
            tried += 1
            check.equal(check.call(splits, word_counts), _first_best(counts))

    @stage("each word counts as often as it occurs")
    def weighted(check):
        tried = 0
        while tried < 12:
            splits, word_counts = _random_corpus(check, 3 + tried // 3, 9)
            counts = _count_pairs(splits, word_counts)
            if list(counts.values()).count(max(counts.values())) > 1:
                continue
            tried += 1
            got = check.call(splits, word_counts)
            check.equal(got, _first_best(counts))

    @stage("of pairs that occur equally often, the first in alphabetical order")
    def ties(check):
        for size in range(2, 9):
            letters = check.rng.permutation(list("abcdefgh"))[:size].tolist()
            splits = {f"{letter}x": [letter, "##x"] for letter in letters}
            expected = (min(letters), "##x")
            check.equal(check.call(splits, dict.fromkeys(splits, 3)), expected)

    @wrong("This is the rule with the quotient. Here the plain count decides.")
    def published_score(splits, word_counts):
        return _first_best(pair_scores(splits, word_counts))

    once_a_word = wrong(
        "A pair that stands twice in a word counts twice.", "in pairwise(pieces)", "in set(pairwise(pieces))"
    )

    @wrong("A word that occurs nine times brings its pairs nine times: use word_counts.")
    def counts_words_once(splits, word_counts):
        return _first_best(_count_pairs(splits, dict.fromkeys(splits, 1)))

    @wrong("Another pair occurs as often and comes before it.")
    def first_met(splits, word_counts):
        counts = _count_pairs(splits, word_counts)
        return max(counts, key=counts.get)

    @wrong("This is the last one in alphabetical order.")
    def last_of_ties(splits, word_counts):
        counts = _count_pairs(splits, word_counts)
        return max(counts, key=lambda pair: (counts[pair], pair))

    @wrong("This pair is the rarest.")
    def rarest(splits, word_counts):
        counts = _count_pairs(splits, word_counts)
        return min(counts, key=counts.get)


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
    """Write `piece_offsets(text, pieces)`: a list of (start, end), one for each piece.

    `text[start:end]` is the piece without its mark. The text is in small letters, words stand apart by one
    space or more, and the pieces cover all its letters from left to right; none is [UNK].
    """

    hints = (
        "Keep the place where the last piece ended, and look for the next one from there on.",
        "`text.find(part, position)` looks for `part` from `position` on. Take the `##` off first.",
        (
            "The end is start + len(part), where `part` has no mark; it is the place of the first letter that"
            " is no longer in the piece."
        ),
    )

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
