"""One function a figure: a `History` in, matplotlib `Axes` out.

With `ax=None` a function draws into a figure of its own at the width of a paper's column, so that
what is seen is what is printed. That figure is not one of pyplot's: it may be made in any thread,
and nothing has to be closed. As the last line of a notebook cell the returned Axes shows itself.

Names and scales stand to the right of the Axes, so give Axes of a figure with
`layout="constrained"`, which makes room for them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import (
    Affine2D,
    Affine2DBase,
    ScaledTranslation,
    blended_transform_factory,
    offset_copy,
)

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from snnviz.history import History

# The palette of every picture in the project.
TASK = "#0072B2"
SWITCHER = "#D55E00"
DENSE = "#7F7F7F"
OFF = "#DEDEDE"  # always under OFF_HATCH, which no factor has
OFF_HATCH, OFF_HATCH_COLOUR = "//////", "#A6A6A6"
RIVALS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9")  # Okabe-Ito without the two phases' colours
DARK = "#222222"

SINGLE, DOUBLE = 3.4, 7.0  # inches: one and two columns of a paper
FONT = ("DejaVu Sans", "sans-serif")  # the first comes with matplotlib, so sizes agree everywhere
LABEL_SIZE, TICK_SIZE = 8, 7  # points
SCREEN_DPI = 150
MAX_MARKS, MAX_DOTS = 20, 400  # on a line; more would run into one another

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
JUST_ABOVE_OFF = 1e-9
ALL = "all together"


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


def learning_curves(
    history: History,
    ax: Axes | None = None,
    *,
    metric: Literal["accuracy", "loss"] = "accuracy",
) -> Axes:
    """Accuracy (%) or loss: batches of both phases, and the test split after each epoch.

    Batches are faint dots (of many, evenly chosen ones); the line is their running mean over half
    an epoch, but at least a fiftieth and at most a tenth of the run. The test split is marked and
    its last value written out. The first epoch's steep part may leave the plot, so that the end
    can be read. Before the first epoch ends the horizontal axis counts steps.

    Raises:
        ValueError: `metric` is neither "accuracy" nor "loss".
    """
    if metric not in ("accuracy", "loss"):
        raise ValueError(
            f"metric must be 'accuracy' or 'loss', got {metric!r}. "
            "Other columns are in history.steps and history.epochs."
        )
    axes = _paper_axes(ax, height=2.2)
    unit = 100 if metric == "accuracy" else 1
    steps, epochs = history.steps, history.epochs
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy, %" if metric == "accuracy" else "loss")
    if len(steps) == 0 and len(epochs) == 0:
        return _note(axes)

    position, length = _epoch_of(steps, epochs), len(epochs)
    if length == 0:  # nothing says yet how long an epoch is
        position, length = steps["step"].to_numpy(float), 1
        axes.set_xlabel("step")
    ends, seen = [], []
    # The steep start would flatten all the rest.
    read_from = 1 if length > 1 else 0.25 * position.max(initial=0)
    for phase, colour, dashes in (("task", TASK, DASHES[0]), ("switcher", SWITCHER, DASHES[1])):
        rows = (steps["phase"] == phase).to_numpy()
        if rows.any():
            x, batches = position[rows], unit * steps.loc[rows, metric].astype(float)
            name = f"{phase} phase"
            smooth = _draw_batches(axes, x, batches, length, color=colour, ls=dashes, label=name)
            ends.append(_End(_last_finite(smooth), name, colour))
            seen.append(smooth[x >= read_from])
    test = unit * epochs[f"test_{metric}"].to_numpy(float)
    if len(test):
        mark: dict[str, Any] = {"marker": "o", "ms": 3.2, "mfc": "white", "mew": 0.9}
        mark |= {"color": DARK, "markevery": _every(len(test), MAX_MARKS)}
        axes.plot(epochs["epoch"], test, lw=0.9, label="test", zorder=3, **mark)
        last = _last_finite(test)
        value = f"{last:.1f} %" if metric == "accuracy" else f"{last:.3f}"
        ends.append(_End(last, f"test {value}", DARK))
    axes.set_ylim(_limits([*seen, test], 100 if metric == "accuracy" else np.inf))
    axes.set_xlim(0, 1.015 * max(position.max(initial=1), len(test)))  # room for the last mark
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=length > 2))
    _label_ends(axes, ends)
    return axes


def switch_map(history: History, group: str | None = None, ax: Axes | None = None) -> Axes:
    """Every neuron's factor after every epoch: which neurons went off, when, and which came back.

    A row is a neuron, a column an epoch. Rows are sorted by the last time a neuron went off: the
    first to go on top, below them those that came back, and at the bottom those never off. *Off*
    (a factor of exactly 0) is flat grey with a hatch; all other factors are on a colour scale with
    1 in its middle, whose upper end leaves out the largest hundredth. A factor that is not a
    number is white.

    Without `group`, all groups stand above one another in one Axes, with one colour scale and
    heights that follow the square root of their sizes. The images in `ax.images` are in the order
    of `history.groups`.

    Raises:
        ValueError: there is no such group.
    """
    groups = history.groups
    if group is not None and group not in groups:
        raise ValueError(
            f"group must be one of {', '.join(map(repr, groups))}, got {group!r}. "
            "To draw all groups, leave it out."
        )
    names = list(groups) if group is None else [group]
    axes = _paper_axes(ax, height=min(2.3 + 0.3 * max(len(names) - 2, 0), 8.5))
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"neurons{'' if group is None else ' of ' + group}, first off on top")
    factors = history.factors  # {group: (epochs, neurons)}, made afresh at each reading
    epochs = max(map(len, factors.values()), default=0)
    if epochs == 0:
        return _note(axes)

    norm = _factor_norm(np.concatenate([factors[name].ravel() for name in names]))
    cmap = matplotlib.colormaps["cividis"].with_extremes(under=OFF, bad="white")
    bands = _bands({name: groups[name] for name in names})
    for name, (bottom, top) in bands.items():
        _draw_band(axes, factors[name], bottom, top, norm, cmap)
    axes.set_xlim(0.5, epochs + 0.5)
    axes.set_ylim(min(b for b, _ in bands.values()), max(t for _, t in bands.values()))
    axes.set_aspect("auto")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.spines[:].set_visible(False)
    if group is None:
        between = "\n" if len(names) <= 8 else ": "
        middles = [(bottom + top) / 2 for bottom, top in bands.values()]
        labels = [f"{name}{between}{groups[name]}" for name in names]
        axes.set_yticks(middles, labels, parse_math=False)
        axes.tick_params(axis="y", length=0)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    _factor_scale(axes, axes.images[-1])
    return axes


def neurons_on(history: History, ax: Axes | None = None) -> Axes:
    """Share of neurons on (%) after each epoch: a line for each group, and all together in black.

    On is every neuron whose factor is not exactly 0.
    """
    names = list(history.groups)
    axes = _paper_axes(ax, height=max(2.2, 0.8 + 0.14 * (len(names) + 1)))
    axes.set_xlabel("epoch")
    axes.set_ylabel("neurons on, %")
    factors = history.factors
    epochs = max(map(len, factors.values()), default=0)
    if epochs == 0:
        return _note(axes)

    on = {name: (f != 0).sum(axis=1) for name, f in factors.items()}
    lines = {name: 100 * on[name] / history.groups[name] for name in names}
    lines[ALL] = 100 * sum(on.values()) / sum(history.groups.values())
    x = np.arange(1, epochs + 1)
    ends = []
    for i, (name, share) in enumerate(lines.items()):
        mark: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)], "ms": 3.2}
        mark["color"] = RIVALS[i % len(RIVALS)]
        dashes, width = DASHES[i // len(RIVALS) % len(DASHES)], 1.0
        if name == ALL:
            mark = {"marker": "_", "ms": 6, "mew": 1.6, "color": DARK}
            dashes, width = DASHES[0], 1.6
        marked = [] if name == ALL and epochs > 1 else slice(None, None, _every(epochs, MAX_MARKS))
        line: dict[str, Any] = {"ls": dashes, "lw": width, "markevery": marked}
        axes.plot(x, share, label=name, clip_on=False, zorder=3, **line, **mark)
        ends.append(_End(float(share[-1]), f"{name} {share[-1]:.0f} %", DARK, mark))
    axes.set_xlim((0.5, 1.5) if epochs == 1 else (1, epochs))
    axes.set_ylim(0, 100)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    _label_ends(axes, ends)
    return axes


# Learning curves ------------------------------------------------------------------------------


def _epoch_of(steps: DataFrame, epochs: DataFrame) -> np.ndarray:
    """Where each step lies on the axis of epochs; the one still running is as long as the last."""
    ends = np.concatenate([[0.0], epochs["step"].to_numpy(float)])  # (epochs + 1,)
    if len(ends) > 1:
        ends = np.append(ends, ends[-1] + max(ends[-1] - ends[-2], 1))
    return np.interp(steps["step"].to_numpy(float), ends, np.arange(len(ends)))


def _draw_batches(ax: Axes, x: np.ndarray, batches: Series, epochs: int, **line: Any) -> np.ndarray:
    """Faint dots and their running mean, which is returned."""
    share = min(max(0.5 / epochs, 0.02), 0.1)
    window = max(1, round(share * len(batches)))
    means = np.asarray(batches.rolling(window, min_periods=1, center=True).mean())
    some = slice(None, None, _every(len(batches), MAX_DOTS))
    dots: dict[str, Any] = {"ls": "", "marker": "o", "ms": 1.1, "mew": 0, "alpha": 0.35}
    ax.plot(x[some], batches.iloc[some], color=line["color"], label="_batches", **dots)
    ax.plot(x, means, lw=1.1, **line)
    return means


def _limits(curves: Sequence[np.ndarray], ceiling: float) -> tuple[float, float]:
    """Limits around all values, with room, within 0 and the ceiling."""
    values = np.concatenate([np.empty(0), *curves])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return 0, min(1, ceiling)
    low, high = values.min(), values.max()
    room = max(0.1 * (high - low), 1e-3)
    return max(low - room, 0), min(high + room, ceiling)


# The switch map -------------------------------------------------------------------------------


def _bands(sizes: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Bottom and top of each group, the first on top. A lone group counts its neurons."""
    if len(sizes) == 1:
        return {name: (0, n) for name, n in sizes.items()}
    heights = np.sqrt(list(sizes.values()))
    heights = np.maximum(heights, 0.15 * heights.max())  # room for a name
    tops = heights.sum() - np.cumsum(heights) + heights
    tops -= 0.12 * heights.mean() * np.arange(len(sizes))  # a gap between any two
    return {
        name: (float(top - height), float(top))
        for name, top, height in zip(sizes, tops, heights, strict=True)
    }


