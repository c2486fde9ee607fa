"""Fine-tuning: a pretrained encoder, one new layer on top, and a few hundred labelled examples.

    examples -> task.encode -> rows -> batches -> encoder and head -> loss -> AdamW -> best weights on dev

One loop serves every task (`finetune`). What differs between tasks is in three small classes, one a head:

| task | head | one label for | score |
|---|---|---|---|
| `TextClassification` | pooler, dropout, Linear | a text or a pair of texts | accuracy, macro F1 |
| `TokenClassification` | dropout, Linear | a word, read at its first piece | entity F1 |
| `QuestionAnswering` | Linear, two scores a token | the ends of a span | exact match, span F1 |

Examples are those of `toy_tasks`: `LabelledText`, `TaggedWords` and `Question`; whoever has lists makes them
with `labelled(texts, labels)`. Sources: Devlin et al. 2018 (arXiv 1810.04805), sections 4 and 5.3 and
appendix A.3, called "the paper" below.
"""

import copy
import json
import re
import string
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils import checkpoints
from course_utils.bert import (
    IGNORE_INDEX,
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    load_weights,
)
from course_utils.pretraining import finish_step_on_interrupt
from course_utils.toy.tasks import LabelledText, Question, TaggedWords
from course_utils.wordpiece import WordPieceTokenizer

