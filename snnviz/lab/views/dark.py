"""Figures for a dark page. Files are never made so: they are for paper."""

from typing import Any

from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from snnviz.plots import DARK, OFF, SWITCHER, TASK

LIGHT, PAGE = "#E2E2E2", "#212121"
OFF_DARK, HATCH_DARK = "#2F2F2F", "#8A8A8A"  # flat and hatched, as in the light theme
# The same hues, as light as letters on a dark page must be.
INSTEAD = {
    "#000000": LIGHT,
    DARK: LIGHT,
    TASK: "#4BA3DB",
    SWITCHER: "#F07C2B",
    "#FFFFFF": PAGE,
    OFF: OFF_DARK,
}


def darken(figure: Figure) -> None:
    """Recolours what is dark on white; colours that say something keep their hue."""
    figure.patch.set_alpha(0)
    for ax in _all_axes(figure):
        ax.patch.set_alpha(0)
    for artist in figure.findobj():
        if isinstance(artist, Text):
            artist.set_color(_instead(artist.get_color()))
        elif isinstance(artist, Line2D):
            artist.set_color(_instead(artist.get_color()))
            artist.set_markerfacecolor(_instead(artist.get_markerfacecolor()))
            artist.set_markeredgecolor(_instead(artist.get_markeredgecolor()))
        elif isinstance(artist, Patch):
            artist.set_edgecolor(_instead(artist.get_edgecolor()))
            artist.set_facecolor(_instead(artist.get_facecolor()))
            if artist.get_hatch():
                artist.set(hatchcolor=HATCH_DARK)
        elif isinstance(artist, AxesImage):
            _darken_scale(artist)
        elif isinstance(artist, PolyCollection) and len(artist.get_facecolor()):
            # The scale's dark end would be lost in the page.
            artist.set(edgecolor="#8A8A8A", linewidth=0.3)


def _darken_scale(image: AxesImage) -> None:
    bar = image.colorbar
    labels = [label.get_text() for label in bar.ax.get_yticklabels()] if bar else []
    ticks = list(bar.get_ticks()) if bar else []
    image.set_cmap(image.get_cmap().with_extremes(under=OFF_DARK, bad="white"))
    if bar:  # which has chosen ticks of its own by now
        bar.set_ticks(ticks, labels=labels)


def _all_axes(figure: Figure) -> list[Any]:
    return [ax for whole in figure.axes for ax in (whole, *whole.child_axes)]


def _instead(colour: Any) -> Any:
    """The colour to use in place of one; most colours, and none at all, stay the same."""
    if isinstance(colour, str) and colour in ("none", "auto"):
        return colour
    instead = INSTEAD.get(to_hex(colour).upper())
    if instead is None and (instead := INSTEAD.get(to_hex(colour))) is None:
        return colour
    return to_rgba(instead, alpha=to_rgba(colour)[3])
