"""A Python without JupyterLab, as on Colab: found on PYTHONPATH, this hides an installed one."""

import importlib.metadata
import sys
from importlib.abc import MetaPathFinder

HIDDEN = "jupyterlab"


class Hide(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


find_distribution = importlib.metadata.distribution


def distribution(name):
    if name == HIDDEN:
        raise importlib.metadata.PackageNotFoundError(name)
    return find_distribution(name)


sys.meta_path.insert(0, Hide())
importlib.metadata.distribution = distribution  # `version` goes through it
