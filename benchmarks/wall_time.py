"""Half of the time: how near to the exact limit other recipes come, over wall time.

    python -m benchmarks.wall_time          train by each recipe, write wall_time.json and wall_time.svg, and
                                            the section of RESULTS.md (about twenty minutes, two threads)
    python -m benchmarks.wall_time --draw   draw the picture and write the section anew from wall_time.json

The recipe of the embedded model takes 5,000 steps. Wanted is a gap of at most 0.02 nats at [MASK] in half of
its wall time. All recipes run in one process and take turns, so that a machine that slows down slows all of
them. Only steps are timed, not the looks at held-out rows between them.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from benchmarks import exact_limit, protocol
from course_utils import checkpoints, pretraining, tables, training
from course_utils.pretraining import HeldOut, Pretrainer, Settings

FILE = Path(__file__).with_suffix(".json")
PICTURE = FILE.with_suffix(".svg")
WANTED, SHARE = 0.02, 0.5  # nats at [MASK]; of the first recipe's wall time
TOLERANCE = 0.02  # of that time: what equal work differs by
TURNS, LOOK = 50, 2  # in which every recipe takes its steps; after each second turn its model is looked at
DOCUMENTS = 400  # held out for a look; the last one has those of P4
RC = {"svg.hashsalt": "wall_time", "svg.fonttype": "none"}  # the same picture gives the same file


def with_muon(trainer: Pretrainer) -> None:
    """Train the matrices of the layers by Muon, and embeddings, biases and LayerNorms by AdamW as before.

    Muon takes the momentum's nearest orthogonal matrix as its direction, so that every direction of a weight
    moves alike. Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    settings, named = trainer.settings, dict(trainer.model.named_parameters())
    matrices = {name: p for name, p in named.items() if ".layer." in name and p.dim() == 2}
    others = [p for name, p in named.items() if name not in matrices]
    muon = torch.optim.Muon(
        matrices.values(), weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    groups = training.parameter_groups(others, settings.weight_decay)
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)

    def after(*_) -> None:  # the trainer knows of one optimiser, at whose rate the other goes too
        for group in muon.param_groups:
            group["lr"] = adamw.param_groups[0]["lr"]
        muon.step()
        muon.zero_grad()

    adamw.register_step_post_hook(after)
    trainer.optimizer = adamw


