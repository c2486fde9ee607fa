"""Python read as Python, by one thread at a time.

Python 3.11 keeps one count of how deep its parsers are, for all threads together. Where two threads parse and
anything written in Python runs in between, such as a finaliser, `ast.parse` raises "SystemError: AST
constructor recursion depth mismatch". Grading judges several notebooks at once, so all that it parses comes
through here.
"""

import ast
import inspect
import textwrap
import threading

_ONE_AT_A_TIME = threading.RLock()


def parse(source: str) -> ast.Module:
    """The syntax tree of a source. Raises what `ast.parse` raises."""
    with _ONE_AT_A_TIME:
        return ast.parse(source)


def source_of(definition: type) -> str:
    """The source of a class, not indented; to find it, `inspect` parses the whole file."""
    with _ONE_AT_A_TIME:
        return textwrap.dedent(inspect.getsource(definition))
