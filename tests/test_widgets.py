"""Widgets, driven by their traits as a mouse or a keyboard would."""

import base64
import html
import io
import math
import re

import ipywidgets as ipw
import numpy as np
import pytest
import torch
from matplotlib import image

from course_utils import finetuning, masks, mlm
from course_utils.bert import BertConfig, BertForPreTraining
from course_utils.classroom import controls
from course_utils.lessons.attention import panel as attention
from course_utils.lessons.attention.panel import AttentionExplorer
from course_utils.lessons.classification import panel as classification
from course_utils.lessons.classification.panel import review_reader
from course_utils.lessons.cost.panel import cost_calculator, cost_of, roofline_view, training_bytes
from course_utils.lessons.embeddings.panel import embedding_sum
from course_utils.lessons.encoder.panel import residual_dial
from course_utils.lessons.family.panel import relatives
from course_utils.lessons.inside_bert.panel import sense_explorer
from course_utils.lessons.many_machines.panel import cluster_planner
from course_utils.lessons.masks.panel import MaskPlayground
from course_utils.lessons.mlm.panel import masking_playground
from course_utils.lessons.modern.panel import batch_of, changes_html, parts_of, six_changes
from course_utils.lessons.nsp.panel import next_sentence
from course_utils.lessons.pretraining.panel import training_replay
from course_utils.lessons.sentence_vectors.panel import encoders_of, sentence_search
from course_utils.lessons.start_here.panel import fill_blank
from course_utils.lessons.tasks.panel import answer_finder
from course_utils.lessons.word2vec.panel import neighbours
from course_utils.lessons.wordpiece.panel import piece_reader
from course_utils.lessons.your_own_data.panel import doubt_dial
from course_utils.toy import tasks as toy_tasks
from course_utils.toy.language import VOCAB_FILE, ToyLanguage
from course_utils.word2vec import Word2Vec
from course_utils.wordpiece import WordPieceTokenizer

WORDS = ["the", "bank", "was", "robbed", "yesterday"]
VECTORS = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 0.5], [1.5, 1.0], [1.0, 2.0]])


def parts(box: ipw.Box) -> list[ipw.Widget]:
    """What a reader sees of a panel."""
    return [part for part in box.children if part.layout.display != "none"]


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

    slider = ipw.IntSlider(value=1, max=9)
    view = controls.panel(render, x=slider).children[-1]
    assert view.value == "<b>1</b>"
    slider.value = 3
    assert view.value == "<b>3</b>"
    slider.value = 4
    assert "&lt;too&gt; large" in view.value and "Traceback" not in view.value


def test_fill_blank_shows_what_the_model_says(model, tokenizer):
    box = fill_blank(model, tokenizer)
    field, guesses, view = parts(box)
    ids = torch.tensor([tokenizer.encode(field.value).input_ids])
    with torch.no_grad():
        best = model(ids).prediction_logits[ids == tokenizer.mask_token_id][0].topk(guesses.value).indices
    pieces = tokenizer.convert_ids_to_tokens(best.tolist())
    places = [view.value.index(f">{html.escape(piece)} ") for piece in pieces]
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
    field, _, view = parts(fill_blank(model, tokenizer))
    field.value = text
    assert says in view.value and "Traceback" not in view.value


@pytest.mark.parametrize("text", ["[MASK]", "😀 [MASK] 😀", "שלום [MASK]", "<b onclick=x>[MASK]</b>"])
def test_strange_but_readable_input_is_answered_without_markup(model, tokenizer, text):
    field, _, view = parts(fill_blank(model, tokenizer))
    field.value = text
    assert "blank 1" in view.value and "onclick" not in view.value


def test_playground_starts_bidirectional_and_clicks_move_weights_and_outputs():
    playground = MaskPlayground(VECTORS, WORDS)
    assert playground.mask.all()
    assert torch.allclose(playground.outputs, playground.unmasked)
    playground._cells[0][4].value = False
    assert playground.weights[0, 4] == 0 and torch.allclose(playground.weights.sum(-1), torch.ones(5))
    assert playground._cells[0][4].description == "no"
    assert torch.allclose(playground.outputs[1:], playground.unmasked[1:])


def test_playground_presets_give_the_masks_of_the_course():
    playground = MaskPlayground(VECTORS, WORDS)
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
    playground = MaskPlayground(VECTORS, WORDS)
    for cell in playground._cells[1]:
        cell.value = False
    assert "may attend to nobody" in playground._view.value


