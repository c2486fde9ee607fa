"""Draw every diagram anew: `python img/build.py`.

A diagram is a script in this folder with a function `draw`, and can also be run on its own.
"""

import argparse
import importlib

from diagram import FOLDER, write

TOOLS = {"build", "diagram"}


def scripts() -> list[str]:
    """The names of the scripts that draw a diagram."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in TOOLS)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python img/build.py", description=__doc__).parse_args()
    for name in scripts():
        module = importlib.import_module(name)
        print(write(module.__file__, module.draw()).name)
