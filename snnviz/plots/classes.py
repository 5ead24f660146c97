"""Classes: which are taken for which, and how many images of each are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from snnviz import checks
from snnviz.plots.names import shorten
from snnviz.plots.paper import (
    FONT,
    MOST_LETTERS,
    TALLEST,
    TASK,
    TICK_SIZE,
    ink,
    label_step,
    paper_axes,
    write,
)
from snnviz.plots.settings import figure_for_paper
from snnviz.training import AlternatingTrainer, Predictions, predict

MOST_CELLS = 150  # classes up to which each cell has a pixel on every screen
MOST_NUMBERS = 12  # classes up to which each cell has its number
PALE, STRONG = "#FDFDFD", "#1B1B1B"  # numbers on dark and on light cells, on any page
SHARES = LinearSegmentedColormap.from_list("shares", ["#FFFFFE", TASK, "#00263D"])
ADVICE = "Give a trainer, or what snnviz.training.predict(trainer) returns."


@figure_for_paper
def confusion(predictions: Predictions | AlternatingTrainer, ax: Axes | None = None) -> Axes:
    """Which classes are taken for which: rows are true classes, columns are predicted ones.

    Each cell is a share of the row, in percent of the images of the true class; what is right is on
    the diagonal. With at most 12 classes each cell has its number, and a cell without any image has
    none. The row of a class without images is empty.

    Args:
        predictions: a trainer, whose test images are classified, or what `predict` returns.

    Raises:
        TypeError: `predictions` is neither.
    """
    found = _predictions_of(predictions)
    n = len(found.classes)
    axes = paper_axes(ax, height=3.0)
    axes.grid(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (each row: 100 %)")
    counts = found.confusion
    images = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.maximum(images, 1)  # (true, predicted)
    # Of more cells than pixels, the nearest ones would show a few at random.
    interpolation = "nearest" if n <= MOST_CELLS else "antialiased"
    image = axes.imshow(shares, cmap=SHARES, vmin=0, vmax=100, interpolation=interpolation)
    axes.set_aspect("auto")
    short = shorten(found.classes, MOST_LETTERS)
    step = label_step(axes, n, 1.4)  # the names below take some of the height
    places, names = range(0, n, step), [short[name] for name in found.classes][::step]
    axes.set_yticks(places, names, parse_math=False)
    axes.set_xticks(places, names, rotation=90, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    if n <= MOST_NUMBERS:
        _write_shares(axes, shares, counts)
    else:
        figure = axes.get_figure(root=True)
        assert isinstance(figure, Figure)
        bar = figure.colorbar(image, ax=axes)
        style = {"fontsize": TICK_SIZE, "fontfamily": FONT}
        bar.set_label("share of the true class, %", **style)
        bar.ax.tick_params(labelsize=TICK_SIZE, labelfontfamily=FONT)
    return axes


def _write_shares(axes: Axes, shares: np.ndarray, counts: np.ndarray) -> None:
    """Whole percent; less than that is "<1"."""
    for (row, column), share in np.ndenumerate(shares):
        if not counts[row, column]:
            continue
        text = f"{share:.0f}" if share >= 1 else "<1"
        colour = PALE if share > 45 else STRONG
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": TICK_SIZE - 1}
        write(axes, column, row, text, **style, color=colour)


@figure_for_paper
def class_accuracy(predictions: Predictions | AlternatingTrainer, ax: Axes | None = None) -> Axes:
    """The share of each class that is classified correctly, in percent: the best class on top.

    The dashed line is the accuracy on all images.

    Args:
        predictions: a trainer, whose test images are classified, or what `predict` returns.

    Raises:
        TypeError: `predictions` is neither.
    """
    found = _predictions_of(predictions)
    n = len(found.classes)
    axes = paper_axes(ax, height=min(max(2.0, 0.7 + 0.17 * n), TALLEST))
    axes.set_xlabel("accuracy, %")
    shares = 100 * found.class_accuracy
    order = np.argsort(np.where(np.isfinite(shares), -shares, 1), kind="stable")
    rows = np.arange(n)
    axes.barh(rows, np.nan_to_num(shares[order]), height=0.72, color=TASK)
    short = shorten(found.classes, MOST_LETTERS)
    step = label_step(axes, n)
    names = [short[found.classes[i]] for i in order]
    axes.set_yticks(rows[::step], names[::step], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 100)
    axes.set_ylim(n - 0.4, -0.9)
    for row in rows[::step]:
        share = shares[order[row]]
        text = f"{share:.1f}" if np.isfinite(share) else "no image"
        write(axes, 101.5, row, text, va="center", clip_on=False)
    axes.axvline(100 * found.accuracy, color=ink(axes), lw=0.8, ls=(0, (4, 2)))
    words = f"all images {100 * found.accuracy:.1f} %"
    write(axes, 100 * found.accuracy, -1.0, words, ha="right" if found.accuracy > 0.5 else "left")
    return axes


def _predictions_of(given: Any) -> Predictions:
    if isinstance(given, AlternatingTrainer):
        return predict(given)
    kinds = "a trainer or Predictions"
    checks.kind_of("predictions", given, Predictions, kinds, ADVICE)
    return given
