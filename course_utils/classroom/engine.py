"""The engine under every exercise: staged checks, hints, the solution, and wrong answers to test the check.

An exercise is one class with the decorator `exercise`. The class is only a place to write things down: the
name of the class is the name of the exercise, and the decorator turns it into one `Exercise` object.

    @exercise
    class double:
        \"\"\"Write `double(x)`: twice the number x.\"\"\"

        hints = ("Which operator multiplies?", "`2 * ...`")

        def solution(x):
            return 2 * x

        @stage("twice the number")
        def twice(check):
            for x in range(10):
                check.equal(check.call(x), 2 * x)

        @wrong("You square the number.")
        def squared(x):
            return x**2

`start_here` shows two complete ones. An answer may be a function, a class (such as an `nn.Module`), or a
value. The notebook shows the head of the solution with `...` below it; where it gives more lines than that,
these are written down as `stub`.

Each misconception is written once, as a wrong answer with the sentence that a reader should see. When a
stage refuses an answer, the engine runs the wrong answers through the same stage: the one that gives the
same results on all inputs is the slip that was made, and its sentence opens the message. Where none does,
or several do, nothing is guessed: what came and what was expected stand side by side.

Long, because a check is one act: what an answer may do to the process, when it is stopped, and what is said
of it depend on one another, and are read together.
"""

import ast
import builtins
import contextlib
import contextvars
import copy
import dis
import functools
import inspect
import io
import os
import random
import sys
import textwrap
import threading
import traceback
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from course_utils.classroom import explain, parsing
from course_utils.classroom.deadline import OutOfTime, Stop, run_with_deadline

TIME_LIMIT_SECONDS = 5.0  # for one stage, and for naming a slip; an exercise may set its own `time_limit`


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
    misconception: str = ""
    """The sentence of the wrong answer that does the same, if there is exactly one."""

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"<Result: {'passed' if self.passed else 'not passed'}>"

    def _ipython_display_(self) -> None:
        """Show nothing when a cell ends in a check: `check` has printed the message already."""


on_result: list[Callable[["Exercise", Result], None]] = []
"""Functions to call after every check, with the exercise and its result."""


class Refused(Exception):
    """An answer does not pass.

    `words` say what that means, `facts` what came of which call. Both are for the reader; a wrong answer that
    gives the same results has better words, and they take the place of these. `attempted` is False if there
    is no answer yet.
    """

    def __init__(self, words: str, facts: str = "", attempted: bool = True):
        super().__init__(words)
        self.words = words
        self.facts = facts
        self.attempted = attempted

    def told(self, sentence: str = "") -> str:
        """The message, with another sentence in the place of the words if there is one."""
        return f"{sentence or self.words} {self.facts}".replace(" \n", "\n", 1).strip()


class _Departed(Exception):
    """A wrong answer gave another result than the reader's answer: it is not the slip that was made."""


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
    sentence: str
    change: tuple[str, str] | None = None  # the answer is the solution with this for that


def stage(title: str) -> Callable[[Callable[["Check"], None]], _Stage]:
    """Mark a function `f(check)` as one stage of the check. Stages run in the order of writing.

    A stage should isolate one slip and try it on many inputs, the smallest first, so that the first input
    that fails is small enough to follow by hand. Together they must tell the wrong answers apart. `title`
    says what is true of an answer that passes.
    """
    return lambda function: _Stage(title, function)


def wrong(sentence: str, old: str = "", new: str = "") -> Callable[[object], _Wrong] | _Wrong:
    """Mark a wrong answer; `sentence` says to the reader who gives it, or one like it, what went wrong.

    Above a function or class it is a decorator; for a value, write `name = wrong("sentence")(value)`. Where
    it is the solution but for one place, write `name = wrong("sentence", old, new)`: `old` stands once in the
    source of the solution, and `new` takes its place.
    """
    return _Wrong(None, sentence, (old, new)) if old else lambda answer: _Wrong(answer, sentence)


