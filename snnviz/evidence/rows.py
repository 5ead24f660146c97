"""The rows of studies: what is asked of them, which count, and what is measured on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from snnviz import checks

if TYPE_CHECKING:
    from pandas import DataFrame

DOSES = ("width", "classes", "noise", "share")  # what makes a baseline simpler or a task harder
CELL = ("network", "width", "data", "classes", "noise", "share")  # runs with these equal compare

# Shares that are measured on every run, and the columns (part, whole) that they come from.
SHARES = {
    "off": ("neurons_on", "neurons"),
    "parameters_left": ("parameters", "parameters_before"),
    "macs_left": ("macs", "macs_before"),
}
_SOURCE = "Read them with snnviz.sweep.read(path)."


def checked(rows: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The rows, each run once, also where it stands in several studies; failed ones too.

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, or no run ended well.
    """
    import pandas as pd

    checks.kind_of("rows", rows, pd.DataFrame, "a pandas DataFrame with a row a run", _SOURCE)
    if missing := [name for name in ("status", *columns) if name not in rows.columns]:
        some = ", ".join(map(repr, dict.fromkeys(missing)))
        raise ValueError(f"rows must have a study's columns, got none called {some}. {_SOURCE}")
    if "key" in rows.columns:
        rows = rows.sort_values("status", kind="stable").drop_duplicates("key")  # done, then failed
    if "done" not in set(rows["status"]):
        got = f"{len(rows)} that failed (their column error says why)" if len(rows) else "none"
        raise ValueError(
            f"rows must hold at least one finished run, got {got}. "
            "Run the study, or select other rows."
        )
    return rows


def done(rows: DataFrame) -> DataFrame:
    """The runs that ended well."""
    return cast("DataFrame", rows[(rows["status"] == "done").to_numpy()])


def of(rows: DataFrame, method: str) -> DataFrame:
    return cast("DataFrame", rows[(rows["method"] == method).to_numpy()])


def measured(rows: DataFrame, name: str, argument: str) -> np.ndarray:
    """A share (`SHARES`) or a column of numbers, for each run: (rows,)

    Raises:
        ValueError: there is neither.
    """
    if name in SHARES:
        part, whole = (rows[column].to_numpy(float) for column in SHARES[name])
        return 1 - part / whole if name == "off" else part / whole
    if name not in rows.columns or rows[name].dtype.kind not in "iuf":
        raise ValueError(
            f"{argument} must be 'off', 'parameters_left', 'macs_left' or a column of numbers, "
            f"got {name!r}. The columns are {', '.join(map(str, rows.columns))}."
        )
    return rows[name].to_numpy(float)


def needed(name: str) -> tuple[str, ...]:
    """The columns that `measured` reads, so far as `checked` should ask for them."""
    return SHARES.get(name, ())


def chosen(
    rows: DataFrame, argument: str, names: str | Sequence[str] | None, without: str = ""
) -> list[str]:
    """The methods named, or with None all in `rows`; never `without`.

    Raises:
        ValueError: there is no such method, or none is left.
    """
    there = sorted(set(rows["method"]))
    names = [names] if isinstance(names, str) else there if names is None else list(names)
    if bad := [name for name in names if name not in there]:
        raise ValueError(
            f"{argument} must be of the methods in rows, {', '.join(map(repr, there))}, "
            f"got {bad[0]!r}. Run it, or select other rows."
        )
    names = [name for name in dict.fromkeys(names) if name != without]
    if not names:
        raise ValueError(
            f"{argument} must be another method than {without!r}, got no other. "
            f"The methods in rows are {', '.join(map(repr, there))}."
        )
    return names


def kind_of(rows: DataFrame, method: str) -> str:
    return str(of(rows, method)["kind"].iloc[0])


def cells(rows: DataFrame, by: Sequence[str]) -> Iterator[tuple[dict[str, Any], DataFrame]]:
    """The rows apart by the values of some columns, in order: these values, and the rows."""
    by = columns(by)
    if not by:
        yield {}, rows
        return
    for values, part in rows.groupby(list(by), sort=True, dropna=False):
        yield dict(zip(by, cast(tuple, values), strict=True)), part


def columns(by: str | Sequence[str]) -> tuple[str, ...]:
    return (by,) if isinstance(by, str) else tuple(by)


def varied(table: DataFrame) -> list[str]:
    """The columns of a setting that have several values."""
    return [name for name in CELL if name in table.columns and len(set(table[name])) > 1]


def once(runs: DataFrame, cell: dict[str, Any]) -> None:
    """That a cell holds no two runs of one method and seed.

    Raises:
        ValueError: it does.
    """
    twins = runs[runs.duplicated(["method", "seed"]).to_numpy()]
    if len(twins):
        method, seed = (twins[name].tolist()[0] for name in ("method", "seed"))
        where = ", ".join(f"{name} {value}" for name, value in cell.items()) or "them"
        raise ValueError(
            f"rows must hold one run of each method and seed in {where}, got several of "
            f"{method!r} with seed {seed}. Select rows, or give variants a method's name each."
        )


def level_checked(level: float) -> float:
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ValueError(
            f"level must be a number between 0 and 1, got {level!r}. "
            "Use level=0.95 for intervals of 95 %."
        )
    return float(level)
