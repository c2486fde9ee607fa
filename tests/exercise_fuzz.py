"""Answers for every exercise by the hundred, right and wrong, made from the source of its solution.

    python tests/exercise_fuzz.py [module.exercise ...]     what each check says to each answer, as JSON

Right answers return the result in other forms: float64, NumPy, lists, numbers without axes. Wrong answers
change the solution in one place, keep the first value of an input, use the first row for every row, or fail
on inputs that are empty, zero, tied or negative. `test_exercise_fuzz` holds the verdicts to a reviewed list.

An answer that gives, on every input of the check, bit for bit what the solution gives, passes; an answer that
agrees up to an input and raises there is refused. Neither needs a run of the check, which saves most of the
time. Of the answers whose first other result is plainly another one, every sixteenth is put to the check,
chosen by the check sum of its name, and every one that is listed. With BERT_COURSE_FUZZ=all every answer is
put to the check itself, each form and each signature alone: do so after a change of an exercise.
"""

import ast
import contextlib
import copy
import functools
import importlib
import inspect
import io
import itertools
import json
import os
import pkgutil
import sys
import tomllib
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import course_utils.exercises
from course_utils.classroom.engine import Exercise

ALL = os.environ.get("BERT_COURSE_FUZZ") == "all"
REVIEWED = Path(__file__).with_suffix(".toml")
SAMPLE = 16  # one in so many
STEPS = 20_000  # passes through `while` loops before an answer is taken to be endless


@dataclass(frozen=True)
class Answer:
    """One answer to try: `make()` gives a fresh one, since some remember what they were called with."""

    kind: str
    name: str
    make: Callable[[], Callable]

    @property
    def id(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True)
class Call:
    """One call of the solution by its check: the inputs by name of parameter, and what came back."""

    inputs: dict[str, object]
    result: object


def exercises() -> dict[str, Exercise]:
    """All exercises of the course whose answer is a function, by `module.name`."""
    found = {}
    for info in pkgutil.iter_modules(course_utils.exercises.__path__):
        module = importlib.import_module(f"course_utils.exercises.{info.name}")
        parts = {f"{info.name}.{n}": part for n, part in vars(module).items() if isinstance(part, Exercise)}
        found |= {name: part for name, part in parts.items() if inspect.isfunction(part.model_answer)}
    return dict(sorted(found.items()))


# ----------------------------------------------------------------------------------------------------------
# The verdict on one answer


def accepts(subject: Exercise, answer: Callable) -> bool:
    """What the check itself says."""
    with contextlib.redirect_stdout(io.StringIO()):
        return bool(subject.check(answer))


def calls_of(subject: Exercise) -> list[Call]:
    """The calls that the check makes when the answer is right."""
    calls = []
    if not accepts(subject, recorded(subject, subject.model_answer, calls)):
        raise ValueError(f"the solution of {subject.name} is refused")
    return calls


def recorded(subject: Exercise, answer: Callable, calls: list[Call]) -> Callable:
    """The answer, but before each call the inputs and the result of the solution are appended to `calls`."""
    solution = subject.model_answer
    signature = inspect.signature(solution)

    @functools.wraps(solution)
    def recorder(*args, **kwargs):
        inputs = copy.deepcopy(dict(signature.bind(*args, **kwargs).arguments))
        calls.append(Call(inputs, solution(**copy.deepcopy(inputs))))
        return answer(*args, **kwargs)

    return recorder


def passes(subject: Exercise, answer: Answer, calls: list[Call], listed: set[str]) -> bool:
    """Whether the check accepts the answer, without running it where the verdict is certain.

    Of the answers whose result is plainly another one, a sample is put to the check: those that are listed,
    and those whose check sum is divisible by SAMPLE.
    """
    if not ALL:
        comparison = _compare(answer.make(), calls)
        if comparison in ("agrees", "stops"):
            return comparison == "agrees"
        in_sample = answer.id in listed or zlib.crc32(f"{subject.name} {answer.id}".encode()) % SAMPLE == 0
        if comparison == "differs" and not in_sample:
            return False
    return accepts(subject, answer.make())


