"""Break the course on purpose, one constant or sign at a time, and see that a test turns red.

    python -m tools.mutants                all mutants: `make mutants`
    python -m tools.mutants --sample 3     the first three, as CI does
    python -m tools.mutants scale eps      only those with these names

Each mutant is one edit of one module in a copy of the course. The tests that know the module best run first;
if they all pass, the rest of `make test` follows. A mutant that survives everything means that nobody would
notice this mistake: the exit code is then 1.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from course_utils import commands
from tools import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info", "build"
)
AT_ONCE = min(os.cpu_count() or 1, 2)


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new`, once, in `module`; `tests` are tried first."""

    name: str
    module: str
    old: str
    new: str
    tests: str


MUTANTS = (
    Mutant("scale", "bert/model", "/ math.sqrt(query.shape[-1])", "/ query.shape[-1]", "test_bert"),
    Mutant("mask-sign", "masks", "bias.masked_fill(~mask,", "bias.masked_fill(mask,", "test_masks"),
    Mutant(
        "mask-share",
        "mlm",
        "MASKED, RANDOM = 8, 1",
        "MASKED, RANDOM = 7, 2",
        "test_mlm",
    ),
    Mutant(
        "layer-norm-eps",
        "bert/model",
        "layer_norm_eps: float = 1e-12",
        "layer_norm_eps: float = 1e-5",
        "test_bert",
    ),
    Mutant("softmax-axis", "bert/model", "scores.softmax(dim=-1)", "scores.softmax(dim=-2)", "test_bert"),
    Mutant("label-order", "nsp", "IS_NEXT, NOT_NEXT = 0, 1", "IS_NEXT, NOT_NEXT = 1, 0", "test_nsp"),
    Mutant(
        "causal-triangle",
        "masks",
        "bidirectional_mask(seq_len).tril()",
        "bidirectional_mask(seq_len).triu()",
        "test_masks",
    ),
    Mutant(
        "post-norm",
        "bert/model",
        "self.LayerNorm(residual + self.dropout(self.dense(sublayer_states)))",
        "residual + self.LayerNorm(self.dropout(self.dense(sublayer_states)))",
        "test_bert",
    ),
    Mutant("pooler-token", "bert/model", "last_hidden_state[:, 0]", "last_hidden_state[:, -1]", "test_bert"),
    Mutant("ignore-index", "checks", "IGNORE_INDEX = -100", "IGNORE_INDEX = 0", "test_bert"),
    Mutant(
        "gelu", "bert/model", '"gelu": F.gelu,', '"gelu": partial(F.gelu, approximate="tanh"),', "test_bert"
    ),
    Mutant("continuation", "wordpiece", 'CONTINUATION = "##"', 'CONTINUATION = "@@"', "test_wordpiece"),
    Mutant("noise-power", "word2vec", "NOISE_POWER = 0.75", "NOISE_POWER = 1.0", "test_word2vec"),
    Mutant("learning-rate-decay", "training", "(total - step)", "(step)", "test_training"),
    Mutant("kept-tokens", "toy/language", "(1 - 0.9 * rate)", "(1 - 0.8 * rate)", "test_toy_language"),
    Mutant(
        "stage-chain",
        "toy/language",
        'prior * np.einsum("st,btz->bsz"',
        'prior * np.einsum("ts,btz->bsz"',
        "test_toy_language",
    ),
)


def tests_of(mutant: Mutant) -> list[list[str]]:
    """The tests that know the module, then all else that `make test` runs, each stopping at a failure."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    near = [*pytest, f"tests/{mutant.tests}.py"]
    rest = [*pytest, f"--ignore=tests/{mutant.tests}.py", "--ignore=tests/pages", "tests"]
    notebooks = [
        *pytest,
        "--nbval",
        "--nbval-current-env",
        "--nbval-sanitize-with=tests/nbval_sanitize.cfg",
        "notebooks",
    ]
    return [near, rest, notebooks]


def try_mutant(mutant: Mutant, folder: Path) -> str | None:
    """Run the tests on a copy of the course, broken. Returns what turned red, or None if nothing did."""
    started = time.monotonic()
    tree = folder / mutant.name
    shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
    path = tree / "course_utils" / f"{mutant.module}.py"
    source = path.read_text(encoding="utf-8")
    if mutant.old not in source:
        raise SystemExit(
            f"mutant {mutant.name}: {path.name} no longer holds {mutant.old!r}; bring tools/mutants.py up to"
            " date"
        )
    path.write_text(source.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    red = None
    for command in tests_of(mutant):
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 5):  # 5: no test was collected
            lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
            red = lines[0] if lines else f"exit code {done.returncode}"
            break
    verdict = f"killed by {red}" if red else "SURVIVED"
    print(f"{mutant.name:20} {time.monotonic() - started:6.1f} s  {verdict[:110]}", flush=True)
    return red


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"any of: {', '.join(m.name for m in MUTANTS)}")
    parser.add_argument("--sample", type=int, metavar="N", help="only the first N")
    options = parser.parse_args()
    if unknown := set(options.names) - {mutant.name for mutant in MUTANTS}:
        parser.error(f"no mutant {min(unknown)!r}")
    chosen = [mutant for mutant in MUTANTS if mutant.name in options.names or not options.names][
        : options.sample
    ]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        red = list(pool.map(lambda mutant: try_mutant(mutant, Path(folder)), chosen))
    survivors = red.count(None)
    print(f"\nmutants: {len(chosen) - survivors} killed, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    commands.run(main)
