"""Size against accuracy: what a run gives up, and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from snnviz.plots.curves import limits_around, run_look
from snnviz.plots.ends import End, label_ends
from snnviz.plots.paper import DARK, every, named_runs, note, paper_axes

if TYPE_CHECKING:
    from matplotlib.typing import ColorType

    from snnviz.history import History

SIZES = {"parameters": "parameters left", "macs": "MACs left", "neurons_on": "neurons on"}
MAX_POINTS = 60  # marked on a run's way


def size_accuracy(
    histories: Mapping[str, History] | History,
    ax: Axes | None = None,
    *,
    size: Literal["parameters", "macs", "neurons_on"] = "parameters",
    colours: Mapping[str, str] | None = None,
    within: Mapping[str, History] | History | None = None,
) -> Axes:
    """Test accuracy (%) against what is left of the network: a run's way, epoch by epoch.

    A dot is an epoch, the large mark the last one; further left is smaller, further up is better.
    Of long runs the first tenth may leave the plot, so that the end can be read.

    Args:
        histories: one run, or {name of the run: its history}.
        size: "parameters" and "macs" of the network without the neurons that are off, or
            "neurons_on".
        colours: {name: colour}; what is left out takes the palette's in turn.
        within: longer histories whose limits the axes take, so that moments of them compare.

    Raises:
        TypeError: one of them is no History.
        ValueError: there is no run, or no such size.
    """
    if size not in SIZES:
        raise ValueError(f"size must be 'parameters', 'macs' or 'neurons_on', got {size!r}.")
    named = named_runs(histories)
    axes = paper_axes(ax, height=2.2)
    tables = {name: history.epochs for name, history in named.items()}
    longest = max(map(len, tables.values()))
    if longest == 0:
        axes.set_xlabel("epoch")
        axes.set_ylabel("test accuracy, %")
        return note(axes)

    unit, prefix = _unit(max(float(np.max(table[size])) for table in tables.values() if len(table)))
    axes.set_xlabel(f"{SIZES[size]}{prefix}")
    axes.set_ylabel("test accuracy, %")
    ends, ways = [], []
    for i, (name, table) in enumerate(tables.items()):
        if len(table):
            look = run_look(i, (colours or {}).get(name) or (None if name else DARK))
            way = np.stack([table[size] / unit, 100 * table["test_accuracy"]])  # (2, epochs)
            ways.append(way[:, longest // 10 :])
            _draw_way(axes, way, name or "run", look)
            label = f"{name or f'epoch {len(table)}:'} {way[1, -1]:.1f} %"
            ends.append(End(float(way[1, -1]), label, DARK, {**look, "ms": 5, "ls": ""}))
    if within is None:
        axes.set_xlim(*_around(np.concatenate([way[0] for way in ways])))
        axes.set_ylim(*limits_around([way[1] for way in ways], 100))
    else:
        whole = size_accuracy(within, size=size)
        axes.set(xlim=whole.get_xlim(), ylim=whole.get_ylim())
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    label_ends(axes, ends, marked=True)
    return axes


def _draw_way(ax: Axes, way: np.ndarray, name: str, look: dict[str, Any]) -> None:
    """All epochs as a thin line with dots, the last one as a large mark."""
    colour: ColorType = look["color"]
    dots: dict[str, Any] = {"marker": ".", "ms": 3, "markevery": every(way.shape[1], MAX_POINTS)}
    ax.plot(*way, color=colour, lw=0.7, ls=look["ls"], alpha=0.75, label=f"_way of {name}", **dots)
    large: dict[str, Any] = {"ls": "", "ms": 5, "zorder": 3, "label": name}
    ax.plot(*way[:, -1:], color=colour, marker=look["marker"], clip_on=False, **large)


def _unit(most: float) -> tuple[float, str]:
    for unit, name in ((1e9, "billions"), (1e6, "millions"), (1e4, "thousands")):
        if most >= unit:
            return (1e3 if name == "thousands" else unit), f", {name}"
    return 1, ""


def _around(values: np.ndarray) -> tuple[float, float]:
    low, high = values.min(), values.max()
    room = max(0.05 * (high - low), 0.02 * high, 1e-3)
    return low - room, high + room
