"""The tables behind the paper's three claims: what is compared with what, and each row's verdict.

Rows of a study as `benchmarks/studies/claims.toml` describes it in, tables out. The sentences that
go with them are in `words`. A setting is called by its network, and by what else is apart where a
network has several.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pandas as pd

from snnviz.evidence.doses import FIXED, RULE, dosed, rule_by_dose, rule_of_trend
from snnviz.evidence.pairs import at_equal_size, interval, paired, verdict
from snnviz.evidence.rows import CELL, cells, done, measured
from snnviz.evidence.trends import trend

if TYPE_CHECKING:
    from pandas import DataFrame

OURS = "switched"
CONTROLS = ("free", "random_features", "shuffled")
BASELINES = ("dense", "dense_longer")
MARKER = "magnitude"  # a setting with this method is one that all rivals are run in
AIM = 0.4  # share of neurons off that the project set itself
LEAST = 3  # pairs or seeds: from fewer there is no verdict
NO_VERDICT = "no verdict"


class Asked(NamedTuple):
    """A trend that claim 3 speaks of: what is equal meanwhile, and which sign is expected."""

    dose: str
    equal: Any
    want: Any


# Fewer classes or images are fewer steps as well, so that these two are asked twice.
TRENDS = (
    Asked("width", "epochs", "above"),
    Asked("classes", "epochs", "below"),
    Asked("classes", "examples", "below"),
    Asked("noise", "epochs", "below"),
    Asked("share", "epochs", "above"),
    Asked("share", "examples", "above"),
)


def found(low: float, high: float, count: int, want: Any = "above") -> str:
    """A verdict, unless it would come from fewer than three pairs or seeds."""
    return NO_VERDICT if count < LEAST else verdict(low, high, want)


def compared(rows: DataFrame) -> DataFrame:
    """The runs of the settings that all methods were run in; the others are doses of claim 3."""
    return rows.groupby(list(CELL)).filter(lambda runs: MARKER in set(runs["method"]))


def against(full: DataFrame, method: str = "dense") -> DataFrame:
    """Claim 1: the switched network minus another, a row a setting."""
    return _judged(paired(full, OURS, against=method))


def rivals_at_equal_size(full: DataFrame) -> DataFrame:
    """Claim 1: the switched network minus each rival of the literature, where sizes are equal."""
    own = (*BASELINES, OURS, *CONTROLS)
    names = sorted(set(full["method"][~full["kind"].isin(own).to_numpy()]))
    return _judged(at_equal_size(full, OURS, names))


def compression(full: DataFrame) -> DataFrame:
    """Claim 2: the share of neurons off, a row a setting.

    Columns: setting, network, runs, off, low, high, parameters_left, verdict, aim (the verdict on
    40 % or more).
    """
    switched = done(cast("DataFrame", full[(full["method"] == OURS).to_numpy()]))
    table = []
    for cell, runs in cells(switched, CELL):
        off = measured(runs, "off", "value")
        (mean, low, high), n = interval(off), len(runs)
        said = found(low, high, n) if off.any() or n < LEAST else "does not hold"
        row = {"runs": n, "off": mean, "low": low, "high": high}
        row["parameters_left"] = float(measured(runs, "parameters_left", "value").mean())
        row |= {"verdict": said, "aim": found(low - AIM, high - AIM, n)}
        table.append(cell | row)
    return _named(pd.DataFrame(table))


def reading(full: DataFrame) -> DataFrame:
    """The switched network minus each control, each at its own size."""
    return _judged(pd.concat([paired(full, OURS, against=name) for name in _controls(full)]))


def reading_at_equal_size(full: DataFrame) -> DataFrame:
    """The same where sizes are equal, which leaves few pairs or none."""
    return _judged(at_equal_size(full, OURS, _controls(full)))


def _controls(full: DataFrame) -> list[str]:
    return [name for name in CONTROLS if name in set(full["method"])]


def doses(rows: DataFrame) -> list[tuple[Asked, DataFrame]]:
    """Claim 3: the runs of each trend that is asked for and that there are runs of."""
    trained = cast("DataFrame", rows[rows["method"].isin([RULE, FIXED]).to_numpy()])
    kept = []
    for asked in TRENDS:
        try:
            runs = dosed(trained, asked.dose, asked.equal)
        except ValueError:  # no network has two of these doses
            continue
        if len(runs):
            kept.append((asked, runs))
    return kept


def trends(runs: Iterable[tuple[Asked, DataFrame]]) -> DataFrame:
    """Claim 3: the rank correlation of dose and share off, a row a dose, setting and gain.

    Columns: setting, dose, equal (epochs or examples), method, those of `trend`, verdict.
    """
    tables = []
    for asked, some in runs:
        table = _named(trend(some, asked.dose))
        numbers = zip(table["low"], table["high"], table["seeds"], strict=True)
        judged = [found(low, high, n, asked.want) for low, high, n in numbers]
        tables.append(table.assign(equal=asked.equal, verdict=judged))
    order = ["setting", "dose", "equal", "method", "correlation", "low", "high", "runs", "seeds"]
    return cast("DataFrame", pd.concat(tables, ignore_index=True)[[*order, "doses", "verdict"]])


def rules(runs: Iterable[tuple[Asked, DataFrame]], ends: bool = False) -> DataFrame:
    """Claim 3: share off with the default gain minus with the fixed one, a row a dose and setting.

    With `ends`, a row a trend: how far both move from the lowest dose to the highest.
    """
    made = rule_of_trend if ends else rule_by_dose
    tables = [_named(made(some, asked.dose)).assign(equal=asked.equal) for asked, some in runs]
    values = ["lowest", "highest"] if ends else ["value"]
    order = ["setting", "dose", "equal", *values, "rule", "fixed", "difference", "low", "high"]
    return cast("DataFrame", pd.concat(tables, ignore_index=True)[[*order, "pairs"]])


def tried(choice: DataFrame) -> DataFrame:
    """Every setting of the study that chose the defaults, minus the defaults; the best first."""
    table = _judged(paired(choice, against=OURS))
    return table.sort_values(["setting", "difference"], ascending=[True, False], ignore_index=True)


def _judged(table: DataFrame) -> DataFrame:
    numbers = zip(table["low"], table["high"], table["pairs"], strict=True)
    named = _named(table.assign(verdict=[found(*each) for each in numbers]))
    return named.sort_values("setting", kind="stable", ignore_index=True)


def _named(table: DataFrame) -> DataFrame:
    """With a column `setting` in front."""
    axes = [name for name in CELL if name in table.columns and name != "network"]
    apart = table.groupby("network")[axes].nunique()
    names = []
    for row in table.to_dict("records"):
        more = [name for name in axes if apart.loc[row["network"], name] > 1]
        names.append(", ".join([row["network"], *(f"{name} {row[name]}" for name in more)]))
    table = table.reset_index(drop=True)
    table.insert(0, "setting", names)
    return table
