"""The keys of the quiz of notebook 00, worked out."""

import torch

from course_utils.toy.language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer


def ids() -> str:
    return str(len(WordPieceTokenizer.from_file(VOCAB_FILE).encode("the [MASK] was robbed yesterday")))


def shift() -> str:
    logits = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    return "Nothing" if torch.allclose(logits.softmax(0), (logits + 5).softmax(0)) else "All of them grow"
