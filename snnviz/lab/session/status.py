"""What a session shows of itself: where training stands, in values that never change."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snnviz.lab.session.neuron import Page
from snnviz.lab.session.whatif import Trial
from snnviz.training import Phase, Position, Schedule, StepRecord
from snnviz.training.schedule import Stage

Activity = Literal["idle", "playing", "stepping", "closed"]


@dataclass(frozen=True)
class Notice:
    """A word to the user: what came of a command."""

    kind: Literal["in force", "refused", "finished", "closed", "news"]
    text: str


@dataclass(frozen=True)
class Problem:
    """An error that ended training."""

    error: Exception
    text: str
    traceback: str
    rollback: str  # where a rollback leads: "epoch 3" or "the start"


@dataclass(frozen=True)
class Status:
    """Where a session stands between two steps."""

    activity: Activity
    position: Position
    schedule: Schedule  # in force
    planned: Schedule  # in force from the next round
    batches_per_epoch: int
    seconds_per_step: float | None  # a moving average
    records: Mapping[Phase, StepRecord]  # the last step of each phase
    generation: int  # how often the run went back; positions of two generations do not compare
    handled: int  # commands carried out so far
    factors: Mapping[str, np.ndarray]  # in force now, or a moment ago: {group: (neurons,)}
    pins: Mapping[str, Mapping[int, float]]
    forkable: frozenset[int]  # epochs whose ends are kept in memory
    trial: Trial | None = None  # what if
    kept: Trial | None = None  # the last one that was kept
    page: Page | None = None  # the neuron that is looked at
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

    @property
    def seconds_left(self) -> float | None:
        """How long the rest of the schedule takes; None before the first step."""
        return None if self.seconds_per_step is None else self.seconds_per_step * self.steps_left


def percent(on: int, n: int) -> int:
    """The share in whole percent, as `grid.js` rounds it; 0 and 100 are none and all."""
    share = math.floor(100 * on / n + 0.5)
    return min(max(share, 1), 99) if 0 < on < n else share


def in_words(old: Schedule, new: Schedule) -> str:
    """What changes from one schedule to another: "task_steps 4 → 8"."""
    return ", ".join(f"{name} {was} → {now}" for name, (was, now) in old.changes(new).items())
