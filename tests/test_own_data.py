"""Your own data: what a file may hold, how it is split, and the way from it to a model that was saved."""

import json
import os
import random
import re
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import checkpoints, finetuning, own_data, training
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.commands import finetuning as command
from course_utils.files import only_run
from course_utils.toy.language import VOCAB_FILE
from course_utils.toy.tasks import LabelledText
from course_utils.wordpiece import WordPieceTokenizer

PAGE = Path(__file__).parent.parent / "docs" / "your_own_data.md"
WORDS = {"1": ["bad", "awful", "dull"], "5": ["good", "lovely", "great"]}


def reviews(n, seed=0):
    """n different texts with a number and stars: [[number, text, stars], ...]."""
    source = random.Random(seed)
    found = {}
    while len(found) < n:
        stars = source.choice(list(WORDS))
        words = source.choices(WORDS[stars], k=3)
        found.setdefault(f'the "film" was {", ".join(words)} {source.choice("abcdef")}', stars)
    return [[str(number), text, stars] for number, (text, stars) in enumerate(found.items())]


def write(path, rows, delimiter=",", header=("id", "review", "stars"), encoding="utf-8"):
    import csv

    with open(path, "w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A folder with an encoder of one layer, without pretraining heads, as of sentence encoders."""
    torch.manual_seed(0)
    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    folder = tmp_path_factory.mktemp("encoder")
    model = BertForPreTraining(config)
    checkpoints.save(folder, model, tokenizer, "")
    weights = {name: p.detach() for name, p in model.named_parameters() if not name.startswith("cls.")}
    checkpoints.write_tensors(folder / checkpoints.WEIGHTS_FILE, weights, {"format": "pt"})
    (folder / checkpoints.SUMS_FILE).unlink()
    return folder


# ------------------------------------------------------------------------------------------ what is read


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_and_a_list_are_read_alike(tmp_path, delimiter, encoding):
    rows = reviews(40)
    rows[3][1] += "\nwith a second line; a tab\t, and a café"
    path = write(tmp_path / "reviews.csv", rows, delimiter, encoding=encoding)
    data = own_data.read(path, text="review", label="stars")
    assert data == own_data.read([(text, int(stars)) for _, text, stars in rows])
    assert data.labels == ("1", "5") and data.notes == ()
    together = {each.text: data.labels[each.label] for each in [*data.train, *data.dev, *data.test]}
    assert together == {text: stars for _, text, stars in rows}


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(3, 60), min_size=2), st.integers(0, 99))
def test_each_part_has_each_class_in_its_share(counts, seed):
    pairs = [(f"{name} {n}", name) for name, count in counts.items() for n in range(count)]
    random.Random(seed).shuffle(pairs)
    data = own_data.read(pairs, seed=seed)
    assert data.labels == tuple(sorted(counts))
    parts = [data.train, data.dev, data.test]
    assert sorted(each.text for part in parts for each in part) == sorted(text for text, _ in pairs)
    for number, name in enumerate(data.labels):
        assert all(each.text.startswith(name) == (each.label == number) for part in parts for each in part)
        train, dev, test = (Counter(each.label for each in part)[number] for part in parts)
        assert dev == test == max(1, round(counts[name] / 10)) and train >= 1
    assert own_data.read(pairs, seed=seed) == data


@pytest.mark.parametrize("label", [None, 0.5, ["good"]])
def test_a_label_of_the_wrong_kind_is_named_by_its_example(label):
    examples = [LabelledText("good", 1), LabelledText("bad", label)] * 6
    for split in (
        lambda: own_data.split(examples, seed=0),
        lambda: own_data.split_by_group(examples, list("abc") * 4, seed=0),
    ):
        with pytest.raises(ValueError, match="label of example 1: expected the name of a class, .*, got "):
            split()


def test_another_seed_draws_another_split():
    pairs = [(text, stars) for _, text, stars in reviews(60)]
    one, other = own_data.read(pairs, seed=1), own_data.read(pairs, seed=2)
    assert {each.text for each in one.test} != {each.text for each in other.test}


def test_numbers_are_ordered_by_value_and_names_by_letters():
    texts = [f"text {n}" for n in range(9)]
    assert own_data.read(zip(texts, [10, 9, -1] * 3, strict=True)).labels == ("-1", "9", "10")
    assert own_data.read(zip(texts, ["10", "9", "b"] * 3, strict=True)).labels == ("10", "9", "b")
    assert own_data.read(zip(texts, np.array([1, 0, 2] * 3), strict=True)).labels == ("0", "1", "2")
    answers = [True, False, True] * 3  # as a CSV file would have them
    assert own_data.read(zip(texts, answers, strict=True)).labels == ("False", "True")
    assert own_data.read(zip(texts, np.array(answers), strict=True)).labels == ("False", "True")


