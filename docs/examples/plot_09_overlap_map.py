"""
Overlap of the neurons kept
===========================

How far methods keep the same neurons, compared with what chance would give.
"""

import snnviz as sv
from snnviz import evidence, sweep

rows = sweep.read("../../benchmarks/studies/directions/claims.parquet")
rows = rows[(rows.network == "lenet5") & (rows.width == 1) & (rows.classes == 0)]
rows = rows[(rows.noise == 0) & (rows.share == 1)]
axes = sv.plots.overlap_map(evidence.overlap(rows))
