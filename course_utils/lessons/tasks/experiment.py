"""What more examples are worth to two heads of notebook 11, and how the models go wrong.

Question answering and sentence pairs are learnt from three sizes of training set. Of each model, beside its
scores:

- answers: whether "where" questions fail where *two* clues are needed (person and day), or as often where one
  clue would do; and the same with texts in which the answer stands in either sentence equally often
  ("balanced"), by the sentence that holds it;
- pairs: how often it says "entailment" of a hypothesis whose every word stands in the premise, though it does
  not follow: the parts of two facts put together anew (as HANS does, McCoy et al. 2019).

The result is stored beside this file; notebook 11 shows it. To make it again (about ten minutes on one core):

    python -m course_utils.lessons.tasks.experiment
"""

from functools import cache
from pathlib import Path

import numpy as np

from course_utils import checkpoints, commands, finetuning
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.finetuning import Settings
from course_utils.toy.grammar import PERSONS
from course_utils.toy.tasks import (
    DAYS,
    PAIR_LABELS,
    PLACES,
    LabelledText,
    Question,
    pairs,
    part_of,
    short_questions,
)

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.tasks.experiment"
EPOCHS = {400: 12, 1200: 8, 3600: 6}  # examples: epochs, at most
SIZES = {"answers": (400,), "balanced": (1200,), "verdicts": (400, 3600)}
SEEDS = (0,)
DEV, TEST, SWAPPED = 100, 300, 300
PLACE_NAMES = ("first sentence", "second sentence")
CLUES = ("neither", "the day", "the person")  # what the other sentence shares with the question


# ---- Examples ------------------------------------------------------------------------------------------


def one_fact(n: int, seed: int = 0, part: str = "train") -> list[LabelledText]:
    """Sentence pairs whose premise states a single fact: somebody was somewhere on a day."""
    return [pair for pair in pairs(6 * n, seed, part) if " and " not in pair.text][:n]


def home_of(example: Question) -> int:
    """The number of the sentence that answers."""
    return example.context[: example.answers[0].start].count(" . ")


def last_place(example: Question) -> str:
    """What a reader says who pays no heed to the question: the last place of the text."""
    words = example.context.removesuffix(" .").split(" . ")[-1].split()
    begin = words.index("the")
    return " ".join(words[begin : next(i for i, w in enumerate(words) if w in PLACES) + 1])


def shared_clue(example: Question) -> str:
    """Of a "where" question over two sentences: what the sentence that does not answer shares with it."""
    person, day = example.question.split()[2], example.question.split()[-2]
    sentences = example.context.removesuffix(" .").split(" . ")
    other = sentences[1 - home_of(example)].split()
    return "the person" if person in other else "the day" if day in other else "neither"


def asks_for(example: Question, part: str) -> tuple[str, str] | None:
    """A "who" question that takes its place, day or verb from the sentence that does not answer, and the
    people of that sentence; None if both sentences have the same, or the same people.
    """
    sentences = example.context.removesuffix(" .").split(" . ")
    home = home_of(example)
    here, there = (parts_of(sentences[i]) for i in (home, 1 - home))
    if here[part] == there[part] or here["who"] == there["who"]:
        return None
    return example.question.replace(f" {here[part]} ", f" {there[part]} "), there["who"]


def parts_of(sentence: str) -> dict[str, str]:
    """Of a sentence: "who", "place" and "day", and the "verb" with which a question asks for the people."""
    words = sentence.split()
    when = words.index("on")
    rest = words[:when] + words[when + 2 :]
    verb = next(i for i, word in enumerate(rest) if word in ("went", "was", "met"))
    who, place = " ".join(rest[:verb]), " ".join(rest[verb + 2 :])
    return {"who": who, "place": place, "day": words[when + 1], "verb": "met" if "and" in rest else "was"}