def test_playground_refuses_words_that_do_not_fit():
    with pytest.raises(ValueError, match="5 tokens"):
        MaskPlayground(VECTORS[:4], WORDS)


# ------------------------------------------------------------------------------------------------ notebook 02


@pytest.fixture(scope="module")
def tokenizers(tokenizer):
    letters = WordPieceTokenizer(
        [piece for piece in tokenizer.vocab if len(piece.removeprefix("##")) == 1 or piece[0] == "["]
    )
    return {"toy language": tokenizer, "letters": letters}


def test_piece_reader_shows_pieces_ids_and_offsets_of_the_chosen_vocabulary(tokenizers):
    field, choice, view = parts(piece_reader(tokenizers, "The bank!"))
    for name, tokenizer in tokenizers.items():
        choice.value = name
        encoding = tokenizer.encode("The bank!")
        heads = re.findall(r'scope="row">(.*?)</th>', view.value)
        cells = re.findall(r"<td[^>]*>(.*?)</td>", view.value)
        assert [html.unescape(head) for head in heads] == encoding.tokens
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
    field, choice, view = parts(piece_reader(tokenizers))
    field.value = text
    for choice.value in tokenizers:
        assert says in view.value and "Traceback" not in view.value and "<script" not in view.value


# --- Notebook 03


def test_embedding_sum_shows_the_rows_and_what_the_module_makes_of_them(model, tokenizer):
    box = embedding_sum(model.bert.embeddings, tokenizer)
    first, second, token, shift, view = parts(box)
    assert "→ cat ←" in view.value and "position 2" in view.value and "segment 0" in view.value
    encoding = tokenizer.encode("the cat sat", "it was happy")
    ids, kinds = torch.tensor([encoding.input_ids]), torch.tensor([encoding.token_type_ids])
    with torch.no_grad():
        expected = model.bert.embeddings(ids, kinds)[0]
    for place in (0, 4, 8):
        token.value = place
        assert (
            "".join(f">{x:.2f}</td>" in view.value and "." for x in expected[place, :5].tolist()) == "....."
        )
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
    explorer = AttentionExplorer(model, tokenizer, "the river bank was very scenic")
    explorer.layer.value, explorer.head.value, explorer.token.value = 1, 1, 3
    ids = torch.tensor([tokenizer.encode("the river bank was very scenic").input_ids])
    with torch.no_grad():
        expected = model(ids, output_attentions=True).attentions[1][0, 1]
    assert torch.equal(explorer.weights, expected)
    view = explorer.children[0].children[-1]
    assert "Layer 2, head 2" in view.value and "bank attends to" in view.value
    cells = [f">{w:.2f}<" for w in expected[3].tolist()]
    assert all(cell in view.value for cell in cells) and ">1.00<" in view.value
    assert f"({expected[3].max():.2f})" in view.value


def test_attention_explorer_draws_lines_as_wide_as_the_weights(model, tokenizer):
    explorer = AttentionExplorer(model, tokenizer, "the river bank was very scenic")
    view = explorer.children[0].children[-1]
    for layer, head, token in [(0, 0, 0), (1, 1, 3), (0, 1, 7)]:
        explorer.layer.value, explorer.head.value, explorer.token.value = layer, head, token
        left, n, weights = tokens_and_lines(view.value), len(explorer.tokens), explorer.weights
        assert len(left) == n and [kind for kind, *_ in left] == [" chosen" * (i == token) for i in range(n)]
        for i, (_, label, widths, numbers) in enumerate(left):
            assert widths.keys() == set(range(n))  # none of this model's weights is near 0
            expected = attention.line_width(weights[i] / weights.max()).tolist()
            assert [widths[j] for j in range(n)] == pytest.approx(expected, abs=0.006)
            assert numbers == [f"{w:.2f}" for w in weights[i].tolist()]
            best = explorer.tokens[weights[i].argmax()]
            assert label.startswith(f"{explorer.tokens[i]}, token {i + 1} of {n}, attends most to {best} ")
    assert view.value.count('tabindex="0"') == view.value.count("data-lm-suppress-shortcuts") == n
    drawn = attention.web(["a", "b"], [[0.004, 0.996], [0.5, 0.5]], 0, "Layer 1, head 1")
    assert drawn.count("<line") == 3, "a line for next to nothing"


