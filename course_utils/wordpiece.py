"""WordPiece: what BERT reads in place of words.

Three steps lead from a text to numbers:

1. `clean_text` drops control characters, lower-cases, strips accents, notes where each character came from;
2. `split_words` cuts at spaces and around punctuation;
3. `greedy_pieces` covers each word with the longest pieces of the vocabulary, from left to right.

`plain_tokenize` is these three steps, one after the other. Below the line `WordPieceTokenizer` does them
fast, adds `[CLS]` and `[SEP]`, and gives the same ids, token types and offsets as the fast BERT tokenizer
of the `transformers` library. The second half of the file is about where a vocabulary comes from.

Sources: Devlin et al. 2019 (BERT), section 3, "Input/Output Representations"; Wu et al. 2016, section 4.1
(word pieces); Schuster and Nakajima 2012 (the origin of the idea); `tokenization.py` of
github.com/google-research/bert.
"""

import operator
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from course_utils.checks import refusal
from course_utils.files import write_text
from course_utils.hints import Char, Count, Natural, hold_to_hints

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUATION = "##"
CONTRACTIONS = (" ' ", " n't", " 'm", " 's", " 've", " 're")  # cleaned up, they lose the spaces around them
Cut = tuple[str, int, int]  # a piece, and where it begins and ends in the text
MAX_WORD_LENGTH = 100
_WORD_CACHE_SIZE = 100_000


# ---- Characters ----------------------------------------------------------------------------------------

CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # Google's code begins at 2B820; the library's begins here, and we follow the library
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)

# The library asks a table of Unicode 8.0 (2015) whether a character is an accent, punctuation or a control
# character. Python's own table is newer (14.0 in Python 3.11, 15.1 in 3.13) and knows more. These ranges hold
# what it has learnt since: for the library these are plain characters. Three others have changed category.
#
# Two differences are left. The library lower-cases 55 letters that came in 2024 and 2025, and leaves U+11938
# whole, which Python takes apart (found by comparing all 1,112,064 characters). And it sorts several marks on
# one letter before it drops the accents, which can shift an offset where a mark of another kind stays. BERT's
# vocabulary holds none of these characters: their word is `[UNK]` either way, and the ids are equal.
_PLAIN_IN_UNICODE_8 = """
    61D-61D 7FA-815 85F-8E2 9E4-A00 A76-A80 AF1-B00 B4E-B55 C01-C3D C64-C80 C82-CBB CE4-D00 D02-D40
    D64-DC9 EBA-EBA ECE-F03 180F-18A8 1ABE-1AFF 1B4E-1B4F 1B74-1B7F 1DF6-1DFB 2E43-3000 A827-A873
    A8C5-A8CD A8FD-A925 A9BD-A9C0 10B9D-11000 1104E-1107E 110C2-110FF 111CE-111DA 1123E-112A8 11302-1133B
    11375-114B2 11644-116AA 116B8-1171C 1173F-1246F 12475-16A6D 16B45-16F8E 16F93-1BC9C 1BCA4-1D166
    1DAB0-1E8CF 1E8D7-E0000
"""
_PLAIN_RANGES = [tuple(int(end, 16) for end in span.split("-")) for span in _PLAIN_IN_UNICODE_8.split()]
_CATEGORY_IN_UNICODE_8 = {"\u166d": "Po", "\u1734": "Mn", "\U000111c9": "Po"}


def category(char: Char) -> str:
    """General category of one character, two letters, as the library sees it.

    "Mn" is an accent, "P" with any second letter punctuation, "Cc" a control character, "Cn" is unassigned.
    """
    code = ord(char)
    if any(first <= code <= last for first, last in _PLAIN_RANGES):
        return "Cn"
    return _CATEGORY_IN_UNICODE_8.get(char) or unicodedata.category(char)


def is_control(char: Char) -> bool:
    """True for characters that are dropped: control and format characters, private use, NUL and U+FFFD.

    Tab, line feed and carriage return are control characters for Unicode and spaces for BERT. Code points
    that nobody has assigned yet ("Cn") are kept: they make their word `[UNK]`, they do not vanish from it.
    """
    return char not in "\t\n\r" and (char == "\ufffd" or category(char) in ("Cc", "Cf", "Co", "Cs"))


