"""What each change of the modern encoder is worth to a small model: over learning rates and seeds.

"changes": BERT's block, the block with one change, and the block with all of them fill blanks of the toy
language. All models do the same matrix products, counted in FLOPs, within two in a thousand: a model that
saves some gets a wider feed-forward network. The learning rate of each is chosen by trainings half as long,
from other seeds; where the best is the largest or the smallest tried, one more is tried beyond it. What is
good in a short training may be too high for a long one. So a model whose rate came out higher than that of
BERT's block has both rates tried again at the full length, and so has BERT's block. The sixth change, no
padding, is left out: a batch holds rows of one length.

"lengths": three ways to tell positions, trained on rows of at most `LONGEST` tokens, and measured on longer
ones as well. To see whether longer rows are harder, rotary positions are also trained on rows of all
lengths; and to see whether distances that were never met do the harm, these are hidden by a mask ("near").

The result is stored beside this file; notebook 16 shows it. To make it again (about a quarter of an hour on
two cores):

    python -m course_utils.lessons.modern.experiment
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils import commands
from course_utils.bert import count_parameters
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.lessons.embeddings.experiment import waves
from course_utils.lessons.mlm.experiment import held_out_rows, tokenizer_and_rows
from course_utils.mlm import IGNORE_INDEX, mask_tokens
from course_utils.modern_bert import ModernBertConfig, ModernBertForMaskedLM, matmul_flops, neighbourhood
from course_utils.pretraining import Batch, BatchOrder
from course_utils.training import schedule, update

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.modern.experiment"
TOKENS_PER_STEP, RATE = 768, 0.3  # ModernBERT, too, hides 30 %
STEPS, WARM_UP = 800, 50
SHORT_STEPS = 400  # of the trainings that choose a learning rate, and of those on short rows
LEARNING_RATES = (2e-3, 4e-3, 8e-3)
TUNING_SEEDS, SEEDS = (10, 11), (0, 1, 2, 3)
LENGTHS_SEEDS = (0, 1, 2)
ROW = 17  # tokens; the length at which FLOPs are compared, near the mean of the rows
LONGEST = 14  # tokens of a training row in "lengths"; the longest held-out rows have 23
BINS = {"up to 14": (0, 14), "15 to 17": (15, 17), "18 to 23": (18, 23)}

BERT = {"pre_norm": False, "rotary": False, "gated": False, "biases": True, "global_every": 1}
CHANGES = {  # what is added to BERT's block; with two layers, every second one is global
    "BERT": {},
    "pre-norm": {"pre_norm": True},
    "rotary": {"rotary": True},
    "GeGLU": {"gated": True},
    "no biases": {"biases": False},
    "local layers": {"global_every": 2},
    "all together": {"pre_norm": True, "rotary": True, "gated": True, "biases": False, "global_every": 2},
}
POSITIONS = ("learnt", "sine", "rotary")
CONTROL = "rotary, all lengths"


def config_of(changes: dict, vocab_size: int = 1000) -> ModernBertConfig:
    """BERT's block with some changes, and as wide a feed-forward network as makes its FLOPs those of BERT."""
    common = {
        "vocab_size": vocab_size, "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 40, "pad_token_id": 0,
        "local_attention": 8, "global_rope_theta": 10_000.0,
    }  # fmt: skip
    wanted = matmul_flops(ModernBertConfig(**common | BERT), [ROW])
    config = ModernBertConfig(**common | BERT | changes)
    widths = range(1, 2 * config.intermediate_size)
    candidates = [replace(config, intermediate_size=width) for width in widths]
    return min(candidates, key=lambda each: abs(matmul_flops(each, [ROW]) - wanted))


class Sine(nn.Module):
    """The fixed waves of the Transformer as a table of positions; their size alone is learnt."""

    def __init__(self, positions: int, size: int, spread: float):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(spread * 2**0.5))  # a wave has the spread 1 / sqrt(2)
        self.register_buffer("table", waves(positions, size))

    def forward(self, positions: Tensor) -> Tensor:
        """(seq_len,) -> (seq_len, hidden_size)."""
        return self.size * self.table[positions]


