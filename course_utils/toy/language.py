"""A small artificial English about which everything is known exactly.

A real corpus has no answer key: nobody knows how well the best possible model could fill its blanks. This
language has one. It is a laboratory animal: real English words, put together by a generator whose
probabilities are written down (`grammar`), so the best possible prediction for any masked word can be
computed instead of guessed.

`generator` says how a document comes about, and which arrays hold the probabilities. Given its frame and the
hidden state of its document, the words of a sentence are independent. That single fact makes every sum below
small: for P(word | everything visible) one adds up over frames and hidden states, a few thousand in all.

The exact limits (here *floors*, in nats: a model's mean cross-entropy cannot be below them) follow the
forward-backward sums for hidden-state models (Rabiner 1989, section III), with the corruption of masked
language modelling (Devlin et al. 2018, section 3.1) as a noisy channel between the written and the visible
token.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np

from course_utils.checks import IGNORE_INDEX, refusal
from course_utils.hints import Count, ProperShare, check_some, hold_to_hints, shown
from course_utils.toy.generator import Generator

RUNGS = ("unigram", "bigram", "left", "bidirectional")
GROUP = 128  # rows that are worked on at once, so that the arrays stay small
VOCAB_FILE = Path(__file__).parents[1] / "data" / "vocab.txt"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Floors:
    """Best possible losses, in nats, one number a selected position, in row-major order.

    `position` (n, 2) holds the (row, column) of each number; `kind` (n,) says what the model saw there:
    "mask", "random" or "kept". The four rungs see more and more: `unigram` nothing, `bigram` the token
    before, `left` all tokens before, `bidirectional` the whole row.
    """

    unigram: np.ndarray
    bigram: np.ndarray
    left: np.ndarray
    bidirectional: np.ndarray
    kind: np.ndarray
    position: np.ndarray

    def mean(self, kind: str | None = "mask") -> dict[str, float]:
        """Mean nats for each rung at positions of one `kind` (None: at all selected positions)."""
        chosen = np.full(self.kind.shape, True) if kind is None else self.kind == kind
        if not chosen.any():
            raise refusal("kind", "one of " + ", ".join(sorted(set(self.kind.tolist()))), repr(kind))
        return {rung: float(getattr(self, rung)[chosen].mean()) for rung in RUNGS}


class ToyLanguage(Generator):
    """The generator and its exact probabilities; the arguments are those of `Generator`."""

    # ------------------------------------------------------------------ the pieces of a row

    @cached_property
    def vocab(self) -> list[str]:
        """The pieces that rows are made of, in the order of their ids."""
        return self._vocab or VOCAB_FILE.read_text(encoding="utf-8").splitlines()

    @cached_property
    def piece_id(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self.vocab)}

    @cached_property
    def piece_emissions(self) -> np.ndarray:
        """`emissions` over pieces instead of words: (R, V), zero at pieces that are no word."""
        missing = [word for word in self.words if word not in self.piece_id]
        if missing:
            raise refusal("vocab", "every word of the language among its pieces", f"none of {missing[:5]}")
        emissions = np.zeros((len(self.emissions), len(self.vocab)))
        emissions[:, [self.piece_id[word] for word in self.words]] = self.emissions
        return emissions

    def _channel(self, seen: np.ndarray, rate: float) -> np.ndarray:
        """P(a position shows `seen` | its word comes from row r), whether it was selected or not: (..., R).

        With selection rate p a word x becomes [MASK] with probability 0.8p, a random piece with 0.1p, else it
        stays: C(y|x) = 0.8p for y = [MASK], otherwise (1 - 0.9p) [y = x] + 0.1p / (ordinary pieces).
        """
        ordinary = len(self.vocab) - len(SPECIAL_TOKENS)
        shown = (1 - 0.9 * rate) * self.piece_emissions.T[seen] + 0.1 * rate / ordinary
        return np.where((seen == self.piece_id["[MASK]"])[..., None], 0.8 * rate, shown)

    def _selected_channel(self, seen: np.ndarray) -> np.ndarray:
        """S(y|x) for each piece x at selected positions, (n, V): 80 % mask, 10 % random, 10 % kept."""
        ordinary = len(self.vocab) - len(SPECIAL_TOKENS)
        likelihood = np.full((len(seen), len(self.vocab)), 0.1 / ordinary)
        likelihood[np.arange(len(seen)), seen] += 0.1
        likelihood[seen == self.piece_id["[MASK]"]] = 0.8
        return likelihood

    def _segments(self, row: np.ndarray) -> tuple[int, int]:
        """The numbers of words of A and B in `[CLS] A [SEP] B [SEP]`; 0 where there is no B."""
        pad, unk, cls, sep = (self.piece_id[token] for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
        body = row[: np.max(np.flatnonzero(row != pad), initial=0) + 1]
        ends = np.flatnonzero(body == sep)
        has_form = body[0] == cls and len(ends) in (1, 2) and ends[-1] == len(body) - 1
        if not has_form or np.isin(body[1:], (pad, unk, cls)).any():
            got = " ".join(self.vocab[i] for i in row)
            raise refusal("row", "[CLS] A [SEP] or [CLS] A [SEP] B [SEP]", repr(got))
        lengths = (np.diff(ends, prepend=0) - 1).tolist()
        for length in lengths:
            if length not in self.lengths:
                raise refusal("words of a sentence", f"one of {self.lengths}", length)
        return (*lengths, 0)[:2]

    @cached_property
    def lengths(self) -> list[int]:
        """The numbers of words that a sentence can have."""
        return sorted(set(self.length.tolist()))

    def _groups(self, rows: np.ndarray):
        """Rows of equal shape together, in pieces that fit in memory.

        Yields the indices of the rows and, for each segment, the places (start, end) of its words.
        """
        if rows.ndim != 2 or rows.dtype.kind not in "iu" or not rows.size:
            raise refusal("rows", "whole numbers of shape (batch, seq_len)", shown(rows))
        if not 0 <= rows.min() <= rows.max() < len(self.vocab):
            raise refusal("rows", f"ids from 0 to {len(self.vocab) - 1}", f"{rows.min()} to {rows.max()}")
        shapes = np.array([self._segments(row) for row in rows]).reshape(-1, 2)
        for first, second in np.unique(shapes, axis=0):
            spans = [(1, 1 + first)] + ([(2 + first, 2 + first + second)] if second else [])
            members = np.flatnonzero((shapes == (first, second)).all(axis=1))
            for start in range(0, len(members), GROUP):
                yield members[start : start + GROUP], spans

    # ------------------------------------------------------------------ exact inference

    def _evidence(self, seen: np.ndarray, rate: float) -> np.ndarray:
        """Log-likelihood of each visible piece of a segment under each pattern.

        `seen` (B, l) holds piece ids; the result is (B, l, D), -inf where a pattern has already ended.
        """
        with np.errstate(divide="ignore"):  # at rate 0 the wrong word is impossible: log 0 = -inf is meant
            log_channel = np.log(self._channel(seen, rate))  # (B, l, R)
        rows = self.pattern_rows[:, : seen.shape[1]].T  # (l, D)
        logs = np.stack([log_channel[:, j, row] for j, row in enumerate(rows)], axis=1)
        return np.where(rows >= 0, logs, -np.inf)

    def _segment(self, seen: np.ndarray, rate: float) -> "_Segment":
        evidence = self._evidence(seen, rate)
        patterns = np.flatnonzero(self.pattern_length == seen.shape[1])
        total = evidence[:, :, patterns].sum(axis=1)
        likelihood = np.exp(total - total.max(axis=1, keepdims=True))
        stages = np.tensordot(likelihood, self.pattern_prior[:, :, patterns], axes=(1, 2))
        return _Segment(evidence, patterns, stages)

    def _joint(self, a: "_Segment", b: "_Segment") -> tuple[np.ndarray, np.ndarray]:
        """P(A, B | IsNext) and P(A, B | NotNext), both (B,) and up to the same factor a row."""
        after = np.einsum("s,bsz,st->btz", self.stage_prior, a.stages, self.transitions)
        is_next = np.einsum("z,btz,btz->b", self.state_prior, after, b.stages)
        return is_next, self._alone(a) * self._alone(b)

    def _alone(self, segment: "_Segment") -> np.ndarray:
        """P(the segment) with nothing known beside it, (B,), up to the factor of its row."""
        return np.einsum("s,z,bsz->b", self.stage_prior, self.state_prior, segment.stages)

    def _context(self, before: "_Segment | None", after: "_Segment | None") -> np.ndarray:
        """What the segment before or after says about stage and state of this one: weights (B, S, Z).

        The prior is included, and both next sentence hypotheses count one half each. Without another segment
        the prior alone is left, (1, S, Z).
        """
        prior = self.stage_prior[:, None] * self.state_prior
        if before is not None:
            steps = self.stage_prior[:, None] * self.transitions  # P(stage s, then stage t)
            follows = self.state_prior * np.einsum("bsz,st->btz", before.stages, steps)
        elif after is not None:
            follows = prior * np.einsum("st,btz->bsz", self.transitions, after.stages)
        else:
            return prior[None]
        return (follows + prior * self._alone(before or after)[:, None, None]) / 2

    def _predict(self, segment: "_Segment", context: np.ndarray, row, column, left: bool) -> np.ndarray:
        """P(piece | evidence) at n places `row`, `column` of a segment, (n, V); the place itself is not seen.

        `left`: use only the words before the place. The length of the sentence is then unknown as well.
        """
        if left:
            patterns = slice(None)
            evidence = segment.evidence
            start = np.zeros_like(evidence[:, :1])
            log_weight = np.concatenate([start, evidence[:, :-1]], axis=1).cumsum(axis=1)[row, column]
        else:
            patterns = segment.patterns
            evidence = segment.evidence[:, :, patterns]
            log_weight = evidence.sum(axis=1)[row] - evidence[row, column]
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        weight *= np.tensordot(context, self.pattern_prior[:, :, patterns], axes=2)[row]  # (n, D')
        # The same row of `emissions` serves many patterns: add up their weights first, then mix the words.
        rows = self.pattern_rows[patterns][:, column].T  # (n, D')
        shape = (len(rows), len(self.emissions))
        flat = np.arange(shape[0])[:, None] * shape[1] + np.maximum(rows, 0)
        goes_on = np.where(rows >= 0, weight, 0)  # a pattern that has already ended has no word here
        mixture = np.bincount(flat.ravel(), goes_on.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
        return mixture / mixture.sum(axis=1, keepdims=True) @ self.piece_emissions

    def _answers(self, masked_rows: np.ndarray, selected: np.ndarray, rate: float, rungs: tuple[str, ...]):
        """What the perfect model says at the selected positions if it sees as much as each of `rungs` allows.

        Yields, for some positions at a time, their numbers (n,) in row-major order, and {rung: (n, V)}.
        """
        number = np.cumsum(selected).reshape(selected.shape) - 1
        for members, spans in self._groups(masked_rows):
            seen = masked_rows[members]
            segments = [self._segment(seen[:, start:end], rate) for start, end in spans]
            for k, (start, end) in enumerate(spans):
                row, column = np.nonzero(selected[members, start:end])
                if not len(row):
                    continue
                place = start + column
                before = segments[0] if k == 1 else None
                after = segments[1] if k == 0 and len(segments) == 2 else None
                answers = {}
                for rung in rungs:
                    if rung == "unigram":
                        prediction = self.unigram
                    elif rung == "bigram":
                        prediction = self._after(seen[row, place - 1], rate)
                    else:
                        left = rung == "left"
                        context = self._context(before, None if left else after)
                        context = np.broadcast_to(context, (len(seen), *context.shape[1:]))
                        prediction = self._predict(segments[k], context, row, column, left)
                    weighed = prediction * self._selected_channel(seen[row, place])
                    answers[rung] = weighed / weighed.sum(axis=1, keepdims=True)
                yield number[members[row], place], answers

    def _check_selected(self, masked_rows: np.ndarray, selected: np.ndarray, rate: float) -> None:
        if rate == 0:
            raise refusal("rate", "above 0", rate, "nothing would be selected")
        if masked_rows.shape != selected.shape:
            raise refusal("selected positions", f"the shape {masked_rows.shape} of the rows", selected.shape)
        special = [self.piece_id[token] for token in SPECIAL_TOKENS if token != "[MASK]"]
        wrong = np.argwhere(selected & np.isin(masked_rows, special))
        if len(wrong):
            row, position = wrong[0]
            token = self.vocab[masked_rows[row, position]]
            where = f"selected position {position} of row {row}"
            raise refusal(where, "a word or [MASK]", token, "special tokens are never masked")

    def posteriors(
        self, masked_rows: np.ndarray, selected: np.ndarray, rate: ProperShare = 0.15, left: bool = False
    ) -> np.ndarray:
        """What the perfect model says at selected positions.

        Args:
            masked_rows: (batch, seq_len) piece ids as a model would see them, `[CLS] A [SEP]` or
                `[CLS] A [SEP] B [SEP]`, padded with [PAD] on the right.
            selected: (batch, seq_len) True at the positions that the corruption selected.
            rate: the selection rate p of the corruption, 0 < p < 1.
            left: use only the tokens before a position, like a model with a causal mask (and its own token).

        Returns:
            (n, V) probabilities, selected positions in row-major order.

        Raises:
            ValueError: for a row of another form, a length that no sentence has, a selected special token, or
                a rate outside (0, 1).
        """
        if selected.dtype != bool:
            raise refusal("selected", "True and False", shown(selected))
        self._check_selected(masked_rows, selected, rate)
        rung = "left" if left else "bidirectional"
        posterior = np.empty((int(selected.sum()), len(self.vocab)))
        for numbers, answers in self._answers(masked_rows, selected, rate, (rung,)):
            posterior[numbers] = answers[rung]
        return posterior

    def next_sentence_posterior(self, masked_rows: np.ndarray, rate: ProperShare = 0.15) -> np.ndarray:
        """P(B follows A in its document | the visible row), (batch,), at even odds beforehand.

        `rate` is the selection rate of the corruption, 0 <= rate < 1; 0 stands for rows left as written.
        Raises ValueError for a row that the language cannot produce, or of a single segment.
        """
        posterior = np.empty(len(masked_rows))
        for members, spans in self._groups(masked_rows):
            if len(spans) == 1:
                raise refusal(f"row {members[0]}", "two segments", "one")
            a, b = (self._segment(masked_rows[members, start:end], rate) for start, end in spans)
            is_next, not_next = self._joint(a, b)
            if not (possible := is_next + not_next > 0).all():
                row = members[np.flatnonzero(~possible)[0]]
                raise refusal(f"row {row}", "a row that the language can write", "one that it cannot")
            posterior[members] = is_next / (is_next + not_next)
        return posterior

    def sentence_evidence(self, sentences: Annotated[list[list[int]], check_some]) -> np.ndarray:
        """P(sentence | stage, state) / P(sentence), (n, S, Z), for sentences given as lists of piece ids.

        Raises ValueError for a sentence that the language cannot write.
        """
        ratios = np.empty((len(sentences), len(self.stage_prior), len(self.state_prior)))
        for length in {len(sentence) for sentence in sentences}:
            members = [i for i, sentence in enumerate(sentences) if len(sentence) == length]
            if length not in self.lengths:
                raise refusal(f"words of sentence {members[0]}", f"one of {self.lengths}", length)
            seen = np.array([sentences[i] for i in members])
            with np.errstate(invalid="ignore"):  # of an impossible sentence nothing is left: 0 / 0
                segment = self._segment(seen, rate=0.0)
            alone = self._alone(segment)
            if not (possible := alone > 0).all():
                where = f"sentence {members[np.flatnonzero(~possible)[0]]}"
                raise refusal(where, "one that the language can write", "one that it cannot")
            ratios[members] = segment.stages / alone[:, None, None]
        return ratios

    def next_sentence_pmi(
        self,
        first: Annotated[list[list[int]], check_some],
        second: Annotated[list[list[int]], check_some],
    ) -> np.ndarray:
        """log of P(b follows a) / P(b), in nats, for each a of `first` and b of `second`: (n, m).

        This is the pointwise mutual information of two neighbouring sentences; -inf where b cannot follow a.
        Among candidates of which one follows a and the others were drawn without regard to it, the softmax of
        a row is the exact probability that each is the one, so ranking by it is the best possible search.
        """
        before, after = self.sentence_evidence(first), self.sentence_evidence(second)
        steps = self.stage_prior[:, None] * self.transitions  # P(stage s, then stage t)
        expected = self.state_prior * np.einsum("nsz,st->ntz", before, steps)
        with np.errstate(divide="ignore"):
            return np.log(expected.reshape(len(before), -1) @ after.reshape(len(after), -1).T)

    def floors(
        self, rows: np.ndarray, masked_rows: np.ndarray, labels: np.ndarray, rate: ProperShare = 0.15
    ) -> Floors:
        """The best possible loss at every selected position, from no context at all to the whole row.

        Args:
            rows: (batch, seq_len) piece ids before the corruption; see `posteriors` for their form.
            masked_rows: (batch, seq_len) after it.
            labels: (batch, seq_len) the original id at selected positions, -100 elsewhere.
            rate: the selection rate of the corruption.

        Raises:
            ValueError: naming the first token that the language cannot produce; and as in `posteriors`.
        """
        selected = labels != IGNORE_INDEX
        self._check_selected(masked_rows, selected, rate)
        self.check_possible(rows)
        seen, truth = masked_rows[selected], labels[selected]
        nats = {rung: np.empty(len(truth)) for rung in RUNGS}
        for numbers, answers in self._answers(masked_rows, selected, rate, RUNGS):
            for rung, probability in answers.items():
                nats[rung][numbers] = -np.log(probability[np.arange(len(numbers)), truth[numbers]])
        kind = np.where(seen == self.piece_id["[MASK]"], "mask", np.where(seen == truth, "kept", "random"))
        return Floors(**nats, kind=kind, position=np.argwhere(selected))

    def check_possible(self, rows: np.ndarray) -> None:
        """Refuse rows that the language cannot produce, naming the first impossible token."""
        problems = []
        for members, spans in self._groups(rows):
            for start, end in spans:
                patterns = self.pattern_length == end - start
                evidence = self._evidence(rows[members, start:end], rate=0.0)[:, :, patterns].cumsum(axis=1)
                impossible = ~np.isfinite(evidence).any(axis=2)  # (B, l)
                problems += [
                    (members[row], start + place, start, end) for row, place in np.argwhere(impossible)
                ]
        if problems:
            row, position, start, end = min(problems)
            before = " ".join(self.vocab[i] for i in rows[row, start:position]) or "the start"
            token = self.vocab[rows[row, position]]
            expected = f"a word that follows {before!r} in some sentence of {end - start} words"
            raise refusal(f"row {row}, position {position}", expected, repr(token))

    # ------------------------------------------------------------------ words and their neighbours

    @cached_property
    def unigram(self) -> np.ndarray:
        """P(piece) at a random position of a random sentence: (V,)."""
        inside = self.pattern_rows >= 0
        weight = np.broadcast_to(self.pattern_share[:, None], inside.shape)[inside]
        counts = np.bincount(self.pattern_rows[inside], weight, minlength=len(self.emissions))
        return counts / counts.sum() @ self.piece_emissions

    def _row_pairs(self, distance: int) -> np.ndarray:
        """How often, a sentence, a word of row r stands `distance` places before one of row q: (R, R)."""
        count = len(self.emissions)
        first, second = self.pattern_rows[:, :-distance], self.pattern_rows[:, distance:]
        inside = second >= 0
        weight = np.broadcast_to(self.pattern_share[:, None], inside.shape)[inside]
        flat = first[inside] * count + second[inside]
        return np.bincount(flat, weight, minlength=count**2).reshape(count, count)

    def _after(self, before: np.ndarray, rate: float) -> np.ndarray:
        """P(piece | the one visible piece before it): (n, V); [CLS] and [SEP] stand before a first word."""
        starts = np.bincount(self.pattern_rows[:, 0], self.pattern_share, minlength=len(self.emissions))
        is_start = np.isin(before, [self.piece_id["[CLS]"], self.piece_id["[SEP]"]])
        mixture = np.where(is_start[:, None], starts, self._channel(before, rate) @ self._row_pairs(1))
        return mixture / mixture.sum(axis=1, keepdims=True) @ self.piece_emissions

    def cooccurrence(self, window: Count = 5, dynamic: bool = True) -> np.ndarray:
        """Expected weight of each ordered (word, neighbour) pair a sentence, exactly: (W, W), symmetric.

        A neighbour at distance d <= window counts 1, or with `dynamic` (window - d + 1) / window: the chance
        that word2vec's random window reaches it.
        """
        pairs = np.zeros((len(self.emissions), len(self.emissions)))
        for distance in range(1, min(window, self.pattern_rows.shape[1] - 1) + 1):
            pairs += self._row_pairs(distance) * ((window - distance + 1) / window if dynamic else 1)
        words = self.emissions.T @ pairs @ self.emissions
        return words + words.T

    def pmi(self, window: Count = 5, dynamic: bool = True) -> np.ndarray:
        """Exact pointwise mutual information of word and neighbour, (W, W) nats; -inf if they never meet."""
        joint = self.cooccurrence(window, dynamic)
        joint = joint / joint.sum()
        marginal = joint.sum(axis=1)
        with np.errstate(divide="ignore"):
            return np.log(joint) - np.log(marginal[:, None] * marginal)


@dataclass(frozen=True)
class _Segment:
    """What one segment of B rows says, up to a factor a row.

    `evidence` (B, l, D) is the log-likelihood of each visible piece under each pattern, `patterns` (D',) are
    those of its length, and `stages` (B, S, Z) is the likelihood of the whole segment, given stage and state.
    """

    evidence: np.ndarray
    patterns: np.ndarray
    stages: np.ndarray


hold_to_hints(globals())
