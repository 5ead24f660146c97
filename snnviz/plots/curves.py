"""Learning curves of one run or several: batches of both phases, and the test split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from snnviz import checks
from snnviz.plots.ends import End, label_ends
from snnviz.plots.names import shorten
from snnviz.plots.paper import (
    DASHES,
    MARKERS,
    MAX_MARKS,
    MOST_LETTERS,
    RIVALS,
    SWITCHER,
    TALLEST,
    TASK,
    check_history,
    ink,
    mark_step,
    name_colours,
    name_runs,
    note_no_epoch,
    paper_axes,
)
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from snnviz.history import History

MAX_DOTS = 400  # per phase; more would overlap

Metric = Literal["accuracy", "loss"]
PHASES = ("task", "switcher")
UNITS = {"accuracy": "accuracy, %", "loss": "loss", "neurons_on": "neurons on, %"}
CEILINGS = {"accuracy": 100, "loss": np.inf}
LINES = {"task": (TASK, DASHES[0]), "switcher": (SWITCHER, DASHES[1])}


@figure_for_paper
def learning_curves(
    history: History,
    ax: Axes | None = None,
    *,
    metric: Metric = "accuracy",
    phases: Sequence[str] = PHASES,
    within: History | None = None,
) -> Axes:
    """Accuracy (%) or loss: batches of both phases, and the test split after each epoch.

    Faint dots are batches (an even selection, if there are many). The line is their running mean
    over half an epoch, but at least 2 % and at most 10 % of the run. The test split has markers,
    and its last value is given as a number. The steep part of the first epoch may be outside the
    limits, so that the end is readable. Before the first epoch ends, the horizontal axis shows
    steps.

    Args:
        phases: the phases whose batches are drawn, in addition to the test split.
        within: a longer history whose axis limits are used, so that moments of a run compare.

    Raises:
        TypeError: `history` is not a History.
        ValueError: `metric` is neither "accuracy" nor "loss", or there is no such phase.
    """
    listed = isinstance(phases, Iterable) and not isinstance(phases, str)
    phases = tuple(phases) if listed else (phases,)  # type: ignore[arg-type]
    table = curve_table(history, metric, phases)
    axes = paper_axes(ax, height=2.2)
    axes.set_xlabel("epoch")
    axes.set_ylabel(UNITS[metric])
    if len(table) == 0:
        return note_no_epoch(axes)

    length = int(np.sum(table["curve"] == "test"))
    if length == 0:  # the length of an epoch is not known yet
        axes.set_xlabel("step")
    ends, seen = [], []
    batches = table[table["curve"] != "test"]
    # The limits ignore the steep start, which would flatten the rest.
    read_from = 1 if length > 1 or len(batches) == 0 else 0.25 * batches["x"].max()
    for phase in phases:
        colour, dashes = LINES[phase]
        rows = cast("DataFrame", table[table["curve"] == f"{phase} phase"])
        if len(rows):
            _draw_batches(axes, rows, color=colour, ls=dashes, label=f"{phase} phase")
            smooth = np.asarray(rows["running_mean"])
            ends.append(End(_last_finite(smooth), f"{phase} phase", colour))
            seen.append(smooth[np.asarray(rows["x"]) >= read_from])
    test = table[table["curve"] == "test"]
    scores = np.asarray(test[metric])
    if len(test):
        mark: dict[str, Any] = {"marker": "o", "ms": 3.2, "mfc": axes.get_facecolor(), "mew": 0.9}
        mark |= {"color": ink(axes), "markevery": mark_step(len(test), MAX_MARKS)}
        axes.plot(test["x"], scores, lw=0.9, label="test", zorder=3, **mark)
        last = _last_finite(scores)
        ends.append(End(last, f"test {_format(last, metric)}", ink(axes)))
    if within is None:
        axes.set_ylim(limits_around([*seen, scores], CEILINGS[metric]))
        axes.set_xlim(0, 1.015 * max(np.max(table["x"]), 1))  # room for the last marker
    else:
        whole = learning_curves(within, metric=metric, phases=phases)
        axes.set(xlim=whole.get_xlim(), ylim=whole.get_ylim())
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=axes.get_xlim()[1] > 2.5))
    label_ends(axes, ends)
    return axes


def curve_table(
    history: History, metric: Metric = "accuracy", phases: Sequence[str] = PHASES
) -> DataFrame:
    """The numbers of `learning_curves`: one row per batch, and one per epoch for the test split.

    Columns: curve ("task phase", "switcher phase" or "test"), step, x (finished epochs; before the
    first one ends, the step), the metric (accuracy in %), running_mean (of batches).
    """
    import pandas as pd

    check_history("history", history)
    advice = "Other columns are in history.steps and history.epochs."
    checks.one_of("metric", metric, ("accuracy", "loss"), advice)
    for phase in phases:
        checks.one_of("phases", phase, PHASES)
    unit = 100 if metric == "accuracy" else 1
    steps, epochs = history.steps, history.epochs
    x = _epoch_of(steps, epochs) if len(epochs) else steps["step"].to_numpy(float)
    parts = []
    for phase in phases:
        rows = (steps["phase"] == phase).to_numpy()
        values = unit * steps.loc[rows, metric].astype(float)
        columns = {"curve": f"{phase} phase", "step": steps.loc[rows, "step"], "x": x[rows]}
        columns |= {metric: values, "running_mean": _smooth(values, len(epochs))}
        parts.append(pd.DataFrame(columns))
    test = unit * epochs[f"test_{metric}"].astype(float)
    columns = {"curve": "test", "step": epochs["step"], "x": epochs["epoch"].astype(float)}
    parts.append(pd.DataFrame({**columns, metric: test, "running_mean": np.nan}))
    filled = [part for part in parts if len(part)]  # an empty part would change the column types
    return pd.concat(filled or parts[:1], ignore_index=True)


@figure_for_paper
def compare_curves(
    histories: Mapping[str, History] | History,
    ax: Axes | None = None,
    *,
    metric: Literal["accuracy", "loss", "neurons_on"] = "accuracy",
    colours: Mapping[str, str] | None = None,
    within: Mapping[str, History] | History | None = None,
) -> Axes:
    """Several runs on the test split after each epoch: one line per run, with its last value.

    The first tenth of long runs may be outside the limits, so that the end is readable.

    Args:
        histories: {name of the run: its history}, or one history.
        metric: "accuracy" (%), "loss", or "neurons_on" (% of all neurons).
        colours: {name: colour}; other runs take the colours of the palette in turn.
        within: longer histories whose axis limits are used, so that moments of runs compare.

    Raises:
        TypeError: one of the histories is not a History.
        ValueError: there is no run, or no such metric.
    """
    checks.one_of("metric", metric, UNITS)
    named, own = name_runs(histories), name_colours(colours)
    axes = paper_axes(ax, height=min(max(2.2, 0.7 + 0.135 * len(named)), TALLEST))
    axes.set_xlabel("epoch")
    axes.set_ylabel(UNITS[metric] if metric == "neurons_on" else f"test {UNITS[metric]}")
    values = {name: _test_values(history, metric) for name, history in named.items()}
    longest = max(map(len, values.values()))
    if longest == 0:
        return note_no_epoch(axes)

    ends, short = [], shorten(named, MOST_LETTERS)
    for i, (name, curve) in enumerate(values.items()):
        look = run_look(i, own.get(name))
        if len(curve):
            marked: dict[str, Any] = {"markevery": mark_step(len(curve), MAX_MARKS), "zorder": 3}
            marked["clip_on"] = metric != "neurons_on"  # clipping would cut markers at 100 %
            axes.plot(np.arange(1, len(curve) + 1), curve, label=name, **look, **marked)
            last = _last_finite(curve)
            words = f"{short[name]} {_format(last, metric)}".strip()
            ends.append(End(last, words, ink(axes), look))
    if within is None:
        shown = [curve[len(curve) // 10 :] for curve in values.values()]
        axes.set_ylim(
            (0, 100) if metric == "neurons_on" else limits_around(shown, CEILINGS[metric])
        )
        room = 0.025 * (longest - 1)  # for the first and the last marker
        axes.set_xlim((0.5, 1.5) if longest == 1 else (1 - room, longest + room))
    else:
        whole = compare_curves(within, metric=metric)
        axes.set(xlim=whole.get_xlim(), ylim=whole.get_ylim())
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    label_ends(axes, ends, marked=True)
    return axes


def run_look(i: int, colour: str | None = None) -> dict[str, Any]:
    """The line style of the i-th of several runs, which also differs in grey print."""
    look: dict[str, Any] = {"color": colour or RIVALS[i % len(RIVALS)], "lw": 1.1, "ms": 3.2}
    return look | {
        "ls": DASHES[i // len(RIVALS) % len(DASHES)],
        "marker": MARKERS[i % len(MARKERS)],
    }


def _test_values(history: History, metric: str) -> np.ndarray:
    epochs = history.epochs
    if metric == "neurons_on":
        return 100 * epochs["neurons_on"].to_numpy(float) / epochs["neurons"].to_numpy(float)
    return (100 if metric == "accuracy" else 1) * epochs[f"test_{metric}"].to_numpy(float)


def _format(value: float, metric: str) -> str:
    return f"{value:.3f}" if metric == "loss" else f"{value:.{metric == 'accuracy':d}f} %"


def _epoch_of(steps: DataFrame, epochs: DataFrame) -> np.ndarray:
    """The place of each step in epochs. The current epoch is assumed as long as the last one."""
    ends = np.concatenate([[0.0], epochs["step"].to_numpy(float)])  # (epochs + 1,)
    if len(ends) > 1:
        ends = np.append(ends, ends[-1] + max(ends[-1] - ends[-2], 1))
    return np.interp(steps["step"].to_numpy(float), ends, np.arange(len(ends)))


def _smooth(batches: Series, epochs: int) -> np.ndarray:
    share = min(max(0.5 / max(epochs, 1), 0.02), 0.1)
    window = max(1, round(share * len(batches)))
    return np.asarray(batches.rolling(window, min_periods=1, center=True).mean())


def _draw_batches(ax: Axes, rows: DataFrame, **line: Any) -> None:
    """Faint dots and their running mean."""
    x, batches = rows["x"].to_numpy(), rows.iloc[:, 3].to_numpy()
    some = slice(None, None, mark_step(len(batches), MAX_DOTS))
    dots: dict[str, Any] = {"ls": "", "marker": "o", "ms": 1.1, "mew": 0, "alpha": 0.35}
    ax.plot(x[some], batches[some], color=line["color"], label="_batches", **dots)
    alone: dict[str, Any] = {"marker": "o", "ms": 2.5} if len(batches) == 1 else {}
    ax.plot(x, rows["running_mean"], lw=1.1, **line, **alone)  # one point alone makes no line


def _last_finite(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values[-1]) if len(values) else float("nan")


def limits_around(curves: Sequence[np.ndarray], ceiling: float) -> tuple[float, float]:
    """Limits around all values, with a margin, between 0 and the ceiling."""
    values = np.concatenate([np.empty(0), *curves])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return 0, min(1, ceiling)
    low, high = values.min(), values.max()
    span = high - low
    room = 0.1 * span if span > 0.002 * high else 0.01 * high  # flat curves need readable ticks
    room = max(room, 1e-3)
    return max(low - room, 0), min(high + room, ceiling)
