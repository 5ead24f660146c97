"""The share of neurons that are on, for each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from snnviz.plots.ends import End, label_ends
from snnviz.plots.names import shorten
from snnviz.plots.paper import (
    DASHES,
    MARKERS,
    MAX_MARKS,
    MOST_LETTERS,
    RIVALS,
    TALLEST,
    choose_groups,
    ink,
    mark_step,
    note_no_epoch,
    paper_axes,
)
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from snnviz.history import History

ALL = "all together"
CROWD = 20  # groups; more get thinner lines


@figure_for_paper
def neurons_on(
    history: History,
    ax: Axes | None = None,
    *,
    group: str | None = None,
    within: History | None = None,
) -> Axes:
    """Share of neurons on (%) after each epoch: a line per group, and all together in black.

    A neuron is on if its factor is not exactly 0.

    Args:
        group: draw only this group, and all together.
        within: a longer history whose axis limits are used, so that moments of a run compare.

    Raises:
        TypeError: `history` is not a History.
        ValueError: there is no such group.
    """
    names = choose_groups(history, group)
    axes = paper_axes(ax, height=min(max(2.2, 0.8 + 0.14 * (len(names) + 1)), TALLEST))
    axes.set_xlabel("epoch")
    axes.set_ylabel("neurons on, %")
    factors = history.factors
    epochs = max(map(len, factors.values()), default=0)
    if epochs == 0:
        return note_no_epoch(axes)

    on = {name: (f != 0).sum(axis=1) for name, f in factors.items()}
    lines = {name: 100 * on[name] / n for name, n in history.groups.items()}
    lines[ALL] = 100 * sum(on.values()) / sum(history.groups.values())
    x = np.arange(1, epochs + 1)
    black = ink(axes)
    ends, short = [], shorten(history.groups, MOST_LETTERS) | {ALL: ALL}
    for i, (name, share) in enumerate(lines.items()):
        if name not in (*names, ALL):
            continue
        mark: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)], "ms": 3.2}
        mark["color"] = RIVALS[i % len(RIVALS)]
        dashes = DASHES[i // len(RIVALS) % len(DASHES)]
        width = 1.0 if len(names) <= CROWD else 0.6
        if name == ALL:
            mark = {"marker": "_", "ms": 6, "mew": 1.6, "color": black}
            dashes, width = DASHES[0], 1.6
        marked = (
            [] if name == ALL and epochs > 1 else slice(None, None, mark_step(epochs, MAX_MARKS))
        )
        line: dict[str, Any] = {"ls": dashes, "lw": width, "markevery": marked}
        axes.plot(x, share, label=name, clip_on=False, zorder=3, **line, **mark)
        words = f"{short[name]} {share[-1]:.0f} %"
        ends.append(End(float(share[-1]), words, black, mark, always=name == ALL))
    longest = epochs if within is None else within.n_epochs
    axes.set_xlim((0.5, 1.5) if longest == 1 else (1, longest))
    axes.set_ylim(0, 100)
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    label_ends(axes, ends)
    return axes
