"""Fine-tuning: scores against sklearn and hand-made cases, windows, freezing, learning rates, seeds,
refusals.
"""

import contextlib
import itertools
import os
import signal
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from course_utils import checkpoints, finetuning, tasks
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.finetuning import (
    QuestionAnswering,
    Settings,
    TextClassification,
    TokenClassification,
    labelled,
)
from course_utils.toy import tasks as toy_tasks
from course_utils.toy.language import VOCAB_FILE
from course_utils.toy.tasks import Answer, LabelledText, Question, TaggedWords
from course_utils.wordpiece import WordPieceTokenizer

TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)
TINY = BertConfig(
    vocab_size=len(TOKENIZER),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=128,
)
REVIEWS = TextClassification(TOKENIZER, toy_tasks.REVIEW_LABELS)
TAGS = TokenClassification(TOKENIZER, toy_tasks.ENTITY_TAGS)
QUESTIONS = QuestionAnswering(TOKENIZER)
EXAMPLES = {
    "reviews": (REVIEWS, toy_tasks.reviews),
    "entities": (TAGS, toy_tasks.entities),
    "questions": (QUESTIONS, toy_tasks.questions),
    "pairs": (TextClassification(TOKENIZER, toy_tasks.PAIR_LABELS), toy_tasks.pairs),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small models on many threads wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_run(settings=None, n=24, seed=0):
    model = finetuning.new_model(REVIEWS, TINY, seed)
    dev = toy_tasks.reviews(16, part="dev")
    return finetuning.finetune(
        model, REVIEWS, toy_tasks.reviews(n), dev, settings or Settings(epochs=2), False
    )


def weights_of(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


# ------------------------------------------------------------------------------------------ scores


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        ("O O O", []),
        ("B-PER O B-LOC", [("PER", 0, 1), ("LOC", 2, 3)]),
        ("B-PER I-PER O", [("PER", 0, 2)]),
        ("B-PER B-PER I-PER", [("PER", 0, 1), ("PER", 1, 3)]),  # side by side: two
        ("O I-LOC I-LOC", [("LOC", 1, 3)]),  # no beginning: begins where it is
        ("B-PER I-LOC", [("PER", 0, 1), ("LOC", 1, 2)]),  # another type begins anew
        ("I-PER B-PER I-PER I-PER", [("PER", 0, 1), ("PER", 1, 4)]),
    ],
)
def test_entities_of_hand_made_tags(tags, entities):
    assert finetuning.entities_of(tags.split()) == set(entities)


def test_entity_scores_by_hand():
    truth = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O"]]
    guess = [["B-PER", "O", "O", "B-LOC"], ["B-LOC", "B-LOC"]]
    # Wanted 3, given 4. Right: only the LOC of the first sentence: the PER is cut short, the ORG has the
    # wrong type.
    scores = finetuning.entity_scores(truth, guess)
    assert scores == pytest.approx({"entity_f1": 2 / 7, "entity_precision": 1 / 4, "entity_recall": 1 / 3})


def test_entity_scores_without_entities():
    assert finetuning.entity_scores([["O", "O"]], [["O", "O"]])["entity_f1"] == 0  # nothing found
    assert finetuning.entity_scores([["O", "O"]], [["B-PER", "O"]])["entity_f1"] == 0
    assert finetuning.entity_scores([["B-PER", "O"]], [["O", "O"]])["entity_f1"] == 0


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), min_size=1, max_size=12))
def test_entities_cover_exactly_the_words_that_are_not_outside(tags):
    """By another route: every word inside is in one entity of its type; entities begin at B or a change."""
    found = sorted(finetuning.entities_of(tags), key=lambda entity: entity[1])
    covered = {place: kind for kind, begin, end in found for place in range(begin, end)}
    assert covered == {place: tag[2:] for place, tag in enumerate(tags) if tag != "O"}
    begins = {begin for _, begin, _ in found}
    for place, tag in enumerate(tags):
        fresh = place == 0 or tags[place - 1][2:] != tag[2:] or tag[0] == "B"
        assert (place in begins) == (tag != "O" and fresh)


@pytest.mark.parametrize(
    ("guess", "answer", "exact", "f1"),
    [
        ("the paris museum", "paris museum", 1, 1),  # articles do not count
        ("Paris Museum .", "the paris museum", 1, 1),  # nor do capitals and punctuation
        ("museum", "the paris museum", 0, 2 / 3),  # precision 1, recall 1/2
        ("paris rome", "the paris museum", 0, 1 / 2),
        ("farm", "the paris museum", 0, 0),
        ("", "", 1, 1),
        ("", "farm", 0, 0),
        ("farm", "", 0, 0),
        ("rome rome", "rome", 0, 2 / 3),  # repetitions count
    ],
)
def test_answers_by_hand(guess, answer, exact, f1):
    assert finetuning.exact_match(guess, answer) == exact
    assert finetuning.span_f1(guess, answer) == pytest.approx(f1)


def score(task, truth, guess):
    """The scores of a model that takes examples of these classes for others."""
    examples = labelled(["good film"] * len(truth), truth)
    said = zip(task.encode(examples), torch.eye(len(task.labels))[list(guess)], strict=True)
    return task.scores(examples, said)


def test_accuracy_and_macro_f1_by_hand():
    """Truth 0 0 0 1, guess 0 0 1 1: accuracy 3/4; F1 of class 0 is 4/5, of class 1 2/3."""
    scores = score(REVIEWS, [0, 0, 0, 1], [0, 0, 1, 1])
    assert scores == pytest.approx({"accuracy": 3 / 4, "macro_f1": (4 / 5 + 2 / 3) / 2})


