"""The gold tasks: labels against an independent reading of the text, parts, words, what short cuts reach."""

import itertools
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.toy import tasks as toy_tasks
from course_utils.toy.language import VOCAB_FILE, ToyLanguage
from course_utils.toy.tasks import ENTITY_TAGS, PARTS, Quality, Stay
from course_utils.wordpiece import WordPieceTokenizer

TASKS = (toy_tasks.reviews, toy_tasks.topics, toy_tasks.entities, toy_tasks.questions, toy_tasks.pairs)
WORDS = set(ToyLanguage().words)


def all_text(example) -> str:
    """Every word of an example, of whatever kind."""
    if isinstance(example, toy_tasks.Question):
        return f"{example.question} {example.context}"
    return f"{example.text} {getattr(example, 'text_pair', None) or ''}"


def owner(example) -> str:
    return example.context if isinstance(example, toy_tasks.Question) else example.text


@pytest.mark.parametrize("task", TASKS)
def test_only_words_of_the_language_each_one_piece(task):
    used = {word for example in task(2000) for word in all_text(example).split()}
    assert used - WORDS <= {"."}
    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    assert all(tokenizer.tokenize(word) == [word] for word in used)


@pytest.mark.parametrize("task", TASKS)
def test_parts_never_meet_whatever_the_seeds(task):
    texts = {part: {owner(e) for seed in (0, 1) for e in task(400, seed, part)} for part in PARTS}
    for one, other in itertools.combinations(PARTS, 2):
        assert not texts[one] & texts[other]


@pytest.mark.parametrize("task", TASKS)
def test_more_examples_only_append_and_none_comes_twice(task):
    many = task(300, seed=5)
    assert task(120, seed=5) == many[:120]
    assert len(set(many)) == 300
    assert task(120, seed=6) != many[:120]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("wrong", [{"n": -1}, {"n": 1, "seed": -1}, {"n": 1, "part": "valid"}])
def test_wrong_arguments_are_named(task, wrong):
    with pytest.raises(ValueError, match=r"(n|seed|part): expected .*, got"):
        task(**wrong)


def test_more_examples_than_there_are():
    with pytest.raises(ValueError, match="n: expected at most about 1, .*, got 5"):
        toy_tasks.draw(5, 0, "train", lambda rng: toy_tasks.LabelledText("good film", 1))


def test_shares_of_the_parts():
    parts = Counter(toy_tasks.part_of(f"text {number}") for number in range(20_000))
    assert [round(parts[part] / 20_000, 2) for part in PARTS] == [0.8, 0.1, 0.1]


# ------------------------------------------------------------------------------------------ reviews

POSITIVE = {"good", "lovely", "nice", "perfect", "great", "wonderful", "liked", "loved", "enjoyed"}
NEGATIVE = {"bad", "awful", "dull", "horrible", "terrible", "boring", "hated", "disliked", "ignored"}


def read_review(text: str) -> int:
    """The stated rule by another route: what the last "but" is followed by; opinion words; nots in front."""
    verdicts = set()
    for clause in re.split(r" and ", text.split(" but ")[-1]):
        words = clause.split()
        for place, word in enumerate(words):
            if word in POSITIVE | NEGATIVE:
                turned = "not" in words[:place]
                verdicts.add((word in POSITIVE) != turned)
    (verdict,) = verdicts  # clauses joined by "and" agree
    return int(verdict)


def test_the_label_of_a_review_is_what_its_words_say():
    for example in toy_tasks.reviews(3000, seed=3):
        assert example.label == read_review(example.text), example.text
        words = example.text.split()
        kind = {(0, 0): "plain", (1, 0): "negation", (0, 1): "contrast", (1, 1): "both"}
        assert example.kind == kind["not" in words, "but" in words]


def test_reviews_are_half_positive_and_mostly_hard():
    examples = toy_tasks.reviews(4000)
    assert abs(np.mean([e.label for e in examples]) - 0.5) < 0.03
    kinds = Counter(e.kind for e in examples)
    assert set(kinds) == {"plain", "negation", "contrast", "both"}
    assert min(kinds.values()) > 0.1 * 4000


