"""Tokenizers on disk: the files beside a model that say how its text becomes ids, whoever wrote them.

    vocab.txt                one piece a line
    tokenizer.json           pieces and settings in one: all that the `transformers` library writes since 5.0
    tokenizer_config.json    settings
    added_tokens.json, special_tokens_map.json    tokens that were added, as older versions wrote them

`read_tokenizer` gives the ids that the library gives for such a folder, or refuses it and names what it does
not understand; `write_tokenizer` writes one that both read. HONOURED and REQUIRED list every setting that
changes ids, or did so in an older version of the library; a setting in neither changes none.

Two kinds of folder the library takes otherwise than they were meant. Where tokenizer.json alone says that
capitals are kept, it lower-cases; here tokenizer.json is believed. Tokens whose ids leave a gap get other
ids; here they are refused.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from course_utils.checks import refusal
from course_utils.files import read_json, write_text
from course_utils.hints import Count, hold_to_hints
from course_utils.wordpiece import (
    CONTINUATION,
    MAX_WORD_LENGTH,
    SPECIAL_TOKENS,
    WordPieceTokenizer,
    any_of,
    clean_char,
    pieces_by_id,
    read_vocab,
    split_words,
    strip_accents,
)

VOCAB_FILE, SETTINGS_FILE, WHOLE_FILE = "vocab.txt", "tokenizer_config.json", "tokenizer.json"
ADDED_FILE, SPECIALS_FILE = "added_tokens.json", "special_tokens_map.json"
FILES_OF_OTHERS = (WHOLE_FILE, ADDED_FILE, SPECIALS_FILE)  # read where they are, never written

FOLLOWS_SETTINGS = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer")
FOLLOWS_WHOLE_FILE = ("PreTrainedTokenizerFast", "TokenizersBackend")
COMMON = 0.05  # the share of pieces with capitals, or accents, from which a vocabulary is taken to keep them
SPARE_ROWS = 128

LISTS_OF_TOKENS = ("additional_special_tokens", "extra_special_tokens")
HONOURED = (
    *LISTS_OF_TOKENS,
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "added_tokens_decoder",
    "clean_up_tokenization_spaces",  # of decoded texts
    "bos_token",
    "eos_token",
    "..._token",  # any other name that ends so: one more special token
)
KNOWN_TOKENS = ("bos_token", "eos_token", *(f"{name}_token" for name in ("pad", "unk", "cls", "sep", "mask")))
# With any other value than these, it would be another tokenizer. Where nothing is said, the first one counts.
REQUIRED: dict[str, tuple[Any, ...]] = {
    "tokenizer_class": (
        None,
        *FOLLOWS_SETTINGS,
        *(f"{name}Fast" for name in FOLLOWS_SETTINGS),
        *FOLLOWS_WHOLE_FILE,
    ),
    "pad_token": ("[PAD]",),
    "unk_token": ("[UNK]",),
    "cls_token": ("[CLS]",),
    "sep_token": ("[SEP]",),
    "mask_token": ("[MASK]",),
    "add_bos_token": (False, None),
    "add_eos_token": (False, None),
    "auto_map": (None,),
    "clean_text": (True,),
    "do_basic_tokenize": (True,),
    "fast_tokenizer_files": (None,),
    "init_inputs": (None, []),
    "max_input_chars_per_word": (MAX_WORD_LENGTH,),
    "never_split": (None, [], list(SPECIAL_TOKENS)),
    "padding_side": ("right",),
    "split_special_tokens": (False,),
    "subword_tokenizer_type": (None, "wordpiece"),
    "truncation_side": ("right",),
    "word_tokenizer_type": (None, "basic"),
    "wordpieces_prefix": (CONTINUATION,),
}
# The same for the entries of tokenizer.json, by the way that leads to each.
REQUIRED_WITHIN: dict[str, tuple[Any, ...]] = {
    "model.type": ("WordPiece", None),
    "model.unk_token": ("[UNK]",),
    "model.continuing_subword_prefix": (CONTINUATION,),
    "model.max_input_chars_per_word": (MAX_WORD_LENGTH,),
    "normalizer.type": ("BertNormalizer",),
    "normalizer.clean_text": (True,),
    "pre_tokenizer.type": ("BertPreTokenizer",),
    "post_processor.type": ("TemplateProcessing", "BertProcessing"),
    "truncation.direction": (None, "Right"),
    "padding.direction": (None, "Right"),
}
TEMPLATES = {"single": "[CLS]:0 A:0 [SEP]:0", "pair": "[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1"}


class AddedToken(NamedTuple):
    """A token that is found whole in a text, before words are cut.

    `special` tokens are left out when a text is decoded. A `normalized` one is looked for in the cleaned
    text, itself cleaned: `<URL>` is found in `<url>` where letters are lower-cased.
    """

    content: str
    special: bool = True
    normalized: bool = False


class DialectTokenizer(WordPieceTokenizer):
    """A WordPiece tokenizer with the settings that other makers have and BERT's own vocabularies do not need.

    Args:
        vocab, lowercase: as for `WordPieceTokenizer`.
        strip_accents: as `WordPieceTokenizer` does where it lower-cases.
        chinese_chars: set each Chinese character apart as a word of its own.
        added: tokens beside the five special ones, or these with other settings. Those that `vocab` lacks get
            the ids behind it; no word is cut into them.
    """

    def __init__(
        self,
        vocab: list[str],
        lowercase: bool = True,
        strip_accents: bool = True,
        chinese_chars: bool = True,
        added: Sequence[AddedToken] = (),
    ):
        super().__init__(vocab, lowercase)
        self.strip_accents, self.chinese_chars, self.added = strip_accents, chinese_chars, tuple(added)
        tokens = {name: AddedToken(name) for name in SPECIAL_TOKENS} | {each.content: each for each in added}
        self._pieces = dict(self.vocab)
        for name in tokens:
            if name.split() != [name]:
                raise refusal("added", "tokens without white space", repr(name))
            if name not in self.vocab:
                self.vocab[name] = len(self.id_to_token)
                self.id_to_token.append(name)
        self.special_ids = frozenset(self.vocab[name] for name, token in tokens.items() if token.special)
        self._whole = any_of(name for name, token in tokens.items() if not token.normalized)
        # Found in a cleaned text, such a token is one word with one piece; of two that look alike, the first.
        normalized = {self._clean(name)[0]: name for name in reversed(tokens) if tokens[name].normalized}
        if "" in normalized:
            raise refusal("added", "tokens of which cleaning leaves something", repr(normalized[""]))
        self._within = any_of(normalized)
        self._word_cache = {found: [(name, 0, len(found))] for found, name in normalized.items()}

    def _clean(self, text: str) -> tuple[str, list[int]]:
        cleaned = [clean_as(char, self.lowercase, self.strip_accents, self.chinese_chars) for char in text]
        return "".join(cleaned), [index for index, each in enumerate(cleaned) for _ in each]

    def _words(self, cleaned: str) -> list[tuple[int, int]]:
        words, position = [], 0
        for start, end in [match.span() for match in self._within.finditer(cleaned)] + [(len(cleaned),) * 2]:
            words += [(position + a, position + b) for a, b in split_words(cleaned[position:start])]
            words += [(start, end)] * (start < end)
            position = end
        return words


@lru_cache(maxsize=2**14)
def clean_as(char: str, lowercase: bool, strip: bool, chinese_chars: bool) -> str:
    """`clean_char` with each of its steps switched on or off."""
    cleaned = clean_char(char, lowercase=False)
    if not chinese_chars:
        cleaned = cleaned.strip() or cleaned
    if strip:
        cleaned = strip_accents(cleaned)
    return cleaned.lower() if lowercase else cleaned


# ---- Reading -------------------------------------------------------------------------------------------


def read_tokenizer(folder: str | Path, config: Mapping[str, Any] | None = None) -> WordPieceTokenizer:
    """The tokenizer of a folder.

    Where do_lower_case is nowhere declared, the vocabulary shows it: one that keeps capitals is full of them,
    one that does not has a few at most. So it is with accents.

    Args:
        folder: of a model; at least vocab.txt or tokenizer.json is there.
        config: the model's config.json, which in some folders names the class of the tokenizer.

    Raises:
        ValueError: naming the file and the setting, the token or the line that cannot be followed.
    """
    folder = Path(folder).expanduser()
    try:
        return follow_files(folder, config or {})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ValueError) and str(error).startswith(str(folder)):
            raise
        expected = f"the form in which the library writes {SETTINGS_FILE} and its like"
        raise refusal(f"{folder}", expected, "another", f"{type(error).__name__}: {error}") from error


def follow_files(folder: Path, config: Mapping[str, Any]) -> WordPieceTokenizer:
    settings = read_if_there(folder / SETTINGS_FILE)
    if not settings.get("tokenizer_class"):
        settings |= {"tokenizer_class": config.get("tokenizer_class")}
        check_values(folder / "config.json", settings, {"tokenizer_class": REQUIRED["tokenizer_class"]})
    check_values(folder / SETTINGS_FILE, settings, REQUIRED)
    specials = {} if "added_tokens_decoder" in settings else read_if_there(folder / SPECIALS_FILE)
    check_values(
        folder / SPECIALS_FILE, specials, {name: REQUIRED[name] for name in REQUIRED if name in specials}
    )
    whole = read_if_there(folder / WHOLE_FILE)
    if whole:
        check_whole_file(folder / WHOLE_FILE, whole)

    ids = read_ids(folder, whole)
    pieces = pieces_by_id(ids)
    added = read_added(folder, settings, specials, whole, pieces)
    if not ids.keys() >= {token.content for token in added} and len(pieces) <= max(ids.values()):
        why = "tokens are added behind it"
        raise refusal(f"{folder / VOCAB_FILE}, line {len(pieces) + 1}", "a piece", "a blank line", why)
    normalizer = whole.get("normalizer", {})
    within = {
        "do_lower_case": normalizer.get("lowercase"),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars"),
    }
    obeys = FOLLOWS_WHOLE_FILE if whole else ()
    declared = settings | within if settings["tokenizer_class"] in obeys else within | settings
    for name in within:
        if not isinstance(declared[name], bool | None):
            raise refusal(f"{folder / SETTINGS_FILE}: {name}", "true or false", repr(declared[name]))
    lowercase, strips, chinese_chars = (declared[name] for name in within)
    if lowercase is None:
        ordinary = [name.removeprefix(CONTINUATION) for name in ids if name not in SPECIAL_TOKENS]
        lowercase = not is_common(name != name.lower() for name in ordinary)
        if strips is None:
            strips = lowercase and not is_common(name != strip_accents(name) for name in ordinary)
    strips = lowercase if strips is None else strips
    try:
        if strips == lowercase and chinese_chars is not False and not added:
            tokenizer = WordPieceTokenizer(pieces, lowercase)
        else:
            tokenizer = DialectTokenizer(pieces, lowercase, strips, chinese_chars is not False, added)
    except ValueError as error:
        raise ValueError(f"{folder / (WHOLE_FILE if whole else VOCAB_FILE)}: {error}") from error
    tokenizer.clean_up_tokenization_spaces = bool(settings.get("clean_up_tokenization_spaces"))
    return tokenizer


def is_common(flags: Iterable[bool]) -> bool:
    """Whether a share of COMMON or more is True."""
    counted = list(flags)
    return sum(counted) >= max(1, COMMON * len(counted))


def read_if_there(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def content_of(value: Any) -> Any:
    """The text of a token, which is written as a string or as an object with its settings."""
    return value.get("content", value) if isinstance(value, dict) else value


def check_values(path: Path, values: Mapping[str, Any], required: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse, by name, a value that makes another tokenizer of this one."""
    for name, allowed in required.items():
        if (value := content_of(values.get(name, allowed[0]))) not in allowed:
            raise refusal(
                f"{path}: {name}",
                " or ".join(map(json.dumps, allowed)),
                json.dumps(value),
                "no other is built here",
            )


