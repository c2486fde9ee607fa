"""word2vec: draws against their formulas, the step against autograd, the result against the known optimum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, spearmanr

from course_utils import word2vec as w2v

TOPICS = (
    ["cat", "dog", "mouse", "fur", "tail"],
    ["bank", "money", "loan", "cash", "coin"],
    ["sun", "rain", "snow", "wind", "cloud"],
)


def topic_sentences(n, seed=0, share=0.9, words=12):
    """n sentences, each with most words from one topic: topic-mates have a high PMI, others a low one."""
    rng = np.random.default_rng(seed)
    vocab = [word for topic in TOPICS for word in topic]
    own = rng.integers(len(TOPICS), size=n)
    sentences = []
    for topic in own:
        faithful = rng.random(words) < share
        picks = np.where(
            faithful, 5 * topic + rng.integers(5, size=words), rng.integers(len(vocab), size=words)
        )
        sentences.append([vocab[i] for i in picks])
    return sentences


def random_blocks(seed, vocab_size=30, sentences=40, window=4):
    """A small random text as ids, its blocks, and the noise words that go with them."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 9, (sentences,), generator=generator)
    ids = torch.randint(vocab_size, (int(lengths.sum()),), generator=generator)
    sentence = torch.arange(sentences).repeat_interleave(lengths)
    blocks = w2v.draw_blocks(ids, sentence, torch.ones(vocab_size), window, generator)
    noise = w2v.noise_distribution(torch.ones(vocab_size))
    return ids, blocks, w2v.draw_noise(noise, len(blocks.words), generator)


# --- draws ---


def test_keep_probability_by_hand():
    counts = [6, 3, 1]  # shares 0.6, 0.3, 0.1
    expected = [min(1, (0.05 / f) ** 0.5 + 0.05 / f) for f in (0.6, 0.3, 0.1)]
    torch.testing.assert_close(
        w2v.keep_probability(counts, 0.05), torch.tensor(expected, dtype=torch.float64)
    )
    assert w2v.keep_probability(counts, 0).tolist() == [1, 1, 1]


def test_words_survive_as_often_as_they_should():
    counts = torch.tensor([50_000, 30_000, 15_000, 5_000])
    ids = torch.arange(4).repeat_interleave(counts)
    keep = w2v.keep_probability(counts, 0.02)
    blocks = w2v.draw_blocks(ids, torch.zeros_like(ids), keep, 2, torch.Generator().manual_seed(1))
    kept = torch.bincount(blocks.words[:, 2:-2][blocks.reach > 0], minlength=4)
    assert keep[0] < 0.3 < keep[3]
    assert ((kept - counts * keep).abs() <= 4 * (counts * keep * (1 - keep)).sqrt()).all()


def test_noise_follows_counts_to_the_power_three_quarters():
    counts = np.array([1000, 300, 100, 30, 10, 3, 1])
    drawn = w2v.draw_noise(w2v.noise_distribution(counts), 2_000, torch.Generator().manual_seed(0))
    seen = np.bincount(drawn.flatten().numpy(), minlength=len(counts))
    assert drawn.shape == (2_000, w2v.POOL)
    power = counts**0.75 / (counts**0.75).sum()
    assert chisquare(seen, power * seen.sum()).pvalue > 1e-3
    assert chisquare(seen, counts / counts.sum() * seen.sum()).pvalue < 1e-9, (
        "plain counts must not fit as well"
    )


def test_every_pool_is_close_to_the_noise_distribution():
    noise = w2v.noise_distribution([900, 500, 300, 200, 100, 5])
    for pool in w2v.draw_noise(noise, 50, torch.Generator().manual_seed(0)):
        assert ((torch.bincount(pool, minlength=6) - w2v.POOL * noise).abs() < 2).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), window=st.integers(1, 7), sentences=st.integers(1, 60))
