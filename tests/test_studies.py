"""The committed studies: their files are in order, and a run of them can be made again."""

import re
import runpy
from pathlib import Path

import pandas as pd
import pytest
import torch

from snnviz import sweep
from snnviz.evidence import claims
from snnviz.sweep.cell import make

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "benchmarks" / "studies"
ROWS = {name: sweep.read(STUDIES / f"{name}.parquet") for name in ("choice", "claims")}


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_a_run_of_its_study(name: str) -> None:
    """So each can be made again by the study's command."""
    cells = sweep.Study.read(STUDIES / f"{name}.toml").cells()
    assert set(ROWS[name].key) <= set(cells)
    assert ROWS[name].key.is_unique
    assert (ROWS[name].status == "done").all()


def test_no_seed_was_both_chosen_by_and_tested_on() -> None:
    assert not set(ROWS["choice"].seed) & set(ROWS["claims"].seed)


def test_choices_never_saw_a_test_image() -> None:
    cells = sweep.Study.read(STUDIES / "choice.toml").cells().values()
    assert all(cell.conditions.choose for cell in cells)


def test_the_part_for_gpus_is_in_order() -> None:
    cells = sweep.Study.read(STUDIES / "claims.toml").cells("full").values()
    assert {cell.network for cell in cells} == {"vgg16", "resnet18", "resnet34", "mobilenet_v2"}
    assert {cell.data for cell in cells} == {"cifar10", "cifar100"}
    assert all(cell.conditions.device == "cuda" for cell in cells)


def test_a_run_made_again() -> None:
    """Bit for bit on the same machine; elsewhere bfloat16 may round in another order.

    That moves the accuracy by no more than some tenths of a point: less than seeds differ by.
    """
    runs = ROWS["claims"].set_index(["network", "method", "seed", "share", "width"])
    key = runs.loc[("mlp", "switched", 0, 1.0, 1.0)].key
    old = ROWS["claims"].set_index("key").loc[key]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a sweep: more of them add up in another order
    new = pd.Series(make(sweep.Study.read(STUDIES / "claims.toml").cells()[key]))
    torch.set_num_threads(threads)
    assert new.status == "done", new.error
    exact = [
        "neurons",
        "parameters_before",
        "macs_before",
        "examples",
        "switcher_examples",
        "epochs",
    ]
    assert new[exact].tolist() == old[exact].tolist()
    if new[["machine", "versions"]].equals(old[["machine", "versions"]]):
        assert new["test_accuracy"] == old["test_accuracy"]
        assert new["on"] == old["on"]
    assert new.test_accuracy == pytest.approx(old.test_accuracy, abs=0.006)
    assert new.neurons_on == pytest.approx(old.neurons_on, rel=0.1)


def test_what_came_out_is_written_from_the_committed_rows() -> None:
    """docs/claims.md; `python benchmarks/claims.py` writes it."""
    script = runpy.run_path(str(STUDIES.parent / "claims.py"))
    text = script["document"]()
    assert script["DOCUMENT"].read_text(encoding="utf-8") == text
    for network in ROWS["choice"].network.unique():
        tried = text[text.index("## What we tried") :]
        methods = set(ROWS["choice"].method[ROWS["choice"].network == network]) - {"switched"}
        table = tried[tried.index(f"### {network}\n") :].removeprefix("### ").partition("\n### ")[0]
        assert methods == set(re.findall(r"^\| ([^|]+) \| \d", table, re.MULTILINE))


def test_the_readmes_sentence_on_the_claims_is_true() -> None:
    """It is written by hand. If a claim comes to hold on every network, the README must change."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "Of the paper's three claims, none holds on every network that we tested:" in readme
    full = claims.compared(ROWS["claims"])
    tables = {
        "more accurate": claims.against(full),
        "smaller": claims.compression(full),
        "less for simpler networks and harder tasks": claims.trends(claims.doses(ROWS["claims"])),
    }
    for claim, table in tables.items():
        networks = table.groupby("setting").verdict.agg(lambda each: set(each) == {"holds"})
        assert not networks.empty, claim
        assert not networks.all(), claim
