"""Every exercise of the course, both ways: its solution passes, and each named wrong answer is refused.

The rules stand in `faults`, which lists what is wrong with an exercise. The second half of the file breaks
each rule on purpose, so that a rule that cannot fail would be seen.
"""

import ast
import importlib
import inspect
import math
import textwrap
from pathlib import Path

import nbformat
import pytest
import torch

from course_utils.classroom import LESSONS, NUMBER_OF
from course_utils.classroom.engine import Exercise, exercise, stage, wrong

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
CALLS_A_STAGE = range(5, 101)  # enough inputs to find a slip, and few enough that nobody waits


def exercises_of(module) -> list[Exercise]:
    return [part for part in vars(module).values() if isinstance(part, Exercise)]


def exercise_modules() -> list:
    return [importlib.import_module(f"course_utils.lessons.{name}.exercises") for name in LESSONS]


ALL = [each for module in exercise_modules() for each in exercises_of(module)]


def faults(subject: Exercise) -> list[str]:
    """What is wrong with an exercise, in words; an empty list for a good one."""
    return [
        *faults_of_text(subject),
        *faults_of_solution(subject),
        *faults_of_stub(subject),
        *faults_of_wrong_answers(subject),
    ]


def faults_of_text(subject: Exercise) -> list[str]:
    found = []
    if len(subject.task) < 20:
        found.append("the docstring does not state the task")
    if len(set(subject.hints)) < 2:
        found.append("fewer than two hints")
    if not subject.stages:
        found.append("no stages")
    source = subject.solution_source()
    if subject.name not in source:
        found.append("the source of the solution does not define the name of the exercise")
    compile(source, subject.name, "exec")
    return found


def faults_of_solution(subject: Exercise) -> list[str]:
    found = []
    result = subject.check(subject.model_answer)
    if not result:
        found.append(f"the solution is refused: {result.message}")
    if callable(subject.model_answer):
        found += [
            f"stage {title!r} tries {calls} inputs, not {CALLS_A_STAGE[0]} to {CALLS_A_STAGE[-1]}"
            for title, calls in result.calls.items()
            if calls not in CALLS_A_STAGE
        ]
    return found


def faults_of_stub(subject: Exercise) -> list[str]:
    if subject.stub is ...:
        return []
    found = []
    result = subject.check(subject.stub)
    if result or result.attempted or "not attempted yet" not in result.message:
        found.append("the stub is not 'not attempted yet'")
    if signatures(subject.stub) != signatures(subject.model_answer):
        found.append("stub and solution have different signatures")
    return found


@pytest.mark.parametrize("subject", ALL, ids=lambda subject: subject.name)
def test_the_notebook_leaves_the_body_of_the_solution_open(subject):
    """Or gives the lines of its stub; and its parameters, under the name of the exercise."""
    lesson = subject.module.split(".")[-2]
    [path] = NOTEBOOKS.glob(f"{NUMBER_OF[lesson]}_*.ipynb")
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    [source] = [each for each in cells if f"ex.{subject.name}.check({subject.name})" in each]
    if not callable(subject.model_answer):  # a value, which is left open as a whole
        assert f"{subject.name} = ...\n" in source
        return
    [stub] = [node for node in ast.parse(source).body if getattr(node, "name", "") == subject.name]
    if inspect.isfunction(subject.stub):  # the lines that the task gives
        [given] = ast.parse(textwrap.dedent(inspect.getsource(subject.stub))).body
        given.name = subject.name
        assert ast.unparse(stub) == ast.unparse(given)
        return
    head = f"def {subject.name}{inspect.signature(subject.model_answer)}:"
    assert ast.unparse(stub) == f"{head}\n    ..."


def signatures(answer: object) -> dict[str, str]:
    """The signature of a function, or of `__init__` and the public methods that a class defines."""
    if inspect.isclass(answer):
        methods = {name: part for name, part in vars(answer).items() if inspect.isfunction(part)}
        return {n: str(inspect.signature(f)) for n, f in methods.items() if n == "__init__" or n[0] != "_"}
    return {"": str(inspect.signature(answer))} if inspect.isfunction(answer) else {}


def faults_of_wrong_answers(subject: Exercise) -> list[str]:
    found = []
    messages, stopped_at = {}, set()
    for name, answer in subject.wrong_answers.items():
        result = subject.check(answer)
        if result:
            found.append(f"the wrong answer {name!r} passes")
            continue
        if not result.attempted:
            found.append(f"the wrong answer {name!r} counts as not attempted")
        if subject.check(answer).message != result.message:
            found.append(f"the message for {name!r} changes from one check to the next")
        messages[name] = " ".join(result.message.split())
        stopped_at.add(result.stage)
    if len(messages) < 3:
        found.append("fewer than three wrong answers are refused")
    for name, sentence in subject.sentences.items():
        if not (len(sentence.split()) > 2 and sentence.endswith((".", "?"))):
            found.append(f"what is said of {name!r} is no sentence: {sentence!r}")
        hearers = {each for each, message in messages.items() if sentence in message}
        if name in messages and name not in hearers:
            found.append(f"{name!r} is not told its sentence {sentence!r}, but: {messages[name]}")
        if hearers - {name}:
            found.append(f"the sentence of {name!r} is also told to {sorted(hearers - {name})}")
        for other, longer in subject.sentences.items():
            if other != name and sentence in longer:
                found.append(f"the sentence of {name!r} is a part of that of {other!r}")
    for each in subject.stages:
        if each.title not in stopped_at:
            found.append(f"no wrong answer is refused at stage {each.title!r}")
    return found


