"""Which words of a notebook's prose stand on a slide: at most forty, by one rule, and no sentence rewritten.

A question stands before a sentence that marks a term in bold, this before the first sentence; sentences keep
their order. One that is too long loses what stands in brackets, then ends at a colon or a semicolon, and last
of all at a comma, with three points. Of a list the heads stand on the slide, of a list of questions the whole
items. What is left out of a slide is in its notes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MOST_WORDS = 40  # of prose on a slide, its headline among them
MOST_TABLE_WORDS = 60  # a table is no prose, but one with more words is read, not looked at
FEW = 8  # a finding with fewer words takes the next sentence with it

HEADING = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)
ITEM = re.compile(r"^(?:[-*]|\d+\.) ")
# What must not be cut: code, mathematics, and the address of a link.
WHOLE = re.compile(r"`[^`]*`|\$[^$\n]+\$|\]\([^)\s]*\)")
END = re.compile(r"""[.?!:…]["”')\]*_]*(?=\s)|[.?!…]["”')\]*_]*$""")
ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|et al|cf|Fig|No|approx|etc|Dr|Mr|St)|\.\.)\.$")
# Whoever hears such a beginning asks what it refers to.
REFERS_BACK = re.compile(
    r"(?:It|Its|They|Them|Their|This|These|That|Those|He|She|Both|Neither|So|But|And|Hence|Then|Such|The same"
    r"|Here|There|Otherwise|Instead|Of these|Of them)\b"
)
POINTS_ON = re.compile(
    r"(?:Now|Next|Last|Let|Try|Take|Look|Count|Compare|Measure|Force|Forbid|Shuffle|Silence|First|Here|To)\b"
    r"|.*[:?]\W*$"
)
# What is for those who read, not for those who listen.
ASIDE = re.compile(r"\(|The tools:|\*\*(?:New terms|Sources?|Exercises? \d|\d+\.)")
QUESTION = re.compile(r"\?[\"”')*_]*$")
BOLD = re.compile(r"\*\*[^*]+\*\*")
CUTS = ((r"[:;](?=\s)", "."), (r",(?=\s)", " …"))
FEWEST = 5  # words that can stand alone
# The first comma of such a sentence ends no statement.
OPENS_WITH_CLAUSE = re.compile(
    r"(?:To|If|When|Where|While|Because|Since|After|Before|As|With|Without|By|For|In|On|At|From|Though|Although)\b"
)
LINKED = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def count(text: str) -> int:
    """The words that a reader of the slide sees; a formula counts as one, as it is set."""
    text = LINKED.sub(r"\1", text)
    text = re.sub(r"\$[^$\n]+\$", "x", text)
    return len([word for word in re.sub(r"<[^>]+>|[*_`#]", "", text).split() if re.search(r"\w", word)])


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph; none ends within code, brackets, quotes or emphasis."""
    text = " ".join(paragraph.split())
    hidden = WHOLE.sub(lambda match: "x" * len(match[0]), text)
    found, begin = [], 0
    for match in END.finditer(hidden):
        piece = hidden[begin : match.end()]
        if match[0].startswith(":") or ABBREVIATION.search(piece.rstrip("\"”')*_")):
            continue
        following = hidden[match.end() :].lstrip()
        if following and not re.match(r"""["“'(\[*_A-Z0-9x`$√]""", following):
            continue
        if piece.count("**") % 2 or piece.count("(") > piece.count(")") or piece.count('"') % 2:
            continue
        if len(re.findall(r"(?<!\*)\*(?!\*)", piece)) % 2:
            continue
        found.append(text[begin : match.end()].strip())
        begin = match.end()
    if rest := text[begin:].strip():
        found.append(rest)
    return found


def without_brackets(sentence: str) -> str:
    """The sentence without what it says in brackets."""
    holes = WHOLE.sub(lambda match: match[0].replace("(", "\0").replace(")", "\1"), sentence)
    return re.sub(r"\s+\([^()]*\)", "", holes).replace("\0", "(").replace("\1", ")")


