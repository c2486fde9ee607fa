#!/usr/bin/env bash
# gensim 4.4.0: a step of CBOW is not a step down the gradient of its own loss, whichever way the neighbours are put
# together. With cbow_mean=1 (the mean) each of n neighbours moves by n times its gradient; with cbow_mean=0 (the sum)
# by 1/n of it. The output vectors move by their gradient as they should, so input and output learn at rates whose
# ratio depends on the window. The documentation tells the two apart by "sum" and "mean" alone.
# Seen: 1.99, 3.91 and 10.02 times the gradient for 2, 4 and 10 neighbours with the mean; 0.50, 0.25, 0.10 with the
# sum.
#
# It matters to whoever writes CBOW anew and compares numbers, or compares CBOW with skip-gram at one learning rate.
# Irsoy et al. (arXiv 2012.15332) found the case of the mean. The gradient here comes from finite differences; steps
# are so small (1e-3) that those of one sentence add up; a few per cent are gensim's sigmoid, which comes from a
# table. Ends with 1 if the behaviour is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gensim==4.4.0 numpy==2.3.3
cd "$folder"
cat > seen.py <<'PYTHON'
import numpy as np
from gensim.models import Word2Vec

RATE = 1e-3


def step_over_gradient(neighbours, cbow_mean):
    """How many times its gradient each word moves, for input vectors and for output vectors."""
    sentence = [f"word{i}" for i in range(neighbours + 1)]
    model = Word2Vec(
        [sentence], vector_size=4, window=neighbours, shrink_windows=False, min_count=1, sample=0,
        sg=0, cbow_mean=cbow_mean, hs=1, negative=0, epochs=1, workers=1, seed=1,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    model.wv.vectors[:] = rng.normal(scale=0.5, size=model.wv.vectors.shape)
    model.syn1[:] = rng.normal(scale=0.5, size=model.syn1.shape)
    before = [model.wv.vectors.astype(float), model.syn1.astype(float)]

    def loss(vectors, nodes):
        """Hierarchical softmax of every word given all others."""
        total = 0.0
        for word in range(neighbours + 1):
            others = np.delete(vectors, word, axis=0)
            hidden = others.mean(0) if cbow_mean else others.sum(0)
            signs = 1.0 - 2.0 * model.wv.get_vecattr(word, "code")
            total += np.log1p(np.exp(-signs * (nodes[model.wv.get_vecattr(word, "point")] @ hidden))).sum()
        return total

    ratios = []
    model.train([sentence], total_examples=1, epochs=1, start_alpha=RATE, end_alpha=RATE)
    for which, after in enumerate([model.wv.vectors, model.syn1]):
        gradient = np.zeros_like(before[which])
        for index in np.ndindex(gradient.shape):
            for sign in (1, -1):
                moved = [array.copy() for array in before]
                moved[which][index] += sign * 1e-5
                gradient[index] += sign * loss(*moved) / 2e-5
        step = (before[which] - after) / RATE
        assert np.corrcoef(step.ravel(), gradient.ravel())[0, 1] > 0.99
        ratios.append((step * gradient).sum() / (gradient * gradient).sum())
    return ratios


for neighbours in (2, 4, 10):
    for cbow_mean, expected in ((1, neighbours), (0, 1 / neighbours)):
        inputs, outputs = step_over_gradient(neighbours, cbow_mean)
        print(f"cbow_mean={cbow_mean}, {neighbours:2} neighbours: {inputs:5.2f} times the gradient", end="")
        print(f" ({outputs:.2f} for output vectors)")
        assert abs(inputs / expected - 1) < 0.05, "the step of an input vector has changed"
        assert abs(outputs - 1) < 0.1, "the step of an output vector has changed"
PYTHON
venv/bin/python seen.py
