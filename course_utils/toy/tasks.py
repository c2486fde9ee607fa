"""Five tasks in the words of the toy language, with labels that are right by construction.

People who annotate real text disagree, tire and err; so a model's "errors" are partly theirs. Here each
example is written *from* its label by a rule that is stated below, so every error is the model's own:

- `reviews`: is a film review positive or negative? With negation ("not bad") and contrast ("but").
- `topics`: which of eight topics does a sentence of the toy language belong to?
- `entities`: which words are a person, a place, an organisation or a time? One BIO tag a word.
- `questions`: which words of the context answer the question, if any do?
- `pairs`: does the first sentence entail the second, contradict it, or leave it open?

Only words of the embedded vocabulary are used, each of which is one piece. Every example belongs to one of
three parts, "train", "dev" or "test", settled by a checksum of its text alone: whatever the seeds, no text of
one part ever turns up in another. Asking for more examples of a seed only appends.

Only `topics` gives way to a list of words, once the list is long enough. In the other four the same words
stand for different things ("london won the match", "ben lives in london"), or two examples of the same words
have different labels. How far such short cuts get is measured in `tests/test_toy_tasks.py`.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from course_utils.checks import check_one_of, refusal
from course_utils.hints import Count, Natural, Share, check_some, hold_to_hints
from course_utils.toy import grammar as toy_grammar
from course_utils.toy.generator import parse_class
from course_utils.toy.language import ToyLanguage

Rng = np.random.Generator
Words = Annotated[Sequence[str], check_some]
PARTS = ("train", "dev", "test")  # eight, one and one tenth of all examples

REVIEW_LABELS = ("negative", "positive")
TOPIC_LABELS = toy_grammar.TOPICS
PAIR_LABELS = ("entailment", "neutral", "contradiction")
ENTITY_TYPES = ("PER", "LOC", "ORG", "TIME")
ENTITY_TAGS = ("O", *(f"{prefix}-{kind}" for kind in ENTITY_TYPES for prefix in "BI"))


@dataclass(frozen=True)
class LabelledText:
    """A text, or a pair of texts, with a label: a name of the task's list of labels, or its index there.

    `kind` says how the example was made ("negation", "contrast" ...): errors are sorted by it. Empty if
    unknown.
    """

    text: str
    label: int | str
    text_pair: str | None = None
    kind: str = ""


@dataclass(frozen=True)
class TaggedWords:
    """The words of a sentence and one BIO tag a word: B-PER begins a person, I-PER goes on, O is neither."""

    words: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True)
class Answer:
    """A stretch of the context: `context[start : start + len(text)] == text`."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """One past the last character."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Question:
    """A question and the text that may answer it. `answers` holds the accepted spans; none: no answer."""

    question: str
    context: str
    answers: tuple[Answer, ...] = ()
    kind: str = ""


# ------------------------------------------------------------------------------------------ drawing


def part_of(text: str) -> str:
    """The part that a text belongs to, for ever: by its CRC-32 modulo 10, 0 to 7 train, 8 dev, 9 test."""
    return PARTS[max(0, zlib.crc32(text.encode("utf-8")) % 10 - 7)]


def draw(
    n: Natural, seed: Natural, part: str, make: Callable, owner: Callable = lambda example: example.text
) -> list:
    """The first `n` different examples of `part` that `make(rng)` writes with this seed.

    Args:
        owner: the text that settles the part; examples of one context or premise stay together.

    Raises:
        ValueError: for an unknown part, a negative number, or more examples than there are.
    """
    check_one_of("part", part, PARTS)
    rng = np.random.default_rng(seed)
    found, in_vain = {}, 0
    while len(found) < n:
        example = make(rng)
        if part_of(owner(example)) == part and example not in found:
            found[example], in_vain = None, 0
        elif (in_vain := in_vain + 1) > 10_000:
            raise refusal("n", f"at most about {len(found)}, the number of different examples", n)
    return list(found)


def one_of(rng: Rng, words: Annotated[Sequence[Any], check_some]) -> Any:
    """One of `words`, each as likely as the others."""
    return words[rng.integers(len(words))]


def fill(rng: Rng, template: str, **given: str) -> str:
    """Put a word in each `{slot}`: the given one, or one of the class `SLOTS[slot]`."""

    def word(match: re.Match) -> str:
        name = match.group(1)
        return given[name] if name in given else one_of(rng, SLOTS[name])

    return " ".join(re.sub(r"\{(\w+)\}", word, template).split())


