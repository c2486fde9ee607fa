"""The stored experiment of notebook 07: its code does what it says, and its file belongs to this code."""

from dataclasses import asdict

import pytest
import torch

from course_utils.lessons.mlm import experiment as masking
from course_utils.mlm import IGNORE_INDEX

TOKENIZER, _ = masking.tokenizer_and_rows()
SPECIAL = torch.tensor(sorted(TOKENIZER.special_ids))


def ordinary_rows(rows: int, seq_len: int) -> torch.Tensor:
    ordinary = torch.tensor([i for i in range(len(TOKENIZER)) if i not in TOKENIZER.special_ids])
    ids = ordinary[torch.randint(len(ordinary), (rows, seq_len), generator=torch.Generator().manual_seed(1))]
    ids[:, 0], ids[:, -1] = TOKENIZER.cls_token_id, TOKENIZER.sep_token_id
    return ids


@pytest.mark.parametrize(
    "shares", [(0.15, 0.8, 0.1), (0.5, 1.0, 0.0), (0.3, 0.0, 1.0), (0.4, 0.0, 0.0), (0.05, 0.5, 0.2)]
)
def test_corrupt_keeps_the_rates_and_touches_nothing_else(shares):
    rate, mask_share, random_share = shares
    ids = ordinary_rows(500, 402)
    before = ids.clone()
    masked_ids, labels = masking.corrupt(ids, TOKENIZER, *shares, torch.Generator().manual_seed(2))
    selected = labels != IGNORE_INDEX
    masked = masked_ids == TOKENIZER.mask_token_id
    changed = selected & ~masked & (masked_ids != ids)
    n, k = 500 * 400, int(selected.sum())

    def within(count, total, p):
        return abs(int(count) - total * p) <= 3 * (total * p * (1 - p)) ** 0.5

    assert torch.equal(ids, before) and not (selected & torch.isin(ids, SPECIAL)).any()
    assert torch.equal(labels[selected], ids[selected]) and torch.equal(masked_ids[~selected], ids[~selected])
    assert within(k, n, rate) and within(masked.sum(), k, mask_share)
    assert within(changed.sum(), k, random_share * (1 - 1 / (len(TOKENIZER) - len(SPECIAL))))
    assert not torch.isin(masked_ids[changed], SPECIAL).any()


def test_the_three_losses_are_taken_where_they_say():
    ids = ordinary_rows(20, 30)
    masked_ids, labels = masking.corrupt(ids, TOKENIZER, 0.5, generator=torch.Generator().manual_seed(3))
    places = {
        over: masking.loss_labels(ids, masked_ids, labels, TOKENIZER, over) != IGNORE_INDEX
        for over in ("selected", "masked", "everything")
    }
    assert torch.equal(places["selected"], labels != IGNORE_INDEX)
    assert torch.equal(places["masked"], masked_ids == TOKENIZER.mask_token_id)
    assert torch.equal(places["everything"], ~torch.isin(ids, SPECIAL))


def test_the_stored_file_belongs_to_this_code():
    stored = masking.load()
    assert (stored["command"], stored["steps"], stored["log_every"]) == (
        masking.COMMAND,
        masking.STEPS,
        masking.LOG_EVERY,
    )
    assert stored["seeds"] == list(masking.SEEDS)
    assert {name: asdict(setup) for name, setup in masking.SETUPS.items()} == {
        name: {key: found[key] for key in asdict(masking.SETUPS[name])}
        for name, found in stored["setups"].items()
    }
    floors = masking.held_out_rows().floors
    for kind in masking.KINDS:
        assert stored["floors"][kind] == pytest.approx(floors.mean(kind), abs=1e-3)
    assert stored["sense_baseline"] == pytest.approx(masking.sense_baseline(), abs=1e-4)


def test_no_stored_model_is_better_than_the_best_possible():
    stored = masking.load()
    for found in stored["setups"].values():
        assert min(found["mask"]) > stored["floors"]["mask"]["bidirectional"]
        assert min(found["random"]) > stored["floors"]["random"]["bidirectional"]


def test_a_run_stopped_early_is_the_beginning_of_the_run():
    first, curve = masking.train(masking.SETUPS["100/0/0"], seed=0, stop=3)
    again, _ = masking.train(masking.SETUPS["100/0/0"], seed=0, stop=3)
    other, _ = masking.train(masking.SETUPS["100/0/0"], seed=1, stop=3)
    weights = [model.bert.embeddings.word_embeddings.weight for model in (first, again, other)]
    assert curve == [] and torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_foolish_number_of_processes_is_refused(capsys):
    with pytest.raises(SystemExit):
        masking.main(["--processes", "0"])
    assert "--processes: expected a whole number from 1, got 0" in capsys.readouterr().err
