"""The one place that knows about the network: files of the model hub (huggingface.co), and whether it is
there.

Nothing in the course needs it. Left alone, the hub's own library waits half a minute for each file when there
is no network; so one short probe decides, once in a process, and what is already on the disk is used without
asking anybody. Probe and downloads go through that library's own session: proxies, certificates and mirrors
count as they count there.

    HF_HUB_OFFLINE=1    no network: not even the probe
    HF_HOME             where the hub's libraries keep what they fetched (default ~/.cache/huggingface)
    HF_ENDPOINT         another address than https://huggingface.co
"""

import functools
import hashlib
import json
import os
import re
import threading
import urllib.parse
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_utils.hints import hold_to_hints

PROBE_SECONDS = 2.0
ANSWER_SECONDS = 20.0
OFFLINE_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


class HubError(OSError):
    """Something is neither on this disk nor to be had from the hub; the message is one line that says why."""


@functools.cache
def obstacle() -> str:
    """Why there is no network, in a few words; empty if there is. Decided once: to ask anew, restart Python.

    If the probe finds none, the hub's libraries are told, so that they do not wait either.
    """
    for name in OFFLINE_SWITCHES:
        if os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"}:
            return f"{name} is set"
    from huggingface_hub import constants

    reason = obstacle_to(constants.ENDPOINT)
    if reason:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read by the libraries that are imported later
        constants.HF_HUB_OFFLINE = True
    return reason


def offline() -> bool:
    """Whether to do without the network."""
    return bool(obstacle())


def obstacle_to(address: str) -> str:
    """Why the hub's library gets no answer from a web server within PROBE_SECONDS; empty if it gets one."""
    from huggingface_hub import get_session

    found = [f"{address} gives no answer within {PROBE_SECONDS:g} s"]

    def probe() -> None:
        try:
            get_session().head(address, timeout=PROBE_SECONDS)  # "404" is an answer too
            found[:] = [""]
        except Exception as error:  # noqa: BLE001 (the transport has exceptions of its own)
            found[:] = [f"{address}: {reason_of(error)}"]

    # A thread, because no time limit of the transport covers the look-up of a name.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return found[0]


def reason_of(error: Exception) -> str:
    """The first line of what an error says, or its name if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def whole(path: Path) -> bool:
    """Whether a file in the hub's cache is what was downloaded.

    The cache keeps each file under its digest, SHA-256 for large files and git's SHA-1 for small ones, and
    links to it by name. Where the system has no links (Windows) the digest is lost, and the form of the file
    decides.
    """
    stored = Path(path).resolve()
    if not stored.is_file():
        return False
    if re.fullmatch("[0-9a-f]{64}|[0-9a-f]{40}", stored.name):
        digest = hashlib.sha256()
        if len(stored.name) == 40:
            digest = hashlib.sha1(b"blob %d\0" % stored.stat().st_size, usedforsecurity=False)
        with open(stored, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest() == stored.name
    with open(stored, "rb") as file:
        start = file.read(64)
    if stored.suffix == ".json":
        return is_json(stored)
    if stored.suffix == ".safetensors":
        return is_safetensors(stored)
    # Weights of the older form are a zip, or before that a bare pickle, of which only the start is known.
    return stored.suffix != ".bin" or zipfile.is_zipfile(stored) or start.startswith(b"\x80")


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def is_safetensors(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt"):
            return True
    except SafetensorError:
        return False


def fetch(
    repo_id: str, needed: Sequence[Sequence[str]], optional: Sequence[str] = (), revision: str = "main"
) -> Path:
    """The folder, in the hub's own cache, that holds the files of a model.

    What is missing or damaged is downloaded.

    Args:
        repo_id: the full name, such as "google-bert/bert-base-uncased": the cache goes by the exact name.
        needed: groups of file names; the first of each group that the model has is taken.
        optional: files that a model may lack.
        revision: a commit of the model, or a branch or tag.

    Raises:
        HubError: if the files are not on the disk, whole, and cannot be downloaded now.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    damaged = set()

    def on_disk(names: Sequence[str]) -> Path | None:
        for name in names:
            path = try_to_load_from_cache(repo_id, name, revision=revision)
            if isinstance(path, str):
                if whole(path):
                    return Path(path)
                damaged.add(name)
        return None

    def download(names: Sequence[str]) -> Path | None:
        for name in names:
            try:
                anew = name in damaged
                return Path(hf_hub_download(repo_id, name, revision=revision, force_download=anew))
            except LocalEntryNotFoundError:  # a special case of the next error, and yet: the connection broke
                raise
            except EntryNotFoundError:  # the model has no such file
                pass
        return None

    found = [on_disk(names) for names in needed]
    on_disk(optional)
    if all(found) and not damaged:
        return found[0].parent
    if reason := obstacle():
        state = (
            f"is damaged on this disk ({', '.join(sorted(damaged))})" if damaged else "is not on this disk"
        )
        raise HubError(f"{repo_id} {state}, and there is no network to fetch it: {reason}")
    try:
        found = [download(names) for names in needed]
        for name in optional:
            download([name])
    except RepositoryNotFoundError as error:
        raise HubError(f"{repo_id} is no model that the hub shows to everybody") from error
    except RevisionNotFoundError as error:
        raise HubError(f"{repo_id} has no revision {revision}") from error
    # The transport below has exceptions of its own, and its Rust half yet others: all mean the same here.
    except Exception as error:
        raise HubError(f"{repo_id} cannot be fetched: {reason_of(error)}") from error
    if not all(found):
        lacking = [" or ".join(names) for names, path in zip(needed, found, strict=True) if path is None]
        raise HubError(f"{repo_id} has no {', no '.join(lacking)}")
    return found[0].parent


def get_json(address: str, **parameters: str | int) -> dict[str, Any]:
    """What a web service answers to a question.

    Raises:
        HubError: without a network, and for anything but a JSON object as the answer.
    """
    if reason := obstacle():
        raise HubError(f"there is no network to ask {urllib.parse.urlsplit(address).hostname}: {reason}")
    from huggingface_hub import get_session

    try:
        reply = get_session().get(address, params=parameters, timeout=ANSWER_SECONDS)
        reply.raise_for_status()
        answer = reply.json()
    except Exception as error:  # the transport has exceptions of its own
        raise HubError(f"{address} gives no answer to {parameters}: {reason_of(error)}") from error
    if not isinstance(answer, dict):
        raise HubError(f"{address} answers with a {type(answer).__name__}, not with an object")
    return answer


hold_to_hints(globals())
