"""The grader's side: an answer that stands in another process, put to the check that stands in this one.

`Session` is one run of a notebook in its room. `stand_in` makes a function that sends its arguments there and
returns what comes back; to the engine it is an answer like any other. An answer that does not end costs its
process, and the next exercise gets a new one.
"""

import contextlib
import copy
import inspect
import multiprocessing
import os
import pickle
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch

from course_utils.classroom import LESSONS, explain
from course_utils.classroom.engine import Exercise
from course_utils.classroom.grading import wire

LARGEST_MESSAGE = 2**27  # bytes that one call may return
POLL_SECONDS = 0.02
WATCH_SECONDS = 0.5  # how often the memory of a room is looked at
MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What one hand-in may take: seconds of a run and of one cell, megabytes, seconds of one stage.

    stage_seconds: None for what each exercise allows.
    closed: whether the network is closed.
    """

    seconds: float = 600.0
    cell_seconds: float = 180.0
    megabytes: int = 2000
    stage_seconds: float | None = None
    closed: bool = True


@dataclass(frozen=True)
class Verdict:
    """What came of one exercise of one hand-in."""

    exercise: str
    passed: bool
    misconception: str = ""
    """The sentence that the check says to this slip, where it knows it."""
    note: str = ""


class Lost(Exception):
    """The room is gone; the message says why."""


def exercises_of(lesson: str) -> dict[str, Exercise]:
    """The exercises of a lesson by name, in order."""
    module = import_module(f"course_utils.lessons.{lesson}.exercises")
    return {name: part for name, part in vars(module).items() if isinstance(part, Exercise)}


# --- Processes


def processes() -> multiprocessing.context.BaseContext:
    """How rooms are begun: as copies of a process that has imported everything, where the system can copy.

    Called before the first room and by one thread. Copies have one thread each, so the process that is copied
    must have begun no others.
    """
    ways = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in ways else "spawn")
    if context.get_start_method() == "forkserver":
        lessons = [f"course_utils.lessons.{lesson}.exercises" for lesson in LESSONS]
        context.set_forkserver_preload(["course_utils.classroom.grading.room", "matplotlib.pyplot", *lessons])
        from multiprocessing import forkserver, resource_tracker

        before = dict(os.environ)
        os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        try:
            resource_tracker.ensure_running()  # would speak of what rooms leave behind when they are ended
            del os.environ["PYTHONWARNINGS"]
            forkserver.ensure_running()
        finally:
            os.environ.clear()
            os.environ.update(before)
    return context


def walls(context: multiprocessing.context.BaseContext) -> tuple[bool, bool]:
    """Whether a room can be closed to the network, and to files: tried in a process of its own."""
    if not sys.platform.startswith("linux"):
        return False, False
    from course_utils.classroom.grading import room

    ours, theirs = context.Pipe()
    process = context.Process(target=room.probe, args=(theirs,))
    process.start()
    theirs.close()
    try:
        network, files = wire.from_bytes(ours.recv_bytes())
        return network, files
    except (EOFError, wire.Forged):
        return False, False
    finally:
        process.join()
        ours.close()


class Session:
    """A notebook that runs, or has run, in its room.

    errors: (cell, message) of the cells that failed.
    found: for each exercise what stands for its answers, the last one last.
    """

    def __init__(self, context, cells: list[str], exercises: dict[str, Exercise], limits: Limits):
        from course_utils.classroom.grading import room

        self.limits = limits
        self.gone = ""  # why there is no room any more
        self._waiting = False
        self._left_behind: tuple | None = None
        self._looked = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="hand-in-", ignore_cleanup_errors=True)
        self._pipe, theirs = context.Pipe()
        arguments = (
            theirs,
            cells,
            {name: exercise.module for name, exercise in exercises.items()},
            self._folder.name,
            limits.megabytes * MEGABYTE,
            2 * limits.seconds,
            limits.cell_seconds,
            limits.closed,
        )
        self._process = context.Process(target=room.main, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.errors: list[tuple[int, str]] = []
        self.found: dict[str, list[dict]] = {}

    def run(self) -> None:
        """Wait until the notebook has run; raises Lost if it does not come to an end."""
        try:
            _, errors, found = self._receive(self.limits.seconds)
            self.errors = [(int(number), str(text)) for number, text in errors]
            self.found = {str(name): list(answers) for name, answers in dict(found).items()}
        except (ValueError, TypeError):
            raise self._lost("it sent what no notebook sends") from None

    def ask(self, verb: str, number: int, detail: object, states: tuple | None = None) -> tuple:
        if self._waiting:  # it was given up while it computed
            self.close("an answer did not end")
        if self.gone:
            raise Lost(self.gone)
        self._waiting = True
        try:
            self._pipe.send_bytes(pickle.dumps((verb, number, detail, states)))
        except OSError:
            raise self._lost("its process has ended") from None
        answer = self._receive(2 * self.limits.seconds)  # the stage has a limit of its own
        self._waiting = False
        if not isinstance(answer, tuple) or len(answer) != 3:
            raise self._lost("it sent what no answer sends")
        return answer

    def _receive(self, seconds: float) -> object:
        end = time.monotonic() + seconds
        try:
            while not self._pipe.poll(POLL_SECONDS):
                if time.monotonic() > end:
                    raise self._lost(f"it ran for more than {seconds:g} seconds")
                if self._memory() > self.limits.megabytes * MEGABYTE:
                    raise self._lost(f"it took more than {self.limits.megabytes} MB of memory")
            return wire.from_bytes(self._pipe.recv_bytes(LARGEST_MESSAGE))
        except (EOFError, OSError):
            self._process.join(1.0)
            code = self._process.exitcode
            how = {None: "", -9: ", ended by the system", -24: ", at its limit of computing"}
            raise self._lost("its process has ended" + how.get(code, f", with code {code}")) from None
        except wire.Forged:
            raise self._lost("it sent what no answer sends") from None

    def _memory(self) -> int:
        """Bytes that the room has in memory, looked at now and then."""
        if time.monotonic() < self._looked + WATCH_SECONDS:
            return 0
        import psutil

        self._looked = time.monotonic()
        try:
            return psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return 0

    def _lost(self, why: str) -> Lost:
        self.close(why)
        return Lost(why)

    def close(self, why: str = "it is done") -> None:
        """End the process and all that it has begun, and take its folder away."""
        self.gone = self.gone or why
        self._waiting = False
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):  # it leads a group of its own, once it has begun
                if os.getpgid(self._process.pid) == self._process.pid:
                    os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._pipe.close()
        self._folder.cleanup()


# --- An answer that stands elsewhere


def states() -> tuple:
    """Where the generators of this process stand."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def same(one: tuple, other: tuple) -> bool:
    return (
        one[0] == other[0]
        and one[1][2:] == other[1][2:]
        and np.array_equal(one[1][1], other[1][1])
        and torch.equal(one[2], other[2])
    )


