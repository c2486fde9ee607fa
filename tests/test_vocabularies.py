"""Tokenizers of other makers: the same ids as the library on the same folder, or a refusal by name."""

import inspect
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import (
    NAMES,
    PIECES,
    assert_equal_to_library,
    docstring_lines,
    folder_of,
    generated_lines,
    locale_lines,
    tokenizers,
)

from course_utils import checkpoints, vocabularies
from course_utils.vocabularies import AddedToken, DialectTokenizer, read_tokenizer
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
    for ids in batch["input_ids"][:: 1 + len(lines) // 400]:
        if changed & set(ids):
            continue
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


# ---- Files of others -------------------------------------------------------------------------------------

VOCAB = [*SPECIAL_TOKENS, "hello", "##s", "url", "<", ">", "É", "é", "e", "[", "]", "eos", "中", "文", "中文"]
LINES = ["hello <url> Hellos <URL>", "É中文 é", "[EOS] [eos]hello", "[MASK][mask]", "[CLS] [cls]hellos [SEP]"]


def folder_with(path: Path, settings=None, vocab=None, config=None, **files) -> Path:
    """A folder made by hand: vocab.txt, tokenizer_config.json, and other JSON files by their names."""
    path.mkdir(exist_ok=True)
    vocab = "\n".join(VOCAB) + "\n" if vocab is None else vocab
    (path / "vocab.txt").write_bytes(vocab if isinstance(vocab, bytes) else vocab.encode())
    contents = {"config": {"model_type": "bert"} | (config or {}), "tokenizer_config": settings} | files
    for name, content in contents.items():
        if content is not None:
            (path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return path


def ids_of_the_library(folder: Path) -> list[list[int]]:
    return transformers.AutoTokenizer.from_pretrained(folder)(LINES)["input_ids"]


def our_ids(folder: Path) -> list[list[int]]:
    return [read_tokenizer(folder).encode(line).input_ids for line in LINES]


def declared(content: str, index: int = len(VOCAB), **options) -> dict:
    flags = {"special": False, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
    return {"added_tokens_decoder": {str(index): {"content": content} | flags | options}}


@pytest.mark.parametrize(
    "settings",
    [
        {"do_lower_case": False},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
        {"do_lower_case": True, "tokenize_chinese_chars": False},
        {"additional_special_tokens": ["<url>"]},
        {"extra_special_tokens": ["<url>", "url"]},
        {"extra_special_tokens": {"url_token": "<url>"}},
        {"eos_token": "[EOS]", "bos_token": "hello"},
        {"some_token": "[EOS]"},
        declared("<URL>", normalized=True),
        declared("<URL>"),
        declared("hello", VOCAB.index("hello")),
        declared("[MASK]", 4, normalized=True, special=True),
        declared("<url>") | {"extra_special_tokens": ["<url>", "[EOS]"]},
    ],
)
def test_a_setting_is_honoured(settings, tmp_path):
    folder = folder_with(tmp_path, {"do_lower_case": True} | settings)
    plain = folder_with(tmp_path / "plain", {"do_lower_case": True})
    assert our_ids(folder) == ids_of_the_library(folder) != our_ids(plain)
    assert set(settings) <= {*vocabularies.HONOURED, "some_token"}


def test_a_token_of_ones_own_that_older_files_add_as_well_is_refused_by_name(tmp_path):
    """The library finds it in its cleaned form too, in a folder that it then writes otherwise."""
    added = {"<URL>": len(VOCAB)}
    folder = folder_with(tmp_path, {"do_lower_case": True, "some_token": "<URL>"}, added_tokens=added)
    with pytest.raises(ValueError, match="some_token: expected a token that added_tokens.json lacks"):
        read_tokenizer(folder)
    folder = folder_with(tmp_path, {"do_lower_case": True, "eos_token": "<URL>"}, added_tokens=added)
    assert our_ids(folder) == ids_of_the_library(folder)


@pytest.mark.parametrize("clean_up", [True, False, None])
def test_decoded_texts_are_cleaned_up_where_the_folder_says_so(clean_up, tmp_path):
    settings = {"do_lower_case": True, "clean_up_tokenization_spaces": clean_up}
    settings = {name: value for name, value in settings.items() if value is not None}
    folder = folder_with(tmp_path, settings, "\n".join([*SPECIAL_TOKENS, "it", "'", "s", "n", "t", "."]))
    tokenizer, library = read_tokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.encode("it ' s it n't .").input_ids
    assert tokenizer.decode(ids) == library.decode(ids, skip_special_tokens=True)
    assert (tokenizer.decode(ids) == "it's itn't.") == bool(clean_up)
    vocabularies.write_tokenizer(tmp_path, tokenizer, 8)
    assert read_tokenizer(folder).clean_up_tokenization_spaces == bool(clean_up)


@pytest.mark.parametrize(
    "files",
    [
        {"added_tokens": {"<URL>": len(VOCAB)}},
        {"added_tokens": {"<url>": len(VOCAB) + 1, "[EOS]": len(VOCAB)}, "settings": {"eos_token": "[EOS]"}},
        {"special_tokens_map": {"additional_special_tokens": ["<url>", "[EOS]"]}},
        {"special_tokens_map": {"mask_token": {"content": "[MASK]", "normalized": True}}},
        {"settings": {"cls_token": {"__type": "AddedToken", "content": "[CLS]", "normalized": True}}},
        {"special_tokens_map": {"eos_token": "[EOS]", "mask_token": {"content": "[MASK]", "lstrip": False}}},
    ],
)
def test_tokens_in_files_of_older_versions(files, tmp_path):
    settings = {"do_lower_case": True} | files.pop("settings", {})
    folder = folder_with(tmp_path, settings, **files)
    plain = folder_with(tmp_path / "plain", {"do_lower_case": True})
    assert our_ids(folder) == ids_of_the_library(folder) != our_ids(plain)


TOKENS = st.sampled_from(["<url>", "<URL>", "hello", "[EOS]", "É", "中文", "eos"])
LISTS = st.lists(TOKENS, max_size=3, unique=True)
FLAGS = st.dictionaries(st.sampled_from(["special", "normalized"]), st.booleans())


@st.composite
def declarations(draw):
    """Files that declare settings and tokens in one way or another, with the ids that they would get."""
    settings = {"do_lower_case": draw(st.booleans())}
    for name, values in (
        ("strip_accents", st.booleans() | st.none()),
        ("tokenize_chinese_chars", st.booleans()),
        (draw(st.sampled_from(["additional_special_tokens", "extra_special_tokens"])), LISTS),
        ("eos_token", TOKENS),
        ("a_token", TOKENS),
    ):
        if draw(st.booleans()):
            settings[name] = draw(values)
    ids = {name: VOCAB.index(name) if name in VOCAB else None for name in draw(LISTS)}
    new = [name for name, index in ids.items() if index is None]
    ids |= {name: len(VOCAB) + place for place, name in enumerate(new)}
    form = draw(st.sampled_from(["added_tokens_decoder", "added_tokens", "special_tokens_map"]))
    if form == "added_tokens_decoder":
        settings[form] = {str(index): {"content": name} | draw(FLAGS) for name, index in ids.items()}
        return {"settings": settings}
    if form == "added_tokens":  # for the library, a name of one's own makes no token of this file special
        settings.pop("a_token", None)
        return {"settings": settings, form: ids}
    content = {"bos_token": draw(TOKENS), "additional_special_tokens": draw(LISTS)}
    settings = {name: value for name, value in settings.items() if name not in vocabularies.LISTS_OF_TOKENS}
    return {"settings": settings, form: content}


@settings(max_examples=40)
@given(
    declarations(),
    st.lists(st.sampled_from([*VOCAB, *NAMES, " ", "<url>", "[EOS]"]), max_size=12).map("".join),
)
def test_settings_together_are_honoured(tmp_path_factory, files, text):
    folder = folder_with(tmp_path_factory.mktemp("declared"), **files)
    library, ours = transformers.AutoTokenizer.from_pretrained(folder), read_tokenizer(folder)
    assert_same(ours, library, [text, *LINES])


OTHERS = {
    "tokenizer_class": "BertJapaneseTokenizer",
    "auto_map": {"AutoTokenizer": ["tokenization.Mine", None]},
    "fast_tokenizer_files": ["tokenizer.4.json"],
    "init_inputs": ["vocab.txt"],
    "never_split": ["<url>"],
    "max_input_chars_per_word": 50,
    "padding_side": "left",
    "truncation_side": "left",
    "subword_tokenizer_type": "character",
    "word_tokenizer_type": "mecab",
    "wordpieces_prefix": "@@",
    "mask_token": None,
}


@pytest.mark.parametrize("name", vocabularies.REQUIRED)
def test_a_setting_that_makes_another_tokenizer_is_refused_by_name(name, tmp_path):
    allowed = vocabularies.REQUIRED[name]
    other = OTHERS.get(name, "<other>" if isinstance(allowed[0], str) else not allowed[0])
    with pytest.raises(
        ValueError, match=rf"tokenizer_config\.json: {name}: expected .*, got {re.escape(json.dumps(other))}"
    ):
        read_tokenizer(folder_with(tmp_path, {name: other}))
    for value in allowed:
        assert len(read_tokenizer(folder_with(tmp_path, {name: value}))) == len(VOCAB)


def test_the_class_may_stand_in_the_configuration_of_the_model(tmp_path):
    folder = folder_with(tmp_path, {"do_lower_case": False})
    with pytest.raises(ValueError, match=r"/config\.json: tokenizer_class: .*BertJapaneseTokenizer"):
        read_tokenizer(folder, {"tokenizer_class": "BertJapaneseTokenizer"})
    folder_with(tmp_path, {"tokenizer_class": "BertTokenizer"})
    assert len(read_tokenizer(folder, {"tokenizer_class": "BertJapaneseTokenizer"})) == len(VOCAB)


# Read by the library, and without an effect on ids.
NEUTRAL = {
    "add_prefix_space": True,
    "backend": "python",
    "chat_control_tokens": ["<url>"],
    "chat_template": "{{ messages }}",
    "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True,
    "files_loaded": ["vocab.txt"],
    "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    "model_max_length": 3,
    "max_len": 3,
    "max_length": 3,
    "pad_to_multiple_of": 8,
    "stride": 1,
    "truncation_strategy": "longest_first",
    "name_or_path": "elsewhere",
    "pad_token_type_id": 1,
    "processor_class": "None",
    "response_schema": None,
    "response_template": None,
    "verbose": True,
}
# Where the library finds its files, what calls hand over, and what other kinds of tokenizer have.
INNER = """
    vocab vocab_file merges tokenizer_file tokenizer_object gguf_file unk_id tokenizer fix_mistral_regex
    model_specific_special_tokens tokenizer_padding tokenizer_truncation post_processor
    _spm_precompiled_charsmap _json_padding _json_truncation
"""


def test_settings_that_are_not_read_change_no_id(tmp_path):
    folder = folder_with(tmp_path, {"do_lower_case": True} | NEUTRAL)
    assert our_ids(folder) == ids_of_the_library(folder)
    assert our_ids(folder) == our_ids(folder_with(tmp_path / "plain", {"do_lower_case": True}))


def test_every_setting_that_the_library_reads_is_known_here():
    parts = [
        transformers.BertTokenizer.__init__,
        transformers.TokenizersBackend.__init__,
        transformers.PreTrainedTokenizerBase.__init__,
        transformers.PreTrainedTokenizerBase._from_pretrained,
    ]
    source = "".join(map(inspect.getsource, parts))
    found = set(re.findall(r"kwargs\.(?:pop|get|setdefault)\(\s*\"(\w+)\"", source))
    found |= set(re.findall(r"\"(\w+)\" (?:not )?in (?:init_)?kwargs", source))
    found |= set(inspect.signature(transformers.BertTokenizer.__init__).parameters) - {"self", "kwargs"}
    assert {"do_lower_case", "padding_side", "split_special_tokens", "extra_special_tokens"} <= found
    known = {*vocabularies.HONOURED, *vocabularies.REQUIRED, *NEUTRAL, *INNER.split()}
    assert found - known == set()


# ---- vocab.txt and tokenizer.json ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vocab",
    [
        "\n".join(VOCAB),
        "\r\n".join(VOCAB) + "\r\n",
        " \t\u3000\n".join(VOCAB) + "\u2028\n",
        "\n".join(VOCAB) + "\n\n",
        "\n".join([*VOCAB, "hello", "hello ", "new"]),
        "\n".join([*VOCAB[:9], "\u2028", "##\u2028", "", *VOCAB[9:], "##"]),
        "\n".join([*VOCAB, "two words", "\u200b", "\x85", "x\x85y"]),
    ],
)
def test_a_vocabulary_is_read_as_the_library_reads_it(vocab, tmp_path):
    folder = folder_with(tmp_path / "theirs", {"do_lower_case": True}, vocab)
    expected = ids_of_the_library(folder)
    assert our_ids(folder) == expected
    again = folder_of(tmp_path / "ours", read_tokenizer(folder))
    assert our_ids(again) == ids_of_the_library(again) == expected


def test_a_mark_of_byte_order_is_no_part_of_the_first_piece(tmp_path):
    """The library takes it for one, finds no [PAD], and adds another at the end."""
    marked = folder_with(tmp_path / "marked", vocab="\ufeff" + "\n".join(VOCAB))
    assert our_ids(marked) == our_ids(folder_with(tmp_path / "plain"))
    assert read_tokenizer(marked).pad_token_id == 0


def test_u2028_is_a_piece_in_both_forms(tmp_path):
    """As in bert-base-chinese: vocab.txt loses it, tokenizer.json keeps it, and no text reaches it."""
    pieces = [*VOCAB[:9], "\u2028", *VOCAB[9:], "##\u2028", "new"]
    library = transformers.BertTokenizer(vocab={piece: index for index, piece in enumerate(pieces)})
    folder = folder_of(tmp_path, library)
    (folder / "vocab.txt").write_bytes("\n".join(pieces).encode())
    assert our_ids(folder) == ids_of_the_library(folder)
    assert read_tokenizer(folder).vocab["new"] == len(pieces) - 1


def saved_by_the_library(path: Path, **changes) -> tuple[Path, dict]:
    """A folder of the library, version 5, and its tokenizer.json, after some of its entries were set."""
    library = transformers.BertTokenizer(
        vocab={piece: index for index, piece in enumerate(VOCAB)}, do_lower_case=False
    )
    library.add_tokens(["<url>"])
    folder = folder_of(path, library)
    whole = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for way, value in changes.items():
        *outer, last = way.split("__")
        part = whole
        for key in outer:
            part = part[key]
        part[last] = value
    (folder / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    return folder, whole


def test_a_folder_of_the_library_has_no_vocab_txt(tmp_path):
    folder, _ = saved_by_the_library(tmp_path)
    assert not (folder / "vocab.txt").exists()
    assert our_ids(folder) == ids_of_the_library(folder)


@pytest.mark.parametrize("name", vocabularies.FOLLOWS_WHOLE_FILE)
def test_a_class_that_follows_tokenizer_json_has_the_settings_from_there(name, tmp_path):
    folder, _ = saved_by_the_library(tmp_path, normalizer__lowercase=True, normalizer__strip_accents=False)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(settings | {"tokenizer_class": name}), encoding="utf-8"
    )
    assert our_ids(folder) == ids_of_the_library(folder)
    assert read_tokenizer(folder).lowercase and not read_tokenizer(folder).strip_accents


def test_where_tokenizer_json_alone_declares_the_case_it_is_believed(tmp_path):
    """The library lower-cases."""
    folder, _ = saved_by_the_library(tmp_path)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    assert not read_tokenizer(folder).lowercase
    assert transformers.AutoTokenizer.from_pretrained(folder).tokenize("Hello") == ["hello"]


TEMPLATE = [{"Sequence": {"id": "A", "type_id": 0}}]


@pytest.mark.parametrize(
    ("way", "value"),
    [
        ("model__type", "BPE"),
        ("model__unk_token", "<unk>"),
        ("model__continuing_subword_prefix", "@@"),
        ("model__max_input_chars_per_word", 50),
        ("model__vocab", ["[PAD]"]),
        ("model__vocab", {"[PAD]": 10**9}),
        ("normalizer", None),
        ("normalizer__clean_text", False),
        ("pre_tokenizer", {"type": "Whitespace"}),
        ("post_processor", None),
        ("post_processor__single", TEMPLATE),
        ("truncation", {"direction": "Left"}),
        ("padding", {"direction": "Left"}),
    ],
)
def test_another_tokenizer_json_is_refused_by_name(way, value, tmp_path):
    folder, _ = saved_by_the_library(tmp_path, **{way: value})
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {way.replace('__', '[.]')}"):
        read_tokenizer(folder)


@pytest.mark.parametrize(
    ("settings", "vocab", "message"),
    [
        (None, b"[PAD]\n\xff\n", r"vocab\.txt, line 2: expected text in UTF-8, got b'\\xff'"),
        (None, "hello\n", r"vocab\.txt: vocab: expected .* missing: \[PAD\]"),
        (declared("<url>", 40), None, r"tokenizer_config\.json: id of '<url>': expected 19, got 40"),
        (declared("hello", 7), None, r"tokenizer_config\.json: id of 'hello': expected 5, got 7"),
        (declared("new york"), None, "added: expected tokens without white space, got 'new york'"),
        (
            declared("\u200b", normalized=True),
            None,
            "added: expected tokens of which cleaning leaves something",
        ),
        (
            declared("<url>", lstrip=True),
            None,
            "tokenizer_config.json: lstrip of '<url>': expected false, got true",
        ),
        ({"extra_special_tokens": [7]}, None, "an added token: expected a text, got 7"),
        ({"do_lower_case": "yes"}, None, "do_lower_case: expected true or false, got 'yes'"),
        (
            declared("<url>"),
            "\n".join(VOCAB) + "\n\n",
            "vocab.txt, line 20: expected a piece, got a blank line",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(settings, vocab, message, tmp_path):
    folder = folder_with(tmp_path, settings, vocab)
    with pytest.raises(ValueError, match=message) as caught:
        read_tokenizer(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"special_tokens_map": {"unk_token": "<unk>"}},
            r"special_tokens_map\.json: unk_token: expected .*<unk>",
        ),
        (
            {"special_tokens_map": {"mask_token": {"content": "[MASK]", "single_word": True}}},
            r"special_tokens_map\.json: single_word of",
        ),
        ({"added_tokens": {"<url>": 40}}, r"added_tokens\.json: id of '<url>': expected 19, got 40"),
        ({"tokenizer_config": []}, r"tokenizer_config\.json: expected a JSON object, got list"),
    ],
)
def test_other_files_are_held_to_the_same(files, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_tokenizer(folder_with(tmp_path, **files))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 20) | st.sampled_from(["", "hello", "<url>", "[EOS]", "7"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["content", "id", "7", "a"]), inner)
    ),
    max_leaves=4,
)
PLACES = [
    "added_tokens",
    "model",
    "normalizer",
    "normalizer__lowercase",
    "post_processor__single",
    "post_processor",
]


