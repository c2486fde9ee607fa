"""Four processes add up their gradients in a ring, piece by piece."""

from diagram import GREY, INK, LARGE, LINE, NAVY, PAPER, RUST, SMALL, TINT, Diagram, command

NAMES = "ABCD"  # the processes, and what each puts in
FILLS = (PAPER, TINT, "#A0A8C0", NAVY)  # by how many gradients are in a piece
CELL, TOP, LEFT, STEP = 46, 96, 116, 218
SHOWN = {0: "start", 1: "after round 1", 3: "after round 3", 6: "after round 6"}

DESCRIPTION = """
Four grids, one for each of four moments. A row is a process, A to D, a column one of the four pieces into
which each cuts its gradient; a cell names the processes whose gradients are added up in that piece. Start:
each row holds its own letter four times. In each round every process sends one piece, marked by a frame and
an arrow, to the process below it, the last to the first. After round 1: B has AB in piece 1, C has BC in
piece 2, D has CD in piece 3, A has DA in piece 4. After round 3 each process holds one finished piece, with
all four letters; now the finished pieces are passed on. After round 6 every cell holds all four.
"""


def moments() -> dict[int, tuple[list[list[str]], list[tuple[int, int]]]]:
    """What every process holds after so many rounds, and the (process, piece) that it sends next."""
    held, found = [[name] * 4 for name in NAMES], {}
    for turn in range(7):
        first = turn < 3  # three rounds add, three pass the finished pieces on
        sends = [(p, (p - turn) % 4 if first else (p + 4 - turn) % 4) for p in range(4)]
        found[turn] = [row[:] for row in held], sends if turn < 6 else []
        sent = [held[p][piece] for p, piece in sends]
        for (p, piece), what in zip(sends, sent, strict=True):
            to = (p + 1) % 4
            held[to][piece] = what + held[to][piece] if first else what
    return found


def draw() -> Diagram:
    diagram = Diagram(960, 330, "A ring all-reduce of four processes", DESCRIPTION)
    diagram.text(20, 26, "Each sends one piece a round to its neighbour", LARGE, "start", bold=True)
    for p, name in enumerate(NAMES):
        diagram.text(20, TOP + (p + 0.5) * CELL, f"process {name}", anchor="start")
    found = moments()
    for i, (turn, title) in enumerate(SHOWN.items()):
        draw_grid(diagram, LEFT + i * STEP, title, *found[turn])
    note = "Three rounds add, three more pass the finished pieces on; process D sends to process A."
    diagram.text(LEFT, 312, note, SMALL, "start", GREY)
    return diagram


def draw_grid(diagram: Diagram, left: float, title: str, held: list, sends: list) -> None:
    """One moment: who holds what, and below the frame of each piece that is sent next an arrow."""
    diagram.text(left + 2 * CELL, 56, title, bold=True)
    for piece in range(4):
        diagram.text(left + (piece + 0.5) * CELL, TOP - 16, f"{piece + 1}", SMALL, colour=GREY)
    for p, row in enumerate(held):
        for piece, names in enumerate(row):
            x, y, fill = left + piece * CELL, TOP + p * CELL, FILLS[len(names) - 1]
            diagram.rect(x, y, CELL, CELL, fill, LINE)
            colour = PAPER if fill == NAVY else INK
            diagram.text(x + CELL / 2, y + CELL / 2, names, SMALL, colour=colour)
    for p, piece in sends:
        x, y = left + piece * CELL, TOP + p * CELL
        diagram.rect(x + 2, y + 2, CELL - 4, CELL - 4, "none", RUST, radius=4)
        diagram.arrow((x + CELL / 2, y + CELL - 8), (x + CELL / 2, y + CELL + 9))


if __name__ == "__main__":
    command(__file__, draw)
