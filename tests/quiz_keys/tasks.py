"""The keys of the quiz on the other tasks, worked out: each has the id of its question and returns the text
of the key.
"""

import torch

from course_utils import finetuning
from course_utils.bert import IGNORE_INDEX
from course_utils.toy.language import VOCAB_FILE
from course_utils.toy.tasks import ENTITY_TAGS, Question, TaggedWords
from course_utils.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer


def labelled_positions() -> str:
    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    words = ("anna", "met", "luis", "rio")
    task = finetuning.TokenClassification(tokenizer, ENTITY_TAGS)
    (row,) = task.encode([TaggedWords(words, ("B-PER", "O", "B-PER", "I-PER"))])
    assert len(row.input_ids) == 7 + 2
    return str(sum(label != IGNORE_INDEX for label in row.target))


def partly_right() -> str:
    truth = ["B-PER", "I-PER", "O", "O", "O", "B-LOC"]
    guess = ["B-PER", "O", "O", "O", "O", "B-LOC"]
    return f"{finetuning.entity_scores([truth], [guess])['entity_f1']:.1f}"


def span() -> str:
    start, end = torch.tensor([1.0, 3.0, 0.0]), torch.tensor([5.0, 1.0, 2.0])
    _, first, last = finetuning.best_span(start, end, [(0, 1), (2, 3), (4, 5)], 3)
    return f"From token {first} to token {last}"


def compared_answers() -> str:
    found, accepted = "The museum", "the paris museum"
    exact, f1 = finetuning.exact_match(found, accepted), finetuning.span_f1(found, accepted)
    return f"{exact:.0f} and {f1:.2f}"


def windows() -> str:
    # A tokenizer of which only the number of pieces matters: one piece a word.
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS, "who", "word"])  # each word is one piece
    task = finetuning.QuestionAnswering(
        tokenizer, max_length=104, stride=40
    )  # 1 for the question, 3 special ones
    return str(len(task.encode([Question("who", "word " * 200)])))
