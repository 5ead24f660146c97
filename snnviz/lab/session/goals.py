"""How far training is to go, and how long a step takes."""

from dataclasses import dataclass
from typing import Literal

from snnviz.training import Position, Schedule

Unit = Literal["batch", "phase", "epoch"]
UNITS: tuple[Unit, ...] = ("batch", "phase", "epoch")


@dataclass
class Goal:
    """So many batches, phases or epochs; "end" is the schedule's end."""

    unit: Literal["batch", "phase", "epoch", "end"]
    left: int = 1

    def count(self, plan: Schedule, before: Position, after: Position) -> bool:
        """Counts a step that is done; whether it was the last one to make."""
        self.left -= ends_unit(self.unit, plan, before, after)
        return self.left <= 0


def ends_unit(unit: str, plan: Schedule, before: Position, after: Position) -> bool:
    """Whether the step between two positions was the last one of its batch, phase or epoch."""
    if unit == "end":
        return False
    if unit == "phase" and plan.alternates(before.epoch):
        return after.round_step == 0 or plan.phase(after) != plan.phase(before)
    return unit == "batch" or after.epoch > before.epoch


@dataclass
class Pace:
    """Seconds per step: a plain mean at first, then a moving one over about an epoch."""

    seconds: float | None = None
    steps: int = 0

    def add(self, seconds: float, memory: int) -> None:
        """Counts a step that took so long; the mean remembers about `memory` steps."""
        self.steps += 1
        mean = seconds if self.seconds is None else self.seconds
        self.seconds = mean + (seconds - mean) / min(self.steps, max(memory, 20))
