"""Tables that compare runs."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnviz import files
from snnviz.history import EPOCH_COLUMNS, last_epoch
from snnviz.history.pointer import NAME as POINTER
from snnviz.history.pointer import Pointer
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.config import RunConfig
from snnviz.runs.layout import HISTORY
from snnviz.runs.lock import is_held
from snnviz.runs.past import past, pointer_of

if TYPE_CHECKING:
    from pandas import DataFrame

Folder = str | os.PathLike[str]

TABLE_COLUMNS = (
    "run",
    "network",
    "data",
    "epochs",
    "planned",
    "accuracy",
    "neurons_on",
    "neurons",
    "parent",
    "state",
    "updated",
)


def compare(folders: Iterable[Folder]) -> "DataFrame":
    """A row for each run and epoch: run, parent, epoch, and the columns of `History.epochs`.

    Epochs that two runs share, because one was forked from the other, are listed once: under the
    run that trained them, or otherwise under the first listed run that has them.

    Args:
        folders: run folders; the runs may still be training.

    Raises:
        FileNotFoundError: a folder contains no run.
        ValueError: a file is damaged, or two runs have the same name.
    """
    import pandas as pd

    if isinstance(folders, str | os.PathLike):
        raise TypeError(f"folders must be a list of run folders, got {folders!r}. Use [folder].")
    runs = [past(files.home_path("folders", folder)) for folder in folders]
    names = [run.folder.resolve().name for run in runs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the runs must have different names, got {twice[0]!r} twice.")
    owners: dict[tuple, tuple[bool, int]] = {}  # (inherited, place) of each epoch's owner
    for place, run in enumerate(runs):
        for row in run.history.epoch_rows():
            claim = (_is_inherited(run.config, row), place)
            owners[row] = min(owners.get(row, claim), claim)
    rows = [
        (name, run.config.parent and run.config.parent.run, *row)
        for place, (name, run) in enumerate(zip(names, runs, strict=True))
        for row in run.history.epoch_rows()
        if owners[row] == (_is_inherited(run.config, row), place)
    ]
    return pd.DataFrame.from_records(rows, columns=["run", "parent", *EPOCH_COLUMNS])


def table(folder: Folder = "runs") -> "DataFrame":
    """A row for each run in a folder of runs, by name.

    `state` is "finished" (all planned epochs are done), "training" (a trainer has it open),
    "stopped" (planned epochs remain), or "damaged: …". `accuracy` is the last epoch's.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    import pandas as pd

    runs = files.home_path("folder", folder)
    if not runs.is_dir():
        what = "is a file" if runs.exists() else "is missing"
        raise FileNotFoundError(f"folder {str(runs)!r} {what}. Give a folder of runs.")
    rows = [_row(run) for run in sorted(runs.iterdir()) if (run / CONFIG).is_file()]
    return pd.DataFrame.from_records(rows, columns=list(TABLE_COLUMNS))


def _is_inherited(config: RunConfig, row: tuple) -> bool:
    return config.parent is not None and row[0] <= config.parent.epoch


def _row(run: Path) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(TABLE_COLUMNS)
    row["run"] = run.name
    try:
        config = RunConfig.read(run)
        row["network"] = config.network.name if config.network else "own"
        row["data"] = config.data.name if config.data else "own"
        row["parent"] = config.parent and config.parent.run
        pointer = pointer_of(run)
        row["epochs"], row["planned"] = pointer.epochs, _planned(pointer)
        changed = (run / HISTORY / POINTER).stat().st_mtime
        row["updated"] = datetime.fromtimestamp(changed, UTC).replace(microsecond=0)
        if last := last_epoch(run / HISTORY):
            row["accuracy"] = last["test_accuracy"]
            row["neurons_on"], row["neurons"] = last["neurons_on"], last["neurons"]
        done = pointer.epochs >= row["planned"]
        row["state"] = "finished" if done else "training" if is_held(run) else "stopped"
    except (OSError, ValueError) as error:
        why = error.why if isinstance(error, files.Damaged) else str(error)
        row["state"] = f"damaged: {why}"
    return row


def _planned(pointer: Pointer) -> int:
    assert pointer.run is not None
    return pointer.run["planned"]