def tokens_and_lines(drawn: str) -> list[tuple[str, str, dict[int, float], list[str]]]:
    """Of each token on the left: whether it is chosen, its name, the width of its line to each place on the
    right, and the numbers beside them.
    """
    found = []
    for i, part in enumerate(drawn.split('<div class="from')[1:]):
        kind = part.split('"')[0]
        assert re.search(r'<div class="lines([^"]*)"', part)[1] == kind
        lines = re.findall(r'<line x2="100" y1="(.*?)" y2="(.*?)" stroke-width="(.*?)"/>', part)
        assert {float(y1) for y1, _, _ in lines} == {i + 0.5}
        widths = {int(float(y2)): float(width) for _, y2, width in lines}
        numbers = re.search(r'class="numbers">(.*?)</div>', part)[1].split("<br>")
        found.append((kind, re.search(r'aria-label="(.*?)"', part)[1], widths, numbers))
    return found


def test_attention_explorer_shows_a_map_of_every_head_and_frames_the_chosen_one(model, tokenizer):
    explorer = AttentionExplorer(model, tokenizer, "the river bank was very scenic")
    view = explorer.children[0].children[-1]
    layers, heads = model.config.num_hidden_layers, model.config.num_attention_heads
    names = [f"layer {i + 1}, head {j + 1}" for i in range(layers) for j in range(heads)]
    for explorer.layer.value in range(layers):
        for explorer.head.value in range(heads):
            pictures = re.findall(r"<img.*?>", view.value)
            assert [re.search('title="(.*?)"', picture)[1] for picture in pictures] == names
            chosen = [picture for picture in pictures if 'class="chosen"' in picture]
            name = f"layer {explorer.layer.value + 1}, head {explorer.head.value + 1}"
            assert len(chosen) == 1 and f'alt="{name}, chosen" title="{name}"' in chosen[0]
            png = base64.b64decode(re.search('base64,(.*?)"', chosen[0])[1])
            opaque = image.imread(io.BytesIO(png))[:, :, 3]
            expected = explorer.weights / explorer.weights.max()
            assert np.abs(opaque - expected.numpy()).max() < 1 / 250


@pytest.mark.parametrize(("words", "every"), [(62, True), (63, False)])
def test_attention_explorer_draws_every_token_s_lines_up_to_64_tokens(tokenizer, words, every):
    config = BertConfig.named(
        "tiny", vocab_size=len(tokenizer), hidden_size=32, num_attention_heads=2, max_position_embeddings=80
    )
    explorer = AttentionExplorer(BertForPreTraining(config).eval(), tokenizer, "bank " * words)
    drawn = explorer.children[0].children[-1].value
    n = words + 2
    assert (drawn.count('tabindex="0"'), drawn.count("<svg")) == ((n, n) if every else (0, 1))
    assert ("go there with Tab" in drawn) == every
    png = base64.b64decode(re.search('base64,(.*?)"', drawn)[1])
    assert image.imread(io.BytesIO(png)).shape == (attention.MAP_CELLS, attention.MAP_CELLS, 4)


def test_attention_explorer_runs_the_model_once_for_a_sentence(model, tokenizer):
    calls = []
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    explorer = AttentionExplorer(model, tokenizer, "great movie !")
    explorer.layer.value, explorer.head.value, explorer.token.value = 1, 1, 2
    assert len(calls) == 1
    explorer.field.value = "the bank was robbed"
    assert len(calls) == 2
    hook.remove()


def test_attention_explorer_offers_the_tokens_of_a_new_sentence(model, tokenizer):
    explorer = AttentionExplorer(model, tokenizer, "the river bank was very scenic")
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
    explorer = AttentionExplorer(model, tokenizer, "great movie !")
    explorer.field.value = text
    view = explorer.children[0].children[-1]
    assert says in view.value and explorer.weights.shape == (5, 5)
    explorer.layer.value = 1
    assert says in view.value and "<svg" not in view.value
    explorer.field.value = "<b onclick=x>it was happy</b>"
    assert "attends to" in view.value and "<b " not in view.value


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
    field, window, negatives, view = parts(neighbours(models, k=3))
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
    [
        ("", "Type a"),
        ("rivr", "nearest spellings: river"),
        ("<script>", "&lt;script&gt;"),
        ("x" * 3000, "3,000 characters"),
    ],
)
def test_neighbours_of_an_odd_word_are_a_friendly_sentence(word, says):
    field, _, _, view = parts(neighbours(two_word_models()))
    field.value = word
    assert says in view.value and "<script" not in view.value and "<td" not in view.value
    field.value = "bank"
    assert "&lt;b&gt;" in view.value and "<b>" not in view.value


