"""Pretraining: documents in, a BERT out, in minutes on two cores.

    documents -> pairs (nsp) -> rows of equal length -> masks (mlm) -> losses -> AdamW -> checkpoint

Where the speed comes from, in the order of what it brings:

- the MLM head runs on the selected positions only (`bert.BertForPreTraining`);
- a batch holds rows of one length, so no step is spent on padding;
- rows are tokenised once and kept as one tensor a length; masks are drawn anew each time a row is used
  (Liu et al. 2019, section 4.1: dynamic masking);
- AdamW runs fused, and there is no dropout: a row comes round about twice, each time under other masks, so
  little can be learnt by heart.

Every random choice of step n follows from `(seed, n)` alone. A run that was stopped and resumed is therefore
the same run, bit for bit, and two processes that share the work see the masks that one process would have
drawn.

Train (Ctrl-C stops and loses nothing), go on where it stopped, train in two processes along the same curve:

    python -m course_utils.pretraining --output runs/mine
    python -m course_utils.pretraining --output runs/mine --resume
    torchrun --nproc_per_node 2 -m course_utils.pretraining --output runs/mine

Who outgrows one machine uses the same script. On a host with eight GPUs, and on two such hosts (the second
line on each of them, with the name of the first in place of HOST):

    torchrun --nproc_per_node 8 -m course_utils.pretraining --output runs/mine --device cuda
    torchrun --nnodes 2 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:29500 \\
        -m course_utils.pretraining --output runs/mine --device cuda
"""

import argparse
import json
import math
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.nn import functional as F

from course_utils import checkpoints, nsp
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.masks import causal_mask
from course_utils.mlm import IGNORE_INDEX, mask_tokens
from course_utils.toy_language import Floors, ToyLanguage
from course_utils.wordpiece import WordPieceTokenizer

