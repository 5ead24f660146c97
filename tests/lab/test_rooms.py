"""The lab's folders: each imports only those before it, and says so in its first line."""

import ast
from pathlib import Path

import pytest

import snnviz.lab

LAB = Path(snnviz.lab.__file__).parent
# Above them all stand the files of lab/ itself.
ORDER = ("session", "page", "lessons", "schedule", "neurons", "views", "results", "report")


def rooms_imported(file: Path) -> set[str]:
    """The lab's folders and files that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        parts = [name.split(".") for name in names]
        found |= {each[2] for each in parts if each[:2] == ["snnviz", "lab"] and len(each) > 2}
    return found


@pytest.mark.parametrize("room", ORDER)
def test_imports_lead_one_way(room: str) -> None:
    files = sorted((LAB / room).rglob("*.py"))
    assert files
    allowed = {*ORDER[: ORDER.index(room) + 1]}
    wrong = {str(file.relative_to(LAB)): rooms_imported(file) - allowed for file in files}
    assert {file: others for file, others in wrong.items() if others} == {}


def test_every_folder_has_its_place_and_says_what_it_is() -> None:
    folders = [folder for folder in LAB.iterdir() if (folder / "__init__.py").exists()]
    assert {folder.name for folder in folders} == set(ORDER)
    for folder in folders:
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]
        assert "import" in first, folder.name


def test_no_file_is_long() -> None:
    lengths = {
        file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in LAB.rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > 400} == {}
