"""The history: the record of every step and every epoch of a run.

It knows nothing about networks. It holds numbers, returns them as arrays and tidy DataFrames, and
saves them in files that any program can read.
"""

import operator
import os
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnviz import checks, files
from snnviz.history import store, tables
from snnviz.history.pointer import NAME as POINTER
from snnviz.history.pointer import Note, Pointer
from snnviz.history.rows import EPOCH_COLUMNS, STEP_COLUMNS

if TYPE_CHECKING:
    from pandas import DataFrame

EVENT_COLUMNS = Note._fields


class History:
    """Steps, epochs, factors and events of one run.

    Steps and epochs are numbered from 1. Another thread may read while the trainer writes.

    Args:
        groups: {switch group: number of neurons}.
    """

    def __init__(self, groups: Mapping[str, int]) -> None:
        self.groups = dict(groups)
        self._steps: list[tuple] = []
        # An epoch's row and factors are added and removed together: readers see both or neither.
        self._epochs: list[tuple[tuple, dict[str, np.ndarray]]] = []
        self._notes: list[Note] = []  # events that the factors do not show

    def __repr__(self) -> str:
        return (
            f"History({len(self._epochs)} epochs, {len(self._steps)} steps, "
            f"{sum(self.groups.values())} neurons in {len(self.groups)} groups)"
        )

    # What the trainer writes ------------------------------------------------------------------

    def add_step(
        self, *, step: int, epoch: int, phase: str, loss: float, accuracy: float, lr: float
    ) -> None:
        """Adds one step of either phase."""
        self._steps.append((step, epoch, phase, loss, accuracy, lr))

    def add_epoch(self, factors: Mapping[str, np.ndarray], **values: float) -> None:
        """Adds one epoch.

        Args:
            factors: {group: (neurons,)} at the end of the epoch.
            **values: a value for each of `EPOCH_COLUMNS`.

        Raises:
            ValueError: the factors of a group have another shape.
        """
        for group, n in self.groups.items():
            if np.shape(factors[group]) != (n,):
                came = np.shape(factors[group])
                raise ValueError(
                    f"factors[{group!r}] must have shape ({n},), got {came}. "
                    "Give one factor per neuron."
                )
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
        back_to: int | None = None,
    ) -> None:
        """Adds an event that the factors do not show, such as a new schedule or a pin.

        Args:
            back_to: the epoch to whose end a "rollback" or "reset" went, 0 for the start. If left
                out, it is the last epoch that the history has now, because the history is
                truncated first.
        """
        if back_to is None:
            back_to = self.n_epochs if event in ("rollback", "reset") else -1
        self._notes.append(Note(epoch, step, event, group, neuron, back_to, detail))

    def add_notes(self, notes: Sequence[Note]) -> None:
        """Adds events of another history, as its `note_rows` gives them."""
        self._notes.extend(notes)

    def truncate(self, *, epochs: int, steps: int, events: int | None = None) -> None:
        """Removes all later epochs and steps. Events stay, because they did happen.

        Args:
            epochs: epochs that stay.
            steps: steps that stay.
            events: events that stay; None: all of them.
        """
        self._steps = [row for row in self._steps if row[0] <= steps]
        self._epochs = self._epochs[:epochs]
        self._notes = self._notes[:events]

    # What everyone reads ----------------------------------------------------------------------

    @property
    def n_epochs(self) -> int:
        """The number of finished epochs."""
        return len(self._epochs)

    @property
    def n_events(self) -> int:
        """The number of events that factors do not show: schedules, sizes, pins and the like."""
        return len(self._notes)

    def epoch_rows(self) -> list[tuple]:
        """The rows of `epochs`, in the order of `EPOCH_COLUMNS`."""
        return [row for row, _ in list(self._epochs)]

    @property
    def last_epoch(self) -> dict[str, Any]:
        """{column: value} of the last row of `epochs`; empty before the first epoch ends."""
        newest = self._epochs[-1:]
        return dict(zip(EPOCH_COLUMNS, newest[0][0], strict=True)) if newest else {}

    def step_rows(self, first: int = 0) -> list[tuple]:
        """The rows of `steps` from an index, in the order of `STEP_COLUMNS`."""
        return self._steps[first:]

    def note_rows(self) -> list[Note]:
        """The events that the factors do not show, in the order in which they happened."""
        return list(self._notes)

    def epoch_factors(self) -> list[dict[str, np.ndarray]]:
        """{group: (neurons,)} at the end of each epoch. The arrays are not copied."""
        return [values for _, values in list(self._epochs)]

    @property
    def factors(self) -> dict[str, np.ndarray]:
        """{group: (epochs, neurons) float32}: the factors at the end of each epoch."""
        return self._stack_factors(list(self._epochs))

    def until(self, epochs: int) -> "History":
        """The first epochs as a history of their own; with 0 it is empty.

        This is cheap, because both share the numbers. If fewer epochs are finished, it has all of
        them.

        Raises:
            ValueError: `epochs` is not a whole number of at least 0.
        """
        epochs = checks.whole("epochs", epochs, 0)
        past, steps = History(self.groups), self._steps
        past._epochs = self._epochs[:epochs]
        last = past._epochs[-1][0][EPOCH_COLUMNS.index("step")] if past._epochs else 0
        past._steps = steps[: bisect_right(steps, last, key=lambda row: row[0])]
        past._notes = [note for note in list(self._notes) if note[1] <= last]
        return past

    def factors_at(self, epoch: int) -> dict[str, np.ndarray]:
        """{group: (neurons,) float32} at the end of an epoch; all are 1 at epoch 0, the start.

        Raises:
            ValueError: that epoch is not finished.
        """
        epoch = checks.whole("epoch", epoch, 0)
        if epoch > self.n_epochs:
            raise ValueError(
                f"epoch must be at most {self.n_epochs}, the number of finished epochs, got "
                f"{epoch}. At epoch 0, the start, every factor is 1."
            )
        if epoch == 0:
            return {group: np.ones(n, np.float32) for group, n in self.groups.items()}
        return {group: values.copy() for group, values in self._epochs[epoch - 1][1].items()}

    def of_neuron(self, group: str, neuron: int) -> np.ndarray:
        """(epochs,) float32: one neuron's factor at the end of each epoch.

        Raises:
            ValueError: there is no such group or neuron.
        """
        checks.one_of("group", group, self.groups)
        neuron = checks.whole("neuron", neuron, 0)
        if neuron >= self.groups[group]:
            raise ValueError(
                f"neuron must be below {self.groups[group]}, the number of neurons of {group}, got "
                f"{neuron}. The first one is 0."
            )
        return np.array([values[group][neuron] for _, values in list(self._epochs)], np.float32)

    @property
    def steps(self) -> "DataFrame":
        """One row per step: step, epoch, phase, loss, accuracy (0 to 1), lr."""
        return _to_frame(self._steps, STEP_COLUMNS)

    @property
    def epochs(self) -> "DataFrame":
        """One row per epoch. `parameters` and `macs` count the network without its off neurons."""
        return _to_frame([row for row, _ in self._epochs], EPOCH_COLUMNS)

    def frame(self) -> "DataFrame":
        """One row per epoch and neuron: epoch, group, neuron, factor, off."""
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
        """What happened when: epoch, step, event, group, neuron, back_to, detail.

        `off` and `on`: a neuron went off, or came back on, between the ends of two epochs (before
        the first epoch all neurons are on). `pin` and `unpin`: the user fixed the factors of
        neurons, or released them; for several neurons the detail gives their numbers, and `neuron`
        is -1. `schedule`, `size` (the ramp has reached the size that was asked for),
        `rollback` and `reset` concern the whole run: their group is empty and their neuron -1.
        `back_to` is the epoch to whose end a rollback or reset went (0 is the start); other events
        have -1.
        """
        rows: list[tuple] = list(self._notes)
        epochs = list(self._epochs)
        ends = [row[EPOCH_COLUMNS.index("step")] for row, _ in epochs]
        for group, values in self._stack_factors(epochs).items():
            off = values == 0
            before = np.vstack([np.zeros_like(off[:1]), off[:-1]])
            for epoch, neuron in np.argwhere(off != before):
                event = "off" if off[epoch, neuron] else "on"
                rows.append(Note(int(epoch) + 1, ends[epoch], event, group, int(neuron), -1, ""))
        # An event after an epoch's last step belongs to the next epoch.
        rows.sort(key=lambda row: (row[1], row[0]))
        return _to_frame(rows, EVENT_COLUMNS)

    # Files ------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes `history.json` and Parquet tables into a folder, either all of them or none.

        An older history in the folder is replaced. Any other file in it is an error.

        Raises:
            FileExistsError: the folder holds other files, or is part of a recorded run.
        """
        folder = files.home_path("folder", folder)
        files.check_new_names("folder", folder)
        if (folder.parent / "config.json").exists() and folder.name == "history":
            raise FileExistsError(
                f"folder {str(folder)!r} is the history of a recorded run; "
                "give the name of a new or empty folder."
            )
        with (
            files.writing("folder", folder),
            files.exchanged(folder, _is_history_file) as new,
        ):
            copy = self.frozen()
            copy.write_tables(new, 1, copy.n_epochs)
            files.write(new / POINTER, copy.pointer().encoded())
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "History":
        """Reads what `save` wrote, or the history of a run folder. No code in the files is run.

        The run may still be training. The result is its history at the end of an epoch, or when it
        was last saved.

        Raises:
            FileNotFoundError: the folder, or a file in it, is missing.
            ValueError: a file is damaged, or was written by a newer version.
        """
        folder = files.home_path("folder", folder)
        if not (folder / POINTER).is_file() and (folder / "history" / POINTER).is_file():
            files.check_inside(folder / "history", folder)
            folder = folder / "history"
        if not (folder / POINTER).is_file():
            raise FileNotFoundError(
                f"folder {str(folder)!r} holds no history: {POINTER} is missing. "
                "Give a folder that History.save has written, or the folder of a run."
            )
        return cls.read(folder)[0]

    @classmethod
    def read(cls, folder: Path, epochs: int | None = None) -> tuple["History", Pointer]:
        """Reads the history in a folder, and its pointer.

        Args:
            epochs: read at most this number of epochs, and no later steps.

        Raises:
            FileNotFoundError: the pointer is missing.
            Damaged: a file is not what was written.
            Newer: the folder was written by a newer version.
        """
        stored, pointer = store.read(folder, epochs)
        history = cls(pointer.groups)
        history._steps, history._epochs, history._notes = stored
        return history, pointer

    def frozen(self) -> "History":
        """A copy that stays as it is while the trainer adds to this history."""
        copy = History(self.groups)
        copy._epochs, copy._notes = list(self._epochs), list(self._notes)
        copy._steps = list(self._steps)
        return copy

    def pointer(self, run: dict[str, Any] | None = None) -> Pointer:
        """The content of `history.json` once all rows are in the tables."""
        return Pointer(self.groups, self.n_epochs, len(self._steps), list(self._notes), run)

    def write_tables(self, folder: Path, first: int, last: int) -> list[tables.Segment]:
        """Writes epochs `first` to `last`, and the steps after the last finished epoch.

        Every 50 epochs share a file. The folder is synchronised to the disk.
        """
        return store.write_tables(self._stored, self.groups, folder, first, last)

    def write_table(self, kind: tables.Kind, folder: Path, first: int, last: int) -> tables.Segment:
        """Writes one table of epochs `first` to `last` into one file."""
        return store.write_table(self._stored, self.groups, kind, folder, first, last)

    @property
    def _stored(self) -> store.Stored:
        return store.Stored(self._steps, self._epochs, self._notes)

    def _stack_factors(
        self, epochs: Sequence[tuple[tuple, dict[str, np.ndarray]]]
    ) -> dict[str, np.ndarray]:
        """{group: (epochs, neurons)}"""
        factors = [values for _, values in epochs]
        return {
            group: np.stack([values[group] for values in factors])
            if factors
            else np.zeros((0, n), np.float32)
            for group, n in self.groups.items()
        }


def _is_history_file(name: str) -> bool:
    return name == POINTER or tables.segment(Path(name)) is not None


def _to_frame(rows: Sequence[tuple], columns: Sequence[str]) -> "DataFrame":
    import pandas as pd

    return pd.DataFrame.from_records(list(rows), columns=list(columns))


_EPOCH_TYPES: dict[str, Callable[[Any], int | float]] = {
    name: operator.index if kind == "int64" else float
    for name, kind in tables.COLUMNS["epochs"].items()
}
