"""Figures in one house style, none of them without words.

Every function returns a :class:`Picture`: a matplotlib figure and the text that stands in for it. A picture
without such a text cannot be made. Beyond that, the style keeps four promises:

- **Light and dark pages.** A figure brings its own near-white paper and dark ink, so no theme can swallow it.
- **No colour needed.** Lines differ in dashes and markers and carry their names; cells carry marks, numbers
  or hatching. The colours lie at least nine steps of lightness apart (CIE L*), so they also differ in
  greyscale and to colour-blind eyes.
- **Room on a slide.** No figure is larger than 9.6 x 5.4 inches, 922 x 518 pixels of a slide of 1280 x 720;
  no letter is smaller than 9 points.
- **Small and stable.** A PNG names neither its program nor its date: one version of matplotlib, one file.

Arguments that hold numbers may be lists, numpy arrays or torch tensors.
"""

import base64
import html
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator
from PIL import Image

PAPER, INK, GREY, LINE = "#FCFBF8", "#1B1E23", "#555B66", "#CFCBC2"
COLOURS = {"navy": "#003A70", "berry": "#9B2257", "rust": "#C14E00", "sky": "#3B93C6"}
DASHES = ("solid", (0, (6, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
MARKERS = ("o", "s", "^", "D")
# From paper to navy; the lightness (CIE L*) of neighbours differs by the same amount.
HEAT = LinearSegmentedColormap.from_list(
    "heat", ["#FCFBF8", "#CED1DC", "#A0A8C0", "#7381A5", "#455C8A", "#003A70"]
)

SMALL, BODY = 9, 11  # points
MAX_WIDTH, MAX_HEIGHT = 9.6, 5.4  # inches
SCREEN_DPI = 96  # CSS pixels of an inch
DPI = 144  # 1.5 picture pixels to a screen pixel: sharp on a projector, and still a small file
LETTER = 0.62 * SMALL / 72  # inches: about the width of a small letter
SMALLEST_CELL, LARGEST_CELL = 0.14, 0.52  # inches
CELL_WITH_NUMBER, NARROW_COLUMN = 0.4, 0.3  # inches
MOST_WITH_NUMBERS = 8

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.facecolor": PAPER,
    "axes.labelcolor": INK,
    "axes.labelsize": BODY,
    "axes.prop_cycle": cycler(color=COLOURS.values(), linestyle=DASHES, marker=MARKERS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": BODY,
    "axes.titleweight": "bold",
    "figure.facecolor": PAPER,
    "figure.figsize": (7.0, 3.8),
    "figure.labelsize": BODY,
    "figure.titlesize": BODY,
    "figure.titleweight": "bold",
    "font.family": "DejaVu Sans",  # it comes with matplotlib: the same letters on every machine
    "font.size": BODY,
    "grid.color": LINE,
    "hatch.color": GREY,
    "hatch.linewidth": 0.8,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 5,
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": SMALL,
    "ytick.color": INK,
    "ytick.labelsize": SMALL,
}

SHORTEST_ALT = 20  # characters
EMPTY_BEGINNINGS = ("image of", "picture of", "figure of", "photo of")


# ----------------------------------------------------------------------------------------------------------
# A figure and its words
# ----------------------------------------------------------------------------------------------------------


def house_style():
    """A context in which figures of your own are drawn in the house style.

    with plots.house_style():
        figure, axes = plt.subplots()
        axes.plot(steps, losses, label="loss")
    plots.show(figure, "The loss falls from 6.1 to 2.0 within 300 steps.")
    """
    return matplotlib.rc_context(STYLE)


@dataclass(frozen=True)
class Picture:
    """A figure with `alt`, the text for those who do not see it: what it shows, not that it is a picture.

    Raises:
        ValueError: if `alt` is shorter than 20 characters, or opens with words like "image of", which a
            screen reader says anyway.
    """

    figure: Figure
    alt: str

    def __post_init__(self):
        if not isinstance(self.alt, str) or len(self.alt.strip()) < SHORTEST_ALT:
            raise ValueError(
                f"alt is {self.alt!r}; it must say what is shown, in {SHORTEST_ALT} characters or more"
            )
        for beginning in EMPTY_BEGINNINGS:
            if self.alt.strip().lower().startswith(beginning):
                raise ValueError(f"alt begins with {beginning!r}; it must begin with what the figure shows")

    def png(self) -> bytes:
        """The figure as a PNG file, on its own paper and cut to its content."""
        buffer = BytesIO()
        with house_style():
            self.figure.savefig(
                buffer,
                format="png",
                dpi=DPI,
                facecolor=PAPER,
                bbox_inches="tight",
                pad_inches=0.12,
                metadata={"Software": None},
            )
        # A table of 256 colours in place of full ones: a third of the size, and no difference to the eye.
        with Image.open(buffer) as full:
            indexed = full.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        small = BytesIO()
        indexed.save(small, format="PNG", optimize=True)
        return small.getvalue()

    def outputs(self) -> list[tuple[dict, dict]]:
        """What a notebook stores: (data, metadata) of the picture, then of the same in words.

        The metadata carry `alt`, and the size at which letters have their size in points. JupyterLab 4 and
        the slides do not read `alt` from there, so the words also stand below the picture, folded away.
        """
        png = self.png()
        width, height = (round(side * SCREEN_DPI / DPI) for side in struct.unpack(">II", png[16:24]))
        words = f"<details><summary>The picture in words</summary>{html.escape(self.alt)}</details>"
        return [
            (
                {"image/png": base64.b64encode(png).decode(), "text/plain": self.alt},
                {"image/png": {"alt": self.alt, "width": width, "height": height}},
            ),
            ({"text/html": words}, {}),
        ]

    def show(self) -> None:
        """Display the picture in a notebook, and close it. Elsewhere nothing is displayed."""
        from matplotlib import pyplot

        if in_notebook():
            from IPython.display import display

            for data, metadata in self.outputs():
                display(data, metadata=metadata, raw=True)
        pyplot.close(self.figure)  # or the notebook would show it once more, without its words

    def _ipython_display_(self) -> None:
        """A picture in the last line of a cell shows itself."""
        self.show()


def show(figure: Figure, alt: str) -> None:
    """Display a figure of your own with its alternative text; see :class:`Picture` for what `alt` must be."""
    Picture(figure, alt).show()


def in_notebook() -> bool:
    """Whether IPython runs, and so somebody can see an output."""
    from IPython.core.interactiveshell import InteractiveShell

    return InteractiveShell.initialized()


# ----------------------------------------------------------------------------------------------------------
# Who looks at whom
# ----------------------------------------------------------------------------------------------------------


def mask_grid(mask, tokens: Sequence[str], title: str | None = None) -> Picture:
    """Who may look at whom: a dot where the token of the row may look at the token of the column.

    Args:
        mask: bool or 0/1, ``(seq_len, seq_len)``, as from :mod:`course_utils.masks`: rows are queries.
        tokens: ``seq_len`` names.
    """
    return mask_grids([(title, mask)], tokens)


def mask_grids(named_masks: Sequence[tuple[str | None, object]], tokens: Sequence[str]) -> Picture:
    """Several masks over the same tokens side by side, from pairs (title, mask)."""
    grids = [(title, square("mask", mask, tokens).astype(bool)) for title, mask in named_masks]
    figure, panels, _ = token_panels(
        [title for title, _ in grids], tokens, "● may look     blank: may not look"
    )
    for axes, (_, mask) in zip(panels, grids, strict=True):
        draw_cells(axes, 0.25 * mask, highest=1)
        rows, columns = mask.nonzero()
        axes.plot(columns + 0.5, rows + 0.5, "o", color=INK, markersize=6 if len(tokens) <= 16 else 3.5)
    return Picture(figure, " ".join(describe_mask(title, mask, tokens) for title, mask in grids))


def attention_grid(weights, tokens: Sequence[str], title: str | None = None, mask=None) -> Picture:
    """Attention weights, a row for each token that looks; see :func:`attention_grids`."""
    return attention_grids([(title, weights)], tokens, None if mask is None else [mask])


def attention_grids(
    named_weights: Sequence[tuple[str | None, object]], tokens: Sequence[str], masks: Sequence | None = None
) -> Picture:
    """Attention weights of several heads or under several masks side by side, in one scale of darkness.

    Numbers stand in the cells for up to eight tokens, if there is room; otherwise a bar explains the shades.

    Args:
        named_weights: pairs (title, weights); weights ``(seq_len, seq_len)``, each row sums to 1.
        tokens: ``seq_len`` names.
        masks: one for each of `named_weights`, True = may look. Cells that are masked and hold exactly 0 are
            hatched; a masked cell with a weight is not, so that a leak shows.
    """
    grids = [(title, square("weights", weights, tokens)) for title, weights in named_weights]
    allowed = [square("mask", mask, tokens).astype(bool) for mask in masks or []]
    if allowed and len(allowed) != len(grids):
        raise ValueError(
            f"masks has {len(allowed)} entries; allowed is one for each of {len(grids)} tables of weights"
        )
    highest = max((float(weights.max()) for _, weights in grids), default=0) or 1.0
    note = "hatched: masked, a weight of exactly 0" if allowed else None
    figure, panels, cell = token_panels([title for title, _ in grids], tokens, note)
    numbers = len(tokens) <= MOST_WITH_NUMBERS and cell >= CELL_WITH_NUMBER
    for i, (axes, (_, weights)) in enumerate(zip(panels, grids, strict=True)):
        mesh = draw_cells(axes, weights, highest)
        hidden = ~allowed[i] & (weights == 0) if allowed else np.zeros_like(weights, dtype=bool)
        for row, column in zip(*hidden.nonzero(), strict=True):
            axes.add_patch(
                Rectangle((column, row), 1, 1, fill=False, hatch="////", edgecolor=GREY, linewidth=0)
            )
        if numbers:
            for row, column in zip(*(~hidden).nonzero(), strict=True):
                write_in_cell(
                    axes, row, column, f"{weights[row, column]:.2f}", HEAT(weights[row, column] / highest)
                )
    if not numbers:
        add_bar(figure, panels, mesh)
    every_row = len(grids) * len(tokens) <= 2 * MOST_WITH_NUMBERS
    return Picture(
        figure, " ".join(describe_weights(title, weights, tokens, every_row) for title, weights in grids)
    )


def moved_positions(differences: dict[str, Sequence[float]], tokens: Sequence[str], changed: int) -> Picture:
    """Which tokens' vectors moved when one token was replaced: a row for each mask, a cell for each token.

    Args:
        differences: for each mask's name the largest absolute change of each token's vector, ``(seq_len,)``.
            Exactly 0 means that no bit changed; anything else, however small, has moved.
        tokens: ``seq_len`` names.
        changed: the position that was replaced.
    """
    if not differences:
        raise ValueError("differences is empty; it needs at least one mask")
    if not 0 <= changed < len(tokens):
        raise ValueError(f"changed is {changed}; allowed is 0 to {len(tokens) - 1}")
    amounts = np.stack([as_numbers(values) for values in differences.values()])
    if amounts.shape != (len(differences), len(tokens)) or not (amounts >= 0).all():
        raise ValueError(
            f"differences must hold {len(tokens)} amounts >= 0 for each mask, one for each token"
        )
    cell = min(1.1, (MAX_WIDTH - 0.3 - LETTER * max(map(len, differences))) / len(tokens))
    if cell < 5 * LETTER:
        raise ValueError(f"tokens has {len(tokens)} entries; there is no room to name so many")
    with house_style():
        figure = Figure(figsize=(cell * len(tokens), 0.55 * len(differences)))
        axes = figure.add_axes((0, 0, 1, 1))
        draw_cells(axes, 0.75 * (amounts > 0), highest=1)
        for (row, column), amount in np.ndenumerate(amounts):
            text = f"moved\n{short_number(amount)}" if amount else "same\nbits"
            write_in_cell(axes, row, column, text, HEAT(0.75 * bool(amount)))
        name_columns(axes, tokens, cell)
        axes.get_xticklabels()[changed].set_fontweight("bold")
        axes.add_patch(
            Rectangle((changed, 0), 1, len(amounts), fill=False, edgecolor=COLOURS["rust"], linewidth=2.5)
        )
        axes.text(changed + 0.5, -0.12, "replaced", ha="center", va="bottom", size=SMALL, weight="bold")
        axes.set_yticks(np.arange(len(amounts)) + 0.5, list(differences))
    names = numbered(tokens)
    sentences = [f"What moved when {names[changed]} was replaced."]
    for name, row in zip(differences, amounts, strict=True):
        moved = [
            f"{token} by {short_number(amount)}" for token, amount in zip(names, row, strict=True) if amount
        ]
        same = [token for token, amount in zip(names, row, strict=True) if not amount]
        sentences.append(f"{name}: moved {listed(moved)}; the same to the last bit {listed(same)}.")
    return Picture(figure, " ".join(sentences))


def square(name: str, table, tokens: Sequence[str]) -> np.ndarray:
    """`table` as an array ``(seq_len, seq_len)`` of finite numbers, or a ValueError."""
    array = as_numbers(table)
    if array.shape != (len(tokens), len(tokens)):
        raise ValueError(
            f"{name} has the shape {array.shape}; with {len(tokens)} tokens allowed is {(len(tokens),) * 2}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a value that is not finite; allowed are finite numbers")
    return array


def as_numbers(values) -> np.ndarray:
    """Lists, arrays and tensors (also those that want a gradient) as float64."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)


def token_panels(
    titles: Sequence[str | None], tokens: Sequence[str], note: str | None
) -> tuple[Figure, list[Axes], float]:
    """Empty square panels with tokens at both axes, in the arrangement that leaves the largest cells.

    Returns the figure, one Axes for each title, and the side of a cell in inches.
    """
    if not titles:
        raise ValueError("there is nothing to draw; allowed is one grid or more")
    gap, title_height, axis_label, bar = 0.25, 0.3, 0.3, 1.0  # inches
    names = (
        LETTER * max(map(len, tokens)) + 0.1
    )  # the longest name, beside the rows or, upright, below the columns
    below = names + axis_label + (0.25 if note else 0)

    def cell_of(columns: int) -> float:
        rows = -(-len(titles) // columns)
        width = MAX_WIDTH - 0.3 - axis_label - names - bar - gap * (columns - 1)
        height = MAX_HEIGHT - 0.3 - below - title_height * rows - gap * (rows - 1)
        return min(width / (columns * len(tokens)), height / (rows * len(tokens)), LARGEST_CELL)

    columns = max(range(1, len(titles) + 1), key=cell_of)
    if (cell := cell_of(columns)) < SMALLEST_CELL:
        raise ValueError(
            f"{len(titles)} grid(s) of {len(tokens)} tokens leave cells of {cell:.2f} inches on a slide; "
            f"allowed is {SMALLEST_CELL} or more: draw fewer"
        )
    rows, side = -(-len(titles) // columns), cell * len(tokens)
    left, right = axis_label + names, axis_label + names + columns * side + (columns - 1) * gap
    height = below + rows * (side + title_height) + (rows - 1) * gap
    with house_style():
        figure = Figure(figsize=(right, height))
        panels = []
        for i, title in enumerate(titles):
            row, column = divmod(i, columns)
            x = left + column * (side + gap)
            y = height - (row + 1) * (side + title_height) - row * gap
            axes = figure.add_axes((x / right, y / height, side / right, side / height), title=title or "")
            axes.set_yticks(np.arange(len(tokens)) + 0.5, tokens if column == 0 else [""] * len(tokens))
            name_columns(axes, tokens if i + columns >= len(titles) else [""] * len(tokens), cell)
            panels.append(axes)
        middle = (left + right) / 2 / right
        under = below - names * (0.8 if cell > NARROW_COLUMN else 1)
        grids_middle = (below + height - title_height) / 2 / height
        figure.text(0.1 / right, grids_middle, "token that looks", rotation=90, ha="left", va="center")
        figure.text(middle, under / height, "token looked at", ha="center", va="top")
        if note:
            figure.text(middle, (under - 0.25) / height, note, ha="center", va="top", size=SMALL)
    return figure, panels, cell


def name_columns(axes: Axes, tokens: Sequence[str], cell: float) -> None:
    """The tokens as labels below columns of `cell` inches, turned where one would touch the next."""
    axes.set_xticks(np.arange(len(tokens)) + 0.5, tokens)
    if LETTER * max(map(len, tokens)) <= cell - 0.05:
        return
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    for label in axes.get_xticklabels():
        label.set(**(slanted if cell > NARROW_COLUMN else {"rotation": 90}))


def add_bar(figure: Figure, panels: Sequence[Axes], mesh) -> None:
    """The scale of darkness, right of the panels and as high as they are together."""
    bottom = min(axes.get_position().y0 for axes in panels)
    top = max(axes.get_position().y1 for axes in panels)
    width = figure.get_figwidth()
    with house_style():
        axes = figure.add_axes((1 + 0.2 / width, bottom, 0.15 / width, top - bottom))
        bar = figure.colorbar(mesh, cax=axes, label="attention weight")
        bar.outline.set_edgecolor(LINE)


def draw_cells(axes: Axes, values: np.ndarray, highest: float):
    """One cell for each value, row 0 on top, from paper (0) to navy (`highest`), with lines between them."""
    mesh = axes.pcolormesh(values, cmap=HEAT, vmin=0, vmax=highest, edgecolors=LINE, linewidth=0.8)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return mesh


def write_in_cell(axes: Axes, row: int, column: int, text: str, fill: tuple) -> None:
    """Text in the middle of a cell, black or white: whichever stands out more from `fill`, an RGBA colour."""
    luminance = relative_luminance(fill[:3])
    colour = "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"
    axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", size=SMALL, color=colour)


def relative_luminance(rgb: Sequence[float]) -> float:
    """How bright an sRGB colour is, from 0 (black) to 1 (white). Source: WCAG 2.2, relative luminance."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# ----------------------------------------------------------------------------------------------------------
# Losses and predictions
# ----------------------------------------------------------------------------------------------------------


def loss_against_floors(
    log: Sequence[dict], floors: dict[str, float], key: str = "held_out", last_step: int | None = None
) -> Picture:
    """The loss step by step, above the lowest losses that are possible with less and with more context.

    Args:
        log: entries with "step" and `key`, a loss in nats, as :mod:`course_utils.pretraining` writes them.
        floors: nats for each rung of context, at most four, as from ``toy_language.Floors.mean``.
        key: which loss.
        last_step: where the axis of steps ends; the last entry's step if None.
    """
    if not log or any(key not in entry for entry in log):
        raise ValueError(f"log has no entry, or one without {key!r}; every entry needs 'step' and {key!r}")
    if not 1 <= len(floors) <= len(DASHES):
        raise ValueError(f"floors has {len(floors)} entries; allowed is 1 to {len(DASHES)}")
    steps, losses = [entry["step"] for entry in log], [float(entry[key]) for entry in log]
    name = key.replace("_", "-")
    with house_style():
        figure = Figure(figsize=(7.6, 4.2))
        axes = figure.add_axes((0.09, 0.13, 0.66, 0.84))
        height = 0.84 * 4.2
        for (rung, floor), dashes in zip(floors.items(), DASHES[::-1], strict=False):
            axes.axhline(floor, color=COLOURS["rust"], linestyle=dashes, linewidth=1.6, label=rung)
        axes.plot(
            steps,
            losses,
            color=COLOURS["navy"],
            linestyle="solid",
            marker="o",
            markevery=-(-len(steps) // 20),
            label=name,
        )
        low, high = min([*losses, *floors.values()]), max([*losses, *floors.values()])
        margin = 0.06 * (high - low or 1)
        axes.set_ylim(low - margin, high + margin)
        axes.set_xlim(min(0, steps[0]), max(last_step or 0, steps[-1], 1))
        axes.set_xlabel("step")
        axes.set_ylabel(f"{name} loss (nats)")
        ends = {f"{rung} floor {floor:.2f}": (1, floor) for rung, floor in floors.items()}
        ends[f"model {losses[-1]:.2f}"] = (steps[-1] / axes.get_xlim()[1], losses[-1])
        line_height = 1.35 * BODY / 72 / height * (high - low + 2 * margin)
        places = spread([y for _, y in ends.values()], line_height)
        for (text, end), place in zip(ends.items(), places, strict=True):
            axes.annotate(
                text,
                xy=end,
                xytext=(1.04, place),
                xycoords=axes.get_yaxis_transform(),
                textcoords=axes.get_yaxis_transform(),
                va="center",
                weight="bold" if text.startswith("model") else "normal",
                arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 2, "shrinkB": 0},
            )
    passed = [rung for rung, floor in floors.items() if losses[-1] < floor]
    alt = (
        f"The {name} loss goes from {losses[0]:.2f} nats at step {steps[0]} "
        f"to {losses[-1]:.2f} at step {steps[-1]}. "
        f"Floors: {listed([f'{rung} {floor:.2f}' for rung, floor in floors.items()])}. "
        f"The last loss lies below {listed([f'the {rung} floor' for rung in passed])}."
    )
    return Picture(figure, alt)


class LiveLoss:
    """Draws :func:`loss_against_floors` anew in one place while a model trains.

    Notebook 09 calls it from the ``on_log`` of :func:`pretraining.run`, after every few steps. The last state
    stays behind as an ordinary output with its words. A log that is not longer than the one before belongs to
    a new run, and gets a new place.
    """

    def __init__(self, key: str = "held_out", last_step: int | None = None):
        self.key, self.last_step = key, last_step
        self.entries_shown, self.handles = 0, []

    def __call__(self, log: Sequence[dict], floors: dict[str, float]) -> None:
        picture = loss_against_floors(log, floors, self.key, self.last_step)
        is_new_run, self.entries_shown = len(log) <= self.entries_shown, len(log)
        if not in_notebook():
            return
        from IPython.display import display

        outputs = picture.outputs()
        if is_new_run or not self.handles:
            self.handles = [
                display(data, metadata=metadata, raw=True, display_id=True) for data, metadata in outputs
            ]
        else:
            for handle, (data, metadata) in zip(self.handles, outputs, strict=True):
                handle.update(data, metadata=metadata, raw=True)


def bars(
    labels: Sequence[str],
    series: dict[str, Sequence[float]],
    xlabel: str = "probability",
    title: str | None = None,
    number_format: str = ".2f",
) -> Picture:
    """Horizontal bars with their numbers: one row for each label, and in it one bar for each series.

    Args:
        labels: names of the rows, from top to bottom.
        series: one or two, as {"model": [...], "perfect model": [...]}: for each name one value >= 0 a label.
        xlabel: what the values are, and their unit.
    """
    if not 1 <= len(series) <= 2:
        raise ValueError(f"series has {len(series)} entries; allowed is 1 or 2")
    values = {name: as_numbers(numbers) for name, numbers in series.items()}
    for name, numbers in values.items():
        if not labels or numbers.shape != (len(labels),) or not (numbers >= 0).all():
            raise ValueError(
                f"series[{name!r}] must hold one value >= 0 for each of the {len(labels)} labels"
            )
    row, thickness = 0.24 * len(series) + 0.14, 0.8 / len(series)
    if (height := row * len(labels) + 1.0) > MAX_HEIGHT:
        raise ValueError(
            f"labels has {len(labels)} entries, which need {height:.1f} inches; allowed is {MAX_HEIGHT}"
        )
    with house_style():
        figure = Figure(figsize=(6.6, height), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(labels))
        looks = [
            {"color": COLOURS["navy"]},
            {"facecolor": PAPER, "edgecolor": COLOURS["rust"], "hatch": "////"},
        ]
        for i, ((name, numbers), look) in enumerate(zip(values.items(), looks, strict=False)):
            drawn = axes.barh(
                places + (i - (len(series) - 1) / 2) * thickness,
                numbers,
                0.86 * thickness,
                label=name,
                **look,
            )
            axes.bar_label(drawn, fmt=f"{{:{number_format}}}", padding=4, size=SMALL)
        axes.set_yticks(places, labels)
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.12)
        axes.set_xlim(left=0)
        axes.set_xlabel(xlabel)
        axes.set_title(title or "", loc="left")
        if len(series) == 2:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    rows = [
        f"{label}: " + ", ".join(f"{name} {numbers[i]:{number_format}}" for name, numbers in values.items())
        for i, label in enumerate(labels)
    ]
    return Picture(figure, f"{title + '. ' if title else ''}Bars of {xlabel}. {'; '.join(rows)}.")


def curves(
    x: Sequence[float],
    series: dict[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    log: bool | str = False,
) -> Picture:
    """Up to four lines over the same x, told apart by dashes and markers and named in a legend.

    Args:
        x: places on the axis, rising.
        series: {"divided": [...], "not divided": [...]}: for each name one value for each x.
        log: draw both axes by factors, or with "y" the values alone; what is drawn by factors must be above 0.
    """
    if not 1 <= len(series) <= len(DASHES):
        raise ValueError(f"series has {len(series)} entries; allowed is 1 to {len(DASHES)}")
    places = as_numbers(x)
    if places.ndim != 1 or len(places) < 2 or not (np.diff(places) > 0).all():
        raise ValueError("x must hold two numbers or more, each larger than the one before")
    values = {name: as_numbers(numbers) for name, numbers in series.items()}
    for name, numbers in values.items():
        if numbers.shape != places.shape or not np.isfinite(numbers).all():
            raise ValueError(f"series[{name!r}] must hold one finite number for each of the {len(places)} x")
        if log and not ((log == "y" or places[0] > 0) and (numbers > 0).all()):
            raise ValueError(f"log is {log!r}; allowed are only x and series[{name!r}] above 0")
    with house_style():
        figure = Figure(figsize=(7.0, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for name, numbers in values.items():
            axes.plot(places, numbers, label=name)
        if log == "y":
            axes.set_yscale("log")
        elif log:
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.set_xticks(places, [f"{place:g}" for place in places])
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        elif (places == places.round()).all():
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no layer 0.5
        axes.grid(axis="y")
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title or "", loc="left")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    # Nobody wants to hear a hundred numbers: of many places about twenty are read out.
    told = (
        np.arange(len(places))
        if len(places) <= 30
        else np.linspace(0, len(places) - 1, 21).round().astype(int)
    )
    lines = [
        f"{name}: " + ", ".join(f"{numbers[i]:.3g} at {places[i]:g}" for i in told)
        for name, numbers in values.items()
    ]
    start = f"{title}. " if title else ""
    some = "" if len(told) == len(places) else f" at {len(told)} of {len(places)} places"
    return Picture(figure, f"{start}Lines of {ylabel} over {xlabel}{some}. {'; '.join(lines)}.")


def cut_rows(cuts: dict[str, Sequence[str]]) -> Picture:
    """How vocabularies cut one text: a row for each, a box for each piece. Boxes of one word touch.

    Args:
        cuts: for each row's name the pieces of the text, as from ``WordPieceTokenizer.tokenize``. The marks
            `##` are not drawn.
    """
    if not cuts or not all(cuts.values()):
        raise ValueError("cuts must hold at least one row, and at least one piece in each")
    letter = 0.23  # inches: room for a wide letter and the borders of its box
    laid_out = {name: lay_out_pieces(pieces) for name, pieces in cuts.items()}
    longest = max(boxes[-1][1] for boxes in laid_out.values())
    names = LETTER * max(len(f"{name}: {len(cuts[name])}") for name in cuts) + 0.2
    if (width := longest * letter + names) > MAX_WIDTH - 0.3 or 0.5 * len(cuts) > MAX_HEIGHT - 0.3:
        raise ValueError(
            f"cuts has {len(cuts)} rows of up to {longest} letters and spaces; a slide has no room for them"
        )
    with house_style():
        figure = Figure(figsize=(width, 0.5 * len(cuts)))
        axes = figure.add_axes((names / width, 0, 1 - names / width, 1))
        for row, boxes in enumerate(laid_out.values()):
            for i, (start, end, part) in enumerate(boxes):
                fill = HEAT(0.2) if i % 2 else PAPER
                box = Rectangle(
                    (start, row + 0.15), end - start, 0.7, facecolor=fill, edgecolor=COLOURS["navy"]
                )
                axes.add_patch(box)
                axes.text((start + end) / 2, row + 0.5, part, ha="center", va="center", size=SMALL)
        axes.set_xlim(-0.1, longest + 0.1)
        axes.set_ylim(len(cuts), 0)
        axes.set_yticks(
            np.arange(len(cuts)) + 0.5, [f"{name}: {len(pieces)}" for name, pieces in cuts.items()]
        )
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    rows = [f"{name}: {len(pieces)} pieces, {' '.join(pieces)}" for name, pieces in cuts.items()]
    return Picture(figure, f"One text in pieces. {'; '.join(rows)}.")


def lay_out_pieces(pieces: Sequence[str]) -> list[tuple[int, int, str]]:
    """(start, end, letters) of each piece in a line, in letters: a gap of one before each new word."""
    boxes, end = [], 0
    for piece in pieces:
        part = piece.removeprefix("##")
        start = end + (end > 0 and part == piece)
        end = start + len(part)
        boxes.append((start, end, part))
    return boxes


def word_maps(
    panels: Sequence[tuple[str, object]], words: Sequence[str], groups: dict[str, Sequence[str]], named: str
) -> Picture:
    """The same words at several moments, all panels in one plane: markers say the group, one word is named.

    The plane is the one through the middles of the groups in the last panel (for four groups, the one nearest
    to them); the vectors of all panels are projected on it, so that movement is movement. The named word has
    no part in its choice.

    Args:
        panels: pairs (title, vectors), at most four; vectors ``(len(words), dim)``.
        words: the word of each row.
        groups: three or four groups of words; words of no group are not drawn, except `named`.
        named: the word that gets a ring and its name.
    """
    if not 1 <= len(panels) <= 4 or not 3 <= len(groups) <= len(MARKERS):
        raise ValueError(
            f"there are {len(panels)} panels and {len(groups)} groups; allowed are 1 to 4 and 3 to"
            f" {len(MARKERS)}"
        )
    row = {word: i for i, word in enumerate(words)}
    wanted = [word for group in groups.values() for word in group] + [named]
    if missing := [word for word in wanted if word not in row]:
        raise ValueError(
            f"words lacks {listed(missing)}; every word of a group, and the named one, must be in it"
        )
    shown = [row[word] for word in wanted]
    moments = [(title, as_numbers(vectors)[shown]) for title, vectors in panels]
    last = as_numbers(panels[-1][1])
    middles = np.stack([last[[row[word] for word in group]].mean(axis=0) for group in groups.values()])
    centre = middles.mean(axis=0)
    plane = np.linalg.svd(middles - centre)[2][:2].T  # (dim, 2)
    plane *= np.where(
        plane[np.abs(plane).argmax(axis=0), [0, 1]] < 0, -1, 1
    )  # a sign that does not depend on luck
    places = [(title, (vectors - centre) @ plane) for title, vectors in moments]
    reach = 1.12 * max(np.abs(place).max() for _, place in places)
    side = min(2.3, (MAX_WIDTH - 0.4) / len(panels) - 0.1)
    with house_style():
        figure = Figure(figsize=((side + 0.1) * len(panels), side + 0.75), layout="constrained")
        for axes, (title, place) in zip(np.atleast_1d(figure.subplots(1, len(panels))), places, strict=True):
            start = 0
            looks = zip(groups.items(), COLOURS.values(), MARKERS, strict=False)
            for (group, members), colour, marker in looks:
                x, y = place[start : start + len(members)].T
                axes.plot(x, y, marker, color=colour, label=group, alpha=0.85)
                start += len(members)
            axes.plot(
                *place[-1], "o", color=INK, markersize=11, fillstyle="none", markeredgewidth=1.8, label=named
            )
            axes.set(
                xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal", title=title
            )
            axes.spines[:].set(visible=True, color=LINE)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(groups) + 1)
    alt = f"The vectors of {len(shown)} words in one plane. " + " ".join(
        f"{title}: {describe_groups(place, list(groups.items()), named)}" for title, place in places
    )
    return Picture(figure, alt)


def describe_groups(place: np.ndarray, groups: list[tuple[str, Sequence[str]]], named: str) -> str:
    """How tight each group is and how far the named word is from each, in words; it is the last row."""
    parts, start = [], 0
    for name, members in groups:
        own = place[start : start + len(members)]
        middle = own.mean(axis=0)
        spread_of_group = np.linalg.norm(own - middle, axis=1).mean()
        distance = np.linalg.norm(place[-1] - middle)
        parts.append(f"{name} within {spread_of_group:.1f} of its middle, '{named}' {distance:.1f} from it")
        start += len(members)
    return "; ".join(parts) + "."


def point_maps(panels: Sequence[tuple[str, object]], labels: Sequence[str]) -> Picture:
    """Labelled points at several moments, each panel in its own plane: the one in which its points differ
    most.

    The plane holds the first two principal components of the panel's vectors. The labels have no part in its
    choice.

    Args:
        panels: pairs (title, vectors), at most four; vectors ``(len(labels), size)``.
        labels: what each row is, two to four different ones; the markers show them.
    """
    kinds = list(dict.fromkeys(labels))
    if not 1 <= len(panels) <= 4 or not 2 <= len(kinds) <= len(MARKERS):
        raise ValueError(
            f"there are {len(panels)} panels and {len(kinds)} different labels; allowed are 1 to 4 and 2 to"
            f" {len(MARKERS)}"
        )
    side = min(2.3, (MAX_WIDTH - 0.4) / len(panels) - 0.1)
    said = []
    with house_style():
        figure = Figure(figsize=((side + 0.1) * len(panels), side + 0.75), layout="constrained")
        for axes, (title, vectors) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
        ):
            centred = as_numbers(vectors)
            if centred.ndim != 2 or len(centred) != len(labels):
                raise ValueError(
                    f"{title!r} has the shape {centred.shape}; with {len(labels)} labels one row each is"
                    " wanted"
                )
            centred = centred - centred.mean(axis=0)
            lengths, plane = np.linalg.svd(centred, full_matrices=False)[1:]
            plane = plane[:2] * np.where(plane[:2].sum(axis=1, keepdims=True) < 0, -1, 1)
            place = centred @ plane.T
            share = (lengths[:2] ** 2).sum() / max((lengths**2).sum(), 1e-12)
            middles = []
            for kind, colour, marker in zip(kinds, COLOURS.values(), MARKERS, strict=False):
                own = place[[label == kind for label in labels]]
                middles.append(own.mean(axis=0))
                fill = colour if marker == "o" else "none"
                axes.plot(*own.T, marker, color=colour, markerfacecolor=fill, label=kind, alpha=0.75)
            axes.set(xticks=[], yticks=[], title=title)
            axes.margins(0.1)
            axes.spines[:].set(visible=True, color=LINE)
            spread = np.mean(
                [np.linalg.norm(place[i] - middles[kinds.index(label)]) for i, label in enumerate(labels)]
            )
            apart = np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(middles, 2)])
            said.append(
                f"{title}: middles {apart:.1f} apart, points {spread:.1f} from their own; "
                f"the plane holds {share:.0%} of the variance."
            )
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds))
    counts = listed([f"{list(labels).count(kind)} of '{kind}'" for kind in kinds])
    return Picture(figure, f"{len(labels)} points, {counts}, each panel in its own plane. {' '.join(said)}")


