"""The notebooks as the site shows them: run, in sizes that a build of some minutes has time for."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"
SMALLER = {
    "00_quickstart": {"EPOCHS": 2},
    "01_switches": {"EPOCHS": 2},
    "02_runs": {"HOLDOUT": 55_000, "KILL_AT": (4, 10)},
    "03_lab_tour": {"HOLDOUT": 54_000},
    "04_claims": {},
    "05_rivals": {},
    "06_what_the_switcher_reads": {"EPOCHS": 2},
    "07_where_a_factor_comes_from": {},
    "lesson": {"HOLDOUT": 55_000},
}


def hash_package() -> str:
    """Of all files of the package: what the notebooks show may depend on any of them."""
    found = sha256()
    for file in sorted((ROOT / "snnviz").rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            found.update(file.read_bytes())
    return found.hexdigest()[:12]


def shrink(app: Sphinx, page: str, source: list[str]) -> None:
    """Sets the constants that size a notebook, in the cell that has them, for all to see."""
    if not page.startswith("notebooks/"):
        return
    notebook = json.loads(source[0])
    changes = SMALLER[Path(page).name]
    lines = [f"\n{name} = {value!r}" for name, value in changes.items()]
    for cell in notebook["cells"]:
        if lines and "parameters" in cell["metadata"].get("tags", ()):
            cell["source"] = ["".join(cell["source"]), "\n\n# Smaller, for this page:", *lines]
    source[0] = json.dumps(notebook)


def answer_no_widget() -> None:
    """Keeps what runs the notebooks from answering outputs in a widget.

    It does so on the very socket on which it waits for the cell, and in one of twenty such cells it
    then does not see the end, and waits for all of `nb_execution_timeout`.
    """
    from nbclient.output_widget import OutputWidget

    OutputWidget.sync_state = lambda _: None  # type: ignore[method-assign]


def drop_widgets(app: Sphinx, page: nodes.document) -> None:
    """Takes out what only a kernel can show: a widget's state, and what stands for it as text."""
    from docutils import nodes

    files = app.env.nb_metadata[app.env.docname].get("js_files", {})
    files.pop("ipywidgets_state", None)  # some megabytes, with all data of the lab
    for block in list(page.findall(nodes.literal_block)):
        if re.match(r"\w+\(children=\(|\s*0%\|", block.astext()):  # a box, a progress bar
            block.parent.remove(block)
