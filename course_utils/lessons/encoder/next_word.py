"""The task of notebook 06 on the order of LayerNorm: next words, by a stack of blocks under a causal mask."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils import masks
from course_utils.bert import BertConfig, BertEmbeddings, initialise_weights
from course_utils.toy.language import ToyLanguage

SLIM = BertConfig(
    hidden_size=32,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=128,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.02 * math.sqrt(768 / 32),  # sums of 32 terms as large as BERT's of 768
)
BATCH = 32


def sentences(tokenizer, documents: int = 1500, words: int = 7) -> Tensor:
    """The ids of all sentences of so many words, (sentences, words + 2): rows that need no padding."""
    texts = [
        sentence.text
        for document in ToyLanguage(seed=1).documents(documents)
        for sentence in document.sentences
        if len(sentence.words) == words
    ]
    return torch.tensor(tokenizer.batch(texts)["input_ids"])


class NextWord(nn.Module):
    """Embeddings, twelve blocks, perhaps a last LayerNorm; the word table is the last matrix too."""

    def __init__(self, block: Callable[[BertConfig], nn.Module], config: BertConfig, last_norm: bool) -> None:
        super().__init__()
        self.embeddings = BertEmbeddings(config)
        self.blocks = nn.ModuleList(block(config) for _ in range(config.num_hidden_layers))
        self.last_norm = nn.LayerNorm(config.hidden_size) if last_norm else nn.Identity()
        initialise_weights(self, config.initializer_range)

    def top(self, ids: Tensor) -> Tensor:
        """Ids (batch, seq_len) to the vectors that the scores are computed from."""
        x, mask = self.embeddings(ids), masks.causal_mask(ids.shape[1])
        for block in self.blocks:
            x = block(x, mask)
        return self.last_norm(x)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (batch, seq_len) to scores (batch, seq_len, vocab_size) of the word after each."""
        return self.top(ids) @ self.embeddings.word_embeddings.weight.T


def train(
    block: Callable[[BertConfig], nn.Module],
    ids: Tensor,
    vocab_size: int,
    lr: float,
    seed: int,
    steps: int = 50,
    last_norm: bool = False,
) -> tuple[float, Tensor, Tensor]:
    """Train a stack of such blocks with AdamW, at one learning rate from the first step on.

    Args:
        block: makes one block of a configuration; the block is called with (x, mask).
        ids: rows of one length, `(rows, seq_len)`.
        last_norm: whether the stack ends with a LayerNorm, as one of pre-norm layers does.

    Returns:
        the mean loss of the last ten steps, and the vectors at the top for the first row,
        `(1, seq_len, hidden_size)`, before the first step and after the last.
    """
    torch.manual_seed(seed)
    config = BertConfig(**vars(SLIM) | {"vocab_size": vocab_size})
    model, losses = NextWord(block, config, last_norm), []
    with torch.no_grad():
        before = model.top(ids[:1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    for _ in range(steps):
        batch = ids[torch.randint(len(ids), (BATCH,))]
        loss = F.cross_entropy(model(batch)[:, :-1].flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        after = model.top(ids[:1])
    last = losses[-10:]
    return sum(last) / len(last), before, after
