"""Size against accuracy: how much smaller a run's network becomes, at which accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from snnviz import checks
from snnviz.plots.curves import limits_around, run_look
from snnviz.plots.ends import End, label_ends
from snnviz.plots.names import shorten
from snnviz.plots.paper import (
    MOST_LETTERS,
    TALLEST,
    ink,
    mark_step,
    name_colours,
    name_runs,
    note_no_epoch,
    paper_axes,
)
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from matplotlib.typing import ColorType

    from snnviz.history import History

SIZES = {"parameters": "parameters left", "macs": "MACs left", "neurons_on": "neurons on"}
MAX_POINTS = 60  # dots on a run's path


@figure_for_paper
def size_accuracy(
    histories: Mapping[str, History] | History,
    ax: Axes | None = None,
    *,
    size: Literal["parameters", "macs", "neurons_on"] = "parameters",
    colours: Mapping[str, str] | None = None,
    within: Mapping[str, History] | History | None = None,
) -> Axes:
    """Test accuracy (%) against the size that is left of the network, epoch by epoch.

    A dot is an epoch, and the large marker is the last one. Smaller networks are further left,
    better ones further up. The first tenth of long runs may be outside the limits, so that the end
    is readable.

    Args:
        histories: one history, or {name of the run: its history}.
        size: "parameters" or "macs" of the network without its off neurons, or "neurons_on".
        colours: {name: colour}; other runs take the colours of the palette in turn.
        within: longer histories whose axis limits are used, so that moments of runs compare.

    Raises:
        TypeError: one of the histories is not a History.
        ValueError: there is no run, or no such size.
    """
    checks.one_of("size", size, SIZES)
    named, own = name_runs(histories), name_colours(colours)
    axes = paper_axes(ax, height=min(max(2.2, 0.7 + 0.135 * len(named)), TALLEST))
    tables = {name: history.epochs for name, history in named.items()}
    longest = max(map(len, tables.values()))
    if longest == 0:
        axes.set_xlabel("epoch")
        axes.set_ylabel("test accuracy, %")
        return note_no_epoch(axes)

    unit, prefix = _unit(max(float(np.max(table[size])) for table in tables.values() if len(table)))
    axes.set_xlabel(f"{SIZES[size]}{prefix}")
    axes.set_ylabel("test accuracy, %")
    ends, paths, short = [], [], shorten(named, MOST_LETTERS)
    for i, (name, table) in enumerate(tables.items()):
        if len(table):
            look = run_look(i, own.get(name) or (None if name else ink(axes)))
            path = np.stack([table[size] / unit, 100 * table["test_accuracy"]])  # (2, epochs)
            paths.append(path[:, len(table) // 10 :])
            _draw_path(axes, path, name or "run", look)
            label = f"{short[name] or f'epoch {len(table)}:'} {path[1, -1]:.1f} %"
            ends.append(End(float(path[1, -1]), label, ink(axes), {**look, "ms": 5, "ls": ""}))
    if within is None:
        axes.set_xlim(*_around(np.concatenate([path[0] for path in paths])))
        axes.set_ylim(*limits_around([path[1] for path in paths], 100))
    else:
        whole = size_accuracy(within, size=size)
        axes.set(xlim=whole.get_xlim(), ylim=whole.get_ylim())
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto"))
    label_ends(axes, ends, marked=True)
    return axes


def _draw_path(ax: Axes, path: np.ndarray, name: str, look: dict[str, Any]) -> None:
    """Draws all epochs as a thin line with dots, and the last one as a large marker."""
    colour: ColorType = look["color"]
    dots: dict[str, Any] = {
        "marker": ".",
        "ms": 3,
        "markevery": mark_step(path.shape[1], MAX_POINTS),
    }
    ax.plot(
        *path, color=colour, lw=0.7, ls=look["ls"], alpha=0.75, label=f"_path of {name}", **dots
    )
    large: dict[str, Any] = {"ls": "", "ms": 5, "zorder": 3, "label": name}
    ax.plot(*path[:, -1:], color=colour, marker=look["marker"], clip_on=False, **large)


def _unit(most: float) -> tuple[float, str]:
    for unit, name in ((1e9, "billions"), (1e6, "millions"), (1e4, "thousands")):
        if most >= unit:
            return (1e3 if name == "thousands" else unit), f", {name}"
    return 1, ""


def _around(values: np.ndarray) -> tuple[float, float]:
    low, high = values.min(), values.max()
    room = max(0.05 * (high - low), 0.02 * high, 1e-3)
    return low - room, high + room
