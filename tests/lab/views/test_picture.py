"""The picture of the lab's last state: its words, its neurons, and that it can be made at all."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from snnviz.history import History
from snnviz.lab.views.picture import arrange, draw_neurons, headline, last_state
from snnviz.lab.views.shown import in_colours
from tests.lab.views.pretence import idle_status, pretended_run
from tests.plots.story import texts

A = pretended_run(4)
RUNS = in_colours({"first": A, "second": pretended_run(5, seed=1)})
FACTORS = {group: values[-1] for group, values in A.factors.items()}


@pytest.mark.parametrize("moment", [None, 0, 2])
@pytest.mark.parametrize("runs", [RUNS[:1], RUNS])
def test_a_picture_of_the_last_state(runs, moment):
    picture = Image.open(io.BytesIO(last_state(idle_status(step=200), runs, FACTORS, moment)))
    assert picture.size == (1100, 704)
    assert len(np.unique(np.array(picture.convert("L")))) > 20


def test_a_run_that_has_not_begun():
    run = in_colours({"new": History({"a": 3})})
    assert last_state(idle_status(), run, {"a": np.ones(3)}).startswith(b"\x89PNG")


def test_the_headline():
    on = sum(int((values != 0).sum()) for values in FACTORS.values())
    accuracy = 100 * A.epochs["test_accuracy"].iloc[-1]
    share = f"{on} of 370 neurons on ({100 * on / 370:.0f} %)"
    assert headline(idle_status(step=207), RUNS[0], FACTORS, None) == (
        "first",
        f"epoch 4 of 20 · step 207 · test accuracy {accuracy:.1f} % · {share}",
    )
    accuracy = 100 * A.epochs["test_accuracy"].iloc[1]
    assert headline(idle_status(step=207), RUNS[0], FACTORS, 2)[1] == (
        f"looking back at epoch 2 of 20 · test accuracy {accuracy:.1f} % · {share}"
    )
    assert headline(idle_status(), RUNS[0], FACTORS, 0)[1] == f"looking back at the start · {share}"


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