def _compare(function: Callable, calls: list[Call]) -> str:
    """The answer beside the solution: it agrees, stops with an error, is near, or differs."""
    for call in calls:
        inputs = copy.deepcopy(call.inputs)
        try:
            result = function(**inputs)
        except Exception:  # noqa: BLE001 (a changed solution may raise anything; a check refuses it)
            return "stops"
        if result is None:
            return "stops"
        if not (same(result, call.result) and same(inputs, call.inputs)):
            return "near" if is_near(result, call.result) else "differs"
    return "agrees"


def is_near(a: object, b: object) -> bool:
    """Equal but for the dtype, the container, or one part in a hundred."""
    if isinstance(b, (dict, str, set)) or b is None or isinstance(b, torch.nn.Module):
        return isinstance(a, type(b)) and a == b
    if isinstance(b, (list, tuple)) and not isinstance(a, (torch.Tensor, np.ndarray)):
        return isinstance(a, (list, tuple)) and len(a) == len(b) and all(map(is_near, a, b))
    if not all(
        isinstance(value, (bool, int, float, np.generic, np.ndarray, torch.Tensor)) for value in (a, b)
    ):
        return False
    one, other = (torch.as_tensor(value).detach().double() for value in (a, b))
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-2, atol=1e-2, equal_nan=True)


