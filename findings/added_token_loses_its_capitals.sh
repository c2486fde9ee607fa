#!/usr/bin/env bash
# tokenizers 0.23.3 with transformers 5.23.0: a token added to an uncased BERT tokenizer, add_tokens(["<URL>"]), comes
# back in small letters. decode() and convert_ids_to_tokens() give "<url>", while get_vocab() and added_tokens_decoder
# know it as "<URL>" only. tokenizers 0.22.2 (with transformers 5.0.0) gave "<URL>". A special token keeps its
# capitals.
# Seen: 'see <url> <PER>'.
#
# It matters where a placeholder is put back, text.replace("<URL>", address): it is not found any more, without an
# error; and a list of pieces does not match the vocabulary. Ends with 1 if the behaviour is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
cat > seen.py <<'PYTHON'
from transformers import BertTokenizer

pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "see"]
tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, do_lower_case=True)
tokenizer.add_tokens(["<URL>"])
tokenizer.add_tokens(["<PER>"], special_tokens=True)
input_ids = tokenizer("see <URL> <PER>", add_special_tokens=False).input_ids
decoded = tokenizer.decode(input_ids)
tokens = tokenizer.convert_ids_to_tokens(input_ids)
vocabulary = tokenizer.get_vocab()
print(repr(decoded), tokens, "in the vocabulary:", [token in vocabulary for token in tokens])
assert vocabulary["<URL>"] == input_ids[1] and str(tokenizer.added_tokens_decoder[input_ids[1]]) == "<URL>"
assert decoded == "see <url> <PER>", "an added token keeps its capitals again"
assert [token in vocabulary for token in tokens] == [True, False, True], "the pieces match the vocabulary again"
PYTHON
venv/bin/python seen.py
