"""Write docs/misconceptions.md: what students get wrong, notebook by notebook, from the checks of the
exercises.

    python -m tools.misconceptions

Every exercise holds wrong answers, each with the sentence that the check says to it. The page lists these
sentences, each with what the answer has in place of the solution's lines: the mistakes that are worth time in
class. A test holds the page to the exercises.
"""

import argparse
import difflib
import inspect
import textwrap
from importlib import import_module

from tools import ROOT

PAGE = ROOT / "docs" / "misconceptions.md"

INTRODUCTION = """# What goes wrong, and what the check says

Every exercise of the course is tested against named wrong answers. Here is what the check says to each of
them, and where the answer differs from the solution: a list of the mistakes that are worth time in class.
[The guide for instructors](instructors.md) says where to spend it.
"""


def lines_of(answer: object) -> list[str]:
    """The body of an answer that is a function or a class, without its head; else the value."""
    if not (inspect.isfunction(answer) or inspect.isclass(answer)):
        return [f"{answer!r}"]
    source = textwrap.dedent(inspect.getsource(answer))
    head = next(i for i, line in enumerate(source.splitlines()) if line.startswith(("def ", "class ")))
    body = "\n".join(source.splitlines()[head + 1 :])
    return textwrap.dedent(body).splitlines()


def difference(exercise, name: str) -> list[str]:
    """What a wrong answer has (+) in place of what the solution has (-), line by line."""
    if name in exercise.changes:
        old, new = exercise.changes[name]
        return [*(f"- {line}" for line in old.splitlines()), *(f"+ {line}" for line in new.splitlines())]
    solution, answer = lines_of(exercise.model_answer), lines_of(exercise.wrong_answers[name])
    compared = list(difflib.unified_diff(solution, answer, lineterm="", n=0))[2:]
    return [f"{line[0]} {line[1:]}" for line in compared if line[0] in "-+" and line[1:].strip()]


def page() -> str:
    from course_utils.classroom import progress

    parts = [INTRODUCTION]
    for module, names in progress.exercises().items():
        exercises = import_module(f"course_utils.exercises.{module}")
        parts.append(f"## {progress.number(module)} {module.replace('_', ' ')}\n")
        for name in names:
            exercise = getattr(exercises, name)
            parts.append(f"### `{name}`\n")
            for slip, sentence in exercise.sentences.items():
                changed = "\n".join(difference(exercise, slip))
                parts.append(f"{sentence}\n\n```diff\n{changed}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.misconceptions", description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
