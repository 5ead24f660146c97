"""A run folder: what lies where, who may write, and how it is read while another process writes.

config.json      what the run is made from
history/         Parquet tables; history.json says how much of them counts, and which checkpoint
                 belongs to it. Written last, it makes a save whole: what it does not name is
                 left over from a process that was killed, and the next writer removes it.
checkpoints/     safetensors, each of which proves its own content by the hash in its name
events.jsonl     a log for people, never read for state
lock             held by the process that writes
"""

import json
import os
import shutil
import socket
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from snnviz import files
from snnviz.history import EPOCH_COLUMNS, History, tables
from snnviz.history.pointer import NAME as POINTER
from snnviz.history.pointer import Pointer
from snnviz.runs.checkpoint import Checkpoint
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.config import RunConfig, now

HISTORY, CHECKPOINTS, EVENTS, LOCK = "history", "checkpoints", "events.jsonl", "lock"

_OURS = {CONFIG, HISTORY, CHECKPOINTS, EVENTS, LOCK}
_BEGINNING = files.temporary("beginning")  # there from a run's first file until its config
_BRIEFLY = 1.0  # seconds for which a lock is waited for: who looks whether it is held holds it
_STEP, _TEST_ACCURACY = EPOCH_COLUMNS.index("step"), EPOCH_COLUMNS.index("test_accuracy")


class InUse(RuntimeError):
    """Another trainer writes the folder."""


