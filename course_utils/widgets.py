"""Things to move in a notebook, all built from one small vocabulary.

A widget here is a handful of controls above a piece of HTML. `panel` ties them: whenever a control changes,
`render` is called with the values of all controls and its HTML replaces the old one. What a reader types is
escaped before it is shown, and a `ValueError` becomes a sentence under the controls, never a traceback.

Colours come from the page (`currentColor`), so light and dark themes both work; nothing is said by colour
alone.
"""

import base64
import functools
import html
import math
from collections.abc import Callable

import ipywidgets as ipw
import torch
from torch.nn import functional as F

from course_utils.bert import NAMED_SIZES, BertConfig
from course_utils.finetuning import best_span, occlusion, run_model
from course_utils.masks import causal_mask
from course_utils.mlm import IGNORE_INDEX, mask_tokens
from course_utils.profiler import Profile, profile
from course_utils.toy_tasks import Question

TABLE_STYLE = "border-collapse:collapse;font-size:0.95em"
CELL_STYLE = "padding:2px 8px;text-align:right;border:1px solid currentColor"
HEAD_STYLE = CELL_STYLE + ";font-weight:bold"
LONGEST_TEXT = 2000  # characters; far beyond what a model of 128 positions can read
MOST_OCCLUDED = 40  # words; each takes a pass through the model, and a reader should not wait


def panel(render: Callable[..., str], **controls: ipw.Widget) -> ipw.VBox:
    """Controls above the HTML that `render(**values)` makes of their values, kept up to date.

    `render` may raise ValueError: its text is shown in place of the result.
    """
    view = ipw.HTML(layout={"overflow": "auto"})  # a wide table scrolls by itself, not the page

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


def wide(em: int, description: int | None = None) -> dict[str, dict]:
    """Layout and style of a control `em` letters wide, less where the page is narrower; its name
    `description` letters.
    """
    style = {} if description is None else {"style": {"description_width": f"{description}em"}}
    return {"layout": {"width": f"{em}em", "max_width": "100%"}, **style}


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
        f'<table style="{TABLE_STYLE}"><caption'
        f' style="text-align:left;white-space:nowrap">{html.escape(caption)}</caption>'
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
    field = ipw.Text(value=text, description="Sentence", **wide(34), continuous_update=True)
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


# ------------------------------------------------------------------------------------------------- notebook 04


class AttentionExplorer(ipw.VBox):
    """Type a sentence, choose layer, head and token, and read where it looks and who looks at it.

    Controls: `field` (the sentence), `layer`, `head` and `token`, each counted from 0 where the model counts,
    and shown from 1 for layers and heads. Attributes: `tokens`, `weights` (seq_len, seq_len) of the chosen
    head.
    """

    def __init__(self, model, tokenizer, text: str):
        self.model, self.tokenizer = model, tokenizer
        self.read(text)
        layers, heads = self._all_weights.shape[:2]
        self.field = ipw.Text(value=text, description="Sentence", **wide(34))
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
        said = (
            f"Token {token + 1} of {len(self.tokens)}, {name}, looks most at {strongest} ({looks.max():.2f})."
        )
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
                f"vectors has shape {tuple(vectors.shape)}; one row for each of {len(tokens)} tokens is"
                " wanted"
            )
        self.vectors, self.tokens = vectors, tokens
        self.scores = vectors @ vectors.T / math.sqrt(vectors.shape[1])
        self.unmasked = self.scores.softmax(dim=-1) @ vectors
        self._cells = [[self._cell(i, j) for j in range(len(tokens))] for i in range(len(tokens))]
        self._view = ipw.HTML(layout={"overflow": "auto"})
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
        return ipw.GridBox([*heads, *rows], layout={"grid_template_columns": width, "overflow": "auto"})

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


# ------------------------------------------------------------------------------------------------- notebook 01


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


# ------------------------------------------------------------------------------------------------- notebook 09


