"""What stands on which slide, decided from the cells of a notebook and from nothing else.

A heading opens a slide: the headline, a few words of its text (`slide_words`), then what the first cell below
it shows. The next result gets a slide of its own under the same headline. The text between two results says
what was found in the first one, in a line that appears after it, and leads to the second one. All of it is in
the notes. A picture fills its slide. The code of a cell stands on its slide where it is short, or where it
is the lesson (tags `same-as:` and `equal-to:`), else behind a fold of the slide.

A section is a column, its first slide the main one. No more than fifteen columns: the smallest join the one
before.
"""

import ast
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tools import slide_words as words
from tools.panel_cells import PANELS

MOST_COLUMNS = 15
MOST_SLIDES = {45: 24, 90: 45}  # in so many minutes
SHORT_CODE = 6  # lines that stand beside their result
FINDING_WORDS = 22
TOGETHER = 12  # lines of two results on one slide
LINES_BELOW_PICTURE = 4
MOST_PRINTED_LINES = 16
MOST_CODE_LINES = 20
CLOSING = (
    "Exercises",
    "Quiz",
    "Questions",
    "You may read elsewhere",
    "Summary",
    "In five lines",
)
GUESS = "A guess first"
SPOKEN = ("Sources", "What comes next", "The end of the course")  # headings that are not shown
EXERCISE = re.compile(r"^\*\*(\d+)\. (.+?)\.?\*\*", re.MULTILINE)
# How an exercise begins that stands in the text, and what a text says of the cell that waits for its answer.
TASK = re.compile(r"^(?:\*\*(?:Exercise )?\d+\. |Replace the `\.\.\.`)", re.MULTILINE)
SHOWS = {"print", "show", "plots", "assert"}
LIVE = "Live, in the notebook."

FORMATTER = HtmlFormatter(nowrap=False)
WORDS_OF_PICTURE = "<summary>The picture in words</summary>"


@dataclass
class Slide:
    """What one slide holds, before the words of its texts are chosen."""

    title: str
    level: int
    again: bool = False  # the title stood on an earlier slide
    texts: list[str] = field(default_factory=list)  # sentences that lead to what it shows
    introduces: bool = False
    found: list[str] = field(default_factory=list)  # sentences on what it shows
    items: list[str] = field(default_factory=list)
    setting: list[str] = field(default_factory=list)  # sentences that must stand, all of them
    quotation: str = ""
    numbered: bool = False
    first_item: int = 1
    table: str = ""
    code: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    fold: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lesson: bool = False
    live: bool = False
    minutes: int = 0  # in how short a lecture it stands: 45, 90, or 0 for neither

    @property
    def shows(self) -> bool:
        return bool(self.results or self.items or self.table or self.live)

    @property
    def results(self) -> list[str]:
        return self.code + self.outputs + self.pictures

    @property
    def room(self) -> int:
        """Words that the headline leaves."""
        taken = words.count(self.title) + (words.count(LIVE) if self.live and not self.pictures else 0)
        return words.MOST_WORDS - taken

    def chosen(self) -> tuple[list[str], list[str]]:
        """The sentences above and below what the slide shows."""
        if self.setting:
            return self.setting, []
        room = self.room - sum(map(words.count, self.items))
        below = words.finding(self.found, min(FINDING_WORDS, room)) if self.results else []
        above = words.lead(self.texts, room - words.count(" ".join(below)), self.introduces)
        return above, below

    def to_html(self) -> str:
        above, below = self.chosen()
        asks = any(words.QUESTION.search(sentence) for sentence in above)
        after = " fragment" if asks else ""
        head, role = f"h{self.level}", "again" if self.again else "headline"
        parts = [f'<{head} class="{role}">{inline(self.title)}</{head}>']
        if above:
            parts.append(f'<div class="lead">{text_to_html(" ".join(above))}</div>')
        if self.quotation:
            parts.append(f'<div class="quotation">{text_to_html(self.quotation)}</div>')
        if self.items:
            tag, start = ("ol", f' start="{self.first_item}"') if self.numbered else ("ul", "")
            listed = "".join(f'<li class="fragment">{inline(item)}</li>' for item in self.items)
            parts.append(f"<{tag}{start}>{listed}</{tag}>")
        if self.table:
            parts.append(f'<div class="table{after}">{text_to_html(self.table)}</div>')
        parts += map(code_to_html, self.code)
        parts += [f'<div class="picture{after}">{picture}</div>' for picture in self.pictures]
        parts += [f'<div class="output{after}">{output}</div>' for output in self.outputs]
        if self.live and not self.pictures:
            parts.append(f'<p class="live">{LIVE}</p>')
        if below:
            parts.append(f'<div class="finding fragment">{text_to_html(" ".join(below))}</div>')
        fold = ""
        if self.fold:
            code = code_to_html("\n\n".join(self.fold))
            fold = f'<details class="fold"><summary>Code</summary>{code}</details>'
        cut = {
            45: "",
            90: '<p class="cut">may be cut for 45 minutes</p>',
            0: '<p class="cut">may be cut for 45 or 90 minutes</p>',
        }[self.minutes]
        kind = "page" if self.results or self.table else "page words"
        notes = f'<aside class="notes">{"".join(self.notes)}</aside>' if self.notes else ""
        return (
            f'<section data-minutes="{self.minutes}"><div class="{kind}">{"".join(parts)}</div>'
            f"{fold}{cut}{notes}</section>"
        )


