"""LoRA: what is frozen, what is counted, and that merging changes no logit."""

import pytest
import torch

from course_utils import finetuning, lora
from course_utils.bert import BertConfig, BertForSequenceClassification

CONFIG = BertConfig(
    vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=12, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
IDS = torch.tensor([[2, 10, 11, 12, 3], [2, 20, 21, 22, 3]])


def new_model():
    torch.manual_seed(0)
    model = BertForSequenceClassification(CONFIG).eval()
    for p in model.parameters():
        if p.dim() == 2:
            p.data *= 10  # far from the small numbers that a model begins with
    return model


def with_numbers(model):
    """Adapters that do something, as after training."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, lora.LoRALinear):
            module.up.data.normal_(std=0.5, generator=generator)
    return model


def learning(model) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("targets", [("query", "value"), ("key",), ("query", "key", "value", "dense")])
def test_it_begins_as_the_model_and_merges_into_the_same_numbers(rank, targets):
    plain, model = new_model(), new_model()
    before = plain(IDS).logits
    names = lora.add(model, rank, targets=targets)
    assert torch.equal(model(IDS).logits, before)
    with_numbers(model)
    moved = model(IDS).logits
    assert not torch.allclose(moved, before, atol=1e-3)
    assert torch.allclose(lora.merge(model)(IDS).logits, moved, atol=1e-5)
    assert {name: p.shape for name, p in model.named_parameters()} == {
        name: p.shape for name, p in plain.named_parameters()
    }
    changed = {name for name, p in plain.named_parameters() if not torch.equal(p, model.get_parameter(name))}
    assert changed == {f"bert.{name}.weight" for name in names}


def test_what_is_added_is_alpha_over_rank_times_the_product():
    base = torch.nn.Linear(5, 7)
    layer = lora.LoRALinear(base, rank=2, alpha=6)
    layer.up.data.normal_(generator=torch.Generator().manual_seed(0))
    weight, x = base.weight.detach().clone(), torch.randn(3, 5)
    expected = torch.nn.functional.linear(x, weight + 3.0 * (layer.up @ layer.down), base.bias)
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert torch.allclose(layer.merged()(x), expected, atol=1e-5)


def test_only_the_adapters_and_the_head_learn_and_the_loop_leaves_it_so():
    model = new_model()
    names = lora.add(model, 2)
    expected = {f"bert.{name}.{part}" for name in names for part in ("down", "up")}
    assert learning(model) == expected | {"classifier.weight", "classifier.bias"}
    finetuning.freeze(model, "as given")
    assert learning(model) == expected | {"classifier.weight", "classifier.bias"}
    groups = finetuning.parameter_groups(model, finetuning.Settings(freeze="as given"))
    count = sum(p.numel() for group in groups for p in group["params"])
    assert count == 2 * 2 * 2 * (16 + 16) + 16 * 3 + 3


def test_a_name_that_no_layer_has_is_refused():
    with pytest.raises(
        ValueError, match="targets: expected names of Linear layers of the encoder, got quarry"
    ):
        lora.add(new_model(), 2, targets=("query", "quarry"))
