"""Every plot of every unusual history can be read at the widths of one and two columns."""

import numpy as np
import pandas as pd
import pytest

from snnviz import evidence, plots
from snnviz.history import History
from tests.evidence.study import run, study
from tests.plots.extremes import LONG, SHAPES, all_axes, extreme, unreadable, visible_texts
from tests.plots.story import texts


def compare_curves(history: History):
    return plots.compare_curves({f"{LONG} {i}": history for i in range(3)})


PLOTS = {
    "learning_curves": plots.learning_curves,
    "switch_map": plots.switch_map,
    "neurons_on": plots.neurons_on,
    "size_accuracy": plots.size_accuracy,
    "compare_curves": compare_curves,
    "factor_distribution": plots.factor_distribution,
    "map of a group": lambda history: plots.switch_map(history, next(iter(history.groups))),
    "distribution of a group": lambda history: plots.factor_distribution(
        history, group=next(iter(history.groups))
    ),
}


@pytest.fixture(scope="module", params=SHAPES)
def unusual(request: pytest.FixtureRequest) -> History:
    return extreme(**SHAPES[request.param])


@pytest.mark.slow
@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_no_text_is_cut_or_lies_on_another(plot, unusual):
    ax = plot(unusual)
    assert unreadable(ax, plots.SINGLE) == []
    assert unreadable(ax, plots.DOUBLE) == []


@pytest.mark.slow
@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_a_figure_fits_on_a_page(plot):
    assert plot(extreme(**SHAPES["120 groups"])).figure.get_figheight() <= 8.5


def test_the_check_finds_what_cannot_be_read():
    ax = plots.neurons_on(extreme())
    ax.text(1, 50, "one")
    ax.text(1, 50, "two")
    (overlap,) = unreadable(ax, plots.SINGLE)
    assert overlap.startswith("'one' and 'two' overlap by ")
    ax = plots.neurons_on(extreme())
    ax.set_ylabel("far too long " * 10)
    (cut,) = unreadable(ax, plots.SINGLE)
    assert cut.startswith("'far too long ")


def test_of_many_lines_some_are_named_and_the_label_says_how_many():
    ax = plots.neurons_on(extreme(**SHAPES["120 groups"]))
    named = len(texts(ax))
    assert 40 < named < 121
    assert ax.get_xlabel() == f"epoch\n({named} of 121 lines are named)"
    assert any(words.startswith("all together ") for words in texts(ax))
    assert len([line for line in ax.lines if not line.get_label().startswith("_")]) == 121


@pytest.mark.parametrize("plot", [plots.switch_map, plots.factor_distribution])
def test_of_many_groups_every_third_is_named_and_the_label_says_so(plot):
    ax = plot(extreme(**SHAPES["120 groups"]))
    assert ax.get_ylabel().endswith("(one name for 3 groups)")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == 40
    assert any("den…1.den…1…" in label for label in labels)
    assert any("den…4.den…28…" in label for label in labels)


def test_a_flat_curve_has_ticks_that_can_be_read():
    history = extreme(**SHAPES["300 epochs"])
    for ax in (plots.size_accuracy(history), plots.compare_curves(history)):
        ax.figure.draw_without_rendering()
        low, high = ax.get_ylim()
        assert high - low > 1  # points of accuracy
        assert ax.yaxis.get_major_formatter().get_offset() == ""
        assert 90 in {float(label.get_text()) for label in ax.get_yticklabels()}


def test_texts_of_insets_are_looked_at_too():
    ax = plots.switch_map(extreme())
    found = [text.get_text() for each in all_axes(ax.figure) for text in visible_texts(each)]
    assert {"off", "factor", "epoch"} <= set(found)


def rows_of_variants(variants: int):
    """Two methods in variants with long names, of three seeds, in two widths."""
    kinds = [("switched", i) for i in range(variants)] + [("l0", i) for i in range(variants)]
    named = [(f"{kind} with_a_very_long_description_{i}", kind) for kind, i in kinds]
    return study(
        *(
            run(
                method,
                seed,
                kind=kind,
                width=width,
                test_accuracy=0.9 + 0.01 * ((seed + i) % 3),
                parameters=300 + 37 * i + 10 * seed,
                neurons_on=40 + (7 * i + seed) % 50,
                sets={"fc1": [(k + i + seed) % 3 > 0 for k in range(12)]},
            )
            for width in (0.5, 1.0)
            for i, (method, kind) in enumerate([("dense", "dense"), *named])
            for seed in range(3)
        )
    )


