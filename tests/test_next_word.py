"""The experiment of notebook 06 on the order of LayerNorm: its rows, its causal mask, its seeds."""

import torch
from torch import nn

from course_utils import checkpoints
from course_utils.lessons.encoder import next_word


class Mixer(nn.Module):
    """A block that takes the mean of what a token may see: enough for the stack around it."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x, mask):
        allowed = mask.to(x.dtype).reshape(x.shape[1], x.shape[1])
        return x + self.dense(allowed / allowed.sum(-1, keepdim=True) @ x)


def test_sentences_have_one_length():
    _, tokenizer = checkpoints.load("embedded")
    ids = next_word.sentences(tokenizer, documents=20, words=5)
    assert ids.ndim == 2 and ids.shape[1] == 7 and len(ids) > 3
    assert not (ids == tokenizer.pad_token_id).any()


def test_a_later_word_changes_nothing_before_it():
    torch.manual_seed(0)
    config = next_word.SLIM
    model = next_word.NextWord(Mixer, config, last_norm=True)
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    changed = ids.clone()
    changed[0, 3] = 9
    with torch.no_grad():
        first, second = model(ids), model(changed)
    assert torch.allclose(first[:, :3], second[:, :3]) and not torch.allclose(first[:, 3], second[:, 3])
    assert first.shape == (1, 5, config.vocab_size)


def test_training_lowers_the_loss_and_a_seed_repeats_it():
    ids = torch.tensor([[2, 5, 6, 7, 3], [2, 6, 5, 8, 3]])
    loss, before, after = next_word.train(Mixer, ids, 10, 0.003, seed=0, steps=20)
    first, *_ = next_word.train(Mixer, ids, 10, 0.003, seed=0, steps=1)
    again, *_ = next_word.train(Mixer, ids, 10, 0.003, seed=0, steps=20)
    assert loss == again and loss < first
    assert before.shape == after.shape == (1, 5, 32) and not torch.allclose(before, after)
