"""What every plot shares: the palette, sizes for a paper, and the Axes."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure

from snnviz import checks
from snnviz.history import History
from snnviz.plots.fonts import FONT
from snnviz.plots.settings import paper_settings

# The palette of all pictures in the project. The site shows what stands behind "#:".
TASK = "#0072B2"  #: the task network and its phases
SWITCHER = "#D55E00"  #: the switcher and its phases
DENSE = "#7F7F7F"  #: a network without a switcher
OFF = "#DEDEDE"  #: neurons that are off; always with `OFF_HATCH`, which marks nothing else
OFF_HATCH = "//////"  #: the hatch of neurons that are off
OFF_HATCH_COLOUR = "#A6A6A6"  #: the colour of that hatch
RIVALS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9")  #: Okabe-Ito without `TASK` and `SWITCHER`
DARK = "#222222"  #: text and lines

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
MAX_MARKS = 20  # on a line; more would overlap

SINGLE = 3.4  #: inches: one column of a paper
DOUBLE = 7.0  #: inches: two columns
LABEL_SIZE = 8  #: points: titles, labels and legends
TICK_SIZE = 7  #: points: the numbers of the axes
LINE = 1.25  # the height of a line of text, in font sizes
TALLEST = 8.5  # inches, so that a figure and its caption fit on a page
MOST_LETTERS = 18  # of a name beside the Axes; longer names are shortened
SCREEN_DPI = 150


class PaperFigure(Figure):
    """A figure that shows itself in a notebook without pyplot."""

    def draw(self, renderer: Any) -> None:
        with paper_settings():  # parts such as ticks are made while the figure is drawn
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with paper_settings():
            self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


class PaperAxes(Axes):
    """Axes that show their `PaperFigure` as the last line of a notebook cell."""

    def _repr_png_(self) -> bytes | None:
        figure = self.get_figure(root=True)
        return figure._repr_png_() if isinstance(figure, PaperFigure) else None


def paper_axes(ax: Axes | None, height: float) -> Axes:
    """New Axes with the fonts and line widths of a paper, or the given Axes.

    Given Axes keep their fonts, ticks, spines and background, unless their figure is a
    `PaperFigure`.

    Raises:
        TypeError: `ax` is not a matplotlib Axes.
    """
    if ax is not None:
        advice = "Use figure.add_subplot(), or leave ax out for a new figure."
        checks.kind_of("ax", ax, Axes, "a matplotlib Axes", advice)
    else:
        figure = PaperFigure(figsize=(SINGLE, height), dpi=SCREEN_DPI, layout="constrained")
        ax = cast(Axes, figure.add_subplot(axes_class=PaperAxes))
    ax.xaxis.label.set_parse_math(False)
    ax.yaxis.label.set_parse_math(False)
    if not on_paper(ax):
        return ax
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(fontsize=LABEL_SIZE, fontfamily=FONT)
    ax.tick_params(labelsize=TICK_SIZE, labelfontfamily=FONT, width=0.6, length=2.5)
    ax.spines[:].set_linewidth(0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def on_paper(ax: Axes) -> bool:
    """Whether the Axes are ours, and not a figure of the user with a style of its own."""
    return isinstance(ax.get_figure(root=True), PaperFigure)


def ink(ax: Axes) -> Any:
    """The colour of text and thin lines; on the user's Axes, the colour of their labels."""
    return DARK if on_paper(ax) else ax.yaxis.label.get_color()


def text_size(ax: Axes) -> float:
    """The size of tick labels in points."""
    if on_paper(ax):
        return TICK_SIZE
    return float(ax.yaxis.get_major_ticks(1)[0].label1.get_fontsize())


def write(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Writes text in the size of tick labels. A $ in it is a $, not the start of a formula."""
    usual: dict[str, Any] = {"fontsize": text_size(ax), "color": ink(ax), "parse_math": False}
    if on_paper(ax):
        usual["fontfamily"] = FONT
    ax.text(x, y, text, **usual | style)


def height_in_points(ax: Axes) -> float:
    """The height of the Axes before any layout."""
    return 72 * ax.get_window_extent().height / cast(Figure, ax.get_figure(root=True)).dpi


def label_step(ax: Axes, rows: int, lines: float = 1) -> int:
    """Every how many rows of equal height there is room for text of this number of lines."""
    room = 0.9 * height_in_points(ax) / max(rows, 1)  # axis labels take part of the height
    return max(1, math.ceil(lines * LINE * text_size(ax) / room))


def check_history(argument: str, value: Any) -> None:
    checks.kind_of(argument, value, History, "a snnviz.History", "Give trainer.history.")


def name_runs(histories: Mapping[str, History] | History) -> dict[str, History]:
    """{name: history}; a single history has an empty name. Names such as 0.5 become texts.

    Raises:
        TypeError: a history is not a History.
        ValueError: there is no run.
    """
    given = histories if isinstance(histories, Mapping) else {"": histories}
    named = {str(name): history for name, history in given.items()}
    if not named:
        raise ValueError(
            "histories must contain at least one run, got none. Give {'a name': trainer.history}."
        )
    for name, history in named.items():
        check_history(f"histories[{name!r}]" if name else "histories", history)
    return named


def name_colours(colours: Mapping[Any, str] | None) -> dict[str, str]:
    """{name of a run: its colour}, for those that have one.

    Raises:
        ValueError: matplotlib does not know a colour.
    """
    found = {str(name): colour for name, colour in (colours or {}).items()}
    for name, colour in found.items():
        if not is_color_like(colour):
            raise ValueError(
                f"colours[{name!r}] must be a colour, got {colour!r}. Use for example '#0072B2', "
                "or a name that matplotlib has, such as 'black'."
            )
    return found


def choose_groups(history: History, group: str | None) -> list[str]:
    """[group], or the names of all groups if `group` is None.

    Raises:
        TypeError: `history` is not a History.
        ValueError: there is no such group.
    """
    check_history("history", history)
    groups = history.groups
    if group is not None:
        checks.one_of("group", group, groups, "To draw all groups, leave it out.")
    return list(groups) if group is None else [group]


def note_no_epoch(ax: Axes) -> Axes:
    """Writes into empty Axes why they are empty."""
    middle: dict[str, Any] = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    write(ax, 0.5, 0.5, "no epoch finished yet", **middle)
    ax.set_xlim(0, 1)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def mark_step(points: int, most: int) -> int:
    """The smallest step between marked points that gives at most `most` markers."""
    return max(1, -(-points // most))
