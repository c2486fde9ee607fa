"""The one place that knows about the network: files of the model hub (huggingface.co), and whether it is
there.

Nothing in the course needs it. Left alone, the hub's own libraries wait half a minute for each file when
there is no network; so one short probe decides, once in a process and before any of those libraries is
imported, and what is already on the disk is used without asking anybody.

    HF_HUB_OFFLINE=1    no network: not even the probe
    HF_HOME             where the hub's libraries keep what they fetched (default ~/.cache/huggingface)
    HF_ENDPOINT         another address than https://huggingface.co
"""

import functools
import http.client
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROBE_SECONDS = 2.0
ANSWER_SECONDS = 20.0
OFFLINE_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


class HubError(OSError):
    """Something is neither on this disk nor to be had from the hub; the message is one line that says why."""


@functools.cache
def offline() -> bool:
    """Whether to do without the network, decided once: to have it decided anew, restart Python.

    If the probe finds none, `HF_HUB_OFFLINE` is set, which the hub's libraries read when they are imported:
    so they do not wait either.
    """
    if any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in OFFLINE_SWITCHES):
        return True
    if answers(os.environ.get("HF_ENDPOINT", "https://huggingface.co")):
        return False
    os.environ["HF_HUB_OFFLINE"] = "1"
    return True


def answers(address: str) -> bool:
    """Whether a web server answers within PROBE_SECONDS, the look-up of its name included."""
    answered = threading.Event()

    def probe() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
        except urllib.error.HTTPError:
            pass  # "no" is an answer
        except (OSError, ValueError, http.client.HTTPException):
            return
        answered.set()

    # A thread, because no time limit of Python's covers the look-up of a name.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answered.is_set()


def fetch(repo_id: str, needed: Sequence[Sequence[str]], optional: Sequence[str] = ()) -> Path:
    """The folder, in the hub's own cache, that holds the files of a model; what is missing is downloaded.

    Args:
        repo_id: the full name, such as "google-bert/bert-base-uncased": the cache goes by the exact name.
        needed: groups of file names; the first of each group that the model has is taken.
        optional: files that a model may lack.

    Raises:
        HubError: if the files are not on the disk and cannot be downloaded now.
    """
    without_network = offline()  # decided before the import: the library reads the switch only then
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

    def on_disk(names: Sequence[str]) -> Path | None:
        paths = (try_to_load_from_cache(repo_id, name) for name in names)
        return next((Path(path) for path in paths if isinstance(path, str)), None)

    def download(names: Sequence[str]) -> Path | None:
        for name in names:
            try:
                return Path(hf_hub_download(repo_id, name))
            except LocalEntryNotFoundError:  # a special case of the next error, and yet: the connection broke
                raise
            except EntryNotFoundError:  # the model has no such file
                pass
        return None

    found = [on_disk(names) for names in needed]
    if all(found):
        return found[0].parent
    if without_network:
        raise HubError(f"{repo_id} is not on this disk, and there is no network to fetch it")
    try:
        found = [download(names) for names in needed]
        for name in optional:
            download([name])
    except RepositoryNotFoundError as error:
        raise HubError(f"{repo_id} is no model that the hub shows to everybody") from error
    # The transport below has exceptions of its own, and its Rust half yet others: all mean the same here.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HubError(f"{repo_id} cannot be fetched: {reason}") from error
    if not all(found):
        lacking = [" or ".join(names) for names, path in zip(needed, found, strict=True) if path is None]
        raise HubError(f"{repo_id} has no {', no '.join(lacking)}")
    return found[0].parent


def get_json(address: str, **parameters: str | int) -> dict[str, Any]:
    """What a web service answers to a question.

    Raises:
        HubError: without a network, and for anything but a JSON object as the answer.
    """
    if offline():
        raise HubError(f"there is no network to ask {urllib.parse.urlsplit(address).hostname}")
    question = f"{address}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(question, timeout=ANSWER_SECONDS) as reply:
            answer = json.load(reply)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise HubError(f"{question} gives no answer: {error}") from error
    if not isinstance(answer, dict):
        raise HubError(f"{question} answers with a {type(answer).__name__}, not with an object")
    return answer
