"""The map of overlaps: numbers, chance below them, and darker the further above it."""

import numpy as np
import pytest

from snnviz import evidence, plots
from tests.evidence.study import run, study
from tests.plots.story import texts

KEPT = {
    "dense": [[1] * 12, [1] * 12],
    "switched": [[1] * 6 + [0] * 6, [0] * 6 + [1] * 6],
    "free": [[1] * 6 + [0] * 6, [1] * 5 + [0] * 7],
    "l0": [[0] * 6 + [1] * 6, [0] * 4 + [1] * 8],
}
ROWS = study(
    *(run(m, s, sets={"fc1": on}) for m, seeds in KEPT.items() for s, on in enumerate(seeds))
)
TABLE = evidence.overlap(ROWS)


def numbers(ax):
    """{(column, row): (overlap, chance)} as they are written, and their sizes."""
    found, sizes = {}, set()
    for text in ax.texts:
        found.setdefault(text.get_position(), []).append(text.get_text())
        sizes.add(text.get_size())
    return {place: tuple(both) for place, both in found.items()}, sizes


def mean(method, other, column="jaccard"):
    rows = TABLE[
        (TABLE["method"] == method) & (TABLE["other"] == other) & (TABLE["group"] == "fc1")
    ]
    return rows[column].mean()


def test_means_of_pairs_below_the_diagonal_and_of_seeds_on_it():
    ax = plots.overlap_map(TABLE)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "switched",
        "free factors",
        "L0",
    ]
    written, sizes = numbers(ax)
    assert written.keys() == {(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)}
    pairs = {
        (0, 0): ("switched", "switched"),
        (0, 1): ("free", "switched"),
        (2, 2): ("l0", "l0"),
        (1, 2): ("free", "l0"),
    }
    for place, names in pairs.items():
        expected = (mean(*names), mean(*names, "chance"))
        assert written[place] == tuple(f"{100 * value:.0f}" for value in expected)
    assert written[0, 0][0] == "0"
    assert written[0, 1][0] == "50"  # equal with seed 0, without a common neuron with seed 1
    assert sizes == {7, 5.5}
    assert ax.get_xlabel() == (
        "neurons on in both runs,\n% of those on in either\n(small: by chance; diagonal: two seeds)"
    )


def test_darker_is_further_above_chance():
    shade = plots.overlap_map(TABLE).images[0].get_array()
    jaccard, by_chance = mean("free", "switched"), mean("free", "switched", "chance")
    assert shade[1, 0] == pytest.approx(0.9 * (jaccard - by_chance) / (1 - by_chance))
    assert shade[0, 0] == 0  # below chance
    assert np.ma.getmaskarray(shade).tolist() == np.triu(np.ones((3, 3), bool), 1).tolist()


def test_numbers_can_be_read_on_dark_fields():
    same = study(*(run(m, 0, sets={"fc1": [1, 0] * 6}) for m in ("switched", "free")))
    ax = plots.overlap_map(evidence.overlap(same))
    (number, *_) = ax.texts
    assert (number.get_text(), number.get_color()) == ("100", "white")
    assert len(ax.texts) == 2  # no second seed: nothing on the diagonal


def test_one_group():
    both = study(
        run("switched", sets={"a": [1, 0], "b": [1, 0, 0, 0]}),
        run("free", sets={"a": [1, 0], "b": [0, 1, 0, 0]}),
    )
    table = evidence.overlap(both)
    assert [texts(plots.overlap_map(table, group=g))[0] for g in ("a", "b")] == ["100", "0"]
    with pytest.raises(ValueError, match="group must") as error:
        plots.overlap_map(table, group="c")
    assert str(error.value) == "group must be one of 'a', 'b', 'all together', got 'c'."


def test_what_is_no_map_is_refused():
    advice = "Give the table that evidence.overlap(rows) returns."
    with pytest.raises(TypeError, match="table must") as error:
        plots.overlap_map("x")  # type: ignore[arg-type]
    assert str(error.value) == f"table must be a pandas DataFrame, got str. {advice}"
    with pytest.raises(ValueError, match="table must") as error:
        plots.overlap_map(TABLE.drop(columns=["chance", "on"]))
    assert (
        str(error.value) == f"table must contain overlaps, got no column 'chance', 'on'. {advice}"
    )
    mixed = TABLE.assign(network=["mlp", *["lenet5"] * (len(TABLE) - 1)])
    with pytest.raises(ValueError, match="table must") as error:
        plots.overlap_map(mixed)
    assert str(error.value) == (
        "table must contain one setting, got several values of network. "
        "Select one first: table[table['network'] == 'mlp']."
    )
    only = evidence.overlap(ROWS[ROWS["method"] == "dense"])
    with pytest.raises(ValueError, match="table must") as error:
        plots.overlap_map(only)
    assert str(error.value) == (
        "table must contain a method that switches neurons off, got none. "
        "If all neurons are on, every overlap is 100 %."
    )