def training_replay(snapshots: dict[int, torch.Tensor], perfect, sentences: list[str], tokenizer) -> ipw.VBox:
    """Move through a training run: what the model answered in the blank at each noted step, beside the
    perfect model.

    Args:
        snapshots: for each noted step the model's probabilities, (sentences, vocab_size).
        perfect: (sentences, vocab_size), what the perfect model says.
        sentences: each with one [MASK].
    """
    step = ipw.SelectionSlider(options=sorted(snapshots), description="Step", **wide(34))
    sentence = ipw.Dropdown(options=[(text, i) for i, text in enumerate(sentences)], description="Sentence")

    def render(step: int, sentence: int) -> str:
        return replay_html(snapshots[step][sentence], torch.as_tensor(perfect[sentence]), tokenizer)

    return panel(render, step=step, sentence=sentence)


def replay_html(probabilities: torch.Tensor, perfect: torch.Tensor, tokenizer, k: int = 6) -> str:
    """The k best pieces of the model, with the perfect model's probability for each, as a table."""
    best = probabilities.topk(k)
    pieces = tokenizer.convert_ids_to_tokens(best.indices.tolist())
    rows = [
        [piece, f"{own:.3f}", f"{perfect[i].item():.3f}"]
        for piece, own, i in zip(pieces, best.values.tolist(), best.indices.tolist(), strict=True)
    ]
    loss = -(perfect.double() * probabilities.double().log()).sum().item()
    floor = torch.special.entr(perfect.double()).sum().item()
    caption = f"Expected loss at this blank: {loss:.2f} nats; of the perfect model: {floor:.2f}"
    return table(["piece", "model", "perfect model"], rows, caption)


# ------------------------------------------------------------------------------------------------- notebook 07


def masking_playground(model, tokenizer, language, sentences: list[str]) -> ipw.VBox:
    """Type or pick a sentence, choose rate and seed, and read what is hidden and what two readers make of it.

    Args:
        model: a `BertForPreTraining`.
        language: the `ToyLanguage`, whose exact answers stand beside the model's.
        sentences: to pick from; the first stands in the field at first.
    """
    size = wide(34)
    return panel(
        lambda sentence, rate, seed, k: masking_html(model, tokenizer, language, sentence, rate, seed, k),
        sentence=ipw.Combobox(
            value=sentences[0], options=sentences, ensure_option=False, description="Sentence", **size
        ),
        rate=ipw.FloatSlider(
            value=0.15, min=0.05, max=0.95, step=0.05, readout_format=".0%", description="Rate", **size
        ),
        seed=ipw.IntSlider(value=1, min=0, max=99, description="Seed", **size),  # 0 selects nothing here
        k=ipw.IntSlider(value=3, min=1, max=6, description="Guesses", **size),
    )


