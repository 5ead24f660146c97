"""
Trend of compression
====================

The share of neurons off against the width of the network.
"""

import snnviz as sv
from snnviz import sweep

rows = sweep.read("../../benchmarks/studies/directions/claims.parquet")
rows = rows[(rows.method == "switched") & (rows.share == 0.33) & (rows.noise == 0)]
rows = rows[rows.classes == 0]
axes = sv.plots.compression_trend(rows, "width")