def test_true_pairs_equal_a_walk_over_the_text(seed, window, sentences):
    ids, blocks, _ = random_blocks(seed, sentences=sentences, window=window)
    band = w2v.true_pairs(blocks)
    assert set(band.unique().tolist()) <= {0.0, 1.0}
    listed = [(b, i - window, j) for b, i, j in w2v.listed_pairs(blocks)]
    assert [tuple(row) for row in band.nonzero().tolist()] == listed
    # The centres of all blocks, one after the other, are the text.
    centre = blocks.words[:, window : window + w2v.BLOCK][blocks.reach > 0]
    assert centre.tolist() == ids.tolist()


def test_pairs_at_each_distance_are_drawn_as_often_as_the_window_says():
    window, tokens = 4, 40_000
    ids = torch.zeros(tokens, dtype=torch.long)
    blocks = w2v.draw_blocks(ids, ids, torch.ones(1), window, torch.Generator().manual_seed(0))
    _, i, j = w2v.true_pairs(blocks).nonzero().T
    seen = torch.bincount((j - window - i).abs(), minlength=window + 1)[1:]
    expected = torch.tensor([2 * tokens * (window - d + 1) / window for d in range(1, window + 1)])
    assert ((seen / expected - 1).abs() < 0.02).all()


# --- the step ---


def explicit_loss(model, blocks, noise_words, window, negatives, mode):
    """The loss summed over pairs that are listed one at a time: no band, no shared matrix product."""
    pairs = [(b, i - window, j) for b, i, j in w2v.listed_pairs(blocks)]
    if mode == "skipgram":
        inputs = torch.stack([model.input_vectors[blocks.words[b, i + window]] for b, i, _ in pairs])
        targets = torch.stack([model.output_vectors[blocks.words[b, j]] for b, _, j in pairs])
        noise = torch.stack([model.output_vectors[noise_words[b]] for b, _, _ in pairs])
        return w2v.negative_sampling_loss(inputs, targets, noise, negatives) * len(pairs)
    neighbours = {}
    for b, i, j in pairs:
        neighbours.setdefault((b, i), []).append(int(blocks.words[b, j]))
    inputs = torch.stack([model.input_vectors[ids].mean(0) for ids in neighbours.values()])
    targets = torch.stack([model.output_vectors[blocks.words[b, i + window]] for b, i in neighbours])
    noise = torch.stack([model.output_vectors[noise_words[b]] for b, _ in neighbours])
    return w2v.negative_sampling_loss(inputs, targets, noise, negatives) * len(neighbours)


