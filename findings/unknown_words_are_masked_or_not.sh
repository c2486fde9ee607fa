#!/usr/bin/env bash
# transformers 5.23.0 with tokenizers 0.23.3: the documentation advises to give DataCollatorForLanguageModeling the
# tokenizer's special_tokens_mask "for best performance". It changes what is learnt. With it, [UNK] and a [SEP] that
# the text itself contains are masked and are to be predicted; without it, the collator asks the tokenizer again by
# id, and both are left alone.
# Seen for "the dog [SEP] cat" with every piece masked: labels the, [UNK], [SEP], cat with it; the, cat without it.
#
# It matters since one keyword at the tokenizer, return_special_tokens_mask, turns a model that never predicts [UNK]
# into one that learns to, and losses of the two are over different pieces. Ends with 1 if the behaviour is no longer
# so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3 numpy==2.3.3
cd "$folder"
cat > seen.py <<'PYTHON'
from transformers import BertTokenizer, DataCollatorForLanguageModeling

pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat"]
tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.0, return_tensors="np", seed=0)
seen = {}
for given in (True, False):
    example = dict(tokenizer("the dog [SEP] cat", return_special_tokens_mask=given))
    labels = collate([example])["labels"][0]
    seen[given] = [tokenizer.convert_ids_to_tokens(int(label)) for label in labels if label != -100]
    print("with" if given else "without", "special_tokens_mask, to be predicted:", seen[given])
assert seen == {True: ["the", "[UNK]", "[SEP]", "cat"], False: ["the", "cat"]}, "the two ways have changed"
PYTHON
venv/bin/python seen.py
