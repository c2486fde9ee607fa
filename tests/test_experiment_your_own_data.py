"""Adapting, new pieces and the guest book: whether the stored result fits the code, and what is in it."""

from collections import Counter

import numpy as np
import torch

from course_utils import checkpoints, own_data
from course_utils.lessons.your_own_data import experiment, guestbook
from course_utils.toy.tasks import OPINIONS, reviews

STORED = experiment.load()


def test_the_stored_result_has_the_settings_of_the_command():
    assert STORED["command"] == experiment.COMMAND
    assert list(STORED["adapt"]) == ["nothing", "reviews", *experiment.TEXTS]
    assert all(len(STORED["adapt"][k]["accuracy"]) == len(experiment.TUNING_SEEDS) for k in experiment.TEXTS)
    assert list(STORED["pieces"]) == list(experiment.STARTS)
    for runs in STORED["pieces"].values():
        assert len(runs) == len(experiment.PIECES_SEEDS)
        assert all(len(run["new"]) == len(experiment.LOOKS) for run in runs)
    assert list(STORED["lora"]) == [", ".join(where) for where in experiment.ADAPTERS]
    assert all(len(runs) == len(experiment.LORA_SEEDS) for runs in STORED["lora"].values())
    assert list(STORED["longer"]) == list(experiment.WAYS)
    for runs in STORED["longer"].values():
        assert len(runs) == len(experiment.LONG_SEEDS)
        assert all(0 < run["epoch"] <= experiment.LONG for run in runs)
    for by_size in STORED["library"].values():
        assert list(by_size) == [str(size) for size in experiment.LIBRARY_SIZES]
        assert all(len(values) == len(experiment.LIBRARY_SEEDS) for values in by_size.values())


def test_the_coin_keeps_every_word_but_the_opinions():
    texts = [review.text for review in reviews(200)]
    drawn = experiment.opinions_by_a_coin(texts)
    pair_of = {word: pair for pairs in OPINIONS.values() for pair in pairs for word in pair}
    turned = []
    for before, after in zip(texts, drawn, strict=True):
        for old, new in zip(before.split(), after.split(), strict=True):
            assert new == old or (old in pair_of and new in pair_of[old])
            turned += [new != old] if old in pair_of else []
    assert 0.4 < np.mean(turned) < 0.6


def test_a_renaming_keeps_all_pieces_apart_and_new_rows_begin_as_told():
    ids = experiment.renaming()
    pretrained, tokenizer = checkpoints.load("embedded")
    assert len(set(ids.tolist())) == len(tokenizer) == len(ids)
    table = pretrained.bert.embeddings.word_embeddings.weight
    model = experiment.with_pieces("mean of words like it")
    rows = model.bert.embeddings.word_embeddings.weight
    assert torch.equal(rows[: len(tokenizer)], table)
    like = [tokenizer.vocab[word] for word in experiment.RENAMED["stew"][1]]
    at = ids[tokenizer.vocab["soup"]]
    assert torch.allclose(rows[at], table[like].mean(dim=0))
    assert model.cls.predictions.decoder.weight is rows


def test_the_guest_book_has_its_traps(tmp_path):
    lines = guestbook.entries()
    assert len(lines) == len({line.text for line in lines}) == 600
    by_guest = Counter((line.guest, line.label) for line in lines)
    shares = [by_guest[guest, "positive"] / 30 for guest in guestbook.GUESTS]
    assert sum(share > 0.8 for share in shares) == sum(share < 0.2 for share in shares) == 10
    both = guestbook.with_doubles(lines)
    assert (
        len(both) == 660
        and sum(len({e.label for e in both if e.text == t}) == 2 for t in {e.text for e in both}) == 8
    )
    path = tmp_path / "guests.csv"
    path.write_text(guestbook.as_csv(lines), encoding="utf-8")
    data = own_data.read(path, group="guest")
    parts = [guestbook.guests_of(part) for part in (data.train, data.dev, data.test)]
    assert set.union(*parts) == set(guestbook.GUESTS)
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert sum(map(len, (data.train, data.dev, data.test))) == 600
    cut = guestbook.unsigned(data)
    signed = {entry.text: entry.guest for entry in lines}
    for before, after in zip(data.test, cut.test, strict=True):
        assert before.text == f"{after.text} {signed[before.text]}" and before.label == after.label
    assert not guestbook.guests_of(cut.test) & parts[2] and cut.labels == data.labels
