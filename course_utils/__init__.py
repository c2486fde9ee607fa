"""The helper package of the course: what the notebooks teach, and in folders of its own what teaches.

`README.md` in this folder is the way in. The files here are what is taught, each read on its own from top to
bottom; `toy` is the artificial language. `lessons` holds what each notebook has beside its text, `classroom`
what all lessons share. What is taught imports neither.
"""

__version__ = "0.2.0"

import os
import sys

if sys.argv[:1] == ["-m"]:  # `python -m course_utils....`: a command is about to be imported
    from course_utils import commands

    commands.end_on_interrupt()

# A shared server, such as Binder, or a notebook, which is rarely the only program of its machine.
if os.environ.get("CPU_LIMIT") or os.environ.get("MEM_LIMIT") or "ipykernel" in sys.modules:
    from course_utils import machine

    machine.settle()
