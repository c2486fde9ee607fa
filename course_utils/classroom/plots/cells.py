"""Tables of cells: masks, attention weights, similarities, what moved, and pieces of a text in their rows."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_utils.checks import refusal
from course_utils.classroom.plots.style import (
    COLOURS,
    GREY,
    HEAT,
    INK,
    LETTER,
    LINE,
    MAX_HEIGHT,
    MAX_WIDTH,
    PAPER,
    SMALL,
    Picture,
    as_numbers,
    house_style,
)
from course_utils.classroom.plots.words import (
    MOST_WITH_NUMBERS,
    describe_mask,
    describe_weights,
    listed,
    numbered,
    short_number,
)

SMALLEST_CELL, LARGEST_CELL = 0.14, 0.52  # inches
CELL_WITH_NUMBER, NARROW_COLUMN = 0.4, 0.3  # inches


def mask_grid(mask, tokens: Sequence[str], title: str | None = None) -> Picture:
    """Which tokens may attend to which: a dot where the token of the row may attend to that of the column.

    Args:
        mask: bool or 0/1, `(seq_len, seq_len)`, as from `course_utils.masks`: rows are queries.
        tokens: `seq_len` names.
    """
    return mask_grids([(title, mask)], tokens)


def mask_grids(named_masks: Sequence[tuple[str | None, object]], tokens: Sequence[str]) -> Picture:
    """Several masks over the same tokens side by side, from pairs (title, mask)."""
    grids = [(title, square("mask", mask, tokens).astype(bool)) for title, mask in named_masks]
    figure, panels, _ = token_panels(
        [title for title, _ in grids], tokens, "● may attend     blank: may not attend"
    )
    for axes, (_, mask) in zip(panels, grids, strict=True):
        draw_cells(axes, 0.25 * mask, highest=1)
        rows, columns = mask.nonzero()
        axes.plot(columns + 0.5, rows + 0.5, "o", color=INK, markersize=6 if len(tokens) <= 16 else 3.5)
    return Picture(figure, " ".join(describe_mask(title, mask, tokens) for title, mask in grids))


def attention_grid(weights, tokens: Sequence[str], title: str | None = None, mask=None) -> Picture:
    """Attention weights, a row for each token that attends; see `attention_grids`."""
    return attention_grids([(title, weights)], tokens, None if mask is None else [mask])


def attention_grids(
    named_weights: Sequence[tuple[str | None, object]],
    tokens: Sequence[str],
    masks: Sequence | None = None,
    outlined: int | None = None,
) -> Picture:
    """Attention weights of several heads or under several masks side by side, in one scale of darkness.

    Numbers stand in the cells for up to eight tokens, if there is room; otherwise a bar explains the shades.

    Args:
        named_weights: pairs (title, weights); weights `(seq_len, seq_len)`, each row sums to 1.
        tokens: `seq_len` names.
        masks: one for each of `named_weights`, True = may attend. Cells that are masked and hold exactly 0
            are hatched; a masked cell with a weight is not, so that a leak shows.
        outlined: the position of a token whose row has a frame, in every table.
    """
    grids = [(title, square("weights", weights, tokens)) for title, weights in named_weights]
    allowed = [square("mask", mask, tokens).astype(bool) for mask in masks or []]
    if allowed and len(allowed) != len(grids):
        raise refusal("masks", f"one for each of {len(grids)} tables of weights", len(allowed))
    if outlined is not None and not 0 <= outlined < len(tokens):
        raise refusal("outlined", f"0 to {len(tokens) - 1}", outlined)
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
        if outlined is not None:
            frame = {"fill": False, "edgecolor": COLOURS["rust"], "linewidth": 2.5, "clip_on": False}
            axes.add_patch(Rectangle((0, outlined), len(tokens), 1, **frame))
    if not numbers:
        add_bar(figure, panels, mesh)
    every_row = len(grids) * len(tokens) <= 2 * MOST_WITH_NUMBERS
    sentences = [describe_weights(title, weights, tokens, every_row) for title, weights in grids]
    if outlined is not None:
        sentences.append(f"In a frame: the row of {numbered(tokens)[outlined]}.")
    return Picture(figure, " ".join(sentences))


def moved_positions(differences: dict[str, Sequence[float]], tokens: Sequence[str], changed: int) -> Picture:
    """Which tokens' vectors moved when one token was replaced: a row for each mask, a cell for each token.

    Args:
        differences: for each mask's name the largest absolute change of each token's vector, `(seq_len,)`.
            Exactly 0 means that no bit changed; anything else, however small, has moved.
        tokens: `seq_len` names.
        changed: the position that was replaced.
    """
    if not differences:
        raise refusal("differences", "one mask or more", "none")
    if not 0 <= changed < len(tokens):
        raise refusal("changed", f"0 to {len(tokens) - 1}", changed)
    amounts = np.stack([as_numbers(values) for values in differences.values()])
    if amounts.shape != (len(differences), len(tokens)) or not (amounts >= 0).all():
        got = f"the shape {amounts.shape}, {amounts.min(initial=0)} the least"
        raise refusal("differences", f"{len(tokens)} amounts from 0 for each mask, one a token", got)
    cell = min(1.1, (MAX_WIDTH - 0.3 - LETTER * max(map(len, differences))) / len(tokens))
    if cell < 5 * LETTER:
        raise refusal("tokens", "as many as a slide has room to name", len(tokens))
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


def similarities(table, names: Sequence[str], title: str | None = None) -> Picture:
    """How alike the rows of a table are: the cosine of every pair, darker where it is nearer to 1.

    Args:
        table: one row for each name, `(rows, size)`, no row all zero; at most ten rows.
        names: what the rows stand for.
    """
    rows = as_numbers(table)
    if rows.ndim != 2 or len(rows) != len(names) or not 2 <= len(rows) <= 10:
        raise refusal("table", f"2 to 10 rows, one for each of {len(names)} names", f"the shape {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (lengths > 0).all() or not np.isfinite(lengths).all():
        raise refusal("table", "rows that have a direction", "one that is all zero or not finite")
    cosines = (rows / lengths) @ (rows / lengths).T
    cell = 0.43  # inches
    with house_style():
        figure = Figure(figsize=(cell * len(names), cell * len(names)))
        axes = figure.add_axes((0, 0, 1, 1), title=title or "")
        shades = np.clip(cosines, 0, 1)
        draw_cells(axes, shades, highest=1)
        for (row, column), cosine in np.ndenumerate(cosines):
            write_in_cell(axes, row, column, f"{cosine:z.2f}", HEAT(shades[row, column]))
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


def heat_maps(
    panels: Sequence[tuple[str, object]], rows: Sequence[str], columns: Sequence[str], digits: int = 2
) -> Picture:
    """Tables of numbers from 0 side by side, each cell with its number, darkest at the largest of its table.

    Args:
        panels: pairs (title, table), each table `(len(rows), len(columns))`; a number below 0 stays white.
        rows, columns: the names, the same for all tables.
        digits: how many decimals the cells show.
    """
    tables = [(title, as_numbers(table)) for title, table in panels]
    for title, table in tables:
        if table.shape != (len(rows), len(columns)) or not np.isfinite(table).all():
            wanted = f"finite numbers, {len(rows)} rows of {len(columns)}"
            raise refusal(repr(title), wanted, f"the shape {table.shape}")
    wide, high = 0.4 + 0.07 * max(0, digits - 2), 0.3  # inches of a cell
    names = LETTER * max(map(len, rows)) + 0.15
    size = (names + len(tables) * (wide * len(columns) + 0.25), high * len(rows) + 0.75)
    with house_style():
        figure = Figure(figsize=size, layout="constrained")
        for axes, (title, table) in zip(
            np.atleast_1d(figure.subplots(1, len(tables), sharey=True)), tables, strict=True
        ):
            shades = np.clip(table / (table.max() if table.max() > 0 else 1.0), 0, 1)
            draw_cells(axes, shades, highest=1)
            for (row, column), number in np.ndenumerate(table):
                write_in_cell(axes, row, column, f"{number:z.{digits}f}", HEAT(shades[row, column]))
            axes.set_title(title)
            name_columns(axes, columns, wide)
            axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        for axes in figure.axes:
            axes.set_ylim(len(rows), 0)
    said = []
    for title, table in tables:
        places = [np.unravel_index(i, table.shape) for i in np.argsort(-table, axis=None, kind="stable")[:4]]
        most = [f"{rows[row]}, {columns[column]} {table[row, column]:z.{digits}f}" for row, column in places]
        said.append(f"{title}. Largest of {table.size} numbers: {'; '.join(most)}.")
    return Picture(figure, " ".join(said))


def span_scores(start, end, tokens: Sequence[str], title: str | None = None) -> Picture:
    """The score of every span, start + end: a row for its first token, a column for its last.

    Where the end would come before the start there is a dot; the best span has a frame.

    Args:
        start, end: one score for each token; at most sixteen.
    """
    begins, ends = as_numbers(start), as_numbers(end)
    if not begins.shape == ends.shape == (len(tokens),) or not 2 <= len(tokens) <= 16:
        got = f"the shapes {begins.shape} and {ends.shape}"
        raise refusal("start and end", f"a score for each of {len(tokens)} tokens, 2 to 16", got)
    sums = begins[:, None] + ends[None, :]
    allowed = np.triu(np.ones_like(sums, dtype=bool))
    low, high = sums[allowed].min(), sums[allowed].max()
    shades = np.where(allowed, (sums - low) / ((high - low) or 1), 0)
    row, column = np.unravel_index(np.where(allowed, sums, -np.inf).argmax(), sums.shape)
    cell = 0.47 if len(tokens) <= 10 else 0.36  # inches
    with house_style():
        figure = Figure(figsize=(cell * len(tokens), cell * len(tokens)))
        axes = figure.add_axes((0, 0, 1, 1), title=title or "")
        draw_cells(axes, shades, highest=1)
        for (i, j), shade in np.ndenumerate(shades):
            text = f"{sums[i, j]:z.1f}" if allowed[i, j] else "\u00b7"
            write_in_cell(axes, i, j, text, HEAT(shade))
        frame = Rectangle((column, row), 1, 1, fill=False, edgecolor=COLOURS["rust"], linewidth=2.5)
        axes.add_patch(frame)
        axes.set_yticks(np.arange(len(tokens)) + 0.5, tokens)
        axes.set_ylabel("first token")
        name_columns(axes, tokens, cell)
        axes.set_xlabel("last token")
    order = sorted(zip(*np.nonzero(allowed), strict=True), key=lambda at: -round(sums[at], 6))
    best = [f"'{' '.join(tokens[i : j + 1])}' {sums[i, j]:z.1f}" for i, j in order[:4]]
    return Picture(
        figure,
        f"{title + '. ' if title else ''}Sums of start and end score for every span of {len(tokens)} tokens."
        f" The highest: {listed(best)}. Spans that would end before they start are left out.",
    )


def cut_rows(cuts: dict[str, Sequence[str]]) -> Picture:
    """How vocabularies split one text: a row for each, a box for each piece. Boxes of one word touch, and
    those that continue a word are shaded and keep their `##`.

    Args:
        cuts: for each row's name the pieces of the text, as from `WordPieceTokenizer.tokenize`.
    """
    if not cuts or not all(cuts.values()):
        raise refusal("cuts", "one row or more, with one piece or more in each", cuts)
    letter = 0.2  # inches: room for a wide letter and the borders of its box
    laid_out = {name: lay_out_pieces(pieces) for name, pieces in cuts.items()}
    longest = max(boxes[-1][1] for boxes in laid_out.values())
    names = LETTER * max(len(f"{name}: {len(cuts[name])}") for name in cuts) + 0.2
    if (width := longest * letter + names) > MAX_WIDTH - 0.3 or 0.5 * len(cuts) > MAX_HEIGHT - 0.3:
        got = f"{len(cuts)} of up to {longest} letters and spaces"
        raise refusal("cuts", "rows that a slide has room for", got)
    with house_style():
        figure = Figure(figsize=(width, 0.5 * len(cuts)))
        axes = figure.add_axes((names / width, 0, 1 - names / width, 1))
        for row, boxes in enumerate(laid_out.values()):
            for start, end, part in boxes:
                fill = HEAT(0.2) if part.startswith("##") else PAPER
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


def lay_out_pieces(pieces: Sequence[str]) -> list[tuple[float, float, str]]:
    """(start, end, piece) of each piece in a line, in letters: a gap of one before each new word. The mark
    takes a little more room than a letter.
    """
    boxes: list[tuple[float, float, str]] = []
    end = 0.0
    for piece in pieces:
        part = piece.removeprefix("##")
        start = end + (end > 0 and part == piece)
        end = start + len(part) + (0 if part == piece else 1.25)
        boxes.append((start, end, piece))
    return boxes


def square(name: str, table, tokens: Sequence[str]) -> np.ndarray:
    """`table` as an array `(seq_len, seq_len)` of finite numbers, or a ValueError."""
    array = as_numbers(table)
    if array.shape != (len(tokens), len(tokens)):
        raise refusal(name, f"the shape {(len(tokens),) * 2} of {len(tokens)} tokens", array.shape)
    if not np.isfinite(array).all():
        raise refusal(name, "finite numbers", "one that is not")
    return array


def token_panels(
    titles: Sequence[str | None], tokens: Sequence[str], note: str | None
) -> tuple[Figure, list[Axes], float]:
    """Empty square panels with tokens at both axes, in the arrangement that leaves the largest cells.

    Returns the figure, one Axes for each title, and the side of a cell in inches.
    """
    if not titles:
        raise refusal("grids", "one or more", "nothing to draw")
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

    columns = max(range(1, len(titles) + 1), key=lambda n: (cell_of(n), n))  # of equals the widest
    if (cell := cell_of(columns)) < SMALLEST_CELL:
        got = f"{cell:.2f} for {len(titles)} grid(s) of {len(tokens)} tokens"
        raise refusal("grids", f"cells of {SMALLEST_CELL} inches or more on a slide", got, "draw fewer")
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
        figure.text(0.1 / right, grids_middle, "token that attends", rotation=90, ha="left", va="center")
        figure.text(middle, under / height, "token attended to", ha="center", va="top")
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
