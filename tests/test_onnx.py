"""The lines of notebook 17 that export a model to ONNX, where the packages for it are installed."""

import re

import nbformat
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from course_utils import checkpoints, finetuning
from tools import ROOT

for package in ("onnx", "onnxruntime", "onnxscript"):  # none of them is among the course's own
    pytest.importorskip(package)


def test_the_exported_model_gives_the_same_logits(tmp_path, monkeypatch):
    page = nbformat.read(ROOT / "notebooks" / "17_your_own_data.ipynb", 4)
    [lines] = [
        block
        for cell in page.cells
        if cell.cell_type == "markdown"
        for block in re.findall(r"(?s)```python\n(.*?)```", cell.source)
        if "onnxruntime" in block
    ]
    pretrained, tokenizer = checkpoints.load("embedded")
    task = finetuning.TextClassification(tokenizer, ("negative", "positive"))
    model = finetuning.new_model(task, pretrained)
    finetuning.save(tmp_path / "model", model, task)
    elsewhere = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    texts = ["the actors were not bad", "a boring film , but i enjoyed it"]
    batch = {name: torch.tensor(value) for name, value in tokenizer.batch(texts).items()}
    with torch.no_grad():
        before = elsewhere(**batch).logits
    monkeypatch.chdir(tmp_path)
    names = {"batch": batch, "elsewhere": elsewhere, "before": before}
    exec(lines, names)  # noqa: S102 (the lines of the page, which compare the logits themselves)
    one = {name: value[:1, :4].numpy() for name, value in batch.items() if name in names["names"]}
    with torch.no_grad():
        alone = elsewhere(**{name: torch.tensor(value) for name, value in one.items()}).logits
    again = names["session"].run(["logits"], one)[0]
    assert torch.allclose(torch.tensor(again), alone, atol=1e-4)  # another number of texts, and of pieces
