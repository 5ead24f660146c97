"""What the switcher reads: the factors against each descriptor, and what each one contributes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from snnviz import checks
from snnviz.plots.ends import End, label_ends
from snnviz.plots.names import shorten
from snnviz.plots.paper import (
    DASHES,
    MARKERS,
    MOST_LETTERS,
    RIVALS,
    TALLEST,
    height_in_points,
    ink,
    paper_axes,
    write,
)
from snnviz.plots.scale import off_patch
from snnviz.plots.settings import figure_for_paper

if TYPE_CHECKING:
    from snnviz.switcher import Explanation
    from snnviz.training import AlternatingTrainer

COLUMNS = 2  # panels beside each other
PANEL = 1.2  # inches
BETWEEN = 34  # points from one row of panels to the next, for the text below each
POINTS = 33  # of a line
STRIP = (-0.26, -0.08)  # the place of neurons that are off, as a share of the scale
READ = {
    "descriptors": "descriptors, in standard deviations\nfrom the mean of their group",
    "shuffled": "descriptors of another neuron, which this\nswitcher reads, in standard deviations",
    "random": "random numbers, which this switcher\nreads in place of the descriptors",
    "nothing": "descriptors, in standard deviations\n(this switcher reads nothing)",
}


@figure_for_paper
def what_it_reads(
    trainer: AlternatingTrainer, ax: Axes | None = None, *, group: str | None = None
) -> Axes:
    """Factors against what the switcher reads, a panel for each descriptor.

    Each mark is a neuron: across, the descriptor as the switcher reads it, standardised within the
    group; up, the factor that follows from the weights of now. Neurons that are off are in
    the hatched strip. A control is drawn against what *it* reads: another neuron's
    descriptors, or random numbers. One that reads no descriptors is drawn against the neurons' own.

    Each line is the partial dependence of the factor on the descriptor: one neuron at a time gets
    the value below the line and keeps its other descriptors, while all other neurons, and so the
    waterline, stay as they are; the line is the mean over the neurons of the group. A flat line
    means that the descriptor alone makes no difference, even if the marks follow it.

    Args:
        trainer: of a saved run, `Trainer.at(folder, epoch)`.
        group: draw only this group.

    Raises:
        TypeError: `trainer` is not a trainer, or its factors come from gates without scores.
        ValueError: there is no such group.
    """
    from snnviz.training import AlternatingTrainer

    advice = "A history has no weights; of a saved run, give Trainer.at(folder, epoch)."
    checks.kind_of("trainer", trainer, AlternatingTrainer, "a snnviz.Trainer", advice)
    told = trainer.explain()
    if group is not None:
        checks.one_of("group", group, list(told), "To draw all groups, leave it out.")
    shown = [name for name in told if group in (None, name)]
    names = told[shown[0]].descriptors
    rows = math.ceil(len(names) / COLUMNS)
    axes = paper_axes(ax, height=min(0.7 + rows * (PANEL + BETWEEN / 72), TALLEST))
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
    axes.set_xlabel(READ[told[shown[0]].reads], labelpad=26)
    axes.set_ylabel("factor", labelpad=24)
    axes.spines[:].set_visible(False)
    axes.patch.set_visible(False)
    axes.grid(False)

    looks = {name: _look(i) for i, name in enumerate(told)}
    top = 1.05 * max(1.5, *(float(np.nanmax(told[name].factors)) for name in shown))
    for i, descriptor in enumerate(names):
        panel = _add_panel(axes, i, rows, top)
        panel.set_xlabel(descriptor)
        places = np.linspace(*STRIP, 2 * len(shown) + 1)[-2::-2] * top  # in the strip, from above
        some = [
            _draw_neurons(panel, told[name], i, y, looks[name])
            for name, y in zip(shown, places, strict=True)
        ]
        if not any(some):
            place: dict[str, Any] = {"transform": panel.transAxes, "ha": "center", "va": "top"}
            write(panel, 0.5, 0.97, "the same\nfor all", **place)
            panel.set_xticks([])
        for name in shown:
            if told[name].inputs is not None:
                _draw_dependence(panel, trainer, told[name], descriptor, looks[name])
    short, ends = shorten(told, MOST_LETTERS), []
    for name in shown:
        off = int((told[name].factors == 0).sum())
        ends.append(End(1.0, f"{short[name]} {off} off", ink(axes), looks[name]))
    label_ends(axes, ends, marked=True)
    return axes


def _look(i: int) -> dict[str, Any]:
    """Colour, marker and dashes of the i-th group; those of two groups differ in one at least."""
    look = {"color": RIVALS[i % len(RIVALS)], "marker": MARKERS[i % len(MARKERS)], "ms": 3.2}
    return look | {"ls": DASHES[(i + i // len(RIVALS)) % len(DASHES)]}


def _add_panel(ax: Axes, i: int, rows: int, top: float) -> Axes:
    """The i-th panel, within `ax`, with the strip of neurons that are off."""
    row, column = divmod(i, COLUMNS)
    gap = BETWEEN / height_in_points(ax)
    width, height = 0.96 / COLUMNS, (1 - (rows - 1) * gap) / rows
    left, bottom = column * (width + 0.04 / (COLUMNS - 1)), 1 - height - row * (height + gap)
    panel = ax.inset_axes((left, bottom, width, height))
    paper_axes(panel, height)
    panel.grid(False)
    panel.set_ylim(1.15 * STRIP[0] * top, top)
    ticks = [y for y in MaxNLocator(3, integer=True).tick_values(0, top) if 0 <= y <= top]
    low, high = STRIP[0] * top, STRIP[1] * top
    names = ["off", *(f"{y:g}" for y in ticks)] if column == 0 else [""] * (len(ticks) + 1)
    panel.set_yticks([(low + high) / 2, *ticks], names)
    box = Path([(0, low), (1, low), (1, high), (0, high), (0, low)], closed=True)
    panel.add_patch(off_patch(box, transform=panel.get_yaxis_transform(), zorder=0))
    panel.axhline(1, color=ink(ax), lw=0.6, ls=(0, (2, 2)), zorder=0, label="_mean")
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    return panel


def _read_by(told: Explanation, column: int) -> np.ndarray:
    """(neurons,): what the switcher reads; where it reads no descriptors, the neurons' own."""
    return (told.standardised if told.inputs is None else told.inputs)[:, column].numpy()