HELD_OUT_SEED = 1_000_003  # a language seed that no training run uses
STATE_FILE = "training_state.safetensors"
LOG_FILE = "training.json"
LOSSES = ("mlm_loss", "nsp_loss")  # what a step returns


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on. Two runs of equal settings on one machine give equal weights.

    `tokens_per_step` counts all positions of a batch; `rate` is the selection rate in training (the loss is
    always reported at 15 %); `single_share` is the share of rows with one segment only, so that the model has
    also met a sentence on its own; `attention` is "bidirectional" or "causal".
    """

    seed: int = 0
    documents: int = 60_000
    steps: int = 5000
    tokens_per_step: int = 2048
    learning_rate: float = 2e-3
    warmup_steps: int = 150
    weight_decay: float = 0.01
    clip: float = 1.0
    rate: float = 0.25
    single_share: float = 0.1
    attention: str = "bidirectional"
    hidden_size: int = 128
    num_hidden_layers: int = 3
    num_attention_heads: int = 4
    max_position_embeddings: int = 128
    dropout: float = 0.0
    log_every: int = 250

    def __post_init__(self):
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed is {self.seed}; it must lie between 0 and {2**31 - 1}")
        for name in ("documents", "steps", "tokens_per_step", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("rate", "single_share", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in [0, 1)")
        if not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(f"warmup_steps is {self.warmup_steps}; allowed is 0 to steps={self.steps}")
        if self.attention not in ("bidirectional", "causal"):
            raise ValueError(f"attention is {self.attention!r}; it must be 'bidirectional' or 'causal'")

    def bert_config(self, vocab_size: int) -> BertConfig:
        return BertConfig(
            vocab_size=vocab_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=4 * self.hidden_size,
            max_position_embeddings=self.max_position_embeddings,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
        )


# ------------------------------------------------------------------------------------------ data


@dataclass(frozen=True)
class Batch:
    """Rows of one length. `next_sentence_label` is None where the rows hold a single segment."""

    input_ids: torch.Tensor  # (rows, seq_len)
    token_type_ids: torch.Tensor  # (rows, seq_len)
    next_sentence_label: torch.Tensor | None  # (rows,)

    def __len__(self) -> int:
        return len(self.input_ids)

    def take(self, index) -> "Batch":
        label = None if self.next_sentence_label is None else self.next_sentence_label[index]
        return Batch(self.input_ids[index], self.token_type_ids[index], label)

    def to(self, device: torch.device) -> "Batch":
        label = None if self.next_sentence_label is None else self.next_sentence_label.to(device)
        return Batch(self.input_ids.to(device), self.token_type_ids.to(device), label)


def tokenize_documents(documents, tokenizer) -> list[list[list[int]]]:
    """Piece ids of every sentence of every document; each different word is cut once."""
    pieces: dict[str, list[int]] = {}

    def ids_of(word: str) -> list[int]:
        if word not in pieces:
            pieces[word] = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word))
        return pieces[word]

    def ids_of_sentence(sentence) -> list[int]:
        return [i for word in sentence.words for i in ids_of(word)]

    return [[ids_of_sentence(sentence) for sentence in document.sentences] for document in documents]


def rows_by_length(pairs, tokenizer, single_share: float = 0.0, generator=None) -> list[Batch]:
    """All rows of one shape together: one `Batch` for each length, with and without a second segment.

    A share `single_share` of the pairs gives up one of its segments, so that rows of one sentence occur as
    well.
    """
    rows: dict[tuple[int, bool], list] = {}
    draws = torch.rand(len(pairs), generator=generator).tolist()
    for pair, draw in zip(pairs, draws, strict=True):
        single = draw < single_share
        first = pair.second if draw < single_share / 2 else pair.first
        input_ids, token_type_ids = nsp.build_row(first, None if single else pair.second, tokenizer)
        rows.setdefault((len(input_ids), single), []).append((input_ids, token_type_ids, pair.label))
    batches = []
    for (_, single), members in sorted(rows.items()):
        input_ids, token_type_ids, label = (torch.tensor(column) for column in zip(*members, strict=True))
        batches.append(Batch(input_ids, token_type_ids, None if single else label))
    return batches


def training_rows(settings: Settings, tokenizer) -> list[Batch]:
    """The rows of a run: pairs from `settings.documents` toy documents, about five a document."""
    language = ToyLanguage(seed=settings.seed)
    documents = tokenize_documents(language.documents(settings.documents), tokenizer)
    generator = torch.Generator().manual_seed(settings.seed)
    pairs = nsp.make_pairs(documents, generator=generator)
    return rows_by_length(pairs, tokenizer, settings.single_share, generator)


class BatchOrder:
    """Which rows make up step n: every row once an epoch, in an order that follows from seed and epoch."""

    def __init__(self, data: list[Batch], tokens_per_step: int, seed: int):
        self.data, self.tokens_per_step, self.seed = data, tokens_per_step, seed
        self.per_epoch = len(self._epoch(0))
        self._current = (None, [])

    def _epoch(self, epoch: int) -> list[tuple[int, torch.Tensor]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        steps = []
        for b, batch in enumerate(self.data):
            rows = max(1, self.tokens_per_step // batch.input_ids.shape[1])
            steps += [(b, index) for index in torch.randperm(len(batch), generator=generator).split(rows)]
        return [steps[i] for i in torch.randperm(len(steps), generator=generator).tolist()]

    def __getitem__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.per_epoch)
        if self._current[0] != epoch:
            self._current = (epoch, self._epoch(epoch))
        b, index = self._current[1][place]
        return self.data[b].take(index)


def attention_mask_for(attention: str, input_ids: torch.Tensor) -> torch.Tensor | None:
    """None (all may look at all), or the causal mask (batch, seq_len, seq_len)."""
    if attention == "bidirectional":
        return None
    rows, seq_len = input_ids.shape
    return causal_mask(seq_len).to(input_ids.device).expand(rows, seq_len, seq_len)


# ------------------------------------------------------------------------------------------ held-out data


@dataclass(frozen=True)
class HeldOut:
    """Documents kept aside, masked once and for all, with the best possible loss at selected positions."""

    batches: list[tuple[Batch, torch.Tensor, torch.Tensor]]  # rows, masked_ids, labels
    floors: Floors
    next_sentence: np.ndarray  # (pairs,) P(IsNext) of the perfect model

    @property
    def next_sentence_label(self) -> np.ndarray:
        return np.concatenate([batch.next_sentence_label.numpy() for batch, _, _ in self.batches])


def held_out(tokenizer, documents: int = 400, rate: float = 0.15, seed: int = HELD_OUT_SEED) -> HeldOut:
    """Rows of pairs from documents that no run trains on, with fixed masks and their exact floors."""
    language = ToyLanguage(seed=seed, vocab=tokenizer.id_to_token)
    generator = torch.Generator().manual_seed(seed)
    pairs = nsp.make_pairs(tokenize_documents(language.documents(documents), tokenizer), generator=generator)
    batches, floors, posterior = [], [], []
    for batch in rows_by_length(pairs, tokenizer):
        masked_ids, labels = mask_tokens(batch.input_ids, tokenizer, rate, generator)
        batches.append((batch, masked_ids, labels))
        floors.append(language.floors(batch.input_ids, masked_ids, labels, rate))
        posterior.append(language.next_sentence_posterior(masked_ids, rate))
    fields = Floors.__dataclass_fields__
    joined = {name: np.concatenate([getattr(part, name) for part in floors]) for name in fields}
    return HeldOut(batches, Floors(**joined), np.concatenate(posterior))


@dataclass(frozen=True)
class Evaluation:
    """Losses on held-out rows, in nats. `nats` (n,) goes position by position with `HeldOut.floors`."""

    nats: np.ndarray
    next_sentence_loss: float
    next_sentence_accuracy: float


@torch.no_grad()
def evaluate(model, data: HeldOut, attention: str = "bidirectional") -> Evaluation:
    """The model's loss at every selected position of the held-out rows, and its next sentence accuracy."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    nats, next_nats, right = [], [], []
    for rows in data.batches:
        batch, masked_ids, labels = (part.to(device) for part in rows)
        mask = attention_mask_for(attention, masked_ids)
        scores, logits = model.score_selected(masked_ids, mask, batch.token_type_ids, labels=labels)
        truth, label = labels[labels != IGNORE_INDEX], batch.next_sentence_label
        nats.append(F.cross_entropy(scores, truth, reduction="none"))
        next_nats.append(F.cross_entropy(logits, label, reduction="none"))
        right.append(logits.argmax(dim=1) == label)
    model.train(was_training)
    return Evaluation(
        nats=torch.cat(nats).cpu().numpy(),
        next_sentence_loss=float(torch.cat(next_nats).mean()),
        next_sentence_accuracy=float(torch.cat(right).float().mean()),
    )


