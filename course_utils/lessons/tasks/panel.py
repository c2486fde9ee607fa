"""The panel of notebook 11: a question, a text, and the answer in it."""

import ipywidgets as ipw

from course_utils.classroom.controls import check_text, message, panel, table, wide
from course_utils.finetuning import best_span, run_model
from course_utils.toy.tasks import Question


def answer_finder(model, task, question: str, context: str) -> ipw.VBox:
    """Ask a question of a text, and read the answer with the start and end scores behind it.

    `task` is a `course_utils.finetuning.QuestionAnswering`, and `model` one that was fine-tuned on it.
    """
    asked = ipw.Text(value=question, description="Question", **wide(44))
    text = ipw.Textarea(value=context, description="Text", rows=4, **wide(44))
    return panel(
        lambda question, context: answer_html(model, task, question, context), question=asked, context=text
    )


def answer_html(model, task, question: str, context: str, k: int = 4) -> str:
    """The answer in a sentence; then, of the window that holds it, the `k` best starts and ends and [CLS]."""
    if not question.strip():
        raise ValueError("Type a question first.")
    if not context.strip():
        raise ValueError("Type a text in which the answer may stand.")
    question, context = check_text(question), check_text(context)
    pieces, room = len(task.tokenizer.encode(question)), task.max_length // 2
    if pieces > room:
        raise ValueError(f"This question has {pieces} pieces; up to {room} leave enough room for the text.")
    example = Question(question, context)
    if not task.tokenizer.encode(context, add_special_tokens=False).input_ids:
        raise ValueError("There is nothing in this text that can be read.")
    found = []
    for row, (start, end) in run_model(model, task, task.encode([example])):
        found.append((*best_span(start, end, row.origins, task.max_answer), row, start, end))
    score, first, last, row, start, end = max(found, key=lambda one: one[0])
    nothing = min(float(one[4][0] + one[5][0]) for one in found)
    answer = context[row.origins[first][0] : row.origins[last][1]]
    verdict = f"Answer: {answer}" if score > nothing else f"No answer. The best span would be: {answer}"
    windows = f"{len(found)} windows read. " if len(found) > 1 else ""
    in_context = [i for i, origin in enumerate(row.origins) if origin is not None]
    best = {i for scores in (start, end) for i in sorted(in_context, key=lambda i: -float(scores[i]))[:k]}
    tokens = task.tokenizer.convert_ids_to_tokens(row.input_ids)
    rows = [[f"{i} {tokens[i]}", f"{start[i]:.2f}", f"{end[i]:.2f}"] for i in sorted({0, first, last} | best)]
    caption = f"Best start and end scores; the best span has {score:.2f}, [CLS] (no answer) {nothing:.2f}"
    return message(windows + verdict) + table(["token", "start", "end"], rows, caption)
