"""The history: what every step and every epoch of a run left behind.

It knows nothing of networks: it holds numbers, gives them as arrays and tidy DataFrames, and saves
them in files that any program can read.
"""

import operator
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnviz import files
from snnviz.history import rows, tables
from snnviz.history.pointer import NAME as POINTER
from snnviz.history.pointer import Note, Pointer
from snnviz.history.rows import EPOCH_COLUMNS, STEP_COLUMNS

if TYPE_CHECKING:
    from pandas import DataFrame

EVENT_COLUMNS = ("epoch", "step", "event", "group", "neuron", "detail")
MERGED = 50  # epochs that are written into one file together, once there are so many


class History:
    """Steps, epochs, factors and events of one run.

    Steps and epochs count from 1. Another thread may read while the trainer writes.

    Args:
        groups: {switch group: neurons}.
    """

    def __init__(self, groups: Mapping[str, int]) -> None:
        self.groups = dict(groups)
        self._steps: list[tuple] = []
        # Row and factors of an epoch come and go together, so that a reader never sees one alone.
        self._epochs: list[tuple[tuple, dict[str, np.ndarray]]] = []
        self._notes: list[Note] = []  # what is not in the factors

    def __repr__(self) -> str:
        return (
            f"History({len(self._epochs)} epochs, {len(self._steps)} steps, "
            f"{sum(self.groups.values())} neurons in {len(self.groups)} groups)"
        )

    # What the trainer writes ------------------------------------------------------------------

    def add_step(
        self, *, step: int, epoch: int, phase: str, loss: float, accuracy: float, lr: float
    ) -> None:
        """One step of either phase."""
        self._steps.append((step, epoch, phase, loss, accuracy, lr))

    def add_epoch(self, factors: Mapping[str, np.ndarray], **values: float) -> None:
        """One epoch: the factors at its end {group: (neurons,)}, and every epoch column."""
        for group, n in self.groups.items():
            if np.shape(factors[group]) != (n,):
                came = np.shape(factors[group])
                raise ValueError(f"factors[{group!r}] must have shape ({n},), got {came}.")
        row = tuple(as_type(values[name]) for name, as_type in _EPOCH_TYPES.items())
        copies = {g: np.array(factors[g], dtype=np.float32) for g in self.groups}
        self._epochs.append((row, copies))

    def add_event(
        self,
        *,
        epoch: int,
        step: int,
        event: str,
        detail: str = "",
        group: str = "",
        neuron: int = -1,
    ) -> None:
        """Something that is not in the factors: a new schedule, say, or a pin."""
        self._notes.append((epoch, step, event, group, neuron, detail))

    def truncate(self, *, epochs: int, steps: int) -> None:
        """Forgets all that came after; events stay, for they did happen."""
        self._steps = [row for row in self._steps if row[0] <= steps]
        self._epochs = self._epochs[:epochs]

    # What everyone reads ----------------------------------------------------------------------

    @property
    def n_epochs(self) -> int:
        """Finished epochs."""
        return len(self._epochs)

    @property
    def n_events(self) -> int:
        """Events that are not in the factors: schedules, pins, rollbacks, resets."""
        return len(self._notes)

    def epoch_rows(self) -> list[tuple]:
        """The rows of `epochs`, in the order of `EPOCH_COLUMNS`."""
        return [row for row, _ in list(self._epochs)]

    @property
    def last_epoch(self) -> dict[str, Any]:
        """The newest row of `epochs`, by column; empty before the first epoch's end."""
        newest = self._epochs[-1:]
        return dict(zip(EPOCH_COLUMNS, newest[0][0], strict=True)) if newest else {}

    def step_rows(self, first: int = 0) -> list[tuple]:
        """The rows of `steps` from an index on, in the order of `STEP_COLUMNS`."""
        return self._steps[first:]

    def note_rows(self) -> list[tuple]:
        """The rows of `events` that are not in the factors, as they happened."""
        return list(self._notes)

    def epoch_factors(self) -> list[dict[str, np.ndarray]]:
        """{group: (neurons,)} of each epoch, not copied: an epoch stays the same object."""
        return [values for _, values in list(self._epochs)]

    @property
    def factors(self) -> dict[str, np.ndarray]:
        """{group: (epochs, neurons) float32}: the factors at each epoch's end."""
        return self._stacked(list(self._epochs))

    def until(self, epochs: int) -> "History":
        """The past up to an epoch's end, as a history of its own; 0 is the start.

        Cheap, for it shares the numbers. Where fewer epochs are finished, it is all of those.

        Raises:
            ValueError: `epochs` is not a whole number of at least 0.
        """
        if isinstance(epochs, bool) or not isinstance(epochs, int | np.integer) or epochs < 0:
            raise ValueError(
                f"epochs must be a whole number of at least 0, got {epochs!r}. "
                f"Finished are {self.n_epochs}."
            )
        past, steps = History(self.groups), self._steps
        past._epochs = self._epochs[:epochs]
        last = past._epochs[-1][0][EPOCH_COLUMNS.index("step")] if past._epochs else 0
        past._steps = steps[: bisect_right(steps, last, key=lambda row: row[0])]
        past._notes = [note for note in list(self._notes) if note[1] <= last]
        return past

    def factors_at(self, epoch: int) -> dict[str, np.ndarray]:
        """{group: (neurons,) float32} at one epoch's end; before the first, at 0, all are 1."""
        if epoch == 0:
            return {group: np.ones(n, np.float32) for group, n in self.groups.items()}
        return {group: values.copy() for group, values in self._epochs[epoch - 1][1].items()}

    def of_neuron(self, group: str, neuron: int) -> np.ndarray:
        """(epochs,) float32: one neuron's factor at each epoch's end."""
        return np.array([values[group][neuron] for _, values in list(self._epochs)], np.float32)

    @property
    def steps(self) -> "DataFrame":
        """A row a step: step, epoch, phase, loss, accuracy (0 to 1), lr."""
        return _frame(self._steps, STEP_COLUMNS)

    @property
    def epochs(self) -> "DataFrame":
        """A row an epoch. `parameters` and `macs` are what remains without the off neurons."""
        return _frame([row for row, _ in self._epochs], EPOCH_COLUMNS)

    def frame(self) -> "DataFrame":
        """A row for each epoch and neuron: epoch, group, neuron, factor, off."""
        import pandas as pd

        parts = []
        for group, values in self.factors.items():
            epochs, n = values.shape
            parts.append(
                pd.DataFrame(
                    {
                        "epoch": np.repeat(np.arange(1, epochs + 1), n),
                        "group": group,
                        "neuron": np.tile(np.arange(n), epochs),
                        "factor": values.ravel(),
                        "off": values.ravel() == 0,
                    }
                )
            )
        frame = pd.concat(parts, ignore_index=True)
        frame["group"] = pd.Categorical(frame["group"], categories=list(self.groups))
        return frame.sort_values("epoch", kind="stable", ignore_index=True)

    @property
    def events(self) -> "DataFrame":
        """What happened when: epoch, step, event, group, neuron, detail.

        `off` and `on`: a neuron went off, or came back, between the ends of two epochs (before the
        first epoch all are on). `pin` and `unpin`: the user holds neurons of a group fast, or lets
        go; of several neurons the numbers stand in the detail, and `neuron` is -1. `schedule`,
        `rollback`, `reset`: the run as a whole; their group is empty and their neuron -1.
        """
        rows: list[tuple] = list(self._notes)
        epochs = list(self._epochs)
        ends = [row[EPOCH_COLUMNS.index("step")] for row, _ in epochs]
        for group, values in self._stacked(epochs).items():
            off = values == 0
            before = np.vstack([np.zeros_like(off[:1]), off[:-1]])
            for epoch, neuron in np.argwhere(off != before):
                event = "off" if off[epoch, neuron] else "on"
                rows.append((int(epoch) + 1, ends[epoch], event, group, int(neuron), ""))
        # What came after an epoch's last step belongs to the next epoch.
        rows.sort(key=lambda row: (row[1], row[0]))
        return _frame(rows, EVENT_COLUMNS)

    # Files ------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes `history.json` and Parquet tables into a folder, whole or not at all.

        A history that is there already is replaced; anything else in the folder is an error.

        Raises:
            FileExistsError: the folder holds other files, or is part of a recorded run.
        """
        folder = Path(folder)
        if (folder.parent / "config.json").exists() and folder.name == "history":
            raise FileExistsError(
                f"folder {str(folder)!r} is the history of a recorded run; "
                "give the name of a new or empty folder."
            )
        with files.exchanged(folder, _is_ours) as new:
            copy = self.frozen()
            copy.write_tables(new, 1, copy.n_epochs)
            files.write(new / POINTER, copy.pointer().encoded())
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "History":
        """Reads what `save` wrote, or the history of a run folder. No code in the files is run.

        A run may be under way meanwhile: what is read is as it was at the end of an epoch, or when
        it was saved last.

        Raises:
            FileNotFoundError: the folder, or a file in it, is missing.
            ValueError: a file is damaged, or from a newer version.
        """
        folder = Path(folder)
        if not (folder / POINTER).is_file() and (folder / "history" / POINTER).is_file():
            files.check_inside(folder / "history", folder)
            folder = folder / "history"
        if not (folder / POINTER).is_file():
            raise FileNotFoundError(
                f"folder {str(folder)!r} holds no history: {POINTER} is missing. "
                "Give a folder that History.save has written, or that of a run."
            )
        return cls.read(folder)[0]

    @classmethod
    def read(cls, folder: Path, epochs: int | None = None) -> tuple["History", Pointer]:
        """The history in a folder, and what its pointer says.

        Args:
            epochs: read no more than so many, and no step after them.

        Raises:
            FileNotFoundError: the pointer is missing.
            Damaged: a file is not what was written.
            Newer: the folder is from a newer version.
        """
        for left in reversed(range(_PATIENCE)):
            pointer = Pointer.read(folder)
            try:
                return cls._read(folder, pointer, epochs), pointer
            except (FileNotFoundError, files.Damaged):
                # A run that is under way may have put other files in their place meanwhile.
                if not left or Pointer.read(folder) == pointer:
                    raise
        raise AssertionError("never reached")

    def frozen(self) -> "History":
        """A copy that does not grow while it is written: the trainer may add meanwhile."""
        copy = History(self.groups)
        copy._epochs, copy._notes = list(self._epochs), list(self._notes)
        copy._steps = list(self._steps)
        return copy

    def pointer(self, run: dict[str, Any] | None = None) -> Pointer:
        """What `history.json` says once all is in the tables."""
        return Pointer(self.groups, self.n_epochs, len(self._steps), list(self._notes), run)

    def write_tables(self, folder: Path, first: int, last: int) -> list[tables.Segment]:
        """Writes epochs `first` to `last`, and the steps after the last epoch of all.

        Full runs of 50 epochs share a file. The names are settled.
        """
        made, fits = [], sum(self.groups.values()) * MERGED <= tables.MOST_ROWS
        while first <= last:
            end = min(last, (first - 1) // MERGED * MERGED + MERGED) if fits else first
            made += [self.write_table(kind, folder, first, end) for kind in tables.KINDS]
            first = end + 1
        total, start = len(self._steps), self._first_step(self.n_epochs + 1)
        if start < total:
            unfinished = rows.step_columns(self._steps[start:])
            made.append(tables.written("unfinished", start + 1, total, unfinished, folder))
        files.settle(folder)
        return made

    def write_table(self, kind: tables.Kind, folder: Path, first: int, last: int) -> tables.Segment:
        """Writes one kind of epochs `first` to `last` into one file."""
        part = self._epochs[first - 1 : last]
        if kind == "factors":
            columns = rows.factor_columns(self.groups, first, [values for _, values in part])
        elif kind == "epochs":
            columns = rows.epoch_columns([row for row, _ in part])
        else:
            steps = self._steps[self._first_step(first) : self._first_step(last + 1)]
            columns = rows.step_columns(steps)
        return tables.written(kind, first, last, columns, folder)

    def _first_step(self, epoch: int) -> int:
        """The index of the first step of an epoch."""
        return bisect_left(self._steps, epoch, key=lambda row: row[1])

    def _stacked(self, epochs: Sequence[tuple[tuple, dict[str, np.ndarray]]]) -> dict:
        """{group: (epochs, neurons)}"""
        factors = [values for _, values in epochs]
        return {
            group: np.stack([values[group] for values in factors])
            if factors
            else np.zeros((0, n), np.float32)
            for group, n in self.groups.items()
        }

    @classmethod
    def _read(cls, folder: Path, pointer: Pointer, epochs: int | None) -> "History":
        history, found = cls(pointer.groups), tables.found_in(folder)
        n = pointer.epochs if epochs is None else min(epochs, pointer.epochs)
        for part in tables.chosen(found, "epochs", n, folder):
            history._epochs += [(row, {}) for row in rows.epochs_of(part, folder)]
        for part in tables.chosen(found, "factors", n, folder):
            ends = rows.factors_of(part, history.groups, folder)
            for (_, values), end in zip(history._epochs[part.first - 1 :], ends, strict=False):
                values.update(end)
        del history._epochs[n:]
        for part in tables.chosen(found, "steps", n, folder):
            history._steps += rows.steps_of(part, pointer.steps - len(history._steps), folder)
        history._notes = list(pointer.notes)
        del history._steps[history._first_step(n + 1) :]
        if epochs is not None:
            return history
        done = len(history._steps)
        if done < pointer.steps:
            ends = {(p.first, p.last): p for p in found if p.kind == "unfinished"}
            if (rest := ends.get((done + 1, pointer.steps))) is None:
                raise files.Damaged(folder, f"the steps from {done + 1} on are missing")
            history._steps += rows.steps_of(rest, pointer.steps - done, folder)
        if len(history._steps) != pointer.steps:
            raise files.Damaged(folder, f"it has {len(history._steps)} steps, not {pointer.steps}")
        return history


def last_epoch(folder: Path) -> dict[str, Any] | None:
    """The epoch columns of the last epoch in a folder, without reading the others; None: none."""
    n = Pointer.read(folder).epochs
    parts = tables.chosen(tables.found_in(folder), "epochs", n, folder)
    last = [row for part in parts[-1:] for row in rows.epochs_of(part, folder)]
    return dict(zip(EPOCH_COLUMNS, last[n - parts[-1].first], strict=True)) if last else None


def _is_ours(name: str) -> bool:
    return name == POINTER or tables.segment(Path(name)) is not None


def _frame(rows: Sequence[tuple], columns: Sequence[str]) -> "DataFrame":
    import pandas as pd

    return pd.DataFrame.from_records(list(rows), columns=list(columns))


_PATIENCE = 5  # times that a folder is read anew because its writer was quicker
_EPOCH_TYPES: dict[str, Callable[[Any], int | float]] = {
    name: operator.index if kind == "int64" else float
    for name, kind in tables.COLUMNS["epochs"].items()
}
