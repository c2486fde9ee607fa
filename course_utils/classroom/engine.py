"""The engine under every exercise: staged checks, hints, the solution, and wrong answers to test the check.

An exercise is one class with the decorator `exercise`. The class is only a place to write things down: the
name of the class is the name of the exercise, and the decorator turns it into one `Exercise` object.

    @exercise
    class double:
        \"\"\"Write `double(x)`: twice the number x.\"\"\"

        hints = ("Which operator multiplies?", "`2 * ...`")

        def stub(x):
            ...

        def solution(x):
            return 2 * x

        @stage("twice the number")
        def twice(check):
            for x in range(10):
                check.equal(check.call(x), 2 * x, slips={"You square the number.": x**2})

        @wrong("You square")
        def squared(x):
            return x**2

`start_here` shows two complete ones. An answer may be a function, a class (such as an `nn.Module`), or a
value.
"""

import ast
import contextlib
import contextvars
import copy
import dis
import inspect
import io
import sys
import textwrap
import threading
import traceback
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from course_utils.classroom import explain
from course_utils.classroom.deadline import OutOfTime, Stop, run_with_deadline

TIME_LIMIT_SECONDS = 5.0  # for one stage; an exercise may set its own `time_limit`


# ----------------------------------------------------------------------------------------------------------
# What a check gives back


@dataclass(frozen=True)
class Result:
    """The outcome of one check: true exactly if the answer passed, so `assert ex.name.check(f)` works."""

    passed: bool
    message: str
    """What the reader was shown."""
    stage: str | None = None
    """Title of the stage that refused the answer; None if it passed or never reached a stage."""
    attempted: bool = True
    """False if the answer is still the stub."""
    calls: dict[str, int] = field(default_factory=dict)
    """For each stage that ran, by title: how many times it called the answer."""

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"<Result: {'passed' if self.passed else 'not passed'}>"

    def _ipython_display_(self) -> None:
        """Show nothing when a cell ends in a check: `check` has printed the message already."""


on_result: list[Callable[["Exercise", Result], None]] = []
"""Functions to call after every check, with the exercise and its result."""


class Refused(Exception):
    """An answer does not pass; the text is for the reader. `attempted` is False if there is no answer yet."""

    def __init__(self, message: str, attempted: bool = True):
        super().__init__(message)
        self.attempted = attempted


def _say(text: str) -> None:
    """The one place where the engine speaks. Plain text looks the same in notebook, terminal and test."""
    print(text)


def _prose(text: str) -> str:
    """Break long lines at 100 characters; indented lines hold code or numbers and stay as they are."""
    wrap = textwrap.TextWrapper(100, break_long_words=False, break_on_hyphens=False).fill
    return "\n".join(line if line.startswith(" ") else wrap(line) for line in text.splitlines())


def _block(label: str, text: str) -> str:
    """`Label: text` on one line, or the label with the lines of the text indented below."""
    if "\n" in text:
        return f"{label}:\n" + textwrap.indent(text, "    ")
    return f"{label}: {text}"


# ----------------------------------------------------------------------------------------------------------
# Writing an exercise


@dataclass(frozen=True)
class _Stage:
    title: str
    run: Callable[["Check"], None]


@dataclass(frozen=True)
class _Wrong:
    answer: object
    phrase: str


def stage(title: str) -> Callable[[Callable[["Check"], None]], _Stage]:
    """Mark a function `f(check)` as one stage of the check. Stages run in the order of writing.

    A stage should isolate one slip and try it on many inputs, the smallest first, so that the first input
    that fails is small enough to follow by hand. `title` says what is true of an answer that passes.
    """
    return lambda function: _Stage(title, function)


def wrong(phrase: str) -> Callable[[object], _Wrong]:
    """Mark a wrong answer; `phrase` must occur in the message with which the check refuses it.

    Above a function or class it is a decorator; for a value, write `name = wrong("phrase")(value)`.
    """
    return lambda answer: _Wrong(answer, phrase)


