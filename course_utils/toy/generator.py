"""The generator of the toy language: from the grammar to arrays of probabilities, and from them to documents.

How a document comes about:

1. a topic and a person are drawn: together they are the *hidden state* z of the document, never printed,
   shared by all of its 4 to 8 sentences;
2. each sentence takes a stage (scene, event or remark) from a Markov chain, then a frame of that stage and
   topic;
3. each slot of the frame draws a word from its class, which may depend on z.

Given the frame and z, the words of a sentence are independent; `language` builds its exact sums on that.

The arrays that hold the language (F frames, R word distributions, W words, Z hidden states, L longest
sentence):

- `emissions` (R, W): row r is a distribution over words;
- `row_of` (F, L, Z): which row of `emissions` the j-th word of frame f comes from in state z, -1 past the
  end;
- `frame_prior` (F, Z): P(frame | its stage, z); `stage_of` (F,), `length` (F,);
- `state_prior` (Z,), `stage_prior` (S,), `transitions` (S, S).

Many states write a frame alike: "it was {feeling~}" does not care who the document is about. For the sums
of `language` such a sentence is one *pattern*, a sequence of word distributions, and there are three times
fewer patterns (D) than pairs of a frame and a state:

- `pattern_rows` (D, L): the rows of `emissions` that a pattern draws its words from, -1 past its end;
  `pattern_length` (D,);
- `pattern_prior` (S, Z, D): P(pattern | stage, z), the frames that write the same pattern added up.
"""

import itertools
import re
from dataclasses import dataclass

import numpy as np

from course_utils.checks import refusal
from course_utils.hints import Natural, hold_to_hints, shown
from course_utils.toy import grammar as english

DOCUMENT_LENGTHS = (4, 8)  # fewest and most sentences of a document
CHUNK = 500  # documents drawn at once, each chunk from its own stream: documents(10) begins documents(1000)


@dataclass(frozen=True)
class Sentence:
    """One sentence, with what a reader of real text would have to annotate by hand.

    `senses` maps the position of every ambiguous word to its sense; `sentiment` is "positive", "negative" or
    None.
    """

    words: tuple[str, ...]
    stage: str
    senses: dict[int, str]
    sentiment: str | None

    @property
    def text(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True)
class Document:
    """A list of sentences that share a hidden topic and person."""

    topic: str
    person: str
    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        return "\n".join(sentence.text for sentence in self.sentences)


def stationary(transitions: np.ndarray) -> np.ndarray:
    """The distribution pi (S,) with pi @ transitions = pi: the left eigenvector of eigenvalue 1."""
    square = transitions.ndim == 2 and len(transitions) == transitions.shape[1] > 0
    if not square or (transitions < 0).any() or not np.allclose(transitions.sum(axis=1), 1):
        raise refusal("transitions", "a square table, each row a distribution", shown(transitions))
    values, vectors = np.linalg.eig(transitions.T)
    vector = np.real(vectors[:, np.argmax(np.real(values))])
    return vector / vector.sum()


def parse_class(words: str, side: Natural | None) -> tuple[str, ...]:
    """The words of a class; `side` picks one of each "singular/plural" or "positive/negative" pair."""
    return tuple(word.split("/")[side] if side is not None else word for word in words.split())


