"""The colours of factors: their scale, and off, which is not on the scale."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import (
    Affine2D,
    Affine2DBase,
    ScaledTranslation,
    blended_transform_factory,
    offset_copy,
)

from snnviz.plots.paper import (
    FONT,
    LABEL_SIZE,
    OFF,
    OFF_HATCH,
    OFF_HATCH_COLOUR,
    TICK_SIZE,
    on_paper,
    write,
)

JUST_ABOVE_OFF = 1e-9


def factor_norm(factors: np.ndarray) -> TwoSlopeNorm:
    """Maps 0 to 1 on the lower half of the colours, and 1 to a robust maximum on the upper."""
    on = factors[np.isfinite(factors) & (factors > 0)]
    top = np.quantile(on, 0.99) if len(on) else 2
    # 0 itself is just below the scale, and so gets the colour of off.
    return TwoSlopeNorm(1, vmin=JUST_ABOVE_OFF, vmax=max(2, np.ceil(2 * top) / 2))


def off_patch(path: Path, **place: Any) -> PathPatch:
    """A patch in the style of off neurons."""
    patch = PathPatch(path, fc=OFF, ec="none", lw=0, hatch=OFF_HATCH, label="off", **place)
    patch.set(hatchcolor=OFF_HATCH_COLOUR, hatch_linewidth=0.5)
    return patch


def factor_scale(ax: Axes, image: AxesImage) -> None:
    """Draws the colour bar, and below it, apart from the scale, the style of off."""
    figure = cast(Figure, ax.get_figure(root=True))
    # In points from the right edge, and in shares of the height. If the bar took its space from the
    # Axes, it would move a little at each layout, and files would differ.
    points = Affine2D().scale(1 / 72) + figure.dpi_scale_trans
    right = points + ScaledTranslation(1, 0, cast(Affine2DBase, ax.transAxes))
    length = min(0.78, 2.2 * figure.dpi / ax.get_window_extent().height)  # 2.2 inches are enough
    bounds = (8, 1 - length, 8, length)
    place = ax.inset_axes(bounds, transform=blended_transform_factory(right, ax.transAxes))
    bar = figure.colorbar(image, cax=place, extend="max", extendfrac=0.05)
    top = image.get_clim()[1]
    bar.set_ticks([JUST_ABOVE_OFF, 1, top], labels=["0", "1", f"{top:g}"])
    bar.set_label("factor")
    if on_paper(ax):
        bar.ax.tick_params(labelsize=TICK_SIZE, labelfontfamily=FONT, width=0.6, length=2.5)
        bar.outline.set_linewidth(0.6)
        bar.set_label("factor", fontsize=LABEL_SIZE, fontfamily=FONT)
    box = Path.unit_rectangle().transformed(Affine2D().scale(1, 0.08).translate(0, -0.16))
    bar.ax.add_patch(off_patch(box, transform=bar.ax.transAxes, clip_on=False))
    beside = offset_copy(bar.ax.transAxes, figure, x=4.5, units="points")
    write(bar.ax, 1, -0.12, "off", transform=beside, va="center")
