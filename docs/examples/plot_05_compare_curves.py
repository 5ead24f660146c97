"""
Runs side by side
=================

Several runs on the test split: here with and without a switcher.
"""

import snnviz as sv

histories = {name: sv.History.load(f"runs/{name}/history") for name in ("switched", "dense")}
axes = sv.plots.compare_curves(histories)
