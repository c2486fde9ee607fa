"""The one loop: its schedule, its groups, its update, its ends, and the state from which a run goes on."""

import math
import signal

import pytest
import torch
from torch import nn

from course_utils import training


def small_model(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))


def test_the_schedule_rises_to_one_and_falls_towards_zero():
    shares = [training.schedule(step, 10, 2) for step in range(10)]
    assert shares == pytest.approx([1 / 2, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    assert training.schedule(0, 1, 0) == training.schedule(0, 1, 1) == 1


def test_matrices_decay_and_vectors_do_not():
    model = small_model()
    matrices, vectors = training.parameter_groups(model.parameters(), 0.1)
    assert matrices["weight_decay"] == 0.1 and vectors["weight_decay"] == 0
    assert [p.dim() for p in matrices["params"]] == [2, 2] and {p.dim() for p in vectors["params"]} == {1}
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(model.parameters()))
    assert training.parameter_groups(model[1].parameters(), 0.1) == [{"params": [*model[1].parameters()],
                                                                       "weight_decay": 0.0}]  # fmt: skip


def gradients_of(model: nn.Module, size: float):
    def backward():
        for p in model.parameters():
            p.grad = torch.full_like(p, size)
        return 1.5

    return backward


def test_an_update_clips_all_gradients_as_one_vector_and_obeys_the_shares():
    model = small_model()
    first, *others = model.parameters()
    optimizer = torch.optim.SGD([{"params": [first], "share": 0.5}, {"params": others}])
    before = [p.detach().clone() for p in model.parameters()]
    assert training.update(model, optimizer, gradients_of(model, 3.0), 0.1, clip=1.0) == 1.5
    moved = torch.cat([(b - p).flatten() for b, p in zip(before, model.parameters(), strict=True)])
    length = 1 / math.sqrt(moved.numel())  # of each coordinate of a vector of length 1
    torch.testing.assert_close(moved[: first.numel()], torch.full((first.numel(),), 0.05 * length))
    torch.testing.assert_close(moved[first.numel() :], torch.full((moved.numel() - 12,), 0.1 * length))


@pytest.mark.parametrize("size", [math.inf, math.nan])
def test_a_diverged_run_is_stopped_before_it_spoils_a_weight(size):
    model = small_model()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(
        FloatingPointError, match=f"length of the gradients: expected finite numbers, got {size}"
    ):
        training.update(model, optimizer, gradients_of(model, size), 0.1, clip=1.0)
    assert all(torch.equal(b, p) for b, p in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run_at_its_step(loss):
    """Also where the gradients are still finite; the weights stay those of the step before."""
    model, losses = small_model(), iter([0.5, 0.25, loss, 0.1])
    optimizer, seen = torch.optim.SGD(model.parameters(), lr=0.1), []

    def step():
        gradients_of(model, 1.0)()
        kept[:] = [p.detach().clone() for p in model.parameters()]
        return training.update(
            model, optimizer, lambda: gradients_of(model, 1.0)() and next(losses), 0.1, 1.0
        )

    kept: list[torch.Tensor] = []
    with pytest.raises(FloatingPointError, match=f"^step 3 of 4: loss: expected finite .*, got {loss}; the"):
        training.take_steps(step, 4, [lambda run: seen.append(run.losses)], progress=False)
    assert seen == [0.5, 0.25]
    assert all(torch.equal(k, p) for k, p in zip(kept, model.parameters(), strict=True))


def test_who_returns_no_losses_is_not_asked_for_them():
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert training.update(model, optimizer, lambda: gradients_of(model, 1.0)() and None, 0.1, 1.0) is None


def test_a_clip_below_zero_would_train_uphill_and_is_refused():
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for clip in (-1.0, 0.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="clip: expected a finite number above 0, got"):
            training.update(model, optimizer, gradients_of(model, 1.0), 0.1, clip)
    with pytest.raises(ValueError, match="step: expected 0 to 4, got 5; the run is over"):
        training.schedule(5, 4, 1)


def test_callbacks_see_every_step_in_order_and_may_end_the_run():
    seen = []

    def end_at_three(run):
        run.ended = run.step == 3

    losses = iter("abcdef")
    run = training.take_steps(
        lambda: next(losses),
        6,
        [lambda run: seen.append((run.step, run.losses, run.is_last)), end_at_three],
        first=1,
        progress=False,
    )
    assert seen == [(2, "a", False), (3, "b", False)]
    assert (run.step, run.ended, run.interrupted) == (3, True, False)
    assert (
        training.take_steps(lambda: None, 4, [lambda run: seen.append(run.is_last)], progress=False).step == 4
    )
    assert seen[2:] == [False, False, False, True]


@pytest.mark.parametrize("where", ["step", "callback"])
def test_ctrl_c_finishes_the_step_and_its_callbacks(where):
    seen = []
    before = signal.getsignal(signal.SIGINT)

    def press(*_):
        signal.raise_signal(signal.SIGINT)

    run = training.take_steps(
        press if where == "step" else lambda: None,
        5,
        [lambda run: seen.append(run.interrupted), *([press] if where == "callback" else [])],
        progress=False,
    )
    assert run.interrupted and run.step == 1 and seen == [where == "step"]
    assert signal.getsignal(signal.SIGINT) is before


def test_early_stopping_by_hand():
    """Scores stand still while the loss falls; the best weights are those of the earliest best score."""
    model = small_model()
    stopping = training.EarlyStopping(model, patience=2)
    over = []
    for number, (score, loss) in enumerate([(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.6, 0.9), (0.7, 0.8)]):
        with torch.no_grad():
            model[0].bias.fill_(number)
        over.append(stopping.is_over(number, score, loss))
    assert over == [False, False, False, False, True]
    assert (stopping.best, stopping.best_score) == (1, 0.7)
    stopping.restore()
    assert model[0].bias.eq(1).all()


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.999])
def test_one_changed_byte_of_a_state_is_noticed(tmp_path, place):
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    training.update(model, optimizer, gradients_of(model, 1.0), 0.1, clip=1.0)
    training.save_state(tmp_path / "state", model, optimizer, {"next_step": 1234})
    content = bytearray((tmp_path / "state").read_bytes())
    content[int(place * len(content))] ^= 1
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(ValueError, match="damaged|no whole safetensors file"):
        training.read_state(tmp_path / "state")


