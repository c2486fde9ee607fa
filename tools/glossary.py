"""Write GLOSSARY.md: every new term of the course with the sentence that introduces it.

    python -m tools.glossary

A notebook lists its terms at the end, after "**New terms**:". Each of them stands in bold once more in the
text above, where it is explained: that sentence is the entry. A test holds the page to the notebooks.
"""

import argparse
import re
import sys

import nbformat

from tools import ROOT

PAGE = ROOT / "GLOSSARY.md"
LIST_OF_TERMS = re.compile(r"\*\*New terms\*\*:(?P<terms>.*?)(?:\n\n|$)", re.DOTALL)
BOLD = re.compile(r"\*\*(?P<term>[^*]+)\*\*")


def terms_of(notebook) -> list[str]:
    """The terms that a notebook lists as new."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := LIST_OF_TERMS.search(cell.source)):
            return [match["term"] for match in BOLD.finditer(found["terms"])]
    return []


def sentences(text: str) -> list[str]:
    """The sentences of running text; headings, tables, quotations and code blocks are left out."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    blocks = [" ".join(block.split()) for block in text.split("\n\n")]
    running = [block for block in blocks if block and block[0] not in "#|>!" and "**New terms**" not in block]
    return [sentence for block in running for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z*\"`\[])", block)]


def introduction(notebook, term: str) -> str | None:
    """The first sentence that holds the term in bold."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for sentence in sentences(cell.source):
                if f"**{term}**".lower() in sentence.lower():  # a term may open a sentence
                    return BOLD.sub(lambda match: match["term"], sentence)
    return None


def page() -> str:
    """The glossary as Markdown, in alphabetical order."""
    entries, problems = {}, []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for term in terms_of(notebook):
            sentence = introduction(notebook, term)
            if sentence is None:
                problems.append(f"{path.name}: {term!r} is listed as new and nowhere introduced in bold")
            elif term in entries:
                problems.append(f"{path.name}: {term!r} was introduced in {entries[term][1]} already")
            else:
                entries[term] = (sentence, path.name)
    if problems:
        raise SystemExit("\n".join(problems))
    lines = [
        f"**{term}**: {sentence} ([{name.removesuffix('.ipynb')}](notebooks/{name}))\n"
        for term, (sentence, name) in sorted(entries.items(), key=lambda entry: entry[0].lower())
    ]
    return "# Glossary\n\nEvery term of the course, with the sentence that introduces it.\n\n" + "\n".join(
        lines
    )


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.glossary", description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    sys.exit(0)
