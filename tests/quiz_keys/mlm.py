"""The keys of notebook 07's quiz, worked out."""

import torch

from course_utils.bert import BertConfig, BertModel


def one_look() -> str:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    model = BertModel(config).eval()
    ids = torch.arange(1, 7)[None]
    other = ids.clone()
    other[0, 3] = 15
    allowed = torch.ones(6, 6, dtype=torch.bool)
    allowed[torch.arange(5), torch.arange(1, 6)] = False
    with torch.no_grad():
        before, after = (model(x, allowed[None]).last_hidden_state[0, 2] for x in (ids, other))
    return (
        "No: token 2 may not attend to it"
        if torch.equal(before, after)
        else "Yes, by way of the other tokens"
    )


def none() -> str:
    return f"{100 * 0.85**5:.0f}"


def a_tenth() -> str:
    masked = 0.8
    replaced = (1 - masked) * 0.1
    return f"{100 * masked:.0f}/{100 * replaced:.0f}/{100 * (1 - masked - replaced):.0f}"


def positions() -> str:
    from course_utils.mlm import IGNORE_INDEX, mask_tokens
    from course_utils.toy.language import VOCAB_FILE
    from course_utils.wordpiece import WordPieceTokenizer

    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    ids = torch.full((100, 100), tokenizer.vocab["bank"])
    masked_ids, labels = mask_tokens(ids, tokenizer, generator=torch.Generator().manual_seed(0))
    masked, labelled = int((masked_ids == tokenizer.mask_token_id).sum()), int((labels != IGNORE_INDEX).sum())
    return "1000" if abs(masked / labelled - 0.8) < 0.05 else "800"


def trust() -> str:
    kept, other = 0.01 * (0.1 + 0.1 / 940), 0.99 * 0.1 / 940
    return f"{kept / (kept + other):.1g}"


def fixed_count() -> str:
    words = 5
    return f"{max(1, round(0.15 * (words + 2))) / words:.0%}".replace("%", " %")
