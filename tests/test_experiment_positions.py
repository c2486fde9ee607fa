"""The stored experiment of notebook 03: its models are what they say, and its file belongs to this code."""

import pytest
import torch

from course_utils.lessons.embeddings import experiment as positions

SHORT = ["[CLS]", "the", "dog", "chased", "the", "cat", "[SEP]"]


def ids() -> torch.Tensor:
    return torch.tensor([positions.tokenizer().convert_tokens_to_ids(SHORT)])


def test_the_stored_file_belongs_to_this_code():
    stored = positions.load()
    assert stored["command"] == positions.COMMAND
    assert stored["noted"] == list(positions.NOTED)
    assert stored["seeds"] == list(positions.SEEDS)
    assert stored["tuning_steps"] == positions.TUNING_STEPS
    assert list(stored["losses"]) == list(positions.KINDS)
    for kind, runs in stored["losses"].items():
        tuning = {rate: stored["tuning"][kind][str(rate)] for rate in positions.RATES}
        assert stored["rate"][kind] == min(tuning, key=tuning.get)
        assert [len(run) for run in runs] == [len(positions.NOTED)] * len(positions.SEEDS)
        assert min(map(min, runs)) > stored["floors"]["bidirectional"]
    for rung, floor in positions.floors().items():
        assert stored["floors"][rung] == pytest.approx(floor, abs=1e-3)


@pytest.mark.parametrize("kind", positions.KINDS)
def test_only_the_models_with_positions_tell_the_order(kind):
    model, head = positions.build(kind, seed=0)
    swapped = ids()[:, [0, 1, 5, 3, 4, 2, 6]]
    with torch.no_grad():
        one, other = (model.eval()(rows).last_hidden_state[0] for rows in (ids(), swapped))
    same = torch.allclose(one, other[[0, 1, 5, 3, 4, 2, 6]], atol=1e-6)
    assert same == (kind == "no positions")
    assert one.shape == (7, 64) and head.out_features == len(positions.tokenizer())
    norms = sum(isinstance(part, torch.nn.LayerNorm) for part in model.modules())
    assert norms == (0 if kind.startswith("no LayerNorm") else 5)


def test_waves_of_equal_distance_have_equal_products():
    table = positions.waves(12, 8)
    products = table @ table.T
    for distance in range(12):
        diagonal = products.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4)


def test_words_are_hidden_and_nothing_else():
    rows, _ = positions.sentences(2, 20)
    blanked, hidden = positions.hide(rows, torch.Generator().manual_seed(0))
    special = torch.isin(rows, torch.tensor(sorted(positions.tokenizer().special_ids)))
    assert not (hidden & special).any() and torch.equal(blanked[~hidden], rows[~hidden])
    assert (blanked[hidden] == positions.tokenizer().mask_token_id).all()
    assert 0.12 < hidden.sum() / (~special).sum() < 0.18
