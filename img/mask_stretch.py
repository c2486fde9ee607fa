"""One uniform draw settles the fate of a token: the stretch from 0 to 1, and its beginning enlarged."""

from diagram import GREY, INK, LARGE, NAVY, PAPER, SMALL, TINT, WARM, Diagram, command

LEFT, WIDTH = 60, 840  # of both bars
# where a part ends, its width in the enlarged bar (of 0.15), what becomes of the token, its share
PARTS = [
    (0.12, 0.8, "shows [MASK]", "0.15 x 0.8 = 0.12", TINT),
    (0.135, 0.1, "random", "0.015", WARM),
    (0.15, 0.1, "kept", "0.015", PAPER),
]

DESCRIPTION = """
Two bars. The upper one is the stretch from 0 to 1, to scale: a draw below 0.15 selects the token, a draw from
0.15 to 1, the other 85 %, leaves it alone. The lower bar is the part from 0 to 0.15, enlarged: below 0.12 the
token shows [MASK], which is 0.8 of the selected ones; from 0.12 to 0.135 it shows a random piece, a tenth;
from 0.135 to 0.15 it is selected and kept, a tenth.
"""


def draw() -> Diagram:
    diagram = Diagram(960, 280, "One draw from 0 to 1, four fates", DESCRIPTION)
    diagram.text(LEFT, 26, "one uniform draw for each token", LARGE, "start", bold=True)
    split = LEFT + 0.15 * WIDTH
    diagram.rect(LEFT, 50, split - LEFT, 40, TINT, NAVY)
    diagram.rect(split, 50, 0.85 * WIDTH, 40, PAPER, NAVY)
    diagram.text((LEFT + split) / 2, 70, "selected")
    diagram.text((split + LEFT + WIDTH) / 2, 70, "not selected: the word stays, and the loss skips it")
    for x, number in ((LEFT, "0"), (split, "0.15"), (LEFT + WIDTH, "1")):
        diagram.text(x + {"0": -12, "0.15": 16}.get(number, 0), 104, number, SMALL, colour=GREY)
    diagram.line((LEFT, 90), (LEFT, 168))
    diagram.line((split, 90), (LEFT + WIDTH, 168))
    x = LEFT
    diagram.text(x, 232, "0", SMALL, colour=GREY)
    for end, width, fate, share, fill in PARTS:
        diagram.rect(x, 168, width * WIDTH, 50, fill, NAVY)
        diagram.text(x + width * WIDTH / 2, 185, fate, colour=INK)
        diagram.text(x + width * WIDTH / 2, 204, share, SMALL)
        x += width * WIDTH
        diagram.text(x, 232, f"{end:g}", SMALL, colour=GREY)
    diagram.text(LEFT, 258, "selected: the word is the label, whatever is shown", SMALL, "start", GREY)
    return diagram


if __name__ == "__main__":
    command(__file__, draw)
