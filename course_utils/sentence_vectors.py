"""One vector for a whole text: how it is made, how it is trained, and how a search with it is scored.

    vectors = embed(model, sentences, tokenizer)         one row a sentence
    info_nce(scores)                                     the loss that pulls true pairs together
    recall_at(scores, chances, k)                        how often the true one is among the first k

Pooling and the two ways to read a pair (a bi-encoder reads the sentences apart, a cross-encoder together)
are those of Reimers and Gurevych 2019, "Sentence-BERT" (arXiv 1908.10084), section 3. The loss is InfoNCE
(van den Oord, Li and Vinyals 2018, arXiv 1807.03748, section 2.3) with the other pairs of the batch as
negatives, as in Karpukhin et al. 2020, "Dense Passage Retrieval" (arXiv 2004.04906), section 3.2.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from course_utils.bert import BertForPreTraining, BertModel
from course_utils.checks import refusal
from course_utils.hints import Count, Natural, Positive, check_some, hold_to_hints
from course_utils.nsp import IS_NEXT, NOT_NEXT, build_row
from course_utils.training import schedule, update
from course_utils.wordpiece import WordPieceTokenizer

WARM_UP = 0.1  # of the steps: until then the learning rate rises


def mean_pool(states: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of the token states of each row.

    Args:
        states: (batch, seq_len, hidden_size).
        weights: (batch, seq_len), numbers from 0. The attention mask gives the plain mean; times a weight a
            token, such as its idf, the weighted one.

    Returns:
        (batch, hidden_size).

    Raises:
        ValueError: for a row whose weights are all 0.
    """
    weights = weights.to(states.dtype)[:, :, None]  # (batch, seq_len, 1)
    total = weights.sum(dim=1)  # (batch, 1)
    if not total.is_meta and not (total > 0).all():
        raise refusal(
            "weights", "a row with some weight", "only zeros", "nothing is left to take the mean of"
        )
    return (states * weights).sum(dim=1) / total


def cosines(first: Tensor, second: Tensor) -> Tensor:
    """The cosine of each row of `first`, (n, size), and each of `second`, (m, size): (n, m)."""
    return F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T


def dot_products(first: Tensor, second: Tensor) -> Tensor:
    """The scaled dot product of each row of `first`, (n, size), and each of `second`: (n, m)."""
    return first @ second.T / first.shape[-1] ** 0.5


def idf(sentences: Sequence[Sequence[int]], vocab_size: Count) -> Tensor:
    """log(sentences / sentences with the token), (vocab_size,); a token that none has counts as in one."""
    found = torch.zeros(vocab_size)
    for sentence in sentences:
        found[list(set(sentence))] += 1
    return torch.log(len(sentences) / found.clamp(min=1))


def to_rows(
    sentences: Annotated[Sequence[Sequence[int]], check_some], tokenizer: WordPieceTokenizer
) -> tuple[Tensor, Tensor]:
    """`[CLS] sentence [SEP]`, padded: input_ids and attention_mask, both (sentences, longest row)."""
    rows = [torch.tensor([tokenizer.cls_token_id, *s, tokenizer.sep_token_id]) for s in sentences]
    input_ids = pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
    return input_ids, (input_ids != tokenizer.pad_token_id).long()


def embed(
    model: BertModel,
    sentences: Annotated[Sequence[Sequence[int]], check_some],
    tokenizer: WordPieceTokenizer,
    segment: Natural = 0,
) -> Tensor:
    """The mean vector of each sentence: (sentences, hidden_size).

    `segment` is the segment id of all tokens: with 0 for queries and 1 for candidates one encoder can tell
    the two roles apart.
    """
    input_ids, attention_mask = to_rows(sentences, tokenizer)
    token_type_ids = torch.full_like(input_ids, segment)
    states = model(input_ids, attention_mask, token_type_ids).last_hidden_state
    return mean_pool(states, attention_mask)


def info_nce(scores: Tensor, symmetric: bool = False) -> Tensor:
    """Cross-entropy of each query with its own candidate as the class, in nats: shape ().

    Args:
        scores: (n, n); row i holds the scores of query i, and candidate i is the right one.
        symmetric: the mean of this and of the loss by columns, where a candidate looks for its query.
    """
    if scores.dim() != 2 or scores.shape[0] != scores.shape[1]:
        raise refusal("scores", "as many candidates as queries, (n, n)", tuple(scores.shape))
    right = torch.arange(len(scores), device=scores.device)
    loss = F.cross_entropy(scores, right)
    return (loss + F.cross_entropy(scores.T, right)) / 2 if symmetric else loss


def draw_pairs(
    documents: Sequence[Sequence[list[int]]], generator: Generator
) -> tuple[list[list[int]], list[list[int]]]:
    """A sentence and its follower from each document: queries and candidates, in the same order."""
    first, second = [], []
    for sentences in documents:
        i = int(torch.randint(len(sentences) - 1, (), generator=generator))
        first.append(sentences[i])
        second.append(sentences[i + 1])
    return first, second


