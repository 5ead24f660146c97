"""Runs that differ in one dose alone, and how much of their trend the gain's rule makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from snnviz.evidence.pairs import interval
from snnviz.evidence.rows import CELL, cells, once
from snnviz.evidence.trends import dose_groups, with_response

if TYPE_CHECKING:
    from pandas import DataFrame

RULE, FIXED = "switched", "fixed gain"  # methods: the gain grows with a group's size, or does not
_ENOUGH = 0.05  # numbers of examples that differ by no more than this share are as many


def dosed(rows: DataFrame, dose: str, equal: Literal["epochs", "examples"] = "epochs") -> DataFrame:
    """The finished runs that differ in this dose and in nothing else, of seeds that have each dose.

    A seed with some doses only is left out: it would weigh on one end of the trend.

    Args:
        dose: one of `DOSES`.
        equal: what all runs of a group have as much of. "epochs": where there are several numbers
            of epochs, the one that most doses have. "examples": whatever the epochs, as many
            training examples as the runs of the highest dose in that group, give or take 5 %.

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, there is no such dose, or no group has two doses.
    """
    import pandas as pd

    if equal not in ("epochs", "examples"):
        raise ValueError(f"equal must be 'epochs' or 'examples', got {equal!r}.")
    kept = []
    for _, runs in dose_groups(rows, dose):
        good = with_response(runs)
        same = _of_equal_epochs(good)
        if equal == "examples":
            examples, there = (same[name].to_numpy(float) for name in ("examples", "_dose"))
            wanted = float(np.median(examples[there == there.max()]))
            near = np.abs(good["examples"].to_numpy(float) / wanted - 1) <= _ENOUGH
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
    """What the gain's rule does at each dose: a row for each setting without the dose, and dose.

    Columns: those of the setting; dose, value (of the dose), pairs (seeds), rule, fixed (mean
    responses of both methods), difference, low, high (rule minus fixed in paired seeds).

    Raises:
        TypeError: `rows` is no DataFrame.
        ValueError: a column is missing, there is no such dose, or a setting holds two runs of one
            method and seed.
    """
    import pandas as pd

    table = []
    for group, wide in _paired(rows, dose, rule, fixed, response):
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
    """How much of the way from the lowest dose to the highest is the rule's: a row a setting.

    For each seed that has both ends with both gains: how far the response moves from the one to
    the other with the rule, minus how far it moves with the fixed gain.

    Columns: those of the setting; dose, lowest, highest, pairs (seeds), rule, fixed (how far the
    mean response moves with each), difference (the rule's part of the way), low, high.

    Raises: as `rule_by_dose`.
    """
    import pandas as pd

    table = []
    for group, wide in _paired(rows, dose, rule, fixed, response, whole=True):
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


def _paired(
    rows: DataFrame, dose: str, rule: str, fixed: str, response: str, whole: bool = False
) -> list[tuple[dict[str, Any], Wide]]:
    """{setting}, and paired responses at each dose; with `whole`, of seeds that have all doses."""
    by = [name for name in CELL if name != dose]
    found = []
    for group, runs in dose_groups(rows, dose, response, by):
        for cell, some in cells(runs, [dose]):
            once(some, group | cell)
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
