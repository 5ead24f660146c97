"""Eyes on a trainer and its session: what they hand out, and what they must hold all along."""

import random
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import nn

from snnviz.history import History
from snnviz.lab.session import Session
from snnviz.lab.session.status import Status
from snnviz.runs import Trainer
from snnviz.training import StepRecord, TrainingStopped

HICCUP = 1 / 300  # how often a step fails as if the machine had


class Hiccup(OSError):
    """What a failing disk or a full memory would raise."""


# --- the trainer ------------------------------------------------------------------------------


class OneThread:
    """In the place of the trainer's learners: a fault if any but a session's thread is at them."""

    def __init__(self, inner: Any, faults: list[str]) -> None:
        vars(self).update(_inner=inner, _faults=faults, _busy=threading.RLock(), _free=False)
        vars(self).update(_others=set(threading.enumerate()), _openers=set())

    def release(self) -> None:
        """From now on every thread may."""
        vars(self)["_free"] = True

    @contextmanager
    def opening(self) -> Iterator[None]:
        """This thread opens a session, which reads the networks before its own thread starts."""
        who = threading.current_thread()
        self._openers.add(who)
        try:
            yield
        finally:
            self._openers.discard(who)

    def _allowed(self, who: threading.Thread) -> bool:
        if self._free or who.name == "snnviz-training":
            return True
        training = [t for t in threading.enumerate() if t.name == "snnviz-training"]
        return who in self._openers and not set(training) - self._others

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        who = threading.current_thread()
        if not self._allowed(who):
            self._faults.append(f"{who.name} was at the networks: {name}")
        if not self._busy.acquire(blocking=False):
            self._faults.append(f"two threads were at the networks at once: {name}")
            self._busy.acquire()
        try:
            yield
        finally:
            self._busy.release()

    def __getattr__(self, name: str) -> Any:
        with self._alone(name):
            value = getattr(self._inner, name)
        if not callable(value) or isinstance(value, nn.Module):
            return value

        def guarded(*arguments: Any, **named: Any) -> Any:
            with self._alone(name):
                return value(*arguments, **named)

        return guarded

    def __setattr__(self, name: str, value: Any) -> None:
        with self._alone(name):
            setattr(self._inner, name, value)


class Ledger:
    """Keeps what a trainer's history must hold, from what the trainer hands out itself."""

    def __init__(self, trainer: Trainer, seed: int, faults: list[str]) -> None:
        self.records: list[StepRecord] = []
        self.factors: list[dict[str, np.ndarray]] = []
        self.made = self.hiccups = 0
        self.calm = False  # no hiccups from now on
        self._trainer, self._rng = trainer, random.Random(seed)
        self._real = trainer.step, trainer.reset, trainer.rollback
        trainer.step = self._step  # type: ignore[method-assign]
        trainer.reset = lambda: self._back(1)  # type: ignore[method-assign]
        trainer.rollback = lambda: self._back(2)  # type: ignore[method-assign]
        trainer.recorder.epoch_ended = self._epoch_ended  # type: ignore[method-assign]
        self.guard = OneThread(trainer.learners, faults)
        trainer.learners = self.guard  # type: ignore[assignment]
        self._schedule = trainer.schedule
        self._notes: list[tuple] = []

    def _step(self) -> StepRecord:
        if not self.calm and self._rng.random() < HICCUP:
            self.hiccups += 1
            raise Hiccup("the disk is gone")
        record = self._real[0]()
        self.made += 1
        self.records.append(record)
        return record

    def _back(self, way: int) -> None:
        self._real[way]()
        at = self._trainer.position
        del self.records[at.step :], self.factors[at.epoch :]

    def _epoch_ended(self, trainer: Trainer) -> None:
        factors = trainer.factors
        self.factors.append({name: s.cpu().numpy().copy() for name, s in factors.items()})

    def check(self, complete: bool) -> None:
        """The history against what was handed out. Only from the thread that trains."""
        history, at = self._trainer.history, self._trainer.position
        rows = list(history.steps.itertuples(index=False, name=None))
        made = [(r.step, r.epoch, r.phase, r.loss, r.accuracy, r.lr) for r in self.records]
        stopped = self._trainer.stopped is not None
        if stopped and len(rows) == len(made) + 1:  # the last step was made, but not handed out
            rows.pop()
        assert rows == made[: len(rows)], "the history's steps are not those that were made"
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        for group, n in history.groups.items():
            values = history.factors[group]
            assert values.shape == (history.n_epochs, n)
            ends = np.array([factors[group] for factors in self.factors]).reshape(values.shape)
            assert np.array_equal(values, ends), "the factors are not those at the epochs' ends"
        if complete and not stopped:
            assert len(rows) == len(made) == at.step
            assert history.n_epochs == at.epoch
            last = {epoch: step for step, epoch, *_ in rows}
            ends = [last[epoch] for epoch in range(1, at.epoch + 1)]
            assert history.epochs["step"].tolist() == ends
        self._check_notes(list(history._notes))

    def _check_notes(self, notes: list[tuple]) -> None:
        """Events are only ever added, and each change of the schedule goes on from the last."""
        assert notes[: len(self._notes)] == self._notes, "an event was lost"
        for _, _, event, *_, detail in notes[len(self._notes) :]:
            for change in detail.split(", ") if event == "schedule" else ():
                name, _, values = change.partition(": ")
                old, _, new = values.partition(" → ")
                assert old == str(getattr(self._schedule, name)), f"a change is missing: {change}"
                kind = type(getattr(self._schedule, name))
                made = new == "True" if kind is bool else kind(new)
                self._schedule = self._schedule.replace(**{name: made})
        self._notes = notes
        assert self._schedule == self._trainer.schedule


