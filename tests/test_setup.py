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
import time
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from rattler import BuildString, MatchSpec, PackageRecord

import course_utils
from course_utils.classroom import BY_NUMBER
from tools import check, colab, lock, notebooks, setting_up

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PROJECT["urls"]["Repository"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA_SPECS = [line for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]
CONDA_TO_PIP = {"huggingface_hub": "huggingface-hub", "pytorch-cpu": "torch"}


LISTS = ["requirements.txt", *setting_up.EXTRA_REQUIREMENTS.values()]


def entries(name: str) -> list[tuple[Requirement, list[str]]]:
    """What a requirements file settles: each line, and its digests."""
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = []
    for entry in text.replace("\\\n", " ").splitlines():
        line, *digests = entry.split("--hash=")
        requirement = Requirement(line.strip())
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], entry
        found.append((requirement, [digest.strip() for digest in digests]))
    return found


def pins(name: str) -> dict[str, Version]:
    """The exact versions that a requirements file settles for this machine."""
    here = [r for r, _ in entries(name) if r.marker is None or r.marker.evaluate()]
    return {r.name: Version(next(iter(r.specifier)).version) for r in here}


# --- Specifications


# What must satisfy the ranges of pyproject.toml and environment.yml, beside the tested pins. Only what the
# course names is listed. Read in public repositories: Colab's own freeze, and the recipes of conda-forge.
MUST_SATISFY = {
    "Colab, 19 August 2026": {
        "huggingface-hub": ["1.27.0"],
        "ipywidgets": ["7.7.1"],
        "matplotlib": ["3.10.0"],
        "numpy": ["2.1.3"],
        "psutil": ["5.9.5"],
        "safetensors": ["0.8.0"],
        "scikit-learn": ["1.6.1"],
        "scipy": ["1.16.3"],
        "tokenizers": ["0.22.2"],
        "torch": ["2.11.0"],
        "tqdm": ["4.67.3"],
        "transformers": ["5.15.0"],
    },
    "conda-forge, 19 August 2026": {
        "huggingface-hub": ["1.27.0"],
        "tokenizers": ["0.22.2", "0.23.0"],
        "torch": ["2.13.0"],
        "transformers": ["5.15.1"],
    },
}
DEPENDENCIES = {r.name: r for r in map(Requirement, PROJECT["dependencies"])}
MUST_SATISFY_ROWS = [
    pytest.param(name, version, id=f"{name}-{version} ({source})")
    for source, packages in MUST_SATISFY.items()
    for name, versions in packages.items()
    for version in versions
]


def conda_spec(name: str) -> MatchSpec:
    """The range of a package in environment.yml, by the name that pip knows."""
    specs = map(MatchSpec, CONDA_SPECS)
    return next(s for s in specs if CONDA_TO_PIP.get(s.name.normalized, s.name.normalized) == name)


def conda_record(spec: MatchSpec, version: str) -> PackageRecord:
    return PackageRecord(spec.name.normalized, version, BuildString("0"), build_number=0, subdir="noarch")


@pytest.mark.parametrize(("name", "version"), MUST_SATISFY_ROWS)
def test_the_ranges_hold_what_colab_and_conda_forge_have(name, version):
    assert DEPENDENCIES[name].specifier.contains(version)
    spec = conda_spec(name)
    assert spec.matches(conda_record(spec, version))


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_the_ranges_hold_the_tested_pins(name):
    tested = str((pins("requirements-torch.txt") | pins("requirements.txt"))[name])
    assert DEPENDENCIES[name].specifier.contains(tested)
    spec = conda_spec(name)
    assert spec.matches(conda_record(spec, tested))


def test_no_range_holds_the_next_major_version():
    for name in DEPENDENCIES:
        spec = conda_spec(name)
        assert not spec.matches(conda_record(spec, "1000.0")), name


def test_conda_takes_one_channel_and_a_python_of_the_course():
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    minor = int(next(re.fullmatch(r"python=3\.(\d+)", line) for line in CONDA_SPECS if "python=" in line)[1])
    assert setting_up.OLDEST[1] <= minor <= setting_up.NEWEST[1]


