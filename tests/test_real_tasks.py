"""Published data sets: rows of their schema become examples; without a network they are refused."""

import functools
import http.server
import json
import threading
import urllib.parse

import pytest

from course_utils import hub, real_tasks
from course_utils.toy.tasks import Answer, LabelledText, Question, TaggedWords

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
CONTEXT = "Ada Lovelace met Charles Babbage in London in 1833."


def column(name: str, kind: dict) -> dict:
    return {"feature_idx": 0, "name": name, "type": kind}


TEXT = {"dtype": "string", "_type": "Value"}
CLASSES = {"names": ["a", "b"], "_type": "ClassLabel"}
# For each data set: its columns, and a row with the number `i`, as its description on the hub shows them.
SCHEMAS = {
    "sst2": (
        [column("idx", TEXT), column("sentence", TEXT), column("label", CLASSES)],
        lambda i: {"idx": i, "sentence": f"a fine film {i} ", "label": i % 2},
    ),
    "mrpc": (
        [column("sentence1", TEXT), column("sentence2", TEXT), column("label", CLASSES)],
        lambda i: {"sentence1": f"He came {i}.", "sentence2": f"He arrived {i}.", "label": i % 2, "idx": i},
    ),
    "conll2003": (
        [
            column("tokens", {"feature": TEXT, "_type": "List"}),
            column("ner_tags", {"feature": {"names": TAGS, "_type": "ClassLabel"}, "_type": "Sequence"}),
        ],
        lambda i: {
            "id": str(i),
            "tokens": ["Ada", "Lovelace", "saw", "London", f"{i}"],
            "ner_tags": [1, 2, 0, 3, 0],
        },
    ),
    "squad": (
        [column("question", TEXT), column("answers", {"text": {"feature": TEXT, "_type": "List"}})],
        lambda i: {
            "id": str(i),
            "title": "Ada",
            "context": CONTEXT,
            "question": f" Where, {i}? ",
            "answers": {"text": ["London", "London", "in London"], "answer_start": [36, 36, 33]},
        },
    ),
}
EXPECTED = {
    "sst2": lambda i: LabelledText(f"a fine film {i}", i % 2),
    "mrpc": lambda i: LabelledText(f"He came {i}.", i % 2, f"He arrived {i}."),
    "conll2003": lambda i: TaggedWords(
        ("Ada", "Lovelace", "saw", "London", f"{i}"), ("B-PER", "I-PER", "O", "B-LOC", "O")
    ),
    "squad": lambda i: Question(f"Where, {i}?", CONTEXT, (Answer("London", 36), Answer("in London", 33))),
}


class Viewer(http.server.BaseHTTPRequestHandler):
    """The data viewer of a hub on this machine; `state` holds how many rows there are and what was asked."""

    def __init__(self, state: dict, *args):
        self.state = state
        super().__init__(*args)

    def do_GET(self):
        address = urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(address.query))
        self.state["asked"].append(asked)
        name = next((n for n, t in real_tasks.TASKS.items() if t.repository == asked["dataset"]), None)
        features, make_row = SCHEMAS[name]
        start, length = int(asked["offset"]), int(asked["length"])
        status = 200 if address.path == "/rows" and 1 <= length <= 100 else 422
        numbers = range(start, min(start + length, self.state["total"]))
        cut = self.state.get("truncated", [])
        rows = [{"row_idx": i, "row": make_row(i), "truncated_cells": cut} for i in numbers]
        answer = {"features": features, "rows": rows, "num_rows_total": self.state["total"], "partial": False}
        content = json.dumps(self.state.get("answer", answer)).encode()
        self.send_response(self.state.get("status", status))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(real_tasks.VARIABLE, str(tmp_path / "data"))