def exercise(definition: type) -> "Exercise":
    """Turn a class that holds stub, hints, solution, stages and wrong answers into an `Exercise`."""
    parts = {name: part for name, part in vars(definition).items() if not name.startswith("__")}
    marked = {name for name, part in parts.items() if isinstance(part, (_Stage, _Wrong))}
    allowed = {"stub", "solution", "hints", "time_limit"}
    for name in sorted({"stub", "solution", "hints"} - parts.keys()):
        raise ValueError(f"exercise {definition.__name__!r} has no {name!r}")
    if isinstance(parts["hints"], str):
        one = f"exercise {definition.__name__!r} has one string as 'hints'; a tuple of strings is wanted"
        raise ValueError(one)  # noqa: TRY004 (every slip in a definition is a ValueError)
    for name in sorted(parts.keys() - marked - allowed):
        raise ValueError(
            f"exercise {definition.__name__!r} holds {name!r}, which is none of {sorted(allowed)} and has "
            "neither @stage nor @wrong; helpers belong to the module"
        )
    return Exercise(definition, parts)


class Exercise:
    """One exercise, as a reader meets it: `check(answer)`, `hint()`, `solution()`."""

    def __init__(self, definition: type, parts: Mapping[str, object]):
        self.name = definition.__name__
        self.module = definition.__module__
        self.task = inspect.cleandoc(definition.__doc__ or "")
        self.hints = tuple(parts["hints"])
        self.stub = parts["stub"]
        self.model_answer = parts["solution"]
        self.time_limit = parts.get("time_limit", TIME_LIMIT_SECONDS)
        self.stages = tuple(part for part in parts.values() if isinstance(part, _Stage))
        self._wrong = {name: part for name, part in parts.items() if isinstance(part, _Wrong)}
        self._definition = definition
        self._hints_given = 0

    def __repr__(self) -> str:
        name = f"ex.{self.name}"
        return f"{self.task}\n\n{name}.check(your_answer)   {name}.hint()   {name}.solution()"

    @property
    def wrong_answers(self) -> dict[str, object]:
        """Wrong answers by name. Each is refused, with a message of its own."""
        return {name: part.answer for name, part in self._wrong.items()}

    @property
    def phrases(self) -> dict[str, str]:
        """For each wrong answer, words that its message holds."""
        return {name: part.phrase for name, part in self._wrong.items()}

    def hint(self) -> None:
        """Show the next hint; after the last one, say so."""
        if self._hints_given == len(self.hints):
            _say(f"{self.name}: there are no more hints. ex.{self.name}.solution() shows one way to do it.")
            return
        self._hints_given += 1
        hint = self.hints[self._hints_given - 1]
        _say(_prose(f"{self.name}, hint {self._hints_given} of {len(self.hints)}: {hint}"))

    def solution(self) -> None:
        """Show the source of one solution. Others may pass too: the check looks at what an answer does."""
        _say(self.solution_source())

    def solution_source(self) -> str:
        """The source of the solution, under the name of the exercise so that a cell can run it."""
        source = textwrap.dedent(inspect.getsource(self._definition))
        for node in ast.parse(source).body[0].body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == "solution":
                text = textwrap.dedent(ast.get_source_segment(source, node, padded=True))
                return text.replace(" solution", f" {self.name}", 1)
            if isinstance(node, ast.Assign) and node.targets[0].id == "solution":
                return f"{self.name} = {ast.get_source_segment(source, node.value)}"
        raise ValueError(f"the source of exercise {self.name!r} defines no 'solution'")

    def check(self, answer: object) -> Result:
        """Run the stages on an answer, show what came of it, and return it. No answer makes it raise.

        The answer runs in a thread of its own with a time limit for each stage. Checks that are started at
        the same time in several threads wait for each other, since there is only one standard output to
        watch.
        """
        calls: dict[str, int] = {}
        with _one_at_a_time, _catch_prints() as printed:
            result = self._run(answer, calls, printed)
        _say(_prose(result.message))
        for callback in on_result:
            callback(self, result)
        return result

    def _run(self, answer: object, calls: dict[str, int], printed: "_Prints") -> Result:
        passed = []
        current = None
        try:
            self._refuse_what_is_no_attempt(answer)
            for current in self.stages:
                check = Check(self, answer, current.title)
                try:
                    self._run_stage(current, check)
                finally:
                    calls[current.title] = check.calls
                passed.append(current.title)
        except Refused as refusal:
            if not refusal.attempted:
                return Result(False, self._not_attempted(), attempted=False, calls=calls)
            message = self._refusal(str(refusal), passed, current, printed)
            return Result(False, message, current and current.title, calls=calls)
        return Result(True, self._praise(calls, printed), calls=calls)

    def _run_stage(self, current: _Stage, check: "Check") -> None:
        try:
            run_with_deadline(lambda: current.run(check), self.time_limit)
        except Refused:
            raise
        except OutOfTime as late:
            raise Refused(check.explain_timeout(late)) from None
        except Exception as error:  # noqa: BLE001
            # The solution passes this stage, so the stage stumbled over what this answer returned.
            raise Refused(check.explain_surprise(error)) from None

    # -- before the first stage

    def _refuse_what_is_no_attempt(self, answer: object) -> None:
        wants_callable = callable(self.stub) and not isinstance(self.stub, torch.nn.Module)
        if not wants_callable:
            if answer is ... or answer is None or explain.unchanged(self.stub, answer):
                raise Refused("", attempted=False)
            if inspect.isroutine(answer) or inspect.isclass(answer):
                raise Refused(
                    f"The check wants a value, and got {explain.describe(answer)}. Pass what it returns."
                )
            return
        if not callable(answer):
            raise Refused(
                f"The check wants the {self._kind} itself, and got {explain.describe(answer)}. Write its "
                f"name without round brackets: ex.{self.name}.check({self.name})."
            )
        if inspect.isclass(self.stub) and not inspect.isclass(answer):
            raise Refused(
                f"The check wants the class itself, and got {explain.describe(answer)}. It makes its own "
                "instances: pass the name of the class, without round brackets."
            )
        if _is_untouched(answer, self.stub):
            raise Refused("", attempted=False)
        self._refuse_other_parameters(answer)

    @property
    def _kind(self) -> str:
        return "class" if inspect.isclass(self.stub) else "function"

    def _refuse_other_parameters(self, answer: Callable) -> None:
        try:
            mine = inspect.signature(answer)
        except (TypeError, ValueError):  # some compiled functions do not tell their parameters
            return
        wanted = inspect.signature(self.stub)
        by_name = {p.name: None for p in wanted.parameters.values() if p.kind is p.KEYWORD_ONLY}
        by_place = [None for p in wanted.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        try:
            mine.bind(*by_place, **by_name)
        except TypeError:
            raise Refused(
                f"The task asks for the parameters {_parameters(wanted)}; your {self._kind} has "
                f"{_parameters(mine)}."
            ) from None

    # -- messages

    def _not_attempted(self) -> str:
        return (
            f"{self.name}: not attempted yet. Replace the `...` by your answer, run that cell, then this "
            f"one. For a hint: ex.{self.name}.hint()"
        )

    def _refusal(self, reason: str, passed: list[str], current: _Stage | None, printed: "_Prints") -> str:
        head = f"{self.name}: not yet."
        if current is not None:
            head = f"{self.name}: not yet, at stage {len(passed) + 1} of {len(self.stages)}: {current.title}."
        done = ["Passed before it: " + "; ".join(passed) + "."] if passed else []
        return "\n".join([head, *done, reason, *printed.note(), f"Stuck? ex.{self.name}.hint()"])

    def _praise(self, calls: dict[str, int], printed: "_Prints") -> str:
        times = sum(calls.values())
        tried = f", {times} calls" if times else ""
        stages = f"{len(self.stages)} stage" + ("s" if len(self.stages) > 1 else "")
        return "\n".join([f"{self.name}: passed ({stages}{tried}).", *printed.note()])


def _parameters(signature: inspect.Signature) -> str:
    return str(signature.replace(return_annotation=inspect.Signature.empty))


# ----------------------------------------------------------------------------------------------------------
# Is there an answer at all?


def _is_untouched(answer: Callable, stub: Callable) -> bool:
    """True if `answer` does what the stub does, instruction by instruction, or nothing at all.

    Comments, spaces, docstrings and annotations leave no trace in the instructions, so they do not matter.
    """
    if not inspect.isclass(stub):
        return _is_untouched_function(answer, stub)
    methods = {name: part for name, part in vars(stub).items() if inspect.isfunction(part)}
    return bool(methods) and all(
        name in vars(answer) and _is_untouched_function(vars(answer)[name], methods[name]) for name in methods
    )


def _is_untouched_function(answer: Callable, stub: Callable) -> bool:
    code = getattr(inspect.unwrap(answer), "__code__", None)
    if code is None:
        return False
    return _instructions(code) in (_instructions(stub.__code__), _instructions(_does_nothing.__code__))


def _does_nothing():
    pass


def _instructions(code: object) -> list[tuple]:
    def comparable(value):
        return _instructions(value) if inspect.iscode(value) else value

    # RESUME and NOP mark lines for debuggers; they do nothing.
    return [
        (op.opname, comparable(op.argval))
        for op in dis.get_instructions(code)
        if op.opname not in ("RESUME", "NOP")
    ]


def _raised_on_purpose(error: NotImplementedError) -> bool:
    """True for a `raise` in the reader's Python; torch raises this type too, for reasons of its own."""
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    instruction = dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]]
    in_torch = last.tb_frame.f_globals.get("__name__", "").startswith("torch.")
    return instruction == "RAISE_VARARGS" and not in_torch


