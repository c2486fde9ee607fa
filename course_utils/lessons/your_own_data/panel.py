"""The panel of notebook 17: from which confidence on should a model answer?"""

from collections.abc import Sequence

import ipywidgets as ipw
import numpy as np

from course_utils.classroom.controls import message, panel, table, wide
from course_utils.own_data import Share

MOST_SHOWN = 8  # texts that go unanswered, the surest first


def doubt_dial(texts: Sequence[str], confidence, right) -> ipw.VBox:
    """Move a threshold: how many texts are answered, how many answers are right, and which texts are not.

    Args:
        texts: n texts that chose nothing.
        confidence: (n,) the probability of the guess for each.
        right: (n,) whether the guess is right.
    """
    threshold = ipw.FloatSlider(value=0.9, min=0.5, max=1.0, step=0.01, description="Threshold", **wide(34))
    return panel(lambda threshold: doubt_html(texts, confidence, right, threshold), threshold=threshold)


def doubt_html(texts: Sequence[str], confidence, right, threshold: float) -> str:
    """Coverage and accuracy at a threshold in a sentence, and the surest texts below it in a table."""
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    answered = confidence >= threshold
    if not answered.any():
        return message("Nothing is answered at this threshold.")
    share = Share(int(right[answered].sum()), int(answered.sum()))
    said = message(
        f"Answered: {share.total} of {len(texts)}. Right among them: {share.right} of {share.total}, {share}."
    )
    left = sorted(np.flatnonzero(~answered), key=lambda i: -confidence[i])
    if not left:
        return said + message("No text goes unanswered.")
    rows = [[texts[i], f"{confidence[i]:.2f}", "right" if right[i] else "wrong"] for i in left[:MOST_SHOWN]]
    shown = f", the surest {MOST_SHOWN}" if len(left) > MOST_SHOWN else ""
    return said + table(["text", "confidence", "it would have been"], rows, f"{len(left)} unanswered{shown}")
