"""The lecture: what stands on which slide, that nothing is lost, and that the look at slides finds faults."""

import base64
import html
import re

import nbformat
import pytest

from tools import slide_plan, slide_words, slides
from tools.notebooks import chosen

PNG = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
    )
).decode()
LONG = " ".join(f"word{i}" for i in range(45))


def text(source: str, kind: str = "-", notes: str = ""):
    cell = nbformat.v4.new_markdown_cell(source)
    cell.metadata["slideshow"] = {"slide_type": kind}
    if notes:
        cell.metadata["speaker_notes"] = notes
    return cell


def code(source: str, *outputs, kind: str = "-", tags=()):
    cell = nbformat.v4.new_code_cell(source, outputs=list(outputs))
    cell.metadata["slideshow"] = {"slide_type": kind}
    cell.metadata["tags"] = list(tags)
    return cell


def printed(words: str):
    return nbformat.v4.new_output("stream", text=words)


def markup(source: str):
    return nbformat.v4.new_output("display_data", data={"text/html": source})


def picture(alt: str = "A point."):
    return nbformat.v4.new_output(
        "display_data", data={"image/png": PNG, "text/plain": alt}, metadata={"image/png": {"alt": alt}}
    )


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def columns(*cells):
    return slide_plan.columns_of(notebook(*cells))


def only(*cells):
    """The one slide that these cells make."""
    ((slide,),) = columns(*cells)
    return slide


# --- Words


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        ("One is here. Two is there!", ["One is here.", "Two is there!"]),
        ('Say it, e.g. now. "the" is a word.', ["Say it, e.g. now.", '"the" is a word.']),
        ("`a. B` is code. **Bold. All of it.** Last", ["`a. B` is code.", "**Bold. All of it.**", "Last"]),
        (
            "In brackets (Yes. Like this.) it goes on. So.",
            ["In brackets (Yes. Like this.) it goes on.", "So."],
        ),
        ("It is 0.5 here.\nNext line.", ["It is 0.5 here.", "Next line."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(paragraph, expected):
    assert slide_words.sentences(paragraph) == expected


def test_a_question_stands_before_a_marked_sentence_and_this_before_the_first_one():
    plain, marked, asked = "We begin with words.", "A **token** is a piece.", "How long is a token?"
    assert slide_words.lead([plain, marked, asked], 20) == [plain, marked, asked]
    assert slide_words.lead([plain, marked, asked], 10) == [marked, asked]
    assert slide_words.lead([plain, marked, asked], 5) == [asked]
    assert slide_words.lead([plain, "And another one."], 20) == [plain]
    assert slide_words.lead(["This is known.", "It follows that.", "Here is the table:"], 20, True) == [
        "Here is the table:"
    ]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Five words are few enough.", "Five words are few enough."),
        ("Now f(x) (with x) is quite enough.", "Now f(x) is quite enough."),
        ("These (and these in brackets) are few enough.", "These are few enough."),
        ("The first half is enough: the second is left out.", "The first half is enough."),
        ("The loss falls and falls, and then it rises again.", "The loss falls and falls …"),
        ("To find it out, ask one more time in a few words.", None),
        ("Is this question, like others, longer than its room?", None),
    ],
)
def test_a_long_sentence_is_cut_where_it_can_be(sentence, expected):
    assert slide_words.cut(sentence, 6) == expected


def test_a_text_between_two_results_is_divided():
    found, leads = slide_words.divide(["The loss is 2.0, and that is much less than before.", "And now?"])
    assert (found, leads) == (["The loss is 2.0, and that is much less than before."], ["And now?"])
    assert slide_words.divide(["The same with two heads:"]) == ([], ["The same with two heads:"])


def test_of_a_list_the_heads_are_shown_and_questions_whole():
    heads = ["**One.**", "*two*", "three"]
    assert slide_words.pages_of(["**One.** More of it.", "*two*: rest", "three;"], 20) == [(1, heads)]
    asked = ["A thing is set. What is it? Is it so?", "B is set. Which one?"]
    assert slide_words.pages_of(asked, 10) == [(1, [asked[0]]), (2, [asked[1]])]
    assert slide_words.pages_of(asked[:1], 7) == [(1, ["A thing is set. What is it?"]), (1, ["Is it so?"])]


def test_a_table_keeps_the_columns_there_is_room_for():
    table = f"|a|b|c|\n|---|---|---|\n|1|2|{LONG} {LONG}|"
    assert slide_words.narrower(table).splitlines() == ["|a|b|", "|---|---|", "|1|2|"]
    assert slide_words.narrower(f"|a|b|\n|---|---|\n|{LONG}|{LONG}|") == ""