def read(history: History) -> None:
    """What any thread may rely on at any time; each table for itself, for time passes between."""
    steps = history.steps["step"].tolist()
    assert steps == list(range(1, len(steps) + 1))
    epochs = history.epochs
    assert epochs["epoch"].tolist() == list(range(1, len(epochs) + 1))
    assert epochs["step"].is_monotonic_increasing
    factors = history.factors
    assert len({len(values) for values in factors.values()}) == 1
    assert {g: values.shape[1] for g, values in factors.items()} == history.groups
    events = history.events
    assert events["step"].is_monotonic_increasing
    assert len(history.frame()) % sum(history.groups.values()) == 0


# --- the session ------------------------------------------------------------------------------


def refused(status: Status) -> bool:
    """Whether the last word to the user is that something was not allowed."""
    return status.notice is not None and status.notice.kind == "refused"


Given = tuple[str, Callable[[Status, Status], None]]  # a command, and what must come of it


class Watch:
    """Looks at every status of one session, in its thread."""

    def __init__(self, ledger: Ledger, faults: list[str]) -> None:
        self._ledger, self._faults = ledger, faults
        self.given: list[Given] = []  # in the order of sending, where known
        self.in_order = True
        self.statuses = 0
        self.session: Session | None = None
        self._before: Status | None = None

    def begin(self, session: Session) -> None:
        """From here on."""
        self._before = session.status
        self.session = session

    def __call__(self) -> None:
        session, before = self.session, self._before
        if session is None or before is None:
            return
        self._before = after = session.status
        self.statuses += 1
        try:
            self._look(session, before, after)
        except Exception as error:  # also what the session's own reading raises
            what = "".join(traceback.format_exception(error))
            self._faults.append(f"{what}\nbefore: {before}\nafter: {after}")

    def _look(self, session: Session, before: Status, after: Status) -> None:
        trainer = session.trainer
        assert (after.position, after.schedule) == (trainer.position, trainer.schedule)
        assert after.handled - before.handled in (0, 1)
        assert after.handled <= session._inbox.sent
        assert after.generation - before.generation in (0, 1)
        if after.generation == before.generation:
            assert after.position.step - before.position.step in (0, 1)
            assert after.position.epoch - before.position.epoch in (0, 1)
        assert all(record.step <= after.position.step for record in after.records.values())
        new_problem = after.problem if after.problem is not before.problem else None
        if new_problem:
            assert isinstance(new_problem.error, TrainingStopped | Hiccup), new_problem.traceback
            assert after.activity in ("idle", "closed")
        if before.activity == "closed":
            assert (after.position, after.activity) == (before.position, "closed")
        elif after.handled == before.handled:
            # Test images are classified between two steps.
            classifies = session._hand.is_behind(after.running)
            between = classifies or after.classes is not before.classes
            self._look_at_step(before, after, between or new_problem is not None)
        elif self.in_order and not new_problem:
            self._look_at_command(before, after)
        if not after.running:
            self._ledger.check(complete=True)

    def _look_at_step(self, before: Status, after: Status, none: bool) -> None:
        assert before.running or after.position == before.position
        # A slowed session also looks whether it is time for the next step.
        still = none or not before.running or before.speed is not None
        assert still or after.position.step == before.position.step + 1
        assert after.generation == before.generation
        assert after.schedule in (before.schedule, before.planned)
        assert after.planned == before.planned or refused(after)
        assert not (after.finished and after.running)

    def _look_at_command(self, before: Status, after: Status) -> None:
        # Closing comes last, and nobody notes it. What was noted meanwhile was not sent any more.
        if after.activity == "closed":
            return
        name, came = self.given[after.handled - 1]
        try:
            came(before, after)
        except Exception as error:
            error.add_note(f"after {name}")
            raise
