"""Skip-gram and CBOW over the same five words: one predicts the neighbours, the other the centre."""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

WORDS = ["the", "bank", "was", "robbed", "yesterday"]
CENTRE = 2
NEIGHBOURS = [i for i in range(len(WORDS)) if i != CENTRE]
LEFT_EDGES = {"skip-gram": 30, "CBOW": 530}
PITCH, WIDTH, HEIGHT = 90, 84, 40

DESCRIPTION = """
The sentence 'the bank was robbed yesterday' twice, with 'was' in the centre and a window of two words on
either side. Left, skip-gram: one arrow goes from 'was' up to its input vector, and from there four arrows go
to the output vectors of 'the', 'bank', 'robbed' and 'yesterday'; each arrow is one task, so the centre gives
four tasks. Right, CBOW: four arrows go from the same four neighbours to their input vectors, whose mean
predicts the output vector of 'was': one task. Both end in a score, the dot product of an input and an output
vector.
"""


def draw() -> Diagram:
    diagram = Diagram(1000, 430, "Skip-gram and CBOW: who predicts whom", DESCRIPTION)
    draw_skipgram(diagram, LEFT_EDGES["skip-gram"])
    draw_cbow(diagram, LEFT_EDGES["CBOW"])
    diagram.text(
        500,
        412,
        "an arrow to an output vector: a score, the dot product of the two vectors",
        SMALL,
        colour=GREY,
    )
    return diagram


def middle(left: float, place: int) -> float:
    """The middle of the box of a word."""
    return left + place * PITCH + WIDTH / 2


def draw_words(diagram: Diagram, left: float, top: float, places: list[int], fill: str) -> None:
    for i in places:
        diagram.box(left + i * PITCH, top, WIDTH, HEIGHT, WORDS[i], fill=fill)


def draw_skipgram(diagram: Diagram, left: float) -> None:
    """The centre, its input vector, and four output vectors above it."""
    centre = middle(left, CENTRE)
    diagram.text(centre, 28, "skip-gram", LARGE, bold=True)
    diagram.text(centre, 54, "the centre predicts each neighbour: four tasks", SMALL, colour=GREY)
    draw_words(diagram, left, 90, NEIGHBOURS, WARM)
    diagram.text(centre, 102, "output", SMALL)
    diagram.text(centre, 118, "vectors", SMALL)
    diagram.box(centre - 95, 230, 190, HEIGHT, "input vector of 'was'", fill=TINT)
    for i in NEIGHBOURS:
        diagram.arrow((centre + (i - CENTRE) * 24, 230), (middle(left, i), 132))
    draw_words(diagram, left, 350, [CENTRE], WARM)
    draw_surroundings(diagram, left, 370, NEIGHBOURS)
    diagram.arrow((centre, 350), (centre, 272))


def draw_cbow(diagram: Diagram, left: float) -> None:
    """Four neighbours, the mean of their input vectors, and the centre above it."""
    centre = middle(left, CENTRE)
    diagram.text(centre, 28, "CBOW", LARGE, bold=True)
    diagram.text(centre, 54, "the mean of the neighbours predicts the centre: one task", SMALL, colour=GREY)
    draw_words(diagram, left, 90, [CENTRE], WARM)
    diagram.text(middle(left, 1), 102, "output", SMALL)
    diagram.text(middle(left, 1), 118, "vector", SMALL)
    diagram.box(centre - 115, 230, 230, HEIGHT, "mean of four input vectors", fill=TINT)
    diagram.arrow((centre, 230), (centre, 132))
    draw_words(diagram, left, 350, NEIGHBOURS, WARM)
    draw_surroundings(diagram, left, 370, [CENTRE])
    for i in NEIGHBOURS:
        diagram.arrow((middle(left, i), 350), (centre + (i - CENTRE) * 45, 272))


def draw_surroundings(diagram: Diagram, left: float, height: float, places: list[int]) -> None:
    """Words of the sentence that this model does not read as input, in grey and without a box."""
    for i in places:
        diagram.text(middle(left, i), height, WORDS[i], SMALL, colour=GREY)


if __name__ == "__main__":
    command(__file__, draw)
