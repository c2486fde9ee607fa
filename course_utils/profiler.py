"""What a BERT costs: parameters, multiplications, bytes, and which of them the processor waits for.

    profile(BertConfig.named("base"), batch_size=1, seq_len=128).totals.flops        22348431360
    python -m course_utils.profiler --model bert-base-uncased --batch 1 --seq-len 128
    python -m course_utils.profiler --model base --published     a widely copied table, rebuilt to the unit

The forward pass of `course_utils.bert` runs once on PyTorch's meta device, where tensors have a shape
and no numbers: nothing is allocated, downloaded or computed. Every call of a PyTorch function on the way
notes its work and its bytes. A closed formula then has to give the same totals, or the profile is refused: a
counter that misses a kernel, as counters do with fused attention, cannot go unnoticed.

Units. A MAC is one multiplication and the addition that follows it: two FLOPs. Tensors are float32, 4 bytes a
number. `activation_bytes` counts what operations write, `traffic_bytes` all that they read and write,
weights included, as if nothing stayed in a cache between two operations.

What counts as work is a convention, and two honest counts of one model differ by it:

    matmul    every matrix product, attention's two included; nothing else. The usual meaning of "FLOPs"
    linear    as a widely copied profile of BERT counts: Linear layers, the residual adds, one of the two
              embedding adds and one operation on the mask; attention's two products are missing
    all       every arithmetic operation: biases, adds, softmax, GELU, LayerNorm, dropout; see PER_ELEMENT

Long, because the count, the closed formula that it must agree with and the published table that it rebuilds
are one argument, and each is read beside the others.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from course_utils.bert import BertConfig, BertEmbeddings, BertForPreTraining, BertModel
from course_utils.checks import check_one_of, refusal
from course_utils.hints import Count, Natural, Positive, check_some, hold_to_hints

CONVENTIONS = ("matmul", "linear", "all")
FLOAT_BYTES = 4

# FLOPs for each element of the result; an exponential, an erf, a tanh and a division count as one each.
PER_ELEMENT = {
    "add": 1,
    "scale": 1,
    "softmax": 5,  # maximum, subtract it, exponential, sum, divide
    "LayerNorm": 7,  # mean, subtract it, square, mean, divide by the deviation, weight, bias
    "GELU": 5,  # x / sqrt 2, erf, + 1, * x, / 2
    "GELU (tanh)": 9,  # x^2, x^3, * 0.044715, + x, * sqrt(2 / pi), tanh, + 1, * x, / 2
    "ReLU": 1,
    "tanh": 1,
    "dropout": 2,  # times the 0/1 mask, divided by the share that is kept
    "embedding": 0,  # a copy
}


# ----------------------------------------------------------------------------------------------------------
# One operation
# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """One step of the forward pass: its work, and the bytes that it moves if no cache helps."""

    module: str  # path of the module whose code asked for it, such as "encoder.layer.0.attention.self"
    kind: str  # "Linear", "matmul", or a key of PER_ELEMENT
    macs: int = 0
    elementwise: int = 0  # FLOPs beside those of the MACs
    published: int = 0  # the part of them that the convention "linear" counts
    weight_reads: int = 0  # bytes of parameters
    reads: int = 0  # bytes of activations and ids
    writes: int = 0  # bytes of activations
    shape: tuple[int, ...] = ()  # of its result

    @property
    def traffic_bytes(self) -> int:
        return self.weight_reads + self.reads + self.writes

    def macs_by(self, convention: str) -> int:
        """Multiply-accumulates that the convention sees."""
        return self.macs if convention != "linear" or self.kind == "Linear" else 0

    def flops_by(self, convention: str) -> int:
        """Two for each of those MACs, and what else the convention adds."""
        others = {"matmul": 0, "linear": self.published, "all": self.elementwise}[convention]
        return 2 * self.macs_by(convention) + others


def size(*tensors: Tensor) -> int:
    """Bytes of the numbers in the tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Recorder(TorchFunctionMode):
    """While active, PyTorch functions with arithmetic only note their work and return a result in shape
    alone.

    Functions that are not in the table RULES run as they are: views, transposes. One with arithmetic that
    were missing there would be caught by the comparison with the closed formula.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.kept: dict[int, Tensor] = {}  # what autograd would put aside for the backward pass, by storage
        self.stack: list[tuple[str, nn.Module]] = []  # modules whose forward is running, outermost first
        self.owners = {
            id(p): name for name, module in model.named_modules() for p in module.parameters(recurse=False)
        }
        self.model = model
        self.hooks: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for name, module in self.model.named_modules():
            self.hooks += [
                module.register_forward_pre_hook(lambda m, _, name=name: self.stack.append((name, m))),
                module.register_forward_hook(lambda *_: self.stack.pop() and None),
            ]
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for hook in self.hooks:
            hook.remove()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        rule = self.RULES.get(func.__name__)
        return func(*args, **kwargs) if rule is None else rule(self, *args, **kwargs)

    def note(self, kind: str, elements: int = 0, shape: Sequence[int] = (), **counts: int) -> None:
        """Note an operation of the module that is running; work on `elements` numbers by PER_ELEMENT."""
        counts.setdefault("elementwise", PER_ELEMENT.get(kind, 0) * elements)
        self.operations.append(Operation(self.stack[-1][0], kind, shape=tuple(shape), **counts))

    def keep(self, *tensors: Tensor) -> None:
        """The backward pass will need these. Views of one tensor count once; weights are held anyway."""
        self.kept |= {tensor.untyped_storage()._cdata: tensor for tensor in tensors}

    def kept_bytes(self) -> int:
        return sum(tensor.untyped_storage().nbytes() for tensor in self.kept.values())

    # Each rule takes the arguments of the function that it stands for, and returns a result of its shape.

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        out = x.new_empty(*x.shape[:-1], len(weight))
        macs = out.numel() * x.shape[-1]
        traffic = {"weight_reads": size(weight, bias), "reads": size(x), "writes": size(out)}
        self.note(
            "Linear", shape=out.shape, macs=macs, elementwise=out.numel(), **traffic
        )  # one addition each for the bias
        self.keep(x)
        return out

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        out = a.new_empty(*a.shape[:-1], b.shape[-1])
        self.note("matmul", macs=out.numel() * a.shape[-1], reads=size(a, b), writes=size(out))
        self.keep(a, b)
        return out

    def fused_attention(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: None = None, dropout_p: float = 0.0
    ) -> Tensor:
        """The work of the written-out form, but the scores stay in the processor and cost no traffic.

        For the backward pass the kernel keeps one number a row of scores and computes the rest again. With
        dropout PyTorch's CPU kernel cannot, and falls back on the written-out form.
        """
        if dropout_p:
            weights = self.softmax(self.scale(self.matmul(query, key.transpose(-2, -1))))
            return self.matmul(self.dropout(weights, dropout_p), value)
        batch, heads, seq_len, head_size = query.shape
        out = query.new_empty(batch, seq_len, heads, head_size).transpose(1, 2)  # as the next layer reads it
        scores = batch * heads * seq_len * key.shape[-2]
        self.note("matmul", macs=scores * head_size, reads=size(query, key))
        self.note("scale", scores)
        self.note("softmax", scores)
        self.note("matmul", macs=scores * head_size, reads=size(value), writes=size(out))
        self.keep(query, key, value, out, query.new_empty(query.shape[:-1]))
        return out

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        out = a.new_empty(a.shape)  # in the model the first operand is never the smaller one
        # The library adds the positions in place, and the published profile does not see that.
        last = self.operations[-1]
        in_place = isinstance(self.stack[-1][1], BertEmbeddings) and last.kind == "add"
        published = 0 if in_place else out.numel()
        self.note("add", out.numel(), out.shape, published=published, reads=size(a, b), writes=size(out))
        return out

    def layer_norm(self, x: Tensor, shape: tuple[int], weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        out = self.elementwise("LayerNorm", x, weight_reads=size(weight, bias))
        self.keep(x, x.new_empty(x.shape[:-1]), x.new_empty(x.shape[:-1]))  # the means and the deviations
        return out

    def dropout(self, x: Tensor, p: float, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or not p:
            self.note("dropout", shape=x.shape)  # called, and does nothing
            return x
        self.keep(x.new_empty(x.shape))  # the mask of what is kept: PyTorch's CPU code holds it as floats
        return self.elementwise("dropout", x)

    def embedding(self, ids: Tensor, table: Tensor, **options: object) -> Tensor:
        out = table.new_empty(*ids.shape, table.shape[-1])
        self.note("embedding", shape=out.shape, weight_reads=size(out), reads=size(ids), writes=size(out))
        self.keep(ids)
        return out

    def item(self, x: Tensor, index: object) -> Tensor:
        """A slice is a view; but of a table of embeddings it looks up consecutive rows."""
        if id(x) in self.owners:
            self.operations.append(Operation(self.owners[id(x)], "embedding"))
        return x[index]

    def elementwise(self, kind: str, x: Tensor, **counts: int) -> Tensor:
        out = x.new_empty(x.shape)
        self.note(kind, x.numel(), out.shape, reads=size(x), writes=size(out), **counts)
        return out

    def scale(self, x: Tensor, divisor: float = 1.0) -> Tensor:
        return self.elementwise("scale", x)

    def softmax(self, x: Tensor, dim: int = -1) -> Tensor:
        out = self.elementwise("softmax", x)
        self.keep(out)
        return out

    def tanh(self, x: Tensor) -> Tensor:
        out = self.elementwise("tanh", x)
        self.keep(out)
        return out

    def relu(self, x: Tensor, inplace: bool = False) -> Tensor:
        out = self.elementwise("ReLU", x)
        self.keep(out)
        return out

    def gelu(self, x: Tensor, approximate: str = "none") -> Tensor:
        self.keep(x)
        return self.elementwise("GELU" if approximate == "none" else "GELU (tanh)", x)

    RULES: ClassVar[dict[str, Callable]] = {
        "linear": linear,
        "matmul": matmul,
        "scaled_dot_product_attention": fused_attention,
        "add": add,
        "div": scale,
        "softmax": softmax,
        "layer_norm": layer_norm,
        "dropout": dropout,
        "embedding": embedding,
        "__getitem__": item,
        "gelu": gelu,
        "relu": relu,
        "tanh": tanh,
    }


# ----------------------------------------------------------------------------------------------------------
# The profile
# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of the table: a module with all that is in it, or the operations of a module's own code."""

    name: str  # dotted path; "" is the whole model
    kind: str  # the class of the module, or the kind of the operations
    depth: int  # 0 for the whole model
    params: int  # a tied parameter belongs to the first module that holds it
    macs: int
    flops: int
    weight_bytes: int  # of the parameters
    activation_bytes: int  # written
    traffic_bytes: int  # weights and activations read, activations written

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: FLOPs for each byte moved."""
        return self.flops / self.traffic_bytes if self.traffic_bytes else 0.0

    def bound(self, ridge: Positive) -> str:
        """What this row waits for on a machine whose peak divided by its bandwidth is `ridge` FLOP/byte.

        Source: Williams, Waterman and Patterson 2009, "Roofline", Communications of the ACM 52(4).
        """
        if not self.traffic_bytes:
            return "-"
        return "compute" if self.intensity >= ridge else "memory"


@dataclass(frozen=True)
class Profile:
    """All that was counted for one pass over `(batch_size, seq_len)` tokens."""

    config: BertConfig
    batch_size: int
    seq_len: int
    convention: str
    training: bool
    rows: list[Row]  # a parent before its children; the children sum to the parent in every column
    operations: list[Operation]  # of the forward pass, in the order of the calls
    memory: dict[str, int]  # bytes held at once, by use; see `memory_breakdown`

    @property
    def totals(self) -> Row:
        return self.rows[0]

    def children(self, parent: Row) -> list[Row]:
        """The rows directly below a row."""
        start = self.rows.index(parent) + 1
        found = []
        for row in self.rows[start:]:
            if row.depth <= parent.depth:
                break
            if row.depth == parent.depth + 1:
                found.append(row)
        return found

    def counts(self) -> Counter[str]:
        """How many operations of each kind the forward pass has."""
        return Counter(operation.kind for operation in self.operations if operation.kind != "mask")

    def under(self, convention: str) -> dict[str, int]:
        """MACs and FLOPs of the same pass under another convention."""
        passes = 3 if self.training else 1
        return {
            "macs": passes * sum(operation.macs_by(convention) for operation in self.operations),
            "flops": passes * sum(operation.flops_by(convention) for operation in self.operations),
        }

    def seconds(self, peak_flops: Positive, bytes_per_second: Positive) -> dict[str, float]:
        """Least time of the pass by the roofline, for each kind of operation.

        An operation takes as long as its arithmetic or its traffic, whichever is longer. All arithmetic
        counts here, whatever the convention; a real pass is slower, and a cache can make it quicker.
        """
        found: Counter[str] = Counter()
        for operation in self.operations:
            arithmetic = operation.flops_by("all") / peak_flops
            found[operation.kind] += max(arithmetic, operation.traffic_bytes / bytes_per_second)
        passes = 3 if self.training else 1
        return {kind: passes * value for kind, value in found.most_common() if value}


def profile(
    config: BertConfig,
    batch_size: Count = 1,
    seq_len: Count = 128,
    convention: str = "matmul",
    *,
    training: bool = False,
    fused: bool = True,
    pretraining_heads: bool = False,
) -> Profile:
    """Count a pass of BERT over a full batch.

    Args:
        config: the sizes of the model.
        batch_size, seq_len: rows, and tokens a row without padding.
        convention: what counts as work; one of CONVENTIONS.
        training: forward and backward pass. A matrix product C = A B has two products of the same size in
            its backward pass, one for the gradient of A and one for that of B, so work and traffic are three
            times those of the forward pass: exact for matrix products, usual for the rest.
        fused: attention by the fused kernel, as the model runs it, or written out. The work is the same, the
            bytes are not.
        pretraining_heads: with the MLM head, on every position, and the next sentence head.

    Raises:
        ValueError: naming the argument, what is expected and what came.
        RuntimeError: if the count and the closed formula differ.
    """
    if seq_len > (most := config.max_position_embeddings):
        raise refusal("seq_len", f"1 to {most} (max_position_embeddings)", seq_len)
    check_one_of("convention", convention, CONVENTIONS)

    model = on_meta(config, pretraining_heads).train(training)
    recorder = Recorder(model)
    ids, segments = (torch.empty(batch_size, seq_len, dtype=torch.long, device="meta") for _ in range(2))
    with recorder, torch.no_grad():
        model(ids, token_type_ids=segments, output_attentions=not fused)
    operations = recorder.operations
    check_against_formula(model, config, batch_size, seq_len, operations, pretraining_heads)
    # Before the first layer the library turns the mask into numbers to add; the published profile counts
    # that.
    mask = Operation(module="", kind="mask", published=batch_size * seq_len**2)
    counted = [*operations, mask] if convention == "linear" else operations
    rows = list(rows_of(model, counted, convention, passes=3 if training else 1))
    operations.append(mask)
    memory = memory_breakdown(rows[0].weight_bytes, operations, recorder.kept_bytes(), training)
    return Profile(config, batch_size, seq_len, convention, training, rows, operations, memory)


class WithoutDrawing(TorchFunctionMode):
    """Weights that have a shape and no numbers need no random draws (and a second less to import)."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is nn.init.normal_:
            return kwargs.get("tensor", args[0] if args else None)
        return func(*args, **kwargs)