@pytest.fixture(scope="module")
def embedded():
    from course_utils import checkpoints

    return checkpoints.load("embedded")


def masking_box(embedded):
    model, tokenizer = embedded
    sentences = ["i went to the bank to deposit money", "great movie !"]
    return masking_playground(model, tokenizer, ToyLanguage(), sentences)


def test_masking_playground_shows_what_mask_tokens_draws(embedded):
    _, tokenizer = embedded
    field, rate, seed, guesses, view = parts(masking_box(embedded))
    rate.value, seed.value, guesses.value = 0.5, 3, 2
    ids = torch.tensor([tokenizer.encode(field.value).input_ids])
    masked_ids, labels = mlm.mask_tokens(ids, tokenizer, 0.5, torch.Generator().manual_seed(3))
    selected = labels != -100
    assert f"Selected: {int(selected.sum())} of 8" in view.value
    assert view.value.count(">masked<") == int((masked_ids == tokenizer.mask_token_id).sum())
    exact = ToyLanguage().posteriors(masked_ids, selected, 0.5)
    truth = labels[selected].numpy()
    shown = re.findall(r", perfect model</th>.*?>(-?[\d.]+)</td></tr>", view.value)
    assert [float(x) for x in shown] == pytest.approx(-np.log(exact[range(len(truth)), truth]), abs=0.006)
    assert view.value.count(", model</th>") == len(truth)


def test_masking_playground_says_when_nothing_is_selected_and_when_a_sentence_is_foreign(embedded):
    field, rate, seed, _, view = parts(masking_box(embedded))
    rate.value = 0.05
    empty = [
        value for value in range(20) if (setattr(seed, "value", value) or "Nothing is selected" in view.value)
    ]
    assert len(empty) > 5
    rate.value, field.value = 0.95, "the movie sat on the bank of colourless ideas"
    assert "this is none" in view.value and ", model</th>" in view.value and ", perfect" not in view.value
    field.value = "great movie !"
    assert ", perfect model</th>" in view.value
    for odd, says in (
        ("", "Type a sentence"),
        ("x " * 900, "reads up to 128"),
        ("<b onclick=1>", "Selected"),
    ):
        field.value = odd
        assert says in view.value and "<b onclick" not in view.value


# --- notebook 06


def numbers_on(view) -> tuple[list[float], list[float]]:
    """How far apart the words are after each layer, and the cosines."""
    tables = view.value.split("</table>")[:2]
    return tuple([float(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", table)] for table in tables)


def test_residual_dial_is_the_model_at_one_and_makes_all_tokens_alike_at_zero(model, tokenizer):
    field, depth, attention, feed_forward, view = parts(residual_dial(model.bert, tokenizer))
    ids = torch.tensor([tokenizer.encode(field.value).input_ids])
    with torch.no_grad():
        states = model.bert(ids, output_hidden_states=True).hidden_states
    for depth.value in (0, 1, 2):
        expected = torch.nn.functional.cosine_similarity(
            states[depth.value][0, :, None], states[depth.value][0], dim=-1
        )
        apart, cosines = numbers_on(view)
        assert torch.allclose(torch.tensor(cosines), expected.flatten(), atol=0.0051)
        rows = states[depth.value][0]
        assert apart[depth.value] == pytest.approx(
            torch.cdist(rows, rows.mean(0, keepdim=True)).mean().item() / rows.norm(dim=1).mean().item(),
            abs=0.0006,
        )
    feed_forward.value = 0
    assert "times 1.0 (attention) and 0.0 (feed-forward)" in view.value
    assert numbers_on(view)[0][1] != apart[1]
    attention.value = 0
    apart, cosines = numbers_on(view)
    assert min(cosines) > 0.98 and apart[0] > 0.3 and apart[2] < 0.1
    depth.value = 0
    assert min(numbers_on(view)[1]) < 0.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Type a sentence"),
        ("bank " * 60, "reads up to 40"),
        ("<script>", "&lt;"),
        ("x" * 10_000, "10,000 characters"),
    ],
)
def test_residual_dial_answers_odd_text(model, tokenizer, text, says):
    field, *_, view = parts(residual_dial(model.bert, tokenizer))
    field.value = text
    assert says in view.value and "<script" not in view.value


# --- Notebook 10


@pytest.fixture(scope="module")
def reviewer(model, tokenizer):
    task = finetuning.TextClassification(tokenizer, ("negative", "positive"), max_length=40)
    return finetuning.new_model(task, model), task


def test_review_reader_shows_probabilities_and_what_each_word_adds(reviewer):
    classifier, task = reviewer
    box = review_reader(classifier, task)
    field, view = parts(box)
    field.value = "great film !"
    probabilities = task.predict_proba(classifier, ["great film !"])[0]
    assert f"negative {probabilities[0]:.1%}, positive {probabilities[1]:.1%}" in view.value
    label = int(probabilities.argmax())
    assert task.labels[label] in view.value
    without = task.predict_proba(classifier, ["film !", "great !", "great film"])[:, label]
    for word, other in zip(("great", "film", "!"), without, strict=True):
        adds = f"{probabilities[label] - other:+.2f}"
        assert re.search(rf">{re.escape(word)}</th><td[^>]*>{re.escape(adds)}<", view.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("   ", "Type a sentence first."),
        ("great", "Type two words or more"),
        ("good " * 60, "62 pieces; the model reads up to 40"),
        ("x" * 3000, "3,000 characters"),
    ],
)
def test_review_reader_answers_odd_text(reviewer, text, says):
    field, view = parts(review_reader(*reviewer))
    field.value = text
    assert says in view.value and "Traceback" not in view.value
    field.value = "<b>bold</b> & good \u4e2d"
    assert "<b>" not in view.value and "&lt;b&gt;bold&lt;/b&gt;" in view.value


