"""Does the count of products come true? Local attention and unpadded batches, timed beside it.

"blocks": one local attention of two heads, in three ways: all pairs, all pairs under a mask, and blocks.

"padding": a forward pass over 64 texts in batches of eight: padded as they come, padded after sorting by
length, and without padding; for three kinds of lengths.

Times differ from run to run, so the result is stored beside this file, and notebook 16 shows it. What is
counted is the time that the processor worked for this process, on one thread, so that other programs disturb
little; every way is run in turn, and the median of all rounds is kept. On your own machine (about a minute):

    python -m course_utils.lessons.modern.timing --output mine.json
"""

import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_utils import commands, masks
from course_utils.classroom.experiments import Options, finish, read
from course_utils.modern_bert import (
    ModernBertConfig,
    ModernBertModel,
    attention_in_blocks,
    matmul_flops,
    neighbourhood,
)

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.modern.timing"
TOKENS, ROUNDS = (256, 1024, 4096), 9
WINDOW = 128
BATCH = 8  # texts
SIZES = {
    "vocab_size": 1000, "hidden_size": 256, "intermediate_size": 384, "num_hidden_layers": 3,
    "num_attention_heads": 4, "pad_token_id": 0,
}  # fmt: skip


def counted(function: Callable[[Tensor], Tensor], states: Tensor) -> int:
    """FLOPs of the products that PyTorch sees. Its fast attention is one operation, so the slow form is asked
    for.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        function(states)
    return counter.get_total_flops()


def random_states(seq_len: int) -> Tensor:
    """Queries, keys and values of two heads of 32: (3, 1, 2, seq_len, 32)."""
    return torch.randn(3, 1, 2, seq_len, 32, generator=torch.Generator().manual_seed(4))


def dense(states: Tensor) -> Tensor:
    """Everybody attends to everybody."""
    return F.scaled_dot_product_attention(*states)


@cache
def window_mask(seq_len: int) -> Tensor:
    """Built once, outside what is timed: all layers of a model can share it."""
    return neighbourhood(seq_len, WINDOW)


def masked(states: Tensor) -> Tensor:
    """The window as a mask over all pairs."""
    return F.scaled_dot_product_attention(*states, attn_mask=window_mask(states.shape[-2]))


def in_blocks(states: Tensor) -> Tensor:
    """The window by blocks: each meets itself and its two neighbours."""
    return attention_in_blocks(*states, reach=WINDOW // 2)


def kinds_of_lengths() -> dict[str, list[int]]:
    """64 texts of three kinds. The third is drawn from a log-normal distribution."""
    draw = np.random.default_rng(0)
    even = draw.integers(1, 257, 64).tolist()
    uneven = np.clip(draw.lognormal(3.5, 1.0, 64), 4, 1024).round().astype(int)
    return {
        "all of 128 tokens": [128] * 64,
        "1 to 256, all equally often": even,
        "many short, few long": uneven.tolist(),
    }


def batches(lengths: list[int]) -> list[list[int]]:
    """Eight texts at a time, in the order given."""
    return [lengths[i : i + BATCH] for i in range(0, len(lengths), BATCH)]


def ways(lengths: list[int]) -> dict[str, list[int]]:
    """How long the rows are: padded as they come, padded after sorting, unpadded."""

    def padded(batch: list[int]) -> list[int]:
        return [max(batch)] * len(batch)

    return {
        "as they come": [row for batch in batches(lengths) for row in padded(batch)],
        "sorted": [row for batch in batches(sorted(lengths)) for row in padded(batch)],
        "unpadded": lengths,
    }


def predicted(config: ModernBertConfig, lengths: list[int]) -> dict[str, float]:
    """The products of each way, as a share of those of padded batches as they come."""
    work = {way: matmul_flops(config, rows) for way, rows in ways(lengths).items()}
    return {way: flops / work["as they come"] for way, flops in work.items()}


@torch.no_grad()
def pass_over(model: ModernBertModel, lengths: list[int], way: str) -> None:
    """One forward pass over all texts, eight at a time."""
    for batch in batches(sorted(lengths) if way == "sorted" else lengths):
        if way == "unpadded":
            model.forward_packed(torch.full((sum(batch),), 20), batch)
        else:
            model(torch.full((len(batch), max(batch)), 20), masks.padding_mask(batch, max(batch)))


def medians(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of the processor for each, all in turn, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            begun = time.process_time()
            run()
            times[name].append(1000 * (time.process_time() - begun))
    return {name: median(found[1:]) for name, found in times.items()}


def measure(rounds: int = ROUNDS) -> dict:
    """Both tables, on this machine, with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        blocks = {}
        for n in TOKENS:
            states = random_states(n)
            three = {each.__name__: partial(each, states) for each in (dense, masked, in_blocks)}
            blocks[str(n)] = medians(three, rounds)
        torch.manual_seed(0)
        model, padding = ModernBertModel(ModernBertConfig(**SIZES)).eval(), {}
        for kind, lengths in kinds_of_lengths().items():
            runs = {way: partial(pass_over, model, lengths, way) for way in ways(lengths)}
            padding[kind] = {
                "milliseconds": medians(runs, rounds),
                "predicted": predicted(model.config, lengths),
            }
    finally:
        torch.set_num_threads(threads)
    return {"blocks": blocks, "padding": padding}


def load() -> dict:
    """The stored result."""
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    finish(options, {"command": COMMAND, "rounds": ROUNDS, **measure()})
    return 0


if __name__ == "__main__":
    commands.run(main)
