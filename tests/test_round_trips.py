"""Whole models out and in again, the same to the last setting; the library reads and writes them alike."""

import json
import shutil
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import NAMES, PIECES, tokenizers

from course_utils import checkpoints, finetuning, hub
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.toy.tasks import Question, TaggedWords

transformers = pytest.importorskip("transformers")

TEXTS = st.lists(st.sampled_from([*PIECES, *NAMES, " ", "ba "])).map("".join).map("ba {}".format)


def random_model(tokenizer, head=BertForPreTraining, **sizes):
    """A tiny model for a tokenizer, its weights far from one another."""
    config = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config |= {"vocab_size": len(tokenizer), "max_position_embeddings": 48, "initializer_range": 0.5} | sizes
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return head(BertConfig(**config)).eval()


def assert_same_logits(ours, theirs, names, **inputs):
    with torch.no_grad():
        one, other = ours(**inputs), theirs(**inputs)
    for name in names:
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=1e-5)


PRETRAINING = ("prediction_logits", "seq_relationship_logits")


@settings(max_examples=15)
@given(tokenizer=tokenizers(), texts=st.lists(TEXTS, min_size=2, max_size=4), spare=st.integers(0, 100))
def test_a_pretrained_model_comes_back(tokenizer, texts, spare, tmp_path_factory):
    model = random_model(tokenizer, vocab_size=len(tokenizer) + spare)
    folder = tmp_path_factory.mktemp("pretrained")
    checkpoints.save(folder, model, tokenizer, "# A card\n")
    again, back = checkpoints.load(folder, heads=list(checkpoints.HEADS))
    theirs = transformers.AutoModelForPreTraining.from_pretrained(folder).eval()
    batch = transformers.AutoTokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, return_tensors="pt"
    )
    assert again.config == model.config
    assert back.batch(texts, max_length=48) == {name: batch[name].tolist() for name in batch}
    assert all(map(torch.equal, again.parameters(), model.parameters()))
    assert_same_logits(again, theirs, PRETRAINING, **batch)


@st.composite
def any_task(draw):
    """A task with drawn labels, lengths and tokenizer, and examples that it can read."""
    tokenizer, texts = draw(tokenizers()), draw(st.lists(TEXTS, min_size=2, max_size=4))
    labels = draw(st.lists(st.text(min_size=1), min_size=2, max_size=5, unique=True))
    max_length = draw(st.integers(24, 48))
    kind = draw(st.sampled_from(("text", "tags", "question")))
    if kind == "text":
        return finetuning.TextClassification(tokenizer, labels, max_length), texts
    if kind == "tags":
        tags = finetuning.TokenClassification(tokenizer, labels, max_length)
        return tags, [TaggedWords(tuple(text.split()), (labels[0],) * len(text.split())) for text in texts]
    stride, max_answer = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    asking = finetuning.QuestionAnswering(tokenizer, max_length, stride, max_answer)
    return asking, [Question("ba", text, ()) for text in texts]


@settings(max_examples=30)
@given(any_task())
def test_a_finetuned_model_comes_back(tmp_path_factory, drawn):
    task, examples = drawn
    model = random_model(task.tokenizer, task.head, num_labels=len(task.labels))
    folder = tmp_path_factory.mktemp("finetuned")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that long texts are cut
        finetuning.save(folder, model, task)
        again, back = finetuning.load(folder)
        assert type(back) is type(task) and back.labels == task.labels and back.settings == task.settings
        rows = task.encode(examples) if not isinstance(examples[0], str) else None
        assert rows is None or back.encode(examples) == rows
        one, other = task.predict(model, examples), back.predict(again, examples)
        assert list(one) == list(other)
    library = transformers.AutoTokenizer.from_pretrained(folder)
    texts = [each if isinstance(each, str) else "ba" for each in examples]
    batch = library(texts, padding=True, truncation=True, return_tensors="pt")
    theirs = getattr(transformers, task.head.__name__).from_pretrained(folder).eval()
    assert tuple(theirs.config.id2label.values()) == task.labels
    outputs = ("start_logits", "end_logits") if task.labels == ("start", "end") else ("logits",)
    assert_same_logits(again, theirs, outputs, **batch)
    if isinstance(examples[0], str):
        expected = theirs(**batch).logits.double().softmax(-1)
        torch.testing.assert_close(
            torch.tensor(back.predict_proba(again, examples)), expected, rtol=0, atol=1e-5
        )


