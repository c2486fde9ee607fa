"""Execute the notebooks and store them in one normal form: what `make notebooks` calls.

Before a notebook runs, its cells tagged `same-as:` are written anew from the package: see `taught`.

    python -m tools.notebooks              all notebooks, written in place
    python -m tools.notebooks 02 05        only those whose names begin so
    python -m tools.notebooks --check      execute and report, write nothing

The normal form holds nothing that changes from run to run: no timings, no widget state, no random ids.
Executing a notebook twice in a row changes no byte of it. A notebook that fails, or that writes to stderr,
is left as it was. Per notebook the runner prints the seconds, the peak memory of the kernel and the size of
the file; its exit code is 1 if one of them goes beyond the limits below.
"""

import argparse
import base64
import copy
import os
import struct
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from course_utils import commands
from tools import ROOT, taught

FOLDER = ROOT / "notebooks"

CELL_TIMEOUT = 300
GOAL_SECONDS = {"09": 180}  # pretraining; every other notebook has the default
DEFAULT_GOAL_SECONDS = 90
LONGEST = ("09", "11", "10", "01")  # in this order, as measured; where several run at once they come first
SLOW_MACHINE = 3  # a notebook is refused at three times its goal
LIMIT_MEMORY = 1.0e9
LIMIT_SIZE = 300_000

# Two threads, as Binder and small laptops have: sums are then taken in the same order on every machine.
KERNEL_ENVIRONMENT = {
    "BERT_COURSE_PROGRESS": "off",  # what a run passes is no progress of a reader
    "JUPYTER_PREFER_ENV_PATH": "1",
    "OMP_NUM_THREADS": "2",
    "GOMP_SPINCOUNT": "30000",  # as in tools/setting_up.py
    "TOKENIZERS_PARALLELISM": "false",
}

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE_INFO = {"name": "python"}
CELL_METADATA_OF_A_RUN = ("execution", "ExecuteTime", "collapsed", "scrolled")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS_OF_A_RUN = {b"tEXt", b"zTXt", b"iTXt", b"tIME"}


class NotebookFailed(Exception):
    """A notebook did not run to its end, or wrote to stderr; the message names the notebook and the cell."""


@dataclass
class Report:
    """What one run of a notebook took."""

    name: str
    seconds: float
    memory: int  # bytes
    size: int  # bytes

    def excesses(self) -> list[str]:
        """The limits that this run broke."""
        limit_seconds = SLOW_MACHINE * GOAL_SECONDS.get(self.name[:2], DEFAULT_GOAL_SECONDS)
        found = []
        if self.seconds > limit_seconds:
            found.append(f"{self.name} took {self.seconds:.0f} s; the limit is {limit_seconds} s")
        if self.memory > LIMIT_MEMORY:
            found.append(
                f"{self.name} used {self.memory / 1e6:.0f} MB; the limit is {LIMIT_MEMORY / 1e6:.0f} MB"
            )
        if self.size > LIMIT_SIZE:
            found.append(f"{self.name} has {self.size / 1e3:.0f} KB; the limit is {LIMIT_SIZE / 1e3:.0f} KB")
        return found


# --- The normal form


