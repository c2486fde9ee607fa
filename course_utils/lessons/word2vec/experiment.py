"""Counting against predicting, both tuned: word vectors of one text by seven methods, over seeds.

The text is that of notebook 01. Skip-gram and CBOW are trained with four learning rates each, with and
without sub-sampling; the rows of a PPMI table are measured whole and as a truncated SVD, with three
exponents for the singular values, with and without sub-sampling. All are measured by the same yardsticks: the
share of neighbours of the same topic and of the same kind, for frequent and for rare words, and analogies,
each beside the answer that ignores a and b.

The result is stored beside this file; notebook 01 shows it. To make it again (about three minutes on two
cores):

    python -m course_utils.lessons.word2vec.experiment
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import commands
from course_utils import word2vec as w2v
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.toy import grammar
from course_utils.toy.language import ToyLanguage

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.word2vec.experiment"
DOCUMENTS, WINDOW, NEGATIVES = 2000, 5, 5
SEEDS = (0, 1, 2)
DRAWS = 20  # sub-sampled copies of the text whose counts are averaged
SAMPLES = {"all words": 0.0, "sub-sampled": 1e-3}
RATES = {"skipgram": (0.025, 0.05, 0.1, 0.2), "cbow": (0.08, 0.15, 0.3, 0.6)}
EPOCHS = 10
EXPONENTS = (0.0, 0.5, 1.0)
DIMS = (32, 64)
WINDOWS = (1, 2, 5)
LOOKED_UP = ("cat", "happy", "coins", "bank")
RELATIONS = {
    "one, many (function words)": "this/these that/those is/are was/were looks/look it/they",
    "one, many (things)": (
        "dog/dogs cat/cats boat/boats loan/loans player/players"
        " tree/trees seed/seeds actor/actors plate/plates"
    ),
    "he, she": "he/she him/her ben/anna david/clara",
    "good, bad": "happy/sad good/bad loved/hated best/worst smiled/cried great/terrible",
}


# ---- The text and the yardsticks -----------------------------------------------------------------------


@cache
def text() -> list[list[str]]:
    """The sentences of notebook 01, as lists of words."""
    documents = ToyLanguage(seed=0).documents(DOCUMENTS)
    return [list(sentence.words) for document in documents for sentence in document.sentences]


def labels_of(vocab: list[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Of the words that belong to one topic and one kind: their places in `vocab`, topics and kinds.

    The kinds are the slots of the grammar that a word may fill: places, things, qualities, ...
    """
    topics: dict[str, set[str]] = {}
    kinds: dict[str, set[str]] = {}
    for kind, by_topic in grammar.TOPIC_CLASSES.items():
        for topic, words in by_topic.items():
            for word in words.replace("/", " ").split():
                topics.setdefault(word, set()).add(topic)
                kinds.setdefault(word, set()).add(kind)
    places = [
        i
        for i, word in enumerate(vocab)
        if len(topics.get(word, ())) == len(kinds.get(word, ())) == 1 and word not in grammar.SENSES
    ]
    names = sorted(grammar.TOPIC_CLASSES)
    return (
        torch.tensor(places),
        torch.tensor([grammar.TOPICS.index(min(topics[vocab[i]])) for i in places]),
        torch.tensor([names.index(min(kinds[vocab[i]])) for i in places]),
    )


def same_label(vectors: Tensor, places: Tensor, label: Tensor) -> Tensor:
    """For each word at `places` the share of its five nearest neighbours (among these) with its label."""
    unit = F.normalize(vectors[places].float(), dim=1)
    cosines = (unit @ unit.T).fill_diagonal_(-2)  # no word is its own neighbour
    nearest = cosines.topk(5, dim=1).indices
    return (label[nearest] == label[:, None]).float().mean(dim=1)


def questions(pairs_as_text: str) -> list[tuple[str, str, str, str]]:
    """(a, b, c, answer): each pair of a list beside each other one."""
    pairs = [pair.split("/") for pair in pairs_as_text.split()]
    return [(*first, *second) for first in pairs for second in pairs if first != second]


def right_answers(vectors: Tensor, asked: Tensor, offset: float = 1.0) -> float:
    """Share of questions (a, b, c, answer) answered by the word nearest to c + offset * (b - a).

    With offset 0 the answer is simply the nearest neighbour of c; a, b and c never answer.
    """
    unit = F.normalize(vectors.float(), dim=1)
    a, b, c, answer = asked.T
    score = (unit[c] + offset * (unit[b] - unit[a])) @ unit.T
    score.scatter_(1, asked[:, :3], -torch.inf)
    return (score.argmax(dim=1) == answer).float().mean().item()


def measure(vectors: Tensor, vocab: list[str]) -> dict:
    """All yardsticks. `vocab` is sorted from frequent to rare, so its words are cut into halves at once."""
    places, topic, kind = labels_of(vocab)
    by_topic, half = same_label(vectors, places, topic), len(places) // 2
    ids = {word: i for i, word in enumerate(vocab)}
    found = {
        "topic": by_topic.mean().item(),
        "frequent": by_topic[:half].mean().item(),
        "rare": by_topic[half:].mean().item(),
        "kind": same_label(vectors, places, kind).mean().item(),
    }
    for name, pairs in RELATIONS.items():
        asked = torch.tensor([[ids[word] for word in question] for question in questions(pairs)])
        found[name] = [right_answers(vectors, asked), right_answers(vectors, asked, offset=0.0)]
    return found


