"""Factors that act at the readers in training: where this is right, where it pays, and its results.

`tests/shrink/test_random_networks.py` checks that random networks have the same scores, and
`test_groups.py` compares the gradients with those of hooks, over many steps.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from snnviz.networks import lenet5, mlp, vgg_small
from snnviz.structure import Switches, find_switches, scaled_parameters
from snnviz.training import Learners, Phase, Schedule
from snnviz.training.trainer import switcher_step, task_step
from tests.structure.test_groups import BUILD, random_factors

IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()
PHASES: tuple[Phase, ...] = ("task", "switcher")


class Net(nn.Module):
    """Two layers, with something between them, and a head."""

    def __init__(self, between: Callable[[Tensor], Tensor], wide: int = 40) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.between = between
        self.first, self.second = nn.Linear(64, wide), nn.Linear(wide, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.gelu(self.second(self.between(self.first(images.flatten(1))))))


def moved(net: nn.Module, images: Tensor = IMAGES) -> dict[str, str]:
    switches = find_switches(net.double().eval(), images)
    assert_same_scores(net, switches, images)
    return {name: g.moved for name, g in switches.groups.items()}


@torch.no_grad()
def assert_same_scores(net: nn.Module, switches: Switches, images: Tensor = IMAGES) -> None:
    factors = random_factors(switches)
    expected = functional_call(net, scaled_parameters(net, switches, factors), (images,))
    assert not torch.allclose(expected, net(images))
    for phase in PHASES:
        parameters = scaled_parameters(net, switches, factors, phase=phase)
        scores = functional_call(net, parameters, (images,))
        torch.testing.assert_close(scores, expected, rtol=1e-9, atol=1e-9)


# --- where they may ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "between",
    [
        F.relu,
        nn.LeakyReLU(0.3),
        nn.PReLU(),
        nn.Identity(),
        nn.Dropout(0.5),
        lambda x: F.max_pool1d(F.relu(x), 1),
        lambda x: 3 * x.clamp_min(0),
    ],
)
def test_a_factor_goes_through(between: Any) -> None:
    assert moved(Net(between)) == {"first": "both", "second": ""}


@pytest.mark.parametrize(
    "between",
    [
        F.gelu,
        F.silu,
        F.relu6,
        F.hardswish,
        torch.tanh,
        lambda x: F.relu(x).clamp_max(20),
        lambda x: F.relu(x) ** 2,
        lambda x: F.hardshrink(x, 0.01),
        nn.BatchNorm1d(40),
        lambda x: F.relu(x) / (1e-6 + x.norm(dim=1, keepdim=True)),
    ],
)
def test_a_factor_does_not_go_through(between: Any) -> None:
    net = Net(between)
    assert set(moved(net).values()) == {""}


def test_readers_whose_weights_serve_others_as_well_keep_them() -> None:
    net = Net(F.relu)
    assert moved(net)["first"] == "both"

    class Twice(Net):
        def forward(self, images: Tensor) -> Tensor:
            x = self.first(images.flatten(1))
            return self.head(
                F.gelu(self.second(F.relu(x)) + self.second(images.flatten(1)[:, :40]))
            )

    class Tied(Net):
        def __init__(self) -> None:
            super().__init__(F.relu)
            self.other = nn.Linear(40, 6)
            self.other.weight = self.second.weight

        def forward(self, images: Tensor) -> Tensor:
            x = images.flatten(1)
            return self.head(F.gelu(self.second(F.relu(self.first(x))) + self.other(x[:, :40])))

    for other in (Twice(F.relu), Tied()):
        assert "both" not in moved(other).values()


def test_one_reader_that_a_factor_reaches_and_one_that_it_does_not() -> None:
    class Forked(Net):
        def __init__(self) -> None:
            super().__init__(F.relu)
            self.other = nn.Linear(40, 6)

        def forward(self, images: Tensor) -> Tensor:
            x = self.first(images.flatten(1))
            return self.head(F.gelu(self.second(F.relu(x)) + self.other(F.gelu(x))))

    assert moved(Forked())["first"] == ""


def test_grouped_readers_keep_their_weights() -> None:
    layers = [nn.Conv2d(1, 8, 7), nn.ReLU(), nn.Conv2d(8, 8, 1, groups=4), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 3))
    assert moved(net)["0"] == ""


def test_readers_of_several_groups() -> None:
    """What is joined is read by one layer, which weighs each of the parts by its own factors."""

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.left, self.right = nn.Conv2d(1, 6, 5), nn.Conv2d(1, 4, 5)
            self.reader, self.head = nn.Conv2d(10, 2, 1), nn.Linear(32, 3)

        def forward(self, images: Tensor) -> Tensor:
            x = torch.cat([F.relu(self.left(images)), F.gelu(self.right(images))], 1)
            return self.head(F.gelu(self.reader(x)).flatten(1))

    assert moved(Joined()) == {"left": "both", "right": "", "reader": ""}


# --- where it pays -------------------------------------------------------------------------------


def test_they_move_where_there_are_fewer_weights() -> None:
    # 64 x 4 weights before the ReLU and 4 x 600 behind it, where nothing gets a gradient yet.
    wide = nn.Sequential(nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 600), nn.GELU())
    few = nn.Sequential(nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 6), nn.GELU())
    for layers, expected in ((few, "both"), (wide, "switcher")):
        net = nn.Sequential(nn.Flatten(), *layers, nn.Linear(layers[-2].out_features, 3))
        assert moved(net)["1"] == expected
    net = nn.Sequential(nn.Flatten(), *wide[:3], nn.Softmax(1), nn.Linear(600, 3))
    switches = find_switches(net.double(), IMAGES)  # the reader's own neurons are left alone
    assert {name: g.moved for name, g in switches.groups.items()} == {"1": ""}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (mlp, {"fc1": "both", "fc2": "both"}),
        (lenet5, {"conv1": "switcher", "conv2": "", "fc1": "both"}),
        (vgg_small, {"conv1": "", "conv2": "", "conv3": "", "conv4": "", "fc1": "both"}),
    ],
)
def test_known_networks(build: Any, expected: dict[str, str]) -> None:
    images = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)).double()
    assert moved(build((1, 28, 28), 10), images) == expected


def test_a_switcher_step_leaves_the_first_layer_out_of_the_backward_pass() -> None:
    """That is what it is for: nothing before the second layer needs a gradient."""
    build, shape = BUILD["lenet5"]
    net = build()
    images = torch.randn(4, *shape)
    switches = find_switches(net, images)
    factors = {k: v.float().requires_grad_(True) for k, v in random_factors(switches).items()}
    parameters = scaled_parameters(net, switches, factors, constant=True, phase="switcher")
    needed = {name for name, value in parameters.items() if value.requires_grad}
    assert needed == {"conv2.weight", "conv2.bias", "scores.weight"}
    at_writers = scaled_parameters(net, switches, factors, constant=True)
    assert "conv1.weight" in {name for name, value in at_writers.items() if value.requires_grad}


# --- what comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp", "lenet5"])
def test_training_is_the_same(name: str) -> None:
    """Task and switcher steps, with and without moves, from the same start, in float64."""
    build, shape = BUILD[name]
    images = torch.randn(12, *shape, generator=torch.Generator().manual_seed(0)).double()
    labels = torch.arange(12) % 3
    start, states = build().double(), []
    for moves in (True, False):
        net = copy.deepcopy(start)
        switches = find_switches(net, images)
        assert any(g.moved for g in switches.groups.values())
        if not moves:
            plain = {name: replace(g, moved="") for name, g in switches.groups.items()}
            switches = replace(switches, groups=plain)
        # Adam would make a full step of what is 0 but for rounding.
        plan = Schedule(switcher_optimizer="sgd")
        ours = Learners(net, switches, None, plan, 0, torch.device("cpu"), "float32")
        ours.switcher.double()
        for step in range(40):
            if step % 4:
                task_step(ours, images, labels, 0.1, through_switcher=step % 8 == 1)
            else:
                switcher_step(ours, images, labels, 0.5, 1.0)
        states.append((net, ours.factors))
    (net, factors), (twin, other) = states
    assert any((s == 0).any() for s in factors.values())
    for group, values in factors.items():
        assert torch.equal(values == 0, other[group] == 0)
        torch.testing.assert_close(values, other[group], rtol=1e-6, atol=1e-8)
    for (key, a), b in zip(net.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8, msg=key)
