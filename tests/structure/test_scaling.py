"""Factors in a network's parameters, and running with these in place of its own."""

import pytest
import torch
from torch import nn

from snnviz.structure import find_switches, run_scaled, scaled_parameters


class Renamed(nn.Module):
    """Each layer has two names, and two layers share a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.shared = nn.Linear(6, 6)
        self.shared.bias = self.second.bias
        self.alias = self.first
        self.every = nn.ModuleList([self.last, self.second, self.first])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.alias(x.flatten(1)).relu())
        return self.every[0](self.shared(x.relu()).relu())


@torch.no_grad()
@pytest.mark.parametrize("constant", [False, True])
def test_a_network_whose_layers_have_several_names(constant: bool) -> None:
    """Torch's own way of calling it would leave the parameters of the call in the layers."""
    network, x = Renamed(), torch.randn(5, 1, 2, 2)
    switches = find_switches(network, x)
    assert list(switches.groups) == ["first"]
    own = dict(network.named_parameters())
    before = network(x)
    s = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 0.0])
    scaled = scaled_parameters(network, switches, {"first": s}, constant=constant)
    came = run_scaled(network, scaled, x)
    hidden = (s * network.first(x.flatten(1))).relu()
    expected = network.last(network.shared(network.second(hidden).relu()).relu())
    torch.testing.assert_close(came, expected)
    for name, parameter in network.named_parameters():
        assert parameter is own[name]
    assert torch.equal(network(x), before)


@torch.no_grad()
def test_constants_reach_every_layer_that_shares_a_parameter() -> None:
    network, x = Renamed(), torch.randn(5, 1, 2, 2)
    switches = find_switches(network, x)
    factors = {"first": torch.ones(6)}
    scaled = scaled_parameters(network, switches, factors, constant=True)
    assert set(scaled) == {
        f"{layer}.{own}"
        for layer in ("first", "second", "last", "shared")
        for own in ("weight", "bias")
    }
    moved = {name: value + 1 if name.endswith("bias") else value for name, value in scaled.items()}
    came = run_scaled(network, moved, x)
    for parameter in {network.first.bias, network.second.bias, network.last.bias}:
        parameter += 1
    torch.testing.assert_close(came, network(x))
