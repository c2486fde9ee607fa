#!/usr/bin/env bash
# transformers 5.23.0 with tokenizers 0.23.3: where a piece stands twice in vocab.txt, its later line counts, and the
# vocabulary is one smaller than its file. The next added token takes this size as its id, and that is the id of the
# last piece. Two tokens have one id, add_tokens() reports 1 new token, and nobody objects.
# Seen: 'mat' and '<url>' are both 9, 'mat' decodes as '<url>', and len(tokenizer) is 10, as if all were in order.
#
# It matters since words are put into the [unused...] lines of a BERT vocabulary by hand, and one that was in it
# before does this: the new token shares, and trains, the embedding of another piece. Ends with 1 if the behaviour is
# no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
cat > seen.py <<'PYTHON'
from pathlib import Path

from transformers import BertTokenizer

# "the" stands at 5 and at 6.
pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "the", "cat", "sat", "mat"]
folder = Path("model")
folder.mkdir()
(folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
tokenizer = BertTokenizer.from_pretrained(folder)
before = tokenizer.decode([9])
added = tokenizer.add_tokens(["<url>"])
input_ids = tokenizer("mat <url>", add_special_tokens=False).input_ids
print(f"9 was {before!r}; {added} token added; 'mat <url>' is {input_ids} and decodes as", end=" ")
print(f"{tokenizer.decode(input_ids)!r}; len(tokenizer) is {len(tokenizer)}")
assert before == "mat" and added == 1
assert input_ids == [9, 9], "an added token gets an id of its own"
PYTHON
venv/bin/python seen.py
