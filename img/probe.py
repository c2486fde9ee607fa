"""A probe beside the model: it reads the residual stream of one token, and a control shows what it can learn
alone.
"""

from diagram import GREY, LARGE, SMALL, TINT, WARM, Diagram, command

DESCRIPTION = """
From left to right, one token's residual stream: its embedding, then layers 1, 2 and 3, each of which adds
something; after the last the model's own heads. At four places, before layer 1 and after each layer, an arrow
leads down to a probe: one linear map, trained while the model stays frozen. Each probe is trained twice: on
labels with a meaning (the task: sense, topic, stage), and on labels drawn at random, one for each word (the
control task). The selectivity of a place is the accuracy on the task minus the accuracy on the control task.
"""
WIDTH, HEIGHT = 132, 56
TOP, PROBE, SCORES = 62, 196, 300


def draw() -> Diagram:
    diagram = Diagram(980, 420, "Probes along the residual stream", DESCRIPTION)
    diagram.text(24, 30, "the model, frozen", LARGE, "start", bold=True)
    names = ("embedding", "layer 1", "layer 2", "layer 3")
    notes = ("of one token", "adds to it", "adds to it", "adds to it")
    places = [24 + i * 196 for i in range(4)]
    middle = TOP + HEIGHT / 2
    for i, (x, name, note) in enumerate(zip(places, names, notes, strict=True)):
        diagram.box(x, TOP, WIDTH, HEIGHT, name, note, fill=WARM)
        end = places[i + 1] - 2 if i < 3 else 824
        diagram.arrow((x + WIDTH, middle), (end, middle))
        tap = x + WIDTH + 32
        diagram.dot(tap, middle)
        diagram.arrow((tap, middle), (tap, PROBE - 2))
        diagram.box(tap - 66, PROBE, WIDTH, HEIGHT, f"probe {i}", "one linear map", fill=TINT)
        diagram.arrow((tap - 30, PROBE + HEIGHT), (tap - 30, SCORES - 2))
        diagram.arrow((tap + 30, PROBE + HEIGHT), (tap + 30, SCORES - 2))
        diagram.text(tap - 36, SCORES + 14, "task", SMALL + 1)
        diagram.text(tap + 36, SCORES + 14, "control", SMALL + 1)
    diagram.box(826, TOP, WIDTH, HEIGHT, "MLM, NSP", "the model's heads")
    diagram.text(
        490,
        SCORES + 56,
        "task: labels that mean something; control: random labels, one for each word",
        SMALL + 1,
    )
    diagram.text(
        490,
        SCORES + 82,
        "selectivity = accuracy on the task - accuracy on the control",
        SMALL + 1,
        colour=GREY,
    )
    return diagram


if __name__ == "__main__":
    command(__file__, draw)
