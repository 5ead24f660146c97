"""Errors that advise a call of `Trainer`; the command line names its own command in its place."""

from collections.abc import Callable
from pathlib import Path
from types import EllipsisType
from typing import Literal, NamedTuple

from snnviz import files


class Call(NamedTuple):
    """A call of `Trainer.resume` or `Trainer.fork` on a run.

    Attributes:
        method: which of the two.
        folder: of the run.
        epoch: None to leave it out; ... where the reader is to choose one.
    """

    method: Literal["resume", "fork"]
    folder: Path
    epoch: int | EllipsisType | None = None

    def __str__(self) -> str:
        epoch = "..." if self.epoch is ... else self.epoch
        more = "" if epoch is None else f", epoch={epoch}"
        return f"Trainer.{self.method}({str(self.folder)!r}{more})"


class Advised(Exception):
    """An error whose message contains calls.

    Args:
        parts: the message, in order: text and calls.
    """

    def __init__(self, *parts: str | Call) -> None:
        super().__init__("".join(map(str, parts)))
        self.parts = parts

    def write_calls(self, write: Callable[[Call], str]) -> str:
        """The message, with its calls written in another way."""
        return "".join(write(part) if isinstance(part, Call) else part for part in self.parts)


class NoSuchEpoch(Advised, ValueError):
    """The run has not trained that many epochs."""


class FolderTaken(Advised, FileExistsError):
    """A run cannot begin in a folder that holds something else."""


class DamagedLater(Advised, files.Damaged):
    """A file of a run is damaged, and an earlier checkpoint is good.

    Args:
        damaged: the file.
        good: resumes the run from the newest good checkpoint before it.
    """

    def __init__(self, damaged: files.Damaged, good: Call) -> None:
        before = "restore it from a copy, or go on from the newest good one before it: "
        after = ", which drops what came later."
        files.Damaged.__init__(self, damaged.file, damaged.why, f"{before}{good}{after}")
        start = str(files.Damaged(damaged.file, damaged.why, before))
        self.parts = (start, good, after)
