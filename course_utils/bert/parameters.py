"""How the numbers of a model begin, and how two names come to share a tensor."""

from typing import Any, Self

from torch import nn

from course_utils.hints import Positive, hold_to_hints


class TiedModule(nn.Module):
    """A module that ties its weights anew wherever PyTorch makes each name a tensor of its own."""

    def tie_weights(self) -> None:
        """Give the tensors of two names to both of them."""
        raise NotImplementedError

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        """What `to` does: a move to the meta device makes every tensor anew, each name by itself."""
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.tie_weights()
        return self

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The same holds with `assign=True`, which puts the given tensors in place of the model's own."""
        keys = super().load_state_dict(*args, **kwargs)
        self.tie_weights()
        return keys


def initialise_weights(module: nn.Module, initializer_range: Positive) -> None:
    """Draw Linear and Embedding weights from N(0, initializer_range^2); biases and padding become 0.

    LayerNorm stays as PyTorch makes it, weight 1 and bias 0. The draws come from PyTorch's global
    generator: `torch.manual_seed` before building a model fixes its weights. Google's code cuts the
    normal off at two standard deviations; the library and this file do not.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=initializer_range)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=initializer_range)
            if part.padding_idx is not None:
                nn.init.zeros_(part.weight[part.padding_idx])


hold_to_hints(globals())
