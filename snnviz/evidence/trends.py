"""Dose and response: does what a run turns off follow the size of its baseline or its task?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from snnviz.evidence.rows import (
    CELL,
    DOSES,
    cells,
    checked,
    columns,
    done,
    level_checked,
    measured,
    needed,
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
    """Spearman's rank correlation between dose and response over runs: a row a group.

    The interval is that of a bootstrap that draws whole seeds, since runs of one seed are not
    independent. With few seeds it is rather too narrow, and it lies a little further from 0 than
    it should, for the runs of a seed that is drawn twice tie; with one seed it is NaN. So is the
    correlation of a response that is the same in all runs.

    Columns: those of `by`; dose, response; correlation, low, high; runs, seeds, doses (how many
    different ones); failed (runs). Groups with a single dose have no trend and no row.

    Args:
        dose: "width", "classes", "noise" or "share". classes=0, all of them, is the highest.
        response: "off" (share of neurons off), "parameters_left", "macs_left", or a column.
        by: the columns that make a group; the setting without the dose, and the method, if left
            out.
        repeats: how often the bootstrap draws.
        seed: what it draws from.

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, there is no such dose or response, no run ended well, or
            no group has two doses.
    """
    import pandas as pd

    level_checked(level)
    table = []
    for group, runs in dose_groups(rows, dose, response, by):
        good = with_response(runs)
        x, y, seeds = (good[name].to_numpy() for name in ("_dose", "_response", "seed"))
        numbers = _correlated(x, y, seeds, repeats, seed, level)
        counts = {"runs": len(good), "seeds": len(set(seeds)), "doses": len(set(x))}
        counts["failed"] = len(runs) - len(done(runs))
        table.append(group | {"dose": dose, "response": response} | numbers | counts)
    return pd.DataFrame(table)


def dose_groups(
    rows: DataFrame, dose: str, response: str = "off", by: Sequence[str] | None = None
) -> list[tuple[dict[str, Any], DataFrame]]:
    """The groups with two doses or more: what makes each, and its rows, failed ones too.

    Each row has the columns _dose and _response.
    """
    if dose not in DOSES:
        raise ValueError(
            f"dose must be one of {', '.join(map(repr, DOSES))}, got {dose!r}. "
            "For another response, give response=."
        )
    others = [name for name in CELL if name != dose]
    by = (*others, "method") if by is None else columns(by)
    rows = checked(rows, [*CELL, *by, "method", "kind", "seed", *needed(response)])
    doses = rows[dose].to_numpy(float)
    if dose == "classes":
        doses = np.where(doses == 0, np.inf, doses)
    rows = rows.assign(_dose=doses, _response=measured(rows, response, "response"))
    groups = [each for each in cells(rows, by) if len(set(with_response(each[1])["_dose"])) > 1]
    if not groups:
        raise ValueError(
            f"rows must hold finished runs of at least two doses of {dose!r} in one group, got "
            f"none. A group is one value each of {', '.join(by)}."
        )
    return groups


def with_response(runs: DataFrame) -> DataFrame:
    """The finished runs that have a response."""
    runs = done(runs)
    return cast("DataFrame", runs[np.isfinite(runs["_response"].to_numpy())])


def _correlated(
    x: np.ndarray, y: np.ndarray, seeds: np.ndarray, repeats: int, seed: int, level: float
) -> dict[str, float]:
    correlation = float(spearman(x, y, np.ones((1, len(x))))[0])
    names, which = np.unique(seeds, return_inverse=True)
    low = high = NAN
    if len(names) > 1:
        rng, n = np.random.default_rng(seed), len(names)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=repeats)[:, which]  # (repeats, runs)
        again = spearman(x, y, drawn.astype(float))
        again = again[np.isfinite(again)]  # of a draw without any spread
        if len(again):
            low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return {"correlation": correlation, "low": low, "high": high}


def spearman(x: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rank correlations, ties in the middle of their ranks, of runs that each count so many times.

    times: (repeats, runs). Returns (repeats,), NaN where x or y has no spread.
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
