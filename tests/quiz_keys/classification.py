"""The keys of the quiz on classification, worked out: each has the id of its question and returns the text of
the key.
"""

import numpy as np
import torch
from torch.nn import functional as F

from course_utils import finetuning
from course_utils.bert import BertConfig, BertForSequenceClassification
from course_utils.toy.language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer


def small_model(num_labels: int) -> tuple:
    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    task = finetuning.TextClassification(tokenizer, [str(k) for k in range(num_labels)])
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    return task, finetuning.new_model(task, config)


def untrained_loss() -> str:
    task, model = small_model(5)
    rows = task.encode(
        finetuning.labelled(["good film", "the story was dull", "bad", "nice scenes", "a"], range(5))
    )
    loss = task.mean_loss(finetuning.run_model(model, task, rows))
    return min(["0", "0.69", "1.61", "5"], key=lambda text: abs(float(text) - loss))


def same_bag() -> str:
    from sklearn.feature_extraction.text import CountVectorizer

    table = CountVectorizer().fit_transform(["not good but lovely", "lovely but not good"]).toarray()
    same = np.array_equal(table[0], table[1])
    return "The same probability for both, however it was trained" if same else "Different ones"


def new_numbers() -> str:
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(num_labels=3))
    return str(sum(p.numel() for p in finetuning.parts_of(model)[-1][1]))


def gradient() -> str:
    logits = torch.tensor([[0.9, 0.1]]).log().requires_grad_()
    F.cross_entropy(logits, torch.tensor([0])).backward()
    return f"{logits.grad[0, 0]:.1f}"


def frozen() -> str:
    _, model = small_model(2)
    finetuning.freeze(model, "encoder")
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    head_only = learning == {"classifier.weight", "classifier.bias"}
    return "Those of the new Linear layer only" if head_only else "Pooler and new Linear layer"
