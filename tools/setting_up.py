"""Set up `.venv` and start something in it, with nothing but the standard library.

    python tools/bootstrap.py lab              open JupyterLab on the first notebook
    python tools/bootstrap.py setup            prepare everything, tests included, and stop there
    python tools/bootstrap.py run ARGUMENTS    prepare the same, then run `.venv`'s Python with ARGUMENTS
    python tools/bootstrap.py bench GOALS      prepare what the benchmarks need, then run them, all or some
    python tools/bootstrap.py site             prepare what the reading site needs, then make it
                                               (--check: look at it)

`.venv` holds a stamp, written last: the hash of the files that it was made from. While the stamp fits,
nothing is installed and the start takes a second. A marker is there for as long as pip works, so that a
set-up that was killed halfway is recognised and made again. Of two set-ups at once the second waits for the
first.

Everything but torch comes with the digests of the requirement files, and a file with another digest is
refused. The build of torch is settled in one place, `torch_arguments`: the CPU build unless the environment
variable TORCH names another build, for example `make lab TORCH=cu130`, or `TORCH=default` for what pip takes
by itself.

This file also runs on a Python too old for the course, in order to say so: keep its syntax plain.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "course-stamp.json"
MARKER = VENV / "course-set-up-running"
LOG = ROOT / ".setup.log"
LOCK = ROOT / ".setup.lock"

# What each group of packages adds to requirements.txt, which is always installed. These lists are complete.
EXTRA_REQUIREMENTS = {
    "test": "requirements-test.txt",
    "bench": "requirements-bench.txt",
    "site": "requirements-site.txt",
}
# Which groups a command needs.
GROUPS = {
    "lab": ["lab"],
    "setup": ["lab", "test"],
    "run": ["lab", "test"],
    "bench": ["lab", "bench"],
    "site": ["lab", "test", "site"],
}

OLDEST, NEWEST = (3, 11), (3, 14)
NEEDED_GB = 4.0
NEEDED_GB_FOR_GPUS = (
    12.0  # torch's builds for GPUs bring the libraries of the maker: 3 GB of files, unpacked 7
)
TORCH_INDEX = "https://download.pytorch.org/whl"
PROBE_SECONDS = (3.0, 10.0)  # of the first try and the second
POLL_SECONDS = 0.2

# The server's event log can check international addresses, which nothing here uses: the grammar for that
# takes two of the three seconds that the server needs to start, and jsonschema does without it if it is not
# there.
START_LAB = "import sys; sys.modules['rfc3987_syntax'] = None; from jupyterlab.labapp import main; main()"

NO_SPACE = re.compile(r"No space left on device|Errno 28|not enough space on the disk", re.IGNORECASE)
# What pip says of it, the second where a file of constraints names torch as well.
NO_CPU_BUILD = re.compile(r"(No matching distribution found for|Cannot install) torch==\S+\+cpu")
NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|NameResolutionError"
    r"|Max retries exceeded"
    r"|Temporary failure in name resolution|Connection refused|Network is unreachable|getaddrinfo failed"
)


class SetupError(Exception):
    """The set-up cannot go on; the message is one line that says what to do."""


def choose_python(version=sys.version_info[:2], find=shutil.which):
    """The Python that `.venv` is made from: this one if the course runs on it, else the newest such."""
    if OLDEST <= tuple(version) <= NEWEST:
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        path = find(f"python3.{minor}")
        if path and works(path):
            return path
    raise SetupError(
        f"This is Python {version[0]}.{version[1]} ({sys.executable}) and the course needs 3.11 to 3.14: "
        "install one of these, then run the command again."
    )


def works(python):
    """Whether this Python starts and is one that the course runs on."""
    code = f"import sys; sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"
    try:
        return (
            subprocess.call([str(python), "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            == 0
        )
    except OSError:
        return False


def venv_python():
    """The path of the Python inside `.venv`."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(group):
    """The hash of the files that decide what `group` ("lab", "test" or "bench") installs."""
    names = ["requirements-torch.txt", "requirements.txt", "pyproject.toml"]
    if group in EXTRA_REQUIREMENTS:
        names.append(EXTRA_REQUIREMENTS[group])
    # Line endings are left out of the hash: git may have changed them.
    contents = [(ROOT / name).read_bytes().replace(b"\r\n", b"\n") for name in names]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def read_stamp():
    """What `.venv` was made from; empty if it has no readable stamp."""
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_stamp(stamp):
    """Put the new stamp in place in one step, so that a reader sees the old one or the new one."""
    draft = STAMP.with_suffix(".draft")
    draft.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(draft, STAMP)


