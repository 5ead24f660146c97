"""One function per figure; may import what comes before `rivals` in ORDER, and `evidence`.

Each function takes a `History`, the rows of a study, a trainer or its predictions, and returns
matplotlib `Axes`.

With `ax=None` a function makes its own figure at the width of a paper's column, so it looks on
screen as it does in print. The figure is independent of pyplot: it can be made in any thread, and
nothing needs to be closed. As the last line of a notebook cell, the returned Axes show themselves.

Names and scales are drawn to the right of the Axes. If you pass your own Axes, create their figure
with `layout="constrained"`, which makes room for them.
"""

from snnviz.plots.classes import class_accuracy, confusion
from snnviz.plots.curves import compare_curves, learning_curves
from snnviz.plots.distributions import factor_distribution
from snnviz.plots.forest import differences
from snnviz.plots.maps import switch_map
from snnviz.plots.overlaps import overlap_map
from snnviz.plots.paper import (
    DARK,
    DENSE,
    DOUBLE,
    FONT,
    LABEL_SIZE,
    OFF,
    OFF_HATCH,
    OFF_HATCH_COLOUR,
    RIVALS,
    SINGLE,
    SWITCHER,
    TASK,
    TICK_SIZE,
    PaperAxes,
    PaperFigure,
)
from snnviz.plots.readings import what_it_reads
from snnviz.plots.shares import neurons_on
from snnviz.plots.sizes import size_accuracy
from snnviz.plots.studies import accuracy_vs_size, compression_trend

__all__ = [
    "DARK",
    "DENSE",
    "DOUBLE",
    "FONT",
    "LABEL_SIZE",
    "OFF",
    "OFF_HATCH",
    "OFF_HATCH_COLOUR",
    "RIVALS",
    "SINGLE",
    "SWITCHER",
    "TASK",
    "TICK_SIZE",
    "PaperAxes",
    "PaperFigure",
    "accuracy_vs_size",
    "class_accuracy",
    "compare_curves",
    "compression_trend",
    "confusion",
    "differences",
    "factor_distribution",
    "learning_curves",
    "neurons_on",
    "overlap_map",
    "size_accuracy",
    "switch_map",
    "what_it_reads",
]

# Figures of a `History`. The other functions draw the rows of a study.
OF_A_RUN = (
    "compare_curves",
    "factor_distribution",
    "learning_curves",
    "neurons_on",
    "size_accuracy",
    "switch_map",
)
