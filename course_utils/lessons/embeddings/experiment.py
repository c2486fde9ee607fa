"""What positions and LayerNorm are worth to a small model: over learning rates, steps and seeds.

Models of the same width learn to fill blanks in sentences of the toy language. "added" adds a learnt row
for each position to the row of the word, as BERT does. The others differ from it in one thing: fixed waves of
sine and cosine in place of the learnt rows; word, position and segment side by side in place of the sum; no
positions at all; no LayerNorm anywhere; the same with tables drawn so large that the input has the spread 1
at the start, as LayerNorm would have given it. For each the best of four learning rates is chosen by a short
training, then it is trained with three seeds. The loss at the blanks of sentences kept aside is noted on the
way, beside the lowest possible loss.

The result is stored beside this file; notebook 03 shows it and reruns its first steps. To make it again
(about three minutes on one core):

    python -m course_utils.lessons.embeddings.experiment
"""

import math
from functools import cache
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from course_utils import commands
from course_utils.bert import BertConfig, BertModel, initialise_weights
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.mlm import IGNORE_INDEX
from course_utils.toy.language import VOCAB_FILE, ToyLanguage
from course_utils.wordpiece import WordPieceTokenizer

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.embeddings.experiment"
KINDS = (
    "added",
    "sine and cosine",
    "side by side",
    "no positions",
    "no LayerNorm",
    "no LayerNorm, large start",
)
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
SEEDS = (0, 1, 2)
NOTED = (160, 400, 800)  # steps after which the loss is noted; the last one ends the training
TUNING_STEPS = 160
BATCH = 64  # sentences in a step
DOCUMENTS, TEST_DOCUMENTS = 4000, 200
HIDDEN = 0.15  # share of the words that become blanks


@cache
def tokenizer() -> WordPieceTokenizer:
    """The tokenizer with the vocabulary of the toy language."""
    return WordPieceTokenizer.from_file(VOCAB_FILE)


@cache
def sentences(seed: int, documents: int) -> tuple[torch.Tensor, torch.Tensor]:
    """input_ids and attention mask (bool) of all sentences of some documents."""
    texts = [s.text for d in ToyLanguage(seed=seed).documents(documents) for s in d.sentences]
    batch = tokenizer().batch(texts)
    return torch.tensor(batch["input_ids"]), torch.tensor(batch["attention_mask"]).bool()


