"""Runs that differ only in one dose, and how much of their trend the gain rule causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from snnviz import checks
from snnviz.evidence.pairs import interval
from snnviz.evidence.rows import CELL, cells, check_one_run_each
from snnviz.evidence.trends import dose_groups, with_response

if TYPE_CHECKING:
    from pandas import DataFrame

RULE, FIXED = "switched", "fixed gain"  # methods: the gain grows with a group's size, or does not
_TOLERANCE = 0.05  # numbers of examples that differ by no more than this share count as equal


def dosed(rows: DataFrame, dose: str, equal: Literal["epochs", "examples"] = "epochs") -> DataFrame:
    """The finished runs that differ only in this dose, of seeds that have every dose.

    A seed that lacks a dose is left out, because it would count at one end of the trend only.

    Args:
        dose: one of `DOSES`.
        equal: what is the same in all runs of a group. "epochs": if there are several numbers of
            epochs, the one that most doses have. "examples": the number of training examples that
            the runs of the highest dose in the group have, within 5 %, with any number of epochs.

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, there is no such dose, or no group has two doses.
    """
    import pandas as pd

    checks.one_of("equal", equal, ("epochs", "examples"))
    kept = []
    for _, runs in dose_groups(rows, dose):
        good = with_response(runs)
        same = _of_equal_epochs(good)
        if equal == "examples":
            examples, there = (same[name].to_numpy(float) for name in ("examples", "_dose"))
            wanted = float(np.median(examples[there == there.max()]))
            near = np.abs(good["examples"].to_numpy(float) / wanted - 1) <= _TOLERANCE
            same = cast("DataFrame", good[near])
        kept.append(_of_whole_seeds(same))
    return pd.concat(kept).drop(columns=["_dose", "_response"])


def _of_equal_epochs(runs: DataFrame) -> DataFrame:
    found = [part for _, part in cells(runs, ["epochs"])]
    return max(found, key=lambda part: (part["_dose"].nunique(), len(part)))


def _of_whole_seeds(runs: DataFrame) -> DataFrame:
    has = runs.groupby("seed")["_dose"].transform("nunique").to_numpy()
    doses = runs["_dose"].nunique()
    return cast("DataFrame", runs[(has == doses) & (doses > 1)])


def rule_by_dose(
    rows: DataFrame,
    dose: str,
    rule: str = RULE,
    fixed: str = FIXED,
    response: str = "off",
    level: float = 0.95,
) -> DataFrame:
    """The effect of the gain rule at each dose: one row per dose, and setting without the dose.

    Columns: those of the setting; dose, value (of the dose), pairs (seeds), rule, fixed (mean
    responses with each gain), difference, low, high (rule minus fixed in paired seeds).

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, there is no such dose, or a setting has two runs of one
            method and seed.
    """
    import pandas as pd

    table = []
    for group, wide in _pair_runs(rows, dose, rule, fixed, response):
        for value, ours in wide:
            table.append(group | {"dose": dose, "value": value} | _row(ours, level))
    return pd.DataFrame(table)


def rule_of_trend(
    rows: DataFrame,
    dose: str,
    rule: str = RULE,
    fixed: str = FIXED,
    response: str = "off",
    level: float = 0.95,
) -> DataFrame:
    """How much of the change from the lowest dose to the highest comes from the gain rule.

    One row per setting. For each seed that has both doses with both gains: the change of the
    response with the rule, minus its change with the fixed gain.

    Columns: those of the setting; dose, lowest, highest, pairs (seeds), rule, fixed (the change of
    the mean response with each gain), difference (the part that comes from the rule), low, high.

    Raises: as `rule_by_dose`.
    """
    import pandas as pd

    table = []
    for group, wide in _pair_runs(rows, dose, rule, fixed, response, whole=True):
        (lowest, first), (highest, last) = wide[0], wide[-1]
        ends = {"dose": dose, "lowest": lowest, "highest": highest}
        table.append(group | ends | _row(last - first, level))
    return pd.DataFrame(table)


def _row(pairs: np.ndarray, level: float) -> dict[str, float]:
    ours, theirs = pairs.T
    difference, low, high = interval(ours - theirs, level)
    means = {"rule": float(ours.mean()), "fixed": float(theirs.mean())}
    return {"pairs": len(ours)} | means | {"difference": difference, "low": low, "high": high}


Wide = list[tuple[float, np.ndarray]]  # (value of the dose, responses (seeds, 2): rule and fixed)


def _pair_runs(
    rows: DataFrame, dose: str, rule: str, fixed: str, response: str, whole: bool = False
) -> list[tuple[dict[str, Any], Wide]]:
    """For each setting, its columns and the paired responses at each dose.

    With `whole`, only seeds that have all doses count.
    """
    by = [name for name in CELL if name != dose]
    found = []
    for group, runs in dose_groups(rows, dose, response, by):
        for cell, some in cells(runs, [dose]):
            check_one_run_each(some, group | cell)
        good = with_response(runs).sort_values("_dose")
        at = {value: good[(good[dose] == value).to_numpy()] for value in good[dose].unique()}
        wide = {
            value: some.pivot(index="seed", columns="method", values="_response")
            .reindex(columns=[rule, fixed])
            .dropna()
            for value, some in at.items()
        }
        wide = {value: pairs for value, pairs in wide.items() if len(pairs)}
        if whole and wide:
            seeds = sorted(set.intersection(*(set(pairs.index) for pairs in wide.values())))
            wide = {value: pairs.loc[seeds] for value, pairs in wide.items()}
        pairs = [(float(value), each.to_numpy()) for value, each in wide.items() if len(each)]
        if pairs and not (whole and len(pairs) < 2):
            found.append((group, pairs))
    return found