def test_conda_environment_names_every_dependency_with_the_same_lower_bound():
    conda = {}
    for line in CONDA_SPECS:
        if match := re.fullmatch(r"([\w-]+)(>=[\w.]+),<\w+(\.\w+)*", line):
            conda[CONDA_TO_PIP.get(match[1], match[1])] = match[2]
    assert conda == {r.name: str(r.specifier) for r in map(Requirement, PROJECT["dependencies"])}


def test_pins_are_installed():
    everything = pins("requirements-torch.txt") | pins("requirements.txt") | pins("requirements-test.txt")
    for name, pinned in everything.items():
        with contextlib.suppress(ModuleNotFoundError):  # packages of another platform
            assert Version(version(name)).public == str(pinned), name


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_has_digests_and_no_list_names_a_registry_or_a_build_for_gpus(name):
    for requirement, digests in entries(name):
        assert digests, requirement
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in digests), requirement
        assert not re.match("torch$|triton|nvidia|cuda", requirement.name), requirement
        assert requirement.url is None
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|^\s*-(?!-hash=)", text, re.MULTILINE)


def test_torch_stands_alone_and_what_its_cpu_build_needs_is_in_the_list():
    assert list(pins("requirements-torch.txt")) == ["torch"]
    needed = [Requirement(text) for text in distribution("torch").requires]
    needed = {r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})}
    needed = {name for name in needed if not re.match("triton|nvidia|cuda", name)}
    assert needed <= set(pins("requirements.txt"))


@pytest.mark.parametrize("python", ["3.11.0", "3.11.5", "3.12.0", "3.13.0", "3.14.0"])
@pytest.mark.parametrize("system", [("linux", "posix"), ("darwin", "posix"), ("win32", "nt")])
def test_every_python_and_system_gets_each_package_once(python, system):
    """The older Python of one platform may need another version than the rest, but never two."""
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    environment |= {"sys_platform": system[0], "os_name": system[1]}
    for name in LISTS:
        here = [r.name for r, _ in entries(name) if r.marker is None or r.marker.evaluate(environment)]
        assert len(here) == len(set(here))
        others = {r.name for r, _ in entries(name)} - set(here)
        assert all(r.marker for r, _ in entries(name) if r.name in others)


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


