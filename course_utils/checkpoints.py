"""Models on disk: the embedded ones, and any folder in the layout of the `transformers` library.

A checkpoint is a folder:

    config.json          the sizes of the model
    model.safetensors    the weights: a JSON header and raw numbers, so reading it runs no code (a pickle can)
    vocab.txt            one piece a line
    README.md            the model card: what it is, how it was made, how good it is
    SHA256SUMS           digests of the other files; what does not match is refused

Two come with the course, both trained by `python -m course_utils.pretraining` on the toy language:
"embedded", and its twin "embedded-causal", which was trained with the causal attention mask and wants it when
it is used.

Any other BERT loads into the same model: from a folder, or by its name on the model hub
("google-bert/bert-base-uncased"). `make models` fetches one ahead of time (`python -m
course_utils.checkpoints NAME`). Sections of the course that read real English ask for `load(chosen())`: the
environment variable BERT_COURSE_MODEL chooses; without it, or where its model cannot be had, they take the
embedded one.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from course_utils import hub
from course_utils.bert import BertConfig, BertForPreTraining, count_parameters, load_weights
from course_utils.checks import refusal
from course_utils.files import only_writer, read_tensors, write_tensors, write_text
from course_utils.hints import hold_to_hints
from course_utils.wordpiece import WordPieceTokenizer

DATA = Path(__file__).parent / "data"
EMBEDDED = {"embedded": DATA / "embedded", "embedded-causal": DATA / "embedded-causal"}
CONFIG_FILE, WEIGHTS_FILE, VOCAB_FILE = "config.json", "model.safetensors", "vocab.txt"
CARD_FILE, SUMS_FILE = "README.md", "SHA256SUMS"
PICKLED_FILE = "pytorch_model.bin"  # the older form of the weights, which many published models have only
TOKENIZER_FILE = "tokenizer_config.json"  # whether text is lower-cased; not every model has it

SWITCH = "BERT_COURSE_MODEL"
DEFAULT_MODEL = "google/bert_uncased_L-4_H-256_A-4"  # 45 MB, both pretraining heads: Turc et al. 2019
HUB_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-]+))?")
SUM_LINE = re.compile(r"(?P<digest>[0-9A-Fa-f]{64}) [ *](?P<name>.+)")  # as sha256sum writes it, * for binary
SHORT_NAME = re.compile(r"bert-(base|large)-[\w.@-]+")  # what models of google-bert were called before 2024
# The commits that the course was tried with: what their owners change later does not change a notebook.
REVISIONS = {
    DEFAULT_MODEL: "387825ce42dbb39b87911cdf8e383ee3b25184f8",
    "google-bert/bert-base-uncased": "86b5e0934494bd15c9632b12f734a8a67f723594",
}


def save(
    folder: Path,
    model: BertForPreTraining,
    tokenizer: WordPieceTokenizer,
    card: str,
    overwrite: bool = False,
) -> None:
    """Write a checkpoint folder, digests last.

    Raises:
        ValueError: if it would replace a file that no `save` has written, unless `overwrite`.
        BusyError: (an OSError) if another process is writing there and does not come to an end.
    """
    folder = Path(folder)
    with only_writer(folder):
        if not overwrite:
            check_own(folder)
        write_folder(folder, model, tokenizer, card)


def check_own(folder: Path) -> None:
    """Refuse a folder with files that its SHA256SUMS does not name: they are somebody else's."""
    sums = folder / SUMS_FILE
    own = sums.read_text(encoding="utf-8", errors="replace") if sums.is_file() else ""
    names = (CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, VOCAB_FILE)
    if others := [name for name in names if (folder / name).exists() and f" {name}\n" not in own]:
        got = f"{folder}, which has a {others[0]} of its own"
        raise refusal("folder", "a new one, or one that was saved before", got, "overwrite=True replaces it")


