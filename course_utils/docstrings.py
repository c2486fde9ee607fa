"""Real English without a download: the documentation strings of the libraries on the reader's own disk.

    passages()      a few sentences each, labelled with the library that they come from
    split(passages) train, dev and test; no module has passages in two of them

The files are read and parsed (`ast`), never imported, so nothing of theirs runs. What is kept is prose:
examples, tables, lists of parameters and markup are left out, and so is every passage that gives its label
away by naming a library. The text differs with the installed versions; it is read, and not shipped.
"""

import ast
import importlib.util
import inspect
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from course_utils.checks import check_at_least, refusal
from course_utils.hints import Count, Natural, hold_to_hints

STANDARD_LIBRARY = "python"
LIBRARIES = (STANDARD_LIBRARY, "matplotlib", "numpy", "sklearn", "torch", "transformers")

# A passage with one of these words in it needs no reading: it names a library.
GIVEAWAY = re.compile(
    r"python|matplotlib|pyplot|numpy|ndarray|scipy|sklearn|scikit|torch|transformers|hugging ?face|"
    r"\b(mpl|plt|np|aten|pretrained)\b",
    re.IGNORECASE,
)
SKIPPED_FOLDERS = {
    "test",
    "tests",
    "_vendor",
    "vendor",
    "_vendored",
    "site-packages",
    "idlelib",
    "__pycache__",
}
DOCUMENTED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SHINGLE = 8  # words in a row that two modules must not share


@dataclass(frozen=True)
class Passage:
    """One or more whole sentences of documentation."""

    text: str
    library: str  # the label
    module: str  # the dotted name of the file that it stands in


class Split(NamedTuple):
    """Three lists without a module in common."""

    train: list[Passage]
    dev: list[Passage]
    test: list[Passage]


def passages(
    libraries: Sequence[str] = LIBRARIES,
    per_library: Count = 300,
    seed: Natural = 0,
    min_words: Count = 10,
    max_words: Count = 40,
    per_module: Count = 8,
) -> list[Passage]:
    """Passages of documentation, as many from each library, in a mixed order.

    The modules of a library are visited in an order that `seed` fixes, and no more of them are opened than
    are needed. No `SHINGLE` words in a row occur in two modules.

    Args:
        libraries: names of installed top-level packages; "python" is the standard library.
        per_library: how many passages to take from each.
        min_words, max_words: length of a passage; a longer paragraph gives its first sentences.
        per_module: the most that one file may give, so that no file speaks for its library.

    Raises:
        ValueError: for a library that is not installed, or has too little prose for `per_library`.
    """
    if len(set(libraries)) != len(libraries) or not libraries:
        raise refusal("libraries", "a list of different names", repr(libraries))
    check_at_least("max_words", max_words, min_words)
    rng = np.random.default_rng(seed)
    owner: dict[str, str] = {}  # which module was the first to have these SHINGLE words
    kept: list[Passage] = []
    for library in libraries:
        files = source_files(library)
        found: list[Passage] = []
        for index in rng.permutation(len(files)):
            module, path = files[index]
            texts = (text for text in prose(path, min_words, max_words) if is_new(text, module, owner))
            own = [Passage(text, library, module) for text in texts]
            found += own[:per_module]
            if len(found) >= per_library:
                break
        else:
            raise refusal("per_library", f"at most {len(found)}, all that {library} has", per_library)
        kept += found[:per_library]
    return [kept[index] for index in rng.permutation(len(kept))]


def split(found: Sequence[Passage], dev: float = 0.15, test: float = 0.15, seed: Natural = 0) -> Split:
    """Deal out whole modules, so that no sentence about the same code is on both sides.

    `dev` and `test` are shares of each library's passages; the true shares differ a little, since a module is
    never cut. The order within a part is the order of `found`.

    Raises:
        ValueError: if shares do not leave a part for training, or a library has fewer than three modules.
    """
    if min(dev, test) <= 0 or dev + test >= 1:
        raise refusal("dev and test", "shares above 0 with a sum below 1", f"{dev} and {test}")
    rng = np.random.default_rng(seed)
    part_of: dict[str, str] = {}
    for library in sorted({passage.library for passage in found}):
        modules = sorted({passage.module for passage in found if passage.library == library})
        if len(modules) < 3:
            raise refusal("found", f"at least 3 modules of {library}", len(modules))
        sizes = {module: sum(passage.module == module for passage in found) for module in modules}
        total = sum(sizes.values())
        order = [modules[index] for index in rng.permutation(len(modules))]
        # One module each, then each of the others to the part that is furthest below its share.
        filled = dict.fromkeys(("train", "dev", "test"), 0)
        shares = {"train": 1 - dev - test, "dev": dev, "test": test}
        for number, module in enumerate(order):
            neediest = max(filled, key=lambda part: shares[part] * total - filled[part])
            part = list(filled)[number] if number < len(filled) else neediest
            part_of[module] = part
            filled[part] += sizes[module]
    return Split(*([p for p in found if part_of[p.module] == part] for part in ("train", "dev", "test")))


