"""Four ways to learn two tasks from 10 to 1,000 examples, and what a learning rate costs.

The tasks: the sentiment of reviews, about which the toy language says little, and the topic of sentences,
which decides most of its words.

The rivals: a bag of words and a BERT that starts from nothing (both have seen no other text), frozen features
of the embedded BERT under a logistic regression, and fine-tuning of the embedded BERT. All may use the same
dev examples to choose: the first and the third their regularisation, the other two when to stop. Then
fine-tuning on reviews again, at learning rates from too small to too large, with the masked word loss of its
encoder before and after: what it has forgotten.

The result is stored beside this file, and so is a rerun with ten other seeds; notebook 10 shows the first and
holds the second against it. To make them again (about a quarter of an hour each, on two cores):

    python -m course_utils.lessons.classification.experiment
    python -m course_utils.lessons.classification.experiment --rerun
"""

import math
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from torch import nn

from course_utils import checkpoints, commands, finetuning, pretraining
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.finetuning import Settings, TextClassification
from course_utils.toy.tasks import REVIEW_LABELS, TOPIC_LABELS, LabelledText, reviews, topics

RESULT = Path(__file__).with_suffix(".json")
RERUN = RESULT.with_name("experiment_rerun.json")
COMMAND = "python -m course_utils.lessons.classification.experiment"
TASKS = {"sentiment": (reviews, REVIEW_LABELS), "topic": (topics, TOPIC_LABELS)}
SIZES = (10, 30, 100, 300, 1000)
SEEDS = tuple(range(10))
OTHER_SEEDS = tuple(range(10, 20))
DEV, TEST, HELD_OUT_DOCUMENTS = 100, 500, 60
NAMES = ("bag of words", "from scratch", "frozen features", "fine-tuned")
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
RATES_SIZE = 300  # examples for the comparison of learning rates
FEWEST = 320  # few examples are repeated until an epoch has this many: 20 steps between two looks at dev
EPOCHS, EPOCHS_OF_1000 = 15, 10
STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # of logistic regression: the larger, the less it is regularised


@cache
def tools(name: str = "sentiment"):
    """The embedded model, a task, and its examples that choose (dev) and that judge (test)."""
    make, labels = TASKS[name]
    pretrained, tokenizer = checkpoints.load("embedded")
    return pretrained, TextClassification(tokenizer, labels), make(DEV, part="dev"), make(TEST, part="test")


@cache
def held_out_rows():
    """Masked toy documents that no training has seen."""
    return pretraining.held_out(tools()[1].tokenizer, documents=HELD_OUT_DOCUMENTS)


def regression(train: np.ndarray, train_labels, dev: np.ndarray, dev_labels):
    """The logistic regression whose strength of regularisation is best on dev."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models = [make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000)) for c in STRENGTHS]
    return max((m.fit(train, train_labels) for m in models), key=lambda m: m.score(dev, dev_labels))


def bag_of_words(train: list[str], *others: list[str]) -> list[np.ndarray]:
    """Counts of the words of `train`, (n, words), for each list of texts."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(token_pattern=r"\S+").fit(train)
    return [vectorizer.transform(texts).toarray().astype(float) for texts in (train, *others)]


def frozen_features(pretrained: nn.Module, tokenizer, texts: list[str]) -> np.ndarray:
    """The last hidden state of [CLS] and the mean of all last hidden states, side by side: (n, 2 *
    hidden_size).
    """
    return np.hstack([finetuning.features(pretrained, tokenizer, texts, pool) for pool in ("cls", "mean")])