# --- From cells to HTML


def text_to_html(source: str) -> str:
    return MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True)).render(source)


def inline(source: str) -> str:
    """A line of text as HTML, without the paragraph around it."""
    return re.sub(r"^<p>|</p>$", "", text_to_html(source.strip()).strip())


def code_to_html(source: str) -> str:
    return f'<div class="source">{highlight(source, PythonLexer(), FORMATTER)}</div>'


def output_to_html(output: NotebookNode) -> tuple[str, str]:
    """An output as a slide shows it, and whether it is a "picture", an "output" or for the "notes".

    Markup stands before pictures, pictures before plain text. A quiz, which unfolds, is for the notes.
    """
    data, metadata = output.get("data", {}), output.get("metadata", {})
    if "text/html" in data:
        markup = data["text/html"]
        if WORDS_OF_PICTURE in markup:
            bare = re.sub(r"<details>.*?</details>", "", markup, flags=re.DOTALL).strip()
            return bare, "picture" if bare else "nothing"
        if "<details" in markup:
            return markup, "notes"
        drawn = "<svg" in markup or "<img" in markup
        return markup, "picture" if drawn else "output"
    if "image/svg+xml" in data:
        return data["image/svg+xml"], "picture"
    if "image/png" in data:
        alt = html.escape(metadata.get("image/png", {}).get("alt", ""))
        return f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{alt}">', "picture"
    if "text/markdown" in data:
        return text_to_html(data["text/markdown"]), "output"
    text = output.get("text", data.get("text/plain", ""))
    return f"<pre>{html.escape(text.rstrip())}</pre>", "output" if text.strip() else "nothing"


def calls(statement: ast.stmt) -> set[str]:
    """The names that a statement calls by themselves, or whose methods it calls."""
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            name = node.func
            while isinstance(name, ast.Attribute | ast.Call):
                name = name.value if isinstance(name, ast.Attribute) else name.func
            if isinstance(name, ast.Name):
                found.add(name.id)
    return found


def essential(source: str) -> str:
    """The code without imports, assertions and what only shows; nothing if printing is woven into it."""
    tree = tree_of(source)
    lines, kept = source.splitlines(), []
    end = 0
    for statement in tree.body:
        begin, above = statement.lineno - 1, end
        end = statement.end_lineno or statement.lineno
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assert):
            continue
        shows = calls(statement) & SHOWS
        if shows and isinstance(statement, ast.Expr):
            continue
        if shows:
            return ""
        kept += lines[above:begin] + lines[begin:end]
    return "\n".join(kept).strip("\n")


def lines_of(parts: list[str]) -> int:
    return sum(part.count("\n") + 1 for part in parts)


def shortened(output: str) -> str:
    """What was printed, as far as a slide can hold it."""
    lines = output.split("\n")
    if not output.startswith("<pre>") or len(lines) <= MOST_PRINTED_LINES:
        return output
    kept = lines[: MOST_PRINTED_LINES - 2]
    return "\n".join([*kept, f"... and {len(lines) - len(kept)} lines more, in the notes</pre>"])


