"""The scripts of pages: installed whole or not at all, by several processes at once, and each pinned."""

import json
import subprocess
from pathlib import Path

import pytest

from tools import assets

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty folder for the scripts, and an npm that is never called."""
    monkeypatch.setattr(assets, "FOLDER", tmp_path / "assets")
    monkeypatch.setattr(assets.shutil, "which", lambda name: name)


def npm(monkeypatch, work) -> None:
    """Let `work(draft)` stand for `npm ci`; it returns the exit code and what npm says."""

    def run(command, cwd, **options):
        assert command[:2] == ["npm", "ci"]
        assert all((cwd / name).read_bytes() == (ROOT / name).read_bytes() for name in assets.LISTS)
        code, said = work(cwd)
        return subprocess.CompletedProcess(command, code, "", said)

    monkeypatch.setattr(assets.subprocess, "run", run)


def put(folder: Path, text: str) -> tuple[int, str]:
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    script.parent.mkdir(parents=True)
    script.write_text(text, encoding="utf-8")
    return 0, ""


def test_scripts_are_installed_once(monkeypatch):
    npm(monkeypatch, lambda draft: put(draft, "first"))
    first = assets.fetch("axe-core")
    npm(monkeypatch, lambda draft: pytest.fail("installed twice"))
    assert assets.fetch("axe-core") == first
    assert (first / "axe.min.js").read_text(encoding="utf-8") == "first"


def test_of_two_processes_the_second_takes_what_the_first_has_installed(monkeypatch):
    drafts = []

    def overtaken(draft: Path):
        if not drafts:  # while this npm works, another process begins and ends
            drafts.append(draft)
            assets.fetch("axe-core")
            return put(draft, "late")
        drafts.append(draft)
        return put(draft, "early")

    npm(monkeypatch, overtaken)
    assert (assets.fetch("axe-core") / "axe.min.js").read_text(encoding="utf-8") == "early"
    assert len(set(drafts)) == 2
    assert len(list(assets.FOLDER.iterdir())) == 1, "a draft is left over"


def test_an_installation_that_fails_leaves_nothing_and_says_why_in_one_line(monkeypatch):
    def fail(draft):
        put(draft, "half")
        said = ("code EINTEGRITY", "errno -5", "Integrity checksum failed", "A log")
        return 1, "\n".join(f"npm error {line}" for line in said)

    npm(monkeypatch, fail)
    with pytest.raises(
        assets.AssetError, match="^npm cannot install the scripts of pages: Integrity checksum failed$"
    ):
        assets.fetch("axe-core")
    assert list(assets.FOLDER.iterdir()) == []


def test_without_npm_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setattr(assets.shutil, "which", lambda name: None)
    with pytest.raises(assets.AssetError, match="install Node.js"):
        assets.fetch("reveal.js")


def test_every_script_is_pinned_by_its_digest_and_no_host():
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    locked = json.loads(text)["packages"]
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert locked.pop("")["dependencies"] == wanted
    assert {name.removeprefix("node_modules/"): entry["version"] for name, entry in locked.items()} == wanted
    assert all(entry["integrity"].startswith("sha512-") for entry in locked.values())
    assert "://" not in text
