"""The picture that the course begins with: a real run, its loss meeting the exact limits one after another,
and what the model says in a blank on its way. Drawn from what the run stored.
"""

import importlib.util
import json
import math
from pathlib import Path

from diagram import BODY, GREY, INK, LARGE, LINE, NAVY, PAPER, RUST, SMALL, Diagram, command

PACKAGE = Path(importlib.util.find_spec("course_utils").origin).parent
BEGINNING = json.loads((PACKAGE / "lessons/pretraining/beginning.json").read_text(encoding="utf-8"))
RUN = json.loads((PACKAGE / "data/embedded/training.json").read_text(encoding="utf-8"))
LAST = RUN["settings"]["steps"]

LEFT, RIGHT, TOP, BOTTOM = 70, 930, 70, 310
NATS = 7
SHOWN = (0, 30, 100, 250, 1000)  # the steps whose guesses stand below
GUESSES = 3
FLOORS = {
    "unigram": "how often each word occurs",
    "bigram": "the word before the blank",
    "left": "all words to the left",
    "bidirectional": "both sides, exactly: nothing can be lower",
}
NAMES = {"left": "left-only", "bidirectional": "best possible"}


def curve() -> list[tuple[int, float]]:
    """(step, held-out loss): the beginning, measured closely, then the model's own log."""
    rows = [(row["step"], row["held_out"]) for row in BEGINNING["rows"]]
    return rows + [(row["step"], row["held_out"]) for row in RUN["log"] if row["step"] > rows[-1][0]]


def x_of(step: float) -> float:
    """Like a logarithm, but step 0 has a place too."""
    return LEFT + (RIGHT - LEFT) * math.log1p(step / 20) / math.log1p(LAST / 20)


def y_of(nats: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * nats / NATS


def card(drawing: Diagram, x: float, y: float, width: float, row: dict) -> None:
    """What the model says in the blank after one step: words, chances, bars."""
    drawing.rect(x, y, width, 106, PAPER, LINE, radius=5)
    drawing.text(x + 10, y + 16, f"step {row['step']:,}", SMALL, "start", bold=True)
    for i, (word, chance) in enumerate(row["answer"][:GUESSES]):
        line = y + 40 + 25 * i
        drawing.text(x + 10, line, word, BODY, "start")
        drawing.text(x + width - 10, line, f"{chance:.0%}", SMALL, "end", GREY)
        drawing.rect(x + 10, line + 9, max(1, round(chance * (width - 20))), 4, NAVY, NAVY)


def draw() -> Diagram:
    rows = {row["step"]: row for row in BEGINNING["rows"]}
    said = "; ".join(
        f"after step {step}: {', '.join(f'{word} {chance:.0%}' for word, chance in rows[step]['answer'][:3])}"
        for step in SHOWN
    )
    floors = ", ".join(f"{NAMES.get(name, name)} {RUN['result'][name]:.2f}" for name in FLOORS)
    points = curve()
    drawing = Diagram(
        960,
        500,
        "A small BERT learns, and meets the exact limit",
        f"""The held-out loss of a real run of {LAST:,} steps, in nats, falls from {points[0][1]:.2f} to
        {points[-1][1]:.2f}, through four exact limits: {floors}. Below it, what the model says in the blank
        of "{BEGINNING["sentence"]}": {said}.""",
        dark=True,
    )
    drawing.text(LEFT, 26, "A small BERT learns, and meets the exact limit", LARGE, "start", bold=True)
    drawing.text(LEFT, 48, "loss at the blanks of texts it has not seen, in nats", SMALL, "start", GREY)
    for nats in range(0, NATS + 1, 1):
        drawing.text(LEFT - 12, y_of(nats), str(nats), SMALL, "end", GREY)
    drawing.parts.append(f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="{GREY}"/>')
    for name, meaning in FLOORS.items():
        nats = RUN["result"][name]
        y, exact = y_of(nats), name == "bidirectional"
        pen = 'stroke-width="2"' if exact else 'stroke-width="1" stroke-dasharray="6 4"'
        drawing.parts.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" fill="none" stroke="{RUST}" {pen}/>')
        words = f"{NAMES.get(name, name)} {nats:.2f}: {meaning}"
        drawing.text(RIGHT, y + (10 if exact else -10), words, SMALL, "end", INK)
    path = "L".join(f"{x_of(step):.1f} {y_of(nats):.1f}" for step, nats in points)
    drawing.parts.append(f'<path d="M{path}" fill="none" stroke="{NAVY}" stroke-width="3"/>')
    for step in (*SHOWN, LAST):
        y = y_of(dict(points)[step])
        drawing.parts.append(f'<circle cx="{x_of(step):.1f}" cy="{y:.1f}" r="5" fill="{NAVY}"/>')
        drawing.text(x_of(step), BOTTOM + 14, f"{step:,}", SMALL, "end" if step == LAST else "middle", GREY)
    drawing.text((LEFT + RIGHT) / 2, BOTTOM + 32, "training step", SMALL, colour=GREY)
    sentence = BEGINNING["sentence"].replace("[MASK]", "____")
    drawing.text(LEFT, 362, f"what it says in the blank: {sentence}", BODY, "start", bold=True)
    gap, width = 14, (RIGHT - LEFT - 14 * (len(SHOWN) - 1)) / len(SHOWN)
    for place, step in enumerate(SHOWN):
        card(drawing, LEFT + place * (width + gap), 380, width, rows[step])
    return drawing


if __name__ == "__main__":
    command(__file__, draw)