RARE = 0.1  # a class with a smaller share of the examples than this is called rare


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on beside model and examples. The values suit the embedded model; see the
    paper's A.3 for BERT-base: learning rates of 2e-5 to 5e-5, 2 to 4 epochs, batches of 16 or 32.

    Attributes:
        epochs: passes over the examples, at most; the dev examples are scored after each.
        patience: stop after this many epochs in which neither the dev score nor the dev loss got better. The
            score alone will not do: it can stand still, even at 0, for a while in which the loss falls.
        layer_decay: each part learns this many times as fast as the part above it: 1 all alike, 0.8 the lower
            the slower (Howard and Ruder 2018, section 3.2; as in Clark et al. 2020, appendix B).
        freeze: what keeps its pretrained weights: "nothing", "embeddings", a number n (embeddings and the
            first n layers), or "encoder" (all but the new layer).
        balance: weigh each class by 1 / its share of the examples, so that a rare class counts as much as a
            common one.
    """

    seed: int = 0
    epochs: int = 10
    batch_size: int = 16
    learning_rate: float = 5e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 3
    layer_decay: float = 1.0
    freeze: int | str = "nothing"
    balance: bool = False

    def __post_init__(self):
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed is {self.seed}; allowed is 0 to {2**31 - 1}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay is {self.layer_decay}; allowed is above 0 and at most 1")
        if not 0 <= self.warmup_share < 1:
            raise ValueError(f"warmup_share is {self.warmup_share}; it must lie in [0, 1)")
        is_count = isinstance(self.freeze, int) and not isinstance(self.freeze, bool) and self.freeze >= 0
        if self.freeze not in ("nothing", "embeddings", "encoder") and not is_count:
            allowed = '"nothing", "embeddings", "encoder" or a number of layers'
            raise ValueError(f"freeze is {self.freeze!r}; allowed is {allowed}")


# ------------------------------------------------------------------------------------------ rows and batches


@dataclass(frozen=True)
class Row:
    """One encoded example, or one window of it.

    `target` is what the head must say: a label, a label for each token (-100: none), or (first, last) token
    of an answer. `example` is the number of the example; `origins` leads back to it: for tags the word that
    each token begins (-1: none), for questions the (start, end) characters of the context for each token
    (None: none).
    """

    input_ids: list[int]
    token_type_ids: list[int]
    target: int | list[int] | tuple[int, int]
    example: int
    origins: list | None = None


def collate(rows: Sequence[Row], pad_token_id: int, device="cpu") -> dict[str, Tensor]:
    """Pad rows to the longest: `input_ids`, `token_type_ids`, `attention_mask` (batch, seq_len), and
    `target`.
    """
    seq_len = max(len(row.input_ids) for row in rows)

    def padded(values: list[int], filler: int) -> list[int]:
        return values + [filler] * (seq_len - len(values))

    per_token = isinstance(rows[0].target, list)
    columns = {
        "input_ids": [padded(row.input_ids, pad_token_id) for row in rows],
        "token_type_ids": [padded(row.token_type_ids, 0) for row in rows],
        "attention_mask": [padded([1] * len(row.input_ids), 0) for row in rows],
        "target": [padded(row.target, IGNORE_INDEX) if per_token else row.target for row in rows],
    }
    return {name: torch.tensor(values, device=device) for name, values in columns.items()}


def labelled(
    texts: Sequence[str], labels: Sequence[int], pairs: Sequence[str] | None = None
) -> list[LabelledText]:
    """Examples from lists: texts, their labels, and (for tasks of two texts) the second texts."""
    pairs = [None] * len(texts) if pairs is None else pairs
    if not len(texts) == len(labels) == len(pairs):
        counts = f"{len(texts)} texts, {len(labels)} labels, {len(pairs)} pairs"
        raise ValueError(f"texts, labels and pairs must be of one length; there are {counts}")
    return [
        LabelledText(text, int(label), pair) for text, label, pair in zip(texts, labels, pairs, strict=True)
    ]


# ------------------------------------------------------------------------------------------ tasks


class Task:
    """What a head needs to know about its data. Subclasses say how to encode, to weigh a loss, to predict, to
    score.

    Args:
        tokenizer: that of the pretrained model.
        labels: the names of the classes, in the order of their numbers.
        max_length: longest row in pieces; `new_model` and `finetune` hold it to the positions of the model.
    """

    head: type[nn.Module]
    main_score: str

    def __init__(self, tokenizer: WordPieceTokenizer, labels: Sequence[str], max_length: int = 128):
        if isinstance(labels, str) or len(labels) < 2 or len(set(labels)) < len(labels):
            raise ValueError(f"labels is {labels!r}; allowed is a list of two different names or more")
        if max_length < 8:
            raise ValueError(f"max_length is {max_length}; allowed is 8 or more")
        self.tokenizer, self.labels, self.max_length = tokenizer, tuple(labels), max_length

    def loss(self, model: nn.Module, batch: dict[str, Tensor], weights: Tensor | None) -> Tensor:
        """Mean cross-entropy in nats; with `weights` (num_labels,) a weighted mean over the labels."""
        logits = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]).logits
        return F.cross_entropy(
            logits.flatten(0, -2), batch["target"].flatten(), weights, ignore_index=IGNORE_INDEX
        )

    def label_counts(self, rows: Sequence[Row]) -> np.ndarray:
        """How often each label occurs as a target: (num_labels,)."""
        targets = np.concatenate([np.atleast_1d(row.target) for row in rows])
        return np.bincount(targets[targets != IGNORE_INDEX], minlength=len(self.labels))

    def check_label(self, label: int, number: int) -> int:
        if not isinstance(label, (int, np.integer)) or not 0 <= label < len(self.labels):
            allowed = f"0 to {len(self.labels) - 1} ({', '.join(self.labels)})"
            raise ValueError(f"label of example {number} is {label!r}; allowed is {allowed}")
        return int(label)

    def warn_of_cuts(self, cut: int, total: int) -> None:
        if cut:
            message = (
                f"{cut} of {total} texts are longer than {self.max_length} pieces; their ends are cut off"
            )
            warnings.warn(message, stacklevel=4)


def run_model(
    model: nn.Module, task: Task, rows: Sequence[Row], batch_size: int = 64
) -> Iterator[tuple[Row, object]]:
    """Each row with the model's output for it, in the order of the rows, in evaluation mode and without
    gradients.

    The output is `logits` (num_labels,) or (seq_len, num_labels), or the pair `start_logits`, `end_logits`
    (seq_len,); padding is taken off.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    # Rows of like length share a batch, so that little is spent on padding; the order is restored below.
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].input_ids))
    outputs: list = [None] * len(rows)
    with torch.no_grad():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = collate([rows[i] for i in chosen], task.tokenizer.pad_token_id, device)
            output = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
            for k, i in enumerate(chosen):
                length = len(rows[i].input_ids)
                if isinstance(task, QuestionAnswering):
                    outputs[i] = (output.start_logits[k, :length].cpu(), output.end_logits[k, :length].cpu())
                else:
                    logits = output.logits[k].cpu()
                    outputs[i] = logits if logits.dim() == 1 else logits[:length]
    model.train(was_training)
    yield from zip(rows, outputs, strict=True)


