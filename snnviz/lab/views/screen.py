"""Figures of `plots` as PNG for the screen, drawn often, so with as little work as can be."""

import io
import re
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from snnviz.lab.views.dark import darken
from snnviz.lab.views.shown import Scene
from snnviz.plots import DARK

WIDTH, MIDDLE, WIDE = 3.0, 4.0, 6.2  # inches: of a card, and of one that is alone, by its place
HEIGHTS = {WIDTH: 2.6, MIDDLE: 2.8, WIDE: 3.0}  # at least, so that the cards of a row are alike
DPI = {WIDTH: 270, MIDDLE: 250, WIDE: 240}  # about twice the pixels of the place that a card has

DIGIT = re.compile(r"\d")


class Screen:
    """Draws one kind of figure again and again.

    Making room for what is written around the Axes takes as long as all the drawing. So its place
    is kept as long as the same words stand there; digits are all equally wide.
    """

    def __init__(self) -> None:
        self._words: list[Any] | None = None
        self._place: Any = None

    def png(self, axes: Axes, scene: Scene, width: float = WIDTH, dark: bool = False) -> bytes:
        """The figure of these Axes, which is changed by it.

        Args:
            width: `WIDTH`, `MIDDLE` or `WIDE`.
            dark: for a dark page; without background.
        """
        figure = axes.get_figure(root=True)
        assert isinstance(figure, Figure)
        size = width, max(figure.get_figheight(), HEIGHTS[width])
        figure.set_size_inches(*size)
        ticks = axes.xaxis.get_major_locator()
        if isinstance(ticks, MaxNLocator):  # narrower than a paper's column, so perhaps fewer
            ticks.set_params(nbins="auto")
        if scene.moment and axes.get_xlabel() == "epoch" and not axes.images:
            axes.axvline(scene.moment, color=DARK, lw=0.6, ls=(0, (1, 2)), zorder=0)
        if dark:
            darken(figure)
        figure.dpi = DPI[width]
        canvas = FigureCanvasAgg(figure)
        self._draw(canvas, axes, size)
        buffer = io.BytesIO()
        pixels = np.asarray(canvas.buffer_rgba())[..., : 4 if dark else 3]  # white is a background
        Image.fromarray(pixels).save(buffer, format="png", compress_level=1)
        return buffer.getvalue()

    def _draw(self, canvas: FigureCanvasAgg, axes: Axes, size: tuple[float, float]) -> None:
        """Once; `savefig` would go through it twice."""
        figure = canvas.figure
        if self._place is not None:
            before = axes.get_position()
            axes.set_position(self._place)  # which takes the Axes out of any layout
            if [size, *_words(axes)] == self._words:
                figure.set_layout_engine("none")
                canvas.draw()
                return
            axes.set_position(before)
            axes.set_in_layout(True)
        canvas.draw()
        self._words, self._place = [size, *_words(axes)], axes.get_position()


def _words(axes: Axes) -> list[str]:
    """What is written around the Axes, each digit as a 0."""
    labels = [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts]
    written = [axes.get_xlabel(), axes.get_ylabel(), *(text.get_text() for text in labels)]
    return [DIGIT.sub("0", each) for each in written]
