"""What readers do with build/site beside reading: turn pages by keys, fold exercises, take a quiz, print. And
that all of it can be read: nothing is cut off, and no letter is too small.
"""

import base64
import re
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from tools import site_pages, website
from tools.notebooks import FOLDER

ROWS = site_pages.course_map()
SMALLEST_LETTERS = 11  # pixels


@pytest.fixture
def blank(chromium):
    """A page that is watched and shows nothing yet."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    watch = website.browser.Watch(page)
    yield page
    context.close()
    assert watch.errors == [] and watch.foreign == []


@pytest.fixture
def page(blank):
    """A page that shows one notebook."""
    blank.goto(address_of(ROWS[5]))
    return blank


def address_of(row) -> str:
    return (website.SITE / "notebooks" / f"{row.stem}.html").as_uri()


def test_arrow_keys_turn_the_pages_where_nothing_waits_for_them(page):
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**/{ROWS[6].stem}.html")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(f"**/{ROWS[5].stem}.html")
    page.locator(".live-panel button").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert page.url.endswith(f"{ROWS[5].stem}.html")


def test_exercises_fold_and_say_nothing_to_a_reader_who_cannot_run_them(page):
    boxes = page.locator("details.exercise")
    assert boxes.count() >= 5
    first = boxes.first
    assert first.evaluate("e => e.open") and first.locator("pre").first.is_visible()
    first.locator("summary").first.click()
    assert not first.locator("pre").first.is_visible()
    assert "not attempted yet" not in page.locator("article").inner_text()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_every_exercise_folds_from_its_title_to_its_check(blank, row):
    blank.goto(address_of(row))
    cells = nbformat.read(FOLDER / f"{row.stem}.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    titles = re.findall(r"^\*\*((?:Exercise )?\d+\. .+?)\*\*", text, re.MULTILINE)
    boxes = blank.locator("details.exercise")
    folded = [" ".join(title.split()) for title in boxes.locator("> summary").all_inner_texts()]
    assert len(titles) >= 3 and len(folded) == len(titles)
    for title, shown in zip(titles, folded, strict=True):
        assert shown.split(".")[0] == title.split(".")[0]
    for box in boxes.all():
        assert box.locator("> .cell").last.inner_text().count(".check(") == 1


def test_a_quiz_remembers_the_first_answers_on_this_device(page):
    def notes():
        return [
            note for note in page.locator("#quiz p.quiz-note").all_inner_texts() if "first answer:" in note
        ]

    options = page.locator("#quiz .cell_output details")
    assert notes() == []
    options.nth(0).locator("summary").click()
    page.wait_for_function("document.querySelector('#quiz .quiz-note').textContent")
    first = notes()
    assert len(first) == 1 and first[0].startswith("Your first answer: A, ")
    options.nth(1).locator("summary").click()  # what is opened later changes nothing
    page.reload()
    assert notes() == first
    page.get_by_role("button", name="Forget my answers").click()
    assert notes() == []
    page.reload()
    assert notes() == []


def test_print_opens_what_is_folded_and_leaves_out_what_is_for_the_screen(page):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#quiz details:not([open])").count() == 0
    assert page.locator("#quiz details p").first.is_visible()
    assert not page.locator(".skip-to-content").is_visible()
    assert page.evaluate(
        "[...document.querySelectorAll('pre')].every(e => e.scrollWidth <= e.clientWidth + 1)"
    ), "code is cut off"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#quiz details[open]").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_turn_dark_with_the_page(page, theme):
    page.emulate_media(color_scheme=theme)
    filters = page.evaluate(
        "[...document.querySelectorAll('article img')].map(e => getComputedStyle(e).filter)"
    )
    assert filters and {found == "none" for found in filters} == {theme == "light"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_code_and_outputs_do_not_scroll_sideways_at_1280_pixels(blank, row):
    """And no line is broken, so columns stay in line."""
    blank.goto(address_of(row))
    blank.add_style_tag(content=".cell pre { white-space: pre !important; }")
    wide = blank.evaluate(
        """[...document.querySelectorAll('.cell_input pre, .cell_output, .cell_output *')]
        .filter(e => e.scrollWidth > e.clientWidth + 1
            && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
        .map(e => `${e.scrollWidth - e.clientWidth} pixels: ${e.textContent.slice(0, 60)}`)"""
    )
    assert wide == []
    sizes = blank.evaluate(
        "[...document.querySelectorAll('.cell pre')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= SMALLEST_LETTERS


def drawings(page) -> list[tuple[float, bool]]:
    """Of every drawing of a page, the size of its smallest letters in pixels, and whether its box scrolls."""
    images = page.evaluate(
        """[...document.querySelectorAll('article img')].filter(e => /^data:image.svg|[.]svg$/.test(e.src))
        .map(e => [e.src, e.getBoundingClientRect().width, e.closest('.diagram')])
        .map(([source, width, box]) => [source, width, box && box.scrollWidth > box.clientWidth + 1])"""
    )
    found = []
    for source, width, scrolls in images:
        parts = urlsplit(source)
        if parts.scheme == "data":
            text = base64.b64decode(source.partition(",")[2]).decode()
        else:
            text = (website.SITE / "_images" / unquote(parts.path).rsplit("/")[-1]).read_text("utf-8")
        drawn = float(re.search(r'<svg[^>]* width="([\d.]+)"', text)[1])
        smallest = min(map(float, re.findall(r'font-size="([\d.]+)"', text)))
        found.append((smallest * width / drawn, scrolls))
    return found


@pytest.mark.parametrize("name", ["index", *(f"notebooks/{row.stem}" for row in ROWS)])
def test_the_letters_of_drawings_can_be_read(blank, name):
    """On a phone, where a drawing scrolls in its own box; on a small and on a large screen, whole."""
    blank.goto((website.SITE / f"{name}.html").as_uri())
    for width in (390, 1280, 1920):
        blank.set_viewport_size({"width": width, "height": 900})
        for size, scrolls in drawings(blank):
            assert size >= SMALLEST_LETTERS - 0.01, width
            assert scrolls == (width == 390), width
        assert blank.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def test_there_are_drawings_to_look_at(page):
    assert len(drawings(page)) == 1
    page.goto((website.SITE / "index.html").as_uri())
    assert len(drawings(page)) == 1


def test_the_map_has_a_card_and_an_entry_for_every_notebook(blank):
    blank.goto((website.SITE / "index.html").as_uri())
    cards = blank.locator(".cards a").all_inner_texts()
    assert len(cards) == len(ROWS)
    for row, card in zip(ROWS, cards, strict=True):
        assert row.number in card and f"{row.minutes} minutes" in card and row.title in card
    entries = blank.locator(".sidebar-tree a").all_inner_texts()
    for row in ROWS:
        assert f"{row.number} {row.title} · {row.minutes} min" in entries