def test_threads_that_wait_spin_briefly_in_every_way_in(monkeypatch):
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    seen = []
    monkeypatch.setattr(os, "environ", {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"})
    monkeypatch.setattr(setting_up, "prepare", lambda *_, **__: None)
    monkeypatch.setattr(setting_up, "run_lab", lambda: seen.append(os.environ.get("GOMP_SPINCOUNT")))
    setting_up.main(["lab"])
    binder = 'export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-30000}"' in (ROOT / "start").read_text("utf-8")
    ways = [*seen, ENVIRONMENT["variables"]["GOMP_SPINCOUNT"], container["containerEnv"]["GOMP_SPINCOUNT"]]
    assert binder and {*ways, notebooks.KERNEL_ENVIRONMENT["GOMP_SPINCOUNT"]} == {"30000"}


def test_codespaces_sets_itself_up_with_the_same_script():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    script, command = re.fullmatch(r"python (\S+) (\w+)", container["postCreateCommand"]).groups()
    assert (ROOT / script).is_file() and command in setting_up.GROUPS
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
    assert [number for number, _ in rows] == list(BY_NUMBER)
    for number, row in rows:
        files = [path.name for path in NOTEBOOKS if path.name.startswith(number)]
        assert ("to come" in row) == (not files), f"row {number}"
        assert all(f"](notebooks/{name})" in row for name in files), f"row {number} does not link to {files}"


# --- The set-up


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty project to set up, with a `.venv` that is made of nothing but a Python that starts."""
    for name in ("requirements-torch.txt", "requirements.txt", "requirements-test.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name, path in [
        ("ROOT", tmp_path),
        ("VENV", tmp_path / ".venv"),
        ("STAMP", tmp_path / ".venv" / "stamp.json"),
        ("MARKER", tmp_path / ".venv" / "marker"),
        ("LOG", tmp_path / "log"),
        ("LOCK", tmp_path / "lock"),
    ]:
        monkeypatch.setattr(setting_up, name, path)

    def create_venv(python):
        setting_up.venv_python().parent.mkdir(parents=True)
        setting_up.venv_python().touch()

    monkeypatch.setattr(setting_up, "create_venv", create_venv)
    monkeypatch.setattr(setting_up, "works", lambda python: Path(python).exists())
    monkeypatch.setattr(setting_up, "index_answers", lambda address, seconds: False)
    return tmp_path


@pytest.fixture
def pip_calls(monkeypatch):
    calls = []
    monkeypatch.setattr(setting_up, "pip", calls.append)
    return calls


def test_second_call_installs_nothing(folder, pip_calls):
    setting_up.prepare(["lab"])
    assert setting_up.pinned("requirements.txt") in pip_calls
    assert not setting_up.MARKER.exists()
    pip_calls.clear()
    setting_up.prepare(["lab"])
    assert pip_calls == []


def test_test_packages_come_only_when_they_are_wanted(folder, pip_calls):
    setting_up.prepare(["lab"])
    pip_calls.clear()
    setting_up.prepare(["lab", "test"])
    assert pip_calls == [setting_up.pinned("requirements-test.txt")]


def test_changed_requirements_are_installed(folder, pip_calls):
    setting_up.prepare(["lab"])
    pip_calls.clear()
    with (folder / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write("another==1.0\n")
    setting_up.prepare(["lab"])
    assert setting_up.pinned("requirements.txt") in pip_calls


@pytest.mark.parametrize("damage", ["killed", "no python", "moved"])
def test_unfinished_venv_is_made_again(folder, pip_calls, damage):
    setting_up.prepare(["lab"])
    (setting_up.VENV / "leftover").touch()
    if damage == "killed":
        setting_up.MARKER.touch()
    elif damage == "no python":
        setting_up.venv_python().unlink()
    else:
        setting_up.write_stamp(setting_up.read_stamp() | {"place": "elsewhere"})
    pip_calls.clear()
    setting_up.prepare(["lab"])
    assert setting_up.pinned("requirements.txt") in pip_calls
    assert not (setting_up.VENV / "leftover").exists()
    assert setting_up.missing_groups(["lab"], None) == []


def test_failure_leaves_no_half_made_venv(folder, monkeypatch):
    def fail(arguments):
        raise setting_up.SetupError("no network")

    monkeypatch.setattr(setting_up, "pip", fail)
    with pytest.raises(setting_up.SetupError):
        setting_up.prepare(["lab"])
    assert not setting_up.VENV.exists()


def test_failed_update_keeps_the_old_venv(folder, pip_calls, monkeypatch):
    setting_up.prepare(["lab"])
    stamp = setting_up.read_stamp()

    def fail(arguments):
        raise setting_up.SetupError("no network")

    monkeypatch.setattr(setting_up, "pip", fail)
    with pytest.raises(setting_up.SetupError):
        setting_up.prepare(["lab", "test"])
    assert setting_up.read_stamp() == stamp
    assert setting_up.missing_groups(["lab"], None) == []


# A process that sets up its folder with an installer that only takes its time, and writes down what it does.
SET_UP = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, "tools")  # it runs by its path, before anything is installed
import setting_up

def create_venv(python):
    setting_up.venv_python().parent.mkdir(parents=True)
    setting_up.venv_python().touch()

def pip(arguments):
    with open("calls", "a", encoding="utf-8") as file:
        file.write(sys.argv[1] + " ")
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end and not Path("go on").exists():
        time.sleep(0.01)

setting_up.create_venv, setting_up.pip = create_venv, pip
setting_up.works = lambda python: Path(python).exists()
setting_up.index_answers = lambda address, seconds: False
setting_up.check_space = lambda torch: None
try:
    setting_up.prepare(["lab"])
except setting_up.SetupError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def set_up(tmp_path):
    """Start a set-up in a folder of its own: `set_up(name, seconds)`, the most seconds for each call of pip.

    No call takes any longer once the folder holds a file called "go on".
    """
    (tmp_path / "tools").mkdir()
    for name in ("requirements.txt", "requirements-torch.txt", "pyproject.toml", "tools/setting_up.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    processes = []

    def start(name: str, seconds: float) -> subprocess.Popen:
        command = [sys.executable, "-c", SET_UP, name, str(seconds)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        processes.append(subprocess.Popen(command, cwd=tmp_path, text=True, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until the process has made a file; if it ends before, that is a failure, and what it said is shown."""
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


def test_of_two_set_ups_at_once_the_second_waits_and_finds_all_done(set_up, tmp_path):
    first = set_up("first", 600)
    wait_for(tmp_path / "calls", first)  # the first is in the middle of it
    second = set_up("second", 0)
    assert second.stdout.readline() == "Another set-up is at work in this folder: waiting for it.\n"
    (tmp_path / "go on").touch()
    outputs = [process.communicate(timeout=600)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert (tmp_path / "calls").read_text(encoding="utf-8").split() == ["first"] * 3
    assert "waiting for it" not in outputs[0]


def test_a_set_up_that_is_killed_gives_back_its_lock(set_up, tmp_path):
    first = set_up("first", 600)
    wait_for(tmp_path / "calls", first)
    second = set_up("second", 0)
    assert second.stdout.readline() == "Another set-up is at work in this folder: waiting for it.\n"
    first.kill()
    output, _ = second.communicate(timeout=600)
    assert second.returncode == 0, output
    assert (tmp_path / "calls").read_text(encoding="utf-8").split() == ["first"] + ["second"] * 3
    assert not (tmp_path / ".venv" / "course-set-up-running").exists()


def test_a_folder_that_cannot_be_written_to_is_one_line(set_up, tmp_path):
    (tmp_path / ".setup.lock").mkdir()  # what stands in the way even of an administrator
    process = set_up("first", 0)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 1
    assert re.fullmatch(r"The set-up cannot write in .* \(.*\): make the folder writable\.\n", output)


def test_another_build_of_torch_is_installed_and_then_kept(folder, pip_calls):
    setting_up.prepare(["lab"])
    pip_calls.clear()
    setting_up.prepare(["lab"], torch="cu130")
    assert pip_calls[0][-1].endswith("+cu130")
    pip_calls.clear()
    setting_up.prepare(["lab"])
    assert pip_calls == []


@pytest.mark.parametrize(
    ("torch", "free", "needed"), [(None, 1e9, 4), ("cu130", 5e9, 12), ("default", 5e9, 12)]
)
def test_full_disk_is_refused_before_anything_is_made(folder, pip_calls, monkeypatch, torch, free, needed):
    monkeypatch.setattr(setting_up.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    with pytest.raises(setting_up.SetupError, match=rf"needs {needed} GB .* has {free / 1e9:.1f} GB free"):
        setting_up.prepare(["lab"], torch=torch)
    assert pip_calls == []
    assert not setting_up.VENV.exists()


def test_a_larger_build_of_torch_is_refused_where_the_small_one_fitted(folder, pip_calls, monkeypatch):
    setting_up.prepare(["lab"])
    monkeypatch.setattr(setting_up.shutil, "disk_usage", lambda path: SimpleNamespace(free=5e9))
    pip_calls.clear()
    with pytest.raises(setting_up.SetupError, match=r"needs 12 GB"):
        setting_up.prepare(["lab"], torch="cu130")
    assert pip_calls == []
    assert setting_up.missing_groups(["lab"], None) == []


def test_python_is_chosen_among_the_tested_ones(monkeypatch):
    monkeypatch.setattr(setting_up, "works", lambda python: True)
    on_path = {"python3.12": "/bin/python3.12", "python3.11": "/bin/python3.11"}.get
    assert setting_up.choose_python((3, 12), on_path) == sys.executable
    assert setting_up.choose_python((3, 14), on_path) == sys.executable
    assert setting_up.choose_python((3, 9), on_path) == "/bin/python3.12"
    assert setting_up.choose_python((3, 15), on_path) == "/bin/python3.12"


@pytest.mark.parametrize("version", [(3, 10), (3, 15)])
def test_an_untested_python_is_refused_in_one_sentence_that_names_it(monkeypatch, version):
    monkeypatch.setattr(setting_up.sys, "executable", "/somewhere/python")
    sentence = (
        f"^This is Python 3.{version[1]} \\(/somewhere/python\\) and the course needs 3.11 to 3.14: install"
        " one of these, then run the command again.$"
    )
    with pytest.raises(setting_up.SetupError, match=sentence):
        setting_up.choose_python(version, lambda name: None)


def test_every_place_that_names_the_pythons_names_the_same():
    minors = range(setting_up.OLDEST[1], setting_up.NEWEST[1] + 1)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"python3\.(\d+)", makefile) == [str(minor) for minor in reversed(minors)]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested == [f"3.{minor}" for minor in minors]
    span = f"3.{minors[0]} to 3.{minors[-1]}"
    for name in ("README.md", "Makefile", "requirements.txt", "tools/bootstrap.py", "tools/setting_up.py"):
        assert span in (ROOT / name).read_text(encoding="utf-8"), name
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"3.{minors[0]}")


def test_torch_comes_from_the_cpu_index_only_when_it_answers():
    pin = f"torch=={pins('requirements-torch.txt')['torch']}"
    index = "https://download.pytorch.org/whl/"
    answers_at = {"at once": [True], "at the second try": [False, True], "never": [False, False]}
    for when, answers in answers_at.items():
        replies = iter(answers)
        asked = setting_up.torch_arguments("cpu", "linux", lambda address, seconds: next(replies))  # noqa: B023
        where = [] if when == "never" else ["--index-url", index + "cpu"]
        # Without PyTorch's index it is the same build or none: never the several GB of the one for GPUs.
        assert asked == ["--no-deps", *where, pin + "+cpu"], when
        assert list(replies) == []
    assert setting_up.torch_arguments("cpu", "darwin") == ["--no-deps", pin]
    assert setting_up.torch_arguments("cu130", "linux") == ["--index-url", index + "cu130", pin + "+cu130"]
    assert setting_up.torch_arguments("default", "linux") == [pin]


def test_probe_of_a_closed_port_says_no():
    assert not setting_up.index_answers("http://127.0.0.1:9", 3.0)


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
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "accept the build for GPUs"),
        (
            "ERROR: Cannot install torch==2.13.0+cpu because versions conflict.\nERROR: see pip.pypa.io",
            "accept the build for GPUs",
        ),
    ],
)
def test_failure_of_pip_becomes_one_line(output, message):
    explained = setting_up.explain(output)
    assert message in explained
    assert "\n" not in explained


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 5, 10)])
def test_a_python_from_long_ago_is_told_which_one_is_needed(monkeypatch, version):
    """The door itself must be readable for it: no word in it that Python 2 does not know."""
    source = (ROOT / "tools" / "bootstrap.py").read_text(encoding="utf-8")
    old = (ast.Module, ast.Expr, ast.Constant, ast.Import, ast.ImportFrom, ast.alias, ast.If, ast.Compare)
    old += (ast.Attribute, ast.Name, ast.Load, ast.Lt, ast.Eq, ast.Tuple, ast.Call, ast.BinOp, ast.Mod)
    old += (ast.Subscript, ast.Slice)
    assert source.isascii() and all(isinstance(node, old) for node in ast.walk(ast.parse(source)))
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(SystemExit, match=f"needed, and this is Python {version[0]}.{version[1]}"):
        runpy.run_path(str(ROOT / "tools" / "bootstrap.py"), run_name="__main__")


