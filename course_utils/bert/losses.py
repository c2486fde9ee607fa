"""The losses of pretraining, from logits and labels."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.bert.inputs import check_labels
from course_utils.checks import IGNORE_INDEX
from course_utils.hints import Labels, hold_to_hints


class PretrainingLosses(NamedTuple):
    """Means in nats; None where no labels were given. `loss` is the sum of those that are there."""

    loss: Tensor | None
    mlm_loss: Tensor | None  # over selected positions; 0 when none is selected, where the library has NaN
    nsp_loss: Tensor | None  # over the rows that have a label; 0 when none has


def pretraining_losses(
    prediction_logits: Tensor,
    labels: Tensor | None,
    seq_relationship_logits: Tensor,
    next_sentence_label: Tensor | None,
) -> PretrainingLosses:
    """Logits `(..., vocab_size)` against labels `(...)`, and `(batch, 2)` against `(batch,)`."""
    mlm_loss = nsp_loss = None
    if labels is not None:
        mlm_loss = mean_cross_entropy(prediction_logits, labels)
    if next_sentence_label is not None:
        check_labels("next_sentence_label", next_sentence_label, seq_relationship_logits.shape)
        nsp_loss = mean_cross_entropy(seq_relationship_logits, next_sentence_label)
    given = [loss for loss in (mlm_loss, nsp_loss) if loss is not None]
    return PretrainingLosses(torch.stack(given).sum() if given else None, mlm_loss, nsp_loss)


def mean_cross_entropy(logits: Tensor, labels: Labels) -> Tensor:
    """Mean of -log softmax(logits)[label] over the labels that are not -100, in nats; 0 if there are none.

    Args:
        logits: `(..., classes)`.
        labels: integers of the shape of `logits` without its last axis.
    """
    logits, labels = logits.flatten(0, -2), labels.flatten().long()
    kept = labels != IGNORE_INDEX
    if not kept.is_meta and not kept.all():  # the softmax over a vocabulary costs much where nobody reads it
        logits, labels = logits[kept], labels[kept]
    total = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum")
    return total / kept.sum().clamp(min=1)


hold_to_hints(globals())
