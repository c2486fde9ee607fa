"""Scripts that pages need in a browser, installed from npm once and kept in build/assets, so that no page
loads from afar.

    python -m tools.assets          install them

package.json names the versions, package-lock.json their digests; npm takes them from whatever registry it is
set up with, and refuses a file with another digest. To change a version: edit package.json, then
`npm install --package-lock-only`.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import ROOT

FOLDER = ROOT / "build" / "assets"
LISTS = ("package.json", "package-lock.json")
# npm says its numbers of the error first, then in a sentence what went wrong.
REASON = re.compile(r"^npm error (?!code |errno |syscall )(\S.*)", re.MULTILINE)


class AssetError(Exception):
    """The scripts cannot be installed; the message is one line that says what to do."""


def fetch(name: str) -> Path:
    """The folder of one package of package.json, installed if it is not there yet.

    `npm ci` empties the folder that it installs into, so two at once would spoil each other's work. Each call
    installs into a folder of its own and puts it in place in one stroke; who comes second takes the first
    one's. The folder's name is the digest of the lock file: another lock, another folder.
    """
    digest = hashlib.sha256((ROOT / LISTS[1]).read_bytes().replace(b"\r\n", b"\n")).hexdigest()
    packages = FOLDER / digest[:16] / "node_modules"
    if not packages.is_dir():
        install(packages.parent)
    return packages / name


def install(folder: Path) -> None:
    """Fill `folder` by `npm ci`, whole or not at all."""
    npm = shutil.which("npm")
    if npm is None:
        raise AssetError(
            "the scripts of pages come from npm, and there is no npm here: install Node.js, then run again"
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as temporary:
        draft = Path(temporary) / "draft"
        draft.mkdir()
        for name in LISTS:
            shutil.copy(ROOT / name, draft)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=draft, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = REASON.search(done.stderr)
            raise AssetError(
                f"npm cannot install the scripts of pages: {reason[1] if reason else 'no reason given'}"
            )
        try:
            os.replace(draft, folder)
        except OSError:  # a folder that is not empty is not replaced: another process was first
            if not folder.is_dir():
                raise


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.assets", description=__doc__).parse_args()
    try:
        print(fetch("").relative_to(ROOT))
    except AssetError as error:
        sys.exit(str(error))
