"""The keys of the quiz on word2vec, worked out: each function has the id of its question and returns the text
of the key.
"""

import math

import torch

from course_utils import word2vec as w2v


def one_hot() -> str:
    happy, sad = torch.eye(17)[[3, 11]]
    return f"{happy @ sad:g}"


def pairs() -> str:
    return str(sum(0 < abs(i - j) <= 2 for i in range(6) for j in range(6)))


def cost() -> str:
    return f"{60_000 // (1 + 5):,} times"


def more_noise() -> str:
    p, q = 0.02, 0.001
    scores = torch.linspace(-5, 5, 100_001, dtype=torch.float64)

    def best(k: int) -> float:
        losses = -p * torch.nn.functional.logsigmoid(scores) - k * q * torch.nn.functional.logsigmoid(-scores)
        return scores[losses.argmin()].item()

    return (
        "It falls by log 3"
        if math.isclose(best(5) - best(15), math.log(3), abs_tol=1e-3)
        else "It stays the same"
    )


def power() -> str:
    frequent, rare = w2v.noise_distribution([16, 1])
    return f"{frequent / rare:.0f} times"


def two_banks() -> str:
    sentences = [["the", "bank", "was", "robbed"], ["the", "river", "bank"]]
    model = w2v.train(sentences, dim=4, sample=0, epochs=1, progress=False)
    first, second = (model[sentence[sentence.index("bank")]] for sentence in sentences)
    return "No: it is the same vector in both kinds of sentence" if torch.equal(first, second) else "Yes"
