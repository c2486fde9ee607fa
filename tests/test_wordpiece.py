"""The tokenizer against `transformers`, against `tokenizers`, and against numbers made by hand."""

import itertools
import json
import math
import os
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import CODE_POINTS, assert_equal_to_library, characters, generated_lines

from course_utils.toy.language import ToyLanguage
from course_utils.wordpiece import (
    SPECIAL_TOKENS,
    WordPieceTokenizer,
    apply_merge,
    clean_text,
    greedy_pieces,
    initial_splits,
    is_punctuation,
    pair_scores,
    piece_spans,
    plain_tokenize,
    split_words,
    train_vocab,
    truncated_lengths,
)

SMALL_VOCAB = [*SPECIAL_TOKENS, "the", "bank", "was", "rob", "##bed", ".", "!", "great", "movie"]


@pytest.fixture(scope="module")
def tokenizer(real_bert):
    return WordPieceTokenizer.from_file(real_bert / "vocab.txt")


@pytest.fixture(scope="module")
def reference(real_bert):
    return library_tokenizer(real_bert, do_lower_case=True)


def library_tokenizer(folder, do_lower_case):
    from transformers import BertTokenizerFast

    # Built from the vocabulary itself: a folder that lacks files silently gives five tokens.
    library = BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=do_lower_case)
    assert len(library) == 30522
    return library


@pytest.fixture
def small():
    return WordPieceTokenizer(SMALL_VOCAB)


@pytest.fixture(scope="module")
def lines(tokenizer):
    words = [piece for piece in tokenizer.id_to_token if piece.isalpha()]
    return generated_lines(10_000, seed=0, words=words)


# Equal to the library -------------------------------------------------------------------------------------


def test_single_texts_equal_the_library(tokenizer, reference, lines):
    library = reference(lines, return_offsets_mapping=True)
    for index, line in enumerate(lines):
        assert_equal_to_library(tokenizer.encode(line), library, index, line)


def test_marks_in_any_order_equal_the_library(tokenizer, reference):
    source = random.Random(2)
    marks = [char for char in CODE_POINTS if unicodedata.combining(char)]
    texts = ["a" + "".join(source.choices(marks, k=source.randint(1, 5))) + "b" for _ in range(3000)]
    library = reference(texts, return_offsets_mapping=True)
    for index, text in enumerate(texts):
        assert_equal_to_library(tokenizer.encode(text), library, index, text)


@pytest.mark.parametrize("max_length", [None, 3, 4, 9, 24])
def test_pairs_and_truncation_equal_the_library(tokenizer, reference, lines, max_length):
    # Equal texts too: then the odd place of truncation goes to the second.
    pairs = list(zip(lines[:1000], lines[1000:1900] + lines[900:1000], strict=True))
    library = reference(
        pairs, truncation=max_length is not None, max_length=max_length, return_offsets_mapping=True
    )
    for index, (text, pair) in enumerate(pairs):
        assert_equal_to_library(tokenizer.encode(text, pair, max_length), library, index, (text, pair))


@pytest.mark.parametrize("max_length", [1, 2, 7])
def test_without_special_tokens_equal_the_library(tokenizer, reference, lines, max_length):
    arguments = {"add_special_tokens": False, "max_length": max_length}
    library = reference(lines[:1000], truncation=True, return_offsets_mapping=True, **arguments)
    for index, line in enumerate(lines[:1000]):
        assert_equal_to_library(tokenizer.encode(line, **arguments), library, index, line)


def test_cased_equal_the_library(real_bert, lines):
    ours = WordPieceTokenizer.from_file(real_bert / "vocab.txt", lowercase=False)
    library = library_tokenizer(real_bert, do_lower_case=False)(lines[:2000], return_offsets_mapping=True)
    for index, line in enumerate(lines[:2000]):
        assert_equal_to_library(ours.encode(line), library, index, line)


