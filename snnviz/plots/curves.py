"""Learning curves: batches of both phases and the test split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from snnviz.plots.ends import End, label_ends
from snnviz.plots.paper import DARK, DASHES, MAX_MARKS, SWITCHER, TASK, every, note, paper_axes

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from snnviz.history import History

MAX_DOTS = 400  # a phase; more would run into one another


def learning_curves(
    history: History,
    ax: Axes | None = None,
    *,
    metric: Literal["accuracy", "loss"] = "accuracy",
) -> Axes:
    """Accuracy (%) or loss: batches of both phases, and the test split after each epoch.

    Batches are faint dots (of many, evenly chosen ones); the line is their running mean over half
    an epoch, but at least a fiftieth and at most a tenth of the run. The test split is marked and
    its last value written out. The first epoch's steep part may leave the plot, so that the end
    can be read. Before the first epoch ends the horizontal axis counts steps.

    Raises:
        ValueError: `metric` is neither "accuracy" nor "loss".
    """
    if metric not in ("accuracy", "loss"):
        raise ValueError(
            f"metric must be 'accuracy' or 'loss', got {metric!r}. "
            "Other columns are in history.steps and history.epochs."
        )
    axes = paper_axes(ax, height=2.2)
    unit = 100 if metric == "accuracy" else 1
    steps, epochs = history.steps, history.epochs
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy, %" if metric == "accuracy" else "loss")
    if len(steps) == 0 and len(epochs) == 0:
        return note(axes)

    position, length = _epoch_of(steps, epochs), len(epochs)
    if length == 0:  # nothing says yet how long an epoch is
        position, length = steps["step"].to_numpy(float), 1
        axes.set_xlabel("step")
    ends, seen = [], []
    # The steep start would flatten all the rest.
    read_from = 1 if length > 1 else 0.25 * position.max(initial=0)
    for phase, colour, dashes in (("task", TASK, DASHES[0]), ("switcher", SWITCHER, DASHES[1])):
        rows = (steps["phase"] == phase).to_numpy()
        if rows.any():
            x, batches = position[rows], unit * steps.loc[rows, metric].astype(float)
            name = f"{phase} phase"
            smooth = _draw_batches(axes, x, batches, length, color=colour, ls=dashes, label=name)
            ends.append(End(_last_finite(smooth), name, colour))
            seen.append(smooth[x >= read_from])
    test = unit * epochs[f"test_{metric}"].to_numpy(float)
    if len(test):
        mark: dict[str, Any] = {"marker": "o", "ms": 3.2, "mfc": "white", "mew": 0.9}
        mark |= {"color": DARK, "markevery": every(len(test), MAX_MARKS)}
        axes.plot(epochs["epoch"], test, lw=0.9, label="test", zorder=3, **mark)
        last = _last_finite(test)
        value = f"{last:.1f} %" if metric == "accuracy" else f"{last:.3f}"
        ends.append(End(last, f"test {value}", DARK))
    axes.set_ylim(_limits([*seen, test], 100 if metric == "accuracy" else np.inf))
    axes.set_xlim(0, 1.015 * max(position.max(initial=1), len(test)))  # room for the last mark
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=length > 2))
    label_ends(axes, ends)
    return axes


def _epoch_of(steps: DataFrame, epochs: DataFrame) -> np.ndarray:
    """Where each step lies on the axis of epochs; the one still running is as long as the last."""
    ends = np.concatenate([[0.0], epochs["step"].to_numpy(float)])  # (epochs + 1,)
    if len(ends) > 1:
        ends = np.append(ends, ends[-1] + max(ends[-1] - ends[-2], 1))
    return np.interp(steps["step"].to_numpy(float), ends, np.arange(len(ends)))


def _draw_batches(ax: Axes, x: np.ndarray, batches: Series, epochs: int, **line: Any) -> np.ndarray:
    """Faint dots and their running mean, which is returned."""
    share = min(max(0.5 / epochs, 0.02), 0.1)
    window = max(1, round(share * len(batches)))
    means = np.asarray(batches.rolling(window, min_periods=1, center=True).mean())
    some = slice(None, None, every(len(batches), MAX_DOTS))
    dots: dict[str, Any] = {"ls": "", "marker": "o", "ms": 1.1, "mew": 0, "alpha": 0.35}
    ax.plot(x[some], batches.iloc[some], color=line["color"], label="_batches", **dots)
    ax.plot(x, means, lw=1.1, **line)
    return means


def _last_finite(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values[-1]) if len(values) else float("nan")


def _limits(curves: Sequence[np.ndarray], ceiling: float) -> tuple[float, float]:
    """Limits around all values, with room, within 0 and the ceiling."""
    values = np.concatenate([np.empty(0), *curves])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return 0, min(1, ceiling)
    low, high = values.min(), values.max()
    room = max(0.1 * (high - low), 1e-3)
    return max(low - room, 0), min(high + room, ceiling)
