"""The site's lists are whole. Only the sources are read: `make docs` builds it."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import snnviz
from snnviz import plots

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SCRIPTS = sorted((DOCS / "examples").glob("plot_*.py"))
PLOTS = sorted(name for name in plots.__all__ if name.islower())


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


def test_every_name_in_the_reference_exists() -> None:
    for name in reference():
        module, _, last = name.rpartition(".")
        assert hasattr(import_module(module), last), name


def test_the_gallery_has_a_script_for_each_plot() -> None:
    assert sorted(plot for script in SCRIPTS for plot in plots_of(script)) == PLOTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_named_after_its_plot_and_is_short(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    assert re.sub(r"^plot_\d\d_", "", script.stem) in plots_of(script)
    assert re.search(r"^axes = sv\.plots\.", source, re.MULTILINE)  # where the site looks for it
    assert len(source.splitlines()) <= 20


def test_every_page_and_notebook_has_a_place() -> None:
    """Pages of a table of contents are named without their ending; notebooks come by a pattern."""
    listed = set()
    for page in ("index", "guides", "notebooks"):
        listed |= set((DOCS / f"{page}.md").read_text(encoding="utf-8").splitlines())
    assert "../notebooks/*" in listed
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert sorted(pages - listed) == []
