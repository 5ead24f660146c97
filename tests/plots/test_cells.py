"""The grid of neurons as a figure: a cell for each neuron, in blocks that fit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from snnviz.plots.cells import arrange, draw_neurons
from tests.plots.story import texts


def test_every_neuron_is_a_cell():
    ax = Figure(figsize=(10, 6)).subplots()
    draw_neurons(ax, {"a": np.array([0, 1, 2, 0, 1.5]), "b": np.ones(3)})
    first, second = ax.images[:2]
    cells = np.ma.compressed(first.get_array())
    np.testing.assert_allclose(cells, [0, 1, 2, 0, 1.5])
    np.testing.assert_allclose(np.ma.compressed(second.get_array()), [1, 1, 1])
    (off,) = [patch for patch in ax.patches if patch.get_label() == "off"]
    assert len(off.get_path().vertices) == 2 * 4  # two neurons, crossed out
    assert {"a · 3 of 5 on", "b · 3 of 3 on", "off", "factor"} <= set(texts(ax))


@settings(max_examples=60)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_blocks_do_not_overlap_and_stay_within(sizes):
    named = {f"g{i}": n for i, n in enumerate(sizes)}
    cell, blocks = arrange(named, {name: name for name in named}, 4.4, 5.0)
    boxes = [(b.x, b.y, b.x + b.columns * cell, b.y + b.rows * cell, named[b.name]) for b in blocks]
    for block, n in zip(blocks, sizes, strict=True):
        assert block.columns * (block.rows - 1) < n <= block.columns * block.rows
    for i, (x0, y0, x1, y1, _) in enumerate(boxes):
        assert x0 >= 0
        assert y0 > 0
        assert x1 <= 4.4 + 1e-9
        assert y1 <= 5.0
        for u0, v0, u1, v1, _ in boxes[i + 1 :]:
            assert x1 <= u0 or u1 <= x0 or y1 <= v0 or v1 <= y0


def test_cells_stay_in_place_when_neurons_go_off():
    places = []
    for off in (0, 19):
        ax = Figure(figsize=(4, 4)).subplots()
        draw_neurons(ax, {name: np.arange(20) >= off for name in ("a", "b", "c")})
        places.append([image.get_extent() for image in ax.images])
    assert places[0] == places[1]