def write_folder(folder: Path, model: BertForPreTraining, tokenizer: WordPieceTokenizer, card: str) -> None:
    """The files of a checkpoint, digests last."""
    config = {"architectures": ["BertForPreTraining"], **model.config.to_dict()}
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
    # A tied weight has two names in the state dict and one among the parameters: it is written once.
    write_tensors(
        folder / WEIGHTS_FILE, {name: p.detach() for name, p in model.named_parameters()}, {"format": "pt"}
    )
    tokenizer.save(folder / VOCAB_FILE)
    write_text(folder / CARD_FILE, card)
    names = (CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, VOCAB_FILE)
    write_text(folder / SUMS_FILE, "".join(f"{digest(folder / name)}  {name}\n" for name in names))


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def check_digests(folder: Path) -> None:
    """Compare a folder with its SHA256SUMS, where it has one.

    Raises:
        ValueError: naming the first file that is missing or differs.
    """
    sums = Path(folder) / SUMS_FILE
    if not sums.is_file():
        return
    lines = sums.read_text(encoding="utf-8").splitlines() or [""]  # an empty file checks nothing
    for line in lines:
        if not (found := SUM_LINE.fullmatch(line)):
            raise ValueError(f"{sums} is damaged: a line reads {line!r}; copy the file again")
        expected, name = found["digest"].lower(), found["name"]
        path = Path(folder) / name
        if not path.is_file():
            raise ValueError(f"{path} is missing; copy the whole folder again")
        if digest(path) != expected:
            raise ValueError(
                f"{path} ({path.stat().st_size:,} bytes) is damaged or only half copied: its SHA-256 is "
                f"not the one in {SUMS_FILE}; copy the file again"
            )


def read_pickled(path: Path) -> dict[str, torch.Tensor]:
    """Named tensors of a `pytorch_model.bin`, read as numbers only.

    The file is a pickle, which can hold code to run; `weights_only` lets nothing but tensors through.

    Raises:
        ValueError: if it is damaged, or holds anything else.
    """
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader of pickles fails in many ways, and all mean the same here
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} ({path.stat().st_size:,} bytes) is no whole file of weights: {reason}"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(t, torch.Tensor) for t in tensors.values()):
        raise ValueError(f"{path} must hold named tensors and nothing else")
    return tensors


def chosen() -> str:
    """The model for real English: the one that the variable BERT_COURSE_MODEL names, if it can be had.

    Otherwise "embedded"; if another was wanted, one printed line says why it is not there. A model of the hub
    is fetched here if need be. Without the variable no network is asked.
    """
    name = os.environ.get(SWITCH, "").strip()
    if not name:
        return "embedded"
    try:
        folder_of(name)
    except (hub.HubError, ValueError) as error:
        print(f"{SWITCH}: {error}; the embedded model takes its place.")
        return "embedded"
    return name


def folder_of(name: str | Path) -> Path:
    """The folder of a model: an embedded one, an existing folder, or the hub's cache, filled where need be.

    A name of the hub may be followed by `@` and a revision; without one, REVISIONS has the last word, then
    the branch "main". The hub's old short names ("bert-base-uncased") mean the models of google-bert.

    Raises:
        ValueError: if the name can be none of these.
        hub.HubError: (an OSError) if it may be a model of the hub that cannot be had.
    """
    if str(name) in EMBEDDED:
        folder = EMBEDDED[str(name)]
        if not folder.is_dir():
            raise ValueError(f"{folder} is missing; install the course again")
        return folder
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    full_name = f"google-bert/{name}" if SHORT_NAME.fullmatch(str(name)) else str(name)
    if match := HUB_NAME.fullmatch(full_name):
        revision = match["revision"] or REVISIONS.get(match["name"], "main")
        needed = [(CONFIG_FILE,), (VOCAB_FILE,), (WEIGHTS_FILE, PICKLED_FILE)]
        return hub.fetch(match["name"], needed, optional=[TOKENIZER_FILE], revision=revision)
    allowed = f"{', '.join(EMBEDDED)}, an existing folder, or a model of the hub such as {DEFAULT_MODEL!r}"
    raise ValueError(f"name is {str(name)!r}; it must be one of {allowed}")


