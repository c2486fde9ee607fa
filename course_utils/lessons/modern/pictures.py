"""The pictures of notebook 16 that no other notebook needs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_utils.classroom.plots.style import (
    COLOURS,
    DASHES,
    GREY,
    INK,
    MARKERS,
    SMALL,
    Picture,
    house_style,
)


def turned_points(words: Sequence[str], speeds: dict[str, float]) -> Picture:
    """Where a rotary position puts one and the same point (1, 0) for each word of a sentence.

    Args:
        words: at positions 0, 1, 2, ...
        speeds: {"one radian a position": 1.0, ...}: for each panel the angle from one position to the next.
    """
    with house_style():
        figure = Figure(figsize=(4.1 * len(speeds), 3.9), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(speeds)))
        for axes, (name, speed) in zip(panels, speeds.items(), strict=True):
            turn = np.linspace(0, 2 * np.pi, 200)
            axes.plot(np.cos(turn), np.sin(turn), marker="", color=GREY, linestyle=":", linewidth=1)
            for position, word in enumerate(words):
                x, y = np.cos(speed * position), np.sin(speed * position)
                axes.annotate(
                    "", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": COLOURS["navy"], "lw": 1.6}
                )
                beside = "left" if x > 0.2 else "right" if x < -0.2 else "center"
                axes.text(1.1 * x, 1.1 * y, f"{position} {word}", ha=beside, va="center", size=SMALL)
            axes.set(title=name, xlim=(-1.75, 1.9), ylim=(-1.3, 1.3), aspect="equal")
            axes.axis("off")
    said = [
        f"{name}: " + ", ".join(f"{word} at {speed * i:.1f}" for i, word in enumerate(words))
        for name, speed in speeds.items()
    ]
    return Picture(
        figure, f"Arrows of one length from the middle of a circle; angles in radians. {'; '.join(said)}."
    )


def products(seq_len: int, reach: int) -> Picture:
    """Which products of queries and keys are computed under a mask and in blocks, and which are used."""
    place = np.arange(seq_len)
    used = np.abs(place[:, None] - place) <= reach
    near_blocks = np.abs(place[:, None] // reach - place // reach) <= 1
    panels = {"a mask": np.ones_like(used), f"blocks of {reach}": near_blocks}
    with house_style():
        figure = Figure(figsize=(7.4, 3.9), layout="constrained")
        for axes, (name, computed) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for query, key in np.argwhere(computed):
                axes.add_patch(Rectangle((key, query), 1, 1, facecolor="#CED1DC", edgecolor="white", lw=0.6))
            rows, columns = used.nonzero()
            axes.plot(columns + 0.5, rows + 0.5, "o", color=INK, markersize=4)
            for edge in range(0, seq_len + 1, reach):
                axes.axhline(edge, color=GREY, lw=0.6, marker="", linestyle="solid")
            axes.set(xlim=(0, seq_len), ylim=(seq_len, 0), aspect="equal", title=name, xlabel="key")
            axes.set_ylabel("query")
            axes.set_xticks([])
            axes.set_yticks([])
        figure.supxlabel("shaded: computed     ● used", size=SMALL)
    counts = [f"with {name} {computed.sum()} are computed" for name, computed in panels.items()]
    return Picture(
        figure,
        f"{seq_len} queries and as many keys, a window of {reach} to each side: {used.sum()} of"
        f" {seq_len**2} products are used; {' and '.join(counts)}.",
    )


def gaps_by_length(
    bins: Sequence[str], models: dict[str, Sequence[Sequence[float]]], words_alone: Sequence[float]
) -> Picture:
    """How far each model is above the lowest possible loss on rows of several lengths.

    Args:
        bins: names of the lengths.
        models: for each up to four models, for each seed one number for each of the bins.
        words_alone: the same of a model that knows how frequent each word is, and nothing else.
    """
    places = np.arange(len(bins))
    with house_style():
        figure = Figure(figsize=(7.0, 3.9), layout="constrained")
        axes = figure.add_subplot()
        looks = zip(COLOURS.values(), DASHES, MARKERS, strict=True)
        for shift, (name, runs), (colour, dashes, mark) in zip(
            (-0.09, -0.03, 0.03, 0.09), models.items(), looks, strict=False
        ):
            gaps = np.array(runs)
            middle = gaps.mean(axis=0)
            ends = [middle - gaps.min(axis=0), gaps.max(axis=0) - middle]
            axes.errorbar(
                places + shift,
                middle,
                ends,
                color=colour,
                linestyle=dashes,
                marker=mark,
                capsize=3,
                label=name,
            )
        axes.hlines(
            words_alone,
            places - 0.3,
            places + 0.3,
            color=INK,
            linestyle="solid",
            lw=1,
            label="word counts alone",
        )
        axes.set_xticks(places, [f"{name} tokens" for name in bins])
        axes.set_ylim(bottom=0)
        axes.set_ylabel("nats above the lowest possible loss")
        axes.grid(axis="y")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    said = [
        f"{name}: "
        + ", ".join(f"{gap:.2f} at {where}" for gap, where in zip(np.mean(runs, axis=0), bins, strict=True))
        for name, runs in {**models, "word counts alone": [words_alone]}.items()
    ]
    return Picture(
        figure,
        f"Gap to the lowest possible loss over the length of the rows, mean of the seeds. {'; '.join(said)}.",
    )
