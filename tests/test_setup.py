"""Setting up: the specifications agree with each other, and tools/ keeps what it promises."""

import ast
import contextlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from rattler import BuildString, MatchSpec, PackageRecord

import bootstrap
import check
import lock

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PROJECT["urls"]["Repository"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA_SPECS = [line for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]
CONDA_TO_PIP = {"huggingface_hub": "huggingface-hub", "pytorch-cpu": "torch"}


def pins(name: str) -> dict[str, Version]:
    """The exact versions that a requirements file settles."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(len(r.specifier) == 1 and next(iter(r.specifier)).operator == "==" for r in requirements)
    return {r.name: Version(next(iter(r.specifier)).version) for r in requirements}


# --- Specifications


@pytest.mark.parametrize("line", CONDA_SPECS)
def test_conda_range_holds_the_tested_version(line):
    spec = MatchSpec(line)
    name = spec.name.normalized
    if name == "python":
        tested = "3.11.7"
    else:
        tested = Version(version(CONDA_TO_PIP.get(name, name))).public
    record = PackageRecord(name, tested, BuildString("0"), build_number=0, subdir="noarch")
    assert spec.matches(record)


def test_conda_environment_names_every_dependency_with_the_same_lower_bound():
    conda = {}
    for line in CONDA_SPECS:
        if match := re.fullmatch(r"([\w-]+)(>=[\w.]+),<\w+(\.\w+)*", line):
            conda[CONDA_TO_PIP.get(match[1], match[1])] = match[2]
    assert conda == {r.name: str(r.specifier) for r in map(Requirement, PROJECT["dependencies"])}


def test_pins_lie_above_the_lower_bounds_and_are_installed():
    runtime = pins("requirements.txt")
    everything = runtime | pins("requirements-test.txt")
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert requirement.specifier.contains(runtime[requirement.name])
    for name, pinned in everything.items():
        with contextlib.suppress(ModuleNotFoundError):  # packages of another platform
            assert Version(version(name)).public == str(pinned), name


BROUGHT_ALONG = {"IPython": "jupyterlab", "PIL": "matplotlib", "cycler": "matplotlib", "filelock": "torch"}


def test_every_package_that_the_course_imports_is_named():
    """What another package happens to bring today may be gone tomorrow: ipykernel once brought psutil."""
    imported = set()
    for path in (ROOT / "course_utils").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    imported -= {*sys.stdlib_module_names, "course_utils"}
    named = {r.name.replace("-", "_") for r in map(Requirement, PROJECT["dependencies"])}
    named |= {"sklearn"} | {name for name, owner in BROUGHT_ALONG.items() if owner in named}
    assert imported <= named


@pytest.mark.skipif(sys.platform == "win32", reason="repo2docker does not run on Windows")
def test_binder_detects_the_environment(tmp_path):
    for name in ("environment.yml", "postBuild", "start"):
        shutil.copy(ROOT / name, tmp_path / name)
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "Building conda environment for python=3.11" in output
    assert "RUN ./postBuild" in output
    assert "ENV R2D_ENTRYPOINT=" in output


def test_post_build_stops_at_the_first_error():
    lines = (ROOT / "postBuild").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["#!/usr/bin/env bash", "set -euo pipefail", "pip install --no-deps -e ."]
    assert sys.platform == "win32" or os.access(ROOT / "postBuild", os.X_OK)


@pytest.mark.skipif(sys.platform == "win32", reason="repo2docker does not run on Windows")
@pytest.mark.parametrize(("fetched", "installed"), [(0, 0), (1, 0), (0, 1)])
def test_post_build_needs_the_course_and_not_the_published_model(tmp_path, fetched, installed):
    for name, status in (("pip", installed), ("python", fetched)):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*"\nexit {status}\n', encoding="utf-8")
        program.chmod(0o755)
    environment = dict(os.environ, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        [str(ROOT / "postBuild")], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (installed == 0)
    assert ("python -m course_utils.checkpoints" in done.stdout) == (installed == 0)
    assert ("without the published model" in done.stdout) == (fetched != 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Binder runs Linux")
@pytest.mark.parametrize(("limit", "threads"), [("", "1"), ("0.5", "1"), ("1.0", "1"), ("2.5", "2")])
def test_binder_starts_with_as_many_threads_as_cores(limit, threads):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | {
        "CPU_LIMIT": limit
    }
    command = [str(ROOT / "start"), "sh", "-c", "echo $OMP_NUM_THREADS; exit 3"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == (threads, 3)


def test_codespaces_sets_itself_up_with_the_same_script():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    script, command = re.fullmatch(r"python (\S+) (\w+)", container["postCreateCommand"]).groups()
    assert (ROOT / script).is_file() and command in bootstrap.GROUPS
    assert all((ROOT / name).is_file() for name in container["customizations"]["codespaces"]["openFiles"])
    assert re.search(r"python:3\.1[1-3]$", container["image"])


# --- One address, one map


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", ROOT / "CITATION.cff", *NOTEBOOKS], ids=lambda path: path.name
)
def test_every_address_of_the_project_is_the_same(path):
    slug = ADDRESS.removeprefix("https://github.com/")
    text = path.read_text(encoding="utf-8")
    hosts = r"mybinder\.org/v2/gh|colab\.research\.google\.com/github"
    if path.suffix != ".ipynb":  # a notebook may cite other repositories as its sources
        hosts += r"|github\.com"
    pattern = rf"(?:{hosts})/([\w.-]+/[\w.-]+)"
    owners = {match.removesuffix(".git") for match in re.findall(pattern, text)}
    assert owners <= {slug}
    assert owners or path.suffix == ".ipynb"


COLAB = [
    "# On Colab this fetches the course; everywhere else it does nothing.",
    "import subprocess",
    "import sys",
    "",
    'if "google.colab" in sys.modules:',
    f'    course = "git+{ADDRESS}"',
    (
        '    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", course],'
        " check=True)"
    ),
]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_code_cell_fetches_the_course_on_colab(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = next(cell for cell in cells if cell["cell_type"] == "code")
    assert "".join(first["source"]).splitlines() == COLAB
    assert first["outputs"] == [] and first["metadata"]["tags"] == ["remove-cell"]


@pytest.mark.parametrize("on_colab", [False, True])
def test_the_cell_for_colab_does_nothing_elsewhere(tmp_path, monkeypatch, capsys, on_colab):
    cell = tmp_path / "cell.py"
    cell.write_text("\n".join(COLAB), encoding="utf-8")
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace()) if on_colab else None
    runpy.run_path(str(cell))
    assert capsys.readouterr().out == ""
    assert [command[1:4] for command in commands] == [["-m", "pip", "install"]] * on_colab


def test_readme_map_says_which_notebooks_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d\d) \|(.*)$", readme, re.MULTILINE)
    assert [number for number, _ in rows] == [f"{i:02d}" for i in range(15)]
    for number, row in rows:
        files = [path.name for path in NOTEBOOKS if path.name.startswith(number)]
        assert ("to come" in row) == (not files), f"row {number}"
        assert all(f"](notebooks/{name})" in row for name in files), f"row {number} does not link to {files}"


# --- bootstrap


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty project for bootstrap, with a `.venv` that is made of nothing but a Python that starts."""
    for name in ("requirements.txt", "requirements-test.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name, path in [
        ("ROOT", tmp_path),
        ("VENV", tmp_path / ".venv"),
        ("STAMP", tmp_path / ".venv" / "stamp.json"),
        ("MARKER", tmp_path / ".venv" / "marker"),
        ("LOG", tmp_path / "log"),
    ]:
        monkeypatch.setattr(bootstrap, name, path)

    def create_venv(python):
        bootstrap.venv_python().parent.mkdir(parents=True)
        bootstrap.venv_python().touch()

    monkeypatch.setattr(bootstrap, "create_venv", create_venv)
    monkeypatch.setattr(bootstrap, "works", lambda python: Path(python).exists())
    monkeypatch.setattr(bootstrap, "index_answers", lambda address: False)
    return tmp_path


@pytest.fixture
def pip_calls(monkeypatch):
    calls = []
    monkeypatch.setattr(bootstrap, "pip", calls.append)
    return calls


def test_second_call_installs_nothing(folder, pip_calls):
    bootstrap.prepare(["lab"])
    assert ["-r", "requirements.txt"] in pip_calls
    assert not bootstrap.MARKER.exists()
    pip_calls.clear()
    bootstrap.prepare(["lab"])
    assert pip_calls == []


def test_test_packages_come_only_when_they_are_wanted(folder, pip_calls):
    bootstrap.prepare(["lab"])
    pip_calls.clear()
    bootstrap.prepare(["lab", "test"])
    assert pip_calls == [["--no-deps", "-r", "requirements-test.txt"]]


def test_changed_requirements_are_installed(folder, pip_calls):
    bootstrap.prepare(["lab"])
    pip_calls.clear()
    with (folder / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write("another==1.0\n")
    bootstrap.prepare(["lab"])
    assert ["-r", "requirements.txt"] in pip_calls


@pytest.mark.parametrize("damage", ["killed", "no python", "moved"])
def test_unfinished_venv_is_made_again(folder, pip_calls, damage):
    bootstrap.prepare(["lab"])
    (bootstrap.VENV / "leftover").touch()
    if damage == "killed":
        bootstrap.MARKER.touch()
    elif damage == "no python":
        bootstrap.venv_python().unlink()
    else:
        bootstrap.write_stamp(bootstrap.read_stamp() | {"place": "elsewhere"})
    pip_calls.clear()
    bootstrap.prepare(["lab"])
    assert ["-r", "requirements.txt"] in pip_calls
    assert not (bootstrap.VENV / "leftover").exists()
    assert bootstrap.missing_groups(["lab"], None) == []


def test_failure_leaves_no_half_made_venv(folder, monkeypatch):
    def fail(arguments):
        raise bootstrap.SetupError("no network")

    monkeypatch.setattr(bootstrap, "pip", fail)
    with pytest.raises(bootstrap.SetupError):
        bootstrap.prepare(["lab"])
    assert not bootstrap.VENV.exists()


def test_failed_update_keeps_the_old_venv(folder, pip_calls, monkeypatch):
    bootstrap.prepare(["lab"])
    stamp = bootstrap.read_stamp()

    def fail(arguments):
        raise bootstrap.SetupError("no network")

    monkeypatch.setattr(bootstrap, "pip", fail)
    with pytest.raises(bootstrap.SetupError):
        bootstrap.prepare(["lab", "test"])
    assert bootstrap.read_stamp() == stamp
    assert bootstrap.missing_groups(["lab"], None) == []


def test_another_build_of_torch_is_installed_and_then_kept(folder, pip_calls):
    bootstrap.prepare(["lab"])
    pip_calls.clear()
    bootstrap.prepare(["lab"], torch="cu130")
    assert pip_calls[0][-1].endswith("+cu130")
    pip_calls.clear()
    bootstrap.prepare(["lab"])
    assert pip_calls == []


def test_full_disk_is_refused_before_anything_is_made(folder, pip_calls, monkeypatch):
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    with pytest.raises(bootstrap.SetupError, match=r"needs 4 GB .* has 1\.0 GB free"):
        bootstrap.prepare(["lab"])
    assert pip_calls == []
    assert not bootstrap.VENV.exists()


def test_python_is_chosen_among_the_tested_ones(monkeypatch):
    monkeypatch.setattr(bootstrap, "works", lambda python: True)
    on_path = {"python3.12": "/bin/python3.12", "python3.11": "/bin/python3.11"}.get
    assert bootstrap.choose_python((3, 12), on_path) == sys.executable
    assert bootstrap.choose_python((3, 9), on_path) == "/bin/python3.12"
    assert bootstrap.choose_python((3, 14), on_path) == "/bin/python3.12"
    assert bootstrap.choose_python((3, 14), lambda name: None) == sys.executable
    with pytest.raises(bootstrap.SetupError, match=r"^This is Python 3\.9 and .*$"):
        bootstrap.choose_python((3, 9), lambda name: None)


def test_torch_comes_from_the_cpu_index_only_when_it_answers():
    pin = f"torch=={pins('requirements.txt')['torch']}"
    index = "https://download.pytorch.org/whl/"
    choose = bootstrap.torch_arguments
    assert choose("cpu", "linux", lambda address: True) == ["--index-url", index + "cpu", pin + "+cpu"]
    assert choose("cpu", "linux", lambda address: False) == [pin]
    assert choose("cpu", "darwin", lambda address: True) == [pin]
    assert choose("cu130", "linux", lambda address: True) == ["--index-url", index + "cu130", pin + "+cu130"]


def test_probe_of_a_closed_port_says_no():
    assert not bootstrap.index_answers("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        (
            "NewConnectionError('[Errno 111] Connection refused')\nERROR: No matching distribution",
            "cannot be reached",
        ),
        ("ERROR: No matching distribution found for torch==0", "No matching distribution found for torch==0"),
    ],
)
def test_failure_of_pip_becomes_one_line(output, message):
    explained = bootstrap.explain(output)
    assert message in explained
    assert "\n" not in explained


