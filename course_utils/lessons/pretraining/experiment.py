"""What each choice in the training recipe is worth: short runs that differ in one choice, over several seeds.

Too long for a notebook (some ten minutes on two cores), so the result is stored; notebook 09 reads it and
runs one pair again. Make it anew with

    python -m course_utils.lessons.pretraining.experiment

Every run has 400 steps of about 2,048 positions. The loss is that of held-out documents, in nats, at [MASK].
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import torch

from course_utils import checkpoints, commands, pretraining
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.pretraining import Settings
from course_utils.wordpiece import WordPieceTokenizer

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.pretraining.experiment"
SEEDS = (0, 1, 2)
EVERY = 50  # steps between two measurements
HELD_OUT_DOCUMENTS = 100
BASE = replace(pretraining.LIVE, steps=400, warmup_steps=40)


def sgd(model: torch.nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Plain stochastic gradient descent: a step is the learning rate times the gradient."""
    return torch.optim.SGD(model.parameters(), lr=settings.learning_rate)


@dataclass(frozen=True)
class Choice:
    """One way to train: what differs from `BASE`, and the optimiser."""

    changes: dict = field(default_factory=dict)
    optimizer: Callable | None = None  # None: AdamW, as `Pretrainer` has it


CHOICES = {
    "the recipe of the course": Choice(),
    "no warm-up": Choice({"warmup_steps": 0}),
    "rate 5e-3": Choice({"learning_rate": 5e-3}),
    "rate 5e-3, no warm-up": Choice({"learning_rate": 5e-3, "warmup_steps": 0}),
    # The first 400 steps of a schedule so long that the rate has hardly begun to fall.
    "rate does not fall": Choice({"steps": 40_000}),
    "no clipping": Choice({"clip": 1e9}),
    "no weight decay": Choice({"weight_decay": 0.0}),
    "SGD, rate 0.1": Choice({"learning_rate": 0.1}, sgd),
    "SGD, rate 1": Choice({"learning_rate": 1.0}, sgd),
}


def losses(
    choice: Choice, seed: int, tokenizer, data: pretraining.HeldOut, steps: int = BASE.steps
) -> list[float]:
    """Held-out loss at [MASK], in nats, after each `EVERY` steps of one run."""
    settings = replace(BASE, seed=seed, **choice.changes)
    trainer = pretraining.Pretrainer(settings, tokenizer)
    if choice.optimizer:
        trainer.optimizer = choice.optimizer(trainer.model, settings)
    measured = []
    for step in range(1, steps + 1):
        trainer.step()
        if step % EVERY == 0:
            result = pretraining.compare(pretraining.evaluate(trainer.model, data), data)
            measured.append(result["model"])
    return measured


def load() -> dict:
    """The stored result: {"command", "seeds", "every", "floors", "losses": {choice: [one list a seed]}}."""
    return read(RESULT)


@cache
def tokenizer_and_data() -> tuple[WordPieceTokenizer, pretraining.HeldOut]:
    """The embedded vocabulary, and the documents that every run is measured on."""
    tokenizer = WordPieceTokenizer.from_file(checkpoints.DATA / "vocab.txt")
    return tokenizer, pretraining.held_out(tokenizer, documents=HELD_OUT_DOCUMENTS)


def run_one(name: str, seed: int) -> list[float]:
    """The losses of one run."""
    return losses(CHOICES[name], seed, *tokenizer_and_data())


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    found = train_all(run_one, [(name, seed) for name in CHOICES for seed in SEEDS], options)
    record = {"command": COMMAND, "seeds": SEEDS, "every": EVERY}
    record["floors"] = tokenizer_and_data()[1].floors.mean("mask")
    finish(options, record | {"losses": {name: [found[name, s] for s in SEEDS] for name in CHOICES}})
    return 0


if __name__ == "__main__":
    commands.run(main)