def hide(ids: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids with [MASK] in place of some words, and where that is so."""
    special = torch.isin(ids, torch.tensor(sorted(tokenizer().special_ids)))
    hidden = (torch.rand(ids.shape, generator=generator) < HIDDEN) & ~special
    return ids.masked_fill(hidden, tokenizer().mask_token_id), hidden


def waves(positions: int, size: int) -> torch.Tensor:
    """The fixed table of the Transformer: (positions, size), sines in even columns, cosines in odd ones."""
    place = torch.arange(positions)[:, None]
    angle = place / 10_000 ** (torch.arange(0, size, 2) / size)  # (positions, size / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


class SideBySide(nn.Module):
    """Three narrow rows side by side in place of the sum of three wide ones."""

    def __init__(self, config):
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, 48)
        self.position = nn.Embedding(config.max_position_embeddings, 12)
        self.segment = nn.Embedding(config.type_vocab_size, 4)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, input_ids, token_type_ids=None):
        batch, seq_len = input_ids.shape
        words = self.word(input_ids)  # (batch, seq_len, 48)
        places = self.position.weight[:seq_len].expand(batch, -1, -1)  # (batch, seq_len, 12)
        segments = self.segment.weight[0].expand(batch, seq_len, -1)  # (batch, seq_len, 4)
        return self.LayerNorm(torch.cat([words, places, segments], dim=-1))


class Waves(nn.Module):
    """Fixed waves, added to the rows of the words; only how large they are is learnt, one number for all."""

    def __init__(self, config):
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        # A wave has the spread 1 / sqrt(2): at the start it is as large as a fresh row of a learnt table.
        self.size = nn.Parameter(torch.tensor(config.initializer_range * math.sqrt(2)))
        self.register_buffer("table", waves(config.max_position_embeddings, config.hidden_size))

    def forward(self, input_ids, token_type_ids=None):
        return self.LayerNorm(self.word(input_ids) + self.size * self.table[: input_ids.shape[1]])


def build(kind: str, seed: int) -> tuple[BertModel, nn.Linear]:
    """A fresh model of one kind, and the layer that scores the words of the vocabulary."""
    config = BertConfig(
        vocab_size=len(tokenizer()), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=16,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config, add_pooling_layer=False)
        if kind in ("side by side", "sine and cosine"):
            model.embeddings = SideBySide(config) if kind == "side by side" else Waves(config)
            initialise_weights(model.embeddings, config.initializer_range)
        if kind == "no positions":
            nn.init.zeros_(model.embeddings.position_embeddings.weight).requires_grad_(False)
        if kind == "no LayerNorm, large start":
            for table in model.embeddings.children():
                if isinstance(table, nn.Embedding):  # three rows are added, each with the spread of the range
                    table.weight.data /= config.initializer_range * math.sqrt(3)
        if kind.startswith("no LayerNorm"):
            for module in list(model.modules()):
                for name, part in list(module.named_children()):
                    if isinstance(part, nn.LayerNorm):
                        setattr(module, name, nn.Identity())
        return model, nn.Linear(config.hidden_size, len(tokenizer()))


def loss_at_blanks(model, head, ids, mask, generator) -> torch.Tensor:
    """Mean loss in nats at the words that are hidden."""
    blanked, hidden = hide(ids, generator)
    return F.cross_entropy(head(model(blanked, mask).last_hidden_state[hidden]), ids[hidden])


@torch.no_grad()
def test_loss(model, head) -> float:
    """The loss on the sentences kept aside, with the same blanks for every model."""
    ids, mask = sentences(2, TEST_DOCUMENTS)
    return loss_at_blanks(model, head, ids, mask, torch.Generator().manual_seed(9)).item()


def train(kind: str, rate: float, seed: int, stop: int = NOTED[-1], progress: bool = False) -> list[float]:
    """Train a model. Returns its loss after each number of steps in `NOTED` that is not above `stop`."""
    from tqdm.auto import trange

    ids, mask = sentences(1, DOCUMENTS)
    model, head = build(kind, seed)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=rate)
    generator = torch.Generator().manual_seed(seed)
    noted = []
    for step in trange(1, stop + 1, disable=None if progress else True, desc=kind):
        chosen = torch.randint(len(ids), (BATCH,), generator=generator)
        loss = loss_at_blanks(model, head, ids[chosen], mask[chosen], generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in NOTED:
            noted.append(test_loss(model, head))
    return noted


def floors() -> dict[str, float]:
    """The lowest possible losses at these blanks, in nats: with the whole sentence, and with nothing."""
    ids, _ = sentences(2, TEST_DOCUMENTS)
    blanked, hidden = hide(ids, torch.Generator().manual_seed(9))
    labels = ids.masked_fill(~hidden, IGNORE_INDEX)
    # The rate is next to zero: a word that is seen here is always the true one.
    found = ToyLanguage(seed=2).floors(ids.numpy(), blanked.numpy(), labels.numpy(), rate=1e-9).mean("mask")
    return {rung: found[rung] for rung in ("bidirectional", "unigram")}


def tuning_loss(kind: str, rate: float) -> float:
    """The loss after a short training, by which the learning rate is chosen."""
    return train(kind, rate, SEEDS[0], stop=TUNING_STEPS)[-1]


def load() -> dict:
    """The stored result."""
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    jobs = [(kind, rate) for kind in KINDS for rate in RATES]
    tuning = train_all(tuning_loss, jobs, options)
    rates = {kind: min(RATES, key=lambda rate: tuning[kind, rate]) for kind in KINDS}
    found = train_all(train, [(kind, rates[kind], seed) for kind in KINDS for seed in SEEDS], options)
    result = {
        "command": COMMAND,
        "noted": list(NOTED),
        "seeds": list(SEEDS),
        "tuning_steps": TUNING_STEPS,
        "tuning": {kind: {str(rate): tuning[kind, rate] for rate in RATES} for kind in KINDS},
        "rate": rates,
        "floors": floors(),
        "losses": {kind: [found[kind, rates[kind], seed] for seed in SEEDS] for kind in KINDS},
    }
    finish(options, result)
    return 0


if __name__ == "__main__":
    commands.run(main)
