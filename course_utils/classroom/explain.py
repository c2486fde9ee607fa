"""Words for a reader: what a value is, how two values differ, where an error happened and what it means.

Long, because every kind of value and of error needs its sentences, and these must sound alike.
"""

import math
import re
import reprlib
import sysconfig
import traceback
from pathlib import Path

import numpy as np
import torch

# ----------------------------------------------------------------------------------------------------------
# Values


class _Printer(reprlib.Repr):
    """A `repr` that stays small: few digits, and an ellipsis where a value is long."""

    def __init__(self, digits: int):
        super().__init__()
        self.maxlist = self.maxtuple = self.maxset = self.maxdict = 12
        self.maxstring = self.maxlong = self.maxother = 200
        self.digits = digits

    def repr1(self, value, level):
        # `reprlib` chooses by the name of the type; numbers and tensors come under many names.
        try:
            if isinstance(value, torch.Tensor):
                array = numbers_of(value)
                return describe(value) if array is None else _array_text(array, "tensor", self.digits)
            if isinstance(value, np.ndarray):
                return _array_text(value, "array", self.digits)
            if isinstance(value, (float, np.floating)):
                return repr(float(f"{value:.{self.digits}g}"))
            if isinstance(value, np.generic):
                return repr(value.item())
            if isinstance(value, int) and abs(value) >= 10**200:
                return f"<a whole number of about {int(value.bit_length() * math.log10(2)) + 1} digits>"
            return super().repr1(value, level)
        except Exception:  # noqa: BLE001 (a result may raise anything when it is asked about itself)
            return f"<{type(value).__name__}, which cannot be shown>"


DIGITS = 6


def _array_text(array: np.ndarray, name: str, digits: int) -> str:
    # `prefix` only tells NumPy how far to indent the rows after the first.
    rows = np.array2string(
        array,
        precision=digits - 2,
        suppress_small=digits == DIGITS,
        separator=", ",
        threshold=64,
        edgeitems=3,
        prefix=f"{name}(",
    )
    return f"{name}({rows})"


def show(value: object, digits: int = DIGITS) -> str:
    """The value as short text; tensors and arrays as rows of numbers."""
    return _Printer(digits).repr(value)


def show_apart(got: object, expected: object) -> tuple[str, str]:
    """Both values as text, with as many digits as it takes to see that they differ."""
    for digits in (DIGITS, 9, 12, 17):
        texts = show(got, digits), show(expected, digits)
        if texts[0] != texts[1]:
            break
    return texts


