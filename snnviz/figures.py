"""`snnviz.figures`: figures as files for a paper. The code is in `plots/figures.py`."""

from snnviz.plots.figures import DPI, MAX_WIDTH, WIDTHS, save

__all__ = ["DPI", "MAX_WIDTH", "WIDTHS", "save"]