def missing_groups(groups, torch):
    """Which of `groups` are not installed as the files here ask; all of them if another torch is wanted."""
    stamp = read_stamp()
    whole = not MARKER.exists() and stamp.get("place") == str(ROOT) and works(venv_python())
    if not whole or (torch and torch != stamp.get("torch")):
        return list(groups)
    return [group for group in groups if stamp.get(group) != fingerprint(group)]


def remove_unusable():
    """Remove a `.venv` that was left unfinished, or moved here from elsewhere (its paths are fixed)."""
    if not VENV.exists():
        return
    stamp = read_stamp()
    moved = "place" in stamp and stamp["place"] != str(ROOT)
    if MARKER.exists() or moved or not venv_python().exists():
        print("An unfinished or moved .venv is made again.", flush=True)
        try:
            shutil.rmtree(VENV)
        except OSError as error:
            raise SetupError(
                f".venv cannot be removed ({error}): end what runs in it, then run again."
            ) from None
    elif not works(venv_python()):
        raise SetupError(
            "The Python in .venv does not start or is none of 3.11 to 3.14: remove .venv, then run again."
        )


@contextlib.contextmanager
def only_one_set_up():
    """Wait until no other process sets up this folder, and keep others waiting meanwhile.

    The system holds the lock for a process, not the file: whoever dies gives it back. The file stays, for one
    that was removed and made again would be two locks.
    """
    try:
        file = LOCK.open("ab")
    except OSError as error:
        raise SetupError(
            f"The set-up cannot write in {ROOT} ({error.strerror}): make the folder writable."
        ) from None
    with file:
        waits = False
        while not take(file):
            if not waits:
                print("Another set-up is at work in this folder: waiting for it.", flush=True)
            waits = True
            time.sleep(POLL_SECONDS)
        yield


def take(file):
    """Lock an open file unless another process has locked it. Returns whether it is ours now.

    Closing the file, or the end of the process, unlocks it.
    """
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)  # the lock is on the byte where the file stands
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        print(f"No lock here ({error}): start no second set-up meanwhile.", flush=True)
    return True


def prepare(groups, torch=None):
    """Bring `.venv` to the state that `groups` need; if another process is at that, wait for it.

    Raises SetupError, and leaves no `.venv` that it could not finish.
    """
    if not missing_groups(groups, torch):
        return  # without the lock: a whole `.venv` in a folder that cannot be written to is enough
    with only_one_set_up():
        missing = missing_groups(groups, torch)
        if missing:
            bring_up_to_date(missing, torch)


def bring_up_to_date(missing, torch):
    """Install the groups that are missing, in a new `.venv` if there is none that can be used."""
    remove_unusable()
    is_new = not VENV.exists()
    python = choose_python()
    print(
        "Setting up .venv; this takes a few minutes, once." if is_new else "Bringing .venv up to date.",
        flush=True,
    )
    torch_now = read_stamp().get("torch")
    if is_new or (torch and torch != torch_now):
        check_space(torch or "cpu")
    try:
        if is_new:
            VENV.mkdir()
        MARKER.touch()
        if is_new:
            create_venv(python)
        install(missing, torch or torch_now or "cpu")
        MARKER.unlink()
    except (SetupError, OSError, KeyboardInterrupt) as error:
        if is_new:
            shutil.rmtree(VENV, ignore_errors=True)
        elif isinstance(error, SetupError):
            # pip changes nothing before it has everything that it needs: an older `.venv` is still whole.
            MARKER.unlink()
        if isinstance(error, SetupError):
            raise
        if isinstance(error, KeyboardInterrupt):
            raise SetupError("The set-up was interrupted; the next call starts it afresh.") from None
        raise SetupError(explain(f"ERROR: {error}")) from None


