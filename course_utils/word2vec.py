"""word2vec: one vector a word, learnt by telling true neighbours from random words.

"The paper" is Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their
Compositionality" (arXiv 1310.4546). Skip-gram and CBOW themselves come from the same authors' "Efficient
Estimation of Word Representations in Vector Space" (arXiv 1301.3781).

Each word has two vectors: an input vector w, for when it stands in the centre, and an output vector c, for
when it is a neighbour. Their dot product is the score of a pair. For every true pair (w, c) in the text,
negative sampling draws k words n from a noise distribution and climbs

    log sigmoid(w . c)  +  sum over the k words n of  log sigmoid(-w . n)             (the paper, equation 4)

instead of the full softmax, whose denominator runs over the whole vocabulary. Nobody has to guess where this
leads: with enough dimensions the best score is `w . c = log(P(c | w) / P_noise(c)) - log k`. With noise drawn
as often as the words themselves that is the pointwise mutual information of the pair minus a constant (Levy
and Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization", section 3.1). `pmi` computes it
from counts.

`plain_skipgram_step` is the method as one would tell it, pair by pair. Below the line stands how it is fast
in plain torch: the text is cut into blocks of 64 consecutive words. One matrix product scores all words of a
block against all their neighbours and against one pool of noise words that they share; a band of weights says
which of those scores belong to true pairs. The expected gradient is that of k fresh noise words a pair. It is
written out by hand in `gradients`.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Annotated, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from tqdm.auto import tqdm

from course_utils.checks import check_one_of, check_share, refusal
from course_utils.hints import (
    Count,
    Ids,
    Natural,
    NotNegative,
    Positive,
    Seed,
    Share,
    check_counts,
    check_some,
    hold_to_hints,
    shown,
)

BLOCK = 64  # consecutive centre words that share one matrix product
POOL = 128  # noise words that a block shares; more give a calmer gradient and a slower step
MAX_BLOCKS = 16  # blocks a step, in a long text
MIN_STEPS = 1000  # steps an epoch that a short text should still have: its steps take fewer blocks
MAX_CURVATURE = 6.0  # bound on learning rate times curvature of a row; see `row_rates`
NOISE_POWER = 0.75  # noise is drawn in proportion to counts ** 0.75 (the paper, section 2.2)
REACH_TYPE = torch.int16  # small numbers in small boxes: the band is compared entry by entry in every step
# A mean passes each neighbour in a CBOW only its share of a step, and a higher rate makes up for it. Other
# programs give each the whole step, which is no gradient (Irsoy et al. 2021, arXiv 2012.15332). On gensim's
# test corpus (331,339 words, 20 epochs) cosines correlate with WordSim-353 by 0.53 at 0.15 and 0.18 at 0.025;
# those of gensim's CBOW by 0.43.
LEARNING_RATES = {"skipgram": 0.025, "cbow": 0.15}

Texts = Sequence[Sequence[str]]
NoiseWords = Annotated[Ids, check_some]
WordCounts = Annotated[Tensor, check_counts]


class Word2Vec:
    """Two vectors a word, and questions to ask of them.

    Args:
        vocab: the words, each once; a word's position is its id.
        dim: length of a vector, >= 1.
        generator: a seeded `torch.Generator` for the first input vectors.

    Attributes:
        input_vectors: (vocab_size, dim), later used as "the word vectors"; at first uniform and small.
        output_vectors: (vocab_size, dim), the words as neighbours; at first zero, so that every score is 0.

    Raises:
        ValueError: if `dim` < 1, or the vocabulary is empty or repeats a word.
    """

    def __init__(self, vocab: Sequence[str], dim: Count, generator: Generator | None = None):
        self.vocab = list(vocab)
        self.word_id = {word: i for i, word in enumerate(self.vocab)}
        if not self.vocab or len(self.word_id) < len(self.vocab):
            got = f"{len(self.vocab)} words, {len(self.word_id)} of them different"
            raise refusal("vocab", "at least one word and each word once", got)
        self.input_vectors = (torch.rand(len(self.vocab), dim, generator=generator) - 0.5) / dim
        self.output_vectors = torch.zeros(len(self.vocab), dim)

    def __getitem__(self, word: str) -> Tensor:
        """Input vector of a word: (dim,). Raises ValueError for a word outside the vocabulary."""
        return self.input_vectors[self._id(word)]

    def most_similar(self, word: str, k: Count = 10) -> list[tuple[str, float]]:
        """The k words whose input vectors point most nearly the same way: [(word, cosine), ...], best first.

        Raises ValueError for a word outside the vocabulary, or k < 1.
        """
        return self._nearest(self[word], {self._id(word)}, k)

    def analogy(self, a: str, b: str, c: str, k: Count = 10) -> list[tuple[str, float]]:
        """a is to b as c is to ...? The k words nearest to `b - a + c`: [(word, cosine), ...], best first.

        All three vectors are first scaled to length 1, and the three words themselves are left out of the
        answers (arXiv 1301.3781, section 4). Without that rule the nearest word is often b or c. Raises
        ValueError for a word outside the vocabulary, or k < 1.
        """
        ids = [self._id(word) for word in (a, b, c)]
        from_a, to_b, from_c = F.normalize(self.input_vectors[ids], dim=1)
        return self._nearest(to_b - from_a + from_c, set(ids), k)

    def _nearest(self, query: Tensor, left_out: set[int], k: int) -> list[tuple[str, float]]:
        cosine = F.normalize(self.input_vectors, dim=1) @ F.normalize(query, dim=0)
        cosine[list(left_out)] = -torch.inf
        best = cosine.topk(min(k, len(self.vocab) - len(left_out)))
        return [
            (self.vocab[i], value)
            for value, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    def _id(self, word: str) -> int:
        if word not in self.word_id:
            near = difflib.get_close_matches(word, self.vocab, n=3)
            hint = f"nearest spellings: {', '.join(near)}" if near else ""
            raise refusal("word", f"one of the {len(self.vocab)} words of the vocabulary", repr(word), hint)
        return self.word_id[word]


# ---- The two losses ------------------------------------------------------------------------------------


def softmax_loss(centres: Tensor, output_vectors: Tensor, contexts: Ids) -> Tensor:
    """What negative sampling replaces: the mean of `-log P(context | centre)`, nats (the paper, equation 2).

    Every pair touches the whole vocabulary, so a step costs vocab_size dot products instead of 1 + k.

    Args:
        centres: (pairs, dim), input vectors of the centre words.
        output_vectors: (vocab_size, dim), all of them: the denominator needs each.
        contexts: (pairs,), ids of the true neighbours.
    """
    return F.cross_entropy(centres @ output_vectors.T, contexts)


def negative_sampling_loss(centres: Tensor, contexts: Tensor, noise: Tensor, negatives: Count) -> Tensor:
    """Mean over pairs of `-log sigmoid(w . c) - k * mean of log sigmoid(-w . n)`, nats (paper, equation 4).

    Args:
        centres: (pairs, dim), input vectors of the centre words.
        contexts: (pairs, dim), output vectors of their true neighbours.
        noise: (pairs, n, dim), output vectors of noise words. With n = k this is equation 4 to the letter; a
            larger n estimates the same expectation with less variance.
        negatives: k, the weight of the noise in noise words a true pair.
    """
    true_pairs = F.logsigmoid((centres * contexts).sum(-1))
    noise_pairs = F.logsigmoid(-(noise @ centres.unsqueeze(-1)).squeeze(-1))
    return -(true_pairs + negatives * noise_pairs.mean(-1)).mean()


# ---- From sentences to draws ---------------------------------------------------------------------------


def count_words(sentences: Texts) -> Counter[str]:
    """How often each word occurs: a Counter. `sentences` is a list of lists of words."""
    return Counter(chain.from_iterable(sentences))


def keep_probability(counts: WordCounts, sample: Share) -> Tensor:
    """Chance of each occurrence of a word to survive sub-sampling: (vocab_size,) float64.

    `sqrt(t / f) + t / f`, at most 1, for a word that makes up the share f of the text. The paper (section
    2.3) prints only `sqrt(t / f)`; the second term is in the authors' C program and in gensim.

    Args:
        counts: (vocab_size,), occurrences of each word.
        sample: the threshold t, 0 <= t <= 1; 0 keeps everything.

    Raises:
        ValueError: if `sample` lies outside [0, 1].
    """
    check_share("sample", sample, closed=True)
    counts = torch.as_tensor(counts, dtype=torch.float64)
    if sample == 0:
        return torch.ones_like(counts)
    ratio = sample * counts.sum() / counts
    return (ratio.sqrt() + ratio).clamp(max=1)


def noise_distribution(counts: WordCounts) -> Tensor:
    """Probabilities of the noise words, proportional to counts ** 0.75: (vocab_size,) float64."""
    weight = torch.as_tensor(counts, dtype=torch.float64) ** NOISE_POWER
    return weight / weight.sum()


def draw_noise(noise: WordCounts, blocks: Natural, generator: Generator | None = None) -> Tensor:
    """A pool of noise words for each block: (blocks, POOL) ids, each word POOL * its probability times.

    A number between 0 and 1 falls into the stretch of the cumulative sum that belongs to its word. A pool
    takes one uniform number from each of POOL equal strata instead of POOL from anywhere: the same mean,
    less variance.
    """
    cumulative = noise.cumsum(0)
    jitter = torch.rand(blocks, POOL, generator=generator, dtype=torch.float64)
    return torch.searchsorted(cumulative[:-1], (torch.arange(POOL) + jitter) / POOL, right=True)


class Blocks(NamedTuple):
    """A text in blocks of BLOCK centre words, each with `window` more words on either side.

    words: (blocks, BLOCK + 2 * window) ids.
    sentence: (blocks, BLOCK + 2 * window), number of the sentence of each word; -1 in the padding.
    reach: (blocks, BLOCK), how far each centre word looks; 0 in the padding, which looks nowhere.
    """

    words: Tensor
    sentence: Tensor
    reach: Tensor


def draw_blocks(
    ids: Ids, sentence: Ids, keep: Tensor, window: Count, generator: Generator | None = None
) -> Blocks:
    """One epoch of text: a fresh draw of the words that survive and of how far each of them looks.

    Words are dropped *before* neighbours are counted, so the survivors see further. The reach is uniform in
    1..window: a neighbour at distance d counts with chance (window - d + 1) / window.

    Args:
        ids: (tokens,), word ids of the whole text.
        sentence: (tokens,), the number of the sentence of each token.
        keep: (vocab_size,), from `keep_probability`.
        window: the furthest neighbour.
        generator: a seeded `torch.Generator`.

    Raises:
        ValueError: if no word survives, as happens to a text of a few words.
    """
    survivors = (torch.rand(len(ids), generator=generator) < keep.float()[ids]).nonzero().squeeze(1)
    if not len(survivors):
        dropped = f"one that drops all {len(ids)} words of the text"
        raise refusal("sample", "a share that leaves words", dropped, "sample=0 keeps every word")
    ids, sentence = ids[survivors], sentence[survivors]
    reach = torch.randint(1, window + 1, ids.shape, generator=generator, dtype=REACH_TYPE)
    padding = -len(ids) % BLOCK
    around = (window, padding + window)

    def windows(row: Tensor) -> Tensor:
        return row.unfold(0, BLOCK + 2 * window, BLOCK)

    return Blocks(
        windows(F.pad(ids, around)),
        windows(F.pad(sentence, around, value=-1)),
        F.pad(reach, (0, padding)).view(-1, BLOCK),
    )


# ---- Learning, pair by pair ----------------------------------------------------------------------------


def listed_pairs(blocks: Blocks) -> Iterator[tuple[int, int, int]]:
    """The true pairs by a walk over the text: (block, place of the centre, place of its neighbour)."""
    window = (blocks.words.shape[1] - BLOCK) // 2
    for b, reaches in enumerate(blocks.reach.tolist()):
        for i, reach in enumerate(reaches):
            for j in range(i + window - reach, i + window + reach + 1):
                if j != i + window and blocks.sentence[b, j] == blocks.sentence[b, i + window]:
                    yield b, i + window, j


def plain_skipgram_step(
    model: Word2Vec, blocks: Blocks, noise_words: NoiseWords, negatives: Count, lr: NotNegative
) -> None:
    """Each centre word predicts each of its neighbours, and noise words as none; changes the model in place.

    The derivative of `log sigmoid(s)` is `1 - sigmoid(s)` and that of `log sigmoid(-s)` is `-sigmoid(s)`: the
    label, 1 or 0, minus the probability. Each pair is judged by the vectors as they were before the step.
    """
    inputs, outputs = model.input_vectors.clone(), model.output_vectors.clone()
    for b, i, j in listed_pairs(blocks):
        centre, candidates = blocks.words[b, i], torch.cat([blocks.words[b, j : j + 1], noise_words[b]])
        label = (torch.arange(len(candidates)) == 0).float()
        weight = torch.where(label == 1, 1.0, negatives / (len(candidates) - 1))
        error = weight * (label - torch.sigmoid(outputs[candidates] @ inputs[centre]))
        model.input_vectors[centre] += lr * error @ outputs[candidates]
        model.output_vectors.index_add_(0, candidates, lr * error.outer(inputs[centre]))


# ---- The same, fast: a block of centres at a time ------------------------------------------------------


@lru_cache(maxsize=8)
def _distances(window: int) -> Tensor:
    """Steps between centre i and word j of a block: (BLOCK, BLOCK + 2 * window). No word is near itself."""
    steps = (torch.arange(BLOCK + 2 * window) - window - torch.arange(BLOCK).unsqueeze(1)).abs()
    return steps.masked_fill(steps == 0, BLOCK + 2 * window).to(REACH_TYPE)


def true_pairs(blocks: Blocks) -> Tensor:
    """1.0 where word j is a neighbour of centre i, else 0.0: (blocks, BLOCK, BLOCK + 2 * window), a band.

    Neighbours stand in the same sentence, within the centre's reach, and are not the centre itself.
    """
    window = (blocks.words.shape[1] - BLOCK) // 2
    near = _distances(window) <= blocks.reach.unsqueeze(2)
    centre_sentence = blocks.sentence[:, window : window + BLOCK]
    return (near & (centre_sentence.unsqueeze(2) == blocks.sentence.unsqueeze(1))).float()


def gradients(inputs: Tensor, outputs: Tensor, weight: Tensor, negatives: Count) -> tuple[Tensor, Tensor]:
    """The gradient of the negative-sampling objective, written out: up the hill for both sides.

    As in `plain_skipgram_step` an error is a label, 1 or 0, minus a probability; here it is a table.

    Args:
        inputs: (blocks, n, dim), vectors of what predicts.
        outputs: (blocks, m + pool, dim), vectors of m candidates and, after them, of the noise words.
        weight: (blocks, n, m), how much each pair counts as a true one; 0 for pairs that do not.
        negatives: k, noise words a true pair; each of the pool stands for k / pool of them.

    Returns:
        gradients of the shapes of `inputs` and `outputs`.
    """
    candidates = weight.shape[2]
    probability = torch.sigmoid(inputs @ outputs.mT)
    noise_weight = weight.sum(2, keepdim=True) * (negatives / (outputs.shape[1] - candidates))
    true_error = weight * (1 - probability[:, :, :candidates])
    noise_error = -noise_weight * probability[:, :, candidates:]
    error = torch.cat([true_error, noise_error], dim=2)
    return error @ outputs, error.mT @ inputs


def skipgram_step(
    model: Word2Vec,
    blocks: Blocks,
    noise_words: NoiseWords,
    negatives: Count,
    lr: NotNegative,
    expected: tuple[Tensor, Tensor],
) -> None:
    """Each centre word predicts each of its neighbours. Changes the model in place.

    Args:
        blocks: Blocks of this step.
        noise_words: (blocks, pool) ids.
        negatives: k, noise words a true pair.
        lr: learning rate of this step.
        expected: pairs a step of each word as input and as output, see `expected_pairs`.
    """
    window = (blocks.words.shape[1] - BLOCK) // 2
    centres = blocks.words[:, window : window + BLOCK]
    candidates = torch.cat([blocks.words, noise_words], dim=1)
    inputs = F.embedding(centres, model.input_vectors)
    outputs = F.embedding(candidates, model.output_vectors)
    up_inputs, up_outputs = gradients(inputs, outputs, true_pairs(blocks), negatives)
    add_rows(model.input_vectors, centres, up_inputs, row_rates(lr, expected[0], outputs))
    add_rows(model.output_vectors, candidates, up_outputs, row_rates(lr, expected[1], inputs))


def cbow_step(
    model: Word2Vec,
    blocks: Blocks,
    noise_words: NoiseWords,
    negatives: Count,
    lr: NotNegative,
    expected: tuple[Tensor, Tensor],
) -> None:
    """The mean of the neighbours predicts the centre word (arXiv 1301.3781, section 3.1); in place.

    Arguments as in `skipgram_step`.
    """
    window = (blocks.words.shape[1] - BLOCK) // 2
    centres = blocks.words[:, window : window + BLOCK]
    candidates = torch.cat([centres, noise_words], dim=1)
    pairs = true_pairs(blocks)
    mean = pairs / pairs.sum(2, keepdim=True).clamp(min=1)
    # Mean i predicts centre i and no other, and only if i has neighbours at all: (blocks, BLOCK, BLOCK).
    own_centre = torch.diag_embed(pairs.amax(2))
    inputs = mean @ F.embedding(blocks.words, model.input_vectors)
    outputs = F.embedding(candidates, model.output_vectors)
    up_means, up_outputs = gradients(inputs, outputs, own_centre, negatives)
    add_rows(model.input_vectors, blocks.words, mean.mT @ up_means, row_rates(lr, expected[0], outputs))
    add_rows(model.output_vectors, candidates, up_outputs, row_rates(lr, expected[1], inputs))


def add_rows(vectors: Tensor, ids: Tensor, change: Tensor, rates: Tensor) -> None:
    """Add `rates * change` to rows of `vectors`; a row that is named twice collects both.

    `ids` (blocks, n) name the rows, `change` is (blocks, n, dim), `rates` (vocab_size,).
    """
    vectors.index_add_(0, ids.flatten(), (change * rates[ids].unsqueeze(2)).flatten(0, 1))


def expected_pairs(
    counts: WordCounts, keep: Tensor, true_pairs_a_step: Positive, negatives: Count
) -> tuple[Tensor, Tensor]:
    """Mean number of pairs of each word in one step, true and noise: two tensors (vocab_size,).

    The first counts the word as input, the second as output. `counts` and `keep` are (vocab_size,).
    """
    true = counts * keep / (counts * keep).sum()
    as_input = true * (1 + negatives)
    as_output = true + negatives * noise_distribution(counts)
    return (true_pairs_a_step * as_input).float(), (true_pairs_a_step * as_output).float()


def row_rates(lr: NotNegative, pairs: Tensor, partners: Annotated[Tensor, check_some]) -> Tensor:
    """The learning rate of each word in a step: (vocab_size,), lr but for very frequent words.

    A step adds up all changes of a row, each computed from where the row stood *before* the step. With a
    great many pairs in one step the row overshoots its mark, the next step overshoots further the other
    way, and the vectors explode. Gradient ascent is safe while the rate times the curvature stays below 2
    in every direction. The second derivative of `-log sigmoid` is at most 1/4, so over all directions
    together the curvature is at most `pairs * mean |partner|^2 / 4`; any one direction has only a part of
    it, hence a MAX_CURVATURE above 2. A lower rate moves no optimum: a gradient of zero stays zero.

    Args:
        lr: learning rate of the step.
        pairs: (vocab_size,), pairs of each word in the step, from `expected_pairs`.
        partners: (blocks, n, dim), the vectors on the other side.
    """
    mean_square = torch.linalg.vector_norm(partners) ** 2 / partners.shape[:2].numel()
    return (MAX_CURVATURE / (pairs * mean_square / 4)).clamp(max=lr)


def train(
    sentences: Texts,
    dim: Count = 64,
    window: Count = 5,
    negatives: Count = 5,
    sample: Share = 1e-3,
    epochs: Count = 5,
    lr: Positive | None = None,
    min_count: Count = 1,
    seed: Seed = 0,
    mode: str = "skipgram",
    progress: bool = True,
) -> Word2Vec:
    """Learn word vectors from sentences.

    Plain stochastic gradient ascent; the learning rate falls in a straight line towards 0.

    Args:
        sentences: list of lists of words. Windows never cross from one sentence into the next.
        dim: length of the vectors.
        window: the furthest neighbour; the reach of each word is drawn anew from 1..window in every epoch.
        negatives: k, noise words a true pair.
        sample: threshold t of sub-sampling, see `keep_probability`; 0 switches it off.
        epochs: passes over the text.
        lr: learning rate at the start, > 0; None takes that of the mode from LEARNING_RATES.
        min_count: words seen less often are removed from the text.
        seed: settles every draw, and with it the vectors.
        mode: "skipgram" (centre predicts neighbours) or "cbow" (mean of neighbours predicts centre).
        progress: show a progress bar of tokens, counted before sub-sampling.

    Returns:
        Word2Vec, its vocabulary sorted from frequent to rare.

    Raises:
        ValueError: for an argument outside its range, or a text without words.
        TypeError: for a text that can be read only once, as a generator.
    """
    check_one_of("mode", mode, LEARNING_RATES)
    lr = LEARNING_RATES[mode] if lr is None else lr
    generator = Generator().manual_seed(seed)
    vocab, counts, ids, sentence = encode(sentences, min_count)
    model = Word2Vec(vocab, dim, generator)
    keep, noise = keep_probability(counts, sample), noise_distribution(counts)
    step = skipgram_step if mode == "skipgram" else cbow_step
    blocks_per_step = min(max(len(ids) // (BLOCK * MIN_STEPS), 1), MAX_BLOCKS)
    # Reaches 1..window on two sides make window + 1 pairs a centre; CBOW makes one, from their mean.
    pairs = blocks_per_step * BLOCK * (window + 1 if mode == "skipgram" else 1)
    expected = expected_pairs(counts, keep, pairs, negatives)

    with tqdm(total=epochs * len(ids), unit="word", unit_scale=True, disable=not progress) as bar:
        for epoch in range(epochs):
            blocks = draw_blocks(ids, sentence, keep, window, generator)
            noise_words = draw_noise(noise, len(blocks.words), generator)
            for start in range(0, len(blocks.words), blocks_per_step):
                part = slice(start, start + blocks_per_step)
                done = (epoch + start / len(blocks.words)) / epochs
                chunk = Blocks(*(field[part] for field in blocks))
                step(model, chunk, noise_words[part], negatives, lr * (1 - done), expected)
                bar.update(len(ids) * (epoch + min(1, part.stop / len(blocks.words))) - bar.n)
    return model


def encode(sentences: Texts, min_count: Count = 1) -> tuple[list[str], Tensor, Tensor, Tensor]:
    """Words to ids, frequent words first.

    Returns:
        vocab: list of the words seen at least `min_count` times.
        counts: (vocab_size,) float64.
        ids: (tokens,) int64, the text without its rare words.
        sentence: (tokens,) int32, the number of the sentence of each token.

    Raises:
        ValueError: if a sentence is a string instead of a list of words, or no word is left.
        TypeError: if the text or a sentence can be read only once, as a generator.
    """
    ranked = count_words(sentences).most_common()
    rank = {word: i for i, (word, _) in enumerate(ranked)}
    vocab = [word for word, count in ranked if count >= min_count]
    if not vocab:
        raise refusal("sentences", f"a word that occurs min_count={min_count} times", "none")
    ids = torch.from_numpy(np.fromiter(map(rank.__getitem__, chain.from_iterable(sentences)), dtype=np.int64))
    lengths = torch.tensor([len(words) for words in sentences])
    sentence = torch.arange(len(sentences), dtype=torch.int32).repeat_interleave(lengths)
    known = ids < len(vocab)
    counts = torch.tensor([count for _, count in ranked[: len(vocab)]], dtype=torch.float64)
    return vocab, counts, ids[known], sentence[known]


# ---- The optimum, from counts --------------------------------------------------------------------------


def cooccurrence(sentences: Texts, vocab: Sequence[str], window: Count = 5) -> Tensor:
    """How often each (word, neighbour) should be a true pair in an epoch: (vocab_size, vocab_size) float64.

    A neighbour at distance d weighs (window - d + 1) / window, the chance that the random reach covers it;
    nothing is sub-sampled. Words outside `vocab` are removed before distances are counted. Memory grows with
    the square of the vocabulary. Raises ValueError if window < 1.
    """
    word_id = {word: i for i, word in enumerate(vocab)}
    known = [[word_id[word] for word in words if word in word_id] for words in sentences]
    ids = torch.tensor(list(chain.from_iterable(known)), dtype=torch.int64)
    sentence = torch.arange(len(known)).repeat_interleave(
        torch.tensor([len(row) for row in known], dtype=torch.int64)
    )
    counts = torch.zeros(len(vocab) ** 2, dtype=torch.float64)
    for distance in range(1, window + 1):
        together = sentence[:-distance] == sentence[distance:]
        pair = ids[:-distance][together] * len(vocab) + ids[distance:][together]
        counts += torch.bincount(pair, minlength=len(vocab) ** 2) * ((window - distance + 1) / window)
    counts = counts.view(len(vocab), len(vocab))
    return counts + counts.T


def check_pair_counts(name: str, counts: Tensor) -> None:
    """Every word has been seen beside some other: the logarithm of nothing says nothing."""
    check_counts(name, counts)
    if counts.dim() != 2 or not (counts.sum(0).all() and counts.sum(1).all()):
        raise refusal(name, "a table in which no row and no column is all 0", shown(counts))


def pmi(counts: Annotated[Tensor, check_pair_counts], power: NotNegative = 1.0) -> Tensor:
    """Pointwise mutual information `log(P(c | w) / P(c))`, nats, from pair counts: (vocab_size, vocab_size).

    `power=1` is the PMI of the textbooks. With `power=0.75` P(c) is raised to that power, as the noise is,
    and `pmi(counts, 0.75) - log k` is the score that skip-gram with k noise words a pair strives for. Pairs
    that never meet get -inf: their optimum lies beyond all finite vectors.
    """
    context = counts.sum(0) ** power
    return counts.log() - counts.sum(1, keepdim=True).log() - (context / context.sum()).log()


hold_to_hints(globals())
