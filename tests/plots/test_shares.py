"""Shares of neurons that are on."""

import numpy as np
import pytest

from snnviz import plots
from snnviz.plots.shares import ALL
from tests.plots.story import line, make_history, texts


def test_shares_of_neurons_on(story):
    ax = plots.neurons_on(story)
    np.testing.assert_allclose(line(ax, "fc1").get_ydata(), [100, 60, 60])
    np.testing.assert_allclose(line(ax, "conv1").get_ydata(), [100, 100, 100])
    np.testing.assert_allclose(line(ax, ALL).get_ydata(), [100, 500 / 7, 500 / 7])
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


def test_one_group_and_all_together(story):
    assert set(texts(plots.neurons_on(story, group="fc1"))) == {"fc1 60 %", "all together 71 %"}
    with pytest.raises(ValueError, match="group must be") as error:
        plots.neurons_on(story, group="fc9")
    assert str(error.value) == (
        "group must be one of 'fc1', 'conv1', got 'fc9'. To draw all groups, leave it out."
    )
