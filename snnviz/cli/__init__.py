"""The command line: `snnviz train`, `resume`, `show` and the others; imports every folder."""

from snnviz.cli.commands import app
from snnviz.cli.running import main

__all__ = ["app", "main"]
