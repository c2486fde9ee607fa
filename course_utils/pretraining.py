r"""Pretraining: documents in, a BERT out, in minutes on two cores.

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
    torchrun --standalone --nproc_per_node 2 -m course_utils.pretraining --output runs/mine

Who outgrows one machine uses the same script. On a host with eight GPUs, and on two such hosts (the second
line on each of them, with the name of the first in place of HOST):

    torchrun --standalone --nproc_per_node 8 -m course_utils.pretraining --output runs/mine --device cuda
    torchrun --nnodes 2 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:29500 \
        -m course_utils.pretraining --output runs/mine --device cuda
"""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from course_utils import nsp, training
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.checks import IGNORE_INDEX, check_one_of, refusal
from course_utils.hints import (
    Count,
    Natural,
    NotNegative,
    Positive,
    ProperShare,
    Seed,
    Share,
    check_some,
    hold_to_hints,
)
from course_utils.masks import causal_mask
from course_utils.mlm import mask_tokens
from course_utils.toy.generator import Document, Sentence
from course_utils.toy.language import Floors, ToyLanguage
from course_utils.wordpiece import WordPieceTokenizer

Floats = npt.NDArray[np.float64]
Attention = Annotated[str, partial(check_one_of, allowed=("bidirectional", "causal"))]
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

    seed: Seed = 0
    documents: Count = 60_000
    steps: Count = 5000
    tokens_per_step: Count = 2048
    learning_rate: NotNegative = 2e-3
    warmup_steps: Natural = 150
    weight_decay: NotNegative = 0.01
    clip: Positive = 1.0
    rate: ProperShare = 0.25
    single_share: ProperShare = 0.1
    attention: Attention = "bidirectional"
    hidden_size: Count = 128
    num_hidden_layers: Count = 3
    num_attention_heads: Count = 4
    max_position_embeddings: Count = 128
    dropout: ProperShare = 0.0
    log_every: Count = 250

    def __post_init__(self) -> None:
        if self.warmup_steps > self.steps:
            raise refusal("warmup_steps", f"0 to steps={self.steps}", self.warmup_steps)

    def bert_config(self, vocab_size: Count) -> BertConfig:
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


# ---- Data ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Rows of one length. `next_sentence_label` is -100 where a row holds a single segment."""

    input_ids: Tensor  # (rows, seq_len)
    token_type_ids: Tensor  # (rows, seq_len)
    next_sentence_label: Tensor  # (rows,)

    def __len__(self) -> int:
        return len(self.input_ids)

    def take(self, index: Tensor | slice) -> "Batch":
        return Batch(self.input_ids[index], self.token_type_ids[index], self.next_sentence_label[index])

    def to(self, device: torch.device) -> "Batch":
        return Batch(
            self.input_ids.to(device), self.token_type_ids.to(device), self.next_sentence_label.to(device)
        )


def tokenize_documents(documents: Iterable[Document], tokenizer: WordPieceTokenizer) -> list[list[list[int]]]:
    """Piece ids of every sentence of every document; each different word is cut once."""
    pieces: dict[str, list[int]] = {}

    def ids_of(word: str) -> list[int]:
        if word not in pieces:
            pieces[word] = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word))
        return pieces[word]

    def ids_of_sentence(sentence: Sentence) -> list[int]:
        return [i for word in sentence.words for i in ids_of(word)]

    return [[ids_of_sentence(sentence) for sentence in document.sentences] for document in documents]


