"""The keys of the quiz on masks, worked out: each function has the id of its question and returns the text of
the key.
"""

import torch

from course_utils import masks


def first_row() -> str:
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    return f"{(scores + masks.to_attention_bias(masks.causal_mask(5))).softmax(-1)[0, 0]:g}"


def combined_count() -> str:
    return str(int(masks.combine(masks.causal_mask(6), masks.padding_mask([4], 6)).sum()))


def moved() -> str:
    from course_utils.bert import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32
    )
    model = BertModel(config).eval()
    prefix = masks.causal_mask(6)
    prefix[:, :3] = True

    def changed(token: int) -> list[int]:
        ids = torch.arange(1, 7)[None]
        other = ids.clone()
        other[0, token] = 15
        with torch.no_grad():
            before, after = (model(x, prefix[None]).last_hidden_state[0] for x in (ids, other))
        return [i for i in range(6) if not torch.equal(before[i], after[i])]

    if changed(1) == [0, 1, 2, 3, 4, 5] and changed(3) == [3, 4, 5]:
        return "All six"
    return str(changed(1))


def after_softmax() -> str:
    mask, first = masks.causal_mask(4), torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    second = first.clone()
    second[0, 3] += 1  # a score that token 0 must not see
    cut, cut_again = first.softmax(-1) * mask, second.softmax(-1) * mask
    shrinks = bool((cut.sum(-1)[:-1] < 1).all())
    leaks = not torch.equal(cut[0], cut_again[0])
    if shrinks and leaks:
        return "Rows no longer sum to 1, and what is left still depends on later tokens"
    return "Nothing: it is the same"
