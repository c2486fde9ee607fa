"""Next sentence prediction: pairs of segments, half of them negative.

A row reads `[CLS] A [SEP] B [SEP]`. For half of the rows B is what follows A in its document (label 0,
IsNext), for the other half it comes from another document (label 1, NotNext). The order of the labels is
BERT's own (Devlin et al. 2018, section 3.1 and the released code); other code bases flip it.

A negative pair takes its second segment from among the *followers* in other documents, never from a first
sentence. So where a segment stood in its document tells nothing about the label: a model has to compare A
with B.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch

from course_utils.checks import refusal
from course_utils.hints import check_some, hold_to_hints
from course_utils.wordpiece import WordPieceTokenizer, truncated_lengths

IS_NEXT, NOT_NEXT = 0, 1


class Pair(NamedTuple):
    """Two segments, lists of token ids (or of any other tokens), and whether the second follows the first."""

    first: list[Any]
    second: list[Any]
    label: int


def make_pairs(
    documents: Sequence[Sequence[list[Any]]],
    max_tokens: int | None = None,
    generator: torch.Generator | None = None,
) -> list[Pair]:
    """Cut documents into pairs of segments, and make half of them negative: another second segment.

    Args:
        documents: a list of documents; a document is a list of sentences, a sentence a list of tokens.
        max_tokens: None makes one pair of every sentence and its follower. A number packs as many whole
            sentences into a pair as fit into that many tokens, split at a random place, as BERT did: rows
            come out nearly full.
        generator: a seeded `torch.Generator`.

    Returns:
        pairs in the order of the documents. A document of a single sentence gives none, and when packing, a
        last sentence that is left alone is dropped.

    Raises:
        ValueError: if fewer than two documents hold a pair (no negative pair), or max_tokens is under 2.
    """
    if max_tokens is not None and max_tokens < 2:
        raise refusal("max_tokens", "2 or more", max_tokens, "a pair needs as many")
    found = [
        (d, pair) for d, sentences in enumerate(documents) for pair in _cuts(sentences, max_tokens, generator)
    ]
    document_of, true_pairs = [d for d, _ in found], [pair for _, pair in found]
    if len(set(document_of)) < 2:
        got = f"{len(set(document_of))} of {len(documents)}"
        raise refusal("documents", "at least two documents of two sentences or more", got)
    n = len(true_pairs)
    largest, size = Counter(document_of).most_common(1)[0]
    begin, others = document_of.index(largest), n - size
    is_negative = torch.rand(n, generator=generator) < 0.5
    source = torch.randint(n, (n,), generator=generator)  # the pair whose second segment a negative one takes
    for i in is_negative.nonzero().squeeze(1).tolist():
        if document_of[i] == largest and 10 * others < n:  # it would be drawn again and again: step over it
            away = torch.randint(others, (), generator=generator)
            source[i] = away if away < begin else away + size
        while document_of[source[i]] == document_of[i]:
            source[i] = torch.randint(n, (), generator=generator)
    return [
        Pair(first, true_pairs[other][1], NOT_NEXT) if negative else Pair(first, second, IS_NEXT)
        for (first, second), negative, other in zip(
            true_pairs, is_negative.tolist(), source.tolist(), strict=True
        )
    ]


def _cuts(
    sentences: Sequence[list[Any]], max_tokens: int | None, generator: torch.Generator | None
) -> Iterator[tuple[list[Any], list[Any]]]:
    """Yield the true (first, second) segments of one document."""
    if max_tokens is None:
        yield from pairwise(sentences)
        return
    start = 0
    while start + 1 < len(sentences):
        end, length = start, 0
        while end < len(sentences) and (end - start < 2 or length + len(sentences[end]) <= max_tokens):
            length += len(sentences[end])
            end += 1
        if end == len(sentences) - 1 and end - start > 2:
            end -= 1  # the last sentence would be left alone; leave it a companion
        cut = start + 1 + int(torch.randint(end - start - 1, (), generator=generator))
        yield list(chain(*sentences[start:cut])), list(chain(*sentences[cut:end]))
        start = end


def build_row(
    first: list[int], second: list[int] | None, tokenizer: WordPieceTokenizer, max_length: int | None = None
) -> tuple[list[int], list[int]]:
    """Special tokens and segment ids around one segment or two.

    Args:
        first, second: token ids; `second` may be None.
        max_length: longest row allowed, special tokens included. The longer segment is cut first, at its end.

    Returns:
        input_ids and token_type_ids, one for each token. A [SEP] belongs to the segment that it closes.

    Raises:
        ValueError: if max_length leaves no room for a token beside the special ones.
    """
    extra = 2 if second is None else 3
    if max_length is not None:
        if max_length <= extra:
            raise refusal("max_length", f"more than the {extra} special tokens", max_length)
        first_length, second_length = truncated_lengths(len(first), len(second or ()), max_length - extra)
        first, second = first[:first_length], None if second is None else second[:second_length]
    input_ids = [tokenizer.cls_token_id, *first, tokenizer.sep_token_id]
    token_type_ids = [0] * len(input_ids)
    if second is not None:
        input_ids += [*second, tokenizer.sep_token_id]
        token_type_ids += [1] * (len(second) + 1)
    return input_ids, token_type_ids


def overlap_accuracy(pairs: Annotated[Sequence[Pair], check_some]) -> float:
    """Accuracy of guessing IsNext where the segments share more words than in the median pair.

    A baseline that knows no meaning at all: only whether the same tokens occur twice. In the toy language it
    is hardly better than a coin, since a scene, an event and a remark are worded differently.
    """
    shared = np.array([len(set(pair.first) & set(pair.second)) for pair in pairs])
    labels = np.array([pair.label for pair in pairs])
    return float(((shared <= np.median(shared)).astype(int) == labels).mean())


def topic_accuracy(
    train_documents: Sequence[Sequence[list[Any]]],
    train_topics: Sequence[Any],
    pairs: Annotated[Sequence[Pair], check_some],
) -> float:
    """Accuracy of guessing IsNext when both segments seem to have the same topic: naive Bayes, nothing else.

    Args:
        train_documents: documents (lists of sentences, lists of tokens) that show the words of each topic.
        train_topics: one topic a document.
        pairs: the pairs to judge, of the same tokens.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    vectorizer = CountVectorizer(analyzer=lambda tokens: tokens)
    sentences = [sentence for document in train_documents for sentence in document]
    if len(train_topics) != len(train_documents):
        raise refusal("train_topics", f"one for each of {len(train_documents)} documents", len(train_topics))
    topics = [topic for document, topic in zip(train_documents, train_topics, strict=True) for _ in document]
    classifier = MultinomialNB().fit(vectorizer.fit_transform(sentences), topics)
    segments = ([pair.first for pair in pairs], [pair.second for pair in pairs])
    first, second = (classifier.predict_proba(vectorizer.transform(tokens)) for tokens in segments)
    same_topic = (first * second).sum(axis=1)  # P(both segments have one topic), if they are judged apart
    # With T equally likely topics a negative pair shares its topic 1/T of the time: there P(IsNext) is 1/2.
    guess = np.where(same_topic > 1 / len(classifier.classes_), IS_NEXT, NOT_NEXT)
    return float((guess == np.array([pair.label for pair in pairs])).mean())


hold_to_hints(globals())
