"""P2: 80/10/10 masking against the library's `DataCollatorForLanguageModeling`.

Both sides get the same ids, and the library also the mask of special tokens, which would cost it far more to
find itself. It writes into its input and we into a copy: the copy is part of our time. Two draws are never
equal, so what is compared first is what they must share: the rates, on a million tokens.

    python -m benchmarks P2
"""

import numpy as np
import torch

from benchmarks import protocol
from course_utils.checkpoints import DATA
from course_utils.mlm import IGNORE_INDEX, mask_tokens
from course_utils.wordpiece import WordPieceTokenizer

RATE = 0.15
GOALS = {(64, 64): 2.8, (512, 128): 6.0}  # (batch, seq_len) -> how many times as fast
COUNTED_SHAPE = (1000, 1000)
FEW = 16  # tokens: what masking so few takes is the cost of the calls, not of the tokens


def make_ids(shape: tuple[int, int], tokenizer: WordPieceTokenizer) -> torch.Tensor:
    """Random ordinary pieces between [CLS] and [SEP]: (batch, seq_len)."""
    is_special = torch.zeros(len(tokenizer), dtype=torch.bool)
    is_special[list(tokenizer.special_ids)] = True
    ordinary = (~is_special).nonzero().squeeze(1)
    ids = ordinary[torch.randint(len(ordinary), shape, generator=torch.Generator().manual_seed(0))]
    ids[:, 0], ids[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    return ids


class Ours:
    """`mlm.mask_tokens`; calling it masks `ids` anew."""

    def __init__(self, ids: torch.Tensor, tokenizer: WordPieceTokenizer, seed: int = 0):
        self.ids, self.tokenizer = ids, tokenizer
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self) -> tuple[torch.Tensor, torch.Tensor]:
        return mask_tokens(self.ids, self.tokenizer, RATE, self.generator)


class Library:
    """The library's collator, from the point where the batch is a tensor; calling it masks `ids` in place."""

    def __init__(self, ids: torch.Tensor, tokenizer: WordPieceTokenizer, seed: int = 0):
        from transformers import BertTokenizer, DataCollatorForLanguageModeling

        library_tokenizer = BertTokenizer(vocab=tokenizer.vocab)
        self.collator = DataCollatorForLanguageModeling(library_tokenizer, mlm_probability=RATE, seed=seed)
        self.collator.create_rng()  # what a call of the whole collator does first
        self.ids = ids.clone()
        self.is_special = torch.isin(ids, torch.tensor(sorted(tokenizer.special_ids)))

    def __call__(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.collator.torch_mask_tokens(self.ids, self.is_special)


def within_3_sigma(count: int, n: int, p: float) -> bool:
    """Whether `count` of `n` is what the probability `p` gives."""
    return abs(count - n * p) <= 3 * (n * p * (1 - p)) ** 0.5


def rates(ids: torch.Tensor, masked_ids: torch.Tensor, labels: torch.Tensor, mask_id: int) -> dict[str, int]:
    """How many positions were selected, and how many of these show [MASK] or another piece than before."""
    selected = labels != IGNORE_INDEX
    assert torch.equal(labels[selected], ids[selected]), "a label is not the original id"
    assert torch.equal(masked_ids[~selected], ids[~selected]), "a position that was not selected has changed"
    masked = masked_ids == mask_id
    changed = (masked_ids != ids) & ~masked
    return {"selected": int(selected.sum()), "masked": int(masked.sum()), "changed": int(changed.sum())}


def assert_equal_results(tokenizer: WordPieceTokenizer) -> dict[str, int]:
    """The rates of both sides within 3 sigma, no special piece as a random one, and `seed=0` is a seed."""
    ids = make_ids(COUNTED_SHAPE, tokenizer)
    special = torch.tensor(sorted(tokenizer.special_ids))
    is_special = torch.isin(ids, special)
    ordinary, n = len(tokenizer) - len(special), int((~is_special).sum())
    masked_ids, labels = Ours(ids, tokenizer)()
    for name, result, pieces in (
        ("ours", (masked_ids, labels), ordinary),
        ("library", Library(ids, tokenizer)(), len(tokenizer)),
    ):
        found = rates(ids, *result, tokenizer.mask_token_id)
        # A random piece may be the original again, and the library's also [MASK].
        unchanged = 1 / pieces
        also_mask = 1 / pieces if pieces > ordinary else 0.0
        selected = found["selected"]
        assert within_3_sigma(selected, n, RATE), f"{name}: {selected} of {n} selected"
        assert within_3_sigma(found["masked"], selected, 0.8 + 0.1 * also_mask), f"{name}: masked {found}"
        changed = 0.1 * (1 - unchanged - also_mask)
        assert within_3_sigma(found["changed"], selected, changed), f"{name}: changed {found}"
    shown = masked_ids[~is_special & (masked_ids != tokenizer.mask_token_id)]
    assert not torch.isin(shown, special).any(), "a special piece stands as a random replacement"
    again = Ours(ids, tokenizer)()
    assert torch.equal(again[0], masked_ids) and torch.equal(again[1], labels), "seed 0 gives no fixed draw"
    return rates(ids, masked_ids, labels, tokenizer.mask_token_id)


def run(blocks: int = protocol.BLOCKS) -> dict[str, dict]:
    """P2: time a token, as a share of the library's, for a small and a large batch."""
    tokenizer = WordPieceTokenizer.from_file(DATA / "vocab.txt")
    found, rows = assert_equal_results(tokenizer), {}
    for shape, goal in GOALS.items():
        ids = make_ids(shape, tokenizer)
        times = protocol.abba(Ours(ids, tokenizer), Library(ids, tokenizer), blocks)
        ours, library = 1e9 * np.median(times, axis=0) / ids.numel()
        few = make_ids((1, FEW), tokenizer)
        fixed = np.median(protocol.abba(Ours(few, tokenizer), Library(few, tokenizer), blocks), axis=0)
        share, library_share = fixed / np.median(times, axis=0)
        size = "{}x{}".format(*shape)
        rows["P2" if shape == (64, 64) else f"P2_{size}"] = protocol.ratio_row(
            f"80/10/10 masking of {size} tokens, against transformers",
            goal,
            times,
            why=f"{share:.0%} of our time, and {library_share:.0%} of the library's, goes to {FEW} "
            "tokens too: it is the cost of the calls themselves.",
            nanoseconds_per_token={"ours": float(ours), "transformers": float(library)},
            counted_on_a_million_tokens=found,
        )
    return rows
