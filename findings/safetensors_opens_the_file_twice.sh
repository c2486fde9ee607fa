#!/usr/bin/env bash
# safetensors 0.8.0 with torch 2.13.0: safe_open(path, framework="pt") opens the file twice, once for the header and
# once, through torch.UntypedStorage.from_file, for the numbers. A checkpoint that a training run replaces in one
# stroke (os.replace) between the two gives the metadata of the old file with the tensors of the new one, and no
# error. Seen without any help in 70 of 19,076 reads beside a process that goes on saving.
#
# Here the replacement happens at exactly that moment. Ends with 1 if the behaviour is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 safetensors==0.8.0 numpy==2.3.3
cd "$folder"
cat > seen.py <<'PYTHON'
import os

import torch
from safetensors import safe_open
from safetensors.torch import save_file

save_file({"weight": torch.zeros(4)}, "model.safetensors", {"epoch": "1"})
save_file({"weight": torch.ones(4)}, "next.safetensors", {"epoch": "2"})
open_again = torch.UntypedStorage.from_file


def replaced_just_before(*args, **kwargs):
    os.replace("next.safetensors", "model.safetensors")
    return open_again(*args, **kwargs)


torch.UntypedStorage.from_file = replaced_just_before
with safe_open("model.safetensors", framework="pt") as file:
    seen = file.metadata()["epoch"], file.get_tensor("weight").tolist()
print("metadata of epoch", seen[0], "with the numbers", seen[1])
assert seen == ("1", [1.0, 1.0, 1.0, 1.0]), "safetensors no longer opens the file twice"
PYTHON
venv/bin/python seen.py
