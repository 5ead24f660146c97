"""The meter: reads the results of steps, checks them, and adds steps and epochs to the history."""

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from snnviz import distributed
from snnviz.history import History
from snnviz.structure import Switches
from snnviz.training.records import Evaluation, StepRecord, TrainingStopped
from snnviz.training.schedule import Position, Schedule

_READ_EVERY = 32  # steps after which results are read even if no round has ended


@dataclass
class Running:
    """Sums over the task steps of the current epoch."""

    loss: float = 0.0
    accuracy: float = 0.0
    steps: int = 0
    seconds: float = 0.0


class Meter:
    """Collects results of steps and epochs. They stay on the device until `flush` reads them."""

    def __init__(self) -> None:
        self.stopped: TrainingStopped | None = None  # why training cannot continue
        self._unread: list[StepRecord] = []
        self._running = Running()

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Adds the time spent inside to the epoch's, unless there is an error."""
        began = time.perf_counter()
        yield
        self._running.seconds += time.perf_counter() - began

    def add(self, record: StepRecord) -> None:
        """Adds a step's record, without reading its results yet."""
        self._unread.append(record)

    @property
    def is_full(self) -> bool:
        """Whether enough results are waiting that they should be read now."""
        return len(self._unread) >= _READ_EVERY

    @property
    def epoch_is_open(self) -> bool:
        """Whether there are steps since the last finished epoch."""
        return self._running.steps > 0

    def flush(self, history: History, schedule: Schedule) -> None:
        """Reads the steps' results from the device at once, checks them, and records them.

        Raises:
            TrainingStopped: a loss is not finite, or a group is entirely off.
        """
        if not self._unread:
            return
        unread, self._unread = self._unread, []
        measured = torch.stack([record.measured for record in unread]).tolist()
        for record, (loss, accuracy, *on) in zip(unread, measured, strict=True):
            where = f"at step {record.step} ({record.phase} phase, epoch {record.epoch})"
            self._check(where, loss, on, history, schedule)
            history.add_step(
                step=record.step,
                epoch=record.epoch,
                phase=record.phase,
                loss=loss,
                accuracy=accuracy,
                lr=record.lr,
            )
            if record.phase == "task":
                self._running.loss += loss
                self._running.accuracy += accuracy
                self._running.steps += 1

    def finish_epoch(
        self,
        history: History,
        schedule: Schedule,
        at: Position,
        test: Evaluation,
        factors: Mapping[str, np.ndarray],
        switches: Switches,
    ) -> None:
        """Adds the epoch that ends at this position to the history.

        Raises:
            TrainingStopped: the test loss is not finite, or a group is entirely off.
        """
        # No step has checked the last step's update yet, and the saved state must be sound.
        where = f"after step {at.step} (at the end of epoch {at.epoch})"
        on = [int((s > 0).sum()) for s in factors.values()]
        self._check(where, test.loss, on, history, schedule)
        size, sums = switches.size(factors), self._running
        history.add_epoch(
            factors,
            epoch=at.epoch,
            step=at.step,
            train_loss=sums.loss / sums.steps,
            train_accuracy=sums.accuracy / sums.steps,
            test_loss=test.loss,
            test_accuracy=test.accuracy,
            neurons_on=sum(int((s != 0).sum()) for s in factors.values()),
            neurons=sum(history.groups.values()),
            parameters=size.parameters,
            macs=size.macs,
            seconds=sums.seconds,
        )
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Resets the sums over the current epoch."""
        self._running = Running()

    @property
    def running(self) -> Running:
        """The sums over the current epoch; a copy."""
        return copy.copy(self._running)

    def go_on_from(self, running: Running) -> None:
        """Continues where `running` was read, with no waiting results and no error."""
        self._running = copy.copy(running)
        self._unread, self.stopped = [], None

    def _check(
        self, where: str, loss: float, on: Sequence[float], history: History, schedule: Schedule
    ) -> None:
        off = [name for name, n in zip(history.groups, on, strict=True) if n == 0]
        if math.isfinite(loss) and not off:
            return
        problem = _describe_problem(where, loss, off, schedule)
        self.stopped = TrainingStopped(problem, history.n_epochs)
        raise self.stopped


def _describe_problem(where: str, loss: float, off: list[str], schedule: Schedule) -> str:
    if math.isfinite(loss):
        return (
            f"The switcher turned all neurons of {', '.join(off)} off {where}. Try a lower "
            f"schedule.switcher_lr (now {schedule.switcher_lr:g}), a lower gain of the switcher, "
            "or the activation 'unit_mean', which never turns a whole group off."
        )
    return (
        f"The loss became {loss} {where}. Try a lower schedule.task_lr "
        f"(now {schedule.task_lr:g}) or schedule.switcher_lr (now {schedule.switcher_lr:g}), "
        "or a lower gain of the switcher."
    )


def measure_step(loss: Tensor, scores: Tensor, labels: Tensor, on: Tensor) -> Tensor:
    """(2 + groups,): all results of a step in one tensor, so that reading waits only once."""
    accuracy = (scores.detach().argmax(1) == labels).float().mean()
    return torch.cat([torch.stack([loss.detach(), accuracy]), on])


def count_neurons_on(factors: Mapping[str, Tensor]) -> Tensor:
    """(groups,): counted on the device, where NaN counts as off."""
    return torch.stack([(s > 0).sum() for s in factors.values()])


def average_over_processes(measured: Tensor, weight: float) -> Tensor:
    """Loss and accuracy of a whole batch; this process's share of it has this weight."""
    if not distributed.several():
        return measured
    measured[:2] *= weight
    return distributed.total(measured) / distributed.processes()