def _draw_neurons(
    ax: Axes, told: Explanation, column: int, off_at: float, look: dict[str, Any]
) -> bool:
    """A mark for each neuron; False, and none, where all have the same descriptor."""
    x, factors = _read_by(told, column), told.factors.numpy()
    if np.ptp(x) == 0 and len(x) > 1:
        return False
    on = factors != 0
    style: dict[str, Any] = {"color": look["color"], "marker": look["marker"], "ls": "none"}
    style |= {"ms": 2.4 if len(x) <= 100 else 1.5, "mew": 0}
    ax.plot(x[on], factors[on], label=told.group, alpha=0.6, **style)
    ax.plot(x[~on], np.full((~on).sum(), off_at), label=f"{told.group}, off", **style)
    return True


def _draw_dependence(
    ax: Axes,
    trainer: AlternatingTrainer,
    told: Explanation,
    descriptor: str,
    look: dict[str, Any],
) -> None:
    """The mean factor over the values of a descriptor that occur in the group."""
    import torch

    from snnviz.switcher import partial_dependence

    x = _read_by(told, told.descriptors.index(descriptor))
    if np.ptp(x) == 0:
        return
    at = np.linspace(x.min(), x.max(), POINTS)
    _, factors = partial_dependence(trainer.switcher, told, descriptor, torch.from_numpy(at))
    line: dict[str, Any] = {"solid_capstyle": "butt", "scalex": False, "zorder": 3}
    white = ax.get_facecolor()
    ax.plot(at, factors, color=white, lw=2.6, label="_edge", **line)
    line["ls"] = look["ls"]
    ax.plot(at, factors, color=look["color"], lw=1.3, label=f"{told.group}, alone", **line)