def masking_html(model, tokenizer, language, sentence: str, rate: float, seed: int, k: int) -> str:
    """Every token with its fate, and the k best pieces of model and perfect model at each selected one, as
    tables.
    """
    encoding = tokenizer.encode(check_text(sentence))
    if len(encoding) > (limit := model.config.max_position_embeddings):
        raise ValueError(f"This sentence has {len(encoding)} pieces; the model reads up to {limit}.")
    input_ids = torch.tensor([encoding.input_ids])
    masked_ids, labels = mask_tokens(input_ids, tokenizer, rate, torch.Generator().manual_seed(seed))
    places = (labels[0] != IGNORE_INDEX).nonzero().flatten().tolist()
    shown = tokenizer.convert_ids_to_tokens(masked_ids[0].tolist())
    fates = [
        "" if i not in places else "masked" if piece == "[MASK]" else "kept" if piece == written else "random"
        for i, (written, piece) in enumerate(zip(encoding.tokens, shown, strict=True))
    ]
    lines = [["the model sees", *shown], ["selected, and", *fates]]
    view = table(["written", *encoding.tokens], lines, f"Selected: {len(places)} of {len(shown) - 2} pieces")
    if not places:
        return view + message("Nothing is selected: this row teaches nothing this time. Try another seed.")
    with torch.no_grad():
        scores, _ = model.score_selected(masked_ids, labels=labels)
        answers = {"model": scores.softmax(dim=-1).double()}
    note = ""
    try:
        language.check_possible(input_ids)
        answers["perfect model"] = torch.tensor(language.posteriors(masked_ids, labels != IGNORE_INDEX, rate))
    except ValueError:
        note = message(
            "The perfect model knows sentences of the toy language only, and this is none: no row for it."
        )
    rows = []
    for n, place in enumerate(places):
        for name, answer in answers.items():
            best, truth = answer[n].topk(k), answer[n, input_ids[0, place]]
            pieces = tokenizer.convert_ids_to_tokens(best.indices.tolist())
            guesses = [f"{piece} {p:.1%}" for piece, p in zip(pieces, best.values.tolist(), strict=True)]
            rows.append(
                [f"{encoding.tokens[place]} ({fates[place]}), {name}", *guesses, f"{abs(truth.log()):.2f}"]
            )
    heads = ["label, and who answers", *(f"guess {i}" for i in range(1, k + 1)), "loss"]
    return (
        view
        + table(heads, rows, "Best guesses at the selected positions; loss: -log p(label), in nats")
        + note
    )


# ------------------------------------------------------------------------------------------------- notebook 06


def residual_dial(model, tokenizer, text: str = "the bank was robbed yesterday") -> ipw.VBox:
    """Turn the residual of every layer down from 1 (BERT) to 0, choose a depth, and read how alike the tokens
    have become.

    `model` is a `course_utils.bert.BertModel`.
    """
    size = wide(34, 8)
    layers = len(model.encoder.layer)
    return panel(
        lambda text, depth, keep: residual_dial_html(model, tokenizer, text, depth, keep),
        text=ipw.Text(value=text, description="Sentence", **size),
        depth=ipw.IntSlider(value=layers, min=0, max=layers, description="Layers", **size),
        keep=ipw.FloatSlider(value=1, min=0, max=1, step=0.1, description="Residual times", **size),
    )


@torch.no_grad()
def residual_dial_html(model, tokenizer, text: str, depth: int, keep: float) -> str:
    """The cosine of every pair of tokens after `depth` layers whose residual is multiplied by `keep`."""
    encoding = tokenizer.encode(check_text(text))
    limit = model.config.max_position_embeddings
    if len(encoding) > limit:
        raise ValueError(f"This sentence has {len(encoding)} pieces; the model reads up to {limit}.")
    states = model.embeddings(torch.tensor([encoding.input_ids]))
    for layer in model.encoder.layer[:depth]:
        context, _ = layer.attention.self(states)
        states = end_of_sublayer(layer.attention.output, context, states, keep)
        states = end_of_sublayer(layer.output, layer.intermediate(states), states, keep)
    directions = torch.nn.functional.normalize(states[0], dim=-1)
    cosines = directions @ directions.T
    rows = [
        [token, *(f"{cosine:.2f}".replace("-0.00", "0.00") for cosine in row)]
        for token, row in zip(encoding.tokens, cosines.tolist(), strict=True)
    ]
    caption = f"Cosines between the tokens after {depth} layers, residual times {keep:.1f}"
    return table(["", *encoding.tokens], rows, caption) + message(
        f"The two least alike: {cosines.min():.2f}."
    )


def end_of_sublayer(part, sublayer_states: torch.Tensor, residual: torch.Tensor, keep: float) -> torch.Tensor:
    """What `course_utils.bert.AddAndNorm` computes without dropout, with the residual multiplied by `keep`."""
    return part.LayerNorm(keep * residual + part.dense(sublayer_states))


# ------------------------------------------------------------------------------------------------- notebook 10


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
    limit = task.max_length
    if (pieces := len(task.tokenizer.encode(review))) > limit:
        raise ValueError(f"This review has {pieces} pieces; the model reads up to {limit}.")
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


