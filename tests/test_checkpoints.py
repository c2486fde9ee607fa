"""Models on disk: saved, loaded, read by `transformers`; damage is named; the embedded ones are good."""

import ast
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import course_utils
from course_utils import checkpoints, pretraining
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.toy_language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer

TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)
FILES = (checkpoints.CONFIG_FILE, checkpoints.WEIGHTS_FILE, checkpoints.VOCAB_FILE, checkpoints.CARD_FILE)


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


def test_damaged_digests_are_noticed(copy):
    sums = copy / checkpoints.SUMS_FILE
    sums.write_text("half a li", encoding="utf-8")
    with pytest.raises(ValueError, match=str(checkpoints.SUMS_FILE)):
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


def test_a_vocabulary_of_another_size_is_refused(copy):
    (copy / checkpoints.SUMS_FILE).unlink()
    with open(copy / checkpoints.VOCAB_FILE, "a", encoding="utf-8") as file:
        file.write("zebra\n")
    with pytest.raises(ValueError, match=f"vocab.txt has {len(TOKENIZER) + 1} pieces, config.json says"):
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
        ValueError, match="name is 'nowhere'; it must be one of embedded, embedded-causal, or"
    ):
        checkpoints.load("nowhere")
    monkeypatch.setitem(checkpoints.EMBEDDED, "embedded", tmp_path / "gone")
    with pytest.raises(ValueError, match="gone is missing; install the course again"):
        checkpoints.load()
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        checkpoints.read_tensors(Path("nowhere"))


def test_nothing_in_the_package_pickles():
    for path in Path(course_utils.__file__).parent.rglob("*.py"):
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
                assert not (node.value.id == "torch" and node.attr in ("save", "load")), path


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
