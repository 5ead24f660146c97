"""The history: what every step and every epoch of a run left behind.

It knows nothing of networks: it holds numbers, gives them as arrays and tidy DataFrames, and saves
them in files that any program can read.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snnviz._files import exchanged

if TYPE_CHECKING:
    from pandas import DataFrame

STEP_COLUMNS = ("step", "epoch", "phase", "loss", "accuracy", "lr")
EPOCH_COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "neurons_on",
    "neurons",
    "parameters",
    "macs",
    "seconds",
)
EVENT_COLUMNS = ("epoch", "step", "event", "group", "neuron", "detail")
FORMAT = 1


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
        self._notes: list[tuple] = []  # events that are not in the factors: schedule, rollback, …

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
        row = tuple(values[column] for column in EPOCH_COLUMNS)
        copies = {g: np.array(factors[g], dtype=np.float32) for g in self.groups}
        self._epochs.append((row, copies))

    def add_event(self, *, epoch: int, step: int, event: str, detail: str = "") -> None:
        """Something that happened to the run as a whole, such as a new schedule."""
        self._notes.append((epoch, step, event, "", -1, detail))

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
    def factors(self) -> dict[str, np.ndarray]:
        """{group: (epochs, neurons) float32}: the factors at each epoch's end."""
        return self._stacked(list(self._epochs))

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
        first epoch all are on). `schedule`, `rollback`, `reset`: the run as a whole; their group is
        empty and their neuron -1.
        """
        rows, epochs = list(self._notes), list(self._epochs)
        ends = [row[EPOCH_COLUMNS.index("step")] for row, _ in epochs]
        for group, values in self._stacked(epochs).items():
            off = values == 0
            before = np.vstack([np.zeros_like(off[:1]), off[:-1]])
            for epoch, neuron in np.argwhere(off != before):
                event = "off" if off[epoch, neuron] else "on"
                rows.append((int(epoch) + 1, ends[epoch], event, group, int(neuron), ""))
        rows.sort(key=lambda row: row[1])
        return _frame(rows, EVENT_COLUMNS)

    # Files ------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike) -> Path:
        """Writes `history.json`, `steps.npz` and `factors.npz` into a folder, whole or not at all.

        A history that is there already is replaced; anything else in the folder is an error.

        Raises:
            FileExistsError: the folder holds other files.
        """
        folder = Path(folder)
        with exchanged(folder, _FILES) as new:
            self._write(new)
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "History":
        """Reads what `save` wrote. No code in the files is run.

        Raises:
            FileNotFoundError: the folder, or a file in it, is missing.
            ValueError: a file is damaged, or from a newer version.
        """
        folder = Path(folder)
        for name in _FILES:
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"folder {str(folder)!r} holds no history: {name} is missing. "
                    "Give a folder that History.save has written."
                )
        try:
            return cls._read(folder)
        except _Newer:
            raise
        except Exception as error:  # whatever a damaged file makes a reader say
            raise ValueError(
                f"the history in {str(folder)!r} is damaged ({error}); load another copy of it."
            ) from error

    def _stacked(self, epochs: Sequence[tuple[tuple, dict[str, np.ndarray]]]) -> dict:
        """{group: (epochs, neurons)}"""
        factors = [values for _, values in epochs]
        return {
            group: np.stack([values[group] for values in factors])
            if factors
            else np.zeros((0, n), np.float32)
            for group, n in self.groups.items()
        }

    def _write(self, folder: Path) -> None:
        # Copies, for the trainer may add to the lists meanwhile.
        steps, epochs, notes = list(self._steps), list(self._epochs), list(self._notes)
        description = {
            "format": FORMAT,
            "groups": self.groups,
            "epochs": {"columns": EPOCH_COLUMNS, "rows": [row for row, _ in epochs]},
            "events": {"columns": EVENT_COLUMNS, "rows": notes},
        }
        text = json.dumps(description, indent=1)
        (folder / "history.json").write_text(text, encoding="utf-8")
        columns: dict[str, Any] = {
            name: np.array([row[i] for row in steps], dtype=_STEP_TYPES[name])
            for i, name in enumerate(STEP_COLUMNS)
        }
        np.savez_compressed(folder / "steps.npz", **columns)
        # Keys are numbers, for a group's name may hold any letter.
        arrays = {str(i): values for i, values in enumerate(self._stacked(epochs).values())}
        np.savez_compressed(folder / "factors.npz", **arrays)

    @classmethod
    def _read(cls, folder: Path) -> "History":
        description = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        if description["format"] > FORMAT:
            raise _Newer(
                f"the history in {str(folder)!r} has format {description['format']}, and this "
                f"version of snnviz reads up to {FORMAT}; install a newer snnviz."
            )
        history = cls({str(name): int(n) for name, n in description["groups"].items()})
        steps = _arrays(folder / "steps.npz")
        columns = [steps[name].tolist() for name in STEP_COLUMNS]
        arrays = _arrays(folder / "factors.npz")
        factors = [arrays[str(i)] for i in range(len(history.groups))]
        for (name, n), values in zip(history.groups.items(), factors, strict=True):
            if values.shape != (len(description["epochs"]["rows"]), n):
                raise ValueError(f"the factors of {name!r} have shape {values.shape}")
        history._steps = list(zip(*columns, strict=True))
        for i, row in enumerate(description["epochs"]["rows"]):
            values = dict(zip(description["epochs"]["columns"], row, strict=True))
            history.add_epoch(
                {name: factors[k][i] for k, name in enumerate(history.groups)}, **values
            )
        history._notes = [tuple(row) for row in description["events"]["rows"]]
        if any(len(row) != len(EVENT_COLUMNS) for row in history._notes):
            raise ValueError(f"an event must have {len(EVENT_COLUMNS)} values")
        return history


_FILES = ("factors.npz", "history.json", "steps.npz")
_STEP_TYPES = {
    "step": "int64",
    "epoch": "int64",
    "phase": "U8",
    "loss": "float64",
    "accuracy": "float64",
    "lr": "float64",
}


class _Newer(ValueError):
    pass


def _arrays(path: Path) -> dict[str, np.ndarray]:
    # Opened here: given a path, np.load leaves a damaged file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _frame(rows: Sequence[tuple], columns: Sequence[str]) -> "DataFrame":
    import pandas as pd

    return pd.DataFrame.from_records(list(rows), columns=list(columns))
