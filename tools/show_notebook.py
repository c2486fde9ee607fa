"""Print a notebook's cells as plain text, without outputs or metadata, so that git can show a readable diff.

git config diff.jupyternotebook.textconv "python3 tools/show_notebook.py"
"""

import json
import sys
from pathlib import Path

for cell in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]:
    print(f"--- {cell['cell_type']}")
    print("".join(cell["source"]))
