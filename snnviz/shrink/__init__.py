"""Removes the off neurons from a network; imports `structure`, `training` and `export`."""

from snnviz.shrink.compact import TOLERANCE, compact
from snnviz.shrink.comparing import OutputsDiffer
from snnviz.shrink.report import CompactReport

__all__ = ["TOLERANCE", "CompactReport", "OutputsDiffer", "compact"]