def test_rows_that_teach_nothing_are_left_out_and_reported(tmp_path):
    rows = [*reviews(20), ["", " ", "5"], ["", "no label", ""], ["", "", "1"]]
    rows += [[0, rows[0][1] + " ", rows[0][2]], [1, rows[1][1], "5" if rows[1][2] == "1" else "1"]]
    with pytest.warns(UserWarning, match=r"^2 left out without a text \(first: line 22\)$"):
        data = own_data.read(write(tmp_path / "reviews.csv", rows), text="review", label="stars")
    assert data.notes == (
        "2 left out without a text (first: line 22)",
        "1 left out without a label (first: line 23)",
        "1 left out because the same text occurs earlier (first: line 25)",
        "1 left out because the same text occurs earlier under another label (first: line 26)",
    )
    assert len(data.train) + len(data.dev) + len(data.test) == 20


def test_tasks_of_two_texts(tmp_path):
    rows = [[f"a {n}", f"b {n % 3}", "xyz"[n % 3]] for n in range(12)] + [["a 0", "", "x"]]
    path = write(tmp_path / "pairs.csv", rows, header=("one", "two", "label"))
    with pytest.warns(UserWarning, match="1 left out"):
        data = own_data.read(path, text="one", text_pair="two")
    assert data.notes == ("1 left out without a text (first: line 14)",)
    assert replace(data, notes=()) == own_data.read([(one, label, two) for one, two, label in rows[:-1]])
    together = {(each.text, each.text_pair) for each in [*data.train, *data.dev, *data.test]}
    assert together == {(one, two) for one, two, _ in rows[:-1]}


# ------------------------------------------------------------------------------------------ what is refused

HEAD = "id,review,stars\n"
ROWS = "".join(f"{n},text {n},{n % 2}\n" for n in range(6))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id;review;stars\n1;a;1.0\n", "label of line 2: .* got '1.0'; .*; write 1.0 as 1"),
        ("id|review|stars\n", r"got columns id\|review\|stars; a comma, a semicolon or a tab stands between"),
        (HEAD + '1,"a "film" of",1\n', "line 2: expected cells as CSV writes them, .*; a double quote in a"),
        (HEAD + "1,a,1\n2,a,5\n", "two classes or more, got one class only .*; a model learns to tell"),
        ("", "reviews.csv: expected a first line with the names of the columns, got an empty one"),
        (HEAD, "labels: expected two classes or more, got no labelled text"),
        ("id,text,stars\n" + ROWS, "expected one column 'review', got columns id, text, stars"),
        ("id,review,review,stars\n", "expected one column 'review', got columns id, review, review, stars"),
        (
            HEAD + ROWS + "7,a, b,1\n",
            "line 8: expected 3 cells, got 4; a text that holds ',' .* double quotes",
        ),
        (HEAD + ROWS + "7,a\n", "line 8: expected 3 cells, got 2"),
        (HEAD + '1,"a\nb",1\n2,"c', "line 4: expected cells as CSV writes them, got unexpected end of data"),
        (
            HEAD + ROWS + "7,a,4.5\n",
            "label of line 8: expected the name .* got '4.5'; a measure has no classes",
        ),
        (HEAD + ROWS + "7,a,1e3\n", "label of line 8: expected the name of a class, .* got '1e3'"),
        (HEAD + ROWS.replace(",0\n", ",1\n"), r"two classes or more, got one class only \(1\)"),
        (HEAD + ROWS + "7,a,9\n", "expected each class 3 times or more, .* got '9' once"),
        (HEAD.encode() + b"1,caf\xe9,1\n", "expected a CSV file in UTF-8, got byte 0xe9 at 21; save it"),
        (HEAD.encode("utf-16"), "expected a CSV file in UTF-8, got byte 0xff at 0"),
    ],
)
def test_files_that_are_refused(tmp_path, content, words):
    path = tmp_path / "reviews.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=words):
        own_data.read(path, text="review", label="stars")


@pytest.mark.parametrize(
    "content",
    [
        'id;"my, own, long, review";stars\n{}',
        'id, "review", "stars"\n1, "a, b", "1"\n{}',
        'id;review;stars\r1;"a, b, c";1\r{}',
    ],
    ids=["delimiters in a quoted name", "blanks before quotes", "line ends of old Macs"],
)
def test_dialects_of_csv(tmp_path, content):
    sign, end = (";", "\r") if "\r" in content else (";" if ";" in content else ", ", "\n")
    rows = ROWS.replace(",", sign).replace("\n", end)
    path = tmp_path / "reviews.csv"
    path.write_bytes(content.format(rows).encode())
    data = own_data.read(path, "my, own, long, review" if "own" in content else "review", "stars")
    assert data.labels == ("0", "1")
    texts = {each.text for each in [*data.train, *data.dev, *data.test]}
    assert texts >= {f"text {n}" for n in range(6)} and len(texts - {"a, b", "a, b, c"}) == 6


