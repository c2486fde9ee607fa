"""A small drawing board for the course's diagrams: it writes SVG, and needs nothing but Python.

Every diagram has a title and a description for those who do not see it, brings its own light paper (so it
reads on dark pages too), uses the letters that the reader's machine has, and points to no other file.
Coordinates are in pixels, from the top left corner. `tests/test_img.py` holds each label to its room.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

PAPER, INK, GREY, LINE = "#FCFBF8", "#1B1E23", "#555B66", "#CFCBC2"
NAVY, RUST, TINT, WARM = "#003A70", "#C14E00", "#CED1DC", "#F4E3D3"
SMALL, BODY, LARGE = 12, 14, 16  # font sizes
# What each colour becomes for readers whose system is dark; lightness turns round, the hue stays.
AT_NIGHT = {
    PAPER: "#16181D", INK: "#ECEAE4", GREY: "#A9AFBA", LINE: "#3A3F48", NAVY: "#7FB2E5", RUST: "#F08A4B",
}  # fmt: skip
FOLDER = Path(__file__).resolve().parent


class Diagram:
    """A drawing of `width` x `height` pixels; call the methods in the order of painting, then `svg`.

    Args:
        title: its name, in a few words.
        description: what it shows, in sentences that can stand in for it; line breaks count as spaces.
        dark: whether it turns dark with the reader's system: for a picture that stands on a page of its own.
    """

    def __init__(self, width: int, height: int, title: str, description: str, dark: bool = False):
        size = f'width="{width}" height="{height}"'
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}"',
            ' font-family="sans-serif" role="img" aria-labelledby="title description">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(" ".join(description.split()))}</desc>',
            *([night()] if dark else []),
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"',
            ' markerUnits="userSpaceOnUse" orient="auto">',
            f'<path d="M0 0L8 4L0 8z" fill="{INK}"/></marker></defs>',
            f'<rect {size} rx="8" fill="{PAPER}"/>',
        ]

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = BODY,
        anchor: str = "middle",
        colour: str = INK,
        bold: bool = False,
        upright: bool = False,
    ) -> None:
        """One line of text; `y` is its middle, `anchor` start, middle or end; `upright` reads upwards."""
        weight = ' font-weight="bold"' if bold else ""
        turn = f' transform="rotate(-90 {x:g} {y:g})"' if upright else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'dominant-baseline="central"{weight}{turn}>{escape(words)}</text>'
        )

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        stroke: str,
        radius: int = 0,
        dashed: bool = False,
    ) -> None:
        """A rectangle without words; `radius` rounds its corners."""
        dashes = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" '
            f'fill="{fill}" stroke="{stroke}"{dashes}/>'
        )

    def box(self, x: float, y: float, width: float, height: float, *lines: str, fill: str = PAPER) -> None:
        """A rectangle with its words in the middle, one line or two; the second line is smaller."""
        self.parts.append('<g class="box">')
        self.rect(x, y, width, height, fill, NAVY, radius=5)
        middle = y + height / 2
        for i, line in enumerate(lines):
            offset = (i - (len(lines) - 1) / 2) * 17
            self.text(x + width / 2, middle + offset, line, BODY if i == 0 else SMALL)
        self.parts.append("</g>")

    def dot(self, x: float, y: float, radius: float = 5) -> None:
        self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{INK}"/>')

    def plus(self, x: float, y: float, radius: float = 11) -> None:
        """A circle with a plus: what comes in is added."""
        arm = radius * 0.55
        pen = f'stroke="{RUST}" stroke-width="2"'
        self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{PAPER}" {pen}/>')
        self.parts.append(f'<path d="M{x - arm:g} {y:g}H{x + arm:g}M{x:g} {y - arm:g}V{y + arm:g}" {pen}/>')

    def arrow(self, *points: tuple[float, float]) -> None:
        """A line through `points` with a tip at its end."""
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        pen = f'stroke="{INK}" stroke-width="1.5" marker-end="url(#tip)"'
        self.parts.append(f'<path class="arrow" d="{path}" fill="none" {pen}/>')

    def line(self, *points: tuple[float, float]) -> None:
        """A line through `points`, without a tip."""
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="1.5"/>')

    def svg(self) -> str:
        """The finished file."""
        return "\n".join([*self.parts, "</svg>", ""])


def night() -> str:
    """Rules that exchange the colours where the reader's system is dark."""
    rules = [
        f'[{use}="{day}"]{{{use}:{dark}}}' for day, dark in AT_NIGHT.items() for use in ("fill", "stroke")
    ]
    return f"<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"


def command(script: str, draw: Callable[[], Diagram]) -> None:
    """`python img/name.py` writes the diagram that `draw` makes; `--help` says so and writes nothing."""
    description = f"Draw img/{Path(script).stem}.svg anew."
    argparse.ArgumentParser(prog=f"python img/{Path(script).name}", description=description).parse_args()
    write(script, draw())


def write(script: str, diagram: Diagram) -> Path:
    """Write the diagram of `script` (its `__file__`) beside it: `img/name.py` draws `img/name.svg`."""
    path = FOLDER / f"{Path(script).stem}.svg"
    path.write_text(diagram.svg(), encoding="utf-8", newline="\n")
    return path
