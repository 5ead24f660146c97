"""The site's lists are whole. Only the sources are read: `make docs` builds it."""

import ast
import inspect
import json
import re
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import snnviz
from snnviz import figures, lab, plots
from snnviz.training import Schedule

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SCRIPTS = sorted((DOCS / "examples").glob("plot_*.py"))
NOTEBOOKS = ROOT / "notebooks"
PLOTS = sorted(name for name in plots.__all__ if name.islower())
# Folders whose public functions and classes are for users.
PUBLIC = "data structure switcher training runs shrink export rivals sweep evidence lab"
# What a user may look for besides the names of `sv`, its plots, figures and lab.
SHOWN = {"explain", "learned", "from_tensors", "resume", "at", "fork", "pin", "what_if", "open"}
# Fields of the schedule that change how something is done, and not what happens.
NOT_SHOWN = {"batch_size", "task_optimizer", "task_lr", "task_decay", "task_momentum"}
NOT_SHOWN |= {"switcher_optimizer", "switcher_decay", "switcher_momentum", "switcher_clip"}
NOT_SHOWN |= {"freeze_epochs", "switcher_data", "through_switcher"}
NOT_SHOWN |= {"size_of", "size_from", "size_until"}


def reference() -> set[str]:
    """The names in docs/reference.md, whole: those of a block follow its `currentmodule`."""
    found, module = set(), ""
    for line in (DOCS / "reference.md").read_text(encoding="utf-8").splitlines():
        if named := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            module = named[1]
        elif named := re.fullmatch(r"(?: {3}|\.\. autodata:: )(\w+)", line):
            found.add(f"{module}.{named[1]}")
    return found


def plots_of(script: Path) -> list[str]:
    """The functions of `sv.plots` that a script calls."""
    nodes = ast.walk(ast.parse(script.read_text(encoding="utf-8")))
    calls = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    return [call.removeprefix("sv.plots.") for call in calls if call.startswith("sv.plots.")]


def test_every_public_name_is_in_the_reference() -> None:
    modules = {"figures", "plots"}
    wanted = {f"snnviz.{name}" for name in snnviz.__all__ if name not in modules}
    wanted |= {f"snnviz.plots.{name}" for name in plots.__all__}
    assert sorted(wanted - reference()) == []


def test_what_the_folders_hand_on_is_in_the_reference() -> None:
    """Functions and classes, wherever they are listed; tables are named in the text."""
    listed = [find_object(name) for name in reference()]
    modules = [f"snnviz.{folder}" for folder in PUBLIC.split()]
    missing = [
        f"{module}.{name}"
        for module in [*modules, "snnviz.figures", "snnviz.lab.lessons"]
        for name in import_module(module).__all__
        if inspect.isroutine(found := find_object(f"{module}.{name}")) or inspect.isclass(found)
        if found not in listed
    ]
    assert missing == []


def find_object(name: str) -> Any:
    module, _, last = name.rpartition(".")
    return getattr(import_module(module), last)


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def names_used() -> set[str]:
    """All names in the code of the gallery and the notebooks; keywords and keys of dicts too."""
    used: set[str] = set()
    notebooks = [*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("class/*.ipynb")]
    sources = [script.read_text(encoding="utf-8") for script in SCRIPTS]
    for source in [*sources, *map(code_of, notebooks)]:
        for node in ast.walk(ast.parse(source)):
            for field in ("id", "attr", "arg", "name", "value"):
                value = getattr(node, field, None)
                used |= {value} if isinstance(value, str) else set()
    return used


def test_every_public_name_is_in_the_gallery_or_a_notebook() -> None:
    wanted = {name for name in snnviz.__all__ if name not in ("figures", "plots")} | SHOWN
    wanted |= {*PLOTS, *lab.__all__, *(name for name in figures.__all__ if name.islower())}
    wanted |= {field.name for field in fields(Schedule)} - NOT_SHOWN
    assert sorted(wanted - names_used()) == []


def test_the_notebooks_of_the_site_have_the_constants_that_make_them_smaller() -> None:
    """And each notebook of the site has an entry."""
    sys.path.insert(0, str(DOCS))
    try:
        smaller = import_module("shown_notebooks").SMALLER
    finally:
        sys.path.remove(str(DOCS))
    shown = [*NOTEBOOKS.glob("*.ipynb"), NOTEBOOKS / "class" / "lesson.ipynb"]
    assert {path.stem for path in shown} == set(smaller)
    for path in shown:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        (cell,) = (c for c in cells if "parameters" in c["metadata"].get("tags", ()))
        for name in smaller[path.stem]:
            assert re.search(f"^{name} = ", "".join(cell["source"]), re.MULTILINE), (path, name)


def test_every_name_in_the_reference_exists() -> None:
    for name in reference():
        module, _, last = name.rpartition(".")
        assert hasattr(import_module(module), last), name


def test_the_gallery_has_a_script_for_each_plot_and_for_the_lab() -> None:
    assert [script.stem for script in SCRIPTS if script.stem.endswith("_lab")]
    assert sorted(plot for script in SCRIPTS for plot in plots_of(script)) == PLOTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_named_after_its_plot_and_is_short(script: Path) -> None:
    source, name = script.read_text(encoding="utf-8"), re.sub(r"^plot_\d\d_", "", script.stem)
    shown = rf"axes = sv\.plots\.{name}" if name != "lab" else r"lab = sv\.Lab"
    assert re.search(rf"^{shown}\b", source, re.MULTILINE)  # where the site looks for it
    assert len(source.splitlines()) <= 20


def test_every_page_and_notebook_has_a_place() -> None:
    """Pages of a table of contents are named without their ending; notebooks come by a pattern."""
    listed = set()
    for page in ("index", "guides", "notebooks"):
        listed |= set((DOCS / f"{page}.md").read_text(encoding="utf-8").splitlines())
    assert "../notebooks/*" in listed
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert sorted(pages - listed) == []
