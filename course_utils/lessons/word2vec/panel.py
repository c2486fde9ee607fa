"""The panel of notebook 01: the nearest neighbours of a word."""

import ipywidgets as ipw

from course_utils.classroom.controls import check_text, panel, table


def neighbours(models: dict, word: str = "bank", k: int = 6) -> ipw.VBox:
    """Type a word, choose window and negatives, and read its nearest neighbours in vectors that are trained
    already.

    Args:
        models: {(window, negatives): Word2Vec}, one for every combination of the windows and negatives in it.
    """
    windows, negatives = (sorted({key[i] for key in models}) for i in (0, 1))
    field = ipw.Text(value=word, description="Word", continuous_update=True)
    window = ipw.SelectionSlider(options=windows, description="Window")
    negative = ipw.SelectionSlider(options=negatives, description="Negatives")

    def render(word, window, negatives):
        return neighbours_html(models[window, negatives], word, k)

    return panel(render, word=field, window=window, negatives=negative)


def neighbours_html(model, word: str, k: int = 6) -> str:
    """The k words whose vectors point most nearly the same way, as a table."""
    word = check_text(word).lower()
    rows = [[near, f"{cosine:.2f}"] for near, cosine in model.most_similar(word, k)]
    return table(["neighbour", "cosine"], rows, f"The nearest neighbours of '{word}'")
