"""How long a training step takes on one or many GPUs, by formula: arithmetic, messages and memory.

    seconds of a step = FLOPs / (GPUs x peak x utilisation) + seconds of the all-reduce

The arithmetic is counted (`course_utils.profiler`), the peaks are those of the makers' data sheets. The
utilisation and the network are assumptions, and stand here by name. Nothing here was run on a GPU.
"""

from dataclasses import dataclass

from course_utils.bert import BertConfig
from course_utils.hints import Count, Natural, NotNegative, Positive, hold_to_hints
from course_utils.profiler import closed_form

UTILISATION = 0.4  # an assumption: the share of the peak that a well-made training reaches
GPUS_A_HOST = 8
NETWORK = 25e9  # an assumption: bytes a second that each GPU sends to other hosts (200 Gbit/s)
GRADIENT_BYTES = 2  # a gradient is sent in half precision


@dataclass(frozen=True)
class Gpu:
    """A graphics card by its data sheet."""

    peak: float  # FLOPs a second of dense half-precision matrix products
    memory: float  # bytes
    link: float  # bytes a second that it sends to others in its host; data sheets add what it receives


GPUS = {
    "V100, 32 GB (2018)": Gpu(125e12, 32e9, 150e9),
    "A100, 80 GB (2020)": Gpu(312e12, 80e9, 300e9),
    "H100 SXM (2022)": Gpu(989e12, 80e9, 450e9),
}


def step_flops(config: BertConfig, rows: Count, seq_len: Count, selected: Natural) -> int:
    """FLOPs of all matrix products of one pretraining step, forward and backward.

    Args:
        rows, seq_len: of the batch, without padding.
        selected: positions of the batch at which the MLM head runs.
    """
    counted = closed_form(config, rows, seq_len)  # encoder and pooler
    h = config.hidden_size
    heads = selected * (h**2 + h * config.vocab_size) + 2 * rows * h
    macs = counted["linear_macs"] + counted["attention_macs"] + heads
    return 3 * 2 * macs  # a backward pass has two products for each one of the forward pass


def ring_bytes(processes: Count, message: NotNegative) -> float:
    """Bytes that each process sends in a ring all-reduce of a message of so many bytes.

    The message is cut into as many pieces as there are processes; in 2 (processes - 1) rounds each
    process sends one piece on.
    """
    return 2 * (processes - 1) * message / processes


def all_reduce_seconds(
    gpus: Count, message: NotNegative, link: Positive, network: Positive = NETWORK
) -> float:
    """Least time to add up a message over all GPUs: rings inside each host, then between hosts.

    Inside a host every GPU ends up with the host's sum of its own share, and only that share goes over
    the network. Waiting times before a message starts (latency) are left out.

    Args:
        gpus: in hosts of `GPUS_A_HOST`; at least one host full, or all in one.
        message: bytes of the gradient.
        link, network: bytes a second that a GPU sends to its own host and to others.
    """
    inside = min(gpus, GPUS_A_HOST)
    hosts = -(-gpus // GPUS_A_HOST)
    return ring_bytes(inside, message) / link + ring_bytes(hosts, message / inside) / network


def step_seconds(
    config: BertConfig,
    rows: Count,
    seq_len: Count,
    parameters: Count,
    gpu: Gpu,
    gpus: Count,
    utilisation: Positive = UTILISATION,
) -> dict[str, float]:
    """Seconds of one step by part: "arithmetic" and "all-reduce", one after the other.

    Args:
        rows: of the whole batch, shared by all GPUs.
        parameters: of the model; each has a gradient that is sent.
    """
    flops = step_flops(config, rows, seq_len, round(0.15 * rows * seq_len))
    return {
        "arithmetic": flops / (gpus * gpu.peak * utilisation),
        "all-reduce": all_reduce_seconds(gpus, GRADIENT_BYTES * parameters, gpu.link),
    }


hold_to_hints(globals())
