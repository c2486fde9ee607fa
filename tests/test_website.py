"""The reading site: what becomes a page, and that the checks of it find what is wrong."""

import base64
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from course_utils import checkpoints
from course_utils.classroom import progress
from tools import assets, live_panels, panel_cells, site_pages, website

ROOT = Path(__file__).resolve().parent.parent
WELL = (
    '<!DOCTYPE html><html lang="en"><head><title>Page</title></head><body><main><h1'
    ' id="top">Page</h1>{}</main></body></html>'
)


def test_every_page_says_under_its_title_where_to_run_it():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Masks\n\nPromise.")])
    source = website.for_reading(notebook, "05_masks.ipynb").cells[0].source
    title, links, promise = source.split("\n\n")
    assert (title, promise) == ("# Masks", "Promise.")
    assert (
        "mybinder.org/v2/gh/bert-course/bert-course/main?urlpath=lab/tree/notebooks/05_masks.ipynb" in links
    )
    assert (
        "colab.research.google.com/github/bert-course/bert-course/blob/main/notebooks/05_masks.ipynb" in links
    )


def test_every_drawing_of_a_notebook_gets_a_frame_of_its_own_width():
    found = 0
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        notebook = website.for_reading(nbformat.read(path, as_version=4), path.name)
        shown = [
            output.get("data", {}).get("text/html", "")
            for cell in notebook.cells
            for output in cell.get("outputs", [])
        ]
        for html in shown:
            if "data:image/svg" in html:
                found += 1
                width = re.search(r'<div class="diagram" style="--drawn: (\d+)px"><img alt="[^"]+"', html)[1]
                assert f' width="{width}" height="' in html and "max-width" not in html
    assert found > 10


def test_the_index_of_exercises_names_each_of_them_once():
    page = website.exercise_index()
    for names in progress.exercises().values():
        for name in names:
            assert len(re.findall(rf"^\| `{name}` \| \S", page, re.MULTILINE)) >= 1
    rows = re.findall(r"^\| `\w+` \|", page, re.MULTILINE)
    assert len(rows) == sum(map(len, progress.exercises().values()))


def test_everything_that_is_to_be_read_becomes_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "fetch", lambda name: tmp_path)
    (tmp_path / "es5").mkdir()
    (tmp_path / "es5" / "tex-svg.js").touch()
    website.gather(tmp_path / "source")
    pages = {path.name for path in (tmp_path / "source" / "notebooks").iterdir()}
    assert pages == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    index = (tmp_path / "source" / "index.md").read_text(encoding="utf-8")
    assert "\nGLOSSARY\n" in index and "\nexercises\n" in index
    assert "REPOSITORY" not in index and "OTHER_PAGES" not in index


def test_the_map_lists_every_notebook_and_each_has_a_picture():
    rows = site_pages.course_map()
    assert [row.stem for row in rows] == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    for row in rows:
        picture, wanted = site_pages.best_picture(row), site_pages.wanted_pictures().get(row.number, "")
        assert picture is not None, f"{row.stem} has no picture with words"
        assert wanted in picture.words, f"docs/cards.toml: {row.number} has no picture that says {wanted!r}"
    for row in rows:
        assert (
            f"{row.number} {row.title} · {row.minutes} min <notebooks/{row.stem}>" in site_pages.navigation()
        )


def test_what_is_measured_is_what_was_stored():
    run = json.loads((ROOT / "course_utils/data/embedded/training.json").read_text(encoding="utf-8"))
    gap = f"{run['result']['gap']:.3f}"
    assert f"{gap} ± {run['result']['gap_standard_error']:.3f} nats" in (ROOT / "README.md").read_text(
        "utf-8"
    )
    assert f"<strong>{gap}</strong>" in site_pages.measured()


