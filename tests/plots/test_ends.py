"""Labels at the ends of lines: beside one another, in order, inside the plot."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snnviz import plots
from snnviz.plots.ends import _spread
from tests.plots.story import make_history


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
    places = _spread(wanted, 8, 0, 100)
    assert np.all(np.diff(places) >= 8 - 1e-9)
    assert np.all((places >= -1e-9) & (places <= 100 + 1e-9))
    if np.all(np.diff(wanted) >= 8):
        np.testing.assert_allclose(places, wanted, atol=1e-9)
