"""What the choices of masked language modelling are worth: recipes, rates and losses, over seeds.

Small models, alike in everything but one choice, are trained on the toy language and measured on the same
held-out documents, at [MASK], at random replacements and at kept words, beside the exact limits. A last
measure reads no prediction at all: how well a linear classifier tells the sense of "bank", "bat", ... from
the word's last hidden state, in rows where nothing is masked.

The result is stored beside this file; notebook 07 shows it. To make it again (about a quarter of an hour on
two cores):

    python -m course_utils.lessons.mlm.experiment
"""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from course_utils import commands, nsp
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.mlm import IGNORE_INDEX, corrupt
from course_utils.pretraining import BatchOrder, HeldOut, Settings, evaluate, held_out, training_rows
from course_utils.toy.language import VOCAB_FILE, ToyLanguage
from course_utils.training import schedule, update
from course_utils.wordpiece import WordPieceTokenizer

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.mlm.experiment"
STEPS, WARM_UP, LEARNING_RATE, TOKENS_PER_STEP = 1000, 50, 4e-3, 1024
DOCUMENTS, HELD_OUT_DOCUMENTS, SENSE_DOCUMENTS = 8000, 200, 1000
LOG_EVERY = 125  # steps between two points of a curve
SEEDS = (0, 1, 2)
KINDS = ("mask", "random", "kept")


@dataclass(frozen=True)
class Setup:
    """One way to corrupt and to take the loss. The shares are those of the selected tokens; the rest is kept.

    `loss_over` is "selected" (as BERT does), "masked" (only positions that show [MASK]) or "everything" (all
    ordinary tokens).
    """

    rate: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1
    loss_over: str = "selected"


SETUPS = {
    "80/10/10": Setup(),
    "100/0/0": Setup(mask_share=1.0, random_share=0.0),
    "80/20/0": Setup(random_share=0.2),
    "80/0/20": Setup(random_share=0.0),
    "0/100/0": Setup(mask_share=0.0, random_share=1.0),
    "0/0/100": Setup(mask_share=0.0, random_share=0.0),
    "rate 5 %": Setup(rate=0.05),
    "rate 30 %": Setup(rate=0.3),
    "rate 50 %": Setup(rate=0.5),
    "loss at [MASK] only": Setup(loss_over="masked"),
    "loss everywhere": Setup(loss_over="everything"),
}


def loss_labels(input_ids, masked_ids, labels, tokenizer, loss_over):
    """The labels of a loss over "selected" positions, over those that show [MASK], or over every ordinary
    token.
    """
    if loss_over == "masked":
        return labels.masked_fill(masked_ids != tokenizer.mask_token_id, IGNORE_INDEX)
    if loss_over == "everything":
        special = torch.tensor(sorted(tokenizer.special_ids))
        return input_ids.masked_fill(torch.isin(input_ids, special), IGNORE_INDEX)
    return labels


@cache
def tokenizer_and_rows():
    """The embedded vocabulary and the rows that every model is trained on."""
    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    return tokenizer, training_rows(Settings(documents=DOCUMENTS), tokenizer)


@cache
def held_out_rows() -> HeldOut:
    """The documents that every model is measured on, corrupted 80/10/10 at 15 %, with their exact limits."""
    return held_out(tokenizer_and_rows()[0], documents=HELD_OUT_DOCUMENTS)