@pytest.mark.parametrize(
    "subject", ALL, ids=lambda subject: f"{subject.module.split('.')[-2]}.{subject.name}"
)
def test_exercise_is_good(subject):
    assert faults(subject) == []


@pytest.mark.parametrize("module", exercise_modules(), ids=LESSONS)
def test_every_module_holds_exercises_under_their_own_names(module):
    assert exercises_of(module)
    assert {each.name for each in exercises_of(module)} <= set(vars(module))


def model_answer(module: str, name: str):
    return getattr(importlib.import_module(f"course_utils.exercises.{module}"), name).model_answer


def test_the_solutions_stand_the_degenerate_inputs_that_their_tasks_allow():
    zeros = [torch.zeros(2), torch.zeros(2, 3)]
    for max_norm in (0.0, 1.0):
        clipped = model_answer("pretraining", "clip_gradients")(zeros, max_norm)
        assert all(map(torch.equal, clipped, zeros))
    likelihood = torch.full((2000, 3), 1e-4)
    likelihood[:, 1] *= 1.01
    believed = model_answer("inside_bert", "beliefs_after")(torch.full((3,), 1 / 3), likelihood)
    # After n words the odds of state 1 are 1.01^n; the logarithms stay within reach.
    n = torch.arange(1, 2001, dtype=torch.float64)
    odds = (n * math.log(1.01)).exp()
    assert torch.allclose(believed[:, 1].double(), odds / (odds + 2), atol=1e-3)
    assert torch.allclose(believed.sum(1), torch.ones(2000), atol=1e-5)


# ----------------------------------------------------------------------------------------------------------
# The rules themselves: a good exercise has no faults, and each broken one has just the fault that it should.


@exercise
class double:
    """Write `double(x)`: twice the number x."""

    hints = ("Which operator multiplies?", "`2 * ...`")

    def stub(x): ...

    def solution(x):
        return 2 * x

    @stage("even numbers")
    def even(check):
        for x in range(1, 10):
            check.expect(check.call(x) % 2 == 0, "Twice a whole number is even.")

    @stage("twice the number")
    def twice(check):
        for x in range(1, 10):
            check.equal(check.call(x), 2 * x)

    @wrong("This is x itself.")
    def same(x):
        return x

    @wrong("You multiply by four.")
    def four_times(x):
        return 4 * x

    @wrong("Whence comes the minus?")
    def negative(x):
        return -2 * x


def broken(**changes) -> Exercise:
    """`double` with some of its parts replaced; a part replaced by None is left out."""
    definition = double._definition
    parts = {name: part for name, part in vars(definition).items() if not name.startswith("__")} | changes
    parts = {name: part for name, part in parts.items() if part is not None}
    copy = Exercise(definition, parts)
    copy.task = changes.get("task", copy.task)
    return copy


def test_a_good_exercise_has_no_faults():
    assert faults(double) == []


@stage("a stage that lets all pass")
def lets_all_pass(check):
    for x in range(10):
        check.call(x)


@stage("twice the number")
def tries_one_input(check):
    check.equal(check.call(3), 6)


@stage("twice the number")
def tries_many_inputs(check):
    for x in range(101):
        check.equal(check.call(x), 2 * x)


noise = iter(range(1000))


@wrong("This is never twice the same.")
def changes_from_call_to_call(x):
    return 2 * x + 2 * next(noise) + 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"task": "Double."}, "the docstring does not state the task"),
        ({"hints": ["`2 * ...`"]}, "fewer than two hints"),
        ({"hints": ["`2 * ...`", "`2 * ...`"]}, "fewer than two hints"),
        ({"even": None, "twice": None}, "no stages"),
        ({"solution": lambda x: 3 * x}, "the solution is refused"),
        ({"solution": lambda x, y=0: 2 * x}, "different signatures"),
        ({"stub": lambda y: None}, "different signatures"),
        ({"twice": tries_one_input}, "tries 1 inputs, not 5 to 100"),
        ({"twice": tries_many_inputs}, "tries 101 inputs, not 5 to 100"),
        ({"right": wrong("This is right.")(lambda x: x + x)}, "the wrong answer 'right' passes"),
        ({"empty": wrong("This is nothing.")(lambda x: None)}, "'empty' counts as not attempted"),
        ({"again": wrong("You multiply twice.")(lambda x: x * 4)}, "'again' is not told its sentence"),
        ({"again": wrong("You multiply twice.")(lambda x: x * 4)}, "'four_times' is not told its sentence"),
        ({"noisy": changes_from_call_to_call}, "the message for 'noisy' changes"),
        ({"same": None}, "fewer than three wrong answers"),
        ({"same": wrong("x itself")(lambda x: x)}, "what is said of 'same' is no sentence"),
        (
            {"negative": wrong("Passed before it: even numbers.")(lambda x: -2 * x)},
            "the sentence of 'negative' is also told to ['four_times']",
        ),
        (
            {"same": wrong("You multiply by four.")(lambda x: x)},
            "the sentence of 'same' is a part of that of 'four_times'",
        ),
        ({"third": lets_all_pass}, "no wrong answer is refused at stage 'a stage that lets all pass'"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_broken_exercise_is_found_out(change, fault):
    assert any(fault in found for found in faults(broken(**change)))
