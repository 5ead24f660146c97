"""The rows of studies: their checks, which of them count, and the numbers taken from each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from snnviz import checks

if TYPE_CHECKING:
    from pandas import DataFrame

DOSES = ("width", "classes", "noise", "share")  # they change the network's size or the task
# Equal in comparable runs.
CELL = ("network", "width", "data", "classes", "noise", "share", "precision")

# Shares that every run has, and the columns (part, whole) from which they are computed.
SHARES = {
    "off": ("neurons_on", "neurons"),
    "parameters_left": ("parameters", "parameters_before"),
    "macs_left": ("macs", "macs_before"),
}
_SOURCE = "Read them with snnviz.sweep.read(path)."


def check_rows(rows: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The rows, failed ones too, with each run once even if it belongs to several studies.

    Raises:
        TypeError: `rows` is not a DataFrame.
        ValueError: a column is missing, or no run finished.
    """
    import pandas as pd

    checks.kind_of("rows", rows, pd.DataFrame, "a pandas DataFrame with one row per run", _SOURCE)
    if missing := [name for name in ("status", *columns) if name not in rows.columns]:
        some = ", ".join(map(repr, dict.fromkeys(missing)))
        raise ValueError(
            f"rows must have the columns of a study, got none called {some}. {_SOURCE}"
        )
    if "key" in rows.columns:
        rows = rows.sort_values("status", kind="stable").drop_duplicates("key")  # done, then failed
    if "done" not in set(rows["status"]):
        got = f"{len(rows)} that failed (their column error says why)" if len(rows) else "none"
        raise ValueError(
            f"rows must contain at least one finished run, got {got}. "
            "Run the study, or select other rows."
        )
    return rows


def finished_runs(rows: DataFrame) -> DataFrame:
    """The runs that finished."""
    return cast("DataFrame", rows[(rows["status"] == "done").to_numpy()])


def runs_of(rows: DataFrame, method: str) -> DataFrame:
    return cast("DataFrame", rows[(rows["method"] == method).to_numpy()])


def measure(rows: DataFrame, name: str, argument: str) -> np.ndarray:
    """A share (one of `SHARES`) or a column of numbers, for each run: (rows,)

    Raises:
        ValueError: `name` is neither.
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


def columns_of(name: str) -> tuple[str, ...]:
    """The columns from which `measure` computes a share; none for a column of numbers."""
    return SHARES.get(name, ())


def choose_methods(
    rows: DataFrame, argument: str, names: str | Sequence[str] | None, without: str = ""
) -> list[str]:
    """The named methods, or with None all methods in `rows`; never `without`.

    Raises:
        ValueError: there is no such method, or no method is left.
    """
    there = sorted(set(rows["method"]))
    names = [names] if isinstance(names, str) else there if names is None else list(names)
    if bad := [name for name in names if name not in there]:
        raise ValueError(
            f"{argument} must be one of the methods in rows, {', '.join(map(repr, there))}, "
            f"got {bad[0]!r}. Run this method, or select other rows."
        )
    names = [name for name in dict.fromkeys(names) if name != without]
    if not names:
        raise ValueError(
            f"{argument} must be a method other than {without!r}, got no other. "
            f"The methods in rows are {', '.join(map(repr, there))}."
        )
    return names


def kind_of(rows: DataFrame, method: str) -> str:
    return str(runs_of(rows, method)["kind"].iloc[0])


def cells(rows: DataFrame, by: Sequence[str]) -> Iterator[tuple[dict[str, Any], DataFrame]]:
    """Splits the rows by the values of some columns: these values, and the rows that have them."""
    by = as_columns(by)
    if not by:
        yield {}, rows
        return
    for values, part in rows.groupby(list(by), sort=True, dropna=False):
        yield dict(zip(by, cast(tuple, values), strict=True)), part


def as_columns(by: str | Sequence[str]) -> tuple[str, ...]:
    return (by,) if isinstance(by, str) else tuple(by)


def varying_columns(table: DataFrame) -> list[str]:
    """The columns of `CELL` that have several values in this table."""
    return [name for name in CELL if name in table.columns and len(set(table[name])) > 1]


def check_one_run_each(runs: DataFrame, cell: dict[str, Any]) -> None:
    """Checks that no method has two runs with one seed.

    Raises:
        ValueError: a method has.
    """
    twins = runs[runs.duplicated(["method", "seed"]).to_numpy()]
    if len(twins):
        method, seed = (twins[name].tolist()[0] for name in ("method", "seed"))
        where = ", ".join(f"{name} {value}" for name, value in cell.items()) or "one setting"
        raise ValueError(
            f"rows must contain one run per method and seed in {where}, got several of "
            f"{method!r} with seed {seed}. Select rows, or give each variant its own method name."
        )


def check_level(level: float) -> float:
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ValueError(
            f"level must be a number between 0 and 1, got {level!r}. "
            "Use level=0.95 for intervals of 95 %."
        )
    return float(level)
