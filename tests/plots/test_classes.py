"""Which classes are taken for which, and accuracy by class: what is drawn."""

from typing import Any

import numpy as np
import pytest

from snnviz import plots
from snnviz.training import Predictions
from tests.helpers import message_of
from tests.plots.extremes import LONG, unreadable


def predictions(counts: list[list[int]], names: tuple[str, ...] | None = None) -> Predictions:
    """Images that are classified as these counts say, by true class and predicted class."""
    table = np.array(counts)
    labels, predicted = (
        each.repeat(table.ravel()) for each in np.indices(table.shape).reshape(2, -1)
    )
    names = names or tuple(f"class {i}" for i in range(len(table)))
    return Predictions(names, labels, np.eye(len(table), dtype=np.float32)[predicted])


SOME = predictions([[8, 2, 0], [1, 398, 1], [0, 0, 0]], ("cat", "dog", "owl"))


def test_cells_are_shares_of_the_true_class():
    ax = plots.confusion(SOME)
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), [[80, 20, 0], [0.25, 99.5, 0.25], [0, 0, 0]])
    assert image.get_clim() == (0, 100)
    written = {(text.get_position()): text.get_text() for text in ax.texts}
    assert written == {
        (0, 0): "80", (1, 0): "20", (0, 1): "<1", (1, 1): "100", (2, 1): "<1",
    }  # fmt: skip
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["cat", "dog", "owl"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "predicted class", "true class (each row: 100 %)",
    )  # fmt: skip


def test_many_classes_have_a_scale_instead_of_numbers():
    ax = plots.confusion(predictions(np.eye(40, dtype=int).tolist()))
    assert len(ax.texts) == 0
    assert len(ax.figure.axes) == 2
    assert ax.figure.axes[1].get_ylabel() == "share of the true class, %"


def test_accuracy_by_class_is_sorted():
    ax = plots.class_accuracy(SOME)
    assert [bar.get_width() for bar in ax.patches] == [99.5, 80, 0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["dog", "cat", "owl"]
    assert [text.get_text() for text in ax.texts] == [
        "99.5", "80.0", "no image", "all images 99.0 %",
    ]  # fmt: skip
    (line,) = ax.lines
    assert line.get_xdata()[0] == pytest.approx(100 * 406 / 410)


@pytest.mark.slow
@pytest.mark.parametrize("plot", [plots.confusion, plots.class_accuracy])
@pytest.mark.parametrize("n", [2, 12, 100])
def test_every_number_of_classes_can_be_read(plot: Any, n: int):
    names = tuple(f"{LONG} {i}" if n == 12 else f"c{i}" for i in range(n))
    ax = plot(predictions((np.eye(n, dtype=int) * 9 + 1).tolist(), names))
    assert unreadable(ax, plots.SINGLE) == []


def test_other_arguments_are_refused():
    wrong: Any = [1, 2]
    for plot in (plots.confusion, plots.class_accuracy):
        assert message_of(lambda plot=plot: plot(wrong), TypeError) == (
            "predictions must be a trainer or Predictions, got list. Give a trainer, or what "
            "snnviz.training.predict(trainer) returns."
        )


def test_of_more_classes_than_pixels_none_is_lost():
    for n, kind in ((150, "nearest"), (151, "antialiased")):
        (image,) = plots.confusion(predictions(np.eye(n, dtype=int).tolist())).images
        assert image.get_interpolation() == kind
