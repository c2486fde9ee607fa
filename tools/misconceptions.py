"""Write docs/misconceptions.md: what students get wrong, notebook by notebook, from the checks of the
exercises.

    python -m tools.misconceptions

Every exercise holds wrong answers, each with the sentence that the check says to it. The page lists these
sentences: the mistakes that are worth time in class. A test holds the page to the exercises.
"""

import argparse
from importlib import import_module

from tools import ROOT

PAGE = ROOT / "docs" / "misconceptions.md"

INTRODUCTION = """# What goes wrong, and what the check says

Every exercise of the course is tested against named wrong answers. Here is what the check says to each of
them: a list of the mistakes that are worth time in class. [The guide for instructors](instructors.md) says
where to spend it.
"""


def page() -> str:
    from course_utils.classroom import progress

    parts = [INTRODUCTION]
    for module, names in progress.exercises().items():
        exercises = import_module(f"course_utils.exercises.{module}")
        parts.append(f"## {progress.number(module)} {module.replace('_', ' ')}\n")
        for name in names:
            sentences = getattr(exercises, name).sentences.values()
            lines = [f"- {sentence}".replace("|", "\\|") for sentence in sentences]
            parts.append(f"`{name}`\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.misconceptions", description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
