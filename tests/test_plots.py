"""Plots are tested through their artists: data, colours, labels."""

import threading
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.path import Path

from snnviz import plots
from snnviz.history import History

NAN, INF = float("nan"), float("inf")
PLOTS = (plots.learning_curves, plots.switch_map, plots.neurons_on)


def make_history(factors: dict[str, Any], steps: int = 10, **columns: Any) -> History:
    """A history from {group: (epochs, neurons)}, with `steps` steps an epoch, every fifth a
    switcher step."""
    arrays = {group: np.array(values, np.float32) for group, values in factors.items()}
    history = History({group: values.shape[1] for group, values in arrays.items()})
    for epoch in range(1, len(next(iter(arrays.values()))) + 1):
        for i in range(1, steps + 1):
            step = (epoch - 1) * steps + i
            phase = "task" if i % 5 else "switcher"
            accuracy = 0.8 + 0.1 * (phase == "task")
            row = {"loss": 1 / step, "accuracy": accuracy, "lr": 0.1} | columns
            row = {key: row[key] for key in ("loss", "accuracy", "lr")}
            history.add_step(step=step, epoch=epoch, phase=phase, **row)
        now = {group: values[epoch - 1] for group, values in arrays.items()}
        values = {"test_loss": 0.5 / epoch, "test_accuracy": 0.9 + 0.01 * epoch} | columns
        values = {key: values[key] for key in ("test_loss", "test_accuracy")}
        rest = dict.fromkeys(
            ("train_loss", "train_accuracy", "neurons_on", "neurons", "parameters", "macs"), 1
        )
        history.add_epoch(now, epoch=epoch, step=epoch * steps, seconds=1, **values, **rest)
    return history


def line(ax: Any, label: str) -> Any:
    (found,) = [artist for artist in ax.lines if artist.get_label() == label]
    return found


