"""The rules that every notebook keeps: `tests/test_notebooks.py` applies each of them to each notebook.

A rule is a function that takes a `Notebook` and returns what it found wrong, one sentence per finding; an
empty list means that the rule is kept. `RULES` lists them all. Each has a test with a small notebook that it
must refuse.
"""

import ast
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
from nbformat import NotebookNode

from tools.notebooks import LIMIT_SIZE, WIDGET_VIEW, normalise, to_bytes

LONGEST_CODE_CELL = 30  # lines that are not blank
MEDIAN_CODE_CELL = 8
SHARE_OF_IGNORED_OUTPUTS = 0.2
SLIDE_TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
IGNORE_TAG = "nbval-ignore-output"
TENSOR_TAG = "shows-tensor"  # of a cell that is about how a tensor prints
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")

ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:-])/(?:content|home|mnt|opt|private|root|tmp|usr|Users|var|work|workspace)/[\w.-]+"
    r"|\b[A-Za-z]:\\+[\w.-]+"
)
MARKDOWN_IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^)\s]*)[^)]*\)")
MARKDOWN_LINK = re.compile(
    r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\]|!\[[^\]]*\]\([^)]*\))*\]\((?P<target>[^)\s]+)[^)]*\)"
)
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
HTML_ALT = re.compile(r"""\balt\s*=\s*(["'])\s*\S.*?\1""", re.IGNORECASE | re.DOTALL)
HTML_TARGET = re.compile(
    r"""<(?:img|a|source|video)\b[^>]*?\b(?:src|href)\s*=\s*["']([^"']+)["']""", re.IGNORECASE
)
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
REMOTE = r"""\s*["']?\s*(?:https?:)?//"""
LOADS_FROM_NETWORK = [
    re.compile(rf"\bsrc\s*={REMOTE}", re.IGNORECASE),
    re.compile(rf"<link\b[^>]*\bhref\s*={REMOTE}", re.IGNORECASE),
    re.compile(rf"<(?:image|use)\b[^>]*\bhref\s*={REMOTE}", re.IGNORECASE),
    re.compile(rf"@import\s+(?:url\(\s*)?{REMOTE}", re.IGNORECASE),
    re.compile(rf"\burl\({REMOTE}", re.IGNORECASE),
    re.compile(rf"\b(?:import|from|fetch\(|import\(|require\(\s*\[)\s*{REMOTE}"),
    re.compile(r"!\[[^\]]*\]\(\s*(?:https?:)?//"),
]
UNSTABLE_CALLS = {"interact", "interactive", "interactive_output", "clear_output", "Output"}


@dataclass
class Notebook:
    """A notebook and the file that it stands in (links are read from there)."""

    path: Path
    content: NotebookNode

    @classmethod
    def read(cls, path: Path) -> "Notebook":
        return cls(path, nbformat.read(path, as_version=nbformat.NO_CONVERT))

    def cells(self, kind: str) -> list[tuple[int, NotebookNode]]:
        """The cells of one kind ("code" or "markdown") with their places."""
        return [(i, cell) for i, cell in enumerate(self.content.cells) if cell.cell_type == kind]

    def outputs(self) -> Iterator[tuple[int, NotebookNode]]:
        """Every output with the place of its cell."""
        for i, cell in self.cells("code"):
            for output in cell.outputs:
                yield i, output

    def prose(self) -> Iterator[tuple[int, str]]:
        """The text of every markdown cell, without code."""
        for i, cell in self.cells("markdown"):
            yield i, CODE_SPAN.sub("", FENCE.sub("", cell.source))


Rule = Callable[[Notebook], list[str]]


def texts_of(output: NotebookNode) -> Iterator[str]:
    """Everything in an output that a reader sees as text or that a browser interprets."""
    if "text" in output:
        yield output.text
    yield from output.get("traceback", [])
    for kind, data in output.get("data", {}).items():
        if isinstance(data, str) and kind not in ("image/png", "image/jpeg"):
            yield data


