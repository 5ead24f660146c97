"""The schedule: the phase and the learning rate of each step."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from snnviz import checks
from snnviz.structure.sizes import SIZES

Phase = Literal["task", "switcher"]
Stage = Literal["warm-up", "alternating", "frozen"]

OPTIMIZERS = ("sgd", "adam")
MOST_COUNT = 10**9  # epochs, steps, images
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

    With `size`, the network ends at that size: the switcher decides *which* neurons stay, those
    with the highest scores of each group, and a ramp decides how many. This is an extension, not
    in the paper, where only the task loss decides how many neurons stay. A neuron that the ramp has
    switched off does not come back, unless a larger size is asked for later. When the ramp is over,
    every neuron that stays has a factor above 0, and the switcher goes on weighting them.

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
        size: share of the network to end at, such as 0.5; None, or left out: no size is asked for.
            An extension, not in the paper.
        size_of: what `size` is a share of: "parameters", "macs" or "neurons".
        size_from: where the ramp to `size` begins, as a share of the epochs between warm-up and
            frozen epochs.
        size_until: where the ramp ends, as such a share; training goes on at that size.
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
    size: float | None = None
    size_of: str = "parameters"
    size_from: float = 0.25
    size_until: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, checks.plain(getattr(self, field.name)))
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
        _check_ramp(self.size_from, self.size_until)
        if self.size is not None:
            _check_size(self.size)
            self._check_that_a_switcher_chooses()

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

    def steps_left(
        self, position: Position, batches_per_epoch: int, until: int | None = None
    ) -> int:
        """Steps of both phases from here to this epoch (None: the end), to within a round."""
        first, end = position.epoch, self.epochs if until is None else until
        if first >= end:
            return 0
        task = (end - first) * batches_per_epoch - position.batch
        begin, frozen = max(first, self.warmup_epochs), min(end, self.epochs - self.freeze_epochs)
        rounds = max(frozen - begin, 0) * batches_per_epoch
        rounds -= position.batch if self.alternates(first) else 0
        return round(task + rounds * self.switcher_steps / self.task_steps)

    def learning_rate(self, phase: Phase, position: Position, batches_per_epoch: int) -> float:
        """The learning rate of `phase` at this position."""
        start = self.task_lr if phase == "task" else self.switcher_lr
        decay = self.task_decay if phase == "task" else self.switcher_decay
        if decay == "constant":
            return start
        done = (position.epoch + position.batch / batches_per_epoch) / self.epochs
        return start * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def ramp_done(self, position: Position, batches_per_epoch: int) -> float:
        """How much of the ramp to `size` is over at this position, from 0 to 1."""
        begin, end = self.ramp
        here = position.epoch + position.batch / batches_per_epoch
        if here >= end:
            return 1.0
        return max((here - begin) / (end - begin), 0.0) if end > begin else 0.0

    @property
    def ramp(self) -> tuple[float, float]:
        """Where the ramp to `size` begins and ends, in epochs."""
        first, last = self.warmup_epochs, self.epochs - self.freeze_epochs
        begin, end = (first + share * (last - first) for share in (self.size_from, self.size_until))
        return begin, end

    def _check_that_a_switcher_chooses(self) -> None:
        if not self.switcher_steps:
            raise ValueError(
                "schedule.size needs a switcher that chooses the neurons, and "
                "schedule.switcher_steps is 0. Use switcher_steps=1, or size=None for the dense "
                "network."
            )
        if self.warmup_epochs + self.freeze_epochs >= self.epochs:
            raise ValueError(
                "schedule.size needs switcher phases to choose the neurons, and no epoch is left "
                f"between {self.warmup_epochs} warm-up and {self.freeze_epochs} frozen epochs of "
                f"{self.epochs}. Use more epochs or fewer of these, or size=None."
            )


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
    "size_of": SIZES,
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
    if value > MOST_COUNT:
        raise ValueError(f"schedule.{name} must be at most {MOST_COUNT:,}, got a larger number.")


def _check_number(name: str, value: Any, least: float, below: float) -> None:
    if not isinstance(value, int | float) or not checks.is_finite(value):
        raise ValueError(f"schedule.{name} must be a finite number, got {value!r}.")
    if not least <= value < below:
        limit = "" if below == math.inf else f" and below {below:g}"
        raise ValueError(f"schedule.{name} must be at least {least:g}{limit}, got {value:g}.")


def _check_size(size: Any) -> None:
    number = isinstance(size, int | float) and not isinstance(size, bool)
    if not number or not 0 < size < 1:
        raise ValueError(
            f"schedule.size must be a number above 0 and below 1, or None, got {size!r}. "
            "For half of the network, use size=0.5; where no size is asked for, use size=None."
        )


def _check_ramp(begin: Any, end: Any) -> None:
    for name, value in (("size_from", begin), ("size_until", end)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= 1:
            raise ValueError(f"schedule.{name} must be a number from 0 to 1, got {value!r}.")
    if end < begin:
        raise ValueError(
            f"schedule.size_until must be at least schedule.size_from, which is {begin:g}, "
            f"got {end:g}."
        )
