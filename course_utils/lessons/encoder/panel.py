"""The panel of notebook 06: the residual of every layer, turned down."""

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import encode, message, panel, table, wide


def residual_dial(model, tokenizer, text: str = "the bank was robbed yesterday") -> ipw.VBox:
    """Turn the residual of every layer down from 1 (BERT) to 0, choose a depth, and read how alike the tokens
    have become.

    `model` is a `course_utils.bert.BertModel`.
    """
    size = wide(34, 8)
    layers = len(model.encoder.layer)
    return panel(
        lambda text, depth, keep: residual_dial_html(model, tokenizer, text, depth, keep),
        text=ipw.Text(value=text, description="Sentence", **size),
        depth=ipw.IntSlider(value=layers, min=0, max=layers, description="Layers", **size),
        keep=ipw.FloatSlider(value=1, min=0, max=1, step=0.1, description="Residual times", **size),
    )


@torch.no_grad()
def residual_dial_html(model, tokenizer, text: str, depth: int, keep: float) -> str:
    """The cosine of every pair of tokens after `depth` layers whose residual is multiplied by `keep`."""
    encoding = encode(tokenizer, model.config.max_position_embeddings, text)
    states = model.embeddings(torch.tensor([encoding.input_ids]))
    for layer in model.encoder.layer[:depth]:
        context, _ = layer.attention.self(states)
        states = end_of_sublayer(layer.attention.output, context, states, keep)
        states = end_of_sublayer(layer.output, layer.intermediate(states), states, keep)
    directions = torch.nn.functional.normalize(states[0], dim=-1)
    cosines = directions @ directions.T
    rows = [
        [token, *(f"{cosine:z.2f}" for cosine in row)]
        for token, row in zip(encoding.tokens, cosines.tolist(), strict=True)
    ]
    caption = f"Cosines between the tokens after {depth} layers, residual times {keep:.1f}"
    return table(["", *encoding.tokens], rows, caption) + message(
        f"The two least alike: {cosines.min():.2f}."
    )


def end_of_sublayer(part, sublayer_states: torch.Tensor, residual: torch.Tensor, keep: float) -> torch.Tensor:
    """What `course_utils.bert.AddAndNorm` computes without dropout, the residual multiplied by `keep`."""
    return part.LayerNorm(keep * residual + part.dense(sublayer_states))