class NotSaved(RuntimeError):
    """A run's folder cannot be written. What was trained is intact, in memory."""


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Turns an error of the file system into one that says what is left to do."""
    try:
        yield
    except (FileExistsError, NotSaved):
        raise
    except OSError as error:
        raise NotSaved(
            f"The run could not be saved in {str(folder)!r} ({error}). What was trained is intact, "
            "in memory. Make room and call trainer.save(), or just go on: the next step tries "
            "again first. Or keep the run elsewhere: trainer.save_to('another/folder')."
        ) from error


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


# --- a new folder -----------------------------------------------------------------------------


def check_new(folder: Path) -> None:
    """Raises FileExistsError unless a run may begin here: in a folder that is new or empty.

    What a process left that was killed before its run had begun is nothing yet.
    """
    if not folder.exists() or (folder.is_dir() and _unbegun(folder)):
        return
    what = "already holds a run" if (folder / CONFIG).exists() else "is not empty"
    raise FileExistsError(
        f"folder {str(folder)!r} {what}. Go on with it: Trainer.resume({str(folder)!r}); branch "
        f"off from it: Trainer.fork({str(folder)!r}, epoch=...); or give the name of a new folder."
    )


def make_new(folder: Path) -> Lock:
    """Makes the folders of a run, and takes the lock. The run begins once its config is written."""
    check_new(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder)
    try:
        check_new(folder)
        (folder / _BEGINNING).touch()
        for name in (HISTORY, CHECKPOINTS):
            (folder / name).mkdir(exist_ok=True)
            for left_over in (folder / name).iterdir():
                left_over.unlink()
        (folder / EVENTS).unlink(missing_ok=True)
        files.settle(folder)
        files.settle(folder.parent)
    except BaseException:
        lock.release()
        raise
    return lock


def has_begun(folder: Path) -> None:
    """There is a run from now on: its config is written."""
    with suppress(OSError):
        (folder / _BEGINNING).unlink(missing_ok=True)


def free_name(parent: Path, epoch: int) -> str:
    """A name beside the parent that is not taken."""
    stem = f"{parent.resolve().name}-at-{epoch}"
    names = (stem, *(f"{stem}-{i}" for i in range(2, 10_000)))
    return next(name for name in names if not (parent.parent / name).exists())


def unmake(folder: Path) -> None:
    """Removes what was written of a run that could not begin."""
    with suppress(OSError):  # first: with it, the rest would be taken for a run
        (folder / CONFIG).unlink(missing_ok=True)
    for name in (HISTORY, CHECKPOINTS):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (EVENTS, _BEGINNING):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def _unbegun(folder: Path) -> bool:
    """Whether there is nothing but what the beginning of a run leaves, before its config."""
    names = {file.name for file in folder.iterdir() if not files.is_temporary(file.name)}
    if not names <= _OURS - {CONFIG} or any((folder / name).is_symlink() for name in names):
        return False
    made = [*_listed(folder / HISTORY), *_listed(folder / CHECKPOINTS)]
    # Without the mark it may be a whole run whose config was lost.
    return all(map(_is_ours, made)) if (folder / _BEGINNING).is_file() else not made


def _is_ours(file: Path) -> bool:
    known = file.name == POINTER or files.is_temporary(file.name)
    named = known or tables.segment(file) is not None or Checkpoint.of(file) is not None
    return named and file.is_file()


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


# --- reading ----------------------------------------------------------------------------------


class Past(NamedTuple):
    """What a run folder holds, at one moment."""

    folder: Path
    config: RunConfig
    history: History
    pointer: Pointer
    checkpoints: list[Checkpoint]  # in the order in which they were written


def pointer_of(folder: Path) -> Pointer:
    """What a run's `history.json` says.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is damaged, from a newer version, or that of a history without a run.
    """
    files.check_inside(folder / HISTORY, folder)
    try:
        pointer = Pointer.read(folder / HISTORY)
    except FileNotFoundError as error:
        raise _no_run(folder, error) from error
    run = pointer.run or {}
    planned = run.get("planned")
    named = isinstance(run.get("checkpoint"), str) and type(planned) is int and planned >= 1
    if not named or Checkpoint.of(Path(run["checkpoint"])) is None:
        raise files.Damaged(folder / HISTORY / POINTER, "it names no checkpoint of the run")
    return pointer


def past(folder: Path, epochs: int | None = None) -> Past:
    """Reads config and history (no more than so many epochs), and lists the checkpoints."""
    config = RunConfig.read(folder)
    for part in (HISTORY, CHECKPOINTS):
        files.check_inside(folder / part, folder)
    pointer_of(folder)
    try:
        history, pointer = History.read(folder / HISTORY, epochs)
        found = listed(folder, pointer)
    except FileNotFoundError as error:
        raise _no_run(folder, error) from error
    return Past(folder, config, history, pointer, found)


def _no_run(folder: Path, error: FileNotFoundError) -> FileNotFoundError:
    return FileNotFoundError(
        f"folder {str(folder)!r} holds no whole run: {error.filename} is missing. "
        "Restore it from a copy."
    )


def listed(folder: Path, pointer: Pointer) -> list[Checkpoint]:
    """The checkpoints that belong to what the pointer says, in the order of their making."""
    known = (Checkpoint.of(file) for file in (folder / CHECKPOINTS).iterdir())
    return sorted(at for at in known if at and belongs(at, pointer))


def belongs(at: Checkpoint, pointer: Pointer) -> bool:
    """Whether it was committed: what came later was never, or has been taken back."""
    inside = at.step <= pointer.steps and at.epoch <= pointer.epochs
    return inside and at.events <= len(pointer.notes)


def ends(history: History) -> list[int]:
    """The step at the end of each epoch, from epoch 0 on."""
    return [0, *(row[_STEP] for row in history.epoch_rows())]


def at_ends(checkpoints: Iterable[Checkpoint], history: History) -> dict[int, list[Checkpoint]]:
    """{epoch: its end's checkpoints}: first as it ended, last as the run went on from there."""
    steps, found = ends(history), {}
    for at in sorted(checkpoints):
        if at.epoch < len(steps) and at.step == steps[at.epoch]:
            found.setdefault(at.epoch, []).append(at)
    return found


def best_epoch(history: History) -> int:
    """The epoch of the best test accuracy (the first of equals); 0 before there is one."""
    accuracies = [row[_TEST_ACCURACY] for row in history.epoch_rows()]
    return accuracies.index(max(accuracies)) + 1 if accuracies else 0


# --- the log ----------------------------------------------------------------------------------


def append(folder: Path, event: str, values: dict[str, Any]) -> None:
    """One line more in the log. A line that was torn stays one, and the next is whole."""
    line = json.dumps({"time": now(), "event": event, **values}, default=str).encode() + b"\n"
    file = folder / EVENTS
    if file.is_symlink():
        raise OSError(f"{file} is a link")
    with file.open("ab+") as log:
        if log.tell():
            log.seek(-1, os.SEEK_END)
            line = line if log.read(1) == b"\n" else b"\n" + line
        log.write(line)
        log.flush()
        os.fsync(log.fileno())
