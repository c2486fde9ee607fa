"""Fine-tuning: scores against sklearn and hand-made cases, windows, freezing, learning rates, seeds,
refusals.
"""

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
    assert finetuning.entity_scores([["O", "O"]], [["O", "O"]])["entity_f1"] == 1
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


def test_accuracy_and_macro_f1_by_hand(monkeypatch):
    """Truth 0 0 0 1, guess 0 0 1 1: accuracy 3/4; F1 of class 0 is 4/5, of class 1 2/3."""
    monkeypatch.setattr(TextClassification, "predict", lambda self, model, examples: np.array([0, 0, 1, 1]))
    scores = REVIEWS.score(None, labelled("abcd", [0, 0, 0, 1]))
    assert scores == pytest.approx({"accuracy": 3 / 4, "macro_f1": (4 / 5 + 2 / 3) / 2})


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

    monkeypatch.setattr(tasks, "run_model", oracle(not_here=20))
    assert task.predict(None, [item]) == [answer.text]  # windows without the answer do not outvote it
    assert task.predict(None, [item], threshold=9.5) == [""]
    assert task.score(None, [item]) == {"exact_match": 1, "span_f1": 1}


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
        def score(self, model, examples):
            seen.update(weights_of(model))
            return super().score(model, examples)

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
    """Dev scores as written; the weights at each evaluation are kept."""

    def __init__(self, scores):
        super().__init__(TOKENIZER, toy_tasks.REVIEW_LABELS)
        self.scores, self.kept = list(scores), []

    def score(self, model, examples):
        self.kept.append(weights_of(model))
        return {"accuracy": self.scores[len(self.kept) - 1]}


@pytest.mark.parametrize(
    ("scores", "best", "epochs"),
    [
        ([0.5, 0.6, 0.9, 0.7, 0.7, 0.7, 1.0], 2, 4),  # patience 2: the 1.0 is never seen
        ([0.5, 0.6, 0.6, 0.7, 0.7, 0.6, 0.9], 3, 5),  # the earliest of equals
        ([0.9, 0.1, 0.2, 0.3, 0.4], 0, 2),  # nothing learnt: the model as it was
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 6, 6),
    ],
)
def test_early_stopping_keeps_the_best(scores, best, epochs, monkeypatch):
    monkeypatch.setattr(finetuning, "mean_loss", lambda *_: 1.0)
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


def test_a_falling_dev_loss_earns_patience(monkeypatch):
    """The score stands still; the loss falls until epoch 3: two more epochs, and the model as it was at
    first.
    """
    losses = iter([1.0, 0.9, 0.8, 0.7, 0.8, 0.9, 0.6])
    monkeypatch.setattr(finetuning, "mean_loss", lambda *_: next(losses))
    task = Scripted([0.0] * 9)
    dev = toy_tasks.reviews(2, part="dev")
    settings = Settings(epochs=8, patience=2, batch_size=8)
    result = finetuning.finetune(
        finetuning.new_model(task, TINY), task, toy_tasks.reviews(8), dev, settings, False
    )
    assert len(result.log) == 6 and result.best_epoch == 0
    assert [entry["dev_loss"] for entry in result.log] == [1.0, 0.9, 0.8, 0.7, 0.8, 0.9]


def test_the_mean_loss_is_that_of_all_rows_at_once():
    model = finetuning.new_model(REVIEWS, TINY).train()
    rows = REVIEWS.encode(toy_tasks.reviews(100))
    batch = finetuning.collate(rows, TOKENIZER.pad_token_id)
    loss = finetuning.mean_loss(model, REVIEWS, rows)
    assert model.training  # left as it was, though dropout was off
    with torch.no_grad():
        assert loss == pytest.approx(float(REVIEWS.loss(model.eval(), batch, None)))


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself Ctrl-C there")
def test_an_interrupt_keeps_the_best_so_far():
    class Interrupted(Scripted):
        def score(self, model, examples):
            if len(self.kept) == 2:  # pressed during the third evaluation
                os.kill(os.getpid(), signal.SIGINT)
            return super().score(model, examples)

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
    ],
)
def test_tagged_words_that_are_refused(example, words):
    with pytest.raises(ValueError, match=words):
        TAGS.encode([example])


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Question("", "anna ran ."), "question of example 0: expected .* got ''"),
        (Question("who ran ?", "  "), "context of example 0: expected .* got '  '"),
        (
            Question("who ran ?", "anna ran .", (Answer("ben", 0),)),
            "answer of example 0: expected what stands at character 0 of its context, 'ann', got 'ben'",
        ),
        (
            Question("who " * 120, "anna ran ."),
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
    assert finetuning.features(model, TOKENIZER, []).shape == (0, 32)


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
