"""The small table of ids that notebook 02 prints, against the full vocabulary that it was taken from."""

import hashlib
import json
from pathlib import Path

import pytest

import course_utils
from course_utils.wordpiece import (
    CONTINUATION,
    SPECIAL_TOKENS,
    WordPieceTokenizer,
    plain_tokenize,
)

FILE = Path(course_utils.__file__).parent / "data" / "standard_ids.json"
FACTS = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def standard(real_bert):
    return WordPieceTokenizer.from_file(real_bert / "vocab.txt")


def test_the_source_is_the_pinned_vocabulary(real_bert):
    assert hashlib.sha256((real_bert / "vocab.txt").read_bytes()).hexdigest() == FACTS["sha256"]


def test_every_id_is_that_of_the_full_vocabulary(standard):
    assert FACTS["ids"] == {piece: standard.vocab.get(piece) for piece in FACTS["ids"]}
    assert set(SPECIAL_TOKENS) < set(FACTS["ids"])


def test_the_counts_are_those_of_the_full_vocabulary(standard):
    inside = [piece for piece in standard.vocab if len(piece) > 2 and piece.startswith(CONTINUATION)]
    unused = [piece for piece in standard.vocab if piece.startswith("[unused")]
    assert (FACTS["size"], FACTS["continuations"], FACTS["unused"]) == (
        len(standard),
        len(inside),
        len(unused),
    )


def test_the_pieces_that_no_merge_can_have_made(standard):
    ordinary = {p for p in standard.vocab if p not in SPECIAL_TOKENS and not p.startswith("[unused")}
    longer, alone = [], []
    for piece in ordinary:
        mark = CONTINUATION if len(piece) > 2 and piece.startswith(CONTINUATION) else ""
        word = piece.removeprefix(mark)
        halves = [{mark + word[:i], CONTINUATION + word[i:]} for i in range(1, len(word))]
        longer += [piece] * bool(halves)
        alone += [piece] * (bool(halves) and not any(each <= ordinary for each in halves))
    assert (FACTS["longer"], FACTS["not_joined"]) == (len(longer), len(alone))
    assert FACTS["single"] == len(ordinary) - len(longer)
    assert set(FACTS["examples_not_joined"]) <= set(alone)


def test_every_single_character_stands_in_both_forms(standard):
    """So no word of known characters is unknown, and half of the single pieces begin with the mark."""
    alone = {piece for piece in standard.vocab if len(piece) == 1}
    inside = {p[2:] for p in standard.vocab if len(p) == 3 and p.startswith(CONTINUATION)}
    assert alone == inside and FACTS["single"] == 2 * len(alone)


TEXTS = [*FACTS["texts"], *FACTS["languages"].values()]


@pytest.mark.parametrize("text", TEXTS)
def test_the_few_pieces_split_these_texts_as_all_pieces_do(standard, text):
    """A longer piece that the table lacks could change a greedy match; for these texts none does."""
    pieces = plain_tokenize(text, FACTS["ids"])
    assert [FACTS["ids"][piece] for piece in pieces] == standard.encode(text).input_ids[1:-1]


def test_no_piece_stands_there_without_need():
    used = {piece for text in TEXTS for piece in plain_tokenize(text, FACTS["ids"])}
    assert set(FACTS["ids"]) == used | set(SPECIAL_TOKENS)