def same(a: object, b: object) -> bool:
    """Equal in type and in every bit that counts."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and np.array_equal(a.detach().numpy(), b.detach().numpy(), equal_nan=a.is_floating_point())
        )
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, torch.nn.Module):
        return same(dict(a.state_dict()), dict(b.state_dict()))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


# ----------------------------------------------------------------------------------------------------------
# Right answers: the result in other forms


def _each(change: Callable[[object], object]) -> Callable[[object], object]:
    """Apply `change` to a value, or to each value inside lists, tuples and dicts."""

    def walk(value):
        if isinstance(value, (list, tuple)):
            return type(value)(map(walk, value))
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        return change(value)

    return walk


def _is_float(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _double(value: object) -> object:
    if isinstance(value, torch.nn.Module):
        return copy.deepcopy(value).double()
    return value.double() if _is_float(value) else value


def _numpy_scalar(value: object) -> object:
    kinds = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
    return kinds[type(value)](value) if type(value) in kinds else value


def _tensor_scalar(value: object) -> object:
    dtype = torch.float64 if isinstance(value, float) else None
    return torch.tensor(value, dtype=dtype) if type(value) in (bool, int, float) else value


def _other_sequence(value: object) -> object:
    if isinstance(value, (set, frozenset)):
        return frozenset(value)
    if isinstance(value, (list, tuple)):
        return (tuple if isinstance(value, list) else list)(map(_other_sequence, value))
    return value


FORMS: dict[str, Callable[[object], object]] = {
    "float64": _each(_double),
    "int32": _each(lambda v: v.int() if isinstance(v, torch.Tensor) and v.dtype == torch.int64 else v),
    "with a gradient": _each(lambda v: v.clone().requires_grad_() if _is_float(v) else v),
    "NumPy array": _each(lambda v: v.numpy() if isinstance(v, torch.Tensor) and v.ndim else v),
    "nested lists": _each(lambda v: v.tolist() if isinstance(v, torch.Tensor) and v.ndim else v),
    "Python number": _each(lambda v: v.item() if isinstance(v, torch.Tensor) and not v.ndim else v),
    "NumPy scalars": _each(_numpy_scalar),
    "tensors without axes": _each(_tensor_scalar),
    "arrays without axes": _each(
        lambda v: np.array(v) if type(v) in (bool, int, float) else v  # the dtype is that of the number
    ),
    "tuple for list": _other_sequence,
}


def _in_form(subject: Exercise, form: str, *args) -> object:
    """The result of the solution in a form; for float64 it is also computed from inputs of that dtype."""
    args = FORMS[form](list(args)) if form == "float64" else args
    return FORMS[form](subject.model_answer(*args))


def forms_of(subject: Exercise, calls: list[Call]) -> list[str]:
    """The forms that make a difference to what an exercise returns, or to how it is computed."""
    return [form for form in FORMS if any(_matters(form, call) for call in calls)]


def _matters(form: str, call: Call) -> bool:
    changed = not same(FORMS[form](call.result), call.result)
    return changed or (form == "float64" and any(map(_is_float, call.inputs.values())))


def in_turn(subject: Exercise, forms: list[str]) -> tuple[Callable, list[Call]]:
    """One answer that takes another of the forms at each call, and the calls: if it passes, all forms do."""
    calls = []

    def answer(*args):
        possible = [form for form in forms if _matters(form, calls[-1])]
        if not possible:
            return subject.model_answer(*args)
        return _in_form(subject, possible[len(calls) % len(possible)], *args)

    return recorded(subject, answer, calls), calls


def signatures(subject: Exercise, answer: Callable) -> dict[str, Callable]:
    """The answer behind other signatures that take the same inputs."""
    names = list(inspect.signature(subject.model_answer).parameters)

    class Object:
        def __call__(self, *args):
            return answer(*args)

        def method(self, *args):
            return answer(*args)

    def written(parameters: str) -> Callable:
        return eval(f"lambda {parameters}: answer({', '.join(names)})", {"answer": answer})

    return {
        "any arguments": lambda *args, **kwargs: answer(*args, **kwargs),
        "a default more": written(", ".join([*names, "verbose=False"])),
        "by place alone": written(", ".join([*names, "/"])),
        "partial": functools.partial(answer),
        "callable object": Object(),
        "bound method": Object().method,
    }


def right_verdicts(subject: Exercise, refused: set[str]) -> tuple[dict[str, bool], list[Call]]:
    """The verdict on each form and signature, and the calls of the check. `refused` are expected to fail."""
    one = list(signatures(subject, subject.model_answer))[zlib.crc32(subject.name.encode()) % 6]
    table = {}
    if not ALL:
        answer, calls = in_turn(subject, [form for form in FORMS if form not in refused])
        if accepts(subject, signatures(subject, answer)[one]):
            table = {f"form: {form}": True for form in forms_of(subject, calls) if form not in refused}
            table[f"signature: {one}"] = True
    if not table:
        calls = calls_of(subject)
        for name, answer in signatures(subject, subject.model_answer).items():
            table[f"signature: {name}"] = accepts(subject, answer)
    for form in forms_of(subject, calls):
        if f"form: {form}" not in table:
            table[f"form: {form}"] = accepts(subject, functools.partial(_in_form, subject, form))
    return table, calls


# ----------------------------------------------------------------------------------------------------------
# Wrong answers: one change in the source


_COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq, ast.LtE, ast.GtE),
    ast.NotEq: (ast.Eq, ast.Lt, ast.Gt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
_COMMUTES = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr)
_TWINS = [
    ("min", "max"),
    ("any", "all"),
    ("sum", "mean"),
    ("cumsum", "cumprod"),
    ("softmax", "log_softmax"),
    ("sin", "cos"),
    ("argmin", "argmax"),
    ("zeros", "ones"),
    ("sigmoid", "tanh"),
    ("tril", "triu"),
    ("round", "floor"),
    ("ceil", "floor"),
    ("startswith", "endswith"),
    ("log", "log2"),
    ("gelu", "relu"),
]
_TWIN = {one: other for pair in _TWINS for one, other in (pair, pair[::-1])}


def _plus(node: ast.expr, number: int) -> ast.expr:
    return ast.BinOp(node, ast.Add() if number > 0 else ast.Sub(), ast.Constant(abs(number)))


def _with(node: ast.AST, **changes) -> ast.AST:
    """A copy of the node with other fields."""
    changed = copy.copy(node)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def _without(items: list) -> Iterator[list]:
    return (items[:i] + items[i + 1 :] for i in range(len(items)))


def _exchanged(items: list) -> Iterator[list]:
    """Neighbours in each other's place."""
    return ([*items[:i], items[i + 1], items[i], *items[i + 2 :]] for i in range(len(items) - 1))


