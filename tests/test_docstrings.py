"""Documentation as a corpus: read and not imported, cleaned, unrepeated, and split so that nothing leaks."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from course_utils import docstrings
from course_utils.docstrings import Passage

NOISE = '''"""Open the valve {n} and wait until {n} the left tank {n} is even.

Parameters
----------
valve : int
    Which valve of {n} the many valves {n} that the plant has to open before noon.

>>> open_valve(3)
The valve of {n} the left tank is now {n} open and the water {n} runs to the sea.

    An indented block of words that looks like prose but is a piece of code.

Returns a = b(c) when the valve {n} is shut and the sea is calm and cold.

This line names NumPy and so it gives away where the whole passage {n} comes from.
"""
raise SystemExit("a module of this tree was imported")


def shut(valve):
    """Shut the :class:`~plant.Valve` with ``handle`` {n} before the *evening* shift {n} leaves the hall."""

    def inner():
        """An inner function {n} tells the night shift {n} that every door {n} has been locked."""


class Tank:
    """Hold the water {n} of this spring {n} for the dry months {n}. It has room for
    much {n} more than that.
    """
'''


def words_for(n: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(n)) + "x"


@pytest.fixture
def plant(tmp_path, monkeypatch) -> str:
    """A package of twenty modules, and what must not be read beside them."""
    root = tmp_path / "plant_of_the_test"
    (root / "deep").mkdir(parents=True)
    (root / "tests").mkdir()
    for n in range(20):
        path = root / ("deep" if n % 2 else ".") / f"part{n:02d}.py"
        path.write_text(NOISE.replace("{n}", words_for(n)), encoding="utf-8")
    (root / "__init__.py").write_text('"""Short."""\nraise SystemExit\n', encoding="utf-8")
    (root / "broken.py").write_text("def (", encoding="utf-8")
    (root / "latin.py").write_bytes(b'# -*- coding: nonsense -*-\n"""\xff"""')
    (root / "tests" / "case.py").write_text(NOISE.replace("{n}", "in the tests"), encoding="utf-8")
    (root / "test_more.py").write_text(NOISE.replace("{n}", "in a test"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return root.name


def test_prose_is_kept_and_the_rest_is_not(plant):
    module, path = docstrings.source_files(plant)[-1]
    found = list(docstrings.prose(path, min_words=8, max_words=40))
    n = words_for(int(module[-2:]))
    assert found == [
        f"Open the valve {n} and wait until {n} the left tank {n} is even.",
        f"Shut the Valve with handle {n} before the evening shift {n} leaves the hall.",
        f"An inner function {n} tells the night shift {n} that every door {n} has been locked.",
        (
            f"Hold the water {n} of this spring {n} for the dry months {n}. It has room for much {n} more"
            " than that."
        ),
    ]


def test_whole_sentences_up_to_the_limit():
    text = "One two three. Four five six seven. Eight"
    assert docstrings.first_sentences(text, 2) == ""
    assert docstrings.first_sentences(text, 6) == "One two three."
    assert docstrings.first_sentences(text, 40) == "One two three. Four five six seven."


@pytest.mark.parametrize(
    ("marked", "clear"),
    [
        (":class:`~a.b.C` and :func:`f`", "C and f"),
        (":class:`a.b.C` and :ref:`the page <label>`", "a.b.C and the page"),
        ("``x`` or `y`_ or `the page <https://example.org>`_", "x or y or the page"),
        ("[the page](https://example.org) is *very* **good**", "the page is very good"),
        ("a * b and 2*3", "a * b and 2*3"),
    ],
)
def test_markup_is_taken_away(marked, clear):
    assert docstrings.plain(marked) == clear


def test_nothing_is_imported_and_tests_are_not_read(plant):
    before = set(sys.modules)
    found = docstrings.passages([plant], per_library=40, min_words=8)
    assert not {name for name in set(sys.modules) - before if name.startswith("plant")}
    assert not any("test" in passage.text for passage in found)
    assert {passage.module.rpartition(".")[0] for passage in found} == {plant, f"{plant}.deep"}


def test_the_same_seed_gives_the_same_passages(plant):
    one, again, other = (docstrings.passages([plant], 30, seed=seed, min_words=8) for seed in (1, 1, 2))
    assert one == again != other
    assert len(one) == len(set(one)) == 30


def test_what_stands_in_two_modules_is_taken_once(plant, tmp_path):
    copy = NOISE.replace("{n}", words_for(0)).replace("months", "weeks")  # nearly the same is the same
    (tmp_path / plant / "copy.py").write_text(copy, encoding="utf-8")
    assert len(docstrings.passages([plant], 80, min_words=8)) == 80
    with pytest.raises(ValueError, match="expected at most 80, "):
        docstrings.passages([plant], 81, min_words=8)


def shingles(text: str) -> set[str]:
    words = re.findall("[a-z]+", text.lower())
    return {" ".join(words[i : i + 8]) for i in range(len(words) - 7)}


def test_the_real_disk():
    """Three libraries that every reader has: balanced, clean, no eight words on two sides of the split."""
    libraries = ("python", "numpy", "sklearn")
    found = docstrings.passages(libraries, per_library=80)
    assert Counter(passage.library for passage in found) == dict.fromkeys(libraries, 80)
    for passage in found:
        assert 10 <= len(passage.text.split()) <= 40
        assert passage.text[0].isupper() and passage.text[-1] in ".!?" and "\n" not in passage.text
        assert not re.search("numpy|sklearn|scikit|scipy|python", passage.text, re.IGNORECASE)
    assert max(Counter(passage.module for passage in found).values()) <= 8
    parts = docstrings.split(found)
    seen = [set().union(*(shingles(p.text) for p in part)) for part in parts]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]


def made_up(modules: int, each: int, library: str = "a") -> list[Passage]:
    return [
        Passage(f"{library} {m} {i}", library, f"{library}.{m}") for m in range(modules) for i in range(each)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_no_module_is_on_two_sides_and_every_library_is_on_all(seed):
    found = made_up(30, 4) + made_up(12, 7, "b") + made_up(3, 1, "c")
    parts = docstrings.split(found, dev=0.2, test=0.1, seed=seed)
    assert sorted(map(str, found)) == sorted(str(p) for part in parts for p in part)
    modules = [{p.module for p in part} for part in parts]
    assert not modules[0] & modules[1] and not modules[0] & modules[2] and not modules[1] & modules[2]
    for library, total, largest in (("a", 120, 4), ("b", 84, 7)):
        for part, share in zip(parts, (0.7, 0.2, 0.1), strict=True):
            size = sum(p.library == library for p in part)
            assert abs(size - share * total) <= largest
    assert all({p.library for p in part} == {"a", "b", "c"} for part in parts)
    assert docstrings.split(found, 0.2, 0.1, seed) == parts


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: docstrings.passages(["no_such_library"]),
            "library: expected .* or an installed package, got 'no_such_library'",
        ),
        (lambda: docstrings.passages(["not a name"]), "library: .* got 'not a name'"),
        (lambda: docstrings.passages("numpy"), "libraries: expected a list of strings, got 'numpy'"),
        (lambda: docstrings.passages([]), r"libraries: .* got \[\]"),
        (lambda: docstrings.passages(["numpy", "numpy"]), "a list of different names"),
        (
            lambda: docstrings.passages(["numpy"], per_library=0),
            "per_library: expected a whole number from 1, got 0",
        ),
        (
            lambda: docstrings.passages(["numpy"], min_words=30, max_words=20),
            "max_words: expected 30 or more, got 20",
        ),
        (
            lambda: docstrings.passages(["tqdm"], per_library=100_000),
            "per_library: expected at most .* tqdm has, got 100000",
        ),
        (lambda: docstrings.split(made_up(2, 9)), "found: expected at least 3 modules of a, got 2"),
        (lambda: docstrings.split(made_up(9, 2), dev=0.5, test=0.5), "a sum below 1"),
        (lambda: docstrings.split(made_up(9, 2), dev=0.0), "shares above 0"),
    ],
)
def test_impossible_wishes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_file_that_cannot_be_read_gives_nothing(tmp_path):
    assert list(docstrings.docstrings(tmp_path / "gone.py")) == []
    assert list(docstrings.docstrings(Path(tmp_path))) == []