# --- notebook 13


def test_cost_calculator_is_the_profiler_at_every_depth():
    from course_utils.profiler import profile

    box = cost_calculator(1e11, 1e10)
    layers, hidden, heads, seq_len, batch, view = parts(box)
    assert view.value.index("mini") < view.value.index("→ your model")
    layers.value, hidden.value, heads.value, seq_len.value, batch.value = 5, 256, 8, 64, 4
    config = BertConfig(hidden_size=256, num_hidden_layers=5, num_attention_heads=8, intermediate_size=1024)
    whole, training = profile(config, 4, 64), profile(config, 4, 64, training=True)
    cost = cost_of(config, 4, 64, 1e11, 1e10)
    totals = whole.totals
    assert (cost["params"], cost["flops"], cost["weights"]) == (
        totals.params,
        totals.flops,
        totals.weight_bytes,
    )
    assert cost["seconds"] == pytest.approx(sum(whole.seconds(1e11, 1e10).values()))
    assert training_bytes(config, 4, 64) == sum(training.memory.values())
    own = view.value.partition("→ your model")[2]
    for shown in (f"{totals.params / 1e6:.1f}", f"{totals.flops / 1e9:.2f}", f"{1000 * cost['seconds']:.1f}"):
        assert f">{shown}<" in own
    assert "4 x 64 tokens" in view.value and f"{sum(training.memory.values()) / 1e6:,.0f} MB" in view.value


def test_cost_calculator_refuses_heads_that_do_not_fit_and_marks_the_published_sizes():
    box = cost_calculator(1e11, 1e10)
    layers, hidden, heads, _, _, view = parts(box)
    hidden.value = 128
    assert "no multiple of 12 heads" in view.value and "<table" not in view.value
    heads.value = 2
    layers.value = 2
    order = [view.value.index(f">{name}<") for name in ("tiny", "mini", "small", "medium", "base", "large")]
    assert order == sorted(order)
    tiny, own = (
        view.value.partition(f">{name}</th>")[2].partition("</tr>")[0] for name in ("tiny", "→ your model")
    )
    assert tiny == own


def test_roofline_view_draws_the_machine_that_is_chosen():
    from course_utils.lessons.cost import experiment as machine_time

    stored = machine_time.stored()
    faster = {**stored, "peak_flops": 10 * stored["peak_flops"]}
    choice, view = parts(roofline_view({"stored": stored, "faster": faster}))
    before = view.value
    assert before.count("<img") == 1 and "alt=" in before and "Linear in bfloat16" in before
    choice.value = "faster"
    assert view.value != before and f"{faster['peak_flops'] / 1e9:.3g} GFLOP/s and is flat" in view.value


# --- notebook 08


@pytest.fixture(scope="module")
def language():
    from course_utils.toy.language import ToyLanguage

    return ToyLanguage(seed=0)


PAIRS = [("the cat sat on the mat", "it was happy"), ("great movie !", "the bank was robbed yesterday")]


