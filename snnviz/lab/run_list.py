"""The runs of a lab: those that it can train (one is active), and those shown beside them."""

import os
import queue
import threading
from collections.abc import Callable, Iterator

from snnviz import runs
from snnviz.files import home_path
from snnviz.history import History
from snnviz.lab.follower import Follower
from snnviz.lab.results import Run
from snnviz.lab.session import Session, Status
from snnviz.lab.views import Shown, in_colours
from snnviz.runs.followed import Followed
from snnviz.training import AlternatingTrainer, Schedule

Then = Callable[[AlternatingTrainer | Exception, str], None]


class RunList:
    """Runs by name. They may be added in any thread.

    Args:
        trainer: of the first run, which is active.
        name: of it; None: its folder's.
        stepped: called in a session's thread whenever that session has a new status.
    """

    def __init__(
        self, trainer: AlternatingTrainer, name: str | None, stepped: Callable[[], None]
    ) -> None:
        self._stepped = stepped
        self._lock = threading.Lock()
        self.active = name or name_run(trainer)
        self._sessions = {self.active: Session(trainer, on_change=stepped)}
        self._twins: dict[str, str] = {}  # {twin: the run that it follows}
        self._leading = threading.Lock()
        self._beside: dict[str, History] = {}
        self._owned: list[runs.Trainer] = []
        self._follower: Follower | None = None

    @property
    def session(self) -> Session:
        """The session of the active run."""
        return self._sessions[self.active]

    @property
    def names(self) -> list[str]:
        """The runs that can be trained."""
        return list(self._sessions)

    @property
    def playing(self) -> bool:
        """Whether any of them plays."""
        return any(s.status.activity == "playing" for s in list(self._sessions.values()))

    @property
    def deeds(self) -> list[Run]:
        """What was done to each run, in the order in which they were made."""
        return [
            Run(
                name=name,
                began=session.began,
                now=session.status.position,
                deeds=session.deeds,
                ends={row[0]: row[1] for row in session.trainer.history.epoch_rows()},
                follows=name in self._twins,
            )
            for name, session in list(self._sessions.items())
        ]

    @property
    def twin(self) -> tuple[str, Status | None]:
        """The active run's twin without switcher: its name and status; ("", None): it has none."""
        for twin, leader in list(self._twins.items()):
            if leader == self.active:
                return twin, self._sessions[twin].status
        return "", None

    def own(self, trainer: runs.Trainer, followed: Followed | None = None) -> None:
        """Has `close_trainers` close this one.

        Args:
            followed: the folder of the active run, if another trainer writes it.
        """
        self._owned.append(trainer)
        if followed is not None:
            self._follower = Follower(self.session, followed)

    def add(self, trainer: AlternatingTrainer, name: str) -> str:
        """Adds a run that can be trained; the name that it got.

        Args:
            name: what it is called if it has no folder; a number is added if that is taken.
        """
        if isinstance(trainer, runs.Trainer) and trainer.folder:
            name = trainer.folder.name
            self.own(trainer)
        with self._lock:
            taken = {*self._sessions, *self._beside}
            name = next(each for each in _number_names(name) if each not in taken)
            speed = self.session.status.speed
            self._sessions[name] = Session(trainer, on_change=self._stepped, speed=speed)
        return name

    def add_twin(self, trainer: AlternatingTrainer, leader: str) -> str:
        """Adds a run that trains by itself as many epochs as another one; its name."""
        for twin, other in self._twins.items():
            if other == leader:  # it was asked for twice
                return twin
        name = self.add(trainer, f"{leader}, dense" if len(self._sessions) > 1 else "dense")
        self._twins[name] = leader
        self.lead()
        return name

    def lead(self) -> None:
        """Has each twin go on if it is behind. Called in any thread."""
        if not self._twins:
            return
        with self._leading:
            for name, leader in list(self._twins.items()):
                _follow(self._sessions[name], self._sessions[leader].status)

    def set_speed(self, speed: float | None) -> None:
        """Makes all runs train so fast; it is a deed of the active one."""
        for session in list(self._sessions.values()):
            session.set_speed(speed, "speed" if session is self.session else "")

    def show_beside(self, run: str | os.PathLike[str] | History, name: str | None) -> None:
        """Shows another run's curves beside those of these. Errors as of `Lab.beside`."""
        known = isinstance(run, History)
        history = run if known else History.load(run)
        if name is None:
            name = "another run" if known else home_path("run", run).resolve().name
        if name in self._sessions or name in self._beside:
            raise ValueError(f"name {name!r} is taken by another run of this lab; give another.")
        with self._lock:
            self._beside[name] = history

    def check(self, name: str) -> None:
        """ValueError unless a run that can be trained has this name."""
        if name not in self._sessions:
            known = ", ".join(map(repr, self.names))
            raise ValueError(f"name must be a run that can be trained ({known}), got {name!r}.")

    def activate(self, name: str) -> bool:
        """Pauses the active run, and makes another one active; whether that is a change."""
        if name == self.active or name not in self._sessions:
            return False
        self.session.pause()
        self.active = name
        return True

    def branch(self, epoch: int, name: str, schedule: Schedule, then: Then) -> None:
        """Pauses the active run, and has it make a trainer that goes on from an epoch's end.

        Args:
            then: called in the session's thread with the trainer, or what went wrong, and with what
                to call the new run.
        """
        called = name or f"{self.active}, from {epoch}"
        self.session.pause()
        self.session.branch(epoch, lambda made: then(made, called), schedule, name)

    def branch_now(self, epoch: int, name: str, schedule: Schedule, then: Then) -> None:
        """The same for a cell, which waits for it; what goes wrong is raised."""
        found: queue.Queue[Exception | None] = queue.Queue()

        def take(trainer: AlternatingTrainer | Exception, name: str) -> None:
            try:
                then(trainer, name)
                found.put(trainer if isinstance(trainer, Exception) else None)
            except Exception as error:
                found.put(error)
                raise

        self.branch(epoch, name, schedule, take)
        if (problem := found.get()) is not None:
            raise problem

    def in_colours(self) -> list[Shown]:
        """All runs, the active one first; each keeps its colour, whichever is active."""
        with self._lock:
            trained = {name: s.trainer.history for name, s in self._sessions.items()}
            classes = {name: s.status.classes for name, s in self._sessions.items()}
            shown = in_colours(trained | self._beside, classes)
        return sorted(shown, key=lambda run: run.name != self.active)

    def close_sessions(self) -> None:
        """Ends all training."""
        if self._follower is not None:
            self._follower.stop()
        for session in list(self._sessions.values()):
            session.close()

    def close_trainers(self) -> None:
        """Has the trainers that the lab made give their folders back."""
        for trainer in self._owned:
            trainer.close()


def name_run(trainer: AlternatingTrainer) -> str:
    """The name of a trainer's run: its folder's, if it has one."""
    folder = trainer.folder if isinstance(trainer, runs.Trainer) else None
    return folder.resolve().name if folder else "run"


def _follow(twin: Session, leader: Status) -> None:
    status = twin.status
    if status.running or status.problem or status.activity == "closed" or not twin.caught_up:
        return
    behind = leader.position.epoch - status.position.epoch
    if behind > 0 and status.schedule.epochs < leader.position.epoch:
        twin.set_schedule(epochs=leader.schedule.epochs)
    if behind > 0:
        twin.step("epoch")


def make_twin(trainer: AlternatingTrainer) -> AlternatingTrainer:
    """The same network from the same start, on the same batches, without switcher."""
    made = trainer.branch(trainer.initial)
    made.schedule = trainer.schedule.replace(switcher_steps=0, size=None)
    return made


def _number_names(name: str) -> Iterator[str]:
    yield name
    n = 2
    while True:
        yield f"{name} ({n})"
        n += 1
