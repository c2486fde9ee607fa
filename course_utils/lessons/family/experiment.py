"""What one idea changes: BERT's forerunners and relatives in small, on one corpus, beside the exact limits.

Every model fills the blanks of the same held-out rows. All are trained on the same documents with masked
words alone, for the same number of steps, from three seeds; they differ in one thing. `READERS` differ in
what they can see:

- "static vectors": the mean of the vectors of the words around the blank (word2vec's way, without its
  window);
- "one LSTM": a recurrent network that has read everything to the left;
- "two LSTMs, joined late": one from each side, put together only in the last layer (ELMo's way);
- "causal transformer" and "bidirectional transformer": the course's BERT under two masks.

`RELATIVES` change one idea of BERT: masks drawn once or each time anew (RoBERTa), one layer used four times
(ALBERT), a small student taught by labels or by a teacher's probabilities (DistilBERT), and detecting
replaced tokens instead of filling blanks (ELECTRA).

The result is stored beside this file; notebook 14 shows it. To make it again (about twenty minutes on two
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
STEPS, WARM_UP, LEARNING_RATE, TOKENS_PER_STEP, RATE = 600, 40, 4e-3, 1024, 0.25
SEEDS = (0, 1, 2)
HIDDEN = 64
FEW_ROWS = 40  # rows of each length in the experiment on masking: few enough to come round many times


# ------------------------------------------------------------------------------------------ forerunners


class StaticVectors(nn.Module):
    """Scores for a blank from the mean vector of all other tokens of its row, whatever their order."""

    def __init__(self, vocab_size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, HIDDEN)
        self.output = nn.Linear(HIDDEN, vocab_size)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(batch, seq_len) ids -> (batch, seq_len, vocab_size) logits."""
        vectors = self.embedding(input_ids)
        others = vectors.sum(dim=1, keepdim=True) - vectors
        return self.output(others / (input_ids.shape[1] - 1))


class Recurrent(nn.Module):
    """Scores for a blank from an LSTM that has read all to its left, and with `both` another all to its
    right.

    The two never see each other's states; only the last Linear layer reads both (Peters et al. 2018, section
    3.1).
    """

    def __init__(self, vocab_size: int, both: bool):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, HIDDEN)
        directions = 2 if both else 1
        self.readers = nn.ModuleList(
            nn.LSTM(HIDDEN, 2 * HIDDEN, num_layers=2, batch_first=True) for _ in range(directions)
        )
        self.output = nn.Linear(directions * 2 * HIDDEN, vocab_size)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(batch, seq_len) ids -> (batch, seq_len, vocab_size) logits; position i has not read token i."""
        vectors = self.embedding(input_ids)
        states = [F.pad(self.readers[0](vectors)[0][:, :-1], (0, 0, 1, 0))]
        if len(self.readers) == 2:
            backwards = self.readers[1](vectors.flip(1))[0].flip(1)
            states.append(F.pad(backwards[:, 1:], (0, 0, 0, 1)))
        return self.output(torch.cat(states, dim=-1))


class Transformer(nn.Module):
    """The course's BERT, under the bidirectional or the causal mask."""

    def __init__(self, vocab_size: int, layers: int = 2, causal: bool = False, shared: bool = False):
        super().__init__()
        self.model = BertForPreTraining(small_config(vocab_size, layers))
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


class Detector(nn.Module):
    """Was this token replaced? One score for each token (Clark et al. 2020, section 2)."""

    def __init__(self, vocab_size: int):
        super().__init__()
        self.bert = BertModel(small_config(vocab_size, 2))
        self.score = nn.Linear(HIDDEN, 1)

    def forward(self, input_ids: torch.Tensor, token_type_ids: torch.Tensor) -> torch.Tensor:
        """(batch, seq_len) logits: above 0 for "replaced"."""
        return self.score(self.bert(input_ids, None, token_type_ids).last_hidden_state).squeeze(-1)


