"""Multi-head attention in detail: from hidden states to three roles, into heads, back, and mixed."""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

STATES = "(batch, seq_len, hidden_size)"

DESCRIPTION = """
Read from left to right. Hidden states of shape (batch, seq_len, hidden_size) go into three Linear layers,
which make queries, keys and values of the same shape. Each is split into heads: (batch, heads, seq_len,
head_size), where heads times head_size is hidden_size. In every head, queries times transposed keys, divided
by the square root of head_size, give scores (seq_len, seq_len); a softmax over each row makes weights, so
that each row sums to 1; weights times values give the context of the head (seq_len, head_size). The heads are
put side by side again: the context (batch, seq_len, hidden_size). One more Linear layer, the output matrix,
mixes the heads: what comes out has the same shape.
"""


def draw() -> Diagram:
    diagram = Diagram(1000, 470, "Multi-head attention, from hidden states to mixed heads", DESCRIPTION)
    draw_roles(diagram)
    draw_head(diagram)
    draw_result(diagram)
    return diagram


def draw_roles(diagram: Diagram) -> None:
    """Left: one vector a token, three roles, each split into heads."""
    diagram.text(190, 30, "three roles", LARGE, bold=True)
    diagram.box(16, 204, 100, 52, "hidden", "states", fill=TINT)
    diagram.text(16, 446, f"arrows as far as the split: {STATES}", SMALL, "start", GREY)
    for role, y in [("query", 110), ("key", 230), ("value", 350)]:
        diagram.arrow((116, 230), (134, 230), (134, y), (152, y))
        diagram.box(154, y - 26, 106, 52, role, "Linear", fill=WARM)
        diagram.arrow((260, y), (284, y))
        diagram.box(286, y - 26, 96, 52, "split", "into heads")


def draw_head(diagram: Diagram) -> None:
    """Middle: what happens in each head; sheets behind it stand for the other heads."""
    diagram.text(596, 30, "in every head", LARGE, bold=True)
    for shift in (16, 8, 0):
        diagram.rect(424 + shift, 62 + shift, 370, 354, "#FCFBF8", GREY, radius=5)
    diagram.arrow((382, 110), (450, 110))
    diagram.arrow((382, 230), (408, 230), (408, 134), (450, 134))
    diagram.arrow((382, 350), (590, 350))
    diagram.box(452, 96, 150, 52, "scores", "Q Kᵀ / √head_size")
    diagram.text(527, 164, "(seq_len, seq_len)", SMALL - 1, colour=GREY)
    diagram.arrow((602, 122), (640, 122))
    diagram.box(642, 96, 130, 52, "softmax", "of each row")
    diagram.arrow((707, 148), (707, 214))
    diagram.box(642, 216, 130, 52, "weights", "each row sums to 1", fill=TINT)
    diagram.text(628, 242, "(seq_len, seq_len)", SMALL - 1, "end", GREY)
    diagram.arrow((707, 268), (707, 322))
    diagram.text(500, 332, "(seq_len, head_size)", SMALL - 1, colour=GREY)
    diagram.box(592, 324, 180, 52, "weights × values", "weighted means")
    diagram.text(682, 394, "(seq_len, head_size)", SMALL - 1, colour=GREY)


def draw_result(diagram: Diagram) -> None:
    """Right: the heads side by side again, and mixed by the output matrix."""
    diagram.text(902, 30, "together again", LARGE, bold=True)
    diagram.arrow((902, 204), (902, 162))
    diagram.box(844, 108, 116, 52, "output", "Linear", fill=WARM)
    diagram.text(990, 88, STATES, SMALL - 1, "end", GREY)
    diagram.arrow((772, 350), (842, 350))
    diagram.box(844, 324, 116, 52, "heads", "side by side")
    diagram.arrow((902, 324), (902, 258))
    diagram.box(844, 204, 116, 52, "context", "of each token", fill=TINT)
    diagram.text(700, 446, "heads × head_size = hidden_size", SMALL, colour=GREY)


if __name__ == "__main__":
    command(__file__, draw)
