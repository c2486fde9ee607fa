"""The panels of build/site that answer without a kernel: their numbers beside the Python model's, and what a
reader does with them, by mouse, by keyboard, by ear, and without JavaScript.
"""

import json
import math
import random
import re

import pytest
import torch
from playwright.sync_api import expect

from course_utils import checkpoints
from course_utils.classroom.controls import encode
from course_utils.lessons.encoder import panel as dial
from tools import live_panels, website

PAGES = {number: next(website.SITE.glob(f"notebooks/{number}_*.html"), None) for number in live_panels.PANELS}
CLOSE = 1e-4
SENTENCES = [
    "the [MASK] was robbed yesterday",
    "i went to the bank to deposit money",
    "[MASK]",
    "Paris is the capital of [MASK].",
    "Éric's 2nd   naïve (snow)flake — costs $5+tax, 日本 🏦!\t[SEP] é",
    " ".join(["the river bank was very [MASK] ,"] * 18),  # 126 pieces, of 128 that fit
]


@pytest.fixture(scope="module")
def model():
    return checkpoints.load("embedded")


@pytest.fixture
def opened(chromium):
    """`opened(number, ...)`: a page with its panel; it may ask nothing of the network nor complain."""
    contexts, watches = [], []

    def open_page(number, **settings):
        context = chromium.new_context(offline=True, **settings)
        page = context.new_page()
        contexts.append(context)
        watches.append(website.browser.Watch(page))
        page.watch = watches[-1]
        page.goto(PAGES[number].as_uri())
        return page

    yield open_page
    for watch in watches:
        assert watch.errors == []
        assert watch.foreign == []
    for context in contexts:
        context.close()


def computed(page, script: str, argument):
    """What a script makes of an argument. Both go as one text: playwright wraps each number."""
    as_text = f"async text => JSON.stringify(await ({script})(JSON.parse(text)))"
    return json.loads(page.evaluate(as_text, json.dumps(argument)))


def run_in(page, text: str) -> dict:
    """What bert.js makes of a text."""
    return computed(
        page,
        """async text => {
            const bert = await CourseBert.load("../_static/embedded-weights.js");
            const {tokens, ids} = bert.tokenizer.encode(text);
            const {states, attentions, lengths} = bert.encode(ids);
            const logits = ids.map((_, i) => [...bert.predict(states.at(-1), i)]);
            return {tokens, states: states.map(rows => [...rows]), attentions, lengths, logits}; }""",
        text,
    )


def furthest(found, expected: torch.Tensor) -> float:
    return (torch.tensor(found).view_as(expected) - expected).abs().max().item()


@pytest.mark.parametrize("text", SENTENCES)
def test_the_page_computes_what_the_python_model_computes(opened, model, text):
    bert, tokenizer = model
    found, encoding = run_in(opened("00"), text), encode(tokenizer, 128, text)
    values = []
    for layer in bert.bert.encoder.layer:
        layer.attention.self.value.register_forward_hook(lambda _part, _inputs, output: values.append(output))
    with torch.no_grad():
        output = bert(torch.tensor([encoding.input_ids]), output_hidden_states=True, output_attentions=True)
    assert found["tokens"] == encoding.tokens
    distances = {
        "states": furthest(found["states"], torch.cat(output.hidden_states)),
        "attentions": furthest(found["attentions"], torch.cat(output.attentions)),
        "logits": furthest(found["logits"], output.prediction_logits),
    }
    lengths = torch.cat(values[-3:]).unflatten(-1, (4, -1)).norm(dim=-1).transpose(1, 2)
    distances["lengths"] = furthest(found["lengths"], lengths)
    print({name: f"{distance:.1e}" for name, distance in distances.items()})
    assert max(distances.values()) < CLOSE