def scatter(x, y, xlabel: str, ylabel: str, title: str | None = None) -> Picture:
    """Points (x, y) in one scale for both axes, with the line on which y equals x.

    Args:
        x, y: numbers, as many of the one as of the other; two or more.
    """
    x, y = as_numbers(x).ravel(), as_numbers(y).ravel()
    if x.shape != y.shape or len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError(
            f"x holds {len(x)} numbers and y {len(y)}; two or more finite ones in each, as many, are wanted"
        )
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.04 * (high - low or 1)
    with house_style():
        figure = Figure(figsize=(4.8, 4.8), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(x, y, "o", color=COLOURS["navy"], markersize=2.5, alpha=0.35, markeredgewidth=0)
        axes.axline((low, low), slope=1, color=COLOURS["rust"], linestyle=DASHES[1], marker="", label="equal")
        limits = (low - margin, high + margin)
        axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel=xlabel, ylabel=ylabel)
        axes.set_title(title or "", loc="left")
        axes.legend(loc="upper left")
    alt = (
        f"{title + '. ' if title else ''}{len(x):,} points: {ylabel} over {xlabel}, beside the line on which"
        f" both are equal. Correlation {np.corrcoef(x, y)[0, 1]:.2f}; x from {x.min():.1f} to {x.max():.1f},"
        f" y from {y.min():.1f} to {y.max():.1f}."
    )
    return Picture(figure, alt)


