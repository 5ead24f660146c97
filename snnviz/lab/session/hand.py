"""Neurons under the user's hand: what a session knows besides its steps.

All of it runs in the session's thread, between two steps.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snnviz.lab.session.classes import Classes, classify
from snnviz.lab.session.neuron import Page, make_page
from snnviz.lab.session.norms import Norms
from snnviz.lab.session.states import PastStates
from snnviz.lab.session.weights import PastWeights
from snnviz.lab.session.whatif import Changes, Trial, check_changes, evaluate_changes
from snnviz.training import AlternatingTrainer, pins

FACTORS_EVERY = 0.25  # seconds: reading factors waits for the device


class Hand:
    """The current factors, pins, what is tried out, and the neuron that is looked at.

    Args:
        states: those of past epochs that are kept.
    """

    def __init__(self, trainer: AlternatingTrainer, states: PastStates) -> None:
        self._trainer = trainer
        self._past = PastWeights(trainer, states)
        self.trial: Trial | None = None
        self.kept: Trial | None = None  # what came of the last one that was kept
        self.page: Page | None = None
        self.classes: Classes | None = None  # while somebody watches them
        self._looking: tuple[str, int] | None = None
        self._watching = False
        self._classifying: Iterator[Classes | None] | None = None
        self._classified_at = trainer.position
        self._at_epoch_end = False
        self._norms = Norms(trainer)
        self._read()

    def try_out(self, changes: Changes) -> None:
        """Evaluates these changes together with those that were tried before."""
        self.kept = None
        merged = self._tried() if changes else {}
        for group, neurons in check_changes(self._trainer.history.groups, changes).items():
            merged.setdefault(group, {}).update(neurons)
        self.trial = evaluate_changes(self._trainer, merged) if merged else None

    def keep(self) -> None:
        """Pins what is tried out, all of it or nothing."""
        changes, factors = self._tried(), self._trainer.factors
        for group, neurons in changes.items():
            left = factors[group] > 0
            for i, on in neurons.items():
                left[i] = on
            if not left.any():
                raise ValueError(
                    f"{group} would be entirely off, and training would stop. "
                    "Leave at least one of its neurons on."
                )
        for group, neurons in changes.items():
            for on in (True, False):  # first on, so that no group is entirely off meanwhile
                if chosen := [i for i, wanted in neurons.items() if wanted == on]:
                    self._trainer.pin(group, chosen, on)
        self.trial, self.kept = None, self.trial
        self._read()
        self._look()

    def let_go(self, neurons: Mapping[str, Sequence[int]] | None) -> None:
        """Forgets and unpins these neurons, or all."""
        groups, left = self._trainer.history.groups, self._tried()
        for group in groups if neurons is None else neurons:
            chosen = pins.choose_neurons(groups, group, None if neurons is None else neurons[group])
            self._trainer.unpin(group, chosen)
            left[group] = {i: on for i, on in left.get(group, {}).items() if i not in chosen}
        left = {group: some for group, some in left.items() if some}
        self.kept = None
        self.trial = evaluate_changes(self._trainer, left) if left else None
        self._read()
        self._look()

    def look_at(self, group: str | None, index: int) -> None:
        """Looks at another neuron, or at none."""
        if group is None:
            self._looking = self.page = None
            return
        pins.choose_neurons(self._trainer.history.groups, group, index)
        self._looking = group, index
        self._look()

    def watch_classes(self, on: bool) -> None:
        """Whether somebody watches which classes are taken for which."""
        if on != self._watching:
            self._watching = on
            self._classify()

    def is_behind(self, training: bool) -> bool:
        """Whether test images are to be classified before anything else but commands.

        While training that is so at an epoch's end only: whoever presses Play does not wait for it.
        """
        return self._classifying is not None and (self._at_epoch_end or not training)

    def catch_up(self) -> None:
        """Classifies some of the test images."""
        if self._classified_at != self._trainer.position:  # the network is another one by now
            self._classify()
        going, self._classifying = self._classifying, None  # what fails is not tried again
        if going is not None:
            found = next(going)
            self._classifying = None if found else going
            self.classes = found or self.classes

    def training_begins(self) -> None:
        """Somebody wants steps; what is under way waits for the epoch's end or for a pause."""
        self._at_epoch_end = False

    def factors_moved(self) -> None:
        """A switcher phase is over; if it is too soon to read, `paused` or the next one does."""
        if time.monotonic() > self._read_at + FACTORS_EVERY:
            self._read()

    def epoch_ended(self) -> None:
        """The neuron that is looked at has learnt since."""
        self._norms.keep()
        self._read()
        self._look()
        self._classify()
        self._at_epoch_end = True

    def paused(self) -> None:
        """Nothing is to be done: time to read what steps, or training in a cell, have moved."""
        if self._step != self._trainer.position.step:
            self._read()

    def went_back(self, to: int | None = None) -> None:
        """Training went back; what was tried out was tried on another network.

        Args:
            to: the epoch up to which the past is what it was; None: the present one.
        """
        self.trial = self.kept = self.classes = None
        self._norms.went_back(to)
        self._past.went_back()
        self._read()
        self._look()
        self._classify()

    @property
    def shown(self) -> dict[str, Any]:
        """What a `Status` has of it."""
        names = ("factors", "pins", "trial", "kept", "page", "classes")
        return {name: getattr(self, name) for name in names}

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
            page = make_page(self._trainer, *self._looking)
            over_time = {
                "lengths": self._norms.of(*self._looking),
                "past": self._past.of(*self._looking),
            }
            self.page = replace(page, facts={**page.facts, **over_time})

    def _classify(self) -> None:
        self._classifying = classify(self._trainer) if self._watching else None
        self._classified_at = self._trainer.position
        if not self._watching:
            self.classes = None
