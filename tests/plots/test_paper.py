"""What holds for every plot, and the Axes that it makes."""

import threading

import matplotlib
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure

from snnviz import plots
from snnviz.history import History
from tests.plots.story import make_history, texts

NAN, INF = float("nan"), float("inf")


def compare_curves(history, ax=None):
    return plots.compare_curves({"a_1$x$ and $": history, "again": history}, ax)


def factor_distribution(history, ax=None):
    return plots.factor_distribution(history, ax=ax)


PLOTS = (
    plots.learning_curves,
    plots.switch_map,
    plots.neurons_on,
    plots.size_accuracy,
    compare_curves,
    factor_distribution,
)


@pytest.mark.parametrize("plot", PLOTS)
def test_new_axes_are_a_column_wide_and_not_pyplots(plot, story):
    before = dict(matplotlib.rcParams)
    ax = plot(story)
    assert ax.figure.get_figwidth() == 3.4
    assert ax.figure.canvas.manager is None
    assert ax.xaxis.label.get_size() == ax.yaxis.label.get_size() == 8
    assert {text.get_size() for text in ax.texts + ax.get_xticklabels()} == {7}
    assert dict(matplotlib.rcParams) == before


class Trained:
    """Has a history, and is none."""

    history = History({"fc1": 1})


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("ax", ["x", Figure(), [], 0])
def test_what_is_no_axes_is_refused(plot, ax, story):
    with pytest.raises(TypeError) as caught:
        plot(story, ax=ax)
    assert str(caught.value) == (
        f"ax must be a matplotlib Axes, got {type(ax).__name__}. "
        "Use figure.add_subplot(), or leave ax out for a new figure."
    )


@pytest.mark.parametrize("plot", PLOTS)
def test_what_is_no_history_is_refused(plot):
    message = r"^histor(y|ies.*) must be a snnviz\.History, got Trained\. Give trainer\.history\.$"
    with pytest.raises(TypeError, match=message):
        plot(Trained())


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
