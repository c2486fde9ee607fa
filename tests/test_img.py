"""The diagrams in img/: drawn by their scripts, described in words, and legible.

Widths are estimated at 0.6 em a character, more than any usual sans-serif needs for these words.
"""

import importlib.util
import re
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from course_utils.classroom import plots

FOLDER = Path(__file__).resolve().parent.parent / "img"
SVG = "{http://www.w3.org/2000/svg}"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("build", "diagram"))
EM = 0.6  # width of a character
SMALLEST_TEXT = 11  # pixels

Extent = tuple[float, float, float, float]  # left, top, right, bottom


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def scripts_find_diagram(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def tree(name) -> ElementTree.Element:
    return ElementTree.fromstring((FOLDER / f"{name}.svg").read_bytes())


def extent(text) -> Extent:
    """The room of a text element; `y` is the middle of the line."""
    x, y, size = (float(text.get(key)) for key in ("x", "y", "font-size"))
    length = EM * size * len(text.text)
    before = {"start": 0, "middle": length / 2, "end": length}[text.get("text-anchor")]
    if text.get("transform"):  # turned by -90 degrees about (x, y): it runs upwards
        assert text.get("transform") == f"rotate(-90 {x:g} {y:g})"
        return x - size / 2, y - (length - before), x + size / 2, y + before
    return x - before, y - size / 2, x - before + length, y + size / 2


def rectangle(rect) -> Extent:
    x, y, width, height = (float(rect.get(key, 0)) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def overlap(a: Extent, b: Extent) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def inside(a: Extent, b: Extent) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


def segments(path) -> list[Extent]:
    points = [tuple(map(float, point)) for point in re.findall(r"[ML](\S+) ([\d.]+)", path.get("d"))]
    return [(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)) for (x0, y0), (x1, y1) in pairwise(points)]


def test_the_two_diagrams_are_there():
    assert {"attention_matrix", "encoder_flow"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_file_is_what_its_script_draws(name):
    drawn = load(name).draw().svg().encode("utf-8")
    stored = (FOLDER / f"{name}.svg").read_bytes()
    assert stored == drawn, f"img/{name}.svg is not what img/{name}.py draws: run `python img/build.py`"


def test_build_draws_every_script(tmp_path):
    for path in FOLDER.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    subprocess.run([sys.executable, tmp_path / "build.py"], check=True, capture_output=True, cwd=tmp_path)
    for name in NAMES:
        assert (tmp_path / f"{name}.svg").read_bytes() == (FOLDER / f"{name}.svg").read_bytes()
    assert len(list(tmp_path.glob("*.svg"))) == len(list(FOLDER.glob("*.svg")))


@pytest.mark.parametrize("name", NAMES)
def test_title_and_description_name_the_image(name):
    root = tree(name)
    assert root.get("role") == "img"
    named_by = root.get("aria-labelledby").split()
    words = {
        element.get("id"): element.text for tag in ("title", "desc") for element in root.findall(SVG + tag)
    }
    assert list(words) == named_by
    title, description = words.values()
    assert 10 <= len(title) <= 80 and len(description) >= 200


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_loaded_from_elsewhere(name):
    source = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    source = source.replace(load("diagram").night(), "")
    assert (
        "href" not in source
        and "@import" not in source
        and "<script" not in source
        and "<style" not in source
    )
    assert set(re.findall(r"url\(([^)]*)\)", source)) <= {"#tip"}
    assert re.findall(r"https?://[^\"']+", source) == ["http://www.w3.org/2000/svg"]
    assert set(re.findall(r'font-family="([^"]*)"', source)) == {"sans-serif"}


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_a_slide_on_its_own_paper(name):
    root = tree(name)
    width, height = float(root.get("width")), float(root.get("height"))
    assert root.get("viewBox") == f"0 0 {width:g} {height:g}"
    assert width <= 1000 and height <= 600
    paper = root.find(SVG + "rect")
    assert rectangle(paper) == (0, 0, width, height) and paper.get("fill") == plots.PAPER
    for text in root.iter(SVG + "text"):
        assert inside(extent(text), (0, 0, width, height)), text.text


@pytest.mark.parametrize("name", NAMES)
def test_letters_are_large_and_dark_enough(name):
    painted = []  # rectangles so far, in the order of painting
    for element in tree(name).iter():
        if element.tag == SVG + "rect" and element.get("fill") != "none":
            painted.append(element)
        elif element.tag == SVG + "text":
            behind = [rect for rect in painted if overlap(extent(element), rectangle(rect))][-1]
            assert float(element.get("font-size")) >= SMALLEST_TEXT, element.text
            assert contrast(element.get("fill"), behind.get("fill")) >= 4.5, element.text


def test_letters_are_bright_enough_at_night():
    diagram = load("diagram")
    for colour in (diagram.INK, diagram.GREY, diagram.NAVY, diagram.RUST):
        assert contrast(diagram.AT_NIGHT[colour], diagram.AT_NIGHT[diagram.PAPER]) >= 4.5


def test_the_first_picture_is_one_run():
    """The beginning and the model's log measure the same run: where both do, they agree."""
    picture = load("first_picture")
    log = {row["step"]: row["held_out"] for row in picture.RUN["log"]}
    both = [(row["held_out"], log[row["step"]]) for row in picture.BEGINNING["rows"] if row["step"] in log]
    assert len(both) >= 3
    for beginning, stored in both:
        assert beginning == pytest.approx(stored, rel=0.1)
    for name, floor in picture.BEGINNING["floors"].items():
        assert floor == pytest.approx(picture.RUN["result"][name], abs=1e-3)
    used = set(re.findall(r'(?:fill|stroke)="(#\w{6})"', picture.draw().svg()))
    assert used == set(load("diagram").AT_NIGHT) & used, "a colour that stays as it is at night"


def contrast(first: str, second: str) -> float:
    """WCAG 2.2, contrast ratio of two colours #RRGGBB."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", NAMES)
def test_words_stay_in_their_boxes(name):
    boxes = [group for group in tree(name).iter(SVG + "g") if group.get("class") == "box"]
    for group in boxes:
        room = rectangle(group.find(SVG + "rect"))
        for text in group.findall(SVG + "text"):
            assert inside(extent(text), room), text.text


@pytest.mark.parametrize("name", NAMES)
def test_labels_touch_neither_each_other_nor_boxes_nor_arrows(name):
    root = tree(name)
    texts = list(root.iter(SVG + "text"))
    for first, second in combinations(texts, 2):
        assert not overlap(extent(first), extent(second)), (first.text, second.text)
    arrows = [
        segment
        for path in root.iter(SVG + "path")
        if path.get("class") == "arrow"
        for segment in segments(path)
    ]
    for text in texts:
        assert not any(overlap(extent(text), segment) for segment in arrows), text.text
    boxes = [rectangle(g.find(SVG + "rect")) for g in root.iter(SVG + "g") if g.get("class") == "box"]
    for text in root.findall(SVG + "text"):  # those outside boxes
        assert not any(overlap(extent(text), box) for box in boxes), text.text


def test_attention_matrix_shows_the_masks_of_the_course():
    masks = pytest.importorskip("course_utils.masks")
    script = load("attention_matrix")
    bidirectional, causal, padding = [
        [[rule(i, j) for j in range(len(tokens))] for i in range(len(tokens))]
        for _, tokens, rule, _ in script.MASKS
    ]
    assert bidirectional == masks.bidirectional_mask(5).tolist()
    assert causal == masks.causal_mask(5).tolist()
    assert padding == masks.combine(masks.bidirectional_mask(6), masks.padding_mask([5], 6))[0].tolist()
    dots = list(tree("attention_matrix").iter(SVG + "circle"))
    assert len(dots) == 25 + 15 + 30 + 1  # and one in the key


def test_encoder_flow_names_what_the_model_has():
    words = " ".join(text.text for text in tree("encoder_flow").iter(SVG + "text"))
    for name in (
        "input_ids",
        "token_type_ids",
        "self-attention",
        "feed-forward",
        "last_hidden_state",
        "num_hidden_layers",
    ):
        assert name in words
    assert words.count("LayerNorm") == 3 and words.count("residual") == 2
    pluses = [circle for circle in tree("encoder_flow").iter(SVG + "circle") if circle.get("r") == "11"]
    assert len(pluses) == 3


def test_ring_all_reduce_sends_one_piece_a_round_until_all_have_all():
    found = load("ring_all_reduce").moments()
    assert list(found) == list(range(7))
    for held, sends in list(found.values())[:6]:
        assert [process for process, _ in sends] == [0, 1, 2, 3]
        assert len({piece for _, piece in sends}) == 4
        assert all(len(set(names)) == len(names) for row in held for names in row)  # nobody is added twice
    finished = [sorted(names) for row in found[3][0] for names in row if len(names) == 4]
    assert finished == [list("ABCD")] * 4  # one for each process
    assert all(sorted(names) == list("ABCD") for row in found[6][0] for names in row)
    words = [text.text for text in tree("ring_all_reduce").iter(SVG + "text")]
    assert sum(sorted(word) == list("ABCD") for word in words) == 4 + 16


def test_diagrams_and_plots_share_their_colours():
    diagram = load("diagram")
    assert (diagram.PAPER, diagram.INK, diagram.GREY, diagram.LINE) == (
        plots.PAPER,
        plots.INK,
        plots.GREY,
        plots.LINE,
    )
    assert {diagram.NAVY, diagram.RUST} == {plots.COLOURS["navy"], plots.COLOURS["rust"]}


def test_embedding_sum_gives_each_token_its_three_rows():
    from course_utils.toy.language import VOCAB_FILE
    from course_utils.wordpiece import WordPieceTokenizer

    script = load("embedding_sum")
    encoding = WordPieceTokenizer.from_file(VOCAB_FILE).encode("the cat sat", "it was happy")
    assert encoding.tokens == script.TOKENS and encoding.token_type_ids == script.SEGMENTS
    words = [text.text for text in tree("embedding_sum").iter(SVG + "text")]
    assert [words.count(f"segment {segment}") for segment in (0, 1)] == [5, 4]
    assert all(words.count(f"position {place}") == 1 for place in range(9))
    pluses = [circle for circle in tree("embedding_sum").iter(SVG + "circle") if circle.get("r") == "11"]
    assert len(pluses) == 2 * 9


def test_greedy_match_tries_what_the_rule_tries():
    from course_utils.wordpiece import greedy_pieces

    script = load("greedy_match")
    vocab = dict.fromkeys(script.VOCABULARY)
    for word, attempts, result in script.WORDS:
        assert greedy_pieces(word, vocab) == result.split()
        for start, end, found in attempts:
            assert (("##" if start else "") + word[start:end] in vocab) == found
        expected, start = [], 0
        while start < len(word):
            ends = [
                end
                for end in range(len(word), start, -1)
                if (("##" if start else "") + word[start:end]) in vocab
            ]
            last = ends[0] if ends else start + 1
            expected += [(start, end, end in ends) for end in range(len(word), last - 1, -1)]
            if not ends:
                break
            start = last
        assert attempts == expected


def test_architecture_cuts_and_numbers_its_sentence_as_bert_does():
    import json

    script = load("architecture")
    known = json.loads(
        (FOLDER.parent / "course_utils" / "data" / "standard_ids.json").read_text(encoding="utf-8")
    )["ids"]
    assert [known[piece] for piece in script.PIECES] == script.IDS


def test_encoder_layer_has_two_pluses_and_two_norms_in_each_order():
    root = tree("encoder_layer")
    places = {"post": [], "pre": []}
    for element in root.iter():
        if element.tag == SVG + "circle" and element.get("r") == "11":
            places["post" if float(element.get("cx")) < 500 else "pre"].append(
                (float(element.get("cy")), "plus")
            )
        elif element.tag == SVG + "text" and element.text in ("LayerNorm", "self-attention", "Linear, GELU"):
            places["post" if float(element.get("x")) < 500 else "pre"].append(
                (float(element.get("y")), element.text)
            )
    order = {side: [what for _, what in sorted(found)] for side, found in places.items()}
    assert order["post"] == ["self-attention", "plus", "LayerNorm", "Linear, GELU", "plus", "LayerNorm"]
    assert order["pre"] == ["LayerNorm", "self-attention", "plus", "LayerNorm", "Linear, GELU", "plus"]


def test_base_and_large_have_the_numbers_of_the_model():
    from course_utils.bert import BertConfig, BertModel, count_parameters

    torch = pytest.importorskip("torch")
    script = load("base_and_large")
    for name, size in script.SIZES.items():
        config = BertConfig.named(name.removeprefix("BERT-"))
        with torch.device("meta"):
            parameters = count_parameters(BertModel(config))
        heads, layers = config.num_attention_heads, config.num_hidden_layers
        assert size == (layers, config.hidden_size, heads, config.intermediate_size, parameters)