def numbers_of(view) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", view.value)


def test_next_sentence_shows_model_and_exact_answer_in_both_orders(model, tokenizer, language):
    choice, first, second, view = parts(next_sentence(model, tokenizer, language, PAIRS))
    for pair in reversed(PAIRS):
        choice.value = pair
        assert (first.value, second.value) == pair
        expected = []
        for texts in (pair, pair[::-1]):
            encoding = tokenizer.encode(*texts)
            ids, kinds = torch.tensor([encoding.input_ids]), torch.tensor([encoding.token_type_ids])
            with torch.no_grad():
                p = model(ids, None, kinds).seq_relationship_logits.softmax(-1)[0, 0]
            expected += [f"{p:.2f}", f"{language.next_sentence_posterior(ids, 0)[0]:.2f}"]
        assert numbers_of(view) == expected
    first.value = "the dog chased the cat to the park"
    assert len(numbers_of(view)) == 4 and "none" not in numbers_of(view)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Type a sentence"),
        ("the cat robbed the bank", "no exact answer"),
        ("😀 שלום", "no exact answer"),
        ("[SEP] [MASK] [CLS]", "no exact answer"),
        ("bank " * 60, "reads up to 40"),
        ("x" * 10_000, "10,000 characters"),
        ("<script>it</script>", ""),
    ],
)
def test_next_sentence_says_what_it_cannot_answer(model, tokenizer, language, text, says):
    _, first, second, view = parts(next_sentence(model, tokenizer, language, PAIRS))
    for field, other in ((first, second), (second, first)):
        field.value, other.value = text, "it was happy"
        assert says in view.value
        assert "Traceback" not in view.value and "<script" not in view.value
    first.value, second.value = PAIRS[0]
    assert "no exact answer" not in view.value and len(numbers_of(view)) == 4


# --- Notebook 09


def test_training_replay_shows_the_chosen_step_and_the_expected_loss():
    tokenizer = WordPieceTokenizer.from_file(VOCAB_FILE)
    size = len(tokenizer)
    even, sure = torch.full((1, size), 1 / size), torch.full((1, size), 1e-9)
    sure[0, 200] = 1 - (size - 1) * 1e-9
    perfect = torch.zeros(1, size)
    perfect[0, 200] = 1.0
    box = training_replay({0: even, 25: sure}, perfect, ["the [MASK] sat"], tokenizer)
    step, _, view = parts(box)
    assert (
        f"{math.log(size):.2f} nats" in view.value
        and tokenizer.id_to_token[200] not in view.value.split("<tbody>")[0]
    )
    step.value = 25
    assert "0.00 nats; of the perfect model: 0.00" in view.value
    assert f">{tokenizer.id_to_token[200]}</th>" in view.value and ">1.000</td>" in view.value


# --- Notebook 14


def test_relatives_count_operations_and_refuse_a_text_that_is_too_long():
    members = {
        "base": {"parameters": 100_000_000, "layers_run": 12, "positions": 512},
        "half": {"parameters": 60_000_000, "layers_run": 6, "positions": 256},
    }
    box = relatives(members)
    member, tokens, view = parts(box)
    assert "half: 60% of the parameters, 50% of the operations" in view.value
    member.value = "base"
    assert "100% of the operations" in view.value
    assert view.value.count(">22.35</td>") == 2  # GFLOP of BERT-base's layers for 128 tokens
    assert tokens.max == 512
    tokens.value, member.value = 257, "half"
    assert "257 do not fit" in view.value


# --- Notebook 15


@pytest.fixture(scope="module")
def search_panel(model, tokenizer, language):
    texts = [
        "she signed the cheque at the bank",
        "he signed the cheque at the bank",
        "it was sad",
        "it was sad",
    ]
    candidates = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)) for text in texts]
    encoders = encoders_of(model, model.bert, tokenizer, torch.ones(len(tokenizer)))
    text = "anna went to the bank on friday"
    return sentence_search(encoders, candidates, tokenizer, language, text)


