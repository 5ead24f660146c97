"""A run, a saved network and a sweep's rows, written by an earlier version, still load.

Where numbers are read from a file they are compared exactly; what is computed may differ in its
last bits from machine to machine.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snnviz import sweep
from snnviz.data import ImageData
from snnviz.export import load_compact
from snnviz.history import History
from snnviz.runs import Trainer, table
from snnviz.sweep import Study
from snnviz.switcher import SwitcherConfig
from tests.runs.conftest import tiny_net

HERE = Path(__file__).parent
FIRST = [1.004089117050171, 0.9873016476631165, 1.0056586265563965]
FIRST += [0.9973558783531189, 0.9971082210540771, 1.0084863901138306]
SECOND = [0.9900133609771729, 1.0035014152526855, 1.0047439336776733, 1.0017412900924683]


def tiny_data() -> ImageData:
    """The images that the run was trained on."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (112, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(112) % 5
    return ImageData.from_tensors(
        (images[:80], labels[:80]),
        (images[80:], labels[80:]),
        holdout=16,
        device="cpu",
        augment="shift+flip",
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the run: two epochs, then a pin and three steps of the third."""
    return shutil.copytree(HERE / "run", tmp_path / "run")


def test_a_history_loads(run: Path) -> None:
    history = History.load(run)
    assert history.groups == {"0": 6, "4": 4}
    assert history.epochs["step"].to_list() == [4, 10]
    assert history.epochs["parameters"].to_list() == [377, 377]
    assert history.epochs["macs"].to_list() == [17360, 17360]
    assert history.steps["phase"].to_list() == 7 * ["task"] + 2 * ["switcher"] + 3 * ["task"] + [
        "switcher"
    ]
    assert history.steps["accuracy"].to_list()[:4] == [0.125, 0.25, 0.25, 0.1875]
    assert history.note_rows() == [(3, 10, "pin", "0", 1, -1, "1 off")]
    assert history.factors_at(1)["0"].tolist() == [1.0] * 6
    assert history.factors_at(2)["0"].tolist() == FIRST
    assert history.factors_at(2)["4"].tolist() == SECOND


def test_a_run_is_revisited(run: Path) -> None:
    trainer = Trainer.at(run, 2, network=tiny_net(), data=tiny_data())
    assert (trainer.position.step, trainer.position.epoch) == (10, 2)
    np.testing.assert_allclose(trainer.factors["0"], [FIRST[0], 0, *FIRST[2:]], atol=1e-6)
    np.testing.assert_allclose(trainer.factors["4"], SECOND, atol=1e-6)
    assert trainer.evaluate().accuracy == pytest.approx(0.1875, abs=1 / 32)
    assert trainer.evaluate().loss == pytest.approx(1.6276395, abs=1e-5)


@pytest.mark.filterwarnings("ignore:The run continues in a different environment")
def test_a_run_is_resumed(run: Path) -> None:
    trainer = Trainer.resume(run, network=tiny_net(), data=tiny_data())
    assert (trainer.position.step, trainer.position.epoch) == (13, 2)
    assert trainer.pins == {"0": {1: 0.0}}
    history = trainer.run(progress=False)
    trainer.close()
    assert history.epochs["step"].to_list() == [4, 10, 16]
    assert history.epochs["parameters"].to_list() == [377, 377, 329]
    assert history.epochs["test_loss"].to_list()[-1] == pytest.approx(1.6268798, abs=1e-3)
    assert table(run.parent)["epochs"].to_list() == [3]


def test_a_saved_network_loads() -> None:
    network = load_compact(HERE / "network")
    image = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
    scores = [-0.04236457, -0.17988813, -0.08780584, -0.21054056, 0.18080555]
    np.testing.assert_allclose(network(image).detach()[0], scores, atol=1e-6)
    assert sum(parameter.numel() for parameter in network.parameters()) == 137


def test_the_rows_of_a_sweep_load() -> None:
    rows = sweep.read(HERE / "sweep.parquet")
    assert rows["status"].to_list() == ["done"] * 4
    cells = Study.read(HERE / "study.toml").cells().values()
    assert {(r.network, r.method, r.seed) for r in rows.itertuples()} == {
        (cell.network, cell.method, cell.seed) for cell in cells
    }
    # Since then the switcher is another one, so they do not count as runs of the study of today.
    assert not set(rows["key"]) & {cell.key for cell in cells}


# --- options of the switcher that are gone --------------------------------------------------------


def change_switcher(run: Path, **values: Any) -> None:
    file = run / "config.json"
    content = json.loads(file.read_text())
    content["switcher"] |= values
    file.write_text(json.dumps(content))


def test_at_the_values_that_changed_nothing_they_are_left_out(run: Path) -> None:
    values = json.loads((run / "config.json").read_text())["switcher"]
    assert {"hidden", "outgoing", "attention"} <= values.keys()
    trainer = Trainer.at(run, 2, network=tiny_net(), data=tiny_data())
    assert trainer.switcher.config == SwitcherConfig(reads="nothing")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", 8),
        ("outgoing", True),
        ("attention", True),
        ("reads", "movement"),
        ("reads", "weights"),
        ("reads", "shuffled"),
    ],
)
def test_at_other_values_they_are_an_error(run: Path, name: str, value: Any) -> None:
    change_switcher(run, **{name: value})
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        Trainer.at(run, 2, network=tiny_net(), data=tiny_data())
    assert str(caught.value).replace(str(run), "RUN") == (
        f"the file 'RUN/config.json' cannot be used: switcher.{name} is {value!r}, which "
        "snnviz no longer has; use the code that made this run, or start a new one. Correct it, or "
        "restore it from a copy."
    )