# ------------------------------------------------------------------------------------------------- notebook 13


def cost_calculator(peak: float, bandwidth: float) -> ipw.VBox:
    """Move the sizes of a BERT and of its batch; read parameters, FLOPs, memory and the least time, among the
    known sizes.

    Args:
        peak, bandwidth: FLOPs and bytes a second of the machine for which the time is predicted.
    """
    size = wide(30, 8)

    def choice(name: str, options: list[int], value: int) -> ipw.SelectionSlider:
        return ipw.SelectionSlider(options=options, value=value, description=name, **size)

    return panel(
        lambda layers, hidden, heads, seq_len, batch: cost_html(
            layers, hidden, heads, seq_len, batch, peak, bandwidth
        ),
        layers=ipw.IntSlider(value=12, min=1, max=24, description="Layers", **size),
        hidden=choice("Hidden size", [128, 256, 384, 512, 768, 1024], 768),
        heads=choice("Heads", [1, 2, 4, 6, 8, 12, 16], 12),
        seq_len=choice("Tokens a row", [1, 16, 32, 64, 128, 256, 512], 128),
        batch=choice("Rows", [1, 2, 4, 8, 16, 32, 64], 1),
    )


def cost_html(
    layers: int, hidden: int, heads: int, seq_len: int, batch: int, peak: float, bandwidth: float
) -> str:
    """The chosen model as a row of a table between the published sizes, in the order of their FLOPs."""
    if hidden % heads:
        raise ValueError(
            f"Hidden size {hidden} is no multiple of {heads} heads, and the heads share it equally."
        )
    own = BertConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * hidden
    )
    sizes = {name: BertConfig.named(name) for name in NAMED_SIZES} | {"your model": own}
    costs = {name: cost_of(config, batch, seq_len, peak, bandwidth) for name, config in sizes.items()}
    rows = [
        [
            "→ " + name if name == "your model" else name,
            f"{cost['params'] / 1e6:.1f}",
            f"{cost['flops'] / 1e9:.2f}",
            f"{cost['weights'] / 1e6:.0f}",
            f"{1000 * cost['seconds']:.1f}",
        ]
        for name, cost in sorted(costs.items(), key=lambda item: (item[1]["flops"], item[0]))
    ]
    heads_of_table = ["model", "million parameters", "GFLOP", "weights, MB", "least time, ms"]
    caption = f"{batch} x {seq_len} tokens, fp32, forward, in the order of their FLOPs"
    training = training_bytes(own, batch, seq_len)
    said = (
        f"Your model has {heads} heads of {hidden // heads} numbers each; how many there are changes no cost"
        f" above. Training it: {training / 1e6:,.0f} MB for weights, gradients, Adam's moments and kept"
        " activations."
    )
    return table(heads_of_table, rows, caption) + message(said)


def cost_of(config: BertConfig, batch: int, seq_len: int, peak: float, bandwidth: float) -> dict[str, float]:
    """Parameters, forward FLOPs, bytes of the weights, and least time of a forward pass, for any depth.

    All layers cost the same: the profile of one layer, times their number, and of what stands around them.
    """
    found = _profile(
        config.hidden_size, config.num_attention_heads, config.intermediate_size, 1, batch, seq_len
    )
    layer = next(row for row in found.rows if row.name == "encoder.layer.0")
    more = config.num_hidden_layers - 1
    seconds = 0.0
    for operation in found.operations:
        times = config.num_hidden_layers if operation.module.startswith(layer.name) else 1
        seconds += times * max(operation.flops_by("all") / peak, operation.traffic_bytes / bandwidth)
    return {
        "params": found.totals.params + more * layer.params,
        "flops": found.totals.flops + more * layer.flops,
        "weights": found.totals.weight_bytes + more * layer.weight_bytes,
        "seconds": seconds,
    }


