"""Size against accuracy: a run's way through its epochs."""

import numpy as np
import pytest

from snnviz import plots
from snnviz.history import EPOCH_COLUMNS, History
from tests.plots.story import line, make_history, texts


def run(parameters, accuracy):
    """A history with these parameters left and test accuracies."""
    history, rest = History({"fc1": 1}), dict.fromkeys(EPOCH_COLUMNS, 1)
    for epoch, (size, score) in enumerate(zip(parameters, accuracy, strict=True), start=1):
        row = {"epoch": epoch, "parameters": size, "macs": 3 * size, "test_accuracy": score}
        history.add_epoch({"fc1": np.ones(1)}, **rest | row | {"neurons_on": epoch})
    return history


A = run([40_000, 30_000, 25_000], [0.8, 0.9, 0.91])
B = run([40_000, 20_000], [0.7, 0.85])


def test_the_way_of_one_run():
    ax = plots.size_accuracy(A)
    way, end = line(ax, "_path of run"), line(ax, "run")
    np.testing.assert_allclose(way.get_xdata(), [40, 30, 25])
    np.testing.assert_allclose(way.get_ydata(), [80, 90, 91])
    np.testing.assert_allclose(end.get_xydata(), [[25, 91]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "parameters left, thousands",
        "test accuracy, %",
    )
    assert texts(ax) == ["epoch 3: 91.0 %"]


def test_several_runs_and_their_colours():
    ax = plots.size_accuracy({"a": A, "b": B}, colours={"b": "#123456"})
    assert (line(ax, "a").get_color(), line(ax, "b").get_color()) == (plots.RIVALS[0], "#123456")
    assert line(ax, "a").get_marker() != line(ax, "b").get_marker()
    np.testing.assert_allclose(line(ax, "b").get_xydata(), [[20, 85]])
    assert set(texts(ax)) == {"a 91.0 %", "b 85.0 %"}
    part = plots.size_accuracy({"a": A.until(1), "b": B.until(1)}, within={"a": A, "b": B})
    assert (part.get_xlim(), part.get_ylim()) == (ax.get_xlim(), ax.get_ylim())


@pytest.mark.parametrize(
    ("size", "scale", "label", "x"),
    [
        ("macs", 100, "MACs left, millions", [12, 9, 7.5]),
        ("macs", 1e5, "MACs left, billions", [12, 9, 7.5]),
        ("parameters", 0.01, "parameters left", [400, 300, 250]),
        ("neurons_on", 1, "neurons on", [1, 2, 3]),
    ],
)
def test_other_sizes_and_their_units(size, scale, label, x):
    history = run([int(40_000 * scale), int(30_000 * scale), int(25_000 * scale)], [0.8, 0.9, 0.91])
    ax = plots.size_accuracy(history, size=size)
    assert ax.get_xlabel() == label
    np.testing.assert_allclose(line(ax, "_path of run").get_xdata(), x)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="size must be") as error:
        plots.size_accuracy(A, size="bytes")  # type: ignore[arg-type]
    assert (
        str(error.value) == "size must be one of 'parameters', 'macs', 'neurons_on', got 'bytes'."
    )
    with pytest.raises(ValueError, match="histories must") as error:
        plots.size_accuracy({})
    assert str(error.value) == (
        "histories must contain at least one run, got none. Give {'a name': trainer.history}."
    )


def test_one_epoch_has_ticks_that_can_be_read():
    history = make_history({"fc1": [[1.0, 0.0]]})
    ax = plots.size_accuracy(history)
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    assert high - low > 1  # a point, of an accuracy in %
    assert ax.yaxis.get_offset_text().get_text() == ""
