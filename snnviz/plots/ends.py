"""Direct labels: each line's name at its right end, instead of a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from snnviz.plots.paper import LINE, height_in_points, text_size, write


@dataclass(frozen=True)
class End:
    """The label at the right end of a line."""

    y: float
    text: str
    colour: str
    mark: dict[str, Any] | None = None  # the style of the line's markers
    always: bool = False  # named even if there is no room for all names


def label_ends(ax: Axes, ends: Sequence[End], marked: bool = False) -> None:
    """Writes each line's name beside its end, moved up or down so that names do not overlap.

    If there is no room for all names, an even selection is written, and the axis label says so. If
    a name had to move away from its line, or with `marked`, each line's marker is repeated
    beside its name.
    """
    figure = cast(Figure, ax.get_figure(root=True))
    low, high = ax.get_ylim()
    gap = (high - low) * LINE * text_size(ax) / height_in_points(ax)
    # Upwards; of several equal values, the first is on top.
    ends = sorted((e for e in reversed(ends) if np.isfinite(e.y)), key=lambda e: e.y)
    count, room = len(ends), max(int((high - low) / gap), 2)
    if count > room:
        ends = _choose_some(ends, room)
        ax.set_xlabel(f"{ax.get_xlabel()}\n({len(ends)} of {count} lines are named)")
    wanted = np.clip([e.y for e in ends], low, high)
    places = _spread(wanted, gap, low, high)
    marked = marked or bool(np.any(np.abs(places - wanted) > gap / 2))
    right = ax.get_yaxis_transform()  # x in shares of the width, y in data
    for end, y in zip(ends, places, strict=True):
        again = end.mark if marked else None
        beside = offset_copy(right, figure, x=5 if again is None else 13, units="points")
        write(ax, 1, y, end.text, transform=beside, va="center", color=end.colour)
        if again is not None:
            beside = offset_copy(right, figure, x=8, units="points")
            ax.plot([1], [y], transform=beside, clip_on=False, label="_mark", **again)


def _choose_some(ends: list[End], most: int) -> list[End]:
    """Those that are always named, and an even selection of the others; the order is kept."""
    others = [i for i, end in enumerate(ends) if not end.always]
    keep = max(most - (len(ends) - len(others)), 0)
    chosen = set(np.linspace(0, len(others) - 1, keep).round().astype(int).tolist())
    dropped = {i for k, i in enumerate(others) if k not in chosen}
    return [end for i, end in enumerate(ends) if i not in dropped]


def _spread(wanted: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """The positions nearest to the wanted ones (ascending) that are at least `gap` apart.

    The solution is the least-squares one that keeps the order: neighbours that are too close are
    pooled into a block around their mean, as in isotonic regression. The result is then moved
    between `low` and `high`.
    """
    n = len(wanted)
    blocks: list[tuple[float, int]] = []  # (mean of wanted minus its own offset, members)
    for i, y in enumerate(wanted):
        mean, size = float(y) - i * gap, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean, size = (mean * size + other * more) / (size + more), size + more
        blocks.append((mean, size))
    places = np.repeat([m for m, _ in blocks], [s for _, s in blocks]) + gap * np.arange(n)
    if n:
        places = np.minimum(places, high - gap * np.arange(n)[::-1])
        places = np.maximum(places, low + gap * np.arange(n))
    return places
