"""How a review becomes a prediction: text, pieces, encoder, [CLS], pooler, dropout, classifier, softmax,
loss.
"""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

TOKENS = ("[CLS]", "the", "actors", "were", "not", "bad", "[SEP]")

DESCRIPTION = """
Two rows, read from left to right. Upper row: the text "the actors were not bad" is cut into pieces between
[CLS] and [SEP]; the pretrained encoder gives each piece a last hidden state, (batch, seq_len, hidden_size).
Only the state of [CLS], the first one, goes on. Lower row: the pooler, a pretrained Linear layer with tanh,
gives (batch, hidden_size); dropout, in training only; the classifier, a new Linear layer, gives logits
(batch, num_labels); the softmax makes probabilities, here negative 0.08 and positive 0.92; the label 1,
positive, has the loss minus log 0.92 = 0.083 nats. The loss sends gradients back through everything:
classifier, pooler and encoder.
"""


def draw() -> Diagram:
    diagram = Diagram(1000, 430, "From a review to a prediction", DESCRIPTION)
    diagram.text(
        20, 28, "The encoder reads every piece; the head reads [CLS] alone", LARGE, "start", bold=True
    )
    draw_encoder(diagram)
    draw_head(diagram)
    return diagram


def draw_encoder(diagram: Diagram) -> None:
    """Upper half: pieces, the encoder over them, one state a piece."""
    left, step = 190, 112
    diagram.text(20, 216, "pieces", SMALL, "start", GREY)
    diagram.text(20, 72, "last hidden", SMALL, "start", GREY)
    diagram.text(20, 88, "states", SMALL, "start", GREY)
    diagram.text(20, 148, "pretrained", SMALL, "start", GREY)
    diagram.box(
        left - 48, 124, step * 6 + 96, 46, "encoder", "embeddings and num_hidden_layers layers", fill=WARM
    )
    for i, token in enumerate(TOKENS):
        x = left + i * step
        diagram.box(x - 40, 200, 80, 32, token)
        diagram.arrow((x, 200), (x, 172))
        diagram.arrow((x, 124), (x, 98))
        diagram.rect(x - 40, 64, 80, 32, WARM if i == 0 else "none", GREY, radius=5)
    diagram.text(left, 80, "[CLS] state", SMALL)


def draw_head(diagram: Diagram) -> None:
    """Lower half: the head, from the state of [CLS] to the loss."""
    top = 290
    diagram.arrow((150, 80), (118, 80), (118, 260), (95, 260), (95, top - 2))
    parts = [
        (20, 150, "pooler", "Linear, tanh", WARM),
        (212, 130, "dropout", "training only", "none"),
        (384, 150, "classifier", "Linear, new", TINT),
        (576, 150, "softmax", "0.08   0.92", "none"),
        (768, 200, "loss", "label 1: -log 0.92 = 0.083", "none"),
    ]
    for (x, width, name, note, fill), after in zip(parts, [*parts[1:], None], strict=True):
        diagram.box(x, top, width, 54, name, note, fill=fill)
        if after:
            diagram.arrow((x + width, top + 27), (after[0] - 2, top + 27))
    shapes = [
        (95, "(batch, hidden_size)"),
        (459, "(batch, num_labels)"),
        (651, "(batch, num_labels)"),
        (868, "one number"),
    ]
    for x, shape in shapes:
        diagram.text(x, top + 72, shape, SMALL, colour=GREY)
    diagram.arrow((868, top + 84), (868, 398), (459, 398), (459, top + 86))
    diagram.arrow((459, 398), (95, 398), (95, top + 86))
    diagram.arrow((95, 398), (8, 398), (8, 132), (140, 132))
    diagram.text(480, 414, "gradients reach everything: classifier, pooler, encoder", SMALL, colour=GREY)


if __name__ == "__main__":
    command(__file__, draw)
