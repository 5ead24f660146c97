"""The session: one thread owns the trainer and carries out commands, one after another.

It knows nothing of widgets. Whoever calls it from another thread puts a command on its queue and
returns at once; the thread empties the queue between any two steps. The outcome is in
`status`: a new one after every step, which never changes.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from snnviz import checks
from snnviz.lab.session import cores
from snnviz.lab.session.deeds import Deed, describe_fork
from snnviz.lab.session.following import Following
from snnviz.lab.session.goals import Goal, Pace, Tempo, Unit, find_activity, make_goal
from snnviz.lab.session.hand import Hand
from snnviz.lab.session.inbox import Inbox
from snnviz.lab.session.pending import PendingChanges
from snnviz.lab.session.registry import only_session
from snnviz.lab.session.states import PastStates
from snnviz.lab.session.status import Notice, Problem, Status, finish_notice, make_problem
from snnviz.lab.session.whatif import Changes
from snnviz.training import AlternatingTrainer, Phase, Position, Schedule, StepRecord

T = TypeVar("T")
CLOSED = "This lab is closed. To open another one, run Lab(trainer) in a cell."


class Session:
    """Runs a trainer in a thread of its own.

    Commands (`play`, `pause`, `step`, `set_schedule` and so on) return at once and are carried out
    in order, between two steps: one that is given during a long step acts within it. To have it act
    afterwards, `wait` in between. While a session is open, nobody else may call the trainer's
    methods; its history may be read at any time.

    A trainer has one session at most: a new one waits for a step of the one before, and closes it.

    Args:
        trainer: from now on this session's own.
        on_change: called in the thread whenever there is a new `status`; it must return at once.
        speed: see `set_speed`.
    """

    def __init__(
        self,
        trainer: AlternatingTrainer,
        on_change: Callable[[], None] = lambda: None,
        speed: float | None = None,
    ) -> None:
        with only_session(trainer, self):
            self.trainer, self._on_change = trainer, on_change
            self._inbox = Inbox()
            self._handled = 0
            self._goals: deque[Goal] = deque()
            self._pending = PendingChanges(trainer)
            self._pace, self._tempo = Pace(), Tempo(speed)
            self._records: dict[Phase, StepRecord] = {}
            self._generation = 0
            self._states = PastStates(trainer)
            self._hand = Hand(trainer, self._states)
            self._refusal = ""
            self.following = Following(trainer, self._states, self._hand)
            self._notice: Notice | None = None
            self._problem: Problem | None = None
            self._closed = False
            self.began, self.deeds = trainer.position, list[Deed]()  # in order
            self.status = self._snapshot()
            self._thread = threading.Thread(target=self._work, name="snnviz-training", daemon=True)
            self._thread.start()

    # Commands, from any thread ----------------------------------------------------------------

    def play(self) -> None:
        """Trains to the schedule's end. Steps that were asked for before are part of that."""
        self._change(self._begin, Goal("end"))

    def pause(self) -> None:
        """Stops after the current step, and forgets steps that were asked for before."""
        self._send(self._goals.clear)

    def step(self, unit: Unit = "batch", n: int = 1) -> None:
        """Makes one step ("batch"), or goes to the end of the current phase or epoch; n times.

        Outside alternation (warm-up, frozen epochs) no round ends a phase: there it ends with the
        epoch. While playing, this stops after the step; otherwise it comes after steps asked for
        before.

        Raises:
            ValueError: no such unit, or n below 1.
        """
        self._change(self._begin, make_goal(unit, n))

    def set_speed(self, speed: float | None, call: str = "") -> None:
        """Makes at most so many steps a second, but for single ones; None: as many as can be."""
        self._send(partial(self._on_speed, speed, call))

    def reset(self) -> None:
        """Stops, and goes back to the start under the schedule that is planned."""
        self._change(self._go_back, "reset")

    def rollback(self) -> None:
        """Stops, and goes back to the last epoch's end."""
        self._change(self._go_back, "rollback")

    def set_schedule(self, **changes: Any) -> None:
        """Changes fields of the schedule from the next round on.

        Between two rounds they apply at once. A change that is not allowed is refused: the reason
        is in `status.notice`, and the schedule stays as it was.
        """
        self._change(self._on_schedule, changes)

    def try_out(self, changes: Changes) -> None:
        """What if these neurons were on (True) or off: {group: {neuron: on}}, with those before.

        Evaluated once and shown in `status.trial`; training does not use it. {} forgets it all.
        """
        action = partial(self._hand.try_out, changes)
        self._send(partial(self._unless_refused, action, "what_if", changes=changes))

    def keep(self) -> None:
        """Pins what is tried out: the switcher no longer changes those neurons."""
        self._change(self._unless_refused, self._hand.keep, "keep")

    def let_go(self, neurons: Mapping[str, Sequence[int]] | None = None) -> None:
        """Forgets what is tried out, and unpins: these neurons {group: numbers}, or all (None)."""
        given = {} if neurons is None else {"neurons": neurons}
        held = partial(self._hand.let_go, neurons)
        action = partial(self._unless_refused, held, "let_go", **given)
        (self._change if self.status.pins else self._send)(action)

    def look_at(self, group: str | None, index: int = 0) -> None:
        """Looks at a neuron, until another is looked at; shown in `status.page`. None: at none."""
        self._send(partial(self._unless_refused, partial(self._hand.look_at, group, index)))

    def watch_classes(self, on: bool) -> None:
        """Whether to keep in `status.classes` what the network predicts at each epoch's end."""
        self._send(partial(self._hand.watch_classes, on))

    def ask(
        self,
        action: Callable[[AlternatingTrainer], T],
        then: Callable[[T | Exception], None],
        call: str = "",
    ) -> None:
        """Does something with the trainer between two steps; `then` gets what came of it.

        Both run in the thread. `call`: the lab's method that does the same, for `deeds`.
        """
        self._send(partial(self._on_ask, partial(action, self.trainer), then, call))

    def branch(
        self,
        epoch: int,
        then: Callable[[AlternatingTrainer | Exception], None],
        schedule: Schedule | None = None,
        name: str = "",
    ) -> None:
        """Makes another trainer that goes on from an epoch's end; `then` gets it, in the thread.

        Where that state is not kept, or something else is wrong, `then` gets the error.
        """
        make = partial(self._make_branch, epoch, schedule, name)
        self._send(partial(self._on_ask, make, then))

    def close(self, timeout: float | None = None, because: str = CLOSED) -> None:
        """Ends the thread after the current step. The trainer stays as it is."""
        self._inbox.send_last(partial(self._on_close, because))
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    # Waiting, from any thread -----------------------------------------------------------------

    @property
    def caught_up(self) -> bool:
        """Whether all commands that were given have been carried out, or at least begun."""
        return self.status.handled == self._inbox.sent

    def settle(self, timeout: float | None = None) -> None:
        """Blocks until all commands given so far have been carried out, or at least begun.

        Raises:
            TimeoutError: `timeout` seconds are over.
        """
        wanted = self._inbox.sent

        def carried_out() -> bool:
            return self.status.handled >= wanted or self._closed

        def late() -> str:
            return f"After {timeout:g} s the lab has not carried out all commands yet."

        self._inbox.block_until(carried_out, timeout, late)

    def wait(
        self,
        epochs: int | None = None,
        timeout: float | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Blocks until training stops, or until `epochs` epochs are done in all.

        `meanwhile` is called now and then.

        Interrupting it ends the waiting, not the training.

        Raises:
            TrainingStopped: training ended with it.
            RuntimeError: training ended with another error.
            TimeoutError: `timeout` seconds are over; training goes on.
        """
        epochs = checks.plain(epochs)
        if epochs is not None and type(epochs) is not int:
            raise ValueError(f"epochs must be a whole number, got {epochs!r}.")

        def arrived() -> bool:
            at = self.status
            done = epochs is not None and at.position.epoch >= epochs
            return self._closed or (self.caught_up and (done or not at.running))

        self._inbox.block_until(arrived, timeout, lambda: self.status.say_late(timeout), meanwhile)
        if problem := self.status.problem:
            raise problem.as_error() from problem.error

    # In the thread ----------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closed:
            for command in self._inbox.take(self._patience()):
                self._guard(command)
                self._handled += 1
                self._publish()  # a step may take long
            if self._patience() == 0:
                self._guard(self._advance)
            self._publish()

    def _patience(self) -> float | None:
        """Seconds to wait for commands before the next step; None: nothing is to be done."""
        if self._hand.is_behind(training=bool(self._goals)):
            return 0
        return self._tempo.wait(self._goals[0]) if self._goals else None

    def _guard(self, action: Callable[[], None]) -> None:
        """Runs it; an error ends training and becomes part of the status."""
        try:
            action()
        except Exception as error:
            self._goals.clear()
            trainer = self.trainer
            self._problem = make_problem(error, trainer.position.step, trainer.history.n_epochs)

    def _advance(self) -> None:
        if self._hand.is_behind(training=bool(self._goals)):
            return self._hand.catch_up()
        trainer, goal = self.trainer, self._goals[0]
        before, plan, began = trainer.position, trainer.schedule, time.perf_counter()
        self._tempo.began = time.monotonic()
        record = trainer.step()
        self._pace.add(time.perf_counter() - began, memory=trainer.batches_per_epoch)
        self._records = {**self._records, record.phase: record}
        if goal.count(plan, before, trainer.position):
            self._goals.popleft()
        if trainer.position.epoch > before.epoch:
            self._states.keep()
            self._hand.epoch_ended()
        if record.phase == "switcher" and trainer.phase == "task":
            self._hand.factors_moved()
        at_end = self._apply_pending()
        if trainer.finished:
            self._goals.clear()
            self._say_finished(at_end)

    def _begin(self, goal: Goal) -> None:
        self._problem = None
        if self.trainer.finished:
            self._say_finished()
            return
        if goal.unit == "end" or (self._goals and self._goals[-1].unit == "end"):
            self._goals.clear()
        self._goals.append(goal)
        self._hand.training_begins()

    def _on_speed(self, speed: float | None, call: str) -> None:
        self._tempo.speed = speed
        self._note(call, speed=speed)

    def _go_back(self, way: Literal["reset", "rollback"]) -> None:
        self._goals.clear()
        self._problem = self._notice = None
        before = self.trainer.position
        getattr(self.trainer, way)()
        self._note(way, before)
        self._states.went_back()
        self._hand.went_back()
        self._generation += 1
        self._records = {}
        self._apply_pending()

    def _on_schedule(self, changes: dict[str, Any]) -> None:
        self._notice = self._pending.add(changes)
        if self._notice is not None:
            return
        self._note("set_schedule", **changes)
        at_end = self._apply_pending()
        if self._goals and self.trainer.finished:  # its end was moved to where it is
            self._goals.clear()
            self._say_finished(at_end)

    def _apply_pending(self) -> Notice | None:
        """Applies changes that wait, if it can; returns what to say of it."""
        notice = self._pending.apply()
        self._notice = notice or self._notice
        return notice

    def _unless_refused(self, action: Callable[[], None], call: str = "", **given: Any) -> None:
        """Of neurons under the user's hand; said beside them."""
        self._refusal = ""
        try:
            action()
        except ValueError as error:
            self._refusal = f"Refused: {error}"
        else:
            self._note(call, **given)

    def _on_ask(
        self, action: Callable[[], T], then: Callable[[T | Exception], None], call: str = ""
    ) -> None:
        try:
            made = action()
        except Exception as error:
            then(error)
        else:
            self._note(call)
            then(made)

    def _make_branch(self, epoch: int, schedule: Schedule | None, name: str) -> AlternatingTrainer:
        made = self._states.branch(epoch, schedule, name)
        self._note("fork", **describe_fork(epoch, name, self._pending.planned, schedule))
        return made

    def _note(self, call: str, before: Position | None = None, **given: Any) -> None:
        if call:
            now = self.trainer.position
            self.deeds.append(Deed(call, given, before or now, now))

    def _say_finished(self, first: Notice | None = None) -> None:
        """After what there is to say of changes that waited till now."""
        self._notice = finish_notice(self.trainer.schedule.epochs, first)

    def _on_close(self, because: str) -> None:
        self._goals.clear()
        self._notice = Notice("closed", because)
        self._closed = True

    # What others see --------------------------------------------------------------------------

    def _send(self, command: Callable[[], None]) -> None:
        if threading.current_thread() is not self._thread:
            cores.end_helpers()
        self._inbox.send(command)

    def _change(self, action: Callable[..., None], *given: Any) -> None:
        self._send(partial(self.following.gate, action, *given))

    def _publish(self) -> None:
        if not self._goals:
            self._guard(self.trainer.flush)  # who pauses finds every step in the history
            self._guard(self._hand.paused)
        status = self._snapshot()
        with self._inbox.changed:
            self.status = status
            self._inbox.changed.notify_all()
        self._on_change()

    def _snapshot(self) -> Status:
        # Made after every step, so it costs little: what can be worked out later is.
        plan = self.trainer.schedule
        return Status(
            activity=find_activity(self._goals, self._closed),
            position=self.trainer.position,
            schedule=plan,
            planned=self._pending.planned,
            batches_per_epoch=self.trainer.batches_per_epoch,
            seconds_per_step=self._tempo.slow(self._pace.seconds),
            speed=self._tempo.speed,
            records=self._records,
            generation=self._generation + self.following.turns,
            handled=self._handled,
            **self._hand.shown,
            elsewhere=self.following.why,
            refusal=self._refusal,
            forkable=self._states.epochs,
            notice=self._notice or self.following.notice,
            problem=self._problem,
        )
