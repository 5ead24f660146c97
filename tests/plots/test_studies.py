"""Accuracy against size and compression against a dose: means and intervals by hand."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from snnviz import evidence, plots
from tests.evidence.study import FAILED, run, study
from tests.plots.story import line, texts


def points(method, sizes, accuracies, **columns):
    return [
        run(method, seed, parameters=size, macs=2 * size, test_accuracy=accuracy, **columns)
        for seed, (size, accuracy) in enumerate(zip(sizes, accuracies, strict=True))
    ]


ROWS = study(
    *points("l0", [300, 350, 400], [0.85, 0.86, 0.87]),
    *points("switched", [500, 500, 560], [0.90, 0.92, 0.91]),
    *points("dense", [1000] * 3, [0.89, 0.90, 0.91]),
    run("switched", 9, **FAILED),
)


def segments(ax, label):
    """The ends of all bars with this label."""
    return [
        segment.tolist()
        for artist in ax.collections
        if artist.get_label() == label
        for segment in artist.get_segments()
    ]


def test_means_with_bars_both_ways_and_dots():
    ax = plots.accuracy_vs_size(ROWS)
    np.testing.assert_allclose(line(ax, "switched").get_xydata(), [[52, 91]])
    x, y = evidence.interval([50, 50, 56]), evidence.interval([90, 92, 91])
    upright, flat = segments(ax, "_interval of switched")
    np.testing.assert_allclose(upright, [[52, y[1]], [52, y[2]]])
    np.testing.assert_allclose(flat, [[x[1], 91], [x[2], 91]])
    np.testing.assert_allclose(
        sorted(line(ax, "_runs of switched").get_xydata().tolist()), [[50, 90], [50, 92], [56, 91]]
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("parameters left, %", "test accuracy, %")
    assert set(texts(ax)) == {"switched", "L0", "dense"}


def test_dense_is_a_band():
    ax = plots.accuracy_vs_size(ROWS)
    assert np.unique(line(ax, "dense").get_ydata()) == pytest.approx([90])
    (band,) = ax.patches
    box = band.get_extents().transformed(ax.transData.inverted())
    _, low, high = evidence.interval([89, 90, 91])
    assert (box.y0, box.y1) == pytest.approx((low, high))
    assert to_hex(band.get_facecolor()) == plots.DENSE.lower()


def test_each_method_has_its_look_whatever_else_is_drawn():
    few = plots.accuracy_vs_size(ROWS[ROWS["method"] != "l0"])
    many = plots.accuracy_vs_size(ROWS)
    for ax in (few, many):
        assert line(ax, "switched").get_color() == plots.SWITCHER
        assert line(ax, "dense").get_color() == plots.DENSE
    assert line(many, "l0").get_color() in plots.RIVALS
    assert line(many, "l0").get_marker() != line(many, "switched").get_marker()


def test_macs():
    ax = plots.accuracy_vs_size(ROWS.assign(macs_before=4000), size="macs")
    np.testing.assert_allclose(line(ax, "switched").get_xdata(), [26])
    assert ax.get_xlabel() == "MACs left, %"


def test_several_sizes_of_a_method_are_joined():
    rows = study(
        *points("l0", [500, 520], [0.9, 0.92]),
        *points("l0", [200, 220], [0.8, 0.82]),
        *points("dense", [1000] * 2, [0.9, 0.9]),
    )
    ax = plots.accuracy_vs_size(rows)
    np.testing.assert_allclose(line(ax, "l0").get_xydata(), [[21, 81], [51, 91]])
    assert line(ax, "l0").get_linestyle() == "-"
    assert len(line(ax, "_runs of l0").get_xdata()) == 4


def test_one_seed_has_no_bars():
    ax = plots.accuracy_vs_size(ROWS[ROWS["seed"] == 0])
    assert segments(ax, "_interval of switched") == []
    assert not ax.patches
    assert ax.get_figure()._repr_png_()


def test_shared_limits():
    other = ROWS.assign(network="mlp", test_accuracy=ROWS["test_accuracy"] - 0.3)
    both = study(*ROWS.to_dict("records"), *other.to_dict("records")).assign(
        key=range(2 * len(ROWS))
    )
    one, two = (plots.accuracy_vs_size(rows, within=both) for rows in (ROWS, other))
    assert (one.get_xlim(), one.get_ylim()) == (two.get_xlim(), two.get_ylim())
    assert one.get_ylim()[0] < 55


def test_several_settings_in_one_figure_are_refused():
    rows = study(run("dense", width=1.0), run("dense", width=0.5, network="mlp"))
    with pytest.raises(ValueError, match="rows must contain") as error:
        plots.accuracy_vs_size(rows)
    assert str(error.value) == (
        "rows must contain one setting, got several values of network, width. "
        "Select one first: rows[rows['network'] == 'lenet5']."
    )
    with pytest.raises(ValueError, match="size must be") as error:
        plots.accuracy_vs_size(ROWS, size="neurons")  # type: ignore[arg-type]
    assert str(error.value) == "size must be one of 'parameters', 'macs', got 'neurons'."


# --- compression against a dose ----------------------------------------------------------------


def doses(dose, off, **columns):
    """Runs of {value of the dose: share off of each seed}."""
    return [
        run(
            seed=seed, neurons=1000, neurons_on=round(1000 * (1 - share)), **{dose: value} | columns
        )
        for value, shares in off.items()
        for seed, share in enumerate(shares)
    ]


OFF = {2.0: [0.5, 0.7], 0.25: [0.1, 0.2], 1.0: [0.4, 0.4]}


def test_a_line_through_means_with_bars():
    ax = plots.compression_trend(study(*doses("width", OFF)), "width")
    drawn = line(ax, "switched")
    np.testing.assert_allclose(drawn.get_xydata(), [[0, 15], [1, 40], [2, 60]])
    assert drawn.get_color() == plots.SWITCHER
    bars = segments(ax, "_interval of switched")
    for (bottom, top), values in zip(bars, ([10, 20], [40, 40], [50, 70]), strict=True):
        np.testing.assert_allclose([bottom[1], top[1]], evidence.interval(values)[1:])
    assert len(line(ax, "_runs of switched").get_xdata()) == 6
    assert [label.get_text() for label in ax.get_xticklabels()] == ["×0.25", "×1", "×2"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width of the network", "neurons off, %")
    assert ax.get_ylim() == (0, 100)  # room for the intervals, as far as shares go
    assert texts(ax) == ["switched"]


@pytest.mark.parametrize(
    ("dose", "values", "label", "ticks"),
    [
        ("classes", [0, 2, 5], "classes", ["2", "5", "all"]),
        ("noise", [0.0, 0.5], "noise (standard deviation; white is 1)", ["0", "0.5"]),
        ("share", [0.05, 1.0], "share of the training images, %", ["5", "100"]),
    ],
)
def test_doses_in_words(dose, values, label, ticks):
    rows = study(*doses(dose, {value: [0.1, 0.2] for value in values}))
    ax = plots.compression_trend(rows, dose)
    assert ax.get_xlabel() == label
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ticks


def test_groups_are_named_by_what_tells_them_apart():
    rows = study(
        *doses("width", OFF, network="mlp"),
        *doses("width", OFF, network="vgg_small"),
        *doses("width", OFF, network="mlp", method="switched_one_gain", kind="switched"),
    )
    ax = plots.compression_trend(rows, "width")
    assert set(texts(ax)) == {"mlp, switched", "mlp, switched one gain", "vgg_small, switched"}
    colours = {artist.get_color() for artist in ax.lines if artist.get_label() in texts(ax)}
    assert len(colours) == 3
    ax = plots.compression_trend(rows[rows["network"] == "mlp"], "width")
    ours, variant = line(ax, "switched"), line(ax, "switched one gain")
    assert ours.get_color() == variant.get_color() == plots.SWITCHER
    assert (ours.get_fillstyle(), variant.get_fillstyle()) == ("full", "none")
    assert 0 < variant.get_xdata()[0] - ours.get_xdata()[0] < 0.1  # bars beside one another


def test_other_responses_and_limits():
    rows = study(*doses("width", OFF))
    ax = plots.compression_trend(rows, "width", response="parameters_left")
    assert ax.get_ylabel() == "parameters left, %"
    np.testing.assert_allclose(line(ax, "switched").get_ydata(), 50)
    ax = plots.compression_trend(rows, "width", response="test_accuracy", by="network")
    np.testing.assert_allclose(line(ax, "lenet5").get_ydata(), 0.9)
    assert ax.get_ylabel() == "test accuracy"
    more = study(*doses("width", OFF), *doses("width", {4.0: [0.9], 0.5: [0]}, method="free"))
    one, whole = (
        plots.compression_trend(rows, "width", within=more),
        plots.compression_trend(more, "width"),
    )
    assert (one.get_xlim(), one.get_ylim()) == (whole.get_xlim(), whole.get_ylim())
    np.testing.assert_allclose(line(one, "switched").get_xdata(), [0, 2, 3])


def test_no_dose_is_refused():
    with pytest.raises(
        ValueError, match="dose must be one of 'width', 'classes', 'noise', 'share'"
    ):
        plots.compression_trend(ROWS, "seed")
