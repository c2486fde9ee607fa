"""How near a search comes to the best possible one: temperature, batch size, loss, and a second reader.

The task: a sentence is given, find the one that follows it in its document among 1,000 candidates, one from
each of 1,000 held-out documents. The toy language knows how likely each candidate is to be the one, so every
ranking is scored by its expected recall and reciprocal rank, and the best possible ranking is known.

Bi-encoders start as the embedded model and are trained on the same number of sentence pairs, with the other
pairs of the batch as negatives. Each setup tries three learning rates with the first seed; the one with the
lowest held-out loss is used with all seeds. `SETUPS` differ in the temperature of the cosine, in the batch
size, in the score (cosine or dot product), in the loss (one way or both ways), and in whether the encoder is
told by the segment id which sentence is the query.

The cross-encoder is the embedded model with its next sentence head, as it was pretrained and after training
on the same pairs, each beside one negative of its batch (one seed, the better of two learning rates by its
loss on other queries). It reads a number of queries with all candidates. The pretrained one also puts the
first candidates of each trained bi-encoder of the first setup in a new order.

The result is stored beside this file; notebook 15 shows it. To make it again (about ten minutes on two
cores):

    python -m course_utils.lessons.sentence_vectors.experiment
"""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_utils import checkpoints, commands, sentence_vectors
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.pretraining import tokenize_documents
from course_utils.toy.language import ToyLanguage
from course_utils.training import schedule, update

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.sentence_vectors.experiment"
PAIRS = 3200  # read in training, whatever the batch size
DOCUMENTS, HELD_OUT_DOCUMENTS = 4000, 1000
TRAINING_SEED, HELD_OUT_SEED = 1_000_021, 1_000_022  # of documents that pretraining has not read
LEARNING_RATES = (1e-3, 3e-3, 9e-3)
SEEDS = (0, 1, 2)
LOSS_BATCH, LOSS_DRAWS = 64, 50  # the held-out loss: pairs a batch, and batches
CROSS_QUERIES = 60
CROSS_CHOICE = 20  # more queries, by which its learning rate is chosen
DEPTHS = (0, 10, 30, 100, 300, 1000)  # candidates that the cross-encoder puts in a new order
CROSS_RATES = (1e-4, 1e-3)
MEASURES = ("loss", "recall at 1", "recall at 10", "recall at 100", "reciprocal rank")