def normalise(notebook: NotebookNode, stem: str) -> NotebookNode:
    """A copy of an executed notebook without anything that changes from run to run.

    `stem` is the file's name without its ending; cell `i` gets the id `{stem}-{i:02d}`.
    """
    notebook = copy.deepcopy(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata.pop("widgets", None)
    notebook.metadata.kernelspec = NotebookNode(KERNELSPEC)
    notebook.metadata.language_info = NotebookNode(LANGUAGE_INFO)
    count = 0
    for i, cell in enumerate(notebook.cells):
        cell.id = f"{stem}-{i:02d}"
        for key in CELL_METADATA_OF_A_RUN:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = [normalise_output(output, count) for output in merge_streams(cell.outputs)]
    return notebook


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Leave out widget views, and join neighbouring pieces of one stream: the kernel cuts them at will."""
    merged: list[NotebookNode] = []
    for output in outputs:
        if WIDGET_VIEW in output.get("data", {}):
            continue
        if (
            merged
            and output.output_type == merged[-1].output_type == "stream"
            and output.name == merged[-1].name
        ):
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def normalise_output(output: NotebookNode, count: int) -> NotebookNode:
    if output.output_type == "execute_result":
        output.execution_count = count
    if "image/png" in output.get("data", {}):
        picture = base64.b64decode(output.data["image/png"])
        output.data["image/png"] = base64.b64encode(strip_png(picture)).decode()
    return output


def strip_png(data: bytes) -> bytes:
    """A PNG file without its text and time chunks, which name the program that wrote it and its version.

    After the signature a PNG is a row of chunks: length (4 bytes, big-endian), type (4), content, checksum
    (4) (PNG specification, third edition, section 5.3).
    """
    kept, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + length + 12
        if data[position + 4 : position + 8] not in PNG_CHUNKS_OF_A_RUN:
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def to_bytes(notebook: NotebookNode) -> bytes:
    """The file's content: indent of one space, sorted keys, a newline at the end."""
    return (nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n").encode("utf-8")


def write_atomically(path: Path, content: bytes) -> None:
    """Write through a neighbouring file, so that an interruption leaves the old file whole."""
    if path.exists() and path.read_bytes() == content:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")  # two runs at once do not share it
    draft.write_bytes(content)
    os.replace(draft, path)


# --- Running


def execute(path: Path) -> tuple[NotebookNode, float, int]:
    """Run the notebook at `path` in a fresh kernel.

    Returns the executed notebook (not yet normalised), the seconds, and the kernel's peak memory in bytes.
    Raises NotebookFailed, naming the cell.
    """
    notebook = nbformat.read(path, as_version=4)
    taught.write_definitions(notebook)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR"],  # of the kernel itself, not of the cells
        resources={"metadata": {"path": str(path.parent)}},
    )
    started = time.monotonic()
    with client.setup_kernel(env=os.environ | KERNEL_ENVIRONMENT):
        for i, cell in enumerate(notebook.cells):
            execute_cell(client, cell, i, path.stem)
        memory = peak_memory(client.km.provisioner.pid)
    return notebook, time.monotonic() - started, memory


def execute_cell(client: NotebookClient, cell: NotebookNode, i: int, stem: str) -> None:
    place = f"{stem}, cell {i}"
    try:
        client.execute_cell(cell, i)
    except CellExecutionError as error:
        raise NotebookFailed(f"{place}: {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise NotebookFailed(f"{place}: no end after {CELL_TIMEOUT} s") from None
    except DeadKernelError:
        raise NotebookFailed(f"{place}: the kernel died (out of memory?)") from None
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stderr":
            raise NotebookFailed(f"{place} wrote to stderr: {output.text.strip()}")


def peak_memory(pid: int) -> int:
    """The most memory a living process has had, in bytes; where the system keeps no peak, what it has now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    memory = psutil.Process(pid).memory_info()
    return getattr(memory, "peak_wset", memory.rss)


def run(path: Path, write: bool) -> Report:
    """Execute and normalise one notebook, and write it in place if `write`."""
    notebook, seconds, memory = execute(path)
    content = to_bytes(normalise(notebook, path.stem))
    if write:
        write_atomically(path, content)
    return Report(path.stem, seconds, memory, len(content))


def chosen(names: list[str]) -> list[Path]:
    """The notebooks whose names begin with one of `names`, in reading order; all of them without names."""
    paths = sorted(FOLDER.glob("*.ipynb"))
    for name in names:
        if not any(path.name.startswith(name) for path in paths):
            raise SystemExit(
                f"no notebook begins with {name!r}; there are {', '.join(path.stem for path in paths)}"
            )
    return [path for path in paths if not names or path.name.startswith(tuple(names))]


def longest_first(paths: Iterable[Path]) -> list[Path]:
    """Paths of notebooks in the order in which several processes are done soonest: otherwise one of them is
    left alone with a long one at the end.
    """
    order = [*LONGEST, ""]
    places = {path: next(i for i, name in enumerate(order) if path.name.startswith(name)) for path in paths}
    return sorted(places, key=lambda path: (places[path], path))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="beginnings of notebook names, as 02")
    parser.add_argument("--check", action="store_true", help="execute and report, write nothing")
    arguments = parser.parse_args()
    paths = chosen(arguments.names)

    complaints: list[str] = []
    total = 0.0
    print(f"{'notebook':32} {'seconds':>8} {'peak MB':>8} {'KB':>6}", flush=True)
    for path in paths:
        try:
            report = run(path, write=not arguments.check)
        except NotebookFailed as failure:
            complaints.append(str(failure))
            print(f"{path.stem:32}   failed", flush=True)
            continue
        total += report.seconds
        complaints += report.excesses()
        print(
            f"{report.name:32} {report.seconds:8.1f} {report.memory / 1e6:8.0f} {report.size / 1e3:6.0f}",
            flush=True,
        )
    print(f"{'all':32} {total:8.1f}")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    commands.run(main)