@settings(max_examples=100)
@given(
    settings=st.dictionaries(
        st.sampled_from([*vocabularies.HONOURED, *vocabularies.REQUIRED]), VALUES, max_size=2
    ),
    added=st.dictionaries(st.sampled_from(["hello", "<url>"]), VALUES),
    specials=st.dictionaries(st.sampled_from(["eos_token", "extra_special_tokens"]), VALUES),
    changes=st.dictionaries(st.sampled_from(PLACES), VALUES, max_size=1),
)
def test_files_of_any_form_are_followed_or_refused(settings, added, specials, changes, tmp_path_factory):
    folder, _ = saved_by_the_library(tmp_path_factory.mktemp("any"), **changes)
    folder_with(folder, settings, added_tokens=added, special_tokens_map=specials)
    try:
        assert len(read_tokenizer(folder)) >= len(VOCAB)
    except ValueError as error:
        assert str(error).startswith(str(folder)) and "\n" not in str(error)


def test_an_edited_vocabulary_is_not_passed_over(tmp_path):
    """A word in the place of an unused piece: the library reads tokenizer.json, and takes no notice."""
    folder, _ = saved_by_the_library(tmp_path)
    (folder / "vocab.txt").write_text("\n".join(VOCAB).replace("hello", "covid"), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"vocab\.txt, line 6: expected 'hello' as in tokenizer\.json, got 'covid'"
    ):
        read_tokenizer(folder)


