"""The tasks of fine-tuning: how examples become rows, and what a head's logits say about them.

| task | head | one label for | score |
|---|---|---|---|
| `TextClassification` | pooler, dropout, Linear | a text or a pair of texts | accuracy, macro F1 |
| `TokenClassification` | dropout, Linear | a word, read at its first piece | entity F1 |
| `QuestionAnswering` | Linear, two scores a token | the ends of a span | exact match, span F1 |

Examples are those of `toy_tasks`: `LabelledText`, `TaggedWords` and `Question`; whoever has lists makes them
with `labelled(texts, labels)`. "The paper" is Devlin et al. 2018 (arXiv 1810.04805).
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.bert import (
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    TaskModel,
)
from course_utils.checks import IGNORE_INDEX, check_at_least, refusal
from course_utils.hints import Count, Natural, check_counts, check_some, hold_to_hints
from course_utils.metrics import entity_scores, exact_match, span_f1
from course_utils.toy.tasks import Answer, LabelledText, Question, TaggedWords
from course_utils.wordpiece import Encoding, WordPieceTokenizer

RARE = 0.1  # a class with a smaller share of the examples than this is called rare
Counts = npt.NDArray[np.int64]


# ---- Rows and batches ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One encoded example, or one window of it.

    `target` is what the head must say: a label, or the (first, last) token of an answer. `example` is the
    number of the example. For questions `origins` leads back to it: the (start, end) characters of the
    context for each token (None: none).
    """

    input_ids: list[int]
    token_type_ids: list[int]
    target: Any
    example: int
    origins: Any = None

    def padded_target(self, seq_len: int) -> Any:
        """The target in a batch whose rows have `seq_len` tokens."""
        return self.target


@dataclass(frozen=True)
class TaggedRow(Row):
    """A row with a label for each token (-100: none); `origins` is the word that each begins (-1: none)."""

    def padded_target(self, seq_len: int) -> list[int]:
        return [*self.target, *[IGNORE_INDEX] * (seq_len - len(self.target))]


