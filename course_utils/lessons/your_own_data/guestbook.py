"""The file of notebook 17: a cinema's guest book as CSV, written from a rule, with the traps of real files.

    columns: guest, text, label

Each line is a review of the course's toy language (`toy.tasks.reviews`) signed with the guest's name. Guests
have a taste: nineteen in twenty of a guest's reviews have the same label. So whoever knows the guest knows
most of the label, without a word of the review. Some reviews were sent twice, and some of these came back
under the other label.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from course_utils.hints import Count, Natural, Share, hold_to_hints
from course_utils.own_data import Data
from course_utils.toy import grammar
from course_utils.toy.generator import parse_class
from course_utils.toy.tasks import REVIEW_LABELS, LabelledText, reviews

SIGNATURE = 3  # words at the end of each text: "clara from rome"
TASTE = 0.95  # share of a guest's reviews that have the guest's usual label
CITIES = parse_class(grammar.CLASSES["city"], None)
GUESTS = tuple(f"{name} from {city}" for city, name in product(CITIES, grammar.PERSONS[::2]))


@dataclass(frozen=True)
class Entry:
    """One line of the file."""

    guest: str
    text: str
    label: str


def entries(
    n: Count = 600, seed: Natural = 0, guests: Sequence[str] = GUESTS, taste: Share = TASTE
) -> list[Entry]:
    """`n` different reviews, each by one of `guests`, half of whom like what they see.

    The review is by the rule of `toy.tasks.reviews`, so its label can always be told from its words.
    """
    rng = np.random.default_rng(seed)
    found = {label: [r.text for r in reviews(2 * n, seed) if r.label == label] for label in (0, 1)}
    usual_of = rng.permutation(len(guests)) % 2  # half of them, whatever their names
    written = []
    for number in range(n):
        guest = number % len(guests)
        usual = int(usual_of[guest])
        label = usual if rng.random() < taste else 1 - usual
        text = f"{found[label].pop()} {guests[guest]}"
        written.append(Entry(guests[guest], text, REVIEW_LABELS[label]))
    return [written[i] for i in rng.permutation(n)]


def with_doubles(
    lines: Sequence[Entry], twice: Count = 60, turned: Count = 8, seed: Natural = 0
) -> list[Entry]:
    """The same lines, and `twice` of them once more, of which `turned` with the other label."""
    rng = np.random.default_rng(seed)
    other = dict(zip(REVIEW_LABELS, REVIEW_LABELS[::-1], strict=True))
    again = [lines[i] for i in rng.choice(len(lines), twice, replace=False)]
    again = [Entry(e.guest, e.text, other[e.label]) if k < turned else e for k, e in enumerate(again)]
    places = rng.permutation(len(lines) + twice)
    both = [*lines, *again]
    return [both[i] for i in places]


def as_csv(lines: Sequence[Entry]) -> str:
    """The file: a first line with the names of the columns, then one line each."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["guest", "text", "label"])
    writer.writerows([e.guest, e.text, e.label] for e in lines)
    return file.getvalue()


def guests_of(part: Sequence[LabelledText]) -> set[str]:
    """Who has signed the texts of one part."""
    return {" ".join(example.text.split()[-SIGNATURE:]) for example in part}


def unsigned(data: Data) -> Data:
    """The same texts in the same parts, with the signature cut off each."""

    def cut(part: list[LabelledText]) -> list[LabelledText]:
        return [replace(example, text=" ".join(example.text.split()[:-SIGNATURE])) for example in part]

    return replace(data, train=cut(data.train), dev=cut(data.dev), test=cut(data.test))


hold_to_hints(globals())
