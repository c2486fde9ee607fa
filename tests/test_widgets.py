"""Widgets, driven by their traits as a mouse or a keyboard would."""

import math
import re

import pytest
import torch

from course_utils import masks, widgets
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.toy_language import VOCAB_FILE
from course_utils.word2vec import Word2Vec
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


# ------------------------------------------------------------------------------------------------- notebook 02


@pytest.fixture(scope="module")
def tokenizers(tokenizer):
    letters = WordPieceTokenizer([piece for piece in tokenizer.vocab if len(piece.removeprefix("##")) == 1 or piece[0] == "["])
    return {"toy language": tokenizer, "letters": letters}


def test_piece_reader_shows_pieces_ids_and_offsets_of_the_chosen_vocabulary(tokenizers):
    field, choice, view = widgets.piece_reader(tokenizers, "The bank!").children
    for name, tokenizer in tokenizers.items():
        choice.value = name
        encoding = tokenizer.encode("The bank!")
        heads = re.findall(r'scope="row">(.*?)</th>', view.value)
        cells = re.findall(r"<td[^>]*>(.*?)</td>", view.value)
        assert [widgets.html.unescape(head) for head in heads] == encoding.tokens
        assert cells[::3] == [str(index) for index in encoding.input_ids]
        assert cells[1::3][1:-1] == [f"{start} to {end}" for start, end in encoding.offsets[1:-1]]
        assert "".join(cells[2::3]) == "Thebank!" and cells[1] == cells[-2] == "added"
    field.value = "x"
    assert "Pieces: 3," in view.value and "Characters: 1." in view.value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Type a sentence"),
        ("\u200b", "Pieces: 2,"),
        ("😀 שלום 中文", "[UNK]"),
        ("<script>alert(1)</script>", "&lt;"),
        ("[MASK] [CLS]", "Pieces: 4,"),
        ("ab " * 200, "up to 200 are shown"),
        ("y" * 3000, "3,000 characters"),
    ],
)
def test_piece_reader_is_safe_from_odd_input(tokenizers, text, says):
    field, choice, view = widgets.piece_reader(tokenizers).children
    field.value = text
    for choice.value in tokenizers:
        assert says in view.value and "Traceback" not in view.value and "<script" not in view.value


# --- Notebook 03


def test_embedding_sum_shows_the_rows_and_what_the_module_makes_of_them(model, tokenizer):
    box = widgets.embedding_sum(model.bert.embeddings, tokenizer)
    first, second, token, shift, view = box.children
    assert "→ cat ←" in view.value and "position 2" in view.value and "segment 0" in view.value
    encoding = tokenizer.encode("the cat sat", "it was happy")
    ids, kinds = torch.tensor([encoding.input_ids]), torch.tensor([encoding.token_type_ids])
    with torch.no_grad():
        expected = model.bert.embeddings(ids, kinds)[0]
    for place in (0, 4, 8):
        token.value = place
        assert "".join(f">{x:.2f}</td>" in view.value and "." for x in expected[place, :5].tolist()) == "....."
    token.value, shift.value = 8, 7
    assert "position 15" in view.value and "segment 1" in view.value
    second.value = ""
    assert "numbered 0 to 4" in view.value
    token.value = 2
    assert "of 0 to 4" in view.value
    shift.value = 39
    assert "Position 41 has no row" in view.value
    first.value = "<b>"
    assert "<b>" not in view.value
    first.value = " "
    assert "Type a sentence" in view.value


def test_attention_explorer_shows_the_rows_of_the_chosen_head(model, tokenizer):
    explorer = widgets.AttentionExplorer(model, tokenizer, "the river bank was very scenic")
    explorer.layer.value, explorer.head.value, explorer.token.value = 1, 1, 3
    ids = torch.tensor([tokenizer.encode("the river bank was very scenic").input_ids])
    with torch.no_grad():
        expected = model(ids, output_attentions=True).attentions[1][0, 1]
    assert torch.equal(explorer.weights, expected)
    view = explorer.children[0].children[-1]
    assert "Layer 2, head 2" in view.value and "bank looks at" in view.value
    cells = [f">{w:.2f}<" for w in expected[3].tolist()]
    assert all(cell in view.value for cell in cells) and ">1.00<" in view.value
    assert f"({expected[3].max():.2f})" in view.value


def test_attention_explorer_offers_the_tokens_of_a_new_sentence(model, tokenizer):
    explorer = widgets.AttentionExplorer(model, tokenizer, "the river bank was very scenic")
    explorer.token.value = 7
    explorer.field.value = "great movie !"
    assert [name for name, _ in explorer.token.options] == ["[CLS]", "great", "movie", "!", "[SEP]"]
    assert explorer.token.value == 4 and explorer.weights.shape == (5, 5)
    assert "Token 5 of 5, [SEP]," in explorer.children[0].children[-1].value


@pytest.mark.parametrize(
    ("text", "says"),
    [("  ", "Type a sentence"), ("bank " * 60, "reads up to 40"), ("x" * 10_000, "10,000 characters")],
)
def test_attention_explorer_answers_odd_text_and_keeps_its_tokens(model, tokenizer, text, says):
    explorer = widgets.AttentionExplorer(model, tokenizer, "great movie !")
    explorer.field.value = text
    view = explorer.children[0].children[-1]
    assert says in view.value and explorer.weights.shape == (5, 5)
    explorer.layer.value = 1
    assert says in view.value
    explorer.field.value = "<b onclick=x>it was happy</b>"
    assert "looks at" in view.value and "<b " not in view.value


# --- notebook 01


def two_word_models() -> dict:
    """Four words at known angles; the longer window turns "bank" from "market" to "river"."""
    models = {}
    for window, negatives, angle in [(1, 2, 0.1), (1, 5, 0.2), (5, 2, 1.4), (5, 5, 1.5)]:
        model = Word2Vec(["bank", "market", "river", "<b>"], 2)
        angles = torch.tensor([angle, 0.0, math.pi / 2, math.pi])
        model.input_vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
        models[window, negatives] = model
    return models


def test_neighbours_follow_word_window_and_negatives():
    models = two_word_models()
    field, window, negatives, view = widgets.neighbours(models, k=3).children
    assert (window.options, negatives.options) == ((1, 5), (2, 5))
    assert view.value.index("market") < view.value.index("river")
    assert f"{math.cos(0.1):.2f}" in view.value
    window.value = 5
    assert view.value.index("river") < view.value.index("market")
    negatives.value = 5
    assert f"{math.cos(1.5):.2f}" in view.value
    field.value = " River "
    assert "neighbours of &#x27;river&#x27;" in view.value


@pytest.mark.parametrize(
    ("word", "says"),
    [("", "Type a"), ("rivr", "nearest spellings: river"), ("<script>", "&lt;script&gt;"), ("x" * 3000, "3,000 characters")],
)
def test_neighbours_of_an_odd_word_are_a_friendly_sentence(word, says):
    field, _, _, view = widgets.neighbours(two_word_models()).children
    field.value = word
    assert says in view.value and "<script" not in view.value and "<td" not in view.value
    field.value = "bank"
    assert "&lt;b&gt;" in view.value and "<b>" not in view.value
