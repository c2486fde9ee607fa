"""The helper package of the course: the code that the notebooks teach, and nothing else.

Each module is read on its own, from top to bottom, and imports only modules below it: `toy_language` and
`wordpiece` stand on nothing; `masks`, `mlm`, `nsp` and `word2vec` on torch; `bert` on `masks`; training,
profiling, plots, widgets and exercises on those.
"""

__version__ = "0.2.0"

import os

if os.environ.get("CPU_LIMIT") or os.environ.get("MEM_LIMIT"):  # a shared server, such as Binder
    from course_utils import machine

    machine.settle()
