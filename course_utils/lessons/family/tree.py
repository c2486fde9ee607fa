"""The picture of notebook 14: who came from whom, and with which half of the Transformer."""

from matplotlib.figure import Figure

from course_utils.checks import refusal
from course_utils.classroom.plots.style import BODY, COLOURS, INK, PAPER, Picture, house_style

LANES = ("vectors and LSTMs", "decoder (causal)", "both", "encoder (bidirectional)")


def family_tree(dates: dict[str, tuple[int, int]], lane: dict[str, str], parents: dict[str, str]) -> Picture:
    """Names in the lane of their kind, from left to right in the order of their dates, with a line from each
    parent.

    Args:
        dates: for each name (year, month).
        lane: for each name one of `LANES`.
        parents: for each name that has one, the model that it changes most directly.
    """
    if unknown := sorted(set(lane.values()) - set(LANES)):
        raise refusal("lane", f"one of {', '.join(LANES)}", unknown)
    order = sorted(dates, key=lambda name: dates[name])
    height, seen = {}, dict.fromkeys(LANES, 0)
    rows = {  # the heights that names of a lane take in turn, so that lines pass between the boxes
        "vectors and LSTMs": (0, 1), "decoder (causal)": (0, 1), "both": (0,),
        "encoder (bidirectional)": (2, 0, 5, 4, 3, 0, 6, 1, 4, 3, 5, 2),
    }  # fmt: skip
    base = dict(zip(LANES, (0.0, 2.0, 4.0, 5.0), strict=True))
    for name in order:
        kind = lane[name]
        height[name] = base[kind] + rows[kind][seen[kind] % len(rows[kind])]
        seen[kind] += 1
    place = {name: i for i, name in enumerate(order)}
    with house_style():
        figure = Figure(figsize=(9.4, 6.0), layout="constrained")
        axes = figure.add_subplot()
        for kind in LANES[1:]:
            axes.axhline(base[kind] - 0.5, color=COLOURS["navy"], linewidth=0.6, marker="", alpha=0.4)
        for child, parent in parents.items():
            ends = (place[parent], place[child]), (height[parent], height[child])
            axes.plot(*ends, color=INK, linewidth=0.9, linestyle="-", marker="", alpha=0.7, zorder=1)
        for name in order:
            year, month = dates[name]
            axes.text(
                place[name], height[name], f"{name}\n{year}-{month:02d}", size=BODY - 2, zorder=2,
                ha="center", va="center",
                bbox={"facecolor": PAPER, "edgecolor": INK, "linewidth": 0.6, "pad": 2},
            )  # fmt: skip
        axes.set_yticks([base[kind] + max(rows[kind]) / 2 for kind in LANES], LANES)
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        axes.set_xlim(-0.7, len(order) - 0.3)
        axes.set_ylim(-0.6, 11.6)
        axes.set_xlabel("from left to right: in the order of publication (not to scale)")
        axes.spines[:].set_visible(False)
    told = []
    for kind in LANES:
        own = [
            f"{name} {dates[name][0]}-{dates[name][1]:02d}"
            + (f" from {parents[name]}" if name in parents else "")
            for name in order
            if lane[name] == kind
        ]
        told.append(f"{kind}: {', '.join(own)}")
    return Picture(figure, "A family tree. " + "; ".join(told) + ".")
