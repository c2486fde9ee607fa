"""What the experiments' commands share: nothing is lost when one is interrupted, and what they write has the
stored form.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from course_utils.classroom import experiments
from course_utils.lessons.classification import experiment as rivals
from course_utils.lessons.embeddings import experiment as positions
from course_utils.lessons.family import experiment as family
from course_utils.lessons.mlm import experiment as masking
from course_utils.lessons.modern import experiment as modern
from course_utils.lessons.nsp import experiment as twins
from course_utils.lessons.pretraining import experiment as recipe
from course_utils.lessons.sentence_vectors import experiment as search
from course_utils.lessons.word2vec import experiment as vectors
from course_utils.lessons.your_own_data import experiment as adapting


def note(folder: str, name: str, seed: int) -> dict:
    """A stand-in for a training: leaves a mark each time it is called, and fails once for seed 2."""
    marks = Path(folder) / f"{name}-{seed}"
    called = len(marks.read_text()) if marks.exists() else 0
    marks.write_text("x" * (called + 1))
    if seed == 2 and not called:
        raise KeyError("interrupted")
    return {"loss": seed + 0.123456}


def test_an_interrupted_run_goes_on_and_a_finished_one_is_made_again(tmp_path):
    options = argparse.Namespace(output=tmp_path / "result.json", processes=1)
    jobs = [(str(tmp_path), "a", seed) for seed in range(4)]
    with pytest.raises(KeyError, match="interrupted"):
        experiments.train_all(note, jobs, options)
    assert experiments.unfinished(options.output).is_file() and not options.output.exists()

    found = experiments.train_all(note, jobs, options)
    assert found == {job: {"loss": job[2] + 0.1235} for job in jobs}
    assert [len((tmp_path / f"a-{seed}").read_text()) for seed in range(3)] == [1, 1, 2]
    experiments.finish(options, {"all": list(found.values())})
    assert [path.name for path in tmp_path.glob("*.json")] == ["result.json"]
    assert len(json.loads(options.output.read_text())["all"]) == 4

    experiments.train_all(note, jobs[:1], options)
    assert (tmp_path / "a-0").read_text() == "xx"


def test_what_was_begun_with_other_settings_is_not_gone_on_with(tmp_path):
    options = argparse.Namespace(output=tmp_path / "result.json", processes=1)
    kept = experiments.unfinished(options.output)
    job = (str(tmp_path), "a", 0)
    for mark in ('{"mark": "another", "done": []}', "[]"):
        kept.write_text(mark, encoding="utf-8")
        with pytest.raises(SystemExit, match="was begun with other settings: finish"):
            experiments.train_all(note, [job], options)
        assert kept.read_text(encoding="utf-8") == mark
    kept.unlink()
    assert experiments.train_all(note, [job], options) == {job: {"loss": 0.1235}}


def again(output: str) -> str:
    """A job that starts a second run of the same output; what that says."""
    try:
        experiments.train_all(note, [("", "b", 0)], argparse.Namespace(output=Path(output), processes=1))
    except SystemExit as error:
        return str(error)
    return "no objection"


def test_a_second_run_of_the_same_output_is_refused_while_the_first_is_at_work(tmp_path):
    options = argparse.Namespace(output=tmp_path / "result.json", processes=1)
    [answer] = experiments.train_all(again, [(str(options.output),)], options).values()
    assert answer.startswith("another run is making") and "result.json" in answer


def form(value):
    """The keys of a nested result, and the lengths of its lists."""
    if isinstance(value, dict):
        return {key: form(part) for key, part in value.items()}
    return [form(part) for part in value] if isinstance(value, list) else None


def vector_result(job):
    """One run of the stored experiment of notebook 01."""
    method, sampling, lr, number, dim, seed = job
    stored = vectors.load()["setups"]

    def of(name):
        return {key: values[seed] for key, values in stored[name].items()}

    if method == "counts":
        names = [name.split(" | ")[0] for name in stored if name.endswith(f"| {sampling}")]
        return {name: of(f"{name} | {sampling}") for name in names if not name.startswith(("skip", "cbow"))}
    return of(f"window {number}" if method == "windows" else f"{method} {dim}, rate {lr} | {sampling}")


def modern_result(part, name, rate, seed, steps):
    """One run of the stored experiment of notebook 16."""
    if part == "near" or name == modern.CONTROL:
        return modern.load()["lengths_tested"][f"{name}, near" if part == "near" else name][seed]
    stored = modern.load()[part][name]
    if seed not in modern.TUNING_SEEDS:
        return stored["gaps" if rate == stored["learning_rate"] else "gaps_at_short_rate"][seed]
    if part == "changes" and steps == modern.STEPS:
        return stored["tried_again"][str(rate)][modern.TUNING_SEEDS.index(seed)]
    gap = stored["tried"][str(rate)][modern.TUNING_SEEDS.index(seed)]
    return gap if part == "changes" else dict.fromkeys(modern.BINS, gap)


def adapting_result(kind, name="", *rest):
    """One run of the stored experiment of notebook 17."""
    if kind == "reviews":
        return adapting.load()["adapt"]["reviews"]
    stored = adapting.load()[kind]
    if kind == "adapt":
        return stored[name]
    if kind == "library":
        return stored[name][str(rest[0])][rest[1]]
    if kind == "longer":
        return stored[name][rest[0]]
    return stored[name if kind == "pieces" else f"{name}, {rest[0]}"][0]


RUNS = {
    search: lambda job: (
        search.load()["setups"][job[0]]["runs"][search.SEEDS.index(job[2])]
        if job
        else search.load()["together"]
    ),
    family: lambda job: family.load()["models"][job[0]]["runs"][family.SEEDS.index(job[2])],
    masking: lambda job: {
        key: masking.load()["setups"][job[0]][key][job[1]] for key in (*masking.KINDS, "sense", "curve")
    },
    twins: lambda job: (
        {key: twins.load()["setups"][job[0]][key][job[1]] for key in ("single", "true", "sense", "curve")}
        | dict.fromkeys(("head", "probe"), dict.fromkeys(twins.QUESTIONS, 0.5))
    ),
    positions: lambda job: 2.0 if len(job) == 2 else [2.0] * len(positions.NOTED),
    recipe: lambda job: next(
        table[job[0]] if name == "sgd" else table[job[0]][job[1]]
        for name in ("losses", "sgd", "norms")
        if job[0] in (table := recipe.load()[name])
    ),
    vectors: lambda job: vector_result(job),
    modern: lambda job: modern_result(*job),
    adapting: lambda job: adapting_result(*job),
    rivals: lambda job: 0.5 if job[0] == "rivals" else {"accuracy": 0.5, "masked word loss": 1.0},
}


@pytest.mark.parametrize("module", RUNS, ids=lambda module: module.__name__.split(".")[-2])
def test_a_command_writes_the_form_that_is_stored(module, tmp_path, monkeypatch):
    monkeypatch.setattr(
        module, "train_all", lambda run, jobs, options: {job: RUNS[module](job) for job in jobs}
    )
    path = tmp_path / "result.json"
    assert module.main(["--output", str(path)]) == 0
    assert form(experiments.read(path)) == form(module.load())


# --- How two tables of rivals are compared


def table(values) -> dict:
    return {"accuracy": {"sentiment": {"bag of words": {"10": list(values)}}}}


def test_the_spread_holds_99_times_in_100():
    """By simulation: runs of one distribution, two tables of ten seeds each."""
    rng = np.random.default_rng(0)
    runs = rng.normal(0.7, 0.05, size=(4000, 2, 10))
    missed = sum(bool(rivals.outside(table(first), table(second))) for first, second in runs)
    assert 0.006 < missed / len(runs) < 0.014


def test_another_mean_is_named():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.7, 0.02, size=10), rng.normal(0.8, 0.02, size=10)
    (line,) = rivals.outside(table(first), table(second))
    assert line.startswith("sentiment, bag of words, 10: 0.") and line.endswith(f"again {second.mean():.3f}")