@settings(max_examples=200, deadline=None)
@given(text=st.text(), pair=st.none() | st.text(), max_length=st.none() | st.integers(3, 20))
def test_any_text_equals_the_library(tokenizer, reference, text, pair, max_length):
    # A list of one, because a call with a bare pair="" drops the pair without a word.
    batch = [text] if pair is None else [(text, pair)]
    library = reference(
        batch, truncation=max_length is not None, max_length=max_length, return_offsets_mapping=True
    )
    assert_equal_to_library(tokenizer.encode(text, pair, max_length), library, 0, (text, pair))


def test_batch_equals_the_library_with_padding(tokenizer, reference, lines):
    items = [(a, b) for a, b in zip(lines[:40], lines[40:80], strict=True)]
    library = reference(items, padding=True, truncation=True, max_length=24)
    assert tokenizer.batch(items, max_length=24) == {name: library[name] for name in tokenizer.batch(items)}


def test_decode_equals_the_library(tokenizer, reference, lines):
    source = random.Random(1)
    rows = [tokenizer.encode(line).input_ids for line in lines[:2000]]
    rows += [source.choices(range(len(tokenizer)), k=source.randint(0, 12)) for _ in range(2000)]
    words = [*"'.,?!tmsn", "n't", "'m", "'s", "'ve", "'re", "ve", "re", "don", "they"]
    rows += [tokenizer.encode(" ".join(source.choices(words, k=9))).input_ids for _ in range(200)]
    for options in itertools.product((True, False), repeat=2):
        named = dict(zip(("skip_special_tokens", "clean_up_tokenization_spaces"), options, strict=True))
        expected = [reference.decode(row, **named) for row in rows]
        assert [tokenizer.decode(row, **named) for row in rows] == expected


def test_every_code_point_is_cleaned_as_the_library_cleans_it():
    from tokenizers.normalizers import BertNormalizer

    # Letters of Unicode 16 and 17 that Python does not lower-case yet, and one vowel sign.
    known = characters((0x1C89, 0x1C89), (0xA7CB, 0xA7DC), (0x10D50, 0x10D65), (0x16EA0, 0x16EB8))
    known.append(chr(0x11938))
    normalizer = BertNormalizer()
    different = [char for char in CODE_POINTS if clean_text(char)[0] != normalizer.normalize_str(char)]
    assert set(different) <= set(known)


def test_every_code_point_is_split_as_the_library_splits_it():
    from tokenizers.pre_tokenizers import BertPreTokenizer

    splitter = BertPreTokenizer()
    different = [
        char
        for char in CODE_POINTS
        if not char.isspace() and is_punctuation(char) != (len(splitter.pre_tokenize_str(f"a{char}b")) == 3)
    ]
    assert different == []


# The steps ------------------------------------------------------------------------------------------------


def test_ids_that_the_field_knows_by_heart(tokenizer):
    robbed = tokenizer.encode("The bank was robbed")
    assert robbed.input_ids == [101, 1996, 2924, 2001, 20114, 102]
    assert tokenizer.encode("Great movie!").input_ids == [101, 2307, 3185, 999, 102]
    pair = tokenizer.encode("The cat sat", "It was happy")
    assert pair.token_type_ids == [0] * 5 + [1] * 4


def test_clean_text_remembers_where_characters_came_from():
    assert clean_text("Ça\tva") == ("ca va", [0, 1, 2, 3, 4])
    assert clean_text("e\u0301\u200bA") == ("ea", [0, 3])
    assert clean_text("x中") == ("x 中 ", [0, 1, 1, 1])
    assert clean_text("Ça", lowercase=False) == ("Ça", [0, 1])


def test_split_words():
    text = "it's  $5, ok"
    assert [text[start:end] for start, end in split_words(text)] == ["it", "'", "s", "$", "5", ",", "ok"]
    assert split_words("") == split_words("  ") == []


def test_greedy_is_not_optimal():
    vocab = dict.fromkeys(["ab", "a", "##bc", "##c"])
    assert greedy_pieces("abc", vocab) == ["ab", "##c"]
    # "a ##bc" would cover the word, but the greedy hand has already taken "ab".
    assert greedy_pieces("abc", dict.fromkeys(["ab", "a", "##bc"])) == ["[UNK]"]


def test_words_over_100_characters_are_unknown():
    vocab = dict.fromkeys(["a", "##a"])
    assert len(greedy_pieces("a" * 100, vocab)) == 100
    assert greedy_pieces("a" * 101, vocab) == ["[UNK]"]