def _factor_norm(factors: np.ndarray) -> TwoSlopeNorm:
    """0 to 1 on the lower half of the colours, 1 to a robust upper end on the upper half."""
    on = factors[np.isfinite(factors) & (factors > 0)]
    top = np.quantile(on, 0.99) if len(on) else 2
    # 0 itself lies just under the scale, and so gets the colour of `off`.
    return TwoSlopeNorm(1, vmin=JUST_ABOVE_OFF, vmax=max(2, np.ceil(2 * top) / 2))


def _rows_by_switching_off(factors: np.ndarray) -> np.ndarray:
    """Neurons from the bottom row to the top one: never off, back on, off (last to first)."""
    off = factors == 0  # (epochs, neurons)
    begins = off & ~np.vstack([np.zeros_like(off[:1]), off[:-1]])
    epoch = np.arange(1, len(off) + 1)[:, None]
    last_begin = (begins * epoch).max(axis=0)  # 0: never
    kind = np.where(off[-1], 2, np.where(last_begin > 0, 1, 0))
    strength = np.where(np.isfinite(factors), factors, 0).mean(axis=0)
    return np.lexsort((-strength, -last_begin, kind))


def _draw_band(
    ax: Axes, factors: np.ndarray, bottom: float, top: float, norm: TwoSlopeNorm, cmap: Colormap
) -> None:
    epochs, n = factors.shape
    rows = factors[:, _rows_by_switching_off(factors)].T  # (neurons, epochs)
    extent = (0.5, epochs + 0.5, bottom, top)
    # "nearest": blending neighbours would invent factors between off and on.
    style: dict[str, Any] = {"interpolation": "nearest", "origin": "lower", "aspect": "auto"}
    ax.imshow(np.ma.masked_invalid(rows), norm=norm, cmap=cmap, extent=extent, **style)
    outline = _outline(rows == 0)
    vertices = np.asarray(outline.vertices) * [1, (top - bottom) / n] + [0.5, bottom]
    if len(vertices):
        ax.add_patch(_off_patch(Path(vertices, outline.codes)))
    frame = Rectangle((0.5, bottom), epochs, top - bottom, fill=False, ec=DARK, lw=0.6)
    frame.set(clip_on=False, zorder=3)
    ax.add_patch(frame)