def test_sentence_search_shows_four_encoders_and_the_exact_answer(search_panel):
    sentence, count, view = parts(search_panel)
    sentence.value, count.value = "anna went to the bank on friday", 3
    assert "among 3 candidates" in view.value  # the one that stood there twice is shown once
    for name in ("tf-idf", "[CLS]", "mean", "trained", "the exact answer"):
        assert all(f">{name}, {rank}</th>" in view.value for rank in (1, 2, 3))
    exact = view.value.split(">the exact answer, 1</th>")[1]
    assert exact.index(">she signed") < exact.index(">it was sad") < exact.index(">he signed")
    assert view.value.count(">0.000</td>") == 5  # "he" cannot be anna
    count.value = 1
    assert view.value.count("</tr>") == 6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Type a sentence"),
        ("the zebra sang", "no exact answer"),
        ("bank " * 70, "up to 60"),
        ("the cat sat on the mat", ""),
        ("<b>bank</b>", "no exact answer"),
    ],
)
def test_sentence_search_says_what_it_cannot_answer(search_panel, text, says):
    sentence, _, view = parts(search_panel)
    sentence.value = text
    assert says in view.value and "<b>" not in view.value


# --- Notebook 16


def layer_parameters(hidden: int, wide: int, matrices: int, biases: bool) -> int:
    """By hand: four matrices of attention, two or three of the network, two LayerNorms."""
    count = 4 * hidden**2 + matrices * hidden * wide + 2 * hidden
    return count + (4 * hidden + wide + hidden + 2 * hidden if biases else 0)


def test_six_changes_count_parameters_and_operations():
    box = six_changes()
    step, longest, view = parts(box)
    base = (30522 + 512) * 768 + 2 * 768 + 12 * layer_parameters(768, 3072, 2, biases=True)
    assert f">{base / 1e6:,.1f}</td>" in view.value and ">100%</td>" in view.value
    assert batch_of(512) == [512, 256, 128, 64] and batch_of(4) == [4, 2, 1, 1]
    linear = 2 * (4 * 768**2 + 2 * 768 * 3072)
    assert f">{12 * 4 * 512 * (linear + 4 * 512 * 768) / 1e9:,.1f}</td>" in view.value
    step.value = 6  # one LayerNorm more at the end, one less in the first layer; the embeddings have one
    last = 30522 * 768 + 768 + 12 * layer_parameters(768, 2048, 3, biases=False)
    assert f">{last / 1e6:,.1f}</td>" in view.value and "four texts end to end" in view.value
    longest.value = 16
    pairs = sum(n * n for n in (16, 8, 4, 2))
    assert f">{12 * (30 * linear + 4 * pairs * 768) / 1e9:,.1f}</td>" in view.value
    with pytest.raises(ValueError, match="step: expected 0 to 6, got 7"):
        changes_html(7, 16)


def test_each_change_is_drawn():
    drawings = [changes_html(step, 64).split("<p>")[0] for step in range(7)]
    assert len(set(drawings)) == 7
    assert all(
        ('stroke-width="3"' in drawing or "*</text>" in drawing) == (i > 0)
        for i, drawing in enumerate(drawings)
    )
    _, inside, above = parts_of(0)
    assert inside == ["attention", "+", "LayerNorm", "feed-forward network", "+", "LayerNorm"] and not above
    assert parts_of(1)[1] == ["LayerNorm", "attention", "+", "LayerNorm", "feed-forward network", "+"]
    assert "A table of 512 positions does not reach so far" in changes_html(1, 1024)
    assert "does not reach" not in changes_html(2, 1024) + changes_html(0, 512)


# --- Notebook 17


def test_doubt_dial_counts_what_is_answered_and_shows_the_surest_that_is_not():
    texts = [f"text {n}" for n in range(13)]
    confidence = [0.5 + 0.03 * n for n in range(12)] + [0.95]
    box = doubt_dial(texts, confidence, [n % 2 == 0 for n in range(13)])
    threshold, view = parts(box)
    threshold.value = 0.8
    assert "Answered: 3 of 13. Right among them: 2 of 3" in view.value
    assert "10 unanswered, the surest 8" in view.value and view.value.count("<tr>") == 9
    assert ">text 9<" in view.value and ">text 1<" not in view.value
    threshold.value = 1.0
    assert "Nothing is answered" in view.value and "<table" not in view.value
    threshold.value = 0.5
    assert "No text goes unanswered" in view.value and "Answered: 13 of 13" in view.value


def test_doubt_dial_shows_a_text_as_text():
    box = doubt_dial(["<b>sure</b>", "other"], [0.6, 0.9], [True, True])
    assert "&lt;b&gt;sure" in box.children[-1].value and "<b>sure" not in box.children[-1].value


# --- Notebook 12

OCCURRENCES = [
    ("the bank was robbed yesterday", 1, "money"),
    ("the river bank was very scenic", 2, "river"),
    ("the bank was wet after the rain", 1, "river"),
]


