"""L0 regularisation (Louizos et al. 2018): hard concrete gates, learned with the weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.rivals.joint import JointLearners
from snnviz.rivals.start import Start, number
from snnviz.structure import Factors
from snnviz.switcher import SwitcherConfig
from snnviz.training import Trainer

GAMMA, ZETA, BETA = -0.1, 1.1, 2 / 3  # section 4 of the paper


def l0(start: Start, strength: float = 0.1, lr: float = 0.02, dropout: float = 0.2) -> Trainer:
    """Trains weights and gates together; what size comes of it, comes.

    Args:
        start: what to train.
        strength: lambda times the number of training images: the price of a weight that is on.
        lr: learning rate of the gates, under Adam.
        dropout: the share of gates that is off at the start, about.
    """
    price = number("strength", strength, 0) / len(start.data.train)
    share = number("dropout", dropout, 0.001, 0.999)

    class L0(L0Learners):
        def __init__(self, *args: Any) -> None:
            self.share = share
            super().__init__(*args)
            self.price = price

    schedule = start.alone.replace(switcher_lr=number("lr", lr, 0), switcher_optimizer="adam")
    trainer = start.trainer(schedule=schedule, learners=L0)
    trainer.run(progress=False)
    return trainer


class Gates(nn.Module):
    """log alpha of every neuron's gate."""

    config = SwitcherConfig(reads="nothing")

    def __init__(self, neurons: dict[str, int], dropout: float) -> None:
        super().__init__()
        start = math.log(1 - dropout) - math.log(dropout)
        self.groups = tuple(neurons)
        self.log_alpha = nn.ParameterList(torch.full((n,), start) for n in neurons.values())

    def sample(self) -> dict[str, Tensor]:
        """Gates drawn for a step (equations 10 and 11)."""
        return {name: hard_concrete(a, torch.rand_like(a)) for name, a in self._items()}

    def factors(self, readings: None = None) -> dict[str, Tensor]:
        """Gates for evaluation, without noise (equation 13)."""
        return {name: stretched(a.sigmoid()) for name, a in self._items()}

    def chances(self) -> dict[str, Tensor]:
        """How likely each gate is to be on (equation 12)."""
        return {name: (a - BETA * math.log(-GAMMA / ZETA)).sigmoid() for name, a in self._items()}

    def _items(self) -> list[tuple[str, Tensor]]:
        return list(zip(self.groups, self.log_alpha, strict=True))


def hard_concrete(log_alpha: Tensor, u: Tensor) -> Tensor:
    """A gate from uniform noise u (equations 10 and 11): 0, 1, or between."""
    u = u.clamp(1e-6, 1 - 1e-6)
    return stretched(((u.log() - (1 - u).log() + log_alpha) / BETA).sigmoid())


def stretched(s: Tensor) -> Tensor:
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


class L0Learners(JointLearners):
    """Draws gates for each step, and pays for those that are likely to be on."""

    price, share = 0.0, 0.5

    def make_gates(self) -> Gates:
        return Gates({g.name: g.neurons for g in self.groups}, self.share)

    def gates(self) -> Factors:
        return self.switcher.sample()

    def penalty(self) -> Tensor | float:
        """The expected number of weights that are on, at their price."""
        costs = self._weights_per_neuron()
        return self.price * sum(
            costs[name] * p.sum() for name, p in self.switcher.chances().items()
        )

    def _weights_per_neuron(self) -> dict[str, int]:
        """Weights and biases that lead into a neuron."""
        found = {}
        for group in self.groups:
            layers: list[Any] = [self.network.get_submodule(name) for name in group.writers]
            parameters = sum(p.numel() for layer in layers for p in layer.parameters())
            found[group.name] = parameters // group.neurons
        return found