def exercise(definition: type) -> "Exercise":
    """Turn a class that holds hints, solution, stages and wrong answers into an `Exercise`."""
    parts = {name: part for name, part in vars(definition).items() if not name.startswith("__")}
    marked = {name for name, part in parts.items() if isinstance(part, (_Stage, _Wrong))}
    allowed = {"stub", "solution", "hints", "time_limit"}
    for name in sorted({"solution", "hints"} - parts.keys()):
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
        self.stub = parts.get("stub", ...)
        self.model_answer = parts["solution"]
        self.time_limit = parts.get("time_limit", TIME_LIMIT_SECONDS)
        self.naming_limit: float | None = None  # None for the same
        self.stages = tuple(part for part in parts.values() if isinstance(part, _Stage))
        slips = {name: part for name, part in parts.items() if isinstance(part, _Wrong)}
        self.sentences = {name: slip.sentence for name, slip in slips.items()}
        self.changes = {name: slip.change for name, slip in slips.items() if slip.change}
        # Made now: the source on the disk may be another one tomorrow.
        self.wrong_answers = {
            name: self._changed(*slip.change) if slip.change else slip.answer for name, slip in slips.items()
        }
        self._definition = definition
        self._hints_given = 0
        self.wants_callable = callable(self.model_answer) and not isinstance(
            self.model_answer, torch.nn.Module
        )
        self._patterns: dict[str, list[object]] = {}

    def __repr__(self) -> str:
        name = f"ex.{self.name}"
        return f"{self.task}\n\n{name}.check(your_answer)   {name}.hint()   {name}.solution()"

    def _changed(self, old: str, new: str) -> Callable:
        """The solution with a change of one place."""
        source = _source(self.model_answer)
        if source.count(old) != 1:
            raise ValueError(
                f"the solution of {self.name!r} holds {old!r} {source.count(old)} times, not once"
            )
        scope = {}
        code = compile(source.replace(old, new), f"<{self.name} with {new!r}>", "exec")
        exec(code, self.model_answer.__globals__, scope)  # noqa: S102
        return scope["solution"]

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
        source = parsing.source_of(self._definition)
        for node in parsing.parse(source).body[0].body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == "solution":
                text = textwrap.dedent(ast.get_source_segment(source, node, padded=True))
                return text.replace(" solution", f" {self.name}", 1)
            if isinstance(node, ast.Assign) and node.targets[0].id == "solution":
                return f"{self.name} = {ast.get_source_segment(source, node.value)}"
        raise ValueError(f"the source of exercise {self.name!r} defines no 'solution'")

    def check(self, answer: object) -> Result:
        """Run the stages on an answer, show what came of it, and return it. No answer makes it raise.

        The answer runs in a thread of its own with a time limit for each stage, and what it changes in the
        process (seeds, working folder, default dtype, ...) is put back. Checks that are started at the same
        time in several threads wait for each other, since there is only one standard output to watch.

        Raises RuntimeError if an answer, while it is being checked, calls a check itself.
        """
        result = self.judge(answer)
        _say(_prose(result.message))
        for callback in on_result:
            callback(self, result)
        return result

    def judge(self, answer: object) -> Result:
        """What `check` would say, in silence; nobody is told, and nothing is written down."""
        if _prints.get() is not None:
            raise RuntimeError("a check is called inside an answer: call it in a cell of its own")
        calls: dict[str, int] = {}
        with _one_at_a_time, _catch_prints() as printed, _no_input():
            return self._run(answer, calls, printed)

    def _run(self, answer: object, calls: dict[str, int], printed: "_Prints") -> Result:
        passed = []
        current = None
        try:
            self._refuse_what_is_no_attempt(answer)
            for current in self.stages:
                check = Check(self, answer, current.title, pattern=self._pattern(current))
                try:
                    self._run_stage(current, check)
                finally:
                    calls[current.title] = check.calls
                passed.append(current.title)
        except Refused as refusal:
            if not refusal.attempted:
                return Result(False, self._not_attempted(), attempted=False, calls=calls)
            note = printed.notes()  # before the answer is run once more
            sentence = self._name_slip(answer, current) if current and refusal.facts else ""
            message = self._refusal(refusal.told(sentence), passed, current, note)
            return Result(False, message, current and current.title, calls=calls, misconception=sentence)
        return Result(True, self._praise(calls, printed.notes()), calls=calls)

    def _run_stage(self, current: _Stage, check: "Check") -> None:
        """Run one stage; whatever happens in it ends as None or as `Refused`."""

        def run():
            try:
                _seed(check.seed)
                current.run(check)
            except (Refused, _Departed, Stop):
                raise
            except BaseException as error:  # noqa: BLE001 (a result may raise anything when it is compared)
                # The solution passes this stage, so the stage stumbled over what this answer returned.
                raise check.surprise(error) from None

        try:
            with _put_back():
                run_with_deadline(run, self.time_limit)
        except OutOfTime as late:
            raise Refused(check.explain_timeout(late)) from None

    # -- the slip that was made

    def _pattern(self, current: _Stage) -> list[object]:
        """What the solution returns from each call of a stage."""
        if current.title not in self._patterns:
            check = Check(self, self.model_answer, current.title)
            with contextlib.suppress(Refused):
                self._run_stage(current, check)
            self._patterns[current.title] = check.values
        return self._patterns[current.title]

    def _name_slip(self, answer: object, current: _Stage) -> str:
        """The sentence of the wrong answer that does what `answer` does, on all inputs of the stage.

        Where several do, the stages before it decide. Empty if none is left, or several are, or finding out
        takes too long.
        """
        alike = list(self.wrong_answers)
        named = []

        def run():
            place = self.stages.index(current)
            for each in self.stages[place::-1]:
                story = self._story(answer, each)
                alike[:] = [
                    slip
                    for slip in alike
                    if self._story(self.wrong_answers[slip], each, like=story) is not None
                ]
                if len(alike) < 2:
                    break
            named.extend(self.sentences[slip] for slip in alike)

        with contextlib.suppress(OutOfTime):
            run_with_deadline(run, self.naming_limit or self.time_limit)
        return named[0] if len(named) == 1 else ""

    def _story(
        self, answer: object, current: _Stage, like: list[object] | None = None
    ) -> list[object] | None:
        """All that `answer` does in a stage in which nothing is refused: see `Check.story`.

        like: the story of another answer; None comes back as soon as this one differs from it.
        """
        with _put_back():
            try:
                check = Check(self, answer, current.title, self._pattern(current), like, refuses=False)
                _seed(check.seed)
                current.run(check)
            except _Departed:
                return None
            except BaseException as error:  # the stage can do no more with this result
                if isinstance(error, Stop):  # the time is up
                    raise
        return None if like is not None and len(check.story) != len(like) else check.story

    # -- before the first stage

    def _refuse_what_is_no_attempt(self, answer: object) -> None:
        if not self.wants_callable:
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
        if self._kind == "class" and not inspect.isclass(answer):
            raise Refused(
                f"The check wants the class itself, and got {explain.describe(answer)}. It makes its own "
                "instances: pass the name of the class, without round brackets."
            )
        if _is_untouched(answer, self.stub):
            raise Refused("", attempted=False)
        self._refuse_other_parameters(answer)

    @property
    def _kind(self) -> str:
        return "class" if inspect.isclass(self.model_answer) else "function"

    def _refuse_other_parameters(self, answer: Callable) -> None:
        try:
            mine = inspect.signature(answer)
        except Exception:  # noqa: BLE001 (some compiled functions do not tell their parameters)
            return
        wanted = inspect.signature(self.model_answer)
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

    def _refusal(self, reason: str, passed: list[str], current: _Stage | None, note: list[str]) -> str:
        head = f"{self.name}: not yet."
        if current is not None:
            head = f"{self.name}: not yet, at stage {len(passed) + 1} of {len(self.stages)}: {current.title}."
        done = ["Passed before it: " + "; ".join(passed) + "."] if passed else []
        return "\n".join([head, *done, reason, *note, f"Stuck? ex.{self.name}.hint()"])

    def _praise(self, calls: dict[str, int], note: list[str]) -> str:
        times = sum(calls.values())
        tried = f", {times} calls" if times else ""
        stages = f"{len(self.stages)} stage" + ("s" if len(self.stages) > 1 else "")
        return "\n".join([f"{self.name}: passed ({stages}{tried}).", *note])


