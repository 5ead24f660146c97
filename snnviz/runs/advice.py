"""Errors that suggest a `Trainer` call; the command line shows its own command instead."""

from collections.abc import Callable
from pathlib import Path
from types import EllipsisType
from typing import Literal, NamedTuple

from snnviz import files


class Call(NamedTuple):
    """A call of `Trainer.resume` or `Trainer.fork` on a run.

    Attributes:
        method: which of the two methods.
        folder: the run's folder.
        epoch: None to omit it; `...` where the reader has to choose one.
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
        """The message, with each call formatted by `write`."""
        return "".join(write(part) if isinstance(part, Call) else part for part in self.parts)


class NoSuchEpoch(Advised, ValueError):
    """The run has not trained that many epochs."""


class FolderTaken(Advised, FileExistsError):
    """A run cannot start in a folder that already contains something else."""


class DamagedLater(Advised, files.Damaged):
    """A file of a run is damaged, but an earlier checkpoint is intact.

    Args:
        damaged: the error for the damaged file.
        good: the call that resumes the run from the newest intact checkpoint before it.
    """

    def __init__(self, damaged: files.Damaged, good: Call) -> None:
        before = "restore it from a copy, or continue from the newest intact one before it: "
        after = ", which discards all later epochs."
        files.Damaged.__init__(self, damaged.file, damaged.why, f"{before}{good}{after}")
        start = str(files.Damaged(damaged.file, damaged.why, before))
        self.parts = (start, good, after)
