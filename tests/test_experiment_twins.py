"""The stored experiment of notebook 08: its code does what it says, and its file belongs to this code."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from course_utils import nsp
from course_utils.lessons.nsp import experiment as twins

DOCUMENTS = [[[10 * d + s] for s in range(6)] for d in range(1, 40)]  # a sentence tells where it comes from


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_kinds_of_pairs_have_the_same_first_sentences():
    kinds = [twins.make_pairs(DOCUMENTS, kind, seed=0) for kind in ("elsewhere", "here", "none")]
    assert [[pair.first for pair in pairs] for pairs in kinds].count([p.first for p in kinds[0]]) == 3
    assert {pair.label for pair in kinds[2]} == {nsp.IS_NEXT}


def test_who_knows_that_pairs_are_true_pays_less_and_single_sentences_the_same():
    rows = twins.held_out_rows("true")
    batch, masked_ids, labels, floors = rows[0]
    language = twins.ToyLanguage(seed=twins.HELD_OUT_SEED)
    mixed = [
        language.floors(b.input_ids.numpy(), m.numpy(), t.numpy(), twins.RATE).bidirectional
        for b, m, t, _ in rows
    ]
    known = np.concatenate([f.bidirectional for *_, f in rows])
    assert known.mean() < np.concatenate(mixed).mean()
    batch, masked_ids, labels, floors = twins.held_out_rows("single")[0]
    again = language.floors(batch.input_ids.numpy(), masked_ids.numpy(), labels.numpy(), twins.RATE)
    assert np.allclose(floors.bidirectional, again.bidirectional)


def test_a_twin_without_the_loss_leaves_its_head_as_it_was():
    """And one that was stopped early is the beginning of the run."""
    setup = twins.SETUPS["no loss, true pairs only"]
    (model, _), (again, _) = (twins.train(setup, seed=0, stop=2) for _ in range(2))
    fresh = twins.small_model(len(twins.tokenizer()), 0)
    assert torch.allclose(model.cls.seq_relationship.bias, fresh.cls.seq_relationship.bias)
    words = [m.bert.embeddings.word_embeddings.weight for m in (model, again, fresh)]
    assert torch.equal(words[0], words[1]) and not torch.equal(words[0], words[2])


def test_the_stored_file_belongs_to_this_code():
    stored = twins.load()
    expected = (twins.COMMAND, twins.STEPS, twins.LOG_EVERY, twins.DOCUMENTS, list(twins.SEEDS))
    assert tuple(stored[key] for key in ("command", "steps", "log_every", "documents", "seeds")) == expected
    assert {name: asdict(setup) for name, setup in twins.SETUPS.items()} == {
        name: {key: found[key] for key in asdict(twins.SETUPS[name])}
        for name, found in stored["setups"].items()
    }
    for kind, floor in stored["floors"].items():
        assert floor == pytest.approx(twins.floor(kind), abs=1e-3)
        assert all(min(found[kind]) > floor for found in stored["setups"].values())
    assert stored["sense_baseline"] == pytest.approx(twins.sense_baseline(), abs=1e-4)
