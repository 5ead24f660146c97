"""The committed studies: their files are in order, and their rows fit their settings."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from pandas import DataFrame

import snnviz as sv
from snnviz import files, sweep
from snnviz.data import BatchOrder
from snnviz.evidence import claims
from snnviz.structure import find_switches
from snnviz.sweep.cell import AXES, Cell, Conditions
from snnviz.sweep.cell import _data as images_of
from snnviz.training import Schedule
from tests.reference import phases

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "benchmarks" / "studies"
NAMES = ("choice", "claims")
ROWS = {
    f"{folder}{name}": sweep.read(STUDIES / f"{folder}{name}.parquet")
    for folder in ("", "directions/")
    for name in NAMES
}


@pytest.mark.parametrize("name", ROWS)
def test_every_row_holds_all_its_settings(name: str) -> None:
    """They are what the key is a hash of, so that no row can pass for a run with others."""
    for row in ROWS[name].itertuples():
        settings = json.loads(str(row.settings))
        assert row.key == files.digest(files.canonical(settings))[:20]
        for column in AXES:
            assert settings[column] == getattr(row, column), (row.key, column)
    assert ROWS[name].key.is_unique
    assert (ROWS[name].status == "done").all()


@pytest.mark.parametrize("name", NAMES)
def test_a_study_of_todays_switcher_is_in_order(name: str) -> None:
    cells = sweep.Study.read(STUDIES / f"{name}.toml").cells()
    assert len(cells) > 100
    switched = [cell for cell in cells.values() if cell.method == "switched"]
    assert {cell.switcher for cell in switched} == {sv.SwitcherConfig()}
    assert set(ROWS[name].key) <= set(cells)


def test_no_seed_was_both_chosen_by_and_tested_on() -> None:
    for folder in ("", "directions/"):
        chosen, tested = (set(ROWS[f"{folder}{name}"].seed) for name in NAMES)
        assert not chosen & tested
    chosen, tested = (
        {cell.seed for cell in sweep.Study.read(STUDIES / f"{name}.toml").cells().values()}
        for name in NAMES
    )
    assert not chosen & tested


def test_choices_never_saw_a_test_image() -> None:
    for name in ("choice", "directions/choice"):
        assert all(json.loads(settings)["run"]["choose"] for settings in ROWS[name].settings)
    cells = sweep.Study.read(STUDIES / "choice.toml").cells().values()
    assert all(cell.conditions.choose for cell in cells)


def test_every_run_of_the_claims_is_long_enough() -> None:
    """At least 800 steps of the switcher, on the images that lie here."""
    long: dict[tuple[Any, ...], int] = {}
    for cell in sweep.Study.read(STUDIES / "claims.toml").cells().values():
        plan, kind = cell.schedule, (cell.classes, cell.share, cell.schedule)
        if cell.kind != "switched" or cell.data != "fashion-mnist" or kind in long:
            continue
        batches = BatchOrder(len(images_of(cell).train), plan.batch_size, 0).batches_per_epoch
        long[kind] = [phase for *_, phase in phases(plan, batches)].count("switcher")
    assert len(long) > 5
    assert min(long.values()) >= 800


def test_the_part_for_gpus_is_in_order() -> None:
    cells = sweep.Study.read(STUDIES / "claims.toml").cells("full").values()
    assert {cell.network for cell in cells} == {"vgg16", "resnet18", "resnet34", "mobilenet_v2"}
    assert {cell.data for cell in cells} == {"cifar10", "cifar100"}
    assert all(cell.conditions.device == "cuda" for cell in cells)


@pytest.mark.parametrize("name", ROWS)
def test_sizes_are_those_of_the_networks(name: str) -> None:
    # benchmarks/again.py makes whole runs a second time and prints what differs.
    for row, cell in settings_of(name, "network", "width", "classes"):
        images = images_of(cell)
        net = sv.network(cell.network, images, cell.seed, cell.width)
        found = find_switches(net, images.batch("train", torch.arange(2))[0])
        assert row.neurons == sum(group.neurons for group in found.groups.values()), str(cell)
        assert row.parameters_before == sum(p.numel() for p in net.parameters()), str(cell)
        assert row.macs_before == found.size().macs, str(cell)


@pytest.mark.parametrize("name", ROWS)
def test_steps_are_those_of_the_schedules(name: str) -> None:
    for row, cell in settings_of(name, "network", "share", "epochs"):
        plan = cell.schedule
        batches = BatchOrder(len(images_of(cell).train), plan.batch_size, 0).batches_per_epoch
        steps = [phase for *_, phase in phases(plan, batches)]
        assert row.epochs == plan.epochs, str(cell)
        assert row.examples == plan.batch_size * steps.count("task"), str(cell)
        assert row.switcher_examples == plan.batch_size * steps.count("switcher"), str(cell)


def settings_of(name: str, *columns: str) -> list[tuple[Any, Cell]]:
    """A switched run for each combination of what stands in these columns: its row and settings."""
    rows = ROWS[name][ROWS[name].kind == "switched"].drop_duplicates(list(columns))
    assert len(rows) >= (3 if name.startswith("directions/") else 1)  # today's study goes on
    return [(row, cell_of(json.loads(row.settings))) for _, row in rows.iterrows()]


def cell_of(settings: dict[str, Any]) -> Cell:
    """A run's settings, but for those of the switcher: some of them are gone."""
    return Cell(
        **{name: settings[name] for name in (*AXES, "kind", "settings")},
        study="a study",
        schedule=Schedule(**settings["schedule"]),
        switcher=sv.SwitcherConfig(),
        conditions=Conditions(**settings["run"]),
    )


