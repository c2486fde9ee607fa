"""The whole of BERT on one page: from a sentence to the two heads of pretraining."""

from diagram import GREY, SMALL, TINT, WARM, Diagram, command

PIECES = ["[CLS]", "the", "bank", "was", "robbed", "yesterday", "[SEP]"]
IDS = [101, 1996, 2924, 2001, 20114, 7483, 102]  # in the vocabulary of bert-base-uncased
FIRST, STEP, WIDTH = 230, 108, 96  # middle of the first column, distance of columns, width of a box
RIGHT = FIRST + 6 * STEP + WIDTH / 2

DESCRIPTION = """
Read from top to bottom. The sentence "the bank was robbed yesterday" is cut by WordPiece into seven pieces,
[CLS] the bank was robbed yesterday [SEP], each with its id. The embeddings add three rows for each piece
(piece, segment, position), then LayerNorm and dropout. Seven vectors of hidden_size numbers go through the
encoder: layer 1, layer 2 and so on to layer 12, all of one shape, each with weights of its own; the shape
(batch, seq_len, hidden_size) never changes. Seven vectors come out, one for each token: last_hidden_state.
The MLM head reads all of them and gives scores of shape (batch, seq_len, vocab_size). The pooler reads the
vector of [CLS] alone and makes one vector a row, (batch, hidden_size), and the NSP head makes two scores of
it, (batch, 2).
"""


def draw() -> Diagram:
    diagram = Diagram(1000, 600, "BERT from text to heads", DESCRIPTION)
    draw_text(diagram)
    draw_encoder(diagram)
    draw_heads(diagram)
    return diagram


def columns() -> list[float]:
    return [FIRST + STEP * i for i in range(len(PIECES))]


def side(diagram: Diagram, y: float, name: str, note: str = "") -> None:
    """What a row of the drawing is, at its left."""
    diagram.text(16, y - (8 if note else 0), name, SMALL, "start", bold=True)
    if note:
        diagram.text(16, y + 8, note, SMALL - 1, "start", GREY)


def draw_text(diagram: Diagram) -> None:
    """The sentence, its pieces, and their ids."""
    side(diagram, 24, "text")
    diagram.text((FIRST - WIDTH / 2 + RIGHT) / 2, 24, "the bank was robbed yesterday")
    side(diagram, 72, "WordPiece", "pieces; ids of BERT-base")
    for x, piece, piece_id in zip(columns(), PIECES, IDS, strict=True):
        diagram.box(x - WIDTH / 2, 48, WIDTH, 46, piece, str(piece_id))
        diagram.arrow((x, 94), (x, 118))


def draw_encoder(diagram: Diagram) -> None:
    """Embeddings and the stack of layers: boxes across all tokens."""
    left, width = FIRST - WIDTH / 2, RIGHT - FIRST + WIDTH / 2
    side(diagram, 143, "embeddings", "notebook 03")
    diagram.box(left, 120, width, 46, "piece + segment + position", "then LayerNorm, dropout", fill=TINT)
    side(diagram, 260, "encoder", "this notebook")
    for top, name in [(190, "layer 1"), (244, "layer 2"), (328, "layer 12")]:
        diagram.box(left, top, width, 34, f"{name}: self-attention, feed-forward", fill=WARM)
    for x in columns():
        diagram.arrow((x, 166), (x, 188))
        diagram.arrow((x, 224), (x, 242))
        diagram.arrow((x, 278), (x, 296))
        diagram.arrow((x, 308), (x, 326))
        diagram.arrow((x, 362), (x, 386))
        diagram.box(x - WIDTH / 2, 388, WIDTH, 34, "vector")
    diagram.text(left - 10, 302, "…", anchor="end")
    side(diagram, 405, "last_hidden_state", "a vector a token")


def draw_heads(diagram: Diagram) -> None:
    """Pooler and NSP head under [CLS], the MLM head under all tokens."""
    cls, rest = columns()[0], columns()[1]
    side(diagram, 530, "heads", "07 and 08")
    diagram.arrow((cls - 35, 422), (cls - 35, 466))
    diagram.box(cls - 128, 468, 150, 44, "pooler", "(batch, hidden_size)")
    diagram.arrow((cls - 35, 512), (cls - 35, 540))
    diagram.box(cls - 128, 542, 150, 44, "NSP head", "(batch, 2)")
    left = rest - WIDTH / 2 - 20
    diagram.arrow((cls + 26, 422), (cls + 26, 450), (left + 26, 450), (left + 26, 466))
    for x in columns()[1:]:
        diagram.arrow((x, 422), (x, 466))
    diagram.box(left, 468, RIGHT - left, 44, "MLM head: every token", "(batch, seq_len, vocab_size)")


if __name__ == "__main__":
    command(__file__, draw)
