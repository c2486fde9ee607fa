"""Things to move in a notebook, all built from one small vocabulary.

A widget here is a handful of controls above a piece of HTML. `panel` ties them: whenever a control changes, `render` is
called with the values of all controls and its HTML replaces the old one. What a reader types is escaped before it is
shown, and a `ValueError` becomes a sentence under the controls, never a traceback.

Colours come from the page (`currentColor`), so light and dark themes both work; nothing is said by colour alone.
"""

import html
import math
from collections.abc import Callable

import ipywidgets as ipw
import torch

from course_utils.masks import causal_mask

TABLE_STYLE = "border-collapse:collapse;font-size:0.95em"
CELL_STYLE = "padding:2px 8px;text-align:right;border:1px solid currentColor"
HEAD_STYLE = CELL_STYLE + ";font-weight:bold"
LONGEST_TEXT = 2000  # characters; far beyond what a model of 128 positions can read


def panel(render: Callable[..., str], **controls: ipw.Widget) -> ipw.VBox:
    """Controls above the HTML that `render(**values)` makes of their values, kept up to date.

    `render` may raise ValueError: its text is shown in place of the result.
    """
    view = ipw.HTML()

    def update(_change=None):
        try:
            view.value = render(**{name: control.value for name, control in controls.items()})
        except ValueError as error:
            view.value = message(str(error))

    for control in controls.values():
        control.observe(update, names="value")
    update()
    box = ipw.VBox([*controls.values(), view])
    box.add_class("course-panel")
    return box


def message(text: str) -> str:
    """A sentence for the reader; screen readers announce it."""
    return f'<p role="status">{html.escape(text)}</p>'


