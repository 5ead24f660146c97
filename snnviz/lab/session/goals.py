"""How far training is to go, and how long a step takes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from snnviz import checks
from snnviz.training import Position, Schedule

Unit = Literal["batch", "phase", "epoch"]
Activity = Literal["idle", "playing", "stepping", "closed"]
SLOWEST_TO_FASTEST = (0.01, 1000.0)  # steps a second that can be asked for
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


def make_goal(unit: Unit, n: int) -> Goal:
    """What somebody asks for.

    Raises:
        ValueError: no such unit, or n below 1.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of 'batch', 'phase', 'epoch', got {unit!r}.")
    count = checks.plain(n)
    if type(count) is not int or count < 1:
        raise ValueError(f"n must be a whole number of at least 1, got {n!r}.")
    return Goal(unit, count)


def find_activity(goals: Sequence[Goal], closed: bool) -> Activity:
    """What a session with these goals is doing."""
    if closed:
        return "closed"
    if not goals:
        return "idle"
    return "playing" if goals[0].unit == "end" else "stepping"


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


def check_speed(speed: float | None) -> float | None:
    """ValueError unless it is a speed; returns it."""
    try:
        return None if speed is None else checks.number("speed", speed, *SLOWEST_TO_FASTEST)
    except ValueError as error:
        raise ValueError(f"{error} It is in steps a second; None: as fast as it can.") from None


@dataclass
class Tempo:
    """Makes steps wait, so that people can follow them.

    Attributes:
        speed: steps a second at most; None: as many as can be.
    """

    speed: float | None = None
    began: float = float("-inf")  # the last step

    def wait(self, goal: Goal) -> float:
        """Seconds until the next step may begin. Single steps by hand need not wait."""
        if self.speed is None or goal.unit == "batch":
            return 0.0
        return max(self.began + 1 / self.speed - time.monotonic(), 0.0)

    def slow(self, seconds: float | None) -> float | None:
        """What a step takes with its wait, from what it takes without."""
        return seconds if seconds is None or not self.speed else max(seconds, 1 / self.speed)
