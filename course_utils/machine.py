"""Does this machine do? Versions, cores, memory and widgets, checked against what the course needs.

    from course_utils import machine
    machine.check()
"""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

LOWEST_PYTHON = (3, 11)
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "matplotlib", "ipywidgets", "jupyterlab")
MEMORY_NEEDED = 1.5e9  # bytes: a notebook may take 1 GB, the server and the browser's share come on top


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its value, and what to do if it is not good enough (empty if it is)."""

    name: str
    value: str
    advice: str = ""


def cores() -> int:
    """Cores this process may use: the limit of a container, a shared server or the machine, whichever is lowest."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("CPU_LIMIT", "")  # set by Binder and JupyterHub
    try:
        return max(1, min(allowed, int(float(limit)))) if limit else allowed
    except ValueError:
        return allowed


def memory() -> int:
    """Bytes this process may use: the limit of a container or a shared server, or what the machine has."""
    import psutil

    limit = os.environ.get("MEM_LIMIT", "")
    total = psutil.virtual_memory().total
    return min(total, int(float(limit))) if limit.replace(".", "", 1).isdigit() else total


def find() -> list[Finding]:
    """Look at everything that the course needs."""
    python = platform.python_version()
    wanted = ".".join(map(str, LOWEST_PYTHON))
    old = tuple(map(int, platform.python_version_tuple()[:2])) < LOWEST_PYTHON
    findings = [Finding("Python", python, f"install Python {wanted} or newer" if old else "")]
    for package in PACKAGES:
        try:
            findings.append(Finding(package, version(package)))
        except PackageNotFoundError:
            findings.append(Finding(package, "missing", "run `make lab` in the folder of the course"))
    findings.append(Finding("cores", str(cores())))
    short = memory() < MEMORY_NEEDED
    advice = "close other programs; notebooks may run out of memory" if short else ""
    return [*findings, Finding("memory", f"{memory() / 1e9:.1f} GB", advice)]


def check() -> bool:
    """Print what was found, with advice where something is missing. Returns True if all is well."""
    findings = find()
    for finding in findings:
        print(f"{finding.name:>13}  {finding.value:<12} {'<- ' + finding.advice if finding.advice else 'good'}")
    return not any(finding.advice for finding in findings)