def code_lines(source: str) -> int:
    return sum(bool(line.strip()) for line in source.splitlines())


def headings(notebook: Notebook) -> list[tuple[int, int, str]]:
    """(cell, level, text) of every heading, in order. Code inside a heading is part of its text."""
    found = []
    for i, cell in notebook.cells("markdown"):
        found += [(i, len(marks), text) for marks, text in HEADING.findall(FENCE.sub("", cell.source))]
    return found


def anchor(heading: str) -> str:
    """The name under which JupyterLab finds a heading: its text without marks, spaces as hyphens."""
    return re.sub(r"[`*]", "", heading).strip().replace(" ", "-")


# --- The stored form


def valid_format(notebook: Notebook) -> list[str]:
    """Format 4.5, valid against its schema."""
    content = notebook.content
    if (content.nbformat, content.nbformat_minor) != (4, 5):
        return [f"format {content.nbformat}.{content.nbformat_minor}, not 4.5"]
    try:
        nbformat.validate(content)
    except nbformat.ValidationError as error:
        return [f"not valid: {error.message.splitlines()[0]}"]
    return []


def normal_form(notebook: Notebook) -> list[str]:
    """The file is byte for byte what `make notebooks` writes."""
    expected = to_bytes(normalise(notebook.content, notebook.path.stem))
    return [] if notebook.path.read_bytes() == expected else ["not in the normal form: run `make notebooks`"]


def cell_ids(notebook: Notebook) -> list[str]:
    """Cell i has the id `{stem}-{i:02d}`."""
    expected = [f"{notebook.path.stem}-{i:02d}" for i in range(len(notebook.content.cells))]
    pairs = zip(notebook.content.cells, expected, strict=True)
    return [
        f"cell {i} has the id {cell.get('id')!r}"
        for i, (cell, wanted) in enumerate(pairs)
        if cell.get("id") != wanted
    ]


def counts_in_order(notebook: Notebook) -> list[str]:
    """Every code cell ran, from top to bottom, in one kernel: nbval passes a stripped notebook in silence."""
    counts = [cell.execution_count for _, cell in notebook.cells("code")]
    return (
        []
        if counts == list(range(1, len(counts) + 1))
        else [f"execution counts {counts}, not 1..{len(counts)}"]
    )


def no_errors(notebook: Notebook) -> list[str]:
    return [
        f"cell {i} ends in {output.ename}"
        for i, output in notebook.outputs()
        if output.output_type == "error"
    ]


def no_stderr(notebook: Notebook) -> list[str]:
    return [f"cell {i} wrote to stderr" for i, output in notebook.outputs() if output.get("name") == "stderr"]


def no_widget_state(notebook: Notebook) -> list[str]:
    """Widget views and their state are left out: their ids are random, and a file cannot revive them."""
    found = ["metadata.widgets is stored"] if "widgets" in notebook.content.metadata else []
    return found + [
        f"cell {i} stores a widget view"
        for i, output in notebook.outputs()
        if WIDGET_VIEW in output.get("data", {})
    ]


def no_absolute_paths(notebook: Notebook) -> list[str]:
    """No output shows a path of the machine that it was made on."""
    found = []
    for i, output in notebook.outputs():
        for text in texts_of(output):
            found += [f"cell {i} shows the path {match.group()}" for match in ABSOLUTE_PATH.finditer(text)]
    return found


def small_file(notebook: Notebook) -> list[str]:
    size = notebook.path.stat().st_size
    return [f"{size / 1e3:.0f} KB, more than {LIMIT_SIZE / 1e3:.0f}"] if size > LIMIT_SIZE else []


# --- For readers


