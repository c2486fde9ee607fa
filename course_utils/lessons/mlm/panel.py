"""The panel of notebook 07: what is masked in a sentence, and what two readers make of it."""

import ipywidgets as ipw
import torch

from course_utils.classroom.controls import encode, message, panel, table, wide
from course_utils.mlm import IGNORE_INDEX, mask_tokens


def masking_playground(model, tokenizer, language, sentences: list[str]) -> ipw.VBox:
    """Type or pick a sentence, choose rate and seed, and read what is hidden and what two readers make of it.

    Args:
        model: a `BertForPreTraining`.
        language: the `ToyLanguage`, whose exact answers stand beside the model's.
        sentences: to pick from; the first stands in the field at first.
    """
    size = wide(34)
    return panel(
        lambda sentence, rate, seed, k: masking_html(model, tokenizer, language, sentence, rate, seed, k),
        sentence=ipw.Combobox(
            value=sentences[0], options=sentences, ensure_option=False, description="Sentence", **size
        ),
        rate=ipw.FloatSlider(
            value=0.15, min=0.05, max=0.95, step=0.05, readout_format=".0%", description="Rate", **size
        ),
        seed=ipw.IntSlider(value=1, min=0, max=99, description="Seed", **size),  # 0 selects nothing here
        k=ipw.IntSlider(value=3, min=1, max=6, description="Guesses", **size),
    )


def masking_html(model, tokenizer, language, sentence: str, rate: float, seed: int, k: int) -> str:
    """Every token with its fate, and the k best pieces of model and perfect model at each selected one, as
    tables.
    """
    encoding = encode(tokenizer, model.config.max_position_embeddings, sentence)
    input_ids = torch.tensor([encoding.input_ids])
    masked_ids, labels = mask_tokens(input_ids, tokenizer, rate, torch.Generator().manual_seed(seed))
    places = (labels[0] != IGNORE_INDEX).nonzero().flatten().tolist()
    shown = tokenizer.convert_ids_to_tokens(masked_ids[0].tolist())
    fates = [
        "" if i not in places else "masked" if piece == "[MASK]" else "kept" if piece == written else "random"
        for i, (written, piece) in enumerate(zip(encoding.tokens, shown, strict=True))
    ]
    lines = [["the model sees", *shown], ["selected, and", *fates]]
    view = table(["written", *encoding.tokens], lines, f"Selected: {len(places)} of {len(shown) - 2} pieces")
    if not places:
        return view + message("Nothing is selected: this row teaches nothing this time. Try another seed.")
    with torch.no_grad():
        scores, _ = model.score_selected(masked_ids, labels=labels)
        answers = {"model": scores.softmax(dim=-1).double()}
    note = ""
    try:
        language.check_possible(input_ids)
        answers["perfect model"] = torch.tensor(language.posteriors(masked_ids, labels != IGNORE_INDEX, rate))
    except ValueError:
        note = message(
            "The perfect model knows sentences of the toy language only, and this is none: no row for it."
        )
    rows = []
    for n, place in enumerate(places):
        for name, answer in answers.items():
            best, truth = answer[n].topk(k), answer[n, input_ids[0, place]]
            pieces = tokenizer.convert_ids_to_tokens(best.indices.tolist())
            guesses = [f"{piece} {p:.1%}" for piece, p in zip(pieces, best.values.tolist(), strict=True)]
            rows.append(
                [f"{encoding.tokens[place]} ({fates[place]}), {name}", *guesses, f"{abs(truth.log()):.2f}"]
            )
    heads = ["label, and who answers", *(f"guess {i}" for i in range(1, k + 1)), "loss"]
    return (
        view
        + table(heads, rows, "Best guesses at the selected positions; loss: -log p(label), in nats")
        + note
    )
