"""
Methods: accuracy against size
==============================

One marker per method of a study, with 95 % intervals in both directions.
"""

import snnviz as sv
from snnviz import sweep

rows = sweep.read("../../benchmarks/studies/directions/claims.parquet")
rows = rows[(rows.network == "lenet5") & (rows.width == 1) & (rows.classes == 0)]
rows = rows[(rows.noise == 0) & (rows.share == 1)]
axes = sv.plots.accuracy_vs_size(rows)
