"""The tasks of fine-tuning: how examples become rows, and what a head's logits say about them.

| task | head | one label for | score |
|---|---|---|---|
| `TextClassification` | pooler, dropout, Linear | a text or a pair of texts | accuracy, macro F1 |
| `TokenClassification` | dropout, Linear | a word, read at its first piece | entity F1, or tag accuracy |
| `QuestionAnswering` | Linear, two scores a token | the ends of a span | exact match, span F1 |

Examples are those of `toy_tasks`, `LabelledText`, `TaggedWords` and `Question`, or tuples of their fields, as
(text, label); whoever has lists joins them with `labelled(texts, labels)`. "The paper" is Devlin et al. 2018
(arXiv 1810.04805).

Long, because the three tasks answer the same questions, and are read beside one another.
"""

import math
import operator
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral
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
from course_utils.metrics import entity_scores, exact_match, span_f1, spell_entities
from course_utils.toy.tasks import Answer, LabelledText, Question, TaggedWords
from course_utils.wordpiece import Encoding, WordPieceTokenizer

RARE = 0.1  # a class with a smaller share of the examples than this is called rare
Counts = npt.NDArray[np.int64]
Said = Iterable[tuple["Row", Any]]  # rows, each with the model's output for it: what `run_model` gives


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


def batches_by_length(
    rows: Sequence[Row], pad_token_id: int, device: torch.device | str, batch_size: int = 64
) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
    """Which rows a batch holds, and the batch. Rows of like length share one: little is spent on padding."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].input_ids))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        yield chosen, collate([rows[i] for i in chosen], pad_token_id, device)


def labelled(
    texts: Sequence[str], labels: Sequence[Any], pairs: Sequence[str] | None = None
) -> list[LabelledText]:
    """Examples from lists: texts, their labels (names of classes, or their numbers), and (for tasks of two
    texts) the second texts.
    """
    seconds = [None] * len(texts) if pairs is None else pairs
    if not len(texts) == len(labels) == len(seconds):
        counts = f"{len(texts)} texts, {len(labels)} labels and {len(seconds)} pairs"
        raise refusal("texts, labels and pairs", "lists of one length", counts)
    kinds = [name_or_number(label, number) for number, label in enumerate(labels)]
    return [LabelledText(*example) for example in zip(texts, kinds, seconds, strict=True)]


def name_or_number(label: Any, number: Natural) -> int | str:
    """The label of example `number`, a name or any kind of whole number; a score as 0.9 is no class."""
    try:
        return label if isinstance(label, str) else operator.index(label)
    except TypeError:
        expected = "the name of a class, or its number"
        raise refusal(f"label of example {number}", expected, repr(label)) from None


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
    example: type
    main_score: str

    def __init__(self, tokenizer: WordPieceTokenizer, labels: Sequence[str], max_length: int = 128):
        are_names = not isinstance(labels, str) and all(isinstance(label, str) for label in labels)
        if not are_names or len(labels) < 2 or len(set(labels)) < len(labels):
            raise refusal("labels", "a list of two different names or more", repr(labels))
        check_at_least("max_length", max_length, 8)
        self.tokenizer, self.labels, self.max_length = tokenizer, tuple(labels), max_length

    @property
    def settings(self) -> dict[str, Any]:
        """What the task was made with, beside tokenizer and labels; `restore` takes it back."""
        return {"max_length": self.max_length}

    @classmethod
    def restore(
        cls, tokenizer: WordPieceTokenizer, labels: Sequence[str], settings: dict[str, Any]
    ) -> "Task":
        """The task of a model that was saved."""
        return cls(tokenizer, labels, **settings)

    def encode(self, examples: Sequence[Any]) -> list[Row]:
        """The rows of examples; raises ValueError for an example that cannot be read."""
        raise NotImplementedError

    def scores(self, examples: Sequence[Any], said: Said) -> dict[str, float]:
        """Scores from 0 to 1, `main_score` among them, of what a model said about the rows of examples."""
        raise NotImplementedError

    def score(self, model: nn.Module, examples: Sequence[Any]) -> dict[str, float]:
        """The scores of a model on examples."""
        if not len(examples):
            raise refusal("examples", "at least 1", 0)
        return self.scores(examples, run_model(model, self, self.encode(examples)))

    def evaluate(
        self,
        model: nn.Module,
        examples: Sequence[Any],
        rows: Sequence[Row],
        weights: Tensor | None = None,
    ) -> tuple[dict[str, float], float]:
        """The scores and the mean loss in nats, from one pass over the rows of the examples."""
        said = list(run_model(model, self, rows))
        return self.scores(examples, said), self.mean_loss(said, weights)

    def mean_loss(self, said: Said, weights: Tensor | None = None) -> float:
        """What `loss` would be if all rows were one batch."""
        rows, outputs = zip(*said, strict=True)
        logits = torch.cat([torch.atleast_2d(output) for output in outputs])
        targets = torch.from_numpy(np.concatenate([np.atleast_1d(row.target) for row in rows]))
        weights = None if weights is None else weights.to(logits)
        return float(F.cross_entropy(logits, targets, weights, ignore_index=IGNORE_INDEX))

    def as_examples(self, examples: Iterable[Any]) -> list[Any]:
        """Examples as they are, or from tuples of their fields; refuses, with its number, anything else."""
        names, found = [each.name for each in fields(self.example)], []
        for number, each in enumerate(examples):
            if isinstance(each, tuple | list) and 2 <= len(each) <= len(names):
                each = self.example(*each)
            if not isinstance(each, self.example):
                kind = f"a {self.example.__name__} or a tuple of its fields ({', '.join(names)})"
                raise refusal(f"example {number}", kind, repr(each))
            found.append(each)
        return found

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

    def number_of(self, label: Any, number: Natural) -> int:
        """The number of the class of example `number`, from its name or from itself."""
        label = name_or_number(label, number)
        if label in self.labels:
            return self.labels.index(str(label))
        if isinstance(label, str) or not 0 <= label < len(self.labels):
            allowed = f"0 to {len(self.labels) - 1} ({', '.join(self.labels)})"
            raise refusal(f"label of example {number}", allowed, repr(label))
        return label

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
    outputs: list[Any] = [None] * len(rows)
    with torch.no_grad():
        for chosen, batch in batches_by_length(rows, task.tokenizer.pad_token_id, device, batch_size):
            output = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
            for k, i in enumerate(chosen):
                outputs[i] = task.outputs(output, k, len(rows[i].input_ids))
    model.train(was_training)
    yield from zip(rows, outputs, strict=True)


class TextClassification(Task):
    """One label for a text, or for a pair of texts. Source: the paper, section 4.1 and figure 4 (a, b)."""

    head = BertForSequenceClassification
    example = LabelledText
    main_score = "accuracy"

    def loss_weights(self, rows: Sequence[Row], balance: bool) -> Tensor | None:
        weights = super().loss_weights(rows, balance)
        if not balance:  # among tags this would be idle: there "O" is always the bulk
            warn_of_rare_classes(self.label_counts(rows), self.labels)
        return weights

    def encode(self, examples: Sequence[Any]) -> list[Row]:
        """One row an example. Raises ValueError for an empty text and for a label out of range."""
        rows, cut = [], 0
        for number, example in enumerate(self.as_examples(examples)):
            parts = ("text",) if example.text_pair is None else ("text", "text_pair")
            for part in parts:
                check_text(getattr(example, part), f"{part} of example {number}")
            encoding = self.tokenizer.encode(example.text, example.text_pair)
            for segment, part in enumerate(parts):  # [CLS] and one or two [SEP] stand beside the pieces
                pieces = encoding.token_type_ids.count(segment) - (2 - segment)
                check_text(getattr(example, part), f"{part} of example {number}", pieces)
            if len(encoding) > self.max_length:
                cut += 1
                encoding = self.tokenizer.encode(example.text, example.text_pair, self.max_length)
            label = self.number_of(example.label, number)
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

    def scores(self, examples: Sequence[Any], said: Said) -> dict[str, float]:
        """`accuracy` and `macro_f1` (the mean of the F1 of each class that occurs: rare ones count alike)."""
        from sklearn.metrics import accuracy_score, f1_score

        truth, guess = zip(*((row.target, int(logits.argmax())) for row, logits in said), strict=True)
        macro_f1 = f1_score(truth, guess, average="macro", zero_division=0)
        return {"accuracy": float(accuracy_score(truth, guess)), "macro_f1": float(macro_f1)}


def unlabelled(text: str | tuple[str, str] | LabelledText) -> LabelledText:
    """An example to predict, from a text, a pair or an example: its label is of no matter."""
    if isinstance(text, str):
        return LabelledText(text, 0)
    if isinstance(text, tuple):
        return LabelledText(text[0], 0, text[1])
    return replace(text, label=0)


def check_text(text: str, name: str, pieces: int = 1) -> None:
    """Raise ValueError if a text has nothing to read: it may be all spaces, or leave no piece, as U+200B."""
    if not isinstance(text, str) or not text.strip() or not pieces:
        raise refusal(name, "a text with at least one word", repr(text))


def check_words(words: Any, name: str) -> None:
    """Raise ValueError unless these are strings in a list: one string would be read letter by letter."""
    if isinstance(words, str | Mapping) or not isinstance(words, Collection):
        raise refusal(name, "a list of strings", repr(words))


class TokenClassification(Task):
    """One tag for each word, read at its first piece; other pieces carry no label.

    Tags of entities (B-PER, I-PER, O, also with the marks of BIOES and BILOU) are scored by whole entities,
    plain ones (NOUN, VERB) word by word. Source: the paper, section 5.3 and figure 4 (d).
    """

    head = BertForTokenClassification
    example = TaggedWords

    def __init__(self, tokenizer: WordPieceTokenizer, labels: Sequence[str], max_length: int = 128):
        super().__init__(tokenizer, labels, max_length)
        self.has_entities = spell_entities(self.labels)
        self.main_score = "entity_f1" if self.has_entities else "tag_accuracy"

    def outputs(self, output: Any, row: int, length: int) -> Tensor:
        logits: Tensor = output.logits[row, :length].cpu()
        return logits

    def encode(self, examples: Sequence[Any]) -> list[Row]:
        """One row an example: label of the tag at the first piece of each word, -100 at all other pieces."""
        rows: list[Row] = []
        cut = 0
        number_of = {name: number for number, name in enumerate(self.labels)}
        for number, example in enumerate(self.as_examples(examples)):
            check_words(example.words, f"words of example {number}")
            check_words(example.tags, f"tags of example {number}")
            if not len(example.words) or len(example.words) != len(example.tags):
                counts = f"{len(example.words)} words and {len(example.tags)} tags"
                raise refusal(f"example {number}", "one tag a word, and a word at least", counts)
            ids: list[int] = []
            targets: list[int] = []
            origins: list[int] = []
            for place, (word, tag) in enumerate(zip(example.words, example.tags, strict=True)):
                check_text(word, f"word {place} of example {number}")
                if not isinstance(tag, str) or tag not in number_of:
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
        """A tag for each word of each sentence; words that were cut off have "O", or "" if that is no label.

        `sentences` holds lists of words, or examples, whose tags are not looked at.
        """
        examples = []
        for number, sentence in enumerate(sentences):
            words = getattr(sentence, "words", sentence)
            check_words(words, f"words of example {number}")
            examples.append(TaggedWords(tuple(words), self.labels[:1] * len(words)))
        return self.read(examples, run_model(model, self, self.encode(examples)))

    def read(self, examples: Sequence[Any], said: Said) -> list[tuple[str, ...]]:
        """The tags of the words of examples, from what a model said about their rows."""
        tags = [["O" if "O" in self.labels else ""] * len(example.words) for example in examples]
        for row, logits in said:
            for label, place in zip(logits.argmax(-1).tolist(), row.origins, strict=True):
                if place >= 0:
                    tags[row.example][place] = self.labels[label]
        return [tuple(each) for each in tags]

    def scores(self, examples: Sequence[Any], said: Said) -> dict[str, float]:
        """`tag_accuracy` (words), and for tags of entities `entity_f1`, `entity_precision`, `entity_recall`
        (whole entities).
        """
        examples = self.as_examples(examples)
        truth, guess = [example.tags for example in examples], self.read(examples, said)
        right = [a == b for t, g in zip(truth, guess, strict=True) for a, b in zip(t, g, strict=True)]
        found = entity_scores(truth, guess) if self.has_entities else {}
        return {**found, "tag_accuracy": float(np.mean(right))}


class QuestionAnswering(Task):
    """The answer is a stretch of the context, or nothing. Source: the paper, sections 4.2 and 4.3, figure 4
    (c).

    A row reads [CLS] question [SEP] context [SEP]. A context that does not fit is read in overlapping
    windows, each `stride` pieces further than the one before. A window that does not hold the whole answer is
    trained to point at [CLS], which means "not here". The best span of all windows wins, unless "not here"
    scores higher in the window that believes least in it.

    Args:
        stride: pieces from the start of one window to the start of the next; None is half of `max_length`.
        max_answer: longest answer in pieces.
    """

    head = BertForQuestionAnswering
    example = Question
    main_score = "span_f1"

    def __init__(
        self,
        tokenizer: WordPieceTokenizer,
        max_length: int = 128,
        stride: Count | None = None,
        max_answer: Count = 30,
    ):
        super().__init__(tokenizer, ("start", "end"), max_length)
        stride = max_length // 2 if stride is None else stride
        self.stride, self.max_answer = stride, max_answer

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"stride": self.stride, "max_answer": self.max_answer}

    @classmethod
    def restore(
        cls, tokenizer: WordPieceTokenizer, labels: Sequence[str], settings: dict[str, Any]
    ) -> "Task":
        return cls(tokenizer, **settings)

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

    def mean_loss(self, said: Said, weights: Tensor | None = None) -> float:
        """The same of rows without their padding, which takes no share of the probability there."""
        losses = [
            F.cross_entropy(scores, torch.tensor(place))
            for row, ends in said
            for scores, place in zip(ends, row.target, strict=True)
        ]
        return float(torch.stack(losses).mean())

    def encode(self, examples: Sequence[Any]) -> list[Row]:
        """One row a window. The first accepted answer is the target.

        Raises ValueError for an empty question or context, for an answer that does not stand where it says,
        and for a question that leaves so little of the row to the context that its windows, a stride apart,
        would have gaps between them.
        """
        rows = []
        for number, example in enumerate(self.as_examples(examples)):
            for part in ("question", "context"):
                check_text(getattr(example, part), f"{part} of example {number}")
            check_answers(example.answers, f"answers of example {number}")
            for answer in example.answers:
                there = example.context[answer.start : answer.start + len(answer.text)]
                if not answer.text or there != answer.text:
                    where = f"what stands at character {answer.start} of its context, {there!r}"
                    raise refusal(f"answer of example {number}", where, repr(answer.text))
            question = self.tokenizer.encode(example.question, add_special_tokens=False)
            context = self.tokenizer.encode(example.context, add_special_tokens=False)
            for part, encoding in (("question", question), ("context", context)):
                check_text(getattr(example, part), f"{part} of example {number}", len(encoding))
            room = self.max_length - len(question) - 3
            if room < (needed := min(self.stride, len(context))):
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

    def predict(self, model: nn.Module, examples: Sequence[Any], threshold: float = 0.0) -> list[str]:
        """The answer to each question, cut from its context; "" where the model says that there is none.

        A larger `threshold` asks for a larger lead of the best span over "no answer".
        """
        examples = [replace(example, answers=()) for example in self.as_examples(examples)]
        return self.read(examples, run_model(model, self, self.encode(examples)), threshold)

    def read(self, examples: Sequence[Any], said: Said, threshold: float = 0.0) -> list[str]:
        """The answers to the questions of examples, from what a model said about their rows."""
        best = [(-math.inf, "")] * len(examples)
        nothing = [math.inf] * len(examples)
        for row, (start, end) in said:
            score, first, last = best_span(start, end, row.origins, self.max_answer)
            nothing[row.example] = min(nothing[row.example], float(start[0] + end[0]))
            if score > best[row.example][0]:
                span = slice(row.origins[first][0], row.origins[last][1])
                best[row.example] = (score, examples[row.example].context[span])
        return [
            text if score > none + threshold else ""
            for (score, text), none in zip(best, nothing, strict=True)
        ]

    def scores(self, examples: Sequence[Any], said: Said) -> dict[str, float]:
        """`exact_match` and `span_f1`, each the best over the accepted answers ("" where there is none)."""
        examples = self.as_examples(examples)
        guess = self.read(examples, said)
        accepted = [[answer.text for answer in example.answers] or [""] for example in examples]
        pairs = list(zip(guess, accepted, strict=True))
        return {
            "exact_match": float(np.mean([max(exact_match(g, a) for a in answers) for g, answers in pairs])),
            "span_f1": float(np.mean([max(span_f1(g, a) for a in answers) for g, answers in pairs])),
        }


def check_answers(answers: Any, name: str) -> None:
    """Raise ValueError unless these are answers in a list: one alone, or a dictionary of SQuAD, is none."""
    if not isinstance(answers, tuple | list) or not all(
        isinstance(answer, Answer) and isinstance(answer.text, str) and isinstance(answer.start, Integral)
        for answer in answers
    ):
        raise refusal(name, "a list of Answer(text, start)", repr(answers))


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