def on_meta(config: BertConfig, pretraining_heads: bool = False) -> nn.Module:
    """The model in shape alone: no memory, no values."""
    with torch.device("meta"), WithoutDrawing():
        return BertForPreTraining(config) if pretraining_heads else BertModel(config)


def memory_breakdown(weights: int, operations: list[Operation], kept: int, training: bool) -> dict[str, int]:
    """Bytes that must be held at once, by use.

    For a forward pass that is the weights and, since an activation can be thrown away once it is used, the
    widest operation with its input. Training keeps activations for the backward pass, a gradient for each
    weight, and Adam's two moments (Kingma and Ba 2014, arXiv 1412.6980).
    """
    if training:
        return {
            "weights": weights,
            "gradients": weights,
            "Adam's moments": 2 * weights,
            "activations kept": kept,
        }
    widest = max(operation.reads + operation.writes for operation in operations)
    return {"weights": weights, "widest operation": widest}


def rows_of(model: nn.Module, operations: list[Operation], convention: str, passes: int) -> Iterator[Row]:
    """The table: the whole model first, then depth first in the order of definition."""
    by_module: dict[str, list[Operation]] = {}
    for operation in operations:
        by_module.setdefault(operation.module, []).append(operation)
    parameters: dict[str, list[tuple[str, int]]] = {}
    for path, parameter in model.named_parameters():  # names a tied parameter once
        module, _, name = path.rpartition(".")
        parameters.setdefault(module, []).append((name, parameter.numel()))

    def row(name: str, kind: str, depth: int, params: int, own: list[Operation]) -> Row:
        return Row(
            name=name,
            kind=kind,
            depth=depth,
            params=params,
            macs=passes * sum(operation.macs_by(convention) for operation in own),
            flops=passes * sum(operation.flops_by(convention) for operation in own),
            weight_bytes=FLOAT_BYTES * params,
            activation_bytes=sum(operation.writes for operation in own),
            traffic_bytes=passes * sum(operation.traffic_bytes for operation in own),
        )

    def inside(path: str, module: nn.Module, depth: int) -> list[Row]:
        own, weights = by_module.get(path, []), parameters.get(path, [])
        children = list(module.named_children())
        kind = type(module).__name__
        if not children:
            return [row(path, kind, depth, sum(count for _, count in weights), own)]
        prefix = f"{path}." if path else ""
        below = []
        for name, child in children:
            below += inside(prefix + name, child, depth + 1)
        for name, count in weights:
            below.append(row(prefix + name, "parameter", depth + 1, count, []))
        for own_kind in dict.fromkeys(operation.kind for operation in own):
            same = [operation for operation in own if operation.kind == own_kind]
            below.append(row(f"{prefix}({own_kind})", f"{len(same)} x {own_kind}", depth + 1, 0, same))
        direct = [entry for entry in below if entry.depth == depth + 1]
        sums = {
            column: sum(getattr(entry, column) for entry in direct)
            for column in ("params", "macs", "flops", "weight_bytes", "activation_bytes", "traffic_bytes")
        }
        return [Row(name=path, kind=kind, depth=depth, **sums), *below]

    yield from inside("", model, 0)


