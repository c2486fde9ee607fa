"""The helper package of the course: the code that the notebooks teach, and beside it what teaches.

Each module is read on its own, from top to bottom, and imports only modules above it in this list:

    checks, files                      what is refused, and files that are whole or not there
    wordpiece, masks, mlm, nsp         what the model reads and what it is asked; `word2vec` beside them
    bert                               the model; `bert.model` first
    training                           the one loop of pretraining and fine-tuning
    pretraining, metrics, tasks, finetuning

Beside these stand the toy language (`toy_language`, `toy_grammar`, `toy_tasks`), the commands, and what teaches:
exercises, widgets, plots and experiments. A test holds the imports to it.
"""

__version__ = "0.1.0"

import os

if os.environ.get("CPU_LIMIT") or os.environ.get("MEM_LIMIT"):  # a shared server, such as Binder
    from course_utils import machine

    machine.settle()
