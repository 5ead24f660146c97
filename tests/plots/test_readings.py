"""Factors against what the switcher reads."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from snnviz import plots
from snnviz.history import History
from snnviz.runs import Trainer
from snnviz.switcher import DESCRIPTORS, READS, SwitcherConfig, partial_dependence
from snnviz.training import Schedule
from tests.helpers import message_of
from tests.plots.extremes import LONG, unreadable
from tests.plots.story import line, off_patches, texts
from tests.reference import tiny_data


def stack(names: list[str], width: int = 12) -> nn.Module:
    """Fully connected layers of these names, and one with a norm in front of the scores."""
    layers: dict[str, nn.Module] = {"flat": nn.Flatten()}
    inputs = 64
    for i, name in enumerate(names):
        layers |= {name: nn.Linear(inputs, width + 3 * (i == 0)), f"relu{i}": nn.ReLU()}
        inputs = width + 3 * (i == 0)
    layers |= {"norm": nn.BatchNorm1d(inputs), "scores": nn.Linear(inputs, 3)}
    made = nn.Sequential()
    for name, layer in layers.items():
        made.add_module(name, layer)
    return made


def trained(names: list[str] = ["fc1", "fc2"], width: int = 12, **config: Any) -> Trainer:  # noqa: B006
    """A trainer with a switcher as after some training."""
    switcher = SwitcherConfig(**{"gain": 1.0} | config)
    made = Trainer(stack(names, width), tiny_data(), Schedule(), switcher, precision="float32")
    with torch.no_grad():
        for parameter in made.switcher.parameters():
            parameter += 0.4 * torch.randn_like(parameter)
    made.learners.switcher_moved()
    return made


def panels(ax: Any) -> dict[str, Any]:
    return {panel.get_xlabel(): panel for panel in ax.child_axes}


@pytest.mark.slow
@pytest.mark.parametrize("reads", READS)
def test_a_mark_for_each_neuron_at_what_is_read_and_its_factor(reads: str) -> None:
    trainer = trained(reads=reads)
    ax = plots.what_it_reads(trainer)
    shown = panels(ax)
    assert list(shown) == ["length", "scale", "shift", "outgoing"]
    for group, told in trainer.explain().items():
        read = told.standardised if told.inputs is None else told.inputs
        assert (told.factors == 0).any()
        on = (told.factors != 0).numpy()
        for i, panel in enumerate(shown.values()):
            if len(read[:, i].unique()) == 1:
                assert texts(panel) == ["the same\nfor all"]
                continue
            marks, off = line(panel, group), line(panel, f"{group}, off")
            np.testing.assert_array_equal(marks.get_xdata(), read[:, i].numpy()[on])
            np.testing.assert_array_equal(marks.get_ydata(), told.factors.numpy()[on])
            np.testing.assert_array_equal(off.get_xdata(), read[:, i].numpy()[~on])
            (strip,) = off_patches(panel)
            low, high = strip.get_path().get_extents().intervaly
            assert high < 0
            assert ((low < off.get_ydata()) & (off.get_ydata() < high)).all()
    said = ax.get_xlabel()
    words = {
        "shuffled": "of another neuron",
        "random": "random numbers",
        "nothing": "reads nothing",
    }
    assert words.get(reads, "descriptors, in standard") in said


def test_lines_are_the_partial_dependence() -> None:
    trainer = trained()
    shown = panels(plots.what_it_reads(trainer))
    for group, told in trainer.explain().items():
        for name in ("length", "outgoing"):
            drawn = line(shown[name], f"{group}, alone")
            read = told.standardised[:, told.descriptors.index(name)]
            assert drawn.get_xdata()[[0, -1]] == pytest.approx(
                [float(read.min()), float(read.max())]
            )
            at = torch.from_numpy(drawn.get_xdata())
            _, wanted = partial_dependence(trainer.switcher, told, name, at)
            np.testing.assert_allclose(drawn.get_ydata(), wanted)


def test_without_descriptors_there_is_no_line() -> None:
    shown = panels(plots.what_it_reads(trained(reads="nothing")))
    labels = [drawn.get_label() for panel in shown.values() for drawn in panel.lines]
    assert not [label for label in labels if label.endswith("alone")]


def test_one_group_in_its_own_colour() -> None:
    trainer = trained()
    whole = plots.what_it_reads(trainer)
    (off,) = (int((s == 0).sum()) for name, s in trainer.factors.items() if name == "fc2")
    part = plots.what_it_reads(trainer, group="fc2")
    assert texts(part) == [f"fc2 {off} off"]
    assert len(texts(whole)) == 2
    both = [line(panels(ax)["length"], "fc2").get_color() for ax in (whole, part)]
    assert both == [plots.RIVALS[1]] * 2


def test_groups_differ_in_more_than_colour() -> None:
    ax = plots.what_it_reads(trained([f"fc{i}" for i in range(8)]))
    panel = panels(ax)["length"]
    marks = [line(panel, f"fc{i}") for i in range(8)]
    lines = [line(panel, f"fc{i}, alone") for i in range(8)]
    assert len({(each.get_color(), each.get_marker()) for each in marks}) == 8
    dashes = [str(each._unscaled_dash_pattern) for each in lines]
    assert len({(each.get_color(), dash) for each, dash in zip(lines, dashes, strict=True)}) == 8
    assert len(set(dashes[:4])) == 4


def test_on_the_users_axes() -> None:
    axes = Figure(layout="constrained").add_subplot()
    assert plots.what_it_reads(trained(), axes) is axes
    assert len(axes.child_axes) == 4


CASES: dict[str, dict[str, Any]] = {
    "two groups": {},
    "40 groups": {"names": [f"layer{i // 4}-{i % 4}-fully" for i in range(40)], "width": 4},
    "long names": {"names": [LONG.replace(".", "_"), "h"]},
    "all descriptors": {"descriptors": tuple(DESCRIPTORS)},
    "one descriptor": {"descriptors": ("length",)},
    "random": {"reads": "random"},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_it_can_be_read(case: str) -> None:
    ax = plots.what_it_reads(trained(**CASES[case]))
    assert unreadable(ax, plots.SINGLE) == []
    assert unreadable(ax, plots.DOUBLE) == []
    assert ax.figure.get_figheight() <= 8.5


def test_wrong_arguments() -> None:
    history: Any = History({"fc1": 3})
    assert message_of(lambda: plots.what_it_reads(history), TypeError) == (
        "trainer must be a snnviz.Trainer, got History. A history has no weights; of a saved run, "
        "give Trainer.at(folder, epoch)."
    )
    assert message_of(lambda: plots.what_it_reads(trained(), group="fc9")) == (
        "group must be one of 'fc1', 'fc2', got 'fc9'. To draw all groups, leave it out."
    )
