"""What the runs do that tests/runs/killing.py kills."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snnviz.runs import Trainer
from snnviz.training import Schedule
from tests.runs.conftest import DATA, PLAN, make, resume, tiny_net

Mark = Callable[[str], None]

_OTHER = PLAN.replace(task_lr=0.01, task_steps=2)
FORK_AT = 1


@dataclass(frozen=True)
class Story:
    """What a run does. All that it decides depends on its state alone, so it can be taken up.

    Attributes:
        schedule: from the start.
        saves: at every step, as somebody does who presses Ctrl-C.
        turns: another schedule at step 6, and a rollback at step 9.
        forks: begins as a fork of a run, with another schedule.
        begins: epochs that are done before the first kill.
        options: of the trainer.
    """

    schedule: Schedule
    saves: bool = False
    turns: bool = False
    forks: bool = False
    begins: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def begin(self, folder: Path, before: Path | None) -> Trainer:
        """Where there is no run yet; `before` holds what it begins with."""
        if self.forks:
            assert before
            return Trainer.fork(before, FORK_AT, _OTHER, folder.name, network=tiny_net(), data=DATA)
        if before:
            copy = folder.parent.with_name(f"{folder.parent.name}-copy")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(before, copy)
            copy.rename(folder)  # whole or absent, for there are readers
            return self.take_up(folder)
        return make(folder, self.schedule, **self.options)

    def take_up(self, folder: Path) -> Trainer:
        return resume(folder, self.options.get("norm", "batch"))

    def twin(self) -> Trainer:
        """The same, without a folder, that nobody kills."""
        trainer = make(None, self.schedule, **self.options)
        if self.forks:
            while trainer.position.epoch < FORK_AT:
                trainer.step()
            trainer.schedule = _OTHER
        self.go_on(trainer, lambda _: None)
        return trainer

    def go_on(self, trainer: Trainer, mark: Mark) -> None:
        """To the end."""
        while not trainer.finished:
            events, step = trainer.history.n_events, trainer.position.step
            if self.turns and (events, step) == (0, 6):
                trainer.schedule = _OTHER
            elif self.turns and (events, step) == (1, 9):
                trainer.rollback()
            stage = trainer.schedule.stage(trainer.position.epoch)
            mark(f"{trainer.phase} phase, {stage}")
            trainer.step()
            mark(f"done: {trainer.history.n_epochs}")
            if self.saves and trainer.folder:
                trainer.save()


# Dropout and augmentation are in all of them.
STORIES = {
    "warm-up": Story(PLAN.replace(warmup_epochs=2)),
    "saved at each step": Story(PLAN, saves=True),
    "switcher phases": Story(PLAN.replace(warmup_epochs=0, task_steps=1)),
    "other schedule, rollback": Story(PLAN, turns=True),
    "every 2nd kept, adam": Story(
        PLAN.replace(epochs=4, task_optimizer="adam", switcher_optimizer="sgd", task_lr=0.01),
        options={"keep_every": 2, "norm": "group"},
    ),
    "fork": Story(PLAN, forks=True),
    "tables merged": Story(PLAN.replace(epochs=52, batch_size=64, switcher_steps=0), begins=48),
}