@settings(max_examples=300, deadline=None)
@given(
    word=st.text("abc", min_size=1, max_size=12),
    pieces=st.sets(st.from_regex(r"(##)?[abc]{1,4}", fullmatch=True), max_size=12),
)
def test_greedy_pieces_equal_the_model_of_tokenizers(word, pieces):
    from tokenizers.models import WordPiece

    vocab = {piece: index for index, piece in enumerate(["[UNK]", *sorted(pieces)])}
    expected = WordPiece(vocab, unk_token="[UNK]").tokenize(word)
    ours = greedy_pieces(word, vocab)
    assert ours == [token.value for token in expected]
    assert piece_spans(word, ours) == [token.offsets for token in expected]


@settings(deadline=None)
@given(first=st.integers(0, 30), second=st.integers(0, 30), room=st.integers(0, 40))
def test_truncation_takes_from_the_longer(first, second, room):
    kept = truncated_lengths(first, second, room)
    # One piece at a time; the tie rule looks at the lengths before truncation.
    rest = [first, second]
    while sum(rest) > room:
        rest[0 if rest[0] > rest[1] or (rest[0] == rest[1] and second >= first) else 1] -= 1
    assert list(kept) == rest


@settings(max_examples=200, deadline=None)
@given(text=st.text())
def test_offsets_cut_the_piece_out_of_the_original(tokenizer, text):
    encoding = tokenizer.encode(text, add_special_tokens=False)
    for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        assert 0 <= start < end <= len(text)
        if token not in SPECIAL_TOKENS:
            assert token.removeprefix("##") in clean_text(text[start:end])[0]


def test_special_tokens_in_the_text_stay_whole(small):
    assert small.tokenize("the [MASK] was robbed") == ["the", "[MASK]", "was", "rob", "##bed"]
    assert small.encode("the[MASK]!", add_special_tokens=False).offsets == [(0, 3), (3, 9), (9, 10)]
    assert small.tokenize("[mask]") == ["[UNK]"] * 3


def test_lone_surrogates_are_dropped(small):
    assert small.tokenize("ba\ud800nk") == ["bank"]


# Vocabulary, ids, errors ----------------------------------------------------------------------------------


def test_attributes(small):
    assert len(small) == len(SMALL_VOCAB)
    assert small.id_to_token == SMALL_VOCAB
    ids = [
        small.pad_token_id,
        small.unk_token_id,
        small.cls_token_id,
        small.sep_token_id,
        small.mask_token_id,
    ]
    assert [SMALL_VOCAB[index] for index in ids] == list(SPECIAL_TOKENS)
    assert small.special_ids == frozenset(ids)
    assert small.convert_tokens_to_ids(["bank", "nonsense"]) == [6, small.unk_token_id]
    assert small.convert_ids_to_tokens([6, 9]) == ["bank", "##bed"]


def test_decode(small):
    ids = small.encode("The bank was robbed!").input_ids
    assert small.decode(ids) == "the bank was robbed!"
    assert small.decode(ids, skip_special_tokens=False) == "[CLS] the bank was robbed! [SEP]"
    assert small.decode([]) == ""


def test_decode_takes_tensors(small):
    import torch

    assert small.decode(torch.tensor([5, 6])) == "the bank"


def test_save_and_from_file(small, tmp_path):
    path = tmp_path / "vocab.txt"
    small.save(path)
    assert path.read_bytes() == ("\n".join(SMALL_VOCAB) + "\n").encode()
    assert WordPieceTokenizer.from_file(path).id_to_token == SMALL_VOCAB
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert WordPieceTokenizer.from_file(path).id_to_token == SMALL_VOCAB


def test_save_writes_the_file_that_was_read(tokenizer, real_bert, tmp_path):
    tokenizer.save(tmp_path / "vocab.txt")
    assert (tmp_path / "vocab.txt").read_bytes() == (real_bert / "vocab.txt").read_bytes()