def collate(
    rows: Annotated[Sequence[Row], check_some], pad_token_id: Natural, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Pad rows to the longest: `input_ids`, `token_type_ids`, `attention_mask` (batch, seq_len), `target`."""
    seq_len = max(len(row.input_ids) for row in rows)

    def padded(values: list[int], filler: int) -> list[int]:
        return values + [filler] * (seq_len - len(values))

    columns = {
        "input_ids": [padded(row.input_ids, pad_token_id) for row in rows],
        "token_type_ids": [padded(row.token_type_ids, 0) for row in rows],
        "attention_mask": [padded([1] * len(row.input_ids), 0) for row in rows],
        "target": [row.padded_target(seq_len) for row in rows],
    }
    return {name: torch.tensor(values, device=device) for name, values in columns.items()}


def labelled(
    texts: Sequence[str], labels: Sequence[int], pairs: Sequence[str] | None = None
) -> list[LabelledText]:
    """Examples from lists: texts, their labels, and (for tasks of two texts) the second texts."""
    seconds = [None] * len(texts) if pairs is None else pairs
    if not len(texts) == len(labels) == len(seconds):
        counts = f"{len(texts)} texts, {len(labels)} labels and {len(seconds)} pairs"
        raise refusal("texts, labels and pairs", "lists of one length", counts)
    return [
        LabelledText(text, int(label), second)
        for text, label, second in zip(texts, labels, seconds, strict=True)
    ]


# ---- Tasks ---------------------------------------------------------------------------------------------


class Task:
    """What a head needs to know about its data. Subclasses say how to encode, to weigh a loss, to predict, to
    score.

    Args:
        tokenizer: that of the pretrained model.
        labels: the names of the classes, in the order of their numbers.
        max_length: longest row in pieces; `new_model` and `finetune` hold it to the positions of the model.
    """

    head: type[TaskModel]
    main_score: str

    def __init__(self, tokenizer: WordPieceTokenizer, labels: Sequence[str], max_length: int = 128):
        if isinstance(labels, str) or len(labels) < 2 or len(set(labels)) < len(labels):
            raise refusal("labels", "a list of two different names or more", repr(labels))
        check_at_least("max_length", max_length, 8)
        self.tokenizer, self.labels, self.max_length = tokenizer, tuple(labels), max_length

    @classmethod
    def restore(cls, tokenizer: WordPieceTokenizer, labels: Sequence[str], max_length: int) -> "Task":
        """The task of a model that was saved."""
        return cls(tokenizer, labels, max_length)

    def encode(self, examples: Sequence[Any]) -> list[Row]:
        """The rows of examples; raises ValueError for an example that cannot be read."""
        raise NotImplementedError

    def score(self, model: nn.Module, examples: Sequence[Any]) -> dict[str, float]:
        """Scores from 0 to 1, `main_score` among them."""
        raise NotImplementedError

    def outputs(self, output: Any, row: int, length: int) -> Any:
        """What the model said about one row of a batch, without its padding."""
        return output.logits[row].cpu()

    def loss(self, model: nn.Module, batch: dict[str, Tensor], weights: Tensor | None) -> Tensor:
        """Mean cross-entropy in nats; with `weights` (num_labels,) a weighted mean over the labels."""
        logits: Tensor = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]).logits
        return F.cross_entropy(
            logits.flatten(0, -2), batch["target"].flatten(), weights, ignore_index=IGNORE_INDEX
        )

    def label_counts(self, rows: Annotated[Sequence[Row], check_some]) -> Counts:
        """How often each label occurs as a target: (num_labels,)."""
        targets = np.concatenate([np.atleast_1d(row.target) for row in rows])
        return np.bincount(targets[targets != IGNORE_INDEX], minlength=len(self.labels))

    def loss_weights(self, rows: Sequence[Row], balance: bool) -> Tensor | None:
        """Weights of the classes for `loss`, if they are to be balanced; refuses rows of a single class."""
        counts = self.label_counts(rows)
        check_classes(counts, self.labels)
        return class_weights(counts) if balance else None

    def check_label(self, label: int, number: int) -> int:
        if not isinstance(label, (int, np.integer)) or not 0 <= label < len(self.labels):
            allowed = f"0 to {len(self.labels) - 1} ({', '.join(self.labels)})"
            raise refusal(f"label of example {number}", allowed, repr(label))
        return int(label)

    def warn_of_cuts(self, cut: int, total: int) -> None:
        if cut:
            longer = f"{cut} of {total} texts are longer than {self.max_length} pieces"
            warnings.warn(f"{longer}; their ends are cut off", stacklevel=4)


def run_model(
    model: nn.Module, task: Task, rows: Sequence[Row], batch_size: Count = 64
) -> Iterator[tuple[Row, Any]]:
    """Each row with the model's output for it, in the order of the rows, without dropout and gradients.

    The output is `logits` (num_labels,) or (seq_len, num_labels), or the pair `start_logits`, `end_logits`
    (seq_len,); padding is taken off.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    # Rows of like length share a batch, so that little is spent on padding; the order is restored below.
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].input_ids))
    outputs: list[Any] = [None] * len(rows)
    with torch.no_grad():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = collate([rows[i] for i in chosen], task.tokenizer.pad_token_id, device)
            output = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
            for k, i in enumerate(chosen):
                outputs[i] = task.outputs(output, k, len(rows[i].input_ids))
    model.train(was_training)
    yield from zip(rows, outputs, strict=True)


class TextClassification(Task):
    """One label for a text, or for a pair of texts. Source: the paper, section 4.1 and figure 4 (a, b)."""

    head = BertForSequenceClassification
    main_score = "accuracy"

    def loss_weights(self, rows: Sequence[Row], balance: bool) -> Tensor | None:
        weights = super().loss_weights(rows, balance)
        if not balance:  # among tags this would be idle: there "O" is always the bulk
            warn_of_rare_classes(self.label_counts(rows), self.labels)
        return weights

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

    def predict_proba(self, model: nn.Module, texts: Sequence[Any]) -> npt.NDArray[np.float64]:
        """P(label) of each text: (n, num_labels), each row sums to 1.

        `texts` holds strings, (text, pair) tuples, or examples, whose labels are not looked at.
        """
        rows = self.encode([unlabelled(text) for text in texts])
        logits = [logits for _, logits in run_model(model, self, rows)]
        return torch.stack(logits).double().softmax(-1).numpy() if logits else np.empty((0, len(self.labels)))

    def predict(self, model: nn.Module, texts: Sequence[Any]) -> Counts:
        """The most probable label of each text: (n,)."""
        return self.predict_proba(model, texts).argmax(axis=1)

    def score(
        self, model: nn.Module, examples: Annotated[Sequence[LabelledText], check_some]
    ) -> dict[str, float]:
        """`accuracy` and `macro_f1` (the mean of the F1 of each class: rare classes count as much)."""
        from sklearn.metrics import accuracy_score, f1_score

        truth, guess = [example.label for example in examples], self.predict(model, examples)
        numbers = range(len(self.labels))
        macro_f1 = f1_score(truth, guess, labels=numbers, average="macro", zero_division=0)
        return {"accuracy": float(accuracy_score(truth, guess)), "macro_f1": float(macro_f1)}


