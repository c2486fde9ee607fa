"""The panel of notebook 02: pieces, ids and offsets of a text."""

import ipywidgets as ipw

from course_utils.classroom.controls import check_text, panel, table, wide

MOST_PIECES = 200  # rows of a table; more are no longer read


def piece_reader(tokenizers: dict, text: str = "the bank was robbed yesterday") -> ipw.VBox:
    """Type a text, choose a vocabulary, and read pieces, ids and offsets.

    Args:
        tokenizers: for each name to choose a `WordPieceTokenizer`.
        text: what stands in the field at first.
    """
    field = ipw.Text(value=text, description="Text", **wide(34), continuous_update=True)
    choice = ipw.Dropdown(
        options=list(tokenizers), description="Vocabulary", style={"description_width": "initial"}
    )
    return panel(
        lambda typed, vocabulary: pieces_html(tokenizers[vocabulary], typed), typed=field, vocabulary=choice
    )


def pieces_html(tokenizer, text: str) -> str:
    """The pieces of a text as a table: each with its id, its offsets, and what stands there in the text."""
    text = check_text(text)
    encoding = tokenizer.encode(text)
    if len(encoding) > MOST_PIECES:
        raise ValueError(f"This text has {len(encoding):,} pieces; up to {MOST_PIECES} are shown.")
    rows = [
        [piece, index, *(["added", ""] if start == end else [f"{start} to {end}", text[start:end]])]
        for piece, index, (start, end) in zip(
            encoding.tokens, encoding.input_ids, encoding.offsets, strict=True
        )
    ]
    caption = f"Pieces: {len(encoding)}, [CLS] and [SEP] among them. Characters: {len(text)}."
    return table(["piece", "id", "offsets", "in the text"], rows, caption)
