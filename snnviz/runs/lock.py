"""The right to write a run's folder: one process at a time."""

import os
import socket
import weakref
from contextlib import suppress
from pathlib import Path

from snnviz.runs.fingerprints import now
from snnviz.runs.layout import LOCK

_BRIEFLY = 1.0  # seconds for which a lock is waited for: who looks whether it is held holds it


class InUse(RuntimeError):
    """Another trainer writes the folder."""


class Lock:
    """The right to write a folder. The system takes it from a process that ends, however it ends.

    Raises:
        InUse: another trainer has it; says which process that is.
    """

    def __init__(self, folder: Path) -> None:
        import filelock

        self.file = folder / LOCK
        # Not of one thread: the lab trains in another than the one that made the trainer.
        self._lock = filelock.FileLock(self.file, timeout=_BRIEFLY, thread_local=False)
        try:
            self._lock.acquire(poll_interval=0.02)
        except OSError as error:
            if not isinstance(error, filelock.Timeout):
                raise PermissionError(
                    f"folder {str(folder)!r} cannot be written ({error}). Read from it with "
                    "Trainer.at, or copy it to where you may write."
                ) from error
            raise InUse(
                f"folder {str(folder)!r} is being written by {_holder(self.file)}. Wait until it "
                "is done or closed, or read from it with Trainer.at or Trainer.fork."
            ) from None
        with suppress(OSError):  # Windows lets nobody write to a locked file
            self.file.write_text(f"process {os.getpid()} on {socket.gethostname()}, since {now()}")
        self._identity = self._seen()
        # For a trainer that is dropped without being closed.
        self.release = weakref.finalize(self, self._lock.release)

    def check(self) -> None:
        """Raises FileNotFoundError if the folder is gone, or another stands in its place."""
        if self._seen() != self._identity:
            raise FileNotFoundError(f"the run's folder was replaced by another: {self.file.parent}")

    def _seen(self) -> tuple[int, int]:
        found = self.file.stat()
        return found.st_dev, found.st_ino


def _holder(file: Path) -> str:
    try:
        words = file.read_text(encoding="utf-8", errors="replace")[:200]
    except OSError:
        words = ""
    return words if words.startswith("process ") else "another process"


def is_held(folder: Path) -> bool:
    """Whether a trainer writes the folder just now."""
    import filelock

    if not (folder / LOCK).is_file() or (folder / LOCK).is_symlink():
        return False
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
    lock.release()
    return False