# --- Slides


def test_slide_types_decide_where_a_cell_stands():
    first, second = columns(
        text("# One", "slide"),
        text("Below it stands this."),
        code("1 + 1", printed("2")),
        text("Said only, not shown, however much there is of it.", "skip", notes="And this."),
        text("Again?", "subslide"),
        code("2 + 2", printed("4"), kind="skip"),
        text("## Two", "slide"),
        text("Spoken.", "notes"),
        code("3", printed("3")),
    )
    assert [slide.title for slide in first] == ["One", "One"] and first[1].again
    assert first[0].chosen()[0] == ["Below it stands this."]
    assert "And this." in first[0].notes[0] and "Said only" in first[0].notes[-1]
    assert first[1].chosen()[0] == ["Again?"] and not first[1].outputs
    assert [slide.title for slide in second] == ["Two"] and "Spoken." in second[0].notes[0]


def test_a_heading_opens_a_slide_and_the_text_above_it_closes_the_one_before():
    first, second = columns(
        text("# One\n\nWhat?", "slide"),
        text("That was one.\n\n## Two\n\nNew.", "slide"),
        text("### Three\n\nNewer.", "-"),
    )
    assert "That was one." in "".join(first[0].notes) and "That was one." not in "".join(second[0].notes)
    assert [slide.title for slide in second] == ["Two", "Three"]


def test_a_picture_has_its_slide_without_its_code():
    slide = only(text("# One\n\nWhat do you see?", "slide"), code("plots.bars(x).show()", picture('a "dot"')))
    page = slide.to_html()
    assert 'alt="a &quot;dot&quot;"' in page and '<div class="picture fragment">' in page
    assert not slide.code and slide.fold == ["plots.bars(x).show()"]
    words = markup("<details><summary>The picture in words</summary>A point.</details>")
    assert slide_plan.output_to_html(words) == ("", "nothing")


def test_code_stands_where_it_is_short_or_the_lesson_and_else_behind_a_fold():
    short = "import torch\n\ny = x + 1  # (n,)\nassert y\nprint(y)"
    assert only(text("# One", "slide"), code(short, printed("2"))).code == ["y = x + 1  # (n,)"]
    long = "\n".join(f"x{i} = {i}" for i in range(12))
    slide = only(text("# One", "slide"), code(long, printed("2")))
    assert not slide.code and slide.fold == [long]
    slide = only(text("# One", "slide"), code(long, tags=["same-as:course_utils.bert.BertModel"]))
    assert slide.code == [long]
    loop = "for i in range(3):\n    print(i)"
    assert only(text("# One", "slide"), code(loop, printed("0\n1\n2"))).code == []


def test_a_long_listing_is_divided_between_slides_and_a_long_print_ends_in_the_notes():
    listing = "\n".join(f"x{i} = {i}" for i in range(50))
    (column,) = columns(text("# One", "slide"), code(listing, tags=["same-as:x"]))
    assert "\n".join(part for slide in column for part in slide.code) == listing
    assert all(part.count("\n") < slide_plan.MOST_CODE_LINES for slide in column for part in slide.code)
    slide = only(text("# One", "slide"), code("f()", printed("\n".join(f"line {i}" for i in range(40)))))
    assert "line 39" not in slide.outputs[0] and "line 39" in slide.notes[-1]


def test_what_was_found_appears_after_the_result_and_the_rest_leads_on():
    (column,) = columns(
        text("# One\n\nHow much is it?", "slide"),
        code("f()", printed("2")),
        text("It is two, which nobody had expected before. What about three?", "skip"),
        code("g()", printed("3")),
    )
    first, second = column
    assert first.chosen() == (["How much is it?"], ["It is two, which nobody had expected before."])
    assert '<div class="finding fragment">' in first.to_html()
    assert second.again and second.chosen()[0] == ["What about three?"]
    assert "expected" in first.notes[-1] and "three" in second.notes[0]


def test_small_results_without_a_text_between_them_stand_together():
    cells = [code("f()", printed("2")), code("g()", printed("3"))]
    assert len(only(text("# One", "slide"), *cells).outputs) == 2


def test_the_questions_of_a_guess_are_asked_one_by_one():
    questions = "\n".join(f"{i}. {'Words to say. ' * 7}Which is it?" for i in (1, 2))
    above = f"Some words.\n\n> quoted\n\n{'This is set. ' * 10}"
    guess = text(f"## A guess first\n\n{above}\n\n{questions}\n\nWrite it down.", "slide")
    ((_, known, *asked),) = columns(text("# One\n\nWords.", "slide"), guess)
    assert known.quotation == "> quoted" and known.chosen()[0] == ["Some words.", *["This is set."] * 10]
    assert [slide.first_item for slide in asked] == [1, 2]
    assert all(slide.minutes == 45 and 'class="fragment"' in slide.to_html() for slide in asked)


