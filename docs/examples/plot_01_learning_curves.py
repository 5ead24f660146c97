"""
Learning curves
===============

Accuracy of the batches in both phases, and of the test split after each epoch.
"""

import snnviz as sv

history = sv.History.load("runs/switched/history")
axes = sv.plots.learning_curves(history)
