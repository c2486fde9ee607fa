"""Files that are whole or not there: every file that the course writes is replaced in one stroke.

Nothing here imports torch before a tensor is asked for: a JSON record needs none.
"""

import contextlib
import getpass
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.checks import refusal
from course_utils.hints import NotNegative, hold_to_hints

if TYPE_CHECKING:
    from torch import Tensor


def write_bytes(path: str | Path, content: bytes) -> None:
    """Replace a file in one stroke: a reader, or a pulled plug, finds the old content or the new, whole.

    So it is with any number of writers: each has an unfinished file of its own, which a failure takes away.
    """
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with open(partial, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:  # an interrupt from the keyboard as well
        partial.unlink(missing_ok=True)
        raise


class BusyError(OSError):
    """Another process is writing to the same folder."""


@contextlib.contextmanager
def only_writer(folder: str | Path, seconds: NotNegative = 60.0, kind: str = "files") -> Iterator[None]:
    """Held by one process at a time, for a folder whose files belong together; freed if the process dies.

    The lock is a file among the machine's temporary ones: nothing is added to the folder.

    Raises:
        BusyError: if another process still has it after so many seconds.
    """
    from filelock import FileLock, Timeout  # torch brings it

    Path(folder).mkdir(parents=True, exist_ok=True)
    who = f"{getpass.getuser()} {kind} {Path(folder).resolve()}"
    name = f"bert-course-{hashlib.sha256(who.encode()).hexdigest()[:16]}.lock"
    try:
        with FileLock(Path(tempfile.gettempdir()) / name, timeout=seconds):
            yield
    except Timeout:
        raise BusyError(f"another process is writing to {folder}") from None


def only_run(folder: str | Path) -> contextlib.AbstractContextManager[None]:
    """The same for a whole run, which may take hours: a second one is refused at once."""
    return only_writer(folder, 0.0, "run")


def write_text(path: str | Path, content: str) -> None:
    """The same for text, as UTF-8 with the line ends that it has."""
    write_bytes(path, content.encode("utf-8"))


def read_json(path: str | Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        ValueError: naming the file, if it holds anything else.
    """
    try:
        value = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except ValueError as error:
        raise refusal(f"{path}", "JSON", "something else", str(error)) from error
    if not isinstance(value, dict):
        raise refusal(f"{path}", "a JSON object", type(value).__name__)
    return value


def write_tensors(path: str | Path, tensors: "dict[str, Tensor]", metadata: dict[str, str]) -> None:
    """Write named tensors as a safetensors file, in one stroke."""
    from safetensors.torch import save

    write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def read_tensors(path: str | Path) -> "tuple[dict[str, Tensor], dict[str, str]]":
    """Named tensors and the metadata of a safetensors file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or only half there.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    while True:
        before = path.stat()
        try:
            with safe_open(path, framework="pt") as file:
                # Copies: a tensor that looks into the file keeps it open, and Windows replaces no open file.
                tensors = {name: file.get_tensor(name).clone() for name in file.offset_keys()}
                metadata = file.metadata() or {}
            problem = None
        except SafetensorError as error:
            problem = error
        after = path.stat()
        # The library opens a file twice, for its head and for its numbers: a file that was replaced in
        # between is read again.
        if (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
            break
    if problem is not None:
        said = (
            f"{path} ({after.st_size:,} bytes) is no whole safetensors file; copy or make it again: {problem}"
        )
        raise ValueError(said) from problem
    return tensors, metadata


hold_to_hints(globals())
