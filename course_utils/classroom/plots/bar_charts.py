"""Bars of probabilities, and a line of dates."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from course_utils.checks import refusal
from course_utils.classroom.plots.style import (
    BODY,
    COLOURS,
    DASHES,
    GREY,
    INK,
    LETTER,
    LINE,
    MAX_HEIGHT,
    PAPER,
    SMALL,
    Picture,
    as_numbers,
    house_style,
)


def bars(
    labels: Sequence[str],
    series: dict[str, Sequence[float]],
    xlabel: str = "probability",
    title: str | None = None,
    number_format: str = ".2f",
    limits: dict[str, float] | None = None,
) -> Picture:
    """Horizontal bars with their numbers: one row for each label, and in it one bar for each series.

    Args:
        labels: names of the rows, from top to bottom.
        series: one to three, as {"model": [...], "perfect": [...]}: for each name one value >= 0 a label.
        xlabel: what the values are, and their unit.
        limits: by name, values that no bar can pass or that all are compared with: lines from top to bottom.
    """
    if not 1 <= len(series) <= 3:
        raise refusal("series", "1 to 3 entries", len(series))
    values = {name: as_numbers(numbers) for name, numbers in series.items()}
    for name, numbers in values.items():
        if not labels or numbers.shape != (len(labels),) or not (numbers >= 0).all():
            wanted = f"a value from 0 for each of {len(labels) or '1 or more'} labels"
            raise refusal(
                f"series[{name!r}]", wanted, f"the shape {numbers.shape}, {numbers.min(initial=0)} the least"
            )
    row = (0.24 if len(series) < 3 else 0.18) * len(series) + 0.14
    thickness = 0.8 / len(series)
    if (height := row * len(labels) + 1.0) > MAX_HEIGHT:
        got = f"{len(labels)}, which need {height:.1f} inches of {MAX_HEIGHT}"
        raise refusal("labels", "as many as a slide has room for", got)
    with house_style():
        figure = Figure(figsize=(6.6, height), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(labels))
        looks = [
            {"color": COLOURS["navy"]},
            {"facecolor": PAPER, "edgecolor": COLOURS["rust"], "hatch": "////"},
            {"facecolor": COLOURS["sky"], "edgecolor": INK},
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
        for (name, value), dashes in zip((limits or {}).items(), DASHES[1:], strict=False):
            axes.axvline(
                value, color=INK, linestyle=dashes, marker="", label=f"{name} {value:{number_format}}"
            )
        if limits:  # also those beyond the longest bar
            axes.set_xlim(right=max(axes.get_xlim()[1], 1.05 * max(limits.values())))
        if len(series) > 1 or limits:
            columns = max(2, len(series))
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=columns)
    rows = [
        f"{label}: " + ", ".join(f"{name} {numbers[i]:{number_format}}" for name, numbers in values.items())
        for i, label in enumerate(labels)
    ]
    rows += [f"a line at {name}: {value:{number_format}}" for name, value in (limits or {}).items()]
    return Picture(figure, f"{title + '. ' if title else ''}Bars of {xlabel}. {'; '.join(rows)}.")


def intervals(
    labels: Sequence[str],
    middles: Sequence[float],
    halves: Sequence[float],
    xlabel: str,
    title: str | None = None,
    wider: Sequence[float] | None = None,
) -> Picture:
    """Differences with their intervals, one row each, and a line at 0: an interval across it shows nothing.

    Args:
        labels: names of the rows, from top to bottom.
        middles: the difference of each row.
        halves: half of the width of its interval, above 0.
        xlabel: what differs from what, and the unit.
        wider: halves of a second interval, at least as wide, as a thin line: one for many looks, say.
    """
    places, half = as_numbers(middles), as_numbers(halves)
    outer = half if wider is None else as_numbers(wider)
    if outer.shape != half.shape or not (outer >= half).all():
        raise refusal("wider", "a number at least as large for each of halves", outer.tolist())
    if not labels or not places.shape == half.shape == (len(labels),) or not (half > 0).all():
        wanted = f"a number and a half width above 0 for each of {len(labels) or '1 or more'} labels"
        raise refusal("middles and halves", wanted, f"{places.tolist()} and {half.tolist()}")
    if (height := 0.36 * len(labels) + 0.9) > MAX_HEIGHT:
        got = f"{len(labels)}, which need {height:.1f} inches of {MAX_HEIGHT}"
        raise refusal("labels", "as many as a slide has room for", got)
    with house_style():
        figure = Figure(figsize=(6.6, height), layout="constrained")
        axes = figure.add_subplot()
        rows = np.arange(len(labels))
        axes.axvline(0, color=INK, linestyle=DASHES[1], marker="")
        if wider is not None:
            axes.errorbar(places, rows, xerr=outer, fmt="none", ecolor=GREY, capsize=2, elinewidth=0.8)
        axes.errorbar(places, rows, xerr=half, fmt="o", color=COLOURS["navy"], capsize=4, elinewidth=1.6)
        axes.set_yticks(rows, labels)
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.margins(y=0.12)
        axes.set_xlabel(xlabel)
        axes.set_title(title or "", loc="left")
    said = [
        f"{label}: {middle:+.2f}, from {middle - width:+.2f} to {middle + width:+.2f}"
        + ("" if wider is None else f", thin from {middle - far:+.2f} to {middle + far:+.2f}")
        for label, middle, width, far in zip(labels, places, half, outer, strict=True)
    ]
    start = f"{title}. " if title else ""
    return Picture(figure, f"{start}Intervals of {xlabel}, and a line at 0. {'; '.join(said)}.")


def timeline(events: Sequence[tuple[str, float]], title: str | None = None) -> Picture:
    """Names on an axis of years, each at its date, in rows so that no two overlap.

    Args:
        events: (name, year) with the month as a fraction: October 2018 is 2018 + 9 / 12. At most 30.
    """
    if not 1 <= len(events) <= 30:
        raise refusal("events", "1 to 30", len(events))
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
