"""Models on disk: the embedded ones, and any folder in the layout of the `transformers` library.

A checkpoint is a folder:

    config.json          the sizes of the model
    model.safetensors    the weights: a JSON header and raw numbers, so reading it runs no code (a pickle can)
    vocab.txt            one piece a line
    tokenizer_config.json    how text is cleaned before it is cut into pieces
    README.md            the model card: what it is, how it was made, how good it is
    SHA256SUMS           digests of the other files; what does not match is refused

Two come with the course, both trained by `python -m course_utils.pretraining` on the toy language:
"embedded", and its twin "embedded-causal", which was trained with the causal attention mask and wants it when
it is used.

Any other BERT loads into the same model: from a folder, or by its name on the model hub
("google-bert/bert-base-uncased"). `make models` fetches one ahead of time (`python -m
course_utils.checkpoints NAME`). Whatever this command accepts, `load` gives. Heads that a checkpoint lacks
are drawn at random, with a warning; whoever needs one asks for it, and is refused. Sections of the course
that read real English ask for `load(chosen())`: the environment variable BERT_COURSE_MODEL chooses; without
it, or where its model cannot be used, they take the embedded one.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils import hub, vocabularies
from course_utils.bert import BertConfig, BertForPreTraining, count_parameters, load_weights
from course_utils.checks import check_one_of, refusal
from course_utils.files import only_writer, read_json, read_tensors, write_tensors, write_text
from course_utils.hints import Count, hold_to_hints
from course_utils.wordpiece import WordPieceTokenizer

DATA = Path(__file__).parent / "data"
EMBEDDED = {"embedded": DATA / "embedded", "embedded-causal": DATA / "embedded-causal"}
CONFIG_FILE, WEIGHTS_FILE, VOCAB_FILE = "config.json", "model.safetensors", vocabularies.VOCAB_FILE
CARD_FILE, SUMS_FILE, TOKENIZER_FILE = "README.md", "SHA256SUMS", vocabularies.SETTINGS_FILE
PICKLED_FILE = "pytorch_model.bin"  # the older form of the weights, which many published models have only
INDEX = ".index.json"  # after the name of the weights: in which files the parts of a large model are
WEIGHTS_FILES = (
    WEIGHTS_FILE,
    WEIGHTS_FILE + INDEX,
    PICKLED_FILE,
    PICKLED_FILE + INDEX,
)  # the first that is there

HEADS = {"pooler": "pooler.", "mlm": "cls.predictions.", "nsp": "cls.seq_relationship."}

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
    folder: str | Path,
    model: BertForPreTraining,
    tokenizer: WordPieceTokenizer,
    card: str,
    overwrite: bool = False,
) -> None:
    """Write a checkpoint folder.

    Raises:
        ValueError: if it would replace a file that no `save` has written, unless `overwrite`.
        BusyError: (an OSError) if another process is writing there and does not come to an end.
    """
    write(folder, model, tokenizer, model.config.max_position_embeddings, {}, card, overwrite)


def write(
    folder: str | Path,
    model: nn.Module,
    tokenizer: WordPieceTokenizer,
    max_length: Count,
    settings: dict[str, Any],
    card: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the folder of any model; see `save` for what is refused.

    Args:
        max_length: longest row in pieces.
        settings: what config.json says beside the sizes.
        card: of the model; None for none.
    """
    folder = Path(folder).expanduser()
    with only_writer(folder):
        if overwrite:
            vocabularies.make_free(folder)
        else:
            vocabularies.check_free(folder)
            check_own(folder)
        write_files(folder, model, tokenizer, max_length, settings, card)


def check_own(folder: Path) -> None:
    """Refuse a folder with files that its SHA256SUMS does not name: they are somebody else's."""
    sums = folder / SUMS_FILE
    own = sums.read_text(encoding="utf-8", errors="replace") if sums.is_file() else ""
    names = (CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, VOCAB_FILE)
    if others := [name for name in names if (folder / name).exists() and f" {name}\n" not in own]:
        got = f"{folder}, which has a {others[0]} of its own"
        raise refusal("folder", "a new one, or one that was saved before", got, "overwrite=True replaces it")


def write_files(
    folder: Path,
    model: nn.Module,
    tokenizer: WordPieceTokenizer,
    max_length: Count,
    settings: dict[str, Any],
    card: str | None,
) -> None:
    """Digests last: a folder that is only half written does not load."""
    config = {"architectures": [type(model).__name__], **model.config.to_dict(), **settings}
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
    # A tied weight has two names in the state dict and one among the parameters: it is written once.
    write_tensors(
        folder / WEIGHTS_FILE, {name: p.detach() for name, p in model.named_parameters()}, {"format": "pt"}
    )
    vocabularies.write_tokenizer(folder, tokenizer, max_length)
    names = [CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE, VOCAB_FILE]
    if card is not None:
        write_text(folder / CARD_FILE, card)
        names.insert(0, CARD_FILE)
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


