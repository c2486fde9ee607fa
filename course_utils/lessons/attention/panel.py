"""The panel of notebook 04: which token attends to which, in every layer and head."""

import base64
import html
import io

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import encode, message, panel, table, wide

# In tokens. In a longer sentence only the chosen token has its lines, so that the page stays quick.
MOST_WEBS = 64
MAP_CELLS = 48  # a thumbnail has room for no more in a row; each is the largest weight of what it covers
FAINTEST = 0.01  # of the largest weight; no line is drawn for less
MAP_COLOUR = (0.10, 0.46, 0.82)  # seen on white and on black
LINE_COLOUR = "var(--jp-brand-color1, var(--color-brand-primary, currentColor))"

# The tokens that attend and their lines lie in `.tokens`. All lines are faint, but for those of the chosen
# token; while the mouse or else the keyboard is at a token, its own are drawn in full in their place.
STYLE = f"""<style>
.course-attention {{ display: flex; flex-wrap: wrap; gap: 1em 2em; align-items: flex-start;
  margin: 0.4em 0 1em; }}
.course-attention caption, .course-attention p {{ text-align: left; margin: 0 0 0.3em; line-height: 1.4; }}
.course-attention th {{ font-weight: normal; font-size: 0.9em; padding: 0 0.3em; line-height: 1.4; }}
.course-attention td {{ padding: 3px; }}
.course-attention img {{ display: block; width: 3.6em; height: 3.6em; image-rendering: pixelated;
  outline: 1px solid var(--jp-border-color1, var(--color-background-border, currentColor)); }}
.course-attention img.chosen {{ outline: 3px solid {LINE_COLOUR}; }}
.course-attention .web {{ display: grid; grid-template-columns: auto minmax(4em, 16em) 2.6em auto;
  grid-auto-rows: var(--row); line-height: var(--row); }}
.course-attention .tokens {{ display: contents; }}
.course-attention .from {{ grid-column: 1; margin: 1px 0; line-height: calc(var(--row) - 4px);
  padding: 0 0.5em; text-align: right; border: 1px solid var(--jp-border-color1, currentColor);
  border-radius: 2px; }}
.course-attention .from.chosen {{ box-shadow: inset 0 0 0 2px {LINE_COLOUR}; }}
.course-attention .from:hover {{ outline: 2px dashed currentColor; }}
.course-attention .from:focus {{ outline: 3px solid {LINE_COLOUR}; outline-offset: 1px; }}
.course-attention .to {{ grid-column: 4; padding-left: 0.5em; }}
.course-attention .lines {{ grid-column: 2 / span 2; display: grid; grid-template-columns: 1fr 2.6em;
  pointer-events: none; --opacity: 0.06; --numbers: hidden; }}
.course-attention svg {{ width: 100%; height: 100%; stroke: {LINE_COLOUR}; stroke-opacity: var(--opacity); }}
.course-attention line {{ vector-effect: non-scaling-stroke; }}
.course-attention .numbers {{ visibility: var(--numbers); text-align: right;
  font-variant-numeric: tabular-nums; }}
.course-attention .lines.chosen {{ --opacity: 0.85; --numbers: visible; }}
.course-attention .tokens:is(:hover, :focus-within) .lines {{ --opacity: 0.06; --numbers: hidden; }}
.course-attention .tokens .from:hover + .lines,
.course-attention .tokens:not(:hover) .from:focus + .lines {{ --opacity: 0.85; --numbers: visible; }}
</style>"""


class AttentionExplorer(ipw.VBox):
    """Type a sentence, choose layer, head and token, and see what it attends to and what attends to it.

    Controls: `field` (the sentence), `layer`, `head` and `token`, each counted from 0 where the model counts,
    and shown from 1 for layers and heads. Attributes: `tokens`, `weights` (seq_len, seq_len) of the chosen
    head.
    """

    def __init__(self, model, tokenizer, text: str):
        self.model, self.tokenizer = model, tokenizer
        self._text = None  # what `tokens` and the weights belong to
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
        if text == self._text:
            return
        encoding = encode(self.tokenizer, self.model.config.max_position_embeddings, text)
        with torch.no_grad():
            attentions = self.model(torch.tensor([encoding.input_ids]), output_attentions=True).attentions
        self.tokens = encoding.tokens
        self._all_weights = torch.cat(attentions)  # (layers, heads, seq_len, seq_len)
        self._maps = [[map_of(weights) for weights in heads] for heads in self._all_weights]
        self._text = text

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
        given, received = weights[token], weights[:, token]
        rows = [
            [f"{name} attends to", *(f"{w:.2f}" for w in given.tolist()), f"{given.sum():.2f}"],
            [f"attends to {name}", *(f"{w:.2f}" for w in received.tolist()), f"{received.sum():.2f}"],
        ]
        strongest = self.tokens[int(given.argmax())]
        place = f"Token {token + 1} of {len(self.tokens)}"
        said = f"{place}, {name}, attends most to {strongest} ({given.max():.2f})."
        where = f"Layer {layer + 1}, head {head + 1}"
        pictures = thumbnails(self._maps, layer, head) + web(self.tokens, weights.tolist(), token, where)
        numbers = table(["", *self.tokens, "sum"], rows, f"{where}: attention weights")
        return f'{STYLE}{message(said)}<div class="course-attention">{pictures}</div>{numbers}'


