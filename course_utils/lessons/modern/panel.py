"""The panel of notebook 16: from BERT's block to the modern one, change by change."""

from functools import cache

import ipywidgets as ipw
import torch

from course_utils.bert import count_parameters
from course_utils.checks import refusal
from course_utils.classroom.controls import panel, table, wide
from course_utils.modern_bert import ModernBertConfig, ModernBertModel, matmul_flops

STEPS = (  # what is changed at each step, and how it is said
    ("BERT", {}),
    ("1 pre-norm", {"pre_norm": True}),
    ("2 rotary positions", {"rotary": True}),
    ("3 GeGLU, two thirds as wide", {"gated": True, "intermediate_size": 2048}),
    ("4 no biases", {"biases": False}),
    ("5 local layers, two of three", {"global_every": 3}),
    ("6 no padding", {}),
)
WORDS = {  # what the drawing shows, told
    0: "LayerNorm stands after each sum; a table of positions is added to the words.",
    1: "LayerNorm moves into the branch: from bottom to top only sums, and one LayerNorm at the end. (Layer 0"
    " has none before its attention, for the embeddings end in one.)",
    2: "The table of positions is gone; queries and keys are turned inside attention.",
    3: "The feed-forward network makes two wide vectors of each token; one multiplies the other.",
    4: "Linear layers and LayerNorms lose their biases.",
    5: "Attention reaches 64 tokens to each side in two layers of three.",
    6: "The four texts stand end to end: nothing is computed for [PAD].",
}


def config_after(step: int) -> ModernBertConfig:
    """BERT-base with the first `step` changes."""
    values: dict = {
        "vocab_size": 30522, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "max_position_embeddings": 512, "pad_token_id": 0,
        "pre_norm": False, "rotary": False, "gated": False, "biases": True, "global_every": 1,
    }  # fmt: skip
    for _, changes in STEPS[: step + 1]:
        values |= changes
    return ModernBertConfig(**values)


@cache
def parameters_after(step: int) -> int:
    """Parameters of the whole encoder, counted on a model without memory."""
    with torch.device("meta"):
        return count_parameters(ModernBertModel(config_after(step)))


