"""Widgets, driven by their traits as a mouse or a keyboard would."""

import math

import pytest
import torch

from course_utils import masks, widgets
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.toy_language import VOCAB_FILE
from course_utils.wordpiece import WordPieceTokenizer

WORDS = ["the", "bank", "was", "robbed", "yesterday"]
VECTORS = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 0.5], [1.5, 1.0], [1.0, 2.0]])


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer.from_file(VOCAB_FILE)


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    config = BertConfig.named(
        "tiny", vocab_size=len(tokenizer), hidden_size=32, num_attention_heads=2, max_position_embeddings=40
    )
    return BertForPreTraining(config).eval()


def test_panel_renders_anew_when_a_control_changes_and_turns_errors_into_sentences():
    def render(x):
        if x > 3:
            raise ValueError("<too> large")
        return f"<b>{x}</b>"

    slider = widgets.ipw.IntSlider(value=1, max=9)
    view = widgets.panel(render, x=slider).children[-1]
    assert view.value == "<b>1</b>"
    slider.value = 3
    assert view.value == "<b>3</b>"
    slider.value = 4
    assert "&lt;too&gt; large" in view.value and "Traceback" not in view.value


def test_fill_blank_shows_what_the_model_says(model, tokenizer):
    box = widgets.fill_blank(model, tokenizer)
    field, guesses, view = box.children
    ids = torch.tensor([tokenizer.encode(field.value).input_ids])
    with torch.no_grad():
        best = model(ids).prediction_logits[ids == tokenizer.mask_token_id][0].topk(guesses.value).indices
    pieces = tokenizer.convert_ids_to_tokens(best.tolist())
    places = [view.value.index(f">{widgets.html.escape(piece)} ") for piece in pieces]
    assert places == sorted(places)
    guesses.value = 1
    assert view.value.count("%<") == 1
    field.value = "[MASK] and [MASK]"
    assert "blank 2" in view.value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Type a sentence"),
        ("   ", "Type a sentence"),
        ("no blank here", "Write [MASK]"),
        ("x" * 10_000, "10,000 characters"),
        ("[MASK] " * 60, "reads up to 40"),
        ("<script>alert(1)</script>", "Write [MASK]"),
    ],
)
def test_odd_input_gets_a_friendly_sentence(model, tokenizer, text, says):
    field, _, view = widgets.fill_blank(model, tokenizer).children
    field.value = text
    assert says in view.value and "Traceback" not in view.value


@pytest.mark.parametrize("text", ["[MASK]", "😀 [MASK] 😀", "שלום [MASK]", "<b onclick=x>[MASK]</b>"])
def test_strange_but_readable_input_is_answered_without_markup(model, tokenizer, text):
    field, _, view = widgets.fill_blank(model, tokenizer).children
    field.value = text
    assert "blank 1" in view.value and "onclick" not in view.value


def test_playground_starts_bidirectional_and_clicks_move_weights_and_outputs():
    playground = widgets.MaskPlayground(VECTORS, WORDS)
    assert playground.mask.all()
    assert torch.allclose(playground.outputs, playground.unmasked)
    playground._cells[0][4].value = False
    assert playground.weights[0, 4] == 0 and torch.allclose(playground.weights.sum(-1), torch.ones(5))
    assert playground._cells[0][4].description == "no"
    assert torch.allclose(playground.outputs[1:], playground.unmasked[1:])


def test_playground_presets_give_the_masks_of_the_course():
    playground = widgets.MaskPlayground(VECTORS, WORDS)
    presets = {button.description: button for button in playground.children[0].children}
    presets["causal"].click()
    assert torch.equal(playground.mask, masks.causal_mask(5))
    expected = (VECTORS @ VECTORS.T / math.sqrt(2) + masks.to_attention_bias(masks.causal_mask(5))).softmax(
        -1
    )
    assert torch.allclose(playground.weights, expected)
    presets["only itself"].click()
    assert torch.equal(playground.mask, torch.eye(5, dtype=torch.bool)) and torch.equal(
        playground.outputs, VECTORS
    )
    presets["bidirectional"].click()
    assert playground.mask.all()


def test_playground_says_what_an_empty_row_means():
    playground = widgets.MaskPlayground(VECTORS, WORDS)
    for cell in playground._cells[1]:
        cell.value = False
    assert "may look at nobody" in playground._view.value


def test_playground_refuses_words_that_do_not_fit():
    with pytest.raises(ValueError, match="5 tokens"):
        widgets.MaskPlayground(VECTORS[:4], WORDS)
