#!/usr/bin/env bash
# transformers 5.23.0 with accelerate 1.15.0 and torch 2.13.0: Trainer takes a model whose forward() has **kwargs for
# one that divides its loss by the labels of all accumulated batches. BERT's heads have **kwargs, and take the mean of
# their own batch. So nobody divides, and k accumulated batches give k times the gradient, and k times the loss in the
# log.
# Seen for one and the same eight sentences: BertForMaskedLM has loss 3.1 as one batch, 24.8 as eight batches of one.
#
# It matters since gradient_accumulation_steps is meant to save memory and change nothing else. Adam hides much of it;
# SGD takes a step k times as long, and max_grad_norm (1.0 as it comes) cuts gradients that are not large at all. Ends
# with 1 if the behaviour is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 accelerate==1.15.0 numpy==2.3.3
cd "$folder"
cat > seen.py <<'PYTHON'
import torch
from transformers import BertConfig, BertForMaskedLM, BertForTokenClassification, Trainer, TrainingArguments

config = BertConfig(
    vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=3,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
torch.manual_seed(0)
sentences = [{"input_ids": torch.randint(5, 20, (6,)), "labels": torch.randint(0, 3, (6,))} for _ in range(8)]


def one_step(head, batch_size):
    """The logged loss, and how far SGD moves the word embeddings, for all sentences in one step."""
    torch.manual_seed(0)
    model = head(config)
    embeddings = model.bert.embeddings.word_embeddings.weight
    before = embeddings.detach().clone()
    arguments = TrainingArguments(
        "out", max_steps=1, per_device_train_batch_size=batch_size, gradient_accumulation_steps=8 // batch_size,
        optim="sgd", learning_rate=0.1, lr_scheduler_type="constant", max_grad_norm=0.0,
        use_cpu=True, report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    loss = Trainer(model, arguments, train_dataset=sentences).train().training_loss
    return loss, (embeddings.detach() - before).norm().item()


for head in (BertForMaskedLM, BertForTokenClassification):
    loss, step = one_step(head, 8)
    for batch_size in (4, 1):
        times = 8 // batch_size
        more_loss, longer_step = one_step(head, batch_size)
        print(f"{head.__name__}: loss {loss:.3f} as 1 batch, {more_loss:.3f} as {times};", end=" ")
        print(f"the step is {longer_step / step:.3f} times as long")
        assert abs(more_loss / loss - times) < 1e-3, "the loss of accumulated batches is averaged"
        assert abs(longer_step / step - times) < 1e-3, "the gradients of accumulated batches are averaged"
PYTHON
venv/bin/python seen.py
