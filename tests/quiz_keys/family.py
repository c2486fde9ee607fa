"""The keys of the quiz on the family, worked out: each function has the id of its question and returns the
text of the key.
"""

import torch

from course_utils import profiler
from course_utils.bert import BertConfig, BertModel, count_parameters


def _base(layers: int = 12) -> BertConfig:
    return BertConfig(num_hidden_layers=layers)


def sharing() -> str:
    with torch.device("meta"):
        model = BertModel(_base())
        own = count_parameters(model)
        model.encoder.layer = torch.nn.ModuleList([model.encoder.layer[0]] * 12)
    assert count_parameters(model) < own / 2
    one, two = (profiler.profile(_base(layers), seq_len=128).totals.flops for layers in (1, 2))
    same = profiler.profile(_base(), seq_len=128).totals.flops == one + 11 * (two - one)
    return "None: a shared layer is run as often" if same else "?"


def dates() -> str:
    numbers = {"word2vec": "1301", "Transformer": "1706", "ELMo": "1802", "BERT": "1810"}
    return ", ".join(sorted(numbers, key=numbers.get))


def window() -> str:
    def looks(seq_len: int) -> int:
        place = torch.arange(seq_len)
        return int(((place[:, None] - place).abs() <= 256).sum())

    return "About twice" if round(looks(8192) / looks(4096)) == 2 else "?"


def distil() -> str:
    one, six = (count_parameters(_on_meta(layers)) for layers in (1, 6))
    layer = (six - one) // 5
    six_without_pooler_and_segments = six - (768**2 + 768) - 2 * 768
    assert layer == 12 * 768**2 + 13 * 768
    return f"{round(six_without_pooler_and_segments / 1e6)} million"


def _on_meta(layers: int) -> BertModel:
    with torch.device("meta"):
        return BertModel(_base(layers))
