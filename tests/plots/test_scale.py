"""How factors and off look in the switch map and in its legend."""

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from snnviz import plots
from tests.plots.story import make_history, off_patches, texts


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


def test_off_stands_apart_in_the_legend(story):
    ax = plots.switch_map(story)
    bar = ax.images[-1].colorbar
    assert [label.get_text() for label in bar.ax.get_yticklabels()] == ["0", "1", "2"]
    assert bar.ax.get_ylabel() == "factor"
    assert texts(bar.ax) == ["off"]
    (box,) = off_patches(bar.ax)
    assert box.get_hatch() == plots.OFF_HATCH
    assert box.get_path().get_extents().ymax < 0  # below the bar
