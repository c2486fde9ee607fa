"""P9: what a reader waits for: the import of the package, and a widget that answers.

Imports are timed in fresh processes, after torch is there. Widgets are driven as the browser would, by their
traits; the way through server and browser is not in the number.

    python -m benchmarks P9
"""

import subprocess
import sys

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmarks import protocol
from course_utils import checkpoints, widgets
from course_utils.masks import causal_mask
from course_utils.toy.language import ToyLanguage

IMPORT_GOAL = 0.3  # seconds beyond torch
WIDGET_GOAL = 100.0  # milliseconds
POSITIONS = 128
IMPORTS = {
    "P9": ("import course_utils", "import course_utils, after torch"),
    "P9_model": (
        "import course_utils.checkpoints, course_utils.pretraining",
        "import of model, tokenizer, toy language and training, after torch",
    ),
}
HEAVY = ("transformers", "tokenizers", "matplotlib", "sklearn")
TIME_IMPORT = """
import sys, time, torch
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
print(*[name for name in {heavy} if name in sys.modules])
"""


def import_seconds(statement: str) -> float:
    """Seconds that `statement` takes in a fresh process that has torch loaded; it may load nothing heavy."""
    code = TIME_IMPORT.format(statement=statement, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    taken, loaded = done.stdout.split("\n")[:2]
    assert not loaded, f"{statement!r} imports {loaded}"
    return float(taken)


def import_rows(processes: int) -> dict[str, dict]:
    """Import times over fresh processes."""
    rows = {}
    for key, (statement, what) in IMPORTS.items():
        import_seconds(statement)  # the first process may still write bytecode
        times = [import_seconds(statement) for _ in tqdm(range(processes), desc=statement, leave=False)]
        interval = protocol.median_interval(np.array(times))
        rows[key] = protocol.row(what, IMPORT_GOAL, interval, "s", at_most=True, processes=processes)
    return rows


def long_sentence(tokenizer, positions: int = POSITIONS) -> str:
    """Toy words and one [MASK] that fill exactly `positions` positions with [CLS] and [SEP]."""
    documents = ToyLanguage(seed=0).documents(20)
    words = [word for document in documents for sentence in document.sentences for word in sentence.words]
    sentence = " ".join(["[MASK]", *words[: positions - 3]])  # a toy word is one piece
    found = len(tokenizer.encode(sentence))
    assert found == positions, f"the sentence has {found} pieces"
    return sentence


def fill_blank_answer():
    """A call that moves the slider of `fill_blank` over a sentence of 128 positions (embedded model)."""
    model, tokenizer = checkpoints.load("embedded")
    field, guesses, *_, view = widgets.fill_blank(model, tokenizer).children  # what is unseen lies between
    field.value = long_sentence(tokenizer)

    def answer():
        guesses.value = 4 if guesses.value == 3 else 3

    before = view.value
    answer()
    assert "blank 1" in view.value and view.value != before, "the widget did not answer"
    return answer


def playground_answer():
    """A call that sets the mask of notebook 05's playground of five words, all its cells at once."""
    vectors = torch.rand(5, 2, generator=torch.Generator().manual_seed(0))
    playground = widgets.MaskPlayground(vectors, ["the", "bank", "was", "robbed", "yesterday"])
    masks = [causal_mask(5), torch.ones(5, 5, dtype=torch.bool)]

    def answer():
        playground.set_mask(masks[0])
        masks.reverse()

    answer()
    assert torch.equal(playground.mask, causal_mask(5)), "the widget did not answer"
    return answer


def widget_rows(blocks: int) -> dict[str, dict]:
    """Milliseconds from a moved control to the new HTML."""
    answers = {
        "P9_fill_blank": (fill_blank_answer(), f"fill_blank answers, {POSITIONS} positions, embedded model"),
        "P9_playground": (playground_answer(), "the mask playground answers, five words"),
    }
    rows = {}
    for key, (answer, what) in answers.items():
        interval = protocol.median_interval(1000 * protocol.repeat(answer, blocks))
        rows[key] = protocol.row(what, WIDGET_GOAL, interval, "ms", at_most=True, blocks=blocks)
    return rows


def run(blocks: int = protocol.BLOCKS) -> dict[str, dict]:
    """P9: imports and widgets."""
    return import_rows(blocks) | widget_rows(blocks)