# ----------------------------------------------------------------------------------------------------------
# The same by formula
# ----------------------------------------------------------------------------------------------------------


def closed_form(
    config: BertConfig, batch_size: Count, seq_len: Count, pretraining_heads: bool = False
) -> dict[str, int]:
    """Parameters and forward MACs from the sizes alone: `params`, `linear_macs`, `attention_macs`.

    With hidden size h, feed-forward size f, L layers, vocabulary V, P positions, S segments, s tokens a row
    and B rows:

        a layer       4 (h^2 + h) + (2 h f + f + h) + 4 h parameters;  B s (4 h^2 + 2 h f) MACs in Linear
        attention     2 B s^2 h MACs a layer: Q K^T, and weights times V
        embeddings    (V + P + S) h + 2 h parameters
        pooler        h^2 + h parameters;  B h^2 MACs
        heads         h^2 + h + 2 h + V + 2 h + 2 parameters;  B s (h^2 + h V) + 2 B h MACs
    """
    h, f, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    vocab, tokens = config.vocab_size, batch_size * seq_len
    tables = vocab + config.max_position_embeddings + config.type_vocab_size
    params = tables * h + 2 * h
    params += layers * (4 * (h**2 + h) + (2 * h * f + f + h) + 4 * h)
    params += h**2 + h
    linear_macs = layers * tokens * (4 * h**2 + 2 * h * f) + batch_size * h**2
    if pretraining_heads:
        params += h**2 + 3 * h + vocab + 2 * h + 2
        linear_macs += tokens * (h**2 + h * vocab) + 2 * batch_size * h
    attention_macs = layers * 2 * tokens * seq_len * h
    return {"params": params, "linear_macs": linear_macs, "attention_macs": attention_macs}