PLACES = (
    "market", "office", "park", "stadium", "gym", "field", "forest", "garden", "farm", "cinema", "theatre",
    "museum", "bakery", "cafe", "bridge",
)  # fmt: skip
DAYS = parse_class(toy_grammar.CLASSES["day"], None)
CITIES = parse_class(toy_grammar.CLASSES["city"], None)
SLOTS = {
    "name": toy_grammar.PERSONS,
    "day": DAYS,
    "city": CITIES,
    "friend": parse_class(toy_grammar.CLASSES["friend"], None),
    "colour": ("black", "white", "green", "brown", "grey"),
    "place": PLACES,
    "one": ("story", "film", "movie"),
    "many": ("actors", "scenes", "seats"),
    "film": ("film", "movie"),
}

# ------------------------------------------------------------------------------------------ reviews

# Pairs of opposites: word k of the positive class against word k of the negative one.
OPINIONS = {
    name: tuple(zip(*(parse_class(toy_grammar.CLASSES[f"{name}~"], side) for side in (0, 1)), strict=True))
    for name in ("fine", "great", "liked")
}
CLAUSES = (
    "the {one} was {fine}",
    "the {many} were {fine}",
    "the {many} in this {film} were {fine}",
    "it was {a_great} {film}",
    "i {liked} this {film}",
    "i {liked} the {many}",
)
EXCLAMATIONS = ("{great} {film} !", "{great} {film} and {great_too} {many} !")
OPENINGS = ("on {day} {name} was at the cinema and", "i went to the theatre on {day} and")


def clause(rng: Rng, positive: bool, negation: Share = 0.3) -> tuple[str, bool]:
    """An opinion of this polarity, and whether it says so by negating its opposite: "not bad"."""
    template = one_of(rng, CLAUSES)
    negated = "{liked}" not in template and rng.random() < negation
    word = {name: one_of(rng, pairs)[int(positive == negated)] for name, pairs in OPINIONS.items()}
    fine = f"not {word['fine']}" if negated else word["fine"]
    a_great = f"not a {word['great']}" if negated else f"a {word['great']}"
    return fill(rng, template, fine=fine, a_great=a_great, liked=word["liked"]), negated


def reviews(n: Natural, seed: Natural = 0, part: str = "train") -> list[LabelledText]:
    """Short film reviews: label 1 positive, 0 negative, about half each.

    The rule: only the clause after "but" counts, where there is one; "not" turns its opinion word round.
    Clauses joined by "and" agree. `kind` is "plain", "negation" (a "not" somewhere), "contrast" (a "but") or
    "both".
    """

    def make(rng):
        positive = bool(rng.random() < 0.5)
        form = rng.random()
        if form < 0.1:
            words = [one_of(rng, OPINIONS["great"])[int(not positive)] for _ in range(2)]
            text = fill(rng, one_of(rng, EXCLAMATIONS), great=words[0], great_too=words[1])
            return LabelledText(text, int(positive), kind="plain")
        last, negated = clause(rng, positive)
        joint = None if form < 0.5 else "and" if form < 0.7 else "but"
        if joint:
            first, first_negated = clause(rng, positive == (joint == "and"))
            last, negated = f"{first} {joint} {last}", negated or first_negated
        elif rng.random() < 0.5:
            last = f"{fill(rng, one_of(rng, OPENINGS))} {last}"
        contrast = joint == "but"
        kind = (
            "both" if negated and contrast else "negation" if negated else "contrast" if contrast else "plain"
        )
        return LabelledText(last, int(positive), kind=kind)

    return draw(n, seed, part, make)


# ------------------------------------------------------------------------------------------ topics

# The words that depend on the topic of a document, as "park" and "vet" depend on pets.
TOPICAL_WORDS = {
    word
    for classes in toy_grammar.TOPIC_CLASSES.values()
    for words in classes.values()
    for entry in words.split()
    for word in entry.split("/")
}


def topics(n: Natural, seed: Natural = 0, part: str = "train") -> list[LabelledText]:
    """Sentences of the toy language with the topic of their document (`TOPIC_LABELS`).

    The rule: the generator drew the topic first and the words after it. Sentences without a word that depends
    on the topic ("it was happy") are left out; some of the others fit two topics ("watch the ducks"). Each
    sentence comes from a document of its own: two of one document would have one topic, and ten examples
    would be worth three.
    """
    documents = iter(())

    def make(rng):
        nonlocal documents
        while True:
            document = next(documents, None)
            if document is None:  # 200 documents at a time, each time from another seed of the language
                documents = iter(ToyLanguage(seed=int(rng.integers(2**31))).documents(200))
                continue
            topical = [
                sentence.text for sentence in document.sentences if TOPICAL_WORDS & set(sentence.words)
            ]
            if topical:
                return LabelledText(one_of(rng, topical), TOPIC_LABELS.index(document.topic))

    return draw(n, seed, part, make)


