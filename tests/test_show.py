"""Printing matrices with words."""

import pytest
import torch

from course_utils import show


def test_rows_align_words_numbers_and_columns(capsys):
    show.rows(["a", "bank"], torch.tensor([[1.0, -0.25], [10.0, 0.0]]), columns=["x", "yy"])
    assert capsys.readouterr().out == "          x     yy\n   a   1.00  -0.25\nbank  10.00   0.00\n"


def test_booleans_strings_and_whole_numbers_print_as_they_are(capsys):
    show.rows(["m", "n"], [[True, False], ["the", 7]])
    assert capsys.readouterr().out == "m  yes  ·\nn  the  7\n"


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="words has 1 entries; the matrix has 2 rows"):
        show.rows(["a"], [[1], [2]])
    with pytest.raises(ValueError, match="columns has 2 entries"):
        show.rows(["a"], [[1]], columns=["x", "y"])
