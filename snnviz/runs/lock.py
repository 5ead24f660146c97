"""The right to write to a run's folder, for one process at a time."""

import os
import socket
import weakref
from contextlib import suppress
from pathlib import Path

from snnviz.runs.fingerprints import now
from snnviz.runs.layout import LOCK

_BRIEFLY = 1.0  # seconds to wait for a lock: `is_held` takes it for a moment


class InUse(RuntimeError):
    """Another trainer is writing to the folder."""


class Lock:
    """The right to write to a folder. The system releases it when the process ends in any way.

    Raises:
        InUse: another trainer has it; the message names its process.
    """

    def __init__(self, folder: Path) -> None:
        import filelock

        self.file = folder / LOCK
        # Not thread-local: the lab trains in a different thread from the one that made the trainer.
        self._lock = filelock.FileLock(self.file, timeout=_BRIEFLY, thread_local=False)
        try:
            self._lock.acquire(poll_interval=0.02)
        except OSError as error:
            if not isinstance(error, filelock.Timeout):
                raise PermissionError(
                    f"folder {str(folder)!r} cannot be written ({error}). Read it with "
                    "Trainer.at, or copy it to a folder that you may write to."
                ) from error
            raise InUse(
                f"folder {str(folder)!r} is being written by {holder(folder)}. Wait until that "
                "process finishes or closes it, or read it with Trainer.at or Trainer.fork."
            ) from None
        with suppress(OSError):  # Windows does not allow writing to a locked file
            self.file.write_text(f"process {os.getpid()} on {socket.gethostname()}, since {now()}")
        self._identity = self._seen()
        # For a trainer that is deleted without being closed.
        self.release = weakref.finalize(self, self._lock.release)

    def check(self) -> None:
        """Raises FileNotFoundError if the folder is gone or was replaced by another one."""
        if self._seen() != self._identity:
            raise FileNotFoundError(f"the run's folder was replaced by another: {self.file.parent}")

    def _seen(self) -> tuple[int, int]:
        found = self.file.stat()
        return found.st_dev, found.st_ino


def holder(folder: Path) -> str:
    """Who writes to the folder, or did last: "process 12 on this-machine, since then"."""
    try:
        words = (folder / LOCK).read_text(encoding="utf-8", errors="replace")[:200]
    except OSError:
        words = ""
    return words if words.startswith("process ") else "another process"


def is_held(folder: Path) -> bool:
    """Whether a trainer is writing to the folder now."""
    import filelock

    if not (folder / LOCK).is_file() or (folder / LOCK).is_symlink():
        return False
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    except OSError:  # a read-only folder
        return False
    lock.release()
    return False
