"""One layer of BERT with its two residuals, and beside it the other order of LayerNorm."""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

STATES = "(batch, seq_len, hidden_size)"
TOP, BOTTOM = 58, 560

DESCRIPTION = """
Two columns, each read from top to bottom. Left, a layer of BERT, post-norm. Hidden states (batch, seq_len,
hidden_size) enter. They go through self-attention, a Linear layer and dropout; a residual arrow carries them
past all this to a plus; after the plus stands LayerNorm. Its result goes through the feed-forward network,
which is Linear to intermediate_size, GELU, Linear back, and dropout; a second residual arrow carries it past
to a second plus; after that plus stands a second LayerNorm, and its result leaves the layer with the shape
that came in. Right, for comparison, a pre-norm layer: LayerNorm stands before self-attention and before the
feed-forward network, inside the branch, and nothing stands on the residual line from top to bottom but the
two pluses; after the last layer of such a stack comes one more LayerNorm.
"""


def draw() -> Diagram:
    diagram = Diagram(1000, 600, "One encoder layer: the two residuals and LayerNorm", DESCRIPTION)
    diagram.text(250, 26, "BERT: post-norm", LARGE, bold=True)
    diagram.text(750, 26, "for comparison: pre-norm", LARGE, bold=True)
    draw_post_norm(diagram, 290)
    draw_pre_norm(diagram, 790)
    diagram.text(250, 582, f"along every residual: {STATES}", SMALL, colour=GREY)
    diagram.text(750, 582, "after the last layer: one more LayerNorm", SMALL, colour=GREY)
    return diagram


def draw_post_norm(diagram: Diagram, x: float) -> None:
    """Each residual goes round one sublayer; LayerNorm stands after the plus."""
    bypass = x - 150
    diagram.text(x, 50, "hidden states", SMALL)
    for top, name, note in [
        (TOP + 26, "self-attention", "only here tokens meet"),
        (TOP + 262, "Linear, GELU", "to intermediate_size"),
    ]:
        start = top - 26 if top < 200 else top - 14
        diagram.arrow((x, start), (x, top - 2))
        diagram.arrow((x, top - 12), (bypass, top - 12), (bypass, top + 140), (x - 13, top + 140))
        diagram.text(bypass - 12, top + 66, "residual", SMALL, colour=GREY, upright=True)
        diagram.box(x - 95, top, 190, 48, name, note, fill=WARM)
        diagram.arrow((x, top + 48), (x, top + 68))
        diagram.box(x - 95, top + 70, 190, 40, "Linear, dropout", fill=WARM)
        diagram.arrow((x, top + 110), (x, top + 127))
        diagram.plus(x, top + 140)
        diagram.arrow((x, top + 152), (x, top + 170))
        diagram.box(x - 95, top + 172, 190, 34, "LayerNorm", fill=TINT)
    diagram.arrow((x, TOP + 232), (x, TOP + 260))
    diagram.arrow((x, TOP + 468), (x, BOTTOM))


def draw_pre_norm(diagram: Diagram, x: float) -> None:
    """One residual line from top to bottom; LayerNorm stands inside the branches."""
    line = x - 150
    diagram.text(line, 50, "hidden states", SMALL)
    diagram.arrow((line, TOP), (line, TOP + 203))
    diagram.arrow((line, TOP + 227), (line, TOP + 433))
    diagram.arrow((line, TOP + 457), (line, BOTTOM))
    for top, name, note in [
        (TOP + 26, "self-attention", "only here tokens meet"),
        (TOP + 256, "Linear, GELU", "to intermediate_size"),
    ]:
        diagram.arrow((line, top - 12), (x, top - 12), (x, top + 2))
        diagram.box(x - 95, top + 4, 190, 34, "LayerNorm", fill=TINT)
        diagram.arrow((x, top + 38), (x, top + 56))
        diagram.box(x - 95, top + 58, 190, 48, name, note, fill=WARM)
        diagram.arrow((x, top + 106), (x, top + 122))
        diagram.box(x - 95, top + 124, 190, 36, "Linear, dropout", fill=WARM)
        diagram.arrow((x, top + 160), (x, top + 189), (line + 13, top + 189))
        diagram.plus(line, top + 189)
    diagram.text(line - 12, TOP + 110, "residual", SMALL, colour=GREY, upright=True)
    diagram.text(line - 12, TOP + 340, "residual", SMALL, colour=GREY, upright=True)


if __name__ == "__main__":
    command(__file__, draw)