# ------------------------------------------------------------------------------------------ entities

# What stands in square brackets is an entity of the type that is named first.
ENTITY_FRAMES = (
    "[PER {person}] went to the [LOC {place}] on [TIME {day}]",
    "on [TIME {day}] [PER {person}] was at the [LOC {place}]",
    "[PER {person}] came from [LOC {city}] to watch the match",
    "[PER {person}] lives near the [LOC {city} {place}]",
    "[PER {person}] met [PER {person}] in [LOC {city}]",
    "[ORG {city}] won the match on [TIME {day}]",
    "[ORG {city}] lost the last game in [LOC {city}]",
    "the [ORG {city} team] was strong on [TIME {day}]",
    "the [ORG {city} bank] lent [PER {person}] ten gold coins",
    "the [ORG bank] lent [PER {person}] the money",
    "[PER {person}] sat on the [LOC bank] and saw ducks",
    "the [LOC river bank] was very {colour}",
    "cold water ran from the [LOC spring] in [LOC {city}]",
    "in [TIME spring] the roses are {colour}",
    "the {colour} rose was near the {colour} tree",
    "the {colour} dog chased [PER {person}] to the [LOC {place}]",
)
FIRST_NAMES = (*toy_grammar.PERSONS, "rose")


def tagged(rng: Rng, template: str) -> tuple[list[str], list[str]]:
    """Fill an entity frame and give each word its tag."""
    words, tags, kind = [], [], ""
    for token in template.replace("]", " ]").split():
        if token.startswith("["):
            kind, prefix = token[1:], "B"
        elif token == "]":
            kind = ""
        else:
            filled = person(rng) if token == "{person}" else fill(rng, token)
            for word in filled.split():
                words.append(word)
                tags.append(f"{prefix}-{kind}" if kind else "O")
                prefix = "I"
    return words, tags


def person(rng: Rng) -> str:
    """A first name, in four cases of ten with a surname: a colour."""
    surname = f" {one_of(rng, SLOTS['colour'])}" if rng.random() < 0.4 else ""
    return one_of(rng, FIRST_NAMES) + surname


def entities(n: Natural, seed: Natural = 0, part: str = "train") -> list[TaggedWords]:
    """One or two clauses whose persons, places, organisations and times are tagged word by word
    (`ENTITY_TAGS`).

    The rule is the frame: a city is a place (LOC) if somebody is there and an organisation (ORG) if it plays
    or lends; a colour after a first name is a surname; "rose" is a person or a flower, "spring" a time or a
    place, "bank" a lender or the side of a river.
    """

    def make(rng):
        words, tags = tagged(rng, one_of(rng, ENTITY_FRAMES))
        if rng.random() < 0.5:
            more_words, more_tags = tagged(rng, one_of(rng, ENTITY_FRAMES))
            words, tags = [*words, "and", *more_words], [*tags, "O", *more_tags]
        return TaggedWords(tuple(words), tuple(tags))

    return draw(n, seed, part, make)


# ------------------------------------------------------------------------------------------ questions

STAYS = (
    "{name} went to the {place} on {day}",
    "on {day} {name} was at the {place}",
    "{name} was at the {place} on {day}",
)
MEETINGS = ("{who} met at the {place} on {day}", "on {day} {who} met at the {place}")
MOST_SENTENCES = 40


def questions(
    n: Natural,
    seed: Natural = 0,
    part: str = "train",
    sentences: tuple[int, int] = (3, 5),
    unanswerable: Share = 0.25,
) -> list[Question]:
    """A context of several sentences, and a question about one of them.

    The rule: each sentence says who was where on which day. "where did anna go on monday ?" is answered by
    the place ("the paris museum"), "who was at the park on monday ?" by the person, "who met at the park on
    monday ?" by both ("anna and her sister"). No two sentences of a context share person and day, or share
    their place; but the person occurs with other days and the day with other people, so that one clue alone
    points to several places. A question without an answer asks for a person and a day, or a place and a day,
    that both occur, though not together.

    Args:
        sentences: fewest and most sentences of a context. With (20, 30) it no longer fits into 128 positions.
        unanswerable: share of questions without an answer (`kind` "none"; of the others "where" or "who").
    """
    if not 3 <= sentences[0] <= sentences[1] <= MOST_SENTENCES:
        raise refusal("sentences", f"(fewest, most) from 3 to {MOST_SENTENCES}", sentences)
    return draw(n, seed, part, lambda rng: ask(rng, sentences, unanswerable), lambda item: item.context)


