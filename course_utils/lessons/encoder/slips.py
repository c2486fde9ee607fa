"""Five slips of the hand for notebook 06: the package's model with one line changed.

The changed file is imported under another name, beside the right one; so a slip is a real one, in the code
that the course runs, and nothing else differs.
"""

import sys
import tempfile
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from torch import nn

from course_utils.bert import model as package_module

SOURCE = Path(package_module.__file__).read_text(encoding="utf-8")

SLIPS = {  # name: (the line of the package, the line with the slip)
    "swapped axes": (
        "states.unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)",
        "states.reshape(states.shape[0], self.num_attention_heads, states.shape[1], -1)",
    ),
    "missing scale": (
        "attn_mask=mask, dropout_p=dropout_p)",
        "attn_mask=mask, dropout_p=dropout_p, scale=1.0)",
    ),
    "norm before residual": (
        "self.LayerNorm(residual + self.dropout(self.dense(sublayer_states)))",
        "residual + self.LayerNorm(self.dropout(self.dense(sublayer_states)))",
    ),
    "no positions": ("words + segments + positions", "words + segments"),
    "eps outside the root": ("self.LayerNorm = nn.LayerNorm(", "self.LayerNorm = OutsideNorm("),
}


class OutsideNorm(nn.LayerNorm):
    """LayerNorm whose eps is added to the standard deviation, not to the variance under the root."""

    def forward(self, x):
        deviations = x - x.mean(-1, keepdim=True)
        return deviations / (x.std(-1, correction=0, keepdim=True) + self.eps) * self.weight + self.bias


@cache
def module_with(slip: str | None):
    """The package's model file with a slip, or without one (None), as a module."""
    if slip is None:
        return package_module
    old, new = SLIPS[slip]
    if old not in SOURCE:
        raise ValueError(f"the slip {slip!r} changes a line that the package no longer has: {old}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"bert_with_{slip.replace(' ', '_')}.py"
        file.write_text(SOURCE.replace(old, new), encoding="utf-8")
        spec = spec_from_file_location(file.stem, file)
        module = module_from_spec(spec)
        module.OutsideNorm = OutsideNorm
        sys.modules[file.stem] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    return module


def model_with(slip: str | None, trained, eps: float = 1e-12):
    """A `BertForPreTraining` with a slip, or without one (None), that carries the weights of `trained`."""
    module = module_with(slip)
    config = module.BertConfig(**vars(trained.config) | {"layer_norm_eps": eps})
    model = module.BertForPreTraining(config).eval()
    model.load_state_dict(trained.state_dict())
    return model
