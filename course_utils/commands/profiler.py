"""`python -m course_utils.profiler`: the table of a model's cost, for people and for programs."""

import json
from dataclasses import asdict
from pathlib import Path

from course_utils import profiler, tables
from course_utils.bert import NAMED_SIZES, BertConfig
from course_utils.checks import check_at_least, check_positive, refusal
from course_utils.commands import OneLineParser
from course_utils.profiler import CONVENTIONS, Profile, Row, profile, published_rows, quick_ridge


def find_config(model: str) -> BertConfig:
    """The sizes behind a name ("base", "bert-base-uncased"), a folder with a config.json, or such a file.

    Nothing is downloaded: other names of the hub are refused.
    """
    name = model.removeprefix("bert-").removesuffix("-uncased")
    if name in NAMED_SIZES:
        return BertConfig.named(name)
    path = Path(model).expanduser()
    if path.is_dir():
        path = path / "config.json"
    if not path.is_file():
        allowed = f"one of {', '.join(NAMED_SIZES)} (also as bert-base-uncased), a folder with a config.json"
        raise refusal("model", f"{allowed}, or such a file", repr(model))
    try:
        values = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise refusal(str(path), "a JSON object", error) from error
    return BertConfig.from_dict(values)


COLUMNS = ("module", "kind", "parameters", "MACs", "FLOPs", "weight B", "activation B", "FLOP/B", "bound")


def cells(row: Row, ridge: float) -> list[str]:
    """A row of the table as text."""
    numbers = (row.params, row.macs, row.flops, row.weight_bytes, row.activation_bytes)
    name = row.name.rpartition(".")[2] if row.depth else "(whole model)"
    return [
        "  " * row.depth + name,
        row.kind,
        *(f"{number:,}" for number in numbers),
        f"{row.intensity:.2f}",
        row.bound(ridge),
    ]


def as_text(lines: list[list[str]], markdown: bool) -> list[str]:
    """Lines of a table whose first line is its head; the first two columns are words, the others numbers."""
    if not markdown:
        return tables.aligned(lines, words=2)
    # A cell's leading spaces would be lost: keep the indentation as non-breaking spaces.
    kept = [[line[0].replace("  ", "&nbsp;&nbsp;"), *line[1:]] for line in lines]
    return tables.markdown(kept, words=2)


def bottlenecks(found: Profile, ridge: float) -> list[str]:
    """What the pass spends its time on, in sentences."""
    moments = found.seconds(ridge, 1.0)  # in units of a byte's time: only shares are read
    whole = sum(moments.values())
    flops = found.under("all")["flops"]
    traffic = found.totals.traffic_bytes
    passes = 3 if found.training else 1
    lines = []
    for kind, moment in list(moments.items())[:4]:
        same = [operation for operation in found.operations if operation.kind == kind]
        work = passes * sum(operation.flops_by("all") for operation in same) / flops
        moved = passes * sum(operation.traffic_bytes for operation in same) / traffic
        lines.append(
            f"{kind}: {moment / whole:.1%} of the least time, {work:.1%} of all FLOPs, {moved:.1%} of the"
            " traffic"
        )
    busy = [operation for operation in found.operations if operation.traffic_bytes]
    compute = sum(operation.flops_by("all") / operation.traffic_bytes >= ridge for operation in busy)
    lines.append(
        f"{compute} of {len(busy)} operations that move data are compute-bound, {len(busy) - compute}"
        " memory-bound"
    )
    return lines


def report(found: Profile, ridge: float, depth: int, measured: bool, markdown: bool) -> str:
    """The table and what follows it, for people."""
    head, end = ("## ", "") if markdown else ("", ":")
    item = "- " if markdown else "  "
    config = found.config
    title = (
        f"BERT, {config.num_hidden_layers} layers, hidden size {config.hidden_size}, "
        f"{found.batch_size} x {found.seq_len} tokens, "
        f"{'forward and backward' if found.training else 'forward'}, fp32, convention {found.convention}"
    )
    lines = [
        "# " + title if markdown else title,
        "",
        *as_text([list(COLUMNS), *(cells(row, ridge) for row in found.rows if row.depth <= depth)], markdown),
        "",
        f"{head}Totals by convention{end}",
        "",
    ]
    for name in CONVENTIONS:
        under = found.under(name)
        lines.append(f"{item}{name:<8} {under['macs']:>18,} MACs {under['flops']:>18,} FLOPs")
    lines += ["", f"{head}Memory held at once{end}", ""]
    for use, count in (*found.memory.items(), ("together", sum(found.memory.values()))):
        lines.append(f"{item}{use:<17} {count:>16,} B {count / 1e6:>10,.2f} MB {count / 2**20:>10,.2f} MiB")
    lines += ["", f"{head}Operations of the forward pass, by kind{end}", ""]
    for kind, count in found.counts().most_common():
        lines.append(f"{item}{kind:<12} {count:>4}")
    origin = "measured here" if measured else "given"
    lines += ["", f"{head}Bottlenecks against a ridge of {ridge:.1f} FLOP/byte, {origin}{end}", ""]
    lines += [item + line for line in bottlenecks(found, ridge)]
    return "\n".join(lines)


