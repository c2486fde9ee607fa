"""Printing matrices with words."""

import numpy as np
import pytest
import torch

from course_utils import show


def test_rows_align_words_numbers_and_columns(capsys):
    show.rows(["a", "bank"], torch.tensor([[1.0, -0.25], [10.0, 0.0]]), columns=["x", "yy"])
    assert capsys.readouterr().out == "          x     yy\n   a   1.00  -0.25\nbank  10.00   0.00\n"


def test_booleans_strings_and_whole_numbers_print_as_they_are(capsys):
    show.rows(["m", "n"], [[True, False], ["the", 7]])
    assert capsys.readouterr().out == "m  yes  ·\nn  the  7\n"


@pytest.mark.parametrize("kind", [torch.tensor, np.array, np.float32, np.float64])
def test_a_number_in_a_tensor_or_of_numpy_prints_as_a_number(capsys, kind):
    show.rows(["cosine"], [[kind(0.69846), 1.0]])
    assert capsys.readouterr().out == "cosine  0.70  1.00\n"


@pytest.mark.parametrize(
    ("truth", "number"), [(torch.tensor(True), torch.tensor(7)), (np.True_, np.int64(7))]
)
def test_a_boolean_and_a_whole_number_of_torch_or_numpy_too(capsys, truth, number):
    show.rows(["m"], [[truth, number, ~truth]])
    assert capsys.readouterr().out == "m  yes  7  ·\n"


def test_what_rounds_to_zero_has_no_sign(capsys):
    show.rows(["x"], [[-1e-9, -0.004, 0.0, 1e-9, -0.006]])
    assert capsys.readouterr().out == "x  0.00  0.00  0.00  0.00  -0.01\n"


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="words has 1 entries; the matrix has 2 rows"):
        show.rows(["a"], [[1], [2]])
    with pytest.raises(ValueError, match="columns has 2 entries"):
        show.rows(["a"], [[1]], columns=["x", "y"])