def of_one_width(rows):
    return rows[rows["width"] == 1.0]


STUDIES = {
    "accuracy_vs_size": lambda rows: plots.accuracy_vs_size(of_one_width(rows)),
    "differences": lambda rows: plots.differences(evidence.paired(rows)),
    "overlap_map": lambda rows: plots.overlap_map(evidence.overlap(of_one_width(rows))),
    "compression_trend": lambda rows: plots.compression_trend(rows, "width"),
}


@pytest.mark.slow
@pytest.mark.parametrize("variants", [1, 4])
@pytest.mark.parametrize("plot", STUDIES.values(), ids=STUDIES)
def test_figures_of_studies_can_be_read(plot, variants):
    ax = plot(rows_of_variants(variants))
    assert unreadable(ax, plots.SINGLE) == []
    assert unreadable(ax, plots.DOUBLE) == []


def many_differences():
    """The differences of 40 variants of each method, in two widths: 162 rows."""
    table = evidence.paired(rows_of_variants(1))
    more = [table.assign(method=table["method"] + f" {i}") for i in range(40)]
    return plots.differences(pd.concat(more, ignore_index=True))


def many_overlaps(n: int):
    """Pairs of n methods that agree more or less."""
    row = {"group": "all together", "neurons": 12, "kind": "switched", "other_kind": "switched"}
    row |= {"on": 8, "other_on": 8, "chance": 0.1}
    pairs = [(i, j) for i in range(n) for j in range(i + 1)]
    rows = [row | {"method": f"v{i}", "other": f"v{j}", "jaccard": i * j % 7 / 7} for i, j in pairs]
    return plots.overlap_map(pd.DataFrame(rows))


def many_doses():
    widths = [0.25 * k for k in range(1, 11)]
    pairs = [(method, width) for method in ("switched", "l0") for width in widths]
    rows = [run(m, seed, kind=m, width=w, neurons_on=50) for m, w in pairs for seed in (0, 1)]
    return plots.compression_trend(study(*rows), "width")


MANY = {
    "differences": many_differences,
    "overlaps": lambda: many_overlaps(40),
    "overlaps with numbers": lambda: many_overlaps(16),
    "doses": many_doses,
}


@pytest.mark.slow
@pytest.mark.parametrize("draw", MANY.values(), ids=MANY)
def test_large_studies_can_be_read(draw):
    ax = draw()
    assert unreadable(ax, plots.SINGLE) == []
    assert unreadable(ax, plots.DOUBLE) == []


@pytest.mark.slow
def test_large_studies_say_what_is_left_out():
    ax = many_differences()
    named = [label.get_text() for label in ax.get_yticklabels()]
    assert named[0] == "width ×0.5"
    assert "width ×1" in named
    assert ax.get_xlabel() == f"difference to dense, points\n({len(named)} of 162 rows are named)"
    ax = many_overlaps(40)
    assert texts(ax) == []
    assert ax.get_ylabel() == "one name for 3 methods"
    assert ax.get_xlabel().startswith("white: by chance at most; black: the same")
    labels = [label.get_text() for label in many_doses().get_xticklabels()]
    assert labels == ["×0.25", "", "", "×1", "", "", "×1.75", "", "", "×2.5"]


@pytest.mark.slow
def test_variants_of_many_methods_stay_with_their_dose():
    rows = rows_of_variants(1)
    more = [rows.assign(method=rows["method"] + f" {i}") for i in range(20)]
    kept = pd.concat(more, ignore_index=True)
    kept["key"] = [f"{i}" for i in range(len(kept))]
    ax = plots.compression_trend(kept, "width")
    lines = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert len(lines) == 60
    assert all(np.abs(np.array(line.get_xdata()) - [0, 1]).max() < 0.3 for line in lines)