def test_a_list_of_words_does_not_solve_the_reviews():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = toy_tasks.reviews(3000), toy_tasks.reviews(1000, part="test")
    accuracy = {}
    for longest in (1, 2):
        vectorizer = CountVectorizer(ngram_range=(1, longest), token_pattern=r"\S+")
        model = LogisticRegression(max_iter=2000).fit(
            vectorizer.fit_transform([e.text for e in train]), [e.label for e in train]
        )
        accuracy[longest] = model.score(vectorizer.transform([e.text for e in test]), [e.label for e in test])
    assert 0.55 < accuracy[1] < 0.75, accuracy  # a bag of words
    assert 0.7 < accuracy[2] < 0.9, accuracy  # and of pairs of neighbours, which see "not bad"


# ------------------------------------------------------------------------------------------ topics


def test_the_topic_of_a_sentence_is_one_that_can_write_it():
    """By another route: the topic words of the sentence all belong to a frame or class of the label."""
    from course_utils.toy import grammar as toy_grammar

    written = {topic: set() for topic in toy_grammar.TOPICS}
    for classes in toy_grammar.TOPIC_CLASSES.values():
        for topic, words in classes.items():
            written[topic] |= set(re.split(r"[ /]", words))
    for topic, stages in toy_grammar.TOPIC_FRAMES.items():
        written[topic] |= {word for frames in stages.values() for frame in frames for word in frame.split()}
    general = {word for words in toy_grammar.CLASSES.values() for word in re.split(r"[ /]", words)}
    general |= {
        word for frames in toy_grammar.COMMON_FRAMES.values() for frame in frames for word in frame.split()
    }
    examples = toy_tasks.topics(1500, seed=3)
    for example in examples:
        words = set(example.text.split()) & toy_tasks.TOPICAL_WORDS
        assert words and words <= written[toy_tasks.TOPIC_LABELS[example.label]] | general, example
    labels = np.array([example.label for example in examples])
    assert np.bincount(labels, minlength=8).min() > 0.07 * 1500
    # Independent draws: neighbours agree as often as topics do by chance, one time in eight.
    assert abs((labels[1:] == labels[:-1]).mean() - 1 / 8) < 4 * np.sqrt(1 / 8 * 7 / 8 / 1500)


# ------------------------------------------------------------------------------------------ entities


def test_tags_are_well_formed():
    for example in toy_tasks.entities(2000):
        assert len(example.words) == len(example.tags)
        assert set(example.tags) <= set(ENTITY_TAGS)
        for before, tag in zip(("O", *example.tags), example.tags, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:] != "", example


def test_the_context_settles_ambiguous_words():
    """By another route: rules on the neighbours of each ambiguous word."""
    seen = Counter()
    for example in toy_tasks.entities(3000, seed=1):
        padded = ["^", *example.words, "$", "$"]
        for i, (word, tag) in enumerate(zip(example.words, example.tags, strict=True), start=1):
            before, after = padded[i - 1], padded[i + 1]
            if word == "spring":
                assert tag == ("B-TIME" if before == "in" else "B-LOC")
            elif word in ("paris", "london", "rome", "berlin", "madrid"):
                is_club = after in ("won", "lost", "team", "bank")
                assert tag == ("B-ORG" if is_club else "B-LOC")
            elif word == "rose":
                assert (tag == "O") == (after == "was" and padded[i + 2] == "near")
            elif word in ("black", "white", "green", "brown", "grey"):
                assert (tag == "I-PER") == (before in toy_tasks.FIRST_NAMES)
                assert tag in ("O", "I-PER")
            else:
                continue
            seen[word, tag] += 1
    ambiguous = {word for word, _ in seen if len({tag for other, tag in seen if other == word}) > 1}
    assert len(ambiguous) == 12


def test_a_word_list_does_not_solve_the_entities():
    train, test = toy_tasks.entities(3000), toy_tasks.entities(500, part="test")
    counts = defaultdict(Counter)
    for example in train:
        for word, tag in zip(example.words, example.tags, strict=True):
            counts[word][tag] += 1
    guess = [[counts[w].most_common(1)[0][0] for w in e.words] for e in test]
    from course_utils.finetuning import entity_scores

    assert 0.5 < entity_scores([e.tags for e in test], guess)["entity_f1"] < 0.85