def is_cjk(char: Char) -> bool:
    """True for Chinese characters (also in Japanese and Korean text): each becomes a word of its own."""
    return any(first <= ord(char) <= last for first, last in CJK_RANGES)


@lru_cache(maxsize=2**14)
def is_punctuation(char: str) -> bool:
    """True for Unicode punctuation and all ASCII symbols (to Unicode, `$` and `+` are not punctuation)."""
    return char in string.punctuation or category(char).startswith("P")


def strip_accents(char: str) -> str:
    """One character without accents: NFD takes "é" apart into "e" and a mark, and the mark is left out."""
    return "".join(part for part in unicodedata.normalize("NFD", char) if category(part) != "Mn")


@lru_cache(maxsize=2**14)
def clean_char(char: str, lowercase: bool = True) -> str:
    """What stands for one character after cleaning: nothing, one character, or several.

    A zero-width space becomes nothing, a tab becomes a space, a Chinese character gets a space on each side,
    and "É" becomes "e". Cased models keep their accents: these go only where letters are lower-cased.
    """
    if is_control(char):
        return ""
    if char.isspace():
        return " "
    if is_cjk(char):
        char = f" {char} "
    return strip_accents(char).lower() if lowercase else char


# ---- From text to pieces -------------------------------------------------------------------------------


def clean_text(text: str, lowercase: bool = True) -> tuple[str, list[int]]:
    """Cleaned text, and for each of its characters the index in `text` of the character that it came from.

    `clean_text("Ça va")` is `("ca va", [0, 1, 2, 3, 4])`. The second list is what offsets are made of:
    cleaning may shorten and lengthen a text, and an answer must still be cut out of the original.
    """
    cleaned, origins = [], []
    for index, char in enumerate(text):
        replacement = clean_char(char, lowercase)
        cleaned.append(replacement)
        origins += [index] * len(replacement)
    return "".join(cleaned), origins


def split_words(cleaned: str) -> list[tuple[int, int]]:
    """Spans (start, end) of the words of a cleaned text; each punctuation character is a word of its own."""
    spans = []
    start = 0
    for index, char in enumerate(cleaned):
        alone = is_punctuation(char)
        if not alone and char != " ":
            continue
        if start < index:
            spans.append((start, index))
        if alone:
            spans.append((index, index + 1))
        start = index + 1
    if start < len(cleaned):
        spans.append((start, len(cleaned)))
    return spans


def greedy_pieces(word: str, vocab: dict[str, int]) -> list[str]:
    """Cover `word` with pieces of `vocab`: the longest that fits its beginning, then the same with the rest.

    Pieces inside a word are written with `##` in front. There is no second thought: if some rest has no piece
    at all, the whole word is `[UNK]`, and so is a word of more than 100 characters.
    """
    if len(word) > MAX_WORD_LENGTH:
        return [UNK]
    pieces = []
    start = 0
    while start < len(word):
        prefix = CONTINUATION if start > 0 else ""
        for end in range(len(word), start, -1):
            piece = prefix + word[start:end]
            if piece in vocab:
                break
        else:
            return [UNK]
        pieces.append(piece)
        start = end
    return pieces


def plain_tokenize(text: str, vocab: dict[str, int], lowercase: bool = True) -> list[str]:
    """The pieces of a text in which no special token stands: the three steps, and nothing else."""
    cleaned, _ = clean_text(text, lowercase)
    words = [cleaned[start:end] for start, end in split_words(cleaned)]
    return [piece for word in words for piece in greedy_pieces(word, vocab)]


def piece_spans(word: str, pieces: list[str]) -> list[tuple[int, int]]:
    """Spans (start, end) of the pieces of `word` from `greedy_pieces`; `[UNK]` stands for the whole word."""
    if pieces == [UNK]:
        return [(0, len(word))]
    spans = []
    start = 0
    for piece in pieces:
        end = start + len(piece) - (len(CONTINUATION) if start > 0 else 0)
        spans.append((start, end))
        start = end
    return spans


