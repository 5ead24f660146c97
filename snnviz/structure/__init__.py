"""Finds the neurons that can be switched, and applies factors; imports no other folder.

`graph.py` needs Torch-Pruning, which takes a second to import, so it is imported where it is used.
"""

from snnviz.structure.groups import Factors, LayerCost, Member, Size, Switches, SwitchGroup
from snnviz.structure.scaling import run_scaled, scaled_parameters
from snnviz.structure.tracing import describe, find_switches, fits_a_layer
from snnviz.structure.weights import NeuronWeights, neuron_weights, outgoing_lengths

__all__ = [
    "Factors",
    "LayerCost",
    "Member",
    "NeuronWeights",
    "Size",
    "SwitchGroup",
    "Switches",
    "describe",
    "find_switches",
    "fits_a_layer",
    "neuron_weights",
    "outgoing_lengths",
    "run_scaled",
    "scaled_parameters",
]
