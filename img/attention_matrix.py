"""The attention matrix of one sentence under three masks, side by side."""

from diagram import GREY, LARGE, LINE, PAPER, SMALL, TINT, Diagram, command

TOKENS = ["the", "bank", "was", "robbed", "yesterday"]
PAD = "[PAD]"
CELL = 36
NAMES = 82  # room for the longest token, beside the rows and above the columns
TOP = 76  # of the column names

# For each mask: its name, its tokens, the rule "may row i attend to column j?", and the rule in words.
MASKS = [
    ("bidirectional", TOKENS, lambda i, j: True, "every token attends to every token"),
    ("causal", TOKENS, lambda i, j: j <= i, "a token attends to itself and its left"),
    ("padding", [*TOKENS, PAD], lambda i, j: j < len(TOKENS), "no token attends to [PAD]"),
]

DESCRIPTION = """
Three grids for the sentence 'the bank was robbed yesterday'. Rows are the tokens that attend
(queries), columns the tokens attended to (keys); a dot means 'may attend'. Bidirectional: all 25 cells have
a dot. Causal: 15 of 25, the diagonal and all cells to its left, so 'the' sees only itself and 'yesterday'
sees all five. Padding: a sixth token, [PAD], stands at the end; its column is empty and every other cell
of the six rows has a dot.
"""


def draw() -> Diagram:
    diagram = Diagram(
        960,
        448,
        "Three attention masks over one sentence",
        DESCRIPTION,
    )
    x = 44
    diagram.text(22, TOP + NAMES + 2.5 * CELL, "token that attends (query)", upright=True)
    for name, tokens, may_attend, rule in MASKS:
        draw_mask(diagram, x, name, tokens, may_attend, rule)
        x += NAMES + len(tokens) * CELL + 36
    diagram.dot(310, 424)
    diagram.text(324, 424, "may attend", anchor="start")
    diagram.rect(452, 414, 20, 20, PAPER, GREY)
    diagram.text(482, 424, "empty: may not attend, weight 0", anchor="start")
    return diagram


def draw_mask(diagram: Diagram, x: float, name: str, tokens: list[str], may_attend, rule: str) -> None:
    """One grid with its names; `x` is the left edge of the row names."""
    left, top = x + NAMES, TOP + NAMES
    middle = left + len(tokens) * CELL / 2
    diagram.text(middle, 28, name, LARGE, bold=True)
    diagram.text(middle, 56, "token attended to (key)")
    for i, token in enumerate(tokens):
        centre = (i + 0.5) * CELL
        diagram.text(left - 8, top + centre, token, anchor="end")
        diagram.text(left + centre, top - 8, token, anchor="start", upright=True)
        for j in range(len(tokens)):
            allowed = may_attend(i, j)
            diagram.rect(left + j * CELL, top + i * CELL, CELL, CELL, TINT if allowed else PAPER, LINE)
            if allowed:
                diagram.dot(left + (j + 0.5) * CELL, top + centre)
    diagram.text(middle, top + len(tokens) * CELL + 20, rule, SMALL, colour=GREY)


if __name__ == "__main__":
    command(__file__, draw)
