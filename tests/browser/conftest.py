"""A JupyterLab on loopback with a copy of the notebooks, and a Chromium that watches all that it does."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from tools import browser, setting_up
from tools.check import OFFLINE
from tools.notebooks import KERNEL_ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60

# All cells stay in the page, also those that are scrolled away; nothing is asked of other servers.
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


class Lab:
    """A running server: its address, and the token that it asks for."""

    def __init__(self, address: str, token: str):
        self.address, self.token = address, token

    @property
    def start(self) -> str:
        """A page with a notebook: JupyterLab asks for pictures relative to its own address before it knows
        better.
        """
        return f"{self.address}/lab/tree/notebooks/00_start_here.ipynb?token={self.token}&reset"

    def stop_kernels(self) -> None:
        """End what the last notebook has left running: its memory is needed for the next one."""
        with urllib.request.urlopen(f"{self.address}/api/sessions?token={self.token}") as answer:
            sessions = json.load(answer)
        for session in sessions:
            address = f"{self.address}/api/sessions/{session['id']}?token={self.token}"
            urllib.request.urlopen(urllib.request.Request(address, method="DELETE")).close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab with its own folders for settings, and kernels whose network is closed."""
    home = tmp_path_factory.mktemp("lab")
    for name in ("notebooks", "img"):
        shutil.copytree(
            ROOT / name, home / "course" / name, ignore=shutil.ignore_patterns(".*", "__pycache__")
        )
    for path in (home / "course" / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":  # without a number: a number says that the cell was run here
                cell.execution_count = None
        nbformat.write(notebook, path)
    for plugin, values in SETTINGS.items():
        file = home / "settings" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    folders = {
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
    }
    environment = os.environ | KERNEL_ENVIRONMENT | {name: str(path) for name, path in folders.items()}
    environment |= {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{OFFLINE}{os.pathsep}{ROOT}",
    }  # two notebooks run side by side
    port, token = free_port(), secrets.token_hex(16)
    command = [sys.executable, "-c", setting_up.START_LAB, "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home / 'course'}"]
    command += ["--LabApp.expose_app_in_browser=True"]  # so that a test can change the theme
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = home / "server.log"
    with log.open("w", encoding="utf-8") as file:
        server = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT, cwd=home)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api/status?token={token}", server, log)
        yield Lab(address, token)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail("JupyterLab does not start:\n" + log.read_text(encoding="utf-8")[-2000:])


class Kernel:
    """What the kernel says to the page, read from the page's own connection to it.

    An error in a widget's callback appears in no cell: JupyterLab hides it in a log. Here it is found.
    """

    STATE = re.compile(rb'"execution_state":\s*"(\w+)"')
    ERROR = re.compile(rb'"msg_type":\s*"error"')
    STDERR = re.compile(rb'"name":\s*"stderr"')

    def __init__(self, page):
        self.page, self.state, self.idles, self.asked, self.complaints = page, "starting", 0, 0, []
        page.on("websocket", self._listen)

    def _listen(self, connection) -> None:
        connection.on("framereceived", self._hear)
        connection.on("framesent", lambda _frame: setattr(self, "asked", self.asked + 1))

    def _hear(self, frame) -> None:
        frame = frame.encode() if isinstance(frame, str) else frame
        if found := self.STATE.search(frame):
            self.state = found[1].decode()
            self.idles += self.state == "idle"
        said = self.ERROR.search(frame) or self.STDERR.search(frame)
        if said and b"No such comm" not in frame:  # the page asks for widgets before any exists
            self.complaints.append(re.sub(rb"[^\x20-\x7e]+", b" ", frame)[-600:].decode())

    def after(self, action, seconds: float = 2.0) -> None:
        """Do something on the page and wait until the kernel has answered, or until it is clear that nothing
        was asked.
        """
        idles, asked, started = self.idles, self.asked, time.monotonic()
        action()
        while time.monotonic() < started + seconds:
            if self.idles > idles and self.state == "idle":
                self.page.wait_for_timeout(60)  # what comes after: the page draws, or a second change follows
                if self.state == "idle":
                    return
            elif self.asked == asked and time.monotonic() > started + 0.3:
                return  # a slider that stood at its end already
            self.page.wait_for_timeout(20)


# Without a graphics card each turn of a spinning wheel is drawn by the processor, which the kernel needs.
STILL = """addEventListener('DOMContentLoaded', () => document.head.append(Object.assign(
    document.createElement('style'),
    {textContent: '*, ::before, ::after {animation: none !important; transition: none !important}'})))"""


def close_everything(page, lab: Lab) -> None:
    """Close all notebooks without saving, and end their kernels."""
    page.evaluate("() => { jupyterapp.commands.execute('application:close-all') }")
    page.wait_for_function(
        "() => { document.querySelector('.jp-Dialog button.jp-mod-warn')?.click();"
        " return !document.querySelector('.jp-Notebook') && !document.querySelector('.jp-Dialog') }",
        timeout=START_SECONDS * 1000,
    )
    lab.stop_kernels()


WINDOW = {"width": 1000, "height": 600}  # a large one takes longer to draw


@pytest.fixture(scope="module")
def window(chromium, lab):
    """JupyterLab in a browser, loaded once for all notebooks."""
    context = chromium.new_context(viewport=WINDOW)
    context.add_init_script(STILL)
    page = context.new_page()
    page.goto(lab.start, wait_until="domcontentloaded", timeout=START_SECONDS * 1000)
    page.wait_for_function("window.jupyterapp?.shell?.isAttached", timeout=START_SECONDS * 1000)
    page.evaluate("jupyterapp.restored")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=START_SECONDS * 1000)
    close_everything(page, lab)
    yield page
    context.close()


@pytest.fixture
def page(window, lab):
    """A page whose doings are watched: `page.watch` (network, console) and `page.kernel`."""
    window.watch, window.kernel = browser.Watch(window), Kernel(window)
    yield window
    window.set_viewport_size(WINDOW)
    window.evaluate("window.carriedOut = undefined")
    close_everything(window, lab)
