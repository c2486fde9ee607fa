"""Tables of text: what is aligned keeps every cell in its column, and Markdown is read back cell by cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from course_utils.tables import aligned, markdown

CELLS = st.text("abc19,.", min_size=1, max_size=8)
TABLES = st.integers(1, 5).flatmap(
    lambda width: st.tuples(
        st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=6), st.integers(0, width)
    )
)


def test_words_begin_on_the_left_and_numbers_end_on_the_right():
    lines = [["module", "parameters"], ["embeddings", "23"], ["all", "1,234"]]
    assert aligned(lines) == [
        "module      parameters",
        "embeddings          23",
        "all              1,234",
    ]


@given(TABLES)
def test_every_cell_stands_in_its_column(drawn):
    lines, words = drawn
    start = 0
    for place, column in enumerate(zip(*lines, strict=True)):
        width = max(map(len, column))
        for cell, line in zip(column, aligned(lines, words), strict=True):
            field = line.ljust(200)[start : start + width]
            assert (field.rstrip() if place < words else field.lstrip()) == cell
        start += width + 2


@given(TABLES)
def test_markdown_is_read_back_cell_by_cell(drawn):
    lines, words = drawn
    tokens = MarkdownIt().enable("table").parse("\n".join(markdown(lines, words)))
    read = [t.content for t in tokens if t.type == "inline"]
    assert read == [cell for line in lines for cell in line]
    right = [t.attrs.get("style") == "text-align:right" for t in tokens if t.type == "th_open"]
    assert right == [place >= words for place in range(len(lines[0]))]


def test_lines_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="argument"):
        aligned([["a", "b"], ["c"]])