@functools.cache
def _source(function: Callable) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _parameters(signature: inspect.Signature) -> str:
    return str(signature.replace(return_annotation=inspect.Signature.empty))


# ----------------------------------------------------------------------------------------------------------
# Is there an answer at all?


def _is_untouched(answer: Callable, stub: object) -> bool:
    """True if `answer` does what the stub, if any, does, instruction by instruction, or nothing at all.

    Comments, spaces, docstrings and annotations leave no trace in the instructions, so they do not matter.
    """
    if not inspect.isclass(stub):
        return _is_untouched_function(answer, stub)
    methods = {name: part for name, part in vars(stub).items() if inspect.isfunction(part)}
    return bool(methods) and all(
        name in vars(answer) and _is_untouched_function(vars(answer)[name], methods[name]) for name in methods
    )


def _is_untouched_function(answer: Callable, stub: object) -> bool:
    code = getattr(inspect.unwrap(answer), "__code__", None)
    if code is None:
        return False
    nothing = _does_nothing.__code__
    return _instructions(code) in (_instructions(getattr(stub, "__code__", nothing)), _instructions(nothing))


def _does_nothing():
    pass


def _instructions(code: object) -> list[tuple]:
    def comparable(value):
        return _instructions(value) if inspect.iscode(value) else value

    # RESUME and NOP mark lines for debuggers; they do nothing. `torch.arange` is loaded in one of two ways,
    # with PUSH_NULL or without, as `import torch` stands in the same file or in another cell.
    return [
        (op.opname.replace("LOAD_METHOD", "LOAD_ATTR"), comparable(op.argval))
        for op in dis.get_instructions(code)
        if op.opname not in ("RESUME", "NOP", "PUSH_NULL")
    ]


