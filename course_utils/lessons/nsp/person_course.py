"""A course in persons for notebook 08: a model is trained on pairs in which nothing but the person tells.

Can a model that has learnt next sentence prediction from ordinary pairs, and nothing about persons, learn
them at all? A copy of it is trained on `pairs.person_pairs`, its own weights stay as they are.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from course_utils import nsp
from course_utils.lessons.nsp.judges import accuracy
from course_utils.lessons.nsp.pairs import person_pairs
from course_utils.toy.language import ToyLanguage

ROWS_A_STEP, LEARNING_RATE = 64, 1e-3


def rows_of_persons(tokenizer, seed: int, documents: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """input_ids and token_type_ids (pairs, longest row), labels (pairs,), of new documents."""
    made = person_pairs(ToyLanguage(seed=seed).documents(documents), torch.Generator().manual_seed(seed))
    pieces = [
        [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)) for text in pair] for *pair, _ in made
    ]
    rows = [nsp.build_row(first, second, tokenizer) for first, second in pieces]
    ids, kinds = (
        pad_sequence([torch.tensor(part) for part in column], batch_first=True)
        for column in zip(*rows, strict=True)
    )
    return ids, kinds, torch.tensor([label for *_, label in made])


def log_odds(model, ids: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """Log odds of IsNext, (rows,)."""
    real = ids != model.config.pad_token_id
    logits = model.cls.seq_relationship(model.bert(ids, real, kinds).pooler_output)
    return logits[:, nsp.IS_NEXT] - logits[:, nsp.NOT_NEXT]


@torch.no_grad()
def right(model, rows: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> float:
    """Accuracy of the model's verdicts."""
    ids, kinds, labels = rows
    return accuracy(log_odds(model, ids, kinds).sigmoid(), labels)


def teach(model, rows, tests: Sequence[tuple], marks: Sequence[int], seed: int = 0) -> list[list[float]]:
    """Train a copy of a model on the rows.

    Args:
        rows: what to train on, as from `rows_of_persons`; so are `tests`.
        marks: after which steps to measure, rising.

    Returns:
        for each mark the accuracy of the copy on each of the tests.
    """
    ids, kinds, labels = rows
    copy = deepcopy(model)
    optimizer = torch.optim.AdamW(copy.parameters(), lr=LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for step in range(marks[-1] + 1):
        if step in marks:
            found.append([right(copy, test) for test in tests])
        batch = torch.randint(len(labels), (ROWS_A_STEP,), generator=generator)
        wanted = (labels[batch] == nsp.IS_NEXT).float()
        loss = F.binary_cross_entropy_with_logits(log_odds(copy, ids[batch], kinds[batch]), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found
