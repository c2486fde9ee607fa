"""The exercise engine: whatever an answer does, its writer gets a message to act on, never a traceback."""

import _thread
import builtins
import copy
import functools
import io
import linecache
import logging
import math
import os
import random
import signal
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.classroom import engine, explain
from course_utils.classroom.engine import Result, exercise, stage, wrong

SHORT = 0.4  # seconds, for answers that are meant to run out of time
# The first tensor of this kind imports a good part of torch; on a busy machine a check would run out of time.
torch.nested.nested_tensor([torch.ones(1)], layout=torch.jagged)


@exercise
class add_one:
    """Write `add_one(x)`: a tensor of shape (n,) with 1 added to each value."""

    hints = ("Tensors take `+`.", "`x + 1`")

    def stub(x): ...

    def solution(x):
        # Broadcasting adds the number to each value.
        return x + 1

    @stage("the shape of x")
    def shape(check):
        for n in range(2, 8):
            check.tensor(check.call(torch.arange(float(n))), (n,), torch.float32, axes="(n,)")

    @stage("one more")
    def values(check):
        for n in range(2, 8):
            x = torch.randint(9, (n,), generator=check.generator).float()
            check.equal(check.call(x), x + 1, "Not one more.")

    @wrong("You subtract.")
    def subtract(x):
        return x - 1


@exercise
class head_size:
    """What is the size of one head, with hidden_size 768 and 12 heads?"""

    hints = ("The heads share the hidden size.", "A division.")
    stub = ...
    solution = 768 // 12

    @stage("a share of 768")
    def share(check):
        check.equal(check.answer, 64)

    too_many = wrong("That is the number of values of all heads.")(768 * 12)


