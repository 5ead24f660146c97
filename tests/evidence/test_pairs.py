"""Paired differences against sums by hand, and what does not pair."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnviz import evidence
from tests.evidence.study import FAILED, accuracies, run, study

# Quantiles 0.975 of Student's t for 1 to 4 degrees of freedom, from a printed table.
T_975 = {1: 12.7062, 2: 4.30265, 3: 3.18245, 4: 2.77645}


def by_hand(differences: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval, slow and obvious."""
    n = len(differences)
    mean = sum(differences) / n
    variance = sum((d - mean) ** 2 for d in differences) / (n - 1)
    half = T_975[n - 1] * math.sqrt(variance / n)
    return mean, mean - half, mean + half


@pytest.mark.parametrize("values", [[0.1, 0.3], [1, 2, 4], [3, -1, 2, 2], [0.2, 0.1, 0, 0.4, 0.1]])
def test_the_interval_is_students(values):
    assert evidence.interval(values) == pytest.approx(by_hand(values), rel=1e-4)


def test_no_interval_of_one_value_and_nothing_of_none():
    assert evidence.interval([2.5]) == pytest.approx((2.5, np.nan, np.nan), nan_ok=True)
    assert evidence.interval([]) == pytest.approx((np.nan,) * 3, nan_ok=True)


def test_a_higher_level_is_a_wider_interval():
    _, low, high = evidence.interval([1, 2, 4], level=0.95)
    _, lower, higher = evidence.interval([1, 2, 4], level=0.99)
    assert lower < low < high < higher


def test_paired_differences_by_hand():
    rows = accuracies(dense=[0.90, 0.91, 0.92], switched=[0.91, 0.93, 0.92], free=[0.8, 0.8, 0.8])
    table = evidence.paired(rows)
    assert list(table["method"]) == ["free", "switched"]
    row = table.iloc[1]
    mean, low, high = by_hand([0.01, 0.02, 0.00])
    assert row[["difference", "low", "high"]].tolist() == pytest.approx([mean, low, high], rel=1e-5)
    assert (row["mean"], row["against_mean"]) == pytest.approx((0.92, 0.91))
    assert row[["network", "classes", "against", "kind", "against_kind"]].tolist() == [
        "lenet5",
        0,
        "dense",
        "switched",
        "dense",
    ]
    assert row[["pairs", "left_out", "failed"]].tolist() == [3, 0, 0]
    assert row[["off", "parameters_left", "macs_left"]].tolist() == pytest.approx([0.4, 0.5, 0.25])


def test_sizes_and_time_are_of_the_pairs():
    rows = study(
        run("dense", 0, neurons_on=100, seconds=10),
        run("dense", 1, neurons_on=90, macs=4000, seconds=30),
        run("switched", 0, neurons_on=10, seconds=15),
        run("switched", 1, neurons_on=30, seconds=35),
        run("switched", 2, neurons_on=90, seconds=99),
    )
    (row,) = evidence.paired(rows).to_dict("records")
    assert row["off"] == pytest.approx(0.8)
    theirs = [row[f"against_{name}"] for name in ("off", "parameters_left", "macs_left")]
    assert theirs == pytest.approx([0.05, 0.5, (0.25 + 0.5) / 2])
    assert row["seconds_ratio"] == pytest.approx(50 / 40)
    assert (row["pairs"], row["left_out"]) == (2, 1)


def test_seeds_without_a_partner_are_left_out_and_counted():
    rows = study(
        *(run("dense", seed, test_accuracy=0.9) for seed in (0, 1, 2, 5)),
        run("dense", 3, **FAILED),
        *(run("switched", seed, test_accuracy=0.92) for seed in (1, 2, 3, 4)),
        run("switched", 5, test_accuracy=np.nan),
        run("switched", 6, **FAILED),
    )
    (row,) = evidence.paired(rows).to_dict("records")
    assert row["pairs"] == 2  # 1 and 2
    assert row["left_out"] == 5  # 0 and 4 alone, 3 and 6 failed, 5 without a number
    assert row["failed"] == 2
    assert row["difference"] == pytest.approx(0.02)


def test_settings_stand_apart():
    rows = study(
        *(
            run(method, seed, width=width, test_accuracy=0.8 + gain * width)
            for method, gain in (("dense", 0), ("switched", 0.01))
            for width in (1.0, 0.5)
            for seed in (0, 1)
        )
    )
    table = evidence.paired(rows)
    assert table["width"].tolist() == [0.5, 1.0]
    assert table["difference"].tolist() == pytest.approx([0.005, 0.01])
    assert table["pairs"].tolist() == [2, 2]


