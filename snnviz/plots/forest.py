"""Paired differences with their intervals, one row per method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from snnviz import checks
from snnviz.evidence.rows import cells, varying_columns
from snnviz.plots.methods import in_words, method_looks, setting_in_words
from snnviz.plots.names import shorten
from snnviz.plots.paper import MOST_LETTERS, TALLEST, ink, label_step, paper_axes, write
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from pandas import DataFrame

Line = tuple[str, dict[str, Any] | None]  # a method and its row, or only a setting's name
LEAST_ROWS = 4  # with fewer no interval counts as much longer than the others
MOST_REACH = 4.0  # times the reach that three quarters of the rows stay within
NEEDED = ("method", "kind", "against", "against_kind", "pairs", "difference", "low", "high")


@figure_for_paper
def differences(
    table: DataFrame,
    ax: Axes | None = None,
    *,
    unit: str = "points",
    within: DataFrame | None = None,
) -> Axes:
    """Mean differences in paired seeds with their intervals, a line at 0, and the number of pairs.

    An interval that reaches much further than most others is cut, with an arrow where it goes on
    and its numbers beside it, so that the others stay readable.

    Takes the table of `evidence.paired`, with one row per method, or of `evidence.at_equal_size`,
    with one row per rival. Several settings are drawn below each other, each under its name.

    Args:
        unit: with "points", shares (such as accuracies) are multiplied by 100; any other text is
            used as the unit of the values as they are.
        within: another such table, which the axis limits include, so that figures compare.

    Raises:
        TypeError: `table` is not a DataFrame.
        ValueError: the table is empty, or a column is missing.
    """
    _check(table)
    rivals = len(set(table["method"])) == 1 and len(set(table["against"])) > 1
    who = ("against", "against_kind") if rivals else ("method", "kind")
    looks = method_looks(zip(*(table[name] for name in who), strict=True))
    lines = list(_lines(table, who[0], list(looks)))
    axes = paper_axes(ax, height=min(0.75 + 0.15 * (len(lines) + 1), TALLEST))
    others = [in_words(name) for name in set(table["method" if rivals else "against"])]
    other = others[0] if len(others) == 1 else "the other"
    axes.set_xlabel(f"{other} minus rival, {unit}" if rivals else f"difference to {other}, {unit}")
    times = 100 if unit == "points" else 1
    axes.axvline(0, color=ink(axes), lw=0.6, zorder=0, label="_zero")
    limits = _limits([table] if within is None else [table, within], times)
    step = label_step(axes, len(lines) + 1)
    named = _choose_named(lines, step)
    _draw_rows(axes, lines, looks, times, limits, named)
    _name_rows(axes, lines, named)
    if step > 1:
        axes.set_xlabel(f"{axes.get_xlabel()}\n({len(named)} of {len(lines)} rows are named)")
    axes.set_xlim(*limits)
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto"))
    return axes


def _choose_named(lines: list[Line], step: int) -> list[int]:
    """Rows `step` apart, so that there is room for their names: of settings first."""
    chosen: list[int] = []
    for settings in (True, False):
        for i, (_, row) in enumerate(lines):
            if (row is None) == settings and all(abs(i - other) >= step for other in chosen):
                chosen.append(i)
    return sorted(chosen)


def _draw_rows(
    ax: Axes,
    lines: list[Line],
    looks: dict[str, dict[str, Any]],
    times: float,
    limits: tuple[float, float],
    named: list[int],
) -> None:
    """Draws rows from y = 0 downwards: a marker, a bar, and on the right the number of pairs."""
    beside = offset_copy(ax.get_yaxis_transform(), ax.get_figure(root=True), x=12, units="points")
    place: dict[str, Any] = {"transform": beside, "va": "center", "ha": "center"}
    write(ax, 1, 1, "pairs", **place)
    for i, (name, row) in enumerate(lines):
        if row is not None:
            look = looks[name]
            low, middle, high = (times * row[key] for key in ("low", "difference", "high"))
            if np.isfinite(low):
                bar: dict[str, Any] = {"color": look["color"], "lw": 1.1}
                ax.hlines([-i], *np.clip((low, high), *limits), label=f"_interval of {name}", **bar)
            if limits[0] <= middle <= limits[1] or not np.isfinite(middle):
                ax.plot([middle], [-i], **look, ls="", label=name, zorder=3)
            if i in named:
                _mark_cut(ax, -i, (low, middle, high), limits, look["color"])
                write(ax, 1, -i, f"{row['pairs']}", **place)


def _mark_cut(
    ax: Axes, y: float, values: tuple[float, float, float], limits: tuple[float, float], color: Any
) -> None:
    """Marks where an interval goes on beyond the limits, and writes its numbers there."""
    low, middle, high = values
    ends = [value if np.isfinite(value) else middle for value in (low, high)]
    left, right = ends[0] < limits[0], ends[1] > limits[1]
    for beyond, marker, x in ((left, "<", limits[0]), (right, ">", limits[1])):
        if beyond:
            ax.plot([x], [y], marker=marker, color=color, ls="", ms=4, clip_on=False, label="_cut")
    if left or right:
        said = f"{middle:+.0f}" + (f" ({low:+.0f} to {high:+.0f})" if np.isfinite(low) else "")
        room = 0.04 * (limits[1] - limits[0])
        x, side = (limits[1] - room, "right") if right else (limits[0] + room, "left")
        ground = {"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 1.0}
        write(
            ax,
            x,
            y,
            said.replace("-", "\N{MINUS SIGN}"),
            ha=side,
            va="center",
            bbox=ground,
            zorder=4,
        )


def _name_rows(ax: Axes, lines: list[Line], named: list[int]) -> None:
    """Writes the names of methods, and in bold the settings above them."""
    names = [name if row is None else in_words(name) for name, row in lines]
    settings = [name for name, row in lines if row is None]
    short = shorten(names, MOST_LETTERS + 4) | shorten(settings, MOST_LETTERS + 12)
    ax.set_yticks([-i for i in named], [short[names[i]] for i in named], parse_math=False)
    for label, i in zip(ax.get_yticklabels(), named, strict=True):
        label.set_fontweight("bold" if lines[i][1] is None else "normal")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(0.6 - len(lines), 0.6)


def _check(table: DataFrame) -> None:
    import pandas as pd

    advice = "Give the table that evidence.paired(rows) returns."
    checks.kind_of("table", table, pd.DataFrame, "a pandas DataFrame", advice)
    if missing := [name for name in NEEDED if name not in table.columns]:
        some = ", ".join(map(repr, missing))
        raise ValueError(f"table must contain paired differences, got no column {some}. {advice}")
    if len(table) == 0:
        raise ValueError(f"table must contain at least one row, got none. {advice}")


def _lines(table: DataFrame, who: str, order: list[str]) -> Iterator[Line]:
    """(method, its row) from the top; (name, None) before each setting if there are several."""
    for setting, part in cells(table, varying_columns(table)):
        if setting:
            yield setting_in_words(setting), None
        rows = part.sort_values(who, key=lambda names: names.map(order.index), kind="stable")
        for row in rows.to_dict("records"):
            yield row[who], row


def _limits(tables: list[DataFrame], times: float) -> tuple[float, float]:
    """Limits around 0 and all intervals but those that reach much further than most."""
    columns = ["low", "difference", "high"]
    values = times * np.concatenate([table[columns].to_numpy(float) for table in tables])
    reach = np.abs(np.nan_to_num(values)).max(1)
    known = reach[reach > 0]
    if len(known) >= LEAST_ROWS:
        values = values[reach <= MOST_REACH * np.quantile(known, 0.75)]
    values = np.append(values[np.isfinite(values)], 0.0)
    room = 0.05 * float(np.ptp(values)) or 1.0
    return float(values.min()) - room, float(values.max()) + room