def check_whole_file(path: Path, whole: Mapping[str, Any]) -> None:
    """Refuse a tokenizer.json whose steps are not those of BERT."""

    def at(way: str) -> Any:
        value: Any = whole
        for key in way.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value

    check_values(path, {way: at(way) for way in REQUIRED_WITHIN}, REQUIRED_WITHIN)
    if at("post_processor.type") == "TemplateProcessing":
        for name, expected in TEMPLATES.items():
            parts = [part for entry in at(f"post_processor.{name}") for part in entry.values()]
            if (found := " ".join(f"{part['id']}:{part['type_id']}" for part in parts)) != expected:
                raise refusal(f"{path}: post_processor.{name}", expected, found)


def read_ids(folder: Path, whole: Mapping[str, Any]) -> dict[str, int]:
    """The ids of the pieces, from tokenizer.json where it is, as for the library, else from vocab.txt.

    Raises ValueError if both are there and differ: a vocabulary that was edited in one of them.
    """
    path = folder / VOCAB_FILE
    try:
        ids = read_vocab(path) if path.is_file() or not whole else {}
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from error
    if not whole:
        return ids
    ids_within = whole["model"].get("vocab")
    if not isinstance(ids_within, dict) or not all(isinstance(index, int) for index in ids_within.values()):
        raise refusal(
            f"{folder / WHOLE_FILE}: model.vocab", "pieces with their ids", type(ids_within).__name__
        )
    if ids_within and not 0 <= min(ids_within.values()) <= max(ids_within.values()) < 2 * len(ids_within):
        raise refusal(
            f"{folder / WHOLE_FILE}: model.vocab", "ids from 0 on", max(ids_within.values(), key=abs)
        )
    in_lines = pieces_by_id({piece.rstrip(): index for piece, index in ids_within.items()})
    for index, (one, other) in enumerate(zip(pieces_by_id(ids), in_lines, strict=False)):
        if one != other:
            raise refusal(f"{path}, line {index + 1}", f"{other!r} as in {WHOLE_FILE}", repr(one))
    return ids_within


