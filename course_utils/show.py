"""Small numbers on the page: print a matrix with a word before each row, as every notebook does."""

from collections.abc import Sequence


def rows(words: Sequence[str], matrix, columns: Sequence[str] | None = None, digits: int = 2) -> None:
    """Print a matrix (rows, columns) with a word before each row and, if given, a name above each column.

    Booleans print as `yes` and a dot, numbers with `digits` decimals, strings as they are. Tensors without
    dimensions and NumPy's scalars print as the Python numbers that they hold.
    """
    cells = [[_cell(value, digits) for value in row] for row in _to_lists(matrix)]
    if len(words) != len(cells):
        raise ValueError(f"words has {len(words)} entries; the matrix has {len(cells)} rows")
    if columns is not None and any(len(row) != len(columns) for row in cells):
        raise ValueError(f"columns has {len(columns)} entries; the rows of the matrix have {len(cells[0])}")
    lines = ([list(columns)] if columns is not None else []) + cells
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    names = ([""] if columns is not None else []) + list(words)
    margin = max(map(len, names))
    for word, line in zip(names, lines, strict=True):
        print(
            word.rjust(margin),
            *(cell.rjust(width) for cell, width in zip(line, widths, strict=True)),
            sep="  ",
        )


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