def batch_of(longest: int) -> list[int]:
    """Four texts: the longest, half, a quarter and an eighth of it."""
    return [max(1, longest // part) for part in (1, 2, 4, 8)]


def flops_after(step: int, longest: int) -> int:
    """FLOPs of the matrix products of all layers for the four texts; padded, until the last change."""
    lengths = batch_of(longest)
    return matmul_flops(config_after(step), lengths if step == 6 else [longest] * len(lengths))


def six_changes() -> ipw.VBox:
    """Scrub through the six changes: the block is drawn anew, and parameters and FLOPs move."""
    step = ipw.IntSlider(value=0, min=0, max=6, description="Changes", **wide(34))
    longest = ipw.SelectionSlider(
        options=[16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192],
        value=512,
        description="Longest text",
        **wide(34),
    )
    return panel(changes_html, step=step, longest=longest)


def changes_html(step: int, longest: int) -> str:
    """The drawing of the block after so many changes, a sentence, and what moved."""
    if not 0 <= step <= 6:
        raise refusal("step", "0 to 6", step)
    config = config_after(step)
    rows = []
    for name, count, before in (
        ("parameters (millions)", parameters_after(step), parameters_after(0)),
        ("GFLOP for the four texts", flops_after(step, longest), flops_after(0, longest)),
    ):
        unit = 1e6 if "millions" in name else 1e9
        rows.append([name, f"{count / unit:,.1f}", f"{before / unit:,.1f}", f"{count / before:.0%}"])
    caption = f"{STEPS[step][0]}: texts of {', '.join(map(str, batch_of(longest)))} tokens"
    told = f"<p>{WORDS[step]}"
    if longest > 512 and not config.rotary:
        told += " (A table of 512 positions does not reach so far; only the operations are counted.)"
    return block_svg(step) + told + "</p>" + table(["", "now", "BERT", "share"], rows, caption)


def parts_of(step: int) -> tuple[list[str], list[str], list[str]]:
    """What stands below, inside and above the layer, from bottom to top. A plus ends a branch."""
    config = config_after(step)
    norm = "LayerNorm" if config.biases else "LayerNorm, no bias"
    linear = "" if config.biases else ", no biases"
    attention = "attention" + (", queries and keys turned" if config.rotary else "") + linear
    network = ("GeGLU network" if config.gated else "feed-forward network") + linear
    below = ["word table" if config.rotary else "word table + position table", norm]
    if config.pre_norm:
        inside = [norm, attention, "+", norm, network, "+"]
    else:
        inside = [attention, "+", norm, network, "+", norm]
    return below, inside, [norm] if config.pre_norm else []


def block_svg(step: int, height: int | None = None) -> str:
    """The encoder as a drawing; what the last change has touched has thick edges and a star.

    Args:
        height: of the drawing, where two shall stand side by side; by default what it needs.
    """
    below, inside, above = parts_of(step)
    old_below, old_inside, _ = parts_of(max(step - 1, 0))
    config = config_after(step)
    row, width, middle = 36, 470, 235
    needed = row * (len(below) + len(inside) + len(above)) + 18 * len(above) + 124
    height = height or needed
    drawn = []

    def words(x: int, y: int, text: str, anchor: str = "middle") -> None:
        drawn.append(
            f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor" font-size="12">{text}</text>'
        )

    def box(y: int, text: str, changed: bool) -> None:
        edge, star = (3, " *") if changed else (1, "")
        drawn.append(
            f'<rect x="{middle - 158}" y="{y}" width="316" height="24" rx="4" fill="none"'
            f' stroke="currentColor" stroke-width="{edge}"/>'
        )
        words(middle, y + 16, text + star)

    def line(path: str) -> None:
        drawn.append(f'<path d="{path}" fill="none" stroke="currentColor"/>')

    def arrow(bottom: int, top: int) -> None:
        line(f"M{middle} {bottom} V{top} m-3 5 l3 -5 l3 5")

    words(middle, height - 6, "four texts " + ("end to end *" if step == 6 else "padded to the longest"))
    drawn += texts_svg(middle, height - 58, packed=step == 6)
    y = height - 62
    for text, before in zip(below, old_below, strict=True):
        y -= row
        box(y, text, step > 0 and text != before)
        arrow(y + row - (2 if text == below[0] else 0), y + 24)
    y -= 12
    frame = y - row * len(inside) - 8
    drawn.append(
        f'<rect x="20" y="{frame}" width="{width - 30}" height="{row * len(inside) + 12}"'
        f' fill="none" stroke="currentColor" stroke-dasharray="5 3"/>'
    )
    words(26, frame + 14, f"× {config.num_hidden_layers}", "start")
    start = y + 12
    branch = y - 6  # where the way round the sublayer leaves
    for text, before in zip(inside, old_inside, strict=True):
        y -= row
        arrow(start, y + (22 if text == "+" else 24))
        start = y + 2 if text == "+" else y
        if text != "+":
            box(y, text, step > 0 and text != before)
            if text.startswith("attention"):
                drawn += pairs_svg(width - 62, y - 8, config.global_every > 1, step == 5)
            continue
        drawn.append(
            f'<circle cx="{middle}" cy="{y + 12}" r="10" fill="none" stroke="currentColor"/>'
            f'<text x="{middle}" y="{y + 17}" text-anchor="middle" fill="currentColor">+</text>'
        )
        line(f"M{middle} {branch} H50 V{y + 12} H{middle - 10}")
        branch = y - 5 if config.pre_norm else y - row - 5
    for text in above:
        y -= row + 18
        box(y, text, step in (1, 4))
        arrow(y + row + 20, y + 24)
    texts = "four texts end to end" if step == 6 else "four texts, padded to the longest"
    told = f"After {step} changes, from bottom to top: {', '.join([texts, *below, *inside, *above])}."
    if config.global_every > 1:
        told += " Two layers of three attend to a band around each token, every third one to all."
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" style="max-width:100%"'
        f' font-family="sans-serif"><title>{told}</title>{"".join(drawn)}</svg>'
    )


def texts_svg(middle: int, y: int, packed: bool) -> list[str]:
    """Four texts, each half as long as the one before: in a rectangle with dashed padding, or as one row."""
    lengths, unit, thick = (96, 48, 24, 12), 1.6, 9

    def bar(x: float, y: float, length: float, style: str) -> str:
        size = f'x="{x:.0f}" y="{y:.0f}" width="{length:.0f}" height="{thick}"'
        return f'<rect {size} stroke="currentColor" {style}/>'

    solid, empty = 'fill="currentColor" fill-opacity="0.35"', 'fill="none" stroke-dasharray="2 2"'
    if packed:
        x = middle - unit * sum(lengths) / 2
        starts = [x + unit * sum(lengths[:i]) for i in range(4)]
        return [bar(start, y + 14, unit * n, solid) for start, n in zip(starts, lengths, strict=True)]
    x, drawn = middle - unit * lengths[0] / 2, []
    for i, n in enumerate(lengths):
        drawn.append(bar(x, y + 10 * i, unit * n, solid))
        if n < lengths[0]:
            drawn.append(bar(x + unit * n, y + 10 * i, unit * (lengths[0] - n), empty))
    return drawn


def pairs_svg(x: int, y: int, local: bool, changed: bool) -> list[str]:
    """Who attends to whom: all pairs of six tokens, or behind that table a second one with a band."""
    cell, drawn = 6, []
    for i in range(6):
        for j in range(6):
            if not local or abs(i - j) <= 1:
                drawn.append(
                    f'<rect x="{x + cell * j}" y="{y + cell * i}" width="{cell}" height="{cell}"'
                    ' fill="currentColor" fill-opacity="0.35" stroke="none"/>'
                )
    drawn.append(
        f'<rect x="{x}" y="{y}" width="{6 * cell}" height="{6 * cell}" fill="none" stroke="currentColor"/>'
    )
    if local:
        label = "2 of 3" + (" *" if changed else "")
        drawn.append(
            f'<text x="{x + 3 * cell}" y="{y + 6 * cell + 12}" text-anchor="middle" fill="currentColor"'
            f' font-size="11">{label}</text>'
        )
    return drawn
