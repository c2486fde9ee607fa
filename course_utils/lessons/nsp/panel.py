"""The panel of notebook 08: does the second sentence follow the first?"""

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import encode, message, panel, table, wide


def next_sentence(model, tokenizer, language, pairs: list[tuple[str, str]]) -> ipw.VBox:
    """Choose or type two sentences, and read P(IsNext) of the model and of the perfect one, in both orders.

    Args:
        language: the `ToyLanguage` that gives the exact answer.
        pairs: sentences to choose from; the first pair stands in the fields at first.
    """
    size = wide(36, 7)
    choice = ipw.Dropdown(options=[(f"{a} / {b}", (a, b)) for a, b in pairs], description="Pairs", **size)
    first = ipw.Text(value=pairs[0][0], description="First", **size)
    second = ipw.Text(value=pairs[0][1], description="Second", **size)

    def fill(change):
        first.value, second.value = change.new

    choice.observe(fill, names="value")
    return panel(
        lambda pair, first, second: next_sentence_html(model, tokenizer, language, first, second),
        pair=choice,
        first=first,
        second=second,
    )


@torch.no_grad()
def next_sentence_html(model, tokenizer, language, first: str, second: str) -> str:
    """P(IsNext) of a pair and of the same pair read the other way round, by the model and exactly, as a
    table.
    """
    rows, reason = [], ""
    for name, pair in {"first, then second": (first, second), "second, then first": (second, first)}.items():
        encoding = encode(tokenizer, model.config.max_position_embeddings, *pair, what="These sentences have")
        ids = torch.tensor([encoding.input_ids])
        states = model.bert(ids, token_type_ids=torch.tensor([encoding.token_type_ids])).pooler_output
        answer = float(model.cls.seq_relationship(states).softmax(dim=-1)[0, 0])
        try:
            language.check_possible(ids)
            exact = f"{language.next_sentence_posterior(ids, rate=0.0)[0]:.2f}"
        except ValueError:
            exact = "none"
            reason = (
                "The toy language cannot write one of these sentences, so there is no exact answer to compare"
                " with."
            )
        rows.append([name, f"{answer:.2f}", exact])
    shown = table(
        ["", "model", "perfect model"], rows, "P(IsNext): does the second of the two follow in its document?"
    )
    return shown + (message(reason) if reason else "")
