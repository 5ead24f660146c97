"""The network that reads weights and gives each neuron a factor; imports only `structure`."""

from snnviz.switcher.free import FreeFactors
from snnviz.switcher.switcher import (
    ACTIVATIONS,
    MOST_INPUTS,
    READS,
    Switcher,
    SwitcherConfig,
    hard_sigmoid,
    relu,
    unit_mean,
)

__all__ = [
    "ACTIVATIONS",
    "MOST_INPUTS",
    "READS",
    "FreeFactors",
    "Switcher",
    "SwitcherConfig",
    "hard_sigmoid",
    "relu",
    "unit_mean",
]
