"""A new run's folder: made, or refused where there is something else."""

import shutil
from contextlib import suppress
from pathlib import Path

from snnviz import files
from snnviz.history import tables
from snnviz.history.pointer import NAME as POINTER
from snnviz.runs.advice import Call, FolderTaken
from snnviz.runs.checkpoint import Checkpoint
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.layout import CHECKPOINTS, EVENTS, HISTORY, LOCK
from snnviz.runs.lock import Lock

_OURS = {CONFIG, HISTORY, CHECKPOINTS, EVENTS, LOCK}
_BEGINNING = files.temporary("beginning")  # there from a run's first file until its config


def check_new(folder: Path) -> None:
    """Raises FileExistsError unless a run may begin here: in a folder that is new or empty.

    What a process left that was killed before its run had begun is nothing yet.
    """
    if not folder.exists() or (folder.is_dir() and _unbegun(folder)):
        return
    what = "already holds a run" if (folder / CONFIG).exists() else "is not empty"
    raise FolderTaken(
        f"folder {str(folder)!r} {what}. Go on with it: ",
        Call("resume", folder),
        "; branch off from it: ",
        Call("fork", folder, ...),
        "; or give the name of a new folder.",
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
