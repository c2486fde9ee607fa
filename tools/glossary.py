"""Write GLOSSARY.md: every new term of the course, with a definition that stands alone.

    python -m tools.glossary

A notebook lists its terms at the end, after "**New terms**:", and each stands in bold once more in the text
above, where it is explained. The definitions stand beside the lesson, in `terms.toml`, which may hold further
terms that the notebook uses. A test holds list, text, definitions and page together.
"""

import argparse
import re
import tomllib
from pathlib import Path

import nbformat

from course_utils.classroom import LESSONS
from tools import ROOT

PAGE = ROOT / "GLOSSARY.md"
INTRODUCTION = """# Glossary

The terms of the course, each with the notebook that introduces it.
"""
LIST_OF_TERMS = re.compile(r"\*\*New terms\*\*:(?P<terms>.*?)(?:\n\n|$)", re.DOTALL)
BOLD = re.compile(r"\*\*(?P<term>[^*]+)\*\*")


def terms_of(notebook) -> list[str]:
    """The terms that a notebook lists as new."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := LIST_OF_TERMS.search(cell.source)):
            return [match["term"] for match in BOLD.finditer(found["terms"])]
    return []


def prose_of(notebook) -> str:
    """The text of a notebook in small letters and one line, without its list of new terms."""
    texts = [LIST_OF_TERMS.sub("", cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
    return " ".join(" ".join(texts).lower().split())


def problems_of(notebook, definitions: dict[str, str]) -> list[str]:
    """What does not fit between a notebook and the definitions beside its lesson, a sentence each."""
    listed, prose = terms_of(notebook), prose_of(notebook)
    found = [f"{term!r} is listed as new and has no definition" for term in listed if term not in definitions]
    for term, definition in definitions.items():
        if term in listed and f"**{term.lower()}**" not in prose:
            found.append(f"{term!r} is listed as new and nowhere introduced in bold")
        elif term.lower() not in prose:
            found.append(f"{term!r} is defined, and the notebook does not use it")
        if not re.fullmatch(r"[A-Z0-9`$].*[.!?)]", definition):
            found.append(f"{term!r}: expected whole sentences, got {definition!r}")
    return found


def lessons():
    """(path of the notebook, its content, its definitions) of every lesson, in the order of the course."""
    for path, lesson in zip(sorted((ROOT / "notebooks").glob("*.ipynb")), LESSONS, strict=True):
        table = ROOT / "course_utils" / "lessons" / lesson / "terms.toml"
        definitions = tomllib.loads(table.read_text(encoding="utf-8")) if table.is_file() else {}
        yield path, nbformat.read(path, as_version=4), definitions


def page() -> str:
    """The glossary as Markdown, in alphabetical order."""
    entries: dict[str, tuple[str, Path]] = {}
    problems = []
    for path, notebook, definitions in lessons():
        problems += [f"{path.name}: {problem}" for problem in problems_of(notebook, definitions)]
        for term, definition in definitions.items():
            if term in entries:
                problems.append(f"{path.name}: {term!r} is defined in {entries[term][1].name} already")
            entries[term] = (definition, path)
    if problems:
        raise SystemExit("\n".join(problems))
    lines = [
        f"**{term}**: {definition} ([{path.stem}](notebooks/{path.name}))\n"
        for term, (definition, path) in sorted(entries.items(), key=lambda entry: entry[0].lower())
    ]
    return "\n".join([INTRODUCTION, *lines])


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.glossary", description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