def batches(
    documents: Sequence[Sequence[list[int]]], batch_size: Count, generator: Generator
) -> Iterator[tuple[list[list[int]], list[list[int]]]]:
    """Pairs from `batch_size` different documents at a time, without end."""
    if batch_size > len(documents):
        raise refusal("batch_size", f"1 to {len(documents)}, one pair a document", batch_size)
    while True:
        order = torch.randperm(len(documents), generator=generator).tolist()
        for start in range(0, len(order) - batch_size + 1, batch_size):
            yield draw_pairs([documents[i] for i in order[start : start + batch_size]], generator)


def train(
    model: BertModel,
    documents: Sequence[Sequence[list[int]]],
    tokenizer: WordPieceTokenizer,
    score: Callable[[Tensor, Tensor], Tensor],
    steps: Count,
    batch_size: Count = 64,
    learning_rate: Positive = 1e-3,
    symmetric: bool = False,
    segments: tuple[int, int] = (0, 1),
    seed: Natural = 0,
) -> list[float]:
    """Train a bi-encoder in place; the other pairs of a batch are the negatives.

    Args:
        score: from vectors (n, hidden_size) and (m, hidden_size) to scores (n, m).
        segments: the segment ids of queries and of candidates; see `embed`.

    Returns:
        the loss of every step, in nats.
    """
    if not 1 < batch_size <= len(documents):
        raise refusal("batch_size", f"2 to {len(documents)}, one pair a document", batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
    pairs, losses = batches(documents, batch_size, Generator().manual_seed(seed)), []
    warm_up = max(1, round(WARM_UP * steps))
    for step in range(steps):
        first, second = next(pairs)
        queries = embed(model, first, tokenizer, segments[0])
        candidates = embed(model, second, tokenizer, segments[1])
        loss = info_nce(score(queries, candidates), symmetric)
        rate = learning_rate * schedule(step, steps, warm_up)
        update(model, optimizer, loss.backward, rate, clip=1.0)
        losses.append(loss.item())
    return losses


def cross_scores(
    model: BertForPreTraining,
    pairs: Annotated[Sequence[tuple[list[int], list[int]]], check_some],
    tokenizer: WordPieceTokenizer,
) -> Tensor:
    """The log odds of IsNext, (pairs,), of a cross-encoder: it reads both sentences in one row.

    At even odds beforehand the best possible answer is log P(b | a) / P(b), the pointwise mutual information.
    """
    rows = [build_row(first, second, tokenizer) for first, second in pairs]
    input_ids = pad_sequence([torch.tensor(ids) for ids, _ in rows], True, tokenizer.pad_token_id)
    token_type_ids = pad_sequence([torch.tensor(kinds) for _, kinds in rows], True)
    attention_mask = (input_ids != tokenizer.pad_token_id).long()
    pooled = model.bert(input_ids, attention_mask, token_type_ids).pooler_output
    logits = model.cls.seq_relationship(pooled)  # (pairs, 2)
    return logits[:, IS_NEXT] - logits[:, NOT_NEXT]


def places(scores: Tensor) -> tuple[Tensor, Tensor]:
    """For each candidate of a row, (n, m): how many score higher, and how many the same (itself included).

    Its rank lies from the first number plus 1 to the sum of the two.
    """
    if not scores.is_meta and scores.isnan().any():
        raise refusal("scores", "numbers", "NaN", "it has no rank")
    ordered = scores.sort(dim=1).values
    at_most = torch.searchsorted(ordered, scores.contiguous(), right=True)
    below = torch.searchsorted(ordered, scores.contiguous())
    return scores.shape[1] - at_most, at_most - below


def recall_at(scores: Tensor, chances: Tensor, k: Count) -> float:
    """How often the right candidate is among the first k; equals stand in a random order, as an expectation.

    Args:
        scores: (n, m), one row a query.
        chances: (n, m), how likely each candidate is to be the right one: 1 and 0 where it is known, else
            probabilities that sum to 1 in each row.

    Counting a tie as a hit would make a model that gives every candidate the same score perfect.
    """
    before, beside = places(scores)
    hits = ((k - before) / beside).clamp(0, 1)
    return (hits.double() * chances).sum(dim=1).mean().item()


def mean_reciprocal_rank(scores: Tensor, chances: Tensor) -> float:
    """The mean of 1 / rank of the right candidate; arguments and ties as in `recall_at`."""
    before, beside = places(scores)
    inverse = (1 / torch.arange(1, scores.shape[1] + 1, dtype=torch.float64)).cumsum(0)
    sums = torch.cat([torch.zeros(1, dtype=torch.float64), inverse])  # 0, 1, 1 + 1/2, ...
    return ((sums[before + beside] - sums[before]) / beside * chances).sum(dim=1).mean().item()


hold_to_hints(globals())
