"""Paired differences: a row a method, in the fixed order, with its interval and its pairs."""

import numpy as np
import pytest

from snnviz import evidence, plots
from tests.evidence.study import accuracies, run, study
from tests.plots.story import line, texts

ROWS = accuracies(
    l0=[0.85, 0.86, 0.88],
    dense=[0.90, 0.91, 0.92],
    switched=[0.91, 0.93, 0.92],
    se=[0.9],
)


def labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def interval(ax, label):
    (found,) = [artist for artist in ax.collections if artist.get_label() == label]
    (segment,) = found.get_segments()
    return segment


def test_means_intervals_and_pairs():
    ax = plots.differences(evidence.paired(ROWS))
    assert labels(ax) == ["switched", "L0", "SE"]
    np.testing.assert_allclose(line(ax, "switched").get_xydata(), [[1, 0]])
    _, low, high = evidence.interval([1, 2, 0])
    np.testing.assert_allclose(interval(ax, "_interval of switched"), [[low, 0], [high, 0]])
    np.testing.assert_allclose(line(ax, "se").get_xydata(), [[0, -2]], atol=1e-12)
    assert len(ax.collections) == 2  # one pair has no interval
    assert texts(ax) == ["pairs", "3", "3", "1"]
    assert ax.get_xlabel() == "difference to dense, points"
    np.testing.assert_array_equal(line(ax, "_zero").get_xdata(), [0, 0])
    assert line(ax, "switched").get_color() == plots.SWITCHER


def test_rivals_at_equal_size():
    rows = study(
        *(run("switched", s, test_accuracy=0.9) for s in range(2)),
        *(run("l0", s, test_accuracy=0.88) for s in range(2)),
        *(run("slimming", s, test_accuracy=0.91) for s in range(2)),
    )
    ax = plots.differences(evidence.at_equal_size(rows))
    assert labels(ax) == ["network slimming", "L0"]
    np.testing.assert_allclose(line(ax, "l0").get_xdata(), [2])
    assert ax.get_xlabel() == "switched minus rival, points"


def test_settings_below_one_another():
    both = study(
        *(
            run(m, s, network=n, width=w, test_accuracy=0.9)
            for m in ("dense", "switched", "free")
            for n, w in (("mlp", 1.0), ("lenet5", 0.5))
            for s in (0, 1)
        )
    )
    ax = plots.differences(evidence.paired(both))
    assert labels(ax) == [
        "lenet5, width ×0.5",
        "switched",
        "free factors",
        "mlp, width ×1",
        "switched",
        "free factors",
    ]
    weights = [label.get_fontweight() for label in ax.get_yticklabels()]
    assert weights == ["bold", "normal", "normal"] * 2
    assert texts(ax) == ["pairs", *["2"] * 4]
    heights = [artist.get_ydata()[0] for artist in ax.lines if artist.get_label() == "switched"]
    assert heights == [-1, -4]


def test_an_interval_that_is_much_longer_does_not_squeeze_the_others():
    table = evidence.paired(
        accuracies(
            dense=[0.9, 0.91, 0.92],
            switched=[0.91, 0.93, 0.92],
            magnitude=[0.9, 0.92, 0.92],
            random=[0.89, 0.91, 0.91],
            se=[0.9, 0.9, 0.92],
            l0=[0.4, 0.9, 0.7],
        )
    )
    ax = plots.differences(table)
    left, right = ax.get_xlim()
    assert -6 < left < 0 < right < 6
    (row,) = table[table["method"] == "l0"].to_dict("records")
    low, middle, high = (100 * row[name] for name in ("low", "difference", "high"))
    assert low < -50
    assert high > 6
    said = f"{middle:+.0f} ({low:+.0f} to {high:+.0f})".replace("-", "\N{MINUS SIGN}")
    assert said in texts(ax)
    cut = [mark for mark in ax.lines if mark.get_label() == "_cut"]
    assert [(mark.get_marker(), mark.get_xdata()[0]) for mark in cut] == [("<", left), (">", right)]
    assert not [mark for mark in ax.lines if mark.get_label() == "l0"]  # its mean is out of sight
    segment = interval(ax, "_interval of l0")
    np.testing.assert_allclose(segment[:, 0], [left, right])


def test_other_units_and_shared_limits():
    table = evidence.paired(ROWS, value="off")
    ax = plots.differences(table, unit="share of neurons")
    assert ax.get_xlabel() == "difference to dense, share of neurons"
    wide = evidence.paired(ROWS)
    one, two = plots.differences(wide[:1], within=wide), plots.differences(wide)
    assert one.get_xlim() == two.get_xlim()
    low, high = two.get_xlim()
    assert low < 100 * wide["low"].min() < 0 < 100 * wide["high"].max() < high


def test_a_row_without_a_pair_is_named_and_empty():
    ax = plots.differences(evidence.paired(study(run("dense", 0), run("l0", 1))))
    assert texts(ax) == ["pairs", "0"]
    assert np.isnan(line(ax, "l0").get_xdata()).all()
    assert ax.get_figure()._repr_png_()


@pytest.mark.parametrize(
    ("table", "kind", "message"),
    [
        (3, TypeError, "table must be a pandas DataFrame, got int."),
        (
            ROWS,
            ValueError,
            "table must contain paired differences, got no column 'against', "
            "'against_kind', 'pairs', 'difference', 'low', 'high'.",
        ),
        (evidence.paired(ROWS)[:0], ValueError, "table must contain at least one row, got none."),
    ],
)
def test_other_tables_are_refused(table, kind, message):
    with pytest.raises(kind, match="table must") as error:
        plots.differences(table)
    assert str(error.value) == f"{message} Give the table that evidence.paired(rows) returns."