def compare(result: Evaluation, data: HeldOut) -> dict[str, float]:
    """Model and floors side by side, at [MASK] positions.

    `gap` is model minus bidirectional floor and `left_gap` model minus left-only floor, each the mean of the
    differences position by position, with its standard error: the same positions, so the luck of the draw
    cancels.
    """
    at_mask = data.floors.kind == "mask"
    summary = {"model": float(result.nats[at_mask].mean()), **data.floors.mean("mask")}
    for name, rung in (("gap", "bidirectional"), ("left_gap", "left")):
        difference = (result.nats - getattr(data.floors, rung))[at_mask]
        summary[name] = float(difference.mean())
        summary[name + "_standard_error"] = float(difference.std(ddof=1) / math.sqrt(len(difference)))
    best_guess = np.where(data.next_sentence > 0.5, nsp.IS_NEXT, nsp.NOT_NEXT)
    summary["next_sentence_accuracy"] = result.next_sentence_accuracy
    summary["best_next_sentence_accuracy"] = float((best_guess == data.next_sentence_label).mean())
    return summary


# ------------------------------------------------------------------------------------------ the run


def learning_rate_at(step: int, settings: Settings) -> float:
    """Linear warm-up, then linear decay to zero at the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    return settings.learning_rate * (settings.steps - step) / max(1, settings.steps - settings.warmup_steps)


class Pretrainer:
    """Model, optimiser and data of one run, advanced one step at a time.

    The data stay in main memory; the model and the rows of the moment are on `device`.
    """

    def __init__(self, settings: Settings, tokenizer, data: list[Batch] | None = None, device: str = "cpu"):
        self.settings, self.tokenizer, self.device = settings, tokenizer, torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = BertForPreTraining(settings.bert_config(len(tokenizer))).to(self.device)
        matrices = [p for p in self.model.parameters() if p.dim() > 1]
        vectors = [p for p in self.model.parameters() if p.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},  # biases and LayerNorms are not decayed
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
        data = training_rows(settings, tokenizer) if data is None else data
        self.order = BatchOrder(data, settings.tokens_per_step, settings.seed)
        self.next_step = 0
        self.log: list[dict[str, float]] = []  # what `run` notes down every `log_every` steps
        self.recent: list[dict[str, float]] = []  # the losses of the steps since

    def step(self) -> dict[str, float]:
        """One update. Returns the losses of the batch, of all processes together."""
        settings, step = self.settings, self.next_step
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        generator = torch.Generator().manual_seed((settings.seed << 32) + step)
        batch = self.order[step]
        masked_ids, labels = mask_tokens(batch.input_ids, self.tokenizer, settings.rate, generator)
        # Every process draws the masks of the whole batch and then works on its own share of the rows.
        share = torch.arange(rank, len(batch), world)
        mlm_weight = int((labels[share] != IGNORE_INDEX).sum()) / max(1, int((labels != IGNORE_INDEX).sum()))
        own, own_ids, own_labels = (
            part.to(self.device) for part in (batch.take(share), masked_ids[share], labels[share])
        )
        self.optimizer.zero_grad()
        losses = torch.zeros(2, device=self.device)
        if len(share):
            with torch.random.fork_rng(devices=[], enabled=settings.dropout > 0):
                if settings.dropout > 0:
                    torch.manual_seed(((settings.seed << 32) + step) * world + rank)
                output = self.model.losses(
                    own_ids,
                    attention_mask_for(settings.attention, own_ids),
                    own.token_type_ids,
                    labels=own_labels,
                    next_sentence_label=own.next_sentence_label,
                )
            # Weighted so that the sum over processes is the mean that one process takes over the batch.
            parts = [output.mlm_loss * mlm_weight]
            if output.nsp_loss is not None:
                parts.append(output.nsp_loss * len(share) / len(batch))
            sum(parts).backward()
            losses[: len(parts)] = torch.stack(parts).detach()
        for p in self.model.parameters():  # single segments do not reach the next sentence head
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        if world > 1:
            self._sum_over_processes(losses)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(step, settings)
        self.optimizer.step()
        self.next_step += 1
        has_pairs = batch.next_sentence_label is not None
        return {"mlm_loss": float(losses[0]), "nsp_loss": float(losses[1]) if has_pairs else math.nan}

    def _sum_over_processes(self, losses: torch.Tensor) -> None:
        """Add up gradients and losses of all processes: one message, all tensors laid end to end."""
        parameters = list(self.model.parameters())
        flat = torch.cat([losses, *(p.grad.flatten() for p in parameters)])
        dist.all_reduce(flat)
        losses.copy_(flat[:2])
        for p, grad in zip(parameters, flat[2:].split([p.numel() for p in parameters]), strict=True):
            p.grad.copy_(grad.view_as(p))

    def save_state(self, path: Path) -> None:
        """Weights, optimiser moments and the number of the next step, in one file replaced in one stroke."""
        tensors = {}
        for name, p in self.model.named_parameters():
            tensors[f"model.{name}"] = p.detach()
            for key, value in self.optimizer.state.get(p, {}).items():
                tensors[f"optimizer.{key}.{name}"] = value
        metadata = {
            "next_step": str(self.next_step),
            "settings": json.dumps(asdict(self.settings)),
            "log": json.dumps(self.log),
            "recent": json.dumps(self.recent),
        }
        checkpoints.write_tensors(path, tensors, metadata)

    def load_state(self, path: Path) -> None:
        """Go on from a saved state; refuses one that was made under other settings."""
        tensors, metadata = checkpoints.read_tensors(path)
        saved = Settings(**json.loads(metadata["settings"]))
        if saved != self.settings:
            changed = [k for k, v in asdict(saved).items() if v != getattr(self.settings, k)]
            raise ValueError(f"{path} has other settings; resume with the same {', '.join(changed)}")
        for name, p in self.model.named_parameters():
            with torch.no_grad():
                p.copy_(tensors[f"model.{name}"])
            keys = ("step", "exp_avg", "exp_avg_sq")
            state = {
                key: tensors[f"optimizer.{key}.{name}"].to(self.device)
                for key in keys
                if f"optimizer.{key}.{name}" in tensors
            }
            if state:
                self.optimizer.state[p] = state
        self.next_step = int(metadata["next_step"])
        self.log, self.recent = json.loads(metadata["log"]), json.loads(metadata["recent"])


@contextmanager
def finish_step_on_interrupt():
    """Yields a list that is no longer empty once Ctrl-C was pressed. A second Ctrl-C interrupts at once.

    An interrupt in the middle of an update would leave half of the weights new and half old.
    """
    pressed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield pressed  # only the main thread may handle signals
        return

    def handle(signum, frame):
        if pressed:
            raise KeyboardInterrupt
        pressed.append(signum)

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, previous)


def run(trainer: Pretrainer, on_log=None, save_to: Path | None = None, progress: bool = True) -> bool:
    """Take the remaining steps. Returns False if Ctrl-C stopped it early; the model is whole all the same.

    Args:
        on_log: called every `log_every` steps and after the last one; what it returns (a dict) joins the log
            entry, which holds the step and the mean losses since the entry before.
        save_to: file for the state, written at each entry and when stopped.
        progress: show a bar.
    """
    from tqdm.auto import tqdm

    settings = trainer.settings
    with (
        finish_step_on_interrupt() as pressed,
        tqdm(
            total=settings.steps, initial=trainer.next_step, desc="pretraining", disable=not progress
        ) as bar,
    ):
        while trainer.next_step < settings.steps and not pressed:
            trainer.recent.append(trainer.step())
            bar.update()
            if trainer.next_step % settings.log_every == 0 or trainer.next_step == settings.steps:
                means = {name: nan_mean(losses[name] for losses in trainer.recent) for name in LOSSES}
                entry = {"step": trainer.next_step} | means
                entry |= (on_log(entry) if on_log else None) or {}
                trainer.log.append(entry)
                shown = {key: value for key, value in entry.items() if key != "step" and value is not None}
                bar.set_postfix({key: f"{value:.3f}" for key, value in shown.items()})
                trainer.recent = []
                if save_to:
                    trainer.save_state(save_to)
        if pressed and save_to:
            trainer.save_state(save_to)
    return not pressed


def nan_mean(values) -> float | None:
    """Mean of the values that are numbers; None if there are none."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else None


