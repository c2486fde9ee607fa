"""The panel of notebook 15: what four encoders find for a sentence, beside the exact answer."""

from collections.abc import Callable

import ipywidgets as ipw
import torch

from course_utils import sentence_vectors
from course_utils.classroom.controls import check_text, message, panel, table, wide

EXACT = "the exact answer"
Scorer = Callable[[list[list[int]], list[list[int]]], torch.Tensor]


def encoders_of(bert, trained, tokenizer, weight) -> dict[str, Scorer]:
    """Four ways to score candidates, by name: functions of (queries, candidates), lists of ids, to (n, m).

    Args:
        bert: the pretrained model; trained: a bi-encoder made from it.
        weight: (vocab_size,) the idf of each piece.
    """

    def bag(sentences):
        counts = torch.zeros(len(sentences), len(weight))
        for row, sentence in zip(counts, sentences, strict=True):
            row += torch.bincount(torch.tensor(sentence), minlength=len(weight))
        return counts * weight

    def cls(sentences):
        return bert.bert(*sentence_vectors.to_rows(sentences, tokenizer)).last_hidden_state[:, 0]

    def mean(sentences):
        return sentence_vectors.embed(bert.bert, sentences, tokenizer)

    def by_cosine(vectors):
        return lambda queries, candidates: sentence_vectors.cosines(vectors(queries), vectors(candidates))

    def by_training(queries, candidates):
        sides = ((queries, 0), (candidates, 1))
        return sentence_vectors.dot_products(
            *(sentence_vectors.embed(trained, sentences, tokenizer, segment) for sentences, segment in sides)
        )

    named = {"tf-idf": bag, "[CLS]": cls, "mean": mean}
    return {name: by_cosine(vectors) for name, vectors in named.items()} | {"trained": by_training}


def sentence_search(
    encoders: dict[str, Scorer], candidates: list[list[int]], tokenizer, language, text: str
) -> ipw.VBox:
    """Type a sentence, and read which candidates each encoder puts first, beside the exact answer.

    Args:
        encoders: by name, as of `encoders_of`.
        candidates: lists of piece ids; of several that are equal one is kept.
        language: the `ToyLanguage` that gives the exact answer.
        text: what stands in the field at first.
    """
    different = [list(ids) for ids in dict.fromkeys(map(tuple, candidates))]
    sentence = ipw.Text(value=text, description="Sentence", **wide(40))
    count = ipw.IntSlider(value=3, min=1, max=5, description="Shown", **wide(30))
    return panel(
        lambda sentence, count: found_html(encoders, different, tokenizer, language, sentence, count),
        sentence=sentence,
        count=count,
    )


@torch.no_grad()
def found_html(
    encoders: dict[str, Scorer], candidates: list[list[int]], tokenizer, language, text: str, count: int
) -> str:
    """The first `count` candidates of each encoder and of the exact answer, with their exact chances."""
    query = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(check_text(text)))]
    if len(query[0]) > 60:
        raise ValueError(f"This sentence has {len(query[0])} pieces; up to 60 are read here.")
    scores = {name: score(query, candidates)[0] for name, score in encoders.items()}
    reason, chances = "", None
    try:
        pmi = torch.tensor(language.next_sentence_pmi(query, candidates))[0]
        if pmi.isfinite().any():
            scores[EXACT], chances = pmi, pmi.softmax(dim=0)
        else:
            reason = "None of the candidates can follow this sentence."
    except ValueError:
        reason = "The toy language cannot write this sentence, so there is no exact answer to compare with."
    rows = []
    for name, values in scores.items():
        for rank, i in enumerate(values.argsort(descending=True, stable=True)[:count].tolist(), start=1):
            found = " ".join(tokenizer.convert_ids_to_tokens(candidates[i]))
            rows.append([f"{name}, {rank}", found, "none" if chances is None else f"{chances[i]:.3f}"])
    shown = table(
        ["", "candidate", "exact chance"], rows, f"What follows, among {len(candidates)} candidates?"
    )
    return shown + (message(reason) if reason else "")