def roofline(
    points: dict[str, tuple[float, float]], peak: float, bandwidth: float, title: str | None = None
) -> Picture:
    """What operations reach on a machine, under the roof that its peak and its bandwidth make.

    Source: Williams, Waterman and Patterson 2009, "Roofline", Communications of the ACM 52(4).

    Args:
        points: for each operation (arithmetic intensity in FLOP/byte, FLOPs a second), both above 0; 1 to 8.
        peak: FLOPs a second.
        bandwidth: bytes a second.
    """
    numbers = [number for point in points.values() for number in point] + [peak, bandwidth]
    if not 1 <= len(points) <= 8 or not all(0 < number < float("inf") for number in numbers):
        raise ValueError(
            f"points has {len(points)} entries; allowed are 1 to 8, and only finite numbers above 0 in them, "
            "in peak and in bandwidth"
        )
    ridge = peak / bandwidth
    low = min(intensity for intensity, _ in points.values()) / 3
    high = max(ridge, *(intensity for intensity, _ in points.values())) * 4
    with house_style():
        figure = Figure(figsize=(7.0, 4.0), layout="constrained")
        axes = figure.add_subplot()
        roof = [low, ridge, high]
        axes.plot(roof, [min(peak, x * bandwidth) / 1e9 for x in roof], color=INK, marker="", label="roof")
        axes.axvline(
            ridge, color=COLOURS["rust"], linestyle=DASHES[1], linewidth=1.4, label=f"ridge {ridge:.1f}"
        )
        for name, (intensity, speed) in points.items():
            axes.plot(intensity, speed / 1e9, "o", color=COLOURS["navy"], markersize=7)
            # Away from the roof: to the left of it where it climbs, below it where it is flat.
            way, side = ((-9, -3), "right") if intensity < ridge else ((0, -18), "center")
            axes.annotate(
                name, (intensity, speed / 1e9), xytext=way, textcoords="offset points", size=BODY - 1, ha=side
            )
        axes.set(xscale="log", yscale="log", xlim=(low, high))
        axes.set_xlabel("arithmetic intensity (FLOP/byte)")
        axes.set_ylabel("GFLOP/s")
        axes.set_title(title or "", loc="left")
        axes.grid(axis="y")
        axes.legend(loc="lower right")
    said = [
        f"{name}: {speed / 1e9:.3g} GFLOP/s at {intensity:.3g} FLOP/byte, "
        f"{'left' if intensity < ridge else 'right'} of the ridge"
        for name, (intensity, speed) in points.items()
    ]
    return Picture(
        figure,
        f"{title + '. ' if title else ''}A roof that rises to {peak / 1e9:.3g} GFLOP/s and is flat from the"
        f" ridge, {ridge:.3g} FLOP/byte, on. {'; '.join(said)}.",
    )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Places for labels at least `gap` apart, in the order of `places` and as near to them as that allows.

    Labels that touch form a block, and a block stands where the mean of its labels wants to be.
    """
    order = np.argsort(places, kind="stable")
    blocks: list[list[int]] = []

    def bottom(block: list[int]) -> float:
        return float(np.mean([places[i] for i in block])) - gap * (len(block) - 1) / 2

    for i in order.tolist():
        blocks.append([i])
        while len(blocks) > 1 and bottom(blocks[-1]) < bottom(blocks[-2]) + gap * len(blocks[-2]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    placed = {i: bottom(block) + gap * k for block in blocks for k, i in enumerate(block)}
    return [placed[i] for i in range(len(places))]


# ----------------------------------------------------------------------------------------------------------
# Dates
# ----------------------------------------------------------------------------------------------------------


def timeline(events: Sequence[tuple[str, float]], title: str | None = None) -> Picture:
    """Names on an axis of years, each at its date, in rows so that no two overlap.

    Args:
        events: (name, year) with the month as a fraction: October 2018 is 2018 + 9 / 12. At most 30.
    """
    if not 1 <= len(events) <= 30:
        raise ValueError(f"events has {len(events)} entries; allowed is 1 to 30")
    ordered = sorted(events, key=lambda event: event[1])
    first, last = int(ordered[0][1]), int(ordered[-1][1]) + 1
    width = 9.0
    year = (width - 1.9) / (last - first)  # inches; a margin on the right holds the last name
    free: list[float] = []  # for each row, the inch from which it is free
    rows = []
    for name, date in ordered:
        start = (date - first) * year
        row = next((i for i, end in enumerate(free) if end < start), len(free))
        end = start + 0.3 + 1.25 * LETTER * len(name)
        free[row : row + 1] = [end]
        rows.append(row)
    with house_style():
        figure = Figure(figsize=(width, 0.34 * len(free) + 1.1), layout="constrained")
        axes = figure.add_subplot()
        axes.vlines([date for _, date in ordered], -0.7, rows, color=LINE, linewidth=1)
        axes.plot([date for _, date in ordered], rows, "o", color=COLOURS["navy"])
        for (name, date), row in zip(ordered, rows, strict=True):
            axes.annotate(
                name,
                (date, row),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                size=BODY - 1,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
            )
        axes.set_xlim(first - 0.1, first + (width - 0.4) / year)
        axes.set_xticks(range(first, last + 1))
        axes.set_ylim(-0.7, len(free) - 0.3)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("year")
        axes.set_title(title or "", loc="left")
    dates = [f"{name} {int(date)}-{round(12 * (date % 1)) + 1:02d}" for name, date in ordered]
    return Picture(figure, f"{title + '. ' if title else ''}A line of years. In order: {'; '.join(dates)}.")


# ----------------------------------------------------------------------------------------------------------
# The rows of tables
# ----------------------------------------------------------------------------------------------------------


def similarities(table, names: Sequence[str], title: str | None = None) -> Picture:
    """How alike the rows of a table are: the cosine of every pair, darker where it is nearer to 1.

    Args:
        table: one row for each name, ``(rows, size)``, no row all zero; at most ten rows.
        names: what the rows stand for.
    """
    rows = as_numbers(table)
    if rows.ndim != 2 or len(rows) != len(names) or not 2 <= len(rows) <= 10:
        raise ValueError(
            f"table has the shape {rows.shape}; with {len(names)} names allowed is one row each, 2 to 10 rows"
        )
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (lengths > 0).all() or not np.isfinite(lengths).all():
        raise ValueError("table has a row that is all zero or not finite; it has no direction to compare")
    cosines = (rows / lengths) @ (rows / lengths).T
    cell = 0.43  # inches
    with house_style():
        figure = Figure(figsize=(cell * len(names), cell * len(names)))
        axes = figure.add_axes((0, 0, 1, 1), title=title or "")
        shades = np.clip(cosines, 0, 1)
        draw_cells(axes, shades, highest=1)
        for (row, column), cosine in np.ndenumerate(cosines):
            write_in_cell(
                axes, row, column, f"{cosine:.2f}".replace("-0.00", "0.00"), HEAT(shades[row, column])
            )
        axes.set_yticks(np.arange(len(names)) + 0.5, names)
        name_columns(axes, names, cell)
    above = sorted(
        ((cosines[i, j], i, j) for i in range(len(names)) for j in range(i)),
        key=lambda pair: -round(pair[0], 6),
    )
    words = [f"'{names[j]}' and '{names[i]}' {cosine:.2f}" for cosine, i, j in above]
    middle = float(np.median([cosine for cosine, _, _ in above]))
    alt = (
        f"{title + '. ' if title else ''}Cosines between rows of a table, {len(names)} by {len(names)}. "
        f"Most alike: {listed(words[:5])}. Median of all pairs: {middle:.2f}."
    )
    return Picture(figure, alt)


def row_lengths(lengths: Sequence[float], used: int, fresh: float, name: str = "position") -> Picture:
    """How long the rows of a learned table are, against the length of a row that was never touched.

    Args:
        lengths: Euclidean length of row 0, 1, ...
        used: how many rows, from the first, training ever read.
        fresh: the expected length of a freshly drawn row.
        name: what the rows stand for.
    """
    values = as_numbers(lengths)
    if values.ndim != 1 or not 1 <= used < len(values):
        raise ValueError(f"used is {used}; allowed is 1 to one less than the {values.size} lengths")
    with house_style():
        figure = Figure(figsize=(7.0, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(values, color=COLOURS["navy"], linestyle="none", marker="o", markersize=3.5)
        axes.axhline(fresh, color=COLOURS["rust"], linestyle=DASHES[1], linewidth=1.6, marker="none")
        axes.axvline(used - 0.5, color=GREY, linestyle=DASHES[2], linewidth=1.6, marker="none")
        top = 1.25 * float(max(values.max(), fresh))
        axes.set_ylim(0, top)
        axes.set_xlim(-2, len(values) + 1)
        axes.text(used + 1, 0.93 * top, f"longest row in training: {used} {name}s", va="center", size=SMALL)
        axes.text(len(values), fresh + 0.06 * top, f"a fresh row: {fresh:.3f}", ha="right", size=SMALL)
        axes.set_xlabel(name)
        axes.set_ylabel("length of its row")
    alt = (
        f"The length of each of {len(values)} {name} rows. The first {used} have lengths from"
        f" {values[:used].min():.2f} to {values[:used].max():.2f}; the other {len(values) - used} lie between"
        f" {values[used:].min():.2f} and {values[used:].max():.2f}, around {fresh:.3f}, the length of a fresh"
        " row."
    )
    return Picture(figure, alt)


# ----------------------------------------------------------------------------------------------------------
# Learning from few examples
# ----------------------------------------------------------------------------------------------------------


def learning_curves(
    sizes: Sequence[int],
    scores: dict[str, object],
    ylabel: str,
    floor: tuple[str, float],
    title: str | None = None,
) -> Picture:
    """How a score grows with the number of examples: for each rival the mean over seeds, with its lowest and
    highest.

    Args:
        sizes: numbers of examples, rising, at least 1; drawn by factors.
        scores: {"bag of words": table, ...}: up to four, each (len(sizes), seeds).
        floor: what nobody should fall below, as ("coin", 0.5).
    """
    places = as_numbers(sizes)
    if len(places) < 2 or places[0] < 1 or not (np.diff(places) > 0).all():
        raise ValueError("sizes must hold two numbers or more, from 1, each larger than the one before")
    if not 1 <= len(scores) <= len(DASHES):
        raise ValueError(f"scores has {len(scores)} entries; allowed is 1 to {len(DASHES)}")
    tables = {name: as_numbers(table) for name, table in scores.items()}
    for name, table in tables.items():
        if table.ndim != 2 or len(table) != len(places) or not np.isfinite(table).all():
            raise ValueError(
                f"scores[{name!r}] has the shape {table.shape}; allowed is ({len(places)}, seeds)"
            )
    with house_style():
        figure = Figure(figsize=(7.0, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for k, (name, table) in enumerate(tables.items()):
            shifted = places * 1.03 ** (k - (len(tables) - 1) / 2)  # so that the spreads stand side by side
            mean = table.mean(axis=1)
            spread = np.clip([mean - table.min(axis=1), table.max(axis=1) - mean], 0, None)
            axes.errorbar(shifted, mean, yerr=spread, label=name, capsize=3, elinewidth=1.2)
        axes.axhline(floor[1], color=GREY, linestyle=":", linewidth=1.6, marker="none")
        axes.text(places[-1], floor[1], floor[0], ha="right", va="bottom", size=SMALL)
        axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
        axes.grid(axis="y")
        axes.set_xlabel("labelled examples")
        axes.set_ylabel(ylabel)
        axes.set_title(title or "", loc="left")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    lines = [
        f"{name}: "
        + ", ".join(
            f"{row.mean():.2f} ({row.min():.2f} to {row.max():.2f}) at {place:g}"
            for place, row in zip(places, table, strict=True)
        )
        for name, table in tables.items()
    ]
    start = f"{title}. " if title else ""
    return Picture(
        figure,
        f"{start}Lines of {ylabel} over the number of labelled examples, with the lowest and highest seed. "
        f"{'; '.join(lines)}. A dotted line: {floor[0]}, {floor[1]:g}.",
    )


# ----------------------------------------------------------------------------------------------------------
# Words
# ----------------------------------------------------------------------------------------------------------


def numbered(tokens: Sequence[str]) -> list[str]:
    """Token names in quotation marks; those that occur more than once with their position, counted from 1."""
    return [
        f"'{token}' (position {i})" if tokens.count(token) > 1 else f"'{token}'"
        for i, token in enumerate(list(tokens), start=1)
    ]


def listed(items: Sequence[str]) -> str:
    return ", ".join(items) if items else "none"


def short_number(amount: float) -> str:
    """Two decimals, or one digit that counts where two decimals would be 0.00."""
    return f"{amount:.2f}" if amount >= 0.005 else f"{amount:.1g}"


def describe_mask(title: str | None, mask: np.ndarray, tokens: Sequence[str]) -> str:
    """What a mask allows; tokens that may look at the same are named together."""
    start = f"{title or 'Mask'}: {int(mask.sum())} of {mask.size} looks allowed"
    if len(tokens) > MOST_WITH_NUMBERS:
        return f"{start}; row by row {listed([str(count) for count in mask.sum(axis=1)])}."
    names = numbered(tokens)
    lookers: dict[str, list[str]] = {}
    for name, row in zip(names, mask, strict=True):
        seen = [other for other, allowed in zip(names, row, strict=True) if allowed]
        unseen = [other for other, allowed in zip(names, row, strict=True) if not allowed]
        text = listed(seen) if len(seen) <= len(unseen) else f"all but {listed(unseen)}" if unseen else "all"
        lookers.setdefault(text, []).append(name)
    looks = [
        f"{listed(group) if len(lookers) > 1 else 'each token'} at {text}" for text, group in lookers.items()
    ]
    return f"{start}: {'; '.join(looks)}."


def describe_weights(title: str | None, weights: np.ndarray, tokens: Sequence[str], every_row: bool) -> str:
    """What each token looks at most, or only the three strongest looks.

    Of weights that two decimals cannot tell apart the first one counts: the words stay the same on every
    machine.
    """
    names, rounded = numbered(tokens), weights.round(2)
    best = rounded.argmax(axis=1)
    rows = range(len(tokens)) if every_row else np.argsort(-rounded.max(axis=1), kind="stable")[:3]
    looks = [f"{names[row]} to {names[best[row]]} ({rounded[row, best[row]]:.2f})" for row in rows]
    start = "most weight goes from" if every_row else "strongest from"
    return f"{title or 'Attention'}: {start} {listed(looks)}."