def truncated_lengths(first: Natural, second: Natural, room: Natural) -> tuple[int, int]:
    """How many pieces of two segments of `first` and `second` pieces are kept when `room` pieces fit.

    The longer segment gives way until both are equal; then both get half of the room. An odd place goes to
    the segment that was the longer one, and to the second if they were equal (the library's choice; Google's
    code gives it to the first if they were equal).
    """
    if first + second <= room:
        return first, second
    short, long = sorted((first, second))
    if short <= room // 2:
        long = room - short
    else:
        short, long = room // 2, room - room // 2
    return (long, short) if first > second else (short, long)


# ---- The same, fast: a tokenizer that cuts each word once, and knows special tokens and offsets --------


@dataclass
class Encoding:
    """One encoded text or pair of texts. All lists have the same length, seq_len.

    Attributes:
        tokens: the pieces, as strings.
        input_ids: their numbers in the vocabulary.
        token_type_ids: 0 up to and with the first `[SEP]`, 1 for the second text and its `[SEP]`.
        attention_mask: 1 everywhere; `WordPieceTokenizer.batch` adds 0 for padding.
        offsets: (start, end) of each piece in the text that it came from; (0, 0) for special tokens that
            were added.
    """

    tokens: list[str]
    input_ids: list[int]
    token_type_ids: list[int]
    attention_mask: list[int]
    offsets: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.input_ids)