def cut(sentence: str, room: int) -> str | None:
    """The sentence with at most `room` words, or None if nothing of it can stand alone."""
    if count(sentence) <= room:
        return sentence
    marked = bool(BOLD.search(sentence))
    sentence = without_brackets(sentence)
    if count(sentence) <= room:
        return sentence
    if QUESTION.search(sentence):
        return None
    hidden = WHOLE.sub(lambda match: "x" * len(match[0]), sentence)
    for mark, end in CUTS[: 1 if OPENS_WITH_CLAUSE.match(sentence) else 2]:
        for match in reversed(list(re.finditer(mark, hidden))):
            piece = sentence[: match.start()]
            whole = not piece.count('"') % 2 and not piece.count("*") % 2
            if whole and FEWEST <= count(piece) <= room and bool(BOLD.search(piece)) == marked:
                return piece + end
    return None


@dataclass
class Prose:
    """The blocks of a text: sentences, and the list, the table and the quotation among them."""

    sentences: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    numbered: bool = False
    table: str = ""
    quotation: str = ""
    before: int = 0  # sentences above the list

    @classmethod
    def of(cls, source: str) -> "Prose":
        prose = cls()
        for block in re.split(r"\n\s*\n", source.strip()):
            block = block.strip("\n")
            lines = block.splitlines()
            if not block or block.startswith(("<", "```", "$$", "    ")):
                continue
            if lines[0].startswith(">"):
                prose.quotation = prose.quotation or block
                continue
            if lines[0].startswith("|"):
                prose.table = prose.table or block
                continue
            start = next((i for i, line in enumerate(lines) if ITEM.match(line)), len(lines))
            prose.sentences += sentences("\n".join(lines[:start]))
            if not prose.items:
                prose.before = len(prose.sentences)
            for line in lines[start:]:
                if ITEM.match(line):
                    prose.items.append(ITEM.sub("", line))
                    prose.numbered = prose.numbered or line[0].isdigit()
                else:
                    prose.items[-1] += " " + line.strip()
        if len(prose.items) == 1:
            prose.sentences += sentences(prose.items.pop())
        return prose


def narrower(table: str) -> str:
    """The table with as many of its columns, from the left, as a slide may show; nothing if that is one."""
    rows = [line.strip().strip("|").split("|") for line in table.splitlines()]
    for columns in range(len(rows[0]), 1, -1):
        kept = ["|" + "|".join(row[:columns]) + "|" for row in rows]
        if count(" ".join(" ".join(row[:columns]) for row in rows)) <= MOST_TABLE_WORDS:
            return "\n".join(kept)
    return ""


def lead(candidates: Sequence[str], room: int, introduces: bool = False) -> list[str]:
    """The sentences of a text that stand above what a slide shows.

    With `introduces` the text explained something else before, and its end leads to this slide; else its
    beginning opens the subject.
    """
    last = len(candidates) - 1

    def rank(i: int) -> int:
        sentence = candidates[i]
        if QUESTION.search(sentence):
            return 0
        if i == (last if introduces else 0):
            return 1 if introduces or BOLD.search(sentence) else 2
        return 1 if BOLD.search(sentence) else 9

    chosen: dict[int, str] = {}
    used = 0
    for i in sorted(range(len(candidates)), key=lambda i: (rank(i), i)):
        if rank(i) == 9 or len(chosen) == 3:
            break
        sentence = candidates[i]
        if ASIDE.match(sentence):
            continue
        alone = not i or not rank(i) or i - 1 in chosen or sentence.endswith(":")
        if REFERS_BACK.match(sentence) and not alone:
            continue
        shorter = sentence if used + count(sentence) <= room else None if chosen else cut(sentence, room)
        if shorter:
            chosen[i] = shorter
            used += count(shorter)
    if not chosen:
        for sentence in candidates:
            alone = not (REFERS_BACK.match(sentence) or ASIDE.match(sentence))
            if alone and FEWEST <= count(sentence) <= room:
                return [sentence]
    return [chosen[i] for i in sorted(chosen)]


