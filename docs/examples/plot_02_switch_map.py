"""
Switch map
==========

Every neuron's factor after every epoch: which went off, when, and which came back.
"""

import snnviz as sv

history = sv.History.load("runs/switched/history")
axes = sv.plots.switch_map(history)
