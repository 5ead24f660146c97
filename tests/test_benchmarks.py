"""Every script in benchmarks/ can be imported, and its cheap parts run at their smallest size.

What they write goes elsewhere, and what they measure is of no interest here.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import torch

import snnviz as sv
from snnviz.switcher import Switcher

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
NAMES = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
PARTS = ("lab_side", "machine", "rows")  # no scripts of their own

Import = Callable[[str], Any]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Imports a script, and sends what it writes to `tmp_path`."""
    before, modules, times = dict(os.environ), set(sys.modules), written()
    for folder in (ROOT, BENCHMARKS):
        monkeypatch.syspath_prepend(folder)

    def imported(name: str) -> ModuleType:
        spec = spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module: Any = module_from_spec(spec)
        spec.loader.exec_module(module)
        for place in ("RESULTS", "DOCS"):
            if hasattr(module, place):
                monkeypatch.setattr(module, place, tmp_path / getattr(module, place).name)
        return module

    yield imported
    os.environ.clear()
    os.environ.update(before)
    for name in set(sys.modules) - modules:
        if name.split(".")[0] in ("benchmarks", *NAMES):
            del sys.modules[name]
    assert written() == times


def written() -> dict[Path, int]:
    """When each of the results that lie in the tree was written."""
    files = [*BENCHMARKS.rglob("*"), *(ROOT / "docs").iterdir()]
    return {f: f.stat().st_mtime_ns for f in files if f.is_file() and f.suffix != ".pyc"}


