"""Calls that errors advise, as values: the command line tells the same as a command."""

from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Literal

from snnviz import files


@dataclass(frozen=True)
class Call:
    """A call of `Trainer.resume` or `Trainer.fork`.

    Attributes:
        epoch: None: none is given; ...: the user is to choose one.
    """

    how: Literal["resume", "fork"]
    folder: Path
    epoch: int | EllipsisType | None = None

    def __str__(self) -> str:
        epoch = (
            "" if self.epoch is None else f", epoch={'...' if self.epoch is ... else self.epoch}"
        )
        return f"Trainer.{self.how}({str(self.folder)!r}{epoch})"


class AdvisesCalls(Exception):
    """An error whose text holds `calls`, word for word."""

    calls: tuple[Call, ...] = ()


class FolderTaken(FileExistsError, AdvisesCalls):
    """A run cannot begin in a folder, for there is something in it."""

    def __init__(self, folder: Path, what: str) -> None:
        resume, fork = Call("resume", folder), Call("fork", folder, ...)
        super().__init__(
            f"folder {str(folder)!r} {what}. Go on with it: {resume}; branch off from it: {fork}; "
            "or give the name of a new folder."
        )
        self.calls = resume, fork


class NoSuchEpoch(ValueError, AdvisesCalls):
    """A run has not come to this epoch."""

    def __init__(self, folder: Path, epoch: object, ended: int) -> None:
        there = f"0 (the start) to {ended}" if ended else "0 (the start), for none has ended yet"
        resume = Call("resume", folder)
        super().__init__(
            f"epoch must be one that the run in {str(folder)!r} has, {there}, got {epoch!r}. "
            f"To train more of them, go on with the run: {resume}."
        )
        self.calls = (resume,)


class DamagedLater(files.Damaged, AdvisesCalls):
    """A file of a run is damaged, and an epoch before it is whole."""

    def __init__(self, file: Path, why: str, folder: Path, epoch: int) -> None:
        resume = Call("resume", folder, epoch)
        super().__init__(
            file,
            why,
            "restore it from a copy, or go on from the newest good one before it: "
            f"{resume}, which drops what came later.",
        )
        self.calls = (resume,)
