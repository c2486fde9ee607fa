"""The keys of the quiz on the encoder, worked out: each function has the id of its question and returns the
text of the key.
"""

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from course_utils.bert import AddAndNorm, BertConfig, BertModel, count_parameters


class _Adds(TorchDispatchMode):
    number = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.number += operation is torch.ops.aten.add.Tensor
        return operation(*args, **(kwargs or {}))


def adds() -> str:
    with torch.device("meta"), torch.no_grad(), _Adds() as counter:
        encoder = BertModel(BertConfig.named("large")).eval().encoder
        encoder(torch.zeros(1, 8, 1024))
    return str(counter.number)


def order() -> str:
    torch.manual_seed(0)
    end = AddAndNorm(8, BertConfig(hidden_size=8, num_attention_heads=1)).eval()
    x, states = torch.randn(2, 3, 8)

    def norm(y):
        return F.layer_norm(y, (8,), eps=1e-12)

    with torch.no_grad():
        got, sublayer = end(states, x), end.dense(states)
        candidates = {
            "x + LayerNorm(sublayer(x))": x + norm(sublayer),
            "LayerNorm(x + sublayer(x))": norm(x + sublayer),
            "LayerNorm(sublayer(x))": norm(sublayer),
        }
    [text] = [text for text, value in candidates.items() if torch.allclose(got, value, atol=1e-5)]
    return text


def gelu_gap() -> str:
    x = torch.linspace(-8, 8, 16_001, dtype=torch.float64)
    gap = (F.gelu(x) - F.gelu(x, approximate="tanh")).abs().max().item()
    return f"By up to about {gap:.1g}"


def most_parameters() -> str:
    with torch.device("meta"):
        base = BertModel(BertConfig.named("base"))
    parts = {
        "The embedding tables": sum(
            table.weight.numel() for table in base.embeddings.children() if hasattr(table, "num_embeddings")
        ),
        "The attention of all layers together": sum(
            count_parameters(layer.attention.self) + count_parameters(layer.attention.output.dense)
            for layer in base.encoder.layer
        ),
        "The feed-forward networks of all layers together": sum(
            count_parameters(layer.intermediate) + count_parameters(layer.output.dense)
            for layer in base.encoder.layer
        ),
        "The LayerNorms": sum(
            count_parameters(part) for part in base.modules() if isinstance(part, torch.nn.LayerNorm)
        ),
    }
    return max(parts, key=parts.get)
