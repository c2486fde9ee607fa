"""Set up `.venv` and start something in it: what `make` calls, and who has no make by hand.

    python tools/bootstrap.py lab | setup | run ARGUMENTS | bench GOALS | site

All of it stands in `setting_up.py`. This file is readable for every Python, 2 included, so that each can say
which one is needed.
"""

import sys

if sys.version_info < (3, 6):
    sys.exit("Python 3.11 to 3.14 is needed, and this is Python %d.%d." % sys.version_info[:2])

from setting_up import start

if __name__ == "__main__":
    start(sys.argv[1:])
