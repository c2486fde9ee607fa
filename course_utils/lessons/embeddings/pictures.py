"""The pictures of notebook 03 that no other notebook needs.

How alike the rows of tables are, what LayerNorm does to points, and how six small models learn.
"""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from course_utils.checks import refusal
from course_utils.classroom.plots.lines import spread
from course_utils.classroom.plots.style import (
    COLOURS,
    GREY,
    INK,
    PAPER,
    SMALL,
    Picture,
    as_numbers,
    house_style,
)

SIGNED = LinearSegmentedColormap.from_list("signed", [COLOURS["rust"], PAPER, COLOURS["navy"]])


def cosines(table) -> np.ndarray:
    """The cosine of every pair of rows: (rows, rows)."""
    rows = as_numbers(table)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def explained_by_distance(table) -> float:
    """The share of the variance of the cosines that is gone once the mean of each distance is taken away."""
    above = cosines(table)
    row, column = np.triu_indices(len(above), 1)
    values, distance = above[row, column], column - row
    means = np.array([values[distance == d].mean() for d in range(len(above)) if d])
    return float(1 - ((values - means[distance - 1]) ** 2).sum() / ((values - values.mean()) ** 2).sum())


def cosine_maps(tables: dict[str, tuple[int, object]]) -> Picture:
    """For each table the cosines of all pairs of its rows, from the opposite direction to the same one.

    Args:
        tables: {"learnt": (0, table), ...}: one to three; the position of the first row, and the rows (rows,
            size), as many in each.
    """
    if not 1 <= len(tables) <= 3:
        raise refusal("tables", "one to three", len(tables))
    found = {name: cosines(table) for name, (_, table) in tables.items()}
    sizes = {len(values) for values in found.values()}
    if len(sizes) > 1:
        raise refusal("tables", "as many rows in each", sorted(sizes))
    (size,) = sizes
    with house_style():
        figure = Figure(figsize=(2.9 * len(found) + 0.7, 3.3), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(found)))
        for axes, (name, values) in zip(panels, found.items(), strict=True):
            mesh = axes.imshow(values, cmap=SIGNED, vmin=-1, vmax=1)
            ticks = np.arange(0, size, 5)
            places = [str(tick + tables[name][0]) for tick in ticks]
            axes.set(title=name, xlabel="position")
            axes.set_xticks(ticks, places)
            axes.set_yticks(ticks, places)
            axes.spines[:].set(visible=True, color=GREY)
        panels[0].set_ylabel("position")
        bar = figure.colorbar(mesh, ax=list(panels), shrink=0.7, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["opposite −1", "unrelated 0", "the same 1"], size=SMALL)
    said = []
    for name, values in found.items():
        means = [values.diagonal(d).mean() for d in (1, 4, 8)]
        said.append(
            f"{name}: on average {means[0]:z.2f} between neighbours, {means[1]:z.2f} between rows 4 apart,"
            f" {means[2]:z.2f} between rows 8 apart"
        )
    return Picture(figure, f"Cosines between rows, {size} by {size}. {'; '.join(said)}.")


