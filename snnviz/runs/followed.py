"""A run that another trainer writes, seen from outside. Only reads."""

import os
from pathlib import Path

from snnviz import files
from snnviz.history.pointer import Pointer
from snnviz.runs import reading
from snnviz.runs.lock import holder, is_held
from snnviz.runs.past import pointer_of
from snnviz.training.trainer import AlternatingTrainer


class Followed:
    """A run's folder, and a trainer that shows what another one saves there.

    Args:
        trainer: as `Trainer.at` gave it.
        folder: the run's.
    """

    def __init__(self, trainer: AlternatingTrainer, folder: str | os.PathLike[str]) -> None:
        self.trainer = trainer
        self.folder: Path = files.fixed_path("folder", folder)
        self._taken_up: Pointer | None = None

    @property
    def held(self) -> bool:
        """Whether another trainer has the folder open."""
        return is_held(self.folder)

    @property
    def holder(self) -> str:
        """Who has it open, or had it last."""
        return holder(self.folder)

    @property
    def is_behind(self) -> bool:
        """Whether something has been saved that `take_up` has not read.

        Raises:
            FileNotFoundError: the run is gone.
            ValueError: its files are damaged.
        """
        return pointer_of(self.folder) != self._taken_up

    def take_up(self) -> None:
        """Brings the trainer to the state that was saved last.

        Raises:
            FileNotFoundError: the run is gone.
            ValueError: its files are damaged, or are of another network.
        """
        self._taken_up = reading.renew(self.trainer, self.folder).pointer
