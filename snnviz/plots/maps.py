"""The switch map: every neuron's factor after every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, TwoSlopeNorm
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from snnviz.plots.names import shorten
from snnviz.plots.paper import (
    LINE,
    MOST_LETTERS,
    OFF,
    TALLEST,
    choose_groups,
    height_in_points,
    ink,
    label_step,
    note_no_epoch,
    paper_axes,
    text_size,
)
from snnviz.plots.scale import factor_norm, factor_scale, off_patch
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from snnviz.history import History


@figure_for_paper
def switch_map(
    history: History,
    group: str | None = None,
    ax: Axes | None = None,
    *,
    within: History | None = None,
) -> Axes:
    """Every neuron's factor after every epoch: which neurons went off, when, and which came back.

    Rows are neurons and columns are epochs. Rows are sorted by the last time that a neuron went
    off: the earliest on top, then the neurons that came back on, and at the bottom those that were
    never off. *Off* (a factor of exactly 0) is grey with a hatch. All other factors are on a
    colour scale with 1 in its middle; the largest 1 % may be beyond its upper end. A factor that
    is not a number is white.

    Without `group`, all groups are drawn above each other in one Axes, with one colour scale and
    heights proportional to the square root of their sizes. The images in `ax.images` are in the
    order of `history.groups`.

    Args:
        group: draw only this group.
        within: a longer history whose limits, colours and order of rows are used, so that moments
            of a run compare.

    Raises:
        TypeError: `history` is not a History.
        ValueError: there is no such group.
    """
    names, groups = choose_groups(history, group), history.groups
    axes = paper_axes(ax, height=min(2.3 + 0.3 * max(len(names) - 2, 0), TALLEST))
    axes.grid(False)  # a style's lines would lie on the colours
    axes.set_xlabel("epoch")
    axes.set_ylabel("neurons, first off on top")
    if group is not None:
        short = shorten([group], MOST_LETTERS)[group]
        between = "\n" if len(short) > 8 else " "  # a long line would leave the figure
        axes.set_ylabel(f"neurons of {short},{between}first off on top")
    factors = history.factors  # {group: (epochs, neurons)}, a new copy
    epochs = max(map(len, factors.values()), default=0)
    if epochs == 0:
        return note_no_epoch(axes)

    whole = factors if within is None else within.factors
    norm = factor_norm(np.concatenate([whole[name].ravel() for name in names]))
    cmap = matplotlib.colormaps["cividis"].with_extremes(under=OFF, bad="white")
    lines = 2 if len(names) <= 8 else 1  # of a group's label: its name, and its size below it
    smallest = lines * LINE * text_size(axes) / (0.85 * height_in_points(axes))
    bands = _bands({name: groups[name] for name in names}, smallest)
    for name, (bottom, top) in bands.items():
        rows = factors[name][:, _rows_by_switching_off(whole[name])].T  # (neurons, epochs)
        _draw_band(axes, rows, bottom, top, norm, cmap)
    axes.set_xlim(0.5, max(map(len, whole.values())) + 0.5)
    axes.set_ylim(min(b for b, _ in bands.values()), max(t for _, t in bands.values()))
    axes.set_aspect("auto")
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    axes.spines[:].set_visible(False)
    if group is None:
        _name_bands(axes, bands, groups, lines)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    factor_scale(axes, axes.images[-1])
    return axes


def _name_bands(
    ax: Axes, bands: dict[str, tuple[float, float]], sizes: Mapping[str, int], lines: int
) -> None:
    """Writes each group's name and size; of very many groups, only every second, third, …"""
    between = "\n" if lines == 2 else ": "
    step = label_step(ax, len(bands), lines)
    short = shorten(bands, MOST_LETTERS if lines == 2 else MOST_LETTERS - 4)
    named = list(bands)[::step]
    middles = [sum(bands[name]) / 2 for name in named]
    labels = [f"{short[name]}{between}{sizes[name]}" for name in named]
    ax.set_yticks(middles, labels, parse_math=False)
    ax.tick_params(axis="y", length=0)
    if step > 1:
        ax.set_ylabel(f"neurons, first off on top (one name for {step} groups)")


def _bands(sizes: dict[str, int], smallest: float) -> dict[str, tuple[float, float]]:
    """Bottom and top of each group, the first on top. One group alone is as high as its size.

    Args:
        sizes: {group: neurons}.
        smallest: the share of the height that a label needs; no group gets less if all fit.
    """
    if len(sizes) == 1:
        return {name: (0, n) for name, n in sizes.items()}
    heights = np.sqrt(list(sizes.values()))
    heights = np.maximum(heights, 0.15 * heights.max())
    share = min(1.15 * smallest, 1 / len(sizes))
    for _ in range(20):  # a group that grows makes the others' shares smaller
        heights = np.maximum(heights, share * heights.sum())
    tops = heights.sum() - np.cumsum(heights) + heights
    tops -= 0.12 * heights.mean() * np.arange(len(sizes))  # a gap between any two
    return {
        name: (float(top - height), float(top))
        for name, top, height in zip(sizes, tops, heights, strict=True)
    }


def _rows_by_switching_off(factors: np.ndarray) -> np.ndarray:
    """The order of neurons from the bottom row: never off, back on, off (last to first)."""
    off = factors == 0  # (epochs, neurons)
    begins = off & ~np.vstack([np.zeros_like(off[:1]), off[:-1]])
    epoch = np.arange(1, len(off) + 1)[:, None]
    last_begin = (begins * epoch).max(axis=0)  # 0: never
    kind = np.where(off[-1], 2, np.where(last_begin > 0, 1, 0))
    strength = np.where(np.isfinite(factors), factors, 0).mean(axis=0)
    return np.lexsort((-strength, -last_begin, kind))


def _draw_band(
    ax: Axes, rows: np.ndarray, bottom: float, top: float, norm: TwoSlopeNorm, cmap: Colormap
) -> None:
    n, epochs = rows.shape
    extent = (0.5, epochs + 0.5, bottom, top)
    # "nearest", because interpolation would show factors between off and on that do not exist.
    style: dict[str, Any] = {"interpolation": "nearest", "origin": "lower", "aspect": "auto"}
    ax.imshow(np.ma.masked_invalid(rows), norm=norm, cmap=cmap, extent=extent, **style)
    outline = _outline(rows == 0)
    vertices = np.asarray(outline.vertices) * [1, (top - bottom) / n] + [0.5, bottom]
    if len(vertices):
        ax.add_patch(off_patch(Path(vertices, outline.codes)))
    frame = Rectangle((0.5, bottom), epochs, top - bottom, fill=False, ec=ink(ax), lw=0.6)
    frame.set(clip_on=False, zorder=3)
    ax.add_patch(frame)


def _outline(off: np.ndarray) -> Path:
    """One path around all off cells (neurons, epochs), so that thin rows share one hatch.

    A range of epochs that is off in neighbouring rows becomes one rectangle.
    """
    edges = np.diff(np.pad(off.astype(np.int8), ((0, 0), (1, 1))), axis=1)  # (n, epochs + 1)
    runs = [set(zip(np.flatnonzero(e == 1), np.flatnonzero(e == -1), strict=True)) for e in edges]
    vertices, since = [], {}
    for row, now in enumerate([*runs, set()]):
        for run in sorted(since.keys() - now):
            (left, right), low = run, since.pop(run)
            vertices += [(left, low), (right, low), (right, row), (left, row), (left, low)]
        since |= dict.fromkeys(now - since.keys(), row)
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * (len(vertices) // 5)
    return Path(np.reshape(vertices, (-1, 2)).astype(float), codes)