def training_bytes(config: BertConfig, batch: int, seq_len: int) -> int:
    """What a training step holds at once, for any depth, from the profiles of one and of two layers."""
    sizes = config.hidden_size, config.num_attention_heads, config.intermediate_size
    one, two = (sum(_profile(*sizes, layers, batch, seq_len, True).memory.values()) for layers in (1, 2))
    return one + (config.num_hidden_layers - 1) * (two - one)


@functools.lru_cache(maxsize=512)
def _profile(
    hidden: int, heads: int, wide: int, layers: int, batch: int, seq_len: int, training: bool = False
) -> Profile:
    config = BertConfig(
        hidden_size=hidden, num_attention_heads=heads, intermediate_size=wide, num_hidden_layers=layers
    )
    return profile(config, batch, seq_len, training=training)


def roofline_view(machines: dict[str, dict]) -> ipw.VBox:
    """Choose a machine and see its roofline, with the operations of a layer of BERT-base on it.

    Args:
        machines: for each name what `experiments.machine_time.measure` gives.
    """
    choice = ipw.Dropdown(options=list(machines), description="Machine")
    pages = {
        name: roofline_html(measured, name) for name, measured in machines.items()
    }  # a picture takes a while
    return panel(lambda machine: pages[machine], machine=choice)


def roofline_html(measured: dict, name: str) -> str:
    """The roofline as a picture, and the times behind it as a table."""
    from course_utils import plots
    from course_utils.experiments import machine_time

    work = machine_time.work()
    points = {
        kind: (flops / moved, flops / measured["operations"][kind]) for kind, (flops, moved) in work.items()
    }
    picture = plots.roofline(points, measured["peak_flops"], measured["bytes_per_second"], name)
    png = base64.b64encode(picture.png()).decode()
    rows = [
        [kind, f"{flops / 1e6:.1f}", f"{moved / 1e6:.2f}", f"{1e6 * measured['operations'][kind]:,.0f}"]
        for kind, (flops, moved) in work.items()
    ]
    rows += [
        [f"Linear in {dtype}", f"{work['Linear'][0] / 1e6:.1f}", "", f"{1e6 * seconds:,.0f}"]
        for dtype, seconds in measured["dtypes"].items()
    ]
    image = f'<img alt="{html.escape(picture.alt)}" src="data:image/png;base64,{png}" style="max-width:44em">'
    return image + table(
        ["operation", "MFLOP", "MB moved", "microseconds"], rows, f"{name}: one row of 128 tokens"
    )


# ------------------------------------------------------------------------------------------------- notebook 14


def relatives(members: dict[str, dict[str, int]]) -> ipw.VBox:
    """Choose a relative of BERT and a length: parameters, operations and longest text, beside BERT-base's.

    Args:
        members: for each name its "parameters", "layers_run" (layers that a text passes through) and "positions"; the
            first one is what the others are compared with. All have the hidden size of BERT-base.
    """
    member = ipw.Dropdown(options=list(members), value=list(members)[-1], description="Model")
    tokens = ipw.IntSlider(value=128, min=1, max=1024, description="Tokens", **wide(34))
    return panel(lambda member, tokens: relatives_html(members, member, tokens), member=member, tokens=tokens)


def relatives_html(
    members: dict[str, dict[str, int]], member: str, tokens: int, hidden_size: int = 768
) -> str:
    """One relative beside the first one, as a table; refuses a text longer than the relative takes."""
    base = next(iter(members))
    limit = members[member]["positions"]
    if tokens > limit:
        raise ValueError(f"{member} has positions for {limit} tokens; {tokens} do not fit.")

    def flops(name: str) -> int:
        of_a_layer = (
            24 * tokens * hidden_size**2 + 4 * tokens**2 * hidden_size
        )  # all matrix products of a layer
        return members[name]["layers_run"] * of_a_layer

    rows = [
        ["parameters (millions)", *(f"{members[name]['parameters'] / 1e6:.1f}" for name in (member, base))],
        ["layers run", *(members[name]["layers_run"] for name in (member, base))],
        ["GFLOP for this text", *(f"{flops(name) / 1e9:.2f}" for name in (member, base))],
        ["longest text", *(members[name]["positions"] for name in (member, base))],
    ]
    share = members[member]["parameters"] / members[base]["parameters"]
    caption = f"{member}: {share:.0%} of the parameters, {flops(member) / flops(base):.0%} of the operations"
    return table(["", member, base], rows, caption)