def _raised_on_purpose(error: NotImplementedError) -> bool:
    """True for a `raise` in the reader's Python; torch raises this type too, for reasons of its own."""
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    instruction = dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]]
    return instruction == "RAISE_VARARGS" and not explain.is_library(last.tb_frame.f_code.co_filename)


# ----------------------------------------------------------------------------------------------------------
# What a stage works with


class Check:
    """Handed to each stage: calls the answer with care and compares what comes back.

    answer: what the reader passed. For an exercise whose answer is a value, compare this.
    rng, generator: sources of random inputs for NumPy and PyTorch, seeded by the names of exercise and
    stage.
    """

    def __init__(
        self,
        exercise: Exercise,
        answer: object,
        title: str,
        pattern: Sequence[object] = (),
        like: Sequence[object] | None = None,
        refuses: bool = True,
    ):
        """Begin a stage.

        pattern: what the solution returns from each call; the results of the answer are brought into the
        same containers and dtypes where nothing is lost.
        like: end the stage as soon as its story departs from this one.
        refuses: False to go through a whole stage, for the sake of its `story`.
        """
        self.seed = zlib.crc32(f"{exercise.name}/{title}".encode())
        self.rng = np.random.default_rng(self.seed)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.answer = answer
        self.calls = 0
        self.values: list[object] = []  # what each call returned
        self.story: list[object] = []  # the same, and what else could be seen: errors, edits of the inputs
        self._exercise = exercise
        self._pattern = pattern
        self._like = like
        self._refuses = refuses
        self._call_text = ""
        self._returned: list[tuple[object, object]] = []  # what the last call gave, and the check made of it
        if not exercise.wants_callable:
            self.answer = self._note(answer)

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
        self._call_text = self._describe_call(named, target) if self._refuses else ""
        given_args, given_kwargs = (args, kwargs) if in_place else copy.deepcopy((args, kwargs))
        given = (*given_args, *given_kwargs.values())
        raw = self._call_reader(function, given_args, given_kwargs)
        value = self._note(raw)
        self._returned = [(raw, value)]
        if in_place:
            self._write(copy.deepcopy(given))
        else:
            self._refuse_edits(named, given)
        self._refuse_nothing(value, in_place)
        if explain.has_nan(value) and not explain.has_nan([*args, *kwargs.values()]):
            self._refuse(
                "",
                "The result holds NaN, which means 'not a number'. It comes from 0 / 0, from inf - inf, from"
                " 0 * inf, or from a softmax over a row in which every score is -inf.",
                *self._what_happened(),
            )
        return value

    def expect(self, condition: bool, words: str) -> None:
        """Refuse the answer with `words` unless the condition holds. The message shows the last call."""
        if not condition:
            self._refuse(words, "", *self._what_happened())

    def tensor(
        self, value: object, shape: tuple[int, ...], dtype: torch.dtype | None = None, axes: str = ""
    ) -> torch.Tensor:
        """Return `value` if it is a tensor of this shape (and dtype, if one is given); refuse it if not.

        axes: what the axes mean, for the message, such as "(batch, seq_len, hidden_size)".
        """
        if not isinstance(value, torch.Tensor) or value.is_nested:
            fault = f"A tensor of shape {tuple(shape)} is wanted, and this is {explain.describe(value)}."
        elif fault := explain.shape_difference(tuple(value.shape), tuple(shape)):
            fault += f" The axes are {axes}." if axes else ""
        elif dtype is not None and value.dtype != dtype:
            fault = f"The dtype is {value.dtype}; expected was {dtype}."
        if fault:
            self._refuse("", fault, *self._what_happened())
        return value

    def equal(self, got: object, expected: object, words: str = "", *, tolerance: float = 1e-5) -> None:
        """Refuse the answer unless `got` equals `expected`: numbers, strings, tensors, lists, dicts, ...

        words: what a difference means, in the words of the task, where it is not the slip of a wrong answer.
        tolerance: for floating-point numbers, absolute or relative.
        """
        if not self._refuses or (fault := explain.difference(got, expected, tolerance)) is None:
            return
        returned = any(got is value for _, value in self._returned) or not self._call_text
        drawn = explain.side_by_side(got, expected, tolerance)
        facts = [fault, *self._what_happened(without_result=returned and drawn)]
        if drawn:
            place = "what your code returned" if returned else "what came of it"
            facts.append(_block(f"Left {place}, right what was expected; brackets mark what differs", drawn))
        elif not isinstance(expected, (int, float)):  # `fault` has named both numbers
            mine, theirs = explain.show_apart(got, expected)
            if not returned:  # something that the stage made of the result
                facts.append(_block("Compared", mine))
            facts.append(_block("Expected", theirs))
        self._refuse(words, *facts)

    # -- what happens

    def _note(self, raw: object) -> object:
        """Write down what came back, and return it in the container and dtype of the solution."""
        place = len(self.values)
        value = explain.alike(raw, self._pattern[place]) if place < len(self._pattern) else raw
        self.values.append(value)
        self._write(value)
        return value

    def _write(self, event: object) -> None:
        place = len(self.story)
        self.story.append(event)
        if self._like is None:
            return
        if place >= len(self._like) or not explain.same(event, self._like[place]):
            raise _Departed

    # -- messages

    def _refuse(self, words: str, *facts: str) -> None:
        if self._refuses:
            raise Refused(words, "\n".join(facts))

    def _what_happened(self, without_result: bool = False) -> list[str]:
        """The last call and what it returned; for an exercise without calls, the answer."""
        if not self._call_text:
            return [] if without_result else [_block("Your answer", explain.show(self.answer))]
        returned = [] if without_result else self._returned
        return [self._call_text, *(_block("Returned", explain.show(raw)) for raw, _ in returned)]

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
            raise self._error(error) from None
        except BaseException as error:  # noqa: BLE001 (an answer may raise anything, even SystemExit)
            raise self._error(error) from None

    def _error(self, error: BaseException) -> Refused:
        self._write(type(error))
        # The first frame is our own call.
        stack = traceback.extract_tb(error.__traceback__.tb_next)
        text = explain.first_line(error)
        lines = [
            "Your code stopped with an error.",
            self._call_text,
            explain.readers_line(stack, self._own_file()),
            f"{type(error).__name__}: {text}".removesuffix(": "),
            explain.help_for(error),
        ]
        return Refused("", "\n".join(filter(None, lines)))

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

    def surprise(self, error: BaseException) -> Refused:
        """The refusal when a stage could not work with what the answer returned."""
        value = self._returned[0][0] if self._returned else self.answer
        words = (
            f"The check could not use this result: it is {explain.describe(value)}. Compare its type and "
            "shape with the task."
        )
        found = f"{type(error).__name__}: {explain.first_line(error)}"
        return Refused("", "\n".join([words, *self._what_happened(), f"What went wrong on the way: {found}"]))

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
                self._write(f"edits {name}")
                self._refuse(
                    "",
                    f"Your code edits its input `{name}` in place: whoever called it finds it changed. "
                    f"Make a new one instead: {explain.how_to_copy(before)}",
                    self._call_text,
                    _block(f"Afterwards {name} is", explain.show(after)),
                )

    def _refuse_nothing(self, value: object, in_place: bool) -> None:
        if value is ...:
            raise Refused("", attempted=False)
        if value is None and not in_place:
            printed = " Printing a result does not return it." if _printed_so_far() else ""
            self._refuse(
                "",
                f"Your function returned None. Does every way through it end in `return ...`?{printed}",
                self._call_text,
            )


