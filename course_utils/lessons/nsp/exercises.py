"""Exercises of notebook 08: negative pairs, the NSP head and its loss, and two pieces of exact reasoning.

Label 0 is IsNext, label 1 is NotNext, as in BERT.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.classroom.engine import exercise, stage, wrong


def _corpus(check, documents: int) -> tuple[list[tuple[str, str]], list[int]]:
    """True pairs of some documents and the document of each; all sentences have different names."""
    pairs, owners = [], []
    for d in range(documents):
        sentences = [f"{chr(97 + d)}{s}" for s in range(int(check.rng.integers(2, 5)))]
        pairs += list(pairwise(sentences))
        owners += [d] * (len(sentences) - 1)
    return pairs, owners


def _with_donors(pairs, torn, donors) -> list[tuple[str, str, int]]:
    """Negative pairs with exactly the donors given."""
    return [
        (first, pairs[donor][1], 1) if is_torn else (first, second, 0)
        for (first, second), is_torn, donor in zip(pairs, torn, donors, strict=True)
    ]


def _next_stranger(owners, i: int, donor: int) -> int:
    """The first pair from `donor` on, counted round, that is of another document than pair i."""
    places = [(donor + step) % len(owners) for step in range(len(owners))]
    return next(place for place in places if owners[place] != owners[i])


@exercise
class tear:
    """Write `tear(pairs, owners, torn, donors)`: a list of triples (first, second, label), one for each pair,
    in order.

    `pairs` is a list of true pairs (first, second), `owners` the number of the document of each. Where
    `torn[i]` is False the pair stays as it is, with label 0. Where it is True, its second part is replaced by
    the second part of pair number `donors[i]`, and the label is 1. If that donor is of the same document,
    take the next pair (after the last one comes number 0), and so on, until it is of another document.
    """

    hints = (
        (
            "Go through the pairs by number: `for i, (first, second) in enumerate(pairs)`. The label follows"
            " from torn[i]."
        ),
        "The donor of a negative pair starts at donors[i]. While owners[donor] == owners[i], go one further.",
        "`donor = (donor + 1) % len(pairs)` goes one further and comes round at the end.",
    )

    def solution(pairs, owners, torn, donors):
        triples = []
        for i, (first, second) in enumerate(pairs):
            if torn[i]:
                donor = donors[i]
                while owners[donor] == owners[i]:
                    donor = (donor + 1) % len(pairs)
                triples.append((first, pairs[donor][1], 1))
            else:
                triples.append((first, second, 0))
        return triples

    @stage("pairs that are not negative stay as they are, with label 0")
    def untouched(check):
        for documents in range(2, 8):
            pairs, owners = _corpus(check, documents)
            nothing = [False] * len(pairs)
            expected = _with_donors(pairs, nothing, [0] * len(pairs))
            check.equal(check.call(pairs, owners, nothing, [0] * len(pairs)), expected)

    @stage("a negative pair keeps its first part and takes the second part of its donor, with label 1")
    def donors_elsewhere(check):
        for documents in range(2, 8):
            pairs, owners = _corpus(check, documents)
            torn = [True, *(check.rng.random(len(pairs) - 1) < 0.5).tolist()]
            drawn = check.rng.integers(0, len(pairs), len(pairs)).tolist()
            donors = [_next_stranger(owners, i, donor) for i, donor in enumerate(drawn)]
            expected = _with_donors(pairs, torn, donors)
            check.equal(check.call(pairs, owners, torn, donors), expected)

    @stage("a donor is never of the same document")
    def strangers(check):
        for documents in range(2, 10):
            pairs, owners = _corpus(check, documents)
            torn = [True] * len(pairs)
            donors = [owners.index(owner) for owner in owners]  # the first pair of the same document
            expected = _with_donors(pairs, torn, [_next_stranger(owners, i, d) for i, d in enumerate(donors)])
            check.equal(check.call(pairs, owners, torn, donors), expected)

    @wrong("IsNext is label 0: these pairs follow one another.")
    def labels_swapped(pairs, owners, torn, donors):
        found = [(i, _next_stranger(owners, i, donor)) for i, donor in enumerate(donors)]
        return [(pairs[i][0], pairs[donor][1], 0) if torn[i] else (*pairs[i], 1) for i, donor in found]

    @wrong("A negative pair is NotNext, label 1.")
    def always_zero(pairs, owners, torn, donors):
        found = [(i, _next_stranger(owners, i, donor)) for i, donor in enumerate(donors)]
        return [(pairs[i][0], pairs[donor if torn[i] else i][1], 0) for i, donor in found]

    @wrong("The first part has been replaced; the second part is the one to replace.")
    def replaces_the_first(pairs, owners, torn, donors):
        found = [(i, _next_stranger(owners, i, donor)) for i, donor in enumerate(donors)]
        return [(pairs[donor if torn[i] else i][0], pairs[i][1], int(torn[i])) for i, donor in found]

    @wrong("The donor is taken as it comes: some of these come from the same document.")
    def any_donor(pairs, owners, torn, donors):
        return [
            (first, pairs[donors[i]][1], 1) if torn[i] else (first, second, 0)
            for i, (first, second) in enumerate(pairs)
        ]

    @wrong("A pair is kept apart from itself only; compare the documents, `owners`.")
    def any_but_itself(pairs, owners, torn, donors):
        triples = []
        for i, (first, second) in enumerate(pairs):
            donor = (donors[i] + 1) % len(pairs) if donors[i] == i else donors[i]
            triples.append((first, pairs[donor][1], 1) if torn[i] else (first, second, 0))
        return triples

    @wrong("The label is missing: a triple for each pair.")
    def no_label(pairs, owners, torn, donors):
        return [(first, second) for first, second, _ in tear.model_answer(pairs, owners, torn, donors)]

    @wrong("This takes the first part of the donor; its second part is wanted.")
    def first_of_the_donor(pairs, owners, torn, donors):
        found = [(i, _next_stranger(owners, i, donor)) for i, donor in enumerate(donors)]
        return [(pairs[i][0], pairs[donor][0], 1) if torn[i] else (*pairs[i], 0) for i, donor in found]


@exercise
class nsp_head:
    """Write `nsp_head(last_hidden_state, pooler, classifier)`: the logits of the next sentence head, (batch,
    2).

    `last_hidden_state` has the shape (batch, seq_len, hidden_size). `pooler` is an nn.Linear from hidden_size
    to hidden_size, `classifier` one from hidden_size to 2; call them as functions.
    """

    hints = (
        "Which token stands for the whole row? It is the first one, at position 0 of the second axis.",
        "Between the two Linear layers stands a function that keeps every number between -1 and 1.",
        "`classifier(pooler(...).tanh())`.",
    )

    def solution(last_hidden_state, pooler, classifier):
        return classifier(pooler(last_hidden_state[:, 0]).tanh())

    @stage("two logits for each row: one token speaks for all")
    def form(check):
        for batch in range(1, 7):
            states, pooler, classifier = _head_inputs(check, batch, batch + 2)
            check.tensor(check.call(states, pooler, classifier), (batch, 2), axes="(batch, label)")

    @stage("rows of one token: Linear, tanh, Linear")
    def layers(check):
        for batch in range(1, 7):
            states, pooler, classifier = _head_inputs(check, batch, 1)
            token = states[:, 0]
            check.equal(check.call(states, pooler, classifier), classifier(pooler(token).tanh()))

    @stage("the token is [CLS], the first one")
    def token(check):
        for batch in range(1, 7):
            states, pooler, classifier = _head_inputs(check, batch, batch + 2)
            expected = classifier(pooler(states[:, 0]).tanh())
            check.equal(check.call(states, pooler, classifier), expected)

    every_token = wrong("Every token gets two logits here; the head reads [CLS] alone.", "[:, 0]", "")

    no_tanh = wrong("The tanh between the two layers is missing.", ".tanh()", "")

    @wrong("The pooler is left out: the [CLS] state goes through it first.")
    def no_pooler(last_hidden_state, pooler, classifier):
        return classifier(last_hidden_state[:, 0])

    @wrong("This reads the last token; [CLS] is the first.")
    def last_token(last_hidden_state, pooler, classifier):
        return classifier(pooler(last_hidden_state[:, -1]).tanh())

    mean_token = wrong(
        "This reads the mean of all tokens; BERT's pooler reads [CLS] alone.", "[:, 0]", ".mean(dim=1)"
    )

    @wrong("The tanh belongs behind the pooler; logits are not squeezed.")
    def tanh_last(last_hidden_state, pooler, classifier):
        return classifier(pooler(last_hidden_state[:, 0])).tanh()


def _head_inputs(check, batch: int, seq_len: int, size: int = 3) -> tuple[torch.Tensor, nn.Linear, nn.Linear]:
    """Hidden states (batch, seq_len, size) and two small layers, all with rounded numbers and without
    gradients.
    """
    states = torch.randn(batch, seq_len, size, generator=check.generator).round(decimals=1)
    layers = []
    for rows in (size, 2):
        layer = nn.Linear(size, rows).requires_grad_(False)
        layer.weight.copy_(torch.randn(rows, size, generator=check.generator).round(decimals=1))
        layer.bias.copy_(torch.randn(rows, generator=check.generator).round(decimals=1))
        layers.append(layer)
    return states, *layers


@exercise
class nsp_loss:
    """Write `nsp_loss(logits, labels)`: the mean over rows of -log P(label), in nats, as a tensor of shape
    ().

    `logits` is a float tensor (batch, 2), `labels` an integer tensor (batch,): 0 = IsNext, 1 = NotNext.
    """

    hints = (
        (
            "Logits become probabilities by a softmax along the last axis. Which of the two does the label"
            " ask for?"
        ),
        "`logits.log_softmax(dim=-1)` gives the logarithms; row i needs the one in column labels[i].",
        "`F.cross_entropy(logits, labels)` does all of it, mean included. Leave its `ignore_index` alone.",
    )

    def solution(logits, labels):
        log_probabilities = logits.log_softmax(dim=-1)
        return -log_probabilities[torch.arange(len(labels)), labels].mean()

    @stage("one row with label 1: minus the logarithm of its probability")
    def one_row(check):
        for _ in range(8):
            logits = torch.randn(1, 2, generator=check.generator).round(decimals=1) + torch.tensor([0.0, 0.3])
            first, second = logits.exp().tolist()[0]
            got = check.tensor(check.call(logits, torch.tensor([1])), ())
            check.equal(got, -torch.tensor(second / (first + second)).log())

    @stage("several rows with label 1: the mean")
    def several(check):
        for batch in range(2, 8):
            logits = torch.randn(batch, 2, generator=check.generator).round(decimals=1)
            labels = torch.ones(batch, dtype=torch.long)
            rows = _nats(logits, labels)
            check.equal(check.tensor(check.call(logits, labels), ()), rows.mean())

    @stage("rows of both labels: each of them counts")
    def both(check):
        for batch in range(2, 9):
            logits = torch.randn(batch, 2, generator=check.generator).round(decimals=1)
            labels = torch.arange(batch) % 2
            rows = _nats(logits, labels)
            check.equal(check.tensor(check.call(logits, labels), ()), rows.mean())

    @wrong("The rows with label 0 are left out: 0 is a class here, not a label to ignore.")
    def hides_a_class(logits, labels):
        return F.cross_entropy(logits, labels, ignore_index=0)

    @wrong("The labels are read the other way round: column 0 is IsNext, column 1 NotNext.")
    def flipped(logits, labels):
        return F.cross_entropy(logits, 1 - labels)

    @wrong("This is the sum over the rows; the mean is wanted.")
    def summed(logits, labels):
        return F.cross_entropy(logits, labels, reduction="sum")

    @wrong("The softmax is taken twice: cross_entropy wants logits.")
    def twice(logits, labels):
        return F.cross_entropy(logits.softmax(dim=-1), labels)

    @wrong("A logit is no probability yet: a softmax first.")
    def no_softmax(logits, labels):
        return -logits[torch.arange(len(labels)), labels].mean()

    @wrong("All rows are judged by column 1: each by the column of its own label.")
    def one_column(logits, labels):
        return -logits.log_softmax(dim=-1)[:, 1].mean()

    @wrong("The sign: a logarithm of a probability is negative, a loss is not.")
    def negative(logits, labels):
        return -F.cross_entropy(logits, labels)

    @wrong("The rows with label 0 add nothing to the sum, though they are counted.")
    def zero_adds_nothing(logits, labels):
        return F.cross_entropy(logits, labels, ignore_index=0, reduction="sum") / len(labels)


def _nats(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The truth to compare with, row by row: the other logit minus the own one, through log(1 + e^x)."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return (1 + (logits.sum(dim=1) - 2 * own).exp()).log()


@exercise
class topic_posterior:
    """Write `topic_posterior(first, second)`: P(IsNext) from topics alone, as a tensor of shape ().

    `first` (topics,) holds P(topic) of the first sentence, judged by itself, and `second` (topics,) that of
    the second; each sums to 1. All topics are equally likely beforehand. Half of the pairs are negative; a
    true pair has one topic, and the topic of a negative pair's second sentence is drawn at random.
    """

    hints = (
        (
            "With T topics, how much more likely is the pair if both sentences share their topic than if the"
            " second is drawn at random?"
        ),
        (
            "If both topics are certain and equal, T times. If they are uncertain: T times the chance that"
            " they are equal, (first * second).sum()."
        ),
        (
            "That ratio is the odds of IsNext, since both hypotheses are equally likely beforehand. P = odds"
            " / (1 + odds)."
        ),
    )

    def solution(first, second):
        odds = len(first) * (first * second).sum()
        return odds / (1 + odds)

    @stage("two topics that are certain: T / (T + 1) if they are equal, 0 if not")
    def certain(check):
        for topics in range(2, 10):
            a, b = torch.eye(topics)[0], torch.eye(topics)[check.rng.integers(1, topics)]
            check.equal(check.tensor(check.call(a, a), ()), torch.tensor(topics / (topics + 1)))
            check.equal(check.tensor(check.call(a, b), ()), torch.tensor(0.0))

    @stage("a sentence that could be of any topic says nothing: one half")
    def nothing_known(check):
        for topics in range(2, 10):
            anything, certain = (
                torch.full((topics,), 1 / topics),
                torch.eye(topics)[check.rng.integers(topics)],
            )
            check.equal(check.tensor(check.call(anything, certain), ()), torch.tensor(0.5))
            check.equal(check.tensor(check.call(certain, anything), ()), torch.tensor(0.5))

    @stage("everything between: all topics, weighted")
    def mixed(check):
        for topics in range(2, 10):
            first, second = (torch.randn(topics, generator=check.generator).softmax(0) for _ in range(2))
            shared = sum(a * b for a, b in zip(first.tolist(), second.tolist(), strict=True))
            expected = 1 / (1 + (1 / topics) / shared)
            check.equal(check.tensor(check.call(first, second), ()), torch.tensor(expected))

    @wrong("A negative pair may share its topic by chance, once in T times: P is not 1.")
    def same_topic(first, second):
        return (first * second).sum()

    @wrong("These are the odds, T to 1; P is odds / (1 + odds).")
    def odds(first, second):
        return len(first) * (first * second).sum()

    no_count = wrong(
        "The number of topics is left out: the fewer documents share a topic by chance, the more it says.",
        "len(first) * (first",
        "(first",
    )

    @wrong("Only the best guess of each sentence counts here; use all topics with their probabilities.")
    def best_guess(first, second):
        topics = len(first)
        return torch.tensor(topics / (topics + 1) if first.argmax() == second.argmax() else 0.0)

    largest = wrong(
        "This multiplies the two largest numbers, though they belong to different topics.",
        "(first * second).sum()",
        "first.max() * second.max()",
    )

    overlap = wrong(
        "This takes the smaller of two probabilities; both must hold, so multiply them.",
        "(first * second).sum()",
        "torch.minimum(first, second).sum()",
    )


@exercise
class order_posterior:
    """Write `order_posterior(forward, backward)`: P(A comes first), a tensor (pairs,).

    It is known that A and B follow one another in a document, but not in which order; both orders are equally
    likely beforehand. `forward` (pairs,) holds P(IsNext | A, B) of a next sentence model, `backward` (pairs,)
    P(IsNext | B, A); all lie strictly between 0 and 1.
    """

    hints = (
        (
            "P(IsNext) compares 'B follows A' with 'B is any sentence'. As odds, p / (1 - p), it is a ratio"
            " of likelihoods."
        ),
        (
            "Both odds have the same denominator, P(A) P(B). So odds forward against odds backward compares"
            " the two orders."
        ),
        "`forward_odds / (forward_odds + backward_odds)`.",
    )

    def solution(forward, backward):
        forward_odds, backward_odds = forward / (1 - forward), backward / (1 - backward)
        return forward_odds / (forward_odds + backward_odds)

    @stage("the same both ways: one half")
    def equal(check):
        for pairs in range(1, 8):
            p = torch.rand(pairs, generator=check.generator) * 0.8 + 0.1
            got = check.tensor(check.call(p, p), (pairs,), axes="(pairs,)")
            check.equal(got, torch.full((pairs,), 0.5))

    @stage("different: the odds decide")
    def different(check):
        for pairs in range(1, 8):
            forward, backward = (torch.rand(pairs, generator=check.generator) * 0.8 + 0.1 for _ in range(2))
            expected = (forward.logit() - backward.logit()).sigmoid()
            got = check.tensor(check.call(forward, backward), (pairs,), axes="(pairs,)")
            check.equal(got, expected)

    @wrong("This is a yes or a no; how sure it is gets lost.")
    def decision(forward, backward):
        return (forward > backward).float()

    @wrong("This is P(forward) times P(not backward): it does not sum to 1 over the two orders.")
    def product(forward, backward):
        return forward * (1 - backward)

    @wrong("These are the odds; a probability is wanted.")
    def odds(forward, backward):
        return forward / (1 - forward) * (1 - backward) / backward

    @wrong("These are shares of probabilities; put odds, p / (1 - p), in their place.")
    def shares(forward, backward):
        return forward / (forward + backward)

    other_way = wrong("This is the chance that B comes first.", "return forward_odds", "return backward_odds")

    @wrong("Half the difference of two probabilities is no ratio of likelihoods.")
    def difference(forward, backward):
        return 0.5 + (forward - backward) / 2
