"""Runs that survive: kept in a folder, resumed, revisited, forked and compared."""

from snnviz.runs.compare import compare, table
from snnviz.runs.folder import InUse, NotSaved
from snnviz.runs.trainer import Trainer

__all__ = ["InUse", "NotSaved", "Trainer", "compare", "table"]