# ----------------------------------------------------------------------------------------------------------
# What an answer may change outside itself


def _folder() -> str | None:
    with contextlib.suppress(OSError):  # the folder that we are in may be gone
        return os.getcwd()
    return None


_SETTINGS = (  # how to ask for what holds in the whole process, and how to set it
    (_folder, lambda before: before and os.chdir(before)),
    (lambda: dict(os.environ), lambda before: (os.environ.clear(), os.environ.update(before))),
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),
    (torch.get_rng_state, torch.set_rng_state),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_num_threads, torch.set_num_threads),
    (lambda: dict(vars(torch._tensor_str.PRINT_OPTS)), lambda before: torch.set_printoptions(**before)),
    (np.get_printoptions, lambda before: np.set_printoptions(**before)),
    (np.geterr, lambda before: np.seterr(**before)),
    (sys.getrecursionlimit, sys.setrecursionlimit),
)


@contextlib.contextmanager
def _put_back():
    """Afterwards seeds, folder, environment, default dtype, print options, ... are what they were before."""
    before = [(ask, put, ask()) for ask, put in _SETTINGS]
    try:
        with warnings.catch_warnings():
            _short_warnings()
            yield
    finally:
        for ask, put, value in before:
            with contextlib.suppress(OSError):
                if not explain.unchanged(value, ask()):
                    put(value)


