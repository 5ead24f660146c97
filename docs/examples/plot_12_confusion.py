"""
Confusion matrix
================

Which classes are taken for which, of the test images, with the current factors.
"""

import snnviz as sv

trainer = sv.Trainer.at("runs/switched")
axes = sv.plots.confusion(trainer)
