"""Exercises of notebook 03: segment ids, the sum of three tables, LayerNorm, dropout, and the size of it all.

Shapes are those of the model: ids are (batch, seq_len), a table is (rows, hidden_size), an input of the
encoder is (batch, seq_len, hidden_size).
"""

import torch
from torch.nn import functional as F

from course_utils.bert import BertConfig, BertEmbeddings, count_parameters
from course_utils.classroom.engine import exercise, stage, wrong


def _table(check, rows: int, size: int) -> torch.Tensor:
    """A table (rows, size) of small numbers with one decimal."""
    return torch.randn(rows, size, generator=check.generator).round(decimals=1)


def _inputs(check, batch: int, seq_len: int, size: int = 4) -> tuple[torch.Tensor, ...]:
    """input_ids, token_type_ids and the three tables, with more rows of positions than tokens.

    No id is smaller than seq_len + 3, so an id is never its own position or its segment.
    """
    input_ids = torch.randint(seq_len + 3, seq_len + 8, (batch, seq_len), generator=check.generator)
    cut = max(1, seq_len // 2)
    token_type_ids = (torch.arange(seq_len) >= cut).long().expand(batch, -1)
    words, segments = _table(check, seq_len + 8, size), _table(check, 2, size)
    return input_ids, token_type_ids, words, segments, _table(check, seq_len + 8, size)


def _sum_by_loops(input_ids, token_type_ids, words, segments, positions) -> torch.Tensor:
    """The truth to compare with: token by token."""
    rows = [
        [words[i] + segments[s] + positions[p] for p, (i, s) in enumerate(zip(row, kinds, strict=True))]
        for row, kinds in zip(input_ids.tolist(), token_type_ids.tolist(), strict=True)
    ]
    return torch.stack([torch.stack(row) for row in rows])


@exercise
class segment_ids:
    """Write `segment_ids(first, second)`: the list of segment ids, one for each token of the whole row.

    `first` and `second` are lists of pieces, without special tokens. The row is [CLS], first, [SEP], second,
    [SEP]. If `second` is an empty list there is no second sentence: the row is [CLS], first, [SEP].
    """

    hints = (
        (
            "Write the row for ['the', 'cat'] and ['it', 'sat'] on paper: seven tokens. Which of them does"
            " each sentence own?"
        ),
        "[CLS] and the first [SEP] belong to the first sentence, the last [SEP] to the second.",
        (
            "`[0] * (len(first) + 2)`, and behind it, if there is a second sentence, as many ones as it has"
            " pieces and one more."
        ),
    )

    def solution(first, second):
        ids = [0] * (len(first) + 2)
        if second:
            ids += [1] * (len(second) + 1)
        return ids

    @stage("one sentence: nothing but zeros, [CLS] and [SEP] included")
    def one_sentence(check):
        for length in range(1, 7):
            first = ["cat"] * length
            check.equal(check.call(first, []), [0] * (length + 2))

    @stage("two sentences: each [SEP] belongs to the sentence that it closes")
    def two_sentences(check):
        for a in range(1, 6):
            for b in range(1, 5):
                tokens = ["[CLS]", *["cat"] * a, "[SEP]", *["dog"] * b, "[SEP]"]
                closed = [
                    tokens[:i].count("[SEP]") for i in range(len(tokens))
                ]  # how many [SEP] stand before token i
                check.equal(check.call(["cat"] * a, ["dog"] * b), closed)

    @wrong("An empty second sentence has no [SEP] either: the row ends with the first one.")
    def always_two(first, second):
        return [0] * (len(first) + 2) + [1] * (len(second) + 1)

    @wrong("The two special tokens need a segment id too: one id for each token of the row.")
    def words_only(first, second):
        return [0] * len(first) + [1] * len(second)

    @wrong("Segments are numbered from 0: the first is 0, the second 1.")
    def from_one(first, second):
        return [1] * (len(first) + 2) + ([2] * (len(second) + 1) if second else [])

    @wrong("The first [SEP] closes the first sentence, so it belongs to segment 0.")
    def sep_to_the_second(first, second):
        return [0] * (len(first) + 1) + [1] * (len(second) + 2) if second else [0] * (len(first) + 2)

    @wrong("This is one id too many: count the tokens of the row.")
    def symmetric(first, second):
        return [0] * (len(first) + 2) + ([1] * (len(second) + 2) if second else [])

    @wrong("The last [SEP] has no id: it belongs to the second sentence.")
    def no_last_sep(first, second):
        return [0] * (len(first) + 2) + [1] * len(second)


@exercise
class sum_of_tables:
    """Write `sum_of_tables(input_ids, token_type_ids, words, segments, positions)`: a tensor (batch, seq_len,
    hidden_size).

    `input_ids` and `token_type_ids` are integer tensors (batch, seq_len); `words`, `segments` and `positions`
    are tables (rows, hidden_size). For every token add the row of its piece, the row of its segment and the
    row of its place. Places are counted from 0 in every row of the batch, and go on through the second
    segment. `positions` may have more rows than there are tokens. No LayerNorm yet.
    """

    hints = (
        "A tensor of ids is an index: `words[input_ids]` has the shape (batch, seq_len, hidden_size).",
        (
            "Token 0 reads row 0 of the positions, token 1 row 1: the first seq_len rows, the same for every"
            " row of the batch."
        ),
        (
            "`positions[:seq_len]` is (seq_len, hidden_size) and broadcasts over the batch; seq_len is"
            " `input_ids.shape[1]`."
        ),
    )

    def solution(input_ids, token_type_ids, words, segments, positions):
        return words[input_ids] + segments[token_type_ids] + positions[: input_ids.shape[1]]

    @stage("one vector of hidden_size numbers for each token")
    def form(check):
        for batch, seq_len in ((1, 1), (1, 3), (2, 3), (3, 2), (4, 5)):
            inputs = _inputs(check, batch, seq_len)
            shape = (batch, seq_len, 4)
            check.tensor(check.call(*inputs), shape, torch.float32, axes="(batch, seq_len, hidden_size)")

    @stage("one token: its piece, its segment, position 0")
    def one_token(check):
        for segment in (0, 1, 0, 1, 0, 1):
            input_ids, _, words, segments, positions = _inputs(check, 2, 1)
            kinds = torch.full((2, 1), segment)
            expected = _sum_by_loops(input_ids, kinds, words, segments, positions)
            check.equal(check.call(input_ids, kinds, words, segments, positions), expected)

    @stage("many tokens: the places are counted through")
    def many_tokens(check):
        for batch, seq_len in ((1, 3), (1, 4), (2, 5), (3, 4), (4, 6), (3, 3)):
            inputs = _inputs(check, batch, seq_len)
            check.equal(check.call(*inputs), _sum_by_loops(*inputs))

    @wrong("Three times as wide: you laid the rows side by side. They are added.")
    def side_by_side(input_ids, token_type_ids, words, segments, positions):
        places = positions[: input_ids.shape[1]].expand(len(input_ids), -1, -1)
        return torch.cat([words[input_ids], segments[token_type_ids], places], dim=-1)

    no_segments = wrong("The row of the segment is missing.", "segments[token_type_ids] +", "")

    no_positions = wrong("The row of the position is missing.", " + positions[: input_ids.shape[1]]", "")

    first_place = wrong("Every token got position 0: token p reads row p.", ": input_ids.shape[1]", "0")

    @wrong("The count starts anew in the second segment; it goes on through it.")
    def restarted(input_ids, token_type_ids, words, segments, positions):
        places = torch.stack(
            [torch.cat([torch.arange(int((row == s).sum())) for s in (0, 1)]) for row in token_type_ids]
        )
        places = torch.where(
            token_type_ids.any(dim=1, keepdim=True), places, torch.arange(input_ids.shape[1])
        )
        return words[input_ids] + segments[token_type_ids] + positions[places]

    by_id = wrong(
        "The row of the position was chosen by the id of the piece.", ": input_ids.shape[1]", "input_ids"
    )

    @wrong("The table of words is changed on the way, and every later text would read the changed rows.")
    def in_place(input_ids, token_type_ids, words, segments, positions):
        words += 0
        words[input_ids[0, 0]] += 1
        return words[input_ids] + segments[token_type_ids] + positions[: input_ids.shape[1]]

    from_one = wrong(
        "Places are counted from 0, not from 1.", ": input_ids.shape[1]", "1 : input_ids.shape[1] + 1"
    )


@exercise
class layer_norm:
    """Write `layer_norm(x, weight, bias, eps)`: every token's vector with mean 0 and spread 1, then times
    weight, plus bias.

    `x` is (batch, seq_len, hidden_size), `weight` and `bias` are (hidden_size,). Without `F.layer_norm`: take
    the mean and the variance of each token's hidden_size numbers, where the variance is the mean of the
    squared deviations, and divide the deviations by the square root of (variance + eps).
    """

    hints = (
        (
            "`x.mean(dim=-1, keepdim=True)` is one mean for each token, in a shape that can be subtracted"
            " from x."
        ),
        (
            "The variance is the mean of `(x - mean) ** 2`. `x.var(-1)` divides by hidden_size - 1 unless"
            " told otherwise."
        ),
        "eps stands inside the root: `(x - mean) / (variance + eps).sqrt()`. Weight and bias come last.",
    )

    def solution(x, weight, bias, eps):
        deviations = x - x.mean(dim=-1, keepdim=True)
        variance = (deviations**2).mean(dim=-1, keepdim=True)
        return deviations / (variance + eps).sqrt() * weight + bias

    @stage("one token, tiny eps: mean 0 and spread 1")
    def one_token(check):
        for size in (2, 3, 4, 5, 8, 16):
            x = torch.arange(size).float()[torch.randperm(size, generator=check.generator)].view(1, 1, size)
            expected = F.layer_norm(x, (size,), eps=1e-12)
            got = check.call(x, torch.ones(size), torch.zeros(size), 1e-12)
            check.equal(got, expected, tolerance=1e-4)

    @stage("many tokens: each by its own mean and variance")
    def many_tokens(check):
        for batch, seq_len, size in ((1, 2, 4), (2, 3, 4), (3, 2, 5), (2, 4, 4), (4, 4, 6)):
            x = torch.randn(batch, seq_len, size, generator=check.generator) * 3 + 1
            one, zero = torch.ones(size), torch.zeros(size)
            check.equal(
                check.call(x, one, zero, 1e-12),
                F.layer_norm(x, (size,), eps=1e-12),
                tolerance=1e-4,
            )

    @stage("eps inside the root")
    def large_eps(check):
        for size in (2, 4, 5, 6, 8):
            x = torch.randn(2, 3, size, generator=check.generator).round(decimals=1)
            got = check.call(x, torch.ones(size), torch.zeros(size), 0.1)
            check.equal(got, F.layer_norm(x, (size,), eps=0.1), tolerance=1e-4)

    @stage("weight and bias last")
    def weight_and_bias(check):
        for size in (2, 3, 4, 6, 8):
            x = torch.randn(2, 3, size, generator=check.generator).round(decimals=1)
            weight, bias = (
                torch.rand(size, generator=check.generator) + 0.5,
                torch.rand(size, generator=check.generator),
            )
            plain = F.layer_norm(x, (size,), eps=0.1)
            check.equal(check.call(x, weight, bias, 0.1), plain * weight + bias, tolerance=1e-4)

    @wrong(
        "The variance divides by hidden_size, not by hidden_size - 1: look for `correction` or `unbiased`."
    )
    def unbiased(x, weight, bias, eps):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt() * weight + bias

    @wrong("You divide by the variance; divide by its square root.")
    def by_variance(x, weight, bias, eps):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + eps) * weight + bias

    @wrong(
        "Mean and variance run over the tokens; each token is normalised over its own numbers, the last axis."
    )
    def over_tokens(x, weight, bias, eps):
        axis = 1 if x.shape[1] > 1 else -1
        return (x - x.mean(axis, keepdim=True)) / (
            x.var(axis, correction=0, keepdim=True) + eps
        ).sqrt() * weight + bias

    @wrong("One mean and one variance for everything: each token has its own.")
    def over_all(x, weight, bias, eps):
        return (x - x.mean()) / (x.var(correction=0) + eps).sqrt() * weight + bias

    @wrong("eps is added to the root; it belongs inside, to the variance.")
    def eps_outside(x, weight, bias, eps):
        return (x - x.mean(-1, keepdim=True)) / (x.std(-1, correction=0, keepdim=True) + eps) * weight + bias

    @wrong("weight and bias have no effect.")
    def no_weight(x, weight, bias, eps):
        return F.layer_norm(x, weight.shape, eps=eps)

    @wrong("The bias is multiplied by the weight: first times weight, then plus bias.")
    def bias_first(x, weight, bias, eps):
        return (F.layer_norm(x, weight.shape, eps=eps) + bias) * weight

    @wrong("The mean is not taken away.")
    def not_centred(x, weight, bias, eps):
        return x / (x.var(-1, correction=0, keepdim=True) + eps).sqrt() * weight + bias

    @wrong("This is only centred: divide by the root of the variance.")
    def only_centred(x, weight, bias, eps):
        return (x - x.mean(-1, keepdim=True)) * weight + bias

    @wrong("eps has no effect.")
    def no_eps(x, weight, bias, eps):
        return F.layer_norm(x, weight.shape, weight, bias, eps=1e-12)


