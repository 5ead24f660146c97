"""Squeeze and excitation (Hu et al. 2018): weights neurons by their activations, for each image.

It is applied where a factor would be: after the norm, before the activation. It switches none off.
"""

import torch
from torch import Tensor, nn

from snnviz.rivals.start import Start, check_setting
from snnviz.structure import find_switches
from snnviz.structure.layers import units_of
from snnviz.structure.probe import copied
from snnviz.training.trainer import AlternatingTrainer


def se(start: Start, reduction: float = 8) -> AlternatingTrainer:
    """Trains the network with a gate after each layer of its switch groups.

    Args:
        start: what to train.
        reduction: number of neurons divided by the number of hidden units of their gate.
    """
    divisor = check_setting("reduction", reduction, 1)
    example = start.data.batch("train", torch.arange(2))[0].cpu()
    network = add_excitation(start.network, example, divisor, start.seed)
    trainer = start.trainer(network, start.alone)
    trainer.run(progress=False)
    return trainer


class Excited(nn.Module):
    """A layer whose channels are weighted by their means over the image."""

    def __init__(self, layer: nn.Module, channels: int, hidden: int) -> None:
        super().__init__()
        self.layer = layer
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)  # (n, channels, …)
        mean = y.flatten(2).mean(2) if y.ndim > 2 else y
        gate = self.excite(torch.relu(self.squeeze(mean))).sigmoid()  # (n, channels)
        return y * gate.view(*gate.shape, *(1,) * (y.ndim - 2))


def add_excitation(network: nn.Module, example: Tensor, reduction: float, seed: int) -> nn.Module:
    """A copy with gates; the weights of the network stay as they are."""
    copy = copied(network)
    switches = find_switches(network, example)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = dict(copy.named_modules())
        scaled = dict.fromkeys(n for g in switches.groups.values() for n in g.scaled)
        for name in filter(layers.get, scaled):  # the others are parameters
            layer = layers[name]
            channels = units_of(layer)
            hidden = max(1, round(channels / reduction))
            copy.set_submodule(name, Excited(layer, channels, hidden))
    return copy
