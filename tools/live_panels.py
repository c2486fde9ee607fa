"""The panels of the reading site, which answer without a kernel: docs/_static/panels.js draws them, and
docs/_static/bert.js computes what they show.

What a notebook's panel is made of stands in the notebook. So the cells that it needs are run here, as
`make browser` runs them, and what they hand to the panel goes into the page as data, beside the first view as
the panel itself draws it: that is what a reader sees without JavaScript, and before the first touch. The
weights of the embedded model go into one script, which a page loads when one of its panels is touched.
"""

import base64
import contextlib
import html
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ipywidgets as ipw
import nbformat
import torch
from nbformat import NotebookNode

from course_utils import checkpoints, widgets
from tools import panel_cells

WEIGHTS = "embedded-weights.js"
UNREAD = ("bert.pooler.", "cls.seq_relationship.")  # parts of the model that no panel asks


@dataclass(frozen=True)
class Panel:
    """One panel of the site: its name in panels.js, what makes it in the notebook, and its data from that."""

    name: str
    maker: str  # of course_utils.widgets
    label: str
    data: Callable[..., dict]  # of the panel, and of what the maker was called with
    embedded: bool = False  # whether it shows the embedded model in place of the notebook's own
    note: str = ""  # what a reader must know who compares it with the notebook's


def blank_data(panel, _model, _tokenizer, *_) -> dict:
    return {"text": panel.children[0].value}


def attention_data(panel, *_) -> dict:
    controls = {name: getattr(panel, name).value for name in ("layer", "head", "token")}
    return {"text": panel.field.value} | controls


def dial_data(panel, model, *_) -> dict:
    controls = panel.children[:4]  # their names are the panel's in the notebook
    names = [control.description for control in controls]
    return {"text": controls[0].value, "layers": len(model.encoder.layer), "names": names}


def mask_data(panel, vectors, tokens) -> dict:
    return {"tokens": tokens, "vectors": vectors.tolist(), "mask": panel.mask.tolist()}


def masking_data(_panel, _model, _tokenizer, _language, sentences) -> dict:
    return {"text": sentences[0], "sentences": sentences}


def neighbour_data(panel, model, _tokenizer, occurrences, *_) -> dict:
    found = [[str(text), int(place), sense] for text, place, sense in occurrences]
    layers = model.config.num_hidden_layers
    return {"text": panel.children[0].value, "occurrences": found, "layers": layers}


DIAL_NOTE = (
    "Here the dial moves the trained model of three layers; in the notebook it moves a fresh one of twelve."
)
PANELS = {
    "00": Panel("fill-blank", "fill_blank", "Fill a blank", blank_data),
    "04": Panel("attention", "AttentionExplorer", "Attention explorer", attention_data),
    "05": Panel("masks", "MaskPlayground", "Mask playground", mask_data),
    "06": Panel("dial", "residual_dial", "Residual dial", dial_data, embedded=True, note=DIAL_NOTE),
    "07": Panel("masking", "masking_playground", "Masking, drawn again", masking_data),
    "12": Panel("neighbours", "sense_explorer", "Neighbours of a word", neighbour_data),
}
NOTICE = (
    "This panel stands still: with JavaScript it answers here, and in JupyterLab it answers in any browser."
)


def weights_script() -> str:
    """The embedded model as a script: configuration, vocabulary, and float32 weights in base64."""
    model, tokenizer = checkpoints.load("embedded")
    numbers, tensors, start = [], [], 0
    for name, tensor in model.state_dict().items():
        if name.startswith(UNREAD) or name == "cls.predictions.decoder.weight":  # tied to the word embeddings
            continue
        tensors.append([name, start, tensor.numel()])
        numbers.append(tensor.float().flatten())
        start += tensor.numel()
    data = torch.cat(numbers).numpy().astype("<f4").tobytes()
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    content = {"config": model.config.to_dict(), "vocab": words, "tensors": tensors}
    content["data"] = base64.b64encode(data).decode("ascii")
    return f"courseWeights({json.dumps(content)});\n"


def place_of(notebook: NotebookNode, panel: Panel) -> int:
    """The number of the cell that makes the panel: the last one that calls its maker."""
    places = [
        place
        for place, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and f"{panel.maker}(" in cell.source
    ]
    if not places:
        raise ValueError(f"expected a cell that calls {panel.maker}, got none")
    return places[-1]


@contextlib.contextmanager
def recorded(maker: str) -> Iterator[list]:
    """While this is open, every panel that `maker` makes is noted, with what it was called with."""
    calls, original = [], getattr(widgets, maker)

    def record(*arguments, **named):
        made = original(*arguments, **named)
        calls.append((made, arguments, named))
        return made

    setattr(widgets, maker, record)
    try:
        yield calls
    finally:
        setattr(widgets, maker, original)


def run_for(notebook: NotebookNode, panel: Panel) -> tuple[dict, str]:
    """The data of a notebook's panel, and its first view in HTML, by running the cells that it needs."""
    if panel.embedded:
        model, tokenizer = checkpoints.load("embedded")
        made = getattr(widgets, panel.maker)(model.bert, tokenizer)
        return panel.data(made, model.bert, tokenizer), view_of(made)
    last, names = place_of(notebook, panel), {"__name__": "__main__"}
    threads = torch.get_num_threads()
    with recorded(panel.maker) as calls, contextlib.redirect_stdout(io.StringIO()):
        for place in panel_cells.needed(notebook):
            if place <= last:
                exec(compile(notebook.cells[place].source, f"cell {place}", "exec"), names)  # noqa: S102
    torch.set_num_threads(threads)
    made, arguments, named = calls[-1]
    return panel.data(made, *arguments, **named), view_of(made)


def view_of(made: ipw.Widget) -> str:
    """The HTML that a panel shows under its controls."""
    if isinstance(made, ipw.HTML):
        return "" if made.layout.display == "none" else made.value
    return "".join(map(view_of, getattr(made, "children", ())))


def section(panel: Panel, data: dict, view: str, weights: str) -> str:
    """One panel as HTML without an empty line, which would end it for Markdown."""
    values = json.dumps(data).replace("</", "<\\/")
    lines = [
        f'<section class="live-panel" aria-label="Panel: {html.escape(panel.label)}"',
        f'data-panel="{panel.name}" data-weights="{html.escape(weights)}">',
        f'<noscript><p class="live-notice">{NOTICE}</p></noscript>',
        *([f'<p class="live-note">{html.escape(panel.note)}</p>'] if panel.note else []),
        f'<div class="live-view">{view}</div>',
        '<p class="live-said" role="status"></p>',
        f'<script type="application/json">{values}</script>',
        "</section>",
    ]
    return "\n".join(lines)


def add_all(source: Path) -> None:
    """Put the weights and every panel into the gathered pages: behind the cell that makes it, and where
    `index.md` says `<!-- panel 00 -->`.
    """
    (source / "_static" / WEIGHTS).write_text(weights_script(), encoding="ascii")
    index = source / "index.md"
    for number, panel in PANELS.items():
        (path,) = (source / "notebooks").glob(f"{number}_*.ipynb")
        notebook = nbformat.read(path, as_version=4)
        data, view = run_for(notebook, panel)
        html_of = partial(section, panel, data, view)
        cell = nbformat.v4.new_markdown_cell(html_of(f"../_static/{WEIGHTS}"))
        notebook.cells.insert(place_of(notebook, panel) + 1, cell)
        nbformat.write(notebook, path)
        text = index.read_text(encoding="utf-8")
        index.write_text(
            text.replace(f"<!-- panel {number} -->", html_of(f"_static/{WEIGHTS}")), encoding="utf-8"
        )
