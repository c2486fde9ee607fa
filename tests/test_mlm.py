"""80/10/10 masking: rates, what is never touched, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import hints, mlm
from course_utils.mlm import IGNORE_INDEX, corrupt, mask_tokens, shown_for
from course_utils.toy.language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer

TOKENIZER = WordPieceTokenizer.from_file(VOCAB_FILE)
SPECIAL = sorted(TOKENIZER.special_ids)
ORDINARY = [i for i in range(len(TOKENIZER)) if i not in TOKENIZER.special_ids]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ordinary_batch(rows: int, seq_len: int) -> torch.Tensor:
    return torch.tensor(ORDINARY)[torch.randint(len(ORDINARY), (rows, seq_len), generator=seeded(99))]


@pytest.fixture(scope="module", params=[corrupt, mask_tokens], ids=["plain", "fast"])
def million(request):
    """A million tokens, masked plainly and fast: both must obey the same law, which is written out below."""
    input_ids = ordinary_batch(1000, 1000)
    return input_ids, *request.param(input_ids, TOKENIZER, generator=seeded(0))


def is_within_3_sigma(count: int, n: int, p: float) -> bool:
    return abs(count - n * p) < 3 * (n * p * (1 - p)) ** 0.5


def test_rates_on_a_million_tokens(million):
    input_ids, masked_ids, labels = million
    selected = labels != IGNORE_INDEX
    n = int(selected.sum())
    assert is_within_3_sigma(n, input_ids.numel(), 0.15)
    masked = int((masked_ids == TOKENIZER.mask_token_id).sum())
    changed = int(((masked_ids != input_ids) & (masked_ids != TOKENIZER.mask_token_id)).sum())
    hit = 1 / len(ORDINARY)  # a random replacement that happens to be the original looks kept
    assert is_within_3_sigma(masked, n, 0.8)
    assert is_within_3_sigma(changed, n, 0.1 * (1 - hit))
    assert is_within_3_sigma(n - masked - changed, n, 0.1 + 0.1 * hit)


def test_random_replacements_are_even_over_ordinary_pieces(million):
    input_ids, masked_ids, _ = million
    replaced = masked_ids[(masked_ids != input_ids) & (masked_ids != TOKENIZER.mask_token_id)]
    counts = np.bincount(replaced.numpy(), minlength=len(TOKENIZER))
    assert counts[SPECIAL].sum() == 0
    expected = counts.sum() / len(ORDINARY)
    chi_square, degrees = ((counts[ORDINARY] - expected) ** 2 / expected).sum(), len(ORDINARY) - 1
    assert abs(chi_square - degrees) < 4 * (2 * degrees) ** 0.5


def test_selection_knows_no_neighbours(million):
    _, _, labels = million
    selected = (labels != IGNORE_INDEX).double()
    both = int((selected[:, 1:] * selected[:, :-1]).sum())
    assert is_within_3_sigma(both, 999_000, 0.15**2)


def test_every_draw_of_the_fast_version_says_what_the_plain_shares_say():
    """No sampling: of all draws 8 in 10 say [MASK], 1 in 10 a piece, each once, and 1 in 10 keep."""
    pieces, kept = torch.tensor(ORDINARY), torch.tensor(-1)
    shown = shown_for(torch.arange(10 * len(pieces)), kept, pieces, TOKENIZER.mask_token_id)
    assert (shown == TOKENIZER.mask_token_id).sum() == 8 * len(pieces)
    assert (shown == kept).sum() == len(pieces)
    assert torch.equal(shown[(shown != TOKENIZER.mask_token_id) & (shown != kept)], pieces)


shapes = st.tuples(st.integers(1, 5), st.integers(0, 40))


@given(
    shape=shapes,
    seed=st.integers(0, 2**31),
    rate=st.floats(0, 1),
    dtype=st.sampled_from([torch.int64, torch.int32]),
)
def test_what_holds_for_every_batch(shape, seed, rate, dtype):
    input_ids = torch.randint(len(TOKENIZER), shape, generator=seeded(seed)).to(dtype)
    input_ids[:, ::5] = torch.tensor(SPECIAL)[torch.arange(input_ids[:, ::5].shape[1]) % 5].to(dtype)
    before = input_ids.clone()
    masked_ids, labels = mask_tokens(input_ids, TOKENIZER, rate, seeded(seed))
    special = torch.isin(input_ids, torch.tensor(SPECIAL, dtype=dtype))
    selected = labels != IGNORE_INDEX
    assert torch.equal(input_ids, before)
    assert masked_ids.shape == labels.shape == shape
    assert masked_ids.dtype == labels.dtype == dtype
    assert not (selected & special).any()
    assert torch.equal(labels[selected], input_ids[selected])
    assert torch.equal(masked_ids[~selected], input_ids[~selected])
    shown = masked_ids[selected]
    assert not torch.isin(shown[shown != TOKENIZER.mask_token_id], torch.tensor(SPECIAL, dtype=dtype)).any()


def test_rate_0_and_rate_1():
    input_ids = ordinary_batch(20, 50)
    input_ids[:, 0] = TOKENIZER.cls_token_id
    masked_ids, labels = mask_tokens(input_ids, TOKENIZER, 0, seeded(0))
    assert torch.equal(masked_ids, input_ids)
    assert (labels == IGNORE_INDEX).all()
    _, labels = mask_tokens(input_ids, TOKENIZER, 1, seeded(0))
    assert torch.equal(labels[:, 1:], input_ids[:, 1:])
    assert (labels[:, 0] == IGNORE_INDEX).all()


def test_seed_0_is_a_seed_like_any_other():
    input_ids = ordinary_batch(8, 64)
    first, again, other = (mask_tokens(input_ids, TOKENIZER, 0.15, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_a_generator_leaves_the_global_random_state_alone():
    state = torch.get_rng_state()
    mask_tokens(ordinary_batch(8, 64), TOKENIZER, generator=seeded(0))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("rate", [-0.01, 1.01, float("nan")])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(ValueError, match="rate: expected 0 <= rate <= 1, got"):
        mask_tokens(ordinary_batch(2, 4), TOKENIZER, rate)


@pytest.mark.parametrize("wrong", [-100, len(TOKENIZER)])
@pytest.mark.parametrize("rate", [0.0, 0.15, 1.0])
def test_an_id_outside_the_vocabulary_is_refused(wrong, rate):
    input_ids = ordinary_batch(2, 4)
    input_ids[1, 3] = wrong
    with pytest.raises(ValueError, match=f"input_ids: expected 0 to {len(TOKENIZER) - 1}, got {wrong}"):
        mask_tokens(input_ids, TOKENIZER, rate, seeded(0))


def test_what_comes_in_is_looked_at_once(monkeypatch):
    """The parts of `mask_tokens` trust one another; what it calls of somebody else's is not trusted."""
    looked_at = []
    plain_number = hints.plain_number
    monkeypatch.setattr(hints, "plain_number", lambda value: looked_at.append(value) or plain_number(value))
    ids = torch.arange(40)[None]
    mask_tokens(ids, TOKENIZER, 0.5)
    assert looked_at == [0.5]

    class OfSomebodyElse(WordPieceTokenizer):
        def __len__(self):
            return len(mlm.select_positions(10, 1.5))

    with pytest.raises(ValueError, match="rate: expected 0 <= rate <= 1, got 1.5"):
        mask_tokens(ids, OfSomebodyElse(TOKENIZER.id_to_token), 0.5)
