"""Every slide of every deck in build/slides, looked at in Chromium: what `make slides CHECK=yes` calls."""

import pytest

from tools import slides
from tools.notebooks import chosen


@pytest.mark.parametrize("name", [path.stem for path in chosen([])])
def test_every_slide_is_well(chromium, name):
    deck = slides.FOLDER / f"{name}.html"
    assert deck.exists(), "there is no such deck yet: run `make slides`"
    wrong, figures = slides.look_at(chromium, deck)
    print(figures)
    assert wrong == []