def chosen(heads: Sequence[str] = ()) -> str:
    """The model for real English: the one that the variable BERT_COURSE_MODEL names, if `load` gives it.

    Otherwise "embedded"; if another was wanted, one printed line says why it is not used. A model of the hub
    is fetched here if need be. Without the variable no network is asked.
    """
    name = os.environ.get(SWITCH, "").strip()
    if not name:
        return "embedded"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `load` will say it again
            load(name, heads)
    except (OSError, ValueError) as error:
        reason = textwrap.shorten(str(error), 300, placeholder=" ...")
        print(f"{SWITCH}: {reason}; the embedded model takes its place.")
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
        needed = [(CONFIG_FILE,), (VOCAB_FILE, vocabularies.WHOLE_FILE), WEIGHTS_FILES]
        optional = [TOKENIZER_FILE, *vocabularies.FILES_OF_OTHERS]
        folder = hub.fetch(match["name"], needed, optional, revision)
        parts = [(path.name,) for path in weights_of(folder) if path.name not in WEIGHTS_FILES]
        return hub.fetch(match["name"], parts, revision=revision) if parts else folder
    allowed = f"{', '.join(EMBEDDED)}, an existing folder, or a model of the hub such as {DEFAULT_MODEL!r}"
    raise refusal("name", f"one of {allowed}", repr(str(name)))


def weights_of(folder: Path) -> list[Path]:
    """The files that hold the weights of a folder: one, or the parts that an index names.

    Raises ValueError if there are none, or if an index names anything but a file beside it.
    """
    found = [folder / name for name in WEIGHTS_FILES if (folder / name).is_file()]
    if not found or not found[0].name.endswith(INDEX):
        return found[:1]
    parts = read_json(found[0]).get("weight_map")
    names = set(parts.values()) if isinstance(parts, dict) else {parts}
    if not names or not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise refusal(f"{found[0]}: weight_map", "names of files beside it", repr(parts))
    return [folder / name for name in sorted(names)]


def read(folder: str | Path) -> tuple[dict[str, Any], BertConfig, WordPieceTokenizer, dict[str, Tensor]]:
    """All that a folder holds: what config.json says, the same as a `BertConfig`, tokenizer and weights.

    Raises:
        ValueError: for a folder whose files are missing, damaged, or do not fit one another.
    """
    folder = Path(folder).expanduser()
    weights = weights_of(folder)
    vocabulary = folder / vocabularies.WHOLE_FILE
    needed = [folder / CONFIG_FILE, vocabulary if vocabulary.is_file() else folder / VOCAB_FILE]
    if missing := [path.name for path in needed + (weights or [folder / WEIGHTS_FILE]) if not path.is_file()]:
        raise ValueError(f"{folder} lacks {', '.join(missing)}")
    check_digests(folder)
    values = read_json(folder / CONFIG_FILE)
    try:
        config = BertConfig.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG_FILE}: {error}") from error
    tokenizer = vocabularies.read_tokenizer(folder, values)
    if not vocabularies.fits(tokenizer, config.vocab_size):
        sizes = f"{needed[1].name} has {len(tokenizer)} pieces, {CONFIG_FILE} says {config.vocab_size}"
        raise ValueError(f"{folder}: {sizes}")
    tensors: dict[str, Tensor] = {}
    for path in weights:
        tensors |= read_tensors(path)[0] if path.suffix == ".safetensors" else read_pickled(path)
    return values, config, tokenizer, tensors


def load(
    name: str | Path = "embedded", heads: Sequence[str] = ()
) -> tuple[BertForPreTraining, WordPieceTokenizer]:
    """A pretrained model, in evaluation mode, and its tokenizer.

    Args:
        name: "embedded", "embedded-causal", the name of a model on the hub ("google-bert/bert-base-uncased",
            with "@" and a revision if need be), or a folder with config.json, vocab.txt or tokenizer.json,
            and the weights: model.safetensors or the older pytorch_model.bin, each whole or in parts.
        heads: those that must be there, of "pooler", "mlm" (for filling blanks) and "nsp". Many published
            models have none, and fine-tuning needs none. A head that is not there is drawn at random, and a
            warning says so.

    Raises:
        ValueError: for an unknown name, a head that is not there, or a folder whose files are damaged or do
            not fit one another.
        hub.HubError: (an OSError) if a model of the hub is not on the disk and cannot be fetched.
    """
    for head in heads:
        check_one_of("heads", head, HEADS)
    folder = folder_of(name)
    _, config, tokenizer, tensors = read(folder)
    model = BertForPreTraining(config)
    try:
        report = load_weights(model, tensors, allow_missing_heads=True)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    missing = [
        head for head, begin in HEADS.items() if any(n.startswith(begin) for n in report.missing_heads)
    ]
    if lacking := [head for head in missing if head in heads]:
        raise ValueError(f"{folder} has no weights for the heads {', '.join(lacking)}")
    if missing:
        advice = "which are drawn at random: good for fine-tuning, and not for what these heads say"
        warnings.warn(f"{folder} has no weights for the heads {', '.join(missing)}, {advice}", stacklevel=3)
    return model.eval(), tokenizer


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
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always")
                model, _ = load(name)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            failed = True
        else:
            print(*(note.message for note in notes), sep="\n", end="\n" * bool(notes), file=sys.stderr)
            layers = model.config.num_hidden_layers
            print(
                f"{name}: {layers} layers, {count_parameters(model):,} parameters. To use it: {SWITCH}={name}"
            )
    return int(failed)


hold_to_hints(globals())

if __name__ == "__main__":
    from course_utils.commands import run

    run(main)