def test_a_class_that_does_not_occur_lowers_no_score():
    task = TextClassification(TOKENIZER, ["a", "b", "c"])
    assert score(task, [0, 1, 1], [0, 1, 1]) == {"accuracy": 1, "macro_f1": 1}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_scores_of_classes_are_those_of_sklearn(pairs):
    from sklearn.metrics import classification_report

    truth, guess = zip(*pairs, strict=True)
    task = TextClassification(TOKENIZER, ["a", "b", "c", "d"])
    report = classification_report(truth, guess, output_dict=True, zero_division=0)
    accuracy = np.mean(np.equal(truth, guess))
    expected = {"accuracy": accuracy, "macro_f1": report["macro avg"]["f1-score"]}
    assert score(task, truth, guess) == pytest.approx(expected)


SCHEMES = {"BIO": ["O", "B-A", "I-A", "B-B", "I-B"]}
SCHEMES["BIOES"] = [*SCHEMES["BIO"], "E-A", "S-A", "E-B", "S-B"]
SCHEMES["BILOU"] = [*SCHEMES["BIO"], "L-A", "U-A", "L-B", "U-B"]


@given(st.data())
def test_scores_of_entities_are_those_of_nervaluate(data):
    """Precision, recall and F1 of the strict evaluation, for sentences of any BIO tags."""
    from nervaluate import Evaluator

    pair = st.integers(1, 9).flatmap(
        lambda n: st.tuples(*[st.lists(st.sampled_from(SCHEMES["BIO"]), min_size=n, max_size=n)] * 2)
    )
    truth, guess = map(list, zip(*data.draw(st.lists(pair, min_size=1, max_size=4)), strict=True))
    strict = Evaluator(truth, guess, tags=["A", "B"], loader="list").evaluate()["overall"]["strict"]
    found = finetuning.entity_scores(truth, guess)
    expected = {"f1": strict.f1, "precision": strict.precision, "recall": strict.recall}
    assert found == pytest.approx({f"entity_{name}": value for name, value in expected.items()})


@pytest.mark.parametrize("scheme", ["BIOES", "BILOU"])
@given(lengths=st.lists(st.tuples(st.sampled_from("OAB"), st.integers(1, 4)), max_size=6))
def test_other_schemes_spell_the_same_entities(scheme, lengths):
    """Stretches written down in BIO and in a scheme that also marks last and only words."""
    last, only = {"BIOES": "ES", "BILOU": "LU"}[scheme]
    bio, other = [], []
    for kind, n in lengths:
        if kind == "O":
            bio, other = bio + ["O"] * n, other + ["O"] * n
        else:
            bio += [f"B-{kind}"] + [f"I-{kind}"] * (n - 1)
            inner = [f"B-{kind}"] + [f"I-{kind}"] * (n - 2) + [f"{last}-{kind}"]
            other += [f"{only}-{kind}"] if n == 1 else inner
    assert finetuning.entities_of(other) == finetuning.entities_of(bio)


def test_an_entity_ends_at_its_last_word():
    assert finetuning.entities_of(["B-A", "E-A", "I-A"]) == {("A", 0, 2), ("A", 2, 3)}
    assert finetuning.entities_of(["S-A", "I-A", "L-A", "E-A"]) == {("A", 0, 1), ("A", 1, 3), ("A", 3, 4)}


@given(st.text("aAtheno .,!-", max_size=12), st.text("aAtheno .,!-", max_size=12))
def test_scores_of_answers_are_those_of_torchmetrics(guess, answer):
    from torchmetrics.functional.text import squad

    wanted = {"answers": {"answer_start": [0], "text": [answer]}, "id": "0"}
    theirs = squad([{"prediction_text": guess, "id": "0"}], [wanted])
    assert 100 * finetuning.exact_match(guess, answer) == theirs["exact_match"]
    assert 100 * finetuning.span_f1(guess, answer) == pytest.approx(float(theirs["f1"]), rel=1e-5)


def test_plain_tags_are_scored_word_by_word():
    """There are no entities among them, so none can be found: the right words count."""
    task = TokenClassification(TOKENIZER, ["NOUN", "VERB", "ADJ"])
    assert task.main_score == "tag_accuracy" and TAGS.main_score == "entity_f1"
    examples = [TaggedWords(("anna", "ran"), ("NOUN", "VERB")), (("good", "film"), ("ADJ", "NOUN"))]
    rows = task.encode(examples)
    always_nouns = [(row, torch.eye(3)[[0] * len(row.input_ids)]) for row in rows]
    assert task.scores(examples, always_nouns) == {"tag_accuracy": 0.5}
    model = finetuning.new_model(task, TINY)
    result = finetuning.finetune(model, task, examples, examples, Settings(epochs=1), False)
    assert result.best_score == max(entry["tag_accuracy"] for entry in result.log)


@pytest.mark.parametrize(
    "labels",
    [["o", "b-per"], ["b-per", "i-per", "O"], ["O", "PER-B"], ["PER-B", "PER-I"], ["B_PER", "I_PER"],
     ["B-PER", "I-PER", "NOUN"], ["B-PER", "M-PER", "E-PER", "S-PER"], ["O", "B-PER", "PER"]],
)  # fmt: skip
def test_tags_in_another_spelling_are_refused_by_name(labels):
    odd = next(label for label in labels if not label.startswith(("O", "B-", "I-", "E-", "S-")))
    with pytest.raises(ValueError, match=f"labels: expected tags of entities .* got '{odd}'"):
        TokenClassification(TOKENIZER, labels)


@pytest.mark.parametrize("labels", [["NOUN", "O"], ["PRP$", "-LRB-"], ["ADJ", "PRON-x"], ["E", "B"]])
def test_plain_tags_of_many_kinds_are_taken(labels):
    assert TokenClassification(TOKENIZER, labels).main_score == "tag_accuracy"


@pytest.mark.parametrize(
    ("truth", "guess", "words"),
    [
        ([["O", "O"]], [["O"]], "guess of sentence 0: expected 2 tags, as in truth, got 1"),
        ([["O"]], [["O"], ["O"]], "guess: expected 1 sentences, as in truth, got 2"),
        ([["NOUN"]], [["NOUN"]], "tag 0: expected O, or the mark .* got 'NOUN'"),
    ],
)
def test_tags_that_cannot_be_compared_are_refused(truth, guess, words):
    with pytest.raises(ValueError, match=words):
        finetuning.entity_scores(truth, guess)