def check_against_formula(
    model: nn.Module,
    config: BertConfig,
    batch_size: int,
    seq_len: int,
    operations: list[Operation],
    pretraining_heads: bool,
) -> None:
    """Refuse a count that the closed formula does not confirm to the unit."""
    expected = closed_form(config, batch_size, seq_len, pretraining_heads)
    counted = {
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "linear_macs": sum(operation.macs for operation in operations if operation.kind == "Linear"),
        "attention_macs": sum(operation.macs for operation in operations if operation.kind == "matmul"),
    }
    for name, count in counted.items():
        if count != expected[name]:
            why = "the counter misses an operation"
            raise refusal(name, f"{expected[name]:,} by formula", f"{count:,}", why, RuntimeError)


# ----------------------------------------------------------------------------------------------------------
# A widely copied table, rebuilt
# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PublishedRow:
    """One line of the table: a module, or an operation that stands beside the model (`depth` 0)."""

    name: str
    depth: int
    shape: tuple[int, ...]  # of its result
    params: int
    macs: int
    flops: int
    input_bytes: int
    output_bytes: int
    weight_bytes: int  # of its Linear layers alone

    @property
    def memory(self) -> int:
        """What the table calls memory: inputs, outputs and the weights of Linear layers."""
        return self.input_bytes + self.output_bytes + self.weight_bytes


