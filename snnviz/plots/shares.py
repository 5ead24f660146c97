"""The share of neurons that are on, for each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from snnviz.plots.ends import End, label_ends
from snnviz.plots.paper import (
    DARK,
    DASHES,
    MARKERS,
    MAX_MARKS,
    RIVALS,
    choose_groups,
    mark_step,
    note_no_epoch,
    paper_axes,
)

if TYPE_CHECKING:
    from snnviz.history import History

ALL = "all together"


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
    axes = paper_axes(ax, height=max(2.2, 0.8 + 0.14 * (len(names) + 1)))
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
    ends = []
    for i, (name, share) in enumerate(lines.items()):
        if name not in (*names, ALL):
            continue
        mark: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)], "ms": 3.2}
        mark["color"] = RIVALS[i % len(RIVALS)]
        dashes, width = DASHES[i // len(RIVALS) % len(DASHES)], 1.0
        if name == ALL:
            mark = {"marker": "_", "ms": 6, "mew": 1.6, "color": DARK}
            dashes, width = DASHES[0], 1.6
        marked = (
            [] if name == ALL and epochs > 1 else slice(None, None, mark_step(epochs, MAX_MARKS))
        )
        line: dict[str, Any] = {"ls": dashes, "lw": width, "markevery": marked}
        axes.plot(x, share, label=name, clip_on=False, zorder=3, **line, **mark)
        ends.append(End(float(share[-1]), f"{name} {share[-1]:.0f} %", DARK, mark))
    longest = epochs if within is None else within.n_epochs
    axes.set_xlim((0.5, 1.5) if longest == 1 else (1, longest))
    axes.set_ylim(0, 100)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    label_ends(axes, ends)
    return axes
