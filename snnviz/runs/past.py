"""Reads a run's folder, even while another process writes to it."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from snnviz import files
from snnviz.history import EPOCH_COLUMNS, History
from snnviz.history.pointer import NAME as POINTER
from snnviz.history.pointer import Pointer
from snnviz.runs.checkpoint import Checkpoint
from snnviz.runs.config import RunConfig
from snnviz.runs.layout import CHECKPOINTS, HISTORY

_STEP, _TEST_ACCURACY = EPOCH_COLUMNS.index("step"), EPOCH_COLUMNS.index("test_accuracy")


class Past(NamedTuple):
    """The contents of a run folder at one moment."""

    folder: Path
    config: RunConfig
    history: History
    pointer: Pointer
    checkpoints: list[Checkpoint]  # in the order in which they were written


def pointer_of(folder: Path) -> Pointer:
    """Reads a run's `history.json`.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it is damaged, from a newer version, or belongs to a history without a run.
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
    """Reads config and history (at most `epochs` epochs), and lists the checkpoints."""
    config = RunConfig.read(folder)
    for part in (HISTORY, CHECKPOINTS):
        files.check_inside(folder / part, folder)
    pointer_of(folder)
    try:
        history, pointer = History.read(folder / HISTORY, epochs)
        found = list_checkpoints(folder, pointer)
    except FileNotFoundError as error:
        raise _no_run(folder, error) from error
    return Past(folder, config, history, pointer, found)


def _no_run(folder: Path, error: FileNotFoundError) -> FileNotFoundError:
    return FileNotFoundError(
        f"folder {str(folder)!r} contains no complete run: {error.filename} is missing. "
        "Restore that file from a copy."
    )


def list_checkpoints(folder: Path, pointer: Pointer) -> list[Checkpoint]:
    """The checkpoints that belong to the pointer's history, in the order they were made."""
    known = (Checkpoint.of(file) for file in (folder / CHECKPOINTS).iterdir())
    return sorted(at for at in known if at and belongs(at, pointer))


def belongs(at: Checkpoint, pointer: Pointer) -> bool:
    """Whether it was committed; later checkpoints never were, or were undone."""
    inside = at.step <= pointer.steps and at.epoch <= pointer.epochs
    return inside and at.events <= len(pointer.notes)


def ends(history: History) -> list[int]:
    """The step at the end of each epoch, starting with epoch 0."""
    return [0, *(row[_STEP] for row in history.epoch_rows())]


def at_ends(checkpoints: Iterable[Checkpoint], history: History) -> dict[int, list[Checkpoint]]:
    """{epoch: checkpoints at its end}; the last one is where the run continued."""
    steps, found = ends(history), {}
    for at in sorted(checkpoints):
        if at.epoch < len(steps) and at.step == steps[at.epoch]:
            found.setdefault(at.epoch, []).append(at)
    return found


def best_epoch(history: History) -> int:
    """The epoch with the best test accuracy (the first of equal ones); 0 if there is none."""
    accuracies = [row[_TEST_ACCURACY] for row in history.epoch_rows()]
    return accuracies.index(max(accuracies)) + 1 if accuracies else 0
