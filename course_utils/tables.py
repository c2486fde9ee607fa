r"""Tables of text: lines of cells with their columns aligned for a terminal, or as Markdown.

    lines = [["module", "parameters"], ["embeddings", "23,837,184"], ["encoder", "85,054,464"]]
    print(*aligned(lines), sep="\n")      words on the left, numbers on the right

The tables of panels, which are HTML, are drawn by `classroom.controls`.
"""

from collections.abc import Sequence
from typing import Annotated

from course_utils.hints import Natural, check_some, hold_to_hints


def aligned(lines: Annotated[Sequence[Sequence[str]], check_some], words: Natural = 1) -> list[str]:
    """The lines with each column as wide as its longest cell, two spaces apart.

    Args:
        lines: the cells of each line, all lines of one length; the head, if any, is one of them.
        words: so many columns begin on the left; the others, numbers, end on the right.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def markdown(lines: Annotated[Sequence[Sequence[str]], check_some], words: Natural = 1) -> list[str]:
    """The lines of a Markdown table, the first of them its head; `words` as in `aligned`."""
    rule = ["---" if place < words else "---:" for place in range(len(lines[0]))]
    return ["| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:])]


hold_to_hints(globals())