# ----------------------------------------------------------------------------------------------------------
# What a stage works with


class Check:
    """Handed to each stage: calls the answer with care and compares what comes back.

    answer: what the reader passed. For an exercise whose answer is a value, compare this.
    rng, generator: sources of random inputs for NumPy and PyTorch, seeded by the names of exercise and
    stage.
    """

    def __init__(self, exercise: Exercise, answer: object, title: str):
        seed = zlib.crc32(f"{exercise.name}/{title}".encode())
        self.answer = answer
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.calls = 0
        self._exercise = exercise
        self._call_text = ""
        self._returned: list[object] = []

    def call(self, *args, target: Callable | None = None, in_place: bool = False, **kwargs) -> object:
        """Call the answer on copies of the inputs and return what it returns.

        target: what to call instead of the answer, for example the module that an earlier call of a class
        returned.
        in_place: the task is to edit the inputs: they are handed over themselves, and None may come back.

        Refuses an answer that raises, edits its inputs, returns None or `...`, or returns NaN when no input
        holds NaN.
        """
        function = self.answer if target is None else target
        named = self._name_inputs(function, args, kwargs)
        self.calls += 1
        self._returned = []
        self._call_text = self._describe_call(named, target)
        given_args, given_kwargs = (args, kwargs) if in_place else copy.deepcopy((args, kwargs))
        value = self._call_reader(function, given_args, given_kwargs)
        self._returned = [value]
        if not in_place:
            self._refuse_edits(named, (*given_args, *given_kwargs.values()))
        self._refuse_nothing(value, in_place)
        if explain.has_nan(value) and not explain.has_nan([*args, *kwargs.values()]):
            self._refuse(
                "The result holds NaN, which means 'not a number'. It comes from 0 / 0, from inf - inf, from"
                " 0 * inf, or from a softmax over a row in which every score is -inf."
            )
        return value

    def expect(self, condition: bool, words: str) -> None:
        """Refuse the answer with `words` unless the condition holds. The message shows the last call."""
        if not condition:
            self._refuse(words)

    def tensor(
        self, value: object, shape: tuple[int, ...], dtype: torch.dtype | None = None, axes: str = ""
    ) -> torch.Tensor:
        """Return `value` if it is a tensor of this shape (and dtype, if one is given); refuse it if not.

        axes: what the axes mean, for the message, such as "(batch, seq_len, hidden_size)".
        """
        if not isinstance(value, torch.Tensor):
            tip = " `torch.tensor(...)` makes one of a list." if isinstance(value, (list, tuple)) else ""
            self._refuse(
                f"A tensor of shape {tuple(shape)} is wanted, and this is {explain.describe(value)}.{tip}"
            )
        fault = explain.shape_difference(tuple(value.shape), tuple(shape))
        if fault:
            self._refuse(fault + (f" The axes are {axes}." if axes else ""))
        if dtype is not None and value.dtype != dtype:
            self._refuse(f"The dtype is {value.dtype}; expected was {dtype}.")
        return value

    def equal(
        self,
        got: object,
        expected: object,
        words: str = "",
        *,
        tolerance: float = 1e-5,
        slips: Mapping[str, object] | None = None,
    ) -> None:
        """Refuse the answer unless `got` equals `expected`: numbers, strings, tensors, lists, dicts, ...

        words: what the difference means, in the words of the task.
        tolerance: for floating-point numbers, absolute or relative.
        slips: for each well-known slip, what to say about it and the value it would have given. What is said
        of the first slip whose value equals `got` takes the place of `words`.
        """
        fault = explain.difference(got, expected, tolerance)
        if fault is None:
            return
        for says, value in (slips or {}).items():
            if explain.difference(got, value, tolerance) is None:
                words = says
                break
        reason = f"{words} {fault}".strip()
        if isinstance(expected, (int, float)):  # `fault` has named both numbers
            self._refuse(reason)
        more = [_block("Expected", explain.show(expected))]
        if self._call_text and not any(got is returned for returned in self._returned):
            more.insert(
                0, _block("Compared", explain.show(got))
            )  # something that the stage made of the result
        self._refuse(reason, *more)

    # -- messages

    def _refuse(self, reason: str, *more: str) -> None:
        raise Refused("\n".join([reason, *self._what_happened(), *more]))

    def _what_happened(self) -> list[str]:
        """The last call and what it returned; for an exercise without calls, the answer."""
        if not self._call_text:
            return [_block("Your answer", explain.show(self.answer))]
        return [self._call_text, *(_block("Returned", explain.show(value)) for value in self._returned)]

    def _name_inputs(self, function: Callable, args: tuple, kwargs: dict) -> dict[str, object]:
        """The inputs by the names of the parameters, or by place where the function does not tell names."""
        try:
            # A module is called through `__call__(*args)`; the names stand in its `forward`.
            named_by = function.forward if isinstance(function, torch.nn.Module) else function
            bound = inspect.signature(named_by).bind(*args, **kwargs).arguments
        except (TypeError, ValueError):
            bound = {}
        named = {}
        for place, value in enumerate([*args, *kwargs.values()]):
            name = next((name for name, given in bound.items() if given is value and name not in named), None)
            named[name or f"input {place + 1}"] = value
        return named

    def _describe_call(self, named: Mapping[str, object], target: Callable | None) -> str:
        name = self._exercise.name
        if target is not None:
            name += "(...)" + (f".{target.__name__}" if inspect.ismethod(target) else "")
        short, long = [], []
        for parameter, value in named.items():
            text = explain.show(value)
            if "\n" in text or len(text) > 60:
                short.append(parameter)
                long.append(textwrap.indent(_block(f"with {parameter}", text), "  "))
            else:
                short.append(text)
        return "\n".join([f"Called: {name}({', '.join(short)})", *long])

    def _call_reader(self, function: Callable, args: tuple, kwargs: dict) -> object:
        try:
            return function(*args, **kwargs)
        except Stop:  # the time is up, which is not the reader's error to explain here
            raise
        except NotImplementedError as error:
            if _raised_on_purpose(error):
                raise Refused("", attempted=False) from None
            raise Refused(self._explain_error(error)) from None
        except BaseException as error:  # noqa: BLE001 (an answer may raise anything, even SystemExit)
            raise Refused(self._explain_error(error)) from None

    def _explain_error(self, error: BaseException) -> str:
        # The first frame is our own call.
        stack = traceback.extract_tb(error.__traceback__.tb_next)
        text = str(error).partition("\n")[0]
        lines = [
            "Your code stopped with an error.",
            self._call_text,
            explain.readers_line(stack, self._own_file()),
            f"{type(error).__name__}: {text}".removesuffix(": "),
            explain.help_for(error),
        ]
        return "\n".join(filter(None, lines))

    def explain_timeout(self, late: OutOfTime) -> str:
        """The message for an answer that did not end in time."""
        names = [frame.name for frame in late.stack]
        below_the_call = names.index("_call_reader") + 1 if "_call_reader" in names else len(names)
        stack = traceback.StackSummary.from_list(late.stack[below_the_call:])
        ending = "It was stopped."
        if not late.stopped:
            ending = (
                "It could not be stopped: it is inside one long call of compiled code, or catches every "
                "exception. It goes on in the background; restart the kernel to be rid of it."
            )
        lines = [
            (
                f"Your code was still running after {self._exercise.time_limit:g} seconds (call number "
                f"{self.calls} of this stage). {ending}"
            ),
            "Does every loop come to an end? Is there a faster way than going through single values?",
            self._call_text,
            explain.readers_line(stack, self._own_file()),
        ]
        return "\n".join(filter(None, lines))

    def explain_surprise(self, error: Exception) -> str:
        """The message when a stage could not work with what the answer returned."""
        value = self._returned[0] if self._returned else self.answer
        found = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        lines = [
            (
                f"The check could not use this result: it is {explain.describe(value)}. Compare its type "
                "and shape with the task."
            ),
            *self._what_happened(),
            f"What went wrong on the way: {found}",
        ]
        return "\n".join(lines)

    def _own_file(self) -> str | None:
        function = inspect.unwrap(self.answer) if callable(self.answer) else None
        if inspect.isclass(function):
            methods = [part for part in vars(function).values() if inspect.isfunction(part)]
            function = methods[0] if methods else None
        code = getattr(function, "__code__", None)
        return code.co_filename if code else None

    def _refuse_edits(self, named: Mapping[str, object], given: tuple) -> None:
        for (name, before), after in zip(named.items(), given, strict=True):
            if not explain.unchanged(before, after):
                raise Refused(
                    f"Your code edits its input `{name}` in place: whoever called it finds it changed. "
                    "Make a new one instead: `.clone()` for a tensor, `list(...)` for a list; and in "
                    "torch `add_`, `masked_fill_`, `x[...] =` and `+=` edit.\n"
                    f"{self._call_text}\n" + _block(f"Afterwards {name} is", explain.show(after))
                )

    def _refuse_nothing(self, value: object, in_place: bool) -> None:
        if value is ...:
            raise Refused("", attempted=False)
        if value is None and not in_place:
            printed = " Printing a result does not return it." if _printed_so_far() else ""
            raise Refused(
                "Your function returned None. Does every way through it end in"
                f" `return ...`?{printed}\n{self._call_text}"
            )