def test_the_best_span_by_brute_force():
    generator = torch.Generator().manual_seed(0)
    for trial in range(50):
        start, end = torch.randn(2, 9, generator=generator)
        origins = [None, None, None, *[(k, k + 1) for k in range(5)], None]
        longest = trial % 5 + 1
        spans = [(i, j) for i in range(3, 8) for j in range(i, min(8, i + longest))]
        best = max(spans, key=lambda span: start[span[0]] + end[span[1]])
        assert finetuning.best_span(start, end, origins, longest)[1:] == best


def test_class_weights_are_those_of_sklearn():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 7 + [1] * 2 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert finetuning.class_weights(np.bincount(labels)).numpy() == pytest.approx(expected)
    assert finetuning.class_weights(np.array([3, 0, 3])).tolist() == [1, 1, 1]


# ------------------------------------------------------------------------------------------ rows


def test_tags_stand_at_first_pieces():
    words = ("anna", "zzz", "visited", "rome")  # the middle two are cut into pieces
    row = TAGS.encode([TaggedWords(words, ("B-PER", "I-PER", "O", "B-LOC"))])[0]
    pieces = [TOKENIZER.tokenize(word) for word in words]
    expected = [-100]
    for cut, tag in zip(pieces, (1, 2, 0, 3), strict=True):
        expected += [tag] + [-100] * (len(cut) - 1)
    assert row.target == [*expected, -100]
    assert [place for place in row.origins if place >= 0] == [0, 1, 2, 3]
    assert TOKENIZER.convert_ids_to_tokens(row.input_ids) == ["[CLS]", *itertools.chain(*pieces), "[SEP]"]


def test_the_target_of_a_question_is_its_answer():
    for item, row in zip(toy_tasks.questions(100), QUESTIONS.encode(toy_tasks.questions(100)), strict=True):
        first, last = row.target
        if not item.answers:
            assert (first, last) == (0, 0)
        else:
            assert item.context[row.origins[first][0] : row.origins[last][1]] == item.answers[0].text
            assert TOKENIZER.decode(row.input_ids[first : last + 1]) == item.answers[0].text


def test_windows_cover_the_context_and_overlap():
    task = QuestionAnswering(TOKENIZER, max_length=64, stride=20)
    items = toy_tasks.questions(20, sentences=(20, 30))
    rows = task.encode(items)
    for number, item in enumerate(items):
        windows = [row for row in rows if row.example == number]
        seen = [[origin for origin in row.origins if origin] for row in windows]
        whole = TOKENIZER.encode(item.context, add_special_tokens=False).offsets
        assert sorted(set(itertools.chain(*seen))) == whole
        assert all(len(row.input_ids) <= 64 for row in windows)
        assert all(right[0] == whole[whole.index(left[0]) + 20] for left, right in itertools.pairwise(seen))
        assert not any(set(window) <= set(seen[k]) for k, window in enumerate(seen[1:]))  # none for nothing
        found = [row for row in windows if row.target != (0, 0)]
        assert len(found) >= bool(item.answers)
        for row in found:
            first, last = row.target
            assert item.context[row.origins[first][0] : row.origins[last][1]] == item.answers[0].text


@given(st.data())
def test_every_piece_of_a_context_is_in_a_window(data):
    """By brute force, for contexts, rows, strides and questions of any length; or the gap is refused."""
    max_length = data.draw(st.integers(8, 40), "max_length")
    stride = data.draw(st.one_of(st.none(), st.integers(1, 45)), "stride")
    asked, length = data.draw(st.integers(1, 40), "asked"), data.draw(st.integers(1, 130), "length")
    task = QuestionAnswering(TOKENIZER, max_length, stride)
    room = max_length - asked - 3
    item = Question("who " * asked, "good " * length)
    starts = range(0, length, task.stride)
    # With a window at every start there is no gap, if any windows of this stride leave none.
    covered = {place for start in starts for place in range(start, start + max(room, 0))}
    if not covered >= set(range(length)):
        with pytest.raises(ValueError, match="question of example 0: expected to leave"):
            task.encode([item])
        return
    rows = task.encode([item])
    assert {origin for row in rows for origin in row.origins if origin} == {
        (5 * place, 5 * place + 4) for place in range(length)
    }
    assert all(asked + 3 < len(row.input_ids) <= max_length for row in rows)  # no window is empty


@pytest.mark.parametrize("length", [*range(50, 68), 300])
def test_short_rows_read_the_whole_context(length):
    task = QuestionAnswering(TOKENIZER, max_length=64)
    model = finetuning.new_model(task, TINY)
    item = Question("who ran ?", "good " * (length - 1) + "anna", (Answer("anna", 5 * (length - 1)),))
    rows = task.encode([item])
    assert any(row.target != (0, 0) for row in rows)
    assert task.predict(model, [item], threshold=-1e9)[0] in item.context


def test_prediction_joins_the_windows(monkeypatch):
    """The best span of all windows wins, unless "not here" wins in the window that believes least in it."""
    task = QuestionAnswering(TOKENIZER, max_length=64, stride=20)
    item = next(item for item in toy_tasks.questions(9, sentences=(20, 20)) if item.answers)
    answer = item.answers[0]

    def oracle(not_here):
        def run(model, task, rows):
            for row in rows:
                start, end = torch.zeros(2, len(row.input_ids))
                start[0] = not_here
                for place, origin in enumerate(row.origins):
                    if origin and origin[0] == answer.start:
                        start[place], start[0] = 5, 1
                    if origin and origin[1] == answer.end:
                        end[place] = 5
                yield row, (start, end)

        return run

    model = torch.nn.Module()
    monkeypatch.setattr(tasks, "run_model", oracle(not_here=20))
    assert task.predict(model, [item]) == [answer.text]  # windows without the answer do not outvote it
    assert task.predict(model, [item], threshold=9.5) == [""]
    assert task.score(model, [item]) == {"exact_match": 1, "span_f1": 1}


