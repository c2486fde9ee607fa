"""The panel of notebook 18: a training step on a chosen number of cards, computed and not run."""

import functools

import ipywidgets as ipw
import torch

from course_utils.bert import BertConfig, BertForPreTraining, count_parameters
from course_utils.classroom.controls import message, panel, table, wide
from course_utils.lessons.many_machines.estimate import GPUS, step_seconds
from course_utils.profiler import profile

SEQ_LEN = 128
MODELS = {"BERT-base": "base", "BERT-large": "large"}
BAR = 30  # letters of the longest bar


def cluster_planner() -> ipw.VBox:
    """Choose a model, a card, how many of them and a batch: the parts of a step, and what must be held."""
    size = wide(34, 8)
    return panel(
        planner_html,
        model=ipw.Dropdown(options=list(MODELS), description="Model", **size),
        card=ipw.Dropdown(options=list(GPUS), value=list(GPUS)[1], description="Card", **size),
        cards=ipw.SelectionSlider(options=[2**i for i in range(9)], value=8, description="Cards", **size),
        rows=ipw.SelectionSlider(options=[2**i for i in range(5, 15)], value=256, description="Rows", **size),
    )


def planner_html(model: str, card: str, cards: int, rows: int) -> str:
    """Seconds of a step by part and memory of one card, as a table with bars; refuses idle cards."""
    if rows < cards:
        raise ValueError(
            f"{rows} rows for {cards} cards: some would have none. Take more rows or fewer cards."
        )
    config, gpu = BertConfig.named(MODELS[model]), GPUS[card]
    parts = step_seconds(config, rows, SEQ_LEN, parameters(model), gpu, cards)
    together = sum(parts.values())
    alone = sum(step_seconds(config, rows, SEQ_LEN, parameters(model), gpu, 1).values())
    lines = [
        [name, f"{1000 * seconds:.2f} ms", bar(seconds / together), f"{seconds / together:.0%}"]
        for name, seconds in parts.items()
    ]
    fixed, a_row = memory(model)
    needed, held = fixed + rows // cards * a_row, (gpu.memory - fixed) // a_row
    full = needed / gpu.memory
    lines.append(["memory of a card", f"{needed / 1e9:.1f} GB", bar(min(1.0, full)), f"{full:.0%}"])
    caption = f"{model}, {rows} rows of {SEQ_LEN} tokens, {cards} x {card}: computed, not run"
    caption += " (arithmetic and messages in 16-bit numbers, memory in 32-bit numbers)"
    said = f"{together * 1000:.2f} ms a step, {alone / together:.1f} times as fast as one card."
    if held < 1:
        said += " Not even one row fits into a card's memory."
    elif full > 1:
        micro = -(-(rows // cards) // int(held))
        said += f" The {rows // cards} rows of a card do not fit at once: take {micro} micro-batches."
    return table(["", "", "", "share"], lines, caption) + message(said)


def bar(share: float) -> str:
    """A bar of letters; the number beside it says the same."""
    return "█" * round(BAR * share) or "▏"


@functools.cache
def parameters(model: str) -> int:
    """Of the model with both pretraining heads."""
    with torch.device("meta"):
        return count_parameters(BertForPreTraining(BertConfig.named(MODELS[model])))


@functools.cache
def memory(model: str) -> tuple[float, float]:
    """Bytes that a training holds in 32-bit numbers: whatever the batch, and for each row more."""
    config = BertConfig.named(MODELS[model])
    one, two = (profile(config, rows, SEQ_LEN, training=True).memory for rows in (1, 2))
    a_row = two["activations kept"] - one["activations kept"]
    return sum(one.values()) - one["activations kept"], a_row