def parts_of(source: str) -> list[str]:
    """A listing in parts that fit on a slide, divided where it is indented least."""
    lines = source.split("\n")
    if len(lines) <= MOST_CODE_LINES:
        return [source]
    places = range(min(10, len(lines) // 2), min(MOST_CODE_LINES, len(lines) - 2) + 1)
    depth = {i: len(lines[i]) - len(lines[i].lstrip()) if lines[i].strip() else 99 for i in places}
    cut = min(places, key=lambda i: (depth[i], -i))
    return ["\n".join(lines[:cut]).rstrip("\n"), *parts_of("\n".join(lines[cut:]))]


def panels_in(source: str) -> set[str]:
    """The names of panels and controls that a cell imports."""
    found = set()
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PANELS):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or alias.name for alias in node.names if alias.name.startswith(PANELS)}
    return found


def shows_panel(source: str, panels: set[str]) -> bool:
    """Whether a cell makes a panel of one of these names, and ends with it."""
    tree = tree_of(source)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or calls(last) & SHOWS:
        return False
    return any(isinstance(node, ast.Name) and node.id in panels for node in ast.walk(tree))


def tree_of(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


# --- From cells to slides


def before_task(text: str) -> str:
    """A text without the exercise that stands at its end."""
    task = TASK.search(text)
    return text[: task.start()].strip() if task else text


def pieces(source: str) -> Iterator[tuple[int, str, str]]:
    """The parts of a text at its headings: level (0 above the first one), heading, text below it."""
    found = list(words.HEADING.finditer(source))
    edges = [match.start() for match in found] + [len(source)]
    if above := source[: edges[0]].strip():
        yield 0, "", above
    for match, end in zip(found, edges[1:], strict=True):
        yield len(match[1]), match[2].strip(), source[match.end() : end].strip()


class Plan:
    """The columns of a deck, filled cell by cell."""

    def __init__(self) -> None:
        self.columns: list[list[Slide]] = []
        self.code: list[str] = []  # without a result, so folded behind the next slide that has one
        self.hidden: Slide | None = None  # a section that is shown if something of it is
        self.next_texts: list[str] = []  # what leads to the next result, and all that is said with it
        self.next_notes: list[str] = []
        self.panels: set[str] = set()  # names of what was imported to make panels
        self.text_since = False  # whether a text came after the last result

    @property
    def slide(self) -> Slide:
        return self.columns[-1][-1]

    @property
    def in_exercises(self) -> bool:
        return bool(self.columns) and self.slide.title == "Exercises" and not self.hidden

    def add(self, slide: Slide, column: bool = False) -> None:
        if not self.columns:
            column = True
        elif not slide.again:
            self.put_away()
        if column:
            self.columns.append([slide])
        else:
            self.columns[-1].append(slide)
        self.next_texts = []

    def put_away(self) -> None:
        """What waits for a next result stays with the last one."""
        if self.columns:
            self.slide.fold += self.code
            self.slide.notes += self.next_notes
        self.code, self.next_notes = [], []

    def another(self) -> Slide:
        """A slide that shows something more under the same headline."""
        slide = Slide(self.slide.title, max(self.slide.level, 2), again=True, introduces=True)
        slide.texts = self.next_texts if self.text_since else self.slide.texts
        self.add(slide)
        slide.notes, self.next_notes = self.next_notes, []
        return slide

    def text(self, source: str, kind: str) -> None:
        self.text_since = True
        for level, title, below in pieces(source):
            if level:
                self.section(level, title, below, kind)
            elif self.hidden and kind == "skip":
                self.hidden.texts += words.Prose.of(before_task(below)).sentences
                self.hidden.notes.append(text_to_html(below))
            elif self.columns:
                self.unhide()
                self.paragraph(below, kind)

    def unhide(self) -> None:
        """Something of a section that was to be skipped is shown, so the section has a slide."""
        if self.hidden:
            slide, self.hidden = self.hidden, None
            self.add(slide)

    def section(self, level: int, title: str, below: str, kind: str) -> None:
        prose = words.Prose.of(below)
        slide = Slide(title, level, texts=prose.sentences)
        if below:
            slide.notes.append(text_to_html(below))
        if title.startswith(SPOKEN) and self.columns:
            self.slide.notes.append(text_to_html(f"**{title}**\n\n{below}"))
            return
        if kind == "skip":
            self.hidden = slide
            return
        self.hidden = None
        closing = bool(self.columns) and self.columns[-1][0].title.startswith(CLOSING)
        opens = kind == "slide" and not closing and title != GUESS and level < 3
        self.add(slide, column=opens)
        if title == "Exercises":
            self.exercises(below)
        self.lists(prose)

    def paragraph(self, below: str, kind: str) -> None:
        if self.slide.title == "Exercises":
            self.slide.notes.append(text_to_html(below))
            self.exercises(below)
            return
        told = before_task(below)
        if told:
            self.explanation(told, kind)
        if task := below.removeprefix(told).strip():  # it asks those who sit at a notebook: to be said
            target = self.next_notes if self.next_notes else self.slide.notes
            target.append(text_to_html(task))

    def explanation(self, below: str, kind: str) -> None:
        prose = words.Prose.of(below)
        if kind == "skip":
            prose.items, prose.table = [], ""
        if self.slide.shows and (kind in ("slide", "subslide") or prose.items or prose.table):
            self.next_texts = []
            self.another().introduces = False
        if self.slide.shows:
            found, leads = words.divide(prose.sentences)
            said, then = words.split_at(below, leads[0]) if leads else (below, "")
            if not self.slide.found and not self.next_texts:
                self.slide.found = found
            self.next_texts += leads
            target = self.next_notes if self.next_notes else self.slide.notes
            target += [text_to_html(said)] if said else []
            self.next_notes += [text_to_html(then)] if then else []
        else:
            if kind != "skip" or not self.slide.texts:
                self.slide.texts = [*self.slide.texts, *prose.sentences]
            self.slide.notes.append(text_to_html(below))
        self.lists(prose)

    def exercises(self, text: str) -> None:
        """List the exercises that a text names; what they ask stands in the notes."""
        for number, name in EXERCISE.findall(text):
            items = self.slide.items
            if words.count(" ".join([*items, name])) > self.slide.room:
                return
            self.slide.numbered = True
            self.slide.first_item = self.slide.first_item if items else int(number)
            items.append(name)

    def lists(self, prose: words.Prose) -> None:
        """Put the list and the table of a text on the slide, and on more slides if it is long."""
        if prose.table:
            self.slide.table = words.narrower(prose.table)
        if not prose.items:
            return
        first = self.slide
        room = first.room
        heads = words.pages_of(prose.items, room)
        if all("?" in item for item in prose.items):
            first.setting = words.setting(prose, room)
            first.quotation = prose.quotation if first.setting else ""
            first.texts = []
        opening = [first.quotation, *first.setting] if first.setting else words.lead(first.texts, room)
        apart = bool(opening) and words.count(" ".join([*heads[0][1], *opening])) > room
        for i, (number, page) in enumerate(heads):
            slide = first
            if apart or i:
                slide = Slide(first.title, max(first.level, 2), again=True)
                self.add(slide)
            slide.items, slide.numbered, slide.first_item = page, prose.numbered, number

    def cell(self, cell: NotebookNode) -> None:
        tags = cell.metadata.get("tags", [])
        lesson = any(tag.startswith(("same-as:", "equal-to:")) for tag in tags)
        shown = [output_to_html(output) for output in cell.outputs]
        self.panels |= panels_in(cell.source)
        panel = shows_panel(cell.source, self.panels)
        self.unhide()
        if not self.columns:
            return
        if self.in_exercises:
            if ".check(" in cell.source:
                self.slide.fold.append(cell.source)
            return
        if not any(kind in ("picture", "output") for _, kind in shown) and not lesson and not panel:
            self.code.append(cell.source)
            self.slide.notes += [markup for markup, kind in shown if kind == "notes"]
            return
        pictures = [markup for markup, kind in shown if kind == "picture"]
        outputs = [markup for markup, kind in shown if kind == "output"]
        if self.slide.shows and not self.goes_with(pictures, outputs, lesson or panel):
            self.another()
        slide = self.slide
        slide.fold += self.code
        self.code = []
        slide.live = slide.live or panel
        slide.lesson = slide.lesson or lesson
        slide.pictures += pictures
        self.text_since = False
        short = essential(cell.source)
        if lesson:
            *before, last = parts_of(cell.source)
            for part in before:
                self.slide.code.append(part)
                self.another().lesson = True
            self.slide.code.append(last)
        else:
            slide.fold.append(cell.source)
            lines = short.count("\n") + 1
            if short and not (panel or slide.pictures or slide.code) and lines <= SHORT_CODE:
                slide.code.append(short)
        if slide.pictures and lines_of(outputs) > LINES_BELOW_PICTURE:
            self.another()
        for output in outputs:
            self.slide.outputs.append(shortened(output))
            if self.slide.outputs[-1] != output:
                self.slide.notes.append(output)

    def goes_with(self, pictures: list[str], outputs: list[str], apart: bool) -> bool:
        """Whether a result stands on the slide of the one before it: no text between them, and both small."""
        slide = self.slide
        if apart or self.text_since or slide.items or slide.table:
            return False
        if slide.live and not slide.results:
            return bool(pictures)
        lines = lines_of(slide.code + slide.outputs + outputs)
        return not (pictures or slide.pictures or slide.lesson) and lines <= TOGETHER


def columns_of(notebook: NotebookNode) -> list[list[Slide]]:
    """The slides of a notebook: a list for each column, the main slide first."""
    plan = Plan()
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if cell.cell_type == "markdown":
            if kind == "notes" and plan.columns:
                plan.slide.notes.append(text_to_html(cell.source))
            elif kind != "notes":
                plan.text(cell.source, kind)
        elif cell.cell_type == "code" and (kind not in ("skip", "notes") or plan.in_exercises):
            plan.cell(cell)
        if plan.columns and (notes := cell.metadata.get("speaker_notes")):
            plan.slide.notes.insert(0, f'<div class="say">{text_to_html(notes)}</div>')
    plan.put_away()
    columns = joined(without_bare(plan.columns))
    set_minutes(columns)
    return columns


def without_bare(columns: list[list[Slide]]) -> list[list[Slide]]:
    """The columns without slides that hold nothing but a headline; their notes go with the slide before."""
    kept: list[list[Slide]] = []
    for column in columns:
        kept.append([])
        for slide in column:
            before = kept[-1] or (kept[-2] if len(kept) > 1 else [])
            if before and not slide.shows and not slide.chosen()[0]:
                before[-1].notes += slide.notes
                before[-1].fold += slide.fold
            else:
                kept[-1].append(slide)
    return [column for column in kept if column]


def joined(columns: list[list[Slide]]) -> list[list[Slide]]:
    """No more columns than an audience can follow: the least joins the one before, pictures last."""
    columns = [list(column) for column in columns]
    while len(columns) > MOST_COLUMNS:
        least = min(
            range(2, len(columns)),
            key=lambda i: (
                any(s.pictures for s in columns[i]),
                len(columns[i]) + len(columns[i - 1]),
            ),
        )
        columns[least - 1] += columns.pop(least)
    return columns


def set_minutes(columns: list[list[Slide]]) -> None:
    """Mark what stands in a lecture of 45 minutes, and in one of 90: main slides, then pictures, then marked
    sentences and questions, until the time is full.
    """
    everything = [slide for column in columns for slide in column]
    closing = {id(slide) for column in columns for slide in column[1:] if column[0].title.startswith(CLOSING)}
    mains = [column[0] for column in columns]

    def worth(slide: Slide) -> int:
        above, _ = slide.chosen()
        if slide.pictures:
            return 3
        if slide.lesson or any("?" in sentence or words.BOLD.search(sentence) for sentence in above):
            return 2
        return 0 if id(slide) in closing or not slide.again else 1

    rest = sorted((s for s in everything if not any(s is main for main in mains)), key=worth, reverse=True)
    guess = [slide for slide in rest if slide.title == GUESS and (slide.items or slide.setting)]
    for slide in [*mains, *guess][: MOST_SLIDES[45]]:
        slide.minutes = 45
    taken = sum(slide.minutes == 45 for slide in everything)
    pictures = [slide for slide in rest if slide.pictures and not slide.minutes]
    for slide in pictures[: max(0, MOST_SLIDES[45] - taken)]:
        slide.minutes = 45
    later = [slide for slide in rest if not slide.minutes]
    taken = len(everything) - len(later)
    for slide in later[: max(0, MOST_SLIDES[90] - taken)]:
        slide.minutes = 90
