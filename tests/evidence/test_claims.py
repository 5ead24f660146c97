"""The tables of the claims and what is said of them, on rows made by hand."""

import pandas as pd
import pytest

from snnviz.evidence import claims, tables, words
from tests.evidence.study import (
    FALLS,
    LEVEL,
    MARKED,
    NOISE,
    RISES,
    at_sizes,
    both,
    run,
    setting,
    study,
)


def test_only_settings_that_all_methods_were_run_in():
    rows = study(*setting("mlp", MARKED), *setting("lenet5", LEVEL))
    assert set(claims.compared(rows)["network"]) == {"mlp"}


def test_claim_1_says_where_it_holds():
    rows = study(
        *setting("lenet5", MARKED | {"switched": 0.02}),
        *setting("mlp", MARKED),
        *setting("resnet8", MARKED | {"switched": -0.02}),
        *setting("vgg_small", MARKED | {"switched": 0.02}, seeds=2),
    )
    table = claims.against(claims.compared(rows))
    assert table["verdict"].tolist() == ["holds", "undecided", "does not hold", "no verdict"]
    assert words.summary("Better", table) == (
        "Better: holds on lenet5; does not hold on resnet8; undecided on mlp; "
        "no verdict on vgg_small."
    )
    _, _, first, *_, last = tables.accuracy(table).splitlines()
    assert first.startswith("| lenet5 | 5 | +2.00 | ")
    assert first.endswith(" | holds | holds |")
    assert last.startswith("| vgg_small | 2 | +2.00 | ")
    assert last.endswith(" | no verdict | no verdict |")


def test_a_small_loss_of_accuracy_is_no_worse():
    lost = {"lenet5": 0.001, "mlp": 0.003, "resnet8": 0.002}
    rows = study(
        *(
            run(method, seed, network=network, test_accuracy=0.9 - loss + NOISE[seed] / 10)
            for network, worse in lost.items()
            for method, loss in {"dense": 0, "magnitude": 0, "switched": worse}.items()
            for seed in range(5)
            if (method, seed) != ("switched", 0)
        ),
        *(run(network=name, test_accuracy=0.9 - worse + 1e-4) for name, worse in lost.items()),
    )
    table = claims.against(claims.compared(rows))
    assert table["verdict"].tolist() == ["does not hold"] * 3
    assert table["no_worse"].tolist() == ["holds", "does not hold", "undecided"]
    assert words.summary(words.NO_WORSE, table, "no_worse") == (
        "No worse than dense by more than 0.2 points: holds on lenet5; "
        "does not hold on mlp; undecided on resnet8."
    )


def test_a_network_with_several_settings_is_told_apart():
    rows = study(*setting("mlp", MARKED), *setting("mlp", MARKED, share=0.5))
    assert claims.against(rows)["setting"].tolist() == ["mlp, share 0.5", "mlp, share 1.0"]


def test_runs_in_which_the_switcher_took_too_few_steps_have_no_verdict():
    few = {"switcher_examples": 799 * 128}
    rows = study(*setting("lenet5", MARKED | {"switched": 0.02}, **few), *setting("mlp", MARKED))
    for table in (claims.against(rows), claims.reading(rows), claims.rivals_at_equal_size(rows)):
        short = table["setting"] == "lenet5"
        assert set(table["verdict"][short]) == {"too short"}
        assert "too short" not in set(table["verdict"][~short])
        assert (table["difference"][short] > 0.01).all()  # the numbers are shown all the same
    table = claims.against(rows)
    assert table["no_worse"].tolist() == ["too short", "holds"]
    assert words.summary("Better", table) == (
        "Better: undecided on mlp; too short on lenet5 (fewer than 800 steps of the switcher)."
    )
    assert words.over_all("Reading", "control", claims.reading(rows)) == (
        "Reading is better than every control on no network; undecided on mlp; too short "
        "(fewer than 800 steps of the switcher) on lenet5."
    )
    compression = claims.compression(rows)
    assert compression["verdict"].tolist() == ["too short", "holds"]
    assert compression["aim"].tolist() == ["too short", "undecided"]
    assert words.tried(claims.tried(rows)).startswith("Of 5 comparisons with at least 3 pairs")


