"""The check of the reader's machine."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from course_utils import machine


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("1", 1), ("1.5", 1), ("0.5", 1), ("9999", None), ("many", None), ("inf", None), ("nan", None)],
)
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


def test_every_package_is_tried_by_importing_it():
    assert {package: answer.keys() for package, answer in machine.imported().items()} == {
        package: {"package", "version"} for package in machine.PACKAGES
    }


def install(folder: Path, package: str, module: str, source: str) -> None:
    """Put a package on a path of its own, with the metadata of one that is installed."""
    path = folder.joinpath(*module.split("."))
    path.mkdir(parents=True)
    for parent in [path, *path.parents][: module.count(".") + 1]:
        (parent / "__init__.py").touch()
    (path / "__init__.py").write_text(source, encoding="utf-8")
    (folder / f"{package}-9.9.dist-info").mkdir()
    metadata = folder / f"{package}-9.9.dist-info" / "METADATA"
    metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.9\n", encoding="utf-8")


LOSSES = {
    "print('{}')": None,
    "import nothing_of_this_name": "(ModuleNotFoundError: No module named 'nothing_of_this_name')",
    "raise OSError('libtorch.so: cannot open\\nmore')": "(OSError: libtorch.so: cannot open)",
    "raise SystemExit": "(SystemExit: )",
    "import os; os._exit(77)": "(Python ends with exit code 77)",
}


@pytest.mark.parametrize(("source", "said"), LOSSES.items())
def test_a_package_that_is_installed_and_cannot_be_imported_is_said(
    monkeypatch, tmp_path, capsys, source, said
):
    for package, module in machine.PACKAGES.items():
        install(tmp_path, package, module, source if package == "tokenizers" else "")
    monkeypatch.syspath_prepend(tmp_path)
    assert machine.check() == (said is None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(machine.PACKAGES) + 2
    named = {line.split()[0]: line for line in lines}
    if said:
        assert said in named["tokenizers"] and "make lab" in named["tokenizers"]
        assert named.pop("tokenizers").split()[1] == "broken"
    assert all(line.endswith("good") for line in named.values())


def test_a_missing_package_is_named_with_what_to_do(monkeypatch, tmp_path, capsys):
    for package, module in machine.PACKAGES.items():
        if package != "torch":
            install(tmp_path, package, module, "")
    standard = [path for path in sys.path if "site-packages" not in path]
    monkeypatch.setattr(machine.sys, "path", [str(tmp_path), *standard])
    answers = machine.imported()
    assert [package for package, answer in answers.items() if "missing" in answer] == ["torch"]
    finding = machine.judged("torch", answers["torch"])
    assert finding.value == "missing" and "make lab" in finding.advice


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(machine.platform, "python_version", lambda: "3.10.2")
    monkeypatch.setattr(machine.platform, "python_version_tuple", lambda: ("3", "10", "2"))
    assert "3.11" in machine.find()[0].advice


# --- On a shared server

THREADS = "import os, {first}, {second}, torch; print(torch.get_num_threads(), os.environ['OMP_NUM_THREADS'])"


@pytest.mark.parametrize("order", [("course_utils", "torch"), ("torch", "course_utils")])
def test_torch_keeps_to_the_cores_of_a_shared_server(order):
    code = THREADS.format(first=order[0], second=order[1])
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment | {"CPU_LIMIT": "1.0"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "1"]


def test_a_number_of_threads_that_was_chosen_by_hand_stays(monkeypatch):
    monkeypatch.setenv("CPU_LIMIT", "1.0")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    machine.settle()
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_without_limits_the_package_brings_nothing_with_it():
    code = "import sys, course_utils; print('course_utils.machine' in sys.modules, 'torch' in sys.modules)"
    environment = {k: v for k, v in os.environ.items() if k not in ("CPU_LIMIT", "MEM_LIMIT")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(("used", "speaks"), [(0.5e9, False), (1.6e9, False), (1.8e9, True)])
def test_memory_nearly_used_up_is_said_before_it_is(monkeypatch, capsys, used, speaks):
    monkeypatch.setenv("MEM_LIMIT", "2000000000")
    monkeypatch.setattr(machine, "memory_in_use", lambda: used)
    assert machine.warn_if_full() == speaks
    assert ("1.8 of 2.0 GB" in capsys.readouterr().out) == speaks


def test_memory_in_use_is_at_least_that_of_this_process(monkeypatch):
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    assert machine.memory_in_use() >= psutil.Process().memory_info().rss


def test_the_warning_comes_after_every_cell_of_a_notebook(monkeypatch):
    registered = []
    events = SimpleNamespace(register=lambda name, call: registered.append((name, call)))
    monkeypatch.setenv("MEM_LIMIT", "2000000000")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(events=events))
    )
    machine.settle()
    assert registered == [("post_run_cell", machine.warn_if_full)]


def test_jupyterlab_is_not_asked_for():
    """Colab has none, and where a notebook runs, something runs it."""
    assert "jupyterlab" not in {finding.name for finding in machine.find()}


# --- Beside other programs


@pytest.fixture
def four_cores(monkeypatch):
    """A machine of four cores whose clock and whose programs stand still until they are moved."""
    monkeypatch.setattr(machine, "cores", lambda: 4)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 4)
    spent = [0.0, 0.0, 0.0]
    monkeypatch.setattr(machine.FreeCores, "_seconds", lambda self: tuple(spent))
    return spent


@pytest.mark.parametrize(
    ("busy", "own", "threads"),
    [
        (0, 0, 4),
        (4, 4, 4),
        (1, 0, 3),
        (1.2, 0, 3),
        (1.5, 0, 2),
        (4, 0, 1),
        (4, 2, 2),
        (4.2, 0.1, 1),
        (9, 0, 1),
    ],
)
def test_a_thread_for_each_core_that_is_free(four_cores, busy, own, threads):
    free = machine.FreeCores()
    four_cores[:] = [10.0, 10 * busy, 10 * own]
    assert free.count() == threads


def test_two_kernels_on_one_machine_end_with_half_of_it_each(four_cores, monkeypatch):
    """Each begins with all cores, sees the other one, and takes what is left."""
    kernels, threads = [machine.FreeCores(), machine.FreeCores()], [4, 4]
    own = [0.0, 0.0]
    look = {id(kernels[0]): 0, id(kernels[1]): 1}
    monkeypatch.setattr(
        machine.FreeCores, "_seconds", lambda self: (four_cores[0], sum(own), own[look[id(self)]])
    )
    for kernel in kernels:
        kernel._before = (0.0, 0.0, 0.0)
    for _ in range(4):
        four_cores[0] += 10
        scale = min(1.0, 4 / sum(threads))  # the system shares four cores among all threads
        own[:] = [done + 10 * scale * count for done, count in zip(own, threads, strict=True)]
        threads = [kernel.count() for kernel in kernels]
    assert threads == [2, 2]


def test_a_look_that_is_too_short_changes_nothing(four_cores):
    free = machine.FreeCores()
    four_cores[:] = [0.01, 0.04, 0.0]
    assert free.count() == 4


KERNEL = """
import psutil, torch
from course_utils import machine
def look(): print(torch.get_num_threads(), end=" ")
machine.cores = lambda: 8
machine.FreeCores.count = lambda self: 3
---
look()
machine.FreeCores.count = lambda self: 2
---
look()
torch.set_num_threads(5)
---
look()
"""


@pytest.mark.parametrize(("chosen", "seen"), [({}, "3 2 5"), ({"OMP_NUM_THREADS": "1"}, "1 1 5")])
def test_a_notebook_looks_again_before_each_cell_and_keeps_what_was_chosen(monkeypatch, chosen, seen):
    import nbclient
    import nbformat

    for name in ("CPU_LIMIT", "MEM_LIMIT", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    cells = [nbformat.v4.new_code_cell(source) for source in KERNEL.split("---")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    printed = "".join(output.text for cell in cells for output in cell.outputs)
    assert printed.split() == seen.split()