def texts(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


# Neuron 0 goes off in epoch 3, 1 never, 2 in epoch 2 and comes back, 3 in epoch 2, 4 never.
STORY = [[1, 1, 1, 1, 1], [1, 2, 0, 0, 1], [0, 2, 0.5, 0, 1]]


@pytest.fixture
def story() -> History:
    return make_history({"fc1": STORY, "conv1": [[1, 1]] * 3})


@pytest.mark.parametrize("plot", PLOTS)
def test_new_axes_are_a_column_wide_and_not_pyplots(plot, story):
    before = dict(matplotlib.rcParams)
    ax = plot(story)
    assert ax.figure.get_figwidth() == 3.4
    assert ax.figure.canvas.manager is None
    assert ax.xaxis.label.get_size() == ax.yaxis.label.get_size() == 8
    assert {text.get_size() for text in ax.texts + ax.get_xticklabels()} == {7}
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("plot", PLOTS)
def test_the_last_line_of_a_notebook_cell_shows_the_figure(plot, story):
    ax = plot(story)
    formatter = DisplayFormatter()
    for shown in (ax, ax.figure):
        data, _ = formatter.format(shown)
        assert "image/png" in data
        assert data["image/png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("plot", PLOTS)
def test_given_axes_are_drawn_into_and_returned(plot, story):
    figure = Figure(figsize=(6, 4))
    first, second = figure.subplots(1, 2)
    assert plot(story, ax=second) is second
    assert second.has_data()
    assert not first.has_data()


@pytest.mark.parametrize("plot", PLOTS)
def test_drawing_changes_nothing_in_the_history(plot, story):
    before = story.steps, story.epochs, story.factors
    plot(story)
    assert story.steps.equals(before[0])
    assert story.epochs.equals(before[1])
    assert all(np.array_equal(story.factors[g], f) for g, f in before[2].items())


@pytest.mark.parametrize("plot", PLOTS)
def test_an_empty_history_says_so(plot):
    ax = plot(History({"fc1": 5, "conv1": 2}))
    assert texts(ax) == ["no epoch finished yet"]
    assert ax.get_xlabel() == "epoch"
    assert not ax.lines
    assert not ax.images


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("bad", [NAN, INF])
def test_numbers_that_are_none_do_not_stop_a_plot(plot, bad):
    factors = [[1, bad, 0], [bad, bad, 0]]
    columns = {"loss": bad, "accuracy": bad, "test_loss": bad, "test_accuracy": bad}
    ax = plot(make_history({"fc1": factors}, **columns))
    assert ax._repr_png_()


@pytest.mark.parametrize("plot", PLOTS)
def test_names_are_not_read_as_formulas(plot):
    ax = plot(make_history({"a_1$x$ and $": [[1, 0]], "b": [[1, 1]]}))
    assert ax._repr_png_()


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_can_be_made_in_another_thread(plot, story):
    made = []
    thread = threading.Thread(target=lambda: made.append(plot(story)._repr_png_()))
    thread.start()
    thread.join()
    assert made[0].startswith(b"\x89PNG")


# Learning curves


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
    assert [len(artist.get_xdata()) <= plots.MAX_DOTS for artist in dots] == [True, True]
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


# The switch map


def test_rows_are_sorted_by_when_neurons_went_off(story):
    ax = plots.switch_map(story, "fc1")
    (image,) = ax.images
    # From the bottom: never off (the stronger first), back on, off last, off first.
    expected = np.array(STORY, np.float32).T[[1, 4, 2, 0, 3]]
    np.testing.assert_array_equal(image.get_array(), expected)
    assert image.get_extent() == [0.5, 3.5, 0, 5]
    assert image.origin == "lower"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "neurons of fc1, first off on top")


def test_colours_of_factors(story):
    image = plots.switch_map(story, "fc1").images[0]
    colour = {value: to_hex(image.to_rgba(value)).upper() for value in (0, 1e-6, 1, 2)}
    cividis = matplotlib.colormaps["cividis"]
    assert colour[0] == plots.OFF
    assert colour[1e-6] == to_hex(cividis(0.0)).upper()
    assert colour[1] == to_hex(cividis(0.5)).upper()
    assert colour[2] == to_hex(cividis(1.0)).upper()
    assert plots.OFF not in {to_hex(c).upper() for c in cividis(np.linspace(0, 1, 256))}


def test_the_scales_upper_end_leaves_out_what_is_rare():
    factors = np.full((1, 1000), 1.7)
    factors[0, :5] = 50
    assert plots.switch_map(make_history({"fc1": factors})).images[0].norm.vmax == 2
    factors[:] = 3.3
    assert plots.switch_map(make_history({"fc1": factors})).images[0].norm.vmax == 3.5


def off_patches(ax: Any) -> list[Any]:
    return [patch for patch in ax.patches if patch.get_label() == "off"]


def test_off_is_one_hatched_region(story):
    ax = plots.switch_map(story, "fc1")
    (off,) = off_patches(ax)
    assert to_hex(off.get_facecolor()).upper() == plots.OFF
    assert off.get_hatch() == plots.OFF_HATCH
    # Rows from the bottom: neurons 1, 4 (never), 2 (off in 2), 0 (off in 3), 3 (off in 2 and 3).
    boxes = {tuple(path.get_extents().extents) for path in split(off.get_path())}
    assert boxes == {(1.5, 2, 2.5, 3), (2.5, 3, 3.5, 4), (1.5, 4, 3.5, 5)}


def split(path: Any) -> list[Any]:
    """A compound path's rectangles."""
    size = 5
    vertices = [path.vertices[i : i + size] for i in range(0, len(path.vertices), size)]
    return [Path(v) for v in vertices]


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=8))
def test_the_outline_holds_all_that_is_off_once(off):
    off = np.array(off)
    covered = np.zeros(off.shape, int)
    for box in split(plots._outline(off)):
        left, low, right, high = box.get_extents().extents.astype(int)
        covered[low:high, left:right] += 1
    np.testing.assert_array_equal(covered, off)


