"""BERT-base beside BERT-large, widths and layers to scale: a layer is as wide as its hidden size."""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

# name: (layers, hidden_size, heads, intermediate_size, parameters of embeddings, encoder and pooler)
SIZES = {
    "BERT-base": (12, 768, 12, 3072, 109_482_240),
    "BERT-large": (24, 1024, 16, 4096, 335_141_888),
}
SCALE = 0.3  # pixels for each of the hidden_size numbers
LAYER, GAP = 14, 4  # height of a layer, and what lies between two

DESCRIPTION = """
Two towers on one ground, widths and numbers of layers to scale. BERT-base: 12 layers, each 768 numbers
wide, with 12 heads of 64 numbers and a feed-forward network of 3,072; 109,482,240 parameters with
embeddings and pooler. BERT-large: 24 layers, each 1,024 numbers wide, with 16 heads of 64 numbers and a
feed-forward network of 4,096; 335,141,888 parameters. Under each tower lie its embeddings, on top of it the
pooler. Large is twice as high and a third wider; its heads are no wider, there are more of them.
"""


def draw() -> Diagram:
    diagram = Diagram(1000, 600, "BERT-base and BERT-large, widths and layers to scale", DESCRIPTION)
    for (name, size), middle in zip(SIZES.items(), (170, 640), strict=True):
        draw_tower(diagram, name, middle, *size)
    return diagram


def draw_tower(
    diagram: Diagram,
    name: str,
    middle: float,
    layers: int,
    hidden: int,
    heads: int,
    wide: int,
    parameters: int,
) -> None:
    ground = 560
    width = SCALE * hidden
    left = middle - width / 2
    diagram.box(left, ground - 32, width, 32, "embeddings", fill=TINT)
    for i in range(layers):
        diagram.rect(left, ground - 36 - (i + 1) * (LAYER + GAP) + GAP, width, LAYER, WARM, GREY, radius=3)
    top = ground - 36 - layers * (LAYER + GAP)
    diagram.box(left, top - 30, width, 30, "pooler", fill=TINT)
    diagram.text(middle, top - 50, name, LARGE, bold=True)
    lines = [
        f"{layers} layers",
        f"hidden size {hidden:,}",
        f"{heads} heads of {hidden // heads}",
        f"feed-forward {wide:,}",
        "parameters:",
        f"{parameters:,}",
    ]
    for i, line in enumerate(lines):
        diagram.text(left + width + 16, ground - 160 + 24 * i, line, SMALL, "start")


if __name__ == "__main__":
    command(__file__, draw)
