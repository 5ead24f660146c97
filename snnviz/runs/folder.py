"""Creates a new run's folder, or refuses to where there already is something else."""

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
_BEGINNING = files.temporary(
    "beginning"
)  # exists from a run's first file until its config is written


def check_new(folder: Path) -> None:
    """Raises FileExistsError unless the folder is new or empty, so that a run may start in it.

    Files of a process that was killed before its run started do not count.
    """
    if not folder.exists() or (folder.is_dir() and _has_not_begun(folder)):
        return
    if not folder.is_dir():
        raise FolderTaken(
            f"folder must be a new or empty one, got {str(folder)!r}, which is a file. Choose "
            "another name."
        )
    if not (folder / CONFIG).exists():
        held = sorted(path.name for path in folder.iterdir())
        names = ", ".join(map(repr, held[:3])) + ", …" * (len(held) > 3)
        raise FolderTaken(
            f"folder must be a new or empty one, got {str(folder)!r}, which holds {names} and no "
            "run. Choose a new folder, for example one inside it."
        )
    raise FolderTaken(
        f"folder {str(folder)!r} already holds a run. To continue that run: ",
        Call("resume", folder),
        "; to start a new run from it: ",
        Call("fork", folder, ...),
        "; or choose a new folder.",
    )


def make_new(folder: Path) -> Lock:
    """Creates a run's folders and takes the lock. The run starts once its config is written."""
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
    """Marks the run as started: its config is written."""
    with suppress(OSError):
        (folder / _BEGINNING).unlink(missing_ok=True)


def free_name(parent: Path, epoch: int) -> str:
    """A free name for a folder next to the parent's."""
    stem = f"{parent.resolve().name}-at-{epoch}"
    names = (stem, *(f"{stem}-{i}" for i in range(2, 10_000)))
    return next(name for name in names if not (parent.parent / name).exists())


def unmake(folder: Path) -> None:
    """Removes the files of a run that could not start."""
    with suppress(OSError):  # first, because a folder with a config counts as a run
        (folder / CONFIG).unlink(missing_ok=True)
    for name in (HISTORY, CHECKPOINTS):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (EVENTS, _BEGINNING):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def _has_not_begun(folder: Path) -> bool:
    """Whether the folder contains only files that a run writes before its config."""
    names = {file.name for file in folder.iterdir() if not files.is_temporary(file.name)}
    if not names <= _OURS - {CONFIG} or any((folder / name).is_symlink() for name in names):
        return False
    made = [*_list_files(folder / HISTORY), *_list_files(folder / CHECKPOINTS)]
    # Without the marker file it may be a complete run whose config was lost.
    return all(map(_is_ours, made)) if (folder / _BEGINNING).is_file() else not made


def _is_ours(file: Path) -> bool:
    known = file.name == POINTER or files.is_temporary(file.name)
    named = known or tables.segment(file) is not None or Checkpoint.of(file) is not None
    return named and file.is_file()


def _list_files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
