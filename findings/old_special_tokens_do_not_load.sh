#!/usr/bin/env bash
# transformers 5.23.0 with tokenizers 0.23.3: its migration guide says that special_tokens_map.json of older versions
# is still read. Where its additional_special_tokens are objects, as transformers 4.33.3 writes a token with a setting
# of its own (lstrip here), it is not: BertTokenizer and AutoTokenizer both stop, although tokenizer.json beside it
# has the token.
# Seen: TypeError: Input must be a List[Union[str, AddedToken]]
#
# It matters since the error names neither the file nor the token, and cls_token may be such an object in the same
# file without harm. Ends with 1 if the behaviour is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/old"
"$folder/old/bin/pip" install --quiet --disable-pip-version-check \
    transformers==4.33.3 tokenizers==0.13.3 numpy==1.26.4
python3 -m venv "$folder/new"
"$folder/new/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' see > vocab.txt
cat > save.py <<'PYTHON'
from transformers import AddedToken, BertTokenizerFast

tokenizer = BertTokenizerFast("vocab.txt")
tokenizer.cls_token = AddedToken("[CLS]", lstrip=True)
tokenizer.save_pretrained("cls")
tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken("<ent>", lstrip=True)]})
tokenizer.save_pretrained("additional")
print("4.33.3 saves and loads:", BertTokenizerFast.from_pretrained("additional").tokenize("see <ent>"))
PYTHON
cat > seen.py <<'PYTHON'
import json
from pathlib import Path

from transformers import AutoTokenizer, BertTokenizer

for folder in ("cls", "additional"):
    print(folder, json.loads(Path(folder, "special_tokens_map.json").read_text(encoding="utf-8")))
    for loader in (BertTokenizer, AutoTokenizer):
        try:
            seen = str(loader.from_pretrained(folder).tokenize("see"))
        except TypeError as error:
            seen = f"TypeError: {error}"
        print(f"    {loader.__name__}: {seen}")
        assert seen.startswith("TypeError") == (folder == "additional"), "additional special tokens are read again"
PYTHON
old/bin/python save.py
new/bin/python seen.py
