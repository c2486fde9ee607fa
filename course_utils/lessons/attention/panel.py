"""The panel of notebook 04: which token attends to which, in every layer and head."""

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import encode, message, panel, table, wide


class AttentionExplorer(ipw.VBox):
    """Type a sentence, choose layer, head and token, and read what it attends to and what attends to it.

    Controls: `field` (the sentence), `layer`, `head` and `token`, each counted from 0 where the model counts,
    and shown from 1 for layers and heads. Attributes: `tokens`, `weights` (seq_len, seq_len) of the chosen
    head.
    """

    def __init__(self, model, tokenizer, text: str):
        self.model, self.tokenizer = model, tokenizer
        self.read(text)
        layers, heads = self._all_weights.shape[:2]
        self.field = ipw.Text(value=text, description="Sentence", **wide(34))
        self.layer = self._choice("Layer", [(str(i + 1), i) for i in range(layers)])
        self.head = self._choice("Head", [(str(i + 1), i) for i in range(heads)])
        self.token = self._choice("Token", list(zip(self.tokens, range(len(self.tokens)), strict=True)))
        self.field.observe(self._new_sentence, names="value")
        box = panel(self._render, sentence=self.field, layer=self.layer, head=self.head, token=self.token)
        super().__init__([box])

    def _choice(self, name: str, options: list[tuple[str, int]]) -> ipw.SelectionSlider:
        return ipw.SelectionSlider(options=options, description=name, continuous_update=True)

    def read(self, text: str) -> None:
        """Run the model on a text; refuses what it cannot read, and then keeps the sentence before."""
        encoding = encode(self.tokenizer, self.model.config.max_position_embeddings, text)
        with torch.no_grad():
            attentions = self.model(torch.tensor([encoding.input_ids]), output_attentions=True).attentions
        self.tokens = encoding.tokens
        self._all_weights = torch.cat(attentions)  # (layers, heads, seq_len, seq_len)

    @property
    def weights(self) -> torch.Tensor:
        return self._all_weights[self.layer.value, self.head.value]

    def _new_sentence(self, change) -> None:
        """Offer the tokens of the new sentence; `_render` says what is wrong with one that cannot be read."""
        try:
            self.read(change.new)
        except ValueError:
            return
        place = min(self.token.value, len(self.tokens) - 1)
        self.token.options = list(zip(self.tokens, range(len(self.tokens)), strict=True))
        self.token.value = place

    def _render(self, sentence: str, layer: int, head: int, token: int) -> str:
        self.read(sentence)
        weights, name = self._all_weights[layer, head], self.tokens[token]
        given, received = weights[token], weights[:, token]
        rows = [
            [f"{name} attends to", *(f"{w:.2f}" for w in given.tolist()), f"{given.sum():.2f}"],
            [f"attends to {name}", *(f"{w:.2f}" for w in received.tolist()), f"{received.sum():.2f}"],
        ]
        strongest = self.tokens[int(given.argmax())]
        place = f"Token {token + 1} of {len(self.tokens)}"
        said = f"{place}, {name}, attends most to {strongest} ({given.max():.2f})."
        heads = ["", *self.tokens, "sum"]
        return table(heads, rows, f"Layer {layer + 1}, head {head + 1}: attention weights") + message(said)
