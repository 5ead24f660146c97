"""Converts rows to the columns that `tables.py` defines, and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from snnviz import files
from snnviz.history import tables

STEP_COLUMNS = tuple(tables.COLUMNS["steps"])
EPOCH_COLUMNS = tuple(tables.COLUMNS["epochs"])

_NUMPY = {"int64": np.int64, "double": np.float64}
_STEP_TYPES = {k: _NUMPY[v] for k, v in tables.COLUMNS["steps"].items() if k != "phase"}
_NO_FACTORS = np.zeros(0, np.float32)  # so that a history without groups can be concatenated


def step_columns(rows: Sequence[tuple]) -> tables.Columns:
    columns = list(zip(*rows, strict=True)) or [()] * len(STEP_COLUMNS)
    named = dict(zip(STEP_COLUMNS, columns, strict=True))
    made: tables.Columns = {
        k: np.array(v, _STEP_TYPES[k]) for k, v in named.items() if k != "phase"
    }
    return {**made, "phase": tables.to_text(named["phase"])}


def epoch_columns(rows: Sequence[tuple]) -> tables.Columns:
    columns = zip(*rows, strict=True)
    return {k: np.array(v) for k, v in zip(EPOCH_COLUMNS, columns, strict=True)}


def factor_columns(
    groups: Mapping[str, int], first: int, epochs: Sequence[Mapping[str, np.ndarray]]
) -> tables.Columns:
    """The columns of several epochs, each {group: (neurons,)}. The first has number `first`."""
    rows = [np.concatenate([*each.values(), _NO_FACTORS]) for each in epochs]
    return tables.tidy_factors(groups, first, np.stack(rows))


def steps_of(part: tables.Segment, most: int, folder: Path) -> list[tuple]:
    """The rows in a file.

    Raises:
        Damaged: there are more than `most`, or their epochs are not those in the file's name.
    """
    columns = tables.read_segment(part, 0, most, folder)
    epochs = columns["epoch"]
    if part.kind == "steps" and not ((part.first <= epochs) & (epochs <= part.last)).all():
        raise files.Damaged(part.file, "its epochs are not those in its name")
    columns["phase"] = np.array(tables.to_words(columns["phase"]), dtype=object)
    return list(zip(*(columns[name].tolist() for name in STEP_COLUMNS), strict=True))


def epochs_of(part: tables.Segment, folder: Path) -> list[tuple]:
    """The rows in a file.

    Raises:
        Damaged: their epochs are not those in the file's name.
    """
    count = part.last - part.first + 1
    columns = tables.read_segment(part, count, count, folder)
    if columns["epoch"].tolist() != list(range(part.first, part.last + 1)):
        raise files.Damaged(part.file, "its epochs are not those in its name")
    return list(zip(*(columns[name].tolist() for name in EPOCH_COLUMNS), strict=True))


def factors_of(
    part: tables.Segment, groups: Mapping[str, int], folder: Path
) -> list[dict[str, np.ndarray]]:
    """{group: (neurons,)} of each epoch in a file.

    Raises:
        Damaged: its epochs, groups and neurons are not those of this history.
    """
    count, n = part.last - part.first + 1, sum(groups.values())
    columns = tables.read_segment(part, count * n, count * n, folder)
    values = columns["factor"].reshape(count, n)
    right = tables.tidy_factors(groups, part.first, values)
    same = all(np.array_equal(columns[name], right[name]) for name in ("epoch", "neuron"))
    known = {word: code for code, word in enumerate(right["group"].words)}
    codes = np.array([known.get(word, -1) for word in columns["group"].words], np.int32)
    if not same or not np.array_equal(codes[columns["group"].codes], right["group"].codes):
        raise files.Damaged(part.file, "its epochs, groups and neurons are not those expected")
    ends = np.cumsum([0, *groups.values()]).tolist()
    return [{g: row[ends[k] : ends[k + 1]] for k, g in enumerate(groups)} for row in values]