# ------------------------------------------------------------------ where the files are


def source_files(library: str) -> list[tuple[str, Path]]:
    """(module, file) of every Python file of a library, in the order of their names; nothing is imported."""
    if library == STANDARD_LIBRARY:
        root, prefix = Path(sysconfig.get_path("stdlib")), ""
    else:
        spec = importlib.util.find_spec(library) if library.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise refusal("library", "'python' or an installed package", repr(library))
        root, prefix = Path(next(iter(spec.submodule_search_locations))), f"{library}."
    files = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in SKIPPED_FOLDERS]  # not gone into
        for name in names:
            if name.endswith(".py") and not name.startswith("test_"):
                path = Path(folder, name)
                module = prefix + ".".join(path.relative_to(root).with_suffix("").parts)
                files.append((module.removesuffix(".__init__"), path))
    return sorted(files)


# ------------------------------------------------------------------ from a file to prose


def prose(path: Path, min_words: Count, max_words: Count) -> Iterator[str]:
    """The passages of one file, in the order in which they stand there."""
    for docstring in docstrings(path):
        for paragraph in paragraphs(docstring):
            text = first_sentences(paragraph, max_words)
            if len(text.split()) >= min_words and reads_as_prose(text) and not GIVEAWAY.search(text):
                yield text


def docstrings(path: Path) -> Iterator[str]:
    """What the modules, classes and functions of a file say of themselves; nothing if it cannot be parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on backslashes in other people's strings
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        docstring = ast.get_docstring(node, clean=False)
        if docstring:
            yield docstring
        # Only bodies are looked into: visiting every expression of a file takes longer than parsing it.
        waiting += reversed([child for child in node.body if isinstance(child, DOCUMENTED)])


def paragraphs(docstring: str) -> Iterator[str]:
    """Blocks of text that begin at the left margin, each as one line without its markup."""
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        lines = block.splitlines()
        at_margin = all(line[:1].strip() for line in lines)  # indented: code, a table, a parameter
        if lines and at_margin and lines[0][0] not in ">.-*+|=~:#@`{<$":
            yield plain(" ".join(lines))


def plain(text: str) -> str:
    """Text without the marks of reStructuredText and Markdown: :class:`~a.B` becomes B."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)  # [words](address)
    text = re.sub(r":[\w:.-]+:`(?:~[\w.]*\.)?!?([^`<]+?)\s*(<[^`>]*>)?`", r"\1", text)
    text = re.sub(r"`+([^`]*?)\s*(<[^`>]*>)?`+_{0,2}", r"\1", text)
    text = re.sub(r"(?<!\w)(\*{1,2})(\w[^*]*\w)\1(?!\w)", r"\2", text)
    return " ".join(text.split())


def first_sentences(paragraph: str, max_words: Count) -> str:
    """As many whole sentences from the front as `max_words` allow; "" if the first is too long."""
    taken: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraph):
        words = sentence.split()
        if not sentence.endswith((".", "!", "?")) or len(taken) + len(words) > max_words:
            break
        taken += words
    return " ".join(taken)


def reads_as_prose(text: str) -> bool:
    """At least four fifths of the "words" are words, it begins like a sentence, and no code is among them."""
    words = text.split()
    plain_words = sum(
        bool(re.fullmatch(r"[(\"']?[A-Za-z]+(['-][A-Za-z]+)*[)\"']?[.,;:!?]*", w)) for w in words
    )
    return (
        text[0].isupper() and plain_words >= 0.8 * len(words) and not re.search(r"[={}<>\\|@]|::|\w\(", text)
    )


def is_new(text: str, module: str, owner: dict[str, str]) -> bool:
    """Whether no earlier module, and no earlier passage of this one, has the same words; they are noted."""
    words = re.findall(r"[a-z]+", text.lower())
    shingles = {" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}
    whole = " ".join(words)
    if whole in owner or any(owner.get(shingle, module) != module for shingle in shingles):
        return False
    owner[whole] = module
    owner.update(dict.fromkeys(shingles, module))
    return True


hold_to_hints(globals())