# ----------------------------------------------------------------------------------------------------------
# What an answer prints


_one_at_a_time = threading.Lock()
_prints: contextvars.ContextVar["_Prints | None"] = contextvars.ContextVar("prints", default=None)


class _Prints(io.TextIOBase):
    """Stands in for standard output during a check and keeps what the answer prints.

    An answer runs on hundreds of inputs, and its prints would bury the message. What other threads print
    goes on as usual.
    """

    KEPT = 400  # characters: enough to recognise one's own print

    def __init__(self, real):
        super().__init__()
        self.real = real
        self.text = ""

    def write(self, text: str) -> int:
        if _prints.get() is not self:
            return self.real.write(text)
        if len(self.text) <= self.KEPT:
            self.text += text[: self.KEPT + 1]
        return len(text)

    def flush(self) -> None:
        self.real.flush()

    def note(self) -> list[str]:
        """Lines for the message: what was printed, or nothing."""
        if not self.text.strip():
            return []
        text = self.text[: self.KEPT].strip()
        first = "\n".join(text.splitlines()[:3])
        more = "\n..." if first != self.text.strip() else ""
        return [_block("Your code also prints (only what it returns is checked)", first + more)]


def _printed_so_far() -> bool:
    prints = _prints.get()
    return prints is not None and bool(prints.text.strip())


@contextlib.contextmanager
def _catch_prints():
    prints = _Prints(sys.stdout)
    token = _prints.set(prints)
    try:
        with contextlib.redirect_stdout(prints):
            yield prints
    finally:
        _prints.reset(token)
