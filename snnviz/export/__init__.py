"""Saves networks without their code, and exports them; imports only `files` and `structure`."""

from snnviz.export.formats import TOLERANCE, export
from snnviz.export.saving import load_compact, save_compact

__all__ = ["TOLERANCE", "export", "load_compact", "save_compact"]
