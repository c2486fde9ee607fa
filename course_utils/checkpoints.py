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
"""

import hashlib
import json
import os
from pathlib import Path

import torch

from course_utils.bert import BertConfig, BertForPreTraining, load_weights
from course_utils.wordpiece import WordPieceTokenizer

DATA = Path(__file__).parent / "data"
EMBEDDED = {"embedded": DATA / "embedded", "embedded-causal": DATA / "embedded-causal"}
CONFIG_FILE, WEIGHTS_FILE, VOCAB_FILE = "config.json", "model.safetensors", "vocab.txt"
CARD_FILE, SUMS_FILE = "README.md", "SHA256SUMS"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one stroke: a reader, or a pulled plug, finds the old content or the new, whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write named tensors as a safetensors file, in one stroke."""
    from safetensors.torch import save

    write_bytes(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Named tensors and the metadata of a safetensors file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or only half there.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            # Copies: a tensor that looks into the file keeps it open, and Windows replaces no open file.
            tensors = {name: file.get_tensor(name).clone() for name in file.offset_keys()}
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        size = path.stat().st_size
        problem = f"{path} ({size:,} bytes) is no whole safetensors file; copy or make it again: {error}"
        raise ValueError(problem) from error


def save(folder: Path, model: BertForPreTraining, tokenizer: WordPieceTokenizer, card: str) -> None:
    """Write a checkpoint folder, digests last."""
    folder = Path(folder)
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
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, _, name = line.partition("  ")
        if not name:
            raise ValueError(f"{sums} is damaged: a line reads {line!r}; copy the file again")
        path = Path(folder) / name
        if not path.is_file():
            raise ValueError(f"{path} is missing; copy the whole folder again")
        if digest(path) != expected:
            raise ValueError(
                f"{path} ({path.stat().st_size:,} bytes) is damaged or only half copied: its SHA-256 is "
                f"not the one in {SUMS_FILE}; copy the file again"
            )


def load(name: str | Path = "embedded") -> tuple[BertForPreTraining, WordPieceTokenizer]:
    """A pretrained model, in evaluation mode, and its tokenizer.

    Args:
        name: "embedded", "embedded-causal", or a folder with config.json, model.safetensors and vocab.txt.

    Raises:
        ValueError: for an unknown name, or a folder whose files are damaged or do not fit one another.
    """
    folder = EMBEDDED.get(str(name), Path(name))
    if str(name) in EMBEDDED and not folder.is_dir():
        raise ValueError(f"{folder} is missing; install the course again")
    if not folder.is_dir():
        allowed = f"{', '.join(EMBEDDED)}, or an existing folder"
        raise ValueError(f"name is {str(name)!r}; it must be one of {allowed}")
    missing = [file for file in (CONFIG_FILE, WEIGHTS_FILE, VOCAB_FILE) if not (folder / file).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}")
    check_digests(folder)
    try:
        config = BertConfig.from_dict(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG_FILE}: {error}") from error
    tokenizer = WordPieceTokenizer.from_file(folder / VOCAB_FILE)
    if len(tokenizer) != config.vocab_size:
        sizes = f"{VOCAB_FILE} has {len(tokenizer)} pieces, {CONFIG_FILE} says {config.vocab_size}"
        raise ValueError(f"{folder}: {sizes}")
    tensors, _ = read_tensors(folder / WEIGHTS_FILE)
    model = BertForPreTraining(config)
    load_weights(model, tensors)
    return model.eval(), tokenizer
