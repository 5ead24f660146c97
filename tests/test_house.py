"""The house: what the project promises about itself rather than about networks."""

import ast
import graphlib
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.biome import biome_version

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "snnviz"

# The path of the data. Each module and folder imports only those before it; a new one must be
# given its place here.
ORDER = (
    "checks",
    "files",
    "distributed",
    "devices",
    "notes",
    "data",
    "networks",
    "structure",
    "switcher",
    "history",
    "training",
    "runs",
    "export",
    "shrink",
    "rivals",
    "sweep",
    "evidence",
    "plots",
    "figures",
    "lab",
    "cli",
    "__main__",
    "__init__",
)

# What conda-forge calls a package that the Python package index has under another name.
CONDA_NAMES = {"torch": "pytorch", "ray": "ray-core", "build": "python-build"}

# They come when they are used, so that a script that needs none of them starts at once.
LATE = ("pandas", "seaborn", "matplotlib", "ipywidgets", "anywidget", "ray", "torchvision")
LATE += ("torch_pruning", "pyarrow", "snnviz.lab", "snnviz.plots")


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _project() -> dict:
    return tomllib.loads(_read("pyproject.toml"))["project"]


# --- modules ----------------------------------------------------------------------------------


def _place(file: Path) -> str:
    """The module of ORDER that a file is, or is in."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def _snnviz_imports(source: str, package: str) -> set[str]:
    """The modules of snnviz that `source`, which is in `package`, imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "snnviz" else [base]
        for name in names:
            top, module = [*name.split("."), "__init__"][:2]
            if top == "snnviz":
                found.add(module)
    return found


@pytest.mark.parametrize(
    ("source", "package", "modules"),
    [
        ("import torch, os.path", "snnviz", set()),
        ("import snnviz", "snnviz", {"__init__"}),
        ("import snnviz.lab.session as s, torch", "snnviz", {"lab"}),
        ("from snnviz import plots, data", "snnviz", {"plots", "data"}),
        ("from snnviz.data import load_data", "snnviz", {"data"}),
        ("def f():\n    from .trainer import Trainer", "snnviz", {"trainer"}),
        ("from . import history", "snnviz", {"history"}),
        ("from ..plots import x", "snnviz.lab", {"plots"}),
        ("from .session import x", "snnviz.lab", {"lab"}),
        ("from snnvizard import x", "snnviz", set()),
    ],
)
def test_imports_are_found(source: str, package: str, modules: set[str]) -> None:
    assert _snnviz_imports(source, package) == modules


def test_every_module_has_a_place() -> None:
    unplaced = {_place(file) for file in PACKAGE.rglob("*.py")} - set(ORDER)
    assert not unplaced, f"give these a place in ORDER of tests/test_house.py: {sorted(unplaced)}"


def test_imports_lead_up() -> None:
    """No module imports one that stands below it; those of a folder may import each other."""
    wrong = []
    for file in sorted(PACKAGE.rglob("*.py")):
        own = _place(file)
        package = ".".join(file.relative_to(ROOT).parent.parts)
        for other in sorted(_snnviz_imports(file.read_text(encoding="utf-8"), package)):
            inside = other == own and file.parent != PACKAGE
            if not inside and (other not in ORDER or ORDER.index(other) >= ORDER.index(own)):
                wrong.append(f"{file.relative_to(ROOT)} imports {other}")
    assert not wrong


def test_the_top_is_short_and_has_no_private_module() -> None:
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 24
    private = [path for path in PACKAGE.rglob("_*.py") if not path.name.startswith("__")]
    assert private == []


def _modules(folder: Path) -> dict[str, Path]:
    """{dotted name: file} of a folder's modules; a folder is its `__init__.py`."""
    found = {}
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = file
    return found


def _imports_among(source: str, modules: Iterable[str]) -> set[str]:
    """Those of `modules` that a source imports when it runs; types alone do not count."""
    tree, found = ast.parse(source), set()
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                found.add(inside if inside in modules else node.module)
    return found & set(modules)


