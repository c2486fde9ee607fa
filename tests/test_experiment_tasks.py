"""The stored learning curves of notebook 11: their form, and the examples that they are made with."""

from dataclasses import replace

from course_utils.lessons.tasks import experiment
from course_utils.toy.tasks import Answer, Question, Stay, relation, short_questions

STORED = experiment.load()


def test_the_stored_tables_belong_to_the_settings():
    assert STORED["command"] == experiment.COMMAND and STORED["seeds"] == list(experiment.SEEDS)
    assert (STORED["dev"], STORED["test"]) == (experiment.DEV, experiment.TEST)
    for kind, sizes in experiment.SIZES.items():
        assert list(STORED[kind]) == [str(size) for size in sizes]
        assert all(len(runs) == len(experiment.SEEDS) for runs in STORED[kind].values())
    asked = [e for e in short_questions(experiment.TEST, part="test") if e.kind == "where"]
    counts = {clue: sum(experiment.shared_clue(e) == clue for e in asked) for clue in experiment.CLUES}
    for runs in STORED["answers"].values():
        for run in runs:
            assert {clue: of for clue, (_, of) in run["clues"].items()} == counts
            assert all(right <= of for right, of in run["clues"].values())


def test_recombined_hypotheses_have_their_words_and_their_labels():
    examples = experiment.recombined()
    assert len(set(examples)) == experiment.SWAPPED
    for e in examples:
        assert set(e.text_pair.split()) <= set(e.text.split())
        assert relation([stay(fact) for fact in e.text.split(" and ")], stay(e.text_pair)) == e.label
        assert (e.kind == "a fact") == (e.label == 0)


def stay(text: str) -> Stay:
    name, _, _, _, place, _, day = text.split()
    return Stay(name, place, day)


def test_what_the_other_sentence_shares():
    context = "anna was at the park on monday . {} was at the cafe on {} ."
    for name, day, shared in [
        ("ben", "friday", "neither"),
        ("ben", "monday", "the day"),
        ("anna", "friday", "the person"),
    ]:
        text = context.format(name, day)
        [answer] = [a for e in short_questions(40) for a in e.answers[:1]][:1]
        example = Question("where did anna go on monday ?", text, (type(answer)("the park", 12),), "where")
        assert experiment.shared_clue(example) == shared


def test_pairs_of_one_fact_are_the_first_of_the_task():
    assert experiment.one_fact(20) == experiment.one_fact(30)[:20]
    assert all(" and " not in pair.text for pair in experiment.one_fact(30))


def test_a_part_of_a_question_from_the_other_sentence():
    context = "on monday anna and her sister met at the paris park . ben was at the cafe on {} ."
    question = "who met at the paris park on monday ?"
    example = Question(question, context.format("friday"), (Answer("anna and her sister", 10),), "who")
    assert experiment.asks_for(example, "place") == ("who met at the cafe on monday ?", "ben")
    assert experiment.asks_for(example, "day") == ("who met at the paris park on friday ?", "ben")
    assert experiment.asks_for(example, "verb") == ("who was at the paris park on monday ?", "ben")
    same_day = replace(example, context=context.format("monday"))
    assert experiment.asks_for(same_day, "day") is None
    same_people = replace(example, context=context.format("friday").replace("ben", "anna and her sister"))
    assert experiment.asks_for(same_people, "place") is None
