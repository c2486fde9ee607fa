"""The keys of the quiz on embeddings, worked out: each function has the id of its question and returns the
text of the key.
"""

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.bert import BertConfig, BertEmbeddings, BertModel


def small(**other) -> BertConfig:
    sizes = {
        "vocab_size": 20,
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    return BertConfig(**(sizes | other))


def segments() -> str:
    from course_utils.toy.language import VOCAB_FILE
    from course_utils.wordpiece import WordPieceTokenizer

    encoding = WordPieceTokenizer.from_file(VOCAB_FILE).encode("the dog chased the cat", "he was angry")
    return str(sum(encoding.token_type_ids))


def shape() -> str:
    return str(tuple(BertEmbeddings(small(hidden_size=128))(torch.zeros(1, 9, dtype=torch.long))[0].shape))


def order() -> str:
    torch.manual_seed(0)
    model = BertModel(small()).eval()
    nn.init.normal_(model.embeddings.word_embeddings.weight)
    nn.init.zeros_(model.embeddings.position_embeddings.weight)
    swapped = [0, 1, 5, 3, 4, 2, 6]
    ids = torch.tensor([[2, 7, 8, 9, 7, 10, 3]])
    with torch.no_grad():
        one, other = (model(x).last_hidden_state[0] for x in (ids, ids[:, swapped]))
    same = torch.allclose(one, other[swapped], atol=1e-5) and not torch.allclose(one, other, atol=0.1)
    words = (
        "Only the order in which the vectors stand: each token has the same vector in both, up to rounding"
    )
    return words if same else "Every vector a little"


def limit() -> str:
    table = nn.Embedding(BertConfig().max_position_embeddings, 4)
    table(torch.arange(512))
    try:
        table(torch.tensor(512))
    except IndexError:
        return "The position table has rows 0 to 511, so there is nothing to add"
    return "Attention becomes too slow there"


def eps() -> str:
    x = torch.tensor([-1e-6, 1e-6, -1e-6, 1e-6], dtype=torch.float64)
    return f"{F.layer_norm(x, (4,), eps=1e-12).std(correction=0):.2f}"


def unread() -> str:
    torch.manual_seed(0)
    model = BertModel(small(max_position_embeddings=128))
    table = model.embeddings.position_embeddings.weight
    before = table.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randint(20, (2, 23))).last_hidden_state.pow(3).sum().backward()
    optimizer.step()
    moved = (table != before).any(dim=1).tolist()
    untouched = moved == [True] * 23 + [False] * 105
    return "What was drawn at random at the start, apart from weight decay" if untouched else "Zero"
