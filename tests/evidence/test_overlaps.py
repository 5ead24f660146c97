"""Who keeps which neurons: sets by hand, and chance by drawing."""

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnviz import evidence
from snnviz.evidence.overlaps import ALL, chance
from tests.evidence.study import FAILED, run, study

A = {"conv1": [1, 1, 0, 0], "fc1": [1, 1, 1, 0, 0, 0, 0, 0, 1, 0]}
B = {"conv1": [0, 1, 1, 1], "fc1": [1, 0, 1, 0, 0, 0, 0, 0, 1, 1]}


def test_two_methods_with_one_seed():
    table = evidence.overlap(study(run("free", 3, sets=A), run("switched", 3, sets=B)))
    assert table["group"].tolist() == ["conv1", "fc1", ALL]
    assert table["both"].tolist() == [1, 3, 4]
    assert table["jaccard"].tolist() == pytest.approx([1 / 4, 3 / 5, 4 / 9])
    assert table["neurons"].tolist() == [4, 10, 14]
    assert (table["on"].tolist(), table["other_on"].tolist()) == ([2, 4, 6], [3, 4, 7])
    first = table.iloc[0]
    names = ["method", "kind", "other", "other_kind", "seed", "other_seed", "left_out", "network"]
    assert first[names].tolist() == ["free", "free", "switched", "switched", 3, 3, 0, "lenet5"]


def test_pairs_share_the_method_or_the_seed():
    rows = study(*(run(m, s, sets=A) for m in ("switched", "free", "l0") for s in (0, 1)))
    table = evidence.overlap(rows)
    of_all = table[table["group"] == ALL]
    between = of_all[of_all["method"] == of_all["other"]]
    assert len(between) == 3
    assert (between["seed"] != between["other_seed"]).all()
    among = of_all[of_all["method"] != of_all["other"]]
    assert len(among) == 6
    assert (among["seed"] == among["other_seed"]).all()
    assert (table["jaccard"] == 1).all()


sets = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20)


@pytest.mark.slow
@given(sets)
def test_the_index_is_symmetric_and_from_0_to_1(pairs):
    a, b = ({"fc1": list(each)} for each in zip(*pairs, strict=True))
    one, other = (
        evidence.overlap(study(run("a", sets=x), run("b", sets=y))).to_dict("records")[0]
        for x, y in ((a, b), (b, a))
    )
    left, right = ({i for i, on in enumerate(each["fc1"]) if on} for each in (a, b))
    expected = len(left & right) / len(left | right) if left | right else 1
    assert one["jaccard"] == other["jaccard"] == pytest.approx(expected)
    assert one["chance"] == pytest.approx(other["chance"])
    assert 0 <= one["chance"] <= 1 + 1e-9


@pytest.mark.parametrize(("a", "b", "n"), [(2, 3, 5), (1, 1, 4), (5, 2, 5), (0, 2, 3), (0, 0, 3)])
def test_chance_is_the_mean_over_all_ways_to_draw(a, b, n):
    kept = set(range(a))
    found = []
    for drawn in combinations(range(n), b):
        either = kept | set(drawn)
        found.append(len(kept & set(drawn)) / len(either) if either else 1)
    assert chance(((a, b, n),)) == pytest.approx(np.mean(found))


def test_chance_in_all_groups_draws_within_each():
    found = []
    for first in combinations(range(4), 3):
        for second in combinations(range(5), 2):
            both = len({0, 1} & set(first)) + len({0, 1, 2} & set(second))
            found.append(both / (2 + 3 + 3 + 2 - both))
    assert chance(((2, 3, 4), (3, 2, 5))) == pytest.approx(np.mean(found))


def test_runs_without_comparable_sets_are_left_out_and_counted():
    small = {"conv1": [1, 1], "fc1": [1, 1, 1]}
    rows = study(
        run("switched", 0, sets=A),
        run("free", 0, sets=B),
        run("l0", 0, sets=small),
        run("scratch", 0, sets=A),
        run("magnitude", 0, **FAILED),
        run("se", 0),  # without groups
    )
    table = evidence.overlap(rows)
    assert set(zip(table["method"], table["other"], strict=True)) == {("free", "switched")}
    assert set(table["left_out"]) == {4}


def test_what_cannot_be_read_is_refused():
    whole, message = run("switched", 0, sets=A), "rows must say in the columns 'on' and 'widths'"
    for change, why in (
        (
            {"widths": json.dumps({"conv1": [2, 4], "fc1": [5, 10]})},
            "4 of 10 neurons on in fc1, not 5",
        ),
        (
            {"widths": json.dumps({"conv1": [2, 9], "fc1": [4, 10]})},
            "1 bytes for 9 neurons in conv1",
        ),
        ({"widths": "{}"}, "'conv1'"),
        ({"on": "[1]"}, "'list' object has no attribute 'items'"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            evidence.overlap(study(whole | change, run("free", 0, sets=B)))
        assert str(error.value) == (
            "rows must say in the columns 'on' and 'widths' which neurons a run keeps, got "
            f"values that cannot be read from method 'switched', seed 0: {why}. "
            "Repeat the run, or leave it out."
        )


def test_no_pair_is_refused():
    with pytest.raises(ValueError, match="rows must contain two") as error:
        evidence.overlap(study(run("switched", 0, sets=A), run("free", 1, sets=B)))
    assert str(error.value) == (
        "rows must contain two runs of one setting, with the same seed or of the same method, "
        "got none. Run more methods or seeds."
    )
    with pytest.raises(ValueError, match="must contain one run per method and seed"):
        evidence.overlap(study(run("switched", 0, sets=A), run("switched", 0, sets=B)))
