"""All neurons as a grid: a block for each group, and a cell for each neuron."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from snnviz.plots.paper import DARK, FONT, OFF, TICK_SIZE
from snnviz.plots.scale import factor_norm, off_patch

NAME, GAP, LETTER = 0.2, 0.14, 0.066  # inches: a name's line, between blocks, a letter's width
CELL = 0.22  # inches at most


class Block(NamedTuple):
    """Where a group's neurons stand, in inches from the upper left."""

    name: str
    x: float
    y: float
    columns: int
    rows: int


def draw_neurons(
    ax: Axes, factors: Mapping[str, np.ndarray], norm: TwoSlopeNorm | None = None
) -> None:
    """A block a group, a cell a neuron, as large as the place allows.

    Args:
        factors: {group: (neurons,)}.
        norm: the scale of the colours; None: one for these factors.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    place = ax.get_position()
    wide, high = place.width * figure.get_figwidth(), place.height * figure.get_figheight()
    ax.set(xlim=(0, wide), ylim=(high, 0))
    ax.set_axis_off()
    values = {name: np.asarray(group, np.float32) for name, group in factors.items()}
    if not values:
        return
    norm = norm or factor_norm(np.concatenate([group.ravel() for group in values.values()]))
    titles = {
        name: f"{name} · {int((group != 0).sum())} of {len(group)} on"
        for name, group in values.items()
    }
    widest = {name: f"{name} · {len(v)} of {len(v)} on" for name, v in values.items()}
    cell, blocks = arrange({n: len(v) for n, v in values.items()}, widest, wide, high - 0.45)
    for block in blocks:
        _draw_block(ax, block, values[block.name], cell, norm)
        _write(ax, block.x, block.y - 0.05, titles[block.name], va="bottom")
    _draw_legend(ax, norm, high)


def arrange(
    sizes: Mapping[str, int], titles: Mapping[str, str], wide: float, high: float
) -> tuple[float, list[Block]]:
    """The largest cell (inches) with which all blocks fit, and the blocks, flowing like text."""
    cell = CELL
    while True:
        blocks = _flow(sizes, titles, wide, cell)
        if max(block.y + block.rows * cell for block in blocks) <= high or cell < 0.004:
            return cell, blocks
        cell *= 0.95


def _flow(
    sizes: Mapping[str, int], titles: Mapping[str, str], wide: float, cell: float
) -> list[Block]:
    blocks, x, y, deepest = [], 0.0, NAME, 0.0
    for name, n in sizes.items():
        columns = max(1, min(n, math.floor(wide / cell), math.ceil(math.sqrt(2.5 * n))))
        rows = math.ceil(n / columns)
        width = max(columns * cell, LETTER * len(titles[name]))
        if x > 0 and x + width > wide:
            x, y, deepest = 0.0, y + deepest + NAME + GAP, 0.0
        blocks.append(Block(name, x, y, columns, rows))
        x, deepest = x + width + 2 * GAP, max(deepest, rows * cell)
    return blocks


def _draw_block(
    ax: Axes, block: Block, values: np.ndarray, cell: float, norm: TwoSlopeNorm
) -> None:
    cells = np.full(block.columns * block.rows, np.nan, np.float32)
    cells[: len(values)] = values
    grid = cells.reshape(block.rows, block.columns)
    right, low = block.x + block.columns * cell, block.y + block.rows * cell
    cmap = matplotlib.colormaps["cividis"].with_extremes(under=OFF, bad=(0, 0, 0, 0))
    extent = (block.x, right, low, block.y)
    style: dict[str, Any] = {"interpolation": "nearest", "aspect": "auto", "extent": extent}
    ax.imshow(np.ma.masked_invalid(grid), norm=norm, cmap=cmap, label=block.name, **style)
    rows, columns = np.nonzero(grid == 0)
    x, y = block.x + columns * cell, block.y + rows * cell
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())
    if len(x):  # crossed out, as in the grid; where cells are tiny the hatch says it
        if cell >= 0.05:
            crosses = np.stack([x, y, x + cell, y + cell, x + cell, y, x, y + cell], axis=1)
            path = Path(crosses.reshape(-1, 2), [Path.MOVETO, Path.LINETO] * (2 * len(x)))
            ax.add_patch(_lines(path, "off"))
        else:
            corners = [x, y, x + cell, y, x + cell, y + cell, x, y + cell, x, y]
            codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * len(x)
            ax.add_patch(off_patch(Path(np.stack(corners, axis=1).reshape(-1, 2), codes)))
    if cell >= 0.04:
        ax.add_patch(_lines(_between(block, cell), "_between", color="white", width=0.5))


def _between(block: Block, cell: float) -> Path:
    """White lines between the cells."""
    right, low = block.x + block.columns * cell, block.y + block.rows * cell
    across = [(block.y + i * cell) for i in range(block.rows + 1)]
    down = [(block.x + i * cell) for i in range(block.columns + 1)]
    ends = [point for y in across for point in ((block.x, y), (right, y))]
    ends += [point for x in down for point in ((x, block.y), (x, low))]
    return Path(ends, [Path.MOVETO, Path.LINETO] * (len(ends) // 2))


def _lines(path: Path, label: str, color: str = "#7A7A7A", width: float = 0.6) -> PathPatch:
    return PathPatch(path, fill=False, ec=color, lw=width, label=label)


def _draw_legend(ax: Axes, norm: TwoSlopeNorm, high: float) -> None:
    """The scale of factors, and beside it what off looks like."""
    top, y, size = float(norm.vmax or 2), high - 0.22, 0.13
    ramp = np.concatenate([np.linspace(1e-6, 1, 64), np.linspace(1, top, 64)])[None]
    style: dict[str, Any] = {"aspect": "auto", "extent": (0.5, 2.0, y + size, y)}
    limits = {"xlim": ax.get_xlim(), "ylim": ax.get_ylim()}
    ax.imshow(ramp, norm=norm, cmap="cividis", label="_scale", **style)
    ax.set(**limits)
    for x, text in ((0.5, "0"), (1.25, "1"), (2.0, f"{top:g}+")):
        _write(ax, x, y + size + 0.03, text, va="top", ha="center")
    _write(ax, 0, y + size / 2, "factor", va="center")
    box = Rectangle((2.4, y), size, size, fc=OFF, ec="none")
    ax.add_patch(box)
    corners = [(2.4, y), (2.4 + size, y + size), (2.4 + size, y), (2.4, y + size)]
    ax.add_patch(_lines(Path(corners, [Path.MOVETO, Path.LINETO] * 2), "_off"))
    _write(ax, 2.4 + size + 0.06, y + size / 2, "off", va="center")


def _write(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    ax.text(x, y, text, fontsize=TICK_SIZE, fontfamily=FONT, parse_math=False, color=DARK, **style)
