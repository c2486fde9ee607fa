"""The input of the encoder: for each token three rows, their sum, LayerNorm, dropout."""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

TOKENS = ["[CLS]", "the", "cat", "sat", "[SEP]", "it", "was", "happy", "[SEP]"]
SEGMENTS = [0, 0, 0, 0, 0, 1, 1, 1, 1]
LEFT, COLUMN, BOX, HEIGHT = 152, 93, 88, 40
TOPS = (60, 140, 220)  # of the three rows of boxes

DESCRIPTION = """
Nine columns, one for each token of the sequence [CLS] the cat sat [SEP] it was happy [SEP]. In each column
three boxes stand one above the other, joined by plus signs: the row of the word table for the piece; the row
of the segment table, segment 0 for the first five tokens and segment 1 for the last four; the row of the
position table, position 0 to position 8. The two [SEP] have the same word row, other segments and other
positions. An arrow leads from every column into LayerNorm, which works on each token alone, over its
hidden_size numbers. From there to dropout, which acts in training only, and to the input of the encoder with
the shape (batch, seq_len, hidden_size).
"""


def draw() -> Diagram:
    diagram = Diagram(1000, 494, "Three tables, one sum: the input of BERT's encoder", DESCRIPTION)
    diagram.text(18, 30, "one sequence:", LARGE, anchor="start", bold=True)
    for top, name, note in zip(
        TOPS,
        ("word table", "segment table", "position table"),
        ("row: id of the piece", "row: segment id", "row: place, from 0"),
        strict=True,
    ):
        diagram.text(18, top + 12, name, anchor="start", bold=True)
        diagram.text(18, top + 30, note, SMALL - 1, anchor="start", colour=GREY)
    for place, (token, segment) in enumerate(zip(TOKENS, SEGMENTS, strict=True)):
        draw_token(diagram, LEFT + place * COLUMN, place, token, segment)
    left, width = LEFT, 8 * COLUMN + BOX
    middle = left + width / 2
    diagram.box(left, 304, width, HEIGHT, "LayerNorm: each token alone, over its hidden_size numbers")
    diagram.arrow((middle, 344), (middle, 370))
    diagram.box(left, 372, width, HEIGHT, "dropout, in training only")
    diagram.arrow((middle, 412), (middle, 446))
    diagram.text(middle, 466, "input of the encoder: (batch, seq_len, hidden_size)")
    return diagram


def draw_token(diagram: Diagram, x: float, place: int, token: str, segment: int) -> None:
    """One column: the token, its three rows with a plus between them, and the arrow to LayerNorm."""
    fill, middle = WARM if segment else TINT, x + BOX / 2
    diagram.text(middle, 30, token, LARGE, bold=True)
    for top, words in zip(TOPS, (token, f"segment {segment}", f"position {place}"), strict=True):
        diagram.box(x, top, BOX, HEIGHT, words, fill=fill)
    for top in TOPS[1:]:
        diagram.plus(middle, top - 20)
    diagram.arrow((middle, TOPS[2] + HEIGHT), (middle, 302))


if __name__ == "__main__":
    command(__file__, draw)
