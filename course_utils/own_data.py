"""Your own texts: from a CSV file, or from (text, label) pairs, to a fine-tuned model.

    file or pairs -> texts and names of classes -> numbers -> train, dev and test -> `finetuning`

`read` numbers the classes by their names and leaves out what teaches nothing, and says so: rows without a
text or a label, and texts that occur earlier, which could stand in two parts at once. `python -m
course_utils.finetuning data.csv` does all of it, from the file to a folder with a model and its card.
"""

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from course_utils import checkpoints, finetuning, training
from course_utils.bert import BertConfig, TaskModel
from course_utils.checks import refusal
from course_utils.hints import Count, Seed, check_some, hold_to_hints
from course_utils.tasks import TextClassification, name_or_number
from course_utils.toy.tasks import PARTS, LabelledText

DELIMITERS = ",;\t"
DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+e[+-]?\d+)", re.IGNORECASE)
HELD_OUT = 0.1  # share of each class in dev, and in test
FEWEST = 3  # examples of a class: one for each part
SMALL = 128  # the hidden size up to which a model is as small as the course's own

# Where a row stands, for messages, and its cells: text, label, perhaps text_pair, perhaps group.
Place = tuple[str, list[str]]


@dataclass(frozen=True)
class Data:
    """Labelled texts in three parts. `labels` are the names of the classes, in the order of their numbers.

    `notes` has a line for each kind of row that was left out; `read` warns of them.
    """

    train: list[LabelledText]
    dev: list[LabelledText]
    test: list[LabelledText]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def read(
    source: str | Path | Iterable[Any],
    text: str = "text",
    label: str = "label",
    text_pair: str | None = None,
    seed: Seed = 0,
    group: str | None = None,
) -> Data:
    """Labelled texts from a file or a list, in three parts that have each class in the same share.

    Args:
        source: a CSV file in UTF-8 whose first line names its columns, which commas, semicolons or tabs part;
            or a list of (text, label) or (text, label, text_pair).
        text, label, text_pair: the columns; with `text_pair` the task has two texts.
        seed: of the split. A tenth of each class goes to dev, a tenth to test, the rest to train.
        group: of a file, the column that says where a text comes from (an author, a site). No group is in
            two parts then, as when the model is asked about groups that it has not seen; the shares hold
            only roughly.

    Raises:
        OSError: for a file that cannot be read.
        ValueError: for rows that are not as they should be, and for classes of fewer than three examples; it
            names the line of the file or the number of the example, counted from 0.
    """
    if isinstance(source, str | Path):
        rows = rows_of_file(
            Path(source).expanduser(),
            [column for column in (text, label, text_pair, group) if column is not None],
        )
    elif group is not None:
        raise refusal("group", "a file, which has columns", "a list")
    else:
        rows = rows_of_list(source)
    found: dict[tuple[str, ...], str] = {}
    group_of: dict[tuple[str, ...], str] = {}
    left_out: dict[str, list[str]] = {}
    for place, (first, name, *second) in rows:
        own = second.pop() if group is not None else name
        texts = (first, *second)
        if DECIMAL.fullmatch(name):
            why = "a measure has no classes: give each of its ranges a name; write 1.0 as 1"
            raise refusal(f"label of {place}", "the name of a class, or a whole number", repr(name), why)
        if not all(texts):
            left_out.setdefault("without a text", []).append(place)
        elif not name:
            left_out.setdefault("without a label", []).append(place)
        elif not own:
            left_out.setdefault("without a group", []).append(place)
        elif texts not in found:
            found[texts], group_of[texts] = name, own
        else:
            other = "" if found[texts] == name else " under another label"
            left_out.setdefault(f"because the same text occurs earlier{other}", []).append(place)
    notes = tuple(f"{len(at)} left out {why} (first: {at[0]})" for why, at in left_out.items())
    for note in notes:  # before anything is refused for want of these rows
        warnings.warn(note, stacklevel=3)
    labels = numbered(Counter(found.values()))
    examples = [LabelledText(texts[0], labels.index(name), *texts[1:]) for texts, name in found.items()]
    if group is None:
        train, dev, test = split(examples, seed)
    else:
        train, dev, test = split_by_group(examples, list(group_of.values()), seed)
    return Data(train, dev, test, labels, notes)