def _outline(off: np.ndarray) -> Path:
    """One path around all that is off, so that one hatch runs through it however thin a row is.

    Runs of epochs that neighbouring rows (neurons, epochs) share are one rectangle.
    """
    edges = np.diff(np.pad(off.astype(np.int8), ((0, 0), (1, 1))), axis=1)  # (n, epochs + 1)
    runs = [set(zip(np.flatnonzero(e == 1), np.flatnonzero(e == -1), strict=True)) for e in edges]
    vertices, since = [], {}
    for row, now in enumerate([*runs, set()]):
        for run in sorted(since.keys() - now):
            (left, right), low = run, since.pop(run)
            vertices += [(left, low), (right, low), (right, row), (left, row), (left, low)]
        since |= dict.fromkeys(now - since.keys(), row)
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * (len(vertices) // 5)
    return Path(np.reshape(vertices, (-1, 2)).astype(float), codes)


def _off_patch(path: Path, **place: Any) -> PathPatch:
    patch = PathPatch(path, fc=OFF, ec="none", lw=0, hatch=OFF_HATCH, label="off", **place)
    patch.set(hatchcolor=OFF_HATCH_COLOUR, hatch_linewidth=0.5)
    return patch


def _factor_scale(ax: Axes, image: AxesImage) -> None:
    """The colour bar, and below it, apart from the scale, what off looks like."""
    figure = cast(Figure, ax.get_figure(root=True))
    # Points from the right edge by shares of the height. A bar that took its place from the Axes
    # would move a little each time the figure is laid out, and files would differ.
    points = Affine2D().scale(1 / 72) + figure.dpi_scale_trans
    right = points + ScaledTranslation(1, 0, cast(Affine2DBase, ax.transAxes))
    length = min(0.78, 2.2 * figure.dpi / ax.get_window_extent().height)  # 2.2 inches are enough
    bounds = (8, 1 - length, 8, length)
    place = ax.inset_axes(bounds, transform=blended_transform_factory(right, ax.transAxes))
    bar = figure.colorbar(image, cax=place, extend="max", extendfrac=0.05)
    top = image.get_clim()[1]
    bar.set_ticks([JUST_ABOVE_OFF, 1, top], labels=["0", "1", f"{top:g}"])
    bar.ax.tick_params(labelsize=TICK_SIZE, labelfontfamily=FONT, width=0.6, length=2.5)
    bar.outline.set_linewidth(0.6)
    bar.set_label("factor", fontsize=LABEL_SIZE, fontfamily=FONT)
    box = Path.unit_rectangle().transformed(Affine2D().scale(1, 0.08).translate(0, -0.16))
    bar.ax.add_patch(_off_patch(box, transform=bar.ax.transAxes, clip_on=False))
    beside = offset_copy(bar.ax.transAxes, figure, x=4.5, units="points")
    _write(bar.ax, 1, -0.12, "off", transform=beside, va="center")


# What all have in common ----------------------------------------------------------------------


def _paper_axes(ax: Axes | None, height: float) -> Axes:
    """The given Axes or new ones, with a paper's font sizes and line widths."""
    if ax is None:
        figure = PaperFigure(figsize=(SINGLE, height), dpi=SCREEN_DPI, layout="constrained")
        ax = cast(Axes, figure.add_subplot(axes_class=PaperAxes))
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(fontsize=LABEL_SIZE, fontfamily=FONT, parse_math=False)
    ax.tick_params(labelsize=TICK_SIZE, labelfontfamily=FONT, width=0.6, length=2.5)
    ax.spines[:].set_linewidth(0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _write(ax: Axes, x: float, y: float, text: str, **style: Any) -> None:
    style = {"fontsize": TICK_SIZE, "fontfamily": FONT, "parse_math": False} | style
    ax.text(x, y, text, **style)


def _note(ax: Axes) -> Axes:
    middle: dict[str, Any] = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    _write(ax, 0.5, 0.5, "no epoch finished yet", **middle)
    ax.set_xlim(0, 1)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def _last_finite(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values[-1]) if len(values) else float("nan")


def _every(points: int, most: int) -> int:
    """Every how many-th point to mark, so that there are at most so many marks."""
    return max(1, -(-points // most))


@dataclass(frozen=True)
class _End:
    """What is written at the right end of a line."""

    y: float
    text: str
    colour: str
    mark: dict[str, Any] | None = None  # how a point of the line looks


def _label_ends(ax: Axes, ends: Sequence[_End]) -> None:
    """Write each line's name beside its end, moved up or down just enough not to overlap."""
    figure = cast(Figure, ax.get_figure(root=True))
    low, high = ax.get_ylim()
    height = 72 * ax.get_window_extent().height / figure.dpi  # points, before any layout
    gap = (high - low) * 1.25 * TICK_SIZE / height
    # Upwards; of equal ones the first comes on top.
    ends = sorted((e for e in reversed(ends) if np.isfinite(e.y)), key=lambda e: e.y)
    wanted = np.clip([e.y for e in ends], low, high)
    places = _spread(wanted, gap, low, high)
    # Where a label had to leave its line's end, each line's mark is drawn again beside its label.
    marked = bool(np.any(np.abs(places - wanted) > gap / 2))
    right = ax.get_yaxis_transform()  # x in shares of the width, y in data
    for end, y in zip(ends, places, strict=True):
        again = end.mark if marked else None
        beside = offset_copy(right, figure, x=5 if again is None else 13, units="points")
        _write(ax, 1, y, end.text, transform=beside, va="center", color=end.colour)
        if again is not None:
            beside = offset_copy(right, figure, x=8, units="points")
            ax.plot([1], [y], transform=beside, clip_on=False, label="_mark", **again)


def _spread(wanted: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """The places nearest to the wanted ones (ascending) that are at least `gap` apart.

    Least squares with order kept: neighbours that are too near are pooled into a block around
    their mean, as in isotonic regression. All is then moved back between `low` and `high`.
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