# ---- Folders of the library ------------------------------------------------------------------------------

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(30)), "ba", "##ba"]


@pytest.fixture
def library():
    """Makes a tokenizer and a model of the library, of a class, and saves both."""

    def make(folder, class_name, added=(), rows=37, **saving):
        tokenizer = transformers.BertTokenizer(vocab={piece: i for i, piece in enumerate(VOCAB)})
        tokenizer.add_tokens(list(added))
        config = transformers.BertConfig(
            vocab_size=rows,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=8,
            max_position_embeddings=16,
            num_labels=2 if "Question" in class_name else 3,
        )
        with torch.random.fork_rng():
            torch.manual_seed(2)
            model = getattr(transformers, class_name)(config).eval()
            if added:
                model.resize_token_embeddings(len(tokenizer))
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder, **saving)
        return model, tokenizer

    return make


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, 1),
        ({"added": ["<url>", "Covid"]}, 1),
        ({"rows": 64}, 1),
        ({"max_shard_size": "2KB"}, 3),
    ],
)
def test_a_folder_of_the_library_loads(library, tmp_path, options, weights):
    theirs, tokenizer = library(tmp_path, "BertForPreTraining", **options)
    assert len(list(tmp_path.glob("*.safetensors"))) >= weights and not (tmp_path / "vocab.txt").exists()
    ours, ours_tokenizer = checkpoints.load(tmp_path, heads=list(checkpoints.HEADS))
    batch = tokenizer(["ba w3 <url> COVID", "baba"], padding=True, return_tensors="pt")
    assert ours_tokenizer.batch(["ba w3 <url> COVID", "baba"]) == {
        name: batch[name].tolist() for name in batch
    }
    assert_same_logits(ours, theirs, PRETRAINING, **batch)


@pytest.mark.parametrize(
    ("class_name", "missing"),
    [
        ("BertForPreTraining", []),
        ("BertForMaskedLM", ["pooler", "nsp"]),
        ("BertModel", ["mlm", "nsp"]),
        ("BertForNextSentencePrediction", ["mlm"]),
        ("BertForTokenClassification", ["pooler", "mlm", "nsp"]),
        ("BertForSequenceClassification", ["mlm", "nsp"]),
    ],
)
def test_heads_are_asked_for_by_need(library, tmp_path, class_name, missing, monkeypatch, capsys):
    """What the command accepts, `load` gives and `chosen` keeps; a head that lacks and is needed is named."""
    library(tmp_path, class_name)
    capsys.readouterr()  # the library's progress
    assert checkpoints.main([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "2 layers" in out and err.count("\n") == bool(missing)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        checkpoints.load(tmp_path, heads=[head for head in checkpoints.HEADS if head not in missing])
    assert all(note.filename == __file__ for note in notes)  # where `load` was called
    names = ", ".join(missing)
    assert [f"no weights for the heads {names}, which" in str(note.message) for note in notes] == [
        True
    ] * bool(missing)
    monkeypatch.setenv(checkpoints.SWITCH, str(tmp_path))
    assert checkpoints.chosen() == str(tmp_path)
    assert capsys.readouterr().out == ""
    for head in missing:
        with pytest.raises(ValueError, match=f"no weights for the heads {head}$"):
            checkpoints.load(tmp_path, [head])
        assert checkpoints.chosen([head]) == "embedded"
        assert f"the heads {head}; the embedded model takes its place." in capsys.readouterr().out


def test_a_head_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="heads: expected one of pooler, mlm, nsp, got 'decoder'"):
        checkpoints.load("embedded", ["decoder"])


@pytest.mark.parametrize("kind", ["TextClassification", "TokenClassification", "QuestionAnswering"])
def test_a_finetuned_model_of_the_library_loads(library, tmp_path, kind):
    head = getattr(finetuning, kind).head.__name__
    theirs, tokenizer = library(tmp_path, head)
    ours, task = finetuning.load(tmp_path)
    assert task.max_length == 16 and (
        task.labels == ("start", "end") or task.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    )
    batch = tokenizer(["ba w3", "baba"], padding=True, return_tensors="pt")
    assert_same_logits(
        ours, theirs, ("start_logits", "end_logits") if "Question" in kind else ("logits",), **batch
    )


def test_another_problem_is_refused(library, tmp_path):
    library(tmp_path, "BertForSequenceClassification")
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["problem_type"] = "multi_label_classification"
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(
        ValueError, match="problem_type: expected single_label_classification, got multi_label"
    ):
        finetuning.load(tmp_path)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (None, "weight_map: expected names of files beside it, got None"),
        ({}, "weight_map: expected names of files beside it, got {}"),
        ({"a": "../model.safetensors"}, "weight_map: expected names of files beside it"),
        ({"a": "part.safetensors"}, r"lacks part\.safetensors$"),
    ],
)
def test_an_index_names_files_that_are_there(library, tmp_path, parts, message):
    library(tmp_path, "BertForPreTraining")
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": parts}), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=message):
        checkpoints.load(tmp_path)