@cache
def recombined(n: int = SWAPPED) -> list[LabelledText]:
    """Premises of two facts, and hypotheses of which every word stands in the premise.

    A third of each: one of the two facts (entailment, kind "a fact"); the person of one with place and day of
    the other (neutral), and the person and day of one with the place of the other (contradiction), both of
    the kind "recombined".
    """
    rng = np.random.default_rng(0)
    found: dict[LabelledText, None] = {}
    while len(found) < n:
        names, places, days = (rng.permutation(list(x))[:2].tolist() for x in (PERSONS, PLACES, DAYS))
        facts = [f"{names[i]} was at the {places[i]} on {days[i]}" for i in rng.permutation(2)]
        if part_of(premise := " and ".join(facts)) != "test":
            continue
        label = len(found) % 3
        place, day = places[int(label > 0)], days[int(label == 1)]
        claim = f"{names[0]} was at the {place} on {day}"
        found[LabelledText(premise, label, claim, "recombined" if label else "a fact")] = None
    return list(found)


# ---- Trainings -----------------------------------------------------------------------------------------


def finetuned(task, train, dev, size: int, seed: int):
    pretrained, _ = checkpoints.load("embedded")
    settings = Settings(epochs=EPOCHS[size], learning_rate=1e-3, patience=4, seed=seed)
    model = finetuning.new_model(task, pretrained, seed)
    finetuning.finetune(model, task, train, dev, settings, progress=False)
    return model


def answers(size: int, seed: int, balanced: bool = False) -> dict:
    """Exact match in all, by kind of question, and of "where" questions by what the other sentence shares and
    by the sentence that answers: [right, asked].
    """
    task = finetuning.QuestionAnswering(checkpoints.load("embedded")[1], stride=48)
    train = short_questions(size, seed, balanced=balanced)
    dev, test = (short_questions(n, 0, part, balanced) for n, part in ((DEV, "dev"), (TEST, "test")))
    model = finetuned(task, train, dev, size, seed)
    right = [
        guess == (e.answers[0].text if e.answers else "")
        for guess, e in zip(task.predict(model, test), test, strict=True)
    ]
    return {"exact match": float(np.mean(right)), **by_group(test, right)}


def by_group(test: list[Question], right: list[bool]) -> dict[str, dict]:
    """Shares by kind of question; of "where" questions [right, asked] by clue and by place."""
    kinds, clues, places = {}, {}, {}
    for hit, e in zip(right, test, strict=True):
        kinds.setdefault(e.kind, []).append(hit)
        if e.kind == "where":
            clues.setdefault(shared_clue(e), []).append(hit)
            places.setdefault(PLACE_NAMES[home_of(e)], []).append(hit)
    return {
        "kinds": {kind: float(np.mean(hits)) for kind, hits in sorted(kinds.items())},
        "clues": {clue: [sum(clues[clue]), len(clues[clue])] for clue in CLUES},
        "places": {place: [sum(places[place]), len(places[place])] for place in PLACE_NAMES},
    }


def verdicts(size: int, seed: int) -> dict:
    """Accuracy, and how often "entailment" is said of what follows and of what is only made of its words."""
    task = finetuning.TextClassification(checkpoints.load("embedded")[1], PAIR_LABELS)
    model = finetuned(task, one_fact(size, seed), one_fact(DEV, part="dev"), size, seed)
    test = one_fact(TEST, part="test")
    swapped = recombined()
    said = task.predict(model, swapped)
    return {
        "accuracy": task.score(model, test)["accuracy"],
        "recombined accuracy": float(np.mean([v == e.label for v, e in zip(said, swapped, strict=True)])),
        "says entailment": {
            kind: float(np.mean([v == 0 for v, e in zip(said, swapped, strict=True) if e.kind == kind]))
            for kind in ("a fact", "recombined")
        },
    }


def run_one(kind: str, size: int, seed: int) -> dict:
    """What one model does."""
    if kind == "verdicts":
        return verdicts(size, seed)
    return answers(size, seed, balanced=kind == "balanced")


def load(path: Path = RESULT) -> dict:
    """The stored result."""
    return read(path)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    jobs = [(kind, size, seed) for kind, sizes in SIZES.items() for size in sizes for seed in SEEDS]
    found = train_all(run_one, jobs, options)
    tables = {
        kind: {str(size): [found[kind, size, seed] for seed in SEEDS] for size in sizes}
        for kind, sizes in SIZES.items()
    }
    finish(options, {"command": COMMAND, "seeds": list(SEEDS), "dev": DEV, "test": TEST, **tables})
    return 0


if __name__ == "__main__":
    commands.run(main)
