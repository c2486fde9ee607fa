"""Losses of several models over their training, above lines that say what is possible."""

from matplotlib.figure import Figure

from course_utils.classroom.plots.lines import spread
from course_utils.classroom.plots.style import COLOURS, GREY, INK, SMALL, Picture, as_numbers, house_style


def losses_over_steps(
    noted, losses: dict[str, object], floors: dict[str, float], ylabel: str = "loss (nats)"
) -> Picture:
    """The mean loss of several models over the steps of their training, above what is possible at best.

    Args:
        noted: numbers of steps, rising; drawn by factors.
        losses: for each model (seeds, len(noted)) in nats; up to six.
        floors: losses in nats that a model may be held against; drawn as lines.
    """
    markers = "os^DvX"
    dashes = ("-", "--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)))
    with house_style():
        figure = Figure(figsize=(7.6, 4.3), layout="constrained")
        axes = figure.add_subplot()
        colours = [*COLOURS.values(), GREY, INK]
        ends, highest = [], max(floors.values(), default=0.0)
        for (name, table), colour, marker, dash in zip(
            losses.items(), colours, markers, dashes, strict=False
        ):
            mean = as_numbers(table).mean(axis=0)
            axes.plot(noted, mean, color=colour, marker=marker, linestyle=dash, label=name)
            ends.append(float(mean[-1]))
            highest = max(highest, float(mean.max()))
        for end, place in zip(ends, spread(ends, 0.055 * highest), strict=True):
            axes.annotate(
                f"{end:.2f}", (noted[-1], place), xytext=(8, 0), textcoords="offset points", va="center",
                size=SMALL,
            )  # fmt: skip
        for name, floor in floors.items():
            axes.axhline(floor, color=GREY, linewidth=1.2, linestyle=":", marker="none")
            axes.text(noted[0], floor, f"{name}: {floor:.2f}", va="bottom", size=SMALL)
        axes.set_xscale("log")
        axes.set_xticks(noted, [str(step) for step in noted])
        axes.minorticks_off()
        axes.set_xlim(right=1.25 * noted[-1])
        axes.set_ylim(-0.03 * highest, 1.06 * highest)
        axes.set_xlabel("steps of training")
        axes.set_ylabel(ylabel)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    said = [
        f"{name}: "
        + ", ".join(f"{x:.2f} after {step}" for step, x in zip(noted, as_numbers(table).mean(0), strict=True))
        for name, table in losses.items()
    ]
    lines = ", ".join(f"{name} {floor:.2f}" for name, floor in floors.items())
    seeds = max((len(as_numbers(table)) for table in losses.values()), default=1)
    means = ", means over the seeds" if seeds > 1 else ""
    return Picture(figure, f"Loss in nats over steps{means}. {'; '.join(said)}. Lines: {lines}.")