def test_exercises_are_a_list_and_their_stubs_stand_behind_the_fold():
    slide = only(
        text("## Exercises\n\nEach has a check.", "slide"),
        text("**1. Add.** Return the sum.", "skip"),
        code("def add(a, b): ...\n\n\nex.add.check(add)", printed("not attempted yet"), kind="skip"),
        text("**2. Take away.** Return the difference.", "skip"),
    )
    assert slide.items == ["Add", "Take away"] and "ex.add.check" in slide.fold[0]
    assert "Return the sum." in "".join(slide.notes) and not slide.outputs


@pytest.mark.parametrize("before", ["It is two. ", ""])
def test_an_exercise_between_two_results_is_said_and_not_shown(before):
    task = "**Exercise 1. Add.** Return the sum. What does it come to?"
    ((first, second),) = columns(
        text("# One\n\nHow much is it?", "slide"),
        code("f()", printed("2")),
        text(f"{before}\n\n{task}".strip(), "skip"),
        text("Replace the `...`:", "skip"),
        code("def add(a, b): ...\n\n\nex.add.check(add)", printed("not attempted yet"), kind="skip"),
        text("What about three?"),
        code("g()", printed("3")),
    )
    assert first.chosen() == (["How much is it?"], [before.strip()] * bool(before))
    assert second.chosen() == (["What about three?"], [])
    assert "Return the sum" in "".join(first.notes) and "Return the sum" not in "".join(second.notes)


def test_a_section_to_be_skipped_is_not_in_the_lecture_unless_a_result_of_it_is():
    start = text("# One\n\nWords.", "slide")
    assert len(columns(start, text("## Quiz\n\nOpen it.", "skip"))[0]) == 1
    _, shown = columns(start, text("## More\n\nSee here.", "skip"), code("f()", printed("2")))[0]
    assert shown.title == "More" and shown.chosen()[0] == ["See here."]


def test_there_are_no_more_columns_than_fifteen_and_short_lectures_know_their_slides():
    cells = [text("# Title\n\nWords.", "slide")]
    for i in range(20):
        cells.append(text(f"## Section {i}\n\nWords.", "slide"))
        cells += [cell for _ in range(3) for cell in (code("f()", printed("2")), text("And now?", "skip"))]
        if i == 7:
            cells.append(code("f()", picture()))
    found = columns(*cells)
    everything = [slide for column in found for slide in column]
    assert len(found) == slide_plan.MOST_COLUMNS
    assert all(column[0].minutes == 45 for column in found)
    assert [slide.minutes for slide in everything if slide.pictures] == [45]
    assert sum(slide.minutes > 0 for slide in everything) == slide_plan.MOST_SLIDES[90]
    assert sum("may be cut for 45 or 90" in slide.to_html() for slide in everything) == len(everything) - 45


def test_nothing_typed_becomes_markup():
    assert slide_plan.output_to_html(printed("<b>")) == ("<pre>&lt;b&gt;</pre>", "output")


def test_links_lead_to_other_decks_and_to_the_project():
    assert slides.address_of("05_masks.ipynb", "#Part") == "05_masks.html"
    assert slides.address_of("../GLOSSARY.md", "#mask").endswith("/blob/main/GLOSSARY.md#mask")


# --- The notebooks


def bare(markup: str) -> str:
    """The letters and digits of a piece of markup."""
    return re.sub(r"\W+", "", html.unescape(re.sub(r"<[^>]+>", "", markup)))


@pytest.mark.parametrize("path", chosen([]), ids=lambda path: path.stem)
def test_every_deck_has_few_words_a_slide_few_main_slides_and_loses_no_text(path):
    cells = nbformat.read(path, as_version=4)
    found = slide_plan.columns_of(cells)
    everything = [slide for column in found for slide in column]
    assert len(found) <= slide_plan.MOST_COLUMNS
    assert sum(slide.minutes == 45 for slide in everything) <= slide_plan.MOST_SLIDES[45]
    assert sum(slide.minutes > 0 for slide in everything) <= slide_plan.MOST_SLIDES[90]
    tasks = [
        below.removeprefix(slide_plan.before_task(below))
        for cell in cells.cells
        if cell.cell_type == "markdown"
        for _, _, below in slide_plan.pieces(cell.source)
    ]
    asked = {sentence for task in tasks for sentence in slide_words.Prose.of(task).sentences}
    assert len(asked) >= 3
    for slide in everything:
        above, below = slide.chosen()
        assert not asked & {*above, *below}, f"{slide.title}: a part of an exercise"
        assert slide_words.count(" ".join([slide.title, *above, *below, *slide.items])) <= 40, slide.title
        assert above or slide.shows, f"{slide.title}: nothing but a headline"
    said = "".join(bare(slide.to_html()) for slide in everything)
    for cell in cells.cells:
        if cell.cell_type == "markdown" and cell.metadata["slideshow"]["slide_type"] != "skip":
            for _, _, below in slide_plan.pieces(cell.source):
                for sentence in slide_words.Prose.of(below).sentences:
                    assert bare(slide_plan.text_to_html(sentence)) in said, sentence


