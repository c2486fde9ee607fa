"""Plain values to bytes and back: numbers, texts, containers, tensors and arrays, and nothing that runs.

`pickle` can call any function when it reads, so what comes out of the room is read by an unpickler that
knows no names at all: it builds numbers, texts and tuples. Tensors and arrays travel as their bytes. Whatever
else a student returns stays where it is; what comes through is a number to call it by (`Elsewhere`).
"""

import builtins
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

DEEPEST = 50  # containers inside containers
PLAIN = (bool, int, float, str, bytes, type(None))
WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
DTYPES = {str(dtype): dtype for dtype in (*WHOLE, *REAL, torch.complex64, torch.complex128)}
CONTAINERS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class Forged(Exception):
    """Bytes that `to_bytes` has not written."""


@dataclass(frozen=True)
class Elsewhere:
    """Something that stays in the room: the number under which it is kept, and what it is."""

    number: int
    kind: str


def to_bytes(value: object, keep: Callable[[object], int] = lambda value: 0) -> bytes:
    """A value as bytes; what is not plain is handed to `keep`, which returns the number to call it by."""
    return pickle.dumps(_pack(value, keep, DEEPEST), protocol=5)


def from_bytes(data: bytes) -> object:
    """What `to_bytes` wrote; raises Forged for anything else."""
    try:
        return _unpack(_NoNames(io.BytesIO(data)).load())
    except Exception as error:  # noqa: BLE001 (whatever a forger makes happen)
        raise Forged(f"{type(error).__name__}: {error}") from None


class _NoNames(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        raise Forged(f"names {module}.{name}")

    def persistent_load(self, key: object) -> object:
        raise Forged("names something of its own")


def _pack(value: object, keep: Callable[[object], int], depth: int) -> object:
    if type(value) in PLAIN:
        return value
    if depth and (packed := _packed(value, keep, depth - 1)) is not None:
        return packed
    return ("elsewhere", keep(value), type(value).__name__)


def _packed(value: object, keep: Callable[[object], int], depth: int) -> tuple | None:
    if value is ...:
        return ("ellipsis",)
    if type(value) is complex:
        return ("complex", value.real, value.imag)
    if isinstance(value, torch.dtype) and str(value) in DTYPES:
        return ("dtype", str(value))
    if isinstance(value, torch.Tensor):
        return _packed_tensor(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufcSU":
        return ("array", value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes())
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return ("number", value.dtype.str, value.tobytes())
    if isinstance(value, str):
        return ("str", str.__str__(value))
    if type(value) is range:
        return ("range", value.start, value.stop, value.step)
    if isinstance(value, dict):
        return ("dict", [(_pack(k, keep, depth), _pack(v, keep, depth)) for k, v in dict.items(value)])
    for name, kind in CONTAINERS.items():
        if isinstance(value, kind):
            return (name, [_pack(item, keep, depth) for item in kind.__iter__(value)])
    return None


def _packed_tensor(value: torch.Tensor) -> tuple | None:
    if value.is_nested or value.layout != torch.strided or value.is_meta or str(value.dtype) not in DTYPES:
        return None
    plain = value.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return ("tensor", str(value.dtype), tuple(value.shape), plain.view(torch.uint8).numpy().tobytes())


def _unpack(packed: object) -> object:
    if type(packed) in PLAIN:
        return packed
    tag, *parts = packed
    if tag in CONTAINERS:
        return CONTAINERS[tag](map(_unpack, parts[0]))
    if tag == "dict":
        return {_unpack(key): _unpack(value) for key, value in parts[0]}
    if tag == "tensor":
        dtype, shape, data = DTYPES[parts[0]], parts[1], parts[2]
        flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return flat.reshape(shape)
    if tag in ("array", "number"):
        dtype = np.dtype(parts[0])
        if dtype.kind not in "biufcSU":
            raise Forged(f"an array of {dtype}")
        flat = np.frombuffer(parts[-1], dtype)
        return flat[0] if tag == "number" else flat.reshape(parts[1]).copy()
    return {
        "ellipsis": lambda: ...,
        "complex": complex,
        "dtype": lambda name: DTYPES[name],
        "str": str,
        "range": range,
        "elsewhere": lambda number, kind: Elsewhere(int(number), str(kind)),
    }[tag](*parts)


def error_of(name: str, text: str) -> BaseException:
    """The error of this name, if Python has it; another kind of trouble is a RuntimeError."""
    kind = getattr(builtins, str(name), RuntimeError)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = RuntimeError
    try:
        return kind(str(text))
    except Exception:  # noqa: BLE001 (UnicodeDecodeError and the like want more than a text)
        return RuntimeError(f"{name}: {text}")
