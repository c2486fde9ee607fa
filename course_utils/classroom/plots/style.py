"""The house style, and a figure with its words: what every other file of this folder draws with."""

import base64
import html
import struct
from dataclasses import dataclass
from io import BytesIO

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image, ImageChops

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
TABLES_OF_COLOURS = (48, 64, 96, 128, 192, 256)
LARGEST_CHANGE = 8  # of 255, of any colour of any pixel, by a table of colours
SCREEN_DPI = 96  # CSS pixels of an inch
DPI = 144  # 1.5 picture pixels to a screen pixel: sharp on a projector, and still a small file
LETTER = 0.62 * SMALL / 72  # inches: about the width of a small letter

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


def house_style():
    """A context in which figures of your own are drawn in the house style.

    with plots.house_style():
        figure, axes = plt.subplots()
        axes.plot(steps, losses, label="loss")
    plots.show(figure, "The loss falls from 6.1 to 2.0 within 300 steps.")
    """
    return matplotlib.rc_context(STYLE)


def with_few_colours(image: Image.Image) -> Image.Image:
    """An RGB image with the smallest table of colours that changes no pixel much, or else with the largest.

    A notebook with many pictures stays small, and the eye sees no difference.
    """
    for size in TABLES_OF_COLOURS:
        indexed = image.quantize(size, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        change = ImageChops.difference(image, indexed.convert("RGB"))
        if max(high for _, high in change.getextrema()) <= LARGEST_CHANGE:
            break
    return indexed


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
        small = BytesIO()
        with Image.open(buffer) as full:
            with_few_colours(full.convert("RGB")).save(small, format="PNG", optimize=True)
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
    """Display a figure of your own with its alternative text; see `Picture` for what `alt` must be."""
    Picture(figure, alt).show()


def in_notebook() -> bool:
    """Whether IPython runs, and so somebody can see an output."""
    from IPython.core.interactiveshell import InteractiveShell

    return InteractiveShell.initialized()


def as_numbers(values) -> np.ndarray:
    """Lists, arrays and tensors (also those that want a gradient) as float64."""
    # NumPy has no bfloat16: a tensor is made wide before it is handed over.
    wide = values.detach().cpu().double() if hasattr(values, "detach") else values
    return np.asarray(wide, dtype=np.float64)
