"""`snnviz.figures`: figures as files for a paper, and films. The code is in `plots/figures.py`."""

from snnviz.plots.figures import DPI, MAX_WIDTH, WIDTHS, animate, save

__all__ = ["DPI", "MAX_WIDTH", "WIDTHS", "animate", "save"]
