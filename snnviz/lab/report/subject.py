"""What a report is about: a history, and as much of its run as can be found."""

import os
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from snnviz import checks, files
from snnviz.history import History
from snnviz.runs import Trainer
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.config import RunConfig
from snnviz.runs.past import past
from snnviz.training import AlternatingTrainer, Schedule

ADVICE = "Give a trainer, a lab, a history, or the folder of a run."


@dataclass(frozen=True)
class Subject:
    """A run that is handed on.

    Attributes:
        name: of the run.
        about: its network and data in a few words; "" if they are not known.
        history: what it recorded.
        schedule: what its epochs were; where it is to go on, as planned.
        batches: task steps in an epoch.
        trainer: with the networks of the end; None if there is only the history.
    """

    name: str
    about: str
    history: History
    schedule: Schedule
    batches: int
    trainer: AlternatingTrainer | None


def find_subject(run: Any, name: str | None, network: Any, data: Any, weights: bool) -> Subject:
    """Everything that is known of a run.

    Args:
        run: a trainer, a lab, a history, or the folder of a run or of a history.
        name: what to call it; None: its folder's name.
        network, data: for a run with a network or data of your own.
        weights: load the networks, if they can be.
    """
    session = getattr(run, "session", None)  # of a lab
    if session is not None:
        _check_paused(session.status.running)
        run = session.trainer
    if isinstance(run, History):
        return _of_history(run, name or "a run", "")
    if isinstance(run, AlternatingTrainer):
        folder = getattr(run, "folder", None)
        called: str = name or (folder.resolve().name if folder else "a run")
        about = _describe(RunConfig.of(run, 1, None))
        if weights:
            return _of_trainer(run, called, about)
        return _of_history(run.history, called, about)
    checks.kind_of("run", run, (str, os.PathLike), "a run", ADVICE)
    folder = files.home_path("run", run)
    name = name or folder.resolve().name
    if not (folder / CONFIG).exists():
        return _of_history(History.load(folder), name, "")
    found = past(folder)
    about = _describe(found.config)
    network_known = network is not None or found.config.network is not None
    data_known = data is not None or found.config.data is not None
    if weights and network_known and data_known:
        return _of_trainer(Trainer.at(folder, network=network, data=data), name, about)
    return _of_history(found.history, name, about)


def _check_paused(running: bool) -> None:
    if running:  # which would see the network in another mode
        raise ValueError(
            "run must be a lab that is paused, got one that trains. Call lab.pause(), and "
            "lab.wait() until the step is done."
        )


def _of_trainer(trainer: AlternatingTrainer, name: str, about: str) -> Subject:
    history, plan = trainer.history.frozen(), trainer.schedule
    return Subject(name, about, history, plan, trainer.batches_per_epoch, trainer)


def _of_history(history: History, name: str, about: str) -> Subject:
    rows = history.step_rows()
    batches = sum(row[1] == 1 and row[2] == "task" for row in rows)
    return Subject(name, about, history, read_schedule(history), max(batches, 1), None)


def read_schedule(history: History) -> Schedule:
    """A schedule that says of each finished epoch what it was, and of which nothing is to come."""
    rows = history.step_rows()
    epochs = max([history.n_epochs, 1, *(row[1] for row in rows[-1:])])
    with_switcher = {row[1] for row in rows if row[2] == "switcher"}
    if not with_switcher:
        return Schedule(epochs=epochs, switcher_steps=0, warmup_epochs=0, **_rates(rows))
    still = [epoch not in with_switcher for epoch in range(1, epochs + 1)]
    warm, frozen = (sum(takewhile(bool, order)) for order in (still, reversed(still)))
    stages = {"warmup_epochs": warm, "freeze_epochs": frozen}
    # With short rounds every other epoch without switcher steps counts as one of task steps only.
    return Schedule(epochs=epochs, task_steps=1, **stages, **_rates(rows))


def _rates(rows: list[tuple]) -> dict[str, Any]:
    """The learning rate at the first step of each phase."""
    first = {row[2]: row[5] for row in reversed(rows)}
    return {f"{phase}_lr": rate for phase, rate in first.items()}


def _describe(config: RunConfig) -> str:
    network = config.network.name if config.network else "a network of one's own"
    data = config.data.name if config.data else "images of one's own"
    return f"{network} on {data}, seed {config.seed}"
