"""The list of slow tests: it is complete, and what it says of order and marks is done."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from tests import tiers

ROOT = tiers.ROOT
# What a file imports that `make quick` does without.
NEEDS = r"^(from|import) (playwright|nbclient|ray|tests\.(browser\.jupyter|lab\.kernels))\b"


class Item:
    """Of a test, what the hook asks for."""

    def __init__(self, file: str) -> None:
        self.path, self.marks = ROOT / file, []

    def add_marker(self, name: str) -> None:
        """Remember the mark."""
        self.marks.append(name)


def test_slowest_first_and_folders_together(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"tests/far": tiers.Slow(90, "a browser"), "tests/test_b.py": tiers.Slow(30)}
    monkeypatch.setattr(tiers, "SLOW", table)
    files = ["test_a.py", "far/test_x.py", "test_b.py", "farther.py", "far/test_y.py"]
    items = [Item(f"tests/{file}") for file in files]
    tiers.pytest_collection_modifyitems(items)  # type: ignore[arg-type]
    came = [item.path.relative_to(ROOT / "tests").as_posix() for item in items]
    assert came == ["far/test_x.py", "far/test_y.py", "test_b.py", "test_a.py", "farther.py"]
    assert [item.marks for item in items] == [["slow"], ["slow"], [], [], []]


@pytest.mark.parametrize(
    ("file", "chosen", "left_out"),
    [
        ("tests/test_notebooks.py", "not slow", True),
        ("tests/browser", "not slow", True),
        ("tests/browser/test_grid.py", "not slow", True),
        ("tests/runs/test_resume.py", "not slow", None),  # slow, but it needs nothing more
        ("tests/test_files.py", "not slow", None),
        ("tests/test_notebooks.py", "", None),
    ],
)
def test_quick_does_not_import_what_it_leaves_out(
    file: str, chosen: str, left_out: bool | None
) -> None:
    config: Any = SimpleNamespace(option=SimpleNamespace(markexpr=chosen))
    assert tiers.pytest_ignore_collect(ROOT / file, config) is left_out


def test_every_entry_is_there() -> None:
    assert [place for place in tiers.SLOW if not (ROOT / place).exists()] == []


def test_quick_leaves_out_what_needs_more() -> None:
    needy = [
        file
        for file in (ROOT / "tests").rglob("test_*.py")
        if re.search(NEEDS, file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    places = {tiers.place_of(file) for file in needy}
    assert {place for place in places if not tiers.SLOW.get(place, tiers.Slow(0)).needs} == set()
    assert ROOT / "tests/test_notebooks.py" in needy