class TextClassification(Task):
    """One label for a text, or for a pair of texts. Source: the paper, section 4.1 and figure 4 (a, b)."""

    head = BertForSequenceClassification
    main_score = "accuracy"

    def encode(self, examples: Sequence[LabelledText]) -> list[Row]:
        """One row an example. Raises ValueError for an empty text and for a label out of range."""
        rows, cut = [], 0
        for number, example in enumerate(examples):
            check_text(example.text, f"text of example {number}")
            if example.text_pair is not None:
                check_text(example.text_pair, f"text_pair of example {number}")
            encoding = self.tokenizer.encode(example.text, example.text_pair)
            if len(encoding) > self.max_length:
                cut += 1
                encoding = self.tokenizer.encode(example.text, example.text_pair, self.max_length)
            label = self.check_label(example.label, number)
            rows.append(Row(encoding.input_ids, encoding.token_type_ids, label, number))
        self.warn_of_cuts(cut, len(examples))
        return rows

    def predict_proba(self, model: nn.Module, texts: Sequence) -> np.ndarray:
        """P(label) of each text: (n, num_labels), each row sums to 1.

        `texts` holds strings, (text, pair) tuples, or examples, whose labels are not looked at.
        """
        rows = self.encode([unlabelled(text) for text in texts])
        logits = [logits for _, logits in run_model(model, self, rows)]
        return torch.stack(logits).double().softmax(-1).numpy() if logits else np.empty((0, len(self.labels)))

    def predict(self, model: nn.Module, texts: Sequence) -> np.ndarray:
        """The most probable label of each text: (n,)."""
        return self.predict_proba(model, texts).argmax(axis=1)

    def score(self, model: nn.Module, examples: Sequence[LabelledText]) -> dict[str, float]:
        """`accuracy` and `macro_f1` (the mean of the F1 of each class: rare classes count as much)."""
        from sklearn.metrics import accuracy_score, f1_score

        truth, guess = [example.label for example in examples], self.predict(model, examples)
        numbers = range(len(self.labels))
        macro_f1 = f1_score(truth, guess, labels=numbers, average="macro", zero_division=0)
        return {"accuracy": float(accuracy_score(truth, guess)), "macro_f1": float(macro_f1)}


def unlabelled(text) -> LabelledText:
    """An example to predict: its label is of no matter."""
    if isinstance(text, str):
        return LabelledText(text, 0)
    if isinstance(text, tuple):
        return LabelledText(text[0], 0, text[1])
    return replace(text, label=0)