def rows_by_length(
    pairs: Sequence[nsp.Pair],
    tokenizer: WordPieceTokenizer,
    single_share: Share = 0.0,
    generator: torch.Generator | None = None,
) -> list[Batch]:
    """All rows of one shape together: one `Batch` for each length, with and without a second segment.

    A share `single_share` of the pairs gives up one of its segments, so that rows of one sentence occur as
    well.
    """
    rows: dict[tuple[int, bool], list[tuple[list[int], list[int], int]]] = {}
    draws = torch.rand(len(pairs), generator=generator).tolist()
    for pair, draw in zip(pairs, draws, strict=True):
        single = draw < single_share
        first = pair.second if draw < single_share / 2 else pair.first
        input_ids, token_type_ids = nsp.build_row(first, None if single else pair.second, tokenizer)
        label = IGNORE_INDEX if single else pair.label
        rows.setdefault((len(input_ids), single), []).append((input_ids, token_type_ids, label))
    columns = [zip(*members, strict=True) for _, members in sorted(rows.items())]
    return [Batch(*map(torch.tensor, column)) for column in columns]


def training_rows(settings: Settings, tokenizer: WordPieceTokenizer) -> list[Batch]:
    """The rows of a run: pairs from `settings.documents` toy documents, about five a document."""
    language = ToyLanguage(seed=settings.seed)
    documents = tokenize_documents(language.documents(settings.documents), tokenizer)
    generator = torch.Generator().manual_seed(settings.seed)
    pairs = nsp.make_pairs(documents, generator=generator)
    return rows_by_length(pairs, tokenizer, settings.single_share, generator)