@dataclass(frozen=True)
class Fact:
    """`name`, alone or (if `who` says more than the name) with somebody, was at `place` on `day`."""

    name: str
    who: str
    place: str
    day: str


def facts(rng: Rng, count: Count) -> list[Fact]:
    """`count` facts that differ in place, and in person or day."""
    # Few people and days for the number of facts, so that most occur more than once.
    few = 2 + count // 4
    names, days = rng.permutation(toy_grammar.PERSONS)[:few], rng.permutation(DAYS)[:few]
    cells = [(str(name), str(day)) for name in names for day in days]
    chosen = [cells[i] for i in rng.permutation(len(cells))[:count]]
    if count <= len(
        PLACES
    ):  # "the park" and "the paris park" in one context would be the same to some readers
        places = [
            f"{one_of(rng, ('', '', *CITIES))} {noun}".strip() for noun in rng.permutation(PLACES)[:count]
        ]
    else:
        named = [f"{city} {noun}" for city in CITIES for noun in PLACES]
        places = [named[i] for i in rng.permutation(len(named))[:count]]
    found = []
    for (name, day), place in zip(chosen, places, strict=True):
        his = "her" if name in toy_grammar.FEMALE else "his"
        company = f" and {his} {one_of(rng, SLOTS['friend'])}" if rng.random() < 0.3 else ""
        found.append(Fact(name, name + company, place, day))
    return found


def ask(rng: Rng, sentences: tuple[int, int], unanswerable: Share) -> Question:
    """Write a context and a question about it."""
    known = facts(rng, int(rng.integers(sentences[0], sentences[1] + 1)))
    context, spans = "", []
    for fact in known:
        template = one_of(rng, STAYS if fact.who == fact.name else MEETINGS)
        sentence = fill(rng, template, name=fact.name, who=fact.who, place=fact.place, day=fact.day)
        spans.append({text: len(context) + sentence.index(text) for text in (fact.who, f"the {fact.place}")})
        context += f"{sentence} . "
    about = int(rng.integers(len(known)))
    name, who, place, day = known[about].name, known[about].who, known[about].place, known[about].day
    wanted = one_of(rng, ("where", "who"))
    has_answer = rng.random() >= unanswerable
    if not has_answer:
        taken = {
            fact.day for fact in known if (fact.name if wanted == "where" else fact.place) in (name, place)
        }
        other_days = sorted({fact.day for fact in known} - taken)
        if not other_days:  # this person is somewhere on every day that occurs
            return ask(rng, sentences, 1.0)
        day = one_of(rng, other_days)
    verb = "was" if who == name else "met"
    question = (
        f"where did {name} go on {day} ?" if wanted == "where" else f"who {verb} at the {place} on {day} ?"
    )
    if not has_answer:
        return Question(question, context.strip(), (), "none")
    answer = f"the {place}" if wanted == "where" else who
    return Question(question, context.strip(), (Answer(answer, spans[about][answer]),), wanted)


