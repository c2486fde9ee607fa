"""The toy language under the name that notebooks used first; it stands in `course_utils/toy/language.py`."""

from course_utils.toy.language import VOCAB_FILE, ToyLanguage

__all__ = ["VOCAB_FILE", "ToyLanguage"]
