"""What the runs of a study say, in numbers; imports only `checks`.

Rows of `snnviz.sweep.read` go in, tables come out.

Every function takes a DataFrame with a row a run. Failed runs are left out and counted, a run that
stands in several studies counts once, and what too few runs cannot tell is NaN. `claims`
puts together the tables that the paper's claims are judged by, and `words` says them in sentences.
"""

from snnviz.evidence.doses import dosed, rule_by_dose, rule_of_trend
from snnviz.evidence.overlaps import overlap
from snnviz.evidence.pairs import at_equal_size, interval, paired, verdict
from snnviz.evidence.rows import CELL, DOSES
from snnviz.evidence.trends import trend

__all__ = [
    "CELL",
    "DOSES",
    "at_equal_size",
    "dosed",
    "interval",
    "overlap",
    "paired",
    "rule_by_dose",
    "rule_of_trend",
    "trend",
    "verdict",
]