def alternative_texts(notebook: Notebook) -> list[str]:
    """Every picture has a text in its place: in the markup, or in the metadata of the output."""
    found = []
    for i, output in notebook.outputs():
        for kind in PICTURES:
            alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
            if kind in output.get("data", {}) and not alt.strip():
                found.append(f"cell {i} has a picture without alternative text in its output")
        html = output.get("data", {}).get("text/html", "")
        found += [
            f"cell {i} shows {tag} without alt"
            for tag in HTML_IMAGE.findall(html)
            if not HTML_ALT.search(tag)
        ]
    for i, text in notebook.prose():
        found += [
            f"cell {i} shows {m['target']} without alt"
            for m in MARKDOWN_IMAGE.finditer(text)
            if not m["alt"].strip()
        ]
        found += [
            f"cell {i} shows {tag} without alt"
            for tag in HTML_IMAGE.findall(text)
            if not HTML_ALT.search(tag)
        ]
    return found


def headings_in_order(notebook: Notebook) -> list[str]:
    """One first-level heading, at the very top, and no level skipped on the way down."""
    found = headings(notebook)
    if not found or found[0][:2] != (0, 1):
        return ["the first cell does not open with a first-level heading"]
    wrong = [
        f"cell {i}: a second first-level heading, {text!r}" for i, level, text in found[1:] if level == 1
    ]
    for (_, above, _), (i, level, text) in pairwise(found):
        if level > above + 1:
            wrong.append(f"cell {i}: {text!r} skips from level {above} to {level}")
    return wrong


def links_exist(notebook: Notebook) -> list[str]:
    """Every relative link and picture leads to a file, and every #anchor to a heading of that notebook."""
    found = []
    for i, text in notebook.prose():
        targets = [
            match["target"] for pattern in (MARKDOWN_LINK, MARKDOWN_IMAGE) for match in pattern.finditer(text)
        ]
        for target in [*targets, *HTML_TARGET.findall(text)]:
            if not re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.IGNORECASE) and not leads_somewhere(
                notebook, target
            ):
                found.append(f"cell {i} links to {target}, which is not there")
    return found


def leads_somewhere(notebook: Notebook, target: str) -> bool:
    file, _, name = unquote(target).partition("#")
    path = notebook.path.parent / file if file else notebook.path
    if file and not path.exists():
        return False
    if not name or path.suffix != ".ipynb":
        return True
    page = notebook if path == notebook.path else Notebook.read(path)
    return name in {anchor(text) for _, _, text in headings(page)}


def nothing_from_network(notebook: Notebook) -> list[str]:
    """Nothing is loaded from an address when the notebook is opened or run. Links to follow are welcome."""
    texts = [(i, text) for i, output in notebook.outputs() for text in texts_of(output)]
    texts += [(i, cell.source) for i, cell in notebook.cells("code")] + list(notebook.prose())
    return [
        f"cell {i} loads from the network: {match.group().strip()}"
        for i, text in texts
        for pattern in LOADS_FROM_NETWORK
        for match in pattern.finditer(text)
    ]


def short_code(notebook: Notebook) -> list[str]:
    """No code cell is long, and half of them are short."""
    lengths = [(i, code_lines(cell.source)) for i, cell in notebook.cells("code")]
    found = [f"cell {i} has {length} lines of code" for i, length in lengths if length > LONGEST_CODE_CELL]
    median = statistics.median(length for _, length in lengths) if lengths else 0
    return found + ([f"the median code cell has {median} lines"] if median > MEDIAN_CODE_CELL else [])


def prose_before_code(notebook: Notebook) -> list[str]:
    """At least as many text cells as code cells; code follows text, or code and then opens with a comment."""
    text_cells, code_cells = len(notebook.cells("markdown")), len(notebook.cells("code"))
    found = [f"{text_cells} text cells for {code_cells} code cells"] if text_cells < code_cells else []
    for i, cell in notebook.cells("code"):
        follows_text = i > 0 and notebook.content.cells[i - 1].cell_type == "markdown"
        if not follows_text and not cell.source.lstrip().startswith("#"):
            found.append(f"cell {i} is code that nothing introduces")
    return found


