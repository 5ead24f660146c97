"""Learning curves."""

import numpy as np
import pytest

from snnviz import plots
from snnviz.history import EPOCH_COLUMNS, History
from snnviz.plots.curves import MAX_DOTS, curve_table
from tests.helpers import message_of
from tests.plots.extremes import extreme
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
        "metric must be one of 'accuracy', 'loss', got 'acc'. "
        "Other columns are in history.steps and history.epochs."
    )


def test_one_phase_or_none(story):
    assert set(texts(plots.learning_curves(story, phases=["switcher"]))) == {
        "switcher phase",
        "test 93.0 %",
    }
    assert texts(plots.learning_curves(story, phases="task"))[-1] in ("task phase", "test 93.0 %")
    assert texts(plots.learning_curves(story, phases=())) == ["test 93.0 %"]
    with pytest.raises(ValueError, match="phases must be") as error:
        plots.learning_curves(story, phases=["test"])
    assert str(error.value) == "phases must be one of 'task', 'switcher', got 'test'."


def test_the_table_holds_all_that_is_drawn(story):
    table = curve_table(story, "accuracy")
    assert list(table.columns) == ["curve", "step", "x", "accuracy", "running_mean"]
    assert table["curve"].value_counts().to_dict() == {
        "task phase": 24,
        "switcher phase": 6,
        "test": 3,
    }
    ax = plots.learning_curves(story)
    for name, column in (("switcher phase", "running_mean"), ("test", "accuracy")):
        rows = table[table["curve"] == name]
        np.testing.assert_allclose(line(ax, name).get_xdata(), rows["x"])
        np.testing.assert_allclose(line(ax, name).get_ydata(), rows[column])
    np.testing.assert_array_equal(table[table["curve"] == "test"]["step"], [10, 20, 30])


@pytest.mark.parametrize("plot", [plots.learning_curves, plots.neurons_on, plots.switch_map])
def test_a_moment_keeps_the_limits_of_the_whole(plot, story):
    whole = plot(story)
    part = plot(story.until(1), within=story)
    assert (part.get_xlim(), part.get_ylim()) == (whole.get_xlim(), whole.get_ylim())
    if part.images:
        assert part.images[0].get_array().shape == (5, 1)
        assert part.images[0].get_extent()[:2] == [0.5, 1.5]
        np.testing.assert_array_equal(
            part.images[0].get_array()[:, 0], whole.images[0].get_array()[:, 0]
        )
    else:
        assert part.lines[-1].get_xdata()[-1] <= 1


def test_several_runs(story):
    other = make_history({"fc1": [[1.0]] * 2}, test_accuracy=0.5)
    ax = plots.compare_curves({"first": story, "other": other}, colours={"other": "#123456"})
    first, second = line(ax, "first"), line(ax, "other")
    np.testing.assert_allclose(first.get_ydata(), [91, 92, 93])
    np.testing.assert_allclose(second.get_ydata(), [50, 50])
    np.testing.assert_array_equal(second.get_xdata(), [1, 2])
    assert (first.get_color(), second.get_color()) == (plots.RIVALS[0], "#123456")
    assert first.get_marker() != second.get_marker()  # apart in grey print too
    assert set(texts(ax)) == {"first 93.0 %", "other 50.0 %"}
    assert ax.get_ylabel() == "test accuracy, %"
    ax = plots.compare_curves({"first": story}, metric="loss")
    assert texts(ax) == ["first 0.167"]
    assert ax.get_ylabel() == "test loss"


def test_neurons_on_of_several_runs():
    history = make_history({"fc1": [[1.0]] * 2})
    ax = plots.compare_curves({"a": history, "b": history}, metric="neurons_on")
    np.testing.assert_allclose(line(ax, "b").get_ydata(), [100, 100])
    assert (ax.get_ylim(), ax.get_ylabel()) == ((0, 100), "neurons on, %")


def test_a_moment_of_several_runs(story):
    runs = {"a": story, "b": make_history({"fc1": [[1.0]] * 8})}
    whole = plots.compare_curves(runs)
    part = plots.compare_curves({k: h.until(2) for k, h in runs.items()}, within=runs)
    assert (part.get_xlim(), part.get_ylim()) == (whole.get_xlim(), whole.get_ylim())
    np.testing.assert_array_equal(line(part, "b").get_xdata(), [1, 2])


def test_the_steep_start_of_long_runs_may_leave_the_plot():
    history = History({"fc1": 1})
    rest = dict.fromkeys(EPOCH_COLUMNS, 1)
    for epoch in range(1, 21):
        accuracy = 0.1 if epoch <= 2 else 0.9
        history.add_epoch({"fc1": np.ones(1)}, **rest | {"epoch": epoch, "test_accuracy": accuracy})
    assert plots.compare_curves({"a": history}).get_ylim()[0] > 89


def test_what_cannot_be_compared_is_refused(story):
    with pytest.raises(ValueError, match="histories must") as error:
        plots.compare_curves({})
    assert str(error.value) == (
        "histories must contain at least one run, got none. Give {'a name': trainer.history}."
    )
    with pytest.raises(ValueError, match="metric must") as error:
        plots.compare_curves({"a": story}, metric="lr")  # type: ignore[arg-type]
    assert str(error.value) == "metric must be one of 'accuracy', 'loss', 'neurons_on', got 'lr'."


def test_names_of_runs_may_be_numbers(story):
    ax = plots.compare_curves({0.5: story, 1: story}, colours={1: "black"})  # pyright: ignore
    assert {words.split()[0] for words in texts(ax)} == {"0.5", "1"}
    assert line(ax, "1").get_color() == "black"


@pytest.mark.parametrize("plot", [plots.compare_curves, plots.size_accuracy])
def test_a_colour_that_there_is_not(plot, story):
    said = message_of(lambda: plot({"a": story}, colours={"a": "no colour"}))
    assert said == (
        "colours['a'] must be a colour, got 'no colour'. Use for example '#0072B2', or a name that "
        "matplotlib has, such as 'black'."
    )


def test_phases_that_are_no_names(story):
    said = message_of(lambda: plots.learning_curves(story, phases=5))  # pyright: ignore
    assert said == "phases must be one of 'task', 'switcher', got 5."


@pytest.mark.parametrize("plot", [plots.compare_curves, plots.size_accuracy])
def test_a_short_run_beside_a_long_one_is_within_the_limits(plot):
    long, short = extreme(epochs=60, steps=1), extreme(epochs=2, steps=1)
    ax = plot({"long": long, "short": short})
    low, high = ax.get_ylim()
    assert low < 100 * short.last_epoch["test_accuracy"] < high
