"""Figures drawn again and again for the page: room is made again only where words change."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from snnviz import plots
from snnviz.lab.views.kinds import KINDS
from snnviz.lab.views.screen import MIDDLE, WIDE, WIDTH, Screen
from snnviz.lab.views.shown import Scene, in_colours
from tests.lab.views.pretence import pretended_classes, pretended_run

CLASSES = {"first": pretended_classes()}
SCENE = Scene(in_colours({"first": pretended_run(4, seed=0)}, CLASSES))
DRAW = {kind.name: kind.draw for kind in KINDS if kind.draw}


@pytest.fixture
def layouts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each layout."""
    made: list[int] = []
    execute = ConstrainedLayoutEngine.execute

    def counted(self: ConstrainedLayoutEngine, fig: object) -> object:
        made.append(1)
        return execute(self, fig)

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", counted)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("draw", DRAW.values(), ids=DRAW)
@pytest.mark.parametrize("width", [WIDTH, MIDDLE, WIDE])
def test_the_second_picture_is_the_first_without_a_layout(
    draw: Callable[[Scene], Axes], width: float, layouts: list[int]
) -> None:
    screen = Screen()
    first = screen.png(draw(SCENE), SCENE, width)
    assert layouts == [1]
    assert screen.png(draw(SCENE), SCENE, width) == first
    assert layouts == [1]


def test_other_numbers_keep_the_place_and_it_fits(layouts: list[int]) -> None:
    screen, draw = Screen(), DRAW["learning_curves"]
    screen.png(draw(SCENE), SCENE)
    again = draw(SCENE)
    for text in again.texts:
        text.set_text(text.get_text().translate(str.maketrans("123456789", "234567891")))
    kept = Image.open(io.BytesIO(screen.png(again, SCENE)))
    assert layouts == [1]
    edges = np.asarray(kept.convert("L"))
    assert (edges[[0, -1]] == 255).all()  # nothing is cut off
    assert (edges[:, [0, -1]] == 255).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "width"),
    [
        (lambda axes: axes.set_ylabel("two\nlines"), WIDTH),
        (lambda axes: axes.set_ylim(0, 12_345), WIDTH),
        (lambda axes: axes.texts[0].set_text("a much longer end"), WIDTH),
        (lambda axes: None, WIDE),
    ],
    ids=["label", "ticks", "end", "width"],
)
def test_other_words_get_a_layout(
    change: Callable[[Axes], object], width: float, layouts: list[int]
) -> None:
    screen = Screen()
    screen.png(plots.learning_curves(SCENE.first.history), SCENE)

    def other() -> Axes:
        axes = plots.learning_curves(SCENE.first.history)
        change(axes)
        return axes

    after = screen.png(other(), SCENE, width)
    assert layouts == [1, 1]
    assert after == Screen().png(other(), SCENE, width)
