"""Squeeze and excitation (Hu et al. 2018): weights neurons by their activations, for each image.

It is applied where a factor would be: after the norm, before the activation. It switches none off,
and heads of attention layers have no gate.
"""

import torch
from torch import Tensor, nn

from snnviz.devices import seeded
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
    """A layer whose channels are weighted by their means over the image, or over its tokens."""

    def __init__(self, layer: nn.Module, channels: int, hidden: int) -> None:
        super().__init__()
        self.layer = layer
        self.channels_last = isinstance(layer, nn.Linear | nn.LayerNorm | nn.RMSNorm)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        y = y.movedim(-1, 1) if self.channels_last else y  # (n, channels, …)
        mean = y.flatten(2).mean(2) if y.ndim > 2 else y
        gate = self.excite(torch.relu(self.squeeze(mean))).sigmoid()  # (n, channels)
        y = y * gate.view(*gate.shape, *(1,) * (y.ndim - 2))
        return y.movedim(1, -1) if self.channels_last else y


def add_excitation(network: nn.Module, example: Tensor, reduction: float, seed: int) -> nn.Module:
    """A copy with gates; the weights of the network stay as they are."""
    copy = copied(network)
    switches = find_switches(network, example)
    with seeded(seed):
        layers = dict(copy.named_modules())
        groups = [group for group in switches.groups.values() if not group.heads]
        scaled = dict.fromkeys(name for group in groups for name in group.scaled)
        for name in filter(layers.get, scaled):  # the others are parameters
            layer = layers[name]
            channels = units_of(layer)
            hidden = max(1, round(channels / reduction))
            copy.set_submodule(name, Excited(layer, channels, hidden))
    return copy
