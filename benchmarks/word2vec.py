"""P3: skip-gram with negative sampling, words a second and fit to the optimum, side by side with gensim.

Both sides get the same list of sentences in memory and the same settings, and are timed from that list to
finished vectors: counting words, turning them into ids, every epoch. Words are those of the text times the
epochs, before sub-sampling. First the results are compared: the scores that each side learns in five epochs,
against the optimum `log(P(c | w) / P_noise(c)) - log k` with probabilities from sub-sampled text, and against
the exact PMI of the generator. Then runs of one epoch are timed in blocks A B B A.

Two texts of a million words, each with a row of its own: 2,000 words with Zipf's law in sentences of 20,
about the length of English ones, and the course's toy language. In the toy language's sentences of seven
words most of a window is cut off, which spares gensim work that a matrix product does all the same.

    python -m benchmarks P3
"""

import numpy as np
import torch
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from benchmarks import protocol
from course_utils import word2vec as w2v
from course_utils.toy.language import ToyLanguage

GOAL_LONG, GOAL_SHORT = (
    protocol.by_processor(intel=1.3, amd=1.5),
    1.2,
)  # sentences of 20 words, and short ones
WORDS = 1_000_000
SETTINGS = {"window": 5, "sample": 1e-3}
DIM, NEGATIVES, LR, EPOCHS = 64, 5, 0.025, 5
SEEDS = (0, 1, 2)
RARE = 20  # pairs expected less often than this are left out: nobody can learn their PMI from this text


def topic_text(words, vocab_size=2_000, topics=20, boost=50.0, length=20, seed=0):
    """Sentences of independent words from one topic each, and what is exact about them.

    Word r has weight 1 / (r + 1) ** 0.8, in its own topic `boost` times that.

    Returns:
        sentences; vocabulary; exact PMI of two words of one sentence, (vocab_size, vocab_size).
    """
    rng = np.random.default_rng(seed)
    weight = np.arange(1, vocab_size + 1) ** -0.8
    own = rng.integers(topics, size=vocab_size)
    emission = weight * np.where(np.arange(topics)[:, None] == own, boost, 1.0)
    emission /= emission.sum(1, keepdims=True)
    vocab = [f"word{r}" for r in range(vocab_size)]
    sentences = [
        [vocab[i] for i in row]
        for p in emission
        for row in rng.choice(vocab_size, size=(words // (length * topics), length), p=p).tolist()
    ]
    rng.shuffle(sentences)
    joint, marginal = emission.T @ emission / topics, emission.mean(0)
    return sentences, vocab, np.log(joint / np.outer(marginal, marginal))


def toy_text(words):
    """The toy language in the form of `topic_text`. A document has about 41 words."""
    language = ToyLanguage(seed=0)
    documents = language.documents(words // 41)
    sentences = [list(sentence.words) for document in documents for sentence in document.sentences]
    return sentences, language.words, language.pmi(SETTINGS["window"])


def train_ours(sentences, epochs, seed):
    model = w2v.train(
        sentences, dim=DIM, negatives=NEGATIVES, epochs=epochs, lr=LR, seed=seed, progress=False, **SETTINGS
    )
    return model.vocab, model.input_vectors, model.output_vectors


def train_gensim(sentences, epochs, seed):
    from gensim.models import Word2Vec as GensimWord2Vec

    model = GensimWord2Vec(
        sentences,
        sg=1,
        vector_size=DIM,
        negative=NEGATIVES,
        alpha=LR,
        epochs=epochs,
        seed=seed,
        min_count=1,
        workers=protocol.THREADS,
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


def fit(trained, vocab, targets, chosen):
    """Spearman correlation of the learnt scores with each of the targets, over the chosen pairs."""
    words, inputs, outputs = trained
    position = {word: i for i, word in enumerate(words)}
    rows = [position[word] for word in vocab]
    score = (inputs[rows] @ outputs[rows].T)[chosen]
    return {name: float(spearmanr(score, values[chosen]).statistic) for name, values in targets.items()}


def compare_results(sentences, words, exact_pmi):
    """Mean over seeds of each side's correlations: {side: {target: correlation}}."""
    vocab, counts, _, _ = w2v.encode(sentences)
    best, pairs = optimum(sentences, vocab, counts)
    place = {word: i for i, word in enumerate(words)}
    order = [place[word] for word in vocab]
    targets = {"optimum": best, "exact_pmi": torch.from_numpy(exact_pmi[np.ix_(order, order)])}
    found = {}
    for side, trainer in (("ours", train_ours), ("gensim", train_gensim)):
        seeds = tqdm(SEEDS, desc=f"fit of {side}", leave=False)
        fits = [fit(trainer(sentences, EPOCHS, seed), vocab, targets, pairs >= RARE) for seed in seeds]
        found[side] = {name: float(np.mean([one[name] for one in fits])) for name in targets}
    return found


def products_a_true_pair(sentences):
    """Why the text decides: scores that each side computes for one true pair, {side: number}.

    Ours computes the whole table of a block, its words and its pool of noise against its centres; gensim
    computes the pair and its noise words one by one.
    """
    _, counts, ids, sentence = w2v.encode(sentences)
    keep = w2v.keep_probability(counts, SETTINGS["sample"])
    generator = torch.Generator().manual_seed(0)
    blocks = w2v.draw_blocks(ids, sentence, keep, SETTINGS["window"], generator)
    table = blocks.words.shape[1] + w2v.POOL
    pairs = float(w2v.true_pairs(blocks).sum())
    return {"ours": len(blocks.words) * w2v.BLOCK * table / pairs, "gensim": 1 + NEGATIVES}


def measure(text, what, goal, blocks):
    """One text, compared and timed, as a row of the results.

    Met means: the lower end of the interval reaches the goal, and the mean correlation with the exact PMI is
    not below gensim's. The correlation with the optimum is noted beside it.
    """
    sentences, words, exact_pmi = text
    correlation = compare_results(sentences, words, exact_pmi)
    times = protocol.abba(
        lambda: train_ours(sentences, 1, 0), lambda: train_gensim(sentences, 1, 0), blocks, warm_up=1
    )
    count = sum(map(len, sentences))
    ours, gensim = (float(count / np.median(column)) for column in times.T)
    products = products_a_true_pair(sentences)
    row = protocol.ratio_row(
        what,
        goal,
        times,
        words=count,
        words_per_second={"ours": ours, "gensim": gensim},
        spearman=correlation,
        products_a_true_pair=products,
        why=f"for each true pair a block computes {products['ours']:.0f} scores and gensim "
        f"{products['gensim']}: the table holds pairs that lie too far apart or in two sentences, and its "
        "pool of noise words stands against every centre.",
    )
    row["met"] &= correlation["ours"]["exact_pmi"] >= correlation["gensim"]["exact_pmi"]
    return row


def run(words=WORDS, blocks=protocol.BLOCKS):
    """P3: words a second as a multiple of gensim's, on both texts."""
    return {
        "P3": measure(
            topic_text(words),
            "skip-gram of equal or better fit, sentences of 20 words, against gensim",
            GOAL_LONG,
            blocks,
        ),
        "P3_toy_language": measure(
            toy_text(words),
            "skip-gram of equal or better fit, the toy language, against gensim",
            GOAL_SHORT,
            blocks,
        ),
    }
