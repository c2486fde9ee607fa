"""What next sentence prediction is worth where everything is known: twins differ in pairs and losses.

Small models, alike in first weights, documents, steps and masks, are pretrained on the toy language: with the
next sentence loss; without it, the negative pairs kept; without it, true pairs only; and with the loss, but
negative pairs that stay in the document. All are measured on the same held-out rows:

- the loss at [MASK], in single sentences and in true pairs, which every twin has met in training;
- how well a linear classifier tells the sense of "bank", "bat", ... from the word's last hidden state;
- how well a linear classifier tells from the last hidden states whether two sentences belong together, and in
  which order they stand;
- how often the next sentence head is right, where there is one.

The result is stored beside this file; notebook 08 shows it. To make it again (about ten minutes on two
cores):

    python -m course_utils.lessons.nsp.experiment
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from course_utils import commands, nsp
from course_utils.classroom.experiments import Options, finish, read, train_all
from course_utils.lessons.mlm.experiment import sense_accuracy, sense_baseline, small_model
from course_utils.lessons.nsp.pairs import pairs_within
from course_utils.mlm import mask_tokens
from course_utils.pretraining import BatchOrder, rows_by_length, tokenize_documents
from course_utils.toy.language import VOCAB_FILE, ToyLanguage
from course_utils.training import schedule, update
from course_utils.wordpiece import WordPieceTokenizer

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m course_utils.lessons.nsp.experiment"
STEPS, WARM_UP, LEARNING_RATE, TOKENS_PER_STEP = 6000, 150, 3e-3, 512
RATE, SINGLE_SHARE = 0.15, 0.1
DOCUMENTS, HELD_OUT_DOCUMENTS, PROBE_DOCUMENTS = 16_000, 200, 1000
HELD_OUT_SEED, PROBE_SEED = 1_000_003, 1_000_004
LOG_EVERY = 500  # steps between two points of a curve
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Setup:
    """`negatives` come "elsewhere" (another document), "here" (the same document), or there are "none"."""

    negatives: str = "elsewhere"
    next_sentence_loss: bool = True


SETUPS = {
    "with the loss": Setup(),
    "no loss, negative pairs kept": Setup(next_sentence_loss=False),
    "no loss, true pairs only": Setup("none", next_sentence_loss=False),
    "with the loss, same document": Setup("here"),
}


def make_pairs(documents: Sequence[Sequence[list]], negatives: str, seed: int) -> list[nsp.Pair]:
    """Sentence pairs of one kind; see `Setup`."""
    generator = torch.Generator().manual_seed(seed)
    if negatives == "elsewhere":
        return nsp.make_pairs(documents, generator=generator)
    if negatives == "here":
        return pairs_within(documents, generator)
    return [nsp.Pair(*pair, nsp.IS_NEXT) for sentences in documents for pair in pairwise(sentences)]


@cache
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer.from_file(VOCAB_FILE)


@cache
def documents_of(seed: int, number: int) -> list[list[list[int]]]:
    """Piece ids of some documents."""
    return tokenize_documents(ToyLanguage(seed=seed).documents(number), tokenizer())


@cache
def training_rows(negatives: str):
    """The rows of one kind of pairs; which pairs give up a sentence is the same for all kinds."""
    pairs = make_pairs(documents_of(0, DOCUMENTS), negatives, seed=0)
    return rows_by_length(pairs, tokenizer(), SINGLE_SHARE, torch.Generator().manual_seed(1))


def train(setup: Setup, seed: int, stop: int = STEPS, progress: bool = False):
    """Train a small model.

    Args:
        stop: take only this many of the `STEPS` steps; what is learnt until then is the same.

    Returns:
        the model, and a curve: the mean loss of the blanks and of the pairs (computed for every twin, even
        where it is not trained on), in nats, over every `LOG_EVERY` steps.
    """
    from tqdm.auto import trange

    model, order = (
        small_model(len(tokenizer()), seed),
        BatchOrder(training_rows(setup.negatives), TOKENS_PER_STEP, seed),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    generator = torch.Generator().manual_seed(seed)
    losses, curve = [], []
    for step in trange(1, stop + 1, disable=None if progress else True):
        batch = order[step - 1]
        masked_ids, labels = mask_tokens(batch.input_ids, tokenizer(), RATE, generator)
        _, mlm_loss, nsp_loss = model.losses(
            masked_ids, None, batch.token_type_ids,
            labels=labels, next_sentence_label=batch.next_sentence_label,
        )  # fmt: skip
        loss = mlm_loss + nsp_loss if setup.next_sentence_loss else mlm_loss
        update(model, optimizer, loss.backward, LEARNING_RATE * schedule(step - 1, STEPS, WARM_UP), clip=1.0)
        has_pairs = bool((batch.next_sentence_label >= 0).any())
        losses.append((mlm_loss.item(), nsp_loss.item() if has_pairs else np.nan))
        if step % LOG_EVERY == 0:
            curve.append(np.nanmean(losses, axis=0).tolist())
            losses = []
    return model.eval(), curve


# ---- What every twin is measured on ----------------------------------------------------------------------


class TruePairs(ToyLanguage):
    """The language for a reader who knows that the second sentence always follows the first."""

    def _context(self, before, after):
        prior = self.stage_prior[:, None] * self.state_prior
        if before is not None:
            steps = self.stage_prior[:, None] * self.transitions
            return self.state_prior * np.einsum("bsz,st->btz", before.stages, steps)
        if after is not None:
            return prior * np.einsum("st,btz->bsz", self.transitions, after.stages)
        return prior[None]


@cache
def held_out_rows(kind: str) -> list[tuple]:
    """Rows of held-out documents, masked once and for all, with the best possible loss at every [MASK].

    `kind` is "single" (one sentence a row) or "true" (true pairs). The floor is that of a reader who knows
    this.
    """
    documents = documents_of(HELD_OUT_SEED, HELD_OUT_DOCUMENTS)
    language, found = TruePairs(seed=HELD_OUT_SEED), []
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    pairs = make_pairs(documents, "none", seed=0)
    for batch in rows_by_length(pairs, tokenizer(), 1.0 if kind == "single" else 0.0, generator):
        masked_ids, labels = mask_tokens(batch.input_ids, tokenizer(), RATE, generator)
        floors = language.floors(batch.input_ids.numpy(), masked_ids.numpy(), labels.numpy(), RATE)
        found.append((batch, masked_ids, labels, floors))
    return found


def floor(kind: str) -> float:
    """The best possible mean loss at the [MASK] of one kind of rows."""
    return float(np.concatenate([f.bidirectional[f.kind == "mask"] for *_, f in held_out_rows(kind)]).mean())


@torch.no_grad()
def loss_at_mask(model, kind: str) -> float:
    """The model's mean loss, in nats, at the same places."""
    nats = []
    for batch, masked_ids, labels, floors in held_out_rows(kind):
        scores, _ = model.score_selected(masked_ids, None, batch.token_type_ids, labels=labels)
        loss = torch.nn.functional.cross_entropy(scores, labels[labels >= 0], reduction="none").numpy()
        nats.append(loss[floors.kind == "mask"])
    return float(np.concatenate(nats).mean())


