"""Every public function of what is taught, called with every kind of wrong value: nothing is silent.

`CALLS` has one valid call of each. One argument after the other is replaced: by what means the same (a list,
a NumPy array, a NumPy number), which must give the same result, and by what does not, which must be refused
in one line, "name: expected ..., got ...". What is taken all the same stands in `FINE`, with the reason.
"""

import dataclasses
import importlib
import inspect
import math
import re
import sys
import tempfile
import warnings
from collections import Counter
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from test_layout import PACKAGE, TAUGHT, entry_of
from test_layout import files as modules

from course_utils import (
    checkpoints,
    docstrings,
    files,
    finetuning,
    lora,
    masks,
    metrics,
    mlm,
    modern_bert,
    nsp,
    own_data,
    pretraining,
    profiler,
    sentence_vectors,
    tables,
    tasks,
    training,
    vocabularies,
    word2vec,
    wordpiece,
)
from course_utils.bert import BertConfig, heads, losses, model, parameters, weights
from course_utils.bert.heads import (
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from course_utils.toy import generator as toy_generator
from course_utils.toy import language as toy_language
from course_utils.toy import tasks as toy_tasks
from course_utils.toy.tasks import Answer, LabelledText, Question, TaggedWords

REFUSAL = re.compile(r"[^\n]+: expected [^\n]+, got [^\n]+")

# Whole modules and names that the table leaves out, each with the reason.
LEFT_OUT = {
    r"checks\.|hints\.|bert\.inputs\.|modern_bert\.check_": "they are what refuses",
    r"bert\.read\.|checkpoints\.write_files": "called by the model, and by `write`, after their checks",
    r"pretraining\.Batch\.|tasks\.\w*Row\.|tasks\.\w+\.(outputs|mean_loss|read|scores)$": (
        "what only the package calls, with what it has just made"
    ),
    r"tasks\.(check_[acw]|warn_of_rare_classes|batches_by_length)|tasks\.Task(\.|$)": "the same",
    r"hub\.|real_tasks\.|checkpoints\.chosen": "the network: tested with one that is played",
    r"vocabularies\.(?!fits|read_tok|write_tok|check_free)": "files of other makers: test_vocabularies",
    r".*\.main$": "commands: tested by their options (test_commands)",
    r"profiler\.(size|Recorder|rows_of|check_against|memory_|WithoutDr)": "called by `profile` alone",
    r"wordpiece\.(is_punctuation|clean_char)$|mlm\.ordinary_pieces$": "called for each character; remembered",
    r"machine\.": "about this machine: no number comes in",
}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def gen() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def x(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=gen())


TINY = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
CONFIG = BertConfig(**TINY)
MODERN = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 0,
    "local_attention": 2,
}
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "home", "bad", "good", "film", "not"]
VOCAB = [*wordpiece.SPECIAL_TOKENS, *WORDS, *(f"##{letter}" for letter in "abcdefghijklmnopqrstu")]
IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 9, 3, 0]])
PADDING = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
SENTENCES = [["the", "cat", "sat"], ["the", "dog", "ran"], ["a", "cat", "ran"]] * 8
DOCUMENTS = [[[5, 6], [7, 8], [9, 10]], [[11, 12], [13, 14]]]
PAIRS = [nsp.Pair([5, 6], [6, 7], 0), nsp.Pair([7], [8], 1)]
COUNTS = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
TABLE = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
TEXTS = [LabelledText("the cat sat", 0), LabelledText("a dog ran", 1)]
TAGS = [TaggedWords(("anna", "sat"), ("B-PER", "O"))]
ASKED = [Question("the cat", "the cat sat on the mat", (Answer("mat", 19),))]


@cache
def tokenizer():
    return wordpiece.WordPieceTokenizer(VOCAB)


@cache
def built(kind, *args):
    torch.manual_seed(0)
    return kind(CONFIG, *args).eval()


@cache
def modern(kind, *args):
    torch.manual_seed(0)
    return kind(modern_bert.ModernBertConfig(**MODERN), *args).eval()


@cache
def language():
    return toy_language.ToyLanguage()