def test_what_came_out_is_written_from_the_committed_rows() -> None:
    """docs/claims.md, for example; `python benchmarks/claims.py` writes them."""
    script = runpy.run_path(str(STUDIES.parent / "claims.py"))
    for folder, path in script["DOCUMENTS"].items():
        text = path.read_text(encoding="utf-8")
        assert text == script["document"](folder)
        choice = sweep.read(folder / "choice.parquet")
        for network in choice.network.unique():
            check_what_was_tried(text, choice, str(network))


def check_what_was_tried(text: str, choice: DataFrame, network: str) -> None:
    """Every method has its row in the table of the network, if it chose its size itself."""
    tried = text[text.index("## What we tried") :]
    plans = choice.settings.map(lambda settings: json.loads(settings)["schedule"])
    own = plans.map(lambda plan: plan.get("size") is None) & (choice.network == network)
    methods = set(choice.method[own]) - {"switched"}
    table = tried[tried.index(f"### {network}\n") :].removeprefix("### ").partition("\n### ")[0]
    assert methods == set(re.findall(r"^\| ([^|]+) \| \d", table, re.MULTILINE))


def test_the_readmes_sentence_on_the_claims_is_true() -> None:
    """It is written by hand. If more runs change a verdict, or add one, the README must change."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert (
        "so far, on `mlp` with twenty seeds: smaller, at most 0.2 points less accurate than the "
        "dense network, not shown to be more accurate; on `lenet5` with five: smaller, the rest "
        "undecided. At half of its parameters `mlp` beats random pruning, at a fifth magnitude "
        "pruning beats it. Fewer neurons go off if it is narrower or has more classes, more if "
        "images are noisier or fewer."
    ) in readme
    full = claims.compared(ROWS["claims"])
    dense = claims.against(full)
    assert dense[["setting", "pairs"]].to_numpy().tolist() == [["lenet5", 5], ["mlp", 20]]
    assert claims.compression(full).verdict.tolist() == ["holds", "holds"]
    assert dense.no_worse.tolist() == ["undecided", "holds"]
    assert dense.verdict.tolist() == ["undecided", "undecided"]
    sized = claims.at_asked_sizes(ROWS["claims"]).set_index(["setting", "size", "against"]).verdict
    assert sized["mlp", 0.5, "random"] == "holds"
    assert sized["mlp", 0.2, "magnitude"] == "does not hold"
    trends = claims.trends(claims.doses(ROWS["claims"]))
    assert set(trends.setting) == {"mlp"}
    assert {dose: set(part.verdict) for dose, part in trends.groupby("dose")} == {
        "width": {"holds"},
        "classes": {"holds"},
        "noise": {"does not hold"},
        "share": {"does not hold"},
    }
    assert set(trends.correlation[trends.dose == "noise"] > 0) == {True}
    assert set(trends.correlation[trends.dose == "share"] < 0) == {True}
