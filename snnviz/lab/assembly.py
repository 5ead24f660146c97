"""The lab that people call: a trainer's sessions, and the parts of the page that show them."""

import os
import weakref
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from snnviz import checks
from snnviz.history import History
from snnviz.lab.opening import open_run
from snnviz.lab.page import check_moment, hear_as_asked, made_together, wait_in_cell
from snnviz.lab.parts import Parts, check_parts
from snnviz.lab.refresher import Refresher
from snnviz.lab.results import Compacted, make_smaller
from snnviz.lab.run_list import RunList, make_twin
from snnviz.lab.session import Changes, Notice, Session, Trial, Unit, wait_for_answer
from snnviz.lab.session.goals import check_speed
from snnviz.lab.session.image import Answer
from snnviz.lab.session.whatif import check_changes
from snnviz.training import AlternatingTrainer

Folder = str | os.PathLike[str]


class Lab:
    """A trainer under your hands: as the last line of a cell it shows itself.

    Buttons play, pause and step; the schedule can be changed while it runs; every neuron is in
    view, can be switched by hand, and opened; a slider goes back to past epochs, and a fork from
    there is a new run beside the first. Training runs in its own thread and the kernel stays free:
    read `lab.trainer.history` whenever you like. While a trainer's lab is open, do not call the
    trainer's methods; use the lab's instead.

    A trainer has one lab: `Lab(trainer)` again, in a cell that is run again, gives the same lab.

    Args:
        trainer: what to train.
        name: of the run, in this lab; None: its folder's.
        show: the parts of the page, for beginners who need only some of them: any of "buttons",
            "neurons", "figures", "schedule" and "time machine"; None: all. What training says of
            itself is always there, and cells can do all that the buttons do.

    Raises:
        TypeError: it is no trainer.
        ValueError: there is no such part.

    >>> lab = Lab(trainer)  # doctest: +SKIP
    >>> lab.play(); lab.wait(epochs=2); lab.pause()  # doctest: +SKIP
    """

    def __new__(
        cls,
        trainer: AlternatingTrainer,
        name: str | None = None,
        show: Collection[str] | None = None,
    ) -> "Lab":
        """The trainer's lab, if it has one that is open."""
        advice = "Give a trainer: Lab(trainer). Of a run folder: Lab.open(folder)."
        checks.kind_of("trainer", trainer, AlternatingTrainer, "a snnviz.Trainer", advice)
        lab = _lab_of(trainer)
        return lab if lab is not None and not lab.closed else super().__new__(cls)

    def __init__(
        self,
        trainer: AlternatingTrainer,
        name: str | None = None,
        show: Collection[str] | None = None,
    ) -> None:
        parts = check_parts(show)
        if _lab_of(trainer) is self:
            return
        self._refresher = Refresher(lambda late: self._parts.show(late), lambda: self.session)
        self._runs = RunList(trainer, name, self._stepped)
        asked = self._choose, self._ask_fork, self.dense_twin, self._refresher.hurry
        with made_together():
            self._parts = Parts(self._runs, *asked, parts)
            self._parts.show(late=False)  # a long history's figures need not keep the cell waiting
        _LABS[trainer] = weakref.ref(self)
        self._refresher.hurry()
        self.widget = hear_as_asked(self._parts.widget)
        self._refresher.start()

    def __repr__(self) -> str:
        at = self.session.status
        done = f"{at.position.epoch} of {at.schedule.epochs} epochs done"
        return f"Lab({at.activity}, {done}, step {at.position.step})"

    def _ipython_display_(self) -> None:
        self._parts.portrait.display(self)

    @classmethod
    def open(
        cls,
        folder: Folder,
        *beside: Folder,
        network: Any = None,
        data: Any = None,
        device: Any = None,
    ) -> "Lab":
        """A lab on a run folder, which continues where it was saved last.

        A run that another trainer has open is followed: each epoch is shown when it is saved, and
        nothing can be trained here. Your own trainer gives its folder back with `trainer.close()`.
        Where a run's images are not to be found, its past and its networks are shown, and nothing
        can be trained.

        Args:
            folder: of the run.
            beside: other runs, whose curves are shown too.
            network: for a run with a network of your own, one of its architecture.
            data: for a run with data of your own, the same data; not needed to look at its past.
            device: instead of the run's.

        Raises:
            FileNotFoundError: a folder holds no run.
            ValueError: a file is damaged or from a newer version, or an argument does not fit.
        """
        opened = open_run(folder, network, data, device)
        lab = cls(opened.trainer, opened.name)
        lab._runs.own(opened.trainer, opened.followed)
        if opened.news:
            lab._parts.news = Notice("news", opened.news)
            lab._refresher.hurry()
        for other in beside:
            lab.beside(other)
        return lab

    # For code cells ---------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session of the run that is active."""
        return self._runs.session

    @property
    def trainer(self) -> AlternatingTrainer:
        """The active run's. Read its history at any time; leave its methods to the lab."""
        return self.session.trainer

    @property
    def runs(self) -> Mapping[str, History]:
        """{name: history} of all runs that are shown, the active one first."""
        return {run.name: run.history for run in self._runs.in_colours()}

    @property
    def closed(self) -> bool:
        """Whether the lab was closed."""
        return self.session.status.activity == "closed"

    @property
    def speed(self) -> float | None:
        """Steps a second at most, so that phases can be followed; None: as fast as it can.

        Single steps by hand do not wait. Setting it raises ValueError for what is no speed.
        """
        self.session.settle()
        return self.session.status.speed

    @speed.setter
    def speed(self, steps: float | None) -> None:
        self._runs.set_speed(check_speed(steps))

    def play(self, until: int | None = None) -> None:
        """Trains in the background: to the schedule's end, or to the end of epoch `until`.

        Raises:
            ValueError: that epoch is over, or is no whole number.
        """
        done = self.session.status.position.epoch
        if until is None:
            self.session.play()
        else:
            self.session.step("epoch", checks.whole("until", until, done + 1) - done)

    def pause(self) -> None:
        """Stops after the current step."""
        self.session.pause()

    def step(self, unit: Unit = "batch", n: int = 1) -> None:
        """Makes one step ("batch"), or goes to the end of the current phase or epoch; n times."""
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
        self._parts.machine.go(check_moment(epoch, self.trainer.history.n_epochs))

    def what_if(self, changes: Changes) -> Trial | None:
        """Test accuracy if these neurons were on (True) or off: {group: {neuron: on}}.

        `{"fc1": [3, 5]}` is short for both being off.
        Changes add up with those tried before; {} forgets them all. Training does not use them
        before `keep`. Waits for the result.

        Raises:
            ValueError: there is no such group or neuron, or the changes are of another form.
        """
        check_changes(self.trainer.history.groups, changes)
        self.session.try_out(changes)
        self.session.settle()
        return self.session.status.trial

    def show_image(self, image: Any) -> Answer:
        """What the network predicts for an image, and how strongly each neuron answers to it.

        As `predicted`, `probabilities` and `answers`; the tab "Image" opens, and squares show them.

        Args:
            image: the number of a test image, or an image (channels, height, width) like those.

        Raises:
            ValueError: there is no such test image, or it is no such image.
        """
        return self._parts.show_image(image)

    def keep(self) -> None:
        """Pins what was tried: the switcher no longer changes those neurons."""
        self.session.keep()
        self.session.settle()

    def let_go(self, neurons: Mapping[str, Sequence[int]] | None = None) -> None:
        """Forgets what was tried, and unpins: neurons {group: numbers}, or all (None).

        Raises:
            ValueError: there is no such group or neuron.
        """
        if neurons is not None:
            check_changes(self.trainer.history.groups, neurons)
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
        schedule = self._parts.editor.draft.replace(**changes)
        epoch = self.trainer.history.n_epochs if epoch is None else epoch
        self._runs.branch_now(epoch, name, schedule, self._take_fork)

    def beside(self, run: Folder | History, name: str | None = None) -> None:
        """Shows another run's curves beside those of this one.

        Args:
            run: a run folder, or a history.
            name: what to call it; None: the folder's name.

        Raises:
            FileNotFoundError: the folder holds no history.
            ValueError: a file is damaged, or the name is taken.
        """
        self._runs.show_beside(run, name)
        self._refresher.hurry()

    def choose(self, name: str) -> None:
        """Makes another run the active one, and pauses the one that was.

        Raises:
            ValueError: no run that can be trained has this name.
        """
        self._runs.check(name)
        self._choose(name)

    def dense_twin(self) -> None:
        """Trains the same network from its start without a switcher, beside the active run.

        It sees the same batches, trains as many epochs as the active run, and is kept in memory.
        """
        leader = self._runs.active
        if not self._runs.twin[0]:
            self.session.ask(make_twin, partial(self._take_twin, leader), "dense_twin")

    def compact(self, latency: bool = True) -> Compacted:
        """The network without its off neurons, and a report, as from `compact`; shown in the lab.

        Args:
            latency: measure how much faster it is; takes a few seconds.

        Raises:
            OutputsDiffer: the smaller network's outputs differ.
        """
        smaller = wait_for_answer(self.session, partial(make_smaller, latency=latency), "compact")
        return self._parts.desk.take(smaller)

    @property
    def compacted(self) -> Compacted | None:
        """(network, report) of the last time that the lab compacted a network; None: not yet."""
        return self._parts.desk.compacted

    @property
    def code(self) -> str:
        """Lines that do to a new lab what was done to this one, by hand or in cells."""
        self.session.settle()
        return self._parts.write_code()

    def wait(self, epochs: int | None = None, timeout: float | None = None) -> None:
        """Blocks the cell until training stops, or until `epochs` epochs are done in all.

        Interrupting the cell ends the waiting, not the training. When training has stopped, the
        lab's picture in the notebook shows this state, even in a notebook that runs without a page
        and whose kernel ends with the next cell. Meanwhile the lab can be used, also from a page
        that is loaded again.

        Raises:
            TrainingStopped: training ended with it.
            RuntimeError: training ended with another error.
            TimeoutError: `timeout` seconds are over.
        """
        session = self.session
        wait_in_cell(session, epochs, timeout)
        if not session.status.running:
            self._parts.portrait.show(session.status, self._runs.in_colours(), at_once=True)

    def close(self) -> None:
        """Ends the lab's threads. The trainer stays as it is, and you may call its methods again.

        Trainers that the lab made, by `open` and by forks, give their folders back.
        """
        self._runs.close_sessions()
        self._refresher.hurry()
        self._refresher.join()
        self._runs.close_trainers()

    def _ask_fork(self, epoch: int, name: str) -> None:
        """The button: as soon as the session comes to it."""
        self._runs.branch(epoch, name, self._parts.editor.draft, self._take_fork)

    def _take_twin(self, leader: str, made: AlternatingTrainer | Exception) -> None:
        """In the session's thread."""
        if isinstance(made, Exception):
            self._parts.news = Notice("refused", f"No dense twin was made. {made}")
        else:
            name = self._runs.add_twin(made, leader)
            words = f"{name} trains without a switcher, on the same batches, as far as {leader}."
            self._parts.news = Notice("news", words)
        self._refresher.hurry()

    def _take_fork(self, trainer: AlternatingTrainer | Exception, name: str) -> None:
        """In the session's thread."""
        if isinstance(trainer, Exception):
            self._parts.news = Notice("refused", f"No fork was made. {trainer}")
        else:
            name = self._runs.add(trainer, name)
            self._choose(name)
            epoch = trainer.position.epoch
            words = f"{name} continues from the end of epoch {epoch}: press Play."
            self._parts.news = Notice("news", words)
        self._refresher.hurry()

    def _choose(self, name: str) -> None:
        if not self._runs.activate(name):
            return
        self._parts.turn_to_active()
        self._refresher.hurry()

    def _stepped(self) -> None:
        self._runs.lead()
        if self._runs.playing:
            self._refresher.wake()
        else:
            self._refresher.hurry()


def _lab_of(trainer: AlternatingTrainer) -> Lab | None:
    """The lab that this trainer had last."""
    there = _LABS.get(trainer)
    return there() if there else None


_LABS: weakref.WeakKeyDictionary[AlternatingTrainer, weakref.ref[Lab]] = weakref.WeakKeyDictionary()