def test_one_pair_has_no_interval_and_no_pair_no_difference():
    rows = study(run("dense", 0), run("switched", 0, test_accuracy=0.95), run("free", 1))
    none, one = evidence.paired(rows).to_dict("records")
    assert one["difference"] == pytest.approx(0.05)
    assert np.isnan([one["low"], one["high"]]).all()
    assert (none["pairs"], none["left_out"]) == (0, 2)
    assert np.isnan([none["difference"], none["mean"], none["off"], none["seconds_ratio"]]).all()


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_swapped_methods_negate_the_difference(pairs):
    rows = accuracies(a=[a for a, _ in pairs], b=[b for _, b in pairs])
    (one,) = evidence.paired(rows, "a", "b").to_dict("records")
    (other,) = evidence.paired(rows, "b", "a").to_dict("records")
    ends = [one["difference"], one["low"], one["high"]]
    again = [-other["difference"], -other["high"], -other["low"]]
    assert ends == pytest.approx(again, nan_ok=True, abs=1e-12)
    assert (one["mean"], one["pairs"]) == (other["against_mean"], other["pairs"])


def test_other_values():
    rows = study(run("dense", 0, neurons_on=100), run("switched", 0, neurons_on=30, test_loss=0.5))
    rows["test_loss"] = [0.4, 0.6]
    assert evidence.paired(rows, value="off")["difference"].item() == pytest.approx(0.7)
    assert evidence.paired(rows, value="test_loss")["difference"].item() == pytest.approx(0.2)


def test_a_run_in_two_studies_counts_once():
    rows = accuracies(dense=[0.9, 0.91], switched=[0.92, 0.93])
    twice = study(*rows.drop(columns="key").to_dict("records"), run("switched", 2, **FAILED))
    twice = twice.assign(key=[*rows["key"], "run 0"])  # the failed try of a run that is done
    assert evidence.paired(twice).equals(evidence.paired(rows))


# --- at equal size ----------------------------------------------------------------------------


def test_rivals_of_the_same_size():
    sizes = {0: (500, 510), 1: (400, 392), 2: (300, 307)}  # the last 2.3 % apart
    rows = study(
        *(
            run("switched", s, parameters=a, test_accuracy=0.9 + s / 100)
            for s, (a, _) in sizes.items()
        ),
        *(run("magnitude", s, parameters=b, test_accuracy=0.9) for s, (_, b) in sizes.items()),
        run("magnitude", 3, parameters=500),
    )
    (row,) = evidence.at_equal_size(rows).to_dict("records")
    assert (row["method"], row["against"]) == ("switched", "magnitude")
    mean, low, high = by_hand([0.00, 0.01])
    assert [row["difference"], row["low"], row["high"]] == pytest.approx(
        [mean, low, high], rel=1e-5
    )
    counts = [row[name] for name in ("pairs", "interpolated", "left_out", "other_size", "failed")]
    assert counts == [2, 0, 2, 1, 0]
    assert row["size_left"] == pytest.approx(0.45)


def test_between_two_sizes_the_line_runs_over_the_logarithm():
    sizes, accuracy = [100, 200, 800], [0.80, 0.86, 0.90]
    rivals = [
        run("l0", 0, parameters=s, test_accuracy=a) for s, a in zip(sizes, accuracy, strict=True)
    ]
    rows = study(run("switched", 0, parameters=400, test_accuracy=0.9), *rivals)
    (row,) = evidence.at_equal_size(rows, rival="l0").to_dict("records")
    assert row["against_mean"] == pytest.approx(0.88)  # 400 is half-way from 200 to 800
    assert row["difference"] == pytest.approx(0.02)
    assert (row["pairs"], row["interpolated"]) == (1, 1)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(97, np.nan), (99, 0.80), (100, 0.80), (200, 0.86), (203, 0.86), (206, np.nan)],
)
def test_nothing_is_extrapolated(size, expected):
    rivals = [run("l0", 0, parameters=s, test_accuracy=a) for s, a in ((200, 0.86), (100, 0.80))]
    rows = study(run("switched", 0, parameters=size), *rivals)
    (row,) = evidence.at_equal_size(rows).to_dict("records")
    assert row["against_mean"] == pytest.approx(expected, nan_ok=True)
    assert row["other_size"] == (1 if np.isnan(expected) else 0)


def test_equal_macs():
    rows = study(run("switched", macs=100, parameters=1), run("l0", macs=101, parameters=2))
    assert evidence.at_equal_size(rows, size="macs")["pairs"].item() == 1
    assert evidence.at_equal_size(rows)["pairs"].item() == 0


@pytest.mark.slow
@given(
    st.integers(2, 10**6),
    st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 1)), min_size=1, max_size=6),
)
def test_a_rivals_value_lies_within_those_of_its_runs(size, points):
    rivals = [run("l0", 0, parameters=s, test_accuracy=a) for s, a in points]
    rows = study(run("switched", 0, parameters=size), *rivals)
    there = evidence.at_equal_size(rows)["against_mean"].item()
    sizes, values = zip(*points, strict=True)
    near = min(abs(s - size) for s in sizes) <= 0.02 * size
    assert np.isnan(there) == (not min(sizes) <= size <= max(sizes) and not near)
    assert np.isnan(there) or min(values) - 1e-9 <= there <= max(values) + 1e-9