def build(part: str, name: str, seed: int) -> ModernBertForMaskedLM:
    """A fresh model of one part of the experiment; the same first weights for the same seed."""
    vocab_size = len(tokenizer_and_rows()[0])
    changes = CHANGES[name] if part == "changes" else {"rotary": name in ("rotary", CONTROL)}
    config = config_of(changes, vocab_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ModernBertForMaskedLM(config)
    if name == "sine":
        model.model.embeddings.position_embeddings = Sine(
            config.max_position_embeddings, config.hidden_size, config.initializer_range
        )
    return model


def rows_of(part: str, name: str) -> list[Batch]:
    """The training rows; in "lengths" the short ones alone, but for the control."""
    _, rows = tokenizer_and_rows()
    longest = LONGEST if part == "lengths" and name != CONTROL else 1000
    return [batch for batch in rows if batch.input_ids.shape[1] <= longest]


def train(
    part: str, name: str, learning_rate: float, seed: int, steps: int, stop: int | None = None
) -> ModernBertForMaskedLM:
    """One model, trained; the same seed gives the same rows and blanks in the same order to all of a part.

    Args:
        stop: take only this many of the `steps` steps; what is learnt until then is the same.
    """
    tokenizer, _ = tokenizer_and_rows()
    model = build(part, name, seed)
    order = BatchOrder(rows_of(part, name), TOKENS_PER_STEP, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), fused=True)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps if stop is None else stop):
        masked_ids, labels = mask_tokens(order[step].input_ids, tokenizer, RATE, generator)

        def backward(masked_ids=masked_ids, labels=labels):
            model.loss(masked_ids, None, labels).backward()

        update(model, optimizer, backward, learning_rate * schedule(step, steps, WARM_UP), clip=1.0)
    return model.eval()