def test_batch_pads_to_the_longest(small):
    batch = small.batch(["the bank", ("the bank", "was"), "!"], max_length=5)
    cls, sep, pad = small.cls_token_id, small.sep_token_id, small.pad_token_id
    assert batch["input_ids"] == [[cls, 5, 6, sep, pad], [cls, 5, sep, 7, sep], [cls, 11, sep, pad, pad]]
    assert batch["token_type_ids"] == [[0] * 5, [0, 0, 0, 1, 1], [0] * 5]
    assert batch["attention_mask"] == [[1, 1, 1, 1, 0], [1] * 5, [1, 1, 1, 0, 0]]


@pytest.mark.parametrize(
    ("vocab", "error", "message"),
    [
        (SMALL_VOCAB[1:], ValueError, r"missing: \[PAD\]$"),
        ([*SMALL_VOCAB, "bank"], ValueError, "repeated: 'bank'"),
        ([*SMALL_VOCAB, "two words"], ValueError, "'two words' .id 14."),
        ([*SMALL_VOCAB, ""], ValueError, "'' .id 14."),
        ([*SMALL_VOCAB, 7], TypeError, r"vocab\[14\]: expected a string, got 7"),
        ("vocab.txt", TypeError, "vocab: expected a list of strings, got 'vocab.txt'"),
    ],
)
def test_bad_vocabularies_are_refused(vocab, error, message):
    with pytest.raises(error, match=message):
        WordPieceTokenizer(vocab)


def test_bad_arguments_are_refused(small):
    for text in (None, 7, b"bank", ["bank"]):
        with pytest.raises(TypeError, match="text: expected a string, got"):
            small.encode(text)
    with pytest.raises(ValueError, match="max_length: expected 2 or more here, got 1"):
        small.encode("bank", max_length=1)
    with pytest.raises(ValueError, match="max_length: expected 3 or more here, got 2"):
        small.encode("bank", "bank", max_length=2)
    with pytest.raises(ValueError, match="max_length: expected 1 or more here, got 0"):
        small.encode("bank", max_length=0, add_special_tokens=False)
    for index in (-1, len(small)):
        with pytest.raises(ValueError, match=f"ids: expected 0 to 13, got {index}"):
            small.decode([index])
    with pytest.raises(TypeError):
        small.decode([1.0])
    with pytest.raises(TypeError, match="expected a list.*, got '(bank|hug)'"):
        small.batch("bank")
    with pytest.raises(TypeError, match="expected a list.*, got '(bank|hug)'"):
        small.convert_tokens_to_ids("bank")
    with pytest.raises(ValueError, match="texts: expected at least one text, got none"):
        small.batch([])


def test_the_fast_tokenizer_cuts_as_the_plain_steps_do(tokenizer, lines):
    plain_lines = [line for line in lines[:2000] if not any(token in line for token in SPECIAL_TOKENS)]
    assert len(plain_lines) > 1000
    for _ in range(2):  # the second time from memory
        for line in plain_lines:
            assert tokenizer.tokenize(line) == plain_tokenize(line, tokenizer.vocab)


def test_import_is_light():
    code = "import sys, course_utils.wordpiece; print({'torch', 'tokenizers'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


# Training -------------------------------------------------------------------------------------------------

HUGS = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}


def test_pair_scores_by_hand():
    """Counts: h 15, p 17, b 4, ##u 36, ##g 20, ##n 16, ##s 5."""
    splits = initial_splits(HUGS)
    assert splits["hugs"] == ["h", "##u", "##g", "##s"]
    assert pair_scores(splits, HUGS) == {
        ("h", "##u"): Fraction(15, 15 * 36),
        ("p", "##u"): Fraction(17, 17 * 36),
        ("b", "##u"): Fraction(4, 4 * 36),
        ("##u", "##g"): Fraction(20, 36 * 20),
        ("##u", "##n"): Fraction(16, 36 * 16),
        ("##g", "##s"): Fraction(5, 20 * 5),
    }


