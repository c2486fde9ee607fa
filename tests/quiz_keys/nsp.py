"""The keys of the quiz on next sentence prediction, worked out."""

import math

import torch
from torch.nn import functional as F

from course_utils import nsp
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.lessons.nsp import exercises as ex
from course_utils.toy.language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer


def first_segment() -> str:
    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    first, second = (
        tokenizer.convert_tokens_to_ids(text.split()) for text in ("the cat sat on the mat", "it was happy")
    )
    return str(nsp.build_row(first, second, tokenizer)[1].count(0))


def constant() -> str:
    logits = torch.tensor([0.8, 0.2]).log().expand(2, 2)
    return f"{F.cross_entropy(logits, torch.tensor([nsp.IS_NEXT, nsp.NOT_NEXT])):.2f}"


def hidden_class() -> str:
    logits = torch.zeros(2, requires_grad=True)  # one answer for every pair
    optimizer = torch.optim.SGD([logits], lr=1.0)
    labels = torch.arange(100) % 2
    for _ in range(500):
        loss = F.cross_entropy(logits.expand(100, 2), labels, ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = (logits.argmax() == labels).float().mean()
    return (
        "A loss near 0, and half of the answers right" if loss < 0.01 and right == 0.5 else f"{loss} {right}"
    )


def same_topic() -> str:
    certain = torch.eye(8)[3]
    return f"{ex.topic_posterior.model_answer(certain, certain):.2f}"


def order() -> str:
    odds = [p / (1 - p) for p in (0.9, 0.6)]
    assert math.isclose(odds[0], 9) and math.isclose(odds[1], 1.5)
    return f"{odds[0] / sum(odds):.2f}"


def reads() -> str:
    """Which states a head reads is where a change of them moves its logits."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=12, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = BertForPreTraining(config).eval()
    states = torch.randn(1, 5, 8)
    moved = states.clone()
    moved[:, 1:] += 1  # every token but [CLS]

    def heads(hidden):
        mlm = model.cls.predictions(hidden)
        return mlm, model.cls.seq_relationship(model.bert.pooler(hidden))

    (mlm, verdict), (other_mlm, other_verdict) = heads(states), heads(moved)
    if torch.equal(verdict, other_verdict) and not (mlm == other_mlm)[0, 1:].all(dim=-1).any():
        return "MLM the last hidden state of every token, NSP the pooled [CLS]"
    return "something else"
