"""The student's side: a process that runs the cells of one notebook and then answers calls.

Nothing here decides. Before the first cell the process closes what it can close: the network (a network
namespace of its own, where the system has them), files outside its own folder, memory, and how long it may
compute. In the exercises that the notebook imports, `check` also writes down what it is given. After the last
cell, before the first call, solutions are taken out.

What the process sends is read as plain values (`wire`), so a notebook that writes to the pipe itself can
return numbers from its own functions, as it could anyway.
"""

import builtins
import contextlib
import ctypes
import inspect
import io
import multiprocessing
import os
import pickle
import random
import signal
import socket
import struct
import sys
import tempfile
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

from course_utils.classroom import engine
from course_utils.classroom.grading import wire

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of Linux's `unshare`
CREATE_RULESET, ADD_RULE, RESTRICT_SELF, BENEATH, NO_NEW_PRIVILEGES = 444, 445, 446, 1, 38  # of Landlock
WRITE_FILE, TRUNCATE = 1 << 1, 1 << 14
CHANGES = WRITE_FILE | sum(1 << kind for kind in range(4, 13))  # and to remove and to make of every kind
CANDIDATES = 3  # answers to one exercise that are kept: the last ones


# --- What is closed before the first cell


def close_network() -> bool:
    """Move this process where there is no network but itself; whether that has worked."""
    if not sys.platform.startswith("linux"):
        return False
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_USER | NEW_NETWORK) != 0:
        return False
    with contextlib.suppress(OSError):  # who one is; without it one is nobody, and may do less
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    return {name for _, name in socket.if_nameindex()} == {"lo"}


def close_files(folder: str) -> bool:
    """Let this process change files in its own folder alone (Landlock); whether that has worked."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)

    def system(call: int, *arguments: object) -> int:
        plain = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
        return libc.syscall(ctypes.c_long(call), *plain)

    version = system(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    changes = CHANGES | (TRUNCATE if version >= 3 else 0)
    rules = system(CREATE_RULESET, struct.pack("=Q", changes), 8, 0)
    for place in (folder, "/dev/shm", os.devnull):
        if os.path.exists(place):
            allowed = changes if os.path.isdir(place) else changes & (WRITE_FILE | TRUNCATE)
            opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
            system(ADD_RULE, rules, BENEATH, struct.pack("=Qi", allowed, opened), 0)
            os.close(opened)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    done = system(RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return done


def limit(memory: int, seconds: float) -> None:
    """Hold this process to so many more bytes of memory, and to so much time of a processor."""
    try:
        import resource
    except ImportError:  # Windows: the judge watches both from outside
        return
    import psutil

    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def settle(folder: str) -> None:
    """A folder of its own as home and as working folder, nothing to read from, nowhere to print to."""
    os.chdir(folder)
    os.environ |= {"HOME": folder, "IPYTHONDIR": folder, "TMPDIR": folder, "MPLBACKEND": "agg"}
    os.environ["BERT_COURSE_PROGRESS"] = "off"
    tempfile.tempdir = None  # looked for anew
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(os.dup(nowhere), mode) for mode in ("r", "w", "w"))


# --- The notebook


class Given:
    """What the notebook gave to each check, last of all what stands under the exercise's own name."""

    def __init__(self):
        self.answers: dict[str, list[object]] = {}

    def note(self, name: str, answer: object) -> None:
        answers = self.answers.setdefault(name, [])
        answers[:] = [other for other in answers if other is not answer][1 - CANDIDATES :] + [answer]


def listen(given: Given) -> None:
    """Let every check write down what it is given, before it does what it always does."""
    check = engine.Exercise.check

    def listening(self: engine.Exercise, answer: object) -> engine.Result:
        given.note(self.name, answer)
        return check(self, answer)

    engine.Exercise.check = listening


def take_out_solutions() -> list[object]:
    """Leave no solution of the course that could be called; returns what they were.

    Notebooks may use one while they run. Afterwards every name that still leads to one leads to an error.
    """

    def gone(*args, **kwargs):
        raise RuntimeError("this is the solution of the course, and no answer")

    found = []
    for module in [part for name, part in sys.modules.items() if name.startswith("course_utils.lessons.")]:
        for exercise in [part for part in vars(module).values() if isinstance(part, engine.Exercise)]:
            if callable(exercise.model_answer):
                found.append(exercise.model_answer)
                with contextlib.suppress(AttributeError, ValueError):  # a class, or one with a closure
                    exercise.model_answer.__code__ = gone.__code__
            exercise.model_answer = exercise._definition = ...
            exercise.wrong_answers, exercise.stages, exercise._patterns = {}, (), {}
    return found


