"""The panels of notebook 13: what the sizes of a BERT cost, and the roofline of a machine."""

import base64
import functools
import html

import ipywidgets as ipw

from course_utils.bert import NAMED_SIZES, BertConfig
from course_utils.classroom.controls import message, panel, table, wide
from course_utils.lessons.cost import experiment
from course_utils.profiler import Profile, profile


def cost_calculator(peak: float, bandwidth: float) -> ipw.VBox:
    """Move the sizes of a BERT and of its batch; read parameters, FLOPs, memory and the least time, among the
    known sizes.

    Args:
        peak, bandwidth: FLOPs and bytes a second of the machine for which the time is predicted.
    """
    size = wide(30, 8)

    def choice(name: str, options: list[int], value: int) -> ipw.SelectionSlider:
        return ipw.SelectionSlider(options=options, value=value, description=name, **size)

    return panel(
        lambda layers, hidden, heads, seq_len, batch: cost_html(
            layers, hidden, heads, seq_len, batch, peak, bandwidth
        ),
        layers=ipw.IntSlider(value=12, min=1, max=24, description="Layers", **size),
        hidden=choice("Hidden size", [128, 256, 384, 512, 768, 1024], 768),
        heads=choice("Heads", [1, 2, 4, 6, 8, 12, 16], 12),
        seq_len=choice("Tokens a row", [1, 16, 32, 64, 128, 256, 512], 128),
        batch=choice("Rows", [1, 2, 4, 8, 16, 32, 64], 1),
    )


def cost_html(
    layers: int, hidden: int, heads: int, seq_len: int, batch: int, peak: float, bandwidth: float
) -> str:
    """The chosen model as a row of a table between the published sizes, in the order of their FLOPs."""
    if hidden % heads:
        raise ValueError(
            f"Hidden size {hidden} is no multiple of {heads} heads, and the heads share it equally."
        )
    own = BertConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * hidden
    )
    sizes = {name: BertConfig.named(name) for name in NAMED_SIZES} | {"your model": own}
    costs = {name: cost_of(config, batch, seq_len, peak, bandwidth) for name, config in sizes.items()}
    rows = [
        [
            "→ " + name if name == "your model" else name,
            f"{cost['params'] / 1e6:.1f}",
            f"{cost['flops'] / 1e9:.2f}",
            f"{cost['weights'] / 1e6:.0f}",
            f"{1000 * cost['seconds']:.1f}",
        ]
        for name, cost in sorted(costs.items(), key=lambda item: (item[1]["flops"], item[0]))
    ]
    heads_of_table = ["model", "million parameters", "GFLOP", "weights, MB", "by the roofline, ms"]
    caption = f"{batch} x {seq_len} tokens, fp32, forward, in the order of their FLOPs"
    training = training_bytes(own, batch, seq_len)
    said = (
        f"Your model has {heads} heads of {hidden // heads} numbers each; how many there are changes no cost"
        f" above. Training it: {training / 1e6:,.0f} MB for weights, gradients, Adam's moments and kept"
        " activations."
    )
    return table(heads_of_table, rows, caption) + message(said)


def cost_of(config: BertConfig, batch: int, seq_len: int, peak: float, bandwidth: float) -> dict[str, float]:
    """Parameters, forward FLOPs, bytes of the weights, and least time of a forward pass, for any depth.

    All layers cost the same: the profile of one layer, times their number, and of what stands around them.
    """
    found = _profile(
        config.hidden_size, config.num_attention_heads, config.intermediate_size, 1, batch, seq_len
    )
    layer = next(row for row in found.rows if row.name == "encoder.layer.0")
    more = config.num_hidden_layers - 1
    seconds = 0.0
    for operation in found.operations:
        times = config.num_hidden_layers if operation.module.startswith(layer.name) else 1
        seconds += times * max(operation.flops_by("all") / peak, operation.traffic_bytes / bandwidth)
    return {
        "params": found.totals.params + more * layer.params,
        "flops": found.totals.flops + more * layer.flops,
        "weights": found.totals.weight_bytes + more * layer.weight_bytes,
        "seconds": seconds,
    }


def training_bytes(config: BertConfig, batch: int, seq_len: int) -> int:
    """What a training step holds at once, for any depth, from the profiles of one and of two layers."""
    sizes = config.hidden_size, config.num_attention_heads, config.intermediate_size
    one, two = (sum(_profile(*sizes, layers, batch, seq_len, True).memory.values()) for layers in (1, 2))
    return one + (config.num_hidden_layers - 1) * (two - one)


@functools.lru_cache(maxsize=512)
def _profile(
    hidden: int, heads: int, wide: int, layers: int, batch: int, seq_len: int, training: bool = False
) -> Profile:
    config = BertConfig(
        hidden_size=hidden, num_attention_heads=heads, intermediate_size=wide, num_hidden_layers=layers
    )
    return profile(config, batch, seq_len, training=training)


def roofline_view(machines: dict[str, dict]) -> ipw.VBox:
    """Choose a machine and see its roofline, with the operations of a layer of BERT-base on it.

    Args:
        machines: for each name what `experiment.measure` gives.
    """
    choice = ipw.Dropdown(options=list(machines), description="Machine")
    pages = {
        name: roofline_html(measured, name) for name, measured in machines.items()
    }  # a picture takes a while
    return panel(lambda machine: pages[machine], machine=choice)


def roofline_html(measured: dict, name: str) -> str:
    """The roofline as a picture, and the times behind it as a table."""
    from course_utils.classroom.plots import roofline  # here, since it brings in matplotlib

    work = experiment.work()
    points = {
        kind: (flops / moved, flops / measured["operations"][kind]) for kind, (flops, moved) in work.items()
    }
    picture = roofline(points, measured["peak_flops"], measured["bytes_per_second"], name)
    png = base64.b64encode(picture.png()).decode()
    rows = [
        [kind, f"{flops / 1e6:.1f}", f"{moved / 1e6:.2f}", f"{1e6 * measured['operations'][kind]:,.0f}"]
        for kind, (flops, moved) in work.items()
    ]
    rows += [
        [f"Linear in {dtype}", f"{work['Linear'][0] / 1e6:.1f}", "", f"{1e6 * seconds:,.0f}"]
        for dtype, seconds in measured["dtypes"].items()
    ]
    image = f'<img alt="{html.escape(picture.alt)}" src="data:image/png;base64,{png}" style="max-width:44em">'
    return image + table(
        ["operation", "MFLOP", "MB moved", "microseconds"], rows, f"{name}: one row of 128 tokens"
    )
