"""Learning curves."""

import numpy as np
import pytest

from snnviz import plots
from snnviz.history import History
from snnviz.plots.curves import MAX_DOTS
from tests.plots.story import line, make_history, texts


def test_learning_curves_data_and_colours(story):
    ax = plots.learning_curves(story)
    task, switcher, test = (line(ax, name) for name in ("task phase", "switcher phase", "test"))
    assert (task.get_color(), switcher.get_color()) == (plots.TASK, plots.SWITCHER)
    assert task.get_linestyle() != switcher.get_linestyle()  # apart in grey print too
    np.testing.assert_allclose(task.get_ydata(), 90)
    np.testing.assert_allclose(switcher.get_ydata(), 80)
    np.testing.assert_allclose(switcher.get_xdata(), [0.5, 1, 1.5, 2, 2.5, 3])
    np.testing.assert_allclose(test.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(test.get_ydata(), [91, 92, 93])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "accuracy, %")
    assert set(texts(ax)) == {"task phase", "switcher phase", "test 93.0 %"}


def test_learning_curves_of_the_loss(story):
    ax = plots.learning_curves(story, metric="loss")
    np.testing.assert_allclose(line(ax, "test").get_ydata(), [0.5, 0.25, 0.5 / 3])
    assert ax.get_ylabel() == "loss"
    assert "test 0.167" in texts(ax)


def test_smoothing_is_a_centred_running_mean():
    history = History({"fc1": 1})
    for step in range(1, 41):
        history.add_step(step=step, epoch=1, phase="task", loss=step % 2, accuracy=0.5, lr=0.1)
    ax = plots.learning_curves(history, metric="loss")
    smooth = line(ax, "task phase").get_ydata()
    np.testing.assert_allclose(smooth[2:-1], 0.5)  # a tenth of the run: windows of 4
    assert ax.get_xlabel() == "step"  # no epoch has ended
    np.testing.assert_array_equal(line(ax, "task phase").get_xdata(), np.arange(1, 41))


def test_a_running_epoch_goes_on_at_the_pace_of_the_last(story):
    story.add_step(step=35, epoch=4, phase="task", loss=1, accuracy=0.9, lr=0.1)
    x = line(plots.learning_curves(story), "task phase").get_xdata()
    assert x[-1] == pytest.approx(3.5)


def test_few_dots_and_marks_in_a_long_run():
    ax = plots.learning_curves(make_history({"fc1": [[1.0]] * 100}, steps=50))
    dots = [artist for artist in ax.lines if artist.get_label() == "_batches"]
    assert [len(artist.get_xdata()) <= MAX_DOTS for artist in dots] == [True, True]
    assert line(ax, "test").get_markevery() == 5


def test_the_end_of_the_curves_can_be_read():
    history = History({"fc1": 1})
    for step in range(1, 301):
        accuracy = 0.1 if step < 50 else 0.9
        history.add_step(
            step=step, epoch=1 + step // 101, phase="task", loss=1, accuracy=accuracy, lr=1
        )
        if step % 100 == 0:
            columns = dict.fromkeys(
                ("train_loss", "train_accuracy", "neurons_on", "neurons", "parameters", "macs"), 1
            )
            history.add_epoch(
                {"fc1": np.ones(1)},
                epoch=step // 100,
                step=step,
                test_loss=1,
                test_accuracy=0.91,
                seconds=1,
                **columns,
            )
    low, high = plots.learning_curves(history).get_ylim()
    assert 89 < low < 90
    assert 91 < high < 92


def test_an_unknown_metric_is_refused(story):
    with pytest.raises(ValueError, match="metric must be") as error:
        plots.learning_curves(story, metric="acc")  # type: ignore[arg-type]
    assert str(error.value) == (
        "metric must be 'accuracy' or 'loss', got 'acc'. "
        "Other columns are in history.steps and history.epochs."
    )
