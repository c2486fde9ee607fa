"""What one idea changes: BERT's forerunners and relatives in small, on one corpus, beside the exact limits.

Every model fills the blanks of the same held-out rows, and learns from the same documents for the same
number of steps, from several seeds. Each has the learning rate that suits it best of those that are tried
with the first seed; where the best one is the largest or the smallest tried, a better one may lie beyond.

`READERS` differ in what they can see, and have the same number of parameters, within two in a hundred:

- "static vectors": the mean of the vectors of the words around the blank (word2vec's way, without its
  window);
- "one LSTM": a recurrent network that has read everything to the left;
- "two LSTMs, joined late": one from each side, put together only behind the last layer (ELMo's way);
- "causal transformer" and "bidirectional transformer": the course's BERT under two masks.

`LARGER` holds the two best of them again, with four times as many parameters.

`RELATIVES` change one idea of BERT: masks drawn once, ten times or each time anew (RoBERTa), one layer used
four times (ALBERT), a student taught by labels, by a teacher's probabilities, or in all the ways of
DistilBERT, and detecting replaced tokens instead of filling blanks (ELECTRA), behind a large and a small
filler.

The result is stored beside this file; notebook 14 shows it. To make it again (about half an hour on two
cores):

    python -m course_utils.lessons.family.experiment
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from course_utils import commands
from course_utils.bert import BertConfig, BertForPreTraining, BertModel, count_parameters
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.lessons.mlm.experiment import (
    held_out_rows,
    sense_accuracy,
    sense_baseline,
    tokenizer_and_rows,
)
from course_utils.masks import causal_mask
from course_utils.mlm import IGNORE_INDEX, mask_tokens
from course_utils.pretraining import Batch, BatchOrder
from course_utils.training import schedule, update

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.family.experiment"
STEPS, WARM_UP, TOKENS_PER_STEP, RATE = 600, 40, 1024, 0.25
LEARNING_RATES = (2e-3, 4e-3, 8e-3)  # what a model tries that is not in OTHER_RATES
SEEDS = (0, 1, 2)  # of every model, at its best rate
HIDDEN = 64
FEW_ROWS = 40  # rows of each length in the experiment on masking: few enough to come round many times
TEMPERATURE = 2.0
SHARES = {
    "teacher": 5.0,
    "labels": 2.0,
    "states": 1.0,
}  # of the three losses of DistilBERT's published command


# ------------------------------------------------------------------------------------------ forerunners


class StaticVectors(nn.Module):
    """Scores for a blank from the mean vector of all other tokens of its row, whatever their order."""

    def __init__(self, vocab_size: int, width: int = 91):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.output = nn.Linear(width, vocab_size)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(batch, seq_len) ids -> (batch, seq_len, vocab_size) logits."""
        vectors = self.embedding(input_ids)
        others = vectors.sum(dim=1, keepdim=True) - vectors
        return self.output(others / (input_ids.shape[1] - 1))


