"""How two sides are timed fairly, what the processor could do at best, and how a result is noted down.

One process, the same threads, tensors and initial weights on both sides; each goal asserts first that both
compute the same. Then both are warmed up, and timed in blocks A B B A: what drifts slowly (heat, another
program) meets both alike. A block gives one ratio; the result is the median over blocks with a bootstrap 95 %
interval, and a goal counts as met only if the less favourable end of that interval reaches it.

    ratio_row("what", 3.0, abba(ours, peer)) -> {"goal": 3.0, "median": .., "low": .., "high": .., "met": ..}
"""

import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import torch
from tqdm.auto import tqdm

from course_utils.bert import IGNORE_INDEX, BertConfig
from course_utils.machine import cores
from course_utils.profiler import bandwidth, peak_flops

THREADS = 2
BLOCKS = 20
WARM_UP = 5  # calls of each side
SHORTEST = 0.3  # seconds that the quicker side spends in a block
TICK = 0.01  # seconds: processor time is counted in steps of it
QUIET = 0.1  # of the cores' time: while other work takes more, no row is judged
BUSY = ("user", "nice", "system", "irq", "softirq", "steal")  # what psutil calls the times that are not idle


# ------------------------------------------------------------------------------------------ timing


def seconds(call: Callable[[], object], calls: int) -> float:
    """Time of `calls` calls in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


def calls_for(shortest: float, *sides: Callable[[], object]) -> int:
    """How often to call so that each side takes at least `shortest` seconds: a power of two."""
    calls = 1
    while min(seconds(side, calls) for side in sides) < shortest:
        calls *= 2
    return calls


def abba(
    ours: Callable[[], object],
    peer: Callable[[], object],
    blocks: int = BLOCKS,
    warm_up: int = WARM_UP,
    shortest: float = SHORTEST,
) -> np.ndarray:
    """Seconds a call of ours and of the peer in each block: (blocks, 2)."""
    for side in (ours, peer):
        seconds(side, warm_up)
    calls = calls_for(shortest / 2, ours, peer)  # a side has two turns in a block
    times = []
    for _ in tqdm(range(blocks), desc="blocks A B B A", leave=False):
        a1, b1, b2, a2 = (seconds(side, calls) for side in (ours, peer, peer, ours))
        times.append(((a1 + a2) / (2 * calls), (b1 + b2) / (2 * calls)))
    return np.array(times)


def repeat(call: Callable[[], object], blocks: int = BLOCKS) -> np.ndarray:
    """Seconds a call in each block of one side alone: (blocks,)."""
    seconds(call, WARM_UP)
    calls = calls_for(SHORTEST, call)
    return np.array([seconds(call, calls) / calls for _ in tqdm(range(blocks), desc="blocks", leave=False)])


# ------------------------------------------------------------------------------------------ results


def median_interval(values: np.ndarray, draws: int = 10_000) -> dict[str, float]:
    """Median and its 95 % interval: the middle of the medians of samples drawn with replacement.

    Source: Efron 1979, "Bootstrap Methods: Another Look at the Jackknife".
    """
    values = np.asarray(values, dtype=float)
    samples = np.random.default_rng(0).choice(values, size=(draws, len(values)))
    low, high = np.percentile(np.median(samples, axis=1), [2.5, 97.5])
    return {"median": float(np.median(values)), "low": float(low), "high": float(high)}


def row(
    what: str,
    goal: float,
    interval: dict[str, float],
    unit: str,
    at_most: bool = False,
    why: str = "",
    **details,
) -> dict:
    """One line of the results.

    Args:
        what: the thing measured, in words.
        goal: the value to reach, or with `at_most` the value not to exceed.
        interval: the estimate (under "median", "mean" or "count") and the ends "low" and "high".
        unit: "x", "share", "s", "ms", "nats", ... (`report.shown` writes them).
        why: what a measurement says of the distance to the goal; the page has it where the goal is missed.
        details: further numbers for the page.
    """
    met = interval["high"] <= goal if at_most else interval["low"] >= goal
    sense = "at most" if at_most else "at least"
    return {
        "what": what,
        "goal": goal,
        "sense": sense,
        "unit": unit,
        **interval,
        "met": bool(met),
        "why": why,
        "details": details,
    }


def ratio_row(what: str, goal: float, times: np.ndarray, **details) -> dict:
    """The row of a comparison: how many times as fast ours is, from the times that `abba` gives."""
    return row(what, goal, median_interval(times[:, 1] / times[:, 0]), "x", blocks=len(times), **details)


# ------------------------------------------------------------------------------------------ other work


class Others:
    """How much of the machine other programs take while ours measures.

    with Others() as others:
        ...
    others.share   ->   0.03, of the time of all cores
    """

    def __enter__(self):
        self.share = float("nan")
        self._start = self._now()
        return self

    def __exit__(self, *_):
        wall, busy, own = (end - start for end, start in zip(self._now(), self._start, strict=True))
        # The system counts in ticks of a hundredth of a second, so a quiet machine can come out below 0.
        self.share = max(0.0, (busy - own) / (wall * psutil.cpu_count()))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Seconds on the clock, seconds that all cores were busy, seconds of these that were ours."""
        times = psutil.cpu_times()
        busy = sum(getattr(times, name, 0.0) for name in BUSY)
        own = psutil.Process().cpu_times()
        ours = own.user + own.system + own.children_user + own.children_system
        return time.perf_counter(), busy, ours