# --- In Chromium


def deck_of(tmp_path, *cells):
    slides.copy_assets(tmp_path)
    deck = tmp_path / "deck.html"
    deck.write_text(slides.to_page(notebook(*cells), tmp_path), encoding="utf-8")
    return deck


LECTURE = [
    text("# One\n\nAt $x^2$ we stop. Why?", "slide", notes="say it"),
    code("y = x + 1\nprint(y)", printed("\n".join(f"{i:3} {'long ' * 20}" for i in range(15)))),
    text("It stops there because it cannot go on.", "skip"),
    *(text(f"## Section {i}\n\nWords.", "slide") for i in range(2)),
    code("f()", picture()),
    text("Another?", "subslide"),
    *(cell for i in range(50) for cell in (code("f()", printed("2")), text(f"Case {i} of them:", "skip"))),
]


def test_everything_fits_on_its_slide(chromium, scripts, tmp_path):
    wrong, figures = slides.look_at(chromium, deck_of(tmp_path, *LECTURE))
    assert wrong == []
    count, mains, maths, _, smallest, most = map(float, re.findall(r"[\d.]+", figures))
    assert (mains, maths) == (3, 2) and count > 45
    assert smallest >= slides.SMALLEST_TEXT and most <= slide_words.MOST_WORDS


def test_a_result_comes_after_its_question_and_the_finding_after_the_result(chromium, scripts, tmp_path):
    page, _ = slides.opened(chromium, deck_of(tmp_path, *LECTURE))
    shown = "[...Reveal.getCurrentSlide().querySelectorAll('.fragment.visible')].map((e) => e.className)"
    assert page.evaluate(shown) == []
    for number, name in [(1, "output"), (2, "finding")]:
        page.keyboard.press("Space")
        found = page.evaluate(shown)
        assert len(found) == number and name in found[-1]
    page.keyboard.press("c")
    assert page.evaluate("document.querySelector('.fold').open")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.getIndices().h") == 1
    assert not page.evaluate("document.querySelector('.fold').open")
    page.context.close()


def test_a_short_lecture_leaves_out_what_may_be_cut(chromium, scripts, tmp_path):
    deck = deck_of(tmp_path, *LECTURE)
    counts = []
    for query in ("?minutes=45", "?minutes=90"):
        page, watch = slides.opened(chromium, deck, query=query)
        counts.append(page.evaluate("Reveal.getTotalSlides()"))
        assert watch.errors == []
        page.context.close()
    assert counts == [4 - 1, slide_plan.MOST_SLIDES[90]]


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        (code("f()", markup('<p style="font-size:8px">tiny</p>')), "pixels, smaller than"),
        (text('<img src="https://example.org/x.png" alt="x">'), "asks the network"),
        (code("f()", markup('<img src="data:image/png;base64,AAAA" alt="x">')), "has no picture"),
        (code("f()", markup(f'<img src="data:image/png;base64,{PNG}">')), "has no alternative text"),
        (text("See $\\frac{1$ here."), "mathematics"),
        (text('<script>console.error("a mistake")</script>words'), "a mistake"),
        (code("f()", markup('<div style="width:2000px">wide</div>')), "stands out of the slide"),
        (code("f()", markup('<p style="color:#ddd; background:#fff">pale</p>')), "hardly stands out"),
        (code("f()", markup(f"<p>{LONG}</p>")), "words of prose, more than 40"),
        (text('<div><p style="width:2000px">wide</p></div>'), "run over the edge"),
    ],
)
def test_what_is_wrong_on_a_slide_is_found(chromium, scripts, tmp_path, cell, complaint):
    wrong, _ = slides.look_at(chromium, deck_of(tmp_path, text("# One\n\nWords.", "slide"), cell))
    assert complaint in "\n".join(wrong)