def test_by_name_all_files_of_a_model_are_fetched(library, tmp_path, monkeypatch):
    """Of a folder of the library in parts: what `hub.fetch` is asked for is enough to load it."""
    theirs, _ = library(tmp_path / "there", "BertForPreTraining", added=["<url>"], max_shard_size="2KB")
    here = tmp_path / "here"

    def fetch(repo_id, needed, optional=(), revision="main"):
        here.mkdir(exist_ok=True)
        for names in [*needed, *([name] for name in optional)]:
            for path in [
                tmp_path / "there" / name for name in names if (tmp_path / "there" / name).is_file()
            ][:1]:
                shutil.copy(path, here)
        return here

    monkeypatch.setattr(hub, "fetch", fetch)
    ours, tokenizer = checkpoints.load("owner/parts", heads=list(checkpoints.HEADS))
    assert tokenizer.vocab["<url>"] == len(VOCAB)
    assert_same_logits(ours, theirs, PRETRAINING, input_ids=torch.tensor([[2, 5, len(VOCAB), 3]]))


def test_by_name_a_model_in_parts_loads_from_the_cache(library, tmp_path, monkeypatch):
    """No vocab.txt, and weights in parts, of which one is then taken away."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "obstacle", lambda: "the line is cut")
    repository, commit = tmp_path / "models--owner--parts", "0123456789abcdef" * 2 + "01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    theirs, _ = library(repository / "snapshots" / commit, "BertForPreTraining", max_shard_size="2KB")
    ours, _ = checkpoints.load("owner/parts", heads=list(checkpoints.HEADS))
    assert_same_logits(ours, theirs, PRETRAINING, input_ids=torch.tensor([[2, 5, 3]]))
    next((repository / "snapshots" / commit).glob("*-00002-*")).unlink()
    with pytest.raises(hub.HubError, match="owner/parts is not on this disk, and there is no network"):
        checkpoints.load("owner/parts")


def spoil_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])


def spoil_class(folder):
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertJapaneseTokenizer"}', encoding="utf-8"
    )


def spoil_sizes(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | {"num_hidden_layers": 4}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize("spoil", [spoil_weights, spoil_class, spoil_sizes])
def test_a_chosen_model_that_cannot_be_used_gives_way_with_one_line(
    library, tmp_path, spoil, monkeypatch, capsys
):
    library(tmp_path, "BertForPreTraining")
    spoil(tmp_path)
    capsys.readouterr()
    monkeypatch.setenv(checkpoints.SWITCH, str(tmp_path))
    assert checkpoints.chosen() == "embedded"
    out = capsys.readouterr().out
    assert (
        str(tmp_path) in out
        and out.count("\n") == 1
        and out.endswith("; the embedded model takes its place.\n")
    )
    assert checkpoints.main([str(tmp_path)]) == 1


def test_nothing_is_written_beside_the_tokenizer_of_another_model(library, tmp_path):
    library(tmp_path, "BertForPreTraining")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    model, tokenizer = checkpoints.load("embedded")
    with pytest.raises(ValueError, match=r"folder: expected one without .* which has tokenizer\.json"):
        checkpoints.save(tmp_path, model, tokenizer, "# A card\n")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
