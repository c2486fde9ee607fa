"""The sanitize file hides what differs from run to run, and no result."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

FILE = Path(__file__).parent / "nbval_sanitize.cfg"
PATTERNS = get_sanitize_patterns(FILE.read_text(encoding="utf-8"))


def sanitize(text: str) -> str:
    """What nbval does with an output before it compares."""
    for pattern, replacement in PATTERNS:
        text = re.sub(pattern, replacement, text)
    return text


def test_nbval_reads_every_pattern():
    """nbval skips a pattern that is not followed by its replacement, without a word."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    assert len(PATTERNS) == sum(line.startswith("regex") for line in lines) > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<BertModel at 0x7f3a2c10bd90>", "<BertModel at 0x10a4f3e50>"),
        ("trained in 41.3 s", "trained in 7.02 s"),
        ("1.2ms per call", "11.8ms per call"),
        ("189,000 words/s", "250,112 words/s"),
        ("83.1 GFLOP/s", "1,204 GFLOP/s"),
        ("torch 2.13.0+cpu", "torch 2.14.1"),
        ("| transformers | 5.23.0 |", "| transformers | 5.24.0rc1 |"),
        ("Python 3.11.7, 2 cores, 23.4 GB of memory", "Python 3.13.1, 16 cores, 8 GB of memory"),
    ],
)
def test_runs_that_differ_only_by_the_machine_compare_equal(one, other):
    assert one != other
    assert sanitize(one) == sanitize(other)


@pytest.mark.parametrize(
    "result",
    [
        "loss 0.693",
        "accuracy 0.82 (41 of 50)",
        "parameters: 109,482,240",
        "weights: 417.6 MB",
        "shape (2, 12, 768)",
        "step 500: 2.09 nats, floor 1.87",
        "11,174,215,680 MACs",
        "[CLS] the river bank was very scenic [SEP]",
        "positions 0..512, 4 heads",
        "max abs diff 3.1e-07",
        "0x5f is not an address",
        "12 layers",
    ],
)
def test_results_stay_as_they_are(result):
    assert sanitize(result) == result


def test_sanitizing_twice_changes_nothing_more():
    text = "torch 2.13.0 at 0x7f3a2c10bd90: 1.5 s, 20,000 tokens/s, 2 cores, 4.0 GB free"
    assert sanitize(sanitize(text)) == sanitize(text) != text


@pytest.mark.parametrize("tags", [[], ["nbval-ignore-output"]])
def test_a_cell_that_writes_to_stderr_fails_even_where_its_output_is_ignored(tmp_path, tags):
    cell = nbformat.v4.new_code_cell("import warnings; warnings.warn('odd')", execution_count=1)
    cell.metadata["tags"] = tags
    notebook = tmp_path / "warns.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    shutil.copy(FILE.parents[1] / "conftest.py", tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval",
        "--nbval-current-env",
        f"--rootdir={tmp_path}",
    ]
    done = subprocess.run(
        [*command, notebook.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert ("odd" if tags else "stderr") in done.stdout
