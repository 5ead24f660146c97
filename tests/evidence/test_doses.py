"""Runs that differ in one dose alone, and the rule's part of a trend, against numbers by hand."""

import numpy as np
import pytest

from snnviz import evidence
from tests.evidence.study import FAILED, run, study
from tests.evidence.test_pairs import by_hand

# Neurons off of 100, seed by seed, at each width: with the default gain, and with one fixed gain.
DEFAULT = {0.5: [10, 20, 0], 1.0: [40, 30, 50], 2.0: [60, 70, 50]}
FIXED = {0.5: [0, 0, 0], 1.0: [10, 20, 30], 2.0: [30, 50, 40]}


def widths(method: str, off: dict[float, list[int]], **columns) -> list[dict]:
    return [
        run(method, seed, width=width, neurons_on=100 - n, epochs=8, examples=800) | columns
        for width, each in off.items()
        for seed, n in enumerate(each)
    ]


def both(**columns) -> list[dict]:
    return [*widths("switched", DEFAULT, **columns), *widths("fixed gain", FIXED, **columns)]


# --- which runs ----------------------------------------------------------------------------------


def test_only_seeds_with_every_dose_are_kept():
    more = [run("switched", seed, width=1.0, epochs=8, examples=800) for seed in (3, 4, 5)]
    more.append(run("switched", 6, width=2.0, epochs=8, examples=800))
    rows = study(*both(), *more)
    kept = evidence.dosed(rows, "width")
    assert sorted(kept["key"]) == sorted(rows["key"][: len(both())])
    assert list(kept.columns) == list(rows.columns)


def test_a_seed_without_a_finished_run_of_one_dose_goes_as_a_whole():
    runs = widths("switched", DEFAULT)
    runs[4] |= FAILED  # width 1, seed 1
    kept = evidence.dosed(study(*runs), "width")
    assert set(kept["seed"]) == {0, 2}
    assert len(kept) == 6


def test_seeds_are_counted_method_by_method():
    rows = study(*widths("switched", DEFAULT), *widths("fixed gain", {0.5: [0], 1.0: [0]}))
    kept = evidence.dosed(rows, "width")
    assert kept.groupby("method").size().to_dict() == {"fixed gain": 2, "switched": 9}


def test_runs_of_other_epochs_are_no_dose():
    longer = [run("switched", seed, width=1.0, epochs=24, examples=2400) for seed in range(9)]
    kept = evidence.dosed(study(*longer, *widths("switched", DEFAULT)), "width")
    assert set(kept["epochs"]) == {8}
    assert len(kept) == 9


def shares(**columns) -> list[dict]:
    """Runs of two shares of the images: as many epochs, and the smaller one for longer as well."""
    lengths = [(1.0, 8, 8000), (0.5, 8, 4000), (0.5, 16, 7900), (0.1, 8, 800), (0.1, 70, 7000)]
    return [
        run("switched", seed, share=share, epochs=epochs, examples=examples) | columns
        for share, epochs, examples in lengths
        for seed in (0, 1)
    ]


def test_as_many_examples_as_the_highest_dose():
    rows = study(*shares())
    as_epochs = evidence.dosed(rows, "share")
    assert sorted(set(as_epochs["examples"])) == [800, 4000, 8000]
    as_examples = evidence.dosed(rows, "share", equal="examples")
    assert sorted(set(as_examples["examples"])) == [7900, 8000]  # 7,000 are 12 % fewer


def test_all_classes_are_the_highest_dose():
    lengths = [(0, 8, 8000), (2, 8, 1600), (2, 40, 8100)]
    runs = [
        run("switched", seed, classes=classes, epochs=epochs, examples=examples)
        for classes, epochs, examples in lengths
        for seed in (0, 1)
    ]
    kept = evidence.dosed(study(*runs), "classes", equal="examples")
    assert sorted(set(kept["examples"])) == [8000, 8100]


def test_what_is_no_dose_is_refused():
    with pytest.raises(ValueError, match="equal") as error:
        evidence.dosed(study(*both()), "width", equal="steps")
    assert str(error.value) == "equal must be one of 'epochs', 'examples', got 'steps'."
    with pytest.raises(ValueError, match="at least two doses of 'noise'"):
        evidence.dosed(study(*both()), "noise")


# --- the rule's part -----------------------------------------------------------------------------


def test_the_rule_dose_by_dose():
    rows = study(*both(), *widths("switched", {0.5: [1], 1.0: [2]}, network="mlp"))
    table = evidence.rule_by_dose(rows, "width")
    assert set(table["network"]) == {"lenet5"}  # the other has no run with the fixed gain
    assert table["value"].tolist() == [0.5, 1.0, 2.0]
    for row, width in zip(table.to_dict("records"), DEFAULT, strict=True):
        ours, theirs = np.array(DEFAULT[width]) / 100, np.array(FIXED[width]) / 100
        wanted = [*by_hand((ours - theirs).tolist()), ours.mean(), theirs.mean()]
        found = [row[name] for name in ("difference", "low", "high", "rule", "fixed")]
        assert found == pytest.approx(wanted, rel=1e-4)
        assert row["pairs"] == 3


def test_the_rule_of_a_trend():
    (row,) = evidence.rule_of_trend(study(*both()), "width").to_dict("records")
    # From 0.5 to 2 the default gain moves 50, 50, 50 points, the fixed one 30, 50, 40.
    assert (row["lowest"], row["highest"], row["pairs"]) == (0.5, 2.0, 3)
    assert (row["rule"], row["fixed"]) == pytest.approx((0.5, 0.4))
    found = [row[name] for name in ("difference", "low", "high")]
    assert found == pytest.approx(by_hand([0.2, 0.0, 0.1]), rel=1e-4)


def test_the_rule_of_a_trend_is_that_of_seeds_with_every_dose():
    lacking = [row for row in both() if (row["method"], row["seed"]) != ("fixed gain", 2)]
    (row,) = evidence.rule_of_trend(study(*lacking), "width").to_dict("records")
    assert row["pairs"] == 2
    assert row["difference"] == pytest.approx(0.1)
    assert evidence.rule_by_dose(study(*both()), "width")["pairs"].tolist() == [3, 3, 3]


def test_from_two_classes_to_all():
    runs = [
        run(method, seed, classes=classes, neurons_on=100 - off)
        for method, offs in (("switched", (10, 40)), ("fixed gain", (5, 15)))
        for classes, off in zip((2, 0), offs, strict=True)
        for seed in (0, 1)
    ]
    (row,) = evidence.rule_of_trend(study(*runs), "classes").to_dict("records")
    assert (row["lowest"], row["highest"]) == (2, 0)
    assert row["difference"] == pytest.approx(0.3 - 0.1)


def test_two_runs_of_one_seed_are_refused():
    with pytest.raises(ValueError, match="one run per method and seed"):
        evidence.rule_by_dose(study(*both(), *both()[:1]), "width")
