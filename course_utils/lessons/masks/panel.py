"""The panel of notebook 05: a mask to click, and what it does to weights and outputs."""

import math

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import manners, message, table
from course_utils.masks import causal_mask


class MaskPlayground(ipw.VBox):
    """Click the cells of a mask and watch attention weights and outputs move.

    Args:
        vectors: (seq_len, size) one vector for each token; queries, keys and values at once, to keep it
            small.
        tokens: their words.

    Attributes: `mask` (seq_len, seq_len) bool, `weights` (seq_len, seq_len), `outputs` (seq_len, size).
    """

    def __init__(self, vectors: torch.Tensor, tokens: list[str]):
        if vectors.dim() != 2 or len(vectors) != len(tokens):
            raise ValueError(
                f"vectors has shape {tuple(vectors.shape)}; one row for each of {len(tokens)} tokens is"
                " wanted"
            )
        self.vectors, self.tokens = vectors, tokens
        self.scores = vectors @ vectors.T / math.sqrt(vectors.shape[1])
        self.unmasked = self.scores.softmax(dim=-1) @ vectors
        self._cells = [[self._cell(i, j) for j in range(len(tokens))] for i in range(len(tokens))]
        self._view = ipw.HTML(layout={"overflow": "auto"})
        self._busy = False
        everything = torch.ones(len(tokens), len(tokens), dtype=torch.bool)
        presets = {
            "bidirectional": everything,
            "causal": causal_mask(len(tokens)),
            "only itself": everything.diag().diag(),
        }
        buttons = [self._preset(name, mask) for name, mask in presets.items()]
        super().__init__([ipw.HBox(buttons), self._grid(), manners(), self._view])
        self.add_class("course-panel")
        self._update()

    def _cell(self, i: int, j: int) -> ipw.ToggleButton:
        hint = f"may {self.tokens[i]} attend to {self.tokens[j]}?"
        cell = ipw.ToggleButton(value=True, description="yes", tooltip=hint, layout={"width": "6em"})
        cell.observe(self._clicked, names="value")
        return cell

    def _preset(self, name: str, mask: torch.Tensor) -> ipw.Button:
        button = ipw.Button(description=name)
        button.on_click(lambda _: self.set_mask(mask))
        return button

    def _grid(self) -> ipw.GridBox:
        width = f"repeat({len(self.tokens) + 1}, 7em)"
        heads = [ipw.Label("who attends to"), *(ipw.Label(token) for token in self.tokens)]
        rows = [widget for i, row in enumerate(self._cells) for widget in (ipw.Label(self.tokens[i]), *row)]
        return ipw.GridBox([*heads, *rows], layout={"grid_template_columns": width, "overflow": "auto"})

    @property
    def mask(self) -> torch.Tensor:
        return torch.tensor([[cell.value for cell in row] for row in self._cells])

    def set_mask(self, mask: torch.Tensor) -> None:
        """Set all cells at once."""
        self._busy = True  # one update at the end instead of one for each cell
        for row, values in zip(self._cells, mask.tolist(), strict=True):
            for cell, value in zip(row, values, strict=True):
                cell.value = value
        self._busy = False
        self._update()

    def _clicked(self, _change) -> None:
        if not self._busy:
            self._update()

    def _update(self) -> None:
        for row in self._cells:
            for cell in row:
                cell.description = "yes" if cell.value else "no"
        mask = self.mask
        self.weights = self.scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
        self.outputs = self.weights @ self.vectors
        self._view.value = self._weights_table() + self._outputs_table() + self._warnings(mask)

    def _weights_table(self) -> str:
        rows = [
            [token, *(f"{w:.2f}" for w in row)]
            for token, row in zip(self.tokens, self.weights.tolist(), strict=True)
        ]
        return table(["weights", *self.tokens], rows, "Attention weights: a row for each token that attends")

    def _outputs_table(self) -> str:
        moved = (self.outputs - self.unmasked).norm(dim=1).tolist()
        rows = [
            [token, *(f"{value:.2f}" for value in output), "no" if distance < 1e-6 else f"by {distance:.2f}"]
            for token, output, distance in zip(self.tokens, self.outputs.tolist(), moved, strict=True)
        ]
        heads = ["output", *(f"[{k}]" for k in range(self.vectors.shape[1])), "moved from bidirectional?"]
        return table(heads, rows, "Outputs: each row is the weighted mean of the vectors")

    def _warnings(self, mask: torch.Tensor) -> str:
        empty = [token for token, row in zip(self.tokens, mask, strict=True) if not row.any()]
        return "".join(
            message(f"'{token}' may attend to nobody: the mean of nothing is 0/0, shown as nan.")
            for token in empty
        )