@exercise
class dropout:
    """Write `dropout(x, keep, p)`: what x becomes in training when the numbers where `keep` is False are
    dropped.

    `x` is (batch, seq_len, hidden_size), `keep` a bool tensor of the same shape, drawn with probability 1 - p
    of True; `p` is at least 0 and less than 1. A dropped number becomes 0. A kept one grows, so that the
    expected value of every number stays what it was.
    """

    hints = (
        (
            "A number is kept with probability 1 - p. By what must it be multiplied so that (1 - p) times the"
            " result is x again?"
        ),
        "Divide what is kept by 1 - p. With p = 0.5 it doubles.",
        "`x * keep / (1 - p)`: True counts as 1, False as 0.",
    )

    def solution(x, keep, p):
        return x * keep / (1 - p)

    @stage("0 where keep is False")
    def zeros(check):
        for size in range(2, 8):
            x = torch.rand(1, 2, size, generator=check.generator) + 1
            keep = torch.rand(1, 2, size, generator=check.generator) >= 0.5
            keep[0, 0, 0], keep[0, 0, 1] = True, False
            got = check.tensor(
                check.call(x, keep, 0.5), (1, 2, size), torch.float32, axes="(batch, seq_len, hidden_size)"
            )
            check.equal(got[~keep], torch.zeros(int((~keep).sum())), tolerance=0.0)

    @stage("what is kept is scaled so that the expected value stays")
    def scale(check):
        for p in (0.0, 0.1, 0.2, 0.25, 0.5, 0.8):
            x = torch.rand(1, 2, 5, generator=check.generator).round(decimals=1) + 1
            keep = torch.rand(1, 2, 5, generator=check.generator) >= p
            keep[0, 0, 0] = True
            check.equal(check.call(x, keep, p), torch.where(keep, x / (1 - p), 0))

    @wrong("You dropped what is to be kept: True in `keep` means that the number stays.")
    def inverted(x, keep, p):
        return x * ~keep / (1 - p)

    @wrong("What is dropped is still there: it becomes 0.")
    def left_in(x, keep, p):
        return torch.where(keep, x / (1 - p), x)

    not_scaled = wrong(
        "What is kept stays as it was: then the expected value shrinks to (1 - p) times x.", " / (1 - p)", ""
    )

    @wrong("You multiply by 1 - p; the numbers must grow, not shrink.")
    def shrunk(x, keep, p):
        return x * keep * (1 - p)

    @wrong("Not by p: a number is kept with probability 1 - p.")
    def by_p(x, keep, p):
        return x * keep / p


