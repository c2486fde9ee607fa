"""Four published data sets, in the same form as the toy tasks, for readers with a network.

    sst2        is a phrase of a film review positive?            LabelledText
                Socher et al. 2013
    mrpc        do two sentences say the same?                    LabelledText with a pair
                Dolan and Brockett 2005
    conll2003   which words are persons, places, organisations?   TaggedWords
                Tjong Kim Sang and De Meulder 2003
    squad       which words of a paragraph answer the question?   Question
                Rajpurkar et al. 2016

The course ships none of them: their licences do not allow it, or are unknown. `load` asks the hub's public
data viewer for as many examples as are wanted, a hundred at a time, and keeps them in a folder of yours (safe
to delete, and the variable BERT_COURSE_DATA names another one), so that the same call works without a network
the next time.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils import hub
from course_utils.checks import check_one_of, refusal
from course_utils.files import write_text
from course_utils.hints import Count, Natural, hold_to_hints
from course_utils.toy.tasks import Answer, LabelledText, Question, TaggedWords

VIEWER = "https://datasets-server.huggingface.co"
PAGE = 100  # rows; the viewer gives no more at once
VARIABLE = "BERT_COURSE_DATA"
SPLITS = ("train", "validation", "test")

Row = dict[str, Any]


@dataclass(frozen=True)
class RealTask:
    """Where a data set is, and how one of its rows becomes an example."""

    repository: str
    configuration: str
    read: Callable[[Row, dict[str, list[str]]], LabelledText | TaggedWords | Question]
    labels: tuple[str, ...] = ()  # of a classification, by index


def read_sentence(row: Row, names: dict[str, list[str]]) -> LabelledText:
    return LabelledText(row["sentence"].strip(), int(row["label"]))


def read_pair(row: Row, names: dict[str, list[str]]) -> LabelledText:
    return LabelledText(row["sentence1"].strip(), int(row["label"]), row["sentence2"].strip())


def read_tags(row: Row, names: dict[str, list[str]]) -> TaggedWords:
    """Tags are stored as numbers; the list of their names comes with the rows."""
    tags = tuple(names["ner_tags"][number] for number in row["ner_tags"])
    if len(tags) != len(row["tokens"]):
        raise refusal("tags", f"{len(row['tokens'])}, one a token", len(tags))
    return TaggedWords(tuple(row["tokens"]), tags)


def read_question(row: Row, names: dict[str, list[str]]) -> Question:
    """Annotators often mark the same span: each is kept once."""
    texts, starts = row["answers"]["text"], row["answers"]["answer_start"]
    answers = tuple(dict.fromkeys(Answer(text, start) for text, start in zip(texts, starts, strict=True)))
    for answer in answers:
        if row["context"][answer.start : answer.end] != answer.text:
            found = repr(row["context"][answer.start : answer.end])
            raise refusal(f"context at {answer.start}", f"the answer {answer.text!r}", found)
    return Question(row["question"].strip(), row["context"], answers)


TASKS = {
    "sst2": RealTask("stanfordnlp/sst2", "default", read_sentence, ("negative", "positive")),
    "mrpc": RealTask("nyu-mll/glue", "mrpc", read_pair, ("not equivalent", "equivalent")),
    "conll2003": RealTask("lhoestq/conll2003", "default", read_tags),
    "squad": RealTask("rajpurkar/squad", "plain_text", read_question),
}


def load(
    name: str, split: str = "train", limit: Count = 1000
) -> list[LabelledText] | list[TaggedWords] | list[Question]:
    """`limit` examples of a published data set, or all if there are fewer.

    They are taken from pages spread evenly over the split, since neighbours may come from one article. Rows
    without a gold label (the hidden test sets of GLUE) are left out.

    Args:
        name: a key of TASKS.
        split: "train", "validation" or "test".

    Raises:
        ValueError: for an unknown name or split, a limit below 1, or rows that are not what they should be.
        hub.HubError: (an OSError) if they are not on the disk and cannot be had from the network.
    """
    check_one_of("name", name, TASKS)
    check_one_of("split", split, SPLITS)
    path = folder() / f"{name}-{split}-{limit}.json"
    if path.is_file():
        return read_file(path, name)
    stored = download(TASKS[name], split, limit)
    found = examples(stored, name)
    write_text(path, json.dumps(stored, ensure_ascii=False))
    return found


def folder() -> Path:
    """Where rows are kept: beside what the hub's libraries keep, unless BERT_COURSE_DATA says otherwise."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(os.environ.get(VARIABLE) or Path(home) / "bert-course").expanduser()


def read_file(path: Path, name: str) -> list[LabelledText] | list[TaggedWords] | list[Question]:
    """Examples from a file that `load` wrote: {"names": {column: [tag, ...]}, "rows": [row, ...]}.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        return examples(json.loads(Path(path).read_text(encoding="utf-8")), name)
    except ValueError as error:
        raise refusal(str(path), "rows of " + name, error, "delete it, and it is fetched again") from error


def examples(stored: dict[str, Any], name: str) -> list[LabelledText] | list[TaggedWords] | list[Question]:
    """Rows of a data set as examples.

    Raises:
        ValueError: naming the first row that is not as the data set's description says.
    """
    found = []
    for number, row in enumerate(stored["rows"]):
        try:
            if row.get("label", 0) != -1:  # GLUE hides the labels of its test sets behind -1
                found.append(TASKS[name].read(row, stored["names"]))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise refusal(f"row {number} of {name}", "what its description says", repr(error)) from error
    return found


def download(task: RealTask, split: str, limit: Count) -> dict[str, Any]:
    """Rows from the hub's data viewer, and the names of their tags.

    Raises:
        hub.HubError: without a network, or if the viewer does not have them.
    """
    from tqdm.auto import tqdm

    place = {"dataset": task.repository, "config": task.configuration, "split": split}
    first = ask(place, 0, min(PAGE, limit))
    total = min(limit, first["num_rows_total"])
    pages = -(-total // PAGE)
    stride = max(PAGE, first["num_rows_total"] // pages)  # from the start of a page to the start of the next
    rows = [entry["row"] for entry in first["rows"]]
    for number in tqdm(range(1, pages), desc=f"{task.repository} {split}", disable=pages == 1):
        answer = ask(place, number * stride, min(PAGE, total - len(rows)))
        rows += [entry["row"] for entry in answer["rows"]]
    return {"names": tag_names(first["features"]), "rows": rows[:total]}


def ask(place: dict[str, str], offset: Natural, length: Count) -> dict[str, Any]:
    """One page of rows."""
    answer = hub.get_json(f"{VIEWER}/rows", **place, offset=offset, length=length)
    if not {"rows", "features", "num_rows_total"} <= answer.keys():
        reason = answer.get("error", "no reason given")
        raise hub.HubError(f"the data viewer has no rows of {place['dataset']}: {reason}")
    cut = [entry["row_idx"] for entry in answer["rows"] if entry.get("truncated_cells")]
    if cut:
        raise hub.HubError(f"the data viewer cut row {cut[0]} of {place['dataset']} short")
    return answer


def tag_names(features: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The names of the classes of each column that holds a class, or a list of classes, as numbers."""
    names = {}
    for feature in features:
        kind = feature["type"]
        kind = kind.get("feature", kind) if isinstance(kind, dict) else kind  # a list names what it holds
        if isinstance(kind, dict) and kind.get("_type") == "ClassLabel":
            names[feature["name"]] = kind["names"]
    return names


hold_to_hints(globals())
