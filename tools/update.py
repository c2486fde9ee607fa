"""Bring a newer version of the course into this clone and keep what was saved in it: `make update`.

A file that you changed stays as it is if the newer version does not touch it. If it does, your copy goes to
the folder `mine/` (a notebook under its name, `mine/05_masks.ipynb`), and the newer one takes its place.
Nothing is touched before the newer version is here, and nothing is lost if it cannot be put in place.

This needs git and nothing beyond Python itself. Save your notebooks in JupyterLab first.
"""

import argparse
import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINE = "mine"


class UpdateError(Exception):
    """The update cannot be made; the message is one line that says what to do."""


def git(*arguments: str) -> str:
    """What git answers, run in this clone.

    Raises:
        UpdateError: if there is no git, or git fails.
    """
    command = ["git", "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
        )
    except FileNotFoundError:
        raise UpdateError("There is no git here: install it, then run again.") from None
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[0]
        raise UpdateError(f"git {arguments[0]} failed ({reason}); your files are as they were.")
    return done.stdout


def paths(*arguments: str) -> set[str]:
    """The paths that a git command lists, which must separate them by a zero byte."""
    return {path for path in git(*arguments).split("\0") if path}


def changed_here() -> set[str]:
    """Every path that differs from the last commit and every file that git does not know."""
    return paths("diff", "-z", "--name-only", "--no-renames", "HEAD") | paths(
        "ls-files", "-z", "--others", "--exclude-standard"
    )


def changed_there() -> set[str]:
    """Every path that the newer version changes, brings or takes away."""
    return paths("diff", "-z", "--name-only", "--no-renames", "HEAD", "@{upstream}")


def place_for(path: str) -> Path:
    """Where the copy of a file goes: a name in `mine/` that is free, or holds the same content already."""
    path = Path(path)
    wanted = ROOT / MINE / (path.name if path.suffix == ".ipynb" else path)
    place, number = wanted, 2
    while place.exists() and not filecmp.cmp(ROOT / path, place, shallow=False):
        place, number = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}"), number + 1
    return place


def put_aside(path: str) -> Path:
    """Copy a file to `mine/` and see that the copy is whole."""
    place = place_for(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / path, place)
    if not filecmp.cmp(ROOT / path, place, shallow=False):
        raise UpdateError(f"{path} cannot be copied to {place}; your files are as they were.")
    return place


def update() -> dict[str, Path]:
    """Bring the newer version. Returns the files that were put aside, and where.

    Raises:
        UpdateError: with every file as it was before.
    """
    if not (ROOT / ".git").exists():
        raise UpdateError(f"{ROOT} is no clone: fetch the course with `git clone`, as README.md says.")
    git("fetch", "--quiet")
    if own := git("rev-list", "--count", "@{upstream}..HEAD").strip().removeprefix("0"):
        raise UpdateError(f"This clone has commits of its own ({own}): bring them together with `git merge`.")
    mine = sorted(path for path in changed_here() & changed_there() if (ROOT / path).is_file())
    aside = {path: put_aside(path) for path in mine}
    known = paths("ls-tree", "-r", "-z", "--name-only", "HEAD")
    try:
        if restored := [path for path in changed_here() & changed_there() if path in known]:
            git("checkout", "--quiet", "HEAD", "--", *restored)
        for path in set(mine) - known:
            git("rm", "--quiet", "--cached", "--ignore-unmatch", "--", path)
            (ROOT / path).unlink()
        git("merge", "--quiet", "--ff-only", "@{upstream}")
    except BaseException:
        for path, place in aside.items():
            shutil.copy2(place, ROOT / path)
        raise
    return aside


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    try:
        before = git("rev-parse", "HEAD")
        aside = update()
    except (UpdateError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for path, place in aside.items():
        print(f"Your {path} is now {place.relative_to(ROOT).as_posix()}; in its place stands the newer one.")
    if git("rev-parse", "HEAD") == before:
        print("This is the newest version already.")
    else:
        print("The course is up to date; CHANGELOG.md says what is new.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