def slide_types(notebook: Notebook) -> list[str]:
    """Every cell says what it is in the lecture."""
    return [
        f"cell {i} has no slide type"
        for i, cell in enumerate(notebook.content.cells)
        if cell.metadata.get("slideshow", {}).get("slide_type") not in SLIDE_TYPES
    ]


# --- For the strict run


def ignored_outputs(notebook: Notebook) -> list[str]:
    """Outputs that nbval ignores are few, and such a cell asserts what it must reach."""
    code = notebook.cells("code")
    ignored = [(i, cell) for i, cell in code if IGNORE_TAG in cell.metadata.get("tags", [])]
    found = [
        f"cell {i} has an ignored output and no assert" for i, cell in ignored if not has_assert(cell.source)
    ]
    if len(ignored) > SHARE_OF_IGNORED_OUTPUTS * len(code):
        found.append(f"{len(ignored)} of {len(code)} code cells have an ignored output")
    return found


def has_assert(source: str) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(parse(source)))


def parse(source: str) -> ast.Module:
    """The syntax tree of a cell; lines of IPython's own (%magic, !shell) are left out."""
    return ast.parse(
        "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    )


def no_way_round(notebook: Notebook) -> list[str]:
    """No cell leaves the strict run by another door than the one that `ignored_outputs` watches."""
    found = []
    for i, cell in notebook.cells("code"):
        tags = [
            tag
            for tag in cell.metadata.get("tags", [])
            if tag.startswith("nbval-") or tag == "raises-exception"
        ]
        found += [f"cell {i} has the tag {tag}" for tag in tags if tag != IGNORE_TAG]
        if re.search(r"^\s*#+\s*(NBVAL_|PYTEST_VALIDATE_)", cell.source, re.MULTILINE):
            found.append(f"cell {i} has an nbval comment")
    return found


def no_raw_tensors(notebook: Notebook) -> list[str]:
    """No output shows a tensor as torch prints it: its last digits depend on the processor.

    A cell that is about that form has the tag `shows-tensor`, and no other cell has it.
    """
    shown = {i for i, output in notebook.outputs() if any("tensor(" in text for text in texts_of(output))}
    tagged = {i for i, cell in notebook.cells("code") if TENSOR_TAG in cell.metadata.get("tags", [])}
    found = [f"cell {i} prints a tensor: print rounded numbers or a shape" for i in sorted(shown - tagged)]
    return found + [f"cell {i} has the tag {TENSOR_TAG} and prints none" for i in sorted(tagged - shown)]


def stable_calls(notebook: Notebook) -> list[str]:
    """No widget call whose output differs between a browser and a run without one, and no closing `;`."""
    found = []
    for i, cell in notebook.cells("code"):
        if cell.source.rstrip().endswith(";"):
            found.append(f"cell {i} ends with ';': end plots with plt.show()")
        for node in ast.walk(parse(cell.source)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in UNSTABLE_CALLS:
                    found.append(f"cell {i} calls {name}: use observe and HTML.value")
    return found


def exercises_imported_alone(notebook: Notebook) -> list[str]:
    """The import of the exercises has a cell of its own: whoever deletes an exercise loses that one alone."""
    found = []
    for i, cell in notebook.cells("code"):
        nodes = parse(cell.source).body
        imports = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
        if any("course_utils.exercises" in ast.unparse(node) for node in imports) and imports != nodes:
            found.append(f"cell {i} imports the exercises and does more: give the import a cell of its own")
    return found


RULES: list[Rule] = [
    valid_format,
    normal_form,
    cell_ids,
    counts_in_order,
    no_errors,
    no_stderr,
    no_widget_state,
    no_absolute_paths,
    small_file,
    alternative_texts,
    headings_in_order,
    links_exist,
    nothing_from_network,
    short_code,
    prose_before_code,
    slide_types,
    ignored_outputs,
    no_way_round,
    no_raw_tensors,
    stable_calls,
    exercises_imported_alone,
]