@cache
def toy_row() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A row of two sentences of the toy language, the same with one word masked, and its labels."""
    lang = language()
    words = next(document for document in lang.documents(3)).sentences
    pieces = ["[CLS]", *words[0].words, "[SEP]", *words[1].words, "[SEP]"]
    row = np.array([[lang.piece_id[piece] for piece in pieces]])
    masked, labels = row.copy(), np.full_like(row, -100)
    masked[0, 1], labels[0, 1] = lang.piece_id["[MASK]"], row[0, 1]
    return row, masked, labels


def blocks():
    ids = torch.tensor([0, 1, 2] * 8)
    return word2vec.draw_blocks(ids, torch.zeros(24, dtype=torch.int32), torch.ones(3), 2, gen())


def word_model():
    return word2vec.Word2Vec(["the", "cat", "sat"], 4, gen())


def text_task():
    return tasks.TextClassification(tokenizer(), ["no", "yes"], 16)


OWN = [(f"the cat {number}", "ab"[number % 2]) for number in range(8)]


def tag_task():
    return tasks.TokenClassification(tokenizer(), ["O", "B-PER"], 16)


def question_task():
    return tasks.QuestionAnswering(tokenizer(), 32, 8, 5)


def batch():
    return tasks.collate(text_task().encode(TEXTS), 0)


def settings(**changed):
    small = {"documents": 4, "steps": 2, "warmup_steps": 1, "tokens_per_step": 64, "log_every": 1}
    return pretraining.Settings(
        **small, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, **changed
    )


def rows():
    return pretraining.rows_by_length(PAIRS, tokenizer(), 0.0, gen())


def optimizer(of):
    return torch.optim.AdamW(of.parameters(), lr=0.0)


def noise_words():
    return word2vec.draw_noise(word2vec.noise_distribution(COUNTS), 1, gen())


def step_arguments():
    expected = word2vec.expected_pairs(COUNTS, torch.ones(3), 10.0, 2)
    return word_model(), blocks(), noise_words(), 2, 0.1, expected


@cache
def folder() -> Path:
    place = Path(tempfile.mkdtemp())
    checkpoints.save(place / "model", built(model.BertForPreTraining), tokenizer(), "a card")
    finetuning.save(place / "tuned", finetuning.new_model(text_task(), CONFIG), text_task())
    files.write_tensors(place / "t.safetensors", {"a": torch.ones(2)}, {"note": "1"})
    training.save_state(
        place / "state", built(model.BertPooler), optimizer(built(model.BertPooler)), {"n": 1}
    )
    (place / "own.csv").write_text("text,label\nthe cat,a\na dog,b\n")
    (place / "a.py").write_text(
        '"""One sentence of prose that has more than ten words in it, all plain."""\n'
    )
    torch.save({"a": torch.ones(2)}, place / "pickled.bin")
    return place


def classifier(adapted: bool = False):
    found = BertForSequenceClassification(CONFIG).eval()
    if adapted:
        lora.add(found, 2)
    return found


def two_sentences() -> list[list[int]]:
    row = toy_row()[0][0]
    first, second = np.flatnonzero(row == language().piece_id["[SEP]"])
    return [row[1:first].tolist(), row[first + 1 : second].tolist()]


def thin_shape(base: torch.nn.Linear, rank: int, alpha: float | None = None) -> torch.Size:
    return lora.LoRALinear(base, rank, alpha).down.shape


def two_layers() -> lora.LoRALinear:
    torch.manual_seed(0)
    return lora.LoRALinear(torch.nn.Linear(4, 3), 2, 4.0)


@cache
def costs():
    return profiler.profile(CONFIG, 1, 8)


@cache
def toy_tokenizer():
    return wordpiece.WordPieceTokenizer.from_file(toy_language.VOCAB_FILE)


@cache
def toy_model():
    config = settings().bert_config(len(toy_tokenizer()))
    return model.BertForPreTraining(config).eval()


@cache
def kept():
    return pretraining.held_out(toy_tokenizer(), 3)


def trainer_with_state():
    trainer = pretraining.Pretrainer(settings(), tokenizer(), rows())
    trainer.save_state(folder() / "trainer")
    return trainer


def c(function, *args, **kwargs):
    return function, args, kwargs


F, E = folder, PADDING.bool()[:, None, None, :]
CALLS = {
    # files
    "tables.aligned": lambda: c(tables.aligned, [["a", "bb"], ["ccc", "1"]], 1),
    "tables.markdown": lambda: c(tables.markdown, [["a", "bb"], ["ccc", "1"]], 1),
    "files.write_bytes": lambda: c(files.write_bytes, F() / "b", b"abc"),
    "files.write_text": lambda: c(files.write_text, F() / "b", "abc"),
    "files.write_tensors": lambda: c(files.write_tensors, F() / "b", {"a": torch.ones(2)}, {"k": "v"}),
    "files.read_tensors": lambda: c(files.read_tensors, F() / "t.safetensors"),
    # wordpiece
    "files.read_json": lambda: c(files.read_json, F() / "model" / "config.json"),
    "files.only_writer": lambda: c(files.only_writer, F() / "b.folder", 1.0, "files"),
    "files.only_run": lambda: c(files.only_run, F() / "b.folder"),
    "vocabularies.fits": lambda: c(vocabularies.fits, tokenizer(), len(VOCAB)),
    "vocabularies.read_tokenizer": lambda: c(vocabularies.read_tokenizer, F() / "model", {"a": 1}),
    "vocabularies.write_tokenizer": lambda: c(
        vocabularies.write_tokenizer, F() / "b.folder", tokenizer(), 32
    ),
    "vocabularies.check_free": lambda: c(vocabularies.check_free, F() / "model"),
    "wordpiece.category": lambda: c(wordpiece.category, "a"),
    "wordpiece.is_control": lambda: c(wordpiece.is_control, "a"),
    "wordpiece.is_cjk": lambda: c(wordpiece.is_cjk, "a"),
    "wordpiece.strip_accents": lambda: c(wordpiece.strip_accents, "a"),
    "wordpiece.clean_text": lambda: c(wordpiece.clean_text, "The cat", True),
    "wordpiece.split_words": lambda: c(wordpiece.split_words, "the cat"),
    "wordpiece.greedy_pieces": lambda: c(wordpiece.greedy_pieces, "cat", {"cat": 1}),
    "wordpiece.plain_tokenize": lambda: c(wordpiece.plain_tokenize, "the cat", {"cat": 1}, True),
    "wordpiece.piece_spans": lambda: c(wordpiece.piece_spans, "cats", ["cat", "##s"]),
    "wordpiece.truncated_lengths": lambda: c(wordpiece.truncated_lengths, 5, 6, 7),
    "wordpiece.WordPieceTokenizer": lambda: c(wordpiece.WordPieceTokenizer, VOCAB, True),
    "wordpiece.WordPieceTokenizer.from_file": lambda: c(
        wordpiece.WordPieceTokenizer.from_file, F() / "model" / "vocab.txt", True
    ),
    "wordpiece.WordPieceTokenizer.save": lambda: c(tokenizer().save, F() / "v.txt"),
    "wordpiece.WordPieceTokenizer.tokenize": lambda: c(tokenizer().tokenize, "the cat"),
    "wordpiece.WordPieceTokenizer.encode": lambda: c(tokenizer().encode, "the cat", "a dog", 6, True),
    "wordpiece.WordPieceTokenizer.batch": lambda: c(tokenizer().batch, ["the cat", "a dog"], 6),
    "wordpiece.WordPieceTokenizer.decode": lambda: c(tokenizer().decode, [5, 6], True),
    "wordpiece.WordPieceTokenizer.convert_tokens_to_ids": lambda: c(
        tokenizer().convert_tokens_to_ids, ["the", "cat"]
    ),
    "wordpiece.WordPieceTokenizer.convert_ids_to_tokens": lambda: c(
        tokenizer().convert_ids_to_tokens, [5, 6]
    ),
    "wordpiece.any_of": lambda: c(wordpiece.any_of, ["a", "ab"]),
    "wordpiece.read_vocab": lambda: c(wordpiece.read_vocab, F() / "model" / "vocab.txt"),
    "wordpiece.pieces_by_id": lambda: c(wordpiece.pieces_by_id, {"a": 0, "b": 1}),
    "wordpiece.initial_splits": lambda: c(wordpiece.initial_splits, {"cat": 1}),
    "wordpiece.pair_scores": lambda: c(wordpiece.pair_scores, {"cat": ["c", "##a", "##t"]}, {"cat": 1}),
    "wordpiece.apply_merge": lambda: c(wordpiece.apply_merge, ("c", "##a"), {"cat": ["c", "##a", "##t"]}),
    "wordpiece.train_vocab": lambda: c(
        wordpiece.train_vocab, ["the cat", "the dog"], 60, 1, True, "ab", False
    ),
    # masks
    "masks.bidirectional_mask": lambda: c(masks.bidirectional_mask, 3),
    "masks.causal_mask": lambda: c(masks.causal_mask, 3),
    "masks.padding_mask": lambda: c(masks.padding_mask, torch.tensor([2, 3]), 3),
    "masks.combine": lambda: c(masks.combine, masks.causal_mask(5), PADDING),
    "masks.check_mask": lambda: c(masks.check_mask, PADDING, 2, 5),
    "masks.to_attention_bias": lambda: c(masks.to_attention_bias, masks.causal_mask(3), torch.float32),
    "masks.check_floating": lambda: c(masks.check_floating, torch.float32),
    "masks.refuse_empty_rows": lambda: c(masks.refuse_empty_rows, "mask", masks.causal_mask(3)),
    # mlm
    "mlm.corrupt": lambda: c(mlm.corrupt, IDS, tokenizer(), 0.5, 0.8, 0.1, gen()),
    "mlm.mask_tokens": lambda: c(mlm.mask_tokens, IDS, tokenizer(), 0.5, gen()),
    "mlm.select_positions": lambda: c(mlm.select_positions, 20, 0.5, gen()),
    "mlm.shown_for": lambda: c(
        mlm.shown_for, torch.tensor([1, 25, 29]), torch.tensor([5, 6, 7]), torch.tensor([5, 6, 7]), 4
    ),
    "mlm.check_ids": lambda: c(mlm.check_ids, IDS, 40),
    # nsp
    "nsp.make_pairs": lambda: c(nsp.make_pairs, DOCUMENTS, 5, gen()),
    "nsp.build_row": lambda: c(nsp.build_row, [5, 6], [7], tokenizer(), 6),
    "nsp.overlap_accuracy": lambda: c(nsp.overlap_accuracy, PAIRS),
    "nsp.topic_accuracy": lambda: c(nsp.topic_accuracy, DOCUMENTS, ["a", "b"], PAIRS),
    # word2vec
    "word2vec.Word2Vec": lambda: c(word2vec.Word2Vec, ["a", "b"], 3, gen()),
    "word2vec.Word2Vec.most_similar": lambda: c(word_model().most_similar, "cat", 2),
    "word2vec.Word2Vec.analogy": lambda: c(
        word2vec.Word2Vec(list("abcde"), 3, gen()).analogy, "a", "b", "c", 2
    ),
    "word2vec.softmax_loss": lambda: c(word2vec.softmax_loss, x(2, 3), x(4, 3), torch.tensor([1, 3])),
    "word2vec.negative_sampling_loss": lambda: c(
        word2vec.negative_sampling_loss, x(2, 3), x(2, 3), x(2, 5, 3), 5
    ),
    "word2vec.count_words": lambda: c(word2vec.count_words, SENTENCES),
    "word2vec.keep_probability": lambda: c(word2vec.keep_probability, COUNTS, 0.1),
    "word2vec.noise_distribution": lambda: c(word2vec.noise_distribution, COUNTS),
    "word2vec.draw_noise": lambda: c(word2vec.draw_noise, word2vec.noise_distribution(COUNTS), 2, gen()),
    "word2vec.draw_blocks": lambda: c(
        word2vec.draw_blocks, torch.tensor([0, 1, 2]), torch.tensor([0, 0, 0]), torch.ones(3), 2, gen()
    ),
    "word2vec.listed_pairs": lambda: c(word2vec.listed_pairs, blocks()),
    "word2vec.plain_skipgram_step": lambda: c(word2vec.plain_skipgram_step, *step_arguments()[:-1]),
    "word2vec.true_pairs": lambda: c(word2vec.true_pairs, blocks()),
    "word2vec.gradients": lambda: c(word2vec.gradients, x(1, 2, 3), x(1, 7, 3), torch.ones(1, 2, 2), 5),
    "word2vec.skipgram_step": lambda: c(word2vec.skipgram_step, *step_arguments()),
    "word2vec.cbow_step": lambda: c(word2vec.cbow_step, *step_arguments()),
    "word2vec.add_rows": lambda: c(
        word2vec.add_rows, torch.zeros(3, 2), torch.tensor([[0, 2]]), x(1, 2, 2), torch.ones(3)
    ),
    "word2vec.expected_pairs": lambda: c(word2vec.expected_pairs, COUNTS, torch.ones(3), 10.0, 2),
    "word2vec.row_rates": lambda: c(word2vec.row_rates, 0.1, torch.ones(3), x(1, 2, 2)),
    "word2vec.train": lambda: c(
        word2vec.train, SENTENCES, 4, 2, 2, 0.5, 1, 0.1, 1, 0, "skipgram", progress=False
    ),
    "word2vec.encode": lambda: c(word2vec.encode, SENTENCES, 1),
    "word2vec.cooccurrence": lambda: c(word2vec.cooccurrence, SENTENCES, ["the", "cat"], 2),
    "word2vec.check_pair_counts": lambda: c(word2vec.check_pair_counts, "counts", TABLE),
    "word2vec.pmi": lambda: c(word2vec.pmi, TABLE, 0.75),
    # bert
    "bert.losses.pretraining_losses": lambda: c(
        losses.pretraining_losses, x(2, 5, 40), IDS, x(2, 2), torch.tensor([0, 1])
    ),
    "bert.losses.mean_cross_entropy": lambda: c(losses.mean_cross_entropy, x(2, 5, 40), IDS),
    "bert.heads.classifier_head": lambda: c(heads.classifier_head, CONFIG),
    "bert.heads.classification_loss": lambda: c(heads.classification_loss, x(2, 3), torch.tensor([0, 2])),
    "bert.heads.span_loss": lambda: c(heads.span_loss, "start", x(2, 5), torch.tensor([0, 2])),
    "bert.weights.load_weights": lambda: c(
        weights.load_weights, built(model.BertPooler), dict(built(model.BertPooler).state_dict())
    ),
    "bert.weights.plain_name": lambda: c(weights.plain_name, "bert.pooler.dense.weight"),
    "bert.weights.fold_ties": lambda: c(weights.fold_ties, {"cls.predictions.bias": torch.ones(2)}),
    "bert.weights.count_parameters": lambda: c(weights.count_parameters, built(model.BertPooler)),
    "bert.model.BertConfig": lambda: c(BertConfig, **TINY, layer_norm_eps=1e-5, pad_token_id=0),
    "bert.model.BertConfig.named": lambda: c(BertConfig.named, "tiny"),
    "bert.model.BertConfig.from_dict": lambda: c(BertConfig.from_dict, TINY),
    "bert.model.attention": lambda: c(model.attention, x(2, 2, 5, 4), x(2, 2, 5, 4), x(2, 2, 5, 4), E, 0.0),
    "bert.parameters.initialise_weights": lambda: c(
        parameters.initialise_weights, torch.nn.Linear(2, 2), 0.02
    ),
    "bert.model.SelfAttention.split_heads": lambda: c(built(model.SelfAttention).split_heads, x(2, 5, 16)),
    "bert.model.BertEmbeddings.forward": lambda: c(built(model.BertEmbeddings), IDS, torch.zeros_like(IDS)),
    "bert.model.SelfAttention.forward": lambda: c(built(model.SelfAttention), x(2, 5, 16), E, True),
    "bert.model.AddAndNorm.forward": lambda: c(model.AddAndNorm(16, CONFIG).eval(), x(2, 16), x(2, 16)),
    "bert.model.AttentionSublayer.forward": lambda: c(built(model.AttentionSublayer), x(2, 5, 16), E, True),
    "bert.model.Intermediate.forward": lambda: c(built(model.Intermediate), x(2, 16)),
    "bert.model.BertLayer.forward": lambda: c(built(model.BertLayer), x(2, 5, 16), E, True),
    "bert.model.BertEncoder.forward": lambda: c(built(model.BertEncoder), x(2, 5, 16), E, True, True),
    "bert.model.BertPooler.forward": lambda: c(built(model.BertPooler), x(2, 5, 16)),
    "bert.model.BertModel.forward": lambda: c(built(model.BertModel), IDS, PADDING, torch.zeros_like(IDS)),
    "bert.model.PredictionTransform.forward": lambda: c(built(model.PredictionTransform), x(2, 16)),
    "bert.model.MLMHead.forward": lambda: c(built(model.MLMHead), x(2, 16)),
    "bert.model.BertForPreTraining.forward": lambda: c(
        built(model.BertForPreTraining), IDS, labels=IDS, next_sentence_label=torch.tensor([0, 1])
    ),
    "bert.model.BertForPreTraining.score_selected": lambda: c(
        built(model.BertForPreTraining).score_selected, IDS, labels=IDS
    ),
    "bert.model.BertForPreTraining.losses": lambda: c(
        built(model.BertForPreTraining).losses, IDS, labels=IDS, next_sentence_label=torch.tensor([0, 1])
    ),
    "modern_bert.ModernBertConfig": lambda: c(modern_bert.ModernBertConfig, **MODERN, norm_eps=1e-5),
    "modern_bert.ModernBertConfig.from_dict": lambda: c(modern_bert.ModernBertConfig.from_dict, MODERN),
    "modern_bert.ModernBertConfig.is_global": lambda: c(modern_bert.ModernBertConfig(**MODERN).is_global, 1),
    "modern_bert.as_bert": lambda: c(modern_bert.as_bert, CONFIG),
    "modern_bert.weights_of_bert": lambda: c(
        modern_bert.weights_of_bert, built(model.BertModel).state_dict()
    ),
    "modern_bert.rotate": lambda: c(modern_bert.rotate, x(2, 5, 4), torch.arange(5), 100.0),
    "modern_bert.neighbourhood": lambda: c(modern_bert.neighbourhood, 5, 2),
    "modern_bert.attention_in_blocks": lambda: c(
        modern_bert.attention_in_blocks, x(2, 5, 4), x(2, 5, 4), x(2, 5, 4), 2
    ),
    "modern_bert.matmul_flops": lambda: c(
        modern_bert.matmul_flops, modern_bert.ModernBertConfig(**MODERN), [5, 3]
    ),
    "modern_bert.pack": lambda: c(modern_bert.pack, IDS, PADDING),
    "modern_bert.ModernEmbeddings": lambda: c(
        modern_bert.ModernEmbeddings, modern_bert.ModernBertConfig(**MODERN)
    ),
    "modern_bert.ModernAttention": lambda: c(
        modern_bert.ModernAttention, modern_bert.ModernBertConfig(**MODERN), 1
    ),
    "modern_bert.ModernFeedForward": lambda: c(
        modern_bert.ModernFeedForward, modern_bert.ModernBertConfig(**MODERN)
    ),
    "modern_bert.ModernLayer": lambda: c(modern_bert.ModernLayer, modern_bert.ModernBertConfig(**MODERN), 1),
    "modern_bert.ModernBertModel": lambda: c(
        modern_bert.ModernBertModel, modern_bert.ModernBertConfig(**MODERN)
    ),
    "modern_bert.ModernPredictionHead": lambda: c(
        modern_bert.ModernPredictionHead, modern_bert.ModernBertConfig(**MODERN)
    ),
    "modern_bert.ModernBertForMaskedLM": lambda: c(
        modern_bert.ModernBertForMaskedLM, modern_bert.ModernBertConfig(**MODERN)
    ),
    "modern_bert.ModernEmbeddings.forward": lambda: c(
        modern(modern_bert.ModernEmbeddings), IDS, torch.arange(5)
    ),
    "modern_bert.ModernAttention.forward": lambda: c(modern(modern_bert.ModernAttention, 1), x(2, 5, 16), E),
    "modern_bert.ModernAttention.forward_packed": lambda: c(
        modern(modern_bert.ModernAttention, 1).forward_packed, x(5, 16), [3, 2]
    ),
    "modern_bert.ModernAttention.mix": lambda: c(modern(modern_bert.ModernAttention, 1).mix, x(2, 5, 48), E),
    "modern_bert.ModernFeedForward.forward": lambda: c(modern(modern_bert.ModernFeedForward), x(2, 16)),
    "modern_bert.ModernLayer.forward": lambda: c(modern(modern_bert.ModernLayer, 1), x(2, 5, 16), E),
    "modern_bert.ModernLayer.attend": lambda: c(
        modern(modern_bert.ModernLayer, 1).attend, x(2, 5, 16), E, None
    ),
    "modern_bert.ModernBertModel.forward": lambda: c(modern(modern_bert.ModernBertModel), IDS, PADDING),
    "modern_bert.ModernBertModel.forward_packed": lambda: c(
        modern(modern_bert.ModernBertModel).forward_packed, IDS[0], [3, 2]
    ),
    "modern_bert.ModernPredictionHead.forward": lambda: c(modern(modern_bert.ModernPredictionHead), x(2, 16)),
    "modern_bert.ModernBertForMaskedLM.forward": lambda: c(
        modern(modern_bert.ModernBertForMaskedLM), IDS, PADDING
    ),
    "modern_bert.ModernBertForMaskedLM.loss": lambda: c(
        modern(modern_bert.ModernBertForMaskedLM).loss, IDS, PADDING, IDS
    ),
    "bert.heads.BertForSequenceClassification.forward": lambda: c(
        built(BertForSequenceClassification), IDS, PADDING, labels=torch.tensor([0, 1])
    ),
    "bert.heads.BertForTokenClassification.forward": lambda: c(
        built(BertForTokenClassification), IDS, PADDING, labels=(IDS > 5).long()
    ),
    "bert.heads.BertForQuestionAnswering.forward": lambda: c(
        built(BertForQuestionAnswering),
        IDS,
        PADDING,
        start_positions=torch.tensor([1, 2]),
        end_positions=torch.tensor([3, 2]),
    ),
    # the toy language
    "toy.generator.stationary": lambda: c(toy_generator.stationary, np.array([[0.5, 0.5], [0.2, 0.8]])),
    "toy.generator.parse_class": lambda: c(toy_generator.parse_class, "good/bad nice/dull", 1),
    "toy.generator.Generator": lambda: c(toy_generator.Generator, 3),
    "toy.generator.Generator.documents": lambda: c(language().documents, 2),
    "toy.language.Floors.mean": lambda: c(language().floors(*toy_row(), 0.15).mean, "mask"),
    "toy.language.ToyLanguage.posteriors": lambda: c(
        language().posteriors, toy_row()[1], toy_row()[2] != -100, 0.15, False
    ),
    "toy.language.ToyLanguage.next_sentence_posterior": lambda: c(
        language().next_sentence_posterior, toy_row()[1], 0.15
    ),
    "toy.language.ToyLanguage.sentence_evidence": lambda: c(language().sentence_evidence, two_sentences()),
    "toy.language.ToyLanguage.next_sentence_pmi": lambda: c(
        language().next_sentence_pmi, two_sentences(), two_sentences()
    ),
    "toy.language.ToyLanguage.floors": lambda: c(language().floors, *toy_row(), 0.15),
    "toy.language.ToyLanguage.check_possible": lambda: c(language().check_possible, toy_row()[0]),
    "toy.language.ToyLanguage.cooccurrence": lambda: c(language().cooccurrence, 2, True),
    "toy.language.ToyLanguage.pmi": lambda: c(language().pmi, 2, True),
    "toy.tasks.part_of": lambda: c(toy_tasks.part_of, "a text"),
    "toy.tasks.draw": lambda: c(
        toy_tasks.draw, 2, 0, "train", lambda r: LabelledText(str(r.random()), 0), lambda e: e.text
    ),
    "toy.tasks.one_of": lambda: c(toy_tasks.one_of, rng(), ["a", "b"]),
    "toy.tasks.fill": lambda: c(toy_tasks.fill, rng(), "the {place}"),
    "toy.tasks.clause": lambda: c(toy_tasks.clause, rng(), True, 0.3),
    "toy.tasks.reviews": lambda: c(toy_tasks.reviews, 2, 0, "train"),
    "toy.tasks.topics": lambda: c(toy_tasks.topics, 1, 0, "train"),
    "toy.tasks.tagged": lambda: c(toy_tasks.tagged, rng(), "[PER {person}] sat"),
    "toy.tasks.person": lambda: c(toy_tasks.person, rng()),
    "toy.tasks.entities": lambda: c(toy_tasks.entities, 2, 0, "train"),
    "toy.tasks.short_questions": lambda: c(toy_tasks.short_questions, 4, 0, "train", True),
    "toy.tasks.two_sentences": lambda: c(
        toy_tasks.two_sentences, toy_tasks.questions(1, 0, "train", (3, 4), 0.0)[0], True, 1
    ),
    "toy.tasks.questions": lambda: c(toy_tasks.questions, 2, 0, "train", (3, 4), 0.2),
    "toy.tasks.facts": lambda: c(toy_tasks.facts, rng(), 3),
    "toy.tasks.ask": lambda: c(toy_tasks.ask, rng(), (3, 4), 0.2),
    "toy.tasks.relation": lambda: c(
        toy_tasks.relation, [toy_tasks.Stay("anna", "park", "monday")], toy_tasks.Stay("anna", "park", None)
    ),
    "toy.tasks.pairs": lambda: c(toy_tasks.pairs, 2, 0, "train"),
    "toy.tasks.draw_claim": lambda: c(
        toy_tasks.draw_claim, rng(), [toy_tasks.Quality("soup", 0, True)], ["anna"], ["park"], ["monday"]
    ),
    "toy.tasks.say": lambda: c(toy_tasks.say, rng(), toy_tasks.Quality("soup", 0, True)),
    # checkpoints and training
    "checkpoints.save": lambda: c(
        checkpoints.save, F() / "model", built(model.BertForPreTraining), tokenizer(), "a card"
    ),
    "checkpoints.write": lambda: c(
        checkpoints.write, F() / "model", built(model.BertForPreTraining), tokenizer(), 32, {"a": 1}, "card"
    ),
    "checkpoints.check_own": lambda: c(checkpoints.check_own, F() / "model"),
    "checkpoints.read": lambda: c(checkpoints.read, F() / "model"),
    "checkpoints.weights_of": lambda: c(checkpoints.weights_of, F() / "model"),
    "checkpoints.digest": lambda: c(checkpoints.digest, F() / "a.py"),
    "checkpoints.check_digests": lambda: c(checkpoints.check_digests, F() / "model"),
    "checkpoints.read_pickled": lambda: c(checkpoints.read_pickled, F() / "pickled.bin"),
    "checkpoints.folder_of": lambda: c(checkpoints.folder_of, "embedded"),
    "checkpoints.load": lambda: c(checkpoints.load, F() / "model", ["mlm"]),
    "training.usable_device": lambda: c(training.usable_device, "cpu"),
    "training.schedule": lambda: c(training.schedule, 1, 4, 2),
    "training.parameter_groups": lambda: c(training.parameter_groups, [torch.nn.Parameter(x(2, 2))], 0.1),
    "training.update": lambda: c(
        training.update, built(model.BertPooler), optimizer(built(model.BertPooler)), lambda: 1.0, 0.1, 1.0
    ),
    "training.take_steps": lambda: c(
        training.take_steps, lambda: 1.0, 2, [lambda run: None], first=0, name="a", progress=False
    ),
    "training.EarlyStopping": lambda: c(training.EarlyStopping, built(model.BertPooler), 2),
    "training.EarlyStopping.is_over": lambda: c(
        training.EarlyStopping(built(model.BertPooler), 2).is_over, 0, 0.5, 1.5
    ),
    "training.EarlyStopping.resume": lambda: c(
        training.EarlyStopping(built(model.BertPooler), 2).resume, {"best": 1}, {"a": x(2)}
    ),
    "training.digest_of": lambda: c(training.digest_of, {"a": x(2)}, {"note": "1"}),
    "training.check_same_run": lambda: c(training.check_same_run, "a", {"s": {"n": 1}}, {"s": {"n": 1}}),
    "training.group_of": lambda: c(training.group_of, {"best.a": x(2)}, "best"),
    "training.save_state": lambda: c(
        training.save_state, F() / "s", built(model.BertPooler), optimizer(built(model.BertPooler)), {"n": 1}
    ),
    "training.read_state": lambda: c(training.read_state, F() / "state"),
    "training.restore_state": lambda: c(
        training.restore_state,
        training.read_state(F() / "state")[0],
        built(model.BertPooler),
        optimizer(built(model.BertPooler)),
    ),
    # pretraining
    "bert.parameters.TiedModule.load_state_dict": lambda: c(
        built(model.BertForPreTraining).load_state_dict, built(model.BertForPreTraining).state_dict()
    ),
    "pretraining.Settings": lambda: c(
        settings, seed=1, learning_rate=0.1, weight_decay=0.1, clip=1.0, rate=0.2
    ),
    "pretraining.Settings.bert_config": lambda: c(settings().bert_config, 40),
    "pretraining.tokenize_documents": lambda: c(
        pretraining.tokenize_documents, language().documents(1), tokenizer()
    ),
    "pretraining.rows_by_length": lambda: c(pretraining.rows_by_length, PAIRS, tokenizer(), 0.5, gen()),
    "pretraining.training_rows": lambda: c(pretraining.training_rows, settings(), tokenizer()),
    "pretraining.BatchOrder": lambda: c(pretraining.BatchOrder, rows(), 64, 0),
    "pretraining.attention_mask_for": lambda: c(pretraining.attention_mask_for, "causal", IDS),
    "pretraining.held_out": lambda: c(pretraining.held_out, toy_tokenizer(), 2, 0.15, 7),
    "pretraining.evaluate": lambda: c(pretraining.evaluate, toy_model(), kept(), "causal"),
    "pretraining.compare": lambda: c(pretraining.compare, pretraining.evaluate(toy_model(), kept()), kept()),
    "pretraining.learning_rate_at": lambda: c(pretraining.learning_rate_at, 1, settings()),
    "pretraining.Pretrainer": lambda: c(pretraining.Pretrainer, settings(), tokenizer(), rows()),
    "pretraining.Pretrainer.save_state": lambda: c(
        pretraining.Pretrainer(settings(), tokenizer(), rows()).save_state, F() / "p"
    ),
    "pretraining.Pretrainer.load_state": lambda: c(trainer_with_state().load_state, F() / "trainer"),
    "pretraining.run": lambda: c(
        pretraining.run,
        pretraining.Pretrainer(settings(), tokenizer(), rows()),
        lambda entry: None,
        F() / "run",
        False,
    ),
    "pretraining.nan_mean": lambda: c(pretraining.nan_mean, [1.0, math.nan]),
    # scores, tasks, fine-tuning
    "metrics.entities_of": lambda: c(metrics.entities_of, ["B-PER", "O"]),
    "metrics.entity_scores": lambda: c(metrics.entity_scores, [["B-PER"]], [["O"]]),
    "metrics.normalise_answer": lambda: c(metrics.normalise_answer, "The cat."),
    "metrics.exact_match": lambda: c(metrics.exact_match, "a cat", "cat"),
    "metrics.span_f1": lambda: c(metrics.span_f1, "a cat", "cat"),
    "metrics.spell_entities": lambda: c(metrics.spell_entities, ["B-PER", "O"]),
    "tasks.TokenClassification": lambda: c(tasks.TokenClassification, tokenizer(), ["O", "B-PER"], 16),
    "tasks.QuestionAnswering.restore": lambda: c(
        tasks.QuestionAnswering.restore, tokenizer(), ["start", "end"], {"max_length": 32}
    ),
    "tasks.name_or_number": lambda: c(tasks.name_or_number, "no", 3),
    "tasks.collate": lambda: c(tasks.collate, text_task().encode(TEXTS), 0, "cpu"),
    "tasks.labelled": lambda: c(tasks.labelled, ["a", "b"], [0, 1], ["c", "d"]),
    "tasks.run_model": lambda: c(
        tasks.run_model, built(BertForSequenceClassification), text_task(), text_task().encode(TEXTS), 2
    ),
    "tasks.TextClassification.loss_weights": lambda: c(
        text_task().loss_weights, text_task().encode(TEXTS), True
    ),
    "tasks.TextClassification.encode": lambda: c(text_task().encode, TEXTS),
    "tasks.TextClassification.predict_proba": lambda: c(
        text_task().predict_proba, built(BertForSequenceClassification), ["the cat", "a dog"]
    ),
    "tasks.TextClassification.predict": lambda: c(
        text_task().predict, built(BertForSequenceClassification), ["the cat", "a dog"]
    ),
    "tasks.unlabelled": lambda: c(tasks.unlabelled, "a text"),
    "tasks.check_text": lambda: c(tasks.check_text, "a text", "text"),
    "tasks.TokenClassification.encode": lambda: c(tag_task().encode, TAGS),
    "tasks.TokenClassification.predict": lambda: c(
        tag_task().predict, built(BertForTokenClassification), [["the", "cat"]]
    ),
    "tasks.QuestionAnswering": lambda: c(tasks.QuestionAnswering, tokenizer(), 32, 8, 5),
    "tasks.QuestionAnswering.loss_weights": lambda: c(question_task().loss_weights, [], False),
    "tasks.QuestionAnswering.loss": lambda: c(
        question_task().loss,
        built(BertForQuestionAnswering),
        tasks.collate(question_task().encode(ASKED), 0),
        None,
    ),
    "tasks.QuestionAnswering.encode": lambda: c(question_task().encode, ASKED),
    "tasks.QuestionAnswering.predict": lambda: c(
        question_task().predict, built(BertForQuestionAnswering), ASKED, 0.0
    ),
    "tasks.token_span": lambda: c(tasks.token_span, [(0, 3), (4, 7)], Answer("cat", 4)),
    "tasks.best_span": lambda: c(tasks.best_span, x(4), x(4), [None, (0, 3), (4, 7), None], 2),
    "tasks.class_weights": lambda: c(tasks.class_weights, np.array([3, 1])),
    "finetuning.Settings": lambda: c(finetuning.Settings, 1, 2, 3, 0.1, 0.1, 0.1, 1.0, 2, 0.5, 1, False),
    "finetuning.new_model": lambda: c(finetuning.new_model, text_task(), CONFIG, 0, 0.1),
    "finetuning.parts_of": lambda: c(finetuning.parts_of, built(BertForSequenceClassification)),
    "finetuning.freeze": lambda: c(finetuning.freeze, finetuning.new_model(text_task(), CONFIG), 1),
    "finetuning.parameter_groups": lambda: c(
        finetuning.parameter_groups, built(BertForSequenceClassification), finetuning.Settings()
    ),
    "finetuning.finetune": lambda: c(
        finetuning.finetune,
        finetuning.new_model(text_task(), CONFIG),
        text_task(),
        TEXTS,
        TEXTS,
        finetuning.Settings(epochs=1),
        False,
    ),
    "finetuning.endless_batches": lambda: c(
        finetuning.endless_batches, text_task().encode(TEXTS), finetuning.Settings()
    ),
    "finetuning.features": lambda: c(
        finetuning.features, built(model.BertForPreTraining), tokenizer(), ["the cat"], "mean", 4
    ),
    "finetuning.occlusion": lambda: c(
        finetuning.occlusion, built(BertForSequenceClassification), text_task(), "the cat", 1
    ),
    "finetuning.save": lambda: c(
        finetuning.save, F() / "tuned", finetuning.new_model(text_task(), CONFIG), text_task()
    ),
    "finetuning.load": lambda: c(finetuning.load, F() / "tuned"),
    # texts of one's own
    "own_data.read": lambda: c(own_data.read, OWN, seed=1),
    "own_data.rows_of_list": lambda: c(own_data.rows_of_list, [("a film", "good")]),
    "own_data.rows_of_file": lambda: c(own_data.rows_of_file, F() / "own.csv", ["text", "label"]),
    "own_data.numbered": lambda: c(own_data.numbered, Counter({"a": 3, "b": 4})),
    "own_data.split": lambda: c(own_data.split, own_data.read(OWN).train, 1),
    "own_data.split_by_group": lambda: c(
        own_data.split_by_group, [LabelledText(f"text {i}", i % 2) for i in range(12)], [*"abcdef"] * 2, 1
    ),
    # sentence vectors
    "sentence_vectors.mean_pool": lambda: c(sentence_vectors.mean_pool, x(2, 5, 4), PADDING.float()),
    "sentence_vectors.cosines": lambda: c(sentence_vectors.cosines, x(2, 4), x(3, 4)),
    "sentence_vectors.dot_products": lambda: c(sentence_vectors.dot_products, x(2, 4), x(3, 4)),
    "sentence_vectors.idf": lambda: c(sentence_vectors.idf, [[5, 6], [6, 7]], 40),
    "sentence_vectors.to_rows": lambda: c(sentence_vectors.to_rows, [[5, 6], [7]], tokenizer()),
    "sentence_vectors.embed": lambda: c(
        sentence_vectors.embed, built(model.BertModel), [[5, 6], [7]], tokenizer(), 1
    ),
    "sentence_vectors.info_nce": lambda: c(sentence_vectors.info_nce, x(3, 3), True),
    "sentence_vectors.draw_pairs": lambda: c(sentence_vectors.draw_pairs, DOCUMENTS, gen()),
    "sentence_vectors.batches": lambda: c(
        lambda *args: next(sentence_vectors.batches(*args)), DOCUMENTS, 2, gen()
    ),
    "sentence_vectors.train": lambda: c(
        sentence_vectors.train,
        model.BertModel(CONFIG),
        DOCUMENTS,
        tokenizer(),
        sentence_vectors.cosines,
        1,
        2,
        1e-3,
        False,
        (0, 1),
        1,
    ),
    "sentence_vectors.cross_scores": lambda: c(
        sentence_vectors.cross_scores, built(model.BertForPreTraining), [([5, 6], [7])], tokenizer()
    ),
    "sentence_vectors.places": lambda: c(sentence_vectors.places, x(2, 4)),
    "sentence_vectors.recall_at": lambda: c(
        sentence_vectors.recall_at, x(2, 4), torch.eye(4, dtype=torch.float64)[:2], 2
    ),
    "sentence_vectors.mean_reciprocal_rank": lambda: c(
        sentence_vectors.mean_reciprocal_rank, x(2, 4), torch.eye(4, dtype=torch.float64)[:2]
    ),
    # LoRA
    "lora.LoRALinear": lambda: c(thin_shape, torch.nn.Linear(4, 3), 2, 4.0),
    "lora.LoRALinear.forward": lambda: c(two_layers(), x(2, 4)),
    "lora.add": lambda: c(lora.add, classifier(), 2, 4.0, ["query"]),
    "lora.merge": lambda: c(lora.merge, classifier(adapted=True)),
    "own_data.settings_for": lambda: c(own_data.settings_for, CONFIG),
    "own_data.fine_tune": lambda: c(
        own_data.fine_tune, own_data.read(OWN), F() / "model", max_length=16, progress=False, epochs=1
    ),
    "own_data.against_majority": lambda: c(
        own_data.against_majority, built(BertForSequenceClassification), text_task(), own_data.read(OWN)
    ),
    # costs, this machine, other texts
    "profiler.Operation.macs_by": lambda: c(profiler.Operation("m", "Linear", 4).macs_by, "all"),
    "profiler.Operation.flops_by": lambda: c(profiler.Operation("m", "Linear", 4).flops_by, "all"),
    "profiler.Row.bound": lambda: c(costs().totals.bound, 4.0),
    "profiler.Profile.children": lambda: c(costs().children, costs().totals),
    "profiler.Profile.under": lambda: c(costs().under, "all"),
    "profiler.Profile.seconds": lambda: c(costs().seconds, 10.0, 10.0),
    "profiler.published_rows": lambda: c(profiler.published_rows, CONFIG, 1, 8),
    "profiler.profile": lambda: c(profiler.profile, CONFIG, 1, 8, "all", training=False, fused=True),
    "profiler.on_meta": lambda: c(profiler.on_meta, CONFIG, True),
    "profiler.closed_form": lambda: c(profiler.closed_form, CONFIG, 1, 8, True),
    "profiler.best_time": lambda: c(profiler.best_time, lambda: None, 1, 1),
    "profiler.peak_flops": lambda: c(profiler.peak_flops, (8,), 1),
    "profiler.bandwidth": lambda: c(profiler.bandwidth, 64, 1),
    "docstrings.passages": lambda: c(docstrings.passages, ["tqdm"], 2, 0, 5, 40, 2),
    "docstrings.split": lambda: c(
        docstrings.split, docstrings.passages(["tqdm"], 6, 0, 5, 40, 2), 0.2, 0.2, 0
    ),
    "docstrings.source_files": lambda: c(docstrings.source_files, "tqdm"),
    "docstrings.prose": lambda: c(docstrings.prose, F() / "a.py", 5, 20),
    "docstrings.docstrings": lambda: c(docstrings.docstrings, F() / "a.py"),
    "docstrings.paragraphs": lambda: c(docstrings.paragraphs, "One paragraph."),
    "docstrings.plain": lambda: c(docstrings.plain, ":class:`~a.B`"),
    "docstrings.first_sentences": lambda: c(docstrings.first_sentences, "One. Two.", 5),
    "docstrings.reads_as_prose": lambda: c(docstrings.reads_as_prose, "A sentence of prose."),
    "docstrings.is_new": lambda: c(docstrings.is_new, "a text", "module", {}),
}

MODULES = [model, heads]
for kind in [kind for module in MODULES for kind in vars(module).values() if inspect.isclass(kind)]:
    if issubclass(kind, torch.nn.Module) and "__init__" in vars(kind):
        key = kind.__module__.removeprefix("course_utils.") + "." + kind.__name__
        CALLS[key] = lambda kind=kind: c(kind, *([16] if kind is model.AddAndNorm else []), CONFIG)

# (function, argument, kind of value): taken although the test calls it wrong, and right all the same.
FINE = {
    "mlm.shown_for(original: negative)": "any label may stand there",
    "mlm.shown_for(ordinary: negative)": "any numbers may be drawn from",
    "toy.generator.stationary(transitions: half)": "two stages, each as likely after the other: a chain",
    "training.EarlyStopping.is_over(score: negative)": "scores may be anything",
    "training.EarlyStopping.is_over(loss: negative)": "so may losses",
    "tasks.QuestionAnswering.predict(threshold: negative)": "a lead may be asked for, or granted",
    "pretraining.attention_mask_for(input_ids: negative)": "only their shape is read",
    "own_data.read(text_pair: str)": "a name of a column, and a list has none",
    "tasks.class_weights(counts: half)": "shares will do as well as counts",
}


def public() -> dict[str, object]:
    """All public functions, methods and constructors that look at something, by their full names."""
    found = {}
    for name in modules():
        if not entry_of(name, tuple(TAUGHT)) or name.startswith("commands/"):
            continue
        path = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        module = importlib.import_module(f"course_utils.{path}")
        for key, part in vars(module).items():
            if key.startswith("_") or getattr(part, "__module__", None) != module.__name__:
                continue
            if callable(part) and not inspect.isclass(part):
                found[f"{path}.{key}"] = part
            elif inspect.isclass(part) and not issubclass(part, (tuple, Exception)):
                is_record = dataclasses.is_dataclass(part) and not hasattr(part, "__post_init__")
                if "__init__" in vars(part) and not is_record:
                    found[f"{path}.{key}"] = part.__init__
                for inner, method in vars(part).items():
                    if not inner.startswith("_") and isinstance(
                        method, (type(public), classmethod, staticmethod)
                    ):
                        found[f"{path}.{key}.{inner}"] = getattr(part, inner)
    return {
        name: part
        for name, part in found.items()
        if [p for p in inspect.signature(part).parameters if p != "self"]
    }


def test_the_table_has_every_public_function():
    left = [name for name in public() if not any(re.match(pattern, name) for pattern in LEFT_OUT)]
    assert sorted(set(left) - CALLS.keys()) == []
    assert sorted(CALLS.keys() - set(left)) == []
    assert len(LEFT_OUT) <= 10


def test_every_taught_module_holds_to_its_hints():
    for name in modules():
        text = (PACKAGE / name).read_text(encoding="utf-8")
        if entry_of(name, tuple(TAUGHT)) and re.search(r"^def [a-z]", text, flags=re.MULTILINE):
            is_left_out = name in ("checks.py", "hints.py") or name.startswith("commands/")
            assert ("\nhold_to_hints(globals())\n" in text) != is_left_out, name


# ---- What is put in place of an argument ------------------------------------------------------------------


def kinds(value, hint: str):
    """(name, another value, whether it means the same as `value`)."""
    yield "str", "x", False
    if "Callable" not in hint:
        yield "None", None, False
    yield "nan", math.nan, False
    yield "object", object(), False
    if isinstance(value, bool):
        yield "int", 1, False
        yield "NumPy", np.bool_(value), True
    elif isinstance(value, int):
        for name, wrong in {"float": value + 0.5, "bool": True, "negative": -1, "inf": math.inf}.items():
            yield name, wrong, False
        yield "array", np.array([value, value]), False
        yield "NumPy", np.int64(value), True
        yield "0-dim", np.array(value), True
        yield "tensor", torch.tensor(value), True
        yield "meta", torch.tensor(value, device="meta"), False
    elif isinstance(value, float):
        for name, wrong in {"bool": True, "negative": -1.5, "inf": math.inf, "-inf": -math.inf}.items():
            yield name, wrong, False
        yield "array", np.array([value, value]), False
        yield "NumPy", np.float64(value), True
        yield "tensor", torch.tensor(value, dtype=torch.float64), True
    elif isinstance(value, str):
        yield "int", 1, False
        yield "bytes", b"x", False
        yield "list", [value], False
    elif isinstance(value, torch.Tensor):
        yield "int", 1, False
        yield "list", value.tolist(), True
        yield "NumPy", value.detach().numpy(), True
        yield "empty", value.new_empty(0), False
        yield "meta", value.to("meta"), False
        for dtype in (torch.bool, torch.int8, torch.uint8, torch.int32, torch.float16, torch.float64):
            if dtype != value.dtype:
                yield str(dtype).removeprefix("torch."), value.to(dtype), False
        yield (
            "negative",
            torch.full_like(value.to(torch.int8) if value.dtype == torch.bool else value, -3),
            False,
        )
        if value.is_floating_point():
            yield "all nan", torch.full_like(value, math.nan), False
            yield "all inf", torch.full_like(value, math.inf), False
    elif isinstance(value, np.ndarray):
        yield "list", value.tolist(), True
        yield "tensor", torch.from_numpy(value.copy()), True
        yield "empty", value[:0], False
        yield "negative", np.full(value.shape, -3), False
        yield "half", np.full(value.shape, 0.5), False
    elif isinstance(value, (list, tuple)):
        yield "int", 1, False
        yield "empty", [], False
        yield "of None", [None], False
        yield "set", {1, 2}, False
        if not hasattr(value, "_fields"):
            yield "other list", tuple(value) if isinstance(value, list) else list(value), True
        if value and all(type(part) is int for part in value):
            yield "NumPy", np.array(value), True
    elif isinstance(value, Path):
        yield "text", str(value), True
        yield "int", 1, False


def arguments(function, args, kwargs):
    """The arguments of a call as (name, its place in `args` or None, value, hint)."""
    called = function.forward if isinstance(function, torch.nn.Module) else function
    parameters = inspect.signature(called, eval_str=False).parameters
    names = [name for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
    several = [name for name, p in parameters.items() if p.kind is p.VAR_POSITIONAL]
    for place, value in enumerate(args):
        name = several[0] if several else names[place]
        yield name, place, value, str(parameters[name].annotation)
    for name, value in kwargs.items():
        parameter = parameters.get(name) or parameters[several[0]] if several else parameters.get(name)
        yield name, None, value, str(getattr(parameter, "annotation", "object"))


def leaves(result):
    """Numbers, texts and the like of which a result is made."""
    if isinstance(result, torch.Tensor):
        yield np.full(result.shape, 7.0) if result.is_meta else result.detach().double().numpy()
    elif isinstance(result, np.ndarray):
        yield result.astype(float) if result.dtype.kind in "biuf" else result.tolist()
    elif isinstance(result, (bool, int, float, str, bytes, type(None), Path)):
        yield result
    elif isinstance(result, dict):
        for part in result.items():
            yield from leaves(part)
    elif isinstance(result, (set, frozenset)):
        yield from sorted(map(str, result))
    elif isinstance(result, torch.nn.Module):
        yield from leaves(list(result.parameters()))
    elif dataclasses.is_dataclass(result):
        yield from leaves({field.name: getattr(result, field.name) for field in dataclasses.fields(result)})
    elif hasattr(result, "__iter__"):
        for part in islice(result, 50):
            yield from leaves(part)
    else:
        yield type(result).__name__


def has_nan(result) -> bool:
    parts = [part for part in leaves(result) if isinstance(part, (float, np.ndarray))]
    return any(bool(np.isnan(part).any()) for part in parts if not isinstance(part, list))


def are_same(one, other) -> bool:
    one, other = list(leaves(one)), list(leaves(other))
    return len(one) == len(other) and all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-2, atol=1e-2, equal_nan=True)
        if isinstance(a, (float, np.ndarray))
        else a == b
        for a, b in zip(one, other, strict=True)
    )


def outcome(function, args, kwargs):
    """What a call gives, or the sentence with which it refuses; other errors are raised."""
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*args, **kwargs)
            return (list(islice(result, 3)) if inspect.isgenerator(result) else result), None
    except (ValueError, TypeError) as error:
        if not REFUSAL.fullmatch(str(error)):
            raise
        return None, str(error)


def verdict(name, kind, value, other, is_same, call, base) -> str:
    """What is wrong with the answer to one argument; nothing if it is right, or refused as it should be."""
    try:
        result, refused = outcome(*call(other))
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}".splitlines()[0]
    if is_same:
        return (
            ""
            if not refused and (name in TIMED or are_same(base, result))
            else f"gives {refused or result!r}"
        )
    if refused:
        return ""
    if isinstance(other, torch.Tensor) and kind not in ("meta", "empty", "negative", "all nan", "all inf"):
        same, refused = outcome(*call(other.to(value.dtype)))  # the numbers that it holds, in the usual dtype
        return "" if not refused and are_same(same, result) else "is taken for other numbers than it holds"
    if kind == "meta" and any_meta(result):
        return ""
    if kind == "all nan":
        return "" if result is None or has_nan(result) else "NaN vanishes"
    if kind == "all inf" or kind == "negative" and getattr(value, "is_floating_point", bool)():
        return ""
    if kind in ("empty", "set") and not has_nan(result):  # nothing comes of nothing
        return ""
    return "silently taken" + ", and gives NaN" * has_nan(result)


def any_meta(result) -> bool:
    if isinstance(result, torch.Tensor):
        return result.is_meta
    if dataclasses.is_dataclass(result):
        result = vars(result).values()
    return (
        result is None or isinstance(result, (tuple, list, type({}.values()))) and any(map(any_meta, result))
    )


def complaints(name):
    """What is wrong with the answers of one function."""
    found = []
    base, refused = outcome(*CALLS[name]())
    if refused:
        return [f"the valid call is refused: {refused}"]
    for argument, place, value, hint in list(arguments(*CALLS[name]())):

        def call(other, argument=argument, place=place):
            function, args, kwargs = CALLS[name]()
            if place is None:
                return function, args, {**kwargs, argument: other}
            return function, (*args[:place], other, *args[place + 1 :]), kwargs

        for kind, other, is_same in kinds(value, hint):
            if (
                (kind == "of None" and "Any" in hint)
                or (kind == "None" and re.search("None|Optional", hint))
                or re.fullmatch(r"(typing\.)?(Any|object)", hint)
            ):
                continue
            if kind == "str" and isinstance(value, (str, Path)):
                kind, other = ("no text", "") if isinstance(value, Path) else ("str", "x")
                if kind == "str":
                    continue
            label = f"{name}({argument}: {kind})"
            if label not in FINE and (complaint := verdict(name, kind, value, other, is_same, call, base)):
                found.append(f"{label}: {complaint}")
    return found


TIMED = ("profiler.best_time", "profiler.peak_flops", "profiler.bandwidth")


@pytest.mark.parametrize("name", CALLS)
def test_every_kind_of_value_is_right_or_refused(name):
    assert complaints(name) == []


def looks(call) -> int:
    """How many Python functions `hints` calls while `call` runs, without the wrappers themselves."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        code = frame.f_code
        count += event == "call" and code.co_filename.endswith("hints.py") and code.co_name != "call"

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


def test_a_text_is_looked_at_once_whatever_its_length_and_the_steps_taken():
    def training(sentences, epochs):
        return lambda: word2vec.train(sentences, dim=4, epochs=epochs, progress=False)

    once = looks(training(SENTENCES, epochs=1))  # the hints themselves are read at the first call
    once = looks(training(SENTENCES, epochs=1))
    assert 0 < once == looks(training(SENTENCES * 10, epochs=3))


def test_what_a_function_of_the_users_hands_over_is_looked_at():
    """The package trusts its own calls, and not one from a function that it was given."""
    with pytest.raises(ValueError, match="rate: expected 0 <= rate <= 1, got 2"):
        profiler.best_time(lambda: mlm.select_positions(10, 2), 0, 1)
