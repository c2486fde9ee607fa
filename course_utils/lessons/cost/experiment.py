"""How long one layer of BERT-base takes on this processor, and its operations, beside what they count.

One thread, so that operations are compared and not the ways of sharing them out; each time is that of the
quickest of several calls. The result is stored beside this file, and notebook 13 shows it next to what it
measures live: times are facts about one machine on one day. To make it again (half a minute):

    python -m course_utils.lessons.cost.experiment
"""

import json
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from course_utils import commands
from course_utils.bert import BertConfig, BertLayer
from course_utils.classroom.experiments import Options
from course_utils.files import write_text
from course_utils.profiler import bandwidth, best_time, peak_flops, profile

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.cost.experiment"
LENGTHS = (64, 128, 256, 512)
TOKENS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
BASE = BertConfig.named("base")


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes on one core inside, and as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)


def states(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Random numbers that stand for hidden states."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def layer_times(lengths: tuple[int, ...] = LENGTHS, times: int = 5) -> dict[str, list[float]]:
    """Seconds of a whole layer and of its attention products alone, for one row of each length."""
    layer = BertLayer(BASE).eval()
    whole, attention = [], []
    heads, head_size = BASE.num_attention_heads, BASE.hidden_size // BASE.num_attention_heads
    for seq_len in lengths:
        x, q = states(1, seq_len, BASE.hidden_size), states(1, heads, seq_len, head_size)
        whole.append(best_time(partial(layer, x), times=times))
        attention.append(best_time(partial(F.scaled_dot_product_attention, q, q, q), times=times))
    return {"layer": whole, "attention": attention}


def operations() -> dict[str, Callable[[], object]]:
    """Calls of the operations of one layer on one row of 128 tokens, named as in the profiler."""
    x, wide = states(1, 128, BASE.hidden_size), states(1, 128, BASE.intermediate_size)
    linear = nn.Linear(BASE.hidden_size, BASE.intermediate_size)
    norm = nn.LayerNorm(BASE.hidden_size)
    return {
        "Linear": partial(linear, x),
        "add": partial(torch.add, x, x),
        "LayerNorm": partial(norm, x),
        "GELU": partial(F.gelu, wide),
    }


def work() -> dict[str, tuple[int, int]]:
    """FLOPs of each of these operations, and the bytes that it moves if no cache helps."""
    layer = [op for op in profile(BASE, 1, 128).operations if op.module.startswith("encoder.layer.0.")]
    wide = next(op for op in layer if op.module.endswith("intermediate.dense"))
    others = {op.kind: op for op in layer if op.kind in ("add", "LayerNorm", "GELU")}
    found = {"Linear": wide, **others}
    return {kind: (found[kind].flops_by("all"), found[kind].traffic_bytes) for kind in operations()}


def token_times(tokens: tuple[int, ...] = TOKENS, times: int = 5) -> list[float]:
    """Seconds of the wide Linear layer for so many tokens at once."""
    linear = nn.Linear(BASE.hidden_size, BASE.intermediate_size)
    return [best_time(partial(linear, states(count, BASE.hidden_size)), times=times) for count in tokens]


def dtype_times(times: int = 5) -> dict[str, float]:
    """Seconds of the wide Linear layer on 128 tokens in three formats of numbers."""
    found = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        linear = nn.Linear(BASE.hidden_size, BASE.intermediate_size).to(dtype)
        found[name] = best_time(partial(linear, states(128, BASE.hidden_size, dtype=dtype)), times=times)
    return found


def measure(times: int = 5) -> dict:
    """Everything above, each the best of `times` calls (small ones: of ten times as many), and the machine's
    limits.
    """
    with one_thread():
        return {
            "machine": {"processor": platform.machine(), "system": platform.system(), "threads": 1},
            "peak_flops": peak_flops((512, 1024), times=10 * times),
            "bytes_per_second": bandwidth(times=2 * times),
            "lengths": list(LENGTHS),
            **layer_times(times=times),
            "operations": {name: best_time(call, times=10 * times) for name, call in operations().items()},
            "tokens": list(TOKENS),
            "wide_linear": token_times(times=times),
            "dtypes": dtype_times(times=times),
        }


def stored() -> dict:
    """The measurement that stands beside this file."""
    return json.loads(RESULT.read_text(encoding="utf-8"))


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    result = {"command": COMMAND, **measure(times=40)}
    write_text(options.output, json.dumps(result, indent=1) + "\n")  # times are shorter than four decimals
    return 0


if __name__ == "__main__":
    commands.run(main)
