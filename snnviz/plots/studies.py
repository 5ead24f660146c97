"""Figures of studies: accuracy against size, and compression against a dose.

They take the rows of `snnviz.sweep.read`. Bars are 95 % intervals (Student's t) of the mean over
seeds; one seed alone has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from snnviz import checks
from snnviz.evidence.pairs import interval
from snnviz.evidence.rows import CELL, check_rows, finished_runs, measure, runs_of, varying_columns
from snnviz.evidence.trends import dose_groups, with_response
from snnviz.plots.curves import limits_around, run_look
from snnviz.plots.ends import End, label_ends
from snnviz.plots.methods import in_words, method_looks, setting_in_words
from snnviz.plots.names import shorten
from snnviz.plots.paper import MOST_LETTERS, TALLEST, ink, paper_axes
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from pandas import DataFrame

SIZES = {"parameters": "parameters left, %", "macs": "MACs left, %"}
DOSES = {
    "width": "width of the network",
    "classes": "classes",
    "noise": "noise (standard deviation; white is 1)",
    "share": "share of the training images, %",
}
RESPONSES = {
    "off": "neurons off, %",
    "parameters_left": "parameters left, %",
    "macs_left": "MACs left, %",
}
MOST_DOSE_LETTERS = 22  # of all doses together, so that they fit beside long names
DOT: dict[str, Any] = {"ls": "", "marker": "o", "ms": 1.8, "mew": 0, "alpha": 0.4}


@figure_for_paper
def accuracy_vs_size(
    rows: DataFrame,
    ax: Axes | None = None,
    *,
    size: Literal["parameters", "macs"] = "parameters",
    within: DataFrame | None = None,
) -> Axes:
    """Test accuracy (%) against the size left (%): one marker per method, for one setting.

    A marker is the mean over seeds, thin bars are 95 % intervals in both directions, and faint
    dots are runs. The dense network is a horizontal band: its mean and interval. If a method has
    several runs per seed, the smallest ones form one marker, the next ones another, and a line
    joins them. The names on the right have the most accurate method on top.

    Args:
        size: "parameters" or "macs" of the network without its off neurons.
        within: more rows, whose axis limits are used, so that figures compare.

    Raises:
        TypeError: `rows` is not a DataFrame.
        ValueError: no run finished, a column is missing, there is no such size, or `rows` contain
            several settings.
    """
    checks.one_of("size", size, SIZES)
    columns = [*CELL, "method", "kind", "seed", size, f"{size}_before", "test_accuracy"]
    rows = _one_setting(finished_runs(check_rows(rows, columns)))
    points = _points(rows, size)
    looks = method_looks(zip(points["method"], points["kind"], strict=True))
    axes = paper_axes(ax, height=min(max(2.3, 0.7 + 0.135 * len(looks)), TALLEST))
    axes.set_xlabel(SIZES[size])
    axes.set_ylabel("test accuracy, %")
    ends, short = [], shorten(map(in_words, looks), MOST_LETTERS + 4)
    for method, look in looks.items():
        runs = runs_of(points, method)
        draw = _draw_band if runs["kind"].iloc[0] == "dense" else _draw_sizes
        ends.append(End(draw(axes, runs, method, look), short[in_words(method)], ink(axes), look))
    shown = points if within is None else _points(finished_runs(check_rows(within, columns)), size)
    axes.set_xlim(*_around(shown["_x"].to_numpy()))
    axes.set_ylim(*limits_around([shown["_y"].to_numpy()], 100))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    label_ends(axes, ends, marked=True)
    return axes


def _one_setting(rows: DataFrame) -> DataFrame:
    if several := varying_columns(rows):
        raise ValueError(
            f"rows must contain one setting, got several values of {', '.join(several)}. "
            f"Select one first: rows[rows[{several[0]!r}] == {rows[several[0]].tolist()[0]!r}]."
        )
    return rows


def _points(rows: DataFrame, size: str) -> DataFrame:
    """The runs that have an accuracy, with _x and _y in %."""
    x, y = 100 * measure(rows, f"{size}_left", "size"), 100 * rows["test_accuracy"]
    return cast("DataFrame", rows.assign(_x=x, _y=y)[np.isfinite(y.to_numpy(float))])


def _draw_band(ax: Axes, runs: DataFrame, method: str, look: dict[str, Any]) -> float:
    """Draws a mean and its interval across the whole width; returns the mean."""
    mean, low, high = interval(runs["_y"])
    if np.isfinite(low):
        ax.axhspan(low, high, color=look["color"], alpha=0.2, lw=0, label=f"_interval of {method}")
    ax.axhline(mean, color=look["color"], lw=0.9, label=method, zorder=1)
    return mean


def _draw_sizes(ax: Axes, runs: DataFrame, method: str, look: dict[str, Any]) -> float:
    """Draws dots, and a marker with bars for each size; returns the mean at the largest size."""
    runs = runs.sort_values("_x", kind="stable")
    ax.plot(runs["_x"], runs["_y"], color=look["color"], label=f"_runs of {method}", **DOT)
    nth = runs.groupby("seed").cumcount()  # 0: each seed's smallest run
    x, y = (
        np.array([interval(runs.loc[nth == i, name]) for i in range(nth.max() + 1)]).T
        for name in ("_x", "_y")
    )  # (mean, low and high, sizes)
    bar: dict[str, Any] = {"color": look["color"], "lw": 0.7, "label": f"_interval of {method}"}
    for draw, at, (_, low, high) in ((ax.vlines, x[0], y), (ax.hlines, y[0], x)):
        known = np.isfinite(low)
        draw(at[known], low[known], high[known], **bar)
    ax.plot(x[0], y[0], lw=0.7, label=method, zorder=3, **look)
    return float(y[0][-1])


def _around(values: np.ndarray) -> tuple[float, float]:
    low, high = values.min(), values.max()
    room = max(0.05 * (high - low), 1)
    return max(low - room, 0), high + room


@figure_for_paper
def compression_trend(
    rows: DataFrame,
    dose: str,
    ax: Axes | None = None,
    *,
    response: str = "off",
    by: Sequence[str] | None = None,
    within: DataFrame | None = None,
) -> Axes:
    """Neurons off (%) against the width of the network or the difficulty of the task.

    Each group is a line with its name at the end: means over seeds with 95 % intervals. Faint dots
    are runs. The doses have equal distances, because a rank correlation (`evidence.trend`) uses
    only their order. Groups with a single dose are left out.

    Args:
        dose: "width", "classes", "noise" or "share".
        response: "off", "parameters_left", "macs_left" (as %), or a column as it is.
        by: the columns that define a group; if left out, the setting without the dose, and the
            method.
        within: more rows, whose axis limits are used, so that figures compare.

    Raises:
        TypeError: `rows` is not a DataFrame.
        ValueError: as in `evidence.trend`.
    """
    groups = dose_groups(rows, dose, response, by)
    names = _group_names([group for group, _ in groups])
    axes = paper_axes(ax, height=min(max(2.2, 0.8 + 0.14 * len(groups)), TALLEST))
    axes.set_xlabel(DOSES[dose])
    axes.set_ylabel(RESPONSES.get(response, response.replace("_", " ")))
    unit = 100 if response in RESPONSES else 1
    runs = [with_response(part) for _, part in groups]
    shown = runs
    if within is not None:
        shown = [with_response(part) for _, part in dose_groups(within, dose, response, by)]
    doses = np.unique(np.concatenate([part["_dose"].to_numpy() for part in [*runs, *shown]]))
    looks = _group_looks(groups)
    ends, short = [], shorten(names, MOST_LETTERS + 4)
    gap = min(0.04, 0.5 / len(groups))  # so that bars do not overlap, and stay with their dose
    for i, (name, part, look) in enumerate(zip(names, runs, looks, strict=True)):
        aside = gap * (i - (len(groups) - 1) / 2)
        part = part.assign(_x=np.searchsorted(doses, part["_dose"]) + aside)
        part = part.assign(_y=unit * part["_response"]).sort_values("_x", kind="stable")
        ends.append(End(_draw_line(axes, part, name, look), short[name], ink(axes), look))
    words = [_format_dose(dose, value) for value in doses]
    step = math.ceil(len(words) * max(map(len, words)) / MOST_DOSE_LETTERS)
    axes.set_xticks(range(len(words)), [w if i % step == 0 else "" for i, w in enumerate(words)])
    axes.set_xlim(-0.3, len(doses) - 0.7)
    values = unit * np.concatenate([part["_response"].to_numpy() for part in shown])
    values = np.append(values, axes.dataLim.intervaly)  # intervals, too
    low, high = limits_around([values], 100 if unit == 100 else np.inf)
    axes.set_ylim(0 if response == "off" else low, high)
    label_ends(axes, ends, marked=len(groups) > 1)
    return axes


def _group_names(groups: list[dict[str, Any]]) -> list[str]:
    """Names each group by what distinguishes it; a single group by its method."""
    varied = [key for key in groups[0] if len({str(group[key]) for group in groups}) > 1]
    varied = varied or [key for key in ("method", *groups[0]) if key in groups[0]][:1]
    return [setting_in_words({key: group[key] for key in varied}) for group in groups]


def _group_looks(groups: list[tuple[dict[str, Any], DataFrame]]) -> list[dict[str, Any]]:
    """The styles of methods if groups are methods; otherwise the styles of runs in turn."""
    methods = [group.get("method") for group, _ in groups]
    if None in methods or len(set(methods)) < len(methods):
        return [run_look(i) for i in range(len(groups))]
    kinds = [(str(group["method"]), str(runs["kind"].iloc[0])) for group, runs in groups]
    looks = method_looks(kinds)
    return [{**looks[method], "ls": "-", "lw": 1.1} for method, _ in kinds]


def _draw_line(ax: Axes, runs: DataFrame, name: str, look: dict[str, Any]) -> float:
    """Draws runs as dots, and their means with bars; returns the last mean."""
    ax.plot(runs["_x"], runs["_y"], color=look["color"], label=f"_runs of {name}", **DOT)
    x = np.unique(runs["_x"])
    y = np.array([interval(runs.loc[runs["_x"] == each, "_y"]) for each in x]).T
    bar: dict[str, Any] = {"color": look["color"], "lw": 0.7, "label": f"_interval of {name}"}
    known = np.isfinite(y[1])
    ax.vlines(x[known], y[1][known], y[2][known], **bar)
    ax.plot(x, y[0], label=name, zorder=3, **look)
    return float(y[0][-1])


def _format_dose(dose: str, value: float) -> str:
    if dose == "width":
        return f"×{value:g}"
    if dose == "share":
        return f"{100 * value:g}"
    return f"{value:g}" if np.isfinite(value) else "all"
