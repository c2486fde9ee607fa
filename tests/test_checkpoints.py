"""Models on disk: saved, loaded, read by `transformers`; damage is named; the embedded ones are good."""

import ast
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import course_utils
from course_utils import checkpoints, files, hub, pretraining
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.toy.language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer

TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)
FILES = (
    checkpoints.CONFIG_FILE,
    checkpoints.WEIGHTS_FILE,
    checkpoints.VOCAB_FILE,
    checkpoints.TOKENIZER_FILE,
    checkpoints.CARD_FILE,
)


@pytest.fixture(scope="module")
def model() -> BertForPreTraining:
    config = BertConfig(
        vocab_size=len(TOKENIZER),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return BertForPreTraining(config).eval()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    checkpoints.save(folder, model, TOKENIZER, "# A card\n")
    return folder


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    """A folder that a test may damage."""
    return shutil.copytree(saved, tmp_path / "copy")


# ------------------------------------------------------------------ out and in again


def test_a_saved_model_comes_back_to_the_bit(model, saved):
    loaded, tokenizer = checkpoints.load(saved)
    assert loaded.config == model.config
    assert not loaded.training
    assert tokenizer.id_to_token == TOKENIZER.id_to_token
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert loaded.cls.predictions.decoder.weight is loaded.bert.embeddings.word_embeddings.weight
    assert (saved / checkpoints.CARD_FILE).read_text(encoding="utf-8") == "# A card\n"


def test_a_folder_may_be_given_as_text(saved):
    assert checkpoints.load(str(saved))[0].config.hidden_size == 16


def test_saving_again_changes_no_byte(saved, tmp_path):
    checkpoints.save(tmp_path / "again", *checkpoints.load(saved), "# A card\n")
    names = {path.name for path in saved.iterdir()}
    assert names == {path.name for path in (tmp_path / "again").iterdir()} == {*FILES, checkpoints.SUMS_FILE}
    assert all((saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)


def test_the_library_reads_the_folder(model, saved):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BertForPreTraining.from_pretrained(saved, attn_implementation="eager").eval()
    fast = transformers.AutoTokenizer.from_pretrained(saved)
    texts = ("the cat sat on the mat", "The river BANK was very scénic, wasn't it ?")
    pairs = ("it was happy", "great movie !")
    batch = fast(list(texts), list(pairs), padding=True, return_tensors="pt")
    for i, (text, pair) in enumerate(zip(texts, pairs, strict=True)):
        encoding = TOKENIZER.encode(text, pair)
        seen = batch["attention_mask"][i].bool()
        assert batch["input_ids"][i][seen].tolist() == encoding.input_ids
        assert batch["token_type_ids"][i][seen].tolist() == encoding.token_type_ids
    with torch.no_grad():
        expected = theirs(**batch)
        ours = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    torch.testing.assert_close(ours.prediction_logits, expected.prediction_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        ours.seq_relationship_logits, expected.seq_relationship_logits, rtol=0, atol=1e-5
    )


def test_metadata_and_tensors_come_back(tmp_path):
    tensors = {"a": torch.arange(6).view(2, 3).T, "b": torch.tensor(1.5)}
    checkpoints.write_tensors(tmp_path / "file", tensors, {"step": "7"})
    loaded, metadata = checkpoints.read_tensors(tmp_path / "file")
    assert metadata == {"step": "7"}
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_writing_makes_folders_and_leaves_no_partial_file(tmp_path):
    path = tmp_path / "deep" / "er" / "file.txt"
    checkpoints.write_text(path, "é\n")
    checkpoints.write_text(path, "ü\n")
    assert path.read_bytes() == "ü\n".encode()
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


WRITER = """
import sys
from course_utils import files
for _ in range(100):
    files.write_bytes(sys.argv[1], sys.argv[2].encode() * 1_000_000)
"""


def test_two_writers_of_one_file_leave_it_whole_at_every_moment(tmp_path):
    path = tmp_path / "file"
    files.write_bytes(path, b"a" * 1_000_000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "ab"]
    reads = 0
    while any(writer.poll() is None for writer in writers):
        content = path.read_bytes()
        assert len(content) == 1_000_000 and set(content) in ({97}, {98})
        reads += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert reads > 1
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


# ------------------------------------------------------------------ damage


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_changed_byte_is_noticed(copy, name, place):
    content = bytearray((copy / name).read_bytes())
    content[{"first": 0, "middle": len(content) // 2, "last": -1}[place]] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} .* is damaged or only half copied"):
        checkpoints.load(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_noticed(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"{name} \\({len(content) // 2:,} bytes\\) is damaged"):
        checkpoints.load(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ValueError, match=f"lacks {name}|{name} is missing"):
        checkpoints.load(copy)


@pytest.mark.parametrize("damaged", ["half a li", "", "\n", "00  vocab.txt\n"])
def test_damaged_digests_are_noticed(copy, damaged):
    sums = copy / checkpoints.SUMS_FILE
    sums.write_text(damaged, encoding="utf-8")
    with pytest.raises(ValueError, match=str(checkpoints.SUMS_FILE)):
        checkpoints.load(copy)


def test_digests_in_the_dialects_of_other_programs_are_understood(copy):
    """In capitals, as on Windows, and with the * by which sha256sum marks what it has read as bytes."""
    sums = copy / checkpoints.SUMS_FILE
    lines = [line.split("  ") for line in sums.read_text(encoding="utf-8").splitlines()]
    sums.write_text("".join(f"{digest.upper()} *{name}\n" for digest, name in lines), encoding="utf-8")
    checkpoints.load(copy)
    (copy / checkpoints.VOCAB_FILE).write_bytes((copy / checkpoints.VOCAB_FILE).read_bytes() + b"more\n")
    with pytest.raises(ValueError, match="is damaged or only half copied"):
        checkpoints.load(copy)


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_half_a_weights_file_is_named_without_digests_too(copy, keep):
    (copy / checkpoints.SUMS_FILE).unlink()
    weights = copy / checkpoints.WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"model\.safetensors .* is no whole safetensors file"):
        checkpoints.load(copy)


def test_a_folder_of_another_maker_needs_no_digests(copy, model):
    (copy / checkpoints.SUMS_FILE).unlink()
    (copy / checkpoints.CARD_FILE).unlink()
    loaded, _ = checkpoints.load(copy)
    assert torch.equal(loaded.cls.predictions.bias, model.cls.predictions.bias)


@pytest.mark.parametrize("count", [len(TOKENIZER) + 1, len(TOKENIZER) - 129])
def test_a_vocabulary_of_another_size_is_refused(copy, count):
    (copy / checkpoints.SUMS_FILE).unlink()
    pieces = [*TOKENIZER.id_to_token, "zebra"][:count]
    (copy / checkpoints.VOCAB_FILE).write_text("\n".join(pieces), encoding="utf-8")
    with pytest.raises(ValueError, match=f"vocab.txt has {count} pieces, config.json says"):
        checkpoints.load(copy)


def test_an_unreadable_config_is_named(copy):
    (copy / checkpoints.SUMS_FILE).unlink()
    (copy / checkpoints.CONFIG_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json"):
        checkpoints.load(copy)


def test_weights_that_do_not_fit_are_named(copy):
    (copy / checkpoints.SUMS_FILE).unlink()
    config = json.loads((copy / checkpoints.CONFIG_FILE).read_text(encoding="utf-8"))
    (copy / checkpoints.CONFIG_FILE).write_text(
        json.dumps(config | {"num_hidden_layers": 3}), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"missing: encoder\.layer\.2"):
        checkpoints.load(copy)


def test_unknown_names_are_refused(monkeypatch, tmp_path):
    with pytest.raises(
        ValueError,
        match="name: expected one of embedded, embedded-causal, an existing folder, or",
    ):
        checkpoints.load("nowhere")
    monkeypatch.setitem(checkpoints.EMBEDDED, "embedded", tmp_path / "gone")
    with pytest.raises(ValueError, match="gone is missing; install the course again"):
        checkpoints.load()
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        checkpoints.read_tensors(Path("nowhere"))


def test_nothing_in_the_package_pickles():
    for path in Path(course_utils.__file__).parent.rglob("*.py"):
        if path.parent.name == "grading":
            continue  # reads what comes out of a hand-in's process with an unpickler that knows no names
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                names.add((getattr(node, "module", None) or "").split(".")[0])
                assert not names & {
                    "pickle",
                    "cPickle",
                    "dill",
                    "cloudpickle",
                    "joblib",
                    "shelve",
                    "marshal",
                }, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert not (node.value.id == "torch" and node.attr == "save"), path
            # Older published weights are pickles: `weights_only` lets nothing but tensors out of them.
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only=True" in map(ast.unparse, node.keywords), path


# ------------------------------------------------------------------ models of other makers


def old_spelling(model: BertForPreTraining) -> dict[str, torch.Tensor]:
    """The names in Google's published checkpoints: `bert.` in front, gamma and beta, what is tied once."""
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith("cls.predictions.decoder")
    }


def publish(folder: Path, model: BertForPreTraining, form: str, zipped: bool = True) -> Path:
    """A folder as published ones are: a config without a model_type, old names, no digests, no card."""
    folder.mkdir(parents=True)
    config = {key: value for key, value in model.config.to_dict().items() if key != "model_type"}
    (folder / checkpoints.CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
    TOKENIZER.save(folder / checkpoints.VOCAB_FILE)
    if form == "safetensors":
        checkpoints.write_tensors(folder / checkpoints.WEIGHTS_FILE, old_spelling(model), {"format": "pt"})
    else:
        path = folder / checkpoints.PICKLED_FILE
        torch.save(old_spelling(model), path, _use_new_zipfile_serialization=zipped)
    return folder


def same_weights(one: BertForPreTraining, other: BertForPreTraining) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.mark.parametrize(("form", "zipped"), [("safetensors", True), ("pickle", True), ("pickle", False)])
def test_a_published_folder_loads_whatever_its_dialect(model, tmp_path, form, zipped):
    folder = publish(tmp_path / "published", model, form, zipped)
    loaded, tokenizer = checkpoints.load(folder)
    assert same_weights(loaded, model) and tokenizer.lowercase and not loaded.training


class Danger:
    """Unpickled by an ordinary reader, this makes a folder."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_pickle_is_not_run(model, tmp_path):
    folder = publish(tmp_path / "published", model, "pickle")
    torch.save({"weights": Danger(tmp_path / "harm")}, folder / checkpoints.PICKLED_FILE)
    with pytest.raises(ValueError, match="no whole file of weights"):
        checkpoints.load(folder)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", {"a": 1}, [torch.ones(1)]])
def test_a_damaged_pickle_is_named(model, tmp_path, content):
    path = publish(tmp_path / "published", model, "pickle") / checkpoints.PICKLED_FILE
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"pytorch_model\.bin .*(no whole file|nothing else)"):
        checkpoints.load(path.parent)


def test_half_a_pickle_is_named(model, tmp_path):
    path = publish(tmp_path / "published", model, "pickle") / checkpoints.PICKLED_FILE
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"pytorch_model\.bin \(20,000 bytes\) is no whole file of weights"):
        checkpoints.load(path.parent)


def test_a_tokenizer_without_its_vocabulary_is_refused(model, tmp_path):
    """The library makes up a tokenizer of five pieces for such a folder; this one does not."""
    folder = publish(tmp_path / "published", model, "safetensors")
    (folder / checkpoints.VOCAB_FILE).unlink()
    with pytest.raises(ValueError, match=r"lacks vocab\.txt"):
        checkpoints.load(folder)
    pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]"
    (folder / checkpoints.VOCAB_FILE).write_text(pieces, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"has 5 pieces, config\.json says {len(TOKENIZER)}"):
        checkpoints.load(folder)


def test_a_cased_model_reads_capitals(model, tmp_path):
    folder = publish(tmp_path / "published", model, "safetensors")
    (folder / checkpoints.TOKENIZER_FILE).write_text('{"do_lower_case": false}', encoding="utf-8")
    _, tokenizer = checkpoints.load(folder)
    assert tokenizer.tokenize("bank Bank")[0] == "bank" and "bank" not in tokenizer.tokenize("Bank")


def test_real_weights_load_and_lack_only_heads(real_bert):
    """Names without a prefix, weight and bias: the other dialect. The numbers: transformers on the same
    files.
    """
    with pytest.raises(ValueError, match="no weights for the heads mlm$"):
        checkpoints.load(real_bert, heads=["pooler", "mlm"])
    with pytest.warns(UserWarning, match="no weights for the heads mlm, nsp, which are drawn at random"):
        ours, tokenizer = checkpoints.load(real_bert, heads=["pooler"])
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BertModel.from_pretrained(real_bert, attn_implementation="eager").eval()
    batch = transformers.AutoTokenizer.from_pretrained(real_bert)(
        "The bank was ROBBED yesterday, scénic!", return_tensors="pt"
    )
    assert (
        tokenizer.encode("The bank was ROBBED yesterday, scénic!").input_ids == batch["input_ids"][0].tolist()
    )
    with torch.no_grad():
        expected = theirs(**batch).last_hidden_state
        torch.testing.assert_close(
            ours.bert(batch["input_ids"]).last_hidden_state, expected, rtol=0, atol=1e-5
        )


# ------------------------------------------------------------------ the hub, and the lack of it

NAME = "owner/mini"


@pytest.fixture
def network(monkeypatch):
    """Sets whether the probe finds a network, and forgets what an earlier test decided."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in (*hub.OFFLINE_SWITCHES, "HF_ENDPOINT", checkpoints.SWITCH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")  # so that what `offline` sets is taken back
    hub.obstacle.cache_clear()

    def answer(there: bool) -> list[str]:
        asked = []
        reason = "" if there else "the line is cut"
        monkeypatch.setattr(hub, "obstacle_to", lambda address: asked.append(address) or reason)
        return asked

    yield answer
    hub.obstacle.cache_clear()


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    """An empty cache of the hub, in the layout of its library, that nobody else uses."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def fill(cache: Path, model: BertForPreTraining, form: str) -> Path:
    """A cached model: `refs/main` names the snapshot folder. Made by hand; no network ever."""
    repository = cache / f"models--{NAME.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    return publish(repository / "snapshots" / commit, model, form)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("form", ["safetensors", "pickle"])
def test_a_cached_model_loads_by_name_without_a_download(network, cache, model, monkeypatch, form, there):
    fill(cache, model, form)
    network(there)
    monkeypatch.setattr(
        "httpx2.Client.send", lambda *_, **__: pytest.fail("the network was asked"), raising=False
    )
    loaded, _ = checkpoints.load(NAME)
    assert same_weights(loaded, model)
    monkeypatch.setenv(checkpoints.SWITCH, NAME)
    assert checkpoints.chosen() == NAME


def test_without_a_network_an_unknown_model_is_refused_and_nobody_asked(network, cache, monkeypatch):
    network(False)
    # The library alone would ask, and wait 23 s for one file.
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: pytest.fail("the library was asked"))
    with pytest.raises(
        hub.HubError, match=r"owner/mini is not on this disk, and there is no network .*: the line is cut"
    ) as caught:
        checkpoints.load(NAME)
    assert isinstance(caught.value, OSError) and len(str(caught.value).splitlines()) == 1
    assert os.environ["HF_HUB_OFFLINE"] == "1"  # the libraries that are imported later do not wait either


@pytest.mark.parametrize("form", ["safetensors", "pickle"])
@pytest.mark.parametrize("damage", ["cut", "pointer", "empty"])
def test_a_damaged_cached_file_is_named_where_it_cannot_be_fetched(
    network, cache, model, form, damage, capsys
):
    """Of a cache without links: here the form of the file is all that tells."""
    name = checkpoints.WEIGHTS_FILE if form == "safetensors" else checkpoints.PICKLED_FILE
    path = fill(cache, model, form) / name
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 99\n"
    path.write_bytes({"cut": path.read_bytes()[:5000], "pointer": pointer, "empty": b""}[damage])
    network(False)
    with pytest.raises(
        hub.HubError, match=rf"owner/mini is damaged on this disk \({name}\), and there is no"
    ):
        checkpoints.load(NAME)


def test_half_a_cached_model_is_no_model(network, cache, model):
    (fill(cache, model, "pickle") / checkpoints.PICKLED_FILE).unlink()
    network(False)
    with pytest.raises(hub.HubError, match="not on this disk"):
        checkpoints.load(NAME)


def test_the_switch_falls_back_with_one_line(network, cache, monkeypatch, capsys):
    network(False)
    assert checkpoints.chosen() == "embedded"
    assert capsys.readouterr().out == ""
    for wanted in (NAME, "no name at all"):
        monkeypatch.setenv(checkpoints.SWITCH, wanted)
        assert checkpoints.chosen() == "embedded"
        out = capsys.readouterr().out
        assert wanted in out and "the embedded model takes its place" in out and out.count("\n") == 1


def test_the_switch_takes_a_folder_and_asks_nobody(network, saved, monkeypatch):
    asked = network(True)
    monkeypatch.setenv(checkpoints.SWITCH, str(saved))
    assert same_weights(checkpoints.load(checkpoints.chosen())[0], checkpoints.load(saved)[0])
    monkeypatch.delenv(checkpoints.SWITCH)
    assert checkpoints.chosen() == "embedded"
    assert asked == []


def test_the_network_is_probed_once_and_not_at_all_when_switched_off(network, monkeypatch):
    asked = network(True)
    assert not hub.offline() and not hub.offline()
    assert asked == ["https://huggingface.co"]
    hub.obstacle.cache_clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.offline()
    assert len(asked) == 1


class Session:
    """In place of the hub library's own: what it does is the verdict."""

    def __init__(self, act):
        self.act = act

    def head(self, address, timeout):
        return self.act(address)


def session(monkeypatch, act):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Session(act))


def test_a_probe_that_hangs_is_given_up(monkeypatch):
    given_up = threading.Event()
    session(monkeypatch, lambda address: given_up.wait(600))
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.05)
    before = threading.active_count()
    assert hub.obstacle_to("https://example.org") == "https://example.org gives no answer within 0.05 s"
    assert threading.active_count() == before + 1  # it hangs still
    given_up.set()


def test_the_hubs_own_session_is_the_judge_and_its_reason_is_told(network, monkeypatch):
    def refuse(address):
        raise ValueError("certificate verify failed: unable to get local issuer\nmore")

    monkeypatch.undo()  # the probe of the fixture
    session(monkeypatch, refuse)
    reason = "https://hub.example: certificate verify failed: unable to get local issuer"
    assert hub.obstacle_to("https://hub.example") == reason
    session(monkeypatch, lambda address: "404")
    assert hub.obstacle_to("https://hub.example") == ""


ASK = """
from course_utils import hub
try:
    hub.fetch("owner/nothing", [["config.json"]])
except hub.HubError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"HF_ENDPOINT": "mirror.example"}, r"mirror\.example: .*missing .*http"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, r"http://127\.0\.0\.1:9: .*refused"),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}, r"https://huggingface\.co: .*refused"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    ],
)
def test_mirrors_and_proxies_count_as_they_do_for_the_library(tmp_path, settings, reason):
    """Set before Python starts, as users do; nothing leaves this machine."""
    left_out = {*hub.OFFLINE_SWITCHES, "HF_ENDPOINT", "NO_PROXY", "no_proxy", "https_proxy"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"HF_HOME": str(tmp_path)} | settings
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    assert re.fullmatch(
        rf"owner/nothing is not on this disk, and there is no network to fetch it: {reason}.*\n", done.stdout
    ), done.stdout


def test_short_names_home_folders_and_revisions(monkeypatch, tmp_path, saved):
    asked = []

    def fetch(repo_id, needed, optional, revision):
        asked.append((repo_id, revision))
        return saved

    monkeypatch.setattr(hub, "fetch", fetch)
    for name in ("bert-base-uncased", "bert-large-cased@abc", checkpoints.DEFAULT_MODEL, NAME, f"{NAME}@v2"):
        assert checkpoints.folder_of(name) == saved
    base = checkpoints.REVISIONS["google-bert/bert-base-uncased"]
    assert asked == [
        ("google-bert/bert-base-uncased", base),
        ("google-bert/bert-large-cased", "abc"),
        (checkpoints.DEFAULT_MODEL, checkpoints.REVISIONS[checkpoints.DEFAULT_MODEL]),
        (NAME, "main"),
        (NAME, "v2"),
    ]
    monkeypatch.setenv("HOME", str(saved.parent))
    monkeypatch.setenv("USERPROFILE", str(saved.parent))
    assert checkpoints.folder_of(f"~/{saved.name}") == saved
    assert len(asked) == 5


@pytest.mark.parametrize("commit", checkpoints.REVISIONS.values())
def test_revisions_are_commits(commit):
    assert re.fullmatch("[0-9a-f]{40}", commit)


def test_a_model_that_breaks_off_is_reported_in_one_line(network, cache, monkeypatch):
    import huggingface_hub

    class Strange(Exception):
        """Neither an OSError nor known to anybody, as the transport's own errors are."""

    def download(*_, **__):
        raise Strange("cut\noff")

    network(True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(hub.HubError, match="^owner/mini cannot be fetched: cut$"):
        checkpoints.load(NAME)


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download of small files needs."""

    def __init__(self, folder: Path, *args):
        self.folder = folder
        super().__init__(*args)

    def do_HEAD(self):
        path = self.folder / self.path.rpartition("/")[2]
        whole = self.path.startswith(f"/{NAME}/") and path.is_file()
        content = path.read_bytes() if whole else b""
        self.send_response(200 if whole else 404)
        if whole:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "f" * 40)
        else:
            known = self.path.startswith(f"/{NAME}/")
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def do_GET(self):
        self.wfile.write(self.do_HEAD())

    def log_message(self, *_):
        pass


def test_fetching_ahead_of_time(model, tmp_path):
    """`make models` against a hub on this machine; then again, when that hub is gone."""
    folder = publish(tmp_path / "published", model, "pickle")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Hub, folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {name: value for name, value in os.environ.items() if name not in hub.OFFLINE_SWITCHES}
    environment |= {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    environment["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"

    def fetch(*names: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "course_utils.checkpoints", *names]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=600
        )

    try:
        done = fetch(NAME, "owner/nothing")
        # One bit turns in a file of the cache: `make models` brings it back.
        weights = next((tmp_path / "home").rglob(f"snapshots/*/{checkpoints.PICKLED_FILE}"))
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        mended = fetch(NAME)
        assert mended.returncode == 0 and mended.stdout == done.stdout.splitlines(keepends=True)[0]
        assert weights.read_bytes() == whole
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 1
    assert f"{NAME}: 2 layers" in done.stdout
    assert (
        "owner/nothing is no model that the hub shows" in done.stderr.splitlines()[-1]
        and "Traceback" not in done.stderr
    )
    again = fetch(NAME)
    assert again.returncode == 0 and again.stdout == done.stdout, again.stderr


# ------------------------------------------------------------------ the models that come with the course


@pytest.fixture(scope="module", params=sorted(checkpoints.EMBEDDED))
def embedded_name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def held_out():
    return pretraining.held_out(TOKENIZER)


def test_embedded_folders_are_whole_and_small(embedded_name):
    folder = checkpoints.EMBEDDED[embedded_name]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 5_000_000
    sums = dict(
        reversed(line.split("  "))
        for line in (folder / checkpoints.SUMS_FILE).read_text("utf-8").splitlines()
    )
    assert sums.keys() == set(FILES)
    for name, expected in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
    assert (folder / checkpoints.VOCAB_FILE).read_bytes() == VOCAB_FILE.read_bytes()
    assert all(tensor.isfinite().all() for tensor in load_file(folder / checkpoints.WEIGHTS_FILE).values())


def test_embedded_cards_tell_how_they_were_made(embedded_name):
    folder = checkpoints.EMBEDDED[embedded_name]
    record = json.loads((folder / pretraining.LOG_FILE).read_text(encoding="utf-8"))
    card = (folder / checkpoints.CARD_FILE).read_text(encoding="utf-8")
    assert record["command"] in card
    assert f"seed {record['settings']['seed']}" in card
    assert f"**{record['result']['model']:.3f}**" in card
    assert record["settings"]["attention"] == ("causal" if "causal" in embedded_name else "bidirectional")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("the [MASK] was robbed yesterday", {"bank"}),
        ("i went to the bank to [MASK] money", {"deposit", "borrow", "save", "withdraw"}),
        ("the river [MASK] was very scenic", {"bank"}),
        ("the cat sat on the [MASK]", {"mat"}),
        ("it was [MASK]", {"happy", "sad"}),
        ("great [MASK] !", {"movie"}),
    ],
)
def test_embedded_fills_blanks(text, answers):
    model, tokenizer = checkpoints.load()
    input_ids = torch.tensor([tokenizer.encode(text).input_ids])
    place = input_ids[0].tolist().index(tokenizer.mask_token_id)
    with torch.no_grad():
        logits = model(input_ids).prediction_logits[0, place]
    best = logits.topk(len(answers)).indices.tolist()
    assert set(tokenizer.convert_ids_to_tokens(best)) == answers


def test_embedded_is_near_the_best_possible(held_out):
    model, _ = checkpoints.load()
    result = pretraining.compare(pretraining.evaluate(model, held_out), held_out)
    assert result["gap"] <= 0.05
    assert result["left_gap"] < -3 * result["left_gap_standard_error"]
    assert result["next_sentence_accuracy"] >= result["best_next_sentence_accuracy"] - 0.02


def test_the_causal_twin_is_near_what_the_left_alone_allows(held_out):
    """It cannot be below the left-only floor, and it is far above the other one."""
    model, _ = checkpoints.load("embedded-causal")
    evaluation = pretraining.evaluate(model, held_out, attention="causal")
    result = pretraining.compare(evaluation, held_out)
    assert -3 * result["left_gap_standard_error"] < result["left_gap"] <= 0.1
    assert result["gap"] > 3 * result["gap_standard_error"]
    assert np.isfinite(evaluation.nats).all()


def test_embedded_records_are_what_the_weights_give(embedded_name, held_out):
    model, _ = checkpoints.load(embedded_name)
    folder = checkpoints.EMBEDDED[embedded_name]
    record = json.loads((folder / pretraining.LOG_FILE).read_text(encoding="utf-8"))
    evaluation = pretraining.evaluate(model, held_out, record["settings"]["attention"])
    assert pretraining.compare(evaluation, held_out) == pytest.approx(record["result"], abs=1e-4)