def check_text(text: str, name: str) -> None:
    """Raise ValueError if a text has nothing to read."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{name} is {text!r}; allowed is a text with at least one word")


class TokenClassification(Task):
    """One tag for each word, read at its first piece; other pieces carry no label.

    Source: the paper, section 5.3 and figure 4 (d).
    """

    head = BertForTokenClassification
    main_score = "entity_f1"

    def encode(self, examples: Sequence[TaggedWords]) -> list[Row]:
        """One row an example: label of the tag at the first piece of each word, -100 at all other pieces."""
        rows, cut = [], 0
        number_of = {name: number for number, name in enumerate(self.labels)}
        for number, example in enumerate(examples):
            if not example.words or len(example.words) != len(example.tags):
                counts = f"{len(example.words)} words and {len(example.tags)} tags"
                raise ValueError(
                    f"example {number} has {counts}; allowed is one tag a word, and a word at least"
                )
            ids, targets, origins = [], [], []
            for place, (word, tag) in enumerate(zip(example.words, example.tags, strict=True)):
                check_text(word, f"word {place} of example {number}")
                if tag not in number_of:
                    raise ValueError(
                        f"tag {place} of example {number} is {tag!r}; allowed is {', '.join(self.labels)}"
                    )
                # A word of nothing but unprintable characters leaves no piece; its tag still needs a place.
                pieces = self.tokenizer.tokenize(word) or ["[UNK]"]
                rest = len(pieces) - 1
                ids += self.tokenizer.convert_tokens_to_ids(pieces)
                targets += [number_of[tag]] + [IGNORE_INDEX] * rest
                origins += [place] + [-1] * rest
            room = self.max_length - 2
            cut += len(ids) > room
            input_ids = [self.tokenizer.cls_token_id, *ids[:room], self.tokenizer.sep_token_id]
            target = [IGNORE_INDEX, *targets[:room], IGNORE_INDEX]
            rows.append(Row(input_ids, [0] * len(input_ids), target, number, [-1, *origins[:room], -1]))
        self.warn_of_cuts(cut, len(examples))
        return rows

    def predict(self, model: nn.Module, sentences: Sequence) -> list[tuple[str, ...]]:
        """A tag for each word of each sentence; words that were cut off are tagged "O".

        `sentences` holds lists of words, or examples, whose tags are not looked at.
        """
        first = self.labels[0]
        words = [tuple(getattr(sentence, "words", sentence)) for sentence in sentences]
        rows = self.encode([TaggedWords(each, (first,) * len(each)) for each in words])
        outside = "O" if "O" in self.labels else first
        tags = [[outside] * len(each) for each in words]
        for row, logits in run_model(model, self, rows):
            for label, place in zip(logits.argmax(-1).tolist(), row.origins, strict=True):
                if place >= 0:
                    tags[row.example][place] = self.labels[label]
        return [tuple(each) for each in tags]

    def score(self, model: nn.Module, examples: Sequence[TaggedWords]) -> dict[str, float]:
        """`entity_f1`, `entity_precision`, `entity_recall` (whole entities) and `tag_accuracy` (single
        words).
        """
        guess = self.predict(model, examples)
        truth = [example.tags for example in examples]
        right = [a == b for t, g in zip(truth, guess, strict=True) for a, b in zip(t, g, strict=True)]
        return {**entity_scores(truth, guess), "tag_accuracy": float(np.mean(right))}


class QuestionAnswering(Task):
    """The answer is a stretch of the context, or nothing. Source: the paper, sections 4.2 and 4.3, figure 4
    (c).

    A row reads [CLS] question [SEP] context [SEP]. A context that does not fit is read in overlapping
    windows, each `stride` pieces further than the one before. A window that does not hold the whole answer is
    trained to point at [CLS], which means "not here". The best span of all windows wins, unless "not here"
    scores higher in the window that believes least in it.

    Args:
        stride: pieces from the start of one window to the start of the next.
        max_answer: longest answer in pieces.
    """

    head = BertForQuestionAnswering
    main_score = "span_f1"

    def __init__(
        self, tokenizer: WordPieceTokenizer, max_length: int = 128, stride: int = 64, max_answer: int = 30
    ):
        super().__init__(tokenizer, ("start", "end"), max_length)
        if stride < 1 or max_answer < 1:
            raise ValueError(f"stride is {stride} and max_answer is {max_answer}; both must be at least 1")
        self.stride, self.max_answer = stride, max_answer

    def loss(self, model: nn.Module, batch: dict[str, Tensor], weights: Tensor | None) -> Tensor:
        """Mean of the cross-entropies of the first and the last token of the answer, in nats."""
        if weights is not None:
            raise ValueError("balance is True; allowed is False here: a span has no classes to balance")
        start, end = batch["target"].unbind(-1)
        inputs = batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]
        return model(*inputs, start_positions=start, end_positions=end).loss

    def encode(self, examples: Sequence[Question]) -> list[Row]:
        """One row a window. The first accepted answer is the target.

        Raises ValueError for an empty question or context, for an answer that does not stand where it says,
        and for a question that leaves less than half of the row, or of the stride, to the context.
        """
        rows = []
        for number, example in enumerate(examples):
            check_text(example.question, f"question of example {number}")
            check_text(example.context, f"context of example {number}")
            for answer in example.answers:
                if (
                    not answer.text
                    or example.context[answer.start : answer.start + len(answer.text)] != answer.text
                ):
                    raise ValueError(
                        f"answer of example {number} is {answer.text!r} at character {answer.start}; "
                        f"there the context reads {example.context[answer.start :][:20]!r}"
                    )
            question = self.tokenizer.encode(example.question, add_special_tokens=False)
            context = self.tokenizer.encode(example.context, add_special_tokens=False)
            room = self.max_length - len(question) - 3
            if room < min(self.stride, self.max_length // 2):
                raise ValueError(
                    f"question of example {number} has {len(question)} pieces; that leaves {room} of"
                    f" max_length={self.max_length} for the context; allowed is"
                    f" {min(self.stride, self.max_length // 2)} or more"
                )
            first_last = token_span(context.offsets, example.answers[0]) if example.answers else None
            for start in range(0, max(1, len(context) - room + self.stride), self.stride):
                rows.append(self._window(number, question, context, start, room, first_last))
        return rows

    def _window(self, number, question, context, start, room, first_last) -> Row:
        """The row of context pieces `start` to `start + room`."""
        ids, offsets = context.input_ids[start : start + room], context.offsets[start : start + room]
        sep, before = self.tokenizer.sep_token_id, len(question) + 2
        input_ids = [self.tokenizer.cls_token_id, *question.input_ids, sep, *ids, sep]
        target = (0, 0)  # [CLS]: the answer is not in this window
        if first_last and start <= first_last[0] and first_last[1] < start + len(ids):
            target = (first_last[0] - start + before, first_last[1] - start + before)
        token_type_ids = [0] * before + [1] * (len(ids) + 1)
        return Row(input_ids, token_type_ids, target, number, [None] * before + offsets + [None])

    def predict(self, model: nn.Module, examples: Sequence[Question], threshold: float = 0.0) -> list[str]:
        """The answer to each question, cut from its context; "" where the model says that there is none.

        A larger `threshold` asks for a larger lead of the best span over "no answer".
        """
        best = [(-np.inf, "")] * len(examples)
        nothing = [np.inf] * len(examples)
        rows = self.encode([replace(example, answers=()) for example in examples])
        for row, (start, end) in run_model(model, self, rows):
            score, first, last = best_span(start, end, row.origins, self.max_answer)
            nothing[row.example] = min(nothing[row.example], float(start[0] + end[0]))
            if score > best[row.example][0]:
                span = slice(row.origins[first][0], row.origins[last][1])
                best[row.example] = (score, examples[row.example].context[span])
        return [
            text if score > none + threshold else ""
            for (score, text), none in zip(best, nothing, strict=True)
        ]

    def score(self, model: nn.Module, examples: Sequence[Question]) -> dict[str, float]:
        """`exact_match` and `span_f1`, each the best over the accepted answers; "" is right where there is
        none.
        """
        guess = self.predict(model, examples)
        accepted = [[answer.text for answer in example.answers] or [""] for example in examples]
        pairs = list(zip(guess, accepted, strict=True))
        return {
            "exact_match": float(np.mean([max(exact_match(g, a) for a in answers) for g, answers in pairs])),
            "span_f1": float(np.mean([max(span_f1(g, a) for a in answers) for g, answers in pairs])),
        }


def token_span(offsets: list[tuple[int, int]], answer) -> tuple[int, int]:
    """First and last token that share a character with the answer."""
    end = answer.start + len(answer.text)
    inside = [i for i, (left, right) in enumerate(offsets) if left < end and right > answer.start]
    if not inside:
        raise ValueError(f"answer is {answer.text!r}; allowed is a span that holds at least one piece")
    return inside[0], inside[-1]


def best_span(start: Tensor, end: Tensor, origins: list, max_answer: int) -> tuple[float, int, int]:
    """Score, first and last token of the best span within the context: the largest start[i] + end[j], with
    i <= j < i + max_answer, where `origins` is not None. `start` and `end` are (seq_len,)."""
    seq_len = len(origins)
    in_context = torch.tensor([origin is not None for origin in origins])
    scores = start[:, None] + end[None, :]  # (seq_len, seq_len): row i, column j
    allowed = torch.ones(seq_len, seq_len, dtype=torch.bool).triu().tril(max_answer - 1)
    allowed &= in_context[:, None] & in_context[None, :]
    best = int(scores.masked_fill(~allowed, -torch.inf).argmax())
    first, last = divmod(best, seq_len)
    return float(scores[first, last]), first, last


# ---------------------------------------------------------------------------------------- scores, written out


def entities_of(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """The entities that BIO tags spell: (type, first word, one past the last word).

    I-X goes on an entity of type X; where there is none to go on, it begins one, as the CoNLL evaluation has
    it.
    """
    found, kind, begin = set(), None, 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind is not None and not (prefix == "I" and name == kind):
            found.add((kind, begin, place))
            kind = None
        if prefix in ("B", "I") and kind is None:
            kind, begin = name, place
    return found


def entity_scores(truth: Sequence[Sequence[str]], guess: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 over whole entities: right is one whose type, beginning and end are right.

    Source: Tjong Kim Sang and De Meulder 2003 (CoNLL-2003), section 2.4.
    """
    pairs = [(entities_of(t), entities_of(g)) for t, g in zip(truth, guess, strict=True)]
    right = sum(len(t & g) for t, g in pairs)
    given, wanted = sum(len(g) for _, g in pairs), sum(len(t) for t, _ in pairs)
    return {
        "entity_f1": 2 * right / (given + wanted) if given + wanted else 1.0,
        "entity_precision": right / given if given else 0.0,
        "entity_recall": right / wanted if wanted else 0.0,
    }


