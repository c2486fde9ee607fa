"""P4: how far the embedded model is from the best possible one. Exact counts on fixed held-out rows, no
timing.

The held-out rows and their masks are fixed, so the comparison is position by position; `mean` and its
interval are over positions (normal approximation, 1.96 standard errors). They are five times as many as the
notebooks score, for a narrower interval.

    python -m benchmarks P4
"""

import json

from benchmarks import protocol
from course_utils import checkpoints, pretraining

DOCUMENTS = 2_000
CONFIDENT = 1.96  # standard errors to either side hold 95 % of a normal distribution


def record(name: str) -> dict:
    """What was noted down while an embedded model was trained: its settings and its log."""
    return json.loads((checkpoints.EMBEDDED[name] / pretraining.LOG_FILE).read_text(encoding="utf-8"))


def measure(name: str, data: pretraining.HeldOut) -> dict[str, float]:
    """The comparison of an embedded model with the floors, computed anew from its weights."""
    model, _ = checkpoints.load(name)
    attention = record(name)["settings"]["attention"]
    return pretraining.compare(pretraining.evaluate(model, data, attention), data)


def end_of_training(name: str) -> str:
    """How much the last fifth of the steps still gained on held-out rows, in words."""
    *_, last = log = record(name)["log"]
    before = next(entry for entry in log if entry["step"] >= 0.8 * last["step"])
    gain = before["held_out"] - last["held_out"]
    return f"from step {before['step']:,} to {last['step']:,} the held-out loss fell by {gain:.4f} nats more"


def run() -> dict[str, dict]:
    """P4: the gap to the bidirectional floor, the distance below the left-only floor, the NSP accuracy."""
    _, tokenizer = checkpoints.load("embedded")
    data = pretraining.held_out(tokenizer, DOCUMENTS)
    summary, twin = measure("embedded", data), measure("embedded-causal", data)
    gap, half_width = summary["gap"], CONFIDENT * summary["gap_standard_error"]
    below_left = summary["left_gap"] / summary["left_gap_standard_error"]
    missing = summary["best_next_sentence_accuracy"] - summary["next_sentence_accuracy"]
    positions = int((data.floors.kind == "mask").sum())
    wide = f"the interval is {2 * half_width:.3f} nats wide, from {positions:,} positions"
    return {
        "P4": protocol.row(
            "embedded model above the bidirectional floor, at [MASK]",
            0.02,
            {"mean": gap, "low": gap - half_width, "high": gap + half_width},
            "nats",
            at_most=True,
            why=f"{end_of_training('embedded')}, and {wide}.",
            positions=positions,
            loss={key: summary[key] for key in ("model", "unigram", "bigram", "left", "bidirectional")},
            causal_twin_above_left_only_floor=twin["left_gap"],
        ),
        "P4_left_only": protocol.row(
            "embedded model against the left-only floor (below 0: it uses the right context)",
            -3.0,
            {"count": below_left, "low": below_left, "high": below_left},
            "standard errors",
            at_most=True,
            left_gap_nats=summary["left_gap"],
        ),
        "P4_next_sentence": protocol.row(
            "next sentence accuracy of the perfect model minus that of the embedded model",
            0.02,
            {"count": missing, "low": missing, "high": missing},
            "share",
            at_most=True,
            model=summary["next_sentence_accuracy"],
            best=summary["best_next_sentence_accuracy"],
        ),
    }