def test_words_of_the_language_and_others_are_cut_as_in_python(opened, model):
    _, tokenizer = model
    rng = random.Random(0)
    letters = "abz éßİ'.,-$_0९\u200b\u0301中\U0001f3e6[]"
    texts = ["".join(rng.choices(letters, k=12)) for _ in range(300)] + list(tokenizer.vocab)
    texts = [text for text in texts if text.strip()]
    found = opened("00").evaluate(
        """async texts => { const bert = await CourseBert.load("../_static/embedded-weights.js");
            return texts.map(text => bert.tokenizer.encode(text).tokens); }""",
        texts,
    )
    for text, tokens in zip(texts, found, strict=True):
        assert tokens == tokenizer.encode(text).tokens, text


DRAWN = "e => e.innerText + [...e.querySelectorAll('line')].map(l => l.getAttribute('stroke-width'))"


SAID = ".live-said"  # what is read aloud, a moment after the last change
expect.set_options(timeout=30_000)


def wait_for_an_answer(page) -> None:
    expect(page.locator(SAID)).not_to_be_empty()


@pytest.mark.parametrize("number", live_panels.PANELS)
def test_the_weights_come_with_the_first_touch(opened, number):
    page = opened(number)
    page.wait_for_timeout(300)
    asked = [address for address in page.watch.requests if live_panels.WEIGHTS in address]
    assert asked == []
    before = page.locator(".live-view").inner_text()
    assert before.strip()
    page.locator(".live-panel :is(input, button)").first.focus()
    wait_for_an_answer(page)
    asked = [address for address in page.watch.requests if live_panels.WEIGHTS in address]
    assert len(asked) == (number != "05")  # whose five words need no model
    # What the page computes is what the course drew: numbers and words, in their order.
    if number in ("00", "06", "12"):
        shown = page.locator(".live-view").inner_text()
        if number == "06":  # whose sentence stands where it is said, from the first touch on
            shown += " " + page.locator(SAID).inner_text()
        assert shown.split() == before.split()


@pytest.mark.parametrize("number", live_panels.PANELS)
def test_every_control_changes_what_is_shown_by_keyboard_alone(opened, number):
    page = opened(number)
    controls = page.locator(".live-controls :is(input, button):not([type=radio]:checked)").all()
    controls[0].focus()
    wait_for_an_answer(page)
    region = page.locator(SAID).element_handle()
    if number == "05":  # the buttons set whole masks, and the first view is the causal one
        controls = [controls[0], controls[2], controls[1]]
    for control in controls:
        before = page.locator(".live-view").evaluate(DRAWN)
        control.focus()
        kind = control.get_attribute("type")
        if kind == "text":
            page.keyboard.press("Control+A")
            page.keyboard.type("the river bank was [MASK] !")
        else:
            at_end = kind == "range" and control.input_value() == control.get_attribute("max")
            page.keyboard.press("Home" if at_end else {"range": "End", "radio": "Space"}.get(kind, "Enter"))
        page.wait_for_function(
            f"before => ({DRAWN})(document.querySelector('.live-view')) !== before",
            arg=before,
        )
    assert region.evaluate("e => e.isConnected"), "the line that is read aloud was replaced"


def test_attention_follows_hover_focus_and_head(opened, model):
    bert, tokenizer = model
    page = opened("04")
    text = page.locator("input[type=text]").input_value()
    with torch.no_grad():
        ids = torch.tensor([tokenizer.encode(text).input_ids])
        weights = torch.cat(bert.bert(ids, output_attentions=True).attentions)
    page.locator("input[type=text]").focus()
    wait_for_an_answer(page)

    def numbers():
        return [float(number) for number in page.locator(".live-number").all_inner_texts()]

    assert numbers() == pytest.approx(weights[1, 2, 3].tolist(), abs=0.006)
    page.get_by_role("button", name="layer 3, head 1").click()
    assert numbers() == pytest.approx(weights[2, 0, 3].tolist(), abs=0.006)
    expect(page.locator(SAID)).to_contain_text("Layer 3, head 1")
    page.locator(".live-from button").nth(5).hover()
    assert numbers() == pytest.approx(weights[2, 0, 5].tolist(), abs=0.006)
    page.locator(".live-from button").nth(6).focus()
    assert numbers() == pytest.approx(weights[2, 0, 6].tolist(), abs=0.006)
    page.keyboard.press("Tab")
    assert numbers() == pytest.approx(weights[2, 0, 7].tolist(), abs=0.006)
    widths = page.locator(".live-web line[stroke-opacity='0.85']").evaluate_all(
        "lines => lines.map(line => +line.getAttribute('stroke-width'))"
    )
    assert max(widths) == pytest.approx(
        0.5 + 8 * (weights[2, 0, 7].max() / weights[2, 0].max()).item(), abs=0.02
    )


