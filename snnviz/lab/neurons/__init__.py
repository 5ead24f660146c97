"""The grid of all neurons and the page of one; may import session, page and schedule."""

from snnviz.lab.neurons.grid import Grid
from snnviz.lab.neurons.panel import NeuronPanel

__all__ = ["Grid", "NeuronPanel"]
