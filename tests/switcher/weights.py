"""Weights of neurons that are in no network."""

import torch
from torch import Tensor

from snnviz.structure import NeuronWeights


def some_weights(n: int, fan_in: int, seed: int = 0) -> NeuronWeights:
    """Of n neurons, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    incoming, scale, shift, outgoing = (
        torch.randn(n, k, generator=generator) for k in (fan_in, 1, 1, 1)
    )
    return made_of(incoming, scale[:, 0], shift[:, 0], outgoing[:, 0].abs() + 0.1)


def made_of(incoming: Tensor, scale: Tensor, shift: Tensor, outgoing: Tensor) -> NeuronWeights:
    """Of neurons that one layer writes."""
    return NeuronWeights((incoming,), scale, shift, outgoing)


def equal_weights(
    n: int, incoming: float, scale: float, shift: float, outgoing: float, fan_in: int = 5
) -> NeuronWeights:
    """Of n neurons that are alike."""
    rest = (torch.full((n,), float(value)) for value in (scale, shift, outgoing))
    return made_of(torch.full((n, fan_in), float(incoming)), *rest)


def in_order(weights: NeuronWeights, order: Tensor) -> NeuronWeights:
    """The same neurons in another order."""
    return weights.map(lambda part: part[order])


def parts_of(weights: NeuronWeights) -> tuple[Tensor, ...]:
    return weights.incoming, weights.scale, weights.shift, weights.outgoing


# Odd ones, which must do no harm: {name: weights}.
ODD = {
    "zero": equal_weights(4, 0, 1, 0, 0),
    "equal": equal_weights(4, 1, 0, 1, 1),
    "alone": some_weights(1, 5),
    "one weight": equal_weights(1, 1, 1, 1, 1, fan_in=1),
    "tiny": equal_weights(4, 1e-20, 0, 0, 1e-20),
    "huge": some_weights(4, 5).map(lambda part: 1e15 * part),
}