def map_of(weights: torch.Tensor) -> str:
    """The attention of one head as the address of a picture: a pixel a weight, the largest opaque."""
    from matplotlib.image import imsave  # here, since it takes a while

    side = min(len(weights), MAP_CELLS)
    cells = torch.nn.functional.adaptive_max_pool2d(weights[None], side)[0]
    pixels = torch.tensor((*MAP_COLOUR, 1.0)).repeat(side, side, 1)
    pixels[:, :, 3] = cells / cells.max()
    png = io.BytesIO()
    imsave(png, pixels.numpy(), format="png")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def thumbnails(maps: list[list[str]], layer: int, head: int) -> str:
    """The maps of all heads, a row for each layer, with a frame round the chosen one."""

    def thumbnail(i: int, j: int) -> str:
        name = f"layer {i + 1}, head {j + 1}"
        chosen = (i, j) == (layer, head)
        said, kind = (f"{name}, chosen", ' class="chosen"') if chosen else (name, "")
        return f'<td><img{kind} src="{maps[i][j]}" alt="{said}" title="{name}" decoding="sync"></td>'

    heads = "".join(f'<th scope="col">head {j + 1}</th>' for j in range(len(maps[0])))
    rows = "".join(
        f'<tr><th scope="row">layer {i + 1}</th>{"".join(thumbnail(i, j) for j in range(len(row)))}</tr>'
        for i, row in enumerate(maps)
    )
    caption = "All heads: rows attend, columns are attended to"
    head_row = f"<thead><tr><td></td>{heads}</tr></thead>"
    return f"<table><caption>{caption}</caption>{head_row}<tbody>{rows}</tbody></table>"


def web(tokens: list[str], weights: list[list[float]], chosen: int, where: str) -> str:
    """The tokens twice, and between them a line for each weight: those of the token that the mouse or the
    keyboard is at, else those of the chosen one.
    """
    n, every = len(tokens), len(tokens) <= MOST_WEBS
    words, largest = [html.escape(token) for token in tokens], max(map(max, weights))

    def lines(i: int, kind: str) -> str:
        drawn = "".join(
            f'<line x2="100" y1="{i + 0.5}" y2="{j + 0.5}" stroke-width="{line_width(w / largest):.2f}"/>'
            for j, w in enumerate(weights[i])
            if w >= FAINTEST * largest
        )
        picture = f'<svg viewBox="0 0 100 {n}" preserveAspectRatio="none">{drawn}</svg>'
        numbers = "<br>".join(f"{w:.2f}" for w in weights[i])
        return (
            f'<div class="lines{kind}" style="grid-row:1/span {n}" aria-hidden="true">{picture}'
            f'<div class="numbers">{numbers}</div></div>'
        )

    def attending(i: int) -> str:
        kind = " chosen" if i == chosen else ""
        best = sorted(range(n), key=lambda j: -weights[i][j])[:3]
        most = ", ".join(f"{words[j]} {weights[i][j]:.2f}" for j in best)
        reach = ' tabindex="0" data-lm-suppress-shortcuts="true"' if every else ""  # see MANNERS in controls
        box = (
            f'<div class="from{kind}" style="grid-row:{i + 1}" role="img"{reach}'
            f' aria-label="{words[i]}, token {i + 1} of {n}, attends most to {most}">{words[i]}</div>'
        )
        return box + (lines(i, kind) if every or kind else "")

    left = "".join(map(attending, range(n)))
    right = "".join(
        f'<div class="to" style="grid-row:{j + 1}" aria-hidden="true">{word}</div>'
        for j, word in enumerate(words)
    )
    how = "Point at a token on the left, or go there with Tab, to see its lines." if every else ""
    row = "2em" if n <= 24 else "1.5em"
    caption = f"{where}: tokens on the left attend to those on the right. {how}"
    return (
        f'<div style="flex:1 1 18em;max-width:32em"><p>{caption}</p>'
        f'<div class="web" style="--row:{row}"><div class="tokens">{left}</div>{right}</div></div>'
    )


def line_width(share: float) -> float:
    """The width in pixels of the line for a weight, given as a share of the head's largest."""
    return 0.5 + 8 * share