def test_runs_of_other_methods_do_not_make_a_setting_too_short():
    """The dense network has no switcher, and a variant may train its own for less time."""
    rows = study(*setting("mlp", MARKED))
    rows.loc[rows["method"] != "switched", "switcher_examples"] = 0
    assert claims.against(rows)["verdict"].tolist() == ["undecided"]
    failed = {"status": "failed", "seed": 9, "key": "failed", "switcher_examples": float("nan")}
    rows = pd.concat([rows, study(run("switched", network="mlp") | failed)])
    assert claims.against(rows)["verdict"].tolist() == ["undecided"]


# --- what reading the weights adds ---------------------------------------------------------------


def test_what_reading_adds():
    rows = study(
        *setting("lenet5", MARKED | {"switched": 0.02}),
        *setting("mlp", MARKED | {"free": 0.02, "shuffled": -0.02}),
        *setting("resnet8", MARKED | {"shuffled": -0.02}),
    )
    table = claims.reading(claims.compared(rows))
    assert table[["setting", "against"]].to_numpy().tolist() == [
        [network, control]
        for network in ("lenet5", "mlp", "resnet8")
        for control in ("free", "random_features", "shuffled")
    ]
    assert table["verdict"].tolist() == [
        *["holds"] * 3,
        *["does not hold", "undecided", "holds"],
        *["undecided", "undecided", "holds"],
    ]
    assert words.over_all("Reading", "control", table) == (
        "Reading is better than every control on lenet5; worse than at least one on mlp; "
        "undecided on resnet8."
    )
    first = tables.methods(table, "control", sizes=True).splitlines()[2]
    assert first.startswith("| lenet5 | free factors | 5 | +2.00 | +1.")
    assert first.endswith(" | 50 | 80 | holds |")


def test_what_reading_adds_in_neurons_off():
    rows = study(*setting("mlp", MARKED))
    for method, on in {"switched": 60, "free": 90, "random_features": 50, "shuffled": 60}.items():
        rows.loc[rows["method"] == method, "neurons_on"] = on
    rows.loc[rows["seed"] == 0, "neurons_on"] -= 1  # or all seeds would be equal
    rows.loc[(rows["seed"] == 0) & (rows["method"] == "switched"), "neurons_on"] -= 1
    table = claims.reading_by_neurons(rows)
    assert table["verdict"].tolist() == ["holds", "does not hold", "undecided"]
    first = tables.neurons_off(table).splitlines()[2]
    assert first == "| mlp | free factors | 5 | 40 | 10 | +30 | +30 | +31 | holds |"
    assert words.over_all(words.READING, "control", table, words=words.MORE_OFF) == (
        "Reading the weights turns off more neurons than every control on no network; fewer "
        "than at least one on mlp."
    )


def test_at_equal_size_there_is_no_verdict_from_fewer_than_three_pairs():
    few = setting("lenet5", MARKED)
    for row in few:
        if row["method"] == "free" and row["seed"] < 2:
            row["parameters"] = 500
    table = claims.reading_at_equal_size(study(*few, *setting("mlp", MARKED, parameters=500)))
    assert table["pairs"].tolist() == [2, 0, 5, 5, 5, 5]
    assert table["verdict"].tolist() == ["no verdict"] * 2 + ["undecided"] * 4
    lines = tables.methods(table, "control").splitlines()
    assert lines[3] == "| lenet5 | random features | 0 | – | – | – | no verdict |"
    none = table[table["against"] != "shuffled"]
    assert words.over_all("Reading", "control", none) == (
        "Reading is better than every control on no network; undecided on mlp; no verdict "
        "(fewer than 3 pairs) on lenet5."
    )