# ------------------------------------------------------------------------------------------ questions

STAY = re.compile(
    r"(?:on (\w+) )?(\w+(?: and (?:his|her) \w+)?) (?:went to|was at|met at) (the [\w ]+?)(?: on (\w+))?$"
)


def read_question(item) -> set[str]:
    """All answers that the context gives, by parsing it sentence by sentence."""
    known = []
    for sentence in item.context.removesuffix(" .").split(" . "):
        early, who, place, late = STAY.fullmatch(sentence).groups()
        known.append((who, place, early or late))
    if found := re.fullmatch(r"where did (\w+) go on (\w+) \?", item.question):
        name, day = found.groups()
        return {place for who, place, when in known if who.split()[0] == name and when == day}
    place, day = re.fullmatch(r"who (?:was|met) at (the [\w ]+) on (\w+) \?", item.question).groups()
    return {who for who, where, when in known if where == place and when == day}


@pytest.mark.parametrize("sentences", [(3, 5), (20, 30)])
def test_the_answer_is_the_one_that_the_context_gives(sentences):
    for item in toy_tasks.questions(600, seed=2, sentences=sentences):
        assert {answer.text for answer in item.answers} == read_question(item), item
        assert (item.kind == "none") == (not item.answers)
        for answer in item.answers:
            assert item.context[answer.start : answer.end] == answer.text
            before, after = item.context[: answer.start], item.context[answer.end :]
            assert (not before or before.endswith(" ")) and after.startswith(" ")  # whole words
        assert sentences[0] <= item.context.count(" .") <= sentences[1]


def test_unanswerable_questions_ask_about_what_occurs():
    items = [item for item in toy_tasks.questions(1000) if item.kind == "none"]
    assert 150 < len(items) < 350
    for item in items:
        asked = item.question.replace("where did ", "").replace(" go on ", "|").replace(" on ", "|")
        for part in re.sub(r"who \w+ at ", "", asked).removesuffix(" ?").split("|"):
            assert part in item.context


def test_one_clue_is_not_enough_for_the_questions():
    """Guessing the place of a sentence with the right person, or the right day, is often wrong."""
    items = [item for item in toy_tasks.questions(1000) if item.question.startswith("where")]
    for group in (1, 2):
        right = []
        for item in items:
            clue = re.fullmatch(r"where did (\w+) go on (\w+) \?", item.question).group(group)
            first = next(s for s in item.context.split(" . ") if clue in s.split())
            guess = STAY.fullmatch(first.removesuffix(" .")).group(3)
            right.append(bool(item.answers) and item.answers[0].text == guess)
        assert np.mean(right) < 0.65


@pytest.mark.parametrize("wrong", [{"sentences": (2, 5)}, {"sentences": (5, 3)}, {"sentences": (3, 41)}])
def test_numbers_of_sentences_out_of_range(wrong):
    with pytest.raises(ValueError, match="sentences: expected .* 3 to 40, got"):
        toy_tasks.questions(1, **wrong)


def test_short_questions_keep_the_answer_or_leave_it_out():
    examples = toy_tasks.short_questions(60)
    assert [not e.answers for e in examples] == [number % 4 == 0 for number in range(60)]
    assert [e.question for e in examples] == [e.question for e in toy_tasks.questions(60, unanswerable=0.0)]
    for e, whole in zip(examples, toy_tasks.questions(60, unanswerable=0.0), strict=True):
        sentences = e.context.removesuffix(" .").split(" . ")
        assert len(sentences) == 2 and all(sentence in whole.context for sentence in sentences)
        for answer in e.answers:
            assert e.context[answer.start : answer.end] == answer.text == whole.answers[0].text
            home = next(s for s in whole.context.split(" . ") if answer.text in s)
            assert home.removesuffix(" .") in sentences
        assert (e.kind == "none") == (not e.answers)


def test_share_of_unanswerable_out_of_range():
    with pytest.raises(ValueError, match="unanswerable: expected 0 <= unanswerable <= 1, got 1.5"):
        toy_tasks.questions(1, unanswerable=1.5)
    assert all(item.kind == "none" for item in toy_tasks.questions(50, unanswerable=1.0))
    assert all(item.answers for item in toy_tasks.questions(50, unanswerable=0.0))


