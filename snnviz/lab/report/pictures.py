"""The figures of a report: the lab's, as SVG for a light and for a dark page."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnviz import plots
from snnviz.history import History
from snnviz.lab.views.cards import describe_figure
from snnviz.lab.views.dark import darken
from snnviz.lab.views.kinds import KINDS
from snnviz.lab.views.shown import Scene, in_colours
from snnviz.plots.settings import paper_settings
from snnviz.training import Predictions

WIDTH, HEIGHT = 5.6, 3.0  # inches; a higher figure stays as high as it is
DPI = 200  # of what is an image inside a figure, such as the switch map
PIXELS = 96  # of a page, an inch
MORE = {"learning_curves": {"metric": "loss"}}  # a second figure of a kind, with this choice
CLASSES = (
    (plots.confusion, "Which classes are taken for which, at the end"),
    (plots.class_accuracy, "Accuracy by class, at the end"),
)


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name, title, alt: what it is called, for people and for those who do not see it.
        light, dark: SVG.
        width, height: in pixels of the page.
        axis: (left, right, top, bottom) of the Axes as shares of the picture, and the epochs at the
            left and right; None if epochs are not along its axis.
    """

    name: str
    title: str
    alt: str
    light: bytes
    dark: bytes
    width: int
    height: int
    axis: tuple[float, ...] | None


def draw_pictures(
    name: str, history: History, predictions: Predictions | None = None
) -> Iterator[Picture]:
    """Every figure that the lab has of a run, and those of predictions."""
    for kind in KINDS:
        if kind.draw is None or kind.missing(Scene(in_colours({name: history}))):
            continue
        for choices in ({}, *([MORE[kind.name]] if kind.name in MORE else [])):
            scene = Scene(in_colours({name: history}), None, choices)
            title = ", ".join([kind.title, *choices.values()])
            axes, dark = kind.draw(scene), kind.draw(scene)
            alt = describe_figure(kind, scene, axes)
            yield _finish("_".join([kind.name, *choices.values()]), title, alt, axes, dark)
    if predictions is None:
        return
    right = f"{100 * predictions.accuracy:.1f} % of {len(predictions.labels):,} test images right"
    for plot, title in CLASSES:
        axes, dark = plot(predictions), plot(predictions)
        yield _finish(plot.__name__, title, f"{title} of {name}: {right}.", axes, dark)


def _finish(name: str, title: str, alt: str, axes: Axes, dark_axes: Axes) -> Picture:
    darken(_figure(dark_axes))
    light, dark = _render(axes), _render(dark_axes)
    width, height = (round(PIXELS * inches) for inches in _figure(axes).get_size_inches())
    return Picture(name, title, alt, light, dark, width, height, _place_epochs(axes))


def _render(axes: Axes) -> bytes:
    figure = _figure(axes)
    figure.set_size_inches(WIDTH, max(HEIGHT, figure.get_figheight()))
    buffer = io.BytesIO()
    with paper_settings():
        metadata = {"Date": None}  # the same data gives the same bytes
        figure.savefig(buffer, format="svg", dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def _place_epochs(axes: Axes) -> tuple[float, ...] | None:
    if axes.get_xlabel() != "epoch":
        return None
    box, (start, end) = axes.get_position(), axes.get_xlim()
    places = (box.x0, box.x1, 1 - box.y1, 1 - box.y0, start, end)
    return tuple(round(float(place), 5) for place in places)


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure
