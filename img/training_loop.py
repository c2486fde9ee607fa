"""The training loop: what happens in one step, and what comes round with the next."""

from itertools import pairwise

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

DESCRIPTION = """
One training step, from left to right and back. Upper row: a batch of rows of one length; mask_tokens draws
new masks in every step; the model gives logits for words and for pairs; the joint loss is the mean
cross-entropy at the selected positions plus that of the pairs. Lower row, from right to left: backward gives
a gradient for every weight; clip shortens all of them together to norm 1 at most; the schedule sets the
learning rate of this step; AdamW moves the weights. From there an arrow leads back to the model, and the next
step begins with the next batch. Aside, every 25 steps: the loss on held-out documents, under fixed masks,
beside the exact floors; it moves no weight.
"""
WIDTH, HEIGHT = 184, 58


def draw() -> Diagram:
    diagram = Diagram(980, 400, "One training step, and what comes round", DESCRIPTION)
    upper, lower = 64, 206
    places = (24, 264, 504, 760)
    for x, name, note, fill in zip(
        places,
        ("batch", "mask_tokens", "model", "joint loss"),
        ("rows of one length", "new masks in each step", "logits: words, pairs", "MLM + NSP, in nats"),
        (TINT, TINT, WARM, TINT),
        strict=True,
    ):
        diagram.box(x, upper, WIDTH, HEIGHT, name, note, fill=fill)
    for x, following in pairwise(places):
        diagram.arrow((x + WIDTH, upper + HEIGHT / 2), (following - 2, upper + HEIGHT / 2))
    for x, name, note in zip(
        reversed(places),
        ("backward", "clip", "AdamW", "schedule"),
        ("a gradient per weight", "all together, norm <= 1", "moves the weights", "learning rate of step n"),
        strict=True,
    ):
        diagram.box(x, lower, WIDTH, HEIGHT, name, note)
    middle = lower + HEIGHT / 2
    diagram.arrow((places[3] + WIDTH / 2, upper + HEIGHT), (places[3] + WIDTH / 2, lower - 2))
    diagram.arrow((places[3], middle), (places[2] + WIDTH + 2, middle))
    diagram.arrow((places[2], middle), (places[1] + WIDTH + 2, middle))
    diagram.arrow((places[0] + WIDTH, middle), (places[1] - 2, middle))
    turn = upper + HEIGHT + 40
    start = places[1] + WIDTH / 2
    diagram.arrow(
        (start, lower),
        (start, turn),
        (places[2] + WIDTH / 2, turn),
        (places[2] + WIDTH / 2, upper + HEIGHT + 2),
    )
    diagram.text(24, 32, "step n", LARGE, "start", bold=True)
    diagram.text(
        (start + places[2] + WIDTH / 2) / 2, turn + 14, "new weights: step n + 1", SMALL, colour=GREY
    )
    diagram.rect(264, 310, 680, 62, "none", GREY, radius=5, dashed=True)
    diagram.text(
        604, 331, "aside, every 25 steps: the loss on held-out documents, beside the exact floors", SMALL + 1
    )
    diagram.text(604, 353, "fixed masks, no gradient: it moves no weight", SMALL, colour=GREY)
    return diagram


if __name__ == "__main__":
    command(__file__, draw)
