"""The panel of notebook 10: the label of a review, and what every word adds to it."""

import ipywidgets as ipw

from course_utils.classroom.controls import check_text, encode, message, panel, table, wide
from course_utils.finetuning import occlusion

MOST_OCCLUDED = 40  # words; each takes a pass through the model, and a reader should not wait


def review_reader(model, task, text: str = "the actors were not bad in this film") -> ipw.VBox:
    """Type a review, and read how probable each label is and what every word adds to the more probable one.

    `task` is a `course_utils.finetuning.TextClassification`, and `model` one that was fine-tuned on it.
    """
    field = ipw.Text(value=text, description="Review", **wide(40))
    return panel(lambda review: review_html(model, task, review), review=field)


def review_html(model, task, review: str) -> str:
    """The probabilities of a review in a sentence, and the influence of its words by occlusion in a table.

    Above `MOST_OCCLUDED` words the table is left out.
    """
    review = check_text(review)
    encode(task.tokenizer, task.max_length, review, what="This review has")
    if len(review.split()) < 2:
        raise ValueError("Type two words or more: one of them is left out at a time.")
    probabilities = task.predict_proba(model, [review])[0]
    label = int(probabilities.argmax())
    shares = ", ".join(f"{name} {p:.1%}" for name, p in zip(task.labels, probabilities, strict=True))
    if (words := len(review.split())) > MOST_OCCLUDED:
        return message(
            f"{shares}. With {words} words, more than {MOST_OCCLUDED}, the table of their influence is left"
            " out."
        )
    rows = [
        [word, f"{influence:+.2f}", ("+" if influence > 0 else "\u2212") * round(10 * abs(influence))]
        for word, influence in occlusion(model, task, review, label)
    ]
    caption = f"What each word adds to the probability of {task.labels[label]!r}: with it, minus without it"
    return message(shares) + table(["word", "adds", ""], rows, caption)
