"""Differences in paired runs. With the same seed, two methods start from the same weights and see
the same batches, so the noise that both share cancels in their difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from snnviz import checks
from snnviz.evidence.rows import (
    CELL,
    SHARES,
    as_columns,
    cells,
    check_level,
    check_one_run_each,
    check_rows,
    choose_methods,
    columns_of,
    finished_runs,
    kind_of,
    measure,
    runs_of,
)

if TYPE_CHECKING:
    from pandas import DataFrame

TOLERANCE = 0.02  # sizes that differ by no more than this share are equal
NAN = float("nan")


def interval(values: Any, level: float = 0.95) -> tuple[float, float, float]:
    """The mean and its Student's t interval; a single value has no interval (NaN)."""
    values, level = np.asarray(values, float), check_level(level)
    n = len(values)
    if n < 2:
        return (float(values[0]) if n else NAN), NAN, NAN
    from scipy.stats import t

    mean = float(values.mean())
    half = float(t.ppf((1 + level) / 2, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


def verdict(
    low: float, high: float, want: Literal["above", "below"] = "above"
) -> Literal["holds", "does not hold", "undecided"]:
    """What an interval says about the claim that a number is above (or below) 0.

    The claim holds if the whole interval is on that side of 0. It does not hold if the whole
    interval is on the other side. Otherwise, or without an interval (NaN), it is undecided.

    >>> verdict(0.1, 0.4), verdict(0.1, 0.4, want="below"), verdict(-0.1, 0.4)
    ('holds', 'does not hold', 'undecided')

    Raises:
        ValueError: `low` is above `high`, or `want` is neither "above" nor "below".
    """
    checks.one_of("want", want, ("above", "below"))
    if low > high:
        raise ValueError(f"low must not be above high, got {low!r} and {high!r}. Swap them.")
    above, below = low > 0, high < 0
    if want == "below":
        above, below = below, above
    return "holds" if above else "does not hold" if below else "undecided"


def paired(
    rows: DataFrame,
    method: str | Sequence[str] | None = None,
    against: str = "dense",
    value: str = "test_accuracy",
    by: Sequence[str] = CELL,
    level: float = 0.95,
) -> DataFrame:
    """How methods differ from another method in paired seeds: one row per setting and method.

    Columns: those of `by`; method, kind, against, against_kind; pairs; left_out (seeds without a
    pair, because one run is missing, failed or has no number), failed (runs); mean and
    against_mean (of the pairs); difference, low, high (the mean difference, method minus against,
    and its Student's t interval); off, parameters_left, macs_left (mean shares, 0 to 1, of the
    method's runs in the pairs), against_off, against_parameters_left, against_macs_left (of the
    other method's), seconds_ratio (of the total training times).

    Args:
        method: one or several methods; if left out, all except `against`.
        value: a column of numbers, or "off", "parameters_left" or "macs_left".
        by: the columns that define a setting; runs are paired within a setting.

    Raises:
        TypeError: `rows` is not a DataFrame.
        ValueError: a column is missing, there is no such method, no run finished, or a setting
            has two runs of one method and seed.
    """
    import pandas as pd

    by = as_columns(by)
    sizes = [name for pair in SHARES.values() for name in pair]
    rows = check_rows(rows, [*by, "method", "kind", "seed", "seconds", *sizes, *columns_of(value)])
    choose_methods(rows, "against", against)
    names = choose_methods(rows, "method", method, without=against)
    check_level(level)
    rows = rows.assign(_value=measure(rows, value, "value"))
    table = []
    for cell, runs in cells(rows, by):
        check_one_run_each(runs, cell)
        theirs = runs_of(runs, against)
        for name in names:
            mine = runs_of(runs, name)
            if len(mine):
                row = _names(rows, name, against) | _compare(mine, theirs, level)
                table.append(cell | row)
    return pd.DataFrame(table)


def _names(rows: DataFrame, method: str, against: str) -> dict[str, Any]:
    mine = {"method": method, "kind": kind_of(rows, method)}
    return mine | {"against": against, "against_kind": kind_of(rows, against)}


def _compare(mine: DataFrame, theirs: DataFrame, level: float) -> dict[str, Any]:
    a, b = _with_value(mine), _with_value(theirs)
    seeds = sorted(set(a.index) & set(b.index))
    a, b = a.loc[seeds], b.loc[seeds]
    row = _counts(mine, theirs, len(seeds))
    row |= _difference(a["_value"].to_numpy(), b["_value"].to_numpy(), level)
    row |= {name: _mean(measure(a, name, "value")) for name in SHARES}
    row |= {f"against_{name}": _mean(measure(b, name, "value")) for name in SHARES}
    spent = b["seconds"].sum()
    return row | {"seconds_ratio": float(a["seconds"].sum() / spent) if spent else NAN}


def _with_value(runs: DataFrame) -> DataFrame:
    """The finished runs that have a number, by seed."""
    runs = finished_runs(runs)
    return cast("DataFrame", runs[np.isfinite(runs["_value"].to_numpy())]).set_index("seed")


def _counts(mine: DataFrame, theirs: DataFrame, pairs: int) -> dict[str, int]:
    seeds = set(mine["seed"]) | set(theirs["seed"])
    failed = len(mine) + len(theirs) - len(finished_runs(mine)) - len(finished_runs(theirs))
    return {"pairs": pairs, "left_out": len(seeds) - pairs, "failed": failed}


def _difference(a: np.ndarray, b: np.ndarray, level: float) -> dict[str, float]:
    difference, low, high = interval(a - b, level)
    means = {"mean": _mean(a), "against_mean": _mean(b)}
    return means | {"difference": difference, "low": low, "high": high}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else NAN


def at_equal_size(
    rows: DataFrame,
    method: str = "switched",
    rival: str | Sequence[str] | None = None,
    value: str = "test_accuracy",
    size: Literal["parameters", "macs"] = "parameters",
    by: Sequence[str] = CELL,
    level: float = 0.95,
) -> DataFrame:
    """How a method differs from rivals of equal size in paired seeds.

    One row per setting and rival. If the rival has runs on both sides of the method's size, its
    value at that size is interpolated linearly between the two nearest, over the logarithm of the
    size. Otherwise it is the value of the nearest run, if the sizes differ by at most 2 %. Nothing
    is extrapolated: other pairs are left out and counted.

    Columns: those of `by`; method, kind, against (the rival), against_kind; pairs, interpolated
    (how many of them); left_out (seeds without a pair), other_size (how many of these have a rival
    of another size only), failed (runs); mean, against_mean, difference (method minus rival), low,
    high as in `paired`; size_left (mean share of the size, of the method's runs in the pairs).

    Args:
        rival: one or several methods; if left out, all others.
        value: a column of numbers.
        size: the size that is equal, "parameters" or "macs".
        by: the columns that define a setting.

    Raises:
        TypeError: `rows` is not a DataFrame.
        ValueError: a column is missing, there is no such method or size, no run finished, or a
            setting has two runs of `method` with one seed.
    """
    import pandas as pd

    checks.one_of("size", size, ("parameters", "macs"))
    by = as_columns(by)
    asked = [*by, "method", "kind", "seed", size, f"{size}_before", *columns_of(value)]
    rows = check_rows(rows, asked)
    choose_methods(rows, "method", method)
    rivals = choose_methods(rows, "rival", rival, without=method)
    check_level(level)
    rows = rows.assign(_value=measure(rows, value, "value"), _size=rows[size].astype(float))
    rows = rows.assign(_left=measure(rows, f"{size}_left", "size"))
    table = []
    for cell, runs in cells(rows, by):
        mine = runs_of(runs, method)
        check_one_run_each(mine, cell)
        for name in rivals if len(mine) else ():
            theirs = runs_of(runs, name)
            if len(theirs):
                row = _names(rows, method, name) | _at_size(mine, theirs, level)
                table.append(cell | row)
    if not table:
        raise ValueError(
            f"rows must contain runs of {method!r} and of a rival in one setting, got none. "
            f"Runs of one setting have the same {', '.join(by)}."
        )
    return pd.DataFrame(table)


def _at_size(mine: DataFrame, theirs: DataFrame, level: float) -> dict[str, Any]:
    a, b, left = [], [], []
    interpolated = other_size = 0
    rivals = _with_value(theirs)
    runs = _with_value(mine).sort_index()
    for seed, size, value, share in zip(
        runs.index, *(runs[name].tolist() for name in ("_size", "_value", "_left")), strict=True
    ):
        here = rivals.index == seed
        if not here.any():
            continue
        sizes, values = (rivals[name].to_numpy(float)[here] for name in ("_size", "_value"))
        there, between = value_at(size, sizes, values)
        if math.isnan(there):
            other_size += 1
            continue
        interpolated += between
        a.append(value)
        b.append(there)
        left.append(share)
    row: dict[str, Any] = _counts(mine, theirs, len(a))
    row |= {"interpolated": interpolated, "other_size": other_size}
    row |= _difference(np.array(a, float), np.array(b, float), level)
    return row | {"size_left": _mean(np.array(left, float))}


def value_at(size: float, sizes: np.ndarray, values: np.ndarray) -> tuple[float, bool]:
    """The value at this size, and whether it was interpolated between runs of other sizes."""
    there = np.unique(sizes)  # ascending
    means = np.array([values[sizes == each].mean() for each in there])
    if there[0] <= size <= there[-1]:
        return float(np.interp(math.log(size), np.log(there), means)), size not in there
    nearest = int(np.argmin(np.abs(there - size)))
    near = abs(there[nearest] - size) <= TOLERANCE * size
    return (float(means[nearest]) if near else NAN), False
