"""L0 regularisation (Louizos et al. 2018): hard concrete gates, learned with the weights."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snnviz.rivals.joint import joint_step
from snnviz.rivals.start import Start, check_setting
from snnviz.switcher import SwitcherConfig
from snnviz.training.learners import Learners
from snnviz.training.trainer import AlternatingTrainer

GAMMA, ZETA, BETA = -0.1, 1.1, 2 / 3  # section 4 of the paper


def l0(
    start: Start, strength: float = 0.1, lr: float = 0.02, dropout: float = 0.2
) -> AlternatingTrainer:
    """Trains weights and gates together; the penalty decides the size.

    Args:
        start: what to train.
        strength: lambda times the number of training images: the price of a weight that is on.
        lr: learning rate of the gates, which Adam trains.
        dropout: approximate share of the gates that are off at the start.
    """
    price = check_setting("strength", strength, 0) / len(start.data.train)
    share = check_setting("dropout", dropout, 0.001, 0.999)
    rate = check_setting("lr", lr, 0)
    trainer = start.trainer(
        schedule=start.alone.replace(switcher_lr=rate, switcher_optimizer="adam"),
        learners=partial(Learners, gates=partial(make_gates, dropout=share)),
        task_step=partial(joint_step, penalty=partial(price_weights, price=price)),
    )
    trainer.run(progress=False)
    return trainer


class Gates(nn.Module):
    """One gate for each neuron, whose parameter is log alpha."""

    config = SwitcherConfig(reads="nothing")

    def __init__(self, neurons: dict[str, int], dropout: float) -> None:
        super().__init__()
        start = math.log(1 - dropout) - math.log(dropout)
        self.groups = tuple(neurons)
        self.log_alpha = nn.ParameterList(torch.full((n,), start) for n in neurons.values())

    def sample(self) -> dict[str, Tensor]:
        """Gates sampled for a step (equations 10 and 11)."""
        return {name: hard_concrete(a, torch.rand_like(a)) for name, a in self._items()}

    def factors(self, readings: None = None) -> dict[str, Tensor]:
        """Gates for evaluation, without noise (equation 13)."""
        return {name: stretch(a.sigmoid()) for name, a in self._items()}

    def probabilities(self) -> dict[str, Tensor]:
        """The probability that each gate is on (equation 12)."""
        return {name: (a - BETA * math.log(-GAMMA / ZETA)).sigmoid() for name, a in self._items()}

    def _items(self) -> list[tuple[str, Tensor]]:
        return list(zip(self.groups, self.log_alpha, strict=True))


def hard_concrete(log_alpha: Tensor, u: Tensor) -> Tensor:
    """A gate from uniform noise u (equations 10 and 11), from 0 to 1."""
    u = u.clamp(1e-6, 1 - 1e-6)
    return stretch(((u.log() - (1 - u).log() + log_alpha) / BETA).sigmoid())


def stretch(s: Tensor) -> Tensor:
    return (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def make_gates(learners: Learners, dropout: float) -> Gates:
    """A gate for each neuron."""
    return Gates({g.name: g.neurons for g in learners.groups}, dropout)


def price_weights(learners: Learners, price: float) -> Tensor | float:
    """The price of the expected number of weights that are on."""
    weights = _count_weights(learners)
    probabilities = learners.switcher.probabilities()
    return price * sum(weights[name] * p.sum() for name, p in probabilities.items())


def _count_weights(learners: Learners) -> dict[str, int]:
    """Number of incoming weights and biases of a neuron, for each group."""
    found = {}
    for group in learners.groups:
        layers: list[Any] = [learners.network.get_submodule(name) for name in group.writers]
        parameters = sum(p.numel() for layer in layers for p in layer.parameters(recurse=False))
        found[group.name] = parameters // group.neurons
    return found