def test_every_figure_and_every_stored_experiment_has_its_place(tmp_path):
    page = site_pages.picture_page(tmp_path)
    figures = sum(len(site_pages.pictures(row.stem)) for row in site_pages.course_map())
    assert page.count("<figcaption>") == len(list((tmp_path / "pictures").iterdir())) == figures > 50
    stored = {path.parent.name for path in (ROOT / "course_utils" / "lessons").glob("*/experiment.json")}
    listed = site_pages.experiment_page()
    assert all(f"course_utils.lessons.{lesson}.experiment\n" in listed for lesson in stored)
    assert listed.count("What it found") >= len(stored)


def test_links_of_a_notebook_hold_on_a_page_beside_its_folder():
    text = (
        "[13](13_what_it_costs.ipynb#Dates), [here](#Dates), [ledger](../LEDGER.md), [web](https://e.org/#a)"
    )
    assert site_pages.from_above(text, "14_family") == (
        "[13](notebooks/13_what_it_costs.ipynb#Dates), [here](notebooks/14_family.ipynb#Dates),"
        " [ledger](LEDGER.md), [web](https://e.org/#a)"
    )


@pytest.mark.parametrize("number", live_panels.PANELS)
def test_every_panel_of_the_site_has_its_cell(number):
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    notebook, panel = nbformat.read(path, as_version=4), live_panels.PANELS[number]
    place = live_panels.place_of(notebook, panel)
    assert place in panel_cells.needed(notebook)
    without = nbformat.v4.new_notebook(cells=notebook.cells[:3])
    with pytest.raises(ValueError, match=f"expected a cell that calls {panel.maker}"):
        live_panels.place_of(without, panel)


def test_a_panel_takes_data_and_first_view_from_its_notebook():
    (path,) = (ROOT / "notebooks").glob("05_*.ipynb")
    panel = live_panels.PANELS["05"]
    data, view = live_panels.run_for(nbformat.read(path, as_version=4), panel)
    assert data["tokens"] == ["the", "bank", "was", "robbed", "yesterday"]
    assert data["mask"] == [[j <= i for j in range(5)] for i in range(5)]
    assert len(data["vectors"]) == 5 and "Attention weights" in view
    html = live_panels.section(panel, data | {"odd": "</script>"}, view, "weights.js")
    assert "\n\n" not in html, "an empty line ends HTML in Markdown"
    assert html.count("</script>") == 1


def test_the_dial_of_the_site_moves_the_embedded_model_and_says_so():
    panel = live_panels.PANELS["06"]
    data, view = live_panels.run_for(nbformat.v4.new_notebook(), panel)
    layers = checkpoints.load("embedded")[0].config.num_hidden_layers
    assert data["layers"] == layers == 3 and f"after {layers} layers, residual times 1.0" in view
    assert data["names"][:2] == ["Sentence", "Layers"] and len(set(data["names"])) == 4
    assert (
        '<p class="live-note">Here the dial moves the trained model of three layers'
        in live_panels.section(panel, data, view, "weights.js")
    )


def test_the_weights_go_into_the_script_bit_for_bit():
    text = live_panels.weights_script()
    content = json.loads(text.removeprefix("courseWeights(").removesuffix(");\n"))
    numbers = np.frombuffer(base64.b64decode(content["data"]), "<f4")
    state = checkpoints.load("embedded")[0].state_dict()
    for name, start, length in content["tensors"]:
        assert np.array_equal(numbers[start : start + length], state[name].flatten().numpy()), name
    assert content["vocab"][state["cls.predictions.bias"].numel() - 1]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('<a href="b.html#here">b</a>', None),
        ('<a href="#top">up</a><a href="https://example.org/">away</a>', None),
        ('<a href="c.html">c</a>', "links to c.html, which is not there"),
        ('<a href="b.html#there">b</a>', "no such place"),
        ('<a href="#there">here</a>', "no such place"),
        ('<img src="x.png" alt="x">', "links to x.png"),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js"),
        ('<script src="//example.org/x.js"></script>', "loads //example.org/x.js"),
    ],
)
def test_every_link_is_followed(tmp_path, body, complaint):
    (tmp_path / "a.html").write_text(WELL.format(body), encoding="utf-8")
    (tmp_path / "b.html").write_text(WELL.format('<p id="here">b</p>'), encoding="utf-8")
    found = list(website.broken_links(tmp_path))
    assert bool(found) == (complaint is not None)
    assert complaint is None or complaint in found[0]


