"""The buttons for what is taken along, without a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snnviz.lab import Lab
from snnviz.lab.results import desk as desks
from snnviz.lab.results.smaller import Smaller
from snnviz.runs import Trainer
from tests.lab.conftest import TIMEOUT, closing_with_the_test, make_trainer, until
from tests.lab.test_lab import click, find


@pytest.fixture
def lab() -> Iterator[Lab]:
    """After three steps."""
    opening: Iterator[Callable[[Trainer], Lab]] = closing_with_the_test(Lab)
    made = next(opening)(make_trainer(warmup_epochs=0))
    made.step("batch", 3)
    made.wait(timeout=TIMEOUT)
    yield made
    next(opening, None)


def sheet(lab: Lab, title: str) -> object:
    """The sheet, once it shows this."""
    found = find(lab, "sheet")
    until(lambda: found.opened and found.title == title)
    return found


@pytest.mark.slow
def test_compact_shows_a_table_and_gives_the_network(lab: Lab) -> None:
    assert lab.compacted is None
    click(lab, "compact")
    shown = sheet(lab, "run, compacted at step 3")
    assert "<table" in shown.html
    assert lab.compacted is not None
    network, report = lab.compacted
    assert sum(p.numel() for p in network.parameters()) == report.after.parameters
    again, _ = lab.compact(latency=False)
    assert lab.compacted.network is again


@pytest.mark.slow
def test_export_links_what_was_written(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path]] = []

    def save_files(smaller: Smaller, name: str, folder: Path) -> tuple[list[Path], list[str]]:
        asked.append((name, folder))
        return [folder / name, folder / f"{name}.pt2"], ["run.onnx: no such operator <b>"]

    monkeypatch.setattr(desks, "save_files", save_files)
    click(lab, "export")
    shown = sheet(lab, "Exported")
    assert asked == [("run_step_3", Path("networks"))]
    assert "load_compact(&#x27;networks/run_step_3&#x27;)" in shown.html
    assert "torch.export.load(&#x27;networks/run_step_3.pt2&#x27;)" in shown.html
    assert "Not written: run.onnx: no such operator &lt;b&gt;" in shown.html


@pytest.mark.slow
def test_what_fails_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(trainer: Trainer, latency: bool = True) -> Smaller:
        raise ValueError("no <way>")

    monkeypatch.setattr(desks, "make_smaller", fail)
    for name in ("compact", "export"):
        find(lab, "sheet").opened = False
        click(lab, name)
        shown = sheet(lab, "Refused")
        assert "ValueError: no &lt;way&gt;" in shown.html
    assert lab.session.status.problem is None  # training may go on


@pytest.mark.slow
def test_copy_as_python(lab: Lab) -> None:
    lab.set_schedule(task_steps=3)
    lab.session.settle()
    click(lab, "copy-code")
    assert sheet(lab, "The same in Python").code.splitlines()[1:] == [
        'lab.step("batch", 3); lab.wait()',
        "lab.set_schedule(task_steps=3)",
    ]


def test_they_rest_when_the_lab_is_closed(lab: Lab) -> None:
    lab.close()
    for name in ("compact", "export", "copy-code", "twin"):
        assert find(lab, name).disabled
