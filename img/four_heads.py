"""Four heads on one encoder: what each reads, and what it says."""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

PIECES = ("[CLS]", "piece", "piece", "[SEP]", "piece", "piece", "[SEP]")

DESCRIPTION = """
At the bottom seven pieces of a row: [CLS], two pieces, [SEP], two pieces, [SEP]. They go through one
pretrained encoder, which gives last hidden states (batch, seq_len, hidden_size). Four heads stand above it
side by side. One text: the state of [CLS] goes through the pooler, dropout and a Linear layer to one label,
(batch, num_labels). Two texts: the same head; only the row differs, since it holds both texts, told apart by
token type ids. A tag for each word: every state goes through dropout and a Linear layer to (batch, seq_len,
num_labels); only first pieces are read. An answer in the text: every state goes through a Linear layer to a
start score and an end score, twice (batch, seq_len). The first two read [CLS] alone, the other two read every
piece.
"""

HEADS = (
    ("One text", "pooler, dropout, Linear", "(batch, num_labels)", "a label: positive", "reads [CLS]"),
    ("Two texts", "pooler, dropout, Linear", "(batch, num_labels)", "a label: entailment", "reads [CLS]"),
    (
        "A tag for each word",
        "dropout, Linear",
        "(batch, seq_len, num_labels)",
        "B-PER O O B-LOC",
        "reads every piece",
    ),
    (
        "An answer in the text",
        "Linear",
        "2 x (batch, seq_len)",
        "from piece 4 to piece 5",
        "reads every piece",
    ),
)


def draw() -> Diagram:
    diagram = Diagram(1000, 440, "Four heads on one encoder", DESCRIPTION)
    diagram.text(
        20, 26, "One encoder, four heads: what is new is one Linear layer", LARGE, "start", bold=True
    )
    draw_encoder(diagram)
    draw_heads(diagram)
    return diagram


def draw_encoder(diagram: Diagram) -> None:
    """Lower half: pieces, encoder, last hidden states."""
    for i, piece in enumerate(PIECES):
        x = 128 + i * 124
        diagram.box(x - 46, 392, 92, 32, piece)
        diagram.arrow((x, 392), (x, 370))
    diagram.box(40, 318, 920, 50, "encoder", "pretrained, one for all four tasks", fill=WARM)
    diagram.arrow((500, 318), (500, 294))
    diagram.box(40, 240, 920, 52, "last_hidden_state", "(batch, seq_len, hidden_size)", fill=TINT)


def draw_heads(diagram: Diagram) -> None:
    """Upper half: one column a head, read upwards."""
    for i, (name, layers, shape, says, reads) in enumerate(HEADS):
        left, width = 20 + i * 244, 228
        middle = left + width / 2
        diagram.text(middle, 58, name, bold=True)
        diagram.text(middle, 84, says, SMALL, colour=GREY)
        diagram.arrow((middle, 136), (middle, 98))
        diagram.box(left, 138, width, 52, layers, shape)
        diagram.arrow((middle, 240), (middle, 192))
        diagram.text(middle + 8, 216, reads, SMALL, "start", GREY)


if __name__ == "__main__":
    command(__file__, draw)
