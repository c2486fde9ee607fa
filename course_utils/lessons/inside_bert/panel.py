"""The panel of notebook 12: a word, and the occurrences of its senses that lie nearest, layer by layer."""

import ipywidgets as ipw
import torch
from torch.nn import functional as F

from course_utils.classroom.controls import encode, panel, table, wide


def sense_explorer(
    model, tokenizer, occurrences: list[tuple[str, int, str]], text: str = "the bank was wet after the rain"
) -> ipw.VBox:
    """Type a sentence with the word, move the layer, and see which labelled occurrences lie nearest to it
    there.

    Args:
        occurrences: (sentence, place of the word among its words, sense); the same word in each, one piece a
            word.
        text: the sentence to begin with.
    """
    places = [place + 1 for _, place, _ in occurrences]  # [CLS] stands before
    batch = {
        name: torch.tensor(rows) for name, rows in tokenizer.batch([s for s, _, _ in occurrences]).items()
    }
    with torch.no_grad():
        states = model.bert(
            batch["input_ids"], batch["attention_mask"], output_hidden_states=True
        ).hidden_states
    rows = torch.arange(len(places))
    known = [
        F.normalize(layer[rows, places], dim=1) for layer in states
    ]  # (occurrences, hidden_size) a layer
    field = ipw.Text(value=text, description="Sentence", **wide(34), continuous_update=True)
    layer = ipw.IntSlider(value=len(known) - 1, min=0, max=len(known) - 1, description="Layer")
    count = ipw.IntSlider(value=6, min=1, max=12, description="Neighbours")
    return panel(
        lambda sentence, depth, k: sense_html(model, tokenizer, occurrences, known, sentence, depth, k),
        sentence=field, depth=layer, k=count,
    )  # fmt: skip


def sense_html(
    model,
    tokenizer,
    occurrences: list[tuple[str, int, str]],
    known: list[torch.Tensor],
    text: str,
    depth: int,
    k: int,
) -> str:
    """The k occurrences whose vectors after `depth` layers have the largest cosine with that of the typed
    sentence.
    """
    encoding = encode(tokenizer, model.config.max_position_embeddings, text)
    sentence, place, _ = occurrences[0]
    word = sentence.split()[place]
    if word not in encoding.tokens:
        raise ValueError(f"The sentence must hold the word {word!r}.")
    with torch.no_grad():
        states = model.bert(torch.tensor([encoding.input_ids]), output_hidden_states=True).hidden_states
    own = F.normalize(states[depth][0, encoding.tokens.index(word)], dim=0)
    cosines = known[depth] @ own
    best = cosines.topk(min(k, len(occurrences)))
    rows = [
        [occurrences[i][0], occurrences[i][2], f"{cosine:.3f}"]
        for i, cosine in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    senses = [row[1] for row in rows]
    shares = ", ".join(f"{senses.count(sense)} {sense}" for sense in dict.fromkeys(senses))
    where = "before the first layer" if depth == 0 else f"after layer {depth}"
    return table(["nearest sentence", "its sense", "cosine"], rows, f"Nearest to '{word}' {where}: {shares}")
