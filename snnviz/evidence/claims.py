"""The tables behind the paper's three claims, with a verdict in each row.

The functions take the rows of the study in `benchmarks/studies/claims.toml` and return tables; the
sentences about them are in `words`. A setting is named after its network. If a network has several
settings, the name also says in what they differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import pandas as pd

from snnviz.evidence.doses import FIXED, RULE, dosed, rule_by_dose, rule_of_trend
from snnviz.evidence.pairs import at_equal_size, interval, paired, verdict
from snnviz.evidence.rows import CELL, cells, finished_runs, measure, runs_of
from snnviz.evidence.trends import trend

if TYPE_CHECKING:
    from pandas import DataFrame

OURS = "switched"
CONTROLS = ("free", "random_features", "shuffled")
BASELINES = ("dense", "dense_longer")
MARKER = "magnitude"  # all rivals are run in the settings that have this method
MARGIN = 0.002  # a loss of accuracy up to this is small: 0.2 points
AIM = 0.4  # the project's goal for the share of neurons off
LEAST = 3  # pairs or seeds that a verdict needs
LEAST_STEPS = 800  # of the switcher, in each run: in far fewer it has learned nothing
NO_VERDICT = "no verdict"
TOO_SHORT = "too short"


class Asked(NamedTuple):
    """A trend of claim 3: the dose, what else is equal, and the expected sign."""

    dose: str
    equal: Any
    want: Any


# Runs with fewer classes or images also have fewer steps, so these two are asked for twice.
TRENDS = (
    Asked("width", "epochs", "above"),
    Asked("classes", "epochs", "below"),
    Asked("classes", "examples", "below"),
    Asked("noise", "epochs", "below"),
    Asked("share", "epochs", "above"),
    Asked("share", "examples", "above"),
)


def judge(low: float, high: float, count: int, want: Any = "above") -> str:
    """The verdict on an interval; with fewer than three pairs or seeds there is none."""
    return NO_VERDICT if count < LEAST else verdict(low, high, want)


def compared(rows: DataFrame) -> DataFrame:
    """The runs of the settings in which all methods were run; the others serve claim 3 only.

    Without the runs that were asked for a size: see `at_asked_sizes`.
    """
    own = _without_size(rows)
    return own.groupby(list(CELL)).filter(lambda runs: MARKER in set(runs["method"]))


def overview(full: DataFrame) -> DataFrame:
    """What a reader wants to know first, one row per setting.

    Columns: setting, pairs, difference, low, high, no_worse as in `against`; off, off_low, off_high
    as in `compression`; shuffled_off, random_features_off, free_off: mean shares of neurons off of
    the controls, NaN if there are none.
    """
    table = against(full)[["setting", "pairs", "difference", "low", "high", "no_worse"]]
    size = compression(full).rename(columns={"low": "off_low", "high": "off_high"})
    table = table.merge(size[["setting", "off", "off_low", "off_high"]], on="setting")
    others = _by_control(full, "off")
    for name in CONTROLS:
        means = {
            row["setting"]: row["against_mean"]
            for row in others.to_dict("records")
            if row["against"] == name
        }
        table[f"{name}_off"] = [means.get(each, float("nan")) for each in table["setting"]]
    return table


def against(full: DataFrame, method: str = "dense") -> DataFrame:
    """Claim 1: the switched network minus another method, one row per setting.

    Columns: setting, those of `paired`, verdict (better), no_worse (the verdict on a loss of at
    most `MARGIN`: it holds if the whole interval is above -0.2 points).
    """
    table = _add_verdicts(paired(full, OURS, against=method), full)
    return table.assign(no_worse=_verdicts(table, full, above=-MARGIN))


def rivals_at_equal_size(full: DataFrame) -> DataFrame:
    """Claim 1: the switched network minus each published method, at equal size."""
    own = (*BASELINES, OURS, *CONTROLS)
    names = sorted(set(full["method"][~full["kind"].isin(own).to_numpy()]))
    return _add_verdicts(at_equal_size(full, OURS, names), full)


def compression(full: DataFrame) -> DataFrame:
    """Claim 2: the share of neurons off, one row per setting.

    Columns: setting, network, runs, off, low, high, parameters_left, verdict, aim (the verdict on
    40 % or more off).
    """
    table = []
    for cell, runs in cells(finished_runs(runs_of(full, OURS)), CELL):
        off = measure(runs, "off", "value")
        mean, low, high = interval(off)
        row = {"runs": len(runs), "off": mean, "low": low, "high": high}
        row["parameters_left"] = float(measure(runs, "parameters_left", "value").mean())
        table.append(cell | row)
    table = _add_setting(pd.DataFrame(table))
    aim = _verdicts(table, full, "runs", above=AIM)
    # If no neuron is off in any run, the interval is 0 and decides nothing, but the claim is wrong.
    verdicts = [
        "does not hold" if verdict == "undecided" and off == 0 else verdict
        for verdict, off in zip(_verdicts(table, full, "runs"), table["off"], strict=True)
    ]
    return table.assign(verdict=verdicts, aim=aim)


def at_asked_sizes(rows: DataFrame) -> DataFrame:
    """Claim 1 at the sizes that runs were asked for: the switched network minus each other method.

    One row per setting, size and method; empty if no run was asked for a size.

    Columns: setting, size (the share of the parameters that was asked for), those of `paired`,
    verdict.
    """
    sizes, parts = _asked_sizes(rows), []
    for size in sorted(set(sizes[~np.isnan(sizes)]), reverse=True):
        runs = cast("DataFrame", rows[sizes == size])
        for name in sorted(set(runs["method"]) - {OURS}):
            table = paired(runs, OURS, against=name)
            parts.append(_add_verdicts(table, runs).assign(size=size))
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts)
    return table.sort_values(
        ["setting", "size"], ascending=[True, False], kind="stable", ignore_index=True
    )


def reading(full: DataFrame) -> DataFrame:
    """The switched network minus each control, each at its own size."""
    return _by_control(full, "test_accuracy")


def reading_by_neurons(full: DataFrame) -> DataFrame:
    """The same for the share of neurons off, each at its own accuracy."""
    return _by_control(full, "off")


def reading_at_equal_size(full: DataFrame) -> DataFrame:
    """The same at equal size, which leaves few pairs or none."""
    return _add_verdicts(at_equal_size(full, OURS, _controls(full)), full)


def _by_control(full: DataFrame, value: str) -> DataFrame:
    tables = [paired(full, OURS, against=name, value=value) for name in _controls(full)]
    return _add_verdicts(pd.concat(tables), full) if tables else pd.DataFrame()


def _controls(full: DataFrame) -> list[str]:
    return [name for name in CONTROLS if name in set(full["method"])]


def doses(rows: DataFrame) -> list[tuple[Asked, DataFrame]]:
    """Claim 3: the runs of each trend in `TRENDS` for which there are runs."""
    own = _without_size(rows)
    trained = cast("DataFrame", own[own["method"].isin([RULE, FIXED]).to_numpy()])
    kept = []
    for asked in TRENDS:
        try:
            runs = dosed(trained, asked.dose, asked.equal)
        except ValueError:  # no network has runs of two of these doses
            continue
        if len(runs):
            kept.append((asked, runs))
    return kept


def trends(runs: Iterable[tuple[Asked, DataFrame]]) -> DataFrame:
    """Claim 3: the rank correlation of dose and share off, one row per dose, setting and gain.

    Columns: setting, dose, equal (epochs or examples), method, those of `trend`, verdict.
    """
    tables = []
    for asked, some in runs:
        table = _add_setting(trend(some, asked.dose))
        judged = _verdicts(table, some, "seeds", want=asked.want)
        tables.append(table.assign(equal=asked.equal, verdict=judged))
    order = ["setting", "dose", "equal", "method", "correlation", "low", "high", "runs", "seeds"]
    return cast("DataFrame", pd.concat(tables, ignore_index=True)[[*order, "doses", "verdict"]])


def rules(runs: Iterable[tuple[Asked, DataFrame]], ends: bool = False) -> DataFrame:
    """Claim 3: the share off with the default gain minus that with the fixed gain.

    One row per dose and setting. With `ends`, one row per trend: how much the share off changes
    from the lowest dose to the highest.
    """
    made = rule_of_trend if ends else rule_by_dose
    tables = [
        _add_setting(made(some, asked.dose)).assign(equal=asked.equal) for asked, some in runs
    ]
    values = ["lowest", "highest"] if ends else ["value"]
    order = ["setting", "dose", "equal", *values, "rule", "fixed", "difference", "low", "high"]
    return cast("DataFrame", pd.concat(tables, ignore_index=True)[[*order, "pairs"]])


def tried(choice: DataFrame) -> DataFrame:
    """Each variant in the study that chose the defaults, minus the defaults; the best first.

    Without the runs that were asked for a size.
    """
    own = _without_size(choice)
    table = _add_verdicts(paired(own, against=OURS), own)
    return table.sort_values(["setting", "difference"], ascending=[True, False], ignore_index=True)


def _add_verdicts(table: DataFrame, rows: DataFrame) -> DataFrame:
    named = _add_setting(table.assign(verdict=_verdicts(table, rows)))
    return named.sort_values("setting", kind="stable", ignore_index=True)


def _verdicts(
    table: DataFrame, rows: DataFrame, counted: str = "pairs", above: float = 0, want: Any = "above"
) -> list[str]:
    """For each row of the table, unless a switched run of its setting was too short."""
    switched = finished_runs(runs_of(rows, OURS))
    short = cast("DataFrame", switched[_steps(switched) < LEAST_STEPS])
    axes = [name for name in CELL if name in table.columns]
    without = set(short[axes].itertuples(index=False, name=None))
    settings = table[axes].itertuples(index=False, name=None)
    numbers = zip(table["low"] - above, table["high"] - above, table[counted], strict=True)
    return [
        TOO_SHORT if setting in without else judge(*each, want)
        for setting, each in zip(settings, numbers, strict=True)
    ]


def _steps(rows: DataFrame) -> np.ndarray:
    """How many steps the switcher took in each run, to within the last batches of the epochs."""
    batches = [plan["batch_size"] for plan in _schedules(rows)]
    return np.ceil(rows["switcher_examples"].to_numpy(float) / np.array(batches, float))


def _without_size(rows: DataFrame) -> DataFrame:
    return cast("DataFrame", rows[np.isnan(_asked_sizes(rows))])


def _asked_sizes(rows: DataFrame) -> np.ndarray:
    """The size that the schedule of each run asks for; NaN if it asks for none."""
    return np.array([plan.get("size") for plan in _schedules(rows)], float)


def _schedules(rows: DataFrame) -> list[dict[str, Any]]:
    return [json.loads(settings)["schedule"] for settings in rows["settings"]]


def _add_setting(table: DataFrame) -> DataFrame:
    """The table with a first column `setting`."""
    axes = [name for name in CELL if name in table.columns and name != "network"]
    apart = table.groupby("network")[axes].nunique()
    names = []
    for row in table.to_dict("records"):
        more = [name for name in axes if apart.loc[row["network"], name] > 1]
        names.append(", ".join([row["network"], *(f"{name} {row[name]}" for name in more)]))
    table = table.reset_index(drop=True)
    table.insert(0, "setting", names)
    return table
