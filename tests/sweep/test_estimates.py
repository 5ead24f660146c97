"""How long runs take, estimated from rows made by hand."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from snnviz import sweep
from snnviz.data import NAMES, ImageData, load_data
from snnviz.networks import NETWORKS, network
from snnviz.sweep import estimates
from snnviz.sweep.cell import Cell, Conditions, Row, row_of_failure
from snnviz.sweep.estimates import Estimate, Estimates, amount, macs
from snnviz.sweep.results import COLUMNS
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule

STUDIES = Path(__file__).parents[2] / "benchmarks" / "studies" / "directions"


def cell(net: str = "mlp", method: str = "dense", seed: int = 0, **changes) -> Cell:
    """A run of 10 epochs of Fashion-MNIST on a CPU; `epochs`, `kind` or another field changed."""
    schedule = Schedule(epochs=changes.pop("epochs", 10))
    made = Cell(
        study="a study",
        network=net,
        width=1.0,
        data="fashion-mnist",
        classes=0,
        noise=0.0,
        share=1.0,
        method=method,
        kind=changes.pop("kind", method),
        seed=seed,
        schedule=schedule,
        switcher=SwitcherConfig(),
        conditions=Conditions(device="cpu"),
        settings={},
    )
    return dataclasses.replace(made, **changes)


def took(of: Cell, seconds: float, device: str = "cpu") -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    row |= row_of_failure(of, "", seconds)
    return row | {"status": "done", "device": device}


# --- how much there is to do ---------------------------------------------------------------------

# Training images, and a third of the test images.
WHOLE = 60_000 + 10_000 / 3


@pytest.mark.parametrize(
    ("changes", "images"),
    [
        ({}, 10 * WHOLE),
        ({"epochs": 3}, 3 * WHOLE),
        ({"share": 0.1}, 10 * (6_000 + 10_000 / 3)),
        ({"classes": 2}, 10 * WHOLE / 5),
        ({"classes": 5, "share": 0.5}, 10 * (30_000 + 10_000 / 3) / 2),
        ({"conditions": Conditions(holdout=5000)}, 10 * (55_000 + 10_000 / 3)),
        ({"conditions": Conditions(holdout=0.5)}, 10 * (30_000 + 10_000 / 3)),
        ({"conditions": Conditions(holdout=6000, choose=True)}, 10 * (54_000 + 2_000)),
        ({"schedule": Schedule(epochs=1, switcher_data="holdout"),
          "conditions": Conditions(holdout=6000, choose=True)}, 48_000 + 2_000),
        ({"noise": 0.3, "seed": 5}, 10 * WHOLE),
    ],
)  # fmt: skip
def test_images(changes: dict, images: float) -> None:
    size = macs("mlp", 1, "fashion-mnist", changes.get("classes", 0)) + estimates.OVERHEAD
    assert amount(cell(**changes).resolved) == pytest.approx(images * size)


def test_the_images_of_each_data_set() -> None:
    assert set(estimates.IMAGES) == set(NAMES)
    data = load_data("fashion-mnist")
    assert estimates.IMAGES["fashion-mnist"] == (len(data.train), len(data.test), data.shape)


def test_operations_by_hand() -> None:
    assert macs("mlp", 1, "fashion-mnist", 0) == 784 * 300 + 300 * 100 + 100 * 10
    assert macs("mlp", 0.5, "mnist", 2) == 784 * 150 + 150 * 50 + 50 * 2
    assert macs("mlp", 1, "cifar100", 0) == 3072 * 300 + 300 * 100 + 100 * 100


def test_operations_are_those_of_the_rows() -> None:
    for row in sweep.read(STUDIES / "claims.parquet").itertuples():
        assert macs(row.network, row.width, row.data, row.classes) == row.macs_before


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_a_size_and_draws_nothing_for_it(name: str) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    size = macs.__wrapped__(name, 1, "cifar10", 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert size > 10_000
    if name in ("resnet8", "vgg_small"):
        images, labels = torch.zeros(20, 3, 32, 32, dtype=torch.uint8), torch.arange(20) % 10
        data = ImageData.from_tensors((images, labels), (images, labels))
        from snnviz.structure import find_switches

        traced = find_switches(network(name, data), torch.zeros(2, 3, 32, 32))
        assert size == traced.size().macs


# --- how long it takes ---------------------------------------------------------------------------


def test_other_seeds_of_the_same_settings_come_first() -> None:
    estimates = Estimates(
        [
            *(took(cell(seed=seed), seconds) for seed, seconds in ((1, 90), (2, 110), (3, 400))),
            took(cell(epochs=20, seed=1), 999),
        ]
    )
    assert estimates.of(cell()) == Estimate(110, rough=False)


def test_images_and_epochs_are_counted() -> None:
    estimates = Estimates([took(cell(), 100)])
    for changes in ({"epochs": 30}, {"share": 0.1}, {"classes": 5}, {"share": 0.5, "epochs": 1}):
        one, other = cell(), cell(**changes)
        wanted = 100 * amount(other.resolved) / amount(one.resolved)
        assert estimates.of(other) == Estimate(pytest.approx(wanted), rough=False)
    assert estimates.of(cell(epochs=30)) == Estimate(pytest.approx(300), rough=False)
    assert estimates.of(cell(noise=0.5, seed=9)) == Estimate(pytest.approx(100), rough=False)


def test_widths_are_distinguished_where_they_are_known() -> None:
    rows = [took(cell(), 100), took(cell(width=2.0), 130)]
    estimates = Estimates(rows)
    assert estimates.of(cell(width=2.0, epochs=20)) == Estimate(pytest.approx(260), rough=False)
    wanted = 100 * amount(cell(width=0.5).resolved) / amount(cell().resolved)
    assert Estimates(rows[:1]).of(cell(width=0.5)) == Estimate(pytest.approx(wanted), rough=False)


def test_a_method_keeps_its_own_factor() -> None:
    estimates = Estimates([took(cell(), 100), took(cell(method="switched"), 140)])
    assert estimates.of(cell(method="switched", epochs=5)) == Estimate(
        pytest.approx(70), rough=False
    )


def test_a_variant_takes_as_long_as_its_kind() -> None:
    estimates = Estimates([took(cell(), 100), took(cell(method="switched"), 140)])
    variant = cell(method="gain 0.12", kind="switched")
    assert estimates.of(variant) == Estimate(pytest.approx(140), rough=True)


def test_another_method_by_the_ratio_that_both_have_elsewhere() -> None:
    rows = [
        took(cell("lenet5"), 400),
        took(cell("lenet5", "switched"), 600),
        took(cell("mlp"), 100),
        took(cell("mlp", "l0"), 1e6),  # nothing elsewhere tells its ratio
    ]
    assert Estimates(rows).of(cell("mlp", "switched")) == Estimate(pytest.approx(150), rough=True)
    alone = Estimates([took(cell("mlp"), 100)])
    assert alone.of(cell("mlp", "switched")) == Estimate(pytest.approx(100), rough=True)


def test_another_network_by_its_size() -> None:
    rows = [took(cell("mlp"), 100), took(cell("resnet8"), 3000)]
    estimates = Estimates(rows)

    def by_size(of: str, seconds: float) -> float:
        one, other = (macs(n, 1, "fashion-mnist", 0) + 500_000 for n in (of, "resnet20"))
        return seconds * other / one

    # resnet20 is nearer to resnet8 than to the mlp.
    assert estimates.of(cell("resnet20")) == Estimate(
        pytest.approx(by_size("resnet8", 3000)), rough=True
    )
    with_method = Estimates([*rows, took(cell("mlp", "switched"), 150)])
    wanted = by_size("resnet8", 3000) * 1.5
    assert with_method.of(cell("resnet20", "switched")) == Estimate(
        pytest.approx(wanted), rough=True
    )


def test_another_kind_of_device_tells_nothing() -> None:
    estimates = Estimates([took(cell(), 100), took(cell(), 2, device="cuda")])
    assert estimates.of(cell(epochs=20)) == Estimate(pytest.approx(200), rough=False)
    on = Conditions(device="cuda:1")
    assert estimates.of(cell(conditions=on)) == Estimate(pytest.approx(2), rough=False)
    assert Estimates([took(cell(), 100)]).of(cell(conditions=on)) is None


def test_what_tells_nothing() -> None:
    failed = took(cell(), 100) | {"status": "failed"}
    timeless = took(cell(), 100) | {"wall_seconds": None}
    older = took(cell(), 100) | {"settings": json.dumps({"network": "mlp"})}
    assert Estimates([failed, timeless, older]).of(cell()) is None
