"""An update in mid-term, tried with real repositories: nothing that a reader saved is lost."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import update

SOURCE = Path(update.__file__)


def git(folder: Path, *arguments: str) -> str:
    names = ["-c", "user.name=A Reader", "-c", "user.email=reader@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *names, *arguments], cwd=folder, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return done.stdout


def notebook(text: str) -> str:
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": [text]}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")


def commit(folder: Path, files: dict[str, str]) -> None:
    write(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A version")


@pytest.fixture
def course(tmp_path) -> Path:
    """The published course, of two notebooks and a module."""
    folder = tmp_path / "course"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "tools").mkdir()
    shutil.copy(SOURCE, folder / "tools")
    names = ("notebooks/01_ä.ipynb", "notebooks/02_b.ipynb")
    commit(folder, {".gitignore": "mine/\n"} | {name: notebook("first") for name in names} | {"m.py": "1\n"})
    return folder


@pytest.fixture
def clone(course, tmp_path) -> Path:
    """A reader's clone of it."""
    git(tmp_path, "clone", "--quiet", str(course), "clone")
    return tmp_path / "clone"


def run(clone: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(clone / "tools" / "update.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


def read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def test_a_conflict_keeps_both(course, clone):
    """Both sides changed notebook 01 and the module, the reader alone 02; 03 is new on both sides."""
    mine = {name: notebook("my answer") for name in ("notebooks/01_ä.ipynb", "notebooks/02_b.ipynb")}
    mine |= {"m.py": "mine\n", "notebooks/03_c.ipynb": notebook("my own"), "notes.txt": "mine\n"}
    write(clone, mine)
    newer = {
        "notebooks/01_ä.ipynb": notebook("second"),
        "m.py": "2\n",
        "notebooks/03_c.ipynb": notebook("new"),
    }
    commit(course, newer)
    done = run(clone)
    assert done.returncode == 0, done.stderr
    assert all(read(clone, name) == content for name, content in newer.items())
    for name, place in [
        ("notebooks/01_ä.ipynb", "mine/01_ä.ipynb"),
        ("notebooks/02_b.ipynb", "notebooks/02_b.ipynb"),  # nothing newer: it stays where it is
        ("notebooks/03_c.ipynb", "mine/03_c.ipynb"),
        ("m.py", "mine/m.py"),
        ("notes.txt", "notes.txt"),
    ]:
        assert read(clone, place) == mine[name], name
    assert done.stdout.count("in its place stands the newer one") == 3
    assert git(clone, "rev-parse", "HEAD") == git(course, "rev-parse", "HEAD")


def test_a_second_conflict_overwrites_no_first_copy(course, clone):
    for number in (1, 2, 3):
        write(clone, {"notebooks/01_ä.ipynb": notebook(f"mine {number}")})
        commit(course, {"notebooks/01_ä.ipynb": notebook(f"newer {number}")})
        assert run(clone).returncode == 0
    copies = {path.name: path.read_text(encoding="utf-8") for path in (clone / "mine").iterdir()}
    names = ("01_ä.ipynb", "01_ä-2.ipynb", "01_ä-3.ipynb")
    assert copies == {name: notebook(f"mine {number}") for number, name in enumerate(names, start=1)}


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("change", ["deleted there", "deleted here"])
def test_deletions_lose_nothing(course, clone, change, staged):
    name = "notebooks/01_ä.ipynb"
    if change == "deleted there":
        write(clone, {name: notebook("mine")})
        (course / name).unlink()
        commit(course, {})
    else:
        (clone / name).unlink()
        commit(course, {name: notebook("newer")})
    if staged:
        git(clone, "add", "--all")
    done = run(clone)
    assert done.returncode == 0, done.stderr
    if change == "deleted there":
        assert not (clone / name).exists() and read(clone, "mine/01_ä.ipynb") == notebook("mine")
    else:
        assert read(clone, name) == notebook("newer")


def test_nothing_new_changes_nothing(clone):
    write(clone, {"notebooks/01_ä.ipynb": notebook("mine")})
    done = run(clone)
    assert (done.returncode, done.stdout) == (0, "This is the newest version already.\n")
    assert read(clone, "notebooks/01_ä.ipynb") == notebook("mine") and not (clone / "mine").exists()


@pytest.mark.parametrize("trouble", ["no course", "own commits", "no clone", "locked"])
def test_what_cannot_be_updated_stays_as_it_is(course, clone, trouble):
    commit(course, {"notebooks/01_ä.ipynb": notebook("newer")})
    if trouble == "no course":
        course.rename(course.with_name("gone"))
    elif trouble == "own commits":
        commit(clone, {"notebooks/02_b.ipynb": notebook("mine")})
    elif trouble == "no clone":
        (clone / ".git").rename(clone / "no git")
    else:
        (clone / ".git" / "index.lock").touch()
    write(clone, {"notebooks/01_ä.ipynb": notebook("mine")})
    done = run(clone)
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
    assert read(clone, "notebooks/01_ä.ipynb") == notebook("mine")


def test_help_updates_nothing(course, clone):
    commit(course, {"m.py": "2\n"})
    subprocess.run(
        [sys.executable, str(clone / "tools" / "update.py"), "--help"], check=True, capture_output=True
    )
    assert read(clone, "m.py") == "1\n"