def call(session: Session, verb: str, number: int, detail: object, given: tuple = ()) -> object:
    """Ask the room; edits of the inputs are made here too, and an error is raised here.

    The engine seeds this process before each stage. The seeds go along, once: a draw afterwards marks them as
    used, so that the next ones are noticed.
    """
    now = states()
    if session._left_behind is not None and same(now, session._left_behind):
        now = None
    came, value, inputs = session.ask(verb, number, detail, now)
    if now is not None:
        random.random(), np.random.rand(), torch.rand(1)
        session._left_behind = states()
    if came != "returned":
        raise wire.error_of(value, inputs)
    for before, after in zip(given, inputs, strict=False):
        edit(before, after)
    return brought(session, value)


def edit(before: object, after: object) -> None:
    """Do to an input what was done to its copy, if anything was."""
    if isinstance(after, wire.Elsewhere) or explain.unchanged(before, after):
        return
    if explain.unchanged(wire.from_bytes(wire.to_bytes(before)), after):  # a kind of str went as a plain one
        return
    if isinstance(before, list) and isinstance(after, list):
        before[:] = after
    elif isinstance(before, (dict, set)) and isinstance(after, type(before)):
        before.clear()
        before.update(after)
    elif isinstance(before, np.ndarray) and np.shape(after) == before.shape:
        before[...] = after
    elif isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
        before.data = after.data


def brought(session: Session, value: object) -> object:
    """Stand-ins for what stays in the room, wherever it is in a value."""
    if isinstance(value, wire.Elsewhere):
        return Thing(session, value)
    if isinstance(value, (list, tuple)):
        return type(value)(brought(session, item) for item in value)
    return value