def unlabelled(text: str | tuple[str, str] | LabelledText) -> LabelledText:
    """An example to predict, from a text, a pair or an example: its label is of no matter."""
    if isinstance(text, str):
        return LabelledText(text, 0)
    if isinstance(text, tuple):
        return LabelledText(text[0], 0, text[1])
    return replace(text, label=0)


def check_text(text: str, name: str) -> None:
    """Raise ValueError if a text has nothing to read."""
    if not isinstance(text, str) or not text.strip():
        raise refusal(name, "a text with at least one word", repr(text))


class TokenClassification(Task):
    """One tag for each word, read at its first piece; other pieces carry no label.

    Source: the paper, section 5.3 and figure 4 (d).
    """

    head = BertForTokenClassification
    main_score = "entity_f1"

    def outputs(self, output: Any, row: int, length: int) -> Tensor:
        logits: Tensor = output.logits[row, :length].cpu()
        return logits

    def encode(self, examples: Sequence[TaggedWords]) -> list[Row]:
        """One row an example: label of the tag at the first piece of each word, -100 at all other pieces."""
        rows: list[Row] = []
        cut = 0
        number_of = {name: number for number, name in enumerate(self.labels)}
        for number, example in enumerate(examples):
            if not example.words or len(example.words) != len(example.tags):
                counts = f"{len(example.words)} words and {len(example.tags)} tags"
                raise refusal(f"example {number}", "one tag a word, and a word at least", counts)
            ids: list[int] = []
            targets: list[int] = []
            origins: list[int] = []
            for place, (word, tag) in enumerate(zip(example.words, example.tags, strict=True)):
                check_text(word, f"word {place} of example {number}")
                if tag not in number_of:
                    raise refusal(f"tag {place} of example {number}", ", ".join(self.labels), repr(tag))
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
            origins = [-1, *origins[:room], -1]
            rows.append(TaggedRow(input_ids, [0] * len(input_ids), target, number, origins))
        self.warn_of_cuts(cut, len(examples))
        return rows

    def predict(self, model: nn.Module, sentences: Sequence[Any]) -> list[tuple[str, ...]]:
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

    def score(
        self, model: nn.Module, examples: Annotated[Sequence[TaggedWords], check_some]
    ) -> dict[str, float]:
        """`entity_f1`, `entity_precision`, `entity_recall` (whole entities) and `tag_accuracy` (words)."""
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
        self, tokenizer: WordPieceTokenizer, max_length: int = 128, stride: Count = 64, max_answer: Count = 30
    ):
        super().__init__(tokenizer, ("start", "end"), max_length)
        self.stride, self.max_answer = stride, max_answer

    @classmethod
    def restore(cls, tokenizer: WordPieceTokenizer, labels: Sequence[str], max_length: int) -> "Task":
        return cls(tokenizer, max_length)

    def outputs(self, output: Any, row: int, length: int) -> tuple[Tensor, Tensor]:
        return output.start_logits[row, :length].cpu(), output.end_logits[row, :length].cpu()

    def loss_weights(self, rows: Sequence[Row], balance: bool) -> None:
        if balance:
            raise refusal("balance", "False", balance, "a span has no classes to balance")

    def loss(self, model: nn.Module, batch: dict[str, Tensor], weights: Tensor | None = None) -> Tensor:
        """Mean of the cross-entropies of the first and the last token of the answer, in nats."""
        start, end = batch["target"].unbind(-1)
        inputs = batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]
        loss: Tensor = model(*inputs, start_positions=start, end_positions=end).loss
        return loss

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
                there = example.context[answer.start : answer.start + len(answer.text)]
                if not answer.text or there != answer.text:
                    where = f"what stands at character {answer.start} of its context, {there!r}"
                    raise refusal(f"answer of example {number}", where, repr(answer.text))
            question = self.tokenizer.encode(example.question, add_special_tokens=False)
            context = self.tokenizer.encode(example.context, add_special_tokens=False)
            room = self.max_length - len(question) - 3
            if room < (needed := min(self.stride, self.max_length // 2)):
                leave = f"to leave {needed} of max_length={self.max_length} pieces to the context"
                got = f"{len(question)} pieces, which leave {room}"
                raise refusal(f"question of example {number}", leave, got)
            first_last = token_span(context.offsets, example.answers[0]) if example.answers else None
            for start in range(0, max(1, len(context) - room + self.stride), self.stride):
                rows.append(self._window(number, question, context, start, room, first_last))
        return rows

    def _window(
        self,
        number: int,
        question: Encoding,
        context: Encoding,
        start: int,
        room: int,
        first_last: tuple[int, int] | None,
    ) -> Row:
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
        best = [(-math.inf, "")] * len(examples)
        nothing = [math.inf] * len(examples)
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

    def score(
        self, model: nn.Module, examples: Annotated[Sequence[Question], check_some]
    ) -> dict[str, float]:
        """`exact_match` and `span_f1`, each the best over the accepted answers ("" where there is none)."""
        guess = self.predict(model, examples)
        accepted = [[answer.text for answer in example.answers] or [""] for example in examples]
        pairs = list(zip(guess, accepted, strict=True))
        return {
            "exact_match": float(np.mean([max(exact_match(g, a) for a in answers) for g, answers in pairs])),
            "span_f1": float(np.mean([max(span_f1(g, a) for a in answers) for g, answers in pairs])),
        }


def token_span(offsets: list[tuple[int, int]], answer: Answer) -> tuple[int, int]:
    """First and last token that share a character with the answer."""
    end = answer.start + len(answer.text)
    inside = [i for i, (left, right) in enumerate(offsets) if left < end and right > answer.start]
    if not inside:
        raise refusal("answer", "a span that holds at least one piece", repr(answer.text))
    return inside[0], inside[-1]


def check_context(name: str, origins: Sequence[Any]) -> None:
    """Some token comes from the context."""
    if all(origin is None for origin in origins):
        raise refusal(name, "at least one token of the context", "none")


def best_span(
    start: Tensor, end: Tensor, origins: Annotated[Sequence[Any], check_context], max_answer: Count
) -> tuple[float, int, int]:
    """Score, first and last token of the best span within the context: the largest start[i] + end[j], with
    i <= j < i + max_answer, where `origins` is not None. `start` and `end` are (seq_len,).
    """
    seq_len = len(origins)
    in_context = torch.tensor([origin is not None for origin in origins])
    scores = start[:, None] + end[None, :]  # (seq_len, seq_len): row i, column j
    allowed = torch.ones(seq_len, seq_len, dtype=torch.bool).triu().tril(max_answer - 1)
    allowed &= in_context[:, None] & in_context[None, :]
    best = int(scores.masked_fill(~allowed, -torch.inf).argmax())
    first, last = divmod(best, seq_len)
    return float(scores[first, last]), first, last


# ---- Classes and their weights -------------------------------------------------------------------------


def class_weights(counts: Annotated[Counts, check_counts]) -> Tensor:
    """Weight of each class, (num_labels,): n / (classes that occur * its count); 1 for one that does not."""
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)
    return torch.tensor(weights, dtype=torch.float32)


def check_classes(counts: Counts, labels: Sequence[str]) -> None:
    """Refuse examples of one class."""
    present = np.flatnonzero(counts)
    if len(present) < 2:
        only = f"one class only ({labels[present[0]]})" if len(present) else "none"
        raise refusal("examples", "two classes or more", only, "or nothing is to be learnt")


def warn_of_rare_classes(counts: Counts, labels: Sequence[str]) -> None:
    """Say which classes make up less than `RARE` of the examples."""
    rare = [
        f"{name} ({count} of {counts.sum()})"
        for name, count in zip(labels, counts, strict=True)
        if count < RARE * counts.sum()
    ]
    if rare:
        advice = "accuracy hides what happens to them: look at macro_f1, or set balance=True"
        warnings.warn(f"rare classes: {', '.join(rare)}; {advice}", stacklevel=4)


hold_to_hints(globals())