def test_nothing_is_written_beside_the_tokenizer_of_another(tmp_path):
    folder, _ = saved_by_the_library(tmp_path)
    with pytest.raises(ValueError, match=r"folder: expected .*, got .* which has tokenizer\.json"):
        vocabularies.check_free(folder)


def test_overwriting_takes_the_tokenizer_of_another_away(tmp_path):
    """Its added tokens would be read in place of what is written, here and by the library."""
    folder, _ = saved_by_the_library(tmp_path)
    model, tokenizer = checkpoints.load()
    checkpoints.save(folder, model, tokenizer, "", overwrite=True)
    assert not (folder / "tokenizer.json").exists()
    assert checkpoints.load(folder)[1].vocab == tokenizer.vocab


# ---- Case that nobody declares ---------------------------------------------------------------------------

LOWER = [f"{a}{b}" for a in "abcdefgh" for b in "ijklmnop"]
KOREAN = [chr(0xAC00 + 28 * index) for index in range(60)]


@pytest.mark.parametrize(
    ("pieces", "lowercase", "strips"),
    [
        (LOWER, True, True),
        ([*LOWER, "[EOS]", "<S>"], True, True),
        ([*LOWER, *map(str.title, LOWER[:20])], False, False),
        (KOREAN, True, False),
        ([*LOWER, "é", "ü"], True, True),
        ([*LOWER, *"àáâãäåçèéê"], True, False),
    ],
)
def test_case_and_accents_are_seen_by_their_share(pieces, lowercase, strips, tmp_path):
    folder = folder_with(tmp_path, vocab="\n".join([*SPECIAL_TOKENS, *pieces]))
    tokenizer = read_tokenizer(folder)
    assert (tokenizer.lowercase, getattr(tokenizer, "strip_accents", tokenizer.lowercase)) == (
        lowercase,
        strips,
    )
    for declared in (True, False):
        (folder / "tokenizer_config.json").write_text(
            json.dumps({"do_lower_case": declared}), encoding="utf-8"
        )
        assert type(read_tokenizer(folder)) is WordPieceTokenizer
        assert read_tokenizer(folder).lowercase == declared


@pytest.mark.parametrize(
    ("pieces", "rows", "good"),
    [
        (30522, 30522, True),
        (30522, 30528, True),
        (31102, 32102, True),
        (30522, 30521, False),
        (5, 945, False),
    ],
)
def test_rows_to_spare(pieces, rows, good):
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS, *map(str, range(pieces - 5))])
    assert vocabularies.fits(tokenizer, rows) == good
