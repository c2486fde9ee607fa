"""What `make` calls: each module by its name, from the folder of the course, as in `python -m tools.check`.

`bootstrap.py`, with `setting_up.py`, and `update.py` run by their path, before anything is installed, and
import nothing else here.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