def published_rows(config: BertConfig, batch_size: Count = 1, seq_len: Count = 128) -> list[PublishedRow]:
    """The rows of a widely copied profile of BERT, by the rules that give its printed numbers to the unit.

    Module by module, each operation counts the bytes of its inputs and outputs, and a Linear layer those of
    its weights and bias too; weights of embeddings and LayerNorms count nowhere. A dropout, which does
    nothing, counts as one that copies. Ids have 4 bytes. Attention's products, scale, softmax and GELU are
    missing. The adds and the mask are rows beside the model.
    """
    found = profile(config, batch_size, seq_len, "linear")
    tokens = (batch_size, seq_len)
    state = FLOAT_BYTES * batch_size * seq_len * config.hidden_size
    inside: dict[
        str, tuple[tuple[int, ...], int, int, int, int]
    ] = {}  # shape, MACs, inputs, outputs, weights
    beside: list[PublishedRow] = []
    for each in found.operations:
        macs = each.macs_by("linear")
        if each.kind == "embedding":
            name = each.module.removesuffix(".weight")
            ids = FLOAT_BYTES * batch_size * seq_len
            inside[name] = (*tokens, config.hidden_size), 0, ids, state, 0
        elif each.kind == "dropout":
            inside[each.module] = each.shape, 0, state, state, 0
        elif each.kind in ("Linear", "LayerNorm", "tanh"):
            weights = each.weight_reads if each.kind == "Linear" else 0
            inside[each.module] = each.shape, macs, each.reads, each.writes, weights
        elif each.published:
            mask = each.kind == "mask"
            shape = (*tokens, seq_len) if mask else each.shape
            written = FLOAT_BYTES * each.published
            read = written if mask else 2 * written
            beside.append(PublishedRow(each.kind, 0, shape, 0, 0, each.published, read, written, 0))
    rows = []
    for row in found.rows:
        start = f"{row.name}." if row.name else ""
        own = [part for name, part in inside.items() if name == row.name or name.startswith(start)]
        if own:
            macs, read, written, weights = (sum(part[i] for part in own) for i in (1, 2, 3, 4))
            last = own[-1][0]
            rows.append(
                PublishedRow(row.name, row.depth, last, row.params, macs, 2 * macs, read, written, weights)
            )
    return rows + beside


