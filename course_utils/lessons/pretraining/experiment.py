"""What each choice in the training recipe is worth: short runs that differ in one choice, over several seeds.

Too long for a notebook (some 25 minutes on two cores), so the result is stored; notebook 09 reads it and
runs one pair again. Make it anew with

    python -m course_utils.lessons.pretraining.experiment

Three tables. Every run takes steps of about 2,048 positions; a loss is that of held-out documents, in nats,
at [MASK].

    losses  one choice of the recipe left out (three seeds) or exchanged for BERT's (one seed), 400 steps
    sgd     SGD at several rates, with momentum and without, 400 steps, one seed: its best is in `losses` too
    norms   LayerNorm after each sublayer (BERT) and before it, with a warm-up and without, at a high rate:
            `modern_bert` with that one change, masked words only, 150 steps, three seeds
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from course_utils import checkpoints, commands, pretraining, training
from course_utils.checks import IGNORE_INDEX
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.mlm import mask_tokens
from course_utils.modern_bert import ModernBertForMaskedLM, as_bert
from course_utils.pretraining import Settings
from course_utils.wordpiece import WordPieceTokenizer

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.pretraining.experiment"
SEEDS = (0, 1, 2)
EVERY = 50  # steps between two measurements
HELD_OUT_DOCUMENTS = 100
BASE = replace(pretraining.LIVE, steps=400, warmup_steps=40)


def sgd(model: torch.nn.Module, settings: Settings, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent: a step is the learning rate times the gradient, or its running sum."""
    return torch.optim.SGD(model.parameters(), lr=settings.learning_rate, momentum=momentum)


def slow_second_mean(model: torch.nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """AdamW with BERT's beta2, 0.999 in place of 0.98."""
    groups = training.parameter_groups(model.parameters(), settings.weight_decay)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.999), fused=True)


@dataclass(frozen=True)
class Choice:
    """One way to train: what differs from `BASE`, and the optimiser."""

    changes: dict = field(default_factory=dict)
    optimizer: Callable | None = None  # None: AdamW, as `Pretrainer` has it
    seeds: tuple[int, ...] = SEEDS


SGD_RATES = {0.0: (0.1, 1.0, 3.0), 0.9: (0.03, 0.1, 0.3, 1.0, 3.0)}  # momentum: rates that are tried
SGD = {
    f"SGD, momentum {momentum:g}, rate {rate:g}": Choice(
        {"learning_rate": rate}, partial(sgd, momentum=momentum)
    )
    for momentum, rates in SGD_RATES.items()
    for rate in rates
}
CHOICES = {
    "the recipe of the course": Choice(),
    "no warm-up": Choice({"warmup_steps": 0}),
    "rate 5e-3": Choice({"learning_rate": 5e-3}),
    "rate 5e-3, no warm-up": Choice({"learning_rate": 5e-3, "warmup_steps": 0}),
    # The first 400 steps of a schedule so long that the rate has hardly begun to fall.
    "rate does not fall": Choice({"steps": 40_000}),
    "no clipping": Choice({"clip": 1e9}),
    "no weight decay": Choice({"weight_decay": 0.0}),
    "BERT's rate, 1e-4": Choice({"learning_rate": 1e-4}, seeds=SEEDS[:1]),
    "BERT's beta2, 0.999": Choice({}, slow_second_mean, SEEDS[:1]),
    "BERT's dropout, 0.1": Choice({"dropout": 0.1}, seeds=SEEDS[:1]),
    "BERT's 15 % selected": Choice({"rate": 0.15}, seeds=SEEDS[:1]),
}
BEST_SGD = "SGD at its best"

NORM_STEPS = 150
NORM_RATE = 5e-3
NORMS = {
    f"{'before' if pre_norm else 'after'}, {'warm-up' if warmup_steps else 'no warm-up'}": (
        pre_norm,
        warmup_steps,
    )
    for pre_norm in (False, True)
    for warmup_steps in (40, 0)
}


@cache
def tokenizer_and_data() -> tuple[WordPieceTokenizer, pretraining.HeldOut]:
    """The embedded vocabulary, and the documents that every run is measured on."""
    tokenizer = WordPieceTokenizer.from_file(checkpoints.DATA / "vocab.txt")
    return tokenizer, pretraining.held_out(tokenizer, documents=HELD_OUT_DOCUMENTS)


