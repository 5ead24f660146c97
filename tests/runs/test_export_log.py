"""A run's numbers in TensorBoard's files, and as Trackio and W&B get them."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from snnviz.history import History
from snnviz.runs import export_log
from snnviz.runs.export_log import entries
from tests.helpers import message_of
from tests.runs.conftest import finish, make


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    with make(folder) as trainer:
        finish(trainer)
    return folder


def test_there_is_an_entry_for_each_step_with_its_numbers(run: Path) -> None:
    history = History.load(run)
    start, *found = entries(history)
    assert (start.step, start.scalars) == (0, {})
    assert all((values == 1).all() for values in start.factors.values())
    steps = history.steps.to_dict("records")
    assert [entry.step for entry in found] == [row["step"] for row in steps]
    ends = {row["step"]: row for row in history.epochs.to_dict("records")}
    for entry, row in zip(found, steps, strict=True):
        wanted = {f"{row['phase']}/{name}": row[name] for name in ("loss", "accuracy", "lr")}
        if row["step"] in ends:
            end = ends[row["step"]]
            wanted |= {f"epoch/{name}": value for name, value in end.items() if name != "step"}
            factors = history.factors_at(end["epoch"])
            assert entry.factors.keys() == {f"factors/{group}" for group in factors}
            for group, values in factors.items():
                np.testing.assert_array_equal(entry.factors[f"factors/{group}"], values)
        else:
            assert entry.factors == {}
        assert entry.scalars == wanted
    assert len([entry for entry in found if entry.factors]) == history.n_epochs


def test_tensorboard_reads_what_was_written(run: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = export_log(run, out=tmp_path / "log")
    assert folder == tmp_path / "log"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    log = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0}).Reload()
    history = History.load(run)
    for column in ("train_loss", "test_accuracy", "neurons_on"):
        events = log.Scalars(f"epoch/{column}")
        assert [event.step for event in events] == history.epochs["step"].to_list()
        np.testing.assert_allclose([e.value for e in events], history.epochs[column], rtol=1e-6)
    task = history.steps[history.steps["phase"] == "task"]
    events = log.Scalars("task/loss")
    assert [event.step for event in events] == task["step"].to_list()
    np.testing.assert_allclose([e.value for e in events], task["loss"], rtol=1e-6)
    for group, neurons in history.groups.items():
        events = log.Histograms(f"factors/{group}")
        assert [event.step for event in events] == [0, *history.epochs["step"]]
        assert all(event.histogram_value.num == neurons for event in events)
        last = history.factors_at(history.n_epochs)[group]
        assert events[-1].histogram_value.sum == pytest.approx(float(last.sum()), rel=1e-5)


def test_a_folder_with_files_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert message_of(lambda: export_log(run, out=tmp_path), FileExistsError) == (
        f"folder {str(tmp_path)!r} is not empty. Choose another folder for the log, or "
        "delete this one: TensorBoard would mix the two logs."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_fails_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_histogram", full)
    with pytest.raises(OSError, match="No space left"):
        export_log(run, out=tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tool", ["trackio", "wandb"])
def test_hosted_tools_get_the_same_through_one_interface(
    run: Path, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    module = SimpleNamespace(
        init=lambda **given: calls.append(given),
        Histogram=lambda values: ("histogram", values.tolist()),
        log=lambda values, step: calls.append((step, values)),
        finish=lambda: calls.append("finish"),
    )
    monkeypatch.setitem(sys.modules, tool, module)
    assert export_log(run, tool, project="mine") is None
    first, *logged, last = calls
    assert (first["project"], first["name"], last) == ("mine", "first", "finish")
    assert first["config"]["schedule"]["epochs"] == History.load(run).n_epochs
    wanted = [
        (
            entry.step,
            entry.scalars
            | {name: ("histogram", values.tolist()) for name, values in entry.factors.items()},
        )
        for entry in entries(History.load(run))
    ]
    assert logged == wanted


@pytest.mark.parametrize(
    ("tool", "module"),
    [("tensorboard", "torch.utils.tensorboard"), ("trackio", "trackio"), ("wandb", "wandb")],
)
def test_a_tool_that_is_not_installed(
    run: Path, tool: str, module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    assert message_of(lambda: export_log(run, tool), ImportError) == (
        f"{tool!r} needs a package that is not installed. Install it: pip install 'snnviz[{tool}]'"
    )
    assert list(tmp_path.iterdir()) == []


def test_arguments_that_are_not_allowed(run: Path) -> None:
    assert message_of(lambda: export_log(run, "excel")) == (
        "to must be one of 'tensorboard', 'trackio', 'wandb', got 'excel'."
    )
    assert message_of(lambda: export_log(run, "wandb", out="here")) == (
        "out is only for TensorBoard, got 'here' with to='wandb'. Omit it."
    )
