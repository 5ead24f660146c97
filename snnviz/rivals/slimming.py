"""Network slimming (Liu et al. 2017): an L1 penalty on the norms' scales; the smallest go.

A group without a norm gets scales of its own, which are learned together with the weights and
multiply them like the scale of a batch norm.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.rivals.joint import joint_step
from snnviz.rivals.pruning import Scores, train_and_prune
from snnviz.rivals.start import Start, check_setting
from snnviz.switcher import SwitcherConfig
from snnviz.training.learners import Learners
from snnviz.training.trainer import AlternatingTrainer


def slimming(
    start: Start, strength: float = 1e-4, size: float | None = None, prune_at: float = 0.5
) -> AlternatingTrainer:
    """Trains with the penalty, prunes by scale, and trains further without it.

    Args:
        start: what to train.
        strength: strength of the penalty; in the paper 1e-4 for VGG and 1e-5 for ResNet.
        size: share of the parameters to keep; None: as in the reference.
        prune_at: share of the epochs after which neurons are removed.
    """
    weight = check_setting("strength", strength, 0)
    plan = start.schedule  # scales learn as the weights do
    alike = {"lr": plan.task_lr, "optimizer": plan.task_optimizer, "momentum": plan.task_momentum}
    plan = plan.replace(**{f"switcher_{name}": value for name, value in alike.items()})
    shrinkage = partial(shrink_scales, strength=weight)
    learners = partial(Learners, gates=make_scales, shrinkage=shrinkage)
    begun = replace(start, schedule=plan)
    return train_and_prune(begun, score_by_scale, size, prune_at, learners, joint_step)


class Scales(nn.Module):
    """One scale for each neuron of a group without norms; the others have those of their norms."""

    config = SwitcherConfig(reads="nothing")

    def __init__(self, neurons: dict[str, int], without_norm: set[str]) -> None:
        super().__init__()
        self.none = nn.Parameter(
            torch.zeros(0)
        )  # an optimizer needs one, and there may be no other
        self.names = [name for name in neurons if name in without_norm]
        self.scales = nn.ParameterList(torch.ones(neurons[name]) for name in self.names)
        for i, (name, n) in enumerate(neurons.items()):
            self.register_buffer(
                f"one{i}", torch.ones(n) if name not in without_norm else None, False
            )
        self.groups = tuple(neurons)

    def factors(self, readings: None = None) -> dict[str, Tensor]:
        own = dict(zip(self.names, self.scales, strict=True))
        # A scale may become negative; a factor may not.
        return {
            name: own[name].abs() if name in own else getattr(self, f"one{i}")
            for i, name in enumerate(self.groups)
        }

    def sample(self) -> dict[str, Tensor]:
        """The factors of a step: nothing is random."""
        return self.factors()


def make_scales(learners: Learners) -> Scales:
    """A scale for each neuron whose group has no norm."""
    without = {g.name for g in learners.groups if not any(g.norms)}
    return Scales({g.name: g.neurons for g in learners.groups}, without)


def shrink_scales(learners: Learners, strength: float) -> Callable[[], None]:
    """Adds the penalty's gradient to that of each scale."""

    def shrink() -> None:
        for scale in [*_norm_scales(learners), *learners.switcher.parameters()]:
            if scale.grad is not None:
                scale.grad.add_(scale.detach().sign(), alpha=strength)

    return shrink


def score_by_scale(trainer: AlternatingTrainer) -> Scores:
    """The absolute scale of each neuron; the mean, if it has several norms."""
    found = {}
    for group in trainer.switches.groups.values():
        total, count = np.zeros(group.neurons), np.zeros(group.neurons)
        for member, norm in zip(group.written_as, group.norms, strict=True):
            if norm:
                weight: Any = trainer.network.get_submodule(norm).weight
                np.add.at(
                    total, member.neurons, weight.detach().abs().cpu().numpy()[member.channels]
                )
                np.add.at(count, member.neurons, 1)
        own = trainer.factors[group.name].detach().cpu().numpy()
        found[group.name] = np.where(count > 0, total / np.maximum(count, 1), own)
    return found


def _norm_scales(learners: Learners) -> list[Tensor]:
    names = dict.fromkeys(norm for g in learners.groups for norm in g.norms if norm)
    return [learners.network.get_submodule(name).weight for name in names]  # type: ignore[misc]