def test_padding_changes_nothing():
    """A text alone and in a batch of longer ones: the same probabilities; in the order that was asked for."""
    model = finetuning.new_model(REVIEWS, TINY)
    texts = [example.text for example in toy_tasks.reviews(40)]
    together = REVIEWS.predict_proba(model, texts)
    alone = np.vstack([REVIEWS.predict_proba(model, [text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-6)
    assert together.sum(axis=1) == pytest.approx(1)


def test_what_one_predicts_from():
    model = finetuning.new_model(EXAMPLES["pairs"][0], TINY)
    example = toy_tasks.pairs(1)[0]
    task = EXAMPLES["pairs"][0]
    by_tuple = task.predict_proba(model, [(example.text, example.text_pair)])
    assert by_tuple == pytest.approx(task.predict_proba(model, [example]))
    assert task.predict_proba(model, []).shape == (0, 3)
    tags = finetuning.new_model(TAGS, TINY)
    sentence = toy_tasks.entities(1)[0]
    assert TAGS.predict(tags, [sentence.words]) == TAGS.predict(tags, [sentence])


# ------------------------------------------------------------------------------------------ the loss


def test_balance_weighs_the_loss():
    model = finetuning.new_model(REVIEWS, TINY)
    rows = REVIEWS.encode(labelled(["good film"] * 3 + ["bad film"], [1, 1, 1, 0]))
    batch = finetuning.collate(rows, TOKENIZER.pad_token_id)
    with torch.no_grad():
        nats = -model(batch["input_ids"]).logits.log_softmax(-1)
        plain = REVIEWS.loss(model, batch, None)
        balanced = REVIEWS.loss(model, batch, finetuning.class_weights(np.array([1, 3])))
    assert plain == pytest.approx(float((3 * nats[0, 1] + nats[3, 0]) / 4))
    assert balanced == pytest.approx(float((nats[0, 1] + nats[3, 0]) / 2))  # each class counts half


def test_the_loss_of_tags_is_over_labelled_tokens():
    model = finetuning.new_model(TAGS, TINY)
    batch = finetuning.collate(TAGS.encode(toy_tasks.entities(6)), TOKENIZER.pad_token_id)
    with torch.no_grad():
        output = model(batch["input_ids"], batch["attention_mask"], labels=batch["target"])
        assert TAGS.loss(model, batch, None) == pytest.approx(float(output.loss))
        by_hand = F.cross_entropy(output.logits[batch["target"] >= 0], batch["target"][batch["target"] >= 0])
    assert float(output.loss) == pytest.approx(float(by_hand))


# ---------------------------------------------------------------------------------------- model and optimiser


def test_a_new_model_has_the_pretrained_encoder():
    pretrained = BertForPreTraining(TINY)
    for task, _ in EXAMPLES.values():
        model = finetuning.new_model(task, pretrained)
        for name, tensor in model.bert.state_dict().items():
            assert torch.equal(tensor, pretrained.bert.state_dict()[name])
        one, other = (
            finetuning.new_model(task, pretrained, seed=1),
            finetuning.new_model(task, pretrained, seed=2),
        )
        head = finetuning.parts_of(one)[-1][1][0], finetuning.parts_of(other)[-1][1][0]
        assert not torch.equal(*head)


def test_building_a_model_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    tiny_run(Settings(epochs=1))
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("what", "frozen"),
    [
        ("nothing", []),
        ("embeddings", ["bert.embeddings"]),
        (0, ["bert.embeddings"]),
        (1, ["bert.embeddings", "bert.encoder.layer.0"]),
        ("encoder", ["bert"]),
    ],
)
def test_frozen_parts_get_no_gradient_and_do_not_move(what, frozen):
    model = finetuning.new_model(REVIEWS, TINY)
    before = weights_of(model)
    finetuning.freeze(model, what)
    batch = finetuning.collate(REVIEWS.encode(toy_tasks.reviews(4)), TOKENIZER.pad_token_id)
    REVIEWS.loss(model, batch, None).backward()
    for name, p in model.named_parameters():
        assert (p.grad is None) == any(name.startswith(part + ".") for part in frozen), name
    settings = Settings(epochs=1, freeze=what, learning_rate=1e-2)
    train, dev = toy_tasks.reviews(16, seed=1), toy_tasks.reviews(8, part="dev")
    # A run keeps its best weights, which may be the first: look at what the optimiser moved instead.
    moved = optimised(model, train, dev, settings)
    for name, tensor in moved.items():
        unused = name == "bert.embeddings.token_type_embeddings.weight"
        is_frozen = any(name.startswith(part + ".") for part in frozen)
        assert torch.equal(tensor, before[name]) == is_frozen or unused, name


def optimised(model, train, dev, settings) -> dict[str, torch.Tensor]:
    """The weights after the last step, best on dev or not."""
    seen = {}

    class Watched(TextClassification):
        def evaluate(self, model, *inputs):
            seen.update(weights_of(model))
            return super().evaluate(model, *inputs)

    finetuning.finetune(model, Watched(TOKENIZER, toy_tasks.REVIEW_LABELS), train, dev, settings, False)
    return seen


def test_a_frozen_model_thaws():
    model = finetuning.new_model(REVIEWS, TINY)
    finetuning.freeze(model, "encoder")
    finetuning.freeze(model, "nothing")
    assert all(p.requires_grad for p in model.parameters())


def test_learning_rates_fall_from_layer_to_layer():
    model = finetuning.new_model(REVIEWS, TINY)
    groups = finetuning.parameter_groups(model, Settings(layer_decay=0.5))
    shares = {group["name"]: group["share"] for group in groups}
    assert shares == {"head": 1, "pooler": 1, "layer 2": 0.5, "layer 1": 0.25, "embeddings": 0.125}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    assert all((p.dim() > 1) == (group["weight_decay"] > 0) for group in groups for p in group["params"])


def test_layer_decay_reaches_the_optimiser():
    """The first step of AdamW moves every weight by its learning rate: below, by less."""
    model = finetuning.new_model(REVIEWS, TINY, dropout=0.0)
    before = weights_of(model)
    settings = Settings(layer_decay=0.1, weight_decay=0.0, warmup_share=0.0, batch_size=8, epochs=1)
    moved = optimised(model, toy_tasks.reviews(8), toy_tasks.reviews(4, part="dev"), settings)
    step = {name: float((moved[name] - before[name]).abs().max()) for name in moved}
    assert step["classifier.weight"] == pytest.approx(5e-4, rel=0.05)
    assert step["bert.encoder.layer.1.output.dense.weight"] == pytest.approx(5e-5, rel=0.05)
    assert step["bert.encoder.layer.0.output.dense.weight"] == pytest.approx(5e-6, rel=0.05)


# ------------------------------------------------------------------------------------------ the loop


def test_same_seed_same_weights():
    one, same, other = tiny_run(), tiny_run(), tiny_run(Settings(epochs=2, seed=1))
    assert one.log == same.log
    assert all(
        torch.equal(a, b) for a, b in zip(one.model.parameters(), same.model.parameters(), strict=True)
    )
    assert one.log[1]["loss"] != other.log[1]["loss"]


class Scripted(TextClassification):
    """Dev scores and losses as written; the weights at each evaluation are kept."""

    def __init__(self, scores, losses=(1.0,) * 99):
        super().__init__(TOKENIZER, toy_tasks.REVIEW_LABELS)
        self.script, self.kept = list(zip(scores, losses, strict=False)), []

    def evaluate(self, model, examples, rows, weights=None):
        self.kept.append(weights_of(model))
        score, loss = self.script[len(self.kept) - 1]
        return {"accuracy": score}, loss


@pytest.mark.parametrize(
    ("scores", "best", "epochs"),
    [
        ([0.5, 0.6, 0.9, 0.7, 0.7, 0.7, 1.0], 2, 4),  # patience 2: the 1.0 is never seen
        ([0.5, 0.6, 0.6, 0.7, 0.7, 0.6, 0.9], 3, 5),  # the earliest of equals
        ([0.9, 0.1, 0.2, 0.3, 0.4], 0, 2),  # nothing learnt: the model as it was
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 6, 6),
    ],
)
def test_early_stopping_keeps_the_best(scores, best, epochs):
    task = Scripted(scores)
    model = finetuning.new_model(task, TINY)
    settings = Settings(epochs=6, patience=2, batch_size=4)
    train = toy_tasks.reviews(8)
    dev = toy_tasks.reviews(2, part="dev")
    result = finetuning.finetune(model, task, train, dev, settings, False)
    assert (result.best_epoch, result.best_score, len(result.log) - 1) == (best, scores[best], epochs)
    assert [entry["epoch"] for entry in result.log] == list(range(epochs + 1))
    final = weights_of(result.model)
    assert all(torch.equal(final[name], tensor) for name, tensor in task.kept[best].items())
    assert not any(torch.equal(final["classifier.weight"], kept["classifier.weight"])
                   for epoch, kept in enumerate(task.kept) if epoch != best)  # fmt: skip


def test_a_falling_dev_loss_earns_patience():
    """The score stands still; the loss falls until epoch 3: two more epochs, and the model as it was at
    first.
    """
    task = Scripted([0.0] * 9, [1.0, 0.9, 0.8, 0.7, 0.8, 0.9, 0.6])
    dev = toy_tasks.reviews(2, part="dev")
    settings = Settings(epochs=8, patience=2, batch_size=8)
    result = finetuning.finetune(
        finetuning.new_model(task, TINY), task, toy_tasks.reviews(8), dev, settings, False
    )
    assert len(result.log) == 6 and result.best_epoch == 0
    assert [entry["dev_loss"] for entry in result.log] == [1.0, 0.9, 0.8, 0.7, 0.8, 0.9]


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_pass_gives_scores_and_the_mean_loss_of_all_rows(name, monkeypatch):
    """The loss is that of one batch of all rows; for questions of rows one by one, which need no padding."""
    task, make = EXAMPLES[name]
    examples, model = make(100), finetuning.new_model(task, TINY).train()
    rows = task.encode(examples)
    weights = None if name == "questions" else torch.linspace(1, 2, len(task.labels))
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    scores, loss = task.evaluate(model, examples, rows, weights)
    assert len(passes) == -(-len(rows) // 64)
    assert model.training  # left as it was, though dropout was off
    assert scores == task.score(model, examples)
    batches = [[row] for row in rows] if name == "questions" else [rows]
    with torch.no_grad():
        model.eval()
        losses = [float(task.loss(model, finetuning.collate(b, 0), weights)) for b in batches]
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_dev_is_encoded_once(monkeypatch):
    read = []
    encode = TextClassification.encode
    monkeypatch.setattr(
        TextClassification, "encode", lambda self, examples: read.append(examples) or encode(self, examples)
    )
    assert len(tiny_run(Settings(epochs=2)).log) == 3
    assert len(read) == 2  # the examples to learn from, and dev


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself Ctrl-C there")
class Killed(Exception):
    pass


def saved_run(path, stop_after=None, killed=True, **how):
    """A run of four epochs of three steps, with dropout; `stop_after` steps it is killed or interrupted."""
    model, steps = finetuning.new_model(REVIEWS, TINY, seed=1), []

    class Stopped(TextClassification):
        def loss(self, *arguments):
            loss = super().loss(*arguments)
            steps.append(model.training)  # looks at dev do not count
            if sum(steps) == stop_after and model.training:
                if killed:
                    raise Killed
                os.kill(os.getpid(), signal.SIGINT)
            return loss

    task = Stopped(TOKENIZER, toy_tasks.REVIEW_LABELS)
    settings = Settings(epochs=4, batch_size=8, learning_rate=5e-3, patience=how.pop("patience", 4))
    dev = toy_tasks.reviews(16, part="dev")
    return finetuning.finetune(model, task, toy_tasks.reviews(24), dev, settings, False, path, **how)


def assert_same_result(one, other):
    assert (one.log, one.best_epoch, one.best_score) == (other.log, other.best_epoch, other.best_score)
    other_weights = weights_of(other.model)
    assert all(torch.equal(value, other_weights[name]) for name, value in weights_of(one.model).items())


@pytest.mark.parametrize("stop_after", [4, 6, 8, 12])
@pytest.mark.parametrize("killed", [True, False])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, stop_after, killed):
    """Killed, it goes on from the last whole epoch; at Ctrl-C from the step where it was."""
    if os.name == "nt" and not killed:
        pytest.skip("a process cannot send itself Ctrl-C there")
    whole = saved_run(tmp_path / "whole")
    assert len({entry["loss"] for entry in whole.log}) == 5  # it did learn
    with contextlib.suppress(Killed):
        assert saved_run(tmp_path / "cut", stop_after, killed).interrupted
    torch.manual_seed(7)  # where the process is must not matter
    assert_same_result(saved_run(tmp_path / "cut", resume=True), whole)


def test_a_run_that_had_ended_takes_no_step_more(tmp_path):
    early = saved_run(tmp_path / "state", patience=1)
    assert len(early.log) < 5
    assert_same_result(saved_run(tmp_path / "state", resume=True, patience=1), early)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": Settings(epochs=1, clip=2.0)}, "settings: expected those of .*state, got another clip"),
        ({"train": toy_tasks.reviews(9)}, "examples: expected those of .*state, got another train"),
        ({"dev": toy_tasks.reviews(9)}, "examples: .* another dev"),
        ({"task": TextClassification(TOKENIZER, ["bad", "good"])}, "model: .* another labels"),
        ({"save_to": None}, "save_to: expected the file of a saved state to resume from, got None"),
    ],
)
def test_a_state_of_another_run_is_refused(tmp_path, change, message):
    own = {
        "model": finetuning.new_model(REVIEWS, TINY),
        "task": REVIEWS,
        "train": toy_tasks.reviews(8),
        "dev": toy_tasks.reviews(8, part="dev"),
        "settings": Settings(epochs=1),
        "progress": False,
        "save_to": tmp_path / "state",
    }
    finetuning.finetune(**own)
    with pytest.raises(ValueError, match=message):
        finetuning.finetune(**own | change, resume=True)