class BatchOrder:
    """Which rows make up step n: every row once an epoch, in an order that follows from seed and epoch."""

    def __init__(self, data: Annotated[list[Batch], check_some], tokens_per_step: Count, seed: Seed):
        self.data, self.tokens_per_step, self.seed = data, tokens_per_step, seed
        self._current = (0, self._epoch(0))
        self.per_epoch = len(self._current[1])

    def _epoch(self, epoch: int) -> list[tuple[int, Tensor]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        steps: list[tuple[int, Tensor]] = []
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


def attention_mask_for(attention: Attention, input_ids: Tensor) -> Tensor | None:
    """None (all attend to all), or the causal mask (batch, seq_len, seq_len)."""
    if attention == "bidirectional":
        return None
    rows, seq_len = input_ids.shape
    return causal_mask(seq_len).to(input_ids.device).expand(rows, seq_len, seq_len)


# ---- Held-out data ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HeldOut:
    """Documents kept aside, masked once and for all, with the best possible loss at selected positions."""

    batches: list[tuple[Batch, Tensor, Tensor]]  # rows, masked_ids, labels
    floors: Floors
    next_sentence: Floats  # (pairs,) P(IsNext) of the perfect model

    @property
    def next_sentence_label(self) -> "np.ndarray[Any, Any]":
        return np.concatenate([batch.next_sentence_label.numpy() for batch, _, _ in self.batches])


def held_out(
    tokenizer: WordPieceTokenizer,
    documents: Count = 400,
    rate: ProperShare = 0.15,
    seed: Seed = HELD_OUT_SEED,
) -> HeldOut:
    """Rows of pairs from documents that no run trains on, with fixed masks and their exact floors."""
    language = ToyLanguage(seed=seed, vocab=tokenizer.id_to_token)
    generator = torch.Generator().manual_seed(seed)
    pairs = nsp.make_pairs(tokenize_documents(language.documents(documents), tokenizer), generator=generator)
    batches, floors, posterior = [], [], []
    for batch in rows_by_length(pairs, tokenizer):
        masked_ids, labels = mask_tokens(batch.input_ids, tokenizer, rate, generator)
        batches.append((batch, masked_ids, labels))
        floors.append(language.floors(batch.input_ids.numpy(), masked_ids.numpy(), labels.numpy(), rate))
        posterior.append(language.next_sentence_posterior(masked_ids.numpy(), rate))
    fields = Floors.__dataclass_fields__
    joined = {name: np.concatenate([getattr(part, name) for part in floors]) for name in fields}
    return HeldOut(batches, Floors(**joined), np.concatenate(posterior))


@dataclass(frozen=True)
class Evaluation:
    """Losses on held-out rows, in nats. `nats` (n,) goes position by position with `HeldOut.floors`."""

    nats: Floats
    next_sentence_loss: float
    next_sentence_accuracy: float


@torch.no_grad()
def evaluate(model: BertForPreTraining, data: HeldOut, attention: Attention = "bidirectional") -> Evaluation:
    """The model's loss at every selected position of the held-out rows, and its next sentence accuracy."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    nats, next_nats, right = [], [], []
    for batch, masked_ids, labels in data.batches:
        batch, masked_ids, labels = batch.to(device), masked_ids.to(device), labels.to(device)
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


# ---- The run ---------------------------------------------------------------------------------------------


def learning_rate_at(step: Natural, settings: Settings) -> float:
    """Linear warm-up, then linear decay to zero at the last step."""
    return settings.learning_rate * training.schedule(step, settings.steps, settings.warmup_steps)


class Pretrainer:
    """Model, optimiser and data of one run, advanced one step at a time.

    The data stay in main memory; the model and the rows of the moment are on `device`.
    """

    def __init__(
        self,
        settings: Settings,
        tokenizer: WordPieceTokenizer,
        data: list[Batch] | None = None,
        device: str = "cpu",
    ):
        self.settings, self.tokenizer, self.device = settings, tokenizer, training.usable_device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = BertForPreTraining(settings.bert_config(len(tokenizer))).to(self.device)
        groups = training.parameter_groups(self.model.parameters(), settings.weight_decay)
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True
        )
        data = training_rows(settings, tokenizer) if data is None else data
        self.order = BatchOrder(data, settings.tokens_per_step, settings.seed)
        self.next_step = 0
        self.log: list[dict[str, Any]] = []  # what `run` notes down every `log_every` steps
        self.recent: list[dict[str, float]] = []  # the losses of the steps since

    def step(self) -> dict[str, float]:
        """One update. Returns the losses of the batch, of all processes together."""
        settings, batch = self.settings, self.order[self.next_step]
        learning_rate = learning_rate_at(self.next_step, settings)
        losses = training.update(
            self.model, self.optimizer, lambda: self._backward(batch), learning_rate, settings.clip
        )
        self.next_step += 1
        has_pairs = bool((batch.next_sentence_label != IGNORE_INDEX).any())
        return {"mlm_loss": float(losses[0]), "nsp_loss": float(losses[1]) if has_pairs else math.nan}

    def _backward(self, batch: Batch) -> Tensor:
        """Leave the gradients of a batch at the parameters. Returns both losses: (2,)."""
        settings, seed = self.settings, (self.settings.seed << 32) + self.next_step
        rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        masked_ids, labels = mask_tokens(
            batch.input_ids, self.tokenizer, settings.rate, torch.Generator().manual_seed(seed)
        )
        # Every process draws the masks of the whole batch and then works on its own share of the rows.
        share = torch.arange(rank, len(batch), world)
        mlm_weight = int((labels[share] != IGNORE_INDEX).sum()) / max(1, int((labels != IGNORE_INDEX).sum()))
        own, own_ids, own_labels = (
            batch.take(share).to(self.device),
            masked_ids[share].to(self.device),
            labels[share].to(self.device),
        )
        found = torch.zeros(2, device=self.device)
        if len(share):
            with torch.random.fork_rng(devices=[], enabled=settings.dropout > 0):
                if settings.dropout > 0:
                    torch.manual_seed(seed * world + rank)
                _, mlm_loss, nsp_loss = self.model.losses(
                    own_ids,
                    attention_mask_for(settings.attention, own_ids),
                    own.token_type_ids,
                    labels=own_labels,
                    next_sentence_label=own.next_sentence_label,
                )
            assert mlm_loss is not None and nsp_loss is not None  # both have labels
            # Weighted so that the sum over processes is the mean that one process takes over the batch.
            losses = torch.stack([mlm_loss * mlm_weight, nsp_loss * (len(share) / len(batch))])
            losses.sum().backward()
            found = losses.detach()
        if world > 1:
            self._sum_over_processes(found)
        return found

    def _sum_over_processes(self, losses: Tensor) -> None:
        """Add up gradients and losses of all processes: one message, all tensors laid end to end."""
        parameters = list(self.model.parameters())
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]  # None: no rows here
        flat = torch.cat([losses, *(grad.flatten() for grad in grads)])
        dist.all_reduce(flat)
        losses.copy_(flat[:2])
        for p, grad in zip(parameters, flat[2:].split([p.numel() for p in parameters]), strict=True):
            p.grad = grad.view_as(p)

    def _stops(self, pressed: bool) -> bool:
        """Whether Ctrl-C has reached any process: one that went on alone would wait for the others."""
        if not dist.is_initialized():
            return pressed
        flag = torch.tensor([float(pressed)], device=self.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def save_state(self, path: Path) -> None:
        """Weights, optimiser moments and the number of the next step, in one file replaced in one stroke."""
        notes = {
            "next_step": self.next_step,
            "settings": asdict(self.settings),
            "log": self.log,
            "recent": self.recent,
        }
        training.save_state(path, self.model, self.optimizer, notes)

    def load_state(self, path: Path) -> None:
        """Go on from a saved state; refuses one that was made under other settings."""
        tensors, notes = training.read_state(path)
        training.check_same_run(path, notes, {"settings": asdict(self.settings)})
        training.restore_state(tensors, self.model, self.optimizer)
        self.next_step, self.log, self.recent = notes["next_step"], notes["log"], notes["recent"]


def run(
    trainer: Pretrainer,
    on_log: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
    save_to: Path | None = None,
    progress: bool = True,
) -> bool:
    """Take the remaining steps. Returns False if Ctrl-C stopped it early; the model is whole all the same.

    Args:
        on_log: called every `log_every` steps and after the last one; what it returns (a dict) joins the log
            entry, which holds the step and the mean losses since the entry before.
        save_to: file for the state, written at each entry and when stopped.
        progress: show a bar.
    """
    settings = trainer.settings

    def note_down(now: training.Run) -> None:
        trainer.recent.append(now.losses)
        if now.step % settings.log_every and not now.is_last:
            return
        means = {name: nan_mean(losses[name] for losses in trainer.recent) for name in LOSSES}
        entry: dict[str, Any] = {"step": now.step} | means
        entry |= (on_log(entry) if on_log else None) or {}
        trainer.log.append(entry)
        trainer.recent = []
        now.shown = {key: value for key, value in entry.items() if key != "step" and value is not None}
        if save_to:
            trainer.save_state(save_to)

    done = training.take_steps(
        trainer.step,
        settings.steps,
        [note_down],
        first=trainer.next_step,
        name="pretraining",
        progress=progress,
        agree=trainer._stops,
    )
    if done.interrupted and save_to:
        trainer.save_state(save_to)
    return not done.interrupted


def leave_processes() -> None:
    """Part from the processes that torchrun has started beside this one; does nothing if there are none.

    gloo can abort a process whose connections are closed by another while it closes them itself. So they part
    one after the other, the last rank first, for the first may still have a checkpoint to write. Whose turn
    it is, they see where they met, in torchrun's own store.
    """
    if not dist.is_initialized():
        return
    rank, world = dist.get_rank(), dist.get_world_size()
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(*place, is_master=False)  # type: ignore[attr-defined]  # for want of an `__all__`
    store.wait([f"left {other}" for other in range(rank + 1, world)])
    dist.destroy_process_group()
    store.set(f"left {rank}", "")


def nan_mean(values: Iterable[Any]) -> float | None:
    """Mean of the values that are numbers; None if there are none."""
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else None


LIVE = Settings(documents=10_000, steps=600, num_hidden_layers=2, log_every=25, warmup_steps=60)

hold_to_hints(globals())

if __name__ == "__main__":
    from course_utils import commands
    from course_utils.commands.pretraining import main

    commands.run(main)
