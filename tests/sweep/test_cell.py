"""One run: its row against a trainer that is run by hand."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import snnviz as sv
from snnviz import rivals
from snnviz.data import choosing, harder
from snnviz.sweep import Study
from snnviz.sweep.cell import Cell, describe_error, make
from snnviz.sweep.results import COLUMNS
from snnviz.training import TrainingStopped


def cell_of(study: Study, method: str) -> Cell:
    return next(cell for cell in study.parts["one"] if cell.method == method)


@pytest.fixture
def one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_row_is_what_a_trainer_gives(small: Study) -> None:
    cell = cell_of(small, "strong")
    plan = cell.schedule.replace(epochs=10, task_steps=1, switcher_lr=0.05)
    cell = dataclasses.replace(cell, schedule=plan)
    row = make(cell)

    data = sv.load_data("fashion-mnist", "cpu", 500)
    data = choosing(harder(data, 3, share=0.005))
    plan = sv.Schedule(epochs=10, batch_size=25, warmup_epochs=0, task_steps=1, switcher_lr=0.05)
    network = sv.network("mlp", data, seed=0, width=0.05)
    before = sum(p.numel() for p in network.parameters())
    trainer = sv.Trainer(network, data, plan, sv.SwitcherConfig(gain=0.5), 0, "cpu", "float32")
    history = trainer.run(progress=False)
    last = history.epochs.iloc[-1]
    for name in (
        "test_accuracy",
        "test_loss",
        "train_accuracy",
        "train_loss",
        "parameters",
        "macs",
    ):
        assert row[name] == last[name], name
    phases = history.steps["phase"].value_counts()
    assert row["examples"] == 25 * phases["task"] == 10 * 3 * 25
    assert row["switcher_examples"] == 25 * phases["switcher"] > 0
    assert row["neurons"] == last["neurons"] == 20
    assert row["neurons_on"] == last["neurons_on"] < 20
    assert row["parameters_before"] == before == 784 * 15 + 15 + 15 * 5 + 5 + 5 * 3 + 3
    assert row["macs_before"] == 784 * 15 + 15 * 5 + 5 * 3
    on, widths = json.loads(row["on"]), json.loads(row["widths"])
    assert on.keys() == widths.keys() == trainer.factors.keys()
    for name, factors in trainer.factors.items():
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(on[name]), np.uint8))
        assert bits[: len(factors)].tolist() == (factors != 0).int().tolist()
        assert widths[name] == [int((factors != 0).sum()), len(factors)]
    assert (row["epochs"], row["precision"], row["device"]) == (10, "float32", "cpu")
    assert (row["status"], row["error"]) == ("done", "")
    assert 0 < row["seconds"] < row["wall_seconds"]
    assert row["key"] == cell.key
    assert json.loads(row["settings"]) == cell.resolved
    assert row.keys() == set(COLUMNS)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_reference_is_handed_on(small: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = cell_of(small, "magnitude")
    assert cell.reference is not None
    reference = make(cell.reference)
    given = []
    train = rivals.train

    def noted(*args: object, **settings: object) -> object:
        given.append(args)
        return train(*args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(rivals, "train", noted)
    row = make(cell, reference)
    assert row["status"] == "done", row["error"]
    (args,) = given
    assert args[0] == "magnitude"
    widths, on = json.loads(reference["widths"]), json.loads(reference["on"])
    factors = args[-1]
    assert isinstance(factors, dict)
    assert factors.keys() == on.keys()
    for name, values in factors.items():
        assert values.shape == (widths[name][1],)
        assert set(values.tolist()) <= {0.0, 1.0}
        assert np.packbits(values != 0).tobytes().hex() == on[name]


def test_an_error_is_a_row(small: Study) -> None:
    good = cell_of(small, "dense")
    bad = dataclasses.replace(
        good, conditions=dataclasses.replace(good.conditions, device="abacus")
    )
    row = make(bad)
    assert row["status"] == "failed"
    assert row["error"].startswith("device must be auto or one that this machine has (cpu")
    assert row["key"] == bad.key != good.key
    assert "test_accuracy" not in row


def test_a_failed_reference_fails_what_needs_it(small: Study) -> None:
    cell = cell_of(small, "magnitude")
    assert cell.reference is not None
    reference = {**make(cell.reference), "status": "failed", "error": "no luck."}
    row = make(cell, reference)
    assert (row["status"], row["error"]) == (
        "failed",
        "this run needs the one of method 'switched', which failed: no luck.",
    )


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("seed must\n be 1."), "seed must be 1."),
        (
            TrainingStopped("The loss became nan.", epoch=0),
            "The loss became nan.",
        ),
        (ZeroDivisionError("by 0"), "ZeroDivisionError: by 0 (test_cell.py, line {line})"),
        (ValueError(), "ValueError (test_cell.py, line {line})"),
        (OSError("x" * 2000), "x" * 1000),
    ],
)
def test_errors_describe_error(error: Exception, words: str) -> None:
    line = raised.__code__.co_firstlineno + 2
    assert describe_error(raised(error)) == words.format(line=line)