QUESTIONS = ("elsewhere", "here", "order")


@cache
def questions(question: str) -> tuple[list[nsp.Pair], int]:
    """Pairs with labels, and how many of them are for the classifier to learn from.

    The negative pairs take their second sentence "elsewhere" or "here", or turn the "order" of a true pair
    round. The first half of the documents is for learning, the other for the test.
    """
    documents, found = documents_of(PROBE_SEED, PROBE_DOCUMENTS), []
    halves = documents[: PROBE_DOCUMENTS // 2], documents[PROBE_DOCUMENTS // 2 :]
    for seed, half in enumerate(halves):
        pairs = make_pairs(half, "none" if question == "order" else question, seed)
        if question == "order":
            turned = (torch.rand(len(pairs), generator=torch.Generator().manual_seed(seed)) < 0.5).tolist()
            pairs = [
                nsp.Pair(p.second, p.first, nsp.NOT_NEXT) if turn else p
                for p, turn in zip(pairs, turned, strict=True)
            ]
        found.append(pairs)
    return found[0] + found[1], len(found[0])


@torch.no_grad()
def states_and_verdicts(model, question: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every pair of a question: [CLS] beside the mean of all last hidden states, the head's log odds of
    IsNext, and the label.
    """
    pairs, _ = questions(question)
    rows = [nsp.build_row(pair.first, pair.second, tokenizer()) for pair in pairs]
    states, odds = np.empty((len(rows), 2 * model.config.hidden_size), np.float32), np.empty(len(rows))
    lengths = np.array([len(ids) for ids, _ in rows])
    for length in np.unique(lengths):
        members = np.flatnonzero(lengths == length)
        ids, kinds = (torch.tensor([rows[i][part] for i in members]) for part in (0, 1))
        output = model.bert(ids, None, kinds)
        last = output.last_hidden_state
        states[members] = torch.cat([last[:, 0], last.mean(dim=1)], dim=1).numpy()
        logits = model.cls.seq_relationship(output.pooler_output)
        odds[members] = (logits[:, nsp.IS_NEXT] - logits[:, nsp.NOT_NEXT]).numpy()
    return states, odds, np.array([pair.label for pair in pairs])


def verdicts(model) -> dict[str, dict[str, float]]:
    """Accuracy on the test half of each question: of the model's own head, and of a logistic regression on
    its states.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    found = {"head": {}, "probe": {}}
    for question in QUESTIONS:
        x, odds, y = states_and_verdicts(model, question)
        n = questions(question)[1]
        scaler = StandardScaler().fit(x[:n])
        classifier = LogisticRegression(max_iter=2000).fit(scaler.transform(x[:n]), y[:n])
        says_next = odds[n:] > 0
        if question == "order":  # the head is read both ways, and the more likely order is its answer
            says_next = odds[n:] > _odds_turned(model)
        found["head"][question] = float((says_next == (y[n:] == nsp.IS_NEXT)).mean())
        found["probe"][question] = float(classifier.score(scaler.transform(x[n:]), y[n:]))
    return found


@torch.no_grad()
def _odds_turned(model) -> np.ndarray:
    """The head's log odds for the test pairs of "order", read the other way round."""
    pairs, n = questions("order")
    odds = []
    for pair in pairs[n:]:
        ids, kinds = nsp.build_row(pair.second, pair.first, tokenizer())
        pooled = model.bert(torch.tensor([ids]), None, torch.tensor([kinds])).pooler_output
        logits = model.cls.seq_relationship(pooled)[0]
        odds.append(float(logits[nsp.IS_NEXT] - logits[nsp.NOT_NEXT]))
    return np.array(odds)


def measure(model) -> dict:
    """All that is compared between twins."""
    losses = {kind: loss_at_mask(model, kind) for kind in ("single", "true")}
    return losses | {"sense": sense_accuracy(model)} | verdicts(model)


def run_one(name: str, seed: int) -> dict:
    """Train and measure one twin."""
    model, curve = train(SETUPS[name], seed)
    return measure(model) | {"curve": curve}


def load() -> dict:
    """The stored result."""
    return read(RESULT)


def main(argv: list[str] | None = None) -> int:
    options = Options(COMMAND, __doc__, RESULT).parse_args(argv)
    found = train_all(run_one, [(name, seed) for seed in SEEDS for name in SETUPS], options)
    result = {
        "command": COMMAND,
        "steps": STEPS,
        "log_every": LOG_EVERY,
        "documents": DOCUMENTS,
        "seeds": list(SEEDS),
        "floors": {kind: floor(kind) for kind in ("single", "true")},
        "sense_baseline": sense_baseline(),
        "setups": {
            name: (
                asdict(SETUPS[name])
                | {key: [found[name, s][key] for s in SEEDS] for key in ("single", "true", "sense", "curve")}
                | {
                    reader: {q: [found[name, s][reader][q] for s in SEEDS] for q in QUESTIONS}
                    for reader in ("head", "probe")
                }
            )
            for name in SETUPS
        },
    }
    finish(options, result)
    return 0


if __name__ == "__main__":
    commands.run(main)
