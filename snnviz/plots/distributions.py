"""The distribution of each group's factors after one epoch, with the share that is off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from snnviz.plots.names import shorten
from snnviz.plots.paper import (
    MOST_LETTERS,
    TALLEST,
    choose_groups,
    ink,
    label_step,
    mark_step,
    note_no_epoch,
    paper_axes,
    write,
)
from snnviz.plots.scale import factor_norm, off_patch
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from snnviz.history import History

BARS = 40
MAX_EPOCHS = 50  # an even selection, from which the end of the scale is computed
ROW = 1.45  # from one group's base line to the next; bars are at most 1 high
OFF_AT = (-0.24, -0.1)  # the position of the share that is off, as a share of the scale


@figure_for_paper
def factor_distribution(
    history: History,
    epoch: int | None = None,
    ax: Axes | None = None,
    *,
    group: str | None = None,
    within: History | None = None,
) -> Axes:
    """Histograms of the factors after an epoch: one row per group, with the share that is off.

    Off is not a value of the scale, so it is shown apart on the left: the hatched part of the
    frame is the share of neurons that are off. The bars count the neurons that are on, in the
    colours of the switch map. The highest bar of each row fills the row's height; the text beside
    it gives its number of neurons. The end of the scale is the same for all epochs; the largest
    1 % of factors may be beyond it and are counted in the last bar.

    Args:
        epoch: a finished epoch, from 1; if left out, the last one.
        group: draw only this group.
        within: a longer history whose scale is used, so that moments of a run compare.

    Raises:
        TypeError: `history` is not a History.
        ValueError: there is no such epoch or group.
    """
    names, done = choose_groups(history, group), history.n_epochs
    if epoch is not None and epoch not in range(1, done + 1):
        allowed = (
            f"a finished epoch, from 1 to {done}"
            if done
            else "left out, because no epoch has finished"
        )
        raise ValueError(f"epoch must be {allowed}, got {epoch!r}. If left out, it is the last.")
    axes = paper_axes(ax, height=min(1.3 + 0.45 * max(len(names), 2), TALLEST))
    axes.set_xlabel(f"factor after epoch {epoch or done}" if done else "epoch")
    axes.grid(False)  # rows have no common scale of heights
    axes.set_ylabel("neurons")
    if group is not None:
        short = shorten([group], MOST_LETTERS)[group]
        between = "\n" if len(short) > 12 else " "  # a long line would leave the figure
        axes.set_ylabel(f"neurons of{between}{short}")
    if done == 0:
        return note_no_epoch(axes)

    factors = history.factors
    scale = factors if within is None else within.factors
    some = slice(None, None, mark_step(max(map(len, scale.values())), MAX_EPOCHS))
    norm = factor_norm(np.concatenate([scale[name][some].ravel() for name in names]))
    top, colours = float(norm.vmax or 2), matplotlib.colormaps["cividis"]
    edges = np.linspace(0, top, BARS + 1)
    fills = colours(norm((edges[:-1] + edges[1:]) / 2))
    step = label_step(axes, len(names))
    for row, name in enumerate(reversed(names)):
        now = factors[name][(epoch or done) - 1]
        counts = _draw_row(axes, name, now, edges, fills, ROW * row)
        if (len(names) - 1 - row) % step == 0:
            words = f"{int((now == 0).sum())} of {len(now)} off"
            if label_step(axes, len(names), lines=2) == 1:
                words += f"\nhighest bar {counts.max():,}"
            _write_beside(axes, ROW * row + 0.5, words)
    axes.axvline(1, color=ink(axes), lw=0.6, ls=(0, (2, 2)), zorder=0)
    axes.set_xlim((OFF_AT[0] - 0.03) * top, 1.01 * top)
    axes.set_ylim(-0.08, ROW * (len(names) - 1) + 1.08)
    _mark_axes(axes, names, top, step)
    return axes


def _draw_row(
    ax: Axes, name: str, factors: np.ndarray, edges: np.ndarray, fills: np.ndarray, base: float
) -> np.ndarray:
    """Draws a group's bars and the share that is off; returns the height of each bar."""
    n, off = len(factors), int((factors == 0).sum())
    on = factors[(factors != 0) & ~np.isnan(factors)]
    counts, _ = np.histogram(np.clip(on, 0, edges[-1]), edges)
    tops = base + counts / max(counts.max(), 1)
    left, right = edges[:-1], edges[1:]
    floor = np.full(len(counts), base)
    corners = np.stack([left, floor, left, tops, right, tops, right, floor], axis=1)
    bars: dict[str, Any] = {"facecolors": fills[counts > 0], "edgecolors": "none", "label": name}
    ax.add_collection(PolyCollection(list(corners.reshape(-1, 4, 2)[counts > 0]), **bars))
    ax.plot([0, edges[-1]], [base, base], color=ink(ax), lw=0.6, label="_base", clip_on=False)

    start, end = OFF_AT[0] * edges[-1], OFF_AT[1] * edges[-1]
    box = [
        (start, base),
        (end, base),
        (end, base + off / n),
        (start, base + off / n),
        (start, base),
    ]
    if off:
        ax.add_patch(off_patch(Path(box, closed=True)))
    frame = Rectangle((start, base), end - start, 1, fill=False, ec=ink(ax), lw=0.6)
    frame.set(clip_on=False, zorder=3, label=f"_frame of {name}")
    ax.add_patch(frame)
    return counts


def _write_beside(ax: Axes, y: float, words: str) -> None:
    place = offset_copy(ax.get_yaxis_transform(), ax.get_figure(root=True), x=5, units="points")
    write(ax, 1, y, words, transform=place, va="center")


def _mark_axes(ax: Axes, names: list[str], top: float, step: int) -> None:
    """Ticks of factors, and the name of every `step`-th group."""
    steps = MaxNLocator(nbins=4, integer=True, steps=[1, 2, 5, 10]).tick_values(0, top)
    ticks = {x: f"{x:g}" for x in steps if 0 <= x < 0.82 * top}
    ticks |= {sum(OFF_AT) / 2 * top: "off", top: f"{top:g}+"}
    ax.set_xticks(list(ticks), list(ticks.values()))
    short = shorten(names, MOST_LETTERS - 4)
    named = [(ROW * row + 0.5, short[name]) for row, name in enumerate(reversed(names))]
    named = named[::-1][::step][::-1]  # the first group on top is always named
    ax.set_yticks([y for y, _ in named], [name for _, name in named], parse_math=False)
    if step > 1:
        ax.set_ylabel(f"neurons (one name for {step} groups)")
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)
