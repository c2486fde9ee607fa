"""What a function takes is said once, by the type hints of its parameters, and they are held.

The last line of every taught module is `hold_to_hints(globals())`: from there on its public functions take
lists, NumPy arrays and NumPy numbers where these mean the same as what the hint says, and refuse anything
else, in the words of `checks`. Hints such as `Count` and `Share` also say which numbers make sense.

A call costs a few microseconds; one from part to part of a model or of a step, next to nothing. Nothing here
imports torch before a tensor is asked for.
"""

import collections.abc
import functools
import inspect
import math
import numbers
import os
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from course_utils.checks import check_at_least, check_count, check_positive, check_seed, check_share, refusal

if TYPE_CHECKING:
    from torch import Tensor

# ---- Hints that say which numbers make sense ------------------------------------------------------------


def check_not_negative(name: str, value: float) -> None:
    """`value` is 0 or more."""
    check_at_least(name, value, 0)


def check_char(name: str, value: str) -> None:
    """`value` is a single character."""
    if len(value) != 1:
        raise refusal(name, "one character", repr(value))


def check_ids(name: str, tensor: Any) -> None:
    """Whole numbers from 0, of a dtype that has room for every id and for -100."""
    check_labels(name, tensor)
    if not tensor.is_meta and tensor.numel() and tensor.min() < 0:
        raise refusal(name, "0 or more", int(tensor.min()))


def check_labels(name: str, tensor: Any) -> None:
    """Whole numbers of a dtype that has room for every id and for -100."""
    if str(tensor.dtype) not in ("torch.int64", "torch.int32"):
        raise refusal(name, "the dtype torch.int64 or torch.int32", tensor.dtype)


def check_some(name: str, values: Any) -> None:
    """There is a first value."""
    if not len(values):
        raise refusal(name, "at least one", "none")


def check_bool(name: str, tensor: Any) -> None:
    """True and False, along one axis at least."""
    if str(tensor.dtype) != "torch.bool" or not tensor.numel() or not tensor.dim():
        raise refusal(name, "True and False, in a tensor of dtype torch.bool", shown(tensor))


def check_counts(name: str, tensor: Any) -> None:
    """Occurrences: a tensor or an array of finite numbers from 0, not all of them 0."""
    if (
        not tensor.shape
        or getattr(tensor, "is_meta", False)
        or not (tensor >= 0).all()
        or not 0 < float(tensor.sum()) < math.inf
    ):
        raise refusal(name, "finite numbers from 0, some of them above 0", shown(tensor))


Count = Annotated[int, check_count]
Natural = Annotated[int, check_not_negative]
Seed = Annotated[int, check_seed]
Share = Annotated[float, functools.partial(check_share, closed=True)]
ProperShare = Annotated[float, check_share]  # less than 1
Positive = Annotated[float, check_positive]
NotNegative = Annotated[float, check_not_negative]
Char = Annotated[str, check_char]
Ids = Annotated["Tensor", check_ids]
Mask = Annotated["Tensor", check_bool]
Labels = Annotated["Tensor", check_labels]


# ---- Hints that are held --------------------------------------------------------------------------------

Take = Callable[[str, Any], Any]  # (name, value): the value as the hint says it, or a refusal
Named = tuple[str, Take | None]  # a parameter and how it is taken


TORCH_ERRORS = (
    RuntimeError,
    NotImplementedError,
    IndexError,
    TypeError,
    ValueError,
)  # and none of their kinds


# The parts of a model and of a training step run thousands of times, and a text is gone through once: what
# they get from one another has been looked at where it came in. torch calls modules; whatever else calls, a
# callback say, is looked at, and so is every constructor. The other modules are not among these: they hand on
# what nobody has looked at, fields of records and what came under the hint `Any`.
OFTEN = ("course_utils.bert.", "course_utils.mlm", "course_utils.toy.", "course_utils.word2vec")
TRUSTED = ("course_utils.", "torch.")


class Inside(threading.local):
    """Whether this thread is in a function that is held."""

    one = False


inside = Inside()


class WrongKind(TypeError, ValueError):
    """A value of another kind than the hint says; who expects either of the two catches it."""