LIVE = Settings(documents=10_000, steps=600, num_hidden_layers=2, log_every=25, warmup_steps=60)


def live_run(tokenizer, show=None, settings: Settings = LIVE, data: HeldOut | None = None) -> Pretrainer:
    """Train a small model while somebody watches, in about half a minute on two cores.

    Args:
        show: called after every `log_every` steps with the log so far and the means of the floors at [MASK]
            positions; `plots.LiveLoss` draws them.
        data: held-out rows; small fresh ones if None.

    Returns:
        the trainer, with `.model` and `.log`. Ctrl-C (or the stop button) ends the run after the current
        step, and the model so far is returned.
    """
    data = held_out(tokenizer, documents=60) if data is None else data
    floors = data.floors.mean("mask")
    trainer = Pretrainer(settings, tokenizer)

    def on_log(entry):
        summary = compare(evaluate(trainer.model, data, settings.attention), data)
        entry["held_out"] = summary["model"]
        if show:
            show([*trainer.log, entry], floors)

    run(trainer, on_log)
    return trainer


# ------------------------------------------------------------------------------------------ command line

COMMAND_HELP = {
    "seed": "of documents, pairs, masks and initial weights",
    "documents": "number of toy documents to train on; with fewer than the steps need, they come round again",
    "steps": "number of updates",
    "tokens_per_step": "positions in a batch",
    "learning_rate": "at its highest, after the warm-up",
    "warmup_steps": "updates of linear warm-up",
    "weight_decay": "of matrices; biases and LayerNorms have none",
    "clip": "largest norm of the gradient",
    "rate": "share of tokens selected in training",
    "single_share": "share of rows with a single segment",
    "attention": "bidirectional or causal",
    "dropout": "of hidden states and attention weights",
    "log_every": "updates between two entries of the log, and between two saved states",
}


