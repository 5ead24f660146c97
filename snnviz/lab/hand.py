"""What a session knows besides its steps: neurons under the user's hand, and past epochs' states.

All of it runs in the session's thread, between two steps.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from snnviz import _pins, runs
from snnviz._probe import copied
from snnviz.lab.neuron import Page, looked_at
from snnviz.lab.whatif import Changes, Trial, checked, tried
from snnviz.schedule import Schedule
from snnviz.trainer import Trainer

FACTORS_EVERY = 0.25  # seconds: reading factors waits for the device
MOST_PAST = 2**30  # bytes that past states may take


class Hand:
    """Factors in force, pins, what is tried out, and the neuron that is looked at."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self.trial: Trial | None = None
        self.kept: Trial | None = None  # what came of the last one that was kept
        self.page: Page | None = None
        self._looking: tuple[str, int] | None = None
        self._read()

    def try_out(self, changes: Changes) -> None:
        """Evaluates these changes together with those that were tried before."""
        self.kept = None
        merged = self._tried() if changes else {}
        for group, neurons in checked(self._trainer.history.groups, changes).items():
            merged.setdefault(group, {}).update(neurons)
        self.trial = tried(self._trainer, merged) if merged else None

    def keep(self) -> None:
        """Pins what is tried out, all of it or nothing."""
        changes, factors = self._tried(), self._trainer.factors
        for group, neurons in changes.items():
            left = factors[group] > 0
            for i, on in neurons.items():
                left[i] = on
            if not left.any():
                raise ValueError(
                    f"{group} would be wholly off, and training would stop. "
                    "Leave at least one of its neurons on."
                )
        for group, neurons in changes.items():
            for on in (True, False):  # first on, so that a group is not wholly off meanwhile
                if chosen := [i for i, wanted in neurons.items() if wanted == on]:
                    self._trainer.pin(group, chosen, on)
        self.trial, self.kept = None, self.trial
        self._read()
        self._look()

    def let_go(self, neurons: Mapping[str, Sequence[int]] | None) -> None:
        """Forgets and unpins these neurons, or all."""
        groups, left = self._trainer.history.groups, self._tried()
        for group in groups if neurons is None else neurons:
            chosen = _pins.chosen(groups, group, None if neurons is None else neurons[group])
            self._trainer.unpin(group, chosen)
            left[group] = {i: on for i, on in left.get(group, {}).items() if i not in chosen}
        left = {group: some for group, some in left.items() if some}
        self.kept = None
        self.trial = tried(self._trainer, left) if left else None
        self._read()
        self._look()

    def look_at(self, group: str | None, index: int) -> None:
        """Looks at another neuron, or at none."""
        if group is None:
            self._looking = self.page = None
            return
        _pins.chosen(self._trainer.history.groups, group, index)
        self._looking = group, index
        self._look()

    def factors_moved(self) -> None:
        """A switcher phase is over; if it is too soon to read, `paused` or the next one does."""
        if time.monotonic() > self._read_at + FACTORS_EVERY:
            self._read()

    def epoch_ended(self) -> None:
        """The neuron that is looked at has learnt since."""
        self._read()
        self._look()

    def paused(self) -> None:
        """Nothing is to be done: time to read what steps, or training in a cell, have moved."""
        if self._step != self._trainer.position.step:
            self._read()

    def went_back(self) -> None:
        """Training went back; what was tried out was tried on another network."""
        self.trial = self.kept = None
        self._read()
        self._look()

    def _tried(self) -> dict[str, dict[int, bool]]:
        changes = self.trial.changes if self.trial else {}
        return {group: dict(neurons) for group, neurons in changes.items()}

    def _read(self) -> None:
        self.factors: dict[str, np.ndarray] = {
            name: s.detach().cpu().numpy().copy() for name, s in self._trainer.factors.items()
        }
        self.pins = self._trainer.pins
        self._read_at, self._step = time.monotonic(), self._trainer.position.step

    def _look(self) -> None:
        if self._looking:
            self.page = looked_at(self._trainer, *self._looking)


class Past:
    """States at past epochs' ends: of a recorded run those in its folder, else in memory.

    In memory as many are kept as there is room for.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._states: dict[int, Mapping[str, Any]] = {}
        self.epochs: frozenset[int] = frozenset()
        self.keep()

    def keep(self) -> None:
        """Takes the state at the last epoch's end."""
        if isinstance(self._trainer, runs.Trainer) and self._trainer.folder is not None:
            self.epochs = self._trainer.kept
            return
        state = self._trainer.epoch_end
        self._states[state["position"].epoch] = state
        while len(self._states) > 2 and self._bytes() > MOST_PAST:
            del self._states[sorted(self._states)[1]]  # the start and the newest stay
        self.epochs = frozenset(self._states)

    def went_back(self) -> None:
        """Forgets what came after."""
        now = self._trainer.position.epoch
        self._states = {epoch: state for epoch, state in self._states.items() if epoch <= now}
        self.keep()

    def branch(self, epoch: int, schedule: Schedule | None = None, name: str = "") -> Trainer:
        """A trainer that goes on from the end of an epoch.

        Args:
            schedule: from there on; None: the one of that time.
            name: of the new run's folder, if this one has a folder.
        """
        trainer = self._trainer
        if isinstance(trainer, runs.Trainer) and trainer.folder is not None:
            # Copied, and in this thread: another one would find it in the middle of a step.
            network = copied(trainer.network)
            return runs.Trainer.fork(
                trainer.folder, epoch, schedule, name or None, network=network, data=trainer.data
            )
        if epoch not in self._states:
            kept = ", ".join(map(str, sorted(self._states))) or "none"
            raise ValueError(
                f"the state at the end of epoch {epoch} is not kept; kept are {kept}. "
                "To keep them all, give the trainer a folder: Trainer(..., folder=...)."
            )
        made = trainer.branch(self._states[epoch])
        if schedule is not None:
            made.schedule = schedule
        return made

    def _bytes(self) -> int:
        return sum(t.nbytes for state in self._states.values() for t in _tensors(state))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