# Code on two grounds, in two colours: the words of one class come twice.
CODE = (
    "<style>.night {{background: #111; color: #fff}} .a {{color: #ccc}} .b {{color: #333}} {2}</style>"
    '<div class="highlight night"><pre><span class="b">first</span> <span class="b">second</span></pre></div>'
    '<div class="highlight"><pre><span class="b">first</span> <span class="{0}">second</span> '
    '<span class="b"{1}>third</span></pre></div>'
)
BRIGHT = ".night .b {color: #fff}"
DARK = "<style>@media (prefers-color-scheme: dark) {body {background: #000; color: #222}}</style>"


@pytest.mark.parametrize(
    ("body", "theme", "complaint"),
    [
        ("<p>All is well.</p>", "light", None),
        ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">', "light", "alternative text"),
        (f"{DARK}<p>Hard to read at night.</p>", "dark", "contrast"),
        (f"{DARK}<p>Easy to read by day.</p>", "light", None),
        (CODE.format("b", "", BRIGHT), "light", None),
        (CODE.format("a", "", BRIGHT), "light", "contrast"),
        (CODE.format("b", ' style="color: #ccc"', BRIGHT), "light", "contrast"),
        (CODE.format("b", "", ""), "light", "contrast"),
        ("<script>undefinedFunction()</script>", "light", "undefinedFunction"),
        ('<img src="https://example.org/x.png" alt="x">', "light", "asks the network"),
        ('<p style="width:3000px">wide</p>', "light", "wider than the window"),
    ],
)
def test_faults_of_a_page_are_found(chromium, scripts, tmp_path, body, theme, complaint):
    (tmp_path / "page.html").write_text(WELL.format(body), encoding="utf-8")
    wrong, _ = website.look_at(chromium, tmp_path / "page.html", [theme])
    assert bool(wrong) == (complaint is not None), wrong
    assert complaint is None or complaint in "\n".join(wrong)


def test_of_words_of_one_colour_one_is_asked_about(chromium, tmp_path):
    (tmp_path / "page.html").write_text(WELL.format(CODE.format("b", "", BRIGHT)), encoding="utf-8")
    page = chromium.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    before = page.locator("main").inner_text()
    page.evaluate(website.ONE_OF_EACH_COLOUR)
    assert page.locator("main span").all_inner_texts() == ["first", "first"]
    assert page.locator("main").inner_text() == before
    page.close()


def test_a_fault_of_the_night_is_found_on_a_page_that_was_opened_by_day(chromium, scripts, tmp_path):
    (tmp_path / "page.html").write_text(WELL.format(f"{DARK}<p>Hard to read.</p>"), encoding="utf-8")
    wrong, passed = website.look_at(chromium, tmp_path / "page.html")
    assert len(wrong) == 1 and "page (dark): serious" in wrong[0] and "contrast" in wrong[0]
    assert passed > 10


def test_the_rules_of_colour_are_all_that_axe_core_has(chromium, scripts, tmp_path):
    """Of the rules that are asked by day, those that axe-core itself counts among colours."""
    (tmp_path / "page.html").write_text(WELL.format("<p>Well.</p>"), encoding="utf-8")
    page = chromium.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.add_script_tag(path=scripts / "axe-core" / "axe.min.js")
    rules = page.evaluate("tags => axe.getRules(tags).map(rule => [rule.ruleId, rule.tags])", website.TAGS)
    page.close()
    assert {name for name, tags in rules if "cat.color" in tags} == set(website.RULES_OF_COLOUR)