def test_rows_that_are_missing_are_named_before_their_class_is_refused():
    with (
        pytest.warns(UserWarning, match="^8 left out because the same text occurs earlier"),
        pytest.raises(ValueError, match="got 'a' once, 'b' once"),
    ):
        own_data.read([("good", "a"), ("bad", "b")] * 5)


def test_a_column_is_not_asked_for_twice(tmp_path):
    with pytest.raises(ValueError, match="columns: expected different ones, got 'review', 'stars', 'review'"):
        own_data.read(write(tmp_path / "a.csv", reviews(20)), "review", "stars", text_pair="review")


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (("a", 0.9), "label of example 6: expected the name of a class, or its number, got 0.9"),
        (("a", 1.0), "label of example 6: expected .* got 1.0"),
        (("a", None), "label of example 6: expected .* got None"),
        ((None, 1), "text of example 6: expected a string, got None"),
        (("a",), "example 6: expected"),
    ],
)
def test_examples_that_are_refused(example, words):
    with pytest.raises(ValueError, match=words):
        own_data.read([*((f"text {n}", n % 2) for n in range(6)), example])


# ------------------------------------------------------------------------------------------ to a model


def test_the_page_runs(tmp_path, monkeypatch):
    """Five lines from a file to a model that was saved and loaded again, as the page has them."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 5
    write(tmp_path / "reviews.csv", reviews(24))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(checkpoints.SWITCH, raising=False)
    names = {}
    exec(code, names)  # noqa: S102
    data, task = names["data"], names["task"]
    before = task.predict_proba(names["result"].model, data.test)
    assert task.predict_proba(names["model"], data.test) == pytest.approx(before, abs=1e-6)
    assert task.labels == ("1", "5") and len(names["result"].log) > 1


def test_the_settings_suit_the_size():
    assert own_data.settings_for(BertConfig.named("base")).learning_rate == 5e-5
    assert own_data.settings_for(BertConfig.named("tiny")) == finetuning.Settings()


@given(st.integers(1, 300).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_is_that_of_wilson(counts):
    """Its ends are where a share is 1.96 standard errors, by its own measure, from what was seen."""
    right, total = counts
    shown = re.fullmatch(r"(\S+) \((\S+) to (\S+)\)", str(own_data.Share(right, total)))
    share, low, high = map(float, shown.groups())
    grid = np.linspace(0, 1, 20_001)
    inside = grid[(grid - right / total) ** 2 <= 1.959964**2 * grid * (1 - grid) / total + 1e-12]
    assert (share, low, high) == pytest.approx((right / total, inside[0], inside[-1]), abs=6e-4)


def test_the_baseline_says_the_most_frequent_class(encoder):
    data = own_data.read([(f"text {n}", "yes" if n % 5 else "no") for n in range(100)])
    result, task = own_data.fine_tune(data, encoder, epochs=1, progress=False)
    shares = own_data.against_majority(result.model, task, data)
    assert shares["always 'yes'"] == own_data.Share(8, 10)
    assert shares["fine-tuned"].right == round(10 * task.score(result.model, data.test)["accuracy"])


# ------------------------------------------------------------------------------------------ the command


def test_the_command_goes_from_a_file_to_a_folder(tmp_path, capsys, encoder):
    path = write(tmp_path / "reviews.csv", [*reviews(40), ["", "", "1"], ["", "good " * 80, "5"]])
    output = tmp_path / "mine"
    options = ["--text", "review", "--label", "stars", "--model", str(encoder), "--output", str(output)]
    assert command.main([str(path), *options, "--epochs", "1"]) == 0
    shown = capsys.readouterr()
    assert "1 left out without a text (first: line 42)\n" in shown.err
    assert re.search(r"fine-tuned: 0\.\d+ \(0\.\d+ to [01]\.\d+\)\n  always '[15]': 0\.\d+ \(", shown.out)
    assert "fine-tuning: 100%" in shown.err
    model, task = finetuning.load(output)
    assert task.labels == ("1", "5")
    assert task.predict_proba(model, ["good film"]).shape == (1, 2)
    card = (output / checkpoints.CARD_FILE).read_text(encoding="utf-8")
    accuracies = re.findall(r"(fine-tuned|always '.')(?:: | \| )([^|\n]+\))", shown.out + card)
    assert len(accuracies) == 4 and len(set(accuracies)) == 2
    assert f"python -m course_utils.finetuning {path}" in card and "without a text" in card
    assert json.loads((output / checkpoints.CONFIG_FILE).read_text())["id2label"] == {"0": "1", "1": "5"}


def test_ctrl_c_keeps_the_best_model_and_says_so(tmp_path, capsys, monkeypatch, encoder):
    path = write(tmp_path / "reviews.csv", reviews(40))
    update = training.update

    def interrupted(*args):
        os.kill(os.getpid(), signal.SIGINT)
        return update(*args)

    monkeypatch.setattr(training, "update", interrupted)
    options = ["--text", "review", "--label", "stars", "--model", str(encoder)]
    assert command.main([str(path), *options, "--output", str(tmp_path / "mine")]) == 130
    end = re.search("kept: (epoch . of 1.*, stopped by Ctrl-C): ", capsys.readouterr().out)
    assert f"Kept: {end[1]}." in (tmp_path / "mine" / "README.md").read_text(encoding="utf-8")
    assert finetuning.load(tmp_path / "mine")[1].labels == ("1", "5")


def test_two_commands_do_not_share_a_folder(tmp_path, capsys, encoder):
    path = write(tmp_path / "reviews.csv", reviews(20))
    options = ["--text", "review", "--label", "stars", "--model", str(encoder)]
    with only_run(tmp_path / "mine"), pytest.raises(SystemExit) as stopped:
        command.main([str(path), *options, "--output", str(tmp_path / "mine")])
    shown = capsys.readouterr()
    assert stopped.value.code == 2 and "another run is writing to" in shown.err
    assert re.search(r"classes: 1 \(\d+\), 5 \(\d+\)\n", shown.out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere.csv"], "nowhere.csv: expected a file, got nothing of this name"),
        ([".", "--output", "new"], ": expected a file, got a folder"),
        (["one.csv"], "one.csv: expected one column 'text', got columns id, review, stars"),
        (
            ["one.csv", "--text", "review", "--label", "stars", "--model", "no/where/at-all"],
            "no/where/at-all",
        ),
        (["one.csv", "--text", "review", "--label", "stars", "--model", "none/such"], "none/such"),
        (
            ["one.csv", "--text", "review", "--label", "stars", "--epochs", "0"],
            "epochs: expected a whole number from 1",
        ),
        (["one.csv", "--text", "review", "--label", "stars", "--max-length", "500"], "at most 128"),
        (
            ["one.csv", "--text", "review", "--label", "stars", "--output", "full"],
            "full is not empty",
        ),
        ([], "the following arguments are required: file"),
    ],
)
def test_the_command_stops_with_one_line(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write(tmp_path / "one.csv", reviews(20))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(SystemExit) as stopped:
        command.main(options)
    lines = capsys.readouterr().err.strip().splitlines()
    assert stopped.value.code == 2 and len(lines) == 1 and re.search(words, lines[0])
    assert lines[0].startswith("python -m course_utils.finetuning: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "one.csv"]  # nothing half made


# --- Texts in families


def authors(n=120, per_author=6):
    return [[*row, f"author {number // per_author}"] for number, row in enumerate(reviews(n))]


def test_no_author_is_in_two_parts_and_nothing_is_lost(tmp_path):
    rows = authors()
    path = write(tmp_path / "a.csv", rows, header=("id", "review", "stars", "by"))
    author_of = {text: by for _, text, _, by in rows}
    for seed in range(5):
        data = own_data.read(path, "review", "stars", group="by", seed=seed)
        parts = [{author_of[e.text] for e in part} for part in (data.train, data.dev, data.test)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 20
        assert sorted(e.text for p in (data.train, data.dev, data.test) for e in p) == sorted(author_of)
        assert [len(part) for part in (data.train, data.dev, data.test)] == [96, 12, 12]
    assert data == own_data.read(path, "review", "stars", group="by", seed=4)


def test_what_a_group_may_not_be_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", authors(12), header=("id", "review", "stars", "by"))
    with pytest.raises(ValueError, match="groups: expected three or more, one for each part, got 2"):
        own_data.read(path, "review", "stars", group="by")
    rows = [[*row[:3], row[2] + row[0][-1]] for row in reviews(60)]  # every author has one class
    rows = [[*row[:3], row[2]] if row[2] == "1" else row for row in rows]  # and one class one author
    path = write(tmp_path / "b.csv", rows, header=("id", "review", "stars", "by"))
    with pytest.raises(ValueError, match="groups: expected examples of each class in every part"):
        own_data.read(path, "review", "stars", group="by")
    with pytest.raises(ValueError, match="group: expected a file, which has columns, got a list"):
        own_data.read([("good", "a"), ("bad", "b")] * 5, group="by")


def test_a_row_without_a_group_is_left_out(tmp_path):
    rows = authors()
    rows[7][3] = ""
    path = write(tmp_path / "a.csv", rows, header=("id", "review", "stars", "by"))
    with pytest.warns(UserWarning, match="1 left out without a group .first: line 9."):
        data = own_data.read(path, "review", "stars", group="by")
    assert len(data.train) + len(data.dev) + len(data.test) == 119
