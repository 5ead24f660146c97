"""Dose and response: does the share of neurons off depend on the network's size or the task?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from snnviz import checks
from snnviz.evidence.rows import (
    CELL,
    DOSES,
    as_columns,
    cells,
    check_level,
    check_rows,
    columns_of,
    finished_runs,
    measure,
)

if TYPE_CHECKING:
    from pandas import DataFrame

NAN = float("nan")


def trend(
    rows: DataFrame,
    dose: str,
    response: str = "off",
    by: Sequence[str] | None = None,
    repeats: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> DataFrame:
    """Spearman's rank correlation between dose and response over runs: one row per group.

    The interval comes from a bootstrap that draws whole seeds, because runs of one seed are not
    independent. With few seeds it is rather too narrow, and a little too far from 0, because the
    runs of a seed that is drawn twice are tied. With one seed it is NaN. The correlation is NaN if
    the response is the same in all runs.

    Columns: those of `by`; dose, response; correlation, low, high; runs, seeds, doses (the number
    of different ones); failed (runs). A group with a single dose has no trend and no row.

    Args:
        dose: "width", "classes", "noise" or "share". classes=0 means all classes, the highest.
        response: "off" (share of neurons off), "parameters_left", "macs_left", or a column.
        by: the columns that define a group; if left out, the setting without the dose, and the
            method.
        repeats: the number of bootstrap samples.
        seed: of the bootstrap's random numbers.

    Raises:
        TypeError: `rows` is not a DataFrame.
        ValueError: a column is missing, there is no such dose or response, no run finished, or
            no group has two doses.
    """
    import pandas as pd

    check_level(level)
    table = []
    for group, runs in dose_groups(rows, dose, response, by):
        good = with_response(runs)
        x, y, seeds = (good[name].to_numpy() for name in ("_dose", "_response", "seed"))
        numbers = _correlate(x, y, seeds, repeats, seed, level)
        counts = {"runs": len(good), "seeds": len(set(seeds)), "doses": len(set(x))}
        counts["failed"] = len(runs) - len(finished_runs(runs))
        table.append(group | {"dose": dose, "response": response} | numbers | counts)
    return pd.DataFrame(table)


def dose_groups(
    rows: DataFrame, dose: str, response: str = "off", by: Sequence[str] | None = None
) -> list[tuple[dict[str, Any], DataFrame]]:
    """The groups with at least two doses: the values that define each, and its rows.

    The rows include failed runs, and have the additional columns _dose and _response.
    """
    checks.one_of("dose", dose, DOSES, "For another response, give response=.")
    others = [name for name in CELL if name != dose]
    by = (*others, "method") if by is None else as_columns(by)
    rows = check_rows(rows, [*CELL, *by, "method", "kind", "seed", *columns_of(response)])
    doses = rows[dose].to_numpy(float)
    if dose == "classes":
        doses = np.where(doses == 0, np.inf, doses)
    rows = rows.assign(_dose=doses, _response=measure(rows, response, "response"))
    groups = [each for each in cells(rows, by) if len(set(with_response(each[1])["_dose"])) > 1]
    if not groups:
        raise ValueError(
            f"rows must contain finished runs of at least two doses of {dose!r} in one group, got "
            f"none. Runs of one group have the same {', '.join(by)}."
        )
    return groups


def with_response(runs: DataFrame) -> DataFrame:
    """The finished runs that have a response."""
    runs = finished_runs(runs)
    return cast("DataFrame", runs[np.isfinite(runs["_response"].to_numpy())])


def _correlate(
    x: np.ndarray, y: np.ndarray, seeds: np.ndarray, repeats: int, seed: int, level: float
) -> dict[str, float]:
    correlation = float(spearman(x, y, np.ones((1, len(x))))[0])
    names, which = np.unique(seeds, return_inverse=True)
    low = high = NAN
    if len(names) > 1:
        rng, n = np.random.default_rng(seed), len(names)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=repeats)[:, which]  # (repeats, runs)
        again = spearman(x, y, drawn.astype(float))
        again = again[np.isfinite(again)]  # NaN: all values of a sample are equal
        if len(again):
            low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return {"correlation": correlation, "low": low, "high": high}


def spearman(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rank correlations of weighted runs; tied runs share the mean of their ranks.

    Args:
        x, y: (runs,)
        times: (repeats, runs): how often each run counts.

    Returns:
        (repeats,), NaN where all values of x or of y are equal.
    """
    a, b = _ranks(x, times), _ranks(y, times)
    n = times.sum(1)

    def spread(u: np.ndarray, v: np.ndarray) -> np.ndarray:  # exact: ranks are halves of integers
        return n * (times * u * v).sum(1) - (times * u).sum(1) * (times * v).sum(1)

    scale = np.sqrt(spread(a, a) * spread(b, b))
    return np.divide(spread(a, b), scale, out=np.full(len(times), NAN), where=scale > 0)


def _ranks(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    below = (values[:, None] < values).astype(float)  # (runs, runs): the first below the second
    equal = (values[:, None] == values).astype(float)
    return times @ below + (times @ equal + 1) / 2  # (repeats, runs)
