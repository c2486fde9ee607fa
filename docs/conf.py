"""Settings of the reading site. `tools/website.py` gathers the pages in one folder and runs Sphinx there
(`make site`).
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # this file runs as a copy, in build/site-source
sys.path.insert(0, str(ROOT))

from tools.notebook_rules import anchor

project = "Learn BERT by building it"
author = "The BERT course authors"
copyright = "the BERT course authors, text and figures under CC BY 4.0"
language = "en-GB"

extensions = ["myst_nb"]
exclude_patterns = ["**/.ipynb_checkpoints"]
suppress_warnings = ["config.cache"]  # the function below cannot be stored between two runs, and need not be

# The notebooks are stored with their outputs; nothing is run here. Widgets need a kernel: their static
# pictures do.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath"]
# Links between notebooks are written as JupyterLab wants them: [text](05_masks.ipynb#One-word-changes).
myst_heading_anchors = 4
myst_heading_slug_func = anchor

# Nothing comes from another server: MathJax lies beside the pages.
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "local"}}

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js", "bert.js", "panels.js"]
html_copy_source = False
html_use_index = False
html_show_sourcelink = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
