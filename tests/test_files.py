"""Files are whole or not there: two writers and a killer at every writer of the package, and full disks."""

import ast
import errno
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import course_utils
from course_utils import checkpoints, files, finetuning, tasks, training, vocabularies, wordpiece
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.classroom import experiments

PACKAGE = Path(course_utils.__file__).parent
CONFIG = BertConfig(
    vocab_size=12, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
)
SECONDS = 0.25  # of each round


def tokenizer_of(which: int) -> wordpiece.WordPieceTokenizer:
    return wordpiece.WordPieceTokenizer([*wordpiece.SPECIAL_TOKENS, *(f"{'ab'[which]}{i}" for i in range(7))])


def filled(model: nn.Module, which: int) -> nn.Module:
    for parameter in model.parameters():
        nn.init.constant_(parameter, float(which))
    return model


def write_model(path: Path, which: int) -> None:
    model = filled(BertForPreTraining(CONFIG), which)
    checkpoints.save(path, model, tokenizer_of(which), str(which))


def read_model(path: Path) -> set[int]:
    model, tokenizer = checkpoints.load(path)
    card = int((path.expanduser() / checkpoints.CARD_FILE).read_text(encoding="utf-8"))
    return {card, int(tokenizer.id_to_token[5] == "b0"), *(int(p.max()) for p in model.parameters())}


def write_tuned(path: Path, which: int) -> None:
    task = tasks.TextClassification(tokenizer_of(which), ["no", "ab"[which]], 16)
    finetuning.save(path, filled(finetuning.new_model(task, CONFIG), which), task)


def read_tuned(path: Path) -> set[int]:
    model, task = finetuning.load(path)
    names = {int(task.labels[1] == "b"), int(task.tokenizer.id_to_token[5] == "b0")}
    return names | {int(p.max()) for p in model.parameters()}


def write_state(path: Path, which: int) -> None:
    model = filled(nn.Linear(50, 50), which)
    training.save_state(path, model, torch.optim.AdamW(model.parameters()), {"which": which})


def read_state(path: Path) -> set[int]:
    tensors, notes = training.read_state(path)
    return {notes["which"], *(int(t.max()) for t in tensors.values())}


# (write, read): `read` gives all the writers whose marks it finds, or refuses the file.
WRITERS = {
    "bytes": (
        lambda path, which: files.write_bytes(path, bytes([which]) * 200_000),
        lambda path: set(path.read_bytes()),
    ),
    "text": (
        lambda path, which: files.write_text(path, str(which) * 200_000),
        lambda path: set(map(int, path.read_text(encoding="utf-8"))),
    ),
    "tensors": (
        lambda path, which: files.write_tensors(path, {"a": torch.full((50_000,), which)}, {}),
        lambda path: set(files.read_tensors(path)[0]["a"].tolist()),
    ),
    "vocabulary": (
        lambda path, which: tokenizer_of(which).save(path),
        lambda path: {int(wordpiece.WordPieceTokenizer.from_file(path).id_to_token[5] == "b0")},
    ),
    "experiment": (
        lambda path, which: experiments.write(path, [which] * 20_000),
        lambda path: set(experiments.read(path)),
    ),
    "state": (write_state, read_state),
    "checkpoint": (write_model, read_model),
    "fine-tuned": (write_tuned, read_tuned),
}
FOLDERS = ("checkpoint", "fine-tuned")


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("bytes", "text", "experiment")])
def test_a_path_may_begin_with_the_home_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    write, read = WRITERS[name]
    write(Path("~/mine.json"), 1)
    assert read(Path("~/mine.json")) == {1} and (tmp_path / "home" / "mine.json").exists()
    assert not Path("~").exists()


def writer(write, path: Path, which: int) -> int:
    """A process that writes again and again until it is killed; its number."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)  # torch's other threads are not in the child, and it would wait for them
            while True:
                write(path, which)
        finally:
            os._exit(1)
    return child


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "a writer ended by itself"


@pytest.mark.parametrize("name", WRITERS)
def test_two_writers_and_a_killer(name, tmp_path):
    """A reader finds the one content or the other, never parts of both, also after a writer was killed.

    The files of a folder cannot be replaced in one stroke: there a reader may be refused, and the next writer
    leaves it whole.
    """
    write, read = WRITERS[name]
    chance = random.Random(0)
    for number in range(3):
        path = tmp_path / f"{number}.json"
        write(path, 0)
        children = [writer(write, path, which) for which in (0, 1)]
        end = time.monotonic() + SECONDS
        doomed = end - chance.random() * SECONDS
        try:
            while time.monotonic() < end:
                if name not in FOLDERS:
                    assert len(read(path)) == 1
                if len(children) == 2 and time.monotonic() > doomed:
                    kill(children.pop(chance.randrange(2)))
        finally:
            for child in children:
                kill(child)
        try:
            assert len(read(path)) == 1
        except ValueError:
            assert name in FOLDERS
        for which in (0, 1):
            if name in FOLDERS:  # what the killed one has left has no digests yet: nobody's, unless told
                write_over(name, path, which)
            else:
                write(path, which)
            assert read(path) == {which}


def write_over(name: str, path: Path, which: int) -> None:
    for file in path.iterdir():
        file.unlink()
    WRITERS[name][0](path, which)


def test_every_write_of_the_package_goes_through_files():
    """Nothing else opens a file for writing: what `files` promises holds for all."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                through_path = isinstance(node.func, ast.Attribute) and name in ("write_text", "write_bytes")
                if through_path or name == "open" and any(mode in ("w", "wb", "a", "xb") for mode in modes):
                    found.append(f"{path.relative_to(PACKAGE).as_posix()}: {ast.unparse(node)}")
    passing = ("probe.write", "classroom/grading/room.py", "lessons/encoder/slips.py")  # what nobody keeps
    kept = [each for each in found if not any(part in each for part in passing)]
    assert kept == ["files.py: open(partial, 'xb')"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_what_was_there_and_nothing_half(name, tmp_path, monkeypatch):
    write, read = WRITERS[name]
    path = tmp_path / "here.json"
    write(path, 0)
    before = sorted(each.name for each in tmp_path.rglob("*"))

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write(path, 1)
    assert sorted(each.name for each in tmp_path.rglob("*")) == before
    assert read(path) == {0}


def test_files_of_somebody_else_are_not_replaced_unless_told(tmp_path):
    """A README.md, or another model's weights: `save` replaces only what a `save` has written."""
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match=r"folder: expected a new one, .*, which has a README.md of its own"):
        write_model(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    model = filled(BertForPreTraining(CONFIG), 1)
    checkpoints.save(tmp_path, model, tokenizer_of(1), "1", overwrite=True)
    write_model(tmp_path, 0)  # now it is its own
    assert read_model(tmp_path) == {0}
    assert json.loads((tmp_path / vocabularies.SETTINGS_FILE).read_text(encoding="utf-8"))
