"""The course of a run: its stretches of one kind, and those that a schedule still has to come.

Places are epochs: 0 is the start, 2.5 the middle of the third epoch.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from snnviz.training import Phase, Position, Schedule
from snnviz.training.schedule import Stage

Kind = Literal[Stage, "task only"]
Point = tuple[float, float]  # place, learning rate
Lines = list[list[Point]]

POINTS = 160  # of a learning rate's line, about


@dataclass(frozen=True)
class Band:
    """A stretch of epochs of one kind. `round` is the steps of a round, where it is known."""

    start: float
    end: float
    kind: Kind
    done: bool
    task: int
    switcher: int
    round: tuple[int, int] | None = None

    @property
    def words(self) -> str:
        """For screen readers: "alternating, epochs 2 to 8, planned: rounds of …"."""
        first, last = math.floor(self.start) + 1, max(math.ceil(self.end), 1)
        where = f"epoch {first}" if last <= first else f"epochs {first} to {last}"
        name = "task steps only" if self.kind == "task only" else self.kind
        steps = count_noun(self.task, "task step")
        if self.switcher:
            steps = f"{self.task:,} task and {count_noun(self.switcher, 'switcher step')}"
        if self.done or self.round is None:
            return f"{name}, {where}, {'done' if self.done else 'planned'}: {steps}"
        return f"{name}, {where}, planned: {steps}, in {_rounds(*self.round)}"


def plan_bands(plan: Schedule, start: float, batches: int) -> list[Band]:
    """What a schedule still has to come from a place on.

    Args:
        plan: the schedule.
        start: from where.
        batches: task steps in an epoch.
    """
    warm = min(plan.warmup_epochs, plan.epochs)
    frozen = max(warm, plan.epochs - plan.freeze_epochs)
    stretches: list[tuple[int, int, Kind]] = [
        (0, warm, "warm-up"),
        (warm, frozen, "alternating"),
        (frozen, plan.epochs, "frozen"),
    ]
    if not plan.switcher_steps:
        stretches = [(0, plan.epochs, "task only")]
    made = []
    for begin, end, kind in stretches:
        begin = max(begin, start)
        if begin >= end:
            continue
        task = round((end - begin) * batches)
        alternates = kind == "alternating"
        switcher = task * plan.switcher_steps // plan.task_steps if alternates else 0
        a_round = (plan.task_steps, plan.switcher_steps) if alternates else None
        made.append(Band(begin, end, kind, False, task, switcher, a_round))
    return made


def plan_rates(plan: Schedule, phase: Phase, bands: Iterable[Band], batches: int) -> Lines:
    """The learning rates that a schedule has for these bands; the switcher's where it learns."""
    lines: Lines = []
    for band in bands:
        if phase == "switcher" and band.kind != "alternating":
            continue
        n = max(2, round(POINTS * (band.end - band.start) / plan.epochs))
        places = [band.start + (band.end - band.start) * i / (n - 1) for i in range(n)]
        line = [(x, plan.learning_rate(phase, _position(x, batches), batches)) for x in places]
        if lines and lines[-1][-1][0] == band.start:
            lines[-1] += line[1:]
        else:
            lines.append(line)
    return lines


def describe_schedule(plan: Schedule) -> str:
    """A schedule in a sentence."""
    bands = plan_bands(plan, 0, 1)
    if not any(band.kind == "alternating" for band in bands):
        if not plan.switcher_steps:
            epochs = count_noun(plan.epochs, "epoch")
            return f"{epochs} without a switcher phase: the factors stay constant."
        return (
            "No epoch is left between warm-up and frozen epochs: there will be no switcher phase."
        )
    parts = []
    for band in bands:
        epochs = round(band.end - band.start)
        if band.kind == "alternating":
            parts.append(f"{epochs} alternating in {_rounds(*band.round or (0, 0))}")
        else:
            parts.append(f"{epochs} {band.kind}")
    noun = "epoch" if parts[0].startswith("1 ") else "epochs"
    count, rest = parts[0].split(" ", 1)
    where = "; the switcher uses held-out data" if plan.switcher_data == "holdout" else ""
    return f"{', then '.join([f'{count} {noun} {rest}', *parts[1:]])}{where}{_ramp(plan)}."


def _ramp(plan: Schedule) -> str:
    if plan.size is None:
        return ""
    begin, end = plan.ramp
    return (
        f"; neurons go off from epoch {begin:g} to {end:g}, until {100 * plan.size:g} % of the "
        f"{plan.size_of} are left (an extension, not in the paper)"
    )


def count_noun(n: int, noun: str) -> str:
    """1 step, 2 steps."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _rounds(task: int, switcher: int) -> str:
    return f"rounds of {task:,} task and {count_noun(switcher, 'switcher step')}"


def _position(place: float, batches: int) -> Position:
    epoch = math.floor(place)
    return Position(epoch=epoch, batch=round((place - epoch) * batches))