class WordPieceTokenizer:
    """Text to ids and back, with a given vocabulary.

    Args:
        vocab: the pieces in order of their ids, without duplicates, with the five special tokens.
        lowercase: lower-case and strip accents, as in the "uncased" BERT models.

    Attributes:
        vocab: dict, piece to id.
        id_to_token: list, the pieces in order.
        cls_token_id, sep_token_id, mask_token_id, pad_token_id, unk_token_id: the ids of the special tokens.
        special_ids: frozenset of these five (`vocabularies.DialectTokenizer` knows of more).

    Raises:
        TypeError: if `vocab` is not a list of strings.
        ValueError: if a piece is empty, has white space or stands there twice, or a special token is missing.
    """

    def __init__(self, vocab: list[str], lowercase: bool = True):
        _check_vocab(vocab)
        self.id_to_token = list(vocab)
        self.vocab = {piece: index for index, piece in enumerate(vocab)}
        self.lowercase = lowercase
        self.clean_up_tokenization_spaces = False  # in `decode`, unless it is told otherwise
        self.pad_token_id = self.vocab[PAD]
        self.unk_token_id = self.vocab[UNK]
        self.cls_token_id = self.vocab[CLS]
        self.sep_token_id = self.vocab[SEP]
        self.mask_token_id = self.vocab[MASK]
        self.special_ids = frozenset(self.vocab[token] for token in SPECIAL_TOKENS)
        self._whole = any_of(SPECIAL_TOKENS)
        self._pieces = self.vocab  # what words are cut into
        # Few different words make up most of a text (Zipf's law), so each is cut once and remembered.
        self._word_cache: dict[str, list[Cut]] = {}

    @classmethod
    def from_file(cls, path: str | Path, lowercase: bool = True) -> "WordPieceTokenizer":
        """Read a `vocab.txt` (`read_vocab`); a refusal names the file."""
        try:
            return cls(pieces_by_id(read_vocab(path)), lowercase)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as a `vocab.txt`, the file that `from_file` and `transformers` read."""
        write_text(path, "".join(f"{piece}\n" for piece in self._pieces))

    def __len__(self) -> int:
        return len(self.id_to_token)

    def tokenize(self, text: str) -> list[str]:
        """The pieces of `text`. Special tokens that stand in the text are kept whole, none are added."""
        return [piece for piece, _, _ in self._cut(text)]

    def encode(
        self,
        text: str,
        pair: str | None = None,
        max_length: int | None = None,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """Encode `[CLS] text [SEP]`, or with a pair `[CLS] text [SEP] pair [SEP]` (BERT, figure 2).

        An empty string is a text like any other: `pair=""` is a pair, `pair=None` is none.

        Args:
            text: the first text.
            pair: the second, if there is one.
            max_length: longest result, in pieces, special tokens included; what is too much is cut from the
                end of the longer text (`truncated_lengths`). None cuts nothing.
            add_special_tokens: whether `[CLS]` and `[SEP]` are added.

        Raises:
            TypeError: if a text is not a string.
            ValueError: if `max_length` has no room for the special tokens.
        """
        segments = [self._cut(text)] if pair is None else [self._cut(text), self._cut(pair)]
        added = len(segments) + 1 if add_special_tokens else 0
        if max_length is not None:
            if max_length < max(added, 1):
                raise refusal("max_length", f"{max(added, 1)} or more here", max_length)
            segments = _truncate(segments, max_length - added)
        if add_special_tokens:
            segments = [segment + [(SEP, 0, 0)] for segment in segments]
            segments[0].insert(0, (CLS, 0, 0))
        tokens = [piece for segment in segments for piece, _, _ in segment]
        return Encoding(
            tokens=tokens,
            input_ids=[self.vocab[token] for token in tokens],
            token_type_ids=[number for number, segment in enumerate(segments) for _ in segment],
            attention_mask=[1] * len(tokens),
            offsets=[(start, end) for segment in segments for _, start, end in segment],
        )

    def batch(
        self, texts: Iterable[str | tuple[str, str]], max_length: int | None = None
    ) -> dict[str, list[list[int]]]:
        """Encode texts, or (text, pair) tuples, and pad all to the longest.

        Gives `input_ids`, `token_type_ids` and `attention_mask`, each a list of lists (batch, seq_len).
        Padding is `[PAD]` with token type 0 and attention 0. Raises ValueError for an empty batch, TypeError
        for a bare string.
        """
        pairs = [(item, None) if isinstance(item, str) else item for item in texts]
        encodings = [self.encode(text, pair, max_length) for text, pair in pairs]
        if not encodings:
            raise refusal("texts", "at least one text", "none")
        seq_len = max(map(len, encodings))

        def padded(values: list[int], filler: int) -> list[int]:
            return values + [filler] * (seq_len - len(values))

        return {
            "input_ids": [padded(encoding.input_ids, self.pad_token_id) for encoding in encodings],
            "token_type_ids": [padded(encoding.token_type_ids, 0) for encoding in encodings],
            "attention_mask": [padded(encoding.attention_mask, 0) for encoding in encodings],
        }

    def decode(
        self,
        ids: Iterable[int],
        skip_special_tokens: bool = True,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """Join pieces to a text with spaces, but none before a `##` piece and before `.`, `,`, `?`, `!`.

        Equal to the library's `decode`; to clean up is to join apostrophes and English contractions (`n't`,
        `'s`) to what stands before them as well, and None does as the tokenizer's own setting says. The way
        back is not exact: capitals, accents and the spaces that stood around other punctuation are gone.
        Skipping the special tokens skips `[UNK]` too.
        Raises ValueError for an id outside the vocabulary.
        """
        tokens = self.convert_ids_to_tokens(ids)
        if skip_special_tokens:
            tokens = [token for token in tokens if self.vocab[token] not in self.special_ids]
        text = "".join(tokens[:1])
        for token in tokens[1:]:
            if token.startswith(CONTINUATION):
                text += token.removeprefix(CONTINUATION)
            else:
                text += token if token[0] in ".,?!" else f" {token}"
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        if clean_up_tokenization_spaces:
            for spaced in CONTRACTIONS:
                text = text.replace(spaced, spaced.strip())
        return text

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of pieces; a piece that is not in the vocabulary gets the id of `[UNK]`."""
        return [self.vocab.get(token, self.unk_token_id) for token in tokens]

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Pieces of ids (whole numbers, also those of NumPy and PyTorch); ValueError outside 0 .. len - 1."""
        indices = [operator.index(index) for index in ids]
        for index in indices:
            if not 0 <= index < len(self):
                raise refusal("ids", f"0 to {len(self) - 1}", index)
        return [self.id_to_token[index] for index in indices]

    def _cut(self, text: str) -> list[Cut]:
        """(piece, start, end) for each piece of `text`; special tokens are taken out before all else."""
        found = []
        position = 0
        for match in self._whole.finditer(text):
            found += self._cut_plain(text[position : match.start()], position)
            found.append((match.group(), match.start(), match.end()))
            position = match.end()
        return found + self._cut_plain(text[position:], position)

    def _cut_plain(self, text: str, shift: int) -> list[Cut]:
        """(piece, start, end) for each piece of a text without special tokens; offsets begin at `shift`."""
        cleaned, origins = self._clean(text)
        found = []
        for word_start, word_end in self._words(cleaned):
            for piece, start, end in self._cut_word(cleaned[word_start:word_end]):
                # The end is taken from the last character: what was dropped behind it belongs to no piece.
                last = origins[word_start + end - 1]
                found.append((piece, shift + origins[word_start + start], shift + last + 1))
        return found

    def _clean(self, text: str) -> tuple[str, list[int]]:
        return clean_text(text, self.lowercase)

    def _words(self, cleaned: str) -> list[tuple[int, int]]:
        return split_words(cleaned)

    def _cut_word(self, word: str) -> list[Cut]:
        """(piece, start, end) for each piece of one clean word, remembered for the next time."""
        cut = self._word_cache.get(word)
        if cut is None:
            pieces = greedy_pieces(word, self._pieces)
            cut = [(piece, *span) for piece, span in zip(pieces, piece_spans(word, pieces), strict=True)]
            if len(self._word_cache) < _WORD_CACHE_SIZE:
                self._word_cache[word] = cut
        return cut


def any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds any of `tokens`: the leftmost in a text, the longest of those that begin there."""
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)")


