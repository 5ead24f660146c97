"""
Size and accuracy of a run
==========================

Test accuracy against the size that is left of the network, epoch by epoch.
"""

import snnviz as sv

histories = {name: sv.History.load(f"runs/{name}/history") for name in ("switched", "dense")}
axes = sv.plots.size_accuracy(histories)