@pytest.mark.parametrize("mode", w2v.LEARNING_RATES)
@pytest.mark.parametrize("seed", range(3))
def test_step_is_a_step_of_autograd(mode, seed):
    window, negatives, lr = 3, 5, 0.1
    _, blocks, noise_words = random_blocks(seed, window=window)
    generator = torch.Generator().manual_seed(seed)
    model = w2v.Word2Vec([f"w{i}" for i in range(30)], 8)
    model.input_vectors = torch.randn(30, 8, generator=generator)
    model.output_vectors = torch.randn(30, 8, generator=generator)
    before = model.input_vectors.clone(), model.output_vectors.clone()
    model.input_vectors.requires_grad_()
    model.output_vectors.requires_grad_()
    explicit_loss(model, blocks, noise_words, window, negatives, mode).backward()
    gradients = model.input_vectors.grad, model.output_vectors.grad

    model.input_vectors, model.output_vectors = before[0].clone(), before[1].clone()
    step = w2v.skipgram_step if mode == "skipgram" else w2v.cbow_step
    few = torch.full((30,), 1e-9)  # so few pairs expected that no row is held back
    step(model, blocks, noise_words, negatives, lr, (few, few))
    torch.testing.assert_close(model.input_vectors, before[0] - lr * gradients[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.output_vectors, before[1] - lr * gradients[1], rtol=1e-5, atol=1e-5)
    assert (lr * gradients[0]).abs().max() > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_the_fast_step_is_the_plain_step(seed):
    window, negatives, lr = 3, 5, 0.1
    _, blocks, noise_words = random_blocks(seed, window=window)
    generator = torch.Generator().manual_seed(seed)
    plain, fast = (w2v.Word2Vec([f"w{i}" for i in range(30)], 8) for _ in range(2))
    # In double: thousands of additions one after the other would round away what is compared.
    plain.input_vectors, plain.output_vectors = torch.randn(2, 30, 8, generator=generator).double()
    fast.input_vectors, fast.output_vectors = plain.input_vectors.float(), plain.output_vectors.float()
    before = plain.input_vectors.clone()
    w2v.plain_skipgram_step(plain, blocks, noise_words, negatives, lr)
    few = torch.full((30,), 1e-9)  # so few pairs expected that no row is held back
    w2v.skipgram_step(fast, blocks, noise_words, negatives, lr, (few, few))
    torch.testing.assert_close(fast.input_vectors, plain.input_vectors.float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fast.output_vectors, plain.output_vectors.float(), rtol=1e-5, atol=1e-5)
    assert (plain.input_vectors - before).abs().max() > 0.1


def test_negative_sampling_loss_by_hand():
    centre, context = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.5]])
    noise = torch.tensor([[[1.0, 0.0], [0.0, -1.0]]])
    by_hand = -np.log(1 / (1 + np.exp(-1.5))) - np.log(1 / (1 + np.exp(1.0))) - np.log(1 / (1 + np.exp(-2.0)))
    assert float(w2v.negative_sampling_loss(centre, context, noise, 2)) == pytest.approx(by_hand, rel=1e-6)


def test_softmax_loss_by_hand():
    outputs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    by_hand = -np.log(np.exp(3) / (np.exp(1) + np.exp(2) + np.exp(3)))
    assert float(w2v.softmax_loss(torch.tensor([[1.0, 2.0]]), outputs, torch.tensor([2]))) == pytest.approx(
        by_hand, rel=1e-6
    )


def test_only_rows_with_too_many_pairs_are_held_back():
    partners = torch.full((2, 3, 4), 0.5)  # squared length 1
    rates = w2v.row_rates(0.025, torch.tensor([10.0, 640.0, 6400.0]), partners)
    torch.testing.assert_close(rates, torch.tensor([0.025, 0.025, w2v.MAX_CURVATURE / (6400 / 4)]))


def test_expected_pairs_are_those_of_the_draws():
    window, negatives, steps = 3, 5, 200
    counts = torch.tensor([600.0, 300, 80, 20])
    ids = torch.arange(4).repeat_interleave((counts * steps / 10).long())
    ids = ids[torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))]
    blocks = w2v.draw_blocks(
        ids, torch.zeros_like(ids), torch.ones(4), window, torch.Generator().manual_seed(0)
    )
    pairs = w2v.true_pairs(blocks)
    as_input = torch.zeros(4).index_add_(0, blocks.words[:, window:-window].flatten(), pairs.sum(2).flatten())
    as_output = torch.zeros(4).index_add_(0, blocks.words.flatten(), pairs.sum(1).flatten())
    noise = pairs.sum() * negatives * w2v.noise_distribution(counts).float()
    expected = w2v.expected_pairs(counts, torch.ones(4), float(pairs.sum()), negatives)
    torch.testing.assert_close(expected[0], as_input * (1 + negatives), rtol=0.02, atol=0)
    torch.testing.assert_close(expected[1], as_output + noise, rtol=0.02, atol=0)


# --- the optimum ---


