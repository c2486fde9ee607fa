"""Fine-tuning: a pretrained encoder, one new layer on top, and a few hundred labelled examples.

    examples -> task.encode -> rows -> batches -> encoder and head -> loss -> AdamW -> best weights on dev

One function serves every task (`finetune`), on the loop that pretraining has too (`training`). What differs
between tasks is in `tasks`, their scores in `metrics`; what a lesson needs of both can be had from here.
Sources: Devlin et al. 2018 (arXiv 1810.04805), sections 4 and 5.3 and appendix A.3, called "the paper" below.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from course_utils import checkpoints, training
from course_utils.bert import BertConfig, BertForPreTraining, TaskModel, load_weights
from course_utils.checks import check_one_of, refusal
from course_utils.hints import (
    Count,
    Natural,
    NotNegative,
    Positive,
    ProperShare,
    Seed,
    hold_to_hints,
)
from course_utils.metrics import entities_of, entity_scores, exact_match, span_f1
from course_utils.tasks import (
    QuestionAnswering,
    Row,
    Task,
    TextClassification,
    TokenClassification,
    batches_by_length,
    best_span,
    class_weights,
    collate,
    labelled,
    run_model,
    token_span,
    unlabelled,
)
from course_utils.vocabularies import fits
from course_utils.wordpiece import WordPieceTokenizer

__all__ = [
    "QuestionAnswering",
    "Result",
    "Row",
    "Settings",
    "Task",
    "TextClassification",
    "TokenClassification",
    "best_span",
    "class_weights",
    "collate",
    "entities_of",
    "entity_scores",
    "exact_match",
    "features",
    "finetune",
    "freeze",
    "labelled",
    "load",
    "new_model",
    "occlusion",
    "parameter_groups",
    "parts_of",
    "run_model",
    "save",
    "span_f1",
    "token_span",
]


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on beside model and examples. The values suit the embedded model; see the
    paper's A.3 for BERT-base: learning rates of 2e-5 to 5e-5, 2 to 4 epochs, batches of 16 or 32.

    Attributes:
        epochs: passes over the examples, at most; the dev examples are scored after each.
        patience: stop after this many epochs in which neither the dev score nor the dev loss got better. The
            score alone will not do: it can stand still, even at 0, for a while in which the loss falls.
        layer_decay: each part learns this many times as fast as the part above it: 1 all alike, 0.8 the
            lower the slower (Howard and Ruder 2018, section 3.2; as in Clark et al. 2020, appendix B).
        freeze: what keeps its pretrained weights: "nothing", "embeddings", a number n (embeddings and the
            first n layers), "encoder" (all but the new layer), or "as given", whatever the model has frozen
            (`lora.add` freezes so).
        balance: weigh each class by 1 / its share of the examples, so that a rare class counts as much as a
            common one.
    """

    seed: Seed = 0
    epochs: Count = 10
    batch_size: Count = 16
    learning_rate: NotNegative = 5e-4
    warmup_share: ProperShare = 0.1
    weight_decay: NotNegative = 0.01
    clip: Positive = 1.0
    patience: Count = 3
    layer_decay: Positive = 1.0
    freeze: int | str = "nothing"
    balance: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.layer_decay <= 1:
            raise refusal("layer_decay", "above 0 and at most 1", self.layer_decay)
        is_count = isinstance(self.freeze, int) and self.freeze >= 0
        if self.freeze not in ("nothing", "embeddings", "encoder", "as given") and not is_count:
            allowed = '"nothing", "embeddings", "encoder", "as given" or a number of layers'
            raise refusal("freeze", allowed, repr(self.freeze))


# ---- Model and optimiser -------------------------------------------------------------------------------


