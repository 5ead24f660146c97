"""Takes the off neurons out of a network; imports `structure`, `training` and `export`."""

from snnviz.shrink.compact import TOLERANCE, CompactReport, OutputsDiffer, compact

__all__ = ["TOLERANCE", "CompactReport", "OutputsDiffer", "compact"]