def best_sense(language: ToyLanguage, words: Sequence[str], i: int) -> str:
    """The most probable sense of the ambiguous word at place i, for one who knows the rules of the language.

    A sentence is a pattern filled with words: the probabilities of its words are multiplied for every pattern
    and every hidden state, and added up over the patterns; each sense belongs to a topic.
    """
    index = {word: j for j, word in enumerate(language.words)}
    fits = language.pattern_length == len(words)
    rows = language.pattern_rows[fits][:, : len(words)]
    likelihood = language.emissions[rows, [index[word] for word in words]].prod(axis=1)
    of_state = np.einsum("s,szp,p->z", language.stage_prior, language.pattern_prior[:, :, fits], likelihood)
    senses = grammar.SENSES[words[i]]
    share = dict.fromkeys(senses.values(), 0.0)
    for (topic, _), probability in zip(language.states, of_state, strict=True):
        if topic in senses:
            share[senses[topic]] += probability
    return max(share, key=share.__getitem__)


# ---- The methods ---------------------------------------------------------------------------------------


def predict(mode: str, sample: float, lr: float, epochs: int, dim: int, seed: int, window: int = WINDOW):
    """Vectors by skip-gram or CBOW."""
    settings = {"dim": dim, "window": window, "negatives": NEGATIVES, "sample": sample, "epochs": epochs}
    return w2v.train(text(), mode=mode, lr=lr, seed=seed, progress=False, **settings)


def counts_of(sample: float, seed: int) -> Tensor:
    """The co-occurrence table; sub-sampled texts are drawn anew `DRAWS` times, as in so many epochs."""
    vocab, word_counts, _, _ = w2v.encode(text())
    if sample == 0:
        return w2v.cooccurrence(text(), vocab, WINDOW)
    keep = dict(zip(vocab, w2v.keep_probability(word_counts, sample).tolist(), strict=True))
    chance = torch.tensor([keep[word] for words in text() for word in words])
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(len(vocab), len(vocab), dtype=torch.float64)
    for _ in range(DRAWS):
        kept = iter((torch.rand(len(chance), generator=generator) < chance).tolist())
        total += w2v.cooccurrence([[w for w in words if next(kept)] for words in text()], vocab, WINDOW)
    return total / DRAWS


def truncated_svd(table: Tensor, dim: int, exponent: float) -> Tensor:
    """Rows of `dim` numbers: left singular vectors times the singular values to the power `exponent`."""
    left, values, _ = torch.linalg.svd(table)
    return left[:, :dim] * values[:dim] ** exponent


def jobs() -> list[tuple]:
    """(method, settings ..., seed): all that is trained."""
    found: list[tuple] = []
    for seed in SEEDS:
        for mode, rates in RATES.items():
            for name in SAMPLES:
                found += [(mode, name, lr, EPOCHS, 32, seed) for lr in rates]
        found += [("skipgram", name, 0.1, EPOCHS, 64, seed) for name in SAMPLES]
        found += [("counts", name, 0.0, 0, 0, seed) for name in SAMPLES]
        found += [("windows", "sub-sampled", 0.1, window, 32, seed) for window in WINDOWS]
    return found


def run_one(method: str, sampling: str, lr: float, number: int, dim: int, seed: int) -> dict:
    """One trained model, or all that is made of one table of counts."""
    vocab = w2v.encode(text())[0]
    if method == "counts":
        counts = counts_of(SAMPLES[sampling], seed)
        ppmi = w2v.pmi(counts).clamp(min=0)
        found = {"raw counts": measure(counts, vocab), "PPMI": measure(ppmi, vocab)}
        for size in DIMS:
            for exponent in EXPONENTS:
                found[f"SVD {size}, {exponent}"] = measure(truncated_svd(ppmi, size, exponent), vocab)
        return found
    if method == "windows":
        model = predict("skipgram", SAMPLES[sampling], lr, EPOCHS, dim, seed, window=number)
        nearest = {word: [near for near, _ in model.most_similar(word, 5)] for word in LOOKED_UP}
        return measure(model.input_vectors, vocab) | {"nearest": nearest}
    model = predict(method, SAMPLES[sampling], lr, number, dim, seed)
    return measure(model.input_vectors, vocab)


def load() -> dict:
    """The stored result."""
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    found = train_all(run_one, jobs(), options)
    trained: dict = {}
    for (method, sampling, lr, number, dim, _), result in found.items():
        if method == "counts":
            for name, measured in result.items():
                trained.setdefault(f"{name} | {sampling}", []).append(measured)
        elif method == "windows":
            trained.setdefault(f"window {number}", []).append(result)
        else:
            name = f"{method} {dim}, rate {lr}"
            trained.setdefault(f"{name} | {sampling}", []).append(result)
    result = {
        "command": COMMAND,
        "documents": DOCUMENTS,
        "window": WINDOW,
        "negatives": NEGATIVES,
        "draws": DRAWS,
        "epochs": EPOCHS,
        "seeds": list(SEEDS),
        "setups": {
            name: {key: [each[key] for each in runs] for key in runs[0]} for name, runs in trained.items()
        },
    }
    finish(options, result)
    return 0


if __name__ == "__main__":
    commands.run(main)