def test_no_index_means_one_line_and_exit_code_1(tmp_path):
    """The real thing: a clone whose package index is a closed port."""
    clone = tmp_path / "clone"
    (clone / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "bootstrap.py", clone / "tools")
    (clone / "requirements.txt").write_text("torch==0.0.1\n", encoding="utf-8")
    (clone / "pyproject.toml").touch()
    closed = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_FIND_LINKS": "",
        "https_proxy": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, str(clone / "tools" / "bootstrap.py"), "lab"],
        env=os.environ | closed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert (
        done.stderr
        == "The package index cannot be reached: check the network or the proxy settings, then run again.\n"
    )
    assert not (clone / ".venv").exists()


def test_lab_stays_on_this_machine_behind_its_token(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    command = bootstrap.lab_command()
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--no-browser" in command
    assert not any("token" in argument or "password" in argument for argument in command)


# --- lock


def test_markers_hold_exactly_where_a_package_is_needed():
    windows = [environment["sys_platform"] == "win32" for environment in lock.ENVIRONMENTS]
    assert lock.marker_for([True] * len(windows)) == ""
    assert lock.marker_for(windows) == ' ; sys_platform == "win32"'
    with pytest.raises(ValueError, match="no marker"):
        lock.marker_for([i == 5 for i in range(len(windows))])


def test_lowest_constraints_are_the_lower_bounds():
    assert lock.lowest(["numpy>=2.1,<3", "docker>=7; sys_platform != 'win32'"]) == ["numpy==2.1", "docker==7"]


# --- check


def test_summary_ends_with_the_number_of_steps_that_passed_and_failed():
    good, bad = (check.Step(name, name, []) for name in ("lint", "unit"))
    table = check.summary(
        [check.Result(good, 1.0, True, ""), check.Result(bad, 2.0, False, "3 passed, 1 failed")]
    )
    assert table.splitlines()[-1] == "steps: 1 passed, 1 failed"
    assert re.search(r"^unit +2\.0 +FAILED +3 passed, 1 failed$", table, re.MULTILINE)


@pytest.mark.parametrize(
    ("code", "passed"), [("print('4 passed, 1 skipped in 0.21s')", True), ("raise SystemExit(5)", False)]
)
def test_a_step_passes_with_exit_code_0_alone(code, passed, capfd):
    result = check.run(check.Step("one", "one", ["-c", code]))
    assert result.passed == passed
    assert result.detail == ("4 passed, 1 skipped" if passed else "")


# --- The closed network

REACH_OUT = """
import asyncio, socket, urllib.request
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(("localhost", server.getsockname()[1])).close()
def raised(call):
    try:
        call()
    except OSError as error:
        return "the network is closed for this run" in str(error)
    return False
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(raised(lambda: socket.create_connection(("192.0.2.1", 80), timeout=1)))
print(raised(lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80))))
print(raised(lambda: socket.getaddrinfo("example.org", 80)))
print(raised(lambda: urllib.request.urlopen("http://example.org", timeout=1)))
print(raised(lambda: udp.sendto(b"x", ("192.0.2.1", 53))))
print(raised(lambda: asyncio.run(asyncio.open_connection("192.0.2.1", 80))))
"""


def test_closed_network_refuses_everything_but_loopback():
    environment = os.environ | {"PYTHONPATH": str(check.OFFLINE)}
    command = [sys.executable, "-c", REACH_OUT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == ["True"] * 6


def test_notebooks_run_with_the_network_closed(monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_page.ipynb").touch()
    (tmp_path / "notebooks" / "09_page.ipynb").touch()
    monkeypatch.setattr(check, "ROOT", tmp_path)
    wide, narrow = (step for step in check.steps() if "--nbval" in step.arguments)
    for step in (wide, narrow):
        assert step.environment["PYTHONPATH"] == str(check.OFFLINE)
        assert "--nbval-cell-timeout=300" in step.arguments
    assert narrow.environment == wide.environment | check.NARROW
    assert (wide.arguments[-1], narrow.arguments[-1]) == (
        "notebooks/09_page.ipynb",
        "notebooks/00_page.ipynb",
    )


def test_every_notebook_is_compared_in_one_step():
    steps = [step.arguments for step in check.steps() if "--nbval" in step.arguments]
    compared = sorted(
        Path(argument).name for arguments in steps for argument in arguments if ".ipynb" in argument
    )
    assert compared == sorted(path.name for path in (check.ROOT / "notebooks").glob("*.ipynb"))
    assert all(any(name.startswith(start) for name in compared) for start in check.LONG_TRAINING)


def test_the_oldest_instructions_are_those_that_torch_takes():
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    command, environment = [sys.executable, "-c", code], os.environ | check.NARROW
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "DEFAULT"
