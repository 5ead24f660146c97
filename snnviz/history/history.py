"""The history: what every step and every epoch of a run left behind.

It knows nothing of networks: it holds numbers, gives them as arrays and tidy DataFrames, and saves
them in files that any program can read.
"""

import operator
import os
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnviz import files
from snnviz.history import store, tables
from snnviz.history.pointer import NAME as POINTER
from snnviz.history.pointer import Note, Pointer
from snnviz.history.rows import EPOCH_COLUMNS, STEP_COLUMNS

if TYPE_CHECKING:
    from pandas import DataFrame

EVENT_COLUMNS = ("epoch", "step", "event", "group", "neuron", "detail")


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

    def add_notes(self, notes: Sequence[Note]) -> None:
        """Events of another history, as its `note_rows` gives them."""
        self._notes.extend(notes)

    def truncate(self, *, epochs: int, steps: int, events: int | None = None) -> None:
        """Forgets all that came after; events stay, for they did happen (None: all of them)."""
        self._steps = [row for row in self._steps if row[0] <= steps]
        self._epochs = self._epochs[:epochs]
        self._notes = self._notes[:events]

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
        stored, pointer = store.read(folder, epochs)
        history = cls(pointer.groups)
        history._steps, history._epochs, history._notes = stored
        return history, pointer

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
        return store.write_tables(self._stored, self.groups, folder, first, last)

    def write_table(self, kind: tables.Kind, folder: Path, first: int, last: int) -> tables.Segment:
        """Writes one kind of epochs `first` to `last` into one file."""
        return store.write_table(self._stored, self.groups, kind, folder, first, last)

    @property
    def _stored(self) -> store.Stored:
        return store.Stored(self._steps, self._epochs, self._notes)

    def _stacked(self, epochs: Sequence[tuple[tuple, dict[str, np.ndarray]]]) -> dict:
        """{group: (epochs, neurons)}"""
        factors = [values for _, values in epochs]
        return {
            group: np.stack([values[group] for values in factors])
            if factors
            else np.zeros((0, n), np.float32)
            for group, n in self.groups.items()
        }


def _is_ours(name: str) -> bool:
    return name == POINTER or tables.segment(Path(name)) is not None


def _frame(rows: Sequence[tuple], columns: Sequence[str]) -> "DataFrame":
    import pandas as pd

    return pd.DataFrame.from_records(list(rows), columns=list(columns))


_EPOCH_TYPES: dict[str, Callable[[Any], int | float]] = {
    name: operator.index if kind == "int64" else float
    for name, kind in tables.COLUMNS["epochs"].items()
}