class OneLineParser(argparse.ArgumentParser):
    """Answers a mistake with the one line that says what is wrong; the usage is for --help."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}\n")


def make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m course_utils.pretraining",
        description="Pretrain a BERT on the toy language: masked words and next sentences.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=Path, help="folder for the checkpoint")
    parser.add_argument("--resume", action="store_true", help="go on from the state saved in --output")
    parser.add_argument("--vocab", type=Path, default=checkpoints.DATA / "vocab.txt", help="vocabulary file")
    parser.add_argument(
        "--write-vocab", type=Path, metavar="FILE", help="train the vocabulary, write it, stop"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the model is")
    parser.add_argument("--threads", type=int, help="threads of this process (default: torch's choice)")
    for name, field in Settings.__dataclass_fields__.items():
        help_text = COMMAND_HELP.get(name, "of the model")
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=field.type, default=field.default, help=help_text)
    return parser


def train_embedded_vocab() -> list[str]:
    """The embedded vocabulary: WordPiece on toy documents until no pair is left, so every word is one piece.

    Single letters, digits and punctuation come first, alone and with ##: whatever a reader types can be cut.
    """
    import string

    from course_utils.wordpiece import train_vocab

    alphabet = string.ascii_lowercase + string.digits + string.punctuation
    texts = [document.text for document in ToyLanguage(seed=0).documents(5000)]
    return train_vocab(texts, vocab_size=5000, alphabet=alphabet)


def model_card(
    settings: Settings, result: dict[str, float], log: list[dict], seconds: float, command: str
) -> str:
    """The card of a checkpoint: what it is, how to make it again, how far it is from the best possible."""
    rows = "\n".join(
        f"| {entry['step']} | {entry['mlm_loss']:.3f} | {entry['held_out']:.3f} |" for entry in log
    )
    return f"""# A small BERT of the toy language ({settings.attention} attention)