def test_notes_of_a_state_have_a_digest_too(tmp_path):
    model = small_model()
    training.save_state(tmp_path / "state", model, torch.optim.AdamW(model.parameters()), {"next_step": 1234})
    content = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(content.replace(b"1234", b"1235"))
    with pytest.raises(ValueError, match="state: expected the SHA-256 .*, got another: it is damaged"):
        training.read_state(tmp_path / "state")


def test_a_state_brings_weights_moments_and_notes_back(tmp_path):
    model, other = small_model(), small_model(1)
    optimizer, fresh = (torch.optim.AdamW(m.parameters(), lr=0.1) for m in (model, other))
    for size in (1.0, -2.0):
        training.update(model, optimizer, gradients_of(model, size), 0.1, clip=1.0)
    training.save_state(tmp_path / "state", model, optimizer, {"next_step": 2, "log": [{"loss": None}]})
    tensors, notes = training.read_state(tmp_path / "state")
    training.restore_state(tensors, other, fresh)
    assert notes == {"next_step": 2, "log": [{"loss": None}]}
    for m, o in ((model, optimizer), (other, fresh)):
        training.update(m, o, gradients_of(m, 0.5), 0.1, clip=1.0)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))


def test_a_device_that_is_not_there_is_refused_in_one_line():
    assert training.usable_device("cpu") == torch.device("cpu")
    for name in ("cuda:99", "gpu"):
        with pytest.raises(ValueError, match=f"^device: expected one that .* got '{name}'; ") as refused:
            training.usable_device(name)
        assert "\n" not in str(refused.value)