# ------------------------------------------------------------------------------------------------- notebook 08


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
    first, second = check_text(first), check_text(second)
    rows, reason = [], ""
    for name, pair in {"first, then second": (first, second), "second, then first": (second, first)}.items():
        encoding = tokenizer.encode(*pair)
        limit = model.config.max_position_embeddings
        if len(encoding) > limit:
            raise ValueError(f"These sentences have {len(encoding)} pieces; the model reads up to {limit}.")
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


# ------------------------------------------------------------------------------------------------- notebook 12


def sense_explorer(
    model, tokenizer, occurrences: list[tuple[str, int, str]], text: str = "the bank was wet after the rain"
) -> ipw.VBox:
    """Type a sentence with the word, move the layer, and see which labelled occurrences lie nearest to it
    there.

    Args:
        occurrences: (sentence, place of the word among its words, sense); the same word in each, one piece a word.
        text: the sentence to begin with.
    """
    places = [place + 1 for _, place, _ in occurrences]  # [CLS] stands before
    batch = {
        name: torch.tensor(rows) for name, rows in tokenizer.batch([s for s, _, _ in occurrences]).items()
    }
    with torch.no_grad():
        states = model.bert(
            batch["input_ids"], batch["attention_mask"], output_hidden_states=True
        ).hidden_states
    rows = torch.arange(len(places))
    known = [
        F.normalize(layer[rows, places], dim=1) for layer in states
    ]  # (occurrences, hidden_size) a layer
    field = ipw.Text(value=text, description="Sentence", **wide(34), continuous_update=True)
    layer = ipw.IntSlider(value=len(known) - 1, min=0, max=len(known) - 1, description="Layer")
    count = ipw.IntSlider(value=6, min=1, max=12, description="Neighbours")
    return panel(
        lambda sentence, depth, k: sense_html(model, tokenizer, occurrences, known, sentence, depth, k),
        sentence=field, depth=layer, k=count,
    )  # fmt: skip


def sense_html(
    model,
    tokenizer,
    occurrences: list[tuple[str, int, str]],
    known: list[torch.Tensor],
    text: str,
    depth: int,
    k: int,
) -> str:
    """The k occurrences whose vectors after `depth` layers have the largest cosine with that of the typed
    sentence.
    """
    encoding = tokenizer.encode(check_text(text))
    limit = model.config.max_position_embeddings
    if len(encoding) > limit:
        raise ValueError(f"This sentence has {len(encoding)} pieces; the model reads up to {limit}.")
    sentence, place, _ = occurrences[0]
    word = sentence.split()[place]
    if word not in encoding.tokens:
        raise ValueError(f"The sentence must hold the word {word!r}.")
    with torch.no_grad():
        states = model.bert(torch.tensor([encoding.input_ids]), output_hidden_states=True).hidden_states
    own = F.normalize(states[depth][0, encoding.tokens.index(word)], dim=0)
    cosines = known[depth] @ own
    best = cosines.topk(min(k, len(occurrences)))
    rows = [
        [occurrences[i][0], occurrences[i][2], f"{cosine:.3f}"]
        for i, cosine in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    senses = [row[1] for row in rows]
    shares = ", ".join(f"{senses.count(sense)} {sense}" for sense in dict.fromkeys(senses))
    where = "before the first layer" if depth == 0 else f"after layer {depth}"
    return table(["nearest sentence", "its sense", "cosine"], rows, f"Nearest to '{word}' {where}: {shares}")


# ------------------------------------------------------------------------------------------------- notebook 11


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
    """The answer in a sentence; then, of the window it was found in, the `k` best starts and ends and [CLS]."""
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