@pytest.mark.parametrize("text", SENTENCES)
def test_residuals_are_turned_down_as_in_python(opened, model, text):
    bert, tokenizer = model
    ids = encode(tokenizer, 128, text).input_ids
    page = opened("06")
    for keep in ((1, 1), (1, 0), (0, 1), (0.3, 0.7), (0, 0)):
        states = dial.states_at_each_layer(bert.bert, ids, keep)
        found = computed(
            page,
            """async ([text, keep]) => {
                const bert = await CourseBert.load("../_static/embedded-weights.js");
                const {states} = bert.encode(bert.tokenizer.encode(text).ids, null, keep);
                const width = bert.config.hidden_size, {cosine, apart} = CourseBert;
                const vectors = rows => Array.from({length: rows.length / width}, (_, i) =>
                    rows.subarray(i * width, (i + 1) * width));
                const cosines = all => all.map(one => all.map(other => cosine(one, other)));
                return {
                    states: states.map(rows => [...rows]),
                    apart: states.map(rows => apart(rows, width)),
                    cosines: states.map(rows => cosines(vectors(rows))),
                }; }""",
            [text, keep],
        )
        distances = {
            "states": furthest(found["states"], torch.stack(states)),
            "apart": furthest(found["apart"], torch.tensor([dial.words_apart(rows) for rows in states])),
            "cosines": furthest(
                found["cosines"], torch.stack([dial.cosines_between(rows) for rows in states])
            ),
        }
        print(keep, {name: f"{distance:.1e}" for name, distance in distances.items()})
        assert max(distances.values()) < CLOSE


def test_the_dial_shows_what_it_computes_and_says_which_model_it_moves(opened, model):
    bert, tokenizer = model
    page = opened("06")
    assert "trained model of three layers" in page.locator(".live-note").inner_text()
    text = page.get_by_label("Sentence").input_value()
    page.get_by_label("Sentence").focus()
    wait_for_an_answer(page)
    page.get_by_label("Layers").fill("2")
    page.get_by_label("Attention's residual times").fill("0")
    page.get_by_label("Feed-forward's residual times").fill("0.5")
    html = dial.residual_dial_html(bert.bert, tokenizer, text, 2, (0, 0.5))
    told = re.search(r'<p class="course-message">(.*?)</p>', html)[1]
    expect(page.locator(SAID)).to_have_text(told)
    cells = page.locator(".live-view td").all_inner_texts()
    assert cells == re.findall(r"<td[^>]*>(.*?)</td>", html)


def test_masks_are_clicked(opened):
    page = opened("05")
    page.get_by_role("button", name="only itself").click()
    tables = page.locator(".live-view table")

    def weights():
        rows = tables.nth(1).locator("tbody tr").all()
        return [[float(cell) for cell in row.locator("td").all_inner_texts()] for row in rows]

    assert weights() == [[float(i == j) for j in range(5)] for i in range(5)]
    page.get_by_role("button", name="may bank attend to the?").press("Space")
    assert [row.count(0.0) for row in weights()] == [4, 3, 4, 4, 4]
    assert page.evaluate("document.activeElement.dataset.key") == "cell 1 0"
    page.get_by_role("button", name="may the attend to the?").click()
    expect(page.locator(SAID)).to_contain_text("0/0")
    assert all(math.isnan(weight) for weight in weights()[0])


