"""The network from weights to factors; imports only `checks`, `files` and `structure`."""

from snnviz.switcher.activations import ACTIVATIONS, hard_sigmoid, relu, unit_mean
from snnviz.switcher.config import READS, SwitcherConfig
from snnviz.switcher.descriptors import DESCRIPTORS, Descriptor
from snnviz.switcher.explaining import WITH_SCORES, Explanation, explain, partial_dependence
from snnviz.switcher.free import FreeFactors
from snnviz.switcher.switcher import Switcher

__all__ = [
    "ACTIVATIONS",
    "DESCRIPTORS",
    "READS",
    "WITH_SCORES",
    "Descriptor",
    "Explanation",
    "FreeFactors",
    "Switcher",
    "SwitcherConfig",
    "explain",
    "hard_sigmoid",
    "partial_dependence",
    "relu",
    "unit_mean",
]