def rows_of_list(examples: Iterable[Sequence[Any]]) -> Iterator[Place]:
    """Texts and labels of a list."""
    for number, example in enumerate(examples):
        if not isinstance(example, tuple | list) or len(example) not in (2, 3):
            raise refusal(f"example {number}", "(text, label) or (text, label, text_pair)", repr(example))
        text, label, *second = example
        for each in (text, *second):
            if not isinstance(each, str):
                raise refusal(f"text of example {number}", "a string", repr(each))
        named = str(label) if isinstance(label, bool | np.bool_) else name_or_number(label, number)
        cells = (text, str(named), *second)
        yield f"example {number}", [cell.strip() for cell in cells]


def rows_of_file(path: Path, columns: Sequence[str]) -> Iterator[Place]:
    """The cells of these columns, row by row, of a CSV file."""
    if not path.is_file():
        raise refusal(str(path), "a file", "a folder" if path.is_dir() else "nothing of this name")
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"byte {error.object[error.start]:#04x} at {error.start}"
        raise refusal(str(path), "a CSV file in UTF-8", got, "save it as CSV, UTF-8") from error
    if len(set(columns)) < len(columns):
        raise refusal("columns", "different ones", ", ".join(map(repr, columns)))

    def rows_parted(delimiter: str, strict: bool = False) -> Any:
        lines = io.StringIO(content, newline="")
        return csv.reader(lines, delimiter=delimiter, strict=strict, skipinitialspace=True)

    line = 1
    try:
        headers: dict[str, list[str]] = {
            sign: [name.strip() for name in next(rows_parted(sign), [])] for sign in DELIMITERS
        }
        delimiter = max(headers, key=lambda sign: (len({*columns} & {*headers[sign]}), len(headers[sign])))
        header, reader = headers[delimiter], rows_parted(delimiter, strict=True)
        next(reader, [])
        if not any(header):
            raise refusal(str(path), "a first line with the names of the columns", "an empty one")
        for column in columns:
            if header.count(column) != 1:
                why = "" if header[1:] else "a comma, a semicolon or a tab stands between columns"
                raise refusal(str(path), f"one column {column!r}", f"columns {', '.join(header)}", why)
        wanted = [header.index(column) for column in columns]
        line = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                why = f"a text that holds {delimiter!r} or a line end stands in double quotes"
                raise refusal(f"{path}, line {line}", f"{len(header)} cells", len(cells), why)
            if cells:
                yield f"line {line}", [cells[at].strip() for at in wanted]
            line = reader.line_num + 1
    except csv.Error as error:
        why = "a double quote in a quoted text is written twice, and one more ends the text"
        raise refusal(f"{path}, line {line}", "cells as CSV writes them", str(error), why) from error


def numbered(counts: Counter[str]) -> tuple[str, ...]:
    """The names of the classes in the order of their numbers: by value, or by letters if one is no number."""
    if len(counts) < 2:
        only = f"one class only ({next(iter(counts))})" if counts else "no labelled text"
        raise refusal("labels", "two classes or more", only, "a model learns to tell classes apart")
    rare = [
        f"{name!r} {'once' if count == 1 else 'twice'}" for name, count in counts.items() if count < FEWEST
    ]
    if rare:
        got = ", ".join(rare[:3]) + (f" and {len(rare) - 3} more" if len(rare) > 3 else "")
        raise refusal("labels", f"each class {FEWEST} times or more, once for each part", got)
    are_numbers = all(name.removeprefix("-").isdecimal() for name in counts)
    return tuple(sorted(counts, key=int if are_numbers else str))


def split(examples: Annotated[Sequence[LabelledText], check_some], seed: Seed) -> list[list[LabelledText]]:
    """Train, dev and test, in the order of the examples, with each class in the same share of each part."""
    rng = np.random.default_rng(seed)
    classes = np.array([name_or_number(each.label, number) for number, each in enumerate(examples)])
    part = np.zeros(len(examples), dtype=np.int64)
    for label in np.unique(classes):
        places = rng.permutation(np.flatnonzero(classes == label))
        held_out = max(1, round(HELD_OUT * len(places)))
        part[places[:held_out]], part[places[held_out : 2 * held_out]] = 1, 2
    return [[example for example, own in zip(examples, part, strict=True) if own == k] for k in range(3)]


