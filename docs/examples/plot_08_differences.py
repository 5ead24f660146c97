"""
Differences in paired seeds
===========================

The mean difference of each method from the dense network, with its interval.
"""

import snnviz as sv
from snnviz import evidence, sweep

rows = sweep.read("../../benchmarks/studies/directions/claims.parquet")
rows = rows[(rows.network == "lenet5") & (rows.width == 1) & (rows.classes == 0)]
rows = rows[(rows.noise == 0) & (rows.share == 1)]
axes = sv.plots.differences(evidence.paired(rows))
