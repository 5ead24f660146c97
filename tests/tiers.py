"""The slow tests: they start first, and `make quick` leaves out those that need more than Python.

What takes longest must start first, or one worker ends up with it alone while the others are idle.
pytest-xdist hands out whole files (`--dist loadfile`), so files and folders are what is listed.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]


class Slow(NamedTuple):
    """What a file takes, or a folder whose files must stay together for their fixtures."""

    seconds: int  # on one core
    needs: str = ""  # what `make quick` does without; if nothing, it runs there too


# From `make test ARGS=--durations=0`. A file of a few seconds has an entry only for its needs.
SLOW = {
    "tests/browser": Slow(600, "a browser"),
    "tests/test_notebooks.py": Slow(240, "notebooks"),
    "tests/lab/test_protocol.py": Slow(120, "Jupyter kernels"),
    "tests/sweep/test_run.py": Slow(120, "Ray"),
    "tests/runs/test_kill.py": Slow(60, "killed processes"),
    "tests/test_distributed.py": Slow(60, "killed processes"),
}


def place_of(path: Path) -> str:
    """The entry of SLOW that a file belongs to, or its own path where it has none."""
    file = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()
    return next((place for place in SLOW if file == place or file.startswith(f"{place}/")), file)


def _seconds(item: pytest.Item) -> int:
    return SLOW.get(place_of(item.path), Slow(0)).seconds


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slowest first, otherwise in the order of collection; and the mark `slow` by needs."""
    for item in items:
        if SLOW.get(place_of(item.path), Slow(0)).needs:
            item.add_marker("slow")
    items.sort(key=_seconds, reverse=True)