def test_masking_draws_80_10_10(opened, model):
    """Each share within four standard deviations of what it must be; special tokens stay."""
    _, tokenizer = model
    n, rate = 40_000, 0.15
    special, mask = sorted(tokenizer.special_ids), tokenizer.mask_token_id
    ids = [tokenizer.cls_token_id, *[100 + i % 800 for i in range(n)], tokenizer.sep_token_id]
    fates = computed(
        opened("07"),
        "([ids, special, size, mask, rate]) => CoursePanels.corrupt(ids, new Set(special), size, mask, rate,"
        " CoursePanels.generator(7))",
        [ids, special, len(tokenizer), mask, rate],
    )
    assert fates[0] == {"id": ids[0], "fate": ""} and fates[-1] == {"id": ids[-1], "fate": ""}
    found = {
        kind: [i for i, fate in enumerate(fates) if fate["fate"] == kind]
        for kind in ("masked", "random", "kept")
    }
    for kind, share in {"masked": 0.8, "random": 0.1, "kept": 0.1}.items():
        chance = rate * share
        assert abs(len(found[kind]) - n * chance) < 4 * math.sqrt(n * chance * (1 - chance)), kind
    assert all(fates[i]["id"] == mask for i in found["masked"])
    assert all(fates[i]["id"] == ids[i] for i in found["kept"])
    pieces = {fates[i]["id"] for i in found["random"]}
    assert not pieces & set(special) and len(pieces) > 400


ODD = {
    "": "Type a sentence first",
    "x " * 300: "the model reads up to 128",
    "the <b>[MASK]</b> <img src=x onerror=1>": "Blank 1",
}


def test_whatever_is_typed_is_answered_in_words(opened):
    page = opened("00")
    field = page.locator("input[type=text]")
    field.focus()
    wait_for_an_answer(page)
    for text, answer in ODD.items():
        field.fill(text)
        expect(page.locator(SAID)).to_contain_text(answer)
    assert page.locator(".live-view :is(b, img)").count() == 0
    field.fill("a capital of [MASK]")
    assert "capital" in page.locator(".live-foreign").inner_text()
    assert page.locator(".live-foreign mark").all_inner_texts() == ["capital"]


@pytest.mark.parametrize("number", live_panels.PANELS)
def test_without_javascript_the_first_view_stands(opened, number):
    page = opened(number, java_script_enabled=False)
    assert page.locator(".live-view").inner_text().strip()
    assert "with JavaScript" in page.locator(".live-notice").inner_text()


@pytest.mark.parametrize("number", live_panels.PANELS)
def test_a_touched_panel_is_well_in_both_themes_and_at_400_percent(opened, scripts, number):
    page = opened(number, viewport={"width": 1280, "height": 900})
    page.locator(".live-panel :is(input, button)").first.focus()
    wait_for_an_answer(page)
    page.add_script_tag(path=scripts / "axe-core" / "axe.min.js")
    page.evaluate(website.ONE_OF_EACH_COLOUR)
    rules = {"type": "tag", "values": website.TAGS}
    for theme in website.THEMES:
        page.emulate_media(color_scheme=theme)
        options = {"runOnly": rules, "preload": False}
        faults = page.evaluate("options => axe.run('.live-panel', options)", options)["violations"]
        wrong = [fault["help"] for fault in faults if fault["impact"] in website.SERIOUS]
        assert wrong == [], theme
        rules = {"type": "rule", "values": website.RULES_OF_COLOUR}  # all that a theme changes
    page.set_viewport_size({"width": 320, "height": 256})  # 1280 x 1024, each letter four times as large
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    beyond = """[...document.querySelectorAll('.live-panel :is(input, button)')].filter(e =>
        e.getBoundingClientRect().right > innerWidth && !e.closest('.live-wide, .live-view')).length"""
    assert page.evaluate(beyond) == 0