class Recurrent(nn.Module):
    """Scores for a blank from an LSTM that has read all to its left, and with `both` another all to its
    right.

    The two never see each other's states; only what stands behind them reads both (Peters et al. 2018,
    section 3.1). Table of pieces and head are built as in BERT: the head's last map is the table.
    """

    def __init__(self, vocab_size: int, both: bool, units: int, width: int = HIDDEN):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        directions = 2 if both else 1
        self.readers = nn.ModuleList(
            nn.LSTM(width, units, num_layers=2, batch_first=True) for _ in range(directions)
        )
        self.transform = nn.Sequential(
            nn.Linear(directions * units, width), nn.GELU(), nn.LayerNorm(width, eps=1e-12)
        )
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(batch, seq_len) ids -> (batch, seq_len, vocab_size) logits; position i has not read token i."""
        vectors = self.embedding(input_ids)
        states = [F.pad(self.readers[0](vectors)[0][:, :-1], (0, 0, 1, 0))]
        if len(self.readers) == 2:
            backwards = self.readers[1](vectors.flip(1))[0].flip(1)
            states.append(F.pad(backwards[:, 1:], (0, 0, 0, 1)))
        return F.linear(self.transform(torch.cat(states, dim=-1)), self.embedding.weight, self.bias)


class Transformer(nn.Module):
    """The course's BERT, under the bidirectional or the causal mask."""

    def __init__(
        self, vocab_size: int, layers: int = 2, causal: bool = False, shared: bool = False,
        hidden: int = HIDDEN,
    ):  # fmt: skip
        super().__init__()
        self.model = BertForPreTraining(small_config(vocab_size, layers, hidden))
        self.causal = causal
        if shared:  # one layer, run `layers` times (Lan et al. 2020, section 3.1)
            one = self.model.bert.encoder.layer[0]
            self.model.bert.encoder.layer = nn.ModuleList([one] * layers)

    def forward(
        self, input_ids: torch.Tensor, token_type_ids: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Logits of the selected positions alone, (selected, vocab_size)."""
        rows, seq_len = input_ids.shape
        mask = causal_mask(seq_len).expand(rows, seq_len, seq_len) if self.causal else None
        return self.model.score_selected(input_ids, mask, token_type_ids, labels=labels)[0]


def small_config(vocab_size: int, layers: int, hidden: int = HIDDEN) -> BertConfig:
    return BertConfig(
        vocab_size=vocab_size, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=4 * hidden, max_position_embeddings=40,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------ relatives


class Student(nn.Module):
    """Two layers as wide as the teacher's; with `started`, they begin as its first and its last layer."""

    def __init__(self, vocab_size: int, started: bool = False):
        super().__init__()
        own = teacher().config.to_dict() | {"vocab_size": vocab_size, "num_hidden_layers": 2}
        self.model = BertForPreTraining(BertConfig.from_dict(own))
        if started:
            self.start_from(teacher())

    def start_from(self, model: BertForPreTraining) -> None:
        """Everything of the teacher but the layers between the first and the last."""
        last = f"bert.encoder.layer.{model.config.num_hidden_layers - 1}."
        weights = {
            name.replace(last, "bert.encoder.layer.1."): weight
            for name, weight in model.state_dict().items()
            if ".layer." not in name or ".layer.0." in name or name.startswith(last)
        }
        self.model.load_state_dict(weights)

    def forward(
        self, input_ids: torch.Tensor, token_type_ids: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Logits of the selected positions alone, (selected, vocab_size)."""
        return self.model.score_selected(input_ids, None, token_type_ids, labels=labels)[0]


class Detector(nn.Module):
    """Was this token replaced? One score for each token (Clark et al. 2020, section 2).

    `filler` is what makes the replacements: a small model of that width and one layer, which learns to fill
    blanks while the detector learns to see through it, or with 0 the embedded model, which learns no more.
    """

    def __init__(self, vocab_size: int, filler: int):
        super().__init__()
        self.bert = BertModel(small_config(vocab_size, 2))
        self.score = nn.Linear(HIDDEN, 1)
        self.filler = [Transformer(vocab_size, 1, hidden=filler)] if filler else []  # a list: no part of it

    def forward(self, input_ids: torch.Tensor, token_type_ids: torch.Tensor) -> torch.Tensor:
        """(batch, seq_len) logits: above 0 for "replaced"."""
        return self.score(self.bert(input_ids, None, token_type_ids).last_hidden_state).squeeze(-1)


@cache
def teacher() -> BertForPreTraining:
    """The embedded model, frozen."""
    from course_utils import checkpoints

    return checkpoints.load("embedded")[0].requires_grad_(False)


READERS: dict[str, Callable[[int], nn.Module]] = {
    "static vectors": StaticVectors,
    "one LSTM": lambda vocab_size: Recurrent(vocab_size, both=False, units=83),
    "two LSTMs, joined late": lambda vocab_size: Recurrent(vocab_size, both=True, units=55),
    "causal transformer": lambda vocab_size: Transformer(vocab_size, causal=True),
    "bidirectional transformer": Transformer,
}
LARGER: dict[str, Callable[[int], nn.Module]] = {
    "two LSTMs, joined late, larger": lambda vocab_size: Recurrent(
        vocab_size, both=True, units=136, width=128
    ),
    "bidirectional transformer, larger": lambda vocab_size: Transformer(vocab_size, layers=3, hidden=128),
}
RELATIVES: dict[str, Callable[[int], nn.Module]] = {
    "masks drawn once, few rows": Transformer,
    "masks drawn ten times, few rows": Transformer,
    "masks drawn anew, few rows": Transformer,
    "four layers": lambda vocab_size: Transformer(vocab_size, layers=4),
    "one layer, four times": lambda vocab_size: Transformer(vocab_size, layers=4, shared=True),
    "student, labels": Student,
    "student, teacher": Student,
    "student, labels, teacher's layers": lambda vocab_size: Student(vocab_size, started=True),
    "student, three losses, teacher's layers": lambda vocab_size: Student(vocab_size, started=True),
    "replaced tokens, large filler": lambda vocab_size: Detector(vocab_size, filler=0),
    "replaced tokens, small filler": lambda vocab_size: Detector(vocab_size, filler=HIDDEN // 2),
}
MODELS = READERS | LARGER | RELATIVES
FINER_RATES = (0.002, 0.0028, 0.004, 0.0056, 0.008)
OTHER_RATES = {
    "static vectors": (0.002, 0.004, 0.008, 0.032, 0.1, 0.3),
    "one LSTM": (0.002, 0.004, 0.008, 0.016),
    "two LSTMs, joined late": (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128),
    "causal transformer": FINER_RATES,
    "bidirectional transformer": FINER_RATES,
    "two LSTMs, joined late, larger": (0.002, 0.004, 0.008, 0.016, 0.032),
    "bidirectional transformer, larger": (0.001, 0.0014, 0.002, 0.0028, 0.004, 0.008),
    "masks drawn once, few rows": (0.0005, 0.001, 0.002, 0.004, 0.008),
    "student, labels, teacher's layers": (0.0005, 0.001, 0.002, 0.004),
    "student, three losses, teacher's layers": (0.0005, 0.001, 0.002, 0.004),
    "replaced tokens, large filler": (0.001, 0.002, 0.004, 0.008),
    "replaced tokens, small filler": (0.001, 0.002, 0.004, 0.008),
}
COPIES = {"masks drawn once, few rows": 1, "masks drawn ten times, few rows": 10}
SENSES = ("bidirectional transformer", *(name for name in RELATIVES if "replaced" in name))


# ------------------------------------------------------------------------------------------ training


def selected_logits(model: nn.Module, masked_ids, token_type_ids, labels) -> torch.Tensor:
    """(selected, vocab_size), for every kind of reader."""
    if isinstance(model, (Transformer, Student)):
        return model(masked_ids, token_type_ids, labels)
    if isinstance(model, BertForPreTraining):  # a trained one, such as the teacher
        return model.score_selected(masked_ids, None, token_type_ids, labels=labels)[0]
    return model(masked_ids)[labels != IGNORE_INDEX]


def soft_loss(student: torch.Tensor, taught: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cross-entropy with the teacher's probabilities, both softened; times T², so that at high temperatures
    its gradient keeps its size (Hinton, Vinyals and Dean 2015, section 2).
    """
    return temperature**2 * F.cross_entropy(student / temperature, (taught / temperature).softmax(dim=-1))


def student_loss(name: str, model: Student, batch: Batch, masked_ids, labels) -> torch.Tensor:
    """From labels, from the teacher's probabilities, or from both and its last hidden states too."""
    if "three" not in name:
        logits = model(masked_ids, batch.token_type_ids, labels)
        if name == "student, teacher":
            taught, _ = teacher().score_selected(masked_ids, None, batch.token_type_ids, labels=labels)
            return soft_loss(logits, taught, 1.0)
        return F.cross_entropy(logits, labels[labels != IGNORE_INDEX])
    chosen = labels != IGNORE_INDEX
    own, theirs = (
        each.bert(masked_ids, None, batch.token_type_ids).last_hidden_state
        for each in (model.model, teacher())
    )
    logits, taught = (
        each.cls.predictions(states[chosen]) for each, states in ((model.model, own), (teacher(), theirs))
    )
    losses = {
        "teacher": soft_loss(logits, taught, TEMPERATURE),
        "labels": F.cross_entropy(logits, labels[chosen]),
        "states": (1 - F.cosine_similarity(own, theirs, dim=-1)).mean(),
    }
    return sum(SHARES[part] * loss for part, loss in losses.items())


def replace(model: Detector, batch: Batch, masked_ids, labels, generator) -> torch.Tensor:
    """The row with the filler's guesses in its blanks; a right guess is an original token."""
    with torch.no_grad():
        if model.filler:
            logits = model.filler[0](masked_ids, batch.token_type_ids, labels)
        else:
            logits, _ = teacher().score_selected(masked_ids, None, batch.token_type_ids, labels=labels)
    shown = batch.input_ids.clone()
    shown[labels != IGNORE_INDEX] = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator).squeeze(
        1
    )
    return shown


def loss_of(name: str, model: nn.Module, batch: Batch, masked_ids, labels, generator) -> torch.Tensor:
    """What this model learns from: the original pieces, the teacher, or which tokens were replaced."""
    if isinstance(model, Detector):
        shown = replace(model, batch, masked_ids, labels, generator)
        replaced = (shown != batch.input_ids).float()
        return F.binary_cross_entropy_with_logits(model(shown, batch.token_type_ids), replaced)
    if isinstance(model, Student):
        return student_loss(name, model, batch, masked_ids, labels)
    logits = selected_logits(model, masked_ids, batch.token_type_ids, labels)
    return F.cross_entropy(logits, labels[labels != IGNORE_INDEX])


def adam(model: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), fused=True)