def normalise_answer(text: str) -> list[str]:
    """The words of an answer without capitals, punctuation and articles, as SQuAD compares them.

    Source: Rajpurkar et al. 2016, section 6.1.
    """
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def exact_match(guess: str, answer: str) -> float:
    """1 if both are the same after `normalise_answer`, else 0."""
    return float(normalise_answer(guess) == normalise_answer(answer))


def span_f1(guess: str, answer: str) -> float:
    """F1 between the words of guess and answer, counted with repetitions; two empty ones agree."""
    guessed, wanted = normalise_answer(guess), normalise_answer(answer)
    if not guessed or not wanted:
        return float(guessed == wanted)
    shared = sum((Counter(guessed) & Counter(wanted)).values())
    return 2 * shared / (len(guessed) + len(wanted))


# ---------------------------------------------------------------------------------------- model and optimiser


def new_model(
    task: Task, pretrained: nn.Module | BertConfig, seed: int = 0, dropout: float = 0.1
) -> nn.Module:
    """The head of `task` on a copy of a pretrained encoder.

    Args:
        pretrained: a model whose `.bert` is copied, pooler included where the head has one; or a
            `BertConfig`, for an encoder of freshly drawn weights (training from scratch).
        seed: of the freshly drawn weights.
        dropout: of the new model, also in attention. Few examples want some even if pretraining used none.
    """
    from_scratch = isinstance(pretrained, BertConfig)
    config = replace(
        pretrained if from_scratch else pretrained.config,
        num_labels=len(task.labels),
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    if len(task.tokenizer) != config.vocab_size:
        sizes = f"{len(task.tokenizer)} pieces, the model {config.vocab_size}"
        raise ValueError(
            f"tokenizer has {sizes}; allowed is the tokenizer that the model was pretrained with"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = task.head(config)
    if not from_scratch:
        load_weights(model, pretrained.bert.state_dict(), allow_missing_heads=True)
    return model.eval()


def parts_of(model: nn.Module) -> list[tuple[str, list[nn.Parameter]]]:
    """The parameters from bottom to top: "embeddings", "layer 1" to "layer n", "pooler" if any, "head"."""
    bert = model.bert
    modules = [("embeddings", bert.embeddings)]
    modules += [(f"layer {k}", layer) for k, layer in enumerate(bert.encoder.layer, start=1)]
    parts = [(name, list(module.parameters())) for name, module in modules]
    if bert.pooler is not None:
        parts.append(("pooler", list(bert.pooler.parameters())))
    below = {id(p) for p in bert.parameters()}
    parts.append(("head", [p for p in model.parameters() if id(p) not in below]))
    return parts


def freeze(model: nn.Module, what: int | str) -> None:
    """Make `what` keep its weights (see `Settings.freeze`), and everything else learn.

    A frozen parameter has `requires_grad` False: no gradient is computed for it, no update reaches it.
    """
    layers = len(model.bert.encoder.layer)
    if isinstance(what, int) and what > layers:
        raise ValueError(f"freeze is {what}; allowed is at most {layers}, the number of layers")
    names = [name for name, _ in parts_of(model)]
    counts = {"nothing": 0, "embeddings": 1, "encoder": len(names) - 1}
    frozen = names[: counts[what] if isinstance(what, str) else 1 + what]
    for name, parameters in parts_of(model):
        for p in parameters:
            p.requires_grad_(name not in frozen)


def parameter_groups(model: nn.Module, settings: Settings) -> list[dict]:
    """Groups for AdamW: `share` is the learning rate of a part as a share of `settings.learning_rate`.

    Head and pooler have 1, the top layer `layer_decay`, each part below that times `layer_decay`. Biases and
    LayerNorms (the parameters with one axis) have no weight decay. Frozen parameters are left out.
    """
    steps_down = 0
    groups = []
    for name, parameters in reversed(parts_of(model)):
        steps_down += name not in ("head", "pooler")
        for wide in (True, False):
            members = [p for p in parameters if p.requires_grad and (p.dim() > 1) == wide]
            if members:
                decay = settings.weight_decay if wide else 0.0
                share = settings.layer_decay**steps_down
                groups.append({"params": members, "weight_decay": decay, "share": share, "name": name})
    return groups


def class_weights(counts: np.ndarray) -> Tensor:
    """Weight of each class, (num_labels,): n / (classes that occur * its count); 1 for one that does not
    occur.
    """
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)
    return torch.tensor(weights, dtype=torch.float32)


def check_classes(counts: np.ndarray, labels: Sequence[str]) -> None:
    """Refuse examples of one class."""
    present = np.flatnonzero(counts)
    if len(present) < 2:
        only = labels[present[0]] if len(present) else "none"
        raise ValueError(
            f"the examples hold one class only ({only}); allowed is two or more, or nothing is to learn"
        )


def warn_of_rare_classes(counts: np.ndarray, labels: Sequence[str]) -> None:
    """Say which classes make up less than `RARE` of the examples."""
    rare = [
        f"{name} ({count} of {counts.sum()})"
        for name, count in zip(labels, counts, strict=True)
        if count < RARE * counts.sum()
    ]
    if rare:
        advice = "accuracy hides what happens to them: look at macro_f1, or set balance=True"
        warnings.warn(f"rare classes: {', '.join(rare)}; {advice}", stacklevel=3)


# ------------------------------------------------------------------------------------------ the loop


@dataclass
class Result:
    """What `finetune` gives back. `model` holds the weights of `best_epoch`; epoch 0 is the model before
    training.

    `log` has one entry an epoch: `epoch`, `loss` (mean over the training examples as they came by; None at
    epoch 0), `dev_loss`, and the scores on dev.
    """

    model: nn.Module
    best_epoch: int
    best_score: float
    log: list[dict] = field(default_factory=list)
    interrupted: bool = False


def finetune(
    model: nn.Module,
    task: Task,
    train: Sequence,
    dev: Sequence,
    settings: Settings | None = None,
    progress: bool = True,
) -> Result:
    """Train `model`, in place, until `epochs` are over, or dev has not got better for `patience` epochs, or
    Ctrl-C.

    Whichever it was, the model ends with the weights that scored best on `dev`, the earliest of equals. The
    dev score of the best epoch is chosen from several, so it is a little too good: report the score on
    examples that chose nothing, the test part.

    Raises:
        ValueError: for examples that the task refuses, and for training examples of a single class.
    """
    from tqdm.auto import tqdm

    settings = settings or Settings()
    if not len(train) or not len(dev):
        raise ValueError(
            f"there are {len(train)} train and {len(dev)} dev examples; allowed is at least 1 each"
        )
    positions = model.config.max_position_embeddings
    if task.max_length > positions:
        raise ValueError(
            f"max_length is {task.max_length}; allowed is at most {positions}, the model's positions"
        )
    rows, dev_rows, weights = task.encode(train), task.encode(dev), None
    device = next(model.parameters()).device
    if not isinstance(task, QuestionAnswering):
        counts = task.label_counts(rows)
        check_classes(counts, task.labels)
        if (
            isinstance(task, TextClassification) and not settings.balance
        ):  # among tags, "O" is always the bulk
            warn_of_rare_classes(counts, task.labels)
        weights = class_weights(counts).to(device) if settings.balance else None
    elif settings.balance:
        raise ValueError("balance is True; allowed is False here: a span has no classes to balance")

    freeze(model, settings.freeze)
    optimizer = torch.optim.AdamW(parameter_groups(model, settings), lr=settings.learning_rate, fused=True)
    steps_an_epoch = -(-len(rows) // settings.batch_size)
    total = settings.epochs * steps_an_epoch
    result = Result(model, 0, -np.inf)
    best_weights, step, lowest_loss, last_gain = None, 0, np.inf, 0

    def evaluate(epoch: int, loss: float | None) -> None:
        nonlocal best_weights, lowest_loss, last_gain
        scores, dev_loss = task.score(model, dev), mean_loss(model, task, dev_rows, weights)
        result.log.append({"epoch": epoch, "loss": loss, "dev_loss": dev_loss, **scores})
        if dev_loss < lowest_loss:
            lowest_loss, last_gain = dev_loss, epoch
        if scores[task.main_score] > result.best_score:
            result.best_epoch, result.best_score, last_gain = epoch, scores[task.main_score], epoch
            best_weights = copy.deepcopy(model.state_dict())

    evaluate(0, None)
    with (
        finish_step_on_interrupt() as pressed,
        tqdm(total=total, desc="fine-tuning", disable=not progress) as bar,
        torch.random.fork_rng(devices=[]),
    ):
        torch.manual_seed(settings.seed)  # of dropout; order of the examples below
        generator = torch.Generator().manual_seed(settings.seed)
        for epoch in range(1, settings.epochs + 1):
            model.train()
            losses = []
            for chosen in torch.randperm(len(rows), generator=generator).split(settings.batch_size):
                batch = collate([rows[i] for i in chosen.tolist()], task.tokenizer.pad_token_id, device)
                share = schedule(step, total, settings.warmup_share)
                losses.append(update(model, task, optimizer, batch, weights, settings, share))
                step += 1
                bar.update()
                if pressed:
                    break
            model.eval()
            evaluate(epoch, float(np.mean(losses)))
            bar.set_postfix({task.main_score: f"{result.log[-1][task.main_score]:.3f}"})
            result.interrupted = bool(pressed)
            if pressed or epoch - last_gain >= settings.patience:
                break
    model.load_state_dict(best_weights)
    return result


@torch.no_grad()
def mean_loss(model: nn.Module, task: Task, rows: Sequence[Row], weights: Tensor | None = None) -> float:
    """Mean loss in nats over `rows`, in evaluation mode, batch by batch."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    batches = [rows[start : start + 64] for start in range(0, len(rows), 64)]
    losses = [task.loss(model, collate(b, task.tokenizer.pad_token_id, device), weights) for b in batches]
    model.train(was_training)
    return float(np.average([float(loss) for loss in losses], weights=[len(b) for b in batches]))


def update(model, task, optimizer, batch, weights, settings: Settings, share: float) -> float:
    """One step of the optimiser at a share of the learning rate. Returns the loss of the batch."""
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * group["share"] * share
    optimizer.zero_grad()
    loss = task.loss(model, batch, weights)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    optimizer.step()
    return float(loss.detach())


def schedule(step: int, total: int, warmup_share: float) -> float:
    """Share of the learning rate at a step, 0 to `total` - 1: up in a line, then down towards 0 in a line."""
    warmup = round(warmup_share * total)
    return (step + 1) / warmup if step < warmup else (total - step) / (total - warmup)


# ------------------------------------------------------------------------------------------ frozen features


def features(
    model: nn.Module, tokenizer, texts: Sequence[str], pool: str = "mean", batch_size: int = 64
) -> np.ndarray:
    """One vector a text from an encoder that learns nothing: (n, hidden_size).

    Args:
        model: any model with an encoder `.bert`.
        pool: "cls" takes the last hidden state of [CLS], "pooler" the pooler's output, "mean" the mean of the
            last hidden states over all tokens but padding.
    """
    if pool not in ("cls", "pooler", "mean"):
        raise ValueError(f'pool is {pool!r}; allowed is "cls", "pooler" or "mean"')
    was_training, vectors = model.training, []
    model.eval()
    positions = model.config.max_position_embeddings
    with torch.no_grad():
        for start in range(0, len(texts), batch_size):
            batch = tokenizer.batch(texts[start : start + batch_size], max_length=positions)
            ids, types, mask = (
                torch.tensor(batch[k]) for k in ("input_ids", "token_type_ids", "attention_mask")
            )
            output = model.bert(ids, mask, types)
            if pool == "pooler":
                vectors.append(output.pooler_output)
            elif pool == "cls":
                vectors.append(output.last_hidden_state[:, 0])
            else:
                total = (output.last_hidden_state * mask[:, :, None]).sum(dim=1)
                vectors.append(total / mask.sum(dim=1, keepdim=True))
    model.train(was_training)
    return torch.cat(vectors).numpy() if vectors else np.empty((0, model.config.hidden_size))


# ------------------------------------------------------------------------------------------ what a word adds


def occlusion(model: nn.Module, task: TextClassification, text: str, label: int) -> list[tuple[str, float]]:
    """What each word adds to P(label): the probability of the text minus that of the text without this word.

    Source: Li et al. 2016 (arXiv 1612.08220), "erasure". Words here are what stands between spaces.

    Raises:
        ValueError: for a text of fewer than two words: without its only word there is nothing to read.
    """
    words = text.split()
    if len(words) < 2:
        raise ValueError(f"text is {text!r}; allowed is one of two words or more")
    without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    whole, *others = task.predict_proba(model, [text, *without])[:, label]
    return [(word, float(whole - other)) for word, other in zip(words, others, strict=True)]


# ------------------------------------------------------------------------------------------ on disk


def save(folder: Path, model: nn.Module, task: Task) -> None:
    """Write a fine-tuned model as a folder that `load`, and the `transformers` library, can read."""
    folder = Path(folder)
    config = model.config.to_dict() | {
        "architectures": [type(model).__name__],
        "id2label": {str(number): name for number, name in enumerate(task.labels)},
        "label2id": {name: number for number, name in enumerate(task.labels)},
    }
    checkpoints.write_text(folder / checkpoints.CONFIG_FILE, json.dumps(config, indent=2) + "\n")
    tensors = {name: p.detach() for name, p in model.named_parameters()}
    checkpoints.write_tensors(folder / checkpoints.WEIGHTS_FILE, tensors, {"format": "pt"})
    task.tokenizer.save(folder / checkpoints.VOCAB_FILE)


def load(folder: Path) -> tuple[nn.Module, Task]:
    """The model, in evaluation mode, and the task of a folder that `save` wrote."""
    folder = Path(folder)
    if not (folder / checkpoints.CONFIG_FILE).is_file():
        raise ValueError(f"folder is {str(folder)!r}; allowed is one that `finetuning.save` wrote")
    config = json.loads((folder / checkpoints.CONFIG_FILE).read_text(encoding="utf-8"))
    kinds = {
        kind.head.__name__: kind for kind in (TextClassification, TokenClassification, QuestionAnswering)
    }
    name = config.get("architectures", ["nothing"])[0]
    if name not in kinds:
        raise ValueError(f"{folder} holds a {name}; allowed is one of {', '.join(kinds)}")
    tokenizer = WordPieceTokenizer.from_file(folder / checkpoints.VOCAB_FILE)
    length = config["max_position_embeddings"]
    if kinds[name] is QuestionAnswering:
        task: Task = QuestionAnswering(tokenizer, max_length=length)
    else:
        labels = [config["id2label"][str(number)] for number in range(len(config["id2label"]))]
        task = kinds[name](tokenizer, labels, max_length=length)
    model = task.head(BertConfig.from_dict(config))
    load_weights(model, checkpoints.read_tensors(folder / checkpoints.WEIGHTS_FILE)[0])
    return model.eval(), task
