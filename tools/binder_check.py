"""Run the course as Binder would: one core, a real JupyterLab server beside the kernel, and 2 GB for both
together.

    python -m tools.binder_check               every notebook; prints a table
    python -m tools.binder_check 03 09         only those whose names begin so
    python -m tools.binder_check --gb 1.5      under another limit

Where the system lets us (Linux with control groups that this user may change), the limit is real: what does
not fit is ended. Elsewhere server and kernel are only measured. The columns: seconds on one core; the most
memory that the server and the kernel had in their lives (resident, added up: a little too much, since they
share libraries); and the most that the control group ever held, page cache included. The exit code is 1 if a
notebook fails or does not fit.
"""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from course_utils import commands
from tools import ROOT, setting_up
from tools.notebooks import (
    CELL_TIMEOUT,
    KERNEL_ENVIRONMENT,
    NotebookFailed,
    chosen,
    execute_cell,
    peak_memory,
)

GROUPS = Path("/sys/fs/cgroup")
NAME = "bert-course-binder"


class Group:
    """A control group of Linux with a limit on memory (version 1 or 2); `Group.make` gives None where there
    is none.
    """

    def __init__(self, folder: Path, limit: str, peak: str):
        self.folder, self.limit_file, self.peak_file = folder, folder / limit, folder / peak

    @classmethod
    def make(cls, limit: int) -> "Group | None":
        first = GROUPS / "memory" / NAME, "memory.limit_in_bytes", "memory.max_usage_in_bytes"
        second = GROUPS / NAME, "memory.max", "memory.peak"
        for folder, limit_name, peak_name in (first, second):
            if not folder.parent.is_dir():
                continue
            try:
                folder.mkdir(exist_ok=True)
                (folder / limit_name).write_text(str(limit), encoding="ascii")
                return cls(folder, limit_name, peak_name)
            except OSError:
                remove(folder)
        return None

    def add(self, pid: int) -> None:
        (self.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def peak(self) -> int:
        return int(self.peak_file.read_text(encoding="ascii"))


def remove(folder: Path) -> None:
    """Remove a control group, if nothing runs in it any more."""
    try:
        folder.rmdir()
    except OSError:
        return


def start_server(environment: dict[str, str], home: Path) -> tuple[subprocess.Popen, str]:
    """JupyterLab without a browser, on loopback; its process, and the address of its interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    command = [
        sys.executable,
        "-c",
        setting_up.START_LAB,
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
    ]
    command += [
        f"--ServerApp.port={port}",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={ROOT}",
    ]
    with (home / "server.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    return server, f"http://127.0.0.1:{port}/api/{{}}?token={token}"


def ask(address: str, seconds: float = 60) -> None:
    """Fetch an address of the server, waiting for it to come up."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=10).read()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def run(path: Path, limit: int) -> tuple[float, int, int, int]:
    """Run one notebook under the limit. Returns seconds and the peaks of server, kernel and control group, in
    bytes.
    """
    environment = (
        os.environ | KERNEL_ENVIRONMENT | {"CPU_LIMIT": "1", "MEM_LIMIT": str(limit), "OMP_NUM_THREADS": "1"}
    )
    group = Group.make(limit)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    quiet = ["--log-level=ERROR"]  # of the kernel itself, not of the cells
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources=resources, extra_arguments=quiet
    )
    with tempfile.TemporaryDirectory() as home:
        environment["JUPYTER_RUNTIME_DIR"] = home
        server, address = start_server(environment, Path(home))
        try:
            if group:
                group.add(server.pid)
            ask(address.format("status"))
            ask(address.format(f"contents/notebooks/{path.name}"))  # as the page does when it opens
            started = time.monotonic()
            with client.setup_kernel(env=environment):
                kernel = client.km.provisioner.pid
                if group:
                    group.add(kernel)
                for place, cell in enumerate(notebook.cells):
                    execute_cell(client, cell, place, path.stem)
                peaks = peak_memory(server.pid), peak_memory(kernel), group.peak() if group else 0
            return time.monotonic() - started, *peaks
        finally:
            server.terminate()
            server.wait(20)
            if group:
                time.sleep(0.5)
                remove(group.folder)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="beginnings of notebook names, as 02")
    parser.add_argument("--gb", type=float, default=2.0, help="the limit, in GB of 2**30 bytes")
    arguments = parser.parse_args()
    limit = int(arguments.gb * 2**30)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that server and kernel are ended too
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # servers and kernels inherit it
    probe = Group.make(limit)
    if probe:
        remove(probe.folder)
    print(
        f"one core; limit {arguments.gb:g} GB,"
        f" {'real (control group)' if probe else 'not enforced here, only measured'}"
    )
    print(
        f"{'notebook':28} {'seconds':>8} {'server MB':>10} {'kernel MB':>10} {'both MB':>8} {'group MB':>9}",
        flush=True,
    )
    bad = []
    for path in chosen(arguments.names):
        try:
            seconds, server, kernel, group = run(path, limit)
        except NotebookFailed as failure:
            bad.append(str(failure))
            print(f"{path.stem:28}   failed", flush=True)
            continue
        if server + kernel > limit:
            bad.append(f"{path.stem} needs {(server + kernel) / 1e6:.0f} MB")
        megabytes = (
            f"{server / 1e6:10.0f} {kernel / 1e6:10.0f} {(server + kernel) / 1e6:8.0f} {group / 1e6:9.0f}"
        )
        print(f"{path.stem:28} {seconds:8.1f} {megabytes}", flush=True)
    print("\n".join(bad) or "every notebook fits", file=sys.stderr if bad else sys.stdout)
    return 1 if bad else 0


if __name__ == "__main__":
    commands.run(main)