def test_sense_explorer_finds_the_sentence_itself_at_every_layer(model, tokenizer):
    box = sense_explorer(model, tokenizer, OCCURRENCES, text=OCCURRENCES[1][0])
    _, layer, count, view = parts(box)
    for depth in range(layer.max + 1):
        layer.value = depth
        first_row = view.value.split("<tbody>")[1].split("</tr>")[0]
        assert OCCURRENCES[1][0] in first_row and ">river</td>" in first_row and ">1.000</td>" in first_row
    assert "1 money" in view.value and "2 river" in view.value
    count.value = 1
    assert "1 river" in view.value and "money" not in view.value
    layer.value = 0
    assert "before the first layer" in view.value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Type a sentence"),
        ("the cat sat", "must hold the word"),
        ("bank " * 60, "reads up to"),
        ("<b>bank</b>", ""),
    ],
)
def test_sense_explorer_says_what_it_cannot_show(model, tokenizer, text, says):
    box = sense_explorer(model, tokenizer, OCCURRENCES)
    box.children[0].value = text
    assert says in box.children[-1].value and "<b>" not in box.children[-1].value


# --- notebook 11


@pytest.fixture(scope="module")
def answerer(model, tokenizer):
    task = finetuning.QuestionAnswering(tokenizer, max_length=40, stride=10)
    answering = finetuning.new_model(task, model)
    torch.nn.init.normal_(answering.qa_outputs.weight, std=5.0, generator=torch.Generator().manual_seed(0))
    return answering, task


def test_answer_finder_agrees_with_the_task(answerer):
    answering, task = answerer
    question, _, view = parts(box := answer_finder(answering, task, "where ?", "it was happy"))
    asked = {"who was happy ?": "anna was happy", "where ?": "anna was at the park . " * 12}
    for asking, text in asked.items():
        question.value, box.children[1].value = asking, text
        text = text.strip()
        (answer,) = task.predict(answering, [toy_tasks.Question(asking, text)])
        (whatever,) = task.predict(answering, [toy_tasks.Question(asking, text)], threshold=-1e9)
        says = f"Answer: {answer}<" if answer else f"The best span would be: {whatever}<"
        assert says in view.value
        assert ("windows read" in view.value) == (len(text) > 100)
        assert ">0 [CLS]</th>" in view.value


@pytest.mark.parametrize(
    ("question", "text", "says"),
    [
        ("", "it was happy", "Type a question first."),
        ("who ?", "  ", "Type a text"),
        ("who " * 30, "it was happy", "32 pieces; up to 20"),
        ("who ?", "x" * 3000, "3,000 characters"),
        ("who ?", "\u200b", "nothing in this text"),
        ("<b>who</b>", "<script>it</script> \u4e2d [SEP]", ""),
    ],
)
def test_answer_finder_answers_odd_text(answerer, question, text, says):
    *fields, view = parts(answer_finder(*answerer, "who ?", "it was happy"))
    for field, value in zip(fields, (question, text), strict=True):
        field.value = value
    assert says in view.value
    assert "Traceback" not in view.value and "<script" not in view.value


def test_a_long_review_is_judged_without_the_table(reviewer, monkeypatch):
    classifier, task = reviewer
    monkeypatch.setattr(classification, "MOST_OCCLUDED", 10)
    longest = " ".join(["good"] * 10)
    assert classification.review_html(classifier, task, longest).count("<tr>") == 1 + 10
    monkeypatch.setattr(classification, "occlusion", lambda *_: pytest.fail("words were taken away"))
    assert "With 11 words, more than 10" in classification.review_html(classifier, task, longest + " film")


# --- Notebook 18


def test_cluster_planner_shares_the_arithmetic_and_says_what_does_not_fit():
    box = cluster_planner()
    model, card, cards, rows, view = parts(box)
    assert "computed, not run" in view.value and "BERT-base, 256 rows" in view.value
    cards.value, rows.value = 1, 32
    assert "1.0 times as fast" in view.value and "micro-batches" not in view.value
    assert ">0%</td>" in view.value  # one card has no all-reduce
    rows.value = 16384
    assert "take" in view.value and "micro-batches" in view.value
    model.value, card.value = "BERT-large", card.options[0]
    assert view.value.count("BERT-large") == 1 and card.options[0] in view.value
    rows.value, cards.value = 32, 256
    assert view.value.startswith("<p") and "some would have none" in view.value
