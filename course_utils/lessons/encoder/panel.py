"""The panel of notebook 06: the two residuals of every layer, turned down."""

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import encode, message, panel, table, wide


def residual_dial(model, tokenizer, text: str = "the bank was robbed yesterday") -> ipw.VBox:
    """Turn the two residuals of every layer down from 1 (BERT) to 0, choose a depth, and read how alike the
    tokens have become.

    `model` is a `course_utils.bert.BertModel`.
    """
    size = wide(34, 15)
    layers = len(model.encoder.layer)
    factor = {"value": 1, "min": 0, "max": 1, "step": 0.1, "readout_format": ".1f", **size}
    return panel(
        lambda text, depth, attention, feed_forward: residual_dial_html(
            model, tokenizer, text, depth, (attention, feed_forward)
        ),
        text=ipw.Text(value=text, description="Sentence", **size),
        depth=ipw.IntSlider(value=layers, min=0, max=layers, description="Layers", **size),
        attention=ipw.FloatSlider(description="Attention's residual times", **factor),
        feed_forward=ipw.FloatSlider(description="Feed-forward's residual times", **factor),
    )


def residual_dial_html(model, tokenizer, text: str, depth: int, keep: tuple[float, float]) -> str:
    """How far apart the words are after each layer, and the cosine of every pair of tokens after `depth`
    layers, where the residuals of attention and of the feed-forward network are multiplied by `keep`.
    """
    encoding = encode(tokenizer, model.config.max_position_embeddings, text)
    states = states_at_each_layer(model, encoding.input_ids, keep)
    apart = [words_apart(rows) for rows in states]
    cosines = cosines_between(states[depth])
    times = f"{keep[0]:.1f} (attention) and {keep[1]:.1f} (feed-forward)"
    distances = table(
        ["after layer", *range(len(states))],
        [["apart", *(f"{share:.3f}" for share in apart)]],
        "How far apart the words are, as a share of their length (0: the embeddings)",
    )
    rows = [
        [token, *(f"{cosine:z.2f}" for cosine in row)]
        for token, row in zip(encoding.tokens, cosines.tolist(), strict=True)
    ]
    caption = f"Cosines between the tokens after {depth} layers, residual times {times}"
    told = f"After {depth} layers the words are {apart[depth]:.3f} of their length apart; "
    told += f"the cosine of the two least alike is {cosines.min():z.2f}."
    return distances + table(["", *encoding.tokens], rows, caption) + message(told)


@torch.no_grad()
def states_at_each_layer(model, ids: list[int], keep: tuple[float, float]) -> list[torch.Tensor]:
    """The hidden states (seq_len, hidden_size) of one sequence, the embeddings first; `keep` as above."""
    rows = model.embeddings(torch.tensor([ids]))
    states = [rows]
    for layer in model.encoder.layer:
        context, _ = layer.attention.self(rows)
        rows = end_of_sublayer(layer.attention.output, context, rows, keep[0])
        rows = end_of_sublayer(layer.output, layer.intermediate(rows), rows, keep[1])
        states.append(rows)
    return [rows[0] for rows in states]


def end_of_sublayer(part, sublayer_states: torch.Tensor, residual: torch.Tensor, keep: float) -> torch.Tensor:
    """What `course_utils.bert.AddAndNorm` computes without dropout, the residual multiplied by `keep`."""
    return part.LayerNorm(keep * residual + part.dense(sublayer_states))


def words_apart(states: torch.Tensor) -> float:
    """The mean distance of the rows from their mean, divided by their mean length: 0 where all are alike."""
    return ((states - states.mean(0)).norm(dim=-1).mean() / states.norm(dim=-1).mean()).item()


def cosines_between(states: torch.Tensor) -> torch.Tensor:
    """The cosine of every pair of rows: (seq_len, seq_len)."""
    directions = torch.nn.functional.normalize(states, dim=-1)
    return directions @ directions.T
