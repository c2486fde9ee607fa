"""The panel of notebook 00: a sentence with a blank, and the model's guesses."""

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import encode, panel, table, wide


def fill_blank(model, tokenizer, text: str = "the [MASK] was robbed yesterday") -> ipw.VBox:
    """Type a sentence with [MASK] in it, move the slider, and read the best guesses for each blank."""
    field = ipw.Text(value=text, description="Sentence", **wide(34), continuous_update=True)
    guesses = ipw.IntSlider(value=3, min=1, max=10, description="Guesses", continuous_update=True)
    return panel(lambda sentence, k: guesses_html(model, tokenizer, sentence, k), sentence=field, k=guesses)


def guesses_html(model, tokenizer, sentence: str, k: int) -> str:
    """The k best tokens for every [MASK] of a sentence, as a table."""
    encoding = encode(tokenizer, model.config.max_position_embeddings, sentence)
    blanks = [i for i, token in enumerate(encoding.tokens) if token == "[MASK]"]
    if not blanks:
        raise ValueError(
            "Write [MASK] where the model shall guess, for example: the [MASK] was robbed yesterday"
        )
    with torch.no_grad():
        logits = model(torch.tensor([encoding.input_ids])).prediction_logits[0]
    rows = []
    for i in blanks:
        best = logits[i].softmax(0).topk(k)
        tokens = tokenizer.convert_ids_to_tokens(best.indices.tolist())
        rows.append(
            [f"blank {len(rows) + 1}"]
            + [f"{token} {p:.0%}" for token, p in zip(tokens, best.values.tolist(), strict=True)]
        )
    heads = ["", *(f"guess {i}" for i in range(1, k + 1))]
    return table(heads, rows, "The model's guesses, the most probable first")
