"""Differences in paired runs: with the same seed two methods start from the same weights and see
the same batches, so that what both have in common drops out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from snnviz.evidence.rows import (
    CELL,
    SHARES,
    cells,
    checked,
    chosen,
    columns,
    done,
    kind_of,
    level_checked,
    measured,
    needed,
    of,
    once,
)

if TYPE_CHECKING:
    from pandas import DataFrame

TOLERANCE = 0.02  # sizes that differ by no more than this share are equal
NAN = float("nan")


def interval(values: Any, level: float = 0.95) -> tuple[float, float, float]:
    """The mean and its interval from Student's t; of a single value there is no interval (NaN)."""
    values, level = np.asarray(values, float), level_checked(level)
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
    """What an interval says of a claim that a number is above (or below) 0.

    It holds if the whole interval is on that side of 0, it does not hold if the whole interval is
    on the other side, and otherwise, or without an interval (NaN), it is undecided.

    >>> verdict(0.1, 0.4), verdict(0.1, 0.4, want="below"), verdict(-0.1, 0.4)
    ('holds', 'does not hold', 'undecided')

    Raises:
        ValueError: `low` is above `high`, or `want` is neither.
    """
    if want not in ("above", "below"):
        raise ValueError(f"want must be 'above' or 'below', got {want!r}.")
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
    """How methods differ from one in paired seeds: a row for each setting and method.

    Columns: those of `by`; method, kind, against, against_kind; pairs; left_out (seeds that do not
    pair, for one of both is missing, failed or has no number), failed (runs); mean and
    against_mean (of the pairs); difference, low, high (the mean difference, method minus against,
    and its interval from Student's t of the differences); off, parameters_left, macs_left (mean
    shares, 0 to 1, of the method's runs in the pairs), against_off, against_parameters_left,
    against_macs_left (of the other's), seconds_ratio (time to train, of sums).

    Args:
        method: one or several; all but `against` if left out.
        value: a column of numbers, or "off", "parameters_left" or "macs_left".
        by: the columns that make a setting; runs pair within one.

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, there is no such method, no run ended well, or a setting
            holds two runs of one method and seed.
    """
    import pandas as pd

    by = columns(by)
    sizes = [name for pair in SHARES.values() for name in pair]
    rows = checked(rows, [*by, "method", "kind", "seed", "seconds", *sizes, *needed(value)])
    chosen(rows, "against", against)
    names = chosen(rows, "method", method, without=against)
    level_checked(level)
    rows = rows.assign(_value=measured(rows, value, "value"))
    table = []
    for cell, runs in cells(rows, by):
        once(runs, cell)
        theirs = of(runs, against)
        for name in names:
            mine = of(runs, name)
            if len(mine):
                row = _names(rows, name, against) | _compared(mine, theirs, level)
                table.append(cell | row)
    return pd.DataFrame(table)


def _names(rows: DataFrame, method: str, against: str) -> dict[str, Any]:
    mine = {"method": method, "kind": kind_of(rows, method)}
    return mine | {"against": against, "against_kind": kind_of(rows, against)}


def _compared(mine: DataFrame, theirs: DataFrame, level: float) -> dict[str, Any]:
    a, b = _valued(mine), _valued(theirs)
    seeds = sorted(set(a.index) & set(b.index))
    a, b = a.loc[seeds], b.loc[seeds]
    row = _counts(mine, theirs, len(seeds))
    row |= _difference(a["_value"].to_numpy(), b["_value"].to_numpy(), level)
    row |= {name: _mean(measured(a, name, "value")) for name in SHARES}
    row |= {f"against_{name}": _mean(measured(b, name, "value")) for name in SHARES}
    spent = b["seconds"].sum()
    return row | {"seconds_ratio": float(a["seconds"].sum() / spent) if spent else NAN}


def _valued(runs: DataFrame) -> DataFrame:
    """The finished runs that have a number, by seed."""
    runs = done(runs)
    return cast("DataFrame", runs[np.isfinite(runs["_value"].to_numpy())]).set_index("seed")


def _counts(mine: DataFrame, theirs: DataFrame, pairs: int) -> dict[str, int]:
    seeds = set(mine["seed"]) | set(theirs["seed"])
    failed = len(mine) + len(theirs) - len(done(mine)) - len(done(theirs))
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
    """How a method differs from rivals of its own size in paired seeds: a row a setting and rival.

    In each setting and seed the rival's value at the method's size is, where the rival has runs on
    both sides of that size, the straight line between the two nearest over the logarithm of size;
    otherwise that of the nearest run, if it differs by at most 2 % of the size. Nothing is
    extrapolated: other pairs are left out and counted.

    Columns: those of `by`; method, kind, against (the rival), against_kind; pairs, interpolated
    (how many of them); left_out (seeds that do not pair), other_size (those of them where only the
    size is in the way), failed (runs); mean, against_mean, difference (method minus rival), low,
    high as in `paired`; size_left (mean share of the size, of the method's runs in the pairs).

    Args:
        rival: one or several methods; all others if left out.
        value: a column of numbers.
        size: what is to be equal.
        by: the columns that make a setting.

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, there is no such method or size, no run ended well, or a
            setting holds two runs of `method` with one seed.
    """
    import pandas as pd

    if size not in ("parameters", "macs"):
        raise ValueError(f"size must be 'parameters' or 'macs', got {size!r}.")
    by = columns(by)
    asked = [*by, "method", "kind", "seed", size, f"{size}_before", *needed(value)]
    rows = checked(rows, asked)
    chosen(rows, "method", method)
    rivals = chosen(rows, "rival", rival, without=method)
    level_checked(level)
    rows = rows.assign(_value=measured(rows, value, "value"), _size=rows[size].astype(float))
    rows = rows.assign(_left=measured(rows, f"{size}_left", "size"))
    table = []
    for cell, runs in cells(rows, by):
        mine = of(runs, method)
        once(mine, cell)
        for name in rivals if len(mine) else ():
            theirs = of(runs, name)
            if len(theirs):
                row = _names(rows, method, name) | _at_size(mine, theirs, level)
                table.append(cell | row)
    if not table:
        raise ValueError(
            f"rows must hold runs of {method!r} and of a rival in one setting, got none. "
            "A setting is one value each of " + ", ".join(by) + "."
        )
    return pd.DataFrame(table)


def _at_size(mine: DataFrame, theirs: DataFrame, level: float) -> dict[str, Any]:
    a, b, left = [], [], []
    interpolated = other_size = 0
    rivals = _valued(theirs)
    runs = _valued(mine).sort_index()
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
    """The value at this size of runs of several sizes, and whether it lies between two of them."""
    there = np.unique(sizes)  # ascending
    means = np.array([values[sizes == each].mean() for each in there])
    if there[0] <= size <= there[-1]:
        return float(np.interp(math.log(size), np.log(there), means)), size not in there
    nearest = int(np.argmin(np.abs(there - size)))
    near = abs(there[nearest] - size) <= TOLERANCE * size
    return (float(means[nearest]) if near else NAN), False