# ------------------------------------------------------------------------------------------ pairs


def in_all_or_no_world(premise, claim, names, places, days) -> int:
    """The label by trying every world: who is where on which day, and which things are good."""
    if isinstance(claim, Quality):
        cells = sorted({(fact.thing, fact.pair) for fact in [*premise, claim] if isinstance(fact, Quality)})
        values = (True, False)
    else:
        cells = list(itertools.product(names, days))
        values = places

    def holds(fact, world) -> bool:
        if isinstance(fact, Quality):
            return world[fact.thing, fact.pair] == fact.positive
        whens = days if fact.day is None else (fact.day,)
        return any(world[fact.name, day] == fact.place for day in whens)

    premise = [fact for fact in premise if type(fact) is type(claim)]
    worlds = (
        dict(zip(cells, choice, strict=True)) for choice in itertools.product(values, repeat=len(cells))
    )
    verdicts = {holds(claim, world) for world in worlds if all(holds(fact, world) for fact in premise)}
    return {(True,): 0, (False,): 2}.get(tuple(verdicts), 1)


NAMES, SPOTS, WHENS = ("anna", "ben"), ("park", "farm", "gym"), ("monday", "friday", "sunday")
stays = st.builds(Stay, st.sampled_from(NAMES), st.sampled_from(SPOTS), st.sampled_from(WHENS))
qualities = st.builds(Quality, st.sampled_from(("soup", "cake")), st.integers(0, 1), st.booleans())


@given(st.lists(stays, min_size=2, max_size=2, unique_by=lambda s: (s.name, s.day)), qualities, st.data())
def test_the_relation_is_truth_in_all_worlds_or_in_none(two, quality, data):
    someday = st.builds(Stay, st.sampled_from(NAMES), st.sampled_from(SPOTS), st.sampled_from((None, *WHENS)))
    claim = data.draw(st.one_of(someday, qualities))
    premise = [*two, quality]
    assert toy_tasks.relation(premise, claim) == in_all_or_no_world(premise, claim, NAMES, SPOTS, WHENS)


def read_clause(text: str):
    """A clause of a pair back into a fact."""
    if found := re.fullmatch(r"the (\w+) was (not )?(\w+)", text):
        thing, negated, word = found.groups()
        pair = next(k for k, words in enumerate(toy_tasks.OPINIONS["fine"]) if word in words)
        return Quality(thing, pair, (word in POSITIVE) != bool(negated))
    early, name, place, late = STAY.fullmatch(text).groups()
    return Stay(name, place, early or late)


def test_the_label_of_a_pair_is_what_its_words_say():
    labels = Counter()
    for example in toy_tasks.pairs(2000, seed=4):
        premise = [read_clause(clause) for clause in example.text.split(" and ")]
        claim = read_clause(example.text_pair)
        assert toy_tasks.relation(premise, claim) == example.label, example
        kind = "quality" if isinstance(claim, Quality) else "stay" if claim.day else "some day"
        assert example.kind == kind
        labels[example.label] += 1
    assert min(labels.values()) > 600


def test_the_hypothesis_alone_and_shared_words_do_not_solve_the_pairs():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = toy_tasks.pairs(3000), toy_tasks.pairs(1000, part="test")

    def shared(example) -> str:
        """The words of the hypothesis, each marked by whether the premise has it too."""
        premise = set(example.text.split())
        return " ".join(f"{w} {w}_{w in premise} any_{w in premise}" for w in example.text_pair.split())

    accuracy = []
    for view in (lambda e: e.text_pair, shared):
        vectorizer = CountVectorizer(token_pattern=r"\S+")
        model = LogisticRegression(max_iter=3000).fit(
            vectorizer.fit_transform([view(e) for e in train]), [e.label for e in train]
        )
        accuracy.append(model.score(vectorizer.transform([view(e) for e in test]), [e.label for e in test]))
    assert accuracy[0] < 0.5 and accuracy[1] < 0.75, accuracy
