"""`snnviz` as a program that is started."""

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

from snnviz import cli
from tests.cli.example import posix

ROOT = Path(__file__).parents[2]


def test_it_is_a_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, name = project["scripts"]["snnviz"].split(":")
    assert getattr(import_module(module), name) is cli.main
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "snnviz", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{project['version']}\n", "")


@posix
def test_a_reader_that_leaves_is_no_error(first: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "snnviz", "show", "runs/first"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
