"""Which neurons methods keep: how far methods agree, compared with chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy

from snnviz import checks
from snnviz.evidence.overlaps import ALL
from snnviz.evidence.rows import varying_columns
from snnviz.plots.methods import in_words, method_looks
from snnviz.plots.names import shorten
from snnviz.plots.paper import DARK, MOST_LETTERS, OFF, paper_axes, write
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from pandas import DataFrame

SIDES = (("method", "kind", "on"), ("other", "other_kind", "other_on"))
NEEDED = ("group", "neurons", "jaccard", "chance", *SIDES[0], *SIDES[1])
SMALL = 5.5  # points
MOST_NUMBERS, MOST_NAMES = 16, 17  # methods, so that numbers and names fit into a column
KEY_OF_SHADES = (
    "white: by chance at most; black: the same\nneurons on in both runs\n(diagonal: two seeds)"
)
KEY = "neurons on in both runs,\n% of those on in either\n(small: by chance; diagonal: two seeds)"


@figure_for_paper
def overlap_map(table: DataFrame, ax: Axes | None = None, *, group: str = ALL) -> Axes:
    """How far methods keep the same neurons: those on in both runs, in % of those on in either.

    Takes the table of `evidence.overlap` for one setting. Fields below the diagonal compare two
    methods with the same seed (the mean over seeds); fields on the diagonal compare two seeds of
    one method. The small number is the value expected by chance. A field is white if its value is
    at most that, and darkest if both sets are equal. More than 16 methods have no numbers. A method
    that keeps every neuron in all runs is left out, because its overlap has no meaning.

    Args:
        group: one of the table's groups, or "all together".

    Raises:
        TypeError: `table` is not a DataFrame.
        ValueError: there is no such group, the table has several settings, a column is missing, or
            no method switches a neuron off.
    """
    part = _rows_of_group(table, group)
    methods = _methods(part)
    axes = paper_axes(ax, height=min(1.75 + 0.24 * len(methods), 6.5))
    axes.grid(False)  # a style's lines would lie on the numbers
    shade = np.full((len(methods), len(methods)), np.nan)
    for i, method in enumerate(methods):
        for j, other in enumerate(methods[: i + 1]):
            pairs = _between(part, method, other)
            if len(pairs):
                jaccard, chance = (
                    float(pairs[name].to_numpy(float).mean()) for name in ("jaccard", "chance")
                )
                shade[i, j] = max(jaccard - chance, 0) / (1 - chance) if chance < 1 else 0
                if len(methods) <= MOST_NUMBERS:
                    _write_numbers(axes, j, i, jaccard, chance, bool(shade[i, j] > 0.6))
    look: dict[str, Any] = {"cmap": matplotlib.colormaps["Greys"], "vmin": 0, "vmax": 1}
    look |= {"aspect": "auto", "interpolation": "nearest"}
    axes.imshow(np.ma.masked_invalid(0.9 * shade), **look)
    _frame(axes, np.isfinite(shade))
    short = shorten(map(in_words, methods), MOST_LETTERS)
    step = math.ceil(len(methods) / MOST_NAMES)
    named = range(0, len(methods), step)
    names = [short[in_words(methods[i])] for i in named]
    axes.set_xticks(named, names, rotation=90, parse_math=False)
    axes.set_yticks(named, names, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(KEY if len(methods) <= MOST_NUMBERS else KEY_OF_SHADES)
    if step > 1:
        axes.set_ylabel(f"one name for {step} methods")
    return axes


def _rows_of_group(table: DataFrame, group: str) -> DataFrame:
    """The rows of one group, after the table has been checked."""
    import pandas as pd

    advice = "Give the table that evidence.overlap(rows) returns."
    checks.kind_of("table", table, pd.DataFrame, "a pandas DataFrame", advice)
    if missing := [name for name in NEEDED if name not in table.columns]:
        some = ", ".join(map(repr, missing))
        raise ValueError(f"table must contain overlaps, got no column {some}. {advice}")
    if several := varying_columns(table):
        raise ValueError(
            f"table must contain one setting, got several values of {', '.join(several)}. "
            f"Select one first: table[table[{several[0]!r}] == {table[several[0]].tolist()[0]!r}]."
        )
    groups = list(dict.fromkeys(table["group"]))
    checks.one_of("group", group, groups)
    return cast("DataFrame", table[(table["group"] == group).to_numpy()])


def _methods(table: DataFrame) -> list[str]:
    """The methods that switch a neuron off in any run, in the fixed order."""
    pairs, some_off = set(), set()
    for name, kind, on in SIDES:
        pairs |= set(zip(table[name], table[kind], strict=True))
        some_off |= set(table.loc[table[on] < table["neurons"], name])
    methods = [method for method in method_looks(pairs) if method in some_off]
    if not methods:
        raise ValueError(
            "table must contain a method that switches neurons off, got none. "
            "If all neurons are on, every overlap is 100 %."
        )
    return methods


def _between(table: DataFrame, method: str, other: str) -> DataFrame:
    """The pairs of runs of these two methods, in either order."""
    one = (table["method"] == method) & (table["other"] == other)
    way = (table["method"] == other) & (table["other"] == method)
    return cast("DataFrame", table[(one | way).to_numpy()])


def _write_numbers(ax: Axes, x: int, y: int, jaccard: float, chance: float, dark: bool) -> None:
    figure = ax.get_figure(root=True)
    style: dict[str, Any] = {"ha": "center", "color": "white" if dark else DARK}
    for value, points, look in ((jaccard, 0.5, {"va": "bottom"}), (chance, -1.5, {"va": "top"})):
        size = {} if look["va"] == "bottom" else {"fontsize": SMALL}
        place = offset_copy(ax.transData, figure, y=points, units="points")
        write(ax, x, y, f"{100 * value:.0f}", transform=place, **style, **look, **size)


def _frame(ax: Axes, fields: np.ndarray) -> None:
    """Draws a thin line around each field, so that white fields are visible."""
    for y, x in zip(*np.nonzero(fields), strict=True):
        corners = np.array([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1), (x, y)]) - 0.5
        ax.plot(*corners.T, color=OFF, lw=0.6, label="_frame", clip_on=False)