def test_thin_rows_make_few_rectangles():
    factors = np.ones((8, 500))
    factors[3:, :100] = 0
    factors[5:, 100:250] = 0
    (off,) = off_patches(plots.switch_map(make_history({"fc1": factors})))
    assert len(split(off.get_path())) == 2


def test_off_stands_apart_in_the_legend(story):
    ax = plots.switch_map(story)
    bar = ax.images[-1].colorbar
    assert [label.get_text() for label in bar.ax.get_yticklabels()] == ["0", "1", "2"]
    assert bar.ax.get_ylabel() == "factor"
    assert texts(bar.ax) == ["off"]
    (box,) = off_patches(bar.ax)
    assert box.get_hatch() == plots.OFF_HATCH
    assert box.get_path().get_extents().ymax < 0  # below the bar


def test_all_groups_stand_in_one_axes(story):
    ax = plots.switch_map(story)
    first, second = ax.images
    assert (first.get_array().shape, second.get_array().shape) == ((5, 3), (2, 3))
    assert first.get_extent()[2] > second.get_extent()[3]  # in order from the top, with a gap
    assert first.norm is second.norm
    assert [label.get_text() for label in ax.get_yticklabels()] == ["fc1\n5", "conv1\n2"]
    assert ax.get_ylabel() == "neurons, first off on top"
    height = [image.get_extent()[3] - image.get_extent()[2] for image in ax.images]
    assert height[0] / height[1] == pytest.approx(np.sqrt(5 / 2))


def test_an_unknown_group_is_refused(story):
    with pytest.raises(ValueError, match="group must be") as error:
        plots.switch_map(story, "fc9")
    assert str(error.value) == (
        "group must be one of 'fc1', 'conv1', got 'fc9'. To draw all groups, leave it out."
    )


# Neurons on


def test_shares_of_neurons_on(story):
    ax = plots.neurons_on(story)
    np.testing.assert_allclose(line(ax, "fc1").get_ydata(), [100, 60, 60])
    np.testing.assert_allclose(line(ax, "conv1").get_ydata(), [100, 100, 100])
    np.testing.assert_allclose(line(ax, plots.ALL).get_ydata(), [100, 500 / 7, 500 / 7])
    np.testing.assert_array_equal(line(ax, "fc1").get_xdata(), [1, 2, 3])
    assert set(texts(ax)) == {"fc1 60 %", "conv1 100 %", "all together 71 %"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "neurons on, %")


def test_groups_differ_in_more_than_colour():
    groups = {f"layer{i}": [[1.0], [1.0]] for i in range(12)}
    ax = plots.neurons_on(make_history(groups))
    lines = [line(ax, name) for name in groups]
    assert lines[0].get_color() == plots.RIVALS[0]
    assert len({(a.get_color(), a.get_marker()) for a in lines}) == 12
    assert not {a.get_color() for a in lines} & {plots.TASK, plots.SWITCHER}


def test_labels_at_line_ends_do_not_overlap():
    groups = {f"layer{i}": [[1.0] * 50, [1.0] * 50] for i in range(12)}
    ax = plots.neurons_on(make_history(groups))
    ax.figure.draw_without_rendering()
    boxes = sorted((t.get_window_extent() for t in ax.texts), key=lambda box: box.y0)
    assert len(boxes) == 13
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))


@given(st.lists(st.floats(0, 100), max_size=8))
def test_labels_are_spread_in_order_and_within_the_plot(wanted):
    wanted = np.sort(wanted)
    places = plots._spread(wanted, 8, 0, 100)
    assert np.all(np.diff(places) >= 8 - 1e-9)
    assert np.all((places >= -1e-9) & (places <= 100 + 1e-9))
    if np.all(np.diff(wanted) >= 8):
        np.testing.assert_allclose(places, wanted, atol=1e-9)