def test_merge_table_by_hand():
    """The best merges are ##gs (1/20), hu (1/36, first of a tie of six), hugs (1/15): never hug."""
    splits = initial_splits(HUGS)
    table = []
    for _ in range(3):
        scores = pair_scores(splits, HUGS)
        best = max(scores, key=scores.get)
        table.append((best, scores[best]))
        splits = apply_merge(best, splits)
    assert table == [
        (("##g", "##s"), Fraction(1, 20)),
        (("h", "##u"), Fraction(1, 36)),
        (("hu", "##gs"), Fraction(1, 15)),
    ]
    assert splits == {
        "hug": ["hu", "##g"],
        "pug": ["p", "##u", "##g"],
        "pun": ["p", "##u", "##n"],
        "bun": ["b", "##u", "##n"],
        "hugs": ["hugs"],
    }


def test_apply_merge_takes_pairs_from_the_left():
    assert apply_merge(("##a", "##a"), {"baaa": ["b", "##a", "##a", "##a"]}) == {"baaa": ["b", "##aa", "##a"]}


def test_trainer_merges_by_count_not_by_score():
    texts = [" ".join([word] * count) for word, count in HUGS.items()]
    characters_and_specials = train_vocab(texts, 5 + 2 * 7)
    assert characters_and_specials == [*SPECIAL_TOKENS, *"bghnpsu", *(f"##{char}" for char in "bghnpsu")]
    # ("##u", "##g") occurs 20 times and has score 1/36; ("##g", "##s") occurs 5 times and has score 1/20.
    assert train_vocab(texts, 5 + 2 * 7 + 1)[-1] == "##ug"


def test_lists_of_the_exercise_are_those_of_the_three_rules():
    from course_utils.lessons.wordpiece.exercises import MERGES

    documents = ToyLanguage(seed=1).documents(500)
    sentences = [
        each.text for document in documents if document.topic != "film" for each in document.sentences
    ]
    counts = Counter(" ".join(sentences).split())

    def pairs_of(splits):
        pairs = Counter()
        for word, pieces in splits.items():
            for pair in itertools.pairwise(pieces):
                pairs[pair] += counts[word]
        return pairs

    def log_likelihood(splits):
        pieces = Counter()
        for word, parts in splits.items():
            pieces.update({piece: counts[word] * parts.count(piece) for piece in parts})
        return sum(n * math.log(n / pieces.total()) for n in pieces.values())

    rules = {
        "count": lambda splits: pairs_of(splits),
        "quotient": lambda splits: pair_scores(splits, counts),
        "likelihood": lambda splits: {p: log_likelihood(apply_merge(p, splits)) for p in pairs_of(splits)},
    }
    for name, merges in MERGES.items():
        splits, made = initial_splits(counts), []
        for _ in merges:
            scores = rules[name](splits)
            first, second = max(scores, key=scores.get)
            splits = apply_merge((first, second), splits)
            made.append(first + second.removeprefix("##"))
        assert tuple(made) == merges


def test_trained_vocabulary_is_the_same_in_every_process():
    code = """
import json, random, sys
from course_utils.wordpiece import train_vocab
source = random.Random(0)
words = ["".join(source.choices("abcdefgéK", k=source.randint(1, 6))) for _ in range(1800)]
texts = [" ".join(words[start : start + 9]) for start in range(0, 1800, 9)]
json.dump(train_vocab(texts, 300, alphabet="xyz!"), sys.stdout)
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert runs[0] == runs[1] == runs[2]
    vocab = json.loads(runs[0])
    assert len(vocab) == len(set(vocab)) == 300
    assert vocab[5:17] == sorted("abcdefgkxyz!")
    assert WordPieceTokenizer(vocab).tokenize("Zyx!é") == ["z", "##y", "##x", "!", "e"]


def test_min_frequency_stops_the_training():
    vocab = train_vocab(["hug hug pun"], 100, min_frequency=2)
    base = train_vocab(["hug hug pun"], 15)
    assert vocab[:15] == base
    assert set(vocab[15:]) in ({"hu", "hug"}, {"##ug", "hug"})


def test_training_refuses_what_cannot_work():
    with pytest.raises(ValueError, match=r"vocab_size: expected 11 or more \(special.*\), got 10"):
        train_vocab(["hug"], 10)
    with pytest.raises(TypeError, match="expected a list.*, got '(bank|hug)'"):
        train_vocab("hug", 100)
