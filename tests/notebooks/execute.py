"""Runs a notebook as a kernel would: cells in order, one namespace, each cell's last expression displayed.

No part of Jupyter is needed to test or use this project, so this is plain Python: what IPython adds to the
language (magics, ``!commands``, ``await``) is not there, and a notebook that needs it fails here.

    python tests/notebooks/execute.py NOTEBOOK OUT.json 'folder = "elsewhere"'

The last argument is run after the cell tagged "parameters", as papermill does. OUT.json receives what each
code cell displays.
"""

import ast
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    """The code cells, as nbformat 4 has them."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, Any]) -> dict[str, str]:
    """Run one cell; what it displays, by kind: stdout, text/plain, text/html."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    shown, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
            if value is not None:
                shown["text/plain"] = repr(value)
                html = value._repr_html_() if hasattr(value, "_repr_html_") else None
                if html is not None:
                    shown["text/html"] = html
    return {"stdout": printed.getvalue(), **shown}


def execute(notebook: Path, out: Path, parameters: str) -> None:
    """Run all cells; displays are kept up to the one that failed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    displays = []
    try:
        for cell in code_cells(notebook):
            displays.append(run_cell("".join(cell["source"]), names))
            if "parameters" in cell["metadata"].get("tags", ()):
                exec(parameters, names)
    finally:
        out.write_text(json.dumps(displays), encoding="utf-8")


if __name__ == "__main__":
    # Absolute: a notebook may change the working folder.
    execute(Path(sys.argv[1]), Path(sys.argv[2]).absolute(), sys.argv[3])