@dataclass
class Recipe:
    """One way to train the embedded model, and what came of it so far."""

    name: str
    settings: Settings
    prepare: Callable[[Pretrainer], None] | None = None
    seconds: float = 0.0
    curve: list[list[float]] = field(default_factory=list)  # seconds, steps, gap in nats

    def begin(self, tokenizer, rows) -> None:
        self.trainer = Pretrainer(self.settings, tokenizer, rows)
        if self.prepare:
            self.prepare(self.trainer)

    def take_turn(self, look_at: HeldOut | None) -> None:
        """Take the steps of one turn, and look at the model's gap on held-out rows if there are any."""
        start = time.perf_counter()
        for _ in range(self.settings.steps // TURNS):
            self.trainer.step()
        self.seconds += time.perf_counter() - start
        if look_at:
            gap = pretraining.compare(pretraining.evaluate(self.trainer.model, look_at), look_at)["gap"]
            self.curve.append([self.seconds, self.trainer.next_step, gap])

    def result(self, data: HeldOut) -> dict:
        """What is stored of it; `data` are the many rows of the last look."""
        found = pretraining.compare(pretraining.evaluate(self.trainer.model, data), data)
        half_width = exact_limit.CONFIDENT * found["gap_standard_error"]
        return {
            "steps": self.settings.steps,
            "learning_rate": self.settings.learning_rate,
            "seconds": self.seconds,
            "gap": [found["gap"], found["gap"] - half_width, found["gap"] + half_width],
            "next_sentence": found["best_next_sentence_accuracy"] - found["next_sentence_accuracy"],
            "curve": self.curve,
        }


def recipes() -> list[Recipe]:
    """The recipe of the embedded model, and those that are to take half of its time."""
    ours = Settings()
    half = replace(ours, steps=ours.steps // 2)
    return [
        Recipe("AdamW, as the embedded model", ours),
        Recipe("AdamW, half of the steps", half),
        Recipe("Muon, half of the steps", replace(half, learning_rate=0.004), with_muon),
    ]


def measure() -> dict:
    """Train by every recipe, in turns."""
    _, tokenizer = checkpoints.load("embedded")
    rows = pretraining.training_rows(Settings(), tokenizer)
    few, many = (pretraining.held_out(tokenizer, n) for n in (DOCUMENTS, exact_limit.DOCUMENTS))
    running = recipes()
    for recipe in running:
        recipe.begin(tokenizer, rows)
    for turn in tqdm(range(1, TURNS + 1), unit="turn"):
        for recipe in running:
            recipe.take_turn(few if turn % LOOK == 0 else None)
    return {
        "processor": protocol.processor(),
        "threads": torch.get_num_threads(),
        "recipes": {recipe.name: recipe.result(many) for recipe in running},
    }


# ---- Picture and page ------------------------------------------------------------------------------------


def read(path: Path = FILE) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def first_of(found: dict) -> dict:
    """The row of the first recipe, which is that of the embedded model."""
    return next(iter(found["recipes"].values()))


def draw(found: dict, picture: Path = PICTURE) -> None:
    """Gap over wall time, a line for each recipe, and what was wanted."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        for (name, row), look in zip(found["recipes"].items(), ("o-", "s--", "^:"), strict=False):
            seconds, _, gaps = zip(*row["curve"], strict=True)
            shares = [100 * second / first_of(found)["seconds"] for second in seconds]
            axes.plot(shares, gaps, look, markersize=4, label=name)
        axes.axhline(WANTED, color="grey", linewidth=0.8)
        axes.axvline(100 * SHARE, color="grey", linewidth=0.8)
        axes.annotate(f"wanted: {WANTED} nats", (0, WANTED), va="bottom")
        axes.annotate("half of the time", (100 * SHARE + 1, 0.9), va="top")
        axes.set(xlabel="wall time, % of the embedded model's recipe", yscale="log", ylim=(0.008, 1.2))
        axes.set_ylabel("gap above the exact limit at [MASK], nats")
        axes.legend()
        figure.savefig(picture, metadata={"Date": None})


HEADS = ["recipe", "steps", "wall time", "of it", "a step", "gap [95 % interval], nats", "next sentence"]


def section(found: dict) -> list[str]:
    """The section of RESULTS.md, in Markdown."""
    first = first_of(found)
    rows = [
        [
            name,
            f"{row['steps']:,}",
            f"{row['seconds']:.0f} s",
            f"{100 * row['seconds'] / first['seconds']:.0f} %",
            f"{row['seconds'] / row['steps'] / (first['seconds'] / first['steps']):.2f}x",
            "{:.4f} [{:.4f}, {:.4f}]".format(*row["gap"]),
            f"{100 * row['next_sentence']:.1f} %",
        ]
        for name, row in found["recipes"].items()
    ]
    longest = (SHARE + TOLERANCE) * first["seconds"]
    good = [n for n, row in found["recipes"].items() if row["seconds"] <= longest and row["gap"][2] <= WANTED]
    verdict = f"met by {', '.join(good)}" if good else "MISSED by every recipe that was tried"
    about = (
        f"Wanted: a gap of at most {WANTED} nats in half of the wall time of the embedded model's recipe:"
        f" {verdict}. One seed, {found['threads']} threads, {found['processor']}; the recipes took turns."
        f" The table counts {exact_limit.DOCUMENTS:,} held-out documents, the picture {DOCUMENTS}; next"
        " sentence is how far the accuracy stays below that of the perfect model. Muon trains the matrices of"
        " the layers."
        " Written by `python -m benchmarks.wall_time`.\n"
    )
    return [
        "\n## Half of the time\n",
        about,
        *tables.markdown([HEADS, *rows]),
        "\n![The gap above the exact limit over wall time, for each recipe](wall_time.svg)",
    ]


def main() -> None:
    from benchmarks import report

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wall_time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--draw", action="store_true", help="draw and write anew what is stored")
    if not parser.parse_args().draw:
        torch.set_num_threads(protocol.THREADS)
        with protocol.Others() as others:
            found = measure()
        if others.share > protocol.QUIET:
            sys.exit(f"other work took {others.share:.0%} of the cores: nothing is written, run again")
        FILE.write_text(json.dumps(report.rounded(found), indent=1) + "\n", encoding="utf-8", newline="\n")
    draw(read())
    report.write(json.loads(report.RESULTS.read_text(encoding="utf-8")))


if __name__ == "__main__":
    from course_utils import commands

    commands.run(main)
