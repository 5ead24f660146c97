"""
Neurons on
==========

The share of neurons that are on after each epoch, by group and all together.
"""

import snnviz as sv

history = sv.History.load("runs/switched/history")
axes = sv.plots.neurons_on(history)