def train(name: str, learning_rate: float, seed: int, steps: int = STEPS) -> nn.Module:
    """One of `MODELS`, trained; the same seed gives the same rows in the same order to all.

    The filler of a detector learns at the detector's rate, from the blanks of the same rows.
    """
    tokenizer, rows = tokenizer_and_rows()
    if "few rows" in name:
        rows = [batch.take(slice(0, FEW_ROWS)) for batch in rows]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS[name](len(tokenizer))
    order = BatchOrder(rows, TOKENS_PER_STEP, seed)
    drawn: dict[tuple, list] = {}  # the masks of a row, where they are drawn beforehand, by the row's ids
    learners = [(model, adam(model, learning_rate))]
    learners += [(filler, adam(filler, learning_rate)) for filler in getattr(model, "filler", [])]
    generator = torch.Generator().manual_seed(seed)
    for step in range(1, steps + 1):
        batch = order[step - 1]
        masked_ids, labels = mask_tokens(batch.input_ids, tokenizer, RATE, generator)
        if name in COPIES:
            masked_ids, labels = reuse(drawn, COPIES[name], batch, masked_ids, labels)
        rate = learning_rate * schedule(step - 1, STEPS, WARM_UP)
        losses = [loss_of(name, each, batch, masked_ids, labels, generator) for each, _ in learners]
        for (each, optimizer), loss in zip(learners, losses, strict=True):
            update(each, optimizer, loss.backward, rate, clip=1.0)
    return model.eval()


