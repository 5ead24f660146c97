"""Descriptors: what the switcher reads, a few numbers for each neuron.

A descriptor is a property of a neuron's weights that does not depend on the order of the neuron's
inputs. So one small switcher fits every group of every network, and what it learns on one
network means the same on another. To add one:

    DESCRIPTORS["peak"] = Descriptor(
        lambda weights: weights.incoming.abs().amax(1) / weights.length,
        "share of the largest incoming weight in the length of all of them",
    )
    SwitcherConfig(descriptors=("length", "outgoing", "peak"))
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from snnviz.structure.weights import LEAST_LENGTH, NeuronWeights


class Descriptor(NamedTuple):
    """A function that gives a number for each neuron of a group, and a sentence that explains it.

    The function must not depend on the order of the inputs, and must permute with the neurons. The
    switcher standardises its values within the group, so neither unit nor zero point matters.
    """

    function: Callable[[NeuronWeights], Tensor]  # -> (n,)
    sentence: str


def length(weights: NeuronWeights) -> Tensor:
    return weights.length.log()


def scale(weights: NeuronWeights) -> Tensor:
    return weights.scale


def shift(weights: NeuronWeights) -> Tensor:
    return weights.shift / weights.length


def outgoing(weights: NeuronWeights) -> Tensor:
    return weights.outgoing.clamp_min(LEAST_LENGTH).log()


def mean_cosine(weights: NeuronWeights) -> Tensor:
    # Two products of a matrix and a vector; the directions themselves would be a copy of all
    # weights.
    n, rows = len(weights.length), weights.incoming
    mean = rows.T.mv(1 / weights.length) / n  # (fan_in,): the mean of all directions
    return rows.mv(mean) / weights.length


def greatest_cosine(weights: NeuronWeights) -> Tensor:
    n = len(weights.length)
    if n == 1:
        return torch.zeros_like(weights.length)
    directions = weights.incoming / weights.length.unsqueeze(1)  # (n, fan_in)
    itself = torch.eye(n, dtype=torch.bool, device=directions.device)
    return (directions @ directions.T).masked_fill(itself, -torch.inf).amax(1)


def density(weights: NeuronWeights) -> Tensor:
    # Not `vector_norm(ord=1)`, which takes five times as long on a CPU.
    return weights.incoming.abs().sum(1) / weights.length


DESCRIPTORS: dict[str, Descriptor] = {
    "length": Descriptor(length, "logarithm of the length of the incoming weights"),
    "scale": Descriptor(scale, "scale of the norm behind the neuron, 1 where there is none"),
    "shift": Descriptor(
        shift, "shift of the norm, or the bias, over the length of the incoming weights"
    ),
    "outgoing": Descriptor(
        outgoing, "logarithm of the length of the weights by which other layers read the neuron"
    ),
    "mean_cosine": Descriptor(
        mean_cosine, "mean cosine of the incoming weights to those of all neurons of the group"
    ),
    "greatest_cosine": Descriptor(
        greatest_cosine, "greatest cosine of the incoming weights to those of another neuron"
    ),
    "density": Descriptor(
        density,
        "sum of the incoming weights' absolute values over their length: few large "
        "weights give little, many equal ones give much",
    ),
}


def describe_neurons(weights: NeuronWeights, names: Iterable[str]) -> Tensor:
    """(n, descriptors): these descriptors of the neurons of a group."""
    return torch.stack([DESCRIPTORS[name].function(weights) for name in names], 1)
