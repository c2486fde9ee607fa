"""The check of the reader's machine."""

from importlib.metadata import PackageNotFoundError

import pytest

from course_utils import machine


@pytest.mark.parametrize(("limit", "expected"), [("1", 1), ("1.5", 1), ("0.5", 1), ("9999", None), ("many", None)])
def test_cores_respect_the_limit_of_a_shared_server(monkeypatch, limit, expected):
    monkeypatch.delenv("CPU_LIMIT", raising=False)
    free = machine.cores()
    monkeypatch.setenv("CPU_LIMIT", limit)
    assert machine.cores() == (free if expected is None else expected)


def test_memory_respects_the_limit_of_a_shared_server(monkeypatch):
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    total = machine.memory()
    monkeypatch.setenv("MEM_LIMIT", "1000000000")
    assert machine.memory() == 1_000_000_000
    monkeypatch.setenv("MEM_LIMIT", str(total * 2))
    assert machine.memory() == total


def test_too_little_memory_is_said_with_advice(monkeypatch, capsys):
    monkeypatch.setenv("MEM_LIMIT", "500000000")
    assert not machine.check()
    assert "0.5 GB" in capsys.readouterr().out


def test_a_missing_package_is_named_with_what_to_do(monkeypatch, capsys):
    def missing(name):
        if name == "torch":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(machine, "version", missing)
    assert not machine.check()
    line = next(line for line in capsys.readouterr().out.splitlines() if "torch" in line)
    assert "missing" in line and "make lab" in line


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(machine.platform, "python_version", lambda: "3.10.2")
    monkeypatch.setattr(machine.platform, "python_version_tuple", lambda: ("3", "10", "2"))
    assert "3.11" in machine.find()[0].advice