def on_a_circle(points) -> Picture:
    """What LayerNorm does to tokens of three numbers, seen from the direction (1, 1, 1).

    To take away the mean moves a point along that direction, so in this view it stays; to divide by the
    standard deviation moves it straight out or in, to the circle with the radius of the root of 3.

    Args:
        points: (tokens, 3), no token with three equal numbers.
    """
    x = as_numbers(points)
    if x.ndim != 2 or x.shape[1] != 3:
        raise refusal("points", "the shape (tokens, 3)", x.shape)
    centred = x - x.mean(axis=1, keepdims=True)
    normed = centred / centred.std(axis=1, keepdims=True)
    view = np.array([[1, -1, 0], [1, 1, -2]]).T / np.sqrt([2, 6])  # two axes across the direction (1, 1, 1)
    before, after = centred @ view, normed @ view
    radius = np.sqrt(3)
    with house_style():
        figure = Figure(figsize=(4.0, 4.0), layout="constrained")
        axes = figure.add_subplot()
        turn = np.linspace(0, 2 * np.pi, 200)
        axes.plot(
            radius * np.cos(turn), radius * np.sin(turn), marker="", color=COLOURS["rust"], linestyle="--"
        )
        for start, end in zip(before, after, strict=True):
            axes.plot(*np.stack([start, end]).T, marker="", color=GREY, linestyle=":", linewidth=1)
        axes.plot(*before.T, "o", color=COLOURS["navy"], fillstyle="none", label="before, mean taken away")
        axes.plot(*after.T, "s", color=COLOURS["navy"], label="after LayerNorm")
        axes.plot(0, 0, "+", color=GREY)
        reach = 1.1 * max(radius, np.abs(before).max())
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_xlabel("first axis of the plane")
        axes.set_ylabel("second axis of the plane")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    lengths = np.linalg.norm(centred, axis=1)
    return Picture(
        figure,
        f"{len(x)} tokens of three numbers, in the plane of mean 0. Before, their distances from the middle"
        f" lie between {lengths.min():.2f} and {lengths.max():.2f}; after LayerNorm all lie on a circle with"
        f" the radius {radius:.2f}, each in the direction in which it lay.",
    )


def learning_curves(noted, losses: dict[str, object], floors: dict[str, float], ylabel: str) -> Picture:
    """The mean loss of several models over the steps of their training, each curve with its name at its end.

    Args:
        noted: numbers of steps, rising; drawn by factors, as the losses are.
        losses: for each model (seeds, len(noted)) in nats, above 0; up to six.
        floors: losses in nats that a model may be held against; drawn as lines.
    """
    if not 1 <= len(losses) <= 6:
        raise refusal("losses", "one to six models", len(losses))
    means = {name: as_numbers(table).mean(axis=0) for name, table in losses.items()}
    drawn = np.concatenate([*means.values(), list(floors.values())])
    if drawn.min() <= 0:
        raise refusal("losses and floors", "numbers above 0", drawn.min())
    low, high = drawn.min() / 1.1, drawn.max() * 1.15
    dashes = ("-", "--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)))
    ends = [float(np.log(mean[-1])) for mean in means.values()]
    gap = np.log(high / low) / 19
    places = np.exp(spread(ends, gap, within=(np.log(low) + gap, np.log(high))))
    with house_style():
        figure = Figure(figsize=(8.2, 4.3), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log", xlabel="steps of training", ylabel=ylabel, ylim=(low, high))
        for (name, mean), colour, marker, dash, place in zip(
            means.items(), [*COLOURS.values(), GREY, INK], "os^DvX", dashes, places, strict=False
        ):
            axes.plot(noted, mean, color=colour, marker=marker, linestyle=dash, clip_on=False)
            axes.annotate(
                f"{name} {mean[-1]:.2f}", (noted[-1], mean[-1]), (1.12 * noted[-1], place), color=colour,
                size=SMALL, va="center", annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkB": 5},
            )  # fmt: skip
        for name, floor in floors.items():
            axes.axhline(floor, color=GREY, linewidth=1.2, linestyle=":", marker="none")
            axes.text(noted[0], floor, f"{name}: {floor:.2f}", va="bottom", size=SMALL)
        ticks = [tick for tick in (0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10) if low <= tick <= high]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks(noted, [str(step) for step in noted])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(right=1.03 * noted[-1])
    said = [
        f"{name}: " + ", ".join(f"{x:.2f} after {step}" for step, x in zip(noted, mean, strict=True))
        for name, mean in means.items()
    ]
    lines = ", ".join(f"{name} {floor:.2f}" for name, floor in floors.items())
    return Picture(
        figure, f"Loss in nats over steps, means over the seeds. {'; '.join(said)}. Lines: {lines}."
    )