def _truncate(segments: list[list[Cut]], room: int) -> list[list[Cut]]:
    """One or two segments, cut at their ends so that together they have at most `room` pieces."""
    if len(segments) == 1:
        return [segments[0][:room]]
    first, second = segments
    first_length, second_length = truncated_lengths(len(first), len(second), room)
    return [first[:first_length], second[:second_length]]


def read_vocab(path: str | Path) -> dict[str, int]:
    """The ids of a `vocab.txt`: one piece a line, its id is the number of the line, counted from 0.

    Read as the library reads it: white space at the end of a line is no part of the piece, and of two equal
    lines the later one counts. A mark of byte order at the beginning, as Windows sets it, is passed over.
    Raises ValueError for a line that is no UTF-8.
    """
    content = Path(path).expanduser().read_bytes()
    try:
        lines = content.decode("utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refusal(f"line {line}", "text in UTF-8", content[error.start : error.end]) from error
    return {line.rstrip(): index for index, line in enumerate(lines)}


def pieces_by_id(ids: Mapping[str, int]) -> list[str]:
    """The pieces in the order of their ids.

    An id that no text can reach, since its piece is empty, has white space, or counts further down, gets a
    name that no text can reach either; at the end such ids are left out.
    """
    reached = {index: piece for piece, index in ids.items() if piece.split() == [piece]}
    return [reached.get(index, f"[unreachable{index}]") for index in range(max(reached, default=-1) + 1)]


def _check_vocab(vocab: list[str]) -> None:
    """Raise ValueError, naming the culprit, if `vocab` cannot serve as a vocabulary."""
    for index, piece in enumerate(vocab):
        if piece.split() != [piece]:
            raise refusal("vocab", "pieces without white space", f"{piece!r} (id {index})")
    repeated = [piece for piece, count in Counter(vocab).items() if count > 1]
    if repeated:
        raise refusal("vocab", "each piece once", f"repeated: {', '.join(map(repr, repeated[:5]))}")
    missing = [token for token in SPECIAL_TOKENS if token not in set(vocab)]
    if missing:
        raise refusal(
            "vocab", " ".join(SPECIAL_TOKENS) + " among its pieces", f"missing: {' '.join(missing)}"
        )


# ---- Where a vocabulary comes from ---------------------------------------------------------------------


def initial_splits(word_counts: dict[str, int]) -> dict[str, list[str]]:
    """Every word cut into characters: `{"hug": ["h", "##u", "##g"]}`. Training starts here."""
    splits = {}
    for word in word_counts:
        splits[word] = [word[0]] + [CONTINUATION + char for char in word[1:]]
    return splits


def pair_scores(splits: dict[str, list[str]], word_counts: dict[str, int]) -> dict[tuple[str, str], Fraction]:
    """count(pair) / (count(first) * count(second)) for each pair of neighbouring pieces, as exact fractions.

    Unlike the plain count of BPE (Sennrich et al. 2016), it asks whether two pieces meet more often than
    their own counts would lead one to expect: it is e to the power of their PMI, times a constant. The
    Hugging Face course teaches it as its best guess at WordPiece; the papers speak of the likelihood of the
    text, and Google's training code was never published.
    """
    piece_counts: Counter[str] = Counter()
    pair_counts: Counter[tuple[str, str]] = Counter()
    for word, pieces in splits.items():
        for piece in pieces:
            piece_counts[piece] += word_counts[word]
        for pair in pairwise(pieces):
            pair_counts[pair] += word_counts[word]
    return {
        (first, second): Fraction(count, piece_counts[first] * piece_counts[second])
        for (first, second), count in pair_counts.items()
    }


def apply_merge(pair: tuple[str, str], splits: dict[str, list[str]]) -> dict[str, list[str]]:
    """New splits in which every neighbouring `pair` has become one piece: ("hu", "##g") becomes "hug"."""
    first, second = pair
    merged = {}
    for word, pieces in splits.items():
        result: list[str] = []
        for piece in pieces:
            if piece == second and result and result[-1] == first:
                result[-1] = first + second.removeprefix(CONTINUATION)
            else:
                result.append(piece)
        merged[word] = result
    return merged


def train_vocab(
    texts: Iterable[str],
    vocab_size: Count,
    min_frequency: Count = 1,
    lowercase: bool = True,
    alphabet: str = "",
    progress: bool = False,
) -> list[str]:
    """Train a vocabulary with the `tokenizers` library; the same texts give the same list, on every run.

    The list holds the special tokens, then every character of the texts and of `alphabet`, alone and with
    `##` (so that no word made of them is `[UNK]`), then merged pieces, the earliest merge first. It has at
    most `vocab_size` pieces: fewer if no pair is left that occurs `min_frequency` times.

    The library calls its trainer WordPiece, but it merges the *most frequent* pair, as BPE does, not the one
    with the best `pair_scores`. Left alone it numbers the `##` characters in the order of a hash map, which
    differs from run to run, and breaks ties by these numbers. Hence we hand it all characters, sorted, as
    special tokens.

    Raises TypeError if `texts` is one string, ValueError if `vocab_size` is too small for special tokens and
    characters.
    """
    from tqdm.auto import tqdm

    lines = []
    for text in tqdm(texts, desc="cutting words", disable=not progress):
        cleaned, _ = clean_text(text, lowercase)
        lines.append(" ".join(cleaned[start:end] for start, end in split_words(cleaned)))
    cleaned_alphabet, _ = clean_text(alphabet, lowercase)
    characters = sorted(set(cleaned_alphabet).union(*lines) - {" "})
    base = [*SPECIAL_TOKENS, *characters, *(CONTINUATION + char for char in characters)]
    if vocab_size < len(base):
        needed = f"{len(base)} or more (special tokens and characters)"
        raise refusal("vocab_size", needed, vocab_size)
    return _merge_pieces(lines, base, vocab_size, min_frequency, progress)


def _merge_pieces(
    lines: list[str], base: list[str], vocab_size: int, min_frequency: int, progress: bool
) -> list[str]:
    """`base` and the pieces that the library's trainer merges from the words (between spaces) of `lines`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=base, show_progress=progress
    )
    tokenizer.train_from_iterator(lines, trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)


hold_to_hints(globals())
