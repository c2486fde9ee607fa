"""Greedy longest match, step by step: a word that is covered, and one that is not."""

from diagram import BODY, GREY, INK, LARGE, LINE, NAVY, PAPER, RUST, SMALL, TINT, WARM, Diagram, command

VOCABULARY = ["h", "p", "b", "##u", "##g", "##n", "##s", "hu", "##gs"]
CELL = 40
ROW = 50

# For each word: the attempts in order as (start, end, found), and what comes out.
WORDS = [
    ("hugs", [(0, 4, False), (0, 3, False), (0, 2, True), (2, 4, True)], "hu  ##gs"),
    ("mug", [(0, 3, False), (0, 2, False), (0, 1, False)], "[UNK]"),
]

DESCRIPTION = """
Two words are matched against the vocabulary h, p, b, ##u, ##g, ##n, ##s, hu, ##gs. Left, 'hugs': the window
first spans all four letters, 'hugs', not in the vocabulary; then 'hug', not in it; then 'hu', which is in it
and becomes the first piece. The window moves on to the rest: '##gs' is in the vocabulary, and the word is
covered by hu and ##gs. Right, 'mug': 'mug', 'mu' and 'm' are not in the vocabulary, nothing shorter is left,
and the whole word becomes [UNK].
"""


def draw() -> Diagram:
    diagram = Diagram(960, 372, "Greedy longest match", DESCRIPTION)
    diagram.text(40, 30, "vocabulary", anchor="start", bold=True)
    for i, piece in enumerate(VOCABULARY):
        diagram.box(150 + i * 74, 15, 62, 30, piece)
    draw_word(diagram, 40, *WORDS[0])
    draw_word(diagram, 540, *WORDS[1])
    return diagram


def draw_word(
    diagram: Diagram, x: float, word: str, attempts: list[tuple[int, int, bool]], result: str
) -> None:
    """The word once for each attempt, its window shaded; letters that are covered already are grey."""
    top = 80
    diagram.text(x, top, word, LARGE, anchor="start", bold=True)
    for i, (start, end, found) in enumerate(attempts):
        y = top + 22 + i * ROW
        for j, letter in enumerate(word):
            inside = start <= j < end
            fill = (TINT if found else WARM) if inside else PAPER
            diagram.rect(x + j * CELL, y, CELL, CELL, fill, LINE)
            colour = GREY if j < start else INK
            diagram.text(x + (j + 0.5) * CELL, y + CELL / 2, letter, BODY, colour=colour, bold=inside)
        diagram.rect(x + start * CELL, y, (end - start) * CELL, CELL, "none", NAVY if found else RUST)
        piece = ("##" if start else "") + word[start:end]
        verdict = f"{piece}: take it" if found else f"{piece}: not in the vocabulary"
        diagram.text(x + len(word) * CELL + 14, y + CELL / 2, verdict, anchor="start", bold=found)
    y = top + 22 + len(attempts) * ROW + 20
    diagram.text(x, y, f"pieces of {word}: {result}", anchor="start", bold=True)
    note = (
        "all letters are covered"
        if result != "[UNK]"
        else "nothing shorter is left: the whole word is unknown"
    )
    diagram.text(x, y + 24, note, SMALL, anchor="start", colour=GREY)


if __name__ == "__main__":
    command(__file__, draw)
