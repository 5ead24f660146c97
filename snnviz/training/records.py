"""What steps and evaluations leave behind."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from snnviz.training.schedule import Phase


class TrainingStopped(RuntimeError):
    """Training cannot go on as it is; `trainer.rollback()` returns to the last epoch's end.

    `problem` is what happened and what to try, without the way back.
    """

    problem = ""


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


@dataclass
class Running:
    """Sums over the task steps of the epoch that is under way."""

    loss: float = 0.0
    accuracy: float = 0.0
    steps: int = 0
    seconds: float = 0.0