def data(*_: Any, **__: Any) -> sv.ImageData:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 10
    images = torch.randint(0, 256, (300, 1, 16, 16), generator=generator, dtype=torch.uint8)
    return sv.ImageData.from_tensors(
        (images, labels), (images[:150], labels[:150]), holdout=50, device="cpu"
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few small images in the place of all, and a small network in that of a large one."""
    network = sv.network
    monkeypatch.setattr(sv, "load_data", data)
    monkeypatch.setattr(
        sv,
        "network",
        lambda name, *more: network("resnet8" if name in ("resnet18", "vgg16") else name, *more),
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_script_can_be_imported(name: str, script: Import) -> None:
    module = script(name)
    assert module.__doc__
    assert (name in PARTS) != hasattr(module, "main")


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_the_convolutions_that_are_tried_train(script: Import) -> None:
    """In contiguous memory, so that nothing goes wrong in this process."""
    module = script("convolution_crash")
    assert len(list(module.cases())) > 100
    assert module.train(module.Case(format="contiguous", batch=2, stride="1,2"), 1) < 1e-3


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("compact", "--pairs 1", "vgg16: compact / dense, batch 128"),
        ("monkey", "--commands 20 --seeds 1", "commands"),
        ("training", "--networks mlp", "mlp"),
    ],
)
def test_scripts_at_their_smallest(
    name: str,
    options: str,
    found: str,
    script: Import,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options.split()])
    script(name).main()
    results = json.loads((tmp_path / f"{name}.json").read_text())
    assert results["command"] == f"python benchmarks/{name}.py"
    assert results["machine"]["torch"] == torch.__version__
    assert results[found]


@pytest.mark.usefixtures("small")
def test_the_quickstarts_table(
    script: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--network", "mlp", "--epochs", "2", "--seeds", "0"]
    monkeypatch.setattr(
        sys, "argv", ["quickstart.py", *options, "--results", str(tmp_path / "quickstart.csv")]
    )
    script("quickstart").main()
    rows = (tmp_path / "quickstart.md").read_text().splitlines()
    methods = [row.split(" | ")[1] for row in rows if row.startswith("| mlp")]
    assert methods == ["dense", "switched", "shuffled", "random"]


def rows_of(
    name: str, options: str, script: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, str]]:
    """The rows that a script writes; when it is run again it trains nothing."""
    results = tmp_path / f"{name}.csv"
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options.split(), "--results", str(results)])
    module = script(name)
    module.main()
    rows = module.read(results)
    monkeypatch.setattr(module, "run", None)
    module.main()
    assert module.read(results) == rows
    return rows


@pytest.mark.usefixtures("small")
def test_the_table_of_sizes(
    script: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "--networks mlp --sizes 0.5 --epochs 7 --seeds 0"  # one round of two phases
    rows = rows_of("size", options, script, tmp_path, monkeypatch)
    assert [row["method"] for row in rows] == ["switched", "shuffled", "random", "magnitude"]
    for row in rows:
        assert float(row["parameters_left"]) == pytest.approx(0.5, rel=0.01)
        assert float(row["difference"]) < 1e-3


@pytest.mark.usefixtures("small")
def test_a_switcher_is_handed_on_and_measured(script: Import, tmp_path: Path) -> None:
    module = script("learned_switcher")
    module.EPOCHS = {"mlp": 7}  # one round after the warm-up
    for _ in range(2):  # the second time all networks are done
        module.make(tmp_path, tmp_path / "made.safetensors", seeds=(7, 8))
    stages = [
        Switcher.load(tmp_path / f"{i}-mlp-{seed}.safetensors") for i, seed in enumerate((7, 8))
    ]
    made = Switcher.load(tmp_path / "made.safetensors")
    assert all(map(torch.equal, made.parameters(), stages[1].parameters()))
    assert not all(map(torch.equal, made.parameters(), stages[0].parameters()))
    rows = [module.measure("mlp", start, 0, 7, data()) for start in ("dense", "held")]
    assert [row["first_off_round"] for row in rows] == ["", 1]
    assert "| mlp, 7 epochs | held | 1 | 1 |" in module.table(rows)


@pytest.mark.usefixtures("small")
def test_the_table_of_transfers(
    script: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "--to mlp --learned-on lenet5 --epochs 7 --seeds 0"
    rows = rows_of("transfer", options, script, tmp_path, monkeypatch)
    methods = ["dense", "itself", "magnitude", "lenet5", "magnitude at lenet5"]
    assert [row["method"] for row in rows] == methods
    left = [float(row["parameters_left"]) for row in rows]
    assert left[0] == 1
    assert left[2] == pytest.approx(left[1], rel=0.02)
    assert left[4] == pytest.approx(left[3], rel=0.02)


@pytest.mark.usefixtures("small")
def test_signals_of_a_reader(script: Import) -> None:
    module = script("signals")
    module.FAR = 2
    row = module.run("mlp", "descriptors", 0, 14, data())
    assert row["parameters"] == 1249
    assert -1 <= row["far_apart"] <= 1


@pytest.mark.usefixtures("small")
def test_the_networks_page(script: Import) -> None:
    module = script("networks")
    row = {"network": "mlp"}
    for part in module.measure("mlp", data(), quick=True):
        row |= part
    assert row["parameters_after"] < row["parameters"]
    assert float(row["difference"]) < module.LARGEST
    assert float(row["difference_training"]) < module.LARGEST
    assert row["saved"] == module.holds(lambda: module.one_round("mlp", data())) == "yes"
    assert module.holds(lambda: 1 / 0) == "no: division by zero"
    module.write_rows({"mlp": row | {"pt2": "no: it lacks something"}})
    page = module.page(module.read_rows()).splitlines()
    assert [line for line in page if line.startswith("| mlp | 1x16x16 | ")]
    assert "- mlp, pt2: it lacks something" in page


def test_the_networks_page_is_made_from_its_rows(
    script: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script("networks")
    monkeypatch.setattr(module, "RESULTS", BENCHMARKS / "results" / "networks.csv")
    rows = module.read_rows()
    assert set(rows) <= set(module.all_names())
    page, committed = module.page(rows), (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    first = "\n| network | "  # what is before it names the machine
    assert page[page.index(first) :] == committed[committed.index(first) :]


@pytest.mark.usefixtures("small")
def test_parts_of_the_speed_of_steps(script: Import) -> None:
    module = script("speed")
    found = module.steps(1, data(), "mlp") | module.recording(1, data())
    assert all(ratio["median"] > 0 for ratio in found.values())


@pytest.mark.usefixtures("small")
def test_parts_of_saving(script: Import) -> None:
    module = script("saving")
    assert module.share(1, data(), "float32")
    found = module._one_history(module._drawn(3, 0.98), 2, 1)
    assert found["files"] > 1


def test_rows_of_sweeps_are_compared(script: Import) -> None:
    module = script("sweep")
    one = pd.DataFrame({"key": ["a", "b"], "loss": [1.0, math.nan], "error": ["", "x"]})
    one = one.assign(**dict.fromkeys(module.TIMES, 1.0))
    again = one.iloc[::-1].assign(**dict.fromkeys(module.TIMES, 2.0))
    assert module.rows_that_differ(one, again) == 0
    assert module.rows_that_differ(one, again.assign(loss=[math.nan, 1.5])) == 1
    assert module.rows_that_differ(one, again.iloc[:1]) == 1


def test_what_came_out_differently(script: Import) -> None:
    """Times may differ, and a value that is missing both times does not."""
    module = script("again")
    old = pd.Series({"key": "a", "seconds": 1.0, "on": 3, "test_loss": math.nan, "error": ""})
    new = pd.Series({"key": "a", "seconds": 2.0, "on": 3, "test_loss": math.nan, "error": ""})
    assert module.differences(old, new) == {}
    assert module.differences(old, new.copy().replace(3, 4)) == {"on": (3, 4)}
    assert module.differences(old, pd.Series({**new, "error": "x"})) == {"error": ("", "x")}


def test_kills_are_counted(script: Import) -> None:
    """Those that went on otherwise and the epochs that are missing, too."""
    kill = {"story": "warm-up", "killed": "ready", "epochs": 2, "loads meanwhile": 3}
    kills = [
        kill | {"missing": 0, "differs": []},
        kill | {"missing": 2, "differs": []},
        kill | {"missing": 0, "differs": ["/network/0.weight: one, not another"]},
        kill | {"missing": 1, "differs": ["history/steps: [], not [1]"], "epochs": 0},
    ]
    found = script("kill").counted(kills)
    del found["command"], found["machine"]
    assert found == {
        "kills": 4,
        "runs that went on and ended as one that was never killed, byte for byte": 2,
        "finished epochs that were missing": 3,
        "histories read by another process meanwhile": 12,
        "stories": {"warm-up": 4},
        "killed": {"ready": 4},
        "finished epochs found after the kill": {"0": 1, "2": 3},
    }
