"""Run some notebooks on the versions that Colab has, and without JupyterLab, which it has not.

    python -m tools.colab

The packages of VERSIONS are laid over the installed ones (the rest, Python and torch among it, stays), once,
in `build/colab`. A cell that raises is an error; outputs are not compared, since another version may print a
last digit otherwise. Without the package index the run is left out, except in CI.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from course_utils import commands
from tools import ROOT
from tools.notebooks import CELL_TIMEOUT

FOLDER = ROOT / "build" / "colab"
NO_JUPYTERLAB = ROOT / "tools" / "no_jupyterlab"
NOTEBOOKS = ("00", "02", "05", "10", "12")

# Colab's own list of 19 August 2026, as far as wheels of these versions are to be had everywhere.
VERSIONS = {
    "huggingface-hub": "1.27.0",
    "ipython-genutils": "0.2.0",  # of ipywidgets 7
    "ipywidgets": "7.7.1",
    "psutil": "5.9.5",
    "scikit-learn": "1.6.1",
    "tokenizers": "0.22.2",
    "transformers": "5.15.0",
}


def overlay() -> Path | None:
    """The folder with the packages, filled if need be; None if they cannot be had."""
    pins = [f"{name}=={version}" for name, version in VERSIONS.items()]
    stamp = FOLDER / "stamp.txt"
    wanted = "\n".join([*pins, sys.version])
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return FOLDER
    shutil.rmtree(FOLDER, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--target", str(FOLDER), *pins]
    if subprocess.run(command, check=False).returncode:
        return None
    stamp.write_text(wanted, encoding="utf-8")  # last: a folder with a stamp is whole
    return FOLDER


def main() -> int:
    folder = overlay()
    if folder is None:
        print("The versions of Colab cannot be fetched here: nothing was run on them.")
        return 1 if os.environ.get("CI") else 0
    print("On the versions of Colab:", ", ".join(f"{name} {version}" for name, version in VERSIONS.items()))
    paths = [str(next((ROOT / "notebooks").glob(f"{number}_*.ipynb"))) for number in NOTEBOOKS]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        str(min(os.cpu_count() or 1, 2)),
        "--dist",
        "loadscope",
    ]
    command += ["--nbval-lax", "--nbval-current-env"]
    command += [f"--nbval-cell-timeout={CELL_TIMEOUT}", *paths]
    before = [str(NO_JUPYTERLAB), str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, before)), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.colab", description=__doc__).parse_args()
    commands.run(main)