def short_questions(
    n: Natural, seed: Natural = 0, part: str = "train", balanced: bool = False
) -> list[Question]:
    """`questions` cut down to two sentences a context: less to search.

    In three contexts of four the sentence that answers is one of the two; in every fourth one, the first to
    begin with, it is left out, and the question has no answer (`kind` "none").

    Args:
        balanced: keep each of the other sentences in turn. If not, the first of them is kept, so that the
            answer stands in the second sentence more often: a hint that was not meant, and that notebook 11
            is about.
    """
    return [
        two_sentences(example, answered=number % 4 > 0, turn=number // 4 if balanced else 0)
        for number, example in enumerate(questions(n, seed, part, unanswerable=0.0))
    ]


def two_sentences(example: Question, answered: bool, turn: Natural = 0) -> Question:
    """A question with an answer, over two sentences of its context: the one that answers and another, or two
    others. `turn` says which other.
    """
    sentences = example.context.removesuffix(" .").split(" . ")
    home = example.context[: example.answers[0].start].count(" . ")
    others = [i for i in range(len(sentences)) if i != home]
    kept = sorted([home, others[turn % len(others)]]) if answered else others[:2]
    context = " . ".join(sentences[i] for i in kept) + " ."
    if not answered:
        return Question(example.question, context, (), "none")
    text = example.answers[0].text
    start = context.index(sentences[home]) + sentences[home].index(text)
    return Question(example.question, context, (Answer(text, start),), example.kind)


# ------------------------------------------------------------------------------------------ pairs

THINGS = ("soup", "bread", "cake", "meal", "rice")


@dataclass(frozen=True)
class Stay:
    """`name` was at `place`, on `day` or (if None) some day."""

    name: str
    place: str
    day: str | None


@dataclass(frozen=True)
class Quality:
    """`thing` was the positive word of the k-th pair of `OPINIONS["fine"]`, or the negative one."""

    thing: str
    pair: int
    positive: bool


def relation(premise: list[Stay | Quality], claim: Stay | Quality) -> int:
    """The label of `claim` in the light of `premise`, by two laws of this small world.

    On one day a person is at one place; of two opposites ("good", "bad") exactly one is true of a thing. What
    is true in every world in which the premise is true is entailed, what is true in none is contradicted, and
    the rest is neutral.
    """
    for fact in premise:
        if isinstance(claim, Quality):
            if isinstance(fact, Quality) and (fact.thing, fact.pair) == (claim.thing, claim.pair):
                return 0 if fact.positive == claim.positive else 2
        elif isinstance(fact, Stay) and fact.name == claim.name:
            if fact.place == claim.place and claim.day in (None, fact.day):
                return 0
            if fact.day == claim.day:
                return 2
    return 1


def pairs(n: Natural, seed: Natural = 0, part: str = "train") -> list[LabelledText]:
    """Premise (`text`) and hypothesis (`text_pair`): 0 entailment, 1 neutral, 2 contradiction, a third each.

    The rule is `relation`. `kind` is "stay" (somebody was somewhere on a day), "some day" (the day is left
    out) or "quality" ("the soup was not bad"). The hypothesis mixes names, places and days of the premise, so
    its words alone tell little.
    """

    def make(rng):
        label = int(rng.integers(len(PAIR_LABELS)))
        names, days = rng.permutation(toy_grammar.PERSONS)[:2].tolist(), rng.permutation(DAYS)[:2].tolist()
        places = rng.permutation(PLACES)[:2].tolist()
        premise: list[Stay | Quality] = [Stay(names[0], places[0], days[0])]
        if rng.random() < 0.4:
            premise.append(Stay(names[rng.integers(2)], places[1], days[1]))
        if rng.random() < 0.5:
            premise.append(Quality(one_of(rng, THINGS), int(rng.integers(4)), bool(rng.random() < 0.5)))
        premise = [premise[i] for i in rng.permutation(len(premise))]
        while True:
            claim = draw_claim(rng, premise, names, places, days)
            if relation(premise, claim) == label:
                break
        kind = "quality" if isinstance(claim, Quality) else "stay" if claim.day else "some day"
        return LabelledText(" and ".join(say(rng, fact) for fact in premise), label, say(rng, claim), kind)

    return draw(n, seed, part, make)


def draw_claim(
    rng: Rng, premise: list[Stay | Quality], names: Words, places: Words, days: Words
) -> Stay | Quality:
    """A claim about the people, places and days of the premise, or about the quality of its thing."""
    known = [fact for fact in premise if isinstance(fact, Quality)]
    if known and rng.random() < 0.6:
        thing = known[0].thing if rng.random() < 0.7 else one_of(rng, THINGS)
        pair = known[0].pair if rng.random() < 0.7 else int(rng.integers(4))
        return Quality(thing, pair, bool(rng.random() < 0.5))
    return Stay(one_of(rng, names), one_of(rng, places), one_of(rng, days) if rng.random() < 0.7 else None)


def say(rng: Rng, fact: Stay | Quality) -> str:
    """One of the ways to put a fact into words."""
    if isinstance(fact, Quality):
        negated = rng.random() < 0.5
        word = OPINIONS["fine"][fact.pair][int(fact.positive == negated)]
        return f"the {fact.thing} was {'not ' if negated else ''}{word}"
    if fact.day is None:
        return f"{fact.name} was at the {fact.place}"
    return fill(rng, one_of(rng, STAYS), name=fact.name, place=fact.place, day=fact.day)


hold_to_hints(globals())