def settings_for(size: int, seed: int, learning_rate: float = 1e-3) -> Settings:
    """About 300 steps, 600 for 1,000 examples, or fewer if dev stops getting better."""
    epochs = EPOCHS_OF_1000 if size > FEWEST else EPOCHS
    return Settings(seed=seed, epochs=epochs, learning_rate=learning_rate, patience=epochs // 2)


def train_network(
    task_name: str, train: list[LabelledText], seed: int, from_scratch: bool, learning_rate: float = 1e-3
) -> nn.Module:
    """Fine-tune the embedded model, or train one of its shape from nothing; the best model on dev."""
    pretrained, task, dev, _ = tools(task_name)
    model = finetuning.new_model(task, pretrained.config if from_scratch else pretrained, seed)
    repeated = train * max(1, FEWEST // len(train))
    settings = settings_for(len(train), seed, learning_rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # among ten examples of eight topics some are rare
        return finetuning.finetune(model, task, repeated, dev, settings, progress=False).model


def accuracy(task_name: str, name: str, size: int, seed: int) -> float:
    """Test accuracy of one rival after `size` examples, drawn with `seed`."""
    pretrained, task, dev, test = tools(task_name)
    train = TASKS[task_name][0](size, seed)
    if name in ("from scratch", "fine-tuned"):
        model = train_network(task_name, train, seed, from_scratch=name == "from scratch")
        return task.score(model, test)["accuracy"]
    texts = [[example.text for example in part] for part in (train, dev, test)]
    labels = [[example.label for example in part] for part in (train, dev, test)]
    if name == "bag of words":
        tables = bag_of_words(*texts)
    else:
        tables = [frozen_features(pretrained, task.tokenizer, part) for part in texts]
    return float(regression(tables[0], labels[0], tables[1], labels[1]).score(tables[2], labels[2]))


def masked_word_loss(encoder: nn.Module) -> float:
    """Mean nats at [MASK] in held-out documents, of `encoder` under the masked word head of the embedded
    model.
    """
    pretrained, _ = checkpoints.load("embedded")
    pretrained.bert.load_state_dict(encoder.state_dict())
    data = held_out_rows()
    return float(pretraining.evaluate(pretrained, data).nats[data.floors.kind == "mask"].mean())


def at_rate(learning_rate: float, seed: int) -> dict[str, float]:
    """Test accuracy and masked word loss after fine-tuning on 300 reviews at a learning rate."""
    _, task, _, test = tools()
    model = train_network("sentiment", reviews(RATES_SIZE, seed), seed, False, learning_rate)
    return {"accuracy": task.score(model, test)["accuracy"], "masked word loss": masked_word_loss(model.bert)}


def run_one(kind: str, *job) -> float | dict:
    """One cell of one of the two tables, for one seed."""
    return accuracy(*job) if kind == "rivals" else at_rate(*job)


def as_tables(seeds: tuple[int, ...], found: dict[tuple, float | dict]) -> dict:
    """What `run_one` found, as tables: `accuracy[task][name][size]` and `rates[rate][key]` hold one value a
    seed.
    """
    rates = {
        f"{rate:g}": {
            key: [found["rates", rate, seed][key] for seed in seeds]
            for key in ("accuracy", "masked word loss")
        }
        for rate in RATES
    }
    return {
        "command": COMMAND,
        "seeds": list(seeds),
        "dev": DEV,
        "test": TEST,
        "accuracy": {
            task: {
                name: {
                    str(size): [found["rivals", task, name, size, seed] for seed in seeds] for size in SIZES
                }
                for name in NAMES
            }
            for task in TASKS
        },
        "rates": rates,
        "masked word loss before": masked_word_loss(tools()[0].bert),
    }


def spread(values: list[float]) -> float:
    """How far the mean of as many other seeds may lie from the mean of `values`: 99 times in 100 within this.

    The difference of two means of n runs has the standard deviation s * sqrt(2 / n), where s is that of one
    run. As s is known from n runs only, the normal distribution's 2.58 is replaced by Student's t with n - 1
    degrees of freedom.
    """
    from scipy.stats import t

    n = len(values)
    return float(t.ppf(0.995, n - 1) * np.std(values, ddof=1) * math.sqrt(2 / n))


def outside(stored: dict, other: dict) -> list[str]:
    """The cells of the rivals' table in which the mean of other seeds leaves the stated spread, in words."""
    found = []
    for task, by_name in stored["accuracy"].items():
        for name, by_size in by_name.items():
            for size, values in by_size.items():
                mean, again = np.mean(values), np.mean(other["accuracy"][task][name][size])
                if abs(again - mean) > spread(values):
                    found.append(
                        f"{task}, {name}, {size}: {mean:.3f} ± {spread(values):.3f}, again {again:.3f}"
                    )
    return found


def load(path: Path = RESULT) -> dict:
    """The stored result; `load(RERUN)` is the same with other seeds."""
    return read(path)


def main(argv: list[str] | None = None) -> int:
    parser = Options(COMMAND, __doc__, RESULT)
    parser.add_argument(
        "--rerun", action="store_true", help=f"with other seeds, into {RERUN.name}, and compare"
    )
    options = parser.parse_args(argv)
    seeds = OTHER_SEEDS if options.rerun else SEEDS
    if options.rerun and options.output == RESULT:
        options.output = RERUN
    cells = [(task, name, size) for task in TASKS for size in reversed(SIZES) for name in NAMES]
    jobs = [("rivals", *cell, seed) for cell in cells for seed in seeds]
    jobs += [("rates", rate, seed) for rate in RATES for seed in seeds]
    result = as_tables(seeds, train_all(run_one, jobs, options))
    finish(options, result)
    if options.rerun:
        print("outside the stated spread:", *(outside(load(), result) or ["no cell"]), sep="\n  ")
    return 0


if __name__ == "__main__":
    commands.run(main)