def _whole_number(node: ast.AST) -> int | None:
    """The number that a constant, or minus a constant, stands for."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _whole_number(node.operand)
        return None if inner is None else -inner
    is_number = isinstance(node, ast.Constant) and type(node.value) is int
    return node.value if is_number else None


def _changes_of(node: ast.AST, parameters: list[str], variables: list[str]) -> Iterator[ast.AST]:
    """What can stand in the place of a node, one change at a time; lists of statements become shorter."""
    number = _whole_number(node)
    if number is not None:
        yield from (ast.Constant(number + step) for step in (1, -1))
        if number < 0:
            yield ast.Constant(-number)
        return
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=float(value)):
            yield from (ast.Constant(value + step) for step in (1, -1))
        case ast.Constant(value=str(text)):
            yield from (ast.Constant(other) for other in dict.fromkeys([text[1:], text[:-1], text + "x"]))
        case ast.Compare(ops=[op]):
            yield from (_with(node, ops=[other()]) for other in _COMPARISONS[type(op)])
        case ast.BinOp(left=left, op=op, right=right):
            yield from (_with(node, op=other()) for other in _OPERATORS.get(type(op), ()))
            yield from (left, right)
            if not isinstance(op, _COMMUTES):
                yield _with(node, left=right, right=left)
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.BoolOp(op=op, values=values):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            yield from values
        case ast.IfExp(body=body, orelse=orelse):
            yield from (body, orelse)
        case ast.Call(func=func, args=args, keywords=keywords):
            yield from (_with(node, args=fewer) for fewer in _without(args))
            yield from (_with(node, args=others) for others in _exchanged(args))
            yield from (_with(node, keywords=fewer) for fewer in _without(keywords))
            if isinstance(func, ast.Attribute):
                on_module = isinstance(func.value, ast.Name) and func.value.id in ("torch", "F", "math", "np")
                if not on_module:
                    yield func.value
                elif args:
                    yield args[0]
                if func.attr in _TWIN:
                    yield _with(node, func=_with(func, attr=_TWIN[func.attr]))
            elif isinstance(func, ast.Name) and args:
                yield args[0]
                if func.id in ("min", "max", "any", "all"):
                    yield _with(node, func=_with(func, id=_TWIN[func.id]))
        case ast.Slice(lower=lower, upper=upper, step=step):
            for name, bound in (("lower", lower), ("upper", upper), ("step", step)):
                if bound is not None:
                    yield _with(node, **{name: None})
                    if _whole_number(bound) is None:
                        yield from (_with(node, **{name: _plus(bound, by)}) for by in (1, -1))
        case ast.Tuple(ctx=ast.Load(), elts=elts) | ast.List(ctx=ast.Load(), elts=elts):
            yield from (_with(node, elts=fewer) for fewer in _without(elts))
            yield from (_with(node, elts=others) for others in _exchanged(elts))
        case ast.comprehension(ifs=ifs):
            yield from (_with(node, ifs=fewer) for fewer in _without(ifs))
        case ast.Name(id=name, ctx=ast.Load()):
            for group in (parameters, variables):
                if name in group:
                    yield from (ast.Name(other, ast.Load()) for other in group if other != name)
        case ast.If() | ast.While():
            yield from (_with(node, test=ast.Constant(value)) for value in (True, False))
        case ast.AugAssign(target=target, op=op, value=value):
            yield from (_with(node, op=other()) for other in _OPERATORS[type(op)])
            yield ast.Assign([target], value, lineno=0)
    if isinstance(node, (ast.For, ast.comprehension)):
        every = ast.List([ast.Starred(node.iter, ast.Load())], ast.Load())
        for bounds in (ast.Slice(ast.Constant(1)), ast.Slice(None, ast.Constant(-1))):
            yield _with(node, iter=ast.Subscript(every, bounds, ast.Load()))
        yield _with(node, iter=ast.Call(ast.Name("unordered", ast.Load()), [node.iter], []))


def _places(node: ast.AST, path: tuple = ()) -> Iterator[tuple[tuple, ast.AST]]:
    """Every node below `node` with the way that leads there."""
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield (*path, (name, None)), value
            yield from _places(value, (*path, (name, None)))
        elif isinstance(value, list):
            for i, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield (*path, (name, i)), item
                    yield from _places(item, (*path, (name, i)))


def _at(tree: ast.AST, path: tuple) -> ast.AST:
    for name, i in path:
        tree = getattr(tree, name) if i is None else getattr(tree, name)[i]
    return tree


@contextlib.contextmanager
def _in_its_place(tree: ast.Module, path: tuple, new: ast.AST) -> Iterator[None]:
    """Put another node at one place of the tree, for as long as it takes to write the tree down."""
    parent, (name, i) = _at(tree, path[:-1]), path[-1]
    holder, key = (vars(parent), name) if i is None else (getattr(parent, name), i)
    old = holder[key]
    holder[key] = new
    try:
        yield
    finally:
        holder[key] = old


def _head(node: ast.AST) -> str:
    """The node on one line; of a statement that holds others, its head."""
    if isinstance(node, ast.stmt) and hasattr(node, "body"):
        node = _with(node, body=[ast.Expr(ast.Constant(...))], orelse=[])
    return " ".join(ast.unparse(node).split())


def _around(tree: ast.Module, path: tuple) -> tuple:
    """The way to the expression or statement that says where a change is.

    For an operator or a call that is itself; for a name, a number or a bound, what stands around it.
    """
    node = _at(tree, path)
    is_small = isinstance(node, (ast.Name, ast.Constant)) or _whole_number(node) is not None
    unfit = (ast.Starred, ast.Slice, ast.FunctionDef)
    for length in range(len(path) - is_small, 0, -1):
        node = _at(tree, path[:length])
        if isinstance(node, (ast.expr, ast.stmt)) and not isinstance(node, unfit):
            return path[:length]
    raise ValueError("a change outside every statement")


def _change(tree: ast.Module, path: tuple, new: ast.AST) -> tuple[str, str]:
    """What changes where, in words, and the whole source after it."""
    around = _around(tree, path)
    before = _head(_at(tree, around))
    with _in_its_place(tree, path, new):
        return f"{before} -> {_head(_at(tree, around))}", ast.unparse(tree)


def _variables(function: ast.FunctionDef) -> list[str]:
    """The names that a function gives to values of its own, in the order of writing."""
    names = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return sorted(set(names))


def changed_sources(source: str) -> dict[str, str]:
    """All sources that differ from the solution in one place, by what differs."""
    tree = ast.parse(source)
    function = tree.body[0]
    parameters = [argument.arg for argument in function.args.args]
    variables = _variables(function)
    seen, found, times = {ast.unparse(tree)}, {}, Counter()

    def add(name, changed):
        if changed not in seen:
            seen.add(changed)
            times[name] += 1
            found[name if times[name] == 1 else f"{name} #{times[name]}"] = changed

    for path, node in list(_places(function, (("body", 0),))):
        if path[1] == ("args", None):
            continue
        for new in _changes_of(node, parameters, variables):
            add(*_change(tree, path, new))
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Return):
            with _in_its_place(tree, path, ast.Pass()):
                changed = ast.unparse(tree)
            add(f"without: {_head(node)}", changed)
    return found


class _CountSteps(ast.NodeTransformer):
    """Let each pass through a `while` loop count, so that an endless one ends at once, and always there."""

    def visit_While(self, node):
        self.generic_visit(node)
        node.body.insert(0, ast.Expr(ast.Call(ast.Name("_step_", ast.Load()), [], [])))
        return node


def unordered(items: Iterable) -> list:
    """The items in an order that should not matter: that of a set for words, and backwards for all else.

    What is no word has the same hash in every process, or one by its place in memory, other in every run.
    """
    items = list(items)
    return list(set(items)) if any(map(_holds_words, items)) else items[::-1]


def _holds_words(item: object) -> bool:
    return isinstance(item, str) or (isinstance(item, tuple) and any(map(_holds_words, item)))


def compiled(subject: Exercise, source: str, **names) -> Callable:
    """The function that a source defines, with the names of the module of its exercise."""
    steps = itertools.count()

    def step():
        if next(steps) > STEPS:
            raise RecursionError("a loop without end")

    code = source
    if "while" in source:
        code = ast.fix_missing_locations(_CountSteps().visit(ast.parse(source)))
    scope = {**vars(importlib.import_module(subject.module)), "_step_": step, "unordered": unordered, **names}
    exec(compile(code, f"<{subject.name}>", "exec"), scope)  # noqa: S102
    return scope[subject.name]


@functools.cache
def _source(subject: Exercise) -> str:
    return subject.solution_source()


def mutants(subject: Exercise) -> list[Answer]:
    """The solution with one change."""
    return [
        Answer("mutant", name, functools.partial(compiled, subject, source))
        for name, source in changed_sources(_source(subject)).items()
    ]


# ----------------------------------------------------------------------------------------------------------
# Wrong answers: a size that is written down, an input that is never looked at again


def _sizes(function: ast.FunctionDef) -> Iterator[tuple[tuple, ast.AST]]:
    """Where a solution asks for a size: `len(...)`, `....shape[...]`, or a variable at the top level."""
    top = [s.targets[0] for s in function.body if isinstance(s, ast.Assign)]
    once = {target.id for target in top if isinstance(target, ast.Name)}
    for path, node in _places(function, (("body", 0),)):
        match node:
            case ast.Call(func=ast.Name(id="len")) | ast.Subscript(value=ast.Attribute(attr="shape")):
                yield path, node
            case ast.Name(id=name, ctx=ast.Load()) if name in once:
                yield path, node


def frozen_sizes(subject: Exercise, calls: list[Call]) -> list[Answer]:
    """The solution with a number in place of a size: that of the first call, or the most frequent one."""
    tree = ast.parse(_source(subject))
    answers = []
    for path, node in list(_sizes(tree.body[0])):
        seen = []
        _, watching = _change(tree, path, ast.Call(ast.Name("_seen_", ast.Load()), [node], []))
        function = compiled(subject, watching, _seen_=lambda value, seen=seen: seen.append(value) or value)
        for call in calls:
            function(**copy.deepcopy(call.inputs))
        if not seen or any(type(value) not in (int, float) for value in seen):
            continue
        for value in dict.fromkeys([seen[0], Counter(seen).most_common(1)[0][0]]):
            name, source = _change(tree, path, ast.Constant(value))
            answers.append(Answer("size", name, functools.partial(compiled, subject, source)))
    return answers


def _solution(subject: Exercise) -> Callable:
    """The solution as it stands, but for loops that end: other inputs than its own may lead it astray."""
    return compiled(subject, _source(subject))


def _keeping(subject: Exercise, parameter: str) -> Callable:
    solution, kept = _solution(subject), []
    place = list(inspect.signature(solution).parameters).index(parameter)

    @functools.wraps(solution)
    def answer(*args, **kwargs):
        inputs = inspect.signature(solution).bind(*args, **kwargs).args
        kept[:] = kept or [copy.deepcopy(inputs[place])]
        return solution(*inputs[:place], copy.deepcopy(kept[0]), *inputs[place + 1 :])

    return answer


def _constant(subject: Exercise, parameter: str, value: object) -> Callable:
    solution = _solution(subject)
    place = list(inspect.signature(solution).parameters).index(parameter)

    @functools.wraps(solution)
    def answer(*args, **kwargs):
        inputs = inspect.signature(solution).bind(*args, **kwargs).args
        return solution(*inputs[:place], value, *inputs[place + 1 :])

    return answer


def keepers(subject: Exercise, calls: list[Call]) -> list[Answer]:
    """Answers that use one value of a parameter for ever: the first, or the most frequent number."""
    answers = []
    for name in calls[0].inputs:
        answers.append(Answer("first value", name, functools.partial(_keeping, subject, name)))
        values = [call.inputs[name] for call in calls]
        if all(type(value) in (bool, int, float) for value in values):
            value = Counter(values).most_common(1)[0][0]
            if value != values[0]:
                make = functools.partial(_constant, subject, name, value)
                answers.append(Answer("one value", name, make))
    return answers


def _first_row(value: object, axis: int) -> object:
    """The value with its first row (column, ...) in the place of all."""
    if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim > axis and value.shape[axis]:
        if isinstance(value, np.ndarray):
            return np.repeat(value.take([0], axis), value.shape[axis], axis)
        return value.narrow(axis, 0, 1).expand(value.shape).clone()
    if isinstance(value, list) and axis == 0:
        return [copy.deepcopy(value[0]) for _ in value]
    return value


def _one_row(subject: Exercise, parameter: str, axis: int) -> Callable:
    solution = _solution(subject)
    place = list(inspect.signature(solution).parameters).index(parameter)

    @functools.wraps(solution)
    def answer(*args, **kwargs):
        inputs = inspect.signature(solution).bind(*args, **kwargs).args
        return solution(*inputs[:place], _first_row(inputs[place], axis), *inputs[place + 1 :])

    return answer


def one_row_for_all(subject: Exercise, calls: list[Call]) -> list[Answer]:
    """Answers that use row 0 (place 0 along another axis) of an input for every row."""
    answers = []
    for name in calls[0].inputs:
        values = [call.inputs[name] for call in calls]
        for axis in range(max(map(_axes, values))):
            make = functools.partial(_one_row, subject, name, axis)
            answers.append(Answer("row 0", f"{name}, axis {axis}", make))
    return answers


def _axes(value: object) -> int:
    return 1 if isinstance(value, list) else getattr(value, "ndim", 0)


# ----------------------------------------------------------------------------------------------------------
# Wrong answers: right but for one kind of input


def _numbers(value: object) -> np.ndarray | None:
    """The numbers in a tensor, an array, a list of numbers, or a number; None for anything else."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy().ravel()
    if isinstance(value, np.ndarray):
        return value.ravel()
    if isinstance(value, (int, float)):
        return np.array([value])
    if isinstance(value, list) and value and all(isinstance(item, (int, float)) for item in value):
        return np.array(value)
    if isinstance(value, list) and value and all(isinstance(item, torch.Tensor) for item in value):
        return np.concatenate([_numbers(item) for item in value])
    return None