def judged(rows: dict[str, dict], others: float) -> dict[str, dict]:
    """The rows with the share of the cores that other work took; beyond QUIET they are not judged."""
    verdict = {"met": None} if others > QUIET else {}
    return {key: row | verdict | {"other_work": others} for key, row in rows.items()}


# ------------------------------------------------------------------------------------------ fresh memory


def fresh_memory(call: Callable[[], object], calls: int = 20) -> str:
    """In words: how many pages of memory a call is given anew, and the system's share of its processor time.

    Large tensors go back to the system when they are freed, and come from it again, page by page, each page
    at its first touch.
    """
    process = psutil.Process()
    pages, before = page_faults(), process.cpu_times()
    seconds(call, calls)
    pages, after = (page_faults() - pages) / calls, process.cpu_times()
    own, system = after.user - before.user, after.system - before.system
    return (
        f"in each step the system hands out {pages:,.0f} pages of memory anew, "
        f"and takes {system / max(own + system, TICK):.0%} of the processor time"
    )


def page_faults() -> int:
    """How many pages this process has been given since it began."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().num_page_faults
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


# ------------------------------------------------------------------------------------------ the machine


class Product(NamedTuple):
    """`times` products of an (m, k) and a (k, n) matrix, of one kind in a step."""

    name: str
    times: int
    m: int
    k: int
    n: int

    @property
    def flops(self) -> int:
        return 2 * self.times * self.m * self.k * self.n


def step_products(config: BertConfig, labels: torch.Tensor) -> list[Product]:
    """The matrix products in the forward pass of one pretraining step, where only what is read is computed.

    With s tokens a row and hidden size h, each layer but the last projects all tokens four times and takes
    them through the feed-forward network. In the last layer all tokens offer keys and values, q of each row
    ask, and only what is read goes on: the selected positions and [CLS].

    Args:
        config: sizes of the model.
        labels: integers `(batch, seq_len)`, -100 where nothing is selected.
    """
    rows, s = labels.shape
    h, f, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    selected = labels != IGNORE_INDEX
    read = selected.clone()
    read[:, 0] = True
    queries = int(read.sum(dim=1).max())  # rows are filled up to the one that asks most
    read, selected, layers = int(read.sum()), int(selected.sum()), config.num_hidden_layers - 1
    return [
        Product("query, key, value, output", 4 * layers, rows * s, h, h),
        Product("attention scores", layers * rows * heads, s, h // heads, s),
        Product("attention context", layers * rows * heads, s, s, h // heads),
        Product("feed-forward, up", layers, rows * s, h, f),
        Product("feed-forward, down", layers, rows * s, f, h),
        Product("key and value, last layer", 2, rows * s, h, h),
        Product("query, last layer", 1, rows * queries, h, h),
        Product("attention scores, last layer", rows * heads, queries, h // heads, s),
        Product("attention context, last layer", rows * heads, queries, s, h // heads),
        Product("output, last layer", 1, read, h, h),
        Product("feed-forward, last layer, up", 1, read, h, f),
        Product("feed-forward, last layer, down", 1, read, f, h),
        Product("MLM head, transform", 1, selected, h, h),
        Product("MLM head, scores", 1, selected, h, config.vocab_size),
        Product("pooler", 1, rows, h, h),
        Product("next sentence head", 1, rows, h, 2),
    ]


def step_flops(config: BertConfig, labels: torch.Tensor) -> int:
    """Floating-point operations of one pretraining step, forward and backward, in all matrix products.

    A product of (m, k) and (k, n) takes 2 m k n, and its backward pass two such products more. Softmax, GELU,
    LayerNorm and the optimiser count as nothing, as is usual. The arguments are those of `step_products`.
    """
    return 3 * sum(product.flops for product in step_products(config, labels))


def processor() -> str:
    """The name of the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def by_processor(intel: float, amd: float) -> float:
    """The goal for this machine: the library beside ours draws unequal profit from the two makers' units."""
    return amd if "AMD" in processor() else intel


def machine() -> dict:
    """What the results depend on: processor, threads, versions, and the two limits of the roofline."""
    peak, bytes_per_second = peak_flops(), bandwidth()
    return {
        "processor": processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "gensim": version("gensim"),
        "peak_gflops": peak / 1e9,
        "bandwidth_gb_per_second": bytes_per_second / 1e9,
        "ridge_flops_per_byte": peak / bytes_per_second,
    }
