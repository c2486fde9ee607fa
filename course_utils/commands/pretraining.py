"""`python -m course_utils.pretraining`: a run from options to a checkpoint with its model card."""

import argparse
import json
import os
import string
import sys
import time
from dataclasses import asdict
from typing import Any

import torch
import torch.distributed as dist

from course_utils import checkpoints
from course_utils.commands import OneLineParser, check_output, path_of
from course_utils.files import BusyError, only_run, write_text
from course_utils.pretraining import (
    LOG_FILE,
    STATE_FILE,
    Pretrainer,
    Settings,
    compare,
    evaluate,
    held_out,
    leave_processes,
    run,
)
from course_utils.toy.language import ToyLanguage
from course_utils.training import usable_device
from course_utils.wordpiece import WordPieceTokenizer, train_vocab

COMMAND_HELP = {
    "seed": "of documents, pairs, masks and initial weights",
    "documents": "number of toy documents to train on; with fewer than the steps need, they come round again",
    "steps": "number of updates",
    "tokens_per_step": "positions in a batch",
    "learning_rate": "at its highest, after the warm-up",
    "warmup_steps": "updates of linear warm-up",
    "weight_decay": "of matrices; biases and LayerNorms have none",
    "clip": "largest norm of the gradient",
    "rate": "share of tokens selected in training",
    "single_share": "share of rows with a single segment",
    "attention": "bidirectional or causal",
    "dropout": "of hidden states and attention weights",
    "log_every": "updates between two entries of the log, and between two saved states",
}


def make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m course_utils.pretraining",
        description="Pretrain a BERT on the toy language: masked words and next sentences.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", type=path_of, help="folder for the checkpoint")
    parser.add_argument("--resume", action="store_true", help="go on from the state saved in --output")
    parser.add_argument("--overwrite", action="store_true", help="replace what --output or FILE holds")
    parser.add_argument(
        "--vocab", type=path_of, default=checkpoints.DATA / "vocab.txt", help="vocabulary file"
    )
    parser.add_argument(
        "--write-vocab", type=path_of, metavar="FILE", help="train the vocabulary, write it, stop"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the model is")
    parser.add_argument("--threads", type=int, help="threads of this process (default: torch's choice)")
    for name, field in Settings.__dataclass_fields__.items():
        help_text = COMMAND_HELP.get(name, "of the model")
        kind = getattr(field.type, "__origin__", field.type)  # a hint such as `Count` is an int with a check
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=kind, default=field.default, help=help_text)
    return parser


def train_embedded_vocab() -> list[str]:
    """The embedded vocabulary: WordPiece on toy documents until no pair is left, so every word is one piece.

    Single letters, digits and punctuation come first, alone and with ##: whatever a reader types can be cut.
    """
    alphabet = string.ascii_lowercase + string.digits + string.punctuation
    texts = [document.text for document in ToyLanguage(seed=0).documents(5000)]
    return train_vocab(texts, vocab_size=5000, alphabet=alphabet)


