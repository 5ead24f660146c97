"""The schedule: the phase and the learning rate of each step."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

Phase = Literal["task", "switcher"]
Stage = Literal["warm-up", "alternating", "frozen"]

OPTIMIZERS = ("sgd", "adam")
DECAYS = ("cosine", "constant")
SWITCHER_DATA = ("train", "holdout")


@dataclass(frozen=True)
class Position:
    """A run's progress. All counts start at 0, so they are also the index of what comes *next*.

    Attributes:
        step: completed steps, task and switcher together.
        epoch: completed passes over the training images.
        batch: completed task steps of this epoch.
        round_step: completed steps of this round.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    round_step: int = 0


@dataclass(frozen=True)
class Schedule:
    """A plan for training. It is immutable: make another with `schedule.replace(task_lr=0.01)`.

    A *round* is a task phase of `task_steps` steps and then a switcher phase of `switcher_steps`.
    An epoch is one pass of task steps over the training images; switcher steps are additional.

    Attributes:
        epochs: total passes over the training images; both learning rates decay until then.
        batch_size: images in a batch, of both phases.
        task_steps: task steps in a round.
        switcher_steps: switcher steps in a round; 0 trains the dense network only.
        warmup_epochs: epochs before the first switcher phase.
        freeze_epochs: epochs at the end during which the factors stay fixed.
        task_optimizer: "sgd" or "adam", for the task network.
        task_lr: its learning rate at the start.
        task_decay: "cosine" (to 0 at the end) or "constant".
        task_momentum: of SGD.
        task_weight_decay: L2 penalty on the task network's weights (not on factors).
        switcher_optimizer: "sgd" or "adam", for the switcher.
        switcher_lr: its learning rate at the start; with 0 it still reads the weights and computes
            factors, but does not learn.
        switcher_decay: "cosine" or "constant".
        switcher_momentum: of SGD.
        switcher_clip: largest norm of the switcher's gradient; larger gradients are scaled down.
        switcher_data: "train", or "holdout" to train the switcher on the held-out split.
        through_switcher: let the task phase's gradient pass through the switcher into the weights
            that it reads; otherwise factors are constants in that phase.
    """

    epochs: int = 8
    batch_size: int = 128
    task_steps: int = 4
    switcher_steps: int = 1
    warmup_epochs: int = 1
    freeze_epochs: int = 0
    task_optimizer: str = "sgd"
    task_lr: float = 0.05
    task_decay: str = "cosine"
    task_momentum: float = 0.9
    task_weight_decay: float = 5e-4
    switcher_optimizer: str = "adam"
    switcher_lr: float = 1e-2
    switcher_decay: str = "cosine"
    switcher_momentum: float = 0.9
    switcher_clip: float = 1.0
    switcher_data: str = "train"
    through_switcher: bool = False

    def __post_init__(self) -> None:
        for name, least in _LEAST_COUNTS.items():
            _check_count(name, getattr(self, name), least)
        for name, (least, below) in _RANGES.items():
            _check_number(name, getattr(self, name), least, below)
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(
                    f"schedule.{name} must be one of {', '.join(map(repr, allowed))}, "
                    f"got {value!r}."
                )
        if not isinstance(self.through_switcher, bool):
            raise ValueError(
                f"schedule.through_switcher must be True or False, got {self.through_switcher!r}."
            )

    def replace(self, **changes: Any) -> "Schedule":
        """A copy with some fields changed.

        Raises:
            ValueError: a field does not exist, or its value is not allowed.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(f"schedule has no field {name!r}; it has {', '.join(known)}.")
        return replace(self, **changes)

    def changes(self, other: "Schedule") -> dict[str, tuple[Any, Any]]:
        """The fields in which `other` differs: {name: (own value, other value)}."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def stage(self, epoch: int) -> Stage:
        """The stage of an epoch, counted from 0."""
        if epoch < self.warmup_epochs:
            return "warm-up"
        if epoch >= self.epochs - self.freeze_epochs:
            return "frozen"
        return "alternating"

    def alternates(self, epoch: int) -> bool:
        """Whether this epoch has switcher phases."""
        return self.switcher_steps > 0 and self.stage(epoch) == "alternating"

    def phase(self, position: Position) -> Phase:
        """The phase of the step that comes next."""
        in_switcher = position.round_step >= self.task_steps and self.alternates(position.epoch)
        return "switcher" if in_switcher else "task"

    def after(self, position: Position, batches_per_epoch: int) -> Position:
        """The position after the next step."""
        epoch, batch = position.epoch, position.batch
        if self.phase(position) == "task":
            batch += 1
            if batch >= batches_per_epoch:
                epoch, batch = epoch + 1, 0
        round_step = 0
        if self.alternates(position.epoch) and self.alternates(epoch):
            round_step = (position.round_step + 1) % (self.task_steps + self.switcher_steps)
        return Position(position.step + 1, epoch, batch, round_step)

    def steps_left(self, position: Position, batches_per_epoch: int) -> int:
        """Steps of both phases from here to the schedule's end, accurate to within a round."""
        left = 0.0
        for epoch in range(position.epoch, self.epochs):
            batches = batches_per_epoch - (position.batch if epoch == position.epoch else 0)
            share = self.switcher_steps / self.task_steps if self.alternates(epoch) else 0.0
            left += batches * (1 + share)
        return round(left)

    def learning_rate(self, phase: Phase, position: Position, batches_per_epoch: int) -> float:
        """The learning rate of `phase` at this position."""
        start = self.task_lr if phase == "task" else self.switcher_lr
        decay = self.task_decay if phase == "task" else self.switcher_decay
        if decay == "constant":
            return start
        done = (position.epoch + position.batch / batches_per_epoch) / self.epochs
        return start * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


_LEAST_COUNTS = {
    "epochs": 1,
    "batch_size": 1,
    "task_steps": 1,
    "switcher_steps": 0,
    "warmup_epochs": 0,
    "freeze_epochs": 0,
}
_RANGES = {  # lower limit (allowed) and upper limit (not allowed)
    "task_lr": (0.0, math.inf),
    "task_momentum": (0.0, 1.0),
    "task_weight_decay": (0.0, math.inf),
    "switcher_lr": (0.0, math.inf),
    "switcher_momentum": (0.0, 1.0),
    "switcher_clip": (0.0, math.inf),
}
_CHOICES = {
    "task_optimizer": OPTIMIZERS,
    "task_decay": DECAYS,
    "switcher_optimizer": OPTIMIZERS,
    "switcher_decay": DECAYS,
    "switcher_data": SWITCHER_DATA,
}
_HINTS = {
    "task_steps": " To train the switcher nearly alone, use task_steps=1 and many switcher_steps.",
    "switcher_steps": " For the dense network alone, use switcher_steps=0.",
}


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"schedule.{name} must be a whole number, got {value!r}.")
    if value < least:
        hint = _HINTS.get(name, "")
        raise ValueError(f"schedule.{name} must be at least {least}, got {value}.{hint}")


def _check_number(name: str, value: Any, least: float, below: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"schedule.{name} must be a finite number, got {value!r}.")
    if not least <= value < below:
        limit = "" if below == math.inf else f" and below {below:g}"
        raise ValueError(f"schedule.{name} must be at least {least:g}{limit}, got {value:g}.")
