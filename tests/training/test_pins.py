"""Neurons that the user holds fast."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnviz import runs
from snnviz.shrink import compact
from snnviz.structure import NeuronWeights
from snnviz.training import pins
from tests.helpers import assert_same_history, message_of
from tests.reference import LAYERS, Alternating, own, tiny_data
from tests.runs.conftest import (
    DATA,
    assert_same,
    finish,
    go,
    make,
    resume,
    tiny_net,
)
from tests.training.test_learners import same
from tests.training.test_trainer import FAST, QUICK, future, small, trainer


class Held(nn.Module):
    """A switcher some of whose factors are written over, one by one."""

    def __init__(self, switcher: nn.Module, pins: dict[str, dict[int, float]]) -> None:
        super().__init__()
        self.switcher, self.pins = switcher, pins

    def forward(self, weights: Mapping[str, NeuronWeights]) -> dict[str, Tensor]:
        factors = {name: s.clone() for name, s in self.switcher(weights).items()}
        for name, held in self.pins.items():
            for i, value in held.items():
                factors[name][i] = value
        return factors


@pytest.mark.parametrize("through", [False, True])
def test_a_run_with_pins_against_plain_loops(through: bool, device: torch.device) -> None:
    plan = QUICK.replace(batch_size=12, switcher_optimizer="sgd", switcher_lr=0.05)
    plan = plan.replace(through_switcher=through)
    data = tiny_data((1, 8, 8), n=60)
    made = trainer(own(), plan, data, seed=5, device=device)
    name, other = list(made.history.groups)[:2]
    twin = Alternating(
        copy.deepcopy(made.network).cpu(),
        Held(copy.deepcopy(made.switcher).cpu(), {name: {0: 0.0, 2: 1.0}, other: {1: 0.0}}),  # type: ignore[arg-type]
        LAYERS["own"],
        plan,
    )
    made.pin(name, 0, on=False)
    made.pin(name, [2], on=True)
    made.pin(other, 1, on=False)
    twin.train(data, seed=5)
    made.run(progress=False)
    np.testing.assert_allclose(made.history.steps.loss, [x for _, x, _ in twin.records], atol=2e-4)
    for key, value in twin.network.state_dict().items():
        torch.testing.assert_close(
            made.network.state_dict()[key].cpu(), value, rtol=1e-3, atol=2e-4
        )
    for past in made.history.factors[name]:
        assert past[0] == 0
        assert past[2] == 1
    assert (made.history.factors[other][:, 1] == 0).all()
    assert made.history.epochs.neurons_on.max() <= sum(made.history.groups.values()) - 2


def test_pins_are_named_and_noted() -> None:
    made = trainer()
    first, second = made.history.groups
    assert made.pins == {}
    made.pin(first, [2, 0, 1], on=False)
    for _ in range(3):
        made.step()
    made.pin(second, 5, on=True)
    assert made.pins == {first: {0: 0.0, 1: 0.0, 2: 0.0}, second: {5: 1.0}}
    made.unpin(first, [1, 3])
    assert made.pins == {first: {0: 0.0, 2: 0.0}, second: {5: 1.0}}
    made.unpin(second, 4)  # not pinned: nothing happens
    made.unpin(first)
    made.unpin(second)
    assert made.pins == {}
    assert made.history.events[["epoch", "step", "event", "group", "neuron", "detail"]].to_numpy(
        object
    ).tolist() == [
        [1, 0, "pin", first, -1, "0-2 off"],
        [1, 3, "pin", second, 5, "5 on"],
        [1, 3, "unpin", first, 1, "1"],
        [1, 3, "unpin", first, -1, "0, 2"],
        [1, 3, "unpin", second, 5, "5"],
    ]


def test_a_pin_is_in_force_at_once_and_let_go_at_once() -> None:
    made = trainer()
    made.run(2, progress=False)
    group = next(iter(made.history.groups))
    before, images = made.factors[group].clone(), made.data.batch("test", torch.arange(8))[0]
    scores = made.logits(images)
    i = int(before.argmax())
    made.pin(group, i, on=False)
    assert made.factors[group][i] == 0
    rest = torch.arange(len(before)) != i
    assert made.factors[group][rest].equal(before[rest])
    assert not made.logits(images).equal(scores)
    made.unpin(group, i)
    assert made.factors[group].equal(before)
    assert made.logits(images).equal(scores)


def test_pins_are_part_of_the_state() -> None:
    made = trainer()
    group = list(made.history.groups)[1]
    for _ in range(5):
        made.step()
    made.pin(group, [0, 3], on=False)
    state = made.state_dict()
    twin = trainer(small())
    twin.load_state_dict(state)
    assert twin.pins == {group: {0: 0.0, 3: 0.0}}
    for each in (made, twin):
        for _ in range(9):
            each.step()
    assert same(future(made), future(twin))
    made.reset()
    assert made.pins == {}


def test_compacting_leaves_out_what_is_pinned_off() -> None:
    made = trainer(network_of_its_own := small())
    group, n = list(made.history.groups.items())[1]
    made.pin(group, [0, 2], on=False)
    made.run(1, progress=False)
    made.network.eval()
    network, _ = compact(made)
    assert network is not network_of_its_own
    kept = int((made.factors[group] > 0).sum())
    assert kept <= n - 2
    widths = [m.out_features for m in network.modules() if isinstance(m, nn.Linear)]
    assert kept in widths


def test_pins_survive_in_a_run_folder(tmp_path: Path) -> None:
    twin = make()
    group = next(iter(twin.history.groups))
    made = make(tmp_path / "a")
    for each in (twin, made):
        go(each, 7)
        each.pin(group, [1], on=False)
    made.close()  # without a save: pinning has saved
    back = resume(tmp_path / "a")
    assert back.pins == {group: {1: 0.0}}
    finish(back)
    finish(twin)
    assert_same(back, twin)
    assert_same_history(back.history, twin.history)
    back.close()
    forked = runs.Trainer.fork(tmp_path / "a", 1, network=tiny_net(), data=DATA)
    assert forked.pins == ({group: {1: 0.0}} if twin.history.epochs.step[0] >= 7 else {})


@pytest.mark.parametrize(
    ("group", "neurons", "message"),
    [
        ("nothing", 0, "group must be one of '0', '4', got 'nothing'."),
        ("4", 6, "neurons of '4' must be whole numbers from 0 to 5, got 6."),
        ("4", [0, -1], "neurons of '4' must be whole numbers from 0 to 5, got -1."),
        ("4", [True], "neurons of '4' must be whole numbers from 0 to 5, got True."),
        ("4", ["0"], "neurons of '4' must be whole numbers from 0 to 5, got '0'."),
    ],
)
def test_bad_pins(group: str, neurons: object, message: str) -> None:
    made = trainer()
    assert message_of(lambda: made.pin(group, neurons, on=True)) == message  # type: ignore[arg-type]
    assert message_of(lambda: made.unpin(group, neurons)) == message  # type: ignore[arg-type]
    assert made.pins == {}
    assert len(made.history.events) == 0


def test_a_whole_group_cannot_be_held_off() -> None:
    made = trainer(switcher=FAST)
    made.pin("4", list(range(5)), on=False)
    message = message_of(lambda: made.pin("4", 5, on=False))
    assert message == (
        "neurons of '4' would all be off with these, and training would stop. "
        "Leave at least one on."
    )
    assert made.pins == {"4": dict.fromkeys(range(5), 0.0)}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([3, 4], "3-4"), ([0, 2, 3, 4, 9], "0, 2-4, 9")],
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert pins.describe_numbers(numbers) == text


@pytest.mark.parametrize(
    "neurons", [np.arange(1, 3), torch.tensor([2, 1]), {1, 2}, (n for n in (1, 2)), range(1, 3)]
)
def test_neurons_of_every_kind_of_list(neurons: Any) -> None:
    groups = {"4": 6}
    assert pins.choose_neurons(groups, "4", neurons) == [1, 2]
    for one in (np.int64(2), torch.tensor(2), np.array(2)):
        assert pins.choose_neurons(groups, "4", one) == [2]  # type: ignore[arg-type]
