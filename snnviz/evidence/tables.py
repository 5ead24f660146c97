"""The tables of `claims` as Markdown, for the notebook and for docs/claims.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snnviz.evidence import words
from snnviz.evidence.claims import AIM, CONTROLS, MARGIN

if TYPE_CHECKING:
    from pandas import DataFrame

Columns = Mapping[str, tuple[str, str]]  # {column: (heading, format)}

SETTING = {"setting": ("network", "")}
INTERVAL = {"low": ("from", "+.2f%"), "high": ("to", "+.2f%")}
DIFFERENCE = {"pairs": ("pairs", ""), "difference": ("difference, points", "+.2f%")} | INTERVAL
VERDICT = {"verdict": ("verdict", "")}
SIZES = {
    "parameters_left": ("parameters left, %", ".0f%"),
    "against_parameters_left": ("control's parameters left, %", ".0f%"),
}
PART = {
    "rule": ("default gain", ".0f%"),
    "fixed": ("fixed gain", ".0f%"),
    "pairs": ("seeds", ""),
    "difference": ("effect of the gain rule, points", "+.0f%"),
    "low": ("from", "+.0f%"),
    "high": ("to", "+.0f%"),
}
NO_WORSE = f"no worse by more than {100 * MARGIN:g} points"
DOSE = {"dose": ("dose", ""), "equal": ("equal", "")} | SETTING


def overview(table: DataFrame) -> str:
    """The result of `claims.overview`."""
    accuracy = [
        f"{_written(row.difference, '+.2f%')} ({_between(row.low, row.high, '+.2f%')})"
        for row in words.rows_of(table)
    ]
    off = [
        f"{_written(row.off, '.0f%')} ({_between(row.off_low, row.off_high, '.0f%')})"
        for row in words.rows_of(table)
    ]
    columns = SETTING | {"pairs": ("seeds", ""), "accuracy": ("accuracy minus dense, points", "")}
    columns |= {"no_worse": (NO_WORSE, ""), "off": ("neurons off, %", "")}
    columns |= {f"{name}_off": (f"{words.method(name)}: off, %", ".0f%") for name in CONTROLS}
    return markdown(table.assign(accuracy=accuracy, off=off), columns)


def accuracy(table: DataFrame) -> str:
    """The result of `claims.against`."""
    verdicts = {"verdict": ("more accurate", ""), "no_worse": (NO_WORSE, "")}
    return markdown(table, SETTING | DIFFERENCE | verdicts)


def methods(table: DataFrame, heading: str, sizes: bool = False) -> str:
    """The result of `claims.rivals_at_equal_size`, `reading` or `reading_at_equal_size`.

    Args:
        heading: of the column with the other methods.
        sizes: whether there are columns for the parameters that are left.
    """
    columns = SETTING | {"against": (heading, "")} | DIFFERENCE | (SIZES if sizes else {})
    return markdown(_named(table), columns | VERDICT)


def at_sizes(table: DataFrame) -> str:
    """The result of `claims.at_asked_sizes`."""
    columns = SETTING | {"size": ("parameters left, %", ".0f%"), "against": ("method", "")}
    return markdown(_named(table), columns | DIFFERENCE | VERDICT)


def neurons_off(table: DataFrame) -> str:
    """The result of `claims.reading_by_neurons`."""
    columns = SETTING | {"against": ("control", ""), "pairs": ("pairs", "")}
    columns |= {"mean": ("neurons off, %", ".0f%"), "against_mean": ("control's, %", ".0f%")}
    columns |= {"difference": ("difference, points", "+.0f%")}
    columns |= {"low": ("from", "+.0f%"), "high": ("to", "+.0f%")}
    return markdown(_named(table), columns | VERDICT)


def compression(table: DataFrame) -> str:
    """The result of `claims.compression`."""
    columns = SETTING | {
        "runs": ("runs", ""),
        "off": ("neurons off, %", ".0f%"),
        "low": ("from", ".0f%"),
        "high": ("to", ".0f%"),
        "parameters_left": ("parameters left, %", ".0f%"),
        "verdict": ("compressed", ""),
        "aim": (f"by {AIM:.0%} or more".replace("%", " %"), ""),
    }
    return markdown(table, columns)


def trends(table: DataFrame) -> str:
    """The result of `claims.trends`."""
    names = [words.gain(name).removesuffix(" gain") for name in table["method"]]
    columns = DOSE | {"gain": ("gain", ""), "correlation": ("rank correlation", "+.2f")}
    columns |= {"low": ("from", "+.2f"), "high": ("to", "+.2f")}
    columns |= {"runs": ("runs", ""), "seeds": ("seeds", "")}
    return markdown(_in_steps(table.assign(gain=names)), columns | VERDICT)


def rule(table: DataFrame) -> str:
    """The result of `claims.rules` with `ends`: a row for each trend."""
    way = [
        f"{words.dose(row.dose, row.lowest)} to {words.dose(row.dose, row.highest)}"
        for row in words.rows_of(table)
    ]
    return markdown(_in_steps(table.assign(way=way)), DOSE | {"way": ("from … to", "")} | PART)


def rule_by_dose(table: DataFrame) -> str:
    """The result of `claims.rules` without `ends`: a row for each dose."""
    value = [words.dose(*pair) for pair in zip(table["dose"], table["value"], strict=True)]
    return markdown(_in_steps(table.assign(at=value)), DOSE | {"at": ("value", "")} | PART)


def tried(table: DataFrame) -> str:
    """The result of `claims.tried`, for one setting."""
    columns = {
        "method": ("setting", ""),
        "pairs": ("pairs", ""),
        "difference": ("difference, points", "+.2f%"),
        **INTERVAL,
        "off": ("neurons off, %", ".0f%"),
        "against_off": ("neurons off with the defaults, %", ".0f%"),
    }
    return markdown(table, columns)


def markdown(table: DataFrame, columns: Columns) -> str:
    """A table as text. A format that ends in "%" multiplies by 100."""
    heads = [head for head, _ in columns.values()]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in table.to_dict("records"):
        cells = [_written(row[name], form) for name, (_, form) in columns.items()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _named(table: DataFrame) -> DataFrame:
    """With the other methods' names as they are written."""
    return table.assign(against=[words.method(name) for name in table["against"]])


def _between(low: float, high: float, form: str) -> str:
    return f"{_written(low, form)} to {_written(high, form)}"


def _written(value: Any, form: str) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "–"
    return f"{100 * value:{form[:-1]}}" if form.endswith("%") else f"{value:{form}}"


def _in_steps(table: DataFrame) -> DataFrame:
    """With "steps" in the column `equal`, which is what readers call it."""
    return table.assign(equal=table["equal"].replace("examples", "steps"))