@pytest.fixture
def viewer(monkeypatch):
    state = {"total": 1000, "asked": []}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Viewer, state))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(real_tasks, "VIEWER", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(hub, "obstacle", lambda: "")
    yield state
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(hub, "obstacle", lambda: "the line is cut")


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_rows_become_examples(viewer, name):
    viewer["total"] = 7
    assert real_tasks.load(name, "validation") == [EXPECTED[name](i) for i in range(7)]
    task = real_tasks.TASKS[name]
    asked = viewer["asked"][0]
    assert (asked["dataset"], asked["config"], asked["split"]) == (
        task.repository,
        task.configuration,
        "validation",
    )


def test_pages_are_spread_over_the_split_and_no_row_comes_twice(viewer):
    found = real_tasks.load("sst2", limit=250)
    numbers = [int(example.text.split()[-1]) for example in found]
    assert len(set(numbers)) == 250 and numbers == sorted(numbers)
    assert [int(asked["offset"]) for asked in viewer["asked"]] == [0, 333, 666]
    assert [int(asked["length"]) for asked in viewer["asked"]] == [100, 100, 50]


@pytest.mark.parametrize(
    ("total", "limit"), [(1000, 1), (1000, 100), (101, 101), (199, 500), (350, 349), (1000, 999)]
)
def test_the_number_of_examples_is_right(viewer, total, limit):
    viewer["total"] = total
    found = real_tasks.load("mrpc", limit=limit)
    assert len(set(found)) == len(found) == min(total, limit)


def test_what_was_fetched_needs_no_network_again(viewer, monkeypatch):
    found = real_tasks.load("conll2003", "test", limit=3)
    monkeypatch.setattr(hub, "obstacle", lambda: "the line is cut")
    assert real_tasks.load("conll2003", "test", limit=3) == found
    assert len(viewer["asked"]) == 1
    with pytest.raises(hub.HubError, match="there is no network to ask"):
        real_tasks.load("conll2003", "test", limit=4)


def test_without_a_network_one_line_says_so(no_network):
    with pytest.raises(OSError, match="there is no network to ask datasets-server.huggingface.co") as caught:
        real_tasks.load("sst2")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": 500}, "gives no answer"),
        ({"answer": []}, "answers with a list"),
        (
            {"answer": {"error": "the split does not exist"}},
            "no rows of stanfordnlp/sst2: the split does not exist",
        ),
        ({"truncated": ["sentence"]}, "cut row 0 of stanfordnlp/sst2 short"),
    ],
)
def test_a_viewer_in_trouble_is_reported_and_nothing_is_kept(viewer, change, message):
    viewer.update(change)
    with pytest.raises(hub.HubError, match=message):
        real_tasks.load("sst2", limit=5)
    assert not real_tasks.folder().exists()


def test_rows_without_a_label_are_left_out():
    rows = [{"sentence": "good", "label": 1}, {"sentence": "hidden", "label": -1}]
    assert real_tasks.examples({"names": {}, "rows": rows}, "sst2") == [LabelledText("good", 1)]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("sst2", {"text": "good", "label": 1}),
        ("mrpc", {"sentence1": "a", "sentence2": None, "label": 1}),
        ("conll2003", {"tokens": ["a", "b"], "ner_tags": [0]}),
        ("conll2003", {"tokens": ["a"], "ner_tags": [9]}),
        ("squad", {"context": "abc", "question": "?", "answers": {"text": ["b"], "answer_start": [2]}}),
        ("squad", {"context": "abc", "question": "?", "answers": {"text": ["b"], "answer_start": []}}),
    ],
)
def test_a_row_of_another_schema_is_named(name, row):
    with pytest.raises(ValueError, match=f"row 0 of {name}: expected what its description says, got "):
        real_tasks.examples({"names": {"ner_tags": TAGS}, "rows": [row]}, name)


def test_a_damaged_file_is_named(no_network):
    path = real_tasks.folder() / "sst2-train-5.json"
    path.parent.mkdir()
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="sst2-train-5.json: expected rows of sst2, got .*; delete it"):
        real_tasks.load("sst2", limit=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sst3",), "name: expected one of sst2, mrpc, conll2003, squad, got 'sst3'"),
        (("sst2", "dev"), "split: expected one of train, validation, test, got 'dev'"),
        (("sst2", "train", 0), "limit: expected a whole number from 1, got 0"),
    ],
)
def test_impossible_wishes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        real_tasks.load(*arguments)