def test_no_index_means_one_line_and_exit_code_1(tmp_path):
    """The real thing: a clone whose package index is a closed port."""
    clone = tmp_path / "clone"
    (clone / "tools").mkdir(parents=True)
    for name in ("bootstrap.py", "setting_up.py"):
        shutil.copy(ROOT / "tools" / name, clone / "tools")
    (clone / "requirements-torch.txt").write_text("torch==0.0.1\n", encoding="utf-8")
    (clone / "requirements.txt").touch()
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
    monkeypatch.setattr(setting_up.sys, "platform", "linux")
    command = setting_up.lab_command()
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--no-browser" in command
    assert not any("token" in argument or "password" in argument for argument in command)


def test_jupyterlab_asks_nothing_about_news(tmp_path):
    """Read by JupyterLab itself, as the ways in pass it: Binder, conda, and `make lab`."""
    folder = ROOT / "tools" / "jupyter"
    settings = json.loads((folder / "jupyter_lab_config.json").read_text(encoding="utf-8"))["LabApp"]
    assert settings == {"check_for_updates_class": "jupyterlab.NeverCheckForUpdate", "news_url": None}
    code = (
        "from jupyterlab.labapp import LabApp; app = LabApp.initialize_server(argv=['--no-browser']);"
        "lab = app.extension_manager.extension_apps['jupyterlab'].pop();"
        "print(lab.news_url, lab.check_for_updates_class.__name__)"
    )
    assert ENVIRONMENT["variables"]["JUPYTER_CONFIG_PATH"] == "tools/jupyter"
    environment = os.environ | ENVIRONMENT["variables"] | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "NeverCheckForUpdate"]


