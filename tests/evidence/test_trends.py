"""Rank correlations against ranks by hand, and the bootstrap over whole seeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from snnviz import evidence
from snnviz.evidence.trends import spearman
from tests.evidence.study import FAILED, run, study


def by_hand(x: list[float], y: list[float]) -> float:
    """Spearman's correlation: Pearson's of the ranks, ties in the middle."""

    def ranks(values: list[float]) -> list[float]:
        return [
            sum(other < value for other in values)
            + (sum(other == value for other in values) + 1) / 2
            for value in values
        ]

    a, b = ranks(x), ranks(y)
    middle = (len(x) + 1) / 2
    top = sum((p - middle) * (q - middle) for p, q in zip(a, b, strict=True))
    spreads = [sum((p - middle) ** 2 for p in each) for each in (a, b)]
    return top / (spreads[0] * spreads[1]) ** 0.5


def widths(off: dict[float, list[float]], **columns) -> list[dict]:
    """Runs of {width: share off of each seed}, out of 1,000 neurons."""
    return [
        run("switched", seed, width=width, neurons=1000, neurons_on=round(1000 * (1 - share)))
        | columns
        for width, shares in off.items()
        for seed, share in enumerate(shares)
    ]


OFF = {0.25: [0.1, 0.2, 0.1], 0.5: [0.2, 0.1, 0.3], 1.0: [0.4, 0.3, 0.5], 2.0: [0.5, 0.6, 0.4]}


def test_the_correlation_by_hand():
    rows = study(*widths(OFF))
    (row,) = evidence.trend(rows, "width").to_dict("records")
    x = [width for width, shares in OFF.items() for _ in shares]
    y = [share for shares in OFF.values() for share in shares]
    assert row["correlation"] == pytest.approx(by_hand(x, y))
    assert row["correlation"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert [row[name] for name in ("runs", "seeds", "doses", "failed")] == [12, 3, 4, 0]
    assert (row["dose"], row["response"], row["method"]) == ("width", "off", "switched")
    assert "width" not in row
    assert row["low"] < row["correlation"] < row["high"] <= 1


def test_whole_seeds_are_drawn():
    """The interval by a slow loop that puts whole seeds together and ranks them again."""
    rows = study(*widths(OFF))
    rng = np.random.default_rng(7)
    again = []
    for times in rng.multinomial(3, [1 / 3] * 3, size=300):
        drawn = np.repeat(np.arange(3), times)
        x = [width for width in OFF for _ in drawn]
        y = [OFF[width][seed] for width in OFF for seed in drawn]
        again.append(stats.spearmanr(x, y).statistic)
    (row,) = evidence.trend(rows, "width", repeats=300, seed=7).to_dict("records")
    assert [row["low"], row["high"]] == pytest.approx(np.quantile(again, [0.025, 0.975]).tolist())


def test_the_same_seed_gives_the_same_interval_in_any_order():
    rows = study(*widths(OFF))
    mixed = rows.sample(frac=1, random_state=3)
    assert evidence.trend(rows, "width").equals(evidence.trend(mixed, "width"))
    drawn = [evidence.trend(rows, "width", repeats=20, seed=seed) for seed in range(6)]
    assert len({(table["low"].item(), table["high"].item()) for table in drawn}) > 1


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=12
    )
)
def test_weights_stand_for_copies(points):
    x, y, times = (np.array(column) for column in zip(*points, strict=True))
    found = spearman(x, y, times[None].astype(float))[0]
    many_x, many_y = np.repeat(x, times), np.repeat(y, times)
    if len(set(many_x)) < 2 or len(set(many_y)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(by_hand(many_x.tolist(), many_y.tolist()))


def test_a_constant_response_has_no_correlation():
    (row,) = evidence.trend(study(*widths({1.0: [0.5] * 2, 2.0: [0.5] * 2})), "width").to_dict(
        "records"
    )
    assert np.isnan([row["correlation"], row["low"], row["high"]]).all()
    assert row["runs"] == 4


def test_one_seed_has_no_interval():
    (row,) = evidence.trend(study(*widths({1.0: [0.1], 2.0: [0.2]})), "width").to_dict("records")
    assert row["correlation"] == pytest.approx(1)
    assert np.isnan([row["low"], row["high"]]).all()


def test_all_classes_are_more_than_some():
    off = {2: 0.6, 5: 0.4, 0: 0.1}
    rows = study(
        *(
            run("switched", s, classes=c, neurons_on=100 * (1 - o))
            for c, o in off.items()
            for s in (0, 1)
        )
    )
    (row,) = evidence.trend(rows, "classes").to_dict("records")
    assert (row["correlation"], row["low"], row["high"]) == pytest.approx((-1, -1, -1))
    assert row["doses"] == 3


def test_groups_apart_and_those_of_one_dose_left_out():
    rows = study(
        *widths(OFF),
        *widths({width: [1 - s for s in shares] for width, shares in OFF.items()}, method="free"),
        *widths(OFF, network="mlp"),
        run("switched", 0, noise=0.5),  # of another study: one width
        run("switched", 9, **FAILED),
    )
    table = evidence.trend(rows, "width", repeats=10)
    assert table[["network", "method"]].to_numpy().tolist() == [
        ["lenet5", "free"],
        ["lenet5", "switched"],
        ["mlp", "switched"],
    ]
    free, ours, mlp = table["correlation"]
    assert free == pytest.approx(-ours)
    assert mlp == ours
    assert table["failed"].tolist() == [0, 1, 0]
    assert table["noise"].tolist() == [0, 0, 0]


def test_by_and_other_responses():
    rows = study(*widths(OFF)).assign(parameters=lambda t: (1000 * t["width"]).astype(int) // 4)
    (row,) = evidence.trend(rows, "width", "parameters_left", by="network").to_dict("records")
    assert row["correlation"] == pytest.approx(1)
    assert list(row)[:3] == ["network", "dose", "response"]


@pytest.mark.parametrize(
    ("dose", "response", "message"),
    [
        (
            "epochs",
            "off",
            "dose must be one of 'width', 'classes', 'noise', 'share', got 'epochs'. "
            "For another response, give response=.",
        ),
        (
            "noise",
            "off",
            "rows must contain finished runs of at least two doses of 'noise' in one group, got "
            "none. Runs of one group have the same network, width, data, classes, share, "
            "precision, method.",
        ),
    ],
)
def test_what_is_no_trend_is_refused(dose, response, message):
    with pytest.raises(ValueError, match="must") as error:
        evidence.trend(study(*widths(OFF)), dose, response)
    assert str(error.value) == message


def test_a_response_that_is_none_is_refused():
    rows = study(*widths(OFF))
    with pytest.raises(ValueError, match="response must be") as error:
        evidence.trend(rows, "width", "on")
    assert str(error.value) == (
        "response must be 'off', 'parameters_left', 'macs_left' or a column of numbers, "
        f"got 'on'. The columns are {', '.join(rows.columns)}."
    )
