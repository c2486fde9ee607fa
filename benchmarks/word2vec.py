"""P3: skip-gram with negative sampling, words a second and fit to the optimum, side by side with gensim.

Both sides get the same list of sentences in memory and the same settings, and are timed from that list to
finished vectors: counting words, turning them into ids, every epoch. Words are those of the text times the
epochs, before sub-sampling. First the results are compared: the scores that each side learns in five epochs,
against the optimum `log(P(c | w) / P_noise(c)) - log k` with probabilities from sub-sampled text, and against
the exact PMI of the toy language. Then runs of one epoch are timed in blocks A B B A.

    python -m benchmarks.word2vec
"""

import json
import time

import numpy as np
import torch
from gensim.models import Word2Vec as GensimWord2Vec
from scipy.stats import spearmanr

from course_utils import word2vec as w2v
from course_utils.toy_language import ToyLanguage

GOAL = 1.0
DOCUMENTS = 12_000  # about half a million words
THREADS = 2
SETTINGS = {"window": 5, "sample": 1e-3}
DIM, NEGATIVES, LR, EPOCHS = 64, 5, 0.025, 5
SEEDS = (0, 1, 2)
BLOCKS = 20
SHORTEST_BLOCK = 0.3  # seconds
RARE = 20  # pairs expected less often than this are left out: nobody can learn their PMI from this text


def train_ours(sentences, epochs, seed):
    model = w2v.train(
        sentences, dim=DIM, negatives=NEGATIVES, epochs=epochs, lr=LR, seed=seed, progress=False, **SETTINGS
    )
    return model.vocab, model.input_vectors, model.output_vectors


def train_gensim(sentences, epochs, seed):
    model = GensimWord2Vec(
        sentences,
        sg=1,
        vector_size=DIM,
        negative=NEGATIVES,
        alpha=LR,
        epochs=epochs,
        seed=seed,
        min_count=1,
        workers=THREADS,
        **SETTINGS,
    )
    return model.wv.index_to_key, torch.from_numpy(model.wv.vectors), torch.from_numpy(model.syn1neg)


def optimum(sentences, vocab, counts, draws=5):
    """The best score of each pair, and how often it is expected in an epoch: two (vocab_size, vocab_size).

    Sub-sampling changes who meets whom: pairs are counted in sub-sampled text, as a mean over several draws.
    """
    keep = dict(zip(vocab, w2v.keep_probability(counts, SETTINGS["sample"]).tolist(), strict=True))
    rng = np.random.default_rng(0)
    pairs = torch.zeros(len(vocab), len(vocab), dtype=torch.float64)
    for _ in range(draws):
        thinned = [[word for word in words if rng.random() < keep[word]] for words in sentences]
        pairs += w2v.cooccurrence(thinned, vocab, SETTINGS["window"]) / draws
    given_word = pairs.log() - pairs.sum(1, keepdim=True).log()
    return given_word - w2v.noise_distribution(counts).log() - np.log(NEGATIVES), pairs


def fit(trained, vocab, targets):
    """Spearman correlation of the learnt scores with each of the targets {name: (values, which pairs)}."""
    words, inputs, outputs = trained
    position = {word: i for i, word in enumerate(words)}
    rows = [position[word] for word in vocab]
    score = (inputs[rows] @ outputs[rows].T).double()
    return {
        name: float(spearmanr(score[chosen], values[chosen]).statistic)
        for name, (values, chosen) in targets.items()
    }


def compare_results(sentences, language):
    """Mean over seeds of each side's correlations: {side: {target: correlation}}."""
    vocab, counts, _, _ = w2v.encode(sentences)
    best, pairs = optimum(sentences, vocab, counts)
    place = [language.words.index(word) for word in vocab]
    exact = torch.from_numpy(language.pmi(SETTINGS["window"])[np.ix_(place, place)])
    targets = {"optimum": (best, pairs >= RARE), "exact_pmi": (exact, exact.isfinite())}
    found = {}
    for side, trainer in (("ours", train_ours), ("gensim", train_gensim)):
        fits = [fit(trainer(sentences, EPOCHS, seed), vocab, targets) for seed in SEEDS]
        found[side] = {name: float(np.mean([one[name] for one in fits])) for name in targets}
    return found


def seconds(trainer, sentences, epochs):
    start = time.perf_counter()
    trainer(sentences, epochs, 0)
    return time.perf_counter() - start


def time_blocks(sentences, blocks):
    """Seconds of ours and of gensim a block A B B A, two runs each: (blocks, 2); and the epochs of a run."""
    epochs = 1
    while (
        min(seconds(train_ours, sentences, epochs), seconds(train_gensim, sentences, epochs)) < SHORTEST_BLOCK
    ):
        epochs *= 2
    times = []
    for _ in range(blocks):
        a1, b1, b2, a2 = (
            seconds(trainer, sentences, epochs)
            for trainer in (train_ours, train_gensim, train_gensim, train_ours)
        )
        times.append((a1 + a2, b1 + b2))
    return np.array(times), epochs


def median_interval(ratios, draws=10_000):
    """Median and its bootstrap 95 % interval: (median, low, high)."""
    resampled = np.random.default_rng(0).choice(ratios, size=(draws, len(ratios)))
    low, high = np.percentile(np.median(resampled, axis=1), [2.5, 97.5])
    return float(np.median(ratios)), float(low), float(high)


def run(documents=DOCUMENTS, blocks=BLOCKS):
    """The ratio of words a second: {"goal", "median", "low", "high", "met"}, and the details.

    Met means: the lower end of the interval reaches the goal, and neither mean correlation is below gensim's.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        language = ToyLanguage(seed=0)
        sentences = [
            list(sentence.words)
            for document in language.documents(documents)
            for sentence in document.sentences
        ]
        correlation = compare_results(sentences, language)
        times, epochs = time_blocks(sentences, blocks)
    finally:
        torch.set_num_threads(threads)
    words = sum(map(len, sentences))
    median, low, high = median_interval(times[:, 1] / times[:, 0])
    ours, gensim = (float(2 * words * epochs / np.median(column)) for column in times.T)
    as_good = all(correlation["ours"][name] >= correlation["gensim"][name] for name in correlation["ours"])
    return {
        "goal": GOAL,
        "median": median,
        "low": low,
        "high": high,
        "met": low >= GOAL and as_good,
        "words": words,
        "epochs_a_run": epochs,
        "blocks": blocks,
        "words_per_second": {"ours": ours, "gensim": gensim},
        "spearman": correlation,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
