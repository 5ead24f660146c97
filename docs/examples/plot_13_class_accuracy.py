"""
Accuracy by class
=================

The share of the test images of each class that is classified correctly.
"""

import snnviz as sv

trainer = sv.Trainer.at("runs/switched")
axes = sv.plots.class_accuracy(trainer)
