"""The lab as a whole: sessions, the parts that show them, and the thread that refreshes those."""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from snnviz import checks, runs
from snnviz.history import History
from snnviz.lab.neurons import NeuronPanel
from snnviz.lab.page import Buttons, Frame, Messages, RunChoice, TimeMachine, hear_as_asked
from snnviz.lab.schedule import ScheduleEditor
from snnviz.lab.session import Changes, Notice, Session, Trial, Unit, cores
from snnviz.lab.session.whatif import checked
from snnviz.lab.views import Portrait, Shown, Views, in_colours
from snnviz.training import AlternatingTrainer, Schedule

REFRESH_EVERY = 0.2  # seconds at least between two writes to the page
PLAYING_EVERY = 1.0  # while it plays, unless something is done by hand
# The same where training calculates on every core, one of which drawing the page would hold up,
# and with it all the others, which wait for it.
PLAYING_EVERY_BUSY = 2.0
PAGE_FIRST = 1.0  # seconds at most that figures wait for the page: drawing one holds it up
Folder = str | os.PathLike[str]


class Lab:
    """A trainer under your hands: as the last line of a cell it shows itself.

    Buttons play, pause and step; the schedule can be changed while it runs; every neuron is in
    view, can be switched by hand, and opened; a slider goes back to past epochs, and a fork from
    there is a run of its own beside the first. Training runs in a thread of its own and the kernel
    stays free: read `lab.trainer.history` whenever you like. Leave the trainer's methods alone
    while its lab is open, and use the lab's instead.

    A trainer has one lab: `Lab(trainer)` again, in a cell that is run again, gives the same.

    Args:
        trainer: what to train.
        name: of the run, in this lab; None: its folder's.

    Raises:
        TypeError: it is no trainer.

    >>> lab = Lab(trainer)  # doctest: +SKIP
    >>> lab.play(); lab.wait(epochs=2); lab.pause()  # doctest: +SKIP
    """

    def __new__(cls, trainer: AlternatingTrainer, name: str | None = None) -> "Lab":
        """The trainer's lab, if it has one that is open."""
        advice = "Give a trainer: Lab(trainer). Of a run folder: Lab.open(folder)."
        checks.kind_of("trainer", trainer, AlternatingTrainer, "a snnviz.Trainer", advice)
        lab = _lab_of(trainer)
        return lab if lab is not None and not lab.closed else super().__new__(cls)

    def __init__(self, trainer: AlternatingTrainer, name: str | None = None) -> None:
        if _lab_of(trainer) is self:
            return
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._lock = threading.Lock()  # of the runs, which callbacks may add to
        self._sessions: dict[str, Session] = {}
        self._active = name or _name(trainer)
        session = self._sessions[self._active] = Session(trainer, on_change=self._stepped)
        self._beside: dict[str, History] = {}
        self._made: list[runs.Trainer] = []  # trainers that the lab made, and so closes
        self._news: Notice | None = None
        self._build(session)
        _LABS[trainer] = weakref.ref(self)
        self._show(cards=False)  # a long history's figures need not keep the cell waiting
        self._touched()
        hear_as_asked(self.widget)
        # From here on this thread alone writes to the widgets.
        self._refresher = threading.Thread(target=self._refresh, name="snnviz-refresh", daemon=True)
        self._refresher.start()

    def _build(self, session: Session) -> None:
        trainer = session.trainer
        self._views = Views(wake=self._touched)
        self._buttons = Buttons(session, self._views.save_all, self._touched)
        self._choice = RunChoice(self._choose)
        self._messages = Messages(f"{trainer.device} · {trainer.precision}", self._buttons.rollback)
        self._editor = ScheduleEditor(session, wake=self._touched)
        self._panel = NeuronPanel(session, wake=self._touched)
        self._machine = TimeMachine(self._ask_fork, self._touched)
        self._editor.on_pick(self._machine.go)
        self._portrait = Portrait()
        middle = widgets.Box([self._panel.widget, self._views.widget]).add_class("snnviz-middle")
        top = widgets.Box([self._buttons.widget, self._choice.widget]).add_class("snnviz-top")
        parts = [top, self._messages.widget, self._editor.widget, self._machine.widget, middle]
        self.widget = widgets.VBox([_style(), Frame(), *parts]).add_class("snnviz-lab")

    def __repr__(self) -> str:
        at = self.session.status
        done = f"{at.position.epoch} of {at.schedule.epochs} epochs done"
        return f"Lab({at.activity}, {done}, step {at.position.step})"

    def _ipython_display_(self) -> None:
        self._portrait.display(self)

    @classmethod
    def open(
        cls,
        folder: Folder,
        *beside: Folder,
        network: Any = None,
        data: Any = None,
        device: Any = None,
    ) -> "Lab":
        """A lab on a run folder, which goes on where it was saved last.

        A run that another trainer has open is shown as it was saved last; what is trained on from
        there is kept in memory. A trainer of yours gives its folder back with `trainer.close()`.

        Args:
            folder: of the run.
            beside: other runs, whose curves are shown too.
            network: for a run with a network of your own, one of its architecture.
            data: for a run with data of your own, the same data.
            device: instead of the run's.

        Raises:
            FileNotFoundError: a folder holds no run.
            ValueError: a file is damaged or from a newer version, or an argument does not fit.
        """
        given = {"network": network, "data": data, "device": device}
        name = news = None
        try:
            trainer = runs.Trainer.resume(folder, **given)
        except runs.InUse:
            trainer = runs.Trainer.at(folder, **given)
            name = f"{Path(folder).resolve().name}, a copy"
            news = (
                f"{folder} is open in another trainer. This is a copy as it was saved last, and "
                "what you train here stays in memory. To go on with the run itself, close that "
                "trainer (trainer.close(), or end its kernel), and open the folder again."
            )
        lab = cls(trainer, name)
        lab._made.append(trainer)
        if news:
            lab._news = Notice("news", news)
            lab._touched()
        for other in beside:
            lab.beside(other)
        return lab

    # For code cells ---------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session of the run that is active."""
        return self._sessions[self._active]

    @property
    def trainer(self) -> AlternatingTrainer:
        """The active run's. Read its history at any time; leave its methods to the lab."""
        return self.session.trainer

    @property
    def runs(self) -> Mapping[str, History]:
        """{name: history} of all runs that are shown, the active one first."""
        return {run.name: run.history for run in self._in_colours()}

    @property
    def closed(self) -> bool:
        """Whether the lab was closed."""
        return self.session.status.activity == "closed"

    def play(self) -> None:
        """Trains to the schedule's end, in the background."""
        self.session.play()

    def pause(self) -> None:
        """Stops after the step under way."""
        self.session.pause()

    def step(self, unit: Unit = "batch", n: int = 1) -> None:
        """Makes one step ("batch"), or goes to the end of the phase or epoch under way; n times."""
        self.session.step(unit, n)

    def reset(self) -> None:
        """Stops, and goes back to the start; the schedule stays."""
        self.session.reset()

    def rollback(self) -> None:
        """Stops, and goes back to the last epoch's end."""
        self.session.rollback()

    def set_schedule(self, **changes: Any) -> None:
        """Changes fields of the schedule from the next round on: `lab.set_schedule(task_steps=8)`.

        Raises:
            ValueError: a field does not exist, or its value is not allowed.
        """
        self.session.status.planned.replace(**changes)  # so that a slip fails in the cell
        self.session.set_schedule(**changes)

    def show_epoch(self, epoch: int | None) -> None:
        """Goes back to the end of a past epoch (0: the start), or to now (None).

        Raises:
            ValueError: that epoch is not finished.
        """
        done = self.trainer.history.n_epochs
        if epoch is not None and not 0 <= epoch <= done:
            raise ValueError(f"epoch must be from 0 to {done}, the epochs finished, got {epoch}.")
        self._machine.go(epoch)

    def what_if(self, changes: Changes) -> Trial | None:
        """Test accuracy if these neurons were on (True) or off: {group: {neuron: on}}.

        `{"fc1": [3, 5]}` is short for both being off.
        Changes add up with those tried before; {} forgets them all. Nothing of it is in force in
        training before `keep`. Waits for the result.

        Raises:
            ValueError: there is no such group or neuron, or the changes are of another form.
        """
        checked(self.trainer.history.groups, changes)
        self.session.try_out(changes)
        self.session.settle()
        return self.session.status.trial

    def keep(self) -> None:
        """Pins what was tried: the switcher no longer moves those neurons."""
        self.session.keep()
        self.session.settle()

    def let_go(self, neurons: Mapping[str, Sequence[int]] | None = None) -> None:
        """Forgets what was tried, and unpins: neurons {group: numbers}, or all (None).

        Raises:
            ValueError: there is no such group or neuron.
        """
        if neurons is not None:
            checked(self.trainer.history.groups, neurons)
        self.session.let_go(neurons)
        self.session.settle()

    def fork(self, epoch: int | None = None, name: str = "", **changes: Any) -> None:
        """A new run from the end of an epoch (None: the last), which becomes the active one.

        Pauses the run that it comes from. A recorded run's fork is recorded beside it.

        Args:
            epoch: 0 is the start.
            name: of the new run.
            **changes: fields of the schedule in the editor to change for it.

        Raises:
            ValueError: a field of the schedule does not exist, or its value is not allowed; or the
                fork cannot be made.
        """
        schedule = self._editor.draft.replace(**changes)
        epoch = self.trainer.history.n_epochs if epoch is None else epoch
        problem = self._fork(epoch, name, schedule)
        if problem is not None:
            raise problem

    def beside(self, run: Folder | History, name: str | None = None) -> None:
        """Shows another run's curves beside those of this one.

        Args:
            run: a run folder, or a history.
            name: how to call it; None: the folder's name.

        Raises:
            FileNotFoundError: the folder holds no history.
            ValueError: a file is damaged, or the name is taken.
        """
        history = run if isinstance(run, History) else History.load(run)
        if name is None:
            name = "another run" if isinstance(run, History) else Path(run).resolve().name
        if name in self.runs:
            raise ValueError(f"name {name!r} is taken by another run of this lab; give another.")
        with self._lock:
            self._beside[name] = history
        self._touched()

    def wait(self, epochs: int | None = None, timeout: float | None = None) -> None:
        """Blocks the cell until nothing is to be done, or until so many epochs are done in all.

        Interrupting the cell ends the waiting, not the training. Where nothing is left to be
        done, the lab's picture in the notebook is of this state: also in a notebook that runs
        without a page, and whose kernel ends with the next cell.

        Raises:
            TrainingStopped: training ended with it.
            RuntimeError: training ended with another error.
            TimeoutError: `timeout` seconds are over.
        """
        session = self.session
        session.wait(epochs, timeout)
        if not session.status.running:
            self._portrait.show(session.status, self._in_colours(), waits=False)

    def close(self) -> None:
        """Ends the lab's threads. The trainer stays as it is, and may be used directly again.

        Trainers that the lab made, by `open` and by forks, give their folders back.
        """
        for session in list(self._sessions.values()):
            session.close()
        self._touched()
        self._refresher.join()
        for trainer in self._made:
            trainer.close()

    # Runs -------------------------------------------------------------------------------------

    def _ask_fork(self, epoch: int, name: str) -> None:
        """The button: as soon as the session comes to it."""
        self._branch(epoch, name, self._editor.draft, self._forked)

    def _fork(self, epoch: int, name: str, schedule: Schedule) -> Exception | None:
        """Waits for it; what went wrong."""
        done = threading.Event()
        problems: list[Exception] = []

        def made(trainer: AlternatingTrainer | Exception, name: str) -> None:
            try:
                self._forked(trainer, name)
                problems.extend([trainer] if isinstance(trainer, Exception) else [])
            except Exception as error:
                problems.append(error)
                raise
            finally:
                done.set()  # whatever happens, a cell waits for it

        self._branch(epoch, name, schedule, made)
        done.wait()
        return problems[0] if problems else None

    def _branch(
        self,
        epoch: int,
        name: str,
        schedule: Schedule,
        then: Callable[[AlternatingTrainer | Exception, str], None],
    ) -> None:
        called = name or f"{self._active}, from {epoch}"
        self.session.pause()
        self.session.branch(epoch, lambda made: then(made, called), schedule, name)

    def _forked(self, trainer: AlternatingTrainer | Exception, name: str) -> None:
        """In the session's thread."""
        if isinstance(trainer, Exception):
            self._news = Notice("refused", f"No fork was made. {trainer}")
        else:
            self._add(trainer, name)
        self._touched()

    def _add(self, trainer: AlternatingTrainer, name: str) -> None:
        if isinstance(trainer, runs.Trainer) and trainer.folder:
            name = trainer.folder.name
            self._made.append(trainer)
        with self._lock:
            taken = {*self._sessions, *self._beside}
            name = next(n for n in _numbered(name) if n not in taken)
            self._sessions[name] = Session(trainer, on_change=self._stepped)
        self._choose(name)
        words = f"{name} goes on from the end of epoch {trainer.position.epoch}: press Play."
        self._news = Notice("news", words)

    def _choose(self, name: str) -> None:
        if name == self._active or name not in self._sessions:
            return
        self._sessions[self._active].pause()
        self._active = name
        for part in (self._buttons, self._editor, self._panel):
            part.turn_to(self.session)
        self._machine.go(None)
        self._news = None
        self._touched()

    def _in_colours(self) -> list[Shown]:
        """The active run first; each keeps its colour, whichever is active."""
        with self._lock:
            trained = {name: s.trainer.history for name, s in self._sessions.items()}
            runs = in_colours(trained | self._beside)
        return sorted(runs, key=lambda run: run.name != self._active)

    # The refresher ----------------------------------------------------------------------------

    def _touched(self) -> None:
        """Something was done by hand, and is to be seen soon."""
        self._hurry.set()
        self._wake.set()

    def _stepped(self) -> None:
        if not any(s.status.activity == "playing" for s in list(self._sessions.values())):
            self._hurry.set()
        self._wake.set()

    def _refresh(self) -> None:
        more, open_, began = True, True, time.monotonic()
        while more or open_:
            self._wake.wait(REFRESH_EVERY if more else None)
            self._wake.clear()
            self._hurry.clear()
            open_ = not self.closed
            late = time.monotonic() > began + PAGE_FIRST or not open_
            more = self._show(cards=self._views.bar.there or late)
            time.sleep(REFRESH_EVERY)
            if self.session.status.activity == "playing":
                self._hurry.wait(_playing_every(self.session.trainer) - REFRESH_EVERY)

    def _show(self, cards: bool = True) -> bool:
        """Brings the page up to date with the newest state; whether something still waits."""
        session = self.session
        status, history = session.status, session.trainer.history
        if _EXITING.is_set():
            return False  # the kernel's sockets may be closed
        try:
            replaying = self._machine.tick(history)
            moment, shown = self._machine.moment, self._in_colours()
            self._buttons.show(status)
            self._choice.show(list(self._sessions), self._active)
            if status.running or status.activity == "closed":
                self._news = None  # what it said has been heard
            self._editor.show(status, history, moment)
            self._panel.show(status, history, moment)
            self._machine.show(status, history)
            self._messages.show(status, history, self._news)  # last: with it the page draws all
            self._views.take(shown, moment)
            if not cards:
                return True
            waits = self._views.show(status, shown, moment)
            self._portrait.show(status, shown, waits or replaying)
            return waits or replaying or self._buttons.asking
        except Exception as error:  # without this thread the page would stand still for good
            self._messages.fail(error)
            return False


def _playing_every(trainer: AlternatingTrainer) -> float:
    return PLAYING_EVERY if cores.left_over(trainer.device) else PLAYING_EVERY_BUSY


def _lab_of(trainer: AlternatingTrainer) -> Lab | None:
    """The lab that this trainer had last."""
    there = _LABS.get(trainer)
    return there() if there else None


def _name(trainer: AlternatingTrainer) -> str:
    folder = trainer.folder if isinstance(trainer, runs.Trainer) else None
    return folder.resolve().name if folder else "run"


def _numbered(name: str) -> Any:
    yield name
    n = 2
    while True:
        yield f"{name} ({n})"
        n += 1


def _style() -> widgets.HTML:
    css = Path(__file__).with_name("page").joinpath("style.css").read_text(encoding="utf-8")
    return widgets.HTML(f"<style>{css}</style>", layout=widgets.Layout(display="none"))


_EXITING = threading.Event()
atexit.register(_EXITING.set)

_LABS: weakref.WeakKeyDictionary[AlternatingTrainer, weakref.ref[Lab]] = weakref.WeakKeyDictionary()