def test_better_than_every_control_needs_every_control():
    rows = study(
        *setting("lenet5", MARKED | {"switched": 0.02}),
        *setting("mlp", {"dense": 0, "switched": 0.02, "free": 0, "magnitude": 0}),
    )
    table = claims.reading(rows)
    assert words.standing(table) == {"lenet5": "better", "mlp": "undecided"}
    equal = claims.reading_at_equal_size(rows.assign(parameters=500))
    assert set(equal["against"][equal["setting"] == "mlp"]) == {"free"}
    assert words.standing(equal) == {"lenet5": "better", "mlp": "undecided"}


def test_rivals_are_those_of_the_literature():
    rows = study(
        *setting("mlp", MARKED | {"dense_longer": 0, "slimming": -0.01}),
        *(each | {"kind": "switched"} for each in setting("mlp", {"fixed gain": 0})),
    )
    table = claims.rivals_at_equal_size(rows)
    assert table["against"].tolist() == ["magnitude", "slimming"]
    larger = setting("mlp", {"slimming": 0}, parameters=900)
    rows = pd.concat([rows, study(*larger).assign(key=lambda t: "larger " + t["key"])])
    rows = rows[(rows["method"] != "slimming") | (rows["parameters"] == 900)]
    other = claims.rivals_at_equal_size(rows)
    other.loc[other["against"] == "magnitude", "verdict"] = "holds"
    assert other["verdict"].tolist() == ["holds", "no verdict"]
    assert words.standing(other) == {"mlp": "undecided"}
    assert words.standing(other, sized=True) == {"mlp": "better"}
    assert words.standing(other[1:], sized=True) == {"mlp": "no verdict"}
    lines = tables.methods(table, "rival").splitlines()
    assert lines[0].startswith("| network | rival | pairs | difference, points | ")
    assert lines[3].startswith("| mlp | network slimming | 5 | +1.00 | ")


# --- at sizes that were asked for ----------------------------------------------------------------


def test_at_a_size_that_was_asked_for():
    level = {"switched": 0.0, "shuffled": 0.0, "magnitude": 0.0, "random": 0.0}
    rows = study(
        *setting("mlp", MARKED),
        *at_sizes((0.2, level | {"random": -0.02}), (0.5, level | {"magnitude": 0.02})),
    )
    table = claims.at_asked_sizes(rows)
    assert table[["size", "against", "verdict"]].to_numpy().tolist() == [
        [0.5, "magnitude", "does not hold"],
        [0.5, "random", "undecided"],
        [0.5, "shuffled", "undecided"],
        [0.2, "magnitude", "undecided"],
        [0.2, "random", "holds"],
        [0.2, "shuffled", "undecided"],
    ]
    assert words.at_sizes(table) == [
        "At 50 % of the parameters, the switched network is better than every control on no "
        "network; undecided on mlp.",
        "At 50 % of the parameters, the switched network is better than every rival on no "
        "network; worse than at least one on mlp.",
        "At 20 % of the parameters, the switched network is better than every control on no "
        "network; undecided on mlp.",
        "At 20 % of the parameters, the switched network is better than every rival on no "
        "network; undecided on mlp.",
    ]
    first = tables.at_sizes(table).splitlines()[2]
    assert first.startswith("| mlp | 50 | L1 magnitude | 5 | -2.00 | ")


def test_runs_that_were_asked_for_a_size_count_nowhere_else():
    """They are of the same methods and seeds as those that ended at a size of their own."""
    own = study(*setting("mlp", MARKED), *both("lenet5", RISES, FALLS))
    sized = study(*at_sizes((0.5, MARKED)), *at_sizes((0.5, {"switched": 0}), network="lenet5"))
    rows = pd.concat([own, sized.assign(key=lambda table: "sized " + table["key"])])
    assert set(claims.compared(rows)["key"]) == set(claims.compared(own)["key"])
    pd.testing.assert_frame_equal(
        claims.trends(claims.doses(rows)), claims.trends(claims.doses(own))
    )
    pd.testing.assert_frame_equal(claims.tried(rows), claims.tried(own))
    assert claims.at_asked_sizes(own).empty
    assert set(claims.at_asked_sizes(rows)["pairs"]) == {0, 5}  # lenet5 has nothing to compare


# --- claim 2 -------------------------------------------------------------------------------------