def small_config(vocab_size: int, layers: int) -> BertConfig:
    return BertConfig(
        vocab_size=vocab_size, hidden_size=HIDDEN, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=4 * HIDDEN, max_position_embeddings=40,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip


READERS: dict[str, Callable[[int], nn.Module]] = {
    "static vectors": StaticVectors,
    "one LSTM": lambda vocab_size: Recurrent(vocab_size, both=False),
    "two LSTMs, joined late": lambda vocab_size: Recurrent(vocab_size, both=True),
    "causal transformer": lambda vocab_size: Transformer(vocab_size, causal=True),
    "bidirectional transformer": Transformer,
}
RELATIVES = {
    "masks drawn once, few rows": Transformer,
    "masks drawn anew, few rows": Transformer,
    "four layers": lambda vocab_size: Transformer(vocab_size, layers=4),
    "one layer, four times": lambda vocab_size: Transformer(vocab_size, layers=4, shared=True),
    "student, labels": lambda vocab_size: Transformer(vocab_size, layers=1),
    "student, teacher": lambda vocab_size: Transformer(vocab_size, layers=1),
    "replaced tokens": Detector,
}


# ------------------------------------------------------------------------------------------ training


def selected_logits(model: nn.Module, masked_ids, token_type_ids, labels) -> torch.Tensor:
    """(selected, vocab_size), for every kind of reader."""
    if isinstance(model, Transformer):
        return model(masked_ids, token_type_ids, labels)
    return model(masked_ids)[labels != IGNORE_INDEX]


@cache
def teacher() -> BertForPreTraining:
    """The embedded model, frozen."""
    from course_utils import checkpoints

    return checkpoints.load("embedded")[0].requires_grad_(False)


def loss_of(name: str, model: nn.Module, batch: Batch, masked_ids, labels, generator) -> torch.Tensor:
    """What this model learns from: the original pieces, the teacher's probabilities, or which tokens were
    replaced.
    """
    if name == "replaced tokens":
        logits, _ = teacher().score_selected(masked_ids, None, batch.token_type_ids, labels=labels)
        guesses = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator).squeeze(1)
        shown = batch.input_ids.clone()
        shown[labels != IGNORE_INDEX] = guesses  # a right guess is an original token
        replaced = (shown != batch.input_ids).float()
        return F.binary_cross_entropy_with_logits(model(shown, batch.token_type_ids), replaced)
    logits = selected_logits(model, masked_ids, batch.token_type_ids, labels)
    if name == "student, teacher":
        taught, _ = teacher().score_selected(masked_ids, None, batch.token_type_ids, labels=labels)
        return F.cross_entropy(logits, taught.softmax(dim=-1))
    return F.cross_entropy(logits, labels[labels != IGNORE_INDEX])


def train(name: str, seed: int, steps: int = STEPS) -> nn.Module:
    """One model of `READERS` or `RELATIVES`, trained; the same seed gives the same rows in the same order to
    all.
    """
    tokenizer, rows = tokenizer_and_rows()
    if "few rows" in name:
        rows = [batch.take(slice(0, FEW_ROWS)) for batch in rows]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (READERS | RELATIVES)[name](len(tokenizer))
    order = BatchOrder(rows, TOKENS_PER_STEP, seed)
    once = {}  # the masks of a row that are drawn once, by the row's ids
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    generator = torch.Generator().manual_seed(seed)
    for step in range(1, steps + 1):
        batch = order[step - 1]
        masked_ids, labels = mask_tokens(batch.input_ids, tokenizer, RATE, generator)
        if name == "masks drawn once, few rows":
            drawn = [
                once.setdefault(tuple(row), pair)
                for row, *pair in zip(batch.input_ids.tolist(), masked_ids, labels, strict=True)
            ]
            masked_ids, labels = (torch.stack(part) for part in zip(*drawn, strict=True))
        backward = loss_of(name, model, batch, masked_ids, labels, generator).backward
        update(model, optimizer, backward, LEARNING_RATE * schedule(step - 1, STEPS, WARM_UP), clip=1.0)
    return model.eval()


@torch.no_grad()
def measure(name: str, model: nn.Module) -> dict[str, float]:
    """Parameters; held-out loss at [MASK] in nats where the model fills blanks; accuracy of a sense
    classifier.
    """
    found = {"parameters": count_parameters(model)}
    if name != "replaced tokens":
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
    if name in ("bidirectional transformer", "replaced tokens"):
        found["sense"] = sense_accuracy(getattr(model, "model", model))
    return found


# ------------------------------------------------------------------------------------------ the stored result


def run_one(name: str, seed: int) -> dict[str, float]:
    """Train and measure one model."""
    return measure(name, train(name, seed))


def load() -> dict:
    """The stored result: {"command", "steps", "seeds", "floors", "sense_baseline", "models": {name: {seed:
    ...}}}.
    """
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    names = list(READERS | RELATIVES)
    found = train_all(run_one, [(name, seed) for seed in SEEDS for name in names], options)
    models = {name: {str(seed): found[name, seed] for seed in SEEDS} for name in names}
    floors = held_out_rows().floors.mean("mask")
    record = {"command": COMMAND, "steps": STEPS, "seeds": SEEDS, "floors": floors}
    finish(options, record | {"sense_baseline": sense_baseline(), "models": models})
    return 0


if __name__ == "__main__":
    commands.run(main)
