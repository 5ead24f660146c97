"""What a session shows of itself: how far training is, in values that never change."""

import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnviz.data import ImagesMissing
from snnviz.lab.session.classes import Classes
from snnviz.lab.session.goals import Activity
from snnviz.lab.session.neuron import Page
from snnviz.lab.session.whatif import Trial
from snnviz.training import StepRecord, TrainingStopped
from snnviz.training.schedule import Phase, Position, Schedule, Stage


@dataclass(frozen=True)
class Notice:
    """A message to the user: what came of a command."""

    kind: Literal["applied", "refused", "finished", "closed", "news"]
    text: str


@dataclass(frozen=True)
class Problem:
    """An error that ended training."""

    error: Exception
    text: str
    traceback: str
    rollback: str  # where a rollback leads: "epoch 3" or "the start"

    def as_error(self) -> Exception:
        """What a cell that waits for training raises."""
        if isinstance(stopped := self.error, TrainingStopped):
            way_back = describe_way_back(self.rollback)
            return TrainingStopped(stopped.problem, stopped.epoch, way_back)
        return RuntimeError(self.text)


@dataclass(frozen=True)
class Status:
    """The state of a session between two steps."""

    activity: Activity
    position: Position
    schedule: Schedule  # that training uses now
    planned: Schedule  # from the next round on
    batches_per_epoch: int
    seconds_per_step: float | None  # a moving average
    records: Mapping[Phase, StepRecord]  # the last step of each phase
    generation: int  # how often the run went back; do not compare positions of two generations
    handled: int  # commands carried out so far
    factors: Mapping[str, np.ndarray]  # {group: (neurons,)}, now or a moment ago
    pins: Mapping[str, Mapping[int, float]]
    forkable: frozenset[int]  # epochs whose ends are kept in memory
    trial: Trial | None = None  # what if
    kept: Trial | None = None  # the last one that was kept
    page: Page | None = None  # the neuron that is looked at
    classes: Classes | None = None  # what is predicted, while somebody watches it
    speed: float | None = None  # steps a second at most; None: as many as can be
    elsewhere: str = ""  # why nothing can be trained here: another trainer does
    refusal: str = ""  # why the last what-if, keep or let go was refused
    notice: Notice | None = None
    problem: Problem | None = None

    @property
    def running(self) -> bool:
        """Whether steps are being made."""
        return self.activity in ("playing", "stepping")

    @property
    def finished(self) -> bool:
        """Whether the planned epochs are done."""
        return self.position.epoch >= self.schedule.epochs

    @property
    def phase(self) -> Phase:
        """The phase of the next step."""
        return self.schedule.phase(self.position)

    @property
    def stage(self) -> Stage | Literal["task only"]:
        """The kind of epoch that the next step belongs to."""
        plan = self.schedule
        return plan.stage(self.position.epoch) if plan.switcher_steps else "task only"

    @property
    def steps_left(self) -> int:
        """Steps to the schedule's end."""
        return self.schedule.steps_left(self.position, self.batches_per_epoch)

    def say_late(self, timeout: float | None) -> str:
        """That training goes on after somebody has waited so long for its end."""
        return (
            f"After {timeout:g} s the lab is still {self.activity} "
            f"(step {self.position.step}). Wait longer, or use lab.pause()."
        )

    @property
    def slowed(self) -> bool:
        """Whether steps wait, so that the page can show each."""
        took = self.seconds_per_step
        return self.speed is not None and took is not None and took <= 1 / self.speed

    @property
    def seconds_left(self) -> float | None:
        """How long the rest of the schedule takes; None before the first step."""
        return None if self.seconds_per_step is None else self.seconds_per_step * self.steps_left


def percent(on: int, n: int) -> int:
    """The share in whole percent, as `numbers.js` rounds it; 0 and 100 are none and all."""
    share = math.floor(100 * on / n + 0.5)
    return min(max(share, 1), 99) if 0 < on < n else share


def describe_changes(old: Schedule, new: Schedule) -> str:
    """What changes from one schedule to another: "task_steps 4 → 8"."""
    return ", ".join(f"{name} {was} → {now}" for name, (was, now) in old.changes(new).items())


def describe_finish(epochs: int) -> str:
    """That all planned epochs are done, and what to do next."""
    done = "The one planned epoch is" if epochs == 1 else f"All {epochs} planned epochs are"
    return (
        f"{done} done. To train further, raise the number of epochs; or press Reset (behind more)."
    )


def finish_notice(epochs: int, first: Notice | None = None) -> Notice:
    """That all planned epochs are done, after what there is to say first."""
    text = describe_finish(epochs)
    if first is None:
        return Notice("finished", text)
    return Notice(first.kind, f"{first.text} {text}")


def make_problem(error: Exception, step: int, epochs: int) -> Problem:
    """What ended training, after so many steps and finished epochs."""
    back = f"epoch {epochs}" if epochs else "the start"
    words = describe_error(error, step, back)
    return Problem(error, words, "".join(traceback.format_exception(error)), back)


def describe_error(error: Exception, step: int, back: str) -> str:
    """What ended training, and what to do next.

    Args:
        step: how many steps are done.
        back: where a rollback leads.
    """
    if isinstance(error, TrainingStopped):
        return f"{error.problem} {describe_way_back(back)}"
    if isinstance(error, ImagesMissing):
        return str(error)
    kind = type(error).__name__
    return (
        f"Training stopped after step {step} by {kind}: {error} "
        "Everything is as it was after that step; Play tries the next one again."
    )


def describe_way_back(back: str) -> str:
    """How to return to a state that is sound, and where that leads."""
    return f"The button Back to {back}, or lab.rollback(), returns there."