def split_by_group(
    examples: Annotated[Sequence[LabelledText], check_some], groups: Sequence[str], seed: Seed
) -> list[list[LabelledText]]:
    """Train, dev and test, in the order of the examples, with no group in two of them.

    Groups are dealt out class by class, by the class that a group has most of.

    Args:
        groups: of each example, where it comes from.

    Raises:
        ValueError: if a part lacks a class; where each class comes from few groups, another seed may help.
    """
    if len(groups) != len(examples):
        raise refusal("groups", f"one for each of {len(examples)} examples", len(groups))
    rng = np.random.default_rng(seed)
    counts: dict[str, Counter[int | str]] = {}
    for number, (example, group) in enumerate(zip(examples, groups, strict=True)):
        counts.setdefault(group, Counter())[name_or_number(example.label, number)] += 1
    if len(counts) < len(PARTS):
        raise refusal("groups", "three or more, one for each part", len(counts))
    order = [sorted(counts)[index] for index in rng.permutation(len(counts))]
    main = {group: counts[group].most_common(1)[0][0] for group in order}
    part_of = {}
    for label in sorted(set(main.values()), key=str):
        own = [group for group in order if main[group] == label]
        wanted = np.array([1 - 2 * HELD_OUT, HELD_OUT, HELD_OUT])
        wanted *= sum(counts[group].total() for group in own)
        filled = np.zeros(len(PARTS))
        for number, group in enumerate(own):  # one each, then to the part that is furthest below its share
            part = number if number < len(PARTS) else int((wanted - filled).argmax())
            part_of[group] = part
            filled[part] += counts[group].total()
    parts = [
        [example for example, group in zip(examples, groups, strict=True) if part_of[group] == k]
        for k in range(len(PARTS))
    ]
    classes = {example.label for example in examples}
    for name, part_examples in zip(PARTS, parts, strict=True):
        if len(missing := classes - {example.label for example in part_examples}):
            got = f"{len(missing)} without any in {name}"
            raise refusal("groups", "examples of each class in every part", got, "try another seed")
    return parts


def settings_for(config: BertConfig) -> finetuning.Settings:
    """What suits a model of this size, the course's own small one or those of the paper (appendix A.3)."""
    small = config.hidden_size <= SMALL
    return finetuning.Settings() if small else finetuning.Settings(epochs=4, learning_rate=5e-5)


def fine_tune(
    data: Data,
    name: str | Path | None = None,
    *,
    max_length: Count | None = None,
    device: str = "cpu",
    progress: bool = True,
    **settings: Any,
) -> tuple[finetuning.Result, TextClassification]:
    """Fine-tune a model on your own texts: the result, and the task that predicts with it.

    Args:
        name: a model, as for `checkpoints.load`; without one that which BERT_COURSE_MODEL names, or the
            course's own small one. Its pretraining heads may be missing.
        max_length: longest row in pieces; without it 128, or the positions of the model if it has fewer.
        settings: fields of `finetuning.Settings`; the others are those of `settings_for` its size.

    Raises:
        OSError, ValueError: for a model that cannot be loaded, and for settings that do not fit it.
    """
    pretrained, tokenizer = checkpoints.load(name or checkpoints.chosen())
    chosen = replace(settings_for(pretrained.config), **settings)
    length = max_length or min(128, pretrained.config.max_position_embeddings)
    task = TextClassification(tokenizer, data.labels, length)
    model = finetuning.new_model(task, pretrained, chosen.seed).to(training.usable_device(device))
    return finetuning.finetune(model, task, data.train, data.dev, chosen, progress), task


@dataclass(frozen=True)
class Share:
    """So many right of so many, with the Wilson interval, which holds the true share with 95 %."""

    right: int
    total: int

    def __str__(self) -> str:
        from scipy.stats import binomtest

        low, high = binomtest(self.right, self.total).proportion_ci(0.95, method="wilson")
        return f"{self.right / self.total:.3f} ({low:.3f} to {high:.3f})"


def against_majority(model: TaskModel, task: TextClassification, data: Data) -> dict[str, Share]:
    """The accuracy on test of a model, and of always saying the class that is most frequent in train."""
    truth = np.array([example.label for example in data.test])
    most_frequent = np.bincount([int(example.label) for example in data.train]).argmax()
    guesses = {
        "fine-tuned": task.predict(model, data.test),
        f"always {data.labels[most_frequent]!r}": np.full(len(truth), most_frequent),
    }
    return {name: Share(int((guess == truth).sum()), len(truth)) for name, guess in guesses.items()}


hold_to_hints(globals())
