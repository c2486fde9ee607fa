"""One loop for every training: pretraining and fine-tuning take their steps here.

    rows -> losses -> gradients -> clip -> AdamW at the learning rate of the step -> what is done after it

What differs from run to run comes in from outside: the step itself, and callbacks that look at the run after
each step (a log, a picture, a comparison with the exact limits, a saved state, early stopping). What every
run shares is here: the schedule, the groups of parameters, the update, an interrupt that leaves no weight
half new, and the state from which a run goes on bit for bit.
"""

import copy
import hashlib
import json
import math
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.checks import refusal
from course_utils.files import read_tensors, write_tensors
from course_utils.hints import Count, Natural, NotNegative, Positive, hold_to_hints

DIGEST = "sha256"
Losses = TypeVar("Losses")


def usable_device(name: str) -> torch.device:
    """The device of that name, such as "cpu" or "cuda:1".

    Raises:
        ValueError: if this machine, or this build of torch, has none.
    """
    try:
        return torch.empty(0, device=name).device
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise refusal("device", "one that this build of torch finds here", repr(name), reason) from error


def schedule(step: Natural, total: Count, warmup: Natural) -> float:
    """Share of the learning rate at a step, 0 to `total` - 1: up in a line, then down towards 0 in a line.

    Source: Devlin et al. 2018, appendix A.2.
    """
    if step > total:
        raise refusal("step", f"0 to {total}", step, "the run is over")
    if step < warmup:
        return (step + 1) / warmup
    return (total - step) / max(1, total - warmup)


def parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: NotNegative) -> list[dict[str, Any]]:
    """Two groups for AdamW: matrices, which decay, and biases and LayerNorms (one axis), which do not."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for p in parameters:
        (matrices if p.dim() > 1 else vectors).append(p)
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    backward: Callable[[], Losses],
    learning_rate: NotNegative,
    clip: Positive,
) -> Losses:
    """One step of the optimiser.

    Args:
        backward: leaves the gradients at the parameters, and returns what is to be returned.
        learning_rate: of this step; a group with a "share" takes so much of it.
        clip: the gradients, as one long vector, are shortened to this length.

    Raises:
        FloatingPointError: if a loss or the gradients are not finite: the run has diverged. No weight is
            touched.
    """
    optimizer.zero_grad()
    losses = backward()
    length = nn.utils.clip_grad_norm_(model.parameters(), clip)
    watched = {} if losses is None else {"loss": torch.as_tensor(losses)}
    for name, found in (watched | {"length of the gradients": length}).items():
        if not found.isfinite().all():
            why = "the run has diverged: a lower learning rate or a longer warm-up helps"
            raise refusal(name, "finite numbers", found.tolist(), why, FloatingPointError)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("share", 1.0)
    optimizer.step()
    return losses


# ---- The loop ------------------------------------------------------------------------------------------


@dataclass
class Run:
    """Where a training is: what a callback reads after each step, and may change."""

    step: int  # steps taken so far
    total: int
    losses: Any = None  # what the last step returned
    interrupted: bool = False  # Ctrl-C was pressed
    ended: bool = False  # a callback sets it: enough
    shown: Mapping[str, float] = field(default_factory=dict)  # numbers beside the bar

    @property
    def is_last(self) -> bool:
        return self.step == self.total


def take_steps(
    step: Callable[[], Any],
    total: Natural,
    callbacks: Sequence[Callable[[Run], None]] = (),
    *,
    first: Natural = 0,
    name: str = "training",
    progress: bool = True,
    agree: Callable[[bool], bool] = bool,
) -> Run:
    """Call `step` until `total` steps are taken, a callback has ended the run, or Ctrl-C was pressed.

    Args:
        step: takes one step and returns its losses.
        callbacks: called one after the other after each step.
        first: steps taken before, by a run that was stopped.
        name: stands beside the bar, which `progress` shows.
        agree: is told before each step whether Ctrl-C was pressed here, and says whether to stop. Where
            several processes share the steps, it gives all of them the same answer.

    Raises:
        FloatingPointError: naming the step at which the run has diverged; the weights are those before it.
    """
    run, stop = Run(first, total), False
    with (
        finish_step_on_interrupt() as pressed,
        tqdm(total=total, initial=first, desc=name, disable=not progress) as bar,
    ):
        while run.step < total and not run.ended and not (stop := agree(bool(pressed))):
            try:
                run.losses = step()
            except FloatingPointError as error:
                raise FloatingPointError(f"step {run.step + 1} of {total}: {error}") from None
            run.step += 1
            run.interrupted = bool(pressed)
            bar.update()
            shown = run.shown
            for callback in callbacks:
                callback(run)
            if run.shown is not shown:
                bar.set_postfix({key: f"{value:.3f}" for key, value in run.shown.items()})
        run.interrupted = stop or bool(pressed)
    return run


@contextmanager
def finish_step_on_interrupt() -> Iterator[list[int]]:
    """Yields a list that is no longer empty once Ctrl-C was pressed. A second Ctrl-C interrupts at once.

    An interrupt in the middle of an update would leave half of the weights new and half old.
    """
    pressed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield pressed  # only the main thread may handle signals
        return

    def handle(signum: int, frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(signum)

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, previous)


# ---- What a run keeps ----------------------------------------------------------------------------------


class EarlyStopping:
    """Keeps the weights of the best evaluation, the earliest of equals, and says when patience is over.

    Patience counts evaluations in which neither score nor loss got better: a score can stand still, even at
    0, for a while in which the loss falls.
    """

    def __init__(self, model: nn.Module, patience: Count):
        self.model, self.patience = model, patience
        self.best, self.best_score, self.lowest_loss, self.last_gain = 0, -math.inf, math.inf, 0
        self.weights: dict[str, Tensor] = {}

    def is_over(self, number: Natural, score: float, loss: float) -> bool:
        """Look at evaluation `number`: is it time to stop?"""
        if loss < self.lowest_loss:
            self.lowest_loss, self.last_gain = loss, number
        if score > self.best_score:
            self.best, self.best_score, self.last_gain = number, score, number
            self.weights = copy.deepcopy(self.model.state_dict())
        return number - self.last_gain >= self.patience

    def scores(self) -> dict[str, float]:
        """All but the weights, as `resume` takes it."""
        return {key: value for key, value in vars(self).items() if key not in ("model", "weights")}

    def resume(self, scores: Mapping[str, float], weights: dict[str, Tensor]) -> None:
        """Go on as if all that was looked at before had been looked at here."""
        vars(self).update(scores, weights=weights)

    def restore(self) -> None:
        """Give the model its best weights back."""
        self.model.load_state_dict(self.weights)


def save_state(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    notes: Mapping[str, Any],
    **more: Mapping[str, Tensor],
) -> None:
    """Weights, moments of the optimiser and `notes` (anything that JSON holds) in one file, in one stroke.

    `more` are other groups of tensors; `group_of` finds them again.
    """
    tensors = {f"{group}.{name}": value for group, values in more.items() for name, value in values.items()}
    for name, p in model.named_parameters():
        tensors[f"model.{name}"] = p.detach()
        for key, value in optimizer.state.get(p, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    metadata = {key: json.dumps(value) for key, value in notes.items()}
    write_tensors(path, tensors, metadata | {DIGEST: digest_of(tensors, metadata)})


def digest_of(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of all numbers and notes, in the order of their names."""
    digest = hashlib.sha256(json.dumps(dict(sorted(metadata.items()))).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_state(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the notes of a saved state.

    Raises:
        ValueError: if the file is damaged.
    """
    tensors, metadata = read_tensors(path)
    digest = metadata.pop(DIGEST, None)  # states of the first version have none
    if digest not in (None, digest_of(tensors, metadata)):
        raise refusal(str(path), f"the SHA-256 that it was saved with, {digest}", "another: it is damaged")
    return tensors, {key: json.loads(value) for key, value in metadata.items()}


def check_same_run(path: str | Path, notes: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """A state goes on under the settings and the data that it was saved under; refuses others by name."""
    for kind, values in own.items():
        if changed := [name for name, value in values.items() if notes.get(kind, {}).get(name) != value]:
            raise refusal(kind, f"those of {path}", f"another {', '.join(changed)}")


def group_of(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    """The tensors of one group of a saved state, under their own names."""
    prefix = group + "."
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def restore_state(tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Weights and moments as they were when the state was saved."""
    for name, p in model.named_parameters():
        with torch.no_grad():
            p.copy_(tensors[f"model.{name}"])
        keys = ("step", "exp_avg", "exp_avg_sq")
        state = {
            key: tensors[f"optimizer.{key}.{name}"].to(p.device)
            for key in keys
            if f"optimizer.{key}.{name}" in tensors
        }
        if state:
            optimizer.state[p] = state


hold_to_hints(globals())
