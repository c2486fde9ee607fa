"""The notebooks keep every rule, each rule can fail, and the runner does what it says."""

import base64
import struct
import zlib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import notebook_rules
from tools import notebooks as runner
from tools.notebook_rules import RULES, Notebook

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_notebook_keeps_the_rule(path, rule):
    assert rule(Notebook.read(path)) == []


# --- Every rule can fail


def png(*extra: tuple[bytes, bytes]) -> str:
    """The base64 text of a white picture of one pixel, with `extra` chunks (type, content) before the end."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0\xff"))]
    data = runner.PNG_SIGNATURE
    for kind, content in [*chunks, *extra, (b"IEND", b"")]:
        data += (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )
    return base64.b64encode(data).decode()


def code(source: str, *outputs, tags=()):
    cell = new_code_cell(source, outputs=list(outputs))
    cell.metadata.slideshow = {"slide_type": "fragment"}
    if tags:
        cell.metadata.tags = list(tags)
    return cell


def several(source: str, number: int) -> list:
    return [code(source) for _ in range(number)]


def text(source: str):
    cell = new_markdown_cell(source)
    cell.metadata.slideshow = {"slide_type": "slide"}
    return cell


def stream(content: str, name: str = "stdout"):
    return new_output("stream", name=name, text=content)


def display(data: dict, metadata: dict | None = None):
    return new_output("display_data", data=data, metadata=metadata or {})


def store(folder: Path, *cells, change=lambda content: None, name: str = "99_page.ipynb") -> Notebook:
    """A notebook of `cells` in its normal form; `change` spoils it, then it is written as it is."""
    path = folder / name
    content = runner.normalise(new_notebook(cells=list(cells)), path.stem)
    change(content)
    path.write_bytes(runner.to_bytes(content))
    return Notebook(path, content)


def good_cells() -> list:
    return [
        text("# Title\n\nA [link](#Second-part), a [page](https://example.org) and `![](no-picture)`."),
        text("## Second part\n\n```\n# not a heading ![](x)\n```"),
        code(
            "x = 1\nx",
            stream("1\n"),
            display({"image/png": png()}, {"image/png": {"alt": "one white pixel"}}),
        ),
    ]


def test_a_good_notebook_passes_every_rule(tmp_path):
    page = store(tmp_path, *good_cells())
    assert {rule.__name__: rule(page) for rule in RULES} == {rule.__name__: [] for rule in RULES}


def with_output(*outputs) -> list:
    return [text("# Title"), code("x", *outputs)]


def with_text(source: str) -> list:
    return [text("# Title\n\n" + source)]


BAD_CELLS = {
    "no_errors": [with_output(new_output("error", ename="ValueError", evalue="", traceback=[]))],
    "no_stderr": [with_output(stream("a warning", "stderr"))],
    "no_absolute_paths": [
        with_output(stream("saved /home/ada/model")),
        with_output(display({"text/html": "<p>C:\\Users\\ada</p>"})),
        with_output(
            new_output("execute_result", data={"text/plain": "PosixPath('/tmp/x')"}, execution_count=1)
        ),
    ],
    "alternative_texts": [
        with_output(display({"image/png": png()})),
        with_output(display({"image/svg+xml": "<svg/>"}, {"image/svg+xml": {"alt": " "}})),
        with_output(display({"text/html": "<img src='a.png'>"})),
        with_text("![](a.png)"),
        with_text('<img src="a.png" alt="">'),
    ],
    "headings_in_order": [
        [text("no heading")],
        [text("## Second level first")],
        [text("# Title"), text("# Another title")],
        [text("# Title"), text("### Skips a level")],
    ],
    "links_exist": [
        with_text("[next](98_missing.ipynb)"),
        with_text("![a drawing](img/missing.svg)"),
        with_text('<img alt="a drawing" src="missing.svg">'),
        with_text("[up](#Nowhere)"),
    ],
    "nothing_from_network": [
        with_text("![badge](https://example.org/badge.svg)"),
        with_text('<img alt="a" src="//example.org/a.png">'),
        with_output(display({"text/html": '<script src="https://example.org/a.js"></script>'})),
        with_output(display({"text/html": "<link rel=stylesheet href=https://example.org/a.css>"})),
        with_output(display({"text/html": "<style>@import 'https://example.org/a.css'</style>"})),
        with_output(display({"text/html": "<p style='background: url(https://example.org/a.png)'>"})),
        with_output(display({"image/svg+xml": '<svg><image xlink:href="https://example.org/a.png"/></svg>'})),
        with_output(display({"application/javascript": "import 'https://example.org/a.js'"})),
        [text("# Title"), code("HTML('<script src=\"https://example.org/a.js\"></script>')")],
    ],
    "short_code": [
        [text("# Title"), code("x = 1\n" * 31), *several("x", 2)],
        [text("# Title"), code("x = 1\n" * 9)],
    ],
    "prose_before_code": [
        [text("# Title"), code("x"), code("# again\nx")],
        [text("# Title"), text("One."), code("x"), code("x")],
    ],
    "slide_types": [[new_markdown_cell("# Title")]],
    "ignored_outputs": [
        [text("# Title"), code("# assert\nx", tags=["nbval-ignore-output"]), *several("x", 9)],
        [text("# Title"), code("assert x", tags=["nbval-ignore-output"]), *several("x", 3)],
    ],
    "no_way_round": [
        [text("# Title"), code("x", tags=["nbval-skip"])],
        [text("# Title"), code("x", tags=["raises-exception"])],
        [text("# Title"), code("# NBVAL_IGNORE_OUTPUT\nx")],
    ],
    "no_raw_tensors": [
        with_output(stream("median cosine  tensor(0.6985, dtype=torch.float64)\n")),
        with_output(display({"text/html": "<td>tensor([1., 2.])</td>"})),
        with_output(new_output("execute_result", data={"text/plain": "tensor(1.)"}, execution_count=1)),
        [text("# Title"), code("x", stream("1.0\n"), tags=["shows-tensor"])],
    ],
    "exercises_imported_alone": [
        [text("# Title"), code("from course_utils.exercises import masks as ex\n\nex.reach.check(3)")],
        [text("# Title"), code("import course_utils.exercises.masks as ex\n\ndef reach(x): ...")],
    ],
    "stable_calls": [
        [text("# Title"), code("plt.plot(x);")],
        [text("# Title"), code("widgets.interact(f, x=3)")],
        [text("# Title"), code("%matplotlib inline\nout = Output()")],
    ],
}

SPOILERS = {
    "valid_format": [
        lambda content: content.update(nbformat_minor=4),
        lambda content: content.cells[0].update(source=3),
    ],
    "normal_form": [lambda content: content.metadata.kernelspec.update(name="venv")],
    "cell_ids": [lambda content: content.cells[1].update(id="4f0c2a7e")],
    "counts_in_order": [
        lambda content: content.cells[2].update(execution_count=None),
        lambda content: content.cells[2].update(execution_count=7),
    ],
    "no_widget_state": [
        lambda content: content.metadata.update(widgets={}),
        lambda content: content.cells[2].outputs.append(display({runner.WIDGET_VIEW: {}})),
    ],
}


@pytest.mark.parametrize(
    ("name", "cells"), [(name, cells) for name, examples in BAD_CELLS.items() for cells in examples]
)
def test_a_rule_refuses_bad_cells(tmp_path, name, cells):
    assert getattr(notebook_rules, name)(store(tmp_path, *cells))


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, changes in SPOILERS.items() for change in changes]
)
def test_a_rule_refuses_a_spoiled_file(tmp_path, name, change):
    page = store(tmp_path, *good_cells())
    change(page.content)
    if name == "normal_form":
        page.path.write_bytes(runner.to_bytes(page.content))
    assert getattr(notebook_rules, name)(page)


def test_small_file_refuses_a_large_one(tmp_path):
    page = store(tmp_path, text("# Title\n\n" + "x" * runner.LIMIT_SIZE))
    assert notebook_rules.small_file(page)


def test_every_rule_has_an_example_that_it_refuses():
    assert {rule.__name__ for rule in RULES} == {*BAD_CELLS, *SPOILERS, "small_file"}


def test_a_cell_about_tensors_may_print_one(tmp_path):
    page = store(tmp_path, text("# Title"), code("x", stream("tensor([1, 2])\n"), tags=["shows-tensor"]))
    assert notebook_rules.no_raw_tensors(page) == []


def test_links_reach_headings_of_other_notebooks(tmp_path):
    store(tmp_path, text("# Masks\n\n## Who sees *whom*?"), name="98_other.ipynb")
    good = store(tmp_path, text("# Title\n\n[there](98_other.ipynb#Who-sees-whom?)"))
    bad = store(tmp_path, text("# Title\n\n[there](98_other.ipynb#who-sees-whom)"))
    assert notebook_rules.links_exist(good) == []
    assert notebook_rules.links_exist(bad)


# --- The runner


def test_normal_form_drops_what_changes_from_run_to_run():
    cell = code(
        "x",
        stream("a"),
        stream("b\n"),
        display({runner.WIDGET_VIEW: {"model_id": "1"}, "text/plain": "VBox()"}),
        display({"image/png": png((b"tEXt", b"Software\0Matplotlib"))}),
    )
    cell.metadata.execution = {"iopub.execute_input": "2026-01-01"}
    kernel = {"name": "venv", "display_name": "venv"}
    raw = new_notebook(cells=[text("# Title"), cell], metadata={"widgets": {}, "kernelspec": kernel})
    result = runner.normalise(raw, "07_page")

    assert [cell.id for cell in result.cells] == ["07_page-00", "07_page-01"]
    assert result.metadata == {"kernelspec": runner.KERNELSPEC, "language_info": {"name": "python"}}
    assert result.cells[1].metadata == {"slideshow": {"slide_type": "fragment"}}
    assert result.cells[1].execution_count == 1
    joined, picture = result.cells[1].outputs
    assert joined.text == "ab\n"
    assert picture.data["image/png"] == png()
    assert "widgets" in raw.metadata, "the argument stays as it was"
    assert runner.to_bytes(runner.normalise(result, "07_page")) == runner.to_bytes(result)


def test_runner_is_idempotent_and_measures(tmp_path):
    source = "import sys\nprint('a', flush=True)\nprint('b')\nheld = bytearray(50_000_000)\nlen(held)"
    page = store(tmp_path, text("# Title"), code(source))
    report = runner.run(page.path, write=True)
    first = page.path.read_bytes()
    runner.run(page.path, write=True)

    assert page.path.read_bytes() == first
    assert [output.output_type for output in nbformat.read(page.path, 4).cells[1].outputs] == [
        "stream",
        "execute_result",
    ]
    assert report.size == len(first)
    assert 50e6 < report.memory < 1e9
    assert report.seconds > 0
    assert list(tmp_path.iterdir()) == [page.path]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "99_page, cell 1: ZeroDivisionError: division by zero"),
        ("import sys\nprint('careful', file=sys.stderr)", "99_page, cell 1 wrote to stderr: careful"),
    ],
)
def test_failed_notebook_stays_as_it_was(tmp_path, source, message):
    page = store(tmp_path, text("# Title"), code(source))
    before = page.path.read_bytes()
    with pytest.raises(runner.NotebookFailed) as failure:
        runner.run(page.path, write=True)
    assert str(failure.value) == message
    assert page.path.read_bytes() == before


def test_report_names_every_limit_that_is_broken():
    assert runner.Report("02_wordpiece", 269.0, 10**9, 300_000).excesses() == []
    assert len(runner.Report("02_wordpiece", 271.0, 10**9 + 1, 300_001).excesses()) == 3
    assert runner.Report("09_pretraining", 539.0, 0, 0).excesses() == []