def test_an_interrupt_keeps_the_best_so_far():
    class Interrupted(Scripted):
        def evaluate(self, *inputs):
            if len(self.kept) == 2:  # pressed during the third evaluation
                os.kill(os.getpid(), signal.SIGINT)
            return super().evaluate(*inputs)

    task = Interrupted([0.5, 0.8, 0.6, 0.9, 0.9])
    model = finetuning.new_model(task, TINY)
    dev = toy_tasks.reviews(2, part="dev")
    settings = Settings(epochs=9, batch_size=2)
    result = finetuning.finetune(model, task, toy_tasks.reviews(8), dev, settings, False)
    assert result.interrupted and result.best_epoch == 1 and len(result.log) == 3
    final = weights_of(result.model)
    assert all(torch.equal(final[name], tensor) for name, tensor in task.kept[1].items())


@pytest.mark.filterwarnings("ignore:rare classes")
def test_each_head_learns_a_little_from_the_embedded_model():
    """Six examples, shown again and again, are learnt by heart: data, loss and score agree."""
    pretrained, _ = checkpoints.load("embedded")
    for name, (task, make) in EXAMPLES.items():
        examples = make(6, seed=1)
        model = finetuning.new_model(task, pretrained, dropout=0.0)
        settings = Settings(epochs=20, batch_size=6, patience=20, learning_rate=2e-3)
        result = finetuning.finetune(model, task, examples, examples, settings, False)
        assert result.best_score == 1, name
        assert result.log[-1]["loss"] < result.log[1]["loss"] / 2, name


