"""How data flow through the encoder: ids, embeddings, layers, last hidden state, heads."""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

STATES = "(batch, seq_len, hidden_size)"

DESCRIPTION = """
Three columns, read from left to right. Embeddings: input_ids (batch, seq_len), positions (seq_len) and
token_type_ids (batch, seq_len) are looked up in three tables; the three vectors are added, then
LayerNorm; the result is (batch, seq_len, hidden_size). Encoder layer, repeated num_hidden_layers times:
self-attention; its input is added to its output by a residual arrow; LayerNorm; feed-forward; again its
input is added to its output; LayerNorm. The shape stays (batch, seq_len, hidden_size), and only
self-attention mixes tokens. Heads: last_hidden_state goes to the MLM head (batch, seq_len, vocab_size), the
token classifier (batch, seq_len, num_labels) and the span head (two of (batch, seq_len)); the pooler
takes its [CLS] vector to (batch, hidden_size), for the NSP head (batch, 2) and the sequence classifier
(batch, num_labels).
"""


def draw() -> Diagram:
    diagram = Diagram(
        1000,
        600,
        "From ids to heads: the flow through BERT's encoder",
        DESCRIPTION,
    )
    draw_embeddings(diagram)
    draw_layer(diagram)
    draw_heads(diagram)
    return diagram


def draw_embeddings(diagram: Diagram) -> None:
    """Left column: x from 20 to 360."""
    middle = 188
    diagram.text(middle, 28, "Embeddings", LARGE, bold=True)
    for ids, shape, table, x in [
        ("input_ids", "(batch, seq_len)", "word", 74),
        ("positions", "(seq_len)", "position", middle),
        ("token_type_ids", "(batch, seq_len)", "token type", 302),
    ]:
        diagram.text(x, 72, ids, SMALL)
        diagram.text(x, 90, shape, SMALL - 1, colour=GREY)
        diagram.arrow((x, 104), (x, 142))
        diagram.box(x - 50, 144, 100, 48, table, "table", fill=TINT)
    diagram.arrow((74, 192), (74, 262), (middle - 12, 262))
    diagram.arrow((302, 192), (302, 262), (middle + 12, 262))
    diagram.arrow((middle, 192), (middle, 250))
    diagram.plus(middle, 262)
    diagram.arrow((middle, 274), (middle, 330))
    diagram.text(middle + 10, 300, STATES, SMALL - 1, "start", GREY)
    diagram.box(middle - 60, 332, 120, 36, "LayerNorm")
    diagram.arrow((middle, 368), (middle, 420), (398, 420), (398, 66), (520, 66), (520, 118))
    diagram.text(middle - 8, 440, STATES, SMALL, colour=GREY)


def draw_layer(diagram: Diagram) -> None:
    """Middle column: one layer from top to bottom, with the residual arrows at its left."""
    x, bypass = 520, 434
    diagram.text(x, 28, "Encoder layer", LARGE, bold=True)
    diagram.text(x, 50, "num_hidden_layers times", SMALL, colour=GREY)
    diagram.rect(412, 84, 220, 432, "none", GREY, radius=5, dashed=True)
    for top, name, note in [
        (120, "self-attention", "mixes tokens"),
        (320, "feed-forward", "each token alone"),
    ]:
        diagram.arrow((x, top - 14), (bypass, top - 14), (bypass, top + 82), (x - 13, top + 82))
        diagram.text(bypass - 11, top + 34, "residual", SMALL, colour=GREY, upright=True)
        diagram.box(x - 70, top, 140, 48, name, note, fill=WARM)
        diagram.arrow((x, top + 48), (x, top + 70))
        diagram.plus(x, top + 82)
        diagram.arrow((x, top + 94), (x, top + 116))
        diagram.box(x - 60, top + 118, 120, 34, "LayerNorm")
    diagram.arrow((x, 272), (x, 318))
    diagram.arrow((x, 472), (x, 560), (672, 560), (672, 88), (698, 88))
    diagram.text(x - 14, 582, f"every arrow of the layer: {STATES}", SMALL, colour=GREY)


def draw_heads(diagram: Diagram) -> None:
    """Right column: what is built on the last hidden state."""
    left, width = 700, 280
    diagram.text(left + width / 2, 28, "Heads", LARGE, bold=True)
    diagram.box(left, 62, width, 52, "last_hidden_state", STATES, fill=TINT)
    trunk = left + 16
    rows = [
        (138, "MLM head", "(batch, seq_len, vocab_size)"),
        (206, "token classifier", "(batch, seq_len, num_labels)"),
        (274, "span head: start and end", "2 x (batch, seq_len)"),
        (342, "pooler of [CLS]", "(batch, hidden_size)"),
    ]
    for top, name, shape in rows:
        diagram.arrow((trunk, 114), (trunk, top + 26), (left + 38, top + 26))
        diagram.box(left + 40, top, width - 40, 52, name, shape)
    second = left + 56
    for top, name, shape in [
        (418, "NSP head", "(batch, 2)"),
        (486, "sequence classifier", "(batch, num_labels)"),
    ]:
        diagram.arrow((second, 394), (second, top + 26), (left + 78, top + 26))
        diagram.box(left + 80, top, width - 80, 52, name, shape)


if __name__ == "__main__":
    command(__file__, draw)
