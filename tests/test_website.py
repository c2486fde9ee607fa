"""The reading site: what becomes a page, and that the checks of it find what is wrong."""

import re
from pathlib import Path

import nbformat
import pytest

from course_utils.classroom import progress
from tools import assets, website

ROOT = Path(__file__).resolve().parent.parent
WELL = (
    '<!DOCTYPE html><html lang="en"><head><title>Page</title></head><body><main><h1'
    ' id="top">Page</h1>{}</main></body></html>'
)


def test_every_page_says_under_its_title_where_to_run_it():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Masks\n\nPromise.")])
    source = website.with_links(notebook, "05_masks.ipynb").cells[0].source
    title, links, promise = source.split("\n\n")
    assert (title, promise) == ("# Masks", "Promise.")
    assert (
        "mybinder.org/v2/gh/bert-course/bert-course/main?urlpath=lab/tree/notebooks/05_masks.ipynb" in links
    )
    assert (
        "colab.research.google.com/github/bert-course/bert-course/blob/main/notebooks/05_masks.ipynb" in links
    )


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


DARK = "<style>@media (prefers-color-scheme: dark) {body {background: #000; color: #222}}</style>"


@pytest.mark.parametrize(
    ("body", "theme", "complaint"),
    [
        ("<p>All is well.</p>", "light", None),
        ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">', "light", "alternative text"),
        (f"{DARK}<p>Hard to read at night.</p>", "dark", "contrast"),
        (f"{DARK}<p>Easy to read by day.</p>", "light", None),
        ("<script>undefinedFunction()</script>", "light", "undefinedFunction"),
        ('<img src="https://example.org/x.png" alt="x">', "light", "asks the network"),
        ('<p style="width:3000px">wide</p>', "light", "wider than the window"),
    ],
)
def test_faults_of_a_page_are_found(chromium, scripts, tmp_path, body, theme, complaint):
    (tmp_path / "page.html").write_text(WELL.format(body), encoding="utf-8")
    wrong, _ = website.look_at(chromium, tmp_path / "page.html", theme)
    assert bool(wrong) == (complaint is not None), wrong
    assert complaint is None or complaint in "\n".join(wrong)
