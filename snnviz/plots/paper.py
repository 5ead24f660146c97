"""What every plot shares: the palette, the sizes of a paper, and Axes made for it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnviz import checks
from snnviz.history import History

# The palette of every picture in the project.
TASK = "#0072B2"
SWITCHER = "#D55E00"
DENSE = "#7F7F7F"
OFF = "#DEDEDE"  # always under OFF_HATCH, which no factor has
OFF_HATCH, OFF_HATCH_COLOUR = "//////", "#A6A6A6"
RIVALS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9")  # Okabe-Ito without the two phases' colours
DARK = "#222222"

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
MAX_MARKS = 20  # on a line; more would run into one another

SINGLE, DOUBLE = 3.4, 7.0  # inches: one and two columns of a paper
FONT = ("DejaVu Sans", "sans-serif")  # the first comes with matplotlib, so sizes agree everywhere
LABEL_SIZE, TICK_SIZE = 8, 7  # points
SCREEN_DPI = 150


class PaperFigure(Figure):
    """A figure without pyplot that shows itself in a notebook."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


class PaperAxes(Axes):
    """Axes of a `PaperFigure`: as the last line of a notebook cell they show their figure."""

    def _repr_png_(self) -> bytes | None:
        figure = self.get_figure(root=True)
        return figure._repr_png_() if isinstance(figure, PaperFigure) else None


def paper_axes(ax: Axes | None, height: float) -> Axes:
    """The given Axes or new ones, with a paper's font sizes and line widths.

    Raises:
        TypeError: what was given is no Axes.
    """
    if ax is not None:
        advice = "Take those of a figure, figure.add_subplot(), or leave ax out for new ones."
        checks.kind_of("ax", ax, Axes, "a matplotlib Axes", advice)
    else:
        figure = PaperFigure(figsize=(SINGLE, height), dpi=SCREEN_DPI, layout="constrained")
        ax = cast(Axes, figure.add_subplot(axes_class=PaperAxes))
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(fontsize=LABEL_SIZE, fontfamily=FONT, parse_math=False)
    ax.tick_params(labelsize=TICK_SIZE, labelfontfamily=FONT, width=0.6, length=2.5)
    ax.spines[:].set_linewidth(0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def write(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Text in the size of a paper's ticks, in which a $ is a $."""
    style = {"fontsize": TICK_SIZE, "fontfamily": FONT, "parse_math": False} | style
    ax.text(x, y, text, **style)


def check_history(argument: str, value: Any) -> None:
    checks.kind_of(argument, value, History, "a snnviz.History", "Give trainer.history.")


def named_runs(histories: Mapping[str, History] | History) -> dict[str, History]:
    """{name: history}; of one run without a name, the name is empty.

    Raises:
        TypeError: it is no history, or one of them is none.
        ValueError: there is no run.
    """
    named = dict(histories) if isinstance(histories, Mapping) else {"": histories}
    if not named:
        raise ValueError(
            "histories must hold at least one run, got none. Give {'a name': trainer.history}."
        )
    for name, history in named.items():
        check_history(f"histories[{name!r}]" if name else "histories", history)
    return named


def chosen_groups(history: History, group: str | None) -> list[str]:
    """The group's name alone, or without one all of the history's.

    Raises:
        TypeError: it is no history.
        ValueError: there is no such group.
    """
    check_history("history", history)
    groups = history.groups
    if group is not None and group not in groups:
        raise ValueError(
            f"group must be one of {', '.join(map(repr, groups))}, got {group!r}. "
            "To draw all groups, leave it out."
        )
    return list(groups) if group is None else [group]


def note(ax: Axes) -> Axes:
    """Say in empty Axes why they are empty."""
    middle: dict[str, Any] = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    write(ax, 0.5, 0.5, "no epoch finished yet", **middle)
    ax.set_xlim(0, 1)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def every(points: int, most: int) -> int:
    """Every how many-th point to mark, so that there are at most so many marks."""
    return max(1, -(-points // most))
