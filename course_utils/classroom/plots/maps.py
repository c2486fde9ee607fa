"""Points in a plane: words and labelled examples at several moments, and one number against another."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from course_utils.checks import refusal
from course_utils.classroom.plots.style import (
    COLOURS,
    DASHES,
    INK,
    LINE,
    MARKERS,
    MAX_WIDTH,
    SMALL,
    Picture,
    as_numbers,
    house_style,
)
from course_utils.classroom.plots.words import listed


def word_maps(
    panels: Sequence[tuple[str, object]], words: Sequence[str], groups: dict[str, Sequence[str]], named: str
) -> Picture:
    """The same words at several moments, all panels in one plane: markers say the group, one word has a ring,
    and in the last panel the highest and the lowest word of each group stand beside their markers.

    The plane is the one through the middles of the groups in the last panel (for four groups, the one nearest
    to them); the vectors of all panels are projected on it, so that movement is movement. The named word has
    no part in its choice.

    Args:
        panels: pairs (title, vectors), at most four; vectors `(len(words), dim)`.
        words: the word of each row.
        groups: three or four groups of words; words of no group are not drawn, except `named`.
        named: the word that gets a ring and its name.
    """
    if not 1 <= len(panels) <= 4 or not 3 <= len(groups) <= len(MARKERS):
        wanted = f"1 to 4, and 3 to {len(MARKERS)}"
        raise refusal("panels and groups", wanted, f"{len(panels)} and {len(groups)}")
    row = {word: i for i, word in enumerate(words)}
    wanted = [word for group in groups.values() for word in group] + [named]
    if missing := [word for word in wanted if word not in row]:
        raise refusal("words", "every word of a group, and the named one", f"none such as {listed(missing)}")
    shown = [row[word] for word in wanted]
    moments = [(title, as_numbers(vectors)[shown]) for title, vectors in panels]
    last = as_numbers(panels[-1][1])
    middles = np.stack([last[[row[word] for word in group]].mean(axis=0) for group in groups.values()])
    centre = middles.mean(axis=0)
    plane = np.linalg.svd(middles - centre)[2][:2].T  # (dim, 2)
    plane *= np.where(
        plane[np.abs(plane).argmax(axis=0), [0, 1]] < 0, -1, 1
    )  # a sign that does not depend on luck
    places = [(title, (vectors - centre) @ plane) for title, vectors in moments]
    reach = 1.12 * max(np.abs(place).max() for _, place in places)
    side = min(2.3, (MAX_WIDTH - 0.4) / len(panels) - 0.1)
    with house_style():
        figure = Figure(figsize=((side + 0.1) * len(panels), side + 0.75), layout="constrained")
        for axes, (title, place) in zip(np.atleast_1d(figure.subplots(1, len(panels))), places, strict=True):
            start = 0
            is_last = axes is figure.axes[-1]
            looks = zip(groups.items(), COLOURS.values(), MARKERS, strict=False)
            for (group, members), colour, marker in looks:
                x, y = place[start : start + len(members)].T
                axes.plot(x, y, marker, color=colour, label=group, alpha=0.85)
                ends = {y.argmax(): 4, y.argmin(): -11} if is_last else {}
                for i, height in ends.items():  # one above its marker, one below
                    axes.annotate(
                        members[i], (x[i], y[i]), (5, height), textcoords="offset points", size=SMALL
                    )
                start += len(members)
            axes.plot(
                *place[-1], "o", color=INK, markersize=11, fillstyle="none", markeredgewidth=1.8, label=named
            )
            axes.set(
                xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal", title=title
            )
            axes.spines[:].set(visible=True, color=LINE)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(groups) + 1)
    alt = f"The vectors of {len(shown)} words in one plane. " + " ".join(
        f"{title}: {describe_groups(place, list(groups.items()), named)}" for title, place in places
    )
    return Picture(figure, alt)


def describe_groups(place: np.ndarray, groups: list[tuple[str, Sequence[str]]], named: str) -> str:
    """How tight each group is and how far the named word is from each, in words; it is the last row."""
    parts, start = [], 0
    for name, members in groups:
        own = place[start : start + len(members)]
        middle = own.mean(axis=0)
        spread_of_group = np.linalg.norm(own - middle, axis=1).mean()
        distance = np.linalg.norm(place[-1] - middle)
        parts.append(f"{name} within {spread_of_group:.1f} of its middle, '{named}' {distance:.1f} from it")
        start += len(members)
    return "; ".join(parts) + "."


def point_maps(panels: Sequence[tuple[str, object]], labels: Sequence[str]) -> Picture:
    """Labelled points at several moments, each panel in its own plane: the one in which its points differ
    most.

    The plane holds the first two principal components of the panel's vectors. The labels have no part in its
    choice.

    Args:
        panels: pairs (title, vectors), at most four; vectors `(len(labels), size)`.
        labels: what each row is, two to four different ones; the markers show them.
    """
    kinds = list(dict.fromkeys(labels))
    if not 1 <= len(panels) <= 4 or not 2 <= len(kinds) <= len(MARKERS):
        wanted = f"1 to 4, and 2 to {len(MARKERS)} different ones"
        raise refusal("panels and labels", wanted, f"{len(panels)} and {len(kinds)}")
    side = min(2.3, (MAX_WIDTH - 0.4) / len(panels) - 0.1)
    said = []
    with house_style():
        figure = Figure(figsize=((side + 0.1) * len(panels), side + 0.75), layout="constrained")
        for axes, (title, vectors) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
        ):
            centred = as_numbers(vectors)
            if centred.ndim != 2 or len(centred) != len(labels):
                raise refusal(
                    repr(title), f"one row for each of {len(labels)} labels", f"the shape {centred.shape}"
                )
            centred = centred - centred.mean(axis=0)
            lengths, plane = np.linalg.svd(centred, full_matrices=False)[1:]
            plane = plane[:2] * np.where(plane[:2].sum(axis=1, keepdims=True) < 0, -1, 1)
            place = centred @ plane.T
            share = (lengths[:2] ** 2).sum() / max((lengths**2).sum(), 1e-12)
            middles = []
            for kind, colour, marker in zip(kinds, COLOURS.values(), MARKERS, strict=False):
                own = place[[label == kind for label in labels]]
                middles.append(own.mean(axis=0))
                fill = colour if marker == "o" else "none"
                axes.plot(*own.T, marker, color=colour, markerfacecolor=fill, label=kind, alpha=0.75)
            axes.set(xticks=[], yticks=[], title=title)
            axes.margins(0.1)
            axes.spines[:].set(visible=True, color=LINE)
            spread = np.mean(
                [np.linalg.norm(place[i] - middles[kinds.index(label)]) for i, label in enumerate(labels)]
            )
            apart = np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(middles, 2)])
            said.append(
                f"{title}: middles {apart:.1f} apart, points {spread:.1f} from their own; "
                f"the plane holds {share:.0%} of the variance."
            )
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds))
    counts = listed([f"{list(labels).count(kind)} of '{kind}'" for kind in kinds])
    return Picture(figure, f"{len(labels)} points, {counts}, each panel in its own plane. {' '.join(said)}")


def scatter(
    x, y, xlabel: str, ylabel: str, title: str | None = None, marked: dict[str, object] | None = None
) -> Picture:
    """Points (x, y) in one scale for both axes, with the line on which y equals x.

    Args:
        x, y: numbers, as many of the one as of the other; two or more.
        marked: {"impossible": [True, False, ...]}: points to draw as rings, one truth value for each point.
    """
    x, y = as_numbers(x).ravel(), as_numbers(y).ravel()
    if x.shape != y.shape or len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise refusal("x and y", "as many finite numbers, two or more", f"{len(x)} and {len(y)}")
    chosen = {name: as_numbers(which).ravel() > 0 for name, which in (marked or {}).items()}
    for name, which in chosen.items():
        if which.shape != x.shape:
            raise refusal(f"marked[{name!r}]", f"a truth value for each of {len(x)} points", f"{len(which)}")
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.04 * (high - low or 1)
    with house_style():
        figure = Figure(figsize=(4.8, 4.8), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(x, y, "o", color=COLOURS["navy"], markersize=2.5, alpha=0.35, markeredgewidth=0)
        for (name, which), colour in zip(chosen.items(), (COLOURS["berry"], INK), strict=False):
            axes.plot(
                x[which],
                y[which],
                "o",
                color=colour,
                fillstyle="none",
                markersize=7,
                linestyle="",
                label=name,
            )
        axes.axline((low, low), slope=1, color=COLOURS["rust"], linestyle=DASHES[1], marker="", label="equal")
        limits = (low - margin, high + margin)
        axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel=xlabel, ylabel=ylabel)
        axes.set_title(title or "", loc="left")
        axes.legend(loc="lower right" if chosen else "upper left")  # rings stand where x and y differ
    alt = (
        f"{title + '. ' if title else ''}{len(x):,} points: {ylabel} over {xlabel}, beside the line on which"
        " both are equal."
        f" Correlation {np.corrcoef(x, y)[0, 1]:.2f}; x from {x.min():z.1f} to {x.max():z.1f},"
        f" y from {y.min():z.1f} to {y.max():z.1f}."
    )
    for name, which in chosen.items():
        alt += f" Ringed, {name}: {which.sum():,} points"
        if which.any():
            alt += (
                f", x from {x[which].min():z.1f} to {x[which].max():z.1f},"
                f" y from {y[which].min():z.1f} to {y[which].max():z.1f}"
            )
        alt += "."
    return Picture(figure, alt)
