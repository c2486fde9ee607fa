"""The keys of the quiz on word pieces, worked out: each function has the id of its question and returns the
text of the key.
"""

import json
from collections import Counter
from fractions import Fraction
from importlib import resources
from itertools import pairwise

from course_utils.wordpiece import (
    SPECIAL_TOKENS,
    WordPieceTokenizer,
    greedy_pieces,
    initial_splits,
    train_vocab,
)

IDS = json.loads(resources.files("course_utils").joinpath("data/standard_ids.json").read_text("utf-8"))["ids"]


def dead_end() -> str:
    vocab = dict.fromkeys(["[UNK]", "p", "pu", "pug", "##g", "##u", "##gs"])
    return f"`{' '.join(greedy_pieces('pugs', vocab))}`"


def score() -> str:
    rare, frequent = Fraction(12, 12 * 60), Fraction(30, 40 * 60)
    if rare == frequent:
        return "Neither: the scores are equal"
    return f"The one that occurs {12 if rare > frequent else 30} times"


def merges() -> str:
    word_counts = {"ab": 3, "abc": 2, "cb": 4}
    pairs = Counter()
    for word, pieces in initial_splits(word_counts).items():
        for pair in pairwise(pieces):
            pairs[pair] += word_counts[word]
    [(first, second)] = [pair for pair in pairs if pairs[pair] == max(pairs.values())]
    return f"`{first}` and `{second}`"


def offset() -> str:
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS, "the", "cafe", "was", "robbed"])
    encoding = tokenizer.encode("The  café was ROBBED")
    start, end = encoding.offsets[encoding.tokens.index("cafe")]
    return f"{start} to {end}"


def decoded() -> str:
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS, "the", "was", "robbed"])
    return tokenizer.decode(tokenizer.encode("the \N{PENGUIN} was robbed").input_ids)


def larger() -> str:
    text = "the bank was robbed yesterday and the river bank was wet"
    small, large = (WordPieceTokenizer(train_vocab([text], size)) for size in (45, 60))
    shorter = len(large.tokenize(text)) < len(small.tokenize(text))
    return (
        f"{'Shorter' if shorter else 'Longer'} sequences and a"
        f" {'larger' if len(large) > len(small) else 'smaller'} table"
    )


def one_word_one_id() -> str:
    printed = [101, 1996, 4937, 2938, 2006, 2023, 13523, 102]
    real = [IDS[word] for word in ("[CLS]", "the", "cat", "sat", "on", "the", "mat", "[SEP]")]
    assert len(printed) == len(real)  # so their number does not give it away
    assert real.count(IDS["the"]) == 2 > printed.count(IDS["the"])
    return '"The" and "the" are one piece, and no id stands there twice' if len({*printed}) == 8 else ""
