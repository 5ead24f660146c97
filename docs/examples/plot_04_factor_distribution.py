"""
Distribution of factors
=======================

Histograms of the factors after an epoch, with the share that is off on the left.
"""

import snnviz as sv

history = sv.History.load("runs/switched/history")
axes = sv.plots.factor_distribution(history, epoch=8)
