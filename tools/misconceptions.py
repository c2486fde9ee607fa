"""Write docs/misconceptions.md: what students get wrong, notebook by notebook, from the checks of the
exercises.

    python tools/misconceptions.py

Every exercise holds named wrong answers, and the check tells each apart. The page lists what the check says
to each: the mistakes that are worth time in class. A test holds the page to the exercises.
"""

import re
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "misconceptions.md"
sys.path.insert(0, str(ROOT))

INTRODUCTION = """# What goes wrong, and what the check says

Every exercise of the course is tested against named wrong answers. Here is what the check says to each of
them: a list of the mistakes that are worth time in class. [The guide for instructors](instructors.md) says
where to spend it.
"""


NUMBERS = re.compile(r" (?:At \[|\d+ of \d+ values|Got |got |The number of values).*")


def said(subject, name: str) -> str:
    """What the check says to one wrong answer: its sentence, without the stages passed and the numbers of the
    case.
    """
    words = " ".join(subject.check(subject.wrong_answers[name]).message.split()).partition(": ")[2]
    words = words.split(" Called:")[0].split(" Returned:")[0]
    for stage in subject.stages:
        words = words.replace(f"{stage.title}; ", "").replace(f"{stage.title}. ", "")
    words = re.sub(r"^(?:not yet, at stage \d+ of \d+: )?(?:[^.]*?Passed before it: )?", "", words)
    return NUMBERS.sub("", words).strip().replace("|", "\\|")


def page() -> str:
    from contextlib import redirect_stdout
    from io import StringIO

    from course_utils.classroom import progress

    parts = [INTRODUCTION]
    for module, names in progress.exercises().items():
        exercises = import_module(f"course_utils.exercises.{module}")
        parts.append(f"## {progress.number(module)} {module.replace('_', ' ')}\n")
        for name in names:
            subject = getattr(exercises, name)
            with redirect_stdout(StringIO()):  # a check prints what it says
                sentences = [said(subject, wrong) for wrong in subject.wrong_answers]
            parts.append(f"`{name}`\n\n" + "\n".join(f"- {sentence}" for sentence in sentences) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