Trained on generated text only: the toy language of this course. It knows those few hundred words and no
English beyond them. Licence: MIT.

Made by

    {command}

in {seconds / 60:.1f} minutes on {torch.get_num_threads()} threads ({settings.steps} steps of about
{settings.tokens_per_step} positions, seed {settings.seed}).

Held-out documents, fixed masks at rate 0.15, at [MASK] positions, nats:

| | loss |
|---|---|
| unigram floor | {result["unigram"]:.3f} |
| bigram floor | {result["bigram"]:.3f} |
| left-only floor | {result["left"]:.3f} |
| **this model** | **{result["model"]:.3f}** |
| bidirectional floor | {result["bidirectional"]:.3f} |

Model minus bidirectional floor: {result["gap"]:.4f} (standard error {result["gap_standard_error"]:.4f}).
Model minus left-only floor: {result["left_gap"]:.4f}
(standard error {result["left_gap_standard_error"]:.4f}).
Next sentence accuracy: {result["next_sentence_accuracy"]:.3f}; of the perfect model:
{result["best_next_sentence_accuracy"]:.3f}.

| step | training loss | held-out loss at [MASK] |
|---|---|---|
{rows}
"""


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    options = parser.parse_args(argv)
    if options.write_vocab:
        WordPieceTokenizer(train_embedded_vocab()).save(options.write_vocab)
        return 0
    if not options.output:
        parser.error("--output is needed: the folder for the checkpoint")
    try:
        settings = Settings(**{name: getattr(options, name) for name in Settings.__dataclass_fields__})
        tokenizer = WordPieceTokenizer.from_file(options.vocab)
        settings.bert_config(len(tokenizer))  # refuses sizes that fit no model
    except (OSError, ValueError) as error:
        parser.error(str(error))
    state_file = options.output / STATE_FILE
    if options.resume and not state_file.is_file():
        parser.error(f"--resume: there is no {state_file}; start without --resume first")
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: this build of torch finds no GPU; leave it out, or install a GPU build")
    device = options.device
    if "RANK" in os.environ:  # started by torchrun
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        device = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    is_first = not dist.is_initialized() or dist.get_rank() == 0

    start = time.perf_counter()
    trainer = Pretrainer(settings, tokenizer, device=device)
    if options.resume:
        try:
            trainer.load_state(state_file)
        except ValueError as error:
            parser.error(str(error))
    data = held_out(tokenizer)

    def on_log(entry):
        result = compare(evaluate(trainer.model, data, settings.attention), data)
        return {"held_out": result["model"], "next_sentence_accuracy": result["next_sentence_accuracy"]}

    finished = run(trainer, on_log, state_file if is_first else None, progress=is_first)
    if finished and is_first:
        result = compare(evaluate(trainer.model, data, settings.attention), data)
        command = "python -m course_utils.pretraining " + " ".join(argv)
        seconds = time.perf_counter() - start
        card = model_card(settings, result, trainer.log, seconds, command)
        record = {"command": command, "settings": asdict(settings), "result": result, "log": trainer.log}
        checkpoints.save(options.output, trainer.model, tokenizer, card)
        checkpoints.write_text(options.output / LOG_FILE, json.dumps(record, indent=1) + "\n")
        state_file.unlink()
        losses = f"loss at [MASK] {result['model']:.4f}, bidirectional floor {result['bidirectional']:.4f}"
        print(f"{losses}: {options.output}")
    if dist.is_initialized():
        dist.destroy_process_group()
    if not finished:
        print(f"stopped after step {trainer.next_step}; the same command with --resume goes on from there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
