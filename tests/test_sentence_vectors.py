"""Sentence vectors: pooling, scores and losses against plain sums, numpy and the libraries."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics.pairwise import cosine_similarity

from course_utils import checkpoints, finetuning, profiler, sentence_vectors
from course_utils.toy.language import ToyLanguage


@pytest.fixture(scope="module")
def embedded():
    return checkpoints.load("embedded")


def test_the_mean_is_that_of_the_real_tokens_whatever_the_padding_holds():
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 5, 4, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    expected = torch.stack([row[: int(m.sum())].mean(dim=0) for row, m in zip(states, mask, strict=True)])
    assert torch.allclose(sentence_vectors.mean_pool(states, mask), expected, atol=1e-6)
    states[mask == 0] = 1e6
    assert torch.allclose(sentence_vectors.mean_pool(states, mask), expected, atol=1e-6)
    weights = torch.rand(3, 5, generator=generator) * mask
    by_numpy = [
        np.average(s, axis=0, weights=w) for s, w in zip(states.numpy(), weights.numpy(), strict=True)
    ]
    assert np.allclose(sentence_vectors.mean_pool(states, weights), np.array(by_numpy), atol=1e-4)


def test_a_row_without_weight_is_refused():
    with pytest.raises(ValueError, match="weights: expected a row with some weight, got only zeros"):
        sentence_vectors.mean_pool(torch.ones(2, 3, 4), torch.tensor([[1, 0, 0], [0, 0, 0]]))


def test_a_vector_does_not_depend_on_the_other_rows(embedded):
    model, tokenizer = embedded
    sentences = [
        tokenizer.convert_tokens_to_ids(t.split()) for t in ("it was sad", "the bank was robbed yesterday")
    ]
    with torch.no_grad():
        together = sentence_vectors.embed(model.bert, sentences, tokenizer)
        alone = [sentence_vectors.embed(model.bert, [s], tokenizer)[0] for s in sentences]
        marked = sentence_vectors.embed(model.bert, sentences, tokenizer, segment=1)
    assert torch.allclose(together, torch.stack(alone), atol=1e-5)
    assert not torch.allclose(together, marked, atol=1e-2)


def test_cosines_are_those_of_the_library():
    first, second = torch.randn(4, 6), torch.randn(3, 6)
    assert np.allclose(sentence_vectors.cosines(first, second), cosine_similarity(first, second), atol=1e-6)


def test_idf_is_that_of_the_library():
    sentences = [[1, 2, 2], [2, 3], [2], [3, 3, 1, 2]]
    counts = np.array([np.bincount(s, minlength=5) for s in sentences])
    theirs = TfidfTransformer(smooth_idf=False).fit(counts[:, 1:4]).idf_ - 1
    assert np.allclose(sentence_vectors.idf(sentences, 5)[1:4], theirs)
    assert sentence_vectors.idf(sentences, 5)[2] == 0


def test_info_nce_is_a_sum_spelt_out_and_its_least_is_that_of_the_true_chances():
    scores = torch.randn(5, 5, dtype=torch.float64)
    rows = [-math.log(math.exp(scores[i, i]) / sum(map(math.exp, scores[i]))) for i in range(5)]
    columns = [-math.log(math.exp(scores[i, i]) / sum(map(math.exp, scores[:, i]))) for i in range(5)]
    assert math.isclose(sentence_vectors.info_nce(scores), np.mean(rows))
    assert math.isclose(sentence_vectors.info_nce(scores, symmetric=True), np.mean(rows + columns))
    shifted = scores + torch.arange(5.0)[:, None]
    assert math.isclose(sentence_vectors.info_nce(shifted), np.mean(rows))
    with pytest.raises(ValueError, match="as many candidates as queries"):
        sentence_vectors.info_nce(torch.ones(2, 3))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=5), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_recall_and_rank_are_means_over_all_orders_of_equals(scores, k):
    n = len(scores)
    chances = torch.arange(1.0, n + 1, dtype=torch.float64)[None] / sum(range(1, n + 1))
    hits, inverse, orders = 0.0, 0.0, list(permutations(range(n)))
    for order in orders:
        ranked = sorted(order, key=lambda i: -scores[i])
        for rank, i in enumerate(ranked, start=1):
            hits += float(chances[0, i]) * (rank <= k) / len(orders)
            inverse += float(chances[0, i]) / rank / len(orders)
    table = torch.tensor([scores], dtype=torch.float64)
    assert math.isclose(sentence_vectors.recall_at(table, chances, k), hits, abs_tol=1e-6)
    assert math.isclose(sentence_vectors.mean_reciprocal_rank(table, chances), inverse, abs_tol=1e-9)


def test_no_ranking_has_a_higher_expected_recall_than_that_by_the_chances():
    chances = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64)
    for measure in (
        sentence_vectors.mean_reciprocal_rank,
        lambda s, c: sentence_vectors.recall_at(s, c, 2),
    ):
        others = [
            measure(torch.tensor([order], dtype=torch.float64), chances) for order in permutations(range(4))
        ]
        assert math.isclose(measure(chances.log(), chances), max(others))


def test_cross_scores_are_the_log_odds_of_the_head(embedded):
    model, tokenizer = embedded
    texts = [("it was sad", "the bank was robbed yesterday"), ("the cat sat on the mat", "it was happy")]
    pairs = [tuple(tokenizer.convert_tokens_to_ids(t.split()) for t in pair) for pair in texts]
    with torch.no_grad():
        found = sentence_vectors.cross_scores(model, pairs, tokenizer)
        for odds, pair in zip(found, texts, strict=True):
            encoding = tokenizer.encode(*pair)
            logits = model(
                torch.tensor([encoding.input_ids]), token_type_ids=torch.tensor([encoding.token_type_ids])
            ).seq_relationship_logits[0]
            assert torch.isclose(odds, (logits.softmax(dim=0)[0] / logits.softmax(dim=0)[1]).log(), atol=1e-4)


def test_pairs_are_neighbours_from_different_documents():
    documents = [[[10 * d + i] for i in range(4)] for d in range(6)]
    batches = sentence_vectors.batches(documents, 3, torch.Generator().manual_seed(0))
    for _ in range(8):
        first, second = next(batches)
        assert [b[0] - a[0] for a, b in zip(first, second, strict=True)] == [1, 1, 1]
        assert len({a[0] // 10 for a in first}) == 3


def test_training_lowers_the_loss_and_refuses_more_pairs_than_documents(embedded):
    from course_utils.pretraining import tokenize_documents

    model, tokenizer = checkpoints.load("embedded")
    documents = tokenize_documents(ToyLanguage(seed=9).documents(64), tokenizer)
    losses = sentence_vectors.train(
        model.bert,
        documents,
        tokenizer,
        sentence_vectors.dot_products,
        steps=30,
        batch_size=16,
        symmetric=True,
    )
    assert len(losses) == 30 and np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2
    with pytest.raises(ValueError, match="batch_size: expected 2 to 64"):
        sentence_vectors.train(
            model.bert, documents, tokenizer, sentence_vectors.dot_products, steps=1, batch_size=65
        )


def test_apart_costs_a_pass_for_each_and_together_one_for_each_pair(embedded):
    model, _ = embedded
    one = profiler.profile(model.config, seq_len=10).totals.flops
    four = profiler.profile(model.config, batch_size=4, seq_len=10).totals.flops
    assert four == 4 * one


TEXTS = ("Bert reads both ways.", "A longer sentence stands beside it, so that the first is padded.")


def by_the_library(folder, pool: str) -> np.ndarray:
    """The vectors that sentence-transformers gives the texts: (2, hidden_size)."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    reader = Transformer(str(folder))
    pooling = Pooling(reader.get_embedding_dimension(), pooling_mode=pool)
    library = SentenceTransformer(modules=[reader, pooling], device="cpu")
    return library.encode(list(TEXTS), show_progress_bar=False)