def divide(explanation: Sequence[str]) -> tuple[list[str], list[str]]:
    """The sentences between two results: what is found in the first one, and what leads to the second."""
    if len(explanation) == 1 and POINTS_ON.match(explanation[0]):
        return [], list(explanation)
    number, last = 1, len(explanation) - 1
    while number <= last and count(" ".join(explanation[:number])) < FEW:
        if QUESTION.search(explanation[number]) or number == last and POINTS_ON.match(explanation[number]):
            break
        number += 1
    return list(explanation[:number]), list(explanation[number:])


def split_at(source: str, sentence: str) -> tuple[str, str]:
    """A text before one of its sentences, and from there on; all of it before if it has none such."""
    blocks = re.split(r"\n\s*\n", source.strip())
    for i, block in enumerate(blocks):
        line = " ".join(block.split())
        if (place := line.find(sentence)) >= 0:
            before, after = [*blocks[:i], line[:place]], [line[place:], *blocks[i + 1 :]]
            return "\n\n".join(before).strip(), "\n\n".join(after).strip()
    return source, ""


def finding(explanation: Sequence[str], room: int) -> list[str]:
    """As much of what a result says as there is room for."""
    if not explanation or ASIDE.match(explanation[0]) or POINTS_ON.match(explanation[0]):
        return []
    found: list[str] = []
    for sentence in explanation:
        left = room - count(" ".join(found))
        shorter = cut(sentence, left)
        if shorter is None or sentence.endswith(":") or found and shorter.endswith("…"):
            break
        found.append(shorter)
        if shorter != sentence:
            break
    return found if count(" ".join(found)) > 2 else []


def pages_of(items: Sequence[str], room: int) -> list[tuple[int, list[str]]]:
    """A list, as it stands on slides of `room` words: on each the number of its first item, and its items.

    Questions are asked whole, a long one on two slides. Of other items the heads are shown, on at most three
    slides.
    """
    ask = bool(items) and all("?" in item for item in items)
    pages: list[tuple[int, list[str]]] = []
    for number, item in enumerate(items, 1):
        for part in whole(item, room) if ask else [head_of(item, room)]:
            again = bool(pages) and pages[-1][0] + len(pages[-1][1]) > number
            if not pages or again or count(" ".join([*pages[-1][1], part])) > room:
                pages.append((number, []))
            pages[-1][1].append(part)
    return pages if ask else pages[:3]


def setting(prose: Prose, room: int) -> list[str]:
    """What must be known for the questions of a list: the last sentences above it, as many as fit."""
    known = prose.sentences[: prose.before]
    for begin in range(len(known)):
        if count(" ".join([prose.quotation, *known[begin:]])) <= room:
            return known[begin:]
    return []


def whole(item: str, room: int) -> list[str]:
    """All sentences of an item, in parts of `room` words; its question is in the last one."""
    parts: list[str] = []
    for sentence in sentences(item):
        shorter = sentence if count(sentence) <= room else cut(sentence, room) or ""
        if parts and count(f"{parts[-1]} {shorter}") <= room:
            parts[-1] = f"{parts[-1]} {shorter}".strip()
        elif shorter:
            parts.append(shorter)
    return parts or [head_of(item, room)]


def head_of(item: str, room: int) -> str:
    """What stands for an item of a list: its marked words, or its first clause."""
    parts = sentences(item)
    marked = re.match(r"\*\*[^*]+\*\*|\*[^*]+\*", item)
    if marked and count(marked[0]) <= room:
        return marked[0]
    hidden = WHOLE.sub(lambda match: "x" * len(match[0]), parts[0])
    clause = re.search(r"[:;](?=\s)", hidden)
    if clause and 3 <= count(parts[0][: clause.start()]) <= room:
        return parts[0][: clause.start()]
    return (cut(parts[0], room) or " ".join(item.split()[: room - 1]) + " …").rstrip(";,.")