# ------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        (
            labelled(["good film", " "], [1, 0]),
            "text of example 1: expected a text with at least one word, got ' '",
        ),
        (
            labelled(["good", "bad"], [1, 2]),
            r"label of example 1: expected 0 to 1 \(negative, positive\), got 2",
        ),
        (labelled(["good", "bad"], [-1, 0]), "label of example 0: expected .* got -1"),
        (labelled(["good"], [1], [""]), "text_pair of example 0: expected .* got ''"),
        (labelled(["good", "\u200b"], [1, 0]), r"text of example 1: expected .* got '\\u200b'"),
        (labelled(["good"], [1], ["\u200b"]), r"text_pair of example 0: expected .* got '\\u200b'"),
        (labelled(["good"], ["dull"]), r"label of example 0: expected 0 to 1 .* got 'dull'"),
        ([("good", 1), ("bad", 0.0)], "label of example 1: expected the name of a class, .* got 0.0"),
        (["good"], r"example 0: expected a LabelledText or a tuple .*text, label.* got 'good'"),
        (
            labelled(["good", "fine"], [1, 1]),
            r"examples: expected two classes or more, got one class only \(positive\)",
        ),
        ([], "examples: expected at least 1 each, got 0 train and 1 dev"),
    ],
)
def test_examples_that_are_refused(examples, words):
    model = finetuning.new_model(REVIEWS, TINY)
    with pytest.raises(ValueError, match=words):
        finetuning.finetune(model, REVIEWS, examples, labelled(["good"], [1]), progress=False)


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (TaggedWords(("anna", ""), ("O", "O")), "word 1 of example 0: expected .* got ''"),
        (TaggedWords(("anna",), ("B-XYZ",)), "tag 0 of example 0: expected O, B-PER, .* got 'B-XYZ'"),
        (TaggedWords(("anna", "ran"), ("O",)), "2 words and 1 tags"),
        (TaggedWords((), ()), "0 words and 0 tags"),
        (TaggedWords("ann", ("O", "O", "O")), "words of example 0: expected a list of strings, got 'ann'"),
        (TaggedWords(("anna",), "O"), "tags of example 0: expected a list of strings, got 'O'"),
        (TaggedWords(("anna",), (["O"],)), r"tag 0 of example 0: expected O, .* got \['O'\]"),
        (TaggedWords(None, ("O",)), "words of example 0: expected a list of strings, got None"),
    ],
)
def test_tagged_words_that_are_refused(example, words):
    with pytest.raises(ValueError, match=words):
        TAGS.encode([example])


