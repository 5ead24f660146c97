"""Results of training: a record of each step, an evaluation, and the reason for a stop."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from snnviz.training.schedule import Phase


class TrainingStopped(RuntimeError):
    """Training cannot continue like this; `trainer.rollback()` returns to the last epoch's end.

    Args:
        problem: what happened and what to try.
        epoch: `trainer.rollback()` returns to the end of this epoch; 0 is the start.
        way_back: a sentence that says how to return; None: with `trainer.rollback()`.
    """

    def __init__(self, problem: str, epoch: int, way_back: str | None = None) -> None:
        if way_back is None:
            back = f"the end of epoch {epoch}" if epoch else "the start"
            way_back = f"trainer.rollback() returns to {back}."
        super().__init__(f"{problem} {way_back}")
        self.problem, self.epoch = problem, epoch


class Evaluation(NamedTuple):
    """How well images were classified.

    Attributes:
        loss: the mean over the images.
        accuracy: the share of images classified correctly, 0 to 1.
    """

    loss: float
    accuracy: float


@dataclass(frozen=True)
class StepRecord:
    """The results of one step. Reading `loss` or `accuracy` waits for the device."""

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
        """Share of the batch classified correctly (0 to 1), before the step's update."""
        return float(self.measured[1])
