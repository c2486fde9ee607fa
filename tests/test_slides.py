"""The lecture: what stands on which slide, and that the look at every slide finds what is wrong."""

import base64
import re

import nbformat
import pytest

from tools import slides

PNG = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
    )
).decode()


def text(source: str, kind: str = "-", notes: str = ""):
    cell = nbformat.v4.new_markdown_cell(source)
    cell.metadata["slideshow"] = {"slide_type": kind}
    if notes:
        cell.metadata["speaker_notes"] = notes
    return cell


def code(source: str, *outputs, kind: str = "-"):
    cell = nbformat.v4.new_code_cell(source, outputs=list(outputs))
    cell.metadata["slideshow"] = {"slide_type": kind}
    return cell


def printed(words: str):
    return nbformat.v4.new_output("stream", text=words)


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def test_slide_types_decide_where_a_cell_stands():
    sections = slides.sections_of(
        notebook(
            text("# One", "slide"),
            text("below"),
            code("1 + 1", kind="subslide"),
            text("not shown", "skip", notes="said all the same"),
            text("# Two", "slide", notes="a note"),
            text("spoken", "notes"),
        )
    )
    assert [len(section) for section in sections] == [2, 1]
    first, second = sections[0]
    assert "One" in first.blocks[0] and "below" in first.blocks[1]
    assert "source" in second.blocks[0] and not any("not shown" in block for block in second.blocks)
    assert "said all the same" in second.notes[0]
    assert [note.strip() for note in sections[1][0].notes] == ["<p>a note</p>", "<p>spoken</p>"]


def test_a_heading_opens_a_slide_and_the_text_above_it_closes_the_one_before():
    sections = slides.sections_of(
        notebook(
            text("# One", "slide"), text("That was one.\n\n## Two\n\nNew.", "slide"), text("## Three", "-")
        )
    )
    assert [len(section) for section in sections] == [1, 2]
    assert "That was one." in sections[0][0].blocks[-1]
    assert "That was one." not in sections[1][0].to_html()


def test_outputs_keep_their_pictures_and_texts_and_nothing_typed_becomes_markup():
    picture = nbformat.v4.new_output(
        "display_data",
        data={"image/png": PNG, "text/plain": "<Figure>"},
        metadata={"image/png": {"alt": 'a "dot"'}},
    )
    assert 'alt="a &quot;dot&quot;"' in slides.output_to_html(picture)
    assert "Figure" not in slides.output_to_html(picture)
    assert "&lt;b&gt;" in slides.output_to_html(printed("<b>"))


def test_links_lead_to_other_decks_and_to_the_project():
    assert slides.address_of("05_masks.ipynb", "#Part") == "05_masks.html"
    assert slides.address_of("../GLOSSARY.md", "#mask").endswith("/blob/main/GLOSSARY.md#mask")


def deck_of(tmp_path, *cells):
    slides.copy_assets(tmp_path)
    deck = tmp_path / "deck.html"
    deck.write_text(slides.to_page(notebook(*cells), tmp_path), encoding="utf-8")
    return deck


def test_slides_too_full_are_continued_until_everything_fits(chromium, scripts, tmp_path):
    lines = "\n".join(f"value_{i} = {i}" for i in range(25))
    cells = [text("# Long\n\nAt $x^2$ we stop.", "slide", notes="say it")]
    cells += [code(lines, printed("\n".join(map(str, range(20))))) for _ in range(3)]
    wrong, figures = slides.look_at(chromium, deck_of(tmp_path, *cells))
    assert wrong == []
    count, maths, notes, smallest, _ = map(float, re.findall(r"[\d.]+", figures))
    assert count >= 4
    assert (maths, notes) == (1, 1)
    assert smallest >= slides.SMALLEST_TEXT


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        (code("\n".join(f"x = {i}" for i in range(90))), "pixels, smaller than"),
        (text('<img src="https://example.org/x.png" alt="x">'), "asks the network"),
        (text('<img src="data:image/png;base64,AAAA" alt="x">'), "has no picture"),
        (text("$\\frac{1$"), "mathematics"),
        (text('<script>console.error("a mistake")</script>words'), "a mistake"),
        (text('<div style="width:2000px">wide</div>'), "stands out of the slide"),
    ],
)
def test_what_is_wrong_on_a_slide_is_found(chromium, scripts, tmp_path, cell, complaint):
    wrong, _ = slides.look_at(chromium, deck_of(tmp_path, text("# One", "slide"), cell))
    assert complaint in "\n".join(wrong)