def test_compression():
    rows = study(
        *(run("switched", seed, network="lenet5", neurons_on=50 + seed) for seed in range(5)),
        *(run("switched", seed, network="mlp", neurons_on=90 - seed) for seed in range(5)),
        *(run("switched", seed, network="resnet8", neurons_on=100) for seed in range(5)),
        *(run("switched", seed, network="vgg_small", neurons_on=70 + seed) for seed in range(2)),
    )
    table = claims.compression(rows)
    assert table["verdict"].tolist() == ["holds", "holds", "does not hold", "no verdict"]
    assert table["aim"].tolist() == ["holds", "does not hold", "does not hold", "no verdict"]
    heads, _, first, *_ = tables.compression(table).splitlines()
    assert heads.endswith(" | parameters left, % | compressed | by 40 % or more |")
    assert first == "| lenet5 | 5 | 48 | 46 | 50 | 50 | holds | holds |"


# --- claim 3 -------------------------------------------------------------------------------------


def test_claim_3_as_a_whole():
    runs = claims.doses(study(*both("lenet5", RISES, RISES), *both("mlp", RISES, FALLS)))
    assert [asked.dose for asked, _ in runs] == ["width"]
    table = claims.trends(runs)
    assert table["verdict"].tolist() == ["holds", "holds", "does not hold", "holds"]
    assert words.doses(table) == [
        "width: does not hold in general. At equal epochs, it holds on lenet5 (both gains) and "
        "mlp (default gain), and is reversed on mlp (fixed gain)."
    ]
    assert words.claim_3(table) == (
        "Claim 3 as a whole: does not hold in general. Of 4 trends: 3 as claimed, 1 reversed, "
        "0 undecided. It holds in every trend for: none."
    )


def test_a_trend_with_a_dose_whose_runs_are_too_short():
    rows = study(*both("lenet5", RISES, RISES), *both("mlp", RISES, FALLS))
    few = (rows["network"] == "mlp") & (rows["width"] == 0.5)
    rows.loc[few, "switcher_examples"] = 128
    table = claims.trends(claims.doses(rows))
    assert table["verdict"].tolist() == ["holds", "holds", "too short", "too short"]
    assert words.doses(table) == [
        "width: holds. At equal epochs, it holds on lenet5 (both gains), and has runs that are "
        "too short on mlp (both gains)."
    ]
    assert words.claim_3(table).startswith(
        "Claim 3 as a whole: holds. Of 4 trends: 2 as claimed, 0 reversed, 0 undecided, 2 with "
        "runs that are too short."
    )


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["holds", "no verdict"], "undecided"),
        (["holds", "too short"], "holds"),
        (["too short"], "no verdict, because its runs are too short"),
        (["holds", "does not hold"], "does not hold in general"),
        (["undecided", "does not hold"], "does not hold"),
        ([], "undecided"),
    ],
)
def test_a_verdict_on_several(verdicts: list[str], whole: str):
    assert words.in_general(verdicts) == whole


def test_the_rules_part_in_words():
    fixed = {0.5: 10, 1.0: 20, 2.0: 30}
    rows = study(*both("lenet5", RISES, fixed), *both("mlp", RISES, RISES))
    rows.loc[rows["key"] == "run 0", "neurons_on"] += 3  # or all seeds would differ alike
    runs = claims.doses(rows)
    ends = claims.rules(runs, ends=True)
    assert tables.rule(ends).splitlines()[2] == (
        "| width | epochs | lenet5 | 0.5 to 2 | 61 | 20 | 3 | +41 | +37 | +45 |"
    )
    assert words.rule_in_all(ends) == (
        "The interval of the gain rule's effect excludes 0 in 1 of 2 trends: "
        "width on lenet5 at equal epochs (+41 of +61 points)."
    )
    each = claims.rules(runs)
    assert each["value"].tolist() == [0.5, 1.0, 2.0] * 2
    assert each["difference"].tolist() == pytest.approx([-0.01, 0.2, 0.4, 0, 0, 0])
    assert tables.rule_by_dose(each).splitlines()[3].startswith("| width | epochs | lenet5 | 1 | ")
