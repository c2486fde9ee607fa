"""How a pair of sentences becomes a verdict: documents, row with segment ids, encoder, pooled [CLS], NSP
head.
"""

from diagram import BODY, GREY, LARGE, SMALL, TINT, WARM, Diagram, command

TOKENS = ["[CLS]", "the", "cat", "sat", "on", "the", "mat", "[SEP]", "it", "was", "happy", "[SEP]"]
SEGMENTS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
DOCUMENTS = [
    ("the cat sat on the mat", "it was happy"),
    ("i went to the bank to deposit money", "the bank was robbed yesterday"),
]

DESCRIPTION = """
Top: two documents of two sentences. From the first comes the pair "the cat sat on the mat", "it was happy":
the second sentence follows the first, IsNext, label 0. For the other half of the pairs the second sentence
comes from another document: "the cat sat on the mat", "the bank was robbed yesterday", NotNext, label 1.
Below: the first pair as a row of twelve tokens, [CLS] the cat sat on the mat [SEP] it was happy [SEP]; the
first eight have segment id 0, the last four segment id 1. All go into the encoder. The last hidden state of
[CLS] goes through the pooler (Linear and tanh) and a Linear layer with two outputs: P(IsNext) and P(NotNext).
The last hidden states of all tokens go to the MLM head.
"""


def draw() -> Diagram:
    diagram = Diagram(1000, 590, "From two documents to a verdict: next sentence prediction", DESCRIPTION)
    draw_pairs(diagram)
    draw_row(diagram)
    draw_heads(diagram)
    return diagram


def draw_pairs(diagram: Diagram) -> None:
    """Two documents at the left, a true pair and a negative one at the right."""
    diagram.text(175, 24, "Documents", LARGE, bold=True)
    diagram.text(755, 24, "Pairs", LARGE, bold=True)
    for top, sentences in zip((48, 154), DOCUMENTS, strict=True):
        diagram.rect(12, top - 8, 326, 92, "none", GREY, radius=6, dashed=True)
        for i, sentence in enumerate(sentences):
            diagram.box(20, top + 40 * i, 310, 34, sentence, fill=TINT if i == 0 else WARM)
    pairs = [
        (48, DOCUMENTS[0][1], "IsNext: label 0"),
        (154, DOCUMENTS[1][1], "NotNext: label 1"),
    ]
    for top, second, label in pairs:
        diagram.box(530, top, 270, 34, DOCUMENTS[0][0], fill=TINT)
        diagram.box(530, top + 40, 270, 34, second, fill=WARM)
        diagram.text(815, top + 37, label, BODY, "start", bold=True)
    diagram.arrow((338, 85), (526, 85))
    diagram.text(432, 68, "half: the follower", SMALL, colour=GREY)
    diagram.arrow((338, 211), (526, 211))
    diagram.arrow((338, 104), (526, 165))
    diagram.text(432, 194, "half: another document", SMALL, colour=GREY)


def draw_row(diagram: Diagram) -> None:
    """The true pair as a row of tokens with their segment ids."""
    diagram.text(24, 286, "Row", LARGE, "start", bold=True)
    diagram.text(24, 326, "segment", SMALL, "start", GREY)
    for i, (token, segment) in enumerate(zip(TOKENS, SEGMENTS, strict=True)):
        x = 100 + 73 * i
        diagram.box(x, 270, 66, 34, token, fill=WARM if segment else TINT)
        diagram.text(x + 33, 326, str(segment))
        diagram.arrow((x + 33, 340), (x + 33, 364))
    diagram.box(100, 366, 869, 44, "Encoder: every token looks at all others, across [SEP] too")


def draw_heads(diagram: Diagram) -> None:
    """[CLS] to the left head, every token to the right one."""
    for i in range(len(TOKENS)):
        diagram.dot(133 + 73 * i, 430, 4)
    diagram.text(24, 430, "states", SMALL, "start", GREY)
    diagram.arrow((133, 434), (133, 470))
    diagram.box(100, 472, 150, 44, "pooler of [CLS]", "Linear, tanh")
    diagram.arrow((250, 494), (288, 494))
    diagram.box(290, 472, 140, 44, "NSP head", "Linear: 2 logits")
    diagram.arrow((430, 494), (468, 494))
    diagram.box(470, 472, 170, 44, "P(IsNext)", "P(NotNext)", fill=WARM)
    for i in range(1, len(TOKENS)):
        diagram.line((133 + 73 * i, 430), (133 + 73 * i, 450))
    diagram.line((133, 430), (206, 450), (936, 450))  # [CLS] too, apart from its own way to the pooler
    diagram.arrow((864, 450), (864, 470))
    diagram.box(760, 472, 209, 44, "MLM head", "reads every token")
    diagram.text(100, 546, "one verdict for each row: (batch, 2)", SMALL, "start", GREY)
    diagram.text(969, 546, "one guess for each token: (batch, seq_len, vocab_size)", SMALL, "end", GREY)


if __name__ == "__main__":
    command(__file__, draw)