def text_of(error: BaseException) -> str:
    """What an error says, or nothing if it cannot say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 (an answer may raise an error that raises)
        return ""


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return text_of(error).partition("\n")[0]


def describe(value: object) -> str:
    """What kind of thing a value is: 'a list of 3 values', 'a tensor of shape (2, 3) and dtype float32'."""
    try:
        return _describe(value)
    except Exception:  # noqa: BLE001 (as in `_Printer`)
        return f"something of type {type(value).__name__}"


def _describe(value: object) -> str:
    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        if value.is_nested:
            return f"a nested tensor of dtype {dtype}, whose rows may differ in length"
        empty = " on the meta device, where tensors hold no numbers" if value.is_meta else ""
        return f"a tensor of shape {tuple(value.shape)} and dtype {dtype}{empty}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array of shape {value.shape} and dtype {value.dtype}"
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float, np.number)):
        return f"the number {show(value)}"
    if isinstance(value, str):
        return f"the string {show(value)}"
    if isinstance(value, (list, tuple, set, dict)):
        plural = "" if len(value) == 1 else "s"
        return f"a {type(value).__name__} of {len(value)} value{plural}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value) and not isinstance(value, torch.nn.Module):
        return "a function"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def numbers_of(tensor: torch.Tensor) -> np.ndarray | None:
    """The numbers of a tensor, sparse or quantised ones too; None for one that holds none or is nested."""
    if tensor.is_nested or tensor.is_meta:
        return None
    tensor = tensor.detach()
    tensor = tensor.dequantize() if tensor.is_quantized else tensor.to_dense()
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    return tensor.double().numpy() if tensor.is_floating_point() else tensor.numpy()


def has_nan(value: object) -> bool:
    """True if a NaN is anywhere in a number, tensor, array, or in a container of these."""
    if isinstance(value, torch.Tensor):
        value = numbers_of(value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc" and bool(np.isnan(value).any())
    if isinstance(value, (float, np.floating)):
        return math.isnan(value)
    if isinstance(value, dict):
        return any(has_nan(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_nan(item) for item in value)
    return False


def alike(value: object, model: object) -> object:
    """`value` in the container and dtype of `model`, where that loses nothing.

    Lists and NumPy arrays become tensors, tuples lists, float64 float32, NumPy numbers plain ones. Whole
    numbers may become floating-point ones, never the other way round, and True and False stay what they are.
    A tensor does not become a list: a task that asks for a list means Python's own numbers.
    """
    try:
        return _alike(value, model)
    except Exception:  # noqa: BLE001 (the comparison will say what is wrong with it)
        return value


def _alike(value: object, model: object) -> object:
    if isinstance(model, torch.Tensor):
        return _as_tensor(value, model)
    if isinstance(value, np.generic) or (
        isinstance(value, (torch.Tensor, np.ndarray))
        and value.ndim == 0
        and isinstance(model, (bool, int, float))
    ):
        return value.item()
    if isinstance(model, (list, tuple)) and isinstance(value, (list, tuple, np.ndarray)):
        items = value.tolist() if isinstance(value, np.ndarray) else list(value)
        models = model if len(model) == len(items) else [model[0] if model else None] * len(items)
        return type(model)(map(_alike, items, models))
    if isinstance(model, dict) and isinstance(value, dict):
        return {key: _alike(item, model.get(key)) for key, item in value.items()}
    return value


_WIDER = {("b", "b"), ("i", "i"), ("u", "i"), ("f", "f"), ("i", "f"), ("u", "f"), ("c", "c")}


def _as_tensor(value: object, model: torch.Tensor) -> object:
    tensor = value
    if isinstance(value, (list, tuple, np.ndarray, np.generic, bool, int, float)):
        tensor = torch.from_numpy(np.array(value))  # by way of NumPy, which keeps the digits of plain numbers
    if not isinstance(tensor, torch.Tensor) or (numbers := numbers_of(tensor)) is None:
        return value
    if (numbers.dtype.kind, numbers_of(model).dtype.kind) not in _WIDER:
        return value
    if tensor.layout != torch.strided or tensor.is_quantized:
        tensor = torch.from_numpy(numbers)
    return tensor.to(model)


def same(first: object, second: object) -> bool:
    """True if two results of one call show no difference; what cannot be compared counts as the same."""
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, type) or isinstance(second, type):  # the types of two errors
        return first is second
    opaque = torch.nn.Module, torch.Generator, np.random.Generator
    if all(isinstance(value, opaque) or callable(value) for value in (first, second)):
        return True
    try:
        return difference(first, second, 1e-5) is None
    except Exception:  # noqa: BLE001 (as in `alike`)
        return False


def how_to_copy(value: object) -> str:
    """How to get a copy of a value that an answer edited in place, and what edits one of its kind."""
    if isinstance(value, list):
        return "`list(...)`; `append`, `insert`, `pop`, `sort`, `x[...] =` and `+=` edit."
    if isinstance(value, dict | set):
        return f"`{type(value).__name__}(...)`; `update`, `pop` and the like edit."
    if isinstance(value, np.ndarray):
        return "`.copy()`; `x[...] =` and `+=` edit."
    if isinstance(value, torch.Tensor):
        return "`.clone()`; `add_`, `masked_fill_`, `x[...] =` and `+=` edit."
    return "`copy.deepcopy(...)`."


def unchanged(before: object, after: object) -> bool:
    """True if two values are the same in type and content.

    Objects of other types, such as random generators, count as the same: using a generator moves it.
    """
    if type(before) is not type(after):
        return False
    if isinstance(before, torch.Tensor):
        return before.dtype == after.dtype and unchanged(numbers_of(before), numbers_of(after))
    if isinstance(before, np.ndarray):
        return before.dtype == after.dtype and np.array_equal(
            before, after, equal_nan=before.dtype.kind == "f"
        )
    if isinstance(before, torch.nn.Module):
        return unchanged(dict(before.state_dict()), dict(after.state_dict()))
    if isinstance(before, dict):
        return list(before) == list(after) and all(unchanged(before[key], after[key]) for key in before)
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(unchanged, before, after))
    if isinstance(before, (str, bytes, int, float, set, torch.dtype)):
        return before == after or (has_nan(before) and has_nan(after))
    return True


# ----------------------------------------------------------------------------------------------------------
# Differences

_OTHER_KIND = {  # (what came, what was wanted) -> what to do about it
    (torch.Tensor, list): "`.tolist()` makes a list of a tensor.",
    (list, torch.Tensor): "`torch.tensor(...)` makes a tensor of a list.",
    (np.ndarray, torch.Tensor): "`torch.from_numpy(...)` makes a tensor of an array.",
    (torch.Tensor, np.ndarray): "`.numpy()` makes an array of a tensor.",
    (str, list): "A string is one value; a list holds several.",
    (dict, list): "`list(d.values())` makes a list of the values of a dictionary.",
}


def difference(got: object, expected: object, tolerance: float) -> str | None:
    """Say in one sentence how `got` differs from `expected`, or return None if it does not.

    Floating-point numbers may differ by `tolerance`, absolute or relative. Lists and tuples count as the
    same kind, and so do a number, a NumPy scalar and a tensor with no axes. The dtype of a tensor must be
    of the right sort (bool, integer, floating point), of any width.
    """
    if isinstance(expected, torch.Tensor):
        numbers = numbers_of(got) if isinstance(got, torch.Tensor) else None
        if numbers is None:
            return _kinds(got, expected)
        return _array_difference(numbers, numbers_of(expected), tolerance)
    if isinstance(expected, np.ndarray):
        if not isinstance(got, np.ndarray):
            return _kinds(got, expected)
        return _array_difference(got, expected, tolerance)
    if isinstance(expected, (bool, int, float, np.generic)):
        return _number_difference(got, expected, tolerance)
    if isinstance(expected, str):
        return _string_difference(got, expected)
    if isinstance(expected, (list, tuple)):
        return _sequence_difference(got, expected, tolerance)
    if isinstance(expected, dict):
        return _dict_difference(got, expected, tolerance)
    if type(got) is not type(expected):
        return _kinds(got, expected)
    return None if got == expected else _got_and_expected(got, expected)


def _got_and_expected(got: object, expected: object) -> str:
    mine, theirs = show_apart(got, expected)
    return f"Got {mine}, expected {theirs}."


def _kinds(got: object, expected: object) -> str:
    tips = (
        tip
        for (came, wanted), tip in _OTHER_KIND.items()
        if isinstance(got, came) and isinstance(expected, wanted)
    )
    return " ".join([f"This is {describe(got)}; expected was {describe(expected)}.", *tips])


_SORTS = {"b": "bool", "i": "integer", "u": "integer", "f": "floating-point"}


def shape_difference(got: tuple, expected: tuple) -> str | None:
    """Say how two shapes differ, or return None if they do not."""
    if got == expected:
        return None
    words = f"The shape is {got}; expected was {expected}."
    if sorted(got) == sorted(expected):
        words += " The sizes are right, in another order: two axes are swapped."
    elif math.prod(got) == math.prod(expected):
        words += " The number of values is right: a `reshape` or `unsqueeze` may be all that is missing."
    elif len(got) == len(expected) - 1:
        words += " One axis is missing: a sum or mean may need `keepdim=True`, or an index took an axis away."
    return words


def _array_difference(got: np.ndarray, expected: np.ndarray, tolerance: float) -> str | None:
    wrong_shape = shape_difference(got.shape, expected.shape)
    if wrong_shape:
        return wrong_shape
    sorts = _SORTS.get(got.dtype.kind, str(got.dtype)), _SORTS.get(expected.dtype.kind, str(expected.dtype))
    if sorts[0] != sorts[1]:
        return f"The values are of dtype {sorts[0]}; expected was {sorts[1]}."
    wrong = _unequal(got, expected, tolerance)
    if not wrong.any():
        return None
    if got.ndim == 0:
        return _got_and_expected(got.item(), expected.item())
    at = tuple(int(axis[0]) for axis in np.nonzero(wrong))
    mine, theirs = show_apart(got[at], expected[at])
    if got.size == 1:
        return f"At {list(at)}: got {mine}, expected {theirs}."
    count = f"All {got.size} values differ" if wrong.all() else f"{wrong.sum()} of {got.size} values differ"
    return f"{count}{_where(wrong)}, first at {list(at)}: got {mine}, expected {theirs}."


def _unequal(got: np.ndarray, expected: np.ndarray, tolerance: float) -> np.ndarray:
    """True in each cell in which two arrays of one shape differ."""
    if expected.dtype.kind in "fc":
        return ~np.isclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    return np.asarray(got != expected)


def _where(wrong: np.ndarray) -> str:
    """Where in a table the cells lie that differ, if one word says it."""
    if wrong.ndim != 2 or min(wrong.shape) < 2 or wrong.all() or wrong.sum() < 2:
        return ""
    rows, columns = np.nonzero(wrong)
    if len(set(rows)) == 1:
        return f", all in row {rows[0]}"
    if len(set(columns)) == 1:
        return f", all in column {columns[0]}"
    if wrong.shape[0] == wrong.shape[1]:
        places = (rows == columns, "on"), (rows < columns, "above"), (rows > columns, "below")
        for hit, word in places:
            if hit.all():
                return f", all {word} the diagonal"
    return ""


LONGEST_SIDE = 8
WIDEST = 100


def side_by_side(got: object, expected: object, tolerance: float) -> str | None:
    """Two small tables next to one another, the cells that differ in brackets; None for anything else."""
    mine, theirs = _table(got), _table(expected)
    if mine is None or theirs is None or mine.shape != theirs.shape:
        return None
    wrong = _unequal(mine, theirs, tolerance)
    for digits in range(2, 18):
        cells = [
            np.vectorize(lambda x, digits=digits: _cell(x, digits), otypes=[object])(t)
            for t in (mine, theirs)
        ]
        if (cells[0] != cells[1])[wrong].all():
            break
    else:
        return None
    width = max(len(cell) for table in cells for cell in table.flat)

    def row(table: np.ndarray, i: int) -> str:
        framed = zip(table[i], wrong[i], strict=True)
        return "".join(f"[{cell:>{width}}]" if bad else f" {cell:>{width}} " for cell, bad in framed)

    lines = [f"{row(cells[0], i)}    {row(cells[1], i)}".rstrip() for i in range(len(mine))]
    return "\n".join(lines) if len(lines[0]) <= WIDEST else None


def _table(value: object) -> np.ndarray | None:
    """A tensor, array or list of lists as a table of two rows or more; None if it is none or too large."""
    if isinstance(value, torch.Tensor):
        value = numbers_of(value)
    elif isinstance(value, (list, tuple)) and all(isinstance(row, (list, tuple)) for row in value):
        if len({len(row) for row in value}) != 1:
            return None
        try:
            value = np.array(value)
        except ValueError:  # rows of equal length whose items are lists of several lengths
            return None
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.dtype.kind not in "biuf":
        return None
    rows, columns = value.shape
    return value if 2 <= rows <= LONGEST_SIDE and 1 <= columns <= LONGEST_SIDE else None


def _cell(value: object, digits: int) -> str:
    if not isinstance(value, (float, np.floating)):
        return str(value)
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _number_difference(got: object, expected: object, tolerance: float) -> str | None:
    if isinstance(got, (torch.Tensor, np.ndarray)) and got.ndim == 0 and not getattr(got, "is_meta", False):
        got = got.item()
    got, expected = (value.item() if isinstance(value, np.generic) else value for value in (got, expected))
    if not isinstance(got, (bool, int, float)) or isinstance(got, bool) != isinstance(expected, bool):
        return _kinds(got, expected)
    if isinstance(expected, float):
        equal = math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance)
    else:
        equal = got == expected  # exact: counts of operations can be larger than a float can tell apart
    return None if equal else _got_and_expected(got, expected)


def _string_difference(got: object, expected: str) -> str | None:
    if not isinstance(got, str):
        return _kinds(got, expected)
    if got == expected:
        return None
    if got.strip().lower() == expected.strip().lower():
        return "The letters are right; upper and lower case, or a space at an end, are not."
    at = next(
        (i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b),
        min(len(got), len(expected)),
    )
    return f"From character {at} on they differ: got {show(got[at:])}, expected {show(expected[at:])}."


def _sequence_difference(got: object, expected: list | tuple, tolerance: float) -> str | None:
    if not isinstance(got, (list, tuple)):
        return _kinds(got, list(expected))
    if len(got) != len(expected):
        return f"The number of values is {len(got)}; expected was {len(expected)}."
    for index, (mine, theirs) in enumerate(zip(got, expected, strict=True)):
        fault = difference(mine, theirs, tolerance)
        if fault:
            return _at(str(index), fault)
    return None


def _at(place: str, fault: str) -> str:
    """The fault with its place before it. Places in places grow together: At [1][0]."""
    return f"At [{place}]{fault[3:]}" if fault.startswith("At [") else f"At [{place}]: {fault}"


def _dict_difference(got: object, expected: dict, tolerance: float) -> str | None:
    if not isinstance(got, dict):
        return _kinds(got, expected)
    for words, keys in (
        ("is missing", expected.keys() - got.keys()),
        ("does not belong", got.keys() - expected.keys()),
    ):
        if keys:
            return f"The key {show(min(keys, key=str))} {words}."
    for key, theirs in expected.items():
        fault = difference(got[key], theirs, tolerance)
        if fault:
            return _at(show(key), fault)
    return None


# ----------------------------------------------------------------------------------------------------------
# Places

_STDLIB = Path(sysconfig.get_path("stdlib"))
_COURSE = Path(__file__).resolve().parents[1]


def is_library(filename: str) -> bool:
    """True for code of Python, of a package or of the course; a reader's cells and files are none of it."""
    if filename.startswith("<"):
        return not re.match(r"<(ipython-input|string|stdin|python-input)", filename)
    path = Path(filename)
    return (
        not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
        or path.is_relative_to(_STDLIB)
        or path.is_relative_to(_COURSE)
    )


