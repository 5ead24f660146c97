"""Runs saved in folders: resume, revisit, fork, compare; imports `training` and before."""

from snnviz.runs.compare import compare, table
from snnviz.runs.export_log import export_log
from snnviz.runs.layout import NotSaved
from snnviz.runs.lock import InUse
from snnviz.runs.trainer import Trainer
from snnviz.runs.without_images import find_images

__all__ = ["InUse", "NotSaved", "Trainer", "compare", "export_log", "find_images", "table"]