def table(heads: list[str], rows: list[list[str]], caption: str) -> str:
    """An HTML table with a caption; the first cell of every row is its heading. Cells are escaped."""

    def cell(text, tag, style, scope=""):
        return f'<{tag} style="{style}"{scope}>{html.escape(str(text))}</{tag}>'

    head = "".join(cell(text, "th", HEAD_STYLE, ' scope="col"') for text in heads)
    body = "".join(
        "<tr>"
        + cell(row[0], "th", HEAD_STYLE, ' scope="row"')
        + "".join(cell(text, "td", CELL_STYLE) for text in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<table style="{TABLE_STYLE}"><caption style="text-align:left">{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def check_text(text: str) -> str:
    """The text a reader typed, without white space around it; refuses an empty one and one far too long."""
    text = text.strip()
    if not text:
        raise ValueError("Type a sentence first.")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"This text has {len(text):,} characters; up to {LONGEST_TEXT:,} are read.")
    return text


# ------------------------------------------------------------------------------------------------- notebook 00


def fill_blank(model, tokenizer, text: str = "the [MASK] was robbed yesterday") -> ipw.VBox:
    """Type a sentence with [MASK] in it, move the slider, and read the model's best guesses for each blank."""
    field = ipw.Text(value=text, description="Sentence", layout={"width": "34em"}, continuous_update=True)
    guesses = ipw.IntSlider(value=3, min=1, max=10, description="Guesses", continuous_update=True)
    return panel(lambda sentence, k: guesses_html(model, tokenizer, sentence, k), sentence=field, k=guesses)


def guesses_html(model, tokenizer, sentence: str, k: int) -> str:
    """The k best pieces for every [MASK] of a sentence, as a table."""
    sentence = check_text(sentence)
    encoding = tokenizer.encode(sentence)
    limit = model.config.max_position_embeddings
    if len(encoding) > limit:
        raise ValueError(f"This sentence has {len(encoding)} pieces; the model reads up to {limit}.")
    blanks = [i for i, piece in enumerate(encoding.tokens) if piece == "[MASK]"]
    if not blanks:
        raise ValueError(
            "Write [MASK] where the model shall guess, for example: the [MASK] was robbed yesterday"
        )
    with torch.no_grad():
        logits = model(torch.tensor([encoding.input_ids])).prediction_logits[0]
    rows = []
    for i in blanks:
        best = logits[i].softmax(0).topk(k)
        pieces = tokenizer.convert_ids_to_tokens(best.indices.tolist())
        rows.append(
            [f"blank {len(rows) + 1}"]
            + [f"{piece} {p:.0%}" for piece, p in zip(pieces, best.values.tolist(), strict=True)]
        )
    heads = ["", *(f"guess {i}" for i in range(1, k + 1))]
    return table(heads, rows, "The model's guesses, the most probable first")


# ------------------------------------------------------------------------------------------------- notebook 03


def embedding_sum(embeddings, tokenizer, first: str = "the cat sat", second: str = "it was happy") -> ipw.VBox:
    """Type one sentence or two, choose a token, shift its position, and read the three rows and what comes of them.

    `embeddings` is a `course_utils.bert.BertEmbeddings`.
    """
    last = embeddings.position_embeddings.num_embeddings - 1
    wide = {"layout": {"width": "34em"}, "style": {"description_width": "8em"}}
    return panel(
        lambda first, second, token, shift: embedding_sum_html(embeddings, tokenizer, first, second, token, shift),
        first=ipw.Text(value=first, description="First sentence", **wide),
        second=ipw.Text(value=second, description="Second", **wide),
        token=ipw.IntSlider(value=2, min=0, max=last, description="Token", **wide),
        shift=ipw.IntSlider(value=0, min=0, max=last, description="Shift positions", **wide),
    )


@torch.no_grad()
def embedding_sum_html(embeddings, tokenizer, first: str, second: str, token: int, shift: int, shown: int = 5) -> str:
    """The three rows of one token, their sum, and the sum after LayerNorm, as a table.

    `shift` is added to the position of the token; `shown` is how many of the hidden_size numbers are printed.
    """
    encoding = tokenizer.encode(check_text(first), check_text(second) if second.strip() else None)
    if token >= len(encoding):
        raise ValueError(f"This row has {len(encoding)} tokens, numbered 0 to {len(encoding) - 1}.")
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
        [name, *(f"{x:.2f}" for x in row[:shown].tolist()), f"{row.mean():.2f}", f"{row.std(correction=0):.2f}"]
        for name, row in rows.items()
    ]
    size = len(rows["sum"])
    heads = ["", *(f"[{k}]" for k in range(min(shown, size))), "mean", "spread"]
    caption = f"Token {token} of 0 to {len(encoding) - 1}; the first {len(heads) - 3} of {size} numbers of each row"
    marked = [f"→ {name} ←" if i == token else name for i, name in enumerate(encoding.tokens)]
    return message(" ".join(marked)) + table(heads, lines, caption)


# ------------------------------------------------------------------------------------------------- notebook 04


class AttentionExplorer(ipw.VBox):
    """Type a sentence, choose layer, head and token, and read where it looks and who looks at it.

    Controls: `field` (the sentence), `layer`, `head` and `token`, each counted from 0 where the model counts, and shown
    from 1 for layers and heads. Attributes: `tokens`, `weights` (seq_len, seq_len) of the chosen head.
    """

    def __init__(self, model, tokenizer, text: str):
        self.model, self.tokenizer = model, tokenizer
        self.read(text)
        layers, heads = self._all_weights.shape[:2]
        self.field = ipw.Text(value=text, description="Sentence", layout={"width": "34em"})
        self.layer = self._choice("Layer", [(str(i + 1), i) for i in range(layers)])
        self.head = self._choice("Head", [(str(i + 1), i) for i in range(heads)])
        self.token = self._choice("Token", list(zip(self.tokens, range(len(self.tokens)), strict=True)))
        self.field.observe(self._new_sentence, names="value")
        box = panel(self._render, sentence=self.field, layer=self.layer, head=self.head, token=self.token)
        super().__init__([box])

    def _choice(self, name: str, options: list[tuple[str, int]]) -> ipw.SelectionSlider:
        return ipw.SelectionSlider(options=options, description=name, continuous_update=True)

    def read(self, text: str) -> None:
        """Run the model on a text; refuses what it cannot read, and then keeps the sentence before."""
        encoding = self.tokenizer.encode(check_text(text))
        limit = self.model.config.max_position_embeddings
        if len(encoding) > limit:
            raise ValueError(f"This sentence has {len(encoding)} pieces; the model reads up to {limit}.")
        with torch.no_grad():
            attentions = self.model(torch.tensor([encoding.input_ids]), output_attentions=True).attentions
        self.tokens = encoding.tokens
        self._all_weights = torch.cat(attentions)  # (layers, heads, seq_len, seq_len)

    @property
    def weights(self) -> torch.Tensor:
        return self._all_weights[self.layer.value, self.head.value]

    def _new_sentence(self, change) -> None:
        """Offer the tokens of the new sentence; `_render` says what is wrong with one that cannot be read."""
        try:
            self.read(change.new)
        except ValueError:
            return
        place = min(self.token.value, len(self.tokens) - 1)
        self.token.options = list(zip(self.tokens, range(len(self.tokens)), strict=True))
        self.token.value = place

    def _render(self, sentence: str, layer: int, head: int, token: int) -> str:
        self.read(sentence)
        weights, name = self._all_weights[layer, head], self.tokens[token]
        looks, looked_at = weights[token], weights[:, token]
        rows = [
            [f"{name} looks at", *(f"{w:.2f}" for w in looks.tolist()), f"{looks.sum():.2f}"],
            [f"looks at {name}", *(f"{w:.2f}" for w in looked_at.tolist()), f"{looked_at.sum():.2f}"],
        ]
        strongest = self.tokens[int(looks.argmax())]
        said = f"Token {token + 1} of {len(self.tokens)}, {name}, looks most at {strongest} ({looks.max():.2f})."
        heads = ["", *self.tokens, "sum"]
        return table(heads, rows, f"Layer {layer + 1}, head {head + 1}: attention weights") + message(said)


# ------------------------------------------------------------------------------------------------- notebook 05


class MaskPlayground(ipw.VBox):
    """Click the cells of a mask and watch attention weights and outputs move.

    Args:
        vectors: (seq_len, size) one vector for each token; queries, keys and values at once, to keep it small.
        tokens: their words.

    Attributes: `mask` (seq_len, seq_len) bool, `weights` (seq_len, seq_len), `outputs` (seq_len, size).
    """

    def __init__(self, vectors: torch.Tensor, tokens: list[str]):
        if vectors.dim() != 2 or len(vectors) != len(tokens):
            raise ValueError(
                f"vectors has shape {tuple(vectors.shape)}; one row for each of {len(tokens)} tokens is wanted"
            )
        self.vectors, self.tokens = vectors, tokens
        self.scores = vectors @ vectors.T / math.sqrt(vectors.shape[1])
        self.unmasked = self.scores.softmax(dim=-1) @ vectors
        self._cells = [[self._cell(i, j) for j in range(len(tokens))] for i in range(len(tokens))]
        self._view = ipw.HTML()
        self._busy = False
        everything = torch.ones(len(tokens), len(tokens), dtype=torch.bool)
        presets = {
            "bidirectional": everything,
            "causal": causal_mask(len(tokens)),
            "only itself": everything.diag().diag(),
        }
        buttons = [self._preset(name, mask) for name, mask in presets.items()]
        super().__init__([ipw.HBox(buttons), self._grid(), self._view])
        self.add_class("course-panel")
        self._update()

    def _cell(self, i: int, j: int) -> ipw.ToggleButton:
        hint = f"may {self.tokens[i]} look at {self.tokens[j]}?"
        cell = ipw.ToggleButton(value=True, description="yes", tooltip=hint, layout={"width": "6em"})
        cell.observe(self._clicked, names="value")
        return cell

    def _preset(self, name: str, mask: torch.Tensor) -> ipw.Button:
        button = ipw.Button(description=name)
        button.on_click(lambda _: self.set_mask(mask))
        return button

    def _grid(self) -> ipw.GridBox:
        width = f"repeat({len(self.tokens) + 1}, 7em)"
        heads = [ipw.Label("who looks at"), *(ipw.Label(token) for token in self.tokens)]
        rows = [widget for i, row in enumerate(self._cells) for widget in (ipw.Label(self.tokens[i]), *row)]
        return ipw.GridBox([*heads, *rows], layout={"grid_template_columns": width})

    @property
    def mask(self) -> torch.Tensor:
        return torch.tensor([[cell.value for cell in row] for row in self._cells])

    def set_mask(self, mask: torch.Tensor) -> None:
        """Set all cells at once."""
        self._busy = True  # one update at the end instead of one for each cell
        for row, values in zip(self._cells, mask.tolist(), strict=True):
            for cell, value in zip(row, values, strict=True):
                cell.value = value
        self._busy = False
        self._update()

    def _clicked(self, _change) -> None:
        if not self._busy:
            self._update()

    def _update(self) -> None:
        for row in self._cells:
            for cell in row:
                cell.description = "yes" if cell.value else "no"
        mask = self.mask
        self.weights = self.scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
        self.outputs = self.weights @ self.vectors
        self._view.value = self._weights_table() + self._outputs_table() + self._warnings(mask)

    def _weights_table(self) -> str:
        rows = [
            [token, *(f"{w:.2f}" for w in row)]
            for token, row in zip(self.tokens, self.weights.tolist(), strict=True)
        ]
        return table(["weights", *self.tokens], rows, "Attention weights: a row for each token that looks")

    def _outputs_table(self) -> str:
        moved = (self.outputs - self.unmasked).norm(dim=1).tolist()
        rows = [
            [token, *(f"{value:.2f}" for value in output), "no" if distance < 1e-6 else f"by {distance:.2f}"]
            for token, output, distance in zip(self.tokens, self.outputs.tolist(), moved, strict=True)
        ]
        heads = ["output", *(f"[{k}]" for k in range(self.vectors.shape[1])), "moved from bidirectional?"]
        return table(heads, rows, "Outputs: each row is the weighted mean of the vectors")

    def _warnings(self, mask: torch.Tensor) -> str:
        empty = [token for token, row in zip(self.tokens, mask, strict=True) if not row.any()]
        return "".join(
            message(f"'{token}' may look at nobody: the mean of nothing is 0/0, shown as nan.")
            for token in empty
        )


# ------------------------------------------------------------------------------------------------- notebook 02

MOST_PIECES = 200  # rows of a table; more are no longer read


def piece_reader(tokenizers: dict, text: str = "the bank was robbed yesterday") -> ipw.VBox:
    """Type a text, choose a vocabulary, and read pieces, ids and offsets.

    Args:
        tokenizers: for each name to choose a `WordPieceTokenizer`.
        text: what stands in the field at first.
    """
    field = ipw.Text(value=text, description="Text", layout={"width": "34em"}, continuous_update=True)
    choice = ipw.Dropdown(options=list(tokenizers), description="Vocabulary", style={"description_width": "initial"})
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
        for piece, index, (start, end) in zip(encoding.tokens, encoding.input_ids, encoding.offsets, strict=True)
    ]
    caption = f"Pieces: {len(encoding)}, [CLS] and [SEP] among them. Characters: {len(text)}."
    return table(["piece", "id", "offsets", "in the text"], rows, caption)


# ------------------------------------------------------------------------------------------------- notebook 01


def neighbours(models: dict, word: str = "bank", k: int = 6) -> ipw.VBox:
    """Type a word, choose window and negatives, and read its nearest neighbours in vectors that are trained already.

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