def small_model(vocab_size: int, seed: int) -> BertForPreTraining:
    """Two layers of hidden size 64, the same first weights for the same seed."""
    config = BertConfig(
        vocab_size=vocab_size, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=256, max_position_embeddings=40,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForPreTraining(config)


def train(setup: Setup, seed: int, stop: int = STEPS, progress: bool = False):
    """Train a small model, masked words only.

    Args:
        stop: take only this many of the `STEPS` steps; what is learnt until then is the same.

    Returns:
        the model, and a curve: after every `LOG_EVERY` steps the mean training loss since the point before
        (as this setup takes it) and the held-out loss at [MASK], both in nats.
    """
    from tqdm.auto import trange

    tokenizer, rows = tokenizer_and_rows()
    model, order = small_model(len(tokenizer), seed), BatchOrder(rows, TOKENS_PER_STEP, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    generator = torch.Generator().manual_seed(seed)
    at_mask = held_out_rows().floors.kind == "mask"
    losses, curve = [], []
    for step in trange(1, stop + 1, disable=None if progress else True):
        batch = order[step - 1]
        shares = (setup.rate, setup.mask_share, setup.random_share)
        masked_ids, labels = corrupt(batch.input_ids, tokenizer, *shares, generator)
        labels = loss_labels(batch.input_ids, masked_ids, labels, tokenizer, setup.loss_over)
        loss = model.losses(masked_ids, None, batch.token_type_ids, labels=labels).mlm_loss
        update(model, optimizer, loss.backward, LEARNING_RATE * schedule(step - 1, STEPS, WARM_UP), clip=1.0)
        losses.append(loss.item())
        if step % LOG_EVERY == 0:
            nats = evaluate(model, held_out_rows()).nats
            curve.append((float(np.mean(losses)), float(nats[at_mask].mean())))
            losses = []
    return model.eval(), curve


def measure(model) -> dict[str, float]:
    """Mean held-out nats at each kind of selected position, and the accuracy of the sense classifier."""
    nats, kind = evaluate(model, held_out_rows()).nats, held_out_rows().floors.kind
    return {name: float(nats[kind == name].mean()) for name in KINDS} | {"sense": sense_accuracy(model)}


@cache
def sense_rows() -> list[tuple[list[int], list[int], list[tuple[int, str]], bool]]:
    """Pairs of neighbouring sentences with ambiguous words, nothing masked, from documents of a seed of their
    own.

    Each is (input_ids, token_type_ids, [(position, sense)], whether it belongs to the test half).
    """
    tokenizer, _ = tokenizer_and_rows()
    found = []
    for d, document in enumerate(ToyLanguage(seed=7).documents(SENSE_DOCUMENTS)):
        for first, second in zip(document.sentences[::2], document.sentences[1::2], strict=False):
            ids = [tokenizer.convert_tokens_to_ids(list(sentence.words)) for sentence in (first, second)]
            shift = len(first.words) + 2
            places = [(1 + i, f"{first.words[i]}: {sense}") for i, sense in first.senses.items()]
            places += [(shift + i, f"{second.words[i]}: {sense}") for i, sense in second.senses.items()]
            if places:
                found.append((*nsp.build_row(*ids, tokenizer), places, d % 2 == 1))
    return found


def sense_tables(state_of) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, senses and "in the test half?" of every ambiguous word; `state_of(ids, types)` gives
    (seq_len, size).
    """
    features, senses, test = [], [], []
    for input_ids, token_type_ids, places, is_test in sense_rows():
        states = state_of(torch.tensor([input_ids]), torch.tensor([token_type_ids]))
        for position, sense in places:
            features.append(states[position].numpy())
            senses.append(sense)
            test.append(is_test)
    return np.array(features), np.array(senses), np.array(test)


@torch.no_grad()
def sense_accuracy(model) -> float:
    """Share of ambiguous words of new documents whose sense a linear classifier reads off the last hidden
    state.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, y, test = sense_tables(lambda ids, types: model.bert(ids, None, types).last_hidden_state[0])
    scaler = StandardScaler().fit(x[~test])
    classifier = LogisticRegression(max_iter=2000).fit(scaler.transform(x[~test]), y[~test])
    return float(classifier.score(scaler.transform(x[test]), y[test]))


def sense_baseline() -> float:
    """The same for one who knows only the word: its most frequent sense in the training half."""
    _, senses, test = sense_tables(lambda ids, types: torch.zeros(ids.shape[1], 1))
    best: dict[str, str] = {}
    for sense in senses[~test]:
        word, counts = sense.split(":")[0], {}
        for other in senses[~test]:
            if other.split(":")[0] == word:
                counts[other] = counts.get(other, 0) + 1
        best.setdefault(word, max(counts, key=counts.get))
    return float(np.mean([best[sense.split(":")[0]] == sense for sense in senses[test]]))


def run_one(name: str, seed: int) -> dict:
    """Train and measure one model."""
    model, curve = train(SETUPS[name], seed)
    return measure(model) | {"curve": curve}


def load() -> dict:
    """The stored result."""
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    found = train_all(run_one, [(name, seed) for seed in SEEDS for name in SETUPS], options)
    floors = held_out_rows().floors
    result = {
        "command": COMMAND,
        "steps": STEPS,
        "log_every": LOG_EVERY,
        "seeds": list(SEEDS),
        "floors": {kind: floors.mean(kind) for kind in KINDS},
        "sense_baseline": sense_baseline(),
        "setups": {
            name: (
                asdict(SETUPS[name])
                | {key: [found[name, seed][key] for seed in SEEDS] for key in (*KINDS, "sense", "curve")}
            )
            for name in SETUPS
        },
    }
    finish(options, result)
    return 0


if __name__ == "__main__":
    commands.run(main)
