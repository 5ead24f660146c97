"""The switch map: order of rows, regions that are off, groups."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.path import Path

from snnviz import plots
from snnviz.plots.maps import _outline
from tests.plots.story import STORY, make_history, off_patches


def split(path: Any) -> list[Any]:
    """A compound path's rectangles."""
    size = 5
    vertices = [path.vertices[i : i + size] for i in range(0, len(path.vertices), size)]
    return [Path(v) for v in vertices]


def test_rows_are_sorted_by_when_neurons_went_off(story):
    ax = plots.switch_map(story, "fc1")
    (image,) = ax.images
    # From the bottom: never off (the stronger first), back on, off last, off first.
    expected = np.array(STORY, np.float32).T[[1, 4, 2, 0, 3]]
    np.testing.assert_array_equal(image.get_array(), expected)
    assert image.get_extent() == [0.5, 3.5, 0, 5]
    assert image.origin == "lower"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "neurons of fc1, first off on top")


def test_off_is_one_hatched_region(story):
    ax = plots.switch_map(story, "fc1")
    (off,) = off_patches(ax)
    assert to_hex(off.get_facecolor()).upper() == plots.OFF
    assert off.get_hatch() == plots.OFF_HATCH
    # Rows from the bottom: neurons 1, 4 (never), 2 (off in 2), 0 (off in 3), 3 (off in 2 and 3).
    boxes = {tuple(path.get_extents().extents) for path in split(off.get_path())}
    assert boxes == {(1.5, 2, 2.5, 3), (2.5, 3, 3.5, 4), (1.5, 4, 3.5, 5)}


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=8))
def test_the_outline_holds_all_that_is_off_once(off):
    off = np.array(off)
    covered = np.zeros(off.shape, int)
    for box in split(_outline(off)):
        left, low, right, high = box.get_extents().extents.astype(int)
        covered[low:high, left:right] += 1
    np.testing.assert_array_equal(covered, off)


def test_thin_rows_make_few_rectangles():
    factors = np.ones((8, 500))
    factors[3:, :100] = 0
    factors[5:, 100:250] = 0
    (off,) = off_patches(plots.switch_map(make_history({"fc1": factors})))
    assert len(split(off.get_path())) == 2


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
