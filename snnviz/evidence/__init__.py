"""Statistics of the runs of a study; imports only `checks` and `training`.

Most functions take the rows of `snnviz.sweep.read`, a DataFrame with one row per run, and return
tables. Failed runs are left out and counted. A run that belongs to several studies counts once. A
number that needs more runs than there are is NaN. `claims` makes the tables behind the paper's
three claims, `tables` writes them as text, and `words` writes sentences about them.
`phase_gradients` takes a trainer instead.
"""

from snnviz.evidence.doses import dosed, rule_by_dose, rule_of_trend
from snnviz.evidence.overlaps import overlap
from snnviz.evidence.pairs import at_equal_size, interval, paired, verdict
from snnviz.evidence.rows import CELL, DOSES
from snnviz.evidence.signals import phase_cosines, phase_gradients
from snnviz.evidence.trends import trend

__all__ = [
    "CELL",
    "DOSES",
    "at_equal_size",
    "dosed",
    "interval",
    "overlap",
    "paired",
    "phase_cosines",
    "phase_gradients",
    "rule_by_dose",
    "rule_of_trend",
    "trend",
    "verdict",
]
