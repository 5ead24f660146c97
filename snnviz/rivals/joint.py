"""Factors that are learned together with the weights, in the same steps: no phases, no switcher."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from snnviz.structure import Factors, scaled_parameters
from snnviz.switcher import SwitcherConfig
from snnviz.training import Learners, Schedule
from snnviz.training.meter import measured, neurons_on
from snnviz.training.optimizers import trainable, update


class JointLearners(Learners):
    """A task network and what gates its neurons, with an optimizer each and one loss for both.

    The gates stand in the switcher's place. Their learning rate is the schedule's `switcher_lr`,
    which decays as the task network's does.
    """

    def make_gates(self) -> nn.Module:
        """A module with `factors()` for evaluation, {group: (neurons,)}, and `config`."""
        raise NotImplementedError

    def gates(self) -> Factors:
        """Factors of this step, attached to the gates' parameters."""
        raise NotImplementedError

    def penalty(self) -> Tensor | float:
        """What is added to the loss."""
        return 0.0

    def task_step(
        self, images: Tensor, labels: Tensor, lr: float, through_switcher: bool = False
    ) -> Tensor:
        """Updates the task network and the gates."""
        self.network.train()
        parameters = scaled_parameters(
            self.network, self.switches, self._pinned_over(dict(self.gates()))
        )
        with self._autocast():
            scores = functional_call(self.network, parameters, (images,))
        loss = F.cross_entropy(scores.float(), labels)
        self.task_optimizer.zero_grad(set_to_none=True)
        self.switcher_optimizer.zero_grad(set_to_none=True)
        own = list(self.switcher.parameters())
        (loss + self.penalty()).backward(inputs=[*trainable(self.network), *own])
        self._shrink()
        update(self.task_optimizer, lr)
        if own:
            update(self.switcher_optimizer, lr * self._ratio)
        self._in_force = self._scaled = self._readings = None
        with torch.no_grad():  # what a sampled gate turns off for one step is not off
            on = neurons_on(self._pinned_over(self.switcher.factors()))
        return measured(loss, scores, labels, on)

    def join(self) -> None:
        raise ValueError(
            "this method trains in one process, and torchrun started several. Start it without "
            "torchrun."
        )

    def renew_optimizers(self, schedule: Schedule) -> None:
        self._ratio = schedule.switcher_lr / schedule.task_lr if schedule.task_lr else 0.0
        super().renew_optimizers(schedule)

    def _make_switcher(self, config: SwitcherConfig, seed: int) -> Any:
        return self.make_gates()