@dataclass(frozen=True)
class Setup:
    """`temperature` divides the cosine; None stands for the dot product."""

    temperature: float | None = 0.05
    batch_size: int = 64
    symmetric: bool = False
    marked: bool = True

    def score(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """(n, hidden_size), (m, hidden_size) -> (n, m)."""
        if self.temperature is None:
            return sentence_vectors.dot_products(queries, candidates)
        return sentence_vectors.cosines(queries, candidates) / self.temperature

    @property
    def segments(self) -> tuple[int, int]:
        return (0, 1) if self.marked else (0, 0)


SETUPS = {
    "cosine / 0.05": Setup(),
    "cosine / 0.001": Setup(0.001),
    "cosine / 0.01": Setup(0.01),
    "cosine / 0.2": Setup(0.2),
    "cosine / 1": Setup(1.0),
    "dot product": Setup(None),
    "dot product, both ways": Setup(None, symmetric=True),
    "cosine / 0.05, not marked": Setup(marked=False),
    "batches of 16": Setup(batch_size=16),
    "batches of 160": Setup(batch_size=160),
}
TEMPERATURES = ("cosine / 0.001", "cosine / 0.01", "cosine / 0.05", "cosine / 0.2", "cosine / 1")


# ---- The task and its exact answer -----------------------------------------------------------------------


@cache
def tokenizer():
    return checkpoints.load("embedded")[1]


@cache
def documents_of(seed: int, number: int) -> list[list[list[int]]]:
    """Piece ids of some documents."""
    return tokenize_documents(ToyLanguage(seed=seed).documents(number), tokenizer())


@cache
def held_out() -> tuple[list[list[int]], list[list[int]]]:
    """The queries and the candidates; candidate i follows query i."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    return sentence_vectors.draw_pairs(documents_of(HELD_OUT_SEED, HELD_OUT_DOCUMENTS), generator)


@cache
def exact_pmi() -> Tensor:
    """The best possible scores, (queries, candidates), in nats, rounded so that equals are equal."""
    return torch.tensor(ToyLanguage().next_sentence_pmi(*held_out()).round(9))


@cache
def chances() -> Tensor:
    """How likely each candidate is to be the one that follows: (queries, candidates)."""
    return exact_pmi().softmax(dim=1)


def measure(scores: Tensor) -> dict[str, float]:
    """`MEASURES` of some scores: (n, 1000), for the first n queries."""
    of = chances()[: len(scores)]
    found = {f"recall at {k}": sentence_vectors.recall_at(scores, of, k) for k in (1, 10, 100)}
    found["reciprocal rank"] = sentence_vectors.mean_reciprocal_rank(scores, of)
    return {"loss": held_out_loss(scores)} | found if len(scores) == HELD_OUT_DOCUMENTS else found


def held_out_loss(scores: Tensor) -> float:
    """The mean one-way loss, in nats, in batches of `LOSS_BATCH` held-out pairs."""
    generator, losses = torch.Generator().manual_seed(0), []
    for _ in range(LOSS_DRAWS):
        members = torch.randperm(len(scores), generator=generator)[:LOSS_BATCH]
        losses.append(sentence_vectors.info_nce(scores[members][:, members]).item())
    return float(np.mean(losses))


def agreement(scores: Tensor) -> dict[str, float]:
    """How the scores fit the exact ones, over the pairs that are possible.

    "correlation" is that of both after the mean of each query is taken away; "of queries" and "of candidates"
    are the spreads (standard deviations) of the mean difference score - PMI of a query, and of a candidate.
    """
    possible = exact_pmi().isfinite()

    def means(values: Tensor, dim: int) -> Tensor:
        return torch.where(possible, values, 0).sum(dim, keepdim=True) / possible.sum(dim, keepdim=True)

    within = [(table - means(table, 1))[possible] for table in (scores.double(), exact_pmi())]
    difference = scores.double() - exact_pmi()
    return {
        "correlation": float(torch.corrcoef(torch.stack(within))[0, 1]),
        "of queries": means(difference, 1).std().item(),
        "of candidates": means(difference, 0).std().item(),
    }


def cosines_of(scores: Tensor, setup: Setup) -> dict[str, float]:
    """How large the cosines behind some scores are: the mean of the true and of random pairs, and how far
    apart (the highest less the lowest) those of one query are, as a mean over the queries: "of all" its
    candidates, and "of possible" ones.
    """
    cosines = scores.double() * setup.temperature
    apart, possible = ~torch.eye(len(scores), dtype=torch.bool), exact_pmi().isfinite()
    highest = cosines.masked_fill(~possible, -torch.inf).amax(dim=1)
    lowest = cosines.masked_fill(~possible, torch.inf).amin(dim=1)
    return {
        "true pairs": cosines.diag().mean().item(),
        "random pairs": cosines[apart].mean().item(),
        "of all": (cosines.amax(dim=1) - cosines.amin(dim=1)).mean().item(),
        "of possible": (highest - lowest).mean().item(),
    }


# ---- Models ----------------------------------------------------------------------------------------------


@torch.no_grad()
def scores_of(model, setup: Setup) -> Tensor:
    """A bi-encoder's scores of all held-out queries and candidates."""
    queries, candidates = (
        sentence_vectors.embed(model.eval(), sentences, tokenizer(), segment)
        for sentences, segment in zip(held_out(), setup.segments, strict=True)
    )
    return setup.score(queries, candidates)


def train(name: str, learning_rate: float, seed: int):
    """A trained bi-encoder."""
    setup, model = SETUPS[name], checkpoints.load("embedded")[0].bert
    documents = documents_of(TRAINING_SEED, DOCUMENTS)
    sentence_vectors.train(
        model, documents, tokenizer(), setup.score, PAIRS // setup.batch_size, setup.batch_size,
        learning_rate, setup.symmetric, setup.segments, seed,
    )  # fmt: skip
    return model


@cache
def read_together(learning_rate: float | None = None) -> Tensor:
    """The cross-encoder's scores of queries with all candidates: (CROSS_QUERIES + CROSS_CHOICE, 1000).

    None stands for the model as it was pretrained.
    """
    model = checkpoints.load("embedded")[0] if learning_rate is None else train_together(learning_rate)
    queries, candidates = held_out()
    order = sorted(range(len(candidates)), key=lambda i: len(candidates[i]))  # little padding
    scores = torch.empty(CROSS_QUERIES + CROSS_CHOICE, len(candidates))
    with torch.no_grad():
        for row, query in enumerate(queries[: len(scores)]):
            for start in range(0, len(order), 250):
                some = order[start : start + 250]
                pairs = [(query, candidates[i]) for i in some]
                scores[row, some] = sentence_vectors.cross_scores(model, pairs, tokenizer())
    return scores


def train_together(learning_rate: float, batch_size: int = 64):
    """A cross-encoder that has read `PAIRS` true pairs, and as many with the second sentence of another."""
    model, (seed, *_) = checkpoints.load("embedded")[0], SEEDS
    steps = PAIRS // batch_size
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
    generator = torch.Generator().manual_seed(seed)
    pairs = sentence_vectors.batches(documents_of(TRAINING_SEED, DOCUMENTS), batch_size, generator)
    label = torch.tensor([1.0] * batch_size + [0.0] * batch_size)
    for step in range(steps):
        first, second = next(pairs)
        read = list(zip(first * 2, [*second, *second[1:], second[0]], strict=True))
        odds = sentence_vectors.cross_scores(model, read, tokenizer())
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, label)
        rate = learning_rate * schedule(step, steps, round(sentence_vectors.WARM_UP * steps))
        update(model, optimizer, loss.backward, rate, clip=1.0)
    return model


