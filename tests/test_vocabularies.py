"""Tokenizers of other makers: the same ids as the library on the same folder, or a refusal by name."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import assert_equal_to_library, docstring_lines, generated_lines, locale_lines

from course_utils.vocabularies import AddedToken, DialectTokenizer, read_tokenizer, write_tokenizer
from course_utils.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer, split_words

transformers = pytest.importorskip("transformers")

URL = AddedToken("<URL>", special=False, normalized=True)
ADDED = [
    URL,
    AddedToken("[EOS]"),
    AddedToken("Überfall", special=False, normalized=True),
    AddedToken("北京", special=False, normalized=True),
    AddedToken("ing", special=False),
]
KINDS = {
    "uncased": WordPieceTokenizer,
    "cased": lambda vocab: WordPieceTokenizer(vocab, lowercase=False),
    "accents kept": lambda vocab: DialectTokenizer(vocab, True, strip_accents=False),
    "accents alone stripped": lambda vocab: DialectTokenizer(vocab, False, strip_accents=True),
    "Chinese in words": lambda vocab: DialectTokenizer(vocab, chinese_chars=False),
    "added tokens, uncased": lambda vocab: DialectTokenizer(vocab, added=ADDED),
    "added tokens, cased": lambda vocab: DialectTokenizer(vocab, False, False, added=ADDED),
}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """3,000 lines: drawn, documentation, and names in many scripts."""
    found = locale_lines()
    words = [word for line in found[::3] for word in line.split()]
    drawn = generated_lines(1200, seed=4, words=words)
    marked = [f"{line} {token.content.lower()}{line[:3]}" for token in ADDED for line in found[::200]]
    return [*docstring_lines(700), *found[:: len(found) // 1000], *drawn, *marked]


@pytest.fixture(scope="module")
def vocabularies_of(lines):
    """A vocabulary for each kind: all characters of the lines, and their frequent words, cleaned alike."""

    def make(kind: str) -> list[str]:
        tokenizer = KINDS[kind](list(SPECIAL_TOKENS))
        counts = Counter()
        for line in lines[:2000]:
            cleaned, _ = tokenizer._clean(line)
            counts.update(cleaned[start:end] for start, end in split_words(cleaned))
        letters = sorted({char for word in counts for char in word if ord(char) < 0x10000})
        words = [word for word, count in counts.most_common(3000) if len(word) > 1]
        pieces = [*letters, *(f"##{char}" for char in letters), *words, *(f"##{word[1:]}" for word in words)]
        return list(dict.fromkeys([*SPECIAL_TOKENS, *pieces]))

    return make


def folder_of(path: Path, tokenizer) -> Path:
    """A folder that says that its model is a BERT, and holds a tokenizer of this course or of the library."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    if isinstance(tokenizer, WordPieceTokenizer):
        write_tokenizer(path, tokenizer, max_length=512)
    else:
        tokenizer.save_pretrained(path)
    return path


def of_the_library(tokenizer: WordPieceTokenizer):
    """The same tokenizer as an object of the library, by its own means."""
    added = getattr(tokenizer, "added", ())
    library = transformers.BertTokenizer(
        vocab=dict(tokenizer._pieces),
        do_lower_case=tokenizer.lowercase,
        strip_accents=getattr(tokenizer, "strip_accents", None),
        tokenize_chinese_chars=getattr(tokenizer, "chinese_chars", True),
    )
    for token in added:
        options = {"special": token.special, "normalized": token.normalized}
        library.add_tokens([transformers.AddedToken(token.content, **options)], special_tokens=token.special)
    assert library.get_vocab() == tokenizer.vocab
    return library


def assert_same(tokenizer: WordPieceTokenizer, library, lines: list[str]) -> None:
    batch = library(lines, return_offsets_mapping=True)
    for index, line in enumerate(lines):
        assert_equal_to_library(tokenizer.encode(line), batch, index, line)
    # The library decodes a normalized token as it looks in a cleaned text: <URL> as <url>.
    changed = {
        tokenizer.vocab[token.content] for token in getattr(tokenizer, "added", ()) if token.normalized
    }
    for ids in (row for row in batch["input_ids"] if not changed & set(row)):
        for skip in (True, False):
            ours = tokenizer.decode(ids, skip_special_tokens=skip)
            assert ours == library.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_on_3000_lines(kind, lines, vocabularies_of, tmp_path):
    """What the library writes is read here, what is written here is read there, and all four agree."""
    tokenizer = KINDS[kind](vocabularies_of(kind))
    library = of_the_library(tokenizer)
    read_here = read_tokenizer(folder_of(tmp_path / "theirs", library))
    written_here = folder_of(tmp_path / "ours", tokenizer)
    assert len(lines) > 2500
    assert_same(tokenizer, library, lines)
    assert_same(read_here, transformers.AutoTokenizer.from_pretrained(written_here), lines)
    assert vars(read_tokenizer(written_here)) | {"_word_cache": 0} == vars(tokenizer) | {"_word_cache": 0}


# ---- Drawn tokenizers ------------------------------------------------------------------------------------

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


@settings(max_examples=40)
@given(
    tokenizer=tokenizers(),
    texts=st.lists(st.lists(st.sampled_from([*PIECES, *NAMES, " "])).map("".join), min_size=5, max_size=10),
)
def test_a_saved_tokenizer_comes_back_and_the_library_reads_it(tokenizer, texts, tmp_path_factory):
    folder = folder_of(tmp_path_factory.mktemp("drawn"), tokenizer)
    back, library = read_tokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    assert back.id_to_token == tokenizer.id_to_token and back.special_ids == tokenizer.special_ids
    assert library.get_vocab() == tokenizer.vocab
    assert_same(tokenizer, library, texts)
    assert_same(back, library, texts)
    again = read_tokenizer(folder_of(tmp_path_factory.mktemp("again"), library))
    assert_same(again, library, texts)