@pytest.mark.filterwarnings("ignore:.*no weights for the heads")
@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_pooled_vectors_of_real_weights_equal_those_of_sentence_transformers(real_bert, pool):
    model, tokenizer = checkpoints.load(real_bert)
    expected = by_the_library(real_bert, pool)
    assert np.abs(finetuning.features(model, tokenizer, TEXTS, pool) - expected).max() <= 1e-5
    if pool == "mean":
        encoded = [tokenizer.encode(text).input_ids[1:-1] for text in TEXTS]
        with torch.no_grad():
            ours = sentence_vectors.embed(model.bert, encoded, tokenizer)
        assert np.abs(ours.numpy() - expected).max() <= 1e-5


@given(st.integers(1, 6), st.integers(0, 2**16))
def test_info_nce_is_the_loss_of_sentence_transformers(n, seed):
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.util import dot_score

    queries, candidates = torch.randn(2, n, 3, generator=torch.Generator().manual_seed(seed))
    scores = sentence_vectors.dot_products(queries, candidates)
    ways = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    for symmetric, options in ((False, {}), (True, ways)):
        theirs = MultipleNegativesRankingLoss(torch.nn.Identity(), 3**-0.5, dot_score, **options)
        expected = theirs.compute_loss_from_embeddings([queries, candidates], None)
        assert torch.isclose(sentence_vectors.info_nce(scores, symmetric), expected, atol=1e-5)


def test_negatives_that_are_chosen_move_the_best_scores():
    """The loss of one negative, over all that can be drawn: the scores of the exercise are its minimum."""
    from course_utils.lessons.sentence_vectors.exercises import best_scores

    generator = torch.Generator().manual_seed(0)
    joint = torch.rand(3, 4, generator=generator, dtype=torch.float64) + 0.1
    joint /= joint.sum()
    negatives = torch.rand(3, 4, generator=generator, dtype=torch.float64) + 0.1
    negatives /= negatives.sum(dim=1, keepdim=True)
    scores = best_scores.model_answer(joint, negatives).requires_grad_()
    beats = scores[:, :, None] - scores[:, None, :]  # (query, right, wrong)
    weights = joint[:, :, None] * negatives[:, None, :]
    (weights * torch.nn.functional.softplus(-beats)).sum().backward()
    assert torch.allclose(scores.grad, torch.zeros_like(scores), atol=1e-12)


def test_the_plan_counts_what_the_profiler_counts(embedded):
    from course_utils.lessons.sentence_vectors import exercises

    model, _ = embedded
    one, pair = (profiler.profile(model.config, seq_len=n).totals.flops for n in (9, 17))
    assert math.isclose(one, exercises.ONE_ROW, rel_tol=0.01)
    assert math.isclose(pair, exercises.PAIR_ROW, rel_tol=0.01)
