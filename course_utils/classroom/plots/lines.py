"""Lines: losses above their floors, curves, learning from few examples, the roofline of a machine."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from course_utils.checks import refusal
from course_utils.classroom.plots.style import (
    BODY,
    COLOURS,
    DASHES,
    GREY,
    INK,
    PAPER,
    SMALL,
    Picture,
    as_numbers,
    house_style,
    in_notebook,
)
from course_utils.classroom.plots.words import listed

MOST_DECADES = 4  # of an axis by factors with lines at 1, 2 and 5; a longer one has them at powers of 10
LEAST_NATS = 0.12  # what an axis of losses shows at least: what hardly differs shall not look far apart


def loss_against_floors(
    log: Sequence[dict], floors: dict[str, float], key: str = "held_out", last_step: int | None = None
) -> Picture:
    """The loss step by step, above the lowest losses that are possible with less and with more context.

    Args:
        log: entries with "step" and `key`, a loss in nats, as `course_utils.pretraining` writes them.
        floors: nats for each rung of context, at most four, as from `toy.language.Floors.mean`.
        key: which loss.
        last_step: where the axis of steps ends; the last entry's step if None.
    """
    if not log or any(key not in entry for entry in log):
        raise refusal("log", f"entries, each with 'step' and {key!r}", "none, or one without")
    if not 1 <= len(floors) <= len(DASHES):
        raise refusal("floors", f"1 to {len(DASHES)} entries", len(floors))
    steps, losses = [entry["step"] for entry in log], [float(entry[key]) for entry in log]
    name = key.replace("_", "-")
    with house_style():
        figure = Figure(figsize=(7.6, 4.2))
        axes = figure.add_axes((0.09, 0.13, 0.66, 0.84))
        height = 0.84 * 4.2
        for (rung, floor), dashes in zip(floors.items(), DASHES[::-1], strict=False):
            axes.axhline(floor, color=COLOURS["rust"], linestyle=dashes, linewidth=1.6, label=rung)
        axes.plot(
            steps,
            losses,
            color=COLOURS["navy"],
            linestyle="solid",
            marker="o",
            markevery=-(-len(steps) // 20),
            label=name,
        )
        low, high = min([*losses, *floors.values()]), max([*losses, *floors.values()])
        room = max(1.12 * (high - low), LEAST_NATS)
        bottom = (low + high - room) / 2
        axes.set_ylim(bottom, bottom + room)
        axes.set_xlim(min(0, steps[0]), max(last_step or 0, steps[-1], 1))
        axes.set_xlabel("step")
        axes.set_ylabel(f"{name} loss (nats)")
        ends = {f"{rung} floor {floor:.2f}": (1, floor) for rung, floor in floors.items()}
        ends[f"model {losses[-1]:.2f}"] = (steps[-1] / axes.get_xlim()[1], losses[-1])
        # As shares of the axis: in nats they could differ by less than a float can tell.
        shares = [(y - bottom) / room for _, y in ends.values()]
        places = spread(shares, 1.35 * BODY / 72 / height, within=(0, 1))
        for (text, end), place in zip(ends.items(), places, strict=True):
            axes.annotate(
                text,
                xy=end,
                xytext=(1.04, place),
                xycoords=axes.get_yaxis_transform(),
                textcoords="axes fraction",
                va="center",
                weight="bold" if text.startswith("model") else "normal",
                arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 2, "shrinkB": 0},
            )
    passed = [rung for rung, floor in floors.items() if losses[-1] < floor]
    alt = (
        f"The {name} loss goes from {losses[0]:.2f} nats at step {steps[0]} "
        f"to {losses[-1]:.2f} at step {steps[-1]}. "
        f"Floors: {listed([f'{rung} {floor:.2f}' for rung, floor in floors.items()])}. "
        f"The last loss lies below {listed([f'the {rung} floor' for rung in passed])}."
    )
    return Picture(figure, alt)


class LiveLoss:
    """Draws `loss_against_floors` anew in one place while a model trains.

    Notebook 09 calls it from the `on_log` of `pretraining.run`, after every few steps. The last state
    stays behind as an ordinary output with its words. A log that is not longer than the one before belongs to
    a new run, and gets a new place.
    """

    def __init__(self, key: str = "held_out", last_step: int | None = None):
        self.key, self.last_step = key, last_step
        self.entries_shown, self.handles = 0, []

    def __call__(self, log: Sequence[dict], floors: dict[str, float]) -> None:
        picture = loss_against_floors(log, floors, self.key, self.last_step)
        is_new_run, self.entries_shown = len(log) <= self.entries_shown, len(log)
        if not in_notebook():
            return
        from IPython.display import display

        outputs = picture.outputs()
        if is_new_run or not self.handles:
            self.handles = [
                display(data, metadata=metadata, raw=True, display_id=True) for data, metadata in outputs
            ]
        else:
            for handle, (data, metadata) in zip(self.handles, outputs, strict=True):
                handle.update(data, metadata=metadata, raw=True)


def curves(
    x: Sequence[float],
    series: dict[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    log: bool | str = False,
    marks: bool = True,
    ticks: Sequence[str] | None = None,
) -> Picture:
    """Up to four lines over the same x, told apart by dashes and markers and named in a legend.

    Args:
        x: places on the axis, rising.
        series: {"divided": [...], "not divided": [...]}: for each name one value for each x.
        log: draw both axes by factors, or with "x" or "y" that one alone; what is drawn by factors must be
            above 0.
        marks: False for a function, drawn as a line; True for what was measured at each place.
        ticks: what to write below each x, in the place of its number.
    """
    if not 1 <= len(series) <= len(DASHES):
        raise refusal("series", f"1 to {len(DASHES)} entries", len(series))
    places = as_numbers(x)
    if places.ndim != 1 or len(places) < 2 or not (np.diff(places) > 0).all():
        raise refusal("x", "two numbers or more, each larger than the one before", x)
    if ticks is not None and len(ticks) != len(places):
        raise refusal("ticks", f"a text for each of {len(places)} x", f"{len(ticks)} texts")
    values = {name: as_numbers(numbers) for name, numbers in series.items()}
    for name, numbers in values.items():
        if numbers.shape != places.shape or not np.isfinite(numbers).all():
            raise refusal(f"series[{name!r}]", f"a finite number for each of {len(places)} x", numbers)
        if log and not ((log == "y" or places[0] > 0) and (log == "x" or (numbers > 0).all())):
            raise refusal(f"series[{name!r}]", f"x and numbers above 0 with log={log!r}", numbers.min())
    with house_style():
        figure = Figure(figsize=(7.0, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for name, numbers in values.items():
            level = np.ptp(numbers) == 0  # a limit, not a measurement at each place: a line without markers
            axes.plot(places, numbers, label=name, **({"marker": ""} if level or not marks else {}))
        if log == "y":
            axes.set_yscale("log")
        elif log:
            axes.set_xscale("log", base=2)
            axes.set_xticks(places, [f"{place:g}" for place in places])
            axes.minorticks_off()
        elif (places == places.round()).all():
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no layer 0.5
        if log and log not in ("x", "y"):
            axes.set_yscale("log")
            lowest, highest = axes.get_ylim()
            is_long = highest / lowest > 10**MOST_DECADES
            axes.yaxis.set_major_locator(LogLocator(subs=(1,) if is_long else (1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        if ticks is not None:
            axes.set_xticks(places, ticks)
        axes.grid(axis="y")
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title or "", loc="left")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    # Nobody wants to hear a hundred numbers: of many places about twenty are read out.
    told = (
        np.arange(len(places))
        if len(places) <= 30
        else np.linspace(0, len(places) - 1, 21).round().astype(int)
    )

    # What is 0 but for rounding is read out as 0: what is left of it depends on the processor.
    def read_out(numbers: np.ndarray, share: float) -> np.ndarray:
        return np.where(np.abs(numbers) < share * np.abs(numbers).max(), 0.0, numbers)

    lines = [
        f"{name}: "
        + ", ".join(f"{read_out(numbers, 1e-15)[i]:.3g} at {read_out(places, 1e-9)[i]:g}" for i in told)
        for name, numbers in values.items()
    ]
    start = f"{title}. " if title else ""
    some = "" if len(told) == len(places) else f" at {len(told)} of {len(places)} places"
    return Picture(figure, f"{start}Lines of {ylabel} over {xlabel}{some}. {'; '.join(lines)}.")


def learning_curves(
    sizes: Sequence[int],
    scores: dict[str, object],
    ylabel: str,
    floor: tuple[str, float],
    title: str | None = None,
) -> Picture:
    """How a score grows with the number of examples: for each rival the mean over seeds, with its lowest and
    highest.

    Args:
        sizes: numbers of examples, rising, at least 1; drawn by factors.
        scores: {"bag of words": table, ...}: up to four, each (len(sizes), seeds).
        floor: what nobody should fall below, as ("coin", 0.5).
    """
    places = as_numbers(sizes)
    if len(places) < 2 or places[0] < 1 or not (np.diff(places) > 0).all():
        raise refusal("sizes", "two numbers or more, from 1, each larger than the one before", sizes)
    if not 1 <= len(scores) <= len(DASHES):
        raise refusal("scores", f"1 to {len(DASHES)} entries", len(scores))
    tables = {name: as_numbers(table) for name, table in scores.items()}
    for name, table in tables.items():
        if table.ndim != 2 or len(table) != len(places) or not np.isfinite(table).all():
            wanted = f"finite numbers of the shape ({len(places)}, seeds)"
            raise refusal(f"scores[{name!r}]", wanted, f"the shape {table.shape}")
    with house_style():
        figure = Figure(figsize=(7.0, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for k, (name, table) in enumerate(tables.items()):
            shifted = places * 1.03 ** (k - (len(tables) - 1) / 2)  # so that the spreads stand side by side
            mean = table.mean(axis=1)
            spread = np.clip([mean - table.min(axis=1), table.max(axis=1) - mean], 0, None)
            axes.errorbar(shifted, mean, yerr=spread, label=name, capsize=3, elinewidth=1.2)
        axes.axhline(floor[1], color=GREY, linestyle=":", linewidth=1.6, marker="none")
        axes.text(places[-1], floor[1], floor[0], ha="right", va="bottom", size=SMALL)
        axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
        axes.grid(axis="y")
        axes.set_xlabel("labelled examples")
        axes.set_ylabel(ylabel)
        axes.set_title(title or "", loc="left")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    lines = [
        f"{name}: "
        + ", ".join(
            f"{row.mean():.2f} ({row.min():.2f} to {row.max():.2f}) at {place:g}"
            for place, row in zip(places, table, strict=True)
        )
        for name, table in tables.items()
    ]
    start = f"{title}. " if title else ""
    return Picture(
        figure,
        f"{start}Lines of {ylabel} over the number of labelled examples, with the lowest and highest seed. "
        f"{'; '.join(lines)}. A dotted line: {floor[0]}, {floor[1]:g}.",
    )


def reliability(series: dict[str, tuple], title: str | None = None, bins: int = 10) -> Picture:
    """How often guesses are right, over how sure the model was: one point for each bin that is not empty, the
    larger the more guesses it holds.

    Args:
        series: {"as trained": (confidence, right)}: up to two, each with one number from 0 to 1 and one True
            or False for each guess.
        bins: equal ones, from 0 to 1.
    """
    if not 1 <= len(series) <= 2:
        raise refusal("series", "1 or 2 entries", len(series))
    points = {}
    for name, (confidence, right) in series.items():
        sure, hits = as_numbers(confidence), as_numbers(right)
        if (
            sure.ndim != 1
            or sure.shape != hits.shape
            or not len(sure)
            or not ((0 <= sure) & (sure <= 1)).all()
        ):
            raise refusal(
                f"series[{name!r}]", "a confidence from 0 to 1 and a hit for each guess", sure.shape
            )
        bin_of = np.ceil(sure * bins)
        points[name] = [
            (sure[bin_of == k].mean(), hits[bin_of == k].mean(), int((bin_of == k).sum()))
            for k in np.unique(bin_of)
        ]
    low = np.floor(10 * min(says for found in points.values() for says, _, _ in found)) / 10
    with house_style():
        figure = Figure(figsize=(6.0, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([low, 1], [low, 1], color=GREY, linestyle=":", marker="none", label="perfectly calibrated")
        for name, found in points.items():
            says, is_right, _ = zip(*found, strict=True)
            # No line from bin to bin: a bin of few guesses jumps about, and a line would make a zigzag of it.
            (dots,) = axes.plot(says, is_right, linestyle="none", label=name)
            total = sum(count for _, _, count in found)
            for x, y, count in found:
                size = dots.get_markersize() * (1 + 3 * np.sqrt(count / total))
                axes.plot(
                    x, y, linestyle="none", marker=dots.get_marker(), markersize=size, color=dots.get_color(),
                    alpha=0.5,
                )  # fmt: skip
            if len(points) == 1:
                for x, y, count in found:
                    side = "left" if x < low + 0.1 else "right"  # near the axis there is no room before it
                    shift = 6 if side == "left" else -6
                    axes.annotate(
                        f"{count} guesses", (x, y), (shift, -4), textcoords="offset points", ha=side,
                        va="top", size=SMALL,
                    )  # fmt: skip
        bottom = min(y for found in points.values() for _, y, _ in found)
        axes.set_xlim(low - 0.02, 1.01)
        axes.set_ylim(min(bottom, low) - 0.06, 1.02)
        axes.grid(axis="y")
        axes.set_xlabel("mean confidence of a bin")
        axes.set_ylabel("share that is right")
        axes.set_title(title or "", loc="left")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    lines = [
        f"{name}: " + ", ".join(f"says {x:.2f}, is right {y:.2f} ({count} guesses)" for x, y, count in found)
        for name, found in points.items()
    ]
    start = f"{title}. " if title else ""
    return Picture(
        figure,
        f"{start}Points of the share that is right over the mean confidence, bin by bin. {'; '.join(lines)}."
        " A dotted diagonal: perfect calibration.",
    )


def roofline(
    points: dict[str, tuple[float, float]], peak: float, bandwidth: float, title: str | None = None
) -> Picture:
    """What operations reach on a machine, under the roof that its peak and its bandwidth make.

    Source: Williams, Waterman and Patterson 2009, "Roofline", Communications of the ACM 52(4).

    Args:
        points: for each operation (arithmetic intensity in FLOP/byte, FLOPs a second), both above 0; 1 to 8.
        peak: FLOPs a second.
        bandwidth: bytes a second.
    """
    numbers = [number for point in points.values() for number in point] + [peak, bandwidth]
    if not 1 <= len(points) <= 8 or not all(0 < number < float("inf") for number in numbers):
        wanted = "1 to 8 entries, and finite numbers above 0 in them, in peak and in bandwidth"
        raise refusal("points", wanted, f"{len(points)} entries with the numbers {numbers}")
    ridge = peak / bandwidth
    low = min(intensity for intensity, _ in points.values()) / 3
    high = max(ridge, *(intensity for intensity, _ in points.values())) * 4
    with house_style():
        figure = Figure(figsize=(7.0, 4.0), layout="constrained")
        axes = figure.add_subplot()
        roof = [low, ridge, high]
        axes.plot(roof, [min(peak, x * bandwidth) / 1e9 for x in roof], color=INK, marker="", label="roof")
        axes.axvline(
            ridge, color=COLOURS["rust"], linestyle=DASHES[1], linewidth=1.4, label=f"ridge {ridge:.1f}"
        )
        for name, (intensity, speed) in points.items():
            axes.plot(intensity, speed / 1e9, "o", color=COLOURS["navy"], markersize=7)
            # Away from the roof: to the left of it where it climbs, below it where it is flat.
            way, side = ((-9, -3), "right") if intensity < ridge else ((0, -18), "center")
            axes.annotate(
                name, (intensity, speed / 1e9), xytext=way, textcoords="offset points", size=BODY - 1, ha=side
            )
        axes.set(xscale="log", yscale="log", xlim=(low, high))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
        across = axes.get_xaxis_transform()  # the words stand at the foot, whatever the speeds are
        for side, way, text in (("right", -8, "memory-bound"), ("left", 8, "compute-bound")):
            axes.annotate(
                text,
                (ridge, 0.04),
                xycoords=across,
                xytext=(way, 0),
                textcoords="offset points",
                size=BODY - 1,
                ha=side,
            )
        axes.set_xlabel("arithmetic intensity (FLOP/byte)")
        axes.set_ylabel("GFLOP/s")
        axes.set_title(title or "", loc="left")
        axes.grid(axis="y")
        axes.legend(loc="upper left", frameon=True, facecolor=PAPER, edgecolor="none", framealpha=1)
    said = [
        f"{name}: {speed / 1e9:.3g} GFLOP/s at {intensity:.3g} FLOP/byte, "
        f"{'left' if intensity < ridge else 'right'} of the ridge"
        for name, (intensity, speed) in points.items()
    ]
    return Picture(
        figure,
        f"{title + '. ' if title else ''}A roof that rises to {peak / 1e9:.3g} GFLOP/s and is flat from the"
        f" ridge, {ridge:.3g} FLOP/byte, on. {'; '.join(said)}.",
    )


def row_lengths(lengths: Sequence[float], used: int, fresh: float, name: str = "position") -> Picture:
    """How long the rows of a learned table are, against the length of a row that was never touched.

    Args:
        lengths: Euclidean length of row 0, 1, ...
        used: how many rows, from the first, training ever read.
        fresh: the expected length of a freshly drawn row.
        name: what the rows stand for.
    """
    values = as_numbers(lengths)
    if values.ndim != 1 or not 1 <= used < len(values):
        raise refusal("used", f"1 to {values.size - 1}, one less than there are lengths", used)
    with house_style():
        figure = Figure(figsize=(7.0, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(values, color=COLOURS["navy"], linestyle="none", marker="o", markersize=3.5)
        axes.axhline(fresh, color=COLOURS["rust"], linestyle=DASHES[1], linewidth=1.6, marker="none")
        axes.axvline(used - 0.5, color=GREY, linestyle=DASHES[2], linewidth=1.6, marker="none")
        top = 1.25 * float(max(values.max(), fresh))
        axes.set_ylim(0, top)
        axes.set_xlim(-2, len(values) + 1)
        axes.text(
            used + 1, 0.93 * top, f"longest sequence in training: {used} {name}s", va="center", size=SMALL
        )
        axes.text(len(values), fresh + 0.06 * top, f"a fresh row: {fresh:.3f}", ha="right", size=SMALL)
        axes.set_xlabel(name)
        axes.set_ylabel("length of its row")
    alt = (
        f"The length of each of {len(values)} {name} rows. The first {used} have lengths from"
        f" {values[:used].min():.2f} to {values[:used].max():.2f}; the other {len(values) - used} lie between"
        f" {values[used:].min():.2f} and {values[used:].max():.2f}, around {fresh:.3f}, the length of a fresh"
        " row."
    )
    return Picture(figure, alt)


def spread(
    places: Sequence[float], gap: float, within: tuple[float, float] = (-np.inf, np.inf)
) -> list[float]:
    """Places for labels at least `gap` apart, in the order of `places` and as near to them as that allows.

    Labels that touch form a block, and a block stands where the mean of its labels wants to be, inside of
    `within`, which must have room for all.
    """
    order = np.argsort(places, kind="stable")
    blocks: list[list[int]] = []

    def bottom(block: list[int]) -> float:
        return float(np.mean([places[i] for i in block])) - gap * (len(block) - 1) / 2

    for i in order.tolist():
        blocks.append([i])
        while len(blocks) > 1 and bottom(blocks[-1]) < bottom(blocks[-2]) + gap * len(blocks[-2]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    low, high = within
    high -= gap * (len(places) - 1)  # where the lowest may stand if all others follow it closely
    placed, below = [0.0] * len(places), 0
    for block in blocks:
        start = min(max(bottom(block) - gap * below, low), high) + gap * below
        for k, i in enumerate(block):
            placed[i] = start + gap * k
        below += len(block)
    return placed
