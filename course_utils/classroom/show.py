"""Small numbers on the page: print a matrix with a word before each row, as every notebook does. And the
drawings.
"""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from course_utils import tables
from course_utils.checks import refusal

SVG = "{http://www.w3.org/2000/svg}"


def diagram(name: str) -> None:
    """Show a drawing of the folder img/ ("attention_matrix"), with its own description for those who do not
    see it.

    The drawings belong to the package: a notebook shows them wherever it lies.

    Raises:
        ValueError: for a name that no drawing has.
    """
    from IPython.display import HTML, display

    drawings = {path.stem: path for path in diagram_folder().glob("*.svg")}
    if name not in drawings:
        raise refusal("name", f"one of {', '.join(sorted(drawings))}", repr(name))
    content = drawings[name].read_bytes()
    root = ElementTree.fromstring(content)
    words = html.escape(f"{root.findtext(SVG + 'title')}. {root.findtext(SVG + 'desc')}")
    address = "data:image/svg+xml;base64," + base64.b64encode(content).decode()
    display(HTML(f'<img alt="{words}" src="{address}" style="max-width:100%">'))


def diagram_folder() -> Path:
    """The folder of the drawings: part of the installed package, or beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    return package / "img" if (package / "img").is_dir() else package.parent / "img"


def rows(words: Sequence[str], matrix, columns: Sequence[str] | None = None, digits: int = 2) -> None:
    """Print a matrix (rows, columns) with a word before each row and, if given, a name above each column.

    Booleans print as `yes` and a dot, numbers with `digits` decimals, strings as they are. Tensors without
    dimensions and NumPy's scalars print as the Python numbers that they hold.
    """
    cells = [[_cell(value, digits) for value in row] for row in _to_lists(matrix)]
    if len(words) != len(cells):
        raise refusal("words", f"one for each of {len(cells)} rows", len(words))
    if columns is not None and any(len(row) != len(columns) for row in cells):
        raise refusal("columns", f"one for each of {len(cells[0])} columns", len(columns))
    lines = ([list(columns)] if columns is not None else []) + cells
    names = ([""] if columns is not None else []) + list(words)
    print(*tables.aligned([[name, *line] for name, line in zip(names, lines, strict=True)], 0), sep="\n")


def _to_lists(matrix) -> list[list]:
    return matrix.tolist() if hasattr(matrix, "tolist") else [list(row) for row in matrix]


def _cell(value, digits: int) -> str:
    if getattr(value, "ndim", None) == 0:  # a tensor of one number, or a scalar of NumPy
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "·"
    if isinstance(value, float):
        return f"{value:z.{digits}f}"  # what rounds to 0 has no sign: it may differ between processors
    return str(value)