class Generator:
    """Draws documents; `ToyLanguage` adds what can be known of them exactly.

    Args:
        seed: of the random documents; the language itself does not depend on it.
        grammar: an object with the attributes of the module `grammar`; tests pass tiny ones.
        vocab: the pieces that the exact limits speak about; the embedded vocabulary if None. Every word of
            the language must be one piece of it.
    """

    def __init__(self, seed: Natural = 0, grammar=english, vocab: list[str] | None = None):
        self.seed = seed
        self.grammar = grammar
        self.states = list(itertools.product(grammar.TOPICS, grammar.PERSONS))
        self.state_prior = np.full(len(self.states), 1 / len(self.states))
        self.transitions = np.array(grammar.STAGE_TRANSITIONS)
        self.stage_prior = stationary(self.transitions)
        self._vocab = vocab
        self._build_frames()
        self._build_patterns()

    # ------------------------------------------------------------------ from the grammar to arrays

    def _build_frames(self) -> None:
        """Expand the written frames into concrete ones and number their word distributions."""
        grammar = self.grammar
        self._distributions: dict[tuple[str, ...], int] = {}
        templates, prior, stages, rows, sentiments = [], [], [], [], []
        for s, stage in enumerate(grammar.STAGES):
            written = [(frame, None) for frame in grammar.COMMON_FRAMES.get(stage, ())]
            for topic in grammar.TOPICS:
                written += [(frame, topic) for frame in grammar.TOPIC_FRAMES.get(topic, {}).get(stage, ())]
            for template, only_topic in written:
                sides = self._sides(template)
                for number, polarity in sides:
                    possible = np.array([only_topic in (None, topic) for topic, _ in self.states])
                    templates.append(template)
                    prior.append(possible / len(sides))
                    stages.append(s)
                    rows.append(self._frame_rows(template, number, polarity))
                    sentiments.append(polarity)
        self.templates = templates
        self.stage_of = np.array(stages)
        self.sentiment_of = sentiments
        self.frame_prior = np.array(prior)
        for s in range(
            len(grammar.STAGES)
        ):  # frames of a stage are equally likely in each state that allows them
            of_stage = self.stage_of == s
            self.frame_prior[of_stage] /= self.frame_prior[of_stage].sum(axis=0)
        self.length = np.array([len(frame) for frame in rows])
        self.row_of = np.full((len(rows), self.length.max(), len(self.states)), -1)
        for f, frame in enumerate(rows):
            self.row_of[f, : len(frame)] = frame
        self.words = sorted({word for words in self._distributions for word in words})
        index = {word: w for w, word in enumerate(self.words)}
        self.emissions = np.zeros((len(self._distributions), len(self.words)))
        for words, r in self._distributions.items():
            for rank, word in enumerate(words, start=1):
                self.emissions[r, index[word]] += 1 / rank
        self.emissions /= self.emissions.sum(axis=1, keepdims=True)

    def _build_patterns(self) -> None:
        """Number the different patterns, and add up the frames and states that write each."""
        frames, states = np.nonzero(self.frame_prior)
        number: dict[tuple[int, ...], int] = {}
        rows_of_cell = self.row_of[frames, :, states].tolist()
        pattern = [number.setdefault(tuple(rows), len(number)) for rows in rows_of_cell]
        self.pattern_rows = np.array(list(number))
        self.pattern_length = (self.pattern_rows >= 0).sum(axis=1)
        self.pattern_prior = np.zeros((len(self.stage_prior), len(self.states), len(number)))
        cell = (self.stage_of[frames], states, pattern)
        np.add.at(self.pattern_prior, cell, self.frame_prior[frames, states])
        # how often a random sentence has this pattern, (D,)
        self.pattern_share = np.einsum("s,z,szd->d", self.stage_prior, self.state_prior, self.pattern_prior)

    @staticmethod
    def _sides(template: str) -> list[tuple[int | None, int | None]]:
        """The ways to settle the `#` (number) and the `~` and `^` (polarity) marks of a frame."""
        numbers = (0, 1) if "#}" in template else (None,)
        polarities = (0, 1) if re.search(r"[~^]\}", template) else (None,)
        return list(itertools.product(numbers, polarities))

    def _frame_rows(self, template: str, number: int | None, polarity: int | None) -> list[list[int]]:
        """For each word of the frame, the index of its distribution in each hidden state: (length, Z)."""
        side = {"#": number, "~": polarity, "^": None if polarity is None else 1 - polarity}
        rows = []
        for token in template.split():
            if not token.startswith("{"):
                rows.append([self._distribution((token,))] * len(self.states))
                continue
            name = token.strip("{}")
            chosen = side.get(name[-1])
            name = name.replace("^", "~")
            rows.append([self._distribution(parse_class(self._class(name, *z), chosen)) for z in self.states])
        return rows

    def _class(self, name: str, topic: str, person: str) -> str:
        grammar = self.grammar
        if name in grammar.CLASSES:
            return grammar.CLASSES[name]
        if name in grammar.TOPIC_CLASSES:
            return grammar.TOPIC_CLASSES[name][topic]
        return grammar.PERSON_CLASSES[name][person]

    def _distribution(self, words: tuple[str, ...]) -> int:
        return self._distributions.setdefault(words, len(self._distributions))

    # ------------------------------------------------------------------ documents

    def documents(self, n: Natural) -> list[Document]:
        """The first `n` documents of this seed; asking for more later only appends."""
        chunks = range(-(-n // CHUNK))
        return [document for chunk in chunks for document in self._draw_chunk(chunk)][:n]

    def _draw_chunk(self, chunk: int) -> list[Document]:
        rng = np.random.default_rng([self.seed, chunk])
        sizes = rng.integers(DOCUMENT_LENGTHS[0], DOCUMENT_LENGTHS[1] + 1, size=CHUNK)
        state = np.repeat(rng.choice(len(self.states), size=CHUNK, p=self.state_prior), sizes)
        stage = self._draw_stages(rng, sizes)
        frame = self._draw_frames(rng, stage, state)
        word = self._draw_words(rng, frame, state)
        drawn = zip(frame.tolist(), state.tolist(), word.tolist(), strict=True)
        sentences = [self._sentence(f, z, w) for f, z, w in drawn]
        ends = np.cumsum(sizes)
        return [
            Document(*self.states[state[end - 1]], sentences=tuple(sentences[end - size : end]))
            for size, end in zip(sizes.tolist(), ends.tolist(), strict=True)
        ]

    def _draw_stages(self, rng, sizes: np.ndarray) -> np.ndarray:
        """One Markov chain a document, started from its stationary distribution, laid end to end."""
        cumulative = np.vstack([self.transitions, self.stage_prior]).cumsum(axis=1)
        draws = rng.random(sizes.sum())
        starts = set(np.concatenate([[0], np.cumsum(sizes)[:-1]]).tolist())
        stage, previous = np.empty(len(draws), dtype=int), -1  # row -1 of `cumulative` is the start
        for i, draw in enumerate(draws):
            previous = -1 if i in starts else previous
            previous = stage[i] = min(np.searchsorted(cumulative[previous], draw), len(self.stage_prior) - 1)
        return stage

    def _draw_frames(self, rng, stage: np.ndarray, state: np.ndarray) -> np.ndarray:
        of_stage = self.stage_of == np.arange(len(self.stage_prior))[:, None]  # (S, F)
        cumulative = (of_stage[:, :, None] * self.frame_prior).cumsum(axis=1)  # (S, F, Z)
        return (rng.random(len(stage))[:, None] >= cumulative[stage, :, state]).sum(axis=1)

    def _draw_words(self, rng, frame: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Word indices (sentences, L); those past the end of a sentence mean nothing."""
        cumulative = self.emissions.cumsum(axis=1)
        # searchsorted over all rows at once: shift row r by r, so that the rows follow one another
        flat = (cumulative + np.arange(len(cumulative))[:, None]).ravel()
        row = np.maximum(self.row_of[frame, :, state], 0)  # (sentences, L)
        word = np.searchsorted(flat, row + rng.random(row.shape), side="right") - row * len(self.words)
        return np.minimum(word, len(self.words) - 1)

    def _sentence(self, frame: int, state: int, word: list[int]) -> Sentence:
        words = tuple(self.words[w] for w in word[: self.length[frame]])
        topic = self.states[state][0]
        senses = {i: self.grammar.SENSES[w][topic] for i, w in enumerate(words) if w in self.grammar.SENSES}
        polarity = self.sentiment_of[frame]
        sentiment = None if polarity is None else ("positive", "negative")[polarity]
        return Sentence(words, self.grammar.STAGES[self.stage_of[frame]], senses, sentiment)


hold_to_hints(globals())