def reuse(drawn: dict, copies: int, batch: Batch, masked_ids, labels) -> tuple[torch.Tensor, torch.Tensor]:
    """The masks of each row in turn: its first `copies` times they are drawn, from then on they come back."""
    chosen = []
    for row, *pair in zip(batch.input_ids.tolist(), masked_ids, labels, strict=True):
        known = drawn.setdefault(tuple(row), [])
        known.append(pair if len(known) < copies else known[len(known) % copies])
        chosen.append(known[-1])
    masked_ids, labels = (torch.stack(part) for part in zip(*chosen, strict=True))
    return masked_ids, labels


@torch.no_grad()
def measure(name: str, model: nn.Module) -> dict[str, float]:
    """Parameters; held-out loss at [MASK] in nats where the model fills blanks; accuracy of a sense
    classifier.
    """
    found = {"parameters": count_parameters(model)}
    if not isinstance(model, Detector):
        data = held_out_rows()
        nats = [
            F.cross_entropy(
                selected_logits(model, masked_ids, batch.token_type_ids, labels),
                labels[labels != IGNORE_INDEX],
                reduction="none",
            )
            for batch, masked_ids, labels in data.batches
        ]
        found["loss"] = float(torch.cat(nats).numpy()[data.floors.kind == "mask"].mean())
    if name in SENSES:
        found["sense"] = sense_accuracy(getattr(model, "model", model))
    return found


# ------------------------------------------------------------------------------------------ the stored result


def run_one(name: str, learning_rate: float, seed: int) -> dict[str, float]:
    """Train and measure one model."""
    return measure(name, train(name, learning_rate, seed))


def badness(result: dict[str, float]) -> float:
    """What the best learning rate has least of: the loss, or for a detector the wrong senses."""
    return result["loss"] if "loss" in result else 1 - result["sense"]


def best_of(results: dict[float, dict]) -> float:
    return min(results, key=lambda rate: badness(results[rate]))


def rates_of(name: str) -> tuple[float, ...]:
    """The learning rates that a model tries."""
    return OTHER_RATES.get(name, LEARNING_RATES)


def load() -> dict:
    """The stored result: {"command", "steps", "seeds", "floors", "sense_baseline", "models": {name:
    {"learning_rate", "tried": {rate: loss or share of wrong senses}, "runs": [one for each seed]}}}.
    """
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    searched = [(name, rate, SEEDS[0]) for name in MODELS for rate in rates_of(name)]
    found = train_all(run_one, searched, options)
    tried = {name: {rate: found[name, rate, SEEDS[0]] for rate in rates_of(name)} for name in MODELS}
    best = {name: best_of(results) for name, results in tried.items()}
    final = [(name, best[name], seed) for name in MODELS for seed in SEEDS[1:]]
    found = train_all(run_one, [*searched, *final], options)
    models = {
        name: {
            "learning_rate": best[name],
            "tried": {str(rate): badness(result) for rate, result in tried[name].items()},
            "runs": [found[name, best[name], seed] for seed in SEEDS],
        }
        for name in MODELS
    }
    floors = held_out_rows().floors.mean("mask")
    record = {"command": COMMAND, "steps": STEPS, "seeds": SEEDS, "floors": floors}
    finish(options, record | {"sense_baseline": sense_baseline(), "models": models})
    return 0


if __name__ == "__main__":
    commands.run(main)
