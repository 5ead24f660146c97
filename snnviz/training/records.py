"""What training hands out: a record of each step, an evaluation, and why it stopped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from snnviz import distributed
from snnviz.training.schedule import Phase


class TrainingStopped(RuntimeError):
    """Training cannot go on as it is; `trainer.rollback()` returns to the last epoch's end.

    Args:
        problem: what happened and what to try.
        epoch: `trainer.rollback()` returns to the end of this epoch; 0 is the start.
        way_back: a sentence that says how to go back; None: with `trainer.rollback()`.
    """

    def __init__(self, problem: str, epoch: int, way_back: str | None = None) -> None:
        if way_back is None:
            back = f"the end of epoch {epoch}" if epoch else "the start"
            way_back = f"trainer.rollback() returns to {back}."
        super().__init__(f"{problem} {way_back}")
        self.problem, self.epoch = problem, epoch


class Evaluation(NamedTuple):
    """Mean loss and share of images classified rightly (0 to 1)."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class StepRecord:
    """What one step leaves behind. `loss` and `accuracy` wait for the device when read."""

    step: int  # counted from 1
    epoch: int  # the epoch it belongs to, from 1
    phase: Phase
    lr: float
    measured: Tensor  # loss, accuracy, then the number of neurons on in each group

    @property
    def loss(self) -> float:
        """Mean task loss of the batch, before the step's update."""
        return float(self.measured[0])

    @property
    def accuracy(self) -> float:
        """Share of the batch classified rightly (0 to 1), before the step's update."""
        return float(self.measured[1])


def measure_step(loss: Tensor, scores: Tensor, labels: Tensor, on: Tensor) -> Tensor:
    """(2 + groups,): all that a step tells in one tensor, so that reading it waits once."""
    accuracy = (scores.detach().argmax(1) == labels).float().mean()
    return torch.cat([torch.stack([loss.detach(), accuracy]), on])


def count_neurons_on(factors: Mapping[str, Tensor]) -> Tensor:
    """(groups,): counted on the device, where NaN counts as off."""
    return torch.stack([(s > 0).sum() for s in factors.values()])


def average_over_processes(measured: Tensor, weight: float) -> Tensor:
    """Loss and accuracy of a whole batch, of which this process saw a share of this weight."""
    if not distributed.several():
        return measured
    measured[:2] *= weight
    return distributed.total(measured) / distributed.processes()
