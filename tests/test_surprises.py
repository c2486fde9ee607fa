"""The table of surprises in docs/your_own_checkpoint.md: each row, run on the library and on the course."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from course_utils import checkpoints
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.files import write_tensors
from course_utils.vocabularies import DialectTokenizer, read_tokenizer, write_tokenizer
from course_utils.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer

transformers = pytest.importorskip("transformers")

PAGE = (Path(__file__).parent.parent / "docs" / "your_own_checkpoint.md").read_text(encoding="utf-8")
ROWS = [line.split(" | ")[0].removeprefix("| ") for line in PAGE.splitlines() if line.startswith("| ")][1:]
VOCAB = [*SPECIAL_TOKENS, "the", "bank", "[unused1]", "Bank", "Great", "was", "##s"]
RUN = {}


def row(beginning):
    """The function runs the row that begins so, in a folder with config.json and vocab.txt."""

    def keep(function):
        RUN[beginning] = function
        return function

    return keep


def write(folder, name, content):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def theirs(folder):
    return transformers.AutoTokenizer.from_pretrained(folder)


def whole_file(folder, **options):
    transformers.BertTokenizer(vocab={piece: i for i, piece in enumerate(VOCAB)}, **options).save_pretrained(
        folder
    )


@row("a cased vocabulary without")
def case_of_nobody(folder):
    assert theirs(folder).tokenize("Great") == ["[UNK]"]
    assert read_tokenizer(folder).tokenize("Great") == ["Great"]


@row("a `tokenizer.json` that says")
def case_of_one_file(folder):
    whole_file(folder, do_lower_case=False)
    write(folder, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    assert theirs(folder).tokenize("Great") == ["[UNK]"]
    assert read_tokenizer(folder).tokenize("Great") == ["Great"]


@row("a `vocab.txt` in which you")
def edited(folder):
    whole_file(folder)
    write(folder, "vocab.txt", "\n".join(VOCAB).replace("[unused1]", "covid"))
    assert theirs(folder).tokenize("covid") == ["[UNK]"]
    with pytest.raises(ValueError, match=r"vocab\.txt, line 8: expected '\[unused1\]' .* got 'covid'"):
        read_tokenizer(folder)


@row("`BertTokenizer(vocab_file")
def old_keyword(folder):
    assert len(transformers.BertTokenizer(vocab_file=str(folder / "vocab.txt"))) == 5


@row("a BERT tokenizer to save")
def saved(folder):
    theirs(folder).save_pretrained(folder / "theirs")
    assert {path.name for path in (folder / "theirs").iterdir()} == {
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert [Path(name).name for name in theirs(folder).save_vocabulary(str(folder))] == ["tokenizer.model"]
    write_tokenizer(folder / "ours", read_tokenizer(folder), 512)
    assert {path.name for path in (folder / "ours").iterdir()} == {"vocab.txt", "tokenizer_config.json"}


@row("a `vocab.txt` with a byte")
def marked(folder):
    write(folder, "vocab.txt", "\ufeff" + "\n".join(VOCAB))
    assert theirs(folder).pad_token_id == len(VOCAB) and read_tokenizer(folder).pad_token_id == 0


@row("the pieces U+2028")
def separators(folder):
    write(folder, "vocab.txt", "\n".join([*VOCAB[:6], "\u2028", "##\u2028", *VOCAB[6:]]))
    assert theirs(folder).convert_ids_to_tokens([6, 7, 8]) == ["", "##", "bank"]
    assert read_tokenizer(folder).vocab["bank"] == 8


@row("a piece that stands in")
def doubled(folder):
    write(folder, "vocab.txt", "\n".join([*VOCAB, "the"]))
    write(folder, "tokenizer_config.json", {"do_lower_case": True, "extra_special_tokens": ["<url>"]})
    library, ours = theirs(folder), read_tokenizer(folder)
    assert library.vocab_size == len(VOCAB)
    assert library.convert_tokens_to_ids("<url>") == library.convert_tokens_to_ids("the") == len(VOCAB)
    assert (ours.vocab["the"], ours.vocab["<url>"]) == (len(VOCAB), len(VOCAB) + 1)


@row("`added_tokens.json` whose ids")
def gap(folder):
    write(folder, "added_tokens.json", {"<url>": len(VOCAB) + 2})
    assert theirs(folder).convert_tokens_to_ids("<url>") == len(VOCAB)
    with pytest.raises(ValueError, match="id of '<url>': expected 12, got 14"):
        read_tokenizer(folder)


@row("a token added with")
def decoded(folder):
    library = theirs(folder)
    library.add_tokens(["<URL>"])
    ids = library("<url>")["input_ids"]
    assert ids[1] == len(VOCAB) and library.decode(ids, skip_special_tokens=True) == "<url>"
    library.save_pretrained(folder)
    ours = read_tokenizer(folder)
    assert isinstance(ours, DialectTokenizer) and ours.encode("<url>").input_ids == ids
    assert ours.decode(ids) == "<URL>"


@row("`additional_special_tokens` as objects")
def objects(folder):
    write(folder, "special_tokens_map.json", {"additional_special_tokens": [{"content": "<url>"}]})
    with pytest.raises(TypeError):
        theirs(folder)
    assert read_tokenizer(folder).tokenize("<url>") == ["<url>"]


@row("`do_basic_tokenize`, `never_split`")
def passed_over(folder):
    before = theirs(folder)("the\u200b <url>")["input_ids"]
    for name, value in (("do_basic_tokenize", False), ("never_split", ["<url>"]), ("clean_text", False)):
        write(folder, "tokenizer_config.json", {name: value})
        assert theirs(folder)("the\u200b <url>")["input_ids"] == before
        with pytest.raises(ValueError, match=f"{name}: expected"):
            read_tokenizer(folder)


@row("both weights of a tied pair")
def untied(folder):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForPreTraining(BertConfig(vocab_size=len(VOCAB), max_position_embeddings=8, **sizes))
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors["cls.predictions.decoder.weight"] += 1
    write(folder, "config.json", model.config.to_dict())
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    library = transformers.BertForPreTraining.from_pretrained(folder)
    words, decoder = library.get_input_embeddings().weight, library.get_output_embeddings().weight
    assert library.config.tie_word_embeddings and not torch.equal(words, decoder)
    with pytest.raises(ValueError, match=r"broken tie: cls\.predictions\.decoder\.weight"):
        checkpoints.load(folder)


@row("`BertConfig(num_labels=3")
def names_thrown_away(folder):
    config = transformers.BertConfig(num_labels=3, id2label={0: "no", 1: "yes"})
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}


@row("padded rows and no")
def padded(folder):
    ids = torch.tensor([[2, 5, 3, 0]])
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformers.modeling_utils.logger, "warning_once", told.append)
        for kind in ("Bert", "Deberta"):
            config = getattr(transformers, f"{kind}Config")(vocab_size=9, max_position_embeddings=8, **sizes)
            getattr(transformers, f"{kind}Model")(config)(ids)
            assert bool(told) == (kind != "Bert")
    with pytest.warns(UserWarning, match="there is no attention_mask"):
        BertForPreTraining(BertConfig(vocab_size=9, max_position_embeddings=8, **sizes))(ids)


@pytest.mark.parametrize("beginning", RUN)
def test_a_surprise_is_one_still(beginning, tmp_path):
    write(tmp_path, "config.json", {"model_type": "bert"})
    write(tmp_path, "vocab.txt", "\n".join(VOCAB))
    RUN[beginning](tmp_path)


def test_the_table_names_each_of_them_and_the_versions():
    assert [sum(text.startswith(beginning) for beginning in RUN) for text in ROWS] == [1] * len(RUN)
    assert f"transformers {version('transformers')} and tokenizers {version('tokenizers')}" in PAGE


def test_a_plain_folder_is_no_surprise(tmp_path):
    write(tmp_path, "config.json", {"model_type": "bert"})
    write_tokenizer(tmp_path, WordPieceTokenizer(VOCAB), 512)
    assert (
        theirs(tmp_path)("the banks")["input_ids"] == read_tokenizer(tmp_path).encode("the banks").input_ids
    )