def _seed(seed: int) -> None:
    """Let answers that use the generators of the process draw the same numbers in each check."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


@contextlib.contextmanager
def _no_input():
    """Let `input()` fail inside an answer: nobody is there to type while a check runs."""
    real = builtins.input

    def refuse(prompt: object = "") -> str:
        if _prints.get() is None:  # the call of another thread
            return real(prompt)
        raise RuntimeError("nobody can type while a check runs: use the parameters instead of `input()`")

    builtins.input = refuse
    try:
        yield
    finally:
        builtins.input = real


# ----------------------------------------------------------------------------------------------------------
# What an answer prints


_one_at_a_time = threading.Lock()
_prints: contextvars.ContextVar["_Prints | None"] = contextvars.ContextVar("prints", default=None)


class _Prints(io.TextIOBase):
    """Stands in for standard output during a check, or for standard error, and keeps what the answer writes.

    An answer runs on hundreds of inputs, and its prints would bury the message; and a platform that grades
    takes any word on standard error for a failure. What other threads write goes on as usual.
    """

    KEPT = 400  # characters: enough to recognise one's own print

    def __init__(self, real, title: str, output: "_Prints | None" = None):
        super().__init__()
        self.real = real
        self.title = title
        self.output = output or self  # that of this check
        self.complaints: _Prints | None = None
        self.text = ""

    def write(self, text: str) -> int:
        if _prints.get() is not self.output:
            return self.real.write(text)
        if len(self.text) <= self.KEPT:
            self.text += text[: self.KEPT + 1]
        return len(text)

    def flush(self) -> None:
        # Called once more when this object is thrown away; what it stands for may be closed by then.
        if not getattr(self.real, "closed", False):
            self.real.flush()

    def note(self) -> list[str]:
        """Lines for the message: what was written, or nothing."""
        if not self.text.strip():
            return []
        text = self.text[: self.KEPT].strip()
        first = "\n".join(text.splitlines()[:3])
        more = "\n..." if first != self.text.strip() else ""
        return [_block(self.title, first + more)]

    def notes(self) -> list[str]:
        """The same, and what was written to standard error."""
        return self.note() + (self.complaints.note() if self.complaints else [])


def _printed_so_far() -> bool:
    prints = _prints.get()
    return prints is not None and bool(prints.text.strip())


@contextlib.contextmanager
def _catch_prints():
    prints = _Prints(sys.stdout, "Your code also prints (only what it returns is checked)")
    prints.complaints = _Prints(sys.stderr, "It also warns", prints)
    token = _prints.set(prints)
    try:
        with contextlib.redirect_stdout(prints), contextlib.redirect_stderr(prints.complaints):
            yield prints
    finally:
        _prints.reset(token)


def _short_warnings() -> None:
    """Let what an answer warns of be its kind and its words; the file and the line are the reader's own."""
    real = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None):
        if _prints.get() is None:  # the warning of another thread
            real(message, category, filename, lineno, file, line)
        else:
            sys.stderr.write(f"{category.__name__}: {message}\n")

    warnings.showwarning = show
