"""Reads and writes a history's rows as the tables of a folder."""

from bisect import bisect_left
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snnviz import files
from snnviz.history import rows, tables
from snnviz.history.pointer import Note, Pointer
from snnviz.history.rows import EPOCH_COLUMNS

MERGED = 50  # epochs that share one file, as soon as all of them are finished

_TRIES = 5  # how often a folder is read while its writer keeps replacing files


class Stored(NamedTuple):
    """The rows of a history, in the form that `History` holds them."""

    steps: list[tuple]
    epochs: list[tuple[tuple, dict[str, np.ndarray]]]  # row, and {group: factors (neurons,)}
    notes: list[Note]


def read(folder: Path, epochs: int | None = None) -> tuple[Stored, Pointer]:
    """The rows in a folder, of at most this number of epochs, and the folder's pointer."""
    for left in reversed(range(_TRIES)):
        pointer = Pointer.read(folder)
        try:
            return _read(folder, pointer, epochs), pointer
        except (FileNotFoundError, files.Damaged):
            # A run that is training may have replaced the files since the pointer was read.
            if not left or Pointer.read(folder) == pointer:
                raise
    raise AssertionError("the last try returns or raises")


def _read(folder: Path, pointer: Pointer, epochs: int | None) -> Stored:
    found, ends, steps = tables.find_segments(folder), [], []
    n = pointer.epochs if epochs is None else min(epochs, pointer.epochs)
    for part in tables.choose_segments(found, "epochs", n, folder):
        ends += [(row, {}) for row in rows.epochs_of(part, folder)]
    for part in tables.choose_segments(found, "factors", n, folder):
        factors = rows.factors_of(part, pointer.groups, folder)
        for (_, values), end in zip(ends[part.first - 1 :], factors, strict=False):
            values.update(end)
    del ends[n:]
    for part in tables.choose_segments(found, "steps", n, folder):
        steps += rows.steps_of(part, pointer.steps - len(steps), folder)
    del steps[first_step(steps, n + 1) :]
    stored = Stored(steps, ends, list(pointer.notes))
    if epochs is not None:
        return stored
    done = len(steps)
    if done < pointer.steps:
        unfinished = {(p.first, p.last): p for p in found if p.kind == "unfinished"}
        if (rest := unfinished.get((done + 1, pointer.steps))) is None:
            raise files.Damaged(folder, f"the steps from {done + 1} on are missing")
        steps += rows.steps_of(rest, pointer.steps - done, folder)
    if len(steps) != pointer.steps:
        raise files.Damaged(folder, f"it has {len(steps)} steps, not {pointer.steps}")
    return stored


def write_tables(
    stored: Stored, groups: dict[str, int], folder: Path, first: int, last: int
) -> list[tables.Segment]:
    """Writes epochs `first` to `last`, and the steps after the last finished epoch.

    Every 50 epochs share a file. The folder is synchronised to the disk.
    """
    made, fits = [], sum(groups.values()) * MERGED <= tables.MOST_ROWS
    while first <= last:
        end = min(last, (first - 1) // MERGED * MERGED + MERGED) if fits else first
        made += [write_table(stored, groups, kind, folder, first, end) for kind in tables.KINDS]
        first = end + 1
    steps = stored.steps
    total, start = len(steps), first_step(steps, len(stored.epochs) + 1)
    if start < total:
        unfinished = rows.step_columns(steps[start:])
        made.append(tables.write_segment("unfinished", start + 1, total, unfinished, folder))
    files.settle(folder)
    return made


def write_table(
    stored: Stored, groups: dict[str, int], kind: tables.Kind, folder: Path, first: int, last: int
) -> tables.Segment:
    """Writes one table of epochs `first` to `last` into one file."""
    part = stored.epochs[first - 1 : last]
    if kind == "factors":
        columns = rows.factor_columns(groups, first, [values for _, values in part])
    elif kind == "epochs":
        columns = rows.epoch_columns([row for row, _ in part])
    else:
        steps = stored.steps
        start, end = first_step(steps, first), first_step(steps, last + 1)
        columns = rows.step_columns(steps[start:end])
    return tables.write_segment(kind, first, last, columns, folder)


def first_step(steps: list[tuple], epoch: int) -> int:
    """The index of the first step of an epoch."""
    return bisect_left(steps, epoch, key=lambda row: row[1])


def last_epoch(folder: Path) -> dict[str, Any] | None:
    """{column: value} of the last epoch in a folder, or None. Other epochs are not read."""
    n = Pointer.read(folder).epochs
    parts = tables.choose_segments(tables.find_segments(folder), "epochs", n, folder)
    last = [row for part in parts[-1:] for row in rows.epochs_of(part, folder)]
    return dict(zip(EPOCH_COLUMNS, last[n - parts[-1].first], strict=True)) if last else None
