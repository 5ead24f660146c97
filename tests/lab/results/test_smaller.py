"""The smaller network: its numbers, and its files."""

from pathlib import Path

import pytest
import torch

import snnviz as sv
from snnviz.export import load_compact
from snnviz.lab.results.smaller import Smaller, make_smaller, save_files, sizes_html
from snnviz.runs import Trainer
from tests.lab.conftest import make_trainer


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    """With 200 neurons of its first group off."""
    made = make_trainer()
    made.pin(next(iter(made.history.groups)), range(200), on=False)
    return made


@pytest.fixture(scope="module")
def smaller(trainer: Trainer) -> Smaller:
    return make_smaller(trainer)


def test_it_is_what_compact_gives(trainer: Trainer, smaller: Smaller) -> None:
    network, report = sv.compact(trainer, latency=False)
    images = smaller.example
    assert torch.equal(network(images), smaller.compacted.network(images))
    assert smaller.compacted.report.after == report.after
    assert smaller.of - smaller.on == 200
    assert set(smaller.milliseconds) == set(smaller.compacted.report.latency) == {1, 128}


def test_the_table_has_each_number_before_and_after(smaller: Smaller) -> None:
    report, html = smaller.compacted.report, sizes_html(smaller)
    for before, after in (
        (report.before.parameters, report.after.parameters),
        (report.before.macs, report.after.macs),
        (smaller.of, smaller.on),
    ):
        assert f"<td>{before:,}</td><td>{after:,}</td><td>{100 * after / before:.0f} %</td>" in html
    assert "time for 1 image, ms" in html
    assert "time for 128 images, ms" in html
    assert "lab.compacted" in html


@pytest.mark.slow
def test_the_files_give_the_same_outputs(smaller: Smaller, tmp_path: Path) -> None:
    written, problems = save_files(smaller, "run.v2_step_0", tmp_path / "new")
    assert problems == []
    assert [path.name for path in written][:2] == ["run.v2_step_0", "run.v2_step_0.pt2"]
    expected = smaller.compacted.network(smaller.example)
    assert torch.equal(load_compact(written[0]).eval()(smaller.example), expected)
    again = torch.export.load(written[1]).module()(smaller.example)
    torch.testing.assert_close(again, expected)


@pytest.mark.slow
def test_what_cannot_be_written_is_said(smaller: Smaller, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "of_mine.txt").touch()
    (tmp_path / "run.pt2").mkdir()
    written, problems = save_files(smaller, "run", tmp_path)
    assert [path.name for path in written if path.suffix != ".onnx"] == []
    assert problems[0].startswith("run: ")
    assert problems[1].startswith("run.pt2: ")
