#!/usr/bin/env bash
# transformers 5.23.0 with torch 2.13.0: the documentation of start_positions says that positions outside of the
# sequence are left out of the loss. BertForQuestionAnswering does so only behind its end. A position before its
# beginning, such as -1 or the -100 that every other BERT head ignores, is moved to 0 and trains [CLS] as the answer.
# Seen: losses of a batch whose second answer is -100, -1 and 0 are the same number; at 6, the length, it is left out.
#
# It matters since [CLS] means "no answer" in SQuAD 2.0: a window that was marked to be ignored teaches the model to
# give none, and nothing looks wrong. Ends with 1 if the behaviour is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 numpy==2.3.3
cd "$folder"
cat > seen.py <<'PYTHON'
import torch
from transformers import BertConfig, BertForQuestionAnswering

torch.manual_seed(0)
config = BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
model = BertForQuestionAnswering(config).eval()
input_ids = torch.randint(5, 20, (2, 6))


def loss(second):
    positions = torch.tensor([3, second])
    with torch.no_grad():
        return model(input_ids, start_positions=positions, end_positions=positions).loss.item()


with torch.no_grad():
    first_alone = torch.tensor([3])
    alone = model(input_ids[:1], start_positions=first_alone, end_positions=first_alone).loss.item()
print(f"the first answer alone: {alone:.6f}")
for second in (-100, -1, 0, 6, 100):
    print(f"second answer at {second:4}: {loss(second):.6f}")
assert loss(-100) == loss(-1) == loss(0) != loss(6), "negative positions no longer count as [CLS]"
assert abs(loss(6) - alone) < 1e-6 and loss(6) == loss(100), "positions behind the end are no longer left out"
PYTHON
venv/bin/python seen.py