PUBLISHED_COLUMNS = ("module", "shape", "parameters", "MACs", "FLOPs", "memory MB")


def published(config: BertConfig, batch_size: int, seq_len: int, depth: int, markdown: bool) -> str:
    """The widely copied table, and its sums with and without the rows that stand beside the model."""
    rows = published_rows(config, batch_size, seq_len)
    lines = []
    for row in rows:
        if row.depth <= depth:
            name = row.name.rpartition(".")[2] if row.depth else row.name or "model"
            shape = " x ".join(map(str, row.shape))
            numbers = (f"{number:,}" for number in (row.params, row.macs, row.flops))
            lines.append(["  " * row.depth + name, shape, *numbers, f"{row.memory / 1e6:,.2f}"])
    top = [row for row in rows if not row.depth]
    sums = {
        "input tensors": sum(row.input_bytes for row in top),
        "output tensors": sum(row.output_bytes for row in top),
        "weights of Linear layers": sum(row.weight_bytes for row in top),
        "together": sum(row.memory for row in top),
    }
    item = "- " if markdown else "  "
    return "\n".join(
        [
            *as_text([list(PUBLISHED_COLUMNS), *lines], markdown),
            "",
            f"{item}{'FLOPs of all rows':<25}{sum(row.flops for row in top):>15,}",
            *(f"{item}{name:<25}{count:>15,} B {count / 1e6:>9,.2f} MB" for name, count in sums.items()),
        ]
    )


def as_json(found: Profile, ridge: float, depth: int, measured: bool) -> str:
    """The same for programs."""
    rows = [
        asdict(row) | {"intensity": row.intensity, "bound": row.bound(ridge)}
        for row in found.rows
        if row.depth <= depth
    ]
    values = {
        "config": found.config.to_dict(),
        "batch_size": found.batch_size,
        "seq_len": found.seq_len,
        "convention": found.convention,
        "training": found.training,
        "ridge": {"flop_per_byte": ridge, "measured": measured},
        "rows": rows,
        "totals": rows[0],
        "conventions": {name: found.under(name) for name in CONVENTIONS},
        "memory": found.memory,
        "operations": dict(found.counts().most_common()),
        "bottlenecks": bottlenecks(found, ridge),
    }
    return json.dumps(values, indent=2)


def main(arguments: list[str] | None = None) -> int:
    parser = OneLineParser(
        prog="python -m course_utils.profiler",
        description=profiler.__doc__.partition("\n\n")[0],
        epilog="Conventions and units are explained at the top of course_utils/profiler.py.",
    )
    parser.add_argument("--model", default="base", help="tiny to large, a folder, or a config.json [base]")
    parser.add_argument("--batch", type=int, default=1, help="rows [1]")
    parser.add_argument("--seq-len", type=int, default=128, help="tokens a row [128]")
    parser.add_argument("--depth", type=int, default=3, help="deepest level of the table [3]")
    parser.add_argument("--convention", choices=CONVENTIONS, default="matmul", help="what counts as work")
    parser.add_argument("--training", action="store_true", help="forward and backward pass")
    parser.add_argument("--heads", action="store_true", help="with both pretraining heads")
    parser.add_argument("--published", action="store_true", help="a widely copied table, by its own rules")
    parser.add_argument("--ridge", type=float, help="FLOP/byte of the machine [measured here]")
    parser.add_argument("--format", choices=("table", "markdown", "json"), default="table")
    given = parser.parse_args(arguments)
    try:
        check_at_least("--depth", given.depth, 0)
        if given.ridge is not None:
            check_positive("--ridge", given.ridge)
        if given.published:
            sizes = (find_config(given.model), given.batch, given.seq_len)
            print(published(*sizes, given.depth, markdown=given.format == "markdown"))
            return 0
        found = profile(
            find_config(given.model),
            given.batch,
            given.seq_len,
            given.convention,
            training=given.training,
            pretraining_heads=given.heads,
        )
    except (ValueError, TypeError, OSError) as error:
        parser.error(str(error))
    measured = given.ridge is None
    ridge = quick_ridge() if measured else given.ridge
    if given.format == "json":
        print(as_json(found, ridge, given.depth, measured))
    else:
        print(report(found, ridge, given.depth, measured, markdown=given.format == "markdown"))
    return 0
