"""The panel of notebook 03: the three rows that make the input of a token."""

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import check_text, message, panel, table, wide


def embedding_sum(
    embeddings, tokenizer, first: str = "the cat sat", second: str = "it was happy"
) -> ipw.VBox:
    """Type one sentence or two, choose a token, shift its position, and read the three rows and what comes of
    them.

    `embeddings` is a `course_utils.bert.BertEmbeddings`.
    """
    last = embeddings.position_embeddings.num_embeddings - 1
    size = wide(34, 8)
    return panel(
        lambda first, second, token, shift: embedding_sum_html(
            embeddings, tokenizer, first, second, token, shift
        ),
        first=ipw.Text(value=first, description="First sentence", **size),
        second=ipw.Text(value=second, description="Second", **size),
        token=ipw.IntSlider(value=2, min=0, max=last, description="Token", **size),
        shift=ipw.IntSlider(value=0, min=0, max=last, description="Shift positions", **size),
    )


@torch.no_grad()
def embedding_sum_html(
    embeddings, tokenizer, first: str, second: str, token: int, shift: int, shown: int = 5
) -> str:
    """The three rows of one token, their sum, and the sum after LayerNorm, as a table.

    `shift` is added to the position of the token; `shown` is how many of the hidden_size numbers are printed.
    """
    encoding = tokenizer.encode(check_text(first), check_text(second) if second.strip() else None)
    if token >= len(encoding):
        raise ValueError(f"This sequence has {len(encoding)} tokens, numbered 0 to {len(encoding) - 1}.")
    position, limit = token + shift, embeddings.position_embeddings.num_embeddings
    if position >= limit:
        raise ValueError(f"Position {position} has no row: the table ends with position {limit - 1}.")
    piece, segment = encoding.tokens[token], encoding.token_type_ids[token]
    rows = {
        f"word '{piece}'": embeddings.word_embeddings.weight[encoding.input_ids[token]],
        f"segment {segment}": embeddings.token_type_embeddings.weight[segment],
        f"position {position}": embeddings.position_embeddings.weight[position],
    }
    rows["sum"] = sum(rows.values())
    rows["after LayerNorm"] = embeddings.LayerNorm(rows["sum"])
    lines = [
        [
            name,
            *(f"{x:.2f}" for x in row[:shown].tolist()),
            f"{row.mean():.2f}",
            f"{row.std(correction=0):.2f}",
        ]
        for name, row in rows.items()
    ]
    size = len(rows["sum"])
    heads = ["", *(f"[{k}]" for k in range(min(shown, size))), "mean", "spread"]
    caption = (
        f"Token {token} of 0 to {len(encoding) - 1}; the first {len(heads) - 3} of {size} numbers of each row"
    )
    marked = [f"→ {name} ←" if i == token else name for i, name in enumerate(encoding.tokens)]
    return message(" ".join(marked)) + table(heads, lines, caption)
