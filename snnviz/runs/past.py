"""Reads a run's folder, also while another process writes it."""

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
