"""The slow files: they start first, and `make quick` leaves out those that need more than Python.

A test of another file that takes about a second or more on one core has the mark `slow` itself.

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


# From a whole run with `make test ARGS=--durations=0` on a machine that was busy with other work,
# so what counts is the order. A short file has an entry only for its needs. The first entry that
# fits a file is taken.
SLOW = {
    "tests/browser/test_lab.py": Slow(340, "a browser"),
    "tests/sweep/test_run.py": Slow(300, "Ray"),
    "tests/test_notebooks.py": Slow(250, "notebooks"),
    "tests/browser": Slow(150, "a browser"),
    "tests/runs/test_resume.py": Slow(140),
    "tests/runs/test_kill.py": Slow(95, "killed processes"),
    "tests/lab/test_protocol.py": Slow(85, "Jupyter kernels"),
    "tests/runs/test_fuzz.py": Slow(80, "a long search"),
    "tests/cli/test_terminal.py": Slow(40, "processes of their own"),
    "tests/cli/test_interruptions.py": Slow(25, "killed processes"),
    "tests/cli/test_program.py": Slow(10, "processes of their own"),
    "tests/cli": Slow(20),
    "tests/lab/test_several_runs.py": Slow(25, "many labs"),
    "tests/lab/test_lab.py": Slow(55, "many labs"),
    "tests/lab/test_follower.py": Slow(30, "many labs"),
    "tests/test_distributed.py": Slow(45, "killed processes"),
    "tests/structure/test_memory_format.py": Slow(30),
    "tests/shrink/test_branches.py": Slow(55, "large networks"),
    "tests/shrink/test_known_networks.py": Slow(90, "large networks"),
    "tests/lab/views/test_cards.py": Slow(35, "many figures"),
    "tests/lab/test_monkey.py": Slow(20, "a long search"),
    "tests/test_workers.py": Slow(20, "killed processes"),
    "tests/test_benchmarks.py": Slow(15, "the scripts of benchmarks/"),
    "tests/test_studies.py": Slow(10, "the studies' results"),
    "tests/test_package.py": Slow(15, "a build and processes of their own"),
}


def place_of(path: Path) -> str:
    """The entry of SLOW that a file belongs to, or its own path where it has none."""
    file = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()
    return next((place for place in SLOW if file == place or file.startswith(f"{place}/")), file)


def _seconds(item: pytest.Item) -> int:
    return SLOW.get(place_of(item.path), Slow(0)).seconds


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make quick` does not even import what it leaves out: that takes seconds in each worker."""
    quick = config.option.markexpr == "not slow"
    return True if quick and SLOW.get(place_of(collection_path), Slow(0)).needs else None


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slowest first, otherwise in the order of collection; and the mark `slow` by needs."""
    for item in items:
        if SLOW.get(place_of(item.path), Slow(0)).needs:
            item.add_marker("slow")
    items.sort(key=_seconds, reverse=True)
