"""What tokenizers are compared on: lines, drawn, from the disk and in many scripts; tokenizers, drawn."""

import random
from pathlib import Path

from babel import Locale
from hypothesis import strategies as st

from course_utils import docstrings
from course_utils.vocabularies import AddedToken, DialectTokenizer, write_tokenizer
from course_utils.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer

LOCALES = ("ar", "de", "el", "fr", "he", "hi", "ja", "ko", "ku", "ru", "th", "tr", "vi", "zh_Hans", "zh_Hant")


def locale_lines() -> list[str]:
    """Names of languages, countries and currencies, in the words and letters of each of LOCALES."""
    lines = []
    for name in LOCALES:
        locale = Locale.parse(name)
        for names in (locale.languages, locale.territories, locale.currencies):
            lines += [
                " ".join(names[key] for key in sorted(names)[start : start + 4]) for start in range(0, 240, 4)
            ]
    return [line for line in lines if line]


def docstring_lines(count: int) -> list[str]:
    return [each.text for each in docstrings.passages(["python"], count, per_module=50)]


def characters(*spans):
    """All characters of some ranges (first, last) of code points."""
    return [chr(code) for first, last in spans for code in range(first, last + 1)]


KINDS = {
    "ascii": characters((32, 126)),
    "latin with accents": characters((0xC0, 0x24F), (0x1E00, 0x1EFF)),
    "greek and cyrillic": characters((0x370, 0x52F)),
    "right to left": characters((0x590, 0x74F)),
    "indic": characters((0x900, 0xDFF)),
    "thai to khmer": characters((0xE00, 0x17FF)),
    "hangul": characters((0xAC00, 0xAC80), (0x1100, 0x11FF)),
    "kana": characters((0x3040, 0x30FF)),
    "chinese": characters((0x4E00, 0x4F00), (0x3400, 0x3420), (0xF900, 0xF920), (0x20000, 0x20010)),
    "chinese at the borders": characters(
        (0x2B81E, 0x2B821), (0x2B91E, 0x2B921), (0x2CEAE, 0x2CEB1), (0x2FA1E, 0x2FA21)
    ),
    "emoji": characters((0x1F300, 0x1F6FF), (0x1F3FB, 0x1F3FF), (0x2600, 0x27BF)) + ["\u200d", "\ufe0f"],
    "combining": characters((0x300, 0x36F), (0x1AB0, 0x1AFF), (0x20D0, 0x20FF)),
    "zero width": (
        characters((0x200B, 0x200F), (0x2028, 0x202F), (0x2060, 0x206F)) + ["\ufeff", "\u00ad", "\u180e"]
    ),
    "control": characters((0, 31), (127, 159)) + ["\ufffd"],
    "spaces": [" ", "\t", "\n", "\r", "\u00a0", "\u1680", "\u3000"] + characters((0x2000, 0x200A)),
    "punctuation": characters((0x2010, 0x205E), (0x3001, 0x303F), (0x2E00, 0x2E7F), (0xFE30, 0xFF65)),
    "private and unassigned": characters(
        (0xE000, 0xE010), (0x378, 0x379), (0xFFF0, 0xFFFF), (0x10FFF0, 0x10FFFF)
    ),
    "any": characters((0, 0xD7FF), (0xE000, 0x10FFFF)),
}
# Planes 0 and 1 and the tags of plane 14; of the rest, Chinese or unassigned, every 97th code point.
CODE_POINTS = (
    characters((0, 0xD7FF), (0xE000, 0x1FFFF), (0xE0000, 0xE0FFF)) + characters((0x20000, 0x10FFFF))[::97]
)
MARKERS = [
    *SPECIAL_TOKENS,
    "[cls]",
    "[MASK",
    "SEP]",
    "[[MASK]]",
    "[UNUSED1]",
    "##ing",
    "don't",
    "U.S.A.",
    "3.14",
    "x" * 100,
]


def generated_lines(count, seed, words):
    """`count` lines of one to eight chunks; a chunk is a word, a marker or a run of one kind."""
    source = random.Random(seed)
    kinds = list(KINDS.values())
    lines = []
    for _ in range(count):
        chunks = []
        for _ in range(source.randint(1, 8)):
            draw = source.random()
            if draw < 0.35:
                word = source.choice(words)
                chunks.append(source.choice([word, word.title(), word.upper(), word + source.choice(words)]))
            elif draw < 0.45:
                chunks.append(source.choice(MARKERS))
            elif draw < 0.48:
                chunks.append(
                    "".join(source.choices("aé中e\u0301", [90, 4, 1, 4, 4], k=source.randint(95, 130)))
                )
            elif draw < 0.6:
                mixed = [source.choice(source.choice(kinds)) for _ in range(source.randint(1, 8))]
                chunks.append("".join(mixed))
            else:
                chunks.append("".join(source.choices(source.choice(kinds), k=source.randint(1, 6))))
        lines.append(source.choice(["", " "]).join(chunks))
    return lines


def assert_equal_to_library(encoding, library, index, text):
    assert encoding.input_ids == library["input_ids"][index], ascii(text)
    assert encoding.offsets == library["offset_mapping"][index], ascii(text)
    assert encoding.token_type_ids == library["token_type_ids"][index], ascii(text)
    assert encoding.attention_mask == library["attention_mask"][index], ascii(text)


def folder_of(path: Path, tokenizer) -> Path:
    """A folder that says that its model is a BERT, and holds a tokenizer of this course or of the library."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    if isinstance(tokenizer, WordPieceTokenizer):
        write_tokenizer(path, tokenizer, max_length=512)
    else:
        tokenizer.save_pretrained(path)
    return path


PIECES = [
    *"aeiou",
    "ba",
    "##ba",
    *(f"##{char}" for char in "aeioub"),
    "B",
    "É",
    "é",
    "##é",
    "중",
    "中",
    "##文",
    "##中",
]
PIECES += ["<", ">", "url", "[", "]", "##B", "ß", "1", "##1", "中文", "北京"]
NAMES = ["<url>", "<URL>", "ba", "[E]", "É1", "北京", "ouba", "##ba", "[unused1]", "[MASK]"]


@st.composite
def tokenizers(draw):
    """Any tokenizer that this course can have: pieces, case, accents, Chinese characters, added tokens."""
    vocab = draw(
        st.permutations([*SPECIAL_TOKENS, *draw(st.lists(st.sampled_from(PIECES), unique=True, min_size=1))])
    )
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    added = [AddedToken(name, name == "[MASK]" or draw(st.booleans()), draw(st.booleans())) for name in names]
    if not added and draw(st.booleans()):
        return WordPieceTokenizer(vocab, draw(st.booleans()))
    return DialectTokenizer(vocab, *(draw(st.booleans()) for _ in range(3)), added)
