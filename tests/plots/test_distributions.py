"""How factors are spread: bars against counts, off apart from them."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from snnviz import plots
from snnviz.history import History
from snnviz.plots.distributions import BARS
from tests.plots.story import make_history, off_patches, texts


def bars(ax, name):
    """(left, right, height above the base, colour) of a group's bars."""
    (found,) = [each for each in ax.collections if each.get_label() == name]
    boxes = [path.get_extents() for path in found.get_paths()]
    colours = [to_hex(colour) for colour in found.get_facecolor()]
    return [(b.x0, b.x1, b.height, c) for b, c in zip(boxes, colours, strict=True)]


def test_bars_are_counts_of_what_is_on(rng):
    factors = rng.gamma(2, 0.5, (3, 200)).astype(np.float32)
    factors[2, :50] = 0
    history = make_history({"fc1": factors})
    ax = plots.factor_distribution(history)
    top = ax.get_xticks()[-1]
    edges = np.linspace(0, top, BARS + 1)
    expected = np.zeros(BARS)
    for value in factors[2, 50:]:  # slow and obvious
        expected[min(int(np.searchsorted(edges, min(value, top), "right")) - 1, BARS - 1)] += 1
    drawn = bars(ax, "fc1")
    np.testing.assert_allclose([bar[0] for bar in drawn], edges[:-1][expected > 0], atol=1e-6)
    heights = [bar[2] for bar in drawn]
    np.testing.assert_allclose(heights, (expected / expected.max())[expected > 0], atol=1e-6)
    assert texts(ax) == [f"50 of 200 off\nhighest bar {expected.max():.0f}"]
    assert ax.get_xlabel() == "factor after epoch 3"


def test_bars_have_the_colours_of_the_map():
    ax = plots.factor_distribution(make_history({"fc1": [[0.01, 1.01, 1.99, 9]]}))
    cividis, top = matplotlib.colormaps["cividis"], ax.get_xticks()[-1]
    norm = plots.switch_map(make_history({"fc1": [[0.01, 1.01, 1.99, 9]]})).images[0].norm
    for left, right, _, colour in bars(ax, "fc1"):
        assert colour == to_hex(cividis(norm((left + right) / 2)))
    assert [label.get_text() for label in ax.get_xticklabels()][-1] == f"{top:g}+"
    assert bars(ax, "fc1")[-1][1] == pytest.approx(top)  # the 9 is in the last bar


def test_off_stands_apart_as_a_share():
    ax = plots.factor_distribution(make_history({"a": [[0, 0, 0, 4]], "b": [[1, 1]]}))
    (off,) = off_patches(ax)  # b has none
    box = off.get_path().get_extents()
    assert box.height == pytest.approx(0.75)
    assert box.x1 < 0
    assert off.get_hatch() == plots.OFF_HATCH
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a"]
    assert ax.get_yticks()[1] > ax.get_yticks()[0]  # in order from the top
    assert box.y0 == pytest.approx(ax.get_yticks()[1] - 0.5)
    assert set(texts(ax)) == {"3 of 4 off\nhighest bar 1", "0 of 2 off\nhighest bar 2"}


def test_an_epoch_a_group_and_one_scale_for_all(story):
    first, last = (plots.factor_distribution(story, epoch) for epoch in (1, 3))
    assert first.get_xlim() == last.get_xlim()
    assert "0 of 5 off\nhighest bar 5" in texts(first)
    assert first.get_xlabel() == "factor after epoch 1"
    part = plots.factor_distribution(story.until(1), within=story, group="fc1")
    assert part.get_xlim() == last.get_xlim()
    assert texts(part) == ["0 of 5 off\nhighest bar 5"]
    assert part.get_ylabel() == "neurons of fc1"


@pytest.mark.parametrize("epoch", [0, 4, -1, "1"])
def test_an_epoch_that_is_none_is_refused(epoch, story):
    with pytest.raises(ValueError, match="epoch must be") as error:
        plots.factor_distribution(story, epoch)
    assert str(error.value) == (
        f"epoch must be a finished epoch, from 1 to 3, got {epoch!r}. If left out, it is the last."
    )


def test_no_epoch_to_choose():
    with pytest.raises(ValueError, match="epoch must be") as error:
        plots.factor_distribution(History({"fc1": 5}), 1)
    assert str(error.value) == (
        "epoch must be left out, because no epoch has finished, got 1. If left out, it is the last."
    )