class Thing:
    """Something in the room, such as an instance of a student's class: it can be called and asked."""

    def __init__(self, session: Session, place: wire.Elsewhere):
        self.__dict__ |= {"_session": session, "_place": place}

    def __call__(self, *args, **kwargs):
        given = (*args, *kwargs.values())
        return call(self._session, "call", self._place.number, (args, kwargs), given)

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return call(self._session, "get", self._place.number, name)

    def __repr__(self) -> str:
        return f"<a {self._place.kind} of the hand-in>"


def stand_in(session: Session, told: dict) -> object:
    """What the engine is given in the place of an answer."""
    if told["kind"] == "value":
        return brought(session, told["value"])
    number = int(told["number"])

    def answer(*args, **kwargs):
        return call(session, "call", number, (args, kwargs), (*args, *kwargs.values()))

    found: Callable = answer
    if told["kind"] == "class":
        found = type("answer", (), {"__new__": lambda cls, *args, **kwargs: answer(*args, **kwargs)})
    if told["parameters"] is not None:
        with contextlib.suppress(ValueError, TypeError):
            found.__signature__ = inspect.Signature(
                [
                    inspect.Parameter(
                        name, inspect._ParameterKind(kind), default=None if given else inspect.Parameter.empty
                    )
                    for name, kind, given in told["parameters"]
                ]
            )
    return found


# --- Verdicts


def judge(context, cells: list[str], exercises: dict[str, Exercise], limits: Limits) -> tuple[list, list]:
    """Run a hand-in and check what it defines: verdicts, one for each exercise, and the cells that failed."""
    verdicts: dict[str, Verdict] = {}
    errors: list[tuple[int, str]] = []
    end = time.monotonic() + 3 * limits.seconds  # with the new runs after answers that did not end
    session = None
    for name, exercise in exercises.items():
        try:
            if session is None or session.gone:
                if time.monotonic() > end:
                    raise Lost("too many answers did not end")
                session = Session(context, cells, exercises, limits)
                session.run()
                errors = session.errors
            verdicts[name] = verdict(session, exercise, limits)
        except Lost as lost:
            verdicts[name] = Verdict(name, False, note=f"not judged: {lost}")
            if not session or not session.found:  # the notebook itself: it would end so again
                for other in exercises:
                    verdicts.setdefault(other, Verdict(other, False, note=f"not judged: {lost}"))
                break
    if session is not None:
        session.close()
    return list(verdicts.values()), errors


def verdict(session: Session, exercise: Exercise, limits: Limits) -> Verdict:
    """Passed if one of the last answers passes; else what is to be said of the very last one."""
    allowed = copy.copy(exercise)
    allowed.time_limit = limits.stage_seconds or exercise.time_limit
    allowed.naming_limit = exercise.time_limit
    last = None
    for told in reversed(session.found.get(exercise.name, [])[-3:]):
        one = judged(session, allowed, told)
        if one.passed:
            return one
        last = last or one
        if session.gone:
            break
    return last or Verdict(exercise.name, False, note="not there")


def reason(message: str) -> str:
    """The line of a refusal that says most to the one who grades: the error, if there was one."""
    lines = [line for line in message.splitlines() if not line.startswith(("Passed before", "Stuck?"))]
    errors = [line for line in lines if re.match(r"[A-Z]\w*(Error|Exception|Interrupt|Exit)\b", line)]
    if errors:
        return errors[0]
    return lines[1] if len(lines) > 1 else lines[0]


NOT_ATTEMPTED = "not attempted"


def judged(session: Session, exercise: Exercise, told: dict) -> Verdict:
    """One answer, put to the check."""
    try:
        if told["kind"] != "value" and told["untouched"] is True:
            return Verdict(exercise.name, False, note=NOT_ATTEMPTED)
        answer, module = stand_in(session, told), str(told.get("module", ""))
    except (KeyError, TypeError, ValueError):
        raise session._lost("it sent what no notebook sends") from None
    result = exercise.judge(answer)
    if session._waiting:
        session.close("an answer did not end")
        return Verdict(exercise.name, False, note="did not end in time")
    if session.gone:
        raise Lost(session.gone)
    note = "" if result.attempted else NOT_ATTEMPTED
    if result and module.startswith("course_utils"):
        note = f"taken from {module}"
    if not result and result.attempted and not result.misconception:
        note = reason(result.message)
    return Verdict(exercise.name, bool(result), result.misconception, note)