def check_space(torch):
    """Refuse to begin what the disk cannot hold, with the build of torch that will come."""
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    needed = NEEDED_GB if torch == "cpu" else NEEDED_GB_FOR_GPUS
    if free < needed:
        raise SetupError(
            f"The set-up needs {needed:.0f} GB of disk and {ROOT} has {free:.1f} GB free: "
            "make room, then run again."
        )


def create_venv(python):
    """Make an empty virtual environment."""
    command = [str(python), "-m", "venv", str(VENV)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 0:
        return
    LOG.write_text(done.stdout, encoding="utf-8")
    if NO_SPACE.search(done.stdout):
        raise SetupError(explain(done.stdout))
    raise SetupError(
        f"{python} cannot make a virtual environment (see {LOG.name}); "
        "on Debian and Ubuntu: apt-get install python3-venv."
    )


def install(groups, torch):
    """Install the exact versions of the requirement files, then the course's own package."""
    LOG.write_text("", encoding="utf-8")
    stamp = read_stamp()
    if "lab" in groups:
        pip(torch_arguments(torch))
        pip(pinned("requirements.txt"))
        pip(["--no-deps", "--no-build-isolation", "-e", "."])
    for group in groups:
        if group in EXTRA_REQUIREMENTS:
            pip(pinned(EXTRA_REQUIREMENTS[group]))
    stamp.update({group: fingerprint(group) for group in groups})
    stamp.update({"place": str(ROOT), "torch": torch})
    write_stamp(stamp)


def pinned(name):
    """What pip is asked for a requirement file: these lists are complete, and each file has its digest."""
    return ["--no-deps", "--require-hashes", "-r", name]


def torch_arguments(choice, system=sys.platform, answers=None):
    """What pip is asked for the build of torch that `choice` names: "cpu", or another of PyTorch's ("cu130").

    On Linux the ordinary index holds the CUDA build (several GB), so the CPU build comes from PyTorch's
    index, or from the configured one if that has it; never another build in its place. Elsewhere the ordinary
    build already is the CPU build. What the CPU build needs stands in requirements.txt.
    """
    requirements = (ROOT / "requirements-torch.txt").read_text(encoding="utf-8")
    pin = re.search(r"^torch==\S+", requirements, re.MULTILINE).group()
    if choice == "default":
        return [pin]
    if choice != "cpu":
        return ["--index-url", f"{TORCH_INDEX}/{choice}", f"{pin}+{choice}"]
    print(
        "torch: the CPU build. For a GPU, name the build for your driver, as in: make lab TORCH=cu130",
        flush=True,
    )
    if not system.startswith("linux"):
        return ["--no-deps", pin]
    cpu_index = TORCH_INDEX + "/cpu"
    for seconds in PROBE_SECONDS:
        if (answers or index_answers)(cpu_index, seconds):
            return ["--no-deps", "--index-url", cpu_index, pin + "+cpu"]
    print(
        "torch: PyTorch's CPU index does not answer; the configured index is asked for this build.",
        flush=True,
    )
    return ["--no-deps", pin + "+cpu"]


def index_answers(address, seconds):
    """Whether a package index answers within so many seconds, name look-up included."""
    answered = threading.Event()

    def probe():
        try:
            context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
            urllib.request.urlopen(address + "/torch/", timeout=seconds, context=context).close()
            answered.set()
        except (OSError, ValueError):
            pass

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def pip(arguments):
    """Run `pip install` in `.venv`: one moving line of progress, and the whole output in the log."""
    command = [
        str(venv_python()),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
    ] + arguments
    lines = []
    process = subprocess.Popen(
        command, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    for line in process.stdout:
        lines.append(line)
        show_progress(line.strip())
    code = process.wait()
    show_progress("")
    output = "".join(lines)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(output)
    if code:
        raise SetupError(explain(output))


def show_progress(text):
    """Overwrite the terminal's last line with `text`; in a file or a CI log, print nothing."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r" + text[:width].ljust(width) + ("" if text else "\r"))
        sys.stdout.flush()


def explain(output):
    """One line for what went wrong in pip's `output`, and what to do about it."""
    if NO_SPACE.search(output):
        room = f"{NEEDED_GB:.0f} GB in {ROOT}, and some in the temporary folder"
        return f"The disk is full: make room ({room}), then run again."
    if NO_CPU_BUILD.search(output) and not NO_NETWORK.search(output):
        return (
            "PyTorch's CPU index does not answer and the configured index has no CPU build of torch: run "
            "again later, or accept the build for GPUs (several GB) with TORCH=default."
        )
    if NO_NETWORK.search(output):
        return "The package index cannot be reached: check the network or the proxy settings, then run again."
    errors = [line for line in output.splitlines() if line.startswith("ERROR")] or ["no reason given"]
    return f"The set-up failed ({errors[-1]}); the whole output of pip is in {LOG.name}."


def lab_command():
    """JupyterLab on the first notebook: loopback only, token on, no question at Ctrl-C."""
    command = [
        str(venv_python()),
        "-c",
        START_LAB,
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={ROOT}",
        "--ServerApp.answer_yes=True",
        "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        print("No display here: open the address printed below in a browser.", flush=True)
        command.append("--no-browser")
    return command


def run_lab():
    """Run JupyterLab until Ctrl-C, and return its exit code.

    In a terminal it gets its own foreground process group: then Ctrl-C reaches it alone, and `make`, which
    would report an interrupt as a failure, sees an ordinary end.
    """
    # Kernels are taken from .venv even if the reader's home folder has one of the same name.
    environment = dict(os.environ, JUPYTER_PREFER_ENV_PATH="1")
    # No question about news at the first start.
    places = [str(ROOT / "tools" / "jupyter"), environment.get("JUPYTER_CONFIG_PATH", "")]
    environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, places))
    command = lab_command()
    in_terminal = os.name != "nt" and sys.stdin.isatty()
    signal.signal(signal.SIGINT, lambda *_: None)
    if in_terminal:
        # The shell knows nothing of the server's group and could not resume it: Ctrl-Z is switched off.
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    own_group = os.setpgrp if in_terminal else None
    server = subprocess.Popen(command, env=environment, preexec_fn=own_group)  # noqa: PLW1509 (no threads)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: server.terminate())
    if not in_terminal:
        return server.wait()
    terminal = sys.stdin.fileno()
    os.tcsetpgrp(terminal, server.pid)
    try:
        return server.wait()
    finally:
        os.tcsetpgrp(terminal, os.getpgrp())


def main(arguments):
    usage = "usage: python tools/bootstrap.py lab | setup | run ARGUMENTS | bench GOALS | site"
    if arguments[:1] in (["-h"], ["--help"]):
        print(usage)
        return 0
    if not arguments or arguments[0] not in GROUPS:
        raise SetupError(usage)
    command = arguments[0]
    # A thread of torch that waits for the other one spins, and takes the core from whoever computes on it:
    # beside two other programs a training step took four times as long with two threads as with one. So it
    # spins ten times less before it sleeps, which costs nothing where the cores are free.
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    prepare(GROUPS[command], torch=os.environ.get("TORCH"))
    if command == "lab":
        return run_lab()
    if command == "run":
        return subprocess.call([str(venv_python())] + arguments[1:], cwd=str(ROOT))
    if command == "bench":
        return subprocess.call([str(venv_python()), "-m", "benchmarks"] + arguments[1:], cwd=str(ROOT))
    if command == "site":
        return subprocess.call([str(venv_python()), "-m", "tools.website"] + arguments[1:], cwd=str(ROOT))
    return 0


def start(arguments):
    """Do it, and end with what came of it."""
    try:
        sys.exit(main(arguments))
    except SetupError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