# --- verdicts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (0.1, 0.2, "holds", "does not hold"),
        (-0.2, -0.1, "does not hold", "holds"),
        (-0.1, 0.1, "undecided", "undecided"),
        (0.0, 0.1, "undecided", "undecided"),
        (-0.1, 0.0, "undecided", "undecided"),
        (0.0, 0.0, "undecided", "undecided"),
        (np.nan, np.nan, "undecided", "undecided"),
    ],
)
def test_a_verdict_needs_the_whole_interval(low, high, above, below):
    assert evidence.verdict(low, high) == above
    assert evidence.verdict(low, high, want="below") == below


def test_a_verdict_refuses_what_is_no_interval():
    with pytest.raises(ValueError, match="low must") as error:
        evidence.verdict(0.2, 0.1)
    assert str(error.value) == "low must not be above high, got 0.2 and 0.1. Swap them."
    with pytest.raises(ValueError, match="want must") as error:
        evidence.verdict(0.1, 0.2, want="more")  # type: ignore[arg-type]
    assert str(error.value) == "want must be one of 'above', 'below', got 'more'."


# --- what is refused --------------------------------------------------------------------------

ROWS = accuracies(dense=[0.9], switched=[0.9])


@pytest.mark.parametrize("function", [evidence.paired, evidence.at_equal_size, evidence.overlap])
def test_rows_that_are_none_are_refused(function):
    with pytest.raises(TypeError, match="rows must") as error:
        function([1, 2])
    assert str(error.value) == (
        "rows must be a pandas DataFrame with one row per run, got list. "
        "Read them with snnviz.sweep.read(path)."
    )
    with pytest.raises(ValueError, match="rows must") as error:
        function(ROWS.drop(columns=["seed", "noise"]))
    assert str(error.value) == (
        "rows must have the columns of a study, got none called 'noise', 'seed'. "
        "Read them with snnviz.sweep.read(path)."
    )
    for rows, got in (
        (ROWS[:0], "none"),
        (ROWS.assign(status="failed"), "2 that failed (their column error says why)"),
    ):
        with pytest.raises(ValueError, match="rows must") as error:
            function(rows)
        assert str(error.value) == (
            f"rows must contain at least one finished run, got {got}. "
            "Run the study, or select other rows."
        )


def test_two_runs_of_one_seed_are_refused():
    rows = study(run("dense", 4), run("l0", 4), run("l0", 4))
    with pytest.raises(ValueError, match="rows must") as error:
        evidence.paired(rows, by=["network", "width"])
    assert str(error.value) == (
        "rows must contain one run per method and seed in network lenet5, width 1.0, "
        "got several of 'l0' with seed 4. Select rows, or give each variant its own method name."
    )
    with pytest.raises(ValueError, match=r"in one setting, got several of 'l0' with seed 4\."):
        evidence.at_equal_size(rows, "l0", by=())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"method": "swiched"},
            "method must be one of the methods in rows, 'dense', 'switched', got 'swiched'. "
            "Run this method, or select other rows.",
        ),
        (
            {"against": "free"},
            "against must be one of the methods in rows, 'dense', 'switched', got 'free'. "
            "Run this method, or select other rows.",
        ),
        (
            {"method": "dense"},
            "method must be a method other than 'dense', got no other. "
            "The methods in rows are 'dense', 'switched'.",
        ),
        (
            {"level": 95},
            "level must be a number between 0 and 1, got 95. Use level=0.95 for intervals of 95 %.",
        ),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match="must be") as error:
        evidence.paired(ROWS, **arguments)
    assert str(error.value) == message


def test_a_value_that_is_none_is_refused():
    with pytest.raises(ValueError, match="value must be") as error:
        evidence.paired(ROWS, value="network")
    assert str(error.value) == (
        "value must be 'off', 'parameters_left', 'macs_left' or a column of numbers, "
        f"got 'network'. The columns are {', '.join(ROWS.columns)}."
    )


def test_no_equal_size_without_a_rival():
    with pytest.raises(ValueError, match="size must") as error:
        evidence.at_equal_size(ROWS, size="neurons")  # type: ignore[arg-type]
    assert str(error.value) == "size must be one of 'parameters', 'macs', got 'neurons'."
    rows = study(run("switched", 0), run("l0", 0, width=2.0))
    with pytest.raises(ValueError, match="rows must") as error:
        evidence.at_equal_size(rows, by=["width"])
    assert str(error.value) == (
        "rows must contain runs of 'switched' and of a rival in one setting, got none. "
        "Runs of one setting have the same width."
    )