def hold_to_hints(module: dict[str, Any]) -> None:
    """Make the public functions of a module, and of its classes, take what their hints say.

    Args:
        module: the `globals()` of the module, at its end. A class that only keeps what it is given
            (a dataclass without a check of its own) is left alone: whoever reads it looks at what it holds.
    """
    for name, part in list(module.items()):
        if name.startswith("_") or getattr(part, "__module__", None) != module["__name__"]:
            continue
        if inspect.isfunction(part):
            module[name] = held(part)
        elif inspect.isclass(part) and not issubclass(part, tuple):
            keeps_only = hasattr(part, "__dataclass_fields__") and not hasattr(part, "__post_init__")
            for key, method in list(vars(part).items()):
                if key.startswith("_") and (key != "__init__" or keeps_only):
                    continue
                if inspect.isfunction(method):
                    setattr(part, key, held(method))
                elif isinstance(method, classmethod):
                    setattr(part, key, classmethod(held(method.__func__)))


def held(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, but its arguments are looked at first, and given to it as its hints say."""

    @functools.cache  # read at the first call: by then every name that a hint holds is defined
    def ways() -> tuple[dict[str, Take | None], list[Named], Named, Take | None]:
        """How arguments are taken: by name, by place, in `*args`, and in `**kwargs`."""
        names = vars(inspect.getmodule(inspect.unwrap(function)))
        by_name: dict[str, Take | None] = {}
        by_place: list[Named] = []
        rest: Named = "", None
        other_names = None
        for name, parameter in inspect.signature(function).parameters.items():
            hint = parameter.annotation
            way = None if hint is parameter.empty else take(hint, names)
            if parameter.kind is parameter.VAR_KEYWORD:
                other_names = way
            elif parameter.kind is parameter.VAR_POSITIONAL:
                rest = name, way
            else:
                by_name[name] = way
                if parameter.kind is not parameter.KEYWORD_ONLY:
                    by_place.append((name, way))
        return by_name, by_place, rest, other_names

    often = function.__module__.startswith(OFTEN) and function.__name__ != "__init__"

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if often and inside.one and sys._getframe(1).f_globals.get("__name__", "").startswith(TRUSTED):
            return function(*args, **kwargs)
        by_name, by_place, rest, other_names = ways()
        given = list(args)
        on_meta = False
        for place, value in enumerate(args):
            name, way = by_place[place] if place < len(by_place) else rest
            if way is not None:
                given[place] = value = way(name, value)
                on_meta = on_meta or getattr(value, "is_meta", False)
        for name, value in kwargs.items():
            if (way := by_name.get(name, other_names)) is not None:
                kwargs[name] = value = way(name, value)
                on_meta = on_meta or getattr(value, "is_meta", False)
        if on_meta:
            refuse_half_meta(function.__name__, [*given, *kwargs.values()])
        was_inside, inside.one = inside.one, True
        try:
            return function(*given, **kwargs)
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            came = {
                **dict(zip([name for name, _ in by_place + [rest] * len(args)], given, strict=False)),
                **kwargs,
            }
            tensors = [f"{name} {shown(value)}" for name, value in came.items() if is_tensor(value)]
            if not tensors or type(error) not in TORCH_ERRORS or ": expected " in str(error):
                raise
            reason = str(error).partition("\n")[0]
            expected = "tensors that go with one another and have numbers in them"
            raise refusal(function.__name__, expected, ", ".join(tensors), reason) from error
        finally:
            inside.one = was_inside

    return call


def refuse_half_meta(name: str, values: Sequence[Any]) -> None:
    """Tensors of shapes alone mixed with numbers give numbers that nobody has computed."""
    tensors = [value for value in values if is_tensor(value)]
    weights = next(values[0].parameters(), None) if hasattr(values[0], "parameters") else None
    if weights is not None:
        tensors.append(weights)
    if not all(tensor.is_meta for tensor in tensors):
        got = ", ".join(shown(tensor) for tensor in tensors)
        raise refusal(name, "all tensors on the meta device, or none of them", got)


def take(hint: Any, names: dict[str, Any]) -> Take | None:
    """How a value is taken under `hint`; None where anything is. `names` are those that its text may hold."""
    if isinstance(hint, (str, typing.ForwardRef)):
        try:
            text = hint if isinstance(hint, str) else hint.__forward_arg__
            hint = eval(text, names, {"Tensor": getattr(sys.modules.get("torch"), "Tensor", Any)})
        except NameError:  # known to type checkers only
            return None
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return take_annotated(take(inner[0], names), inner[1:])
    if origin in (types.UnionType, typing.Union):
        return take_one_of([(part, take(part, names)) for part in inner])
    kind = origin or hint
    if kind in (Any, object) or isinstance(kind, TypeVar) or not isinstance(kind, type):
        return None
    if kind in PLAIN:
        return PLAIN[kind]
    if kind is collections.abc.Callable:
        return lambda name, value: value if callable(value) else wrong_kind(name, hint, value)
    if kind.__name__ == "Tensor":
        return take_tensor
    if kind.__name__ == "ndarray":
        return take_array
    if kind in (list, tuple, Sequence, Iterable):
        return take_many(hint, kind, [take(part, names) for part in inner if part is not Ellipsis], inner)
    return lambda name, value: value if isinstance(value, kind) else wrong_kind(name, hint, value)


def wrong_kind(name: str, hint: Any, value: object) -> typing.NoReturn:
    raise refusal(name, words(hint), shown(value), kind=WrongKind)


def take_int(name: str, value: Any) -> int:
    if type(value) is int:
        return value
    number = plain_number(value)
    return int(number) if isinstance(number, numbers.Integral) else wrong_kind(name, int, value)


def take_float(name: str, value: Any) -> float:
    number = value if type(value) in (float, int) else plain_number(value)
    if not isinstance(number, numbers.Real) or not math.isfinite(number):
        wrong_kind(name, float, value)
    return number if isinstance(number, int) else float(number)


def take_bool(name: str, value: Any) -> bool:
    if type(value) is not bool and type(value).__name__ not in ("bool", "bool_"):
        wrong_kind(name, bool, value)
    return bool(value)


def take_str(name: str, value: Any) -> str:
    return value if isinstance(value, str) else wrong_kind(name, str, value)


def take_text(name: str, value: Any) -> str:
    return value if isinstance(value, str) and value else wrong_kind(name, str, value)


def take_path(name: str, value: Any) -> Any:
    if not isinstance(value, (str, os.PathLike)) or not str(value):
        wrong_kind(name, Path, value)
    return value if isinstance(value, Path) else Path(value)


def plain_number(value: Any) -> object:
    """The number in a NumPy number or in a tensor without axes; nothing for True and False."""
    if getattr(value, "ndim", None) == 0 and not getattr(value, "is_meta", False):
        value = value.item()
    return None if isinstance(value, bool) else value


def is_tensor(value: object) -> bool:
    return hasattr(value, "is_meta")


def take_tensor(name: str, value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
        try:
            return torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError):  # of rows of unequal length, or no numbers at all
            pass
    wrong_kind(name, torch.Tensor, value)


def take_array(name: str, value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.ndarray):
        return value
    if (
        isinstance(value, (list, tuple))
        or hasattr(value, "__array__")
        and not getattr(value, "is_meta", False)
    ):
        try:
            return np.asarray(value)
        except (TypeError, ValueError):
            pass
    wrong_kind(name, np.ndarray, value)


PLAIN: dict[Any, Take] = {
    int: take_int,
    float: take_float,
    bool: take_bool,
    str: take_str,
    Path: take_path,
}


def take_annotated(way: Take | None, checks: Sequence[Callable[[str, Any], None]]) -> Take:
    def annotated(name: str, value: Any) -> Any:
        number = plain_number(value) if way in (take_int, take_float) else None
        is_number = isinstance(number, numbers.Real) or check_count in checks and number is not None
        if not is_number and way is not None:
            value = way(name, value)
        for check in checks:  # of a number first: what makes sense says more than the kind does
            check(name, number if is_number else value)
        return way(name, value) if is_number and way is not None else value

    return annotated


def take_one_of(parts: Sequence[tuple[Any, Take | None]]) -> Take | None:
    """The first of several hints that takes the value."""
    if any(way is None for _, way in parts):
        return None
    if any(part is Path for part, _ in parts):  # a path as text is left as it is: it may be a name as well
        parts = [(part, take_text if part is str else way) for part, way in parts]
    allows_none = any(part is type(None) for part, _ in parts)
    ways = [way for part, way in parts if part is not type(None)]

    def one_of(name: str, value: Any) -> Any:
        if value is None and allows_none:
            return value
        for way in ways:
            try:
                return way(name, value)
            except WrongKind as error:
                if not str(error).startswith(f"{name}: "):  # the right kind of list, with a wrong value in it
                    raise
        expected = " or ".join(dict.fromkeys(words(part) for part, _ in parts))
        raise refusal(name, expected, shown(value), kind=WrongKind)

    return one_of


def take_many(hint: Any, kind: type, ways: Sequence[Take | None], inner: Sequence[Any]) -> Take:
    """A list or its like; what stands in it is looked at too, but for the values of an iterator."""
    of_one_kind = kind is not tuple or Ellipsis in inner

    def many(name: str, value: Any) -> Any:
        if hasattr(value, "tolist") and getattr(value, "ndim", 1) and not getattr(value, "is_meta", False):
            value = value.tolist()  # a NumPy array or a tensor
        is_list = (  # what has keys, a dictionary or a table of pandas, gives names in place of values
            hasattr(value, "__getitem__") and hasattr(value, "__len__") and not hasattr(value, "keys")
        )
        if (
            isinstance(value, (str, bytes))
            or is_tensor(value)
            or not (is_list or kind is Iterable and isinstance(value, Iterable))
        ):
            wrong_kind(name, hint, value)
        if not of_one_kind and len(value) != len(inner):
            raise refusal(name, f"{len(inner)} values", shown(value), kind=WrongKind)
        if (
            any(ways)
            and isinstance(value, (list, tuple, set))
            and not (of_one_kind and are_exactly(ways[0], value))
        ):
            each = list(ways) * len(value) if of_one_kind else ways
            taken = [value_of(name, place, part, each[place]) for place, part in enumerate(value)]
            if any(new is not old for new, old in zip(taken, value, strict=True)):
                value = taken
        return tuple(value) if kind is tuple else value

    if kind is not tuple and len(ways) == 1:
        many.way_of_each = ways[0]  # type: ignore[attr-defined]  # for `are_exactly`
    return many


def are_exactly(way: Take | None, values: Sequence[Any]) -> bool:
    """Whether all values are plain ones of the kind that `way` takes, or lists of such.

    Seen quickly: a text of a million words in sentences takes hundredths of a second.
    """
    kinds = set(map(type, values))
    if hasattr(way, "way_of_each"):
        return kinds <= {list, tuple} and are_exactly(way.way_of_each, list(chain.from_iterable(values)))
    return any(PLAIN[kind] is way and kinds <= {kind} for kind in (int, str, bool))


def value_of(name: str, place: int, value: Any, way: Take | None) -> Any:
    """One value of a list, named by its place where it is refused."""
    try:
        return value if way is None else way(name, value)
    except ValueError:
        assert way is not None
        return way(f"{name}[{place}]", value)


def words(hint: Any) -> str:
    """What a hint asks for, in words."""
    kind = typing.get_origin(hint) or hint
    if kind is Annotated:
        return words(typing.get_args(hint)[0])
    known = {
        int: "a whole number",
        float: "a finite number",
        bool: "True or False",
        str: "a string",
        Path: "a path",
        type(None): "None",
        tuple: "a list",
        list: "a list",
        Sequence: "a list",
        Iterable: "a list",
        collections.abc.Callable: "a function",
        Mapping: "a dictionary",
        dict: "a dictionary",
    }
    if kind in (list, Sequence, Iterable) and typing.get_args(hint) == (str,):
        return "a list of strings"
    name = getattr(kind, "__name__", str(kind))
    return known.get(kind) or f"a{'n' * (name[0] in 'AEIOUaeiou')} {name}"


def shown(value: object) -> str:
    """A value, in one short line: of tensors and arrays their shape and dtype."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None and len(shape):
        where = ", on the meta device" if getattr(value, "is_meta", False) else ""
        return f"the shape {tuple(shape)} of {dtype}{where}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 and " at 0x" not in text else f"a {type(value).__name__}"
