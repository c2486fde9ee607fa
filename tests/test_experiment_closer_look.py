"""The stored answers to what the four rivals leave open: their form, and what takes only seconds."""

import numpy as np
import pytest
import torch

from course_utils.lessons.classification import closer_look
from course_utils.lessons.classification import experiment as rivals
from course_utils.toy.tasks import reviews

STORED = closer_look.load()


def test_the_stored_tables_belong_to_the_settings():
    assert STORED["command"] == closer_look.COMMAND and STORED["seeds"] == list(closer_look.SEEDS)
    jobs = closer_look.all_jobs()
    assert len(set(jobs)) == len(jobs)
    found = {}
    for job in jobs:  # each job's result, by its number among those of its list
        found[job] = jobs.index(job)
    tables = closer_look.as_tables(found)
    assert shape(tables) == shape(STORED)


def shape(tables) -> object:
    """Names and lengths of lists; what a single job found is a leaf."""
    if isinstance(tables, list):
        return len(tables)
    if isinstance(tables, dict):
        return {key: shape(part) for key, part in tables.items()}
    return "value"


def test_the_models_looked_at_are_those_of_the_main_comparison():
    """Trained once more on another processor: each within some reviews, the mean within its spread."""
    stored = rivals.load()["accuracy"]["sentiment"]["fine-tuned"][str(closer_look.SIZE)]
    again = [entry["accuracy"] for entry in STORED["look"]]
    assert abs(np.mean(again) - np.mean(stored)) < rivals.spread(stored)


@pytest.mark.parametrize("name", ["bag of words", "frozen features"])
def test_what_is_cheap_without_dev_comes_out_as_stored(name):
    stored = STORED["no dev"][name]["30"][0]
    assert closer_look.without_dev("topic", name, 30, seed=0) == pytest.approx(stored, abs=0.02)


def test_the_calibration_error_of_known_guesses():
    logits = torch.tensor([[0.0, np.log(4)], [0.0, np.log(4)], [np.log(4), 0.0], [0.0, np.log(4)]])
    # 0.8 each time, right three times in four: 0.05 in one bin
    assert closer_look.calibration_error(logits, torch.tensor([1, 1, 0, 0])) == pytest.approx(0.05, abs=1e-6)


def test_the_best_temperature_is_that_of_the_lowest_loss():
    rng = np.random.default_rng(0)
    logits = torch.tensor(rng.normal(size=(4000, 2)))
    labels = torch.tensor((rng.random(4000) < logits.softmax(-1)[:, 1].numpy()).astype(int))
    assert closer_look.best_temperature(3 * logits, labels) == pytest.approx(3, abs=0.3)


def test_the_verb_that_decides():
    assert closer_look.deciding_verb("the seats were good but i ignored this movie") == "ignored"
    assert closer_look.deciding_verb("i ignored this movie but the seats were good") == ""
    assert closer_look.deciding_verb("i ignored this movie") == ""


def test_windows_hold_every_review_whole_somewhere():
    longest = max(len(review.text.split()) for review in reviews(2000))
    assert longest <= closer_look.ROOM - closer_look.STEP + 1
    for place in ("start", "middle", "end"):
        for review, example in zip(reviews(20, part="test"), closer_look.long_texts(20, place), strict=True):
            assert any(review.text in window for window in closer_look.windows(example.text))
            assert len(example.text.split()) > 3 * closer_look.ROOM
