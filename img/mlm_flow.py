"""Masked language modelling: words are selected, corrupted, read by BERT, and named in their places."""

from diagram import BODY, GREY, LARGE, SMALL, TINT, WARM, Diagram, command

# word, what the model sees, its fate and how many of the selected words have it (None: not selected)
WORDS = [
    ("the", "the", None),
    ("bank", "[MASK]", "masked: 80 %"),
    ("was", "was", None),
    ("robbed", "grass", "random: 10 %"),
    ("yesterday", "yesterday", "kept: 10 %"),
]
LEFT, STEP, WIDTH = 190, 150, 118

DESCRIPTION = """
Five rows, read from top to bottom, over the sentence "the bank was robbed yesterday". First the words.
Second, the selection: each word is selected with a chance of 15 %; here bank, robbed and yesterday. Third,
what the model sees: bank has become [MASK], as 80 % of the selected words do; robbed has become the random
piece grass, as 10 % do; yesterday stays as it is, as 10 % do; the and was, not selected, also stay. Fourth,
BERT reads the whole row, every token attending to every other, and the MLM head scores the whole vocabulary.
Fifth, the labels: at the three selected positions the original words bank, robbed and yesterday, which enter
the loss; at the and was the label is -100, and the loss skips them.
"""


def draw() -> Diagram:
    diagram = Diagram(960, 470, "Masked language modelling, from the words to the loss", DESCRIPTION)
    for y, name, note in [
        (56, "words", "as written"),
        (156, "what BERT sees", "after the corruption"),
        (342, "labels", "for the loss"),
    ]:
        diagram.text(24, y - 8, name, LARGE, "start", bold=True)
        diagram.text(24, y + 12, note, SMALL, "start", GREY)
    diagram.box(
        LEFT, 232, 4 * STEP + WIDTH, 52, "BERT and MLM head", "every token attends to every token", fill=WARM
    )
    for i, (word, seen, share) in enumerate(WORDS):
        x = LEFT + i * STEP
        middle = x + WIDTH / 2
        fill = TINT if share else "none"
        diagram.box(x, 36, WIDTH, 40, word)
        diagram.arrow((middle, 76), (middle, 134))
        if share:
            diagram.text(middle + 8, 104, share, SMALL, "start", GREY)
        diagram.box(x, 136, WIDTH, 40, seen, fill=fill)
        diagram.arrow((middle, 176), (middle, 230))
        if share:
            diagram.arrow((middle, 284), (middle, 320))
            diagram.box(x, 322, WIDTH, 40, word, fill=TINT)
            diagram.arrow((middle, 362), (middle, 408))
        else:
            diagram.text(middle, 342, "-100", BODY, colour=GREY)
    diagram.text(24, 432, "loss", LARGE, "start", bold=True)
    diagram.text(
        LEFT + (4 * STEP + WIDTH) / 2 + 30,
        432,
        "mean of -log p(label) over the selected positions, all three kinds",
    )
    return diagram


if __name__ == "__main__":
    command(__file__, draw)