def new_model(
    task: Task,
    pretrained: BertForPreTraining | TaskModel | BertConfig,
    seed: Seed = 0,
    dropout: ProperShare = 0.1,
) -> TaskModel:
    """The head of `task` on a copy of a pretrained encoder.

    Args:
        pretrained: a model whose `.bert` is copied, pooler included where the head has one; or a
            `BertConfig`, for an encoder of freshly drawn weights (training from scratch).
        seed: of the freshly drawn weights.
        dropout: of the new model, also in attention. Few examples want some even if pretraining used none.
    """
    config = replace(
        pretrained if isinstance(pretrained, BertConfig) else pretrained.config,
        num_labels=len(task.labels),
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    if not fits(task.tokenizer, config.vocab_size):
        own = f"the one that the model was pretrained with, of {config.vocab_size} pieces"
        raise refusal("tokenizer", own, f"one of {len(task.tokenizer)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = task.head(config)
    if not isinstance(pretrained, BertConfig):
        load_weights(model, pretrained.bert.state_dict(), allow_missing_heads=True)
    return model.eval()


def parts_of(model: TaskModel) -> list[tuple[str, list[nn.Parameter]]]:
    """The parameters from bottom to top: "embeddings", "layer 1" to "layer n", "pooler" if any, "head"."""
    bert = model.bert
    modules: list[tuple[str, nn.Module]] = [("embeddings", bert.embeddings)]
    modules += [(f"layer {k}", layer) for k, layer in enumerate(bert.encoder.layer, start=1)]
    parts = [(name, list(module.parameters())) for name, module in modules]
    if bert.pooler is not None:
        parts.append(("pooler", list(bert.pooler.parameters())))
    below = {id(p) for p in bert.parameters()}
    parts.append(("head", [p for p in model.parameters() if id(p) not in below]))
    return parts


def freeze(model: TaskModel, what: int | str) -> None:
    """Make `what` keep its weights (see `Settings.freeze`), and everything else learn.

    A frozen parameter has `requires_grad` False: no gradient is computed for it, no update reaches it.
    """
    if what == "as given":
        return
    layers = len(model.bert.encoder.layer)
    names = [name for name, _ in parts_of(model)]
    counts = {"nothing": 0, "embeddings": 1, "encoder": len(names) - 1}
    if what not in counts and what not in range(layers + 1):
        raise refusal("freeze", f"{', '.join(counts)} or at most {layers}, the number of layers", repr(what))
    frozen = names[: counts[what] if isinstance(what, str) else 1 + what]
    for name, parameters in parts_of(model):
        for p in parameters:
            p.requires_grad_(name not in frozen)


def parameter_groups(model: TaskModel, settings: Settings) -> list[dict[str, Any]]:
    """Groups for AdamW: `share` is the learning rate of a part as a share of `settings.learning_rate`.

    Head and pooler have 1, the top layer `layer_decay`, each part below that times `layer_decay`. Biases and
    LayerNorms have no weight decay (`training.parameter_groups`). Frozen parameters are left out.
    """
    steps_down = 0
    groups = []
    for name, parameters in reversed(parts_of(model)):
        steps_down += name not in ("head", "pooler")
        learning = [p for p in parameters if p.requires_grad]
        for group in training.parameter_groups(learning, settings.weight_decay):
            groups.append(group | {"share": settings.layer_decay**steps_down, "name": name})
    return groups


# ---- The loop ------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What `finetune` gives back. `model` has the weights of `best_epoch`; epoch 0 is before training.

    `log` has one entry an epoch: `epoch`, `loss` (mean over the training examples as they came by; None at
    epoch 0), `dev_loss`, and the scores on dev.
    """

    model: TaskModel
    best_epoch: int
    best_score: float
    log: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False


def finetune(
    model: TaskModel,
    task: Task,
    train: Sequence[Any],
    dev: Sequence[Any],
    settings: Settings | None = None,
    progress: bool = True,
    save_to: str | Path | None = None,
    resume: bool = False,
) -> Result:
    """Train `model`, in place, until `epochs` or `patience` (dev has not got better) are over, or Ctrl-C.

    Whichever it was, the model ends with the weights that scored best on `dev`, the earliest of equals. The
    dev score of the best epoch is chosen from several, so it is a little too good: report the score on
    examples that chose nothing, the test part.

    Args:
        save_to: file for the state of the run, written after each epoch and at Ctrl-C.
        resume: go on from that state; on a CPU, bit for bit as if the run had never stopped.

    Raises:
        ValueError: for examples that the task refuses, for training examples of a single class, and for a
            state that was saved under other settings, another model or other examples.
        FloatingPointError: naming the step at which the run has diverged.
    """
    settings = settings or Settings()
    if resume and save_to is None:
        raise refusal("save_to", "the file of a saved state to resume from", save_to)
    if not len(train) or not len(dev):
        raise refusal("examples", "at least 1 each", f"{len(train)} train and {len(dev)} dev")
    positions = model.config.max_position_embeddings
    if task.max_length > positions:
        raise refusal("max_length", f"at most {positions}, the model's positions", task.max_length)
    if model.config.num_labels != len(task.labels):
        raise refusal(
            "num_labels of the model", f"the {len(task.labels)} of the task", model.config.num_labels
        )
    rows, dev_rows = task.encode(train), task.encode(dev)
    device = next(model.parameters()).device
    weights = task.loss_weights(rows, settings.balance)
    if weights is not None:
        weights = weights.to(next(model.parameters()))

    freeze(model, settings.freeze)
    optimizer = torch.optim.AdamW(parameter_groups(model, settings), lr=settings.learning_rate, fused=True)
    steps_an_epoch = -(-len(rows) // settings.batch_size)
    total = settings.epochs * steps_an_epoch
    warmup = round(settings.warmup_share * total)
    best = training.EarlyStopping(model, settings.patience)
    log: list[dict[str, Any]] = []
    losses: list[float] = []  # of the steps since the last entry of the log
    examples = {"train": rows, "dev": dev_rows}
    run = {
        "settings": asdict(settings),
        "model": model.config.to_dict() | {"head": type(model).__name__, "labels": list(task.labels)},
        "examples": {name: sha256(repr(part).encode()).hexdigest() for name, part in examples.items()},
    }

    def is_over(epoch: int) -> bool:
        scores, dev_loss = task.evaluate(model, dev, dev_rows, weights)
        loss = float(np.mean(losses)) if losses else None
        log.append({"epoch": epoch, "loss": loss, "dev_loss": dev_loss, **scores})
        losses.clear()
        return best.is_over(epoch, scores[task.main_score], dev_loss)

    def step() -> float:
        batch = collate(next(batches), task.tokenizer.pad_token_id, device)
        rate = settings.learning_rate * next(shares)

        def backward() -> float:
            loss = task.loss(model.train(), batch, weights)
            loss.backward()
            return float(loss.detach())

        return training.update(model, optimizer, backward, rate, settings.clip)

    def keep(now: training.Run) -> None:
        if save_to is not None:
            notes = run | {"step": now.step, "ended": now.ended, "log": log, "losses": losses}
            random = {"state": torch.get_rng_state()}
            notes["best"] = best.scores()
            training.save_state(save_to, model, optimizer, notes, best=best.weights, random=random)

    def score_an_epoch(now: training.Run) -> None:
        losses.append(now.losses)
        whole = now.step % steps_an_epoch == 0
        if now.interrupted and not whole:
            keep(now)  # before a look at dev that a run without Ctrl-C does not take
        if whole or now.interrupted:
            now.ended = is_over(-(-now.step // steps_an_epoch))
            now.shown = {task.main_score: log[-1][task.main_score]}
        if whole:
            keep(now)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # of dropout; the order of the examples has a generator of its own
        first, last = 0, total
        if resume and save_to is not None:
            tensors, notes = training.read_state(save_to)
            training.check_same_run(save_to, notes, run)
            training.restore_state(tensors, model, optimizer)
            torch.set_rng_state(tensors["random.state"])
            best.resume(notes["best"], training.group_of(tensors, "best"))
            log, losses, first = notes["log"], notes["losses"], notes["step"]
            last = first if notes["ended"] else total
        else:
            is_over(0)
        batches = islice(endless_batches(rows, settings), first, None)
        shares = (training.schedule(n, total, warmup) for n in range(first, total))
        callbacks = [score_an_epoch]
        try:
            done = training.take_steps(
                step, last, callbacks, first=first, name="fine-tuning", progress=progress
            )
        finally:  # also of a run that has diverged
            best.restore()
    return Result(model.eval(), best.best, best.best_score, log, done.interrupted)


def endless_batches(rows: Sequence[Row], settings: Settings) -> Iterator[list[Row]]:
    """Every row once an epoch, epoch after epoch, in an order that follows from the seed."""
    generator = torch.Generator().manual_seed(settings.seed)
    while True:
        for chosen in torch.randperm(len(rows), generator=generator).split(settings.batch_size):
            yield [rows[i] for i in chosen.tolist()]


# ---- Frozen features -----------------------------------------------------------------------------------


def features(
    model: BertForPreTraining | TaskModel,
    tokenizer: WordPieceTokenizer,
    texts: Sequence[str],
    pool: str = "mean",
    batch_size: Count = 64,
) -> npt.NDArray[np.float32]:
    """One vector a text from an encoder that learns nothing: (n, hidden_size).

    Args:
        model: any model with an encoder `.bert`.
        pool: "cls" takes the last hidden state of [CLS], "pooler" the pooler's output, "mean" the mean of
            the last hidden states over all tokens but padding.

    Raises:
        ValueError: for an empty text, an unknown pool, and "pooler" where the model has none.
    """
    check_one_of("pool", pool, ("cls", "pooler", "mean"))
    if pool == "pooler" and model.bert.pooler is None:
        raise refusal("pool", "cls or mean", repr(pool), f"{type(model).__name__} has no pooler")
    # A classification encodes texts, and says which it cuts; the label of each is of no matter.
    reader = TextClassification(tokenizer, ("none", "other"), model.config.max_position_embeddings)
    rows = reader.encode([unlabelled(text) for text in texts])
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    vectors = np.empty((len(rows), model.config.hidden_size), np.float32)
    with torch.no_grad():
        for chosen, batch in batches_by_length(rows, tokenizer.pad_token_id, device, batch_size):
            mask = batch["attention_mask"]
            output = model.bert(batch["input_ids"], mask, batch["token_type_ids"])
            if pool == "pooler":
                pooled = output.pooler_output
            elif pool == "cls":
                pooled = output.last_hidden_state[:, 0]
            else:
                total = (output.last_hidden_state * mask[:, :, None]).sum(dim=1)
                pooled = total / mask.sum(dim=1, keepdim=True)
            vectors[chosen] = pooled.float().cpu()
    model.train(was_training)
    return vectors


# ---- What a word adds ----------------------------------------------------------------------------------


def occlusion(
    model: nn.Module, task: TextClassification, text: str, label: Natural
) -> list[tuple[str, float]]:
    """What each word adds to P(label): the probability of the text minus that of the text without this word.

    Source: Li et al. 2016 (arXiv 1612.08220), "erasure". Words here are what stands between spaces.

    Raises:
        ValueError: for a text of fewer than two words: without its only word there is nothing to read.
    """
    words = text.split()
    if len(words) < 2:
        raise refusal("text", "two words or more", repr(text))
    if label >= len(task.labels):
        allowed = f"the number of a class, 0 to {len(task.labels) - 1}"
        raise refusal("label", allowed, label)
    without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    whole, *others = task.predict_proba(model, [text, *without])[:, label]
    pairs = zip(words, others, strict=True)
    return [(word, float(whole - other)) for word, other in pairs]


# ---- On disk -------------------------------------------------------------------------------------------


def save(
    folder: str | Path, model: TaskModel, task: Task, card: str | None = None, overwrite: bool = False
) -> None:
    """Write a fine-tuned model as a folder that `load`, and the `transformers` library, can read.

    Card, and what is refused unless `overwrite`: as of `checkpoints.save`.
    """
    settings = {
        "id2label": {str(number): name for number, name in enumerate(task.labels)},
        "label2id": {name: number for number, name in enumerate(task.labels)},
        "task_specific_params": {type(task).__name__: task.settings},
    }
    checkpoints.write(folder, model, task.tokenizer, task.max_length, settings, card, overwrite)


def load(folder: str | Path) -> tuple[TaskModel, Task]:
    """The model, in evaluation mode, and the task of a folder that `save` or the library wrote.

    Raises:
        ValueError: for a folder that holds no such model, and for files that are damaged or do not fit one
            another.
    """
    folder = Path(folder).expanduser()
    if not (folder / checkpoints.CONFIG_FILE).is_file():
        raise refusal("folder", "one that `finetuning.save` wrote", repr(str(folder)))
    values, config, tokenizer, tensors = checkpoints.read(folder)
    kinds: dict[str, type[Task]] = {
        kind.head.__name__: kind for kind in (TextClassification, TokenClassification, QuestionAnswering)
    }
    name = (values.get("architectures") or ["nothing"])[0]
    if name not in kinds:
        raise refusal(f"{folder}", f"one of {', '.join(kinds)}", name)
    if (problem := values.get("problem_type")) not in (None, "single_label_classification"):
        raise refusal(f"{folder}: problem_type", "single_label_classification", problem)
    kind, numbers = kinds[name], range(config.num_labels)
    labels = [values.get("id2label", {}).get(str(number), f"LABEL_{number}") for number in numbers]
    settings = values.get("task_specific_params") or {}
    settings = settings.get(kind.__name__, {"max_length": config.max_position_embeddings})
    model = kind.head(config)
    try:
        load_weights(model, tensors)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    return model.eval(), kind.restore(tokenizer, labels, settings)


hold_to_hints(globals())

if __name__ == "__main__":
    from course_utils import commands
    from course_utils.commands.finetuning import main

    commands.run(main)