@torch.no_grad()
def losses_at_masks(
    model: ModernBertForMaskedLM, near: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At every [MASK] of the held-out rows: the model's loss, the lowest possible one, the row's length.

    Args:
        near: hide the tokens that are further away than any in a row of `LONGEST` tokens.
    """
    data, nats, lengths = held_out_rows(), [], []
    for _, masked_ids, labels in data.batches:
        selected = labels != IGNORE_INDEX
        batch, seq_len = masked_ids.shape
        band = neighbourhood(seq_len, 2 * (LONGEST - 1)).expand(batch, -1, -1) if near else None
        states = model.model(masked_ids, band)[selected]
        logits = model.decoder(model.head(states))
        nats.append(F.cross_entropy(logits, labels[selected], reduction="none"))
        lengths.append(torch.full((int(selected.sum()),), masked_ids.shape[1]))
    at_mask = data.floors.kind == "mask"
    return (
        torch.cat(nats).numpy()[at_mask],
        data.floors.bidirectional[at_mask],
        torch.cat(lengths).numpy()[at_mask],
    )


def gap(model: ModernBertForMaskedLM) -> float:
    """Mean loss at [MASK] above the lowest possible one, in nats."""
    nats, floor, _ = losses_at_masks(model)
    return float((nats - floor).mean())


def gaps_by_length(model: ModernBertForMaskedLM, near: bool = False) -> dict[str, float]:
    """The same, for short, longer and the longest rows."""
    nats, floor, lengths = losses_at_masks(model, near)
    return means_by_length(nats - floor, lengths)


def means_by_length(values: np.ndarray, lengths: np.ndarray) -> dict[str, float]:
    """The mean over the [MASK] of rows of each length."""
    return {
        name: float(values[(lengths >= low) & (lengths <= high)].mean()) for name, (low, high) in BINS.items()
    }


def word_counts_by_length() -> dict[str, float]:
    """The gap of someone who knows how frequent each word is, and nothing of the row."""
    data = held_out_rows()
    lengths = [
        torch.full((int((labels != IGNORE_INDEX).sum()),), masked_ids.shape[1])
        for _, masked_ids, labels in data.batches
    ]
    at_mask = data.floors.kind == "mask"
    gaps = data.floors.unigram[at_mask] - data.floors.bidirectional[at_mask]
    return means_by_length(gaps, torch.cat(lengths).numpy()[at_mask])


# ---- The stored result -----------------------------------------------------------------------------------


def run_one(part: str, name: str, learning_rate: float, seed: int, steps: int) -> float | dict[str, float]:
    """Train and measure one model. A run that diverges has no gap: 99."""
    try:
        model = train("changes" if part == "changes" else "lengths", name, learning_rate, seed, steps)
    except FloatingPointError:
        return 99.0
    return gap(model) if part == "changes" else gaps_by_length(model, near=part == "near")


def tuning_gap(result: float | dict[str, float]) -> float:
    """By what a rate is chosen; in "lengths" the gap on rows as long as those trained on."""
    return next(iter(result.values())) if isinstance(result, dict) else result


def tuned(tried: dict[float, list[float]]) -> float:
    """The rate with the lowest mean."""
    return min(tried, key=lambda rate: float(np.mean(tried[rate])))


def tune(
    part: str, names: tuple[str, ...], seeds: tuple[int, ...], options
) -> dict[str, dict[float, list[float]]]:
    """For each model the gaps at each rate, from the tuning seeds; a best rate at the edge widens the
    search by one.
    """
    rates = {name: sorted(LEARNING_RATES) for name in names}
    for _ in range(2):
        jobs = [
            (part, name, rate, seed, SHORT_STEPS) for name in names for rate in rates[name] for seed in seeds
        ]
        found = train_all(run_one, jobs, options)
        tried = {
            name: {
                rate: [tuning_gap(found[part, name, rate, seed, SHORT_STEPS]) for seed in seeds]
                for rate in rates[name]
            }
            for name in names
        }
        for name in names:
            best = tuned(tried[name])
            if best == max(LEARNING_RATES):
                rates[name] = [*LEARNING_RATES, 2 * best]
            if best == min(LEARNING_RATES):
                rates[name] = [best / 2, *LEARNING_RATES]
    return tried


def tune_again(tried: dict[str, dict[float, list[float]]], options) -> dict[str, dict[float, list[float]]]:
    """At the full length, for a model with a higher rate than BERT's block and for that block: both rates."""
    best = {name: tuned(gaps) for name, gaps in tried.items()}
    rates = {name: (best["BERT"], rate) for name, rate in best.items() if rate > best["BERT"]}
    if rates:
        rates["BERT"] = tuple(sorted({rate for pair in rates.values() for rate in pair}))
    jobs = [
        ("changes", name, rate, seed, STEPS)
        for name, pair in rates.items()
        for rate in pair
        for seed in TUNING_SEEDS
    ]
    found = train_all(run_one, jobs, options)
    return {
        name: {rate: [found["changes", name, rate, seed, STEPS] for seed in TUNING_SEEDS] for rate in pair}
        for name, pair in rates.items()
    }


def run_part(part, names, steps, tuning_seeds, seeds, options) -> dict:
    """Tune, then train from every seed; also at the rate of the short trainings, if that is another one."""
    tried = tune(part, names, tuning_seeds, options)
    again = tune_again(tried, options) if part == "changes" else {}
    short = {name: tuned(tried[name]) for name in names}
    best = {name: tuned(again.get(name, tried[name])) for name in names}
    jobs = {(name, rate) for name in names for rate in (short[name], best[name])}
    found = train_all(run_one, [(part, *job, seed, steps) for job in sorted(jobs) for seed in seeds], options)

    def gaps(name: str, rate: float) -> list:
        return [found[part, name, rate, seed, steps] for seed in seeds]

    return {
        name: {
            "tried": {str(rate): values for rate, values in tried[name].items()},
            "tried_again": {str(rate): values for rate, values in again.get(name, {}).items()},
            "learning_rate": best[name],
            "gaps": gaps(name, best[name]),
        }
        | ({"gaps_at_short_rate": gaps(name, short[name])} if short[name] != best[name] else {})
        for name in names
    }


def try_lengths(rate: float, options) -> dict[str, list[dict[str, float]]]:
    """Rotary positions at one rate: trained on rows of all lengths; and both with far tokens hidden."""
    kinds = {
        CONTROL: ("lengths", CONTROL),
        "rotary, near": ("near", "rotary"),
        f"{CONTROL}, near": ("near", CONTROL),
    }
    jobs = {
        kind: [(part, name, rate, seed, SHORT_STEPS) for seed in LENGTHS_SEEDS]
        for kind, (part, name) in kinds.items()
    }
    found = train_all(run_one, [job for each in jobs.values() for job in each], options)
    return {kind: [found[job] for job in each] for kind, each in jobs.items()}


def sizes() -> dict[str, dict[str, int]]:
    """Parameters, the width of the feed-forward network and FLOPs of a row, of every model of "changes"."""
    vocab_size = len(tokenizer_and_rows()[0])
    return {
        name: {
            "parameters": count_parameters(ModernBertForMaskedLM(config)),
            "intermediate_size": config.intermediate_size,
            "flops": matmul_flops(config, [ROW]),
        }
        for name in CHANGES
        for config in [config_of(CHANGES[name], vocab_size)]
    }


@cache
def floors() -> dict[str, float]:
    """The lowest possible losses at the [MASK] of the held-out rows."""
    return held_out_rows().floors.mean("mask")


def load() -> dict:
    """The stored result."""
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    changes = run_part("changes", tuple(CHANGES), STEPS, TUNING_SEEDS, SEEDS, options)
    lengths = run_part("lengths", POSITIONS, SHORT_STEPS, TUNING_SEEDS[:1], LENGTHS_SEEDS, options)
    lengths_tested = try_lengths(lengths["rotary"]["learning_rate"], options)
    result = {
        "command": COMMAND,
        "steps": STEPS,
        "short_steps": SHORT_STEPS,
        "seeds": SEEDS,
        "tuning_seeds": TUNING_SEEDS,
        "floors": floors(),
        "word_counts_by_length": word_counts_by_length(),
        "sizes": sizes(),
        "changes": changes,
        "lengths": lengths,
        "lengths_tested": lengths_tested,
    }
    finish(options, result)
    return 0


if __name__ == "__main__":
    commands.run(main)