# ----------------------------------------------------------------------------------------------------------
# What the machine can do
# ----------------------------------------------------------------------------------------------------------


def best_time(call: Callable[[], object], warm_up: Natural = 3, times: Count = 10) -> float:
    """Seconds of the quickest of `times` calls."""
    found = []
    for _ in range(warm_up + times):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found[warm_up:])


def peak_flops(sizes: Annotated[tuple[Count, ...], check_some] = (1024, 2048), times: Count = 10) -> float:
    """FLOPs a second of the best fp32 product of two (n, n) matrices: 2 n^3 / t, over the given n."""
    generator = torch.Generator().manual_seed(0)
    peaks = []
    for n in sizes:
        a, b, out = (
            torch.rand(n, n, generator=generator),
            torch.rand(n, n, generator=generator),
            torch.empty(n, n),
        )
        peaks.append(2 * n**3 / best_time(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), times=times))
    return max(peaks)


def bandwidth(floats: Count = 32 * 2**20, times: Count = 10) -> float:
    """Bytes a second between memory and processor: a = b + 3 c over three arrays, 12 bytes an element.

    The default, 128 MB an array, is more than a cache holds.
    """
    a, b, c = (torch.ones(floats) for _ in range(3))
    return 12 * floats / best_time(lambda: torch.add(b, c, alpha=3.0, out=a), times=times)


def quick_ridge() -> float:
    """FLOP/byte of this machine at a modest price: half a second, and three arrays of 8 MB.

    Where the last cache is larger than the arrays, as on servers, that cache is measured, and the ridge comes
    out lower than with `bandwidth` at its default.
    """
    return peak_flops((512, 1024)) / bandwidth(2 * 2**20)


hold_to_hints(globals())

if __name__ == "__main__":
    from course_utils import commands
    from course_utils.commands.profiler import main

    commands.run(main)
