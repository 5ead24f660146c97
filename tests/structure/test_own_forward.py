"""Layers of the user's own classes, whose outputs need not be multiplied by a factor."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnviz.shrink import compact
from snnviz.structure import find_switches
from snnviz.structure.own_forward import find_deaf, has_own_forward
from tests.helpers import example
from tests.networks_at_random import drawn
from tests.standardised import Standardised
from tests.structure.nets import hidden


class NormAct(nn.BatchNorm2d):
    """An activation that is part of the norm, as in timm."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(super().forward(input) * 9)


class Padded(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, (1, 0, 1, 0)))


def test_own_forward() -> None:
    for layer in (NormAct(2), Standardised(1, 2, 1), Padded(1, 2, 1)):
        assert has_own_forward(layer)
    for layer in (nn.Linear(1, 2), nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.LayerNorm(2)):
        assert not has_own_forward(layer)


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param((nn.Conv2d(3, 6, 3), NormAct(6)), id="norm with activation"),
        pytest.param((Padded(3, 6, 4), nn.ReLU()), id="padded"),
    ],
)
def test_smaller_network_is_the_same(layers: tuple[nn.Module, ...]) -> None:
    network, images = drawn(hidden(*layers).double().eval()), example((3, 8, 8)).double()
    switches = find_switches(network, images)
    assert switches.groups["0"].neurons == 6
    factors = {name: torch.arange(g.neurons) % 3 / 2.0 for name, g in switches.groups.items()}
    assert compact(network, factors, images, switches=switches, latency=False)[1].difference < 1e-10


@pytest.mark.parametrize("bias", [True, False])
def test_weights_that_undo_a_factor(bias: bool) -> None:
    network = hidden(Standardised(3, 6, 3, bias=bias), nn.ReLU())
    assert find_deaf(network, example((3, 8, 8))) == {"0"}
    images = example((3, 8, 8))
    assert find_switches(network, images).groups["0"].moved == "always"
    two = hidden(Standardised(3, 6, 3), nn.ReLU(), Standardised(6, 6, 1, bias=bias), nn.ReLU())
    assert find_switches(two, images).left_alone["0"] == "0 undoes a factor on its weights"