FOLDERS = sorted(file.parent for file in PACKAGE.rglob("__init__.py") if file.parent != PACKAGE)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(PACKAGE)))
def test_no_folder_imports_in_a_circle(folder: Path) -> None:
    modules = _modules(folder)
    graph = {
        name: _imports_among(file.read_text(encoding="utf-8"), modules)
        for name, file in modules.items()
    }
    order = list(graphlib.TopologicalSorter(graph).static_order())  # a circle raises CycleError
    assert set(order) == set(modules)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(PACKAGE)))
def test_the_first_line_says_what_a_folder_is_and_imports(folder: Path) -> None:
    first = (folder / "__init__.py").read_text(encoding="utf-8").split("\n")[0]
    assert re.fullmatch(r'"""[A-Z].+; (imports|may import) .+\.("""|)', first), first


def test_at_most_twelve_names() -> None:
    import snnviz

    assert 0 < len(snnviz.__all__) <= 12
    assert all(hasattr(snnviz, name) for name in snnviz.__all__)


@pytest.mark.slow
def test_a_bare_import_brings_nothing_heavy() -> None:
    code = f"import sys, snnviz; print(*sorted(set({LATE!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


# --- requirements -----------------------------------------------------------------------------


def _bounds(lines: list[str]) -> dict[str, str]:
    """Package name -> bounds, both in one spelling."""
    requirements = [Requirement(line) for line in lines]
    return {item.name.lower(): str(item.specifier) for item in requirements}


def test_conda_and_pip_ask_for_the_same() -> None:
    project = _project()
    extras = project["optional-dependencies"]
    known = {"lab", "onnx", "sweep", "tensorboard", "trackio", "wandb", "docs", "dev"}
    assert extras.keys() == known
    for large in ("trackio", "wandb"):
        del extras[large]
    wanted = _bounds([*project["dependencies"], *itertools.chain(*extras.values())])

    conda = yaml.safe_load(_read("environment.yml"))["dependencies"]
    from_pip = next(item["pip"] for item in conda if isinstance(item, dict))
    from_conda = _bounds([item for item in conda if isinstance(item, str)])
    assert from_conda.pop("python") == project["requires-python"]
    assert from_conda.pop("pip") == ""
    assert from_pip.pop() == "--editable ."

    pip_names = {conda_name: name for name, conda_name in CONDA_NAMES.items()}
    given = {pip_names.get(name, name): bounds for name, bounds in from_conda.items()}
    assert not given.keys() & _bounds(from_pip).keys()
    assert given | _bounds(from_pip) == wanted


def test_precommit_uses_the_versions_of_the_project() -> None:
    wanted = _project()["optional-dependencies"]["dev"]
    hooks = yaml.safe_load(_read(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert hooks
    wanted.append(f"@biomejs/biome@{biome_version()}")
    for hook in hooks:
        assert set(hook["additional_dependencies"]) <= set(wanted), hook["id"]


# --- texts ------------------------------------------------------------------------------------


def test_no_notebook_carries_outputs() -> None:
    notebooks = sorted((ROOT / "notebooks").glob("**/*.ipynb"))
    assert notebooks
    for file in notebooks:
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert not any(cell["outputs"] or cell["execution_count"] for cell in code), file.name


def test_the_licence_is_mit() -> None:
    assert _read("LICENSE").startswith("MIT License\n\nCopyright (c) 2026 The snnviz authors\n")
    assert _project()["license"] == "MIT"


def test_the_version_is_the_same_everywhere() -> None:
    import snnviz

    wanted = _project()["version"]
    assert snnviz.__version__ == wanted
    assert yaml.safe_load(_read("CITATION.cff"))["version"] == wanted


def test_the_changelog_is_at_this_version() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", _read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == _project()["version"]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s#]+)", _read(name))
    files = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in files if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_make_has_the_targets_that_are_named(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", _read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", _read(name))) <= targets


@pytest.mark.parametrize(
    "own", ["", "--port=9000", "--ServerApp.port 9000", "--port 9000 --ip=::1"]
)
def test_make_lab_gives_jupyter_no_option_twice(own: str) -> None:
    surroundings = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = ["make", "--dry-run", "lab", f"ARGS={own}"]
    printed = subprocess.run(
        command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=True
    ).stdout
    given = re.findall(r"--(?:ServerApp\.)?(ip|port|root_dir)\b", printed)
    assert sorted(given) == ["ip", "port", "root_dir"]