@pytest.mark.parametrize("sentence", ["anna", "anna ran", 5, None, {"anna": "ran"}])
def test_a_sentence_is_never_read_letter_by_letter(sentence):
    model = finetuning.new_model(TAGS, TINY)
    with pytest.raises(ValueError, match="words of example 1: expected a list of strings, got "):
        TAGS.predict(model, [["anna"], sentence])


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Question("", "anna ran ."), "question of example 0: expected .* got ''"),
        (Question("who ran ?", "  "), "context of example 0: expected .* got '  '"),
        (Question("who ran ?", "\u200b"), r"context of example 0: expected .* got '\\u200b'"),
        (
            Question("who ran ?", "anna ran .", (Answer("ben", 0),)),
            "answer of example 0: expected what stands at character 0 of its context, 'ann', got 'ben'",
        ),
        (
            Question("who ran ?", "anna ran .", Answer("anna", 0)),
            r"answers of example 0: expected a list of Answer\(text, start\), got Answer\(text='anna', ",
        ),
        (Question("who ran ?", "anna ran .", ("anna", 0)), r"answers of example 0: .* got \('anna', 0\)"),
        (
            Question("who ran ?", "anna ran .", {"text": ["anna"], "answer_start": [0]}),
            "answers of example 0: expected a list of .*, got {'text': ",
        ),
        (Question("who ran ?", "anna ran .", (Answer("anna", 0.0),)), "answers of example 0: .* got "),
        (
            Question("who " * 120, "anna ran . " * 40),
            "expected to leave 64 of max_length=128 pieces .* got 120 pieces, which leave 5",
        ),
    ],
)
def test_questions_that_are_refused(item, words):
    with pytest.raises(ValueError, match=words):
        QUESTIONS.encode([item])


def test_texts_that_are_too_long_are_cut_and_said():
    long = LabelledText("good " * 200, 1)
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 128 pieces"):
        rows = REVIEWS.encode([long, LabelledText("bad", 0)])
    assert len(rows[0].input_ids) == 128 and rows[0].input_ids[-1] == TOKENIZER.sep_token_id
    words = TaggedWords(("anna",) * 130, ("B-PER",) * 130)
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        guess = TAGS.predict(finetuning.new_model(TAGS, TINY), [words])
    assert guess[0][126:] == ("O",) * 4
    plain = TokenClassification(TOKENIZER, ["NOUN", "VERB"])  # a word that was not read is neither
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        assert plain.predict(finetuning.new_model(plain, TINY), [words.words])[0][126:] == ("",) * 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        REVIEWS.encode([LabelledText("good " * 126, 1)])


def test_rare_classes_are_said():
    examples = labelled([f"good film {k}" for k in range(30)], [1] * 29 + [0])
    model = finetuning.new_model(REVIEWS, TINY)
    with pytest.warns(UserWarning, match=r"rare classes: negative \(1 of 30\)"):
        finetuning.finetune(model, REVIEWS, examples, examples, Settings(epochs=1), False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finetuning.finetune(model, REVIEWS, examples, examples, Settings(epochs=1, balance=True), False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0}, {"batch_size": 0}, {"patience": 0}, {"seed": -1},
        {"layer_decay": 0.0}, {"layer_decay": 1.5}, {"warmup_share": 1.0},
        {"freeze": "pooler"}, {"freeze": -1}, {"freeze": True},
    ],
)  # fmt: skip
def test_settings_that_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        Settings(**wrong)


def test_other_misfits_are_refused():
    model = finetuning.new_model(REVIEWS, TINY)
    few = toy_tasks.reviews(8)
    with pytest.raises(ValueError, match="freeze: expected .* at most 2, .* got 3"):
        finetuning.finetune(model, REVIEWS, few, few, Settings(freeze=3), False)
    with pytest.raises(ValueError, match="max_length: expected at most 128, .* got 200"):
        finetuning.finetune(model, TextClassification(TOKENIZER, ["a", "b"], 200), few, few, None, False)
    with pytest.raises(ValueError, match="labels: expected"):
        TextClassification(TOKENIZER, ["a"])
    with pytest.raises(ValueError, match="tokenizer: expected .* of 100 pieces, got one of"):
        finetuning.new_model(REVIEWS, BertConfig(vocab_size=100, hidden_size=24, num_attention_heads=2))
    with pytest.raises(ValueError, match="expected lists of one length, got 1 texts, 2 labels and 1 pairs"):
        labelled(["good"], [1, 0])
    with pytest.raises(ValueError, match="balance: expected False, got True"):
        items = toy_tasks.questions(4)
        finetuning.finetune(
            finetuning.new_model(QUESTIONS, TINY), QUESTIONS, items, items, Settings(balance=True), False
        )


# ------------------------------------------------------------------------------------------ features, disk


def test_frozen_features_by_hand():
    model = finetuning.new_model(REVIEWS, TINY)
    texts = ["good film", "the story was awful but the actors were lovely"]
    for pool in ("cls", "pooler", "mean"):
        together = finetuning.features(model, TOKENIZER, texts, pool)
        for text, vector in zip(texts, together, strict=True):
            with torch.no_grad():
                output = model.bert(torch.tensor([TOKENIZER.encode(text).input_ids]))
            states = output.last_hidden_state[0]
            expected = {"cls": states[0], "pooler": output.pooler_output[0], "mean": states.mean(0)}[pool]
            assert vector == pytest.approx(expected.numpy(), abs=1e-5)
    with pytest.raises(ValueError, match="pool: expected one of cls, pooler, mean, got 'max'"):
        finetuning.features(model, TOKENIZER, texts, "max")
    with pytest.raises(ValueError, match="pool: expected cls or mean, got 'pooler'; .* has no pooler"):
        finetuning.features(finetuning.new_model(TAGS, TINY), TOKENIZER, texts, "pooler")
    assert finetuning.features(model, TOKENIZER, []).shape == (0, 32)