@cache
def rows_of(seed: int) -> list[pretraining.Batch]:
    """What the runs of a seed train on."""
    return pretraining.training_rows(replace(BASE, seed=seed), tokenizer_and_data()[0])


def losses(
    choice: Choice, seed: int, tokenizer, data: pretraining.HeldOut, steps: int = BASE.steps
) -> list[float]:
    """Held-out loss at [MASK], in nats, after each `EVERY` steps of one run."""
    settings = replace(BASE, seed=seed, **choice.changes)
    trainer = pretraining.Pretrainer(settings, tokenizer, rows_of(seed))
    if choice.optimizer:
        trainer.optimizer = choice.optimizer(trainer.model, settings)
    measured = []
    for step in range(1, steps + 1):
        trainer.step()
        if step % EVERY == 0:
            result = pretraining.compare(pretraining.evaluate(trainer.model, data), data)
            measured.append(result["model"])
    return measured


def norm_losses(pre_norm: bool, warmup_steps: int, seed: int, steps: int = NORM_STEPS) -> list[float]:
    """The same of a model with LayerNorm before or after each sublayer, trained on masked words alone."""
    tokenizer, data = tokenizer_and_data()
    settings = replace(BASE, seed=seed, learning_rate=NORM_RATE, warmup_steps=warmup_steps)
    model = model_with_norm(pre_norm, settings, len(tokenizer))
    groups = training.parameter_groups(model.parameters(), settings.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
    order = pretraining.BatchOrder(rows_of(seed), settings.tokens_per_step, seed)
    measured = []
    for step in range(steps):
        generator = torch.Generator().manual_seed((seed << 32) + step)
        masked_ids, labels = mask_tokens(order[step].input_ids, tokenizer, settings.rate, generator)

        def backward(masked_ids=masked_ids, labels=labels):
            loss = model.loss(masked_ids, None, labels)
            loss.backward()
            return loss.detach()

        rate = pretraining.learning_rate_at(step, settings)
        training.update(model, optimizer, backward, rate, settings.clip)
        if (step + 1) % EVERY == 0:
            measured.append(held_out_loss(model, data))
    return measured


def model_with_norm(pre_norm: bool, settings: Settings, vocab_size: int) -> ModernBertForMaskedLM:
    """BERT's block, and the one with LayerNorm before its sublayers, from the seed of the settings."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        config = replace(as_bert(settings.bert_config(vocab_size)), pre_norm=pre_norm)
        return ModernBertForMaskedLM(config)


@torch.no_grad()
def held_out_loss(model: ModernBertForMaskedLM, data: pretraining.HeldOut) -> float:
    """Mean loss at the held-out [MASK]s, in nats."""
    nats = []
    for _, masked_ids, labels in data.batches:
        selected = labels != IGNORE_INDEX
        scores = model(masked_ids)[selected]
        nats.append(torch.nn.functional.cross_entropy(scores, labels[selected], reduction="none").numpy())
    return float(np.concatenate(nats)[data.floors.kind == "mask"].mean())


def load() -> dict:
    """The stored result: {"command", "seeds", "every", "floors", "losses", "sgd", "best_sgd", "norms"}.

    "losses" and "norms" have one list a seed for each choice, "sgd" one list for each rate.
    """
    return read(RESULT)


def run_one(name: str, seed: int) -> list[float]:
    """The losses of one run."""
    if name in NORMS:
        return norm_losses(*NORMS[name], seed)
    return losses((CHOICES | SGD)[name], seed, *tokenizer_and_data())


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    jobs = [(name, SEEDS[0]) for name in SGD]
    jobs += [(name, seed) for seed in SEEDS for name in NORMS]
    jobs += [(name, seed) for name, choice in CHOICES.items() for seed in choice.seeds]
    found = train_all(run_one, jobs, options)
    scan = {name: found[name, SEEDS[0]] for name in SGD}
    best = min(scan, key=lambda name: scan[name][-1])
    record = {"command": COMMAND, "seeds": SEEDS, "every": EVERY}
    record["floors"] = tokenizer_and_data()[1].floors.mean("mask")
    record["losses"] = {name: [found[name, s] for s in choice.seeds] for name, choice in CHOICES.items()}
    record["losses"][BEST_SGD] = [scan[best]]
    record |= {"sgd": scan, "best_sgd": best}
    finish(options, record | {"norms": {name: [found[name, s] for s in SEEDS] for name in NORMS}})
    return 0


if __name__ == "__main__":
    commands.run(main)