def load(
    name: str | Path = "embedded", *, allow_missing_heads: bool = False
) -> tuple[BertForPreTraining, WordPieceTokenizer]:
    """A pretrained model, in evaluation mode, and its tokenizer.

    Args:
        name: "embedded", "embedded-causal", the name of a model on the hub ("google-bert/bert-base-uncased",
            with "@" and a revision if need be), or a folder with config.json, vocab.txt and model.safetensors
            (or the older pytorch_model.bin).
        allow_missing_heads: accept a checkpoint without pretraining heads, as of sentence encoders. They are
            then drawn at random: good for fine-tuning, where they are not used, and not for filling blanks.

    Raises:
        ValueError: for an unknown name, or a folder whose files are damaged or do not fit one another.
        hub.HubError: (an OSError) if a model of the hub is not on the disk and cannot be fetched.
    """
    folder = folder_of(name)
    weights = WEIGHTS_FILE if (folder / WEIGHTS_FILE).is_file() else PICKLED_FILE
    missing = [file for file in (CONFIG_FILE, VOCAB_FILE) if not (folder / file).is_file()]
    if not (folder / weights).is_file():
        missing.append(WEIGHTS_FILE)
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}")
    check_digests(folder)
    try:
        config = BertConfig.from_dict(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG_FILE}: {error}") from error
    tokenizer = WordPieceTokenizer.from_file(folder / VOCAB_FILE)
    tokenizer.lowercase = lower_cases(folder, tokenizer.id_to_token)
    if len(tokenizer) != config.vocab_size:
        sizes = f"{VOCAB_FILE} has {len(tokenizer)} pieces, {CONFIG_FILE} says {config.vocab_size}"
        raise ValueError(f"{folder}: {sizes}")
    if weights == WEIGHTS_FILE:
        tensors, _ = read_tensors(folder / weights)
    else:
        tensors = read_pickled(folder / weights)
    model = BertForPreTraining(config)
    try:
        load_weights(model, tensors, allow_missing_heads=allow_missing_heads)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    return model.eval(), tokenizer


def lower_cases(folder: Path, vocabulary: Sequence[str]) -> bool:
    """Whether the text of a model is lower-cased before it is cut, as for the "uncased" BERTs.

    tokenizer_config.json says so where there is one; else the vocabulary shows it, by having no capitals.

    Raises:
        ValueError: for settings that the course's tokenizer does not have.
    """
    specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused")
    has_capitals = any(piece != piece.lower() for piece in vocabulary if not piece.startswith(specials))
    path = Path(folder) / TOKENIZER_FILE
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    lowercase = settings.get("do_lower_case", not has_capitals)
    if lowercase and has_capitals:
        raise ValueError(f"{path}: do_lower_case is true, and {VOCAB_FILE} has pieces with capitals")
    if settings.get("strip_accents") not in (None, lowercase):
        raise ValueError(f"{path}: strip_accents is not do_lower_case; this tokenizer does both or neither")
    if not settings.get("tokenize_chinese_chars", True):
        raise ValueError(
            f"{path}: tokenize_chinese_chars is false; this tokenizer sets Chinese characters apart"
        )
    return lowercase


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch models into the hub's cache and see that they load: `make models`."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.checkpoints",
        description=(
            f"Fetch published BERT models ahead of time, for use without a network; {SWITCH} chooses one."
        ),
    )
    parser.add_argument(
        "names", nargs="*", default=[DEFAULT_MODEL], help=f"on the hub; default {DEFAULT_MODEL}"
    )
    failed = False
    for name in parser.parse_args(arguments).names:
        try:
            model, _ = load(name, allow_missing_heads=True)
        except (hub.HubError, ValueError) as error:
            print(error, file=sys.stderr)
            failed = True
        else:
            layers = model.config.num_hidden_layers
            print(
                f"{name}: {layers} layers, {count_parameters(model):,} parameters. To use it: {SWITCH}={name}"
            )
    return int(failed)


hold_to_hints(globals())

if __name__ == "__main__":
    from course_utils import commands

    commands.run(main)
