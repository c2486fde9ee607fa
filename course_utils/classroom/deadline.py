"""Run a reader's code with a time limit, so that an endless loop does not cost the reader the kernel.

Python cannot stop a function from outside, but it can ask a *thread* to raise an exception
(`PyThreadState_SetAsyncExc`). So the code runs in a thread of its own while the caller waits. This works on
every platform and from every thread, and an interrupt from the keyboard still reaches the caller, who is
only waiting.

The limit of the method: the exception is raised between two steps of Python code. One long call into
compiled code (a huge matrix product, `time.sleep`) ends only by itself; then `OutOfTime.stopped` is False
and the thread is left behind.
"""

import contextvars
import ctypes
import sys
import threading
import time
import traceback
from collections.abc import Callable

POLL_SECONDS = 0.05  # short waits, because on Windows a long wait cannot be interrupted from the keyboard
GRACE_SECONDS = 1.0  # how long we go on asking a thread to stop


class OutOfTime(Exception):
    """The code was still running at its time limit.

    `stack` says where it was, outermost frame first; `stopped` says whether the thread could be ended.
    """

    def __init__(self, stack: traceback.StackSummary, stopped: bool):
        super().__init__("out of time")
        self.stack = stack
        self.stopped = stopped


class Stop(SystemExit):
    """Raised in the thread to end it: `except Exception` does not catch it, and no traceback is printed."""


def run_with_deadline(function: Callable[[], object], seconds: float) -> object:
    """Return `function()`, or raise `OutOfTime` when it takes longer than `seconds`.

    What `function` raises is raised again here. A keyboard interrupt stops the thread and goes on to the
    caller.
    """
    returned, raised = [], []
    finished = threading.Event()

    def work():
        try:
            returned.append(function())
        except BaseException as error:  # noqa: BLE001 (it is raised again in the thread of the caller)
            raised.append(error)
        finally:
            finished.set()

    # A copied context: settings such as numpy.errstate, and where prints go, are those of the caller.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    try:
        thread.start()
        _wait(finished, seconds)
    except BaseException:
        _stop(thread, finished)
        raise
    frame = sys._current_frames().get(thread.ident)
    if frame is not None and not finished.is_set():
        raise OutOfTime(traceback.extract_stack(frame), stopped=_stop(thread, finished))
    thread.join()
    if raised:
        raise raised[0]
    return returned[0]


def _wait(finished: threading.Event, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not finished.is_set() and time.monotonic() < end:
        finished.wait(POLL_SECONDS)


def _stop(thread: threading.Thread, finished: threading.Event) -> bool:
    """Ask until the thread ends: a bare `except:` may swallow one request, seldom all of them.

    `Thread.is_alive` is no help here: in Python 3.11 an interrupted `join` marks a running thread as ended.
    """
    end = time.monotonic() + GRACE_SECONDS
    while _is_running(thread, finished) and time.monotonic() < end:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stop))
        finished.wait(POLL_SECONDS)
    return not _is_running(thread, finished)


def _is_running(thread: threading.Thread, finished: threading.Event) -> bool:
    return not finished.is_set() and thread.ident in sys._current_frames()
