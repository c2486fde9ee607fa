"""`python -m course_utils.finetuning`: from a CSV file of your own to a folder with a model and its card."""

import argparse
import shlex
import sys
import warnings
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

from course_utils import checkpoints, finetuning, own_data
from course_utils.commands import OneLineParser, check_output, path_of
from course_utils.files import BusyError, only_run
from course_utils.tasks import TextClassification


def make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m course_utils.finetuning",
        description="Fine-tune a BERT to put texts of your own into classes.",
    )
    parser.add_argument("file", type=path_of, help="CSV in UTF-8; its first line names the columns")
    parser.add_argument("--text", default="text", metavar="COLUMN", help="with the texts [text]")
    parser.add_argument("--label", default="label", metavar="COLUMN", help="with the classes [label]")
    parser.add_argument("--text-pair", metavar="COLUMN", help="with second texts, if the task has two")
    parser.add_argument(
        "--group", metavar="COLUMN", help="with where a text comes from; none stands in two parts then"
    )
    parser.add_argument(
        "--model", help=f"a folder or a name on the hub [that of {checkpoints.SWITCH}, or the course's own]"
    )
    parser.add_argument("--output", type=path_of, help="folder for the model [the name of the file, -model]")
    parser.add_argument("--overwrite", action="store_true", help="replace what --output holds")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the model is [cpu]")
    parser.add_argument("--max-length", type=int, help="longest text in pieces [128]")
    for name in ("seed", "epochs", "batch_size", "learning_rate"):
        hint = finetuning.Settings.__dataclass_fields__[name].type
        kind = getattr(hint, "__origin__", hint)  # a hint such as `Count` is an int with a check
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=kind, help="[what suits the size of the model]")
    parser.add_argument("--balance", action="store_true", help="rare classes count as much as common ones")
    return parser


def model_card(
    data: own_data.Data, task: TextClassification, rows: dict[str, str], made_by: str, end: str
) -> str:
    """The card of a fine-tuned model: what it tells apart, how it was made, and how good it is."""
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    counts = Counter(example.label for example in data.train)
    names = [" ".join(name.split()).replace("|", "\\|") for name in data.labels]  # as a cell of the table
    classes = "\n".join(f"| {name} | {counts[number]} |" for number, name in enumerate(names))
    notes = "".join(f"\n- {note}" for note in data.notes)
    return f"""# A BERT that tells apart: {", ".join(names)}

Made by

    {made_by}

from {len(data.train)} texts (train); {len(data.dev)} more (dev) chose the epoch, {len(data.test)} others
(test) judged it.
Texts longer than {task.max_length} pieces are cut. Kept: {end}.
{notes}

| class | texts in train |
|---|---|
{classes}

Accuracy on test, whose texts chose nothing, with the 95 % interval of Wilson:

| | accuracy |
|---|---|
{table}

To use it:

    from course_utils import finetuning
    model, task = finetuning.load("this folder")
    task.predict_proba(model, ["a text"])
"""


def take_away_empty(folder: Path) -> None:
    with suppress(OSError):  # it holds something
        folder.rmdir()


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    options = parser.parse_args(argv)
    output = options.output or Path(f"{options.file.stem}-model")
    given = {
        name: value
        for name in ("seed", "epochs", "batch_size", "learning_rate", "balance")
        if (value := getattr(options, name)) is not None
    }
    with warnings.catch_warnings(), ExitStack() as held:
        warnings.showwarning = lambda message, *place: print(message, file=sys.stderr)
        try:
            data = own_data.read(
                options.file,
                options.text,
                options.label,
                options.text_pair,
                options.seed or 0,
                options.group,
            )
            print(f"texts: train {len(data.train)}, dev {len(data.dev)}, test {len(data.test)}")
            counts = Counter(example.label for part in (data.train, data.dev, data.test) for example in part)
            print("classes:", ", ".join(f"{label} ({counts[k]})" for k, label in enumerate(data.labels)))
            name = options.model or checkpoints.chosen()
            if name == "embedded":
                print(
                    "the course's own model knows its toy language only; --model names one that knows yours"
                )
            check_output(parser, output, "", False, options.overwrite)
            held.enter_context(only_run(output))
            held.callback(take_away_empty, output)  # whatever stops the run
            result, task = own_data.fine_tune(
                data, name, max_length=options.max_length, device=options.device, **given
            )
        except BusyError:
            parser.error(f"--output: another run is writing to {output}; wait for it, or name another")
        except (OSError, ValueError, FloatingPointError) as error:
            parser.error(str(error))
        shares = own_data.against_majority(result.model, task, data)
        rows = {name: str(share) for name, share in shares.items()}
        end = f"epoch {result.best_epoch} of {len(result.log) - 1}"
        end += ", before any training" * (result.best_epoch == 0) + ", stopped by Ctrl-C" * result.interrupted
        card = model_card(data, task, rows, f"{parser.prog} {shlex.join(argv)}", end)
        finetuning.save(output, result.model.cpu(), task, card, overwrite=True)  # before a pipe may close
        print("accuracy on test, with the 95 % interval of Wilson:")
        print(*(f"  {name}: {value}" for name, value in rows.items()), sep="\n")
        print(f"kept: {end}: {output}")
    return 130 if result.interrupted else 0