def run_cells(cells: list[str], cell_seconds: float) -> tuple[dict[str, object], list[tuple[int, str]]]:
    """Run the cells, each whatever came of those before; the names afterwards, and the errors by cell."""
    HistoryManager.enabled = False
    shell = InteractiveShell.instance()
    shell.showtraceback = lambda *args, **kwargs: None
    shell.showsyntaxerror = lambda *args, **kwargs: None
    errors = []
    for number, source in enumerate(cells, start=1):
        with _alarm(cell_seconds):
            result = shell.run_cell(source)
        if error := result.error_before_exec or result.error_in_exec:
            errors.append((number, f"{type(error).__name__}: {error}".splitlines()[0][:200]))
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
    return shell.user_ns, errors


@contextlib.contextmanager
def _alarm(seconds: float):
    """Raise TimeoutError after so many seconds, so that the cells below get their turn."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(signum, frame):
        raise TimeoutError(f"stopped after {seconds:g} seconds")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again: `except:` swallows one
    with contextlib.suppress(TimeoutError):  # it may ring just after the cell
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)


# --- Answers, and calls of them


def describe(answer: object, stub: object, keep) -> dict[str, object]:
    """What the judge must know of an answer to put a stand-in in its place."""
    is_class = inspect.isclass(answer)
    if not callable(answer):
        return {"kind": "value", "value": answer}
    try:
        parameters = [
            (p.name, p.kind.value, p.default is not p.empty)
            for p in inspect.signature(answer).parameters.values()
        ]
    except Exception:  # noqa: BLE001 (some compiled functions do not tell their parameters)
        parameters = None
    return {
        "kind": "class" if is_class else "function",
        "number": keep(answer),
        "parameters": parameters,
        "untouched": bool(engine._is_untouched(answer, stub)),
        "module": str(getattr(answer, "__module__", "")),
    }


class Room:
    """Keeps what the student defined, and calls it when it is asked to."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.kept: list[object] = []

    def keep(self, value: object) -> int:
        self.kept.append(value)
        return len(self.kept) - 1

    def send(self, value: object) -> None:
        self.connection.send_bytes(wire.to_bytes(value, self.keep))

    def serve(self) -> None:
        while True:
            request = pickle.loads(self.connection.recv_bytes())  # the judge's, who is trusted
            self.send(self.answer(*request))

    def answer(self, verb: str, number: int, detail: object, states: tuple | None) -> tuple:
        """What came of one request: ("returned", value, inputs afterwards), or ("raised", kind, text)."""
        if states is not None:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])
        try:
            if verb == "get":
                return ("returned", getattr(self.kept[number], detail), ())
            args, kwargs = detail
            value = self.kept[number](*args, **kwargs)
            return ("returned", value, (*args, *kwargs.values()))
        except BaseException as error:  # noqa: BLE001 (an answer may raise anything)
            if isinstance(error, NotImplementedError) and engine._raised_on_purpose(error):
                return ("returned", ..., ())  # a stub
            name = next(k.__name__ for k in type(error).__mro__ if getattr(builtins, k.__name__, None) is k)
            return ("raised", name, str(error)[:500])


def main(
    connection: Connection,
    cells: list[str],
    stubs: dict[str, str],
    folder: str,
    memory: int,
    seconds: float,
    cell_seconds: float,
    closed: bool,
) -> None:
    """Run a notebook, say what it defined, and serve until the judge is gone.

    stubs: the exercises, and the module of each.
    closed: the network is to be closed; the process ends if it cannot be.
    """
    with contextlib.suppress(OSError):
        os.setsid()  # so that all that it starts can be ended with it
    multiprocessing.current_process()._config["daemon"] = False  # a notebook may begin processes
    if closed and not close_network():
        return
    settle(folder)
    close_files(folder)
    torch.set_num_threads(1)
    given, room = Given(), Room(connection)
    stub_of = {name: getattr(import_module(module), name).stub for name, module in stubs.items()}
    listen(given)
    limit(memory, seconds)
    names, errors = run_cells(cells, cell_seconds)
    official = take_out_solutions()
    found = {}
    for name, stub in stub_of.items():
        if name in names and not isinstance(names[name], engine.Exercise):
            given.note(name, names[name])
        answers = [each for each in given.answers.get(name, []) if not any(each is one for one in official)]
        found[name] = [describe(answer, stub, room.keep) for answer in answers]
    room.send(("ran", errors, found))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(EOFError, OSError):
        room.serve()


def probe(connection: Connection) -> None:
    """Say whether the network can be closed here, and the files."""
    connection.send_bytes(wire.to_bytes((close_network(), close_files(os.curdir))))