def _items(value: object) -> list | None:
    """What may be tied: the rows of a matrix count as well as the numbers of a vector."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return [str(row) for row in value.tolist()] if value.ndim else None
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else None


def _is_empty(value: object) -> bool:
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return 0 in value.shape
    return hasattr(value, "__len__") and not len(value)


def _is_zero(value: object) -> bool:
    numbers = _numbers(value)
    return numbers is not None and numbers.size > 0 and not numbers.any()


def _is_tied(value: object) -> bool:
    items = _items(value)
    return items is not None and len(set(items)) < len(items)


def _is_negative(value: object) -> bool:
    numbers = _numbers(value)
    return numbers is not None and numbers.dtype != bool and bool((numbers < 0).any())


def _all_negative(value: object) -> bool:
    numbers = _numbers(value)
    return numbers is not None and numbers.dtype != bool and numbers.size > 0 and bool((numbers < 0).all())


def _is_number_like(value: object) -> bool:
    numbers = _numbers(value)
    return numbers is not None and numbers.dtype.kind == "f"


PROPERTIES = {
    "empty": (_is_empty, lambda value: hasattr(value, "__len__") and _axes(value) < 2),  # no empty batches
    "zero": (_is_zero, lambda value: _numbers(value) is not None),
    "tied": (_is_tied, lambda value: _items(value) is not None),
    "negative": (_is_negative, _is_number_like),
    "all negative": (_all_negative, lambda value: _is_number_like(value) and _axes(value) > 0),
}


def _failing(subject: Exercise, parameter: str, has: Callable) -> Callable:
    solution = subject.model_answer

    @functools.wraps(solution)
    def answer(*args, **kwargs):
        if has(inspect.signature(solution).bind(*args, **kwargs).arguments[parameter]):
            raise ValueError(f"this answer cannot work with such a value of {parameter}")
        return solution(*args, **kwargs)

    return answer


def failures(subject: Exercise, calls: list[Call]) -> list[Answer]:
    """Answers that raise where one input is empty, zero, tied or negative. Those are refused that meet it."""
    answers = []
    for name in calls[0].inputs:
        for says, (has, applies) in PROPERTIES.items():
            if any(applies(call.inputs[name]) for call in calls):
                make = functools.partial(_failing, subject, name, has)
                answers.append(Answer("fails", f"{says} {name}", make))
    return answers


# ----------------------------------------------------------------------------------------------------------
# Wrong answers: other in every process


def _label_by_hash(words, num_labels, seed):
    return [hash((seed, word)) % num_labels for word in words]


BY_HASH = {"inside_bert.control_labels": {"the hash of word and seed": _label_by_hash}}


def hashed(subject: Exercise) -> list[Answer]:
    """Answers that rest on `hash`; mutants of loops rest on the order of a set."""
    known = BY_HASH.get(f"{subject.module.rpartition('.')[2]}.{subject.name}", {})
    return [Answer("hash", name, lambda function=function: function) for name, function in known.items()]


# ----------------------------------------------------------------------------------------------------------
# The table of all verdicts


def wrong_answers(subject: Exercise, calls: list[Call]) -> list[Answer]:
    return [
        *mutants(subject),
        *frozen_sizes(subject, calls),
        *keepers(subject, calls),
        *one_row_for_all(subject, calls),
        *failures(subject, calls),
        *hashed(subject),
    ]


def verdicts(subject: Exercise, listed: set[str], refused: set[str]) -> dict[str, object]:
    """For each answer, by kind and name, whether the check accepts it; and a check sum of its inputs.

    listed: wrong answers that are expected to pass; refused: forms of the right one that are not.
    """
    table, calls = right_verdicts(subject, refused)
    for answer in wrong_answers(subject, calls):
        table[answer.id] = passes(subject, answer, calls, listed)
    inputs = [printable(call.inputs) for call in calls]
    return {**table, "inputs": zlib.crc32(repr(inputs).encode())}


def printable(value: object) -> object:
    """A set prints in another order in every process, and a function another address; neither counts."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    if isinstance(value, (list, tuple)):
        return [printable(item) for item in value]
    return {key: printable(item) for key, item in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True)
class Entry:
    """One paragraph of the reviewed list."""

    exercises: list[str]
    reason: str
    answers: list[str] = field(default_factory=list)
    """Wrong answers that pass."""
    forms: list[str] = field(default_factory=list)
    """Forms of the right answer that are refused."""
    task: str = ""
    """The words of the task that call for the refusal."""


def reviewed() -> list[Entry]:
    """What stands in `exercise_fuzz.toml`."""
    return [Entry(**entry) for entry in tomllib.loads(REVIEWED.read_text(encoding="utf-8"))["entry"]]


def expected(entries: list[Entry], name: str) -> tuple[set[str], set[str]]:
    """For one exercise: the wrong answers that are listed, and the forms that are listed as refused."""
    of_this = [entry for entry in entries if name in entry.exercises]
    return {a for e in of_this for a in e.answers}, {f for e in of_this for f in e.forms}


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # changed solutions do what torch and NumPy warn about
    entries = reviewed()
    tables = {
        name: verdicts(subject, *expected(entries, name))
        for name, subject in exercises().items()
        if not sys.argv[1:] or any(name.startswith(part) for part in sys.argv[1:])
    }
    print(json.dumps(tables, indent=1))