def test_cooccurrence_equals_a_double_loop():
    sentences, window = topic_sentences(8) + [["sun"], [], ["stranger", "cat", "dog"]], 3
    vocab = sorted(word for topic in TOPICS for word in topic)  # "stranger" is not in it
    expected = np.zeros((len(vocab), len(vocab)))
    for words in sentences:
        ids = [vocab.index(word) for word in words if word in vocab]
        for i, a in enumerate(ids):
            for j, b in enumerate(ids):
                if 0 < abs(i - j) <= window:
                    expected[a, b] += (window - abs(i - j) + 1) / window
    np.testing.assert_allclose(w2v.cooccurrence(sentences, vocab, window).numpy(), expected, atol=1e-12)


def test_pmi_of_independent_words_is_zero():
    share = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    torch.testing.assert_close(w2v.pmi(share[:, None] * share * 700), torch.zeros(3, 3, dtype=torch.float64))


def test_pmi_is_where_the_expected_gradient_vanishes():
    """Levy and Goldberg's argument, executed: at `pmi - log k` true and noise pairs pull equally hard."""
    counts = torch.rand(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    k, noise = 5, w2v.noise_distribution(counts.sum(0))
    score = (w2v.pmi(counts, w2v.NOISE_POWER) - np.log(k)).requires_grad_()
    noise_pairs = k * counts.sum(1, keepdim=True) * noise
    objective = counts * torch.nn.functional.logsigmoid(score) + noise_pairs * torch.nn.functional.logsigmoid(
        -score
    )
    objective.sum().backward()
    assert score.grad.abs().max() < 1e-12


@pytest.fixture(scope="module")
def topic_model():
    sentences = topic_sentences(2_000)
    return sentences, w2v.train(sentences, dim=16, window=3, sample=0, epochs=8, progress=False)


def test_skipgram_learns_pmi_minus_log_k(topic_model):
    sentences, model = topic_model
    optimum = w2v.pmi(w2v.cooccurrence(sentences, model.vocab, 3), w2v.NOISE_POWER) - np.log(5)
    score = (model.input_vectors @ model.output_vectors.T).double()
    assert spearmanr(score.flatten(), optimum.flatten()).statistic > 0.8
    assert (score - optimum).abs().mean() < 0.15


@pytest.mark.parametrize("mode", w2v.LEARNING_RATES)
def test_neighbours_share_the_topic(mode, topic_model):
    sentences, model = topic_model
    if mode == "cbow":
        model = w2v.train(sentences, dim=16, window=3, sample=0, epochs=8, mode="cbow", progress=False)
    for topic in TOPICS:
        for word in topic:
            near = model.most_similar(word, 4)
            assert {other for other, _ in near} == set(topic) - {word}
            assert [c for _, c in near] == sorted((c for _, c in near), reverse=True)


@pytest.mark.parametrize("mode", w2v.LEARNING_RATES)
def test_two_words_at_a_high_rate_do_not_explode(mode):
    """All pairs of a step fall on two rows: a plain sum of their changes would overshoot without bound."""
    words = np.random.default_rng(0).choice(["a", "b"], size=(1_000, 10)).tolist()
    model = w2v.train(words, dim=8, sample=0, lr=0.1, epochs=3, mode=mode, progress=False)
    assert max(model.input_vectors.norm(dim=1).max(), model.output_vectors.norm(dim=1).max()) < 10


def test_each_mode_has_a_rate_of_its_own():
    """The mean of n neighbours moves each by 1/n of a step: CBOW's rate makes up for their mean number."""
    sentences = topic_sentences(300)
    for mode, rate in {"skipgram": 0.025, "cbow": 0.025 * (5 + 1)}.items():
        plain, same = (
            w2v.train(sentences, epochs=1, mode=mode, lr=lr, progress=False) for lr in (None, rate)
        )
        assert torch.equal(plain.input_vectors, same.input_vectors)


def test_the_seed_settles_the_vectors():
    sentences = topic_sentences(300)
    first, again, other = (w2v.train(sentences, epochs=1, seed=seed, progress=False) for seed in (3, 3, 4))
    assert torch.equal(first.input_vectors, again.input_vectors)
    assert torch.equal(first.output_vectors, again.output_vectors)
    assert not torch.allclose(first.input_vectors, other.input_vectors)


def test_training_leaves_the_global_random_state_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    w2v.train(topic_sentences(20), epochs=1, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rare_words_are_dropped_and_frequent_ones_come_first():
    vocab, counts, ids, sentence = w2v.encode([["b", "a", "x"], ["a", "b", "a"]], min_count=2)
    assert (vocab, counts.tolist()) == (["a", "b"], [3, 2])
    assert (ids.tolist(), sentence.tolist()) == ([1, 0, 0, 1, 0], [0, 0, 1, 1, 1])


# --- questions ---


@pytest.fixture
def royal():
    """Gender and rank are two directions; lengths differ, so that cosine and dot product disagree."""
    model = w2v.Word2Vec(["man", "woman", "king", "queen", "apple"], 3)
    model.input_vectors = torch.tensor([[1, 0, 0.2], [-1, 0, 0.2], [4, 4, 0.8], [-1, 1, 0.2], [0, 0, 9.0]])
    return model


def test_analogy(royal):
    assert royal.analogy("man", "woman", "king", 1)[0][0] == "queen"
    assert royal.analogy("king", "queen", "man", 1)[0][0] == "woman"
    assert {word for word, _ in royal.analogy("man", "woman", "king", 10)} == {"queen", "apple"}


def test_most_similar_is_cosine(royal):
    vectors = royal.input_vectors.numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = sorted(
        ((royal.vocab[i], float(unit[2] @ unit[i])) for i in (0, 1, 3, 4)), key=lambda pair: -pair[1]
    )
    found = royal.most_similar("king", 4)
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [c for _, c in found] == pytest.approx([c for _, c in expected], abs=1e-6)


# --- errors ---


def test_an_unknown_word_is_named_with_its_nearest_spelling(royal):
    for ask in (royal.__getitem__, royal.most_similar, lambda word: royal.analogy("man", word, "king")):
        with pytest.raises(ValueError, match="one of the 5 words .* got 'quen'; nearest spellings: queen"):
            ask("quen")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "window: expected a whole number from 1, got 0"),
        ({"negatives": 0}, "negatives: expected a whole number from 1, got 0"),
        ({"epochs": 0}, "epochs: expected a whole number from 1"),
        ({"dim": 0}, "dim: expected a whole number from 1"),
        ({"min_count": 0}, "min_count: expected a whole number from 1"),
        ({"min_count": 99}, "sentences: expected a word that occurs min_count=99 times, got none"),
        ({"lr": 0.0}, "lr: expected a finite number above 0, got 0.0"),
        ({"sample": -0.1}, "sample: expected 0 <= sample <= 1, got -0.1"),
        ({"mode": "glove"}, "mode: expected one of skipgram, cbow, got 'glove'"),
        ({"sentences": ["the cat sat"]}, r"sentences\[0\]: expected a list of strings, got 'the cat sat'"),
        ({"sentences": [[]]}, "sentences: expected a word"),
        (
            {"sample": 1e-9},
            "sample: expected a share .* got one that drops all 2 words of the text; sample=0",
        ),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        w2v.train(**{"sentences": [["the", "cat"]], "progress": False, **arguments})


@pytest.mark.parametrize(
    "sentences",
    [(words for words in [["the", "cat"]]), map(str.split, ["the cat"]), [["the"], (word for word in "ab")]],
)
def test_a_text_that_can_be_read_only_once_is_refused(sentences):
    words = r"^sentences(.1.)?: expected a list.* got a (generator|map)$"
    with pytest.raises(TypeError, match=words):
        w2v.train(sentences, progress=False)


def test_vocabulary_must_not_repeat_a_word():
    with pytest.raises(ValueError, match="vocab: expected .* got 2 words, 1 of them different"):
        w2v.Word2Vec(["a", "a"], 2)