def readers_line(stack: traceback.StackSummary, own_file: str | None) -> str:
    """The deepest line in `stack` that the reader wrote, with its number and the failing part marked.

    `own_file` is where the answer is defined: it always counts as the reader's. Empty if no line is the
    reader's.
    """
    own = [frame for frame in stack if frame.filename == own_file or not is_library(frame.filename)]
    if not own:
        return ""
    frame = own[-1]
    path = Path(frame.filename)
    # A cell is compiled under the name of a file that does not exist.
    place = path.name if path.is_file() else "your cell"
    _, *marked = stack.format_frame_summary(frame).splitlines()  # the first line gives the path of the file
    return "\n".join([f"Line {frame.lineno} of {place}, in `{frame.name}`:", *marked])


# ----------------------------------------------------------------------------------------------------------
# Errors

# (pattern for "Type: text", help), first match wins; {1}, {2} stand for the groups of the pattern.
_HELP = [
    (
        r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)",
        (
            "In `A @ B` the last axis of A and the last but one of B must have the same size; here they are "
            "{2} and {3}. Print both shapes. If B holds one vector a row, `B.transpose(-2, -1)` turns it "
            "round."
        ),
    ),
    (
        (
            r"Expected size for first two dimensions of batch2 tensor to be: \[(\d+), (\d+)\] but got: "
            r"\[(\d+), (\d+)\]"
        ),
        (
            "In a product of batches `A @ B` the last axis of A and the last but one of B must have the same "
            "size; here they are {2} and {4} (batch sizes {1} and {3}). `B.transpose(-2, -1)` swaps the last "
            "two axes of B."
        ),
    ),
    (
        r"size mismatch, got input \((\d+)\), mat \((\d+)x(\d+)\), vec \((\d+)\)",
        "A matrix of shape ({2}, {3}) times a vector needs {3} numbers in the vector; it has {4}.",
    ),
    (
        (
            r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton "
            r"dimension (\d+)"
        ),
        (
            "Two tensors are combined value by value, and on axis {3} their sizes are {1} and {2}. Sizes "
            "must be equal, or one of them 1. Print both shapes; `keepdim=True` or `unsqueeze` often gives "
            "the missing axis."
        ),
    ),
    (
        r"expanded size of the tensor \((\d+)\) must match the existing size \((\d+)\)",
        "Only an axis of size 1 can be expanded or filled; this one has size {2} and {1} was asked for.",
    ),
    (
        r"Sizes of tensors must match except in dimension (\d+)",
        "`torch.cat` joins along axis {1}, and all the other axes must agree. Print the shapes of the parts.",
    ),
    (
        r"stack expects each tensor to be equal size",
        "`torch.stack` needs parts of one and the same shape. Print them.",
    ),
    (
        r"shape '(.*)' is invalid for input of size (\d+)",
        (
            "`view` and `reshape` keep the number of values: the tensor has {2}, and the sizes in {1} "
            "multiply to another number."
        ),
    ),
    (
        r"view size is not compatible",
        (
            "After a `transpose` the values no longer lie in order in memory. Use `.reshape(...)`, or "
            "`.contiguous()` first."
        ),
    ),
    (
        r"Dimension out of range \(expected to be in range of (.*), but got (-?\d+)\)",
        "You name axis {2}, and this tensor has only the axes in {1}. Print its shape.",
    ),
    (
        r"too many indices for tensor of dimension (\d+)",
        "You index more axes than there are: this tensor has {1}. Print its shape.",
    ),
    (
        r"IndexError: index out of range in self",
        "An id is not in the table of the embedding: ids run from 0 to the number of rows - 1.",
    ),
    (
        r"index (-?\d+) is out of bounds for (?:dimension|axis) (\d+) with size (\d+)",
        "On axis {2} the places are numbered 0 to {3} - 1; you ask for place {1}.",
    ),
    (
        r"Target (-?\d+) is out of bounds",
        (
            "The loss met the label {1}, which is not the number of a class. Labels run from 0 to the number "
            "of classes - 1, and -100 means: do not count this position."
        ),
    ),
    (
        r"Expected target size",
        (
            "`cross_entropy` wants the classes on axis 1: make the logits (N, classes) and the labels (N,), "
            "for example with `logits.reshape(-1, classes)` and `labels.reshape(-1)`."
        ),
    ),
    (
        r"(list|string|tuple) index out of range",
        "You ask for a place behind the end of the {1}. Places run from 0 to length - 1.",
    ),
    (
        r"KeyError: (.*)",
        "The dictionary has no key {1}. `d.get(key, default)` gives a default for keys that are missing.",
    ),
    (
        r"have the same dtype|expected scalar type|must have the same dtype",
        "Two tensors of different dtypes meet. `.float()` makes floating point, `.long()` makes integers.",
    ),
    (
        r"could not infer output dtype|not implemented for '(?:Long|Int)'",
        "This operation needs floating-point numbers, and the tensor holds integers. Use `.float()` first.",
    ),
    (r"'indices' to have one of the following scalar types", "Ids must be integers: use `.long()`."),
    (
        r"masked_fill_? only supports boolean masks",
        "A mask must hold True and False: write a comparison such as `attention_mask == 0`.",
    ),
    (
        r"operator.invert|with two bool tensors|with a bool tensor",
        (
            "True and False take `~` (not), `&` (and), `|` (or); numbers take `-` and `+`. `.bool()` changes "
            "numbers to True and False."
        ),
    ),
    (
        r"Boolean value of (?:a )?Tensor|truth value of an array",
        (
            "`if` and `and` need one True or False, and this tensor has several values. Use `&`, "
            "`torch.where`, `.any()` or `.all()`."
        ),
    ),
    (
        r"element tensors? can be converted to Python scalars|cannot be converted to Scalar",
        "`float(...)` and `.item()` take a tensor with one value; this one has more.",
    ),
    (
        r"argument '(\w+)' .*must be Tensor, not (\w+)",
        (
            "The functions of torch take tensors, and `{1}` is a {2}. Use `torch.tensor(...)` first, or the "
            "functions of `math`."
        ),
    ),
    (
        r"call numpy\(\) on Tensor that requires grad",
        "This tensor carries gradients. `.detach()` gives the numbers without them.",
    ),
    (
        r"a leaf Variable that requires grad",
        "Parameters may be edited in place only inside `with torch.no_grad():`.",
    ),
    (
        r"does not require grad and does not have a grad_fn",
        (
            "`backward` found nothing to differentiate: the loss was computed under `no_grad`, or with "
            "`.detach()` or `.item()`."
        ),
    ),
    (
        r'missing the required "forward" function',
        "A module needs a method `forward(self, ...)`. Check its name and indentation.",
    ),
    (
        r"before Module\.__init__\(\) call",
        "The first line of `__init__` must be `super().__init__()`.",
    ),
    (r"'?ellipsis'?", "A `...` is left in your code where a value belongs."),
    (
        r"'NoneType'",
        (
            "A value here is None. Often it comes from a function without a `return`, or from a method such "
            "as `list.append` or `list.sort`, which edits and returns nothing."
        ),
    ),
    (
        r"UnboundLocalError",
        (
            "A name gets its value inside the function, but only after this line, or only in a branch that "
            "was not taken."
        ),
    ),
    (
        r"NameError: name '(?:torch|math|np|nn|F)' is not defined",
        "The import is missing: run the first code cell of the notebook again.",
    ),
    (
        r"NameError: name '(\w+)' is not defined",
        "Python does not know `{1}` here. Is it spelt as in the task? Was the cell that defines it run?",
    ),
    (
        r"unsupported operand type\(s\) for .*'list'|can't multiply sequence by non-int",
        (
            "A list is not a vector: it has no arithmetic. Go through its values, `[x / total for x in xs]`, "
            "or make it a tensor with `torch.tensor(xs)`."
        ),
    ),
    (
        r"can only concatenate (\w+) \(not \"(\w+)\"\)",
        "`+` joins a {1} only to a {1}; the other one is of type {2}.",
    ),
    (
        r"takes \d+ positional arguments? but \d+ (?:was|were) given",
        "A function is called with more arguments than it takes.",
    ),
    (r"missing \d+ required", "A function is called with fewer arguments than it needs."),
    (
        r"unexpected keyword argument '(\w+)'",
        "A function is called with `{1}=...`, and it has no such parameter.",
    ),
    (
        r"'(\w+)' object is not callable",
        "Round brackets call a function, and a value of type {1} is none. Is a name used twice?",
    ),
    (
        r"'(\w+)' object is not subscriptable",
        "Square brackets take a part of a list or tensor; a value of type {1} has no parts.",
    ),
    (
        r"'(\w+)' object is not iterable",
        "A loop, or `list`, or `sum`, needs several values; a value of type {1} is one.",
    ),
    (
        r"'(\w+)' object has no attribute '(\w+)'",
        "A value of type {1} has nothing called `{2}`. Check the spelling and the type.",
    ),
    (r"ZeroDivisionError", "Something is divided by zero. Which input makes the divisor zero?"),
    (
        r"OverflowError",
        (
            "A number is too large for floating point: `math.exp` gives up above about 709. Can you subtract "
            "something before the exp?"
        ),
    ),
    (r"RecursionError", "The function calls itself without end. Which case makes it stop?"),
    (
        r"MemoryError|can't allocate memory",
        "The result would not fit into memory. Print the shapes on the way to it.",
    ),
    (r"AssertionError", "An `assert` in your own code does not hold for this input."),
    (r"SystemExit", "The code asks Python to exit. An answer only returns its value."),
]


def help_for(error: BaseException) -> str:
    """What an error usually means and what to try, chosen by its type and text; empty if unknown."""
    text = f"{type(error).__name__}: {text_of(error)}"
    for pattern, words in _HELP:
        found = re.search(pattern, text)
        if found:
            # The whole match goes first, as argument 0 of `format`, so that {1} is the first group.
            return words.format(found.group(), *found.groups()) if found.groups() else words
    return ""