def test_features_keep_the_order_waste_no_padding_and_say_what_is_cut():
    model, seen = finetuning.new_model(REVIEWS, TINY), []
    model.bert.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape)))
    texts = [" ".join(["good film"] * n) for n in (30, 1, 20, 2, 30, 1)]
    vectors = finetuning.features(model, TOKENIZER, texts, batch_size=2)
    assert seen == [(2, 4), (2, 42), (2, 62)]
    alone = [finetuning.features(model, TOKENIZER, [text])[0] for text in texts]
    assert vectors == pytest.approx(np.array(alone), abs=1e-5)
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 128 pieces; their ends are cut off"):
        finetuning.features(model, TOKENIZER, ["good", "good " * 400])
    with pytest.raises(ValueError, match="text of example 1: expected .* got ''"):
        finetuning.features(model, TOKENIZER, ["good", ""])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_features_of_a_model_on_another_device():
    model, texts = finetuning.new_model(REVIEWS, TINY), ["good film", "bad"]
    here = finetuning.features(model, TOKENIZER, texts)
    assert finetuning.features(model.cuda(), TOKENIZER, texts) == pytest.approx(here, abs=1e-4)


def test_names_of_classes_and_tuples_are_taken():
    """Names, numbers of any kind, and tuples: the same rows."""
    rows = REVIEWS.encode(labelled(["bad film", "good film"], [0, 1]))
    assert REVIEWS.encode(labelled(["bad film", "good film"], ["negative", "positive"])) == rows
    assert REVIEWS.encode(labelled(["bad film", "good film"], np.array([0, 1]))) == rows
    assert REVIEWS.encode(labelled(["bad film", "good film"], torch.tensor([0, 1]))) == rows
    assert REVIEWS.encode([("bad film", "negative"), ["good film", 1]]) == rows
    stars = TextClassification(TOKENIZER, ["2", "1"])  # a name that looks like a number is a name
    assert [row.target for row in stars.encode([("good", "1"), ("bad", 1), ("bad", "2")])] == [1, 1, 0]
    with pytest.raises(
        ValueError, match="label of example 1: expected the name of a class, or its number, got 0.9"
    ):
        labelled(["good", "bad"], [1, 0.9])


def test_a_whole_table_is_no_list_of_texts():
    """One of pandas has a length and items, and gives the names of its columns where a list gives values."""

    class Table:
        keys = __iter__ = lambda self: iter(["text", "label"])
        __getitem__ = __len__ = lambda self, *place: 2

    model = finetuning.new_model(REVIEWS, TINY)
    with pytest.raises(ValueError, match="texts: expected a list, got a Table"):
        REVIEWS.predict_proba(model, Table())


def test_occlusion_by_hand():
    model = finetuning.new_model(REVIEWS, TINY)
    p = {text: REVIEWS.predict_proba(model, [text])[0, 1] for text in ("not bad", "not", "bad")}
    expected = [("not", p["not bad"] - p["bad"]), ("bad", p["not bad"] - p["not"])]
    for (word, influence), (other, value) in zip(
        finetuning.occlusion(model, REVIEWS, "not bad", 1), expected, strict=True
    ):
        assert word == other and influence == pytest.approx(value, abs=1e-6)
    with pytest.raises(ValueError, match="text: expected two words or more, got 'bad'"):
        finetuning.occlusion(model, REVIEWS, "bad", 1)
    with pytest.raises(ValueError, match="label: expected the number of a class, 0 to 1, got 2"):
        finetuning.occlusion(model, REVIEWS, "not bad", 2)


@pytest.mark.parametrize("name", EXAMPLES)
def test_saved_and_loaded(tmp_path, name):
    task, make = EXAMPLES[name]
    model = finetuning.new_model(task, TINY, seed=3)
    finetuning.save(tmp_path, model, task)
    again, same_task = finetuning.load(tmp_path)
    assert type(same_task) is type(task) and same_task.labels == task.labels
    examples = make(5)
    for (_, one), (_, other) in zip(
        finetuning.run_model(model, task, task.encode(examples)),
        finetuning.run_model(again, same_task, same_task.encode(examples)),
        strict=True,
    ):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_library_reads_what_was_saved(tmp_path):
    import transformers

    model = finetuning.new_model(REVIEWS, TINY, seed=3)
    finetuning.save(tmp_path, model, REVIEWS)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert theirs.config.id2label == {0: "negative", 1: "positive"}
    ids = torch.tensor([TOKENIZER.encode("good film").input_ids])
    with torch.no_grad():
        assert torch.allclose(theirs(ids).logits, model(ids).logits, atol=1e-5)


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(ValueError, match="folder: expected"):
        finetuning.load(tmp_path)
    with pytest.raises(ValueError, match="expected one of .* got BertForPreTraining"):
        finetuning.load(checkpoints.DATA / "embedded")


def test_a_model_with_more_labels_than_the_task_is_refused():
    few = toy_tasks.topics(4)
    model = finetuning.new_model(TextClassification(TOKENIZER, toy_tasks.TOPIC_LABELS), TINY)
    with pytest.raises(ValueError, match="num_labels of the model: expected the 2 of the task, got 8"):
        finetuning.finetune(model, REVIEWS, few, few, progress=False)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_formats_of_numbers_are_balanced_and_read_too(dtype):
    examples = toy_tasks.reviews(8)
    model = finetuning.new_model(REVIEWS, TINY).to(dtype)
    settings = Settings(epochs=1, balance=True)
    result = finetuning.finetune(model, REVIEWS, examples, examples, settings, progress=False)
    assert np.isfinite(result.log[-1]["dev_loss"])
    vectors = finetuning.features(model, TOKENIZER, ["good film"])
    assert vectors.dtype == np.float32 and np.isfinite(vectors).all()
