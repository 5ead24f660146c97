"""What is said of the tables."""

import pandas as pd
import pytest

from snnviz.evidence import claims, tables, words
from tests.evidence.study import MARKED, RISES, at_sizes, both, setting, study

# --- in short ------------------------------------------------------------------------------------


def test_in_short():
    rows = study(
        *setting("lenet5", MARKED | {"switched": 0.02}),
        *setting("mlp", {"dense": 0, "switched": 0, "magnitude": 0}),
    )
    table = claims.overview(claims.compared(rows))
    assert table["setting"].tolist() == ["lenet5", "mlp"]
    assert table["no_worse"].tolist() == ["holds", "holds"]
    assert table["off"].tolist() == pytest.approx([0.4, 0.4])
    assert table["shuffled_off"].tolist() == pytest.approx([0.4, float("nan")], nan_ok=True)
    lines = tables.overview(table).splitlines()
    assert lines[2].startswith("| lenet5 | 5 | +2.00 (+2.00 to +2.00) | holds | ")
    assert lines[2].endswith(" | holds | 40 (40 to 40) | 40 | 40 | 40 |")
    assert lines[3].endswith(" | holds | 40 (40 to 40) | – | – | – |")
    assert words.in_short(rows) == [
        "Claim 1, more accurate than dense: holds on lenet5; undecided on mlp.",
        "No worse than dense by more than 0.2 points: holds on lenet5 and mlp.",
        "Claim 2, smaller although nothing asks for it: holds on lenet5 and mlp.",
        "Reading the weights turns off more neurons than every control on no network; "
        "undecided on lenet5; no verdict (fewer than 3 pairs) on mlp.",
        "Claim 3, less for simpler networks and harder tasks: no runs yet.",
    ]
    more = study(
        *rows.to_dict("records"), *at_sizes((0.5, MARKED)), *both("vgg_small", RISES, RISES)
    )
    said = words.in_short(more.assign(key=[f"run {i}" for i in range(len(more))]))
    assert said[4].startswith("At 50 % of the parameters, the switched network is better than ")
    assert said[-1].startswith("Claim 3 as a whole: holds. ")


def test_in_short_without_controls():
    rows = study(*setting("mlp", {"dense": 0, "switched": 0, "magnitude": 0}))
    assert claims.overview(rows)["free_off"].isna().all()
    assert not any("every control" in text for text in words.in_short(rows))


# --- odds and ends -------------------------------------------------------------------------------


def test_what_was_tried():
    rows = study(
        *setting("mlp", {"switched": 0, "better": 0.02, "worse": -0.02, "same": 0}),
        *setting("lenet5", {"switched": 0, "better": 0.02}, seeds=2),
    )
    table = claims.tried(rows)
    assert table["method"].tolist() == ["better", "better", "same", "worse"]
    assert words.tried(table) == (
        'Of 3 comparisons with at least 3 pairs, 1 ("better" on mlp) is better than the defaults, '
        'and 1 ("worse" on mlp) is worse. By chance alone, about 0.1 of each would be expected.'
    )
    assert words.tried(table[table["method"] == "same"]) == (
        "Of 1 comparison with at least 3 pairs, none is better than the defaults, and none is "
        "worse. By chance alone, about 0.0 of each would be expected."
    )


def test_how_many_pairs_it_would_take():
    table = pd.DataFrame(
        {
            "setting": ["a", "b", "c"],
            "pairs": [5, 20, 2],
            "low": [-0.002, 0, -1],
            "high": [0.002] * 3,
        }
    )
    assert words.needed(table) == ("An interval of ±0.1 points needs about this many pairs: a 20.")
    assert words.needed(table[1:]) == "Every interval is already narrower than ±0.1 points."


def test_by_chance():
    assert words.by_chance(24).startswith(
        "This section reports 24 intervals of 95 %. By chance alone, about 1.2 of them would miss"
    )
