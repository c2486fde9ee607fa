"""P1 and P5: one training step (MLM + NSP), against the library's, and against what the processor could do.

A step is: gradients to zero, forward, backward, clip to norm 1, fused AdamW. Both sides take the same step on
the same batch from the same weights; loss and gradients are compared before anything is timed.

    python -m benchmarks P1 P5
"""

import copy
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch

from benchmarks import protocol
from course_utils.bert import IGNORE_INDEX, BertConfig, BertForPreTraining, load_weights
from course_utils.bert.losses import PretrainingLosses, pretraining_losses
from course_utils.profiler import peak_flops

BATCH, SEQ_LEN, VOCAB_SIZE, RATE = 32, 64, 8192, 0.15
MASK_ID, FIRST_ORDINARY_ID = 4, 5  # ids below 5 stand for special tokens, 0 among them for padding
PART_BLOCKS = 5  # of each part of a step, where the whole has `protocol.BLOCKS`
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-4
# hidden_size -> share of the best matrix product, of the operations that are done
UTILISATION_GOALS = {
    128: protocol.by_processor(intel=0.40, amd=0.65),
    256: protocol.by_processor(intel=0.48, amd=0.78),
}


def make_config(hidden_size: int) -> BertConfig:
    """Two layers, heads of 64, no dropout: with it, equal weights would not give equal losses."""
    return BertConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=hidden_size // 64,
        intermediate_size=4 * hidden_size,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def make_batch(seed: int = 0) -> dict[str, torch.Tensor]:
    """Full rows of random pieces, two segments a row, 15 % selected: the keyword arguments of both models."""
    generator = torch.Generator().manual_seed(seed)
    shape = (BATCH, SEQ_LEN)
    pieces = torch.randint(FIRST_ORDINARY_ID, VOCAB_SIZE, shape, generator=generator)
    selected = torch.rand(shape, generator=generator) < RATE
    return {
        "input_ids": pieces.masked_fill(selected, MASK_ID),
        "token_type_ids": (torch.arange(SEQ_LEN) >= SEQ_LEN // 2).long().expand(shape).contiguous(),
        "labels": pieces.masked_fill(~selected, IGNORE_INDEX),
        "next_sentence_label": torch.randint(2, (BATCH,), generator=generator),
    }


def make_pair(config: BertConfig, seed: int = 0):
    """Our model and the library's, with the same weights."""
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        library = transformers.BertForPreTraining(transformers.BertConfig(**asdict(config)))
        ours = BertForPreTraining(config)
    load_weights(ours, library.state_dict())
    return ours, library


class Trainer:
    """A model, its optimiser and one batch; calling it takes one step.

    `losses` is what is called for the losses: the model itself unless another of its methods is given.
    """

    def __init__(
        self, model: torch.nn.Module, batch: dict[str, torch.Tensor], losses: Callable | None = None
    ):
        self.model, self.batch, self.losses = model.train(), batch, losses or model
        # So small a rate leaves the work of a step as it is and the weights near their start.
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.98), fused=True)

    def gradients(self) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss, and the gradient of every parameter by name."""
        self.optimizer.zero_grad()
        loss = self.losses(**self.batch).loss
        loss.backward()
        return loss.detach(), {name: p.grad for name, p in self.model.named_parameters()}

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.losses(**self.batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def assert_equal_results(ours: Trainer, library: Trainer) -> dict[str, float]:
    """Losses agree to 1e-5 and gradients to 1e-4, or AssertionError. Returns the largest differences."""
    (loss, gradients), (library_loss, library_gradients) = ours.gradients(), library.gradients()
    assert gradients.keys() == library_gradients.keys(), "the two models have different parameters"
    loss_difference = abs(float(loss - library_loss))
    gradient_difference = max(
        float((g - library_gradients[name]).abs().max()) for name, g in gradients.items()
    )
    assert loss_difference <= LOSS_TOLERANCE, f"the losses differ by {loss_difference:.1e}"
    assert gradient_difference <= GRADIENT_TOLERANCE, f"the gradients differ by {gradient_difference:.1e}"
    return {"loss_difference": loss_difference, "gradient_difference": gradient_difference}


def whole_last_layer(model: BertForPreTraining) -> Callable:
    """The losses with the MLM head on selected positions alone, and the last layer on all of them."""

    def losses(labels: torch.Tensor, next_sentence_label: torch.Tensor, **inputs) -> PretrainingLosses:
        output = model.bert(**inputs)
        selected = labels != IGNORE_INDEX
        scores = model.cls.predictions(output.last_hidden_state[selected])
        verdicts = model.cls.seq_relationship(output.pooler_output)
        return pretraining_losses(scores, labels[selected], verdicts, next_sentence_label)

    return losses


def speed(blocks: int = protocol.BLOCKS) -> dict[str, dict]:
    """P1: tokens a second as a multiple of the library's: computing what is read, and computing everything.

    And what the last layer alone contributes, against the same step with the whole last layer.
    """
    batch, rows = make_batch(), {}
    best = protocol.by_processor(intel=3.6, amd=4.0)
    variants = [
        ("P1", best, "training step, computing only what is read, against transformers"),
        ("P1_all_positions", 1.2, "training step, MLM head and last layer everywhere, against transformers"),
        ("P1_last_layer", 1.2, "training step, last layer where it is read, against the whole last layer"),
    ]
    for key, goal, what in variants:
        model, library = make_pair(make_config(128))
        ours = Trainer(model, batch, None if key == "P1_all_positions" else model.losses)
        name, peer = "transformers", Trainer(library, batch)
        if key == "P1_last_layer":
            name, twin = "whole last layer", copy.deepcopy(model)
            peer = Trainer(twin, batch, whole_last_layer(twin))
        differences = assert_equal_results(ours, peer)
        times = protocol.abba(ours, peer, blocks)
        our_speed, peer_speed = BATCH * SEQ_LEN / np.median(times, axis=0)
        tokens = {"ours": float(our_speed), name: float(peer_speed)}
        why = f"ours: {protocol.fresh_memory(ours)}; {name}: {protocol.fresh_memory(peer)}."
        rows[key] = protocol.ratio_row(what, goal, times, why=why, tokens_per_second=tokens, **differences)
    return rows


def product_call(product: protocol.Product) -> Callable[[], object]:
    """A call that takes one product as in a step, forward and backward, on numbers of its own.

    Forward is `x @ w.T`, as a Linear layer stores its weights, and so is `query @ key.T`; backward are
    `gradient @ w` and `gradient.T @ x`. Everything is written to memory that is there already.
    """
    _, times, m, k, n = product
    batch = (times,) if "attention" in product.name else ()
    generator = torch.Generator().manual_seed(0)
    x, w, gradient = (torch.rand(*batch, *shape, generator=generator) for shape in ((m, k), (n, k), (m, n)))
    outs = torch.empty_like(gradient), torch.empty_like(x), torch.empty_like(w)
    repeats = 1 if batch else times

    def call() -> None:
        for _ in range(repeats):
            torch.matmul(x, w.mT, out=outs[0])
            torch.matmul(gradient, w, out=outs[1])
            torch.matmul(gradient.mT, x, out=outs[2])

    return call


def where_the_time_goes(step: Trainer, products: list[protocol.Product], blocks: int) -> dict[str, float]:
    """Milliseconds of the parts of a step, each by itself: matrix products, and clipping with AdamW.

    What a step takes beyond the two is the rest: softmax, GELU, LayerNorm, embeddings, losses, and whatever
    stands between two products.
    """

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(step.model.parameters(), 1.0)
        step.optimizer.step()

    calls = [product_call(product) for product in products]
    alone = sum(float(np.median(protocol.repeat(call, blocks))) for call in calls)
    return {"products": 1000 * alone, "update": 1000 * float(np.median(protocol.repeat(update, blocks)))}


def utilisation(blocks: int = protocol.BLOCKS) -> dict[str, dict]:
    """P5: floating-point operations a second of our step, as a share of the best matrix product.

    The peak is measured before and after, and the higher one counts: a peak that another program pressed down
    would flatter the step.
    """
    batch, rows = make_batch(), {}
    for hidden_size, goal in UTILISATION_GOALS.items():
        config = make_config(hidden_size)
        ours, library = make_pair(config)
        step = Trainer(ours, batch, ours.losses)
        assert_equal_results(step, Trainer(library, batch))
        flops = protocol.step_flops(config, batch["labels"])
        peak_before = peak_flops()
        times = protocol.repeat(step, blocks)
        peak = max(peak_before, peak_flops())
        parts = where_the_time_goes(step, protocol.step_products(config, batch["labels"]), PART_BLOCKS)
        whole = float(1000 * np.median(times))
        best = flops / (parts["products"] / 1000) / peak
        why = (
            f"of {whole:.1f} ms, the matrix products take {parts['products']:.1f} ms when each is timed by "
            f"itself, {best:.0%} of the peak: a step of nothing else would come no higher. Clipping and "
            f"AdamW take {parts['update']:.1f} ms, softmax, GELU, LayerNorm and all the rest "
            f"{whole - sum(parts.values()):.1f} ms; {protocol.fresh_memory(step)}."
        )
        rows["P5" if hidden_size == 128 else f"P5_hidden_{hidden_size}"] = protocol.row(
            f"model-FLOP utilisation of the training step, hidden size {hidden_size}",
            goal,
            protocol.median_interval(flops / times / peak),
            "share",
            why=why,
            blocks=blocks,
            step_gflop=flops / 1e9,
            milliseconds={
                "step": whole,
                "matrix_products": parts["products"],
                "clip_and_adamw": parts["update"],
            },
            peak_gflops=peak / 1e9,
        )
    return rows