def read_added(
    folder: Path,
    settings: Mapping[str, Any],
    specials: Mapping[str, Any],
    whole: Mapping[str, Any],
    pieces: Sequence[str],
) -> list[AddedToken]:
    """The added tokens of a folder, in the order of their ids.

    Raises ValueError for a token that declares another id than that of its piece, or the next one.
    """
    named, listed = special_tokens(settings, specials)
    always = [*SPECIAL_TOKENS, *map(content_of, named)]  # special whatever their entries say
    entries: list[tuple[int, Any, Path]]
    if (declared := settings.get("added_tokens_decoder")) is not None:
        path = folder / SETTINGS_FILE
        entries = [(int(index), value, path) for index, value in declared.items()]
    else:
        path = folder / ADDED_FILE
        older, names = read_if_there(path), [*always, *map(content_of, listed)]
        # A token of no known name, added there as well, is found in its cleaned form too and then decoded so.
        for name, value in {**settings, **specials}.items():
            is_own = name.endswith("_token") and name not in KNOWN_TOKENS
            if is_own and content_of(value) in older:
                raise refusal(f"{folder / SETTINGS_FILE}: {name}", f"a token that {path.name} lacks", value)
        entries = [(older[name], {"content": name, "special": name in names}, path) for name in older]
        entries += [(value["id"], value, folder / WHOLE_FILE) for value in whole.get("added_tokens", ())]
    ids = {piece: index for index, piece in enumerate(pieces)}
    tokens: dict[str, AddedToken] = {}
    for index, value, path in sorted(entries, key=lambda entry: entry[0]):
        token = as_added(path, value, special=content_of(value) in always)
        expected = ids.setdefault(token.content, len(ids))
        if index != expected:
            raise refusal(f"{path}: id of {token.content!r}", str(expected), index)
        tokens[token.content] = token
    for value in [*named, *listed]:
        file = SPECIALS_FILE if json.dumps(value) in json.dumps(specials) else SETTINGS_FILE
        token = as_added(folder / file, value, special=True)
        tokens.setdefault(token.content, token)
    return [token for token in tokens.values() if token not in map(AddedToken, SPECIAL_TOKENS)]