@pytest.mark.skipif(sys.platform == "win32", reason="Binder runs Linux")
def test_binder_and_make_lab_pass_the_settings_of_jupyterlab(monkeypatch):
    command = [str(ROOT / "start"), "sh", "-c", "echo $JUPYTER_CONFIG_PATH"]
    environment = os.environ | {"JUPYTER_CONFIG_PATH": "/elsewhere"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{ROOT / 'tools' / 'jupyter'}:/elsewhere\n"
    given = {}

    def start(command, env, preexec_fn):
        given.update(env)
        return SimpleNamespace(wait=lambda: 0, terminate=lambda: None, pid=0)

    monkeypatch.setattr(setting_up.subprocess, "Popen", start)
    monkeypatch.setattr(setting_up.signal, "signal", lambda *_: None)
    monkeypatch.setattr(setting_up.sys, "stdin", SimpleNamespace(isatty=lambda: False))
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    assert setting_up.run_lab() == 0
    assert given["JUPYTER_CONFIG_PATH"] == str(ROOT / "tools" / "jupyter")


# --- What comes with git


def test_no_attribute_names_a_merge_driver_that_nobody_defines():
    text = (ROOT / ".gitattributes").read_text(encoding="utf-8")
    assert set(re.findall(r"\bmerge=(\w+)", text)) <= {"text", "binary", "union"}
    assert "diff=jupyternotebook" in text


def test_the_version_is_one_everywhere():
    """The changelog begins with it, and the citation names it."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+)(?:, .*)?$", changelog, re.MULTILINE)
    assert versions[0] == course_utils.__version__
    assert versions == sorted(versions, key=Version, reverse=True)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == course_utils.__version__


# --- Workflows

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_named_by_digest(path):
    """A tag can be moved to other code; the comment says which one it was."""
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", name) for name in used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_job_that_may_write_runs_nothing_of_the_course(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        if "write" in job.get("permissions", {}).values():
            assert job["needs"] and not any("run" in step for step in job["steps"])
            assert not any("checkout" in step["uses"] for step in job["steps"])


# --- Colab


def test_the_overlay_is_of_colabs_own_versions():
    listed = MUST_SATISFY["Colab, 19 August 2026"]
    others = {"ipython-genutils"}  # what the course does not name itself
    assert all(listed[name] == [version] for name, version in colab.VERSIONS.items() if name not in others)


def test_jupyterlab_is_hidden_as_on_colab():
    code = (
        "import importlib.metadata as m\n"
        "for ask in (lambda: __import__('jupyterlab'), lambda: m.version('jupyterlab')):\n"
        "    try: ask()\n"
        "    except ModuleNotFoundError as error: print(type(error).__name__)"
    )
    environment = os.environ | {"PYTHONPATH": str(colab.NO_JUPYTERLAB)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ModuleNotFoundError", "PackageNotFoundError"]


# --- lock


def test_lowest_constraints_are_the_lower_bounds():
    assert lock.lowest(["numpy>=2.1,<3", "docker>=7; sys_platform != 'win32'"]) == ["numpy==2.1", "docker==7"]


# --- check


def test_summary_ends_with_the_number_of_steps_that_passed_and_failed():
    good, bad = (check.Step(name, name, []) for name in ("lint", "unit"))
    table = check.summary(
        [check.Result(good, 1.0, True, ""), check.Result(bad, 2.0, False, "3 passed, 1 failed")]
    )
    assert table.splitlines()[-1] == "steps: 1 passed, 1 failed"
    assert re.search(r"^unit +FAILED +3 passed, 1 failed +2\.0$", table, re.MULTILINE)


@pytest.mark.parametrize(
    ("code", "passed"), [("print('4 passed, 1 skipped in 0.21s')", True), ("raise SystemExit(5)", False)]
)
def test_a_step_passes_with_exit_code_0_alone(code, passed, capfd):
    result = check.run(check.Step("one", "one", ["-c", code]))
    assert result.passed == passed
    assert result.detail == ("4 passed, 1 skipped" if passed else "")


def test_every_step_has_its_seconds_and_all_but_exploring_run_unasked(monkeypatch):
    available = {step.name: step for step in check.steps()}
    assert set(check.SECONDS) == set(available)
    ran = []
    monkeypatch.setattr(check, "run", lambda step: ran.append(step.name) or check.Result(step, 1.0, True, ""))
    monkeypatch.setattr(sys, "argv", ["check.py"])
    assert check.main() == 0
    assert ran == [name for name in available if name != "explore"]


@pytest.mark.parametrize("system", ["linux", "darwin", "win32", "freebsd"])
@pytest.mark.parametrize("absent", [[], ["Chromium"], ["npm"], ["Chromium", "npm"]])
def test_what_a_machine_lacks_is_named_with_how_to_get_it(monkeypatch, tmp_path, system, absent):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(check.assets, "FOLDER", tmp_path / "assets")
    monkeypatch.setattr(check.browser, "find", lambda: None if "Chromium" in absent else "chromium")
    monkeypatch.setattr(check.shutil, "which", lambda name: None if name in absent else name)
    lines = check.lacking(system)
    assert [line.split()[1] for line in lines] == absent
    assert all("is skipped. To get it: " in line and "\n" not in line for line in lines)
    if system == "win32":
        assert all("winget install" in line for line in lines)


def test_what_npm_has_fetched_once_is_there_without_it(monkeypatch, tmp_path):
    monkeypatch.setattr(check.assets, "FOLDER", tmp_path)
    monkeypatch.setattr(check.browser, "find", lambda: "chromium")
    monkeypatch.setattr(check.shutil, "which", lambda name: None)
    assert check.lacking() == []


def test_what_runs_is_said_first_and_what_is_lacking_at_both_ends(tmp_path):
    environment = os.environ | {"CHROMIUM": str(tmp_path / "none")}
    command = [sys.executable, "-m", "tools.check", "lint"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    lines = [line for line in done.stdout.splitlines() if line]
    assert re.fullmatch(r"About \d+ seconds on two cores:", lines[0])
    assert lines[1].endswith("ruff, on modules and notebooks")
    lacking = [place for place, line in enumerate(lines) if line.startswith("No Chromium here: ")]
    closing = next(place for place, line in enumerate(lines) if line.startswith("steps: "))
    assert len(lacking) == 2 and lacking[0] < lines.index("--- ruff, on modules and notebooks")
    assert lacking[1] > closing


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
    for name in ("00_page.ipynb", "02_page.ipynb", "09_page.ipynb", "11_page.ipynb"):
        (tmp_path / "notebooks" / name).touch()
    monkeypatch.setattr(check, "ROOT", tmp_path)
    wide, narrow = (step for step in check.steps() if "--nbval" in step.arguments)
    for step in (wide, narrow):
        assert step.environment["PYTHONPATH"] == str(check.OFFLINE)
        assert "--nbval-cell-timeout=300" in step.arguments
    assert narrow.environment == wide.environment | check.NARROW
    # The longest first.
    assert wide.arguments[-2:] == ["notebooks/09_page.ipynb", "notebooks/11_page.ipynb"]
    assert narrow.arguments[-2:] == ["notebooks/00_page.ipynb", "notebooks/02_page.ipynb"]


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