def loss_together(scores: Tensor, of: Tensor) -> float:
    """The loss of the softmax over all candidates, in nats; `of` is how likely each of them is."""
    logs = torch.where(of > 0, scores.double().log_softmax(dim=1), 0.0)  # what cannot be costs nothing
    return -(of * logs).sum(dim=1).mean().item()


def measure_together(scores: Tensor) -> dict[str, float]:
    """`MEASURES` of a cross-encoder on the first queries, its "loss" by `loss_together`."""
    first = scores[:CROSS_QUERIES]
    return {"loss": loss_together(first, chances()[:CROSS_QUERIES])} | measure(first)


def run_together() -> dict:
    """Measure the cross-encoder, as pretrained and trained further."""
    others = slice(CROSS_QUERIES, CROSS_QUERIES + CROSS_CHOICE)
    tried = {rate: loss_together(read_together(rate)[others], chances()[others]) for rate in CROSS_RATES}
    best = min(tried, key=tried.get)
    return {
        "pretrained": measure_together(read_together()),
        "trained": measure_together(read_together(best)),
        "best possible": measure_together(exact_pmi()),
        "learning_rate": best,
        "tried": {str(rate): loss for rate, loss in tried.items()},
    }


def reranked(first: Tensor, second: Tensor, depth: int) -> Tensor:
    """Scores that keep the order of `first`, but put its `depth` best candidates in the order of `second`.

    Both are (n, m); so is the result, made of ranks: the higher, the better.
    """
    order = first.argsort(dim=1, descending=True, stable=True)
    head = order[:, :depth]
    within = second.gather(1, head).argsort(dim=1, descending=True, stable=True)
    order = torch.cat([head.gather(1, within), order[:, depth:]], dim=1)
    ranks = torch.arange(order.shape[1], 0, -1, dtype=torch.float64).expand(order.shape)
    return torch.empty(order.shape, dtype=torch.float64).scatter_(1, order, ranks)


def run_one(name: str, learning_rate: float, seed: int) -> dict:
    """Train and measure one bi-encoder."""
    scores = scores_of(train(name, learning_rate, seed), SETUPS[name])
    found = measure(scores) | agreement(scores)
    if name in TEMPERATURES:
        found["cosines"] = cosines_of(scores, SETUPS[name])
    if name == next(iter(SETUPS)):
        first = scores[:CROSS_QUERIES]
        found["reranked"] = {
            str(d): measure(reranked(first, read_together()[:CROSS_QUERIES], d)) for d in DEPTHS
        }
    return found


def load() -> dict:
    """The stored result."""
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    searched = [(name, rate, SEEDS[0]) for name in SETUPS for rate in LEARNING_RATES]
    found = train_all(run_one, searched, options)
    tried = {name: {rate: found[name, rate, SEEDS[0]]["loss"] for rate in LEARNING_RATES} for name in SETUPS}
    best = {name: min(losses, key=losses.get) for name, losses in tried.items()}
    final = [(name, best[name], seed) for name in SETUPS for seed in SEEDS[1:]]
    found = train_all(run_one, [*searched, *final], options)
    [together] = train_all(run_together, [()], options).values()
    result = {
        "command": COMMAND,
        "pairs": PAIRS,
        "seeds": SEEDS,
        "best possible": measure(exact_pmi()),
        "together": together,
        "setups": {
            name: asdict(SETUPS[name])
            | {
                "tried": {str(rate): loss for rate, loss in tried[name].items()},
                "learning_rate": best[name],
                "runs": [found[name, best[name], seed] for seed in SEEDS],
            }
            for name in SETUPS
        },
    }
    finish(options, result)
    return 0


if __name__ == "__main__":
    commands.run(main)
