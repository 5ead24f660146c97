"""
What the switcher reads
=======================

The factor of each neuron over each of its descriptors, and how the factor depends on it.
"""

import snnviz as sv

trainer = sv.Trainer.at("runs/switched")
axes = sv.plots.what_it_reads(trainer)