@exercise
class Scale:
    """Write the module `Scale(factor)`; its output is the factor times the input."""

    hints = ("Keep the factor in `__init__`.", "Multiply in `forward`.")

    class stub(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x): ...

    class solution(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return self.factor * x

    @stage("factor times input")
    def values(check):
        for factor in range(2, 8):
            module = check.call(factor)
            x = torch.randn(3, generator=check.generator)
            check.equal(check.call(x, target=module), factor * x)

    @wrong("This adds the factor; a scale multiplies.")
    class adds(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return self.factor + x


def refusal(answer, subject=add_one) -> str:
    """The message with which the check refuses an answer that was attempted."""
    result = subject.check(answer)
    assert not result and result.attempted
    return result.message


# ----------------------------------------------------------------------------------------------------------
# The result, and how it shows


def test_a_right_answer_passes_and_says_so_once(capsys):
    result = add_one.check(lambda x: x + 1)
    assert result and result.passed and result.stage is None and result.attempted
    assert result.calls == {"the shape of x": 6, "one more": 6}
    assert capsys.readouterr().out == "add_one: passed (2 stages, 12 calls).\n"


def test_a_refusal_names_the_stage_what_passed_what_came_and_what_was_expected():
    result = add_one.check(lambda x: x - 1)
    assert result.stage == "one more"
    lines = result.message.splitlines()
    assert lines[0] == "add_one: not yet, at stage 2 of 2: one more."
    assert lines[1] == "Passed before it: the shape of x."
    assert lines[2].startswith("You subtract. All 2 values differ, first at [0]: got ")
    assert [line.partition(":")[0] for line in lines[3:6]] == ["Called", "Returned", "Expected"]
    assert lines[-1] == "Stuck? ex.add_one.hint()"


def test_long_messages_are_broken_into_lines_but_code_is_not(capsys):
    code = "    " + "x" * 150
    message = engine._prose("word " * 50 + "\n" + code)
    assert max(len(line) for line in message.splitlines() if line != code) <= 100
    assert code in message.splitlines()


def test_hints_come_one_by_one_and_then_end(capsys):
    for _ in range(3):
        head_size.hint()
    assert capsys.readouterr().out.splitlines() == [
        "head_size, hint 1 of 2: The heads share the hidden size.",
        "head_size, hint 2 of 2: A division.",
        "head_size: there are no more hints. ex.head_size.solution() shows one way to do it.",
    ]


@pytest.mark.parametrize("subject", [add_one, head_size, Scale], ids=lambda subject: subject.name)
def test_the_solution_shown_runs_and_passes(subject, capsys):
    subject.solution()
    source = capsys.readouterr().out
    names = {"torch": torch}
    exec(source, names)  # noqa: S102
    assert subject.check(names[subject.name])


def test_the_solution_keeps_its_comments():
    assert (
        add_one.solution_source()
        == "def add_one(x):\n    # Broadcasting adds the number to each value.\n    return x + 1"
    )


def test_repr_states_the_task_and_what_can_be_asked():
    assert repr(add_one).startswith("Write `add_one(x)`") and "ex.add_one.hint()" in repr(add_one)


def test_callbacks_hear_of_every_check(monkeypatch):
    heard = []
    monkeypatch.setattr(
        engine, "on_result", [lambda subject, result: heard.append((subject.name, bool(result)))]
    )
    add_one.check(add_one.model_answer)
    add_one.check(add_one.stub)
    assert heard == [("add_one", True), ("add_one", False)]


# ----------------------------------------------------------------------------------------------------------
# Not attempted


def with_docstring(x):
    """Another text than in the stub."""


def with_pass(x):
    pass


def with_return_none(x):
    return None


def not_implemented(x):
    raise NotImplementedError("your turn")


def returns_ellipsis(x):
    y = x + 1  # noqa: F841
    return ...


class untouched_module(torch.nn.Module):
    """Typed again by the reader, with other comments."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor  # kept for forward

    def forward(self, x):
        pass


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        (add_one, add_one.stub),
        (add_one, with_docstring),
        (add_one, with_pass),
        (add_one, with_return_none),
        (add_one, not_implemented),
        (add_one, returns_ellipsis),
        (head_size, ...),
        (head_size, None),
        (Scale, Scale.stub),
        (Scale, untouched_module),
    ],
)
def test_no_attempt_is_no_error(subject, answer, capsys):
    result = subject.check(answer)
    assert not result and not result.attempted and result.stage is None
    assert result.message.startswith(f"{subject.name}: not attempted yet.")
    assert capsys.readouterr().out.replace("\n", " ").strip() == result.message


def test_code_that_does_something_is_an_attempt():
    def begun(x):
        y = x + 1  # noqa: F841

    assert "returned None" in refusal(begun)


# ----------------------------------------------------------------------------------------------------------
# Answers of the wrong kind


@pytest.mark.parametrize(
    ("subject", "answer", "words"),
    [
        (add_one, torch.ones(2), "wants the function itself, and got a tensor of shape (2,)"),
        (add_one, lambda: 1, "asks for the parameters (x); your function has ()"),
        (add_one, lambda x, y: 1, "asks for the parameters (x); your function has (x, y)"),
        (add_one, lambda x: "x", "A tensor of shape (2,) is wanted, and this is the string 'x'."),
        (
            add_one,
            lambda x: [[1], [2, 3]],
            "A tensor of shape (2,) is wanted, and this is a list of 2 values.",
        ),
        (
            add_one,
            lambda x: torch.nested.nested_tensor([x, x], layout=torch.jagged),
            "A tensor of shape (2,) is wanted, and this is a nested tensor of dtype float32",
        ),
        (add_one, lambda x: x[None] + 1, "The shape is (1, 2); expected was (2,)."),
        (add_one, lambda x: (x + 1).bool(), "The dtype is torch.bool; expected was torch.float32."),
        (add_one, lambda x: x * math.nan, "The result holds NaN"),
        (
            add_one,
            lambda x: print(x),
            "returned None. Does every way through it end in `return ...`? Printing a",
        ),
        (head_size, math.sqrt, "wants a value, and got a function"),
        (head_size, "64", "This is the string '64'; expected was the number 64."),
        (head_size, 768 * 12, "That is the number of values of all heads. Got 9216, expected 64."),
        (Scale, Scale.model_answer(3), "wants the class itself, and got a solution"),
        (Scale, lambda factor: None, "wants the class itself, and got a function"),
    ],
)
def test_wrong_kinds_are_named(subject, answer, words):
    assert words in refusal(answer, subject)


def test_parameters_may_have_other_names_and_defaults_of_their_own():
    assert add_one.check(lambda values, step=1: values + step)
    assert add_one.check(functools.partial(torch.add, other=1))


def test_an_input_edited_in_place_is_named():
    found = refusal(lambda x: x.add_(1))
    assert "edits its input `x` in place" in found and "`.clone()`" in found


@pytest.mark.parametrize(
    ("value", "copied"),
    [([1], "list("), ({1: 2}, "dict("), ({1}, "set("), (np.ones(2), ".copy()"), (torch.ones(2), ".clone()")],
)
def test_the_copy_that_is_advised_is_one_of_its_kind(value, copied):
    assert explain.how_to_copy(value).startswith(f"`{copied}")


def test_a_result_that_the_stage_cannot_use_is_described():
    @exercise
    class first_item:
        """Write `first_item(values)`."""

        hints = ("a", "b")

        def stub(values): ...

        def solution(values):
            return values[:1]

        @stage("one item")
        def one(check):
            check.equal(len(check.call([1, 2])), 1)

    message = refusal(lambda values: values[0], first_item)
    assert "could not use this result: it is the number 1" in message and "has no len()" in message


def test_inputs_of_an_exercise_that_edits_are_handed_over_themselves():
    @exercise
    class clear:
        """Write `clear(values)`: empty the list in place."""

        hints = ("a", "b")

        def stub(values): ...

        def solution(values):
            values.clear()

        @stage("empty afterwards")
        def empty(check):
            for n in range(1, 6):
                values = [1] * n
                check.call(values, in_place=True)
                check.equal(values, [], "Something is left.")

    assert clear.check(clear.model_answer)
    assert "Something is left." in refusal(lambda values: [], clear)


def test_random_generators_are_handed_over_as_copies_and_may_be_used():
    @exercise
    class draw:
        """Write `draw(generator)`."""

        hints = ("a", "b")

        def stub(generator): ...

        def solution(generator):
            return torch.rand(3, generator=generator)

        @stage("three numbers")
        def three(check):
            state = check.generator.get_state()
            check.tensor(check.call(check.generator), (3,))
            check.expect(torch.equal(state, check.generator.get_state()), "The stage's own generator moved.")

    assert draw.check(draw.model_answer)


# ----------------------------------------------------------------------------------------------------------
# The slip that was made


@exercise
class relu:
    """Write `relu(x)`: x where it is positive, and 0 elsewhere."""

    hints = ("a", "b")

    def stub(x): ...

    def solution(x):
        return x.clamp(min=0)

    @stage("positive numbers stay")
    def positive(check):
        for n in range(1, 6):
            check.equal(check.call(torch.ones(n)), torch.ones(n))

    @stage("negative ones become 0")
    def negative(check):
        for n in range(1, 6):
            x = torch.arange(float(n)) - 1
            check.equal(check.call(x), x.clamp(min=0), "Something negative is left.")

    @wrong("This is the absolute value.")
    def absolute(x):
        return x.abs()

    @wrong("This is x itself.")
    def itself(x):
        return x.clone()

    @wrong("You double x if nothing in it is negative, and leave it alone if something is.")
    def doubled(x):
        return x.clone() if x.min() < 0 else 2 * x

    @wrong("You look the result up among those that you have seen.")
    def seen(x):
        return {1.0: x}[x[0].item()]

    @wrong("You write into x.")
    def overwrites(x):
        x[x < 0] = 0
        return x


def told_by_relu(answer) -> str:
    """What the check of `relu` says first, without the stages."""
    result = relu.check(answer)
    assert result.stage == "negative ones become 0"
    return result.message.splitlines()[2]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: torch.maximum(x, -x), "This is the absolute value. At [0]: got"),
        (lambda x: torch.maximum(x, -x).double().tolist(), "This is the absolute value. At [0]: got"),
        (lambda x: [1.0, 1.0][int(x[0])] * x if x[0] > 0 else {}[0], "You look the result up among"),
        (lambda x: x.clamp_(min=0), "You write into x. Your code edits its input"),
        # Two wrong answers do the same here; the stage before tells them apart.
        (lambda x: x + 0, "This is x itself. At [0]: got"),
        # Of the first input alone this makes what the absolute value does.
        (torch.ones_like, "Something negative is left. At [0]: got"),
        # Another error than that of the wrong answer that raises one.
        (lambda x: x if x[0] > 0 else 1 / 0, "Your code stopped with an error."),
    ],
)
def test_the_slip_that_is_named_is_the_one_that_was_made(answer, words):
    assert told_by_relu(answer).startswith(words)


def test_of_two_wrong_answers_that_cannot_be_told_apart_none_is_named():
    parts = {name: part for name, part in vars(relu._definition).items() if not name.startswith("__")}
    twin = wrong("This is x, copied.")(lambda x: x.clone())
    subject = exercise(type("relu", (), parts | {"twin": twin}))
    message = refusal(lambda x: x + 0, subject)
    assert "Something negative is left." in message and "This is x" not in message


def test_values_and_classes_are_compared_with_the_wrong_ones_too():
    assert "That is the number of values of all heads. Got 9216" in refusal(np.int64(9216), head_size)
    assert "adds the factor" in refusal(Scale.wrong_answers["adds"], Scale)


def test_naming_a_slip_ends_in_time(monkeypatch):
    parts = {name: part for name, part in vars(relu._definition).items() if not name.startswith("__")}
    subject = exercise(type("relu", (), parts | {"endless": wrong("It never ends.")(loops_for_ever)}))
    monkeypatch.setattr(subject, "time_limit", SHORT)
    started = time.monotonic()
    message = refusal(lambda x: x + 0, subject)
    assert time.monotonic() - started < SHORT + 2
    assert "Something negative is left." in message


def test_random_wrong_answers_draw_what_the_same_code_drew_before():
    @exercise
    class three:
        """Write `three(x)`: the number 3."""

        hints = ("a", "b")

        def stub(x): ...

        def solution(x):
            return 3

        @stage("three")
        def values(check):
            for x in range(5):
                check.equal(check.call(x), 3)

        @wrong("This is a random number.")
        def drawn(x):
            return torch.rand(()).item() + random.random() + np.random.rand()

    answer = lambda x: random.random() + np.random.rand() + torch.rand(()).item()
    assert "This is a random number." in refusal(answer, three)


# ----------------------------------------------------------------------------------------------------------
# Two tables side by side


def test_small_tables_stand_side_by_side_with_differing_cells_in_brackets():
    got, expected = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 2.0], [3.5, 4.0]])
    lines = explain.side_by_side(got, expected, 1e-5).splitlines()
    assert lines == [" 1.00  2.00      1.00  2.00", "[3.00] 4.00     [3.50] 4.00"]
    assert explain.side_by_side(got.tolist(), expected.numpy(), 1e-5).splitlines() == lines


def test_cells_that_differ_never_show_the_same_digits():
    got, expected = torch.zeros(2, 2).double(), torch.zeros(2, 2).double()
    got[0, 0], got[1, 1] = 2e-5, -1e-9
    first, second = explain.side_by_side(got, expected, 1e-10).splitlines()
    assert "[ 0.000020000]" in first and "[-0.000000001]" in second and "[ 0.000000000]" in second
    mine, theirs = explain.show_apart(torch.tensor([0.1, 0.200001]), torch.tensor([0.1, 0.200002]))
    assert mine != theirs


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (torch.zeros(3), torch.ones(3)),
        (torch.zeros(9, 2), torch.ones(9, 2)),
        (torch.zeros(1, 2), torch.ones(1, 2)),
        (torch.zeros(2, 2), torch.ones(2, 3)),
        (torch.zeros(2, 2, 2), torch.ones(2, 2, 2)),
        ([["a", "b"], ["c", "d"]], [["a", "b"], ["c", "e"]]),
        ([[1], [2, 3]], [[1], [2, 4]]),
        ([("a", ["b"]), ("c", ["d"])], [("a", "b"), ("c", "d")]),
        (torch.full((8, 8), 1e30), torch.ones(8, 8)),
    ],
)
def test_all_else_is_shown_in_lines(got, expected):
    assert explain.side_by_side(got, expected, 1e-5) is None


def test_a_drawn_refusal_shows_neither_value_twice():
    @exercise
    class doubled_table:
        """Write `doubled_table(x)`: twice the table."""

        hints = ("a", "b")

        def stub(x): ...

        def solution(x):
            return 2 * x

        @stage("twice")
        def values(check):
            for n in range(2, 7):
                check.equal(check.call(torch.eye(n)), 2 * torch.eye(n))

    message = refusal(lambda x: x, doubled_table)
    assert "2 of 4 values differ, all on the diagonal" in message
    assert "Left what your code returned, right what was expected" in message.replace("\n", " ")
    assert "    [1.00] 0.00     [2.00] 0.00\n" in message
    assert "Returned:" not in message and "Expected:" not in message


# ----------------------------------------------------------------------------------------------------------
# Containers and dtypes that lose nothing are taken, and nothing makes a check raise


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: (x + 1).double(),
        lambda x: (x + 1).half(),
        lambda x: (x + 1).long(),
        lambda x: (x + 1).numpy(),
        lambda x: (x + 1).tolist(),
        lambda x: tuple((x + 1).numpy()),
        lambda x: (x + 1).to_sparse(),
        lambda x: torch.nn.Parameter(x + 1),
    ],
)
def test_a_right_answer_in_another_container_or_dtype_passes(answer):
    assert add_one.check(answer)


@pytest.mark.parametrize("answer", [np.int64(64), torch.tensor(64), np.array(64), np.float32(64)])
def test_a_number_may_be_one_of_numpy_or_a_tensor(answer):
    assert head_size.check(answer)


@pytest.mark.parametrize(
    ("value", "model", "expected"),
    [
        ([np.int64(1), 2], [1, 2], [1, 2]),
        ([0.1], torch.zeros(1).double(), torch.tensor([0.1], dtype=torch.float64)),
        ((np.float32(0.5),), [0.5], [0.5]),
        (np.array([[1, 2]]), [[1, 2]], [[1, 2]]),
        ([1, 2], (1, 2), (1, 2)),
        ([1, 2], (), (1, 2)),
        ({"a": np.int64(3)}, {"a": 3}, {"a": 3}),
        ("ab", [1, 2], "ab"),
        (torch.tensor([1, 2]), [1, 2], torch.tensor([1, 2])),
        (torch.tensor([1.0]), torch.tensor([1]), torch.tensor([1.0])),
        (torch.tensor([1]), torch.tensor([True]), torch.tensor([1])),
        ([True, False], torch.tensor([1.0, 0.0]), [True, False]),
        ([[1], [2, 3]], torch.ones(2, 2), [[1], [2, 3]]),
    ],
)
def test_what_becomes_like_the_solution_and_what_stays(value, model, expected):
    found = explain.alike(value, model)
    assert type(found) is type(expected)
    if isinstance(found, torch.Tensor):
        assert found.dtype == expected.dtype and torch.equal(found, expected)
    else:
        assert found == expected
        for item in found if isinstance(found, (list, tuple)) else ():
            assert not isinstance(item, np.generic)


def hostile(*names: str) -> object:
    """An object all of whose methods of these names raise."""

    def raises(self, *args):
        raise RuntimeError("no")

    return type("Hostile", (), dict.fromkeys(names, raises))()


class LongList(list):
    def __len__(self):
        raise RuntimeError("no length")


class UnreadableError(Exception):
    def __str__(self):
        raise RuntimeError("no")


def raises_what_cannot_be_read(x):
    raise UnreadableError


ODD = [
    lambda x: torch.ones(2, 3, device="meta"),
    lambda x: torch.ones(2, device="meta"),
    lambda x: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    lambda x: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    lambda x: torch.eye(3).to_sparse(),
    lambda x: torch.eye(3).to_sparse_csr(),
    lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    lambda x: x * 1j,
    lambda x: 10**5000,
    lambda x: [10**5000],
    lambda x: LongList([1, 2]),
    lambda x: hostile("__repr__", "__str__"),
    lambda x: hostile("__eq__", "__ne__", "__hash__"),
    lambda x: hostile("__len__", "__iter__", "__getitem__"),
    lambda x: hostile("__getattribute__"),
    lambda x: [hostile("__repr__")],
    lambda x: np.array([object(), None]),
    lambda x: np.array(["a", "b"]),
    lambda x: (number for number in x),
    lambda x: torch.nn.Linear(2, 2),
    lambda x: type,
    lambda x: float("inf"),
    lambda x: b"bytes",
    lambda x: range(3),
    lambda x: {1: {2: x}},
    raises_what_cannot_be_read,
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("answer", ODD)
def test_no_result_makes_a_check_raise(answer):
    assert refusal(answer).startswith("add_one: not yet")
    refusal(lambda x: answer(x) if len(x) == 3 else x + 1)  # not at the first call
    refusal(answer, double_list)


@exercise
class double_list:
    """Write `double_list(x)`: a list of twice the numbers of x."""

    hints = ("a", "b")

    def stub(x): ...

    def solution(x):
        return [2 * number for number in x.tolist()]

    @stage("twice the numbers")
    def values(check):
        for n in range(2, 8):
            check.equal(check.call(torch.arange(float(n))), [2.0 * i for i in range(n)])

    @wrong("These are the numbers themselves.")
    def same(x):
        return x.tolist()


# ----------------------------------------------------------------------------------------------------------
# What an answer changes outside itself


def state() -> dict[str, object]:
    return {
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state().tolist(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "tensors": repr(torch.tensor([1 / 3])),
        "arrays": repr(np.array([1 / 3])),
        "errors": np.geterr(),
        "recursion": sys.getrecursionlimit(),
        "warnings": list(warnings.filters),
    }


def changes_everything(x):
    os.chdir("/")
    os.environ["A_NEW_NAME"] = "1"
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_printoptions(precision=1)
    np.set_printoptions(precision=1)
    np.seterr(all="ignore")
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)
    warnings.simplefilter("error")
    return x + 1


def test_an_error_that_cannot_say_what_it_is_is_still_shown():
    message = refusal(raises_what_cannot_be_read)
    assert "in `raises_what_cannot_be_read`" in message and "\nUnreadableError\n" in message


@pytest.mark.parametrize("wrong_too", [False, True])
def test_what_an_answer_sets_is_put_back(wrong_too):
    before = state()

    def answer(x):
        return changes_everything(x) * (0 if wrong_too else 1)

    assert bool(add_one.check(answer)) is not wrong_too
    assert state() == before


def test_input_in_an_answer_is_an_error_that_says_what_to_do():
    message = refusal(lambda x: x + float(input("how much? ")))
    assert "use the parameters instead of `input()`" in message
    assert builtins.input is engine.builtins.input and builtins.input.__name__ == "input"


def test_a_check_inside_an_answer_is_an_error_and_does_not_wait_for_itself():
    started = time.monotonic()
    message = refusal(lambda x: add_one.check(lambda y: y + 1) and x + 1)
    assert "a check is called inside an answer: call it in a cell of its own" in message
    assert time.monotonic() - started < add_one.time_limit


# ----------------------------------------------------------------------------------------------------------
# Errors


def as_cell(source: str, name: str):
    """Define a function as a notebook does: compiled under the name of a file that does not exist."""
    filename = f"/tmp/ipykernel_1/{abs(hash(source))}.py"
    source = textwrap.dedent(source)
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    names = {"torch": torch}
    exec(compile(source, filename, "exec"), names)  # noqa: S102
    return names[name]


def test_an_error_shows_the_line_of_the_cell_its_text_and_help():
    answer = as_cell(
        """
        def helper(x):
            return x @ torch.ones(3, 2)

        def add_one(x):
            return helper(x[None])
        """,
        "add_one",
    )
    message = refusal(answer)
    assert "Line 3 of your cell, in `helper`:\n    return x @ torch.ones(3, 2)\n" in message
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x2 and 3x2)" in message
    assert "here they are 2 and 3" in message
    assert "Traceback" not in message and "engine.py" not in message


def test_an_error_inside_a_library_is_shown_at_the_readers_line():
    message = refusal(
        as_cell("def add_one(x):\n    return torch.nn.functional.layer_norm(x, (7,))", "add_one")
    )
    assert "Line 2 of your cell, in `add_one`:\n    return torch.nn.functional.layer_norm(x, (7,))" in message


def test_torch_may_raise_not_implemented_and_that_is_an_attempt():
    assert "`.float()`" in refusal(lambda x: x.long().softmax(0))

    class no_forward(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()

    assert "needs a method `forward" in refusal(no_forward, Scale)


def recursive(x):
    return recursive(x)


class RecursiveModule(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()

    def forward(self, x):
        return self(x)


@pytest.mark.parametrize(("subject", "answer"), [(add_one, recursive), (Scale, RecursiveModule)])
def test_endless_recursion_is_an_error_like_others(subject, answer):
    assert "The function calls itself without end." in refusal(answer, subject)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, Exception])
def test_whatever_an_answer_raises_is_explained(error):
    def raises(x):
        raise error

    assert f"\n{error.__name__}" in refusal(raises)


def identity(x):
    return x


a, ids, weights = torch.zeros(2, 3), torch.arange(3), torch.zeros(2, requires_grad=True)

# Each one is raised for real, so a new version of torch or Python with other words is noticed here.
RAISED = [
    (lambda: a @ a, "here they are 3 and 2"),
    (lambda: torch.zeros(1, 2, 3) @ torch.zeros(1, 2, 3), "here they are 3 and 2 (batch sizes 1 and 1)"),
    (lambda: a @ torch.zeros(2), "shape (2, 3) times a vector needs 3 numbers in the vector; it has 2"),
    (lambda: a + torch.zeros(2, 4), "on axis 1 their sizes are 3 and 4"),
    (lambda: a.expand(5, 3), "this one has size 2 and 5 was asked for"),
    (lambda: torch.cat([a, torch.zeros(2, 4)]), "joins along axis 0"),
    (lambda: torch.stack([a, torch.zeros(2, 4)]), "one and the same shape"),
    (lambda: a.view(5), "the tensor has 6, and the sizes in [5]"),
    (lambda: a.t().view(6), "`.reshape(...)`"),
    (lambda: a.sum(3), "You name axis 3, and this tensor has only the axes in [-2, 1]"),
    (lambda: a[:, :, 0], "this tensor has 2"),
    (lambda: a[5], "On axis 0 the places are numbered 0 to 2 - 1; you ask for place 5"),
    (lambda: np.zeros(2)[5], "On axis 0 the places are numbered 0 to 2 - 1; you ask for place 5"),
    (lambda: torch.nn.functional.embedding(torch.tensor([9]), a), "not in the table of the embedding"),
    (lambda: torch.nn.functional.embedding(torch.tensor([0.0]), a), "Ids must be integers"),
    (lambda: torch.nn.functional.cross_entropy(a, torch.tensor([0, 7])), "the label 7"),
    (lambda: torch.nn.functional.cross_entropy(a[None], ids[None, :2]), "wants the classes on axis 1"),
    (lambda: ids.tolist()[9], "behind the end of the list"),
    (lambda: {}["[MASK]"], "has no key '[MASK]'"),
    (lambda: a @ ids, "different dtypes"),
    (lambda: ids.float() @ a.double().T, "different dtypes"),
    (lambda: ids.mean(dim=0), "`.float()`"),
    (lambda: ids.softmax(0), "`.float()`"),
    (lambda: ~a, "take `~` (not)"),
    (lambda: (a == 0) - (a == 0), "take `~` (not)"),
    (lambda: a.masked_fill(a, 0.0), "A mask must hold True and False"),
    (lambda: bool(a), "one True or False"),
    (lambda: bool(np.zeros(2)), "one True or False"),
    (lambda: float(a), "take a tensor with one value"),
    (lambda: a.item(), "take a tensor with one value"),
    (lambda: torch.exp(1.0), "`input` is a float"),
    (lambda: torch.softmax([1.0], 0), "is a list"),
    (lambda: weights.numpy(), "`.detach()`"),
    (lambda: weights.add_(1), "`with torch.no_grad():`"),
    (lambda: a.sum().backward(), "found nothing to differentiate"),
    (lambda: ... + 1, "A `...` is left in your code"),
    (lambda: None.shape, "A value here is None"),
    (lambda: None + 1, "A value here is None"),
    (lambda: torch_not_imported, "does not know `torch_not_imported`"),  # noqa: F821
    (lambda: [1.0] / 2, "A list is not a vector"),
    (lambda: [1.0] * 2.0, "A list is not a vector"),
    (lambda: "a" + 1, "joins a str only to a str; the other one is of type int"),
    (lambda: identity(), "fewer arguments"),
    (lambda: identity(1, 2), "more arguments"),
    (lambda: identity(y=1), "`y=...`"),
    (lambda: ids.tolist()(), "a value of type list is none"),
    (lambda: len(ids)[0], "a value of type int has no parts"),
    (lambda: list(len(ids)), "a value of type int is one"),
    (lambda: a.foo, "A value of type Tensor has nothing called `foo`"),
    (lambda: 1 / 0, "divided by zero"),
    (lambda: math.exp(1000), "`math.exp` gives up"),
]


@pytest.mark.parametrize(("raises", "words"), RAISED, ids=[words for _, words in RAISED])
def test_help_is_chosen_by_the_text_of_the_error(raises, words):
    with pytest.raises(Exception) as caught:
        raises()
    assert words in explain.help_for(caught.value)


def test_a_missing_import_and_an_unset_name_have_help_of_their_own():
    assert "import is missing" in explain.help_for(NameError("name 'np' is not defined"))

    def unset():
        if False:
            total = 0
        return total

    with pytest.raises(UnboundLocalError) as caught:
        unset()
    assert "in a branch that was not taken" in explain.help_for(caught.value)


def test_a_module_that_forgets_super_has_help():
    class Forgetful(torch.nn.Module):
        def __init__(self, factor):
            self.layer = torch.nn.Linear(2, 2)

    assert "must be `super().__init__()`" in refusal(Forgetful, Scale)


def test_unknown_errors_have_no_help_rather_than_wrong_help():
    assert explain.help_for(LookupError("something new")) == ""


# ----------------------------------------------------------------------------------------------------------
# Time, threads, output


def loops_for_ever(x):
    while True:
        pass


def catches_all_and_loops(x):
    while True:
        try:
            x = x + 0
        except Exception:  # noqa: BLE001
            x = x - 1


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(add_one, "time_limit", SHORT)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", [loops_for_ever, catches_all_and_loops])
def test_an_endless_loop_is_stopped_and_its_line_shown(answer):
    before = threading.active_count()
    message = refusal(answer)
    assert threading.active_count() == before
    assert f"still running after {SHORT} seconds (call number 1 of this stage). It was stopped." in message
    assert f"of test_exercise_engine.py, in `{answer.__name__}`" in message


@pytest.mark.usefixtures("impatient")
def test_a_loop_is_stopped_when_the_check_itself_runs_in_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(add_one.check(loops_for_ever)))
    thread.start()
    thread.join(60)
    assert not thread.is_alive() and "It was stopped." in results[0].message


def test_one_long_call_of_compiled_code_cannot_be_stopped_and_the_message_says_so(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(add_one, "time_limit", SHORT)
        message = refusal(lambda x: time.sleep(SHORT + 2.5))
    assert "It could not be stopped" in message and "restart the kernel" in message
    assert add_one.check(add_one.model_answer)  # the next check is not disturbed


def test_a_keyboard_interrupt_stops_the_check_at_once():
    @exercise
    class patient:
        """Write `patient(x)`."""

        hints = ("a", "b")
        time_limit = 60.0
        stub = add_one.stub
        solution = add_one.model_answer
        values = stage("a call")(lambda check: check.call(torch.ones(1)))

    before = threading.active_count()
    timer = threading.Timer(SHORT, _thread.interrupt_main)
    # A run in the background of a shell ignores Ctrl-C; here it must arrive.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            patient.check(loops_for_ever)
        timer.join()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert threading.active_count() == before
    assert add_one.check(add_one.model_answer)  # nothing stays locked


def test_prints_are_kept_out_of_the_way_and_mentioned(capsys):
    def prints(x):
        print("x is", x.tolist())
        return x + 1

    result = add_one.check(prints)
    assert result
    assert capsys.readouterr().out.count("x is") <= 3
    assert "Your code also prints (only what it returns is checked)" in result.message
    assert "x is [0.0, 1.0]" in result.message


def test_warnings_are_kept_out_of_the_way_and_mentioned(capfd):
    """A platform that grades a cell takes any word on standard error for a failure."""

    def warns(x):
        warnings.warn("this way is old", DeprecationWarning, stacklevel=1)
        warnings.warn("this way is slow", UserWarning, stacklevel=1)
        print("lost", file=sys.stderr)
        logging.getLogger("mine").warning("logged")
        return x + 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = add_one.check(warns)
    assert result and capfd.readouterr().err == ""
    assert "It also warns:\n    DeprecationWarning: this way is old" in result.message
    assert "UserWarning: this way is slow" in result.message and "lost" in result.message
    assert warnings.showwarning.__module__ != engine.__name__


def test_a_warning_of_torch_costs_nothing(capfd):
    def warns(x):
        return torch.nn.functional.softmax(x) * 0 + x + 1  # without a dim

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert add_one.check(warns)
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("impatient")
def test_endless_printing_ends_with_the_time_limit_and_takes_no_memory(capsys):
    def floods(x):
        while True:
            print("again")

    assert len(refusal(floods)) < 1000
    assert len(capsys.readouterr().out) < 1000


@pytest.mark.usefixtures("impatient")
def test_what_other_threads_print_during_a_check_still_shows(capsys):
    timer = threading.Timer(SHORT / 2, print, ["from outside"])
    timer.start()
    message = refusal(loops_for_ever)
    timer.join()
    assert "from outside" in capsys.readouterr().out and "from outside" not in message


@pytest.mark.usefixtures("impatient")
def test_standard_output_is_given_back():
    before = sys.stdout
    add_one.check(loops_for_ever)
    assert sys.stdout is before


def test_checks_leave_no_threads_behind():
    before = threading.active_count()
    for _ in range(20):
        add_one.check(add_one.model_answer)
    assert threading.active_count() == before


# ----------------------------------------------------------------------------------------------------------
# Differences, against truths of other makers


numbers = st.one_of(st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False, width=32))
values = st.recursive(
    st.one_of(numbers, st.booleans(), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_a_value_does_not_differ_from_itself(value):
    assert explain.difference(value, value, 1e-5) is None
    assert explain.unchanged(value, value)


@given(st.lists(st.integers(-2, 2), max_size=4), st.lists(st.integers(-2, 2), max_size=4))
def test_lists_and_tensors_of_integers_differ_exactly_when_python_says_so(first, second):
    assert (explain.difference(first, second, 1e-5) is None) == (first == second)
    tensors = torch.tensor(first, dtype=torch.int64), torch.tensor(second, dtype=torch.int64)
    assert (explain.difference(*tensors, 1e-5) is None) == torch.equal(*tensors)
    assert explain.unchanged(*tensors) == torch.equal(*tensors)


@settings(max_examples=50)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=4), st.floats(-0.02, 0.02))
def test_floats_differ_beyond_the_tolerance_as_in_numpy(row, shift):
    expected, got = torch.tensor(row), torch.tensor(row) + shift
    equal = np.allclose(got.double().numpy(), expected.double().numpy(), rtol=1e-2, atol=1e-2)
    assert (explain.difference(got, expected, 1e-2) is None) == equal


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2), "two axes are swapped"),
        (torch.zeros(6), torch.zeros(3, 2), "The number of values is right"),
        (torch.zeros(2), torch.zeros(2, 3), "One axis is missing"),
        (torch.ones(2), torch.ones(2, dtype=torch.bool), "of dtype floating-point; expected was bool"),
        ([1, 2], torch.tensor([1, 2]), "`torch.tensor(...)` makes a tensor of a list"),
        (torch.tensor([1, 2]), [1, 2], "`.tolist()` makes a list of a tensor"),
        (
            torch.eye(2),
            torch.zeros(2, 2),
            "2 of 4 values differ, all on the diagonal, first at [0, 0]: got 1.0, expected 0.0",
        ),
        (torch.ones(3, 3).tril(1), torch.ones(3, 3).tril(), "2 of 9 values differ, all above the diagonal"),
        (torch.ones(3, 3), torch.eye(3), "6 of 9 values differ, first at [0, 1]"),
        (torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 0], [3, 0]]), "all in column 1, first at [0, 1]"),
        (torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 2], [0, 0]]), "all in row 1, first at [1, 0]"),
        (0.899727, 0.8997271, "Got 0.899727, expected 0.8997271."),
        (torch.tensor([0.5]).double() + 1e-8, torch.tensor([0.5]).double(), "got 0.50000001, expected 0.5."),
        (torch.zeros(2).to_sparse(), torch.ones(2), "All 2 values differ"),
        (torch.zeros(2, device="meta"), torch.ones(2), "on the meta device, where tensors hold no numbers"),
        ([10**5000], [1], "At [0]: Got <a whole number of about 5001 digits>, expected 1."),
        (np.ones(2), np.zeros(3), "The shape is (2,); expected was (3,)."),
        ([[1, 2], [3, 5]], [[1, 2], [3, 4]], "At [1][1]: Got 5, expected 4."),
        ({"a": [[1], [2]]}, {"a": [[1], [3]]}, "At ['a'][1][0]: Got 2, expected 3."),
        ([1], [1, 2], "The number of values is 1; expected was 2."),
        ({"a": 1}, {"a": 1, "b": 2}, "The key 'b' is missing."),
        ({"a": 1, "c": 2}, {"a": 1}, "The key 'c' does not belong."),
        ({"a": 1}, {"a": 2}, "At ['a']: Got 1, expected 2."),
        ("Bank ", "bank", "The letters are right"),
        ("##ing", "##ed", "From character 2 on they differ: got 'ing', expected 'ed'."),
        (True, 1, "This is True; expected was the number 1."),
        (2**60, 2**60 + 1, "expected"),
        ({1}, {2}, "Got {1}, expected {2}."),
        (math.nan, 1.0, "Got nan, expected 1.0."),
    ],
)
def test_differences_are_said_in_words(got, expected, words):
    assert words in explain.difference(got, expected, 1e-9 if "0.5" in words or "0.8997" in words else 1e-5)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ((1, 2), [1, 2]),
        (torch.tensor(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (64.0, 64),
        (torch.ones(2).double(), torch.ones(2)),
        (torch.tensor([1], dtype=torch.int32), torch.tensor([1])),
        (torch.tensor([math.nan]), torch.tensor([math.nan])),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
    ],
)
def test_what_counts_as_equal(got, expected):
    assert explain.difference(got, expected, 1e-5) is None


def test_an_edit_of_a_module_or_of_something_nested_is_seen():
    module = torch.nn.Linear(2, 2)
    before = {"layers": [module], "x": np.array([math.nan, 1.0])}
    after = copy.deepcopy(before)
    assert explain.unchanged(before, after)
    with torch.no_grad():
        after["layers"][0].bias += 1
    assert not explain.unchanged(before, after)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.tensor([[True, False]]), "tensor([[ True, False]])"),
        (torch.tensor([1, 2]), "tensor([1, 2])"),
        (torch.tensor([-math.inf]), "tensor([-inf])"),
        ([1 / 3, 1.0], "[0.333333, 1.0]"),
        (np.int64(3), "3"),
        ("bank", "'bank'"),
    ],
)
def test_values_print_short(value, text):
    assert explain.show(value) == text
    assert len(explain.show([value] * 1000)) < 1000


# ----------------------------------------------------------------------------------------------------------
# Writing exercises


@exercise
class mean_of_squares:
    """Write `mean_of_squares(x)`: the mean of the squares of a tensor."""

    hints = ("`x**2`",)

    def solution(x):
        squares = x**2
        return squares.mean()

    @stage("the mean of the squares")
    def values(check):
        for size in range(1, 6):
            x = torch.randn(size, generator=check.generator)
            check.equal(check.call(x), (x * x).sum() / size)

    summed = wrong("This is the sum.", "mean()", "sum()")
    no_squares = wrong("These are not squared.", "x**2", "x")


def test_a_wrong_answer_may_be_the_solution_with_one_change():
    x = torch.tensor([1.0, 2.0])
    assert {name: answer(x).item() for name, answer in mean_of_squares.wrong_answers.items()} == {
        "summed": 5.0,
        "no_squares": 1.5,
    }
    assert "This is the sum." in mean_of_squares.check(lambda x: (x * x).sum()).message
    assert mean_of_squares.check(lambda x: (x * x).mean())


@pytest.mark.parametrize(("old", "times"), [("cubes", 0), ("squares", 2)])
def test_a_change_has_one_place(old, times):
    body = {"solution": mean_of_squares.model_answer, "hints": [], "slip": wrong("A slip.", old, "x")}
    with pytest.raises(ValueError, match=f"holds .{old}. {times} times, not once"):
        exercise(type("broken", (), body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"stub": ..., "solution": 1}, "'broken' has no 'hints'"),
        ({"stub": ..., "hints": []}, "'broken' has no 'solution'"),
        ({"stub": ..., "solution": 1, "hints": [], "hint": "?"}, "holds 'hint', which is none of"),
        ({"stub": ..., "solution": 1, "hints": "one"}, "one string as 'hints'"),
    ],
)
def test_a_slip_in_a_definition_is_named(body, words):
    with pytest.raises(ValueError, match=words):
        exercise(type("broken", (), body))


def test_inputs_are_drawn_alike_each_time_and_differently_in_each_stage():
    drawn = []

    def draw(check):
        drawn.append((check.rng.integers(10**9), torch.randint(10**9, (), generator=check.generator).item()))

    body = {"stub": ..., "solution": 1, "hints": [], "a": stage("a")(draw), "b": stage("b")(draw)}
    subject = exercise(type("draws", (), body))
    subject.check(1)
    drawn.clear()  # the first check runs the solution too
    subject.check(1)
    subject.check(1)
    assert drawn[:2] == drawn[2:] and drawn[0] != drawn[1]


def test_a_call_is_told_with_its_inputs_and_long_ones_stand_below():
    message = refusal(lambda x: torch.zeros(3), add_one)
    assert "Called: add_one(tensor([0., 1.]))\nReturned: tensor([0., 0., 0.])" in message

    @exercise
    class total:
        """Write `total(matrix, k)`."""

        hints = ("a", "b")

        def stub(matrix, k): ...

        def solution(matrix, k):
            return matrix.sum().item()

        @stage("sum")
        def values(check):
            check.equal(check.call(torch.eye(2), 3), 2.0)

    rows = "  with matrix:\n      tensor([[1., 0.],\n              [0., 1.]])"
    assert f"Called: total(matrix, 3)\n{rows}\nReturned: 0" in refusal(lambda matrix, k: 0, total)
    assert "Called: Scale(...)(tensor(" in refusal(lambda_module(lambda x: x), Scale)


def lambda_module(function):
    class Module(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()

        def forward(self, x):
            return function(x)

    return Module


# ----------------------------------------------------------------------------------------------------------
# In a notebook

CELLS = [
    "from course_utils.exercises import start_here as ex",
    "def softmax(scores):\n    ...",
    "ex.softmax.check(softmax)",
    "def softmax(scores):\n    total = 0\n    return scores / total",
    "ex.softmax.check(softmax)",
    "ex.softmax.time_limit = 0.5\ndef softmax(scores):\n    while True:\n        pass",
    "result = ex.softmax.check(softmax)\nex.softmax.time_limit = 5.0",
    "def softmax(scores):\n    print(scores)\n    return [1.0 for _ in scores]",
    "ex.softmax.check(softmax)",
    "assert ex.softmax.check(ex.softmax.model_answer)",
    "ex.softmax",
]


def test_in_a_notebook_each_message_shows_once_and_lines_are_those_of_the_cell():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    root = Path(engine.__file__).parents[2]
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3")
    client.execute(env=os.environ | {"PYTHONPATH": paths})
    outputs = [cell.outputs for cell in notebook.cells]
    assert all(len(cell) == 1 for cell in outputs[2:10:2] + outputs[9:])
    texts = [cell[0].get("text", "") if cell else "" for cell in outputs]
    assert texts[2].startswith("softmax: not attempted yet.")
    assert "Line 3 of your cell, in `softmax`:\n    return scores / total" in texts[4]
    assert "A list is not a vector" in texts[4]
    assert "It was stopped.\n" in texts[6] and "of your cell, in `softmax`:\n    " in texts[6]
    assert "Probabilities sum to 1." in texts[8] and "Your code also prints" in texts[8]
    assert texts[9].startswith("softmax: passed")
    assert outputs[10][0].data["text/plain"].startswith("Write `softmax(scores)`")


def test_a_result_is_true_or_false_and_short():
    assert bool(Result(True, "m")) and not Result(False, "m")
    assert repr(Result(False, "a message")) == "<Result: not passed>"


def test_a_stub_that_calls_a_module_is_known_again_in_a_cell_without_the_import():
    """Where `import torch` stands in the same file, Python compiles `torch.arange(...)` in another way."""
    body = "def f(n):\n    return torch.arange(n).abs()\n"
    with_import, without = {}, {"torch": torch}
    exec("import torch\n" + body, with_import)  # noqa: S102
    exec(body, without)  # noqa: S102
    assert engine._is_untouched(without["f"], with_import["f"])
    exec(body.replace("abs", "sin"), without)  # noqa: S102
    assert not engine._is_untouched(without["f"], with_import["f"])


def test_what_stood_in_for_an_output_is_thrown_away_quietly_after_that_is_closed():
    real = io.StringIO()
    prints = engine._Prints(real, "printed")
    real.close()
    prints.close()  # as when the object is thrown away