@exercise
class embedding_parameters:
    """Write `embedding_parameters(vocab_size, max_position_embeddings, type_vocab_size, hidden_size)`: an
    int.

    It is the number of learnt numbers in the whole embedding block of a BERT: the three tables and the
    LayerNorm behind their sum. Dropout has none.
    """

    hints = (
        "A table has rows times hidden_size numbers. How many rows have the three together?",
        "LayerNorm has two learnt vectors of hidden_size numbers each: weight and bias.",
        "`(vocab_size + max_position_embeddings + type_vocab_size + 2) * hidden_size`",
    )

    def solution(vocab_size, max_position_embeddings, type_vocab_size, hidden_size):
        rows = vocab_size + max_position_embeddings + type_vocab_size
        return rows * hidden_size + 2 * hidden_size

    @stage("the count of the real module, from small to BERT-large")
    def counts(check):
        counted = {
            (30522, 512, 2, 768): 23_837_184,
            (30522, 512, 2, 1024): 31_782_912,
        }  # BERT-base and BERT-large
        sizes = ((5, 4, 3, 1), (5, 4, 3, 3), (7, 9, 3, 4), (945, 128, 2, 128), *counted)
        for vocab_size, positions, segments, hidden_size in sizes:
            expected = counted.get((vocab_size, positions, segments, hidden_size))
            if expected is None:
                config = BertConfig(
                    vocab_size=vocab_size, max_position_embeddings=positions, type_vocab_size=segments,
                    hidden_size=hidden_size, num_attention_heads=1,
                )  # fmt: skip
                expected = count_parameters(BertEmbeddings(config))
            check.equal(check.call(vocab_size, positions, segments, hidden_size), expected)

    @wrong("LayerNorm is missing: a weight and a bias for each of the hidden_size numbers.")
    def tables_only(vocab_size, max_position_embeddings, type_vocab_size, hidden_size):
        return (vocab_size + max_position_embeddings + type_vocab_size) * hidden_size

    @wrong("LayerNorm has two vectors, weight and bias; you count one.")
    def one_vector(vocab_size, max_position_embeddings, type_vocab_size, hidden_size):
        return (vocab_size + max_position_embeddings + type_vocab_size + 1) * hidden_size

    @wrong("The tables are added, not multiplied: there is no row for each combination.")
    def multiplied(vocab_size, max_position_embeddings, type_vocab_size, hidden_size):
        return vocab_size * max_position_embeddings * type_vocab_size * hidden_size + 2 * hidden_size

    @wrong("The table of segments is missing.")
    def two_tables(vocab_size, max_position_embeddings, type_vocab_size, hidden_size):
        return (vocab_size + max_position_embeddings + 2) * hidden_size

    @wrong("LayerNorm learns hidden_size weights and hidden_size biases, not one of each.")
    def two_numbers(vocab_size, max_position_embeddings, type_vocab_size, hidden_size):
        return (vocab_size + max_position_embeddings + type_vocab_size) * hidden_size + 2