def model_card(
    settings: Settings, result: dict[str, float], log: list[dict[str, Any]], seconds: float, command: str
) -> str:
    """The card of a checkpoint: what it is, how to make it again, how far it is from the best possible."""
    rows = "\n".join(
        f"| {entry['step']} | {entry['mlm_loss']:.3f} | {entry['held_out']:.3f} |" for entry in log
    )
    return f"""# A small BERT of the toy language ({settings.attention} attention)

Trained on generated text only: the toy language of this course. It knows those few hundred words and no
English beyond them. Licence: MIT.

Made by

    {command}

in {seconds / 60:.1f} minutes on {torch.get_num_threads()} threads ({settings.steps} steps of about
{settings.tokens_per_step} positions, seed {settings.seed}).

Held-out documents, fixed masks at rate 0.15, at [MASK] positions, nats:

| | loss |
|---|---|
| unigram floor | {result["unigram"]:.3f} |
| bigram floor | {result["bigram"]:.3f} |
| left-only floor | {result["left"]:.3f} |
| **this model** | **{result["model"]:.3f}** |
| bidirectional floor | {result["bidirectional"]:.3f} |

Model minus bidirectional floor: {result["gap"]:.4f} (standard error {result["gap_standard_error"]:.4f}).
Model minus left-only floor: {result["left_gap"]:.4f}
(standard error {result["left_gap_standard_error"]:.4f}).
Next sentence accuracy: {result["next_sentence_accuracy"]:.3f}; of the perfect model:
{result["best_next_sentence_accuracy"]:.3f}.

| step | training loss | held-out loss at [MASK] |
|---|---|---|
{rows}
"""


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = make_parser()
    options = parser.parse_args(argv)
    if options.write_vocab:
        if options.write_vocab.exists() and not options.overwrite:
            parser.error(f"--write-vocab: {options.write_vocab} exists; name another, or add --overwrite")
        WordPieceTokenizer(train_embedded_vocab()).save(options.write_vocab)
        return 0
    if not options.output:
        parser.error("--output is needed: the folder for the checkpoint")
    try:
        settings = Settings(**{name: getattr(options, name) for name in Settings.__dataclass_fields__})
        tokenizer = WordPieceTokenizer.from_file(options.vocab)
        settings.bert_config(len(tokenizer))  # refuses sizes that fit no model
        usable_device(options.device)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    state_file = options.output / STATE_FILE
    if options.resume and not state_file.is_file():
        finished = (options.output / checkpoints.WEIGHTS_FILE).is_file()
        advice = "the run of this folder is finished" if finished else "start without --resume first"
        parser.error(f"--resume: there is no {state_file}; {advice}")
    if options.threads is not None:
        if options.threads < 1:
            parser.error(f"--threads: expected a whole number from 1, got {options.threads}")
        torch.set_num_threads(options.threads)
    device = options.device
    if "RANK" in os.environ:  # started by torchrun
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        device = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    is_first = not dist.is_initialized() or dist.get_rank() == 0
    if not is_first:
        return train(parser, options, argv, settings, tokenizer, device, is_first)
    check_output(parser, options.output, STATE_FILE, options.resume, options.overwrite)
    try:
        with only_run(options.output):
            return train(parser, options, argv, settings, tokenizer, device, is_first)
    except BusyError:
        parser.error(f"--output: another run is writing to {options.output}; wait for it, or name another")


def train(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    argv: list[str],
    settings: Settings,
    tokenizer: WordPieceTokenizer,
    device: str,
    is_first: bool,
) -> int:
    """From the options to the checkpoint; `is_first` of all processes writes it."""
    state_file = options.output / STATE_FILE
    start = time.perf_counter()
    trainer = Pretrainer(settings, tokenizer, device=device)
    if options.resume:
        try:
            trainer.load_state(state_file)
        except ValueError as error:
            parser.error(str(error))
    data = held_out(tokenizer)

    def on_log(entry: dict[str, Any]) -> dict[str, float]:
        result = compare(evaluate(trainer.model, data, settings.attention), data)
        return {"held_out": result["model"], "next_sentence_accuracy": result["next_sentence_accuracy"]}

    try:
        finished = run(trainer, on_log, state_file if is_first else None, progress=is_first)
    except FloatingPointError as error:
        kept = (
            f"the state of step {trainer.log[-1]['step']} is whole" if trainer.log else "nothing is saved yet"
        )
        parser.error(f"{error}; {kept}")
    if finished and is_first:
        result = compare(evaluate(trainer.model, data, settings.attention), data)
        command = "python -m course_utils.pretraining " + " ".join(argv)
        seconds = time.perf_counter() - start
        card = model_card(settings, result, trainer.log, seconds, command)
        record = {"command": command, "settings": asdict(settings), "result": result, "log": trainer.log}
        checkpoints.save(options.output, trainer.model, tokenizer, card, overwrite=True)
        write_text(options.output / LOG_FILE, json.dumps(record, indent=1) + "\n")
        state_file.unlink(missing_ok=True)
        losses = f"loss at [MASK] {result['model']:.4f}, bidirectional floor {result['bidirectional']:.4f}"
        print(f"{losses}: {options.output}")
    leave_processes()
    if finished:
        return 0
    if is_first:
        print(f"stopped after step {trainer.next_step}; the same command with --resume goes on from there")
    return 130
