"""Scripts that pages need in a browser, taken from npm once and kept in build/assets, so that no page loads
from afar.

    python tools/assets.py          fetch all of them

Each is one exact version with its digest. `npm pack` fetches it from whatever registry npm is set up with; a
file with another digest is refused.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "assets"

# SHA-512 as npm writes it.
PACKAGES = {
    "reveal.js": (
        "5.2.1",
        "r7//6mIM5p34hFiDMvYfXgyjXqGRta+/psd9YtytsgRlrpRzFv4RbH76TXd2qD+7ZPZEbpBDhdRhJaFgfQ7zNQ==",
    ),
    "mathjax": (
        "3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
    ),
    "axe-core": (
        "4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    ),
}


class AssetError(Exception):
    """A script cannot be fetched; the message is one line that says what to do."""


def place(name: str) -> Path:
    """The folder that holds one package of PACKAGES, if it was fetched."""
    return FOLDER / f"{name}-{PACKAGES[name][0]}"


def fetch(name: str) -> Path:
    """The folder that holds one package of PACKAGES, fetched if it is not there yet."""
    version, digest = PACKAGES[name]
    folder = place(name)
    if folder.is_dir():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise AssetError(
            f"{name} {version} comes from npm, and there is no npm here: install Node.js, then run again"
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as draft:
        command = [npm, "pack", f"{name}@{version}", "--silent", "--pack-destination", draft]
        done = subprocess.run(command, cwd=draft, capture_output=True, text=True, check=False)
        archives = list(Path(draft).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise AssetError(f"npm cannot fetch {name} {version}: {reason}")
        unpack(archives[0], digest, Path(draft))
        (Path(draft) / "package").replace(folder)  # in one stroke: a folder that is there is whole
    return folder


def unpack(archive: Path, digest: str, folder: Path) -> None:
    """Unpack an archive whose SHA-512, in base 64, is `digest`; refuse any other."""
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != digest:
        raise AssetError(f"{archive.name} is not the file that was tested: its SHA-512 is {found}")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")


if __name__ == "__main__":
    try:
        for package in PACKAGES:
            print(fetch(package).relative_to(ROOT))
    except AssetError as error:
        sys.exit(str(error))
