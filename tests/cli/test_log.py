"""`snnviz export-log`."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from snnviz.history import History
from tests.cli.example import Done


def test_a_log_for_tensorboard(run: Any, first: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    done = run("export-log", "runs/first")
    assert done == Done(0, "logs/first\nTo look at it: tensorboard --logdir logs\n", "")
    log = EventAccumulator("logs/first").Reload()
    epochs = History.load(first).epochs
    assert [e.step for e in log.Scalars("epoch/test_accuracy")] == epochs["step"].to_list()
    again = run("export-log", "runs/first", "--out", "logs/first")
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith("snnviz: folder 'logs/first' is not empty. ")
    other = run("export-log", "runs/first", "--out", "elsewhere", "--json")
    assert other.json == {"run": "first", "to": "tensorboard", "folder": "elsewhere"}


def test_a_log_for_trackio(run: Any, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    steps: list[int] = []
    module = SimpleNamespace(
        init=lambda **given: begun.append(given["project"]),
        Histogram=list,
        log=lambda values, step: steps.append(step),
        finish=lambda: begun.append("finished"),
    )
    monkeypatch.setitem(sys.modules, "trackio", module)
    done = run("export-log", "runs/first", "--to", "trackio", "--project", "mine")
    assert done == Done(0, "first is in trackio, project 'mine'.\n", "")
    assert begun == ["mine", "finished"]
    assert steps == [0, *History.load(first).steps["step"]]
