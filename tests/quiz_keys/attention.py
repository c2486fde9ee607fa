"""The keys of the quiz on attention, worked out: each function has the id of its question and returns the
text of the key.
"""

import math

import torch

from course_utils.bert import BertConfig, SelfAttention
from course_utils.classroom import quiz


def which_row() -> str:
    def is_softmax_row(text: str) -> bool:
        numbers = [float(number) for number in text.split(",")]
        return min(numbers) > 0 and math.isclose(sum(numbers), 1)

    question = next(question for question in quiz.load("attention") if question.id == "which_row")
    [row] = [option.text for option in question.options if is_softmax_row(option.text)]
    return row


def spread() -> str:
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 20_000, 256, generator=generator)
    return f"{(query * key).sum(-1).std():.0f}"


def saturated() -> str:
    scores = torch.tensor([0.0, math.log(99)], dtype=torch.float64)  # weights 0.01 and 0.99
    slope = torch.autograd.functional.jacobian(lambda s: s.softmax(0), scores)[1, 1].item()
    return f"about {slope:.2f}"


def parameters() -> str:
    counts = {
        heads: sum(p.numel() for p in SelfAttention(BertConfig(num_attention_heads=heads)).parameters())
        for heads in (1, 12)
    }
    return "The same number" if counts[1] == counts[12] else f"{counts[1] / counts[12]:g} times as many"


def reshape() -> str:
    seq_len, heads, head_size = 3, 2, 4
    states = torch.arange(24.0).reshape(seq_len, heads * head_size)
    expected = torch.stack([states[:, :4], states[:, 4:]])
    lines = {
        "`states.reshape(heads, seq_len, head_size)`": states.reshape(heads, seq_len, head_size),
        "`states.unflatten(-1, (heads, head_size)).transpose(0, 1)`": (
            states.unflatten(-1, (heads, head_size)).transpose(0, 1)
        ),
        "`states.T.reshape(heads, seq_len, head_size)`": states.T.reshape(heads, seq_len, head_size),
    }
    [line] = [line for line, value in lines.items() if torch.equal(value, expected)]
    return line
