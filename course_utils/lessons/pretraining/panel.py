"""The panel of notebook 09: a training run, step by step."""

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import panel, table, wide


def training_replay(snapshots: dict[int, torch.Tensor], perfect, sentences: list[str], tokenizer) -> ipw.VBox:
    """Move through a training run: what the model answered in the blank at each noted step, beside the
    perfect model.

    Args:
        snapshots: for each noted step the model's probabilities, (sentences, vocab_size).
        perfect: (sentences, vocab_size), what the perfect model says.
        sentences: each with one [MASK].
    """
    step = ipw.SelectionSlider(options=sorted(snapshots), description="Step", **wide(34))
    sentence = ipw.Dropdown(options=[(text, i) for i, text in enumerate(sentences)], description="Sentence")

    def render(step: int, sentence: int) -> str:
        return replay_html(snapshots[step][sentence], torch.as_tensor(perfect[sentence]), tokenizer)

    return panel(render, step=step, sentence=sentence)


def replay_html(probabilities: torch.Tensor, perfect: torch.Tensor, tokenizer, k: int = 6) -> str:
    """The k best pieces of the model, with the perfect model's probability for each, as a table."""
    best = probabilities.topk(k)
    pieces = tokenizer.convert_ids_to_tokens(best.indices.tolist())
    rows = [
        [piece, f"{own:.3f}", f"{perfect[i].item():.3f}"]
        for piece, own, i in zip(pieces, best.values.tolist(), best.indices.tolist(), strict=True)
    ]
    loss = -(perfect.double() * probabilities.double().log()).sum().item()
    floor = torch.special.entr(perfect.double()).sum().item()
    caption = f"Expected loss at this blank: {loss:.2f} nats; of the perfect model: {floor:.2f}"
    return table(["piece", "model", "perfect model"], rows, caption)