def special_tokens(settings: Mapping[str, Any], specials: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The special tokens that settings name, beside BERT's five, and those that they list."""
    merged: dict[str, Any] = {"bos_token": None, "eos_token": None, **settings, **specials}
    listed: list[Any] = []
    named = [
        value
        for name, value in merged.items()
        if name.endswith("_token")
        and (isinstance(value, dict) or isinstance(value, str) and name not in REQUIRED)
    ]
    for values in (source.get(name) or () for source in (settings, specials) for name in LISTS_OF_TOKENS):
        if isinstance(values, dict):
            named += values.values()
        else:
            listed += values
    return named, listed


def as_added(path: Path, value: Any, special: bool) -> AddedToken:
    """A token as a file declares it: a string, or an object with its settings."""
    options = value if isinstance(value, dict) else {}
    content = content_of(value)
    if not isinstance(content, str):
        raise refusal(f"{path}: an added token", "a text", repr(content))
    for name in ("lstrip", "rstrip", "single_word"):
        if options.get(name):
            raise refusal(f"{path}: {name} of {content!r}", "false", "true", "no other is built here")
    special = special or bool(options.get("special"))
    return AddedToken(content, special, bool(options.get("normalized", not special)))


def fits(tokenizer: WordPieceTokenizer, vocab_size: Count) -> bool:
    """Whether a model of so many embeddings can be that of the tokenizer.

    Some have more rows than there are pieces, which nothing ever asks for: up to a round number, since that
    is faster, or by a twentieth in a vocabulary that was cut when it was published.
    """
    return 0 <= vocab_size - len(tokenizer) <= max(SPARE_ROWS, vocab_size // 20)


# ---- Writing -------------------------------------------------------------------------------------------


def write_tokenizer(folder: Path, tokenizer: WordPieceTokenizer, max_length: Count) -> None:
    """Write vocab.txt and tokenizer_config.json, where `max_length` is what the library may cut texts to."""
    settings: dict[str, Any] = {
        "tokenizer_class": FOLLOWS_SETTINGS[0],
        "do_lower_case": tokenizer.lowercase,
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": tokenizer.clean_up_tokenization_spaces,
    }
    if isinstance(tokenizer, DialectTokenizer):
        settings["strip_accents"] = tokenizer.strip_accents
        settings["tokenize_chinese_chars"] = tokenizer.chinese_chars
        plain = {"lstrip": False, "rstrip": False, "single_word": False}
        settings["added_tokens_decoder"] = {
            str(tokenizer.vocab[token.content]): token._asdict() | plain for token in tokenizer.added
        }
    tokenizer.save(folder / VOCAB_FILE)
    write_text(folder / SETTINGS_FILE, json.dumps(settings, indent=2) + "\n")


def check_free(folder: Path) -> None:
    """Refuse to write beside files that the library would read in place of those that are written here."""
    if there := [name for name in FILES_OF_OTHERS if (folder / name).exists()]:
        raise refusal(
            "folder", "one without the tokenizer of another model", f"{folder}, which has {', '.join(there)}"
        )


def make_free(folder: Path) -> None:
    """Take away what the library would read in place of the tokenizer that is written next."""
    for name in FILES_OF_OTHERS:
        (folder / name).unlink(missing_ok=True)


hold_to_hints(globals())
